// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: destruction of nodes
 */

/**
 * DOC: destruction
 *
 * All nodes of one call die in one event: a transaction whose receivers are all
 * holders. See object.c, "references", for what keeps the holders from changing,
 * and queue.c, "order", for the transaction. The steps:
 *
 * seal
 *	DYING: nobody becomes a holder any more, no message is accepted
 * settle
 *	wait until messages that were accepted are committed. Their senders
 *	wait for nothing meanwhile. So each of them is placed before the
 *	destruction: the owner's clock has heard of it
 * stage, fix
 *	as for any transaction
 * place
 *	the nodes get the place of their destruction, before any holder can
 *	have received the notice or what is behind it
 * sync, commit
 *	as for any transaction
 * finish
 *	DEAD: whoever waited goes on
 *
 * A handle in an unread message is valid if the message is placed before the
 * destruction. Who decides that, the message being first in its queue and
 * committed, needs no lock: if the destruction comes first in this queue, its
 * notice was in front and has been taken out after "place"; if it comes later,
 * it does not matter whether its place is known yet.
 */

#include <linux/bug.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>

#include "destroy.h"
#include "tx.h"

static void seal_nodes(struct bus1_space *owner, struct bus1_node **nodes,
		       size_t n)
{
	size_t i;

	spin_lock(&owner->data);
	for (i = 0; i < n; i++) {
		bus1_space_relax_locked(owner, i);
		WRITE_ONCE(nodes[i]->state, BUS1_NODE_DYING);
		if (bus1_entry_queued(&nodes[i]->released))
			bus1_queue_remove(&owner->queue, &nodes[i]->released);
		owner->n_nodes--;
	}
	spin_unlock(&owner->data);
}

/* Pairs with leg.c, unstage_dest_locked(). */
static void settle_nodes(struct bus1_node **nodes, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		wait_var_event(&nodes[i]->n_staged,
			       !smp_load_acquire(&nodes[i]->n_staged));
}

/* The holders of a node that is DYING do not change, so no lock is needed. */
static struct bus1_handle *first_holder(struct bus1_node *node)
{
	return rb_entry_safe(rb_first(&node->holders), struct bus1_handle,
			     rb_holder);
}

static struct bus1_handle *next_holder(struct bus1_handle *handle)
{
	return rb_entry_safe(rb_next(&handle->rb_holder), struct bus1_handle,
			     rb_holder);
}

#define for_each_holder(handle, node, quiet)				\
	for (handle = first_holder(node); handle;			\
	     handle = next_holder(handle))				\
		if ((quiet) && bus1_handle_is_own(handle))		\
			continue;					\
		else

static void stage_notices(struct bus1_tx *tx, struct bus1_node *node, bool quiet)
{
	struct bus1_handle *handle;

	for_each_holder(handle, node, quiet) {
		spin_lock(&handle->holder->data);
		bus1_tx_stage_locked(tx, handle->holder, &handle->destroyed);
		spin_unlock(&handle->holder->data);
		bus1_tx_step(tx);
	}
}

/* Pairs with bus1_node_dead_before(): the key is there with the timestamp. */
static void place_nodes(struct bus1_tx *tx, struct bus1_node **nodes, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		nodes[i]->place.key = bus1_tx_key(tx);
		smp_store_release(&nodes[i]->place.timestamp, tx->timestamp);
	}
}

static void sync_holders(struct bus1_tx *tx, struct bus1_node *node, bool quiet)
{
	struct bus1_handle *handle;

	for_each_holder(handle, node, quiet) {
		bus1_tx_sync(tx, handle->holder);
		bus1_tx_step(tx);
	}
}

static void commit_notices(struct bus1_tx *tx, struct bus1_node *node,
			   bool quiet)
{
	struct bus1_handle *handle;
	bool wake;

	for_each_holder(handle, node, quiet) {
		struct bus1_space *holder = handle->holder;

		spin_lock(&holder->data);
		wake = bus1_tx_commit_locked(tx, holder, &handle->destroyed);
		spin_unlock(&holder->data);
		if (wake)
			bus1_space_wake(holder);
		bus1_tx_step(tx);
	}
}

/* Free the handles that lost their last reference while the node was DYING. */
static void bury_zombies(struct bus1_node *node)
{
	struct bus1_space *owner = node->owner;
	struct bus1_handle *handle;

	for (;;) {
		spin_lock(&owner->data);
		handle = hlist_entry_safe(node->zombies.first,
					  struct bus1_handle, zombie);
		if (handle) {
			hlist_del(&handle->zombie);
			rb_erase(&handle->rb_holder, &node->holders);
		}
		spin_unlock(&owner->data);
		if (!handle)
			return;
		bus1_handle_free(handle);
		cond_resched();
	}
}

