/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1: sending
 */
#ifndef _BUS1_SEND_H
#define _BUS1_SEND_H

#include "job.h"

int bus1_peer_send(struct bus1_peer *peer, struct bus1_send *send);

#endif /* _BUS1_SEND_H */
