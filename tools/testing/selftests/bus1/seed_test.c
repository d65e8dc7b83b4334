// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 selftests: the seed, a message that a peer keeps for itself
 */
#include "common.h"

#define NEW	BUS1_HANDLE_FLAG_NEW
#define INVALID	BUS1_HANDLE_INVALID

/*
 *   a owns node @id, b holds @h to it, nothing is queued
 */
FIXTURE(seed) {
	struct pair s;
	struct peer *pa, *pb;
	int a, b;
	struct bus1_recv_args r;
};

FIXTURE_SETUP(seed)
{
	ASSERT_EQ(0, pair_open(&self->s));
	self->pa = &self->s.a;
	self->pb = &self->s.b;
	self->a = self->s.a.fd;
	self->b = self->s.b.fd;
}

FIXTURE_TEARDOWN(seed)
{
	pair_close(&self->s);
}

static int set_seed(int fd, const char *text, const __u64 *handles, size_t n)
{
	return send_full(fd, NULL, 0, text, strlen(text), handles, n, NULL, 0,
			 BUS1_SEND_SEED);
}

static int get_seed(const struct peer *p, struct bus1_recv_args *r)
{
	return recv_flags(p, r, BUS1_RECV_SEED);
}

TEST_F(seed, that_was_never_set_is_eagain)
{
	struct state old;

	state_get(self->a, &old);
	EXPECT_EQ(-EAGAIN, get_seed(self->pa, &self->r));
	EXPECT_TRUE(state_same(self->a, &old));
}

TEST_F(seed, never_blocks)
{
	ASSERT_EQ(0, fcntl(self->a, F_SETFL, 0));
	self->r.deadline = 0;
	EXPECT_EQ(-EAGAIN, sys_recv(self->a, &self->r, sizeof(self->r),
				    BUS1_RECV_SEED));
	self->r.deadline = 1;
	EXPECT_EQ(-EAGAIN, sys_recv(self->a, &self->r, sizeof(self->r),
				    BUS1_RECV_SEED));
}

TEST_F(seed, trap_15_can_be_read_back)
{
	ASSERT_EQ(0, set_seed(self->a, "seed", NULL, 0));
	ASSERT_EQ(0, get_seed(self->pa, &self->r));
	EXPECT_EQ(BUS1_MSG_DATA, self->r.type);
	EXPECT_EQ(4, self->r.n_bytes);
	EXPECT_EQ(INVALID, self->r.destination);
	EXPECT_EQ(INVALID, self->r.reply);
	EXPECT_EQ(0, self->r.n_handles);
	EXPECT_EQ(0, self->r.n_fds);
	EXPECT_EQ(0, memcmp(msg_payload(self->pa, &self->r), "seed", 4));
}

TEST_F(seed, is_not_queued)
{
	ASSERT_EQ(0, set_seed(self->a, "seed", NULL, 0));
	EXPECT_EQ(0, query(self->a).n_queued);
	EXPECT_FALSE(is_readable(self->a));
	EXPECT_EQ(-EAGAIN, recv_msg(self->pa, &self->r));
}

TEST_F(seed, does_not_count_as_sent_or_received)
{
	ASSERT_EQ(0, set_seed(self->a, "seed", NULL, 0));
	ASSERT_EQ(0, get_seed(self->pa, &self->r));
	EXPECT_EQ(0, query(self->a).n_received);
	EXPECT_EQ(0, query(self->a).n_sent);
}

TEST_F(seed, is_a_fresh_slice_each_time)
{
	struct bus1_recv_args second;

	ASSERT_EQ(0, set_seed(self->a, "seed", NULL, 0));
	ASSERT_EQ(0, get_seed(self->pa, &self->r));
	ASSERT_EQ(0, get_seed(self->pa, &second));
	EXPECT_NE(self->r.offset, second.offset);
	EXPECT_EQ(0, slice_release_one(self->a, self->r.offset));
	EXPECT_EQ(0, memcmp(msg_payload(self->pa, &second), "seed", 4));
	EXPECT_EQ(0, slice_release_one(self->a, second.offset));
	ASSERT_EQ(0, get_seed(self->pa, &second));
	EXPECT_EQ(0, memcmp(msg_payload(self->pa, &second), "seed", 4));
}

TEST_F(seed, slices_are_charged_to_the_peer_until_released)
{
	struct bus1_peer_info old, new;
	int i;

	ASSERT_EQ(0, set_seed(self->a, "01234567", NULL, 0));
	old = query(self->a);
	for (i = 1; i <= 3; i++) {
		ASSERT_EQ(0, get_seed(self->pa, &self->r));
		new = query(self->a);
		EXPECT_EQ(old.used_slices + i, new.used_slices);
		EXPECT_EQ(old.used_inflight_bytes + 8 * i,
			  new.used_inflight_bytes);
	}
	EXPECT_EQ(0, slice_release_one(self->a, self->r.offset));
	new = query(self->a);
	EXPECT_EQ(old.used_slices + 2, new.used_slices);
	EXPECT_EQ(-1, fdinfo_value(self->a, "claim", 0));
}

