// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: giving handles from peer to peer
 */

#include <linux/slab.h>

#include "name.h"
#include "transfer.h"

/**
 * struct gift - one handle that is given
 * @name:	what the giver named
 * @handle:	the taker's handle with a reference, or NULL of a dead node
 * @shown:	whether it is in the taker's count
 * @charged:	whether it is new to the taker and charged to it
 * @old:	the giver's ID of a reply handle
 */
struct gift {
	struct bus1_name name;
	struct bus1_handle *handle;
	bool shown;
	bool charged;
	u64 old;
};

/* The charge comes before the count that keeps it. */
static int charge_gift(struct bus1_space *to, struct gift *gift)
{
	int err = 0;

	spin_lock(&to->data);
	if (!gift->handle->n_user) {
		err = bus1_quota_charge_own(&to->quota, &bus1_one_handle);
		gift->charged = !err;
	}
	spin_unlock(&to->data);
	return err;
}

static void uncharge_gift(struct bus1_space *to, struct gift *gift)
{
	if (!gift->charged)
		return;
	spin_lock(&to->data);
	bus1_quota_uncharge(&to->quota, NULL, &bus1_one_handle);
	spin_unlock(&to->data);
	gift->charged = false;
}

/* A reply handle moves. One that was cancelled stays, and no handle arrives. */
static int move_gift(struct bus1_space *from, struct bus1_space *to,
		     struct gift *gift, u64 *id)
{
	struct bus1_reply *reply = gift->name.reply;
	int err;

	*id = BUS1_HANDLE_INVALID;
	err = bus1_reply_move(reply, to);
	if (err == -EBUSY)
		gift->name.busy = bus1_reply_get(reply);
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

static int show_gift(struct bus1_space *from, struct bus1_space *to,
		     struct gift *gift, u64 *id)
{
	bool charge;
	int err;

	*id = BUS1_HANDLE_INVALID;
	err = bus1_handle_attach(gift->name.node, from, to, GFP_KERNEL_ACCOUNT,
				 &gift->handle);
	if (err || !gift->handle)
		return err;
	err = charge_gift(to, gift);
	if (err)
		return err;
	*id = bus1_handle_show(gift->handle, NULL, &charge);
	gift->shown = *id != BUS1_HANDLE_INVALID;
	if (gift->shown)
		return 0;
	uncharge_gift(to, gift);
	bus1_handle_drop(gift->handle, 1);
	gift->handle = NULL;
	return 0;
}

static void undo_gift(struct bus1_space *from, struct bus1_space *to,
		      struct gift *gift)
{
	if (gift->name.moved)
		undo_move(from, to, gift);
	if (gift->shown)
		bus1_handle_hide(gift->handle);
	uncharge_gift(to, gift);
	if (gift->handle)
		bus1_handle_drop(gift->handle, 1);
	bus1_name_abort(&gift->name);
}

static int find_gift(struct bus1_space *from, struct bus1_space *to,
		     struct gift *gift, u64 id)
{
	int err = bus1_name_find(&gift->name, from, id);

	if (err || !gift->name.reply)
		return err;
	if (from == to || gift->name.reply->marked) {
		gift->name.reply = NULL;
		return -EINVAL;
	}
	gift->name.reply->marked = true;
	return 0;
}

static int find_gifts(struct bus1_space *from, struct bus1_space *to,
		      struct bus1_transfer *transfer, struct gift *gifts)
{
	size_t i;
	int err = 0;

	for (i = 0; i < transfer->n && !err; i++)
		err = find_gift(from, to, &gifts[i], transfer->from[i]);
	for (i = 0; i < transfer->n; i++)
		if (gifts[i].name.reply)
			gifts[i].name.reply->marked = false;
	return err;
}

static int give(struct bus1_space *from, struct bus1_space *to,
		struct bus1_transfer *transfer, struct gift *gifts)
{
	size_t i;
	int err;

	if (from->down || to->down)
		return -ESHUTDOWN;
	err = find_gifts(from, to, transfer, gifts);
	for (i = 0; i < transfer->n && !err; i++)
		if (!gifts[i].name.reply)
			err = show_gift(from, to, &gifts[i], &transfer->to[i]);
	/* Last: who cancels one waits for it, and what is above may take long. */
	for (i = 0; i < transfer->n && !err; i++)
		if (gifts[i].name.reply)
			err = move_gift(from, to, &gifts[i], &transfer->to[i]);
	return err ?: transfer->store(transfer);
}

static void finish(struct bus1_space *from, struct bus1_space *to,
		   struct bus1_transfer *transfer, struct gift *gifts, int err)
{
	size_t i;

	/* Backwards: what was new to the taker is the first of its kind. */
	for (i = transfer->n; i--;) {
		if (err)
			undo_gift(from, to, &gifts[i]);
		else if (gifts[i].name.moved)
			end_move(&gifts[i]);
		else if (gifts[i].handle)
			bus1_node_share(gifts[i].name.node);
		bus1_node_put(gifts[i].name.node);
	}
}

/* Another call uses a reply handle that was named, and may fail and leave it. */
static int wait_for_busy(struct bus1_transfer *transfer, struct gift *gifts)
{
	size_t i;

	for (i = 0; i < transfer->n; i++)
		if (gifts[i].name.busy)
			return bus1_reply_wait_free(gifts[i].name.busy);
	return 0;
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
	struct gift few[4] __uninitialized, *gifts = few;
	int err;

	if (transfer->n > ARRAY_SIZE(few)) {
		gifts = kvmalloc_array(transfer->n, sizeof(*gifts),
				       GFP_KERNEL_ACCOUNT);
		if (!gifts)
			return -ENOMEM;
	}
	do {
		memset(gifts, 0, transfer->n * sizeof(*gifts));
		bus1_space_lock_two(&from->space, &to->space);
		err = give(&from->space, &to->space, transfer, gifts);
		finish(&from->space, &to->space, transfer, gifts, err);
		bus1_space_unlock_two(&from->space, &to->space);
	} while (err == -EBUSY && !(err = wait_for_busy(transfer, gifts)));

	if (gifts != few)
		kvfree(gifts);
	return err;
}
