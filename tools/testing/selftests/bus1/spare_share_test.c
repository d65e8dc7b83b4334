// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 selftests: shares beside released messages
 *
 * What was released is charged to nobody, whoever it came from. The receiver is not
 * asked what it uses before the end of a test: that might give back what it keeps.
 */
#include "spare.h"

#define LIMIT	60000

/*
 *   a (user 1001)  --to_a-->  r (user 999)  <--to_b--  b (user 1002)
 */
FIXTURE(share) {
	struct peer r, a, b;
	__u64 to_a, to_b;
};

static int set_limits(int fd, __u64 slices, __u64 bytes)
{
	struct bus1_peer_limits l = limits_keep();

	l.max_slices = slices;
	l.max_inflight_bytes = bytes;
	return sys_reset(fd, &l, sizeof(l), 0);
}

FIXTURE_SETUP(share)
{
	if (geteuid())
		SKIP(return, "only root can open peers of other users");
	noise_make();
	ASSERT_EQ(0, open_as(&self->r, NULL, 999));
	ASSERT_EQ(0, open_as(&self->a, NULL, 1001));
	ASSERT_EQ(0, open_as(&self->b, NULL, 1002));
	self->to_a = connect_new(self->r.fd, NODE, self->a.fd);
	self->to_b = connect_peers(self->r.fd, NODE, self->b.fd);
	ASSERT_EQ(0, set_limits(self->r.fd, BUS1_LIMIT_KEEP, LIMIT));
}

FIXTURE_TEARDOWN(share)
{
	peer_close(&self->r);
	peer_close(&self->a);
	peer_close(&self->b);
}

/* Sends until nothing is accepted any more; returns how many bytes that was. */
static __u64 fill_bytes(const struct peer *p, __u64 to)
{
	static const size_t grain[] = { 5000, 1024, 64, 8 };
	__u64 sum = 0;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(grain); i++)
		while (!send_bytes(p->fd, to, noise, grain[i]))
			sum += grain[i];
	return sum;
}

/* What a claimant gets beside one that holds @other, or beside none. */
static __u64 share_of(__u64 limit, __u64 other)
{
	return (limit - other) / (2 + !!other) / 8 * 8;
}

/* Receives everything; releases it but for each @nth. Returns the bytes held. */
static __u64 read_all(const struct peer *p, unsigned int nth)
{
	struct bus1_recv_args r;
	__u64 held = 0;
	unsigned int i;

	for (i = 1; !recv_msg(p, &r); i++) {
		if (nth && !(i % nth))
			held += align8(r.n_bytes);
		else if (slice_release_one(p->fd, r.offset))
			return -1;
	}
	return held;
}

TEST_F(share, of_bytes_is_exact_whoever_was_there_before)
{
	unsigned int i;
	__u64 held;

	for (i = 0; i < 5; i++) {
		EXPECT_EQ(share_of(LIMIT, 0), fill_bytes(&self->a, self->to_a));
		EXPECT_EQ(0, read_all(&self->r, 0));
		EXPECT_EQ(share_of(LIMIT, 0), fill_bytes(&self->b, self->to_b));
		EXPECT_EQ(0, read_all(&self->r, 0));
		EXPECT_EQ(share_of(LIMIT, 0), fill_bytes(&self->a, self->to_a));
		held = read_all(&self->r, 2 + i);
		EXPECT_LT(0, held);
		EXPECT_EQ(share_of(LIMIT, held),
			  fill_bytes(&self->b, self->to_b));
		EXPECT_EQ(0, read_all(&self->r, 0));
		/* Those that were held go with a flush. */
		EXPECT_EQ(0, flush(self->r.fd));
		release_one(self->a.fd, self->to_a);
		release_one(self->b.fd, self->to_b);
		self->to_a = connect_new(self->r.fd, NODE, self->a.fd);
		self->to_b = connect_peers(self->r.fd, NODE, self->b.fd);
	}
	EXPECT_TRUE(uses(&self->r, 0, 0));
}

