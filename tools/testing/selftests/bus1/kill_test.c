// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 selftests: processes killed in the middle of any call
 *
 * A child makes one kind of call over and over, on a peer of its own and on one
 * that it shares with this process, and is killed at a random moment. Whatever
 * it held must be gone: the shared peer works and can be emptied, and in the end
 * nothing is charged to the user, no peer counted and no file open.
 */
#include "reply.h"

#define USER	1600

enum op {
	OP_SEND, OP_SEND_SHARED, OP_RECV, OP_TRANSFER, OP_DESTROY, OP_FLUSH,
	OP_OPEN, OP_SEED, OP_CALL, OP_ALL,
};

FIXTURE(kill) {
	struct peer shared;
	struct rng rng;
	__u32 *running;
	int pipe[2];		/* its end for writing is sent around */
	enum op op;
};

FIXTURE_VARIANT(kill) {
	enum op op;
};

FIXTURE_VARIANT_ADD(kill, in_send) { OP_SEND };
FIXTURE_VARIANT_ADD(kill, in_send_from_a_shared_peer) { OP_SEND_SHARED };
FIXTURE_VARIANT_ADD(kill, in_recv) { OP_RECV };
FIXTURE_VARIANT_ADD(kill, in_handle_transfer) { OP_TRANSFER };
FIXTURE_VARIANT_ADD(kill, in_node_destroy) { OP_DESTROY };
FIXTURE_VARIANT_ADD(kill, in_peer_reset) { OP_FLUSH };
FIXTURE_VARIANT_ADD(kill, in_open_and_disconnect) { OP_OPEN };
FIXTURE_VARIANT_ADD(kill, with_a_seed) { OP_SEED };
FIXTURE_VARIANT_ADD(kill, in_call) { OP_CALL };
FIXTURE_VARIANT_ADD(kill, in_anything) { OP_ALL };

FIXTURE_SETUP(kill)
{
	self->op = variant->op;
	self->rng = rng_for(SEED(), 0);
	self->running = share(sizeof(*self->running));
	leak_watch();
	ASSERT_EQ(0, open_as(&self->shared, NULL, geteuid() ? geteuid() : USER));
}

FIXTURE_TEARDOWN(kill)
{
	peer_close(&self->shared);
	leak_unwatch();
}

/* The child's side. */
struct victim {
	struct peer own;
	struct peer *shared;
	__u64 to[2];			/* of own: to shared, to itself */
	__u64 back;			/* of shared: to own */
	__u64 next;
	int carried;
};

static int victim_open(struct victim *v, struct peer *shared)
{
	v->shared = shared;
	v->next = 0x1000;
	if (open_as(&v->own, NULL, geteuid() ? geteuid() : USER))
		return -1;
	v->to[0] = connect_peers(shared->fd, NODE, v->own.fd);
	v->back = connect_new(v->own.fd, NODE, shared->fd);
	v->to[1] = NODE;
	return v->back == BUS1_HANDLE_INVALID ? -1 : 0;
}

/* A multicast with everything in it. */
static void do_send(struct victim *v, bool from_shared)
{
	static const char data[40000];
	__u64 handle[2] = { NODE, NODE }, to[2] = { v->back, NODE };
	int fds[2] = { v->carried, v->carried };
	struct peer *p = from_shared ? v->shared : &v->own;

	send_full(p->fd, from_shared ? to : v->to, 2, data, sizeof(data),
		  handle, 2, fds, 2, BUS1_SEND_CONTINUE);
	drain(&v->own);
}

static void do_recv(struct victim *v)
{
	struct bus1_recv_args r;
	int i;

	do_send(v, false);
	if (recv_flags(v->shared, &r, BUS1_RECV_INSTALL_FDS) ||
	    r.type != BUS1_MSG_DATA)
		return;
	for (i = 0; i < (int)r.n_fds; i++)
		if (msg_fds(v->shared, &r)[i] > STDERR_FILENO)
			close(msg_fds(v->shared, &r)[i]);
	slice_release_one(v->shared->fd, r.offset);
}

