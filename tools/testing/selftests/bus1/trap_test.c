// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 selftests: faults that an earlier implementation had under load
 *
 * The other tests called trap_NN stand with the call they are about.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "common.h"

#define NEW	BUS1_HANDLE_FLAG_NEW
#define INVALID	BUS1_HANDLE_INVALID

/*
 *   a owns node @id, b holds @h to it, c holds @hc to it
 */
FIXTURE(trap) {
	struct pair s;
	struct peer c;
	int a, b;
	__u64 hc;
};

/* What the threads of a test share with it; each test is its own process. */
static atomic_bool stop;
static atomic_int refused;

FIXTURE_SETUP(trap)
{
	ASSERT_EQ(0, pair_open(&self->s));
	ASSERT_EQ(0, peer_open(&self->c, NULL, BUS1_OPEN_NONBLOCK));
	self->a = self->s.a.fd;
	self->b = self->s.b.fd;
	self->hc = connect_peers(self->a, self->s.id, self->c.fd);
	ASSERT_NE(INVALID, self->hc);
}

FIXTURE_TEARDOWN(trap)
{
	pair_close(&self->s);
	peer_close(&self->c);
}

#define ROUNDS	2000

struct sender {
	int fd;
	__u64 h;
	__u32 number;
};

/* Sends ROUNDS numbered messages; a full share is tried again. */
static void *send_all(void *arg)
{
	struct sender *s = arg;
	__u32 m[2] = { s->number };
	int r;

	for (m[1] = 0; m[1] < ROUNDS; m[1]++) {
		while ((r = send_bytes(s->fd, s->h, m, sizeof(m))) == -EDQUOT)
			;
		if (r)
			atomic_fetch_add(&refused, 1);
	}
	return NULL;
}

TEST_F(trap, trap_02_two_senders_do_not_disturb_the_queue)
{
	struct sender s[2] = { { self->b, self->s.h, 0 },
			       { self->c.fd, self->hc, 1 } };
	struct bus1_recv_args r;
	__u32 next[2] = {}, *m;
	pthread_t t[2];
	int i;

	ASSERT_EQ(0, fcntl(self->a, F_SETFL, 0));
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, pthread_create(&t[i], NULL, send_all, &s[i]));
	for (i = 0; i < 2 * ROUNDS; i++) {
		ASSERT_EQ(0, recv_wait(&self->s.a, &r));
		m = (void *)msg_payload(&self->s.a, &r);
		ASSERT_GT(2, m[0]);
		EXPECT_EQ(next[m[0]]++, m[1]);
		ASSERT_EQ(0, slice_release_one(self->a, r.offset));
	}
	for (i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	EXPECT_EQ(0, atomic_load(&refused));
	EXPECT_EQ(-EAGAIN, recv_msg(&self->s.a, &r));
}

/* Sends until told to stop; counts what is neither accepted nor refused. */
static void *send_on(void *arg)
{
	struct sender *s = arg;
	int r;

	while (!atomic_load(&stop)) {
		r = send_bytes(s->fd, s->h, "flood", 5);
		if (r && r != -EDQUOT && r != -EXFULL && r != -EHOSTUNREACH)
			atomic_fetch_add(&refused, 1);
	}
	return NULL;
}

TEST_F(trap, trap_05_flush_against_senders_keeps_the_queue_going)
{
	__u64 pinned = 0x8000 | NEW;
	struct sender s = { self->b, INVALID, 0 };
	struct bus1_recv_args r;
	pthread_t t;
	int i;

	ASSERT_EQ(0, send_full(self->a, NULL, 0, "s", 1, &pinned, 1, NULL, 0,
			       BUS1_SEND_SEED));
	s.h = connect_peers(self->a, 0x8000, self->b);
	ASSERT_NE(INVALID, s.h);
	ASSERT_EQ(0, pthread_create(&t, NULL, send_on, &s));
	for (i = 0; i < 300; i++) {
		EXPECT_EQ(0, sys_reset(self->a, NULL, 0, BUS1_RESET_FLUSH));
		recv_msg(&self->s.a, &r);
	}
	atomic_store(&stop, true);
	pthread_join(t, NULL);
	EXPECT_EQ(0, atomic_load(&refused));
	drain(&self->s.a);
	ASSERT_EQ(0, send_bytes(self->b, s.h, "after", 5));
	EXPECT_TRUE(is_readable(self->a));
	ASSERT_EQ(0, recv_msg(&self->s.a, &r));
	EXPECT_EQ(0, memcmp(msg_payload(&self->s.a, &r), "after", 5));
}

