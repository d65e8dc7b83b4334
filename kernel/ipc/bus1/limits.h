/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1: every number and every mask of valid flags
 */
#ifndef _BUS1_LIMITS_H
#define _BUS1_LIMITS_H

#include <linux/build_bug.h>
#include <linux/limits.h>
#include <linux/sizes.h>
#include <uapi/linux/bus1.h>
#include <uapi/linux/uio.h>

/* Flags that this kernel knows, per call. */
#define BUS1_OPEN_FLAGS		BUS1_OPEN_NONBLOCK
#define BUS1_RESET_FLUSH_ALL	(BUS1_RESET_FLUSH | BUS1_RESET_FLUSH_SEED)
#define BUS1_RESET_FLAGS	(BUS1_RESET_FLUSH_ALL | BUS1_RESET_ADOPT)
#define BUS1_DESTROY_FLAGS	BUS1_DESTROY_RELEASE_HANDLES
#define BUS1_SEND_FLAGS		(BUS1_SEND_CONTINUE | BUS1_SEND_SEED | \
				 BUS1_SEND_REPLY | BUS1_SEND_HANDLES | \
				 BUS1_SEND_FDS)
#define BUS1_RECV_FLAGS		(BUS1_RECV_SEED | BUS1_RECV_INSTALL_FDS | \
				 BUS1_RECV_NONBLOCK | BUS1_RECV_RELEASE | \
				 BUS1_RECV_REPLY)
#define BUS1_CALL_SEND_FLAGS	(BUS1_SEND_FLAGS & ~BUS1_SEND_SEED)
#define BUS1_CALL_RECV_FLAGS	(BUS1_RECV_FLAGS & ~(BUS1_RECV_SEED | \
						     BUS1_RECV_REPLY))

/* bus1_call() packs the flags of both halves into one word. */
static_assert(BUS1_SEND_FLAGS < (1U << 16));
static_assert(BUS1_RECV_FLAGS < (1U << 16));

/* Bits of a handle ID that its owner may not choose. */
#define BUS1_HANDLE_FLAGS	(BUS1_HANDLE_FLAG_MANAGED | \
				 BUS1_HANDLE_FLAG_REMOTE | \
				 BUS1_HANDLE_FLAG_NEW)
/* Where the counter of kernel-chosen IDs starts in an ID. */
#define BUS1_HANDLE_ID_SHIFT	4
static_assert((BUS1_HANDLE_FLAGS | BUS1_HANDLE_FLAG_REPLY) ==
	      (1ULL << BUS1_HANDLE_ID_SHIFT) - 1);

static_assert(BUS1_VEC_MAX == UIO_MAXIOV);

/*
 * Every limit fits into an int, so that the sum of two fits into an s64, and what is
 * counted for a user into a long. Bytes are counted for a user in KiB, since 32 bits
 * would be enough for 2 GiB only.
 */
#define BUS1_LIMIT_MAX		INT_MAX

/*
 * The default limits of a peer. A service with these serves as many users as
 * abi.md says, see BUS1_GUARANTEED, and a client has room for a few large replies.
 */
#define BUS1_PEER_SLICES	16384
#define BUS1_PEER_HANDLES	65536
#define BUS1_PEER_BYTES		SZ_16M
#define BUS1_PEER_FDS		1024

/*
 * A user may reserve this many times that: a session runs a few hundred programs,
 * each with a peer or two. It works the other way round, too: whatever the sysctls
 * say, a default peer gets this part of it, so that this many can be opened.
 */
#define BUS1_PEER_SHARE		512

/*
 * Defaults of what all peers of one user may reserve together. To reserve is not to
 * use, and most of it is never used. These numbers bound what a user may have, as
 * fs.epoll.max_user_watches, RLIMIT_MSGQUEUE and fs.pipe-user-pages-soft do for other
 * things. Memory is bounded by the cgroup that all of it is charged to. If everything
 * is used, it is 8 GiB in pools, which can be swapped as tmpfs can, and more handles
 * and messages than a small machine has memory for. The same is true of the sockets, of
 * 208 KiB each, that RLIMIT_NPROC times RLIMIT_NOFILE allow. An administrator who has
 * users that are not trusted, and no cgroups, lowers the sysctls.
 */
