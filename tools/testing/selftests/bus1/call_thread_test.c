// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 selftests: many callers on one peer, many servers on another
 *
 * Each request carries its own name, and so does the reply: whoever receives
 * another's reply complains.
 */
#include "reply.h"

#define CALLERS	64
#define SERVERS	4
#define BATCH	8

/* Shared by forked callers as well. */
struct counts {
	struct verdict verdict;
	__u32 called, served, received, stop;
};

FIXTURE(thread) {
	struct trio t;
	__u64 back, seed;
	struct counts *n;
	__u32 rounds;
};

struct job {
	struct _test_data_thread *s;
	unsigned int i;
	struct rng rng;
};

FIXTURE_SETUP(thread)
{
	ASSERT_EQ(0, trio_open(&self->t));
	self->back = connect_peers(self->t.client.fd, NODE, self->t.server.fd);
	self->n = share(sizeof(*self->n));
	self->seed = SEED();
	self->rounds = scaled(20);
}

FIXTURE_TEARDOWN(thread)
{
	trio_close(&self->t);
}

/* Calls again and again; each call releases the slice of the last one. */
static void *call_run(void *arg)
{
	struct job *j = arg;
	struct _test_data_thread *s = j->s;
	struct verdict *v = &s->n->verdict;
	const struct peer *p = &s->t.client;
	struct bus1_recv_args r = { .release = BUS1_OFFSET_INVALID };
	__u64 id = (j->i + 1) * 0x10000ULL, got;
	struct iovec vec = { &id, sizeof(id) };
	struct bus1_send_args a;
	__u32 n;
	int err;

	for (n = 0; n < s->rounds; n++, id += 8) {
		a = request(&s->t.to_server, id, sizeof(id), 0, 0);
		a.ptr_vecs = to_u64(&vec);
		a.n_vecs = 1;
		r.max_offset = p->pool_size;
		err = call_args(p, &a, &r, BUS1_SEND_REPLY, BUS1_RECV_RELEASE);
		if (!MUST(v, !err, err) || !MUST(v, !r.error, r.error))
			return NULL;
		MUST(v, r.type == BUS1_MSG_DATA, r.type);
		MUST(v, r.destination == id, r.destination);
		if (!MUST(v, r.n_bytes == sizeof(got), r.n_bytes))
			return NULL;
		memcpy(&got, msg_payload(p, &r), sizeof(got));
		MUST(v, got == id, got);
		r.release = r.offset;
		ADD(&s->n->called, 1);
	}
	err = slice_release_one(p->fd, r.release);
	MUST(v, !err, err);
	return NULL;
}

struct request {
	__u64 reply, id;
};

/* Receives one request; 1 if there was none now, negative at the end. */
static int get_request(struct job *j, const struct peer *p, struct request *q,
		       unsigned int flags)
{
	struct verdict *v = &j->s->n->verdict;
	struct bus1_recv_args r = { .max_offset = p->pool_size };
	int err;

	/* Once the server is gone, the worker hears that nobody holds it. */
	do {
		err = sys_recv(p->fd, &r, sizeof(r), flags);
	} while (!err && r.type == BUS1_MSG_NODE_RELEASE);
	if (err == -EAGAIN)
		return 1;
	MUST(v, !err || err == -ESHUTDOWN, err);
	if (err)
		return err;
	if (!MUST(v, r.n_bytes == sizeof(q->id), r.n_bytes))
		return -EBADMSG;
	memcpy(&q->id, msg_payload(p, &r), sizeof(q->id));
	q->reply = r.n_handles ? *msg_handles(p, &r) : r.reply;
	err = slice_release_one(p->fd, r.offset);
	MUST(v, !err, err);
	return 0;
}

/* Takes what there is, at most a few, and answers in any order. */
static void *serve_batches(void *arg)
{
	struct job *j = arg;
	const struct peer *p = &j->s->t.server;
	struct request q[BATCH];
	unsigned int n, max, i;
	int err = 0;

	for (;;) {
		max = 1 + rng_below(&j->rng, BATCH);
		for (n = 0; n < max; n++) {
			err = get_request(j, p, &q[n],
					  n ? BUS1_RECV_NONBLOCK : 0);
			if (err)
				break;
		}
		while (n) {
			i = rng_below(&j->rng, n);
			err = send_bytes(p->fd, q[i].reply, &q[i].id,
					 sizeof(q[i].id));
			MUST(&j->s->n->verdict, !err, err);
			ADD(&j->s->n->served, 1);
			q[i] = q[--n];
		}
		if (err < 0)
			return NULL;
	}
}

