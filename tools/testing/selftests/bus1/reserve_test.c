// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 selftests: what peers reserve from what their user may have
 */
#include "knobs.h"
#include "stress.h"

#include <sys/resource.h>

#define NODE	8ULL
#define USER	999
#define FLOODER	1500
#define HONEST	1600

static struct bus1_peer_limits limits_of(__u64 n)
{
	return (struct bus1_peer_limits){ n, n, n * 1024, n };
}

static int limit_all(int fd, __u64 n)
{
	struct bus1_peer_limits l = limits_of(n);

	return sys_reset(fd, &l, sizeof(l), 0);
}

/* What all peers of the user of @fd have reserved is @n, or @n KiB, of each. */
static bool has_reserved(int fd, long long n)
{
	int i;

	for (i = 0; i < 4; i++)
		if (fdinfo_value(fd, "reserved", i) != n) {
			printf("# reserved %lld, expected %lld\n",
			       fdinfo_value(fd, "reserved", i), n);
			return false;
		}
	return true;
}

FIXTURE(user) {
	struct knobs saved;
	struct peer p, q;
	struct bus1_peer_limits l;
};

FIXTURE_SETUP(user)
{
	unsigned int i;

	if (geteuid())
		SKIP(return, "only root can open peers of other users");
	ASSERT_TRUE(knobs_save(&self->saved));
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, knob_set(i, 100));
	self->p.fd = self->q.fd = -1;
	self->l = limits_of(60);
	ASSERT_EQ(0, open_as(&self->p, &self->l, USER));
}

FIXTURE_TEARDOWN_PARENT(user)
{
	knobs_restore(&self->saved);
}

TEST_F(user, who_has_no_room_cannot_open_another_peer)
{
	int i;

	for (i = 0; i < 4; i++) {
		self->l = limits_of(40);
		((__u64 *)&self->l)[i]++;
		EXPECT_EQ(-ENOSPC, open_as(&self->q, &self->l, USER));
		EXPECT_TRUE(has_reserved(self->p.fd, 60));
	}
	self->l = limits_of(40);
	ASSERT_EQ(0, open_as(&self->q, &self->l, USER));
	EXPECT_TRUE(has_reserved(self->q.fd, 100));
	/* Another user has room of its own. */
	peer_close(&self->p);
	EXPECT_EQ(0, open_as(&self->p, &self->l, USER + 1));
	EXPECT_TRUE(has_reserved(self->p.fd, 40));
	EXPECT_TRUE(has_reserved(self->q.fd, 40));
}

TEST_F(user, has_as_much_room_as_the_sysctl_says_now)
{
	ASSERT_EQ(0, knob_set(KNOB_FDS, 10));
	EXPECT_EQ(60, query(self->p.fd).max_inflight_fds);
	EXPECT_EQ(-ENOSPC, limit_all(self->p.fd, 61));
	EXPECT_EQ(0, limit_all(self->p.fd, 59));
	self->l = limits_of(0);
	EXPECT_EQ(0, open_as(&self->q, &self->l, USER));
	ASSERT_EQ(0, knob_set(KNOB_FDS, 100));
	EXPECT_EQ(0, limit_all(self->q.fd, 41));
}

/* All or nothing, also when it was to flush. */
TEST_F(user, who_has_no_room_resets_nothing)
{
	struct bus1_peer_info before, after;
	int i;

	ASSERT_NE(BUS1_HANDLE_INVALID, connect_new(self->p.fd, NODE, self->p.fd));
	ASSERT_EQ(0, send_bytes(self->p.fd, NODE, "x", 1));
	before = query(self->p.fd);
	for (i = 0; i < 4; i++) {
		self->l = limits_of(80);
		((__u64 *)&self->l)[(i + 1) % 4] = 20;
		((__u64 *)&self->l)[i] = i == KNOB_KBYTES ? 100 * 1024 + 1 : 101;
		EXPECT_EQ(-ENOSPC, sys_reset(self->p.fd, &self->l,
					     sizeof(self->l), 0));
		EXPECT_EQ(-ENOSPC, sys_reset(self->p.fd, &self->l,
					     sizeof(self->l), BUS1_RESET_FLUSH));
		after = query(self->p.fd);
		EXPECT_EQ(0, memcmp(&before, &after, sizeof(after)));
		EXPECT_TRUE(has_reserved(self->p.fd, 60));
	}
	EXPECT_EQ(0, limit_all(self->p.fd, 100));
	EXPECT_TRUE(has_reserved(self->p.fd, 100));
	EXPECT_EQ(0, limit_all(self->p.fd, 30));
	EXPECT_TRUE(has_reserved(self->p.fd, 30));
}

