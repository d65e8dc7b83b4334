// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 selftests: file descriptors in messages
 */
#include <linux/io_uring.h>
#include <linux/kcmp.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "common.h"

#define INVALID	BUS1_HANDLE_INVALID

/*
 *   a owns node @id, b holds @h to it; a pipe whose write end is sent
 */
FIXTURE(fds) {
	struct pair s;
	int a, b;
	int p[2];
	struct bus1_recv_args r;
	struct state sa, sb;
};

FIXTURE_SETUP(fds)
{
	ASSERT_EQ(0, pair_open(&self->s));
	self->a = self->s.a.fd;
	self->b = self->s.b.fd;
	ASSERT_EQ(0, pipe2(self->p, O_NONBLOCK | O_CLOEXEC));
	state_get(self->a, &self->sa);
	state_get(self->b, &self->sb);
}

FIXTURE_TEARDOWN(fds)
{
	pair_close(&self->s);
}

#define EXPECT_NOTHING_CHANGED()				\
	do {							\
		EXPECT_TRUE(state_same(self->a, &self->sa));	\
		EXPECT_TRUE(state_same(self->b, &self->sb));	\
	} while (0)

static bool same_file(int x, int y)
{
	pid_t me = getpid();

	return !syscall(__NR_kcmp, me, me, KCMP_FILE, x, y);
}

/* Whether nobody has the write end of @p open any more. */
static bool hung_up(int p)
{
	char c;

	return read(p, &c, 1) == 0;
}

TEST_F(fds, arrive_installed_when_asked_for)
{
	int fd;

	ASSERT_EQ(0, send_fds(self->b, self->s.h, &self->p[1], 1));
	ASSERT_EQ(0, recv_flags(&self->s.a, &self->r, BUS1_RECV_INSTALL_FDS));
	ASSERT_EQ(1, self->r.n_fds);
	fd = msg_fds(&self->s.a, &self->r)[0];
	EXPECT_NE(self->p[1], fd);
	EXPECT_TRUE(same_file(self->p[1], fd));
	EXPECT_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD));
}

TEST_F(fds, follow_the_handles_in_array_order)
{
	int x[3] = { self->p[1], self->p[0], self->p[1] }, i;
	__u64 h[2] = { self->s.h, self->s.h };

	ASSERT_EQ(0, send_full(self->b, &self->s.h, 1, "abc", 3, h, 2, x, 3,
			       0));
	ASSERT_EQ(0, recv_flags(&self->s.a, &self->r, BUS1_RECV_INSTALL_FDS));
	ASSERT_EQ(3, self->r.n_bytes);
	ASSERT_EQ(2, self->r.n_handles);
	ASSERT_EQ(3, self->r.n_fds);
	EXPECT_EQ(self->s.id, msg_handles(&self->s.a, &self->r)[1]);
	for (i = 0; i < 3; i++)
		EXPECT_TRUE(same_file(x[i],
				      msg_fds(&self->s.a, &self->r)[i]));
}

TEST_F(fds, go_to_every_receiver_of_a_multicast)
{
	__u64 d[2] = { self->s.h };
	int i, fd[2];

	d[1] = connect_new(self->a, 0x2000, self->b);
	ASSERT_EQ(0, send_full(self->b, d, 2, NULL, 0, NULL, 0, &self->p[1],
			       1, 0));
	close(self->p[1]);
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, recv_flags(&self->s.a, &self->r,
					BUS1_RECV_INSTALL_FDS));
		fd[i] = msg_fds(&self->s.a, &self->r)[0];
	}
	EXPECT_NE(fd[0], fd[1]);
	EXPECT_TRUE(same_file(fd[0], fd[1]));
	close(fd[0]);
	EXPECT_FALSE(hung_up(self->p[0]));
	close(fd[1]);
	EXPECT_TRUE(hung_up(self->p[0]));
}

