// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 selftests: many that receive on one peer
 *
 * Each message is received once, and none is left while somebody sleeps who could
 * have received it. A test fails when nothing goes on for twenty seconds though
 * something is there.
 */
#include "waiter.h"

#include <sys/epoll.h>

/*
 *   s  --to, to_2-->  p  <- eight receivers
 *   s  --to_q-->  q
 */
FIXTURE(waiter) {
	struct crowd *c;
	struct peer s, q;
	struct worker w[RECEIVERS];
	__u64 to, to_2, to_q;
	struct rng rng;
	__u32 n_sent, n_due;
};

FIXTURE_VARIANT(waiter) {
	enum leave leave;
};

FIXTURE_VARIANT_ADD(waiter, patient) { NOBODY };
FIXTURE_VARIANT_ADD(waiter, with_deadlines) { DEADLINE };
FIXTURE_VARIANT_ADD(waiter, interrupted) { SIGNAL };
FIXTURE_VARIANT_ADD(waiter, restarted) { RESTART };
FIXTURE_VARIANT_ADD(waiter, of_one_message) { ONE_MESSAGE };
FIXTURE_VARIANT_ADD(waiter, without_room) { TOO_SMALL };

static int crowd_open(struct _test_data_waiter *t, enum leave leave)
{
	__u64 seed = seed_choose();

	printf("# BUS1_SEED=%llu\n", seed);
	t->rng = rng_for(seed, 0);
	t->c = share(sizeof(*t->c));
	if (!t->c)
		return -ENOMEM;
	t->c->leave = leave;
	if (peer_open(&t->c->p, NULL, 0) || peer_open(&t->s, NULL, 0) ||
	    peer_open(&t->q, NULL, BUS1_OPEN_NONBLOCK))
		return -EMFILE;
	t->to = connect_new(t->c->p.fd, NODE, t->s.fd);
	t->to_2 = connect_new(t->c->p.fd, NODE + 8, t->s.fd);
	t->to_q = connect_new(t->q.fd, NODE, t->s.fd);
	return t->to_q == INVALID ? -ENOTCONN : 0;
}

FIXTURE_SETUP(waiter)
{
	ASSERT_EQ(0, crowd_open(self, variant->leave));
	catch_usr1(&self->c->handled,
		   variant->leave == RESTART ? SA_RESTART : 0);
}

FIXTURE_TEARDOWN(waiter)
{
	peer_close(&self->s);
	peer_close(&self->q);
	peer_close(&self->c->p);
	munmap(self->c, sizeof(*self->c));
}

static void crowd_start(struct __test_metadata *_metadata,
			struct _test_data_waiter *self, int n_hasty)
{
	int i;

	for (i = 0; i < RECEIVERS; i++) {
		struct receiver *me = &self->c->receiver[i];

		me->crowd = self->c;
		me->rng = rng_for(i, i);
		THREAD(&self->w[i], i < n_hasty ? hasty_run : patient_run, me);
	}
}

/* Whether all that was sent is received; gives up when nothing goes on. */
static bool all_received(struct _test_data_waiter *t)
{
	struct crowd *c = t->c;
	__u32 n, last = 0;
	bool more;

	do {
		more = BECOMES(LOAD(&c->n_received) != last ||
			       LOAD(&c->n_received) == t->n_due);
		n = LOAD(&c->n_received);
		last = n;
	} while (more && n < t->n_due);
	if (n == t->n_due)
		return true;
	printf("# %u of %u received, %llu queued, %lld waiting\n", n, t->n_due,
	       query(c->p.fd).n_queued, fdinfo_value(c->p.fd, "waiting", 0));
	return false;
}

/* Takes @n numbers for messages that come to the crowd so many times. */
static __u32 take_numbers(struct _test_data_waiter *t, __u32 n, __u32 times)
{
	__u32 first = t->n_sent, i;

	for (i = first; i < first + n && i < MOST; i++)
		t->c->due[i] = times;
	t->n_sent += n;
	t->n_due += n * times;
	return first;
}

/* The two nodes are the crowd's. */
enum kind { TO_TWO_PEERS, TO_TWO_NODES, TO_ONE };

