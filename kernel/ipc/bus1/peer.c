// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: peers
 */

#include <linux/cred.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/user_namespace.h>

#include "peer.h"

static struct kmem_cache *peer_cache;

/**
 * bus1_peer_init() - make the cache of this room, and the limit on peers
 *
 * Return: 0. Panics when there is no memory at boot.
 */
int __init bus1_peer_init(void)
{
	peer_cache = kmem_cache_create("bus1_peer", sizeof(struct bus1_peer), 0,
				       SLAB_ACCOUNT | SLAB_PANIC, NULL);
	init_user_ns.ucount_max[UCOUNT_BUS1_PEERS] = BUS1_USER_PEERS;
	return 0;
}

/**
 * bus1_peer_drop_spares() - free the memory that is kept for what comes next
 * @peer:	peer; if it is down none comes after it
 */
void bus1_peer_drop_spares(struct bus1_peer *peer)
{
	bus1_message_drop_spares(&peer->space);
	bus1_reply_drop_spare(&peer->space);
	bus1_handle_drop_spare(&peer->space);
}

static void free_peer(struct bus1_space *space)
{
	struct bus1_peer *peer = bus1_peer_of(space);

	WARN_ON_ONCE(space->queue.n_entries);
	bus1_peer_drop_spares(peer);
	bus1_pool_deinit(&peer->pool);
	bus1_quota_deinit(&space->quota);
	bus1_ident_put(peer->ident);
	kmem_cache_free(peer_cache, peer);
}

/**
 * bus1_peer_close() - put the reference that came with bus1_peer_new()
 * @peer:	peer that is drained or was never used
 *
 * From now on it does not count among its user's peers, has nothing reserved and no
 * pool, even while others hold dead handles to its nodes.
 */
void bus1_peer_close(struct bus1_peer *peer)
{
	struct file *file;

	/* Who lost a race with going down may have made it anew. */
	spin_lock(&peer->space.data);
	file = bus1_pool_detach(&peer->pool);
	bus1_quota_close(&peer->space.quota);
	spin_unlock(&peer->space.data);
	bus1_pool_put_file(file);
	bus1_space_put(&peer->space);
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

	bus1_space_init(&peer->space, peer->ident->user, free_peer);
	bus1_pool_init(&peer->pool);
	err = bus1_quota_open(&peer->space.quota, max);
	if (err) {
		bus1_space_put(&peer->space);
		return ERR_PTR(err);
	}
	/*
	 * Not a counter, which would tell how many peers others open. Positive, for
	 * those who read it as a long long.
	 */
	peer->id = get_random_u64() >> 1;
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
	struct bus1_quota *quota = &peer->space.quota;
	int err = -ESHUTDOWN;
	struct bus1_amount max;

	spin_lock(&peer->space.data);
	if (!peer->space.down) {
		max = quota->max;
		merge_limits(&max, limits);
		err = bus1_quota_set_limits(quota, &max);
	}
	spin_unlock(&peer->space.data);
	return err;
}

/* The notice of a handle that its holder released meanwhile is for nobody. */
static bool is_deliverable(const struct bus1_entry *entry)
{
	return entry->type != BUS1_ENTRY_DESTROY ||
	       container_of(entry, struct bus1_handle, destroyed)->n_user;
}

/* Returns true once @entry can be received, or somebody else is at it no more. */
static bool settle_locked(struct bus1_space *space, struct bus1_entry *entry)
{
	struct bus1_tx *tx = entry->tx;

	if (bus1_entry_staged(entry)) {
		if (bus1_tx_postpone(tx, &space->queue, entry))
			return false;
	} else if (!tx || bus1_tx_is_placed(tx)) {
		return true;
	}
	/* Who is over has left nothing to do, and the entry is looked at again. */
	if (bus1_tx_enter(tx)) {
		spin_unlock(&space->data);
		bus1_tx_help(tx);
		spin_lock(&space->data);
	}
	return false;
}

/**
 * bus1_peer_peek_locked() - look for an entry to receive
 * @peer:	peer whose @space.data is held
 *
 * Postpones transactions that are under way, or finishes them, and removes notices of
 * handles that the peer released meanwhile. May release @space.data in between, and
 * sleep then.
 *
 * Return: the entry that is next, or NULL if nothing is committed.
 */
struct bus1_entry *bus1_peer_peek_locked(struct bus1_peer *peer)
{
	struct bus1_space *space = &peer->space;
	struct bus1_entry *entry;
	size_t steps = 0;

