// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 selftests: processes that are killed while they call or are called
 */
#include "reply.h"

FIXTURE(kill) {
	struct trio t;
	int client, server;
	struct caller *c;
	struct bus1_recv_args *r;
	struct rng rng;
	pid_t child;
};

FIXTURE_SETUP(kill)
{
	ASSERT_EQ(0, trio_open(&self->t));
	self->client = self->t.client.fd;
	self->server = self->t.server.fd;
	self->c = share(sizeof(*self->c));
	self->r = share(sizeof(*self->r));
	self->rng = rng_for(SEED(), 0);
}

FIXTURE_TEARDOWN(kill)
{
	trio_close(&self->t);
}

/* Makes a child that runs @fn, dies with this process, and never returns. */
static pid_t child_start(void *(*fn)(void *), void *arg)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	fn(arg);
	pause();
	_exit(1);
}

static bool child_sleeps(pid_t pid)
{
	return task_state(pid, pid) == 'S';
}

static void linger(struct rng *r, unsigned int us)
{
	__u64 end = now_ns() + rng_below(r, us) * 1000ULL;

	while (now_ns() < end)
		;
}

/*
 * The caller shares its peer with this process. Either its struct, in shared
 * memory, says that the reply was received, or the reply is in the queue.
 */
TEST_F_TIMEOUT(kill, of_a_caller_loses_no_reply, 120)
{
	unsigned int round, rounds = scaled(60), taken = 0;
	struct bus1_recv_args r;
	__u64 h;

	for (round = 0; round < rounds; round++) {
		*self->c = caller_for(&self->t.client, self->t.to_server, ASKED);
		*self->r = self->c->own;
		self->c->r = self->r;
		self->child = child_start(caller_run, self->c);
		ASSERT_LT(0, self->child);
		ASSERT_TRUE(BECOMES((h = take(&self->t.server)) != INVALID));
		if (round & 1)
			kill(self->child, SIGKILL);
		EXPECT_EQ(0, send_bytes(self->server, h, "reply", 5));
		if (!(round & 1)) {
			linger(&self->rng, 200);
			kill(self->child, SIGKILL);
		}
		EXPECT_EQ(128 + SIGKILL, wait_child(self->child));
		if (LOAD(&self->r->type) == BUS1_MSG_DATA) {
			EXPECT_EQ(ASKED, self->r->destination);
			EXPECT_EQ(5, self->r->n_bytes);
			EXPECT_EQ(0, slice_release_one(self->client,
						       self->r->offset));
			taken++;
		} else {
			EXPECT_EQ(0, fetch(&self->t.client, ASKED, &r, 0));
			EXPECT_EQ(0, slice_release_one(self->client, r.offset));
		}
		EXPECT_TRUE(trio_is_idle(&self->t));
		ASSERT_EQ(0, _metadata->exit_code);
	}
	TH_LOG("%u of %u were received", taken, rounds);
}

/* Killed while it waits: the request stands, and somebody else goes on. */
TEST_F(kill, of_a_caller_leaves_its_request_to_others)
{
	struct bus1_recv_args r;

	*self->c = caller_for(&self->t.client, self->t.to_server, ASKED);
	self->child = child_start(caller_run, self->c);
	ASSERT_TRUE(BECOMES(LOAD(&self->c->tid) && child_sleeps(self->child)));
	EXPECT_EQ(-EBUSY, fetch(&self->t.client, ASKED, &r, 0));
	kill(self->child, SIGKILL);
	EXPECT_EQ(128 + SIGKILL, wait_child(self->child));
	EXPECT_EQ(-EAGAIN, fetch(&self->t.client, ASKED, &r, 0));
	EXPECT_EQ(0, send_bytes(self->server, take(&self->t.server), "x", 1));
	EXPECT_EQ(0, fetch(&self->t.client, ASKED, &r, 0));
	EXPECT_EQ(0, slice_release_one(self->client, r.offset));
	EXPECT_TRUE(trio_is_idle(&self->t));
}

/* The requester's peer goes with the process. */
TEST_F_TIMEOUT(kill, of_a_requester_cancels, 120)
{
	unsigned int round, told;
	struct bus1_recv_args r;
	__u64 h;
	int err;

	for (round = 0; round < scaled(40); round++) {
		*self->c = caller_for(&self->t.client, self->t.to_server, ASKED);
		self->child = child_start(caller_run, self->c);
		close(self->client);
		self->t.client.fd = -1;
		ASSERT_TRUE(BECOMES((h = take(&self->t.server)) != INVALID));
		linger(&self->rng, 300);
		kill(self->child, SIGKILL);
		err = send_bytes(self->server, h, "reply", 5);
		EXPECT_TRUE(!err || err == -EHOSTUNREACH);
		EXPECT_EQ(128 + SIGKILL, wait_child(self->child));
		/* A notice iff the handle is still there. */
		for (told = 0; query(self->server).n_queued;)
			if (!recv_msg(&self->t.server, &r))
				told += r.type == BUS1_MSG_NODE_DESTROY &&
					r.destination == h;
		if (err) {
			ASSERT_TRUE(BECOMES(told ||
					    (!recv_msg(&self->t.server, &r) &&
					     r.destination == h)));
			EXPECT_EQ(0, release_one(self->server, h));
		} else {
			EXPECT_EQ(0, told);
			EXPECT_EQ(-ENXIO, release_one(self->server, h));
		}
		EXPECT_EQ(0, owed(self->server));
		trio_close(&self->t);
		ASSERT_EQ(0, trio_open(&self->t));
		self->client = self->t.client.fd;
		self->server = self->t.server.fd;
		ASSERT_EQ(0, _metadata->exit_code);
	}
}

