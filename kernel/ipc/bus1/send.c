// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: sending
 */

/**
 * DOC: sending
 *
 * A send goes through these steps, each of which can be undone until the last:
 *
 * look up
 *	destinations and carried handles, under the sender's local lock; nodes
 *	that the call creates appear here, and then the lock is kept, so that
 *	nobody sees a node whose creation fails
 * build
 *	one message per destination, with memory and charge
 * copy
 *	the payload into the first message, in its slice if it is large, and from
 *	there into the others. User
 *	memory is read with page faults off. When a page is missing, everything
 *	is undone, the page is faulted in, and the send starts again; in the
 *	end the payload is buffered at the sender's expense. So no slice of a
 *	receiver, and no lock, waits for user memory
 * attach
 *	carried handles and files
 * commit
 *	see commit.c; with one destination it is a single step
 *
 * Who was refused because a node is dying, or its owner is down, does not return before
 * that destruction is placed at all its holders, and carries it out if need be: nobody
 * can learn of it here and then outrun its notice. The same goes for a request
 * that is being cancelled.
 */

#include <linux/bug.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "answer.h"
#include "destroy.h"
#include "fill.h"
#include "send.h"

static int find_name(struct bus1_job *job, u64 id, struct bus1_name *name)
{
	int err = bus1_name_find(name, &job->peer->space, id);

	job->n_created += name->created;
	if (err == -EBUSY)
		job->busy = name->busy;
	return err;
}

/* A reply is sent alone, and to one destination. */
static bool may_use_replies(const struct bus1_job *job)
{
	return job->send->n_destinations == 1 &&
	       !(job->send->flags & BUS1_SEND_CONTINUE);
}

static int mark_destination(struct bus1_job *job, struct bus1_leg *leg)
{
	struct bus1_reply *reply = leg->name.reply;

	if (reply) {
		if (!may_use_replies(job) ||
		    (job->send->flags & BUS1_SEND_REPLY))
			return -EINVAL;
		reply->marked = true;
		leg->to = bus1_peer_of(reply->requester);
		return 0;
	}
	if (leg->name.handle->marked)
		return -ENOTUNIQ;
	leg->name.handle->marked = true;
	leg->to = bus1_peer_of(leg->name.node->owner);
	return 0;
}

static int find_destination(struct bus1_job *job, size_t i)
{
	struct bus1_leg *leg = &job->legs[i];
	int err;

	err = find_name(job, job->send->destinations[i], &leg->name);
	if (!err)
		err = mark_destination(job, leg);
	leg->error = err;
	return err;
}

static int find_destinations(struct bus1_job *job)
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

static int find_handle(struct bus1_job *job, size_t i)
{
	struct bus1_name *name = &job->names[i];
	int err;

	err = find_name(job, job->send->handles[i], name);
	if (err || !name->reply)
		return err;
	if (!may_use_replies(job) || name->reply->marked ||
	    job->legs[0].name.reply) {
		/* It is marked by another name, which unmarks it. */
		name->reply = NULL;
		return -EINVAL;
	}
	name->reply->marked = true;
	job->n_replies++;
	return 0;
}

/* Wrong names take precedence over ENOBUFS, so this comes after all look-ups. */
static int charge_names(struct bus1_job *job)
{
	size_t i;
	int err = 0;

	for (i = 0; i < job->n_legs && !err; i++)
		err = bus1_name_charge(&job->legs[i].name);
	for (i = 0; i < job->send->n_handles && !err; i++)
		err = bus1_name_charge(&job->names[i]);
	return err;
}

static int find_names(struct bus1_job *job)
{
	size_t i;
	int err;

	err = find_destinations(job);
	job->send->looked_up = true;
	for (i = 0; !err && i < job->send->n_handles; i++)
		err = find_handle(job, i);
	if (!err && (job->send->flags & BUS1_SEND_REPLY))
		err = bus1_ask(job->peer, &job->send->reply, &job->asks);
	if (!err)
		err = bus1_peer_find_slice(job->peer, job->send->release,
					   &job->serial);
	if (!err && job->n_created)
		err = charge_names(job);
	return err;
}

/* From here on nobody else uses the reply handles. */
static void claim_names(struct bus1_job *job, int err)
{
	size_t i;

	for (i = 0; i < job->n_legs; i++) {
		if (err && job->legs[i].name.reply)
			job->legs[i].name.reply->marked = false;
		else
			bus1_name_claim(&job->legs[i].name);
		job->claimed |= job->legs[i].name.claimed;
	}
	for (i = 0; i < job->send->n_handles && (err || job->n_replies); i++) {
		if (err && job->names[i].reply)
			job->names[i].reply->marked = false;
		else
			bus1_name_claim(&job->names[i]);
		job->claimed |= job->names[i].claimed;
	}
}