/* Sends the next number; a full share is tried again. */
static int send_number(struct _test_data_waiter *t, enum kind kind)
{
	__u32 n = take_numbers(t, 1, kind == TO_TWO_NODES ? 2 : 1);
	__u64 to[3] = { t->to, t->to_q, t->to_2 };
	unsigned int n_to = kind == TO_ONE ? 1 : kind == TO_TWO_PEERS ? 2 : 3;
	int err;

	do
		err = send_multi(t->s.fd, to, n_to, &n, sizeof(n), 0);
	while (err == -EDQUOT || err == -EXFULL);
	return err;
}

static int send_next(struct _test_data_waiter *t)
{
	unsigned int kind = rng_below(&t->rng, 6);

	return send_number(t, kind < TO_ONE ? kind : TO_ONE);
}

/* Sends signals to some who may be waiting, or about to. */
static void disturb(struct _test_data_waiter *t, int n)
{
	int i;

	for (i = 0; i < n; i++)
		if (rng_below(&t->rng, 2))
			pthread_kill(t->w[i].thread, SIGUSR1);
}

/* Makes who is still waiting leave: it may have missed what came before. */
static bool send_away(struct _test_data_waiter *t, __u32 turn, int n)
{
	return BECOMES(({
		if (!have_left(t->c, turn, n))
			disturb(t, n);
		have_left(t->c, turn, n);
	}));
}

static void crowd_stop(struct __test_metadata *_metadata,
		       struct _test_data_waiter *self, __u32 turn, int n_hasty)
{
	unsigned int i;

	STORE(&self->c->stop, 1);
	if (n_hasty)
		EXPECT_TRUE(start_go(&self->c->start, turn, n_hasty));
	EXPECT_EQ(0, sys_disconnect(self->c->p.fd, 0));
	for (i = 0; i < RECEIVERS; i++)
		JOIN(&self->w[i]);
	EXPECT_FINE(&self->c->v);
	for (i = 0; i < self->n_sent; i++)
		EXPECT_EQ(self->c->due[i], self->c->seen[i]);
}

/* What is sent while others leave is received by those who stay. */
TEST_F_TIMEOUT(waiter, of_many_gets_each_message_once, 300)
{
	enum leave leave = variant->leave;
	int n = leave == NOBODY || leave == RESTART ? 0 : HASTY, i, burst;
	struct crowd *c = self->c;
	__u32 turn;

	crowd_start(_metadata, self, n);
	for (turn = 1; turn <= scaled(300); turn++) {
		if (n)
			ASSERT_TRUE(start_go(&c->start, turn, n));
		/* Sometimes all wait, and sometimes they are on their way. */
		if (turn % 3 == 0 && leave != DEADLINE)
			ASSERT_TRUE(BECOMES(are_waiting(c->p.fd, RECEIVERS)));
		burst = 1 + rng_below(&self->rng, turn % 2 ? BURST : 3);
		for (i = 0; i < burst; i++) {
			dither(&self->rng, 20000);
			if (leave == SIGNAL || leave == RESTART)
				disturb(self, n ?: RECEIVERS);
			ASSERT_EQ(0, send_next(self));
		}
		ASSERT_TRUE(all_received(self));
		if (n && leave != DEADLINE)
			ASSERT_TRUE(send_away(self, turn, n));
		if (leave == DEADLINE)
			ASSERT_TRUE(BECOMES(have_left(c, turn, n)));
		drain(&self->q);
	}
	crowd_stop(_metadata, self, turn, n);
}

FIXTURE(crowd) {
	struct _test_data_waiter t;
};

FIXTURE_SETUP(crowd)
{
	ASSERT_EQ(0, crowd_open(&self->t, NOBODY));
	catch_usr1(&self->t.c->handled, 0);
}

FIXTURE_TEARDOWN(crowd)
{
	peer_close(&self->t.s);
	peer_close(&self->t.q);
	peer_close(&self->t.c->p);
}

/*
 * A process of many threads that wait is killed, and one message comes. The structs
 * say whether one of them had it.
 */
#define VICTIMS	8

struct victim {
	struct crowd *crowd;
	struct bus1_recv_args r[VICTIMS];
	__u32 n;
};

static void *victim_wait(void *arg)
{
	struct victim *v = arg;

	sys_recv(v->crowd->p.fd, &v->r[ADD(&v->n, 1) - 1], sizeof(v->r[0]), 0);
	/* It is killed, with what it has. */
	for (;;)
		pause();
	return NULL;
}

