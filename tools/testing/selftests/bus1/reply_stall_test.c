// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 selftests: replies whose memory does not come
 *
 * As stall_test.c, for replies and calls: a reply whose payload is on a page that
 * is held back, a request likewise, and a reply that cannot be stored because
 * the result of the call is on such a page. Nobody else must have to wait, and
 * what is not sent yet is not there for anybody.
 */
#include "reply.h"
#include "uffd.h"

enum stalled { REPLY, REQUEST, RESULT };

FIXTURE(stall) {
	struct trio t;
	int client, server, uffd, result;
	unsigned char *page, content[PAGE];
	enum stalled stalled;
	__u64 h;
	struct bus1_recv_args r;
	struct caller c;
	struct worker w;
	__u32 finished;
};

static int stall_open(struct _test_data_stall *s, enum stalled stalled)
{
	s->page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (s->page == MAP_FAILED)
		return -1;
	s->stalled = stalled;
	s->uffd = uffd_open(s->page, stalled == RESULT);
	memset(s->content, 'x', PAGE);
	return s->uffd;
}

FIXTURE_SETUP(stall)
{
	ASSERT_EQ(0, trio_open(&self->t));
	self->client = self->t.client.fd;
	self->server = self->t.server.fd;
}

FIXTURE_TEARDOWN(stall)
{
	if (self->uffd > 0)
		close(self->uffd);
	trio_close(&self->t);
}

#define OPEN_STALL(kind)						\
	do {								\
		if (stall_open(self, kind) < 0)				\
			SKIP(return, "no userfaultfd here (%s)",	\
			     strerror(errno));				\
	} while (0)

static void *stall_run(void *arg)
{
	struct _test_data_stall *s = arg;
	struct iovec vec = { s->page, 8 };
	struct bus1_recv_args r = { .max_offset = POOL_MAP_SIZE };
	struct bus1_send_args a = request(&s->t.to_server, ASKED, ROOM, 0, 0);

	a.ptr_vecs = to_u64(&vec);
	a.n_vecs = 1;
	if (s->stalled == REQUEST) {
		s->result = call_args(&s->t.client, &a, &r, BUS1_SEND_REPLY,
				      BUS1_RECV_NONBLOCK);
	} else {
		a = request(&s->h, 0, 0, 0, 0);
		a.ptr_vecs = to_u64(&vec);
		a.n_vecs = 1;
		s->result = send_args(s->server, &a, 0);
	}
	STORE(&s->finished, 1);
	return NULL;
}

/* A request that the server holds, and whose reply stands still. */
#define STALL_REPLY()							\
	do {								\
		OPEN_STALL(REPLY);					\
		ASSERT_EQ(0, ask(self->client, self->t.to_server, ASKED)); \
		self->h = take(&self->t.server);			\
		THREAD(&self->w, stall_run, self);			\
		ASSERT_TRUE(uffd_is_wanted(self->uffd));		\
	} while (0)

#define END_STALL(expected)						\
	do {								\
		EXPECT_EQ(0, LOAD(&self->finished));			\
		EXPECT_EQ(0, uffd_fill(self->uffd, self->page,		\
				       self->content));			\
		JOIN(&self->w);						\
		EXPECT_EQ(expected, self->result);			\
	} while (0)

TEST_F(stall, of_a_reply_ends_with_the_reply)
{
	STALL_REPLY();
	EXPECT_TRUE(is_empty(&self->t.client));
	EXPECT_EQ(1, awaited(self->client));
	END_STALL(0);
	EXPECT_TRUE(next_is(&self->t.client, BUS1_MSG_DATA, ASKED));
	EXPECT_TRUE(trio_is_idle(&self->t));
}

TEST_F(stall, of_a_reply_does_not_stop_a_cancellation)
{
	STALL_REPLY();
	EXPECT_EQ(0, destroy_one(self->client, ASKED));
	EXPECT_TRUE(usage_is_and(self->client, &self->t.at_client, 1));
	EXPECT_TRUE(next_is(&self->t.server, BUS1_MSG_NODE_DESTROY, self->h));
	END_STALL(-EHOSTUNREACH);
	EXPECT_TRUE(usage_is_and(self->client, &self->t.at_client, 1));
	EXPECT_EQ(0, release_one(self->server, self->h));
	EXPECT_TRUE(trio_is_idle(&self->t));
}

