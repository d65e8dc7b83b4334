// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 selftests: small messages, received into a buffer
 */
#include "inline.h"
#include "uffd.h"

#include <pthread.h>
#include <sys/resource.h>

static int send_text(const struct pair *s, const char *text)
{
	return send_bytes(s->b.fd, s->h, text, strlen(text));
}

static bool is_in_slice(const struct bus1_recv_args *r)
{
	return r->type == BUS1_MSG_DATA && !(r->flags & BUS1_MSG_FLAG_INLINE) &&
	       r->offset != BUS1_OFFSET_INVALID;
}

TEST_F(small, message_is_in_the_buffer)
{
	ASSERT_EQ(0, send_text(&self->s, "small"));
	EXPECT_EQ(1, query(self->a).used_slices);
	EXPECT_EQ(8, query(self->a).used_inflight_bytes);
	ASSERT_EQ(0, recv_into(self->pa, &self->r, self->buffer, MAX, 0));
	EXPECT_TRUE(is_inline(&self->r));
	EXPECT_EQ(BUS1_MSG_FLAG_INLINE, self->r.flags);
	EXPECT_EQ(5, self->r.n_bytes);
	EXPECT_EQ(self->s.id, self->r.destination);
	EXPECT_EQ(getpid(), self->r.sender_pid);
	EXPECT_EQ(0, memcmp(self->buffer, "small\0\0\0", 8));
	EXPECT_TRUE(is_filled_with(self->buffer + 8, 1016, NOTHING));
	EXPECT_TRUE(usage_is(self->a, &self->at_a));
	EXPECT_EQ(1, query(self->a).n_received);
}

/* Neither its sender nor its receiver needs the pool. */
TEST_F(small, message_never_touches_the_pool)
{
	int i;

	for (i = 0; i < 100; i++)
		ASSERT_EQ(0, send_bytes(self->b, self->s.h, self->data, MAX));
	EXPECT_EQ(0, fdinfo_value(self->a, "pool", 0));
	for (i = 0; i < 100; i++)
		ASSERT_EQ(0, recv_into(self->pa, &self->r, self->buffer, MAX, 0));
	EXPECT_EQ(0, fdinfo_value(self->a, "pool", 0));
	EXPECT_TRUE(usage_is(self->a, &self->at_a));
	ASSERT_EQ(0, send_bytes(self->b, self->s.h, self->data, MAX + 1));
	EXPECT_LT(0, fdinfo_value(self->a, "pool", 0));
}

TEST_F(small, inputs_stay_as_they_are)
{
	ASSERT_EQ(0, send_text(&self->s, "text"));
	ASSERT_EQ(0, recv_into(self->pa, &self->r, self->buffer, MAX, 0));
	EXPECT_EQ(self->pa->pool_size, self->r.max_offset);
	EXPECT_EQ(0, self->r.deadline);
	EXPECT_EQ(to_u64(self->buffer), self->r.ptr_buffer);
	EXPECT_EQ(MAX, self->r.buffer_size);
	EXPECT_EQ(ASKED, self->r.reply_id);
	EXPECT_EQ(BUS1_OFFSET_INVALID, self->r.release);

	/* So the struct does for the next one as it is. */
	ASSERT_EQ(0, send_text(&self->s, "next"));
	ASSERT_EQ(0, sys_recv(self->a, &self->r, sizeof(self->r), 0));
	EXPECT_EQ(0, memcmp(self->buffer, "next", 4));
	EXPECT_EQ(-EAGAIN, sys_recv(self->a, &self->r, sizeof(self->r), 0));
	EXPECT_EQ(to_u64(self->buffer), self->r.ptr_buffer);
}

