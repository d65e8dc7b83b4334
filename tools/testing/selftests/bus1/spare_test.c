// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 selftests: released messages
 *
 * Most tests come in two variants: one asks after every step what the peer uses,
 * and one only where that hides nothing.
 */
#include "spare.h"

#define MANY	6

/*
 *   s  --to-->  r
 */
FIXTURE(spare) {
	struct peer r, s;
	__u64 to;
	bool watched;
	__u32 tag;
};

FIXTURE_VARIANT(spare) {
	bool watched;
};

FIXTURE_VARIANT_ADD(spare, watched) { true };
FIXTURE_VARIANT_ADD(spare, unwatched) { false };

FIXTURE_SETUP(spare)
{
	noise_make();
	ASSERT_EQ(0, peer_open(&self->r, NULL, BUS1_OPEN_NONBLOCK));
	ASSERT_EQ(0, peer_open(&self->s, NULL, BUS1_OPEN_NONBLOCK));
	self->to = connect_new(self->r.fd, NODE, self->s.fd);
	ASSERT_NE(INVALID, self->to);
	self->watched = variant->watched;
}

FIXTURE_TEARDOWN(spare)
{
	peer_close(&self->r);
	peer_close(&self->s);
}

/* Sends and receives one message. */
static int pass(struct _test_data_spare *t, struct got *g, size_t size)
{
	int err;

	*g = (struct got){ .size = size, .tag = ++t->tag };
	err = send_bytes(t->s.fd, t->to, text(g->tag), size);
	return err ?: arrives(&t->r, g) ? 0 : -EBADMSG;
}

#define EXPECT_USES(slices, bytes)					\
	do {								\
		if (self->watched)					\
			EXPECT_TRUE(uses(&self->r, slices, bytes));	\
	} while (0)

/* Order number @k of @n things. */
static void order_make(unsigned int *order, unsigned int n, unsigned int k)
{
	unsigned int i, j, t;

	for (i = 0; i < n; i++)
		order[i] = i;
	for (i = n; i > 1; k /= i, i--) {
		j = k % i;
		t = order[j];
		order[j] = order[i - 1];
		order[i - 1] = t;
	}
}

/* Sends all of @g, receives them and releases them in the order number @k. */
static void go_round(struct __test_metadata *_metadata,
		     struct _test_data_spare *self, struct got *g,
		     unsigned int n, unsigned int k)
{
	unsigned int order[MANY], i;
	__u64 bytes = 0;

	for (i = 0; i < n; i++) {
		g[i].tag = ++self->tag;
		ASSERT_EQ(0, send_bytes(self->s.fd, self->to, text(g[i].tag),
					g[i].size));
		bytes += align8(g[i].size);
	}
	EXPECT_USES(n, bytes);
	for (i = 0; i < n; i++)
		ASSERT_TRUE(arrives(&self->r, &g[i]));
	order_make(order, n, k);
	for (i = 0; i < n; i++) {
		const struct got *at = &g[order[i]];

		ASSERT_TRUE(is_whole(&self->r, at));
		ASSERT_EQ(0, slice_release_one(self->r.fd, at->offset));
		bytes -= align8(at->size);
		EXPECT_USES(n - 1 - i, bytes);
	}
}

/* Each order of up to four, some of five and six. */
static unsigned int count_orders(unsigned int n)
{
	unsigned int orders = 1, i;

	for (i = 2; i <= n; i++)
		orders *= i;
	return orders < 24 ? orders : 24;
}

TEST_F_TIMEOUT(spare, messages_of_one_size_come_whole_in_any_order, 300)
{
	struct got g[MANY] = {};
	unsigned int s, n, k, i;

	for (s = 0; s < ARRAY_SIZE(size_of); s++)
		for (n = 1; n <= MANY; n++)
			for (k = 0; k < count_orders(n); k++) {
				for (i = 0; i < n; i++)
					g[i].size = size_of[s];
				/* 31 meets all kinds of 720. */
				go_round(_metadata, self, g, n, 31 * k);
			}
	EXPECT_TRUE(uses(&self->r, 0, 0));
}

