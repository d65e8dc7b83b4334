// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: giving handles from peer to peer
 */

#include <linux/slab.h>

#include "lookup.h"
#include "message.h"
#include "transfer.h"

/**
 * struct gift - one handle that is given
 * @name:	what the giver named
 * @handle:	the taker's handle, which counts it; NULL of a dead node
 */
struct gift {
	struct bus1_name name;
	struct bus1_handle *handle;
};

static __always_inline int show_gift(struct bus1_peer *to, struct gift *gift,
				     u64 *id)
{
	struct bus1_handle *handle;
	int err;

	*id = BUS1_HANDLE_INVALID;
	err = bus1_handle_attach(gift->name.handle->node, to, GFP_KERNEL_ACCOUNT,
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

/* A reply handle moves in messages only. */
static __always_inline int
find_gift(struct bus1_peer *from, struct gift *gift, u64 id)
{
	int err = bus1_lookup(&gift->name, from, id);

	return gift->name.reply ? -EINVAL : err;
}

static __always_inline int
give(struct bus1_peer *from, struct bus1_peer *to,
     struct bus1_transfer *transfer, struct gift *gifts, size_t n)
{
	size_t i;
	int err = 0;

	for (i = 0; i < n; i++)
		gifts[i] = (struct gift){};
	for (i = 0; i < n && !err; i++)
		err = find_gift(from, &gifts[i], transfer->from[i]);
	for (i = 0; i < n && !err; i++)
		err = bus1_lookup_charge(&gifts[i].name);
	for (i = 0; i < n && !err; i++)
		err = show_gift(to, &gifts[i], &transfer->to[i]);
	return err ?: transfer->store(transfer);
}

static __always_inline void finish(struct gift *gifts, size_t n, int err)
{
	size_t i;

	/* Backwards: the first of several equal ones was new to the taker. */
	for (i = n; i--;) {
		if (err && gifts[i].handle)
			bus1_handle_unshow(gifts[i].handle, 1);
		else if (gifts[i].handle)
			bus1_node_share(gifts[i].name.handle->node);
		if (err)
			bus1_lookup_abort(&gifts[i].name);
	}
}

static __always_inline int
give_all(struct bus1_peer *from, struct bus1_peer *to,
	 struct bus1_transfer *transfer, struct gift *gifts, size_t n)
{
	int err = -ESHUTDOWN;

	bus1_peer_lock_two(from, to);
	if (!from->down && !to->down) {
		err = give(from, to, transfer, gifts, n);
		finish(gifts, n, err);
	}
	bus1_peer_unlock_two(from, to);
	return err;
}

static noinline int transfer_many(struct bus1_peer *from, struct bus1_peer *to,
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
 * @from:	peer that gives
 * @to:		peer that takes; may be @from
 * @transfer:	what to give
 *
 * All or nothing.
 *
 * Return: 0; -ESHUTDOWN; -ENXIO or -EEXIST for what is named, -EINVAL for a reply
 * handle; -ENOBUFS if either may have no more handles; -EFAULT if the store failed;
 * -ENOMEM.
 */
int bus1_peer_transfer(struct bus1_peer *from, struct bus1_peer *to,
		       struct bus1_transfer *transfer)
{
	struct gift gift __uninitialized;

	/* Most calls give one, and the compiler makes no loops then. */
	if (transfer->n == 1)
		return give_all(from, to, transfer, &gift, 1);
	return transfer_many(from, to, transfer);
}