static void do_transfer(struct victim *v)
{
	__u64 src[8], dst[8];
	int i;

	for (i = 0; i < 8; i++)
		src[i] = (v->next += 8) | BUS1_HANDLE_FLAG_NEW;
	if (sys_transfer(v->own.fd, v->shared->fd, src, dst, 8, 0))
		return;
	sys_transfer(v->shared->fd, v->own.fd, dst, src, 8, 0);
	sys_release(v->shared->fd, dst, 8, 0);
}

static void do_destroy(struct victim *v)
{
	__u64 src[64], dst[64];
	int i;

	for (i = 0; i < 64; i++)
		src[i] = (v->next += 8) | BUS1_HANDLE_FLAG_NEW;
	if (sys_transfer(v->own.fd, v->shared->fd, src, dst, 64, 0))
		return;
	for (i = 0; i < 64; i++)
		src[i] &= ~BUS1_HANDLE_FLAG_NEW;
	sys_destroy(v->own.fd, src, 64, BUS1_DESTROY_RELEASE_HANDLES);
	sys_release(v->shared->fd, dst, 64, 0);
}

static void do_flush(struct victim *v)
{
	do_send(v, false);
	do_transfer(v);
	flush(v->own.fd);
	release_one(v->shared->fd, v->back);
	v->to[0] = connect_peers(v->shared->fd, NODE, v->own.fd);
	v->back = connect_new(v->own.fd, NODE, v->shared->fd);
}

static void do_open(struct victim *v)
{
	struct peer p;
	__u64 h;

	if (peer_open(&p, NULL, BUS1_OPEN_NONBLOCK))
		return;
	h = connect_new(p.fd, NODE, v->shared->fd);
	send_bytes(v->shared->fd, h, "hello", 5);
	if (v->next++ & 1)
		sys_disconnect(p.fd, 0);
	peer_close(&p);
	release_one(v->shared->fd, h);
}

static void do_seed(struct victim *v)
{
	__u64 handle[2] = { v->to[0], (v->next += 8) | BUS1_HANDLE_FLAG_NEW };
	struct bus1_recv_args r;

	send_full(v->own.fd, NULL, 0, "seed", 4, handle, 2, &v->carried, 1,
		  BUS1_SEND_SEED);
	if (!recv_flags(&v->own, &r, BUS1_RECV_SEED))
		slice_release_one(v->own.fd, r.offset);
	sys_reset(v->own.fd, NULL, 0, BUS1_RESET_FLUSH_SEED);
}

/*
 * The shared peer asks, through a call, and the own one answers, passes the
 * request back, drops it or does not get to it.
 */
static void do_call(struct victim *v)
{
	struct bus1_recv_args r = { .max_offset = POOL_MAP_SIZE };
	struct bus1_send_args a;
	__u64 h;

	v->next += 8;
	a = request(&v->back, v->next, 100, 2, v->next & 8 ? 1 : 0);
	call_args(v->shared, &a, &r, BUS1_SEND_REPLY, BUS1_RECV_NONBLOCK);
	h = take(&v->own);
	if (v->next & 8)
		send_fds(v->own.fd, h, &v->carried, 1);
	else if (v->next & 16)
		send_handles(v->own.fd, v->to[0], &h, 1);
	else if (v->next & 32 || !destroy_one(v->shared->fd, v->next))
		release_one(v->own.fd, h);
	if (!fetch(v->shared, v->next, &r, 0) && r.type == BUS1_MSG_DATA)
		slice_release_one(v->shared->fd, r.offset);
}

