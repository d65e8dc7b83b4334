// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: receiving
 */

/**
 * DOC: receiving
 *
 * A receive takes the entry in front of the queue; deliver.c says how. Nothing gets in
 * front of that entry meanwhile: insertions are above the clock, except for a reply that
 * a thread leaves to the queue (reply.c), and that needs the local lock.
 *
 * A commit wakes one waiter, unless as many waiters as there are entries are on their
 * way. A receiver that leaves something wakes the next one in the same way. So does a
 * waiter that was woken and then fails or is killed, after it has stopped counting as
 * being on its way. All of this is done under the data lock, so no wake is lost::
 *
 *	sender				picked waiter, killed
 *					lock; n_coming 1 -> 0; look; unlock
 *	lock; add; pick another; unlock
 *
 * or::
 *
 *	lock; add; n_coming is 1: pick nobody; unlock
 *					lock; n_coming 1 -> 0; look: pick another; unlock
 */

/**
 * DOC: awaiting
 *
 * A thread registers for a reply, with the request that asks for it or later by its
 * ID. It waits, takes what came, tries again as long as storing the result fails because
 * a page is missing, and leaves. What was handed to it and not taken is queued then.
 *
 * A reply that came before the thread registered is in the queue, and is taken
 * from there, wherever it stands.
 */

#include <linux/fs.h>
#include <linux/highuid.h>
#include <linux/hrtimer.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>

#include "deliver.h"
#include "destroy.h"

/* The notice for a handle that its holder has released meanwhile is for nobody. */
static bool is_deliverable(const struct bus1_entry *entry)
{
	return entry->type != BUS1_ENTRY_DESTROY ||
	       container_of(entry, struct bus1_handle, destroyed)->n_user;
}

/* Returns true if @entry can be received; false if the queue is to be looked at again. */
static bool settle_locked(struct bus1_peer *peer, struct bus1_entry *entry)
{
	struct bus1_tx *tx = entry->tx;

	if (bus1_entry_staged(entry)) {
		if (bus1_tx_postpone(tx, &peer->queue, entry))
			return false;
	} else if (!tx || bus1_tx_is_placed(tx)) {
		return true;
	}
	/* If the transaction is over there is nothing to do. */
	if (bus1_tx_enter(tx)) {
		spin_unlock(&peer->data);
		bus1_tx_help(tx);
		spin_lock(&peer->data);
	}
	return false;
}

/**
 * bus1_recv_peek_locked() - look for an entry to receive
 * @peer:	peer whose @data is held
 *
 * Postpones transactions that are under way, or finishes them, and removes notices of
 * handles that the peer released meanwhile. May release @data in between, and
 * sleep then.
 *
 * Return: the entry that is next, or NULL if nothing is committed.
 */
struct bus1_entry *bus1_recv_peek_locked(struct bus1_peer *peer)
{
	struct bus1_entry *entry;
	size_t steps = 0;

	lockdep_assert_held(&peer->data);

	while (peer->queue.n_committed) {
		bus1_peer_relax_locked(peer, steps++);
		entry = bus1_queue_first(&peer->queue);
		if (!entry || !settle_locked(peer, entry))
			continue;
		if (is_deliverable(entry))
			return entry;
		bus1_queue_remove(&peer->queue, entry);
	}
	return NULL;
}

/*
 * Whether the next entry that would be received is of the same transaction. May release
 * the data lock in between, and sleep then; nothing gets in front of @entry meanwhile.
 */
static bool has_more_locked(struct bus1_peer *peer, struct bus1_entry *entry)
{
	struct bus1_entry *next;
	size_t steps = 0;

	lockdep_assert_held(&peer->local);

	while (entry->tx) {
		bus1_peer_relax_locked(peer, steps++);
		next = bus1_queue_next(entry);
		if (!next || next->tx != entry->tx)
			break;
		if (is_deliverable(next))
			return true;
		bus1_queue_remove(&peer->queue, next);
	}
	return false;
}

/* Says that nothing has been received yet. */
static inline void clear_result(struct bus1_recv *recv)
{
	struct bus1_recv_args *out = recv->out;

	recv->n_data = 0;
	out->type = BUS1_MSG_NONE;
	out->destination = BUS1_HANDLE_INVALID;
	out->flags = 0;
	out->offset = BUS1_OFFSET_INVALID;
	out->n_bytes = 0;
	out->n_handles = 0;
	out->n_fds = 0;
	out->reply = BUS1_HANDLE_INVALID;
	out->sender_pid = 0;
	out->sender_uid = overflowuid;
	out->sender_gid = overflowgid;
	out->sender_pidfd = -1;
	out->error = 0;
	out->n_overtaken = 0;
}

