// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Requests, replies and calls: what is sent, what comes back, what ends them. */
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include "server.h"

static int same_use(const struct bus1_peer_info *a,
		    const struct bus1_peer_info *b)
{
	return a->used_slices == b->used_slices &&
	       a->used_handles == b->used_handles &&
	       a->used_inflight_bytes == b->used_inflight_bytes &&
	       a->used_inflight_fds == b->used_inflight_fds;
}

static void request_is_replied_to(void)
{
	struct pair pair = pair_new();
	struct bus1_peer_info before = info_of(pair.client), during, after;
	struct bus1_peer_info at = info_of(pair.server);
	struct iovec vec = { (void *)"question", 9 };
	struct bus1_request request = request_of(&pair, 16);
	struct bus1_msg msg;

	request.payload.vecs = &vec;
	request.payload.n_vecs = 1;
	EXPECT(!bus1_send_request(pair.client, &request, 0));
	during = info_of(pair.client);
	EXPECT(during.used_slices == before.used_slices + 1);
	EXPECT(during.used_handles == before.used_handles + 1);
	EXPECT(during.used_inflight_bytes == before.used_inflight_bytes + 64);

	EXPECT(!take_at(&pair, &msg));
	EXPECT(is_text(&msg, "question") && msg.destination == 8);
	EXPECT(msg.reply != BUS1_HANDLE_INVALID);
	EXPECT(!reply_with(&pair, &msg, "answer", 7));
	EXPECT(msg.reply == BUS1_HANDLE_INVALID);
	EXPECT(!bus1_msg_discard(pair.at, &msg));
	after = info_of(pair.server);
	EXPECT(same_use(&at, &after));

	EXPECT(!take(&pair, &msg));
	EXPECT(is_text(&msg, "answer") && msg.destination == 16);
	EXPECT(msg.reply == BUS1_HANDLE_INVALID);
	EXPECT(msg.sender_pid == getpid());
	EXPECT(!bus1_msg_discard(pair.pool, &msg));
	after = info_of(pair.client);
	EXPECT(same_use(&before, &after));
	EXPECT(!ask(&pair, 16));
	pair_free(&pair);
}

static void request_and_reply_carry_everything(void)
{
	struct pair pair = pair_new();
	struct bus1_request request = request_of(&pair, 16);
	uint64_t handles[] = { 80 | NEW, 96 | NEW }, made = 32 | NEW;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct bus1_payload payload = {
		.handles = &made, .n_handles = 1, .fds = &null, .n_fds = 1,
	};
	struct bus1_msg msg;

	request.payload.handles = handles;
	request.payload.n_handles = 2;
	request.payload.fds = &null;
	request.payload.n_fds = 1;
	request.reply_max_handles = 1;
	request.reply_max_fds = 1;
	EXPECT(!bus1_send_request(pair.client, &request, 0));
	EXPECT(!bus1_pool_recv(pair.at, &msg, 0, BUS1_RECV_NONBLOCK |
						 BUS1_RECV_INSTALL_FDS));
	EXPECT(msg.n_handles == 2 && msg.n_fds == 1 && msg.fds[0] > null);
	EXPECT(!bus1_msg_reply(pair.at, &msg, &payload));
	EXPECT(!bus1_msg_discard(pair.at, &msg));
	EXPECT(!bus1_pool_wait_reply(pair.pool, &msg, 16, NULL, NULL, 0,
				     BUS1_RECV_INSTALL_FDS |
				     BUS1_POOL_OVERTAKE));
	EXPECT(msg.n_handles == 1 && msg.n_fds == 1 && msg.fds[0] > null);
	EXPECT(!bus1_send(pair.client, msg.handles, 1, NULL, 0, NULL, 0, NULL,
			  0, 0));
	EXPECT(!bus1_msg_discard(pair.pool, &msg));
	EXPECT(!take_at(&pair, &msg));
	EXPECT(msg.destination == 32);
	close(null);
	pair_free(&pair);
}

