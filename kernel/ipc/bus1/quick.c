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
 * @ident:	who sends, referenced
 * @name:	destination
 * @items:	carried handles
 * @asks:	reply that it asks for, or NULL
 * @message:	the message, or NULL
 * @serial:	of the slice to release
 */
struct quick {
	struct bus1_peer *peer;
	struct bus1_send *send;
	struct bus1_ident *ident;
	struct bus1_name name;
	struct bus1_node *items[BUS1_INLINE_ITEMS];
	struct bus1_reply *asks;
	struct bus1_message *message;
	u64 serial;
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
	size_t i;

	for (i = 0; i < q->send->n_handles; i++) {
		handle = bus1_handle_find(&q->peer->space, q->send->handles[i]);
		if (!handle || !handle->n_user)
			return -ENXIO;
		q->items[i] = bus1_node_get(handle->node);
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
	if (!err)
		err = bus1_peer_find_slice(peer, send->release, &q->serial);
	if (err)
		return err;
	q->ident = bus1_ident_get(peer->ident);
	bus1_name_claim(&q->name);
	return 0;
}

static int build(struct quick *q, struct bus1_peer *to)
{
	const struct bus1_shape shape = {
		.n_bytes = iov_iter_count(&q->send->payload),
		.n_handles = q->send->n_handles,
		.n_fds = q->send->n_files,
	};
	int err;

	if (q->name.reply)
		return bus1_answer_begin(q->name.reply, &shape, q->ident,
					 &q->message);
	if (q->asks) {
		err = bus1_ask_pay(q->peer, q->asks, q->ident);
		if (err)
			return err;
	}
	err = bus1_message_take(&to->space, &to->pool, &shape, q->ident,
				&q->message);
	if (!err)
		q->message->dest = bus1_node_get(q->name.node);
	return err;
}

static int attach(struct quick *q, struct bus1_peer *to)
{
	struct bus1_ident *ident;
	struct mem_cgroup *old;
	size_t i;
	int err;

	err = bus1_message_prepare_tail(q->message, false);
	if (err || !q->send->n_handles)
		return err ?: bus1_message_take_files(q->message,
						      q->send->files);
	ident = bus1_peer_ident(to);
	old = set_active_memcg(ident->memcg);
	for (i = 0; i < q->send->n_handles && !err; i++)
		err = bus1_message_attach(q->message, i, q->items[i],
					  &q->peer->space, BUS1_GFP_RECEIVER);
	set_active_memcg(old);
	bus1_ident_put(ident);
	return err ?: bus1_message_take_files(q->message, q->send->files);
}

/* Until the commit nobody else sees what becomes of the reply handle. */
static int commit_answer(struct quick *q)
{
	struct bus1_space *space = &q->peer->space;
	int err = -ENXIO;

	mutex_lock(&space->local);
	if (!q->name.reply->doomed)
		err = bus1_answer_commit(q->name.reply, q->message, false);
	if (!err)
		bus1_name_used(&q->name, space);
	mutex_unlock(&space->local);
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
	struct iov_iter iter;
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
	iter = q->send->payload;
	err = bus1_pool_write(&to->pool, &q->message->slice, &iter, false);
	if (!err && (q->send->n_handles || q->send->n_files))
		err = attach(q, to);
	return err ?: commit(q);
}

static void put_all(struct quick *q)
{
	size_t i;

	for (i = 0; i < q->send->n_handles; i++)
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
	struct quick q = { .peer = peer, .send = send };
	int err;

	if (!is_plain(send))
		return false;
	err = run(&q);
	if (err)
		undo(&q);
	else
		bus1_peer_release_slice(peer, send->release, q.serial);
	put_all(&q);
	return !err;
}
