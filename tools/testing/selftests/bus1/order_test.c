// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 selftests: the order of events, one rule at a time
 */
#include "stress.h"

/*
 * Destinations that stand between two others in a multicast, so that it takes a
 * while from the one to the other and races have a chance.
 */
#define FILLERS	20

static int make_fillers(struct peer *filler, int sender, __u64 *to)
{
	int i;

	if (peer_open(filler, NULL, 0))
		return -1;
	for (i = 0; i < FILLERS; i++) {
		to[i] = connect_new(filler->fd, 8 * (i + 1), sender);
		if (to[i] == BUS1_HANDLE_INVALID)
			return -1;
	}
	return 0;
}

/*
 * A reaction never overtakes (rules 1, 3, 4). In each round the first thread
 * multicasts M to the learner and the target; the second one waits until it
 * has learned of M in some way and then sends E to the target, which must get
 * M, then E. A third thread moves the clocks with traffic of its own, and the
 * sender's is ahead of all, so that M has a place far above the target's clock.
 */
enum learn { BY_RECV, BY_POLL, BY_QUERY, BY_RETURN, BY_FDINFO };

FIXTURE(reaction) {
	struct peer sender, learner, target, noise, filler;
	__u64 to[2 + FILLERS], echo, noise_to[2];
	enum learn how;
	__u32 rounds, returned, answered, stop;
	struct verdict verdict;
	struct rng rng;
};

FIXTURE_VARIANT(reaction) {
	enum learn how;
};

FIXTURE_VARIANT_ADD(reaction, to_a_message_received) { BY_RECV };
FIXTURE_VARIANT_ADD(reaction, to_pollin) { BY_POLL };
FIXTURE_VARIANT_ADD(reaction, to_a_query) { BY_QUERY };
FIXTURE_VARIANT_ADD(reaction, to_the_return_of_send) { BY_RETURN };
FIXTURE_VARIANT_ADD(reaction, to_fdinfo) { BY_FDINFO };

FIXTURE_SETUP(reaction)
{
	self->how = variant->how;
	self->rng = rng_for(SEED(), 0);
	ASSERT_EQ(0, peer_open(&self->sender, NULL, 0));
	ASSERT_EQ(0, peer_open(&self->learner, NULL, 0));
	ASSERT_EQ(0, peer_open(&self->target, NULL, 0));
	ASSERT_EQ(0, peer_open(&self->noise, NULL, 0));
	self->to[0] = connect_new(self->learner.fd, 8, self->sender.fd);
	self->to[1] = connect_new(self->target.fd, 8, self->sender.fd);
	self->echo = connect_new(self->target.fd, 16, self->learner.fd);
	self->noise_to[0] = connect_new(self->target.fd, 24, self->noise.fd);
	self->noise_to[1] = connect_new(self->noise.fd, 24, self->noise.fd);
	ASSERT_NE(BUS1_HANDLE_INVALID,
		  connect_new(self->sender.fd, 8, self->sender.fd));
	ASSERT_EQ(0, make_fillers(&self->filler, self->sender.fd, self->to + 2));
	self->rounds = scaled(200);
}

FIXTURE_TEARDOWN(reaction)
{
	peer_close(&self->sender);
	peer_close(&self->learner);
	peer_close(&self->target);
	peer_close(&self->noise);
	peer_close(&self->filler);
}

static bool learned(struct _test_data_reaction *s, __u32 round)
{
	__u32 v;

	switch (s->how) {
	case BY_RECV:
		return !recv_u32(&s->learner, &v, BUS1_RECV_NONBLOCK);
	case BY_POLL:
		return is_readable(s->learner.fd);
	case BY_QUERY:
		return query(s->learner.fd).n_queued;
	case BY_RETURN:
		return LOAD(&s->returned) == round;
	case BY_FDINFO:
		return fdinfo_value(s->learner.fd, "queued", 0) > 0;
	}
	return false;
}