/* What arrived is what was sent; returns how it came: 'b' or 's', or 0. */
static char check_arrival(struct _test_data_small *s, size_t n, size_t n_handles,
			  size_t n_fds)
{
	const struct bus1_recv_args *r = &s->r;
	const unsigned char *p = s->buffer;
	const __u64 *ids;
	const int *fds;
	size_t i;

	if (r->n_bytes != n || r->n_handles != n_handles || r->n_fds != n_fds)
		return 0;
	if (is_in_slice(r))
		p = s->pa->pool + r->offset;
	else if (!is_inline(r))
		return 0;
	if (memcmp(p, s->data, n) ||
	    ((n_handles | n_fds) && !is_filled_with(p + n, align8(n) - n, 0) &&
	     is_inline(r)))
		return 0;
	ids = (const __u64 *)(p + align8(n));
	fds = (const int *)(ids + n_handles);
	for (i = 0; i < n_handles; i++)
		if (ids[i] == INVALID || release_one(s->a, ids[i]))
			return 0;
	for (i = 0; i < n_fds; i++)
		if (fds[i] < 0 || close(fds[i]))
			return 0;
	if (is_inline(r) &&
	    !is_filled_with(p + slice_size(n, n_handles, n_fds),
			    1024 - slice_size(n, n_handles, n_fds), NOTHING))
		return 0;
	if (is_in_slice(r))
		return slice_release_one(s->a, r->offset) ? 0 : 's';
	return 'b';
}

static char pass(struct _test_data_small *s, size_t n, size_t n_handles,
		 size_t n_fds, __u64 size)
{
	__u64 handles[40];
	int fds[80];
	size_t i;

	for (i = 0; i < n_handles; i++)
		handles[i] = 0x100;
	for (i = 0; i < n_fds; i++)
		fds[i] = STDOUT_FILENO;
	memset(s->buffer, NOTHING, 1024);
	if (send_full(s->b, &s->s.h, 1, s->data, n, handles, n_handles, fds,
		      n_fds, 0) ||
	    recv_into(s->pa, &s->r, s->buffer, size, BUS1_RECV_INSTALL_FDS))
		return 0;
	return check_arrival(s, n, n_handles, n_fds);
}

TEST_F(small, every_size_arrives_whole)
{
	static const size_t handles[] = { 0, 1, 4, 5, 16, 32, 33 };
	static const size_t fds[] = { 0, 1, 3, 4, 5, 64, 65 };
	size_t n, i, j;

	ASSERT_EQ(0x100, connect_new(self->b, 0x100, self->b));
	for (i = 0; i < 7; i++)
		for (j = 0; j < 7; j++)
			for (n = 0; n <= MAX + 2; n += n == 9 ? 236 : 1)
				ASSERT_EQ(slice_size(n, handles[i], fds[j]) <=
					  MAX ? 'b' : 's',
					  pass(self, n, handles[i], fds[j],
					       1024));
	EXPECT_TRUE(usage_is(self->a, &self->at_a));
}

/* One byte less than it takes, padding and arrays included: a slice. */
TEST_F(small, buffer_that_is_too_small_is_not_used)
{
	static const size_t sizes[] = { 1, 8, 9, 100, 255, 256 };
	size_t i;
	__u64 size;

	ASSERT_EQ(0x100, connect_new(self->b, 0x100, self->b));
	for (i = 0; i < 6; i++) {
		size = slice_size(sizes[i], 0, 0);
		EXPECT_EQ('b', pass(self, sizes[i], 0, 0, size));
		EXPECT_EQ('s', pass(self, sizes[i], 0, 0, size - 1));
		EXPECT_TRUE(is_filled_with(self->buffer, 1024, NOTHING));
		EXPECT_EQ('s', pass(self, sizes[i], 0, 0, 0));
	}
	EXPECT_EQ('b', pass(self, 7, 1, 1, 20));
	EXPECT_EQ('s', pass(self, 7, 1, 1, 19));
	/* Nothing fits everywhere. */
	EXPECT_EQ('b', pass(self, 0, 0, 0, 0));
	EXPECT_TRUE(usage_is(self->a, &self->at_a));
}

/* The charge stays with the slice, as for any message in one. */
TEST_F(small, message_without_a_buffer_gets_a_slice)
{
	__u64 offset;

	ASSERT_EQ(0, send_text(&self->s, "in a slice"));
	ASSERT_EQ(0, recv_into(self->pa, &self->r, NULL, MAX, 0));
	EXPECT_TRUE(is_in_slice(&self->r));
	EXPECT_EQ(0, self->r.flags);
	EXPECT_EQ(0, memcmp(msg_payload(self->pa, &self->r), "in a slice", 10));
	EXPECT_EQ(1, query(self->a).used_slices);
	EXPECT_EQ(16, query(self->a).used_inflight_bytes);
	offset = self->r.offset;
	/* Released with the next one, which has none. */
	ASSERT_EQ(0, send_text(&self->s, "in the buffer"));
	self->r.release = offset;
	self->r.ptr_buffer = to_u64(self->buffer);
	ASSERT_EQ(0, sys_recv(self->a, &self->r, sizeof(self->r),
			      BUS1_RECV_RELEASE));
	EXPECT_TRUE(is_inline(&self->r));
	EXPECT_EQ(BUS1_OFFSET_INVALID, self->r.release);
	EXPECT_TRUE(usage_is(self->a, &self->at_a));
	EXPECT_EQ(-ENXIO, slice_release_one(self->a, offset));
	EXPECT_EQ(-ENXIO, slice_release_one(self->a, self->r.offset));
}

