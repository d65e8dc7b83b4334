// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 selftests: the arguments and results of bus1_recv() and
 * bus1_slice_release()
 */
#include <pthread.h>
#include <sched.h>
#include <sys/socket.h>

#include "common.h"

#define NEW	BUS1_HANDLE_FLAG_NEW
#define INVALID	BUS1_HANDLE_INVALID

static const size_t args_size = sizeof(struct bus1_recv_args);

/*
 *   a owns node @id and has one message of b queued: "hello"
 */
FIXTURE(recv) {
	struct pair s;
	int a, b;
	struct bus1_recv_args r[2];
	struct state sa;
};

FIXTURE_SETUP(recv)
{
	ASSERT_EQ(0, pair_open(&self->s));
	self->a = self->s.a.fd;
	self->b = self->s.b.fd;
	ASSERT_EQ(0, send_bytes(self->b, self->s.h, "hello", 5));
	memset(self->r, 0, sizeof(self->r));
	self->r[0].max_offset = self->s.a.pool_size;
	state_get(self->a, &self->sa);
}

FIXTURE_TEARDOWN(recv)
{
	pair_close(&self->s);
}

#define EXPECT_NOTHING_CHANGED() EXPECT_TRUE(state_same(self->a, &self->sa))
#define RECV(flags)	sys_recv(self->a, self->r, args_size, flags)

TEST_F(recv, from_what_is_no_peer_is_ebadf)
{
	int k;

	for (k = 0; k < N_NOT_PEERS; k++)
		EXPECT_EQ(-EBADF, sys_recv(not_a_peer(k), self->r, args_size,
					   0));
	EXPECT_EQ(-EBADF, sys_recv(-1, NULL, 0, ~0U));
}

TEST_F(recv, with_unknown_flags_is_einval)
{
	int bit;

	for (bit = 6; bit < 32; bit++)
		EXPECT_EQ(-EINVAL, RECV(1U << bit));
	EXPECT_EQ(-EINVAL, RECV(~0U));
	EXPECT_NOTHING_CHANGED();
}

TEST_F(recv, pidfd_is_einval_for_now)
{
	EXPECT_EQ(-EINVAL, RECV(BUS1_RECV_PIDFD));
	EXPECT_NOTHING_CHANGED();
}

TEST_F(recv, args_smaller_than_version_0_are_einval)
{
	size_t n;

	for (n = 0; n < args_size; n++)
		EXPECT_EQ(-EINVAL, sys_recv(self->a, self->r, n, 0));
	EXPECT_NOTHING_CHANGED();
}

TEST_F(recv, args_larger_need_a_zero_tail)
{
	unsigned char *tail = (void *)&self->r[1];
	size_t n;

	for (n = 0; n < args_size; n++) {
		tail[n] = 1;
		EXPECT_EQ(-E2BIG, sys_recv(self->a, self->r,
					   args_size + n + 1, 0));
		tail[n] = 0;
	}
	EXPECT_NOTHING_CHANGED();
	EXPECT_EQ(0, sys_recv(self->a, self->r, 2 * args_size, 0));
	EXPECT_EQ(BUS1_MSG_DATA, self->r[0].type);
}

TEST_F(recv, args_at_a_bad_pointer_are_efault)
{
	EXPECT_EQ(-EFAULT, sys_recv(self->a, NULL, args_size, 0));
	EXPECT_EQ(-EFAULT, sys_recv(self->a, ptr_noaccess(), args_size, 0));
	EXPECT_EQ(-EFAULT, sys_recv(self->a, ptr_kernel(), args_size, 0));
	EXPECT_EQ(-EFAULT, sys_recv(self->a, ptr_edge(8), args_size, 0));
	EXPECT_EQ(-EFAULT, sys_recv(self->a, ptr_edge(args_size),
				    args_size + 8, 0));
	EXPECT_NOTHING_CHANGED();
}

