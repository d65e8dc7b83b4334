// SPDX-License-Identifier: GPL-2.0
/*
 * What it takes to make an endpoint and to close it, and what an idle one
 * keeps.
 */
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench.h"
#include "bus1.h"

/* Enough for what is freed after a grace period to be counted, too. */
#define ROUNDS 10000
#define IDLE 8192

static int some_fd;

static void close_peer(void)
{
	close(peer_open());
}

static void close_dup(void)
{
	close(dup(some_fd));
}

static void close_eventfd(void)
{
	close(eventfd(0, 0));
}

static void close_pipe(void)
{
	int fd[2];

	check(!pipe(fd), "pipe");
	close(fd[0]);
	close(fd[1]);
}

static void close_mqueue(void)
{
	struct mq_attr attr = { .mq_maxmsg = 4, .mq_msgsize = 64 };
	mqd_t queue = mq_open("/life", O_RDWR | O_CREAT | O_EXCL, 0600, &attr);

	check(queue >= 0, "mq_open");
	mq_unlink("/life");
	mq_close(queue);
}

static void close_seqpacket(void)
{
	int fd[2];

	check(!socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fd), "socketpair");
	close(fd[0]);
	close(fd[1]);
}

static const struct {
	const char *name;
	void (*make_and_close)(void);
} lives[] = {
	{ "bus1", close_peer },
	{ "dup", close_dup },
	{ "eventfd", close_eventfd },
	{ "pipe", close_pipe },
	{ "POSIX mqueue", close_mqueue },
	{ "SEQPACKET pair", close_seqpacket },
};

void scenario_lifetime(void)
{
	unsigned int i, j;
	__u64 start = 0;

	some_fd = eventfd(0, 0);
	for (i = 0; i < ARRAY_SIZE(lives); i++) {
		for (j = 0; j < ROUNDS + ROUNDS / 10; j++) {
			if (j == ROUNDS / 10)
				start = now();
			lives[i].make_and_close();
		}
		result("open_close", lives[i].name, 1,
		       (double)(now() - start) / ROUNDS);
	}
	close(some_fd);
}

/* Bytes of a line of /proc/meminfo. */
static double memory_line(const char *wanted)
{
	FILE *f = fopen("/proc/meminfo", "re");
	unsigned long long kilobytes;
	double bytes = -1;
	char name[64];

	check(f, "/proc/meminfo");
	while (fscanf(f, "%63[^:]: %llu kB ", name, &kilobytes) == 2)
		if (!__builtin_strcmp(name, wanted))
			bytes = kilobytes * 1024.0;
	fclose(f);
	check(bytes >= 0, wanted);
	return bytes;
}

/* More than there is room for with the limits of a default peer. */
static int open_small(void)
{
	return peer_open_limits(16, 16, 65536);
}

static int make_eventfd(void)
{
	return eventfd(0, 0);
}

/* So many that the pages that are not full yet are nothing to them. */
static double idle_bytes(int (*make)(void), int *fds)
{
	double before = memory_line("Slab"), after;
	unsigned int i;

	for (i = 0; i < IDLE; i++)
		fds[i] = make();
	after = memory_line("Slab");
	for (i = 0; i < IDLE; i++)
		close(fds[i]);
	return (after - before) / IDLE;
}

void scenario_memory(void)
{
	int *fds = calloc(IDLE, sizeof(*fds));

	check(fds, "calloc");
	/* The table of descriptors is not what is measured. */
	close(fcntl(0, F_DUPFD, IDLE + 64));
	result("idle.slab", "bus1", 1, idle_bytes(open_small, fds));
	sleep(1);
	result("idle.slab", "eventfd", 1, idle_bytes(make_eventfd, fds));
	free(fds);
}
