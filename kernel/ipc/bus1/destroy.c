// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: destruction of nodes, and cancelling of requests
 */

/**
 * DOC: destruction
 *
 * A node dies in one event: a transaction whose receivers are all its holders. Several
 * nodes of one call die one after the other: a task that meets one that is dying carries
 * out what is left, and that must not be more than one. See node.c, "references", for
 * what keeps the holders from changing, and queue.c, "order", for the transaction. The
 * steps:
 *
 * seal
 *	DYING: nobody becomes a holder any more, no message is accepted
 * settle
 *	a message that is staged is taken back, or helped to its place if it is fixed.
 *	So each is placed before the destruction, or refused. This comes before any
 *	notice is staged, so the clocks that a settled message raises are noted with it
 * stage, fix, move, place
 *	as for any transaction
 *
 * Anybody can make all of these steps, in any state. Nothing is allocated for it, since
 * the transaction lies in the node. If the owner is down, anybody can also begin the
 * destruction (bus1_node_end()): a sender that was refused because of that must not
 * return before the destruction is placed, or it could react to it and outrun a
 * notice.
 *
 * A handle in an unread message is valid if the message is placed before the
 * destruction. To decide that, for a message that is first in its queue and placed, needs
 * no lock. If the destruction comes first in this queue, its notice was in front and has
 * been taken out, after it was placed. If it comes later, it does not matter whether its
 * place is known yet.
 */

/**
 * DOC: cancelling
 *
 * A cancelled request is an event with one receiver: the peer that has the reply handle
 * then. The state changes first, under the requester's lock, so the handle does not move
 * any more. A message that is moving it is settled like one to a dying node: it is taken
 * back, and the handle is where it was, or helped to its place, and the handle is there.
 * The notice goes to the queue of that peer. All of this is idempotent, too, so any task
 * that finds a request being cancelled finishes that (bus1_reply_end()).
 */

#include <linux/bug.h>
#include <linux/slab.h>

#include "destroy.h"

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

#define for_each_holder(handle, node)					\
	for (handle = first_holder(node); handle;			\
	     handle = next_holder(handle))				\
		if ((node)->quiet && bus1_handle_is_own(handle))	\
			continue;					\
		else

/*
 * This comes before anything is staged on the holders. The notice that nobody refers to
 * the node is withdrawn: it is no news any more.
 */
static void settle_node(struct bus1_node *node)
{
	struct bus1_peer *owner = node->owner;
	struct bus1_message *message;
	struct bus1_tx *tx;

	do {
		spin_lock(&owner->data);
		if (bus1_entry_queued(&node->released))
			bus1_queue_remove(&owner->queue, &node->released);
		message = list_first_entry_or_null(&node->staged,
						   struct bus1_message, staged);
		tx = NULL;
		/* A fixed one has a walker as long as its message is staged. */
		if (message && !bus1_commit_kick_locked(message, -EHOSTUNREACH) &&
		    bus1_tx_enter(message->entry.tx))
			tx = message->entry.tx;
		spin_unlock(&owner->data);
		if (tx)
			bus1_tx_help(tx);
	} while (message);
}

static void stage_notice(struct bus1_tx *tx, struct bus1_handle *handle)
{
	struct bus1_peer *holder = handle->holder;

	if (smp_load_acquire(&handle->step) != BUS1_STEP_NEW)
		return;
	spin_lock(&holder->data);
	if (handle->step == BUS1_STEP_NEW) {
		bus1_tx_stage(tx, &holder->queue, &handle->destroyed);
		/* Pairs with the acquire above: the holder's clock is noted. */
		smp_store_release(&handle->step, BUS1_STEP_STAGED);
	}
	spin_unlock(&holder->data);
}

static void move_notice(struct bus1_tx *tx, struct bus1_handle *handle)
{
	struct bus1_peer *holder = handle->holder;

	if (smp_load_acquire(&handle->step) < BUS1_STEP_MOVED) {
		spin_lock(&holder->data);
		if (handle->step == BUS1_STEP_STAGED) {
			bus1_tx_move(tx, &holder->queue, &handle->destroyed);
			bus1_peer_wake_locked(holder);
			smp_store_release(&handle->step, BUS1_STEP_MOVED);
		}
		spin_unlock(&holder->data);
	}
	bus1_step_wake(&handle->step, holder);
}

/*
 * The clock of an owner that gets no notice is noted all the same, and raised later: what
 * it was sent before is placed before, and what it is sent afterwards after.
 */
static void note_owner(struct bus1_node *node)
{
	struct bus1_peer *owner = node->owner;

	spin_lock(&owner->data);
	bus1_tx_note(&node->tx, owner->queue.clock);
	spin_unlock(&owner->data);
}

static void fix_destruction(struct bus1_tx *tx)
{
	u64 word;

	do {
		word = bus1_tx_read(tx);
	} while (!(word & 1) && !bus1_tx_fix(tx, word));
}