static unsigned int fill_slices(const struct peer *p, __u64 to, size_t size)
{
	unsigned int n = 0;

	while (!send_bytes(p->fd, to, noise, size))
		n++;
	return n;
}

TEST_F(share, of_slices_is_exact_whoever_was_there_before)
{
	static const size_t size[] = { 0, 8, 100, 5000 };
	unsigned int i, j;

	ASSERT_EQ(0, set_limits(self->r.fd, 12, 1 << 20));
	for (i = 0; i < ARRAY_SIZE(size); i++)
		for (j = 0; j < ARRAY_SIZE(size); j++) {
			EXPECT_EQ(6, fill_slices(&self->a, self->to_a, size[i]));
			EXPECT_EQ(2, fill_slices(&self->b, self->to_b, size[j]));
			EXPECT_EQ(0, read_all(&self->r, 0));
			EXPECT_EQ(6, fill_slices(&self->b, self->to_b, size[j]));
			EXPECT_EQ(0, read_all(&self->r, 0));
			EXPECT_EQ(6, fill_slices(&self->a, self->to_a, size[j]));
			EXPECT_EQ(0, read_all(&self->r, 0));
		}
	EXPECT_TRUE(uses(&self->r, 0, 0));
}

/* One message of the peer to itself, which is an ordinary claimant. */
TEST_F(share, of_the_peers_own_user_is_one_of_them)
{
	unsigned int i;

	for (i = 0; i < 4; i++) {
		EXPECT_EQ(share_of(LIMIT, 0), fill_bytes(&self->r, NODE));
		EXPECT_EQ(0, read_all(&self->r, 0));
		EXPECT_EQ(share_of(LIMIT, 0), fill_bytes(&self->a, self->to_a));
		EXPECT_EQ(0, read_all(&self->r, 0));
	}
	EXPECT_TRUE(uses(&self->r, 0, 0));
}

/* What a peer takes for itself may be all there is. */
TEST_F(share, leaves_the_peer_itself_all_that_was_released)
{
	struct bus1_recv_args r;
	__u64 to, h, max = LIMIT;
	unsigned int i;

	to = connect_new(self->a.fd, NODE, self->r.fd);
	for (i = 0; i < 4; i++) {
		EXPECT_EQ(share_of(LIMIT, 0), fill_bytes(&self->a, self->to_a));
		EXPECT_EQ(0, read_all(&self->r, 0));
		EXPECT_EQ(-ENOBUFS, ask_for(self->r.fd, to, ASKED, max + 8, 0,
					    0));
		ASSERT_EQ(0, ask_for(self->r.fd, to, ASKED, max, 0, 0));
		EXPECT_EQ(0, fill_bytes(&self->a, self->to_a));
		h = take(&self->a);
		ASSERT_EQ(0, send_bytes(self->a.fd, h, noise, i * 1000));
		ASSERT_EQ(0, recv_msg(&self->r, &r));
		ASSERT_EQ(0, slice_release_one(self->r.fd, r.offset));
		/* Its room was its own: nobody's claim has any of it. */
		EXPECT_EQ(share_of(LIMIT, 0), fill_bytes(&self->b, self->to_b));
		EXPECT_EQ(0, read_all(&self->r, 0));
		ASSERT_EQ(0, send_full(self->r.fd, NULL, 0, noise, LIMIT, NULL,
				       0, NULL, 0, BUS1_SEND_SEED));
		EXPECT_EQ(0, fill_bytes(&self->a, self->to_a));
		ASSERT_EQ(0, sys_reset(self->r.fd, NULL, 0,
				       BUS1_RESET_FLUSH_SEED));
	}
	EXPECT_TRUE(uses(&self->r, 0, 0));
}