static int look_up(struct bus1_job *job)
{
	struct bus1_space *space = &job->peer->space;
	int err;

	mutex_lock(&space->local);
	job->locked = true;
	if (space->down)
		return -ESHUTDOWN;

	/* An adoption, which changes it, waits for @local. */
	if (!job->ident)
		job->ident = bus1_ident_get(job->peer->ident);
	err = find_names(job);
	claim_names(job, err);
	if (err || job->n_created)
		return err;
	mutex_unlock(&space->local);
	job->locked = false;
	return 0;
}

static int commit_seed(struct bus1_job *job)
{
	struct bus1_peer *peer = job->peer;
	struct bus1_message *message = job->legs[0].message;

	if (!job->locked)
		mutex_lock(&peer->space.local);
	job->locked = true;
	if (peer->space.down)
		return -ESHUTDOWN;
	message->committed = true;
	/* What it replaces is freed with the rest of this job. */
	swap(peer->seed, job->legs[0].message);
	return 0;
}

/*
 * Those that were cancelled stay, and arrive as invalid. The local lock is held until
 * it is clear whether they move, so nobody else finds them meanwhile.
 */
static int move_replies(struct bus1_job *job, struct bus1_tx *tx)
{
	struct bus1_leg *leg = &job->legs[0];
	struct bus1_name *name;
	size_t i;
	int err;

	for (i = 0; i < job->send->n_handles; i++) {
		name = &job->names[i];
		if (!name->reply)
			continue;
		err = bus1_reply_move(name->reply, tx, &leg->to->space);
		if (err == -EBUSY) {
			job->busy = bus1_reply_get_busy(name->reply);
			return err;
		}
		if (err)
			continue;
		bus1_reply_get(name->reply);
		bus1_reply_unlink(name->reply, &job->peer->space);
		bus1_reply_unclaim(name->reply);
		name->claimed = false;
		name->moved = true;
		name->reply->index = i;
		list_add_tail(&name->reply->moved, &leg->message->moved);
	}
	return 0;
}

static void end_moves(struct bus1_job *job, struct bus1_tx *tx, int err)
{
	struct bus1_space *space = &job->peer->space;
	struct bus1_name *name;
	size_t i;

	for (i = 0; i < job->send->n_handles; i++) {
		name = &job->names[i];
		if (!name->moved)
			continue;
		if (err) {
			list_del_init(&name->reply->moved);
			bus1_reply_link(name->reply, space);
		}
		bus1_reply_end_move(name->reply, tx);
		bus1_reply_put(name->reply);
	}
}

/* With several destinations, or reply handles: then one word says where these are. */
static int commit_tx(struct bus1_job *job, size_t *n_sent)
{
	struct bus1_multicast *multicast;
	struct bus1_tx *tx;
	int err = 0;

	multicast = bus1_multicast_new(job->legs, job->n_legs);
	if (!multicast)
		return -ENOMEM;
	tx = bus1_tx_get(&multicast->tx);
	if (job->n_replies)
		err = move_replies(job, tx);
	if (err)
		bus1_tx_leave(tx);
	else
		err = bus1_multicast_commit(multicast, job->peer, job->legs,
					    job->n_legs, job->send->flags,
					    n_sent);
	if (job->n_replies)
		end_moves(job, tx, err);
	bus1_tx_put(tx);
	return err;
}

/* A peer that went down meanwhile has left the request to its sender. */
static void end_request(struct bus1_job *job)
{
	struct bus1_space *space = &job->peer->space;
	struct bus1_reply *asks = job->asks;

	if (unlikely(bus1_ask_committed(asks))) {
		bus1_reply_end(asks);
		if (!job->locked)
			mutex_lock(&space->local);
		job->locked = true;
		/* What came before that is the flush's to drop. */
		if (READ_ONCE(asks->state) == BUS1_REPLY_CANCELLED)
			bus1_reply_forget(asks);
	}
	/* Who waits has the reference of the sender. */
	if (!job->send->await)
		bus1_reply_put(asks);
	job->asks = NULL;
}

/* What a lost reply could not carry was received and given back, too. */
static void pass_nodes(struct bus1_job *job)
{
	size_t i;

	for (i = job->legs[0].n_attached; i < job->send->n_handles; i++)
		if (job->names[i].node)
			bus1_node_pass(job->names[i].node);
}