static void fill_notice_locked(struct bus1_recv_args *out,
			       struct bus1_entry *entry)
{
	switch (entry->type) {
	case BUS1_ENTRY_DESTROY:
		out->type = BUS1_MSG_NODE_DESTROY;
		out->destination = container_of(entry, struct bus1_handle,
						destroyed)->id;
		break;
	case BUS1_ENTRY_CANCELLED:
		out->type = BUS1_MSG_NODE_DESTROY;
		out->destination = bus1_reply_of(entry)->handle;
		break;
	case BUS1_ENTRY_REPLY:
		out->type = BUS1_MSG_REPLY_DROPPED;
		out->destination = bus1_reply_of(entry)->id;
		break;
	default:
		out->type = BUS1_MSG_NODE_RELEASE;
		out->destination = container_of(entry, struct bus1_node,
						released)->own.id;
	}
}

static int take_notice_locked(struct bus1_peer *peer, struct bus1_recv *recv,
			      struct bus1_entry *entry, struct bus1_reply **done)
{
	int err;

	fill_notice_locked(recv->out, entry);
	err = recv->store(recv);
	if (err)
		return err;
	if (entry->type == BUS1_ENTRY_RELEASE)
		WRITE_ONCE(container_of(entry, struct bus1_node,
					released)->shared, false);
	if (entry->type == BUS1_ENTRY_REPLY)
		*done = bus1_reply_received_locked(bus1_reply_of(entry),
						   BUS1_REPLY_RECEIVED);
	else
		bus1_queue_remove(&peer->queue, entry);
	peer->n_received++;
	bus1_peer_wake_locked(peer);
	return 0;
}

/* Returns the message that an entry is, or NULL if it is a notice. */
static struct bus1_message *message_of_locked(struct bus1_entry *entry)
{
	struct bus1_reply *reply;

	if (likely(entry->type == BUS1_ENTRY_MESSAGE))
		return container_of(entry, struct bus1_message, entry);
	if (entry->type != BUS1_ENTRY_REPLY)
		return NULL;
	reply = bus1_reply_of(entry);
	return reply->state == BUS1_REPLY_ANSWERED ? reply->message : NULL;
}

static int recv_queued(struct bus1_peer *peer, struct bus1_recv *recv)
{
	struct bus1_reply *done = NULL, *reply = NULL;
	struct bus1_message *message;
	struct bus1_entry *entry;
	int err = -EAGAIN;

	lockdep_assert_held(&peer->local);

	spin_lock(&peer->data);
	peer->n_coming -= recv->picked;
	recv->picked = false;
	entry = bus1_recv_peek_locked(peer);
	if (entry && has_more_locked(peer, entry))
		recv->out->flags |= BUS1_MSG_FLAG_MORE;
	if (entry && entry->type == BUS1_ENTRY_REPLY)
		reply = bus1_reply_of(entry);
	message = entry ? message_of_locked(entry) : NULL;
	if (likely(message))
		return bus1_deliver_locked(peer, recv, message, &entry->place,
					   reply);
	if (entry)
		err = take_notice_locked(peer, recv, entry, &done);
	spin_unlock(&peer->data);
	bus1_reply_free(done);
	return err;
}

static int copy_seed(struct bus1_message *message, struct bus1_message *seed)
{
	struct bus1_node *node;
	u32 i;
	int err;

	err = bus1_message_copy(message, seed, bus1_message_size(seed));
	for (i = 0; i < seed->n_handles && !err; i++) {
		node = seed->handles[i] ? seed->handles[i]->node : NULL;
		if (node)
			err = bus1_message_attach(message, i, node, BUS1_GFP_RECEIVER);
	}
	for (i = 0; i < seed->n_fds && !err; i++)
		message->files[i] = get_file(seed->files[i]);
	return err;
}

/* The message stays with the peer, so the peer's cgroup pays, whoever calls. */
static struct bus1_message *new_from_seed(struct bus1_message *seed, int *err)
{
	const struct bus1_shape shape = {
		.n_bytes = seed->n_bytes,
		.n_handles = seed->n_handles,
		.n_fds = seed->n_fds,
	};
	struct bus1_message *message;

	message = bus1_message_new(seed->peer, &shape, BUS1_GFP_RECEIVER);
	*err = -ENOMEM;
	if (!message)
		return NULL;
	bus1_message_set_sender(message, seed->spare.sender);
	*err = bus1_message_charge_own(message, &shape);
	if (!*err)
		*err = copy_seed(message, seed);
	return message;
}

