// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: emptying a peer
 */

/**
 * DOC: teardown
 *
 * Disconnecting marks the peer down, which stops what is new, and empties the peer.
 * The end of its nodes takes back what others have staged. Resetting only empties it, so
 * others go on sending meanwhile: what they commit later stays. Neither waits for
 * anybody else's transaction.
 *
 * All that is emptied belongs to the peer, so its local lock is held throughout;
 * the data lock never for more than BUS1_BATCH steps.
 */

#include <linux/bug.h>
#include <linux/slab.h>

#include "destroy.h"
#include "teardown.h"

static bool is_own_live(const struct bus1_handle *handle)
{
	return bus1_handle_is_own(handle) &&
	       bus1_node_is_live(handle->node);
}

/* Mark, or unmark, our live nodes that the seed carries; only while @local is held. */
static void mark_pinned(struct bus1_peer *peer, bool marked)
{
	struct bus1_message *seed = peer->seed;
	struct bus1_handle *handle;
	u32 i;

	for (i = 0; seed && i < seed->n_handles; i++) {
		handle = seed->handles[i];
		if (handle && is_own_live(handle))
			handle->marked = marked;
	}
}

/*
 * One after the other, so that the holders of one do not wait for all. Others may have
 * ended some of them, if the peer is down.
 */
static void destroy_nodes(struct bus1_peer *peer)
{
	struct bus1_handle *handle;
	u64 id = 0;

	while ((handle = bus1_handle_after(&peer->space, id))) {
		id = handle->id + 1;
		if (!bus1_handle_is_own(handle) || handle->marked ||
		    bus1_node_is_dead(handle->node))
			continue;
		handle->node->flushed = true;
		bus1_node_end(handle->node, true);
		cond_resched();
	}
}

/* What came and was not received is thrown away. */
static void drop_decided(struct bus1_space *space, struct bus1_reply *reply)
{
	struct bus1_message *message = NULL;
	bool decided;

	spin_lock(&space->data);
	decided = reply->state == BUS1_REPLY_ANSWERED ||
		  reply->state == BUS1_REPLY_DROPPED;
	if (decided) {
		message = reply->message;
		bus1_reply_received_locked(reply);
		bus1_reply_cancelled_locked(reply);
	}
	spin_unlock(&space->data);
	bus1_message_free(message);
}

/*
 * Returns false for a request that is not committed yet: it stays, and its sender finds
 * the peer as it is then.
 */
static bool cancel_request(struct bus1_space *space, struct bus1_reply *reply)
{
	bool committed;

	spin_lock(&space->data);
	if (reply->state == BUS1_REPLY_OPEN)
		bus1_cancel_locked(reply);
	committed = reply->state != BUS1_REPLY_NEW;
	spin_unlock(&space->data);
	if (committed)
		bus1_reply_end(reply);
	return committed;
}

static void cancel_requests(struct bus1_peer *peer)
{
	struct bus1_space *space = &peer->space;
	struct bus1_reply *reply;
	u64 id = 0;

	while ((reply = bus1_reply_awaited_after(space, id))) {
		id = reply->id + 1;
		if (!cancel_request(space, reply))
			continue;
		drop_decided(space, reply);
		bus1_reply_forget(reply);
		cond_resched();
	}
}

static void drop_replies(struct bus1_peer *peer)
{
	struct bus1_space *space = &peer->space;
	struct rb_node *rb = rb_first(&space->owed);
	struct bus1_reply *reply;

	while (rb) {
		reply = rb_entry(rb, struct bus1_reply, rb_owed);
		rb = rb_next(rb);
		/* If the call that uses it fails, it drops it. */
		reply->doomed = reply->claimed;
		if (reply->claimed)
			continue;
		bus1_reply_unlink(reply, space);
		bus1_message_drop_reply(reply, space);
		cond_resched();
	}
}

/*
 * Unlink messages among the entries behind @place, which moves along. Entries of
 * one place are looked at in one go, so that none is passed over.
 */
