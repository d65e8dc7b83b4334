// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 selftests: reply handles that are passed on
 *
 * A handle moves, in a message and in nothing else: who passed it on does not have
 * it any more, and however far it went, there is one reply or one drop.
 */
#include "reply.h"

/*
 * Passes @h of @from on to @to, where @node is @from's handle to; returns the
 * handle there, or INVALID.
 */
static __u64 pass_on(const struct peer *from, __u64 h, __u64 node,
		     const struct peer *to)
{
	return send_handles(from->fd, node, &h, 1) ? INVALID : take_handle(to);
}

FIXTURE(move) {
	struct trio t;
	int client, server, worker;
	__u64 h;
	struct bus1_recv_args r;
};

FIXTURE_SETUP(move)
{
	ASSERT_EQ(0, trio_open(&self->t));
	self->client = self->t.client.fd;
	self->server = self->t.server.fd;
	self->worker = self->t.worker.fd;
	ASSERT_EQ(0, ask(self->client, self->t.to_server, ASKED));
	self->h = take(&self->t.server);
	ASSERT_NE(INVALID, self->h);
}

FIXTURE_TEARDOWN(move)
{
	trio_close(&self->t);
}

/* Gives the server's handle to the worker. */
#define TO_WORKER()						\
	pass_on(&self->t.server, self->h, self->t.to_worker,	\
		&self->t.worker)
#define EXPECT_NEXT(type)	EXPECT_TRUE(next_is(&self->t.client, type, ASKED))
#define EXPECT_IDLE()		EXPECT_TRUE(trio_is_idle(&self->t))

TEST_F(move, lets_another_peer_reply)
{
	__u64 k = TO_WORKER(), sent = query(self->worker).n_sent;

	ASSERT_NE(INVALID, k);
	EXPECT_EQ(MANAGED | REMOTE, k & 7);
	EXPECT_EQ(0, send_bytes(self->worker, k, "reply", 5));
	EXPECT_EQ(sent + 1, query(self->worker).n_sent);
	EXPECT_NEXT(BUS1_MSG_DATA);
	EXPECT_IDLE();
}

TEST_F(move, takes_the_handle_from_its_holder)
{
	__u64 k = TO_WORKER(), out;

	ASSERT_NE(INVALID, k);
	EXPECT_EQ(-ENXIO, send_bytes(self->server, self->h, "x", 1));
	EXPECT_EQ(-ENXIO, release_one(self->server, self->h));
	EXPECT_EQ(-ENXIO, send_handles(self->server, self->t.to_worker,
				       &self->h, 1));
	EXPECT_EQ(-ENXIO, sys_transfer(self->server, self->worker, &self->h,
				       &out, 1, 0));
	EXPECT_EQ(0, owed(self->server));
	EXPECT_EQ(1, owed(self->worker));
	EXPECT_EQ(1, awaited(self->client));
	EXPECT_TRUE(is_empty(&self->t.client));
	EXPECT_EQ(0, send_bytes(self->worker, k, "reply", 5));
	EXPECT_NEXT(BUS1_MSG_DATA);
	EXPECT_IDLE();
}

TEST_F(move, charges_nobody)
{
	struct bus1_peer_limits none = limits_keep();
	struct usage old = self->t.at_worker;
	__u64 k;

	none.max_handles = 0;
	ASSERT_EQ(0, sys_reset(self->worker, &none, sizeof(none), 0));
	ASSERT_EQ(0, sys_reset(self->server, &none, sizeof(none), 0));
	k = TO_WORKER();
	ASSERT_NE(INVALID, k);
	old.ids++;
	old.owed = 1;
	EXPECT_TRUE(usage_is(self->worker, &old));
	EXPECT_TRUE(usage_is(self->server, &self->t.at_server));
	EXPECT_EQ(0, send_bytes(self->worker, k, "reply", 5));
	EXPECT_NEXT(BUS1_MSG_DATA);
	EXPECT_IDLE();
}

TEST_F(move, ends_with_a_drop_when_the_last_holder_lets_go)
{
	__u64 k = TO_WORKER();

	EXPECT_EQ(0, release_one(self->worker, k));
	EXPECT_NEXT(BUS1_MSG_REPLY_DROPPED);
	EXPECT_TRUE(is_empty(&self->t.client));
	EXPECT_IDLE();
}

TEST_F(move, is_survived_by_the_handle_when_the_first_holder_closes)
{
	__u64 k = TO_WORKER();

	peer_close(&self->t.server);
	EXPECT_TRUE(next_is(&self->t.client, BUS1_MSG_NODE_DESTROY,
			    self->t.to_server));
	EXPECT_TRUE(is_empty(&self->t.client));
	EXPECT_EQ(0, send_bytes(self->worker, k, "reply", 5));
	EXPECT_NEXT(BUS1_MSG_DATA);
	EXPECT_TRUE(usage_is(self->client, &self->t.at_client));
}

