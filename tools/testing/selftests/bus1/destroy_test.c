// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 selftests: bus1_node_destroy(), and what the holders learn of it
 */
#include "common.h"

#define NEW		BUS1_HANDLE_FLAG_NEW
#define INVALID		BUS1_HANDLE_INVALID

/*
 *   a owns node @id, b holds @h to it; c owns node 0x10, b holds @hc to it
 */
FIXTURE(destroy) {
	struct pair s;
	struct peer c;
	int a, b;
	__u64 id, h, hc;
	struct state sa, sb;
};

FIXTURE_SETUP(destroy)
{
	ASSERT_EQ(0, pair_open(&self->s));
	ASSERT_EQ(0, peer_open(&self->c, NULL, BUS1_OPEN_NONBLOCK));
	self->a = self->s.a.fd;
	self->b = self->s.b.fd;
	self->id = self->s.id;
	self->h = self->s.h;
	self->hc = connect_new(self->c.fd, 0x10, self->b);
	ASSERT_NE(INVALID, self->hc);
	state_get(self->a, &self->sa);
	state_get(self->b, &self->sb);
}

FIXTURE_TEARDOWN(destroy)
{
	pair_close(&self->s);
	peer_close(&self->c);
}

#define EXPECT_NOTHING_CHANGED()				\
	do {							\
		EXPECT_TRUE(state_same(self->a, &self->sa));	\
		EXPECT_TRUE(state_same(self->b, &self->sb));	\
	} while (0)

TEST_F(destroy, of_what_is_no_peer_is_ebadf)
{
	int k;

	for (k = 0; k < N_NOT_PEERS; k++)
		EXPECT_EQ(-EBADF, sys_destroy(not_a_peer(k), &self->id, 1, 0));
	EXPECT_EQ(-EBADF, sys_destroy(-1, NULL, 4711, ~0U));
}

TEST_F(destroy, with_unknown_flags_is_einval)
{
	int bit;

	for (bit = 1; bit < 32; bit++)
		EXPECT_EQ(-EINVAL, sys_destroy(self->a, &self->id, 1,
					       1U << bit));
	EXPECT_EQ(-EINVAL, sys_destroy(self->a, &self->id, 1, ~0U));
	EXPECT_NOTHING_CHANGED();
}

TEST_F(destroy, from_a_bad_pointer_is_efault)
{
	__u64 *edge = ptr_edge(8);

	*edge = self->id;
	EXPECT_EQ(-EFAULT, sys_destroy(self->a, NULL, 1, 0));
	EXPECT_EQ(-EFAULT, sys_destroy(self->a, ptr_noaccess(), 1, 0));
	EXPECT_EQ(-EFAULT, sys_destroy(self->a, ptr_kernel(), 1, 0));
	EXPECT_EQ(-EFAULT, sys_destroy(self->a, edge, 2, 0));
	EXPECT_NOTHING_CHANGED();
}

TEST_F(destroy, of_too_many_is_emsgsize)
{
	static __u64 x[BUS1_HANDLE_MAX + 1];

	EXPECT_EQ(-EMSGSIZE, sys_destroy(self->a, x, BUS1_HANDLE_MAX + 1, 0));
	EXPECT_EQ(-EMSGSIZE, sys_destroy(self->a, x, SIZE_MAX, 0));
	EXPECT_EQ(-EMSGSIZE, sys_destroy(self->a, x, SIZE_MAX / 8 + 2, 0));
	EXPECT_NOTHING_CHANGED();
}

TEST_F(destroy, of_none_does_nothing)
{
	unsigned int flags = BUS1_DESTROY_RELEASE_HANDLES;

	EXPECT_EQ(0, sys_destroy(self->a, NULL, 0, 0));
	EXPECT_EQ(0, sys_destroy(self->a, ptr_kernel(), 0, flags));
	EXPECT_NOTHING_CHANGED();
}

TEST_F(destroy, of_an_unknown_id_is_enxio)
{
	__u64 bad[] = { 0, 0x2000, BUS1_HANDLE_FLAG_MANAGED, INVALID, self->h,
			self->id | NEW, 0x3000 | NEW };
	size_t i;

	for (i = 0; i < 7; i++)
		EXPECT_EQ(-ENXIO, destroy_one(self->a, bad[i]));
	EXPECT_NOTHING_CHANGED();
}

