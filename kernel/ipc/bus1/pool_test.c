// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: tests of one peer's receive memory
 */

#include <kunit/test.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/prandom.h>
#include <linux/sched.h>
#include <linux/shmem_fs.h>
#include <linux/uio.h>

#include "limits.h"
#include "pool.h"

#define N_CACHE		(BUS1_POOL_CACHE / PAGE_SIZE)
#define N_SLICES	64

struct fixture {
	struct bus1_pool pool;
	struct bus1_slice slices[N_SLICES];
};

static struct bus1_slice *alloc(struct kunit *test, unsigned int i, u64 size)
{
	struct fixture *f = test->priv;

	KUNIT_ASSERT_EQ(test, bus1_pool_alloc(&f->pool, &f->slices[i], size), 0);
	return &f->slices[i];
}

/* Frees a slice as the free of a message does, without the lock. */
static void release(struct bus1_pool *pool, struct bus1_slice *slice)
{
	if (bus1_pool_retire(pool, slice))
		bus1_pool_punch(pool, slice);
	bus1_pool_free(pool, slice);
}

/* Each byte says where it is, and in which page. */
static u8 byte_at(u64 offset, u8 seed)
{
	return offset ^ (offset >> PAGE_SHIFT) ^ seed;
}

static int fill(struct kunit *test, const struct bus1_slice *slice, u64 size,
		u8 seed)
{
	struct fixture *f = test->priv;
	u8 *data = kvmalloc(size, GFP_KERNEL);
	u64 i;
	int err;

	KUNIT_ASSERT_NOT_NULL(test, data);
	for (i = 0; i < size; i++)
		data[i] = byte_at(i, seed);
	err = bus1_pool_fill(&f->pool, slice, 0, data, size);
	kvfree(data);
	return err;
}

/* Reads a byte of the pool; -1 if its page is not there. */
static int peek(struct bus1_pool *pool, u64 offset)
{
	struct folio *folio = filemap_get_folio(pool->file->f_mapping,
						offset >> PAGE_SHIFT);
	u8 *data, byte;

	if (IS_ERR(folio))
		return -1;
	data = kmap_local_page(folio_file_page(folio, offset >> PAGE_SHIFT));
	byte = data[offset_in_page(offset)];
	kunmap_local(data);
	folio_put(folio);
	return byte;
}

static void expect_bytes(struct kunit *test, struct bus1_pool *pool,
			 const struct bus1_slice *slice, u64 size, u8 seed)
{
	u64 i;

	for (i = 0; i < size; i++)
		KUNIT_ASSERT_EQ(test, peek(pool, slice->offset + i),
				byte_at(i, seed));
}

static unsigned int count_gaps(const struct bus1_pool *pool)
{
	const struct bus1_slice *last;
	const struct rb_node *rb;
	unsigned int n;

	last = list_last_entry(&pool->slices, struct bus1_slice, entry);
	n = last->gap > 0;
	for (rb = rb_first(&pool->gaps); rb; rb = rb_next(rb))
		n++;
	return n;
}

static void expect_quiet(struct kunit *test, const struct bus1_pool *pool)
{
	KUNIT_EXPECT_TRUE(test, list_is_singular(&pool->slices));
	KUNIT_EXPECT_EQ(test, count_gaps(pool), 1);
	KUNIT_EXPECT_EQ(test, pool->head.gap, BUS1_POOL_SIZE);
	KUNIT_EXPECT_EQ(test, pool->head.size, 0);
	KUNIT_EXPECT_TRUE(test, RB_EMPTY_ROOT(&pool->published));
}

static void slices_are_aligned_and_adjacent(struct kunit *test)
{
	static const u64 sizes[] = { 1, 8, 9, 4096, 4097, 100000 };
	u64 at = 0;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		alloc(test, i, sizes[i]);
		KUNIT_EXPECT_EQ(test, ((struct fixture *)test->priv)->slices[i].offset, at);
		at += round_up(sizes[i], BUS1_POOL_ALIGN);
	}
}

static void an_empty_slice_has_an_offset_of_its_own(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct bus1_slice *a = alloc(test, 0, 0), *b = alloc(test, 1, 0);

	KUNIT_EXPECT_GT(test, a->size, 0);
	KUNIT_EXPECT_GE(test, b->offset, a->offset + a->size);
	bus1_pool_publish(&f->pool, a);
	bus1_pool_publish(&f->pool, b);
	KUNIT_EXPECT_PTR_EQ(test, bus1_pool_find(&f->pool, a->offset), a);
	KUNIT_EXPECT_PTR_EQ(test, bus1_pool_find(&f->pool, b->offset), b);
}

