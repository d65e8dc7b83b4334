// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: system calls on peers, handles and slices
 *
 * This is copying in and out, flags and sizes, and nothing else. Where several errors
 * apply, EBADF comes first, then EINVAL, E2BIG, EFAULT and EMSGSIZE, then ESHUTDOWN, then
 * what names cause, then what charges cause.
 */

#include <linux/build_bug.h>
#include <linux/compat.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/slab.h>
#include <linux/syscalls.h>
#include <linux/time_namespace.h>
#include <linux/uaccess.h>
#include <linux/uio.h>

#include "syscalls.h"
#include "destroy.h"
#include "file.h"
#include "limits.h"
#include "teardown.h"
#include "transfer.h"

static_assert(sizeof(struct bus1_peer_limits) == BUS1_PEER_LIMITS_SIZE_VER0);
static_assert(sizeof(struct bus1_peer_info) == BUS1_PEER_INFO_SIZE_VER0);

static int copy_limits(struct bus1_peer_limits *to,
		       const struct bus1_peer_limits __user *from, size_t size)
{
	int err = bus1_args_copy(to, sizeof(*to), BUS1_PEER_LIMITS_SIZE_VER0,
				 from, size);

	return err ?: bus1_peer_check_limits(to);
}

/**
 * sys_bus1_open() - open a peer
 * @limits:	its limits, or NULL for the defaults
 * @size:	size of @limits, or 0
 * @flags:	BUS1_OPEN_*
 *
 * Return: a file descriptor, which is close-on-exec. -EINVAL: unknown flags, a
 * size below version 0, or a limit above INT_MAX. -E2BIG, -EFAULT: @limits.
 * -ENOSPC: the user has too many peers, or no room left for these limits. -EMFILE,
 * -ENFILE: too many open files. -ENOMEM.
 */
SYSCALL_DEFINE3(bus1_open, const struct bus1_peer_limits __user *, limits,
		size_t, size, unsigned int, flags)
{
	struct bus1_peer_limits copy;
	struct bus1_peer *peer;
	int ret;

	if (flags & ~BUS1_OPEN_FLAGS)
		return -EINVAL;
	if (limits || size) {
		ret = copy_limits(&copy, limits, size);
		if (ret)
			return ret;
	}

	peer = bus1_peer_new(limits ? &copy : NULL);
	if (IS_ERR(peer))
		return PTR_ERR(peer);
	ret = bus1_file_open(peer, flags & BUS1_OPEN_NONBLOCK);
	if (ret < 0)
		bus1_peer_close(peer);
	return ret;
}

/**
 * sys_bus1_peer_disconnect() - disconnect a peer from the bus
 * @fd:		peer
 * @flags:	0
 *
 * Return: 0. -EBADF: not a peer. -EINVAL: unknown flags. -ESHUTDOWN: it is
 * disconnected already.
 */
SYSCALL_DEFINE2(bus1_peer_disconnect, int, fd, unsigned int, flags)
{
	CLASS(fd, f)(fd);
	struct bus1_peer *peer = bus1_args_peer(f);

	if (IS_ERR(peer))
		return PTR_ERR(peer);
	if (flags)
		return -EINVAL;
	return bus1_peer_disconnect(peer);
}

/**
 * sys_bus1_peer_query() - tell the state of a peer
 * @fd:		peer
 * @info:	filled in
 * @size:	size of @info
 * @flags:	0
 *
 * Return: 0. -EBADF: not a peer. -EINVAL: unknown flags, @info unaligned, or
 * @size below version 0. -E2BIG: @size above a page. -EFAULT: @info.
 * -ESHUTDOWN: the peer is disconnected.
 */
SYSCALL_DEFINE4(bus1_peer_query, int, fd, struct bus1_peer_info __user *, info,
		size_t, size, unsigned int, flags)
{
	CLASS(fd, f)(fd);
	struct bus1_peer *peer = bus1_args_peer(f);
	struct bus1_peer_info copy;
	size_t known;
	int err;

	if (IS_ERR(peer))
		return PTR_ERR(peer);
	if (flags || size < BUS1_PEER_INFO_SIZE_VER0 ||
	    !IS_ALIGNED((unsigned long)info, sizeof(u64)))
		return -EINVAL;
	if (size > PAGE_SIZE)
		return -E2BIG;

	err = bus1_peer_query(peer, &copy);
	known = min(size, sizeof(copy));
	if (copy_to_user(info, &copy, known) ||
	    clear_user((void __user *)info + known, size - known))
		return -EFAULT;
	return err;
}

