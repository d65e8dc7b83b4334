// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: the commit of a message to its destinations
 */

/**
 * DOC: commit
 *
 * The messages are complete, and what is left is to give each of them its place.
 * With one receiver that is one step, with several a transaction, see queue.c,
 * "order", and tx.c. A node that is not live refuses, then and for ever.
 *
 * Only the sender stages and fixes. Until it has fixed the timestamp, a destroyer of the
 * destination, or a canceller of a request whose reply handle moves, takes the message
 * back (bus1_commit_kick_locked()). A receiver postpones it. Once it is fixed, all
 * of them finish it::
 *
 *	sender				destroyer of the destination
 *	stage
 *					lock; DYING; REFUSED; touch word; unlink; unlock
 *	cmpxchg fails; refused: give up
 *
 * or::
 *
 *	stage; cmpxchg
 *					lock; DYING; REFUSED; fixed: STAGED; unlock
 *					move all entries
 *
 * REFUSED is stored before the word is touched, so a sender whose cmpxchg succeeds all
 * the same has seen it. It may be taken back afterwards. So what became of each
 * destination is read only at the end, after the receiver's lock was taken once more.
 *
 * A receiver that goes down ends its nodes first, and so gets rid of what is staged.
 *
 * A reply is written into the message that the requester paid for. Nothing is charged,
 * so nothing of the requester's can refuse it. If there is no memory for its pages, the
 * reply is dropped.
 */

#include <linux/slab.h>

#include "commit.h"

/**
 * bus1_commit_may_skip() - whether a send goes on without a destination
 * @flags:	BUS1_SEND_*
 * @err:	why the destination was refused, or cannot be one
 *
 * With BUS1_SEND_CONTINUE no receiver can keep a message from the others: not by being
 * gone or full, not by its limits, and not by how its handle came to the sender.
 *
 * Return: true if it does.
 */
bool bus1_commit_may_skip(u32 flags, int err)
{
	if (!(flags & BUS1_SEND_CONTINUE))
		return false;
	switch (err) {
	case -EHOSTUNREACH:
	case -EDQUOT:
	case -EXFULL:
	case -EMSGSIZE:
	case -ENXIO:
	case -ENOTUNIQ:
	case -EINVAL:
		return true;
	default:
		return false;
	}
}

static void stage_dest(struct bus1_tx *tx, struct bus1_tx_dest *dest)
{
	struct bus1_message *message = dest->message;
	struct bus1_node *node = dest->node;
	struct bus1_peer *to = node->owner;

	spin_lock(&to->data);
	if (dest->step == BUS1_STEP_NEW) {
		if (bus1_node_is_unreachable(node)) {
			dest->error = -EHOSTUNREACH;
			dest->step = BUS1_STEP_REFUSED;
		} else {
			message->tx_dest = dest;
			list_add_tail(&message->staged, &node->staged);
			bus1_tx_get(tx);
			bus1_tx_stage(tx, &to->queue, &message->entry);
			dest->step = BUS1_STEP_STAGED;
		}
	}
	spin_unlock(&to->data);
}

static void settle_locked(struct bus1_message *message)
{
	list_del(&message->staged);
	message->tx_dest = NULL;
}

static void unstage_locked(struct bus1_tx_dest *dest)
{
	struct bus1_entry *entry = &dest->message->entry;
	struct bus1_tx *tx = entry->tx;

	bus1_queue_remove(&dest->node->owner->queue, entry);
	entry->tx = NULL;
	bus1_tx_put(tx);
	settle_locked(dest->message);
}

/**
 * bus1_commit_kick_locked() - take a staged message back
 * @message:	message that is staged at its receiver, whose @data is held
 * @err:	what its sender is told
 *
 * Return: true if it belongs to its sender again; false if its transaction is fixed, and
 * the caller is to help.
 */
bool bus1_commit_kick_locked(struct bus1_message *message, int err)
{
	struct bus1_tx_dest *dest = message->tx_dest;

	lockdep_assert_held(&message->peer->data);

	dest->error = err;
	/* Pairs with the acquire in fix_dests(). */
	smp_store_release(&dest->step, BUS1_STEP_REFUSED);
	if (!bus1_tx_touch(message->entry.tx)) {
		smp_store_release(&dest->step, BUS1_STEP_STAGED);
		return false;
	}
	unstage_locked(dest);
	return true;
}

static void move_locked(struct bus1_tx *tx, struct bus1_tx_dest *dest)
{
	struct bus1_message *message = dest->message;

	message->committed = true;
	bus1_message_enqueued_locked(message);
	bus1_tx_move(tx, &dest->node->owner->queue, &message->entry);
	settle_locked(message);
	bus1_peer_wake_locked(dest->node->owner);
	smp_store_release(&dest->step, BUS1_STEP_MOVED);
}

