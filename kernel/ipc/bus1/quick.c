// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: sending a plain message to a quiet receiver
 */

/**
 * DOC: the quick way
 *
 * Most messages are plain: bytes for one destination, few handles and files, perhaps
 * a reply that is asked for. Most receivers are quiet: their pages are there, and so
 * is a message. Such a message is sent here in one go, in the same steps as in
 * send.c.
 *
 * Nothing that goes wrong is told here. It is undone, and send.c does it again and
 * finds the reason.
 */

#include <linux/sched/mm.h>
#include <linux/uio.h>

#include "answer.h"
#include "quick.h"

/**
 * struct quick - a plain message
 * @peer:	who sends
 * @send:	what was asked for
 * @ident:	who sends, referenced, until the message takes the reference over
 * @name:	destination
 * @items:	carried handles
 * @n_items:	how many were looked up
 * @asks:	reply that it asks for, or NULL
 * @message:	the message, or NULL
 * @payload:	where the payload begins
 * @serial:	of the slice to release
 * @released:	whether that is done
 */
struct quick {
	struct bus1_peer *peer;
	struct bus1_send *send;
	struct bus1_ident *ident;
	struct bus1_name name;
	struct bus1_node *items[BUS1_INLINE_ITEMS];
	size_t n_items;
	struct bus1_reply *asks;
	struct bus1_message *message;
	struct iov_iter_state payload;
	u64 serial;
	bool released;
};

static bool is_plain(const struct bus1_send *send)
{
	return send->n_destinations == 1 && !send->errors &&
	       send->n_handles + send->n_files <= BUS1_INLINE_ITEMS &&
	       !(send->flags & (BUS1_SEND_CONTINUE | BUS1_SEND_SEED)) &&
	       !(send->destinations[0] & BUS1_HANDLE_FLAG_NEW);
}

/* Nodes that exist: what is new, or a reply handle, is not plain. */
static int find_items(struct quick *q)
{
	struct bus1_handle *handle;

	while (q->n_items < q->send->n_handles) {
		handle = bus1_handle_find(&q->peer->space,
					  q->send->handles[q->n_items]);
		if (!handle || !handle->n_user)
			return -ENXIO;
		q->items[q->n_items++] = bus1_node_get(handle->node);
	}
	return 0;
}

static int find_all(struct quick *q)
{
	struct bus1_peer *peer = q->peer;
	struct bus1_send *send = q->send;
	int err;

	if (peer->space.down)
		return -ESHUTDOWN;
	err = bus1_name_find(&q->name, &peer->space, send->destinations[0]);
	if (!err && send->n_handles)
		err = find_items(q);
	if (err)
		return err;
	if (send->flags & BUS1_SEND_REPLY)
		err = q->name.reply ? -EINVAL :
				      bus1_ask(peer, &send->reply, &q->asks);
	if (!err && !q->released)
		err = bus1_peer_find_slice(peer, send->release, &q->serial);
	if (err)
		return err;
	q->ident = bus1_ident_get(peer->ident);
	bus1_name_claim(&q->name);
	return 0;
}

static void set_sender(struct quick *q)
{
	q->message->sender = q->ident;
	q->ident = NULL;
}

/* The receiver has no message to spare: others are on their way to it. */
static int build_new(struct quick *q, struct bus1_peer *to,
		     const struct bus1_shape *shape)
{
	struct bus1_ident *ident = bus1_peer_ident(to);
	struct mem_cgroup *old;
	int err = -ENOMEM;

	old = set_active_memcg(ident->memcg);
	q->message = bus1_message_new(&to->space, &to->pool, shape,
				      BUS1_GFP_RECEIVER);
	if (q->message) {
		set_sender(q);
		err = bus1_message_charge(q->message, BUS1_GFP_RECEIVER);
	}
	set_active_memcg(old);
	bus1_ident_put(ident);
	return err;
}

static int build_message(struct quick *q, struct bus1_peer *to,
			 const struct bus1_shape *shape)
{
	int err = 0;

	if (q->asks)
		err = bus1_ask_pay(q->peer, q->asks, q->ident);
	if (err)
		return err;
	err = bus1_message_take(&to->space, &to->pool, shape, q->ident,
				&q->message);
	if (!err)
		set_sender(q);
	else if (err == -ENOMEM)
		err = build_new(q, to, shape);
	/* Our own reference keeps the receiver until it is woken. */
	if (!err)
		q->message->dest = bus1_node_get(q->name.node);
	return err;
}

static int build(struct quick *q, struct bus1_peer *to)
{
	const struct bus1_shape shape = {
		.n_bytes = iov_iter_count(&q->send->payload),
		.n_handles = q->send->n_handles,
		.n_fds = q->send->n_files,
	};
	int err;

	if (!q->name.reply)
		return build_message(q, to, &shape);
	err = bus1_answer_begin(q->name.reply, &shape, &q->message);
	if (!err)
		set_sender(q);
	return err;
}

static noinline int attach_in_cgroup(struct quick *q, struct bus1_peer *to, size_t i)
{
	struct bus1_ident *ident = bus1_peer_ident(to);
	struct mem_cgroup *old = set_active_memcg(ident->memcg);
	int err;

	err = bus1_message_attach(q->message, i, q->items[i], &q->peer->space,
				  BUS1_GFP_RECEIVER);
	set_active_memcg(old);
	bus1_ident_put(ident);
	return err;
}