/* Or a user could fill any number of peers, and take their limits away. */
TEST_F(user, does_not_get_back_what_a_peer_uses)
{
	struct bus1_recv_args r;
	int i;

	ASSERT_NE(BUS1_HANDLE_INVALID, connect_new(self->p.fd, NODE, self->p.fd));
	for (i = 0; i < 30; i++)
		ASSERT_EQ(0, send_empty(self->p.fd, NODE));
	ASSERT_EQ(0, limit_all(self->p.fd, 0));
	EXPECT_EQ(30, fdinfo_value(self->p.fd, "reserved", KNOB_SLICES));
	EXPECT_EQ(1, fdinfo_value(self->p.fd, "reserved", KNOB_HANDLES));
	EXPECT_EQ(0, fdinfo_value(self->p.fd, "reserved", KNOB_FDS));
	self->l.max_slices = 71;
	EXPECT_EQ(-ENOSPC, open_as(&self->q, &self->l, USER));
	ASSERT_EQ(0, recv_msg(&self->p, &r));
	ASSERT_EQ(0, slice_release_one(self->p.fd, r.offset));
	EXPECT_EQ(29, fdinfo_value(self->p.fd, "reserved", KNOB_SLICES));
	EXPECT_EQ(0, open_as(&self->q, &self->l, USER));
	/* What it has already is not reserved twice. */
	EXPECT_EQ(0, limit_all(self->p.fd, 29));
	peer_close(&self->q);
	EXPECT_TRUE(has_reserved(self->p.fd, 29));
	ASSERT_EQ(0, sys_reset(self->p.fd, NULL, 0, BUS1_RESET_FLUSH));
	EXPECT_TRUE(has_reserved(self->p.fd, 29));
}

TEST_F(user, gets_all_back_when_a_peer_is_closed)
{
	struct peer sender = { .fd = -1 };
	__u64 to;

	ASSERT_EQ(0, knob_set(KNOB_PEERS, 1));
	self->l = limits_of(100);
	ASSERT_EQ(0, open_as(&sender, &self->l, HONEST));
	to = connect_new(self->p.fd, NODE, sender.fd);
	while (!send_bytes(sender.fd, to, "0123456789", 10))
		;
	/* Until then it keeps what nobody else can have of it. */
	ASSERT_EQ(0, sys_disconnect(self->p.fd, 0));
	EXPECT_TRUE(has_reserved(self->p.fd, 60));
	peer_close(&self->p);
	EXPECT_EQ(0, open_as(&self->q, &self->l, USER));
	EXPECT_TRUE(has_reserved(self->q.fd, 100));
	peer_close(&sender);
}

TEST_F(user, has_a_closed_peer_pay_for_replies_that_are_owed)
{
	struct peer server = { .fd = -1 };
	struct bus1_send_args a = { .n_destinations = 1, .reply_id = 0x100 };
	struct bus1_recv_args r;
	__u64 to;

	ASSERT_EQ(0, open_as(&server, &self->l, HONEST));
	to = connect_new(server.fd, NODE, self->p.fd);
	a.ptr_destinations = to_u64(&to);
	ASSERT_EQ(0, send_args(self->p.fd, &a, BUS1_SEND_REPLY));
	ASSERT_EQ(0, recv_msg(&server, &r));
	self->l = limits_of(0);
	ASSERT_EQ(0, open_as(&self->q, &self->l, USER));
	peer_close(&self->p);
	EXPECT_EQ(1, fdinfo_value(self->q.fd, "reserved", KNOB_HANDLES));
	EXPECT_EQ(0, fdinfo_value(self->q.fd, "reserved", KNOB_SLICES));
	EXPECT_EQ(0, release_one(server.fd, r.reply));
	EXPECT_TRUE(has_reserved(self->q.fd, 0));
	peer_close(&server);
}

#define ADOPT (BUS1_RESET_FLUSH | BUS1_RESET_FLUSH_SEED | BUS1_RESET_ADOPT)

