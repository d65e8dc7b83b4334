// SPDX-License-Identifier: GPL-2.0
/*
 * Round trips between two processes, and a message within one thread.
 */
#include <stddef.h>

#include "bench.h"

static bool absent(const char *scenario, const struct mechanism *mechanism,
		   size_t n)
{
	const char *why = mechanism->refuse ? mechanism->refuse(n) : NULL;

	if (why)
		result_absent(scenario, mechanism->name, n, why);
	return why;
}

void scenario_roundtrip(void)
{
	size_t m, s;

	for (m = 0; m < n_mechanisms; m++) {
		for (s = 0; s < n_sizes; s++) {
			if (absent("roundtrip", mechanisms[m], sizes[s]))
				continue;
			result("roundtrip", mechanisms[m]->name, sizes[s],
			       pair_cost(mechanisms[m], sizes[s]));
		}
	}
}

static double local_cost(const struct mechanism *mechanism, size_t n)
{
	unsigned int rounds = rounds_for(n), i;
	void *link = mechanism->open(n);
	__u64 start = 0;

	for (i = 0; i < rounds / 10 + 5 + rounds; i++) {
		if (i == rounds / 10 + 5)
			start = now();
		mechanism->send(link, n);
		mechanism->recv(link, n);
	}
	start = now() - start;
	mechanism->close(link);
	return (double)start / rounds;
}

void scenario_local(void)
{
	size_t m, s;

	for (m = 0; m < n_mechanisms; m++) {
		for (s = 0; mechanisms[m]->send && s < n_sizes; s++) {
			if (absent("local", mechanisms[m], sizes[s]))
				continue;
			result("local", mechanisms[m]->name, sizes[s],
			       local_cost(mechanisms[m], sizes[s]));
		}
	}
}
