/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1: messages
 */
#ifndef _BUS1_MESSAGE_H
#define _BUS1_MESSAGE_H

#include "ident.h"
#include "object.h"
#include "pool.h"
#include "reply.h"

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
 * struct bus1_message - a message to one node
 * @entry:	place in the receiver's queue
 * @slice:	where the payload lies in the receiver's pool
 * @space:	the receiver, who outlives the message
 * @pool:	the receiver's pool
 * @dest:	node it is addressed to, referenced; NULL for a seed or a reply
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
 * @written:	up to where attempts to fill it that failed may have written pages; a
 *		reply's holder's
 * @handles:	carried references, NULL where the node was dead already
 * @files:	carried files, each with a reference
 *
 * Life: allocated, charged and filled by its sender, who owns it until it is
 * committed. Queued, it belongs to the receiver. Received, it is what the
 * slice is embedded in, without handles and files, until that is released.
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
	u64 written;
	struct bus1_handle **handles;
	struct file **files;
};

int bus1_message_init(void);

struct bus1_message *bus1_message_new(struct bus1_space *space,
				      struct bus1_pool *pool,
				      const struct bus1_shape *shape, gfp_t gfp);
int bus1_message_take(struct bus1_space *space, struct bus1_pool *pool,
		      const struct bus1_shape *shape, struct bus1_ident *sender,
		      struct bus1_message **message);
void bus1_message_drop_spare(struct bus1_space *space);
void bus1_message_free(struct bus1_message *message);

int bus1_message_charge(struct bus1_message *message, gfp_t gfp);
int bus1_message_charge_own(struct bus1_message *message);
int bus1_message_budget(struct bus1_space *space, struct bus1_pool *pool,
			const struct bus1_shape *shape, gfp_t gfp,
			struct bus1_message **message);
void bus1_message_trim_locked(struct bus1_message *message);
void bus1_message_uncharge_locked(struct bus1_message *message,
				  const struct bus1_amount *amount);

int bus1_message_prepare_tail(struct bus1_message *message, bool add);
int bus1_message_attach(struct bus1_message *message, u32 i,
			struct bus1_node *node, struct bus1_space *from,
			gfp_t gfp);
void bus1_message_enqueued_locked(struct bus1_message *message);
void bus1_message_dequeued_locked(struct bus1_message *message);
void bus1_message_share(struct bus1_message *message);
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
 * bus1_message_handles_at() - where the handle IDs lie in the slice
 * @message:	message
 *
 * Return: offset from the start of the slice.
 */
static inline u64 bus1_message_handles_at(const struct bus1_message *message)
{
	return ALIGN(message->n_bytes, sizeof(u64));
}

/**
 * bus1_message_fds_at() - where the descriptors lie in the slice
 * @message:	message
 *
 * Return: offset from the start of the slice.
 */
static inline u64 bus1_message_fds_at(const struct bus1_message *message)
{
	return bus1_message_handles_at(message) +
	       message->n_handles * sizeof(u64);
}

/**
 * bus1_message_size() - how many bytes of the pool a message is charged
 * @message:	message
 *
 * Return: payload padded to 8, 8 per handle, 4 per descriptor.
 */
static inline u64 bus1_message_size(const struct bus1_message *message)
{
	return bus1_message_fds_at(message) + message->n_fds * sizeof(int);
}

#endif /* _BUS1_MESSAGE_H */
