// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 selftests: calls that race with each other
 *
 * Every test lets calls run into each other many times and then compares what
 * each call returned with what has arrived: a call that succeeded happened,
 * one that failed had no effect.
 */
#include "stress.h"

/* Two peers and a bag of shared state. */
FIXTURE(race) {
	struct peer a, b;
	__u64 b_at_a;			/* node 8 of b */
	__u32 go, done, ok[8], other[8], seen[8];
	__u64 arg;
	struct verdict verdict;
};

struct job {
	struct _test_data_race *s;
	unsigned int i;
};

FIXTURE_SETUP(race)
{
	ASSERT_EQ(0, peer_open(&self->a, NULL, 0));
	ASSERT_EQ(0, peer_open(&self->b, NULL, 0));
	self->b_at_a = connect_new(self->b.fd, 8, self->a.fd);
	ASSERT_NE(BUS1_HANDLE_INVALID, self->b_at_a);
}

FIXTURE_TEARDOWN(race)
{
	peer_close(&self->a);
	peer_close(&self->b);
}

static void wait_go(struct _test_data_race *s)
{
	while (!LOAD(&s->go))
		sched_yield();
}

/* Starts @n threads of @fn at once, joins them and clears the gate. */
static void together(struct __test_metadata *_metadata,
		     struct _test_data_race *s, void *(*fn)(void *), int n)
{
	struct worker w[8];
	struct job job[8];
	int i;

	for (i = 0; i < n; i++) {
		job[i] = (struct job){ s, i };
		THREAD(&w[i], fn, &job[i]);
	}
	STORE(&s->go, 1);
	for (i = 0; i < n; i++)
		JOIN(&w[i]);
	STORE(&s->go, 0);
}

static void *send_until_shutdown(void *arg)
{
	struct job *j = arg;
	struct _test_data_race *s = j->s;
	__u32 v = j->i;
	int r;

	wait_go(s);
	if (!j->i) {
		while (query(s->b.fd).n_queued < 30)
			sched_yield();
		r = sys_disconnect(s->a.fd, 0);
		MUST(&s->verdict, !r, r);
		return NULL;
	}
	do {
		r = send_bytes(s->a.fd, s->b_at_a, &v, sizeof(v));
		s->ok[j->i] += !r;
	} while (!r || r == -EDQUOT || r == -EXFULL);
	MUST(&s->verdict, r == -ESHUTDOWN, r);
	return NULL;
}

TEST_F(race, sends_that_run_into_the_own_disconnect_happen_or_do_not)
{
	int round, data = 0;
	__u64 dest;

	for (round = 0; round < scaled(10); round++) {
		memset(self->ok, 0, sizeof(self->ok));
		together(_metadata, self, send_until_shutdown, 4);
		for (data = 0; recv_type(&self->b, &dest) == BUS1_MSG_DATA;)
			data++;
		EXPECT_EQ(self->ok[1] + self->ok[2] + self->ok[3], data);
		drain(&self->b);
		peer_close(&self->a);
		ASSERT_EQ(0, peer_open(&self->a, NULL, 0));
		self->b_at_a = connect_peers(self->b.fd, 8, self->a.fd);
	}
	EXPECT_FINE(&self->verdict);
}

static void *recv_until_shutdown(void *arg)
{
	struct job *j = arg;
	__u32 v;
	int r;

	do {
		r = recv_u32(&j->s->b, &v, 0);
	} while (!r);
	MUST(&j->s->verdict, r == -ESHUTDOWN, r);
	ADD(&j->s->done, 1);
	return NULL;
}

TEST_F(race, a_disconnect_wakes_every_blocked_receiver)
{
	struct worker w[4];
	struct job job = { self, 0 };
	int i;

	for (i = 0; i < 4; i++)
		THREAD(&w[i], recv_until_shutdown, &job);
	ASSERT_TRUE(BECOMES(are_waiting(self->b.fd, 4)));
	EXPECT_EQ(0, sys_disconnect(self->b.fd, 0));
	for (i = 0; i < 4; i++)
		JOIN(&w[i]);
	EXPECT_FINE(&self->verdict);
	EXPECT_EQ(4, self->done);
}

