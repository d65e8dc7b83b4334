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
 * @leg:	the way to the requester, of a reply that the caller claimed
 * @answer:	what is to come
 * @sender:	who answers
 *
 * Return: 0, and bus1_answer_commit() or bus1_answer_abort() is to follow;
 * -EMSGSIZE if it is more than was paid for; -EHOSTUNREACH if the reply was
 * cancelled or the requester is gone.
 */
int bus1_answer_begin(struct bus1_leg *leg, const struct bus1_answer *answer,
		      struct bus1_ident *sender)
{
	struct bus1_reply *reply = leg->name.reply;
	struct bus1_space *requester = reply->requester;
	struct bus1_message *message;

	if (answer->n_bytes > reply->max_bytes ||
	    answer->n_handles > reply->max_handles ||
	    answer->n_fds > reply->max_fds)
		return -EMSGSIZE;

	spin_lock(&requester->data);
	reply->filling = reply->state == BUS1_REPLY_OPEN && !requester->down;
	message = reply->filling ? reply->message : NULL;
	spin_unlock(&requester->data);
	if (!message)
		return -EHOSTUNREACH;

	message->n_bytes = answer->n_bytes;
	message->n_handles = answer->n_handles;
	message->n_moved = answer->n_moved;
	message->n_fds = answer->n_fds;
	message->sender = bus1_ident_get(sender);
	leg->message = message;
	return 0;
}

/**
 * bus1_answer_abort() - undo bus1_answer_begin()
 * @leg:	the way to the requester
 */
void bus1_answer_abort(struct bus1_leg *leg)
{
	struct bus1_reply *reply = leg->name.reply;
	struct bus1_space *requester = reply->requester;
	struct bus1_message *message = leg->message;
	bool cancelled;

	bus1_message_drop_handles(message);
	bus1_message_drop_files(message);
	bus1_ident_put(message->sender);
	message->sender = NULL;
	message->written = true;
	leg->message = NULL;

	spin_lock(&requester->data);
	reply->filling = false;
	cancelled = reply->state != BUS1_REPLY_OPEN;
	if (cancelled)
		reply->message = NULL;
	spin_unlock(&requester->data);
	if (cancelled)
		bus1_message_free(message);
}

/**
 * bus1_answer_commit() - send a reply
 * @leg:	the way to the requester, with a complete message. On success that
 *		belongs to the requester, and the reply handle is used up
 *
 * Return: 0, or -EHOSTUNREACH and bus1_answer_abort() is to follow.
 */
int bus1_answer_commit(struct bus1_leg *leg)
{
	struct bus1_reply *reply = leg->name.reply;
	struct bus1_space *requester = reply->requester;
	struct bus1_message *message = leg->message;
	bool wake;

	spin_lock(&requester->data);
	if (reply->state != BUS1_REPLY_OPEN || requester->down) {
		spin_unlock(&requester->data);
		return -EHOSTUNREACH;
	}
	reply->filling = false;
	if (leg->lost) {
		reply->message = NULL;
		wake = bus1_reply_arrive_locked(reply, BUS1_REPLY_DROPPED, 0);
	} else {
		bus1_message_share(message);
		bus1_message_trim_locked(message);
		wake = bus1_reply_arrive_locked(reply, BUS1_REPLY_ANSWERED,
						bus1_message_size(message));
	}
	spin_unlock(&requester->data);

	if (wake)
		bus1_space_wake(requester);
	if (leg->lost)
		bus1_message_free(message);
	leg->message = NULL;
	leg->name.claimed = false;
	leg->name.reply = NULL;
	bus1_reply_put(reply);
	return 0;
}