static void walk_dest(struct bus1_tx *tx, struct bus1_tx_dest *dest)
{
	struct bus1_peer *to = dest->node->owner;

	if (smp_load_acquire(&dest->step) < BUS1_STEP_MOVED) {
		spin_lock(&to->data);
		if (dest->step == BUS1_STEP_STAGED)
			move_locked(tx, dest);
		spin_unlock(&to->data);
	}
	bus1_step_wake(&dest->step, to);
}

static void walk_multicast(struct bus1_tx *tx)
{
	struct bus1_multicast *multicast =
		container_of(tx, struct bus1_multicast, tx);
	size_t i;

	for (i = 0; i < multicast->n; i++) {
		walk_dest(tx, &multicast->dests[i]);
		cond_resched();
	}
	bus1_tx_place(tx);
}

static void end_multicast(struct bus1_tx *tx)
{
	struct bus1_multicast *multicast =
		container_of(tx, struct bus1_multicast, tx);
	size_t i;

	for (i = 0; i < multicast->n; i++)
		bus1_node_put(multicast->dests[i].node);
	kvfree(multicast->dests);
	bus1_tx_put(tx);
}

/**
 * bus1_multicast_new() - prepare a transaction that sends
 * @dests:	destinations; those without a message are passed over
 * @n:		how many
 *
 * Return: the transaction, for bus1_multicast_commit(); or NULL.
 */
struct bus1_multicast *bus1_multicast_new(struct bus1_dest *dests, size_t n)
{
	struct bus1_multicast *multicast;
	struct bus1_tx_dest *dest;
	size_t i;

	multicast = kmalloc(sizeof(*multicast), GFP_KERNEL_ACCOUNT);
	if (!multicast)
		return NULL;
	dest = kvmalloc_array(n, sizeof(*dest), GFP_KERNEL_ACCOUNT);
	if (!dest) {
		kfree(multicast);
		return NULL;
	}
	bus1_tx_init(&multicast->tx, walk_multicast, end_multicast);
	multicast->dests = dest;
	for (i = 0; i < n; i++) {
		if (!dests[i].message)
			continue;
		*dest++ = (struct bus1_tx_dest){
			.node = bus1_node_get(dests[i].name.handle->node),
			.message = dests[i].message,
		};
	}
	multicast->n = dest - multicast->dests;
	return multicast;
}

/* Returns 1 once it is fixed, 0 if no destination is left, or the error of one. */
static int fix_dests(struct bus1_multicast *multicast, u32 flags)
{
	struct bus1_tx_dest *dest;
	size_t n_staged, i;
	u64 word;

	do {
		word = bus1_tx_read(&multicast->tx);
		n_staged = 0;
		for (i = 0; i < multicast->n; i++) {
			dest = &multicast->dests[i];
			if (smp_load_acquire(&dest->step) != BUS1_STEP_REFUSED)
				n_staged++;
			else if (!bus1_commit_may_skip(flags, dest->error))
				return dest->error;
		}
		if (!n_staged)
			return 0;
	} while (!bus1_tx_fix(&multicast->tx, word));
	return 1;
}

/* The lock is needed for a refused one, too: its kicker may still hold it. */
static void give_up_dest(struct bus1_tx_dest *dest)
{
	struct bus1_peer *to = dest->node->owner;

	spin_lock(&to->data);
	if (dest->step == BUS1_STEP_STAGED) {
		unstage_locked(dest);
		dest->step = BUS1_STEP_NEW;
	}
	spin_unlock(&to->data);
}

/**
 * bus1_multicast_commit() - commit a message to all its destinations
 * @multicast:	what bus1_multicast_new() returned for @dests; may be gone afterwards
 * @dests:	destinations; those without a message are passed over. A message that is
 *		delivered belongs to its receiver then; others stay here
 * @n:		how many
 * @flags:	BUS1_SEND_*
 * @n_sent:	set to the number of deliveries
 *
 * Return: 0, or the error of the destination that was refused: -EHOSTUNREACH, or
 * -EBUSY if a reply handle cannot be moved.
 */
int bus1_multicast_commit(struct bus1_multicast *multicast,
			  struct bus1_dest *dests, size_t n, u32 flags,
			  size_t *n_sent)
{
	bool refused = false;
	struct bus1_tx_dest *dest;
	int fixed = 1;
	size_t i;

	for (i = 0; i < multicast->n && fixed > 0; i++) {
		dest = &multicast->dests[i];
		stage_dest(&multicast->tx, dest);
		/* Pairs with the release in bus1_commit_kick_locked(). */
		if (smp_load_acquire(&dest->step) == BUS1_STEP_REFUSED &&
		    !bus1_commit_may_skip(flags, dest->error))
			fixed = dest->error;
		cond_resched();
	}
	if (fixed > 0)
		fixed = fix_dests(multicast, flags);
	for (i = 0; i < multicast->n && fixed <= 0; i++)
		give_up_dest(&multicast->dests[i]);
	if (fixed > 0)
		walk_multicast(&multicast->tx);

	*n_sent = 0;
	dest = multicast->dests;
	for (i = 0; i < n; i++) {
		if (!dests[i].message)
			continue;
		if (dest->step >= BUS1_STEP_MOVED) {
			dests[i].message = NULL;
			++*n_sent;
		} else if (dest->step == BUS1_STEP_REFUSED && !refused) {
			dests[i].error = dest->error;
			/* If the send fails, only the first one is told. */
			refused = fixed < 0;
		}
		dest++;
	}
	bus1_tx_leave(&multicast->tx);
	return min(fixed, 0);
}

