// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: handing one message to its receiver
 */

/**
 * DOC: delivering
 *
 * A message is taken in two parts. The first does everything that can fail or sleep,
 * and leaves the message where it is: descriptors are reserved, handles are counted and
 * get IDs, and both are written behind the payload. A small message for which the
 * caller has no buffer gets its slice. The second, under the data lock and with page
 * faults off, stores buffer and result and unlinks the message. If the store fails, the
 * first part is undone. Most messages need no first part, and are taken under the same
 * lock under which they were found.
 *
 * Nobody else takes the message meanwhile, or sees the handles: that needs the
 * peer's local lock.
 */

#include <linux/bug.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/sched/mm.h>
#include <linux/security.h>
#include <linux/slab.h>
#include <net/sock.h>

#include "deliver.h"

/**
 * struct delivery - a message that is being received
 * @peer:	receiver, whose @local is held
 * @recv:	what was asked for
 * @message:	the message
 * @place:	its place; the timestamp is 0 for a seed
 * @reply:	the reply that it is, or NULL
 * @moved:	the last reply handle that was shown; the list's head if none was
 * @asked:	whether the handle for its own reply is shown
 * @inlined:	whether it goes to the caller's buffer
 * @late:	whether it got its slice only now
 * @lost:	whether its slice is lost
 * @shown:	how many of its handles were looked at
 * @kept:	how many of their charges went over to handles
 * @fds:	reserved descriptors, -1 where there is none; NULL without
 * @n_fds:	how many of them were looked at
 * @few_fds:	memory for @fds of a small message
 */
struct delivery {
	struct bus1_peer *peer;
	struct bus1_recv *recv;
	struct bus1_message *message;
	struct bus1_place place;
	struct bus1_reply *reply;
	struct list_head *moved;
	bool asked;
	bool inlined;
	bool late;
	bool lost;
	u32 shown;
	u32 kept;
	int *fds;
	u32 n_fds;
	int few_fds[BUS1_INLINE_ITEMS] __aligned(sizeof(u64));
};

static int reserve_fd(struct file *file)
{
	if (security_file_receive(file))
		return -1;
	return get_unused_fd_flags(O_CLOEXEC);
}

static int reserve_fds(struct delivery *d)
{
	struct bus1_message *message = d->message;
	u32 i;
	int fd;

	d->fds = d->few_fds;
	if (message->n_fds > ARRAY_SIZE(d->few_fds))
		d->fds = kmalloc_array(message->n_fds, sizeof(*d->fds),
				       GFP_KERNEL_ACCOUNT);
	if (!d->fds)
		return -ENOMEM;
	for (i = 0; i < message->n_fds; i++) {
		fd = -1;
		if (d->recv->flags & BUS1_RECV_INSTALL_FDS)
			fd = reserve_fd(message->files[i]);
		if (fd < -1)
			return fd;
		d->fds[i] = fd;
		d->n_fds++;
	}
	return bus1_message_fill(message, bus1_message_fds_at(message), d->fds,
				 message->n_fds * sizeof(*d->fds));
}

static void free_fds(struct delivery *d)
{
	if (d->fds != d->few_fds)
		kfree(d->fds);
	d->fds = NULL;
	d->n_fds = 0;
}

static void unreserve_fds(struct delivery *d)
{
	u32 i;

	for (i = 0; i < d->n_fds; i++)
		if (d->fds[i] >= 0)
			put_unused_fd(d->fds[i]);
	free_fds(d);
}

static void install_fds(struct delivery *d)
{
	struct bus1_message *message = d->message;
	u32 i;

	for (i = 0; i < d->n_fds; i++) {
		if (d->fds[i] < 0)
			continue;
		/* A socket belongs to the receiver's control groups from now on. */
		__receive_sock(message->files[i]);
		fd_install(d->fds[i], message->files[i]);
		message->files[i] = NULL;
	}
	free_fds(d);
}

static bool is_valid(const struct delivery *d, const struct bus1_handle *handle)
{
	if (bus1_handle_is_own(handle) && handle->node->flushed)
		return false;
	return !d->place.timestamp ||
	       !bus1_node_dead_before(handle->node, &d->place);
}

static struct bus1_reply *next_moved(struct delivery *d, u32 i)
{
	struct list_head *next = d->moved->next;
	struct bus1_reply *reply = list_entry(next, struct bus1_reply, moved);

	return next != &d->message->moved && reply->index == i ? reply : NULL;
}

