/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1: the file descriptor
 */
#ifndef _BUS1_FILE_H
#define _BUS1_FILE_H

#include <linux/file.h>

#include "peer.h"

int bus1_file_open(struct bus1_peer *peer, bool nonblock);
bool bus1_file_is_peer(const struct file *file);

#endif /* _BUS1_FILE_H */
