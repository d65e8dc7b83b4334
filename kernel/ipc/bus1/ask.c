// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: asking for a reply
 */

#include <linux/sched/mm.h>

#include "ask.h"
#include "name.h"

/**
 * bus1_ask() - prepare the reply that a request asks for
 * @peer:	who asks; its @local is held
 * @budget:	what is asked for
 * @asks:	the reply, known by its ID and not paid for yet
 *
 * Return: 0, and bus1_ask_abort() is to follow if the request is not committed;
 * -EEXIST if the ID is taken; -ENOMEM.
 */
int bus1_ask(struct bus1_peer *peer, const struct bus1_budget *budget,
	     struct bus1_reply **asks)
{
	struct bus1_reply *reply;

	if (!bus1_name_is_free(&peer->space, budget->id))
		return -EEXIST;
	reply = bus1_reply_new(&peer->space, budget->id);
	if (!reply)
		return -ENOMEM;
	reply->max_bytes = budget->max_bytes;
	reply->max_handles = budget->max_handles;
	reply->max_fds = budget->max_fds;
	bus1_reply_expect(reply);
	*asks = reply;
	return 0;
}

static int pay_new(struct bus1_peer *peer, struct bus1_reply *asks,
		   const struct bus1_shape *shape,
		   const struct bus1_ident *ident)
{
	struct bus1_message *room;
	struct mem_cgroup *old;
	int err = -ENOMEM;

	old = set_active_memcg(ident->memcg);
	room = bus1_message_new(&peer->space, &peer->pool, shape,
				BUS1_GFP_RECEIVER);
	set_active_memcg(old);
	if (room)
		err = bus1_message_charge_budget(room);
	if (!err)
		asks->message = room;
	else
		bus1_message_free(room);
	return err;
}

/**
 * bus1_ask_pay() - pay for a reply
 * @peer:	who asks
 * @asks:	the reply
 * @ident:	who it is
 *
 * What stays with the peer its cgroup pays, whoever calls. So nobody is killed
 * there when it is full.
 *
 * Return: 0; -ESHUTDOWN; -ENOBUFS if the peer may have no more; -ENOMEM.
 */
int bus1_ask_pay(struct bus1_peer *peer, struct bus1_reply *asks,
		 const struct bus1_ident *ident)
{
	const struct bus1_shape shape = {
		.n_bytes = asks->max_bytes,
		.n_handles = asks->max_handles,
		.n_fds = asks->max_fds,
	};
	int err = 0;

	if (bus1_shape_size(&shape) > BUS1_INLINE_MAX)
		err = bus1_pool_prepare(&peer->pool);
	if (err)
		return err;
	err = bus1_message_take_budget(&peer->space, &peer->pool, &shape,
				       &asks->message);
	if (err == -ENOMEM)
		err = pay_new(peer, asks, &shape, ident);
	asks->charged = !err;
	return err;
}

/**
 * bus1_ask_offer() - a request is about to be committed
 * @asks:	the reply, paid for
 * @message:	the request; carries the reply handle from now on, until it is
 *		committed or the caller takes it back
 * @await:	who goes on to wait for the reply, or NULL
 *
 * bus1_ask_committed() or bus1_ask_abort() is to follow.
 */
void bus1_ask_offer(struct bus1_reply *asks, struct bus1_message *message,
		    struct bus1_await *await)
{
	struct bus1_space *space = asks->requester;

	message->asks = asks;
	spin_lock(&space->data);
	asks->holder = message->space;
	asks->await = await;
	if (await)
		await->reply = asks;
	spin_unlock(&space->data);
}

/**
 * bus1_ask_committed() - a request is committed
 * @asks:	the reply
 *
 * Return: true if the peer went down meanwhile, and nobody else cancels
 * the request.
 */
bool bus1_ask_committed(struct bus1_reply *asks)
{
	struct bus1_space *space = asks->requester;
	bool down;

	spin_lock(&space->data);
	/* It may have been answered already. */
	if (asks->state == BUS1_REPLY_NEW)
		asks->state = BUS1_REPLY_OPEN;
	down = space->down;
	spin_unlock(&space->data);
	return down;
}

/**
 * bus1_ask_abort() - undo bus1_ask() and bus1_ask_pay()
 * @peer:	who asks
 * @asks:	the reply, carried by no message
 * @await:	who is registered for it, or NULL
 * @locked:	whether the @local of @peer is held
 */
void bus1_ask_abort(struct bus1_peer *peer, struct bus1_reply *asks,
		    struct bus1_await *await, bool locked)
{
	bus1_message_free(bus1_reply_abort(asks, await));
	if (!locked)
		mutex_lock(&peer->space.local);
	bus1_reply_forget(asks);
	if (!locked)
		mutex_unlock(&peer->space.local);
	bus1_reply_put(asks);
	bus1_reply_put(asks);
}