TEST_F(destroy, of_a_node_of_another_peer_is_eremote)
{
	EXPECT_EQ(-EREMOTE, destroy_one(self->b, self->h));
	EXPECT_NOTHING_CHANGED();
	EXPECT_EQ(0, send_bytes(self->b, self->h, NULL, 0));
}

TEST_F(destroy, of_a_destroyed_node_is_estale)
{
	ASSERT_EQ(0, destroy_one(self->a, self->id));
	EXPECT_EQ(-ESTALE, destroy_one(self->a, self->id));
	EXPECT_EQ(-EREMOTE, destroy_one(self->b, self->h));
	EXPECT_EQ(-ESTALE, sys_destroy(self->a, &self->id, 1,
				       BUS1_DESTROY_RELEASE_HANDLES));
}

TEST_F(destroy, of_one_named_twice_is_enotuniq)
{
	__u64 x[2] = { self->id, self->id };

	EXPECT_EQ(-ENOTUNIQ, sys_destroy(self->a, x, 2, 0));
	EXPECT_NOTHING_CHANGED();
}

TEST_F(destroy, is_all_or_nothing)
{
	__u64 x[2] = { self->id, 0x2000 };
	unsigned int flags = BUS1_DESTROY_RELEASE_HANDLES;

	EXPECT_EQ(-ENXIO, sys_destroy(self->a, x, 2, 0));
	EXPECT_EQ(-ENXIO, sys_destroy(self->a, x, 2, flags));
	EXPECT_NOTHING_CHANGED();
	EXPECT_EQ(0, send_bytes(self->b, self->h, NULL, 0));
}

/* What a notice carries besides its type and destination: nothing. */
static bool is_destroy(const struct bus1_recv_args *r, __u64 dest)
{
	return r->type == BUS1_MSG_NODE_DESTROY && r->destination == dest &&
	       !r->n_bytes && !r->n_handles && !r->n_fds && !r->sender_pid &&
	       r->offset == BUS1_OFFSET_INVALID && r->reply == INVALID &&
	       r->sender_uid == 65534 && r->sender_gid == 65534 &&
	       r->sender_pidfd == -1 && !r->error && !r->n_overtaken;
}

TEST_F(destroy, tells_the_owner_and_every_holder)
{
	__u64 hc = connect_peers(self->a, self->id, self->c.fd);
	struct bus1_recv_args r;

	ASSERT_EQ(0, destroy_one(self->a, self->id));
	EXPECT_EQ(0, query(self->a).n_nodes);
	ASSERT_EQ(0, recv_msg(&self->s.a, &r));
	EXPECT_TRUE(is_destroy(&r, self->id));
	ASSERT_EQ(0, recv_msg(&self->s.b, &r));
	EXPECT_TRUE(is_destroy(&r, self->h));
	ASSERT_EQ(0, recv_msg(&self->c, &r));
	EXPECT_TRUE(is_destroy(&r, hc));
	EXPECT_EQ(-EAGAIN, recv_msg(&self->s.a, &r));
	EXPECT_EQ(-EAGAIN, recv_msg(&self->s.b, &r));
	EXPECT_EQ(-EAGAIN, recv_msg(&self->c, &r));
}

TEST_F(destroy, leaves_the_handles_to_be_released)
{
	ASSERT_EQ(0, destroy_one(self->a, self->id));
	EXPECT_EQ(1, drain(&self->s.a));
	EXPECT_EQ(1, drain(&self->s.b));
	EXPECT_EQ(1, query(self->a).n_handles);
	EXPECT_EQ(0, release_one(self->a, self->id));
	EXPECT_EQ(0, release_one(self->b, self->h));
	EXPECT_EQ(-ENXIO, release_one(self->b, self->h));
	EXPECT_TRUE(peer_is_clean(self->a));
}

TEST_F(destroy, refuses_later_messages)
{
	ASSERT_EQ(0, destroy_one(self->a, self->id));
	EXPECT_EQ(-EHOSTUNREACH, send_bytes(self->b, self->h, "x", 1));
	EXPECT_EQ(-EHOSTUNREACH, send_bytes(self->a, self->id, "x", 1));
	EXPECT_EQ(1, query(self->a).n_queued);
	EXPECT_EQ(0, query(self->a).used_slices);
}

