// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 selftests: user memory that does not come
 *
 * A thread makes a call in which one pointer leads to a page that userfaultfd
 * holds back, so that the call stands still inside the kernel. Whatever others
 * do meanwhile must not notice: not a second sender, not the receiver, not the
 * disconnect of either. Once the page is there, the call has to end.
 *
 *     innocent ---> receiver <--- staller (the peer that the call is made on)
 */
#include "stress.h"
#include "uffd.h"

enum call {
	CALL_OPEN, CALL_QUERY, CALL_RESET, CALL_TRANSFER, CALL_RELEASE,
	CALL_DESTROY, CALL_SLICE, CALL_SEND, CALL_SEED, CALL_RECV,
};

enum pointer {
	PTR_FIRST, PTR_SECOND, PTR_DEST, PTR_ERRORS, PTR_VECS, PTR_PAYLOAD,
	PTR_HANDLES, PTR_FDS,
};

FIXTURE(stalled) {
	struct peer staller, receiver, innocent;
	__u64 to_receiver, from_innocent[2], node, slice;
	int uffd, result;
	enum call call;
	enum pointer pointer;
	unsigned char *page;		/* the page that is held back */
	unsigned char content[PAGE];	/* what will be in it */
	bool write;			/* only writing to it stalls */
	__u32 finished;
};

FIXTURE_VARIANT(stalled) {
	enum call call;
	enum pointer pointer;
	bool write;
	int result;		/* of a call that finds its peer disconnected */
};

FIXTURE_VARIANT_ADD(stalled, open_limits) { CALL_OPEN };
FIXTURE_VARIANT_ADD(stalled, query_info) {
	CALL_QUERY, PTR_FIRST, true, 0 };
FIXTURE_VARIANT_ADD(stalled, reset_limits) {
	CALL_RESET, PTR_FIRST, false, -ESHUTDOWN };
FIXTURE_VARIANT_ADD(stalled, transfer_source) {
	CALL_TRANSFER, PTR_FIRST, false, -ESHUTDOWN };
FIXTURE_VARIANT_ADD(stalled, transfer_destination) {
	CALL_TRANSFER, PTR_SECOND, true, -ESHUTDOWN };
FIXTURE_VARIANT_ADD(stalled, release_handles) {
	CALL_RELEASE, PTR_FIRST, false, -ESHUTDOWN };
FIXTURE_VARIANT_ADD(stalled, destroy_nodes) {
	CALL_DESTROY, PTR_FIRST, false, -ESHUTDOWN };
FIXTURE_VARIANT_ADD(stalled, slice_release_offsets) {
	CALL_SLICE, PTR_FIRST, false, -ESHUTDOWN };
FIXTURE_VARIANT_ADD(stalled, send_args) {
	CALL_SEND, PTR_FIRST, false, -ESHUTDOWN };
FIXTURE_VARIANT_ADD(stalled, send_destinations) {
	CALL_SEND, PTR_DEST, false, -ESHUTDOWN };
FIXTURE_VARIANT_ADD(stalled, send_errors) {
	CALL_SEND, PTR_ERRORS, true, 0 };
FIXTURE_VARIANT_ADD(stalled, send_vecs) {
	CALL_SEND, PTR_VECS, false, -ESHUTDOWN };
FIXTURE_VARIANT_ADD(stalled, send_payload) {
	CALL_SEND, PTR_PAYLOAD, false, -ESHUTDOWN };
FIXTURE_VARIANT_ADD(stalled, send_handles) {
	CALL_SEND, PTR_HANDLES, false, -ESHUTDOWN };
FIXTURE_VARIANT_ADD(stalled, send_fds) {
	CALL_SEND, PTR_FDS, false, -ESHUTDOWN };
FIXTURE_VARIANT_ADD(stalled, seed_payload) {
	CALL_SEED, PTR_PAYLOAD, false, -ESHUTDOWN };
FIXTURE_VARIANT_ADD(stalled, seed_handles) {
	CALL_SEED, PTR_HANDLES, false, -ESHUTDOWN };
FIXTURE_VARIANT_ADD(stalled, recv_args_read) {
	CALL_RECV, PTR_FIRST, false, -ESHUTDOWN };
