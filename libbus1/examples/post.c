// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "post.h"

void die(const char *format, ...)
{
	int error = errno;
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	fprintf(stderr, "%s: %s%s%s\n", program_invocation_short_name, text,
		error ? ": " : "", error ? strerror(error) : "");
	exit(1);
}

static void die_of_limits(void)
{
	const char *name = bus1_limits_explain(-1, BUS1_LIMIT_KEEP,
					       BUS1_LIMIT_KEEP, BUS1_LIMIT_KEEP,
					       BUS1_LIMIT_KEEP);

	fprintf(stderr, "%s: cannot make a bus1 peer: no room within %s\n",
		program_invocation_short_name, name ? name : "the limits");
	exit(1);
}

int new_peer(struct bus1_pool **pool)
{
	int peer;

	if (!bus1_supported())
		die("this kernel has no bus1");
	peer = bus1_open(0);
	if (peer < 0 && errno == ENOSPC)
		die_of_limits();
	if (peer < 0)
		die("cannot make a bus1 peer");
	*pool = bus1_pool_new(peer);
	if (!*pool)
		die("cannot make a pool");
	return peer;
}

uint64_t deadline_in(unsigned int ms)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec + ms * 1000000ULL;
}

int post(int peer, uint64_t to, const struct letter *letter)
{
	return bus1_send(peer, &to, 1, letter->vecs, letter->n_vecs,
			 letter->handles, letter->n_handles,
			 letter->fds, letter->n_fds, 0);
}

int no_room_now(void)
{
	return errno == EDQUOT || errno == EXFULL;
}

void pause_longer(unsigned int *pause_us)
{
	struct timespec time;

	*pause_us = *pause_us ? *pause_us * 2 : 1000;
	if (*pause_us > 100000)
		*pause_us = 100000;
	time.tv_sec = 0;
	time.tv_nsec = *pause_us * 1000L;
	nanosleep(&time, NULL);
}

/*
 * Nothing announces that a receiver has room again, so who has nothing else to
 * wait for can only ask again, ever more rarely. Better is not to get here:
 * count what the receiver has not answered yet.
 */
int post_patiently(int peer, uint64_t to, const struct letter *letter)
{
	uint64_t deadline = deadline_in(PATIENCE_MS);
	unsigned int pause_us = 0;

	while (post(peer, to, letter) < 0) {
		if (!no_room_now() || deadline_in(0) > deadline)
			return -1;
		pause_longer(&pause_us);
	}
	return 0;
}
