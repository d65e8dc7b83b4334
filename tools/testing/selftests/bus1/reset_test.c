// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 selftests: bus1_peer_reset()
 */
#include <pthread.h>
#include <stdatomic.h>

#include "common.h"

static const size_t limits_size = sizeof(struct bus1_peer_limits);

FIXTURE(reset) {
	struct pair s;
	struct state before;
};

FIXTURE_SETUP(reset)
{
	ASSERT_EQ(0, pair_open(&self->s));
	ASSERT_EQ(0, send_bytes(self->s.b.fd, self->s.h, "hello", 5));
	state_get(self->s.a.fd, &self->before);
}

FIXTURE_TEARDOWN(reset)
{
	pair_close(&self->s);
}

TEST_F(reset, of_what_is_no_peer_is_ebadf)
{
	int k;

	for (k = 0; k < N_NOT_PEERS; k++)
		EXPECT_EQ(-EBADF, sys_reset(not_a_peer(k), NULL, 0, 0));
	EXPECT_EQ(-EBADF, sys_reset(-1, NULL, 1, ~0U));
}

TEST_F(reset, with_unknown_flags_is_einval)
{
	int bit;

	for (bit = 3; bit < 32; bit++)
		EXPECT_EQ(-EINVAL, sys_reset(self->s.a.fd, NULL, 0,
					     1U << bit));
	EXPECT_EQ(-EINVAL, sys_reset(self->s.a.fd, NULL, 0, ~0U));
	EXPECT_TRUE(state_same(self->s.a.fd, &self->before));
}

TEST_F(reset, adopt_without_both_flushes_is_einval)
{
	int fd = self->s.a.fd;

	EXPECT_EQ(-EINVAL, sys_reset(fd, NULL, 0, BUS1_RESET_ADOPT));
	EXPECT_EQ(-EINVAL, sys_reset(fd, NULL, 0, BUS1_RESET_ADOPT |
						  BUS1_RESET_FLUSH));
	EXPECT_EQ(-EINVAL, sys_reset(fd, NULL, 0, BUS1_RESET_ADOPT |
						  BUS1_RESET_FLUSH_SEED));
	EXPECT_TRUE(state_same(fd, &self->before));
}

TEST_F(reset, limits_smaller_than_version_0_are_einval)
{
	struct bus1_peer_limits l = limits_keep();
	size_t n;

	for (n = 0; n < limits_size; n++)
		EXPECT_EQ(-EINVAL, sys_reset(self->s.a.fd, &l, n,
					     BUS1_RESET_FLUSH));
	EXPECT_TRUE(state_same(self->s.a.fd, &self->before));
}

TEST_F(reset, limits_larger_need_a_zero_tail)
{
	struct bus1_peer_limits l[2] = { limits_keep() };
	int fd = self->s.a.fd;
	size_t n;

	for (n = limits_size; n <= sizeof(l); n++)
		EXPECT_EQ(0, sys_reset(fd, l, n, 0));
	for (n = 0; n < limits_size; n++) {
		memset(&l[1], 0, limits_size);
		((char *)&l[1])[n] = 1;
		EXPECT_EQ(-E2BIG, sys_reset(fd, l, sizeof(l),
					    BUS1_RESET_FLUSH));
	}
	EXPECT_TRUE(state_same(fd, &self->before));
}

TEST_F(reset, limits_at_a_bad_pointer_are_efault)
{
	int fd = self->s.a.fd, f = BUS1_RESET_FLUSH;

	EXPECT_EQ(-EFAULT, sys_reset(fd, NULL, limits_size, f));
	EXPECT_EQ(-EFAULT, sys_reset(fd, ptr_noaccess(), limits_size, f));
	EXPECT_EQ(-EFAULT, sys_reset(fd, ptr_kernel(), limits_size, f));
	EXPECT_EQ(-EFAULT, sys_reset(fd, ptr_edge(8), limits_size, f));
	EXPECT_EQ(-EFAULT, sys_reset(fd, ptr_edge(limits_size),
				     limits_size + 8, f));
	EXPECT_TRUE(state_same(fd, &self->before));
}

TEST_F(reset, limits_of_a_huge_size_are_refused)
{
	int r = sys_reset(self->s.a.fd, ptr_edge(limits_size), SIZE_MAX,
			  BUS1_RESET_FLUSH);

	EXPECT_TRUE(r == -EFAULT || r == -E2BIG);
	EXPECT_TRUE(state_same(self->s.a.fd, &self->before));
}

