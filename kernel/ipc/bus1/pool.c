// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: one peer's receive memory
 */

/**
 * DOC: pool
 *
 * A pool is a sparse shmem file that its peer can map, read-only. Senders write
 * payload into slices of it through the page cache; nobody writes through a
 * file or a mapping. shmem gives what a private allocator would have to
 * reinvent: swap, accounting to a memory cgroup, and pages that can be taken
 * away from under whoever mapped them.
 *
 * Where slices lie is decided by best fit over the gaps between them. A gap is
 * kept in the slice before it, so that allocating and freeing a slice needs no
 * memory. Both take O(log n) steps. What lies behind the last slice is by far the
 * largest gap; it is found by its position, and a quiet pool has no tree to keep.
 *
 * Pages are allocated by senders, in the receiver's memory cgroup, and are zeroed
 * then. A page that no slice overlaps any more is punched out of the file, except
 * the first BUS1_POOL_CACHE bytes, which stay as a cache, and unless somebody
 * (vmsplice, a direct write) still pins the page: reusing that one would show
 * them the next message.
 *
 * Punching sleeps, so it cannot happen under the peer's lock, and a page that is
 * about to be punched must not be given out meanwhile. So a slice that dies is
 * first grown over the gaps beside it to whole pages (bus1_pool_retire), which
 * makes it the only user of these; then they are punched; then it is freed.
 */

#include <linux/bug.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/shmem_fs.h>
#include <linux/uio.h>

#include "limits.h"
#include "pool.h"

/**
 * bus1_pool_init() - initialize a pool without pages
 * @pool:	pool
 */
void bus1_pool_init(struct bus1_pool *pool)
{
	memset(pool, 0, sizeof(*pool));
	INIT_LIST_HEAD(&pool->slices);
	pool->gaps = RB_ROOT;
	pool->published = RB_ROOT;
	pool->head.gap = BUS1_POOL_SIZE;
	list_add(&pool->head.entry, &pool->slices);
}

/**
 * bus1_pool_deinit() - free a pool
 * @pool:	pool in which all slices are freed
 */
void bus1_pool_deinit(struct bus1_pool *pool)
{
	WARN_ON_ONCE(!list_is_singular(&pool->slices));
	bus1_pool_put_file(pool->file);
}

/**
 * bus1_pool_detach() - take the file off a pool that gets no more slices
 * @pool:	pool
 *
 * Return: the file for bus1_pool_put_file(), or NULL if there is none, or slices
 * are left in it.
 */
struct file *bus1_pool_detach(struct bus1_pool *pool)
{
	struct file *file = pool->file;

	if (!list_is_singular(&pool->slices))
		return NULL;
	pool->file = NULL;
	return file;
}

/**
 * bus1_pool_put_file() - put a file that was taken off its pool
 * @file:	file, or NULL
 *
 * The pages go at once, also where somebody still maps them. Sleeps.
 */
void bus1_pool_put_file(struct file *file)
{
	if (!file)
		return;
	shmem_truncate_range(file_inode(file), 0, -1);
	fput(file);
}

/**
 * bus1_pool_truncate() - give all pages back to the system
 * @pool:	pool with a file, of which nobody can allocate a slice meanwhile
 *
 * Mappings lose what they showed. Sleeps.
 */
void bus1_pool_truncate(struct bus1_pool *pool)
{
	shmem_truncate_range(file_inode(pool->file), 0, -1);
}

static int refuse_open(struct inode *inode, struct file *file)
{
	return -EPERM;
}

static int refuse_mmap(struct file *file, struct vm_area_struct *vma)
{
	return -EPERM;
}

static int refuse_setattr(struct mnt_idmap *idmap, struct dentry *dentry,
			  struct iattr *attr)
{
	return -EPERM;
}

/*
 * What mappings refer to is the shmem file itself. remap_file_pages() would map
 * that one again, writable, and /proc/PID/map_files would open or truncate it; so
 * all that its operations do is to refuse.
 */
static const struct file_operations pool_file_ops = {
	.open = refuse_open,
	.mmap = refuse_mmap,
};

static const struct inode_operations pool_inode_ops = {
	.setattr = refuse_setattr,
};

