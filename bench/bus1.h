/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The bus1 system calls as the scenarios use them. Whatever fails ends the
 * program: a figure of an operation that failed would be worthless.
 */
#ifndef BENCH_BUS1_H
#define BENCH_BUS1_H

#include <sys/uio.h>
#include <linux/bus1.h>

/* How much of a pool the scenarios map: more than any of them needs. */
#define POOL_LENGTH ((__u64)256 << 20)

/* No slice to release yet. */
#define NO_SLICE BUS1_OFFSET_INVALID

/* Where a small message goes; each thread has its own. */
extern __thread __u64 bus1_inbox[BUS1_INLINE_MAX / 8];

int peer_open(void);
int peer_open_limits(__u64 slices, __u64 handles, __u64 bytes);
void peer_map(int peer);
__u64 peer_node(int owner, __u64 node);
__u64 peer_give(int owner, __u64 node, int holder);
void peer_release(int peer, __u64 handle);
void peer_destroy(int peer, __u64 node);
void slice_release(int peer, __u64 slice);
void bus1_post(int peer, const __u64 *dests, size_t n_dests, size_t n);
void bus1_send_args(int peer, const struct bus1_send_args *args,
		    unsigned int flags);
int bus1_try_recv(int peer, struct bus1_recv_args *args, unsigned int flags);
__u64 bus1_take(int peer, __u64 slice);
int bus1_do_call(int peer, const struct bus1_send_args *send,
		 struct bus1_recv_args *recv, unsigned int flags);
const char *bus1_call_missing(void);

static inline __u64 to_u64(const void *pointer)
{
	return (uintptr_t)pointer;
}

#endif /* BENCH_BUS1_H */