TEST_F(stall, of_a_reply_does_not_stop_a_flush_of_the_requester)
{
	STALL_REPLY();
	EXPECT_EQ(0, flush(self->client));
	EXPECT_TRUE(usage_is_only(self->client, 1));
	END_STALL(-EHOSTUNREACH);
	EXPECT_TRUE(is_empty(&self->t.client));
	EXPECT_TRUE(usage_is_only(self->client, 1));
	EXPECT_EQ(0, release_one(self->server, self->h));
	EXPECT_TRUE(usage_is_only(self->client, 0));
}

TEST_F(stall, of_a_reply_does_not_stop_a_disconnect_of_the_requester)
{
	STALL_REPLY();
	EXPECT_EQ(0, sys_disconnect(self->client, 0));
	END_STALL(-EHOSTUNREACH);
}

TEST_F(stall, of_a_reply_does_not_stop_another_reply)
{
	STALL_REPLY();
	EXPECT_EQ(0, send_bytes(self->server, self->h, "other", 5));
	EXPECT_TRUE(next_is(&self->t.client, BUS1_MSG_DATA, ASKED));
	END_STALL(-ENXIO);
	EXPECT_TRUE(is_empty(&self->t.client));
	EXPECT_TRUE(trio_is_idle(&self->t));
}

TEST_F(stall, of_a_reply_does_not_stop_a_release)
{
	STALL_REPLY();
	EXPECT_EQ(0, release_one(self->server, self->h));
	EXPECT_TRUE(next_is(&self->t.client, BUS1_MSG_REPLY_DROPPED, ASKED));
	END_STALL(-ENXIO);
	EXPECT_TRUE(is_empty(&self->t.client));
	EXPECT_TRUE(trio_is_idle(&self->t));
}

TEST_F(stall, of_a_reply_does_not_stop_a_move)
{
	__u64 out = INVALID;

	STALL_REPLY();
	ASSERT_EQ(0, send_handles(self->server, self->t.to_worker, &self->h, 1));
	END_STALL(-ENXIO);
	out = take_handle(&self->t.worker);
	EXPECT_EQ(0, send_empty(self->t.worker.fd, out));
	EXPECT_TRUE(next_is(&self->t.client, BUS1_MSG_DATA, ASKED));
	EXPECT_TRUE(trio_is_idle(&self->t));
}

TEST_F(stall, of_a_reply_does_not_stop_a_flush_of_the_holder)
{
	STALL_REPLY();
	EXPECT_EQ(0, flush(self->server));
	EXPECT_TRUE(peer_is_clean(self->server));
	END_STALL(-ENXIO);
	EXPECT_EQ(0, owed(self->server));
	EXPECT_EQ(2, drain(&self->t.client));
	EXPECT_EQ(0, awaited(self->client));
}

TEST_F(stall, of_a_reply_does_not_stop_a_disconnect_of_the_holder)
{
	STALL_REPLY();
	EXPECT_EQ(0, sys_disconnect(self->server, 0));
	EXPECT_EQ(2, drain(&self->t.client));
	EXPECT_EQ(0, awaited(self->client));
	END_STALL(-ESHUTDOWN);
}

TEST_F(stall, of_a_reply_does_not_stop_a_deadline)
{
	STALL_REPLY();
	self->c = caller_for(&self->t.client, 0, ASKED);
	self->c.own.deadline = now_ns() + 10 * MS;
	waiter_run(&self->c);
	EXPECT_EQ(-ETIMEDOUT, self->c.result);
	END_STALL(0);
	EXPECT_EQ(0, fetch(&self->t.client, ASKED, &self->r, 0));
}

/* A request that is not sent yet has no name and costs nothing. */
TEST_F(stall, of_a_request_hides_it)
{
	struct trio_state old;

	trio_get(&self->t, &old);
	OPEN_STALL(REQUEST);
	THREAD(&self->w, stall_run, self);
	ASSERT_TRUE(uffd_is_wanted(self->uffd));
	EXPECT_EQ(-ENXIO, fetch(&self->t.client, ASKED, &self->r, 0));
	EXPECT_EQ(-ENXIO, destroy_one(self->client, ASKED));
	EXPECT_TRUE(trio_same(&self->t, &old));
	EXPECT_EQ(0, ask(self->client, self->t.to_server, ASKED));
	EXPECT_NE(INVALID, take(&self->t.server));
	END_STALL(-EEXIST);
	EXPECT_TRUE(is_empty(&self->t.server));
}