TEST_F(seed, replaces_the_last_one)
{
	struct bus1_peer_info old;

	ASSERT_EQ(0, set_seed(self->a, "first", NULL, 0));
	old = query(self->a);
	ASSERT_EQ(0, set_seed(self->a, "other", NULL, 0));
	EXPECT_EQ(old.used_slices, query(self->a).used_slices);
	EXPECT_EQ(old.used_inflight_bytes, query(self->a).used_inflight_bytes);
	ASSERT_EQ(0, get_seed(self->pa, &self->r));
	EXPECT_EQ(0, memcmp(msg_payload(self->pa, &self->r), "other", 5));
}

TEST_F(seed, that_fails_leaves_the_last_one)
{
	struct state old;
	__u64 x = 0x2000;

	ASSERT_EQ(0, set_seed(self->a, "first", NULL, 0));
	state_get(self->a, &old);
	EXPECT_EQ(-ENXIO, set_seed(self->a, "other", &x, 1));
	EXPECT_EQ(-EFAULT, send_full(self->a, NULL, 0, ptr_noaccess(), 8,
				     NULL, 0, NULL, 0, BUS1_SEND_SEED));
	EXPECT_TRUE(state_same(self->a, &old));
	ASSERT_EQ(0, get_seed(self->pa, &self->r));
	EXPECT_EQ(0, memcmp(msg_payload(self->pa, &self->r), "first", 5));
}

TEST_F(seed, gives_its_handles_a_fresh_count_each_time)
{
	__u64 x = 0x2000 | NEW;
	int i;

	ASSERT_EQ(0, set_seed(self->a, "seed", &x, 1));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, get_seed(self->pa, &self->r));
		ASSERT_EQ(1, self->r.n_handles);
		EXPECT_EQ(0x2000, msg_handles(self->pa, &self->r)[0]);
	}
	for (i = 0; i < 3; i++)
		EXPECT_EQ(0, release_one(self->a, 0x2000));
	EXPECT_EQ(-EBUSY, release_one(self->a, 0x2000));
}

TEST_F(seed, handle_that_was_released_gets_a_new_id)
{
	__u64 got;

	ASSERT_EQ(0, set_seed(self->b, "seed", &self->s.h, 1));
	ASSERT_EQ(0, release_one(self->b, self->s.h));
	ASSERT_EQ(0, get_seed(self->pb, &self->r));
	got = msg_handles(self->pb, &self->r)[0];
	EXPECT_NE(INVALID, got);
	EXPECT_NE(self->s.h, got);
	EXPECT_EQ(0, send_bytes(self->b, got, "x", 1));
}

TEST_F(seed, holds_a_reference_like_any)
{
	struct bus1_recv_args r;

	ASSERT_EQ(0, set_seed(self->b, "seed", &self->s.h, 1));
	ASSERT_EQ(0, release_one(self->b, self->s.h));
	EXPECT_EQ(-EAGAIN, recv_msg(self->pa, &r));
	ASSERT_EQ(0, sys_reset(self->b, NULL, 0, BUS1_RESET_FLUSH_SEED));
	ASSERT_EQ(0, recv_msg(self->pa, &r));
	EXPECT_EQ(BUS1_MSG_NODE_RELEASE, r.type);
	EXPECT_EQ(self->s.id, r.destination);
}

TEST_F(seed, gives_dead_nodes_as_invalid)
{
	__u64 x[2] = { self->s.h, 0x2000 | NEW };

	ASSERT_EQ(0, set_seed(self->b, "seed", x, 2));
	ASSERT_EQ(0, destroy_one(self->a, self->s.id));
	ASSERT_EQ(0, get_seed(self->pb, &self->r));
	ASSERT_EQ(2, self->r.n_handles);
	EXPECT_EQ(INVALID, msg_handles(self->pb, &self->r)[0]);
	EXPECT_EQ(0x2000, msg_handles(self->pb, &self->r)[1]);
}

TEST_F(seed, pins_the_handles_of_others_through_a_flush)
{
	ASSERT_EQ(0, set_seed(self->b, "seed", &self->s.h, 1));
	ASSERT_EQ(0, sys_reset(self->b, NULL, 0, BUS1_RESET_FLUSH));
	EXPECT_EQ(-ENXIO, send_bytes(self->b, self->s.h, "x", 1));
	ASSERT_EQ(0, get_seed(self->pb, &self->r));
	ASSERT_EQ(1, self->r.n_handles);
	EXPECT_EQ(0, send_bytes(self->b, msg_handles(self->pb, &self->r)[0],
				"x", 1));
}

