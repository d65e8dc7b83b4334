// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 selftests: the arguments of bus1_send()
 *
 * Every refused call is followed by a comparison of everything that can be
 * seen of sender and receiver with what it was before.
 */
#include <sys/resource.h>

#include "common.h"

#define NEW	BUS1_HANDLE_FLAG_NEW
#define INVALID	BUS1_HANDLE_INVALID

static const size_t args_size = sizeof(struct bus1_send_args);

/*
 *   a owns node @id, b holds @h to it; @args is a correct message from b
 */
FIXTURE(send) {
	struct pair s;
	int a, b;
	__u64 h;
	struct iovec vec;
	struct bus1_send_args args[2];
	struct state sa, sb;
};

FIXTURE_SETUP(send)
{
	ASSERT_EQ(0, pair_open(&self->s));
	self->a = self->s.a.fd;
	self->b = self->s.b.fd;
	self->h = self->s.h;
	self->vec = (struct iovec){ "hello", 5 };
	self->args[0].ptr_destinations = to_u64(&self->h);
	self->args[0].n_destinations = 1;
	self->args[0].ptr_vecs = to_u64(&self->vec);
	self->args[0].n_vecs = 1;
	state_get(self->a, &self->sa);
	state_get(self->b, &self->sb);
}

FIXTURE_TEARDOWN(send)
{
	pair_close(&self->s);
}

#define EXPECT_NOTHING_CHANGED()				\
	do {							\
		EXPECT_TRUE(state_same(self->a, &self->sa));	\
		EXPECT_TRUE(state_same(self->b, &self->sb));	\
	} while (0)

#define SEND(flags)	sys_send(self->b, self->args, args_size, flags)

TEST_F(send, of_what_is_no_peer_is_ebadf)
{
	int k;

	for (k = 0; k < N_NOT_PEERS; k++)
		EXPECT_EQ(-EBADF, sys_send(not_a_peer(k), self->args,
					   args_size, 0));
	EXPECT_EQ(-EBADF, sys_send(-1, NULL, 0, ~0U));
	EXPECT_NOTHING_CHANGED();
}

TEST_F(send, unknown_flags_are_einval)
{
	int bit;

	for (bit = 5; bit < 32; bit++)
		EXPECT_EQ(-EINVAL, SEND(1U << bit));
	EXPECT_EQ(-EINVAL, SEND(~0U));
	EXPECT_NOTHING_CHANGED();
}

TEST_F(send, reply_members_without_the_flag_are_einval)
{
	__u64 *reply = &self->args[0].reply_id;
	int i;

	for (i = 0; i < 4; i++) {
		reply[i] = 1;
		EXPECT_EQ(-EINVAL, SEND(0));
		reply[i] = 0;
	}
	EXPECT_NOTHING_CHANGED();
	EXPECT_EQ(0, SEND(0));
}

TEST_F(send, args_smaller_than_version_0_are_einval)
{
	size_t n;

	for (n = 0; n < args_size; n++)
		EXPECT_EQ(-EINVAL, sys_send(self->b, self->args, n, 0));
	EXPECT_NOTHING_CHANGED();
}

TEST_F(send, args_larger_need_a_zero_tail)
{
	unsigned char *tail = (void *)&self->args[1];
	size_t n;

	for (n = 0; n < args_size; n++) {
		tail[n] = 1;
		EXPECT_EQ(-E2BIG, sys_send(self->b, self->args,
					   args_size + n + 1, 0));
		tail[n] = 0;
	}
	EXPECT_NOTHING_CHANGED();
	for (n = 1; n <= args_size; n++)
		EXPECT_EQ(0, sys_send(self->b, self->args, args_size + n, 0));
}

TEST_F(send, args_at_a_bad_pointer_are_efault)
{
	EXPECT_EQ(-EFAULT, sys_send(self->b, NULL, args_size, 0));
	EXPECT_EQ(-EFAULT, sys_send(self->b, ptr_noaccess(), args_size, 0));
	EXPECT_EQ(-EFAULT, sys_send(self->b, ptr_kernel(), args_size, 0));
	EXPECT_EQ(-EFAULT, sys_send(self->b, ptr_edge(8), args_size, 0));
	EXPECT_NOTHING_CHANGED();
}