static void reply_without_a_payload(void)
{
	struct pair pair = pair_new();
	struct bus1_msg msg;

	EXPECT(!ask(&pair, 16));
	EXPECT(!take_at(&pair, &msg));
	EXPECT(!bus1_msg_reply(pair.at, &msg, NULL));
	EXPECT(!fetch(&pair, &msg, 16));
	EXPECT(msg.type == BUS1_MSG_DATA && !msg.n_bytes && !msg.payload);
	EXPECT(!bus1_msg_discard(pair.pool, &msg));
	pair_free(&pair);
}

static void reply_stays_within_the_budget(void)
{
	struct pair pair = pair_new();
	char large[65] = "";
	uint64_t node = 32 | NEW;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct bus1_payload with_handle = { .handles = &node, .n_handles = 1 };
	struct bus1_payload with_fd = { .fds = &null, .n_fds = 1 };
	struct bus1_msg msg;

	EXPECT(!ask(&pair, 16));
	EXPECT(!take_at(&pair, &msg));
	EXPECT_ERRNO(reply_with(&pair, &msg, large, 65), EMSGSIZE);
	EXPECT_ERRNO(bus1_msg_reply(pair.at, &msg, &with_handle), EMSGSIZE);
	EXPECT_ERRNO(bus1_msg_reply(pair.at, &msg, &with_fd), EMSGSIZE);
	EXPECT(msg.reply != BUS1_HANDLE_INVALID);
	EXPECT(info_of(pair.client).n_queued == 0);
	EXPECT(!reply_with(&pair, &msg, large, 64));
	EXPECT(!fetch(&pair, &msg, 16));
	EXPECT(msg.n_bytes == 64);
	close(null);
	pair_free(&pair);
}

static void reply_is_sent_once(void)
{
	struct pair pair = pair_new();
	struct bus1_msg msg;
	uint64_t reply;

	EXPECT(!ask(&pair, 16));
	EXPECT(!take_at(&pair, &msg));
	reply = msg.reply;
	EXPECT(!bus1_msg_reply(pair.at, &msg, NULL));
	EXPECT_ERRNO(bus1_msg_reply(pair.at, &msg, NULL), EINVAL);
	msg.reply = reply;
	EXPECT_ERRNO(bus1_msg_reply(pair.at, &msg, NULL), ENXIO);
	EXPECT(info_of(pair.client).n_queued == 1);
	pair_free(&pair);
}

static void discard_drops_the_reply(void)
{
	struct pair pair = pair_new();
	struct bus1_msg msg;

	EXPECT(!ask(&pair, 16));
	EXPECT(!take_at(&pair, &msg));
	EXPECT(!bus1_msg_discard(pair.at, &msg));
	EXPECT(msg.reply == BUS1_HANDLE_INVALID);
	EXPECT(!bus1_msg_discard(pair.at, &msg));
	EXPECT(!take(&pair, &msg));
	EXPECT(msg.type == BUS1_MSG_REPLY_DROPPED && msg.destination == 16);
	EXPECT(msg.offset == BUS1_OFFSET_INVALID);
	EXPECT_ERRNO(take(&pair, &msg), EAGAIN);
	pair_free(&pair);
}

static void release_of_the_slice_keeps_the_reply(void)
{
	struct pair pair = pair_new();
	struct bus1_msg msg;

	EXPECT(!ask(&pair, 16));
	EXPECT(!take_at(&pair, &msg));
	EXPECT(!bus1_msg_release(pair.at, &msg));
	EXPECT(!reply_with(&pair, &msg, "late", 5));
	EXPECT(!fetch(&pair, &msg, 16));
	EXPECT(is_text(&msg, "late"));
	pair_free(&pair);
}

static void holder_gone_is_a_drop(void)
{
	struct pair pair = pair_new();
	struct bus1_msg msg;

	EXPECT(!ask(&pair, 16));
	EXPECT(!bus1_peer_disconnect(pair.server, 0));
	EXPECT(!fetch(&pair, &msg, 16));
	EXPECT(msg.type == BUS1_MSG_REPLY_DROPPED && msg.destination == 16);
	pair_free(&pair);
}

