// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 selftests: a cancellation of 1,000 requests that is starved in the middle
 *
 * Each request was received, and its reply handle is held: by the innocent one, the
 * victim, peers that end, and ten others. How the time is taken, and what is too
 * long: see adversary.h.
 */
#include "innocent.h"

#define ALL		1000
#define HOLDERS		10
#define IN_A_ROW	8	/* cancellations */
#define EACH		(STOCK / IN_A_ROW)

static struct peer holder[HOLDERS];
static __u64 to_holder[HOLDERS];
static __u64 requests[IN_A_ROW][ALL];
static __u64 next_id = 0x1000000;

static int open_holders(struct scene *s)
{
	int i;

	for (i = 0; i < HOLDERS; i++) {
		holder[i].fd = sys_open(NULL, 0, 0);
		holder[i].pool_size = POOL_MAP_SIZE;
		if (holder[i].fd < 0)
			return holder[i].fd;
	}
	return closers_forget(s);
}

/* Sends one to @to, which may be gone; returns what it is named. */
static __u64 ask_next(struct scene *s, __u64 to)
{
	next_id += 8;
	return ask(s->hostile.fd, to, next_id) ? 0 : next_id;
}

/* The same, and @p holds the reply handle then. */
static __u64 ask_peer(struct scene *s, __u64 to, const struct peer *p,
		      __u64 *handle)
{
	__u64 id = ask_next(s, to);

	*handle = take(p);
	MUST(&s->a.v, id, 0);
	MUST(&s->a.v, *handle != INVALID, 0);
	return id;
}

/* Those of the peers that are measured come first in each cancellation. */
static void prepare_row(struct scene *s, __u64 *ids, int row)
{
	__u64 handle, id;
	int i, n = 0;

	for (i = row * EACH; i < (row + 1) * EACH; i++) {
		ids[n++] = ask_peer(s, s->hostile_to_innocent, &s->innocent,
				    &s->replies.id[i]);
		ids[n++] = ask_peer(s, s->hostile_to_victim, &s->victim,
				    &handle);
	}
	for (i = 0; i < SPARES; i++) {
		id = ask_next(s, s->to_closer[i]);
		n += !!(ids[n] = id);
		id = ask_next(s, s->to_killer[i]);
		n += !!(ids[n] = id);
	}
	for (; n < ALL; n++)
		ids[n] = ask_peer(s, to_holder[n % HOLDERS],
				  &holder[n % HOLDERS], &handle);
}

static void prepare_requests(struct scene *s)
{
	int i;

	innocent_prepare(s);
	for (i = 0; i < HOLDERS; i++) {
		MUST(&s->a.v, !flush(holder[i].fd), i);
		to_holder[i] = connect_new(holder[i].fd, NODE, s->hostile.fd);
	}
	for (i = 0; i < IN_A_ROW; i++)
		prepare_row(s, requests[i], i);
	s->replies.n = STOCK;
	s->replies.used = 0;
}

/* The innocent one may have been faster, and answered one. */
static void cancel_each(struct scene *s, const __u64 *ids)
{
	int i, err;

	for (i = 0; i < ALL; i++) {
		err = destroy_one(s->hostile.fd, ids[i]);
		MUST(&s->a.v, !err || err == -ESTALE, err);
	}
}

/* Several, so that one tick more does not end the last. */
static void cancel_requests(struct scene *s)
{
	int i, err;

	for (i = 0; i < IN_A_ROW; i++) {
		STORE(&s->replies.used, i * EACH);
		err = sys_destroy(s->hostile.fd, requests[i], ALL, 0);
		MUST(&s->a.v, !err || err == -ESTALE, err);
		if (err)
			cancel_each(s, requests[i]);
	}
}

static const struct deed deeds[] = {
	DEEDS_AT_VICTIM, DEED_REPLY, DEED_PASS_REPLY,
};

TEST_F_TIMEOUT(starved, in_a_cancellation_delays_nobody, 300)
{
	struct scene *s = self->s;

	s->a.open = open_holders;
	s->a.prepare = prepare_requests;
	s->a.operate = cancel_requests;
	s->a.length = 50 * MS;
	s->a.stops = 16;
	ASSERT_EQ(0, adversary_start(s, &s->a));
	EXPECT_PROMPT(s, deeds);
}

TEST_HARNESS_MAIN
