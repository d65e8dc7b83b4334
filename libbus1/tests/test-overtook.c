// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* What was sent before a reply is seen before the reply, by default. */
#include <fcntl.h>
#include <sys/resource.h>
#include "server.h"

#define MAX_SEEN 64

/* What the function was called with. It does @act with each, and ends at @stop. */
struct seen {
	unsigned int n;
	unsigned int stop;
	uint64_t types[MAX_SEEN];
	uint32_t numbers[MAX_SEEN];
	void (*act)(struct bus1_pool *pool, struct seen *seen);
};

static int note(struct bus1_pool *pool, struct bus1_msg *msg, void *context)
{
	struct seen *seen = context;
	unsigned int i = seen->n++;

	REQUIRE(i < MAX_SEEN);
	seen->types[i] = msg->type;
	seen->numbers[i] = 0;
	if (msg->n_bytes >= sizeof(uint32_t))
		memcpy(&seen->numbers[i], msg->payload, sizeof(uint32_t));
	REQUIRE(!bus1_msg_discard(pool, msg));
	if (seen->act)
		seen->act(pool, seen);
	return seen->n == seen->stop;
}

static int in_order(const struct seen *seen, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < seen->n; i++)
		if (seen->types[i] != BUS1_MSG_DATA || seen->numbers[i] != i + 1)
			return 0;
	return seen->n == n;
}

/* A request, signals 1 to @n, and the reply. */
static void signals_and_reply(struct pair *pair, uint64_t id, uint32_t n,
			      size_t size)
{
	struct bus1_msg msg;
	uint32_t i;

	REQUIRE(!ask(pair, id));
	REQUIRE(!take_at(pair, &msg));
	for (i = 1; i <= n; i++)
		REQUIRE(!signal_client(pair, i, size));
	REQUIRE(!reply_with(pair, &msg, "reply", 6));
	REQUIRE(!bus1_msg_discard(pair->at, &msg));
}

static int fetch_after(struct pair *pair, struct bus1_msg *msg, uint64_t id,
		       struct seen *seen, unsigned int flags)
{
	return bus1_pool_wait_reply(pair->pool, msg, id, note, seen, 0,
				    flags | BUS1_RECV_NONBLOCK);
}

static int overtook(const struct bus1_msg *msg)
{
	return !!(msg->flags & BUS1_MSG_FLAG_OVERTOOK);
}

static void earlier_ones_come_first(void)
{
	struct pair pair = pair_new();
	struct seen seen = { 0 };
	struct bus1_msg msg;

	signals_and_reply(&pair, 16, 5, 8);
	EXPECT(!fetch_after(&pair, &msg, 16, &seen, 0));
	EXPECT(in_order(&seen, 5));
	EXPECT(is_text(&msg, "reply") && !overtook(&msg));
	EXPECT(info_of(pair.client).n_queued == 0);
	pair_free(&pair);
}

static void flag_leaves_them_in_the_queue(void)
{
	struct pair pair = pair_new();
	struct seen seen = { 0 };
	struct bus1_msg msg;
	uint32_t i, number;

	signals_and_reply(&pair, 16, 5, 8);
	EXPECT(!fetch_after(&pair, &msg, 16, &seen, BUS1_POOL_OVERTAKE));
	EXPECT(is_text(&msg, "reply") && overtook(&msg) && !seen.n);
	for (i = 1; i <= 5; i++) {
		EXPECT(!take(&pair, &msg));
		memcpy(&number, msg.payload, sizeof(number));
		EXPECT(msg.destination == 8 && number == i);
	}
	EXPECT_ERRNO(take(&pair, &msg), EAGAIN);
	pair_free(&pair);
}

static void nothing_overtaken_is_nothing_called(void)
{
	struct pair pair = pair_new();
	struct seen seen = { 0 };
	struct bus1_msg msg;

	signals_and_reply(&pair, 16, 0, 8);
	EXPECT(!signal_client(&pair, 1, 8));
	EXPECT(!fetch_after(&pair, &msg, 16, &seen, 0));
	EXPECT(is_text(&msg, "reply") && !overtook(&msg) && !seen.n);
	EXPECT(info_of(pair.client).n_queued == 1);
	pair_free(&pair);
}

