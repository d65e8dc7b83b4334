// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 selftests: bus1_handle_transfer(), bus1_handle_release(), handle IDs
 */
#include "common.h"

#define NEW		BUS1_HANDLE_FLAG_NEW
#define MANAGED		BUS1_HANDLE_FLAG_MANAGED
#define REMOTE		BUS1_HANDLE_FLAG_REMOTE
#define INVALID		BUS1_HANDLE_INVALID

/*
 *   a owns node @id, b holds @h to it, c holds nothing
 */
FIXTURE(handle) {
	struct pair s;
	struct peer c;
	int a, b;
	__u64 id, h;
	struct state sa, sb, sc;
};

FIXTURE_SETUP(handle)
{
	ASSERT_EQ(0, pair_open(&self->s));
	ASSERT_EQ(0, peer_open(&self->c, NULL, BUS1_OPEN_NONBLOCK));
	self->a = self->s.a.fd;
	self->b = self->s.b.fd;
	self->id = self->s.id;
	self->h = self->s.h;
	state_get(self->a, &self->sa);
	state_get(self->b, &self->sb);
	state_get(self->c.fd, &self->sc);
}

FIXTURE_TEARDOWN(handle)
{
	pair_close(&self->s);
	peer_close(&self->c);
}

#define EXPECT_NOTHING_CHANGED()				\
	do {							\
		EXPECT_TRUE(state_same(self->a, &self->sa));	\
		EXPECT_TRUE(state_same(self->b, &self->sb));	\
		EXPECT_TRUE(state_same(self->c.fd, &self->sc));	\
	} while (0)

TEST_F(handle, transfer_of_what_is_no_peer_is_ebadf)
{
	__u64 x = self->id, out = 0;
	int k, fd;

	for (k = 0; k < N_NOT_PEERS; k++) {
		fd = not_a_peer(k);
		EXPECT_EQ(-EBADF, sys_transfer(fd, self->b, &x, &out, 1, 0));
		EXPECT_EQ(-EBADF, sys_transfer(self->a, fd, &x, &out, 1, 0));
	}
	EXPECT_EQ(-EBADF, sys_transfer(self->a, -2, &x, &out, 1, 0));
	EXPECT_EQ(-EBADF, sys_transfer(-1, -1, NULL, NULL, 4711, ~0U));
	EXPECT_EQ(0, out);
	EXPECT_NOTHING_CHANGED();
}

TEST_F(handle, transfer_with_unknown_flags_is_einval)
{
	__u64 x = self->id, out = 0;
	int bit;

	for (bit = 0; bit < 32; bit++)
		EXPECT_EQ(-EINVAL, sys_transfer(self->a, self->b, &x, &out, 1,
						1U << bit));
	EXPECT_EQ(0, out);
	EXPECT_NOTHING_CHANGED();
}

TEST_F(handle, transfer_from_a_bad_pointer_is_efault)
{
	__u64 out[2] = {}, *edge = ptr_edge(8);
	int a = self->a, b = self->b;

	*edge = self->id;
	EXPECT_EQ(-EFAULT, sys_transfer(a, b, NULL, out, 1, 0));
	EXPECT_EQ(-EFAULT, sys_transfer(a, b, ptr_noaccess(), out, 1, 0));
	EXPECT_EQ(-EFAULT, sys_transfer(a, b, ptr_kernel(), out, 1, 0));
	EXPECT_EQ(-EFAULT, sys_transfer(a, b, edge, out, 2, 0));
	EXPECT_EQ(0, out[0]);
	EXPECT_NOTHING_CHANGED();
}