TEST_F(reset, limits_that_are_not_aligned_are_einval)
{
	unsigned char *p = ptr_edge(64);
	int k;

	memset(p, 0xff, 64);
	for (k = 1; k < 8; k++)
		EXPECT_EQ(-EINVAL, sys_reset(self->s.a.fd, p + k, limits_size,
					     BUS1_RESET_FLUSH));
	EXPECT_TRUE(state_same(self->s.a.fd, &self->before));
}

TEST_F(reset, limits_above_int_max_are_einval)
{
	static const __u64 bad[] = { 1ULL + INT_MAX, 1ULL << 32, 1ULL << 63,
				     BUS1_LIMIT_KEEP - 1 };
	struct bus1_peer_limits l;
	size_t i, k;

	for (i = 0; i < 4; i++) {
		for (k = 0; k < 4; k++) {
			l = (struct bus1_peer_limits){ 7, 7, 7, 7 };
			((__u64 *)&l)[i] = bad[k];
			EXPECT_EQ(-EINVAL, sys_reset(self->s.a.fd, &l,
						     sizeof(l),
						     BUS1_RESET_FLUSH));
		}
	}
	EXPECT_TRUE(state_same(self->s.a.fd, &self->before));
}

TEST_F(reset, sets_each_limit_and_keeps_the_others)
{
	struct bus1_peer_info want = self->before.info, got;
	struct bus1_peer_limits l;
	int i;

	for (i = 0; i < 4; i++) {
		l = limits_keep();
		((__u64 *)&l)[i] = 1000 + i;
		((__u64 *)&want)[i] = 1000 + i;
		ASSERT_EQ(0, sys_reset(self->s.a.fd, &l, sizeof(l), 0));
		got = query(self->s.a.fd);
		EXPECT_EQ(0, memcmp(&want, &got, sizeof(got)));
	}
}

TEST_F(reset, without_limits_and_flags_changes_nothing)
{
	EXPECT_EQ(0, sys_reset(self->s.a.fd, NULL, 0, 0));
	EXPECT_TRUE(state_same(self->s.a.fd, &self->before));
}

TEST_F(reset, below_what_is_used_takes_nothing_away)
{
	struct bus1_peer_limits l = {};
	struct bus1_recv_args r;

	ASSERT_EQ(0, sys_reset(self->s.a.fd, &l, sizeof(l), 0));
	EXPECT_EQ(1, query(self->s.a.fd).used_slices);
	EXPECT_EQ(-EMSGSIZE, send_bytes(self->s.b.fd, self->s.h, "x", 1));
	ASSERT_EQ(0, recv_msg(&self->s.a, &r));
	EXPECT_EQ(0, memcmp(msg_payload(&self->s.a, &r), "hello", 5));
	EXPECT_EQ(0, slice_release_one(self->s.a.fd, r.offset));
	l = limits_keep();
	l.max_slices = 2;
	l.max_inflight_bytes = 16;
	ASSERT_EQ(0, sys_reset(self->s.a.fd, &l, sizeof(l), 0));
	EXPECT_EQ(0, send_bytes(self->s.b.fd, self->s.h, "x", 1));
}

TEST_F(reset, flush_drops_everything)
{
	struct bus1_recv_args r;
	int a = self->s.a.fd;

	ASSERT_EQ(0, recv_msg(&self->s.a, &r));
	ASSERT_EQ(0, send_bytes(self->s.b.fd, self->s.h, "x", 1));
	ASSERT_EQ(0, sys_reset(a, NULL, 0, BUS1_RESET_FLUSH));
	EXPECT_TRUE(peer_is_clean(a));
	EXPECT_EQ(-EAGAIN, recv_msg(&self->s.a, &r));
	EXPECT_EQ(-ENXIO, slice_release_one(a, 0));
	EXPECT_EQ(-ENXIO, release_one(a, self->s.id));
	EXPECT_EQ(-ENXIO, destroy_one(a, self->s.id));
}

