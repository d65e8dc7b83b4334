// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 selftests: what is kept of a request stays charged
 *
 * A holder that does not let go of what was cancelled, and a requester that does
 * not read what was dropped: whatever the kernel keeps for them is in the quota of
 * the requester, who stops it there, and nobody else is hurt.
 */
#include "reply.h"

#define HELD	8	/* how many requests the limit of the client allows */
#define ADOPT	(BUS1_RESET_FLUSH | BUS1_RESET_FLUSH_SEED | BUS1_RESET_ADOPT)

FIXTURE(hoard) {
	struct trio t;
	int client, server;
	__u64 h[HELD + 1];
	struct bus1_recv_args r;
};

static int limit_handles(int fd, __u64 n)
{
	struct bus1_peer_limits l = limits_keep();

	l.max_handles = n;
	return sys_reset(fd, &l, sizeof(l), 0);
}

FIXTURE_SETUP(hoard)
{
	ASSERT_EQ(0, trio_open(&self->t));
	self->client = self->t.client.fd;
	self->server = self->t.server.fd;
	ASSERT_EQ(0, limit_handles(self->client,
				   self->t.at_client.handles + HELD));
}

FIXTURE_TEARDOWN(hoard)
{
	trio_close(&self->t);
}

/* The smallest requests that there are; all else but the handle comes back. */
static int ask_nothing(struct _test_data_hoard *s)
{
	return ask_for(s->client, s->t.to_server, ASKED, 0, 0, 0);
}

/* The next request in the queue, behind notices. */
static __u64 take_next(const struct peer *p)
{
	struct bus1_recv_args r;
	int err;

	while (!(err = recv_msg(p, &r)) && r.type != BUS1_MSG_DATA)
		;
	return err || slice_release_one(p->fd, r.offset) ? INVALID : r.reply;
}

/* Asks and cancels until it is refused; returns how often it was not. */
static int ask_and_cancel(struct _test_data_hoard *s, bool taken, int *err)
{
	int n;

	for (n = 0; n <= HELD; n++) {
		*err = ask_nothing(s);
		if (*err)
			break;
		if (taken)
			s->h[n] = take_next(&s->t.server);
		if (destroy_one(s->client, ASKED))
			return -1;
	}
	return n;
}

/* The server's own calls go on as ever, past whatever is in its queue. */
static bool can_call(struct _test_data_hoard *s)
{
	__u64 h;

	if (ask(s->server, s->t.to_worker, ASKED))
		return false;
	h = take(&s->t.worker);
	return !send_bytes(s->t.worker.fd, h, "reply", 5) &&
	       !fetch(&s->t.server, ASKED, &s->r, 0) &&
	       !slice_release_one(s->server, s->r.offset);
}

#define HOARD(taken)							\
	do {								\
		int __err = 0;						\
									\
		ASSERT_EQ(HELD, ask_and_cancel(self, taken, &__err));	\
		ASSERT_EQ(-ENOBUFS, __err);				\
		EXPECT_TRUE(usage_is_and(self->client,			\
					 &self->t.at_client, HELD));	\
	} while (0)

TEST_F(hoard, of_handles_is_charged_to_the_requester)
{
	struct usage s = self->t.at_server;
	int i;

	HOARD(true);
	s.ids += HELD;
	s.owed += HELD;
	/* It has read the notices for all but the last. */
	s.queued++;
	EXPECT_TRUE(usage_is(self->server, &s));
	EXPECT_TRUE(can_call(self));
	EXPECT_EQ(1, drain(&self->t.server));
	for (i = 0; i < HELD; i++) {
		EXPECT_EQ(-ENOBUFS, ask_nothing(self));
		EXPECT_EQ(0, release_one(self->server, self->h[i]));
		EXPECT_TRUE(usage_is_and(self->client, &self->t.at_client,
					 HELD - 1));
		/* So much came back, and no more. */
		EXPECT_EQ(0, ask_nothing(self));
		EXPECT_EQ(-ENOBUFS, ask_for(self->client, self->t.to_server,
					    ASKED + 8, 0, 0, 0));
		self->h[i] = take_next(&self->t.server);
		EXPECT_EQ(0, destroy_one(self->client, ASKED));
	}
	EXPECT_TRUE(usage_is_and(self->client, &self->t.at_client, HELD));
	EXPECT_EQ(0, sys_release(self->server, self->h, HELD, 0));
	EXPECT_TRUE(trio_is_idle(&self->t));
}

