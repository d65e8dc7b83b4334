// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: releasing of slices and handles
 */

#include <linux/slab.h>

#include "release.h"

static void free_slices(struct bus1_slice **slices, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		bus1_message_free(bus1_message_of(slices[i]));
}

/*
 * On failure everything is as it was. Other calls that could change what is published
 * wait for @local, so the data lock can be released in between.
 */
static int unpublish_slices(struct bus1_peer *peer, const u64 *offsets,
			    struct bus1_slice **slices, size_t n)
{
	struct bus1_slice *slice;
	int err = 0;
	size_t i, j;

	lockdep_assert_held(&peer->local);

	spin_lock(&peer->data);
	for (i = 0; i < n; i++) {
		bus1_peer_relax_locked(peer, i);
		slice = bus1_pool_find(&peer->pool, offsets[i]);
		if (!slice) {
			err = -ENXIO;
			break;
		}
		slices[i] = slice;
		bus1_pool_unpublish(&peer->pool, slice);
	}
	for (j = 0; err && j < i; j++) {
		bus1_peer_relax_locked(peer, j);
		if (slices[j]->offset == offsets[i])
			err = -ENOTUNIQ;
		bus1_pool_publish(&peer->pool, slices[j]);
	}
	spin_unlock(&peer->data);
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

	mutex_lock(&peer->local);
	err = peer->down ? -ESHUTDOWN :
				 unpublish_slices(peer, offsets, slices, n);
	mutex_unlock(&peer->local);

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
 * @serial:	set to what tells it from another slice that may be there then
 *
 * Return: 0, or -ENXIO.
 */
int bus1_peer_find_slice(struct bus1_peer *peer, u64 offset, u64 *serial)
{
	struct bus1_slice *slice;

	if (offset == BUS1_OFFSET_INVALID)
		return 0;
	spin_lock(&peer->data);
	slice = bus1_pool_find(&peer->pool, offset);
	if (slice)
		*serial = slice->serial;
	spin_unlock(&peer->data);
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
	mutex_lock(&peer->local);
	spin_lock(&peer->data);
	down = peer->down;
	if (!down)
		slice = bus1_pool_find(&peer->pool, offset);
	if (slice && serial && slice->serial != serial)
		slice = NULL;
	if (slice)
		bus1_pool_unpublish(&peer->pool, slice);
	spin_unlock(&peer->data);
	mutex_unlock(&peer->local);
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
	/* Only calls of its owner, which is this peer, end the life of a node. */
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

static int find_victim(struct bus1_peer *peer, u64 id, struct victim *victim)
{
	victim->reply = NULL;
	victim->handle = bus1_handle_find(peer, id);
	if (likely(victim->handle && victim->handle->n_user))
		return check_handle(victim->handle);
	victim->reply = bus1_reply_find_owed(peer, id);
	if (!victim->reply)
		return -ENXIO;
	return victim->reply->marked ? -ENOTUNIQ : 0;
}

static __always_inline int
find_victims(struct bus1_peer *peer, const u64 *ids, struct victim *victims,
	     size_t n)
{
	size_t i, j;
	int err = 0;

	for (i = 0; i < n && !err; i++) {
		err = find_victim(peer, ids[i], &victims[i]);
		if (err)
			break;
		mark_victim(&victims[i], true);
	}
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

static void release_victim(struct bus1_peer *peer, struct victim *victim)
{
	if (!victim->reply) {
		release_handle(victim->handle);
		return;
	}
	bus1_reply_unlink(victim->reply, peer);
	bus1_message_drop_reply(victim->reply, peer);
}

static __always_inline int
release_victims(struct bus1_peer *peer, const u64 *ids, struct victim *victims,
		size_t n)
{
	size_t i;
	int err;

	mutex_lock(&peer->local);
	err = peer->down ? -ESHUTDOWN : find_victims(peer, ids, victims, n);
	for (i = 0; !err && i < n; i++)
		release_victim(peer, &victims[i]);
	mutex_unlock(&peer->local);
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
 * twice, -EBUSY if one is the owner's last reference to a live node; -ENOMEM.
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
