// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 selftests: poll, select and epoll on a peer
 */
#include "stress.h"

#include <sys/epoll.h>
#include <sys/select.h>

#define NODE	8ULL
#define MS	1000000ULL

static short poll_state(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT };

	return poll(&p, 1, 0) < 0 ? -1 : p.revents;
}

FIXTURE(state) {
	struct peer p, other;
	__u64 to_p;
};

FIXTURE_SETUP(state)
{
	ASSERT_EQ(0, peer_open(&self->p, NULL, 0));
	ASSERT_EQ(0, peer_open(&self->other, NULL, 0));
	self->to_p = connect_new(self->p.fd, NODE, self->other.fd);
}

FIXTURE_TEARDOWN(state)
{
	peer_close(&self->p);
	peer_close(&self->other);
}

TEST_F(state, in_poll_follows_the_peer)
{
	struct bus1_recv_args r;

	EXPECT_EQ(POLLOUT, poll_state(self->p.fd));
	ASSERT_EQ(0, send_empty(self->other.fd, self->to_p));
	EXPECT_EQ(POLLIN | POLLOUT, poll_state(self->p.fd));
	ASSERT_EQ(0, recv_msg(&self->p, &r));
	EXPECT_EQ(POLLOUT, poll_state(self->p.fd));
	ASSERT_EQ(0, sys_disconnect(self->p.fd, 0));
	EXPECT_EQ(POLLHUP, poll_state(self->p.fd) & (POLLHUP | POLLOUT));
}

TEST_F(state, in_poll_does_not_show_a_notice_that_was_withdrawn)
{
	__u64 h = connect_new(self->other.fd, NODE, self->p.fd);

	ASSERT_EQ(0, destroy_one(self->other.fd, NODE));
	EXPECT_EQ(POLLIN | POLLOUT, poll_state(self->p.fd));
	ASSERT_EQ(0, release_one(self->p.fd, h));
	EXPECT_EQ(POLLOUT, poll_state(self->p.fd));
	EXPECT_EQ(0, query(self->p.fd).n_queued);
}

enum method { POLL, PPOLL, SELECT, EPOLL };

FIXTURE(poll) {
	struct peer p, other;
	__u64 to_p;
	int epfd;
	enum method method;
	__u32 tid;
	int events;
};

FIXTURE_VARIANT(poll) {
	enum method method;
	__u32 flags;
};

FIXTURE_VARIANT_ADD(poll, poll) { POLL };
FIXTURE_VARIANT_ADD(poll, ppoll) { PPOLL };
FIXTURE_VARIANT_ADD(poll, select) { SELECT };
FIXTURE_VARIANT_ADD(poll, epoll_level) { EPOLL, 0 };
FIXTURE_VARIANT_ADD(poll, epoll_edge) { EPOLL, EPOLLET };
FIXTURE_VARIANT_ADD(poll, epoll_oneshot) { EPOLL, EPOLLONESHOT };
FIXTURE_VARIANT_ADD(poll, epoll_exclusive) { EPOLL, EPOLLEXCLUSIVE };

FIXTURE_SETUP(poll)
{
	struct epoll_event e = { .events = EPOLLIN | variant->flags };

	ASSERT_EQ(0, peer_open(&self->p, NULL, 0));
	ASSERT_EQ(0, peer_open(&self->other, NULL, 0));
	self->to_p = connect_new(self->p.fd, NODE, self->other.fd);
	self->method = variant->method;
	self->epfd = epoll_create1(EPOLL_CLOEXEC);
	ASSERT_LE(0, self->epfd);
	if (variant->method == EPOLL)
		ASSERT_EQ(0, epoll_ctl(self->epfd, EPOLL_CTL_ADD, self->p.fd, &e));
}

FIXTURE_TEARDOWN(poll)
{
	close(self->epfd);
	peer_close(&self->p);
	peer_close(&self->other);
}