static void request_that_fails_sends_nothing(void)
{
	struct pair pair = pair_new();
	struct bus1_request request = request_of(&pair, 17);
	struct bus1_peer_info before = info_of(pair.client), after;

	EXPECT_ERRNO(bus1_send_request(pair.client, &request, 0), EINVAL);
	request.reply_id = 8;
	EXPECT_ERRNO(bus1_send_request(pair.client, &request, 0), EEXIST);
	request.reply_id = 16;
	EXPECT_ERRNO(bus1_send_request(pair.client, &request, 0x80), EINVAL);
	EXPECT_ERRNO(bus1_send_request(pair.client, &request,
				       BUS1_SEND_CONTINUE), EINVAL);
	request.reply_max_fds = BUS1_FD_MAX + 1;
	EXPECT_ERRNO(bus1_send_request(pair.client, &request, 0), EMSGSIZE);
	request.reply_max_fds = 0;
	request.reply_max_bytes = before.max_inflight_bytes + 1;
	EXPECT_ERRNO(bus1_send_request(pair.client, &request, 0), ENOBUFS);
	request.reply_max_bytes = 64;
	request.destination = 24;
	EXPECT_ERRNO(bus1_send_request(pair.client, &request, 0), ENXIO);
	after = info_of(pair.client);
	EXPECT(same_use(&before, &after));
	EXPECT(info_of(pair.server).n_queued == 0);
	pair_free(&pair);
}

static void cancel_ends_it(void)
{
	struct pair pair = pair_new();
	struct bus1_peer_info before = info_of(pair.client), after;
	struct bus1_msg msg;
	uint64_t id = 16;

	EXPECT(!ask(&pair, 16));
	EXPECT_ERRNO(ask(&pair, 16), EEXIST);
	EXPECT(!take_at(&pair, &msg));
	EXPECT(!bus1_node_destroy(pair.client, &id, 1, 0));
	/* All but the handle comes back now, that when its holder lets go. */
	after = info_of(pair.client);
	EXPECT(after.used_handles == before.used_handles + 1);
	EXPECT(!bus1_msg_discard(pair.at, &msg));
	after = info_of(pair.client);
	EXPECT(same_use(&before, &after));
	EXPECT_ERRNO(fetch(&pair, &msg, 16), ENXIO);
	EXPECT_ERRNO(take(&pair, &msg), EAGAIN);
	EXPECT(!ask(&pair, 16));
	pair_free(&pair);
}

static void reply_to_who_has_cancelled(void)
{
	struct pair pair = pair_new();
	struct bus1_msg msg;
	uint64_t id = 16;

	EXPECT(!ask(&pair, 16));
	EXPECT(!take_at(&pair, &msg));
	EXPECT(!bus1_node_destroy(pair.client, &id, 1, 0));
	EXPECT_ERRNO(reply_with(&pair, &msg, "x", 1), EHOSTUNREACH);
	EXPECT(msg.reply != BUS1_HANDLE_INVALID);
	EXPECT(!bus1_msg_discard(pair.at, &msg));
	EXPECT_ERRNO(take_at(&pair, &msg), EAGAIN);
	pair_free(&pair);
}

static void cancel_too_late(void)
{
	struct pair pair = pair_new();
	struct bus1_msg msg;
	uint64_t id = 16;

	EXPECT(!ask(&pair, 16));
	EXPECT(!answer(&pair, "there"));
	EXPECT_ERRNO(bus1_node_destroy(pair.client, &id, 1, 0), ESTALE);
	EXPECT(!fetch(&pair, &msg, 16));
	EXPECT(is_text(&msg, "there"));
	EXPECT_ERRNO(bus1_node_destroy(pair.client, &id, 1, 0), ENXIO);
	pair_free(&pair);
}

