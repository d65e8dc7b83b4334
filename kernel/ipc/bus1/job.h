/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1: what a send is to do, and how far it is
 */
#ifndef _BUS1_JOB_H
#define _BUS1_JOB_H

#include <linux/uio.h>

#include "ask.h"
#include "commit.h"

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

/**
 * struct bus1_job - one send
 * @peer:	who sends
 * @send:	what was asked for
 * @ident:	who sends, referenced, once it was looked up
 * @legs:	one per destination
 * @n_legs:	how many; one for a seed
 * @names:	carried handles
 * @n_created:	how many nodes were created; the sender's @local is held if any
 * @locked:	whether the sender's @local is held
 * @asks:	reply that this request asks for, or NULL
 * @n_replies:	how many of @names are reply handles
 * @claimed:	whether reply handles were claimed
 * @busy:	after -EBUSY a reply whose handle another call uses, referenced
 * @refused:	reply that was cancelled, or whose requester goes down; referenced
 * @serial:	tells the slice to release from a later one at the same offset
 * @n_bytes:	length of the payload
 * @buffer:	the payload in kernel memory, or NULL
 * @few_legs:	memory for @legs of a small message
 * @few_names:	memory for @names of a small message
 */
struct bus1_job {
	struct bus1_peer *peer;
	struct bus1_send *send;
	struct bus1_ident *ident;
	struct bus1_leg *legs;
	size_t n_legs;
	struct bus1_name *names;
	size_t n_created;
	bool locked;
	struct bus1_reply *asks;
	size_t n_replies;
	bool claimed;
	struct bus1_reply *busy;
	struct bus1_reply *refused;
	u64 serial;
	size_t n_bytes;
	void *buffer;
	struct bus1_leg few_legs[2];
	struct bus1_name few_names[4];
};

/**
 * bus1_job_is_seed() - whether a send makes a seed
 * @job:	send
 *
 * Return: true if it does.
 */
static inline bool bus1_job_is_seed(const struct bus1_job *job)
{
	return job->send->flags & BUS1_SEND_SEED;
}

#endif /* _BUS1_JOB_H */
