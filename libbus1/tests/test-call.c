// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Both halves in one entry: the client's call, and the server's reply and wait. */
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include "server.h"

static int call(struct pair *pair, struct bus1_msg *msg,
		const struct bus1_request *request, uint64_t deadline,
		unsigned int flags)
{
	return bus1_pool_call(pair->pool, msg, request, NULL, NULL, deadline,
			      flags | BUS1_POOL_OVERTAKE);
}

static int echo_one(struct bus1_pool *pool, struct pair *pair, uint64_t id,
		    const void *data, size_t n, struct bus1_msg *msg)
{
	struct iovec vec = { (void *)data, n };
	struct bus1_request request = request_of(pair, id);

	request.payload.vecs = &vec;
	request.payload.n_vecs = 1;
	request.reply_max_bytes = n;
	return bus1_pool_call(pool, msg, &request, NULL, NULL, 0,
			      BUS1_POOL_OVERTAKE | BUS1_RECV_RELEASE);
}

static void end_echo(struct pair *pair, pthread_t thread)
{
	REQUIRE(!bus1_peer_disconnect(pair->server, 0));
	pthread_join(thread, NULL);
}

static void gives_the_reply(void)
{
	struct pair pair = pair_new();
	pthread_t thread = start(echo, &pair);
	struct bus1_msg msg = BUS1_MSG_INIT;
	uint32_t i;

	for (i = 0; i < 1000; i++) {
		EXPECT(!echo_one(pair.pool, &pair, 16, &i, sizeof(i), &msg));
		EXPECT(msg.type == BUS1_MSG_DATA && msg.destination == 16);
		EXPECT(msg.n_bytes == sizeof(i));
		EXPECT(!memcmp(msg.payload, &i, sizeof(i)));
		EXPECT(info_of(pair.client).used_slices == 0);
	}
	EXPECT(info_of(pair.server).n_received == 1000);
	EXPECT(info_of(pair.server).used_slices == 0);
	end_echo(&pair, thread);
	pair_free(&pair);
}

/* From one mapping to the next, with what was mapped before kept as it was. */
static void grows_in_the_middle(void)
{
	static char data[9 * MIB];
	struct pair pair = pair_new();
	pthread_t thread = start(echo, &pair);
	struct bus1_msg small = BUS1_MSG_INIT, msg = BUS1_MSG_INIT;
	const char *where;
	size_t n;

	memset(data, 'x', sizeof(data));
	EXPECT(!echo_one(pair.pool, &pair, 16, "text", 5, &small));
	where = small.payload;
	for (n = MIB; n <= sizeof(data) / 2; n *= 2) {
		EXPECT(!echo_one(pair.pool, &pair, 16, data, n + 5, &msg));
		EXPECT(msg.n_bytes == n + 5);
		EXPECT(!memcmp(msg.payload, data, n + 5));
	}
	EXPECT(small.payload == where && is_text(&small, "text"));
	EXPECT(info_of(pair.server).n_received == info_of(pair.client).n_sent);
	EXPECT(info_of(pair.server).n_received == 4);
	end_echo(&pair, thread);
	pair_free(&pair);
}

/* The number of requests that the server has, and a reply to the first of them. */
static uint64_t n_requests(const struct pair *pair)
{
	return info_of(pair->server).n_queued + info_of(pair->server).n_received;
}

static void fails_and_stands(struct pair *pair, unsigned int flags,
			     uint64_t deadline, int error)
{
	struct bus1_request request = request_of(pair, 16);
	struct bus1_msg msg = { .type = 77, .offset = 4096 };

	EXPECT_ERRNO(call(pair, &msg, &request, deadline, flags), error);
	EXPECT(msg.type == BUS1_MSG_NONE && msg.destination == 16);
	EXPECT(msg.offset == BUS1_OFFSET_INVALID);
	EXPECT(n_requests(pair) == 1);
	EXPECT_ERRNO(fetch(pair, &msg, 16), EAGAIN);
	EXPECT(!answer(pair, "late"));
	EXPECT(!fetch(pair, &msg, 16));
	EXPECT(is_text(&msg, "late"));
	EXPECT_ERRNO(fetch(pair, &msg, 16), ENXIO);
}

