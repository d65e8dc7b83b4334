// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 selftests: waiting for one reply, with BUS1_RECV_REPLY
 */
#include "reply.h"

#include <sys/epoll.h>
#include <sys/resource.h>

/* @back is the server's handle to a node of the client. */
FIXTURE(wait) {
	struct trio t;
	int client, server;
	__u64 back, h;
	struct bus1_recv_args r;
	struct caller c[2];
	__u32 handled;
};

FIXTURE_SETUP(wait)
{
	int i;

	ASSERT_EQ(0, trio_open(&self->t));
	self->client = self->t.client.fd;
	self->server = self->t.server.fd;
	self->back = connect_peers(self->client, NODE, self->server);
	ASSERT_EQ(0, ask_for(self->client, self->t.to_server, ASKED, ROOM, 0,
			     1));
	self->h = take(&self->t.server);
	ASSERT_NE(INVALID, self->h);
	for (i = 0; i < 2; i++)
		self->c[i] = caller_for(&self->t.client, self->t.to_server,
					ASKED);
}

FIXTURE_TEARDOWN(wait)
{
	trio_close(&self->t);
}

#define FETCH(id)	fetch(&self->t.client, id, &self->r, 0)
#define REPLY()		send_bytes(self->server, self->h, "reply", 5)
#define OTHER()		send_empty(self->server, self->back)
#define BLOCK(w, i)	CALL_BLOCKED(w, waiter_run, &self->c[i])

TEST_F(wait, for_what_was_not_asked_is_enxio)
{
	struct state old;

	state_get(self->client, &old);
	EXPECT_EQ(-ENXIO, FETCH(ASKED + 8));
	EXPECT_EQ(-ENXIO, FETCH(NODE));
	EXPECT_EQ(-ENXIO, FETCH(self->t.to_server));
	EXPECT_EQ(-ENXIO, FETCH(0));
	EXPECT_EQ(-ENXIO, FETCH(INVALID));
	EXPECT_EQ(-ENXIO, FETCH(ASKED | 1));
	EXPECT_EQ(BUS1_MSG_NONE, self->r.type);
	EXPECT_TRUE(state_same(self->client, &old));
	/* The holder's name for it means nothing, here or there. */
	EXPECT_EQ(-ENXIO, fetch(&self->t.server, ASKED, &self->r, 0));
	EXPECT_EQ(-ENXIO, fetch(&self->t.server, self->h, &self->r, 0));
}

TEST_F(wait, with_the_seed_or_a_pidfd_is_einval)
{
	EXPECT_EQ(-EINVAL, fetch(&self->t.client, ASKED, &self->r,
				 BUS1_RECV_SEED));
	EXPECT_EQ(-EINVAL, fetch(&self->t.client, ASKED, &self->r,
				 BUS1_RECV_PIDFD));
}

TEST_F(wait, that_must_not_block_is_eagain)
{
	EXPECT_EQ(-EAGAIN, FETCH(ASKED));
	EXPECT_EQ(BUS1_MSG_NONE, self->r.type);
	/* Whatever else there is. */
	ASSERT_EQ(0, OTHER());
	EXPECT_EQ(-EAGAIN, FETCH(ASKED));
	ASSERT_EQ(0, fcntl(self->client, F_SETFL, O_NONBLOCK));
	waiter_run(&self->c[0]);
	EXPECT_EQ(-EAGAIN, self->c[0].result);
	EXPECT_EQ(1, query(self->client).n_queued);
}

TEST_F(wait, for_a_reply_that_is_there_ends_at_once)
{
	ASSERT_EQ(0, REPLY());
	waiter_run(&self->c[0]);
	EXPECT_EQ(0, self->c[0].result);
	EXPECT_EQ(BUS1_MSG_DATA, self->c[0].own.type);
	EXPECT_EQ(ASKED, self->c[0].own.destination);
	EXPECT_EQ(5, self->c[0].own.n_bytes);
	EXPECT_EQ(0, self->c[0].own.flags);
	EXPECT_EQ(-ENXIO, FETCH(ASKED));
	EXPECT_EQ(0, query(self->client).n_queued);
	EXPECT_FALSE(is_readable(self->client));
}

