// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 selftests: a destruction of 1,000 nodes that is starved in the middle
 *
 * Each node has a hundred holders, and requests of the owner are cancelled in the
 * same call. How the time is taken, and what is too long: see adversary.h.
 */
#include "dying.h"

static void prepare_nodes(struct scene *s)
{
	innocent_prepare(s);
	dying_create(s, s->hostile.fd);
	dying_give(s, s->hostile.fd);
	dying_send(s, dying[0]);
	dying_ask(s, s->hostile.fd, s->hostile_to_innocent);
}

static void destroy_nodes(struct scene *s)
{
	int err = sys_destroy(s->hostile.fd, dying, NODES + REQUESTS,
			      BUS1_DESTROY_RELEASE_HANDLES);

	MUST(&s->a.v, !err, err);
}

static const struct deed deeds[] = {
	DEEDS_AT_VICTIM, DEEDS_ON_NODES, DEED_REPLY,
};

TEST_F_TIMEOUT(starved, in_a_destruction_delays_nobody, 300)
{
	struct scene *s = self->s;

	s->a.open = holders_open;
	s->a.prepare = prepare_nodes;
	s->a.operate = destroy_nodes;
	s->a.length = 150 * MS;
	s->a.stops = 100;
	ASSERT_EQ(0, adversary_start(s, &s->a));
	EXPECT_PROMPT(s, deeds);
}

TEST_HARNESS_MAIN