TEST_F(fds, trap_14_not_asked_for_are_minus_1_and_counted)
{
	int x[2] = { self->p[1], self->p[1] }, i, n;

	ASSERT_EQ(0, send_fds(self->b, self->s.h, x, 2));
	close(self->p[1]);
	n = count_fds();
	ASSERT_EQ(0, recv_msg(&self->s.a, &self->r));
	EXPECT_EQ(2, self->r.n_fds);
	for (i = 0; i < 2; i++)
		EXPECT_EQ(-1, msg_fds(&self->s.a, &self->r)[i]);
	EXPECT_EQ(n, count_fds());
	EXPECT_TRUE(hung_up(self->p[0]));
}

TEST_F(fds, are_charged_until_dequeued)
{
	int x[4] = { self->p[1], self->p[1], self->p[1], self->p[1] };
	struct bus1_peer_info i;

	ASSERT_EQ(0, send_fds(self->b, self->s.h, x, 4));
	i = query(self->a);
	EXPECT_EQ(4, i.used_inflight_fds);
	EXPECT_EQ(slice_size(0, 0, 4), i.used_inflight_bytes);
	EXPECT_EQ(4, fdinfo_value(self->a, "claim", 4));
	ASSERT_EQ(0, recv_msg(&self->s.a, &self->r));
	i = query(self->a);
	EXPECT_EQ(0, i.used_inflight_fds);
	EXPECT_EQ(slice_size(0, 0, 4), i.used_inflight_bytes);
}

TEST_F(fds, that_are_not_open_are_ebadf)
{
	int bad[] = { -1, INT_MAX, INT_MIN, 4000, -100 }, x[2];
	size_t i;

	x[0] = self->p[1];
	for (i = 0; i < 5; i++) {
		x[1] = bad[i];
		EXPECT_EQ(-EBADF, send_fds(self->b, self->s.h, x, 2));
	}
	EXPECT_NOTHING_CHANGED();
	close(self->p[1]);
	EXPECT_TRUE(hung_up(self->p[0]));
}

TEST_F(fds, of_failed_sends_are_given_back)
{
	__u64 d = 0x4711;

	EXPECT_EQ(-ENXIO, send_fds(self->b, d, &self->p[1], 1));
	EXPECT_EQ(-EFAULT, send_full(self->b, &self->s.h, 1, ptr_noaccess(),
				     8, NULL, 0, &self->p[1], 1, 0));
	EXPECT_NOTHING_CHANGED();
	close(self->p[1]);
	EXPECT_TRUE(hung_up(self->p[0]));
}

TEST_F(fds, the_most_in_one_message_work)
{
	int x[BUS1_FD_MAX + 1], i, n;

	for (i = 0; i <= BUS1_FD_MAX; i++)
		x[i] = self->p[1];
	EXPECT_EQ(-EMSGSIZE, send_fds(self->b, self->s.h, x, BUS1_FD_MAX + 1));
	EXPECT_NOTHING_CHANGED();
	ASSERT_EQ(0, send_fds(self->b, self->s.h, x, BUS1_FD_MAX));
	n = count_fds();
	ASSERT_EQ(0, recv_flags(&self->s.a, &self->r, BUS1_RECV_INSTALL_FDS));
	EXPECT_EQ(n + BUS1_FD_MAX, count_fds());
	for (i = 0; i < BUS1_FD_MAX; i++)
		EXPECT_EQ(0, close(msg_fds(&self->s.a, &self->r)[i]));
}

TEST_F(fds, trap_18_beyond_the_limit_of_the_receiver_are_refused)
{
	struct bus1_peer_limits l = limits_keep();
	int x[6], i;

	for (i = 0; i < 6; i++)
		x[i] = self->p[1];
	l.max_inflight_fds = 10;
	ASSERT_EQ(0, sys_reset(self->a, &l, sizeof(l), 0));
	state_get(self->a, &self->sa);
	EXPECT_EQ(-EMSGSIZE, send_fds(self->b, self->s.h, x, 6));
	EXPECT_NOTHING_CHANGED();
	ASSERT_EQ(0, send_fds(self->b, self->s.h, x, 5));
	EXPECT_EQ(-EDQUOT, send_fds(self->b, self->s.h, x, 1));
	EXPECT_EQ(0, send_bytes(self->b, self->s.h, "x", 1));
}

