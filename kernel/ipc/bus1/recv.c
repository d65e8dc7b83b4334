// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: receiving
 */

/**
 * DOC: receiving
 *
 * A message is taken in two parts. First everything that can fail or sleep, with
 * the message left in front of the queue: descriptors are reserved, handles are
 * counted and get IDs, both are written into the slice. Then, under the data
 * lock and with page faults off, the result is stored and the message unlinked.
 * If the store fails, the first part is undone.
 *
 * Nobody else takes the message meanwhile, or sees the handles: that needs the
 * peer's local lock. Nothing gets in front of it: insertions are above the clock.
 *
 * Waking: a commit that leaves something to receive wakes one waiter. A receiver
 * that leaves something wakes the next: of what a staged entry held up, only the
 * commit of that entry tells. A waiter that was woken and then fails or is killed
 * does the same, so no wake is lost.
 */

#include <linux/bug.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/hrtimer.h>
#include <linux/pid.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/security.h>
#include <linux/slab.h>
#include <linux/uidgid.h>
#include <linux/user_namespace.h>

#include "recv.h"

/**
 * struct delivery - a message that is being received
 * @peer:	receiver, whose @local is held
 * @recv:	what was asked for
 * @message:	the message
 * @place:	its place; the timestamp is 0 for a seed
 * @shown:	how many of its handles were looked at
 * @kept:	how many of their charges went over to handles
 * @fds:	reserved descriptors, -1 where there is none; NULL without
 * @n_fds:	how many of them were looked at
 */
struct delivery {
	struct bus1_peer *peer;
	struct bus1_recv *recv;
	struct bus1_message *message;
	struct bus1_place place;
	u32 shown;
	u32 kept;
	int *fds;
	u32 n_fds;
};

static void clear_out(struct bus1_recv_args *out)
{
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
	out->reserved = 0;
}

static bool is_deliverable(const struct bus1_entry *entry)
{
	return entry->type != BUS1_ENTRY_DESTROY ||
	       container_of(entry, struct bus1_handle, destroyed)->n_user;
}

/* Whether the next entry that would be delivered is of the same transaction. */
static bool has_more(const struct bus1_entry *entry)
{
	const struct bus1_place *place = &entry->place;

	while ((entry = bus1_queue_next(entry))) {
		if (entry->place.timestamp != place->timestamp ||
		    entry->place.key != place->key)
			return false;
		if (is_deliverable(entry))
			return true;
	}
	return false;
}

static void fill_message(struct bus1_recv_args *out,
			 const struct bus1_message *message)
{
	out->offset = message->slice.offset;
	out->n_bytes = message->n_bytes;
	out->n_handles = message->n_handles;
	out->n_fds = message->n_fds;
}

static void fill_sender(struct bus1_recv_args *out,
			const struct bus1_ident *sender)
{
	struct user_namespace *ns = current_user_ns();

	out->sender_pid = pid_vnr(sender->pid);
	out->sender_uid = from_kuid_munged(ns, sender->uid);
	out->sender_gid = from_kgid_munged(ns, sender->gid);
}

static int take_notice_locked(struct bus1_peer *peer, struct bus1_recv *recv,
			      struct bus1_entry *entry)
{
	struct bus1_recv_args *out = recv->out;
	struct bus1_node *released = NULL;
	int err;

	if (entry->type == BUS1_ENTRY_DESTROY) {
		out->type = BUS1_MSG_NODE_DESTROY;
		out->destination = container_of(entry, struct bus1_handle,
						destroyed)->id;
	} else {
		released = container_of(entry, struct bus1_node, released);
		out->type = BUS1_MSG_NODE_RELEASE;
		out->destination = released->own.id;
	}
	if (has_more(entry))
		out->flags |= BUS1_MSG_FLAG_MORE;

	err = recv->store(recv);
	if (err)
		return err;
	if (released)
		WRITE_ONCE(released->shared, false);
	bus1_queue_remove(&peer->space.queue, entry);
	peer->n_received++;
	return 0;
}

static int reserve_fd(struct file *file)
{
	if (security_file_receive(file))
		return -1;
	return get_unused_fd_flags(O_CLOEXEC);
}

static int reserve_fds(struct delivery *d)
{
	struct bus1_message *message = d->message;
	u32 i;
	int fd;

	if (!message->n_fds)
		return 0;
	d->fds = kmalloc_array(message->n_fds, sizeof(*d->fds),
			       GFP_KERNEL_ACCOUNT);
	if (!d->fds)
		return -ENOMEM;
	for (i = 0; i < message->n_fds; i++) {
		fd = -1;
		if (d->recv->flags & BUS1_RECV_INSTALL_FDS)
			fd = reserve_fd(message->files[i]);
		if (fd < -1)
			return fd;
		d->fds[i] = fd;
		d->n_fds++;
	}
	return bus1_pool_fill(message->pool, &message->slice,
			      bus1_message_fds_at(message), d->fds,
			      message->n_fds * sizeof(*d->fds));
}