static void walk_destruction(struct bus1_tx *tx)
{
	struct bus1_node *node = container_of(tx, struct bus1_node, tx);
	struct bus1_handle *handle;
	size_t steps = 0;

	if (!bus1_tx_is_fixed(tx)) {
		settle_node(node);
		for_each_holder(handle, node) {
			stage_notice(tx, handle);
			if (!(++steps % BUS1_BATCH))
				cond_resched();
		}
		if (node->quiet)
			note_owner(node);
		fix_destruction(tx);
	}
	if (node->quiet)
		bus1_node_sync(node, node->owner);
	for_each_holder(handle, node) {
		move_notice(tx, handle);
		if (!(++steps % BUS1_BATCH))
			cond_resched();
	}
	bus1_tx_place(tx);
}

/* Frees the handles that lost their last reference while somebody walked over them. */
static void bury_zombies(struct bus1_node *node)
{
	struct bus1_peer *owner = node->owner;
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

static void end_destruction(struct bus1_tx *tx)
{
	struct bus1_node *node = container_of(tx, struct bus1_node, tx);

	bury_zombies(node);
	bus1_node_put(node);
}

/**
 * bus1_node_end() - see to it that a node is dead
 * @node:	node that is not live, or whose owner is down, or whose owner's @local is
 *		held; no data lock is
 * @quiet:	whether its owner gets no notice, if it was live
 */
void bus1_node_end(struct bus1_node *node, bool quiet)
{
	struct bus1_peer *owner = node->owner;
	bool begin;

	might_sleep();

	spin_lock(&owner->data);
	begin = bus1_node_is_live(node);
	if (begin) {
		/* One reference for all walkers together. */
		bus1_node_get(node);
		bus1_tx_init(&node->tx, walk_destruction, end_destruction);
		node->quiet = quiet;
		owner->n_nodes--;
		/* A task that sees it sees all of the above. */
		smp_store_release(&node->sealed, true);
	}
	spin_unlock(&owner->data);
	if (begin)
		bus1_tx_help(&node->tx);
	else
		bus1_node_help(node);
}

/**
 * bus1_cancel_locked() - begin to cancel a request
 * @reply:	open reply whose requester's @data is held
 *
 * bus1_reply_end() is to follow.
 */
void bus1_cancel_locked(struct bus1_reply *reply)
{
	lockdep_assert_held(&reply->requester->data);

	reply->entry.type = BUS1_ENTRY_CANCELLED;
	WRITE_ONCE(reply->state, BUS1_REPLY_CANCELLING);
}

/* The charge is given back now, the memory when nobody is writing to it any more. */
static void give_back_budget(struct bus1_reply *reply)
{
	struct bus1_message *message;

	spin_lock(&reply->requester->data);
	/* A holder that was writing to it may have found it cancelled, and freed it. */
	message = reply->message;
	if (message)
		bus1_message_uncharge_locked(message, &message->charged);
	if (reply->filling)
		message = NULL;
	else
		reply->message = NULL;
	spin_unlock(&reply->requester->data);
	bus1_message_free(message);
}

/* See bus1_commit_kick_locked(). A message that moves handles has one destination. */
static void settle_dest(struct bus1_tx *tx)
{
	struct bus1_multicast *multicast =
		container_of(tx, struct bus1_multicast, tx);
	struct bus1_tx_dest *dest = &multicast->dests[0];
	struct bus1_peer *to = dest->node->owner;

	spin_lock(&to->data);
	if (dest->step == BUS1_STEP_STAGED) {
		bus1_commit_kick_locked(dest->message, -EBUSY);
	} else if (dest->step == BUS1_STEP_NEW) {
		dest->error = -EBUSY;
		dest->step = BUS1_STEP_REFUSED;
	}
	spin_unlock(&to->data);
}

/* Afterwards the reply handle is where &struct bus1_reply.holder says. */
static void settle_move(struct bus1_reply *reply)
{
	struct bus1_tx *tx;

	spin_lock(&reply->requester->data);
	tx = reply->move;
	if (tx)
		bus1_tx_get(tx);
	spin_unlock(&reply->requester->data);
	if (!tx)
		return;
	if (bus1_tx_enter(tx)) {
		settle_dest(tx);
		if (bus1_tx_is_fixed(tx))
			bus1_tx_help(tx);
		else
			bus1_tx_leave(tx);
	}
	bus1_reply_note_move(reply, tx);
	bus1_tx_put(tx);
}

static void notify_holder(struct bus1_reply *reply)
{
	struct bus1_peer *holder;

	spin_lock(&reply->requester->data);
	holder = reply->holder;
	if (holder)
		bus1_peer_get(holder);
	spin_unlock(&reply->requester->data);
	if (!holder)
		return;

	spin_lock(&holder->data);
	if (!reply->gone && !reply->noticed) {
		reply->noticed = true;
		bus1_queue_add(&holder->queue, &reply->entry,
			       (unsigned long)reply);
		bus1_peer_wake_locked(holder);
	}
	spin_unlock(&holder->data);
	bus1_peer_wake_pollers(holder);
	bus1_peer_put(holder);
}

/**
 * bus1_reply_end() - see to it that a request that is being cancelled is cancelled
 * @reply:	reply, referenced by the caller; no data lock is held
 *
 * If the requester is down, a peer that has the reply handle can also begin it.
 */
void bus1_reply_end(struct bus1_reply *reply)
{
	struct bus1_peer *requester = reply->requester;
	bool cancelling;

	spin_lock(&requester->data);
	if (requester->down && bus1_reply_is_open(reply))
		bus1_cancel_locked(reply);
	cancelling = reply->state == BUS1_REPLY_CANCELLING;
	spin_unlock(&requester->data);
	if (!cancelling)
		return;

	give_back_budget(reply);
	settle_move(reply);
	notify_holder(reply);
	spin_lock(&requester->data);
	if (reply->state == BUS1_REPLY_CANCELLING)
		bus1_reply_cancelled_locked(reply);
	spin_unlock(&requester->data);
}

/**
 * struct victims - what a call destroys
 * @nodes:	live nodes
 * @n_nodes:	how many
 * @replies:	open replies
 * @n_replies:	how many
 */
struct victims {
	struct bus1_node **nodes;
	size_t n_nodes;
	struct bus1_reply **replies;
	size_t n_replies;
};

/* Nodes are collected from the front of an array, replies from its back. */
static int find_reply(struct bus1_peer *peer, u64 id,
		      struct victims *victims)
{
	struct bus1_reply *reply = bus1_reply_find_awaited(peer, id);

	if (!reply && bus1_reply_find_owed(peer, id))
		return -EREMOTE;
	if (!reply)
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

static int find_victim(struct bus1_peer *peer, u64 id,
		       struct victims *victims)
{
	struct bus1_handle *handle = bus1_handle_find(peer, id);

	if (!handle || !handle->n_user)
		return find_reply(peer, id, victims);
	if (!bus1_handle_is_own(handle))
		return -EREMOTE;
	if (!bus1_node_is_live(handle->node))
		return -ESTALE;
	if (handle->marked)
		return -ENOTUNIQ;
	handle->marked = true;
	victims->nodes[victims->n_nodes++] = handle->node;
	return 0;
}

static int find_victims(struct bus1_peer *peer, const u64 *ids, size_t n,
			struct victims *victims)
{
	size_t i;
	int err = 0;

	for (i = 0; i < n && !err; i++)
		err = find_victim(peer, ids[i], victims);
	for (i = 0; i < victims->n_nodes; i++)
		victims->nodes[i]->own.marked = false;
	for (i = 0; i < victims->n_replies; i++)
		victims->replies[i]->awaited_marked = false;
	return err;
}

/* All or nothing: any of them may be answered at any moment. */
static int cancel_replies(struct bus1_peer *peer,
			  const struct victims *victims)
{
	bool open = true;
	size_t i;

	spin_lock(&peer->data);
	for (i = 0; i < victims->n_replies; i++)
		open &= victims->replies[i]->state == BUS1_REPLY_OPEN;
	for (i = 0; open && i < victims->n_replies; i++)
		bus1_cancel_locked(victims->replies[i]);
	spin_unlock(&peer->data);
	return open ? 0 : -ESTALE;
}

static int destroy_found(struct bus1_peer *peer, const u64 *ids, size_t n,
			 struct victims *victims, u32 flags)
{
	bool quiet = flags & BUS1_DESTROY_RELEASE_HANDLES;
	size_t i;
	int err;

	lockdep_assert_held(&peer->local);

	if (peer->down)
		return -ESHUTDOWN;
	err = find_victims(peer, ids, n, victims);
	if (!err)
		err = cancel_replies(peer, victims);
	if (err)
		return err;

	for (i = 0; i < victims->n_nodes; i++) {
		bus1_node_end(victims->nodes[i], quiet);
		if (!quiet)
			continue;
		bus1_handle_unshow(&victims->nodes[i]->own, 1);
		bus1_node_forget(victims->nodes[i]);
	}
	/* From the back of the array, so in the order of @ids. */
	for (i = victims->n_replies; i--;) {
		bus1_reply_end(victims->replies[i]);
		bus1_reply_forget(victims->replies[i]);
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
 * All or nothing. Each is an event of its own: the nodes in the order of @ids, then the
 * requests, unless somebody finds one of these being cancelled and finishes it.
 *
 * Return: 0; -ESHUTDOWN; -ENXIO if one is not there, -EREMOTE if one is not the
 * peer's own, -ESTALE if one is destroyed already, -ENOTUNIQ if one is named
 * twice; -ENOMEM.
 */
int bus1_peer_destroy_nodes(struct bus1_peer *peer, const u64 *ids, size_t n,
			    u32 flags)
{
	void *few[8], **pointers = few;
	struct victims victims = {};
	int err;

	if (n > ARRAY_SIZE(few)) {
		pointers = kvmalloc_array(n, sizeof(*pointers),
					  GFP_KERNEL_ACCOUNT);
		if (!pointers)
			return -ENOMEM;
	}
	victims.nodes = (struct bus1_node **)pointers;
	victims.replies = (struct bus1_reply **)pointers + n;

	mutex_lock(&peer->local);
	err = destroy_found(peer, ids, n, &victims, flags);
	mutex_unlock(&peer->local);

	if (pointers != few)
		kvfree(pointers);
	return err;
}