TEST_F(handle, transfer_to_a_bad_pointer_is_efault_and_creates_nothing)
{
	__u64 x[2] = { 0x2000 | NEW, self->id };
	int a = self->a, c = self->c.fd;

	EXPECT_EQ(-EFAULT, sys_transfer(a, c, x, NULL, 2, 0));
	EXPECT_EQ(-EFAULT, sys_transfer(a, c, x, ptr_noaccess(), 2, 0));
	EXPECT_EQ(-EFAULT, sys_transfer(a, c, x, ptr_kernel(), 2, 0));
	EXPECT_EQ(-EFAULT, sys_transfer(a, c, x, ptr_readonly(), 2, 0));
	EXPECT_EQ(-EFAULT, sys_transfer(a, c, x, ptr_edge(8), 2, 0));
	EXPECT_NOTHING_CHANGED();
}

TEST_F(handle, transfer_that_faulted_skips_the_ids_it_chose)
{
	__u64 *edge = ptr_edge(8), out[2], x[2] = { self->id, 0x2000 | NEW };
	int k;

	ASSERT_EQ(-EFAULT, sys_transfer(self->a, self->c.fd, x, edge, 2, 0));
	EXPECT_EQ(-ENXIO, release_one(self->c.fd, *edge));
	ASSERT_EQ(0, sys_transfer(self->a, self->c.fd, x, out, 2, 0));
	for (k = 0; k < 2; k++)
		EXPECT_NE(*edge, out[k]);
}

TEST_F(handle, transfer_of_too_many_is_emsgsize)
{
	static __u64 x[BUS1_HANDLE_MAX + 1], out[BUS1_HANDLE_MAX + 1];
	int a = self->a, b = self->b;

	EXPECT_EQ(-EMSGSIZE, sys_transfer(a, b, x, out, BUS1_HANDLE_MAX + 1,
					  0));
	EXPECT_EQ(-EMSGSIZE, sys_transfer(a, b, x, out, SIZE_MAX, 0));
	EXPECT_EQ(-EMSGSIZE, sys_transfer(a, b, x, out, SIZE_MAX / 8 + 1, 0));
	EXPECT_EQ(-EMSGSIZE, sys_transfer(a, b, x, out, (size_t)INT_MAX + 1,
					  0));
	EXPECT_NOTHING_CHANGED();
}

TEST_F(handle, transfer_of_the_most_at_once_works)
{
	static __u64 x[BUS1_HANDLE_MAX], out[BUS1_HANDLE_MAX];
	int i;

	for (i = 0; i < BUS1_HANDLE_MAX; i++)
		x[i] = (0x10000 + 8 * i) | NEW;
	ASSERT_EQ(0, sys_transfer(self->a, self->c.fd, x, out,
				  BUS1_HANDLE_MAX, 0));
	EXPECT_EQ(BUS1_HANDLE_MAX, query(self->c.fd).n_handles);
	EXPECT_EQ(BUS1_HANDLE_MAX + 1, query(self->a).n_nodes);
	EXPECT_EQ(0, sys_release(self->c.fd, out, BUS1_HANDLE_MAX, 0));
	EXPECT_TRUE(peer_is_clean(self->c.fd));
	EXPECT_EQ(BUS1_HANDLE_MAX, query(self->a).n_queued);
}

TEST_F(handle, transfer_of_none_does_nothing)
{
	EXPECT_EQ(0, sys_transfer(self->a, self->b, NULL, NULL, 0, 0));
	EXPECT_EQ(0, sys_transfer(self->a, self->a, ptr_kernel(), NULL, 0, 0));
	EXPECT_EQ(-EINVAL, sys_transfer(self->a, self->b, NULL, NULL, 0, 1));
	EXPECT_EQ(-EBADF, sys_transfer(-1, self->b, NULL, NULL, 0, 0));
	EXPECT_NOTHING_CHANGED();
}