static void gaps_merge_on_both_sides(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct bus1_slice *s = f->slices;
	unsigned int i;

	for (i = 0; i < 5; i++)
		alloc(test, i, 64);
	bus1_pool_free(&f->pool, &s[1]);
	bus1_pool_free(&f->pool, &s[3]);
	KUNIT_EXPECT_EQ(test, s[0].gap, 64);
	KUNIT_EXPECT_EQ(test, s[2].gap, 64);
	KUNIT_EXPECT_EQ(test, count_gaps(&f->pool), 3);
	bus1_pool_free(&f->pool, &s[2]);
	KUNIT_EXPECT_EQ(test, s[0].gap, 192);
	KUNIT_EXPECT_EQ(test, count_gaps(&f->pool), 2);
	bus1_pool_free(&f->pool, &s[4]);
	KUNIT_EXPECT_EQ(test, count_gaps(&f->pool), 1);
	bus1_pool_free(&f->pool, &s[0]);
	expect_quiet(test, &f->pool);
}

static void the_best_gap_is_taken(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct bus1_slice *s = f->slices;
	static const u64 sizes[] = { 96, 8, 64, 8, 80, 8, 64, 8 };
	u64 offsets[ARRAY_SIZE(sizes)];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		offsets[i] = alloc(test, i, sizes[i])->offset;
	for (i = 0; i < ARRAY_SIZE(sizes); i += 2)
		bus1_pool_free(&f->pool, &s[i]);
	/* The smallest gap that is large enough, the lowest of equal ones. */
	KUNIT_EXPECT_EQ(test, alloc(test, 10, 57)->offset, offsets[2]);
	KUNIT_EXPECT_EQ(test, alloc(test, 11, 64)->offset, offsets[6]);
	KUNIT_EXPECT_EQ(test, alloc(test, 12, 64)->offset, offsets[4]);
	KUNIT_EXPECT_EQ(test, alloc(test, 13, 80)->offset, offsets[0]);
	KUNIT_EXPECT_EQ(test, alloc(test, 14, 16)->offset, offsets[0] + 80);
	KUNIT_EXPECT_EQ(test, alloc(test, 15, 8)->offset, offsets[4] + 64);
}

static void a_full_pool_is_exfull(struct kunit *test)
{
	struct fixture *f = test->priv;

	KUNIT_EXPECT_EQ(test, bus1_pool_alloc(&f->pool, &f->slices[0],
					      BUS1_POOL_SIZE + 1), -EXFULL);
	alloc(test, 0, BUS1_POOL_SIZE - 8);
	KUNIT_EXPECT_EQ(test, bus1_pool_alloc(&f->pool, &f->slices[1], 9),
			-EXFULL);
	alloc(test, 1, 8);
	KUNIT_EXPECT_EQ(test, count_gaps(&f->pool), 0);
	KUNIT_EXPECT_EQ(test, bus1_pool_alloc(&f->pool, &f->slices[2], 0),
			-EXFULL);
	bus1_pool_free(&f->pool, &f->slices[0]);
	KUNIT_EXPECT_EQ(test, alloc(test, 2, 16)->offset, 0);
}

/* The pool once more, as a map of units of 8 bytes, which no offset may exceed. */
#define N_UNITS 4096

struct model {
	u8 taken[N_UNITS];
	struct rnd_state rnd;
};

/* The length of the run of free units at @at; the last one has no end. */
static u64 free_run(const struct model *model, unsigned int at)
{
	unsigned int end = at;

	while (end < N_UNITS && !model->taken[end])
		end++;
	return end == N_UNITS ? U64_MAX : end - at;
}

static unsigned int best_fit(const struct model *model, u64 n)
{
	unsigned int at = 0, best = 0;
	u64 run, smallest = 0;

	while (at < N_UNITS) {
		run = free_run(model, at);
		if (run >= n && (!smallest || run < smallest)) {
			smallest = run;
			best = at;
		}
		at += run ? min_t(u64, run, N_UNITS) : 1;
	}
	return best;
}