TEST_F_TIMEOUT(spare, messages_of_other_sizes_come_whole_in_any_order, 300)
{
	struct rng rng = rng_for(SEED(), 0);
	unsigned int round, n, i;
	struct got g[MANY] = {};

	for (round = 0; round < scaled(600); round++) {
		n = 1 + rng_below(&rng, MANY);
		for (i = 0; i < n; i++) {
			g[i].size = size_of[rng_below(&rng,
						      ARRAY_SIZE(size_of))];
			/* A little more or less, too. */
			if (rng_below(&rng, 2) && g[i].size > 40)
				g[i].size -= rng_below(&rng, 40);
		}
		go_round(_metadata, self, g, n, rng_below(&rng, 720));
	}
	EXPECT_TRUE(uses(&self->r, 0, 0));
}

/* One is held all the time: nothing may be written over it. */
TEST_F_TIMEOUT(spare, messages_leave_one_that_is_held_alone, 300)
{
	unsigned int h, a, b;
	struct got held, g;

	for (h = 1; h < ARRAY_SIZE(size_of); h++)
		for (a = 0; a < ARRAY_SIZE(size_of); a++)
			for (b = 0; b < ARRAY_SIZE(size_of); b++) {
				ASSERT_EQ(0, pass(self, &g, size_of[a]));
				ASSERT_EQ(0, pass(self, &held, size_of[h]));
				ASSERT_EQ(0, slice_release_one(self->r.fd,
							       g.offset));
				EXPECT_USES(1, align8(size_of[h]));
				ASSERT_EQ(0, pass(self, &g, size_of[b]));
				EXPECT_TRUE(are_apart(&g, &held));
				EXPECT_TRUE(is_whole(&self->r, &held));
				ASSERT_EQ(0, slice_release_one(self->r.fd,
							       g.offset));
				ASSERT_EQ(0, slice_release_one(self->r.fd,
							       held.offset));
			}
	EXPECT_TRUE(uses(&self->r, 0, 0));
}

/* What comes behind the payload may lie in a page that is not there. */
static int send_vecs(struct _test_data_spare *t, const struct got *g,
		     unsigned int n_vecs, __u64 handle, int fd)
{
	struct iovec vec[3];
	struct bus1_send_args a = {
		.ptr_destinations = to_u64(&t->to),
		.n_destinations = 1,
		.ptr_vecs = to_u64(vec),
		.n_vecs = n_vecs,
		.ptr_handles = to_u64(&handle),
		.n_handles = handle != INVALID,
		.ptr_fds = to_u64(&fd),
		.n_fds = fd >= 0,
	};
	size_t at = 0, n = g->size / n_vecs + 3;
	unsigned int i;

	for (i = 0; i < n_vecs; i++, at += n) {
		vec[i].iov_base = (char *)text(g->tag) + at;
		vec[i].iov_len = i < n_vecs - 1 ? n : g->size - at;
	}
	return send_args(t->s.fd, &a, 0);
}

TEST_F(spare, message_is_sent_whole_with_items_in_a_page_behind)
{
	__u64 id = 0x3000 | NEW, handle;
	unsigned int pages, vecs, kind;
	struct got first, g;
	int fd;

	ASSERT_EQ(0, sys_transfer(self->s.fd, self->s.fd, &id, &handle, 1, 0));
	for (pages = 1; pages < 5; pages++)
		for (vecs = 1; vecs <= 3; vecs++)
			for (kind = 1; kind <= 3; kind++) {
				/* No page is left of the round before. */
				ASSERT_EQ(0, flush(self->r.fd));
				release_one(self->s.fd, self->to);
				self->to = connect_new(self->r.fd, NODE,
						       self->s.fd);
				ASSERT_EQ(0, pass(self, &first, pages * PAGE));
				ASSERT_EQ(0, slice_release_one(self->r.fd,
							       first.offset));
				EXPECT_USES(0, 0);
				g = first;
				g.tag = ++self->tag;
				id = kind & 1 ? handle : INVALID;
				fd = kind & 2 ? STDERR_FILENO : -1;
				ASSERT_EQ(0, send_vecs(self, &g, vecs, id, fd));
				EXPECT_TRUE(arrives(&self->r, &g));
			}
}

