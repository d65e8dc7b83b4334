// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: filling the messages of a send
 */

/**
 * DOC: filling
 *
 * What stays with a receiver is charged to its memory cgroup. In a quiet receiver
 * there is nothing to allocate for a small message: it has memory for one, the sender
 * has a claim. So that is tried first; entering the cgroup is for when something is
 * missing, and for the pages of a large one.
 */

#include <linux/sched/mm.h>
#include <linux/uaccess.h>

#include "answer.h"
#include "fill.h"

static struct mem_cgroup *enter_cgroup(struct bus1_leg *leg)
{
	if (!leg->ident)
		leg->ident = bus1_peer_ident(leg->to);
	return set_active_memcg(leg->ident->memcg);
}

/* Returns 0 if the send goes on without this destination. */
static int refuse_leg(struct bus1_job *job, struct bus1_leg *leg, int err)
{
	leg->error = err;
	if (!bus1_commit_may_skip(job->send->flags, err))
		return err;
	bus1_message_free(leg->message);
	leg->message = NULL;
	return 0;
}

static void get_shape(const struct bus1_job *job, struct bus1_shape *shape)
{
	shape->n_bytes = job->n_bytes;
	shape->n_handles = job->send->n_handles;
	shape->n_moved = job->n_replies;
	shape->n_fds = job->send->n_files;
}

static int build_new(struct bus1_job *job, struct bus1_leg *leg,
		     const struct bus1_shape *shape)
{
	leg->message = bus1_message_new(&leg->to->space, &leg->to->pool, shape,
					BUS1_GFP_RECEIVER);
	if (!leg->message)
		return -ENOMEM;
	leg->message->sender = bus1_ident_get(job->ident);
	if (bus1_job_is_seed(job))
		return bus1_message_charge_own(leg->message);
	return bus1_message_charge(leg->message, BUS1_GFP_RECEIVER);
}

static int build_message(struct bus1_job *job, struct bus1_leg *leg,
			 const struct bus1_shape *shape)
{
	struct mem_cgroup *old;
	int err = -ENOMEM;

	if (leg->name.reply) {
		err = bus1_answer_begin(leg->name.reply, shape, &leg->message);
		leg->lost = err == -EXFULL;
		if (leg->lost)
			err = 0;
	} else if (leg->name.node) {
		err = bus1_message_take(&leg->to->space, &leg->to->pool, shape,
					job->ident, &leg->message);
	}
	if (!err)
		leg->message->sender = bus1_ident_get(job->ident);
	if (err == -ENOMEM) {
		old = enter_cgroup(leg);
		err = build_new(job, leg, shape);
		set_active_memcg(old);
	}
	return err == -ENOMEM && !bus1_job_is_seed(job) ? -EXFULL : err;
}

static int build_leg(struct bus1_job *job, struct bus1_leg *leg)
{
	struct bus1_node *node = leg->name.node;
	struct bus1_shape shape;
	int err = 0;

	if (node && bus1_node_is_unreachable(node))
		return -EHOSTUNREACH;
	get_shape(job, &shape);
	/*
	 * An inode's worth of memory, once in a peer's life: the caller's. A requester's
	 * pool has had its file since the reply was asked for.
	 */
	if (!leg->name.reply && bus1_shape_size(&shape) > BUS1_INLINE_MAX)
		err = bus1_pool_prepare(&leg->to->pool);
	if (!err)
		err = build_message(job, leg, &shape);
	if (leg->message && node)
		leg->message->dest = bus1_node_get(node);
	return err;
}

/**
 * bus1_fill_build() - get a message for each destination, charged
 * @job:	send
 *
 * Return: 0 or a negative errno, see bus1_peer_send().
 */
int bus1_fill_build(struct bus1_job *job)
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

/* With page faults off: what is missing is had without a lock and a message. */
static int read_payload(struct bus1_job *job, struct bus1_message *message)
{
	struct iov_iter iter = job->send->payload;
	size_t done;

	if (!bus1_message_is_small(message))
		return bus1_pool_write(message->pool, &message->slice, &iter);
	pagefault_disable();
	done = copy_from_iter(message->data, job->n_bytes, &iter);
	pagefault_enable();
	return done < job->n_bytes ? -EFAULT : 0;
}

static int copy_payload(struct bus1_job *job, struct bus1_message *message,
			struct bus1_message *first)
{
	if (job->buffer)
		return bus1_message_fill(message, 0, job->buffer, job->n_bytes);
	if (first)
		return bus1_message_copy(message, first, job->n_bytes);
	return read_payload(job, message);
}

static int copy_leg(struct bus1_job *job, struct bus1_leg *leg,
		    struct bus1_message *first)
{
	struct bus1_message *message = leg->message;
	struct mem_cgroup *old;
	int err;

	if (bus1_message_is_small(message))
		return copy_payload(job, message, first);
	old = enter_cgroup(leg);
	err = copy_payload(job, message, first);
	if (!err)
		err = bus1_message_prepare_tail(message);
	set_active_memcg(old);
	return err;
}

/**
 * bus1_fill_copy() - copy the payload to each destination
 * @job:	send
 *
 * Return: 0; -EFAULT if a page of the payload is not in memory; or another
 * negative errno, see bus1_peer_send().
 */
int bus1_fill_copy(struct bus1_job *job)
{
	struct bus1_message *first = NULL;
	size_t i;
	int err = 0;

	for (i = 0; i < job->n_legs && !err; i++) {
		struct bus1_leg *leg = &job->legs[i];

		if (!leg->message || leg->lost)
			continue;
		err = copy_leg(job, leg, first);
		if (err == -EFAULT)
			return err;
		leg->lost = err && leg->name.reply;
		if (leg->lost)
			err = 0;
		if (err)
			err = refuse_leg(job, leg, bus1_job_is_seed(job) ?
						   -ENOMEM : -EXFULL);
		else if (!first)
			first = leg->message;
	}
	return err;
}

static int attach_handles(struct bus1_job *job, struct bus1_leg *leg)
{
	struct mem_cgroup *old;
	size_t i;
	int err = 0;

	if (!job->send->n_handles)
		return 0;
	old = enter_cgroup(leg);

	for (i = 0; i < job->send->n_handles && !err; i++) {
		if (job->names[i].node)
			err = bus1_message_attach(leg->message, i,
						  job->names[i].node,
						  &job->peer->space,
						  BUS1_GFP_RECEIVER);
		leg->n_attached += !err;
	}
	set_active_memcg(old);
	if (err == -ENOMEM && leg->name.reply) {
		leg->lost = true;
		return 0;
	}
	if (err == -ENOMEM && !bus1_job_is_seed(job))
		return -EXFULL;
	return err;
}

/**
 * bus1_fill_attach() - let each message carry handles and files
 * @job:	send
 *
 * Return: 0 or a negative errno, see bus1_peer_send().
 */
int bus1_fill_attach(struct bus1_job *job)
{
	size_t i;
	int err = 0;

	for (i = 0; i < job->n_legs && !err; i++) {
		struct bus1_leg *leg = &job->legs[i];

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
