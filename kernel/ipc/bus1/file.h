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
int bus1_files_get(const int *fds, size_t n, struct file **files);
void bus1_files_put(struct file **files, size_t n);

#endif /* _BUS1_FILE_H */