/* The child is the other user, with @n of its own reserved. */
static int adopt(const struct peer *p, __u64 n, const struct bus1_peer_limits *l,
		 int expect, long long then)
{
	struct bus1_peer_limits own = limits_of(n);
	int fd;

	if (become(USER + 1))
		return 1;
	fd = sys_open(&own, sizeof(own), 0);
	if (fd < 0)
		return 2;
	if (sys_reset(p->fd, l, l ? sizeof(*l) : 0, ADOPT) != expect)
		return 3;
	return has_reserved(fd, then) ? 0 : 4;
}

static int adopt_in_child(const struct peer *p, __u64 n,
			  const struct bus1_peer_limits *l, int expect,
			  long long then)
{
	pid_t pid = fork();

	if (!pid)
		_exit(adopt(p, n, l, expect, then));
	return wait_child(pid);
}

TEST_F(user, who_adopts_reserves_the_limits)
{
	struct bus1_peer_limits less = limits_of(10), none = limits_of(0);

	ASSERT_EQ(0, open_as(&self->q, &none, USER));
	EXPECT_EQ(0, adopt_in_child(&self->p, 41, NULL, -ENOSPC, 41));
	EXPECT_TRUE(has_reserved(self->q.fd, 60));
	EXPECT_EQ(60, query(self->p.fd).max_slices);
	/* It is flushed then, and as it was. */
	EXPECT_EQ(0, adopt_in_child(&self->p, 40, NULL, 0, 100));
	EXPECT_EQ(60, query(self->p.fd).max_slices);
	EXPECT_TRUE(has_reserved(self->q.fd, 0));
	EXPECT_TRUE(has_reserved(self->p.fd, 60));
	/* With other limits these are what is reserved. */
	EXPECT_EQ(0, adopt_in_child(&self->p, 40, &less, -ENOSPC, 100));
	EXPECT_EQ(0, limit_all(self->p.fd, 50));
	EXPECT_EQ(0, adopt_in_child(&self->p, 40, &less, 0, 50));
	EXPECT_EQ(10, query(self->p.fd).max_slices);
	EXPECT_TRUE(has_reserved(self->p.fd, 10));
}

/* What others do with their peers is not told to whoever was given one. */
static int look_as(uid_t uid, int fd, bool expect)
{
	if (become(uid))
		return 1;
	if (fdinfo_value(fd, "slices", 1) < 0)
		return 2;
	return (fdinfo_value(fd, "reserved", 0) >= 0) != expect;
}

TEST_F(user, is_told_what_it_has_reserved_and_others_are_not)
{
	uid_t uid[] = { USER, HONEST };
	unsigned int i;
	pid_t pid;

	for (i = 0; i < 2; i++) {
		pid = fork();
		if (!pid)
			_exit(look_as(uid[i], self->p.fd, !i));
		EXPECT_EQ(0, wait_child(pid));
	}
}

struct contest {
	struct verdict verdict;
	__u32 n_open;
	__u32 n_got;
	__u32 stop;
	int fd;
};

/* A thread has user IDs of its own. */
static int thread_become(uid_t uid)
{
	return syscall(SYS_setresuid, -1, uid, -1);
}

/* There is room for one of these, whoever opens it. */
static void *open_the_last(void *arg)
{
	struct bus1_peer_limits l = limits_of(40);
	struct contest *c = arg;
	unsigned int i;
	int fd;

	MUST(&c->verdict, !thread_become(USER), errno);
	for (i = 0; i < scaled(3000); i++) {
		fd = sys_open(&l, sizeof(l), 0);
		if (!MUST(&c->verdict, fd >= 0 || fd == -ENOSPC, fd))
			break;
		if (fd < 0)
			continue;
		MUST(&c->verdict, ADD(&c->n_open, 1) == 1, c->n_open);
		ADD(&c->n_got, 1);
		ADD(&c->n_open, -1);
		close(fd);
	}
	return NULL;
}

TEST_F_TIMEOUT(user, cannot_open_two_peers_at_once_where_there_is_room_for_one, 120)
{
	struct contest *c = share(sizeof(*c));
	struct worker w[2];
	int i;

	for (i = 0; i < 2; i++)
		THREAD(&w[i], open_the_last, c);
	for (i = 0; i < 2; i++)
		JOIN(&w[i]);
	EXPECT_FINE(&c->verdict);
	EXPECT_LT(0, c->n_got);
	EXPECT_TRUE(has_reserved(self->p.fd, 60));
}