static void deadline_ends_the_wait(void)
{
	struct pair pair = pair_new();

	fails_and_stands(&pair, 0, 1, ETIMEDOUT);
	pair_free(&pair);
}

static void deadline_is_not_early(void)
{
	struct pair pair = pair_new();
	struct bus1_request request = request_of(&pair, 16);
	uint64_t deadline = now() + SECOND / 30;
	struct bus1_msg msg;

	EXPECT_ERRNO(call(&pair, &msg, &request, deadline, 0), ETIMEDOUT);
	EXPECT(now() >= deadline);
	EXPECT(n_requests(&pair) == 1);
	pair_free(&pair);
}

static void nonblock_does_not_wait(void)
{
	struct pair pair = pair_new();

	fails_and_stands(&pair, BUS1_RECV_NONBLOCK, 0, EAGAIN);
	pair_free(&pair);
}

static void cancelled_after_the_deadline(void)
{
	struct pair pair = pair_new();
	struct bus1_request request = request_of(&pair, 16);
	struct bus1_msg msg;

	EXPECT_ERRNO(call(&pair, &msg, &request, 1, 0), ETIMEDOUT);
	EXPECT(!bus1_node_destroy(pair.client, &msg.destination, 1, 0));
	EXPECT_ERRNO(answer(&pair, "late"), EHOSTUNREACH);
	EXPECT_ERRNO(take(&pair, &msg), EAGAIN);
	pair_free(&pair);
}

struct caller {
	struct pair *pair;
	int tid;
	int r;
	int error;
	struct bus1_msg msg;
};

static void *call_once(void *data)
{
	struct caller *caller = data;
	struct bus1_request request = request_of(caller->pair, 16);

	say_tid(&caller->tid);
	caller->r = call(caller->pair, &caller->msg, &request, 0, 0);
	caller->error = errno;
	return NULL;
}

static void on_signal(int number)
{
	(void)number;
}

/* SA_RESTART or not: the request went out, and a restart would send it again. */
static void interrupt_with(int flags)
{
	struct pair pair = pair_new();
	struct caller caller = { .pair = &pair };
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = flags };
	struct bus1_msg msg;
	pthread_t thread;

	REQUIRE(!sigaction(SIGUSR1, &action, NULL));
	thread = start(call_once, &caller);
	wait_until_asleep(&caller.tid);
	pthread_kill(thread, SIGUSR1);
	pthread_join(thread, NULL);
	EXPECT(caller.r == -1 && caller.error == EINTR);
	EXPECT(caller.msg.type == BUS1_MSG_NONE && caller.msg.destination == 16);
	EXPECT(n_requests(&pair) == 1);
	EXPECT(!answer(&pair, "late"));
	EXPECT(!fetch(&pair, &msg, 16));
	EXPECT(is_text(&msg, "late"));
	pair_free(&pair);
}

static void signal_ends_the_wait(void)
{
	interrupt_with(0);
}

static void signal_does_not_send_again(void)
{
	interrupt_with(SA_RESTART);
}

static void drop_is_the_answer(void)
{
	struct pair pair = pair_new();
	struct caller caller = { .pair = &pair };
	struct bus1_msg msg;
	pthread_t thread = start(call_once, &caller);

	wait_until_asleep(&caller.tid);
	EXPECT(!take_at(&pair, &msg));
	EXPECT(!bus1_msg_discard(pair.at, &msg));
	pthread_join(thread, NULL);
	EXPECT(!caller.r && caller.msg.type == BUS1_MSG_REPLY_DROPPED);
	EXPECT(caller.msg.destination == 16);
	pair_free(&pair);
}