TEST_F(small, buffer_is_left_alone_by_notices_and_large_messages)
{
	ASSERT_EQ(0, send_bytes(self->b, self->s.h, self->data, MAX + 1));
	ASSERT_EQ(0, release_one(self->b, self->s.h));
	ASSERT_EQ(0, recv_into(self->pa, &self->r, self->buffer, 1024, 0));
	EXPECT_TRUE(is_in_slice(&self->r));
	EXPECT_EQ(1, query(self->a).used_slices);
	ASSERT_EQ(0, recv_into(self->pa, &self->r, self->buffer, MAX, 0));
	EXPECT_EQ(BUS1_MSG_NODE_RELEASE, self->r.type);
	EXPECT_EQ(0, self->r.flags);
	EXPECT_TRUE(is_filled_with(self->buffer, 1024, NOTHING));
}

TEST_F(small, buffer_that_is_not_aligned_is_refused)
{
	struct state old;
	int i;

	ASSERT_EQ(0, send_text(&self->s, "text"));
	state_get(self->a, &old);
	for (i = 1; i < 8; i++)
		EXPECT_EQ(-EINVAL, recv_into(self->pa, &self->r,
					     self->buffer + i, MAX, 0));
	EXPECT_EQ(-EINVAL, recv_into(self->pa, &self->r, (void *)4, 0, 0));
	EXPECT_TRUE(state_same(self->a, &old));
	EXPECT_EQ(0, recv_into(self->pa, &self->r, self->buffer, MAX, 0));
}

TEST_F(small, buffer_that_cannot_be_written_keeps_the_message)
{
	void *bad[] = { ptr_noaccess(), ptr_readonly(), ptr_kernel(), (void *)8,
			self->buffer + 1024 };
	const __u64 handle = 0x100;
	struct state old;
	int i, fd = STDOUT_FILENO, n_fds = count_fds();

	ASSERT_EQ(0x100, connect_new(self->b, handle, self->b));
	ASSERT_EQ(0, send_full(self->b, &self->s.h, 1, "kept", 4, &handle, 1,
			       &fd, 1, 0));
	state_get(self->a, &old);
	for (i = 0; i < 5; i++) {
		EXPECT_EQ(-EFAULT, recv_into(self->pa, &self->r, bad[i], MAX,
					     BUS1_RECV_INSTALL_FDS));
		EXPECT_EQ(BUS1_MSG_NONE, self->r.type);
		EXPECT_TRUE(state_same(self->a, &old));
		EXPECT_EQ(n_fds, count_fds());
	}
	ASSERT_EQ(0, recv_into(self->pa, &self->r, self->buffer, MAX,
			       BUS1_RECV_INSTALL_FDS));
	EXPECT_TRUE(is_inline(&self->r));
	EXPECT_EQ(0, memcmp(self->buffer, "kept\0\0\0\0", 8));
	EXPECT_NE(INVALID, ((__u64 *)self->buffer)[1]);
	EXPECT_EQ(n_fds + 1, count_fds());
	EXPECT_EQ(0, close(((int *)self->buffer)[4]));
}

/* A buffer that cannot be written is no matter to what does not go there. */
TEST_F(small, bad_buffer_does_not_keep_a_large_message)
{
	ASSERT_EQ(0, send_bytes(self->b, self->s.h, self->data, MAX + 1));
	ASSERT_EQ(0, recv_into(self->pa, &self->r, ptr_noaccess(), MAX, 0));
	EXPECT_TRUE(is_in_slice(&self->r));
}

