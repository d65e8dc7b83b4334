// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: sending
 *
 * A send goes through these steps, each of which can be undone until the last:
 *
 * look up	destinations and carried handles, under the sender's local lock;
 *		nodes that the call creates appear here, and then the lock is kept,
 *		so that nobody sees a node whose creation fails
 * build	one message per destination, with memory and charge
 * copy		the payload into the first slice, and from there into the others.
 *		User memory is read with page faults off. When a page is missing,
 *		everything is undone, the page is faulted in, and the send starts
 *		again; in the end the payload is buffered at the sender's expense.
 *		So no slice of a receiver, and no lock, waits for user memory
 * attach	carried handles and files; this may wait for destructions
 * commit	see tx.c; with one destination it is a single step
 *
 * Who was refused because a node is dead or dying does not return before that
 * destruction is placed at all its holders: nobody can learn of it here and then
 * outrun its notice. Nothing of one's own is staged while waiting. The wait ends:
 * a destroyer waits only for transactions that are between stage and commit, and
 * a peer that is down destroys all its nodes, for which it needs no lock but its
 * own, which nobody holds who found it down.
 */

#include <linux/bug.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>

#include "send.h"
#include "tx.h"

/**
 * struct name - a handle ID that was looked up
 * @node:	the node, referenced, or NULL
 * @handle:	the sender's handle to it; only to be used while looking up
 * @created:	whether this call created it
 */
struct name {
	struct bus1_node *node;
	struct bus1_handle *handle;
	bool created;
};

/**
 * struct leg - the way to one destination
 * @name:	destination; without a node for a seed
 * @to:		the receiver
 * @ident:	who the receiver is and in whose cgroup, referenced, or NULL
 * @message:	what is on the way to it; NULL when refused or delivered
 * @error:	why it was refused
 */
struct leg {
	struct name name;
	struct bus1_peer *to;
	struct bus1_ident *ident;
	struct bus1_message *message;
	int error;
};

/**
 * struct job - one send
 * @peer:	who sends
 * @send:	what was asked for
 * @ident:	who sends, referenced
 * @legs:	one per destination
 * @n_legs:	how many; one for a seed
 * @names:	carried handles
 * @n_created:	how many nodes were created; the sender's @local is held if any
 * @locked:	whether the sender's @local is held
 * @n_bytes:	length of the payload
 * @buffer:	the payload in kernel memory, or NULL
 * @few_legs:	memory for @legs of a small message
 * @few_names:	memory for @names of a small message
 */
struct job {
	struct bus1_peer *peer;
	struct bus1_send *send;
	struct bus1_ident *ident;
	struct leg *legs;
	size_t n_legs;
	struct name *names;
	size_t n_created;
	bool locked;
	size_t n_bytes;
	void *buffer;
	struct leg few_legs[2];
	struct name few_names[4];
};

static bool is_seed(const struct job *job)
{
	return job->send->flags & BUS1_SEND_SEED;
}

static bool may_skip(const struct job *job, int err)
{
	return (job->send->flags & BUS1_SEND_CONTINUE) &&
	       (err == -EHOSTUNREACH || err == -EDQUOT || err == -EXFULL);
}

/* Returns 0 if the send goes on without this destination. */
static int refuse_leg(struct job *job, struct leg *leg, int err)
{
	leg->error = err;
	if (job->send->errors && !is_seed(job))
		job->send->errors[leg - job->legs] = err;
	if (!may_skip(job, err))
		return err;
	bus1_message_free(leg->message);
	leg->message = NULL;
	return 0;
}

static int create_node(struct job *job, u64 id, struct name *name)
{
	struct bus1_space *space = &job->peer->space;
	struct bus1_handle *handle;
	int err;

	handle = bus1_handle_find(space, id);
	if (handle) {
		bus1_node_forget(handle->node);
		handle = bus1_handle_find(space, id);
	}
	if (handle)
		return -EEXIST;

	err = bus1_node_new(space, id, &name->node);
	if (err)
		return err;
	bus1_node_get(name->node);
	name->created = true;
	job->n_created++;
	return 0;
}

