// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: what a peer is to nodes and handles
 */

#include <linux/poll.h>

#include "space.h"

/**
 * bus1_space_init() - initialize an empty space
 * @space:	space
 * @user:	user to charge; the space takes over the caller's reference
 * @free:	called when the last reference is put; may sleep
 */
void bus1_space_init(struct bus1_space *space, struct ucounts *user,
		     void (*free)(struct bus1_space *space))
{
	kref_init(&space->ref);
	space->free = free;
	mutex_init(&space->local);
	spin_lock_init(&space->data);
	init_waitqueue_head(&space->receivers);
	init_waitqueue_head(&space->pollers);
	space->handles = RB_ROOT;
	space->next_id = 0;
	space->n_handles = 0;
	space->owed = RB_ROOT;
	space->n_owed = 0;
	space->awaited = RB_ROOT;
	space->n_awaited = 0;
	space->n_nodes = 0;
	bus1_queue_init(&space->queue);
	space->queued_bytes = 0;
	INIT_LIST_HEAD(&space->forgettable);
	bus1_quota_init(&space->quota, user);
	space->spare = NULL;
	space->down = false;
	space->n_staged = 0;
}

static void free_space(struct kref *ref)
{
	struct bus1_space *space = container_of(ref, struct bus1_space, ref);

	space->free(space);
}

/**
 * bus1_space_put() - put a reference to a space
 * @space:	space
 *
 * May sleep: the last one frees the peer.
 */
void bus1_space_put(struct bus1_space *space)
{
	kref_put(&space->ref, free_space);
}

/* One message wakes one receiver: who takes it, or passes the wake on. */
static void wake(struct bus1_space *space, bool sync)
{
	/*
	 * wq_has_sleeper() orders this after the insertion. A receiver first
	 * queues itself, then looks at the queue under the data lock.
	 */
	if (wq_has_sleeper(&space->receivers)) {
		if (sync)
			wake_up_interruptible_sync(&space->receivers);
		else
			wake_up_interruptible(&space->receivers);
	}
	if (waitqueue_active(&space->pollers))
		wake_up_interruptible_poll(&space->pollers,
					   EPOLLIN | EPOLLRDNORM);
}

/**
 * bus1_space_wake() - wake one receiver, and all pollers
 * @space:	space in whose queue something can be received
 */
void bus1_space_wake(struct bus1_space *space)
{
	wake(space, false);
}

/**
 * bus1_space_wake_sync() - bus1_space_wake() by who is about to sleep
 * @space:	space in whose queue something can be received
 */
void bus1_space_wake_sync(struct bus1_space *space)
{
	wake(space, true);
}

/**
 * bus1_space_prepare_to_wait() - queue up to receive
 * @space:	space whose queue the caller looks at afterwards
 * @wait:	the caller, for finish_wait()
 *
 * The thread that ran last is woken first: what it needs is still in the caches.
 */
void bus1_space_prepare_to_wait(struct bus1_space *space,
				struct wait_queue_entry *wait)
{
	unsigned long flags;

	spin_lock_irqsave(&space->receivers.lock, flags);
	__add_wait_queue_exclusive(&space->receivers, wait);
	set_current_state(TASK_INTERRUPTIBLE);
	spin_unlock_irqrestore(&space->receivers.lock, flags);
}

/**
 * bus1_space_lock_two() - take two spaces' local locks
 * @a:	space
 * @b:	space, may be @a
 *
 * Never sleeps on one with the other held: that would let one peer stall another.
 */
void bus1_space_lock_two(struct bus1_space *a, struct bus1_space *b)
{
	for (;;) {
		mutex_lock(&a->local);
		if (a == b || mutex_trylock(&b->local))
			return;
		mutex_unlock(&a->local);
		swap(a, b);
	}
}

/**
 * bus1_space_unlock_two() - release what bus1_space_lock_two() took
 * @a:	space
 * @b:	space, may be @a
 */
void bus1_space_unlock_two(struct bus1_space *a, struct bus1_space *b)
{
	mutex_unlock(&a->local);
	if (a != b)
		mutex_unlock(&b->local);
}
