/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1: emptying a peer
 */
#ifndef _BUS1_TEARDOWN_H
#define _BUS1_TEARDOWN_H

#include "peer.h"

int bus1_peer_disconnect(struct bus1_peer *peer);
int bus1_peer_reset(struct bus1_peer *peer, const struct bus1_peer_limits *limits,
		    u32 flags);

#endif /* _BUS1_TEARDOWN_H */
