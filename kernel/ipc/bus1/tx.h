/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1: one transaction over many peers
 */
#ifndef _BUS1_TX_H
#define _BUS1_TX_H

#include "peer.h"

/**
 * struct bus1_tx - a transaction over many peers
 * @clock:	the highest clock seen while staging
 * @timestamp:	timestamp of the transaction, once it is fixed
 * @steps:	steps made since preemption was last possible
 *
 * Its address is the key of its entries, so it lives until all are committed.
 */
struct bus1_tx {
	u64 clock;
	u64 timestamp;
	unsigned int steps;
};

void bus1_tx_begin(struct bus1_tx *tx);
void bus1_tx_step(struct bus1_tx *tx);
void bus1_tx_end(struct bus1_tx *tx);

void bus1_tx_stage_locked(struct bus1_tx *tx, struct bus1_space *space,
			  struct bus1_entry *entry);
void bus1_tx_fix(struct bus1_tx *tx, struct bus1_space *space);
void bus1_tx_sync(struct bus1_tx *tx, struct bus1_space *space);
bool bus1_tx_commit_locked(struct bus1_tx *tx, struct bus1_space *space,
			   struct bus1_entry *entry);

/**
 * bus1_tx_key() - the key of a transaction's entries
 * @tx:		transaction
 *
 * Return: a number that no other transaction has while this one is under way.
 */
static inline unsigned long bus1_tx_key(const struct bus1_tx *tx)
{
	return (unsigned long)tx;
}

#endif /* _BUS1_TX_H */
