/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1 selftests: the sysctls that limit what a user may have
 */
#ifndef BUS1_SELFTEST_KNOBS_H
#define BUS1_SELFTEST_KNOBS_H

#include "common.h"

/* The first four are in the order of &struct bus1_peer_limits. */
enum { KNOB_SLICES, KNOB_HANDLES, KNOB_KBYTES, KNOB_FDS, KNOB_PEERS, KNOBS };

static const char * const knob[KNOBS] = {
	"/proc/sys/kernel/bus1/max_slices",
	"/proc/sys/kernel/bus1/max_handles",
	"/proc/sys/kernel/bus1/max_inflight_kbytes",
	"/proc/sys/kernel/bus1/max_inflight_fds",
	"/proc/sys/user/max_bus1_peers",
};

struct knobs {
	char value[KNOBS][32];
};

static inline bool knobs_save(struct knobs *k)
{
	int i;

	for (i = 0; i < KNOBS; i++)
		if (read_file(knob[i], k->value[i], sizeof(k->value[i])) <= 0)
			return false;
	return true;
}

/* Those that were not read are left as they are. */
static inline void knobs_restore(const struct knobs *k)
{
	int i;

	for (i = 0; i < KNOBS; i++)
		if (k->value[i][0])
			write_file(knob[i], k->value[i]);
}

static inline unsigned long knob_saved(const struct knobs *k, unsigned int i)
{
	return strtoul(k->value[i], NULL, 10);
}

static inline int knob_set(unsigned int i, unsigned long value)
{
	char text[32];

	snprintf(text, sizeof(text), "%lu\n", value);
	return write_file(knob[i], text);
}

#endif /* BUS1_SELFTEST_KNOBS_H */