TEST_F(recv, args_of_a_huge_size_are_refused)
{
	int r = sys_recv(self->a, ptr_edge(args_size), SIZE_MAX, 0);

	EXPECT_TRUE(r == -EFAULT || r == -E2BIG);
	EXPECT_NOTHING_CHANGED();
}

TEST_F(recv, args_that_are_not_aligned_are_einval)
{
	char *p = ptr_edge(256);
	int k;

	for (k = 1; k < 8; k++) {
		memcpy(p + k, self->r, args_size);
		EXPECT_EQ(-EINVAL, sys_recv(self->a, p + k, args_size, 0));
	}
	EXPECT_NOTHING_CHANGED();
}

TEST_F(recv, trap_14_unwritable_args_lose_nothing)
{
	struct bus1_recv_args *ro = ptr_edge(4096);

	*ro = self->r[0];
	ASSERT_EQ(0, mprotect(ro, 4096, PROT_READ));
	EXPECT_EQ(-EFAULT, sys_recv(self->a, ro, args_size, 0));
	EXPECT_EQ(-EFAULT, sys_recv(self->a, ro, args_size,
				    BUS1_RECV_INSTALL_FDS));
	EXPECT_NOTHING_CHANGED();
	EXPECT_EQ(0, RECV(0));
	EXPECT_EQ(BUS1_MSG_DATA, self->r[0].type);
}

TEST_F(recv, args_across_a_page_that_cannot_be_written_lose_nothing)
{
	char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct bus1_recv_args *r;
	size_t split;

	for (split = 8; split < args_size; split += 8) {
		ASSERT_EQ(0, mprotect(p, 8192, PROT_READ | PROT_WRITE));
		r = (void *)(p + 4096 - split);
		*r = self->r[0];
		ASSERT_EQ(0, mprotect(p + 4096, 4096, PROT_READ));
		EXPECT_EQ(-EFAULT, sys_recv(self->a, r, args_size, 0));
	}
	EXPECT_NOTHING_CHANGED();
}

/*
 * The page behind the split is not in memory when the result is stored. What is
 * an input only must not change when the store is tried again.
 */
TEST_F(recv, args_on_a_page_to_be_faulted_in_are_only_written_where_said)
{
	struct bus1_recv_args *r;
	size_t split;
	char *p;

	for (split = 40; split < args_size; split += 8) {
		p = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		r = (void *)(p + 4096 - split);
		r->max_offset = 0x12345;
		r->deadline = ~0ULL;
		r->release = 0x1122334455667788;
		ASSERT_EQ(0, send_bytes(self->b, self->s.h, "next", 4));
		ASSERT_EQ(0, sys_recv(self->a, r, args_size, 0));
		EXPECT_EQ(BUS1_MSG_DATA, r->type);
		EXPECT_EQ(0x12345, r->max_offset);
		EXPECT_EQ(~0ULL, r->deadline);
		EXPECT_EQ(0x1122334455667788, r->release);
		munmap(p, 8192);
	}
}

TEST_F(recv, fills_in_every_member)
{
	struct bus1_recv_args *r = self->r;

	memset(r, 0x5a, sizeof(*r));
	r->max_offset = self->s.a.pool_size;
	r->deadline = 0;
	r->ptr_buffer = 0;
	ASSERT_EQ(0, RECV(0));
	EXPECT_EQ(0x5a5a5a5a5a5a5a5a, r->buffer_size);
	EXPECT_EQ(0x5a5a5a5a5a5a5a5a, r->reply_id);
	EXPECT_EQ(self->s.a.pool_size, r->max_offset);
	EXPECT_EQ(0, r->deadline);
	EXPECT_EQ(self->s.id, r->destination);
	EXPECT_EQ(BUS1_MSG_DATA, r->type);
	EXPECT_EQ(0, r->flags);
	EXPECT_GE(self->s.a.pool_size - 8, r->offset);
	EXPECT_EQ(5, r->n_bytes);
	EXPECT_EQ(0, r->n_handles);
	EXPECT_EQ(0, r->n_fds);
	EXPECT_EQ(INVALID, r->reply);
	EXPECT_EQ(getpid(), r->sender_pid);
	EXPECT_EQ(geteuid(), r->sender_uid);
	EXPECT_EQ(getegid(), r->sender_gid);
	EXPECT_EQ(-1, r->sender_pidfd);
	EXPECT_EQ(0, r->error);
	EXPECT_EQ(0, r->n_overtaken);
	EXPECT_EQ(0, memcmp(msg_payload(&self->s.a, r), "hello", 5));
}

