/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1: nodes and handles
 */
#ifndef _BUS1_OBJECT_H
#define _BUS1_OBJECT_H

#include <linux/kref.h>
#include <linux/rbtree.h>

#include "peer.h"
#include "tx.h"

/**
 * struct bus1_handle - one peer's reference to one node
 * @node:	the node; constant. The handle holds a reference to it; the owner's
 *		handle, which is embedded in the node, only while @n_refs is not 0
 * @holder:	the peer that holds it, and outlives it: a peer drops all its handles
 *		before it is freed, and a message what it carries before its receiver
 *		is freed. A zombie holds a reference. Constant
 * @rb_holder:	links it into &struct bus1_node.holders; the owner's @data
 * @rb_id:	links it into &struct bus1_peer.handles while it has an ID; the
 *		holder's @local
 * @zombie:	links it into &struct bus1_node.zombies, when it has no references, and so
 *		no ID, any more; the owner's @data
 * @id:		its ID while it is in &struct bus1_peer.handles; the holder's
 *		@local
 * @n_refs:	references through this handle: its count, and unread messages
 *		and seeds that carry it. The owner's first does not count. The
 *		owner's @data
 * @n_user:	its count: how often it was shown to its holder. Changed under
 *		the holder's @local and @data, read under either. Counts are not
 *		charged, so they have to be too wide to overflow
 * @claim:	claim that it is charged under, NULL if the holder pays itself; the
 *		holder's @data
 * @marked:	whether the call that holds the holder's @local has seen it
 *		before; false whenever that lock is not held
 * @charged:	whether it is charged; the holder's @data
 * @keep:	whether the holder's cgroup pays for the memory, so that it may
 *		become &struct bus1_peer.spare_handle; constant
 * @step:	how far the destruction of its node is here; the holder's @data, see
 *		&enum bus1_step
 * @destroyed:	the notice of its node's end; the holder's @data
 */
struct bus1_handle {
	union {
		struct rb_node rb_id;
		struct hlist_node zombie;
	};
	u64 id;
	u64 n_user;
	struct bus1_node *node;
	struct bus1_peer *holder;
	bool marked;
	bool charged;
	bool keep;
	u8 step;
	struct rb_node rb_holder;
	u64 n_refs;
	struct bus1_claim *claim;
	struct bus1_entry destroyed;
};

/**
 * struct bus1_node - what messages are sent to
 * @ref:	keeps the memory
 * @owner:	the peer that created it, referenced; constant
 * @tx:		its destruction
 * @sealed:	whether @tx has begun; set under the owner's @data. From then on the node
 *		is DYING: no messages, no new holders
 * @quiet:	whether the owner gets no notice; constant once @sealed
 * @holders:	all its handles, by holder; the owner's @data, and fixed while
 *		somebody walks over them
 * @zombies:	handles that lost their last reference while somebody walked; the
 *		owner's @data
 * @n_refs:	sum of all holders' &struct bus1_handle.n_refs; the owner's @data
 * @staged:	messages to it between stage and move, by &struct
 *		bus1_message.staged; the owner's @data
 * @n_queued:	messages to it in the owner's queue; the owner's @data
 * @released:	the notice that nobody refers to it; of a dead node the link in
 *		&struct bus1_peer.forgettable. The owner's @data
 * @listed:	whether it is in that list; the owner's @data
 * @shared:	whether anybody but the owner could have used a reference since
 *		the owner was last told that there is none. Set without a lock by a
 *		call that is about to commit a reference, which keeps @n_refs above 0;
 *		cleared under the owner's @data when the notice is received
 * @based:	whether @own still has its first reference, which it has at least as
 *		long as the node lives. It is the last to be released; the owner's
 *		@local
 * @flushed:	whether its owner flushed it, so that it arrives as invalid in messages
 *		that stay in the owner's queue; the owner's @local
 * @own:	its owner's handle
 *
 * Life: LIVE at first; DYING once it is @sealed; DEAD once its destruction is placed
 * at every holder. See bus1_node_is_live() and bus1_node_is_dead().
 */
struct bus1_node {
	struct kref ref;
	bool sealed;
	bool quiet;
	bool listed;
	bool shared;
	bool based;
	bool flushed;
	struct bus1_peer *owner;
	size_t n_queued;
	struct bus1_handle own;
	u64 n_refs;
	struct rb_root holders;
	struct hlist_head zombies;
	struct list_head staged;
	struct bus1_entry released;
	struct bus1_tx tx;
};

void bus1_node_cache_init(void);
void bus1_handle_cache_init(void);

int bus1_node_new(struct bus1_peer *owner, u64 id, struct bus1_node **node);
int bus1_node_charge(struct bus1_node *node);
void bus1_node_abort(struct bus1_node *node);
void bus1_node_free(struct kref *ref);
bool bus1_node_unref_locked(struct bus1_node *node, u64 n);
void bus1_node_pass(struct bus1_node *node);
void bus1_node_help(struct bus1_node *node);
void bus1_node_sync(struct bus1_node *node, struct bus1_peer *peer);
void bus1_node_forget(struct bus1_node *node);
void bus1_node_leave_locked(struct bus1_node *node);

void bus1_handle_link(struct bus1_handle *handle);
struct bus1_handle *bus1_handle_after(struct bus1_peer *peer, u64 id);
int bus1_handle_attach(struct bus1_node *node, struct bus1_peer *holder, gfp_t gfp,
		       bool keep, struct bus1_handle **handle);
