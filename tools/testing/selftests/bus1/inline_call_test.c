// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 selftests: small replies, received into a buffer
 */
#include "inline.h"

#include <pthread.h>

/* Whatever was paid for, what the reply takes decides; nothing is left of it. */
TEST_F(small, reply_comes_into_the_buffer)
{
	static const size_t paid[] = { 0, 64, MAX, MAX + 1, 100000 };
	static const size_t sent[] = { 0, 5, MAX, MAX + 1, 1000 };
	struct usage at_b;
	size_t i, j;
	__u64 reply;

	at_b = usage_of(self->b);
	for (i = 0; i < 5; i++)
		for (j = 0; j < 5; j++) {
			if (sent[j] > paid[i])
				continue;
			ASSERT_EQ(0, ask_for(self->b, self->s.h, ASKED, paid[i],
					     0, 0));
			reply = take(self->pa);
			ASSERT_EQ(0, send_bytes(self->a, reply, self->data,
						sent[j]));
			ASSERT_EQ(0, recv_into(&self->s.b, &self->r,
					       self->buffer, MAX,
					       (i + j) % 2 ? BUS1_RECV_REPLY :
					       0));
			EXPECT_EQ(ASKED, self->r.destination);
			EXPECT_EQ(sent[j], self->r.n_bytes);
			EXPECT_EQ(sent[j] <= MAX, is_inline(&self->r));
			if (is_inline(&self->r)) {
				EXPECT_EQ(0, memcmp(self->buffer, self->data,
						    sent[j]));
			} else {
				EXPECT_EQ(0, slice_release_one(self->b,
							       self->r.offset));
			}
			EXPECT_TRUE(usage_is(self->b, &at_b));
		}
	EXPECT_TRUE(usage_is(self->a, &self->at_a));
}

struct server {
	const struct peer *p;
	int result;
};

/* Takes one request into a buffer and sends it back from there. */
static void *serve_one(void *arg)
{
	__u64 buffer[MAX / 8];
	struct server *s = arg;
	struct bus1_recv_args r = {
		.ptr_buffer = to_u64(buffer), .buffer_size = sizeof(buffer),
	};
	struct pollfd p = { .fd = s->p->fd, .events = POLLIN };

	s->result = -ETIMEDOUT;
	if (poll(&p, 1, 10000) == 1)
		s->result = sys_recv(s->p->fd, &r, sizeof(r), 0);
	if (!s->result)
		s->result = send_bytes(s->p->fd, r.reply, buffer, r.n_bytes);
	return NULL;
}

TEST_F(small, call_brings_the_reply_into_the_buffer)
{
	struct bus1_send_args a = request(&self->s.h, ASKED, MAX, 0, 0);
	struct iovec vec = { self->data, MAX };
	struct server server = { .p = self->pa };
	struct usage at_b;
	pthread_t thread;

	ASSERT_EQ(0, fcntl(self->b, F_SETFL, 0));
	at_b = usage_of(self->b);
	a.ptr_vecs = to_u64(&vec);
	a.n_vecs = 1;
	ASSERT_EQ(0, pthread_create(&thread, NULL, serve_one, &server));
	self->r = (struct bus1_recv_args){
		.ptr_buffer = to_u64(self->buffer), .buffer_size = 1024,
	};
	ASSERT_EQ(0, call_args(&self->s.b, &a, &self->r, BUS1_SEND_REPLY, 0));
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(0, server.result);
	EXPECT_EQ(0, self->r.error);
	EXPECT_TRUE(is_inline(&self->r));
	EXPECT_EQ(ASKED, self->r.destination);
	EXPECT_EQ(0, memcmp(self->buffer, self->data, MAX));
	EXPECT_TRUE(is_filled_with(self->buffer + MAX, 1024 - MAX, NOTHING));
	EXPECT_TRUE(usage_is(self->a, &self->at_a));
	EXPECT_TRUE(usage_is(self->b, &at_b));
}

/* The same struct does for waiting on: it names the request, and always did. */
TEST_F(small, call_with_a_bad_buffer_leaves_the_reply_to_be_fetched)
{
	struct bus1_send_args a = request(&self->s.h, ASKED, MAX, 0, 0);
	struct iovec vec = { self->data, 8 };
	struct server server = { .p = self->pa };
	pthread_t thread;

	a.ptr_vecs = to_u64(&vec);
	a.n_vecs = 1;
	self->r = (struct bus1_recv_args){ .ptr_buffer = 4 };
	EXPECT_EQ(-EINVAL, call_args(&self->s.b, &a, &self->r, BUS1_SEND_REPLY,
				     0));
	EXPECT_EQ(0, awaited(self->b));
	ASSERT_EQ(0, fcntl(self->b, F_SETFL, 0));
	ASSERT_EQ(0, pthread_create(&thread, NULL, serve_one, &server));
	self->r = (struct bus1_recv_args){
		.ptr_buffer = to_u64(ptr_noaccess()), .buffer_size = MAX,
		.reply_id = ASKED,
	};
	ASSERT_EQ(0, call_args(&self->s.b, &a, &self->r, BUS1_SEND_REPLY, 0));
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(-EFAULT, self->r.error);
	EXPECT_EQ(BUS1_MSG_NONE, self->r.type);
	EXPECT_EQ(1, awaited(self->b));
	self->r.ptr_buffer = to_u64(self->buffer);
	ASSERT_EQ(0, sys_recv(self->b, &self->r, sizeof(self->r),
			      BUS1_RECV_REPLY | BUS1_RECV_NONBLOCK));
	EXPECT_TRUE(is_inline(&self->r));
	EXPECT_EQ(0, awaited(self->b));
}

/* Flags that do not fit their half do not turn into others. */
TEST_F(small, flags_of_a_call_do_not_overflow)
{
	struct bus1_send_args a = request(&self->s.h, ASKED, 0, 0, 0);
	unsigned int bit;

	for (bit = 16; bit < 32; bit++) {
		self->r = (struct bus1_recv_args){ 0 };
		EXPECT_EQ(-EINVAL, sys_call(self->b, &a, sizeof(a), &self->r,
					    sizeof(self->r),
					    BUS1_CALL(BUS1_SEND_REPLY |
						      1U << bit, 0)));
		EXPECT_EQ(-EINVAL, sys_call(self->b, &a, sizeof(a), &self->r,
					    sizeof(self->r),
					    BUS1_CALL(BUS1_SEND_REPLY,
						      1U << bit)));
	}
	EXPECT_EQ(0, query(self->a).n_queued);
}

TEST_HARNESS_MAIN