TEST_F(trap, trap_07_handles_are_bounded_before_they_are_made)
{
	static __u64 x[BUS1_HANDLE_MAX], out[BUS1_HANDLE_MAX];
	struct bus1_peer_limits l = limits_keep();
	struct state sa, sb;
	int i;

	for (i = 0; i < BUS1_HANDLE_MAX; i++)
		x[i] = (0x10000 + 8 * i) | NEW;
	l.max_handles = BUS1_HANDLE_MAX;
	ASSERT_EQ(0, sys_reset(self->b, &l, sizeof(l), 0));
	state_get(self->a, &sa);
	state_get(self->b, &sb);
	EXPECT_EQ(-ENOBUFS, sys_transfer(self->b, self->b, x, out, BUS1_HANDLE_MAX,
					 0));
	EXPECT_EQ(-ENOBUFS, send_handles(self->b, self->s.h, x,
					 BUS1_HANDLE_MAX));
	EXPECT_EQ(-ENOBUFS, send_full(self->b, x, BUS1_HANDLE_MAX, NULL, 0,
				      NULL, 0, NULL, 0, 0));
	EXPECT_TRUE(state_same(self->a, &sa));
	EXPECT_TRUE(state_same(self->b, &sb));
	EXPECT_EQ(0, sys_transfer(self->b, self->b, x, out, BUS1_HANDLE_MAX - 1,
				  0));
}

/* Makes nodes of the first peer, for the second, until it is shut down. */
static void *make_nodes(void *arg)
{
	struct pair *s = arg;
	__u64 id = 0x100000 | NEW, out;
	int r;

	for (;; id += 8) {
		id |= NEW;
		r = sys_transfer(s->a.fd, s->b.fd, &id, &out, 1, 0);
		if (r == -ESHUTDOWN)
			return NULL;
		if (r && r != -ENOBUFS)
			atomic_fetch_add(&refused, 1);
	}
}

TEST_F(trap, trap_08_nothing_is_made_on_an_owner_that_shuts_down)
{
	struct bus1_recv_args r;
	pthread_t t;

	ASSERT_EQ(0, pthread_create(&t, NULL, make_nodes, &self->s));
	while (query(self->a).n_nodes < 50)
		;
	ASSERT_EQ(0, sys_disconnect(self->a, 0));
	pthread_join(t, NULL);
	EXPECT_EQ(0, atomic_load(&refused));
	while (!recv_msg(&self->s.b, &r)) {
		ASSERT_EQ(BUS1_MSG_NODE_DESTROY, r.type);
		ASSERT_EQ(0, release_one(self->b, r.destination));
	}
	EXPECT_TRUE(peer_is_clean(self->b));
}

TEST_F(trap, trap_18_one_sender_never_takes_all_slices_or_bytes)
{
	struct bus1_peer_limits l = limits_keep();
	static char kib[1024];
	int n, r;

	l.max_slices = 100;
	ASSERT_EQ(0, sys_reset(self->a, &l, sizeof(l), 0));
	for (n = 0; !(r = send_bytes(self->b, self->s.h, NULL, 0)); n++)
		;
	EXPECT_EQ(-EDQUOT, r);
	EXPECT_EQ(50, n);
	ASSERT_EQ(50, drain(&self->s.a));
	l.max_inflight_bytes = 64 * 1024;
	ASSERT_EQ(0, sys_reset(self->a, &l, sizeof(l), 0));
	for (n = 0; !(r = send_bytes(self->b, self->s.h, kib, 1024)); n++)
		;
	EXPECT_EQ(-EDQUOT, r);
	EXPECT_EQ(32, n);
}

TEST_F(trap, trap_19_pool_memory_is_given_back_when_it_is_released)
{
	static char buf[1 << 20];
	int i;

	memset(buf, 0x5a, sizeof(buf));
	for (i = 0; i < 6; i++)
		ASSERT_EQ(0, send_bytes(self->b, self->s.h, buf, sizeof(buf)));
	EXPECT_LE(6 * 1024, fdinfo_value(self->a, "pool", 0));
	EXPECT_EQ(6, drain(&self->s.a));
	EXPECT_GE(256, fdinfo_value(self->a, "pool", 0));
}

TEST_F(trap, trap_20_pool_can_be_mapped_before_the_first_message)
{
	struct bus1_recv_args r;
	void *p;

	p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, self->a, 0);
	ASSERT_TRUE(p != MAP_FAILED);
	ASSERT_EQ(0, send_bytes(self->b, self->s.h, "early", 5));
	ASSERT_EQ(0, recv_msg(&self->s.a, &r));
	ASSERT_GT(4000, r.offset);
	EXPECT_EQ(0, memcmp((char *)p + r.offset, "early", 5));
}

TEST_HARNESS_MAIN
