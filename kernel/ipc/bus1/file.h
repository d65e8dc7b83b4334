/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1: the file descriptor
 */
#ifndef _BUS1_FILE_H
#define _BUS1_FILE_H

#include <linux/file.h>
#include <linux/fs.h>

#include "peer.h"

int bus1_peer_query(struct bus1_peer *peer, struct bus1_peer_info *info);
int bus1_file_open(struct bus1_peer *peer, bool nonblock);
int bus1_files_get(const int *fds, size_t n, struct file **files);
void bus1_files_put(struct file **files, size_t n);

extern const struct file_operations bus1_file_ops;

/**
 * bus1_file_is_peer() - whether a file is a peer
 * @file:	file
 *
 * Return: true if its private data is a &struct bus1_peer.
 */
static inline bool bus1_file_is_peer(const struct file *file)
{
	return file->f_op == &bus1_file_ops;
}

#endif /* _BUS1_FILE_H */