TEST_F(stall, of_a_request_does_not_stop_a_disconnect)
{
	OPEN_STALL(REQUEST);
	THREAD(&self->w, stall_run, self);
	ASSERT_TRUE(uffd_is_wanted(self->uffd));
	EXPECT_EQ(0, sys_disconnect(self->client, 0));
	END_STALL(-ESHUTDOWN);
	EXPECT_TRUE(next_is(&self->t.server, BUS1_MSG_NODE_RELEASE, NODE));
	EXPECT_TRUE(is_empty(&self->t.server));
}

/* A caller whose reply has come and cannot be stored. */
#define STALL_RESULT()							\
	do {								\
		OPEN_STALL(RESULT);					\
		self->c = caller_for(&self->t.client, self->t.to_server, \
				     ASKED);				\
		self->c.r = (struct bus1_recv_args *)self->page;	\
		*self->c.r = self->c.own;				\
		CALL_BLOCKED(&self->w, caller_run, &self->c);		\
		ASSERT_EQ(0, uffd_protect(self->uffd, self->page, true)); \
		EXPECT_EQ(0, send_bytes(self->server,			\
					take(&self->t.server), "x", 1)); \
		ASSERT_TRUE(uffd_is_wanted(self->uffd));		\
	} while (0)

#define END_RESULT(expected)						\
	do {								\
		EXPECT_EQ(0, LOAD(&self->c.done));			\
		EXPECT_EQ(0, uffd_protect(self->uffd, self->page, false)); \
		JOIN(&self->w);						\
		EXPECT_EQ(0, self->c.result);				\
		EXPECT_EQ(expected, self->c.r->error);			\
	} while (0)

TEST_F(stall, of_a_result_ends_with_the_reply)
{
	STALL_RESULT();
	EXPECT_EQ(-EBUSY, fetch(&self->t.client, ASKED, &self->r, 0));
	EXPECT_EQ(-ESTALE, destroy_one(self->client, ASKED));
	EXPECT_TRUE(is_empty(&self->t.client));
	END_RESULT(0);
	EXPECT_EQ(BUS1_MSG_DATA, self->c.r->type);
	EXPECT_EQ(ASKED, self->c.r->destination);
	EXPECT_EQ(0, slice_release_one(self->client, self->c.r->offset));
	EXPECT_TRUE(trio_is_idle(&self->t));
}

TEST_F(stall, of_a_result_does_not_stop_a_flush)
{
	STALL_RESULT();
	EXPECT_EQ(0, flush(self->client));
	EXPECT_TRUE(peer_is_clean(self->client));
	END_RESULT(-ESTALE);
	EXPECT_EQ(BUS1_MSG_NONE, self->c.r->type);
	EXPECT_TRUE(peer_is_clean(self->client));
}

TEST_F(stall, of_a_result_does_not_stop_a_disconnect)
{
	STALL_RESULT();
	EXPECT_EQ(0, sys_disconnect(self->client, 0));
	END_RESULT(-ESHUTDOWN);
	EXPECT_EQ(BUS1_MSG_NONE, self->c.r->type);
}

TEST_F(stall, of_a_result_does_not_stop_other_messages)
{
	__u64 back = connect_peers(self->client, NODE, self->server);

	STALL_RESULT();
	EXPECT_EQ(0, send_empty(self->server, back));
	EXPECT_TRUE(next_is(&self->t.client, BUS1_MSG_DATA, NODE));
	EXPECT_EQ(0, ask(self->client, self->t.to_server, ASKED + 8));
	EXPECT_EQ(0, send_empty(self->server, take(&self->t.server)));
	EXPECT_TRUE(next_is(&self->t.client, BUS1_MSG_DATA, ASKED + 8));
	END_RESULT(0);
	EXPECT_EQ(0, self->c.r->flags);
}

TEST_HARNESS_MAIN
