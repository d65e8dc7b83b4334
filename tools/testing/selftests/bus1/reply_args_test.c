// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 selftests: what may be said about a reply, and what is refused
 *
 * Every refused call is followed by a comparison of everything that can be
 * seen of all peers with what it was before.
 */
#include "reply.h"

#define MAX_BYTES	0x7ffff000ULL

/* @args is a sound request of the client to the server. */
FIXTURE(request) {
	struct trio t;
	int client, server;
	__u64 to[2];
	struct bus1_send_args args;
	struct trio_state old;
};

FIXTURE_SETUP(request)
{
	ASSERT_EQ(0, trio_open(&self->t));
	self->client = self->t.client.fd;
	self->server = self->t.server.fd;
	self->to[0] = self->t.to_server;
	self->to[1] = NODE;
	self->args = request(self->to, ASKED, ROOM, 0, 0);
	trio_get(&self->t, &self->old);
}

FIXTURE_TEARDOWN(request)
{
	trio_close(&self->t);
}

#define SEND(flags)	send_args(self->client, &self->args, \
				  BUS1_SEND_REPLY | (flags))
#define EXPECT_NOTHING_CHANGED() EXPECT_TRUE(trio_same(&self->t, &self->old))

TEST_F(request, that_is_sound_is_sent)
{
	EXPECT_EQ(0, SEND(0));
	EXPECT_NE(INVALID, take(&self->t.server));
}

TEST_F(request, for_an_empty_reply_is_sent)
{
	self->args.reply_max_bytes = 0;
	EXPECT_EQ(0, SEND(0));
	EXPECT_NE(INVALID, take(&self->t.server));
}

TEST_F(request, with_a_name_that_no_owner_may_choose_is_einval)
{
	int bits;

	for (bits = 1; bits < 8; bits++) {
		self->args.reply_id = ASKED | bits;
		EXPECT_EQ(-EINVAL, SEND(0));
	}
	self->args.reply_id = INVALID;
	EXPECT_EQ(-EINVAL, SEND(0));
	EXPECT_NOTHING_CHANGED();
}

TEST_F(request, may_have_any_name_that_an_owner_may_choose)
{
	static const __u64 name[] = { 16, 0xfedcba9876543210, ~7ULL };
	__u64 h;
	int i;

	for (i = 0; i < 3; i++) {
		self->args.reply_id = name[i];
		ASSERT_EQ(0, SEND(0));
		h = take(&self->t.server);
		EXPECT_EQ(0, send_empty(self->server, h));
		EXPECT_TRUE(next_is(&self->t.client, BUS1_MSG_DATA, name[i]));
	}
	EXPECT_TRUE(trio_is_idle(&self->t));
}

TEST_F(request, with_the_name_of_a_node_is_eexist)
{
	self->args.reply_id = NODE;
	EXPECT_EQ(-EEXIST, SEND(0));
	EXPECT_NOTHING_CHANGED();
}

TEST_F(request, with_the_name_of_a_dead_node_is_eexist_until_it_is_released)
{
	ASSERT_EQ(0, destroy_one(self->client, NODE));
	trio_get(&self->t, &self->old);
	self->args.reply_id = NODE;
	EXPECT_EQ(-EEXIST, SEND(0));
	EXPECT_NOTHING_CHANGED();
	drain(&self->t.client);
	ASSERT_EQ(0, release_one(self->client, NODE));
	EXPECT_EQ(0, SEND(0));
}

TEST_F(request, with_the_name_of_another_is_eexist_until_that_was_dequeued)
{
	__u64 h;

	ASSERT_EQ(0, SEND(0));
	trio_get(&self->t, &self->old);
	EXPECT_EQ(-EEXIST, SEND(0));
	EXPECT_NOTHING_CHANGED();
	h = take(&self->t.server);
	EXPECT_EQ(-EEXIST, SEND(0));
	ASSERT_EQ(0, send_empty(self->server, h));
	EXPECT_EQ(-EEXIST, SEND(0));
	EXPECT_TRUE(next_is(&self->t.client, BUS1_MSG_DATA, ASKED));
	EXPECT_EQ(0, SEND(0));
	h = take(&self->t.server);
	ASSERT_EQ(0, release_one(self->server, h));
	trio_get(&self->t, &self->old);
	EXPECT_EQ(-EEXIST, SEND(0));
	EXPECT_NOTHING_CHANGED();
	EXPECT_TRUE(next_is(&self->t.client, BUS1_MSG_REPLY_DROPPED, ASKED));
	EXPECT_EQ(0, SEND(0));
}