/* Pages that were never touched, two of them, are faulted in. */
TEST_F(small, buffer_may_lie_in_two_new_pages)
{
	char *page = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_TRUE(page != MAP_FAILED);
	ASSERT_EQ(0, send_bytes(self->b, self->s.h, self->data, MAX));
	ASSERT_EQ(0, recv_into(self->pa, &self->r, page + 4096 - 8, MAX, 0));
	EXPECT_TRUE(is_inline(&self->r));
	EXPECT_EQ(0, memcmp(page + 4096 - 8, self->data, MAX));
	EXPECT_TRUE(usage_is(self->a, &self->at_a));
}

/* Also when the struct's page and the buffer's are missing again and again. */
TEST_F(small, buffer_and_struct_may_be_new_each_time)
{
	struct bus1_recv_args *r;
	int i;

	for (i = 0; i < 20; i++) {
		char *page = mmap(NULL, 2 * 4096, PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS, -1, 0);

		ASSERT_TRUE(page != MAP_FAILED);
		r = (void *)(page + 4096 - 64);
		ASSERT_EQ(0, send_text(&self->s, "new"));
		ASSERT_EQ(0, recv_into(self->pa, r, page, MAX, 0));
		EXPECT_TRUE(is_inline(r));
		EXPECT_EQ(0, memcmp(page, "new", 3));
		munmap(page, 2 * 4096);
	}
	EXPECT_TRUE(usage_is(self->a, &self->at_a));
}

struct stalled {
	const struct peer *p;
	struct bus1_recv_args r;
	void *page;
	int result;
};

static void *recv_stalled(void *arg)
{
	struct stalled *s = arg;

	s->result = recv_into(s->p, &s->r, s->page, MAX, 0);
	return NULL;
}

/* Nothing is held while the receiver's page is awaited: others send and receive. */
TEST_F(small, page_that_is_held_back_holds_up_nobody)
{
	struct stalled s = { .p = self->pa };
	static char content[PAGE] __attribute__((aligned(PAGE)));
	pthread_t thread;
	int uffd;

	s.page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_TRUE(s.page != MAP_FAILED);
	uffd = uffd_open(s.page, false);
	if (uffd < 0)
		SKIP(return, "no userfaultfd");
	ASSERT_EQ(0, send_text(&self->s, "first"));
	ASSERT_EQ(0, pthread_create(&thread, NULL, recv_stalled, &s));
	ASSERT_TRUE(uffd_is_wanted(uffd));
	EXPECT_EQ(1, query(self->a).n_queued);
	ASSERT_EQ(0, send_text(&self->s, "second"));
	ASSERT_EQ(0, recv_into(self->pa, &self->r, self->buffer, MAX, 0));
	EXPECT_EQ(0, memcmp(self->buffer, "first", 5));
	EXPECT_EQ(0, uffd_fill(uffd, s.page, content));
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(0, s.result);
	EXPECT_TRUE(is_inline(&s.r));
	EXPECT_EQ(0, memcmp(s.page, "second", 6));
	EXPECT_TRUE(usage_is(self->a, &self->at_a));
	close(uffd);
}

/* What it needs is told, and it stays as it was. */
TEST_F(small, slice_behind_max_offset_is_erange)
{
	struct state old;

	ASSERT_EQ(0, send_text(&self->s, "text"));
	state_get(self->a, &old);
	self->r = (struct bus1_recv_args){ .max_offset = 7 };
	ASSERT_EQ(-ERANGE, sys_recv(self->a, &self->r, sizeof(self->r), 0));
	EXPECT_EQ(0, self->r.offset % 8);
	EXPECT_EQ(4, self->r.n_bytes);
	EXPECT_EQ(0, self->r.flags);
	EXPECT_EQ(INVALID, self->r.destination);
	EXPECT_TRUE(state_same(self->a, &old));
	EXPECT_EQ(0, fdinfo_value(self->a, "pool", 0));
	/* The pool does not matter for the buffer. */
	self->r = (struct bus1_recv_args){
		.ptr_buffer = to_u64(self->buffer), .buffer_size = MAX,
	};
	ASSERT_EQ(0, sys_recv(self->a, &self->r, sizeof(self->r), 0));
	EXPECT_TRUE(is_inline(&self->r));
	EXPECT_TRUE(usage_is(self->a, &self->at_a));
}

