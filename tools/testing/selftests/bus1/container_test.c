// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 selftests: a container, as root makes it, and the rest of the machine
 */
#include "knobs.h"
#include "stress.h"

#include <sys/resource.h>

#define NODE	8ULL
#define BASE	100000

/*
 *   container[0..2]: peers of three users of one user namespace that root made
 *   other:           a peer in another one
 *   root, stranger:  peers of the host
 */
FIXTURE(container) {
	struct knobs saved;
	struct peer root, stranger, receiver;
	int in[3], other;
};

struct talk {
	int unshared, mapped;
	int fd[3];
};

static int write_map(pid_t pid, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	return write_file(path, "0 100000 1000\n");
}

static void open_inside(struct talk *t, const struct bus1_peer_limits *l,
			const uid_t *uid, int n)
{
	int i;

	STORE(&t->unshared, unshare(CLONE_NEWUSER) ? -1 : 1);
	while (!LOAD(&t->mapped))
		sched_yield();
	if (LOAD(&t->mapped) < 0)
		return;
	/* To get back from what it becomes, it has to be root in there. */
	if (syscall(SYS_setresuid, 0, 0, 0))
		return;
	for (i = 0; i < n; i++) {
		if (!syscall(SYS_setresuid, -1, uid[i], -1))
			t->fd[i] = sys_open(l, l ? sizeof(*l) : 0,
					    BUS1_OPEN_NONBLOCK);
		if (syscall(SYS_setresuid, -1, 0, -1))
			return;
	}
}

/*
 * Opens a peer for each of the @n users @uid of a new container. The child shares
 * the table of descriptors. Returns -EPERM where there are no user namespaces.
 */
static int open_in_container(const struct bus1_peer_limits *l, const uid_t *uid,
			     int n, int *fd)
{
	struct talk *t = share(sizeof(*t));
	int i, err = -EPERM;
	pid_t child;

	for (i = 0; i < n; i++)
		t->fd[i] = -ECHILD;
	child = syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
	if (!child) {
		open_inside(t, l, uid, n);
		_exit(0);
	}
	while (!LOAD(&t->unshared))
		sched_yield();
	if (t->unshared > 0)
		err = write_map(child, "uid_map") ?: write_map(child, "gid_map");
	STORE(&t->mapped, err ? -1 : 1);
	wait_child(child);
	for (i = 0; i < n && !err; i++)
		fd[i] = t->fd[i];
	munmap(t, sizeof(*t));
	return err;
}

FIXTURE_SETUP(container)
{
	static const uid_t uid[] = { 0, 1, 2 };

	if (geteuid())
		SKIP(return, "needs root");
	ASSERT_TRUE(knobs_save(&self->saved));
	if (open_in_container(NULL, uid, 3, self->in) ||
	    open_in_container(NULL, uid, 1, &self->other))
		SKIP(return, "no user namespaces");
	ASSERT_LE(0, self->in[0]);
	ASSERT_LE(0, self->in[1]);
	ASSERT_LE(0, self->in[2]);
	ASSERT_LE(0, self->other);
	ASSERT_EQ(0, open_as(&self->root, NULL, 0));
	ASSERT_EQ(0, open_as(&self->stranger, NULL, 1500));
	ASSERT_EQ(0, open_as(&self->receiver, NULL, 999));
	ASSERT_NE(BUS1_HANDLE_INVALID,
		  connect_new(self->receiver.fd, NODE, self->receiver.fd));
}

FIXTURE_TEARDOWN_PARENT(container)
{
	knobs_restore(&self->saved);
}

TEST_F(container, has_peers_that_do_not_count_for_root)
{
	static const uid_t uid[] = { 7, 7, 7 };
	struct peer p[4];
	int i, fd[3];

	/* Root has one, and the container four. */
	ASSERT_EQ(0, knob_set(KNOB_PEERS, 3));
	for (i = 0; i < 2; i++)
		EXPECT_EQ(0, open_as(&p[i], NULL, 0));
	EXPECT_EQ(-ENOSPC, open_as(&p[2], NULL, 0));
	/* Each user of a container has as many as one of the host. */
	ASSERT_EQ(0, open_in_container(NULL, uid, 3, fd));
	for (i = 0; i < 3; i++)
		EXPECT_LE(0, fd[i]);
	ASSERT_EQ(0, knob_set(KNOB_PEERS, 2));
	ASSERT_EQ(0, open_in_container(NULL, uid, 3, fd));
	EXPECT_LE(0, fd[1]);
	EXPECT_EQ(-ENOSPC, fd[2]);
}

