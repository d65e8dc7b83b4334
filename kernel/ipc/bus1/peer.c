// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: peers
 */

#include <linux/cred.h>
#include <linux/memcontrol.h>
#include <linux/pid.h>
#include <linux/random.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/user_namespace.h>

#include "peer.h"

static struct kmem_cache *peer_cache;

/**
 * bus1_peer_cache_init() - make the cache of this room, and the limit on peers
 */
void __init bus1_peer_cache_init(void)
{
	peer_cache = kmem_cache_create("bus1_peer", sizeof(struct bus1_peer), 0,
				       SLAB_ACCOUNT | SLAB_PANIC, NULL);
	init_user_ns.ucount_max[UCOUNT_BUS1_PEERS] = BUS1_USER_PEERS;
}

/* Returns false if memory is short. A user outside all containers has none. */
static bool find_container(struct bus1_ident *ident)
{
	struct user_namespace *ns = ident->user->ns;

	while (ns->level > 1)
		ns = ns->parent;
	if (!bus1_user_made_by_root(ns))
		return true;
	ident->container = alloc_ucounts(ns, GLOBAL_ROOT_UID);
	return ident->container;
}

/**
 * bus1_ident_new() - record who the caller is
 *
 * Return: the identity, or NULL.
 */
struct bus1_ident *bus1_ident_new(void)
{
	struct bus1_ident *ident;

	ident = kzalloc(sizeof(*ident), GFP_KERNEL_ACCOUNT);
	if (!ident)
		return NULL;
	ident->user = alloc_ucounts(current_user_ns(), current_euid());
	if (!ident->user)
		goto error_ident;
	if (!find_container(ident))
		goto error_user;
	kref_init(&ident->ref);
	ident->pid = get_pid(task_tgid(current));
	ident->uid = current_euid();
	ident->gid = current_egid();
	ident->memcg = get_mem_cgroup_from_mm(current->mm);
	return ident;

error_user:
	put_ucounts(ident->user);
error_ident:
	kfree(ident);
	return NULL;
}

/**
 * bus1_ident_free() - free an identity, see bus1_ident_put()
 * @ref:	its last reference, which is being put
 */
void bus1_ident_free(struct kref *ref)
{
	struct bus1_ident *ident = container_of(ref, struct bus1_ident, ref);

	mem_cgroup_put(ident->memcg);
	put_pid(ident->pid);
	if (ident->container)
		put_ucounts(ident->container);
	put_ucounts(ident->user);
	kfree(ident);
}

/**
 * bus1_peer_drop_spares() - free the memory that is kept for what comes next
 * @peer:	peer; one that is down will keep no more
 */
void bus1_peer_drop_spares(struct bus1_peer *peer)
{
	struct bus1_spare *spare, *next;
	struct bus1_reply *reply;

	spin_lock(&peer->data);
	spare = peer->spares;
	peer->spares = NULL;
	peer->n_spares = 0;
	reply = peer->spare_reply;
	peer->spare_reply = NULL;
	spin_unlock(&peer->data);
	for (; spare; spare = next) {
		next = spare->next;
		bus1_ident_put(spare->sender);
		kfree(spare);
	}
	kfree(xchg(&peer->spare_handle, NULL));
	/* It has a reference to the peer. */
	if (reply)
		bus1_peer_put(peer);
	kfree(reply);
}

/**
 * bus1_peer_free() - free a peer, see bus1_peer_put()
 * @ref:	its last reference, which is being put
 */
void bus1_peer_free(struct kref *ref)
{
	struct bus1_peer *peer = container_of(ref, struct bus1_peer, ref);

	WARN_ON_ONCE(peer->queue.n_entries);
	bus1_peer_drop_spares(peer);
	bus1_pool_deinit(&peer->pool);
	bus1_quota_deinit(&peer->quota);
	bus1_ident_put(peer->ident);
	kmem_cache_free(peer_cache, peer);
}

/**
 * bus1_peer_close() - put the reference that came with bus1_peer_new()
 * @peer:	peer that is drained or was never used
 *
 * From now on it does not count among its user's peers, and has nothing reserved and no
 * pool, even while others hold dead handles to its nodes.
 */