TEST_F(reset, flush_destroys_nodes_for_their_holders)
{
	struct bus1_recv_args r;

	ASSERT_EQ(0, sys_reset(self->s.a.fd, NULL, 0, BUS1_RESET_FLUSH));
	EXPECT_EQ(-EHOSTUNREACH, send_bytes(self->s.b.fd, self->s.h, "x", 1));
	ASSERT_EQ(0, recv_msg(&self->s.b, &r));
	EXPECT_EQ(BUS1_MSG_NODE_DESTROY, r.type);
	EXPECT_EQ(self->s.h, r.destination);
}

TEST_F(reset, flush_gives_up_remote_handles)
{
	struct bus1_recv_args r;

	ASSERT_EQ(1, drain(&self->s.a));
	ASSERT_EQ(0, sys_reset(self->s.b.fd, NULL, 0, BUS1_RESET_FLUSH));
	EXPECT_EQ(-ENXIO, send_bytes(self->s.b.fd, self->s.h, "x", 1));
	ASSERT_EQ(0, recv_msg(&self->s.a, &r));
	EXPECT_EQ(BUS1_MSG_NODE_RELEASE, r.type);
}

TEST_F(reset, flushed_peer_can_be_used_again)
{
	struct bus1_recv_args r;
	__u64 h;

	ASSERT_EQ(0, sys_reset(self->s.a.fd, NULL, 0, BUS1_RESET_FLUSH));
	h = connect_new(self->s.a.fd, self->s.id, self->s.b.fd);
	ASSERT_NE(BUS1_HANDLE_INVALID, h);
	EXPECT_NE(self->s.h, h);
	ASSERT_EQ(0, send_bytes(self->s.b.fd, h, "again", 5));
	ASSERT_EQ(0, recv_msg(&self->s.a, &r));
	EXPECT_EQ(self->s.id, r.destination);
	EXPECT_EQ(0, memcmp(msg_payload(&self->s.a, &r), "again", 5));
}

TEST_F(reset, flush_never_gives_an_id_again)
{
	int b = self->s.b.fd;
	__u64 h;

	ASSERT_EQ(0, sys_reset(b, NULL, 0, BUS1_RESET_FLUSH));
	h = connect_peers(self->s.a.fd, self->s.id, b);
	ASSERT_NE(BUS1_HANDLE_INVALID, h);
	EXPECT_NE(self->s.h, h);
}

TEST_F(reset, flush_withdraws_what_it_sent_from_nobody)
{
	struct bus1_recv_args r;

	ASSERT_EQ(0, sys_reset(self->s.b.fd, NULL, 0, BUS1_RESET_FLUSH));
	ASSERT_EQ(0, recv_msg(&self->s.a, &r));
	EXPECT_EQ(BUS1_MSG_DATA, r.type);
	EXPECT_EQ(0, memcmp(msg_payload(&self->s.a, &r), "hello", 5));
}

static int make_seed(int fd, const __u64 *handles, size_t n)
{
	return send_full(fd, NULL, 0, "seed", 4, handles, n, NULL, 0,
			 BUS1_SEND_SEED);
}

TEST_F(reset, flush_keeps_the_seed_its_nodes_and_their_messages)
{
	__u64 pinned = 0x8000 | BUS1_HANDLE_FLAG_NEW, h;
	struct bus1_recv_args r;
	int a = self->s.a.fd, b = self->s.b.fd;

	ASSERT_EQ(0, make_seed(a, &pinned, 1));
	h = connect_peers(a, 0x8000, b);
	ASSERT_NE(BUS1_HANDLE_INVALID, h);
	ASSERT_EQ(0, send_bytes(b, h, "to the seed", 11));
	ASSERT_EQ(0, sys_reset(a, NULL, 0, BUS1_RESET_FLUSH));
	EXPECT_EQ(1, query(a).n_nodes);
	EXPECT_EQ(1, query(a).n_queued);
	ASSERT_EQ(0, recv_msg(&self->s.a, &r));
	EXPECT_EQ(0x8000, r.destination);
	EXPECT_EQ(0, memcmp(msg_payload(&self->s.a, &r), "to the seed", 11));
	EXPECT_EQ(0, send_bytes(b, h, "alive", 5));
	EXPECT_EQ(-EHOSTUNREACH, send_bytes(b, self->s.h, "dead", 4));
	ASSERT_EQ(0, recv_flags(&self->s.a, &r, BUS1_RECV_SEED));
	EXPECT_EQ(0x8000, msg_handles(&self->s.a, &r)[0]);
}

