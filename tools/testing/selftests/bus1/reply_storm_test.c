// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 selftests: everything at once, with requests
 *
 * Threads ask, reply, drop, pass on, cancel, wait and receive on a few peers in
 * any order. They keep no account of it; what must hold in the end is that every
 * peer can be emptied, and that then nothing is charged, owed or awaited.
 */
#include "reply.h"

#define PEERS	4
#define THREADS	6
#define HELD	32

FIXTURE(storm) {
	struct peer peer[PEERS];
	__u64 to[PEERS][PEERS];		/* handle of the first to the second */
	__u64 (*held)[HELD];		/* reply handles somebody saw there */
	__u64 seed;
	unsigned int ops;
};

FIXTURE_VARIANT(storm) {
	bool processes, flushes;
};

FIXTURE_VARIANT_ADD(storm, of_threads) { false, false };
FIXTURE_VARIANT_ADD(storm, of_processes) { true, false };
FIXTURE_VARIANT_ADD(storm, of_threads_with_flushes) { false, true };

struct job {
	struct _test_data_storm *s;
	bool flushes;
	struct rng rng;
};

static void connect_all(struct _test_data_storm *s, int owner)
{
	__u64 id = NODE | NEW, out;
	int i;

	sys_transfer(s->peer[owner].fd, s->peer[owner].fd, &id, &out, 1, 0);
	for (i = 0; i < PEERS; i++)
		STORE(&s->to[i][owner], connect_peers(s->peer[owner].fd, NODE,
						      s->peer[i].fd));
}

FIXTURE_SETUP(storm)
{
	int i;

	for (i = 0; i < PEERS; i++)
		ASSERT_EQ(0, peer_open(&self->peer[i], NULL, 0));
	for (i = 0; i < PEERS; i++)
		connect_all(self, i);
	self->held = share(PEERS * sizeof(*self->held));
	ASSERT_NE(NULL, self->held);
	self->seed = SEED();
	self->ops = scaled(1500);
}

FIXTURE_TEARDOWN(storm)
{
	int i;

	for (i = 0; i < PEERS; i++)
		peer_close(&self->peer[i]);
}

static unsigned int pick(struct job *j)
{
	return rng_below(&j->rng, PEERS);
}

static __u64 any_name(struct job *j)
{
	return ASKED + 8 * rng_below(&j->rng, 200);
}

static __u64 *any_held(struct job *j, unsigned int p)
{
	return &j->s->held[p][rng_below(&j->rng, HELD)];
}

/* Keeps a reply handle for later, in place of another, which is dropped. */
static void keep(struct job *j, unsigned int p, __u64 h)
{
	__u64 old;

	if (h == INVALID)
		return;
	old = __atomic_exchange_n(any_held(j, p), h, __ATOMIC_SEQ_CST);
	if (old)
		release_one(j->s->peer[p].fd, old);
}

static void keep_received(struct job *j, unsigned int p,
			  const struct bus1_recv_args *r)
{
	unsigned int i;
	__u64 h;

	if (r->type != BUS1_MSG_DATA)
		return;
	keep(j, p, r->reply);
	for (i = 0; i < r->n_handles; i++)
		if (peek(&h, &msg_handles(&j->s->peer[p], r)[i], sizeof(h)))
			keep(j, p, h);
	slice_release_one(j->s->peer[p].fd, r->offset);
}

static void storm_ask(struct job *j, unsigned int p, unsigned int q)
{
	ask_for(j->s->peer[p].fd, LOAD(&j->s->to[p][q]), any_name(j),
		rng_below(&j->rng, 300), 2, 0);
}

static void storm_call(struct job *j, unsigned int p, unsigned int q)
{
	__u64 to = LOAD(&j->s->to[p][q]), h = LOAD(any_held(j, p));
	struct bus1_send_args a = request(&to, any_name(j), 64, 1, 0);
	struct bus1_recv_args r = {
		.max_offset = POOL_MAP_SIZE,
		.deadline = now_ns() + rng_below(&j->rng, 1000) * 1000,
	};
	bool ask = rng_below(&j->rng, 2);

	if (!ask) {
		a = request(&to, 0, 0, 0, 0);
		a.ptr_destinations = to_u64(&h);
	}
	if (!call_args(&j->s->peer[p], &a, &r, ask ? BUS1_SEND_REPLY : 0, 0))
		keep_received(j, p, &r);
}

static void storm_recv(struct job *j, unsigned int p)
{
	struct bus1_recv_args r = {
		.max_offset = POOL_MAP_SIZE, .reply_id = any_name(j),
		.deadline = now_ns() + rng_below(&j->rng, 100) * 1000,
	};

	if (!sys_recv(j->s->peer[p].fd, &r, sizeof(r),
		      rng_below(&j->rng, 4) ? 0 : BUS1_RECV_REPLY))
		keep_received(j, p, &r);
}

static void storm_reply(struct job *j, unsigned int p)
{
	static const char payload[300];
	__u64 x[2] = { LOAD(any_held(j, p)), NODE };

	send_full(j->s->peer[p].fd, &(__u64){ LOAD(any_held(j, p)) }, 1, payload,
		  rng_below(&j->rng, 300), x, rng_below(&j->rng, 3), NULL, 0, 0);
}