void bus1_peer_close(struct bus1_peer *peer)
{
	struct file *file;

	/* A call that raced with going down may have made a new file. */
	spin_lock(&peer->data);
	file = bus1_pool_detach(&peer->pool);
	bus1_quota_close(&peer->quota);
	spin_unlock(&peer->data);
	bus1_pool_put_file(file);
	bus1_peer_put(peer);
}

static void set_limit(struct bus1_amount *max, enum bus1_resource r, u64 limit)
{
	if (limit != BUS1_LIMIT_KEEP)
		max->of[r] = limit;
}

static void merge_limits(struct bus1_amount *max,
			 const struct bus1_peer_limits *limits)
{
	if (!limits)
		return;
	set_limit(max, BUS1_SLICES, limits->max_slices);
	set_limit(max, BUS1_HANDLES, limits->max_handles);
	set_limit(max, BUS1_BYTES, limits->max_inflight_bytes);
	set_limit(max, BUS1_FDS, limits->max_inflight_fds);
}

static struct bus1_peer *new_peer(const struct bus1_amount *max)
{
	struct bus1_peer *peer;
	int err;

	peer = kmem_cache_zalloc(peer_cache, GFP_KERNEL);
	if (!peer)
		return ERR_PTR(-ENOMEM);
	peer->ident = bus1_ident_new();
	if (!peer->ident) {
		kmem_cache_free(peer_cache, peer);
		return ERR_PTR(-ENOMEM);
	}

	kref_init(&peer->ref);
	mutex_init(&peer->local);
	peer->handles = RB_ROOT;
	peer->awaited = RB_ROOT;
	peer->owed = RB_ROOT;
	/*
	 * It is no counter, which would tell how many peers others open. It is positive
	 * for those who read it as a long long.
	 */
	peer->id = get_random_u64() >> 1;
	spin_lock_init(&peer->data);
	INIT_LIST_HEAD(&peer->receivers);
	bus1_queue_init(&peer->queue);
	bus1_quota_init(&peer->quota, peer->ident->user);
	bus1_pool_init(&peer->pool);
	INIT_LIST_HEAD(&peer->forgettable);
	init_waitqueue_head(&peer->pollers);
	err = bus1_quota_open(&peer->quota, max);
	if (err) {
		bus1_peer_put(peer);
		return ERR_PTR(err);
	}
	return peer;
}

/**
 * bus1_peer_new() - open a peer with the identity of the caller
 * @limits:	valid limits, or NULL for defaults
 *
 * Return: the peer; -ENOSPC if the user has too many, or no room for its limits;
 * -ENOMEM.
 */
struct bus1_peer *bus1_peer_new(const struct bus1_peer_limits *limits)
{
	struct bus1_amount max = bus1_quota_defaults();

	merge_limits(&max, limits);
	return new_peer(&max);
}

static bool limit_is_valid(u64 limit)
{
	return limit <= BUS1_LIMIT_MAX || limit == BUS1_LIMIT_KEEP;
}

/**
 * bus1_peer_check_limits() - check limits that a caller gave
 * @limits:	limits
 *
 * Return: 0 or -EINVAL.
 */
int bus1_peer_check_limits(const struct bus1_peer_limits *limits)
{
	return limit_is_valid(limits->max_slices) &&
	       limit_is_valid(limits->max_handles) &&
	       limit_is_valid(limits->max_inflight_bytes) &&
	       limit_is_valid(limits->max_inflight_fds) ? 0 : -EINVAL;
}

/**
 * bus1_peer_set_limits() - set limits
 * @peer:	peer
 * @limits:	valid limits
 *
 * Return: 0; -ESHUTDOWN; -ENOSPC, and nothing has changed, if its user has no room
 * for them.
 */
int bus1_peer_set_limits(struct bus1_peer *peer,
			 const struct bus1_peer_limits *limits)
{
	struct bus1_quota *quota = &peer->quota;
	int err = -ESHUTDOWN;
	struct bus1_amount max;

	spin_lock(&peer->data);
	if (!peer->down) {
		max = quota->max;
		merge_limits(&max, limits);
		err = bus1_quota_set_limits(quota, &max);
	}
	spin_unlock(&peer->data);
	return err;
}

/**
 * bus1_peer_ident() - get who a peer is
 * @peer:	peer
 *
 * Return: its identity, with a reference.
 */
