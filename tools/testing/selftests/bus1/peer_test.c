// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 selftests: bus1_peer_query(), bus1_peer_disconnect(), fdinfo, sysctls
 */
#include "common.h"

static const size_t info_size = sizeof(struct bus1_peer_info);

FIXTURE(peer) {
	struct pair s;
	struct state before;
};

FIXTURE_SETUP(peer)
{
	ASSERT_EQ(0, pair_open(&self->s));
	ASSERT_EQ(0, send_bytes(self->s.b.fd, self->s.h, "hello", 5));
	state_get(self->s.a.fd, &self->before);
}

FIXTURE_TEARDOWN(peer)
{
	pair_close(&self->s);
}

TEST_F(peer, query_of_what_is_no_peer_is_ebadf)
{
	struct bus1_peer_info i;
	int k;

	for (k = 0; k < N_NOT_PEERS; k++)
		EXPECT_EQ(-EBADF, sys_query(not_a_peer(k), &i, info_size, 0));
	EXPECT_EQ(-EBADF, sys_query(-1, NULL, 0, ~0U));
}

TEST_F(peer, query_with_unknown_flags_is_einval)
{
	struct bus1_peer_info i, old;
	int bit;

	memset(&i, 0x5a, info_size);
	old = i;
	for (bit = 0; bit < 32; bit++)
		EXPECT_EQ(-EINVAL, sys_query(self->s.a.fd, &i, info_size,
					     1U << bit));
	EXPECT_EQ(0, memcmp(&old, &i, info_size));
}

TEST_F(peer, query_smaller_than_version_0_is_einval)
{
	struct bus1_peer_info i;
	size_t n;

	for (n = 0; n < info_size; n++)
		EXPECT_EQ(-EINVAL, sys_query(self->s.a.fd, &i, n, 0));
}

TEST_F(peer, query_larger_is_filled_with_zeroes)
{
	unsigned char buf[256] __attribute__((aligned(8)));
	size_t n, k;

	for (n = info_size; n < sizeof(buf); n += 9) {
		memset(buf, 0x5a, sizeof(buf));
		ASSERT_EQ(0, sys_query(self->s.a.fd, buf, n, 0));
		EXPECT_EQ(0, memcmp(buf, &self->before.info, info_size));
		for (k = info_size; k < n; k++)
			EXPECT_EQ(0, buf[k]);
		EXPECT_EQ(0x5a, buf[n]);
	}
}

TEST_F(peer, query_into_a_bad_pointer_is_efault)
{
	int fd = self->s.a.fd;
	char *ro = ptr_readonly();

	EXPECT_EQ(-EFAULT, sys_query(fd, NULL, info_size, 0));
	EXPECT_EQ(-EFAULT, sys_query(fd, ptr_noaccess(), info_size, 0));
	EXPECT_EQ(-EFAULT, sys_query(fd, ptr_kernel(), info_size, 0));
	EXPECT_EQ(-EFAULT, sys_query(fd, ro, info_size, 0));
	EXPECT_EQ(-EFAULT, sys_query(fd, ptr_edge(8), info_size, 0));
	EXPECT_EQ(-EFAULT, sys_query(fd, ptr_edge(info_size), info_size + 8,
				     0));
	EXPECT_TRUE(state_same(fd, &self->before));
}

TEST_F(peer, query_of_a_huge_size_is_refused)
{
	int r = sys_query(self->s.a.fd, ptr_edge(info_size), SIZE_MAX, 0);

	EXPECT_TRUE(r == -EFAULT || r == -E2BIG || r == -EINVAL);
}

TEST_F(peer, query_not_aligned_is_einval)
{
	char *p = ptr_edge(256);
	int k;

	for (k = 1; k < 8; k++)
		EXPECT_EQ(-EINVAL, sys_query(self->s.a.fd, p + k, info_size,
					     0));
}

