// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: messages
 */

#include <linux/bug.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "message.h"

static struct kmem_cache *message_cache;

/**
 * bus1_message_init() - make the cache of this room
 *
 * Return: 0. Panics when there is no memory at boot.
 */
int __init bus1_message_init(void)
{
	message_cache = kmem_cache_create("bus1_message",
					  sizeof(struct bus1_message) +
					  BUS1_INLINE_ITEMS * sizeof(void *), 0,
					  SLAB_ACCOUNT | SLAB_PANIC, NULL);
	return 0;
}

static void init_message(struct bus1_message *message, struct bus1_space *space,
			 struct bus1_pool *pool,
			 const struct bus1_shape *shape)
{
	bus1_entry_init(&message->entry, BUS1_ENTRY_MESSAGE);
	message->slice.size = 0;
	message->slice.published = false;
	message->space = space;
	message->pool = pool;
	message->dest = NULL;
	message->asks = NULL;
	INIT_LIST_HEAD(&message->moved);
	message->sender = NULL;
	message->claim = NULL;
	message->charged = (struct bus1_amount){};
	message->n_bytes = shape->n_bytes;
	message->n_handles = shape->n_handles;
	message->n_moved = shape->n_moved;
	message->n_fds = shape->n_fds;
	message->fds_charged = false;
	message->written = 0;
	message->handles = (void *)(message + 1);
	message->files = (void *)(message->handles + shape->n_handles);
	if (shape->n_handles + shape->n_fds)
		memset(message->handles, 0,
		       (shape->n_handles + shape->n_fds) * sizeof(void *));
}

/**
 * bus1_message_new() - allocate a message that is not charged yet
 * @space:	receiver
 * @pool:	the receiver's pool
 * @shape:	what it is to consist of
 * @gfp:	how to allocate
 *
 * Return: the message or NULL.
 */
struct bus1_message *bus1_message_new(struct bus1_space *space,
				      struct bus1_pool *pool,
				      const struct bus1_shape *shape, gfp_t gfp)
{
	size_t n_pointers = shape->n_handles + shape->n_fds;
	struct bus1_message *message;

	if (n_pointers > BUS1_INLINE_ITEMS)
		message = kvmalloc(sizeof(*message) +
				   n_pointers * sizeof(void *), gfp);
	else
		message = kmem_cache_alloc(message_cache, gfp);
	if (!message)
		return NULL;
	message->plain = n_pointers <= BUS1_INLINE_ITEMS;
	init_message(message, space, pool, shape);
	return message;
}

static void free_memory(struct bus1_message *message)
{
	if (message->plain)
		kmem_cache_free(message_cache, message);
	else
		kvfree(message);
}

/*
 * Free the slice and everything that is still charged. One message that is free
 * stays with its receiver, whose cgroup pays for it: the next sender finds it with
 * the lock that it takes anyway.
 */
static void give_back(struct bus1_message *message)
{
	struct bus1_space *space = message->space;
	struct file *file = NULL;

	spin_lock(&space->data);
	if (message->slice.size) {
		if (bus1_pool_retire(message->pool, &message->slice)) {
			spin_unlock(&space->data);
			bus1_pool_punch(message->pool, &message->slice);
			spin_lock(&space->data);
		}
		bus1_pool_free(message->pool, &message->slice);
	}
	bus1_quota_uncharge(&space->quota, message->claim, &message->charged);
	if (unlikely(space->down)) {
		file = bus1_pool_detach(message->pool);
	} else if (message->plain && !space->spare) {
		space->spare = message;
		message = NULL;
	}
	spin_unlock(&space->data);
	bus1_pool_put_file(file);
	if (message)
		free_memory(message);
}

/**
 * bus1_message_drop_spare() - free the message that is kept for the next sender
 * @space:	receiver, of whom nobody can become the next receiver's
 */
void bus1_message_drop_spare(struct bus1_space *space)
{
	struct bus1_message *spare;

	spin_lock(&space->data);
	spare = space->spare;
	space->spare = NULL;
	spin_unlock(&space->data);
	if (spare)
		free_memory(spare);
}

/**
 * bus1_message_free() - free a message and give back all it holds
 * @message:	message that is in no queue, or NULL
 *
 * Sleeps. Gives its carried references back, so the caller may hold the local
 * lock of a peer but no data lock.
 */
void bus1_message_free(struct bus1_message *message)
{
	struct bus1_ident *sender;
	struct bus1_node *dest;

	if (!message)
		return;
	if (message->asks || !list_empty(&message->moved))
		bus1_message_drop_replies(message);
	if (message->n_handles)
		bus1_message_drop_handles(message);
	if (message->n_fds)
		bus1_message_drop_files(message);
	dest = message->dest;
	sender = message->sender;
	give_back(message);
	/* The receiver lives as long as its node. */
	bus1_node_put(dest);
	bus1_ident_put(sender);
}