/* Replies. */

/*
 * Fails with EFAULT when @n of more bytes were read. The page behind was never
 * there: User Mode Linux would read it.
 */
static int reply_in_vain(int fd, __u64 h, size_t n, size_t size)
{
	size_t room = (size + 2 * PAGE) & ~(PAGE - 1);
	size_t whole = (n + PAGE - 1) & ~(PAGE - 1);
	char *p = mmap(NULL, room + PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int err;

	if (p == MAP_FAILED)
		return -errno;
	memset(p, 'x', whole);
	if (mprotect(p + whole, room + PAGE - whole, PROT_NONE))
		return -errno;
	err = send_bytes(fd, h, p + whole - n, size);
	munmap(p, room + PAGE);
	return err;
}

static int reply(int fd, __u64 h, struct got *g)
{
	return send_bytes(fd, h, text(g->tag), g->size);
}

static const struct {
	size_t first, read, second, third;
} vain[] = {
	{ 2000, 1900, 100, 1800 },
	{ 2000, 1999, 8, 2000 },
	{ 2000, 8, 1000, 3000 },
	{ 9000, 8192, 4090, 9000 },
	{ 70000, 65536, 66000, 60000 },
	{ 70000, 69000, 100, 60000 },
};

/* Here r is the requester. Two more are asked for once the first was answered. */
static void ask_after_vain(struct __test_metadata *_metadata,
			   struct _test_data_spare *self, unsigned int v)
{
	__u64 to = connect_new(self->s.fd, NODE, self->r.fd), h[3];
	struct got g[3] = { { 8, 1 }, { 8, 2 }, { vain[v].third, 3 } };
	__u64 second = align8(vain[v].second), third = align8(vain[v].third);
	int i;

	ASSERT_EQ(0, ask_for(self->r.fd, to, ASKED, vain[v].first, 0, 0));
	h[0] = take(&self->s);
	EXPECT_TRUE(uses(&self->r, 1, align8(vain[v].first)));
	EXPECT_EQ(-EFAULT, reply_in_vain(self->s.fd, h[0], vain[v].read,
					 vain[v].first));
	EXPECT_TRUE(uses(&self->r, 1, align8(vain[v].first)));
	EXPECT_EQ(0, reply(self->s.fd, h[0], &g[0]));
	EXPECT_TRUE(uses(&self->r, 1, 8));
	ASSERT_TRUE(arrives(&self->r, &g[0]));
	ASSERT_EQ(0, slice_release_one(self->r.fd, g[0].offset));
	EXPECT_USES(0, 0);

	ASSERT_EQ(0, ask_for(self->r.fd, to, ASKED, second, 0, 0));
	h[1] = take(&self->s);
	EXPECT_USES(1, second);
	ASSERT_EQ(0, ask_for(self->r.fd, to, ASKED + 8, third, 0, 0));
	h[2] = take(&self->s);
	EXPECT_USES(2, second + third);
	EXPECT_EQ(0, reply(self->s.fd, h[1], &g[1]));
	EXPECT_TRUE(uses(&self->r, 2, 8 + third));
	EXPECT_EQ(0, reply(self->s.fd, h[2], &g[2]));
	EXPECT_TRUE(uses(&self->r, 2, 8 + third));
	ASSERT_TRUE(arrives(&self->r, &g[1]));
	ASSERT_TRUE(arrives(&self->r, &g[2]));
	EXPECT_TRUE(are_apart(&g[1], &g[2]));
	/* Whatever comes now lies elsewhere. */
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, pass(self, &g[0], 1000));
		EXPECT_TRUE(are_apart(&g[0], &g[1]));
		EXPECT_TRUE(are_apart(&g[0], &g[2]));
	}
	EXPECT_TRUE(is_whole(&self->r, &g[1]));
	EXPECT_TRUE(is_whole(&self->r, &g[2]));
	ASSERT_EQ(0, slice_release_one(self->r.fd, g[1].offset));
	ASSERT_EQ(0, slice_release_one(self->r.fd, g[2].offset));
	EXPECT_TRUE(uses(&self->r, 20, 20 * 1000));
}

