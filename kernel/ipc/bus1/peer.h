/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1: peers
 */
#ifndef _BUS1_PEER_H
#define _BUS1_PEER_H

#include <linux/atomic.h>
#include <linux/wait_bit.h>

#include "message.h"

/**
 * struct bus1_peer - a participant
 * @space:	its queue, its handles, its locks
 * @pool:	its receive memory; the lists under @space.data
 * @id:		names it for people; constant
 * @ident:	who it is, referenced; @space.data
 * @user:	the user whose peers it counts among until it is closed, referenced
 *		until then; @space.data
 * @seed:	the seed, or NULL; @space.local
 * @n_active:	sends of this peer that are being committed; waited for as a
 *		variable once it is down
 * @n_sent:	deliveries
 * @n_received:	entries received; @space.data
 * @n_waiting:	blocked receivers
 *
 * Life, in named steps:
 *
 * up
 *	Everything works.
 * down
 *	bus1_peer_disconnect() or the last close of the file said so. From now
 *	on every call returns -ESHUTDOWN and every send to it -EHOSTUNREACH.
 *	The same locks hold as before.
 * drained
 *	No send by it and no message to it is between stage and commit any
 *	more, its nodes are destroyed, its queue is empty, it holds no handle,
 *	slice or seed. Others may still hold dead handles to its nodes, and
 *	have looked up its nodes to send to.
 * freed
 *	The last of these is gone, and the file is closed.
 */
struct bus1_peer {
	struct bus1_space space;
	struct bus1_pool pool;
	u64 id;
	struct bus1_ident *ident;
	struct ucounts *user;
	struct bus1_message *seed;
	atomic_t n_active;
	atomic64_t n_sent;
	u64 n_received;
	atomic_t n_waiting;
};

static inline struct bus1_peer *bus1_peer_of(struct bus1_space *space)
{
	return container_of(space, struct bus1_peer, space);
}

int bus1_peer_init(void);
struct bus1_peer *bus1_peer_new(const struct bus1_peer_limits *limits);
void bus1_peer_close(struct bus1_peer *peer);
void bus1_peer_drop_spares(struct bus1_peer *peer);
int bus1_peer_set_limits(struct bus1_peer *peer,
			 const struct bus1_peer_limits *limits);
int bus1_peer_check_limits(const struct bus1_peer_limits *limits);
struct bus1_entry *bus1_peer_peek_locked(struct bus1_peer *peer);
int bus1_peer_query(struct bus1_peer *peer, struct bus1_peer_info *info);
int bus1_peer_adopt(struct bus1_peer *peer);

struct bus1_ident *bus1_peer_ident(struct bus1_peer *peer);

int bus1_peer_find_slice(struct bus1_peer *peer, u64 offset, u64 *serial);
int bus1_peer_release_slice(struct bus1_peer *peer, u64 offset, u64 serial);
int bus1_peer_release_slices(struct bus1_peer *peer, const u64 *offsets,
			     size_t n, u32 flags);
int bus1_peer_release_handle(struct bus1_peer *peer, u64 id);
int bus1_peer_release_handles(struct bus1_peer *peer, const u64 *ids, size_t n,
			      u32 flags);

static inline void bus1_peer_end_active(struct bus1_peer *peer)
{
	/* A full barrier: the mark was set before anybody waits for the count. */
	if (atomic_dec_and_test(&peer->n_active) &&
	    unlikely(READ_ONCE(peer->space.down)))
		wake_up_var(&peer->n_active);
}

/**
 * bus1_peer_begin() - begin to commit what a peer sends
 * @peer:	peer
 *
 * Return: 0, and bus1_peer_end() is to follow; or -ESHUTDOWN.
 */
static inline int bus1_peer_begin(struct bus1_peer *peer)
{
	atomic_inc(&peer->n_active);
	/* Pairs with teardown.c, settle_peer(): one of the two sees the other. */
	smp_mb__after_atomic();
	if (likely(!READ_ONCE(peer->space.down)))
		return 0;
	bus1_peer_end_active(peer);
	return -ESHUTDOWN;
}

/**
 * bus1_peer_end() - all that a peer sent is committed
 * @peer:	peer
 * @n_sent:	number of deliveries
 */
static inline void bus1_peer_end(struct bus1_peer *peer, size_t n_sent)
{
	if (n_sent)
		atomic64_add(n_sent, &peer->n_sent);
	bus1_peer_end_active(peer);
}

/* How to allocate what stays with a receiver and is charged to its cgroup. */
#define BUS1_GFP_RECEIVER \
	(GFP_KERNEL_ACCOUNT | __GFP_NORETRY | __GFP_NOWARN)

#endif /* _BUS1_PEER_H */
