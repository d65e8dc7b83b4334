// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: the slices of a pool
 *
 * This is where they lie, and which of them the receiver may release; see pool.c.
 */

#include <linux/bug.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/shmem_fs.h>

#include "limits.h"
#include "pool.h"

static bool is_last(const struct bus1_pool *pool, const struct bus1_slice *slice)
{
	return list_is_last(&slice->entry, &pool->slices);
}

static void link_gap(struct bus1_pool *pool, struct bus1_slice *slice)
{
	struct rb_node **link = &pool->gaps.rb_node, *parent = NULL;
	struct bus1_slice *other;

	while (*link) {
		parent = *link;
		other = rb_entry(parent, struct bus1_slice, rb_gap);
		if (slice->gap < other->gap ||
		    (slice->gap == other->gap && slice->offset < other->offset))
			link = &parent->rb_left;
		else
			link = &parent->rb_right;
	}
	rb_link_node(&slice->rb_gap, parent, link);
	rb_insert_color(&slice->rb_gap, &pool->gaps);
}

static void set_gap(struct bus1_pool *pool, struct bus1_slice *slice, u64 gap)
{
	bool sorted = !is_last(pool, slice);

	if (slice->gap && sorted)
		rb_erase(&slice->rb_gap, &pool->gaps);
	slice->gap = gap;
	if (gap && sorted)
		link_gap(pool, slice);
}

/* Returns the smallest gap that is large enough, the lowest of equal ones. */
static struct bus1_slice *find_gap(struct bus1_pool *pool, u64 size)
{
	struct rb_node *rb = pool->gaps.rb_node;
	struct bus1_slice *slice, *found;

	found = list_last_entry(&pool->slices, struct bus1_slice, entry);
	if (found->gap < size)
		found = NULL;
	while (rb) {
		slice = rb_entry(rb, struct bus1_slice, rb_gap);
		if (slice->gap >= size) {
			found = slice;
			rb = rb->rb_left;
		} else {
			rb = rb->rb_right;
		}
	}
	return found;
}

/**
 * bus1_pool_alloc() - allocate a slice
 * @pool:	pool
 * @slice:	slice to allocate
 * @size:	its size; a slice of 0 bytes has an offset of its own all the same
 *
 * Return: 0, or -EXFULL if there is no gap of this size.
 */
int bus1_pool_alloc(struct bus1_pool *pool, struct bus1_slice *slice, u64 size)
{
	struct bus1_slice *prev;
	bool last;

	size = ALIGN(max_t(u64, size, 1), BUS1_POOL_ALIGN);
	prev = find_gap(pool, size);
	if (!prev)
		return -EXFULL;

	last = is_last(pool, prev);
	if (!last)
		rb_erase(&prev->rb_gap, &pool->gaps);
	slice->offset = bus1_slice_end(prev);
	slice->size = size;
	slice->gap = prev->gap - size;
	slice->published = false;
	prev->gap = 0;
	list_add(&slice->entry, &prev->entry);
	if (!last && slice->gap)
		link_gap(pool, slice);
	return 0;
}

/**
 * bus1_pool_free() - free a slice
 * @pool:	pool
 * @slice:	allocated slice
 */
void bus1_pool_free(struct bus1_pool *pool, struct bus1_slice *slice)
{
	struct bus1_slice *prev = list_prev_entry(slice, entry);
	bool last = is_last(pool, slice);

	if (slice->published)
		bus1_pool_unpublish(pool, slice);
	if (prev->gap)
		rb_erase(&prev->rb_gap, &pool->gaps);
	if (slice->gap && !last)
		rb_erase(&slice->rb_gap, &pool->gaps);
	prev->gap += slice->size + slice->gap;
	list_del(&slice->entry);
	slice->size = 0;
	slice->gap = 0;
	if (!last)
		link_gap(pool, prev);
}

static bool folio_is_pinned(const struct folio *folio)
{
	/* A page that is not on its LRU yet is held by a batch. */
	return folio_ref_count(folio) >
	       folio_nr_pages(folio) + folio_mapcount(folio) +
	       !folio_test_lru(folio);
}

/* Whether any page from @start up to @end is pinned. */
static bool is_pinned(const struct bus1_pool *pool, u64 start, u64 end)
{
	XA_STATE(xas, &pool->file->f_mapping->i_pages, start >> PAGE_SHIFT);
	struct folio *folio;
	bool pinned = false;

	rcu_read_lock();
	xas_for_each(&xas, folio, (end - 1) >> PAGE_SHIFT) {
		if (xas_retry(&xas, folio) || xa_is_value(folio))
			continue;
		pinned = folio_is_pinned(folio);
		if (pinned)
			break;
	}
	rcu_read_unlock();
	return pinned;
}

