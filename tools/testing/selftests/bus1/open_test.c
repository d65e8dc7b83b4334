// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 selftests: bus1_open(), and the numbers of all calls
 */
#include <sys/ioctl.h>
#include <sys/resource.h>

#include "knobs.h"

static const size_t limits_size = sizeof(struct bus1_peer_limits);

TEST(every_call_has_its_number)
{
	EXPECT_EQ(-EBADF, sys_disconnect(-1, 0));
	EXPECT_EQ(-EBADF, sys_query(-1, NULL, 0, 0));
	EXPECT_EQ(-EBADF, sys_reset(-1, NULL, 0, 0));
	EXPECT_EQ(-EBADF, sys_transfer(-1, -1, NULL, NULL, 0, 0));
	EXPECT_EQ(-EBADF, sys_release(-1, NULL, 0, 0));
	EXPECT_EQ(-EBADF, sys_destroy(-1, NULL, 0, 0));
	EXPECT_EQ(-EBADF, sys_slice_release(-1, NULL, 0, 0));
	EXPECT_EQ(-EBADF, sys_send(-1, NULL, 0, 0));
	EXPECT_EQ(-EBADF, sys_recv(-1, NULL, 0, 0));
	EXPECT_EQ(-EBADF, sys_call(-1, NULL, 0, NULL, 0, 0));
}

TEST(struct_sizes_are_those_of_version_0)
{
	EXPECT_EQ(BUS1_PEER_LIMITS_SIZE_VER0, sizeof(struct bus1_peer_limits));
	EXPECT_EQ(BUS1_PEER_INFO_SIZE_VER0, sizeof(struct bus1_peer_info));
	EXPECT_EQ(BUS1_SEND_ARGS_SIZE_VER0, sizeof(struct bus1_send_args));
	EXPECT_EQ(BUS1_RECV_ARGS_SIZE_VER0, sizeof(struct bus1_recv_args));
}

TEST(returns_a_close_on_exec_bus1_file)
{
	char path[64], link[64] = {};
	int fd = sys_open(NULL, 0, 0);

	ASSERT_LE(0, fd);
	EXPECT_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ASSERT_LT(0, readlink(path, link, sizeof(link) - 1));
	EXPECT_STREQ("anon_inode:[bus1]", link);
	EXPECT_EQ(0, close(fd));
}

TEST(nonblock_flag_sets_o_nonblock)
{
	int a = sys_open(NULL, 0, 0);
	int b = sys_open(NULL, 0, BUS1_OPEN_NONBLOCK);

	ASSERT_LE(0, a);
	ASSERT_LE(0, b);
	EXPECT_EQ(0, fcntl(a, F_GETFL) & O_NONBLOCK);
	EXPECT_EQ(O_NONBLOCK, fcntl(b, F_GETFL) & O_NONBLOCK);
}

TEST(unknown_flags_are_einval)
{
	int bit, n = count_fds();

	for (bit = 1; bit < 32; bit++)
		EXPECT_EQ(-EINVAL, sys_open(NULL, 0, 1U << bit));
	EXPECT_EQ(-EINVAL, sys_open(NULL, 0, ~0U));
	EXPECT_EQ(n, count_fds());
}

TEST(a_new_peer_holds_nothing)
{
	int fd = sys_open(NULL, 0, 0);
	struct bus1_peer_info i;

	ASSERT_LE(0, fd);
	i = query(fd);
	EXPECT_TRUE(peer_is_clean(fd));
	EXPECT_EQ(0, i.n_sent);
	EXPECT_EQ(0, i.n_received);
}

TEST(an_idle_peer_has_no_pool)
{
	int fd = sys_open(NULL, 0, 0);

	ASSERT_LE(0, fd);
	EXPECT_EQ(0, fdinfo_value(fd, "pool", 0));
}