static void *reset_up_and_down(void *arg)
{
	struct contest *c = arg;
	unsigned int i;
	int r;

	/* The other one may get the processor late. */
	for (i = 0; !LOAD(&c->stop) && (i < scaled(3000) || !LOAD(&c->n_got));
	     i++) {
		r = limit_all(c->fd, i & 1 ? 61 : 100);
		MUST(&c->verdict, !r || r == -ENOSPC, r);
		/* Room for the other one. */
		if (!r)
			MUST(&c->verdict, !limit_all(c->fd, 60), r);
	}
	STORE(&c->stop, 1);
	return NULL;
}

static void *open_and_close(void *arg)
{
	struct bus1_peer_limits l = limits_of(40);
	struct contest *c = arg;
	int fd;

	MUST(&c->verdict, !thread_become(USER), errno);
	while (!LOAD(&c->stop)) {
		fd = sys_open(&l, sizeof(l), 0);
		if (!MUST(&c->verdict, fd >= 0 || fd == -ENOSPC, fd)) {
			STORE(&c->stop, 1);
			break;
		}
		if (fd < 0)
			continue;
		ADD(&c->n_got, 1);
		/* While it is there nobody gets any more. */
		MUST(&c->verdict, fdinfo_value(fd, "reserved", 0) <= 100, fd);
		close(fd);
	}
	return NULL;
}

TEST_F_TIMEOUT(user, who_resets_against_opens_stays_within_its_room, 120)
{
	struct contest *c = share(sizeof(*c));
	struct worker w[2];

	c->fd = self->p.fd;
	THREAD(&w[0], reset_up_and_down, c);
	THREAD(&w[1], open_and_close, c);
	JOIN(&w[0]);
	JOIN(&w[1]);
	EXPECT_FINE(&c->verdict);
	EXPECT_LT(0, c->n_got);
	EXPECT_TRUE(has_reserved(self->p.fd, 60));
}

/* Opens peers, fills them from each other, and waits to be killed. */
static void fill_and_wait(int ready)
{
	struct bus1_peer_limits l = limits_of(20);
	struct peer p[5];
	__u64 to;
	int i;

	if (become(USER + 1))
		_exit(1);
	for (i = 0; i < 5; i++)
		if (peer_open(&p[i], &l, BUS1_OPEN_NONBLOCK))
			_exit(2);
	for (i = 0; i < 5; i++) {
		to = connect_new(p[i].fd, NODE, p[(i + 1) % 5].fd);
		while (!send_empty(p[(i + 1) % 5].fd, to))
			;
	}
	if (write(ready, "x", 1) != 1)
		_exit(3);
	for (;;)
		pause();
}

TEST_F(user, that_was_killed_has_nothing_reserved)
{
	struct bus1_peer_limits all = limits_of(100);
	int i, ready[2];
	char c;
	pid_t pid;

	ASSERT_EQ(0, knob_set(KNOB_PEERS, 5));
	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, pipe(ready));
		pid = fork();
		if (!pid)
			fill_and_wait(ready[1]);
		close(ready[1]);
		ASSERT_EQ(1, read(ready[0], &c, 1));
		close(ready[0]);
		EXPECT_EQ(-ENOSPC, open_as(&self->q, &all, USER + 1));
		kill(pid, SIGKILL);
		wait_child(pid);
		/* The last file may be closed after the parent was told. */
		ASSERT_TRUE(BECOMES(!open_as(&self->q, &all, USER + 1)));
		EXPECT_TRUE(has_reserved(self->q.fd, 100));
		peer_close(&self->q);
	}
}

/* With the system's defaults. */
FIXTURE(service) {
	struct peer p[9], flooder, honest;
	__u64 to[9];
};

FIXTURE_SETUP(service)
{
	struct rlimit l = { 4096, 4096 };
	int i;

	if (geteuid())
		SKIP(return, "only root can open peers of other users");
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &l));
	ASSERT_EQ(0, open_as(&self->flooder, NULL, FLOODER));
	ASSERT_EQ(0, open_as(&self->honest, NULL, HONEST));
	for (i = 0; i < 9; i++) {
		ASSERT_EQ(0, open_as(&self->p[i], NULL, USER));
		self->to[i] = connect_new(self->p[i].fd, NODE, i < 8 ?
					  self->flooder.fd : self->honest.fd);
		ASSERT_NE(BUS1_HANDLE_INVALID, self->to[i]);
	}
}