TEST_F(send, args_with_a_tail_out_of_reach_are_refused)
{
	struct bus1_send_args *edge = ptr_edge(args_size);
	int r;

	*edge = self->args[0];
	EXPECT_EQ(-EFAULT, sys_send(self->b, edge, args_size + 8, 0));
	r = sys_send(self->b, edge, SIZE_MAX, 0);
	EXPECT_TRUE(r == -EFAULT || r == -E2BIG);
	EXPECT_NOTHING_CHANGED();
}

TEST_F(send, args_that_are_not_aligned_are_einval)
{
	char *p = ptr_edge(256);
	int k;

	for (k = 1; k < 8; k++) {
		memcpy(p + k, self->args, args_size);
		EXPECT_EQ(-EINVAL, sys_send(self->b, p + k, args_size, 0));
	}
	EXPECT_NOTHING_CHANGED();
}

TEST_F(send, args_in_read_only_memory_are_enough)
{
	struct bus1_send_args *p = ptr_edge(4096);

	*p = self->args[0];
	ASSERT_EQ(0, mprotect(p, 4096, PROT_READ));
	EXPECT_EQ(0, sys_send(self->b, p, args_size, 0));
}

/* Each array in turn is given at addresses that cannot be read. */
FIXTURE(array) {
	struct pair s;
	struct iovec vec;
	struct bus1_send_args args;
	int fd;
	struct state sa, sb;
};

FIXTURE_VARIANT(array) {
	size_t ptr;
	size_t n;
	size_t max;
	unsigned int flags;
};

FIXTURE_VARIANT_ADD(array, destinations) {
	.ptr = offsetof(struct bus1_send_args, ptr_destinations),
	.n = offsetof(struct bus1_send_args, n_destinations),
	.max = BUS1_DEST_MAX,
};

FIXTURE_VARIANT_ADD(array, vecs) {
	.ptr = offsetof(struct bus1_send_args, ptr_vecs),
	.n = offsetof(struct bus1_send_args, n_vecs),
	.max = BUS1_VEC_MAX,
};

FIXTURE_VARIANT_ADD(array, handles) {
	.ptr = offsetof(struct bus1_send_args, ptr_handles),
	.n = offsetof(struct bus1_send_args, n_handles),
	.max = BUS1_HANDLE_MAX,
	.flags = BUS1_SEND_HANDLES,
};

FIXTURE_VARIANT_ADD(array, fds) {
	.ptr = offsetof(struct bus1_send_args, ptr_fds),
	.n = offsetof(struct bus1_send_args, n_fds),
	.max = BUS1_FD_MAX,
	.flags = BUS1_SEND_FDS,
};

FIXTURE_SETUP(array)
{
	ASSERT_EQ(0, pair_open(&self->s));
	self->vec = (struct iovec){ "hello", 5 };
	self->args.ptr_destinations = to_u64(&self->s.h);
	self->args.n_destinations = 1;
	self->args.ptr_vecs = to_u64(&self->vec);
	self->args.n_vecs = 1;
	self->fd = self->s.b.fd;
	state_get(self->s.a.fd, &self->sa);
	state_get(self->s.b.fd, &self->sb);
}

FIXTURE_TEARDOWN(array)
{
	EXPECT_TRUE(state_same(self->s.a.fd, &self->sa));
	EXPECT_TRUE(state_same(self->s.b.fd, &self->sb));
	pair_close(&self->s);
}

#define ARRAY_PTR	(*(__u64 *)((char *)&self->args + variant->ptr))
#define ARRAY_N		(*(__u64 *)((char *)&self->args + variant->n))
#define ARRAY_SEND()	sys_send(self->fd, &self->args, args_size, \
				 variant->flags)

