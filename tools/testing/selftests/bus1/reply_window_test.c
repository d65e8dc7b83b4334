// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 selftests: calls that fail while others use the same thing
 *
 * A call that fails has no effect, not even for a moment: a reply handle or a
 * slice that it was going to use up can be used, released and flushed by others
 * at any time. Two calls collide in each round, one of which is bound to fail
 * after it has copied for a while; other rounds look for wakes that get lost.
 */
#include "reply.h"

#define SIZE	(1UL << 20)
#define NODES	1000

enum side { LEFT, RIGHT, SIDES };

FIXTURE(window) {
	struct trio t;
	struct peer other;
	__u64 to_server, back, h, slice, nodes[NODES + 1], held[NODES];
	struct iovec vec;		/* its end cannot be read */
	struct start start;
	__u32 n_done, rounds;
	__u64 seed, us;
	int result[SIDES];
	struct verdict verdict;
};

struct side_job {
	struct _test_data_window *s;
	enum side side;
	int (*fn)(struct _test_data_window *s, struct rng *r);
	struct worker w;
};

FIXTURE_SETUP(window)
{
	unsigned char *data = mmap(NULL, SIZE + 4096, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, data);
	memset(data, 'x', SIZE);
	ASSERT_EQ(0, mprotect(data + SIZE, 4096, PROT_NONE));
	self->vec = (struct iovec){ data, SIZE + 8 };
	ASSERT_EQ(0, trio_open(&self->t));
	ASSERT_EQ(0, peer_open(&self->other, NULL, 0));
	self->to_server = connect_peers(self->t.server.fd, NODE,
					self->other.fd);
	self->back = connect_peers(self->t.client.fd, NODE, self->other.fd);
	self->seed = SEED();
	self->us = 300;
	self->rounds = scaled(100);
}

FIXTURE_TEARDOWN(window)
{
	peer_close(&self->other);
	trio_close(&self->t);
}

static void linger(struct rng *r, __u64 us)
{
	__u64 end = now_ns() + rng_below(r, us * 1000);

	while (now_ns() < end)
		;
}

static void *side_run(void *arg)
{
	struct side_job *j = arg;
	struct _test_data_window *s = j->s;
	struct rng r = rng_for(s->seed, j->side);
	__u32 turn;

	for (turn = 1; turn <= s->rounds; turn++) {
		start_wait(&s->start, turn);
		if (j->side == RIGHT)
			linger(&r, s->us);
		s->result[j->side] = j->fn(s, &r);
		ADD(&s->n_done, 1);
	}
	return NULL;
}

#define START(a, b)							\
	struct side_job job[SIDES] = {					\
		{ self, LEFT, a }, { self, RIGHT, b },		\
	};								\
	__u32 turn;							\
									\
	THREAD(&job[LEFT].w, side_run, &job[LEFT]);			\
	THREAD(&job[RIGHT].w, side_run, &job[RIGHT])

/* Lets both go, and waits for both. */
#define COLLIDE()							\
	do {								\
		ASSERT_TRUE(start_go(&self->start, turn, SIDES));	\
		ASSERT_TRUE(BECOMES(LOAD(&self->n_done) == SIDES));	\
		STORE(&self->n_done, 0);				\
	} while (0)

/* A failure in one round is enough. */
#define END_ROUND()							\
	do {								\
		if (_metadata->exit_code)				\
			TH_LOG("round %u: %d and %d", turn,		\
			       self->result[LEFT],			\
			       self->result[RIGHT]);			\
		ASSERT_EQ(0, _metadata->exit_code);			\
	} while (0)

#define FINISH()							\
	do {								\
		JOIN(&job[LEFT].w);					\
		JOIN(&job[RIGHT].w);					\
		EXPECT_FINE(&self->verdict);				\
	} while (0)

/* A request that the server holds. */
#define ASK()								\
	do {								\
		ASSERT_EQ(0, ask_for(self->t.client.fd,			\
				     self->t.to_server, ASKED,		\
				     2 * SIZE, 0, 0));			\
		self->h = take(&self->t.server);			\
		ASSERT_NE(INVALID, self->h);				\
	} while (0)

static int reply_badly(struct _test_data_window *s, struct rng *r)
{
	struct bus1_send_args a = {
		.ptr_destinations = to_u64(&s->h), .n_destinations = 1,
		.ptr_vecs = to_u64(&s->vec), .n_vecs = 1,
	};

	return send_args(s->t.server.fd, &a, 0);
}

static int pass_on_badly(struct _test_data_window *s, struct rng *r)
{
	struct bus1_send_args a = {
		.ptr_destinations = to_u64(&s->t.to_worker),
		.n_destinations = 1,
		.ptr_handles = to_u64(&s->h), .n_handles = 1,
		.ptr_vecs = to_u64(&s->vec), .n_vecs = 1,
	};

	return send_args(s->t.server.fd, &a, 0);
}

static int release(struct _test_data_window *s, struct rng *r)
{
	return release_one(s->t.server.fd, s->h);
}

static int reply(struct _test_data_window *s, struct rng *r)
{
	return send_bytes(s->t.server.fd, s->h, "reply", 5);
}

