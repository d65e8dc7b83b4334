// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 selftests: a requester that goes down while it asks
 *
 * One thread asks, another disconnects the peer that it asks with, and the server lets
 * go of the reply handles at once. A request that was committed while its peer was being
 * emptied must leave nothing behind there: who looks at the peer afterwards, or drops what
 * still refers to it, would find it.
 */
#include "reply.h"

#define ASKS	64

FIXTURE(down) {
	struct peer client, server;
	__u64 to_server, seed;
	struct start start;
	__u32 turn, stop;
	int asked, last;
};

FIXTURE_VARIANT(down) {
	bool answers;
};

FIXTURE_VARIANT_ADD(down, by_disconnect_and_drops) { false };
FIXTURE_VARIANT_ADD(down, by_disconnect_and_replies) { true };

FIXTURE_SETUP(down)
{
	ASSERT_EQ(0, peer_open(&self->server, NULL, 0));
	self->client.fd = -1;
	self->seed = SEED();
}

FIXTURE_TEARDOWN(down)
{
	if (self->client.fd >= 0)
		peer_close(&self->client);
	peer_close(&self->server);
}

static void *ask_run(void *arg)
{
	struct _test_data_down *s = arg;
	int i, r = 0;

	start_wait(&s->start, s->turn);
	for (i = 0; i < ASKS && !r; i++) {
		r = ask(s->client.fd, s->to_server, 0x1000 + 8 * i);
		if (r == -ENOBUFS)
			r = 0;
		s->asked += !r;
	}
	s->last = r;
	return NULL;
}

struct serve_job {
	struct _test_data_down *s;
	bool answers;
};

static void *serve_run(void *arg)
{
	struct serve_job *j = arg;
	struct _test_data_down *s = j->s;
	__u64 h;

	/* A request that nobody answers keeps its charge as long as its handle is held. */
	while (!LOAD(&s->stop) || query(s->server.fd).n_queued) {
		h = take(&s->server);
		if (h == INVALID)
			continue;
		if (j->answers)
			send_empty(s->server.fd, h);
		release_one(s->server.fd, h);
	}
	return NULL;
}

TEST_F_TIMEOUT(down, leaves_nothing_in_the_peer_that_asked, 120)
{
	struct serve_job job = { self, variant->answers };
	struct bus1_peer_info info;
	struct worker asker, server;
	struct rng r = rng_for(self->seed, 0);

	for (self->turn = 1; self->turn <= scaled(150); self->turn++) {
		ASSERT_EQ(0, peer_open(&self->client, NULL, 0));
		self->to_server = connect_new(self->server.fd, 8,
					      self->client.fd);
		ASSERT_NE(INVALID, self->to_server);
		self->asked = 0;
		STORE(&self->stop, 0);
		THREAD(&asker, ask_run, self);
		THREAD(&server, serve_run, &job);
		ASSERT_TRUE(start_go(&self->start, self->turn, 1));
		dither(&r, 20000);
		EXPECT_EQ(0, sys_disconnect(self->client.fd, 0));
		JOIN(&asker);
		EXPECT_TRUE(!self->last || self->last == -ESHUTDOWN);
		STORE(&self->stop, 1);
		JOIN(&server);
		/* What comes in or goes meets what was left. */
		EXPECT_EQ(-ESHUTDOWN, sys_query(self->client.fd, &info,
						sizeof(info), 0));
		EXPECT_EQ(0, info.n_queued);
		EXPECT_EQ(0, info.used_handles);
		EXPECT_EQ(0, awaited(self->client.fd));
		peer_close(&self->client);
		ASSERT_EQ(0, destroy_one(self->server.fd, 8));
		drain(&self->server);
		ASSERT_EQ(0, release_one(self->server.fd, 8));
		ASSERT_EQ(0, _metadata->exit_code);
	}
}

TEST_HARNESS_MAIN
