// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 selftests: bus1_call(), as a client and as a server use it
 */
#include "reply.h"

#include <sys/resource.h>

/* @back is the server's handle to a node of the client. */
FIXTURE(call) {
	struct trio t;
	int client, server;
	__u64 back;
	struct bus1_send_args send;
	struct bus1_recv_args r;
	struct iovec vec;
	struct caller c;
	__u32 handled;
	struct worker w;
};

FIXTURE_SETUP(call)
{
	ASSERT_EQ(0, trio_open(&self->t));
	self->client = self->t.client.fd;
	self->server = self->t.server.fd;
	self->back = connect_peers(self->client, NODE, self->server);
	self->vec = (struct iovec){ "hello", 5 };
	self->send = request(&self->t.to_server, ASKED, ROOM, 1, 1);
	self->send.ptr_vecs = to_u64(&self->vec);
	self->send.n_vecs = 1;
	self->r.max_offset = self->t.client.pool_size;
	self->c = caller_for(&self->t.client, self->t.to_server, ASKED);
}

FIXTURE_TEARDOWN(call)
{
	trio_close(&self->t);
}

/* The client's two kinds of calls in this thread; neither blocks. */
#define ASK(flags)	call_args(&self->t.client, &self->send, &self->r, \
				  BUS1_SEND_REPLY, BUS1_RECV_NONBLOCK | (flags))
#define START()		CALL_BLOCKED(&self->w, caller_run, &self->c)
#define FETCH(id)	fetch(&self->t.client, id, &self->r, 0)
#define OTHER()		send_empty(self->server, self->back)

/* Client. */

TEST_F(call, sends_and_waits_for_the_reply)
{
	struct bus1_recv_args *r = &self->c.own;
	__u64 h, sent = query(self->client).n_sent;

	START();
	EXPECT_EQ(sent + 1, query(self->client).n_sent);
	h = take(&self->t.server);
	EXPECT_EQ(MANAGED | REMOTE, h & 7);
	EXPECT_EQ(0, send_bytes(self->server, h, "reply", 5));
	JOIN(&self->w);
	EXPECT_EQ(0, self->c.result);
	EXPECT_EQ(0, r->error);
	EXPECT_EQ(BUS1_MSG_DATA, r->type);
	EXPECT_EQ(ASKED, r->destination);
	EXPECT_EQ(0, r->flags);
	EXPECT_EQ(5, r->n_bytes);
	EXPECT_EQ(0, memcmp("reply", msg_payload(&self->t.client, r), 5));
	EXPECT_EQ(INVALID, r->reply);
	EXPECT_EQ(getpid(), r->sender_pid);
	EXPECT_EQ(geteuid(), r->sender_uid);
	EXPECT_EQ(getegid(), r->sender_gid);
	EXPECT_EQ(-1, r->sender_pidfd);
	EXPECT_EQ(0, r->n_overtaken);
	EXPECT_EQ(0, query(self->client).n_queued);
	EXPECT_EQ(0, slice_release_one(self->client, r->offset));
	EXPECT_TRUE(usage_is(self->client, &self->t.at_client));
}

TEST_F(call, sends_its_payload_with_handles_and_descriptors)
{
	__u64 x = NODE;
	int p[2], fd;

	ASSERT_EQ(0, pipe(p));
	self->send.ptr_handles = to_u64(&x);
	self->send.n_handles = 1;
	self->send.ptr_fds = to_u64(&p[1]);
	self->send.n_fds = 1;
	ASSERT_EQ(0, ASK(0));
	ASSERT_EQ(0, recv_flags(&self->t.server, &self->r,
				BUS1_RECV_INSTALL_FDS));
	EXPECT_EQ(5, self->r.n_bytes);
	EXPECT_EQ(self->back, *msg_handles(&self->t.server, &self->r));
	fd = *msg_fds(&self->t.server, &self->r);
	EXPECT_EQ(1, write(fd, "x", 1));
	EXPECT_EQ(MANAGED | REMOTE, self->r.reply & 7);
}

TEST_F(call, receives_handles_and_descriptors)
{
	struct bus1_recv_args *r = &self->c.own;
	__u64 x = 0x700 | NEW, h;
	int p[2];

	ASSERT_EQ(0, pipe(p));
	self->c.flags = BUS1_RECV_INSTALL_FDS;
	START();
	h = take(&self->t.server);
	EXPECT_EQ(0, send_full(self->server, &h, 1, "reply", 5, &x, 1, &p[1], 1,
			       0));
	JOIN(&self->w);
	ASSERT_EQ(1, r->n_handles);
	EXPECT_EQ(0, send_empty(self->client,
				*msg_handles(&self->t.client, r)));
	ASSERT_EQ(1, r->n_fds);
	EXPECT_EQ(1, write(*msg_fds(&self->t.client, r), "x", 1));
	EXPECT_EQ(FD_CLOEXEC, fcntl(*msg_fds(&self->t.client, r), F_GETFD));
}

