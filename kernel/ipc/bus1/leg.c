// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: the way of a message to each of its destinations
 */

/**
 * DOC: commit
 *
 * Here messages are complete: what is left is to give all of them their place.
 * With one receiver that is one step, with several a transaction, see queue.c,
 * "order". A node that is not live refuses; from then on that cannot change.
 */

#include <linux/wait_bit.h>

#include "leg.h"
#include "tx.h"

/**
 * bus1_leg_may_skip() - whether a send goes on without a destination
 * @flags:	BUS1_SEND_*
 * @err:	why the destination was refused
 *
 * Return: true if it does.
 */
bool bus1_leg_may_skip(u32 flags, int err)
{
	return (flags & BUS1_SEND_CONTINUE) &&
	       (err == -EHOSTUNREACH || err == -EDQUOT || err == -EXFULL);
}

static int check_dest_locked(struct bus1_peer *from,
			     const struct bus1_node *dest)
{
	if (bus1_node_is_unreachable(dest))
		return -EHOSTUNREACH;
	return bus1_node_was_released(dest, &from->space) ? -ENXIO : 0;
}

/**
 * bus1_leg_commit_one() - commit a message to its one destination
 * @from:	who sends
 * @message:	complete message to a node; on success it is the receiver's
 * @sync:	whether the caller is about to wait for the reply
 *
 * Return: 0; -EHOSTUNREACH; -ENXIO if the sender released its handle meanwhile.
 */
int bus1_leg_commit_one(struct bus1_peer *from, struct bus1_message *message,
			bool sync)
{
	struct bus1_space *to = message->space;
	struct task_struct *wake;
	int err;

	spin_lock(&to->data);
	err = check_dest_locked(from, message->dest);
	if (err) {
		spin_unlock(&to->data);
		return err;
	}
	bus1_message_share(message);
	bus1_message_enqueued_locked(message);
	bus1_queue_add(&to->queue, &message->entry,
		       bus1_message_key(&message->entry));
	wake = bus1_space_pick_locked(to);
	spin_unlock(&to->data);
	bus1_space_wake_picked(to, wake, sync);
	return 0;
}

static int stage_leg(struct bus1_tx *tx, struct bus1_peer *from,
		     struct bus1_leg *leg)
{
	struct bus1_message *message = leg->message;
	struct bus1_space *to = message->space;
	int err;

	spin_lock(&to->data);
	err = check_dest_locked(from, message->dest);
	if (!err) {
		/* A reference, so that no notice of the last gets in front. */
		message->dest->n_refs += message->dest->owner != &from->space;
		message->dest->n_staged++;
		to->n_staged++;
		bus1_tx_stage_locked(tx, to, &message->entry);
	}
	spin_unlock(&to->data);
	bus1_tx_step(tx);
	return err;
}

/* Pairs with destroy.c, settle_nodes(), and teardown.c, settle_peer(). */
static void unstage_dest_locked(struct bus1_message *message,
				struct bus1_peer *from)
{
	struct bus1_space *to = message->space;
	struct bus1_node *dest = message->dest;

	if (to != &from->space)
		bus1_node_unref_locked(dest, 1);

	smp_store_release(&dest->n_staged, dest->n_staged - 1);
	smp_store_release(&to->n_staged, to->n_staged - 1);
	if (likely(dest->state == BUS1_NODE_LIVE && !to->down))
		return;
	/* Orders the counts before the look for waiters. */
	smp_mb();
	wake_up_var(&dest->n_staged);
	wake_up_var(&to->n_staged);
}

static void commit_leg(struct bus1_tx *tx, struct bus1_peer *from,
		       struct bus1_leg *leg)
{
	struct bus1_message *message = leg->message;
	struct bus1_space *to = message->space;
	bool wake;

	leg->message = NULL;
	spin_lock(&to->data);
	bus1_message_enqueued_locked(message);
	wake = bus1_tx_commit_locked(tx, to, &message->entry);
	unstage_dest_locked(message, from);
	spin_unlock(&to->data);
	if (wake)
		bus1_space_wake(to);
	bus1_tx_step(tx);
}

static void unstage_leg(struct bus1_tx *tx, struct bus1_peer *from,
			struct bus1_leg *leg)
{
	struct bus1_message *message = leg->message;
	struct bus1_space *to = message->space;
	bool wake;

	spin_lock(&to->data);
	bus1_queue_remove(&to->queue, &message->entry);
	unstage_dest_locked(message, from);
	wake = bus1_queue_peek(&to->queue);
	spin_unlock(&to->data);
	/* What was behind it may be in front now. */
	if (wake)
		bus1_space_wake(to);
	bus1_tx_step(tx);
}

static int stage_legs(struct bus1_tx *tx, struct bus1_peer *from,
		      struct bus1_leg *legs, size_t n, u32 flags)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (!legs[i].message)
			continue;
		legs[i].error = stage_leg(tx, from, &legs[i]);
		if (legs[i].error && !bus1_leg_may_skip(flags, legs[i].error))
			return legs[i].error;
	}
	return 0;
}

#define for_each_staged(leg, legs, n)					\
	for (leg = legs; leg < legs + n; leg++)				\
		if (!leg->message || !bus1_entry_queued(&leg->message->entry)) \
			continue;					\
		else

static int commit_many(struct bus1_peer *from, struct bus1_leg *legs, size_t n,
		       u32 flags, size_t *n_sent)
{
	struct bus1_leg *leg;
	struct bus1_tx tx;
	int err;

	bus1_tx_begin(&tx);
	err = stage_legs(&tx, from, legs, n, flags);
	if (err) {
		for_each_staged(leg, legs, n)
			unstage_leg(&tx, from, leg);
		bus1_tx_end(&tx);
		return err;
	}

	bus1_tx_fix(&tx, &from->space);
	for_each_staged(leg, legs, n) {
		bus1_message_share(leg->message);
		bus1_tx_sync(&tx, leg->message->space);
		bus1_tx_step(&tx);
	}
	for_each_staged(leg, legs, n) {
		commit_leg(&tx, from, leg);
		++*n_sent;
	}
	bus1_tx_end(&tx);
	return 0;
}

/**
 * bus1_legs_commit() - commit a message to all its destinations
 * @from:	who sends
 * @legs:	destinations; those without a message are passed over. What is
 *		delivered belongs to its receiver then; what is not stays here
 * @n:		how many
 * @flags:	BUS1_SEND_*
 * @n_sent:	set to the number of deliveries
 *
 * Return: 0, or the error of the leg that was refused: -EHOSTUNREACH, or -ENXIO
 * if the sender released its handle meanwhile.
 */
int bus1_legs_commit(struct bus1_peer *from, struct bus1_leg *legs, size_t n,
		     u32 flags, size_t *n_sent)
{
	struct bus1_leg *leg, *only = NULL;
	size_t n_messages = 0;

	*n_sent = 0;
	for (leg = legs; leg < legs + n; leg++) {
		if (!leg->message)
			continue;
		only = leg;
		n_messages++;
	}

	if (!n_messages)
		return 0;
	if (n_messages > 1)
		return commit_many(from, legs, n, flags, n_sent);
	only->error = bus1_leg_commit_one(from, only->message, false);
	if (only->error)
		return bus1_leg_may_skip(flags, only->error) ? 0 : only->error;
	only->message = NULL;
	*n_sent = 1;
	return 0;
}