static void drop_handle(struct bus1_message *message, struct bus1_handle *handle)
{
	struct bus1_node *own = bus1_handle_is_own(handle) ? handle->node : NULL;

	bus1_message_drop_handle(message, handle);
	if (own)
		bus1_node_forget(own);
}

/* A reply handle that is moved, or nothing: the node was dead already. */
static u64 show_other(struct delivery *d, u32 i)
{
	struct bus1_reply *reply = next_moved(d, i);

	if (!reply)
		return BUS1_HANDLE_INVALID;
	bus1_reply_show(reply, d->peer);
	d->moved = &reply->moved;
	return reply->handle;
}

/*
 * A handle that is invalid stays so, whatever becomes of the delivery. So this is checked
 * once: a reply that overtakes may be looked at while the destruction gets its place.
 */
static u64 show_handle(struct delivery *d, struct bus1_message *message, u32 i)
{
	struct bus1_handle *handle = message->handles[i];
	u64 id;

	if (unlikely(!handle))
		return show_other(d, i);
	if (unlikely(!is_valid(d, handle))) {
		message->handles[i] = NULL;
		drop_handle(message, handle);
		return BUS1_HANDLE_INVALID;
	}
	bus1_node_share(handle->node);
	id = bus1_handle_show(handle, message->claim, d->place.timestamp,
			      &d->kept);
	if (unlikely(id == BUS1_HANDLE_INVALID)) {
		message->handles[i] = NULL;
		bus1_handle_drop(handle, 1);
	}
	return id;
}

static int show_handles(struct delivery *d)
{
	struct bus1_message *message = d->message;
	u64 at = bus1_message_handles_at(message);
	u64 ids[16] __uninitialized;
	u32 n;
	int err = 0;

	while (d->shown < message->n_handles && !err) {
		for (n = 0; n < ARRAY_SIZE(ids) &&
			    d->shown < message->n_handles; n++)
			ids[n] = show_handle(d, message, d->shown++);
		err = bus1_message_fill(message, at, ids, n * sizeof(*ids));
		at += n * sizeof(*ids);
	}
	return err;
}

static void show_reply(struct delivery *d)
{
	struct bus1_reply *reply = d->message->asks;

	if (!reply)
		return;
	bus1_reply_show(reply, d->peer);
	d->recv->out->reply = reply->handle;
	d->asked = true;
}

static void hide_replies(struct delivery *d)
{
	struct list_head *head = &d->message->moved;

	for (; d->moved != head; d->moved = d->moved->prev)
		bus1_reply_unlink(list_entry(d->moved, struct bus1_reply, moved),
				  d->peer);
	if (d->asked)
		bus1_reply_unlink(d->message->asks, d->peer);
	d->asked = false;
}

static void hide_handles(struct delivery *d)
{
	hide_replies(d);
	while (d->shown) {
		d->shown--;
		if (d->message->handles[d->shown])
			bus1_handle_hide(d->message->handles[d->shown]);
	}
	d->kept = 0;
}

/* What was shown belongs to the receiver now. */
static void settle_replies(struct delivery *d)
{
	struct bus1_message *message = d->message;
	struct list_head *first;

	while (d->moved != &message->moved) {
		first = message->moved.next;
		if (first == d->moved)
			d->moved = &message->moved;
		list_del(first);
	}
	/* If the slice of the message is lost, none was shown. */
	bus1_message_drop_replies(message);
}

/* What was shown is in the counts now; the other references are dropped. */
static void settle_handles(struct delivery *d)
{
	struct bus1_message *message = d->message;
	u32 i;

	/* If the slice of the message is lost, none was shown. */
	for (i = d->shown; i < message->n_handles; i++)
		if (message->handles[i])
			drop_handle(message, message->handles[i]);
	message->n_handles = 0;
	message->n_moved = 0;
}

static void settle_message(struct delivery *d)
{
	struct bus1_message *message = d->message;
	struct bus1_node *dest = message->dest;

	if (d->asked)
		message->asks = NULL;
	if (message->asks || !list_empty(&message->moved))
		settle_replies(d);
	if (message->n_handles)
		settle_handles(d);
	if (message->n_fds) {
		install_fds(d);
		bus1_message_drop_files(message);
	}
	if (dest && !bus1_node_is_live(dest))
		bus1_node_forget(dest);
	if (d->inlined || d->lost)
		bus1_message_free(message);
}