static int find_name(struct job *job, u64 id, struct name *name)
{
	struct bus1_handle *handle;
	int err;

	if (id & BUS1_HANDLE_FLAG_NEW) {
		err = create_node(job, id & ~BUS1_HANDLE_FLAG_NEW, name);
		if (!err)
			name->handle = &name->node->own;
		return err;
	}
	handle = bus1_handle_find(&job->peer->space, id);
	if (!handle || !handle->n_user)
		return -ENXIO;
	name->handle = handle;
	name->node = bus1_node_get(handle->node);
	return 0;
}

static int find_destination(struct job *job, size_t i)
{
	struct leg *leg = &job->legs[i];
	int err;

	err = find_name(job, job->send->destinations[i], &leg->name);
	if (!err && leg->name.handle->marked)
		err = -ENOTUNIQ;
	if (err) {
		if (job->send->errors)
			job->send->errors[i] = err;
		return err;
	}
	leg->name.handle->marked = true;
	leg->to = bus1_peer_of(leg->name.node->owner);
	return 0;
}

static int find_destinations(struct job *job)
{
	size_t i, j;
	int err = 0;

	for (i = 0; i < job->send->n_destinations && !err; i++)
		err = find_destination(job, i);
	for (j = 0; j < i; j++)
		if (job->legs[j].name.handle)
			job->legs[j].name.handle->marked = false;
	return err;
}

static int look_up(struct job *job)
{
	struct bus1_space *space = &job->peer->space;
	size_t i;
	int err;

	mutex_lock(&space->local);
	job->locked = true;
	if (space->down)
		return -ESHUTDOWN;

	err = find_destinations(job);
	job->send->looked_up = true;
	for (i = 0; !err && i < job->send->n_handles; i++)
		err = find_name(job, job->send->handles[i], &job->names[i]);
	if (err || job->n_created)
		return err;
	mutex_unlock(&space->local);
	job->locked = false;
	return 0;
}

static bool is_unreachable(const struct bus1_node *node)
{
	return READ_ONCE(node->state) != BUS1_NODE_LIVE ||
	       READ_ONCE(node->owner->down);
}

static int charge_leg(struct job *job, struct leg *leg)
{
	int err;

	if (is_seed(job))
		return bus1_message_charge_own(leg->message);
	err = bus1_message_charge(leg->message, BUS1_GFP_RECEIVER);
	return err == -ENOMEM ? -EXFULL : err;
}

static int build_message(struct job *job, struct leg *leg)
{
	struct bus1_message *message;

	message = bus1_message_new(&leg->to->space, &leg->to->pool, job->n_bytes,
				   job->send->n_handles, job->send->n_files,
				   BUS1_GFP_RECEIVER);
	if (!message)
		return is_seed(job) ? -ENOMEM : -EXFULL;
	leg->message = message;
	message->sender = bus1_ident_get(job->ident);
	if (leg->name.node)
		message->dest = bus1_node_get(leg->name.node);
	return charge_leg(job, leg);
}

static int build_leg(struct job *job, struct leg *leg)
{
	struct mem_cgroup *old;
	int err;

	if (leg->name.node && is_unreachable(leg->name.node))
		return -EHOSTUNREACH;
	/* An inode's worth of memory, once in a peer's life: the caller's. */
	err = bus1_pool_prepare(&leg->to->pool);
	if (err)
		return err;

	leg->ident = bus1_peer_ident(leg->to);
	old = set_active_memcg(leg->ident->memcg);
	err = build_message(job, leg);
	set_active_memcg(old);
	return err;
}

static int build_legs(struct job *job)
{
	size_t i;
	int err = 0;

	for (i = 0; i < job->n_legs && !err; i++) {
		err = build_leg(job, &job->legs[i]);
		if (err)
			err = refuse_leg(job, &job->legs[i], err);
	}
	return err;
}

/* What recv.c writes behind the payload needs its pages now: it may not fail. */
static int clear_tail(struct bus1_message *message)
{
	const void *zeros = page_address(ZERO_PAGE(0));
	u64 at, end, part;
	int err = 0;

	if (!message->n_handles && !message->n_fds)
		return 0;
	end = bus1_message_size(message);
	for (at = message->n_bytes; at < end && !err; at += part) {
		part = min_t(u64, end - at, PAGE_SIZE);
		err = bus1_pool_fill(message->pool, &message->slice, at, zeros,
				     part);
	}
	return err;
}

