// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: what a send puts into its messages
 */

/**
 * DOC: payload
 *
 * User memory is read with page faults off, since the sender's lock and memory of
 * receivers are held meanwhile. If a page is missing the send undoes everything, faults
 * the page in with nothing held, and begins again. After a few tries the payload is
 * copied to a buffer at the sender's expense. So no slice of a receiver, and no lock,
 * waits for user memory.
 */

#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "send.h"

/**
 * bus1_payload_read() - read the payload of a small message
 * @payload:	what to read
 * @message:	where to
 *
 * Return: 0; -EFAULT if a page is not in memory.
 */
int bus1_payload_read(const struct iov_iter *payload, struct bus1_message *message)
{
	size_t n = message->n_bytes, done;
	struct iov_iter iter;

	pagefault_disable();
	/* Most payloads are one piece, which needs no walk. */
	if (likely(iter_is_ubuf(payload))) {
		done = n - __copy_from_user_inatomic(message->data,
						     iter_iov_addr(payload), n);
	} else {
		iter = *payload;
		done = copy_from_iter(message->data, n, &iter);
	}
	pagefault_enable();
	return done < n ? -EFAULT : 0;
}

static int copy_to(struct bus1_message *message, const void *buffer,
		   const struct iov_iter *payload, struct bus1_message *first)
{
	struct iov_iter iter = *payload;

	if (buffer)
		return bus1_message_fill(message, 0, buffer, message->n_bytes);
	if (first)
		return bus1_message_copy(message, first, message->n_bytes);
	if (bus1_message_is_small(message))
		return bus1_payload_read(payload, message);
	return bus1_pool_write(&message->peer->pool, &message->slice, &iter);
}

/**
 * bus1_payload_copy() - copy the payload to a message
 * @message:	where to
 * @buffer:	the payload in kernel memory, or NULL
 * @payload:	the payload
 * @first:	message that it was copied to already, or NULL
 *
 * What it needs of the receiver's pool is charged to the receiver's cgroup.
 *
 * Return: 0; -EFAULT if a page is not in memory; or the error with which a page of the
 * pool could not be had.
 */
int bus1_payload_copy(struct bus1_message *message, const void *buffer,
		      const struct iov_iter *payload,
		      struct bus1_message *first)
{
	struct bus1_ident *ident;
	struct mem_cgroup *old;
	int err;

	if (bus1_message_is_small(message))
		return copy_to(message, buffer, payload, first);
	ident = bus1_peer_ident(message->peer);
	old = set_active_memcg(ident->memcg);
	err = copy_to(message, buffer, payload, first);
	if (!err)
		err = bus1_message_prepare_tail(message);
	set_active_memcg(old);
	bus1_ident_put(ident);
	return err;
}

/* What is new to the receiver is charged to its cgroup. */
static noinline int attach_new(struct bus1_message *message, u32 i,
			       struct bus1_node *node)
{
	struct bus1_ident *ident = bus1_peer_ident(message->peer);
	struct mem_cgroup *old;
	int err;

	old = set_active_memcg(ident->memcg);
	err = bus1_message_attach(message, i, node, BUS1_GFP_RECEIVER);
	set_active_memcg(old);
	bus1_ident_put(ident);
	return err;
}

/**
 * bus1_payload_attach() - let a message carry handles
 * @message:	message
 * @names:	as many as it was made for; nothing is done for reply handles
 * @n_attached:	incremented for each that was attached, or dead, before memory ran out
 *
 * Return: 0, or as bus1_handle_attach().
 */
int bus1_payload_attach(struct bus1_message *message, const struct bus1_name *names,
			u32 *n_attached)
{
	struct bus1_node *node;
	int err = 0;
	u32 i;

	for (i = 0; i < message->n_handles && !err; i++) {
		if (names[i].handle) {
			node = names[i].handle->node;
			/* Mostly the receiver holds it, or has memory for a handle. */
			err = bus1_message_attach(message, i, node, 0);
			if (err == -ENOMEM)
				err = attach_new(message, i, node);
		}
		*n_attached += !err;
	}
	return err;
}

static int read_buffer(struct iov_iter *payload, void **buffer)
{
	struct iov_iter iter = *payload;
	size_t n = iov_iter_count(payload);

	if (*buffer)
		return -EFAULT;
	*buffer = kvmalloc(n, GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!*buffer)
		return -ENOMEM;
	return copy_from_iter_full(*buffer, n, &iter) ? 0 : -EFAULT;
}

/**
 * bus1_payload_fault_in() - have missing pages of a payload brought in
 * @payload:	the payload
 * @try:	how often this was done already for the same send
 * @buffer:	points to NULL; set to a copy of the payload once this was done too often,
 *		for the caller to free
 *
 * Sleeps. The caller holds no lock.
 *
 * Return: 0, -EFAULT, -ENOMEM.
 */
int bus1_payload_fault_in(struct iov_iter *payload, unsigned int try,
			  void **buffer)
{
	if (try >= BUS1_FAULT_TRIES)
		return read_buffer(payload, buffer);
	return fault_in_iov_iter_readable(payload, iov_iter_count(payload)) ?
	       -EFAULT : 0;
}