TEST_F(fds, trap_22_that_could_form_a_cycle_are_eopnotsupp)
{
	struct io_uring_params params = {};
	int sv[2], ring, i;
	int types[] = { SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET };

	EXPECT_EQ(-EOPNOTSUPP, send_fds(self->b, self->s.h, &self->a, 1));
	EXPECT_EQ(-EOPNOTSUPP, send_fds(self->b, self->s.h, &self->b, 1));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, socketpair(AF_UNIX, types[i], 0, sv));
		EXPECT_EQ(-EOPNOTSUPP, send_fds(self->b, self->s.h, sv, 1));
	}
	ring = syscall(__NR_io_uring_setup, 1, &params);
	if (ring >= 0)
		EXPECT_EQ(-EOPNOTSUPP, send_fds(self->b, self->s.h, &ring, 1));
	EXPECT_NOTHING_CHANGED();
}

TEST_F(fds, of_other_kinds_can_be_sent)
{
	int x[5], i;

	x[0] = open("/dev/null", O_RDWR);
	x[1] = syscall(__NR_memfd_create, "bus1", 0);
	x[2] = syscall(__NR_eventfd2, 0, 0);
	x[3] = open("/", O_PATH);
	x[4] = open("/", O_RDONLY | O_DIRECTORY);
	ASSERT_EQ(0, send_fds(self->b, self->s.h, x, 5));
	ASSERT_EQ(0, recv_flags(&self->s.a, &self->r, BUS1_RECV_INSTALL_FDS));
	for (i = 0; i < 5; i++)
		EXPECT_TRUE(same_file(x[i],
				      msg_fds(&self->s.a, &self->r)[i]));
}

/* Leaves @room descriptors to this process. */
static int limit_fds(int room)
{
	struct rlimit r;
	int i, used = 0;

	for (i = 0; i < 1024; i++)
		if (fcntl(i, F_GETFD) >= 0)
			used = i + 1;
	for (i = 0; i < used; i++)
		if (fcntl(i, F_GETFD) < 0)
			dup2(0, i);
	r = (struct rlimit){ used + room, used + room };
	return setrlimit(RLIMIT_NOFILE, &r);
}

TEST_F(fds, without_room_are_emfile_and_nothing_is_lost)
{
	int x[3] = { self->p[1], self->p[1], self->p[1] }, n;
	__u64 new = 0x2000 | BUS1_HANDLE_FLAG_NEW;

	ASSERT_EQ(0, send_full(self->b, &self->s.h, 1, "abc", 3, &new, 1, x,
			       3, 0));
	ASSERT_EQ(0, limit_fds(2));
	state_get(self->a, &self->sa);
	n = count_fds();
	EXPECT_EQ(-EMFILE, recv_flags(&self->s.a, &self->r,
				      BUS1_RECV_INSTALL_FDS));
	EXPECT_EQ(BUS1_MSG_NONE, self->r.type);
	EXPECT_EQ(3, self->r.n_bytes);
	EXPECT_EQ(1, self->r.n_handles);
	EXPECT_EQ(3, self->r.n_fds);
	EXPECT_NE(BUS1_OFFSET_INVALID, self->r.offset);
	EXPECT_EQ(n, count_fds());
	EXPECT_TRUE(state_same(self->a, &self->sa));
	ASSERT_EQ(0, recv_msg(&self->s.a, &self->r));
	EXPECT_EQ(3, self->r.n_fds);
	EXPECT_EQ(-1, msg_fds(&self->s.a, &self->r)[2]);
}

TEST_F(fds, trap_14_unwritable_args_install_nothing)
{
	struct bus1_recv_args *ro = ptr_edge(4096);
	int n;

	ASSERT_EQ(0, send_fds(self->b, self->s.h, &self->p[1], 1));
	close(self->p[1]);
	ro->max_offset = self->s.a.pool_size;
	ASSERT_EQ(0, mprotect(ro, 4096, PROT_READ));
	state_get(self->a, &self->sa);
	n = count_fds();
	EXPECT_EQ(-EFAULT, sys_recv(self->a, ro, sizeof(*ro),
				    BUS1_RECV_INSTALL_FDS));
	EXPECT_EQ(n, count_fds());
	EXPECT_TRUE(state_same(self->a, &self->sa));
	EXPECT_FALSE(hung_up(self->p[0]));
	ASSERT_EQ(0, recv_flags(&self->s.a, &self->r, BUS1_RECV_INSTALL_FDS));
	EXPECT_EQ(n + 1, count_fds());
}

