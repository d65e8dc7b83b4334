/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1: messages
 */
#ifndef _BUS1_MESSAGE_H
#define _BUS1_MESSAGE_H

#include <linux/mm.h>

#include "object.h"
#include "reply.h"

struct bus1_tx_dest;
struct file;

/**
 * struct bus1_shape - what a message consists of
 * @n_bytes:	length of the payload
 * @n_handles:	how many handles
 * @n_moved:	how many of these are reply handles
 * @n_fds:	how many descriptors
 */
struct bus1_shape {
	u64 n_bytes;
	u32 n_handles;
	u32 n_moved;
	u32 n_fds;
};

/**
 * bus1_shape_size() - how many bytes are charged for a message of a shape
 * @shape:	shape
 *
 * Return: payload padded to 8, 8 per handle, 4 per descriptor.
 */
static inline u64 bus1_shape_size(const struct bus1_shape *shape)
{
	return ALIGN(shape->n_bytes, sizeof(u64)) +
	       shape->n_handles * sizeof(u64) + shape->n_fds * sizeof(int);
}

/**
 * struct bus1_message - a message to one node
 * @spare:	its memory while nobody uses it; and the sender, of this message or of the
 *		one that lay there before
 * @entry:	place in the receiver's queue
 * @slice:	where it lies in the receiver's pool. Of size 0 while it lies in @data, or
 *		is not written yet
 * @peer:	the receiver, which outlives the message
 * @dest:	node that it is addressed to; NULL for a seed or a reply. The sender's
 *		handle keeps the node until the message is committed, then &struct
 *		bus1_node.n_queued does
 * @tx_dest:	what its transaction knows of it, while it is staged; the receiver's @data
 * @staged:	links it into &struct bus1_node.staged of @dest while it is staged; the
 *		receiver's @data
 * @committed:	whether anybody but its sender could have used what it carries
 * @asks:	reply that it asks for, or NULL; with the reference of the holder
 * @moved:	reply handles that it moves, by &struct bus1_reply.moved, in the
 *		order of their index; each with the reference of the holder
 * @claim:	claim that it is charged under, NULL if the receiver pays itself
 * @charged:	what is charged; the receiver's @data
 * @n_bytes:	length of the payload
 * @size:	how many bytes are charged for it, see bus1_shape_size()
 * @n_handles:	number of @handles
 * @n_moved:	number of @moved; NULL in @handles stands for each
 * @n_fds:	number of @files
 * @fds_charged: whether @files count against the sender's user
 * @plain:	whether its memory comes from the cache, with room for
 *		BUS1_INLINE_ITEMS handles and files; constant
 * @handles:	carried references, NULL where the node was dead already
 * @files:	carried files, each with a reference
 * @data:	what a small message consists of, as it would lie in a slice: its
 *		payload, and room for IDs and descriptors
 *
 * Life: a message is allocated, charged and filled by its sender, to which it belongs
 * until it is committed. Then it belongs to the receiver. Once received, it is freed if
 * it went to the receiver's buffer. Otherwise it stays, without handles and files, until
 * the slice that is embedded in it is released.
 *
 * A reply is allocated and charged by its receiver, see &struct
 * bus1_reply.message, and filled by its sender.
 */
struct bus1_message {
	struct bus1_spare spare;
	struct bus1_entry entry;
	struct bus1_peer *peer;
	struct bus1_node *dest;
	struct bus1_reply *asks;
	struct bus1_claim *claim;
	struct bus1_amount charged;
	u64 n_bytes;
	u64 size;
	u32 n_handles;
	u32 n_moved;
	u32 n_fds;
	bool committed;
	bool fds_charged;
	bool plain;
	u8 data[BUS1_INLINE_MAX] __aligned(sizeof(u64));
	struct list_head moved;
	struct bus1_tx_dest *tx_dest;
	struct list_head staged;
	struct bus1_slice slice;
	struct bus1_handle **handles;
	struct file **files;
};

void bus1_message_cache_init(void);

struct bus1_message *bus1_message_new(struct bus1_peer *peer,
				      const struct bus1_shape *shape, gfp_t gfp);
