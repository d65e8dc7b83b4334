// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 selftests: users, their limits and their namespaces
 */
#include "knobs.h"
#include "stress.h"

#include <sys/resource.h>

#define NODE	8ULL

FIXTURE(user) {
	struct knobs saved;
	struct peer sender;
	__u64 to;
};

FIXTURE_SETUP(user)
{
	if (geteuid())
		SKIP(return, "only root can open peers of other users");
	ASSERT_TRUE(knobs_save(&self->saved));
	ASSERT_EQ(0, open_as(&self->sender, NULL, 1500));
}

FIXTURE_TEARDOWN_PARENT(user)
{
	knobs_restore(&self->saved);
}

TEST_F(user, limit_of_new_peers_is_a_512th_by_default)
{
	struct peer p = { .fd = -1 };
	struct bus1_peer_info info;
	unsigned long old[4];
	int i;

	for (i = 0; i < 4; i++) {
		old[i] = knob_saved(&self->saved, i);
		ASSERT_EQ(0, knob_set(i, 512 * (1000 + i)));
	}
	ASSERT_EQ(0, open_as(&p, NULL, 998));
	info = query(p.fd);
	EXPECT_EQ(1000, info.max_slices);
	EXPECT_EQ(1001, info.max_handles);
	EXPECT_EQ(1002 * 1024, info.max_inflight_bytes);
	EXPECT_EQ(1003, info.max_inflight_fds);
	/* A peer that was there keeps what it had. */
	EXPECT_EQ(old[0] / 512, query(self->sender.fd).max_slices);
	peer_close(&p);
}

TEST_F(user, defaults_are_as_documented)
{
	EXPECT_EQ(8388608, knob_saved(&self->saved, KNOB_SLICES));
	EXPECT_EQ(33554432, knob_saved(&self->saved, KNOB_HANDLES));
	EXPECT_EQ(8388608, knob_saved(&self->saved, KNOB_KBYTES));
	EXPECT_EQ(524288, knob_saved(&self->saved, KNOB_FDS));
	EXPECT_EQ(4096, knob_saved(&self->saved, KNOB_PEERS));
}

TEST_F(user, may_have_so_many_peers)
{
	struct peer p[4] = { { .fd = -1 }, { .fd = -1 }, { .fd = -1 } };
	int i;

	ASSERT_EQ(0, knob_set(KNOB_PEERS, 3));
	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, open_as(&p[i], NULL, 998));
	EXPECT_EQ(-ENOSPC, open_as(&p[3], NULL, 998));
	/* Another user has peers of its own. */
	EXPECT_EQ(0, open_as(&p[3], NULL, 997));
	peer_close(&p[3]);
	/* Disconnected is not closed. */
	EXPECT_EQ(0, sys_disconnect(p[0].fd, 0));
	EXPECT_EQ(-ENOSPC, open_as(&p[3], NULL, 998));
	peer_close(&p[0]);
	EXPECT_EQ(0, open_as(&p[3], NULL, 998));
	for (i = 1; i < 4; i++)
		peer_close(&p[i]);
}

/* Otherwise whoever was given a handle could keep others from opening peers. */
TEST_F(user, may_open_a_peer_for_each_it_closed_though_others_hold_its_nodes)
{
	struct peer p;
	int i;

	ASSERT_EQ(0, knob_set(KNOB_PEERS, 1));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, open_as(&p, NULL, 995));
		EXPECT_NE(BUS1_HANDLE_INVALID,
			  connect_new(p.fd, NODE, self->sender.fd));
		peer_close(&p);
	}
	EXPECT_EQ(3, query(self->sender.fd).n_handles);
}

/*
 * Opens a peer in a new user namespace of @uid; the child shares the table of
 * descriptors, so that the peer stays. Returns the descriptor.
 */
static int open_in_userns(uid_t uid)
{
	int *fd = share(sizeof(*fd)), r;
	pid_t child;

	child = syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
	if (!child) {
		*fd = -EPERM;
		if (!become(uid) && !unshare(CLONE_NEWUSER))
			*fd = sys_open(NULL, 0, BUS1_OPEN_NONBLOCK);
		_exit(0);
	}
	wait_child(child);
	r = *fd;
	munmap(fd, sizeof(*fd));
	return r;
}

#define SPACES	200