FIXTURE_VARIANT_ADD(stalled, recv_args_written) {
	CALL_RECV, PTR_FIRST, true, -ESHUTDOWN };

/* Puts the content into place, or withholds the page from now on. */
static int stall_begin(struct _test_data_stalled *s)
{
	if (!s->write)
		return 0;
	memcpy(s->page, s->content, PAGE);
	return uffd_protect(s->uffd, s->page, true);
}

static int stall_end(struct _test_data_stalled *s)
{
	return s->write ? uffd_protect(s->uffd, s->page, false) :
	       uffd_fill(s->uffd, s->page, s->content);
}

static void stall_connect(struct _test_data_stalled *s)
{
	struct bus1_recv_args r;

	s->to_receiver = connect_new(s->receiver.fd, 8, s->staller.fd);
	s->from_innocent[0] = connect_peers(s->receiver.fd, 8, s->innocent.fd);
	s->from_innocent[1] = connect_new(s->staller.fd, 8, s->innocent.fd);
	s->node = connect_new(s->staller.fd, 16, s->staller.fd);
	send_bytes(s->innocent.fd, s->from_innocent[1], "first", 5);
	recv_msg(&s->staller, &r);
	s->slice = r.offset;
	send_bytes(s->innocent.fd, s->from_innocent[1], "second", 6);
}

FIXTURE_SETUP(stalled)
{
	self->call = variant->call;
	self->pointer = variant->pointer;
	self->write = variant->write;
	self->page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)self->page);
	self->uffd = uffd_open(self->page, self->write);
	if (self->uffd < 0)
		SKIP(return, "no userfaultfd%s here (%s)",
		     self->write ? " with write protection" : "",
		     strerror(errno));
	ASSERT_EQ(0, peer_open(&self->staller, NULL, BUS1_OPEN_NONBLOCK));
	ASSERT_EQ(0, peer_open(&self->receiver, NULL, BUS1_OPEN_NONBLOCK));
	ASSERT_EQ(0, peer_open(&self->innocent, NULL, BUS1_OPEN_NONBLOCK));
	stall_connect(self);
}

FIXTURE_TEARDOWN(stalled)
{
	peer_close(&self->staller);
	peer_close(&self->receiver);
	peer_close(&self->innocent);
	close(self->uffd);
}

/* The page if @pointer is the one that stalls, filled with @data; else @data. */
static __u64 place(struct _test_data_stalled *s, enum pointer pointer,
		   const void *data, size_t size)
{
	if (s->pointer != pointer)
		return to_u64(data);
	memcpy(s->content, data, size);
	return to_u64(s->page);
}

static int call_send(struct _test_data_stalled *s)
{
	__u64 dest = s->to_receiver, handle = 16, errors = 0;
	char payload[256] = "payload";
	struct iovec vec = { payload, sizeof(payload) };
	int fd = STDERR_FILENO;
	bool seed = s->call == CALL_SEED;
	struct bus1_send_args a = {
		.n_destinations = !seed, .n_vecs = 1,
		.n_handles = 1, .n_fds = !seed,
	};

	if (!seed) {
		a.ptr_destinations = place(s, PTR_DEST, &dest, 8);
		a.ptr_errors = place(s, PTR_ERRORS, &errors, 4);
	}
	vec.iov_base = (void *)(uintptr_t)place(s, PTR_PAYLOAD, payload,
						sizeof(payload));
	a.ptr_vecs = place(s, PTR_VECS, &vec, sizeof(vec));
	a.ptr_handles = place(s, PTR_HANDLES, &handle, 8);
	a.ptr_fds = place(s, PTR_FDS, &fd, 4);
	stall_begin(s);
	return sys_send(s->staller.fd,
			(void *)(uintptr_t)place(s, PTR_FIRST, &a, sizeof(a)),
			sizeof(a), BUS1_SEND_HANDLES |
			(seed ? BUS1_SEND_SEED : BUS1_SEND_FDS));
}