TEST_F(share, of_seeds_that_were_received_is_the_peers_own)
{
	struct bus1_recv_args r;
	unsigned int i;

	ASSERT_EQ(0, send_full(self->r.fd, NULL, 0, noise, LIMIT / 2, NULL, 0,
			       NULL, 0, BUS1_SEND_SEED));
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, recv_flags(&self->r, &r, BUS1_RECV_SEED));
		EXPECT_EQ(0, fill_bytes(&self->a, self->to_a));
		ASSERT_EQ(0, slice_release_one(self->r.fd, r.offset));
		EXPECT_EQ(LIMIT / 4 / 8 * 8,
			  fill_bytes(&self->a, self->to_a));
		EXPECT_EQ(0, read_all(&self->r, 0));
	}
	EXPECT_TRUE(uses(&self->r, 1, LIMIT / 2));
}

/* Limits are lowered between a release and the next send. */

static int leave(struct _test_data_share *t, size_t size, unsigned int n)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < n && !err; i++)
		err = send_bytes(t->a.fd, t->to_a, noise, size);
	return err ?: !!read_all(&t->r, 0);
}

static const struct {
	__u64 slices, bytes;
	unsigned int held;	/* messages of the sender, of 1000 bytes */
} lowered[] = {
	{ 2, 2000, 0 }, { 2, 1999, 0 }, { 1, 4000, 0 }, { 0, 0, 0 },
	{ 4, 4000, 1 }, { 2, 4000, 1 }, { 4, 3999, 1 }, { 3, 4000, 1 },
	{ 4, 3000, 1 }, { 6, 6000, 3 }, { 6, 5999, 3 }, { 2, 2000, 3 },
	{ 100, 7999, 3 }, { 7, 8000, 3 }, { 8, 8000, 3 },
};

/* The rule, for one resource: a charge of @c by the one that holds @s. */
static int verdict(long long limit, long long s, long long c)
{
	if (2 * c > limit)
		return -EMSGSIZE;
	if ((s + c) * 2 <= limit)
		return 0;
	return c * (2 + !!s) > limit - s ? -EXFULL : -EDQUOT;
}

static int verdict_of(__u64 slices, __u64 bytes, unsigned int held)
{
	int a = verdict(slices, held, 1);
	int b = verdict(bytes, 1000 * held, 1000);

	if (a == -EMSGSIZE || b == -EMSGSIZE)
		return -EMSGSIZE;
	return a == -EXFULL || b == -EXFULL ? -EXFULL : a ?: b;
}

TEST_F(share, of_limits_that_were_lowered_decides)
{
	unsigned int i, j, n = 0;
	struct got g[4] = {};

	for (i = 0; i < ARRAY_SIZE(lowered); i++) {
		ASSERT_EQ(0, set_limits(self->r.fd, 100, LIMIT));
		for (j = 0; j <= lowered[i].held; j++) {
			g[j] = (struct got){ 1000, ++n };
			ASSERT_EQ(0, send_bytes(self->a.fd, self->to_a,
						text(n), 1000));
			if (j < lowered[i].held)
				ASSERT_TRUE(arrives(&self->r, &g[j]));
		}
		EXPECT_EQ(0, read_all(&self->r, 0));
		EXPECT_EQ(0, leave(self, 1000, 2));
		ASSERT_EQ(0, set_limits(self->r.fd, lowered[i].slices,
					lowered[i].bytes));
		EXPECT_EQ(verdict_of(lowered[i].slices, lowered[i].bytes,
				     lowered[i].held),
			  send_bytes(self->a.fd, self->to_a, text(++n), 1000)) {
			TH_LOG("row %u", i);
		}
		EXPECT_EQ(0, set_limits(self->r.fd, 100, LIMIT));
		EXPECT_EQ(0, read_all(&self->r, 0));
		EXPECT_EQ(0, leave(self, 1000, 2));
		for (j = 0; j < lowered[i].held; j++) {
			EXPECT_TRUE(is_whole(&self->r, &g[j]));
			EXPECT_EQ(0, slice_release_one(self->r.fd,
						       g[j].offset));
		}
	}
	EXPECT_TRUE(uses(&self->r, 0, 0));
	peer_close(&self->r);
	EXPECT_TRUE(BECOMES(user_is_clean(999)));
}

TEST_HARNESS_MAIN
