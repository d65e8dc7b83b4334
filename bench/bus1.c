// SPDX-License-Identifier: GPL-2.0
/*
 * The bus1 system calls. They are called bare, as the C library calls those of
 * the other mechanisms: libbus1's long argument lists would be counted too.
 */
#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench.h"
#include "bus1.h"

__thread __u64 bus1_inbox[BUS1_INLINE_MAX / 8];

int peer_open_limits(__u64 slices, __u64 handles, __u64 bytes)
{
	struct bus1_peer_limits limits = {
		.max_slices = slices,
		.max_handles = handles,
		.max_inflight_bytes = bytes,
		.max_inflight_fds = 16,
	};
	int fd = syscall(__NR_bus1_open, &limits, sizeof(limits), 0);

	check(fd >= 0, "bus1_open");
	return fd;
}

int peer_open(void)
{
	int fd = syscall(__NR_bus1_open, NULL, 0, 0);

	check(fd >= 0, "bus1_open");
	return fd;
}

/* A receiver that never looks would not have to map anything; this one does. */
void peer_map(int peer)
{
	check(mmap(NULL, POOL_LENGTH, PROT_READ, MAP_SHARED, peer, 0) !=
	      MAP_FAILED, "mmap of a pool");
}

/* Gives @holder a handle to @node, which may be a new one. */
__u64 peer_give(int owner, __u64 node, int holder)
{
	__u64 id;

	check(!syscall(__NR_bus1_handle_transfer, owner, holder, &node, &id, 1,
		       0), "bus1_handle_transfer");
	return id;
}

__u64 peer_node(int owner, __u64 node)
{
	return peer_give(owner, node | BUS1_HANDLE_FLAG_NEW, owner);
}

void peer_release(int peer, __u64 handle)
{
	check(!syscall(__NR_bus1_handle_release, peer, &handle, 1, 0),
	      "bus1_handle_release");
}

void peer_destroy(int peer, __u64 node)
{
	check(!syscall(__NR_bus1_node_destroy, peer, &node, 1,
		       BUS1_DESTROY_RELEASE_HANDLES), "bus1_node_destroy");
}

void slice_release(int peer, __u64 slice)
{
	check(!syscall(__NR_bus1_slice_release, peer, &slice, 1, 0),
	      "bus1_slice_release");
}

void bus1_send_args(int peer, const struct bus1_send_args *args,
		    unsigned int flags)
{
	check(!syscall(__NR_bus1_send, peer, args, sizeof(*args), flags),
	      "bus1_send");
}

/* Sends @n bytes to all of @dests. */
void bus1_post(int peer, const __u64 *dests, size_t n_dests, size_t n)
{
	struct iovec vec = { outgoing, n };
	struct bus1_send_args args = {
		.ptr_destinations = to_u64(dests),
		.n_destinations = n_dests,
		.ptr_vecs = to_u64(&vec),
		.n_vecs = 1,
	};

	bus1_send_args(peer, &args, 0);
}

static void set_room(struct bus1_recv_args *args)
{
	args->max_offset = POOL_LENGTH;
	args->ptr_buffer = to_u64(bus1_inbox);
	args->buffer_size = sizeof(bus1_inbox);
}

int bus1_try_recv(int peer, struct bus1_recv_args *args, unsigned int flags)
{
	set_room(args);
	return syscall(__NR_bus1_recv, peer, args, sizeof(*args), flags);
}

/* Receives, gives back @slice in the same call, and returns the new one, if any. */
__u64 bus1_take(int peer, __u64 slice)
{
	struct bus1_recv_args args = { .release = slice };

	check(!bus1_try_recv(peer, &args, BUS1_RECV_RELEASE), "bus1_recv");
	return args.offset;
}

int bus1_do_call(int peer, const struct bus1_send_args *send,
		 struct bus1_recv_args *recv, unsigned int flags)
{
	set_room(recv);
	return syscall(__NR_bus1_call, peer, send, sizeof(*send), recv,
		       sizeof(*recv), flags);
}

/* NULL, or why nothing that needs bus1_call() can be measured. */
const char *bus1_call_missing(void)
{
	if (syscall(__NR_bus1_call, -1, NULL, 0, NULL, 0, 0) < 0 &&
	    errno == ENOSYS)
		return "this kernel has no bus1_call()";
	return NULL;
}
