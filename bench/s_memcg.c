// SPDX-License-Identifier: GPL-2.0
/*
 * The round trip of 64 bytes with both processes in a memory cgroup.
 */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench.h"

#define ROOT "/sys/fs/cgroup"
#define BYTES 64

/* For everything that this process and its servers do from now on. */
void memcg_enter(void)
{
	write_file(ROOT "/cgroup.subtree_control", "+memory");
	check(!mkdir(ROOT "/bench", 0755), "mkdir of a cgroup");
	write_file(ROOT "/bench/cgroup.procs", "0");
}

static void memcg_leave(void)
{
	write_file(ROOT "/cgroup.procs", "0");
	check(!rmdir(ROOT "/bench"), "rmdir of a cgroup");
	write_file(ROOT "/cgroup.subtree_control", "-memory");
}

static void measure(const struct mechanism *mechanism)
{
	const char *why = mechanism->refuse ? mechanism->refuse(BYTES) : NULL;

	if (why)
		result_absent("memcg", mechanism->name, BYTES, why);
	else
		result("memcg", mechanism->name, BYTES,
		       pair_cost(mechanism, BYTES));
}

void scenario_memcg(void)
{
	if (!options.memcg)
		memcg_enter();
	measure(&bus1_call_mechanism);
	measure(&bus1_mechanism);
	measure(&seqpacket_mechanism);
	measure(&mqueue_mechanism);
	if (!options.memcg)
		memcg_leave();
}