static void get_amount(const struct bus1_message *message,
		       struct bus1_amount *amount)
{
	amount->of[BUS1_SLICES] = 1;
	/* Moving a reply handle charges nobody. */
	amount->of[BUS1_HANDLES] = message->n_handles - message->n_moved;
	/* Saturated: more than any limit. */
	amount->of[BUS1_BYTES] = min_t(u64, bus1_message_size(message), U32_MAX);
	amount->of[BUS1_FDS] = message->n_fds;
}

/* @more are handles beyond those that the message carries. */
static int charge_locked(struct bus1_message *message, struct bus1_claim *claim,
			 u32 more)
{
	struct bus1_space *space = message->space;
	struct bus1_amount amount;
	int err;

	lockdep_assert_held(&space->data);

	get_amount(message, &amount);
	amount.of[BUS1_HANDLES] += more;
	if (claim)
		err = bus1_quota_charge(&space->quota, claim, &amount);
	else
		err = bus1_quota_charge_own(&space->quota, &amount);
	if (err)
		return err;

	err = bus1_pool_alloc(message->pool, &message->slice,
			      bus1_message_size(message));
	if (err) {
		bus1_quota_uncharge(&space->quota, claim, &amount);
		return err;
	}
	message->claim = claim;
	message->charged = amount;
	return 0;
}

static int charge_spare_locked(struct bus1_space *space, struct bus1_pool *pool,
			       const struct bus1_shape *shape,
			       struct bus1_claim *claim, u32 more,
			       struct bus1_message **message)
{
	struct bus1_message *spare = space->spare;
	int err;

	if (!spare || shape->n_handles + shape->n_fds > BUS1_INLINE_ITEMS)
		return -ENOMEM;
	init_message(spare, space, pool, shape);
	err = charge_locked(spare, claim, more);
	if (err)
		return err;
	space->spare = NULL;
	*message = spare;
	return 0;
}

/**
 * bus1_message_take() - get a message and charge it, if nothing is to be allocated
 * @space:	receiver
 * @pool:	the receiver's pool
 * @shape:	what it is to consist of
 * @sender:	who sends
 * @message:	the message
 *
 * Return: 0; -ENOMEM if a message or a claim has to be allocated, by
 * bus1_message_new() and bus1_message_charge(); or as the latter.
 */
int bus1_message_take(struct bus1_space *space, struct bus1_pool *pool,
		      const struct bus1_shape *shape, struct bus1_ident *sender,
		      struct bus1_message **message)
{
	struct bus1_claim *claim, *none = NULL;
	int err = -ENOMEM;

	spin_lock(&space->data);
	claim = bus1_quota_claim(&space->quota,
				 bus1_quota_claimant(&space->quota, sender->user),
				 &none);
	if (space->down)
		err = -EHOSTUNREACH;
	else if (claim)
		err = charge_spare_locked(space, pool, shape, claim, 0, message);
	spin_unlock(&space->data);
	if (!err)
		(*message)->sender = bus1_ident_get(sender);
	return err;
}

/* Returns -ENOMEM when a spare claim is needed. */
static int charge_claim_locked(struct bus1_message *message,
			       struct ucounts *user, struct bus1_claim **spare)
{
	struct bus1_space *space = message->space;
	struct bus1_claim *claim;

	/* First: a claim that is linked has to be settled by a charge. */
	if (space->down)
		return -EHOSTUNREACH;
	claim = bus1_quota_claim(&space->quota, user, spare);
	return claim ? charge_locked(message, claim, 0) : -ENOMEM;
}

/**
 * bus1_message_charge() - charge a message to its receiver
 * @message:	message whose sender is set
 * @gfp:	how to allocate a claim if the sender has none
 *
 * Also allocates the slice. May sleep.
 *
 * Return: 0; -EHOSTUNREACH if the receiver is down; -EDQUOT, -EXFULL or
 * -EMSGSIZE, see bus1_quota_charge(); -ENOMEM.
 */
int bus1_message_charge(struct bus1_message *message, gfp_t gfp)
{
	struct bus1_claim *spare = NULL;
	int err;

	for (;;) {
		struct bus1_claim *stale = NULL;
		struct ucounts *user;

		spin_lock(&message->space->data);
		user = bus1_quota_claimant(&message->space->quota,
					   message->sender->user);
		/* It may be another one than before, if the receiver was adopted. */
		if (spare && spare->user != user)
			swap(spare, stale);
		err = charge_claim_locked(message, user, &spare);
		spin_unlock(&message->space->data);

		bus1_claim_free(stale);
		if (err != -ENOMEM)
			break;
		/* @user lives as long as the sender's. */
		spare = bus1_claim_new(user, gfp);
		if (!spare)
			break;
	}
	bus1_claim_free(spare);
	return err;
}