TEST_F(move, ends_with_a_drop_when_the_last_holder_closes)
{
	EXPECT_NE(INVALID, TO_WORKER());
	peer_close(&self->t.worker);
	EXPECT_NEXT(BUS1_MSG_REPLY_DROPPED);
	EXPECT_TRUE(is_empty(&self->t.client));
}

TEST_F(move, there_and_back_gives_a_new_handle)
{
	__u64 back = connect_peers(self->server, NODE, self->worker), k, h;

	k = TO_WORKER();
	h = pass_on(&self->t.worker, k, back, &self->t.server);
	ASSERT_NE(INVALID, h);
	EXPECT_NE(self->h, h);
	EXPECT_EQ(-ENXIO, release_one(self->worker, k));
	EXPECT_EQ(-ENXIO, send_empty(self->server, self->h));
	EXPECT_EQ(0, send_empty(self->server, h));
	EXPECT_NEXT(BUS1_MSG_DATA);
	EXPECT_EQ(0, release_one(self->worker, back));
	EXPECT_IDLE();
}

TEST_F(move, often_leads_to_one_reply)
{
	__u64 back = connect_peers(self->server, NODE, self->worker), k;
	int i;

	for (i = 0; i < 50; i++) {
		k = TO_WORKER();
		self->h = pass_on(&self->t.worker, k, back, &self->t.server);
		ASSERT_NE(INVALID, self->h);
	}
	EXPECT_EQ(0, send_empty(self->server, self->h));
	EXPECT_NEXT(BUS1_MSG_DATA);
	EXPECT_TRUE(is_empty(&self->t.client));
	EXPECT_EQ(0, release_one(self->worker, back));
	EXPECT_IDLE();
}

TEST_F(move, to_the_requester_itself_gives_the_exception)
{
	__u64 back = connect_peers(self->client, NODE, self->server), h;

	h = pass_on(&self->t.server, self->h, back, &self->t.client);
	ASSERT_NE(INVALID, h);
	EXPECT_EQ(MANAGED, h & 7);
	EXPECT_NE(ASKED, h);
	EXPECT_EQ(1, owed(self->client));
	EXPECT_EQ(1, awaited(self->client));
	EXPECT_EQ(0, send_bytes(self->client, h, "me", 2));
	EXPECT_NEXT(BUS1_MSG_DATA);
	EXPECT_EQ(0, release_one(self->server, back));
	drain(&self->t.client);
	EXPECT_IDLE();
}

TEST_F(move, to_the_requester_and_away_again)
{
	__u64 back = connect_peers(self->client, NODE, self->server), h;

	h = pass_on(&self->t.server, self->h, back, &self->t.client);
	ASSERT_NE(INVALID, h);
	h = pass_on(&self->t.client, h, self->t.to_server, &self->t.server);
	ASSERT_NE(INVALID, h);
	EXPECT_EQ(MANAGED | REMOTE, h & 7);
	EXPECT_EQ(0, owed(self->client));
	EXPECT_EQ(0, release_one(self->server, h));
	EXPECT_NEXT(BUS1_MSG_REPLY_DROPPED);
	EXPECT_EQ(0, release_one(self->server, back));
	drain(&self->t.client);
	EXPECT_IDLE();
}

TEST_F(move, to_the_requester_that_lets_go_is_a_drop)
{
	__u64 back = connect_peers(self->client, NODE, self->server), h;

	h = pass_on(&self->t.server, self->h, back, &self->t.client);
	ASSERT_NE(INVALID, h);
	EXPECT_EQ(0, release_one(self->client, h));
	EXPECT_NEXT(BUS1_MSG_REPLY_DROPPED);
	EXPECT_TRUE(is_empty(&self->t.client));
}

TEST_F(move, to_the_requester_that_is_flushed_leaves_nothing)
{
	__u64 back = connect_peers(self->client, NODE, self->server);

	EXPECT_NE(INVALID, pass_on(&self->t.server, self->h, back,
				   &self->t.client));
	EXPECT_EQ(0, flush(self->client));
	EXPECT_TRUE(peer_is_clean(self->client));
	EXPECT_TRUE(is_empty(&self->t.client));
	EXPECT_EQ(0, owed(self->client));
	EXPECT_EQ(0, awaited(self->client));
}

/* What only a message can do. */
FIXTURE(letter) {
	struct trio t;
	int client, server, worker;
	__u64 h;
	struct bus1_recv_args r;
};

