// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 selftests: requests that their sender takes back
 *
 * By destroying the request's name, by a flush, a disconnect or a close: there
 * is then neither a reply nor a drop, and the holder is told.
 */
#include "reply.h"

FIXTURE(cancel) {
	struct trio t;
	int client, server;
	struct bus1_recv_args r;
	__u64 h;
};

FIXTURE_SETUP(cancel)
{
	ASSERT_EQ(0, trio_open(&self->t));
	self->client = self->t.client.fd;
	self->server = self->t.server.fd;
	ASSERT_EQ(0, ask_for(self->client, self->t.to_server, ASKED, 1000, 3,
			     3));
}

FIXTURE_TEARDOWN(cancel)
{
	trio_close(&self->t);
}

#define TAKE()						\
	do {						\
		self->h = take(&self->t.server);	\
		ASSERT_NE(INVALID, self->h);		\
	} while (0)
#define CANCEL()	destroy_one(self->client, ASKED)
#define ASK(id)		ask(self->client, self->t.to_server, id)

/* But for one handle, until the holder lets go. */
TEST_F(cancel, gives_budget_and_name_back_at_once)
{
	__u64 id = ASKED | NEW, out;

	TAKE();
	EXPECT_EQ(0, CANCEL());
	EXPECT_TRUE(usage_is_and(self->client, &self->t.at_client, 1));
	EXPECT_EQ(0, sys_transfer(self->client, self->client, &id, &out, 1, 0));
	/* And one for the node. */
	EXPECT_EQ(self->t.at_client.handles + 2,
		  query(self->client).used_handles);
	EXPECT_EQ(0, release_one(self->server, self->h));
	EXPECT_EQ(self->t.at_client.handles + 1,
		  query(self->client).used_handles);
}

TEST_F(cancel, tells_the_holder)
{
	TAKE();
	EXPECT_EQ(0, CANCEL());
	EXPECT_EQ(-EHOSTUNREACH, send_bytes(self->server, self->h, "x", 1));
	ASSERT_EQ(0, recv_msg(&self->t.server, &self->r));
	EXPECT_EQ(BUS1_MSG_NODE_DESTROY, self->r.type);
	EXPECT_EQ(self->h, self->r.destination);
	EXPECT_TRUE(notice_is_plain(&self->r));
	EXPECT_EQ(-EHOSTUNREACH, send_bytes(self->server, self->h, "x", 1));
	EXPECT_EQ(0, release_one(self->server, self->h));
	EXPECT_EQ(-ENXIO, release_one(self->server, self->h));
	EXPECT_TRUE(is_empty(&self->t.client));
	EXPECT_TRUE(trio_is_idle(&self->t));
}

TEST_F(cancel, tells_no_holder_that_has_let_go)
{
	TAKE();
	EXPECT_EQ(0, CANCEL());
	EXPECT_EQ(0, release_one(self->server, self->h));
	EXPECT_TRUE(is_empty(&self->t.server));
	EXPECT_TRUE(is_empty(&self->t.client));
	EXPECT_TRUE(trio_is_idle(&self->t));
}

TEST_F(cancel, of_an_unread_request_is_told_after_it)
{
	EXPECT_EQ(0, CANCEL());
	EXPECT_TRUE(usage_is_and(self->client, &self->t.at_client, 1));
	TAKE();
	EXPECT_EQ(-EHOSTUNREACH, send_bytes(self->server, self->h, "x", 1));
	EXPECT_TRUE(next_is(&self->t.server, BUS1_MSG_NODE_DESTROY, self->h));
	EXPECT_TRUE(usage_is_and(self->client, &self->t.at_client, 1));
	EXPECT_EQ(0, release_one(self->server, self->h));
	EXPECT_TRUE(trio_is_idle(&self->t));
}

TEST_F(cancel, of_an_unread_request_is_not_told_once_that_is_flushed)
{
	EXPECT_EQ(0, CANCEL());
	EXPECT_EQ(0, flush(self->server));
	EXPECT_TRUE(is_empty(&self->t.server));
	EXPECT_TRUE(next_is(&self->t.client, BUS1_MSG_NODE_DESTROY,
			    self->t.to_server));
	EXPECT_TRUE(is_empty(&self->t.client));
	EXPECT_TRUE(usage_is(self->client, &self->t.at_client));
}

