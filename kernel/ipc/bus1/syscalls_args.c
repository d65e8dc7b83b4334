// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: arguments of system calls
 */

#include <linux/fs.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/uio.h>

#include "syscalls.h"

/**
 * bus1_args_copy() - copy a struct that is extensible by size
 * @to:		the struct as this kernel knows it
 * @ksize:	its size
 * @size_ver0:	the size of its first version
 * @from:	where the caller has it
 * @usize:	how large it is there
 *
 * Return: 0; -EINVAL if it is unaligned or below version 0; -E2BIG if it has members that
 * this kernel does not know, and that are not 0; -EFAULT.
 */
int bus1_args_copy(void *to, size_t ksize, size_t size_ver0,
		   const void __user *from, size_t usize)
{
	if (!IS_ALIGNED((unsigned long)from, sizeof(u64)) || usize < size_ver0)
		return -EINVAL;
	if (usize > PAGE_SIZE)
		return -E2BIG;
	return copy_struct_from_user(to, ksize, from, usize);
}

/**
 * bus1_args_array() - copy an array
 * @from:	where the caller has it
 * @n:		how many
 * @size:	the size of one
 * @few:	room for BUS1_FEW of them
 *
 * Return: the array, for bus1_args_free(); NULL for no elements; -EFAULT, -ENOMEM.
 */
void *bus1_args_array(const void __user *from, size_t n, size_t size, void *few)
{
	if (!n)
		return NULL;
	if (n > BUS1_FEW)
		return vmemdup_array_user(from, n, size);
	if (n == 1 && size == sizeof(u64))
		return get_user(*(u64 *)few, (const u64 __user *)from) ?
		       ERR_PTR(-EFAULT) : few;
	if (copy_from_user(few, from, n * size))
		return ERR_PTR(-EFAULT);
	return few;
}

/**
 * bus1_args_free() - free an array
 * @array:	what bus1_args_array() returned
 * @few:	as given to it
 */
void bus1_args_free(const void *array, const void *few)
{
	if (array != few && !IS_ERR(array))
		kvfree(array);
}

/**
 * bus1_args_import_vecs() - check the pieces of a payload
 * @vecs:	pieces
 * @n:		how many
 * @iter:	set to them
 *
 * import_iovec() would silently truncate what is too long.
 *
 * Return: 0, -EMSGSIZE, -EFAULT.
 */
int bus1_args_import_vecs(const struct iovec *vecs, size_t n,
			  struct iov_iter *iter)
{
	size_t i, total = 0;

	for (i = 0; i < n; i++) {
		if (vecs[i].iov_len > MAX_RW_COUNT - total)
			return -EMSGSIZE;
		if (!access_ok(vecs[i].iov_base, vecs[i].iov_len))
			return -EFAULT;
		total += vecs[i].iov_len;
	}
	if (n == 1)
		iov_iter_ubuf(iter, ITER_SOURCE, vecs->iov_base, total);
	else
		iov_iter_init(iter, ITER_SOURCE, vecs, n, total);
	return 0;
}