/* Not all of them sleep when the disconnect comes. */
TEST_F(race, a_disconnect_meets_receivers_in_every_state)
{
	unsigned int round;
	struct worker w[4];
	struct job job = { self, 0 };
	int i;

	for (round = 0; round < scaled(50); round++) {
		for (i = 0; i < 4; i++)
			THREAD(&w[i], recv_until_shutdown, &job);
		for (i = 0; i < (int)(round % 5); i++)
			send_bytes(self->a.fd, self->b_at_a, "abcd", 4);
		EXPECT_EQ(0, sys_disconnect(self->b.fd, 0));
		for (i = 0; i < 4; i++)
			JOIN(&w[i]);
		peer_close(&self->b);
		drain(&self->a);
		ASSERT_EQ(0, peer_open(&self->b, NULL, 0));
		self->b_at_a = connect_new(self->b.fd, 8, self->a.fd);
		ASSERT_NE(BUS1_HANDLE_INVALID, self->b_at_a);
	}
	EXPECT_FINE(&self->verdict);
}

/* Trap 5: a flush that raced with a sender lost the front of the queue. */
static void *flush_and_send(void *arg)
{
	struct job *j = arg;
	struct _test_data_race *s = j->s;
	unsigned int n;
	int r;

	wait_go(s);
	for (n = 0; n < scaled(60); n++) {
		if (j->i < 2)
			r = flush(s->b.fd);
		else
			r = send_bytes(s->a.fd, LOAD(&s->arg), "abcd", 4);
		MUST(&s->verdict, !r || (j->i >= 2 && (r == -EHOSTUNREACH ||
		     r == -ENXIO || r == -EDQUOT || r == -EXFULL)), r);
		if (j->i != 0)
			continue;
		STORE(&s->arg, connect_new(s->b.fd, 8 * (n + 2), s->a.fd));
	}
	return NULL;
}

TEST_F(race, two_flushes_and_senders_leave_a_peer_that_works)
{
	__u32 v;

	STORE(&self->arg, self->b_at_a);
	together(_metadata, self, flush_and_send, 4);
	EXPECT_FINE(&self->verdict);
	EXPECT_EQ(0, flush(self->b.fd));
	EXPECT_TRUE(peer_is_clean(self->b.fd));
	self->b_at_a = connect_new(self->b.fd, 0x10000, self->a.fd);
	ASSERT_EQ(0, send_bytes(self->a.fd, self->b_at_a, "abcd", 4));
	EXPECT_EQ(0, recv_u32(&self->b, &v, 0));
	EXPECT_EQ(0, flush(self->b.fd));
	drain(&self->a);
	EXPECT_EQ(0, flush(self->a.fd));
	EXPECT_TRUE(peer_is_clean(self->a.fd));
}

/* The node that the seed pins outlives flushes, and so do its messages. */
static void *flush_and_send_to_seed(void *arg)
{
	struct job *j = arg;
	struct _test_data_race *s = j->s;
	unsigned int n;
	int r;

	wait_go(s);
	for (n = 0; n < scaled(100); n++) {
		if (!j->i) {
			r = sys_reset(s->b.fd, NULL, 0, BUS1_RESET_FLUSH);
			MUST(&s->verdict, !r, r);
			continue;
		}
		r = send_bytes(s->a.fd, s->b_at_a, "abcd", 4);
		s->ok[j->i] += !r;
		/* While the pool is truncated there is no room in it. */
		MUST(&s->verdict, !r || r == -EXFULL, r);
	}
	return NULL;
}

TEST_F(race, a_flush_keeps_messages_to_the_nodes_of_the_seed)
{
	__u64 node = 8;
	int n = 0;

	ASSERT_EQ(0, send_full(self->b.fd, NULL, 0, "seed", 4, &node, 1, NULL, 0,
			       BUS1_SEND_SEED));
	together(_metadata, self, flush_and_send_to_seed, 4);
	EXPECT_FINE(&self->verdict);
	while (recv_type(&self->b, NULL) == BUS1_MSG_DATA)
		n++;
	EXPECT_EQ(self->ok[1] + self->ok[2] + self->ok[3], n);
	EXPECT_EQ(0, send_bytes(self->a.fd, self->b_at_a, "abcd", 4));
	EXPECT_EQ(0, flush(self->b.fd));
	EXPECT_TRUE(peer_is_clean(self->b.fd));
}

/* Each message has a number; seen[] of the thread is the last one it got. */
static __u8 *got_number;
static __u32 n_numbers;

static void *recv_numbers(void *arg)
{
	struct job *j = arg;
	struct _test_data_race *s = j->s;
	__u32 v;
	int r;

	for (;;) {
		r = recv_u32(&s->b, &v, 0);
		if (!MUST(&s->verdict, !r, r) || v > n_numbers)
			return NULL;
		MUST(&s->verdict, v > s->seen[j->i], v);
		s->seen[j->i] = v;
		MUST(&s->verdict, ADD(&got_number[v], 1) == 1, v);
	}
}