TEST_F(spare, room_of_a_reply_that_failed_first_serves_for_others)
{
	unsigned int v;

	for (v = 0; v < ARRAY_SIZE(vain); v++) {
		ask_after_vain(_metadata, self, v);
		/* Without handles and pages, as at first. */
		ASSERT_EQ(0, flush(self->r.fd));
		ASSERT_EQ(0, flush(self->s.fd));
		drain(&self->s);
		drain(&self->r);
		release_one(self->s.fd, self->to);
		self->to = connect_new(self->r.fd, NODE, self->s.fd);
		ASSERT_NE(INVALID, self->to);
	}
}

/* Replies of all sizes up to what was asked for, and messages between them. */
TEST_F_TIMEOUT(spare, rooms_of_replies_serve_for_others, 120)
{
	__u64 to = connect_new(self->s.fd, NODE, self->r.fd), h;
	struct rng rng = rng_for(SEED(), 0);
	struct got g, m;
	unsigned int i;
	size_t max;

	for (i = 0; i < scaled(400); i++) {
		max = size_of[rng_below(&rng, ARRAY_SIZE(size_of))];
		g = (struct got){ max ? rng_below(&rng, max + 1) : 0, i };
		ASSERT_EQ(0, ask_for(self->r.fd, to, ASKED, max, 0, 0));
		EXPECT_USES(1, align8(max));
		h = take(&self->s);
		if (rng_below(&rng, 2)) {
			ASSERT_EQ(0, pass(self, &m, size_of[i % 6]));
			ASSERT_EQ(0, slice_release_one(self->r.fd, m.offset));
		}
		ASSERT_EQ(0, reply(self->s.fd, h, &g));
		EXPECT_USES(1, align8(g.size));
		ASSERT_TRUE(arrives(&self->r, &g));
		ASSERT_EQ(0, slice_release_one(self->r.fd, g.offset));
		EXPECT_USES(0, 0);
	}
	EXPECT_TRUE(uses(&self->r, 0, 0));
}

/* What ends a peer, or begins it anew. */

/* Some messages of all sizes, released; one of @size is still held if @hold. */
static int leave_some(struct _test_data_spare *t, bool hold)
{
	struct got g[ARRAY_SIZE(size_of)];
	unsigned int i;
	int err = 0;

	for (i = 0; i < ARRAY_SIZE(size_of) && !err; i++)
		err = pass(t, &g[i], size_of[i]);
	for (i = hold; i < ARRAY_SIZE(size_of) && !err; i++)
		err = slice_release_one(t->r.fd, g[i].offset);
	return err;
}

TEST_F(spare, messages_are_gone_with_a_flush)
{
	struct got g;
	int hold;

	for (hold = 0; hold < 4; hold++) {
		ASSERT_EQ(0, leave_some(self, hold & 1));
		EXPECT_USES(hold & 1, 0);
		/* One that was not read, and one of the peer to itself. */
		if (hold & 2) {
			ASSERT_EQ(0, send_empty(self->s.fd, self->to));
			ASSERT_EQ(0, send_bytes(self->r.fd, NODE, noise, 99));
		}
		ASSERT_EQ(0, flush(self->r.fd));
		EXPECT_EQ(0, fdinfo_value(self->r.fd, "pool", 0));
		EXPECT_TRUE(uses(&self->r, 0, 0));
		EXPECT_TRUE(peer_is_clean(self->r.fd));
		EXPECT_EQ(-EHOSTUNREACH, pass(self, &g, 10));
		release_one(self->s.fd, self->to);
		self->to = connect_new(self->r.fd, NODE, self->s.fd);
	}
}