TEST_F(wait, for_a_drop_that_is_there_ends_at_once)
{
	ASSERT_EQ(0, release_one(self->server, self->h));
	EXPECT_EQ(0, FETCH(ASKED));
	EXPECT_EQ(BUS1_MSG_REPLY_DROPPED, self->r.type);
	EXPECT_EQ(ASKED, self->r.destination);
	EXPECT_TRUE(notice_is_plain(&self->r));
	EXPECT_EQ(-ENXIO, FETCH(ASKED));
	EXPECT_TRUE(is_empty(&self->t.client));
}

TEST_F(wait, for_a_reply_that_was_received_otherwise_is_enxio)
{
	ASSERT_EQ(0, REPLY());
	EXPECT_TRUE(next_is(&self->t.client, BUS1_MSG_DATA, ASKED));
	EXPECT_EQ(-ENXIO, FETCH(ASKED));
}

TEST_F(wait, for_a_cancelled_request_is_enxio)
{
	ASSERT_EQ(0, destroy_one(self->client, ASKED));
	EXPECT_EQ(-ENXIO, FETCH(ASKED));
}

TEST_F(wait, leaves_other_messages_in_their_order)
{
	__u64 other[2];
	int i;

	for (i = 0; i < 2; i++)
		other[i] = connect_new(self->client, 0x100 + 0x100 * i,
				       self->server);
	ASSERT_EQ(0, send_empty(self->server, other[0]));
	ASSERT_EQ(0, REPLY());
	ASSERT_EQ(0, send_empty(self->server, other[1]));
	EXPECT_EQ(0, FETCH(ASKED));
	EXPECT_EQ(BUS1_MSG_FLAG_OVERTOOK, self->r.flags);
	EXPECT_EQ(1, self->r.n_overtaken);
	EXPECT_EQ(2, query(self->client).n_queued);
	EXPECT_TRUE(next_is(&self->t.client, BUS1_MSG_DATA, 0x100));
	EXPECT_TRUE(next_is(&self->t.client, BUS1_MSG_DATA, 0x200));
	EXPECT_TRUE(is_empty(&self->t.client));
}

TEST_F(wait, does_not_overtake_what_came_later)
{
	ASSERT_EQ(0, REPLY());
	ASSERT_EQ(0, OTHER());
	EXPECT_EQ(0, FETCH(ASKED));
	EXPECT_EQ(0, self->r.flags);
	EXPECT_EQ(0, self->r.n_overtaken);
}

/* Or who receives that many first would take what came later. */
TEST_F(wait, does_not_count_replies_that_were_fetched_before)
{
	__u64 id;

	ASSERT_EQ(0, OTHER());
	ASSERT_EQ(0, REPLY());
	for (id = ASKED + 8; id < ASKED + 40; id += 8) {
		ASSERT_EQ(0, ask(self->client, self->t.to_server, id));
		ASSERT_EQ(0, send_empty(self->server, take(&self->t.server)));
	}
	for (id = ASKED; id < ASKED + 40; id += 8) {
		EXPECT_EQ(0, FETCH(id));
		EXPECT_EQ(BUS1_MSG_FLAG_OVERTOOK, self->r.flags);
		EXPECT_EQ(1, self->r.n_overtaken);
	}
}

TEST_F(wait, counts_exactly_up_to_64)
{
	const unsigned int in_front[] = { 63, 64, 65 };
	unsigned int i, n = 0;

	for (i = 0; i < 3; i++) {
		for (; n < in_front[i]; n++)
			ASSERT_EQ(0, OTHER());
		ASSERT_EQ(0, ask(self->client, self->t.to_server, ASKED + 8));
		ASSERT_EQ(0, send_empty(self->server, take(&self->t.server)));
		ASSERT_EQ(0, OTHER());
		EXPECT_EQ(0, FETCH(ASKED + 8));
		EXPECT_EQ(BUS1_MSG_FLAG_OVERTOOK, self->r.flags);
		/* Beyond that it is what is queued, the one behind too. */
		EXPECT_EQ(n <= 64 ? n : n + 2, self->r.n_overtaken);
		n++;
	}
}

