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
 * bus1_message_cache_init() - make the cache of messages
 */
void __init bus1_message_cache_init(void)
{
	message_cache = kmem_cache_create_usercopy("bus1_message",
			sizeof(struct bus1_message) +
			BUS1_INLINE_ITEMS * sizeof(void *), 0,
			SLAB_ACCOUNT | SLAB_PANIC,
			offsetof(struct bus1_message, data), BUS1_INLINE_MAX,
			NULL);
}

/**
 * bus1_message_new() - allocate a message that is not charged yet
 * @peer:	receiver
 * @shape:	what it is to consist of
 * @gfp:	how to allocate
 *
 * Return: the message or NULL.
 */
struct bus1_message *bus1_message_new(struct bus1_peer *peer,
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
	message->spare.sender = NULL;
	message->plain = n_pointers <= BUS1_INLINE_ITEMS;
	bus1_entry_init(&message->entry, BUS1_ENTRY_MESSAGE);
	message->slice.size = 0;
	message->slice.published = false;
	message->peer = peer;
	message->dest = NULL;
	message->tx_dest = NULL;
	message->committed = false;
	message->asks = NULL;
	INIT_LIST_HEAD(&message->moved);
	message->claim = NULL;
	message->charged = (struct bus1_amount){};
	message->fds_charged = false;
	message->handles = (void *)(message + 1);
	bus1_message_set_shape(message, shape);
	return message;
}

/**
 * bus1_message_free_memory() - free the memory of a message
 * @message:	message that holds nothing any more, or NULL
 */
void bus1_message_free_memory(struct bus1_message *message)
{
	if (!message)
		return;
	bus1_ident_put(message->spare.sender);
	if (message->plain)
		kmem_cache_free(message_cache, message);
	else
		kvfree(message);
}

/**
 * bus1_message_free_slice_locked() - free the slice of a message
 * @message:	message with a slice; its receiver's @data is held
 *
 * May release @data in between, and sleep then.
 */
void bus1_message_free_slice_locked(struct bus1_message *message)
{
	struct bus1_peer *peer = message->peer;

	lockdep_assert_held(&peer->data);

	if (bus1_pool_retire(&message->peer->pool, &message->slice)) {
		spin_unlock(&peer->data);
		bus1_pool_punch(&message->peer->pool, &message->slice);
		spin_lock(&peer->data);
	}
	bus1_pool_free(&message->peer->pool, &message->slice);
}

/* Gives back the slice and what is still charged, and keeps the memory or frees it. */
static void give_back(struct bus1_message *message)
{
	struct bus1_peer *peer = message->peer;
	struct file *file = NULL;

	spin_lock(&peer->data);
	if (message->slice.size)
		bus1_message_free_slice_locked(message);
	bus1_quota_uncharge(&peer->quota, message->claim, &message->charged);
	message->charged = (struct bus1_amount){};
	if (unlikely(peer->down))
		file = bus1_pool_detach(&peer->pool);
	else if (bus1_message_keep_locked(message))
		message = NULL;
	spin_unlock(&peer->data);
	bus1_pool_put_file(file);
	bus1_message_free_memory(message);
}

/**
 * bus1_message_free() - free a message and give back all it holds
 * @message:	message that is in no queue, or NULL; the caller keeps its receiver
 *
 * Sleeps, and drops the references that the message carries. So the caller may hold the
 * local lock of a peer, but no data lock.
 */
void bus1_message_free(struct bus1_message *message)
{
	if (!message)
		return;
	if (message->asks || !list_empty(&message->moved))
		bus1_message_drop_replies(message);
	if (message->n_handles)
		bus1_message_drop_handles(message);
	if (message->n_fds)
		bus1_message_drop_files(message);
	give_back(message);
}

/* Returns -ENOMEM when a spare claim is needed. */
static int charge_claim_locked(struct bus1_message *message,
			       const struct bus1_shape *shape,
			       struct ucounts *user, struct bus1_claim **spare)
{
	struct bus1_peer *peer = message->peer;
	struct bus1_claim *claim;

	/* Once a claim is linked, a charge has to settle it. */
	claim = bus1_quota_claim(&peer->quota, user, spare);
	return claim ? bus1_message_charge_locked(message, claim, shape) : -ENOMEM;
}

/**
 * bus1_message_charge() - charge a message to its receiver
 * @message:	message whose sender is set
 * @shape:	shape of the message
 * @gfp:	how to allocate a claim if the sender has none
 *
 * This also allocates the slice that a large message needs. May sleep.
 *
 * Return: 0; -EHOSTUNREACH if the receiver is down; -EDQUOT, -EXFULL or
 * -EMSGSIZE, see bus1_quota_charge(); -ENOMEM.
 */
