// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: system calls that send and receive
 *
 * As in syscalls.c, this is copying in and out, flags and sizes, and nothing else. The
 * order of errors is the same.
 */

#include <linux/build_bug.h>
#include <linux/compat.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/pagemap.h>
#include <linux/restart_block.h>
#include <linux/slab.h>
#include <linux/syscalls.h>
#include <linux/time_namespace.h>
#include <linux/uaccess.h>
#include <linux/uio.h>

#include "syscalls.h"
#include "file.h"
#include "recv.h"
#include "send.h"

static_assert(sizeof(struct bus1_send_args) == BUS1_SEND_ARGS_SIZE_VER0);
static_assert(sizeof(struct bus1_recv_args) == BUS1_RECV_ARGS_SIZE_VER0);
/* No holes and no padding: the last member ends where the struct does. */
static_assert(offsetofend(struct bus1_recv_args, n_overtaken) ==
	      sizeof(struct bus1_recv_args));
static_assert(offsetof(struct bus1_recv_args, sender_pid) == 14 * sizeof(u64));

static bool asks_for_reply(const struct bus1_send_args *args)
{
	return args->reply_id | args->reply_max_bytes |
	       args->reply_max_handles | args->reply_max_fds;
}

static int check_reply_args(const struct bus1_send_args *args, u32 flags)
{
	if ((flags & (BUS1_SEND_SEED | BUS1_SEND_CONTINUE)) ||
	    args->n_destinations != 1 || (args->reply_id & BUS1_HANDLE_FLAGS))
		return -EINVAL;
	if (args->reply_max_bytes > MAX_RW_COUNT ||
	    args->reply_max_handles > BUS1_HANDLE_MAX ||
	    args->reply_max_fds > BUS1_FD_MAX)
		return -EMSGSIZE;
	return 0;
}

static __always_inline int check_send_args(const struct bus1_send_args *args, u32 flags)
{
	bool seed = flags & BUS1_SEND_SEED;
	int err = 0;

	if (flags & BUS1_SEND_REPLY)
		err = check_reply_args(args, flags);
	else if (unlikely(asks_for_reply(args)))
		return -EINVAL;
	if (unlikely(err == -EINVAL))
		return err;
	/* Most messages go to one destination, with nothing but a payload. */
	if (likely(!(flags & ~BUS1_SEND_REPLY) && args->n_destinations == 1 &&
		   args->n_vecs == 1 && !(args->n_handles | args->n_fds)))
		return err;
	/* The flags say what is passed along. */
	if (!(flags & BUS1_SEND_HANDLES) != !args->n_handles ||
	    !(flags & BUS1_SEND_FDS) != !args->n_fds)
		return -EINVAL;
	if (seed != !args->n_destinations || (seed && (flags & BUS1_SEND_CONTINUE)))
		return -EINVAL;
	if (args->n_destinations > BUS1_DEST_MAX ||
	    args->n_vecs > BUS1_VEC_MAX || args->n_handles > BUS1_HANDLE_MAX ||
	    args->n_fds > BUS1_FD_MAX)
		return -EMSGSIZE;
	return err;
}

static int send_with_vecs(struct bus1_peer *peer, struct bus1_send *send)
{
	const struct bus1_send_args *args = &send->args;
	struct iovec few[BUS1_FEW] __uninitialized, *vecs;
	int err;

	vecs = iovec_from_user(u64_to_user_ptr(args->ptr_vecs), args->n_vecs,
			       ARRAY_SIZE(few), few, in_compat_syscall());
	if (IS_ERR(vecs))
		return PTR_ERR(vecs);
	err = bus1_args_import_vecs(vecs, args->n_vecs, &send->payload);
	if (!err)
		err = bus1_peer_send(peer, send);
	if (vecs != few)
		kfree(vecs);
	return err;
}