static void model_alloc(struct kunit *test, struct model *model, unsigned int i)
{
	u64 size = prandom_u32_state(&model->rnd) % 200;
	u64 n = max(DIV_ROUND_UP(size, 8), 1);
	unsigned int at = best_fit(model, n), unit;
	struct bus1_slice *slice = alloc(test, i, size);

	KUNIT_ASSERT_EQ(test, slice->offset, at * 8);
	KUNIT_ASSERT_EQ(test, slice->size, n * 8);
	for (unit = at; unit < at + n; unit++)
		KUNIT_ASSERT_EQ(test, model->taken[unit]++, 0);
}

static void model_free(struct kunit *test, struct model *model, unsigned int i)
{
	struct fixture *f = test->priv;
	struct bus1_slice *slice = &f->slices[i];

	memset(&model->taken[slice->offset / 8], 0, slice->size / 8);
	bus1_pool_free(&f->pool, slice);
	KUNIT_ASSERT_EQ(test, slice->size, 0);
}

/* Gaps and slices cover the pool without a hole, the gaps in their order. */
static void expect_whole(struct kunit *test, struct bus1_pool *pool)
{
	struct bus1_slice *slice, *last = NULL;
	unsigned int n_gaps = 0;
	struct rb_node *rb;
	u64 at = 0;

	list_for_each_entry(slice, &pool->slices, entry) {
		KUNIT_ASSERT_EQ(test, slice->offset, at);
		at += slice->size + slice->gap;
		n_gaps += slice->gap > 0;
	}
	KUNIT_ASSERT_EQ(test, at, BUS1_POOL_SIZE);
	KUNIT_ASSERT_EQ(test, count_gaps(pool), n_gaps);
	for (rb = rb_first(&pool->gaps); rb; rb = rb_next(rb), last = slice) {
		slice = rb_entry(rb, struct bus1_slice, rb_gap);
		if (last)
			KUNIT_ASSERT_TRUE(test, last->gap < slice->gap ||
					  (last->gap == slice->gap &&
					   last->offset < slice->offset));
	}
}

static void random_slices_agree_with_a_map(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct model *model = kunit_kzalloc(test, sizeof(*model), GFP_KERNEL);
	unsigned int i, slice;

	KUNIT_ASSERT_NOT_NULL(test, model);
	prandom_seed_state(&model->rnd, 3);
	for (i = 0; i < 20000; i++) {
		slice = prandom_u32_state(&model->rnd) % N_SLICES;
		if (f->slices[slice].size)
			model_free(test, model, slice);
		else
			model_alloc(test, model, slice);
		expect_whole(test, &f->pool);
		cond_resched();
	}
	for (i = 0; i < N_SLICES; i++)
		if (f->slices[i].size)
			model_free(test, model, i);
	expect_quiet(test, &f->pool);
}

static void only_published_slices_are_found(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct bus1_slice *s = f->slices;
	unsigned int i;

	for (i = 0; i < N_SLICES; i++)
		alloc(test, i, 16);
	/* In an order that is neither ascending nor descending. */
	for (i = 0; i < N_SLICES; i++) {
		unsigned int k = i * 37 % N_SLICES;

		KUNIT_EXPECT_NULL(test, bus1_pool_find(&f->pool, s[k].offset));
		bus1_pool_publish(&f->pool, &s[k]);
		KUNIT_EXPECT_TRUE(test, s[k].published);
		KUNIT_EXPECT_PTR_EQ(test, bus1_pool_find(&f->pool, s[k].offset),
				    &s[k]);
	}
	KUNIT_EXPECT_NULL(test, bus1_pool_find(&f->pool, s[1].offset + 8));
	KUNIT_EXPECT_NULL(test, bus1_pool_find(&f->pool, U64_MAX));
	bus1_pool_unpublish(&f->pool, &s[5]);
	KUNIT_EXPECT_NULL(test, bus1_pool_find(&f->pool, s[5].offset));
	KUNIT_EXPECT_FALSE(test, bus1_pool_retire(&f->pool, &s[6]));
	KUNIT_EXPECT_NULL(test, bus1_pool_find(&f->pool, s[6].offset));
	bus1_pool_free(&f->pool, &s[7]);
	KUNIT_EXPECT_NULL(test, bus1_pool_find(&f->pool, s[7].offset));
	KUNIT_EXPECT_PTR_EQ(test, bus1_pool_find(&f->pool, s[8].offset), &s[8]);
}