TEST_F(recv, when_empty_is_eagain)
{
	ASSERT_EQ(0, RECV(0));
	self->r[0].type = 4711;
	EXPECT_EQ(-EAGAIN, RECV(0));
	EXPECT_EQ(-EAGAIN, RECV(BUS1_RECV_NONBLOCK));
	ASSERT_EQ(0, fcntl(self->a, F_SETFL, 0));
	EXPECT_EQ(-EAGAIN, RECV(BUS1_RECV_NONBLOCK));
}

TEST_F(recv, failed_reads_no_type)
{
	self->r[0].type = 4711;
	self->r[0].max_offset = 0;
	EXPECT_EQ(-ERANGE, RECV(0));
	EXPECT_EQ(BUS1_MSG_NONE, self->r[0].type);
	self->r[0].max_offset = self->s.a.pool_size;
	ASSERT_EQ(0, RECV(0));
	EXPECT_EQ(BUS1_MSG_DATA, self->r[0].type);
}

TEST_F(recv, past_the_deadline_is_etimedout)
{
	ASSERT_EQ(0, fcntl(self->a, F_SETFL, 0));
	self->r[0].deadline = 1;
	ASSERT_EQ(0, RECV(0));
	EXPECT_EQ(BUS1_MSG_DATA, self->r[0].type);
	self->r[0].deadline = 1;
	EXPECT_EQ(-ETIMEDOUT, RECV(0));
	EXPECT_EQ(-EAGAIN, RECV(BUS1_RECV_NONBLOCK));
}

TEST_F(recv, beyond_max_offset_is_erange_and_says_how_much)
{
	struct bus1_recv_args *r = self->r;

	r->max_offset = 7;
	memset(&r->destination, 0x5a, sizeof(*r) -
	       offsetof(struct bus1_recv_args, destination));
	EXPECT_EQ(-ERANGE, RECV(0));
	EXPECT_EQ(BUS1_MSG_NONE, r->type);
	EXPECT_EQ(5, r->n_bytes);
	EXPECT_EQ(0, r->n_handles);
	EXPECT_EQ(0, r->n_fds);
	EXPECT_EQ(0, r->flags);
	EXPECT_NE(self->s.id, r->destination);
	EXPECT_NOTHING_CHANGED();
	r->max_offset = r->offset + align8(r->n_bytes);
	EXPECT_EQ(0, RECV(0));
	EXPECT_EQ(BUS1_MSG_DATA, r->type);
}

TEST_F(recv, erange_tells_the_flags)
{
	__u64 d[2] = { self->s.h };

	ASSERT_EQ(1, drain(&self->s.a));
	d[1] = connect_new(self->a, 0x2000, self->b);
	ASSERT_EQ(0, send_full(self->b, d, 2, "x", 1, NULL, 0, NULL, 0, 0));
	self->r[0].max_offset = 0;
	EXPECT_EQ(-ERANGE, RECV(0));
	EXPECT_EQ(BUS1_MSG_FLAG_MORE, self->r[0].flags);
}

