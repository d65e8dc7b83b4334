/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1 selftests: many nodes with many holders that are to die in one call
 */
#ifndef BUS1_SELFTEST_DYING_H
#define BUS1_SELFTEST_DYING_H

#include "innocent.h"

#define NODES		1000
#define HOLDERS		100	/* of each node, besides those that are measured */
#define REQUESTS	24	/* to the innocent one, cancelled in the same call */

static struct peer holder[HOLDERS];
static __u64 dying[NODES + REQUESTS];	/* IDs of their owner's */
static __u64 next_id = 0x1000000;

static int holders_open(struct scene *s)
{
	struct rlimit files = { 2 * NODES, 2 * NODES };
	int i;

	setrlimit(RLIMIT_NOFILE, &files);
	for (i = 0; i < HOLDERS; i++) {
		holder[i].fd = sys_open(NULL, 0, 0);
		if (holder[i].fd < 0)
			return holder[i].fd;
	}
	return closers_forget(s);
}

/* Creates the nodes, which gives them their first holder, then the others. */
static void dying_create(struct scene *s, int owner)
{
	__u64 ids[NODES];
	int i;

	for (i = 0; i < NODES; i++, next_id += 8) {
		dying[i] = next_id;
		ids[i] = next_id | NEW;
	}
	for (i = 0; i < HOLDERS; i++) {
		MUST(&s->a.v, !flush(holder[i].fd), i);
		MUST(&s->a.v, !sys_transfer(owner, holder[i].fd,
					    i ? dying : ids, ids, NODES, 0), i);
	}
}

/* Some of them are the innocent one's and the victim's, too. */
static void dying_give(struct scene *s, int owner)
{
	__u64 some[STOCK], ids[STOCK];
	int i;

	for (i = 0; i < STOCK; i++)
		some[i] = dying[i * NODES / STOCK];
	MUST(&s->a.v, !sys_transfer(owner, s->victim.fd, some, ids, STOCK, 0), 0);
	MUST(&s->a.v, !sys_transfer(owner, s->innocent.fd, some, s->nodes.id,
				    STOCK, 0), 0);
	s->nodes.n = STOCK;
	s->nodes.used = 0;
}

/* @handle of the hostile peer goes to all that will be closed or killed. */
static void dying_send(struct scene *s, __u64 handle)
{
	__u64 to[2 * SPARES];
	int i;

	for (i = 0; i < SPARES; i++) {
		to[2 * i] = s->to_closer[i];
		to[2 * i + 1] = s->to_killer[i];
	}
	i = send_full(s->hostile.fd, to, 2 * SPARES, NULL, 0, &handle, 1, NULL,
		      0, BUS1_SEND_CONTINUE);
	MUST(&s->a.v, !i, i);
}

/* The innocent one owes replies. */
static void dying_ask(struct scene *s, int owner, __u64 to)
{
	int i;

	for (i = 0; i < REQUESTS; i++, next_id += 8) {
		dying[NODES + i] = next_id;
		MUST(&s->a.v, !ask(owner, to, next_id), i);
		s->replies.id[i] = take(&s->innocent);
		MUST(&s->a.v, s->replies.id[i] != INVALID, i);
	}
	s->replies.n = REQUESTS;
	s->replies.used = 0;
}

#endif /* BUS1_SELFTEST_DYING_H */
