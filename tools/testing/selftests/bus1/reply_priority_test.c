// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 selftests: whoever is woken runs first
 *
 * Of two processes on one processor the one with a real-time priority runs the
 * moment it is woken, and whoever woke it is still in the middle of its call. So
 * what wakes it has to be complete by then, or to belong to who goes on with it. On
 * a kernel that is not preemptible these are calls one after the other.
 */
#include <sched.h>
#include "reply.h"

#define ROUNDS	20

FIXTURE(priority) {
	struct trio t;
	pid_t pid;
};

static int be_first(void)
{
	struct sched_param p = { .sched_priority = 1 };

	return sched_setscheduler(0, SCHED_FIFO, &p) ? -errno : 0;
}

static int stay_on_one(void)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	return sched_setaffinity(0, sizeof(one), &one) ? -errno : 0;
}

static bool may_be_first(void)
{
	struct sched_param p = { .sched_priority = 1 };
	struct sched_param normal = { .sched_priority = 0 };

	return !sched_setscheduler(0, SCHED_FIFO, &p) &&
	       !sched_setscheduler(0, SCHED_OTHER, &normal);
}

FIXTURE_SETUP(priority)
{
	if (!may_be_first())
		SKIP(return, "a real-time priority needs root");
	ASSERT_EQ(0, stay_on_one());
}

FIXTURE_TEARDOWN(priority)
{
}

/* Returns when @pid sleeps in a call on its descriptor @fd. */
static bool is_waiting(pid_t pid, int fd)
{
	char path[64], buf[4096], *line;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", pid, fd);
	for (;;) {
		if (read_file(path, buf, sizeof(buf)) < 0)
			return false;
		line = strstr(buf, "bus1-waiting:");
		if (!line)
			return false;
		if (atoi(line + strlen("bus1-waiting:")) > 0)
			return true;
		sched_yield();
	}
}

/* The requester closes its peer as soon as it has received the drop. */
static int ask_and_close(struct trio *t)
{
	struct bus1_recv_args r;

	peer_close(&t->server);
	peer_close(&t->worker);
	if (be_first() || ask(t->client.fd, t->to_server, ASKED))
		return 1;
	if (recv_wait(&t->client, &r) || r.type != BUS1_MSG_REPLY_DROPPED)
		return 2;
	peer_close(&t->client);
	return 0;
}

TEST_F(priority, of_a_requester_that_leaves_with_the_drop)
{
	__u64 h;
	int i, fd;

	for (i = 0; i < ROUNDS; i++) {
		ASSERT_EQ(0, trio_open(&self->t));
		fd = self->t.client.fd;
		self->pid = fork();
		if (!self->pid)
			_exit(ask_and_close(&self->t));
		/* So that the close of the child is the last one. */
		peer_close(&self->t.client);
		ASSERT_TRUE(is_waiting(self->pid, fd));
		h = take(&self->t.server);
		ASSERT_NE(INVALID, h);
		EXPECT_EQ(0, release_one(self->t.server.fd, h));
		EXPECT_EQ(0, wait_child(self->pid));
		trio_close(&self->t);
	}
}

enum leaving { FLUSH, CLOSE };

/* The worker lets go of the reply handle as soon as it has received it. */
static int take_and_leave(struct trio *t, enum leaving how)
{
	struct bus1_recv_args r;

	peer_close(&t->client);
	peer_close(&t->server);
	if (be_first() || recv_wait(&t->worker, &r))
		return 1;
	if (how == FLUSH && sys_reset(t->worker.fd, NULL, 0, BUS1_RESET_FLUSH))
		return 2;
	if (how == FLUSH && fdinfo_value(t->worker.fd, "owed", 0))
		return 3;
	peer_close(&t->worker);
	return 0;
}

TEST_F(priority, of_a_worker_that_leaves_with_the_handle)
{
	struct bus1_recv_args r;
	enum leaving how;
	__u64 h;
	int i, fd;

	for (i = 0; i < 2 * ROUNDS; i++) {
		how = i % 2 ? CLOSE : FLUSH;
		ASSERT_EQ(0, trio_open(&self->t));
		fd = self->t.worker.fd;
		ASSERT_EQ(0, ask(self->t.client.fd, self->t.to_server, ASKED));
		h = take(&self->t.server);
		ASSERT_NE(INVALID, h);
		self->pid = fork();
		if (!self->pid)
			_exit(take_and_leave(&self->t, how));
		if (how == CLOSE)
			peer_close(&self->t.worker);
		ASSERT_TRUE(is_waiting(self->pid, fd));
		EXPECT_EQ(0, send_handles(self->t.server.fd, self->t.to_worker,
					  &h, 1));
		EXPECT_EQ(0, wait_child(self->pid));
		/* Neither reply nor handle is left, so there is a drop. */
		ASSERT_EQ(0, recv_wait(&self->t.client, &r));
		EXPECT_EQ(BUS1_MSG_REPLY_DROPPED, r.type);
		EXPECT_EQ(ASKED, r.destination);
		EXPECT_EQ(-ENXIO, destroy_one(self->t.client.fd, ASKED));
		trio_close(&self->t);
	}
}

TEST_HARNESS_MAIN
