// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The system calls with their long argument lists.
 *
 * Structs are passed with the size of version 0, not with sizeof: a program
 * that was linked against LIBBUS1_1 was compiled with structs of that size,
 * whatever the library has been compiled with. A larger struct comes with a new
 * version of the symbol.
 */
#include <errno.h>
#include <unistd.h>

#include "bus1.h"
#include "internal.h"
#include "numbers.h"

static uint64_t from_pointer(const void *pointer)
{
	return (uintptr_t)pointer;
}

EXPORT int bus1_supported(void)
{
	const size_t too_large = (size_t)1 << 20;
	int saved = errno;

	/*
	 * In another kernel the numbers may stand for other calls, so one error is
	 * not enough. No pointer is followed here.
	 */
	if (syscall(__NR_bus1_open, 8L, too_large, 0U) >= 0 || errno != E2BIG ||
	    syscall(__NR_bus1_open, 8L, (size_t)1, 0U) >= 0 ||
	    errno != EINVAL ||
	    syscall(__NR_bus1_peer_query, -1, NULL, (size_t)0, 0U) >= 0 ||
	    errno != EBADF)
		return 0;

	errno = saved;
	return 1;
}

EXPORT int bus1_open(unsigned int flags)
{
	return syscall(__NR_bus1_open, NULL, (size_t)0, flags);
}

EXPORT int bus1_open_limits(uint64_t max_slices, uint64_t max_handles,
			    uint64_t max_inflight_bytes,
			    uint64_t max_inflight_fds, unsigned int flags)
{
	struct bus1_peer_limits limits = {
		.max_slices = max_slices,
		.max_handles = max_handles,
		.max_inflight_bytes = max_inflight_bytes,
		.max_inflight_fds = max_inflight_fds,
	};

	return syscall(__NR_bus1_open, &limits,
		       (size_t)BUS1_PEER_LIMITS_SIZE_VER0, flags);
}

EXPORT int bus1_peer_disconnect(int fd, unsigned int flags)
{
	return syscall(__NR_bus1_peer_disconnect, fd, flags);
}

EXPORT int bus1_peer_query(int fd, struct bus1_peer_info *info,
			   unsigned int flags)
{
	return syscall(__NR_bus1_peer_query, fd, info,
		       (size_t)BUS1_PEER_INFO_SIZE_VER0, flags);
}

EXPORT int bus1_peer_reset(int fd, uint64_t max_slices, uint64_t max_handles,
			   uint64_t max_inflight_bytes,
			   uint64_t max_inflight_fds, unsigned int flags)
{
	struct bus1_peer_limits limits = {
		.max_slices = max_slices,
		.max_handles = max_handles,
		.max_inflight_bytes = max_inflight_bytes,
		.max_inflight_fds = max_inflight_fds,
	};

	return syscall(__NR_bus1_peer_reset, fd, &limits,
		       (size_t)BUS1_PEER_LIMITS_SIZE_VER0, flags);
}

/* 1: the user has no room for it; 0: there is; -1: another error. */
static int probe_limits(const struct bus1_peer_limits *limits)
{
	int peer = syscall(__NR_bus1_open, limits,
			   (size_t)BUS1_PEER_LIMITS_SIZE_VER0, 0U);

	if (peer < 0)
		return errno == ENOSPC ? 1 : -1;
	close(peer);
	return 0;
}

/* What is to be reserved besides what is, as the kernel counts it. */
static uint64_t more_than(uint64_t have, uint64_t want, uint64_t unit, int reset)
{
	if (!reset)
		return want;
	if (want == BUS1_LIMIT_KEEP)
		return 0;
	have = (have + unit - 1) / unit;
	want = (want + unit - 1) / unit;
	return want > have ? (want - have) * unit : 0;
}

static uint64_t reserved(uint64_t max, uint64_t used)
{
	return max > used ? max : used;
}

EXPORT const char *bus1_limits_explain(int fd, uint64_t max_slices,
				       uint64_t max_handles,
				       uint64_t max_inflight_bytes,
				       uint64_t max_inflight_fds)
{
	static const char name[][sizeof("kernel.bus1.max_inflight_kbytes")] = {
		"kernel.bus1.max_slices",
		"kernel.bus1.max_handles",
		"kernel.bus1.max_inflight_kbytes",
		"kernel.bus1.max_inflight_fds",
	};
	struct bus1_peer_limits limits = { 0 };
	struct bus1_peer_info info = { 0 };
	uint64_t more[4];
	int reset = fd >= 0, i, r;

	if (reset && bus1_peer_query(fd, &info, 0) < 0)
		return NULL;
	more[0] = more_than(reserved(info.max_slices, info.used_slices),
			    max_slices, 1, reset);
	more[1] = more_than(reserved(info.max_handles, info.used_handles),
			    max_handles, 1, reset);
	more[2] = more_than(reserved(info.max_inflight_bytes,
				     info.used_inflight_bytes),
			    max_inflight_bytes, 1024, reset);
	more[3] = more_than(reserved(info.max_inflight_fds,
				     info.used_inflight_fds),
			    max_inflight_fds, 1, reset);

	/* One after the other, in a peer that takes nothing else. */
	r = probe_limits(&limits);
	if (r)
		return r > 0 && !reset ? "user.max_bus1_peers" : NULL;
	for (i = 0; i < 4; i++) {
		limits.max_slices = i == 0 ? more[0] : 0;
		limits.max_handles = i == 1 ? more[1] : 0;
		limits.max_inflight_bytes = i == 2 ? more[2] : 0;
		limits.max_inflight_fds = i == 3 ? more[3] : 0;
		r = probe_limits(&limits);
		if (r)
			return r > 0 ? name[i] : NULL;
	}
	errno = 0;
	return NULL;
}

