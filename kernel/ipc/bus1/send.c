// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: sending
 */

/**
 * DOC: sending
 *
 * A send goes through these steps. Each of them can be undone, except the last:
 *
 * look up
 *	find destinations and carried handles; nodes that the call creates appear here
 * ask
 *	charge the sender for a reply, and allocate it
 * build
 *	allocate one message per destination, and charge it
 * copy
 *	the payload into the first message, and from there into the others; see
 *	payload.c
 * attach
 *	carried handles and files
 * commit
 *	see commit.c; with one destination it is a single step
 *
 * The sender's local lock is held throughout. So what was looked up stays: handles, and
 * through them nodes and their owners, need no references on the way. Nobody sees a
 * node whose creation fails, a reply handle that is being used, or a request that
 * is not committed. Threads that share a peer send one after the other, and
 * none of them waits for another peer.
 *
 * A send that was refused because a node is dying, or its owner is down, does not return
 * before that destruction is placed at all holders, and carries it out if need be. So
 * nobody can learn of it here and then outrun its notice. The same is true of a request
 * that is being cancelled.
 *
 * There is one path. Most messages go to one node and carry nothing; for these the
 * compiler makes a copy of it without loops.
 *
 * What stays with a receiver is charged to its memory cgroup. For a small message to a
 * quiet receiver nothing has to be allocated: the receiver has memory for one, and the
 * sender has a claim. So that is tried first. The cgroup is entered only if something is
 * missing, and for the pages of a large message.
 */

#include <linux/bug.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "destroy.h"
#include "recv.h"
#include "release.h"
#include "send.h"

/**
 * struct job - one send
 * @peer:	the sender
 * @send:	what was asked for
 * @dests:	destinations; one for a seed
 * @names:	carried handles
 * @created:	whether nodes were created
 * @asks:	reply that this request asks for, or NULL
 * @n_replies:	how many of @names are reply handles
 * @serial:	tells the slice to release from a later one at the same offset
 * @buffer:	the payload in kernel memory, or NULL
 */
struct job {
	struct bus1_peer *peer;
	struct bus1_send *send;
	struct bus1_dest *dests;
	struct bus1_name *names;
	bool created;
	struct bus1_reply *asks;
	u32 n_replies;
	u64 serial;
	void *buffer;
};

/**
 * struct span - how many of each a send has; a constant if the compiler is to know
 * @seed:	whether it makes a seed
 * @n_dests:	destinations
 * @n_handles:	carried handles
 * @n_files:	carried files
 */
struct span {
	bool seed;
	size_t n_dests;
	size_t n_handles;
	size_t n_files;
};

/* A reply is sent alone, and to one destination. */
static bool may_use_replies(struct job job)
{
	return job.send->args.n_destinations == 1 &&
	       !(job.send->flags & BUS1_SEND_CONTINUE);
}

static __always_inline int find_destination(struct job *job, struct span span,
					    size_t i)
{
	struct bus1_dest *dest = &job->dests[i];
	struct bus1_name *name = &dest->name;
	int err;

	err = bus1_lookup(name, job->peer, job->send->destinations[i]);
	if (unlikely(err))
		return err;
	job->created |= name->created;
	if (unlikely(name->reply)) {
		if (!may_use_replies(*job) || (job->send->flags & BUS1_SEND_REPLY)) {
			name->reply = NULL;
			return -EINVAL;
		}
		dest->to = name->reply->requester;
		return 0;
	}
	dest->to = name->handle->node->owner;
	if (span.n_dests == 1)
		return 0;
	if (name->handle->marked) {
		name->handle = NULL;
		return -ENOTUNIQ;
	}
	name->handle->marked = true;
	return 0;
}

static __always_inline int find_destinations(struct job *job, struct span span)
{
	size_t i, j;
	int err = 0;

	for (i = 0; i < span.n_dests && !err; i++) {
		err = find_destination(job, span, i);
		job->dests[i].error = err;
		if (unlikely(err) && bus1_commit_may_skip(job->send->flags, err))
			err = 0;
	}
	for (j = 0; span.n_dests > 1 && j < i; j++)
		if (job->dests[j].name.handle)
			job->dests[j].name.handle->marked = false;
	return err;
}