static void an_unused_pool_has_no_pages(struct kunit *test)
{
	struct bus1_pool pool;

	bus1_pool_init(&pool);
	KUNIT_EXPECT_EQ(test, bus1_pool_resident(&pool), 0);
	KUNIT_EXPECT_NULL(test, pool.file);
	bus1_pool_deinit(&pool);
}

static void the_file_is_made_once(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct file *file = f->pool.file;

	KUNIT_EXPECT_EQ(test, bus1_pool_prepare(&f->pool), 0);
	KUNIT_EXPECT_PTR_EQ(test, f->pool.file, file);
	KUNIT_EXPECT_EQ(test, i_size_read(file_inode(file)), BUS1_POOL_SIZE);
	KUNIT_EXPECT_EQ(test, bus1_pool_resident(&f->pool), 0);
}

static void what_is_filled_is_there(struct kunit *test)
{
	static const u64 sizes[] = { 1, 4088, 16, PAGE_SIZE, 3, 3 * PAGE_SIZE + 5 };
	struct fixture *f = test->priv;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		KUNIT_ASSERT_EQ(test, fill(test, alloc(test, i, sizes[i]),
					   sizes[i], i), 0);
	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		expect_bytes(test, &f->pool, &f->slices[i], sizes[i], i);
}

/* The part before @at, and whatever lies behind, stays as it was. */
static void a_part_is_filled_across_pages(struct kunit *test)
{
	static const char text[] = "across the page";
	struct fixture *f = test->priv;
	struct bus1_slice *slice = alloc(test, 0, 2 * PAGE_SIZE);
	u64 at = PAGE_SIZE - 7, i;

	KUNIT_ASSERT_EQ(test, fill(test, slice, 2 * PAGE_SIZE, 9), 0);
	KUNIT_ASSERT_EQ(test, bus1_pool_fill(&f->pool, slice, at, text,
					     sizeof(text)), 0);
	for (i = 0; i < 2 * PAGE_SIZE; i++)
		KUNIT_ASSERT_EQ(test, peek(&f->pool, i),
				i >= at && i < at + sizeof(text) ?
				text[i - at] : byte_at(i, 9));
	KUNIT_EXPECT_EQ(test, bus1_pool_fill(&f->pool, slice, at, text, 0), 0);
}

static void writing_gathers_and_advances(struct kunit *test)
{
	char one[] = "gathered ", two[] = "from two";
	struct kvec vecs[] = { { one, 9 }, { two, 9 } };
	struct fixture *f = test->priv;
	struct bus1_slice *slice;
	struct iov_iter iter;
	unsigned int i;

	alloc(test, 0, PAGE_SIZE - 16);
	slice = alloc(test, 1, 40);
	iov_iter_kvec(&iter, ITER_SOURCE, vecs, 2, 18);
	KUNIT_EXPECT_EQ(test, bus1_pool_write(&f->pool, slice, &iter), 0);
	KUNIT_EXPECT_EQ(test, iov_iter_count(&iter), 0);
	for (i = 0; i < 18; i++)
		KUNIT_EXPECT_EQ(test, peek(&f->pool, slice->offset + i),
				"gathered from two"[i]);
	KUNIT_EXPECT_EQ(test, peek(&f->pool, slice->offset + 18), 0);
	KUNIT_EXPECT_EQ(test, bus1_pool_resident(&f->pool), 2);
}

static void slices_are_copied_between_pools(struct kunit *test)
{
	const u64 size = 2 * PAGE_SIZE + 100;
	struct fixture *f = test->priv;
	struct bus1_slice *from, copy = {};
	struct bus1_pool to;

	/* So that page boundaries differ in the two slices. */
	alloc(test, 0, 1000);
	from = alloc(test, 1, size);
	KUNIT_ASSERT_EQ(test, fill(test, from, size, 77), 0);
	bus1_pool_init(&to);
	KUNIT_EXPECT_EQ(test, bus1_pool_prepare(&to), 0);
	KUNIT_EXPECT_EQ(test, bus1_pool_alloc(&to, &copy, size), 0);
	KUNIT_EXPECT_EQ(test, bus1_pool_copy(&to, &copy, &f->pool, from, size),
			0);
	expect_bytes(test, &to, &copy, size, 77);
	expect_bytes(test, &f->pool, from, size, 77);
	release(&to, &copy);
	bus1_pool_deinit(&to);
}