int bus1_message_charge(struct bus1_message *message,
			const struct bus1_shape *shape, gfp_t gfp)
{
	struct bus1_peer *peer = message->peer;
	struct bus1_claim *spare = NULL;
	int err;

	for (;;) {
		struct bus1_claim *stale = NULL;
		struct ucounts *user;

		spin_lock(&peer->data);
		user = bus1_quota_claimant(&peer->quota,
					   message->spare.sender->user,
					   message->spare.sender->container);
		/* It differs from the last try if the receiver was adopted since. */
		if (spare && spare->user != user)
			swap(spare, stale);
		err = peer->down ? -EHOSTUNREACH :
				    charge_claim_locked(message, shape, user, &spare);
		spin_unlock(&peer->data);

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
 * @shape:	shape of the message
 *
 * Return: 0, -ESHUTDOWN or -ENOBUFS.
 */
int bus1_message_charge_own(struct bus1_message *message,
			    const struct bus1_shape *shape)
{
	struct bus1_peer *peer = message->peer;
	int err;

	spin_lock(&peer->data);
	err = peer->down ? -ESHUTDOWN : bus1_message_charge_locked(message, NULL, shape);
	spin_unlock(&peer->data);
	return err == -EXFULL ? -ENOBUFS : err;
}

static void trim_one(struct bus1_message *message, enum bus1_resource r, u64 need)
{
	u32 *charged = &message->charged.of[r];

	if (*charged <= need)
		return;
	bus1_quota_uncharge_one(&message->peer->quota, message->claim, r,
				*charged - need);
	*charged = need;
}

/**
 * bus1_message_trim_locked() - give back what a reply does not need
 * @message:	reply that is complete; its receiver's @data is held
 */
void bus1_message_trim_locked(struct bus1_message *message)
{
	trim_one(message, BUS1_BYTES, bus1_message_size(message));
	trim_one(message, BUS1_HANDLES, message->n_handles - message->n_moved);
	trim_one(message, BUS1_FDS, message->n_fds);
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

	lockdep_assert_held(&message->peer->data);

	bus1_quota_uncharge(&message->peer->quota, message->claim, &less);
	for (r = 0; r < BUS1_RESOURCES; r++)
		message->charged.of[r] -= less.of[r];
}

/**
 * bus1_message_copy() - copy what a message consists of
 * @to:		message of the same shape that belongs to the caller
 * @from:	message that was written, and belongs to the caller
 * @n:		how many bytes
 *
 * Return: 0, or as bus1_pool_copy().
 */
int bus1_message_copy(struct bus1_message *to, const struct bus1_message *from,
		      u64 n)
{
	if (!bus1_message_is_small(from))
		return bus1_pool_copy(&to->peer->pool, &to->slice, &from->peer->pool,
				      &from->slice, n);
	memcpy(to->data, from->data, n);
	return 0;
}

/**
 * bus1_message_fill() - write kernel memory into a message
 * @message:	message that belongs to the caller
 * @at:		where to begin, from the start of the payload
 * @data:	what to write
 * @n:		how many bytes
 *
 * Return: 0, or as bus1_pool_fill().
 */
int bus1_message_fill(struct bus1_message *message, u64 at, const void *data,
		      size_t n)
{
	if (!bus1_message_is_small(message))
		return bus1_pool_fill(&message->peer->pool, &message->slice, at, data,
				      n);
	memcpy(message->data + at, data, n);
	return 0;
}

/**
 * bus1_message_prepare_tail() - make sure that handle IDs and descriptors have pages
 * @message:	message whose payload was written
 *
 * What deliver.c writes behind the payload must not fail because a page is missing, so
 * the pages are added now. The one that the payload ends in is there already.
 *
 * Return: 0, or as bus1_pool_fill().
 */
int bus1_message_prepare_tail(struct bus1_message *message)
{
	const void *zeros = page_address(ZERO_PAGE(0));
	u64 start = message->slice.offset;
	u64 at = start + message->n_bytes;
	u64 end = start + bus1_message_size(message);
	int err = 0;

	if (message->n_bytes)
		at = round_up(at, PAGE_SIZE);
	for (; at < end && !err; at = round_down(at, PAGE_SIZE) + PAGE_SIZE)
		err = bus1_pool_fill(&message->peer->pool, &message->slice, at - start,
				     zeros, 1);
	return err;
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
	err = bus1_user_charge_fds(message->spare.sender->user, message->n_fds);
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
			bus1_message_drop_handle(message, message->handles[i]);
		message->handles[i] = NULL;
	}
	message->n_handles = 0;
	message->n_moved = 0;
}

/**
 * bus1_message_drop_reply() - drop a reply handle
 * @reply:	reply that is in no tree; may be gone afterwards
 * @holder:	peer that had it
 */
void bus1_message_drop_reply(struct bus1_reply *reply, struct bus1_peer *holder)
{
	struct bus1_peer *requester = reply->requester;
	struct bus1_message *room;

	spin_lock(&requester->data);
	room = bus1_reply_drop_locked(reply);
	if (room)
		bus1_message_uncharge_locked(room, &room->charged);
	spin_unlock(&requester->data);

	bus1_peer_wake_pollers(requester);
	bus1_reply_leave_holder(reply, holder);
	/* It carries nothing, and the reply keeps its peer. */
	bus1_message_free(room);
	bus1_reply_put(reply);
}

/**
 * bus1_message_drop_replies() - drop the reply handles that a message carries
 * @message:	message; @message->peer is the holder of these handles
 */
void bus1_message_drop_replies(struct bus1_message *message)
{
	struct bus1_reply *reply, *next;

	if (message->asks)
		bus1_message_drop_reply(message->asks, message->peer);
	message->asks = NULL;
	list_for_each_entry_safe(reply, next, &message->moved, moved) {
		list_del_init(&reply->moved);
		bus1_message_drop_reply(reply, message->peer);
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
		bus1_user_uncharge_fds(message->spare.sender->user, message->n_fds);
	message->fds_charged = false;
	message->n_fds = 0;
}