TEST_F(peer, query_counts_what_a_message_uses)
{
	struct bus1_peer_info *i = &self->before.info;

	EXPECT_EQ(1, i->used_slices);
	EXPECT_EQ(slice_size(5, 0, 0), i->used_inflight_bytes);
	EXPECT_EQ(0, i->used_inflight_fds);
	EXPECT_EQ(1, i->used_handles);
	EXPECT_EQ(1, i->n_nodes);
	EXPECT_EQ(1, i->n_handles);
	EXPECT_EQ(1, i->n_queued);
	EXPECT_EQ(0, i->n_received);
	EXPECT_EQ(0, i->n_sent);
	EXPECT_EQ(1, query(self->s.b.fd).n_sent);
	EXPECT_EQ(1, query(self->s.b.fd).n_handles);
	EXPECT_EQ(0, query(self->s.b.fd).n_nodes);
}

TEST_F(peer, query_follows_a_message_to_its_release)
{
	struct bus1_recv_args r;
	struct bus1_peer_info i;

	ASSERT_EQ(0, recv_msg(&self->s.a, &r));
	i = query(self->s.a.fd);
	EXPECT_EQ(0, i.n_queued);
	EXPECT_EQ(1, i.n_received);
	EXPECT_EQ(1, i.used_slices);
	EXPECT_EQ(slice_size(5, 0, 0), i.used_inflight_bytes);
	ASSERT_EQ(0, slice_release_one(self->s.a.fd, r.offset));
	i = query(self->s.a.fd);
	EXPECT_EQ(0, i.used_slices);
	EXPECT_EQ(0, i.used_inflight_bytes);
	EXPECT_EQ(1, i.n_received);
}

TEST_F(peer, query_counts_handles_in_unread_messages)
{
	__u64 twice[2] = { self->s.h, self->s.h }, x = 0x2000;
	struct bus1_recv_args r;
	__u64 hx;

	hx = connect_new(self->s.a.fd, x, self->s.b.fd);
	ASSERT_NE(BUS1_HANDLE_INVALID, hx);
	ASSERT_EQ(0, send_handles(self->s.b.fd, self->s.h, twice, 2));
	EXPECT_EQ(4, query(self->s.a.fd).used_handles);
	EXPECT_EQ(2, query(self->s.a.fd).n_handles);
	ASSERT_EQ(0, recv_msg(&self->s.a, &r));
	ASSERT_EQ(0, recv_msg(&self->s.a, &r));
	ASSERT_EQ(2, r.n_handles);
	EXPECT_EQ(2, query(self->s.a.fd).used_handles);
}

TEST_F(peer, query_counts_one_delivery_per_destination)
{
	__u64 d[3] = { self->s.h };
	int k;

	for (k = 1; k < 3; k++)
		d[k] = connect_new(self->s.a.fd, 0x2000 * k, self->s.b.fd);
	ASSERT_EQ(0, send_full(self->s.b.fd, d, 3, "x", 1, NULL, 0, NULL, 0,
			       0));
	EXPECT_EQ(4, query(self->s.b.fd).n_sent);
	EXPECT_EQ(4, query(self->s.a.fd).n_queued);
}

TEST_F(peer, disconnect_of_what_is_no_peer_is_ebadf)
{
	int k;

	for (k = 0; k < N_NOT_PEERS; k++)
		EXPECT_EQ(-EBADF, sys_disconnect(not_a_peer(k), 0));
	EXPECT_EQ(-EBADF, sys_disconnect(-1, ~0U));
}

TEST_F(peer, disconnect_with_unknown_flags_is_einval)
{
	int bit;

	for (bit = 0; bit < 32; bit++)
		EXPECT_EQ(-EINVAL, sys_disconnect(self->s.a.fd, 1U << bit));
	EXPECT_TRUE(state_same(self->s.a.fd, &self->before));
}

TEST_F(peer, disconnect_twice_is_eshutdown)
{
	EXPECT_EQ(0, sys_disconnect(self->s.a.fd, 0));
	EXPECT_EQ(-ESHUTDOWN, sys_disconnect(self->s.a.fd, 0));
	EXPECT_EQ(-EINVAL, sys_disconnect(self->s.a.fd, 1));
}

