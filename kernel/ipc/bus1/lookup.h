/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1: look-up of what a call names
 */
#ifndef _BUS1_LOOKUP_H
#define _BUS1_LOOKUP_H

#include "reply.h"

/**
 * struct bus1_name - what a handle ID that a caller named stands for
 * @handle:	the caller's handle, or NULL
 * @reply:	the reply, if the ID is that of a reply handle, else NULL
 * @created:	whether this call created the node of @handle
 * @moved:	whether @reply is on its way to another peer
 *
 * Both stay as long as the caller's @local is held.
 */
struct bus1_name {
	struct bus1_handle *handle;
	struct bus1_reply *reply;
	bool created;
	bool moved;
};

bool bus1_lookup_is_free(struct bus1_peer *peer, u64 id);
int bus1_lookup_other(struct bus1_name *name, struct bus1_peer *peer, u64 id);

/**
 * bus1_lookup() - look up a handle ID, or create the node it asks for
 * @name:	zeroed
 * @peer:	peer whose ID it is; its @local is held
 * @id:		ID, with BUS1_HANDLE_FLAG_NEW to create a node
 *
 * Return: 0; -ENXIO if there is no such handle; -EEXIST if the node to create exists;
 * -ENOMEM. bus1_lookup_charge() follows once all names of the call have been found.
 */
static inline int bus1_lookup(struct bus1_name *name, struct bus1_peer *peer, u64 id)
{
	struct bus1_handle *handle = bus1_handle_find(peer, id);

	if (unlikely(!handle || !handle->n_user))
		return bus1_lookup_other(name, peer, id);
	name->handle = handle;
	return 0;
}

/**
 * bus1_lookup_charge() - charge what bus1_lookup() created
 * @name:	what was found; the local lock has been held since then
 *
 * Return: 0, or -ENOBUFS if the limit on handles is reached.
 */
static inline int bus1_lookup_charge(struct bus1_name *name)
{
	return name->created ? bus1_node_charge(name->handle->node) : 0;
}

/**
 * bus1_lookup_abort() - undo what bus1_lookup() created
 * @name:	name that nothing else refers to; the local lock has been held since then
 */
static inline void bus1_lookup_abort(struct bus1_name *name)
{
	if (name->created)
		bus1_node_abort(name->handle->node);
}

#endif /* _BUS1_LOOKUP_H */