static void *learner_run(void *arg)
{
	struct _test_data_reaction *s = arg;
	__u32 round, v;
	int err;

	for (round = 1; round <= s->rounds; round++) {
		while (!learned(s, round) && !LOAD(&s->stop))
			sched_yield();
		if (LOAD(&s->stop))
			break;
		v = round * 2 + 1;
		err = send_bytes(s->learner.fd, s->echo, &v, sizeof(v));
		MUST(&s->verdict, !err, err);
		if (s->how != BY_RECV) {
			err = recv_u32(&s->learner, &v, 0);
			MUST(&s->verdict, !err, err);
		}
		STORE(&s->answered, round);
	}
	return NULL;
}

static void *noise_run(void *arg)
{
	struct _test_data_reaction *s = arg;
	__u64 own = 24;
	__u32 v = 0;

	while (!LOAD(&s->stop)) {
		send_multi(s->noise.fd, s->noise_to, 2, &v, sizeof(v),
			   BUS1_SEND_CONTINUE);
		send_bytes(s->noise.fd, own, &v, sizeof(v));
		drain(&s->noise);
		sched_yield();
	}
	return NULL;
}

/* The next message at the target that is no noise. */
static __u32 next_at_target(struct _test_data_reaction *s)
{
	__u32 v;

	do {
		if (recv_u32(&s->target, &v, 0))
			return 0;
	} while (!v);
	return v;
}

/* M, with the fillers between learner and target; now and then backwards. */
static int send_to_both(struct _test_data_reaction *s, __u32 round)
{
	__u64 to[2 + FILLERS];
	__u32 v = round * 2;

	send_empty(s->sender.fd, 8);
	send_empty(s->sender.fd, 8);
	drain(&s->sender);
	memcpy(to + 1, s->to + 2, FILLERS * sizeof(*to));
	to[0] = s->to[round % 4 == 0];
	to[1 + FILLERS] = s->to[round % 4 != 0];
	return send_multi(s->sender.fd, to, 2 + FILLERS, &v, sizeof(v), 0);
}

TEST_F_TIMEOUT(reaction, never_overtakes_the_multicast, 120)
{
	struct worker learner, noise;
	__u32 round;

	THREAD(&learner, learner_run, self);
	THREAD(&noise, noise_run, self);
	for (round = 1; round <= self->rounds; round++) {
		EXPECT_EQ(0, send_to_both(self, round));
		STORE(&self->returned, round);
		EXPECT_EQ(round * 2, next_at_target(self));
		EXPECT_EQ(round * 2 + 1, next_at_target(self));
		EXPECT_TRUE(BECOMES(LOAD(&self->answered) == round));
		drain(&self->filler);
		if (_metadata->exit_code)
			break;
	}
	STORE(&self->stop, 1);
	JOIN(&noise);
	JOIN(&learner);
	EXPECT_FINE(&self->verdict);
}

/*
 * Receivers agree on events that race (rule 2). Two senders multicast to the
 * same two receivers, the one beginning where the other ends.
 */
FIXTURE(agreement) {
	struct peer sender[2], receiver[2], filler[2];
	__u64 to[2][2 + FILLERS];
	__u32 go, n;
	struct verdict verdict;
};

struct agreement_job {
	struct _test_data_agreement *s;
	unsigned int i;
};

FIXTURE_SETUP(agreement)
{
	int i, j;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, peer_open(&self->sender[i], NULL, 0));
		ASSERT_EQ(0, peer_open(&self->receiver[i], NULL, 0));
	}
	for (i = 0; i < 2; i++) {
		__u64 *to = self->to[i];

		ASSERT_EQ(0, make_fillers(&self->filler[i], self->sender[i].fd,
					  to + 1));
		for (j = 0; j < 2; j++)
			to[j == i ? 0 : 1 + FILLERS] =
				connect_new(self->receiver[j].fd, 8 * (i + 1),
					    self->sender[i].fd);
	}
	self->n = scaled(300);
}