struct bus1_ident *bus1_peer_ident(struct bus1_peer *peer)
{
	struct bus1_ident *ident;

	spin_lock(&peer->data);
	ident = bus1_ident_get(peer->ident);
	spin_unlock(&peer->data);
	return ident;
}

static bool swap_identity(struct bus1_peer *peer, struct bus1_peer *with)
{
	bool free;

	spin_lock(&peer->data);
	free = bus1_quota_swap(&peer->quota, &with->quota);
	if (free)
		swap(peer->ident, with->ident);
	spin_unlock(&peer->data);
	return free;
}

/**
 * bus1_peer_adopt() - give a peer the identity of the caller
 * @peer:	peer whose @local is held
 * @limits:	valid limits, or NULL to keep them
 *
 * This makes a new peer with the identity of the caller and the limits that @peer is to
 * have, and swaps identities and reservations with it. Closing the new peer then takes
 * the old ones away.
 *
 * Return: 0; -EBUSY while anything is charged to the peer; -ENOSPC if the caller
 * has too many peers, or no room for the limits; -ENOMEM.
 */
int bus1_peer_adopt(struct bus1_peer *peer,
		    const struct bus1_peer_limits *limits)
{
	/* Set under @local. */
	struct bus1_amount max = peer->quota.max;
	struct bus1_peer *fresh;
	bool swapped;

	lockdep_assert_held(&peer->local);

	merge_limits(&max, limits);
	fresh = new_peer(&max);
	if (IS_ERR(fresh))
		return PTR_ERR(fresh);
	swapped = swap_identity(peer, fresh);
	/* The spares are charged to the old cgroup. */
	if (swapped)
		bus1_peer_drop_spares(peer);
	bus1_peer_close(fresh);
	return swapped ? 0 : -EBUSY;
}

static void wake_waiter_locked(struct bus1_peer *peer,
			       struct bus1_waiter *waiter)
{
	peer->n_coming++;
	peer->n_waiting--;
	wake_up_state(waiter->task, TASK_INTERRUPTIBLE);
	/* Last, since the waiter may be gone then. Pairs with wait_readable(). */
	list_del_init_careful(&waiter->link);
}

/**
 * bus1_peer_wake_one_locked() - see bus1_peer_wake_locked()
 * @peer:	peer whose @data is held, with receivers
 *
 * One receiver comes for each entry. So nobody is woken unless there are more entries
 * than receivers on their way.
 */
void bus1_peer_wake_one_locked(struct bus1_peer *peer)
{
	lockdep_assert_held(&peer->data);

	if (peer->queue.n_committed > peer->n_coming)
		wake_waiter_locked(peer,
				   list_first_entry(&peer->receivers,
						    struct bus1_waiter, link));
}

/**
 * bus1_peer_wake() - wake one receiver, and all pollers
 * @peer:	peer in whose queue something can be received
 */
void bus1_peer_wake(struct bus1_peer *peer)
{
	spin_lock(&peer->data);
	bus1_peer_wake_locked(peer);
	spin_unlock(&peer->data);
	bus1_peer_wake_pollers(peer);
}

/**
 * bus1_peer_wake_all() - wake all receivers and pollers
 * @peer:	peer that is down
 */
void bus1_peer_wake_all(struct bus1_peer *peer)
{
	struct bus1_waiter *waiter;
	size_t steps = 0;

	spin_lock(&peer->data);
	while ((waiter = list_first_entry_or_null(&peer->receivers,
						  struct bus1_waiter, link))) {
		wake_waiter_locked(peer, waiter);
		/* Nobody begins to wait any more. */
		bus1_peer_relax_locked(peer, ++steps);
	}
	spin_unlock(&peer->data);
	wake_up_interruptible_all(&peer->pollers);
}

/**
 * bus1_peer_lock_again() - take two peers' local locks
 * @a:	peer whose @local is held
 * @b:	peer whose @local somebody else holds
 *
 * See bus1_peer_lock_two().
 */
void bus1_peer_lock_again(struct bus1_peer *a, struct bus1_peer *b)
{
	do {
		mutex_unlock(&a->local);
		swap(a, b);
		mutex_lock(&a->local);
	} while (!mutex_trylock(&b->local));
}
