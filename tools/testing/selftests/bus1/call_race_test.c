// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 selftests: a reply that races with the end of the wait for it
 *
 * In each round one request is made, and three things happen at once: somebody
 * waits for the reply, the server replies, and a rival does what makes the one
 * or the other impossible. What each call returned must agree with what has
 * arrived, and in the end nothing is left.
 */
#include "reply.h"

enum rival {
	DEADLINE, SIGNAL, CANCEL, FLUSH, DISCONNECT,
	RELEASE, SHUT_SERVER, MESSAGE, RECEIVER,
};

enum waits { BY_CALL, BY_NAME, NOT };

FIXTURE(race) {
	struct trio t;
	__u64 h, seed, moved;
	struct start start;
	struct caller c;
	pthread_t waiter;
	__u32 handled, turn;
	int replied, rival;
	struct verdict verdict;
};

FIXTURE_VARIANT(race) {
	enum rival rival;
	enum waits waits;
};

FIXTURE_VARIANT_ADD(race, call_deadline) { DEADLINE, BY_CALL };
FIXTURE_VARIANT_ADD(race, call_signal) { SIGNAL, BY_CALL };
FIXTURE_VARIANT_ADD(race, call_cancel) { CANCEL, BY_CALL };
FIXTURE_VARIANT_ADD(race, call_flush) { FLUSH, BY_CALL };
FIXTURE_VARIANT_ADD(race, call_disconnect) { DISCONNECT, BY_CALL };
FIXTURE_VARIANT_ADD(race, call_release) { RELEASE, BY_CALL };
FIXTURE_VARIANT_ADD(race, call_server_disconnect) { SHUT_SERVER, BY_CALL };
FIXTURE_VARIANT_ADD(race, call_message) { MESSAGE, BY_CALL };
FIXTURE_VARIANT_ADD(race, call_receiver) { RECEIVER, BY_CALL };
FIXTURE_VARIANT_ADD(race, name_deadline) { DEADLINE, BY_NAME };
FIXTURE_VARIANT_ADD(race, name_signal) { SIGNAL, BY_NAME };
FIXTURE_VARIANT_ADD(race, name_cancel) { CANCEL, BY_NAME };
FIXTURE_VARIANT_ADD(race, name_flush) { FLUSH, BY_NAME };
FIXTURE_VARIANT_ADD(race, name_disconnect) { DISCONNECT, BY_NAME };
FIXTURE_VARIANT_ADD(race, name_release) { RELEASE, BY_NAME };
FIXTURE_VARIANT_ADD(race, name_server_disconnect) { SHUT_SERVER, BY_NAME };
FIXTURE_VARIANT_ADD(race, name_receiver) { RECEIVER, BY_NAME };
FIXTURE_VARIANT_ADD(race, queue_cancel) { CANCEL, NOT };
FIXTURE_VARIANT_ADD(race, queue_flush) { FLUSH, NOT };
FIXTURE_VARIANT_ADD(race, queue_disconnect) { DISCONNECT, NOT };
FIXTURE_VARIANT_ADD(race, queue_release) { RELEASE, NOT };
FIXTURE_VARIANT_ADD(race, queue_server_disconnect) { SHUT_SERVER, NOT };
FIXTURE_VARIANT_ADD(race, queue_message) { MESSAGE, NOT };

FIXTURE_SETUP(race)
{
	ASSERT_EQ(0, trio_open(&self->t));
	self->seed = SEED();
	catch_usr1(&self->handled, 0);
}

FIXTURE_TEARDOWN(race)
{
	trio_close(&self->t);
}

/* The one who waits. Whoever calls has sent the request by that. */
static void *wait_run(void *arg)
{
	struct _test_data_race *s = arg;
	struct caller *c = &s->c;

	if (c->to) {
		caller_run(c);
		c->result = c->result ?: c->own.error;
		return NULL;
	}
	start_wait(&s->start, s->turn);
	waiter_run(c);
	return NULL;
}

static void *reply_run(void *arg)
{
	struct _test_data_race *s = arg;
	struct rng r = rng_for(s->seed, 2 * s->turn);

	start_wait(&s->start, s->turn);
	dither(&r, 4000);
	s->replied = send_bytes(s->t.server.fd, s->h, "reply", 5);
	return NULL;
}

