// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 selftests: who pays for a reply
 *
 * The requester does, when it asks. A server is never refused because of what
 * its clients do or do not read.
 */
#include "reply.h"

#define USERS	10

FIXTURE(budget) {
	struct trio t;
	int client, server;
	__u64 h, bytes, handles, fds;
};

FIXTURE_VARIANT(budget) {
	__u64 bytes, handles, fds;
};

FIXTURE_VARIANT_ADD(budget, of_nothing) { 0, 0, 0 };
FIXTURE_VARIANT_ADD(budget, of_a_byte) { 1, 0, 0 };
FIXTURE_VARIANT_ADD(budget, of_bytes) { 1001, 0, 0 };
FIXTURE_VARIANT_ADD(budget, of_handles) { 0, 7, 0 };
FIXTURE_VARIANT_ADD(budget, of_descriptors) { 0, 0, 5 };
FIXTURE_VARIANT_ADD(budget, of_everything) { 100003, 20, 30 };

FIXTURE_SETUP(budget)
{
	ASSERT_EQ(0, trio_open(&self->t));
	self->client = self->t.client.fd;
	self->server = self->t.server.fd;
	self->bytes = variant->bytes;
	self->handles = variant->handles;
	self->fds = variant->fds;
}

FIXTURE_TEARDOWN(budget)
{
	trio_close(&self->t);
}

static int ask_budget(struct _test_data_budget *s)
{
	return ask_for(s->client, s->t.to_server, ASKED, s->bytes, s->handles,
		       s->fds);
}

/* A reply of @part of the maxima: 0 nothing, 1 half of it, 2 all. */
static int reply_part(struct _test_data_budget *s, int part)
{
	static const char data[100003];
	__u64 handles[20];
	int fds[30], i;

	for (i = 0; i < 20; i++)
		handles[i] = 0x1000 * (i + 1) | NEW;
	for (i = 0; i < 30; i++)
		fds[i] = STDERR_FILENO;
	return send_full(s->server, &s->h, 1, data, s->bytes * part / 2, handles,
			 s->handles * part / 2, fds, s->fds * part / 2, 0);
}

/* All but the handle for the request, which the reply handle's holder keeps. */
TEST_F(budget, is_charged_when_asked_and_given_back_when_cancelled)
{
	struct usage c = self->t.at_client, now;

	ASSERT_EQ(0, ask_budget(self));
	now = usage_of(self->client);
	EXPECT_EQ(c.slices + 1, now.slices);
	EXPECT_EQ(c.bytes + slice_size(self->bytes, self->handles, self->fds),
		  now.bytes);
	EXPECT_EQ(c.handles + 1 + self->handles, now.handles);
	EXPECT_EQ(c.fds + self->fds, now.fds);
	EXPECT_EQ(0, now.queued);
	ASSERT_EQ(0, destroy_one(self->client, ASKED));
	EXPECT_TRUE(usage_is_and(self->client, &c, 1));
	self->h = take(&self->t.server);
	EXPECT_TRUE(usage_is_and(self->client, &c, 1));
	EXPECT_EQ(0, release_one(self->server, self->h));
	EXPECT_TRUE(trio_is_idle(&self->t));
}

TEST_F(budget, is_given_back_when_the_reply_is_dropped)
{
	struct usage c = self->t.at_client;

	ASSERT_EQ(0, ask_budget(self));
	ASSERT_EQ(0, release_one(self->server, take(&self->t.server)));
	c.queued++;
	c.awaited++;
	EXPECT_TRUE(usage_is_and(self->client, &c, 1));
	EXPECT_TRUE(next_is(&self->t.client, BUS1_MSG_REPLY_DROPPED, ASKED));
	EXPECT_TRUE(trio_is_idle(&self->t));
}