TEST_F(request, has_a_name_that_no_new_node_can_have)
{
	__u64 id = ASKED | NEW, out;
	__u64 to[2] = { self->to[0], ASKED | NEW };

	ASSERT_EQ(0, SEND(0));
	trio_get(&self->t, &self->old);
	EXPECT_EQ(-EEXIST, sys_transfer(self->client, self->client, &id, &out, 1, 0));
	EXPECT_EQ(-EEXIST, sys_transfer(self->client, self->server, &id, &out,
					1, 0));
	EXPECT_EQ(-EEXIST, send_empty(self->client, id));
	EXPECT_EQ(-EEXIST, send_multi(self->client, to, 2, "x", 1, 0));
	EXPECT_EQ(-EEXIST, send_handles(self->client, self->to[0], &id, 1));
	EXPECT_NOTHING_CHANGED();
}

TEST_F(request, cannot_create_a_node_of_its_own_name)
{
	__u64 id = ASKED | NEW;

	self->args.ptr_handles = to_u64(&id);
	self->args.n_handles = 1;
	EXPECT_EQ(-EEXIST, SEND(0));
	self->args.n_handles = 0;
	self->to[0] = id;
	EXPECT_EQ(-EEXIST, SEND(0));
	EXPECT_NOTHING_CHANGED();
}

TEST_F(request, names_no_handle)
{
	__u64 id = ASKED, out = 0;

	ASSERT_EQ(0, SEND(0));
	trio_get(&self->t, &self->old);
	EXPECT_EQ(-ENXIO, send_empty(self->client, id));
	EXPECT_EQ(-ENXIO, send_handles(self->client, self->to[0], &id, 1));
	EXPECT_EQ(-ENXIO, sys_transfer(self->client, self->server, &id, &out,
				       1, 0));
	EXPECT_EQ(-ENXIO, sys_transfer(self->client, self->client, &id, &out, 1, 0));
	EXPECT_EQ(-ENXIO, release_one(self->client, id));
	self->args.reply_id = 0x6000;
	self->args.ptr_destinations = to_u64(&id);
	EXPECT_EQ(-ENXIO, SEND(0));
	EXPECT_NOTHING_CHANGED();
}

TEST_F(request, with_not_exactly_one_destination_is_einval)
{
	self->args.n_destinations = 2;
	EXPECT_EQ(-EINVAL, SEND(0));
	self->args.n_destinations = 0;
	EXPECT_EQ(-EINVAL, SEND(0));
	EXPECT_NOTHING_CHANGED();
}

TEST_F(request, with_seed_or_continue_is_einval)
{
	EXPECT_EQ(-EINVAL, SEND(BUS1_SEND_CONTINUE));
	EXPECT_EQ(-EINVAL, SEND(BUS1_SEND_SEED));
	self->args.n_destinations = 0;
	EXPECT_EQ(-EINVAL, SEND(BUS1_SEND_SEED));
	EXPECT_NOTHING_CHANGED();
}

TEST_F(request, for_more_than_a_message_can_carry_is_emsgsize)
{
	static const __u64 beyond[] = { 1ULL << 31, 1ULL << 32, 1ULL << 61,
					~0ULL };
	__u64 *max[3] = { &self->args.reply_max_bytes,
			  &self->args.reply_max_handles,
			  &self->args.reply_max_fds };
	static const __u64 limit[3] = { MAX_BYTES, BUS1_HANDLE_MAX,
					BUS1_FD_MAX };
	int i, k;

	for (i = 0; i < 3; i++) {
		__u64 good = *max[i];

		*max[i] = limit[i] + 1;
		EXPECT_EQ(-EMSGSIZE, SEND(0));
		for (k = 0; k < 4; k++) {
			*max[i] = beyond[k];
			EXPECT_EQ(-EMSGSIZE, SEND(0));
		}
		*max[i] = good;
	}
	EXPECT_NOTHING_CHANGED();
}

