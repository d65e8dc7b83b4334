// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: receiving
 */

/**
 * DOC: receiving
 *
 * The entry in front of the queue is taken; how, see deliver.c. Nothing gets in
 * front of it meanwhile: insertions are above the clock, but for a reply that a
 * thread leaves to the queue (reply.c), which takes the local lock first.
 *
 * Waking: a commit wakes one waiter, unless as many
 * as there are entries are on their way. A receiver that leaves something wakes the
 * next in the same way. A waiter that was woken and then fails or is killed does the same,
 * after it stopped counting as being on its way; so no wake is lost::
 *
 *	sender				picked waiter, killed
 *					n_coming 1 -> 0; lock; look; unlock
 *	lock; add; pick another; unlock
 *
 * or::
 *
 *	lock; add; n_coming is 1: pick nobody; unlock
 *					n_coming 1 -> 0
 *					lock; look: pick another; unlock
 */

#include <linux/fs.h>
#include <linux/highuid.h>
#include <linux/hrtimer.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>

#include "recv.h"

/**
 * bus1_recv_clear() - nothing has been received yet
 * @recv:	how to receive
 */
void bus1_recv_clear(struct bus1_recv *recv)
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
			      struct bus1_entry *entry)
{
	int err;

	if (bus1_peer_has_more_locked(peer, entry))
		recv->out->flags |= BUS1_MSG_FLAG_MORE;
	fill_notice_locked(recv->out, entry);
	err = recv->store(recv);
	if (err)
		return err;
	if (entry->type == BUS1_ENTRY_RELEASE)
		WRITE_ONCE(container_of(entry, struct bus1_node,
					released)->shared, false);
	if (entry->type == BUS1_ENTRY_REPLY)
		bus1_reply_received_locked(bus1_reply_of(entry));
	else
		bus1_queue_remove(&peer->space.queue, entry);
	peer->n_received++;
	return 0;
}

static bool is_message_locked(const struct bus1_entry *entry)
{
	if (entry->type == BUS1_ENTRY_REPLY)
		return container_of(entry, struct bus1_reply, entry)->state ==
		       BUS1_REPLY_ANSWERED;
	return entry->type == BUS1_ENTRY_MESSAGE;
}

static int recv_queued(struct bus1_peer *peer, struct bus1_recv *recv)
{
	struct bus1_space *space = &peer->space;
	struct bus1_reply *reply = NULL;
	struct bus1_entry *entry;
	int err;

	lockdep_assert_held(&space->local);

	spin_lock(&space->data);
	entry = bus1_peer_peek_locked(peer);
	if (entry && entry->type == BUS1_ENTRY_REPLY)
		reply = bus1_reply_of(entry);
	if (!entry || !is_message_locked(entry)) {
		err = entry ? take_notice_locked(peer, recv, entry) : -EAGAIN;
		spin_unlock(&space->data);
		if (!err && reply)
			bus1_reply_forget(reply);
		return err;
	}
	if (bus1_peer_has_more_locked(peer, entry))
		recv->out->flags |= BUS1_MSG_FLAG_MORE;
	spin_unlock(&space->data);

	if (reply)
		return bus1_deliver(peer, recv, reply->message, &entry->place,
				    reply);
	return bus1_deliver(peer, recv, container_of(entry, struct bus1_message,
						     entry),
			    &entry->place, NULL);
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
			err = bus1_message_attach(message, i, node, seed->space,
						  BUS1_GFP_RECEIVER);
	}
	for (i = 0; i < seed->n_fds && !err; i++)
		message->files[i] = get_file(seed->files[i]);
	return err;
}

/* It stays with the peer, so the peer's cgroup pays, whoever calls. */
static struct bus1_message *new_from_seed(struct bus1_message *seed, int *err)
{
	const struct bus1_shape shape = {
		.n_bytes = seed->n_bytes,
		.n_handles = seed->n_handles,
		.n_fds = seed->n_fds,
	};
	struct bus1_message *message;

	message = bus1_message_new(seed->space, seed->pool, &shape,
				   BUS1_GFP_RECEIVER);
	*err = -ENOMEM;
	if (!message)
		return NULL;
	message->sender = bus1_ident_get(seed->sender);
	*err = bus1_message_charge_own(message);
	if (!*err)
		*err = copy_seed(message, seed);
	return message;
}