/* Replies and receives the next request in one entry. */
static void *serve_calls(void *arg)
{
	struct job *j = arg;
	const struct peer *p = &j->s->t.server;
	struct verdict *v = &j->s->n->verdict;
	struct bus1_recv_args r = { .max_offset = p->pool_size };
	int err = sys_recv(p->fd, &r, sizeof(r), 0);

	while (!err && !r.error) {
		__u64 to = r.reply, id;
		struct iovec vec = { &id, sizeof(id) };
		struct bus1_send_args a = {
			.ptr_destinations = to_u64(&to), .n_destinations = 1,
			.ptr_vecs = to_u64(&vec), .n_vecs = 1,
		};

		memcpy(&id, msg_payload(p, &r), sizeof(id));
		r.release = r.offset;
		err = call_args(p, &a, &r, 0, BUS1_RECV_RELEASE);
		MUST(v, !err, err);
		ADD(&j->s->n->served, 1);
	}
	err = err ?: r.error;
	MUST(v, err == -ESHUTDOWN, err);
	return NULL;
}

/* The server hands each request to the worker, by a message or a transfer. */
static void *serve_by_others(void *arg)
{
	struct job *j = arg;
	struct trio *t = &j->s->t;
	struct verdict *v = &j->s->n->verdict;
	struct request q;
	int err;

	while (!get_request(j, &t->server, &q, 0)) {
		err = send_full(t->server.fd, &t->to_worker, 1, &q.id,
				sizeof(q.id), &q.reply, 1, NULL, 0, 0);
		MUST(v, !err, err);
	}
	return NULL;
}

static void *work(void *arg)
{
	struct job *j = arg;
	const struct peer *p = &j->s->t.worker;
	struct request q;
	int err;

	while (!get_request(j, p, &q, 0)) {
		err = send_bytes(p->fd, q.reply, &q.id, sizeof(q.id));
		MUST(&j->s->n->verdict, !err, err);
		ADD(&j->s->n->served, 1);
	}
	return NULL;
}

/* Receives on the clients' peer, where no reply is meant for it. */
static void *receive(void *arg)
{
	struct job *j = arg;
	const struct peer *p = &j->s->t.client;
	struct verdict *v = &j->s->n->verdict;
	struct bus1_recv_args r;
	int err;

	for (;;) {
		r = (struct bus1_recv_args){ .max_offset = p->pool_size };
		err = sys_recv(p->fd, &r, sizeof(r), 0);
		if (!MUST(v, !err, err) || r.n_bytes == 4)
			return NULL;
		MUST(v, r.destination == NODE, r.destination);
		slice_release_one(p->fd, r.offset);
		ADD(&j->s->n->received, 1);
	}
}

/* Sends what the receivers receive. */
static void *chatter(void *arg)
{
	struct job *j = arg;
	int err;

	while (!LOAD(&j->s->n->stop)) {
		err = send_empty(j->s->t.server.fd, j->s->back);
		MUST(&j->s->n->verdict, !err || err == -EDQUOT ||
		     err == -EXFULL, err);
		sched_yield();
	}
	return NULL;
}

static void start(struct __test_metadata *_metadata,
		  struct _test_data_thread *self, struct worker *w,
		  struct job *job, void *(*fn)(void *), int n, bool process)
{
	int i;

	for (i = 0; i < n; i++) {
		job[i] = (struct job){ self, i, rng_for(self->seed, i) };
		ASSERT_EQ(0, worker_start(&w[i], process, fn, &job[i]));
	}
}

static void join(struct __test_metadata *_metadata, struct worker *w, int n)
{
	int i;

	for (i = 0; i < n; i++)
		JOIN(&w[i]);
}

/* Callers against servers, from the first call to the last reply. */
static void run(struct __test_metadata *_metadata,
		struct _test_data_thread *self, int callers, bool process,
		void *(*server)(void *))
{
	struct job cj[CALLERS], sj[SERVERS];
	struct worker cw[CALLERS], sw[SERVERS];

	start(_metadata, self, sw, sj, server, SERVERS, false);
	start(_metadata, self, cw, cj, call_run, callers, process);
	join(_metadata, cw, callers);
	EXPECT_EQ(callers * self->rounds, self->n->called);
	EXPECT_TRUE(usage_is(self->t.client.fd, &self->t.at_client));
	EXPECT_EQ(0, sys_disconnect(self->t.server.fd, 0));
	join(_metadata, sw, SERVERS);
	EXPECT_FINE(&self->n->verdict);
}

TEST_F_TIMEOUT(thread, of_64_gets_its_own_reply, 120)
{
	run(_metadata, self, CALLERS, false, serve_batches);
	EXPECT_EQ(self->n->called, self->n->served);
}

TEST_F_TIMEOUT(thread, of_64_gets_its_own_reply_from_servers_that_call, 120)
{
	run(_metadata, self, CALLERS, false, serve_calls);
	EXPECT_EQ(self->n->called, self->n->served);
}