FIXTURE_SETUP(letter)
{
	ASSERT_EQ(0, trio_open(&self->t));
	self->client = self->t.client.fd;
	self->server = self->t.server.fd;
	self->worker = self->t.worker.fd;
	ASSERT_EQ(0, ask(self->client, self->t.to_server, ASKED));
	self->h = take(&self->t.server);
	ASSERT_NE(INVALID, self->h);
}

FIXTURE_TEARDOWN(letter)
{
	trio_close(&self->t);
}

TEST_F(letter, carries_a_reply_handle_among_others)
{
	__u64 x[3] = { NODE, self->h, 0x700 | NEW };
	const __u64 *h;

	ASSERT_EQ(0, send_full(self->server, &self->t.to_worker, 1, "work", 5, x,
			       3, NULL, 0, 0));
	ASSERT_EQ(0, recv_msg(&self->t.worker, &self->r));
	EXPECT_EQ(INVALID, self->r.reply);
	ASSERT_EQ(3, self->r.n_handles);
	h = msg_handles(&self->t.worker, &self->r);
	EXPECT_EQ(0, send_empty(self->worker, h[1]));
	EXPECT_TRUE(next_is(&self->t.client, BUS1_MSG_DATA, ASKED));
	EXPECT_EQ(0, send_empty(self->worker, h[0]));
	EXPECT_EQ(0, send_empty(self->worker, h[2]));
	EXPECT_TRUE(next_is(&self->t.server, BUS1_MSG_DATA, NODE));
	EXPECT_TRUE(next_is(&self->t.server, BUS1_MSG_DATA, 0x700));
}

TEST_F(letter, that_is_unread_is_nobodys_charge)
{
	struct usage w = self->t.at_worker;

	ASSERT_EQ(0, send_handles(self->server, self->t.to_worker, &self->h, 1));
	EXPECT_EQ(w.handles, usage_of(self->worker).handles);
	EXPECT_TRUE(usage_is(self->server, &self->t.at_server));
	EXPECT_NE(INVALID, take_handle(&self->t.worker));
}

TEST_F(letter, that_is_refused_keeps_the_handle)
{
	struct bus1_peer_limits l = limits_keep();
	struct trio_state old;

	l.max_slices = 2;
	ASSERT_EQ(0, sys_reset(self->worker, &l, sizeof(l), 0));
	ASSERT_EQ(0, send_empty(self->server, self->t.to_worker));
	trio_get(&self->t, &old);
	EXPECT_EQ(-EXFULL, send_handles(self->server, self->t.to_worker,
					&self->h, 1));
	EXPECT_TRUE(trio_same(&self->t, &old));
	ASSERT_EQ(0, destroy_one(self->worker, NODE));
	drain(&self->t.server);
	trio_get(&self->t, &old);
	EXPECT_EQ(-EHOSTUNREACH, send_handles(self->server, self->t.to_worker,
					      &self->h, 1));
	EXPECT_TRUE(trio_same(&self->t, &old));
	EXPECT_EQ(0, send_bytes(self->server, self->h, "reply", 5));
	EXPECT_TRUE(next_is(&self->t.client, BUS1_MSG_DATA, ASKED));
}

TEST_F(letter, that_is_unread_when_its_receiver_closes_is_one_drop)
{
	ASSERT_EQ(0, send_handles(self->server, self->t.to_worker, &self->h, 1));
	EXPECT_TRUE(is_empty(&self->t.client));
	peer_close(&self->t.worker);
	EXPECT_TRUE(next_is(&self->t.client, BUS1_MSG_REPLY_DROPPED, ASKED));
	EXPECT_TRUE(is_empty(&self->t.client));
	EXPECT_TRUE(usage_is(self->client, &self->t.at_client));
}

TEST_F(letter, that_is_flushed_by_its_receiver_is_one_drop)
{
	ASSERT_EQ(0, send_handles(self->server, self->t.to_worker, &self->h, 1));
	ASSERT_EQ(0, flush(self->worker));
	EXPECT_TRUE(next_is(&self->t.client, BUS1_MSG_REPLY_DROPPED, ASKED));
	EXPECT_TRUE(is_empty(&self->t.client));
	EXPECT_TRUE(peer_is_clean(self->worker));
	EXPECT_EQ(0, owed(self->worker));
}

TEST_F(letter, that_is_unread_outlives_its_sender)
{
	ASSERT_EQ(0, send_handles(self->server, self->t.to_worker, &self->h, 1));
	peer_close(&self->t.server);
	drain(&self->t.client);
	EXPECT_EQ(1, awaited(self->client));
	self->h = take_handle(&self->t.worker);
	EXPECT_EQ(0, send_bytes(self->worker, self->h, "reply", 5));
	EXPECT_TRUE(next_is(&self->t.client, BUS1_MSG_DATA, ASKED));
}

