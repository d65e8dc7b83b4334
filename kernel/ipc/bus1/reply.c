// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: prepaid replies
 */

/**
 * DOC: replies
 *
 * A request makes a reply: a right to send one message to the requester, paid for
 * by the requester before anything is sent. The requester knows it by an ID of its
 * own choosing, the peer that has the right by a reply handle. A reply handle is
 * at one place at any time: known to a peer by an ID (&struct bus1_space.owed), or
 * carried by a message. A call of its holder that uses it claims it first. Another
 * call that wants it waits then, since the first may fail and leave it; a flush
 * dooms it, and the claimant drops it when it fails.
 *
 * What becomes of a reply is decided under the requester's data lock, once:
 * OPEN turns into ANSWERED, DROPPED or CANCELLING. So for each request exactly one
 * of these happens::
 *
 *	holder, replying		requester, cancelling
 *	lock; OPEN; @filling; unlock
 *	write into the slice
 *					lock; OPEN -> CANCELLING; unlock
 *	lock; not OPEN; unlock
 *	free the message, -EHOSTUNREACH
 *
 * A cancelled message that is not @filling is freed by the canceller; one that is
 * by the holder, and its charge is given back by the canceller all the same.
 *
 * Whom to tell of a cancellation is @holder, and no handle moves once the state is
 * CANCELLING. A message that moves handles is a transaction, even with one receiver, so
 * that there is one word which decides where they are: until it is fixed whoever cancels
 * takes the message back, then the handle is where it was; afterwards they finish it, then
 * the handle is at the target. Whoever comes first afterwards notes which
 * (bus1_reply_end_move())::
 *
 *	mover				canceller
 *	lock; OPEN; move = tx; unlock
 *	stage at B
 *					lock; CANCELLING; unlock
 *					kick tx at B; holder is A: notice to A
 *	cmpxchg fails; give up
 *
 * or::
 *
 *	stage at B; cmpxchg
 *					lock; CANCELLING; unlock
 *					help tx; holder is B: notice to B,
 *					behind the message
 *
 * The request itself carries the handle to its first holder. Until its sender has come
 * back from the commit the state is NEW: then nobody cancels it, and the holder, who
 * proves by having the handle that the request was committed, takes it for OPEN. A
 * sender that finds its peer down when it comes back cancels.
 *
 * A thread that waits for one reply registers itself in @await. What comes then
 * gets its place in the order but not in the queue. If the thread leaves without
 * taking it, it is put into the queue at that place.
 *
 * Locks: both @local and @data of the requester and of the holder are taken, never
 * two @data at once, and the @local of the other side never.
 */

#include <linux/bug.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>

#include "limits.h"
#include "reply.h"

static struct kmem_cache *reply_cache;

/**
 * bus1_reply_init() - make the cache of this room
 *
 * Return: 0. Panics when there is no memory at boot.
 */
int __init bus1_reply_init(void)
{
	reply_cache = kmem_cache_create("bus1_reply", sizeof(struct bus1_reply),
					0, SLAB_ACCOUNT | SLAB_PANIC, NULL);
	return 0;
}

/**
 * bus1_reply_new() - make a reply for a request that is to be sent
 * @requester:	who asks
 * @id:		its ID
 *
 * Return: the reply, in state NEW, with a reference for the caller, one for the
 * requester and one for the holder; or NULL.
 */
struct bus1_reply *bus1_reply_new(struct bus1_space *requester, u64 id)
{
	struct bus1_reply *reply = NULL;

	if (READ_ONCE(requester->spare_reply))
		reply = xchg(&requester->spare_reply, NULL);
	if (!reply)
		reply = kmem_cache_alloc(reply_cache, GFP_KERNEL);
	if (!reply)
		return NULL;
	refcount_set(&reply->ref, 3);
	reply->requester = bus1_space_get(requester);
	reply->id = id;
	RB_CLEAR_NODE(&reply->rb_awaited);
	reply->awaited_marked = false;
	reply->state = BUS1_REPLY_NEW;
	reply->holder = NULL;
	reply->move = NULL;
	reply->filling = false;
	reply->message = NULL;
	reply->charged = false;
	reply->await = NULL;
	reply->handed = false;
	INIT_LIST_HEAD(&reply->moved);
	reply->handle = BUS1_HANDLE_INVALID;
	reply->claimed = false;
	reply->wanted = false;
	reply->doomed = false;
	reply->marked = false;
	reply->gone = false;
	reply->noticed = false;
	reply->size = 0;
	bus1_entry_init(&reply->entry, BUS1_ENTRY_REPLY);
	return reply;
}

