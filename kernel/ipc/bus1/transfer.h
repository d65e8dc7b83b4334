/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1: giving handles from peer to peer
 */
#ifndef _BUS1_TRANSFER_H
#define _BUS1_TRANSFER_H

#include "peer.h"

/**
 * struct bus1_transfer - handles to give
 * @n:		how many
 * @from:	IDs at the giving peer
 * @to:		IDs at the taking peer: the result
 * @store:	hands @to to the caller. Called under mutexes, and turns page faults off;
 *		if it fails, which has to be with -EFAULT, nothing is given
 * @store_to:	where @store stores
 */
struct bus1_transfer {
	size_t n;
	u64 *from;
	u64 *to;
	int (*store)(struct bus1_transfer *transfer);
	u64 store_to;
};

int bus1_peer_transfer(struct bus1_peer *from, struct bus1_peer *to,
		       struct bus1_transfer *transfer);

#endif /* _BUS1_TRANSFER_H */