TEST_F(budget, shrinks_to_what_the_reply_uses)
{
	struct usage c = self->t.at_client, now;
	struct bus1_recv_args r;
	int part;

	for (part = 0; part <= 2; part++) {
		__u64 n = self->handles * part / 2;

		ASSERT_EQ(0, ask_budget(self));
		self->h = take(&self->t.server);
		ASSERT_EQ(0, reply_part(self, part));
		now = usage_of(self->client);
		EXPECT_EQ(c.slices + 1, now.slices);
		EXPECT_EQ(c.bytes + slice_size(self->bytes * part / 2, n,
					       self->fds * part / 2),
			  now.bytes);
		EXPECT_EQ(c.handles + n, now.handles);
		EXPECT_EQ(c.fds + self->fds * part / 2, now.fds);
		EXPECT_EQ(1, now.queued);
		ASSERT_EQ(0, recv_msg(&self->t.client, &r));
		now = usage_of(self->client);
		EXPECT_EQ(c.fds, now.fds);
		/* These are new to the client, and stay. */
		EXPECT_EQ(c.handles + n, now.handles);
		EXPECT_EQ(c.slices + 1, now.slices);
		ASSERT_EQ(0, sys_release(self->client,
					 msg_handles(&self->t.client, &r), n,
					 0));
		ASSERT_EQ(0, slice_release_one(self->client, r.offset));
		EXPECT_TRUE(usage_is(self->client, &c));
		ASSERT_EQ(n, drain(&self->t.server));
		ASSERT_EQ(0, flush(self->server));
		drain(&self->t.client);
		ASSERT_EQ(0, release_one(self->client, self->t.to_server));
		self->t.to_server = connect_new(self->server, NODE,
						self->client);
	}
}

TEST_F(budget, is_no_claim_of_the_replier)
{
	ASSERT_EQ(0, ask_budget(self));
	EXPECT_EQ(-1, fdinfo_value(self->client, "claim", 0));
	self->h = take(&self->t.server);
	ASSERT_EQ(0, reply_part(self, 2));
	EXPECT_EQ(-1, fdinfo_value(self->client, "claim", 0));
}

/* One less than it needs of a resource, and just enough. */
TEST_F(budget, must_be_within_the_limits_of_the_requester)
{
	struct usage c = self->t.at_client;
	__u64 need[4] = {
		c.slices + 1, c.handles + 1 + self->handles,
		c.bytes + slice_size(self->bytes, self->handles, self->fds),
		c.fds + self->fds,
	};
	struct trio_state old;
	int i;

	for (i = 0; i < 4; i++) {
		struct bus1_peer_limits l = limits_keep();

		((__u64 *)&l)[i] = need[i] - 1;
		if ((i == 2 && !slice_size(self->bytes, self->handles,
					   self->fds)) ||
		    (i == 3 && !self->fds))
			continue;
		ASSERT_EQ(0, sys_reset(self->client, &l, sizeof(l), 0));
		trio_get(&self->t, &old);
		EXPECT_EQ(-ENOBUFS, ask_budget(self));
		EXPECT_TRUE(trio_same(&self->t, &old));
		((__u64 *)&l)[i] = need[i];
		ASSERT_EQ(0, sys_reset(self->client, &l, sizeof(l), 0));
		EXPECT_EQ(0, ask_budget(self));
		EXPECT_EQ(0, destroy_one(self->client, ASKED));
		EXPECT_TRUE(usage_is_and(self->client, &c, 1));
		EXPECT_EQ(0, release_one(self->server, take(&self->t.server)));
		EXPECT_TRUE(trio_is_idle(&self->t));
	}
}

/* The client has no room for anything else any more. */
TEST_F(budget, is_the_replys_whatever_else_the_client_is_sent)
{
	struct bus1_peer_limits none = { 0, 0, 0, 0 };
	__u64 back = connect_peers(self->client, NODE, self->server);

	ASSERT_EQ(0, ask_budget(self));
	self->h = take(&self->t.server);
	while (!send_empty(self->server, back))
		;
	EXPECT_GT(0, send_empty(self->server, back));
	ASSERT_EQ(0, sys_reset(self->client, &none, sizeof(none), 0));
	EXPECT_EQ(0, reply_part(self, 2));
}

/* Per user. */

FIXTURE(user) {
	struct peer server, client;
	__u64 to;
};

FIXTURE_SETUP(user)
{
	if (geteuid())
		SKIP(return, "only root can open peers of other users");
	ASSERT_EQ(0, open_as(&self->server, NULL, 999));
	ASSERT_EQ(0, open_as(&self->client, NULL, 1001));
	self->to = connect_new(self->server.fd, NODE, self->client.fd);
}

FIXTURE_TEARDOWN(user)
{
	peer_close(&self->client);
	peer_close(&self->server);
}