TEST_F(destroy, delivers_earlier_messages_first)
{
	struct bus1_recv_args r;

	ASSERT_EQ(0, send_bytes(self->b, self->h, "x", 1));
	ASSERT_EQ(0, destroy_one(self->a, self->id));
	ASSERT_EQ(0, recv_msg(&self->s.a, &r));
	EXPECT_EQ(BUS1_MSG_DATA, r.type);
	EXPECT_EQ(self->id, r.destination);
	ASSERT_EQ(0, recv_msg(&self->s.a, &r));
	EXPECT_TRUE(is_destroy(&r, self->id));
}

TEST_F(destroy, has_its_place_among_messages_of_a_holder)
{
	__u64 back = connect_new(self->b, 0x20, self->a);
	struct bus1_recv_args r;

	ASSERT_EQ(0, send_bytes(self->a, back, "1", 1));
	ASSERT_EQ(0, destroy_one(self->a, self->id));
	ASSERT_EQ(0, send_bytes(self->a, back, "2", 1));
	ASSERT_EQ(0, recv_msg(&self->s.b, &r));
	EXPECT_EQ(BUS1_MSG_DATA, r.type);
	ASSERT_EQ(0, recv_msg(&self->s.b, &r));
	EXPECT_TRUE(is_destroy(&r, self->h));
	ASSERT_EQ(0, recv_msg(&self->s.b, &r));
	EXPECT_EQ(BUS1_MSG_DATA, r.type);
}

TEST_F(destroy, with_release_does_not_tell_the_owner)
{
	struct bus1_recv_args r;

	ASSERT_EQ(0, sys_destroy(self->a, &self->id, 1,
				 BUS1_DESTROY_RELEASE_HANDLES));
	EXPECT_TRUE(peer_is_clean(self->a));
	EXPECT_EQ(-EAGAIN, recv_msg(&self->s.a, &r));
	EXPECT_EQ(-ENXIO, release_one(self->a, self->id));
	ASSERT_EQ(0, recv_msg(&self->s.b, &r));
	EXPECT_TRUE(is_destroy(&r, self->h));
}

TEST_F(destroy, with_release_drops_one_reference_only)
{
	struct bus1_recv_args r;

	ASSERT_EQ(self->id, connect_peers(self->a, self->id, self->a));
	ASSERT_EQ(0, sys_destroy(self->a, &self->id, 1,
				 BUS1_DESTROY_RELEASE_HANDLES));
	EXPECT_EQ(-EAGAIN, recv_msg(&self->s.a, &r));
	EXPECT_EQ(1, query(self->a).n_handles);
	EXPECT_EQ(0, release_one(self->a, self->id));
	EXPECT_EQ(-ENXIO, release_one(self->a, self->id));
}

TEST_F(destroy, release_of_the_handle_withdraws_the_notice)
{
	struct bus1_recv_args r;

	ASSERT_EQ(0, destroy_one(self->a, self->id));
	EXPECT_EQ(1, query(self->b).n_queued);
	ASSERT_EQ(0, release_one(self->b, self->h));
	EXPECT_EQ(0, query(self->b).n_queued);
	EXPECT_FALSE(is_readable(self->b));
	EXPECT_EQ(-EAGAIN, recv_msg(&self->s.b, &r));
	ASSERT_EQ(0, release_one(self->a, self->id));
	EXPECT_EQ(-EAGAIN, recv_msg(&self->s.a, &r));
	EXPECT_TRUE(peer_is_clean(self->a));
}

TEST_F(destroy, id_can_be_used_again_once_it_is_gone)
{
	__u64 h;

	ASSERT_EQ(0, destroy_one(self->a, self->id));
	EXPECT_EQ(INVALID, connect_new(self->a, self->id, self->b));
	ASSERT_EQ(0, release_one(self->a, self->id));
	h = connect_new(self->a, self->id, self->b);
	ASSERT_NE(INVALID, h);
	EXPECT_NE(self->h, h);
	EXPECT_EQ(-EHOSTUNREACH, send_bytes(self->b, self->h, NULL, 0));
	EXPECT_EQ(0, send_bytes(self->b, h, NULL, 0));
}

static int use_again(int fd, __u64 id, __u64 *out)
{
	id |= NEW;
	return sys_transfer(fd, fd, &id, out, 1, 0);
}

