// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 selftests: the share rule
 *
 * The rule is computed here as well, from what was accepted so far, and compared
 * with what the kernel says to every single charge. Peers of other users are
 * opened by taking their user ID for the moment of the open.
 */
#include "stress.h"

#include <sys/resource.h>

#define USERS	10
#define NODE	8ULL

enum resource { SLICES, HANDLES, BYTES, FDS, RESOURCES };

/* What each resource of one peer holds, as the rule sees it. */
struct model {
	long long limit;
	long long own;
	long long held[USERS];
	int n_users;
};

static long long model_used(const struct model *m)
{
	long long used = m->own;
	int i;

	for (i = 0; i < m->n_users; i++)
		used += m->held[i];
	return used;
}

static int model_holders(const struct model *m)
{
	int i, n = 0;

	for (i = 0; i < m->n_users; i++)
		n += m->held[i] > 0;
	return n;
}

/* What the kernel has to say to a charge of @c by user @i. */
static int model_verdict(const struct model *m, int i, long long c)
{
	long long free = m->limit - model_used(m), s = m->held[i];
	int holders = model_holders(m), n = holders + !s;

	if (!c)
		return 0;
	if (2 * c > m->limit)
		return -EMSGSIZE;
	if ((s + c) * (n + 1) <= free + s)
		return 0;
	return c * (holders + 2) > free ? -EXFULL : -EDQUOT;
}

static struct bus1_peer_limits limit_one(enum resource r, __u64 limit)
{
	struct bus1_peer_limits l = limits_keep();

	((__u64 *)&l)[r == SLICES ? 0 : r == HANDLES ? 1 : r == BYTES ? 2 : 3] =
		limit;
	return l;
}

static __u64 used_of(int fd, enum resource r)
{
	struct bus1_peer_info i = query(fd);

	return r == SLICES ? i.used_slices : r == HANDLES ? i.used_handles :
	       r == BYTES ? i.used_inflight_bytes : i.used_inflight_fds;
}

/*
 *   user 0 .. n-1  ->  receiver (of a user of its own)
 */
FIXTURE(share) {
	struct peer receiver, sender[USERS];
	__u64 to[USERS];
	struct model m;
	enum resource resource;
	struct rng rng;
	__u64 next_node;
	/* Messages that were accepted, in order, and how far they are. */
	struct message {
		int user;
		int n_known, n_new;
		long long charge;
		__u64 offset;
		__u64 handle[8];
	} *msg;
	unsigned int n_sent, n_read, n_released;
};

FIXTURE_VARIANT(share) {
	enum resource resource;
	int n_users;
	long long limit;
};

FIXTURE_VARIANT_ADD(share, slices_two_users) { SLICES, 2, 60 };
FIXTURE_VARIANT_ADD(share, slices_ten_users) { SLICES, 10, 240 };
FIXTURE_VARIANT_ADD(share, bytes_two_users) { BYTES, 2, 50000 };
FIXTURE_VARIANT_ADD(share, bytes_ten_users) { BYTES, 10, 200001 };
FIXTURE_VARIANT_ADD(share, handles_two_users) { HANDLES, 2, 70 };
FIXTURE_VARIANT_ADD(share, handles_ten_users) { HANDLES, 10, 311 };
FIXTURE_VARIANT_ADD(share, fds_two_users) { FDS, 2, 33 };
FIXTURE_VARIANT_ADD(share, fds_ten_users) { FDS, 10, 150 };