/**
 * bus1_reply_free() - free a reply's memory, see bus1_reply_put()
 * @reply:	reply whose last reference was put
 *
 * One stays with the requester, who is likely to ask again.
 */
void bus1_reply_free(struct bus1_reply *reply)
{
	struct bus1_space *requester = reply->requester;

	WARN_ON_ONCE(bus1_entry_queued(&reply->entry));
	if (!READ_ONCE(requester->spare_reply) && !READ_ONCE(requester->down) &&
	    !cmpxchg(&requester->spare_reply, NULL, reply))
		reply = NULL;
	bus1_space_put(requester);
	if (reply)
		kmem_cache_free(reply_cache, reply);
}

/**
 * bus1_reply_drop_spare() - free the memory that is kept for the next request
 * @requester:	who would ask
 */
void bus1_reply_drop_spare(struct bus1_space *requester)
{
	struct bus1_reply *spare = xchg(&requester->spare_reply, NULL);

	if (spare)
		kmem_cache_free(reply_cache, spare);
}

/**
 * bus1_reply_awaited_after() - find the awaited reply with the next higher ID
 * @space:	requester, whose @local is held
 * @id:		lower bound, inclusive
 *
 * Return: the reply with the lowest ID that is at least @id, or NULL.
 */
struct bus1_reply *bus1_reply_awaited_after(struct bus1_space *space, u64 id)
{
	struct rb_node *rb = space->awaited.rb_node;
	struct bus1_reply *reply, *found = NULL;

	lockdep_assert_held(&space->local);

	while (rb) {
		reply = rb_entry(rb, struct bus1_reply, rb_awaited);
		if (reply->id >= id) {
			found = reply;
			rb = rb->rb_left;
		} else {
			rb = rb->rb_right;
		}
	}
	return found;
}

/**
 * bus1_reply_find_awaited() - find a reply by the requester's ID
 * @space:	requester, whose @local is held
 * @id:		ID
 *
 * Return: the reply, or NULL.
 */
struct bus1_reply *bus1_reply_find_awaited(struct bus1_space *space, u64 id)
{
	struct bus1_reply *reply = bus1_reply_awaited_after(space, id);

	return reply && reply->id == id ? reply : NULL;
}

/**
 * bus1_reply_find_owed() - find a reply by the holder's ID
 * @space:	holder, whose @local is held
 * @id:		ID
 *
 * Return: the reply, or NULL.
 */
struct bus1_reply *bus1_reply_find_owed(struct bus1_space *space, u64 id)
{
	struct rb_node *rb = space->owed.rb_node;
	struct bus1_reply *reply;

	lockdep_assert_held(&space->local);

	while (rb) {
		reply = rb_entry(rb, struct bus1_reply, rb_owed);
		if (id == reply->handle)
			return reply;
		rb = id < reply->handle ? rb->rb_left : rb->rb_right;
	}
	return NULL;
}

/**
 * bus1_reply_expect() - make a reply known to its requester
 * @reply:	reply whose requester's @local is held, with an ID that is free
 */
void bus1_reply_expect(struct bus1_reply *reply)
{
	struct bus1_space *space = reply->requester;
	struct rb_node **link = &space->awaited.rb_node, *parent = NULL;

	lockdep_assert_held(&space->local);

	while (*link) {
		parent = *link;
		if (reply->id < rb_entry(parent, struct bus1_reply, rb_awaited)->id)
			link = &parent->rb_left;
		else
			link = &parent->rb_right;
	}
	rb_link_node(&reply->rb_awaited, parent, link);
	rb_insert_color(&reply->rb_awaited, &space->awaited);
	space->n_awaited++;
}

/**
 * bus1_reply_forget() - the requester does not wait any more, its ID is free
 * @reply:	reply whose requester's @local is held; may be gone afterwards
 */
