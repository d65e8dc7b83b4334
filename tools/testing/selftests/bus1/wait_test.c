// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 selftests: waiting for a message
 *
 * "Blocked" is never guessed from the time that has passed: fdinfo counts the
 * receivers that sleep on a peer, and /proc tells when a thread sleeps in poll.
 */
#include "stress.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME	0x80
#endif

#define NODE	8ULL
#define MS	1000000ULL

/* What a waiter is to do and what came of it; may lie in shared memory. */
struct waiter {
	struct peer *peer;
	unsigned int flags;
	struct bus1_recv_args r;
	int result;
	__u32 done;
	__u32 tid;
	__u32 handled;		/* signals */
};

FIXTURE(wait) {
	struct peer p, other;
	__u64 to_p;
	struct waiter *w;
};

FIXTURE_SETUP(wait)
{
	int i;

	ASSERT_EQ(0, peer_open(&self->p, NULL, 0));
	ASSERT_EQ(0, peer_open(&self->other, NULL, 0));
	self->to_p = connect_new(self->p.fd, NODE, self->other.fd);
	ASSERT_NE(BUS1_HANDLE_INVALID, self->to_p);
	self->w = share(8 * sizeof(*self->w));
	for (i = 0; i < 8; i++) {
		self->w[i].peer = &self->p;
		self->w[i].r.max_offset = self->p.pool_size;
	}
}

FIXTURE_TEARDOWN(wait)
{
	peer_close(&self->p);
	peer_close(&self->other);
}

static void *wait_run(void *arg)
{
	struct waiter *w = arg;

	STORE(&w->tid, gettid());
	w->result = sys_recv(w->peer->fd, &w->r, sizeof(w->r), w->flags);
	STORE(&w->done, 1);
	return NULL;
}

/* Starts a waiter and returns once @n of them sleep. */
#define WAIT_BLOCKED(worker, waiter, n)					\
	do {								\
		THREAD(worker, wait_run, waiter);			\
		ASSERT_TRUE(BECOMES(are_waiting(self->p.fd, n)));	\
	} while (0)

static int poke(struct _test_data_wait *s)
{
	return send_bytes(s->other.fd, s->to_p, "poke", 4);
}

TEST_F(wait, ends_with_a_message_of_another_thread)
{
	struct worker w;

	WAIT_BLOCKED(&w, &self->w[0], 1);
	EXPECT_EQ(0, poke(self));
	JOIN(&w);
	EXPECT_EQ(0, self->w[0].result);
	EXPECT_EQ(BUS1_MSG_DATA, self->w[0].r.type);
	EXPECT_TRUE(are_waiting(self->p.fd, 0));
}

TEST_F(wait, ends_with_a_message_of_another_process)
{
	struct worker w;
	pid_t child;

	WAIT_BLOCKED(&w, &self->w[0], 1);
	child = fork();
	if (!child)
		_exit(poke(self) ? 1 : 0);
	JOIN(&w);
	EXPECT_EQ(0, self->w[0].result);
	EXPECT_EQ(0, wait_child(child));
}

TEST_F(wait, ends_with_a_message_of_the_peer_to_itself)
{
	struct worker w;

	WAIT_BLOCKED(&w, &self->w[0], 1);
	EXPECT_EQ(0, send_empty(self->p.fd, NODE));
	JOIN(&w);
	EXPECT_EQ(0, self->w[0].result);
}

TEST_F(wait, is_not_needed_for_a_message_that_is_there)
{
	ASSERT_EQ(0, send_empty(self->p.fd, NODE));
	wait_run(&self->w[0]);
	EXPECT_EQ(0, self->w[0].result);
}

TEST_F(wait, ends_with_a_notice)
{
	struct worker w;

	self->w[0].peer = &self->p;
	WAIT_BLOCKED(&w, &self->w[0], 1);
	EXPECT_EQ(0, release_one(self->other.fd, self->to_p));
	JOIN(&w);
	EXPECT_EQ(BUS1_MSG_NODE_RELEASE, self->w[0].r.type);
	self->w[1].r.max_offset = 0;
	WAIT_BLOCKED(&w, &self->w[1], 1);
	EXPECT_EQ(0, destroy_one(self->p.fd, NODE));
	JOIN(&w);
	EXPECT_EQ(BUS1_MSG_NODE_DESTROY, self->w[1].r.type);
}

TEST_F(wait, ends_with_a_disconnect)
{
	struct worker w;

	WAIT_BLOCKED(&w, &self->w[0], 1);
	EXPECT_EQ(0, sys_disconnect(self->p.fd, 0));
	JOIN(&w);
	EXPECT_EQ(-ESHUTDOWN, self->w[0].result);
	EXPECT_EQ(BUS1_MSG_NONE, self->w[0].r.type);
}