static int copy_payload(struct job *job, struct bus1_message *message,
			struct bus1_message *first)
{
	struct iov_iter iter;
	int err;

	if (first) {
		err = bus1_pool_copy(message->pool, &message->slice,
				     first->pool, &first->slice, job->n_bytes);
	} else if (job->buffer) {
		err = bus1_pool_fill(message->pool, &message->slice, 0,
				     job->buffer, job->n_bytes);
	} else {
		iter = job->send->payload;
		err = bus1_pool_write(message->pool, &message->slice, 0, &iter);
	}
	return err ?: clear_tail(message);
}

/* Returns -EFAULT when a page of the payload is missing. */
static int copy_legs(struct job *job)
{
	struct bus1_message *first = NULL;
	struct mem_cgroup *old;
	size_t i;
	int err;

	for (i = 0; i < job->n_legs; i++) {
		struct leg *leg = &job->legs[i];

		if (!leg->message)
			continue;
		old = set_active_memcg(leg->ident->memcg);
		err = copy_payload(job, leg->message, first);
		set_active_memcg(old);
		if (err == -EFAULT)
			return err;
		if (err)
			err = refuse_leg(job, leg,
					 is_seed(job) ? -ENOMEM : -EXFULL);
		if (err)
			return err;
		if (!first)
			first = leg->message;
	}
	return 0;
}

static int attach_handles(struct job *job, struct leg *leg)
{
	struct mem_cgroup *old = set_active_memcg(leg->ident->memcg);
	size_t i;
	int err = 0;

	for (i = 0; i < job->send->n_handles && !err; i++)
		err = bus1_message_attach(leg->message, i, job->names[i].node,
					  BUS1_GFP_RECEIVER);
	set_active_memcg(old);
	if (err && !is_seed(job))
		return -EXFULL;
	return err;
}

static int attach_legs(struct job *job)
{
	size_t i;
	int err = 0;

	for (i = 0; i < job->n_legs && !err; i++) {
		struct leg *leg = &job->legs[i];

		if (!leg->message)
			continue;
		err = attach_handles(job, leg);
		if (err)
			err = refuse_leg(job, leg, err);
		if (!err && leg->message)
			err = bus1_message_take_files(leg->message,
						      job->send->files);
	}
	return err;
}

static void share_handles(struct bus1_message *message)
{
	u32 i;

	for (i = 0; i < message->n_handles; i++)
		if (message->handles[i])
			bus1_node_share(message->handles[i]->node);
}

static int commit_seed(struct job *job)
{
	struct bus1_peer *peer = job->peer;
	struct bus1_message *message = job->legs[0].message;

	if (!job->locked)
		mutex_lock(&peer->space.local);
	job->locked = true;
	if (peer->space.down)
		return -ESHUTDOWN;
	share_handles(message);
	/* What it replaces is freed with the rest of this job. */
	swap(peer->seed, job->legs[0].message);
	return 0;
}

static int commit_one(struct leg *leg, unsigned long key)
{
	struct bus1_message *message = leg->message;
	struct bus1_space *to = message->space;

	spin_lock(&to->data);
	if (is_unreachable(message->dest)) {
		spin_unlock(&to->data);
		return -EHOSTUNREACH;
	}
	share_handles(message);
	message->dest->n_queued++;
	bus1_queue_add(&to->queue, &message->entry, key);
	spin_unlock(&to->data);

	bus1_space_wake(to);
	leg->message = NULL;
	return 0;
}

static int stage_leg(struct bus1_tx *tx, struct leg *leg)
{
	struct bus1_message *message = leg->message;
	struct bus1_space *to = message->space;
	int err = 0;

	spin_lock(&to->data);
	if (is_unreachable(message->dest)) {
		err = -EHOSTUNREACH;
	} else {
		message->dest->n_staged++;
		to->n_staged++;
		bus1_tx_stage_locked(tx, to, &message->entry);
	}
	spin_unlock(&to->data);
	bus1_tx_step(tx);
	return err;
}