void bus1_message_free(struct bus1_message *message);
void bus1_message_free_slice_locked(struct bus1_message *message);
void bus1_message_free_memory(struct bus1_message *message);

int bus1_message_charge(struct bus1_message *message,
			const struct bus1_shape *shape, gfp_t gfp);
int bus1_message_charge_own(struct bus1_message *message,
			    const struct bus1_shape *shape);
void bus1_message_trim_locked(struct bus1_message *message);
void bus1_message_uncharge_locked(struct bus1_message *message,
				  const struct bus1_amount *amount);

int bus1_message_copy(struct bus1_message *to, const struct bus1_message *from,
		      u64 n);
int bus1_message_fill(struct bus1_message *message, u64 at, const void *data,
		      size_t n);
int bus1_message_prepare_tail(struct bus1_message *message);
int bus1_message_take_files(struct bus1_message *message,
			    struct file **files);
void bus1_message_drop_handles(struct bus1_message *message);
void bus1_message_drop_reply(struct bus1_reply *reply, struct bus1_peer *holder);
void bus1_message_drop_replies(struct bus1_message *message);
void bus1_message_drop_files(struct bus1_message *message);

/**
 * bus1_message_set_sender() - set the sender of a message
 * @message:	message that belongs to the caller
 * @sender:	its sender
 *
 * It is usually the sender that used the same memory last, and is noted there already.
 */
static inline void bus1_message_set_sender(struct bus1_message *message,
					   struct bus1_ident *sender)
{
	if (likely(message->spare.sender == sender))
		return;
	bus1_ident_put(message->spare.sender);
	message->spare.sender = bus1_ident_get(sender);
}

/**
 * bus1_message_of() - the message that a slice is embedded in
 * @slice:	slice
 *
 * Return: the message.
 */
static inline struct bus1_message *bus1_message_of(struct bus1_slice *slice)
{
	return container_of(slice, struct bus1_message, slice);
}

/**
 * bus1_message_key() - the key of a message to one destination
 * @entry:	entry of the message
 *
 * Return: the key.
 */
static inline unsigned long bus1_message_key(const struct bus1_entry *entry)
{
	return (unsigned long)container_of(entry, struct bus1_message, entry);
}

/**
 * bus1_message_handles_at() - where the handle IDs lie
 * @message:	message
 *
 * Return: offset from the start of the payload.
 */
static inline u64 bus1_message_handles_at(const struct bus1_message *message)
{
	return ALIGN(message->n_bytes, sizeof(u64));
}

/**
 * bus1_message_fds_at() - where the descriptors lie
 * @message:	message
 *
 * Return: offset from the start of the payload.
 */
static inline u64 bus1_message_fds_at(const struct bus1_message *message)
{
	return bus1_message_handles_at(message) +
	       message->n_handles * sizeof(u64);
}

/**
 * bus1_message_size() - how many bytes are charged for a message
 * @message:	message
 *
 * Return: payload padded to 8, 8 per handle, 4 per descriptor.
 */
static inline u64 bus1_message_size(const struct bus1_message *message)
{
	return message->size;
}

/**
 * bus1_message_is_small() - whether a message carries its payload
 * @message:	message that has not been received yet
 *
 * Return: true if it lies in &struct bus1_message.data, false if in a slice.
 */
static inline bool bus1_message_is_small(const struct bus1_message *message)
{
	return bus1_message_size(message) <= BUS1_INLINE_MAX;
}

/**
 * bus1_shape_amount() - what a message of a shape consumes
 * @shape:	shape
 *
 * Return: the amount; bytes are saturated at more than any limit.
 */
static __always_inline struct bus1_amount
bus1_shape_amount(const struct bus1_shape *shape)
{
	return (struct bus1_amount){
		.of[BUS1_SLICES] = 1,
		.of[BUS1_BYTES] = min_t(u64, bus1_shape_size(shape), U32_MAX),
		/* Moving a reply handle charges nobody. */
		.of[BUS1_HANDLES] = shape->n_handles - shape->n_moved,
		.of[BUS1_FDS] = shape->n_fds,
	};
}