	lockdep_assert_held(&space->data);

	while (space->queue.n_committed) {
		bus1_space_relax_locked(space, steps++);
		entry = bus1_queue_first(&space->queue);
		if (!entry || !settle_locked(space, entry))
			continue;
		if (is_deliverable(entry))
			return entry;
		bus1_queue_remove(&space->queue, entry);
	}
	return NULL;
}

/**
 * bus1_peer_has_more_locked() - whether more of an event is to be received
 * @peer:	peer whose @space.local and @space.data are held
 * @entry:	what bus1_peer_peek_locked() returned; it stays in front
 *
 * May release @space.data in between, and sleep then.
 *
 * Return: true if the next entry that would be received is of the same transaction.
 */
bool bus1_peer_has_more_locked(struct bus1_peer *peer, struct bus1_entry *entry)
{
	struct bus1_space *space = &peer->space;
	struct bus1_entry *next;
	size_t steps = 0;

	lockdep_assert_held(&space->local);

	while (entry->tx) {
		bus1_space_relax_locked(space, steps++);
		next = bus1_queue_next(entry);
		if (!next || next->tx != entry->tx)
			break;
		if (is_deliverable(next))
			return true;
		bus1_queue_remove(&space->queue, next);
	}
	return false;
}

static void fill_info(const struct bus1_peer *peer, struct bus1_peer_info *info)
{
	const struct bus1_quota *quota = &peer->space.quota;

	info->max_slices = quota->max.of[BUS1_SLICES];
	info->max_handles = quota->max.of[BUS1_HANDLES];
	info->max_inflight_bytes = quota->max.of[BUS1_BYTES];
	info->max_inflight_fds = quota->max.of[BUS1_FDS];
	info->used_slices = quota->used.of[BUS1_SLICES];
	info->used_handles = quota->used.of[BUS1_HANDLES];
	info->used_inflight_bytes = quota->used.of[BUS1_BYTES];
	info->used_inflight_fds = quota->used.of[BUS1_FDS];
	info->id = peer->id;
	info->n_nodes = peer->space.n_nodes;
	info->n_handles = peer->space.n_handles + peer->space.n_owed;
	info->n_queued = peer->space.queue.n_committed;
	info->n_sent = atomic64_read(&peer->n_sent);
	info->n_received = peer->n_received;
}

/**
 * bus1_peer_query() - tell the state of a peer
 * @peer:	peer
 * @info:	filled in, also for a peer that is down
 *
 * Return: 0, or -ESHUTDOWN.
 */
int bus1_peer_query(struct bus1_peer *peer, struct bus1_peer_info *info)
{
	bool down;

	mutex_lock(&peer->space.local);
	spin_lock(&peer->space.data);
	/* Notices that nobody would get are not counted. */
	bus1_peer_peek_locked(peer);
	fill_info(peer, info);
	down = peer->space.down;
	spin_unlock(&peer->space.data);
	mutex_unlock(&peer->space.local);
	return down ? -ESHUTDOWN : 0;
}

static bool swap_identity(struct bus1_peer *peer, struct bus1_peer *with)
{
	bool free;

	spin_lock(&peer->space.data);
	free = bus1_quota_swap(&peer->space.quota, &with->space.quota);
	if (free)
		swap(peer->ident, with->ident);
	spin_unlock(&peer->space.data);
	return free;
}

/**
 * bus1_peer_adopt() - give a peer the identity of the caller
 * @peer:	peer whose @space.local is held
 * @limits:	valid limits, or NULL to keep them
 *
 * A new peer of the caller's is made, with the limits that this one is to have, and
 * gets the old identity and what was reserved with it, to take both away.
 *
 * Return: 0; -EBUSY while anything is charged to the peer; -ENOSPC if the caller
 * has too many peers, or no room for the limits; -ENOMEM.
 */
int bus1_peer_adopt(struct bus1_peer *peer,
		    const struct bus1_peer_limits *limits)
{
	/* Set under @space.local. */
	struct bus1_amount max = peer->space.quota.max;
	struct bus1_peer *fresh;
	bool swapped;

	lockdep_assert_held(&peer->space.local);

	merge_limits(&max, limits);
	fresh = new_peer(&max);
	if (IS_ERR(fresh))
		return PTR_ERR(fresh);
	swapped = swap_identity(peer, fresh);
	/* They are charged to the old cgroup. */
	if (swapped)
		bus1_peer_drop_spares(peer);
	bus1_peer_close(fresh);
	return swapped ? 0 : -EBUSY;
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

	spin_lock(&peer->space.data);
	ident = bus1_ident_get(peer->ident);
	spin_unlock(&peer->space.data);
	return ident;
}