/* Mostly the receiver knows the node, or has memory for one handle more. */
static int attach(struct quick *q, struct bus1_peer *to)
{
	struct bus1_message *message = q->message;
	size_t i;
	int err;

	err = bus1_message_prepare_tail(message, false);
	for (i = 0; i < q->n_items && !err; i++) {
		err = bus1_message_attach(message, i, q->items[i],
					  &q->peer->space, 0);
		if (err == -ENOMEM)
			err = attach_in_cgroup(q, to, i);
	}
	if (!err && q->send->n_files)
		err = bus1_message_take_files(message, q->send->files);
	return err;
}

/* The lock is there anyway. Returns what is to be freed without it, or NULL. */
static struct bus1_message *release_slice(struct quick *q)
{
	struct bus1_space *space = &q->peer->space;
	struct bus1_message *rest = NULL;

	if (q->released)
		return NULL;
	spin_lock(&space->data);
	if (!space->down)
		bus1_peer_release_locked(q->peer, q->send->release, q->serial,
					 &rest);
	spin_unlock(&space->data);
	q->released = true;
	return rest;
}

/*
 * Until the commit nobody else sees what becomes of the reply handle. Waking takes
 * long: the threads that share this peer do not wait for it.
 */
static int commit_answer(struct quick *q)
{
	struct bus1_space *requester = bus1_space_get(q->name.reply->requester);
	struct bus1_space *space = &q->peer->space;
	struct bus1_message *rest = NULL;
	struct task_struct *wake;
	int err = -ENXIO;

	mutex_lock(&space->local);
	if (!q->name.reply->doomed)
		err = bus1_answer_commit(q->name.reply, q->message, false,
					 &wake);
	if (!err) {
		bus1_name_used(&q->name, space);
		rest = release_slice(q);
	}
	mutex_unlock(&space->local);
	if (!err)
		bus1_space_wake_picked(requester, wake, true);
	bus1_message_free(rest);
	bus1_space_put(requester);
	return err;
}

static int commit_message(struct quick *q)
{
	struct bus1_await *await = q->send->await;
	int err;

	if (q->asks)
		bus1_ask_open(q->asks, q->message, await);
	err = bus1_leg_commit_one(q->peer, q->message, await);
	if (err) {
		q->message->asks = NULL;
		return err;
	}
	if (q->asks)
		bus1_ask_committed(q->asks, await);
	q->asks = NULL;
	return 0;
}

static int commit(struct quick *q)
{
	int err;

	err = bus1_peer_begin(q->peer);
	if (err)
		return err;
	err = q->name.reply ? commit_answer(q) : commit_message(q);
	bus1_peer_end(q->peer, !err);
	if (!err)
		q->message = NULL;
	return err;
}

static void undo(struct quick *q)
{
	struct bus1_space *space = &q->peer->space;

	iov_iter_restore(&q->send->payload, &q->payload);
	if (q->message && q->name.reply)
		bus1_answer_abort(q->name.reply, q->message);
	else
		bus1_message_free(q->message);
	if (q->asks)
		bus1_ask_abort(q->peer, q->asks, q->send->await, false);
	if (!q->name.claimed)
		return;
	mutex_lock(&space->local);
	bus1_name_unclaim(&q->name, space);
	mutex_unlock(&space->local);
}

static int run(struct quick *q)
{
	struct bus1_peer *to;
	int err;

	mutex_lock(&q->peer->space.local);
	err = find_all(q);
	mutex_unlock(&q->peer->space.local);
	if (err)
		return err;

	to = bus1_peer_of(q->name.reply ? q->name.reply->requester :
					  q->name.node->owner);
	if (!smp_load_acquire(&to->pool.file))
		return -ENODATA;
	err = build(q, to);
	if (err)
		return err;
	err = bus1_pool_write(&to->pool, &q->message->slice, &q->send->payload,
			      false);
	if (!err && (q->send->n_handles || q->send->n_files))
		err = attach(q, to);
	return err ?: commit(q);
}

static void put_all(struct quick *q)
{
	size_t i;

	for (i = 0; i < q->n_items; i++)
		bus1_node_put(q->items[i]);
	bus1_reply_put(q->name.busy);
	bus1_node_put(q->name.node);
	bus1_ident_put(q->ident);
}

/**
 * bus1_quick_send() - try to send a message the quick way
 * @peer:	who sends
 * @send:	what to send
 *
 * Return: true if it was sent; false if nothing has changed.
 */
bool bus1_quick_send(struct bus1_peer *peer, struct bus1_send *send)
{
	struct quick q __uninitialized;
	int err;

	if (!is_plain(send))
		return false;
	q.peer = peer;
	q.send = send;
	q.ident = NULL;
	q.name = (struct bus1_name){};
	q.n_items = 0;
	q.asks = NULL;
	q.message = NULL;
	iov_iter_save_state(&send->payload, &q.payload);
	q.released = send->release == BUS1_OFFSET_INVALID;
	err = run(&q);
	if (err)
		undo(&q);
	else if (!q.released)
		bus1_peer_release_slice(peer, send->release, q.serial);
	put_all(&q);
	return !err;
}
