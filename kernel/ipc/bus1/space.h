/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1: what a peer is to nodes and handles
 */
#ifndef _BUS1_SPACE_H
#define _BUS1_SPACE_H

#include <linux/kref.h>
#include <linux/mutex.h>
#include <linux/rbtree.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

#include "queue.h"
#include "quota.h"

struct bus1_message;

/**
 * struct bus1_space - what a peer is to nodes and handles
 * @ref:	keeps the memory of the peer that embeds it
 * @free:	frees that peer; constant
 * @local:	serialises the peer's own calls on its handles. Taken before any
 *		@data; the second of two without sleeping. Nobody touches user
 *		memory under it with page faults on
 * @data:	what other peers touch: the queue, the quota, the pool's lists,
 *		the nodes. Held for BUS1_BATCH steps at the most; never two
 * @receivers:	threads that wait to receive, the last to come in front
 * @pollers:	who polls
 * @handles:	handles that have an ID, by ID; @local
 * @next_id:	counter for IDs that the kernel chooses; @local
 * @n_nodes:	live nodes; @data
 * @n_handles:	number of @handles; @local
 * @owed:	replies that this peer has the handle of, by &struct
 *		bus1_reply.handle; @local
 * @n_owed:	number of @owed; @local
 * @awaited:	replies to requests of this peer that it has not received, by
 *		&struct bus1_reply.id; @local
 * @n_awaited:	number of @awaited; @local
 * @queue:	what waits to be received; @data
 * @quota:	limits; @data
 * @forgettable: dead nodes that others dropped the last reference to, by
 *		&struct bus1_node.released; @data
 * @spare:	a message for the next sender, or NULL; @data
 * @down:	nothing is accepted any more, for ever; set under @local and
 *		@data, read under either
 * @queued_bytes: bytes of the messages in @queue; @data
 * @n_staged:	messages on @queue between stage and commit; @data, waited for
 *		as a variable once @down
 */
struct bus1_space {
	struct kref ref;
	void (*free)(struct bus1_space *space);

	struct mutex local;
	spinlock_t data;
	wait_queue_head_t receivers;
	wait_queue_head_t pollers;

	struct rb_root handles;
	u64 next_id;
	size_t n_handles;
	struct rb_root owed;
	size_t n_owed;
	struct rb_root awaited;
	size_t n_awaited;

	size_t n_nodes;
	struct bus1_queue queue;
	u64 queued_bytes;
	struct bus1_quota quota;
	struct list_head forgettable;
	struct bus1_message *spare;
	bool down;
	size_t n_staged;
};

void bus1_space_init(struct bus1_space *space, struct ucounts *user,
		     void (*free)(struct bus1_space *space));
void bus1_space_put(struct bus1_space *space);
void bus1_space_wake(struct bus1_space *space);
void bus1_space_wake_sync(struct bus1_space *space);
void bus1_space_prepare_to_wait(struct bus1_space *space,
				struct wait_queue_entry *wait);
void bus1_space_lock_two(struct bus1_space *a, struct bus1_space *b);
void bus1_space_unlock_two(struct bus1_space *a, struct bus1_space *b);

static inline struct bus1_space *bus1_space_get(struct bus1_space *space)
{
	kref_get(&space->ref);
	return space;
}

/**
 * bus1_space_next_id() - choose an ID
 * @space:	space whose @local is held
 *
 * Return: an ID that was never used in @space, without its flags.
 */
static inline u64 bus1_space_next_id(struct bus1_space *space)
{
	return space->next_id++ << BUS1_HANDLE_ID_SHIFT;
}

/**
 * bus1_space_relax_locked() - pause a long walk under the data lock
 * @space:	space whose @data is held
 * @step:	number of the step that comes next
 *
 * Every BUS1_BATCH steps the lock is released for a moment.
 */
static inline void bus1_space_relax_locked(struct bus1_space *space, size_t step)
{
	if (!step || step % BUS1_BATCH)
		return;
	spin_unlock(&space->data);
	cond_resched();
	spin_lock(&space->data);
}

#endif /* _BUS1_SPACE_H */