TEST_F(destroy, id_is_taken_while_a_message_is_addressed_to_it)
{
	struct bus1_recv_args r;
	__u64 out;

	ASSERT_EQ(0, send_bytes(self->b, self->h, "x", 1));
	ASSERT_EQ(0, sys_destroy(self->a, &self->id, 1,
				 BUS1_DESTROY_RELEASE_HANDLES));
	EXPECT_EQ(-EEXIST, use_again(self->a, self->id, &out));
	ASSERT_EQ(0, recv_msg(&self->s.a, &r));
	EXPECT_EQ(self->id, r.destination);
	EXPECT_EQ(0, use_again(self->a, self->id, &out));
}

TEST_F(destroy, id_is_taken_while_a_message_carries_it)
{
	__u64 other = connect_new(self->a, 0x2000, self->b), out, got;
	struct bus1_recv_args r;

	ASSERT_EQ(0, send_handles(self->b, other, &self->h, 1));
	ASSERT_EQ(0, sys_destroy(self->a, &self->id, 1,
				 BUS1_DESTROY_RELEASE_HANDLES));
	EXPECT_EQ(-EEXIST, use_again(self->a, self->id, &out));
	ASSERT_EQ(0, recv_msg(&self->s.a, &r));
	ASSERT_EQ(1, r.n_handles);
	got = msg_handles(&self->s.a, &r)[0];
	EXPECT_EQ(self->id, got);
	EXPECT_EQ(-EEXIST, use_again(self->a, self->id, &out));
	EXPECT_EQ(0, release_one(self->a, got));
	EXPECT_EQ(0, use_again(self->a, self->id, &out));
}

TEST_F(destroy, handle_sent_before_it_arrives_valid)
{
	struct bus1_recv_args r;
	__u64 got;

	ASSERT_EQ(0, send_handles(self->b, self->hc, &self->h, 1));
	ASSERT_EQ(0, destroy_one(self->a, self->id));
	ASSERT_EQ(0, recv_msg(&self->c, &r));
	ASSERT_EQ(1, r.n_handles);
	got = msg_handles(&self->c, &r)[0];
	EXPECT_NE(INVALID, got);
	EXPECT_EQ(-EHOSTUNREACH, send_bytes(self->c.fd, got, "x", 1));
	ASSERT_EQ(0, recv_msg(&self->c, &r));
	EXPECT_TRUE(is_destroy(&r, got));
	EXPECT_EQ(0, release_one(self->c.fd, got));
}

TEST_F(destroy, trap_13_handle_sent_after_it_arrives_invalid)
{
	struct bus1_recv_args r;

	ASSERT_EQ(0, destroy_one(self->a, self->id));
	ASSERT_EQ(0, send_handles(self->b, self->hc, &self->h, 1));
	ASSERT_EQ(0, recv_msg(&self->c, &r));
	ASSERT_EQ(1, r.n_handles);
	EXPECT_EQ(INVALID, msg_handles(&self->c, &r)[0]);
	EXPECT_EQ(-EAGAIN, recv_msg(&self->c, &r));
	EXPECT_EQ(1, query(self->c.fd).n_handles);
	EXPECT_EQ(1, query(self->c.fd).used_handles);
}

TEST_F(destroy, handles_around_it_arrive_by_their_places)
{
	struct bus1_recv_args r;
	__u64 got;

	ASSERT_EQ(0, send_handles(self->b, self->hc, &self->h, 1));
	ASSERT_EQ(0, destroy_one(self->a, self->id));
	ASSERT_EQ(0, send_handles(self->b, self->hc, &self->h, 1));
	ASSERT_EQ(0, recv_msg(&self->c, &r));
	got = msg_handles(&self->c, &r)[0];
	EXPECT_NE(INVALID, got);
	ASSERT_EQ(0, recv_msg(&self->c, &r));
	EXPECT_TRUE(is_destroy(&r, got));
	ASSERT_EQ(0, recv_msg(&self->c, &r));
	EXPECT_EQ(INVALID, msg_handles(&self->c, &r)[0]);
}

TEST_F(destroy, notice_is_skipped_when_the_count_is_0_then)
{
	struct bus1_recv_args r;

	ASSERT_EQ(0, send_handles(self->b, self->hc, &self->h, 1));
	ASSERT_EQ(0, destroy_one(self->a, self->id));
	ASSERT_EQ(0, recv_msg(&self->c, &r));
	ASSERT_EQ(0, release_one(self->c.fd, msg_handles(&self->c, &r)[0]));
	EXPECT_EQ(0, query(self->c.fd).n_queued);
	EXPECT_FALSE(is_readable(self->c.fd));
	EXPECT_EQ(-EAGAIN, recv_msg(&self->c, &r));
}