static void free_slices(struct bus1_slice **slices, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		bus1_message_free(bus1_message_of(slices[i]));
}

/*
 * On failure everything is as it was. Others who could change what is published
 * wait for @local, so the data lock can be released in between.
 */
static int unpublish_slices(struct bus1_peer *peer, const u64 *offsets,
			    struct bus1_slice **slices, size_t n)
{
	struct bus1_space *space = &peer->space;
	struct bus1_slice *slice;
	int err = 0;
	size_t i, j;

	lockdep_assert_held(&space->local);

	spin_lock(&space->data);
	for (i = 0; i < n; i++) {
		bus1_space_relax_locked(space, i);
		slice = bus1_pool_find(&peer->pool, offsets[i]);
		if (!slice) {
			err = -ENXIO;
			break;
		}
		slices[i] = slice;
		bus1_pool_unpublish(&peer->pool, slice);
	}
	for (j = 0; err && j < i; j++) {
		bus1_space_relax_locked(space, j);
		if (slices[j]->offset == offsets[i])
			err = -ENOTUNIQ;
		bus1_pool_publish(&peer->pool, slices[j]);
	}
	spin_unlock(&space->data);
	return err;
}

/**
 * bus1_peer_release_slices() - release slices
 * @peer:	peer
 * @offsets:	where they begin
 * @n:		how many
 * @flags:	0
 *
 * All or nothing.
 *
 * Return: 0; -ESHUTDOWN; -ENXIO if one is not there, -ENOTUNIQ if one is named
 * twice; -ENOMEM.
 */
int bus1_peer_release_slices(struct bus1_peer *peer, const u64 *offsets,
			     size_t n, u32 flags)
{
	struct bus1_slice *few[8] __uninitialized, **slices = few;
	int err;

	if (n > ARRAY_SIZE(few)) {
		slices = kvmalloc_array(n, sizeof(*slices), GFP_KERNEL_ACCOUNT);
		if (!slices)
			return -ENOMEM;
	}

	mutex_lock(&peer->space.local);
	err = peer->space.down ? -ESHUTDOWN :
				 unpublish_slices(peer, offsets, slices, n);
	mutex_unlock(&peer->space.local);

	if (!err)
		free_slices(slices, n);
	if (slices != few)
		kvfree(slices);
	return err;
}

/**
 * bus1_peer_find_slice() - find a slice that is to be released later
 * @peer:	peer
 * @offset:	where it begins, or BUS1_OFFSET_INVALID for none
 * @serial:	set; tells it from another one that may be there then
 *
 * Return: 0, or -ENXIO.
 */
int bus1_peer_find_slice(struct bus1_peer *peer, u64 offset, u64 *serial)
{
	struct bus1_slice *slice;

	if (offset == BUS1_OFFSET_INVALID)
		return 0;
	spin_lock(&peer->space.data);
	slice = bus1_pool_find(&peer->pool, offset);
	if (slice)
		*serial = slice->serial;
	spin_unlock(&peer->space.data);
	return slice ? 0 : -ENXIO;
}

/**
 * bus1_peer_release_slice() - release one slice
 * @peer:	peer
 * @offset:	where it begins, or BUS1_OFFSET_INVALID for none
 * @serial:	as bus1_peer_find_slice() set it, or 0 for whatever is there
 *
 * Return: 0; -ESHUTDOWN; -ENXIO, also if somebody else released it since.
 */
int bus1_peer_release_slice(struct bus1_peer *peer, u64 offset, u64 serial)
{
	struct bus1_slice *slice = NULL;
	bool down;

	if (offset == BUS1_OFFSET_INVALID)
		return 0;
	mutex_lock(&peer->space.local);
	spin_lock(&peer->space.data);
	down = peer->space.down;
	if (!down)
		slice = bus1_pool_find(&peer->pool, offset);
	if (slice && serial && slice->serial != serial)
		slice = NULL;
	if (slice)
		bus1_pool_unpublish(&peer->pool, slice);
	spin_unlock(&peer->space.data);
	mutex_unlock(&peer->space.local);
	if (!slice)
		return down ? -ESHUTDOWN : -ENXIO;
	bus1_message_free(bus1_message_of(slice));
	return 0;
}

