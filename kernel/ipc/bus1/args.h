/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1: arguments of system calls
 */
#ifndef _BUS1_ARGS_H
#define _BUS1_ARGS_H

#include <linux/err.h>
#include <linux/file.h>

#include "file.h"

/* Room for the arrays of a small call on the stack. */
#define BUS1_FEW 8

int bus1_args_copy(void *to, size_t ksize, const void __user *from,
		   size_t usize);
void *bus1_args_array(const void __user *from, size_t n, size_t size,
		      void *few);
void bus1_args_free(const void *array, const void *few);
int bus1_args_check_ids(const u64 *ids, size_t n);

/**
 * bus1_args_peer() - the peer that a descriptor is of
 * @f:		descriptor
 *
 * Return: the peer, or -EBADF.
 */
static inline struct bus1_peer *bus1_args_peer(struct fd f)
{
	if (fd_empty(f) || !bus1_file_is_peer(fd_file(f)))
		return ERR_PTR(-EBADF);
	return fd_file(f)->private_data;
}

#endif /* _BUS1_ARGS_H */