TEST_F(handle, transfer_with_a_disconnected_peer_is_eshutdown)
{
	__u64 x[2] = { 0x2000 | NEW, self->id }, out[2];

	ASSERT_EQ(0, sys_disconnect(self->c.fd, 0));
	EXPECT_EQ(-ESHUTDOWN, sys_transfer(self->a, self->c.fd, x, out, 2, 0));
	EXPECT_EQ(-ESHUTDOWN, sys_transfer(self->c.fd, self->a, x, out, 2, 0));
	EXPECT_EQ(-ESHUTDOWN, sys_transfer(self->c.fd, self->c.fd, x, out, 1, 0));
	EXPECT_TRUE(state_same(self->a, &self->sa));
}

TEST_F(handle, new_node_gets_remote_managed_ids_elsewhere)
{
	__u64 h = connect_new(self->a, 0x2000, self->c.fd);

	EXPECT_EQ(MANAGED | REMOTE, h & (MANAGED | REMOTE | NEW));
	EXPECT_EQ(2, query(self->a).n_nodes);
	EXPECT_EQ(2, query(self->a).used_handles);
	EXPECT_EQ(1, query(self->c.fd).n_handles);
	EXPECT_EQ(1, query(self->c.fd).used_handles);
	EXPECT_EQ(0, query(self->c.fd).n_nodes);
}

TEST_F(handle, new_node_may_have_any_value_with_three_clear_bits)
{
	static const __u64 id[] = { 0, 8, 0xfffffff8, 1ULL << 32, 1ULL << 63,
				    ~7ULL };
	size_t i;

	for (i = 0; i < 6; i++) {
		EXPECT_NE(INVALID, connect_new(self->a, id[i], self->b));
		EXPECT_EQ(id[i], connect_peers(self->a, id[i], self->a));
	}
}

TEST_F(handle, new_with_bits_of_the_kernel_is_einval)
{
	static const __u64 bad[] = { NEW | MANAGED, NEW | REMOTE, INVALID,
				     0x2000 | NEW | MANAGED | REMOTE };
	__u64 out = 0;
	size_t i;

	for (i = 0; i < 4; i++)
		EXPECT_EQ(-EINVAL, sys_transfer(self->a, self->b, &bad[i],
						&out, 1, 0));
	EXPECT_NOTHING_CHANGED();
}

TEST_F(handle, new_of_a_known_id_is_eexist)
{
	__u64 x = self->id | NEW, out;

	EXPECT_EQ(-EEXIST, sys_transfer(self->a, self->b, &x, &out, 1, 0));
	EXPECT_NOTHING_CHANGED();
}

TEST_F(handle, unknown_without_new_is_enxio)
{
	__u64 bad[] = { 0x2000, MANAGED, REMOTE | MANAGED, self->id | REMOTE,
			self->h, INVALID & ~NEW };
	__u64 out = 0x5a5a5a5a5a5a5a5a;
	size_t i;

	for (i = 0; i < 6; i++)
		EXPECT_EQ(-ENXIO, sys_transfer(self->a, self->c.fd, &bad[i],
					       &out, 1, 0));
	EXPECT_EQ(-ENXIO, sys_transfer(self->b, self->c.fd, &self->id, &out, 1,
				       0));
	EXPECT_EQ(0x5a5a5a5a5a5a5a5a, out);
	EXPECT_NOTHING_CHANGED();
}

TEST_F(handle, transfer_is_atomic_over_the_array)
{
	__u64 x[3] = { 0x2000 | NEW, self->id, 0x3000 }, out[3] = { 1, 2, 3 };

	EXPECT_EQ(-ENXIO, sys_transfer(self->a, self->c.fd, x, out, 3, 0));
	x[2] = self->id | NEW;
	EXPECT_EQ(-EEXIST, sys_transfer(self->a, self->c.fd, x, out, 3, 0));
	EXPECT_NOTHING_CHANGED();
}

