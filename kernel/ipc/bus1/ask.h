/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1: asking for a reply
 */
#ifndef _BUS1_ASK_H
#define _BUS1_ASK_H

#include "peer.h"

/**
 * struct bus1_budget - the reply that a request asks for
 * @id:		the requester's name for it
 * @max_bytes:	how long it may be
 * @max_handles: how many handles it may carry
 * @max_fds:	how many descriptors
 */
struct bus1_budget {
	u64 id;
	u64 max_bytes;
	u32 max_handles;
	u32 max_fds;
};

int bus1_ask(struct bus1_peer *peer, const struct bus1_budget *budget,
	     struct bus1_reply **asks);
int bus1_ask_pay(struct bus1_peer *peer, struct bus1_reply *asks,
		 const struct bus1_ident *ident);
void bus1_ask_offer(struct bus1_reply *asks, struct bus1_message *message,
		    struct bus1_await *await);
bool bus1_ask_committed(struct bus1_reply *asks);
void bus1_ask_abort(struct bus1_peer *peer, struct bus1_reply *asks,
		    struct bus1_await *await, bool locked);

#endif /* _BUS1_ASK_H */