TEST_F(small, message_stays_when_there_is_no_room_for_its_descriptors)
{
	struct rlimit old_limit, limit;
	struct state old;
	int fds[2] = { STDOUT_FILENO, STDOUT_FILENO }, r;

	ASSERT_EQ(0, send_full(self->b, &self->s.h, 1, "fd", 2, NULL, 0, fds, 2,
			       0));
	state_get(self->a, &old);
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &old_limit));
	limit = old_limit;
	limit.rlim_cur = count_fds();
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	r = recv_into(self->pa, &self->r, self->buffer, MAX,
		      BUS1_RECV_INSTALL_FDS);
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &old_limit));
	EXPECT_EQ(-EMFILE, r);
	EXPECT_EQ(BUS1_MSG_NONE, self->r.type);
	EXPECT_EQ(BUS1_MSG_FLAG_INLINE, self->r.flags);
	EXPECT_EQ(BUS1_OFFSET_INVALID, self->r.offset);
	EXPECT_EQ(2, self->r.n_bytes);
	EXPECT_EQ(2, self->r.n_fds);
	EXPECT_TRUE(state_same(self->a, &old));
	/* Without them it can be had. */
	ASSERT_EQ(0, recv_into(self->pa, &self->r, self->buffer, MAX, 0));
	EXPECT_EQ(-1, ((int *)self->buffer)[2]);
	EXPECT_EQ(-1, ((int *)self->buffer)[3]);
	EXPECT_TRUE(usage_is(self->a, &self->at_a));
}

/* The sender's share is free again without a release. */
TEST_F(small, share_of_the_sender_comes_back_with_the_receive)
{
	struct bus1_peer_limits l = { 4, 100, 4096, 10 };
	struct bus1_peer_info before;
	struct peer p;
	__u64 h;
	int i;

	ASSERT_EQ(0, peer_open(&p, &l, BUS1_OPEN_NONBLOCK));
	h = connect_new(p.fd, NODE, self->b);
	before = query(p.fd);
	for (i = 0; i < 100; i++) {
		ASSERT_EQ(0, send_bytes(self->b, h, "1", 1));
		ASSERT_EQ(0, send_bytes(self->b, h, "2", 1));
		ASSERT_EQ(-EXFULL, send_bytes(self->b, h, "3", 1));
		ASSERT_EQ(0, recv_into(&p, &self->r, self->buffer, MAX, 0));
		ASSERT_EQ(0, recv_into(&p, &self->r, self->buffer, MAX, 0));
	}
	EXPECT_EQ(before.used_slices, query(p.fd).used_slices);
	EXPECT_EQ(before.used_inflight_bytes, query(p.fd).used_inflight_bytes);
	peer_close(&p);
}

/* The handle that is new to the receiver stays charged, and nothing else does. */
TEST_F(small, new_handle_stays_charged_to_its_sender)
{
	const __u64 handle = 0x100;
	struct usage now = self->at_a;
	__u64 id;

	ASSERT_EQ(0x100, connect_new(self->b, handle, self->b));
	ASSERT_EQ(0, send_handles(self->b, self->s.h, &handle, 1));
	ASSERT_EQ(0, send_handles(self->b, self->s.h, &handle, 1));
	ASSERT_EQ(0, recv_into(self->pa, &self->r, self->buffer, MAX, 0));
	id = *(__u64 *)self->buffer;
	EXPECT_EQ(0, release_one(self->a, id));
	ASSERT_EQ(0, recv_into(self->pa, &self->r, self->buffer, MAX, 0));
	id = *(__u64 *)self->buffer;
	now.handles++;
	now.ids++;
	EXPECT_TRUE(usage_is(self->a, &now));
	EXPECT_EQ(0, release_one(self->a, id));
	EXPECT_TRUE(usage_is(self->a, &self->at_a));
}