FIXTURE_SETUP(share)
{
	struct bus1_peer_limits l = limit_one(variant->resource, variant->limit);
	int i;

	if (geteuid())
		SKIP(return, "only root can open peers of other users");
	self->rng = rng_for(SEED(), 0);
	self->resource = variant->resource;
	self->m.limit = variant->limit;
	self->m.n_users = variant->n_users;
	self->next_node = 0x1000;
	self->msg = calloc(scaled(1500) + 1, sizeof(*self->msg));
	ASSERT_EQ(0, open_as(&self->receiver, &l, 999));
	for (i = 0; i < variant->n_users; i++) {
		ASSERT_EQ(0, open_as(&self->sender[i], NULL, 2000 + i));
		self->to[i] = connect_peers(self->receiver.fd,
			i ? NODE : NODE | BUS1_HANDLE_FLAG_NEW,
			self->sender[i].fd);
		ASSERT_NE(BUS1_HANDLE_INVALID, self->to[i]);
	}
	self->m.own = variant->resource == HANDLES;
}

FIXTURE_TEARDOWN(share)
{
	int i;

	peer_close(&self->receiver);
	for (i = 0; i < self->m.n_users; i++)
		peer_close(&self->sender[i]);
}

/* Makes up a message for the resource and says what it will be charged. */
static size_t share_invent(struct _test_data_share *s, struct message *m)
{
	size_t size = 0;

	switch (s->resource) {
	case SLICES:
		m->charge = 1;
		break;
	case BYTES:
		size = rng_below(&s->rng, 20) ? rng_below(&s->rng, 2000) :
		       rng_below(&s->rng, s->m.limit);
		m->charge = slice_size(size, 0, 0);
		break;
	case HANDLES:
		m->n_known = rng_below(&s->rng, 3);
		m->n_new = rng_below(&s->rng, 4);
		m->charge = m->n_known + m->n_new;
		break;
	default:
		m->charge = rng_below(&s->rng, 5);
		break;
	}
	return size;
}

/* One send; returns what it returned. */
static int share_post(struct _test_data_share *s, struct message *m, size_t size)
{
	static char data[300000];
	__u64 handle[8];
	int i, fds[8], n = m->n_known + m->n_new;

	for (i = 0; i < 8; i++)
		fds[i] = STDERR_FILENO;
	for (i = 0; i < m->n_known; i++)
		handle[i] = s->to[m->user];
	for (; i < n; i++)
		handle[i] = (s->next_node += 8) | BUS1_HANDLE_FLAG_NEW;
	return send_full(s->sender[m->user].fd, &s->to[m->user], 1, data, size,
			 handle, n, fds, s->resource == FDS ? m->charge : 0, 0);
}

static void share_send(struct __test_metadata *_metadata,
		       struct _test_data_share *self)
{
	struct message *m = &self->msg[self->n_sent];
	int expected, got;
	size_t size;

	*m = (struct message){ .user = rng_below(&self->rng, self->m.n_users) };
	size = share_invent(self, m);
	expected = model_verdict(&self->m, m->user, m->charge);
	got = share_post(self, m, size);
	ASSERT_EQ(expected, got) {
		TH_LOG("user %d holds %lld, wants %lld; %lld of %lld used by %d",
		       m->user, self->m.held[m->user], m->charge,
		       model_used(&self->m), self->m.limit,
		       model_holders(&self->m));
	}
	if (got)
		return;
	self->m.held[m->user] += m->charge;
	self->n_sent++;
}

static void share_read(struct __test_metadata *_metadata,
		       struct _test_data_share *self)
{
	struct message *m = &self->msg[self->n_read];
	struct bus1_recv_args r;
	int i;

	if (self->n_read == self->n_sent)
		return;
	ASSERT_EQ(0, recv_msg(&self->receiver, &r));
	ASSERT_EQ(2000 + m->user, r.sender_uid);
	m->offset = r.offset;
	for (i = 0; i < m->n_new; i++)
		m->handle[i] = msg_handles(&self->receiver, &r)[m->n_known + i];
	/* The receiver's own handle was shown to it once more each time. */
	for (i = 0; i < m->n_known; i++)
		EXPECT_EQ(0, release_one(self->receiver.fd, NODE));
	if (self->resource == FDS)
		self->m.held[m->user] -= m->charge;
	self->m.held[m->user] -= m->n_known;
	self->n_read++;
}

