// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: giving handles from peer to peer
 */

#include <linux/slab.h>

#include "name.h"
#include "transfer.h"

/**
 * struct gift - one handle that is given
 * @node:	the node; kept by what the giver named, whose @local is held
 * @name:	what the giver named, unless that is a handle
 * @handle:	the taker's handle, which counts it; NULL of a dead node
 * @old:	the giver's ID of a reply handle
 */
struct gift {
	struct bus1_node *node;
	struct bus1_name name;
	struct bus1_handle *handle;
	u64 old;
};

/* A reply handle moves. One that was cancelled stays, and no handle arrives. */
static int move_gift(struct bus1_space *from, struct bus1_space *to,
		     struct gift *gift, u64 *id)
{
	struct bus1_reply *reply = gift->name.reply;
	int err;

	*id = BUS1_HANDLE_INVALID;
	err = bus1_reply_move(reply, to);
	if (err == -EBUSY)
		gift->name.busy = bus1_reply_get_busy(reply);
	if (err)
		return err == -ESTALE ? 0 : err;
	bus1_reply_get(reply);
	gift->name.moved = true;
	gift->old = reply->handle;
	bus1_reply_unlink(reply, from);
	bus1_reply_show(reply, to);
	*id = reply->handle;
	return 0;
}

static void undo_move(struct bus1_space *from, struct bus1_space *to,
		      struct gift *gift)
{
	struct bus1_reply *reply = gift->name.reply;

	bus1_reply_unlink(reply, to);
	reply->handle = gift->old;
	bus1_reply_link(reply, from);
	bus1_reply_move_back(reply, from);
	bus1_reply_put(reply);
}

static void end_move(struct gift *gift)
{
	bus1_reply_moved(gift->name.reply);
	bus1_reply_put(gift->name.reply);
}

static __always_inline int show_gift(struct bus1_space *from,
				     struct bus1_space *to, struct gift *gift,
				     u64 *id)
{
	struct bus1_handle *handle;
	int err;

	*id = BUS1_HANDLE_INVALID;
	err = bus1_handle_attach(gift->node, from, to, GFP_KERNEL_ACCOUNT,
				 false, &handle);
	if (err || !handle)
		return err;
	err = bus1_handle_show_own(handle, id);
	if (unlikely(err)) {
		bus1_handle_drop(handle, 1);
		return err == -ESTALE ? 0 : err;
	}
	gift->handle = handle;
	return 0;
}

static void undo_gift(struct bus1_space *from, struct bus1_space *to,
		      struct gift *gift)
{
	if (gift->name.moved)
		undo_move(from, to, gift);
	if (gift->handle)
		bus1_handle_unshow(gift->handle, 1);
	bus1_name_abort(&gift->name);
}

/* A node to be made, or a reply handle. */
static noinline int find_other(struct bus1_space *from, struct bus1_space *to,
			       struct gift *gift, u64 id)
{
	int err = bus1_name_find(&gift->name, from, id);

	gift->node = gift->name.node;
	if (err || !gift->name.reply)
		return err;
	if (from == to || gift->name.reply->marked) {
		gift->name.reply = NULL;
		return -EINVAL;
	}
	gift->name.reply->marked = true;
	return 0;
}

static __always_inline int
find_gift(struct bus1_space *from, struct bus1_space *to, struct gift *gift,
	  u64 id)
{
	struct bus1_handle *handle = bus1_handle_find(from, id);

	if (!handle || !handle->n_user)
		return find_other(from, to, gift, id);
	gift->node = handle->node;
	return 0;
}

static __always_inline int
find_gifts(struct bus1_space *from, struct bus1_space *to,
	   struct bus1_transfer *transfer, struct gift *gifts, size_t n)
{
	size_t i;
	int err = 0;

	for (i = 0; i < n; i++)
		gifts[i] = (struct gift){};
	for (i = 0; i < n && !err; i++)
		err = find_gift(from, to, &gifts[i], transfer->from[i]);
	for (i = 0; i < n && !err; i++)
		err = bus1_name_charge(&gifts[i].name);
	for (i = 0; i < n; i++)
		if (gifts[i].name.reply)
			gifts[i].name.reply->marked = false;
	return err;
}

static __always_inline int
give(struct bus1_space *from, struct bus1_space *to,
     struct bus1_transfer *transfer, struct gift *gifts, size_t n)
{
	size_t i;
	int err;

	err = find_gifts(from, to, transfer, gifts, n);
	for (i = 0; i < n && !err; i++)
		if (!gifts[i].name.reply)
			err = show_gift(from, to, &gifts[i], &transfer->to[i]);
	/* Last: who cancels one waits for it, and what is above may take long. */
	for (i = 0; i < n && !err; i++)
		if (gifts[i].name.reply)
			err = move_gift(from, to, &gifts[i], &transfer->to[i]);
	return err ?: transfer->store(transfer);
}

static __always_inline void
finish(struct bus1_space *from, struct bus1_space *to, struct gift *gifts,
       size_t n, int err)
{
	size_t i;

	/* Backwards: what was new to the taker is the first of its kind. */
	for (i = n; i--;) {
		if (err)
			undo_gift(from, to, &gifts[i]);
		else if (gifts[i].name.moved)
			end_move(&gifts[i]);
		else if (gifts[i].handle)
			bus1_node_share(gifts[i].node);
		bus1_node_put(gifts[i].name.node);
	}
}

/* Another call uses a reply handle that was named, and may fail and leave it. */
static int wait_for_busy(struct gift *gifts, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (gifts[i].name.busy)
			return bus1_reply_wait_free(gifts[i].name.busy);
	return 0;
}

static __always_inline int
give_all(struct bus1_space *from, struct bus1_space *to,
	 struct bus1_transfer *transfer, struct gift *gifts, size_t n)
{
	int err;

	do {
		bus1_space_lock_two(from, to);
		if (from->down || to->down) {
			err = -ESHUTDOWN;
		} else {
			err = give(from, to, transfer, gifts, n);
			finish(from, to, gifts, n, err);
		}
		bus1_space_unlock_two(from, to);
	} while (err == -EBUSY && !(err = wait_for_busy(gifts, n)));
	return err;
}

static noinline int transfer_many(struct bus1_space *from, struct bus1_space *to,
				  struct bus1_transfer *transfer)
{
	struct gift few[4] __uninitialized, *gifts = few;
	int err;

	if (transfer->n > ARRAY_SIZE(few)) {
		gifts = kvmalloc_array(transfer->n, sizeof(*gifts),
				       GFP_KERNEL_ACCOUNT);
		if (!gifts)
			return -ENOMEM;
	}
	err = give_all(from, to, transfer, gifts, transfer->n);
	if (gifts != few)
		kvfree(gifts);
	return err;
}

/**
 * bus1_peer_transfer() - give handles from one peer to another
 * @from:	who gives
 * @to:		who takes; may be @from
 * @transfer:	what to give
 *
 * All or nothing.
 *
 * Return: 0; -ESHUTDOWN; -ENXIO or -EEXIST for what is named, -EINVAL for a reply
 * handle named twice or given to @from itself; -ENOBUFS if either
 * may have no more handles; -EFAULT if the store failed; -ENOMEM.
 */
int bus1_peer_transfer(struct bus1_peer *from, struct bus1_peer *to,
		       struct bus1_transfer *transfer)
{
	struct gift gift __uninitialized;

	/* As most calls: the compiler then has no loops to make. */
	if (transfer->n == 1)
		return give_all(&from->space, &to->space, transfer, &gift, 1);
	return transfer_many(&from->space, &to->space, transfer);
}