/* To a node of the peer that holds it: it moves to another ID. */
TEST_F(letter, to_oneself_moves_the_handle_too)
{
	__u64 k;

	ASSERT_EQ(0, send_handles(self->server, NODE, &self->h, 1));
	EXPECT_EQ(-ENXIO, send_empty(self->server, self->h));
	k = take_handle(&self->t.server);
	EXPECT_NE(self->h, k);
	EXPECT_EQ(0, send_empty(self->server, k));
	EXPECT_TRUE(next_is(&self->t.client, BUS1_MSG_DATA, ASKED));
	EXPECT_TRUE(trio_is_idle(&self->t));
}

/* A request passed on in a request: the worker owes two replies. */
TEST_F(letter, may_be_a_request_itself)
{
	struct bus1_send_args a = request(&self->t.to_worker, ASKED, ROOM, 0, 0);
	__u64 k;

	a.ptr_handles = to_u64(&self->h);
	a.n_handles = 1;
	ASSERT_EQ(0, send_args(self->server, &a, BUS1_SEND_REPLY));
	ASSERT_EQ(0, recv_msg(&self->t.worker, &self->r));
	ASSERT_EQ(1, self->r.n_handles);
	k = *msg_handles(&self->t.worker, &self->r);
	EXPECT_EQ(0, slice_release_one(self->worker, self->r.offset));
	EXPECT_NE(k, self->r.reply);
	EXPECT_EQ(2, owed(self->worker));
	EXPECT_EQ(0, send_empty(self->worker, k));
	EXPECT_TRUE(next_is(&self->t.client, BUS1_MSG_DATA, ASKED));
	EXPECT_EQ(0, send_empty(self->worker, self->r.reply));
	EXPECT_TRUE(next_is(&self->t.server, BUS1_MSG_DATA, ASKED));
	EXPECT_TRUE(trio_is_idle(&self->t));
}

/* Nobody but the two who agree to it in a message has to do with a move. */
TEST_F(letter, is_the_only_way)
{
	__u64 h[2] = { self->h, NODE }, to, k, out[2];

	EXPECT_EQ(-EINVAL, sys_transfer(self->server, self->worker, h, out, 1,
					0));
	EXPECT_EQ(-EINVAL, sys_transfer(self->server, self->worker, h, out, 2,
					0));
	EXPECT_EQ(-EINVAL, sys_transfer(self->server, self->server, h, out, 1, 0));
	/* Nor goes one in a reply, whatever was paid for. */
	to = connect_peers(self->server, NODE, self->worker);
	ASSERT_EQ(0, ask_for(self->worker, to, ASKED, ROOM, 2, 0));
	k = take(&self->t.server);
	ASSERT_NE(INVALID, k);
	EXPECT_EQ(-EINVAL, send_handles(self->server, k, &self->h, 1));
	EXPECT_EQ(-EINVAL, send_handles(self->server, k, h, 2));
	EXPECT_EQ(-EINVAL, send_handles(self->server, k, &k, 1));
	EXPECT_EQ(2, owed(self->server));
	EXPECT_EQ(0, send_empty(self->server, k));
	EXPECT_EQ(0, send_empty(self->server, self->h));
	EXPECT_TRUE(next_is(&self->t.worker, BUS1_MSG_DATA, ASKED));
	EXPECT_TRUE(next_is(&self->t.client, BUS1_MSG_DATA, ASKED));
	EXPECT_EQ(0, release_one(self->worker, to));
	EXPECT_TRUE(trio_is_idle(&self->t));
}

/* Who publishes handles can tell one that is gone after its first use. */
TEST_F(letter, shows_a_handle_that_says_what_it_is)
{
	__u64 x[2] = { NODE, self->h };
	const __u64 *h;

	EXPECT_TRUE(self->h & BUS1_HANDLE_FLAG_REPLY);
	EXPECT_TRUE(self->h & BUS1_HANDLE_FLAG_MANAGED);
	EXPECT_FALSE(self->t.to_worker & BUS1_HANDLE_FLAG_REPLY);
	ASSERT_EQ(0, send_handles(self->server, self->t.to_worker, x, 2));
	ASSERT_EQ(0, recv_msg(&self->t.worker, &self->r));
	ASSERT_EQ(2, self->r.n_handles);
	h = msg_handles(&self->t.worker, &self->r);
	EXPECT_FALSE(h[0] & BUS1_HANDLE_FLAG_REPLY);
	EXPECT_TRUE(h[1] & BUS1_HANDLE_FLAG_REPLY);
}

TEST_HARNESS_MAIN