TEST_F(recv, erange_shows_no_handle)
{
	__u64 x = 0x2000 | NEW, before;

	ASSERT_EQ(0, RECV(0));
	ASSERT_EQ(0, send_handles(self->b, self->s.h, &x, 1));
	before = query(self->a).n_handles;
	self->r[0].max_offset = 0;
	EXPECT_EQ(-ERANGE, RECV(0));
	EXPECT_EQ(1, self->r[0].n_handles);
	EXPECT_EQ(before, query(self->a).n_handles);
	self->r[0].max_offset = self->s.a.pool_size;
	EXPECT_EQ(0, RECV(0));
	EXPECT_EQ(before + 1, query(self->a).n_handles);
}

TEST_F(recv, empty_slice_is_never_erange)
{
	struct peer c;
	__u64 h;

	ASSERT_EQ(0, peer_open(&c, NULL, BUS1_OPEN_NONBLOCK));
	h = connect_new(c.fd, 0x10, self->b);
	ASSERT_EQ(0, send_bytes(self->b, h, NULL, 0));
	self->r[0].max_offset = 0;
	EXPECT_EQ(0, sys_recv(c.fd, self->r, args_size, 0));
	EXPECT_EQ(BUS1_MSG_DATA, self->r[0].type);
	peer_close(&c);
}

TEST_F(recv, notice_is_never_erange)
{
	ASSERT_EQ(0, RECV(0));
	ASSERT_EQ(0, release_one(self->b, self->s.h));
	self->r[0].max_offset = 0;
	EXPECT_EQ(0, RECV(0));
	EXPECT_EQ(BUS1_MSG_NODE_RELEASE, self->r[0].type);
}

TEST_F(recv, release_gives_back_the_slice_on_entry)
{
	ASSERT_EQ(0, RECV(0));
	self->r[0].release = self->r[0].offset;
	EXPECT_EQ(-EAGAIN, RECV(BUS1_RECV_RELEASE));
	EXPECT_EQ(BUS1_OFFSET_INVALID, self->r[0].release);
	EXPECT_EQ(0, query(self->a).used_slices);
}

TEST_F(recv, release_of_invalid_means_none)
{
	self->r[0].release = BUS1_OFFSET_INVALID;
	EXPECT_EQ(0, RECV(BUS1_RECV_RELEASE));
	EXPECT_EQ(BUS1_MSG_DATA, self->r[0].type);
	EXPECT_EQ(1, query(self->a).used_slices);
	EXPECT_EQ(-EAGAIN, RECV(BUS1_RECV_RELEASE));
	EXPECT_EQ(1, query(self->a).used_slices);
}

TEST_F(recv, release_of_an_unknown_slice_is_enxio)
{
	static const __u64 bad[] = { 0, 1, 8, 4096, 1ULL << 40, ~7ULL };
	size_t i;

	for (i = 0; i < 6; i++) {
		self->r[0].release = bad[i];
		EXPECT_EQ(-ENXIO, RECV(BUS1_RECV_RELEASE));
		EXPECT_EQ(-ENXIO, slice_release_one(self->a, bad[i]));
	}
	EXPECT_NOTHING_CHANGED();
}

TEST_F(recv, release_happens_whatever_happens_then)
{
	ASSERT_EQ(0, RECV(0));
	ASSERT_EQ(0, send_bytes(self->b, self->s.h, "next", 4));
	self->r[0].release = self->r[0].offset;
	self->r[0].max_offset = 0;
	EXPECT_EQ(-ERANGE, RECV(BUS1_RECV_RELEASE));
	EXPECT_EQ(BUS1_OFFSET_INVALID, self->r[0].release);
	EXPECT_EQ(1, query(self->a).used_slices);
	EXPECT_EQ(1, query(self->a).n_queued);
}