static void the_cache_stays_and_the_rest_goes(struct kunit *test)
{
	const u64 size = 2 * BUS1_POOL_CACHE;
	struct fixture *f = test->priv;
	struct bus1_slice *slice = alloc(test, 0, size);

	KUNIT_ASSERT_EQ(test, fill(test, slice, size, 0), 0);
	KUNIT_EXPECT_EQ(test, bus1_pool_resident(&f->pool), 2 * N_CACHE);
	KUNIT_EXPECT_TRUE(test, bus1_pool_retire(&f->pool, slice));
	bus1_pool_punch(&f->pool, slice);
	KUNIT_EXPECT_EQ(test, bus1_pool_resident(&f->pool), N_CACHE);
	bus1_pool_free(&f->pool, slice);
	expect_quiet(test, &f->pool);
	KUNIT_EXPECT_NE(test, peek(&f->pool, BUS1_POOL_CACHE - 1), -1);
	KUNIT_EXPECT_EQ(test, peek(&f->pool, BUS1_POOL_CACHE), -1);

	/* What fits into the cache needs no punch, and no new page. */
	slice = alloc(test, 0, BUS1_POOL_CACHE);
	KUNIT_EXPECT_EQ(test, fill(test, slice, BUS1_POOL_CACHE, 1), 0);
	KUNIT_EXPECT_FALSE(test, bus1_pool_retire(&f->pool, slice));
	bus1_pool_free(&f->pool, slice);
	KUNIT_EXPECT_EQ(test, bus1_pool_resident(&f->pool), N_CACHE);
}

/*
 * Behind the cache, a page that another slice has a byte of stays, and goes with
 * the last of these slices.
 */
static void a_shared_page_goes_with_its_last_slice(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct bus1_slice *s = f->slices;
	unsigned int i;

	alloc(test, 0, BUS1_POOL_CACHE);
	for (i = 1; i < 4; i++)
		KUNIT_ASSERT_EQ(test, fill(test, alloc(test, i, 1000), 1000, i), 0);
	KUNIT_EXPECT_EQ(test, bus1_pool_resident(&f->pool), 1);
	KUNIT_EXPECT_FALSE(test, bus1_pool_retire(&f->pool, &s[2]));
	bus1_pool_free(&f->pool, &s[2]);
	expect_bytes(test, &f->pool, &s[1], 1000, 1);
	release(&f->pool, &s[1]);
	KUNIT_EXPECT_EQ(test, bus1_pool_resident(&f->pool), 1);
	expect_bytes(test, &f->pool, &s[3], 1000, 3);
	KUNIT_EXPECT_TRUE(test, bus1_pool_retire(&f->pool, &s[3]));
	KUNIT_EXPECT_EQ(test, s[3].offset, BUS1_POOL_CACHE);
	KUNIT_EXPECT_EQ(test, s[3].size, PAGE_SIZE);
	bus1_pool_punch(&f->pool, &s[3]);
	KUNIT_EXPECT_EQ(test, bus1_pool_resident(&f->pool), 0);
	bus1_pool_free(&f->pool, &s[3]);
	KUNIT_EXPECT_EQ(test, s[0].gap, BUS1_POOL_SIZE - BUS1_POOL_CACHE);
}

/* Its neighbours are in the first and in the last of its pages. */
static void retiring_takes_the_pages_that_nobody_else_uses(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct bus1_slice *s = f->slices;
	u64 start, end;

	alloc(test, 0, BUS1_POOL_CACHE + 100);
	alloc(test, 1, 64);
	alloc(test, 2, 3 * PAGE_SIZE);
	alloc(test, 3, 64);
	alloc(test, 4, 64);
	bus1_pool_free(&f->pool, &s[1]);
	bus1_pool_free(&f->pool, &s[3]);
	KUNIT_ASSERT_EQ(test, fill(test, &s[2], 3 * PAGE_SIZE, 2), 0);
	KUNIT_ASSERT_EQ(test, fill(test, &s[4], 64, 4), 0);
	KUNIT_EXPECT_EQ(test, bus1_pool_resident(&f->pool), 4);

	start = round_up(s[0].offset + s[0].size, PAGE_SIZE);
	end = round_down(s[4].offset, PAGE_SIZE);
	KUNIT_EXPECT_TRUE(test, bus1_pool_retire(&f->pool, &s[2]));
	KUNIT_EXPECT_EQ(test, s[2].offset, start);
	KUNIT_EXPECT_EQ(test, s[2].offset + s[2].size, end);
	expect_whole(test, &f->pool);
	/* No other slice gets the pages until they are punched. */
	KUNIT_EXPECT_GT(test, alloc(test, 5, PAGE_SIZE)->offset, end);
	bus1_pool_punch(&f->pool, &s[2]);
	KUNIT_EXPECT_EQ(test, bus1_pool_resident(&f->pool), 2);
	expect_bytes(test, &f->pool, &s[4], 64, 4);
	bus1_pool_free(&f->pool, &s[2]);
	expect_whole(test, &f->pool);
	KUNIT_EXPECT_EQ(test, alloc(test, 6, PAGE_SIZE)->offset,
			s[0].offset + s[0].size);
}