TEST_F(handle, created_earlier_in_the_call_is_known_later_in_it)
{
	__u64 x[2] = { 0x2000 | NEW, 0x2000 }, out[2];
	int c = self->c.fd;

	ASSERT_EQ(0, sys_transfer(self->a, c, x, out, 2, 0));
	EXPECT_EQ(out[0], out[1]);
	EXPECT_EQ(1, query(c).n_handles);
	EXPECT_EQ(0, release_one(c, out[0]));
	EXPECT_EQ(0, release_one(c, out[0]));
	EXPECT_EQ(-ENXIO, release_one(c, out[0]));
	x[0] = x[1] = 0x3000 | NEW;
	EXPECT_EQ(-EEXIST, sys_transfer(self->a, c, x, out, 2, 0));
	EXPECT_EQ(2, query(self->a).n_nodes);
}

TEST_F(handle, same_node_is_one_handle_with_a_count)
{
	int i;

	for (i = 0; i < 5; i++)
		EXPECT_EQ(self->h, connect_peers(self->a, self->id, self->b));
	EXPECT_EQ(1, query(self->b).n_handles);
	EXPECT_EQ(1, query(self->b).used_handles);
	for (i = 0; i < 6; i++) {
		EXPECT_EQ(0, send_bytes(self->b, self->h, NULL, 0));
		EXPECT_EQ(0, release_one(self->b, self->h));
	}
	EXPECT_EQ(-ENXIO, release_one(self->b, self->h));
	EXPECT_EQ(-ENXIO, send_bytes(self->b, self->h, NULL, 0));
}

TEST_F(handle, owner_gets_its_own_id_back)
{
	EXPECT_EQ(self->id, connect_peers(self->b, self->h, self->a));
	EXPECT_EQ(self->id, connect_peers(self->a, self->id, self->a));
	EXPECT_EQ(self->id, connect_peers(self->a, self->id, self->a));
	EXPECT_EQ(1, query(self->a).n_handles);
}

TEST_F(handle, passed_on_keeps_naming_the_same_node)
{
	struct bus1_recv_args r;
	__u64 hc = connect_peers(self->b, self->h, self->c.fd);

	ASSERT_NE(INVALID, hc);
	EXPECT_EQ(self->h, connect_peers(self->c.fd, hc, self->b));
	ASSERT_EQ(0, send_bytes(self->c.fd, hc, "c", 1));
	ASSERT_EQ(0, recv_msg(&self->s.a, &r));
	EXPECT_EQ(self->id, r.destination);
}

TEST_F(handle, transfer_to_the_same_peer_counts)
{
	EXPECT_EQ(self->h, connect_peers(self->b, self->h, self->b));
	EXPECT_EQ(0, release_one(self->b, self->h));
	EXPECT_EQ(0, release_one(self->b, self->h));
	EXPECT_EQ(-ENXIO, release_one(self->b, self->h));
}

TEST_F(handle, transfer_in_place_works)
{
	__u64 x = self->id;

	ASSERT_EQ(0, sys_transfer(self->a, self->c.fd, &x, &x, 1, 0));
	EXPECT_EQ(0, send_bytes(self->c.fd, x, NULL, 0));
}

TEST_F(handle, id_chosen_by_the_kernel_is_never_used_again)
{
	__u64 seen[32];
	int i, k;

	seen[0] = self->h;
	for (i = 1; i < 32; i++) {
		ASSERT_EQ(0, release_one(self->b, seen[i - 1]));
		seen[i] = connect_peers(self->a, self->id, self->b);
		ASSERT_NE(INVALID, seen[i]);
		for (k = 0; k < i; k++)
			EXPECT_NE(seen[k], seen[i]);
	}
}

TEST_F(handle, transfer_of_a_dead_node_gives_invalid)
{
	__u64 x[2] = { self->h }, out[2] = {};

	x[1] = connect_new(self->c.fd, 0x10, self->b);
	ASSERT_EQ(0, destroy_one(self->a, self->id));
	state_get(self->c.fd, &self->sc);
	ASSERT_EQ(0, sys_transfer(self->b, self->c.fd, x, out, 1, 0));
	EXPECT_EQ(INVALID, out[0]);
	EXPECT_TRUE(state_same(self->c.fd, &self->sc));
	ASSERT_EQ(0, sys_transfer(self->b, self->c.fd, x, out, 2, 0));
	EXPECT_EQ(INVALID, out[0]);
	EXPECT_EQ(0x10, out[1]);
}