/**
 * bus1_answer_begin() - begin to write a reply
 * @reply:	reply whose handle the calling peer has; its @local is held until the end
 * @shape:	what the reply is to consist of
 * @message:	set to what to fill; bus1_message_set_sender() is to follow
 *
 * Return: 0, and bus1_answer_commit() or bus1_answer_abort() is to follow; -EXFULL,
 * and the same is to follow, if the pool of the requester is being emptied and has no
 * room now; -EMSGSIZE if it is more than was paid for; -EHOSTUNREACH if the reply was
 * cancelled or the requester is gone.
 */
int bus1_answer_begin(struct bus1_reply *reply, const struct bus1_shape *shape,
		      struct bus1_message **message)
{
	struct bus1_peer *requester = reply->requester;
	struct bus1_message *room;
	bool open, fits;
	int err = 0;

	fits = shape->n_bytes <= reply->max_bytes &&
	       shape->n_handles <= reply->max_handles &&
	       shape->n_fds <= reply->max_fds;

	spin_lock(&requester->data);
	open = bus1_reply_is_open(reply) && !requester->down;
	reply->filling = open && fits;
	room = reply->message;
	if (open && fits) {
		bus1_message_set_shape(room, shape);
		if (!bus1_message_is_small(room))
			err = bus1_pool_alloc(&room->peer->pool, &room->slice,
					      bus1_message_size(room));
	}
	spin_unlock(&requester->data);
	if (!open)
		return -EHOSTUNREACH;
	if (!fits)
		return -EMSGSIZE;
	*message = room;
	return err;
}

/**
 * bus1_answer_abort() - undo bus1_answer_begin()
 * @reply:	reply
 * @message:	what was to be filled; its reply handles were taken back
 */
void bus1_answer_abort(struct bus1_reply *reply, struct bus1_message *message)
{
	struct bus1_peer *requester = reply->requester;
	bool cancelled;

	bus1_message_drop_handles(message);
	bus1_message_drop_files(message);

	spin_lock(&requester->data);
	if (message->slice.size)
		bus1_message_free_slice_locked(message);
	reply->filling = false;
	cancelled = !bus1_reply_is_open(reply);
	if (cancelled)
		reply->message = NULL;
	spin_unlock(&requester->data);
	if (cancelled)
		bus1_message_free(message);
}

/**
 * bus1_answer_commit() - send a reply
 * @reply:	reply; used up on success, and may be gone
 * @message:	complete message; on success it is the requester's
 * @lost:	whether there was no memory for it, so that it is dropped
 * @holder:	peer that has the reply handle; its @local is held
 *
 * Return: 0; or -EHOSTUNREACH and bus1_answer_abort() is to follow.
 */
int bus1_answer_commit(struct bus1_reply *reply, struct bus1_message *message,
		       bool lost, struct bus1_peer *holder)
{
	struct bus1_peer *requester = reply->requester;
	struct bus1_reply *done = NULL;
	bool polled;

	spin_lock(&requester->data);
	if (unlikely(!bus1_reply_is_open(reply) || requester->down)) {
		spin_unlock(&requester->data);
		return -EHOSTUNREACH;
	}
	bus1_reply_unlink(reply, holder);
	reply->filling = false;
	/* Even if it is lost: what it carries is dropped as if it was not read. */
	message->committed = true;
	if (unlikely(lost)) {
		bus1_message_uncharge_locked(message, &message->charged);
		reply->message = NULL;
		bus1_reply_arrive_locked(reply, BUS1_REPLY_DROPPED, 0);
	} else {
		/* The request's one handle is given back with what is not needed. */
		message->charged.of[BUS1_HANDLES] += reply->charged;
		reply->charged = false;
		bus1_message_trim_locked(message);
		bus1_reply_arrive_locked(reply, BUS1_REPLY_ANSWERED,
					 bus1_message_size(message));
	}
	/* The reference also keeps the requester. */
	polled = waitqueue_active(&requester->pollers);
	if (likely(!polled && !lost))
		done = bus1_reply_put_locked(reply);
	spin_unlock(&requester->data);

	if (unlikely(polled))
		bus1_peer_wake_pollers(requester);
	if (unlikely(lost))
		bus1_message_free(message);
	if (unlikely(polled || lost))
		bus1_reply_put(reply);
	bus1_reply_free(done);
	return 0;
}