/**
 * sys_bus1_peer_reset() - set limits, empty a peer, adopt it
 * @fd:		peer
 * @limits:	new limits, or NULL to keep them
 * @size:	size of @limits, or 0
 * @flags:	BUS1_RESET_*
 *
 * Return: 0. -EBADF: not a peer. -EINVAL: unknown flags, BUS1_RESET_ADOPT
 * without both flushes, a size below version 0, or a limit above INT_MAX.
 * -E2BIG, -EFAULT: @limits. -ESHUTDOWN: the peer is disconnected. -EBUSY:
 * something is charged to the peer that is to be adopted. -ENOSPC: the peer's user, or
 * the one that adopts it, has no room for the limits, or the latter has too many peers.
 * -ENOMEM.
 */
SYSCALL_DEFINE4(bus1_peer_reset, int, fd,
		const struct bus1_peer_limits __user *, limits, size_t, size,
		unsigned int, flags)
{
	CLASS(fd, f)(fd);
	struct bus1_peer *peer = bus1_args_peer(f);
	struct bus1_peer_limits copy;
	int err;

	if (IS_ERR(peer))
		return PTR_ERR(peer);
	if (flags & ~BUS1_RESET_FLAGS)
		return -EINVAL;
	if ((flags & BUS1_RESET_ADOPT) &&
	    (flags & BUS1_RESET_FLUSH_ALL) != BUS1_RESET_FLUSH_ALL)
		return -EINVAL;
	if (limits || size) {
		err = copy_limits(&copy, limits, size);
		if (err)
			return err;
	}
	return bus1_peer_reset(peer, limits ? &copy : NULL, flags);
}

static int store_ids(struct bus1_transfer *transfer)
{
	u64 __user *to = u64_to_user_ptr(transfer->store_to);
	unsigned long left;

	pagefault_disable();
	if (transfer->n == 1)
		left = __put_user(*transfer->to, to);
	else
		left = __copy_to_user_inatomic(to, transfer->to, transfer->n *
					       sizeof(*transfer->to));
	pagefault_enable();
	return left ? -EFAULT : 0;
}

static __always_inline int transfer_ids(struct bus1_peer *from,
					struct bus1_peer *to,
					struct bus1_transfer *transfer)
{
	size_t size = transfer->n * sizeof(*transfer->to);
	char __user *dst = u64_to_user_ptr(transfer->store_to);
	unsigned int try;
	int err;

	err = bus1_args_check_ids(transfer->from, transfer->n);
	if (err)
		return err;
	if (!access_ok(dst, size))
		return -EFAULT;
	err = bus1_peer_transfer(from, to, transfer);
	for (try = 0; err == -EFAULT && try < BUS1_STORE_TRIES; try++) {
		if (fault_in_safe_writeable(dst, size))
			break;
		err = bus1_peer_transfer(from, to, transfer);
	}
	return err;
}

/* The arrays of @transfer have room for BUS1_FEW IDs. */
static int transfer_many(struct bus1_peer *from, struct bus1_peer *to,
			 struct bus1_transfer *transfer,
			 const __u64 __user *src)
{
	u64 *few_from = transfer->from, *few_to = transfer->to;
	size_t n = transfer->n;
	int err;

	if (n > BUS1_HANDLE_MAX)
		return -EMSGSIZE;
	transfer->from = bus1_args_array(src, n, sizeof(u64), few_from);
	if (IS_ERR(transfer->from))
		return PTR_ERR(transfer->from);
	if (n > BUS1_FEW)
		transfer->to = kvmalloc_array(n, sizeof(u64),
					      GFP_KERNEL_ACCOUNT);
	err = transfer->to ? transfer_ids(from, to, transfer) : -ENOMEM;
	bus1_args_free(transfer->from, few_from);
	bus1_args_free(transfer->to, few_to);
	return err;
}

/**
 * sys_bus1_handle_transfer() - give handles from one peer to another
 * @src_fd:	peer that gives
 * @dst_fd:	peer that takes; may be the same
 * @src:	handles of @src_fd
 * @dst:	filled with the handles of @dst_fd
 * @n:		how many
 * @flags:	0
 *
 * Return: 0. -EBADF: not a peer. -EINVAL: unknown flags, BUS1_HANDLE_FLAG_NEW
 * with an ID that only the kernel may choose, or a reply handle. -EFAULT: @src or
 * @dst. -EMSGSIZE: @n above BUS1_HANDLE_MAX. -ESHUTDOWN: either peer is
 * disconnected. -ENXIO: no such handle. -EEXIST: a node to create exists.
 * -ENOBUFS: either peer may have no more handles. -ENOMEM.
 */
