// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: replies that a send asks for, and reply handles that it moves
 */

#include <linux/sched/mm.h>

#include "send.h"

/* It stays with the peer, so the peer's cgroup pays, whoever calls. No OOM kill. */
static struct bus1_message *new_room(struct bus1_peer *peer,
				     const struct bus1_shape *shape)
{
	struct bus1_message *room;
	struct mem_cgroup *old;

	old = set_active_memcg(peer->ident->memcg);
	room = bus1_message_new(peer, shape, BUS1_GFP_RECEIVER);
	set_active_memcg(old);
	return room;
}

static noinline int pay_slowly(struct bus1_peer *peer,
			       const struct bus1_shape *shape,
			       struct bus1_reply **asks,
			       struct bus1_message **room)
{
	int err = 0;

	if (!*asks)
		*asks = bus1_reply_new(peer);
	if (*asks && !*room) {
		*room = new_room(peer, shape);
		if (!*room)
			return -ENOMEM;
		spin_lock(&peer->data);
		err = bus1_message_charge_budget_locked(*room, shape);
		spin_unlock(&peer->data);
	}
	return *asks ? err : -ENOMEM;
}

/**
 * bus1_request_pay() - pay for a reply before anything is sent
 * @peer:	peer that asks; its @local is held until the request is committed
 * @args:	what is asked for, with an ID that is free
 * @to:		peer that is to have the reply handle
 * @await:	the calling thread if it goes on to wait for the reply, or NULL
 *
 * Return: the reply, known by its ID, with @await registered, for the request to carry or
 * for bus1_request_undo(); -ENOBUFS if the peer may have no more; -ENOMEM.
 */
struct bus1_reply *bus1_request_pay(struct bus1_peer *peer,
				    const struct bus1_send_args *args,
				    struct bus1_peer *to, struct bus1_await *await)
{
	const struct bus1_shape shape = {
		.n_bytes = args->reply_max_bytes,
		.n_handles = args->reply_max_handles,
		.n_fds = args->reply_max_fds,
	};
	struct bus1_message *room;
	struct bus1_reply *asks;
	int err = 0;

	if (bus1_shape_size(&shape) > BUS1_INLINE_MAX)
		err = bus1_pool_prepare(&peer->pool);
	if (err)
		return ERR_PTR(err);

	spin_lock(&peer->data);
	peer->n_waiting += !!await;
	asks = bus1_reply_take_locked(peer);
	room = bus1_message_reuse_locked(peer, &shape);
	if (likely(room))
		err = bus1_message_charge_budget_locked(room, &shape);
	spin_unlock(&peer->data);
	if (unlikely(!err && (!room || !asks)))
		err = pay_slowly(peer, &shape, &asks, &room);
	if (unlikely(err)) {
		spin_lock(&peer->data);
		peer->n_waiting -= !!await;
		/* The handle that the reply would have been is not in the room's charge. */
		if (room && room->charged.of[BUS1_SLICES])
			bus1_quota_uncharge(&peer->quota, NULL, &bus1_one_handle);
		spin_unlock(&peer->data);
		bus1_message_free(room);
		bus1_reply_free(asks);
		return ERR_PTR(err);
	}
	bus1_reply_init(asks, args->reply_id);
	if (await)
		bus1_reply_register_locked(asks, await);
	asks->max_bytes = args->reply_max_bytes;
	asks->max_handles = args->reply_max_handles;
	asks->max_fds = args->reply_max_fds;
	asks->message = room;
	asks->charged = true;
	asks->holder = to;
	bus1_reply_expect(asks);
	return asks;
}

/**
 * bus1_request_undo() - undo bus1_request_pay()
 * @asks:	reply of a request that was not committed; the requester's @local has
 *		been held since then
 * @await:	as for bus1_request_pay()
 */
void bus1_request_undo(struct bus1_reply *asks, struct bus1_await *await)
{
	struct bus1_message *room = asks->message;
	struct bus1_peer *peer = asks->requester;

	spin_lock(&peer->data);
	asks->holder = NULL;
	asks->message = NULL;
	if (await) {
		asks->await = NULL;
		asks->ref--;
		await->reply = NULL;
		peer->n_waiting--;
	}
	bus1_reply_cancelled_locked(asks);
	/* Of a holder, which there never was. */
	asks->ref--;
	asks = bus1_reply_forget_locked(asks);
	spin_unlock(&peer->data);
	bus1_message_free(room);
	bus1_reply_free(asks);
}

/**
 * bus1_request_move() - move the reply handles that a message carries
 * @names:	what it carries
 * @n:		how many
 * @peer:	the sender, which has them; its @local is held until it is clear whether
 *		they move
 * @message:	the message
 * @tx:		transaction that moves them
 *
 * A handle whose request was cancelled stays, and arrives as invalid.
 *
 * Return: 0; -EBUSY if a request is being cancelled, which is to be finished first.
 * bus1_request_end_moves() is to follow.
 */
int bus1_request_move(struct bus1_name *names, size_t n, struct bus1_peer *peer,
		      struct bus1_message *message, struct bus1_tx *tx)
{
	struct bus1_reply *reply;
	size_t i;
	int err;

	for (i = 0; i < n; i++) {
		reply = names[i].reply;
		if (!reply)
			continue;
		err = bus1_reply_move(reply, tx, message->peer);
		if (err == -EBUSY)
			return err;
		if (err)
			continue;
		bus1_reply_unlink(reply, peer);
		names[i].moved = true;
		reply->index = i;
		list_add_tail(&reply->moved, &message->moved);
	}
	return 0;
}

/**
 * bus1_request_end_moves() - end what bus1_request_move() began
 * @names:	as there
 * @n:		as there
 * @peer:	as there
 * @tx:		as there; over, or given up
 * @err:	0 if it was committed
 */
void bus1_request_end_moves(struct bus1_name *names, size_t n,
			    struct bus1_peer *peer, struct bus1_tx *tx, int err)
{
	struct bus1_reply *reply;
	size_t i;

	for (i = 0; i < n; i++) {
		reply = names[i].reply;
		if (!names[i].moved)
			continue;
		if (err) {
			list_del_init(&reply->moved);
			bus1_reply_link(reply, peer);
		} else {
			names[i].reply = NULL;
		}
		bus1_reply_end_move(reply, tx);
		names[i].moved = false;
	}
}