/* Pairs with destroy.c, settle_nodes(), and teardown.c, settle_peer(). */
static void unstage_dest_locked(struct bus1_message *message)
{
	struct bus1_space *to = message->space;
	struct bus1_node *dest = message->dest;

	smp_store_release(&dest->n_staged, dest->n_staged - 1);
	smp_store_release(&to->n_staged, to->n_staged - 1);
	if (likely(dest->state == BUS1_NODE_LIVE && !to->down))
		return;
	/* Orders the counts before the look for waiters. */
	smp_mb();
	wake_up_var(&dest->n_staged);
	wake_up_var(&to->n_staged);
}

static void commit_leg(struct bus1_tx *tx, struct leg *leg)
{
	struct bus1_message *message = leg->message;
	struct bus1_space *to = message->space;
	bool wake;

	leg->message = NULL;
	spin_lock(&to->data);
	message->dest->n_queued++;
	wake = bus1_tx_commit_locked(tx, to, &message->entry);
	unstage_dest_locked(message);
	spin_unlock(&to->data);
	if (wake)
		bus1_space_wake(to);
	bus1_tx_step(tx);
}

static void unstage_leg(struct bus1_tx *tx, struct leg *leg)
{
	struct bus1_message *message = leg->message;
	struct bus1_space *to = message->space;
	bool wake;

	spin_lock(&to->data);
	bus1_queue_remove(&to->queue, &message->entry);
	unstage_dest_locked(message);
	wake = bus1_queue_peek(&to->queue);
	spin_unlock(&to->data);
	/* What was behind it may be in front now. */
	if (wake)
		bus1_space_wake(to);
	bus1_tx_step(tx);
}

static int stage_legs(struct job *job, struct bus1_tx *tx)
{
	size_t i;
	int err;

	for (i = 0; i < job->n_legs; i++) {
		struct leg *leg = &job->legs[i];

		if (!leg->message)
			continue;
		err = stage_leg(tx, leg);
		if (!err)
			continue;
		leg->error = err;
		if (job->send->errors)
			job->send->errors[i] = err;
		if (!may_skip(job, err))
			return err;
	}
	return 0;
}

#define for_each_staged(leg, job)						for (leg = (job)->legs; leg < (job)->legs + (job)->n_legs; leg++) 		if (!leg->message || !bus1_entry_queued(&leg->message->entry)) 			continue;							else

static int commit_many(struct job *job, size_t *n_sent)
{
	struct bus1_tx tx;
	struct leg *leg;
	int err;

	bus1_tx_begin(&tx);
	err = stage_legs(job, &tx);
	if (err) {
		for_each_staged(leg, job)
			unstage_leg(&tx, leg);
	} else {
		bus1_tx_fix(&tx, &job->peer->space);
		for_each_staged(leg, job) {
			share_handles(leg->message);
			bus1_tx_sync(&tx, leg->message->space);
			bus1_tx_step(&tx);
		}
		for_each_staged(leg, job) {
			commit_leg(&tx, leg);
			++*n_sent;
		}
	}
	bus1_tx_end(&tx);
	return err;
}

static int commit_single(struct job *job, struct leg *leg, size_t *n_sent)
{
	int err = commit_one(leg, (unsigned long)job);

	if (err)
		return refuse_leg(job, leg, err);
	++*n_sent;
	return 0;
}

static int commit(struct job *job)
{
	struct leg *leg, *only = NULL;
	size_t n = 0, n_sent = 0;
	int err;

	if (is_seed(job))
		return commit_seed(job);
	for (leg = job->legs; leg < job->legs + job->n_legs; leg++) {
		if (!leg->message)
			continue;
		only = leg;
		n++;
	}

	err = bus1_peer_begin(job->peer);
	if (err)
		return err;
	if (n == 1)
		err = commit_single(job, only, &n_sent);
	else if (n)
		err = commit_many(job, &n_sent);
	bus1_peer_end(job->peer, n_sent);
	return err;
}

static void wait_for_deaths(struct job *job)
{
	size_t i;

	for (i = 0; i < job->n_legs; i++)
		if (job->legs[i].error == -EHOSTUNREACH)
			bus1_node_wait_dead(job->legs[i].name.node);
}

static void put_name(struct name *name, bool abort)
{
	if (abort && name->created)
		bus1_node_abort(name->node);
	bus1_node_put(name->node);
}

