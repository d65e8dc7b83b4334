// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 selftests: the life of a prepaid reply
 */
#include "reply.h"

FIXTURE(reply) {
	struct trio t;
	int client, server;
	struct bus1_recv_args r;
};

FIXTURE_SETUP(reply)
{
	ASSERT_EQ(0, trio_open(&self->t));
	self->client = self->t.client.fd;
	self->server = self->t.server.fd;
}

FIXTURE_TEARDOWN(reply)
{
	trio_close(&self->t);
}

#define ASK(id)		ask(self->client, self->t.to_server, id)
#define EXPECT_IDLE()	EXPECT_TRUE(trio_is_idle(&self->t))
#define EXPECT_NEXT(type, id)					\
	EXPECT_TRUE(next_is(&self->t.client, type, id))

TEST_F(reply, handle_keeps_a_multicast_with_continue_from_nobody)
{
	__u64 to[2] = { INVALID, self->t.to_worker };
	__s32 err[2] = { 1, 1 };
	struct bus1_send_args a = {
		.ptr_destinations = to_u64(to),
		.n_destinations = 2,
		.ptr_errors = to_u64(err),
	};

	ASSERT_EQ(0, ASK(0x1000));
	to[0] = take(&self->t.server);
	ASSERT_NE(INVALID, to[0]);
	EXPECT_EQ(-EINVAL, send_args(self->server, &a, 0));
	EXPECT_EQ(0, send_args(self->server, &a, BUS1_SEND_CONTINUE));
	EXPECT_EQ(-EINVAL, err[0]);
	EXPECT_EQ(0, err[1]);
	EXPECT_EQ(1, drain(&self->t.worker));
	EXPECT_EQ(1, owed(self->server));
	EXPECT_EQ(0, send_empty(self->server, to[0]));
	EXPECT_NEXT(BUS1_MSG_DATA, 0x1000);
	EXPECT_IDLE();
}

TEST_F(reply, handle_comes_with_the_request_alone)
{
	ASSERT_EQ(0, send_bytes(self->client, self->t.to_server, "x", 1));
	ASSERT_EQ(0, ASK(ASKED));
	ASSERT_EQ(0, recv_msg(&self->t.server, &self->r));
	EXPECT_EQ(INVALID, self->r.reply);
	ASSERT_EQ(0, recv_msg(&self->t.server, &self->r));
	EXPECT_EQ(BUS1_MSG_DATA, self->r.type);
	EXPECT_EQ(NODE, self->r.destination);
	EXPECT_EQ(0, self->r.n_handles);
	EXPECT_EQ(MANAGED | REMOTE, self->r.reply & 7);
	EXPECT_EQ(getpid(), self->r.sender_pid);
}

TEST_F(reply, handle_has_an_id_that_no_other_has_or_had)
{
	__u64 seen[32];
	int i, k;

	for (i = 0; i < 32; i++) {
		ASSERT_EQ(0, ASK(ASKED));
		seen[i] = take(&self->t.server);
		ASSERT_NE(INVALID, seen[i]);
		for (k = 0; k < i; k++)
			EXPECT_NE(seen[k], seen[i]);
		EXPECT_EQ(0, i & 1 ? send_empty(self->server, seen[i]) :
				     release_one(self->server, seen[i]));
		EXPECT_EQ(1, drain(&self->t.client));
	}
}

TEST_F(reply, handle_is_no_charge_to_its_holder)
{
	struct usage old = self->t.at_server;
	__u64 h;

	ASSERT_EQ(0, ASK(ASKED));
	/* One empty message: a slice, and no more. */
	old.slices++;
	old.queued++;
	EXPECT_EQ(old.handles, usage_of(self->server).handles);
	EXPECT_EQ(old.slices, usage_of(self->server).slices);
	EXPECT_EQ(old.bytes, usage_of(self->server).bytes);
	h = take(&self->t.server);
	ASSERT_NE(INVALID, h);
	old = self->t.at_server;
	old.ids++;
	old.owed = 1;
	EXPECT_TRUE(usage_is(self->server, &old));
	EXPECT_EQ(1, awaited(self->client));
	EXPECT_EQ(0, owed(self->client));
	EXPECT_EQ(0, awaited(self->server));
	ASSERT_EQ(0, send_empty(self->server, h));
	EXPECT_TRUE(usage_is(self->server, &self->t.at_server));
	/* It is awaited until it is received. */
	EXPECT_EQ(1, awaited(self->client));
	EXPECT_NEXT(BUS1_MSG_DATA, ASKED);
	EXPECT_EQ(0, awaited(self->client));
	EXPECT_IDLE();
}

