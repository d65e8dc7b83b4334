// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: handle IDs that a call names
 */

#include "message.h"
#include "name.h"

/**
 * bus1_name_is_free() - whether an ID can be given to a node or a request
 * @space:	who wants to; its @local is held
 * @id:		ID
 *
 * Return: true if it can.
 */
bool bus1_name_is_free(struct bus1_space *space, u64 id)
{
	struct bus1_handle *handle;

	handle = bus1_handle_find(space, id);
	if (handle) {
		bus1_node_forget(handle->node);
		handle = bus1_handle_find(space, id);
	}
	return !handle && !bus1_reply_find_awaited(space, id);
}

static int create_node(struct bus1_name *name, struct bus1_space *space, u64 id)
{
	int err;

	if (!bus1_name_is_free(space, id))
		return -EEXIST;

	err = bus1_node_new(space, id, &name->node);
	if (err)
		return err;
	bus1_node_get(name->node);
	name->handle = &name->node->own;
	name->created = true;
	return 0;
}

/**
 * bus1_name_find() - look up a handle ID, or create the node it asks for
 * @name:	zeroed; on success its node is referenced, if it is one
 * @space:	whose ID it is; its @local is held
 * @id:		ID, with BUS1_HANDLE_FLAG_NEW to create a node
 *
 * Return: 0; -ENXIO if there is no such handle; -EEXIST if the node to create
 * exists; -ENOBUFS if @space may have no more handles; -ENOMEM.
 */
int bus1_name_find(struct bus1_name *name, struct bus1_space *space, u64 id)
{
	struct bus1_handle *handle;

	if (id & BUS1_HANDLE_FLAG_NEW)
		return create_node(name, space, id & ~BUS1_HANDLE_FLAG_NEW);
	handle = bus1_handle_find(space, id);
	if (!handle || !handle->n_user) {
		name->reply = bus1_reply_find_owed(space, id);
		return name->reply ? 0 : -ENXIO;
	}
	name->handle = handle;
	name->node = bus1_node_get(handle->node);
	return 0;
}

/**
 * bus1_name_claim() - take a reply handle from those that can be used
 * @name:	what was found
 * @space:	whose it is; its @local is held
 */
void bus1_name_claim(struct bus1_name *name, struct bus1_space *space)
{
	if (!name->reply)
		return;
	name->reply->marked = false;
	bus1_reply_claim(name->reply, space);
	name->claimed = true;
}

/**
 * bus1_name_unclaim() - undo bus1_name_claim()
 * @name:	name
 * @space:	whose it is; its @local is held
 */
void bus1_name_unclaim(struct bus1_name *name, struct bus1_space *space)
{
	if (!name->claimed)
		return;
	name->claimed = false;
	if (space->down)
		bus1_message_free(bus1_reply_drop(name->reply, space));
	else
		bus1_reply_unclaim(name->reply, space);
}

/**
 * bus1_name_abort() - undo what bus1_name_find() created
 * @name:	name that nothing else refers to; the local lock was held since
 *
 * The reference to the node stays the caller's.
 */
void bus1_name_abort(struct bus1_name *name)
{
	if (name->created)
		bus1_node_abort(name->node);
}