TEST_F(hoard, of_handles_in_a_message_ends_with_it)
{
	int i;

	for (i = 0; i < HELD; i++) {
		ASSERT_EQ(0, ask_for(self->client, self->t.to_server,
				     ASKED + 8 * i, 0, 0, 0));
		self->h[i] = take(&self->t.server);
	}
	ASSERT_EQ(0, send_handles(self->server, self->t.to_worker, self->h,
				  HELD));
	for (i = 0; i < HELD; i++)
		EXPECT_EQ(0, destroy_one(self->client, ASKED + 8 * i));
	EXPECT_TRUE(usage_is_and(self->client, &self->t.at_client, HELD));
	EXPECT_EQ(-ENOBUFS, ask_nothing(self));
	EXPECT_TRUE(usage_is(self->server, &self->t.at_server));
	EXPECT_EQ(0, flush(self->t.worker.fd));
	EXPECT_TRUE(usage_is(self->client, &self->t.at_client));
	EXPECT_EQ(0, ask_nothing(self));
}

/* A flush gives the requester back what it has itself. */
TEST_F(hoard, of_handles_outlasts_a_flush_of_the_requester)
{
	__u64 to, id;
	int i;

	for (i = 0; i < HELD; i++) {
		id = ASKED + 8 * i;
		ASSERT_EQ(0, ask_for(self->client, self->t.to_server, id, 0, 0,
				     0));
		self->h[i] = take(&self->t.server);
	}
	EXPECT_EQ(0, flush(self->client));
	EXPECT_TRUE(usage_is_only(self->client, HELD));
	to = connect_peers(self->server, NODE, self->client);
	ASSERT_NE(INVALID, to);
	ASSERT_EQ(0, limit_handles(self->client, HELD + 1));
	EXPECT_EQ(-ENOBUFS, ask_for(self->client, to, ASKED, 0, 0, 0));
	EXPECT_EQ(-EBUSY, sys_reset(self->client, NULL, 0, ADOPT));
	EXPECT_EQ(0, sys_release(self->server, self->h, HELD - 1, 0));
	EXPECT_EQ(-EBUSY, sys_reset(self->client, NULL, 0, ADOPT));
	EXPECT_TRUE(usage_is_only(self->client, 1));
	EXPECT_EQ(0, release_one(self->server, self->h[HELD - 1]));
	EXPECT_TRUE(usage_is_only(self->client, 0));
	EXPECT_EQ(0, sys_reset(self->client, NULL, 0, ADOPT));
}

/* How the holder ends, and whether it has taken the requests. */
enum way { FLUSH, DISCONNECT, CLOSE };

FIXTURE(holder) {
	struct _test_data_hoard hoard;
};

FIXTURE_VARIANT(holder) {
	enum way way;
	bool taken;
};

FIXTURE_VARIANT_ADD(holder, that_is_flushed) { FLUSH, true };
FIXTURE_VARIANT_ADD(holder, that_is_disconnected) { DISCONNECT, true };
FIXTURE_VARIANT_ADD(holder, that_is_closed) { CLOSE, true };
FIXTURE_VARIANT_ADD(holder, that_has_read_nothing_is_flushed) { FLUSH, false };
FIXTURE_VARIANT_ADD(holder, that_has_read_nothing_is_closed) { CLOSE, false };
FIXTURE_VARIANT_ADD(holder, that_has_read_nothing_is_disconnected) {
	DISCONNECT, false
};

FIXTURE_SETUP(holder)
{
	hoard_setup(_metadata, &self->hoard, NULL);
}

FIXTURE_TEARDOWN(holder)
{
	trio_close(&self->hoard.t);
}

static int end(struct peer *p, enum way way)
{
	if (way == FLUSH)
		return flush(p->fd);
	if (way == DISCONNECT)
		return sys_disconnect(p->fd, 0);
	peer_close(p);
	return 0;
}