TEST_F(request, for_the_most_that_a_message_can_carry_is_sent)
{
	self->args.reply_max_bytes = 1 << 20;
	self->args.reply_max_handles = BUS1_HANDLE_MAX;
	self->args.reply_max_fds = BUS1_FD_MAX;
	EXPECT_EQ(0, SEND(0));
	/* Possible, but more than this peer may use. */
	self->args.reply_id += 8;
	self->args.reply_max_bytes = MAX_BYTES;
	EXPECT_EQ(-ENOBUFS, SEND(0));
}

TEST_F(request, is_looked_at_in_the_order_of_all_calls)
{
	__u64 unknown = 0x9999000;

	/* The name is looked up with all names, before anything is charged. */
	self->args.ptr_destinations = to_u64(&unknown);
	self->args.reply_max_bytes = MAX_BYTES;
	EXPECT_EQ(-ENXIO, SEND(0));
	self->args.ptr_destinations = to_u64(self->to);
	self->args.reply_id = NODE;
	EXPECT_EQ(-EEXIST, SEND(0));
	EXPECT_NOTHING_CHANGED();
	ASSERT_EQ(0, sys_disconnect(self->client, 0));
	EXPECT_EQ(-ESHUTDOWN, SEND(0));
	self->args.reply_id = ASKED | 1;
	EXPECT_EQ(-EINVAL, SEND(0));
	self->args.reply_id = ASKED;
	self->args.reply_max_fds = BUS1_FD_MAX + 1;
	EXPECT_EQ(-EMSGSIZE, SEND(0));
}

TEST_F(request, that_cannot_be_sent_leaves_nothing)
{
	struct iovec bad = { ptr_noaccess(), 8 };
	struct bus1_peer_limits l = limits_keep();
	int fds[1] = { self->server };

	self->args.ptr_vecs = to_u64(&bad);
	self->args.n_vecs = 1;
	EXPECT_EQ(-EFAULT, SEND(0));
	self->args.n_vecs = 0;
	self->args.ptr_fds = to_u64(fds);
	self->args.n_fds = 1;
	EXPECT_EQ(-EOPNOTSUPP, SEND(0));
	fds[0] = -1;
	EXPECT_EQ(-EBADF, SEND(0));
	self->args.n_fds = 0;
	EXPECT_NOTHING_CHANGED();
	/* The server is full. */
	l.max_slices = 0;
	ASSERT_EQ(0, sys_reset(self->server, &l, sizeof(l), 0));
	trio_get(&self->t, &self->old);
	EXPECT_EQ(-EMSGSIZE, SEND(0));
	EXPECT_NOTHING_CHANGED();
	l.max_slices = 2;
	ASSERT_EQ(0, sys_reset(self->server, &l, sizeof(l), 0));
	ASSERT_EQ(0, send_empty(self->client, self->to[0]));
	trio_get(&self->t, &self->old);
	EXPECT_EQ(-EXFULL, SEND(0));
	EXPECT_NOTHING_CHANGED();
	/* Its node is dead. */
	ASSERT_EQ(0, destroy_one(self->server, NODE));
	drain(&self->t.client);
	trio_get(&self->t, &self->old);
	EXPECT_EQ(-EHOSTUNREACH, SEND(0));
	EXPECT_NOTHING_CHANGED();
	EXPECT_EQ(-ENXIO, destroy_one(self->client, ASKED));
}

/* Wrong uses of the handle: the server holds @h, a reply to the client. */
FIXTURE(handle) {
	struct trio t;
	int client, server;
	__u64 h;
	struct trio_state old;
};

FIXTURE_SETUP(handle)
{
	ASSERT_EQ(0, trio_open(&self->t));
	self->client = self->t.client.fd;
	self->server = self->t.server.fd;
	ASSERT_EQ(0, ask_for(self->client, self->t.to_server, ASKED, ROOM, 2,
			     2));
	self->h = take(&self->t.server);
	ASSERT_NE(INVALID, self->h);
	trio_get(&self->t, &self->old);
}

