// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: nodes
 */

/**
 * DOC: references
 *
 * A node belongs to the peer that created it. Any other peer that can name it has a
 * handle: one per peer and node, with a count. A reference is either in such a
 * count, or on its way: carried by an unread message or kept by a seed. References are
 * taken and dropped under the owner's data lock, so that the owner learns of the last
 * one in the order of its queue.
 *
 * A handle object exists from the first reference on its way to its holder until
 * the last reference is gone. It has an ID only while its count is not 0.
 *
 * DYING fixes the set of holders, so whoever carries the destruction out can walk over
 * them without a lock and without missing anybody. A call that would add a holder
 * carries the destruction out instead, and adds none. A call that drops a handle leaves
 * it as a zombie to the last walker::
 *
 *	sender, attaching		destroyer
 *	lock; LIVE; add holder; unlock
 *					lock; DYING; unlock
 *					stage on all holders, the new one too
 *	stage on that holder: behind
 *
 * or::
 *
 *					lock; DYING; unlock
 *	lock; DYING; unlock; help	stage, fix, move, place
 *	sync that holder; no reference
 *	stage on that holder: behind
 *
 * In both cases the message and the destruction are ordered by their places, on
 * this holder as on any other. See destroy.c.
 */

#include <linux/bug.h>
#include <linux/slab.h>

#include "object.h"

static struct kmem_cache *node_cache;

/**
 * bus1_node_cache_init() - make the cache of nodes
 */
void __init bus1_node_cache_init(void)
{
	node_cache = kmem_cache_create("bus1_node", sizeof(struct bus1_node), 0,
				       SLAB_ACCOUNT | SLAB_PANIC, NULL);
}

/**
 * bus1_node_leave_locked() - leave a dead node to its owner
 * @node:	node whose owner's @data is held, and which has just lost a reference
 *
 * Others cannot take a dead node's ID from its owner, since they do not hold its local
 * lock. They leave the node in a list, which is cleared before the owner makes more.
 */
void bus1_node_leave_locked(struct bus1_node *node)
{
	if (!bus1_node_is_dead(node) || node->own.n_refs ||
	    node->own.n_user || node->listed || node->owner->down)
		return;
	list_add(&node->released.link, &node->owner->forgettable);
	node->listed = true;
}

static void forget_listed(struct bus1_peer *owner)
{
	struct bus1_node *node;

	for (;;) {
		spin_lock(&owner->data);
		node = list_first_entry_or_null(&owner->forgettable,
						struct bus1_node,
						released.link);
		if (node) {
			list_del(&node->released.link);
			node->listed = false;
		}
		spin_unlock(&owner->data);
		if (!node)
			return;
		bus1_node_forget(node);
	}
}

/**
 * bus1_node_new() - create a node
 * @owner:	its owner, whose @local is held
 * @id:		free ID
 * @node:	the node; referenced by @owner's handle alone
 *
 * It is not charged yet, see bus1_node_charge().
 *
 * Return: 0 or -ENOMEM.
 */
int bus1_node_new(struct bus1_peer *owner, u64 id, struct bus1_node **node)
{
	struct bus1_node *new;

	lockdep_assert_held(&owner->local);

	forget_listed(owner);
	new = kmem_cache_zalloc(node_cache, GFP_KERNEL);
	if (!new)
		return -ENOMEM;

	kref_init(&new->ref);
	new->owner = bus1_peer_get(owner);
	INIT_LIST_HEAD(&new->staged);
	new->holders = RB_ROOT;
	new->based = true;
	bus1_entry_init(&new->released, BUS1_ENTRY_RELEASE);
	bus1_handle_init(&new->own);
	new->own.node = new;
	new->own.holder = owner;
	new->own.id = id;
	new->own.n_user = 1;
	rb_link_node(&new->own.rb_holder, NULL, &new->holders.rb_node);
	rb_insert_color(&new->own.rb_holder, &new->holders);
	bus1_handle_link(&new->own);
	owner->n_handles++;
	spin_lock(&owner->data);
	owner->n_nodes++;
	spin_unlock(&owner->data);
	*node = new;
	return 0;
}

/**
 * bus1_node_charge() - charge a node to its owner
 * @node:	new node; its owner's @local was held since it was created
 *
 * A call looks up all that it names, and creates nodes as it goes, before it charges
 * anything, so that a wrong name is reported even when the limit is reached.
 *
 * Return: 0, or -ENOBUFS if the owner may have no more handles.
 */
int bus1_node_charge(struct bus1_node *node)
{
	struct bus1_peer *owner = node->owner;
	int err;

	lockdep_assert_held(&owner->local);

	spin_lock(&owner->data);
	err = bus1_quota_charge_own(&owner->quota, &bus1_one_handle);
	node->own.charged = !err;
	spin_unlock(&owner->data);
	return err;
}

