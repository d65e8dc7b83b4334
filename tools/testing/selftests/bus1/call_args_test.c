// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 selftests: the arguments of bus1_call()
 *
 * A negative return means that nothing was sent, which every refused call is
 * checked for by comparing all that can be seen of all peers.
 */
#include "reply.h"

static const size_t send_size = sizeof(struct bus1_send_args);
static const size_t recv_size = sizeof(struct bus1_recv_args);

/* @send and @recv are a sound call of the client; each has room for a tail. */
FIXTURE(call) {
	struct trio t;
	int client, server;
	struct bus1_send_args send[2];
	struct bus1_recv_args recv[2];
	struct iovec vec;
	struct trio_state old;
};

FIXTURE_SETUP(call)
{
	ASSERT_EQ(0, trio_open(&self->t));
	self->client = self->t.client.fd;
	self->server = self->t.server.fd;
	self->send[0] = request(&self->t.to_server, ASKED, ROOM, 0, 0);
	self->recv[0].max_offset = self->t.client.pool_size;
	trio_get(&self->t, &self->old);
}

FIXTURE_TEARDOWN(call)
{
	trio_close(&self->t);
}

#define EXPECT_NOTHING_CHANGED() EXPECT_TRUE(trio_same(&self->t, &self->old))
#define CALL(s, r)	sys_call(self->client, self->send, send_size,	\
				 self->recv, recv_size, BUS1_CALL(s, r))
#define ASKING		BUS1_SEND_REPLY
#define NOWAIT		BUS1_RECV_NONBLOCK

/* A request without the flag has none of the members for it. */
static void ask_nothing(struct _test_data_call *s)
{
	s->send[0] = request(&s->t.to_server, 0, 0, 0, 0);
}

TEST_F(call, of_what_is_no_peer_is_ebadf)
{
	int k;

	for (k = 0; k < N_NOT_PEERS; k++)
		EXPECT_EQ(-EBADF, sys_call(not_a_peer(k), self->send, send_size,
					   self->recv, recv_size,
					   BUS1_CALL(ASKING, NOWAIT)));
	EXPECT_EQ(-EBADF, sys_call(-1, NULL, 0, NULL, 0, ~0U));
	EXPECT_NOTHING_CHANGED();
}

TEST_F(call, with_unknown_flags_is_einval)
{
	int bit;

	for (bit = 5; bit < 16; bit++)
		EXPECT_EQ(-EINVAL, CALL(ASKING | 1U << bit, NOWAIT));
	for (bit = 6; bit < 16; bit++)
		EXPECT_EQ(-EINVAL, CALL(ASKING, NOWAIT | 1U << bit));
	EXPECT_EQ(-EINVAL, sys_call(self->client, self->send, send_size,
				    self->recv, recv_size, ~0U));
	EXPECT_NOTHING_CHANGED();
}

TEST_F(call, with_a_seed_a_pidfd_or_another_reply_is_einval)
{
	EXPECT_EQ(-EINVAL, CALL(ASKING, NOWAIT | BUS1_RECV_SEED));
	EXPECT_EQ(-EINVAL, CALL(ASKING, NOWAIT | BUS1_RECV_REPLY));
	EXPECT_EQ(-EINVAL, CALL(ASKING, NOWAIT | BUS1_RECV_PIDFD));
	EXPECT_EQ(-EINVAL, CALL(ASKING | BUS1_SEND_SEED, NOWAIT));
	ask_nothing(self);
	EXPECT_EQ(-EINVAL, CALL(0, NOWAIT | BUS1_RECV_SEED));
	EXPECT_EQ(-EINVAL, CALL(0, NOWAIT | BUS1_RECV_REPLY));
	self->send[0].n_destinations = 0;
	EXPECT_EQ(-EINVAL, CALL(BUS1_SEND_SEED, NOWAIT));
	EXPECT_NOTHING_CHANGED();
}

TEST_F(call, with_reply_members_and_no_flag_is_einval)
{
	__u64 *reply = &self->send[0].reply_id;
	int i;

	ask_nothing(self);
	for (i = 0; i < 4; i++) {
		reply[i] = 8;
		EXPECT_EQ(-EINVAL, CALL(0, NOWAIT));
		reply[i] = 0;
	}
	EXPECT_NOTHING_CHANGED();
}