static int find_handle(struct job *job, size_t i)
{
	struct bus1_name *name = &job->names[i];
	int err;

	err = bus1_lookup(name, job->peer, job->send->handles[i]);
	job->created |= name->created;
	if (err || !name->reply)
		return err;
	if (!may_use_replies(*job) || job->dests[0].name.reply ||
	    name->reply->marked) {
		/* If another name has marked it, that one unmarks it. */
		name->reply = NULL;
		return -EINVAL;
	}
	name->reply->marked = true;
	job->n_replies++;
	return 0;
}

static int find_handles(struct job *job, struct span span)
{
	size_t i;
	int err = 0;

	for (i = 0; i < span.n_handles && !err; i++)
		err = find_handle(job, i);
	for (i = 0; i < span.n_handles; i++)
		if (job->names[i].reply)
			job->names[i].reply->marked = false;
	return err;
}

/* Wrong names take precedence over ENOBUFS, so this comes after all look-ups. */
static int charge_names(struct job job, struct span span)
{
	size_t i;
	int err = 0;

	for (i = 0; i < span.n_dests && !err; i++)
		err = bus1_lookup_charge(&job.dests[i].name);
	for (i = 0; i < span.n_handles && !err; i++)
		err = bus1_lookup_charge(&job.names[i]);
	return err;
}

static __always_inline int look_up(struct job *job, struct span span)
{
	struct bus1_send *send = job->send;
	u64 serial = 0;
	int err = 0;

	if (unlikely(job->peer->down))
		return -ESHUTDOWN;
	if (span.seed)
		job->dests[0].to = job->peer;
	else
		err = find_destinations(job, span);
	send->looked_up = true;
	if (!err && span.n_handles)
		err = find_handles(job, span);
	if (!err && (send->flags & BUS1_SEND_REPLY) &&
	    !bus1_lookup_is_free(job->peer, send->args.reply_id))
		err = -EEXIST;
	if (!err && send->release != BUS1_OFFSET_INVALID)
		err = bus1_peer_find_slice(job->peer, send->release, &serial);
	job->serial = serial;
	if (!err && unlikely(job->created))
		err = charge_names(*job, span);
	return err;
}

static struct bus1_shape get_shape(const struct job *job, struct span span)
{
	return (struct bus1_shape){
		.n_bytes = iov_iter_count(&job->send->payload),
		.n_handles = span.n_handles,
		.n_moved = span.n_handles ? job->n_replies : 0,
		.n_fds = span.n_files,
	};
}

static noinline int build_slowly(struct job job, struct bus1_dest *dest,
				 struct span span)
{
	const struct bus1_shape shape = get_shape(&job, span);
	struct bus1_ident *ident = bus1_peer_ident(dest->to);
	struct mem_cgroup *old;
	int err = -ENOMEM;

	old = set_active_memcg(ident->memcg);
	dest->message = bus1_message_new(dest->to, &shape, BUS1_GFP_RECEIVER);
	if (dest->message) {
		bus1_message_set_sender(dest->message, job.peer->ident);
		err = span.seed ? bus1_message_charge_own(dest->message, &shape) :
				  bus1_message_charge(dest->message, &shape,
						      BUS1_GFP_RECEIVER);
	}
	set_active_memcg(old);
	bus1_ident_put(ident);
	return err == -ENOMEM && !span.seed ? -EXFULL : err;
}

static noinline int build_answer(struct job job, struct bus1_dest *dest,
				 struct span span)
{
	const struct bus1_shape shape = get_shape(&job, span);
	int err;

	err = bus1_answer_begin(dest->name.reply, &shape, &dest->message);
	dest->lost = err == -EXFULL;
	if (err && !dest->lost)
		return err;
	bus1_message_set_sender(dest->message, job.peer->ident);
	return 0;
}

static noinline int ask(struct job job, struct bus1_reply **asks)
{
	struct bus1_dest *dest = &job.dests[0];
	struct bus1_reply *reply;

	/* That a destination is gone takes precedence over ENOBUFS. */
	if (unlikely(bus1_node_is_unreachable(dest->name.handle->node))) {
		dest->error = -EHOSTUNREACH;
		return dest->error;
	}
	reply = bus1_request_pay(job.peer, &job.send->args, dest->to,
				 job.send->await);
	if (IS_ERR(reply))
		return PTR_ERR(reply);
	*asks = reply;
	return 0;
}

