/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1 selftests: many that receive on one peer
 *
 * Some receivers are patient: they sleep until a message comes. Others are hasty: they
 * make one call in each round and leave it in one way or another, and do not come back
 * before all of the round was received: so a wake that went to one of them and got
 * lost would be missed.
 */
#ifndef BUS1_SELFTEST_WAITER_H
#define BUS1_SELFTEST_WAITER_H

#include "reply.h"

#define PATIENT		4
#define HASTY		4
#define RECEIVERS	(PATIENT + HASTY)
#define BURST		24
#define MOST		262144		/* numbers of messages */

enum leave { NOBODY, DEADLINE, SIGNAL, RESTART, ONE_MESSAGE, TOO_SMALL };

struct crowd;

struct receiver {
	struct crowd *crowd;
	struct rng rng;
	__u32 turn;		/* the last round that it left, if it is hasty */
};

struct crowd {
	struct verdict v;
	struct peer p;
	struct start start;
	struct receiver receiver[RECEIVERS];
	enum leave leave;
	bool blind;		/* what is received may be gone already */
	__u32 stop, n_received, n_notices, handled;
	/* By number: how many there are to be, and were. */
	__u32 due[MOST], seen[MOST];
};

/* Notes what was received and releases its slice. */
static inline void note(struct crowd *c, const struct bus1_recv_args *r)
{
	__u32 n;

	if (c->blind)
		return;
	if (r->type != BUS1_MSG_DATA) {
		MUST(&c->v, r->type == BUS1_MSG_NODE_DESTROY, r->type);
		ADD(&c->n_notices, 1);
		return;
	}
	if (!MUST(&c->v, r->n_bytes == sizeof(n), r->n_bytes))
		return;
	memcpy(&n, msg_payload(&c->p, r), sizeof(n));
	if (!MUST(&c->v, n < MOST, n))
		return;
	MUST(&c->v, ADD(&c->seen[n], 1) <= c->due[n], n);
	MUST(&c->v, !slice_release_one(c->p.fd, r->offset), n);
	ADD(&c->n_received, 1);
}

static inline int receive(struct crowd *c, size_t max, __u64 deadline,
			  unsigned int flags)
{
	struct bus1_recv_args r = { .max_offset = max, .deadline = deadline };
	int err = sys_recv(c->p.fd, &r, sizeof(r), flags);

	if (err)
		MUST(&c->v, r.type == BUS1_MSG_NONE, r.type);
	else
		note(c, &r);
	return err;
}

/* Receives until the peer is down. */
static inline void *patient_run(void *arg)
{
	struct receiver *me = arg;
	struct crowd *c = me->crowd;
	int err;

	do
		err = receive(c, c->p.pool_size, 0, 0);
	while (!err || (err == -EINTR && c->leave != RESTART));
	MUST(&c->v, err == -ESHUTDOWN, err);
	return NULL;
}

/* How a hasty one may leave, besides with a message. */
static inline bool may_leave(enum leave leave, int err)
{
	return leave == DEADLINE ? err == -ETIMEDOUT :
	       err == -EINTR || (leave == TOO_SMALL && err == -ERANGE);
}

/* Makes one call in each round. */
static inline void *hasty_run(void *arg)
{
	struct receiver *me = arg;
	struct crowd *c = me->crowd;
	__u64 deadline = 0;
	__u32 turn;
	int err;

	for (turn = 1;; turn++) {
		start_wait(&c->start, turn);
		if (LOAD(&c->stop))
			return NULL;
		if (c->leave == DEADLINE)
			deadline = now_ns() + rng_below(&me->rng, 500000);
		err = receive(c, c->leave == TOO_SMALL ? 0 : c->p.pool_size,
			      deadline, 0);
		MUST(&c->v, !err || may_leave(c->leave, err), err);
		STORE(&me->turn, turn);
	}
}

/* The hasty ones are through with this round. */
static inline bool have_left(const struct crowd *c, __u32 turn, int n)
{
	int i;

	for (i = 0; i < n; i++)
		if (LOAD(&c->receiver[i].turn) != turn)
			return false;
	return true;
}

/* All of them are asleep, and nothing is there. */
static inline bool is_quiet(struct crowd *c, int n)
{
	return are_waiting(c->p.fd, n) && !query(c->p.fd).n_queued;
}

#endif /* BUS1_SELFTEST_WAITER_H */
