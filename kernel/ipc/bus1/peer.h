/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1: peers
 */
#ifndef _BUS1_PEER_H
#define _BUS1_PEER_H

#include <linux/atomic.h>
#include <linux/kref.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/rbtree.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/uidgid_types.h>
#include <linux/wait.h>

#include "pool.h"
#include "queue.h"
#include "quota.h"

struct bus1_handle;
struct bus1_message;
struct bus1_reply;
struct mem_cgroup;
struct pid;
struct ucounts;

/**
 * struct bus1_ident - the identity that a peer was opened with
 * @ref:	keeps the memory: one for the peer, and one for each message whose memory
 *		the peer was the last to fill
 * @user:	user namespace and effective user ID, referenced
 * @container:	what stands for the container that it lives in, if the root of the
 *		initial user namespace made one: that namespace with its owner's
 *		ID, referenced; or NULL
 * @pid:	thread group, referenced
 * @uid:	effective user ID
 * @gid:	effective group ID
 * @memcg:	memory cgroup, referenced, or NULL
 *
 * It never changes, so a reference is enough to read it without a lock. A peer that
 * is adopted gets another one.
 */
struct bus1_ident {
	struct kref ref;
	struct ucounts *user;
	struct ucounts *container;
	struct pid *pid;
	kuid_t uid;
	kgid_t gid;
	struct mem_cgroup *memcg;
};

struct bus1_ident *bus1_ident_new(void);
void bus1_ident_free(struct kref *ref);

static inline struct bus1_ident *bus1_ident_get(struct bus1_ident *ident)
{
	kref_get(&ident->ref);
	return ident;
}

/**
 * bus1_ident_put() - put a reference to an identity
 * @ident:	identity, or NULL
 */
static inline void bus1_ident_put(struct bus1_ident *ident)
{
	if (ident)
		kref_put(&ident->ref, bus1_ident_free);
}

/**
 * struct bus1_waiter - a thread that waits to receive, on its stack
 * @link:	links it into &struct bus1_peer.receivers; empty once it has been
 *		picked. That peer's @data
 * @task:	the thread
 */
struct bus1_waiter {
	struct list_head link;
	struct task_struct *task;
};

/**
 * struct bus1_spare - memory that waits for its next use
 * @next:	the next, or NULL
 * @sender:	the sender that used it last, referenced, or NULL
 *
 * Lies at the start of an object that kfree() can free.
 */
struct bus1_spare {
	struct bus1_spare *next;
	struct bus1_ident *sender;
};

/**
 * struct bus1_peer - a participant
 * @ref:	keeps the memory
 * @local:	serialises the peer's own calls on its handles, its seed and its published
 *		slices. Taken before any @data; the second of two without sleeping.
 *		Nobody touches user memory under it with page faults on
 * @handles:	handles that have an ID, by ID; @local
 * @n_handles:	number of @handles; @local
 * @awaited:	replies to requests of this peer that it has not received, by
 *		&struct bus1_reply.id; @local
 * @n_awaited:	number of @awaited; @local
 * @owed:	replies that this peer has the handle of, by &struct
 *		bus1_reply.handle; @local
 * @n_owed:	number of @owed; @local
 * @next_id:	counter for IDs that the kernel chooses; @local
 * @seed:	the seed, or NULL; @local
 * @n_sent:	deliveries; @local
 * @ident:	who it is, referenced, and whose user its limits are reserved from;
 *		set under @local and @data, read under either
 * @spare_reply: memory for the next request, or NULL; @data
 * @spare_handle: memory for the next handle that is new to this peer, or NULL;
 *		exchanged without a lock, since attaching holds another peer's @data
 * @id:		names it for people; constant
 * @down:	nothing is accepted any more, for ever; set under @local and
 *		@data, read under either
 * @data:	what other peers touch: the queue, the quota, the pool's lists,
 *		the nodes. Held for BUS1_BATCH steps at most; never two at once
 * @receivers:	each &struct bus1_waiter that nobody has picked yet, the latest in
 *		front: what its thread needs is still in the caches. @data
 * @n_coming:	waiters that were picked and have not looked at the queue yet; @data
 * @n_waiting:	threads that are registered for a reply or wait for a message; @data
 * @queue:	what waits to be received; @data
 * @queued_bytes: bytes of the messages in @queue; @data
 * @spares:	memory for messages to come; @data
 * @n_spares:	number of @spares; @data
 * @n_received:	entries received; @data
 * @quota:	limits; @data
 * @pool:	receive memory; its lists under @data
 * @n_nodes:	live nodes; @data
 * @forgettable: dead nodes that others dropped the last reference to, by
 *		&struct bus1_node.released; @data
 * @pollers:	threads that poll
 *
 * Life, in named steps:
 *
 * up
 *	Everything works.
 * down
 *	bus1_peer_disconnect() or the last close of the file said so. From now
 *	on every call returns -ESHUTDOWN and every send to it -EHOSTUNREACH.
 *	The locks protect the same as before.
 * drained
 *	Its nodes are destroyed, no message is in its queue, it holds no handle,
 *	slice or seed. Others may still hold dead handles to its nodes.
 * freed
 *	The last of these is gone, and the file is closed.
 */