/**
 * bus1_message_set_shape() - set what a message consists of
 * @message:	message that carries nothing
 * @shape:	what it is to consist of; there is room for it
 */
static __always_inline void
bus1_message_set_shape(struct bus1_message *message,
		       const struct bus1_shape *shape)
{
	u32 i;

	message->n_bytes = shape->n_bytes;
	message->size = bus1_shape_size(shape);
	message->n_handles = shape->n_handles;
	message->n_moved = shape->n_moved;
	message->n_fds = shape->n_fds;
	/* The receiver sees the padding, too. */
	if (shape->n_bytes < BUS1_INLINE_MAX)
		*(u64 *)&message->data[round_down(shape->n_bytes, sizeof(u64))] = 0;
	if (!(shape->n_handles | shape->n_fds))
		return;
	message->files = (void *)(message->handles + shape->n_handles);
	for (i = 0; i < shape->n_handles + shape->n_fds; i++)
		message->handles[i] = NULL;
}

/**
 * bus1_message_keep_locked() - keep the memory of a message for the next
 * @message:	message that holds nothing any more, so that all but its sender, its
 *		shape, @dest, @committed and its charge is as in a new one; its
 *		receiver's @data is held
 *
 * A receiver, whose cgroup pays for it, keeps the memory of up to BUS1_SPARES messages
 * for the next senders.
 *
 * Return: false if it was not kept, and the caller is to free it.
 */
static inline bool bus1_message_keep_locked(struct bus1_message *message)
{
	struct bus1_peer *peer = message->peer;

	lockdep_assert_held(&peer->data);

	if (peer->n_spares >= BUS1_SPARES || peer->down || !message->plain)
		return false;
	message->spare.next = peer->spares;
	peer->spares = &message->spare;
	peer->n_spares++;
	return true;
}

/**
 * bus1_message_charge_locked() - charge a message to its receiver
 * @message:	message; the receiver's @data is held
 * @claim:	the sender's claim there, or NULL if the receiver pays
 * @shape:	shape of the message
 *
 * This also allocates the slice that a large message needs.
 *
 * Return: 0, or as bus1_quota_charge() or bus1_quota_charge_own(); -EXFULL.
 */
static __always_inline int
bus1_message_charge_locked(struct bus1_message *message, struct bus1_claim *claim,
			   const struct bus1_shape *shape)
{
	const struct bus1_amount amount = bus1_shape_amount(shape);
	struct bus1_peer *peer = message->peer;
	int err;

	lockdep_assert_held(&peer->data);

	if (claim)
		err = bus1_quota_charge(&peer->quota, claim, &amount);
	else
		err = bus1_quota_charge_own(&peer->quota, &amount);
	if (unlikely(err))
		return err;

	if (bus1_shape_size(shape) > BUS1_INLINE_MAX)
		err = bus1_pool_alloc(&peer->pool, &message->slice,
				      bus1_shape_size(shape));
	if (unlikely(err)) {
		bus1_quota_uncharge(&peer->quota, claim, &amount);
		return err;
	}
	message->claim = claim;
	message->charged = amount;
	return 0;
}

/**
 * bus1_message_reuse_locked() - make a message of memory that was kept
 * @peer:	receiver, whose @data is held
 * @shape:	what it is to consist of
 *
 * Return: the message, or NULL if there is no memory that @shape fits into.
 */
static __always_inline struct bus1_message *
bus1_message_reuse_locked(struct bus1_peer *peer, const struct bus1_shape *shape)
{
	struct bus1_message *message;

	if (!peer->spares || shape->n_handles + shape->n_fds > BUS1_INLINE_ITEMS)
		return NULL;
	message = container_of(peer->spares, struct bus1_message, spare);
	peer->spares = message->spare.next;
	peer->n_spares--;
	message->dest = NULL;
	message->committed = false;
	bus1_message_set_shape(message, shape);
	return message;
}

/**
 * bus1_message_take() - get a message and charge it, if nothing is to be allocated
 * @peer:	receiver
 * @shape:	what it is to consist of
 * @sender:	its sender; bus1_message_set_sender() is to follow
 * @message:	set to the message
 *
 * Return: 0; -EHOSTUNREACH if the receiver is down; -ENOMEM if a message or a claim
 * has to be allocated, with bus1_message_new() and bus1_message_charge(); or as the
 * latter.
 */
