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
 * at one place at any time: known to a peer by an ID (&struct bus1_peer.owed), or
 * carried by a message. A call of its holder that uses it holds that peer's local lock
 * from the look-up until it is used, moved or left, so no other call sees it meanwhile.
 *
 * What becomes of a reply is decided under the requester's data lock, once:
 * OPEN turns into ANSWERED, DROPPED or CANCELLING. So exactly one of these happens to
 * each request::
 *
 *	holder, replying		requester, cancelling
 *	lock; OPEN; @filling; unlock
 *	write into the slice
 *					lock; OPEN -> CANCELLING; unlock
 *	lock; not OPEN; unlock
 *	free the message, -EHOSTUNREACH
 *
 * The canceller frees a message that is not @filling. One that is @filling is freed by
 * the holder; the canceller gives its charge back all the same.
 *
 * The notice of a cancellation goes to @holder, and no handle moves once the state is
 * CANCELLING. A message that moves handles is a transaction, even with one receiver, so
 * there is one word that decides where they are. Until it is fixed a canceller takes the
 * message back, and the handle is where it was. Afterwards the canceller finishes it, and
 * the handle is at the target. The first task that comes after that notes which it was
 * (bus1_reply_note_move())::
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
 * The request itself carries the handle to its first holder. The sender holds its local
 * lock until the request is committed. A cancellation, a flush and a disconnect need that
 * lock, so none of them meets a request that is not committed and may never be.
 *
 * A thread that waits for one reply registers itself in @await. What comes then
 * gets its place in the order but not in the queue. If the thread leaves without
 * taking it, it is put into the queue at that place.
 *
 * Each side takes its own @local, and never that of the other side; and the @data of
 * either side, never two at once.
 */

#include <linux/bug.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "limits.h"
#include "reply.h"

static struct kmem_cache *reply_cache;

/**
 * bus1_reply_cache_init() - make the cache of replies
 */
void __init bus1_reply_cache_init(void)
{
	reply_cache = kmem_cache_create("bus1_reply", sizeof(struct bus1_reply),
					0, SLAB_ACCOUNT | SLAB_PANIC, NULL);
}

/**
 * bus1_reply_take_locked() - take the memory that is kept for the next request
 * @requester:	peer that asks; its @data is held
 *
 * Return: a reply for bus1_reply_init() or bus1_reply_free(), or NULL.
 */
struct bus1_reply *bus1_reply_take_locked(struct bus1_peer *requester)
{
	struct bus1_reply *reply = requester->spare_reply;

	lockdep_assert_held(&requester->data);

	requester->spare_reply = NULL;
	return reply;
}

/**
 * bus1_reply_new() - allocate a reply
 * @requester:	peer that asks
 *
 * Return: a reply for bus1_reply_init() or bus1_reply_free(), or NULL.
 */
struct bus1_reply *bus1_reply_new(struct bus1_peer *requester)
{
	struct bus1_reply *reply = kmem_cache_alloc(reply_cache, GFP_KERNEL);

	if (!reply)
		return NULL;
	bus1_entry_init(&reply->entry, BUS1_ENTRY_REPLY);
	INIT_LIST_HEAD(&reply->moved);
	reply->requester = bus1_peer_get(requester);
	return reply;
}

/**
 * bus1_reply_init() - make a reply for a request that is to be sent
 * @reply:	reply that nobody knows
 * @id:		its ID
 *
 * It is open, with a reference for the requester and one for the holder.
 */
void bus1_reply_init(struct bus1_reply *reply, u64 id)
{
	reply->ref = 2;
	reply->id = id;
	RB_CLEAR_NODE(&reply->rb_awaited);
	reply->awaited_marked = false;
	reply->state = BUS1_REPLY_OPEN;
	reply->holder = NULL;
	reply->move = NULL;
	reply->filling = false;
	reply->message = NULL;
	reply->charged = false;
	reply->await = NULL;
	reply->handed = false;
	reply->handle = BUS1_HANDLE_INVALID;
	reply->marked = false;
	reply->gone = false;
	reply->noticed = false;
	reply->size = 0;
}

/**
 * bus1_reply_free() - free what bus1_reply_put_locked() returned
 * @reply:	reply without references, or NULL
 *
 * May sleep: its reference to the requester may be the last.
 */
void bus1_reply_free(struct bus1_reply *reply)
{
	struct bus1_peer *requester;

	if (!reply)
		return;
	WARN_ON_ONCE(bus1_entry_queued(&reply->entry));
	requester = reply->requester;
	kmem_cache_free(reply_cache, reply);
	bus1_peer_put(requester);
}

