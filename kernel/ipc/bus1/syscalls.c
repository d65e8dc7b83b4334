// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: system calls
 *
 * Copying in and out, flags and sizes, nothing else. Where several errors apply,
 * EBADF comes first, then EINVAL, E2BIG, EFAULT and EMSGSIZE, then ESHUTDOWN, then
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

#include "destroy.h"
#include "file.h"
#include "limits.h"
#include "recv.h"
#include "send.h"
#include "teardown.h"
#include "transfer.h"

static_assert(sizeof(struct bus1_peer_limits) == BUS1_PEER_LIMITS_SIZE_VER0);
static_assert(sizeof(struct bus1_peer_info) == BUS1_PEER_INFO_SIZE_VER0);
static_assert(sizeof(struct bus1_send_args) == BUS1_SEND_ARGS_SIZE_VER0);
static_assert(sizeof(struct bus1_recv_args) == BUS1_RECV_ARGS_SIZE_VER0);
/* No holes and no padding: the last member ends where the struct does. */
static_assert(offsetofend(struct bus1_recv_args, reserved) ==
	      sizeof(struct bus1_recv_args));
static_assert(offsetof(struct bus1_recv_args, sender_pid) == 11 * sizeof(u64));

/* Room for the arrays of a small call on the stack. */
#define N_FEW 8

static struct bus1_peer *get_peer(struct fd f)
{
	if (fd_empty(f) || !bus1_file_is_peer(fd_file(f)))
		return ERR_PTR(-EBADF);
	return fd_file(f)->private_data;
}

static int copy_args(void *to, size_t ksize, const void __user *from,
		     size_t usize)
{
	if (!IS_ALIGNED((unsigned long)from, sizeof(u64)) || usize < ksize)
		return -EINVAL;
	if (usize > PAGE_SIZE)
		return -E2BIG;
	return copy_struct_from_user(to, ksize, from, usize);
}

static int copy_limits(struct bus1_peer_limits *to,
		       const struct bus1_peer_limits __user *from, size_t size)
{
	int err = copy_args(to, sizeof(*to), from, size);

	return err ?: bus1_peer_check_limits(to);
}

/* @few has room for N_FEW. Returns NULL for no handles. */
static void *copy_array(const void __user *from, size_t n, size_t size,
			void *few)
{
	void *array = few;

	if (!n)
		return NULL;
	if (n > N_FEW)
		return vmemdup_array_user(from, n, size);
	if (copy_from_user(array, from, n * size))
		return ERR_PTR(-EFAULT);
	return array;
}

static void free_array(const void *array, const void *few)
{
	if (array != few && !IS_ERR(array))
		kvfree(array);
}

/**
 * sys_bus1_open() - open a peer
 * @limits:	its limits, or NULL for the defaults
 * @size:	size of @limits, or 0
 * @flags:	BUS1_OPEN_*
 *
 * Return: a file descriptor, which is close-on-exec. -EINVAL: unknown flags, a
 * size below version 0, or a limit above INT_MAX. -E2BIG, -EFAULT: @limits.
 * -ENOSPC: the user has too many peers. -EMFILE, -ENFILE: too many open files.
 * -ENOMEM.
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
 * sys_bus1_peer_disconnect() - end a peer's part on the bus
 * @fd:		peer
 * @flags:	0
 *
 * Return: 0. -EBADF: not a peer. -EINVAL: unknown flags. -ESHUTDOWN: it is
 * disconnected already.
 */