TEST_F(call, ends_with_a_drop)
{
	START();
	EXPECT_EQ(0, release_one(self->server, take(&self->t.server)));
	JOIN(&self->w);
	EXPECT_EQ(0, self->c.result);
	EXPECT_EQ(0, self->c.own.error);
	EXPECT_EQ(BUS1_MSG_REPLY_DROPPED, self->c.own.type);
	EXPECT_EQ(ASKED, self->c.own.destination);
	EXPECT_TRUE(notice_is_plain(&self->c.own));
	EXPECT_TRUE(is_empty(&self->t.client));
}

TEST_F(call, ends_with_a_drop_when_the_server_goes_away_before_it_read)
{
	START();
	peer_close(&self->t.server);
	JOIN(&self->w);
	EXPECT_EQ(0, self->c.result);
	EXPECT_EQ(0, self->c.own.error);
	EXPECT_EQ(BUS1_MSG_REPLY_DROPPED, self->c.own.type);
}

TEST_F(call, ends_with_the_reply_of_whoever_holds_the_handle)
{
	__u64 h, k;

	START();
	h = take(&self->t.server);
	EXPECT_EQ(0, send_handles(self->server, self->t.to_worker, &h, 1));
	k = take_handle(&self->t.worker);
	EXPECT_EQ(0, send_bytes(self->t.worker.fd, k, "work", 4));
	JOIN(&self->w);
	EXPECT_EQ(ASKED, self->c.own.destination);
	EXPECT_EQ(4, self->c.own.n_bytes);
}

TEST_F(call, leaves_other_messages_in_their_order)
{
	__u64 to[3];
	int i;

	for (i = 0; i < 3; i++) {
		to[i] = connect_new(self->client, 0x100 * (i + 1),
				    self->server);
		if (i == 2)
			START();
		ASSERT_EQ(0, send_empty(self->server, to[i]));
	}
	EXPECT_TRUE(BECOMES(is_asleep(&self->c)));
	EXPECT_EQ(0, send_empty(self->server, take(&self->t.server)));
	JOIN(&self->w);
	EXPECT_EQ(ASKED, self->c.own.destination);
	EXPECT_EQ(BUS1_MSG_FLAG_OVERTOOK, self->c.own.flags);
	EXPECT_EQ(3, self->c.own.n_overtaken);
	for (i = 0; i < 3; i++)
		EXPECT_TRUE(next_is(&self->t.client, BUS1_MSG_DATA,
				    0x100 * (i + 1)));
	EXPECT_TRUE(is_empty(&self->t.client));
}

TEST_F(call, that_must_not_block_has_sent_its_request)
{
	ASSERT_EQ(0, ASK(0));
	EXPECT_EQ(-EAGAIN, self->r.error);
	EXPECT_EQ(BUS1_MSG_NONE, self->r.type);
	EXPECT_EQ(-EAGAIN, FETCH(ASKED));
	EXPECT_EQ(0, send_bytes(self->server, take(&self->t.server), "x", 1));
	EXPECT_EQ(0, FETCH(ASKED));
	EXPECT_EQ(1, self->r.n_bytes);
}

TEST_F(call, of_a_peer_that_does_not_block_does_not_block)
{
	ASSERT_EQ(0, fcntl(self->client, F_SETFL, O_NONBLOCK));
	ASSERT_EQ(0, call_args(&self->t.client, &self->send, &self->r,
			       BUS1_SEND_REPLY, 0));
	EXPECT_EQ(-EAGAIN, self->r.error);
	EXPECT_EQ(0, send_empty(self->server, take(&self->t.server)));
	EXPECT_TRUE(next_is(&self->t.client, BUS1_MSG_DATA, ASKED));
}