void bus1_reply_forget(struct bus1_reply *reply)
{
	struct bus1_space *space = reply->requester;

	lockdep_assert_held(&space->local);

	if (RB_EMPTY_NODE(&reply->rb_awaited))
		return;
	rb_erase(&reply->rb_awaited, &space->awaited);
	RB_CLEAR_NODE(&reply->rb_awaited);
	space->n_awaited--;
	bus1_reply_put(reply);
}

static void forget_move_locked(struct bus1_reply *reply)
{
	if (!reply->move)
		return;
	bus1_tx_put(reply->move);
	reply->move = NULL;
}

/**
 * bus1_reply_move() - a reply handle is about to get to another holder
 * @reply:	reply that the caller has claimed
 * @tx:		what moves it
 * @to:		new holder
 *
 * Return: 0, and bus1_reply_end_move() is to follow; -EBUSY if it is being cancelled, and
 * the caller is to finish that, bus1_reply_end(), and to begin anew; -ESTALE if it
 * was cancelled, and stays where it is.
 */
int bus1_reply_move(struct bus1_reply *reply, struct bus1_tx *tx,
		    struct bus1_space *to)
{
	int err = 0;

	spin_lock(&reply->requester->data);
	if (reply->state == BUS1_REPLY_CANCELLING)
		err = -EBUSY;
	else if (!bus1_reply_is_open(reply))
		err = -ESTALE;
	if (!err) {
		/* The move before, if any, brought it here. */
		if (reply->move)
			reply->holder = reply->target;
		forget_move_locked(reply);
		reply->move = bus1_tx_get(tx);
		reply->target = to;
	}
	spin_unlock(&reply->requester->data);
	return err;
}

/**
 * bus1_reply_end_move() - note how a move of a reply handle ended
 * @reply:	reply
 * @tx:		what was to move it; over, or given up
 */
void bus1_reply_end_move(struct bus1_reply *reply, struct bus1_tx *tx)
{
	spin_lock(&reply->requester->data);
	if (reply->move == tx) {
		if (bus1_tx_is_placed(tx))
			reply->holder = reply->target;
		forget_move_locked(reply);
	}
	spin_unlock(&reply->requester->data);
}

static void enqueue_locked(struct bus1_reply *reply)
{
	struct bus1_space *space = reply->requester;

	bus1_queue_insert(&space->queue, &reply->entry, &reply->place);
	space->queued_bytes += reply->size;
}

/**
 * bus1_reply_arrive_locked() - a reply is decided: it is there, or will not come
 * @reply:	open reply whose requester's @data is held
 * @state:	ANSWERED or DROPPED
 * @size:	how many bytes of the pool it takes
 *
 * It gets its place, and goes to the thread that waits for it or into the queue.
 * bus1_space_wake_pollers() of the requester is to follow.
 */
void bus1_reply_arrive_locked(struct bus1_reply *reply,
			      enum bus1_reply_state state, u64 size)
{
	struct bus1_space *space = reply->requester;
	bool sync = state == BUS1_REPLY_ANSWERED;

	lockdep_assert_held(&space->data);

	forget_move_locked(reply);
	reply->holder = NULL;
	reply->size = size;
	reply->place.timestamp = bus1_queue_tick(&space->queue);
	reply->place.key = (unsigned long)reply;
	reply->handed = reply->await;
	if (!reply->handed)
		enqueue_locked(reply);
	/* Pairs with the acquire in await.c, is_decided(). */
	smp_store_release(&reply->state, state);
	/* @await is on a stack, and leaves under the lock. */
	if (reply->handed)
		bus1_space_wake_task(reply->await->task, sync);
	else
		bus1_space_wake_locked(space, sync);
}

/*
 * The handle that a reply is stays charged while its requester has something to
 * receive, or its holder something to release: neither costs the other anything, and
 * neither is free.
 */
static void settle_charge_locked(struct bus1_reply *reply)
{
	struct bus1_space *space = reply->requester;

	lockdep_assert_held(&space->data);

	if (!reply->charged || reply->holder ||
	    reply->state == BUS1_REPLY_DROPPED)
		return;
	reply->charged = false;
	bus1_quota_uncharge(&space->quota, NULL, &bus1_one_handle);
}