static void storm_move(struct job *j, unsigned int p, unsigned int q)
{
	__u64 h = LOAD(any_held(j, p));

	send_handles(j->s->peer[p].fd, LOAD(&j->s->to[p][q]), &h, 1);
}

/* Some of what is there: what is received must be kept, or nobody drops it. */
static void storm_drain(struct job *j, unsigned int p)
{
	struct bus1_recv_args r;
	int i;

	for (i = 0; i < 20 && !recv_msg(&j->s->peer[p], &r); i++)
		keep_received(j, p, &r);
}

static void storm_end(struct job *j, unsigned int p)
{
	__u64 h;

	switch (rng_below(&j->rng, j->flushes ? 13 : 12)) {
	case 12:
		flush(j->s->peer[p].fd);
		connect_all(j->s, p);
		break;
	case 11:
		storm_drain(j, p);
		break;
	case 10:
	case 9:
		h = __atomic_exchange_n(any_held(j, p), 0, __ATOMIC_SEQ_CST);
		release_one(j->s->peer[p].fd, h);
		break;
	default:
		destroy_one(j->s->peer[p].fd, any_name(j));
		break;
	}
}

static void *storm_run(void *arg)
{
	struct job *j = arg;
	unsigned int n;

	for (n = 0; n < j->s->ops; n++) {
		unsigned int op = rng_below(&j->rng, 100), p = pick(j);

		if (op < 25)
			storm_ask(j, p, pick(j));
		else if (op < 40)
			storm_call(j, p, pick(j));
		else if (op < 65)
			storm_recv(j, p);
		else if (op < 80)
			storm_reply(j, p);
		else if (op < 90)
			storm_move(j, p, pick(j));
		else
			storm_end(j, p);
	}
	return NULL;
}

static void storm_start(struct __test_metadata *_metadata,
			struct _test_data_storm *self,
			const struct _fixture_variant_storm *variant,
			struct job *job, struct worker *w)
{
	int i;

	for (i = 0; i < THREADS; i++) {
		job[i] = (struct job){ self, variant->flushes,
				       rng_for(self->seed, i) };
		ASSERT_EQ(0, worker_start(&w[i], variant->processes, storm_run,
					  &job[i]));
	}
}

static void storm(struct __test_metadata *_metadata,
		  struct _test_data_storm *self,
		  const struct _fixture_variant_storm *variant)
{
	struct job job[THREADS];
	struct worker w[THREADS];
	int i;

	storm_start(_metadata, self, variant, job, w);
	for (i = 0; i < THREADS; i++)
		JOIN(&w[i]);
}

TEST_F_TIMEOUT(storm, leaves_nothing_after_a_flush, 120)
{
	int i;

	storm(_metadata, self, variant);
	for (i = 0; i < PEERS; i++)
		EXPECT_EQ(0, flush(self->peer[i].fd));
	for (i = 0; i < PEERS; i++) {
		EXPECT_TRUE(peer_is_clean(self->peer[i].fd));
		EXPECT_EQ(0, owed(self->peer[i].fd));
		EXPECT_EQ(0, awaited(self->peer[i].fd));
		EXPECT_TRUE(is_empty(&self->peer[i]));
	}
	for (i = 0; i < PEERS; i++) {
		connect_all(self, i);
		EXPECT_EQ(0, ask(self->peer[i].fd, NODE, ASKED));
		EXPECT_EQ(0, send_empty(self->peer[i].fd,
					take(&self->peer[i])));
		EXPECT_TRUE(next_is(&self->peer[i], BUS1_MSG_DATA, ASKED));
	}
}

/* Everybody reads and drops everything: then nobody waits for anything. */
TEST_F_TIMEOUT(storm, ends_when_everything_is_read_and_dropped, 120)
{
	struct bus1_recv_args r;
	int i, left;
	unsigned int k;

	storm(_metadata, self, variant);
	for (i = 0; i < PEERS; i++)
		for (k = 0; k < HELD; k++)
			release_one(self->peer[i].fd, self->held[i][k]);
	do {
		for (i = left = 0; i < PEERS; i++)
			while (!recv_msg(&self->peer[i], &r)) {
				left++;
				if (r.type != BUS1_MSG_DATA)
					continue;
				release_one(self->peer[i].fd, r.reply);
				for (k = 0; k < r.n_handles; k++)
					release_one(self->peer[i].fd,
						    msg_handles(&self->peer[i],
								&r)[k]);
				slice_release_one(self->peer[i].fd, r.offset);
			}
	} while (left);
	for (i = 0; i < PEERS; i++) {
		EXPECT_EQ(0, query(self->peer[i].fd).n_queued);
		EXPECT_EQ(0, query(self->peer[i].fd).used_slices);
		EXPECT_EQ(0, query(self->peer[i].fd).used_inflight_bytes);
	}
}

TEST_F_TIMEOUT(storm, can_be_ended_by_disconnects, 120)
{
	struct job job[THREADS];
	struct worker w[THREADS];
	int i;

	storm_start(_metadata, self, variant, job, w);
	EXPECT_TRUE(BECOMES(query(self->peer[0].fd).n_sent > 20));
	for (i = 0; i < PEERS; i++)
		EXPECT_EQ(0, sys_disconnect(self->peer[i].fd, 0));
	for (i = 0; i < THREADS; i++)
		JOIN(&w[i]);
}

TEST_HARNESS_MAIN
