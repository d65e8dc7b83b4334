/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1 selftests: what the tests of released messages share
 *
 * A receiver may keep what was released for the next sender. Nobody is to notice:
 * slices, charges and pages have to be as if it were gone. Asking what a peer uses
 * may itself give back what it keeps, so a test that asks after every step tests
 * less than it seems.
 */
#ifndef BUS1_SELFTEST_SPARE_H
#define BUS1_SELFTEST_SPARE_H

#include "reply.h"

#define PAGE		4096UL
#define LARGEST		200000

static const size_t size_of[] = { 0, 1, 8, 64, 4096, 5000, 65536, LARGEST };

/* Chance, of which each tag has a piece of its own. */
static unsigned char noise[LARGEST + 65536];

static inline void noise_make(void)
{
	struct rng rng = rng_for(1, 0);
	size_t i;

	for (i = 0; i < sizeof(noise); i++)
		noise[i] = rng_next(&rng) >> 56;
}

static inline const void *text(__u32 tag)
{
	return noise + tag * 40 % 65536;
}

/* A message that was received. */
struct got {
	size_t size;
	__u32 tag;
	__u64 offset;
};

static inline bool is_whole(const struct peer *p, const struct got *g)
{
	return !memcmp(p->pool + g->offset, text(g->tag), g->size);
}

/* Receives what was sent as @g; says whether it is that. */
static inline bool arrives(const struct peer *p, struct got *g)
{
	struct bus1_recv_args r;
	int err = recv_msg(p, &r);

	g->offset = r.offset;
	if (!err && r.type == BUS1_MSG_DATA && r.n_bytes == g->size &&
	    is_whole(p, g))
		return true;
	printf("# %d: type %llu, %llu bytes of %zu at %llu\n", err, r.type,
	       r.n_bytes, g->size, r.offset);
	return false;
}

static inline bool are_apart(const struct got *a, const struct got *b)
{
	return a->offset + a->size <= b->offset ||
	       b->offset + b->size <= a->offset;
}

/* So much is used, and no claim is left if that is nothing. */
static inline bool uses(const struct peer *p, __u64 slices, __u64 bytes)
{
	struct bus1_peer_info i = query(p->fd);
	long long s = fdinfo_value(p->fd, "slices", 0);
	long long b = fdinfo_value(p->fd, "bytes", 0);

	if (i.used_slices == slices && i.used_inflight_bytes == bytes &&
	    s == slices && b == bytes &&
	    (slices || fdinfo_value(p->fd, "claim", 0) == -1))
		return true;
	printf("# %llu, %lld slices of %llu, %llu, %lld bytes of %llu\n",
	       i.used_slices, s, slices, i.used_inflight_bytes, b, bytes);
	return false;
}

#endif /* BUS1_SELFTEST_SPARE_H */
