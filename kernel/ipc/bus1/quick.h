/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1: sending a plain message to a quiet receiver
 */
#ifndef _BUS1_QUICK_H
#define _BUS1_QUICK_H

#include "job.h"

bool bus1_quick_send(struct bus1_peer *peer, struct bus1_send *send);

#endif /* _BUS1_QUICK_H */