/* It is still good for its one reply. */
FIXTURE_TEARDOWN(handle)
{
	EXPECT_TRUE(trio_same(&self->t, &self->old));
	EXPECT_EQ(0, send_bytes(self->server, self->h, "reply", 5));
	EXPECT_TRUE(next_is(&self->t.client, BUS1_MSG_DATA, ASKED));
	EXPECT_TRUE(trio_is_idle(&self->t));
	trio_close(&self->t);
}

TEST_F(handle, is_the_only_destination)
{
	__u64 to[2] = { self->h, self->t.to_worker };
	__u64 back[2] = { self->t.to_worker, self->h };
	__u64 twice[2] = { self->h, self->h };
	int r;

	EXPECT_EQ(-EINVAL, send_multi(self->server, to, 2, "x", 1, 0));
	EXPECT_EQ(-EINVAL, send_multi(self->server, back, 2, "x", 1, 0));
	r = send_multi(self->server, twice, 2, "x", 1, 0);
	EXPECT_TRUE(r == -EINVAL || r == -ENOTUNIQ);
}

TEST_F(handle, is_passed_over_as_a_destination_with_continue)
{
	EXPECT_EQ(0, send_multi(self->server, &self->h, 1, "x", 1,
				BUS1_SEND_CONTINUE));
	EXPECT_EQ(1, owed(self->server));
}

TEST_F(handle, is_no_destination_of_a_request)
{
	EXPECT_EQ(-EINVAL, ask(self->server, self->h, ASKED));
}

TEST_F(handle, is_no_payload_twice)
{
	__u64 h[3] = { self->h, NODE, self->h };

	EXPECT_EQ(-EINVAL, send_handles(self->server, self->t.to_worker, h, 3));
	h[1] = self->h;
	EXPECT_EQ(-EINVAL, send_handles(self->server, self->t.to_worker, h, 2));
}

TEST_F(handle, is_no_payload_for_two)
{
	__u64 to[2] = { self->t.to_worker, NODE };

	EXPECT_EQ(-EINVAL, send_full(self->server, to, 2, "x", 1, &self->h, 1,
				     NULL, 0, 0));
}

TEST_F(handle, is_no_payload_with_continue)
{
	EXPECT_EQ(-EINVAL, send_full(self->server, &self->t.to_worker, 1, "x", 1,
				     &self->h, 1, NULL, 0, BUS1_SEND_CONTINUE));
}

TEST_F(handle, is_no_payload_of_a_seed)
{
	EXPECT_EQ(-EINVAL, send_full(self->server, NULL, 0, "x", 1, &self->h, 1,
				     NULL, 0, BUS1_SEND_SEED));
}

TEST_F(handle, is_no_payload_of_the_message_to_itself)
{
	EXPECT_EQ(-EINVAL, send_handles(self->server, self->h, &self->h, 1));
}

TEST_F(handle, is_not_transferred_to_the_same_peer)
{
	__u64 out = 0;
	int fd = dup(self->server);

	EXPECT_EQ(-EINVAL, sys_transfer(self->server, self->server, &self->h, &out, 1, 0));
	EXPECT_EQ(-EINVAL, sys_transfer(self->server, self->server, &self->h,
					&out, 1, 0));
	EXPECT_EQ(-EINVAL, sys_transfer(self->server, fd, &self->h, &out, 1, 0));
	close(fd);
}

TEST_F(handle, is_not_transferred_twice_at_once)
{
	__u64 h[2] = { self->h, self->h }, out[2];

	EXPECT_EQ(-EINVAL, sys_transfer(self->server, self->t.worker.fd, h, out,
					2, 0));
}

TEST_F(handle, does_not_move_by_a_transfer)
{
	__u64 h[2] = { self->h, 0x9999000 }, out[2];

	EXPECT_EQ(-ENXIO, sys_transfer(self->server, self->t.worker.fd, &h[1],
				       out, 1, 0));
	EXPECT_EQ(-EINVAL, sys_transfer(self->server, self->t.worker.fd, h, out,
					1, 0));
	EXPECT_EQ(-EBADF, sys_transfer(self->server, STDERR_FILENO, h, out, 1,
				       0));
}