TEST_F(peer, disconnected_is_eshutdown_in_every_call)
{
	int a = self->s.a.fd, b = self->s.b.fd;
	__u64 id = self->s.id, out = 0;
	struct bus1_peer_info i;
	struct bus1_recv_args r;

	ASSERT_EQ(0, sys_disconnect(a, 0));
	EXPECT_EQ(-ESHUTDOWN, sys_query(a, &i, info_size, 0));
	EXPECT_EQ(-ESHUTDOWN, sys_reset(a, NULL, 0, 0));
	EXPECT_EQ(-ESHUTDOWN, sys_reset(a, NULL, 0, BUS1_RESET_FLUSH));
	EXPECT_EQ(-ESHUTDOWN, sys_transfer(a, b, &id, &out, 1, 0));
	EXPECT_EQ(-ESHUTDOWN, sys_transfer(b, a, &self->s.h, &out, 1, 0));
	EXPECT_EQ(-ESHUTDOWN, sys_transfer(a, a, &id, &out, 1, 0));
	EXPECT_EQ(-ESHUTDOWN, release_one(a, id));
	EXPECT_EQ(-ESHUTDOWN, destroy_one(a, id));
	EXPECT_EQ(-ESHUTDOWN, slice_release_one(a, 0));
	EXPECT_EQ(-ESHUTDOWN, send_bytes(a, id, "x", 1));
	EXPECT_EQ(-ESHUTDOWN, recv_msg(&self->s.a, &r));
	EXPECT_EQ(-ESHUTDOWN, recv_flags(&self->s.a, &r, BUS1_RECV_SEED));
}

TEST_F(peer, disconnected_is_eshutdown_for_empty_arrays_too)
{
	int a = self->s.a.fd;

	ASSERT_EQ(0, sys_disconnect(a, 0));
	EXPECT_EQ(-ESHUTDOWN, sys_release(a, NULL, 0, 0));
	EXPECT_EQ(-ESHUTDOWN, sys_destroy(a, NULL, 0, 0));
	EXPECT_EQ(-ESHUTDOWN, sys_slice_release(a, NULL, 0, 0));
	EXPECT_EQ(-EINVAL, sys_release(a, NULL, 0, 1));
	EXPECT_EQ(-EINVAL, sys_destroy(a, NULL, 0, 2));
	EXPECT_EQ(-EINVAL, sys_slice_release(a, NULL, 0, 1));
}

TEST_F(peer, disconnected_comes_after_what_is_wrong_with_the_arguments)
{
	int a = self->s.a.fd;
	__u64 out;

	ASSERT_EQ(0, sys_disconnect(a, 0));
	EXPECT_EQ(-EFAULT, sys_query(a, NULL, info_size, 0));
	EXPECT_EQ(-EFAULT, sys_reset(a, NULL, 32, 0));
	EXPECT_EQ(-EFAULT, sys_transfer(a, a, NULL, &out, 1, 0));
	EXPECT_EQ(-EMSGSIZE, sys_release(a, &out, 1025, 0));
	EXPECT_EQ(-EFAULT, sys_destroy(a, NULL, 1, 0));
	EXPECT_EQ(-EFAULT, sys_send(a, NULL, BUS1_SEND_ARGS_SIZE_VER0, 0));
	EXPECT_EQ(-EFAULT, sys_recv(a, NULL, BUS1_RECV_ARGS_SIZE_VER0, 0));
}

TEST_F(peer, disconnect_hangs_up_poll)
{
	struct pollfd p = { .fd = self->s.a.fd,
			    .events = POLLIN | POLLOUT | POLLHUP };

	ASSERT_EQ(1, poll(&p, 1, 0));
	EXPECT_EQ(POLLIN | POLLOUT, p.revents);
	ASSERT_EQ(0, sys_disconnect(self->s.a.fd, 0));
	ASSERT_EQ(1, poll(&p, 1, 0));
	EXPECT_TRUE(p.revents & POLLHUP);
	EXPECT_FALSE(p.revents & POLLOUT);
}

TEST_F(peer, disconnect_destroys_the_nodes)
{
	struct bus1_recv_args r;

	ASSERT_EQ(0, sys_disconnect(self->s.a.fd, 0));
	EXPECT_EQ(-EHOSTUNREACH, send_bytes(self->s.b.fd, self->s.h, "x", 1));
	ASSERT_EQ(0, recv_msg(&self->s.b, &r));
	EXPECT_EQ(BUS1_MSG_NODE_DESTROY, r.type);
	EXPECT_EQ(self->s.h, r.destination);
	EXPECT_EQ(0, release_one(self->s.b.fd, self->s.h));
	EXPECT_TRUE(peer_is_clean(self->s.b.fd));
}