void bus1_handle_drop(struct bus1_handle *handle, u64 n);
u64 bus1_handle_show(struct bus1_handle *handle, struct bus1_claim *claim,
		     bool placed, u32 *kept);
int bus1_handle_show_own(struct bus1_handle *handle, u64 *id);
bool bus1_handle_hide(struct bus1_handle *handle);
void bus1_handle_unshow(struct bus1_handle *handle, u64 n);
void bus1_handle_free(struct bus1_handle *handle);
void bus1_handle_free_memory(struct bus1_handle *handle);

/**
 * bus1_handle_init() - initialize a handle that nobody holds
 * @handle:	handle
 *
 * When the last reference is gone the handle is in this state again, except for its
 * links, its ID and @claim, which are set before they are looked at.
 */
static inline void bus1_handle_init(struct bus1_handle *handle)
{
	handle->n_refs = 0;
	handle->n_user = 0;
	handle->marked = false;
	handle->charged = false;
	handle->step = BUS1_STEP_NEW;
	bus1_entry_init(&handle->destroyed, BUS1_ENTRY_DESTROY);
}

/**
 * bus1_handle_keep_memory() - keep the memory of a handle for the next, or free it
 * @handle:	handle
 * @holder:	the peer that keeps it
 */
static inline void bus1_handle_keep_memory(struct bus1_handle *handle,
					   struct bus1_peer *holder)
{
	/* A peer that is down gets no more handles. */
	if (!handle->keep || READ_ONCE(holder->down) ||
	    READ_ONCE(holder->spare_handle) ||
	    cmpxchg(&holder->spare_handle, NULL, handle))
		bus1_handle_free_memory(handle);
}

/**
 * bus1_step_wake() - tell threads that poll that an entry has its final place
 * @step:	of the transaction at @peer, see &enum bus1_step
 * @peer:	where the entry is; its @data is not held
 *
 * This is the last step of a destination. Several walkers may wake for one entry.
 */
static inline void bus1_step_wake(u8 *step, struct bus1_peer *peer)
{
	if (READ_ONCE(*step) != BUS1_STEP_MOVED)
		return;
	bus1_peer_wake_pollers(peer);
	smp_store_release(step, BUS1_STEP_WOKEN);
}

/**
 * bus1_handle_find() - find a handle by ID
 * @peer:	peer whose @local is held
 * @id:		ID
 *
 * Return: the handle, or NULL. An owner's handle is found until its ID can be
 * used again, also while its count is 0.
 */
static inline struct bus1_handle *bus1_handle_find(struct bus1_peer *peer,
						   u64 id)
{
	struct rb_node *rb = peer->handles.rb_node;
	struct bus1_handle *handle;

	lockdep_assert_held(&peer->local);

	while (rb) {
		handle = rb_entry(rb, struct bus1_handle, rb_id);
		if (id == handle->id)
			return handle;
		rb = id < handle->id ? rb->rb_left : rb->rb_right;
	}
	return NULL;
}

/**
 * bus1_node_is_live() - whether a node's destruction has not begun
 * @node:	node; the answer "false" lasts, and its owner's @data makes "true" last
 *
 * Return: true if it has not.
 */
static inline bool bus1_node_is_live(const struct bus1_node *node)
{
	return !READ_ONCE(node->sealed);
}

/**
 * bus1_node_is_dead() - whether a node's destruction has its place at every holder
 * @node:	node
 *
 * Return: true if it has; the place can be read then.
 */
static inline bool bus1_node_is_dead(const struct bus1_node *node)
{
	return bus1_tx_is_placed(&node->tx);
}

/**
 * bus1_node_is_unreachable() - whether a node accepts no messages
 * @node:	node; the answer "true" lasts, and its owner's @data makes "false"
 *		last
 *
 * Return: true if it is not live, or its owner is going down.
 */
static inline bool bus1_node_is_unreachable(const struct bus1_node *node)
{
	return !bus1_node_is_live(node) || READ_ONCE(node->owner->down);
}

/**
 * bus1_node_share() - a reference to a node is about to be committed
 * @node:	node to which the caller has a reference
 */
static inline void bus1_node_share(struct bus1_node *node)
{
	if (!READ_ONCE(node->shared))
		WRITE_ONCE(node->shared, true);
}

/**
 * bus1_node_dead_before() - whether a node was destroyed before an event
 * @node:	node
 * @place:	place of an event that can be received
 *
 * Return: true if the node's destruction has its place before @place.
 */
static inline bool bus1_node_dead_before(const struct bus1_node *node,
					 const struct bus1_place *place)
{
	struct bus1_place death;

	if (!bus1_node_is_dead(node))
		return false;
	death = bus1_tx_get_place(&node->tx);
	return bus1_place_before(&death, place);
}

static inline struct bus1_node *bus1_node_get(struct bus1_node *node)
{
	kref_get(&node->ref);
	return node;
}

/**
 * bus1_node_put() - put a reference to a node's memory
 * @node:	node, or NULL
 *
 * May sleep: the last reference may be the last to its owner, too.
 */
static inline void bus1_node_put(struct bus1_node *node)
{
	if (node)
		kref_put(&node->ref, bus1_node_free);
}

/**
 * bus1_handle_is_own() - whether a handle is its node's owner's
 * @handle:	handle
 *
 * Return: true if it is.
 */
static inline bool bus1_handle_is_own(const struct bus1_handle *handle)
{
	return handle == &handle->node->own;
}

#endif /* _BUS1_OBJECT_H */