static int recv_seed(struct bus1_peer *peer, struct bus1_recv *recv)
{
	struct bus1_message *message;
	struct mem_cgroup *old;
	int err;

	lockdep_assert_held(&peer->local);

	if (!peer->seed)
		return -EAGAIN;
	/* An adoption, which changes the identity, needs @local. */
	old = set_active_memcg(peer->ident->memcg);
	message = new_from_seed(peer->seed, &err);
	set_active_memcg(old);
	if (!err) {
		spin_lock(&peer->data);
		err = bus1_deliver_prepared_locked(peer, recv, message, NULL,
						   NULL);
	}
	if (err)
		bus1_message_free(message);
	return err;
}

/* This needs no lock: what comes now was not there when the call began. */
static bool looks_empty(const struct bus1_peer *peer)
{
	return !READ_ONCE(peer->queue.n_committed) && !READ_ONCE(peer->down);
}

static void tell_nothing(struct bus1_recv *recv)
{
	recv->out->type = BUS1_MSG_NONE;
	recv->out->destination = BUS1_HANDLE_INVALID;
}

static int recv_once(struct bus1_peer *peer, struct bus1_recv *recv)
{
	bool seed = recv->flags & BUS1_RECV_SEED;
	int err;

	if (!seed && !recv->picked && looks_empty(peer))
		return -EAGAIN;
	clear_result(recv);
	mutex_lock(&peer->local);
	if (unlikely(peer->down))
		err = -ESHUTDOWN;
	else
		err = seed ? recv_seed(peer, recv) : recv_queued(peer, recv);
	mutex_unlock(&peer->local);
	if (err)
		tell_nothing(recv);
	return err;
}

static bool is_readable_locked(const struct bus1_peer *peer)
{
	return peer->down || peer->queue.n_committed;
}

static bool is_readable(struct bus1_peer *peer)
{
	bool readable;

	spin_lock(&peer->data);
	readable = is_readable_locked(peer);
	spin_unlock(&peer->data);
	return readable;
}

/* Sleeps until woken, or until the deadline on the host's CLOCK_MONOTONIC; 0 is none. */
static int sleep_until(ktime_t *deadline)
{
	if (*deadline)
		return schedule_hrtimeout_range(deadline,
						current->timer_slack_ns,
						HRTIMER_MODE_ABS) ?
		       0 : -ETIMEDOUT;
	schedule();
	return 0;
}

/* Afterwards @recv->picked says whether this waiter counts as being on its way. */
static int wait_readable(struct bus1_peer *peer, struct bus1_recv *recv)
{
	struct bus1_waiter waiter = { .task = current };
	int err;

	spin_lock(&peer->data);
	if (is_readable_locked(peer)) {
		spin_unlock(&peer->data);
		return 0;
	}
	list_add(&waiter.link, &peer->receivers);
	peer->n_waiting++;
	set_current_state(TASK_INTERRUPTIBLE);
	spin_unlock(&peer->data);

	err = signal_pending(current) ? -ERESTARTSYS : sleep_until(&recv->deadline);
	__set_current_state(TASK_RUNNING);
	/* Pairs with wake_waiter_locked(). */
	recv->picked = list_empty_careful(&waiter.link);
	if (unlikely(!recv->picked)) {
		spin_lock(&peer->data);
		recv->picked = list_empty(&waiter.link);
		if (!recv->picked) {
			list_del(&waiter.link);
			peer->n_waiting--;
		}
		spin_unlock(&peer->data);
	}
	/* A message that is there takes precedence over a signal and the deadline. */
	if (err && !fatal_signal_pending(current) && is_readable(peer))
		return 0;
	return err;
}

/* A thread that stops receiving lets the next waiter look at what is left. */
static void pass_wake(struct bus1_peer *peer, struct bus1_recv *recv)
{
	spin_lock(&peer->data);
	peer->n_coming -= recv->picked;
	recv->picked = false;
	bus1_peer_wake_locked(peer);
	spin_unlock(&peer->data);
	bus1_peer_wake_pollers(peer);
}

/**
 * bus1_peer_recv() - receive a message or notice
 * @peer:	peer
 * @recv:	how; also what was received
 *
 * Return: 0; -ESHUTDOWN; -EAGAIN; -ERESTARTSYS; -ETIMEDOUT; -ERANGE, -EMFILE or
 * -ENFILE, with what the message needs in @recv->out; -ENOBUFS for a seed;
 * -EFAULT if the store failed; -ENOMEM.
 */