TEST_F(small, multicast_reaches_every_kind_of_receiver)
{
	size_t n, sizes[] = { 0, 1, 100, MAX, MAX + 1, 9000 };
	__u64 dests[3], offset;
	struct peer c, d;
	size_t i;

	ASSERT_EQ(0, peer_open(&c, NULL, BUS1_OPEN_NONBLOCK));
	ASSERT_EQ(0, peer_open(&d, NULL, BUS1_OPEN_NONBLOCK));
	dests[0] = self->s.h;
	dests[1] = connect_new(c.fd, NODE, self->b);
	dests[2] = connect_new(d.fd, NODE, self->b);
	for (i = 0; i < 6; i++) {
		static unsigned char big[9000];

		n = sizes[i];
		memset(big, 0x30 + i, sizeof(big));
		ASSERT_EQ(0, send_full(self->b, dests, 3, big, n, NULL, 0, NULL,
				       0, 0));
		ASSERT_EQ(0, recv_into(self->pa, &self->r, self->buffer, MAX,
				       0));
		EXPECT_EQ(n <= MAX, is_inline(&self->r));
		EXPECT_EQ(0, memcmp(n <= MAX ? self->buffer :
				    self->pa->pool + self->r.offset, big, n));
		ASSERT_EQ(0, recv_into(&c, &self->r, NULL, 0, 0));
		EXPECT_TRUE(is_in_slice(&self->r));
		EXPECT_EQ(0, memcmp(c.pool + self->r.offset, big, n));
		offset = self->r.offset;
		ASSERT_EQ(0, recv_into(&d, &self->r, self->buffer, 16, 0));
		EXPECT_EQ(align8(n) <= 16, is_inline(&self->r));
		EXPECT_EQ(0, memcmp(align8(n) <= 16 ? self->buffer :
				    d.pool + self->r.offset, big, n));
		EXPECT_EQ(0, slice_release_one(c.fd, offset));
	}
	peer_close(&c);
	peer_close(&d);
}

TEST_F(small, seed_is_read_into_the_buffer_as_often_as_one_likes)
{
	const __u64 own = 0x100;
	struct usage then;
	int i;

	ASSERT_EQ(0x100, connect_new(self->a, own, self->a));
	ASSERT_EQ(0, send_full(self->a, NULL, 0, "seed", 4, &own, 1, NULL, 0,
			       BUS1_SEND_SEED));
	EXPECT_EQ(0, fdinfo_value(self->a, "pool", 0));
	then = usage_of(self->a);
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, recv_into(self->pa, &self->r, self->buffer, MAX,
				       BUS1_RECV_SEED));
		EXPECT_TRUE(is_inline(&self->r));
		EXPECT_EQ(0, memcmp(self->buffer, "seed\0\0\0\0", 8));
		EXPECT_EQ(own, ((__u64 *)self->buffer)[1]);
		EXPECT_EQ(0, release_one(self->a, own));
		EXPECT_TRUE(usage_is(self->a, &then));
	}
	ASSERT_EQ(0, recv_into(self->pa, &self->r, NULL, 0, BUS1_RECV_SEED));
	EXPECT_TRUE(is_in_slice(&self->r));
	EXPECT_EQ(0, memcmp(msg_payload(self->pa, &self->r), "seed", 4));
	EXPECT_EQ(-EFAULT, recv_into(self->pa, &self->r, ptr_noaccess(), MAX,
				     BUS1_RECV_SEED));
	EXPECT_EQ(0, send_full(self->a, NULL, 0, self->data, MAX + 1, NULL, 0,
			       NULL, 0, BUS1_SEND_SEED));
	ASSERT_EQ(0, recv_into(self->pa, &self->r, self->buffer, MAX,
			       BUS1_RECV_SEED));
	EXPECT_TRUE(is_in_slice(&self->r));
	EXPECT_EQ(0, memcmp(msg_payload(self->pa, &self->r), self->data,
			    MAX + 1));
}

/* What is queued goes with its receiver, whether it has a slice or not. */
TEST_F(small, queued_messages_are_flushed_and_closed)
{
	int i;

	for (i = 0; i < 10; i++)
		ASSERT_EQ(0, send_text(&self->s, "never read"));
	ASSERT_EQ(0, sys_reset(self->a, NULL, 0, BUS1_RESET_FLUSH));
	EXPECT_TRUE(peer_is_clean(self->a));
	self->s.h = connect_new(self->a, 0x2000, self->b);
	for (i = 0; i < 10; i++)
		ASSERT_EQ(0, send_text(&self->s, "never read"));
	peer_close(self->pa);
	ASSERT_EQ(-EHOSTUNREACH, send_text(&self->s, "too late"));
}

TEST_HARNESS_MAIN