/* A dispatcher hands a request on; the worker answers the client directly. */
static void reply_can_be_handed_on(void)
{
	struct pair pair = pair_new(), worker = pair_new();
	uint64_t node = 8, to_worker;
	struct bus1_msg msg, job;

	EXPECT(!bus1_handle_transfer(worker.server, pair.server, &node,
				     &to_worker, 1, 0));
	EXPECT(!ask(&pair, 16));
	EXPECT(!take_at(&pair, &msg));
	EXPECT(!bus1_send(pair.server, &to_worker, 1, NULL, 0, &msg.reply, 1,
			  NULL, 0, 0));
	EXPECT_ERRNO(bus1_msg_reply(pair.at, &msg, NULL), ENXIO);
	msg.reply = BUS1_HANDLE_INVALID;
	EXPECT(!bus1_msg_discard(pair.at, &msg));

	EXPECT(!take_at(&worker, &job));
	EXPECT(job.n_handles == 1 && job.reply == BUS1_HANDLE_INVALID);
	EXPECT(!bus1_send(worker.server, job.handles, 1, NULL, 0, NULL, 0, NULL,
			  0, 0));
	EXPECT(!fetch(&pair, &msg, 16));
	EXPECT(msg.type == BUS1_MSG_DATA && msg.destination == 16);
	pair_free(&pair);
	pair_free(&worker);
}

static void wait_takes_the_one_asked_for(void)
{
	struct pair pair = pair_new();
	struct bus1_msg msg;

	EXPECT(!ask(&pair, 16) && !ask(&pair, 24) && !ask(&pair, 32));
	EXPECT(!answer(&pair, "one"));
	EXPECT_ERRNO(fetch(&pair, &msg, 24), EAGAIN);
	EXPECT(!answer(&pair, "two") && !answer(&pair, "three"));
	EXPECT(!fetch(&pair, &msg, 32) && is_text(&msg, "three"));
	EXPECT(!bus1_msg_discard(pair.pool, &msg));
	EXPECT(!fetch(&pair, &msg, 16) && is_text(&msg, "one"));
	EXPECT(!(msg.flags & BUS1_MSG_FLAG_OVERTOOK));
	EXPECT(!bus1_msg_discard(pair.pool, &msg));
	EXPECT(!fetch(&pair, &msg, 24) && is_text(&msg, "two"));
	EXPECT_ERRNO(fetch(&pair, &msg, 24), ENXIO);
	pair_free(&pair);
}

static void wait_errors(void)
{
	struct pair pair = pair_new();
	struct bus1_msg msg = { .offset = 4096 };

	EXPECT_ERRNO(fetch(&pair, &msg, 16), ENXIO);
	EXPECT(msg.type == BUS1_MSG_NONE && msg.offset == BUS1_OFFSET_INVALID);
	EXPECT_ERRNO(fetch(&pair, &msg, 8), ENXIO);
	EXPECT(msg.destination == 8);
	EXPECT(!ask(&pair, 16));
	EXPECT_ERRNO(bus1_pool_wait_reply(pair.pool, &msg, 16, NULL, NULL, 0,
					  BUS1_RECV_NONBLOCK), EINVAL);
	EXPECT(msg.destination == 16);
	EXPECT_ERRNO(bus1_pool_wait_reply(pair.pool, &msg, 16, NULL, NULL, 1,
					  BUS1_POOL_OVERTAKE), ETIMEDOUT);
	/* As after a call: it was sent, and may be waited for again. */
	EXPECT(msg.type == BUS1_MSG_NONE && msg.destination == 16);
	EXPECT_ERRNO(bus1_pool_wait_reply(pair.pool, &msg, 16, NULL, NULL, 0,
					  BUS1_POOL_OVERTAKE | 0x8000), EINVAL);
	msg.offset = 4096;
	EXPECT_ERRNO(bus1_pool_wait_reply(pair.pool, &msg, 16, NULL, NULL, 1,
					  BUS1_POOL_OVERTAKE |
					  BUS1_RECV_RELEASE), ENXIO);
	EXPECT(!bus1_peer_disconnect(pair.client, 0));
	EXPECT_ERRNO(fetch(&pair, &msg, 16), ESHUTDOWN);
	pair_free(&pair);
}