int bus1_peer_recv(struct bus1_peer *peer, struct bus1_recv *recv)
{
	int err;

	recv->picked = false;
	for (;;) {
		err = recv_once(peer, recv);
		if (err != -EAGAIN || recv->nonblock ||
		    (recv->flags & BUS1_RECV_SEED))
			break;
		err = wait_readable(peer, recv);
		if (err)
			break;
	}
	if (unlikely(err && err != -EAGAIN))
		pass_wake(peer, recv);
	return err;
}

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
	struct bus1_reply *reply;
	int err = 0;

	await->task = current;
	await->reply = NULL;

	mutex_lock(&peer->local);
	spin_lock(&peer->data);
	reply = bus1_reply_find_awaited(peer, id);
	if (peer->down)
		err = -ESHUTDOWN;
	else if (!reply)
		err = -ENXIO;
	else if (reply->await)
		err = -EBUSY;
	else
		bus1_reply_register_locked(reply, await);
	peer->n_waiting += !err;
	spin_unlock(&peer->data);
	mutex_unlock(&peer->local);
	return err;
}

/**
 * bus1_await_leave() - leave without the reply
 * @await:	the calling thread, registered
 * @peer:	requester
 */
void bus1_await_leave(struct bus1_await *await, struct bus1_peer *peer)
{
	struct bus1_reply *reply;
	bool wake = false;

	/* A receive of the entry in front holds it. */
	mutex_lock(&peer->local);
	spin_lock(&peer->data);
	reply = bus1_reply_leave_locked(await, &wake);
	if (wake)
		bus1_peer_wake_locked(peer);
	spin_unlock(&peer->data);
	mutex_unlock(&peer->local);
	if (wake)
		bus1_peer_wake_pollers(peer);
	bus1_reply_free(reply);
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
		/* A reply is decided first, and its waiter is woken after that. */
		set_current_state(TASK_INTERRUPTIBLE);
		if (is_decided(await->reply))
			break;
		err = signal_pending(current) ? -ERESTARTSYS :
						sleep_until(deadline);
	}
	__set_current_state(TASK_RUNNING);
	return err;
}

static int take_drop_locked(struct bus1_reply *reply, struct bus1_peer *peer,
			    struct bus1_recv *recv)
{
	struct bus1_reply *done = NULL;
	int err;

	recv->out->type = BUS1_MSG_REPLY_DROPPED;
	recv->out->destination = reply->id;
	err = recv->store(recv);
	if (!err) {
		done = bus1_reply_received_locked(reply, BUS1_REPLY_RECEIVED);
		peer->n_received++;
	}
	spin_unlock(&peer->data);
	bus1_reply_free(done);
	return err;
}

static int take_reply(struct bus1_reply *reply, struct bus1_peer *peer,
		      struct bus1_recv *recv)
{
	struct bus1_recv_args *out = recv->out;
	enum bus1_reply_state state;

	lockdep_assert_held(&peer->local);

	if (peer->down)
		return -ESHUTDOWN;
	spin_lock(&peer->data);
	state = reply->state;
	if (likely(state == BUS1_REPLY_ANSWERED || state == BUS1_REPLY_DROPPED)) {
		if (peer->queue.n_entries)
			out->n_overtaken = bus1_reply_overtakes_locked(reply);
		if (out->n_overtaken)
			out->flags |= BUS1_MSG_FLAG_OVERTOOK;
	}
	if (likely(state == BUS1_REPLY_ANSWERED))
		return bus1_deliver_locked(peer, recv, reply->message,
					   &reply->place, reply);
	if (state == BUS1_REPLY_DROPPED)
		return take_drop_locked(reply, peer, recv);
	spin_unlock(&peer->data);
	if (state == BUS1_REPLY_OPEN)
		return -EAGAIN;
	return state == BUS1_REPLY_RECEIVED ? -ENXIO : -ESTALE;
}

/**
 * bus1_await_reply() - wait for a reply and take it
 * @await:	the calling thread, registered
 * @peer:	requester
 * @recv:	how to receive; also what was received
 *
 * Return: 0; -ESHUTDOWN; -EAGAIN; -ERESTARTSYS; -ETIMEDOUT; -ESTALE if the request
 * was cancelled or flushed; -ENXIO if another thread received the reply; or as
 * bus1_deliver_locked().
 */
int bus1_await_reply(struct bus1_await *await, struct bus1_peer *peer,
		     struct bus1_recv *recv)
{
	struct bus1_reply *reply = await->reply;
	int err = 0;

	if (!recv->nonblock && !is_decided(reply))
		err = sleep_until_decided(await, &recv->deadline);
	/* A reply that is there takes precedence over the deadline and a signal. */
	if (err && (fatal_signal_pending(current) || !is_decided(reply)))
		return err;

	clear_result(recv);
	mutex_lock(&peer->local);
	err = take_reply(reply, peer, recv);
	mutex_unlock(&peer->local);
	/* Nobody may learn of a cancellation before it has its place. */
	if (err == -ESTALE)
		bus1_reply_end(reply);
	if (err)
		tell_nothing(recv);
	return err;
}
