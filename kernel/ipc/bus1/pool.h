/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1: one peer's receive memory
 */
#ifndef _BUS1_POOL_H
#define _BUS1_POOL_H

#include <linux/list.h>
#include <linux/rbtree.h>
#include <linux/types.h>

#include "limits.h"

struct file;
struct iov_iter;
struct vm_area_struct;

/**
 * struct bus1_slice - a piece of a pool, embedded in what lies in it
 * @entry:	links the slice into &struct bus1_pool.slices, by address
 * @rb_gap:	links it into &struct bus1_pool.gaps if @gap is not 0 and it is not
 *		the last
 * @rb_offset:	links it into &struct bus1_pool.published
 * @offset:	where it begins
 * @size:	how much it takes; 0 while it is not allocated
 * @gap:	free bytes between its end and the next slice
 * @serial:	tells it from all other slices that were published at this offset
 * @published:	whether the receiver knows the slice and may release it
 */
struct bus1_slice {
	struct list_head entry;
	struct rb_node rb_gap;
	struct rb_node rb_offset;
	u64 offset;
	u64 size;
	u64 gap;
	u64 serial;
	bool published;
};

/**
 * struct bus1_pool - one peer's receive memory
 * @file:	the shmem file that holds the pages. NULL until the first slice or
 *		mapping, then set with cmpxchg. It is there as long as a slice is, and
 *		taken off under the lock when the peer is down and the last slice is freed
 * @slices:	all slices, by address
 * @gaps:	the slices with a gap behind them, except the last, by size of the
 *		gap and address
 * @published:	the slices that the receiver may release, by offset
 * @n_published: how many slices were ever published
 * @head:	an empty slice at 0, so that every gap has a slice before it
 *
 * The lock of the peer that embeds the pool serialises access to the lists and
 * trees, and is never held while pages are touched: the bytes of an allocated
 * slice belong to whoever allocated it.
 */
struct bus1_pool {
	struct file *file;
	struct list_head slices;
	struct rb_root gaps;
	struct rb_root published;
	u64 n_published;
	struct bus1_slice head;
};

void bus1_pool_mount(void);
void bus1_pool_init(struct bus1_pool *pool);
void bus1_pool_deinit(struct bus1_pool *pool);
void bus1_pool_truncate(struct bus1_pool *pool);
int bus1_pool_prepare(struct bus1_pool *pool);
struct file *bus1_pool_detach(struct bus1_pool *pool);
void bus1_pool_put_file(struct file *file);
int bus1_pool_mmap(struct file *file, struct vm_area_struct *vma);
unsigned long bus1_pool_resident(const struct bus1_pool *pool);

int bus1_pool_alloc(struct bus1_pool *pool, struct bus1_slice *slice, u64 size);
bool bus1_pool_retire(struct bus1_pool *pool, struct bus1_slice *slice);
void bus1_pool_punch(struct bus1_pool *pool, struct bus1_slice *slice);
void bus1_pool_free(struct bus1_pool *pool, struct bus1_slice *slice);

void bus1_pool_publish(struct bus1_pool *pool, struct bus1_slice *slice);
void bus1_pool_unpublish(struct bus1_pool *pool, struct bus1_slice *slice);
struct bus1_slice *bus1_pool_find(struct bus1_pool *pool, u64 offset);

int bus1_pool_check(struct bus1_pool *pool, const struct bus1_slice *slice);
int bus1_pool_write(struct bus1_pool *pool, const struct bus1_slice *slice,
		    struct iov_iter *iter);
int bus1_pool_fill(struct bus1_pool *pool, const struct bus1_slice *slice,
		   u64 at, const void *data, size_t n_data);
int bus1_pool_copy(struct bus1_pool *to, const struct bus1_slice *to_slice,
		   struct bus1_pool *from, const struct bus1_slice *from_slice,
		   u64 n);

/**
 * bus1_slice_end() - where a slice ends
 * @slice:	slice
 *
 * Return: offset in the pool.
 */
static inline u64 bus1_slice_end(const struct bus1_slice *slice)
{
	return slice->offset + slice->size;
}

#endif /* _BUS1_POOL_H */