static __always_inline int
bus1_message_take(struct bus1_peer *peer, const struct bus1_shape *shape,
		  const struct bus1_ident *sender, struct bus1_message **message)
{
	struct bus1_claim *claim = NULL, *none = NULL;
	struct bus1_message *spare = NULL;
	int err = -ENOMEM;

	spin_lock(&peer->data);
	if (unlikely(peer->down))
		err = -EHOSTUNREACH;
	else
		claim = bus1_quota_claim(&peer->quota,
					 bus1_quota_claimant(&peer->quota,
							     sender->user,
							     sender->container),
					 &none);
	if (claim)
		spare = bus1_message_reuse_locked(peer, shape);
	if (spare) {
		err = bus1_message_charge_locked(spare, claim, shape);
		if (unlikely(err))
			bus1_message_keep_locked(spare);
		else
			*message = spare;
	}
	spin_unlock(&peer->data);
	return err;
}

/**
 * bus1_message_charge_budget_locked() - charge room for a reply to its receiver
 * @message:	message that carries nothing; its receiver's @data is held
 * @shape:	as many bytes, handles and files as may come
 *
 * The request's one handle is charged as well, and left to the reply to give back. The
 * slice of a large reply is allocated when it is written.
 *
 * Return: 0; -ESHUTDOWN; -ENOBUFS.
 */
static __always_inline int
bus1_message_charge_budget_locked(struct bus1_message *message,
				  const struct bus1_shape *shape)
{
	struct bus1_amount amount = bus1_shape_amount(shape);
	struct bus1_peer *peer = message->peer;
	int err;

	lockdep_assert_held(&peer->data);

	if (unlikely(peer->down))
		return -ESHUTDOWN;
	message->charged = amount;
	amount.of[BUS1_HANDLES]++;
	err = bus1_quota_charge_own(&peer->quota, &amount);
	message->claim = NULL;
	if (unlikely(err))
		message->charged = (struct bus1_amount){};
	return err;
}

/**
 * bus1_message_enqueued_locked() - count a message that was committed
 * @message:	message whose receiver's @data is held
 */
static inline void bus1_message_enqueued_locked(struct bus1_message *message)
{
	lockdep_assert_held(&message->peer->data);

	message->dest->n_queued++;
	message->peer->queued_bytes += bus1_message_size(message);
}

/**
 * bus1_message_dequeued_locked() - remove a committed message from its queue
 * @message:	message whose receiver's @data is held
 */
static inline void bus1_message_dequeued_locked(struct bus1_message *message)
{
	lockdep_assert_held(&message->peer->data);

	bus1_queue_remove(&message->peer->queue, &message->entry);
	if (message->entry.tx)
		bus1_tx_put(message->entry.tx);
	message->entry.tx = NULL;
	message->dest->n_queued--;
	message->peer->queued_bytes -= bus1_message_size(message);
}

/**
 * bus1_message_drop_handle() - drop a reference that a message carries
 * @message:	message
 * @handle:	handle, may be gone afterwards
 *
 * If the message was committed, this is as if it had been received before.
 */
static inline void bus1_message_drop_handle(const struct bus1_message *message,
					    struct bus1_handle *handle)
{
	if (message->committed)
		bus1_node_share(handle->node);
	bus1_handle_drop(handle, 1);
}

/**
 * bus1_message_attach() - let a message carry a reference
 * @message:	message
 * @i:		which of its handles
 * @node:	node to refer to
 * @gfp:	how to allocate what is new to the receiver, in whose cgroup the
 *		caller is then; 0 for not at all
 *
 * A dead node leaves the handle NULL. A destruction that is under way is carried out.
 *
 * Return: 0, or as bus1_handle_attach().
 */
static inline int bus1_message_attach(struct bus1_message *message, u32 i,
				      struct bus1_node *node, gfp_t gfp)
{
	return bus1_handle_attach(node, message->peer, gfp, true,
				  &message->handles[i]);
}

#endif /* _BUS1_MESSAGE_H */