static void share_release(struct __test_metadata *_metadata,
			  struct _test_data_share *self)
{
	struct message *m = &self->msg[self->n_released];

	if (self->n_released == self->n_read)
		return;
	ASSERT_EQ(0, slice_release_one(self->receiver.fd, m->offset));
	if (m->n_new)
		ASSERT_EQ(0, sys_release(self->receiver.fd, m->handle, m->n_new,
					 0));
	if (self->resource == HANDLES)
		self->m.held[m->user] -= m->n_new;
	else if (self->resource != FDS)
		self->m.held[m->user] -= m->charge;
	self->n_released++;
}

TEST_F_TIMEOUT(share, rule_decides_about_every_charge, 120)
{
	unsigned int n;

	for (n = 0; n < scaled(1500); n++) {
		/* Phases in which more is sent, or more released. */
		unsigned int greed = n / 200 % 2 ? 30 : 70;

		if (rng_below(&self->rng, 100) < greed)
			share_send(_metadata, self);
		else if (rng_below(&self->rng, 2))
			share_read(_metadata, self);
		else
			share_release(_metadata, self);
		ASSERT_EQ(model_used(&self->m),
			  used_of(self->receiver.fd, self->resource));
	}
	while (self->n_read < self->n_sent)
		share_read(_metadata, self);
	while (self->n_released < self->n_sent)
		share_release(_metadata, self);
	EXPECT_EQ(self->m.own, used_of(self->receiver.fd, self->resource));
	EXPECT_LT(scaled(1500) / 10, self->n_sent);
}

/* Small against each limit, and not so small that slices run out first. */
#define GRAIN	64

/* Takes what user @i can get, one by one; returns how much that was. */
static long long take_all(struct _test_data_share *s, int i)
{
	struct message m = { .user = i };
	long long n = 0;

	if (s->resource == FDS)
		m.charge = 1;
	if (s->resource == HANDLES)
		m.n_new = 1;
	while (!share_post(s, &m, s->resource == BYTES ? GRAIN : 0))
		n += s->resource == BYTES ? GRAIN : 1;
	return n;
}

/* Whatever the others took, the n-th gets L / (n (n + 1)). */
TEST_F_TIMEOUT(share, of_the_nth_claimant_is_guaranteed_against_greedy_ones, 120)
{
	long long limit = self->m.limit - self->m.own, got;
	long long grain = self->resource == BYTES ? GRAIN : 1;
	int i, j;

	for (i = 0; i < self->m.n_users; i++) {
		got = take_all(self, i);
		EXPECT_LE(limit / ((i + 1) * (i + 2)) / grain * grain, got) {
			TH_LOG("claimant %d got %lld", i + 1, got);
		}
		/* The earlier ones try again: it must not help them. */
		for (j = 0; j < i; j++)
			EXPECT_EQ(0, take_all(self, j));
	}
	EXPECT_EQ(self->m.n_users, count_claims(self->receiver.fd));
}

/* Errors, one by one. */
FIXTURE(quota) {
	struct peer r, s1, s2;
	__u64 to1, to2;
};

FIXTURE_SETUP(quota)
{
	if (geteuid())
		SKIP(return, "only root can open peers of other users");
	ASSERT_EQ(0, open_as(&self->r, NULL, 999));
	ASSERT_EQ(0, open_as(&self->s1, NULL, 1001));
	ASSERT_EQ(0, open_as(&self->s2, NULL, 1002));
	self->to1 = connect_new(self->r.fd, NODE, self->s1.fd);
	self->to2 = connect_peers(self->r.fd, NODE, self->s2.fd);
}

FIXTURE_TEARDOWN(quota)
{
	peer_close(&self->r);
	peer_close(&self->s1);
	peer_close(&self->s2);
}

static int set_limit(int fd, enum resource r, __u64 limit)
{
	struct bus1_peer_limits l = limit_one(r, limit);

	return sys_reset(fd, &l, sizeof(l), 0);
}