/**
 * bus1_reply_put() - put a reference to a reply's memory
 * @reply:	reply; no data lock is held
 */
void bus1_reply_put(struct bus1_reply *reply)
{
	struct bus1_peer *requester = reply->requester;

	spin_lock(&requester->data);
	reply = bus1_reply_put_locked(reply);
	spin_unlock(&requester->data);
	bus1_reply_free(reply);
}

/**
 * bus1_reply_awaited_after() - find the awaited reply with the next higher ID
 * @peer:	requester, whose @local is held
 * @id:		lower bound, inclusive
 *
 * Return: the reply with the lowest ID that is at least @id, or NULL.
 */
struct bus1_reply *bus1_reply_awaited_after(struct bus1_peer *peer, u64 id)
{
	struct rb_node *rb = peer->awaited.rb_node;
	struct bus1_reply *reply, *found = NULL;

	lockdep_assert_held(&peer->local);

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
 * @peer:	requester, whose @local is held
 * @id:		ID
 *
 * Return: the reply, or NULL.
 */
struct bus1_reply *bus1_reply_find_awaited(struct bus1_peer *peer, u64 id)
{
	struct bus1_reply *reply = bus1_reply_awaited_after(peer, id);

	return reply && reply->id == id ? reply : NULL;
}

/**
 * bus1_reply_find_owed() - find a reply by the holder's ID
 * @peer:	holder, whose @local is held
 * @id:		ID
 *
 * Return: the reply, or NULL.
 */
struct bus1_reply *bus1_reply_find_owed(struct bus1_peer *peer, u64 id)
{
	struct rb_node *rb = peer->owed.rb_node;
	struct bus1_reply *reply;

	lockdep_assert_held(&peer->local);

	while (rb) {
		reply = rb_entry(rb, struct bus1_reply, rb_owed);
		if (id == reply->handle)
			return reply;
		rb = id < reply->handle ? rb->rb_left : rb->rb_right;
	}
	return NULL;
}

static bool awaited_less(struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, struct bus1_reply, rb_awaited)->id <
	       rb_entry(b, struct bus1_reply, rb_awaited)->id;
}

static bool owed_less(struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, struct bus1_reply, rb_owed)->handle <
	       rb_entry(b, struct bus1_reply, rb_owed)->handle;
}

/**
 * bus1_reply_expect() - make a reply known to its requester
 * @reply:	reply whose requester's @local is held, with an ID that is free
 */
void bus1_reply_expect(struct bus1_reply *reply)
{
	struct bus1_peer *peer = reply->requester;

	lockdep_assert_held(&peer->local);

	rb_add(&reply->rb_awaited, &peer->awaited, awaited_less);
	peer->n_awaited++;
}

/**
 * bus1_reply_forget_locked() - make a reply unknown to its requester; its ID is free
 * @reply:	reply whose requester's @local and @data are held
 *
 * Return: what the caller is to pass to bus1_reply_free() without the lock, or NULL.
 */
struct bus1_reply *bus1_reply_forget_locked(struct bus1_reply *reply)
{
	struct bus1_peer *peer = reply->requester;

	lockdep_assert_held(&peer->local);

	if (RB_EMPTY_NODE(&reply->rb_awaited))
		return NULL;
	rb_erase(&reply->rb_awaited, &peer->awaited);
	RB_CLEAR_NODE(&reply->rb_awaited);
	peer->n_awaited--;
	return bus1_reply_put_locked(reply);
}

/**
 * bus1_reply_forget() - bus1_reply_forget_locked() of a cancelled reply
 * @reply:	reply whose requester's @local is held; may be gone afterwards
 */
void bus1_reply_forget(struct bus1_reply *reply)
{
	struct bus1_peer *peer = reply->requester;

	spin_lock(&peer->data);
	reply = bus1_reply_forget_locked(reply);
	spin_unlock(&peer->data);
	bus1_reply_free(reply);
}

static void forget_move_locked(struct bus1_reply *reply)
{
	if (!reply->move)
		return;
	bus1_tx_put(reply->move);
	reply->move = NULL;
}

/**
 * bus1_reply_move() - begin to move a reply handle to another holder
 * @reply:	reply whose handle the calling peer has
 * @tx:		transaction that moves it
 * @to:		new holder
 *
 * Return: 0, and bus1_reply_end_move() is to follow; -EBUSY if it is being cancelled, and
 * the caller is to finish that with bus1_reply_end() and to begin again; -ESTALE if it
 * was cancelled, and stays where it is.
 */
