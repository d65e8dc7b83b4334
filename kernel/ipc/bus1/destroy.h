/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1: destruction of nodes
 */
#ifndef _BUS1_DESTROY_H
#define _BUS1_DESTROY_H

#include "peer.h"

void bus1_destroy_nodes(struct bus1_space *owner, struct bus1_node **nodes,
			size_t n, bool quiet);
int bus1_peer_destroy_nodes(struct bus1_peer *peer, const u64 *ids, size_t n,
			    u32 flags);

#endif /* _BUS1_DESTROY_H */
