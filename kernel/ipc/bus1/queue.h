/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1: order of the entries of one queue
 */
#ifndef _BUS1_QUEUE_H
#define _BUS1_QUEUE_H

#include <linux/bug.h>
#include <linux/list.h>
#include <linux/rbtree.h>
#include <linux/types.h>

/**
 * struct bus1_place - where an event stands in the order of the bus
 * @timestamp:	0 nowhere, odd staged, even committed
 * @key:	decides between equal timestamps; the same for all entries of one
 *		transaction, and different from every other that is under way
 */
struct bus1_place {
	u64 timestamp;
	unsigned long key;
};

/**
 * enum bus1_entry_type - what an entry is embedded in
 * @BUS1_ENTRY_MESSAGE:	a message
 * @BUS1_ENTRY_DESTROY:	a handle whose node was destroyed
 * @BUS1_ENTRY_RELEASE:	a node that nobody but its owner refers to
 * @BUS1_ENTRY_REPLY:	a reply that came, or will not come
 * @BUS1_ENTRY_CANCELLED: a reply that was cancelled
 */
enum bus1_entry_type {
	BUS1_ENTRY_MESSAGE,
	BUS1_ENTRY_DESTROY,
	BUS1_ENTRY_RELEASE,
	BUS1_ENTRY_REPLY,
	BUS1_ENTRY_CANCELLED,
};

struct bus1_tx;

/**
 * struct bus1_entry - one entry of a queue, embedded in what it announces
 * @rb:		links the entry into its queue
 * @link:	for the caller that removed the entry from its queue
 * @place:	where it stands; the timestamp is 0 while it is in no queue
 * @tx:		transaction that it is a part of, NULL for an event with one receiver.
 *		A message's entry holds a reference; other transactions lie in what
 *		outlives the entry
 * @type:	what it is embedded in; constant
 */
struct bus1_entry {
	union {
		struct rb_node rb;
		struct list_head link;
	};
	struct bus1_place place;
	struct bus1_tx *tx;
	enum bus1_entry_type type;
};

/**
 * struct bus1_queue - entries in order, and a clock
 * @entries:	all entries, staged ones too, ordered by place
 * @last:	the greatest of @entries: most insertions go right behind it
 * @clock:	no committed entry is above it; even, and never falls
 * @n_committed: entries that are committed
 * @n_entries:	entries, staged ones too
 *
 * The owner of the queue serialises all access with one lock.
 */
struct bus1_queue {
	struct rb_root_cached entries;
	struct rb_node *last;
	u64 clock;
	size_t n_committed;
	size_t n_entries;
};

void bus1_queue_init(struct bus1_queue *queue);
bool bus1_place_before(const struct bus1_place *a, const struct bus1_place *b);

void bus1_queue_link(struct bus1_queue *queue, struct bus1_entry *entry);
void bus1_queue_stage(struct bus1_queue *queue, struct bus1_entry *entry,
		      unsigned long key);
void bus1_queue_postpone(struct bus1_queue *queue, struct bus1_entry *entry,
			 u64 timestamp);
void bus1_queue_sync(struct bus1_queue *queue, u64 timestamp);
void bus1_queue_commit(struct bus1_queue *queue, struct bus1_entry *entry,
		       u64 timestamp);
void bus1_queue_remove(struct bus1_queue *queue, struct bus1_entry *entry);

struct bus1_entry *bus1_queue_next(const struct bus1_entry *entry);
struct bus1_entry *bus1_queue_after(const struct bus1_queue *queue,
				    const struct bus1_place *place);

/**
 * bus1_entry_queued() - whether an entry is in a queue
 * @entry:	entry
 *
 * Return: true if it is, staged or committed.
 */
static inline bool bus1_entry_queued(const struct bus1_entry *entry)
{
	return entry->place.timestamp;
}

/**
 * bus1_entry_staged() - whether an entry is staged
 * @entry:	entry
 *
 * Return: true if it is in a queue and not committed yet.
 */
static inline bool bus1_entry_staged(const struct bus1_entry *entry)
{
	return entry->place.timestamp & 1;
}

/**
 * bus1_entry_init() - initialize an entry that is in no queue
 * @entry:	entry
 * @type:	what it is embedded in
 */
static inline void bus1_entry_init(struct bus1_entry *entry, enum bus1_entry_type type)
{
	entry->place.timestamp = 0;
	entry->place.key = 0;
	entry->tx = NULL;
	entry->type = type;
}

/**
 * bus1_queue_tick() - give an event with one receiver its timestamp
 * @queue:	queue
 *
 * Return: the timestamp, above that of everything that is committed.
 */
static inline u64 bus1_queue_tick(struct bus1_queue *queue)
{
	queue->clock += 2;
	return queue->clock;
}

/**
 * bus1_queue_insert() - put an entry where it belongs
 * @queue:	queue
 * @entry:	entry that is in no queue
 * @place:	a place that was given on @queue, now or earlier
 */
static inline void bus1_queue_insert(struct bus1_queue *queue,
				     struct bus1_entry *entry,
				     const struct bus1_place *place)
{
	if (WARN_ON_ONCE(bus1_entry_queued(entry)))
		return;

	entry->place = *place;
	bus1_queue_link(queue, entry);
	queue->n_committed++;
}

/**
 * bus1_queue_add() - add the entry of an event with one receiver
 * @queue:	queue
 * @entry:	entry that is in no queue
 * @key:	key of the event
 *
 * The entry is committed above everything that is committed.
 */
static inline void bus1_queue_add(struct bus1_queue *queue,
				  struct bus1_entry *entry, unsigned long key)
{
	struct bus1_place place = { bus1_queue_tick(queue), key };

	bus1_queue_insert(queue, entry, &place);
}

/**
 * bus1_queue_first() - look at the first entry
 * @queue:	queue
 *
 * Return: the first entry, staged or not, or NULL.
 */
static inline struct bus1_entry *bus1_queue_first(const struct bus1_queue *queue)
{
	return rb_entry_safe(rb_first_cached(&queue->entries),
			     struct bus1_entry, rb);
}

#endif /* _BUS1_QUEUE_H */