TEST_F(spare, messages_are_gone_with_a_disconnect)
{
	struct got g;

	ASSERT_EQ(0, leave_some(self, true));
	ASSERT_EQ(0, sys_disconnect(self->r.fd, 0));
	EXPECT_EQ(0, fdinfo_value(self->r.fd, "pool", 0));
	EXPECT_EQ(0, fdinfo_value(self->r.fd, "slices", 0));
	EXPECT_EQ(0, fdinfo_value(self->r.fd, "bytes", 0));
	EXPECT_EQ(-1, fdinfo_value(self->r.fd, "claim", 0));
	EXPECT_EQ(-EHOSTUNREACH, pass(self, &g, 10));
}

#define ADOPT	(BUS1_RESET_FLUSH | BUS1_RESET_FLUSH_SEED | BUS1_RESET_ADOPT)

static int adopt_as(const struct peer *p, uid_t uid)
{
	pid_t child = fork();

	if (!child)
		_exit(become(uid) ? 1 : -sys_reset(p->fd, NULL, 0, ADOPT));
	return wait_child(child);
}

/* Messages that were released do not keep it, a request does. */
TEST_F(spare, messages_do_not_keep_a_peer_from_being_adopted)
{
	__u64 to, h;

	if (geteuid())
		SKIP(return, "only root can open peers of other users");
	peer_close(&self->r);
	ASSERT_EQ(0, open_as(&self->r, NULL, 4001));
	release_one(self->s.fd, self->to);
	self->to = connect_new(self->r.fd, NODE, self->s.fd);
	ASSERT_EQ(0, leave_some(self, false));
	to = connect_new(self->s.fd, NODE, self->r.fd);
	ASSERT_EQ(0, ask(self->r.fd, to, ASKED));
	h = take(&self->s);
	EXPECT_EQ(EBUSY, adopt_as(&self->r, 4002));
	ASSERT_EQ(0, release_one(self->s.fd, h));
	/* The flush took the node along. */
	release_one(self->s.fd, self->to);
	drain(&self->r);
	self->to = connect_new(self->r.fd, NODE, self->s.fd);
	ASSERT_EQ(0, leave_some(self, false));
	EXPECT_USES(0, 0);
	EXPECT_EQ(0, adopt_as(&self->r, 4002));
	EXPECT_TRUE(BECOMES(user_is_clean(4001)));
	release_one(self->s.fd, self->to);
	self->to = connect_new(self->r.fd, NODE, self->s.fd);
	EXPECT_EQ(0, leave_some(self, false));
	EXPECT_USES(0, 0);
	peer_close(&self->r);
	EXPECT_TRUE(BECOMES(user_is_clean(4002)));
}

TEST_F(spare, messages_are_gone_with_the_peer)
{
	int how;

	if (geteuid())
		SKIP(return, "only root can open peers of other users");
	for (how = 0; how < 4; how++) {
		peer_close(&self->r);
		ASSERT_EQ(0, open_as(&self->r, NULL, 4001));
		self->to = connect_new(self->r.fd, NODE, self->s.fd);
		ASSERT_EQ(0, leave_some(self, how & 1));
		EXPECT_USES(how & 1, 0);
		if (how & 2)
			ASSERT_EQ(0, sys_disconnect(self->r.fd, 0));
		peer_close(&self->r);
		EXPECT_TRUE(BECOMES(user_is_clean(4001)));
	}
}

TEST_HARNESS_MAIN
