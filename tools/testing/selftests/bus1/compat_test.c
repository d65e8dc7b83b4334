// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 selftests: the calls as 32-bit and x32 programs make them
 *
 * An x86-64 process may enter the kernel the way that 32-bit programs do, with
 * int $0x80, and the way that x32 programs do, with bit 30 of the number set.
 * The structs are the same for all; struct iovec is not. Everything that a
 * call points to lies in an arena below 4 GiB.
 */
#include "common.h"

#if defined(__x86_64__) && !defined(__ILP32__)

#define NEW		BUS1_HANDLE_FLAG_NEW
#define INVALID		BUS1_HANDLE_INVALID
#define X32_BIT		0x40000000

struct iovec32 {
	__u32 base;
	__u32 len;
};

struct arena {
	struct bus1_peer_limits limits;
	struct bus1_peer_info info;
	struct bus1_send_args send;
	struct bus1_recv_args recv;
	struct iovec32 vec[4];
	__u64 x[8];
	__u64 out[8];
	__s32 err[8];
	int fd[4];
	char text[64];
};

/* The sixth argument goes through %ebp, which the compiler may be using. */
static long int80(long nr, long a, long b, long c, long d, long e, long f)
{
	register long a6 asm("r12") = f;
	long ret;

	asm volatile("xchg %%rbp, %%r12\n\tint $0x80\n\txchg %%rbp, %%r12"
		     : "=a" (ret), "+r" (a6)
		     : "a" (nr), "b" (a), "c" (b), "d" (c), "S" (d), "D" (e)
		     : "memory", "r8", "r9", "r10", "r11", "cc");
	return (int)ret;
}

FIXTURE(compat) {
	struct pair s;
	struct arena *m;
	int a, b;
};

FIXTURE_VARIANT(compat) {
	bool x32;
};

FIXTURE_VARIANT_ADD(compat, i386) {
	.x32 = false,
};

FIXTURE_VARIANT_ADD(compat, x32) {
	.x32 = true,
};

static long call6(bool x32, int nr, long a, long b, long c, long d, long e,
		  long f)
{
	if (!x32)
		return int80(nr, a, b, c, d, e, f);
	return RET_ERRNO(syscall(nr | X32_BIT, a, b, c, d, e, f));
}

/* getpid() has number 20 in the i386 table and 39 in the other. */
static bool have_abi(bool x32)
{
	pid_t pid = fork();

	if (!pid)
		_exit(call6(x32, x32 ? 39 : 20, 0, 0, 0, 0, 0, 0) != getpid());
	return wait_child(pid) == 0;
}

FIXTURE_SETUP(compat)
{
	ASSERT_EQ(0, pair_open(&self->s));
	self->a = self->s.a.fd;
	self->b = self->s.b.fd;
	self->m = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	ASSERT_TRUE(self->m != MAP_FAILED);
	ASSERT_EQ(0, mprotect((char *)self->m + 4096, 4096, PROT_NONE));
	if (!have_abi(variant->x32))
		SKIP(return, "this kernel has no %s programs",
		     variant->x32 ? "x32" : "32-bit");
}

FIXTURE_TEARDOWN(compat)
{
	pair_close(&self->s);
}

#define CALL(name, a, b, c, d, e, f)					\
	call6(variant->x32, __NR_bus1_##name, (long)(a), (long)(b),	\
	      (long)(c), (long)(d), (long)(e), (long)(f))

/* Sends the vectors of the arena, whose first @n are filled in, from @fd. */
static void prepare(struct arena *m, __u64 dest, int n)
{
	m->x[0] = dest;
	m->send = (struct bus1_send_args){
		.ptr_destinations = to_u64(m->x), .n_destinations = 1,
		.ptr_vecs = to_u64(m->vec), .n_vecs = n,
	};
}

static void set_vec(struct arena *m, int i, const char *text)
{
	char *at = m->text + 16 * i;

	memcpy(at, text, strlen(text));
	m->vec[i] = (struct iovec32){ to_u64(at), strlen(text) };
}

TEST_F(compat, open_query_reset_and_disconnect)
{
	struct arena *m = self->m;
	struct bus1_peer_info want;
	int fd;

	m->limits = limits_keep();
	m->limits.max_slices = 4711;
	m->limits.max_inflight_bytes = INT_MAX;
	fd = CALL(open, &m->limits, sizeof(m->limits), BUS1_OPEN_NONBLOCK, 0,
		  0, 0);
	ASSERT_LE(0, fd);
	m->limits.max_slices = 4712;
	ASSERT_EQ(0, CALL(peer_reset, fd, &m->limits, sizeof(m->limits),
			  BUS1_RESET_FLUSH, 0, 0));
	ASSERT_EQ(0, CALL(peer_query, fd, &m->info, sizeof(m->info), 0, 0, 0));
	want = query(fd);
	EXPECT_EQ(0, memcmp(&want, &m->info, sizeof(want)));
	EXPECT_EQ(4712, m->info.max_slices);
	EXPECT_EQ(INT_MAX, m->info.max_inflight_bytes);
	EXPECT_EQ(0, CALL(peer_disconnect, fd, 0, 0, 0, 0, 0));
	EXPECT_EQ(-ESHUTDOWN, CALL(peer_disconnect, fd, 0, 0, 0, 0, 0));
}

