/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1: sending
 */
#ifndef _BUS1_SEND_H
#define _BUS1_SEND_H

#include <linux/uio.h>

#include "commit.h"

/**
 * struct bus1_send - a message to send
 * @args:	the call's arguments; user pointers in it are not looked at
 * @flags:	BUS1_SEND_*
 * @looked_up:	set once the destinations were looked up
 * @destinations: handle IDs
 * @errors:	NULL, or one per destination: why it was refused, or 0
 * @handles:	handle IDs to pass along
 * @files:	files to pass along; the caller's references stay
 * @payload:	what to send
 * @await:	the calling thread if it goes on to wait for the reply, not
 *		registered yet; registered when the send succeeds. Or NULL
 * @release:	slice of the sender to release when the message is sent, or
 *		BUS1_OFFSET_INVALID
 */
struct bus1_send {
	struct bus1_send_args args;
	u32 flags;
	u32 looked_up;
	const u64 *destinations;
	s32 *errors;
	const u64 *handles;
	struct file **files;
	struct iov_iter payload;
	struct bus1_await *await;
	u64 release;
};

int bus1_peer_send(struct bus1_peer *peer, struct bus1_send *send);

struct bus1_reply *bus1_request_pay(struct bus1_peer *peer,
				    const struct bus1_send_args *args,
				    struct bus1_peer *to, struct bus1_await *await);
void bus1_request_undo(struct bus1_reply *asks, struct bus1_await *await);

int bus1_request_move(struct bus1_name *names, size_t n, struct bus1_peer *peer,
		      struct bus1_message *message, struct bus1_tx *tx);
void bus1_request_end_moves(struct bus1_name *names, size_t n,
			    struct bus1_peer *peer, struct bus1_tx *tx, int err);

int bus1_payload_read(const struct iov_iter *payload, struct bus1_message *message);
int bus1_payload_copy(struct bus1_message *message, const void *buffer,
		      const struct iov_iter *payload,
		      struct bus1_message *first);
int bus1_payload_attach(struct bus1_message *message, const struct bus1_name *names,
			u32 *n_attached);
int bus1_payload_fault_in(struct iov_iter *payload, unsigned int try,
			  void **buffer);

#endif /* _BUS1_SEND_H */