static void later_ones_stay(void)
{
	struct pair pair = pair_new();
	struct seen seen = { 0 };
	struct bus1_msg msg;

	signals_and_reply(&pair, 16, 3, 8);
	EXPECT(!signal_client(&pair, 4, 8));
	EXPECT(!signal_client(&pair, 5, 8));
	EXPECT(!fetch_after(&pair, &msg, 16, &seen, 0));
	EXPECT(in_order(&seen, 3));
	EXPECT(is_text(&msg, "reply") && !overtook(&msg));
	EXPECT(info_of(pair.client).n_queued == 2);
	pair_free(&pair);
}

static void some_were_received_before(void)
{
	struct pair pair = pair_new();
	struct seen seen = { .n = 2, .types = { BUS1_MSG_DATA, BUS1_MSG_DATA },
			     .numbers = { 1, 2 } };
	struct bus1_msg msg;

	signals_and_reply(&pair, 16, 5, 8);
	EXPECT(!signal_client(&pair, 6, 8));
	EXPECT(!take(&pair, &msg) && !take(&pair, &msg));
	EXPECT(!fetch_after(&pair, &msg, 16, &seen, 0));
	EXPECT(in_order(&seen, 5));
	EXPECT(is_text(&msg, "reply") && !overtook(&msg));
	EXPECT(info_of(pair.client).n_queued == 1);
	pair_free(&pair);
}

static void function_can_end_it(void)
{
	struct pair pair = pair_new();
	struct seen seen = { .stop = 2 };
	struct bus1_msg msg;
	uint32_t number;

	signals_and_reply(&pair, 16, 5, 8);
	EXPECT(!fetch_after(&pair, &msg, 16, &seen, 0));
	EXPECT(in_order(&seen, 2));
	EXPECT(is_text(&msg, "reply") && overtook(&msg));
	EXPECT(info_of(pair.client).n_queued == 3);
	EXPECT(!take(&pair, &msg));
	memcpy(&number, msg.payload, sizeof(number));
	EXPECT(number == 3);
	pair_free(&pair);
}

static struct pair *nested_pair;
static struct bus1_msg nested_reply;

/* With the first one: another call, which hands over what is left. */
static void wait_for_another(struct bus1_pool *pool, struct seen *seen)
{
	if (seen->n == 1)
		REQUIRE(!bus1_pool_wait_reply(pool, &nested_reply, 24, note,
					      seen, 0, BUS1_RECV_NONBLOCK));
}

static void function_can_call(void)
{
	struct pair pair = pair_new();
	struct seen seen = { .act = wait_for_another };
	struct bus1_msg msg, request;
	uint32_t i;

	nested_pair = &pair;
	EXPECT(!ask(&pair, 16) && !ask(&pair, 24));
	for (i = 1; i <= 5; i++)
		EXPECT(!signal_client(&pair, i, 8));
	EXPECT(!take_at(&pair, &request));
	EXPECT(!reply_with(&pair, &request, "outer", 6));
	EXPECT(!take_at(&pair, &request));
	EXPECT(!reply_with(&pair, &request, "inner", 6));
	EXPECT(!fetch_after(&pair, &msg, 16, &seen, 0));
	EXPECT(in_order(&seen, 5));
	EXPECT(is_text(&msg, "outer") && !overtook(&msg));
	EXPECT(is_text(&nested_reply, "inner") && !overtook(&nested_reply));
	EXPECT(info_of(pair.client).n_queued == 0);
	pair_free(&pair);
}

/* With the second one: takes two by itself, in their place. */
static void take_two(struct bus1_pool *pool, struct seen *seen)
{
	struct bus1_msg msg;
	int i;

	for (i = 0; seen->n == 2 && i < 2; i++) {
		REQUIRE(!bus1_pool_recv(pool, &msg, 0, BUS1_RECV_NONBLOCK));
		seen->types[seen->n + i] = msg.type;
		memcpy(&seen->numbers[seen->n + i], msg.payload,
		       sizeof(uint32_t));
		REQUIRE(!bus1_msg_discard(pool, &msg));
	}
	if (seen->n == 2)
		seen->n += 2;
}