TEST_F(array, at_a_bad_pointer_is_efault)
{
	ARRAY_N = 1;
	ARRAY_PTR = 0;
	EXPECT_EQ(-EFAULT, ARRAY_SEND());
	ARRAY_PTR = to_u64(ptr_noaccess());
	EXPECT_EQ(-EFAULT, ARRAY_SEND());
	ARRAY_PTR = to_u64(ptr_kernel());
	EXPECT_EQ(-EFAULT, ARRAY_SEND());
	ARRAY_PTR = to_u64(ptr_edge(3));
	EXPECT_EQ(-EFAULT, ARRAY_SEND());
}

TEST_F(array, of_too_many_is_emsgsize)
{
	static const __u64 beyond[] = { 1ULL << 31, 1ULL << 32, 1ULL << 61,
					~0ULL };
	size_t i;

	ARRAY_PTR = to_u64(mmap(NULL, 1 << 20, PROT_READ,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	ARRAY_N = variant->max + 1;
	EXPECT_EQ(-EMSGSIZE, ARRAY_SEND());
	for (i = 0; i < 4; i++) {
		ARRAY_N = beyond[i];
		EXPECT_EQ(-EMSGSIZE, ARRAY_SEND());
	}
}

TEST_F(send, handles_flag_must_match_the_number)
{
	self->args[0].ptr_handles = to_u64(&self->h);
	self->args[0].n_handles = 1;
	EXPECT_EQ(-EINVAL, SEND(0));
	EXPECT_EQ(-EINVAL, SEND(BUS1_SEND_FDS));
	self->args[0].n_handles = 0;
	EXPECT_EQ(-EINVAL, SEND(BUS1_SEND_HANDLES));
	EXPECT_NOTHING_CHANGED();
}

TEST_F(send, fds_flag_must_match_the_number)
{
	int fd = 0;

	self->args[0].ptr_fds = to_u64(&fd);
	self->args[0].n_fds = 1;
	EXPECT_EQ(-EINVAL, SEND(0));
	EXPECT_EQ(-EINVAL, SEND(BUS1_SEND_HANDLES));
	self->args[0].n_fds = 0;
	EXPECT_EQ(-EINVAL, SEND(BUS1_SEND_FDS));
	EXPECT_NOTHING_CHANGED();
}

TEST_F(send, without_a_destination_is_einval)
{
	self->args[0].n_destinations = 0;
	EXPECT_EQ(-EINVAL, SEND(0));
	EXPECT_EQ(-EINVAL, SEND(BUS1_SEND_CONTINUE));
	EXPECT_NOTHING_CHANGED();
}

TEST_F(send, seed_with_a_destination_continue_or_reply_is_einval)
{
	EXPECT_EQ(-EINVAL, SEND(BUS1_SEND_SEED));
	self->args[0].n_destinations = 0;
	EXPECT_EQ(-EINVAL, SEND(BUS1_SEND_SEED | BUS1_SEND_CONTINUE));
	EXPECT_EQ(-EINVAL, SEND(BUS1_SEND_SEED | BUS1_SEND_REPLY));
	EXPECT_NOTHING_CHANGED();
}

TEST_F(send, same_destination_twice_is_enotuniq)
{
	__u64 d[3] = { self->h, 0x2000 | NEW, self->h };

	self->args[0].ptr_destinations = to_u64(d);
	self->args[0].n_destinations = 3;
	EXPECT_EQ(-ENOTUNIQ, SEND(0));
	EXPECT_NOTHING_CHANGED();
}

TEST_F(send, new_destination_named_again_is_refused)
{
	__u64 d[2] = { 0x2000 | NEW, 0x2000 };

	self->args[0].ptr_destinations = to_u64(d);
	self->args[0].n_destinations = 2;
	EXPECT_EQ(-ENOTUNIQ, SEND(0));
	d[1] |= NEW;
	EXPECT_EQ(-EEXIST, SEND(0));
	EXPECT_NOTHING_CHANGED();
}

TEST_F(send, unknown_destinations_are_enxio)
{
	__u64 bad[] = { 0, 0x2000, BUS1_HANDLE_FLAG_MANAGED, self->s.id,
			self->h + 8, INVALID & ~NEW };
	size_t i;

	for (i = 0; i < 6; i++) {
		self->args[0].ptr_destinations = to_u64(&bad[i]);
		EXPECT_EQ(-ENXIO, SEND(0));
		EXPECT_EQ(0, SEND(BUS1_SEND_CONTINUE));
	}
	EXPECT_NOTHING_CHANGED();
}

TEST_F(send, new_destinations_with_bits_of_the_kernel_are_einval)
{
	__u64 bad[] = { INVALID, NEW | 1, NEW | 2, self->h | NEW };
	size_t i;

	for (i = 0; i < 4; i++) {
		self->args[0].ptr_destinations = to_u64(&bad[i]);
		EXPECT_EQ(-EINVAL, SEND(0));
		EXPECT_EQ(-EINVAL, SEND(BUS1_SEND_CONTINUE));
	}
	EXPECT_NOTHING_CHANGED();
}

TEST_F(send, handles_that_are_wrong_have_their_errno)
{
	__u64 x[2] = { self->h, 0x2000 };

	self->args[0].ptr_handles = to_u64(x);
	self->args[0].n_handles = 2;
	EXPECT_EQ(-ENXIO, SEND(BUS1_SEND_HANDLES));
	x[1] = INVALID;
	EXPECT_EQ(-EINVAL, SEND(BUS1_SEND_HANDLES));
	x[1] = 0x2001 | NEW;
	EXPECT_EQ(-EINVAL, SEND(BUS1_SEND_HANDLES));
	x[0] = 0x2000 | NEW;
	x[1] = 0x2000 | NEW;
	EXPECT_EQ(-EEXIST, SEND(BUS1_SEND_HANDLES));
	x[1] = 0x3000;
	EXPECT_EQ(-ENXIO, SEND(BUS1_SEND_HANDLES));
	EXPECT_NOTHING_CHANGED();
}

TEST_F(send, handles_that_are_wrong_fail_a_send_that_continues)
{
	__u64 x = 0x2000;

	self->args[0].ptr_handles = to_u64(&x);
	self->args[0].n_handles = 1;
	EXPECT_EQ(-ENXIO, SEND(BUS1_SEND_HANDLES | BUS1_SEND_CONTINUE));
	EXPECT_NOTHING_CHANGED();
}

TEST_F(send, payload_at_a_bad_pointer_is_efault)
{
	void *bad[] = { NULL, ptr_noaccess(), ptr_kernel(), ptr_edge(4) };
	size_t i;

	for (i = 0; i < 4; i++) {
		self->vec = (struct iovec){ bad[i], 5 };
		EXPECT_EQ(-EFAULT, SEND(0));
		EXPECT_EQ(-EFAULT, SEND(BUS1_SEND_CONTINUE));
	}
	EXPECT_NOTHING_CHANGED();
}

TEST_F(send, payload_that_faults_late_has_no_effect)
{
	size_t size = 1 << 20;
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	__u64 d[2] = { self->h, 0x2000 | NEW };

	memset(p, 0x5a, size);
	ASSERT_EQ(0, munmap(p + size - 4096, 4096));
	self->vec = (struct iovec){ p, size };
	self->args[0].ptr_destinations = to_u64(d);
	self->args[0].n_destinations = 2;
	EXPECT_EQ(-EFAULT, SEND(0));
	EXPECT_NOTHING_CHANGED();
}

TEST_F(send, payload_that_is_unmapped_file_memory_is_efault)
{
	int fd = syscall(__NR_memfd_create, "bus1", 0);
	void *p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);

	self->vec = (struct iovec){ p, 4096 };
	EXPECT_EQ(-EFAULT, SEND(0));
	EXPECT_NOTHING_CHANGED();
	ASSERT_EQ(0, ftruncate(fd, 4096));
	EXPECT_EQ(0, SEND(0));
}

TEST_F(send, payload_beyond_max_rw_count_is_emsgsize)
{
	struct iovec vec[3] = { { (void *)8, (size_t)1 << 30 },
				{ (void *)8, (size_t)1 << 30 }, { 0, 0 } };

	self->args[0].ptr_vecs = to_u64(vec);
	self->args[0].n_vecs = 2;
	EXPECT_EQ(-EMSGSIZE, SEND(0));
	vec[0].iov_len = (size_t)INT_MAX - 4094;
	self->args[0].n_vecs = 1;
	EXPECT_EQ(-EMSGSIZE, SEND(0));
	EXPECT_NOTHING_CHANGED();
}

TEST_F(send, payload_with_a_negative_length_is_refused)
{
	int r;

	self->vec.iov_len = SIZE_MAX;
	r = SEND(0);
	EXPECT_TRUE(r == -EINVAL || r == -EMSGSIZE);
	self->vec.iov_len = (size_t)SSIZE_MAX + 1;
	r = SEND(0);
	EXPECT_TRUE(r == -EINVAL || r == -EMSGSIZE);
	EXPECT_NOTHING_CHANGED();
}

TEST_F(send, payload_larger_than_the_receiver_may_hold_is_emsgsize)
{
	struct bus1_peer_limits l = limits_keep();
	static char buf[129];

	l.max_inflight_bytes = 256;
	ASSERT_EQ(0, sys_reset(self->a, &l, sizeof(l), 0));
	state_get(self->a, &self->sa);
	self->vec = (struct iovec){ buf, 129 };
	EXPECT_EQ(-EMSGSIZE, SEND(0));
	EXPECT_EQ(0, SEND(BUS1_SEND_CONTINUE));
	EXPECT_NOTHING_CHANGED();
	self->vec.iov_len = 128;
	EXPECT_EQ(0, SEND(0));
}

TEST_F(send, to_a_full_share_is_edquot)
{
	struct bus1_peer_limits l = limits_keep();

	l.max_slices = 6;
	ASSERT_EQ(0, sys_reset(self->a, &l, sizeof(l), 0));
	ASSERT_EQ(0, SEND(0));
	ASSERT_EQ(0, SEND(0));
	ASSERT_EQ(0, SEND(0));
	state_get(self->a, &self->sa);
	state_get(self->b, &self->sb);
	EXPECT_EQ(-EDQUOT, SEND(0));
	EXPECT_NOTHING_CHANGED();
	EXPECT_EQ(0, SEND(BUS1_SEND_CONTINUE));
	EXPECT_NOTHING_CHANGED();
}

TEST_F(send, to_a_receiver_with_no_room_for_anybody_is_exfull)
{
	struct bus1_peer_limits l = limits_keep();
	__u64 own[7], i;

	for (i = 0; i < 7; i++)
		own[i] = (0x8000 + 8 * i) | NEW;
	l.max_handles = 8;
	ASSERT_EQ(0, sys_reset(self->a, &l, sizeof(l), 0));
	ASSERT_EQ(0, sys_transfer(self->a, self->a, own, own, 7, 0));
	state_get(self->a, &self->sa);
	self->args[0].ptr_handles = to_u64(&self->h);
	self->args[0].n_handles = 1;
	EXPECT_EQ(-EXFULL, SEND(BUS1_SEND_HANDLES));
	EXPECT_NOTHING_CHANGED();
	EXPECT_EQ(0, SEND(BUS1_SEND_HANDLES | BUS1_SEND_CONTINUE));
	EXPECT_NOTHING_CHANGED();
}

TEST_F(send, new_nodes_beyond_the_senders_limit_are_enobufs)
{
	struct bus1_peer_limits l = limits_keep();
	__u64 d[2] = { self->h, 0x2000 | NEW };

	l.max_handles = 1;
	ASSERT_EQ(0, sys_reset(self->b, &l, sizeof(l), 0));
	state_get(self->b, &self->sb);
	self->args[0].ptr_destinations = to_u64(d);
	self->args[0].n_destinations = 2;
	EXPECT_EQ(-ENOBUFS, SEND(0));
	EXPECT_EQ(-ENOBUFS, SEND(BUS1_SEND_CONTINUE));
	self->args[0].n_destinations = 1;
	self->args[0].ptr_handles = to_u64(&d[1]);
	self->args[0].n_handles = 1;
	EXPECT_EQ(-ENOBUFS, SEND(BUS1_SEND_HANDLES));
	EXPECT_NOTHING_CHANGED();
}

TEST_F(send, wrong_name_is_told_before_a_missing_charge)
{
	struct bus1_peer_limits l = limits_keep();
	__u64 d[2] = { 0x2000 | NEW, 0x3000 }, h = 0x4000;

	l.max_handles = 0;
	ASSERT_EQ(0, sys_reset(self->b, &l, sizeof(l), 0));
	state_get(self->b, &self->sb);
	self->args[0].ptr_destinations = to_u64(d);
	self->args[0].n_destinations = 2;
	EXPECT_EQ(-ENXIO, SEND(0));
	d[1] = d[0];
	EXPECT_EQ(-EEXIST, SEND(0));
	self->args[0].n_destinations = 1;
	self->args[0].ptr_handles = to_u64(&h);
	self->args[0].n_handles = 1;
	EXPECT_EQ(-ENXIO, SEND(BUS1_SEND_HANDLES));
	EXPECT_NOTHING_CHANGED();
}

TEST_F(send, from_a_disconnected_peer_is_eshutdown)
{
	ASSERT_EQ(0, sys_disconnect(self->b, 0));
	EXPECT_EQ(-ESHUTDOWN, SEND(0));
	EXPECT_EQ(-ESHUTDOWN, SEND(BUS1_SEND_CONTINUE));
	self->args[0].n_destinations = 0;
	EXPECT_EQ(-ESHUTDOWN, SEND(BUS1_SEND_SEED));
}

TEST_F(send, to_a_dead_node_is_ehostunreach)
{
	ASSERT_EQ(0, destroy_one(self->a, self->s.id));
	state_get(self->a, &self->sa);
	state_get(self->b, &self->sb);
	EXPECT_EQ(-EHOSTUNREACH, SEND(0));
	EXPECT_NOTHING_CHANGED();
	EXPECT_EQ(0, SEND(BUS1_SEND_CONTINUE));
	EXPECT_NOTHING_CHANGED();
}

TEST_F(send, failed_send_creates_no_node)
{
	__u64 d[2] = { 0x2000 | NEW, self->h }, x = 0x3000 | NEW;

	ASSERT_EQ(0, destroy_one(self->a, self->s.id));
	state_get(self->a, &self->sa);
	state_get(self->b, &self->sb);
	self->args[0].ptr_destinations = to_u64(d);
	self->args[0].n_destinations = 2;
	self->args[0].ptr_handles = to_u64(&x);
	self->args[0].n_handles = 1;
	EXPECT_EQ(-EHOSTUNREACH, SEND(BUS1_SEND_HANDLES));
	EXPECT_NOTHING_CHANGED();
}

TEST_F(send, argument_errors_come_before_names)
{
	__u64 d = 0x2000;

	self->args[0].ptr_destinations = to_u64(&d);
	self->args[0].ptr_handles = to_u64(ptr_noaccess());
	self->args[0].n_handles = 1;
	EXPECT_EQ(-EFAULT, SEND(BUS1_SEND_HANDLES));
	self->args[0].ptr_handles = to_u64(&d);
	self->args[0].n_handles = BUS1_HANDLE_MAX + 1;
	EXPECT_EQ(-EMSGSIZE, SEND(BUS1_SEND_HANDLES));
	EXPECT_NOTHING_CHANGED();
}

TEST_HARNESS_MAIN
