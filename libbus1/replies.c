// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Calls and replies, with the pool.
 *
 * A request goes out once. When its reply lies behind what is mapped, or the
 * wait ends, the request stands, and all that follows is a receive of that reply
 * by its ID.
 */
#include <errno.h>
#include <poll.h>

#include "bus1.h"
#include "internal.h"

/*
 * How long to wait for what was overtaken and does not come. An entry that is
 * being committed comes at once, unless the sender's CPU is taken away from its
 * whole machine. One that does not come at all was withdrawn.
 */
#define COMMIT_MS 100

/*
 * 1: the next one; 0: there is none; -1: there is one that cannot be had.
 * @all: what the peer has received when all of them have left its queue, whoever
 * received them.
 */
static int next_earlier(struct bus1_pool *pool, struct bus1_msg *msg,
			uint64_t all, unsigned int flags)
{
	struct pollfd front = { .fd = pool->fd, .events = POLLIN };
	struct bus1_peer_info info;
	int came = 1;

	for (;;) {
		/* One that has lost its payload has left the queue as well. */
		if (!bus1_pool_recv(pool, msg, 0, flags) ||
		    msg->type != BUS1_MSG_NONE)
			return 1;
		if (errno != EAGAIN || bus1_peer_query(pool->fd, &info, 0) < 0)
			return -1;
		if (!info.n_queued && (!came || info.n_received >= all))
			return 0;
		came = poll(&front, 1, COMMIT_MS);
	}
}

/*
 * Counted by what leaves the queue, so that what @earlier takes by itself is
 * counted too.
 */
static int take_earlier(struct bus1_pool *pool, uint64_t n_overtaken,
			bus1_earlier_fn earlier, void *context,
			unsigned int flags)
{
	uint64_t until = pool->n_taken + n_overtaken;
	struct bus1_peer_info info;
	struct bus1_msg msg;
	int r;

	if (bus1_peer_query(pool->fd, &info, 0) < 0)
		return -1;
	while (pool->n_taken < until) {
		r = next_earlier(pool, &msg, info.n_received + n_overtaken,
				 flags);
		if (r <= 0)
			return r;
		if (earlier(pool, &msg, context))
			return -1;
	}
	return 0;
}

/* Whatever becomes of the earlier ones, the reply is the caller's. */
static int finish(struct bus1_pool *pool, struct bus1_msg *msg,
		  const struct bus1_recv_args *args, bus1_earlier_fn earlier,
		  void *context, unsigned int flags)
{
	int r = bus1_msg_fill(msg, pool, args), saved = errno;

	flags &= BUS1_RECV_INSTALL_FDS | BUS1_POOL_OVERTAKE;
	if ((msg->flags & BUS1_MSG_FLAG_OVERTOOK) &&
	    !(flags & BUS1_POOL_OVERTAKE) &&
	    !take_earlier(pool, args->n_overtaken, earlier, context,
			  flags | BUS1_RECV_NONBLOCK))
		msg->flags &= ~BUS1_MSG_FLAG_OVERTOOK;
	errno = saved;
	return r;
}

static int check_earlier(bus1_earlier_fn earlier, unsigned int flags)
{
	if (earlier || (flags & BUS1_POOL_OVERTAKE))
		return 0;
	errno = EINVAL;
	return -1;
}

/* Sends, and waits once: 0, or -1 with errno and *@sent. */
static int send_and_wait(struct bus1_pool *pool,
			 const struct bus1_request *request,
			 struct bus1_recv_args *args, unsigned int flags,
			 int *sent)
{
	struct bus1_send_args send = { 0 };

	flags = BUS1_CALL(bus1_args_request(&send, request), flags);
	if (bus1_call(pool->fd, &send, args, flags) < 0) {
		*sent = errno == EINTR;
		return -1;
	}
	*sent = 1;
	if (!args->error)
		return 0;
	errno = -args->error;
	return -1;
}