TEST_F(quota, gives_the_first_claimant_half_and_the_second_a_sixth)
{
	int i;

	ASSERT_EQ(0, set_limit(self->r.fd, SLICES, 12));
	for (i = 0; i < 6; i++)
		EXPECT_EQ(0, send_empty(self->s1.fd, self->to1));
	EXPECT_EQ(-EDQUOT, send_empty(self->s1.fd, self->to1));
	EXPECT_EQ(0, send_empty(self->s2.fd, self->to2));
	EXPECT_EQ(0, send_empty(self->s2.fd, self->to2));
	EXPECT_EQ(-EDQUOT, send_empty(self->s2.fd, self->to2));
}

TEST_F(quota, says_exfull_when_nobody_could_send)
{
	ASSERT_EQ(0, set_limit(self->r.fd, SLICES, 2));
	EXPECT_EQ(0, send_empty(self->s1.fd, self->to1));
	EXPECT_EQ(-EXFULL, send_empty(self->s1.fd, self->to1));
	EXPECT_EQ(-EXFULL, send_empty(self->s2.fd, self->to2));
}

TEST_F(quota, says_emsgsize_when_even_an_empty_receiver_would_refuse)
{
	static char data[4096];

	ASSERT_EQ(0, set_limit(self->r.fd, BYTES, 4096));
	EXPECT_EQ(-EMSGSIZE, send_bytes(self->s1.fd, self->to1, data, 2049));
	EXPECT_EQ(0, send_bytes(self->s1.fd, self->to1, data, 2048));
	ASSERT_EQ(0, set_limit(self->r.fd, SLICES, 1));
	EXPECT_EQ(-EMSGSIZE, send_empty(self->s2.fd, self->to2));
	ASSERT_EQ(0, set_limit(self->r.fd, SLICES, 0));
	EXPECT_EQ(-EMSGSIZE, send_empty(self->s2.fd, self->to2));
}

TEST_F(quota, says_enobufs_when_it_is_the_callers_own_limit)
{
	__u64 nodes[] = { 0x100 | BUS1_HANDLE_FLAG_NEW,
			  0x108 | BUS1_HANDLE_FLAG_NEW };
	struct state before;
	__u64 out[2];

	/* It holds the handle to the receiver already. */
	ASSERT_EQ(0, set_limit(self->s1.fd, HANDLES, 2));
	state_get(self->s1.fd, &before);
	EXPECT_EQ(-ENOBUFS, send_handles(self->s1.fd, self->to1, nodes, 2));
	EXPECT_EQ(-ENOBUFS, sys_transfer(self->s1.fd, self->s1.fd, nodes, out, 2, 0));
	EXPECT_TRUE(state_same(self->s1.fd, &before));
	EXPECT_EQ(0, send_handles(self->s1.fd, self->to1, nodes, 1));
}

TEST_F(quota, refuses_handles_that_are_given_to_a_full_peer)
{
	ASSERT_EQ(0, set_limit(self->s1.fd, HANDLES, 1));
	EXPECT_EQ(BUS1_HANDLE_INVALID, connect_new(self->r.fd, 16, self->s1.fd));
	EXPECT_EQ(1, query(self->s1.fd).n_handles);
	ASSERT_EQ(0, set_limit(self->s1.fd, HANDLES, 2));
	EXPECT_NE(BUS1_HANDLE_INVALID, connect_new(self->r.fd, 16, self->s1.fd));
}

