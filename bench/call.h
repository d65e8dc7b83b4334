/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A client and a server that talk by bus1_call().
 */
#ifndef BENCH_CALL_H
#define BENCH_CALL_H

#include <linux/types.h>

struct call_link {
	int client;
	int server;
	__u64 to_server;
	__u64 client_slice;
};

#endif /* BENCH_CALL_H */
