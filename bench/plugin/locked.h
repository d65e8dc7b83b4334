/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which instructions lock memory.
 */
#ifndef BENCH_PLUGIN_LOCKED_H
#define BENCH_PLUGIN_LOCKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool insn_locks(const uint8_t *insn, size_t n, bool kernel);

#endif /* BENCH_PLUGIN_LOCKED_H */
