// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 with bus1_call() on both sides: one entry per side and round trip.
 */
#include <stdlib.h>
#include <unistd.h>

#include "bench.h"
#include "bus1.h"
#include "call.h"

/* The client's name for the request under way: a node ID of its choosing. */
#define REPLY_ID 0x1000

static const char *refuse(size_t n)
{
	(void)n;
	return bus1_call_missing();
}

static void *open_link(size_t n)
{
	struct call_link *link = calloc(1, sizeof(*link));

	(void)n;
	check(link, "calloc");
	link->client = peer_open();
	link->server = peer_open();
	peer_map(link->client);
	peer_map(link->server);
	link->to_server = peer_give(link->server, 8 | BUS1_HANDLE_FLAG_NEW,
				    link->client);
	link->client_slice = NO_SLICE;
	return link;
}

static void close_link(void *data)
{
	struct call_link *link = data;

	close(link->client);
	close(link->server);
	free(link);
}

static void ask(void *data, size_t n)
{
	struct call_link *link = data;
	struct iovec vec = { outgoing, n };
	struct bus1_send_args send = {
		.ptr_destinations = to_u64(&link->to_server),
		.n_destinations = 1,
		.ptr_vecs = to_u64(&vec),
		.n_vecs = 1,
		.reply_id = REPLY_ID,
		.reply_max_bytes = n,
	};
	struct bus1_recv_args recv = { .release = link->client_slice };

	check(!bus1_do_call(link->client, &send, &recv,
			    BUS1_CALL(BUS1_SEND_REPLY, BUS1_RECV_RELEASE)) &&
	      !recv.error, "bus1_call of a client");
	link->client_slice = recv.offset;
}

static void serve(void *data, size_t n)
{
	struct call_link *link = data;
	struct iovec vec = { outgoing, n };
	struct bus1_recv_args recv = { .release = NO_SLICE };
	__u64 reply;
	struct bus1_send_args send = {
		.ptr_destinations = to_u64(&reply),
		.n_destinations = 1,
		.ptr_vecs = to_u64(&vec),
		.n_vecs = 1,
	};

	check(!bus1_try_recv(link->server, &recv, BUS1_RECV_RELEASE),
	      "bus1_recv of a server");
	for (;;) {
		reply = recv.reply;
		recv.release = recv.offset;
		check(!bus1_do_call(link->server, &send, &recv,
				    BUS1_CALL(0, BUS1_RECV_RELEASE)) &&
		      !recv.error, "bus1_call of a server");
	}
}

const struct mechanism bus1_call_mechanism = {
	.name = "bus1 call",
	.refuse = refuse,
	.open = open_link,
	.close = close_link,
	.ask = ask,
	.serve = serve,
};