static int recv_seed(struct bus1_peer *peer, struct bus1_recv *recv)
{
	struct bus1_message *message;
	struct mem_cgroup *old;
	int err;

	lockdep_assert_held(&peer->space.local);

	if (!peer->seed)
		return -EAGAIN;
	/* An adoption, which changes it, waits for @local. */
	old = set_active_memcg(peer->ident->memcg);
	message = new_from_seed(peer->seed, &err);
	set_active_memcg(old);
	if (!err)
		err = bus1_deliver(peer, recv, message, NULL, NULL);
	if (err)
		bus1_message_free(message);
	return err;
}

/* Without the locks: what comes now has not been there when the call began. */
static bool looks_empty(const struct bus1_peer *peer)
{
	return !READ_ONCE(peer->space.queue.n_committed) &&
	       !READ_ONCE(peer->space.down);
}

static int recv_once(struct bus1_peer *peer, struct bus1_recv *recv)
{
	struct bus1_space *space = &peer->space;
	int err;

	if (!(recv->flags & BUS1_RECV_SEED) && looks_empty(peer))
		return -EAGAIN;
	bus1_recv_clear(recv);
	mutex_lock(&space->local);
	if (space->down)
		err = -ESHUTDOWN;
	else if (recv->flags & BUS1_RECV_SEED)
		err = recv_seed(peer, recv);
	else
		err = recv_queued(peer, recv);
	mutex_unlock(&space->local);

	if (err) {
		recv->out->type = BUS1_MSG_NONE;
		recv->out->destination = BUS1_HANDLE_INVALID;
	}
	return err;
}

static bool is_readable_locked(const struct bus1_peer *peer)
{
	return peer->space.down || peer->space.queue.n_committed;
}

static bool is_readable(struct bus1_peer *peer)
{
	bool readable;

	spin_lock(&peer->space.data);
	readable = is_readable_locked(peer);
	spin_unlock(&peer->space.data);
	return readable;
}

/**
 * bus1_sleep() - sleep until woken
 * @deadline:	CLOCK_MONOTONIC of the host; 0 for none
 *
 * Return: 0, or -ETIMEDOUT.
 */
int bus1_sleep(ktime_t *deadline)
{
	if (*deadline)
		return schedule_hrtimeout_range(deadline,
						current->timer_slack_ns,
						HRTIMER_MODE_ABS) ?
		       0 : -ETIMEDOUT;
	schedule();
	return 0;
}

static int sleep_once(struct bus1_peer *peer, ktime_t *deadline)
{
	struct bus1_space *space = &peer->space;
	struct bus1_waiter waiter;
	bool readable;
	int err;

	spin_lock(&space->data);
	readable = is_readable_locked(peer);
	if (!readable)
		bus1_space_wait_locked(space, &waiter);
	spin_unlock(&space->data);
	if (readable)
		return 0;

	err = signal_pending(current) ? -ERESTARTSYS : bus1_sleep(deadline);
	bus1_space_end_wait(space, &waiter);
	return err;
}

/* A message that is there goes before a signal and the deadline. */
static int wait_readable(struct bus1_peer *peer, struct bus1_recv *recv)
{
	int err;

	atomic_inc(&peer->n_waiting);
	err = sleep_once(peer, &recv->deadline);
	atomic_dec(&peer->n_waiting);
	if (err && !fatal_signal_pending(current) && is_readable(peer))
		return 0;
	return err;
}

/*
 * Who stops receiving lets the next waiter look at what is left. Who received something
 * had the lock since it was woken, and so sees who waits.
 */
static void pass_wake(struct bus1_peer *peer, int err)
{
	if (err || !list_empty_careful(&peer->space.receivers))
		bus1_space_wake(&peer->space);
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

	for (;;) {
		err = recv_once(peer, recv);
		if (err != -EAGAIN || recv->nonblock ||
		    (recv->flags & BUS1_RECV_SEED))
			break;
		err = wait_readable(peer, recv);
		if (err)
			break;
	}
	if (err != -EAGAIN)
		pass_wake(peer, err);
	return err;
}