/* The message has paid for it. A flush, which takes all of the pool, is not under way. */
static int add_slice_locked(struct delivery *d)
{
	struct bus1_message *message = d->message;
	int err;

	err = bus1_pool_alloc(&message->peer->pool, &message->slice,
			      bus1_message_size(message));
	d->late = !err;
	return err ? -ENOMEM : 0;
}

static void remove_slice(struct delivery *d)
{
	struct bus1_peer *peer = d->message->peer;

	spin_lock(&peer->data);
	bus1_message_free_slice_locked(d->message);
	spin_unlock(&peer->data);
	d->late = false;
}

/* The pages stay with the peer, so the peer's cgroup pays, whoever calls. */
static int fill_slice(struct delivery *d)
{
	struct bus1_message *message = d->message;
	u64 size = bus1_message_size(message);
	struct mem_cgroup *old;
	int err;

	if (!size)
		return 0;
	old = set_active_memcg(d->peer->ident->memcg);
	err = bus1_pool_prepare(&message->peer->pool);
	if (!err)
		err = bus1_pool_fill(&message->peer->pool, &message->slice, 0,
				     message->data, size);
	set_active_memcg(old);
	return err && err != -EIO ? -ENOMEM : err;
}

static int check_slice(struct delivery *d)
{
	const struct bus1_message *message = d->message;
	u64 size = bus1_message_size(message);

	/* If there is nothing to read, nothing can be missing. */
	if (!size)
		return 0;
	if (message->slice.offset > d->recv->max_offset ||
	    size > d->recv->max_offset - message->slice.offset)
		return -ERANGE;
	return d->late ? 0 : bus1_pool_check(&message->peer->pool, &message->slice);
}

/* The slice is lost for good. Say so, and let the queue go on. */
static void lose_slice(struct delivery *d)
{
	struct bus1_recv_args *out = d->recv->out;

	unreserve_fds(d);
	hide_handles(d);
	show_reply(d);
	out->offset = BUS1_OFFSET_INVALID;
	out->n_handles = 0;
	out->n_fds = 0;
	d->lost = true;
}

/* The first part, without the data lock. */
static int prepare_delivery(struct delivery *d)
{
	struct bus1_message *message = d->message;
	int err = 0;

	if (!d->inlined)
		err = check_slice(d);
	if (!err && message->n_fds)
		err = reserve_fds(d);
	if (!err && message->n_handles)
		err = show_handles(d);
	if (!err && d->late)
		err = fill_slice(d);
	if (!err)
		show_reply(d);
	if (unlikely(err == -EIO)) {
		lose_slice(d);
		err = 0;
	}
	return err;
}

static void undo_delivery(struct delivery *d)
{
	unreserve_fds(d);
	hide_handles(d);
	if (d->late)
		remove_slice(d);
	d->recv->out->reply = BUS1_HANDLE_INVALID;
}

/**
 * bus1_deliver_prepared_locked() - deliver a message that something comes with
 * @peer:	as for bus1_deliver_locked()
 * @recv:	as there
 * @message:	message with handles, files or a slice
 * @place:	as there
 * @reply:	as there
 *
 * Return: as bus1_deliver_locked().
 */
int bus1_deliver_prepared_locked(struct bus1_peer *peer, struct bus1_recv *recv,
				 struct bus1_message *message,
				 const struct bus1_place *place,
				 struct bus1_reply *reply)
	__releases(&peer->data)
{
	struct delivery delivery = {
		.peer = peer,
		.recv = recv,
		.message = message,
		.reply = reply,
		.moved = &message->moved,
	}, *d = &delivery;
	struct bus1_recv_args *out = recv->out;
	struct bus1_reply *done = NULL;
	int err = 0;

	if (place)
		d->place = *place;

	d->inlined = bus1_deliver_fits_buffer(recv, message);
	if (d->inlined)
		bus1_deliver_use_buffer(recv, message);
	else if (bus1_message_is_small(message))
		err = add_slice_locked(d);
	if (message->slice.size)
		out->offset = message->slice.offset;
	out->n_bytes = message->n_bytes;
	out->n_handles = message->n_handles;
	out->n_fds = message->n_fds;
	spin_unlock(&peer->data);

	if (!err)
		err = prepare_delivery(d);
	if (!err) {
		spin_lock(&peer->data);
		err = bus1_deliver_take_locked(peer, recv, message, reply, d->kept,
				  !d->inlined && !d->lost, &done);
		spin_unlock(&peer->data);
	}
	if (err) {
		undo_delivery(d);
		return err;
	}
	bus1_reply_free(done);
	settle_message(d);
	return 0;
}
