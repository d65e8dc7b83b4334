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
 * @deadline:	CLOCK_MONOTONIC of the host; 0 for none
 * @out:	what was received, in the form of the ABI
 * @store:	hands @out to the caller. Called under a spin lock with page faults
 *		off; on failure, which has to be -EFAULT, nothing is received
 */
struct bus1_recv {
	u32 flags;
	bool nonblock;
	u64 max_offset;
	ktime_t deadline;
	struct bus1_recv_args *out;
	int (*store)(struct bus1_recv *recv);
};

int bus1_deliver(struct bus1_peer *peer, struct bus1_recv *recv,
		 struct bus1_message *message, const struct bus1_place *place,
		 struct bus1_reply *reply);

#endif /* _BUS1_DELIVER_H */