TEST_F(holder, gives_all_of_it_back)
{
	struct _test_data_hoard *s = &self->hoard;
	struct usage c = s->t.at_client;
	int err = 0;

	ASSERT_EQ(HELD, ask_and_cancel(s, variant->taken, &err));
	EXPECT_EQ(-ENOBUFS, err);
	EXPECT_TRUE(usage_is_and(s->client, &c, HELD));
	EXPECT_TRUE(can_call(s));
	EXPECT_EQ(0, end(&s->t.server, variant->way));
	/* All that comes is that the server's node is gone. */
	EXPECT_TRUE(next_is(&s->t.client, BUS1_MSG_NODE_DESTROY,
			    s->t.to_server));
	EXPECT_TRUE(is_empty(&s->t.client));
	EXPECT_TRUE(usage_is(s->client, &c));
}

/* Drops that nobody receives. */

static int ask_and_drop(struct _test_data_hoard *s, int *err)
{
	int n;

	for (n = 0; n <= HELD; n++) {
		*err = ask_for(s->client, s->t.to_server, ASKED + 8 * n, 0, 0,
			       0);
		if (*err)
			break;
		if (release_one(s->server, take(&s->t.server)))
			return -1;
	}
	return n;
}

#define HOARD_DROPS()							\
	do {								\
		struct usage __c = self->t.at_client;			\
		int __err = 0;						\
									\
		ASSERT_EQ(HELD, ask_and_drop(self, &__err));		\
		ASSERT_EQ(-ENOBUFS, __err);				\
		__c.queued += HELD;					\
		__c.awaited += HELD;					\
		EXPECT_TRUE(usage_is_and(self->client, &__c, HELD));	\
		EXPECT_TRUE(usage_is(self->server, &self->t.at_server)); \
	} while (0)

TEST_F(hoard, of_drops_is_charged_to_the_requester)
{
	int i;

	HOARD_DROPS();
	EXPECT_TRUE(can_call(self));
	for (i = 0; i < HELD; i++) {
		EXPECT_TRUE(next_is(&self->t.client, BUS1_MSG_REPLY_DROPPED,
				    ASKED + 8 * i));
		EXPECT_EQ(self->t.at_client.handles + HELD - i - 1,
			  query(self->client).used_handles);
	}
	EXPECT_TRUE(trio_is_idle(&self->t));
	HOARD_DROPS();
	/* One that is read makes room for one. */
	EXPECT_TRUE(next_is(&self->t.client, BUS1_MSG_REPLY_DROPPED, ASKED));
	EXPECT_EQ(0, ask_nothing(self));
	EXPECT_EQ(-ENOBUFS, ask_for(self->client, self->t.to_server,
				    ASKED + 8 * HELD, 0, 0, 0));
}

TEST_F(hoard, of_drops_ends_with_a_flush)
{
	HOARD_DROPS();
	EXPECT_EQ(0, flush(self->client));
	EXPECT_TRUE(usage_is_only(self->client, 0));
	EXPECT_EQ(0, sys_reset(self->client, NULL, 0, ADOPT));
}

TEST_F(hoard, of_drops_is_no_obstacle_to_an_adoption)
{
	HOARD_DROPS();
	EXPECT_EQ(0, sys_reset(self->client, NULL, 0, ADOPT));
	EXPECT_TRUE(usage_is_only(self->client, 0));
}

/*
 * A replier that fails has written to pages of the requester's already. They go with
 * the slice, but for what a pool keeps as a cache anyway.
 */
#define PAGES	4

