// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: order of the entries of one queue
 */

/**
 * DOC: order
 *
 * Every queue has a Lamport clock. Committed entries have even timestamps,
 * staged ones odd timestamps, and entries are ordered by (timestamp, key).
 *
 * An event with one receiver takes one step: the clock advances by two and the
 * entry is added committed at the clock. An event with several receivers takes
 * three:
 *
 * S  stage the entry on each queue, at clock + 1, and note the highest clock;
 * F  fix the timestamp t: two above the highest clock noted;
 * M  move: each entry goes to (t, key), and is committed there, and the clock of its
 *    queue becomes at least t. When all are moved, the event is placed.
 *
 * A receiver takes the first entry once it is committed and its event is placed. An
 * entry that is not committed may stand in front of one that is. Before F the receiver
 * postpones it: it moves to a higher odd timestamp, and the clock noted is raised with
 * it. After F the receiver does the rest of step M, on all queues. So nobody waits for
 * the sender, see tx.c.
 *
 * Why all receivers agree: clocks never fall, no committed entry is above its
 * queue's clock, every insertion is above the clock, and t is above each staged
 * timestamp. So a queue gives out ascending places, whatever comes later, and
 * the place of an event is the same in each queue.
 *
 * Why causes come before effects: when an event's sender has returned, or
 * anybody has received it, the event is placed, and the clock of each of its queues is
 * at t or above. Whatever begins then is placed above t on each of them.
 *
 * Why the key suffices: two events can only get equal timestamps in one queue
 * when the second was staged there before the first was moved, that is, while both
 * were under way. The key is the address of something that lives that long.
 *
 * After L. Lamport, Time, Clocks, and the Ordering of Events in a Distributed
 * System (1978), and D. Skeen's agreement on the highest proposal.
 */

#include <linux/bug.h>

#include "queue.h"

static struct bus1_entry *to_entry(struct rb_node *rb)
{
	return rb_entry_safe(rb, struct bus1_entry, rb);
}

/**
 * bus1_place_before() - compare two places
 * @a:	place
 * @b:	place
 *
 * Return: true if @a comes before @b, false if it comes after or is the same.
 */
bool bus1_place_before(const struct bus1_place *a, const struct bus1_place *b)
{
	if (a->timestamp != b->timestamp)
		return a->timestamp < b->timestamp;
	return a->key < b->key;
}

/**
 * bus1_queue_init() - initialize an empty queue
 * @queue:	queue
 */
void bus1_queue_init(struct bus1_queue *queue)
{
	queue->entries = RB_ROOT_CACHED;
	queue->last = NULL;
	queue->clock = 0;
	queue->n_committed = 0;
	queue->n_entries = 0;
}

/**
 * bus1_queue_link() - link an entry that has its place
 * @queue:	queue
 * @entry:	entry that is in no queue
 *
 * Equal places keep the order of insertion, which is a transaction's array order.
 */
void bus1_queue_link(struct bus1_queue *queue, struct bus1_entry *entry)
{
	struct rb_node **link = &queue->entries.rb_root.rb_node;
	struct rb_node *parent = NULL;
	bool leftmost = true, rightmost = true;

	if (queue->last &&
	    !bus1_place_before(&entry->place, &to_entry(queue->last)->place)) {
		parent = queue->last;
		link = &parent->rb_right;
		leftmost = false;
	}

	while (*link) {
		parent = *link;
		if (bus1_place_before(&entry->place, &to_entry(parent)->place)) {
			link = &parent->rb_left;
			rightmost = false;
		} else {
			link = &parent->rb_right;
			leftmost = false;
		}
	}

	queue->n_entries++;
	rb_link_node(&entry->rb, parent, link);
	rb_insert_color_cached(&entry->rb, &queue->entries, leftmost);
	if (rightmost)
		queue->last = &entry->rb;
}

static void unlink_entry(struct bus1_queue *queue, struct bus1_entry *entry)
{
	/* Most queues are short. */
	if (!--queue->n_entries) {
		queue->entries = RB_ROOT_CACHED;
		queue->last = NULL;
		return;
	}
	if (queue->last == &entry->rb)
		queue->last = rb_prev(&entry->rb);
	rb_erase_cached(&entry->rb, &queue->entries);
}