/**
 * bus1_node_abort() - undo bus1_node_new()
 * @node:	node that no message was committed with; its owner's @local was
 *		held since it was created
 */
void bus1_node_abort(struct bus1_node *node)
{
	struct bus1_peer *owner = node->owner;

	spin_lock(&owner->data);
	WRITE_ONCE(node->sealed, true);
	bus1_tx_place(&node->tx);
	owner->n_nodes--;
	spin_unlock(&owner->data);
	bus1_handle_unshow(&node->own, 1);
	bus1_node_forget(node);
}

/**
 * bus1_node_free() - free a node's memory, see bus1_node_put()
 * @ref:	its last reference, which is being put
 */
void bus1_node_free(struct kref *ref)
{
	struct bus1_node *node = container_of(ref, struct bus1_node, ref);

	WARN_ON_ONCE(bus1_entry_queued(&node->released));
	bus1_peer_put(node->owner);
	kmem_cache_free(node_cache, node);
}

/**
 * bus1_node_help() - carry out a node's destruction
 * @node:	node that is not live; no data lock is held
 *
 * Afterwards it is dead. May sleep.
 */
void bus1_node_help(struct bus1_node *node)
{
	struct bus1_tx *tx = &node->tx;

	if (!bus1_tx_is_placed(tx) && bus1_tx_enter(tx))
		bus1_tx_help(tx);
}

/**
 * bus1_node_sync() - raise a peer's clock to the time of a node's destruction
 * @node:	node whose destruction is fixed
 * @peer:	peer; no data lock is held
 *
 * What the peer gets from now on is placed after the destruction.
 */
void bus1_node_sync(struct bus1_node *node, struct bus1_peer *peer)
{
	spin_lock(&peer->data);
	bus1_queue_sync(&peer->queue,
			bus1_tx_get_place(&node->tx).timestamp);
	spin_unlock(&peer->data);
}

/**
 * bus1_node_forget() - drop a dead node, as far as its owner can
 * @node:	node whose owner's @local is held; may be gone afterwards
 *
 * When the owner has no reference any more, and no unread message that carries
 * one, the notice is withdrawn. When no unread message is addressed to the node
 * either, its ID can be used again.
 *
 * An owner that is down does not wait for messages that still carry its handle: they
 * are about to be dropped or refused. Until then the references that they carry keep
 * the node's memory.
 */
void bus1_node_forget(struct bus1_node *node)
{
	struct bus1_peer *owner = node->owner;
	struct bus1_entry *notice = &node->own.destroyed;
	bool gone;

	lockdep_assert_held(&owner->local);

	spin_lock(&owner->data);
	gone = bus1_node_is_dead(node) && !node->own.n_user &&
	       (!node->own.n_refs || owner->down);
	if (gone && bus1_entry_queued(notice))
		bus1_queue_remove(&owner->queue, notice);
	gone = gone && !node->n_queued;
	if (gone && node->listed)
		list_del(&node->released.link);
	node->listed = node->listed && !gone;
	spin_unlock(&owner->data);
	if (!gone || RB_EMPTY_NODE(&node->own.rb_id))
		return;

	rb_erase(&node->own.rb_id, &owner->handles);
	RB_CLEAR_NODE(&node->own.rb_id);
	bus1_node_put(node);
}

/**
 * bus1_node_unref_locked() - drop references that count
 * @node:	node whose owner's @data is held
 * @n:		how many
 *
 * Dropping the last one of a live node puts the notice into its owner's queue, unless
 * no reference was ever committed.
 *
 * Return: true if it did, and the owner is to be woken.
 */
bool bus1_node_unref_locked(struct bus1_node *node, u64 n)
{
	struct bus1_peer *owner = node->owner;

	lockdep_assert_held(&owner->data);

	node->n_refs -= n;
	if (node->n_refs || !bus1_node_is_live(node) ||
	    !READ_ONCE(node->shared) || owner->down)
		return false;
	bus1_queue_add(&owner->queue, &node->released, 0);
	return true;
}

/**
 * bus1_node_pass() - do as if a reference had been received and dropped
 * @node:	node
 */
void bus1_node_pass(struct bus1_node *node)
{
	struct bus1_peer *owner = node->owner;
	bool notify = false;

	spin_lock(&owner->data);
	if (!bus1_entry_queued(&node->released)) {
		bus1_node_share(node);
		notify = bus1_node_unref_locked(node, 0);
	}
	spin_unlock(&owner->data);
	if (notify)
		bus1_peer_wake(owner);
}