/**
 * bus1_message_charge_own() - charge a message of a peer to itself
 * @message:	message
 *
 * Return: 0, -ESHUTDOWN or -ENOBUFS.
 */
int bus1_message_charge_own(struct bus1_message *message)
{
	int err;

	spin_lock(&message->space->data);
	err = message->space->down ? -ESHUTDOWN :
				     charge_locked(message, NULL, 0);
	spin_unlock(&message->space->data);
	return err == -EXFULL ? -ENOBUFS : err;
}

/**
 * bus1_message_budget() - get room for a reply, charged to its receiver
 * @space:	receiver
 * @pool:	the receiver's pool
 * @shape:	as many bytes, handles and files as may come
 * @gfp:	how to allocate
 * @message:	the message
 *
 * Charged is also the handle that the reply is, and left to it.
 *
 * Return: 0, -ESHUTDOWN, -ENOBUFS, -ENOMEM.
 */
int bus1_message_budget(struct bus1_space *space, struct bus1_pool *pool,
			const struct bus1_shape *shape, gfp_t gfp,
			struct bus1_message **message)
{
	struct bus1_message *new = NULL;
	int err;

	for (;;) {
		spin_lock(&space->data);
		if (space->down)
			err = -ESHUTDOWN;
		else if (new)
			err = charge_locked(new, NULL, 1);
		else
			err = charge_spare_locked(space, pool, shape, NULL, 1,
						  message);
		if (!err)
			(new ?: *message)->charged.of[BUS1_HANDLES]--;
		spin_unlock(&space->data);
		if (err != -ENOMEM || new)
			break;
		new = bus1_message_new(space, pool, shape, gfp);
		if (!new)
			return -ENOMEM;
	}
	if (new && err)
		bus1_message_free(new);
	else if (new)
		*message = new;
	return err == -EXFULL ? -ENOBUFS : err;
}

/**
 * bus1_message_trim_locked() - give back what a reply does not need
 * @message:	reply that is complete; its receiver's @data is held
 *
 * What an attempt that failed may have written to stays, charged.
 */
void bus1_message_trim_locked(struct bus1_message *message)
{
	u64 size = max(bus1_message_size(message), message->written);
	struct bus1_amount need, less;
	enum bus1_resource r;

	get_amount(message, &need);
	need.of[BUS1_BYTES] = size;
	for (r = 0; r < BUS1_RESOURCES; r++)
		less.of[r] = message->charged.of[r] - need.of[r];
	bus1_message_uncharge_locked(message, &less);
	bus1_pool_shrink(message->pool, &message->slice, size);
}

/**
 * bus1_message_uncharge_locked() - give back a part of a message's charge
 * @message:	message whose receiver's @data is held
 * @amount:	what to give back, at most &struct bus1_message.charged
 */
void bus1_message_uncharge_locked(struct bus1_message *message,
				  const struct bus1_amount *amount)
{
	const struct bus1_amount less = *amount;
	enum bus1_resource r;

	lockdep_assert_held(&message->space->data);

	bus1_quota_uncharge(&message->space->quota, message->claim, &less);
	for (r = 0; r < BUS1_RESOURCES; r++)
		message->charged.of[r] -= less.of[r];
}

/**
 * bus1_message_prepare_tail() - make sure that handles and files can be told
 * @message:	message whose payload was written
 * @add:	whether to allocate pages that are not there
 *
 * What deliver.c writes behind the payload needs its pages now: it may not fail for
 * want of them. Where the payload ends its page is there.
 *
 * Return: 0, or as bus1_pool_fill().
 */
int bus1_message_prepare_tail(struct bus1_message *message, bool add)
{
	const void *zeros = page_address(ZERO_PAGE(0));
	u64 start = message->slice.offset;
	u64 at = start + message->n_bytes;
	u64 end = start + bus1_message_size(message);
	int err = 0;

	if (message->n_bytes)
		at = round_up(at, PAGE_SIZE);
	for (; at < end && !err; at = round_down(at, PAGE_SIZE) + PAGE_SIZE)
		err = bus1_pool_fill(message->pool, &message->slice, at - start,
				     zeros, 1, add);
	return err;
}