EXPORT int bus1_handle_transfer(int src_fd, int dst_fd, const uint64_t *src,
				uint64_t *dst, size_t n, unsigned int flags)
{
	return syscall(__NR_bus1_handle_transfer, src_fd, dst_fd, src, dst, n,
		       flags);
}

EXPORT int bus1_handle_release(int fd, const uint64_t *handles, size_t n,
			       unsigned int flags)
{
	return syscall(__NR_bus1_handle_release, fd, handles, n, flags);
}

EXPORT int bus1_node_destroy(int fd, const uint64_t *nodes, size_t n,
			      unsigned int flags)
{
	return syscall(__NR_bus1_node_destroy, fd, nodes, n, flags);
}

EXPORT int bus1_slice_release(int fd, const uint64_t *offsets, size_t n,
			      unsigned int flags)
{
	return syscall(__NR_bus1_slice_release, fd, offsets, n, flags);
}

EXPORT int bus1_send(int fd, const uint64_t *dests, size_t n_dests,
		     const struct iovec *vecs, size_t n_vecs,
		     const uint64_t *handles, size_t n_handles,
		     const int *fds, size_t n_fds, unsigned int flags)
{
	return bus1_send_errors(fd, dests, n_dests, vecs, n_vecs,
				handles, n_handles, fds, n_fds, NULL, flags);
}

unsigned int bus1_args_payload(struct bus1_send_args *args,
			       const struct bus1_payload *payload)
{
	args->ptr_vecs = from_pointer(payload->vecs);
	args->n_vecs = payload->n_vecs;
	args->ptr_handles = from_pointer(payload->handles);
	args->n_handles = payload->n_handles;
	args->ptr_fds = from_pointer(payload->fds);
	args->n_fds = payload->n_fds;
	return (payload->n_handles ? BUS1_SEND_HANDLES : 0) |
	       (payload->n_fds ? BUS1_SEND_FDS : 0);
}

unsigned int bus1_args_request(struct bus1_send_args *args,
			       const struct bus1_request *request)
{
	args->ptr_destinations = from_pointer(&request->destination);
	args->n_destinations = 1;
	args->reply_id = request->reply_id;
	args->reply_max_bytes = request->reply_max_bytes;
	args->reply_max_handles = request->reply_max_handles;
	args->reply_max_fds = request->reply_max_fds;
	return bus1_args_payload(args, &request->payload) | BUS1_SEND_REPLY;
}

EXPORT int bus1_send_errors(int fd, const uint64_t *dests, size_t n_dests,
			    const struct iovec *vecs, size_t n_vecs,
			    const uint64_t *handles, size_t n_handles,
			    const int *fds, size_t n_fds,
			    int32_t *errors, unsigned int flags)
{
	struct bus1_payload payload = {
		.vecs = vecs,
		.n_vecs = n_vecs,
		.handles = handles,
		.n_handles = n_handles,
		.fds = fds,
		.n_fds = n_fds,
	};
	struct bus1_send_args args = {
		.ptr_destinations = from_pointer(dests),
		.n_destinations = n_dests,
		.ptr_errors = from_pointer(errors),
	};

	flags |= bus1_args_payload(&args, &payload);
	return syscall(__NR_bus1_send, fd, &args,
		       (size_t)BUS1_SEND_ARGS_SIZE_VER0, flags);
}

EXPORT int bus1_send_request(int fd, const struct bus1_request *request,
			     unsigned int flags)
{
	struct bus1_send_args args = { 0 };

	flags |= bus1_args_request(&args, request);
	return syscall(__NR_bus1_send, fd, &args,
		       (size_t)BUS1_SEND_ARGS_SIZE_VER0, flags);
}

EXPORT int bus1_recv(int fd, struct bus1_recv_args *args, unsigned int flags)
{
	return syscall(__NR_bus1_recv, fd, args,
		       (size_t)BUS1_RECV_ARGS_SIZE_VER0, flags);
}

EXPORT int bus1_call(int fd, const struct bus1_send_args *send,
		     struct bus1_recv_args *recv, unsigned int flags)
{
	return syscall(__NR_bus1_call, fd, send,
		       (size_t)BUS1_SEND_ARGS_SIZE_VER0, recv,
		       (size_t)BUS1_RECV_ARGS_SIZE_VER0, flags);
}
