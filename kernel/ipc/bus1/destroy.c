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
 * bus1_cancel_locked() - begin to cancel a reply
 * @reply:	reply whose requester's @local and @data are held
 *
 * Return: true if it was open, and bus1_destroy() is to follow.
 */
bool bus1_cancel_locked(struct bus1_reply *reply)
{
	lockdep_assert_held(&reply->requester->data);

	if (reply->state != BUS1_REPLY_OPEN)
		return false;
	reply->entry.type = BUS1_ENTRY_CANCELLED;
	WRITE_ONCE(reply->state, BUS1_REPLY_CANCELLING);
	return true;
}

/* What was paid is given back at once, what is being written to when it is not. */
static void cancel_reply(struct bus1_reply *reply)
{
	struct bus1_message *message;

	spin_lock(&reply->requester->data);
	/* Who was writing to it may have found it cancelled, and freed it. */
	message = reply->message;
	if (message)
		bus1_message_uncharge_locked(message, &message->charged);
	if (reply->filling)
		message = NULL;
	else
		reply->message = NULL;
	spin_unlock(&reply->requester->data);
	bus1_message_free(message);

	/* Pairs with bus1_reply_moved(). */
	wait_var_event(&reply->n_transit,
		       !atomic_read_acquire(&reply->n_transit));
	spin_lock(&reply->requester->data);
	reply->stage_at = reply->holder;
	if (reply->stage_at)
		bus1_space_get(reply->stage_at);
	spin_unlock(&reply->requester->data);
}

static void stage_cancel(struct bus1_tx *tx, struct bus1_reply *reply)
{
	struct bus1_space *holder = reply->stage_at;

	if (!holder)
		return;
	spin_lock(&holder->data);
	if (!reply->gone)
		bus1_tx_stage_locked(tx, holder, &reply->entry);
	spin_unlock(&holder->data);
	bus1_tx_step(tx);
}

static void sync_cancel(struct bus1_tx *tx, struct bus1_reply *reply)
{
	if (!reply->stage_at)
		return;
	bus1_tx_sync(tx, reply->stage_at);
	bus1_tx_step(tx);
}

/* Its holder may have let go of the handle since, and withdrawn the notice. */
static void commit_cancel(struct bus1_tx *tx, struct bus1_reply *reply)
{
	struct bus1_space *holder = reply->stage_at;
	bool wake = false;

	if (!holder)
		return;
	spin_lock(&holder->data);
	if (!reply->gone)
		wake = bus1_tx_commit_locked(tx, holder, &reply->entry);
	spin_unlock(&holder->data);
	if (wake)
		bus1_space_wake(holder);
	bus1_tx_step(tx);
}

static void finish_reply(struct bus1_reply *reply)
{
	if (reply->stage_at)
		bus1_space_put(reply->stage_at);
	spin_lock(&reply->requester->data);
	bus1_reply_cancelled_locked(reply);
	spin_unlock(&reply->requester->data);
	/* Orders the state before the look for a waiter. */
	smp_mb();
	wake_up_var(&reply->state);
	bus1_reply_forget(reply);
}

static void run_tx(struct bus1_space *owner, const struct bus1_victims *victims,
		   bool quiet)
{
	struct bus1_tx tx;
	size_t i;

	bus1_tx_begin(&tx);
	for (i = 0; i < victims->n_nodes; i++)
		stage_notices(&tx, victims->nodes[i], quiet);
	for (i = 0; i < victims->n_replies; i++)
		stage_cancel(&tx, victims->replies[i]);
	bus1_tx_fix(&tx, owner);
	place_nodes(&tx, victims->nodes, victims->n_nodes);
	for (i = 0; i < victims->n_nodes; i++)
		sync_holders(&tx, victims->nodes[i], quiet);
	for (i = 0; i < victims->n_replies; i++)
		sync_cancel(&tx, victims->replies[i]);
	for (i = 0; i < victims->n_nodes; i++)
		commit_notices(&tx, victims->nodes[i], quiet);
	for (i = 0; i < victims->n_replies; i++)
		commit_cancel(&tx, victims->replies[i]);
	bus1_tx_end(&tx);
}

/**
 * bus1_destroy() - destroy nodes, and cancel replies, in one event
 * @owner:	whose they are; its @local is held
 * @victims:	what is to go; replies may be gone afterwards
 * @quiet:	whether the owner gets no notice
 *
 * Waits for transactions between stage and commit, and for nothing else.
 */
