// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: one transaction over many peers
 */

/**
 * DOC: transactions
 *
 * The steps are explained in queue.c, "order". Between the first stage and the
 * last commit a transaction touches no user memory, allocates nothing and does
 * not wait: a staged entry holds up all that is behind it in its queue. For the
 * same reason preemption is off, except for a moment every BUS1_BATCH steps.
 */

#include <linux/preempt.h>
#include <linux/sched.h>

#include "tx.h"

/* With PREEMPT_RT spin locks sleep, and priorities are inherited by them. */
static void hold_cpu(void)
{
	if (!IS_ENABLED(CONFIG_PREEMPT_RT))
		preempt_disable();
}

static void yield_cpu(void)
{
	if (!IS_ENABLED(CONFIG_PREEMPT_RT))
		preempt_enable();
}

/**
 * bus1_tx_begin() - begin a transaction
 * @tx:		transaction
 */
void bus1_tx_begin(struct bus1_tx *tx)
{
	tx->clock = 0;
	tx->timestamp = 0;
	tx->steps = 0;
	hold_cpu();
}

/**
 * bus1_tx_step() - count a step of a transaction
 * @tx:		transaction; no lock is held
 */
void bus1_tx_step(struct bus1_tx *tx)
{
	if (++tx->steps % BUS1_BATCH)
		return;
	yield_cpu();
	cond_resched();
	hold_cpu();
}

/**
 * bus1_tx_end() - end a transaction, all of whose entries are committed or removed
 * @tx:		transaction
 */
void bus1_tx_end(struct bus1_tx *tx)
{
	yield_cpu();
}

/**
 * bus1_tx_stage_locked() - stage an entry
 * @tx:		transaction
 * @space:	receiver whose @data is held
 * @entry:	entry
 */
void bus1_tx_stage_locked(struct bus1_tx *tx, struct bus1_space *space,
			  struct bus1_entry *entry)
{
	lockdep_assert_held(&space->data);

	tx->clock = max(tx->clock, bus1_queue_stage(&space->queue, entry,
						    bus1_tx_key(tx)));
}

/**
 * bus1_tx_fix() - fix the timestamp of a transaction that is staged everywhere
 * @tx:		transaction
 * @space:	who sends
 */
void bus1_tx_fix(struct bus1_tx *tx, struct bus1_space *space)
{
	spin_lock(&space->data);
	tx->timestamp = max(tx->clock, space->queue.clock) + 2;
	bus1_queue_sync(&space->queue, tx->timestamp);
	spin_unlock(&space->data);
}

/**
 * bus1_tx_sync() - let a receiver hear of the timestamp
 * @tx:		transaction that is fixed
 * @space:	receiver
 */
void bus1_tx_sync(struct bus1_tx *tx, struct bus1_space *space)
{
	spin_lock(&space->data);
	bus1_queue_sync(&space->queue, tx->timestamp);
	spin_unlock(&space->data);
}

/**
 * bus1_tx_commit_locked() - commit an entry
 * @tx:		transaction that every receiver has heard the timestamp of
 * @space:	receiver whose @data is held
 * @entry:	entry staged on @space
 *
 * Return: true if @space is to be woken, bus1_space_wake(), without the lock.
 */
bool bus1_tx_commit_locked(struct bus1_tx *tx, struct bus1_space *space,
			   struct bus1_entry *entry)
{
	lockdep_assert_held(&space->data);

	bus1_queue_commit(&space->queue, entry, tx->timestamp);
	return bus1_queue_peek(&space->queue);
}
