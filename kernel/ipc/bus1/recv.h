/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1: receiving
 */
#ifndef _BUS1_RECV_H
#define _BUS1_RECV_H

#include <linux/ktime.h>

#include "message.h"

/**
 * struct bus1_recv - how to receive, and what was received
 * @flags:	BUS1_RECV_*
 * @nonblock:	whether not to wait
 * @picked:	whether the caller was picked, and counts in &struct bus1_peer.n_coming
 * @has_buffer:	whether the caller has a buffer for small messages
 * @max_offset:	how much of the pool the caller has mapped
 * @buffer_size: how much fits into the buffer
 * @deadline:	CLOCK_MONOTONIC of the host; 0 for none
 * @out:	what was received, in the form of the ABI
 * @data:	what goes to the buffer
 * @n_data:	how many bytes
 * @store:	hands @data, then @out to the caller. Called under a spin lock, and turns
 *		page faults off; if it fails, which has to be with -EFAULT, nothing is
 *		received
 */
struct bus1_recv {
	u32 flags;
	bool nonblock;
	bool picked;
	bool has_buffer;
	u64 max_offset;
	u64 buffer_size;
	ktime_t deadline;
	struct bus1_recv_args *out;
	const void *data;
	size_t n_data;
	int (*store)(struct bus1_recv *recv);
};

struct bus1_entry *bus1_recv_peek_locked(struct bus1_peer *peer);
int bus1_peer_recv(struct bus1_peer *peer, struct bus1_recv *recv);
int bus1_await_begin(struct bus1_await *await, struct bus1_peer *peer, u64 id);
int bus1_await_reply(struct bus1_await *await, struct bus1_peer *peer,
		     struct bus1_recv *recv);
void bus1_await_leave(struct bus1_await *await, struct bus1_peer *peer);

/**
 * bus1_await_end() - leave
 * @await:	the calling thread
 * @peer:	requester
 */
static inline void bus1_await_end(struct bus1_await *await, struct bus1_peer *peer)
{
	/* A thread that took the reply has left already. */
	if (unlikely(await->reply))
		bus1_await_leave(await, peer);
}

#endif /* _BUS1_RECV_H */