TEST_F(handle, new_to_its_receiver_is_charged_to_it)
{
	struct bus1_peer_limits l = limits_keep();
	__u64 x[2] = { 0x2000 | NEW, 0x3000 | NEW }, out[2];

	l.max_handles = 1;
	ASSERT_EQ(0, sys_reset(self->c.fd, &l, sizeof(l), 0));
	state_get(self->c.fd, &self->sc);
	EXPECT_EQ(-ENOBUFS, sys_transfer(self->a, self->c.fd, x, out, 2, 0));
	EXPECT_NOTHING_CHANGED();
	ASSERT_EQ(0, sys_transfer(self->a, self->c.fd, x, out, 1, 0));
	x[0] = 0x2000;
	EXPECT_EQ(0, sys_transfer(self->a, self->c.fd, x, out, 1, 0));
	EXPECT_EQ(-ENOBUFS, sys_transfer(self->a, self->c.fd, &self->id, out,
					 1, 0));
}

TEST_F(handle, new_node_is_charged_to_its_owner)
{
	struct bus1_peer_limits l = limits_keep();
	__u64 x[2] = { 0x2000 | NEW, 0x3000 | NEW }, out[2];

	l.max_handles = 2;
	ASSERT_EQ(0, sys_reset(self->a, &l, sizeof(l), 0));
	state_get(self->a, &self->sa);
	EXPECT_EQ(-ENOBUFS, sys_transfer(self->a, self->c.fd, x, out, 2, 0));
	EXPECT_NOTHING_CHANGED();
	EXPECT_EQ(0, sys_transfer(self->a, self->c.fd, x, out, 1, 0));
}

TEST_F(handle, wrong_name_is_told_before_a_missing_charge)
{
	struct bus1_peer_limits l = limits_keep();
	__u64 x[2] = { 0x2000 | NEW, self->id | NEW }, out[2];

	l.max_handles = 1;
	ASSERT_EQ(0, sys_reset(self->a, &l, sizeof(l), 0));
	state_get(self->a, &self->sa);
	EXPECT_EQ(-EEXIST, sys_transfer(self->a, self->c.fd, x, out, 2, 0));
	x[1] = 0x3000;
	EXPECT_EQ(-ENXIO, sys_transfer(self->a, self->c.fd, x, out, 2, 0));
	EXPECT_NOTHING_CHANGED();
}

TEST_F(handle, trap_11_a_peer_never_has_more_nodes_than_its_limit)
{
	struct bus1_peer_limits l = limits_keep();
	__u64 x, out;
	int i, n = 0;

	l.max_handles = 50;
	ASSERT_EQ(0, sys_reset(self->c.fd, &l, sizeof(l), 0));
	for (i = 0; i < 200; i++) {
		x = (0x100 * i) | NEW;
		n += !sys_transfer(self->c.fd, i % 2 ? self->b : -1, &x, &out,
				   1, 0);
	}
	EXPECT_EQ(50, n);
	EXPECT_EQ(50, query(self->c.fd).used_handles);
}

TEST_F(handle, release_of_what_is_no_peer_is_ebadf)
{
	int k;

	for (k = 0; k < N_NOT_PEERS; k++)
		EXPECT_EQ(-EBADF, sys_release(not_a_peer(k), &self->h, 1, 0));
	EXPECT_EQ(-EBADF, sys_release(-1, NULL, 4711, ~0U));
}

TEST_F(handle, release_with_unknown_flags_is_einval)
{
	int bit;

	for (bit = 0; bit < 32; bit++)
		EXPECT_EQ(-EINVAL, sys_release(self->b, &self->h, 1,
					       1U << bit));
	EXPECT_NOTHING_CHANGED();
}