TEST_F(call, times_out_and_the_request_stands)
{
	__u64 deadline = now_ns() + 50 * MS;

	self->r.deadline = deadline;
	EXPECT_EQ(0, call_args(&self->t.client, &self->send, &self->r,
			       BUS1_SEND_REPLY, 0));
	EXPECT_EQ(-ETIMEDOUT, self->r.error);
	EXPECT_EQ(BUS1_MSG_NONE, self->r.type);
	EXPECT_LE(deadline, now_ns());
	EXPECT_EQ(1, awaited(self->client));
	EXPECT_EQ(1, query(self->server).n_queued);
	EXPECT_EQ(0, send_empty(self->server, take(&self->t.server)));
	EXPECT_EQ(0, FETCH(ASKED));
}

TEST_F(call, past_its_deadline_sends_and_does_not_wait)
{
	self->r.deadline = 1;
	EXPECT_EQ(0, call_args(&self->t.client, &self->send, &self->r,
			       BUS1_SEND_REPLY, 0));
	EXPECT_EQ(-ETIMEDOUT, self->r.error);
	EXPECT_NE(INVALID, take(&self->t.server));
}

FIXTURE(signal) {
	struct _test_data_call call;
};

/* Whether the handler restarts calls must not matter: it was sent. */
FIXTURE_VARIANT(signal) {
	int flags;
};

FIXTURE_VARIANT_ADD(signal, plain) { 0 };
FIXTURE_VARIANT_ADD(signal, restart) { SA_RESTART };

FIXTURE_SETUP(signal)
{
	struct _test_data_call *c = &self->call;

	ASSERT_EQ(0, trio_open(&c->t));
	c->c = caller_for(&c->t.client, c->t.to_server, ASKED);
	catch_usr1(&c->handled, variant->flags);
}

FIXTURE_TEARDOWN(signal)
{
	trio_close(&self->call.t);
}

TEST_F(signal, ends_the_wait_and_the_request_stands)
{
	struct _test_data_call *c = &self->call;

	CALL_BLOCKED(&c->w, caller_run, &c->c);
	pthread_kill(c->w.thread, SIGUSR1);
	JOIN(&c->w);
	EXPECT_EQ(1, c->handled);
	EXPECT_EQ(-EINTR, c->c.result);
	EXPECT_EQ(-EINTR, c->c.own.error);
	EXPECT_EQ(BUS1_MSG_NONE, c->c.own.type);
	/* It was sent once. */
	EXPECT_EQ(1, query(c->t.server.fd).n_queued);
	EXPECT_EQ(1, query(c->t.client.fd).n_sent);
	EXPECT_EQ(0, send_empty(c->t.server.fd, take(&c->t.server)));
	EXPECT_EQ(0, fetch(&c->t.client, ASKED, &c->r, 0));
	EXPECT_EQ(BUS1_MSG_DATA, c->r.type);
}

TEST_F(signal, then_waiting_goes_on)
{
	struct _test_data_call *c = &self->call;

	CALL_BLOCKED(&c->w, caller_run, &c->c);
	pthread_kill(c->w.thread, SIGUSR1);
	JOIN(&c->w);
	c->c = caller_for(&c->t.client, c->t.to_server, ASKED);
	CALL_BLOCKED(&c->w, waiter_run, &c->c);
	EXPECT_EQ(0, send_empty(c->t.server.fd, take(&c->t.server)));
	JOIN(&c->w);
	EXPECT_EQ(0, c->c.result);
	EXPECT_EQ(ASKED, c->c.own.destination);
	EXPECT_TRUE(is_empty(&c->t.server));
}

TEST_F(call, ends_with_estale_when_cancelled)
{
	START();
	EXPECT_EQ(0, destroy_one(self->client, ASKED));
	JOIN(&self->w);
	EXPECT_EQ(0, self->c.result);
	EXPECT_EQ(-ESTALE, self->c.own.error);
	EXPECT_EQ(BUS1_MSG_NONE, self->c.own.type);
	EXPECT_EQ(-EHOSTUNREACH, send_empty(self->server,
					    take(&self->t.server)));
}

TEST_F(call, ends_with_estale_when_flushed)
{
	START();
	EXPECT_EQ(0, flush(self->client));
	JOIN(&self->w);
	EXPECT_EQ(0, self->c.result);
	EXPECT_EQ(-ESTALE, self->c.own.error);
	EXPECT_TRUE(usage_is_only(self->client, 1));
	EXPECT_EQ(0, release_one(self->server, take(&self->t.server)));
	EXPECT_TRUE(usage_is_only(self->client, 0));
}

TEST_F(call, ends_with_eshutdown_when_disconnected)
{
	START();
	EXPECT_EQ(0, sys_disconnect(self->client, 0));
	JOIN(&self->w);
	EXPECT_EQ(0, self->c.result);
	EXPECT_EQ(-ESHUTDOWN, self->c.own.error);
}