static bool unlink_messages(struct bus1_space *space, struct bus1_place *place,
			    u64 end, struct list_head *messages)
{
	struct bus1_entry *entry, *next;
	struct bus1_message *message;
	size_t steps = 0;

	spin_lock(&space->data);
	entry = bus1_queue_after(&space->queue, place);
	for (; entry && entry->place.timestamp <= end; entry = next) {
		if (steps++ >= BUS1_BATCH &&
		    bus1_place_before(place, &entry->place))
			break;
		next = bus1_queue_next(entry);
		*place = entry->place;
		if (entry->type != BUS1_ENTRY_MESSAGE ||
		    bus1_entry_staged(entry))
			continue;
		message = container_of(entry, struct bus1_message, entry);
		if (message->dest->own.marked)
			continue;
		bus1_message_dequeued_locked(message);
		list_add_tail(&entry->link, messages);
	}
	spin_unlock(&space->data);
	return steps;
}

static void drop_message(struct bus1_message *message)
{
	struct bus1_node *dest = bus1_node_get(message->dest);

	bus1_message_free(message);
	bus1_node_forget(dest);
	bus1_node_put(dest);
}

/*
 * Messages that come in from now on stay, and those that are staged. If the peer is
 * down there are neither: its nodes are dead.
 */
static void drop_messages(struct bus1_peer *peer)
{
	struct bus1_space *space = &peer->space;
	struct bus1_place place = {};
	struct bus1_message *message, *next;
	LIST_HEAD(messages);
	u64 end;

	spin_lock(&space->data);
	end = space->queue.clock;
	spin_unlock(&space->data);

	while (unlink_messages(space, &place, end, &messages)) {
		list_for_each_entry_safe(message, next, &messages, entry.link)
			drop_message(message);
		INIT_LIST_HEAD(&messages);
		cond_resched();
	}
}

/* The first reference of an owner to a node that lives stays. */
static void release_handles(struct bus1_peer *peer)
{
	struct bus1_handle *handle;
	struct bus1_node *node;
	u64 n;
	u64 id = 0;

	while ((handle = bus1_handle_after(&peer->space, id))) {
		id = handle->id + 1;
		node = bus1_node_get(handle->node);
		n = handle->n_user - is_own_live(handle);
		if (n)
			bus1_handle_unshow(handle, n);
		if (node->owner == &peer->space)
			bus1_node_forget(node);
		bus1_node_put(node);
		cond_resched();
	}
}

static void release_slices(struct bus1_peer *peer)
{
	struct bus1_space *space = &peer->space;
	struct bus1_slice *slice;
	struct rb_node *rb;

	for (;;) {
		spin_lock(&space->data);
		rb = rb_first(&peer->pool.published);
		slice = rb_entry_safe(rb, struct bus1_slice, rb_offset);
		if (slice)
			bus1_pool_unpublish(&peer->pool, slice);
		spin_unlock(&space->data);
		if (!slice)
			break;
		bus1_message_free(bus1_message_of(slice));
		cond_resched();
	}
}

static void drop_seed(struct bus1_peer *peer)
{
	bus1_message_free(peer->seed);
	peer->seed = NULL;
}

/* Gives back the pages that were kept as a cache, if nothing uses the pool. */
static void trim_pool(struct bus1_peer *peer)
{
	struct bus1_space *space = &peer->space;
	struct bus1_slice slice = {};
	bool empty;

	spin_lock(&space->data);
	empty = peer->pool.file && list_is_singular(&peer->pool.slices);
	if (empty)
		bus1_pool_alloc(&peer->pool, &slice, BUS1_POOL_SIZE);
	spin_unlock(&space->data);
	if (!empty)
		return;

	bus1_pool_truncate(&peer->pool);
	spin_lock(&space->data);
	bus1_pool_free(&peer->pool, &slice);
	spin_unlock(&space->data);
}

