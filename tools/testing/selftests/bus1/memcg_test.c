// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 selftests: whose memory cgroup pays
 *
 * A peer's memory cgroup is the one that its opener was in. This process
 * moves itself into a group, opens a peer, and moves back.
 */
#include "stress.h"

#include <sys/mount.h>

#define NODE	8ULL
#define MIB	(1UL << 20)

static char data[256 << 10];

FIXTURE(memcg) {
	char root[64];
	bool mounted;
	struct peer sender, tiny, other;
	__u64 to_tiny, to_other;
};

/* Finds a cgroup v2 hierarchy, or mounts one in a directory of its own. */
static int find_cgroup(struct _test_data_memcg *s)
{
	if (!access("/sys/fs/cgroup/cgroup.controllers", R_OK)) {
		strcpy(s->root, "/sys/fs/cgroup");
		return 0;
	}
	strcpy(s->root, "/tmp/bus1-cgroup-XXXXXX");
	mkdir("/tmp", 01777);
	if (!mkdtemp(s->root))
		return -errno;
	if (mount("none", s->root, "cgroup2", 0, NULL)) {
		rmdir(s->root);
		return -errno;
	}
	s->mounted = true;
	return 0;
}

static int group_write(struct _test_data_memcg *s, const char *group,
		       const char *file, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s/%s", s->root, group, file);
	return write_file(path, text);
}

static int group_make(struct _test_data_memcg *s, const char *group,
		      const char *max)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", s->root, group);
	if (mkdir(path, 0755) && errno != EEXIST)
		return -errno;
	group_write(s, group, "memory.swap.max", "0");
	return group_write(s, group, "memory.max", max);
}

static void group_drop(struct _test_data_memcg *s, const char *group)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", s->root, group);
	rmdir(path);
}

/* One number of a file of the group; @key as in "oom_kill ", or "". */
static long long group_read(struct _test_data_memcg *s, const char *group,
			    const char *file, const char *key)
{
	char path[128], buf[8192], *at;

	snprintf(path, sizeof(path), "%s/%s/%s", s->root, group, file);
	if (read_file(path, buf, sizeof(buf)) < 0)
		return -1;
	at = strstr(buf, key);
	return at ? strtoll(at + strlen(key), NULL, 10) : -1;
}

static long long current_of(struct _test_data_memcg *s, const char *group)
{
	return group_read(s, group, "memory.current", "");
}

static int enter(struct _test_data_memcg *s, const char *group)
{
	return group_write(s, group, "cgroup.procs", "0");
}

/* The limits of the peer are out of the way: the group is what bounds it. */
static int open_in(struct _test_data_memcg *s, const char *group, struct peer *p)
{
	struct bus1_peer_limits l = { 60000, 200000, 60 * MIB, 1000 };
	int r = enter(s, group);

	if (!r)
		r = peer_open(p, &l, BUS1_OPEN_NONBLOCK);
	enter(s, ".");
	return r;
}

FIXTURE_SETUP(memcg)
{
	if (geteuid() || find_cgroup(self))
		SKIP(return, "no cgroup v2, or not root");
	group_write(self, ".", "cgroup.subtree_control", "+memory");
	if (group_make(self, "bus1-tiny", "4194304") ||
	    group_make(self, "bus1-other", "max"))
		SKIP(return, "no memory controller in cgroup v2");
	ASSERT_EQ(0, open_in(self, "bus1-tiny", &self->tiny));
	ASSERT_EQ(0, open_in(self, ".", &self->other));
	ASSERT_EQ(0, open_in(self, ".", &self->sender));
	self->to_tiny = connect_new(self->tiny.fd, NODE, self->sender.fd);
	self->to_other = connect_new(self->other.fd, NODE, self->sender.fd);
	memset(data, 'x', sizeof(data));
}

FIXTURE_TEARDOWN(memcg)
{
	peer_close(&self->sender);
	peer_close(&self->tiny);
	peer_close(&self->other);
	group_drop(self, "bus1-tiny");
	group_drop(self, "bus1-other");
	if (!self->mounted)
		return;
	umount(self->root);
	rmdir(self->root);
}