static int flush_server(struct _test_data_window *s, struct rng *r)
{
	return flush(s->t.server.fd);
}

/* Bound to fail, for one reason or the other. */
static bool is_failure(int err)
{
	return err == -EFAULT || err == -ENXIO;
}

TEST_F_TIMEOUT(window, of_a_reply_that_fails_lets_a_release_through, 120)
{
	START(reply_badly, release);
	for (turn = 1; turn <= self->rounds; turn++) {
		ASK();
		COLLIDE();
		EXPECT_TRUE(is_failure(self->result[LEFT]));
		EXPECT_EQ(0, self->result[RIGHT]);
		EXPECT_TRUE(next_is(&self->t.client, BUS1_MSG_REPLY_DROPPED,
				    ASKED));
		END_ROUND();
	}
	FINISH();
}

TEST_F_TIMEOUT(window, of_a_reply_that_fails_lets_another_through, 120)
{
	START(reply_badly, reply);
	for (turn = 1; turn <= self->rounds; turn++) {
		ASK();
		COLLIDE();
		EXPECT_TRUE(is_failure(self->result[LEFT]));
		EXPECT_EQ(0, self->result[RIGHT]);
		EXPECT_TRUE(next_is(&self->t.client, BUS1_MSG_DATA, ASKED));
		END_ROUND();
	}
	FINISH();
}

TEST_F_TIMEOUT(window, of_a_reply_that_fails_lets_a_flush_through, 120)
{
	START(reply_badly, flush_server);
	for (turn = 1; turn <= self->rounds; turn++) {
		ASK();
		COLLIDE();
		EXPECT_TRUE(is_failure(self->result[LEFT]));
		EXPECT_EQ(0, owed(self->t.server.fd));
		EXPECT_TRUE(peer_is_clean(self->t.server.fd));
		/* The drop, and the node that was asked. */
		EXPECT_EQ(2, drain(&self->t.client));
		EXPECT_EQ(0, awaited(self->t.client.fd));
		END_ROUND();
		release_one(self->t.client.fd, self->t.to_server);
		self->t.to_server = connect_new(self->t.server.fd, NODE,
						self->t.client.fd);
	}
	FINISH();
}

TEST_F_TIMEOUT(window, of_a_message_that_fails_lets_a_release_through, 120)
{
	START(pass_on_badly, release);
	for (turn = 1; turn <= self->rounds; turn++) {
		ASK();
		COLLIDE();
		EXPECT_TRUE(is_failure(self->result[LEFT]));
		EXPECT_EQ(0, self->result[RIGHT]);
		EXPECT_TRUE(next_is(&self->t.client, BUS1_MSG_REPLY_DROPPED,
				    ASKED));
		END_ROUND();
	}
	FINISH();
}

/* The slice that a call is to release. */

static int call_badly(struct _test_data_window *s, struct rng *r)
{
	struct bus1_recv_args recv = {
		.max_offset = POOL_MAP_SIZE, .release = s->slice,
	};
	struct bus1_send_args a = {
		.ptr_destinations = to_u64(&s->t.to_server),
		.n_destinations = 1,
		.ptr_vecs = to_u64(&s->vec), .n_vecs = 1,
	};

	return call_args(&s->t.client, &a, &recv, 0,
			 BUS1_RECV_RELEASE | BUS1_RECV_NONBLOCK);
}

static int release_slice(struct _test_data_window *s, struct rng *r)
{
	return slice_release_one(s->t.client.fd, s->slice);
}

/* Only what the seed does not pin, so that the nodes stay. */
static int flush_client(struct _test_data_window *s, struct rng *r)
{
	return sys_reset(s->t.client.fd, NULL, 0, BUS1_RESET_FLUSH);
}

#define GET_SLICE()							\
	do {								\
		struct bus1_recv_args __r;				\
									\
		ASSERT_EQ(0, send_bytes(self->other.fd, self->back,	\
					"slice", 5));			\
		ASSERT_EQ(0, recv_msg(&self->t.client, &__r));		\
		self->slice = __r.offset;				\
	} while (0)

TEST_F_TIMEOUT(window, of_a_call_that_fails_lets_a_release_through, 120)
{
	START(call_badly, release_slice);
	for (turn = 1; turn <= self->rounds; turn++) {
		GET_SLICE();
		COLLIDE();
		EXPECT_TRUE(is_failure(self->result[LEFT]));
		EXPECT_EQ(0, self->result[RIGHT]);
		EXPECT_EQ(0, query(self->t.client.fd).used_slices);
		END_ROUND();
	}
	FINISH();
}

TEST_F_TIMEOUT(window, of_a_call_that_fails_lets_a_flush_through, 120)
{
	__u64 node = NODE;

	ASSERT_EQ(0, send_full(self->t.client.fd, NULL, 0, NULL, 0, &node, 1,
			       NULL, 0, BUS1_SEND_SEED));
	START(call_badly, flush_client);
	for (turn = 1; turn <= self->rounds; turn++) {
		GET_SLICE();
		COLLIDE();
		EXPECT_TRUE(is_failure(self->result[LEFT]));
		EXPECT_EQ(0, self->result[RIGHT]);
		/* The seed has the other one. */
		EXPECT_EQ(1, query(self->t.client.fd).used_slices);
		END_ROUND();
		self->t.to_server = connect_peers(self->t.server.fd, NODE,
						  self->t.client.fd);
	}
	FINISH();
}