FIXTURE_TEARDOWN(agreement)
{
	int i;

	for (i = 0; i < 2; i++) {
		peer_close(&self->sender[i]);
		peer_close(&self->receiver[i]);
		peer_close(&self->filler[i]);
	}
}

static void *agreement_run(void *arg)
{
	struct agreement_job *j = arg;
	struct _test_data_agreement *s = j->s;
	__u32 n, v;
	int err;

	while (!LOAD(&s->go))
		sched_yield();
	for (n = 0; n < s->n; n++) {
		v = 2 * n + j->i;
		err = send_multi(s->sender[j->i].fd, s->to[j->i], 2 + FILLERS,
				 &v, sizeof(v), 0);
		MUST(&s->verdict, !err, err);
		if (n % 64 == 63)
			drain(&s->filler[j->i]);
	}
	return NULL;
}

TEST_F_TIMEOUT(agreement, of_receivers_on_racing_multicasts, 120)
{
	struct agreement_job job[2] = { { self, 0 }, { self, 1 } };
	unsigned int i, mixed = 0;
	__u32 a, b, last = 0;
	struct worker w[2];

	for (i = 0; i < 2; i++)
		THREAD(&w[i], agreement_run, &job[i]);
	STORE(&self->go, 1);
	for (i = 0; i < 2 * self->n; i++) {
		ASSERT_EQ(0, recv_u32(&self->receiver[0], &a, 0));
		ASSERT_EQ(0, recv_u32(&self->receiver[1], &b, 0));
		ASSERT_EQ(a, b) {
			TH_LOG("message %u", i);
		}
		mixed += (a ^ last) & 1;
		last = a;
	}
	for (i = 0; i < 2; i++)
		JOIN(&w[i]);
	EXPECT_FINE(&self->verdict);
	TH_LOG("%u of %u came after one of the other sender", mixed, i * self->n);
}

/*
 * Whoever learns of a destruction and then sends to a holder of the node
 * cannot be faster than the holder's notice. The holder here also holds up to
 * 64 other nodes of the same array, so that the destruction takes a moment.
 */
enum news { BY_EHOSTUNREACH, BY_INVALID, BY_NOTICE, BY_ESTALE, BY_CARRIED };

#define WIDTH	64

FIXTURE(news) {
	struct peer owner, holder, learner;
	__u64 node[WIDTH], held[WIDTH], seen[WIDTH], tell, own_tell;
	enum news how;
	__u32 stop, ready;
	struct verdict verdict;
};

FIXTURE_VARIANT(news) {
	enum news how;
};

FIXTURE_VARIANT_ADD(news, by_a_refused_send) { BY_EHOSTUNREACH };
FIXTURE_VARIANT_ADD(news, by_an_invalid_transfer) { BY_INVALID };
FIXTURE_VARIANT_ADD(news, by_a_notice) { BY_NOTICE };
FIXTURE_VARIANT_ADD(news, by_a_second_destruction) { BY_ESTALE };
FIXTURE_VARIANT_ADD(news, by_an_invalid_handle_received) { BY_CARRIED };

FIXTURE_SETUP(news)
{
	self->how = variant->how;
	ASSERT_EQ(0, peer_open(&self->owner, NULL, 0));
	ASSERT_EQ(0, peer_open(&self->holder, NULL, 0));
	ASSERT_EQ(0, peer_open(&self->learner, NULL, 0));
	self->tell = connect_new(self->holder.fd, 8, self->learner.fd);
	self->own_tell = connect_new(self->holder.fd, 16, self->owner.fd);
	ASSERT_NE(BUS1_HANDLE_INVALID,
		  connect_new(self->learner.fd, 8, self->learner.fd));
	ASSERT_NE(BUS1_HANDLE_INVALID,
		  connect_new(self->owner.fd, 8, self->owner.fd));
}