static void server_that_dies_is_a_drop(void)
{
	struct pair pair = pair_new();
	struct caller caller = { .pair = &pair };
	pthread_t thread = start(call_once, &caller);

	wait_until_asleep(&caller.tid);
	bus1_pool_free(pair.at);
	pair.at = NULL;
	close(pair.server);
	pthread_join(thread, NULL);
	EXPECT(!caller.r && caller.msg.type == BUS1_MSG_REPLY_DROPPED);
	pair.server = -1;
	pair_free(&pair);
}

/* Nothing is sent, and what was to be released is not. */
static void what_is_not_sent(void)
{
	struct pair pair = pair_new();
	struct bus1_request request = request_of(&pair, 16);
	struct bus1_msg msg, held;

	EXPECT(!signal_client(&pair, 1, 300));
	EXPECT(!take(&pair, &held));
	msg = held;
	EXPECT_ERRNO(bus1_pool_call(pair.pool, &msg, &request, NULL, NULL, 0, 0),
		     EINVAL);
	EXPECT(msg.type == BUS1_MSG_NONE);
	EXPECT(msg.destination == BUS1_HANDLE_INVALID);
	EXPECT_ERRNO(call(&pair, &msg, &request, 0, BUS1_RECV_SEED), EINVAL);
	EXPECT_ERRNO(call(&pair, &msg, &request, 0, BUS1_RECV_REPLY), EINVAL);
	request.destination = 24;
	msg = held;
	EXPECT_ERRNO(call(&pair, &msg, &request, 0, BUS1_RECV_RELEASE), ENXIO);
	EXPECT(msg.destination == BUS1_HANDLE_INVALID);
	EXPECT(msg.offset == held.offset);
	EXPECT(info_of(pair.client).used_slices == 1);
	request.destination = pair.to;
	msg.offset = 8 * MIB;
	EXPECT_ERRNO(call(&pair, &msg, &request, 0, BUS1_RECV_RELEASE), ENXIO);
	EXPECT(msg.destination == BUS1_HANDLE_INVALID);
	EXPECT(n_requests(&pair) == 0);
	EXPECT(!bus1_peer_disconnect(pair.server, 0));
	EXPECT_ERRNO(call(&pair, &msg, &request, 0, 0), EHOSTUNREACH);
	EXPECT(msg.destination == BUS1_HANDLE_INVALID);
	pair_free(&pair);
}

#define THREADS 64
#define SERVERS 2
#define CALLS 50

struct thread {
	struct pair *pair;
	pthread_t thread;
	uint64_t id;
	unsigned int n_wrong;
};

static void *call_often(void *data)
{
	struct thread *thread = data;
	struct bus1_pool *pool = bus1_pool_new(thread->pair->client);
	struct bus1_msg msg = BUS1_MSG_INIT;
	uint64_t words[2] = { thread->id };

	REQUIRE(pool);
	for (words[1] = 0; words[1] < CALLS; words[1]++)
		if (echo_one(pool, thread->pair, thread->id, words,
			     sizeof(words), &msg) ||
		    msg.type != BUS1_MSG_DATA ||
		    msg.destination != thread->id ||
		    memcmp(msg.payload, words, sizeof(words)))
			thread->n_wrong++;
	bus1_msg_release(pool, &msg);
	bus1_pool_free(pool);
	return NULL;
}

static void threads_get_their_own_replies(void)
{
	struct pair pair = pair_new();
	struct thread threads[THREADS];
	pthread_t servers[SERVERS];
	unsigned int i, n_wrong = 0;

	for (i = 0; i < SERVERS; i++)
		servers[i] = start(echo, &pair);
	for (i = 0; i < THREADS; i++) {
		threads[i] = (struct thread){ .pair = &pair, .id = 16 + 8 * i };
		threads[i].thread = start(call_often, &threads[i]);
	}
	for (i = 0; i < THREADS; i++) {
		pthread_join(threads[i].thread, NULL);
		n_wrong += threads[i].n_wrong;
	}
	EXPECT(!n_wrong);
	EXPECT(info_of(pair.client).used_slices == 0);
	EXPECT(info_of(pair.client).n_queued == 0);
	EXPECT(info_of(pair.server).n_received == THREADS * CALLS);
	REQUIRE(!bus1_peer_disconnect(pair.server, 0));
	for (i = 0; i < SERVERS; i++)
		pthread_join(servers[i], NULL);
	pair_free(&pair);
}