static int call_transfer(struct _test_data_stalled *s)
{
	__u64 src = 16, dst = 0, *from, *to;

	from = (void *)(uintptr_t)place(s, PTR_FIRST, &src, 8);
	to = (void *)(uintptr_t)place(s, PTR_SECOND, &dst, 8);
	stall_begin(s);
	return sys_transfer(s->staller.fd, s->receiver.fd, from, to, 1, 0);
}

/* The calls with one pointer to one number. */
static int call_array(struct _test_data_stalled *s)
{
	__u64 v = s->call == CALL_SLICE ? s->slice :
		  s->call == CALL_RELEASE ? s->to_receiver : 16;
	void *p = (void *)(uintptr_t)place(s, PTR_FIRST, &v, 8);

	if (s->call == CALL_RELEASE)
		return sys_release(s->staller.fd, p, 1, 0);
	if (s->call == CALL_DESTROY)
		return sys_destroy(s->staller.fd, p, 1, 0);
	return sys_slice_release(s->staller.fd, p, 1, 0);
}

static int call_recv(struct _test_data_stalled *s)
{
	struct bus1_recv_args r = { .max_offset = POOL_MAP_SIZE };
	void *p = (void *)(uintptr_t)place(s, PTR_FIRST, &r, sizeof(r));

	stall_begin(s);
	return sys_recv(s->staller.fd, p, sizeof(r), BUS1_RECV_NONBLOCK);
}

static int call_limits(struct _test_data_stalled *s)
{
	struct bus1_peer_limits l = limits_keep();
	struct bus1_peer_info info = { 0 };
	void *p;

	if (s->call == CALL_QUERY) {
		p = (void *)(uintptr_t)place(s, PTR_FIRST, &info, sizeof(info));
		stall_begin(s);
		return sys_query(s->staller.fd, p, sizeof(info), 0);
	}
	p = (void *)(uintptr_t)place(s, PTR_FIRST, &l, sizeof(l));
	if (s->call == CALL_RESET)
		return sys_reset(s->staller.fd, p, sizeof(l), 0);
	return sys_open(p, sizeof(l), 0) >= 0 ? 0 : -errno;
}

static void *staller_run(void *arg)
{
	struct _test_data_stalled *s = arg;

	switch (s->call) {
	case CALL_OPEN:
	case CALL_QUERY:
	case CALL_RESET:
		s->result = call_limits(s);
		break;
	case CALL_TRANSFER:
		s->result = call_transfer(s);
		break;
	case CALL_RELEASE:
	case CALL_DESTROY:
	case CALL_SLICE:
		s->result = call_array(s);
		break;
	case CALL_SEND:
	case CALL_SEED:
		s->result = call_send(s);
		break;
	case CALL_RECV:
		s->result = call_recv(s);
		break;
	}
	STORE(&s->finished, 1);
	return NULL;
}

#define STALL(w)							\
	do {								\
		THREAD(w, staller_run, self);				\
		ASSERT_TRUE(uffd_is_wanted(self->uffd))				\
			TH_LOG("the call never touched the page: %d",	\
			       self->result);				\
	} while (0)

#define UNSTALL(w)							\
	do {								\
		EXPECT_EQ(0, LOAD(&self->finished));			\
		EXPECT_EQ(0, stall_end(self));				\
		JOIN(w);						\
	} while (0)

TEST_F(stalled, does_not_stop_a_sender_a_receiver_or_a_multicast)
{
	struct worker w;
	__u64 id;

	STALL(&w);
	EXPECT_EQ(0, send_bytes(self->innocent.fd, self->from_innocent[0],
				"one", 3));
	EXPECT_EQ(0, send_multi(self->innocent.fd, self->from_innocent, 2,
				"two", 3, 0));
	EXPECT_EQ(BUS1_MSG_DATA, recv_type(&self->receiver, NULL));
	EXPECT_EQ(BUS1_MSG_DATA, recv_type(&self->receiver, NULL));
	EXPECT_EQ(-EAGAIN, recv_type(&self->receiver, NULL));
	id = connect_new(self->receiver.fd, 0x100, self->innocent.fd);
	EXPECT_NE(BUS1_HANDLE_INVALID, id);
	EXPECT_EQ(0, destroy_one(self->receiver.fd, 0x100));
	EXPECT_EQ(BUS1_MSG_NODE_DESTROY, recv_type(&self->innocent, NULL));
	UNSTALL(&w);
	EXPECT_EQ(0, self->result);
}