struct bus1_peer {
	struct kref ref;
	struct mutex local;
	struct rb_root handles;
	size_t n_handles;
	struct rb_root awaited;
	size_t n_awaited;
	struct rb_root owed;
	size_t n_owed;
	u64 next_id;
	struct bus1_message *seed;
	u64 n_sent;
	struct bus1_ident *ident;
	struct bus1_reply *spare_reply;
	struct bus1_handle *spare_handle;
	u64 id;

	bool down;
	spinlock_t data;
	struct list_head receivers;
	unsigned int n_coming;
	unsigned int n_waiting;
	struct bus1_queue queue;
	u64 queued_bytes;
	struct bus1_spare *spares;
	unsigned int n_spares;
	u64 n_received;
	struct bus1_quota quota;
	struct bus1_pool pool;
	size_t n_nodes;
	struct list_head forgettable;
	wait_queue_head_t pollers;
};

/* How to allocate what stays with a receiver and is charged to its cgroup. */
#define BUS1_GFP_RECEIVER \
	(GFP_KERNEL_ACCOUNT | __GFP_NORETRY | __GFP_NOWARN)

void bus1_peer_cache_init(void);
struct bus1_peer *bus1_peer_new(const struct bus1_peer_limits *limits);
void bus1_peer_free(struct kref *ref);
void bus1_peer_close(struct bus1_peer *peer);
void bus1_peer_drop_spares(struct bus1_peer *peer);
struct bus1_ident *bus1_peer_ident(struct bus1_peer *peer);
int bus1_peer_check_limits(const struct bus1_peer_limits *limits);
int bus1_peer_set_limits(struct bus1_peer *peer,
			 const struct bus1_peer_limits *limits);
int bus1_peer_adopt(struct bus1_peer *peer,
		    const struct bus1_peer_limits *limits);

void bus1_peer_wake(struct bus1_peer *peer);
void bus1_peer_wake_all(struct bus1_peer *peer);
void bus1_peer_wake_one_locked(struct bus1_peer *peer);
void bus1_peer_lock_again(struct bus1_peer *a, struct bus1_peer *b);

static inline struct bus1_peer *bus1_peer_get(struct bus1_peer *peer)
{
	kref_get(&peer->ref);
	return peer;
}

/**
 * bus1_peer_put() - put a reference to a peer
 * @peer:	peer
 *
 * May sleep: the last one frees it.
 */
static inline void bus1_peer_put(struct bus1_peer *peer)
{
	kref_put(&peer->ref, bus1_peer_free);
}

/**
 * bus1_peer_lock_two() - take two peers' local locks
 * @a:	peer
 * @b:	peer, may be @a
 *
 * It never sleeps on one with the other held: that would let one peer stall another.
 */
static inline void bus1_peer_lock_two(struct bus1_peer *a,
				       struct bus1_peer *b)
{
	mutex_lock(&a->local);
	if (a != b && unlikely(!mutex_trylock(&b->local)))
		bus1_peer_lock_again(a, b);
}

/**
 * bus1_peer_unlock_two() - release what bus1_peer_lock_two() took
 * @a:	peer
 * @b:	peer, may be @a
 */
static inline void bus1_peer_unlock_two(struct bus1_peer *a,
					 struct bus1_peer *b)
{
	mutex_unlock(&a->local);
	if (a != b)
		mutex_unlock(&b->local);
}

/**
 * bus1_peer_wake_locked() - wake a receiver, if one is needed
 * @peer:	peer in whose queue something was committed; its @data is held
 *
 * This is done under the lock, so that no wake is left to a task that may lose the
 * processor. bus1_peer_wake_pollers() is to follow.
 */
static inline void bus1_peer_wake_locked(struct bus1_peer *peer)
{
	if (!list_empty(&peer->receivers))
		bus1_peer_wake_one_locked(peer);
}

/**
 * bus1_peer_wake_pollers() - wake the threads that poll
 * @peer:	peer in whose queue something was committed; no lock is held
 */
static inline void bus1_peer_wake_pollers(struct bus1_peer *peer)
{
	/* A poller looks at the queue, under @data, after it can be seen here. */
	if (waitqueue_active(&peer->pollers))
		wake_up_interruptible_poll(&peer->pollers,
					   EPOLLIN | EPOLLRDNORM);
}

/**
 * bus1_peer_next_id() - choose an ID
 * @peer:	peer whose @local is held
 *
 * Return: an ID that was never used in @peer, without its flags.
 */
static inline u64 bus1_peer_next_id(struct bus1_peer *peer)
{
	return peer->next_id++ << BUS1_HANDLE_ID_SHIFT;
}

/**
 * bus1_peer_relax_locked() - pause a long walk under the data lock
 * @peer:	peer whose @data is held
 * @step:	number of the step that comes next
 *
 * Every BUS1_BATCH steps the lock is released for a moment.
 */
static inline void bus1_peer_relax_locked(struct bus1_peer *peer, size_t step)
{
	if (!step || step % BUS1_BATCH)
		return;
	spin_unlock(&peer->data);
	cond_resched();
	spin_lock(&peer->data);
}

#endif /* _BUS1_PEER_H */