static void unreserve_fds(struct delivery *d)
{
	u32 i;

	for (i = 0; i < d->n_fds; i++)
		if (d->fds[i] >= 0)
			put_unused_fd(d->fds[i]);
	kfree(d->fds);
	d->fds = NULL;
	d->n_fds = 0;
}

static void install_fds(struct delivery *d)
{
	struct bus1_message *message = d->message;
	u32 i;

	for (i = 0; i < d->n_fds; i++) {
		if (d->fds[i] < 0)
			continue;
		fd_install(d->fds[i], message->files[i]);
		message->files[i] = NULL;
	}
	kfree(d->fds);
}

static bool is_valid(const struct delivery *d, u32 i)
{
	const struct bus1_handle *handle = d->message->handles[i];

	if (!handle)
		return false;
	if (bus1_handle_is_own(handle) && handle->node->flushed)
		return false;
	return !d->place.timestamp ||
	       !bus1_node_dead_before(handle->node, &d->place);
}

static u64 show_handle(struct delivery *d, u32 i)
{
	bool charge;
	u64 id;

	if (!is_valid(d, i))
		return BUS1_HANDLE_INVALID;
	id = bus1_handle_show(d->message->handles[i], d->message->claim, &charge);
	d->kept += charge;
	if (id == BUS1_HANDLE_INVALID) {
		bus1_handle_drop(d->message->handles[i], 1);
		d->message->handles[i] = NULL;
	}
	return id;
}

static int show_handles(struct delivery *d)
{
	struct bus1_message *message = d->message;
	u64 at = bus1_message_handles_at(message);
	u64 ids[16];
	u32 n;
	int err = 0;

	while (d->shown < message->n_handles && !err) {
		for (n = 0; n < ARRAY_SIZE(ids) &&
			    d->shown < message->n_handles; n++)
			ids[n] = show_handle(d, d->shown++);
		err = bus1_pool_fill(message->pool, &message->slice, at, ids,
				     n * sizeof(*ids));
		at += n * sizeof(*ids);
	}
	return err;
}

static void hide_handles(struct delivery *d)
{
	while (d->shown) {
		d->shown--;
		if (is_valid(d, d->shown))
			bus1_handle_hide(d->message->handles[d->shown]);
	}
	d->kept = 0;
}

/* What was shown is a count now; the other references are dropped. */
static void settle_handles(struct delivery *d)
{
	struct bus1_message *message = d->message;
	struct bus1_handle *handle;
	struct bus1_node *node;
	u32 i;

	for (i = 0; i < message->n_handles; i++) {
		handle = message->handles[i];
		if (!handle || (i < d->shown && is_valid(d, i)))
			continue;
		node = bus1_handle_is_own(handle) ? handle->node : NULL;
		bus1_handle_drop(handle, 1);
		if (node)
			bus1_node_forget(node);
	}
	message->n_handles = 0;
}

static void settle_charge_locked(struct delivery *d)
{
	struct bus1_message *message = d->message;
	struct bus1_amount rest = {};

	/* The handles that are new keep their part. */
	message->charged.of[BUS1_HANDLES] -= d->kept;
	rest.of[BUS1_HANDLES] = message->charged.of[BUS1_HANDLES];
	rest.of[BUS1_FDS] = message->charged.of[BUS1_FDS];
	bus1_message_uncharge_locked(message, &rest);
}

/* The last part: it fails only with the store, and then nothing has changed. */
static int take_message(struct delivery *d, bool publish)
{
	struct bus1_message *message = d->message;
	struct bus1_space *space = message->space;
	int err;

	d->recv->out->type = BUS1_MSG_DATA;
	spin_lock(&space->data);
	err = d->recv->store(d->recv);
	if (err) {
		spin_unlock(&space->data);
		return err;
	}
	if (message->dest) {
		bus1_message_dequeued_locked(message);
		d->peer->n_received++;
	}
	settle_charge_locked(d);
	if (publish)
		bus1_pool_publish(message->pool, &message->slice);
	spin_unlock(&space->data);
	return 0;
}

static void settle_message(struct delivery *d)
{
	struct bus1_message *message = d->message;
	struct bus1_node *dest = message->dest;

	settle_handles(d);
	install_fds(d);
	bus1_message_drop_files(message);
	bus1_ident_put(message->sender);
	message->sender = NULL;
	message->dest = NULL;
	if (dest)
		bus1_node_forget(dest);
	bus1_node_put(dest);
}

static int prepare_delivery(struct delivery *d)
{
	const struct bus1_message *message = d->message;
	u64 size = bus1_message_size(message);
	int err;

	/* Where there is nothing to read, nothing can be missing. */
	if (!size)
		return 0;
	if (message->slice.offset > d->recv->max_offset ||
	    size > d->recv->max_offset - message->slice.offset)
		return -ERANGE;
	err = bus1_pool_check(message->pool, &message->slice);
	if (!err)
		err = reserve_fds(d);
	return err ?: show_handles(d);
}