TEST_F(call, with_a_struct_smaller_than_version_0_is_einval)
{
	size_t n;

	for (n = 0; n < send_size; n++)
		EXPECT_EQ(-EINVAL, sys_call(self->client, self->send, n,
					    self->recv, recv_size,
					    BUS1_CALL(ASKING, NOWAIT)));
	for (n = 0; n < recv_size; n++)
		EXPECT_EQ(-EINVAL, sys_call(self->client, self->send, send_size,
					    self->recv, n,
					    BUS1_CALL(ASKING, NOWAIT)));
	EXPECT_NOTHING_CHANGED();
}

TEST_F(call, with_a_larger_struct_needs_a_zero_tail)
{
	unsigned char *st = (void *)&self->send[1], *rt = (void *)&self->recv[1];
	size_t n;

	for (n = 0; n < send_size; n++) {
		st[n] = 1;
		EXPECT_EQ(-E2BIG, sys_call(self->client, self->send,
					   send_size + n + 1, self->recv,
					   recv_size, BUS1_CALL(ASKING,
								NOWAIT)));
		st[n] = 0;
	}
	for (n = 0; n < recv_size; n++) {
		rt[n] = 1;
		EXPECT_EQ(-E2BIG, sys_call(self->client, self->send, send_size,
					   self->recv, recv_size + n + 1,
					   BUS1_CALL(ASKING, NOWAIT)));
		rt[n] = 0;
	}
	EXPECT_NOTHING_CHANGED();
	EXPECT_EQ(0, sys_call(self->client, self->send, 2 * send_size,
			      self->recv, 2 * recv_size,
			      BUS1_CALL(ASKING, NOWAIT)));
	EXPECT_EQ(-EAGAIN, self->recv[0].error);
}

TEST_F(call, with_a_struct_of_a_huge_size_is_refused)
{
	int r;

	r = sys_call(self->client, self->send, SIZE_MAX, self->recv, recv_size,
		     BUS1_CALL(ASKING, NOWAIT));
	EXPECT_TRUE(r == -E2BIG || r == -EFAULT || r == -EINVAL);
	r = sys_call(self->client, self->send, send_size, self->recv, SIZE_MAX,
		     BUS1_CALL(ASKING, NOWAIT));
	EXPECT_TRUE(r == -E2BIG || r == -EFAULT || r == -EINVAL);
	EXPECT_NOTHING_CHANGED();
}

TEST_F(call, with_a_struct_at_a_bad_pointer_is_efault)
{
	void *bad[] = { NULL, ptr_noaccess(), ptr_kernel(), ptr_edge(8) };
	size_t i;

	for (i = 0; i < 4; i++) {
		EXPECT_EQ(-EFAULT, sys_call(self->client, bad[i], send_size,
					    self->recv, recv_size,
					    BUS1_CALL(ASKING, NOWAIT)));
		EXPECT_EQ(-EFAULT, sys_call(self->client, self->send, send_size,
					    bad[i], recv_size,
					    BUS1_CALL(ASKING, NOWAIT)));
	}
	EXPECT_NOTHING_CHANGED();
}

/* Otherwise the request would be sent by a call that cannot say so. */
TEST_F(call, into_what_cannot_be_written_is_efault)
{
	EXPECT_EQ(-EFAULT, sys_call(self->client, self->send, send_size,
				    ptr_readonly(), recv_size,
				    BUS1_CALL(ASKING, NOWAIT)));
	ask_nothing(self);
	EXPECT_EQ(-EFAULT, sys_call(self->client, self->send, send_size,
				    ptr_readonly(), recv_size,
				    BUS1_CALL(0, NOWAIT)));
	EXPECT_NOTHING_CHANGED();
}