void bus1_destroy(struct bus1_space *owner, const struct bus1_victims *victims,
		  bool quiet)
{
	size_t i;

	might_sleep();
	lockdep_assert_held(&owner->local);

	/* Before a node is DYING, for which others would wait along with us. */
	for (i = 0; i < victims->n_replies; i++)
		cancel_reply(victims->replies[i]);
	seal_nodes(owner, victims->nodes, victims->n_nodes);
	settle_nodes(victims->nodes, victims->n_nodes);
	run_tx(owner, victims, quiet);
	for (i = 0; i < victims->n_nodes; i++)
		finish_node(victims->nodes[i]);
	for (i = 0; i < victims->n_replies; i++)
		finish_reply(victims->replies[i]);
}

/* Nodes are collected from the front of an array, replies from its back. */
static int find_reply(struct bus1_space *space, u64 id,
		      struct bus1_victims *victims)
{
	struct bus1_reply *reply = bus1_reply_find_awaited(space, id);

	if (!reply && bus1_reply_find_owed(space, id))
		return -EREMOTE;
	if (!reply || READ_ONCE(reply->state) == BUS1_REPLY_NEW)
		return -ENXIO;
	if (READ_ONCE(reply->state) != BUS1_REPLY_OPEN)
		return -ESTALE;
	if (reply->awaited_marked)
		return -ENOTUNIQ;
	reply->awaited_marked = true;
	*--victims->replies = reply;
	victims->n_replies++;
	return 0;
}

static int find_victim(struct bus1_space *space, u64 id,
		       struct bus1_victims *victims)
{
	struct bus1_handle *handle = bus1_handle_find(space, id);

	if (!handle || !handle->n_user)
		return find_reply(space, id, victims);
	if (!bus1_handle_is_own(handle))
		return -EREMOTE;
	if (handle->node->state != BUS1_NODE_LIVE)
		return -ESTALE;
	if (handle->marked)
		return -ENOTUNIQ;
	handle->marked = true;
	victims->nodes[victims->n_nodes++] = handle->node;
	return 0;
}

static int find_victims(struct bus1_space *space, const u64 *ids, size_t n,
			struct bus1_victims *victims)
{
	size_t i;
	int err = 0;

	for (i = 0; i < n && !err; i++)
		err = find_victim(space, ids[i], victims);
	for (i = 0; i < victims->n_nodes; i++)
		victims->nodes[i]->own.marked = false;
	for (i = 0; i < victims->n_replies; i++)
		victims->replies[i]->awaited_marked = false;
	return err;
}

/* All or nothing: any of them may be answered at any moment. */
static int cancel_replies(struct bus1_space *space,
			  const struct bus1_victims *victims)
{
	bool open = true;
	size_t i;

	spin_lock(&space->data);
	for (i = 0; i < victims->n_replies; i++)
		open &= victims->replies[i]->state == BUS1_REPLY_OPEN;
	for (i = 0; open && i < victims->n_replies; i++)
		bus1_cancel_locked(victims->replies[i]);
	spin_unlock(&space->data);
	return open ? 0 : -ESTALE;
}

static int destroy_found(struct bus1_space *space, const u64 *ids, size_t n,
			 struct bus1_victims *victims, u32 flags)
{
	bool quiet = flags & BUS1_DESTROY_RELEASE_HANDLES;
	size_t i;
	int err;

	lockdep_assert_held(&space->local);

	if (space->down)
		return -ESHUTDOWN;
	err = find_victims(space, ids, n, victims);
	if (!err)
		err = cancel_replies(space, victims);
	if (err || !n)
		return err;

	bus1_destroy(space, victims, quiet);
	for (i = 0; quiet && i < victims->n_nodes; i++) {
		bus1_handle_unshow(&victims->nodes[i]->own, 1);
		bus1_node_forget(victims->nodes[i]);
	}
	return 0;
}

/**
 * bus1_peer_destroy_nodes() - destroy nodes by their IDs
 * @peer:	their owner
 * @ids:	nodes, and requests whose reply is not wanted any more
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
	void *few[8], **pointers = few;
	struct bus1_victims victims = {};
	int err;

	if (n > ARRAY_SIZE(few)) {
		pointers = kvmalloc_array(n, sizeof(*pointers),
					  GFP_KERNEL_ACCOUNT);
		if (!pointers)
			return -ENOMEM;
	}
	victims.nodes = (struct bus1_node **)pointers;
	victims.replies = (struct bus1_reply **)pointers + n;

	mutex_lock(&peer->space.local);
	err = destroy_found(&peer->space, ids, n, &victims, flags);
	mutex_unlock(&peer->space.local);

	if (pointers != few)
		kvfree(pointers);
	return err;
}