static void clean_up(struct job *job, int err)
{
	size_t i;

	for (i = 0; i < job->n_legs; i++) {
		bus1_message_free(job->legs[i].message);
		bus1_ident_put(job->legs[i].ident);
	}
	/* Now nothing refers to the nodes that this call created. */
	for (i = 0; i < job->n_legs; i++)
		put_name(&job->legs[i].name, err);
	for (i = 0; i < job->send->n_handles; i++)
		put_name(&job->names[i], err);
	if (job->locked)
		mutex_unlock(&job->peer->space.local);
	job->locked = false;
}

static int try_send(struct job *job)
{
	int err;

	err = look_up(job);
	if (!err)
		err = build_legs(job);
	if (!err)
		err = copy_legs(job);
	if (!err)
		err = attach_legs(job);
	if (!err)
		err = commit(job);
	wait_for_deaths(job);
	clean_up(job, err);
	return err;
}

static int read_buffer(struct job *job)
{
	struct iov_iter iter = job->send->payload;

	if (job->buffer)
		return -EFAULT;
	job->buffer = kvmalloc(job->n_bytes, GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!job->buffer)
		return -ENOMEM;
	if (!copy_from_iter_full(job->buffer, job->n_bytes, &iter))
		return -EFAULT;
	return 0;
}

/* Nothing is held meanwhile. */
static int fault_in(struct job *job, unsigned int try)
{
	if (try >= BUS1_FAULT_TRIES)
		return read_buffer(job);
	if (fault_in_iov_iter_readable(&job->send->payload, job->n_bytes))
		return -EFAULT;
	return 0;
}

static void reset_job(struct job *job)
{
	struct bus1_send *send = job->send;

	memset(job->legs, 0, job->n_legs * sizeof(*job->legs));
	memset(job->names, 0, send->n_handles * sizeof(*job->names));
	if (send->errors)
		memset(send->errors, 0,
		       send->n_destinations * sizeof(*send->errors));
	job->n_created = 0;
	if (is_seed(job))
		job->legs[0].to = job->peer;
}

static int run_job(struct job *job)
{
	unsigned int try;
	int err;

	for (try = 0;; try++) {
		reset_job(job);
		err = try_send(job);
		if (err != -EFAULT)
			return err;
		err = fault_in(job, try);
		if (err)
			return err;
	}
}

static int alloc_job(struct job *job)
{
	size_t n_names = job->send->n_handles;

	job->legs = job->few_legs;
	job->names = job->few_names;
	if (job->n_legs > ARRAY_SIZE(job->few_legs))
		job->legs = kvmalloc_array(job->n_legs, sizeof(*job->legs),
					   GFP_KERNEL_ACCOUNT);
	if (n_names > ARRAY_SIZE(job->few_names))
		job->names = kvmalloc_array(n_names, sizeof(*job->names),
					    GFP_KERNEL_ACCOUNT);
	return job->legs && job->names ? 0 : -ENOMEM;
}

/**
 * bus1_peer_send() - send a message
 * @peer:	who sends
 * @send:	what to send; the syscall layer has checked numbers and flags
 *
 * Return: 0; -ESHUTDOWN; -ENXIO, -EEXIST or -ENOTUNIQ for what is named;
 * -ENOBUFS if the peer may have no more nodes, or for a seed; -EHOSTUNREACH,
 * -EDQUOT, -EXFULL or -EMSGSIZE for a destination; -ETOOMANYREFS if the sender
 * has too many descriptors in flight; -EFAULT; -ENOMEM.
 */
int bus1_peer_send(struct bus1_peer *peer, struct bus1_send *send)
{
	struct job job;
	int err;

	job.peer = peer;
	job.send = send;
	job.n_legs = send->flags & BUS1_SEND_SEED ? 1 : send->n_destinations;
	job.n_bytes = iov_iter_count(&send->payload);
	job.buffer = NULL;
	job.locked = false;
	job.ident = bus1_peer_ident(peer);

	err = alloc_job(&job);
	if (!err)
		err = run_job(&job);

	if (job.legs != job.few_legs)
		kvfree(job.legs);
	if (job.names != job.few_names)
		kvfree(job.names);
	kvfree(job.buffer);
	bus1_ident_put(job.ident);
	return err;
}