/**
 * bus1_message_attach() - let a message carry a reference
 * @message:	message
 * @i:		which of its handles
 * @node:	node to refer to
 * @from:	who gives it
 * @gfp:	how to allocate what is new to the receiver
 *
 * A dead node leaves the handle NULL. Waits for destructions under way.
 *
 * Return: 0, or as bus1_handle_attach().
 */
int bus1_message_attach(struct bus1_message *message, u32 i,
			struct bus1_node *node, struct bus1_space *from,
			gfp_t gfp)
{
	return bus1_handle_attach(node, from, message->space, gfp,
				  &message->handles[i]);
}

/**
 * bus1_message_enqueued_locked() - count a message that was committed
 * @message:	message whose receiver's @data is held
 */
void bus1_message_enqueued_locked(struct bus1_message *message)
{
	lockdep_assert_held(&message->space->data);

	message->dest->n_queued++;
	message->space->queued_bytes += bus1_message_size(message);
}

/**
 * bus1_message_dequeued_locked() - remove a committed message from its queue
 * @message:	message whose receiver's @data is held
 */
void bus1_message_dequeued_locked(struct bus1_message *message)
{
	lockdep_assert_held(&message->space->data);

	bus1_queue_remove(&message->space->queue, &message->entry);
	message->dest->n_queued--;
	message->space->queued_bytes -= bus1_message_size(message);
}

/**
 * bus1_message_share() - the references that a message carries become visible
 * @message:	message that is about to be committed
 */
void bus1_message_share(struct bus1_message *message)
{
	u32 i;

	for (i = 0; i < message->n_handles; i++)
		if (message->handles[i])
			bus1_node_share(message->handles[i]->node);
}

/**
 * bus1_message_take_files() - let a message carry files
 * @message:	message
 * @files:	as many files as it was made for
 *
 * Return: 0 or -ETOOMANYREFS.
 */
int bus1_message_take_files(struct bus1_message *message, struct file **files)
{
	u32 i;
	int err;

	if (!message->n_fds)
		return 0;
	err = bus1_user_charge_fds(message->sender->user, message->n_fds);
	if (err)
		return err;
	message->fds_charged = true;
	for (i = 0; i < message->n_fds; i++)
		message->files[i] = get_file(files[i]);
	return 0;
}

/**
 * bus1_message_drop_handles() - drop what a message carries
 * @message:	message
 *
 * The charge stays, see bus1_message_uncharge_locked().
 */
void bus1_message_drop_handles(struct bus1_message *message)
{
	u32 i;

	for (i = 0; i < message->n_handles; i++) {
		if (message->handles[i])
			bus1_handle_drop(message->handles[i], 1);
		message->handles[i] = NULL;
	}
	message->n_handles = 0;
	message->n_moved = 0;
}

/**
 * bus1_message_drop_reply() - let go of a reply handle
 * @reply:	reply that is in no tree; may be gone afterwards
 * @holder:	who had it
 */
void bus1_message_drop_reply(struct bus1_reply *reply, struct bus1_space *holder)
{
	struct bus1_space *requester = reply->requester;
	struct bus1_message *room;
	bool wake;

	spin_lock(&requester->data);
	room = bus1_reply_drop_locked(reply, &wake);
	if (room)
		bus1_message_uncharge_locked(room, &room->charged);
	spin_unlock(&requester->data);

	if (wake)
		bus1_space_wake(requester);
	bus1_reply_leave_holder(reply, holder);
	/* It carries nothing, and its peer is kept by the reply. */
	bus1_message_free(room);
	bus1_reply_put(reply);
}

/**
 * bus1_message_drop_replies() - drop the reply handles that a message carries
 * @message:	message that was addressed to whoever @message->space is
 */
void bus1_message_drop_replies(struct bus1_message *message)
{
	struct bus1_reply *reply, *next;

	if (message->asks)
		bus1_message_drop_reply(message->asks, message->space);
	message->asks = NULL;
	list_for_each_entry_safe(reply, next, &message->moved, moved) {
		list_del_init(&reply->moved);
		bus1_message_drop_reply(reply, message->space);
	}
}

/**
 * bus1_message_drop_files() - close what a message carries
 * @message:	message
 *
 * The charge on the receiver stays, see bus1_message_uncharge_locked().
 */
void bus1_message_drop_files(struct bus1_message *message)
{
	u32 i;

	for (i = 0; i < message->n_fds; i++) {
		if (message->files[i])
			fput(message->files[i]);
		message->files[i] = NULL;
	}
	if (message->fds_charged)
		bus1_user_uncharge_fds(message->sender->user, message->n_fds);
	message->fds_charged = false;
	message->n_fds = 0;
}