static void function_can_receive(void)
{
	struct pair pair = pair_new();
	struct seen seen = { .act = take_two };
	struct bus1_msg msg;

	signals_and_reply(&pair, 16, 6, 8);
	EXPECT(!fetch_after(&pair, &msg, 16, &seen, 0));
	EXPECT(in_order(&seen, 6));
	EXPECT(is_text(&msg, "reply") && !overtook(&msg));
	pair_free(&pair);
}

static void notices_are_handed_over(void)
{
	struct pair pair = pair_new();
	struct seen seen = { 0 };
	struct bus1_msg msg, request;
	uint64_t node = 8;

	EXPECT(!ask(&pair, 16));
	EXPECT(!take_at(&pair, &request));
	EXPECT(!signal_client(&pair, 1, 8));
	EXPECT(!bus1_node_destroy(pair.server, &node, 1, 0));
	EXPECT(!bus1_handle_release(pair.server, &pair.back, 1, 0));
	EXPECT(!reply_with(&pair, &request, "reply", 6));
	EXPECT(!fetch_after(&pair, &msg, 16, &seen, 0));
	EXPECT(seen.n == 3);
	EXPECT(seen.types[0] == BUS1_MSG_DATA && seen.numbers[0] == 1);
	EXPECT(seen.types[1] == BUS1_MSG_NODE_DESTROY);
	EXPECT(seen.types[2] == BUS1_MSG_NODE_RELEASE);
	EXPECT(is_text(&msg, "reply") && !overtook(&msg));
	pair_free(&pair);
}

/*
 * The message carries a handle whose node is dead by then. Discarding it lets
 * go of the handle and takes the notice, which was counted, off the queue.
 */
static void notice_that_is_withdrawn(void)
{
	struct pair pair = pair_new();
	struct seen seen = { 0 };
	struct bus1_msg msg, request;
	uint64_t node = 80 | NEW;

	EXPECT(!ask(&pair, 16));
	EXPECT(!take_at(&pair, &request));
	EXPECT(!bus1_send(pair.server, &pair.back, 1, NULL, 0, &node, 1, NULL,
			  0, 0));
	node = 80;
	EXPECT(!bus1_node_destroy(pair.server, &node, 1, 0));
	EXPECT(!reply_with(&pair, &request, "reply", 6));
	EXPECT(info_of(pair.client).n_queued == 3);
	EXPECT(!fetch_after(&pair, &msg, 16, &seen, 0));
	EXPECT(seen.n == 1 && seen.types[0] == BUS1_MSG_DATA);
	EXPECT(is_text(&msg, "reply") && !overtook(&msg));
	EXPECT(info_of(pair.client).n_queued == 0);
	pair_free(&pair);
}

static void other_replies_are_handed_over(void)
{
	struct pair pair = pair_new();
	struct seen seen = { 0 };
	struct bus1_msg msg;

	EXPECT(!ask(&pair, 16) && !ask(&pair, 24) && !ask(&pair, 32));
	EXPECT(!answer(&pair, "one"));
	EXPECT(!take_at(&pair, &msg));
	EXPECT(!bus1_msg_discard(pair.at, &msg));
	EXPECT(!answer(&pair, "three"));
	EXPECT(!fetch_after(&pair, &msg, 32, &seen, 0));
	EXPECT(seen.n == 2 && seen.types[0] == BUS1_MSG_DATA);
	EXPECT(seen.types[1] == BUS1_MSG_REPLY_DROPPED);
	EXPECT(is_text(&msg, "three") && !overtook(&msg));
	pair_free(&pair);
}