FIXTURE_TEARDOWN(news)
{
	peer_close(&self->owner);
	peer_close(&self->holder);
	peer_close(&self->learner);
}

/* Sends the last node to itself and looks at how it arrives. */
static bool carried_is_dead(struct _test_data_news *s)
{
	struct bus1_recv_args r;
	__u64 h;

	if (send_handles(s->learner.fd, 8, &s->seen[WIDTH - 1], 1))
		return false;
	do {
		if (recv_wait(&s->learner, &r))
			return false;
	} while (r.type != BUS1_MSG_DATA);
	h = *msg_handles(&s->learner, &r);
	slice_release_one(s->learner.fd, r.offset);
	return h == BUS1_HANDLE_INVALID;
}

static bool heard(struct _test_data_news *s)
{
	__u64 out = 0, last = s->seen[WIDTH - 1];

	switch (s->how) {
	case BY_EHOSTUNREACH:
		return send_empty(s->learner.fd, last) == -EHOSTUNREACH;
	case BY_INVALID:
		return !sys_transfer(s->learner.fd, s->learner.fd, &last, &out,
				     1, 0) && out == BUS1_HANDLE_INVALID;
	case BY_NOTICE:
		/* They come one after the other. */
		return recv_type(&s->learner, &out) == BUS1_MSG_NODE_DESTROY &&
		       out == last;
	case BY_ESTALE:
		return destroy_one(s->owner.fd, s->node[0]) == -ESTALE;
	case BY_CARRIED:
		return carried_is_dead(s);
	}
	return false;
}

static void *news_run(void *arg)
{
	struct _test_data_news *s = arg;
	__u32 v = 1;
	__u64 to = s->how == BY_ESTALE ? s->own_tell : s->tell;
	int err, fd = s->how == BY_ESTALE ? s->owner.fd : s->learner.fd;

	/* The owner's first node is destroyed twice: only the loser hears. */
	STORE(&s->ready, 1);
	while (!heard(s) && !LOAD(&s->stop))
		sched_yield();
	err = send_bytes(fd, to, &v, sizeof(v));
	MUST(&s->verdict, !err, err);
	return NULL;
}

static void news_make(struct _test_data_news *s, __u32 round)
{
	unsigned int i;

	for (i = 0; i < WIDTH; i++) {
		s->node[i] = 0x100000 + (round * WIDTH + i) * 8ULL;
		s->held[i] = connect_new(s->owner.fd, s->node[i], s->holder.fd);
		s->seen[i] = connect_peers(s->owner.fd, s->node[i],
					   s->learner.fd);
	}
}

/* Notices that the holder gets before the reaction. */
static int notices_first(struct _test_data_news *s)
{
	struct bus1_recv_args r;
	int n = 0;

	for (;;) {
		if (recv_wait(&s->holder, &r))
			return -1;
		if (r.type == BUS1_MSG_DATA)
			break;
		n++;
	}
	slice_release_one(s->holder.fd, r.offset);
	return n;
}

TEST_F_TIMEOUT(news, of_a_destruction_never_outruns_its_notice, 120)
{
	struct worker w;
	__u32 round;
	int r;

	for (round = 0; round < scaled(40); round++) {
		news_make(self, round);
		STORE(&self->ready, 0);
		/* The owner's clock goes ahead, and the event far above others. */
		send_empty(self->owner.fd, 8);
		send_empty(self->owner.fd, 8);
		send_empty(self->owner.fd, 8);
		THREAD(&w, news_run, self);
		ASSERT_TRUE(BECOMES(LOAD(&self->ready)));
		r = sys_destroy(self->owner.fd, self->node, WIDTH, 0);
		if (self->how == BY_ESTALE && r == -ESTALE)
			r = 0;
		EXPECT_EQ(0, r);
		JOIN(&w);
		r = notices_first(self);
		EXPECT_TRUE(r == WIDTH || (r == 1 && self->how == BY_ESTALE));
		drain(&self->learner);
		drain(&self->owner);
		drain(&self->holder);
		ASSERT_EQ(0, _metadata->exit_code);
	}
	EXPECT_FINE(&self->verdict);
}