/* Signals. */

static __u32 *handled;

static void on_signal(int sig)
{
	ADD(handled, 1);
}

static void catch_signal(struct waiter *w, int flags)
{
	struct sigaction act = { .sa_handler = on_signal, .sa_flags = flags };

	handled = &w->handled;
	sigaction(SIGUSR1, &act, NULL);
}

TEST_F(wait, is_interrupted_by_a_signal)
{
	struct worker w;

	catch_signal(&self->w[0], 0);
	WAIT_BLOCKED(&w, &self->w[0], 1);
	pthread_kill(w.thread, SIGUSR1);
	JOIN(&w);
	EXPECT_EQ(-EINTR, self->w[0].result);
	EXPECT_EQ(BUS1_MSG_NONE, self->w[0].r.type);
}

TEST_F(wait, is_restarted_after_a_signal_with_sa_restart)
{
	struct worker w;

	catch_signal(&self->w[0], SA_RESTART);
	WAIT_BLOCKED(&w, &self->w[0], 1);
	pthread_kill(w.thread, SIGUSR1);
	ASSERT_TRUE(BECOMES(LOAD(&self->w[0].handled)));
	ASSERT_TRUE(BECOMES(are_waiting(self->p.fd, 1)));
	EXPECT_EQ(0, LOAD(&self->w[0].done));
	EXPECT_EQ(0, poke(self));
	JOIN(&w);
	EXPECT_EQ(0, self->w[0].result);
}

/* The slice is released before the call blocks, and once. */
TEST_F(wait, releases_its_slice_once_even_if_restarted)
{
	struct bus1_recv_args r;
	struct worker w;

	ASSERT_EQ(0, poke(self));
	ASSERT_EQ(0, recv_msg(&self->p, &r));
	catch_signal(&self->w[0], SA_RESTART);
	self->w[0].flags = BUS1_RECV_RELEASE;
	self->w[0].r.release = r.offset;
	WAIT_BLOCKED(&w, &self->w[0], 1);
	EXPECT_EQ(0, query(self->p.fd).used_slices);
	EXPECT_EQ(BUS1_OFFSET_INVALID, LOAD(&self->w[0].r.release));
	pthread_kill(w.thread, SIGUSR1);
	ASSERT_TRUE(BECOMES(LOAD(&self->w[0].handled)));
	ASSERT_TRUE(BECOMES(are_waiting(self->p.fd, 1)));
	EXPECT_EQ(0, poke(self));
	JOIN(&w);
	EXPECT_EQ(0, self->w[0].result);
	EXPECT_EQ(1, query(self->p.fd).used_slices);
}

TEST_F(wait, goes_on_after_stop_and_continue)
{
	struct waiter *s = self->w;
	pid_t child;
	int status;

	child = fork();
	if (!child) {
		wait_run(s);
		_exit(0);
	}
	ASSERT_TRUE(BECOMES(are_waiting(self->p.fd, 1)));
	kill(child, SIGSTOP);
	ASSERT_EQ(child, waitpid(child, &status, WUNTRACED));
	kill(child, SIGCONT);
	ASSERT_EQ(child, waitpid(child, &status, WCONTINUED));
	ASSERT_TRUE(BECOMES(are_waiting(self->p.fd, 1) &&
			    task_state(child, child) == 'S'));
	EXPECT_EQ(0, poke(self));
	EXPECT_EQ(0, wait_child(child));
	EXPECT_EQ(0, s->result);
}

/* Deadlines. */

TEST_F(wait, times_out_at_its_deadline_and_not_before)
{
	__u64 deadline = now_ns() + 100 * MS;

	self->w[0].r.deadline = deadline;
	wait_run(&self->w[0]);
	EXPECT_EQ(-ETIMEDOUT, self->w[0].result);
	EXPECT_LE(deadline, now_ns());
	EXPECT_EQ(BUS1_MSG_NONE, self->w[0].r.type);
}

TEST_F(wait, does_not_begin_after_its_deadline)
{
	self->w[0].r.deadline = 1;
	wait_run(&self->w[0]);
	EXPECT_EQ(-ETIMEDOUT, self->w[0].result);
	self->w[0].flags = BUS1_RECV_NONBLOCK;
	wait_run(&self->w[0]);
	EXPECT_EQ(-EAGAIN, self->w[0].result);
}

TEST_F(wait, is_not_needed_for_a_message_past_the_deadline)
{
	ASSERT_EQ(0, poke(self));
	self->w[0].r.deadline = 1;
	wait_run(&self->w[0]);
	EXPECT_EQ(0, self->w[0].result);
	EXPECT_EQ(BUS1_MSG_DATA, self->w[0].r.type);
}