TEST_F(cancel, is_stale_once_the_reply_is_sent)
{
	TAKE();
	ASSERT_EQ(0, send_bytes(self->server, self->h, "reply", 5));
	EXPECT_EQ(-ESTALE, CANCEL());
	EXPECT_EQ(-ESTALE, CANCEL());
	EXPECT_TRUE(next_is(&self->t.client, BUS1_MSG_DATA, ASKED));
	EXPECT_EQ(-ENXIO, CANCEL());
	EXPECT_TRUE(is_empty(&self->t.server));
	EXPECT_TRUE(trio_is_idle(&self->t));
}

TEST_F(cancel, is_stale_once_the_reply_is_dropped)
{
	TAKE();
	ASSERT_EQ(0, release_one(self->server, self->h));
	EXPECT_EQ(-ESTALE, CANCEL());
	EXPECT_TRUE(next_is(&self->t.client, BUS1_MSG_REPLY_DROPPED, ASKED));
	EXPECT_EQ(-ENXIO, CANCEL());
	EXPECT_TRUE(is_empty(&self->t.client));
	EXPECT_TRUE(trio_is_idle(&self->t));
}

TEST_F(cancel, twice_is_enxio)
{
	EXPECT_EQ(0, CANCEL());
	EXPECT_EQ(-ENXIO, CANCEL());
	EXPECT_EQ(0, ASK(ASKED));
	EXPECT_EQ(0, CANCEL());
	EXPECT_EQ(-ENXIO, CANCEL());
}

TEST_F(cancel, of_one_named_twice_is_enotuniq)
{
	__u64 id[2] = { ASKED, ASKED };
	struct trio_state old;

	trio_get(&self->t, &old);
	EXPECT_EQ(-ENOTUNIQ, sys_destroy(self->client, id, 2, 0));
	EXPECT_TRUE(trio_same(&self->t, &old));
	TAKE();
	EXPECT_EQ(0, send_empty(self->server, self->h));
}

TEST_F(cancel, is_all_or_nothing)
{
	__u64 id[3] = { ASKED, 0x9999000, NODE };
	struct trio_state old;

	trio_get(&self->t, &old);
	EXPECT_EQ(-ENXIO, sys_destroy(self->client, id, 3, 0));
	id[1] = self->t.to_server;
	EXPECT_EQ(-EREMOTE, sys_destroy(self->client, id, 3, 0));
	EXPECT_TRUE(trio_same(&self->t, &old));
	/* One that was replied to is stale, and the others stay. */
	ASSERT_EQ(0, ASK(ASKED + 8));
	TAKE();
	ASSERT_EQ(0, send_empty(self->server, self->h));
	id[1] = ASKED + 8;
	EXPECT_EQ(-ESTALE, sys_destroy(self->client, id, 3, 0));
	EXPECT_TRUE(next_is(&self->t.client, BUS1_MSG_DATA, ASKED));
	TAKE();
	EXPECT_EQ(0, send_empty(self->server, self->h));
	EXPECT_TRUE(next_is(&self->t.client, BUS1_MSG_DATA, ASKED + 8));
	EXPECT_EQ(1, query(self->client).n_nodes);
}

/* The node's notice, then those of the requests, in the order that they were named. */
TEST_F(cancel, of_several_is_an_event_each)
{
	__u64 id[3] = { ASKED, NODE, ASKED + 8 }, k, back, got[3];
	int i;

	back = connect_peers(self->client, NODE, self->server);
	ASSERT_NE(INVALID, back);
	ASSERT_EQ(0, ASK(ASKED + 8));
	TAKE();
	k = take(&self->t.server);
	EXPECT_EQ(0, sys_destroy(self->client, id, 3,
				 BUS1_DESTROY_RELEASE_HANDLES));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, recv_msg(&self->t.server, &self->r));
		EXPECT_EQ(BUS1_MSG_NODE_DESTROY, self->r.type);
		EXPECT_FALSE(self->r.flags & BUS1_MSG_FLAG_MORE);
		got[i] = self->r.destination;
	}
	EXPECT_EQ(back, got[0]);
	EXPECT_TRUE((got[1] == self->h && got[2] == k) ||
		    (got[1] == k && got[2] == self->h));
	EXPECT_TRUE(is_empty(&self->t.server));
	EXPECT_TRUE(is_empty(&self->t.client));
}