/* Other threads that use the staller's own peer are not held up either. */
TEST_F(stalled, does_not_stop_other_calls_on_the_same_peer)
{
	struct bus1_peer_limits l = limits_keep();
	struct worker w;

	STALL(&w);
	EXPECT_EQ(0, send_bytes(self->staller.fd, self->to_receiver, "a", 1));
	EXPECT_EQ(BUS1_MSG_DATA, recv_type(&self->staller, NULL));
	EXPECT_NE(BUS1_HANDLE_INVALID,
		  connect_new(self->staller.fd, 0x100, self->innocent.fd));
	EXPECT_EQ(0, destroy_one(self->staller.fd, 0x100));
	EXPECT_EQ(0, sys_reset(self->staller.fd, &l, sizeof(l), 0));
	EXPECT_LE(1, query(self->staller.fd).n_sent);
	EXPECT_LT(0, fdinfo_value(self->staller.fd, "id", 0));
	UNSTALL(&w);
	EXPECT_TRUE(!self->result || self->result == -EAGAIN);
}

TEST_F(stalled, does_not_stop_the_receivers_disconnect)
{
	struct worker w;
	int r;

	STALL(&w);
	EXPECT_EQ(0, sys_disconnect(self->receiver.fd, 0));
	EXPECT_EQ(-EHOSTUNREACH, send_bytes(self->innocent.fd,
					    self->from_innocent[0], "x", 1));
	UNSTALL(&w);
	r = self->result;
	/* Errors may be written after the commit. */
	if (self->call == CALL_SEND && self->pointer != PTR_ERRORS)
		EXPECT_EQ(-EHOSTUNREACH, r);
	if (self->call == CALL_TRANSFER)
		EXPECT_EQ(-ESHUTDOWN, r);
	if (self->call != CALL_SEND && self->call != CALL_TRANSFER)
		EXPECT_EQ(0, r);
}

TEST_F(stalled, does_not_stop_the_own_disconnect_and_has_no_effect_then)
{
	struct worker w;
	struct state before;

	STALL(&w);
	EXPECT_EQ(0, sys_disconnect(self->staller.fd, 0));
	while (!recv_type(&self->receiver, NULL))
		;
	state_get(self->receiver.fd, &before);
	UNSTALL(&w);
	if (self->call != CALL_OPEN)
		EXPECT_NE(-EFAULT, self->result);
	if (variant->result)
		EXPECT_EQ(variant->result, self->result);
	EXPECT_TRUE(state_same(self->receiver.fd, &before));
}

TEST_F(stalled, does_not_stop_a_flush_of_either_peer)
{
	struct worker w;

	STALL(&w);
	EXPECT_EQ(0, flush(self->receiver.fd));
	EXPECT_EQ(0, flush(self->staller.fd));
	EXPECT_TRUE(peer_is_clean(self->receiver.fd));
	UNSTALL(&w);
	EXPECT_EQ(0, flush(self->staller.fd));
	EXPECT_EQ(0, flush(self->receiver.fd));
	EXPECT_TRUE(peer_is_clean(self->staller.fd));
	EXPECT_TRUE(peer_is_clean(self->receiver.fd));
}

/* A killed process is not kept by its own page. */
TEST_F(stalled, does_not_survive_a_kill)
{
	pid_t child = fork();

	if (!child) {
		struct worker w;

		close(self->uffd);
		self->uffd = uffd_open(self->page, self->write);
		if (worker_start(&w, false, staller_run, self) ||
		    !uffd_is_wanted(self->uffd))
			_exit(1);
		kill(getpid(), SIGKILL);
	}
	EXPECT_EQ(128 + SIGKILL, wait_child(child));
	EXPECT_EQ(0, send_multi(self->innocent.fd, self->from_innocent, 2,
				"two", 3, 0));
	EXPECT_EQ(0, sys_disconnect(self->staller.fd, 0));
	EXPECT_EQ(0, sys_disconnect(self->receiver.fd, 0));
}

TEST_HARNESS_MAIN