EXPORT int bus1_pool_call(struct bus1_pool *pool, struct bus1_msg *msg,
			  const struct bus1_request *request,
			  bus1_earlier_fn earlier, void *context,
			  uint64_t deadline, unsigned int flags)
{
	unsigned int recv_flags = flags & ~BUS1_POOL_OVERTAKE;
	struct bus1_recv_args args = bus1_pool_args(pool, msg, deadline, flags);
	int sent = 0, r = check_earlier(earlier, flags);

	args.reply_id = request->reply_id;
	if (!r)
		r = send_and_wait(pool, request, &args, recv_flags, &sent);
	if (r < 0 && sent && errno == ERANGE && !bus1_pool_grow(pool, &args)) {
		r = bus1_pool_take(pool, &args, recv_flags | BUS1_RECV_REPLY);
	}
	if (r < 0) {
		bus1_msg_clear(msg, args.release);
		if (sent)
			msg->destination = request->reply_id;
		return -1;
	}
	return finish(pool, msg, &args, earlier, context, flags);
}

EXPORT int bus1_pool_wait_reply(struct bus1_pool *pool, struct bus1_msg *msg,
				uint64_t reply_id, bus1_earlier_fn earlier,
				void *context, uint64_t deadline,
				unsigned int flags)
{
	unsigned int recv_flags = flags & ~BUS1_POOL_OVERTAKE;
	struct bus1_recv_args args = bus1_pool_args(pool, msg, deadline, flags);
	int r = check_earlier(earlier, flags);

	args.reply_id = reply_id;
	if (!r)
		r = bus1_pool_take(pool, &args, recv_flags | BUS1_RECV_REPLY);
	if (r < 0) {
		bus1_msg_clear(msg, args.release);
		/* It was sent once, and is not to be sent again. */
		msg->destination = reply_id;
		return -1;
	}
	return finish(pool, msg, &args, earlier, context, flags);
}

static const struct bus1_payload nothing;

EXPORT int bus1_msg_reply(struct bus1_pool *pool, struct bus1_msg *msg,
			  const struct bus1_payload *payload)
{
	if (!payload)
		payload = &nothing;
	if (bus1_send(pool->fd, &msg->reply, 1, payload->vecs, payload->n_vecs,
		      payload->handles, payload->n_handles,
		      payload->fds, payload->n_fds, 0) < 0)
		return -1;
	msg->reply = BUS1_HANDLE_INVALID;
	return 0;
}

/* Receives the next one after a reply that was sent: 0, or -1 with errno. */
static int take_next(struct bus1_pool *pool, struct bus1_recv_args *args,
		     unsigned int flags)
{
	if (!args->error) {
		pool->n_taken++;
		return 0;
	}
	errno = -args->error;
	if (errno != ERANGE || bus1_pool_grow(pool, args) < 0)
		return -1;
	return bus1_pool_take(pool, args, flags);
}

EXPORT int bus1_pool_reply_recv(struct bus1_pool *pool, struct bus1_msg *msg,
				const struct bus1_payload *payload,
				uint64_t deadline, unsigned int flags)
{
	struct bus1_send_args send = {
		.ptr_destinations = (uintptr_t)&msg->reply,
		.n_destinations = 1,
	};
	struct bus1_recv_args args;
	unsigned int send_flags;

	flags |= BUS1_RECV_RELEASE;
	if (msg->reply == BUS1_HANDLE_INVALID)
		return bus1_pool_recv(pool, msg, deadline, flags);

	args = bus1_pool_args(pool, msg, deadline, flags);
	send_flags = bus1_args_payload(&send, payload ? payload : &nothing);
	if (bus1_call(pool->fd, &send, &args, BUS1_CALL(send_flags, flags)) < 0) {
		if (errno != EINTR)
			return -1;
		args.error = -EINTR;
	}
	if (take_next(pool, &args, flags) < 0) {
		bus1_msg_clear(msg, args.release);
		return -1;
	}
	return bus1_msg_fill(msg, pool, &args);
}