/**
 * bus1_reply_cancelled_locked() - nothing is to come any more
 * @reply:	reply whose requester's @data is held
 */
void bus1_reply_cancelled_locked(struct bus1_reply *reply)
{
	lockdep_assert_held(&reply->requester->data);

	/* Pairs with the acquire in await.c, is_decided(). */
	smp_store_release(&reply->state, BUS1_REPLY_CANCELLED);
	settle_charge_locked(reply);
	if (reply->await)
		wake_up_state(reply->await->task, TASK_INTERRUPTIBLE);
}

/**
 * bus1_reply_received_locked() - what came is received, or thrown away
 * @reply:	answered or dropped reply; the requester's @local and @data are
 *		held
 */
void bus1_reply_received_locked(struct bus1_reply *reply)
{
	struct bus1_space *space = reply->requester;

	lockdep_assert_held(&space->data);

	if (!reply->handed) {
		bus1_queue_remove(&space->queue, &reply->entry);
		space->queued_bytes -= reply->size;
	}
	reply->handed = false;
	reply->message = NULL;
	/* Pairs with the acquire in await.c: nobody touches it any more. */
	smp_store_release(&reply->await, NULL);
	WRITE_ONCE(reply->state, BUS1_REPLY_RECEIVED);
	settle_charge_locked(reply);
}

/**
 * bus1_reply_overtakes_locked() - how many entries are in front of a reply
 * @reply:	reply that came; its requester's @data is held
 *
 * Staged entries count, and notices that will be skipped: what is in front of them may
 * yet show what they are about. The walk is bounded, since others fill the queue.
 *
 * Return: the exact number up to BUS1_BATCH; beyond that all that is queued.
 */
u32 bus1_reply_overtakes_locked(const struct bus1_reply *reply)
{
	const struct bus1_queue *queue = &reply->requester->queue;
	const struct bus1_entry *entry = bus1_queue_first(queue);
	u32 n = 0;

	lockdep_assert_held(&reply->requester->data);

	while (entry && bus1_place_before(&entry->place, &reply->place)) {
		if (n++ == BUS1_BATCH)
			return min_t(size_t, queue->n_entries, U32_MAX);
		entry = bus1_queue_next(entry);
	}
	return n;
}

/**
 * bus1_reply_leave_locked() - a thread does not wait for a reply any more
 * @await:	the thread, registered; the requester's @data is held
 *
 * What was handed to it and not taken goes into the queue.
 *
 * Return: true if it does, and the requester is to be woken.
 */
bool bus1_reply_leave_locked(struct bus1_await *await)
{
	struct bus1_reply *reply = await->reply;
	struct bus1_space *space = reply->requester;

	lockdep_assert_held(&space->data);

	if (reply->await != await)
		return false;
	reply->await = NULL;
	if (!reply->handed)
		return false;
	reply->handed = false;
	enqueue_locked(reply);
	return true;
}

/**
 * bus1_reply_abort() - undo bus1_reply_new()
 * @reply:	reply of a request that was not committed
 * @await:	who was registered for it, or NULL
 *
 * bus1_reply_forget() is to follow, and the references of the holder and of the
 * caller are to be put.
 *
 * Return: what was to hold the reply, for the caller to free; or NULL.
 */
struct bus1_message *bus1_reply_abort(struct bus1_reply *reply,
				      struct bus1_await *await)
{
	struct bus1_space *requester = reply->requester;
	struct bus1_message *message;

	spin_lock(&requester->data);
	reply->holder = NULL;
	message = reply->message;
	reply->message = NULL;
	bus1_reply_cancelled_locked(reply);
	if (await) {
		/* The caller is about to leave the stack that it is on. */
		reply->await = NULL;
		await->reply = NULL;
	}
	spin_unlock(&requester->data);
	return message;
}

/**
 * bus1_reply_link() - let a peer find a reply handle by its ID
 * @reply:	reply that has an ID
 * @holder:	who has the handle; its @local is held
 */
void bus1_reply_link(struct bus1_reply *reply, struct bus1_space *holder)
{
	struct rb_node **link = &holder->owed.rb_node, *parent = NULL;

	lockdep_assert_held(&holder->local);

	while (*link) {
		parent = *link;
		if (reply->handle <
		    rb_entry(parent, struct bus1_reply, rb_owed)->handle)
			link = &parent->rb_left;
		else
			link = &parent->rb_right;
	}
	rb_link_node(&reply->rb_owed, parent, link);
	rb_insert_color(&reply->rb_owed, &holder->owed);
	holder->n_owed++;
}

