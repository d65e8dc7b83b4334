// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 selftests: a multicast to 1,000 whose sender is starved in the middle
 *
 * The victim has several of the destinations, each a node of its own. How the
 * time is taken, and what is too long: see adversary.h.
 */
#include "innocent.h"

#define DESTS		1000
#define SINKS		(DESTS - 2 - 3 * SPARES)
#define MOST		64	/* before the others are drained */

static __u64 dests[DESTS];
static struct peer sink[SINKS];		/* nobody looks at their pools */

/* The first destinations are staged for the longest time. */
static int open_sinks(struct scene *s)
{
	struct rlimit files = { 2 * DESTS, 2 * DESTS };
	/* So many peers with the default limits are more than a user may reserve. */
	struct bus1_peer_limits few = { 16, 16, 4096, 16 };
	size_t i, n = 0;

	setrlimit(RLIMIT_NOFILE, &files);
	dests[n++] = s->hostile_to_victim;
	dests[n++] = s->hostile_to_innocent;
	for (i = 0; i < SPARES; i++) {
		dests[n++] = s->to_closer[i];
		dests[n++] = s->to_killer[i];
		dests[n++] = s->hostile_to_node[i];
	}
	for (i = 0; i < SINKS; i++) {
		sink[i].fd = sys_open(&few, sizeof(few), 0);
		sink[i].pool_size = POOL_MAP_SIZE;
		if (sink[i].fd < 0)
			return sink[i].fd;
		dests[n++] = connect_new(sink[i].fd, NODE, s->hostile.fd);
	}
	return closers_forget(s);
}

static void prepare_multicasts(struct scene *s)
{
	size_t i;

	innocent_prepare(s);
	for (i = 0; i < SINKS; i++)
		drain(&sink[i]);
}

static void send_multicasts(struct scene *s)
{
	__u64 start = cpu_ns(CLOCK_PROCESS_CPUTIME_ID);
	int i, err = 0;

	for (i = 0; i < MOST && !err && !is_long_enough(start); i++)
		err = send_multi(s->hostile.fd, dests, DESTS, NULL, 0,
				 BUS1_SEND_CONTINUE);
	MUST(&s->a.v, !err, err);
}

static const struct deed deeds[] = { DEEDS_AT_VICTIM };

TEST_F_TIMEOUT(starved, in_a_multicast_delays_nobody, 300)
{
	struct scene *s = self->s;

	s->a.open = open_sinks;
	s->a.prepare = prepare_multicasts;
	s->a.operate = send_multicasts;
	s->a.length = 40 * MS;
	s->a.stops = 4;
	ASSERT_EQ(0, adversary_start(s, &s->a));
	EXPECT_PROMPT(s, deeds);
}

TEST_HARNESS_MAIN