TEST_F_TIMEOUT(thread, of_16_processes_gets_its_own_reply, 120)
{
	run(_metadata, self, 16, true, serve_batches);
	EXPECT_EQ(self->n->called, self->n->served);
}

TEST_F_TIMEOUT(thread, gets_its_reply_from_whom_the_request_was_passed_on_to,
	       120)
{
	struct job wj[SERVERS];
	struct worker ww[SERVERS];

	start(_metadata, self, ww, wj, work, SERVERS, false);
	run(_metadata, self, 16, false, serve_by_others);
	EXPECT_EQ(0, sys_disconnect(self->t.worker.fd, 0));
	join(_metadata, ww, SERVERS);
	EXPECT_FINE(&self->n->verdict);
	EXPECT_EQ(self->n->called, self->n->served);
}

TEST_F_TIMEOUT(thread, gets_its_reply_whoever_receives_on_the_same_peer, 120)
{
	struct job cj[8], sj[SERVERS], rj[3];
	struct worker cw[8], sw[SERVERS], rw[3];
	struct peer other;
	__u64 to;
	int i;

	/* A peer of their own for the messages that end the receivers. */
	ASSERT_EQ(0, peer_open(&other, NULL, 0));
	to = connect_peers(self->t.client.fd, NODE, other.fd);
	start(_metadata, self, rw, rj, receive, 2, false);
	start(_metadata, self, &rw[2], &rj[2], chatter, 1, false);
	start(_metadata, self, sw, sj, serve_calls, SERVERS, false);
	/* With one processor the callers could be done before it began. */
	while (!LOAD(&self->n->received))
		sched_yield();
	start(_metadata, self, cw, cj, call_run, 8, false);
	join(_metadata, cw, 8);
	STORE(&self->n->stop, 1);
	JOIN(&rw[2]);
	for (i = 0; i < 2; i++)
		while (send_bytes(other.fd, to, "stop", 4))
			sched_yield();
	join(_metadata, rw, 2);
	EXPECT_EQ(8 * self->rounds, self->n->called);
	EXPECT_LT(0, self->n->received);
	EXPECT_EQ(0, sys_disconnect(self->t.server.fd, 0));
	join(_metadata, sw, SERVERS);
	EXPECT_FINE(&self->n->verdict);
	peer_close(&other);
}

/* Callers whose deadlines are short find their reply later. */
static void *call_briefly(void *arg)
{
	struct job *j = arg;
	struct _test_data_thread *s = j->s;
	struct verdict *v = &s->n->verdict;
	const struct peer *p = &s->t.client;
	__u64 id = (j->i + 1) * 0x10000ULL;
	struct iovec vec = { &id, sizeof(id) };
	struct bus1_recv_args r;
	struct bus1_send_args a;
	__u32 n;
	int err;

	for (n = 0; n < s->rounds; n++, id += 8) {
		a = request(&s->t.to_server, id, sizeof(id), 0, 0);
		a.ptr_vecs = to_u64(&vec);
		a.n_vecs = 1;
		r = (struct bus1_recv_args){ .max_offset = p->pool_size };
		r.deadline = now_ns() + rng_below(&j->rng, 500) * 1000;
		err = call_args(p, &a, &r, BUS1_SEND_REPLY, 0);
		if (!MUST(v, !err, err))
			return NULL;
		MUST(v, !r.error || r.error == -ETIMEDOUT, r.error);
		if (r.error) {
			r = (struct bus1_recv_args){
				.max_offset = p->pool_size, .reply_id = id,
			};
			err = sys_recv(p->fd, &r, sizeof(r), BUS1_RECV_REPLY);
			MUST(v, !err, err);
		}
		MUST(v, r.type == BUS1_MSG_DATA, r.type);
		MUST(v, r.destination == id, r.destination);
		MUST(v, !memcmp(&id, msg_payload(p, &r), sizeof(id)), n);
		slice_release_one(p->fd, r.offset);
		ADD(&s->n->called, 1);
	}
	return NULL;
}

TEST_F_TIMEOUT(thread, that_timed_out_gets_its_reply_by_name, 120)
{
	struct job cj[16], sj[SERVERS];
	struct worker cw[16], sw[SERVERS];

	start(_metadata, self, sw, sj, serve_batches, SERVERS, false);
	start(_metadata, self, cw, cj, call_briefly, 16, false);
	join(_metadata, cw, 16);
	EXPECT_EQ(16 * self->rounds, self->n->called);
	EXPECT_TRUE(usage_is(self->t.client.fd, &self->t.at_client));
	EXPECT_EQ(0, sys_disconnect(self->t.server.fd, 0));
	join(_metadata, sw, SERVERS);
	EXPECT_FINE(&self->n->verdict);
}

TEST_HARNESS_MAIN