/* The pool grows while the reply is held: it stays where it is. */
static void earlier_ones_can_be_long(void)
{
	struct pair pair = pair_new();
	struct seen seen = { 0 };
	struct bus1_msg msg;

	signals_and_reply(&pair, 16, 4, 3 * MIB / 2);
	EXPECT(!fetch_after(&pair, &msg, 16, &seen, 0));
	EXPECT(in_order(&seen, 4));
	EXPECT(is_text(&msg, "reply") && !overtook(&msg));
	EXPECT(info_of(pair.client).used_slices == 0);
	pair_free(&pair);
}

/* One that cannot be received stays, and the reply is the caller's. */
static void one_that_cannot_be_received(void)
{
	struct pair pair = pair_new();
	struct seen seen = { 0 };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct rlimit old, small;
	struct bus1_msg msg;
	int r;

	EXPECT(!bus1_send(pair.server, &pair.back, 1, NULL, 0, NULL, 0, &null,
			  1, 0));
	signals_and_reply(&pair, 16, 1, 8);
	REQUIRE(!getrlimit(RLIMIT_NOFILE, &old));
	small = old;
	small.rlim_cur = null + 1;
	REQUIRE(!setrlimit(RLIMIT_NOFILE, &small));
	r = fetch_after(&pair, &msg, 16, &seen, BUS1_RECV_INSTALL_FDS);
	REQUIRE(!setrlimit(RLIMIT_NOFILE, &old));
	EXPECT(!r && !seen.n);
	EXPECT(is_text(&msg, "reply") && overtook(&msg));
	EXPECT(info_of(pair.client).n_queued == 2);
	close(null);
	pair_free(&pair);
}

/* A server thread: three signals, whose numbers go on, and then the reply. */
static void *signal_and_echo(void *data)
{
	struct pair *pair = data;
	struct bus1_msg msg = BUS1_MSG_INIT;
	uint32_t number = 0;
	int i;

	while (!bus1_pool_reply_recv(pair->at, &msg, NULL, 0, 0))
		for (i = 0; i < 3; i++)
			REQUIRE(!signal_client(pair, ++number, 8));
	REQUIRE(errno == ESHUTDOWN);
	return NULL;
}

static void signals_are_seen_before_the_call_returns(void)
{
	struct pair pair = pair_new();
	struct bus1_request request = request_of(&pair, 16);
	pthread_t thread = start(signal_and_echo, &pair);
	struct bus1_msg msg = BUS1_MSG_INIT;
	struct seen seen = { 0 };
	unsigned int i, n_wrong = 0;

	for (i = 0; i < MAX_SEEN / 3; i++) {
		EXPECT(!bus1_pool_call(pair.pool, &msg, &request, note, &seen,
				       0, BUS1_RECV_RELEASE));
		EXPECT(msg.type == BUS1_MSG_DATA && !overtook(&msg));
		n_wrong += seen.n != 3 * (i + 1);
	}
	EXPECT(!n_wrong);
	EXPECT(in_order(&seen, MAX_SEEN / 3 * 3));
	EXPECT(!bus1_peer_disconnect(pair.server, 0));
	pthread_join(thread, NULL);
	pair_free(&pair);
}

/*
 * Another peer tells the server, others, and the client at once, in one
 * multicast; the server replies when it was told, while the multicast may still
 * be on its way to the client. The client is told before it sees the reply.
 */
#define OTHERS 100
#define TOLD 300

struct teller {
	int peer;
	int others[OTHERS];
	uint64_t to[OTHERS + 2];
};

static void *tell(void *data)
{
	struct teller *teller = data;
	uint32_t number;
	struct iovec vec = { &number, sizeof(number) };

	for (number = 1; number <= TOLD; number++)
		REQUIRE(!bus1_send(teller->peer, teller->to, OTHERS + 2, &vec, 1,
				   NULL, 0, NULL, 0, 0));
	return NULL;
}

static void make_teller(struct teller *teller, const struct pair *pair)
{
	uint64_t node = 8, new = 8 | NEW;
	int i;

	teller->peer = bus1_open(0);
	REQUIRE(!bus1_handle_transfer(pair->server, teller->peer, &node,
				      &teller->to[0], 1, 0));
	for (i = 0; i < OTHERS; i++) {
		teller->others[i] = bus1_open(0);
		REQUIRE(!bus1_handle_transfer(teller->others[i], teller->peer,
					      &new, &teller->to[i + 1], 1, 0));
	}
	REQUIRE(!bus1_handle_transfer(pair->client, teller->peer, &node,
				      &teller->to[OTHERS + 1], 1, 0));
}