/**
 * bus1_pool_prepare() - make sure that a pool has its file
 * @pool:	pool
 *
 * Return: 0, or a negative errno.
 */
int bus1_pool_prepare(struct bus1_pool *pool)
{
	struct file *file;

	if (likely(smp_load_acquire(&pool->file)))
		return 0;

	file = shmem_kernel_file_setup("bus1", BUS1_POOL_SIZE, VM_NORESERVE);
	if (IS_ERR(file))
		return PTR_ERR(file);
	file->f_op = &pool_file_ops;
	file_inode(file)->i_fop = &pool_file_ops;
	file_inode(file)->i_op = &pool_inode_ops;
	/* Pairs with the smp_load_acquire() above: the file is complete. */
	if (cmpxchg_release(&pool->file, NULL, file))
		fput(file);
	return 0;
}

/*
 * Reading where there is no page is SIGBUS and allocates nothing: only senders
 * add pages, and what they add is charged.
 */
static vm_fault_t pool_fault(struct vm_fault *vmf)
{
	struct inode *inode = file_inode(vmf->vma->vm_file);
	struct folio *folio = NULL;
	int err;

	if (vmf->pgoff >= BUS1_POOL_SIZE >> PAGE_SHIFT)
		return VM_FAULT_SIGBUS;
	err = shmem_get_folio(inode, vmf->pgoff, 0, &folio, SGP_READ);
	if (err)
		return vmf_error(err);
	if (!folio)
		return VM_FAULT_SIGBUS;
	vmf->page = folio_file_page(folio, vmf->pgoff);
	return VM_FAULT_LOCKED;
}

static const struct vm_operations_struct pool_vm_ops = {
	.fault = pool_fault,
	.map_pages = filemap_map_pages,
};

/**
 * bus1_pool_mmap() - map a pool
 * @file:	the pool's file
 * @vma:	mapping to be; shared, to be read and nothing else
 *
 * The mapping refers to the shmem file, not to the peer: a peer that is mapped
 * can be closed, and what was mapped is then gone.
 *
 * Return: 0, -EPERM if @vma is writable or executable, -EINVAL if it is private.
 */
int bus1_pool_mmap(struct file *file, struct vm_area_struct *vma)
{
	if (vma->vm_flags & (VM_WRITE | VM_EXEC))
		return -EPERM;
	if (!(vma->vm_flags & VM_MAYSHARE))
		return -EINVAL;

	vm_flags_clear(vma, VM_MAYWRITE | VM_MAYEXEC);
	vma_set_file(vma, file);
	vma->vm_ops = &pool_vm_ops;
	return 0;
}

/**
 * bus1_pool_resident() - tell how much memory a pool takes
 * @pool:	pool
 *
 * Return: number of pages in memory.
 */
unsigned long bus1_pool_resident(const struct bus1_pool *pool)
{
	return pool->file ? READ_ONCE(pool->file->f_mapping->nrpages) : 0;
}

static u64 slice_end(const struct bus1_slice *slice)
{
	return slice->offset + slice->size;
}

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

/* The smallest gap that is large enough; of equal ones the lowest. */
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
 * @size:	its size; one of 0 bytes has an offset of its own all the same
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
	slice->offset = slice_end(prev);
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
 * bus1_pool_shrink() - give back the end of a slice
 * @pool:	pool
 * @slice:	allocated slice, of whose end no page was ever written
 * @size:	how much is needed of it
 */
