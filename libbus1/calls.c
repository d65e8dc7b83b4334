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
	int saved = errno;

	/* An invalid descriptor is the first thing a kernel with bus1 sees. */
	if (syscall(__NR_bus1_peer_query, -1, NULL, (size_t)0, 0U) < 0 &&
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

EXPORT int bus1_nodes_destroy(int fd, const uint64_t *nodes, size_t n,
			      unsigned int flags)
{
	return syscall(__NR_bus1_nodes_destroy, fd, nodes, n, flags);
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

EXPORT int bus1_send_errors(int fd, const uint64_t *dests, size_t n_dests,
			    const struct iovec *vecs, size_t n_vecs,
			    const uint64_t *handles, size_t n_handles,
			    const int *fds, size_t n_fds,
			    int32_t *errors, unsigned int flags)
{
	struct bus1_send_args args = {
		.ptr_destinations = from_pointer(dests),
		.n_destinations = n_dests,
		.ptr_errors = from_pointer(errors),
		.ptr_vecs = from_pointer(vecs),
		.n_vecs = n_vecs,
		.ptr_handles = from_pointer(handles),
		.n_handles = n_handles,
		.ptr_fds = from_pointer(fds),
		.n_fds = n_fds,
	};

	if (n_handles)
		flags |= BUS1_SEND_HANDLES;
	if (n_fds)
		flags |= BUS1_SEND_FDS;

	return syscall(__NR_bus1_send, fd, &args,
		       (size_t)BUS1_SEND_ARGS_SIZE_VER0, flags);
}

EXPORT int bus1_recv(int fd, struct bus1_recv_args *args, unsigned int flags)
{
	return syscall(__NR_bus1_recv, fd, args,
		       (size_t)BUS1_RECV_ARGS_SIZE_VER0, flags);
}