/* The rest is decided without a race. */
FIXTURE(order) {
	struct peer a, b, c;
	__u64 b1, b2, c1;
};

FIXTURE_SETUP(order)
{
	ASSERT_EQ(0, peer_open(&self->a, NULL, 0));
	ASSERT_EQ(0, peer_open(&self->b, NULL, 0));
	ASSERT_EQ(0, peer_open(&self->c, NULL, 0));
	self->b1 = connect_new(self->b.fd, 8, self->a.fd);
	self->b2 = connect_new(self->b.fd, 16, self->a.fd);
	self->c1 = connect_new(self->c.fd, 8, self->a.fd);
}

FIXTURE_TEARDOWN(order)
{
	peer_close(&self->a);
	peer_close(&self->b);
	peer_close(&self->c);
}

TEST_F(order, nodes_of_one_peer_get_a_multicast_in_array_order_with_more)
{
	__u64 to[] = { self->b2, self->c1, self->b1 };
	struct bus1_recv_args r;

	ASSERT_EQ(0, send_multi(self->a.fd, to, 3, "x", 1, 0));
	ASSERT_EQ(0, send_empty(self->a.fd, self->b1));
	ASSERT_EQ(0, recv_msg(&self->b, &r));
	EXPECT_EQ(16, r.destination);
	EXPECT_EQ(BUS1_MSG_FLAG_MORE, r.flags);
	ASSERT_EQ(0, recv_msg(&self->b, &r));
	EXPECT_EQ(8, r.destination);
	EXPECT_EQ(0, r.flags);
	ASSERT_EQ(0, recv_msg(&self->b, &r));
	EXPECT_EQ(0, r.n_bytes);
	EXPECT_EQ(0, r.flags);
	ASSERT_EQ(0, recv_msg(&self->c, &r));
	EXPECT_EQ(0, r.flags);
}

TEST_F(order, a_message_to_another_node_is_not_more_of_the_first)
{
	struct bus1_recv_args r;

	ASSERT_EQ(0, send_empty(self->a.fd, self->b1));
	ASSERT_EQ(0, send_empty(self->a.fd, self->b2));
	ASSERT_EQ(0, recv_msg(&self->b, &r));
	EXPECT_EQ(0, r.flags);
}

TEST_F(order, notices_of_one_call_come_in_array_order)
{
	__u64 nodes[] = { 16, 8 };
	struct bus1_recv_args r;

	ASSERT_EQ(0, sys_destroy(self->b.fd, nodes, 2, 0));
	ASSERT_EQ(0, recv_msg(&self->a, &r));
	EXPECT_EQ(BUS1_MSG_NODE_DESTROY, r.type);
	EXPECT_EQ(self->b2, r.destination);
	EXPECT_EQ(0, r.flags);
	ASSERT_EQ(0, recv_msg(&self->a, &r));
	EXPECT_EQ(BUS1_MSG_NODE_DESTROY, r.type);
	EXPECT_EQ(self->b1, r.destination);
	EXPECT_EQ(0, r.flags);
}

TEST_F(order, notices_of_two_destructions_are_two_transactions)
{
	struct bus1_recv_args r;

	ASSERT_EQ(0, destroy_one(self->b.fd, 8));
	ASSERT_EQ(0, destroy_one(self->b.fd, 16));
	ASSERT_EQ(0, recv_msg(&self->a, &r));
	EXPECT_EQ(self->b1, r.destination);
	EXPECT_EQ(0, r.flags);
}