TEST_F(wait, ends_with_the_reply)
{
	__u64 received = query(self->client).n_received;
	struct worker w;

	BLOCK(&w, 0);
	EXPECT_EQ(0, REPLY());
	JOIN(&w);
	EXPECT_EQ(0, self->c[0].result);
	EXPECT_EQ(BUS1_MSG_DATA, self->c[0].own.type);
	EXPECT_EQ(ASKED, self->c[0].own.destination);
	EXPECT_EQ(0, self->c[0].own.flags);
	EXPECT_EQ(0, memcmp("reply", msg_payload(&self->t.client,
						 &self->c[0].own), 5));
	EXPECT_EQ(0, query(self->client).n_queued);
	EXPECT_EQ(received + 1, query(self->client).n_received);
	EXPECT_FALSE(is_readable(self->client));
	EXPECT_EQ(0, slice_release_one(self->client, self->c[0].own.offset));
	EXPECT_TRUE(usage_is(self->client, &self->t.at_client));
}

TEST_F(wait, ends_with_the_reply_before_what_is_queued)
{
	struct worker w;

	ASSERT_EQ(0, OTHER());
	BLOCK(&w, 0);
	EXPECT_EQ(0, REPLY());
	JOIN(&w);
	EXPECT_EQ(0, self->c[0].result);
	EXPECT_EQ(BUS1_MSG_FLAG_OVERTOOK, self->c[0].own.flags);
	EXPECT_EQ(1, self->c[0].own.n_overtaken);
	EXPECT_TRUE(next_is(&self->t.client, BUS1_MSG_DATA, NODE));
}

TEST_F(wait, is_not_ended_by_other_messages)
{
	struct worker w;
	int i;

	BLOCK(&w, 0);
	ASSERT_EQ(0, ask(self->client, self->t.to_server, ASKED + 8));
	for (i = 0; i < 10; i++)
		EXPECT_EQ(0, OTHER());
	EXPECT_EQ(0, send_empty(self->server, take(&self->t.server)));
	EXPECT_TRUE(BECOMES(is_asleep(&self->c[0])));
	EXPECT_TRUE(is_readable(self->client));
	EXPECT_EQ(11, drain(&self->t.client));
	EXPECT_FALSE(LOAD(&self->c[0].done));
	EXPECT_EQ(0, REPLY());
	JOIN(&w);
	EXPECT_EQ(0, self->c[0].result);
	EXPECT_EQ(0, self->c[0].own.flags);
}

TEST_F(wait, ends_with_the_drop)
{
	struct worker w;

	BLOCK(&w, 0);
	EXPECT_EQ(0, release_one(self->server, self->h));
	JOIN(&w);
	EXPECT_EQ(0, self->c[0].result);
	EXPECT_EQ(BUS1_MSG_REPLY_DROPPED, self->c[0].own.type);
	EXPECT_EQ(ASKED, self->c[0].own.destination);
	EXPECT_TRUE(notice_is_plain(&self->c[0].own));
	EXPECT_TRUE(is_empty(&self->t.client));
	EXPECT_EQ(-ENXIO, FETCH(ASKED));
}

TEST_F(wait, ends_with_the_close_of_the_holder)
{
	struct worker w;

	BLOCK(&w, 0);
	peer_close(&self->t.server);
	JOIN(&w);
	EXPECT_EQ(0, self->c[0].result);
	EXPECT_EQ(BUS1_MSG_REPLY_DROPPED, self->c[0].own.type);
}

TEST_F(wait, ends_with_estale_when_cancelled)
{
	struct worker w;

	BLOCK(&w, 0);
	EXPECT_EQ(0, destroy_one(self->client, ASKED));
	JOIN(&w);
	EXPECT_EQ(-ESTALE, self->c[0].result);
	EXPECT_EQ(BUS1_MSG_NONE, self->c[0].own.type);
	EXPECT_EQ(-EHOSTUNREACH, REPLY());
	EXPECT_TRUE(is_empty(&self->t.client));
	EXPECT_TRUE(usage_is_and(self->client, &self->t.at_client, 1));
	EXPECT_EQ(0, release_one(self->server, self->h));
	EXPECT_TRUE(usage_is(self->client, &self->t.at_client));
}

TEST_F(wait, ends_with_estale_when_flushed)
{
	struct worker w;

	BLOCK(&w, 0);
	EXPECT_EQ(0, flush(self->client));
	JOIN(&w);
	EXPECT_EQ(-ESTALE, self->c[0].result);
	EXPECT_EQ(-EHOSTUNREACH, REPLY());
	EXPECT_TRUE(usage_is_only(self->client, 1));
	EXPECT_EQ(0, release_one(self->server, self->h));
	EXPECT_TRUE(usage_is_only(self->client, 0));
}

