// SPDX-License-Identifier: GPL-2.0
/*
 * What is raised so that every mechanism can carry every size, and so that
 * growth can be measured. It is printed, to stand beside the figures.
 */
#include <stdio.h>
#include <sys/resource.h>

#include "bench.h"

static const struct {
	const char *path;
	const char *value;
} raised[] = {
	{ "/proc/sys/fs/mqueue/msgsize_max", "1048576" },
	{ "/proc/sys/fs/mqueue/msg_max", "16" },
	{ "/proc/sys/fs/mqueue/queues_max", "4096" },
	{ "/proc/sys/kernel/msgmax", "1048576" },
	{ "/proc/sys/kernel/msgmnb", "4194304" },
	{ "/proc/sys/kernel/bus1/max_slices", "134217728" },
	{ "/proc/sys/kernel/bus1/max_handles", "134217728" },
	{ "/proc/sys/kernel/bus1/max_inflight_kbytes", "134217728" },
	{ "/proc/sys/user/max_bus1_peers", "65536" },
	{ "/proc/sys/fs/nr_open", "1048576" },
};

static void raise_limit(int resource, const char *name)
{
	struct rlimit limit = { 1048576, 1048576 };

	if (resource == RLIMIT_MSGQUEUE)
		limit = (struct rlimit){ RLIM_INFINITY, RLIM_INFINITY };
	check(!setrlimit(resource, &limit), name);
}

void setup_system(void)
{
	char text[128];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(raised); i++) {
		if (!try_write_file(raised[i].path, raised[i].value)) {
			snprintf(text, sizeof(text), "%s not raised to %s",
				 raised[i].path, raised[i].value);
			result_note("limits", text);
			continue;
		}
		snprintf(text, sizeof(text), "%s = %s", raised[i].path,
			 raised[i].value);
		result_note("limits", text);
	}
	raise_limit(RLIMIT_NOFILE, "RLIMIT_NOFILE");
	raise_limit(RLIMIT_MSGQUEUE, "RLIMIT_MSGQUEUE");
}
