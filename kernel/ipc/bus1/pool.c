// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: one peer's receive memory
 */

/**
 * DOC: pool
 *
 * A pool is a sparse shmem file that its peer can map, read-only. Senders write
 * what is too large for a message object into slices of it, through the page cache.
 * Receivers do so with small messages that have no other place. Nobody writes through a
 * file or a mapping. shmem gives what a private allocator would have to
 * reinvent: swap, accounting to a memory cgroup, and pages that can be taken
 * away from under whoever mapped them.
 *
 * Where slices lie is decided by best fit over the gaps between them. A gap is
 * kept in the slice before it, so that allocating and freeing a slice needs no
 * memory. Both take O(log n) steps. The gap behind the last slice is by far the
 * largest. It is found by its position, so a quiet pool has no tree to keep.
 *
 * The writer allocates the pages, in the receiver's memory cgroup, and they are zeroed
 * then. A page that no slice overlaps any more is punched out of the file, unless it
 * lies in the first BUS1_POOL_CACHE bytes, which stay as a cache. Even there it is
 * punched if somebody (vmsplice, a direct write) still pins it: reusing such a page
 * would show them the next message. There are no huge pages, see bus1_pool_mount().
 *
 * Punching sleeps, so it cannot happen under the peer's lock, and a page that is
 * about to be punched must not be given out meanwhile. So a slice that dies becomes
 * the whole pages that only it uses, the gaps in them included (bus1_pool_retire());
 * then these are punched; then it is freed. A page that others use as well is left to
 * them immediately, so the last of them finds itself alone in it.
 */

#include <linux/bug.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/huge_mm.h>
#include <linux/mm.h>
#include <linux/mount.h>
#include <linux/pagemap.h>
#include <linux/personality.h>
#include <linux/sched.h>
#include <linux/shmem_fs.h>
#include <linux/uaccess.h>
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
 * The pages are freed immediately, even if somebody still maps them. Sleeps.
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
 * @pool:	pool with a file, from which nobody can allocate a slice meanwhile
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
 * Mappings refer to the shmem file itself. remap_file_pages() would map it again,
 * writable, and /proc/PID/map_files would open or truncate it. So all its operations
 * refuse.
 */
static const struct file_operations pool_file_ops = {
	.open = refuse_open,
	.mmap = refuse_mmap,
};

static const struct inode_operations pool_inode_ops = {
	.setattr = refuse_setattr,
};

/* The files of all pools are on a tmpfs of their own, without huge pages. */
static struct vfsmount *pool_mount __ro_after_init;

/**
 * bus1_pool_mount() - mount the file system that the files of pools are on
 *
 * The pages of a pool are given back one by one, and whoever pins one must not pin
 * another message with it. So these files do not follow the setting for internal files
 * of shmem, which may ask for huge pages.
 */
void __init bus1_pool_mount(void)
{
	struct file_system_type *type = get_fs_type("tmpfs");

	if (type)
		pool_mount = vfs_kern_mount(type, SB_KERNMOUNT, "bus1", NULL);
	if (IS_ERR_OR_NULL(pool_mount)) {
		pr_err("bus1: no file system for receive pools, only small messages work\n");
		pool_mount = NULL;
	}
}

/**
 * bus1_pool_prepare() - make sure that a pool has its file
 * @pool:	pool
 *
 * Return: 0 or -ENOMEM.
 */
int bus1_pool_prepare(struct bus1_pool *pool)
{
	struct file *file;

	if (likely(smp_load_acquire(&pool->file)))
		return 0;

	if (unlikely(!pool_mount))
		return -ENOMEM;
	file = shmem_file_setup_with_mnt(pool_mount, "bus1", BUS1_POOL_SIZE,
					 VM_NORESERVE);
	/* The system may have no more files. Callers, who open none, get -ENOMEM. */
	if (IS_ERR(file))
		return -ENOMEM;
	/* As for all files of shmem that are internal to the kernel. */
	file_inode(file)->i_flags |= S_PRIVATE;
	file->f_op = &pool_file_ops;
	file_inode(file)->i_fop = &pool_file_ops;
	file_inode(file)->i_op = &pool_inode_ops;
	/* Pairs with the smp_load_acquire() above: the file is complete. */
	if (cmpxchg_release(&pool->file, NULL, file))
		fput(file);
	return 0;
}

