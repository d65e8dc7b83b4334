// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 selftests: pages of released messages that somebody pins
 *
 * A pipe that a page was spliced into shows the page as it is when the pipe is
 * read. What comes later must not be seen there, unless a slice that is not
 * released lies in the same page.
 */
#include "spare.h"

#include <sys/uio.h>

#define PIPE_SIZE	1048576

/* What a pipe is going to show. The second one is for a look in between. */
struct pinned {
	int fds[2][2];
	size_t size;
	unsigned char *then;
};

enum when { BEFORE, AFTER };
enum way {
	QUICK,			/* as most messages are sent */
	FAULTS,			/* from memory that is not there yet */
	OTHER,			/* by another user */
	ITEMS,			/* with a handle and a descriptor */
	MULTICAST,		/* to two nodes of the receiver */
	MULTICAST_PEERS,	/* to two peers */
	TO_ITSELF,
	REPLY,
	SEED,
	WAYS,
};

/*
 *   s (root)  --to, to_2-->  r  <--to_o--  o (user 1001)
 *   s --to_t--> t,  r --to_s--> s
 */
FIXTURE(pin) {
	struct peer r, s, o, t;
	__u64 to, to_2, to_o, to_t, to_s;
	__u32 tag;
	enum when when;
	enum way way;
};

FIXTURE_VARIANT(pin) {
	enum when when;
	enum way way;
};

FIXTURE_VARIANT_ADD(pin, before_quick) { BEFORE, QUICK };
FIXTURE_VARIANT_ADD(pin, before_faults) { BEFORE, FAULTS };
FIXTURE_VARIANT_ADD(pin, before_other) { BEFORE, OTHER };
FIXTURE_VARIANT_ADD(pin, before_items) { BEFORE, ITEMS };
FIXTURE_VARIANT_ADD(pin, before_multicast) { BEFORE, MULTICAST };
FIXTURE_VARIANT_ADD(pin, before_multicast_to_peers) { BEFORE, MULTICAST_PEERS };
FIXTURE_VARIANT_ADD(pin, before_to_itself) { BEFORE, TO_ITSELF };
FIXTURE_VARIANT_ADD(pin, before_reply) { BEFORE, REPLY };
FIXTURE_VARIANT_ADD(pin, before_seed) { BEFORE, SEED };
FIXTURE_VARIANT_ADD(pin, after_quick) { AFTER, QUICK };
FIXTURE_VARIANT_ADD(pin, after_faults) { AFTER, FAULTS };
FIXTURE_VARIANT_ADD(pin, after_other) { AFTER, OTHER };
FIXTURE_VARIANT_ADD(pin, after_items) { AFTER, ITEMS };
FIXTURE_VARIANT_ADD(pin, after_multicast) { AFTER, MULTICAST };
FIXTURE_VARIANT_ADD(pin, after_multicast_to_peers) { AFTER, MULTICAST_PEERS };
FIXTURE_VARIANT_ADD(pin, after_to_itself) { AFTER, TO_ITSELF };
FIXTURE_VARIANT_ADD(pin, after_reply) { AFTER, REPLY };
FIXTURE_VARIANT_ADD(pin, after_seed) { AFTER, SEED };

FIXTURE_SETUP(pin)
{
	if (geteuid())
		SKIP(return, "only root can open peers of other users");
	noise_make();
	self->when = variant->when;
	self->way = variant->way;
	ASSERT_EQ(0, peer_open(&self->r, NULL, BUS1_OPEN_NONBLOCK));
	ASSERT_EQ(0, peer_open(&self->s, NULL, BUS1_OPEN_NONBLOCK));
	ASSERT_EQ(0, peer_open(&self->t, NULL, BUS1_OPEN_NONBLOCK));
	ASSERT_EQ(0, open_as(&self->o, NULL, 1001));
	self->to = connect_new(self->r.fd, NODE, self->s.fd);
	self->to_2 = connect_new(self->r.fd, NODE + 8, self->s.fd);
	self->to_o = connect_peers(self->r.fd, NODE, self->o.fd);
	self->to_t = connect_new(self->t.fd, NODE, self->s.fd);
	self->to_s = connect_new(self->s.fd, NODE, self->r.fd);
	ASSERT_NE(INVALID, self->to_s);
}

FIXTURE_TEARDOWN(pin)
{
	peer_close(&self->r);
	peer_close(&self->s);
	peer_close(&self->o);
	peer_close(&self->t);
}