/* What the caller cannot take is left to the queue. */

TEST_F(call, without_room_in_the_mapping_is_erange)
{
	struct bus1_recv_args *r = &self->c.own;

	r->max_offset = 0;
	START();
	EXPECT_EQ(0, send_bytes(self->server, take(&self->t.server), "x", 1));
	JOIN(&self->w);
	EXPECT_EQ(0, self->c.result);
	EXPECT_EQ(-ERANGE, r->error);
	EXPECT_EQ(BUS1_MSG_NONE, r->type);
	EXPECT_EQ(1, r->n_bytes);
	EXPECT_EQ(0, FETCH(ASKED));
	EXPECT_EQ(r->offset, self->r.offset);
}

TEST_F(call, without_room_for_descriptors_is_emfile)
{
	struct rlimit l, old;
	__u64 h;
	int p[2];

	ASSERT_EQ(0, pipe(p));
	self->c.flags = BUS1_RECV_INSTALL_FDS;
	START();
	h = take(&self->t.server);
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &old));
	l = old;
	l.rlim_cur = 3;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &l));
	EXPECT_EQ(0, send_fds(self->server, h, &p[1], 1));
	JOIN(&self->w);
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &old));
	EXPECT_EQ(-EMFILE, self->c.own.error);
	EXPECT_EQ(1, self->c.own.n_fds);
	EXPECT_EQ(0, FETCH(ASKED));
}

TEST_F(call, whose_struct_goes_away_leaves_the_reply_to_the_queue)
{
	struct bus1_recv_args *r = ptr_edge(sizeof(*r));

	r->max_offset = POOL_MAP_SIZE;
	self->c.r = r;
	START();
	ASSERT_EQ(0, mprotect((void *)((uintptr_t)r & ~4095UL), 4096,
			      PROT_NONE));
	EXPECT_EQ(0, send_bytes(self->server, take(&self->t.server), "x", 1));
	JOIN(&self->w);
	EXPECT_EQ(0, self->c.result);
	EXPECT_EQ(1, query(self->client).n_queued);
	EXPECT_TRUE(is_readable(self->client));
	EXPECT_EQ(0, FETCH(ASKED));
	EXPECT_EQ(1, self->r.n_bytes);
}

/* Releasing a slice in the same entry. */

/* Receives "slice" from the server; returns where it lies. */
static __u64 get_slice(struct _test_data_call *s)
{
	if (send_bytes(s->server, s->back, "slice", 5) ||
	    recv_msg(&s->t.client, &s->r))
		return BUS1_OFFSET_INVALID;
	return s->r.offset;
}

TEST_F(call, releases_a_slice_that_it_forwards_from)
{
	__u64 slice = get_slice(self);

	ASSERT_NE(BUS1_OFFSET_INVALID, slice);
	self->vec = (struct iovec){ (void *)(self->t.client.pool + slice), 5 };
	self->r.release = slice;
	ASSERT_EQ(0, ASK(BUS1_RECV_RELEASE));
	EXPECT_EQ(-EAGAIN, self->r.error);
	EXPECT_EQ(BUS1_OFFSET_INVALID, self->r.release);
	EXPECT_EQ(-ENXIO, slice_release_one(self->client, slice));
	ASSERT_EQ(0, recv_msg(&self->t.server, &self->r));
	EXPECT_EQ(0, memcmp("slice", msg_payload(&self->t.server, &self->r),
			    5));
}

TEST_F(call, releases_its_slice_before_it_blocks)
{
	self->c.own.release = get_slice(self);
	self->c.flags = BUS1_RECV_RELEASE;
	START();
	EXPECT_EQ(BUS1_OFFSET_INVALID, LOAD(&self->c.own.release));
	/* What is left is what was paid for the reply. */
	EXPECT_EQ(1, query(self->client).used_slices);
	EXPECT_EQ(0, send_empty(self->server, take(&self->t.server)));
	JOIN(&self->w);
	EXPECT_EQ(1, query(self->client).used_slices);
	EXPECT_EQ(0, slice_release_one(self->client, self->c.own.offset));
	EXPECT_EQ(0, query(self->client).used_slices);
}