TEST_F(peer, disconnect_gives_up_the_handles)
{
	struct bus1_recv_args r;

	ASSERT_EQ(1, drain(&self->s.a));
	ASSERT_EQ(0, sys_disconnect(self->s.b.fd, 0));
	ASSERT_EQ(0, recv_msg(&self->s.a, &r));
	EXPECT_EQ(BUS1_MSG_NODE_RELEASE, r.type);
	EXPECT_EQ(self->s.id, r.destination);
	EXPECT_EQ(-EAGAIN, recv_msg(&self->s.a, &r));
}

TEST_F(peer, close_destroys_nodes_and_gives_up_handles)
{
	struct bus1_recv_args r;
	__u64 id = 0x5000, h = connect_new(self->s.b.fd, id, self->s.a.fd);

	ASSERT_NE(BUS1_HANDLE_INVALID, h);
	peer_close(&self->s.a);
	ASSERT_EQ(0, recv_msg(&self->s.b, &r));
	EXPECT_TRUE((r.type == BUS1_MSG_NODE_DESTROY &&
		     r.destination == self->s.h) ||
		    (r.type == BUS1_MSG_NODE_RELEASE && r.destination == id));
	ASSERT_EQ(0, recv_msg(&self->s.b, &r));
	EXPECT_TRUE((r.type == BUS1_MSG_NODE_DESTROY &&
		     r.destination == self->s.h) ||
		    (r.type == BUS1_MSG_NODE_RELEASE && r.destination == id));
	EXPECT_EQ(-EAGAIN, recv_msg(&self->s.b, &r));
}

TEST_F(peer, close_of_a_handle_in_an_unread_message_gives_it_up)
{
	struct bus1_recv_args r;
	struct peer c;
	__u64 hc;

	ASSERT_EQ(1, drain(&self->s.a));
	ASSERT_EQ(0, peer_open(&c, NULL, BUS1_OPEN_NONBLOCK));
	hc = connect_new(c.fd, 0x10, self->s.b.fd);
	ASSERT_EQ(0, send_handles(self->s.b.fd, hc, &self->s.h, 1));
	ASSERT_EQ(0, release_one(self->s.b.fd, self->s.h));
	EXPECT_EQ(-EAGAIN, recv_msg(&self->s.a, &r));
	peer_close(&c);
	ASSERT_EQ(0, recv_msg(&self->s.a, &r));
	EXPECT_EQ(BUS1_MSG_NODE_RELEASE, r.type);
	EXPECT_EQ(self->s.id, r.destination);
}

TEST_F(peer, trap_04_close_returns_after_a_late_destruction_notice)
{
	struct bus1_recv_args r;
	struct peer c;
	__u64 hc, got;

	ASSERT_EQ(1, drain(&self->s.a));
	ASSERT_EQ(0, peer_open(&c, NULL, BUS1_OPEN_NONBLOCK));
	hc = connect_new(c.fd, 0x10, self->s.b.fd);
	ASSERT_EQ(0, send_handles(self->s.b.fd, hc, &self->s.h, 1));
	ASSERT_EQ(0, destroy_one(self->s.a.fd, self->s.id));
	ASSERT_EQ(0, recv_msg(&c, &r));
	ASSERT_EQ(1, r.n_handles);
	got = msg_handles(&c, &r)[0];
	EXPECT_NE(BUS1_HANDLE_INVALID, got);
	ASSERT_EQ(0, recv_msg(&c, &r));
	EXPECT_EQ(BUS1_MSG_NODE_DESTROY, r.type);
	EXPECT_EQ(got, r.destination);
	peer_close(&self->s.a);
	peer_close(&c);
	EXPECT_EQ(2, drain(&self->s.b));
}

TEST_F(peer, a_duplicate_descriptor_keeps_the_peer)
{
	int fd = dup(self->s.a.fd);

	ASSERT_LE(0, fd);
	close(self->s.a.fd);
	EXPECT_EQ(self->before.info.id, query(fd).id);
	EXPECT_EQ(0, send_bytes(self->s.b.fd, self->s.h, "x", 1));
	self->s.a.fd = fd;
	EXPECT_EQ(2, drain(&self->s.a));
}