static int send_with_files(struct bus1_peer *peer, struct bus1_send *send)
{
	const struct bus1_send_args *args = &send->args;
	struct file *few_files[BUS1_FEW], **files = few_files;
	int few_fds[BUS1_FEW], *fds;
	int err;

	if (!args->n_fds)
		return send_with_vecs(peer, send);
	fds = bus1_args_array(u64_to_user_ptr(args->ptr_fds), args->n_fds,
			 sizeof(int), few_fds);
	if (IS_ERR(fds))
		return PTR_ERR(fds);
	if (args->n_fds > BUS1_FEW)
		files = kmalloc_array(args->n_fds, sizeof(*files),
				      GFP_KERNEL_ACCOUNT);
	err = files ? bus1_files_get(fds, args->n_fds, files) : -ENOMEM;
	if (!err) {
		send->files = files;
		err = send_with_vecs(peer, send);
		bus1_files_put(files, args->n_fds);
	}
	if (files != few_files)
		kfree(files);
	bus1_args_free(fds, few_fds);
	return err;
}

static int send_with_ids(struct bus1_peer *peer, struct bus1_send *send)
{
	const struct bus1_send_args *args = &send->args;
	u64 few_dests[BUS1_FEW] __uninitialized;
	u64 few_handles[BUS1_FEW] __uninitialized;
	u64 *dests, *handles;
	int err;

	dests = bus1_args_array(u64_to_user_ptr(args->ptr_destinations),
			   args->n_destinations, sizeof(u64), few_dests);
	if (IS_ERR(dests))
		return PTR_ERR(dests);
	handles = bus1_args_array(u64_to_user_ptr(args->ptr_handles),
			     args->n_handles, sizeof(u64), few_handles);
	err = PTR_ERR_OR_ZERO(handles);
	if (!err)
		err = bus1_args_check_ids(dests, args->n_destinations);
	if (!err)
		err = bus1_args_check_ids(handles, args->n_handles);
	if (!err) {
		send->destinations = dests;
		send->handles = handles;
		err = send_with_files(peer, send);
	}
	bus1_args_free(handles, few_handles);
	bus1_args_free(dests, few_dests);
	return err;
}

/* If the errors can be stored now, they can be stored at the end. */
static noinline int send_arrays(struct bus1_peer *peer, struct bus1_send *send)
{
	const struct bus1_send_args *args = &send->args;
	char __user *errors = u64_to_user_ptr(args->ptr_errors);
	size_t size = args->n_destinations * sizeof(s32);
	int err;

	if (!args->ptr_errors || !size)
		return send_with_ids(peer, send);
	if (!access_ok(errors, size) || fault_in_safe_writeable(errors, size))
		return -EFAULT;
	send->errors = kvzalloc(size, GFP_KERNEL_ACCOUNT);
	if (!send->errors)
		return -ENOMEM;
	err = send_with_ids(peer, send);
	if (send->looked_up && copy_to_user(errors, send->errors, size) && err)
		err = -EFAULT;
	kvfree(send->errors);
	return err;
}

static __always_inline int get_vec(struct iovec *to, const struct iovec __user *from)
{
	if (unlikely(in_compat_syscall()))
		return PTR_ERR_OR_ZERO(iovec_from_user(from, 1, 1, to, true));
	if (!user_read_access_begin(from, sizeof(*from)))
		return -EFAULT;
	unsafe_get_user(to->iov_len, &from->iov_len, fault);
	unsafe_get_user(to->iov_base, &from->iov_base, fault);
	user_read_access_end();
	return (ssize_t)to->iov_len < 0 ? -EINVAL : 0;

fault:
	user_read_access_end();
	return -EFAULT;
}

