/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1: destruction of nodes, and cancelling of requests
 */
#ifndef _BUS1_DESTROY_H
#define _BUS1_DESTROY_H

#include "commit.h"

void bus1_node_end(struct bus1_node *node, bool quiet);
void bus1_cancel_locked(struct bus1_reply *reply);
void bus1_reply_end(struct bus1_reply *reply);
int bus1_peer_destroy_nodes(struct bus1_peer *peer, const u64 *ids, size_t n,
			    u32 flags);

#endif /* _BUS1_DESTROY_H */