/**
 * bus1_queue_stage() - stage an entry (step S)
 * @queue:	queue
 * @entry:	entry that is in no queue
 * @key:	key of the transaction
 *
 * The timestamp of the transaction has to be above the queue's clock by two or more.
 */
void bus1_queue_stage(struct bus1_queue *queue, struct bus1_entry *entry,
		      unsigned long key)
{
	if (WARN_ON_ONCE(bus1_entry_queued(entry)))
		return;

	entry->place.timestamp = queue->clock + 1;
	entry->place.key = key;
	bus1_queue_link(queue, entry);
}

/* If nothing stands between the old place and the new one, no link changes. */
static void relink_entry(struct bus1_queue *queue, struct bus1_entry *entry,
			 u64 timestamp)
{
	struct bus1_place place = { timestamp, entry->place.key };
	struct bus1_entry *next = to_entry(rb_next(&entry->rb));

	if (!next || bus1_place_before(&place, &next->place)) {
		entry->place = place;
		return;
	}
	unlink_entry(queue, entry);
	entry->place = place;
	bus1_queue_link(queue, entry);
}

/**
 * bus1_queue_postpone() - move a staged entry back
 * @queue:	queue
 * @entry:	entry staged on @queue
 * @timestamp:	its new timestamp, odd and above the old one; the timestamp of the
 *		transaction has to be above it
 */
void bus1_queue_postpone(struct bus1_queue *queue, struct bus1_entry *entry,
			 u64 timestamp)
{
	if (WARN_ON_ONCE(!bus1_entry_staged(entry) || !(timestamp & 1)))
		return;

	relink_entry(queue, entry, timestamp);
}

/**
 * bus1_queue_sync() - raise a queue's clock to a timestamp
 * @queue:	queue
 * @timestamp:	timestamp, even
 */
void bus1_queue_sync(struct bus1_queue *queue, u64 timestamp)
{
	if (queue->clock < timestamp)
		queue->clock = timestamp;
}

/**
 * bus1_queue_commit() - commit a staged entry (step M)
 * @queue:	queue; its clock becomes @timestamp at least
 * @entry:	entry staged on @queue
 * @timestamp:	timestamp of the transaction
 */
void bus1_queue_commit(struct bus1_queue *queue, struct bus1_entry *entry,
		       u64 timestamp)
{
	if (WARN_ON_ONCE(!bus1_entry_staged(entry) ||
			 timestamp <= entry->place.timestamp))
		return;

	bus1_queue_sync(queue, timestamp);
	queue->n_committed++;
	relink_entry(queue, entry, timestamp);
}

/**
 * bus1_queue_remove() - remove an entry, staged or committed
 * @queue:	queue
 * @entry:	entry on @queue
 */
void bus1_queue_remove(struct bus1_queue *queue, struct bus1_entry *entry)
{
	if (WARN_ON_ONCE(!bus1_entry_queued(entry)))
		return;

	if (!bus1_entry_staged(entry))
		queue->n_committed--;
	unlink_entry(queue, entry);
	entry->place.timestamp = 0;
}

/**
 * bus1_queue_next() - look at the entry behind another
 * @entry:	entry
 *
 * Return: the next entry, staged or not, or NULL.
 */
struct bus1_entry *bus1_queue_next(const struct bus1_entry *entry)
{
	return to_entry(rb_next(&entry->rb));
}

/**
 * bus1_queue_after() - find the first entry behind a place
 * @queue:	queue
 * @place:	place; nothing needs to be there
 *
 * Return: the first entry that is behind @place, staged or not, or NULL.
 */
struct bus1_entry *bus1_queue_after(const struct bus1_queue *queue,
				    const struct bus1_place *place)
{
	struct rb_node *rb = queue->entries.rb_root.rb_node;
	struct bus1_entry *found = NULL;

	while (rb) {
		if (bus1_place_before(place, &to_entry(rb)->place)) {
			found = to_entry(rb);
			rb = rb->rb_left;
		} else {
			rb = rb->rb_right;
		}
	}
	return found;
}
