/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1: the commit of a message to its destinations
 */
#ifndef _BUS1_COMMIT_H
#define _BUS1_COMMIT_H

#include "lookup.h"
#include "message.h"

/**
 * struct bus1_dest - one destination of a send
 * @name:	what was named; nothing for a seed
 * @to:		the receiver, which lives as long as what was named
 * @message:	message that is on the way to it; NULL when refused or delivered
 * @n_attached:	how many handles were attached, or dead, before memory ran out
 * @lost:	whether there is no memory for this reply, so that it is dropped
 * @error:	why it was refused, or 0
 */
struct bus1_dest {
	struct bus1_name name;
	struct bus1_peer *to;
	struct bus1_message *message;
	u32 n_attached;
	bool lost;
	int error;
};

/**
 * struct bus1_tx_dest - one destination of a transaction that sends
 * @node:	node that it sends to, referenced
 * @message:	the message: it belongs to the sender while NEW or REFUSED, is in the
 *		receiver's queue while STAGED, and then belongs to the receiver
 * @step:	how far it is, see &enum bus1_step; the receiver's @data
 * @error:	why it was refused; written before REFUSED can be seen
 */
struct bus1_tx_dest {
	struct bus1_node *node;
	struct bus1_message *message;
	u8 step;
	int error;
};

/**
 * struct bus1_multicast - a transaction that sends
 * @tx:		the transaction. Unread messages keep it in memory, so it is small
 * @n:		how many destinations
 * @dests:	the destinations; there as long as somebody walks
 */
struct bus1_multicast {
	struct bus1_tx tx;
	size_t n;
	struct bus1_tx_dest *dests;
};

bool bus1_commit_may_skip(u32 flags, int err);
struct bus1_multicast *bus1_multicast_new(struct bus1_dest *dests, size_t n);
int bus1_multicast_commit(struct bus1_multicast *multicast,
			  struct bus1_dest *dests, size_t n, u32 flags,
			  size_t *n_sent);
bool bus1_commit_kick_locked(struct bus1_message *message, int err);

int bus1_answer_begin(struct bus1_reply *reply, const struct bus1_shape *shape,
		      struct bus1_message **message);
void bus1_answer_abort(struct bus1_reply *reply, struct bus1_message *message);
int bus1_answer_commit(struct bus1_reply *reply, struct bus1_message *message,
		       bool lost, struct bus1_peer *holder);

/**
 * bus1_commit_one() - commit a message to its one destination
 * @message:	complete message to a node; on success it is the receiver's
 *
 * Return: 0 or -EHOSTUNREACH.
 */
static inline int bus1_commit_one(struct bus1_message *message)
{
	struct bus1_peer *to = message->peer;
	int err;

	spin_lock(&to->data);
	err = bus1_node_is_unreachable(message->dest) ? -EHOSTUNREACH : 0;
	if (likely(!err)) {
		message->committed = true;
		bus1_message_enqueued_locked(message);
		bus1_queue_add(&to->queue, &message->entry,
			       bus1_message_key(&message->entry));
		bus1_peer_wake_locked(to);
	}
	spin_unlock(&to->data);
	if (likely(!err))
		bus1_peer_wake_pollers(to);
	return err;
}

#endif /* _BUS1_COMMIT_H */
