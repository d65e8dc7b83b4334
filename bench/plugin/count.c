// SPDX-License-Identifier: GPL-2.0
/*
 * A plugin of QEMU that counts what a round of a program costs in memory.
 *
 * Everything that the one processor executes between two marks (bench/mark.h)
 * counts, in whatever process and mode, as it does for the instructions that
 * icount counts. Lines are counted by physical address: what two processes
 * share is one line. What the processor does between instructions (page walks,
 * the frame of an interrupt) is not seen.
 *
 * out=FILE	one line per window, the sums of its rounds: number, rounds,
 *		locked instructions, loads, stores, lines, dirty lines, misses
 * trace=N	in place of that, one line per instruction of round N: its
 *		address, and whether it is a locked one
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../mark.h"
#include "locked.h"
#include "qemu-plugin.h"

#define LINE_SHIFT	6
/* Enough for the 4 GiB that guests have less than. Untouched, it takes none. */
#define N_LINES		(1UL << (32 - LINE_SHIFT))

/* The cache: 48 KiB, as a first level has today. */
#define N_WAYS		12
#define N_SETS		64

int qemu_plugin_version = QEMU_PLUGIN_VERSION;

/* The round that last touched, and dirtied, each line. Rounds begin at 1. */
static struct {
	uint32_t touched;
	uint32_t dirtied;
} seen[N_LINES];

/* The lines of each set, the one that was used last in front. */
static uint32_t cache[N_SETS][N_WAYS];

static struct {
	unsigned long rounds;
	unsigned long locked;
	unsigned long loads;
	unsigned long stores;
	unsigned long lines;
	unsigned long dirty;
	unsigned long misses;
} sums;

static FILE *out;
static unsigned long traced;
static unsigned long windows;
static uint32_t round_number;
static bool counting;

static void fail(const char *what)
{
	fprintf(stderr, "count: %s\n", what);
	_exit(1);
}

static void look_up(uint32_t line)
{
	uint32_t *set = cache[line % N_SETS];
	size_t i;

	for (i = 0; i < N_WAYS && set[i] != line; i++)
		;
	if (i == N_WAYS) {
		sums.misses++;
		i--;
	}
	memmove(set + 1, set, i * sizeof(*set));
	set[0] = line;
}

static void touch(qemu_plugin_meminfo_t info, uint64_t address, bool store)
{
	const struct qemu_plugin_hwaddr *where =
		qemu_plugin_get_hwaddr(info, address);
	uint64_t line;

	if (!where)
		fail("an access without a physical address");
	/* Registers of devices are not cached. */
	if (qemu_plugin_hwaddr_is_io(where))
		return;
	line = qemu_plugin_hwaddr_phys_addr(where) >> LINE_SHIFT;
	if (line >= N_LINES)
		fail("an access beyond 4 GiB");
	if (seen[line].touched != round_number) {
		seen[line].touched = round_number;
		sums.lines++;
	}
	if (store && seen[line].dirtied != round_number) {
		seen[line].dirtied = round_number;
		sums.dirty++;
	}
	look_up(line);
}

static void on_access(unsigned int cpu, qemu_plugin_meminfo_t info,
		      uint64_t address, void *data)
{
	const uint64_t last =
		address + (1 << qemu_plugin_mem_size_shift(info)) - 1;
	const bool store = qemu_plugin_mem_is_store(info);

	(void)cpu;
	(void)data;
	if (!counting)
		return;
	if (store)
		sums.stores++;
	else
		sums.loads++;
	touch(info, address, store);
	if (last >> LINE_SHIFT != address >> LINE_SHIFT)
		touch(info, last, store);
}

static void on_locked(unsigned int cpu, void *data)
{
	(void)cpu;
	(void)data;
	sums.locked += counting;
}

static void on_round(unsigned int cpu, void *data)
{
	(void)cpu;
	(void)data;
	sums.rounds += counting;
	counting = true;
	round_number++;
}

static void on_end(unsigned int cpu, void *data)
{
	(void)cpu;
	(void)data;
	sums.rounds += counting;
	counting = false;
	fprintf(out, "%lu %lu %lu %lu %lu %lu %lu %lu\n", ++windows,
		sums.rounds, sums.locked, sums.loads, sums.stores, sums.lines,
		sums.dirty, sums.misses);
	fflush(out);
	memset(&sums, 0, sizeof(sums));
}

static void trace_plain(unsigned int cpu, void *address)
{
	(void)cpu;
	if (round_number == traced)
		fprintf(out, "%lx 0\n", (unsigned long)address);
}

static void trace_locked(unsigned int cpu, void *address)
{
	(void)cpu;
	if (round_number == traced)
		fprintf(out, "%lx 1\n", (unsigned long)address);
}

static qemu_plugin_insn_cb_t mark_of(const uint8_t *insn, size_t n)
{
	uint32_t what;

	if (n != MARK_SIZE || memcmp(insn, MARK_OPCODE, strlen(MARK_OPCODE)))
		return NULL;
	memcpy(&what, insn + strlen(MARK_OPCODE), sizeof(what));
	if (what == MARK_ROUND)
		return on_round;
	return what == MARK_END ? on_end : NULL;
}

static void see(struct qemu_plugin_insn *insn)
{
	const uint64_t address = qemu_plugin_insn_vaddr(insn);
	const uint8_t *bytes = qemu_plugin_insn_data(insn);
	const size_t n = qemu_plugin_insn_size(insn);
	/* The kernel is in the upper half. */
	const bool locks = insn_locks(bytes, n, address >> 63);
	qemu_plugin_insn_cb_t executed = mark_of(bytes, n);

	if (!executed && traced)
		executed = locks ? trace_locked : trace_plain;
	else if (!executed && locks)
		executed = on_locked;
	if (executed)
		qemu_plugin_register_vcpu_insn_exec_cb(insn, executed,
						       QEMU_PLUGIN_CB_NO_REGS,
						       (void *)address);
	if (!traced)
		qemu_plugin_register_vcpu_mem_cb(insn, on_access,
						 QEMU_PLUGIN_CB_NO_REGS,
						 QEMU_PLUGIN_MEM_RW, NULL);
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	const size_t n = qemu_plugin_tb_n_insns(tb);
	size_t i;

	(void)id;
	for (i = 0; i < n; i++)
		see(qemu_plugin_tb_get_insn(tb, i));
}

int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc,
			char **argv)
{
	int i;

	(void)info;
	for (i = 0; i < argc; i++) {
		if (!strncmp(argv[i], "out=", 4))
			out = fopen(argv[i] + 4, "w");
		else if (!strncmp(argv[i], "trace=", 6))
			traced = strtoul(argv[i] + 6, NULL, 10);
		else
			fail("expected out=FILE and trace=N");
	}
	if (!out)
		fail("expected out=FILE, a file that can be written");
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
	return 0;
}
