// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: waiting for one reply
 */

/**
 * DOC: awaiting
 *
 * A thread registers for a reply, with the request that asks for it or later by its
 * ID; waits; takes what came, as often as the store of the result fails for want of
 * a page; and leaves. What was handed to it and not taken is queued then.
 *
 * A reply that came before the thread registered is in the queue, and is taken
 * from there, wherever it stands.
 */

#include <linux/sched/signal.h>

#include "await.h"
#include "destroy.h"
#include "recv.h"

/**
 * bus1_await_begin() - register for a reply
 * @await:	the calling thread
 * @peer:	requester
 * @id:		the request
 *
 * Return: 0, and bus1_await_end() is to follow; -ESHUTDOWN; -ENXIO if there is no
 * such request, -EBUSY if another thread waits for it.
 */
int bus1_await_begin(struct bus1_await *await, struct bus1_peer *peer, u64 id)
{
	struct bus1_space *space = &peer->space;
	struct bus1_reply *reply;
	int err = 0;

	await->task = current;
	await->reply = NULL;

	mutex_lock(&space->local);
	spin_lock(&space->data);
	reply = bus1_reply_find_awaited(space, id);
	if (space->down)
		err = -ESHUTDOWN;
	else if (!reply || reply->state == BUS1_REPLY_NEW)
		err = -ENXIO;
	else if (reply->await)
		err = -EBUSY;
	if (!err) {
		reply->await = await;
		await->reply = bus1_reply_get(reply);
	}
	spin_unlock(&space->data);
	mutex_unlock(&space->local);
	return err;
}

/**
 * bus1_await_end() - leave
 * @await:	the calling thread
 * @peer:	requester
 */
void bus1_await_end(struct bus1_await *await, struct bus1_peer *peer)
{
	struct bus1_space *space = &peer->space;
	bool wake;

	/* Pairs with the release in bus1_reply_received_locked(). */
	if (smp_load_acquire(&await->reply->await) != await) {
		bus1_reply_put(await->reply);
		return;
	}
	/* Who takes what is in front of the queue holds it. */
	mutex_lock(&space->local);
	spin_lock(&space->data);
	wake = bus1_reply_leave_locked(await);
	spin_unlock(&space->data);
	mutex_unlock(&space->local);
	if (wake)
		bus1_space_wake(space);
	bus1_reply_put(await->reply);
}

static bool is_decided(const struct bus1_reply *reply)
{
	/* Pairs with the releases in reply.c. */
	return smp_load_acquire(&reply->state) != BUS1_REPLY_OPEN;
}

static int sleep_until_decided(struct bus1_await *await, ktime_t *deadline)
{
	int err = 0;

	while (!err) {
		/* Whoever decides does so before looking at who sleeps. */
		set_current_state(TASK_INTERRUPTIBLE);
		if (is_decided(await->reply))
			break;
		err = signal_pending(current) ? -ERESTARTSYS :
						bus1_sleep(deadline);
	}
	__set_current_state(TASK_RUNNING);
	return err;
}

static void tell_overtaken_locked(const struct bus1_reply *reply,
				  struct bus1_recv_args *out)
{
	out->n_overtaken = bus1_reply_overtakes_locked(reply);
	if (out->n_overtaken)
		out->flags |= BUS1_MSG_FLAG_OVERTOOK;
}

static int take_drop_locked(struct bus1_reply *reply, struct bus1_peer *peer,
			    struct bus1_recv *recv)
{
	int err;

	recv->out->type = BUS1_MSG_REPLY_DROPPED;
	recv->out->destination = reply->id;
	err = recv->store(recv);
	if (err)
		return err;
	bus1_reply_received_locked(reply);
	peer->n_received++;
	return 0;
}

static int take_reply(struct bus1_reply *reply, struct bus1_peer *peer,
		      struct bus1_recv *recv)
{
	struct bus1_space *space = &peer->space;
	enum bus1_reply_state state;
	int err = 0;

	lockdep_assert_held(&space->local);

	if (space->down)
		return -ESHUTDOWN;
	spin_lock(&space->data);
	state = reply->state;
	if (state == BUS1_REPLY_ANSWERED || state == BUS1_REPLY_DROPPED)
		tell_overtaken_locked(reply, recv->out);
	if (state == BUS1_REPLY_DROPPED)
		err = take_drop_locked(reply, peer, recv);
	spin_unlock(&space->data);

	switch (state) {
	case BUS1_REPLY_ANSWERED:
		return bus1_deliver(peer, recv, reply->message, &reply->place,
				    reply);
	case BUS1_REPLY_DROPPED:
		if (!err)
			bus1_reply_forget(reply);
		return err;
	case BUS1_REPLY_OPEN:
		return -EAGAIN;
	case BUS1_REPLY_RECEIVED:
		return -ENXIO;
	default:
		return -ESTALE;
	}
}

static int try_take(struct bus1_await *await, struct bus1_peer *peer,
		    struct bus1_recv *recv)
{
	struct bus1_space *space = &peer->space;
	int err;

	bus1_recv_clear(recv);
	mutex_lock(&space->local);
	err = take_reply(await->reply, peer, recv);
	mutex_unlock(&space->local);
	/* Nobody learns of a cancellation before it has its place. */
	if (err == -ESTALE)
		bus1_reply_end(await->reply);
	if (err) {
		recv->out->type = BUS1_MSG_NONE;
		recv->out->destination = BUS1_HANDLE_INVALID;
	}
	return err;
}

/**
 * bus1_await_reply() - wait for a reply and take it
 * @await:	the calling thread, registered
 * @peer:	requester
 * @recv:	how to receive; also what was received
 *
 * Return: 0; -ESHUTDOWN; -EAGAIN; -ERESTARTSYS; -ETIMEDOUT; -ESTALE if the request
 * was cancelled or flushed; -ENXIO if another thread received the reply; or as bus1_deliver().
 */
int bus1_await_reply(struct bus1_await *await, struct bus1_peer *peer,
		     struct bus1_recv *recv)
{
	int err = 0;

	if (!recv->nonblock && !is_decided(await->reply)) {
		atomic_inc(&peer->n_waiting);
		err = sleep_until_decided(await, &recv->deadline);
		atomic_dec(&peer->n_waiting);
	}
	/* What is there goes before the deadline and a signal. */
	if (err && (fatal_signal_pending(current) || !is_decided(await->reply)))
		return err;
	return try_take(await, peer, recv);
}