/* Fills the receiver in the tiny group; returns how many messages went in. */
static int fill(struct _test_data_memcg *s, size_t size, int *err)
{
	int n = 0;

	while (!(*err = send_bytes(s->sender.fd, s->to_tiny, data, size)))
		n++;
	return n;
}

TEST_F(memcg, of_the_receiver_is_full_and_the_sender_gets_exfull)
{
	int n, err;

	n = fill(self, sizeof(data), &err);
	EXPECT_EQ(-EXFULL, err);
	EXPECT_LE(8, n);
	EXPECT_GE(16, n);
	EXPECT_EQ(0, group_read(self, "bus1-tiny", "memory.events", "oom_kill "));
	EXPECT_LT(0, group_read(self, "bus1-tiny", "memory.events", "\nmax "));
	EXPECT_GE(4 * MIB, current_of(self, "bus1-tiny"));
	EXPECT_EQ(n, query(self->tiny.fd).n_queued);
	/* What was accepted is whole, and there is room once it was released. */
	EXPECT_EQ(n, drain(&self->tiny));
	EXPECT_EQ(0, query(self->tiny.fd).used_inflight_bytes);
	EXPECT_EQ(n, fill(self, sizeof(data), &err));
}

/* Messages without payload take kernel memory, which is charged as well. */
TEST_F_TIMEOUT(memcg, of_the_receiver_bounds_empty_messages_too, 120)
{
	int n, err;

	ASSERT_EQ(0, group_write(self, "bus1-tiny", "memory.max", "1048576"));
	n = fill(self, 0, &err);
	EXPECT_EQ(-EXFULL, err);
	EXPECT_LT(200, n);
	EXPECT_GT(20000, n);
	EXPECT_EQ(0, group_read(self, "bus1-tiny", "memory.events", "oom_kill "));
	EXPECT_EQ(n, drain(&self->tiny));
	EXPECT_EQ(0, send_empty(self->sender.fd, self->to_tiny));
}

/* A small message needs a page only where it is received without a buffer. */
TEST_F(memcg, of_the_receiver_is_full_and_small_messages_come_into_a_buffer)
{
	__u64 buffer[BUS1_INLINE_MAX / 8];
	struct bus1_recv_args r;
	struct state old;
	int err;

	ASSERT_EQ(0, send_bytes(self->sender.fd, self->to_tiny, "one", 3));
	ASSERT_EQ(0, send_bytes(self->sender.fd, self->to_tiny, "two", 3));
	fill(self, sizeof(data), &err);
	fill(self, 4096, &err);
	EXPECT_EQ(-EXFULL, err);
	state_get(self->tiny.fd, &old);
	EXPECT_EQ(-ENOMEM, recv_msg(&self->tiny, &r));
	EXPECT_EQ(BUS1_MSG_NONE, r.type);
	EXPECT_TRUE(state_same(self->tiny.fd, &old));
	r = (struct bus1_recv_args){
		.max_offset = self->tiny.pool_size,
		.ptr_buffer = to_u64(buffer), .buffer_size = sizeof(buffer),
	};
	ASSERT_EQ(0, sys_recv(self->tiny.fd, &r, sizeof(r), 0));
	EXPECT_EQ(0, memcmp(buffer, "one", 3));
	ASSERT_EQ(0, sys_recv(self->tiny.fd, &r, sizeof(r), 0));
	EXPECT_EQ(0, memcmp(buffer, "two", 3));
	EXPECT_EQ(0, group_read(self, "bus1-tiny", "memory.events", "oom_kill "));
	/* Once there is room a slice will do as well. */
	drain(&self->tiny);
	ASSERT_EQ(0, send_bytes(self->sender.fd, self->to_tiny, "three", 5));
	ASSERT_EQ(0, recv_msg(&self->tiny, &r));
	EXPECT_EQ(0, memcmp(msg_payload(&self->tiny, &r), "three", 5));
}