TEST_F(handle, release_from_a_bad_pointer_is_efault)
{
	__u64 *edge = ptr_edge(8);

	*edge = self->h;
	EXPECT_EQ(-EFAULT, sys_release(self->b, NULL, 1, 0));
	EXPECT_EQ(-EFAULT, sys_release(self->b, ptr_noaccess(), 1, 0));
	EXPECT_EQ(-EFAULT, sys_release(self->b, ptr_kernel(), 1, 0));
	EXPECT_EQ(-EFAULT, sys_release(self->b, edge, 2, 0));
	EXPECT_NOTHING_CHANGED();
}

TEST_F(handle, release_of_too_many_is_emsgsize)
{
	static __u64 x[BUS1_HANDLE_MAX + 1];

	EXPECT_EQ(-EMSGSIZE, sys_release(self->b, x, BUS1_HANDLE_MAX + 1, 0));
	EXPECT_EQ(-EMSGSIZE, sys_release(self->b, x, SIZE_MAX, 0));
	EXPECT_EQ(-EMSGSIZE, sys_release(self->b, x, SIZE_MAX / 8 + 2, 0));
	EXPECT_NOTHING_CHANGED();
}

TEST_F(handle, release_of_none_does_nothing)
{
	EXPECT_EQ(0, sys_release(self->b, NULL, 0, 0));
	EXPECT_EQ(0, sys_release(self->b, ptr_kernel(), 0, 0));
	EXPECT_NOTHING_CHANGED();
}

TEST_F(handle, trap_01_release_of_an_unknown_id_is_enxio)
{
	__u64 bad[] = { 0, 0x2000, MANAGED, REMOTE, self->h | 1ULL << 60,
			INVALID, self->h | NEW, self->h + 8, self->id };
	size_t i;

	for (i = 0; i < 9; i++)
		EXPECT_EQ(-ENXIO, release_one(self->b, bad[i]));
	EXPECT_EQ(-ENXIO, release_one(self->a, self->id | NEW));
	EXPECT_EQ(-ENXIO, release_one(self->a, self->h));
	EXPECT_NOTHING_CHANGED();
}

TEST_F(handle, release_is_all_or_nothing)
{
	__u64 x[2] = { self->h, 0x2000 };

	EXPECT_EQ(-ENXIO, sys_release(self->b, x, 2, 0));
	EXPECT_NOTHING_CHANGED();
	EXPECT_EQ(0, release_one(self->b, self->h));
}

TEST_F(handle, release_of_one_named_twice_is_enotuniq)
{
	__u64 x[2] = { self->h, self->h };

	EXPECT_EQ(-ENOTUNIQ, sys_release(self->b, x, 2, 0));
	ASSERT_EQ(self->h, connect_peers(self->a, self->id, self->b));
	EXPECT_EQ(-ENOTUNIQ, sys_release(self->b, x, 2, 0));
	EXPECT_EQ(0, release_one(self->b, self->h));
	EXPECT_NOTHING_CHANGED();
}

TEST_F(handle, release_of_the_owners_last_reference_is_ebusy)
{
	EXPECT_EQ(-EBUSY, release_one(self->a, self->id));
	EXPECT_NOTHING_CHANGED();
	ASSERT_EQ(self->id, connect_peers(self->a, self->id, self->a));
	EXPECT_EQ(0, release_one(self->a, self->id));
	EXPECT_EQ(-EBUSY, release_one(self->a, self->id));
}

TEST_F(handle, release_of_the_owners_last_reference_works_when_dead)
{
	ASSERT_EQ(0, destroy_one(self->a, self->id));
	EXPECT_EQ(0, release_one(self->a, self->id));
	EXPECT_EQ(-ENXIO, release_one(self->a, self->id));
	EXPECT_TRUE(peer_is_clean(self->a));
}