static int splice_into(int *fds, const unsigned char *at, size_t n)
{
	struct iovec vec;
	size_t done;
	ssize_t r;

	if (pipe2(fds, O_CLOEXEC) || fcntl(fds[1], F_SETPIPE_SZ, PIPE_SIZE) < 0)
		return -errno;
	for (done = 0; done < n; done += r) {
		vec = (struct iovec){ (void *)(at + done), n - done };
		r = vmsplice(fds[1], &vec, 1, 0);
		if (r <= 0)
			return -EPIPE;
	}
	return 0;
}

/* Reads all that is in the pipe and closes it. */
static bool read_out(int *fds, unsigned char *to, size_t n)
{
	size_t done;
	ssize_t r;

	for (done = 0; done < n; done += r) {
		r = read(fds[0], to + done, n - done);
		if (r <= 0)
			break;
	}
	close(fds[0]);
	close(fds[1]);
	return done == n;
}

/* Splices all pages in which the bytes lie; keeps what they hold now. */
static int pin(struct pinned *p, const struct peer *peer, __u64 offset,
	       size_t size)
{
	__u64 start = offset & ~(PAGE - 1);
	size_t n = ((offset + size + PAGE - 1) & ~(PAGE - 1)) - start;
	int err;

	*p = (struct pinned){ .then = malloc(n), .size = n };
	memcpy(p->then, peer->pool + start, n);
	err = splice_into(p->fds[0], peer->pool + start, n);
	return err ?: splice_into(p->fds[1], peer->pool + start, n);
}

/* Keeps what the pipe shows now in place of what it showed then. */
static bool look_again(struct pinned *p)
{
	return read_out(p->fds[1], p->then, p->size);
}

/* Whether the pipe shows what was there then. */
static bool unpin(struct pinned *p, bool looked_again)
{
	unsigned char *now = malloc(p->size);
	bool same = read_out(p->fds[0], now, p->size);
	size_t i;

	for (i = 0; same && i < p->size && now[i] == p->then[i]; i++)
		;
	same = i == p->size;
	if (!same)
		printf("# byte %zu of %zu is not what it was\n", i, p->size);
	if (!looked_again) {
		close(p->fds[1][0]);
		close(p->fds[1][1]);
	}
	free(p->then);
	free(now);
	return same;
}

/* Sends from pages that the kernel has to fetch first. */
static int send_faulting(int fd, __u64 to, const struct got *g)
{
	int err, mem = memfd_create("bus1", MFD_CLOEXEC);
	void *p;

	if (write(mem, text(g->tag), g->size) != (ssize_t)g->size)
		return -EIO;
	p = mmap(NULL, g->size, PROT_READ, MAP_PRIVATE, mem, 0);
	close(mem);
	if (p == MAP_FAILED)
		return -errno;
	err = send_bytes(fd, to, p, g->size);
	munmap(p, g->size);
	return err;
}

static int send_reply(struct _test_data_pin *t, const struct got *g)
{
	int err = ask_for(t->r.fd, t->to_s, ASKED, g->size, 0, 0);

	return err ?: send_bytes(t->s.fd, take(&t->s), text(g->tag), g->size);
}

static int send_as(struct _test_data_pin *t, const struct got *g)
{
	__u64 two[2] = { t->to, t->way == MULTICAST ? t->to_2 : t->to_t };
	int fd = STDERR_FILENO;

	switch (t->way) {
	case FAULTS:
		return send_faulting(t->s.fd, t->to, g);
	case OTHER:
		return send_bytes(t->o.fd, t->to_o, text(g->tag), g->size);
	case ITEMS:
		return send_full(t->s.fd, &t->to, 1, text(g->tag), g->size,
				 &t->to_t, 1, &fd, 1, 0);
	case MULTICAST:
	case MULTICAST_PEERS:
		return send_multi(t->s.fd, two, 2, text(g->tag), g->size, 0);
	case TO_ITSELF:
		return send_bytes(t->r.fd, NODE, text(g->tag), g->size);
	case REPLY:
		return send_reply(t, g);
	case SEED:
		return send_full(t->r.fd, NULL, 0, text(g->tag), g->size, NULL,
				 0, NULL, 0, BUS1_SEND_SEED);
	default:
		return send_bytes(t->s.fd, t->to, text(g->tag), g->size);
	}
}