/* The page between two slices belongs to the one that dies last. */
static void slices_that_die_at_once_leave_no_page(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct bus1_slice *s = f->slices;
	u64 size = PAGE_SIZE + PAGE_SIZE / 2;

	alloc(test, 0, BUS1_POOL_CACHE);
	alloc(test, 1, size);
	alloc(test, 2, size);
	KUNIT_ASSERT_EQ(test, fill(test, &s[1], size, 1), 0);
	KUNIT_ASSERT_EQ(test, fill(test, &s[2], size, 2), 0);
	KUNIT_EXPECT_EQ(test, bus1_pool_resident(&f->pool), 3);

	KUNIT_EXPECT_TRUE(test, bus1_pool_retire(&f->pool, &s[1]));
	KUNIT_EXPECT_TRUE(test, bus1_pool_retire(&f->pool, &s[2]));
	bus1_pool_punch(&f->pool, &s[1]);
	bus1_pool_punch(&f->pool, &s[2]);
	KUNIT_EXPECT_EQ(test, bus1_pool_resident(&f->pool), 0);
	bus1_pool_free(&f->pool, &s[1]);
	bus1_pool_free(&f->pool, &s[2]);
	expect_whole(test, &f->pool);
}

/* Somebody who can still read the page must not see the next message. */
static void a_pinned_page_leaves_the_cache(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct bus1_slice *slice = alloc(test, 0, 4 * PAGE_SIZE);
	struct folio *folio;

	KUNIT_ASSERT_EQ(test, fill(test, slice, 4 * PAGE_SIZE, 0), 0);
	folio = filemap_get_folio(f->pool.file->f_mapping, 2);
	KUNIT_ASSERT_FALSE(test, IS_ERR(folio));
	KUNIT_EXPECT_TRUE(test, bus1_pool_retire(&f->pool, slice));
	bus1_pool_punch(&f->pool, slice);
	bus1_pool_free(&f->pool, slice);
	KUNIT_EXPECT_EQ(test, peek(&f->pool, 2 * PAGE_SIZE), -1);
	KUNIT_EXPECT_EQ(test, bus1_pool_resident(&f->pool), 3);
	folio_put(folio);
}

static void a_punched_page_comes_back_zeroed(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct bus1_slice *slice;

	alloc(test, 0, BUS1_POOL_CACHE);
	slice = alloc(test, 1, PAGE_SIZE);
	KUNIT_ASSERT_EQ(test, fill(test, slice, PAGE_SIZE, 255), 0);
	release(&f->pool, slice);
	slice = alloc(test, 1, PAGE_SIZE);
	KUNIT_ASSERT_EQ(test, slice->offset, BUS1_POOL_CACHE);
	KUNIT_ASSERT_EQ(test, fill(test, slice, 1, 1), 0);
	KUNIT_EXPECT_EQ(test, peek(&f->pool, slice->offset), byte_at(0, 1));
	KUNIT_EXPECT_EQ(test, peek(&f->pool, slice->offset + 1), 0);
	KUNIT_EXPECT_EQ(test, peek(&f->pool, slice->offset + PAGE_SIZE - 1), 0);
}

static void truncating_takes_all_pages(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct bus1_slice *slice = alloc(test, 0, 40 * PAGE_SIZE);

	KUNIT_ASSERT_EQ(test, fill(test, slice, 40 * PAGE_SIZE, 5), 0);
	KUNIT_EXPECT_EQ(test, bus1_pool_resident(&f->pool), 40);
	bus1_pool_truncate(&f->pool);
	KUNIT_EXPECT_EQ(test, bus1_pool_resident(&f->pool), 0);
}