int bus1_reply_move(struct bus1_reply *reply, struct bus1_tx *tx,
		    struct bus1_peer *to)
{
	int err = 0;

	spin_lock(&reply->requester->data);
	if (reply->state == BUS1_REPLY_CANCELLING)
		err = -EBUSY;
	else if (!bus1_reply_is_open(reply))
		err = -ESTALE;
	if (!err) {
		/* An earlier move, if any, brought it here. */
		if (reply->move)
			reply->holder = reply->target;
		forget_move_locked(reply);
		reply->move = bus1_tx_get(tx);
		reply->target = to;
		reply->ref++;
	}
	spin_unlock(&reply->requester->data);
	return err;
}

/**
 * bus1_reply_note_move() - note how a move of a reply handle ended
 * @reply:	reply
 * @tx:		transaction that was to move it; over, or given up
 */
void bus1_reply_note_move(struct bus1_reply *reply, struct bus1_tx *tx)
{
	spin_lock(&reply->requester->data);
	if (reply->move == tx) {
		if (bus1_tx_is_placed(tx))
			reply->holder = reply->target;
		forget_move_locked(reply);
	}
	spin_unlock(&reply->requester->data);
}

/**
 * bus1_reply_end_move() - end what bus1_reply_move() began
 * @reply:	reply, may be gone afterwards
 * @tx:		transaction that was to move it; over, or given up
 */
void bus1_reply_end_move(struct bus1_reply *reply, struct bus1_tx *tx)
{
	bus1_reply_note_move(reply, tx);
	bus1_reply_put(reply);
}

static void enqueue_locked(struct bus1_reply *reply)
{
	struct bus1_peer *peer = reply->requester;

	bus1_queue_insert(&peer->queue, &reply->entry, &reply->place);
	peer->queued_bytes += reply->size;
}

/**
 * bus1_reply_arrive_locked() - decide a reply: it is there, or will not come
 * @reply:	open reply whose requester's @data is held
 * @state:	ANSWERED or DROPPED
 * @size:	how many bytes of the pool it takes
 *
 * It gets its place, and goes to the thread that waits for it or into the queue.
 * bus1_peer_wake_pollers() of the requester is to follow.
 */
void bus1_reply_arrive_locked(struct bus1_reply *reply,
			      enum bus1_reply_state state, u64 size)
{
	struct bus1_peer *peer = reply->requester;

	lockdep_assert_held(&peer->data);

	forget_move_locked(reply);
	reply->holder = NULL;
	reply->size = size;
	reply->place.timestamp = bus1_queue_tick(&peer->queue);
	reply->place.key = (unsigned long)reply;
	reply->handed = reply->await;
	if (!reply->handed)
		enqueue_locked(reply);
	/* Pairs with the acquire in recv.c, is_decided(). */
	smp_store_release(&reply->state, state);
	/* @await is on a stack, and leaves under the lock. */
	if (reply->handed)
		wake_up_state(reply->await->task, TASK_INTERRUPTIBLE);
	else
		bus1_peer_wake_locked(peer);
}

/*
 * The request's one handle stays charged while its holder has a reply handle to release,
 * or its requester a notice to receive: neither costs the other side anything, and
 * neither is free.
 */
static void settle_charge_locked(struct bus1_reply *reply)
{
	struct bus1_peer *peer = reply->requester;

	lockdep_assert_held(&peer->data);

	if (!reply->charged || reply->holder ||
	    reply->state == BUS1_REPLY_DROPPED)
		return;
	reply->charged = false;
	bus1_quota_uncharge(&peer->quota, NULL, &bus1_one_handle);
}

/**
 * bus1_reply_cancelled_locked() - mark a reply as cancelled
 * @reply:	reply whose requester's @data is held
 */
void bus1_reply_cancelled_locked(struct bus1_reply *reply)
{
	lockdep_assert_held(&reply->requester->data);

	/* Pairs with the acquire in recv.c, is_decided(). */
	smp_store_release(&reply->state, BUS1_REPLY_CANCELLED);
	settle_charge_locked(reply);
	if (reply->await)
		wake_up_state(reply->await->task, TASK_INTERRUPTIBLE);
}

/**
 * bus1_reply_received_locked() - take what came, or throw it away
 * @reply:	answered or dropped reply; the requester's @local and @data are
 *		held
 * @state:	RECEIVED, or CANCELLED if it is thrown away
 *
 * Its ID is free afterwards.
 *
 * Return: what the caller is to pass to bus1_reply_free() without the lock, or NULL.
 */