/* The holder's peer goes with the process, at any stage of a request. */
enum stage { UNREAD, READ, HELD, SERVING, PASSED_ON };

FIXTURE(holder) {
	struct trio t;
	struct caller *c;
	struct rng rng;
	__u32 *ready;
	enum stage stage;
};

FIXTURE_VARIANT(holder) {
	enum stage stage;
};

FIXTURE_VARIANT_ADD(holder, before_it_reads) { UNREAD };
FIXTURE_VARIANT_ADD(holder, while_it_reads) { READ };
FIXTURE_VARIANT_ADD(holder, while_it_holds_the_handle) { HELD };
FIXTURE_VARIANT_ADD(holder, while_it_waits_for_the_next) { SERVING };
FIXTURE_VARIANT_ADD(holder, after_it_passed_it_on_to_itself) { PASSED_ON };

FIXTURE_SETUP(holder)
{
	ASSERT_EQ(0, trio_open(&self->t));
	self->ready = share(sizeof(*self->ready));
	self->rng = rng_for(SEED(), 0);
	self->stage = variant->stage;
}

FIXTURE_TEARDOWN(holder)
{
	trio_close(&self->t);
}

/* Takes two requests, replies to the first and waits for a third one. */
static void serve(struct trio *t)
{
	__u64 h = INVALID;
	struct bus1_send_args a = {
		.ptr_destinations = to_u64(&h), .n_destinations = 1,
	};
	struct bus1_recv_args r = { .max_offset = t->server.pool_size };

	while (h == INVALID)
		h = take(&t->server);
	while (take(&t->server) == INVALID)
		;
	call_args(&t->server, &a, &r, 0, 0);
}

static void *hold(void *arg)
{
	struct _test_data_holder *s = arg;
	struct bus1_recv_args r;
	__u64 h[2], out;

	if (s->stage == READ)
		recv_wait(&s->t.server, &r);
	if (s->stage == SERVING)
		serve(&s->t);
	if (s->stage == HELD || s->stage == PASSED_ON) {
		while ((h[0] = take(&s->t.server)) == INVALID)
			;
		while ((h[1] = take(&s->t.server)) == INVALID)
			;
	}
	if (s->stage == PASSED_ON) {
		send_handles(s->t.server.fd, s->t.to_worker, &h[0], 1);
		sys_transfer(s->t.server.fd, s->t.worker.fd, &h[1], &out, 1, 0);
	}
	STORE(s->ready, 1);
	return NULL;
}

static bool is_ready(struct _test_data_holder *s, pid_t child)
{
	switch (s->stage) {
	case READ:
		return true;
	case SERVING:
		return query(s->t.client.fd).n_queued && child_sleeps(child);
	default:
		return LOAD(s->ready);
	}
}

TEST_F_TIMEOUT(holder, is_killed_and_each_request_has_one_end, 120)
{
	unsigned int round, replies, drops;
	struct bus1_recv_args r;
	int i, fd;
	pid_t child;

	for (round = 0; round < scaled(20); round++) {
		STORE(self->ready, 0);
		child = child_start(hold, self);
		close(self->t.server.fd);
		close(self->t.worker.fd);
		self->t.server.fd = -1;
		self->t.worker.fd = -1;
		fd = self->t.client.fd;
		for (i = 0; i < 2; i++)
			ASSERT_EQ(0, ask(fd, self->t.to_server, ASKED + 8 * i));
		ASSERT_TRUE(BECOMES(is_ready(self, child)));
		linger(&self->rng, self->stage == READ ? 1000 : 1);
		kill(child, SIGKILL);
		EXPECT_EQ(128 + SIGKILL, wait_child(child));
		for (i = replies = drops = 0; i < 2;) {
			if (!BECOMES(!recv_msg(&self->t.client, &r)))
				break;
			replies += r.type == BUS1_MSG_DATA;
			drops += r.type == BUS1_MSG_REPLY_DROPPED;
			i = replies + drops;
		}
		EXPECT_EQ(self->stage == SERVING, replies);
		EXPECT_EQ(2 - (self->stage == SERVING), drops);
		EXPECT_EQ(0, awaited(fd));
		trio_close(&self->t);
		ASSERT_EQ(0, trio_open(&self->t));
		ASSERT_EQ(0, _metadata->exit_code);
	}
}

TEST_HARNESS_MAIN
