/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1: peers
 */
#ifndef _BUS1_PEER_H
#define _BUS1_PEER_H

#include <linux/atomic.h>

#include "message.h"

/**
 * struct bus1_peer - a participant
 * @space:	its queue, its handles, its locks
 * @pool:	its receive memory; the lists under @space.data
 * @id:		names it for people; constant
 * @ident:	who it is, referenced, and whose user's limits it has; @space.data
 * @seed:	the seed, or NULL; @space.local
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
 *	Its nodes are destroyed, no message is in its queue, it holds no handle,
 *	slice or seed. Others may still hold dead handles to its nodes, and
 *	have looked up its nodes to send to; a send of its own that had got as far
 *	may still be committed.
 * freed
 *	The last of these is gone, and the file is closed.
 */
struct bus1_peer {
	struct bus1_space space;
	struct bus1_pool pool;
	u64 id;
	struct bus1_ident *ident;
	struct bus1_message *seed;
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
bool bus1_peer_has_more_locked(struct bus1_peer *peer, struct bus1_entry *entry);
int bus1_peer_query(struct bus1_peer *peer, struct bus1_peer_info *info);
int bus1_peer_adopt(struct bus1_peer *peer,
		    const struct bus1_peer_limits *limits);

struct bus1_ident *bus1_peer_ident(struct bus1_peer *peer);

int bus1_peer_find_slice(struct bus1_peer *peer, u64 offset, u64 *serial);
int bus1_peer_release_slice(struct bus1_peer *peer, u64 offset, u64 serial);
int bus1_peer_release_slices(struct bus1_peer *peer, const u64 *offsets,
			     size_t n, u32 flags);
int bus1_peer_release_handle(struct bus1_peer *peer, u64 id);
int bus1_peer_release_handles(struct bus1_peer *peer, const u64 *ids, size_t n,
			      u32 flags);

/* How to allocate what stays with a receiver and is charged to its cgroup. */
#define BUS1_GFP_RECEIVER \
	(GFP_KERNEL_ACCOUNT | __GFP_NORETRY | __GFP_NOWARN)

#endif /* _BUS1_PEER_H */
