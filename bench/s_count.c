// SPDX-License-Identifier: GPL-2.0
/*
 * Rounds of which bench/plugin counts what they do to memory.
 */
#include <string.h>

#include "bench.h"
#include "mark.h"

#define SIZE		64
#define PAGE		4096
/* A line more than the ways of the plugin's cache, each in a page of its own. */
#define KNOWN_PAGES	13
#define KNOWN_ROUNDS	16

typedef void (*round_fn)(const struct mechanism *mechanism, void *link,
			 size_t n);

/* The plugin numbers windows as they end. */
static unsigned int windows;

static unsigned int run_window(round_fn round, const struct mechanism *mechanism,
			       void *link, size_t n, unsigned int rounds)
{
	while (rounds--) {
		mark(MARK_ROUND);
		round(mechanism, link, n);
	}
	mark(MARK_END);
	return ++windows;
}

/* A window that nobody asks for warms the caches, the plugin's among them. */
static void count(const char *scenario, round_fn round,
		  const struct mechanism *mechanism, void *link, size_t n)
{
	unsigned int rounds = rounds_for(n);

	run_window(round, mechanism, link, n, rounds / 10 + 5);
	result_count(scenario, mechanism->name, n,
		     run_window(round, mechanism, link, n, rounds), rounds);
}

/* Some carry nothing, and some do not exist here. */
static bool choose_size(const char *scenario, const struct mechanism *mechanism,
			size_t *n)
{
	const char *why;

	*n = SIZE;
	if (!mechanism->refuse || !mechanism->refuse(SIZE))
		return true;
	*n = 0;
	why = mechanism->refuse(0);
	if (why)
		result_absent(scenario, mechanism->name, SIZE, why);
	return !why;
}

static void ask(const struct mechanism *mechanism, void *link, size_t n)
{
	mechanism->ask(link, n);
}

void scenario_count_roundtrip(void)
{
	struct pair pair;
	size_t m, n;

	for (m = 0; m < n_mechanisms; m++) {
		if (!choose_size("roundtrip", mechanisms[m], &n))
			continue;
		pair_start(&pair, mechanisms[m], n);
		count("roundtrip", ask, mechanisms[m], pair.link, n);
		pair_stop(&pair);
	}
}

static void send_recv(const struct mechanism *mechanism, void *link, size_t n)
{
	mechanism->send(link, n);
	mechanism->recv(link, n);
}

void scenario_count_local(void)
{
	void *link;
	size_t m, n;

	for (m = 0; m < n_mechanisms; m++) {
		if (!mechanisms[m]->send ||
		    !choose_size("local", mechanisms[m], &n))
			continue;
		link = mechanisms[m]->open(n);
		count("local", send_recv, mechanisms[m], link, n);
		mechanisms[m]->close(link);
	}
}

/*
 * What KNOWN in bench/host/counts.py says of a round, to the last access. The
 * loop and the marks are in here, so that the compiler adds none; and so short
 * that no tick is likely to.
 */
static unsigned int run_known(char *memory, unsigned long rounds)
{
	asm volatile("1:\n\t"
		     "nopl %c[round](%%rax)\n\t"
		     /* four locked; lines 0 to 2, all dirty */
		     "lock addl $1, (%[memory])\n\t"
		     "xchgl %%eax, 64(%[memory])\n\t"
		     "xchgw %%ax, 68(%[memory])\n\t"
		     "lock cmpxchgq %%rcx, 128(%[memory])\n\t"
		     /* not locked: a DS prefix in user mode, two registers */
		     ".byte 0x3e\n\taddl $1, 192(%[memory])\n\t"
		     ".byte 0x87, 0xc8\n\t"
		     /* one line, two lines; two dirty lines */
		     "movl 256(%[memory]), %%eax\n\t"
		     "movq 380(%[memory]), %%rax\n\t"
		     "movq %%rax, 508(%[memory])\n\t"
		     /* thirteen lines of one set: each a miss */
		     ".irp page, 0,1,2,3,4,5,6,7,8,9,10,11,12\n\t"
		     "movb 1024 + 4096 * \\page(%[memory]), %%al\n\t"
		     ".endr\n\t"
		     "decq %[rounds]\n\t"
		     "jnz 1b\n\t"
		     "nopl %c[end](%%rax)"
		     : [rounds] "+r" (rounds)
		     : [memory] "r" (memory), [round] "i" (MARK_ROUND),
		       [end] "i" (MARK_END)
		     : "rax", "rcx", "memory", "cc");
	return ++windows;
}

/* Whatever is counted, this comes first: a plugin that is wrong here is wrong. */
void count_known(void)
{
	static char memory[KNOWN_PAGES * PAGE] __attribute__((aligned(PAGE)));

	/* A page of zeroes that nobody has written to is the same for all. */
	memset(memory, 1, sizeof(memory));
	run_known(memory, 1);
	result_count("known", "known", SIZE, run_known(memory, KNOWN_ROUNDS),
		     KNOWN_ROUNDS);
}
