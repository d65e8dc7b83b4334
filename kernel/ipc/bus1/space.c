// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: what a peer is to nodes and handles
 */

#include "space.h"

/**
 * bus1_space_init() - initialize an empty space
 * @space:	space
 * @user:	user to reserve from, who outlives the space
 * @free:	called when the last reference is put; may sleep
 */
void bus1_space_init(struct bus1_space *space, struct ucounts *user,
		     void (*free)(struct bus1_space *space))
{
	kref_init(&space->ref);
	space->free = free;
	mutex_init(&space->local);
	spin_lock_init(&space->data);
	INIT_LIST_HEAD(&space->receivers);
	atomic_set(&space->n_coming, 0);
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
	INIT_LIST_HEAD(&space->spares);
	space->n_spares = 0;
	space->spare_reply = NULL;
	space->spare_handle = NULL;
	space->down = false;
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

/*
 * The scheduler is told that the two run in turn, and need not interrupt another
 * processor. It can only be told so by a wait queue.
 */
static void wake_sync(struct task_struct *task)
{
	DECLARE_WAIT_QUEUE_HEAD_ONSTACK(queue);
	struct wait_queue_entry entry;

	init_waitqueue_entry(&entry, task);
	__add_wait_queue(&queue, &entry);
	wake_up_interruptible_sync(&queue);
}

/**
 * bus1_space_wake_task() - wake a thread that waits for something of a space
 * @task:	thread, which cannot leave before the lock is released that the caller
 *		holds
 * @sync:	whether the caller is about to sleep, or to receive
 */
void bus1_space_wake_task(struct task_struct *task, bool sync)
{
	if (sync)
		wake_sync(task);
	else
		wake_up_state(task, TASK_INTERRUPTIBLE);
}

static void wake_waiter_locked(struct bus1_space *space,
			       struct bus1_waiter *waiter, bool sync)
{
	atomic_inc(&space->n_coming);
	bus1_space_wake_task(waiter->task, sync);
	/* Last: then the waiter may be gone. Pairs with bus1_space_end_wait(). */
	list_del_init_careful(&waiter->link);
}

/**
 * bus1_space_wake_one_locked() - see bus1_space_wake_locked()
 * @space:	space whose @data is held, with receivers
 * @sync:	as there
 *
 * For each entry one receiver comes, so nobody is woken as long as there are not
 * more entries than receivers on their way.
 */
void bus1_space_wake_one_locked(struct bus1_space *space, bool sync)
{
	lockdep_assert_held(&space->data);

	if (space->queue.n_committed > atomic_read(&space->n_coming))
		wake_waiter_locked(space,
				   list_first_entry(&space->receivers,
						    struct bus1_waiter, link),
				   sync);
}

/**
 * bus1_space_wake() - wake one receiver, and all pollers
 * @space:	space in whose queue something can be received
 */
void bus1_space_wake(struct bus1_space *space)
{
	spin_lock(&space->data);
	bus1_space_wake_locked(space, false);
	spin_unlock(&space->data);
	bus1_space_wake_pollers(space);
}

/**
 * bus1_space_wake_all() - wake all receivers and pollers
 * @space:	space that is down
 */
void bus1_space_wake_all(struct bus1_space *space)
{
	struct bus1_waiter *waiter, *next;

	spin_lock(&space->data);
	list_for_each_entry_safe(waiter, next, &space->receivers, link)
		wake_waiter_locked(space, waiter, false);
	spin_unlock(&space->data);
	wake_up_interruptible_all(&space->pollers);
}

/**
 * bus1_space_wait_locked() - queue up to receive
 * @space:	space whose @data is held, and in which nothing can be received
 * @waiter:	the calling thread; it sleeps next, and bus1_space_end_wait()
 *		follows
 */
void bus1_space_wait_locked(struct bus1_space *space, struct bus1_waiter *waiter)
{
	lockdep_assert_held(&space->data);

	waiter->task = current;
	list_add(&waiter->link, &space->receivers);
	set_current_state(TASK_INTERRUPTIBLE);
}

/**
 * bus1_space_end_wait() - undo bus1_space_wait_locked()
 * @space:	space
 * @waiter:	the calling thread; if it was picked it has to look at the queue,
 *		or to call bus1_space_wake()
 */
void bus1_space_end_wait(struct bus1_space *space, struct bus1_waiter *waiter)
{
	__set_current_state(TASK_RUNNING);
	if (!list_empty_careful(&waiter->link)) {
		spin_lock(&space->data);
		if (!list_empty(&waiter->link)) {
			list_del(&waiter->link);
			spin_unlock(&space->data);
			return;
		}
		spin_unlock(&space->data);
	}
	atomic_dec(&space->n_coming);
}

/**
 * bus1_space_lock_again() - take two spaces' local locks
 * @a:	space whose @local is held
 * @b:	space whose @local is somebody else's
 *
 * See bus1_space_lock_two().
 */
void bus1_space_lock_again(struct bus1_space *a, struct bus1_space *b)
{
	do {
		mutex_unlock(&a->local);
		swap(a, b);
		mutex_lock(&a->local);
	} while (!mutex_trylock(&b->local));
}
