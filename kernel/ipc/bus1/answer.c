// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: answering a request
 */

/**
 * DOC: answering
 *
 * What is sent to a reply handle is written into the message that the requester
 * paid for. Nothing is charged, and so nothing of the requester's can refuse it: when
 * there is no memory for its pages, the reply is dropped. The sender has claimed
 * the handle meanwhile, see reply.c; on failure it is given back.
 */

#include "answer.h"

/**
 * bus1_answer_begin() - begin to write a reply
 * @reply:	reply that the caller claimed
 * @shape:	what is to come
 * @message:	what to fill; the caller sets &struct bus1_message.sender
 *
 * Return: 0, and bus1_answer_commit() or bus1_answer_abort() is to follow; -EXFULL,
 * and the same follows, if the requester, who is being flushed, has no room for it now;
 * -EMSGSIZE if it is more than was paid for; -EHOSTUNREACH if the reply was
 * cancelled or the requester is gone.
 */
int bus1_answer_begin(struct bus1_reply *reply, const struct bus1_shape *shape,
		      struct bus1_message **message)
{
	struct bus1_space *requester = reply->requester;
	struct bus1_message *room;
	bool open, fits;
	int err = 0;

	fits = shape->n_bytes <= reply->max_bytes &&
	       shape->n_handles <= reply->max_handles &&
	       shape->n_fds <= reply->max_fds;

	spin_lock(&requester->data);
	open = bus1_reply_is_open(reply) && !requester->down;
	reply->filling = open && fits;
	room = reply->message;
	if (open && fits) {
		bus1_message_set_shape(room, shape);
		if (!bus1_message_is_small(room))
			err = bus1_pool_alloc(room->pool, &room->slice,
					      bus1_message_size(room));
	}
	spin_unlock(&requester->data);
	if (!open)
		return -EHOSTUNREACH;
	if (!fits)
		return -EMSGSIZE;
	*message = room;
	return err;
}

/**
 * bus1_answer_abort() - undo bus1_answer_begin()
 * @reply:	reply
 * @message:	what was to be filled; its reply handles were taken back
 */
void bus1_answer_abort(struct bus1_reply *reply, struct bus1_message *message)
{
	struct bus1_space *requester = reply->requester;
	bool cancelled;

	bus1_message_drop_handles(message);
	bus1_message_drop_files(message);
	bus1_ident_put(message->sender);
	message->sender = NULL;

	spin_lock(&requester->data);
	if (message->slice.size)
		bus1_message_free_slice_locked(message);
	reply->filling = false;
	cancelled = !bus1_reply_is_open(reply);
	if (cancelled)
		reply->message = NULL;
	spin_unlock(&requester->data);
	if (cancelled)
		bus1_message_free(message);
}

/**
 * bus1_answer_commit() - send a reply
 * @reply:	reply
 * @message:	complete message; on success it is the requester's, and
 *		bus1_name_used() is to follow
 * @lost:	whether there was no memory for it: then it is dropped
 *
 * Return: 0, and bus1_space_wake_pollers() of the requester is to follow; or -EHOSTUNREACH and bus1_answer_abort() is to follow.
 */
int bus1_answer_commit(struct bus1_reply *reply, struct bus1_message *message,
		       bool lost)
{
	struct bus1_space *requester = reply->requester;

	spin_lock(&requester->data);
	if (!bus1_reply_is_open(reply) || requester->down) {
		spin_unlock(&requester->data);
		return -EHOSTUNREACH;
	}
	reply->filling = false;
	/* Also of what is lost: what it carries is dropped as if unread. */
	message->committed = true;
	if (lost) {
		bus1_message_uncharge_locked(message, &message->charged);
		reply->message = NULL;
		bus1_reply_arrive_locked(reply, BUS1_REPLY_DROPPED, 0);
	} else {
		/* The handle that the reply was goes with what is not needed. */
		message->charged.of[BUS1_HANDLES] += reply->charged;
		reply->charged = false;
		bus1_message_trim_locked(message);
		bus1_reply_arrive_locked(reply, BUS1_REPLY_ANSWERED,
					 bus1_message_size(message));
	}
	spin_unlock(&requester->data);

	if (lost)
		bus1_message_free(message);
	return 0;
}