void bus1_pool_shrink(struct bus1_pool *pool, struct bus1_slice *slice,
		      u64 size)
{
	u64 less;

	size = ALIGN(max_t(u64, size, 1), BUS1_POOL_ALIGN);
	less = slice->size - size;
	if (!less)
		return;
	slice->size = size;
	set_gap(pool, slice, slice->gap + less);
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

static bool page_is_pinned(struct address_space *mapping, pgoff_t index)
{
	struct folio *folio;
	bool pinned = false;
	int expected;

	rcu_read_lock();
	folio = xa_load(&mapping->i_pages, index);
	if (folio && !xa_is_value(folio)) {
		/* A page that is not on its LRU yet is held by a batch. */
		expected = 1 + folio_mapcount(folio) + !folio_test_lru(folio);
		pinned = folio_ref_count(folio) > expected;
	}
	rcu_read_unlock();
	return pinned;
}

/**
 * bus1_pool_retire() - prepare a slice to be freed
 * @pool:	pool
 * @slice:	allocated slice; grows over the free bytes of its pages if some
 *		of these pages have to be punched
 *
 * Return: true if bus1_pool_punch() is to be called before bus1_pool_free(),
 * and without the lock that serialises access to @pool.
 */
bool bus1_pool_retire(struct bus1_pool *pool, struct bus1_slice *slice)
{
	struct bus1_slice *prev = list_prev_entry(slice, entry);
	u64 floor = slice_end(prev), ceiling = slice_end(slice) + slice->gap;
	u64 start = max(round_down(slice->offset, PAGE_SIZE), floor);
	u64 end = min(round_up(slice_end(slice), PAGE_SIZE), ceiling);
	u64 first = round_up(start, PAGE_SIZE);
	u64 last = round_down(end, PAGE_SIZE);
	bool punch = last > BUS1_POOL_CACHE;
	u64 at;

	if (slice->published)
		bus1_pool_unpublish(pool, slice);
	if (first >= last || !pool->file)
		return false;
	for (at = first; !punch && at < last; at += PAGE_SIZE)
		punch = page_is_pinned(pool->file->f_mapping, at >> PAGE_SHIFT);
	if (!punch)
		return false;

	/* The end first: it moves the gap of @slice, the start that of @prev. */
	set_gap(pool, slice, ceiling - end);
	slice->size = end - slice->offset;
	if (start < slice->offset)
		set_gap(pool, prev, start - floor);
	slice->size += slice->offset - start;
	slice->offset = start;
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
	u64 last = round_down(slice_end(slice), PAGE_SIZE);

	might_sleep();
	for (; at < last && at < BUS1_POOL_CACHE; at += PAGE_SIZE)
		if (page_is_pinned(mapping, at >> PAGE_SHIFT))
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

/* One pass of reclaim, no OOM kill: a full cgroup is the receiver's. */
static struct folio *add_page_at(struct bus1_pool *pool, u64 offset)
{
	return shmem_read_folio_gfp(pool->file->f_mapping, offset >> PAGE_SHIFT,
				    GFP_HIGHUSER | __GFP_NORETRY |
				    __GFP_NOWARN);
}

/* Get the page at @offset: the one that is there, or a new one. */
static struct folio *get_page_at(struct bus1_pool *pool, u64 offset)
{
	struct folio *folio;

	folio = filemap_get_folio(pool->file->f_mapping, offset >> PAGE_SHIFT);
	if (!IS_ERR(folio)) {
		if (likely(folio_test_uptodate(folio)))
			return folio;
		folio_put(folio);
	}
	return add_page_at(pool, offset);
}

/*
 * The same, locked: migration copies a page and then expects that only who finds
 * it in the page cache, and locks it, can begin to use it. Without @add one that is
 * not there is -ENODATA.
 */
static struct folio *lock_page_at(struct bus1_pool *pool, u64 offset, bool add)
{
	struct folio *folio;

	for (;;) {
		folio = filemap_lock_folio(pool->file->f_mapping,
					   offset >> PAGE_SHIFT);
		if (!IS_ERR(folio)) {
			if (likely(folio_test_uptodate(folio)))
				return folio;
			folio_unlock(folio);
			folio_put(folio);
		}
		if (!add)
			return ERR_PTR(-ENODATA);
		folio = add_page_at(pool, offset);
		if (IS_ERR(folio))
			return folio;
		folio_put(folio);
	}
}

static void unlock_page_at(struct folio *folio)
{
	if (!folio_test_dirty(folio))
		folio_mark_dirty(folio);
	folio_unlock(folio);
	folio_put(folio);
}

/**
 * bus1_pool_check() - check that a slice can be read
 * @pool:	pool
 * @slice:	allocated and filled slice
 *
 * Only pages that were swapped out can have been lost, so this costs nothing
 * while there are none.
 *
 * Return: 0, -EIO if a page cannot be read back, -ENOMEM.
 */
int bus1_pool_check(struct bus1_pool *pool, const struct bus1_slice *slice)
{
	struct folio *folio;
	u64 at;

	if (likely(!READ_ONCE(SHMEM_I(file_inode(pool->file))->swapped)))
		return 0;
	for (at = round_down(slice->offset, PAGE_SIZE); at < slice_end(slice);
	     at += PAGE_SIZE) {
		folio = get_page_at(pool, at);
		if (IS_ERR(folio))
			return PTR_ERR(folio);
		folio_put(folio);
	}
	return 0;
}

/**
 * bus1_pool_write() - write into an allocated slice
 * @pool:	pool
 * @slice:	slice that belongs to the caller
 * @iter:	what to write; user memory is read without faulting pages in. It
 *		is advanced by what was written, also on failure.
 * @add:	whether to allocate pages that are not there
 *
 * Return: 0; -EFAULT if a page of @iter is not in memory; -ENODATA if a page of the
 * pool is missing and not to be added; or the error with which it could not be had.
 */
int bus1_pool_write(struct bus1_pool *pool, const struct bus1_slice *slice,
		    struct iov_iter *iter, bool add)
{
	u64 offset = slice->offset;

	if (WARN_ON_ONCE(iov_iter_count(iter) > slice->size))
		return -EMSGSIZE;

	while (iov_iter_count(iter)) {
		size_t in_page = offset_in_page(offset);
		size_t n = min(PAGE_SIZE - in_page, iov_iter_count(iter));
		struct folio *folio = lock_page_at(pool, offset, add);
		size_t done;

		if (IS_ERR(folio))
			return PTR_ERR(folio);
		done = copy_page_from_iter_atomic(folio_file_page(folio,
						  offset >> PAGE_SHIFT),
						  in_page, n, iter);
		unlock_page_at(folio);
		if (done < n)
			return -EFAULT;
		offset += n;
	}
	return 0;
}

/**
 * bus1_pool_fill() - write kernel memory into an allocated slice
 * @pool:	pool
 * @slice:	slice that belongs to the caller
 * @at:		where in @slice to begin
 * @data:	what to write
 * @n_data:	how many bytes
 * @add:	whether to allocate pages that are not there
 *
 * Return: 0; -ENODATA if a page is missing and not to be added; or the error with
 * which it could not be had.
 */
int bus1_pool_fill(struct bus1_pool *pool, const struct bus1_slice *slice,
		   u64 at, const void *data, size_t n_data, bool add)
{
	u64 offset = slice->offset + at;

	if (WARN_ON_ONCE(at + n_data > slice->size))
		return -EMSGSIZE;

	while (n_data) {
		size_t in_page = offset_in_page(offset);
		size_t n = min(PAGE_SIZE - in_page, n_data);
		struct folio *folio = lock_page_at(pool, offset, add);

		if (IS_ERR(folio))
			return PTR_ERR(folio);
		memcpy_to_page(folio_file_page(folio, offset >> PAGE_SHIFT),
			       in_page, data, n);
		unlock_page_at(folio);
		offset += n;
		data += n;
		n_data -= n;
	}
	return 0;
}

/**
 * bus1_pool_copy() - copy from one allocated slice to another
 * @to:		pool of @to_slice
 * @to_slice:	slice that belongs to the caller
 * @from:	pool of @from_slice
 * @from_slice:	slice that belongs to the caller
 * @n:		how many bytes
 * @add:	whether to allocate pages that are not there
 *
 * Return: 0; -ENODATA if a page is missing and not to be added; or the error with
 * which one could not be had.
 */
int bus1_pool_copy(struct bus1_pool *to, const struct bus1_slice *to_slice,
		   struct bus1_pool *from, const struct bus1_slice *from_slice,
		   u64 n, bool add)
{
	u64 at, part;

	for (at = 0; at < n; at += part) {
		u64 offset = from_slice->offset + at;
		struct folio *folio = get_page_at(from, offset);
		struct page *page;
		void *data;
		int err;

		if (IS_ERR(folio))
			return PTR_ERR(folio);
		part = min(n - at, PAGE_SIZE - offset_in_page(offset));
		page = folio_file_page(folio, offset >> PAGE_SHIFT);
		data = kmap_local_page(page);
		err = bus1_pool_fill(to, to_slice, at,
				     data + offset_in_page(offset), part, add);
		kunmap_local(data);
		folio_put(folio);
		if (err)
			return err;
	}
	return 0;
}