static __always_inline int build_message(struct job *job, struct bus1_dest *dest,
					 struct span span)
{
	const struct bus1_shape shape = get_shape(job, span);
	struct bus1_ident *sender = job->peer->ident;
	int err = 0;

	if (dest->name.reply)
		return build_answer(*job, dest, span);
	if (!span.seed && bus1_node_is_unreachable(dest->name.handle->node))
		return -EHOSTUNREACH;
	/* The caller pays for the inode, once in a peer's life. */
	if (bus1_shape_size(&shape) > BUS1_INLINE_MAX)
		err = bus1_pool_prepare(&dest->to->pool);
	if (unlikely(err))
		return err;
	if (span.seed)
		return build_slowly(*job, dest, span);
	err = bus1_message_take(dest->to, &shape, sender, &dest->message);
	if (likely(!err))
		bus1_message_set_sender(dest->message, sender);
	else if (err == -ENOMEM)
		err = build_slowly(*job, dest, span);
	if (likely(dest->message))
		dest->message->dest = dest->name.handle->node;
	return err;
}

/* Returns 0 if the send goes on without this destination. */
static int refuse(u32 flags, struct bus1_dest *dest, int err)
{
	dest->error = err;
	if (!bus1_commit_may_skip(flags, err))
		return err;
	bus1_message_free(dest->message);
	dest->message = NULL;
	return 0;
}

static __always_inline int build(struct job *job, struct span span)
{
	size_t i;
	int err = 0;

	for (i = 0; i < span.n_dests && !err; i++) {
		/* It was skipped when it was looked up. */
		if (unlikely(job->dests[i].error))
			continue;
		err = build_message(job, &job->dests[i], span);
		if (unlikely(err))
			err = refuse(job->send->flags, &job->dests[i], err);
	}
	return err;
}

static int copy_many(struct job job, struct span span)
{
	struct bus1_message *first = NULL;
	struct bus1_dest *dest;
	size_t i;
	int err = 0;

	for (i = 0; i < span.n_dests && !err; i++) {
		dest = &job.dests[i];
		if (!dest->message || dest->lost)
			continue;
		err = bus1_payload_copy(dest->message, job.buffer,
					&job.send->payload, first);
		if (err == -EFAULT)
			return err;
		dest->lost = err && dest->name.reply;
		if (dest->lost)
			err = 0;
		if (err)
			err = refuse(job.send->flags, dest, span.seed ? -ENOMEM : -EXFULL);
		else if (!first && !dest->lost)
			first = dest->message;
	}
	return err;
}

static __always_inline int copy(struct job *job, struct span span)
{
	struct bus1_message *message = job->dests[0].message;

	if (span.n_dests > 1 || job->buffer || !message || job->dests[0].lost ||
	    !bus1_message_is_small(message))
		return copy_many(*job, span);
	return bus1_payload_read(&job->send->payload, message);
}

static int attach(struct job job, struct span span)
{
	struct bus1_dest *dest;
	size_t i;
	int err = 0;

	for (i = 0; i < span.n_dests && !err; i++) {
		dest = &job.dests[i];
		if (!dest->message)
			continue;
		if (span.n_handles)
			err = bus1_payload_attach(dest->message, job.names,
						  &dest->n_attached);
		if (err == -ENOMEM && dest->name.reply) {
			dest->lost = true;
			err = 0;
		} else if (err == -ENOMEM && !span.seed) {
			err = -EXFULL;
		}
		if (err)
			err = refuse(job.send->flags, dest, err);
		if (!err && dest->message && span.n_files)
			err = bus1_message_take_files(dest->message,
						      job.send->files);
	}
	return err;
}

