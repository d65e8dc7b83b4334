/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1: messages
 */
#ifndef _BUS1_MESSAGE_H
#define _BUS1_MESSAGE_H

#include <linux/mm.h>

#include "ident.h"
#include "object.h"
#include "pool.h"
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
 * bus1_shape_size() - how many bytes a message of a shape is charged
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
 * @entry:	place in the receiver's queue
 * @slice:	where it lies in the receiver's pool. Of size 0 while it lies in @data, or
 *		is not written yet
 * @space:	the receiver, who outlives the message
 * @pool:	the receiver's pool
 * @dest:	node it is addressed to, referenced; NULL for a seed or a reply
 * @tx_dest:	what its transaction knows of it, while it is staged; the receiver's @data
 * @staged:	links it into &struct bus1_node.staged of @dest while it is staged; the
 *		receiver's @data
 * @committed:	whether anybody but its sender could have used what it carries
 * @asks:	reply that it asks for, or NULL; holds the holder's reference
 * @moved:	reply handles that it moves, by &struct bus1_reply.moved, in the
 *		order of their index; each holds the holder's reference
 * @sender:	who sent it, referenced; NULL once it is received
 * @claim:	claim it is charged under, NULL for the receiver's own
 * @charged:	what is charged; the receiver's @data
 * @n_bytes:	length of the payload
 * @n_handles:	number of @handles
 * @n_moved:	number of @moved; NULL in @handles stands for each
 * @n_fds:	number of @files
 * @fds_charged: whether @files count against the sender's user
 * @plain:	whether it has room for BUS1_INLINE_ITEMS handles and files, and no
 *		more; constant
 * @handles:	carried references, NULL where the node was dead already
 * @files:	carried files, each with a reference
 * @data:	what a small message consists of, as it would lie in a slice: its
 *		payload, and room for IDs and descriptors
 *
 * Life: allocated, charged and filled by its sender, who owns it until it is
 * committed. Queued, it belongs to the receiver. Received, it is freed if it went
 * to the receiver's buffer; else it is what the slice is embedded in, without
 * handles and files, until that is released.
 *
 * A reply is allocated and charged by its receiver, see &struct
 * bus1_reply.message, and filled by its sender.
 */
struct bus1_message {
	struct bus1_entry entry;
	struct bus1_slice slice;
	struct bus1_space *space;
	struct bus1_pool *pool;
	struct bus1_node *dest;
	struct bus1_tx_dest *tx_dest;
	struct list_head staged;
	bool committed;
	struct bus1_reply *asks;
	struct list_head moved;
	struct bus1_ident *sender;
	struct bus1_claim *claim;
	struct bus1_amount charged;
	u64 n_bytes;
	u32 n_handles;
	u32 n_moved;
	u32 n_fds;
	bool fds_charged;
	bool plain;
	struct bus1_handle **handles;
	struct file **files;
	u8 data[BUS1_INLINE_MAX] __aligned(sizeof(u64));
};

int bus1_message_init(void);

struct bus1_message *bus1_message_new(struct bus1_space *space,
				      struct bus1_pool *pool,
				      const struct bus1_shape *shape, gfp_t gfp);
int bus1_message_take(struct bus1_space *space, struct bus1_pool *pool,
		      const struct bus1_shape *shape,
		      const struct bus1_ident *sender,
		      struct bus1_message **message);
int bus1_message_take_budget(struct bus1_space *space, struct bus1_pool *pool,
			     const struct bus1_shape *shape,
			     struct bus1_message **message);
void bus1_message_free(struct bus1_message *message);
void bus1_message_free_slice_locked(struct bus1_message *message);
void bus1_message_drop_spares(struct bus1_space *space);

int bus1_message_charge(struct bus1_message *message, gfp_t gfp);
int bus1_message_charge_own(struct bus1_message *message);
int bus1_message_charge_budget(struct bus1_message *message);
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
void bus1_message_drop_reply(struct bus1_reply *reply, struct bus1_space *holder);
void bus1_message_drop_replies(struct bus1_message *message);
void bus1_message_drop_files(struct bus1_message *message);

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
 * bus1_message_key() - what a message to one destination has as its key
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
 * bus1_message_size() - how many bytes a message is charged
 * @message:	message
 *
 * Return: payload padded to 8, 8 per handle, 4 per descriptor.
 */
static inline u64 bus1_message_size(const struct bus1_message *message)
{
	return bus1_message_fds_at(message) + message->n_fds * sizeof(int);
}

/**
 * bus1_message_is_small() - whether a message carries its payload
 * @message:	message that was not received yet
 *
 * Return: true if it lies in &struct bus1_message.data, false if in a slice.
 */
static inline bool bus1_message_is_small(const struct bus1_message *message)
{
	return bus1_message_size(message) <= BUS1_INLINE_MAX;
}

/**
 * bus1_message_get_amount() - what a message consumes
 * @message:	message
 * @amount:	set to that
 *
 * Return: the size of its slice.
 */
static inline u64 bus1_message_get_amount(const struct bus1_message *message,
			    struct bus1_amount *amount)
{
	u64 size = bus1_message_size(message);

	amount->of[BUS1_SLICES] = 1;
	/* Moving a reply handle charges nobody. */
	amount->of[BUS1_HANDLES] = message->n_handles - message->n_moved;
	/* Saturated: more than any limit. */
	amount->of[BUS1_BYTES] = min_t(u64, size, U32_MAX);
	amount->of[BUS1_FDS] = message->n_fds;
	return size;
}

/**
 * bus1_message_set_shape() - say what a message consists of
 * @message:	message that carries nothing
 * @shape:	what it is to consist of; there is room for it
 */
static inline void bus1_message_set_shape(struct bus1_message *message,
			    const struct bus1_shape *shape)
{
	u32 i;

	message->n_bytes = shape->n_bytes;
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
 * bus1_message_enqueued_locked() - count a message that was committed
 * @message:	message whose receiver's @data is held
 */
static inline void bus1_message_enqueued_locked(struct bus1_message *message)
{
	lockdep_assert_held(&message->space->data);

	message->dest->n_queued++;
	message->space->queued_bytes += bus1_message_size(message);
}

/**
 * bus1_message_dequeued_locked() - remove a committed message from its queue
 * @message:	message whose receiver's @data is held
 */
static inline void bus1_message_dequeued_locked(struct bus1_message *message)
{
	lockdep_assert_held(&message->space->data);

	bus1_queue_remove(&message->space->queue, &message->entry);
	if (message->entry.tx)
		bus1_tx_put(message->entry.tx);
	message->entry.tx = NULL;
	message->dest->n_queued--;
	message->space->queued_bytes -= bus1_message_size(message);
}

/**
 * bus1_message_drop_handle() - drop a reference that a message carries
 * @message:	message
 * @handle:	handle, may be gone afterwards
 *
 * If the message was committed, this is as if it had been received first.
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
 * @from:	who gives it
 * @gfp:	how to allocate what is new to the receiver, in whose cgroup the
 *		caller is then; 0: not at all
 *
 * A dead node leaves the handle NULL. Carries out destructions under way.
 *
 * Return: 0, or as bus1_handle_attach().
 */
static inline int bus1_message_attach(struct bus1_message *message, u32 i,
				      struct bus1_node *node,
				      struct bus1_space *from, gfp_t gfp)
{
	return bus1_handle_attach(node, from, message->space, gfp, true,
				  &message->handles[i]);
}

#endif /* _BUS1_MESSAGE_H */