struct bus1_reply *bus1_reply_received_locked(struct bus1_reply *reply,
					      enum bus1_reply_state state)
{
	struct bus1_peer *peer = reply->requester;
	struct bus1_await *await = reply->await;

	lockdep_assert_held(&peer->local);
	lockdep_assert_held(&peer->data);

	if (!reply->handed) {
		bus1_queue_remove(&peer->queue, &reply->entry);
		peer->queued_bytes -= reply->size;
	}
	reply->handed = false;
	reply->message = NULL;
	WRITE_ONCE(reply->state, state);
	settle_charge_locked(reply);
	/* If another thread received it, the one that waits leaves by itself. */
	if (await && await->task == current) {
		reply->await = NULL;
		await->reply = NULL;
		peer->n_waiting--;
		reply->ref--;
	}
	return bus1_reply_forget_locked(reply);
}

/**
 * bus1_reply_overtakes_locked() - count the entries in front of a reply
 * @reply:	reply that came; its requester's @data is held
 *
 * Staged entries count, and so do notices that will be skipped: a message in front of
 * such a notice may yet show the handle that it is about. The walk is bounded, since
 * others fill the queue.
 *
 * Return: the exact number up to BUS1_BATCH; beyond that the number of all entries.
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
 * bus1_reply_leave_locked() - stop waiting for a reply
 * @await:	the thread, registered; the requester's @local and @data are held
 * @wake:	set if what was handed to it goes into the queue, and the requester is to
 *		be woken
 *
 * Return: what the caller is to pass to bus1_reply_free() without the lock, or NULL.
 */
struct bus1_reply *bus1_reply_leave_locked(struct bus1_await *await, bool *wake)
{
	struct bus1_reply *reply = await->reply;
	struct bus1_peer *peer = reply->requester;

	lockdep_assert_held(&peer->local);
	lockdep_assert_held(&peer->data);

	await->reply = NULL;
	peer->n_waiting--;
	/* Unless another thread received it meanwhile. */
	if (reply->await == await) {
		reply->await = NULL;
		*wake = reply->handed;
		reply->handed = false;
		if (*wake)
			enqueue_locked(reply);
	}
	return bus1_reply_put_locked(reply);
}

/**
 * bus1_reply_link() - let a peer find a reply handle by its ID
 * @reply:	reply that has an ID
 * @holder:	peer that has the handle; its @local is held
 */
void bus1_reply_link(struct bus1_reply *reply, struct bus1_peer *holder)
{
	lockdep_assert_held(&holder->local);

	rb_add(&reply->rb_owed, &holder->owed, owed_less);
	holder->n_owed++;
}

/**
 * bus1_reply_unlink() - undo bus1_reply_link()
 * @reply:	reply that @holder has an ID for
 * @holder:	holder, whose @local is held
 */
void bus1_reply_unlink(struct bus1_reply *reply, struct bus1_peer *holder)
{
	lockdep_assert_held(&holder->local);

	rb_erase(&reply->rb_owed, &holder->owed);
	holder->n_owed--;
}

/**
 * bus1_reply_show() - give a reply handle that arrived an ID
 * @reply:	reply that is in no tree
 * @holder:	peer that got it; its @local is held
 */
void bus1_reply_show(struct bus1_reply *reply, struct bus1_peer *holder)
{
	reply->handle = bus1_peer_next_id(holder) | BUS1_HANDLE_FLAG_MANAGED |
			BUS1_HANDLE_FLAG_REPLY;
	if (holder != reply->requester)
		reply->handle |= BUS1_HANDLE_FLAG_REMOTE;
	bus1_reply_link(reply, holder);
}

/**
 * bus1_reply_drop_locked() - drop a reply handle: nobody has it any more
 * @reply:	reply that is in no tree; its requester's @data is held
 *
 * If the reply was still to come, the requester is told that it will not. Afterwards
 * bus1_peer_wake_pollers() of the requester, bus1_reply_leave_holder() and
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
 * bus1_reply_leave_holder() - end what concerns a reply at its last holder
 * @reply:	reply whose handle nobody has any more
 * @holder:	peer that had it
 *
 * The notice of a cancellation is withdrawn if it is queued, and will not come any more.
 */
void bus1_reply_leave_holder(struct bus1_reply *reply,
			     struct bus1_peer *holder)
{
	spin_lock(&holder->data);
	reply->gone = true;
	if (reply->entry.type == BUS1_ENTRY_CANCELLED &&
	    bus1_entry_queued(&reply->entry))
		bus1_queue_remove(&holder->queue, &reply->entry);
	spin_unlock(&holder->data);
}