TEST_F(wait, ends_with_eshutdown_when_disconnected)
{
	struct worker w;

	BLOCK(&w, 0);
	EXPECT_EQ(0, sys_disconnect(self->client, 0));
	JOIN(&w);
	EXPECT_EQ(-ESHUTDOWN, self->c[0].result);
	EXPECT_EQ(-EHOSTUNREACH, REPLY());
	EXPECT_EQ(-ESHUTDOWN, FETCH(ASKED));
}

TEST_F(wait, of_a_second_thread_is_ebusy)
{
	struct worker w;

	BLOCK(&w, 0);
	EXPECT_EQ(-EBUSY, FETCH(ASKED));
	waiter_run(&self->c[1]);
	EXPECT_EQ(-EBUSY, self->c[1].result);
	EXPECT_EQ(0, REPLY());
	JOIN(&w);
	EXPECT_EQ(0, self->c[0].result);
	EXPECT_EQ(-ENXIO, FETCH(ASKED));
}

/* A thread in bus1_call() waits for its reply as well. */
TEST_F(wait, for_what_a_call_waits_for_is_ebusy)
{
	struct worker w;

	self->c[0].id = ASKED + 8;
	CALL_BLOCKED(&w, caller_run, &self->c[0]);
	EXPECT_EQ(-EBUSY, FETCH(ASKED + 8));
	EXPECT_EQ(-EAGAIN, FETCH(ASKED));
	EXPECT_EQ(0, send_empty(self->server, take(&self->t.server)));
	JOIN(&w);
	EXPECT_EQ(0, self->c[0].result);
	EXPECT_EQ(0, self->c[0].own.error);
	EXPECT_EQ(ASKED + 8, self->c[0].own.destination);
}

TEST_F(wait, of_several_threads_ends_for_each_with_its_own)
{
	struct worker w[2];
	__u64 k;

	ASSERT_EQ(0, ask(self->client, self->t.to_server, ASKED + 8));
	k = take(&self->t.server);
	self->c[1].id = ASKED + 8;
	BLOCK(&w[0], 0);
	BLOCK(&w[1], 1);
	EXPECT_EQ(0, send_empty(self->server, k));
	JOIN(&w[1]);
	EXPECT_FALSE(LOAD(&self->c[0].done));
	EXPECT_EQ(0, REPLY());
	JOIN(&w[0]);
	EXPECT_EQ(ASKED, self->c[0].own.destination);
	EXPECT_EQ(ASKED + 8, self->c[1].own.destination);
}

/*
 * All of these threads run on one CPU, and whoever has the higher priority runs
 * first.
 */
static int run_first(pthread_t thread, int priority)
{
	struct sched_param p = { .sched_priority = priority };

	return -pthread_setschedparam(thread, priority ? SCHED_FIFO :
							 SCHED_OTHER, &p);
}

static int stay_here(void)
{
	int cpu = sched_getcpu();
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set);
}

/* What was handed to a thread, and is left, is in front of what came later. */
TEST_F(wait, counts_an_earlier_reply_that_another_thread_leaves)
{
	struct worker w[2];
	__u64 k;

	ASSERT_EQ(0, stay_here());
	if (run_first(pthread_self(), 3) == -EPERM)
		SKIP(return, "only root can say who runs first");
	ASSERT_EQ(0, run_first(pthread_self(), 0));
	ASSERT_EQ(0, ask(self->client, self->t.to_server, ASKED + 8));
	k = take(&self->t.server);
	ASSERT_EQ(0, OTHER());
	self->c[0].own.max_offset = 0;
	self->c[1].id = ASKED + 8;
	BLOCK(&w[0], 0);
	BLOCK(&w[1], 1);
	ASSERT_EQ(0, run_first(w[0].thread, 2));
	ASSERT_EQ(0, run_first(w[1].thread, 1));
	ASSERT_EQ(0, run_first(pthread_self(), 3));
	EXPECT_EQ(0, REPLY());
	EXPECT_EQ(0, send_empty(self->server, k));
	EXPECT_FALSE(LOAD(&self->c[0].done));
	EXPECT_EQ(1, query(self->client).n_queued);
	ASSERT_EQ(0, run_first(pthread_self(), 0));
	JOIN(&w[0]);
	JOIN(&w[1]);
	EXPECT_EQ(-ERANGE, self->c[0].result);
	EXPECT_EQ(0, self->c[1].result);
	EXPECT_EQ(BUS1_MSG_FLAG_OVERTOOK, self->c[1].own.flags);
	EXPECT_EQ(2, self->c[1].own.n_overtaken);
	EXPECT_TRUE(next_is(&self->t.client, BUS1_MSG_DATA, NODE));
	EXPECT_TRUE(next_is(&self->t.client, BUS1_MSG_DATA, ASKED));
	EXPECT_TRUE(is_empty(&self->t.client));
}