/* A server whose limit of handles is reached is asked all the same. */
TEST_F(reply, handle_comes_to_a_holder_without_room_for_handles)
{
	struct bus1_peer_limits l = limits_keep();
	__u64 h;

	l.max_handles = 0;
	ASSERT_EQ(0, sys_reset(self->server, &l, sizeof(l), 0));
	ASSERT_EQ(0, ASK(ASKED));
	h = take(&self->t.server);
	EXPECT_EQ(0, send_empty(self->server, h));
	EXPECT_NEXT(BUS1_MSG_DATA, ASKED);
}

TEST_F(reply, is_a_message_about_the_request)
{
	__u64 h, x[2] = { NODE, 0x700 | NEW };
	int p[2];

	ASSERT_EQ(0, pipe(p));
	ASSERT_EQ(0, ask_for(self->client, self->t.to_server, ASKED, ROOM, 2,
			     1));
	h = take(&self->t.server);
	ASSERT_EQ(0, send_full(self->server, &h, 1, "the reply", 10, x, 2, &p[1],
			       1, 0));
	ASSERT_EQ(0, recv_flags(&self->t.client, &self->r,
				BUS1_RECV_INSTALL_FDS));
	EXPECT_EQ(BUS1_MSG_DATA, self->r.type);
	EXPECT_EQ(ASKED, self->r.destination);
	EXPECT_EQ(0, self->r.flags);
	EXPECT_EQ(10, self->r.n_bytes);
	EXPECT_STREQ("the reply", msg_payload(&self->t.client, &self->r));
	ASSERT_EQ(2, self->r.n_handles);
	EXPECT_EQ(self->t.to_server, msg_handles(&self->t.client, &self->r)[0]);
	EXPECT_EQ(0, send_empty(self->client,
				msg_handles(&self->t.client, &self->r)[1]));
	ASSERT_EQ(1, self->r.n_fds);
	EXPECT_EQ(1, write(msg_fds(&self->t.client, &self->r)[0], "x", 1));
	EXPECT_EQ(INVALID, self->r.reply);
	EXPECT_EQ(getpid(), self->r.sender_pid);
	EXPECT_EQ(geteuid(), self->r.sender_uid);
	EXPECT_EQ(-1, self->r.sender_pidfd);
	EXPECT_EQ(0, self->r.error);
	EXPECT_TRUE(next_is(&self->t.server, BUS1_MSG_DATA, 0x700));
}

TEST_F(reply, counts_as_a_delivery)
{
	struct bus1_peer_info c, s = query(self->server);
	__u64 h;

	ASSERT_EQ(0, ASK(ASKED));
	h = take(&self->t.server);
	c = query(self->client);
	ASSERT_EQ(0, send_empty(self->server, h));
	EXPECT_EQ(s.n_sent + 1, query(self->server).n_sent);
	EXPECT_EQ(s.n_received + 1, query(self->server).n_received);
	EXPECT_EQ(c.n_queued + 1, query(self->client).n_queued);
	EXPECT_EQ(1, drain(&self->t.client));
	EXPECT_EQ(c.n_received + 1, query(self->client).n_received);
	EXPECT_EQ(c.n_sent, query(self->client).n_sent);
}

TEST_F(reply, is_sent_once)
{
	__u64 h;

	ASSERT_EQ(0, ASK(ASKED));
	h = take(&self->t.server);
	ASSERT_EQ(0, send_bytes(self->server, h, "first", 5));
	EXPECT_EQ(-ENXIO, send_bytes(self->server, h, "second", 6));
	EXPECT_EQ(-ENXIO, release_one(self->server, h));
	EXPECT_EQ(-ENXIO, send_handles(self->server, self->t.to_worker, &h, 1));
	EXPECT_NEXT(BUS1_MSG_DATA, ASKED);
	EXPECT_TRUE(is_empty(&self->t.client));
	EXPECT_IDLE();
}