/* The budget is charged while the slice is still there. */
TEST_F(call, needs_room_for_both_the_slice_and_the_reply)
{
	struct bus1_peer_limits l = limits_keep();
	__u64 slice = get_slice(self);

	l.max_slices = 1;
	ASSERT_EQ(0, sys_reset(self->client, &l, sizeof(l), 0));
	self->r.release = slice;
	EXPECT_EQ(-ENOBUFS, ASK(BUS1_RECV_RELEASE));
	EXPECT_EQ(0, slice_release_one(self->client, slice));
	self->r.release = BUS1_OFFSET_INVALID;
	EXPECT_EQ(0, ASK(BUS1_RECV_RELEASE));
}

/* Server: reply, and receive the next request. */

#define SERVE(h, flags)	serve(self, h, flags)

static int serve(struct _test_data_call *s, __u64 h, unsigned int flags)
{
	struct bus1_send_args a = {
		.ptr_destinations = to_u64(&h), .n_destinations = 1,
		.ptr_vecs = to_u64(&s->vec), .n_vecs = 1,
	};

	s->r.max_offset = s->t.server.pool_size;
	return call_args(&s->t.server, &a, &s->r, 0, flags);
}

TEST_F(call, of_a_server_replies_and_receives_the_next)
{
	int i;

	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, ASK(0));
		self->send.reply_id += 8;
	}
	ASSERT_EQ(0, recv_msg(&self->t.server, &self->r));
	for (i = 0; i < 4; i++) {
		self->r.release = self->r.offset;
		ASSERT_EQ(0, SERVE(self->r.reply, BUS1_RECV_RELEASE));
		EXPECT_EQ(0, self->r.error);
		EXPECT_EQ(BUS1_MSG_DATA, self->r.type);
		EXPECT_EQ(NODE, self->r.destination);
		/* This one, and what is queued. */
		EXPECT_EQ(4 - i, query(self->server).used_slices);
		EXPECT_TRUE(next_is(&self->t.client, BUS1_MSG_DATA,
				    ASKED + 8 * i));
	}
	self->r.release = self->r.offset;
	ASSERT_EQ(0, SERVE(self->r.reply, BUS1_RECV_RELEASE |
					  BUS1_RECV_NONBLOCK));
	EXPECT_EQ(-EAGAIN, self->r.error);
	EXPECT_EQ(0, query(self->server).used_slices);
	EXPECT_TRUE(next_is(&self->t.client, BUS1_MSG_DATA, ASKED + 32));
}

TEST_F(call, of_a_server_that_cannot_reply_receives_nothing)
{
	struct trio_state old;
	__u64 h;

	ASSERT_EQ(0, ASK(0));
	self->send.reply_id += 8;
	ASSERT_EQ(0, ASK(0));
	h = take(&self->t.server);
	ASSERT_EQ(0, destroy_one(self->client, ASKED));
	trio_get(&self->t, &old);
	EXPECT_EQ(-EHOSTUNREACH, SERVE(h, 0));
	EXPECT_TRUE(trio_same(&self->t, &old));
	EXPECT_EQ(0, release_one(self->server, h));
	EXPECT_EQ(-ENXIO, SERVE(h, 0));
	h = take(&self->t.server);
	EXPECT_EQ(0, SERVE(h, BUS1_RECV_NONBLOCK));
	EXPECT_EQ(-EAGAIN, self->r.error);
}

static void *serve_run(void *arg)
{
	struct caller *c = arg;
	struct bus1_send_args a = {
		.ptr_destinations = to_u64(&c->to), .n_destinations = 1,
	};

	STORE(&c->tid, gettid());
	c->result = call_args(c->peer, &a, &c->own, 0, c->flags);
	STORE(&c->done, 1);
	return NULL;
}

TEST_F(call, of_a_server_waits_for_the_next_request)
{
	ASSERT_EQ(0, ASK(0));
	self->c = caller_for(&self->t.server, take(&self->t.server), 0);
	CALL_BLOCKED(&self->w, serve_run, &self->c);
	EXPECT_EQ(0, FETCH(ASKED));
	ASSERT_EQ(0, ASK(0));
	JOIN(&self->w);
	EXPECT_EQ(0, self->c.result);
	EXPECT_EQ(0, self->c.own.error);
	EXPECT_EQ(NODE, self->c.own.destination);
	EXPECT_EQ(MANAGED | REMOTE, self->c.own.reply & 7);
}

TEST_F(call, of_a_server_that_is_interrupted_has_replied_once)
{
	catch_usr1(&self->handled, SA_RESTART);
	ASSERT_EQ(0, ASK(0));
	self->c = caller_for(&self->t.server, take(&self->t.server), 0);
	CALL_BLOCKED(&self->w, serve_run, &self->c);
	pthread_kill(self->w.thread, SIGUSR1);
	JOIN(&self->w);
	EXPECT_EQ(-EINTR, self->c.result);
	EXPECT_EQ(-EINTR, self->c.own.error);
	EXPECT_TRUE(next_is(&self->t.client, BUS1_MSG_DATA, ASKED));
	EXPECT_TRUE(is_empty(&self->t.client));
}

