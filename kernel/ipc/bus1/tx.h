/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1: one transaction over many peers, which anybody can finish
 */
#ifndef _BUS1_TX_H
#define _BUS1_TX_H

#include <linux/atomic.h>
#include <linux/refcount.h>

#include "queue.h"

/**
 * enum bus1_step - how far a transaction is at one destination
 * @BUS1_STEP_NEW:	nothing is done
 * @BUS1_STEP_STAGED:	its entry is staged
 * @BUS1_STEP_REFUSED:	the destination refused it, or somebody took it back
 * @BUS1_STEP_MOVED:	its entry has its final place
 * @BUS1_STEP_WOKEN:	all that wait there have been woken
 *
 * It changes under the destination's data lock, except for the last change. MOVED stays
 * true, so a walker that has read it need not look again under the lock.
 */
enum bus1_step {
	BUS1_STEP_NEW,
	BUS1_STEP_STAGED,
	BUS1_STEP_REFUSED,
	BUS1_STEP_MOVED,
	BUS1_STEP_WOKEN,
};

/**
 * struct bus1_tx - a transaction over many peers
 * @word:	while it is open the highest clock noted, even; then the same plus 1
 * @walkers:	how many tasks are at work on it; once there are none it is over, for ever
 * @ref:	of one on the heap: one for all walkers together, one per entry
 * @gap:	how far the next receiver postpones it; a hint, so it needs no lock
 * @placed:	whether all its entries have their final place; set once
 * @walk:	takes it from wherever it is to its end, if it is fixed already or may be
 *		fixed by anybody; constant
 * @end:	called when the last walker leaves; may sleep; constant
 *
 * Its address is the key of its entries.
 */
struct bus1_tx {
	atomic64_t word;
	refcount_t walkers;
	refcount_t ref;
	u32 gap;
	bool placed;
	void (*walk)(struct bus1_tx *tx);
	void (*end)(struct bus1_tx *tx);
};

void bus1_tx_init(struct bus1_tx *tx, void (*walk)(struct bus1_tx *tx),
		  void (*end)(struct bus1_tx *tx));
bool bus1_tx_note(struct bus1_tx *tx, u64 clock);
bool bus1_tx_touch(struct bus1_tx *tx);
bool bus1_tx_postpone(struct bus1_tx *tx, struct bus1_queue *queue,
		      struct bus1_entry *entry);
void bus1_tx_stage(struct bus1_tx *tx, struct bus1_queue *queue,
		   struct bus1_entry *entry);
void bus1_tx_move(struct bus1_tx *tx, struct bus1_queue *queue,
		  struct bus1_entry *entry);
void bus1_tx_leave(struct bus1_tx *tx);
void bus1_tx_help(struct bus1_tx *tx);
void bus1_tx_put(struct bus1_tx *tx);

static inline struct bus1_tx *bus1_tx_get(struct bus1_tx *tx)
{
	refcount_inc(&tx->ref);
	return tx;
}

/**
 * bus1_tx_enter() - begin to work on a transaction
 * @tx:		transaction whose memory the caller keeps meanwhile
 *
 * Return: true, and bus1_tx_help() or bus1_tx_leave() is to follow; false if it is
 * over, that is, placed or given up.
 */
static inline bool bus1_tx_enter(struct bus1_tx *tx)
{
	if (refcount_inc_not_zero(&tx->walkers))
		return true;
	/* Pairs with the release in bus1_tx_leave(). */
	smp_acquire__after_ctrl_dep();
	return false;
}

/**
 * bus1_tx_read() - read the word of a transaction
 * @tx:		transaction
 *
 * Return: the word; what was staged before it was last changed can be seen.
 */
static inline u64 bus1_tx_read(const struct bus1_tx *tx)
{
	return atomic64_read_acquire(&tx->word);
}

/**
 * bus1_tx_is_fixed() - whether a transaction has its timestamp
 * @tx:		transaction
 *
 * Return: true if it does, and for ever.
 */
static inline bool bus1_tx_is_fixed(const struct bus1_tx *tx)
{
	return bus1_tx_read(tx) & 1;
}

/**
 * bus1_tx_fix() - give a transaction its timestamp (step F)
 * @tx:		transaction
 * @word:	even word, read before the caller saw that everything is staged
 *
 * Return: false if the word has changed since then, and the caller is to look again.
 */
static inline bool bus1_tx_fix(struct bus1_tx *tx, u64 word)
{
	return atomic64_cmpxchg(&tx->word, word, word | 1) == word;
}

/**
 * bus1_tx_is_placed() - whether a transaction has its place everywhere
 * @tx:		transaction
 *
 * Return: true if it does; all that it did can be seen then.
 */
static inline bool bus1_tx_is_placed(const struct bus1_tx *tx)
{
	/* Pairs with the release in bus1_tx_place(). */
	return smp_load_acquire(&tx->placed);
}

/**
 * bus1_tx_place() - all entries of a transaction have their final place
 * @tx:		transaction
 */
static inline void bus1_tx_place(struct bus1_tx *tx)
{
	/* Pairs with the acquire in bus1_tx_is_placed(). */
	smp_store_release(&tx->placed, true);
}

/**
 * bus1_tx_get_place() - where a transaction stands in the order of the bus
 * @tx:		transaction that is fixed
 *
 * Return: its place.
 */
static inline struct bus1_place bus1_tx_get_place(const struct bus1_tx *tx)
{
	return (struct bus1_place){
		.timestamp = (atomic64_read(&tx->word) & ~1ULL) + 2,
		.key = (unsigned long)tx,
	};
}

#endif /* _BUS1_TX_H */