/* The slice is lost, for good: say so, and keep the rest of the queue going. */
static int take_damaged(struct delivery *d)
{
	struct bus1_recv_args *out = d->recv->out;
	int err;

	unreserve_fds(d);
	hide_handles(d);
	out->offset = BUS1_OFFSET_INVALID;
	out->n_handles = 0;
	out->n_fds = 0;
	err = take_message(d, false);
	if (err)
		return err;
	settle_message(d);
	bus1_message_free(d->message);
	return 0;
}

static int deliver(struct delivery *d)
{
	struct bus1_message *message = d->message;
	struct bus1_recv_args *out = d->recv->out;
	int err;

	fill_message(out, message);
	err = prepare_delivery(d);
	if (!err || err == -EIO) {
		fill_sender(out, message->sender);
		if (message->dest)
			out->destination = message->dest->own.id;
	}
	if (err == -EIO)
		return take_damaged(d);
	if (!err)
		err = take_message(d, true);
	if (err) {
		unreserve_fds(d);
		hide_handles(d);
		return err;
	}
	settle_message(d);
	return 0;
}

static int recv_queued(struct bus1_peer *peer, struct bus1_recv *recv)
{
	struct bus1_space *space = &peer->space;
	struct bus1_entry *entry;
	struct delivery d = { .peer = peer, .recv = recv };
	int err;

	lockdep_assert_held(&space->local);

	spin_lock(&space->data);
	entry = bus1_object_peek_locked(space);
	if (!entry || entry->type != BUS1_ENTRY_MESSAGE) {
		err = entry ? take_notice_locked(peer, recv, entry) : -EAGAIN;
		spin_unlock(&space->data);
		return err;
	}
	if (has_more(entry))
		recv->out->flags |= BUS1_MSG_FLAG_MORE;
	spin_unlock(&space->data);

	d.message = container_of(entry, struct bus1_message, entry);
	d.place = entry->place;
	return deliver(&d);
}

static int copy_seed(struct bus1_message *message, struct bus1_message *seed)
{
	struct bus1_node *node;
	u32 i;
	int err;

	err = bus1_pool_copy(message->pool, &message->slice, seed->pool,
			     &seed->slice, bus1_message_size(seed));
	for (i = 0; i < seed->n_handles && !err; i++) {
		node = seed->handles[i] ? seed->handles[i]->node : NULL;
		if (node)
			err = bus1_message_attach(message, i, node, seed->space,
						  GFP_KERNEL_ACCOUNT);
	}
	for (i = 0; i < seed->n_fds && !err; i++)
		message->files[i] = get_file(seed->files[i]);
	return err;
}

/* It stays with the peer, so the peer's cgroup pays, whoever calls. */
static struct bus1_message *new_from_seed(struct bus1_message *seed, int *err)
{
	struct bus1_message *message;

	message = bus1_message_new(seed->space, seed->pool, seed->n_bytes,
				   seed->n_handles, seed->n_fds,
				   GFP_KERNEL_ACCOUNT);
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
	struct delivery d = { .peer = peer, .recv = recv };
	struct mem_cgroup *old;
	int err;

	lockdep_assert_held(&peer->space.local);

	if (!peer->seed)
		return -EAGAIN;
	/* An adoption, which changes it, waits for @local. */
	old = set_active_memcg(peer->ident->memcg);
	d.message = new_from_seed(peer->seed, &err);
	set_active_memcg(old);
	if (!err)
		err = deliver(&d);
	if (err)
		bus1_message_free(d.message);
	return err;
}

static int recv_once(struct bus1_peer *peer, struct bus1_recv *recv)
{
	struct bus1_space *space = &peer->space;
	int err;

	clear_out(recv->out);
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

static bool is_readable(struct bus1_peer *peer)
{
	bool readable;

	spin_lock(&peer->space.data);
	readable = peer->space.down || bus1_object_peek_locked(&peer->space);
	spin_unlock(&peer->space.data);
	return readable;
}

static int sleep_until(struct bus1_peer *peer, ktime_t *deadline)
{
	DEFINE_WAIT(wait);
	int err = 0;

	do {
		prepare_to_wait_exclusive(&peer->space.waitq, &wait,
					  TASK_INTERRUPTIBLE);
		if (is_readable(peer))
			break;
		if (signal_pending(current))
			err = -ERESTARTSYS;
		else if (!schedule_hrtimeout_range(deadline,
						   current->timer_slack_ns,
						   HRTIMER_MODE_ABS))
			err = -ETIMEDOUT;
	} while (!err);
	finish_wait(&peer->space.waitq, &wait);
	return err;
}

/* A message that is there goes before a signal and the deadline. */
static int wait_readable(struct bus1_peer *peer, struct bus1_recv *recv)
{
	int err;

	atomic_inc(&peer->n_waiting);
	err = sleep_until(peer, recv->deadline ? &recv->deadline : NULL);
	atomic_dec(&peer->n_waiting);
	if (err && !fatal_signal_pending(current) && is_readable(peer))
		return 0;
	return err;
}

/* Who stops receiving lets the next waiter look at what is left. */
static void pass_wake(struct bus1_peer *peer)
{
	if (waitqueue_active(&peer->space.waitq) && is_readable(peer))
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
		pass_wake(peer);
	return err;
}