SYSCALL_DEFINE2(bus1_peer_disconnect, int, fd, unsigned int, flags)
{
	CLASS(fd, f)(fd);
	struct bus1_peer *peer = get_peer(f);

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
	struct bus1_peer *peer = get_peer(f);
	struct bus1_peer_info copy;
	int err;

	if (IS_ERR(peer))
		return PTR_ERR(peer);
	if (flags || size < sizeof(copy) ||
	    !IS_ALIGNED((unsigned long)info, sizeof(u64)))
		return -EINVAL;
	if (size > PAGE_SIZE)
		return -E2BIG;

	err = bus1_peer_query(peer, &copy);
	if (copy_to_user(info, &copy, sizeof(copy)) ||
	    clear_user((void __user *)info + sizeof(copy), size - sizeof(copy)))
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
 * something is charged to the peer that is to be adopted. -ENOSPC: the user who
 * adopts has too many peers. -ENOMEM.
 */
SYSCALL_DEFINE4(bus1_peer_reset, int, fd,
		const struct bus1_peer_limits __user *, limits, size_t, size,
		unsigned int, flags)
{
	CLASS(fd, f)(fd);
	struct bus1_peer *peer = get_peer(f);
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

/* The only bits that may not stand beside NEW are those the kernel chooses. */
static int check_ids(const u64 *ids, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if ((ids[i] & BUS1_HANDLE_FLAG_NEW) &&
		    (ids[i] & (BUS1_HANDLE_FLAGS & ~BUS1_HANDLE_FLAG_NEW)))
			return -EINVAL;
	return 0;
}

static int store_ids(struct bus1_transfer *transfer)
{
	unsigned long left;

	pagefault_disable();
	left = __copy_to_user_inatomic(u64_to_user_ptr(transfer->store_to),
				       transfer->to,
				       transfer->n * sizeof(*transfer->to));
	pagefault_enable();
	return left ? -EFAULT : 0;
}

static int transfer_ids(struct bus1_peer *from, struct bus1_peer *to,
			struct bus1_transfer *transfer)
{
	size_t size = transfer->n * sizeof(*transfer->to);
	char __user *dst = u64_to_user_ptr(transfer->store_to);
	int err;

	err = check_ids(transfer->from, transfer->n);
	if (err)
		return err;
	if (!access_ok(dst, size))
		return -EFAULT;
	for (;;) {
		err = bus1_peer_transfer(from, to, transfer);
		if (err != -EFAULT)
			return err;
		if (fault_in_safe_writeable(dst, size))
			return -EFAULT;
	}
}

/**
 * sys_bus1_handle_transfer() - give handles from one peer to another
 * @src_fd:	peer that gives
 * @dst_fd:	peer that takes, or -1 for the same
 * @src:	handles of @src_fd
 * @dst:	filled with the handles of @dst_fd
 * @n:		how many
 * @flags:	0
 *
 * Return: 0. -EBADF: not a peer. -EINVAL: unknown flags, or
 * BUS1_HANDLE_FLAG_NEW with an ID that only the kernel may choose. -EFAULT: @src
 * or @dst. -EMSGSIZE: @n above BUS1_HANDLE_MAX. -ESHUTDOWN: either peer is
 * disconnected. -ENXIO: no such handle. -EEXIST: a node to create exists.
 * -ENOBUFS: either peer may have no more handles. -ENOMEM.
 */
SYSCALL_DEFINE6(bus1_handle_transfer, int, src_fd, int, dst_fd,
		const __u64 __user *, src, __u64 __user *, dst, size_t, n,
		unsigned int, flags)
{
	CLASS(fd, src_f)(src_fd);
	CLASS(fd, dst_f)(dst_fd == -1 ? src_fd : dst_fd);
	struct bus1_peer *from = get_peer(src_f), *to = get_peer(dst_f);
	struct bus1_transfer transfer = { .n = n, .store = store_ids };
	u64 few_from[N_FEW], few_to[N_FEW];
	int err;

	if (IS_ERR(from) || IS_ERR(to))
		return -EBADF;
	if (flags)
		return -EINVAL;
	if (n > BUS1_HANDLE_MAX)
		return -EMSGSIZE;

	transfer.store_to = (u64)(unsigned long)dst;
	transfer.from = copy_array(src, n, sizeof(u64), few_from);
	if (IS_ERR(transfer.from))
		return PTR_ERR(transfer.from);
	transfer.to = few_to;
	if (n > N_FEW)
		transfer.to = kvmalloc_array(n, sizeof(u64), GFP_KERNEL_ACCOUNT);
	err = transfer.to ? transfer_ids(from, to, &transfer) : -ENOMEM;
	free_array(transfer.from, few_from);
	free_array(transfer.to, few_to);
	return err;
}

typedef int (*ids_fn)(struct bus1_peer *peer, const u64 *ids, size_t n,
		      u32 flags);

static int call_with_ids(int fd, const __u64 __user *user_ids, size_t n,
			 u32 flags, u32 valid_flags, ids_fn fn)
{
	CLASS(fd, f)(fd);
	struct bus1_peer *peer = get_peer(f);
	u64 few[N_FEW], *ids;
	int err;

	if (IS_ERR(peer))
		return PTR_ERR(peer);
	if (flags & ~valid_flags)
		return -EINVAL;
	if (n > BUS1_HANDLE_MAX)
		return -EMSGSIZE;
	ids = copy_array(user_ids, n, sizeof(u64), few);
	if (IS_ERR(ids))
		return PTR_ERR(ids);
	err = fn(peer, ids, n, flags);
	free_array(ids, few);
	return err;
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
 * owner's last reference to a live node. -ENOMEM.
 */
SYSCALL_DEFINE4(bus1_handle_release, int, fd, const __u64 __user *, handles,
		size_t, n, unsigned int, flags)
{
	return call_with_ids(fd, handles, n, flags, 0,
			     bus1_peer_release_handles);
}

/**
 * sys_bus1_nodes_destroy() - destroy nodes in one event
 * @fd:		peer that owns them
 * @nodes:	nodes
 * @n:		how many
 * @flags:	BUS1_DESTROY_*
 *
 * Return: 0. -EBADF: not a peer. -EINVAL: unknown flags. -EFAULT: @nodes.
 * -EMSGSIZE: @n above BUS1_HANDLE_MAX. -ESHUTDOWN: the peer is disconnected.
 * -ENXIO: no such node. -EREMOTE: one is not the peer's own. -ESTALE: one is
 * destroyed already. -ENOTUNIQ: one is named twice. -ENOMEM.
 */
SYSCALL_DEFINE4(bus1_nodes_destroy, int, fd, const __u64 __user *, nodes,
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

static int check_send_args(const struct bus1_send_args *args, u32 flags)
{
	bool seed = flags & BUS1_SEND_SEED;

	if (args->reply_id || args->reply_max_bytes ||
	    args->reply_max_handles || args->reply_max_fds)
		return -EINVAL;
	if (!!(flags & BUS1_SEND_HANDLES) != !!args->n_handles ||
	    !!(flags & BUS1_SEND_FDS) != !!args->n_fds)
		return -EINVAL;
	if (seed != !args->n_destinations)
		return -EINVAL;
	if (seed && (flags & BUS1_SEND_CONTINUE))
		return -EINVAL;
	if (args->n_destinations > BUS1_DEST_MAX ||
	    args->n_vecs > BUS1_VEC_MAX || args->n_handles > BUS1_HANDLE_MAX ||
	    args->n_fds > BUS1_FD_MAX)
		return -EMSGSIZE;
	return 0;
}

/* import_iovec() would truncate what is too long without a word. */
static int import_payload(const struct iovec *vecs, size_t n,
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
	iov_iter_init(iter, ITER_SOURCE, vecs, n, total);
	return 0;
}

static int send_with_payload(struct bus1_peer *peer,
			     const struct bus1_send_args *args,
			     struct bus1_send *send)
{
	struct iovec few[N_FEW], *vecs;
	int err;

	vecs = iovec_from_user(u64_to_user_ptr(args->ptr_vecs), args->n_vecs,
			       ARRAY_SIZE(few), few, in_compat_syscall());
	if (IS_ERR(vecs))
		return PTR_ERR(vecs);
	err = import_payload(vecs, args->n_vecs, &send->payload);
	if (!err)
		err = bus1_peer_send(peer, send);
	if (vecs != few)
		kfree(vecs);
	return err;
}

static int send_with_files(struct bus1_peer *peer,
			   const struct bus1_send_args *args,
			   struct bus1_send *send)
{
	struct file *few_files[N_FEW], **files = few_files;
	int few_fds[N_FEW], *fds;
	int err;

	fds = copy_array(u64_to_user_ptr(args->ptr_fds), args->n_fds,
			 sizeof(int), few_fds);
	if (IS_ERR(fds))
		return PTR_ERR(fds);
	if (args->n_fds > N_FEW)
		files = kmalloc_array(args->n_fds, sizeof(*files),
				      GFP_KERNEL_ACCOUNT);
	err = files ? bus1_files_get(fds, args->n_fds, files) : -ENOMEM;
	if (!err) {
		send->files = files;
		send->n_files = args->n_fds;
		err = send_with_payload(peer, args, send);
		bus1_files_put(files, args->n_fds);
	}
	if (files != few_files)
		kfree(files);
	free_array(fds, few_fds);
	return err;
}

static int send_with_ids(struct bus1_peer *peer,
			 const struct bus1_send_args *args,
			 struct bus1_send *send)
{
	u64 few_dests[N_FEW], few_handles[N_FEW], *dests, *handles;
	int err;

	dests = copy_array(u64_to_user_ptr(args->ptr_destinations),
			   args->n_destinations, sizeof(u64), few_dests);
	if (IS_ERR(dests))
		return PTR_ERR(dests);
	handles = copy_array(u64_to_user_ptr(args->ptr_handles),
			     args->n_handles, sizeof(u64), few_handles);
	err = PTR_ERR_OR_ZERO(handles);
	if (!err)
		err = check_ids(dests, args->n_destinations);
	if (!err)
		err = check_ids(handles, args->n_handles);
	if (!err) {
		send->destinations = dests;
		send->n_destinations = args->n_destinations;
		send->handles = handles;
		send->n_handles = args->n_handles;
		err = send_with_files(peer, args, send);
	}
	free_array(handles, few_handles);
	free_array(dests, few_dests);
	return err;
}

/* The errors can be told at the end, if they can be told now. */
static int send_with_errors(struct bus1_peer *peer,
			    const struct bus1_send_args *args,
			    struct bus1_send *send)
{
	char __user *errors = u64_to_user_ptr(args->ptr_errors);
	size_t size = args->n_destinations * sizeof(s32);
	int err;

	if (!args->ptr_errors || !size)
		return send_with_ids(peer, args, send);
	if (!access_ok(errors, size) || fault_in_safe_writeable(errors, size))
		return -EFAULT;
	send->errors = kvzalloc(size, GFP_KERNEL_ACCOUNT);
	if (!send->errors)
		return -ENOMEM;
	err = send_with_ids(peer, args, send);
	if (send->looked_up && copy_to_user(errors, send->errors, size) && err)
		err = -EFAULT;
	kvfree(send->errors);
	return err;
}

/**
 * sys_bus1_send() - send a message
 * @fd:		peer that sends
 * @args:	the message
 * @size:	size of @args
 * @flags:	BUS1_SEND_*
 *
 * Return: 0. -EBADF: not a peer, or a descriptor to send is not open. -EINVAL:
 * flags that are unknown, exclude each other, or do not fit @args; @args
 * unaligned or below version 0; no destination; BUS1_HANDLE_FLAG_NEW with an ID
 * that only the kernel may choose. -E2BIG: @args. -EFAULT: any pointer.
 * -EMSGSIZE: more than the maxima, or than an idle receiver would accept.
 * -EOPNOTSUPP: a descriptor of a kind that could form a cycle. -ESHUTDOWN: the
 * peer is disconnected. -ENXIO: no such handle. -EEXIST: a node to create exists.
 * -ENOTUNIQ: a destination is named twice. -EHOSTUNREACH: a destination or its
 * owner is gone. -EDQUOT: the sender's share of a receiver is used up. -EXFULL: a
 * receiver is full. -ENOBUFS: the sender may have no more handles, or no room for
 * its seed. -ETOOMANYREFS: too many descriptors in flight. -ENOMEM.
 */
SYSCALL_DEFINE4(bus1_send, int, fd, const struct bus1_send_args __user *, args,
		size_t, size, unsigned int, flags)
{
	CLASS(fd, f)(fd);
	struct bus1_peer *peer = get_peer(f);
	struct bus1_send send = { .flags = flags };
	struct bus1_send_args copy;
	int err;

	if (IS_ERR(peer))
		return PTR_ERR(peer);
	if (flags & ~BUS1_SEND_FLAGS)
		return -EINVAL;
	err = copy_args(&copy, sizeof(copy), args, size);
	if (err)
		return err;
	err = check_send_args(&copy, flags);
	if (err)
		return err;
	return send_with_errors(peer, &copy, &send);
}

/**
 * struct recv_call - one bus1_recv()
 * @recv:	what the rest of bus1 sees
 * @user:	where the result goes
 * @args:	the result
 */
struct recv_call {
	struct bus1_recv recv;
	struct bus1_recv_args __user *user;
	struct bus1_recv_args args;
};

/* Everything behind @type, in one piece. */
#define RECV_REST(args) (&(args)->flags)
#define RECV_REST_SIZE	(sizeof(struct bus1_recv_args) - \
			 offsetof(struct bus1_recv_args, flags))

static int store_message(struct bus1_recv *recv)
{
	struct recv_call *call = container_of(recv, struct recv_call, recv);
	struct bus1_recv_args __user *user = call->user;
	struct bus1_recv_args *args = &call->args;
	int err = -EFAULT;

	pagefault_disable();
	if (__copy_to_user_inatomic(RECV_REST(user), RECV_REST(args),
				    RECV_REST_SIZE) ||
	    __put_user(args->destination, &user->destination))
		goto out;
	/* Who reads the type in shared memory finds the rest complete. */
	smp_wmb();
	if (!__put_user(args->type, &user->type))
		err = 0;
out:
	pagefault_enable();
	return err;
}

/* What a receiver has to prepare for, and no more than that. */
static int store_needs(struct recv_call *call)
{
	if (copy_to_user(RECV_REST(call->user), RECV_REST(&call->args),
			 RECV_REST_SIZE))
		return -EFAULT;
	return put_user(call->args.destination, &call->user->destination);
}

static ktime_t host_deadline(u64 deadline)
{
	ktime_t time = min_t(u64, deadline, KTIME_MAX);

	if (!time)
		return 0;
	/* What lies before the start of the host's clock has passed, too. */
	return max_t(ktime_t, timens_ktime_to_host(CLOCK_MONOTONIC, time), 1);
}

static int release_on_entry(struct bus1_peer *peer, struct recv_call *call)
{
	struct bus1_recv_args __user *user = call->user;
	int err;

	if (!(call->recv.flags & BUS1_RECV_RELEASE) ||
	    call->args.release == BUS1_OFFSET_INVALID)
		return 0;
	err = bus1_peer_release_slices(peer, &call->args.release, 1, 0);
	return err ?: put_user(BUS1_OFFSET_INVALID, &user->release);
}

static int do_recv(struct bus1_peer *peer, struct recv_call *call)
{
	char __user *user = (char __user *)call->user;
	int err;

	if (put_user((u64)BUS1_MSG_NONE, &call->user->type))
		return -EFAULT;
	err = release_on_entry(peer, call);
	if (err)
		return err;
	for (;;) {
		err = bus1_peer_recv(peer, &call->recv);
		if (err != -EFAULT)
			break;
		/* Nothing was received; do it again with the page in memory. */
		if (fault_in_safe_writeable(user, sizeof(call->args)))
			return -EFAULT;
	}
	if (err == -ERANGE || err == -EMFILE || err == -ENFILE)
		err = store_needs(call) ?: err;
	return err;
}

/**
 * sys_bus1_recv() - receive a message or a notice
 * @fd:		peer that receives
 * @args:	how, and what was received
 * @size:	size of @args
 * @flags:	BUS1_RECV_*
 *
 * Return: 0. -EBADF: not a peer. -EINVAL: unknown flags; @args unaligned or below
 * version 0. -E2BIG, -EFAULT: @args. -ESHUTDOWN: the peer is disconnected.
 * -ENXIO: no slice to release. -EAGAIN: nothing is there, and the call may not
 * wait. -EINTR: a signal. -ETIMEDOUT: the deadline. -ERANGE: the slice lies
 * beyond @max_offset. -EMFILE, -ENFILE: no room for the descriptors. -ENOBUFS: no
 * room for another copy of the seed. -ENOMEM.
 */
SYSCALL_DEFINE4(bus1_recv, int, fd, struct bus1_recv_args __user *, args,
		size_t, size, unsigned int, flags)
{
	CLASS(fd, f)(fd);
	struct bus1_peer *peer = get_peer(f);
	struct recv_call call;
	int err;

	if (IS_ERR(peer))
		return PTR_ERR(peer);
	if (flags & ~BUS1_RECV_FLAGS)
		return -EINVAL;
	err = copy_args(&call.args, sizeof(call.args), args, size);
	if (err)
		return err;

	call.user = args;
	call.recv.flags = flags;
	call.recv.nonblock = (flags & BUS1_RECV_NONBLOCK) ||
			     (fd_file(f)->f_flags & O_NONBLOCK);
	call.recv.max_offset = call.args.max_offset;
	call.recv.deadline = host_deadline(call.args.deadline);
	call.recv.out = &call.args;
	call.recv.store = store_message;
	return do_recv(peer, &call);
}