TEST_F(reply, handle_is_released_once)
{
	__u64 h;

	ASSERT_EQ(0, ASK(ASKED));
	h = take(&self->t.server);
	ASSERT_EQ(0, release_one(self->server, h));
	EXPECT_EQ(-ENXIO, release_one(self->server, h));
	EXPECT_EQ(-ENXIO, send_bytes(self->server, h, "late", 4));
	EXPECT_NEXT(BUS1_MSG_REPLY_DROPPED, ASKED);
	EXPECT_TRUE(is_empty(&self->t.client));
	EXPECT_IDLE();
}

TEST_F(reply, that_was_dropped_is_a_notice)
{
	__u64 h;

	ASSERT_EQ(0, ASK(ASKED));
	h = take(&self->t.server);
	ASSERT_EQ(0, release_one(self->server, h));
	EXPECT_TRUE(is_readable(self->client));
	ASSERT_EQ(0, recv_msg(&self->t.client, &self->r));
	EXPECT_EQ(BUS1_MSG_REPLY_DROPPED, self->r.type);
	EXPECT_EQ(ASKED, self->r.destination);
	EXPECT_EQ(0, self->r.flags);
	EXPECT_TRUE(notice_is_plain(&self->r));
	EXPECT_IDLE();
}

TEST_F(reply, keeps_its_place_among_other_messages)
{
	__u64 h, back = connect_peers(self->client, NODE, self->server);

	ASSERT_EQ(0, ASK(ASKED));
	h = take(&self->t.server);
	ASSERT_EQ(0, send_empty(self->server, back));
	ASSERT_EQ(0, send_empty(self->server, h));
	ASSERT_EQ(0, send_empty(self->server, back));
	EXPECT_NEXT(BUS1_MSG_DATA, NODE);
	ASSERT_EQ(0, recv_msg(&self->t.client, &self->r));
	EXPECT_EQ(ASKED, self->r.destination);
	/* It waited for its turn and overtook nobody. */
	EXPECT_EQ(0, self->r.flags);
	EXPECT_NEXT(BUS1_MSG_DATA, NODE);
}

TEST_F(reply, does_not_depend_on_the_slice_of_the_request)
{
	__u64 to = self->t.to_server;

	ASSERT_EQ(0, ASK(ASKED));
	ASSERT_EQ(0, recv_msg(&self->t.server, &self->r));
	ASSERT_EQ(0, send_bytes(self->server, self->r.reply, "a", 1));
	ASSERT_EQ(0, slice_release_one(self->server, self->r.offset));
	EXPECT_EQ(1, drain(&self->t.client));
	/* Nor on the node that was asked, nor on the handle to it. */
	ASSERT_EQ(0, ASK(ASKED));
	ASSERT_EQ(0, ASK(ASKED + 8));
	ASSERT_EQ(0, release_one(self->client, to));
	EXPECT_EQ(0, send_empty(self->server, take(&self->t.server)));
	ASSERT_EQ(0, destroy_one(self->server, NODE));
	EXPECT_EQ(0, send_empty(self->server, take(&self->t.server)));
	EXPECT_NEXT(BUS1_MSG_DATA, ASKED);
	EXPECT_NEXT(BUS1_MSG_DATA, ASKED + 8);
}

TEST_F(reply, goes_to_each_of_many_requests_in_any_order)
{
	enum { MANY = 500 };
	__u64 h[MANY];
	__u32 i, v;

	for (i = 0; i < MANY; i++) {
		ASSERT_EQ(0, ASK(ASKED + 8 * i));
		h[i] = take(&self->t.server);
	}
	EXPECT_EQ(MANY, awaited(self->client));
	EXPECT_EQ(MANY, owed(self->server));
	for (i = MANY; i-- > 0;)
		ASSERT_EQ(0, send_bytes(self->server, h[i], &i, sizeof(i)));
	for (i = MANY; i-- > 0;) {
		ASSERT_EQ(0, recv_msg(&self->t.client, &self->r));
		EXPECT_EQ(ASKED + 8 * i, self->r.destination);
		memcpy(&v, msg_payload(&self->t.client, &self->r), sizeof(v));
		EXPECT_EQ(i, v);
		slice_release_one(self->client, self->r.offset);
	}
	EXPECT_IDLE();
}