TEST_F(fds, erange_installs_nothing)
{
	int n;

	ASSERT_EQ(0, send_fds(self->b, self->s.h, &self->p[1], 1));
	state_get(self->a, &self->sa);
	n = count_fds();
	self->r = (struct bus1_recv_args){ .max_offset = 0 };
	EXPECT_EQ(-ERANGE, sys_recv(self->a, &self->r, sizeof(self->r),
				    BUS1_RECV_INSTALL_FDS));
	EXPECT_EQ(1, self->r.n_fds);
	EXPECT_EQ(n, count_fds());
	EXPECT_TRUE(state_same(self->a, &self->sa));
}

TEST_F(fds, of_a_closed_receiver_are_closed)
{
	ASSERT_EQ(0, send_fds(self->b, self->s.h, &self->p[1], 1));
	close(self->p[1]);
	EXPECT_FALSE(hung_up(self->p[0]));
	peer_close(&self->s.a);
	EXPECT_TRUE(hung_up(self->p[0]));
}

TEST_F(fds, of_a_flushed_receiver_are_closed)
{
	ASSERT_EQ(0, send_fds(self->b, self->s.h, &self->p[1], 1));
	close(self->p[1]);
	ASSERT_EQ(0, sys_reset(self->a, NULL, 0, BUS1_RESET_FLUSH));
	EXPECT_TRUE(hung_up(self->p[0]));
	EXPECT_EQ(0, query(self->a).used_inflight_fds);
}

TEST_F(fds, of_a_disconnected_receiver_are_closed)
{
	ASSERT_EQ(0, send_fds(self->b, self->s.h, &self->p[1], 1));
	close(self->p[1]);
	ASSERT_EQ(0, sys_disconnect(self->a, 0));
	EXPECT_TRUE(hung_up(self->p[0]));
}

TEST_F(fds, of_a_closed_sender_stay)
{
	ASSERT_EQ(0, send_fds(self->b, self->s.h, &self->p[1], 1));
	close(self->p[1]);
	peer_close(&self->s.b);
	ASSERT_EQ(0, recv_flags(&self->s.a, &self->r, BUS1_RECV_INSTALL_FDS));
	EXPECT_EQ(1, write(msg_fds(&self->s.a, &self->r)[0], "x", 1));
	EXPECT_FALSE(hung_up(self->p[0]));
}

/*
 * As a user with room for 64 descriptors: what is in flight counts too, until
 * it is received. Returns the step that went wrong.
 */
static int send_too_many(struct pair *s)
{
	struct rlimit l = { 64, 64 };
	struct bus1_recv_args r;
	int i, p[2], n = 0;

	if (become(61005) || setrlimit(RLIMIT_NOFILE, &l) || pipe(p))
		return 100;
	if (sys_reset(s->b.fd, NULL, 0, BUS1_RESET_FLUSH |
		      BUS1_RESET_FLUSH_SEED | BUS1_RESET_ADOPT))
		return 101;
	s->h = connect_peers(s->a.fd, s->id, s->b.fd);
	for (i = 0; i < 200; i++) {
		int e = send_fds(s->b.fd, s->h, p, 1);

		if (e == -ETOOMANYREFS)
			break;
		if (e)
			return 102;
		n++;
	}
	if (n < 60 || n > 66)
		return 103;
	if (send_bytes(s->b.fd, s->h, "x", 1))
		return 104;
	while (!recv_msg(&s->a, &r))
		slice_release_one(s->a.fd, r.offset);
	return send_fds(s->b.fd, s->h, p, 1) ? 105 : 0;
}

TEST_F(fds, in_flight_beyond_rlimit_nofile_are_etoomanyrefs)
{
	pid_t pid;

	if (geteuid())
		SKIP(return, "needs root to become another user");
	pid = fork();
	if (!pid)
		_exit(send_too_many(&self->s));
	EXPECT_EQ(0, wait_child(pid));
}

TEST_HARNESS_MAIN