TEST_F(wait, ends_with_a_message_before_its_deadline)
{
	struct worker w;

	self->w[0].r.deadline = now_ns() + 1000 * SECOND;
	WAIT_BLOCKED(&w, &self->w[0], 1);
	EXPECT_EQ(0, poke(self));
	JOIN(&w);
	EXPECT_EQ(0, self->w[0].result);
}

TEST_F(wait, ignores_a_deadline_of_0_and_takes_the_largest)
{
	struct worker w;

	self->w[0].r.deadline = UINT64_MAX;
	WAIT_BLOCKED(&w, &self->w[0], 1);
	EXPECT_EQ(0, poke(self));
	JOIN(&w);
	EXPECT_EQ(0, self->w[0].result);
}

/* It is absolute: restarts must not make it longer. */
TEST_F(wait, has_a_deadline_that_signals_do_not_move)
{
	__u64 deadline = now_ns() + 300 * MS;
	struct worker w;

	catch_signal(&self->w[0], SA_RESTART);
	self->w[0].r.deadline = deadline;
	THREAD(&w, wait_run, &self->w[0]);
	while (!LOAD(&self->w[0].done) && now_ns() < deadline + 20 * SECOND) {
		pthread_kill(w.thread, SIGUSR1);
		sched_yield();
	}
	EXPECT_EQ(1, LOAD(&self->w[0].done));
	JOIN(&w);
	EXPECT_EQ(-ETIMEDOUT, self->w[0].result);
	EXPECT_LE(deadline, now_ns());
	EXPECT_LT(1, self->w[0].handled);
}

/* Runs in a child whose CLOCK_MONOTONIC is shifted. */
static int wait_in_time_ns(struct waiter *w, const char *offset)
{
	__u64 begin, end;
	pid_t child;

	if (unshare(CLONE_NEWTIME))
		return 100;
	if (write_file("/proc/self/timens_offsets", offset))
		return 101;
	child = fork();
	if (child)
		return child < 0 ? 102 : wait_child(child);
	begin = now_ns();
	w->r.deadline = begin + 200 * MS;
	wait_run(w);
	end = now_ns();
	_exit(w->result != -ETIMEDOUT ? 1 : end < begin + 200 * MS ? 2 : 0);
}

FIXTURE(shifted) {
	struct peer p;
	struct waiter w;
};

FIXTURE_VARIANT(shifted) {
	const char *offset;
};

FIXTURE_VARIANT_ADD(shifted, ahead) { "monotonic 1000000 0\n" };
FIXTURE_VARIANT_ADD(shifted, behind) { "monotonic -1 0\n" };

FIXTURE_SETUP(shifted)
{
	ASSERT_EQ(0, peer_open(&self->p, NULL, 0));
	self->w.peer = &self->p;
}

FIXTURE_TEARDOWN(shifted)
{
	peer_close(&self->p);
}

TEST_F(shifted, clock_of_a_time_namespace_is_the_one_of_the_deadline)
{
	pid_t child = fork();
	int r;

	if (!child)
		_exit(wait_in_time_ns(&self->w, variant->offset));
	r = wait_child(child);
	if (r == 100)
		SKIP(return, "no time namespaces");
	EXPECT_EQ(0, r);
}

/* Several waiters. */

TEST_F(wait, of_several_ends_for_one_with_one_message)
{
	struct worker w[4];
	unsigned int i, done;

	for (i = 0; i < 4; i++)
		WAIT_BLOCKED(&w[i], &self->w[i], i + 1);
	for (i = 4; i-- > 0;) {
		EXPECT_EQ(0, poke(self));
		ASSERT_TRUE(BECOMES(are_waiting(self->p.fd, i)));
		ASSERT_TRUE(BECOMES(LOAD(&self->w[0].done) +
				    LOAD(&self->w[1].done) +
				    LOAD(&self->w[2].done) +
				    LOAD(&self->w[3].done) == 4 - i));
	}
	for (i = done = 0; i < 4; i++) {
		JOIN(&w[i]);
		done += !self->w[i].result;
	}
	EXPECT_EQ(4, done);
}

static unsigned long switches(pid_t tid)
{
	char path[64], buf[4096], *s;

	snprintf(path, sizeof(path), "/proc/self/task/%d/status", tid);
	if (read_file(path, buf, sizeof(buf)) < 0)
		return 0;
	s = strstr(buf, "\nvoluntary_ctxt_switches:");
	return s ? strtoul(s + 25, NULL, 10) : 0;
}