/* The members that are written begin in one page and end in the next. */
TEST_F(call, into_what_can_be_written_in_part_is_efault)
{
	size_t at[] = { offsetof(struct bus1_recv_args, type),
			offsetof(struct bus1_recv_args, reply),
			offsetof(struct bus1_recv_args, sender_pid) };
	char *m = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct bus1_recv_args *r;
	int i, page;

	ASSERT_TRUE(m != MAP_FAILED);
	for (i = 0; i < 3; i++)
		for (page = 0; page < 2; page++) {
			r = (void *)(m + 4096 - at[i]);
			r->max_offset = POOL_MAP_SIZE;
			ASSERT_EQ(0, mprotect(m + 4096 * page, 4096,
					      PROT_READ));
			EXPECT_EQ(-EFAULT, sys_call(self->client, self->send,
						    send_size, r, recv_size,
						    BUS1_CALL(ASKING, NOWAIT)));
			ASSERT_EQ(0, mprotect(m, 8192, PROT_READ | PROT_WRITE));
			EXPECT_NOTHING_CHANGED();
		}
}

TEST_F(call, with_a_struct_not_aligned_is_einval)
{
	int i;

	for (i = 1; i < 8; i++) {
		void *s = (char *)self->send + i, *r = (char *)self->recv + i;

		EXPECT_EQ(-EINVAL, sys_call(self->client, s, send_size,
					    self->recv, recv_size,
					    BUS1_CALL(ASKING, NOWAIT)));
		EXPECT_EQ(-EINVAL, sys_call(self->client, self->send, send_size,
					    r, recv_size,
					    BUS1_CALL(ASKING, NOWAIT)));
	}
	EXPECT_NOTHING_CHANGED();
}

TEST_F(call, has_the_errors_of_send)
{
	__u64 to[2] = { self->t.to_server, 0x9999000 };
	struct iovec bad = { ptr_noaccess(), 8 };
	int fd = self->server;

	self->send[0].ptr_destinations = to_u64(&to[1]);
	EXPECT_EQ(-ENXIO, CALL(ASKING, NOWAIT));
	self->send[0].ptr_destinations = to_u64(to);
	self->send[0].n_destinations = 2;
	EXPECT_EQ(-EINVAL, CALL(ASKING, NOWAIT));
	self->send[0].n_destinations = 0;
	EXPECT_EQ(-EINVAL, CALL(ASKING, NOWAIT));
	self->send[0].n_destinations = 1;
	EXPECT_EQ(-EINVAL, CALL(ASKING | BUS1_SEND_CONTINUE, NOWAIT));
	EXPECT_EQ(-EINVAL, CALL(ASKING | BUS1_SEND_HANDLES, NOWAIT));
	EXPECT_EQ(-EINVAL, CALL(ASKING | BUS1_SEND_FDS, NOWAIT));
	self->send[0].reply_id = ASKED | 1;
	EXPECT_EQ(-EINVAL, CALL(ASKING, NOWAIT));
	self->send[0].reply_id = NODE;
	EXPECT_EQ(-EEXIST, CALL(ASKING, NOWAIT));
	self->send[0].reply_id = ASKED;
	self->send[0].reply_max_bytes = 0x80000000;
	EXPECT_EQ(-EMSGSIZE, CALL(ASKING, NOWAIT));
	self->send[0].reply_max_bytes = 0x70000000;
	EXPECT_EQ(-ENOBUFS, CALL(ASKING, NOWAIT));
	self->send[0].reply_max_bytes = 0;
	self->send[0].ptr_vecs = to_u64(&bad);
	self->send[0].n_vecs = 1;
	EXPECT_EQ(-EFAULT, CALL(ASKING, NOWAIT));
	self->send[0].n_vecs = 0;
	self->send[0].ptr_fds = to_u64(&fd);
	self->send[0].n_fds = 1;
	EXPECT_EQ(-EOPNOTSUPP, CALL(ASKING | BUS1_SEND_FDS, NOWAIT));
	EXPECT_NOTHING_CHANGED();
}

TEST_F(call, to_a_dead_node_is_ehostunreach)
{
	ASSERT_EQ(0, destroy_one(self->server, NODE));
	drain(&self->t.client);
	trio_get(&self->t, &self->old);
	EXPECT_EQ(-EHOSTUNREACH, CALL(ASKING, NOWAIT));
	EXPECT_NOTHING_CHANGED();
	EXPECT_EQ(0, self->recv[0].type);
}

