/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1: handing one message to its receiver, the part that every message takes
 */
#ifndef _BUS1_DELIVER_H
#define _BUS1_DELIVER_H

#include <linux/cred.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/uidgid.h>
#include <linux/user_namespace.h>

#include "recv.h"

int bus1_deliver_prepared_locked(struct bus1_peer *peer, struct bus1_recv *recv,
				 struct bus1_message *message,
				 const struct bus1_place *place,
				 struct bus1_reply *reply);

static __always_inline void bus1_deliver_fill_sender(struct bus1_recv_args *out,
			const struct bus1_ident *sender)
{
	struct user_namespace *ns = current_user_ns();

	/* The number of a process that is gone may have been given to another. */
	if (unlikely(!pid_has_task(sender->pid, PIDTYPE_TGID)))
		out->sender_pid = 0;
	else if (ns_of_pid(task_pid(current)) == &init_pid_ns)
		out->sender_pid = pid_nr(sender->pid);
	else
		out->sender_pid = pid_vnr(sender->pid);
	if (ns == &init_user_ns) {
		/* This namespace maps every ID to itself. */
		out->sender_uid = __kuid_val(sender->uid);
		out->sender_gid = __kgid_val(sender->gid);
		return;
	}
	out->sender_uid = from_kuid_munged(ns, sender->uid);
	out->sender_gid = from_kgid_munged(ns, sender->gid);
}

/*
 * Gives back what is not needed any more of a message's charge: all that handles and a
 * slice do not keep.
 */
static __always_inline void bus1_deliver_settle_locked(struct bus1_message *message,
						 u32 kept, bool slice)
{
	struct bus1_quota *quota = &message->peer->quota;
	struct bus1_amount *charged = &message->charged, left = {};

	charged->of[BUS1_HANDLES] -= kept;
	if (slice) {
		left.of[BUS1_SLICES] = charged->of[BUS1_SLICES];
		left.of[BUS1_BYTES] = charged->of[BUS1_BYTES];
		charged->of[BUS1_SLICES] = 0;
		charged->of[BUS1_BYTES] = 0;
	}
	bus1_quota_uncharge(quota, message->claim, charged);
	*charged = left;
}

/*
 * The second part. It fails only if the store does, and then nothing has changed. @done
 * is what is to be passed to bus1_reply_free().
 */
static __always_inline int
bus1_deliver_take_locked(struct bus1_peer *peer, struct bus1_recv *recv,
	    struct bus1_message *message, struct bus1_reply *reply, u32 kept,
	    bool slice, struct bus1_reply **done)
{
	struct bus1_recv_args *out = recv->out;
	int err;

	out->type = BUS1_MSG_DATA;
	out->n_bytes = message->n_bytes;
	if (reply)
		out->destination = reply->id;
	else if (message->dest)
		out->destination = message->dest->own.id;
	bus1_deliver_fill_sender(out, message->spare.sender);
	err = recv->store(recv);
	if (unlikely(err))
		return err;
	if (reply)
		*done = bus1_reply_received_locked(reply, BUS1_REPLY_RECEIVED);
	else if (message->dest)
		bus1_message_dequeued_locked(message);
	peer->n_received += reply || message->dest;
	bus1_deliver_settle_locked(message, kept, slice);
	if (slice)
		bus1_pool_publish(&peer->pool, &message->slice);
	bus1_peer_wake_locked(peer);
	return 0;
}

static inline bool bus1_deliver_fits_buffer(const struct bus1_recv *recv,
			const struct bus1_message *message)
{
	return recv->has_buffer && bus1_message_is_small(message) &&
	       bus1_message_size(message) <= recv->buffer_size;
}

static inline void bus1_deliver_use_buffer(struct bus1_recv *recv, const struct bus1_message *message)
{
	recv->out->flags |= BUS1_MSG_FLAG_INLINE;
	recv->data = message->data;
	recv->n_data = bus1_message_size(message);
}

/* For most messages, which need no first part. Releases the data lock. */
static __always_inline int bus1_deliver_plain_locked(struct bus1_peer *peer, struct bus1_recv *recv,
				struct bus1_message *message,
				struct bus1_reply *reply)
{
	struct bus1_node *dest = message->dest;
	struct bus1_reply *asks = message->asks, *done = NULL;
	bool keep = false;
	int err;

	bus1_deliver_use_buffer(recv, message);
	if (asks) {
		bus1_reply_show(asks, peer);
		recv->out->reply = asks->handle;
	}
	err = bus1_deliver_take_locked(peer, recv, message, reply, 0, false, &done);
	if (likely(!err)) {
		/* The receiver has all of it now. What is left is the memory. */
		message->asks = NULL;
		keep = bus1_message_keep_locked(message);
	}
	spin_unlock(&peer->data);

	if (unlikely(err)) {
		if (asks)
			bus1_reply_unlink(asks, peer);
		recv->out->reply = BUS1_HANDLE_INVALID;
		return err;
	}
	if (unlikely(!keep))
		bus1_message_free(message);
	if (dest && unlikely(!bus1_node_is_live(dest)))
		bus1_node_forget(dest);
	if (unlikely(done))
		bus1_reply_free(done);
	return 0;
}

/**
 * bus1_deliver_locked() - hand a message to its receiver
 * @peer:	receiver, whose @local and @data are held; @data is released
 * @recv:	how; @recv->out is cleared, but for the flags
 * @message:	a seed's copy, or a message, or a reply, that waits to be received
 * @place:	its place, or NULL for a seed
 * @reply:	the reply that @message is, or NULL; may be gone afterwards
 *
 * Return: 0; -ERANGE, -EMFILE or -ENFILE, with what the message needs in
 * @recv->out; -EFAULT if the store failed; -ENOMEM. On failure nothing was
 * received.
 */
static __always_inline int bus1_deliver_locked(struct bus1_peer *peer, struct bus1_recv *recv,
				      struct bus1_message *message,
				      const struct bus1_place *place,
				      struct bus1_reply *reply)
	__releases(&peer->data)
{
	lockdep_assert_held(&peer->local);
	lockdep_assert_held(&peer->data);

	if (likely(!(message->n_handles | message->n_fds) &&
		   bus1_deliver_fits_buffer(recv, message)))
		return bus1_deliver_plain_locked(peer, recv, message, reply);
	return bus1_deliver_prepared_locked(peer, recv, message, place, reply);
}

#endif /* _BUS1_DELIVER_H */