/* A client that asks and never reads, at the limits that peers have. */
TEST_F_TIMEOUT(user, that_never_reads_is_refused_and_the_server_is_not, 120)
{
	static const struct {
		__u64 bytes, handles, fds;
	} shape[] = {
		{ 65536, 0, 0 }, { 0, 1000, 0 }, { 100, 10, 100 },
	};
	struct usage s = usage_of(self->server.fd);
	static char data[65536];
	unsigned int i, n;
	int err;
	__u64 h;

	for (i = 0; i < 3; i++) {
		for (n = 0;; n++) {
			err = ask_for(self->client.fd, self->to, 0x5000 + 8 * n,
				      shape[i].bytes, shape[i].handles,
				      shape[i].fds);
			if (err)
				break;
			h = take(&self->server);
			ASSERT_EQ(0, send_bytes(self->server.fd, h, data,
						shape[i].bytes));
			ASSERT_GT(100000, n);
		}
		EXPECT_EQ(-ENOBUFS, err);
		EXPECT_LT(0, n);
		EXPECT_TRUE(usage_is(self->server.fd, &s));
		EXPECT_EQ(n, drain(&self->client));
	}
}

/*
 * A hundred clients of ten users, each with a thousand requests, and none of
 * them receives anything. The server takes all requests, then answers them.
 */
#define CLIENTS	100
#define CALLS	1000

static int open_crowd(struct peer *client, __u64 *to, const struct peer *server)
{
	struct bus1_peer_limits l = { 4 * CALLS, 8 * CALLS, 1 << 24, 1000 };
	int i;

	for (i = 0; i < CLIENTS; i++) {
		client[i].fd = -1;
		if (open_as(&client[i], &l, 3000 + i % USERS))
			return -1;
		to[i] = connect_peers(server->fd, i ? NODE : NODE | NEW,
				      client[i].fd);
	}
	return 0;
}

TEST_F_TIMEOUT(user, of_a_crowd_that_never_reads_cannot_hurt_the_server, 300)
{
	struct bus1_peer_limits l = { 1 << 20, 1 << 20, 1 << 28, 1000 };
	unsigned int i, n, calls = scaled(CALLS), failed = 0;
	struct peer *client = calloc(CLIENTS, sizeof(*client)), server;
	__u64 *to = calloc(CLIENTS, sizeof(*to)), id;
	__u64 *h = calloc(CLIENTS * calls, sizeof(*h));
	struct usage idle, now;
	int err;

	ASSERT_EQ(0, open_as(&server, &l, 999));
	ASSERT_EQ(0, open_crowd(client, to, &server));
	idle = usage_of(server.fd);
	for (n = 0; n < calls; n++)
		for (i = 0; i < CLIENTS; i++) {
			id = ASKED + 8 * n;
			err = ask_for(client[i].fd, to[i], id, 8, 0, 0);
			ASSERT_EQ(0, err);
			h[n * CLIENTS + i] = take(&server);
			ASSERT_NE(INVALID, h[n * CLIENTS + i]);
		}
	now = usage_of(server.fd);
	EXPECT_EQ(CLIENTS * calls, now.owed);
	now.owed = idle.owed;
	now.ids -= CLIENTS * calls;
	EXPECT_EQ(0, memcmp(&idle, &now, sizeof(now)));
	for (n = CLIENTS * calls; n-- > 0;)
		failed += !!send_bytes(server.fd, h[n], &n, sizeof(n));
	EXPECT_EQ(0, failed);
	EXPECT_TRUE(usage_is(server.fd, &idle));
	/* All of it arrived where it belongs. */
	for (i = 0; i < CLIENTS; i++) {
		EXPECT_EQ(calls, query(client[i].fd).n_queued);
		EXPECT_TRUE(next_is(&client[i], BUS1_MSG_DATA,
				    ASKED + 8 * (calls - 1)));
		peer_close(&client[i]);
	}
	/* Somebody else is served as ever. */
	ASSERT_EQ(0, ask(self->client.fd, connect_peers(server.fd, NODE,
							self->client.fd),
			 ASKED));
	EXPECT_TRUE(BECOMES((id = take(&server)) != INVALID));
	EXPECT_EQ(0, send_empty(server.fd, id));
	EXPECT_TRUE(next_is(&self->client, BUS1_MSG_DATA, ASKED));
	peer_close(&server);
	free(client);
	free(to);
	free(h);
}

TEST_HARNESS_MAIN