/* The handle of the first request is no handle of the second. */
TEST_F(cancel, and_the_same_name_again_is_another_request)
{
	__u64 k;

	TAKE();
	EXPECT_EQ(0, CANCEL());
	ASSERT_EQ(0, ASK(ASKED));
	EXPECT_TRUE(next_is(&self->t.server, BUS1_MSG_NODE_DESTROY, self->h));
	k = take(&self->t.server);
	EXPECT_NE(self->h, k);
	EXPECT_EQ(-EHOSTUNREACH, send_bytes(self->server, self->h, "old", 3));
	EXPECT_EQ(0, release_one(self->server, self->h));
	EXPECT_TRUE(is_empty(&self->t.client));
	EXPECT_EQ(0, send_bytes(self->server, k, "new", 3));
	EXPECT_TRUE(next_is(&self->t.client, BUS1_MSG_DATA, ASKED));
	EXPECT_TRUE(trio_is_idle(&self->t));
}

TEST_F(cancel, reaches_a_handle_that_has_moved)
{
	__u64 k;

	TAKE();
	ASSERT_EQ(0, send_handles(self->server, self->t.to_worker, &self->h, 1));
	k = take_handle(&self->t.worker);
	ASSERT_NE(INVALID, k);
	EXPECT_EQ(0, CANCEL());
	EXPECT_TRUE(next_is(&self->t.worker, BUS1_MSG_NODE_DESTROY, k));
	EXPECT_EQ(-EHOSTUNREACH, send_empty(self->t.worker.fd, k));
	EXPECT_EQ(0, release_one(self->t.worker.fd, k));
	EXPECT_TRUE(is_empty(&self->t.server));
	EXPECT_TRUE(trio_is_idle(&self->t));
}

TEST_F(cancel, reaches_a_handle_in_an_unread_message)
{
	__u64 k;

	TAKE();
	ASSERT_EQ(0, send_handles(self->server, self->t.to_worker, &self->h, 1));
	EXPECT_EQ(0, CANCEL());
	EXPECT_TRUE(usage_is_and(self->client, &self->t.at_client, 1));
	k = take_handle(&self->t.worker);
	EXPECT_NE(INVALID, k);
	EXPECT_TRUE(usage_is_and(self->client, &self->t.at_client, 1));
	EXPECT_TRUE(next_is(&self->t.worker, BUS1_MSG_NODE_DESTROY, k));
	EXPECT_EQ(0, release_one(self->t.worker.fd, k));
	EXPECT_TRUE(is_empty(&self->t.server));
	EXPECT_TRUE(trio_is_idle(&self->t));
}

/* It is as with any handle of a dead node. */
TEST_F(cancel, makes_a_handle_that_is_passed_on_arrive_invalid)
{
	__u64 out = 0, first;

	TAKE();
	first = self->h;
	ASSERT_EQ(0, ASK(ASKED + 8));
	EXPECT_EQ(0, CANCEL());
	EXPECT_EQ(0, send_handles(self->server, self->t.to_worker, &self->h, 1));
	ASSERT_EQ(0, recv_msg(&self->t.worker, &self->r));
	ASSERT_EQ(1, self->r.n_handles);
	EXPECT_EQ(INVALID, *msg_handles(&self->t.worker, &self->r));
	EXPECT_EQ(0, slice_release_one(self->t.worker.fd, self->r.offset));
	TAKE();
	EXPECT_EQ(0, destroy_one(self->client, ASKED + 8));
	EXPECT_EQ(-EINVAL, sys_transfer(self->server, self->t.worker.fd,
					&self->h, &out, 1, 0));
	EXPECT_TRUE(is_empty(&self->t.worker));
	EXPECT_TRUE(usage_is(self->t.worker.fd, &self->t.at_worker));
	/* They stayed where they were. */
	EXPECT_TRUE(usage_is_and(self->client, &self->t.at_client, 2));
	EXPECT_EQ(0, release_one(self->server, first));
	EXPECT_TRUE(usage_is_and(self->client, &self->t.at_client, 1));
	EXPECT_EQ(0, release_one(self->server, self->h));
	EXPECT_TRUE(trio_is_idle(&self->t));
}

/* The requester ends in other ways. */
enum way { FLUSH, DISCONNECT, CLOSE };

FIXTURE(requester) {
	struct trio t;
	int client, server;
};

FIXTURE_VARIANT(requester) {
	enum way way;
};

FIXTURE_VARIANT_ADD(requester, that_is_flushed) { FLUSH };
FIXTURE_VARIANT_ADD(requester, that_is_disconnected) { DISCONNECT };
FIXTURE_VARIANT_ADD(requester, that_is_closed) { CLOSE };

FIXTURE_SETUP(requester)
{
	ASSERT_EQ(0, trio_open(&self->t));
	self->client = self->t.client.fd;
	self->server = self->t.server.fd;
}

FIXTURE_TEARDOWN(requester)
{
	trio_close(&self->t);
}

