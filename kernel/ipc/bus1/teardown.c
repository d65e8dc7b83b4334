// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: emptying a peer
 */

/**
 * DOC: teardown
 *
 * A disconnect marks the peer down, which stops what is new, and empties the peer. The
 * end of its nodes takes back what others have staged. A reset only empties it. Others go
 * on sending meanwhile, and what they commit later stays. Neither waits for a transaction
 * of another peer. A send of the same peer holds the local lock, and so comes before them
 * or after them.
 *
 * All that is emptied belongs to the peer, so its local lock is held throughout. The
 * data lock is never held for more than BUS1_BATCH steps.
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

/* Marks, or unmarks, the peer's live nodes that the seed carries. @local is held. */
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
 * Nodes die one after the other, so that the holders of one do not wait for all. If the
 * peer is down, others may have ended some of them.
 */
static void destroy_nodes(struct bus1_peer *peer)
{
	struct bus1_handle *handle;
	u64 id = 0;

	while ((handle = bus1_handle_after(peer, id))) {
		id = handle->id + 1;
		if (!bus1_handle_is_own(handle) || handle->marked ||
		    bus1_node_is_dead(handle->node))
			continue;
		handle->node->flushed = true;
		bus1_node_end(handle->node, true);
		cond_resched();
	}
}

/* What came and was not received is thrown away; what is still to come is cancelled. */
static void end_request(struct bus1_peer *peer, struct bus1_reply *reply)
{
	struct bus1_message *message = NULL;
	struct bus1_reply *done = NULL;
	bool decided;

	spin_lock(&peer->data);
	decided = reply->state == BUS1_REPLY_ANSWERED ||
		  reply->state == BUS1_REPLY_DROPPED;
	if (decided) {
		message = reply->message;
		done = bus1_reply_received_locked(reply, BUS1_REPLY_CANCELLED);
	} else if (reply->state == BUS1_REPLY_OPEN) {
		bus1_cancel_locked(reply);
	}
	spin_unlock(&peer->data);
	if (!decided) {
		bus1_reply_end(reply);
		bus1_reply_forget(reply);
	}
	bus1_message_free(message);
	bus1_reply_free(done);
}

static void end_requests(struct bus1_peer *peer)
{
	struct bus1_reply *reply;
	u64 id = 0;

	while ((reply = bus1_reply_awaited_after(peer, id))) {
		id = reply->id + 1;
		end_request(peer, reply);
		cond_resched();
	}
}

static void drop_replies(struct bus1_peer *peer)
{
	struct bus1_reply *reply;
	struct rb_node *rb;

	while ((rb = rb_first(&peer->owed))) {
		reply = rb_entry(rb, struct bus1_reply, rb_owed);
		bus1_reply_unlink(reply, peer);
		bus1_message_drop_reply(reply, peer);
		cond_resched();
	}
}

/*
 * Unlinks messages among the entries behind @place, which moves along. Entries of
 * one place are looked at in one go, so that none is passed over.
 */
static bool unlink_messages(struct bus1_peer *peer, struct bus1_place *place,
			    u64 end, struct list_head *messages)
{
	struct bus1_entry *entry, *next;
	struct bus1_message *message;
	size_t steps = 0;

	spin_lock(&peer->data);
	entry = bus1_queue_after(&peer->queue, place);
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
		/* Being queued has kept the node until now. */
		bus1_node_get(message->dest);
		bus1_message_dequeued_locked(message);
		list_add_tail(&entry->link, messages);
	}
	spin_unlock(&peer->data);
	return steps;
}

static void drop_message(struct bus1_message *message)
{
	struct bus1_node *dest = message->dest;

	bus1_message_free(message);
	bus1_node_forget(dest);
	bus1_node_put(dest);
}

/*
 * Messages that come in from now on stay, and so do those that are staged. If the peer is
 * down there are neither: its nodes are dead.
 */