/* Looks for a message; a call's reply must not be what it finds. */
static int receive(struct _test_data_race *s)
{
	struct bus1_recv_args r = {
		.max_offset = POOL_MAP_SIZE, .deadline = now_ns() + MS,
	};
	int err = sys_recv(s->t.client.fd, &r, sizeof(r), 0);

	return err ?: slice_release_one(s->t.client.fd, r.offset);
}

static int act(struct _test_data_race *s, enum rival rival)
{
	switch (rival) {
	case SIGNAL:
		return -pthread_kill(s->waiter, SIGUSR1);
	case CANCEL:
		return destroy_one(s->t.client.fd, ASKED);
	case FLUSH:
		return flush(s->t.client.fd);
	case DISCONNECT:
		return sys_disconnect(s->t.client.fd, 0);
	case RELEASE:
		return release_one(s->t.server.fd, s->h);
	case SHUT_SERVER:
		return sys_disconnect(s->t.server.fd, 0);
	case MESSAGE:
		return send_handles(s->t.server.fd, s->t.to_worker, &s->h, 1);
	case RECEIVER:
		return receive(s);
	default:
		return 0;
	}
}

struct rival_job {
	struct _test_data_race *s;
	enum rival rival;
};

static void *rival_run(void *arg)
{
	struct rival_job *j = arg;
	struct rng r = rng_for(j->s->seed, 2 * j->s->turn + 1);

	start_wait(&j->s->start, j->s->turn);
	dither(&r, 4000);
	j->s->rival = act(j->s, j->rival);
	return NULL;
}

/* How many of this type about the request were in the client's queue. */
struct found {
	int replies, drops, others;
};

static void found_add(struct found *f, int type, __u64 destination)
{
	if (type == BUS1_MSG_DATA && destination == ASKED)
		f->replies++;
	else if (type == BUS1_MSG_REPLY_DROPPED && destination == ASKED)
		f->drops++;
	else
		f->others++;
}

static struct found look(struct _test_data_race *s)
{
	struct bus1_recv_args *r = &s->c.own;
	struct found f = { 0 };
	__u64 dest;
	int type;

	if (s->c.done && !s->c.result) {
		found_add(&f, r->type, r->destination);
		if (r->offset != BUS1_OFFSET_INVALID)
			slice_release_one(s->t.client.fd, r->offset);
	}
	while ((type = recv_type(&s->t.client, &dest)) > 0)
		found_add(&f, type, dest);
	return f;
}

/* The waiter, if there is one, was told the truth. */
static void check_waiter(struct __test_metadata *_metadata,
			 struct _test_data_race *self, enum rival rival)
{
	int r = self->c.result;

	if (!self->c.done || !r)
		return;
	switch (rival) {
	case DEADLINE:
		EXPECT_EQ(-ETIMEDOUT, r);
		break;
	case SIGNAL:
		EXPECT_EQ(-EINTR, r);
		break;
	case CANCEL:
	case FLUSH:
		/* Who had not begun to wait finds no request any more. */
		EXPECT_TRUE(r == -ESTALE || (!self->c.to && r == -ENXIO)) {
			TH_LOG("%d", r);
		}
		break;
	case DISCONNECT:
		EXPECT_EQ(-ESHUTDOWN, r);
		break;
	case RECEIVER:
		/* It came first, before anybody waited. */
		EXPECT_TRUE(!self->c.to && r == -ENXIO);
		break;
	default:
		EXPECT_EQ(0, r);
		break;
	}
}

/* The calls of both sides, and what was found, go together. */
static void check(struct __test_metadata *_metadata,
		  struct _test_data_race *self, enum rival rival)
{
	struct found f = look(self);
	bool sent = !self->replied, won = !self->rival;