static void end(struct peer *client, enum way way)
{
	if (way == FLUSH)
		flush(client->fd);
	else if (way == DISCONNECT)
		sys_disconnect(client->fd, 0);
	else
		peer_close(client);
}

TEST_F(requester, is_out_of_reach_for_a_reply)
{
	__u64 h;

	ASSERT_EQ(0, ask(self->client, self->t.to_server, ASKED));
	h = take(&self->t.server);
	end(&self->t.client, variant->way);
	EXPECT_EQ(-EHOSTUNREACH, send_bytes(self->server, h, "x", 1));
	EXPECT_EQ(-EHOSTUNREACH, send_bytes(self->server, h, "x", 1));
	/* Its only handle is gone, in no particular order. */
	while (!recv_msg(&self->t.server, &(struct bus1_recv_args){ 0 }))
		;
	EXPECT_EQ(0, query(self->server).n_queued);
	EXPECT_EQ(0, release_one(self->server, h));
	EXPECT_EQ(0, owed(self->server));
	if (variant->way != FLUSH)
		return;
	EXPECT_TRUE(peer_is_clean(self->client));
	EXPECT_TRUE(is_empty(&self->t.client));
	EXPECT_EQ(0, awaited(self->client));
}

TEST_F(requester, has_its_holders_told)
{
	int n_destroy = 0, n_release = 0;
	struct bus1_recv_args r;
	__u64 h;

	ASSERT_EQ(0, ask(self->client, self->t.to_server, ASKED));
	h = take(&self->t.server);
	end(&self->t.client, variant->way);
	while (!recv_msg(&self->t.server, &r)) {
		n_destroy += r.type == BUS1_MSG_NODE_DESTROY &&
			     r.destination == h;
		n_release += r.type == BUS1_MSG_NODE_RELEASE &&
			     r.destination == NODE;
	}
	EXPECT_EQ(1, n_destroy);
	EXPECT_EQ(1, n_release);
}

TEST_F(requester, may_have_the_reply_in_its_queue)
{
	struct usage old = self->t.at_server;
	__u64 h;

	ASSERT_EQ(0, ask(self->client, self->t.to_server, ASKED));
	ASSERT_EQ(0, ask(self->client, self->t.to_server, ASKED + 8));
	h = take(&self->t.server);
	ASSERT_EQ(0, send_bytes(self->server, h, "reply", 5));
	h = take(&self->t.server);
	ASSERT_EQ(0, release_one(self->server, h));
	end(&self->t.client, variant->way);
	/* Neither of the two concerns the server any more. */
	EXPECT_TRUE(next_is(&self->t.server, BUS1_MSG_NODE_RELEASE, NODE));
	EXPECT_TRUE(is_empty(&self->t.server));
	EXPECT_TRUE(usage_is(self->server, &old));
	if (variant->way != FLUSH)
		return;
	EXPECT_TRUE(is_empty(&self->t.client));
	EXPECT_TRUE(peer_is_clean(self->client));
	self->t.to_server = connect_peers(self->server, NODE, self->client);
	EXPECT_EQ(0, ask(self->client, self->t.to_server, ASKED));
}

TEST_F(requester, may_have_sent_what_nobody_has_read)
{
	__u64 h, dest;

	ASSERT_EQ(0, ask(self->client, self->t.to_server, ASKED));
	end(&self->t.client, variant->way);
	/* It was sent before, so that it is delivered. */
	h = take(&self->t.server);
	EXPECT_NE(INVALID, h);
	EXPECT_EQ(-EHOSTUNREACH, send_bytes(self->server, h, "x", 1));
	EXPECT_EQ(0, release_one(self->server, h));
	while (recv_type(&self->t.server, &dest) > 0)
		EXPECT_EQ(NODE, dest);
	EXPECT_EQ(0, owed(self->server));
}

TEST_F(requester, only_changes_its_limits_and_waits_on)
{
	struct bus1_peer_limits none = { 0, 0, 0, 0 };
	__u64 h;

	ASSERT_EQ(0, ask(self->client, self->t.to_server, ASKED));
	ASSERT_EQ(0, sys_reset(self->client, &none, sizeof(none), 0));
	h = take(&self->t.server);
	EXPECT_EQ(0, send_bytes(self->server, h, "reply", 5));
	EXPECT_TRUE(next_is(&self->t.client, BUS1_MSG_DATA, ASKED));
	EXPECT_TRUE(trio_is_idle(&self->t));
	end(&self->t.client, variant->way);
}

TEST_HARNESS_MAIN