/* Deadlines and signals end the wait, and not what it is for. */

TEST_F(wait, times_out_and_can_go_on)
{
	__u64 deadline = now_ns() + 50 * MS;
	struct worker w;

	self->c[0].own.deadline = deadline;
	waiter_run(&self->c[0]);
	EXPECT_EQ(-ETIMEDOUT, self->c[0].result);
	EXPECT_LE(deadline, now_ns());
	EXPECT_EQ(BUS1_MSG_NONE, self->c[0].own.type);
	waiter_run(&self->c[0]);
	EXPECT_EQ(-ETIMEDOUT, self->c[0].result);
	BLOCK(&w, 1);
	EXPECT_EQ(0, REPLY());
	JOIN(&w);
	EXPECT_EQ(0, self->c[1].result);
}

TEST_F(wait, past_its_deadline_finds_what_is_there)
{
	ASSERT_EQ(0, REPLY());
	self->c[0].own.deadline = 1;
	waiter_run(&self->c[0]);
	EXPECT_EQ(0, self->c[0].result);
	EXPECT_EQ(BUS1_MSG_DATA, self->c[0].own.type);
}

TEST_F(wait, is_interrupted_by_a_signal_and_can_go_on)
{
	struct worker w;

	catch_usr1(&self->handled, 0);
	BLOCK(&w, 0);
	pthread_kill(w.thread, SIGUSR1);
	JOIN(&w);
	EXPECT_EQ(-EINTR, self->c[0].result);
	BLOCK(&w, 1);
	EXPECT_EQ(0, REPLY());
	JOIN(&w);
	EXPECT_EQ(0, self->c[1].result);
}

TEST_F(wait, is_restarted_after_a_signal_with_sa_restart)
{
	struct worker w;

	catch_usr1(&self->handled, SA_RESTART);
	BLOCK(&w, 0);
	pthread_kill(w.thread, SIGUSR1);
	ASSERT_TRUE(BECOMES(LOAD(&self->handled)));
	ASSERT_TRUE(BECOMES(is_asleep(&self->c[0])));
	EXPECT_EQ(0, REPLY());
	JOIN(&w);
	EXPECT_EQ(0, self->c[0].result);
	EXPECT_EQ(ASKED, self->c[0].own.destination);
}

TEST_F(wait, that_was_interrupted_leaves_the_reply_to_the_queue)
{
	struct worker w;

	catch_usr1(&self->handled, 0);
	BLOCK(&w, 0);
	pthread_kill(w.thread, SIGUSR1);
	JOIN(&w);
	EXPECT_EQ(0, REPLY());
	EXPECT_TRUE(is_readable(self->client));
	EXPECT_TRUE(next_is(&self->t.client, BUS1_MSG_DATA, ASKED));
	EXPECT_TRUE(is_empty(&self->t.client));
}

/* What a waiter cannot take stays for the next one. */

TEST_F(wait, without_room_in_the_mapping_is_erange)
{
	struct worker w;

	self->c[0].own.max_offset = 0;
	BLOCK(&w, 0);
	EXPECT_EQ(0, REPLY());
	JOIN(&w);
	EXPECT_EQ(-ERANGE, self->c[0].result);
	EXPECT_EQ(BUS1_MSG_NONE, self->c[0].own.type);
	EXPECT_EQ(5, self->c[0].own.n_bytes);
	EXPECT_EQ(1, query(self->client).n_queued);
	EXPECT_EQ(0, FETCH(ASKED));
	EXPECT_EQ(self->c[0].own.offset, self->r.offset);
}

