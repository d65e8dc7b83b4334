/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1: arguments of system calls
 */
#ifndef _BUS1_SYSCALLS_H
#define _BUS1_SYSCALLS_H

#include <linux/err.h>
#include <linux/file.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "file.h"
#include "release.h"

struct iov_iter;
struct iovec;

/* Room for the arrays of a small call on the stack. */
#define BUS1_FEW 8

int bus1_args_copy(void *to, size_t ksize, size_t size_ver0,
		   const void __user *from, size_t usize);
void *bus1_args_array(const void __user *from, size_t n, size_t size,
		      void *few);
void bus1_args_free(const void *array, const void *few);
int bus1_args_import_vecs(const struct iovec *vecs, size_t n,
			  struct iov_iter *iter);

/*
 * unsafe_get_user() of a u64. Not every 32-bit architecture has it: ARM's does not
 * link. So on 32 bits it is read in two parts.
 */
#define bus1_args_get_u64(to, from, label)				\
do {									\
	const u32 __user *__part = (const u32 __user *)(from);		\
	u32 __parts[2];							\
									\
	if (IS_ENABLED(CONFIG_64BIT)) {					\
		unsafe_get_user(to, from, label);			\
	} else {							\
		unsafe_get_user(__parts[0], __part, label);		\
		unsafe_get_user(__parts[1], __part + 1, label);		\
		memcpy(&(to), __parts, sizeof(__parts));		\
	}								\
} while (0)

/**
 * bus1_args_id_is_valid() - check an ID that may ask for a new node
 * @id:		ID
 *
 * The only bits that may not stand beside NEW are those that the kernel chooses.
 *
 * Return: true if it can be one.
 */
static inline bool bus1_args_id_is_valid(u64 id)
{
	return !(id & BUS1_HANDLE_FLAG_NEW) ||
	       !(id & (BUS1_HANDLE_FLAGS & ~BUS1_HANDLE_FLAG_NEW));
}

/**
 * bus1_args_check_ids() - check IDs that may ask for new nodes
 * @ids:	IDs
 * @n:		how many
 *
 * Return: 0 or -EINVAL.
 */
static inline int bus1_args_check_ids(const u64 *ids, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!bus1_args_id_is_valid(ids[i]))
			return -EINVAL;
	return 0;
}

/**
 * bus1_args_peer() - get the peer of a descriptor
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

#endif /* _BUS1_SYSCALLS_H */
