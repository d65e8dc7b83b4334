// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 selftests: a destination that ends in the middle of multicasts
 */
#include "stress.h"

#define SENDERS	3

/* Calls that take a peer down in some way. */
enum end { BY_DISCONNECT, BY_CLOSE, BY_FLUSH, BY_DESTROY };

static int end_peer(struct peer *p, enum end how)
{
	switch (how) {
	case BY_DISCONNECT:
		return sys_disconnect(p->fd, 0);
	case BY_CLOSE:
		return RET_ERRNO(close(p->fd));
	case BY_FLUSH:
		return flush(p->fd);
	case BY_DESTROY:
		return destroy_one(p->fd, 8);
	}
	return -EINVAL;
}

/*
 *   sender 0..2  ->  victim   (taken down meanwhile)
 *                \>  witness  (gets a message iff the send succeeded)
 */
FIXTURE(ending) {
	struct peer victim, witness, sender[SENDERS];
	__u64 to[SENDERS][2], tokens[SENDERS];
	__u32 sent[SENDERS], refused, stop, running;
	struct verdict verdict;
};

FIXTURE_VARIANT(ending) {
	enum end how;
};

FIXTURE_VARIANT_ADD(ending, by_disconnect) { BY_DISCONNECT };
FIXTURE_VARIANT_ADD(ending, by_close) { BY_CLOSE };
FIXTURE_VARIANT_ADD(ending, by_flush) { BY_FLUSH };
FIXTURE_VARIANT_ADD(ending, by_destruction) { BY_DESTROY };

struct ending_job {
	struct _test_data_ending *s;
	unsigned int i;
};

FIXTURE_SETUP(ending)
{
	int i;

	ASSERT_EQ(0, peer_open(&self->witness, NULL, 0));
	for (i = 0; i < SENDERS; i++) {
		struct peer *p = &self->sender[i];

		ASSERT_EQ(0, peer_open(p, NULL, 0));
		self->to[i][1] = connect_peers(self->witness.fd,
					i ? 8 : 8 | BUS1_HANDLE_FLAG_NEW, p->fd);
		ASSERT_NE(BUS1_HANDLE_INVALID, self->to[i][1]);
		self->tokens[i] = connect_new(p->fd, 64, p->fd);
	}
}

FIXTURE_TEARDOWN(ending)
{
	int i;

	peer_close(&self->witness);
	for (i = 0; i < SENDERS; i++)
		peer_close(&self->sender[i]);
}

/* Multicasts a handle and a descriptor until the victim is found gone. */
static void *ending_send(void *arg)
{
	struct ending_job *j = arg;
	struct _test_data_ending *s = j->s;
	int r, fd = s->sender[j->i].fd, carried = STDERR_FILENO;
	char data[100] = "";

	ADD(&s->running, 1);
	for (;;) {
		r = send_full(fd, s->to[j->i], 2, data, sizeof(data),
			      &s->tokens[j->i], 1, &carried, 1, 0);
		s->sent[j->i] += !r;
		if (r == -EHOSTUNREACH)
			break;
		if (!MUST(&s->verdict, !r || r == -EDQUOT || r == -EXFULL ||
			  r == -ETOOMANYREFS, r))
			break;
	}
	/* Whoever was refused once is refused for good. */
	r = send_full(fd, s->to[j->i], 2, NULL, 0, NULL, 0, NULL, 0, 0);
	MUST(&s->verdict, r == -EHOSTUNREACH, r);
	return NULL;
}

static void *ending_drain(void *arg)
{
	struct _test_data_ending *s = arg;

	while (!LOAD(&s->stop)) {
		drain(&s->victim);
		sched_yield();
	}
	return NULL;
}

static int ending_connect(struct _test_data_ending *s)
{
	int i;

	if (peer_open(&s->victim, NULL, 0))
		return -1;
	for (i = 0; i < SENDERS; i++) {
		s->to[i][0] = connect_peers(s->victim.fd,
			i ? 8 : 8 | BUS1_HANDLE_FLAG_NEW, s->sender[i].fd);
		if (s->to[i][0] == BUS1_HANDLE_INVALID)
			return -1;
		s->sent[i] = 0;
	}
	s->running = s->stop = 0;
	return 0;
}

static __u32 messages_at(const struct peer *p)
{
	struct bus1_recv_args r;
	__u32 n = 0;

	while (!recv_msg(p, &r)) {
		n += r.type == BUS1_MSG_DATA;
		if (r.n_handles && *msg_handles(p, &r) != BUS1_HANDLE_INVALID)
			release_one(p->fd, *msg_handles(p, &r));
		if (r.offset != BUS1_OFFSET_INVALID)
			slice_release_one(p->fd, r.offset);
	}
	return n;
}

static void ending_round(struct __test_metadata *_metadata,
			 struct _test_data_ending *self, enum end how)
{
	struct worker w[SENDERS], drainer;
	struct ending_job job[SENDERS];
	__u32 got = 0, sent = 0;
	int i;

	ASSERT_EQ(0, ending_connect(self));
	THREAD(&drainer, ending_drain, self);
	for (i = 0; i < SENDERS; i++) {
		job[i] = (struct ending_job){ self, i };
		THREAD(&w[i], ending_send, &job[i]);
	}
	ASSERT_TRUE(BECOMES(LOAD(&self->running) == SENDERS));
	while (got < 20)
		got += messages_at(&self->witness);
	if (how == BY_CLOSE) {
		/* The descriptor must not be used again by a stale thread. */
		STORE(&self->stop, 1);
		JOIN(&drainer);
	}
	EXPECT_EQ(0, end_peer(&self->victim, how));
	for (i = 0; i < SENDERS; i++) {
		JOIN(&w[i]);
		sent += self->sent[i];
	}
	STORE(&self->stop, 1);
	if (how != BY_CLOSE)
		JOIN(&drainer);
	got += messages_at(&self->witness);
	EXPECT_EQ(sent, got);
	if (how == BY_CLOSE)
		self->victim.fd = -1;
	peer_close(&self->victim);
}

TEST_F_TIMEOUT(ending, of_a_destination_leaves_multicasts_whole, 120)
{
	unsigned int round;
	int i;

	for (round = 0; round < scaled(10); round++) {
		ending_round(_metadata, self, variant->how);
		ASSERT_EQ(0, _metadata->exit_code);
	}
	EXPECT_FINE(&self->verdict);
	/* The witness holds its node alone: every message has given back all. */
	EXPECT_EQ(0, query(self->witness.fd).used_slices);
	EXPECT_EQ(1, query(self->witness.fd).used_handles);
	EXPECT_EQ(0, query(self->witness.fd).used_inflight_fds);
	for (i = 0; i < SENDERS; i++)
		EXPECT_EQ(1, query(self->sender[i].fd).n_nodes);
}

TEST_HARNESS_MAIN