SYSCALL_DEFINE6(bus1_handle_transfer, int, src_fd, int, dst_fd,
		const __u64 __user *, src, __u64 __user *, dst, size_t, n,
		unsigned int, flags)
{
	CLASS(fd, src_f)(src_fd);
	CLASS(fd, dst_f)(dst_fd);
	struct bus1_peer *from = bus1_args_peer(src_f), *to = bus1_args_peer(dst_f);
	u64 few_from[BUS1_FEW] __uninitialized;
	u64 few_to[BUS1_FEW] __uninitialized;
	struct bus1_transfer transfer = {
		.n = n,
		.from = few_from,
		.to = few_to,
		.store = store_ids,
		.store_to = (u64)(unsigned long)dst,
	};

	if (IS_ERR(from) || IS_ERR(to))
		return -EBADF;
	if (flags)
		return -EINVAL;
	if (n != 1)
		return transfer_many(from, to, &transfer, src);
	if (get_user(few_from[0], src))
		return -EFAULT;
	return transfer_ids(from, to, &transfer);
}

typedef int (*ids_fn)(struct bus1_peer *peer, const u64 *ids, size_t n,
		      u32 flags);

static int call_with_ids(int fd, const __u64 __user *user_ids, size_t n,
			 u32 flags, u32 valid_flags, ids_fn fn)
{
	CLASS(fd, f)(fd);
	struct bus1_peer *peer = bus1_args_peer(f);
	u64 few[BUS1_FEW] __uninitialized, *ids;
	int err;

	if (IS_ERR(peer))
		return PTR_ERR(peer);
	if (flags & ~valid_flags)
		return -EINVAL;
	if (n > BUS1_HANDLE_MAX)
		return -EMSGSIZE;
	ids = bus1_args_array(user_ids, n, sizeof(u64), few);
	if (IS_ERR(ids))
		return PTR_ERR(ids);
	err = fn(peer, ids, n, flags);
	bus1_args_free(ids, few);
	return err;
}

static int release_one(int fd, const __u64 __user *handle)
{
	CLASS(fd, f)(fd);
	struct bus1_peer *peer = bus1_args_peer(f);
	u64 id;

	if (IS_ERR(peer))
		return PTR_ERR(peer);
	if (get_user(id, handle))
		return -EFAULT;
	return bus1_peer_release_handle(peer, id);
}

/**
 * sys_bus1_handle_release() - take one from the count of each handle
 * @fd:		peer
 * @handles:	handles
 * @n:		how many
 * @flags:	0
 *
 * Return: 0. -EBADF: not a peer. -EINVAL: unknown flags. -EFAULT: @handles.
 * -EMSGSIZE: @n above BUS1_HANDLE_MAX. -ESHUTDOWN: the peer is disconnected.
 * -ENXIO: no such handle. -ENOTUNIQ: one is named twice. -EBUSY: one is the
 * owner's last reference to a live node. -ENOMEM. To release a reply handle is to decline
 * to reply.
 */
SYSCALL_DEFINE4(bus1_handle_release, int, fd, const __u64 __user *, handles,
		size_t, n, unsigned int, flags)
{
	/* Most calls release one. */
	if (n == 1 && !flags)
		return release_one(fd, handles);
	return call_with_ids(fd, handles, n, flags, 0,
			     bus1_peer_release_handles);
}

/**
 * sys_bus1_node_destroy() - destroy nodes, all or none
 * @fd:		peer that owns them
 * @nodes:	nodes, and requests whose reply is not wanted any more
 * @n:		how many
 * @flags:	BUS1_DESTROY_*
 *
 * Return: 0. -EBADF: not a peer. -EINVAL: unknown flags. -EFAULT: @nodes.
 * -EMSGSIZE: @n above BUS1_HANDLE_MAX. -ESHUTDOWN: the peer is disconnected.
 * -ENXIO: no such node or request. -EREMOTE: one is not the peer's own. -ESTALE:
 * one is destroyed already, or the reply, or the notice that it will not come, is
 * there. -ENOTUNIQ: one is named twice. -ENOMEM.
 */
SYSCALL_DEFINE4(bus1_node_destroy, int, fd, const __u64 __user *, nodes,
		size_t, n, unsigned int, flags)
{
	return call_with_ids(fd, nodes, n, flags, BUS1_DESTROY_FLAGS,
			     bus1_peer_destroy_nodes);
}

/**
 * sys_bus1_slice_release() - release slices of the pool
 * @fd:		peer
 * @offsets:	where the slices begin
 * @n:		how many
 * @flags:	0
 *
 * Return: 0. -EBADF: not a peer. -EINVAL: unknown flags. -EFAULT: @offsets.
 * -EMSGSIZE: @n above BUS1_HANDLE_MAX. -ESHUTDOWN: the peer is disconnected.
 * -ENXIO: no such slice. -ENOTUNIQ: one is named twice. -ENOMEM.
 */
SYSCALL_DEFINE4(bus1_slice_release, int, fd, const __u64 __user *, offsets,
		size_t, n, unsigned int, flags)
{
	return call_with_ids(fd, offsets, n, flags, 0,
			     bus1_peer_release_slices);
}
