/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1: receiving
 */
#ifndef _BUS1_RECV_H
#define _BUS1_RECV_H

#include "deliver.h"

void bus1_recv_clear(struct bus1_recv *recv);
int bus1_sleep(ktime_t *deadline);
int bus1_peer_recv(struct bus1_peer *peer, struct bus1_recv *recv);

#endif /* _BUS1_RECV_H */
