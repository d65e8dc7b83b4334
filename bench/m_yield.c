// SPDX-License-Identifier: GPL-2.0
/*
 * Two processes that give the processor to each other: the floor under every
 * round trip, two switches and nothing else.
 */
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "bench.h"

struct turns {
	atomic_ullong served;
};

static const char *refuse(size_t n)
{
	if (n)
		return "sched_yield carries nothing";
	return options.mode == MODE_WALL ? "two processors do not take turns" : NULL;
}

static void *open_link(size_t n)
{
	(void)n;
	return shared_memory(sizeof(struct turns));
}

static void close_link(void *link)
{
	munmap(link, sizeof(struct turns));
}

static void ask(void *data, size_t n)
{
	struct turns *turns = data;
	__u64 before = atomic_load_explicit(&turns->served,
					       memory_order_relaxed);

	(void)n;
	do
		sched_yield();
	while (atomic_load_explicit(&turns->served, memory_order_relaxed) ==
	       before);
}

static void serve(void *data, size_t n)
{
	struct turns *turns = data;

	(void)n;
	for (;;) {
		atomic_fetch_add_explicit(&turns->served, 1,
					  memory_order_relaxed);
		sched_yield();
	}
}

const struct mechanism yield_mechanism = {
	.name = "sched_yield",
	.refuse = refuse,
	.open = open_link,
	.close = close_link,
	.ask = ask,
	.serve = serve,
};