TEST_F(memcg, of_the_receiver_is_charged_and_that_of_the_sender_is_not)
{
	long long tiny, other;
	int i;

	ASSERT_EQ(0, enter(self, "bus1-other"));
	tiny = current_of(self, "bus1-tiny");
	other = current_of(self, "bus1-other");
	for (i = 0; i < 8; i++)
		ASSERT_EQ(0, send_bytes(self->sender.fd, self->to_tiny, data,
					sizeof(data)));
	EXPECT_LE(tiny + 2 * MIB - 300000, current_of(self, "bus1-tiny"));
	EXPECT_GE(other + MIB, current_of(self, "bus1-other"));
	EXPECT_EQ(0, enter(self, "."));
}

/* One pass of reclaim on a full group must not take the sender down. */
TEST_F(memcg, of_the_sender_may_be_tiny)
{
	pid_t child = fork();
	int i;

	if (!child) {
		if (enter(self, "bus1-tiny"))
			_exit(1);
		for (i = 0; i < 64; i++)
			if (send_bytes(self->sender.fd, self->to_other, data,
				       sizeof(data)))
				_exit(2);
		_exit(0);
	}
	EXPECT_EQ(0, wait_child(child));
	EXPECT_EQ(64, query(self->other.fd).n_queued);
	EXPECT_EQ(0, group_read(self, "bus1-tiny", "memory.events", "oom_kill "));
	EXPECT_GE(2 * MIB, current_of(self, "bus1-tiny"));
}

TEST_F(memcg, of_one_destination_refuses_a_multicast_whole)
{
	__u64 to[] = { self->to_other, self->to_tiny };
	struct iovec vec = { data, sizeof(data) };
	__s32 errors[2] = { 1, 1 };
	struct bus1_send_args a = {
		.ptr_destinations = to_u64(to), .n_destinations = 2,
		.ptr_errors = to_u64(errors),
		.ptr_vecs = to_u64(&vec), .n_vecs = 1,
	};
	int err;

	fill(self, sizeof(data), &err);
	ASSERT_EQ(-EXFULL, err);
	EXPECT_EQ(-EXFULL, send_args(self->sender.fd, &a, 0));
	EXPECT_EQ(0, errors[0]);
	EXPECT_EQ(-EXFULL, errors[1]);
	EXPECT_EQ(0, query(self->other.fd).n_queued);
	EXPECT_EQ(0, query(self->other.fd).used_slices);
	EXPECT_EQ(0, send_args(self->sender.fd, &a, BUS1_SEND_CONTINUE));
	EXPECT_EQ(0, errors[0]);
	EXPECT_EQ(-EXFULL, errors[1]);
	EXPECT_EQ(1, query(self->other.fd).n_queued);
}

TEST_F(memcg, gets_back_what_a_closed_peer_held)
{
	int err;

	EXPECT_LT(0, fill(self, sizeof(data), &err));
	EXPECT_LT(3 * MIB, current_of(self, "bus1-tiny"));
	peer_close(&self->tiny);
	EXPECT_TRUE(BECOMES(current_of(self, "bus1-tiny") < (long long)MIB));
}

TEST_F(memcg, is_taken_over_by_adopt)
{
	unsigned int flags = BUS1_RESET_FLUSH | BUS1_RESET_FLUSH_SEED |
			     BUS1_RESET_ADOPT;
	struct peer p;
	__u64 to;
	int i;

	ASSERT_EQ(0, open_in(self, "bus1-tiny", &p));
	ASSERT_EQ(0, enter(self, "bus1-other"));
	ASSERT_EQ(0, sys_reset(p.fd, NULL, 0, flags));
	ASSERT_EQ(0, enter(self, "."));
	to = connect_new(p.fd, NODE, self->sender.fd);
	for (i = 0; i < 32; i++)
		ASSERT_EQ(0, send_bytes(self->sender.fd, to, data, sizeof(data)));
	EXPECT_LE(7 * MIB, current_of(self, "bus1-other"));
	EXPECT_GE(2 * MIB, current_of(self, "bus1-tiny"));
	peer_close(&p);
}

TEST_HARNESS_MAIN