static int commit_answer(struct bus1_job *job)
{
	struct bus1_leg *leg = &job->legs[0];
	struct bus1_space *requester = leg->name.reply->requester;
	int err;

	err = bus1_answer_commit(leg->name.reply, leg->message, leg->lost);
	leg->error = err;
	if (err)
		return err;
	bus1_space_wake_pollers(requester);
	leg->message = NULL;
	bus1_name_used(&leg->name, &job->peer->space);
	if (leg->lost)
		pass_nodes(job);
	return 0;
}

static int commit_one(struct bus1_job *job, struct bus1_leg *leg, size_t *n_sent)
{
	leg->error = bus1_commit_one(job->peer, leg->message, job->send->await);
	if (!leg->error) {
		leg->message = NULL;
		return 0;
	}
	*n_sent = 0;
	return bus1_commit_may_skip(job->send->flags, leg->error) ?
	       0 : leg->error;
}

static bool is_doomed(const struct bus1_name *name)
{
	return name->claimed && name->reply->doomed;
}

/* Until the commit nobody else sees what becomes of the reply handles. */
static int lock_claims(struct bus1_job *job)
{
	bool doomed;
	size_t i;

	if (!job->locked)
		mutex_lock(&job->peer->space.local);
	job->locked = true;
	doomed = is_doomed(&job->legs[0].name);
	for (i = 0; i < job->send->n_handles; i++)
		doomed |= is_doomed(&job->names[i]);
	if (job->peer->space.down)
		return -ESHUTDOWN;
	return doomed ? -ENXIO : 0;
}

static int commit(struct bus1_job *job)
{
	size_t n_sent = 1, i, n_left = 0;
	int err = 0;

	if (bus1_job_is_seed(job))
		return commit_seed(job);
	if (job->claimed)
		err = lock_claims(job);
	if (err || READ_ONCE(job->peer->space.down))
		return err ?: -ESHUTDOWN;
	for (i = 0; i < job->n_legs; i++)
		n_left += !!job->legs[i].message;
	if (!n_left)
		return 0;
	if (job->asks)
		bus1_ask_offer(job->asks, job->legs[0].message,
			       job->send->await);
	if (job->legs[0].name.reply)
		err = commit_answer(job);
	else if (job->n_legs == 1 && !job->n_replies)
		err = commit_one(job, &job->legs[0], &n_sent);
	else
		err = commit_tx(job, &n_sent);
	if (job->asks && !err)
		end_request(job);
	else if (job->asks)
		job->legs[0].message->asks = NULL;
	if (!err && n_sent)
		atomic64_add(n_sent, &job->peer->n_sent);
	return err;
}

/* What refused is over, so nobody can learn of its end here and outrun the notice. */
static void end_refusers(struct bus1_job *job)
{
	size_t i;

	for (i = 0; i < job->n_legs; i++)
		if (job->legs[i].error == -EHOSTUNREACH &&
		    job->legs[i].name.node &&
		    bus1_node_is_unreachable(job->legs[i].name.node))
			bus1_node_end(job->legs[i].name.node, true);
	if (job->refused)
		bus1_reply_end(job->refused);
	bus1_reply_put(job->refused);
}

static void tell_errors(struct bus1_job *job)
{
	size_t i;

	for (i = 0; job->send->errors && i < job->n_legs; i++)
		job->send->errors[i] = job->legs[i].error;
}

static void undo_answer(struct bus1_job *job, struct bus1_leg *leg)
{
	if (leg->message)
		bus1_answer_abort(leg->name.reply, leg->message);
	if (leg->error == -EHOSTUNREACH)
		job->refused = bus1_reply_get(leg->name.reply);
}

/* What the call claimed can be used again, or goes with its peer. */
static void undo_claims(struct bus1_job *job)
{
	struct bus1_space *space = &job->peer->space;
	size_t i;

	if (!job->claimed)
		return;
	if (!job->locked)
		mutex_lock(&space->local);
	job->locked = true;
	for (i = 0; i < job->n_legs; i++)
		bus1_name_unclaim(&job->legs[i].name, space);
	for (i = 0; i < job->send->n_handles; i++)
		bus1_name_unclaim(&job->names[i], space);
}

/* Give back what is not delivered, and on failure what was created. */
static void undo(struct bus1_job *job, int err)
{
	size_t i;

	for (i = 0; i < job->n_legs; i++) {
		if (job->legs[i].name.reply)
			undo_answer(job, &job->legs[i]);
		else
			bus1_message_free(job->legs[i].message);
		bus1_ident_put(job->legs[i].ident);
	}
	if (job->asks)
		bus1_ask_abort(job->peer, job->asks, job->send->await,
			       job->locked);
	job->asks = NULL;
	if (err || job->n_replies)
		undo_claims(job);
	/* Now nothing refers to the nodes that this call created. */
	for (i = 0; err && i < job->n_legs; i++)
		bus1_name_abort(&job->legs[i].name);
	for (i = 0; err && i < job->send->n_handles; i++)
		bus1_name_abort(&job->names[i]);
	if (job->locked)
		mutex_unlock(&job->peer->space.local);
	job->locked = false;
}