TEST_F(call, to_a_full_receiver_is_refused)
{
	struct bus1_peer_limits l = limits_keep();

	l.max_slices = 2;
	ASSERT_EQ(0, sys_reset(self->server, &l, sizeof(l), 0));
	ASSERT_EQ(0, send_empty(self->client, self->t.to_server));
	trio_get(&self->t, &self->old);
	EXPECT_EQ(-EXFULL, CALL(ASKING, 0));
	EXPECT_NOTHING_CHANGED();
}

TEST_F(call, of_a_disconnected_peer_is_eshutdown)
{
	ASSERT_EQ(0, sys_disconnect(self->client, 0));
	EXPECT_EQ(-ESHUTDOWN, CALL(ASKING, 0));
	EXPECT_EQ(-EINVAL, CALL(ASKING, BUS1_RECV_SEED));
	EXPECT_EQ(-EINVAL, sys_call(self->client, self->send, 0, self->recv,
				    recv_size, BUS1_CALL(ASKING, 0)));
}

TEST_F(call, with_a_wrong_slice_to_release_is_enxio_and_sends_nothing)
{
	self->recv[0].release = 0;
	EXPECT_EQ(-ENXIO, CALL(ASKING, NOWAIT | BUS1_RECV_RELEASE));
	self->recv[0].release = 8;
	EXPECT_EQ(-ENXIO, CALL(ASKING, NOWAIT | BUS1_RECV_RELEASE));
	ask_nothing(self);
	EXPECT_EQ(-ENXIO, CALL(0, NOWAIT | BUS1_RECV_RELEASE));
	EXPECT_NOTHING_CHANGED();
	/* No slice is none, and without the flag it is not looked at. */
	self->recv[0].release = BUS1_OFFSET_INVALID;
	EXPECT_EQ(0, CALL(0, NOWAIT | BUS1_RECV_RELEASE));
	EXPECT_EQ(-EAGAIN, self->recv[0].error);
	self->recv[0].release = 8;
	EXPECT_EQ(0, CALL(0, NOWAIT));
	EXPECT_EQ(-EAGAIN, self->recv[0].error);
}

TEST_F(call, that_fails_keeps_the_slice)
{
	__u64 unknown = 0x9999000, back;
	struct bus1_recv_args r;

	back = connect_peers(self->client, NODE, self->server);
	ASSERT_EQ(0, send_bytes(self->server, back, "slice", 5));
	ASSERT_EQ(0, recv_msg(&self->t.client, &r));
	trio_get(&self->t, &self->old);
	self->recv[0].release = r.offset;
	self->send[0].ptr_destinations = to_u64(&unknown);
	EXPECT_EQ(-ENXIO, CALL(ASKING, NOWAIT | BUS1_RECV_RELEASE));
	self->send[0].ptr_destinations = to_u64(&self->t.to_server);
	self->send[0].reply_max_bytes = 0x70000000;
	EXPECT_EQ(-ENOBUFS, CALL(ASKING, NOWAIT | BUS1_RECV_RELEASE));
	self->send[0].reply_max_bytes = 0;
	EXPECT_EQ(-EINVAL, CALL(ASKING, NOWAIT | BUS1_RECV_RELEASE | 0x8000));
	EXPECT_EQ(-EFAULT, sys_call(self->client, NULL, send_size, self->recv,
				    recv_size,
				    BUS1_CALL(ASKING,
					      NOWAIT | BUS1_RECV_RELEASE)));
	EXPECT_NOTHING_CHANGED();
	EXPECT_EQ(0, slice_release_one(self->client, r.offset));
}

/* Names that are wrong in both halves: nothing is sent and nothing released. */
TEST_F(call, with_two_errors_does_nothing)
{
	__u64 unknown = 0x9999000;

	self->send[0].ptr_destinations = to_u64(&unknown);
	self->recv[0].release = 64;
	EXPECT_EQ(-ENXIO, CALL(ASKING, BUS1_RECV_RELEASE));
	EXPECT_NOTHING_CHANGED();
}

TEST_HARNESS_MAIN