TEST_F(reset, flush_makes_handles_invalid_in_messages_that_stay)
{
	__u64 pinned = 0x8000 | BUS1_HANDLE_FLAG_NEW, carried[2];
	struct bus1_recv_args r;
	int a = self->s.a.fd, b = self->s.b.fd;

	ASSERT_EQ(0, make_seed(a, &pinned, 1));
	carried[0] = self->s.h;
	carried[1] = connect_peers(a, 0x8000, b);
	ASSERT_EQ(0, send_handles(b, carried[1], carried, 2));
	ASSERT_EQ(0, sys_reset(a, NULL, 0, BUS1_RESET_FLUSH));
	ASSERT_EQ(0, recv_msg(&self->s.a, &r));
	ASSERT_EQ(2, r.n_handles);
	EXPECT_EQ(BUS1_HANDLE_INVALID, msg_handles(&self->s.a, &r)[0]);
	EXPECT_EQ(0x8000, msg_handles(&self->s.a, &r)[1]);
}

TEST_F(reset, flush_seed_drops_the_seed_alone)
{
	struct bus1_recv_args r;
	int a = self->s.a.fd;

	ASSERT_EQ(0, make_seed(a, NULL, 0));
	ASSERT_EQ(0, sys_reset(a, NULL, 0, BUS1_RESET_FLUSH_SEED));
	EXPECT_EQ(-EAGAIN, recv_flags(&self->s.a, &r, BUS1_RECV_SEED));
	EXPECT_TRUE(state_same(a, &self->before));
}

TEST_F(reset, both_flushes_drop_pinned_nodes_too)
{
	__u64 pinned = 0x8000 | BUS1_HANDLE_FLAG_NEW;
	int a = self->s.a.fd;

	ASSERT_EQ(0, make_seed(a, &pinned, 1));
	ASSERT_EQ(0, sys_reset(a, NULL, 0, BUS1_RESET_FLUSH |
					   BUS1_RESET_FLUSH_SEED));
	EXPECT_TRUE(peer_is_clean(a));
}

#define BOTH_AND_ADOPT \
	(BUS1_RESET_FLUSH | BUS1_RESET_FLUSH_SEED | BUS1_RESET_ADOPT)

/* The child adopts @p, connects to @id of @p's holder and says hello. */
static int adopt_and_send(struct peer *p, struct peer *dst)
{
	__u64 h;

	if (become(61002) || sys_reset(p->fd, NULL, 0, BOTH_AND_ADOPT))
		return 1;
	h = connect_peers(dst->fd, PAIR_NODE, p->fd);
	return h == BUS1_HANDLE_INVALID || send_bytes(p->fd, h, "me", 2);
}

TEST_F(reset, adopt_takes_the_identity_of_the_caller)
{
	struct bus1_recv_args r;
	pid_t pid;

	if (geteuid())
		SKIP(return, "needs root to become another user");
	ASSERT_EQ(0, recv_msg(&self->s.a, &r));
	EXPECT_EQ(0, r.sender_uid);
	EXPECT_EQ(getpid(), r.sender_pid);
	ASSERT_EQ(0, slice_release_one(self->s.a.fd, r.offset));
	pid = fork();
	if (!pid)
		_exit(adopt_and_send(&self->s.b, &self->s.a));
	ASSERT_EQ(0, wait_child(pid));
	while (!recv_msg(&self->s.a, &r) && r.type != BUS1_MSG_DATA)
		;
	ASSERT_EQ(BUS1_MSG_DATA, r.type);
	EXPECT_EQ(61002, r.sender_uid);
	EXPECT_EQ(61002, r.sender_gid);
	EXPECT_EQ(61002, fdinfo_value(self->s.a.fd, "claim", 0));
}

/* With a limit of one peer: an adopted peer is that one. */
static int adopt_and_open(struct peer *p)
{
	int fd, r;

	if (become(61003))
		return 1;
	fd = sys_open(NULL, 0, 0);
	if (fd < 0)
		return 2;
	close(fd);
	if (sys_reset(p->fd, NULL, 0, BOTH_AND_ADOPT))
		return 3;
	r = sys_open(NULL, 0, 0);
	return r == -ENOSPC ? 0 : 4;
}