TEST_F(race, parallel_receivers_each_get_the_next_message)
{
	struct worker w[4];
	struct job job[4];
	__u32 v;
	int i;

	n_numbers = scaled(1000);
	got_number = calloc(n_numbers + 1, 1);
	for (i = 0; i < 4; i++) {
		job[i] = (struct job){ self, i };
		THREAD(&w[i], recv_numbers, &job[i]);
	}
	for (v = 1; v <= n_numbers + 4; v++) {
		while (send_bytes(self->a.fd, self->b_at_a, &v, 4) == -EDQUOT)
			sched_yield();
	}
	for (i = 0; i < 4; i++)
		JOIN(&w[i]);
	EXPECT_FINE(&self->verdict);
	for (v = 1; v <= n_numbers; v++)
		EXPECT_EQ(1, got_number[v]);
	EXPECT_EQ(0, query(self->b.fd).used_slices);
}

/* All threads create the node of one name; one of them does. */
static void *create_node(void *arg)
{
	struct job *j = arg;
	struct _test_data_race *s = j->s;
	__u64 src = s->arg | BUS1_HANDLE_FLAG_NEW, dst;
	int r;

	wait_go(s);
	if (j->i & 1)
		r = sys_transfer(s->a.fd, s->b.fd, &src, &dst, 1, 0);
	else
		r = send_handles(s->a.fd, s->b_at_a, &src, 1);
	ADD(&s->ok[0], !r);
	MUST(&s->verdict, !r || r == -EEXIST, r);
	return NULL;
}

TEST_F(race, of_several_creations_of_one_node_one_succeeds)
{
	unsigned int round;

	for (round = 1; round <= scaled(60); round++) {
		self->arg = round * 8ULL;
		self->ok[0] = 0;
		together(_metadata, self, create_node, 4);
		EXPECT_EQ(1, self->ok[0]);
		EXPECT_EQ(round, query(self->a.fd).n_nodes);
	}
	EXPECT_FINE(&self->verdict);
}

/* One node, one destruction; every other one finds it dead. */
static void *destroy_node(void *arg)
{
	struct job *j = arg;
	struct _test_data_race *s = j->s;
	int r;

	wait_go(s);
	r = destroy_one(s->b.fd, s->arg);
	ADD(&s->ok[0], !r);
	MUST(&s->verdict, !r || r == -ESTALE, r);
	return NULL;
}

TEST_F(race, of_several_destructions_of_one_node_one_succeeds)
{
	unsigned int round;

	for (round = 2; round <= scaled(60); round++) {
		self->arg = round * 8ULL;
		self->ok[0] = 0;
		ASSERT_NE(BUS1_HANDLE_INVALID,
			  connect_new(self->b.fd, self->arg, self->a.fd));
		together(_metadata, self, destroy_node, 3);
		EXPECT_EQ(1, self->ok[0]);
		EXPECT_EQ(BUS1_MSG_NODE_DESTROY, recv_type(&self->a, NULL));
		EXPECT_EQ(-EAGAIN, recv_type(&self->a, NULL));
	}
	EXPECT_FINE(&self->verdict);
}

#define REFS	40

static void *release_refs(void *arg)
{
	struct job *j = arg;
	struct _test_data_race *s = j->s;
	int i, r;

	wait_go(s);
	for (i = 0; i < REFS / 2; i++) {
		r = release_one(s->a.fd, s->arg);
		ADD(&s->ok[0], !r);
		MUST(&s->verdict, !r || r == -ENXIO, r);
	}
	return NULL;
}

TEST_F(race, a_count_is_taken_down_exactly_as_often_as_it_went_up)
{
	unsigned int round;
	int i;

	for (round = 2; round < 2 + scaled(20); round++) {
		self->ok[0] = 0;
		self->arg = connect_new(self->b.fd, round * 8ULL, self->a.fd);
		for (i = 1; i < REFS; i++)
			EXPECT_EQ(self->arg, connect_peers(self->b.fd,
						round * 8ULL, self->a.fd));
		together(_metadata, self, release_refs, 4);
		EXPECT_EQ(REFS, self->ok[0]);
		EXPECT_EQ(-ENXIO, release_one(self->a.fd, self->arg));
		EXPECT_EQ(BUS1_MSG_NODE_RELEASE, recv_type(&self->b, NULL));
		EXPECT_EQ(-EAGAIN, recv_type(&self->b, NULL));
	}
	EXPECT_FINE(&self->verdict);
}