TEST_F(compat, handles_keep_all_64_bits)
{
	struct arena *m = self->m;

	m->x[0] = 0x1122334455667788 | NEW;
	m->x[0] &= ~3ULL;
	m->x[1] = 0xfedcba9800000000 | NEW;
	ASSERT_EQ(0, CALL(handle_transfer, self->a, self->b, m->x, m->out, 2,
			  0));
	EXPECT_EQ(m->x[0] & ~NEW, connect_peers(self->b, m->out[0], self->a));
	EXPECT_EQ(m->x[1] & ~NEW, connect_peers(self->b, m->out[1], self->a));
	EXPECT_EQ(0, CALL(handle_release, self->b, m->out, 2, 0, 0, 0));
	EXPECT_EQ(-ENXIO, CALL(handle_release, self->b, m->out, 2, 0, 0, 0));
}

TEST_F(compat, transfer_to_minus_one_is_ebadf)
{
	struct arena *m = self->m;

	m->x[0] = self->s.h;
	EXPECT_EQ(-EBADF, CALL(handle_transfer, self->b, -1, m->x, m->out, 1,
			       0));
	EXPECT_EQ(0, CALL(handle_transfer, self->b, self->b, m->x, m->out, 1,
			  0));
	EXPECT_EQ(self->s.h, m->out[0]);
}

TEST_F(compat, nodes_can_be_destroyed)
{
	struct arena *m = self->m;

	m->x[0] = self->s.id;
	EXPECT_EQ(0, CALL(node_destroy, self->a, m->x, 1, 0, 0, 0));
	EXPECT_EQ(-ESTALE, CALL(node_destroy, self->a, m->x, 1, 0, 0, 0));
}

TEST_F(compat, vectors_have_the_layout_of_the_abi)
{
	struct arena *m = self->m;
	struct bus1_recv_args r;

	set_vec(m, 0, "first ");
	set_vec(m, 1, "second ");
	set_vec(m, 2, "third");
	prepare(m, self->s.h, 3);
	ASSERT_EQ(0, CALL(send, self->b, &m->send, sizeof(m->send), 0, 0, 0));
	ASSERT_EQ(0, recv_msg(&self->s.a, &r));
	ASSERT_EQ(18, r.n_bytes);
	EXPECT_EQ(0, memcmp(msg_payload(&self->s.a, &r), "first second third",
			    18));
}

TEST_F(compat, receives_what_a_64_bit_program_sent)
{
	struct arena *m = self->m;
	__u64 x[2] = { self->s.h, 0x7777777700000008 | NEW };

	ASSERT_EQ(0, send_full(self->b, &self->s.h, 1, "wide", 4, x, 2, NULL,
			       0, 0));
	m->recv.max_offset = self->s.a.pool_size;
	ASSERT_EQ(0, CALL(recv, self->a, &m->recv, sizeof(m->recv), 0, 0, 0));
	EXPECT_EQ(BUS1_MSG_DATA, m->recv.type);
	EXPECT_EQ(self->s.id, m->recv.destination);
	EXPECT_EQ(4, m->recv.n_bytes);
	EXPECT_EQ(2, m->recv.n_handles);
	EXPECT_EQ(self->s.id, msg_handles(&self->s.a, &m->recv)[0]);
	EXPECT_EQ(getpid(), m->recv.sender_pid);
	m->x[0] = m->recv.offset;
	EXPECT_EQ(0, CALL(slice_release, self->a, m->x, 1, 0, 0, 0));
	EXPECT_EQ(-ENXIO, CALL(slice_release, self->a, m->x, 1, 0, 0, 0));
}

TEST_F(compat, handles_fds_and_errors_travel)
{
	struct arena *m = self->m;
	struct bus1_recv_args r;
	int p[2];

	ASSERT_EQ(0, pipe(p));
	set_vec(m, 0, "all");
	prepare(m, self->s.h, 1);
	m->x[1] = self->s.h;
	m->fd[0] = p[1];
	m->fd[1] = p[0];
	memset(m->err, 0x5a, sizeof(m->err));
	m->send.ptr_errors = to_u64(m->err);
	m->send.ptr_handles = to_u64(&m->x[1]);
	m->send.n_handles = 1;
	m->send.ptr_fds = to_u64(m->fd);
	m->send.n_fds = 2;
	ASSERT_EQ(0, CALL(send, self->b, &m->send, sizeof(m->send),
			  BUS1_SEND_HANDLES | BUS1_SEND_FDS, 0, 0));
	EXPECT_EQ(0, m->err[0]);
	EXPECT_EQ(0x5a5a5a5a, m->err[1]);
	ASSERT_EQ(0, recv_flags(&self->s.a, &r, BUS1_RECV_INSTALL_FDS));
	EXPECT_EQ(self->s.id, msg_handles(&self->s.a, &r)[0]);
	EXPECT_EQ(1, write(msg_fds(&self->s.a, &r)[0], "x", 1));
}

