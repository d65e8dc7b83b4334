/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1: the way of a message to each of its destinations
 */
#ifndef _BUS1_LEG_H
#define _BUS1_LEG_H

#include "name.h"
#include "peer.h"

/**
 * struct bus1_leg - the way to one destination
 * @name:	destination; without a node for a seed and a reply
 * @to:		the receiver, who lives as long as the node is referenced
 * @ident:	who the receiver is and in whose cgroup, referenced, or NULL
 * @message:	what is on the way to it; NULL when refused or delivered
 * @n_attached:	how many handles were attached, or dead, before there was no memory
 * @lost:	whether there is no memory for this reply: then it is dropped
 * @error:	why it was refused, or 0
 */
struct bus1_leg {
	struct bus1_name name;
	struct bus1_peer *to;
	struct bus1_ident *ident;
	struct bus1_message *message;
	size_t n_attached;
	bool lost;
	int error;
};

bool bus1_leg_may_skip(u32 flags, int err);
int bus1_leg_commit_one(struct bus1_peer *from, struct bus1_message *message,
			bool sync);
int bus1_legs_commit(struct bus1_peer *from, struct bus1_leg *legs, size_t n,
		     u32 flags, size_t *n_sent);

#endif /* _BUS1_LEG_H */