/* What a notice carries besides its type and destination: nothing. */
static bool is_notice(const struct bus1_recv_args *r, __u64 type, __u64 dest)
{
	return r->type == type && r->destination == dest && !r->n_bytes &&
	       !r->n_handles && !r->n_fds && r->offset == BUS1_OFFSET_INVALID &&
	       r->reply == INVALID && r->sender_pid == 0 &&
	       r->sender_uid == 65534 && r->sender_gid == 65534 &&
	       r->sender_pidfd == -1 && !r->error && !r->n_overtaken;
}

TEST_F(handle, last_release_gives_the_owner_a_notice)
{
	struct bus1_recv_args r;

	ASSERT_EQ(0, release_one(self->b, self->h));
	EXPECT_EQ(1, query(self->a).n_queued);
	ASSERT_EQ(0, recv_msg(&self->s.a, &r));
	EXPECT_TRUE(is_notice(&r, BUS1_MSG_NODE_RELEASE, self->id));
	EXPECT_EQ(-EAGAIN, recv_msg(&self->s.a, &r));
	EXPECT_EQ(1, query(self->a).n_nodes);
}

TEST_F(handle, notice_comes_with_each_last_release)
{
	struct bus1_recv_args r;
	__u64 h = self->h;
	int i;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, release_one(self->b, h));
		ASSERT_EQ(0, recv_msg(&self->s.a, &r));
		EXPECT_TRUE(is_notice(&r, BUS1_MSG_NODE_RELEASE, self->id));
		h = connect_peers(self->a, self->id, self->b);
	}
}

TEST_F(handle, new_reference_withdraws_the_notice)
{
	struct bus1_recv_args r;

	ASSERT_EQ(0, release_one(self->b, self->h));
	ASSERT_NE(INVALID, connect_peers(self->a, self->id, self->c.fd));
	EXPECT_EQ(0, query(self->a).n_queued);
	EXPECT_FALSE(is_readable(self->a));
	EXPECT_EQ(-EAGAIN, recv_msg(&self->s.a, &r));
}

TEST_F(handle, destruction_replaces_the_release_notice)
{
	struct bus1_recv_args r;

	ASSERT_EQ(0, release_one(self->b, self->h));
	ASSERT_EQ(0, destroy_one(self->a, self->id));
	EXPECT_EQ(1, query(self->a).n_queued);
	ASSERT_EQ(0, recv_msg(&self->s.a, &r));
	EXPECT_TRUE(is_notice(&r, BUS1_MSG_NODE_DESTROY, self->id));
	EXPECT_EQ(-EAGAIN, recv_msg(&self->s.a, &r));
}

TEST_F(handle, references_of_the_owner_beyond_the_first_count)
{
	struct bus1_recv_args r;

	ASSERT_EQ(self->id, connect_peers(self->a, self->id, self->a));
	ASSERT_EQ(0, release_one(self->b, self->h));
	EXPECT_EQ(-EAGAIN, recv_msg(&self->s.a, &r));
	ASSERT_EQ(0, release_one(self->a, self->id));
	ASSERT_EQ(0, recv_msg(&self->s.a, &r));
	EXPECT_TRUE(is_notice(&r, BUS1_MSG_NODE_RELEASE, self->id));
}

TEST_F(handle, node_that_nobody_else_ever_held_gets_no_release_notice)
{
	__u64 self_dest = 0x2000 | NEW;
	struct bus1_recv_args r;

	ASSERT_EQ(0, send_bytes(self->c.fd, self_dest, "x", 1));
	ASSERT_EQ(0, recv_msg(&self->c, &r));
	EXPECT_EQ(BUS1_MSG_DATA, r.type);
	EXPECT_EQ(0x2000, r.destination);
	ASSERT_EQ(0, slice_release_one(self->c.fd, r.offset));
	EXPECT_EQ(-EAGAIN, recv_msg(&self->c, &r));
}