TEST_F_TIMEOUT(user, with_200_user_namespaces_counts_as_one_claimant, 120)
{
	struct bus1_peer_limits l = limits_keep();
	int i, fd, sent = 0, err;
	struct peer r;
	__u64 to;

	l.max_slices = 100;
	ASSERT_EQ(0, open_as(&r, &l, 999));
	to = connect_new(r.fd, NODE, self->sender.fd);
	for (i = 0; i < SPACES; i++) {
		fd = open_in_userns(1000);
		if (fd == -EPERM)
			SKIP(return, "no user namespaces");
		ASSERT_LE(0, fd);
		to = connect_peers(r.fd, NODE, fd);
		err = send_empty(fd, to);
		sent += !err;
		EXPECT_TRUE(!err || err == -EDQUOT);
	}
	EXPECT_EQ(50, sent);
	EXPECT_EQ(1, count_claims(r.fd));
	EXPECT_EQ(1000, fdinfo_value(r.fd, "claim", 0));
	/* Somebody else has what one other claimant has: a third of the rest. */
	to = connect_peers(r.fd, NODE, self->sender.fd);
	for (sent = 0; !send_empty(self->sender.fd, to); sent++)
		;
	EXPECT_EQ(16, sent);
	peer_close(&r);
}

/* Seen from a namespace beside it, too, its owner is the claimant. */
TEST_F(user, is_one_claimant_for_a_receiver_in_another_namespace)
{
	struct peer r = { .pool_size = POOL_MAP_SIZE };
	int i, fd;

	r.fd = open_in_userns(999);
	if (r.fd == -EPERM)
		SKIP(return, "no user namespaces");
	ASSERT_NE(BUS1_HANDLE_INVALID, connect_new(r.fd, NODE, r.fd));
	for (i = 0; i < 3; i++) {
		fd = open_in_userns(1000);
		ASSERT_LE(0, fd);
		EXPECT_EQ(0, send_empty(fd, connect_peers(r.fd, NODE, fd)));
	}
	EXPECT_EQ(1, count_claims(r.fd));
	EXPECT_EQ(0, send_empty(self->sender.fd,
				connect_peers(r.fd, NODE, self->sender.fd)));
	EXPECT_EQ(2, count_claims(r.fd));
	close(r.fd);
}

/* The owner of a namespace pays for what is reserved inside it. */
TEST_F(user, pays_for_the_peers_of_its_namespaces)
{
	int i, fd;

	ASSERT_EQ(0, knob_set(KNOB_PEERS, 5));
	for (i = 0; i < 5; i++) {
		fd = open_in_userns(996);
		if (fd == -EPERM)
			SKIP(return, "no user namespaces");
		EXPECT_LE(0, fd);
	}
	EXPECT_EQ(-ENOSPC, open_in_userns(996));
}

/* In a child without privileges, whose few descriptors are its limit. */
static int send_fds_away(int fd, __u64 to)
{
	struct rlimit l = { 16, 16 };
	int i, err, fds[4] = { 0, 1, 2, 2 };

	if (setrlimit(RLIMIT_NOFILE, &l) || become(1500))
		return 100;
	for (i = 0; i < 4; i++)
		if (send_fds(fd, to, fds, 4))
			return 101;
	err = send_fds(fd, to, fds, 4);
	return err == -ETOOMANYREFS ? 0 : 102;
}

TEST_F(user, may_not_have_more_descriptors_in_flight_than_it_may_open)
{
	int fds[4] = { 0, 1, 2, 2 };
	struct peer p = { .fd = -1 };
	struct bus1_recv_args r;
	pid_t child;
	__u64 to;

	ASSERT_EQ(0, open_as(&p, NULL, 999));
	to = connect_new(p.fd, NODE, self->sender.fd);
	child = fork();
	if (!child)
		_exit(send_fds_away(self->sender.fd, to));
	EXPECT_EQ(0, wait_child(child));
	EXPECT_EQ(16, query(p.fd).used_inflight_fds);
	/* The right to exceed limits is the caller's. */
	EXPECT_EQ(0, send_fds(self->sender.fd, to, fds, 4));
	drain(&p);
	EXPECT_EQ(-EAGAIN, recv_msg(&p, &r));
	child = fork();
	if (!child)
		_exit(send_fds_away(self->sender.fd, to));
	EXPECT_EQ(0, wait_child(child));
	peer_close(&p);
}

TEST_HARNESS_MAIN
