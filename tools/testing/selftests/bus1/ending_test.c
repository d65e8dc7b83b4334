// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 selftests: a peer that ends in the middle of what others do with it
 */
#include "stress.h"

#define SENDERS	3

/* Calls that take a peer down in some way. */
enum end { BY_DISCONNECT, BY_CLOSE, BY_FLUSH, BY_DESTROY };

static int end_peer(struct peer *p, enum end how)
{
	switch (how) {
	case BY_DISCONNECT:
		return sys_disconnect(p->fd, 0);
	case BY_CLOSE:
		return RET_ERRNO(close(p->fd));
	case BY_FLUSH:
		return flush(p->fd);
	case BY_DESTROY:
		return destroy_one(p->fd, 8);
	}
	return -EINVAL;
}

/*
 *   sender 0..2  ->  victim   (taken down meanwhile)
 *                \>  witness  (gets a message iff the send succeeded)
 */
FIXTURE(ending) {
	struct peer victim, witness, sender[SENDERS];
	__u64 to[SENDERS][2], tokens[SENDERS];
	__u32 sent[SENDERS], refused, stop, running;
	struct verdict verdict;
};

FIXTURE_VARIANT(ending) {
	enum end how;
};

FIXTURE_VARIANT_ADD(ending, by_disconnect) { BY_DISCONNECT };
FIXTURE_VARIANT_ADD(ending, by_close) { BY_CLOSE };
FIXTURE_VARIANT_ADD(ending, by_flush) { BY_FLUSH };
FIXTURE_VARIANT_ADD(ending, by_destruction) { BY_DESTROY };

struct ending_job {
	struct _test_data_ending *s;
	unsigned int i;
};

FIXTURE_SETUP(ending)
{
	int i;

	ASSERT_EQ(0, peer_open(&self->witness, NULL, 0));
	for (i = 0; i < SENDERS; i++) {
		struct peer *p = &self->sender[i];

		ASSERT_EQ(0, peer_open(p, NULL, 0));
		self->to[i][1] = connect_peers(self->witness.fd,
					i ? 8 : 8 | BUS1_HANDLE_FLAG_NEW, p->fd);
		ASSERT_NE(BUS1_HANDLE_INVALID, self->to[i][1]);
		self->tokens[i] = connect_new(p->fd, 64, p->fd);
	}
}

FIXTURE_TEARDOWN(ending)
{
	int i;

	peer_close(&self->witness);
	for (i = 0; i < SENDERS; i++)
		peer_close(&self->sender[i]);
}

/* Multicasts a handle and a descriptor until the victim is found gone. */
static void *ending_send(void *arg)
{
	struct ending_job *j = arg;
	struct _test_data_ending *s = j->s;
	int r, fd = s->sender[j->i].fd, carried = STDERR_FILENO;
	char data[100] = "";

	ADD(&s->running, 1);
	for (;;) {
		r = send_full(fd, s->to[j->i], 2, data, sizeof(data),
			      &s->tokens[j->i], 1, &carried, 1, 0);
		s->sent[j->i] += !r;
		if (r == -EHOSTUNREACH)
			break;
		if (!MUST(&s->verdict, !r || r == -EDQUOT || r == -EXFULL ||
			  r == -ETOOMANYREFS, r))
			break;
	}
	/* Whoever was refused once is refused for good. */
	r = send_full(fd, s->to[j->i], 2, NULL, 0, NULL, 0, NULL, 0, 0);
	MUST(&s->verdict, r == -EHOSTUNREACH, r);
	return NULL;
}

static void *ending_drain(void *arg)
{
	struct _test_data_ending *s = arg;

	/* One by one: while others send, there may always be one more. */
	while (!LOAD(&s->stop))
		if (recv_type(&s->victim, NULL) < 0)
			sched_yield();
	return NULL;
}

static int ending_connect(struct _test_data_ending *s)
{
	int i;

	if (peer_open(&s->victim, NULL, 0))
		return -1;
	for (i = 0; i < SENDERS; i++) {
		s->to[i][0] = connect_peers(s->victim.fd,
			i ? 8 : 8 | BUS1_HANDLE_FLAG_NEW, s->sender[i].fd);
		if (s->to[i][0] == BUS1_HANDLE_INVALID)
			return -1;
		s->sent[i] = 0;
	}
	s->running = s->stop = 0;
	return 0;
}

/* Receives at most @max entries; returns how many of them were messages. */
static __u32 messages_at(const struct peer *p, __u32 max)
{
	struct bus1_recv_args r;
	__u32 n = 0;

	while (max-- && !recv_msg(p, &r)) {
		n += r.type == BUS1_MSG_DATA;
		if (r.n_handles && *msg_handles(p, &r) != BUS1_HANDLE_INVALID)
			release_one(p->fd, *msg_handles(p, &r));
		if (r.offset != BUS1_OFFSET_INVALID)
			slice_release_one(p->fd, r.offset);
	}
	return n;
}

