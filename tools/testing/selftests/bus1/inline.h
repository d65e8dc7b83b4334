/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1 selftests: two peers and a buffer for small messages
 */
#ifndef BUS1_SELFTEST_INLINE_H
#define BUS1_SELFTEST_INLINE_H

#include "reply.h"

#define MAX	BUS1_INLINE_MAX
#define NOTHING	0xee		/* what a buffer holds before a receive */

/* a owns node @id, b holds @h to it, nothing is queued. */
FIXTURE(small) {
	struct pair s;
	struct peer *pa;
	int a, b;
	struct bus1_recv_args r;
	unsigned char *buffer, *data;
	struct usage at_a;
};

/* Both end where nothing can be read or written. */
FIXTURE_SETUP(small)
{
	size_t i;

	ASSERT_EQ(0, pair_open(&self->s));
	self->pa = &self->s.a;
	self->a = self->s.a.fd;
	self->b = self->s.b.fd;
	self->buffer = ptr_edge(1024);
	self->data = ptr_edge(1024);
	ASSERT_TRUE(self->buffer != NULL);
	ASSERT_TRUE(self->data != NULL);
	memset(self->buffer, NOTHING, 1024);
	for (i = 0; i < 1024; i++)
		self->data[i] = i * 7 + 1;
	self->at_a = usage_of(self->a);
}

FIXTURE_TEARDOWN(small)
{
	pair_close(&self->s);
}

static inline int recv_into(const struct peer *p, struct bus1_recv_args *r,
			    void *buffer, __u64 size, unsigned int flags)
{
	*r = (struct bus1_recv_args){
		.max_offset = p->pool_size,
		.ptr_buffer = to_u64(buffer),
		.buffer_size = size,
		.reply_id = ASKED,
		.release = BUS1_OFFSET_INVALID,
	};
	return sys_recv(p->fd, r, sizeof(*r), BUS1_RECV_NONBLOCK | flags);
}

static inline bool is_inline(const struct bus1_recv_args *r)
{
	return r->type == BUS1_MSG_DATA && (r->flags & BUS1_MSG_FLAG_INLINE) &&
	       r->offset == BUS1_OFFSET_INVALID;
}

static inline bool is_filled_with(const unsigned char *p, size_t n, unsigned char c)
{
	while (n--)
		if (*p++ != c)
			return false;
	return true;
}

#endif /* BUS1_SELFTEST_INLINE_H */