/* Without slices, at most the pages of the cache are left, whatever went before. */
static void expect_resident(struct kunit *test, struct fixture *f)
{
	unsigned long pages = 0, i;
	u64 first, last, next = N_CACHE;
	struct bus1_slice *slice;

	list_for_each_entry(slice, &f->pool.slices, entry) {
		if (!slice->size)
			continue;
		first = max(slice->offset / PAGE_SIZE, next);
		last = DIV_ROUND_UP(slice->offset + slice->size, PAGE_SIZE);
		pages += last > first ? last - first : 0;
		next = max(next, last);
	}
	for (i = 0; i < N_CACHE; i++)
		pages += peek(&f->pool, i * PAGE_SIZE) != -1;
	KUNIT_ASSERT_EQ(test, bus1_pool_resident(&f->pool), pages);
}

static void random_releases_leave_no_page_behind(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct bus1_slice *slice;
	struct rnd_state rnd;
	unsigned int i, size;

	prandom_seed_state(&rnd, 4);
	for (i = 0; i < 3000; i++) {
		slice = &f->slices[prandom_u32_state(&rnd) % N_SLICES];
		size = prandom_u32_state(&rnd) % (i % 2 ? 1000 : 20000);
		if (slice->size)
			release(&f->pool, slice);
		else
			KUNIT_ASSERT_EQ(test, fill(test, alloc(test, slice - f->slices,
							       size + 1),
						   size + 1, 0), 0);
		expect_whole(test, &f->pool);
		expect_resident(test, f);
		cond_resched();
	}
	for (i = 0; i < N_SLICES; i++)
		if (f->slices[i].size)
			release(&f->pool, &f->slices[i]);
	expect_quiet(test, &f->pool);
	KUNIT_EXPECT_LE(test, bus1_pool_resident(&f->pool), N_CACHE);
}

static int pool_init(struct kunit *test)
{
	struct fixture *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, f);
	bus1_pool_init(&f->pool);
	KUNIT_ASSERT_EQ(test, bus1_pool_prepare(&f->pool), 0);
	test->priv = f;
	return 0;
}

static void pool_exit(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned int i;

	if (!f)
		return;
	for (i = 0; i < N_SLICES; i++)
		if (f->slices[i].size)
			release(&f->pool, &f->slices[i]);
	expect_quiet(test, &f->pool);
	bus1_pool_deinit(&f->pool);
}

static struct kunit_case pool_cases[] = {
	KUNIT_CASE(slices_are_aligned_and_adjacent),
	KUNIT_CASE(an_empty_slice_has_an_offset_of_its_own),
	KUNIT_CASE(gaps_merge_on_both_sides),
	KUNIT_CASE(the_best_gap_is_taken),
	KUNIT_CASE(a_full_pool_is_exfull),
	KUNIT_CASE(random_slices_agree_with_a_map),
	KUNIT_CASE(only_published_slices_are_found),
	KUNIT_CASE(an_unused_pool_has_no_pages),
	KUNIT_CASE(the_file_is_made_once),
	KUNIT_CASE(what_is_filled_is_there),
	KUNIT_CASE(a_part_is_filled_across_pages),
	KUNIT_CASE(writing_gathers_and_advances),
	KUNIT_CASE(slices_are_copied_between_pools),
	KUNIT_CASE(the_cache_stays_and_the_rest_goes),
	KUNIT_CASE(a_shared_page_goes_with_its_last_slice),
	KUNIT_CASE(retiring_takes_the_pages_that_nobody_else_uses),
	KUNIT_CASE(slices_that_die_at_once_leave_no_page),
	KUNIT_CASE(a_pinned_page_leaves_the_cache),
	KUNIT_CASE(a_punched_page_comes_back_zeroed),
	KUNIT_CASE(truncating_takes_all_pages),
	KUNIT_CASE(random_releases_leave_no_page_behind),
	{}
};

static struct kunit_suite pool_suite = {
	.name = "bus1_pool",
	.init = pool_init,
	.exit = pool_exit,
	.test_cases = pool_cases,
};
kunit_test_suite(pool_suite);

MODULE_LICENSE("GPL");
