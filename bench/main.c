// SPDX-License-Identifier: GPL-2.0
/*
 * bench [--wall] [--quick] [--memcg] [SCENARIO...]: measure, and print a line
 * per figure.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

const struct mechanism *const mechanisms[] = {
	&bus1_call_mechanism,
	&bus1_mechanism,
	&seqpacket_mechanism,
	&seqpacket_msg_mechanism,
	&stream_mechanism,
	&pipe_mechanism,
	&eventfd_mechanism,
	&futex_mechanism,
	&mqueue_mechanism,
	&sysv_mechanism,
	&binder_mechanism,
	&yield_mechanism,
};

const size_t n_mechanisms = ARRAY_SIZE(mechanisms);

const size_t sizes[] = { 0, 64, 1024, 4096, 65536, SIZE_MAX_MESSAGE };
const size_t n_sizes = ARRAY_SIZE(sizes);

static const struct scenario {
	const char *name;
	void (*run)(void);
	bool wall;
} scenarios[] = {
	{ "roundtrip", scenario_roundtrip, false },
	{ "local", scenario_local, false },
	{ "syscall", scenario_syscall, false },
	{ "multicast", scenario_multicast, false },
	{ "handle", scenario_handles, false },
	{ "descriptor", scenario_descriptors, false },
	{ "transfer", scenario_transfer, false },
	{ "node", scenario_nodes, false },
	{ "open_close", scenario_lifetime, false },
	{ "memcg", scenario_memcg, false },
	{ "growth", scenario_growth, false },
	{ "idle", scenario_memory, false },
	{ "crowd", scenario_crowd, false },
	{ "roundtrip", scenario_wall_roundtrip, true },
	{ "server", scenario_wall_server, true },
};

static bool wanted(const struct scenario *scenario, char **names)
{
	if (scenario->wall != options.wall)
		return false;
	if (!*names)
		return true;
	for (; *names; names++)
		if (!strcmp(scenario->name, *names))
			return true;
	return false;
}

/* A name that nothing has would measure nothing, and look like success. */
static void check_names(char **names)
{
	size_t i;

	for (; *names; names++) {
		for (i = 0; i < ARRAY_SIZE(scenarios); i++)
			if (!strcmp(scenarios[i].name, *names))
				break;
		if (i == ARRAY_SIZE(scenarios)) {
			fprintf(stderr, "bench: no scenario %s\n", *names);
			exit(2);
		}
	}
}

static char **parse(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "wall", no_argument, NULL, 'w' },
		{ "quick", no_argument, NULL, 'q' },
		{ "memcg", no_argument, NULL, 'm' },
		{ }
	};
	int c;

	while ((c = getopt_long(argc, argv, "wqm", longs, NULL)) != -1) {
		if (c == 'w')
			options.wall = true;
		else if (c == 'q')
			options.quick = true;
		else if (c == 'm')
			options.memcg = true;
		else
			exit(2);
	}
	return argv + optind;
}

int main(int argc, char **argv)
{
	char **names = parse(argc, argv);
	size_t i;

	check_names(names);
	setup_system();
	if (options.memcg)
		memcg_enter();
	for (i = 0; i < ARRAY_SIZE(scenarios); i++)
		if (wanted(&scenarios[i], names))
			scenarios[i].run();
	printf("end\t\t\t0\t0\n");
	return 0;
}