static int next(struct pair *pair, struct bus1_msg *msg, const char *text)
{
	struct iovec vec = { (void *)text, text ? strlen(text) + 1 : 0 };
	struct bus1_payload payload = { .vecs = &vec, .n_vecs = 1 };

	return bus1_pool_reply_recv(pair->at, msg, &payload, 0,
				    BUS1_RECV_NONBLOCK);
}

static void server_replies_and_goes_on(void)
{
	struct pair pair = pair_new();
	struct bus1_msg msg = BUS1_MSG_INIT;

	EXPECT(!ask(&pair, 16) && !ask(&pair, 24));
	EXPECT(!bus1_send(pair.client, &pair.to, 1, NULL, 0, NULL, 0, NULL, 0,
			  0));
	EXPECT(!ask(&pair, 32));
	EXPECT(!next(&pair, &msg, "nobody asked"));
	EXPECT(info_of(pair.client).n_queued == 0);
	EXPECT(!next(&pair, &msg, "one"));
	EXPECT(info_of(pair.server).used_slices == 2);
	EXPECT(!next(&pair, &msg, "two"));
	EXPECT(msg.reply == BUS1_HANDLE_INVALID);
	EXPECT(!next(&pair, &msg, "nobody asked"));
	EXPECT_ERRNO(next(&pair, &msg, "three"), EAGAIN);
	EXPECT(msg.type == BUS1_MSG_NONE && msg.reply == BUS1_HANDLE_INVALID);
	EXPECT(msg.offset == BUS1_OFFSET_INVALID);
	EXPECT(info_of(pair.server).used_slices == 0);
	EXPECT_ERRNO(next(&pair, &msg, "nobody asked"), EAGAIN);
	EXPECT(info_of(pair.client).n_queued == 3);
	EXPECT(!fetch(&pair, &msg, 16) && is_text(&msg, "one"));
	EXPECT(!fetch(&pair, &msg, 24) && is_text(&msg, "two"));
	EXPECT(!fetch(&pair, &msg, 32) && is_text(&msg, "three"));
	pair_free(&pair);
}

static void server_replies_with_nothing(void)
{
	struct pair pair = pair_new();
	struct bus1_msg msg = BUS1_MSG_INIT;

	EXPECT(!ask(&pair, 16));
	EXPECT(!next(&pair, &msg, NULL));
	EXPECT_ERRNO(bus1_pool_reply_recv(pair.at, &msg, NULL, 1, 0),
		     ETIMEDOUT);
	EXPECT(!fetch(&pair, &msg, 16));
	EXPECT(msg.type == BUS1_MSG_DATA && !msg.n_bytes);
	pair_free(&pair);
}

static void server_replies_from_the_request(void)
{
	struct pair pair = pair_new();
	struct bus1_request request = request_of(&pair, 16);
	struct iovec vec = { (void *)"question", 9 };
	struct bus1_msg msg = BUS1_MSG_INIT;

	request.payload.vecs = &vec;
	request.payload.n_vecs = 1;
	EXPECT(!bus1_send_request(pair.client, &request, 0));
	EXPECT(!next(&pair, &msg, NULL));
	EXPECT_ERRNO(next(&pair, &msg, msg.payload), EAGAIN);
	EXPECT(info_of(pair.server).used_slices == 0);
	EXPECT(!fetch(&pair, &msg, 16));
	EXPECT(is_text(&msg, "question"));
	pair_free(&pair);
}