TEST_F(reset, adopt_moves_the_peer_to_the_user_of_the_caller)
{
	static const char max[] = "/proc/sys/user/max_bus1_peers";
	char old[32];
	pid_t pid;

	if (geteuid())
		SKIP(return, "needs root to lower %s", max);
	ASSERT_LT(0, read_file(max, old, sizeof(old)));
	ASSERT_EQ(0, write_file(max, "1"));
	pid = fork();
	if (!pid)
		_exit(adopt_and_open(&self->s.b));
	EXPECT_EQ(0, wait_child(pid));
	EXPECT_EQ(0, write_file(max, old));
}

/* With a limit of one peer, and one: there is no room to adopt another. */
static int open_and_adopt(struct peer *p)
{
	if (become(61003))
		return 1;
	if (sys_open(NULL, 0, 0) < 0)
		return 2;
	return sys_reset(p->fd, NULL, 0, BOTH_AND_ADOPT) != -ENOSPC;
}

TEST_F(reset, adopt_beyond_the_limit_of_the_caller_is_enospc)
{
	static const char max[] = "/proc/sys/user/max_bus1_peers";
	char old[32];
	pid_t pid;

	if (geteuid())
		SKIP(return, "needs root to lower %s", max);
	ASSERT_LT(0, read_file(max, old, sizeof(old)));
	ASSERT_EQ(0, write_file(max, "1"));
	pid = fork();
	if (!pid)
		_exit(open_and_adopt(&self->s.b));
	EXPECT_EQ(0, wait_child(pid));
	EXPECT_EQ(0, write_file(max, old));
	EXPECT_EQ(0, query(self->s.b.fd).n_handles);
}

/*
 * What a sender has charged and not committed yet is charged all the same. The
 * thread sends messages that take long to copy to whatever handle is current.
 */
struct flood {
	int fd;
	_Atomic __u64 h;
	atomic_bool stop;
	atomic_int wrong;
};

static void *send_large(void *arg)
{
	static char buf[4 << 20];
	struct flood *f = arg;
	int r;

	while (!atomic_load(&f->stop)) {
		r = send_bytes(f->fd, atomic_load(&f->h), buf, sizeof(buf));
		if (r && r != -EHOSTUNREACH && r != -ENXIO && r != -EDQUOT &&
		    r != -EXFULL)
			atomic_store(&f->wrong, r);
	}
	return NULL;
}

static time_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

TEST_F(reset, adopt_while_something_is_charged_is_ebusy)
{
	struct flood f = { .fd = self->s.b.fd, .h = self->s.h };
	int r = 0, a = self->s.a.fd;
	time_t end = now() + 20;
	pthread_t t;

	ASSERT_EQ(0, pthread_create(&t, NULL, send_large, &f));
	while (r != -EBUSY && now() < end) {
		r = sys_reset(a, NULL, 0, BOTH_AND_ADOPT);
		EXPECT_TRUE(!r || r == -EBUSY);
		EXPECT_EQ(0, query(a).n_nodes);
		release_one(f.fd, atomic_load(&f.h));
		atomic_store(&f.h, connect_new(a, self->s.id, f.fd));
	}
	atomic_store(&f.stop, true);
	pthread_join(t, NULL);
	EXPECT_EQ(0, atomic_load(&f.wrong));
	if (sysconf(_SC_NPROCESSORS_ONLN) > 1)
		EXPECT_EQ(-EBUSY, r);
	EXPECT_EQ(0, sys_reset(a, NULL, 0, BOTH_AND_ADOPT));
}

TEST_F(reset, adopt_keeps_id_limits_and_counts)
{
	struct bus1_peer_info old = self->before.info, new;

	ASSERT_EQ(0, sys_reset(self->s.a.fd, NULL, 0, BOTH_AND_ADOPT));
	new = query(self->s.a.fd);
	EXPECT_EQ(0, memcmp(&old, &new, limits_size));
	EXPECT_EQ(old.id, new.id);
	EXPECT_TRUE(peer_is_clean(self->s.a.fd));
}

TEST_F(reset, trap_10_flush_of_many_messages_leaves_nothing)
{
	char buf[300] = {};
	int i, a = self->s.a.fd;

	for (i = 0; i < 500; i++)
		ASSERT_EQ(0, send_bytes(self->s.b.fd, self->s.h, buf, i % 300));
	ASSERT_EQ(0, sys_reset(a, NULL, 0, BUS1_RESET_FLUSH));
	EXPECT_TRUE(peer_is_clean(a));
	EXPECT_EQ(-1, fdinfo_value(a, "claim", 0));
}

TEST_HARNESS_MAIN
