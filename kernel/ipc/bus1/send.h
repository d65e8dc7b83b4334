/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1: sending
 */
#ifndef _BUS1_SEND_H
#define _BUS1_SEND_H

#include <linux/uio.h>

#include "peer.h"

/**
 * struct bus1_send - a message to send, in kernel memory
 * @flags:	BUS1_SEND_*
 * @n_destinations: how many
 * @destinations: handle IDs
 * @errors:	NULL, or one per destination: why it was refused, or 0
 * @looked_up:	set once the destinations were looked up
 * @n_handles:	how many
 * @handles:	handle IDs to pass along
 * @n_files:	how many
 * @files:	files to pass along; the caller's references stay
 * @payload:	what to send
 */
struct bus1_send {
	u32 flags;
	size_t n_destinations;
	const u64 *destinations;
	s32 *errors;
	bool looked_up;
	size_t n_handles;
	const u64 *handles;
	size_t n_files;
	struct file **files;
	struct iov_iter payload;
};

int bus1_peer_send(struct bus1_peer *peer, struct bus1_send *send);

#endif /* _BUS1_SEND_H */