TEST_F(handle, reference_in_an_unread_message_counts)
{
	struct bus1_recv_args r;
	__u64 hc = connect_new(self->c.fd, 0x10, self->b);

	ASSERT_EQ(0, send_handles(self->b, hc, &self->h, 1));
	ASSERT_EQ(0, release_one(self->b, self->h));
	EXPECT_EQ(-EAGAIN, recv_msg(&self->s.a, &r));
	ASSERT_EQ(0, recv_msg(&self->c, &r));
	ASSERT_EQ(1, r.n_handles);
	EXPECT_EQ(0, release_one(self->c.fd, msg_handles(&self->c, &r)[0]));
	ASSERT_EQ(0, recv_msg(&self->s.a, &r));
	EXPECT_TRUE(is_notice(&r, BUS1_MSG_NODE_RELEASE, self->id));
}

TEST_F(handle, trap_03_received_handle_can_be_used_at_once)
{
	struct bus1_recv_args r;
	__u64 hc = connect_new(self->c.fd, 0x10, self->b), got;

	ASSERT_EQ(0, send_handles(self->b, hc, &self->h, 1));
	ASSERT_EQ(0, recv_msg(&self->c, &r));
	got = msg_handles(&self->c, &r)[0];
	EXPECT_EQ(MANAGED | REMOTE, got & (MANAGED | REMOTE | NEW));
	EXPECT_EQ(0, send_bytes(self->c.fd, got, "from c", 6));
	EXPECT_EQ(self->h, connect_peers(self->c.fd, got, self->b));
	ASSERT_EQ(0, recv_msg(&self->s.a, &r));
	EXPECT_EQ(self->id, r.destination);
	ASSERT_EQ(0, destroy_one(self->a, self->id));
	ASSERT_EQ(0, recv_msg(&self->c, &r));
	EXPECT_TRUE(is_notice(&r, BUS1_MSG_NODE_DESTROY, got));
}

TEST_F(handle, each_showing_in_a_message_counts)
{
	__u64 hc = connect_new(self->c.fd, 0x10, self->b), got;
	__u64 x[3] = { self->h, self->h, self->h };
	struct bus1_recv_args r;
	int i;

	ASSERT_EQ(0, send_handles(self->b, hc, x, 3));
	ASSERT_EQ(0, recv_msg(&self->c, &r));
	ASSERT_EQ(3, r.n_handles);
	got = msg_handles(&self->c, &r)[0];
	EXPECT_EQ(got, msg_handles(&self->c, &r)[1]);
	EXPECT_EQ(got, msg_handles(&self->c, &r)[2]);
	for (i = 0; i < 3; i++)
		EXPECT_EQ(0, release_one(self->c.fd, got));
	EXPECT_EQ(-ENXIO, release_one(self->c.fd, got));
}

TEST_F(handle, count_of_0_with_unread_messages_gives_a_new_id)
{
	__u64 hc = connect_new(self->c.fd, 0x10, self->b), first, second;
	struct bus1_recv_args r;

	ASSERT_EQ(0, send_handles(self->b, hc, &self->h, 1));
	ASSERT_EQ(0, send_handles(self->b, hc, &self->h, 1));
	ASSERT_EQ(0, recv_msg(&self->c, &r));
	first = msg_handles(&self->c, &r)[0];
	ASSERT_EQ(0, release_one(self->c.fd, first));
	EXPECT_EQ(-ENXIO, send_bytes(self->c.fd, first, NULL, 0));
	ASSERT_EQ(0, recv_msg(&self->c, &r));
	second = msg_handles(&self->c, &r)[0];
	EXPECT_NE(first, second);
	EXPECT_NE(INVALID, second);
	EXPECT_EQ(0, send_bytes(self->c.fd, second, NULL, 0));
}

TEST_HARNESS_MAIN