/* A reply of three pages, of which the last cannot be read. */
static int reply_in_vain(struct _test_data_hoard *s)
{
	long page = sysconf(_SC_PAGESIZE);
	char *p = mmap(NULL, PAGES * page, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int err;

	if (p == MAP_FAILED)
		return -errno;
	/* User Mode Linux reads a page that was there before it was protected. */
	memset(p, 'x', 2 * page);
	if (mprotect(p + 2 * page, page, PROT_NONE))
		return -errno;
	err = send_bytes(s->server, s->h[0], p, 3 * page);
	munmap(p, PAGES * page);
	return err;
}

#define FAIL_ONCE()							\
	do {								\
		ASSERT_EQ(0, ask_for(self->client, self->t.to_server, ASKED, \
				     PAGES * sysconf(_SC_PAGESIZE), 0, 0)); \
		self->h[0] = take(&self->t.server);			\
		EXPECT_EQ(-EFAULT, reply_in_vain(self));		\
	} while (0)

/* The room that it was written to is given back. */
TEST_F(hoard, of_what_a_failed_reply_wrote_is_nothing)
{
	FAIL_ONCE();
	ASSERT_EQ(0, send_bytes(self->server, self->h[0], "small", 5));
	EXPECT_EQ(self->t.at_client.bytes + 8,
		  query(self->client).used_inflight_bytes);
	ASSERT_EQ(0, recv_msg(&self->t.client, &self->r));
	EXPECT_EQ(5, self->r.n_bytes);
	EXPECT_EQ(0, memcmp("small", msg_payload(&self->t.client, &self->r), 5));
	EXPECT_EQ(0, slice_release_one(self->client, self->r.offset));
	EXPECT_TRUE(trio_is_idle(&self->t));
}

TEST_F(hoard, of_what_a_failed_reply_wrote_ends_with_the_drop)
{
	FAIL_ONCE();
	EXPECT_EQ(0, release_one(self->server, self->h[0]));
	EXPECT_EQ(self->t.at_client.bytes,
		  query(self->client).used_inflight_bytes);
	EXPECT_TRUE(next_is(&self->t.client, BUS1_MSG_REPLY_DROPPED, ASKED));
	EXPECT_TRUE(trio_is_idle(&self->t));
}

TEST_F(hoard, of_what_a_failed_reply_wrote_ends_with_the_cancellation)
{
	FAIL_ONCE();
	EXPECT_EQ(0, destroy_one(self->client, ASKED));
	EXPECT_TRUE(usage_is_and(self->client, &self->t.at_client, 1));
	EXPECT_EQ(0, release_one(self->server, self->h[0]));
	EXPECT_TRUE(trio_is_idle(&self->t));
}

/* Of a user, whose peer was closed meanwhile. */

FIXTURE(user) {
	struct peer server, client[2];
	__u64 to[2], h[6];
};

FIXTURE_SETUP(user)
{
	int i;

	if (geteuid())
		SKIP(return, "only root can open peers of other users");
	ASSERT_EQ(0, open_as(&self->server, NULL, 999));
	ASSERT_NE(INVALID, connect_new(self->server.fd, NODE, self->server.fd));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, open_as(&self->client[i], NULL, 1001));
		self->to[i] = connect_peers(self->server.fd, NODE,
					    self->client[i].fd);
		ASSERT_NE(INVALID, self->to[i]);
	}
}

FIXTURE_TEARDOWN(user)
{
	peer_close(&self->client[1]);
	peer_close(&self->server);
}

/* Besides what its other peer has. */
static long long reserved(const struct _test_data_user *s, int resource)
{
	struct bus1_peer_info i = query(s->client[1].fd);
	__u64 n = ((__u64 *)&i)[resource];

	return fdinfo_value(s->client[1].fd, "reserved", resource) -
	       (resource == 2 ? n / 1024 : n);
}

TEST_F(user, pays_for_what_is_held_of_a_peer_that_is_closed)
{
	int i;

	for (i = 0; i < 6; i++) {
		ASSERT_EQ(0, ask_for(self->client[0].fd, self->to[0], ASKED,
				     100, 2, 3));
		self->h[i] = take_next(&self->server);
		ASSERT_EQ(0, destroy_one(self->client[0].fd, ASKED));
	}
	peer_close(&self->client[0]);
	for (i = 0; i < 4; i++)
		EXPECT_EQ(i == 1 ? 6 : 0, reserved(self, i));
	for (i = 0; i < 6; i++) {
		EXPECT_EQ(0, release_one(self->server.fd, self->h[i]));
		EXPECT_EQ(5 - i, reserved(self, 1));
	}
}

TEST_F(user, has_back_at_once_what_a_closed_peer_has_not_read)
{
	int i;

	for (i = 0; i < 6; i++) {
		ASSERT_EQ(0, ask_for(self->client[0].fd, self->to[0],
				     ASKED + 8 * i, 100, 2, 3));
		ASSERT_EQ(0, release_one(self->server.fd, take(&self->server)));
	}
	peer_close(&self->client[0]);
	for (i = 0; i < 4; i++)
		EXPECT_EQ(0, reserved(self, i));
}

TEST_HARNESS_MAIN