static void *victim_run(void *arg)
{
	pthread_t thread;
	int i;

	for (i = 1; i < VICTIMS; i++)
		if (pthread_create(&thread, NULL, victim_wait, arg))
			_exit(1);
	return victim_wait(arg);
}

TEST_F_TIMEOUT(crowd, gets_what_killed_threads_did_not, 300)
{
	struct _test_data_waiter *t = &self->t;
	struct victim *v = share(sizeof(*v));
	struct crowd *c = t->c;
	unsigned int round, i;
	struct worker w;

	crowd_start(_metadata, t, 0);
	for (round = 0; round < scaled(200); round++) {
		*v = (struct victim){ .crowd = c };
		for (i = 0; i < VICTIMS; i++)
			v->r[i].max_offset = c->p.pool_size;
		ASSERT_EQ(0, worker_start(&w, true, victim_run, v));
		ASSERT_TRUE(BECOMES(is_quiet(c, RECEIVERS + VICTIMS)));
		if (round % 4 == 0)
			ASSERT_EQ(0, send_number(t, TO_ONE));
		kill(w.pid, SIGKILL);
		dither(&t->rng, 100000);
		if (round % 4)
			ASSERT_EQ(0, send_number(t, TO_ONE));
		EXPECT_EQ(128 + SIGKILL, worker_join(&w));
		for (i = 0; i < VICTIMS; i++)
			if (v->r[i].type != BUS1_MSG_NONE)
				note(c, &v->r[i]);
		ASSERT_TRUE(all_received(t));
		ASSERT_TRUE(BECOMES(is_quiet(c, RECEIVERS)));
	}
	crowd_stop(_metadata, t, 0, 0);
}

/* Multicasts, which hold up the queue until they are committed. */
#define MULTICASTERS	3
#define TARGETS		16

struct multicaster {
	struct crowd *crowd;
	struct peer s, other[TARGETS];
	__u64 to[TARGETS + 2];
	__u32 first, n;
	bool plain;
};

static int multicaster_open(struct multicaster *m, struct crowd *c)
{
	int i;

	m->crowd = c;
	if (peer_open(&m->s, NULL, BUS1_OPEN_NONBLOCK))
		return -EMFILE;
	for (i = 0; i < TARGETS; i++) {
		if (peer_open(&m->other[i], NULL, BUS1_OPEN_NONBLOCK))
			return -EMFILE;
		/* The crowd's are in the middle. */
		m->to[i < TARGETS / 2 ? i : i + 2] =
			connect_new(m->other[i].fd, NODE, m->s.fd);
	}
	m->to[TARGETS / 2] = connect_peers(c->p.fd, NODE, m->s.fd);
	m->to[TARGETS / 2 + 1] = connect_peers(c->p.fd, NODE + 8, m->s.fd);
	return 0;
}

static void multicaster_close(struct multicaster *m)
{
	int i;

	peer_close(&m->s);
	for (i = 0; i < TARGETS; i++)
		peer_close(&m->other[i]);
}

/* To two nodes of the crowd among others, or one alone. */
static void *multicaster_run(void *arg)
{
	struct multicaster *m = arg;
	struct crowd *c = m->crowd;
	__u32 i, n;
	int err;

	for (i = 0; i < m->n; i++) {
		n = m->first + i;
		do
			err = m->plain ?
			      send_bytes(m->s.fd, m->to[TARGETS / 2], &n,
					 sizeof(n)) :
			      send_multi(m->s.fd, m->to, TARGETS + 2, &n,
					 sizeof(n), 0);
		while (err == -EDQUOT || err == -EXFULL);
		MUST(&c->v, !err, err);
	}
	return NULL;
}