TEST_F(recv, release_does_not_happen_when_args_are_refused)
{
	__u64 slice;

	ASSERT_EQ(0, RECV(0));
	slice = self->r[0].offset;
	self->r[0].release = slice;
	state_get(self->a, &self->sa);
	EXPECT_EQ(-EINVAL, RECV(BUS1_RECV_RELEASE | 1U << 20));
	EXPECT_EQ(-EINVAL, sys_recv(self->a, self->r, 8, BUS1_RECV_RELEASE));
	((char *)&self->r[1])[0] = 1;
	EXPECT_EQ(-E2BIG, sys_recv(self->a, self->r, 2 * args_size,
				   BUS1_RECV_RELEASE));
	EXPECT_NOTHING_CHANGED();
	EXPECT_EQ(0, slice_release_one(self->a, slice));
}

TEST_F(recv, release_without_the_flag_is_ignored)
{
	self->r[0].release = 4711;
	EXPECT_EQ(0, RECV(0));
	EXPECT_EQ(BUS1_MSG_DATA, self->r[0].type);
}

TEST_F(recv, messages_come_in_the_order_they_were_sent)
{
	int i;

	ASSERT_EQ(0, RECV(0));
	for (i = 0; i < 300; i++)
		ASSERT_EQ(0, send_bytes(self->b, self->s.h, &i, sizeof(i)));
	for (i = 0; i < 300; i++) {
		ASSERT_EQ(0, RECV(0));
		EXPECT_EQ(i, *(int *)msg_payload(&self->s.a, self->r));
	}
}

TEST_F(recv, message_stays_what_it_was_until_its_slice_is_released)
{
	struct bus1_recv_args r[100];
	int i;

	ASSERT_EQ(0, RECV(0));
	for (i = 0; i < 100; i++) {
		ASSERT_EQ(0, send_bytes(self->b, self->s.h, &i, sizeof(i)));
		ASSERT_EQ(0, recv_msg(&self->s.a, &r[i]));
		if (i % 3)
			continue;
		ASSERT_EQ(0, slice_release_one(self->a, r[i].offset));
	}
	for (i = 0; i < 100; i++)
		if (i % 3)
			EXPECT_EQ(i, *(int *)msg_payload(&self->s.a, &r[i]));
}

/* bus1_slice_release() */

TEST_F(recv, slice_release_of_what_is_no_peer_is_ebadf)
{
	__u64 off = 0;
	int k;

	for (k = 0; k < N_NOT_PEERS; k++)
		EXPECT_EQ(-EBADF, sys_slice_release(not_a_peer(k), &off, 1,
						    0));
	EXPECT_EQ(-EBADF, sys_slice_release(-1, NULL, 4711, ~0U));
}

TEST_F(recv, slice_release_with_unknown_flags_is_einval)
{
	int bit;

	ASSERT_EQ(0, RECV(0));
	state_get(self->a, &self->sa);
	for (bit = 0; bit < 32; bit++)
		EXPECT_EQ(-EINVAL, sys_slice_release(self->a,
						     &self->r[0].offset, 1,
						     1U << bit));
	EXPECT_NOTHING_CHANGED();
}

TEST_F(recv, slice_release_from_a_bad_pointer_is_efault)
{
	__u64 *edge = ptr_edge(8);

	ASSERT_EQ(0, RECV(0));
	state_get(self->a, &self->sa);
	*edge = self->r[0].offset;
	EXPECT_EQ(-EFAULT, sys_slice_release(self->a, NULL, 1, 0));
	EXPECT_EQ(-EFAULT, sys_slice_release(self->a, ptr_noaccess(), 1, 0));
	EXPECT_EQ(-EFAULT, sys_slice_release(self->a, ptr_kernel(), 1, 0));
	EXPECT_EQ(-EFAULT, sys_slice_release(self->a, edge, 2, 0));
	EXPECT_NOTHING_CHANGED();
}

