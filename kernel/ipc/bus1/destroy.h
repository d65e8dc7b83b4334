/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1: destruction of nodes
 */
#ifndef _BUS1_DESTROY_H
#define _BUS1_DESTROY_H

#include "peer.h"

/**
 * struct bus1_victims - what dies in one event
 * @nodes:	live nodes
 * @n_nodes:	how many
 * @replies:	replies that are being cancelled, CANCELLING
 * @n_replies:	how many
 */
struct bus1_victims {
	struct bus1_node **nodes;
	size_t n_nodes;
	struct bus1_reply **replies;
	size_t n_replies;
};

bool bus1_cancel_locked(struct bus1_reply *reply);
void bus1_destroy(struct bus1_space *owner, const struct bus1_victims *victims,
		  bool quiet);
int bus1_peer_destroy_nodes(struct bus1_peer *peer, const u64 *ids, size_t n,
			    u32 flags);

#endif /* _BUS1_DESTROY_H */
