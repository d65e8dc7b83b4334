/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1: releasing of slices and handles
 */
#ifndef _BUS1_RELEASE_H
#define _BUS1_RELEASE_H

#include "message.h"

int bus1_peer_find_slice(struct bus1_peer *peer, u64 offset, u64 *serial);
int bus1_peer_release_slice(struct bus1_peer *peer, u64 offset, u64 serial);
int bus1_peer_release_slices(struct bus1_peer *peer, const u64 *offsets,
			     size_t n, u32 flags);
int bus1_peer_release_handle(struct bus1_peer *peer, u64 id);
int bus1_peer_release_handles(struct bus1_peer *peer, const u64 *ids, size_t n,
			      u32 flags);

#endif /* _BUS1_RELEASE_H */