TEST_F(recv, slice_release_of_too_many_is_emsgsize)
{
	static __u64 x[BUS1_HANDLE_MAX + 1];
	int a = self->a;

	EXPECT_EQ(-EMSGSIZE, sys_slice_release(a, x, BUS1_HANDLE_MAX + 1, 0));
	EXPECT_EQ(-EMSGSIZE, sys_slice_release(a, x, SIZE_MAX, 0));
	EXPECT_EQ(-EMSGSIZE, sys_slice_release(a, x, SIZE_MAX / 8 + 2, 0));
	EXPECT_EQ(0, sys_slice_release(a, NULL, 0, 0));
	EXPECT_NOTHING_CHANGED();
}

TEST_F(recv, slice_release_is_all_or_nothing)
{
	__u64 x[2];

	ASSERT_EQ(0, RECV(0));
	state_get(self->a, &self->sa);
	x[0] = self->r[0].offset;
	x[1] = x[0] + 8;
	EXPECT_EQ(-ENXIO, sys_slice_release(self->a, x, 2, 0));
	x[1] = x[0];
	EXPECT_EQ(-ENOTUNIQ, sys_slice_release(self->a, x, 2, 0));
	EXPECT_NOTHING_CHANGED();
	EXPECT_EQ(0, sys_slice_release(self->a, x, 1, 0));
	EXPECT_EQ(-ENXIO, sys_slice_release(self->a, x, 1, 0));
}

TEST_F(recv, slice_of_an_unread_message_cannot_be_released)
{
	struct bus1_recv_args probe = self->r[0];

	probe.max_offset = 0;
	ASSERT_EQ(-ERANGE, sys_recv(self->a, &probe, args_size, 0));
	EXPECT_EQ(-ENXIO, slice_release_one(self->a, probe.offset));
	EXPECT_NOTHING_CHANGED();
	ASSERT_EQ(0, RECV(0));
	EXPECT_EQ(0, slice_release_one(self->a, self->r[0].offset));
}

/* The sender is who opened the peer. */

static int send_as_other(int b, __u64 h)
{
	return become(61004) || send_bytes(b, h, "x", 1);
}

TEST_F(recv, sender_is_who_opened_the_peer_not_who_sends)
{
	pid_t pid;

	if (geteuid())
		SKIP(return, "needs root to become another user");
	ASSERT_EQ(0, RECV(0));
	pid = fork();
	if (!pid)
		_exit(send_as_other(self->b, self->s.h));
	ASSERT_EQ(0, wait_child(pid));
	ASSERT_EQ(0, RECV(0));
	EXPECT_EQ(0, self->r[0].sender_uid);
	EXPECT_EQ(getpid(), self->r[0].sender_pid);
}

static void *open_in_thread(void *arg)
{
	*(int *)arg = sys_open(NULL, 0, 0);
	return NULL;
}

TEST_F(recv, sender_pid_is_that_of_the_thread_group)
{
	pthread_t t;
	int fd = -1;

	ASSERT_EQ(1, drain(&self->s.a));
	ASSERT_EQ(0, pthread_create(&t, NULL, open_in_thread, &fd));
	pthread_join(t, NULL);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, send_bytes(fd, connect_peers(self->a, self->s.id, fd),
				NULL, 0));
	ASSERT_EQ(0, RECV(0));
	EXPECT_EQ(getpid(), self->r[0].sender_pid);
}

static int pass_fd(int sock, int fd)
{
	char c = 'x', buf[CMSG_SPACE(sizeof(int))] = {};
	struct iovec v = { &c, 1 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1,
			    .msg_control = buf,
			    .msg_controllen = sizeof(buf) };
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);

	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(h), &fd, sizeof(fd));
	return sendmsg(sock, &m, 0) == 1 ? 0 : -errno;
}

static int take_fd(int sock)
{
	char c, buf[CMSG_SPACE(sizeof(int))] = {};
	struct iovec v = { &c, 1 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1,
			    .msg_control = buf,
			    .msg_controllen = sizeof(buf) };
	int fd = -1;

	if (recvmsg(sock, &m, 0) == 1 && CMSG_FIRSTHDR(&m))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
	return fd;
}

