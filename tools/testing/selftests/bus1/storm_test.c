// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 selftests: threads that do anything at any time
 *
 * Threads call everything with colliding IDs on a few common peers. Nothing is
 * said about what a single call returns; afterwards every peer is flushed, and
 * whatever is still counted then has leaked.
 */
#include "stress.h"

#define PEERS	4
#define IDS	16
#define THREADS	4

FIXTURE(storm) {
	struct peer peer[PEERS];
	__u64 id[PEERS][IDS];	/* what threads believe these peers have */
	__u64 seed;
	unsigned int ops;
	struct verdict verdict;
};

FIXTURE_VARIANT(storm) {
	bool flushes;
	bool processes;
};

FIXTURE_VARIANT_ADD(storm, quiet) { false, false };
FIXTURE_VARIANT_ADD(storm, with_flushes) { true, false };
FIXTURE_VARIANT_ADD(storm, in_processes_with_flushes) { true, true };

struct storm_job {
	struct _test_data_storm *s;
	unsigned int i;
	bool flushes;
	struct rng rng;
};

FIXTURE_SETUP(storm)
{
	int i, j;

	self->seed = SEED();
	self->ops = scaled(1500);
	for (i = 0; i < PEERS; i++) {
		ASSERT_EQ(0, peer_open(&self->peer[i], NULL, BUS1_OPEN_NONBLOCK));
		for (j = 0; j < IDS; j++)
			self->id[i][j] = 8 * (j + 1);
	}
}

FIXTURE_TEARDOWN(storm)
{
	int i;

	for (i = 0; i < PEERS; i++)
		peer_close(&self->peer[i]);
}

static unsigned int any_peer(struct storm_job *j)
{
	return rng_below(&j->rng, PEERS);
}

/* An ID that peer @p might have, sometimes one to create. */
static __u64 any_id(struct storm_job *j, unsigned int p)
{
	__u64 id = LOAD(&j->s->id[p][rng_below(&j->rng, IDS)]);

	if (!(id & 7) && !rng_below(&j->rng, 4))
		id |= BUS1_HANDLE_FLAG_NEW;
	return id;
}

/* Remembers an ID that peer @p was shown. */
static void learn_id(struct storm_job *j, unsigned int p, __u64 id)
{
	if (id != BUS1_HANDLE_INVALID)
		STORE(&j->s->id[p][rng_below(&j->rng, IDS)], id);
}

static void storm_send(struct storm_job *j)
{
	unsigned int p = any_peer(j), i, n = 1 + rng_below(&j->rng, 4);
	unsigned int n_handles = rng_below(&j->rng, 4);
	unsigned int n_fds = rng_below(&j->rng, 8) ? 0 : 1 + rng_below(&j->rng, 2);
	static const char data[8192];
	__u64 dest[4], handle[4];
	int fds[2] = { STDIN_FILENO, STDERR_FILENO };

	for (i = 0; i < 4; i++) {
		dest[i] = any_id(j, p);
		handle[i] = any_id(j, p);
	}
	send_full(j->s->peer[p].fd, dest, n, data,
		  rng_below(&j->rng, sizeof(data)), handle, n_handles, fds,
		  n_fds, rng_below(&j->rng, 3) ? BUS1_SEND_CONTINUE : 0);
}

static void storm_seed(struct storm_job *j)
{
	unsigned int p = any_peer(j);
	__u64 handle[2] = { any_id(j, p), any_id(j, p) };

	send_full(j->s->peer[p].fd, NULL, 0, "seed", 4, handle, 2, NULL, 0,
		  BUS1_SEND_SEED);
}

static void storm_recv(struct storm_job *j)
{
	unsigned int i, p = any_peer(j), flags = 0;
	struct peer *peer = &j->s->peer[p];
	struct bus1_recv_args r = { 0 };
	__u64 h;
	int fd;

	if (!rng_below(&j->rng, 8))
		flags |= BUS1_RECV_SEED;
	if (rng_below(&j->rng, 2))
		flags |= BUS1_RECV_INSTALL_FDS;
	if (recv_flags(peer, &r, flags) || r.type != BUS1_MSG_DATA)
		return;
	for (i = 0; i < r.n_handles; i++) {
		if (!peek(&h, &msg_handles(peer, &r)[i], sizeof(h)))
			break;
		learn_id(j, p, h);
		if (rng_below(&j->rng, 2))
			release_one(peer->fd, h);
	}
	for (i = 0; flags & BUS1_RECV_INSTALL_FDS && i < r.n_fds; i++)
		if (peek(&fd, &msg_fds(peer, &r)[i], sizeof(fd)) &&
		    fd > STDERR_FILENO)
			close(fd);
	if (rng_below(&j->rng, 50))
		slice_release_one(peer->fd, r.offset);
}

static void storm_transfer(struct storm_job *j)
{
	unsigned int i, p = any_peer(j), q = any_peer(j);
	__u64 src[3], dst[3];

	for (i = 0; i < 3; i++)
		src[i] = any_id(j, p);
	if (sys_transfer(j->s->peer[p].fd, j->s->peer[q].fd, src, dst,
			 1 + rng_below(&j->rng, 3), 0))
		return;
	learn_id(j, q, dst[0]);
}

static void storm_release(struct storm_job *j)
{
	unsigned int p = any_peer(j);
	__u64 id[2] = { any_id(j, p), any_id(j, p) };

	sys_release(j->s->peer[p].fd, id, 1 + rng_below(&j->rng, 2), 0);
}

static void storm_destroy(struct storm_job *j)
{
	unsigned int p = any_peer(j);
	__u64 id[2] = { any_id(j, p), any_id(j, p) };

	sys_destroy(j->s->peer[p].fd, id, 1 + rng_below(&j->rng, 2),
		    rng_below(&j->rng, 2) ? BUS1_DESTROY_RELEASE_HANDLES : 0);
}

