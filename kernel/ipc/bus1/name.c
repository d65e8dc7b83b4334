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

static int find_reply(struct bus1_name *name, struct bus1_space *space, u64 id)
{
	struct bus1_reply *reply = bus1_reply_find_owed(space, id);

	if (!reply)
		return -ENXIO;
	if (reply->claimed) {
		name->busy = bus1_reply_get_busy(reply);
		return -EBUSY;
	}
	name->reply = reply;
	return 0;
}

/**
 * bus1_name_find() - look up a handle ID, or create the node it asks for
 * @name:	zeroed; on success its node is referenced, if it is one
 * @space:	whose ID it is; its @local is held
 * @id:		ID, with BUS1_HANDLE_FLAG_NEW to create a node
 *
 * Return: 0; -EBUSY if another call uses the reply handle, and the caller is to undo
 * what it did, to wait, bus1_reply_wait_free(), and to begin anew; -ENXIO if
 * there is no such handle; -EEXIST if the node to create exists; -ENOMEM.
 * bus1_name_charge() follows once all names of the call have been found.
 */
int bus1_name_find(struct bus1_name *name, struct bus1_space *space, u64 id)
{
	struct bus1_handle *handle;

	if (id & BUS1_HANDLE_FLAG_NEW)
		return create_node(name, space, id & ~BUS1_HANDLE_FLAG_NEW);
	handle = bus1_handle_find(space, id);
	if (!handle || !handle->n_user)
		return find_reply(name, space, id);
	name->handle = handle;
	name->node = bus1_node_get(handle->node);
	return 0;
}

/**
 * bus1_name_unclaim() - a reply handle was not used
 * @name:	name
 * @space:	whose it is; its @local is held
 */
void bus1_name_unclaim(struct bus1_name *name, struct bus1_space *space)
{
	struct bus1_reply *reply = name->reply;
	bool drop;

	if (!name->claimed)
		return;
	name->claimed = false;
	drop = reply->doomed || space->down;
	bus1_reply_unclaim(reply);
	if (!drop)
		return;
	bus1_reply_unlink(reply, space);
	bus1_message_drop_reply(reply, space);
}

/**
 * bus1_name_used() - a reply handle is used up
 * @name:	name of an answered reply
 * @space:	whose it was; its @local is held
 */
void bus1_name_used(struct bus1_name *name, struct bus1_space *space)
{
	bus1_reply_unlink(name->reply, space);
	bus1_reply_unclaim(name->reply);
	bus1_reply_put(name->reply);
	name->reply = NULL;
	name->claimed = false;
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