/* Empty a peer, except for what its seed pins. */
static void flush_peer(struct bus1_peer *peer)
{
	lockdep_assert_held(&peer->space.local);

	mark_pinned(peer, true);
	destroy_nodes(peer);
	cancel_requests(peer);
	drop_messages(peer);
	drop_replies(peer);
	release_handles(peer);
	mark_pinned(peer, false);
	release_slices(peer);
	trim_pool(peer);
}

static bool mark_down(struct bus1_peer *peer)
{
	struct bus1_space *space = &peer->space;
	bool first;

	mutex_lock(&space->local);
	spin_lock(&space->data);
	first = !space->down;
	space->down = true;
	spin_unlock(&space->data);
	mutex_unlock(&space->local);
	return first;
}

static struct bus1_reply *find_doomed(struct bus1_space *space)
{
	struct bus1_reply *reply;
	struct rb_node *rb;

	for (rb = rb_first(&space->owed); rb; rb = rb_next(rb)) {
		reply = rb_entry(rb, struct bus1_reply, rb_owed);
		if (reply->doomed)
			return bus1_reply_get_busy(reply);
	}
	return NULL;
}

/*
 * Calls that used reply handles meanwhile fail now, and drop them. When a flush
 * returns, what it did has its place, so wait for that.
 */
static void wait_for_doomed(struct bus1_peer *peer)
{
	struct bus1_reply *doomed;

	do {
		mutex_lock(&peer->space.local);
		doomed = find_doomed(&peer->space);
		mutex_unlock(&peer->space.local);
	} while (doomed && !bus1_reply_wait_free(doomed));
}

/**
 * bus1_peer_disconnect() - end a peer's part on the bus
 * @peer:	peer
 *
 * Return: 0, or -ESHUTDOWN if somebody did it already, or is at it.
 */
int bus1_peer_disconnect(struct bus1_peer *peer)
{
	struct file *file;

	if (!mark_down(peer))
		return -ESHUTDOWN;

	bus1_space_wake_all(&peer->space);

	mutex_lock(&peer->space.local);
	drop_seed(peer);
	flush_peer(peer);
	mutex_unlock(&peer->space.local);
	wait_for_doomed(peer);

	bus1_peer_drop_spares(peer);
	/* Otherwise the last slice that a sender still fills takes it along. */
	spin_lock(&peer->space.data);
	file = bus1_pool_detach(&peer->pool);
	spin_unlock(&peer->space.data);
	bus1_pool_put_file(file);
	return 0;
}

static int reset_locked(struct bus1_peer *peer,
			const struct bus1_peer_limits *limits, u32 flags)
{
	int err = 0;

	if (peer->space.down)
		return -ESHUTDOWN;
	/* First, since it may fail. An adopted peer gets them from its new user. */
	if (limits && !(flags & BUS1_RESET_ADOPT))
		err = bus1_peer_set_limits(peer, limits);
	if (err)
		return err;
	if (flags & BUS1_RESET_FLUSH_SEED)
		drop_seed(peer);
	if (flags & BUS1_RESET_FLUSH)
		flush_peer(peer);
	if (flags & BUS1_RESET_ADOPT)
		return bus1_peer_adopt(peer, limits);
	return 0;
}

/**
 * bus1_peer_reset() - empty a peer and set its limits
 * @peer:	peer
 * @limits:	valid limits, or NULL to keep them
 * @flags:	BUS1_RESET_*; BUS1_RESET_ADOPT only with both flushes
 *
 * Return: 0; -ESHUTDOWN; -ENOSPC if the user has no room for the limits; with
 * BUS1_RESET_ADOPT -EBUSY while something is charged to the peer, -ENOSPC if the
 * caller has too many peers or no room for the limits, -ENOMEM.
 */
int bus1_peer_reset(struct bus1_peer *peer, const struct bus1_peer_limits *limits,
		    u32 flags)
{
	int err;

	mutex_lock(&peer->space.local);
	err = reset_locked(peer, limits, flags);
	mutex_unlock(&peer->space.local);
	if (flags & BUS1_RESET_FLUSH)
		wait_for_doomed(peer);
	return err;
}