static void reply_that_is_too_long_is_kept(void)
{
	struct pair pair = pair_new();
	struct bus1_request request = request_of(&pair, 16);
	struct bus1_msg msg = BUS1_MSG_INIT, before;

	request.reply_max_bytes = 5;
	EXPECT(!bus1_send_request(pair.client, &request, 0));
	EXPECT(!ask(&pair, 24));
	EXPECT(!next(&pair, &msg, NULL));
	before = msg;
	EXPECT_ERRNO(next(&pair, &msg, "too long"), EMSGSIZE);
	EXPECT(!memcmp(&before, &msg, sizeof(msg)));
	EXPECT(info_of(pair.server).n_queued == 1);
	EXPECT(!next(&pair, &msg, "fits"));
	EXPECT(msg.reply != BUS1_HANDLE_INVALID && msg.reply != before.reply);
	EXPECT(!fetch(&pair, &before, 16));
	EXPECT(is_text(&before, "fits"));
	pair_free(&pair);
}

static void requester_that_is_gone(void)
{
	struct pair pair = pair_new();
	struct bus1_msg msg = BUS1_MSG_INIT;
	uint64_t id = 16;

	EXPECT(!ask(&pair, 16) && !ask(&pair, 24));
	EXPECT(!next(&pair, &msg, NULL));
	EXPECT(!bus1_node_destroy(pair.client, &id, 1, 0));
	EXPECT_ERRNO(next(&pair, &msg, "late"), EHOSTUNREACH);
	EXPECT(msg.reply != BUS1_HANDLE_INVALID);
	EXPECT(msg.type == BUS1_MSG_DATA);
	EXPECT(!bus1_msg_discard(pair.at, &msg));
	EXPECT(!next(&pair, &msg, "nobody asked"));
	EXPECT(msg.type == BUS1_MSG_DATA);
	EXPECT_ERRNO(next(&pair, &msg, "two"), EAGAIN);
	EXPECT(!fetch(&pair, &msg, 24) && is_text(&msg, "two"));
	pair_free(&pair);
}

/* The reply goes out once although the next request is received in two steps. */
static void server_grows_in_the_middle(void)
{
	static char data[3 * MIB];
	struct pair pair = pair_new();
	struct bus1_request request = request_of(&pair, 24);
	struct iovec vec = { data, sizeof(data) };
	struct bus1_msg msg = BUS1_MSG_INIT;

	memset(data, 'y', sizeof(data));
	request.payload.vecs = &vec;
	request.payload.n_vecs = 1;
	EXPECT(!ask(&pair, 16));
	EXPECT(!bus1_send_request(pair.client, &request, 0));
	EXPECT(!next(&pair, &msg, NULL));
	EXPECT(!next(&pair, &msg, "one"));
	EXPECT(msg.n_bytes == sizeof(data));
	EXPECT(!memcmp(msg.payload, data, sizeof(data)));
	EXPECT(info_of(pair.client).n_queued == 1);
	EXPECT_ERRNO(next(&pair, &msg, "two"), EAGAIN);
	EXPECT(!fetch(&pair, &msg, 16) && is_text(&msg, "one"));
	EXPECT(!fetch(&pair, &msg, 24) && is_text(&msg, "two"));
	pair_free(&pair);
}

static void server_whose_peer_has_ended(void)
{
	struct pair pair = pair_new();
	struct bus1_msg msg = BUS1_MSG_INIT;

	EXPECT(!ask(&pair, 16));
	EXPECT(!next(&pair, &msg, NULL));
	EXPECT(!bus1_peer_disconnect(pair.server, 0));
	EXPECT_ERRNO(next(&pair, &msg, "x"), ESHUTDOWN);
	EXPECT(msg.reply != BUS1_HANDLE_INVALID);
	pair_free(&pair);
}

static uint64_t pointer(const void *p)
{
	return (uintptr_t)p;
}