/*
 * Reading where there is no page raises SIGBUS and allocates nothing: only messages
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
 * @vma:	mapping to be made; shared, and for reading only
 *
 * The mapping refers to the shmem file, not to the peer. A peer that is mapped can be
 * closed, and then what was mapped is gone.
 *
 * Return: 0, -EPERM if @vma is writable or executable, -EINVAL if it is private.
 */
int bus1_pool_mmap(struct file *file, struct vm_area_struct *vma)
{
	/* A personality that adds PROT_EXEC to each mapping did not ask for it. */
	if (current->personality & READ_IMPLIES_EXEC)
		vm_flags_clear(vma, VM_EXEC);
	if (vma->vm_flags & (VM_WRITE | VM_EXEC))
		return -EPERM;
	if (!(vma->vm_flags & VM_MAYSHARE))
		return -EINVAL;

	/* Messages do not belong in core dumps. To map more, make another mapping. */
	vm_flags_mod(vma, VM_DONTDUMP | VM_DONTEXPAND, VM_MAYWRITE | VM_MAYEXEC);
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

/* One pass of reclaim and no OOM kill: the cgroup that is full is the receiver's. */
static struct folio *add_page_at(struct bus1_pool *pool, u64 offset)
{
	return shmem_read_folio_gfp(pool->file->f_mapping, offset >> PAGE_SHIFT,
				    GFP_HIGHUSER_MOVABLE | __GFP_NORETRY |
				    __GFP_NOWARN);
}

/* Get the page at @offset, a new one if there is none. */
static struct folio *get_page_at(struct bus1_pool *pool, u64 offset)
{
	struct folio *folio;

	folio = filemap_get_folio(pool->file->f_mapping, offset >> PAGE_SHIFT);
	if (!IS_ERR(folio) && unlikely(folio_contain_hwpoisoned_page(folio))) {
		folio_put(folio);
		return ERR_PTR(-EIO);
	}
	if (!IS_ERR(folio)) {
		if (likely(folio_test_uptodate(folio)))
			return folio;
		folio_put(folio);
	}
	return add_page_at(pool, offset);
}

/*
 * Returns a page that is there and that nobody uses at the moment, locked; else NULL.
 * This is filemap_lock_folio() without the rare cases, in which it returns NULL.
 */
static __always_inline struct folio *trylock_page_at(struct bus1_pool *pool,
						     u64 offset)
{
	struct address_space *mapping = pool->file->f_mapping;
	struct folio *folio;

	rcu_read_lock();
	folio = xa_load(&mapping->i_pages, offset >> PAGE_SHIFT);
	if (!folio || xa_is_value(folio) || !folio_try_get(folio))
		folio = NULL;
	rcu_read_unlock();
	if (!folio)
		return NULL;
	if (likely(folio_trylock(folio))) {
		/* It may have been freed, and used elsewhere, before we got it. */
		if (likely(folio->mapping == mapping &&
			   folio->index == offset >> PAGE_SHIFT &&
			   folio_test_uptodate(folio) &&
			   !folio_test_large(folio) && !folio_test_hwpoison(folio)))
			return folio;
		folio_unlock(folio);
	}
	folio_put(folio);
	return NULL;
}

/*
 * An administrator can force shmem to use huge pages everywhere. They are split when they
 * are first written to, which fails if somebody pins them.
 */
static int check_page(struct folio *folio)
{
	if (unlikely(folio_contain_hwpoisoned_page(folio)))
		return -EIO;
	if (unlikely(folio_test_large(folio)))
		return split_folio(folio) ? -ENOMEM : -EAGAIN;
	return folio_test_uptodate(folio) ? 0 : -EAGAIN;
}

/*
 * Returns the page at @offset, locked: migration copies a page, and expects that nobody
 * begins to use it without finding it in the page cache and locking it.
 */
static struct folio *lock_page_at(struct bus1_pool *pool, u64 offset)
{
	struct folio *folio = trylock_page_at(pool, offset);
	int err;

	while (unlikely(!folio)) {
		folio = filemap_lock_folio(pool->file->f_mapping,
					   offset >> PAGE_SHIFT);
		if (!IS_ERR(folio)) {
			err = check_page(folio);
			if (!err)
				break;
			folio_unlock(folio);
			folio_put(folio);
			if (err != -EAGAIN)
				return ERR_PTR(err);
		}
		folio = add_page_at(pool, offset);
		if (IS_ERR(folio))
			return folio;
		folio_put(folio);
		folio = NULL;
	}
	return folio;
}

/* Mappings show what was written, and may have other cache lines. */
static void unlock_page_at(struct folio *folio)
{
	flush_dcache_folio(folio);
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
 * as long as there are none.
 *
 * Return: 0, -EIO if a page cannot be read back, -ENOMEM.
 */
int bus1_pool_check(struct bus1_pool *pool, const struct bus1_slice *slice)
{
	struct folio *folio;
	u64 at;

	if (likely(!READ_ONCE(SHMEM_I(file_inode(pool->file))->swapped)))
		return 0;
	for (at = round_down(slice->offset, PAGE_SIZE); at < bus1_slice_end(slice);
	     at += PAGE_SIZE) {
		folio = get_page_at(pool, at);
		if (IS_ERR(folio))
			return PTR_ERR(folio);
		folio_put(folio);
	}
	return 0;
}

/* Most payloads are one piece of user memory, which needs no walk. */
static size_t copy_in(struct folio *folio, u64 offset, size_t n,
		      struct iov_iter *iter)
{
	size_t at = offset_in_folio(folio, offset), left;
	void *to;

	if (!iter_is_ubuf(iter))
		return copy_folio_from_iter_atomic(folio, at, n, iter);

	to = kmap_local_folio(folio, at);
	pagefault_disable();
	left = __copy_from_user_inatomic(to, iter_iov_addr(iter), n);
	pagefault_enable();
	kunmap_local(to);
	if (n - left < iov_iter_count(iter))
		iov_iter_advance(iter, n - left);
	return n - left;
}

/**
 * bus1_pool_write() - write into an allocated slice
 * @pool:	pool
 * @slice:	slice that belongs to the caller
 * @iter:	what to write; user memory is read without faulting pages in. Where it
 *		stands afterwards is undefined
 *
 * Return: 0; -EFAULT if a page of @iter is not in memory; or the error with which
 * a page of the pool could not be had.
 */
int bus1_pool_write(struct bus1_pool *pool, const struct bus1_slice *slice,
		    struct iov_iter *iter)
{
	size_t n, done, left = iov_iter_count(iter);
	u64 offset = slice->offset;

	if (WARN_ON_ONCE(left > slice->size))
		return -EMSGSIZE;

	for (; left; left -= n, offset += n) {
		struct folio *folio = lock_page_at(pool, offset);

		if (IS_ERR(folio))
			return PTR_ERR(folio);
		n = min(PAGE_SIZE - offset_in_page(offset), left);
		done = copy_in(folio, offset, n, iter);
		unlock_page_at(folio);
		if (done < n)
			return -EFAULT;
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
 *
 * Return: 0; or the error with which a page could not be had.
 */
int bus1_pool_fill(struct bus1_pool *pool, const struct bus1_slice *slice,
		   u64 at, const void *data, size_t n_data)
{
	u64 offset = slice->offset + at;

	if (WARN_ON_ONCE(at + n_data > slice->size))
		return -EMSGSIZE;

	while (n_data) {
		size_t in_page = offset_in_page(offset);
		size_t n = min(PAGE_SIZE - in_page, n_data);
		struct folio *folio = lock_page_at(pool, offset);

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
 *
 * Return: 0; or the error with which a page could not be had.
 */
int bus1_pool_copy(struct bus1_pool *to, const struct bus1_slice *to_slice,
		   struct bus1_pool *from, const struct bus1_slice *from_slice,
		   u64 n)
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
				     data + offset_in_page(offset), part);
		kunmap_local(data);
		folio_put(folio);
		if (err)
			return err;
	}
	return 0;
}