static void put_names(struct bus1_job *job)
{
	size_t i;

	for (i = 0; i < job->n_legs; i++)
		bus1_node_put(job->legs[i].name.node);
	for (i = 0; i < job->send->n_handles; i++)
		bus1_node_put(job->names[i].node);
}

static int try_send(struct bus1_job *job)
{
	int err;

	err = look_up(job);
	/* A destination that is gone goes before what the request is charged. */
	if (!err && job->asks &&
	    bus1_node_is_unreachable(job->legs[0].name.node))
		err = job->legs[0].error = -EHOSTUNREACH;
	if (!err && job->asks)
		err = bus1_ask_pay(job->peer, job->asks, job->ident);
	if (!err)
		err = bus1_fill_build(job);
	if (!err)
		err = bus1_fill_copy(job);
	if (!err)
		err = bus1_fill_attach(job);
	if (!err)
		err = commit(job);
	/* What one knew is gone because oneself is. */
	if ((err == -EHOSTUNREACH || err == -ENXIO) &&
	    READ_ONCE(job->peer->space.down))
		err = -ESHUTDOWN;
	tell_errors(job);
	undo(job, err);
	if (!err)
		bus1_peer_release_slice(job->peer, job->send->release,
					job->serial);
	end_refusers(job);
	put_names(job);
	return err;
}

static int read_buffer(struct bus1_job *job)
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

static bool is_readable(struct bus1_job *job)
{
	return !fault_in_iov_iter_readable(&job->send->payload, job->n_bytes);
}

/* Nothing is held meanwhile. */
static int fault_in(struct bus1_job *job, unsigned int try)
{
	if (try >= BUS1_FAULT_TRIES)
		return read_buffer(job);
	return is_readable(job) ? 0 : -EFAULT;
}

static void reset_job(struct bus1_job *job)
{
	struct bus1_send *send = job->send;

	memset(job->legs, 0, job->n_legs * sizeof(*job->legs));
	memset(job->names, 0, send->n_handles * sizeof(*job->names));
	job->n_created = 0;
	job->asks = NULL;
	job->n_replies = 0;
	job->claimed = false;
	job->busy = NULL;
	job->refused = NULL;
	if (bus1_job_is_seed(job))
		job->legs[0].to = job->peer;
}

/*
 * Another call of this peer uses a reply handle, or it is being cancelled. In the middle
 * of the commit the latter may not say of which; the next try finds out.
 */
static int wait_busy(struct bus1_job *job)
{
	if (!job->busy)
		return 0;
	bus1_reply_end(job->busy);
	return bus1_reply_wait_free(job->busy);
}

/* A payload that cannot be read is told before what is wrong with names. */
static int run_job(struct bus1_job *job)
{
	unsigned int try = 0;
	int err;

	for (;;) {
		reset_job(job);
		err = try_send(job);
		if (!err)
			return 0;
		if (err == -EBUSY) {
			err = wait_busy(job);
			if (err)
				return err;
			continue;
		}
		if (err != -EFAULT)
			return is_readable(job) ? err : -EFAULT;
		err = fault_in(job, try++);
		if (err)
			return err;
	}
}

static int alloc_job(struct bus1_job *job)
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
 * Return: 0; -ESHUTDOWN; -ENXIO, -EEXIST or -ENOTUNIQ for what is named, -EINVAL
 * for a reply handle that may not be used like this; -ENOBUFS if the peer may have
 * no more nodes, or for a seed or a reply that is asked for; -EHOSTUNREACH,
 * -EDQUOT, -EXFULL or -EMSGSIZE for a destination; -ETOOMANYREFS if the sender
 * has too many descriptors in flight; -EFAULT; -ENOMEM.
 */
int bus1_peer_send(struct bus1_peer *peer, struct bus1_send *send)
{
	struct bus1_job job __uninitialized;
	int err;

	job.peer = peer;
	job.send = send;
	job.n_legs = send->flags & BUS1_SEND_SEED ? 1 : send->n_destinations;
	job.n_bytes = iov_iter_count(&send->payload);
	job.buffer = NULL;
	job.locked = false;
	job.ident = NULL;

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
