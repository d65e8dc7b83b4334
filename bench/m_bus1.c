// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 with bus1_send() and a blocking bus1_recv(), which releases the last
 * slice.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench.h"
#include "bus1.h"

struct bus1_link {
	int client;
	int server;
	__u64 to_server;
	__u64 to_client;
	__u64 client_slice;
	__u64 server_slice;
};

static void *open_link(size_t n)
{
	struct bus1_link *link = calloc(1, sizeof(*link));

	(void)n;
	check(link, "calloc");
	link->client = peer_open();
	link->server = peer_open();
	peer_map(link->client);
	peer_map(link->server);
	link->to_server = peer_give(link->server, 8 | BUS1_HANDLE_FLAG_NEW,
				    link->client);
	link->to_client = peer_give(link->client, 8 | BUS1_HANDLE_FLAG_NEW,
				    link->server);
	link->client_slice = NO_SLICE;
	link->server_slice = NO_SLICE;
	return link;
}

static void close_link(void *data)
{
	struct bus1_link *link = data;

	close(link->client);
	close(link->server);
	free(link);
}

static void send_to_server(void *data, size_t n)
{
	struct bus1_link *link = data;

	bus1_post(link->client, &link->to_server, 1, n);
}

static void recv_at_server(void *data, size_t n)
{
	struct bus1_link *link = data;

	(void)n;
	link->server_slice = bus1_take(link->server, link->server_slice);
}

static void ask(void *data, size_t n)
{
	struct bus1_link *link = data;

	bus1_post(link->client, &link->to_server, 1, n);
	link->client_slice = bus1_take(link->client, link->client_slice);
}

static void serve(void *data, size_t n)
{
	struct bus1_link *link = data;

	for (;;) {
		link->server_slice = bus1_take(link->server,
					       link->server_slice);
		bus1_post(link->server, &link->to_client, 1, n);
	}
}

const struct mechanism bus1_mechanism = {
	.name = "bus1 send + recv",
	.open = open_link,
	.close = close_link,
	.send = send_to_server,
	.recv = recv_at_server,
	.ask = ask,
	.serve = serve,
};