TEST_F_TIMEOUT(crowd, gets_each_multicast_once, 300)
{
	struct _test_data_waiter *t = &self->t;
	struct multicaster *m = calloc(MULTICASTERS, sizeof(*m));
	struct worker w[MULTICASTERS];
	struct crowd *c = t->c;
	unsigned int round;
	int i, j;

	for (i = 0; i < MULTICASTERS; i++)
		ASSERT_EQ(0, multicaster_open(&m[i], c));
	crowd_start(_metadata, t, 0);
	for (round = 0; round < scaled(60); round++) {
		for (i = 0; i < MULTICASTERS; i++) {
			m[i].n = 1 + rng_below(&t->rng, BURST);
			m[i].plain = rng_below(&t->rng, 3) == 0;
			m[i].first = take_numbers(t, m[i].n, 2 - m[i].plain);
			THREAD(&w[i], multicaster_run, &m[i]);
		}
		for (i = 0; i < MULTICASTERS; i++)
			JOIN(&w[i]);
		ASSERT_TRUE(all_received(t));
		ASSERT_TRUE(BECOMES(is_quiet(c, RECEIVERS)));
		for (i = 0; i < MULTICASTERS; i++)
			for (j = 0; j < TARGETS; j++)
				drain(&m[i].other[j]);
	}
	crowd_stop(_metadata, t, 0, 0);
	for (i = 0; i < MULTICASTERS; i++)
		multicaster_close(&m[i]);
	free(m);
}

/* Destructions whose notices may be withdrawn before somebody reads them. */
#define NODES	8

struct releaser {
	struct crowd *crowd;
	struct start start;
	__u64 h[NODES];
	__u32 rounds;
	struct rng rng;
};

static void *releaser_run(void *arg)
{
	struct releaser *r = arg;
	__u32 turn;
	int i;

	for (turn = 1; turn <= r->rounds; turn++) {
		start_wait(&r->start, turn);
		for (i = 0; i < NODES; i++) {
			dither(&r->rng, 5000);
			MUST(&r->crowd->v, !release_one(r->crowd->p.fd, r->h[i]),
			     i);
		}
	}
	return NULL;
}

TEST_F_TIMEOUT(crowd, gets_what_is_behind_notices_that_are_withdrawn, 300)
{
	struct _test_data_waiter *t = &self->t;
	struct releaser r = { .crowd = t->c, .rounds = scaled(300) };
	struct crowd *c = t->c;
	__u64 id[NODES];
	struct worker w;
	__u32 turn, i;

	r.rng = rng_for(1, 1);
	crowd_start(_metadata, t, 0);
	THREAD(&w, releaser_run, &r);
	for (turn = 1; turn <= r.rounds; turn++) {
		for (i = 0; i < NODES; i++) {
			id[i] = 0x10000 + 8 * i;
			r.h[i] = connect_new(t->s.fd, id[i], c->p.fd);
			ASSERT_NE(INVALID, r.h[i]);
		}
		ASSERT_TRUE(start_go(&r.start, turn, 1));
		dither(&t->rng, 20000);
		ASSERT_EQ(0, send_next(t));
		ASSERT_EQ(0, sys_destroy(t->s.fd, id, NODES,
					 BUS1_DESTROY_RELEASE_HANDLES));
		for (i = 0; i < 3; i++)
			ASSERT_EQ(0, send_next(t));
		ASSERT_TRUE(all_received(t));
		ASSERT_TRUE(BECOMES(LOAD(&r.start.ready) == 1 ||
				    turn == r.rounds));
		ASSERT_TRUE(BECOMES(is_quiet(c, RECEIVERS)));
		drain(&t->s);
		drain(&t->q);
	}
	JOIN(&w);
	EXPECT_GE(NODES * r.rounds, c->n_notices);
	EXPECT_EQ(0, query(c->p.fd).used_slices);
	crowd_stop(_metadata, t, 0, 0);
}

/* Threads that poll and then take what is there, beside those that sleep in recv. */
#define POLLERS	3

struct poller {
	struct crowd *crowd;
	bool epoll;
};

static void *poller_run(void *arg)
{
	struct poller *me = arg;
	struct crowd *c = me->crowd;
	struct epoll_event e = { .events = EPOLLIN | EPOLLET };
	struct pollfd p = { .fd = c->p.fd, .events = POLLIN };
	int err, ep = epoll_create1(EPOLL_CLOEXEC);

	MUST(&c->v, !epoll_ctl(ep, EPOLL_CTL_ADD, c->p.fd, &e), errno);
	do {
		MUST(&c->v, (me->epoll ? epoll_wait(ep, &e, 1, -1) :
					 poll(&p, 1, -1)) == 1, errno);
		do
			err = receive(c, c->p.pool_size, 0,
				      BUS1_RECV_NONBLOCK);
		while (!err);
	} while (err == -EAGAIN);
	MUST(&c->v, err == -ESHUTDOWN, err);
	close(ep);
	return NULL;
}

