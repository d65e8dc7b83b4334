// SPDX-License-Identifier: GPL-2.0
/*
 * Round trips by the clock. The mechanisms take turns in one run, so that what
 * disturbs the host disturbs all of them.
 */
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"

#define TURNS 20

static int compare(const void *a, const void *b)
{
	const __u64 x = *(const __u64 *)a, y = *(const __u64 *)b;

	return x < y ? -1 : x > y;
}

static void report(const char *name, size_t n, __u64 *times, size_t count)
{
	qsort(times, count, sizeof(*times), compare);
	result_wall("roundtrip", name, n, times[count / 2],
		    times[count * 99 / 100]);
}

static void take_turn(struct pair *pair, __u64 *times, unsigned int rounds)
{
	__u64 before = now(), after;

	while (rounds--) {
		pair_run(pair, 1);
		after = now();
		*times++ = after - before;
		before = after;
	}
}

/* All servers of one size are there at once, and all but one of them sleep. */
static void measure(size_t n)
{
	const unsigned int rounds = rounds_for(n) / 10;
	const size_t count = (size_t)TURNS * rounds;
	struct pair *pairs = calloc(n_mechanisms, sizeof(*pairs));
	__u64 *times = calloc(n_mechanisms * count, sizeof(*times));
	const char *why;
	size_t m, turn;

	check(pairs && times, "calloc");
	for (m = 0; m < n_mechanisms; m++) {
		why = mechanisms[m]->refuse ? mechanisms[m]->refuse(n) : NULL;
		if (why) {
			result_absent("roundtrip", mechanisms[m]->name, n, why);
			continue;
		}
		pair_start(&pairs[m], mechanisms[m], n);
		pair_run(&pairs[m], 5);
	}
	for (turn = 0; turn < TURNS; turn++)
		for (m = 0; m < n_mechanisms; m++)
			if (pairs[m].mechanism)
				take_turn(&pairs[m], &times[m * count +
							    turn * rounds],
					  rounds);
	for (m = 0; m < n_mechanisms; m++) {
		if (!pairs[m].mechanism)
			continue;
		pair_stop(&pairs[m]);
		report(mechanisms[m]->name, n, &times[m * count], count);
	}
	free(times);
	free(pairs);
}

void scenario_wall_roundtrip(void)
{
	size_t s;

	for (s = 0; s < n_sizes; s++)
		measure(sizes[s]);
}