/* Most messages have one destination and one piece, and carry nothing: no arrays then. */
static __always_inline int do_send(struct bus1_peer *peer, struct bus1_send *send)
{
	const struct bus1_send_args *args = &send->args;
	struct iovec vec;
	u64 dest;
	int err;

	if (args->n_destinations != 1 || args->n_vecs != 1 || args->ptr_errors ||
	    (args->n_handles | args->n_fds))
		return send_arrays(peer, send);
	if (get_user(dest, (u64 __user *)u64_to_user_ptr(args->ptr_destinations)))
		return -EFAULT;
	if (!bus1_args_id_is_valid(dest))
		return -EINVAL;
	err = get_vec(&vec, u64_to_user_ptr(args->ptr_vecs));
	if (err)
		return err;
	if (vec.iov_len > MAX_RW_COUNT)
		return -EMSGSIZE;
	if (!access_ok(vec.iov_base, vec.iov_len))
		return -EFAULT;
	iov_iter_ubuf(&send->payload, ITER_SOURCE, vec.iov_base, vec.iov_len);
	send->destinations = &dest;
	return bus1_peer_send(peer, send);
}

/* Word by word: string instructions cost more for a struct of this size. */
static __always_inline int copy_send_args(struct bus1_send_args *to,
			  const struct bus1_send_args __user *from, size_t size,
			  u32 flags)
{
	if (size != sizeof(*to) || !IS_ALIGNED((unsigned long)from, sizeof(u64)))
		return bus1_args_copy(to, sizeof(*to), BUS1_SEND_ARGS_SIZE_VER0,
				      from, size);
	if (!user_read_access_begin(from, sizeof(*from)))
		return -EFAULT;
	bus1_args_get_u64(to->ptr_destinations, &from->ptr_destinations, fault);
	bus1_args_get_u64(to->n_destinations, &from->n_destinations, fault);
	bus1_args_get_u64(to->ptr_errors, &from->ptr_errors, fault);
	bus1_args_get_u64(to->ptr_vecs, &from->ptr_vecs, fault);
	bus1_args_get_u64(to->n_vecs, &from->n_vecs, fault);
	bus1_args_get_u64(to->n_handles, &from->n_handles, fault);
	bus1_args_get_u64(to->n_fds, &from->n_fds, fault);
	if (flags & (BUS1_SEND_HANDLES | BUS1_SEND_FDS)) {
		bus1_args_get_u64(to->ptr_handles, &from->ptr_handles, fault);
		bus1_args_get_u64(to->ptr_fds, &from->ptr_fds, fault);
	} else {
		to->ptr_handles = 0;
		to->ptr_fds = 0;
	}
	bus1_args_get_u64(to->reply_id, &from->reply_id, fault);
	bus1_args_get_u64(to->reply_max_bytes, &from->reply_max_bytes, fault);
	bus1_args_get_u64(to->reply_max_handles, &from->reply_max_handles, fault);
	bus1_args_get_u64(to->reply_max_fds, &from->reply_max_fds, fault);
	user_read_access_end();
	return 0;

fault:
	user_read_access_end();
	return -EFAULT;
}