static void drop_messages(struct bus1_peer *peer)
{
	struct bus1_place place = {};
	struct bus1_message *message, *next;
	LIST_HEAD(messages);
	u64 end;

	spin_lock(&peer->data);
	end = peer->queue.clock;
	spin_unlock(&peer->data);

	while (unlink_messages(peer, &place, end, &messages)) {
		list_for_each_entry_safe(message, next, &messages, entry.link)
			drop_message(message);
		INIT_LIST_HEAD(&messages);
		cond_resched();
	}
}

/* An owner's first reference to a live node stays. */
static void release_handles(struct bus1_peer *peer)
{
	struct bus1_handle *handle;
	struct bus1_node *node;
	u64 n;
	u64 id = 0;

	while ((handle = bus1_handle_after(peer, id))) {
		id = handle->id + 1;
		node = bus1_node_get(handle->node);
		n = handle->n_user - is_own_live(handle);
		if (n)
			bus1_handle_unshow(handle, n);
		if (node->owner == peer)
			bus1_node_forget(node);
		bus1_node_put(node);
		cond_resched();
	}
}

static void release_slices(struct bus1_peer *peer)
{
	struct bus1_slice *slice;
	struct rb_node *rb;

	for (;;) {
		spin_lock(&peer->data);
		rb = rb_first(&peer->pool.published);
		slice = rb_entry_safe(rb, struct bus1_slice, rb_offset);
		if (slice)
			bus1_pool_unpublish(&peer->pool, slice);
		spin_unlock(&peer->data);
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

/* Gives back the pages that are kept as a cache, if nothing uses the pool. */
static void trim_pool(struct bus1_peer *peer)
{
	struct bus1_slice slice = {};
	bool empty;

	spin_lock(&peer->data);
	empty = peer->pool.file && list_is_singular(&peer->pool.slices);
	if (empty)
		bus1_pool_alloc(&peer->pool, &slice, BUS1_POOL_SIZE);
	spin_unlock(&peer->data);
	if (!empty)
		return;

	bus1_pool_truncate(&peer->pool);
	spin_lock(&peer->data);
	bus1_pool_free(&peer->pool, &slice);
	spin_unlock(&peer->data);
}

/* Empties a peer, except for what its seed pins. */
static void flush_peer(struct bus1_peer *peer)
{
	lockdep_assert_held(&peer->local);

	mark_pinned(peer, true);
	destroy_nodes(peer);
	end_requests(peer);
	drop_messages(peer);
	drop_replies(peer);
	release_handles(peer);
	mark_pinned(peer, false);
	release_slices(peer);
	trim_pool(peer);
}

static bool mark_down(struct bus1_peer *peer)
{
	bool first;

	mutex_lock(&peer->local);
	spin_lock(&peer->data);
	first = !peer->down;
	peer->down = true;
	spin_unlock(&peer->data);
	mutex_unlock(&peer->local);
	return first;
}

/**
 * bus1_peer_disconnect() - disconnect a peer from the bus
 * @peer:	peer
 *
 * Return: 0, or -ESHUTDOWN if somebody has done it already, or is doing it.
 */
int bus1_peer_disconnect(struct bus1_peer *peer)
{
	struct file *file;

	if (!mark_down(peer))
		return -ESHUTDOWN;

	bus1_peer_wake_all(peer);

	mutex_lock(&peer->local);
	drop_seed(peer);
	flush_peer(peer);
	mutex_unlock(&peer->local);

	bus1_peer_drop_spares(peer);
	/* If a sender still fills a slice, the last one that is freed does this. */
	spin_lock(&peer->data);
	file = bus1_pool_detach(&peer->pool);
	spin_unlock(&peer->data);
	bus1_pool_put_file(file);
	return 0;
}

static int reset_locked(struct bus1_peer *peer,
			const struct bus1_peer_limits *limits, u32 flags)
{
	int err = 0;

	if (peer->down)
		return -ESHUTDOWN;
	/* First, since it may fail. An adopted peer reserves them from its new user. */
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

	mutex_lock(&peer->local);
	err = reset_locked(peer, limits, flags);
	mutex_unlock(&peer->local);
	return err;
}