static void finish_node(struct bus1_node *node)
{
	spin_lock(&node->owner->data);
	/* Pairs with bus1_node_wait_dead(). */
	smp_store_release(&node->state, BUS1_NODE_DEAD);
	spin_unlock(&node->owner->data);
	/* Orders the state before the look for a waiter. */
	smp_mb();
	wake_up_var(&node->state);
	bury_zombies(node);
}

/**
 * bus1_destroy_nodes() - destroy nodes in one event
 * @owner:	their owner, whose @local is held
 * @nodes:	live nodes
 * @n:		how many
 * @quiet:	whether the owner gets no notice
 *
 * Waits for transactions between stage and commit, and for nothing else.
 */
void bus1_destroy_nodes(struct bus1_space *owner, struct bus1_node **nodes,
			size_t n, bool quiet)
{
	struct bus1_tx tx;
	size_t i;

	might_sleep();
	lockdep_assert_held(&owner->local);

	seal_nodes(owner, nodes, n);
	settle_nodes(nodes, n);

	bus1_tx_begin(&tx);
	for (i = 0; i < n; i++)
		stage_notices(&tx, nodes[i], quiet);
	bus1_tx_fix(&tx, owner);
	place_nodes(&tx, nodes, n);
	for (i = 0; i < n; i++)
		sync_holders(&tx, nodes[i], quiet);
	for (i = 0; i < n; i++)
		commit_notices(&tx, nodes[i], quiet);
	bus1_tx_end(&tx);

	for (i = 0; i < n; i++)
		finish_node(nodes[i]);
}

static int find_victim(struct bus1_space *space, u64 id, struct bus1_node **node)
{
	struct bus1_handle *handle = bus1_handle_find(space, id);

	if (!handle || !handle->n_user)
		return -ENXIO;
	if (!bus1_handle_is_own(handle))
		return -EREMOTE;
	if (handle->node->state != BUS1_NODE_LIVE)
		return -ESTALE;
	if (handle->marked)
		return -ENOTUNIQ;
	handle->marked = true;
	*node = handle->node;
	return 0;
}

static int find_victims(struct bus1_space *space, const u64 *ids,
			struct bus1_node **nodes, size_t n)
{
	size_t i, j;
	int err = 0;

	for (i = 0; i < n; i++) {
		err = find_victim(space, ids[i], &nodes[i]);
		if (err)
			break;
	}
	for (j = 0; j < i; j++)
		nodes[j]->own.marked = false;
	return err;
}

static int destroy_found(struct bus1_space *space, const u64 *ids,
			 struct bus1_node **nodes, size_t n, u32 flags)
{
	bool quiet = flags & BUS1_DESTROY_RELEASE_HANDLES;
	size_t i;
	int err;

	lockdep_assert_held(&space->local);

	if (space->down)
		return -ESHUTDOWN;
	err = find_victims(space, ids, nodes, n);
	if (err || !n)
		return err;

	bus1_destroy_nodes(space, nodes, n, quiet);
	for (i = 0; quiet && i < n; i++) {
		bus1_handle_unshow(&nodes[i]->own, 1);
		bus1_node_forget(nodes[i]);
	}
	return 0;
}

/**
 * bus1_peer_destroy_nodes() - destroy nodes by their IDs
 * @peer:	their owner
 * @ids:	nodes
 * @n:		how many
 * @flags:	BUS1_DESTROY_*
 *
 * All or nothing, and one event.
 *
 * Return: 0; -ESHUTDOWN; -ENXIO if one is not there, -EREMOTE if one is not the
 * peer's own, -ESTALE if one is destroyed already, -ENOTUNIQ if one is named
 * twice; -ENOMEM.
 */
int bus1_peer_destroy_nodes(struct bus1_peer *peer, const u64 *ids, size_t n,
			    u32 flags)
{
	struct bus1_node *few[8], **nodes = few;
	int err;

	if (n > ARRAY_SIZE(few)) {
		nodes = kvmalloc_array(n, sizeof(*nodes), GFP_KERNEL_ACCOUNT);
		if (!nodes)
			return -ENOMEM;
	}

	mutex_lock(&peer->space.local);
	err = destroy_found(&peer->space, ids, nodes, n, flags);
	mutex_unlock(&peer->space.local);

	if (nodes != few)
		kvfree(nodes);
	return err;
}