/* Receives what came, as often as it came, and releases it. */
static bool take_all(struct _test_data_pin *t, const struct got *sent)
{
	struct bus1_recv_args r;
	struct got g = *sent;
	int i, n = t->way == MULTICAST ? 2 : 1;

	if (t->way == SEED) {
		if (recv_flags(&t->r, &r, BUS1_RECV_SEED))
			return false;
		g.offset = r.offset;
		return is_whole(&t->r, &g) &&
		       !slice_release_one(t->r.fd, g.offset);
	}
	for (i = 0; i < n; i++)
		if (!arrives(&t->r, &g) || slice_release_one(t->r.fd, g.offset))
			return false;
	if (t->way == MULTICAST_PEERS)
		drain(&t->t);
	return is_empty(&t->r);
}

/* The next message may lie beside it, and another seed then, too. */
static int forget_seed(struct _test_data_pin *t)
{
	return sys_reset(t->r.fd, NULL, 0, BUS1_RESET_FLUSH_SEED);
}

static const size_t first_size[] = { 8, 100, 4000, 4096, 5000, 12288, 65536,
				     LARGEST };
static const size_t then_size[] = { 8, 50, 100, 150, 4000, 4096, 8192, 12288,
				    65536, LARGEST };

/* A message whose page is to be pinned. */
static int send_first(struct _test_data_pin *t, struct got *g, size_t size)
{
	int err;

	*g = (struct got){ .size = size, .tag = ++t->tag };
	err = t->way == REPLY ? send_reply(t, g) :
	      t->way == TO_ITSELF ? send_as(t, g) :
	      send_bytes(t->s.fd, t->to, text(g->tag), size);
	return err ?: arrives(&t->r, g) ? 0 : -EBADMSG;
}

/*
 * Releases all of @g, with a page pinned before or after that. Three messages follow.
 * Who pinned a page that nothing was in may see there what comes next, as bytes
 * outside of slices may be anything; but not what comes once that is released.
 */
static void release_and_send(struct __test_metadata *_metadata,
			     struct _test_data_pin *self, struct got *g,
			     unsigned int n, size_t size)
{
	bool after = self->when == AFTER;
	struct pinned p;
	struct got later;
	unsigned int i;

	if (!after)
		ASSERT_EQ(0, pin(&p, &self->r, g->offset, g->size));
	for (i = 0; i < n; i++)
		ASSERT_EQ(0, slice_release_one(self->r.fd, g[i].offset));
	if (after)
		ASSERT_EQ(0, pin(&p, &self->r, g->offset, g->size));
	for (i = 0; i < 3; i++) {
		later = (struct got){ size, ++self->tag };
		ASSERT_EQ(0, send_as(self, &later));
		ASSERT_TRUE(take_all(self, &later));
		if (!after || i)
			continue;
		ASSERT_EQ(0, forget_seed(self));
		ASSERT_TRUE(look_again(&p));
	}
	ASSERT_EQ(0, forget_seed(self));
	EXPECT_TRUE(unpin(&p, after)) {
		TH_LOG("%u times %zu bytes, then %zu", n, g->size, size);
	}
}

TEST_F_TIMEOUT(pin, later_messages_are_not_seen_in_it, 120)
{
	unsigned int i, j;
	struct got g;

	for (i = 0; i < ARRAY_SIZE(first_size); i++) {
		/* Later, what was released is not there any more. */
		if (self->when == AFTER && first_size[i] > 65536)
			break;
		for (j = 0; j < ARRAY_SIZE(then_size); j++) {
			ASSERT_EQ(0, send_first(self, &g, first_size[i]));
			release_and_send(_metadata, self, &g, 1, then_size[j]);
		}
	}
}

static void shuffle(struct got *g, unsigned int n, struct rng *rng)
{
	unsigned int i, j;
	struct got t;

	for (i = n; i > 1; i--) {
		j = rng_below(rng, i);
		t = g[j];
		g[j] = g[i - 1];
		g[i - 1] = t;
	}
}

/* Several share a page: it is not free before the last of them is. */
TEST_F_TIMEOUT(pin, later_messages_are_not_seen_where_several_were, 120)
{
	static const size_t size[] = { 8, 100, 700 };
	struct rng rng = rng_for(SEED(), 0);
	unsigned int i, j, k, n;
	struct got g[6];

	for (n = 2; n <= 6; n++)
		for (i = 0; i < ARRAY_SIZE(size); i++)
			for (j = 0; j < ARRAY_SIZE(then_size); j++) {
				for (k = 0; k < n; k++)
					ASSERT_EQ(0, send_first(self, &g[k],
								size[i]));
				shuffle(g, n, &rng);
				release_and_send(_metadata, self, g, n,
						 then_size[j]);
			}
}

TEST_HARNESS_MAIN