TEST_F(peer, everything_survives_the_process_that_made_it)
{
	struct bus1_recv_args r;
	pid_t pid = fork();

	if (!pid)
		_exit(connect_new(self->s.a.fd, 0x7000, self->s.b.fd) ==
		      BUS1_HANDLE_INVALID ||
		      send_bytes(self->s.b.fd, self->s.h, "child", 5));
	ASSERT_EQ(0, wait_child(pid));
	EXPECT_EQ(2, query(self->s.a.fd).n_nodes);
	ASSERT_EQ(0, recv_msg(&self->s.a, &r));
	ASSERT_EQ(0, recv_msg(&self->s.a, &r));
	EXPECT_EQ(0, memcmp(msg_payload(&self->s.a, &r), "child", 5));
}

TEST_F(peer, fdinfo_tells_the_state)
{
	struct bus1_peer_info *i = &self->before.info;
	struct bus1_recv_args r;
	int fd = self->s.a.fd;

	EXPECT_EQ(i->id, fdinfo_value(fd, "id", 0));
	EXPECT_EQ(1, fdinfo_value(fd, "slices", 0));
	EXPECT_EQ(i->max_slices, fdinfo_value(fd, "slices", 1));
	EXPECT_EQ(1, fdinfo_value(fd, "handles", 0));
	EXPECT_EQ(i->max_handles, fdinfo_value(fd, "handles", 1));
	EXPECT_EQ(8, fdinfo_value(fd, "bytes", 0));
	EXPECT_EQ(i->max_inflight_bytes, fdinfo_value(fd, "bytes", 1));
	EXPECT_EQ(0, fdinfo_value(fd, "fds", 0));
	EXPECT_EQ(i->max_inflight_fds, fdinfo_value(fd, "fds", 1));
	EXPECT_EQ(1, fdinfo_value(fd, "nodes", 0));
	EXPECT_EQ(1, fdinfo_value(fd, "ids", 0));
	EXPECT_EQ(1, fdinfo_value(fd, "queued", 0));
	EXPECT_EQ(8, fdinfo_value(fd, "queued", 1));
	EXPECT_EQ(0, fdinfo_value(fd, "sent", 0));
	EXPECT_EQ(1, fdinfo_value(self->s.b.fd, "sent", 0));
	EXPECT_EQ(0, fdinfo_value(fd, "received", 0));
	EXPECT_EQ(0, fdinfo_value(fd, "waiting", 0));
	EXPECT_EQ(0, fdinfo_value(fd, "owed", 0));
	EXPECT_EQ(0, fdinfo_value(fd, "awaited", 0));
	EXPECT_EQ(0, fdinfo_value(fd, "seed", 0));
	EXPECT_EQ(0, fdinfo_value(fd, "pool", 0));
	ASSERT_EQ(0, recv_msg(&self->s.a, &r));
	EXPECT_LT(0, fdinfo_value(fd, "pool", 0));
	EXPECT_EQ(1, fdinfo_value(fd, "received", 0));
	EXPECT_LE(i->max_slices, fdinfo_value(fd, "reserved", 0));
	EXPECT_LE(i->max_handles, fdinfo_value(fd, "reserved", 1));
	EXPECT_LE(i->max_inflight_bytes / 1024, fdinfo_value(fd, "reserved", 2));
	EXPECT_LE(i->max_inflight_fds, fdinfo_value(fd, "reserved", 3));
}

TEST_F(peer, fdinfo_tells_the_claimant)
{
	int fd = self->s.a.fd;

	EXPECT_EQ(geteuid(), fdinfo_value(fd, "claim", 0));
	EXPECT_EQ(1, fdinfo_value(fd, "claim", 1));
	EXPECT_EQ(0, fdinfo_value(fd, "claim", 2));
	EXPECT_EQ(8, fdinfo_value(fd, "claim", 3));
	EXPECT_EQ(0, fdinfo_value(fd, "claim", 4));
	EXPECT_EQ(1, drain(&self->s.a));
	EXPECT_EQ(-1, fdinfo_value(fd, "claim", 0));
}