TEST_F(quota, keeps_slices_until_released_and_descriptors_until_dequeued)
{
	int fds[2] = { STDIN_FILENO, STDERR_FILENO };
	struct bus1_recv_args r;

	ASSERT_EQ(0, send_full(self->s1.fd, &self->to1, 1, "abc", 3, NULL, 0,
			       fds, 2, 0));
	EXPECT_EQ(2, query(self->r.fd).used_inflight_fds);
	EXPECT_EQ(1, query(self->r.fd).used_slices);
	EXPECT_EQ(16, query(self->r.fd).used_inflight_bytes);
	ASSERT_EQ(0, recv_msg(&self->r, &r));
	EXPECT_EQ(0, query(self->r.fd).used_inflight_fds);
	EXPECT_EQ(1, query(self->r.fd).used_slices);
	EXPECT_EQ(16, query(self->r.fd).used_inflight_bytes);
	ASSERT_EQ(0, slice_release_one(self->r.fd, r.offset));
	EXPECT_EQ(0, query(self->r.fd).used_slices);
	EXPECT_EQ(0, query(self->r.fd).used_inflight_bytes);
}

TEST_F(quota, takes_nothing_away_when_a_limit_is_lowered)
{
	struct bus1_recv_args r[4];
	int i;

	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, send_empty(self->s1.fd, self->to1));
	ASSERT_EQ(0, set_limit(self->r.fd, SLICES, 2));
	EXPECT_EQ(4, query(self->r.fd).used_slices);
	EXPECT_EQ(-EXFULL, send_empty(self->s1.fd, self->to1));
	EXPECT_EQ(-EXFULL, send_empty(self->s2.fd, self->to2));
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, recv_msg(&self->r, &r[i]));
		EXPECT_EQ(-EXFULL, send_empty(self->s2.fd, self->to2));
	}
	for (i = 0; i < 4; i++)
		EXPECT_EQ(0, slice_release_one(self->r.fd, r[i].offset));
	EXPECT_EQ(0, send_empty(self->s2.fd, self->to2));
}

TEST_F(quota, lets_an_empty_claimant_through_after_some_messages_were_read)
{
	struct bus1_recv_args r;
	int n;

	ASSERT_EQ(0, set_limit(self->r.fd, SLICES, 4));
	while (!send_empty(self->s1.fd, self->to1))
		;
	EXPECT_EQ(-EXFULL, send_empty(self->s2.fd, self->to2));
	for (n = 0; n < 4 && send_empty(self->s2.fd, self->to2); n++) {
		ASSERT_EQ(0, recv_msg(&self->r, &r));
		ASSERT_EQ(0, slice_release_one(self->r.fd, r.offset));
	}
	EXPECT_EQ(1, n);
}

TEST_F(quota, treats_a_peer_of_the_same_user_as_any_claimant)
{
	struct peer same;
	__u64 to;
	int n = 0;

	ASSERT_EQ(0, open_as(&same, NULL, 999));
	to = connect_peers(self->r.fd, NODE, same.fd);
	ASSERT_EQ(0, set_limit(self->r.fd, SLICES, 20));
	while (!send_empty(same.fd, to) || !send_empty(self->r.fd, NODE))
		n++;
	EXPECT_EQ(10, n);
	EXPECT_EQ(1, count_claims(self->r.fd));
	peer_close(&same);
}

/* Trap 11: the claim of a user shows what it holds and goes away with it. */
TEST_F(quota, shows_claims_in_fdinfo)
{
	__u64 node = 0x100 | BUS1_HANDLE_FLAG_NEW;
	int fd = STDERR_FILENO;

	ASSERT_EQ(0, send_full(self->s1.fd, &self->to1, 1, "0123456789", 10,
			       &node, 1, &fd, 1, 0));
	EXPECT_EQ(1, count_claims(self->r.fd));
	EXPECT_EQ(1001, fdinfo_value(self->r.fd, "claim", 0));
	EXPECT_EQ(1, fdinfo_value(self->r.fd, "claim", 1));
	EXPECT_EQ(1, fdinfo_value(self->r.fd, "claim", 2));
	EXPECT_EQ(slice_size(10, 1, 1), fdinfo_value(self->r.fd, "claim", 3));
	EXPECT_EQ(1, fdinfo_value(self->r.fd, "claim", 4));
	EXPECT_EQ(0, flush(self->r.fd));
	EXPECT_EQ(0, count_claims(self->r.fd));
}

TEST_HARNESS_MAIN