/**
 * struct victim - a handle to release
 * @handle:	the handle, or NULL
 * @reply:	the reply, if it is a reply handle, else NULL
 */
struct victim {
	struct bus1_handle *handle;
	struct bus1_reply *reply;
};

static int check_handle(const struct bus1_handle *handle)
{
	if (handle->marked)
		return -ENOTUNIQ;
	/* Only calls of its owner, who is us, make a node less live. */
	if (bus1_handle_is_own(handle) && handle->n_user == 1 &&
	    bus1_node_is_live(handle->node))
		return -EBUSY;
	return 0;
}

static void mark_victim(struct victim *victim, bool marked)
{
	if (victim->reply)
		victim->reply->marked = marked;
	else
		victim->handle->marked = marked;
}

static int check_reply(const struct bus1_reply *reply)
{
	if (!reply)
		return -ENXIO;
	if (reply->marked)
		return -ENOTUNIQ;
	return reply->claimed ? -EAGAIN : 0;
}

static __always_inline int
find_victim(struct bus1_space *space, u64 id, struct victim *victim)
{
	int err;

	victim->reply = NULL;
	victim->handle = bus1_handle_find(space, id);
	if (victim->handle && victim->handle->n_user) {
		err = check_handle(victim->handle);
	} else {
		victim->reply = bus1_reply_find_owed(space, id);
		err = check_reply(victim->reply);
	}
	return err;
}

/* After -EAGAIN @busy is a reply whose handle another call uses, referenced. */
static __always_inline int
find_victims(struct bus1_space *space, const u64 *ids, struct victim *victims,
	     size_t n, struct bus1_reply **busy)
{
	size_t i, j;
	int err = 0;

	for (i = 0; i < n; i++) {
		err = find_victim(space, ids[i], &victims[i]);
		if (err)
			break;
		mark_victim(&victims[i], true);
	}
	if (err == -EAGAIN)
		*busy = bus1_reply_get_busy(victims[i].reply);
	for (j = 0; j < i; j++)
		mark_victim(&victims[j], false);
	return err;
}

static void release_handle(struct bus1_handle *handle)
{
	struct bus1_node *node = handle->node;
	bool own = bus1_handle_is_own(handle);

	bus1_handle_unshow(handle, 1);
	if (own)
		bus1_node_forget(node);
}

static void release_victim(struct bus1_space *space, struct victim *victim)
{
	if (!victim->reply) {
		release_handle(victim->handle);
		return;
	}
	bus1_reply_unlink(victim->reply, space);
	bus1_message_drop_reply(victim->reply, space);
}

static __always_inline int
release_victims(struct bus1_peer *peer, const u64 *ids, struct victim *victims,
		size_t n)
{
	struct bus1_space *space = &peer->space;
	struct bus1_reply *busy;
	size_t i;
	int err;

	do {
		mutex_lock(&space->local);
		err = space->down ? -ESHUTDOWN :
		      find_victims(space, ids, victims, n, &busy);
		for (i = 0; !err && i < n; i++)
			release_victim(space, &victims[i]);
		mutex_unlock(&space->local);
	} while (err == -EAGAIN && !(err = bus1_reply_wait_free(busy)));
	return err;
}

/**
 * bus1_peer_release_handle() - take one from the count of a handle
 * @peer:	peer
 * @id:		handle
 *
 * Return: as bus1_peer_release_handles().
 */
int bus1_peer_release_handle(struct bus1_peer *peer, u64 id)
{
	struct victim victim;

	return release_victims(peer, &id, &victim, 1);
}

/**
 * bus1_peer_release_handles() - take one from the count of each handle
 * @peer:	peer
 * @ids:	handles
 * @n:		how many
 * @flags:	0
 *
 * All or nothing.
 *
 * Return: 0; -ESHUTDOWN; -ENXIO if one is not there, -ENOTUNIQ if one is named
 * twice, -EBUSY if one is the owner's last reference to a live node; -ENOMEM;
 * -EINTR if killed while another call uses a reply handle.
 */
int bus1_peer_release_handles(struct bus1_peer *peer, const u64 *ids, size_t n,
			      u32 flags)
{
	struct victim few[8] __uninitialized, *victims = few;
	int err;

	if (n > ARRAY_SIZE(few)) {
		victims = kvmalloc_array(n, sizeof(*victims),
					 GFP_KERNEL_ACCOUNT);
		if (!victims)
			return -ENOMEM;
	}
	err = release_victims(peer, ids, victims, n);
	if (victims != few)
		kvfree(victims);
	return err;
}
