// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: look-up of what a call names
 */

#include "lookup.h"

/**
 * bus1_lookup_is_free() - whether an ID can be given to a node or a request
 * @peer:	peer that is to use the ID; its @local is held
 * @id:		ID
 *
 * Return: true if the ID is free.
 */
bool bus1_lookup_is_free(struct bus1_peer *peer, u64 id)
{
	struct bus1_handle *handle;

	handle = bus1_handle_find(peer, id);
	if (handle) {
		bus1_node_forget(handle->node);
		handle = bus1_handle_find(peer, id);
	}
	return !handle && !bus1_reply_find_awaited(peer, id);
}

static int create_node(struct bus1_name *name, struct bus1_peer *peer, u64 id)
{
	struct bus1_node *node;
	int err;

	if (!bus1_lookup_is_free(peer, id))
		return -EEXIST;
	err = bus1_node_new(peer, id, &node);
	if (err)
		return err;
	name->handle = &node->own;
	name->created = true;
	return 0;
}

/**
 * bus1_lookup_other() - look up an ID that names no handle
 * @name:	as for bus1_lookup()
 * @peer:	as for bus1_lookup()
 * @id:		as for bus1_lookup()
 *
 * Return: as bus1_lookup().
 */
int bus1_lookup_other(struct bus1_name *name, struct bus1_peer *peer, u64 id)
{
	if (id & BUS1_HANDLE_FLAG_NEW)
		return create_node(name, peer, id & ~BUS1_HANDLE_FLAG_NEW);
	name->reply = bus1_reply_find_owed(peer, id);
	return name->reply ? 0 : -ENXIO;
}
