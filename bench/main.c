// SPDX-License-Identifier: GPL-2.0
/*
 * bench [--wall | --count] [--quick] [--memcg] [SCENARIO...]: measure, and print
 * a line per figure.
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
	enum mode mode;
} scenarios[] = {
	{ "roundtrip", scenario_roundtrip, MODE_ICOUNT },
	{ "local", scenario_local, MODE_ICOUNT },
	{ "syscall", scenario_syscall, MODE_ICOUNT },
	{ "multicast", scenario_multicast, MODE_ICOUNT },
	{ "handle", scenario_handles, MODE_ICOUNT },
	{ "descriptor", scenario_descriptors, MODE_ICOUNT },
	{ "transfer", scenario_transfer, MODE_ICOUNT },
	{ "node", scenario_nodes, MODE_ICOUNT },
	{ "open_close", scenario_lifetime, MODE_ICOUNT },
	{ "memcg", scenario_memcg, MODE_ICOUNT },
	{ "growth", scenario_growth, MODE_ICOUNT },
	{ "idle", scenario_memory, MODE_ICOUNT },
	{ "crowd", scenario_crowd, MODE_ICOUNT },
	{ "roundtrip", scenario_wall_roundtrip, MODE_WALL },
	{ "server", scenario_wall_server, MODE_WALL },
	{ "roundtrip", scenario_count_roundtrip, MODE_COUNT },
	{ "local", scenario_count_local, MODE_COUNT },
};

static bool wanted(const struct scenario *scenario, char **names)
{
	if (scenario->mode != options.mode)
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
		{ "count", no_argument, NULL, 'c' },
		{ "quick", no_argument, NULL, 'q' },
		{ "memcg", no_argument, NULL, 'm' },
		{ }
	};
	int c;

	while ((c = getopt_long(argc, argv, "wcqm", longs, NULL)) != -1) {
		if (c == 'w')
			options.mode = MODE_WALL;
		else if (c == 'c')
			options.mode = MODE_COUNT;
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
	if (options.mode == MODE_COUNT)
		count_known();
	for (i = 0; i < ARRAY_SIZE(scenarios); i++)
		if (wanted(&scenarios[i], names))
			scenarios[i].run();
	printf("end\t\t\t0\t0\n");
	return 0;
}
