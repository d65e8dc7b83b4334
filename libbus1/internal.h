/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#ifndef BUS1_INTERNAL_H
#define BUS1_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

#include "bus1.h"

/* All else is hidden; libbus1.map says the same, and a test compares the two. */
#define EXPORT __attribute__((visibility("default")))

/* Lengths double from the first one and fit into 64 bits. */
#define BUS1_MAX_MAPS 44

struct bus1_map {
	char *address;
	size_t length;
};

/* @n_taken: entries that left the queue by way of this pool, replies apart. */
struct bus1_pool {
	int fd;
	unsigned int n_maps;
	uint64_t n_taken;
	struct bus1_map maps[BUS1_MAX_MAPS];
};

/* calls.c: gives the flags that say what the message carries. */
unsigned int bus1_args_payload(struct bus1_send_args *args,
			       const struct bus1_payload *payload);
unsigned int bus1_args_request(struct bus1_send_args *args,
			       const struct bus1_request *request);

/* pool.c: bus1_recv() that maps as much as it takes. */
struct bus1_recv_args bus1_pool_args(const struct bus1_pool *pool,
				     struct bus1_msg *msg, uint64_t deadline,
				     unsigned int flags);
int bus1_pool_grow(struct bus1_pool *pool, const struct bus1_recv_args *args);
int bus1_pool_take(struct bus1_pool *pool, struct bus1_recv_args *args,
		   unsigned int flags);
void bus1_msg_clear(struct bus1_msg *msg, uint64_t offset);
int bus1_msg_fill(struct bus1_msg *msg, const struct bus1_pool *pool,
		  const struct bus1_recv_args *args);

#endif /* BUS1_INTERNAL_H */