TEST_F(handle, does_not_move_when_its_message_fails)
{
	struct iovec bad = { ptr_noaccess(), 8 };
	struct bus1_send_args a = {
		.ptr_destinations = to_u64(&self->t.to_worker),
		.n_destinations = 1,
		.ptr_handles = to_u64(&self->h), .n_handles = 1,
		.ptr_vecs = to_u64(&bad), .n_vecs = 1,
	};
	int fd = self->client;
	__u64 h[2] = { self->h, 0x9999000 };

	EXPECT_EQ(-EFAULT, send_args(self->server, &a, 0));
	EXPECT_EQ(-ENXIO, send_handles(self->server, self->t.to_worker, h, 2));
	EXPECT_EQ(-EOPNOTSUPP, send_full(self->server, &self->t.to_worker, 1,
					 NULL, 0, &self->h, 1, &fd, 1, 0));
}

TEST_F(handle, is_no_node)
{
	EXPECT_EQ(-EREMOTE, destroy_one(self->server, self->h));
	EXPECT_EQ(-ENXIO, destroy_one(self->client, self->h));
}

TEST_F(handle, is_known_to_nobody_else)
{
	EXPECT_EQ(-ENXIO, send_empty(self->client, self->h));
	EXPECT_EQ(-ENXIO, send_empty(self->t.worker.fd, self->h));
	EXPECT_EQ(-ENXIO, release_one(self->t.worker.fd, self->h));
}

TEST_F(handle, is_released_once)
{
	__u64 h[2] = { self->h, self->h };

	EXPECT_EQ(-ENOTUNIQ, sys_release(self->server, h, 2, 0));
}

TEST_F(handle, is_kept_when_the_reply_is_more_than_was_paid_for)
{
	char data[ROOM + 1] = { 0 };
	__u64 h[3] = { NODE, NODE, NODE };
	int fds[3] = { 0, 1, 2 };

	EXPECT_EQ(-EMSGSIZE, send_bytes(self->server, self->h, data, ROOM + 1));
	EXPECT_EQ(-EMSGSIZE, send_handles(self->server, self->h, h, 3));
	EXPECT_EQ(-EMSGSIZE, send_fds(self->server, self->h, fds, 3));
}

TEST_F(handle, is_kept_when_the_replier_is_at_fault)
{
	struct iovec bad = { ptr_noaccess(), 8 };
	struct bus1_send_args a = {
		.ptr_destinations = to_u64(&self->h), .n_destinations = 1,
		.ptr_vecs = to_u64(&bad), .n_vecs = 1,
	};
	int fd = self->client;
	__u64 unknown = 0x9999000;

	EXPECT_EQ(-EFAULT, send_args(self->server, &a, 0));
	EXPECT_EQ(-EOPNOTSUPP, send_fds(self->server, self->h, &fd, 1));
	fd = -1;
	EXPECT_EQ(-EBADF, send_fds(self->server, self->h, &fd, 1));
	EXPECT_EQ(-ENXIO, send_handles(self->server, self->h, &unknown, 1));
	unknown = NODE | NEW;
	EXPECT_EQ(-EEXIST, send_handles(self->server, self->h, &unknown, 1));
}

TEST_F(handle, is_kept_when_the_replier_may_not_have_another_node)
{
	struct bus1_peer_info i = query(self->server);
	struct bus1_peer_limits full = limits_keep(), l = limits_keep();
	__u64 x = 0x700 | NEW;

	full.max_handles = i.used_handles;
	l.max_handles = i.max_handles;
	ASSERT_EQ(0, sys_reset(self->server, &full, sizeof(full), 0));
	EXPECT_EQ(-ENOBUFS, send_handles(self->server, self->h, &x, 1));
	ASSERT_EQ(0, sys_reset(self->server, &l, sizeof(l), 0));
}

TEST_HARNESS_MAIN
