// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 selftests: a message that moves 1,000 reply handles, starved in the middle
 *
 * The requests are of the innocent one, of peers that end, and of ten others. Where
 * they move to is a peer of the hostile process, too, and so they go back and
 * forth. How the time is taken, and what is too long: see adversary.h.
 */
#include "innocent.h"

#define REQUESTERS	10
#define EACH		85
#define ROOM_FOR	(REQUESTERS * EACH + 2 * SPARES + 2 * STOCK)

static struct peer other;
static __u64 to_other, to_hostile, from_innocent;
static __u64 handles[ROOM_FOR];
static unsigned int n_handles;

static void take_all(struct scene *s)
{
	__u64 handle;

	while ((handle = take(&s->hostile)) != INVALID)
		if (MUST(&s->a.v, n_handles < ROOM_FOR, n_handles))
			handles[n_handles++] = handle;
}

static int open_requesters(struct scene *s)
{
	int i, j, fd, err;
	__u64 to;

	take_all(s);
	err = peer_open(&other, NULL, BUS1_OPEN_NONBLOCK);
	if (err)
		return err;
	to_other = connect_new(other.fd, NODE, s->hostile.fd);
	to_hostile = connect_peers(s->hostile.fd, NODE, other.fd);
	from_innocent = connect_peers(s->hostile.fd, NODE, s->innocent.fd);
	for (i = 0; i < REQUESTERS; i++) {
		fd = sys_open(NULL, 0, 0);
		to = connect_peers(s->hostile.fd, NODE, fd);
		for (j = 0; j < EACH && !err; j++)
			err = ask(fd, to, ASKED + 8 * j);
	}
	if (err)
		return err;
	take_all(s);
	return closers_forget(s);
}

static void prepare_moves(struct scene *s)
{
	static __u64 next_id = 0x1000000;
	struct stock *k = &s->replies;
	__u32 i;

	innocent_prepare(s);
	for (i = 0; i < (k->n ? k->used : STOCK); i++, next_id += 8) {
		k->id[i] = next_id;
		MUST(&s->a.v, !ask(s->innocent.fd, from_innocent, next_id), i);
	}
	k->n = STOCK;
	k->used = 0;
	take_all(s);
}

/* Those whose requests were cancelled stay, and are forgotten. */
static int move_all(struct peer *from, __u64 to, struct peer *at)
{
	struct bus1_recv_args r;
	unsigned int i, n = 0;
	int err;

	err = send_handles(from->fd, to, handles, n_handles);
	do {
		if (err)
			return err;
		err = recv_msg(at, &r);
	} while (err || !r.n_handles);
	for (i = 0; i < r.n_handles; i++)
		if (msg_handles(at, &r)[i] != INVALID)
			handles[n++] = msg_handles(at, &r)[i];
	n_handles = n;
	return slice_release_one(at->fd, r.offset);
}

static void move_handles(struct scene *s)
{
	__u64 start = cpu_ns(CLOCK_PROCESS_CPUTIME_ID);
	int err;

	do
		err = move_all(&s->hostile, to_other, &other) ?:
		      move_all(&other, to_hostile, &s->hostile);
	while (!err && !is_long_enough(start));
	MUST(&s->a.v, !err, err);
}

static const struct deed deeds[] = { DEEDS_AT_VICTIM, DEED_CANCEL };

TEST_F_TIMEOUT(starved, in_a_move_delays_nobody, 300)
{
	struct scene *s = self->s;

	s->a.open = open_requesters;
	s->a.prepare = prepare_moves;
	s->a.operate = move_handles;
	s->a.length = 40 * MS;
	s->a.stops = 4;
	ASSERT_EQ(0, adversary_start(s, &s->a));
	EXPECT_PROMPT(s, deeds);
}

TEST_HARNESS_MAIN