static int open_as(uid_t uid, int sock)
{
	int fd;

	if (setresgid(uid + 1, uid + 2, uid + 1) ||
	    setresuid(uid + 1, uid, uid + 1))
		return 1;
	fd = sys_open(NULL, 0, 0);
	return fd < 0 || pass_fd(sock, fd);
}

TEST_F(recv, trap_21_sender_is_the_effective_user_of_who_opened)
{
	int sv[2], fd;
	pid_t pid;
	__u64 h;

	if (geteuid())
		SKIP(return, "needs root to become another user");
	ASSERT_EQ(1, drain(&self->s.a));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_DGRAM, 0, sv));
	pid = fork();
	if (!pid)
		_exit(open_as(62000, sv[1]));
	fd = take_fd(sv[0]);
	ASSERT_LE(0, fd);
	h = connect_peers(self->a, self->s.id, fd);
	ASSERT_EQ(0, send_bytes(fd, h, "x", 1));
	ASSERT_EQ(0, RECV(0));
	EXPECT_EQ(62000, self->r[0].sender_uid);
	EXPECT_EQ(62002, self->r[0].sender_gid);
	EXPECT_EQ(pid, self->r[0].sender_pid);
	EXPECT_EQ(62000, fdinfo_value(self->a, "claim", 0));
	/* Once it is reaped its number may be another's. */
	ASSERT_EQ(0, send_bytes(fd, h, "x", 1));
	ASSERT_EQ(0, wait_child(pid));
	ASSERT_EQ(0, RECV(0));
	EXPECT_EQ(62000, self->r[0].sender_uid);
	EXPECT_EQ(0, self->r[0].sender_pid);
}

static int recv_in_user_namespace(const struct peer *p)
{
	struct bus1_recv_args r;

	if (unshare(CLONE_NEWUSER) || recv_msg(p, &r))
		return 1;
	if (r.sender_uid != 65534 || r.sender_gid != 65534)
		return 2;
	return r.sender_pid == getppid() ? 0 : 3;
}

TEST_F(recv, sender_ids_are_those_of_the_receiver_s_user_namespace)
{
	pid_t pid = fork();

	if (!pid)
		_exit(recv_in_user_namespace(&self->s.a));
	EXPECT_EQ(0, wait_child(pid));
}

static int recv_in_pid_namespace(const struct peer *p)
{
	struct bus1_recv_args r;
	pid_t pid;

	if (unshare(CLONE_NEWPID))
		return 4;
	pid = fork();
	if (pid)
		return wait_child(pid);
	if (recv_msg(p, &r))
		return 1;
	return r.sender_pid == 0 && r.sender_uid == 0 ? 0 : 2;
}

TEST_F(recv, sender_pid_is_0_where_it_has_no_translation)
{
	pid_t pid;

	if (geteuid())
		SKIP(return, "needs root for a PID namespace");
	pid = fork();
	if (!pid)
		_exit(recv_in_pid_namespace(&self->s.a));
	EXPECT_EQ(0, wait_child(pid));
}

/* A struct in shared memory is complete once its type is there. */
TEST_F(recv, struct_in_shared_memory_is_a_journal)
{
	struct bus1_recv_args *r;
	pid_t pid;

	r = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_TRUE(r != MAP_FAILED);
	r->max_offset = self->s.a.pool_size;
	pid = fork();
	if (!pid) {
		sys_recv(self->a, r, args_size, 0);
		_exit(0);
	}
	ASSERT_EQ(0, wait_child(pid));
	EXPECT_EQ(BUS1_MSG_DATA, r->type);
	EXPECT_EQ(5, r->n_bytes);
	EXPECT_EQ(0, memcmp(msg_payload(&self->s.a, r), "hello", 5));
	EXPECT_EQ(0, slice_release_one(self->a, r->offset));
}

TEST_HARNESS_MAIN