TEST_F(seed, gives_its_descriptors_each_time)
{
	int i, p[2], fd, n;
	char c = 0;

	ASSERT_EQ(0, pipe(p));
	ASSERT_EQ(0, send_full(self->a, NULL, 0, NULL, 0, NULL, 0, &p[1], 1,
			       BUS1_SEND_SEED));
	close(p[1]);
	n = count_fds();
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, recv_flags(self->pa, &self->r, BUS1_RECV_SEED |
					BUS1_RECV_INSTALL_FDS));
		ASSERT_EQ(1, self->r.n_fds);
		fd = msg_fds(self->pa, &self->r)[0];
		EXPECT_EQ(1, write(fd, "x", 1));
		EXPECT_EQ(1, read(p[0], &c, 1));
		EXPECT_EQ('x', c);
		close(fd);
	}
	EXPECT_EQ(n, count_fds());
	ASSERT_EQ(0, sys_reset(self->a, NULL, 0, BUS1_RESET_FLUSH_SEED));
	EXPECT_EQ(0, read(p[0], &c, 1));
}

TEST_F(seed, with_descriptors_that_could_form_a_cycle_is_eopnotsupp)
{
	struct state old;

	state_get(self->a, &old);
	EXPECT_EQ(-EOPNOTSUPP, send_full(self->a, NULL, 0, NULL, 0, NULL, 0,
					 &self->a, 1, BUS1_SEND_SEED));
	EXPECT_TRUE(state_same(self->a, &old));
}

TEST_F(seed, beyond_the_peers_own_limit_is_enobufs)
{
	struct bus1_peer_limits l = limits_keep();
	struct state old;
	__u64 slice;
	int i;

	ASSERT_EQ(0, set_seed(self->a, "01234567", NULL, 0));
	l.max_slices = query(self->a).used_slices + 2;
	ASSERT_EQ(0, sys_reset(self->a, &l, sizeof(l), 0));
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, get_seed(self->pa, &self->r));
	slice = self->r.offset;
	state_get(self->a, &old);
	EXPECT_EQ(-ENOBUFS, get_seed(self->pa, &self->r));
	EXPECT_TRUE(state_same(self->a, &old));
	ASSERT_EQ(0, slice_release_one(self->a, slice));
	EXPECT_EQ(0, get_seed(self->pa, &self->r));
}

TEST_F(seed, too_large_for_its_peer_is_refused)
{
	struct bus1_peer_limits l = limits_keep();
	struct state old;

	l.max_inflight_bytes = 16;
	ASSERT_EQ(0, sys_reset(self->a, &l, sizeof(l), 0));
	state_get(self->a, &old);
	EXPECT_EQ(-ENOBUFS, set_seed(self->a, "0123456789abcdefg", NULL, 0));
	EXPECT_TRUE(state_same(self->a, &old));
}

TEST_F(seed, beyond_max_offset_is_erange)
{
	struct state old;

	ASSERT_EQ(0, set_seed(self->a, "seed", NULL, 0));
	state_get(self->a, &old);
	self->r = (struct bus1_recv_args){ .max_offset = 0 };
	EXPECT_EQ(-ERANGE, sys_recv(self->a, &self->r, sizeof(self->r),
				    BUS1_RECV_SEED));
	EXPECT_EQ(4, self->r.n_bytes);
	EXPECT_TRUE(state_same(self->a, &old));
}

TEST_F(seed, into_unwritable_args_is_efault)
{
	struct bus1_recv_args *ro = ptr_edge(4096);
	struct state old;

	ASSERT_EQ(0, set_seed(self->a, "seed", &self->s.id, 1));
	state_get(self->a, &old);
	ro->max_offset = self->pa->pool_size;
	ASSERT_EQ(0, mprotect(ro, 4096, PROT_READ));
	EXPECT_EQ(-EFAULT, sys_recv(self->a, ro, sizeof(*ro), BUS1_RECV_SEED));
	EXPECT_TRUE(state_same(self->a, &old));
}

TEST_F(seed, dropped_gives_back_everything)
{
	__u64 x[2] = { 0x2000 | NEW, 0x2000 };

	ASSERT_EQ(0, set_seed(self->b, "seed", x, 2));
	EXPECT_LT(0, query(self->b).n_nodes);
	ASSERT_EQ(0, sys_reset(self->b, NULL, 0, BUS1_RESET_FLUSH |
						 BUS1_RESET_FLUSH_SEED));
	EXPECT_TRUE(peer_is_clean(self->b));
}

TEST_F(seed, is_gone_with_a_close)
{
	int p[2];
	char c;

	ASSERT_EQ(0, pipe(p));
	ASSERT_EQ(0, send_full(self->b, NULL, 0, "s", 1, &self->s.h, 1, &p[1],
			       1, BUS1_SEND_SEED));
	close(p[1]);
	peer_close(self->pb);
	EXPECT_EQ(0, read(p[0], &c, 1));
	ASSERT_EQ(0, recv_msg(self->pa, &self->r));
	EXPECT_EQ(BUS1_MSG_NODE_RELEASE, self->r.type);
}

TEST_F(seed, survives_the_process_that_set_it)
{
	pid_t pid = fork();

	if (!pid)
		_exit(set_seed(self->a, "from before", NULL, 0));
	ASSERT_EQ(0, wait_child(pid));
	ASSERT_EQ(0, get_seed(self->pa, &self->r));
	EXPECT_EQ(0, memcmp(msg_payload(self->pa, &self->r), "from before",
			    11));
}

TEST_HARNESS_MAIN
