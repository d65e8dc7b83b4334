/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1: answering a request
 */
#ifndef _BUS1_ANSWER_H
#define _BUS1_ANSWER_H

#include "message.h"

int bus1_answer_begin(struct bus1_reply *reply, const struct bus1_shape *shape,
		      struct bus1_message **message);
void bus1_answer_abort(struct bus1_reply *reply, struct bus1_message *message);
int bus1_answer_commit(struct bus1_reply *reply, struct bus1_message *message,
		       bool lost);

#endif /* _BUS1_ANSWER_H */
