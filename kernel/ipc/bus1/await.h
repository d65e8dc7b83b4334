/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1: waiting for one reply
 */
#ifndef _BUS1_AWAIT_H
#define _BUS1_AWAIT_H

#include "deliver.h"

int bus1_await_begin(struct bus1_await *await, struct bus1_peer *peer, u64 id);
int bus1_await_reply(struct bus1_await *await, struct bus1_peer *peer,
		     struct bus1_recv *recv);
void bus1_await_end(struct bus1_await *await, struct bus1_peer *peer);

#endif /* _BUS1_AWAIT_H */
