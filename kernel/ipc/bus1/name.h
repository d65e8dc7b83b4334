/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1: handle IDs that a call names
 */
#ifndef _BUS1_NAME_H
#define _BUS1_NAME_H

#include "reply.h"

/**
 * struct bus1_name - a handle ID that a caller named
 * @node:	the node, referenced, or NULL
 * @handle:	the caller's handle to it; only to be used while its @local is held
 * @reply:	the reply, if the ID is that of a reply handle, else NULL
 * @busy:	after -EBUSY the reply that another call uses, referenced
 * @claimed:	whether @reply is the call's to use
 * @moved:	whether @reply is on its way to another peer
 * @created:	whether this call created the node
 */
struct bus1_name {
	struct bus1_node *node;
	struct bus1_handle *handle;
	struct bus1_reply *reply;
	struct bus1_reply *busy;
	bool claimed;
	bool moved;
	bool created;
};

bool bus1_name_is_free(struct bus1_space *space, u64 id);
int bus1_name_find(struct bus1_name *name, struct bus1_space *space, u64 id);
void bus1_name_unclaim(struct bus1_name *name, struct bus1_space *space);
void bus1_name_used(struct bus1_name *name, struct bus1_space *space);
void bus1_name_abort(struct bus1_name *name);

/**
 * bus1_name_claim() - begin to use a reply handle
 * @name:	what was found; the local lock was held since
 */
static inline void bus1_name_claim(struct bus1_name *name)
{
	if (!name->reply)
		return;
	name->reply->marked = false;
	name->reply->claimed = true;
	name->claimed = true;
}

/**
 * bus1_name_charge() - charge what bus1_name_find() created
 * @name:	what was found; the local lock was held since
 *
 * Return: 0, or -ENOBUFS if the limit on handles is reached.
 */
static inline int bus1_name_charge(struct bus1_name *name)
{
	return name->created ? bus1_node_charge(name->node) : 0;
}

#endif /* _BUS1_NAME_H */