/* Returns what there is after at most @ms, as poll() events. */
static int look(struct _test_data_poll *s, int ms)
{
	struct pollfd p = { .fd = s->p.fd, .events = POLLIN };
	struct timespec t = { ms / 1000, ms % 1000 * MS };
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };
	struct epoll_event e = { 0 };
	fd_set set;
	int n = -1;

	switch (s->method) {
	case POLL:
		n = poll(&p, 1, ms);
		break;
	case PPOLL:
		n = ppoll(&p, 1, &t, NULL);
		break;
	case SELECT:
		FD_ZERO(&set);
		FD_SET(s->p.fd, &set);
		n = select(s->p.fd + 1, &set, NULL, NULL, &tv);
		return n == 1 ? POLLIN : n;
	case EPOLL:
		n = epoll_wait(s->epfd, &e, 1, ms);
		return n == 1 ? e.events : n;
	}
	return n == 1 ? p.revents : n;
}

static void *look_run(void *arg)
{
	struct _test_data_poll *s = arg;

	STORE(&s->tid, gettid());
	s->events = look(s, 20000);
	return NULL;
}

#define LOOK_BLOCKED(w)							\
	do {								\
		STORE(&self->tid, 0);					\
		THREAD(w, look_run, self);				\
		ASSERT_TRUE(BECOMES(LOAD(&self->tid) &&			\
			task_state(getpid(), self->tid) == 'S'));	\
	} while (0)

TEST_F(poll, wakes_for_a_message)
{
	struct worker w;

	LOOK_BLOCKED(&w);
	EXPECT_EQ(0, send_empty(self->other.fd, self->to_p));
	JOIN(&w);
	EXPECT_EQ(POLLIN, self->events);
}

TEST_F(poll, wakes_for_a_message_of_the_peer_to_itself)
{
	struct worker w;

	LOOK_BLOCKED(&w);
	EXPECT_EQ(0, send_empty(self->p.fd, NODE));
	JOIN(&w);
	EXPECT_EQ(POLLIN, self->events);
}

TEST_F(poll, wakes_for_a_notice)
{
	struct worker w;

	LOOK_BLOCKED(&w);
	EXPECT_EQ(0, release_one(self->other.fd, self->to_p));
	JOIN(&w);
	EXPECT_EQ(POLLIN, self->events);
}

TEST_F(poll, wakes_for_a_disconnect)
{
	struct worker w;

	LOOK_BLOCKED(&w);
	EXPECT_EQ(0, sys_disconnect(self->p.fd, 0));
	JOIN(&w);
	if (self->method != SELECT)
		EXPECT_EQ(POLLHUP, self->events & POLLHUP);
	EXPECT_LT(0, self->events);
}

TEST_F(poll, says_again_what_its_mode_promises)
{
	bool again = !(variant->flags & (EPOLLET | EPOLLONESHOT));
	struct epoll_event e = { .events = EPOLLIN | variant->flags };
	struct bus1_recv_args r;

	EXPECT_EQ(0, look(self, 0));
	ASSERT_EQ(0, send_empty(self->other.fd, self->to_p));
	EXPECT_EQ(POLLIN, look(self, 0));
	EXPECT_EQ(again ? POLLIN : 0, look(self, 0));
	/* A second message is a second edge. */
	ASSERT_EQ(0, send_empty(self->other.fd, self->to_p));
	EXPECT_EQ(variant->flags & EPOLLONESHOT ? 0 : POLLIN, look(self, 0));
	ASSERT_EQ(0, recv_msg(&self->p, &r));
	/* A receiver that leaves something may make an edge of that. */
	if (!(variant->flags & EPOLLET))
		EXPECT_EQ(again ? POLLIN : 0, look(self, 0));
	if (variant->flags & EPOLLONESHOT) {
		ASSERT_EQ(0, epoll_ctl(self->epfd, EPOLL_CTL_MOD, self->p.fd, &e));
		EXPECT_EQ(POLLIN, look(self, 0));
	}
	ASSERT_EQ(0, recv_msg(&self->p, &r));
	EXPECT_EQ(0, look(self, 0));
}

TEST_HARNESS_MAIN