static bool is_stopped(pid_t pid)
{
	return task_state(pid, pid) == 'T';
}

static bool sleeps_again(pid_t pid)
{
	return task_state(pid, pid) == 'S';
}

/* Nobody handled a signal: the wait is taken up again, and nothing sent again. */
TEST_F(call, that_is_stopped_goes_on_waiting)
{
	struct caller *c = share(sizeof(*c));
	pid_t pid;
	int i;

	*c = caller_for(&self->t.client, self->t.to_server, ASKED);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		caller_run(c);
		_exit(0);
	}
	ASSERT_TRUE(BECOMES(LOAD(&c->tid) && sleeps_again(pid)));
	for (i = 0; i < 3; i++) {
		kill(pid, SIGSTOP);
		ASSERT_TRUE(BECOMES(is_stopped(pid)));
		kill(pid, SIGCONT);
		ASSERT_TRUE(BECOMES(sleeps_again(pid)));
	}
	EXPECT_EQ(0, c->done);
	EXPECT_EQ(1, query(self->t.server.fd).n_queued);
	/* What comes while it is stopped is there when it goes on. */
	kill(pid, SIGSTOP);
	ASSERT_TRUE(BECOMES(is_stopped(pid)));
	EXPECT_EQ(0, send_empty(self->t.server.fd, take(&self->t.server)));
	kill(pid, SIGCONT);
	EXPECT_EQ(0, wait_child(pid));
	EXPECT_EQ(0, c->result);
	EXPECT_EQ(0, c->own.error);
	EXPECT_EQ(BUS1_MSG_DATA, c->own.type);
	EXPECT_EQ(ASKED, c->own.destination);
	EXPECT_EQ(1, query(self->t.client.fd).n_sent);
}

/* A server's reply goes out once, and its next request is received. */
TEST_F(call, of_a_server_that_is_stopped_goes_on_waiting)
{
	struct caller *c = share(sizeof(*c));
	pid_t pid;

	ASSERT_EQ(0, ASK(0));
	*c = caller_for(&self->t.server, take(&self->t.server), 0);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		serve_run(c);
		_exit(0);
	}
	ASSERT_TRUE(BECOMES(LOAD(&c->tid) && sleeps_again(pid)));
	kill(pid, SIGSTOP);
	ASSERT_TRUE(BECOMES(is_stopped(pid)));
	kill(pid, SIGCONT);
	EXPECT_EQ(0, FETCH(ASKED));
	ASSERT_EQ(0, ASK(0));
	EXPECT_EQ(0, wait_child(pid));
	EXPECT_EQ(0, c->result);
	EXPECT_EQ(0, c->own.error);
	EXPECT_EQ(NODE, c->own.destination);
	EXPECT_TRUE(is_empty(&self->t.client));
}

TEST_F(call, of_a_server_times_out)
{
	ASSERT_EQ(0, ASK(0));
	self->c = caller_for(&self->t.server, take(&self->t.server), 0);
	self->c.own.deadline = now_ns() + 20 * MS;
	serve_run(&self->c);
	EXPECT_EQ(-ETIMEDOUT, self->c.own.error);
	EXPECT_TRUE(next_is(&self->t.client, BUS1_MSG_DATA, ASKED));
}

/* Without a request or a reply it is a send and a receive, multicast too. */
TEST_F(call, may_send_anything_to_anybody)
{
	__u64 to[2] = { self->back, self->t.to_worker };
	struct bus1_send_args a = {
		.ptr_destinations = to_u64(to), .n_destinations = 2,
	};

	ASSERT_EQ(0, ASK(0));
	self->r = (struct bus1_recv_args){ .max_offset = POOL_MAP_SIZE };
	ASSERT_EQ(0, call_args(&self->t.server, &a, &self->r,
			       BUS1_SEND_CONTINUE, 0));
	EXPECT_EQ(0, self->r.error);
	EXPECT_EQ(BUS1_MSG_DATA, self->r.type);
	EXPECT_TRUE(next_is(&self->t.client, BUS1_MSG_DATA, NODE));
	EXPECT_TRUE(next_is(&self->t.worker, BUS1_MSG_DATA, NODE));
}

TEST_HARNESS_MAIN