#define BUS1_USER_SLICES	(BUS1_PEER_SHARE * BUS1_PEER_SLICES)
#define BUS1_USER_HANDLES	(BUS1_PEER_SHARE * BUS1_PEER_HANDLES)
#define BUS1_USER_KBYTES	(BUS1_PEER_SHARE * (BUS1_PEER_BYTES / SZ_1K))
#define BUS1_USER_FDS		(BUS1_PEER_SHARE * BUS1_PEER_FDS)
static_assert(BUS1_USER_HANDLES <= BUS1_LIMIT_MAX);
static_assert(BUS1_USER_KBYTES <= BUS1_LIMIT_MAX);

/* More than the default peers that fit: a user may open smaller ones. */
#define BUS1_USER_PEERS		4096
static_assert(BUS1_USER_PEERS >= BUS1_PEER_SHARE);

/*
 * The share rule accepts a charge c of a claimant that holds s when
 * s + c <= (L - U + s) / (n + 1). Suppose n - 1 claimants took all they could.
 * The first got at most L / 2, and each later one at most 1 / (n + 1) of what
 * the others left, so that L - U >= L / n remains and the n-th claimant gets at
 * least L / (n * (n + 1)), whatever the others did. With more claimants than that
 * nothing is promised: those that take again whatever is given back can keep an
 * empty one out for ever. The numbers that abi.md promises for the default limits
 * follow:
 */
#define BUS1_GUARANTEED(limit, n)	((limit) / ((n) * ((n) + 1)))
static_assert(BUS1_GUARANTEED(BUS1_PEER_SLICES, 127) >= 1);
static_assert(BUS1_GUARANTEED(BUS1_PEER_FDS, 31) >= 1);
static_assert(BUS1_GUARANTEED(BUS1_PEER_BYTES, 15) >= SZ_64K);
static_assert(BUS1_GUARANTEED(BUS1_PEER_BYTES, 3) >= SZ_1M);

/*
 * Pages below this offset stay allocated when no slice uses them: enough for
 * one message of 64 KiB in flight and one held, without going to the page
 * allocator for each.
 */
#define BUS1_POOL_CACHE		SZ_128K
/* Slices are placed at multiples of this; the smallest takes this much. */
#define BUS1_POOL_ALIGN		8
/*
 * The pool is a sparse file of this size. Slices in use are bounded by quota;
 * best fit keeps the file's used part within a small factor of that, and the
 * address space of a receiver bounds what it could map anyway.
 */
#define BUS1_POOL_SIZE		(1ULL << 40)

/* A small message is laid out in its object as it would be in a slice. */
static_assert(!(BUS1_INLINE_MAX % BUS1_POOL_ALIGN));

/* So many handles and descriptors fit into a message without more memory. */
#define BUS1_INLINE_ITEMS	4

/* A peer keeps the memory of so many messages for the next senders. */
#define BUS1_SPARES		4

/* How many steps are made before a spin lock is released for a moment. */
#define BUS1_BATCH		64

/*
 * The farthest that a receiver postpones an open transaction. One that is never
 * fixed costs the receiver one step in half as many messages, and no clock can be
 * driven near its end.
 */
#define BUS1_GAP_MAX		(1U << 20)

/* How often a send faults its payload in before it copies it to a buffer. */
#define BUS1_FAULT_TRIES	3

/*
 * How often a result is stored again after its pages were faulted in. They can be
 * reclaimed meanwhile; but there is memory that can be written to and faults for
 * ever, a shadow stack for example.
 */
#define BUS1_STORE_TRIES	64

#endif /* _BUS1_LIMITS_H */
