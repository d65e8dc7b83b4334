// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: one transaction over many peers, which anybody can finish
 */

/**
 * DOC: transactions
 *
 * The steps are explained in queue.c, "order". Between two of them a task can lose
 * the processor for as long as its priority makes it wait, or be stopped. So nobody
 * ever waits for a transaction. The rule is: postpone it before it is fixed, help it
 * afterwards.
 *
 * One word decides. While it is even the transaction is open, and the word is the
 * highest clock noted. A cmpxchg sets its lowest bit, which fixes the timestamp. It
 * fails if anything has changed since the author saw that everything is staged::
 *
 *	author				receiver, with something behind the entry
 *	read word; all is staged
 *					lock; raise word; entry moves back; unlock
 *	cmpxchg fails; look again
 *
 * or::
 *
 *	cmpxchg
 *					lock; word is fixed; unlock
 *					move all entries
 *	move what is left
 *
 * Steps are idempotent, and each is taken under the lock of one peer, so any number of
 * walkers can go over the destinations at once. They go in array order, so two
 * entries of one transaction in one queue are moved in that order, whoever moves them.
 *
 * No wake is left to a task that may have stopped. A blocked receiver is woken under
 * the lock under which its entry is moved. Threads that poll are woken without that
 * lock, since there may be many. That step is noted apart (BUS1_STEP_WOKEN): a walker
 * that finds it missing makes it, and the event is placed after it.
 *
 * The work is bounded. A receive moves each open entry in front of it once, and does at
 * most the rest of each fixed one. An author has to look again once per postponement,
 * and a receiver makes fewer and fewer of these, as the gap doubles.
 *
 * A transaction is placed, or given up by its author, while somebody is walking. A task
 * that comes later finds @walkers at 0 and has nothing to do.
 */

#include <linux/bug.h>
#include <linux/minmax.h>
#include <linux/slab.h>

#include "limits.h"
#include "tx.h"

/**
 * bus1_tx_init() - begin a transaction
 * @tx:		transaction; the caller is its first walker
 * @walk:	see &struct bus1_tx
 * @end:	see &struct bus1_tx
 */
void bus1_tx_init(struct bus1_tx *tx, void (*walk)(struct bus1_tx *tx),
		  void (*end)(struct bus1_tx *tx))
{
	atomic64_set(&tx->word, 0);
	refcount_set(&tx->walkers, 1);
	refcount_set(&tx->ref, 1);
	tx->gap = 0;
	tx->placed = false;
	tx->walk = walk;
	tx->end = end;
}

/**
 * bus1_tx_note() - note a clock
 * @tx:		transaction
 * @clock:	clock, even; the timestamp will be above it
 *
 * Return: false if the transaction is fixed.
 */
bool bus1_tx_note(struct bus1_tx *tx, u64 clock)
{
	s64 word = atomic64_read(&tx->word);

	do {
		if (word & 1)
			return false;
		if (word >= (s64)clock)
			return true;
	} while (!atomic64_try_cmpxchg(&tx->word, &word, clock));
	return true;
}

/**
 * bus1_tx_touch() - make the author of an open transaction look again
 * @tx:		transaction
 *
 * This is a full barrier: what the caller stored before is seen by an author that looks
 * again.
 *
 * Return: false if the transaction is fixed.
 */
bool bus1_tx_touch(struct bus1_tx *tx)
{
	s64 word = atomic64_read(&tx->word);

	do {
		if (word & 1)
			return false;
	} while (!atomic64_try_cmpxchg(&tx->word, &word, word + 2));
	return true;
}

/**
 * bus1_tx_postpone() - let a staged entry wait behind what is committed
 * @tx:		transaction of @entry
 * @queue:	queue whose lock is held
 * @entry:	entry staged on @queue, in front of one that is committed
 *
 * The entry moves twice as far each time, so an author that is stopped costs a receiver
 * little.
 *
 * Return: false if the transaction is fixed, and the caller is to help.
 */
bool bus1_tx_postpone(struct bus1_tx *tx, struct bus1_queue *queue,
		      struct bus1_entry *entry)
{
	u32 gap = READ_ONCE(tx->gap);
	u64 clock = queue->clock + gap;

	if (!bus1_tx_note(tx, clock))
		return false;
	bus1_queue_postpone(queue, entry, clock + 1);
	WRITE_ONCE(tx->gap, clamp_t(u32, gap * 2, 2, BUS1_GAP_MAX));
	return true;
}

/**
 * bus1_tx_stage() - stage an entry (step S)
 * @tx:		open transaction, of which this entry is not staged yet
 * @queue:	queue whose lock is held
 * @entry:	entry
 */
void bus1_tx_stage(struct bus1_tx *tx, struct bus1_queue *queue,
		   struct bus1_entry *entry)
{
	entry->tx = tx;
	bus1_queue_stage(queue, entry, (unsigned long)tx);
	/* Nobody fixes a transaction that is not staged everywhere. */
	WARN_ON_ONCE(!bus1_tx_note(tx, queue->clock));
}

/**
 * bus1_tx_move() - give an entry its final place (step M)
 * @tx:		transaction that is fixed
 * @queue:	queue whose lock is held
 * @entry:	entry staged on @queue
 */
void bus1_tx_move(struct bus1_tx *tx, struct bus1_queue *queue,
		  struct bus1_entry *entry)
{
	bus1_queue_commit(queue, entry, bus1_tx_get_place(tx).timestamp);
}

/**
 * bus1_tx_leave() - end what bus1_tx_enter() began
 * @tx:		transaction; may be gone afterwards
 *
 * May sleep.
 */
void bus1_tx_leave(struct bus1_tx *tx)
{
	if (refcount_dec_and_test(&tx->walkers))
		tx->end(tx);
}

/**
 * bus1_tx_help() - finish a transaction
 * @tx:		transaction that the caller entered; may be gone afterwards
 *
 * May sleep. Takes the data locks of its destinations, one at a time.
 */
void bus1_tx_help(struct bus1_tx *tx)
{
	tx->walk(tx);
	bus1_tx_leave(tx);
}

/**
 * bus1_tx_put() - put a reference to a transaction on the heap
 * @tx:		transaction, at the start of what was allocated
 */
void bus1_tx_put(struct bus1_tx *tx)
{
	if (refcount_dec_and_test(&tx->ref))
		kfree(tx);
}