static __always_inline int
get_send(struct bus1_send *send, const struct bus1_send_args __user *args,
	 size_t size, u32 flags)
{
	int err;

	err = copy_send_args(&send->args, args, size, flags);
	if (!err)
		err = check_send_args(&send->args, flags);
	if (err)
		return err;
	send->flags = flags;
	send->looked_up = false;
	send->errors = NULL;
	send->files = NULL;
	send->await = NULL;
	send->release = BUS1_OFFSET_INVALID;
	return 0;
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
 * unaligned or below version 0; no destination; BUS1_HANDLE_FLAG_NEW, or a request,
 * with an ID that only the kernel may choose; a reply handle that may not be used
 * like this. -E2BIG: @args. -EFAULT: any pointer. -EMSGSIZE: more than the maxima, or
 * than an idle receiver would accept. -EOPNOTSUPP: a descriptor of a kind that could
 * form a cycle. -ESHUTDOWN: the peer is disconnected. -ENXIO: no such handle. -EEXIST:
 * a node to create exists, or the ID of the request is taken. -ENOTUNIQ: a destination
 * is named twice. -EHOSTUNREACH: a destination or its owner is gone. -EDQUOT: the
 * sender's share of a receiver is used up. -EXFULL: a receiver is full. -ENOBUFS: the
 * sender may have no more handles, or has no room for its seed or the reply it asks
 * for. -ETOOMANYREFS: too many descriptors in flight. -ENOMEM.
 */
SYSCALL_DEFINE4(bus1_send, int, fd, const struct bus1_send_args __user *, args,
		size_t, size, unsigned int, flags)
{
	CLASS(fd, f)(fd);
	struct bus1_peer *peer = bus1_args_peer(f);
	struct bus1_send send __uninitialized;
	int err;

	if (IS_ERR(peer))
		return PTR_ERR(peer);
	if (flags & ~BUS1_SEND_FLAGS)
		return -EINVAL;
	err = get_send(&send, args, size, flags);
	return err ?: do_send(peer, &send);
}

/**
 * struct recv_call - one bus1_recv()
 * @recv:	what the rest of bus1 sees
 * @user:	where the result goes
 * @buffer:	where a small message goes
 * @args:	the result
 */
struct recv_call {
	struct bus1_recv recv;
	struct bus1_recv_args __user *user;
	void __user *buffer;
	struct bus1_recv_args args;
};

static __always_inline int put_data(const struct recv_call *call)
{
	const u64 *from = call->recv.data;
	u64 __user *to = call->buffer;
	size_t n = call->recv.n_data;

	if (!n)
		return 0;
	if (!user_write_access_begin(to, n))
		return -EFAULT;
	for (; n >= 4 * sizeof(*to); n -= 4 * sizeof(*to), to += 4, from += 4) {
		unsafe_put_user(from[0], &to[0], fault);
		unsafe_put_user(from[1], &to[1], fault);
		unsafe_put_user(from[2], &to[2], fault);
		unsafe_put_user(from[3], &to[3], fault);
	}
	unsafe_copy_to_user((char __user *)to, (const char *)from, n, fault);
	user_write_access_end();
	return 0;

fault:
	user_write_access_end();
	return -EFAULT;
}

static int put_result(struct bus1_recv_args __user *user,
		      const struct bus1_recv_args *args)
{
	if (!user_write_access_begin(user, BUS1_RECV_ARGS_SIZE_VER0))
		return -EFAULT;
	unsafe_put_user(args->destination, &user->destination, fault);
	unsafe_put_user(args->flags, &user->flags, fault);
	unsafe_put_user(args->offset, &user->offset, fault);
	unsafe_put_user(args->n_bytes, &user->n_bytes, fault);
	unsafe_put_user(args->n_handles, &user->n_handles, fault);
	unsafe_put_user(args->n_fds, &user->n_fds, fault);
	unsafe_put_user(args->reply, &user->reply, fault);
	unsafe_put_user(args->sender_pid, &user->sender_pid, fault);
	unsafe_put_user(args->sender_uid, &user->sender_uid, fault);
	unsafe_put_user(args->sender_gid, &user->sender_gid, fault);
	unsafe_put_user(args->sender_pidfd, &user->sender_pidfd, fault);
	unsafe_put_user(args->error, &user->error, fault);
	unsafe_put_user(args->n_overtaken, &user->n_overtaken, fault);
	/* A reader of the type in shared memory finds the rest complete. */
	smp_wmb();
	unsafe_put_user(args->type, &user->type, fault);
	user_write_access_end();
	return 0;

fault:
	user_write_access_end();
	return -EFAULT;
}

static int store_message(struct bus1_recv *recv)
{
	struct recv_call *call = container_of(recv, struct recv_call, recv);
	int err;

	pagefault_disable();
	err = put_data(call) ?: put_result(call->user, &call->args);
	pagefault_enable();
	return err;
}

static ktime_t host_deadline(u64 deadline)
{
	ktime_t time = min_t(u64, deadline, KTIME_MAX);

	if (!time)
		return 0;
	/* A time before the start of the host's clock has passed, too. */
	return max_t(ktime_t, timens_ktime_to_host(CLOCK_MONOTONIC, time), 1);
}

static bool fault_in_result(const struct recv_call *call)
{
	return !fault_in_safe_writeable((char __user *)call->user,
					BUS1_RECV_ARGS_SIZE_VER0) &&
	       !fault_in_safe_writeable(call->buffer, call->recv.n_data);
}

/* If only a page of the result was missing, nothing was received: try again. */
static __always_inline int recv_next(struct bus1_peer *peer, struct recv_call *call,
		     struct bus1_await *await)
{
	unsigned int try = 0;
	int err;

	do {
		err = await ? bus1_await_reply(await, peer, &call->recv) :
			      bus1_peer_recv(peer, &call->recv);
	} while (err == -EFAULT && try++ < BUS1_STORE_TRIES &&
		 fault_in_result(call));
	return err;
}

static int recv_reply(struct bus1_peer *peer, struct recv_call *call)
{
	struct bus1_await await;
	int err;

	err = bus1_await_begin(&await, peer, call->args.reply_id);
	if (err)
		return err;
	err = recv_next(peer, call, &await);
	bus1_await_end(&await, peer);
	return err;
}

static bool is_need(int err)
{
	return err == -ERANGE || err == -EMFILE || err == -ENFILE;
}

static int do_recv(struct bus1_peer *peer, struct recv_call *call)
{
	int err;

	if (put_user((u64)BUS1_MSG_NONE, &call->user->type))
		return -EFAULT;
	if ((call->recv.flags & BUS1_RECV_RELEASE) &&
	    call->args.release != BUS1_OFFSET_INVALID) {
		err = bus1_peer_release_slice(peer, call->args.release, 0);
		if (!err)
			err = put_user(BUS1_OFFSET_INVALID, &call->user->release);
		if (err)
			return err;
	}
	err = call->recv.flags & BUS1_RECV_REPLY ? recv_reply(peer, call) :
						   recv_next(peer, call, NULL);
	if (is_need(err))
		err = put_result(call->user, &call->args) ?: err;
	return err;
}

/* The inputs are the first 48 bytes; nothing is read of the rest. */
static __always_inline int copy_recv_args(struct bus1_recv_args *to,
			  const struct bus1_recv_args __user *from, size_t size)
{
	if (size != sizeof(*to) || !IS_ALIGNED((unsigned long)from, sizeof(u64)))
		return bus1_args_copy(to, sizeof(*to), BUS1_RECV_ARGS_SIZE_VER0,
				      from, size);
	if (!user_read_access_begin(from, sizeof(*from)))
		return -EFAULT;
	bus1_args_get_u64(to->max_offset, &from->max_offset, fault);
	bus1_args_get_u64(to->deadline, &from->deadline, fault);
	bus1_args_get_u64(to->ptr_buffer, &from->ptr_buffer, fault);
	bus1_args_get_u64(to->buffer_size, &from->buffer_size, fault);
	bus1_args_get_u64(to->reply_id, &from->reply_id, fault);
	bus1_args_get_u64(to->release, &from->release, fault);
	user_read_access_end();
	return 0;

fault:
	user_read_access_end();
	return -EFAULT;
}

static __always_inline int get_recv(struct recv_call *call, struct file *file,
		    struct bus1_recv_args __user *args, size_t size, u32 flags)
{
	int err;

	err = copy_recv_args(&call->args, args, size);
	if (err)
		return err;
	if (!IS_ALIGNED(call->args.ptr_buffer, sizeof(u64)))
		return -EINVAL;
	call->user = args;
	call->recv.flags = flags;
	call->recv.nonblock = (flags & BUS1_RECV_NONBLOCK) ||
			      (file->f_flags & O_NONBLOCK);
	call->recv.max_offset = call->args.max_offset;
	call->recv.deadline = host_deadline(call->args.deadline);
	call->buffer = u64_to_user_ptr(call->args.ptr_buffer);
	call->recv.has_buffer = call->args.ptr_buffer;
	call->recv.buffer_size = call->args.buffer_size;
	call->recv.out = &call->args;
	call->recv.store = store_message;
	return 0;
}

/**
 * sys_bus1_recv() - receive a message or a notice
 * @fd:		peer that receives
 * @args:	how, and what was received
 * @size:	size of @args
 * @flags:	BUS1_RECV_*
 *
 * Return: 0. -EBADF: not a peer. -EINVAL: unknown flags, or BUS1_RECV_SEED and
 * BUS1_RECV_REPLY together; @args or the buffer unaligned, @args below version 0.
 * -E2BIG: @args. -EFAULT: @args, or the buffer. -ESHUTDOWN: the peer is disconnected.
 * -ENXIO: no slice to release, no such request. -EBUSY: another thread waits for the
 * reply. -ESTALE: the request was cancelled or flushed. -EAGAIN: nothing is there, and
 * the call may not wait. -EINTR: a signal. -ETIMEDOUT: the deadline. -ERANGE: the slice
 * lies beyond @max_offset. -EMFILE, -ENFILE: no room for the descriptors. -ENOBUFS: no
 * room for another copy of the seed. -ENOMEM.
 */
SYSCALL_DEFINE4(bus1_recv, int, fd, struct bus1_recv_args __user *, args,
		size_t, size, unsigned int, flags)
{
	CLASS(fd, f)(fd);
	struct bus1_peer *peer = bus1_args_peer(f);
	struct recv_call call __uninitialized;
	int err;

	if (IS_ERR(peer))
		return PTR_ERR(peer);
	if (flags & ~BUS1_RECV_FLAGS ||
	    (flags & (BUS1_RECV_SEED | BUS1_RECV_REPLY)) ==
	    (BUS1_RECV_SEED | BUS1_RECV_REPLY))
		return -EINVAL;
	err = get_recv(&call, fd_file(f), args, size, flags);
	return err ?: do_recv(peer, &call);
}

/* However many pages it lies on, it can be written from its first output to its last. */
static int check_result(struct recv_call *call)
{
	struct bus1_recv_args __user *user = call->user;

	if (!user_write_access_begin(user, BUS1_RECV_ARGS_SIZE_VER0))
		return -EFAULT;
	unsafe_put_user(call->args.release, &user->release, fault);
	unsafe_put_user((u64)BUS1_MSG_NONE, &user->type, fault);
	unsafe_put_user(0, &user->error, fault);
	user_write_access_end();
	return 0;

fault:
	user_write_access_end();
	return -EFAULT;
}

static int recv_half(struct bus1_peer *peer, struct recv_call *call,
		     struct bus1_await *await)
{
	struct bus1_recv_args __user *user = call->user;

	if ((call->recv.flags & BUS1_RECV_RELEASE) &&
	    put_user(BUS1_OFFSET_INVALID, &user->release))
		return -EFAULT;
	return recv_next(peer, call, await);
}

/* What was sent cannot be taken back, so how the rest went is part of the result. */
static void tell_error(struct recv_call *call, int err)
{
	if (err == -ERESTARTSYS)
		err = -EINTR;
	call->args.error = err;
	if (is_need(err) && !put_result(call->user, &call->args))
		return;
	/* If this cannot be written, the type says that nothing came. */
	if (put_user(err, &call->user->error))
		return;
}

static long restart_call(struct restart_block *restart);

/*
 * What was sent is not sent again. If the wait was interrupted and no handler runs, after
 * a stop or task work, only the wait is taken up again. If a signal handler runs, the
 * result is -EINTR, even with SA_RESTART. What is to be kept until then fits into what
 * futexes keep there.
 */
static int end_call(struct recv_call *call, int fd, int err)
{
	struct restart_block *restart = &current->restart_block;

	if (err)
		tell_error(call, err);
	if (err != -ERESTARTSYS)
		return 0;
	restart->futex.uaddr = (u32 __user *)call->user;
	restart->futex.time = call->args.reply_id;
	restart->futex.val = fd;
	restart->futex.flags = call->recv.flags & ~BUS1_RECV_RELEASE;
	return set_restart_fn(restart, restart_call);
}

static long restart_call(struct restart_block *restart)
{
	struct bus1_recv_args __user *user =
		(struct bus1_recv_args __user *)restart->futex.uaddr;
	u64 reply_id = restart->futex.time;
	u32 flags = restart->futex.flags;
	int fd = restart->futex.val, err;
	CLASS(fd, f)(fd);
	struct bus1_peer *peer = bus1_args_peer(f);
	struct recv_call call __uninitialized;

	call.user = user;
	err = PTR_ERR_OR_ZERO(peer);
	if (!err)
		err = get_recv(&call, fd_file(f), user, sizeof(*user), flags);
	if (!err) {
		call.args.reply_id = reply_id;
		err = flags & BUS1_RECV_REPLY ? recv_reply(peer, &call) :
						recv_next(peer, &call, NULL);
	}
	return end_call(&call, fd, err);
}

static __always_inline int do_call(struct bus1_peer *peer, struct bus1_send *send,
				   struct recv_call *call, int fd)
{
	struct bus1_await await __uninitialized, *wait = NULL;
	int err;

	if (send->flags & BUS1_SEND_REPLY) {
		wait = &await;
		await.task = current;
		send->await = wait;
	}
	if (call->recv.flags & BUS1_RECV_RELEASE)
		send->release = call->args.release;

	err = check_result(call);
	if (!err)
		err = do_send(peer, send);
	if (err)
		return err;

	/* If the receiver that was woken answers before we sleep, it need not wake us. */
	cond_resched();
	err = recv_half(peer, call, wait);
	if (wait) {
		bus1_await_end(wait, peer);
		call->recv.flags |= BUS1_RECV_REPLY;
		call->args.reply_id = send->args.reply_id;
	}
	return end_call(call, fd, err);
}

/**
 * sys_bus1_call() - send, then receive on the same peer
 * @fd:		peer
 * @send:	the message, as for bus1_send()
 * @send_size:	size of @send
 * @recv:	how to receive, and what was received, as for bus1_recv()
 * @recv_size:	size of @recv
 * @flags:	BUS1_CALL() of BUS1_SEND_* and BUS1_RECV_*
 *
 * With BUS1_SEND_REPLY it waits for that reply and nothing else. What
 * BUS1_RECV_RELEASE names is released with the send.
 *
 * Return: 0 if the message was sent; how the rest went is in the result's error:
 * 0, or what bus1_recv() returns. -EINTR, and the same in the result's error: it was
 * sent, and a signal handler ran during the wait. Otherwise nothing was sent
 * or released: what bus1_send() returns; -EINVAL also for BUS1_SEND_SEED,
 * BUS1_RECV_SEED and BUS1_RECV_REPLY, and for @recv or its buffer unaligned, or
 * @recv below version 0; -E2BIG, -EFAULT: @recv. -ENXIO: no slice to release.
 */
SYSCALL_DEFINE6(bus1_call, int, fd, const struct bus1_send_args __user *, send,
		size_t, send_size, struct bus1_recv_args __user *, recv,
		size_t, recv_size, unsigned int, flags)
{
	u32 send_flags = flags & U16_MAX, recv_flags = flags >> 16;
	CLASS(fd, f)(fd);
	struct bus1_peer *peer = bus1_args_peer(f);
	struct bus1_send message __uninitialized;
	struct recv_call call __uninitialized;
	int err;

	if (IS_ERR(peer))
		return PTR_ERR(peer);
	if ((send_flags & ~BUS1_CALL_SEND_FLAGS) ||
	    (recv_flags & ~BUS1_CALL_RECV_FLAGS))
		return -EINVAL;
	err = get_send(&message, send, send_size, send_flags);
	if (!err)
		err = get_recv(&call, fd_file(f), recv, recv_size, recv_flags);
	return err ?: do_call(peer, &message, &call, fd);
}