/* Asking both ways at once, also under the same name. */
TEST_F(reply, may_be_owed_by_both_sides)
{
	__u64 back = connect_peers(self->client, NODE, self->server), h, k;

	ASSERT_EQ(0, ASK(ASKED));
	ASSERT_EQ(0, ask(self->server, back, ASKED));
	h = take(&self->t.server);
	k = take(&self->t.client);
	EXPECT_EQ(1, owed(self->client));
	EXPECT_EQ(1, awaited(self->client));
	EXPECT_EQ(0, send_empty(self->client, k));
	EXPECT_EQ(0, send_empty(self->server, h));
	EXPECT_TRUE(next_is(&self->t.server, BUS1_MSG_DATA, ASKED));
	EXPECT_NEXT(BUS1_MSG_DATA, ASKED);
	EXPECT_EQ(0, release_one(self->server, back));
	drain(&self->t.client);
	EXPECT_IDLE();
}

/* The other end goes away; each way the requester hears of it once. */
enum way {
	UNREAD_CLOSE, UNREAD_DISCONNECT, UNREAD_FLUSH,
	HELD_CLOSE, HELD_DISCONNECT, HELD_FLUSH, HELD_RELEASE,
};

FIXTURE(dropped) {
	struct trio t;
};

FIXTURE_VARIANT(dropped) {
	enum way way;
};

FIXTURE_VARIANT_ADD(dropped, by_a_close_with_the_request_unread) {
	UNREAD_CLOSE };
FIXTURE_VARIANT_ADD(dropped, by_a_disconnect_with_the_request_unread) {
	UNREAD_DISCONNECT };
FIXTURE_VARIANT_ADD(dropped, by_a_flush_with_the_request_unread) {
	UNREAD_FLUSH };
FIXTURE_VARIANT_ADD(dropped, by_a_close) { HELD_CLOSE };
FIXTURE_VARIANT_ADD(dropped, by_a_disconnect) { HELD_DISCONNECT };
FIXTURE_VARIANT_ADD(dropped, by_a_flush) { HELD_FLUSH };
FIXTURE_VARIANT_ADD(dropped, by_a_release) { HELD_RELEASE };

FIXTURE_SETUP(dropped)
{
	ASSERT_EQ(0, trio_open(&self->t));
}

FIXTURE_TEARDOWN(dropped)
{
	trio_close(&self->t);
}

static void drop(struct peer *server, enum way way)
{
	__u64 h[3];
	int i;

	for (i = 0; way >= HELD_CLOSE && i < 3; i++)
		h[i] = take(server);
	if (way == UNREAD_CLOSE || way == HELD_CLOSE)
		peer_close(server);
	else if (way == UNREAD_DISCONNECT || way == HELD_DISCONNECT)
		sys_disconnect(server->fd, 0);
	else if (way == HELD_RELEASE)
		sys_release(server->fd, h, 3, 0);
	else
		flush(server->fd);
}

TEST_F(dropped, arrives_once_for_each_request)
{
	int fd = self->t.client.fd, i, n = 0, other = 0;
	__u64 h = self->t.to_server;
	struct bus1_recv_args r;
	bool seen[3] = { false };

	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, ask(fd, h, ASKED + 8 * i));
	drop(&self->t.server, variant->way);
	while (!recv_msg(&self->t.client, &r)) {
		if (r.type != BUS1_MSG_REPLY_DROPPED) {
			/* The node that was asked is gone as well. */
			EXPECT_EQ(BUS1_MSG_NODE_DESTROY, r.type);
			EXPECT_EQ(h, r.destination);
			other++;
			continue;
		}
		i = (r.destination - ASKED) / 8;
		ASSERT_TRUE(i >= 0 && i < 3);
		EXPECT_FALSE(seen[i]);
		seen[i] = true;
		EXPECT_TRUE(notice_is_plain(&r));
		n++;
	}
	EXPECT_EQ(3, n);
	EXPECT_EQ(variant->way != HELD_RELEASE, other);
	EXPECT_EQ(0, query(fd).n_queued);
	EXPECT_EQ(0, awaited(fd));
	EXPECT_TRUE(usage_is(fd, &self->t.at_client));
}