static void poll_beside(struct __test_metadata *_metadata,
			struct _test_data_waiter *t, int n_receivers)
{
	struct poller poller[POLLERS];
	struct crowd *c = t->c;
	struct worker w[POLLERS];
	unsigned int round;
	int i, j;

	for (i = 0; i < POLLERS; i++) {
		poller[i] = (struct poller){ c, i & 1 };
		THREAD(&w[i], poller_run, &poller[i]);
	}
	for (round = 0; round < scaled(300); round++) {
		if (round % 2 == 0)
			ASSERT_TRUE(BECOMES(is_quiet(c, n_receivers)));
		j = 1 + rng_below(&t->rng, round % 4 ? 4 : BURST);
		for (i = 0; i < j; i++)
			ASSERT_EQ(0, send_next(t));
		ASSERT_TRUE(all_received(t));
		drain(&t->q);
	}
	EXPECT_EQ(0, sys_disconnect(c->p.fd, 0));
	for (i = 0; i < POLLERS; i++)
		JOIN(&w[i]);
}

TEST_F_TIMEOUT(crowd, gets_each_message_once_beside_pollers, 300)
{
	struct _test_data_waiter *t = &self->t;
	int i;

	crowd_start(_metadata, t, 0);
	poll_beside(_metadata, t, RECEIVERS);
	for (i = 0; i < RECEIVERS; i++)
		JOIN(&t->w[i]);
	EXPECT_FINE(&t->c->v);
}

TEST_F_TIMEOUT(crowd, of_pollers_alone_gets_each_message_once, 300)
{
	poll_beside(_metadata, &self->t, 0);
	EXPECT_FINE(&self->t.c->v);
}

/* Each sleeper gets one of as many messages. */
TEST_F_TIMEOUT(crowd, is_woken_by_as_many_messages, 120)
{
	struct _test_data_waiter *t = &self->t;
	unsigned int round;
	int i;

	t->c->leave = ONE_MESSAGE;
	for (i = 0; i < RECEIVERS; i++) {
		t->c->receiver[i].crowd = t->c;
		THREAD(&t->w[i], hasty_run, &t->c->receiver[i]);
	}
	for (round = 1; round <= scaled(200); round++) {
		ASSERT_TRUE(start_go(&t->c->start, round, RECEIVERS));
		if (round % 2)
			ASSERT_TRUE(BECOMES(is_quiet(t->c, RECEIVERS)));
		for (i = 0; i < RECEIVERS; i++)
			ASSERT_EQ(0, send_number(t, TO_ONE));
		ASSERT_TRUE(BECOMES(have_left(t->c, round, RECEIVERS)));
		EXPECT_EQ(0, query(t->c->p.fd).n_queued);
		drain(&t->q);
	}
	crowd_stop(_metadata, t, round, RECEIVERS);
}

/* All at once, also while they are being woken by something else. */
TEST_F_TIMEOUT(crowd, is_woken_by_a_disconnect, 300)
{
	struct _test_data_waiter *t = &self->t;
	unsigned int round, how;
	int i;

	t->c->blind = true;
	for (round = 0; round < scaled(60); round++) {
		how = round % 4;
		crowd_start(_metadata, t, 0);
		if (how)
			ASSERT_TRUE(BECOMES(are_waiting(t->c->p.fd, RECEIVERS)));
		for (i = 0; how == 2 && i < 4; i++)
			ASSERT_EQ(0, send_next(t));
		if (how == 3)
			disturb(t, RECEIVERS);
		EXPECT_EQ(0, sys_disconnect(t->c->p.fd, 0));
		for (i = 0; i < RECEIVERS; i++)
			JOIN(&t->w[i]);
		EXPECT_TRUE(are_waiting(t->c->p.fd, 0));
		EXPECT_FINE(&t->c->v);
		peer_close(&t->c->p);
		release_one(t->s.fd, t->to);
		release_one(t->s.fd, t->to_2);
		ASSERT_EQ(0, peer_open(&t->c->p, NULL, 0));
		t->to = connect_new(t->c->p.fd, NODE, t->s.fd);
		t->to_2 = connect_new(t->c->p.fd, NODE + 8, t->s.fd);
		ASSERT_NE(INVALID, t->to_2);
		drain(&t->q);
		drain(&t->s);
	}
}

TEST_HARNESS_MAIN