TEST_F(wait, at_a_bad_pointer_is_efault)
{
	struct worker w;

	self->c[0].r = ptr_edge(sizeof(self->r));
	self->c[0].r->max_offset = POOL_MAP_SIZE;
	BLOCK(&w, 0);
	ASSERT_EQ(0, mprotect((void *)((uintptr_t)self->c[0].r & ~4095UL), 4096,
			      PROT_NONE));
	EXPECT_EQ(0, REPLY());
	JOIN(&w);
	EXPECT_EQ(-EFAULT, self->c[0].result);
	EXPECT_EQ(1, query(self->client).n_queued);
	EXPECT_TRUE(next_is(&self->t.client, BUS1_MSG_DATA, ASKED));
}

TEST_F(wait, without_room_for_descriptors_is_emfile)
{
	struct rlimit l, old;
	struct worker w;
	int p[2];

	ASSERT_EQ(0, pipe(p));
	self->c[0].flags = BUS1_RECV_INSTALL_FDS;
	BLOCK(&w, 0);
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &old));
	l = old;
	l.rlim_cur = 3;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &l));
	EXPECT_EQ(0, send_fds(self->server, self->h, &p[1], 1));
	JOIN(&w);
	EXPECT_EQ(-EMFILE, self->c[0].result);
	EXPECT_EQ(1, self->c[0].own.n_fds);
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &old));
	EXPECT_EQ(0, fetch(&self->t.client, ASKED, &self->r,
			   BUS1_RECV_INSTALL_FDS));
	EXPECT_EQ(1, write(*msg_fds(&self->t.client, &self->r), "x", 1));
}

TEST_F(wait, releases_its_slice_whatever_happens_then)
{
	ASSERT_EQ(0, send_bytes(self->server, self->back, "x", 1));
	ASSERT_EQ(0, recv_msg(&self->t.client, &self->r));
	self->c[0].own.release = self->r.offset;
	self->c[0].flags = BUS1_RECV_RELEASE | BUS1_RECV_NONBLOCK;
	waiter_run(&self->c[0]);
	EXPECT_EQ(-EAGAIN, self->c[0].result);
	EXPECT_EQ(BUS1_OFFSET_INVALID, self->c[0].own.release);
	EXPECT_EQ(1, query(self->client).used_slices);
	self->c[1].own.release = self->r.offset;
	self->c[1].flags = BUS1_RECV_RELEASE;
	waiter_run(&self->c[1]);
	EXPECT_EQ(-ENXIO, self->c[1].result);
}

/* Receivers of the next message do not take what somebody waits for. */
TEST_F(wait, is_not_disturbed_by_receivers)
{
	struct bus1_recv_args r = { .max_offset = POOL_MAP_SIZE };
	struct worker w;

	BLOCK(&w, 0);
	EXPECT_EQ(-EAGAIN, recv_msg(&self->t.client, &self->r));
	r.deadline = 1;
	EXPECT_EQ(-ETIMEDOUT, sys_recv(self->client, &r, sizeof(r), 0));
	EXPECT_EQ(0, REPLY());
	EXPECT_EQ(-EAGAIN, recv_msg(&self->t.client, &self->r));
	JOIN(&w);
	EXPECT_EQ(0, self->c[0].result);
}

/* Replies nobody waits for are messages for poll and epoll. */

TEST_F(wait, in_epoll_is_ended_by_each_reply_once)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLET };
	int ep = epoll_create1(EPOLL_CLOEXEC);

	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_ADD, self->client, &e));
	EXPECT_EQ(0, epoll_wait(ep, &e, 1, 0) && (e.events & EPOLLIN));
	ASSERT_EQ(0, ask(self->client, self->t.to_server, ASKED + 8));
	EXPECT_EQ(0, REPLY());
	EXPECT_EQ(1, epoll_wait(ep, &e, 1, 1000));
	EXPECT_TRUE(e.events & EPOLLIN);
	EXPECT_EQ(0, epoll_wait(ep, &e, 1, 0));
	EXPECT_EQ(0, release_one(self->server, take(&self->t.server)));
	EXPECT_EQ(1, epoll_wait(ep, &e, 1, 1000));
	EXPECT_TRUE(e.events & EPOLLIN);
	EXPECT_EQ(0, FETCH(ASKED + 8));
	EXPECT_EQ(BUS1_MSG_REPLY_DROPPED, self->r.type);
	EXPECT_TRUE(is_readable(self->client));
	EXPECT_EQ(0, FETCH(ASKED));
	EXPECT_FALSE(is_readable(self->client));
	close(ep);
}

TEST_HARNESS_MAIN