TEST_F(peer, fdinfo_tells_queued_bytes_apart_from_received_ones)
{
	struct bus1_recv_args r;
	int fd = self->s.a.fd;

	ASSERT_EQ(0, send_bytes(self->s.b.fd, self->s.h, "0123456789", 10));
	EXPECT_EQ(24, fdinfo_value(fd, "queued", 1));
	ASSERT_EQ(0, recv_msg(&self->s.a, &r));
	EXPECT_EQ(1, fdinfo_value(fd, "queued", 0));
	EXPECT_EQ(16, fdinfo_value(fd, "queued", 1));
	EXPECT_EQ(24, fdinfo_value(fd, "bytes", 0));
}

TEST_F(peer, fdinfo_tells_that_there_is_a_seed)
{
	ASSERT_EQ(0, send_full(self->s.a.fd, NULL, 0, "seed", 4, NULL, 0, NULL,
			       0, BUS1_SEND_SEED));
	EXPECT_EQ(1, fdinfo_value(self->s.a.fd, "seed", 0));
	ASSERT_EQ(0, sys_reset(self->s.a.fd, NULL, 0, BUS1_RESET_FLUSH_SEED));
	EXPECT_EQ(0, fdinfo_value(self->s.a.fd, "seed", 0));
}

TEST_F(peer, fdinfo_of_a_disconnected_peer_can_be_read)
{
	char buf[4096];

	ASSERT_EQ(0, sys_disconnect(self->s.a.fd, 0));
	EXPECT_LT(0, read_fdinfo(self->s.a.fd, buf, sizeof(buf)));
}

/* What each sysctl is by default, and which limit of a peer follows it. */
FIXTURE(sysctl) {
	char path[64];
	char old[32];
};

FIXTURE_VARIANT(sysctl) {
	const char *name;
	long value;
	int limit;
	int unit;
};

FIXTURE_VARIANT_ADD(sysctl, max_slices) {
	.name = "max_slices", .value = 8388608, .limit = 0, .unit = 1,
};

FIXTURE_VARIANT_ADD(sysctl, max_handles) {
	.name = "max_handles", .value = 33554432, .limit = 1, .unit = 1,
};

FIXTURE_VARIANT_ADD(sysctl, max_inflight_kbytes) {
	.name = "max_inflight_kbytes", .value = 8388608, .limit = 2, .unit = 1024,
};

FIXTURE_VARIANT_ADD(sysctl, max_inflight_fds) {
	.name = "max_inflight_fds", .value = 524288, .limit = 3, .unit = 1,
};

FIXTURE_SETUP(sysctl)
{
	snprintf(self->path, sizeof(self->path), "/proc/sys/kernel/bus1/%s",
		 variant->name);
	ASSERT_LT(0, read_file(self->path, self->old, sizeof(self->old)));
}

FIXTURE_TEARDOWN(sysctl)
{
	if (!geteuid())
		write_file(self->path, self->old);
}

TEST_F(sysctl, has_its_default)
{
	EXPECT_EQ(variant->value, atol(self->old));
}

TEST_F(sysctl, decides_the_default_of_new_peers)
{
	struct bus1_peer_info old, new;
	int fd = sys_open(NULL, 0, 0);

	if (geteuid())
		SKIP(return, "needs root to write %s", self->path);
	ASSERT_LE(0, fd);
	old = query(fd);
	/* More than the other one has reserved. */
	ASSERT_EQ(0, write_file(self->path, "102400"));
	new = query(sys_open(NULL, 0, 0));
	EXPECT_EQ(200 * variant->unit, ((__u64 *)&new)[variant->limit]);
	new = query(fd);
	EXPECT_EQ(0, memcmp(&old, &new, sizeof(new)));
}

TEST_F(sysctl, refuses_what_is_no_limit)
{
	char now[32];

	if (geteuid())
		SKIP(return, "needs root to write %s", self->path);
	EXPECT_EQ(-EINVAL, write_file(self->path, "-1"));
	EXPECT_EQ(-EINVAL, write_file(self->path, "many"));
	EXPECT_EQ(-EINVAL, write_file(self->path, "99999999999999999999"));
	ASSERT_LT(0, read_file(self->path, now, sizeof(now)));
	EXPECT_STREQ(self->old, now);
}

TEST_HARNESS_MAIN