static void ending_round(struct __test_metadata *_metadata,
			 struct _test_data_ending *self, enum end how)
{
	struct worker w[SENDERS], drainer;
	struct ending_job job[SENDERS];
	__u32 got = 0, sent = 0;
	int i;

	ASSERT_EQ(0, ending_connect(self));
	THREAD(&drainer, ending_drain, self);
	for (i = 0; i < SENDERS; i++) {
		job[i] = (struct ending_job){ self, i };
		THREAD(&w[i], ending_send, &job[i]);
	}
	ASSERT_TRUE(BECOMES(LOAD(&self->running) == SENDERS));
	while (got < 20)
		got += messages_at(&self->witness, 20);
	if (how == BY_CLOSE) {
		/* The descriptor must not be used again by a stale thread. */
		STORE(&self->stop, 1);
		JOIN(&drainer);
	}
	EXPECT_EQ(0, end_peer(&self->victim, how));
	for (i = 0; i < SENDERS; i++) {
		JOIN(&w[i]);
		sent += self->sent[i];
	}
	STORE(&self->stop, 1);
	if (how != BY_CLOSE)
		JOIN(&drainer);
	got += messages_at(&self->witness, UINT_MAX);
	EXPECT_EQ(sent, got);
	if (how == BY_CLOSE)
		self->victim.fd = -1;
	peer_close(&self->victim);
}

TEST_F_TIMEOUT(ending, of_a_destination_leaves_multicasts_whole, 120)
{
	unsigned int round;
	int i;

	for (round = 0; round < scaled(10); round++) {
		ending_round(_metadata, self, variant->how);
		ASSERT_EQ(0, _metadata->exit_code);
	}
	EXPECT_FINE(&self->verdict);
	/* The witness holds its node alone: every message has given back all. */
	EXPECT_EQ(0, query(self->witness.fd).used_slices);
	EXPECT_EQ(1, query(self->witness.fd).used_handles);
	EXPECT_EQ(0, query(self->witness.fd).used_inflight_fds);
	for (i = 0; i < SENDERS; i++)
		EXPECT_EQ(1, query(self->sender[i].fd).n_nodes);
}

/*
 *   p  (disconnected meanwhile)  <->  s,  and a stranger who sends to p
 */
FIXTURE(going) {
	struct peer p, s, stranger;
	__u64 p_at_s, p_at_stranger;
	__u32 go, round, stop;
	struct verdict verdict;
};

struct going_job {
	struct _test_data_going *s;
	unsigned int i;
};

#define GOING_USER	1700

FIXTURE_SETUP(going)
{
	if (geteuid())
		SKIP(return, "only root can open peers of other users");
	leak_watch();
	ASSERT_EQ(0, open_as(&self->s, NULL, GOING_USER + 1));
	ASSERT_EQ(0, open_as(&self->stranger, NULL, GOING_USER + 2));
}

FIXTURE_TEARDOWN(going)
{
	peer_close(&self->s);
	peer_close(&self->stranger);
	leak_unwatch();
}

static int going_connect(struct _test_data_going *s)
{
	if (open_as(&s->p, NULL, GOING_USER))
		return -1;
	s->p_at_s = connect_new(s->p.fd, 8, s->s.fd);
	s->p_at_stranger = connect_peers(s->p.fd, 8, s->stranger.fd);
	return s->p_at_stranger == BUS1_HANDLE_INVALID ? -1 : 0;
}

/* Lets go of everything that has to do with p. */
static void going_forget(struct _test_data_going *s)
{
	peer_close(&s->p);
	flush(s->s.fd);
	flush(s->stranger.fd);
}

static void going_run(struct __test_metadata *_metadata,
		      struct _test_data_going *self, void *(*fn)(void *), int n)
{
	struct going_job job[5];
	struct worker w[5];
	int i;

	for (i = 0; i < n; i++) {
		job[i] = (struct going_job){ self, i };
		THREAD(&w[i], fn, &job[i]);
	}
	STORE(&self->go, 1);
	for (i = 0; i < n; i++)
		JOIN(&w[i]);
	STORE(&self->go, 0);
}

/* One call of a role: transfers, and sends that create nodes, in both ways. */
static int go_once(struct _test_data_going *s, unsigned int role)
{
	__u64 node = 8 * (__u64)ADD(&s->round, 1) | BUS1_HANDLE_FLAG_NEW;
	static const char data[32768];
	__u64 src = 8, dst;

	switch (role) {
	case 1:
		return sys_transfer(s->p.fd, s->s.fd, &src, &dst, 1, 0);
	case 2:
		return send_full(s->s.fd, &s->p_at_s, 1, data, sizeof(data),
				 &node, 1, NULL, 0, 0);
	case 3:
		return send_empty(s->stranger.fd, s->p_at_stranger);
	default:
		return send_handles(s->p.fd, 8, &src, 1);
	}
}