static void *release_slice(void *arg)
{
	struct job *j = arg;
	int r;

	wait_go(j->s);
	r = slice_release_one(j->s->b.fd, j->s->arg);
	ADD(&j->s->ok[0], !r);
	MUST(&j->s->verdict, !r || r == -ENXIO, r);
	return NULL;
}

TEST_F(race, a_slice_is_released_once)
{
	struct bus1_recv_args r;
	unsigned int round;

	for (round = 0; round < scaled(60); round++) {
		self->ok[0] = 0;
		ASSERT_EQ(0, send_bytes(self->a.fd, self->b_at_a, "abc", 3));
		ASSERT_EQ(0, recv_msg(&self->b, &r));
		self->arg = r.offset;
		together(_metadata, self, release_slice, 3);
		EXPECT_EQ(1, self->ok[0]);
		EXPECT_EQ(0, query(self->b.fd).used_slices);
	}
	EXPECT_FINE(&self->verdict);
}

/* Threads give handles from a to b and from b to a: the two lock orders. */
static void *transfer_both(void *arg)
{
	struct job *j = arg;
	struct _test_data_race *s = j->s;
	bool back = j->i & 1;
	const struct peer *from = back ? &s->b : &s->a;
	const struct peer *to = back ? &s->a : &s->b;
	__u64 src[3] = { 0x100, 0x108, 0x110 }, dst[3];
	unsigned int n;
	int r;

	wait_go(s);
	for (n = 0; n < scaled(300); n++) {
		r = sys_transfer(from->fd, to->fd, src, dst, 3, 0);
		if (!MUST(&s->verdict, !r, r))
			break;
		r = sys_release(to->fd, dst, 3, 0);
		MUST(&s->verdict, !r, r);
	}
	return NULL;
}

TEST_F(race, transfers_in_both_directions_do_not_lock_each_other_out)
{
	const __u64 name[] = { 0x100, 0x108, 0x110 };
	int i;

	for (i = 0; i < 3; i++) {
		connect_new(self->a.fd, name[i], self->a.fd);
		connect_new(self->b.fd, name[i], self->b.fd);
	}
	together(_metadata, self, transfer_both, 4);
	EXPECT_FINE(&self->verdict);
	EXPECT_EQ(3 + 1, query(self->a.fd).n_handles);
	EXPECT_EQ(3 + 1, query(self->b.fd).n_handles);
	/* Some were released between: the last state is what counts. */
	EXPECT_EQ(0, release_one(self->a.fd, self->b_at_a));
	EXPECT_EQ(3, query(self->a.fd).n_handles);
}

/* A reference given while the last one is dropped: the notice is right. */
static void *give_and_drop(void *arg)
{
	struct job *j = arg;
	struct _test_data_race *s = j->s;
	unsigned int n;
	__u64 h;
	int r;

	wait_go(s);
	for (n = 0; n < scaled(200); n++) {
		h = connect_peers(s->b.fd, 8, s->a.fd);
		if (!MUST(&s->verdict, h != BUS1_HANDLE_INVALID, 0))
			break;
		r = release_one(s->a.fd, h);
		MUST(&s->verdict, !r, r);
	}
	return NULL;
}

TEST_F(race, a_release_notice_is_queued_iff_nobody_holds_the_node)
{
	ASSERT_EQ(0, release_one(self->a.fd, self->b_at_a));
	ASSERT_EQ(BUS1_MSG_NODE_RELEASE, recv_type(&self->b, NULL));
	together(_metadata, self, give_and_drop, 3);
	EXPECT_FINE(&self->verdict);
	EXPECT_EQ(BUS1_MSG_NODE_RELEASE, recv_type(&self->b, NULL));
	EXPECT_EQ(-EAGAIN, recv_type(&self->b, NULL));
	EXPECT_EQ(0, query(self->a.fd).used_handles);
	self->b_at_a = connect_peers(self->b.fd, 8, self->a.fd);
	EXPECT_EQ(-EAGAIN, recv_type(&self->b, NULL));
}

/* Sends race with the destruction of their node: what got 0 arrives before. */
static void *send_to_dying(void *arg)
{
	struct job *j = arg;
	struct _test_data_race *s = j->s;
	int r;

	wait_go(s);
	if (!j->i) {
		while (!query(s->b.fd).n_queued)
			sched_yield();
		r = destroy_one(s->b.fd, 0x100);
		MUST(&s->verdict, !r, r);
		return NULL;
	}
	do {
		r = send_empty(s->a.fd, s->arg);
		s->ok[j->i] += !r;
	} while (!r || r == -EDQUOT);
	MUST(&s->verdict, r == -EHOSTUNREACH, r);
	return NULL;
}