TEST_F(destroy, trap_12_of_a_node_in_flight_and_released_leaves_nothing)
{
	__u64 x[3] = { self->h, self->h, self->h };

	ASSERT_EQ(0, send_handles(self->b, self->hc, x, 3));
	ASSERT_EQ(0, release_one(self->b, self->h));
	ASSERT_EQ(0, sys_destroy(self->a, &self->id, 1,
				 BUS1_DESTROY_RELEASE_HANDLES));
	ASSERT_EQ(0, sys_reset(self->c.fd, NULL, 0, BUS1_RESET_FLUSH));
	EXPECT_TRUE(peer_is_clean(self->a));
	EXPECT_TRUE(peer_is_clean(self->c.fd));
	EXPECT_EQ(1, drain(&self->s.b));
	EXPECT_EQ(0, release_one(self->b, self->hc));
	EXPECT_TRUE(peer_is_clean(self->b));
}

/* One after the other, so that nobody who meets one has to finish all. */
TEST_F(destroy, of_many_is_an_event_each_in_array_order)
{
	enum { N = 1024 };
	static __u64 id[N], h[N];
	struct bus1_recv_args r;
	int i;

	for (i = 0; i < N; i++)
		id[i] = (0x10000 + 8 * i) | NEW;
	ASSERT_EQ(0, sys_transfer(self->a, self->c.fd, id, h, N, 0));
	for (i = 0; i < N; i++)
		id[i] &= ~NEW;
	ASSERT_EQ(0, sys_destroy(self->a, id, N, BUS1_DESTROY_RELEASE_HANDLES));
	EXPECT_EQ(N, query(self->c.fd).n_queued);
	for (i = 0; i < N; i++) {
		ASSERT_EQ(0, recv_msg(&self->c, &r));
		ASSERT_TRUE(is_destroy(&r, h[i]));
		EXPECT_EQ(0, r.flags);
	}
	EXPECT_EQ(-EAGAIN, recv_msg(&self->c, &r));
	EXPECT_EQ(0, sys_release(self->c.fd, h, N, 0));
}

TEST_F(destroy, of_many_tells_who_still_has_a_handle)
{
	__u64 id[3] = { 0x100 | NEW, 0x200 | NEW, 0x300 | NEW }, h[3];
	struct bus1_recv_args r;
	int i;

	ASSERT_EQ(0, sys_transfer(self->a, self->c.fd, id, h, 3, 0));
	for (i = 0; i < 3; i++)
		id[i] &= ~NEW;
	ASSERT_EQ(0, sys_destroy(self->a, id, 3, 0));
	ASSERT_EQ(0, sys_release(self->c.fd, h, 2, 0));
	ASSERT_EQ(0, recv_msg(&self->c, &r));
	EXPECT_TRUE(is_destroy(&r, h[2]));
	EXPECT_EQ(-EAGAIN, recv_msg(&self->c, &r));
}

TEST_F(destroy, two_calls_are_two_events)
{
	__u64 id[2] = { 0x100 | NEW, 0x200 | NEW }, h[2];
	struct bus1_recv_args r;
	int i;

	ASSERT_EQ(0, sys_transfer(self->a, self->c.fd, id, h, 2, 0));
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, destroy_one(self->a, id[i] & ~NEW));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, recv_msg(&self->c, &r));
		EXPECT_TRUE(is_destroy(&r, h[i]));
		EXPECT_EQ(0, r.flags);
	}
}

TEST_F(destroy, transfer_of_a_dead_node_is_no_notice)
{
	struct bus1_recv_args r;

	ASSERT_EQ(0, destroy_one(self->a, self->id));
	EXPECT_EQ(INVALID, connect_peers(self->b, self->h, self->c.fd));
	EXPECT_EQ(INVALID, connect_peers(self->a, self->id, self->c.fd));
	EXPECT_EQ(-EAGAIN, recv_msg(&self->c, &r));
}

TEST_F(destroy, notice_counts_as_received)
{
	struct bus1_recv_args r;

	ASSERT_EQ(0, destroy_one(self->a, self->id));
	ASSERT_EQ(0, recv_msg(&self->s.b, &r));
	EXPECT_EQ(1, query(self->b).n_received);
	EXPECT_EQ(0, query(self->b).used_slices);
}

TEST_HARNESS_MAIN
