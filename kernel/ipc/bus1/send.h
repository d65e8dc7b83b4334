/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1: sending
 */
#ifndef _BUS1_SEND_H
#define _BUS1_SEND_H

#include <linux/uio.h>

#include "ask.h"

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
 * @reply:	with BUS1_SEND_REPLY the reply that is asked for
 * @await:	the calling thread if it goes on to wait for the reply, not
 *		registered yet; registered when the send succeeds. Or NULL
 * @release:	slice of the sender to release with the send, or
 *		BUS1_OFFSET_INVALID
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
	struct bus1_budget reply;
	struct bus1_await *await;
	u64 release;
};

int bus1_peer_send(struct bus1_peer *peer, struct bus1_send *send);

#endif /* _BUS1_SEND_H */