static void end_teller(struct teller *teller)
{
	int i;

	for (i = 0; i < OTHERS; i++)
		close(teller->others[i]);
	close(teller->peer);
}

/* Replies to each request with the number that it was told last. */
static void *reply_what_was_told(void *data)
{
	struct pair *pair = data;
	struct bus1_msg msg = BUS1_MSG_INIT;
	uint32_t number = 0;
	struct iovec vec = { &number, sizeof(number) };
	struct bus1_payload payload = { .vecs = &vec, .n_vecs = 1 };

	while (!bus1_pool_reply_recv(pair->at, &msg, &payload, 0, 0))
		if (msg.n_bytes)
			memcpy(&number, msg.payload, sizeof(number));
	REQUIRE(errno == ESHUTDOWN);
	return NULL;
}

static int note_last(struct bus1_pool *pool, struct bus1_msg *msg, void *context)
{
	uint32_t *last = context;

	if (msg->n_bytes)
		memcpy(last, msg->payload, sizeof(*last));
	return bus1_msg_discard(pool, msg);
}

/* Gives how many replies were seen before what they reply to. */
static unsigned int ask_until_all_is_told(struct pair *pair)
{
	struct bus1_request request = request_of(pair, 16);
	struct bus1_msg msg = BUS1_MSG_INIT;
	uint32_t last = 0, replied = 0;
	unsigned int n_wrong = 0;

	while (replied < TOLD) {
		REQUIRE(!bus1_pool_call(pair->pool, &msg, &request, note_last,
					&last, 0, BUS1_RECV_RELEASE));
		memcpy(&replied, msg.payload, sizeof(replied));
		n_wrong += last < replied;
	}
	return n_wrong;
}

static void multicast_is_seen_before_the_reply_to_it(void)
{
	static struct teller teller;
	struct pair pair = pair_new();
	pthread_t server, told;
	unsigned int n_wrong;

	make_teller(&teller, &pair);
	server = start(reply_what_was_told, &pair);
	told = start(tell, &teller);
	n_wrong = ask_until_all_is_told(&pair);
	pthread_join(told, NULL);
	REQUIRE(!bus1_peer_disconnect(pair.server, 0));
	pthread_join(server, NULL);
	end_teller(&teller);
	pair_free(&pair);
	if (n_wrong)
		printf("# %u replies came too early\n", n_wrong);
	EXPECT(!n_wrong);
}

static const struct tap_test tests[] = {
	{ "overtook.earlier_ones_come_first", earlier_ones_come_first },
	{ "overtook.flag_leaves_them_in_the_queue",
	  flag_leaves_them_in_the_queue },
	{ "overtook.nothing_overtaken_is_nothing_called",
	  nothing_overtaken_is_nothing_called },
	{ "overtook.later_ones_stay", later_ones_stay },
	{ "overtook.some_were_received_before", some_were_received_before },
	{ "overtook.function_can_end_it", function_can_end_it },
	{ "overtook.function_can_call", function_can_call },
	{ "overtook.function_can_receive", function_can_receive },
	{ "overtook.notices_are_handed_over", notices_are_handed_over },
	{ "overtook.notice_that_is_withdrawn", notice_that_is_withdrawn },
	{ "overtook.other_replies_are_handed_over",
	  other_replies_are_handed_over },
	{ "overtook.earlier_ones_can_be_long", earlier_ones_can_be_long },
	{ "overtook.one_that_cannot_be_received", one_that_cannot_be_received },
	{ "overtook.signals_are_seen_before_the_call_returns",
	  signals_are_seen_before_the_call_returns },
	{ "overtook.multicast_is_seen_before_the_reply_to_it",
	  multicast_is_seen_before_the_reply_to_it },
};

int main(void)
{
	REQUIRE(bus1_supported());
	return TAP_RUN(tests);
}