	check_waiter(_metadata, self, rival);
	switch (rival) {
	case DEADLINE:
	case SIGNAL:
		EXPECT_TRUE(sent && won && f.replies == 1 && !f.drops);
		break;
	case RECEIVER:
		if (self->c.to)
			EXPECT_EQ(-ETIMEDOUT, self->rival);
		EXPECT_EQ(1, f.replies + (won && !self->c.to));
		EXPECT_TRUE(sent && !f.drops);
		break;
	case CANCEL:
		EXPECT_TRUE(sent != won);
		EXPECT_TRUE(sent || self->replied == -EHOSTUNREACH);
		EXPECT_TRUE(won || self->rival == -ESTALE ||
			    self->rival == -ENXIO);
		EXPECT_TRUE(f.replies == sent && !f.drops);
		break;
	case FLUSH:
	case DISCONNECT:
		EXPECT_TRUE(won && !f.drops && f.replies <= sent);
		EXPECT_TRUE(sent || self->replied == -EHOSTUNREACH);
		if (rival == FLUSH) {
			EXPECT_TRUE(usage_is_only(self->t.client.fd, !sent));
			EXPECT_EQ(sent ? -ENXIO : 0,
				  release_one(self->t.server.fd, self->h));
			EXPECT_TRUE(usage_is_only(self->t.client.fd, 0));
		}
		break;
	case RELEASE:
		EXPECT_TRUE(sent != won);
		EXPECT_TRUE(sent || self->replied == -ENXIO);
		EXPECT_TRUE(won || self->rival == -ENXIO);
		EXPECT_TRUE(f.replies == sent && f.drops == won);
		break;
	case SHUT_SERVER:
		EXPECT_TRUE(won && (sent || self->replied == -ESHUTDOWN));
		EXPECT_TRUE(f.replies == sent && f.drops == !sent);
		break;
	default:
		EXPECT_TRUE(sent != won);
		EXPECT_TRUE(sent || self->replied == -ENXIO);
		EXPECT_TRUE(won || self->rival == -ENXIO);
		EXPECT_TRUE(f.replies == 1 && !f.drops);
		break;
	}
	if (_metadata->exit_code)
		TH_LOG("turn %u: reply %d, rival %d, waiter %d; %d replies, %d drops",
		       self->turn, self->replied, self->rival, self->c.result,
		       f.replies, f.drops);
}

/* Whoever got the handle replies, so that the waiter can end. */
static void reply_from_worker(struct _test_data_race *s, enum rival rival)
{
	if (rival == MESSAGE)
		s->moved = take_handle(&s->t.worker);
	send_bytes(s->t.worker.fd, s->moved, "work", 4);
}

static void renew(struct __test_metadata *_metadata,
		  struct _test_data_race *self, enum rival rival)
{
	if (rival == FLUSH || rival == DISCONNECT || rival == SHUT_SERVER) {
		trio_close(&self->t);
		ASSERT_EQ(0, trio_open(&self->t));
		return;
	}
	drain(&self->t.server);
	if (rival == CANCEL && self->replied)
		EXPECT_EQ(0, release_one(self->t.server.fd, self->h));
	EXPECT_TRUE(trio_is_idle(&self->t));
}

static void prepare(struct __test_metadata *_metadata,
		    struct _test_data_race *self, struct worker *w,
		    enum rival rival, enum waits waits)
{
	struct rng r = rng_for(self->seed, ~self->turn);

	self->c = caller_for(&self->t.client,
			     waits == BY_CALL ? self->t.to_server : 0, ASKED);
	if (rival == DEADLINE)
		self->c.own.deadline = now_ns() + rng_below(&r, 800) * 1000;
	if (waits != BY_CALL)
		ASSERT_EQ(0, ask(self->t.client.fd, self->t.to_server, ASKED));
	if (waits != NOT)
		THREAD(w, wait_run, self);
	self->waiter = w->thread;
	ASSERT_TRUE(BECOMES(query(self->t.server.fd).n_queued));
	self->h = take(&self->t.server);
	ASSERT_NE(INVALID, self->h);
}

TEST_F_TIMEOUT(race, of_a_reply_ends_one_way, 120)
{
	enum rival rival = variant->rival;
	enum waits waits = variant->waits;
	struct rival_job job = { self, rival };
	struct worker w[3] = { 0 };
	__u32 n = 2 + (waits == BY_NAME);

	for (self->turn = 1; self->turn <= scaled(50); self->turn++) {
		prepare(_metadata, self, &w[0], rival, waits);
		THREAD(&w[1], reply_run, self);
		THREAD(&w[2], rival_run, &job);
		ASSERT_TRUE(start_go(&self->start, self->turn, n));
		JOIN(&w[1]);
		JOIN(&w[2]);
		if (self->replied && rival == MESSAGE)
			reply_from_worker(self, rival);
		if (waits != NOT)
			JOIN(&w[0]);
		check(_metadata, self, rival);
		renew(_metadata, self, rival);
		ASSERT_EQ(0, _metadata->exit_code);
	}
}

TEST_HARNESS_MAIN