FIXTURE_TEARDOWN(service)
{
	int i;

	for (i = 0; i < 9; i++)
		peer_close(&self->p[i]);
}

TEST_F_TIMEOUT(service, loses_no_message_while_eight_others_are_flooded, 300)
{
	int i, n, err;

	/* A half of each: together that were four times a peer's limit. */
	for (i = 0; i < 8; i++) {
		for (n = 0; !send_empty(self->flooder.fd, self->to[i]); n++)
			;
		EXPECT_EQ(8192, n);
	}
	for (n = 0; !(err = send_empty(self->honest.fd, self->to[8])); n++)
		;
	EXPECT_EQ(8192, n);
	EXPECT_EQ(-EDQUOT, err);
	/* Nor does it matter to the user itself. */
	EXPECT_EQ(0, send_empty(self->p[0].fd, NODE));
	EXPECT_EQ(8192, drain(&self->p[8]));
	peer_close(&self->p[0]);
	EXPECT_EQ(0, open_as(&self->p[0], NULL, USER));
}

TEST_F(service, loses_no_descriptor_while_eight_others_are_flooded)
{
	int fds[64], i, n;

	for (i = 0; i < 64; i++)
		fds[i] = STDERR_FILENO;
	for (i = 0; i < 8; i++) {
		for (n = 0; !send_fds(self->flooder.fd, self->to[i], fds, 64); n++)
			;
		EXPECT_EQ(8, n);
	}
	for (n = 0; !send_fds(self->honest.fd, self->to[8], fds, 64); n++)
		;
	EXPECT_EQ(8, n);
}

#define MANY	300

TEST_F(service, of_a_user_with_300_default_peers_has_all_its_limits)
{
	struct bus1_peer_info one = query(self->p[0].fd), i;
	struct peer *p = calloc(MANY, sizeof(*p));
	int n, fd = STDERR_FILENO;
	__u64 to;

	for (n = 0; n < MANY; n++) {
		ASSERT_EQ(0, open_as(&p[n], NULL, USER));
		/* 32 bits cannot map so many at once. */
		munmap((void *)p[n].pool, p[n].pool_size);
		p[n].pool = NULL;
		i = query(p[n].fd);
		EXPECT_EQ(one.max_slices, i.max_slices);
		EXPECT_EQ(one.max_handles, i.max_handles);
		EXPECT_EQ(one.max_inflight_bytes, i.max_inflight_bytes);
		EXPECT_EQ(one.max_inflight_fds, i.max_inflight_fds);
		to = connect_new(p[n].fd, NODE, self->honest.fd);
		EXPECT_EQ(0, send_fds(self->honest.fd, to, &fd, 1));
	}
	EXPECT_EQ((MANY + 9) * one.max_slices,
		  fdinfo_value(p[0].fd, "reserved", KNOB_SLICES));
	EXPECT_EQ((MANY + 9) * one.max_inflight_bytes / 1024,
		  fdinfo_value(p[0].fd, "reserved", KNOB_KBYTES));
	for (n = 0; n < MANY; n++)
		EXPECT_EQ(1, drain(&p[n]));
	for (n = 0; n < MANY; n++)
		peer_close(&p[n]);
	EXPECT_EQ(9 * one.max_slices,
		  fdinfo_value(self->p[0].fd, "reserved", KNOB_SLICES));
	free(p);
}

TEST_F(service, of_a_user_fits_512_times_and_no_more)
{
	struct bus1_peer_limits l = limits_keep(), none = limits_of(0);
	unsigned int i;
	struct peer p;

	/* 512 default peers in one, and then one more of anything. */
	ASSERT_EQ(0, open_as(&p, &none, HONEST + 1));
	l.max_slices = 512 * 16384;
	l.max_handles = 512 * 65536;
	l.max_inflight_bytes = INT_MAX;
	l.max_inflight_fds = 512 * 1024;
	ASSERT_EQ(0, sys_reset(p.fd, &l, sizeof(l), 0));
	for (i = 0; i < 4; i++) {
		none = limits_of(0);
		((__u64 *)&none)[i] = i == KNOB_KBYTES ? INT_MAX : 1;
		EXPECT_EQ(i == KNOB_KBYTES ? 0 : -ENOSPC,
			  open_as(&self->p[0], &none, HONEST + 1));
	}
	peer_close(&p);
}

TEST_HARNESS_MAIN