TEST_F(order, messages_sent_before_a_destruction_come_before_its_notice)
{
	__u64 dest;

	ASSERT_EQ(0, send_empty(self->a.fd, self->b1));
	ASSERT_EQ(0, destroy_one(self->b.fd, 8));
	EXPECT_EQ(-EHOSTUNREACH, send_empty(self->a.fd, self->b1));
	EXPECT_EQ(BUS1_MSG_DATA, recv_type(&self->b, &dest));
	EXPECT_EQ(8, dest);
	EXPECT_EQ(BUS1_MSG_NODE_DESTROY, recv_type(&self->b, &dest));
	EXPECT_EQ(8, dest);
}

TEST_F(order, a_handle_is_invalid_when_its_node_died_before_the_message)
{
	struct bus1_recv_args r;

	ASSERT_EQ(0, destroy_one(self->b.fd, 8));
	ASSERT_EQ(0, send_handles(self->a.fd, self->c1, &self->b1, 1));
	ASSERT_EQ(0, recv_msg(&self->c, &r));
	ASSERT_EQ(1, r.n_handles);
	EXPECT_EQ(BUS1_HANDLE_INVALID, *msg_handles(&self->c, &r));
	EXPECT_EQ(-EAGAIN, recv_msg(&self->c, &r));
}

TEST_F(order, a_handle_is_valid_when_its_node_died_after_the_message)
{
	struct bus1_recv_args r, notice;

	ASSERT_EQ(0, send_handles(self->a.fd, self->c1, &self->b1, 1));
	ASSERT_EQ(0, destroy_one(self->b.fd, 8));
	ASSERT_EQ(0, recv_msg(&self->c, &r));
	ASSERT_EQ(1, r.n_handles);
	EXPECT_NE(BUS1_HANDLE_INVALID, *msg_handles(&self->c, &r));
	ASSERT_EQ(0, recv_msg(&self->c, &notice));
	EXPECT_EQ(BUS1_MSG_NODE_DESTROY, notice.type);
	EXPECT_EQ(*msg_handles(&self->c, &r), notice.destination);
	EXPECT_EQ(0, release_one(self->c.fd, notice.destination));
}

TEST_F(order, a_destruction_between_two_messages_shows_in_the_second_alone)
{
	struct bus1_recv_args r;

	ASSERT_EQ(0, send_handles(self->a.fd, self->c1, &self->b1, 1));
	ASSERT_EQ(0, destroy_one(self->b.fd, 8));
	ASSERT_EQ(0, send_handles(self->a.fd, self->c1, &self->b1, 1));
	ASSERT_EQ(0, recv_msg(&self->c, &r));
	EXPECT_NE(BUS1_HANDLE_INVALID, *msg_handles(&self->c, &r));
	EXPECT_EQ(BUS1_MSG_NODE_DESTROY, recv_type(&self->c, NULL));
	ASSERT_EQ(0, recv_msg(&self->c, &r));
	ASSERT_EQ(1, r.n_handles);
	EXPECT_EQ(BUS1_HANDLE_INVALID, *msg_handles(&self->c, &r));
}

/* A send that fails leaves no trace at any of its destinations. */
TEST_F(order, a_refused_multicast_is_not_half_delivered)
{
	__u64 to[] = { self->c1, self->b1 };
	struct state before;

	ASSERT_EQ(0, destroy_one(self->b.fd, 8));
	state_get(self->c.fd, &before);
	EXPECT_EQ(-EHOSTUNREACH, send_multi(self->a.fd, to, 2, "x", 1, 0));
	EXPECT_TRUE(state_same(self->c.fd, &before));
}

TEST_F(order, a_release_notice_comes_after_the_last_message_of_the_holder)
{
	ASSERT_EQ(0, send_empty(self->a.fd, self->b1));
	ASSERT_EQ(0, release_one(self->a.fd, self->b1));
	EXPECT_EQ(BUS1_MSG_DATA, recv_type(&self->b, NULL));
	EXPECT_EQ(BUS1_MSG_NODE_RELEASE, recv_type(&self->b, NULL));
}

TEST_HARNESS_MAIN
