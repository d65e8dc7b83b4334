// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: arguments of system calls
 */

#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "args.h"

/**
 * bus1_args_copy() - copy a struct that is extensible by size
 * @to:		the struct as this kernel knows it
 * @ksize:	its size
 * @from:	where the caller has it
 * @usize:	how large it is there
 *
 * Return: 0; -EINVAL if it is unaligned or below version 0; -E2BIG if it says what
 * this kernel does not know; -EFAULT.
 */
int bus1_args_copy(void *to, size_t ksize, const void __user *from, size_t usize)
{
	if (!IS_ALIGNED((unsigned long)from, sizeof(u64)) || usize < ksize)
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
 * bus1_args_check_ids() - check IDs that may ask for new nodes
 * @ids:	IDs
 * @n:		how many
 *
 * The only bits that may not stand beside NEW are those the kernel chooses.
 *
 * Return: 0 or -EINVAL.
 */
int bus1_args_check_ids(const u64 *ids, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if ((ids[i] & BUS1_HANDLE_FLAG_NEW) &&
		    (ids[i] & (BUS1_HANDLE_FLAGS & ~BUS1_HANDLE_FLAG_NEW)))
			return -EINVAL;
	return 0;
}
