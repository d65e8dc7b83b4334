/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1: what a peer is to nodes and handles
 */
#ifndef _BUS1_SPACE_H
#define _BUS1_SPACE_H

#include <linux/kref.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/rbtree.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

#include "queue.h"
#include "quota.h"

struct bus1_handle;
struct bus1_reply;

/**
 * struct bus1_waiter - a thread that waits to receive, on its stack
 * @link:	links it into &struct bus1_space.receivers; empty once it was picked.
 *		That peer's @data
 * @task:	the thread
 */
struct bus1_waiter {
	struct list_head link;
	struct task_struct *task;
};

/**
 * struct bus1_space - what a peer is to nodes and handles
 * @ref:	keeps the memory of the peer that embeds it
 * @free:	frees that peer; constant
 * @local:	serialises the peer's own calls on its handles. Taken before any
 *		@data; the second of two without sleeping. Nobody touches user
 *		memory under it with page faults on
 * @data:	what other peers touch: the queue, the quota, the pool's lists,
 *		the nodes. Held for BUS1_BATCH steps at the most; never two
 * @receivers:	&struct bus1_waiter that nobody has picked, the last to come in
 *		front: what its thread needs is still in the caches. @data
 * @n_coming:	waiters that were picked and have not looked yet; raised under @data,
 *		lowered by the waiter before it looks, under @data
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
 * @spares:	memory for messages to come, by &struct bus1_entry.link; @data
 * @n_spares:	number of @spares; @data
 * @spare_reply: memory for the next request, or NULL; exchanged without a lock
 * @spare_handle: memory for the next handle that is new to this peer, or NULL;
 *		exchanged without a lock: who attaches holds another peer's @data
 * @down:	nothing is accepted any more, for ever; set under @local and
 *		@data, read under either
 * @queued_bytes: bytes of the messages in @queue; @data
 */
struct bus1_space {
	struct kref ref;
	void (*free)(struct bus1_space *space);

	struct mutex local;
	spinlock_t data;
	struct list_head receivers;
	atomic_t n_coming;
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
	struct list_head spares;
	unsigned int n_spares;
	struct bus1_reply *spare_reply;
	struct bus1_handle *spare_handle;
	bool down;
};

void bus1_space_init(struct bus1_space *space, struct ucounts *user,
		     void (*free)(struct bus1_space *space));
void bus1_space_put(struct bus1_space *space);
void bus1_space_wake(struct bus1_space *space);
void bus1_space_wake_all(struct bus1_space *space);
void bus1_space_wake_one_locked(struct bus1_space *space, bool sync);
void bus1_space_wake_task(struct task_struct *task, bool sync);
void bus1_space_wait_locked(struct bus1_space *space, struct bus1_waiter *waiter);
void bus1_space_end_wait(struct bus1_space *space, struct bus1_waiter *waiter);
void bus1_space_lock_again(struct bus1_space *a, struct bus1_space *b);

static inline struct bus1_space *bus1_space_get(struct bus1_space *space)
{
	kref_get(&space->ref);
	return space;
}

/**
 * bus1_space_lock_two() - take two spaces' local locks
 * @a:	space
 * @b:	space, may be @a
 *
 * Never sleeps on one with the other held: that would let one peer stall another.
 */
static inline void bus1_space_lock_two(struct bus1_space *a,
				       struct bus1_space *b)
{
	mutex_lock(&a->local);
	if (a != b && unlikely(!mutex_trylock(&b->local)))
		bus1_space_lock_again(a, b);
}

/**
 * bus1_space_unlock_two() - release what bus1_space_lock_two() took
 * @a:	space
 * @b:	space, may be @a
 */
static inline void bus1_space_unlock_two(struct bus1_space *a,
					 struct bus1_space *b)
{
	mutex_unlock(&a->local);
	if (a != b)
		mutex_unlock(&b->local);
}

/**
 * bus1_space_wake_locked() - wake a receiver, if one is needed
 * @space:	space in whose queue something was committed; its @data is held
 * @sync:	whether the caller is about to sleep, or to receive
 *
 * Under the lock, so that no wake is left to somebody who may lose the processor.
 * bus1_space_wake_pollers() is to follow.
 */
static inline void bus1_space_wake_locked(struct bus1_space *space, bool sync)
{
	if (!list_empty(&space->receivers))
		bus1_space_wake_one_locked(space, sync);
}

/**
 * bus1_space_wake_pollers() - wake who polls
 * @space:	space in whose queue something was committed; no lock is held
 */
static inline void bus1_space_wake_pollers(struct bus1_space *space)
{
	/* Who polls looks at the queue under @data once it can be seen here. */
	if (waitqueue_active(&space->pollers))
		wake_up_interruptible_poll(&space->pollers,
					   EPOLLIN | EPOLLRDNORM);
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