/* For several destinations, or reply handles: one word says where these are. */
static int commit_tx(struct job job, struct span span, size_t *n_sent)
{
	struct bus1_multicast *multicast;
	struct bus1_tx *tx;
	int err = 0;

	multicast = bus1_multicast_new(job.dests, span.n_dests);
	if (!multicast)
		return -ENOMEM;
	tx = bus1_tx_get(&multicast->tx);
	if (job.n_replies)
		err = bus1_request_move(job.names, span.n_handles, job.peer,
					job.dests[0].message, tx);
	if (err)
		bus1_tx_leave(tx);
	else
		err = bus1_multicast_commit(multicast, job.dests,
					    span.n_dests, job.send->flags,
					    n_sent);
	if (job.n_replies)
		bus1_request_end_moves(job.names, span.n_handles, job.peer,
				       tx, err);
	bus1_tx_put(tx);
	return err;
}

/* What a lost reply could not carry counts as received and given back, too. */
static void pass_nodes(struct job job)
{
	size_t i;

	for (i = job.dests[0].n_attached; i < job.send->args.n_handles; i++)
		if (job.names[i].handle)
			bus1_node_pass(job.names[i].handle->node);
}

static int commit_answer(struct job job)
{
	struct bus1_dest *dest = &job.dests[0];
	int err;

	err = bus1_answer_commit(dest->name.reply, dest->message, dest->lost,
				 job.peer);
	dest->error = err;
	if (unlikely(err))
		return err;
	dest->message = NULL;
	dest->name.reply = NULL;
	if (unlikely(dest->lost))
		pass_nodes(job);
	return 0;
}

static __always_inline int commit_one(struct job *job, struct bus1_dest *dest,
				      size_t *n_sent)
{
	dest->error = bus1_commit_one(dest->message);
	if (likely(!dest->error)) {
		dest->message = NULL;
		return 0;
	}
	*n_sent = 0;
	return bus1_commit_may_skip(job->send->flags, dest->error) ?
	       0 : dest->error;
}

static __always_inline int commit(struct job *job, struct span span)
{
	struct bus1_dest *dest = &job->dests[0];
	size_t n_sent = 1, i, n_left = 0;
	int err;

	if (span.seed) {
		swap(job->peer->seed, dest->message);
		job->peer->seed->committed = true;
		bus1_message_free(dest->message);
		return 0;
	}
	for (i = 0; i < span.n_dests; i++)
		n_left += !!job->dests[i].message;
	if (!n_left)
		return 0;
	if (job->asks)
		dest->message->asks = job->asks;
	if (dest->name.reply)
		err = commit_answer(*job);
	else if (span.n_dests == 1 && !(span.n_handles && job->n_replies))
		err = commit_one(job, dest, &n_sent);
	else
		err = commit_tx(*job, span, &n_sent);
	if (likely(!err)) {
		job->asks = NULL;
		job->peer->n_sent += n_sent;
	} else if (job->asks) {
		dest->message->asks = NULL;
	}
	return err;
}

/* Gives back what was not delivered, and on failure what was created. */
static noinline void undo(struct job job, struct span span, int err)
{
	struct bus1_dest *dest;
	size_t i;

	for (i = 0; i < span.n_dests; i++) {
		dest = &job.dests[i];
		if (dest->name.reply && dest->message)
			bus1_answer_abort(dest->name.reply, dest->message);
		else
			bus1_message_free(dest->message);
	}
	if (job.asks)
		bus1_request_undo(job.asks, job.send->await);
	/* Now nothing refers to the nodes that this call created. */
	for (i = 0; err && i < span.n_dests; i++)
		bus1_lookup_abort(&job.dests[i].name);
	for (i = 0; err && i < span.n_handles; i++)
		bus1_lookup_abort(&job.names[i]);
}

/* Ends what refused, so nobody can learn of that here and outrun the notice. */
static noinline void end_refusers(struct job job, struct span span)
{
	struct bus1_name *name;
	size_t i;

	for (i = 0; i < span.n_dests; i++) {
		name = &job.dests[i].name;
		if (job.dests[i].error != -EHOSTUNREACH)
			continue;
		if (name->reply)
			bus1_reply_end(name->reply);
		else if (bus1_node_is_unreachable(name->handle->node))
			bus1_node_end(name->handle->node, true);
	}
}

/* A reply handle that was to move is being cancelled, which is finished first. */
static noinline void end_busy(struct job job, struct span span)
{
	size_t i;

	for (i = 0; i < span.n_handles; i++)
		if (job.names[i].reply)
			bus1_reply_end(job.names[i].reply);
}