static void wait_releases_the_last(void)
{
	struct pair pair = pair_new();
	struct bus1_msg msg = BUS1_MSG_INIT;
	uint64_t id;

	for (id = 16; id < 16 + 8 * 100; id += 8) {
		EXPECT(!ask(&pair, id) && !answer(&pair, "text"));
		EXPECT(!bus1_pool_wait_reply(pair.pool, &msg, id, NULL, NULL, 0,
					     BUS1_POOL_OVERTAKE |
					     BUS1_RECV_RELEASE));
		EXPECT(is_text(&msg, "text"));
		EXPECT(info_of(pair.client).used_slices == 0);
	}
	pair_free(&pair);
}

/* A pool begins with nothing mapped, so that every length is reached by ERANGE. */
static void wait_maps_what_the_reply_needs(void)
{
	struct pair pair = pair_new();
	struct bus1_request request = request_of(&pair, 16);
	struct rlimit old, small = { 1, 1 };
	static char data[3 * MIB];
	struct bus1_msg msg;

	request.reply_max_bytes = sizeof(data);
	EXPECT(!bus1_send_request(pair.client, &request, 0));
	EXPECT(!take_at(&pair, &msg));
	memset(data, 'x', sizeof(data));
	EXPECT(!reply_with(&pair, &msg, data, sizeof(data)));

	REQUIRE(!getrlimit(RLIMIT_AS, &old));
	small.rlim_max = old.rlim_max;
	REQUIRE(!setrlimit(RLIMIT_AS, &small));
	errno = 0;
	tap_failed = fetch(&pair, &msg, 16) != -1 || errno != ENOMEM;
	REQUIRE(!setrlimit(RLIMIT_AS, &old));
	EXPECT(!tap_failed);
	EXPECT(!fetch(&pair, &msg, 16));
	EXPECT(msg.n_bytes == sizeof(data));
	EXPECT(!memcmp(msg.payload, data, sizeof(data)));
	pair_free(&pair);
}

static void wait_without_room_for_descriptors(void)
{
	struct pair pair = pair_new();
	struct bus1_request request = request_of(&pair, 16);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct bus1_payload payload = { .fds = &null, .n_fds = 1 };
	const unsigned int flags = BUS1_RECV_INSTALL_FDS | BUS1_POOL_OVERTAKE;
	struct rlimit old, small;
	struct bus1_msg msg;

	request.reply_max_fds = 1;
	EXPECT(!bus1_send_request(pair.client, &request, 0));
	EXPECT(!take_at(&pair, &msg));
	EXPECT(!bus1_msg_reply(pair.at, &msg, &payload));
	REQUIRE(!getrlimit(RLIMIT_NOFILE, &old));
	small = old;
	small.rlim_cur = null + 1;
	REQUIRE(!setrlimit(RLIMIT_NOFILE, &small));
	errno = 0;
	tap_failed = bus1_pool_wait_reply(pair.pool, &msg, 16, NULL, NULL, 0,
					  flags) != -1 || errno != EMFILE;
	REQUIRE(!setrlimit(RLIMIT_NOFILE, &old));
	EXPECT(!tap_failed);
	EXPECT(!bus1_pool_wait_reply(pair.pool, &msg, 16, NULL, NULL, 0, flags));
	EXPECT(msg.n_fds == 1 && msg.fds[0] >= 0);
	EXPECT(!bus1_msg_discard(pair.pool, &msg));
	close(null);
	pair_free(&pair);
}

struct waiter {
	struct pair *pair;
	uint64_t id;
	int tid;
	int error;
	struct bus1_msg msg;
};

/* With a pool of its own, as every thread needs. */
static void *wait_for_one(void *data)
{
	struct waiter *waiter = data;
	struct bus1_pool *pool = bus1_pool_new(waiter->pair->client);

	REQUIRE(pool);
	say_tid(&waiter->tid);
	waiter->error = bus1_pool_wait_reply(pool, &waiter->msg, waiter->id,
					     NULL, NULL, 0,
					     BUS1_POOL_OVERTAKE) ? errno : 0;
	bus1_pool_free(pool);
	return NULL;
}

