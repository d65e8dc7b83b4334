/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1: handing one message to its receiver
 */
#ifndef _BUS1_DELIVER_H
#define _BUS1_DELIVER_H

#include <linux/ktime.h>

#include "peer.h"

/**
 * struct bus1_recv - how to receive, and what was received
 * @flags:	BUS1_RECV_*
 * @nonblock:	whether not to wait
 * @max_offset:	how much of the pool the caller has mapped
 * @has_buffer:	whether the caller has a buffer for small messages
 * @buffer_size: how much fits there
 * @deadline:	CLOCK_MONOTONIC of the host; 0 for none
 * @out:	what was received, in the form of the ABI
 * @data:	what goes to the buffer
 * @n_data:	how many bytes
 * @store:	hands @data, then @out to the caller. Called under a spin lock with page faults
 *		off; on failure, which has to be -EFAULT, nothing is received
 */
struct bus1_recv {
	u32 flags;
	bool nonblock;
	u64 max_offset;
	bool has_buffer;
	u64 buffer_size;
	ktime_t deadline;
	struct bus1_recv_args *out;
	const void *data;
	size_t n_data;
	int (*store)(struct bus1_recv *recv);
};

int bus1_deliver(struct bus1_peer *peer, struct bus1_recv *recv,
		 struct bus1_message *message, const struct bus1_place *place,
		 struct bus1_reply *reply);

#endif /* _BUS1_DELIVER_H */