TEST_F(race, what_was_sent_before_a_destruction_is_delivered_before_it)
{
	unsigned int round, n;

	for (round = 0; round < scaled(20); round++) {
		memset(self->ok, 0, sizeof(self->ok));
		self->arg = connect_new(self->b.fd, 0x100, self->a.fd);
		ASSERT_NE(BUS1_HANDLE_INVALID, self->arg);
		together(_metadata, self, send_to_dying, 3);
		for (n = 0; recv_type(&self->b, NULL) == BUS1_MSG_DATA; n++)
			;
		EXPECT_EQ(self->ok[1] + self->ok[2], n);
		EXPECT_EQ(-EAGAIN, recv_type(&self->b, NULL));
		drain(&self->a);
		EXPECT_EQ(0, release_one(self->a.fd, self->arg));
		EXPECT_EQ(0, release_one(self->b.fd, 0x100));
	}
	EXPECT_FINE(&self->verdict);
}

/*
 * A handle is released by one thread and used by others: to send to its node,
 * and to give it to the peer's own node. The notice that nobody holds the node
 * any more is the last that its owner hears of it.
 */
static void *use_released(void *arg)
{
	static const char data[256 << 10];
	struct job *j = arg;
	struct _test_data_race *s = j->s;
	int r;

	wait_go(s);
	if (!j->i)
		r = release_one(s->a.fd, s->arg);
	else if (j->i == 1)
		r = send_bytes(s->a.fd, s->arg, data, sizeof(data));
	else
		r = send_full(s->a.fd, &(__u64){ 16 }, 1, data, sizeof(data),
			      &s->arg, 1, NULL, 0, 0);
	s->ok[j->i] = !r;
	MUST(&s->verdict, !r || (j->i && r == -ENXIO), r);
	return NULL;
}

/* Returns the handle that came back to a, or INVALID. */
static __u64 came_back(struct peer *a)
{
	struct bus1_recv_args r;
	__u64 h;

	if (recv_msg(a, &r))
		return BUS1_HANDLE_INVALID;
	h = *msg_handles(a, &r);
	slice_release_one(a->fd, r.offset);
	return h;
}

TEST_F(race, a_release_notice_is_the_last_that_is_heard_of_a_handle)
{
	unsigned int round;
	int type, last;
	__u64 h;

	connect_new(self->a.fd, 16, self->a.fd);
	for (round = 0; round < scaled(60); round++) {
		self->arg = connect_new(self->b.fd, 0x100 + 8 * round,
					self->a.fd);
		ASSERT_NE(BUS1_HANDLE_INVALID, self->arg);
		together(_metadata, self, use_released, 3);
		for (last = -1; (type = recv_type(&self->b, NULL)) > 0;) {
			EXPECT_NE(BUS1_MSG_NODE_RELEASE, last);
			last = type;
		}
		h = came_back(&self->a);
		EXPECT_EQ(h == BUS1_HANDLE_INVALID,
			  last == BUS1_MSG_NODE_RELEASE);
		if (h != BUS1_HANDLE_INVALID)
			EXPECT_EQ(0, release_one(self->a.fd, h));
		drain(&self->b);
		ASSERT_EQ(0, _metadata->exit_code);
	}
	EXPECT_FINE(&self->verdict);
}

/* The descriptor is closed while others are inside a call on it. */
static void *use_closing(void *arg)
{
	struct job *j = arg;
	struct _test_data_race *s = j->s;
	struct bus1_recv_args r;
	unsigned int n;
	int fd;

	wait_go(s);
	for (n = 0; n < scaled(200); n++) {
		if (!j->i) {
			fd = sys_open(NULL, 0, BUS1_OPEN_NONBLOCK);
			MUST(&s->verdict, fd >= 0, fd);
			STORE(&s->done, fd);
			connect_new(fd, 8, s->a.fd);
			close(fd);
			continue;
		}
		fd = LOAD(&s->done);
		memset(&r, 0, sizeof(r));
		sys_recv(fd, &r, sizeof(r), BUS1_RECV_NONBLOCK);
		connect_new(fd, 8 + 8 * n, fd);
		send_empty(fd, 8);
		drain(&s->a);
	}
	return NULL;
}

TEST_F(race, calls_on_a_descriptor_that_is_being_closed_do_no_harm)
{
	self->done = self->b.fd;
	together(_metadata, self, use_closing, 3);
	EXPECT_FINE(&self->verdict);
	drain(&self->a);
	EXPECT_EQ(0, flush(self->a.fd));
	EXPECT_TRUE(peer_is_clean(self->a.fd));
}

TEST_HARNESS_MAIN