/* While p goes down, locks of one peer and of two are held and waited for. */
static void *go_all_ways(void *arg)
{
	struct going_job *j = arg;
	struct _test_data_going *s = j->s;
	int r;

	while (!LOAD(&s->go))
		sched_yield();
	if (!j->i) {
		while (query(s->p.fd).n_queued < 5)
			sched_yield();
		r = sys_disconnect(s->p.fd, 0);
		MUST(&s->verdict, !r, r);
		return NULL;
	}
	do {
		r = go_once(s, j->i);
	} while (!r || r == -EDQUOT || r == -EXFULL);
	MUST(&s->verdict, r == -ESHUTDOWN || r == -EHOSTUNREACH, r);
	return NULL;
}

TEST_F_TIMEOUT(going, peer_holds_up_nobody_who_is_inside_a_call, 120)
{
	unsigned int round;

	for (round = 0; round < scaled(60); round++) {
		self->round = 100;
		ASSERT_EQ(0, going_connect(self));
		going_run(_metadata, self, go_all_ways, 5);
		going_forget(self);
	}
	EXPECT_FINE(&self->verdict);
	EXPECT_TRUE(BECOMES(user_is_clean(GOING_USER)));
}

/* A message that carries the receiver's own node home. */
static void *carry_home(void *arg)
{
	struct going_job *j = arg;
	struct _test_data_going *s = j->s;
	__u64 h = j->i == 1 ? s->p_at_s : s->p_at_stranger;
	int r, fd = j->i == 1 ? s->s.fd : s->stranger.fd;

	while (!LOAD(&s->go))
		sched_yield();
	if (!j->i) {
		while (query(s->p.fd).n_queued < 3)
			sched_yield();
		r = sys_disconnect(s->p.fd, 0);
		MUST(&s->verdict, !r, r);
		return NULL;
	}
	do {
		__u64 handles[2] = { h, h };

		r = send_handles(fd, h, handles, 2);
	} while (!r || r == -EDQUOT || r == -EXFULL);
	MUST(&s->verdict, r == -EHOSTUNREACH, r);
	return NULL;
}

TEST_F_TIMEOUT(going, peer_is_not_kept_by_its_own_handles_under_way, 120)
{
	unsigned int round;
	long bytes = leak_bytes();

	for (round = 0; round < scaled(120); round++) {
		ASSERT_EQ(0, going_connect(self));
		going_run(_metadata, self, carry_home, 3);
		going_forget(self);
	}
	EXPECT_FINE(&self->verdict);
	EXPECT_TRUE(BECOMES(user_is_clean(GOING_USER)));
	EXPECT_TRUE(BECOMES(leak_bytes() <= bytes + 32768)) {
		TH_LOG("%ld bytes, %ld at first", leak_bytes(), bytes);
	}
}

/*
 * A handle is given while its node is destroyed and the taker is polled, which
 * removes notices that nobody would get. A handle that arrives is told of.
 */
static void *give_dying(void *arg)
{
	struct going_job *j = arg;
	struct _test_data_going *s = j->s;
	__u64 src = 0x100, dst;
	int r = 0;

	while (!LOAD(&s->go))
		sched_yield();
	if (j->i == 0) {
		r = destroy_one(s->p.fd, src);
	} else if (j->i == 1) {
		r = sys_transfer(s->p.fd, s->s.fd, &src, &dst, 1, 0);
		if (!r && dst != BUS1_HANDLE_INVALID)
			STORE(&s->p_at_s, dst);
		STORE(&s->stop, 1);
	} else {
		while (!LOAD(&s->stop))
			is_readable(s->s.fd);
	}
	MUST(&s->verdict, !r, r);
	return NULL;
}

TEST_F_TIMEOUT(going, node_that_is_given_is_given_with_its_notice, 120)
{
	unsigned int round;
	__u64 h;

	ASSERT_EQ(0, going_connect(self));
	for (round = 0; round < scaled(150); round++) {
		ASSERT_NE(BUS1_HANDLE_INVALID,
			  connect_new(self->p.fd, 0x100, self->p.fd));
		EXPECT_EQ(0, release_one(self->p.fd, 0x100));
		self->p_at_s = BUS1_HANDLE_INVALID;
		self->stop = 0;
		going_run(_metadata, self, give_dying, 3);
		if (self->p_at_s != BUS1_HANDLE_INVALID) {
			EXPECT_EQ(BUS1_MSG_NODE_DESTROY, recv_type(&self->s, &h));
			EXPECT_EQ(self->p_at_s, h);
			EXPECT_EQ(0, release_one(self->s.fd, h));
		}
		EXPECT_EQ(-EAGAIN, recv_type(&self->s, NULL));
		drain(&self->p);
		EXPECT_EQ(0, release_one(self->p.fd, 0x100));
		ASSERT_EQ(0, _metadata->exit_code);
	}
	EXPECT_FINE(&self->verdict);
	peer_close(&self->p);
}

TEST_HARNESS_MAIN
