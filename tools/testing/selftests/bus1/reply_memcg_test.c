// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 selftests: replies to a requester whose memory cgroup is full
 *
 * The reply was paid for, but its pages are had when it is sent. If they cannot
 * be had, that is the requester's affair: the send succeeds, what it carried is
 * dropped, and the requester is told that there will be no reply.
 */
#include "reply.h"

#define GROUP	"/sys/fs/cgroup/bus1-reply"
#define MIB	(1UL << 20)
#define SIZE	(256UL << 10)
#define COUNT	32		/* twice what fits into the group */

static char data[SIZE];

FIXTURE(memcg) {
	struct peer client, server;
	__u64 to, h[COUNT];
	struct usage idle, serving;
};

static int enter(const char *group)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/cgroup.procs", group);
	return write_file(path, "0");
}

static long long oom_kills(void)
{
	char buf[1024], *s;

	if (read_file(GROUP "/memory.events", buf, sizeof(buf)) < 0)
		return -1;
	s = strstr(buf, "oom_kill ");
	return s ? strtoll(s + 9, NULL, 10) : -1;
}

static bool group_make(void)
{
	write_file("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	if (mkdir(GROUP, 0755) && errno != EEXIST)
		return false;
	write_file(GROUP "/memory.swap.max", "0");
	return !write_file(GROUP "/memory.max", "4194304");
}

FIXTURE_SETUP(memcg)
{
	struct bus1_peer_limits l = { 60000, 2000000, 60 * MIB, 1000 };

	self->client.fd = -1;
	self->server.fd = -1;
	if (geteuid() || !group_make())
		SKIP(return, "no cgroup v2 with memory.max, or not root");
	ASSERT_EQ(0, enter(GROUP));
	ASSERT_EQ(0, peer_open(&self->client, &l, BUS1_OPEN_NONBLOCK));
	ASSERT_EQ(0, enter("/sys/fs/cgroup"));
	ASSERT_EQ(0, peer_open(&self->server, &l, BUS1_OPEN_NONBLOCK));
	self->to = connect_new(self->server.fd, NODE, self->client.fd);
	memset(data, 'x', sizeof(data));
	self->idle = usage_of(self->client.fd);
	self->serving = usage_of(self->server.fd);
}

FIXTURE_TEARDOWN(memcg)
{
	peer_close(&self->client);
	peer_close(&self->server);
	rmdir(GROUP);
}

static bool ask_all(struct _test_data_memcg *s)
{
	int i;

	for (i = 0; i < COUNT; i++) {
		if (ask_for(s->client.fd, s->to, ASKED + 8 * i, SIZE, 1, 1))
			return false;
		s->h[i] = take(&s->server);
	}
	return true;
}

static bool is_whole(const struct peer *p, const struct bus1_recv_args *r)
{
	return r->n_bytes == SIZE && !memcmp(msg_payload(p, r), data, SIZE);
}

TEST_F_TIMEOUT(memcg, that_is_full_makes_drops_of_replies, 120)
{
	struct bus1_recv_args r;
	int i, replies = 0, drops = 0;

	ASSERT_TRUE(ask_all(self));
	for (i = 0; i < COUNT; i++)
		EXPECT_EQ(0, send_bytes(self->server.fd, self->h[i], data,
					SIZE));
	EXPECT_EQ(0, oom_kills());
	EXPECT_TRUE(usage_is(self->server.fd, &self->serving));
	/* Each ends in its place. */
	for (i = 0; i < COUNT; i++) {
		ASSERT_EQ(0, recv_msg(&self->client, &r));
		EXPECT_EQ(ASKED + 8 * i, r.destination);
		if (r.type == BUS1_MSG_DATA) {
			EXPECT_TRUE(is_whole(&self->client, &r));
			EXPECT_EQ(0, slice_release_one(self->client.fd,
						       r.offset));
			replies++;
		} else {
			EXPECT_EQ(BUS1_MSG_REPLY_DROPPED, r.type);
			EXPECT_TRUE(notice_is_plain(&r));
			drops++;
		}
	}
	EXPECT_LT(4, replies);
	EXPECT_LT(4, drops);
	EXPECT_TRUE(usage_is(self->client.fd, &self->idle));
	/* There is room again. */
	ASSERT_EQ(0, ask_for(self->client.fd, self->to, ASKED, SIZE, 0, 0));
	ASSERT_EQ(0, send_bytes(self->server.fd, take(&self->server), data,
				SIZE));
	EXPECT_TRUE(next_is(&self->client, BUS1_MSG_DATA, ASKED));
}

/* What such a reply carried is given up: a node, a descriptor, a reply. */
TEST_F_TIMEOUT(memcg, that_is_full_gives_up_what_replies_carried, 120)
{
	struct pollfd end = { .events = POLLIN };
	int i, p[2], released = 0, live = 0;
	struct bus1_recv_args r;
	__u64 node;

	ASSERT_TRUE(ask_all(self));
	ASSERT_EQ(0, pipe(p));
	for (i = 0; i < COUNT; i++) {
		node = 0x10000 + 8 * i;
		node |= NEW;
		EXPECT_EQ(0, send_full(self->server.fd, &self->h[i], 1, data,
				       SIZE, &node, 1, &p[1], 1, 0));
	}
	close(p[1]);
	while (!recv_msg(&self->server, &r)) {
		EXPECT_EQ(BUS1_MSG_NODE_RELEASE, r.type);
		released++;
	}
	for (i = 0; i < COUNT; i++) {
		ASSERT_EQ(0, recv_msg(&self->client, &r));
		live += r.type == BUS1_MSG_DATA;
	}
	EXPECT_EQ(COUNT, live + released);
	EXPECT_LT(4, released);
	EXPECT_EQ(0, oom_kills());
	/* Received without the descriptors: no copy of it is left. */
	end.fd = p[0];
	EXPECT_EQ(1, poll(&end, 1, 20000));
	EXPECT_TRUE(end.revents & POLLHUP);
	close(p[0]);
}

/* The room for a reply is had when it is asked for, or nothing is sent. */
TEST_F_TIMEOUT(memcg, that_is_full_refuses_requests, 120)
{
	struct state client, server;
	int n = 0, err;

	/* So little that the limits of the user are further away. */
	ASSERT_EQ(0, write_file(GROUP "/memory.max", "1048576"));
	do {
		state_get(self->client.fd, &client);
		state_get(self->server.fd, &server);
		err = ask_for(self->client.fd, self->to, ASKED + 8 * n, 8,
			      BUS1_HANDLE_MAX, 0);
		if (!err)
			EXPECT_NE(INVALID, take(&self->server));
	} while (!err && ++n < 100000);
	EXPECT_EQ(-ENOMEM, err);
	EXPECT_LT(10, n);
	EXPECT_TRUE(state_same(self->client.fd, &client));
	EXPECT_TRUE(state_same(self->server.fd, &server));
	EXPECT_EQ(0, oom_kills());
	/* What was taken back leaves room for another. */
	EXPECT_EQ(0, destroy_one(self->client.fd, ASKED));
	EXPECT_EQ(0, destroy_one(self->client.fd, ASKED + 8));
	EXPECT_EQ(0, ask_for(self->client.fd, self->to, ASKED, 8, 0, 0));
}

/* A call that waits ends with the drop. */
TEST_F_TIMEOUT(memcg, that_is_full_ends_a_call, 120)
{
	struct caller c = caller_for(&self->client, self->to, ASKED - 8);
	struct worker w;
	int i;

	ASSERT_TRUE(ask_all(self));
	for (i = 0; i < COUNT; i++)
		EXPECT_EQ(0, send_bytes(self->server.fd, self->h[i], data,
					SIZE));
	ASSERT_EQ(0, fcntl(self->client.fd, F_SETFL, 0));
	ASSERT_EQ(0, ask_for(self->client.fd, self->to, ASKED - 8, SIZE, 0, 0));
	CALL_BLOCKED(&w, waiter_run, &c);
	EXPECT_EQ(0, send_bytes(self->server.fd, take(&self->server), data,
				SIZE));
	JOIN(&w);
	EXPECT_EQ(0, c.result);
	EXPECT_EQ(BUS1_MSG_REPLY_DROPPED, c.own.type);
	EXPECT_EQ(ASKED - 8, c.own.destination);
	EXPECT_TRUE(notice_is_plain(&c.own));
}

TEST_HARNESS_MAIN
