// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 selftests: a disconnect that is starved in the middle
 *
 * The peer has 1,000 nodes with a hundred holders each, and requests that nobody
 * has answered. How the time is taken, and what is too long: see adversary.h.
 */
#include "dying.h"

static int doomed = -1;

static void prepare_peer(struct scene *s)
{
	__u64 to;

	innocent_prepare(s);
	doomed = sys_open(NULL, 0, 0);
	MUST(&s->a.v, doomed >= 0, doomed);
	dying_create(s, doomed);
	dying_give(s, doomed);
	dying_send(s, connect_peers(doomed, dying[0], s->hostile.fd));
	to = connect_peers(s->innocent.fd, NODE + 8, doomed);
	dying_ask(s, doomed, to);
}

static void disconnect_peer(struct scene *s)
{
	MUST(&s->a.v, !close(doomed), errno);
}

static const struct deed deeds[] = {
	DEEDS_AT_VICTIM, DEEDS_ON_NODES, DEED_REPLY,
};

TEST_F_TIMEOUT(starved, in_a_disconnect_delays_nobody, 300)
{
	struct scene *s = self->s;

	s->a.open = holders_open;
	s->a.prepare = prepare_peer;
	s->a.operate = disconnect_peer;
	s->a.length = 200 * MS;
	s->a.stops = 100;
	ASSERT_EQ(0, adversary_start(s, &s->a));
	EXPECT_PROMPT(s, deeds);
}

TEST_HARNESS_MAIN