TEST(ids_of_peers_are_never_used_again)
{
	__u64 id[16];
	int i, j, fd, keep = sys_open(NULL, 0, 0);

	ASSERT_LE(0, keep);
	id[0] = query(keep).id;
	for (i = 1; i < 16; i++) {
		fd = sys_open(NULL, 0, 0);
		ASSERT_LE(0, fd);
		id[i] = query(fd).id;
		for (j = 0; j < i; j++)
			EXPECT_NE(id[j], id[i]);
		close(fd);
	}
}

TEST(limits_smaller_than_version_0_are_einval)
{
	struct bus1_peer_limits l[2] = { limits_keep() };
	size_t n;

	for (n = 0; n < limits_size; n++)
		EXPECT_EQ(-EINVAL, sys_open(l, n, 0));
}

TEST(limits_larger_with_zero_tail_are_accepted)
{
	struct bus1_peer_limits l[2] = { limits_keep() };
	size_t n;
	int fd;

	for (n = limits_size; n <= sizeof(l); n++) {
		fd = sys_open(l, n, 0);
		ASSERT_LE(0, fd);
		close(fd);
	}
}

TEST(limits_larger_with_a_tail_are_e2big)
{
	struct bus1_peer_limits l[2] = { limits_keep() };
	unsigned char *tail = (void *)&l[1];
	size_t n;

	for (n = 0; n < limits_size; n++) {
		memset(tail, 0, limits_size);
		tail[n] = 1;
		EXPECT_EQ(-E2BIG, sys_open(l, limits_size + n + 1, 0));
	}
}

TEST(limits_of_a_huge_size_are_refused)
{
	struct bus1_peer_limits *l = ptr_edge(limits_size);
	int r;

	*l = limits_keep();
	r = sys_open(l, SIZE_MAX, 0);
	EXPECT_TRUE(r == -E2BIG || r == -EFAULT);
	EXPECT_EQ(-EFAULT, sys_open(l, limits_size + 8, 0));
	r = sys_open(l, 1UL << 30, 0);
	EXPECT_TRUE(r == -E2BIG || r == -EFAULT);
}

TEST(limits_at_a_bad_pointer_are_efault)
{
	int n = count_fds();

	EXPECT_EQ(-EFAULT, sys_open(NULL, limits_size, 0));
	EXPECT_EQ(-EFAULT, sys_open(ptr_noaccess(), limits_size, 0));
	EXPECT_EQ(-EFAULT, sys_open(ptr_kernel(), limits_size, 0));
	EXPECT_EQ(-EFAULT, sys_open(ptr_edge(8), limits_size, 0));
	EXPECT_EQ(n, count_fds());
}

TEST(limits_that_are_not_aligned_are_einval)
{
	unsigned char *p = ptr_edge(128);
	size_t n;

	memset(p, 0xff, 128);
	for (n = 1; n < 8; n++)
		EXPECT_EQ(-EINVAL, sys_open(p + n, limits_size, 0));
}

TEST(limits_above_int_max_are_einval)
{
	static const __u64 bad[] = { 1ULL + INT_MAX, 1ULL << 32, 1ULL << 63,
				     BUS1_LIMIT_KEEP - 1 };
	struct bus1_peer_limits l;
	size_t i, k;

	for (i = 0; i < 4; i++) {
		for (k = 0; k < 4; k++) {
			l = limits_keep();
			((__u64 *)&l)[i] = bad[k];
			EXPECT_EQ(-EINVAL, sys_open(&l, sizeof(l), 0));
		}
	}
}

