/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1: filling the messages of a send
 */
#ifndef _BUS1_FILL_H
#define _BUS1_FILL_H

#include "job.h"

int bus1_fill_build(struct bus1_job *job);
int bus1_fill_copy(struct bus1_job *job);
int bus1_fill_attach(struct bus1_job *job);

#endif /* _BUS1_FILL_H */