/**
 * bus1_reply_unlink() - undo bus1_reply_link()
 * @reply:	reply that @holder has an ID for
 * @holder:	holder, whose @local is held
 */
void bus1_reply_unlink(struct bus1_reply *reply, struct bus1_space *holder)
{
	lockdep_assert_held(&holder->local);

	rb_erase(&reply->rb_owed, &holder->owed);
	holder->n_owed--;
}

/**
 * bus1_reply_show() - give a reply handle that arrived an ID
 * @reply:	reply that is in no tree
 * @holder:	who got it; its @local is held
 */
void bus1_reply_show(struct bus1_reply *reply, struct bus1_space *holder)
{
	reply->handle = bus1_space_next_id(holder) | BUS1_HANDLE_FLAG_MANAGED |
			BUS1_HANDLE_FLAG_REPLY;
	if (holder != reply->requester)
		reply->handle |= BUS1_HANDLE_FLAG_REMOTE;
	bus1_reply_link(reply, holder);
}

/**
 * bus1_reply_unclaim() - a call does not use a reply handle any more
 * @reply:	claimed reply; the @local of whose holder it was when it was claimed
 *		is held
 */
void bus1_reply_unclaim(struct bus1_reply *reply)
{
	reply->doomed = false;
	/* Pairs with the acquire in bus1_reply_wait_free(). */
	smp_store_release(&reply->claimed, false);
	if (likely(!reply->wanted))
		return;
	/* Orders the release before the look for a waiter. */
	smp_mb();
	wake_up_var(&reply->claimed);
}

/**
 * bus1_reply_wait_free() - wait until nobody else uses a reply handle
 * @reply:	reply that was found claimed, see bus1_reply_get_busy(); the caller has a
 *		reference, no lock, and has claimed nothing. The reference is put
 *
 * Another call of the same peer has claimed it.
 *
 * Return: 0, or -EINTR if the caller is killed.
 */
int bus1_reply_wait_free(struct bus1_reply *reply)
{
	int err;

	err = wait_var_event_killable(&reply->claimed,
				      !smp_load_acquire(&reply->claimed));
	bus1_reply_put(reply);
	return err ? -EINTR : 0;
}

/**
 * bus1_reply_drop_locked() - nobody has the reply handle any more
 * @reply:	reply that is in no tree; its requester's @data is held
 *
 * If the reply was still to come, the requester is told that it will not. Afterwards
 * bus1_space_wake_pollers() of the requester, bus1_reply_leave_holder() and
 * bus1_reply_put() are to follow.
 *
 * Return: what was to hold the reply, for the caller to uncharge and free; or NULL.
 */
struct bus1_message *bus1_reply_drop_locked(struct bus1_reply *reply)
{
	struct bus1_message *message = NULL;

	lockdep_assert_held(&reply->requester->data);

	forget_move_locked(reply);
	reply->holder = NULL;
	if (bus1_reply_is_open(reply)) {
		message = reply->message;
		reply->message = NULL;
		/* A peer that is down may have emptied its queue already. */
		if (reply->requester->down)
			bus1_reply_cancelled_locked(reply);
		else
			bus1_reply_arrive_locked(reply, BUS1_REPLY_DROPPED, 0);
	}
	settle_charge_locked(reply);
	return message;
}

/**
 * bus1_reply_leave_holder() - what concerns a reply is withdrawn from its holder
 * @reply:	reply whose handle nobody has any more
 * @holder:	who had it
 *
 * A notice that came too late is withdrawn, and none comes any more.
 */
void bus1_reply_leave_holder(struct bus1_reply *reply,
			     struct bus1_space *holder)
{
	spin_lock(&holder->data);
	reply->gone = true;
	if (reply->entry.type == BUS1_ENTRY_CANCELLED &&
	    bus1_entry_queued(&reply->entry))
		bus1_queue_remove(&holder->queue, &reply->entry);
	spin_unlock(&holder->data);
}
