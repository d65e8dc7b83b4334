// SPDX-License-Identifier: GPL-2.0
/*
 * Small things that every part of the benchmark needs.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

struct options options;
char outgoing[SIZE_MAX_MESSAGE + 64];
char incoming[SIZE_MAX_MESSAGE + 64];

void __noreturn die(const char *what)
{
	fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
	exit(1);
}

void check(bool good, const char *what)
{
	if (!good)
		die(what);
}

__u64 now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

bool try_write_file(const char *path, const char *text)
{
	ssize_t n = strlen(text);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool good;

	if (fd < 0)
		return false;
	good = write(fd, text, n) == n;
	close(fd);
	return good;
}

void write_file(const char *path, const char *text)
{
	check(try_write_file(path, text), path);
}

/* Memory that a forked server sees too, with its pages in place. */
void *shared_memory(size_t n)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	check(p != MAP_FAILED, "mmap");
	return p;
}

/* Large messages cost their copies, and their average settles early. */
unsigned int rounds_for(size_t n)
{
	unsigned int rounds = n <= 4096 ? 2000 : n <= 65536 ? 200 : 20;

	return options.quick ? rounds / 2 : rounds;
}
