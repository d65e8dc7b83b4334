/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1: arguments of system calls
 */
#ifndef _BUS1_ARGS_H
#define _BUS1_ARGS_H

#include <linux/err.h>
#include <linux/file.h>

#include "peer.h"

/* Room for the arrays of a small call on the stack. */
#define BUS1_FEW 8

struct bus1_peer *bus1_args_peer(struct fd f);
int bus1_args_copy(void *to, size_t ksize, const void __user *from,
		   size_t usize);
void *bus1_args_array(const void __user *from, size_t n, size_t size,
		      void *few);
void bus1_args_free(const void *array, const void *few);
int bus1_args_check_ids(const u64 *ids, size_t n);

#endif /* _BUS1_ARGS_H */
