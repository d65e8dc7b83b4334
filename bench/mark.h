/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How a program in the guest tells bench/plugin where a round begins: a nop
 * with an address that nothing else has. Without the plugin it does nothing.
 */
#ifndef BENCH_MARK_H
#define BENCH_MARK_H

/* A round begins, and the one before it ends. */
#define MARK_ROUND	0x62753101
/* The last round of a window ends. */
#define MARK_END	0x62753102

/* The bytes in front of those of the number. */
#define MARK_OPCODE	"\x0f\x1f\x80"
#define MARK_SIZE	7

#define mark(what) \
	asm volatile("nopl %c0(%%rax)" : : "i" (what) : "memory")

#endif /* BENCH_MARK_H */