/* And reserved, if the user may have as much. */
TEST(limits_up_to_int_max_are_taken)
{
	static const __u64 good[] = { 0, 1, 4711, INT_MAX };
	char old[32], most[32];
	struct bus1_peer_limits l;
	struct bus1_peer_info info;
	size_t i, k;
	int fd;

	for (i = 0; i < 4; i++) {
		for (k = 0; k < 4; k++) {
			l = limits_keep();
			((__u64 *)&l)[i] = good[k];
			ASSERT_LT(0, read_file(knob[i], old, sizeof(old)));
			snprintf(most, sizeof(most), "%d", INT_MAX);
			fd = sys_open(&l, sizeof(l), 0);
			/* Of bytes all fit, which are counted in KiB. */
			if (fd < 0 && k == 3 && i != 2) {
				EXPECT_EQ(-ENOSPC, fd);
				if (write_file(knob[i], most))
					continue;
				fd = sys_open(&l, sizeof(l), 0);
				EXPECT_EQ(0, write_file(knob[i], old));
			}
			ASSERT_LE(0, fd);
			info = query(fd);
			EXPECT_EQ(good[k], ((__u64 *)&info)[i]);
			close(fd);
		}
	}
}

static __u64 sysctl_value(const char *path)
{
	char buf[32];

	if (read_file(path, buf, sizeof(buf)) <= 0)
		return -1;
	return strtoull(buf, NULL, 10);
}

TEST(limits_default_to_a_512th_of_the_sysctl)
{
	struct bus1_peer_limits keep = limits_keep();
	struct bus1_peer_info a, b;

	a = query(sys_open(NULL, 0, 0));
	b = query(sys_open(&keep, sizeof(keep), 0));
	EXPECT_EQ(0, memcmp(&a, &b, sizeof(keep)));
	EXPECT_EQ(sysctl_value("/proc/sys/kernel/bus1/max_slices") / 512,
		  a.max_slices);
	EXPECT_EQ(sysctl_value("/proc/sys/kernel/bus1/max_handles") / 512,
		  a.max_handles);
	EXPECT_EQ(sysctl_value("/proc/sys/kernel/bus1/max_inflight_kbytes") * 2,
		  a.max_inflight_bytes);
	EXPECT_EQ(sysctl_value("/proc/sys/kernel/bus1/max_inflight_fds") / 512,
		  a.max_inflight_fds);
}

TEST(file_has_no_read_write_or_ioctl)
{
	int fd = sys_open(NULL, 0, BUS1_OPEN_NONBLOCK);
	char c = 0;

	ASSERT_LE(0, fd);
	EXPECT_EQ(-1, read(fd, &c, 1));
	EXPECT_TRUE(errno == EINVAL || errno == EBADF);
	EXPECT_EQ(-1, write(fd, &c, 1));
	EXPECT_TRUE(errno == EINVAL || errno == EBADF);
	EXPECT_EQ(-1, ioctl(fd, 0x9601, &c));
	EXPECT_EQ(ENOTTY, errno);
}

/* Runs as a user of its own whose limit of peers is @max. */
static int count_peers(int max, bool disconnect)
{
	int i, fd, last = -1;

	if (become(61001))
		return 100;
	for (i = 0; i < max; i++) {
		last = sys_open(NULL, 0, 0);
		if (last < 0)
			return 1;
	}
	if (sys_open(NULL, 0, 0) != -ENOSPC)
		return 2;
	if (disconnect && (sys_disconnect(last, 0) ||
			   sys_open(NULL, 0, 0) != -ENOSPC))
		return 3;
	close(last);
	fd = sys_open(NULL, 0, 0);
	return fd < 0 ? 4 : 0;
}

#define MAX_PEERS	"/proc/sys/user/max_bus1_peers"

FIXTURE(peers) {
	char old[32];
};

FIXTURE_SETUP(peers)
{
	if (geteuid())
		SKIP(return, "needs root to lower " MAX_PEERS);
	ASSERT_LT(0, read_file(MAX_PEERS, self->old, sizeof(self->old)));
}

FIXTURE_TEARDOWN(peers)
{
	write_file(MAX_PEERS, self->old);
}

TEST_F(peers, default_is_4096)
{
	EXPECT_EQ(4096, atoi(self->old));
}

TEST_F(peers, beyond_the_limit_are_enospc)
{
	pid_t pid;

	ASSERT_EQ(0, write_file(MAX_PEERS, "5"));
	pid = fork();
	if (!pid)
		_exit(count_peers(5, false));
	EXPECT_EQ(0, wait_child(pid));
}