static __always_inline bool is_refused(const struct job *job, struct span span)
{
	size_t i;

	for (i = 0; i < span.n_dests; i++)
		if (job->dests[i].error)
			return true;
	return false;
}

static __always_inline int try_send(struct job *job, struct span span)
{
	struct bus1_send *send = job->send;
	struct bus1_reply *asks = NULL;
	bool refused;
	size_t i;
	int err;

	mutex_lock(&job->peer->local);
	err = look_up(job, span);
	if (!err && (send->flags & BUS1_SEND_REPLY))
		err = ask(*job, &asks);
	job->asks = asks;
	if (!err)
		err = build(job, span);
	if (!err)
		err = copy(job, span);
	if (!err && (span.n_handles | span.n_files))
		err = attach(*job, span);
	if (!err)
		err = commit(job, span);
	refused = is_refused(job, span);
	for (i = 0; send->errors && i < span.n_dests; i++)
		send->errors[i] = job->dests[i].error;
	if (unlikely(refused))
		end_refusers(*job, span);
	if (unlikely(err == -EBUSY))
		end_busy(*job, span);
	if (unlikely(err || refused))
		undo(*job, span, err);
	mutex_unlock(&job->peer->local);
	if (!err && send->release != BUS1_OFFSET_INVALID)
		bus1_peer_release_slice(job->peer, send->release, job->serial);
	return err;
}

static __always_inline void reset(struct job *job, struct span span)
{
	size_t i;

	for (i = 0; i < span.n_dests; i++)
		job->dests[i] = (struct bus1_dest){};
	for (i = 0; i < span.n_handles; i++)
		job->names[i] = (struct bus1_name){};
	job->created = false;
	job->asks = NULL;
	job->n_replies = 0;
}

/* That a payload cannot be read takes precedence over what is wrong with names. */
static __always_inline int run(struct job *job, struct span span)
{
	struct iov_iter *payload = &job->send->payload;
	void *buffer = NULL;
	unsigned int try = 0;
	int err;

	for (;;) {
		err = try_send(job, span);
		if (likely(!err))
			break;
		if (err == -EFAULT) {
			err = bus1_payload_fault_in(payload, try++, &buffer);
			if (err)
				break;
		} else if (err != -EBUSY) {
			if (bus1_payload_fault_in(payload, 0, NULL))
				err = -EFAULT;
			break;
		}
		reset(job, span);
		job->buffer = buffer;
	}
	if (unlikely(buffer))
		kvfree(buffer);
	return err;
}

static noinline int send_any(struct bus1_peer *peer, struct bus1_send *send)
{
	struct span span = {
		.seed = send->flags & BUS1_SEND_SEED,
		.n_dests = send->args.n_destinations ?: 1,
		.n_handles = send->args.n_handles,
		.n_files = send->args.n_fds,
	};
	struct bus1_dest few_dests[2] = {};
	struct bus1_name few_names[4] = {};
	struct job job = {
		.peer = peer,
		.send = send,
		.dests = few_dests,
		.names = few_names,
	};
	int err = -ENOMEM;

	if (span.n_dests > ARRAY_SIZE(few_dests))
		job.dests = kvcalloc(span.n_dests, sizeof(*job.dests),
				     GFP_KERNEL_ACCOUNT);
	if (span.n_handles > ARRAY_SIZE(few_names))
		job.names = kvcalloc(span.n_handles, sizeof(*job.names),
				     GFP_KERNEL_ACCOUNT);
	if (span.n_dests == 1 && !span.seed && job.names)
		err = run(&job, (struct span){ false, 1, span.n_handles, span.n_files });
	else if (job.dests && job.names)
		err = run(&job, span);
	if (job.dests != few_dests)
		kvfree(job.dests);
	if (job.names != few_names)
		kvfree(job.names);
	return err;
}

/**
 * bus1_peer_send() - send a message
 * @peer:	the sender
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
	struct bus1_dest dest = {};
	struct job job = {
		.peer = peer,
		.send = send,
		.dests = &dest,
	};

	if (send->args.n_destinations != 1 ||
	    (send->args.n_handles | send->args.n_fds))
		return send_any(peer, send);
	return run(&job, (struct span){ .n_dests = 1 });
}