static void second_waiter_is_refused(void)
{
	struct pair pair = pair_new();
	struct waiter waiter = { .pair = &pair, .id = 16 };
	struct bus1_msg msg;
	pthread_t thread;

	EXPECT(!ask(&pair, 16));
	thread = start(wait_for_one, &waiter);
	wait_until_asleep(&waiter.tid);
	EXPECT_ERRNO(bus1_pool_wait_reply(pair.pool, &msg, 16, NULL, NULL,
					  now() + SECOND, BUS1_POOL_OVERTAKE),
		     EBUSY);
	EXPECT(!answer(&pair, "first"));
	pthread_join(thread, NULL);
	EXPECT(!waiter.error && waiter.msg.type == BUS1_MSG_DATA);
	pair_free(&pair);
}

static void waiter_learns_of_a_cancel(void)
{
	struct pair pair = pair_new();
	struct waiter waiter = { .pair = &pair, .id = 16 };
	uint64_t id = 16;
	pthread_t thread;

	EXPECT(!ask(&pair, 16));
	thread = start(wait_for_one, &waiter);
	wait_until_asleep(&waiter.tid);
	EXPECT(!bus1_node_destroy(pair.client, &id, 1, 0));
	pthread_join(thread, NULL);
	EXPECT(waiter.error == ESTALE);
	pair_free(&pair);
}

static void waiter_learns_of_a_drop(void)
{
	struct pair pair = pair_new();
	struct waiter waiter = { .pair = &pair, .id = 16 };
	struct bus1_msg msg;
	pthread_t thread;

	EXPECT(!ask(&pair, 16));
	thread = start(wait_for_one, &waiter);
	wait_until_asleep(&waiter.tid);
	EXPECT(!take_at(&pair, &msg));
	EXPECT(!bus1_msg_discard(pair.at, &msg));
	pthread_join(thread, NULL);
	EXPECT(!waiter.error && waiter.msg.type == BUS1_MSG_REPLY_DROPPED);
	EXPECT(waiter.msg.destination == 16);
	pair_free(&pair);
}

static const struct tap_test tests[] = {
	{ "replies.request_is_replied_to", request_is_replied_to },
	{ "replies.request_and_reply_carry_everything",
	  request_and_reply_carry_everything },
	{ "replies.without_a_payload", reply_without_a_payload },
	{ "replies.stay_within_the_budget", reply_stays_within_the_budget },
	{ "replies.are_sent_once", reply_is_sent_once },
	{ "replies.discard_drops_them", discard_drops_the_reply },
	{ "replies.release_of_the_slice_keeps_them",
	  release_of_the_slice_keeps_the_reply },
	{ "replies.holder_gone_is_a_drop", holder_gone_is_a_drop },
	{ "replies.request_that_fails_sends_nothing",
	  request_that_fails_sends_nothing },
	{ "replies.cancel_ends_it", cancel_ends_it },
	{ "replies.to_who_has_cancelled", reply_to_who_has_cancelled },
	{ "replies.cancel_too_late", cancel_too_late },
	{ "replies.can_be_handed_on", reply_can_be_handed_on },
	{ "replies.wait_takes_the_one_asked_for", wait_takes_the_one_asked_for },
	{ "replies.wait_errors", wait_errors },
	{ "replies.wait_releases_the_last", wait_releases_the_last },
	{ "replies.wait_maps_what_the_reply_needs",
	  wait_maps_what_the_reply_needs },
	{ "replies.wait_without_room_for_descriptors",
	  wait_without_room_for_descriptors },
	{ "replies.second_waiter_is_refused", second_waiter_is_refused },
	{ "replies.waiter_learns_of_a_cancel", waiter_learns_of_a_cancel },
	{ "replies.waiter_learns_of_a_drop", waiter_learns_of_a_drop },
};

int main(void)
{
	REQUIRE(bus1_supported());
	return TAP_RUN(tests);
}