/* The other three do not even run: no thundering herd. */
TEST_F(wait, of_several_is_not_disturbed_for_the_others)
{
	unsigned long before[4];
	struct worker w[4];
	unsigned int i, moved = 0;

	for (i = 0; i < 4; i++)
		WAIT_BLOCKED(&w[i], &self->w[i], i + 1);
	for (i = 0; i < 4; i++) {
		ASSERT_TRUE(BECOMES(task_state(getpid(), self->w[i].tid) == 'S'));
		before[i] = switches(self->w[i].tid);
	}
	EXPECT_EQ(0, poke(self));
	ASSERT_TRUE(BECOMES(LOAD(&self->w[0].done) + LOAD(&self->w[1].done) +
			    LOAD(&self->w[2].done) + LOAD(&self->w[3].done)));
	EXPECT_TRUE(are_waiting(self->p.fd, 3));
	for (i = 0; i < 4; i++)
		moved += !LOAD(&self->w[i].done) &&
			 switches(self->w[i].tid) != before[i];
	EXPECT_EQ(0, moved);
	EXPECT_EQ(0, sys_disconnect(self->p.fd, 0));
	for (i = 0; i < 4; i++)
		JOIN(&w[i]);
}

TEST_F(wait, of_two_ends_for_both_with_two_messages_of_one_multicast)
{
	__u64 to[2] = { self->to_p, 0 };
	struct worker w[2];
	int i;

	to[1] = connect_new(self->p.fd, 16, self->other.fd);
	for (i = 0; i < 2; i++)
		WAIT_BLOCKED(&w[i], &self->w[i], i + 1);
	EXPECT_EQ(0, send_multi(self->other.fd, to, 2, "x", 1, 0));
	for (i = 0; i < 2; i++) {
		JOIN(&w[i]);
		EXPECT_EQ(0, self->w[i].result);
	}
}

TEST_F(wait, of_two_ends_for_both_with_one_destruction_of_two_nodes)
{
	__u64 nodes[2] = { NODE, 16 };
	struct worker w[2];
	int i;

	connect_new(self->p.fd, 16, self->other.fd);
	for (i = 0; i < 2; i++)
		WAIT_BLOCKED(&w[i], &self->w[i], i + 1);
	EXPECT_EQ(0, sys_destroy(self->p.fd, nodes, 2, 0));
	for (i = 0; i < 2; i++) {
		JOIN(&w[i]);
		EXPECT_EQ(BUS1_MSG_NODE_DESTROY, self->w[i].r.type);
	}
}

/*
 * Two processes wait, one message is sent and one process killed at the same
 * moment. Either the killed one had dequeued it, then its struct says so, or
 * the other one gets it.
 */
TEST_F_TIMEOUT(wait, of_a_killed_process_passes_the_wake_on, 120)
{
	struct worker w[2];
	unsigned int round;
	int i;

	for (round = 0; round < scaled(40); round++) {
		for (i = 0; i < 2; i++) {
			memset(&self->w[i], 0, sizeof(self->w[i]));
			self->w[i].peer = &self->p;
			self->w[i].r.max_offset = self->p.pool_size;
			ASSERT_EQ(0, worker_start(&w[i], true, wait_run,
						  &self->w[i]));
			ASSERT_TRUE(BECOMES(are_waiting(self->p.fd, i + 1)));
		}
		if (round & 1)
			kill(w[0].pid, SIGKILL);
		EXPECT_EQ(0, poke(self));
		if (!(round & 1))
			kill(w[0].pid, SIGKILL);
		worker_join(&w[0]);
		if (LOAD(&self->w[0].r.type) != BUS1_MSG_NONE)
			EXPECT_EQ(0, poke(self));
		ASSERT_TRUE(BECOMES(LOAD(&self->w[1].done)));
		EXPECT_EQ(0, worker_join(&w[1]));
		EXPECT_EQ(BUS1_MSG_DATA, self->w[1].r.type);
		EXPECT_EQ(0, query(self->p.fd).n_queued);
	}
}

/* The same for signals that do not kill. */
TEST_F_TIMEOUT(wait, that_is_interrupted_passes_the_wake_on, 120)
{
	struct worker w[2];
	unsigned int round;
	int i;

	catch_signal(&self->w[7], 0);
	for (round = 0; round < scaled(60); round++) {
		for (i = 0; i < 2; i++) {
			self->w[i].done = 0;
			self->w[i].r = (struct bus1_recv_args){
				.max_offset = self->p.pool_size };
			WAIT_BLOCKED(&w[i], &self->w[i], i + 1);
		}
		EXPECT_EQ(0, poke(self));
		pthread_kill(w[0].thread, SIGUSR1);
		JOIN(&w[0]);
		if (self->w[0].result == 0)
			EXPECT_EQ(0, poke(self));
		JOIN(&w[1]);
		EXPECT_EQ(0, self->w[1].result);
		EXPECT_EQ(0, query(self->p.fd).n_queued);
	}
}

TEST_HARNESS_MAIN