static void storm_other(struct storm_job *j)
{
	unsigned int p = any_peer(j);
	struct bus1_peer_limits l = limits_keep();
	char buf[4096];

	switch (rng_below(&j->rng, j->flushes ? 5 : 4)) {
	case 0:
		read_fdinfo(j->s->peer[p].fd, buf, sizeof(buf));
		break;
	case 1:
		is_readable(j->s->peer[p].fd);
		break;
	case 2:
		l.max_slices = 1000 + rng_below(&j->rng, 1000);
		sys_reset(j->s->peer[p].fd, &l, sizeof(l), 0);
		break;
	case 3:
		slice_release_one(j->s->peer[p].fd, rng_below(&j->rng, 64) * 8);
		break;
	case 4:
		sys_reset(j->s->peer[p].fd, NULL, 0, rng_below(&j->rng, 2) ?
			  BUS1_RESET_FLUSH : BUS1_RESET_FLUSH_SEED);
		break;
	}
}

static void *storm_run(void *arg)
{
	struct storm_job *j = arg;
	unsigned int n, op;

	for (n = 0; n < j->s->ops; n++) {
		/* The last one to be disconnected, in the test that does. */
		if (n % 16 == 0 && recv_type(&j->s->peer[PEERS - 1], NULL) ==
		    -ESHUTDOWN)
			break;
		op = rng_below(&j->rng, 100);
		if (op < 25)
			storm_send(j);
		else if (op < 55)
			storm_recv(j);
		else if (op < 75)
			storm_transfer(j);
		else if (op < 86)
			storm_release(j);
		else if (op < 93)
			storm_destroy(j);
		else if (op < 95)
			storm_seed(j);
		else
			storm_other(j);
	}
	return NULL;
}

static void storm_start(struct __test_metadata *_metadata,
			struct _test_data_storm *self,
			const struct _fixture_variant_storm *variant)
{
	struct storm_job job[THREADS];
	struct worker w[THREADS];
	int i;

	for (i = 0; i < THREADS; i++) {
		job[i] = (struct storm_job){ self, i, variant->flushes,
					     rng_for(self->seed, i) };
		ASSERT_EQ(0, worker_start(&w[i], variant->processes, storm_run,
					  &job[i]));
	}
	for (i = 0; i < THREADS; i++)
		JOIN(&w[i]);
}

TEST_F_TIMEOUT(storm, leaves_nothing_after_a_flush, 120)
{
	__u64 id;
	int i;

	storm_start(_metadata, self, variant);
	for (i = 0; i < PEERS; i++)
		EXPECT_EQ(0, flush(self->peer[i].fd));
	for (i = 0; i < PEERS; i++) {
		EXPECT_TRUE(peer_is_clean(self->peer[i].fd));
		EXPECT_EQ(-EAGAIN, recv_type(&self->peer[i], NULL));
		id = 0x1000;
		EXPECT_NE(BUS1_HANDLE_INVALID,
			  connect_new(self->peer[i].fd, id, self->peer[i].fd));
		EXPECT_EQ(0, send_bytes(self->peer[i].fd, id, "alive", 5));
		EXPECT_EQ(BUS1_MSG_DATA, recv_type(&self->peer[i], NULL));
	}
}

/* Draining by hand must come to the same as a flush: each count goes to 0. */
static void give_back(struct peer *p)
{
	struct bus1_recv_args r;
	unsigned int i;

	while (!recv_msg(p, &r)) {
		for (i = 0; i < r.n_handles; i++)
			release_one(p->fd, msg_handles(p, &r)[i]);
		if (r.offset != BUS1_OFFSET_INVALID)
			slice_release_one(p->fd, r.offset);
	}
}

TEST_F_TIMEOUT(storm, leaves_no_message_or_descriptor_after_a_drain, 120)
{
	int i;

	storm_start(_metadata, self, variant);
	for (i = 0; i < PEERS; i++) {
		EXPECT_EQ(0, sys_reset(self->peer[i].fd, NULL, 0,
				       BUS1_RESET_FLUSH_SEED));
		give_back(&self->peer[i]);
	}
	for (i = 0; i < PEERS; i++) {
		drain(&self->peer[i]);
		EXPECT_EQ(0, query(self->peer[i].fd).n_queued);
		EXPECT_EQ(0, query(self->peer[i].fd).used_inflight_fds);
		EXPECT_EQ(query(self->peer[i].fd).n_handles,
			  query(self->peer[i].fd).used_handles);
	}
}

static __u64 deliveries(const struct peer *peers)
{
	__u64 n = 0;
	int i;

	for (i = 0; i < PEERS; i++)
		n += query(peers[i].fd).n_sent;
	return n;
}

TEST_F_TIMEOUT(storm, can_be_ended_by_disconnects_at_any_time, 120)
{
	struct storm_job job[THREADS];
	struct worker w[THREADS];
	int i;

	self->ops = UINT_MAX;
	for (i = 0; i < THREADS; i++) {
		job[i] = (struct storm_job){ self, i, variant->flushes,
					     rng_for(self->seed, i) };
		ASSERT_EQ(0, worker_start(&w[i], variant->processes, storm_run,
					  &job[i]));
	}
	/* Which of the peers get anything sent, flushes and chance decide. */
	EXPECT_TRUE(BECOMES(deliveries(self->peer) > 50));
	for (i = 0; i < PEERS; i++) {
		EXPECT_EQ(0, sys_disconnect(self->peer[i].fd, 0));
		EXPECT_EQ(-ESHUTDOWN, recv_type(&self->peer[i], NULL));
	}
	for (i = 0; i < THREADS; i++)
		JOIN(&w[i]);
}

TEST_HARNESS_MAIN
