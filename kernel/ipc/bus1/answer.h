/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1: answering a request
 */
#ifndef _BUS1_ANSWER_H
#define _BUS1_ANSWER_H

#include "leg.h"

/**
 * struct bus1_answer - what an answer consists of
 * @n_bytes:	length of the payload
 * @n_handles:	how many handles
 * @n_moved:	how many of these are reply handles
 * @n_fds:	how many descriptors
 */
struct bus1_answer {
	u64 n_bytes;
	u32 n_handles;
	u32 n_moved;
	u32 n_fds;
};

int bus1_answer_begin(struct bus1_leg *leg, const struct bus1_answer *answer,
		      struct bus1_ident *sender);
void bus1_answer_abort(struct bus1_leg *leg);
int bus1_answer_commit(struct bus1_leg *leg);

#endif /* _BUS1_ANSWER_H */