static void do_one(struct victim *v, enum op op)
{
	switch (op) {
	case OP_SEND:
	case OP_SEND_SHARED:
		do_send(v, op == OP_SEND_SHARED);
		break;
	case OP_RECV:
		do_recv(v);
		break;
	case OP_TRANSFER:
		do_transfer(v);
		break;
	case OP_DESTROY:
		do_destroy(v);
		break;
	case OP_FLUSH:
		do_flush(v);
		break;
	case OP_OPEN:
		do_open(v);
		break;
	case OP_SEED:
		do_seed(v);
		break;
	case OP_CALL:
		do_call(v);
		break;
	default:
		break;
	}
}

static void victim_run(struct _test_data_kill *s)
{
	struct victim v = { .carried = s->pipe[1] };
	unsigned int n;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (victim_open(&v, &s->shared))
		_exit(1);
	for (n = 0;; n++) {
		do_one(&v, s->op == OP_ALL ? n % OP_ALL : s->op);
		STORE(s->running, n + 1);
		if (n % 8 == 7)
			drain(s->op == OP_RECV ? &v.own : v.shared);
	}
}

/* Lets some time pass that has nothing to do with what the child does. */
static void linger(struct rng *r)
{
	__u64 end = now_ns() + rng_below(r, 3000) * 1000ULL;

	while (now_ns() < end)
		;
}

/* The shared peer is as good as ever. */
static void kill_check(struct __test_metadata *_metadata,
		       struct _test_data_kill *self)
{
	struct bus1_recv_args r = { .max_offset = POOL_MAP_SIZE };
	__u64 id = NODE | BUS1_HANDLE_FLAG_NEW;

	drain(&self->shared);
	EXPECT_EQ(0, query(self->shared.fd).n_queued);
	EXPECT_EQ(0, query(self->shared.fd).used_inflight_fds);
	EXPECT_TRUE(are_waiting(self->shared.fd, 0));
	EXPECT_EQ(0, flush(self->shared.fd));
	EXPECT_TRUE(peer_is_clean(self->shared.fd));
	ASSERT_EQ(0, sys_transfer(self->shared.fd, self->shared.fd, &id, &id, 1, 0));
	ASSERT_EQ(0, send_bytes(self->shared.fd, NODE, "again", 5));
	ASSERT_EQ(0, sys_recv(self->shared.fd, &r, sizeof(r),
			      BUS1_RECV_NONBLOCK));
	EXPECT_EQ(0, slice_release_one(self->shared.fd, r.offset));
}

/* Every copy of the end for writing is gone, also those under way. */
static bool pipe_is_closed(int fd)
{
	struct pollfd p = { .fd = fd };

	return poll(&p, 1, 20000) == 1 && (p.revents & POLLHUP);
}

TEST_F_TIMEOUT(kill, leaves_nothing_behind, 300)
{
	__u64 id = NODE | BUS1_HANDLE_FLAG_NEW;
	unsigned int round, rounds = scaled(25);
	long bytes;
	pid_t child;

	ASSERT_EQ(0, sys_transfer(self->shared.fd, self->shared.fd, &id, &id, 1, 0));
	bytes = leak_bytes();
	for (round = 0; round < rounds; round++) {
		STORE(self->running, 0);
		ASSERT_EQ(0, pipe(self->pipe));
		child = fork();
		if (!child)
			victim_run(self);
		ASSERT_LT(0, child);
		ASSERT_TRUE(BECOMES(LOAD(self->running)));
		linger(&self->rng);
		kill(child, SIGKILL);
		EXPECT_EQ(128 + SIGKILL, wait_child(child));
		kill_check(_metadata, self);
		close(self->pipe[1]);
		EXPECT_TRUE(pipe_is_closed(self->pipe[0]));
		close(self->pipe[0]);
		ASSERT_EQ(0, _metadata->exit_code);
	}
	peer_close(&self->shared);
	EXPECT_TRUE(BECOMES(leak_bytes() <= bytes + 32768)) {
		TH_LOG("%ld bytes, %ld at first", leak_bytes(), bytes);
	}
	if (!geteuid())
		EXPECT_TRUE(BECOMES(user_is_clean(USER)));
}

TEST_HARNESS_MAIN