TEST_F(compat, deadline_has_64_bits)
{
	struct arena *m = self->m;

	ASSERT_EQ(0, fcntl(self->a, F_SETFL, 0));
	m->recv.deadline = 1;
	EXPECT_EQ(-ETIMEDOUT, CALL(recv, self->a, &m->recv, sizeof(m->recv),
				   0, 0, 0));
}

TEST_F(compat, wrong_sizes_and_lengths_have_their_errno)
{
	struct arena *m = self->m;

	EXPECT_EQ(-EINVAL, CALL(send, self->b, &m->send, 52, 0, 0, 0));
	EXPECT_EQ(-EINVAL, CALL(recv, self->a, &m->recv, 56, 0, 0, 0));
	EXPECT_EQ(-EINVAL, CALL(open, &m->limits, 16, 0, 0, 0, 0));
	EXPECT_EQ(-EMSGSIZE, CALL(handle_release, self->b, m->x, 0xffffffff, 0,
				  0, 0));
	EXPECT_EQ(-EMSGSIZE, CALL(handle_transfer, self->a, self->b, m->x,
				  m->out, 0x20000001, 0));
}

TEST_F(compat, wrong_vectors_are_refused)
{
	struct arena *m = self->m;
	struct state old;
	long r;

	state_get(self->a, &old);
	set_vec(m, 0, "x");
	prepare(m, self->s.h, 1);
	m->vec[0].len = 0x80000000;
	r = CALL(send, self->b, &m->send, sizeof(m->send), 0, 0, 0);
	EXPECT_TRUE(r == -EINVAL || r == -EMSGSIZE);
	m->vec[0] = (struct iovec32){ to_u64(m) + 4096, 8 };
	EXPECT_EQ(-EFAULT, CALL(send, self->b, &m->send, sizeof(m->send), 0, 0,
				0));
	m->send.ptr_vecs = to_u64(m) + 4096 - 4;
	EXPECT_EQ(-EFAULT, CALL(send, self->b, &m->send, sizeof(m->send), 0, 0,
				0));
	EXPECT_TRUE(state_same(self->a, &old));
}

/* A request of b, what a makes of it, and the reply, all by this entry. */
TEST_F(compat, call_asks_and_replies)
{
	struct arena *m = self->m;
	__u64 name = 0xfedcba9800000008;

	set_vec(m, 0, "question");
	prepare(m, self->s.h, 1);
	m->send.reply_id = name;
	m->send.reply_max_bytes = 64;
	m->recv.max_offset = POOL_MAP_SIZE;
	m->recv.release = BUS1_OFFSET_INVALID;
	ASSERT_EQ(0, CALL(call, self->b, &m->send, sizeof(m->send), &m->recv,
			  sizeof(m->recv),
			  BUS1_CALL(BUS1_SEND_REPLY, BUS1_RECV_RELEASE)));
	EXPECT_EQ(-EAGAIN, m->recv.error);
	ASSERT_EQ(0, CALL(recv, self->a, &m->recv, sizeof(m->recv), 0, 0, 0));
	EXPECT_EQ(0, memcmp("question", msg_payload(&self->s.a, &m->recv), 8));
	set_vec(m, 0, "answer");
	prepare(m, m->recv.reply, 1);
	m->recv.release = m->recv.offset;
	ASSERT_EQ(0, CALL(call, self->a, &m->send, sizeof(m->send), &m->recv,
			  sizeof(m->recv), BUS1_CALL(0, BUS1_RECV_RELEASE)));
	EXPECT_EQ(-EAGAIN, m->recv.error);
	EXPECT_EQ(0, query(self->a).used_slices);
	m->recv.reply_id = name;
	ASSERT_EQ(0, CALL(recv, self->b, &m->recv, sizeof(m->recv),
			  BUS1_RECV_REPLY, 0, 0));
	EXPECT_EQ(name, m->recv.destination);
	EXPECT_EQ(0, memcmp("answer", msg_payload(&self->s.b, &m->recv), 6));
}

TEST_F(compat, call_with_wrong_arguments_is_refused)
{
	struct arena *m = self->m;

	set_vec(m, 0, "x");
	prepare(m, self->s.h, 1);
	EXPECT_EQ(-EBADF, CALL(call, -1, 0, 0, 0, 0, 0));
	EXPECT_EQ(-EINVAL, CALL(call, self->b, &m->send, 52, &m->recv,
				sizeof(m->recv), 0));
	EXPECT_EQ(-EINVAL, CALL(call, self->b, &m->send, sizeof(m->send),
				&m->recv, 56, 0));
	EXPECT_EQ(-EINVAL, CALL(call, self->b, &m->send, sizeof(m->send),
				&m->recv, sizeof(m->recv), 0x80000000));
	EXPECT_EQ(-EFAULT, CALL(call, self->b, &m->send, sizeof(m->send),
				(char *)m + 4096, sizeof(m->recv), 0));
	EXPECT_EQ(0, query(self->a).n_queued);
}

#else

TEST(compat_entries_belong_to_x86_64)
{
	SKIP(return, "only an x86-64 program can enter as others do");
}

#endif

TEST_HARNESS_MAIN