TEST_F(container, reserves_nothing_from_root)
{
	struct bus1_peer_limits l = { 10, 10, 1 << 16, 3000 };
	long before = fdinfo_value(self->root.fd, "reserved", 3);
	static const uid_t uid[] = { 0, 0, 8 };
	struct peer p;
	int fd[3];

	ASSERT_EQ(1024, before);
	ASSERT_EQ(0, knob_set(KNOB_FDS, 5000));
	ASSERT_EQ(0, open_in_container(&l, uid, 3, fd));
	EXPECT_LE(0, fd[0]);
	EXPECT_EQ(-ENOSPC, fd[1]);
	EXPECT_LE(0, fd[2]);
	EXPECT_EQ(before, fdinfo_value(self->root.fd, "reserved", 3));
	EXPECT_EQ(0, open_as(&p, &l, 0));
	EXPECT_EQ(before + 3000, fdinfo_value(self->root.fd, "reserved", 3));
}

TEST_F(container, is_one_claimant_and_neither_root_nor_its_users)
{
	struct bus1_peer_limits l = limits_keep();
	int r = self->receiver.fd, i, n, sent[2] = {};

	l.max_slices = 120;
	ASSERT_EQ(0, sys_reset(r, &l, sizeof(l), 0));
	for (n = 0; n < 300; n++)
		for (i = 0; i < 3; i++)
			sent[0] += !send_empty(self->in[i],
				connect_peers(r, NODE, self->in[i]));
	EXPECT_EQ(60, sent[0]);
	EXPECT_EQ(1, count_claims(r));
	EXPECT_EQ(0, fdinfo_value(r, "claim", 0));
	EXPECT_EQ(60, fdinfo_value(r, "claim", 1));
	/* Root has what any other user would have, and so has the next container. */
	for (; sent[1] < 300; sent[1]++)
		if (send_empty(self->root.fd,
			       connect_peers(r, NODE, self->root.fd)))
			break;
	EXPECT_EQ(20, sent[1]);
	EXPECT_EQ(0, send_empty(self->other, connect_peers(r, NODE, self->other)));
	EXPECT_EQ(0, send_empty(self->stranger.fd,
				connect_peers(r, NODE, self->stranger.fd)));
	EXPECT_EQ(4, count_claims(r));
}

TEST_F(container, has_users_that_are_claimants_to_each_other)
{
	int r = self->in[2], i;

	ASSERT_NE(BUS1_HANDLE_INVALID, connect_new(r, NODE, r));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(0, send_empty(self->in[i],
					connect_peers(r, NODE, self->in[i])));
	EXPECT_EQ(3, count_claims(r));
	/* From outside comes one from each side. */
	EXPECT_EQ(0, send_empty(self->other, connect_peers(r, NODE, self->other)));
	EXPECT_EQ(0, send_empty(self->root.fd,
				connect_peers(r, NODE, self->root.fd)));
	EXPECT_EQ(5, count_claims(r));
}

/* In a child without privileges, whose few descriptors are its limit. */
static int send_some_fds(int fd, __u64 to, int n)
{
	struct rlimit l = { 40, 40 };
	int fds[4] = { 0, 1, 2, 2 }, err = 0;

	if (setrlimit(RLIMIT_NOFILE, &l) || become(61000))
		return 100;
	for (; n && !err; n -= 4)
		err = send_fds(fd, to, fds, 4);
	return -err;
}

static int send_fds_in_child(int fd, __u64 to, int n)
{
	pid_t child = fork();

	if (!child)
		_exit(send_some_fds(fd, to, n));
	return wait_child(child);
}

TEST_F(container, has_descriptors_in_flight_that_count_for_nobody_outside)
{
	int r = self->receiver.fd;

	EXPECT_EQ(0, send_fds_in_child(self->in[1],
				       connect_peers(r, NODE, self->in[1]), 40));
	EXPECT_EQ(ETOOMANYREFS,
		  send_fds_in_child(self->in[1],
				    connect_peers(r, NODE, self->in[1]), 4));
	EXPECT_EQ(0, send_fds_in_child(self->other,
				       connect_peers(r, NODE, self->other), 40));
	EXPECT_EQ(0, send_fds_in_child(self->root.fd,
				       connect_peers(r, NODE, self->root.fd), 40));
}

TEST_HARNESS_MAIN