/* The bare call hands over both structs, all of its flags, and the error. */
static void bare_call_passes_everything(void)
{
	struct pair pair = pair_new();
	struct iovec vec = { (void *)"text", 5 };
	uint64_t handle = 80 | NEW;
	struct bus1_send_args send = {
		.ptr_destinations = pointer(&pair.to), .n_destinations = 1,
		.ptr_vecs = pointer(&vec), .n_vecs = 1,
		.ptr_handles = pointer(&handle), .n_handles = 1,
		.reply_id = 16, .reply_max_bytes = 64,
	};
	struct bus1_recv_args recv = { .deadline = 1, .max_offset = MIB };
	struct bus1_msg msg;

	EXPECT_ERRNO(bus1_call(-1, &send, &recv, 0), EBADF);
	EXPECT_ERRNO(bus1_call(pair.client, &send, &recv,
			       BUS1_CALL(BUS1_SEND_SEED, 0)), EINVAL);
	EXPECT_ERRNO(bus1_call(pair.client, &send, &recv,
			       BUS1_CALL(0x8000, 0x8000)), EINVAL);
	EXPECT(n_requests(&pair) == 0);
	EXPECT(!bus1_call(pair.client, &send, &recv,
			  BUS1_CALL(BUS1_SEND_REPLY | BUS1_SEND_HANDLES, 0)));
	EXPECT(recv.error == -ETIMEDOUT && recv.type == BUS1_MSG_NONE);
	EXPECT(!take_at(&pair, &msg));
	EXPECT(is_text(&msg, "text") && msg.n_handles == 1);

	recv = (struct bus1_recv_args){ .release = msg.offset };
	send = (struct bus1_send_args){
		.ptr_destinations = pointer(&msg.reply), .n_destinations = 1,
		.ptr_vecs = pointer(&vec), .n_vecs = 1,
	};
	EXPECT(!bus1_call(pair.server, &send, &recv,
			  BUS1_CALL(0, BUS1_RECV_NONBLOCK | BUS1_RECV_RELEASE)));
	EXPECT(recv.error == -EAGAIN && recv.release == BUS1_OFFSET_INVALID);
	EXPECT(info_of(pair.server).used_slices == 0);

	recv = (struct bus1_recv_args){ .max_offset = MIB, .reply_id = 16 };
	EXPECT(!bus1_recv(pair.client, &recv,
			  BUS1_RECV_REPLY | BUS1_RECV_NONBLOCK));
	EXPECT(recv.type == BUS1_MSG_DATA && recv.destination == 16 &&
	       recv.n_bytes == 5 && recv.reply == BUS1_HANDLE_INVALID);
	pair_free(&pair);
}

static const struct tap_test tests[] = {
	{ "call.gives_the_reply", gives_the_reply },
	{ "call.grows_in_the_middle", grows_in_the_middle },
	{ "call.deadline_ends_the_wait", deadline_ends_the_wait },
	{ "call.deadline_is_not_early", deadline_is_not_early },
	{ "call.nonblock_does_not_wait", nonblock_does_not_wait },
	{ "call.cancelled_after_the_deadline", cancelled_after_the_deadline },
	{ "call.signal_ends_the_wait", signal_ends_the_wait },
	{ "call.signal_does_not_send_again", signal_does_not_send_again },
	{ "call.drop_is_the_answer", drop_is_the_answer },
	{ "call.server_that_dies_is_a_drop", server_that_dies_is_a_drop },
	{ "call.what_is_not_sent", what_is_not_sent },
	{ "call.threads_get_their_own_replies", threads_get_their_own_replies },
	{ "call.server_replies_and_goes_on", server_replies_and_goes_on },
	{ "call.server_replies_with_nothing", server_replies_with_nothing },
	{ "call.server_replies_from_the_request",
	  server_replies_from_the_request },
	{ "call.reply_that_is_too_long_is_kept", reply_that_is_too_long_is_kept },
	{ "call.requester_that_is_gone", requester_that_is_gone },
	{ "call.server_grows_in_the_middle", server_grows_in_the_middle },
	{ "call.server_whose_peer_has_ended", server_whose_peer_has_ended },
	{ "call.bare_call_passes_everything", bare_call_passes_everything },
};

int main(void)
{
	REQUIRE(bus1_supported());
	return TAP_RUN(tests);
}