TEST_F(peers, disconnected_still_count_until_closed)
{
	pid_t pid;

	ASSERT_EQ(0, write_file(MAX_PEERS, "3"));
	pid = fork();
	if (!pid)
		_exit(count_peers(3, true));
	EXPECT_EQ(0, wait_child(pid));
}

/* Others may hold dead handles to a closed peer; it counts no longer. */
static int close_while_others_hold(void)
{
	__u64 id = BUS1_HANDLE_FLAG_NEW, h;
	int i, fd, holder;

	if (become(61001))
		return 100;
	holder = sys_open(NULL, 0, 0);
	for (i = 0; i < 20; i++) {
		fd = sys_open(NULL, 0, 0);
		if (fd < 0)
			return 1;
		if (sys_transfer(fd, holder, &id, &h, 1, 0))
			return 2;
		close(fd);
	}
	return query(holder).n_handles == 20 ? 0 : 3;
}

TEST_F(peers, closed_do_not_count_whoever_holds_their_handles)
{
	pid_t pid;

	ASSERT_EQ(0, write_file(MAX_PEERS, "3"));
	pid = fork();
	if (!pid)
		_exit(close_while_others_hold());
	EXPECT_EQ(0, wait_child(pid));
}

/* What failed must not have been counted: the limit is reached afterwards. */
static int fail_with_emfile(void)
{
	struct rlimit r = { 64, 64 };
	int i, n = 0;

	if (setrlimit(RLIMIT_NOFILE, &r))
		return 101;
	while (dup(0) >= 0)
		;
	for (i = 0; i < 20; i++)
		if (sys_open(NULL, 0, 0) != -EMFILE)
			return 5;
	for (i = 32; i < 64; i++)
		n += !close(i);
	return n != 32 ? 6 : count_peers(10, false);
}

TEST_F(peers, trap_06_open_that_fails_with_emfile_leaves_nothing)
{
	pid_t pid;

	ASSERT_EQ(0, write_file(MAX_PEERS, "10"));
	pid = fork();
	if (!pid)
		_exit(fail_with_emfile());
	EXPECT_EQ(0, wait_child(pid));
}

/* The kernel's count of open files is rough below some hundreds of them. */
static int fail_with_enfile(int go, int done)
{
	char c;
	int i;

	for (i = 0; i < 500; i++)
		if (open("/dev/null", O_RDONLY) < 0)
			return 102;
	if (write(done, "x", 1) != 1 || read(go, &c, 1) != 1)
		return 103;
	if (become(61001))
		return 100;
	for (i = 0; i < 20; i++)
		if (sys_open(NULL, 0, 0) != -ENFILE)
			return 7;
	if (write(done, "x", 1) != 1 || read(go, &c, 1) != 1)
		return 8;
	return count_peers(10, false);
}

TEST_F(peers, trap_06_open_that_fails_with_enfile_leaves_nothing)
{
	static const char file_max[] = "/proc/sys/fs/file-max";
	int go[2], done[2];
	char old[32], c;
	pid_t pid;

	ASSERT_LT(0, read_file(file_max, old, sizeof(old)));
	ASSERT_EQ(0, write_file(MAX_PEERS, "10"));
	ASSERT_EQ(0, pipe(go));
	ASSERT_EQ(0, pipe(done));
	pid = fork();
	if (!pid) {
		close(done[0]);
		_exit(fail_with_enfile(go[0], done[1]));
	}
	close(done[1]);
	ASSERT_EQ(1, read(done[0], &c, 1));
	ASSERT_EQ(0, write_file(file_max, "1"));
	ASSERT_EQ(1, write(go[1], "x", 1));
	if (read(done[0], &c, 1) != 1)
		c = 0;
	EXPECT_EQ(0, write_file(file_max, old));
	EXPECT_EQ('x', c);
	EXPECT_EQ(1, write(go[1], "x", 1));
	EXPECT_EQ(0, wait_child(pid));
}

TEST_HARNESS_MAIN