/* One reply in the queue, and two who want it, one by its name. */

static int fetch_it(struct _test_data_window *s, struct rng *r)
{
	struct bus1_recv_args recv;

	return fetch(&s->t.client, ASKED, &recv, 0);
}

static int receive(struct _test_data_window *s, struct rng *r)
{
	struct bus1_recv_args recv;

	return recv_msg(&s->t.client, &recv);
}

TEST_F_TIMEOUT(window, of_a_fetch_lets_a_receiver_through, 120)
{
	self->us = 20;
	self->rounds = scaled(2000);
	START(fetch_it, receive);
	for (turn = 1; turn <= self->rounds; turn++) {
		ASSERT_EQ(0, ask_for(self->t.client.fd, self->t.to_server,
				     ASKED, 0, 0, 0));
		ASSERT_EQ(0, send_empty(self->t.server.fd,
					take(&self->t.server)));
		COLLIDE();
		EXPECT_TRUE((!self->result[LEFT] &&
			     self->result[RIGHT] == -EAGAIN) ||
			    (!self->result[RIGHT] &&
			     self->result[LEFT] == -ENXIO));
		END_ROUND();
		EXPECT_EQ(0, flush_client(self, NULL));
		drain(&self->t.server);
		connect_new(self->t.client.fd, NODE, self->t.client.fd);
		self->t.to_server = connect_peers(self->t.server.fd, NODE,
						  self->t.client.fd);
	}
	FINISH();
}

/*
 * A request is cancelled with many nodes that others hold, so that its notice
 * is under way for a while. Meanwhile its holder is sent a message and lets go of
 * the handle: the notice is withdrawn, and the message must not be held up.
 */

static int destroy_all(struct _test_data_window *s, struct rng *r)
{
	return sys_destroy(s->t.client.fd, s->nodes, NODES + 1,
			   BUS1_DESTROY_RELEASE_HANDLES);
}

/* The receiver is to look at the message while the notice is in front of it. */
static int send_and_release(struct _test_data_window *s, struct rng *r)
{
	int err = send_bytes(s->other.fd, s->to_server, "x", 1);
	__u64 end = now_ns() + rng_below(r, 300000);

	while (now_ns() < end)
		sched_yield();
	return err ?: release_one(s->t.server.fd, s->h);
}

/* What is there is found at the deadline as well, but nobody woke us then. */
static void *receive_one(void *arg)
{
	__u64 deadline = now_ns() + 20 * SECOND;
	struct _test_data_window *s = arg;
	struct bus1_recv_args r = { 0 };
	int err;

	do {
		r = (struct bus1_recv_args){
			.max_offset = POOL_MAP_SIZE, .deadline = deadline,
		};
		err = sys_recv(s->t.server.fd, &r, sizeof(r), 0);
	} while (!err && r.type != BUS1_MSG_DATA);
	MUST(&s->verdict, !err && now_ns() < deadline, err);
	if (!err)
		slice_release_one(s->t.server.fd, r.offset);
	return NULL;
}

/* New nodes of the client, all held by the worker. */
static int make_nodes(struct _test_data_window *s, __u32 turn)
{
	__u64 src[NODES];
	int i;

	for (i = 0; i < NODES; i++) {
		s->nodes[i] = 0x100000ULL * turn + 8 * i;
		src[i] = s->nodes[i] | NEW;
	}
	s->nodes[NODES] = ASKED;
	return sys_transfer(s->t.client.fd, s->t.worker.fd, src, s->held, NODES,
			    0);
}

TEST_F_TIMEOUT(window, of_a_cancellation_holds_up_no_message, 120)
{
	struct worker w;

	self->us = 1500;
	self->rounds = scaled(60);
	START(destroy_all, send_and_release);
	for (turn = 1; turn <= self->rounds; turn++) {
		ASSERT_EQ(0, make_nodes(self, turn));
		ASSERT_EQ(0, ask(self->t.client.fd, self->t.to_server, ASKED));
		self->h = take(&self->t.server);
		THREAD(&w, receive_one, self);
		ASSERT_TRUE(BECOMES(are_waiting(self->t.server.fd, 1)));
		COLLIDE();
		JOIN(&w);
		EXPECT_FINE(&self->verdict);
		EXPECT_EQ(0, self->result[RIGHT]);
		EXPECT_TRUE(!self->result[LEFT] ||
			    self->result[LEFT] == -ESTALE);
		END_ROUND();
		if (self->result[LEFT]) {
			drain(&self->t.client);
			sys_destroy(self->t.client.fd, self->nodes, NODES,
				    BUS1_DESTROY_RELEASE_HANDLES);
		}
		drain(&self->t.server);
		drain(&self->t.worker);
		ASSERT_EQ(0, sys_release(self->t.worker.fd, self->held, NODES,
					 0));
	}
	FINISH();
}

TEST_HARNESS_MAIN