/* Finds the pages from @first up to @last, which no other slice overlaps. */
static void own_pages(const struct bus1_slice *slice, u64 *first, u64 *last)
{
	u64 floor = bus1_slice_end(list_prev_entry(slice, entry));
	u64 end = bus1_slice_end(slice);

	*first = round_down(slice->offset, PAGE_SIZE);
	if (*first < floor)
		*first = round_up(floor, PAGE_SIZE);
	*last = round_up(end, PAGE_SIZE);
	if (*last > end + slice->gap)
		*last = round_down(end + slice->gap, PAGE_SIZE);
}

static bool page_is_pinned(const struct bus1_pool *pool, pgoff_t index)
{
	struct folio *folio;
	bool pinned = false;

	rcu_read_lock();
	folio = xa_load(&pool->file->f_mapping->i_pages, index);
	if (folio && !xa_is_value(folio))
		pinned = folio_is_pinned(folio);
	rcu_read_unlock();
	return pinned;
}

/**
 * bus1_pool_retire() - prepare a slice to be freed
 * @pool:	pool
 * @slice:	allocated slice. If pages have to be punched it becomes the pages that
 *		nobody else uses, with the free bytes in them
 *
 * Return: true if bus1_pool_punch() is to be called before bus1_pool_free(),
 * without the lock that serialises access to @pool.
 */
bool bus1_pool_retire(struct bus1_pool *pool, struct bus1_slice *slice)
{
	struct bus1_slice *prev = list_prev_entry(slice, entry);
	u64 floor = bus1_slice_end(prev);
	u64 ceiling = bus1_slice_end(slice) + slice->gap;
	u64 first, last;

	if (slice->published)
		bus1_pool_unpublish(pool, slice);
	own_pages(slice, &first, &last);
	if (first >= last || !pool->file)
		return false;
	if (last <= BUS1_POOL_CACHE && !is_pinned(pool, first, last))
		return false;

	/* The last slice in a page that is shared now will find itself alone in it. */
	slice->offset = first;
	slice->size = last - first;
	set_gap(pool, slice, ceiling - last);
	set_gap(pool, prev, first - floor);
	return true;
}

/**
 * bus1_pool_punch() - give the pages of a retired slice back to the system
 * @pool:	pool
 * @slice:	slice for which bus1_pool_retire() returned true
 *
 * Sleeps.
 */
void bus1_pool_punch(struct bus1_pool *pool, struct bus1_slice *slice)
{
	struct address_space *mapping = pool->file->f_mapping;
	u64 at = round_up(slice->offset, PAGE_SIZE);
	u64 last = round_down(bus1_slice_end(slice), PAGE_SIZE);

	might_sleep();
	for (; at < last && at < BUS1_POOL_CACHE; at += PAGE_SIZE)
		if (page_is_pinned(pool, at >> PAGE_SHIFT))
			shmem_truncate_range(mapping->host, at,
					     at + PAGE_SIZE - 1);
	if (at < last)
		shmem_truncate_range(mapping->host, at, last - 1);
}

/**
 * bus1_pool_publish() - let the receiver release a slice
 * @pool:	pool
 * @slice:	allocated slice
 */
void bus1_pool_publish(struct bus1_pool *pool, struct bus1_slice *slice)
{
	struct rb_node **link = &pool->published.rb_node, *parent = NULL;

	while (*link) {
		parent = *link;
		if (slice->offset <
		    rb_entry(parent, struct bus1_slice, rb_offset)->offset)
			link = &parent->rb_left;
		else
			link = &parent->rb_right;
	}
	rb_link_node(&slice->rb_offset, parent, link);
	rb_insert_color(&slice->rb_offset, &pool->published);
	slice->serial = ++pool->n_published;
	slice->published = true;
}

/**
 * bus1_pool_unpublish() - take a slice from the receiver
 * @pool:	pool
 * @slice:	published slice
 */
void bus1_pool_unpublish(struct bus1_pool *pool, struct bus1_slice *slice)
{
	rb_erase(&slice->rb_offset, &pool->published);
	slice->published = false;
}

/**
 * bus1_pool_find() - find a published slice
 * @pool:	pool
 * @offset:	where it begins
 *
 * Return: the slice, or NULL.
 */
struct bus1_slice *bus1_pool_find(struct bus1_pool *pool, u64 offset)
{
	struct rb_node *rb = pool->published.rb_node;
	struct bus1_slice *slice;

	while (rb) {
		slice = rb_entry(rb, struct bus1_slice, rb_offset);
		if (offset == slice->offset)
			return slice;
		rb = offset < slice->offset ? rb->rb_left : rb->rb_right;
	}
	return NULL;
}