/* The names are free again, and there is nothing to cancel. */
TEST_F(dropped, gives_the_name_back_once_read)
{
	int fd = self->t.client.fd;
	__u64 id = ASKED | NEW, out;

	ASSERT_EQ(0, ask(fd, self->t.to_server, ASKED));
	ASSERT_EQ(0, ask(fd, self->t.to_server, ASKED + 8));
	ASSERT_EQ(0, ask(fd, self->t.to_server, ASKED + 16));
	drop(&self->t.server, variant->way);
	EXPECT_EQ(-ESTALE, destroy_one(fd, ASKED));
	EXPECT_EQ(-EEXIST, sys_transfer(fd, fd, &id, &out, 1, 0));
	drain(&self->t.client);
	EXPECT_EQ(-ENXIO, destroy_one(fd, ASKED));
	EXPECT_EQ(0, sys_transfer(fd, fd, &id, &out, 1, 0));
}

/* A peer that asks itself. */
FIXTURE(self_asked) {
	struct trio t;
	__u64 h;
};

FIXTURE_SETUP(self_asked)
{
	ASSERT_EQ(0, trio_open(&self->t));
	ASSERT_EQ(0, ask(self->t.client.fd, NODE, ASKED));
	self->h = take(&self->t.client);
	ASSERT_NE(INVALID, self->h);
}

FIXTURE_TEARDOWN(self_asked)
{
	trio_close(&self->t);
}

TEST_F(self_asked, holds_a_handle_of_its_own_kind)
{
	EXPECT_EQ(MANAGED, self->h & 7);
	EXPECT_EQ(1, owed(self->t.client.fd));
	EXPECT_EQ(1, awaited(self->t.client.fd));
}

TEST_F(self_asked, can_reply)
{
	EXPECT_EQ(0, send_bytes(self->t.client.fd, self->h, "me", 2));
	EXPECT_EQ(-ENXIO, send_bytes(self->t.client.fd, self->h, "me", 2));
	EXPECT_TRUE(next_is(&self->t.client, BUS1_MSG_DATA, ASKED));
	EXPECT_TRUE(trio_is_idle(&self->t));
}

TEST_F(self_asked, can_drop)
{
	EXPECT_EQ(0, release_one(self->t.client.fd, self->h));
	EXPECT_EQ(-ENXIO, release_one(self->t.client.fd, self->h));
	EXPECT_TRUE(next_is(&self->t.client, BUS1_MSG_REPLY_DROPPED, ASKED));
	EXPECT_TRUE(trio_is_idle(&self->t));
}

TEST_F(self_asked, can_cancel)
{
	EXPECT_EQ(0, destroy_one(self->t.client.fd, ASKED));
	EXPECT_EQ(-EHOSTUNREACH, send_empty(self->t.client.fd, self->h));
	EXPECT_TRUE(next_is(&self->t.client, BUS1_MSG_NODE_DESTROY, self->h));
	EXPECT_EQ(0, release_one(self->t.client.fd, self->h));
	EXPECT_TRUE(is_empty(&self->t.client));
	EXPECT_TRUE(trio_is_idle(&self->t));
}

TEST_F(self_asked, can_be_flushed)
{
	EXPECT_EQ(0, ask(self->t.client.fd, NODE, ASKED + 8));
	EXPECT_EQ(0, flush(self->t.client.fd));
	EXPECT_TRUE(peer_is_clean(self->t.client.fd));
	EXPECT_EQ(0, owed(self->t.client.fd));
	EXPECT_EQ(0, awaited(self->t.client.fd));
	EXPECT_TRUE(is_empty(&self->t.client));
}

TEST_F(self_asked, can_be_closed)
{
	EXPECT_EQ(0, ask(self->t.client.fd, NODE, ASKED + 8));
	peer_close(&self->t.client);
	drain(&self->t.server);
	EXPECT_TRUE(usage_is(self->t.worker.fd, &self->t.at_worker));
}

TEST_HARNESS_MAIN
