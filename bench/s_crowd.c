// SPDX-License-Identifier: GPL-2.0
/*
 * What a call costs a client that behaves well, while a hundred clients of ten
 * users have a thousand calls each outstanding at the same server: alone, while
 * the server holds all those requests, and when it has answered them and nobody
 * reads the answers.
 */
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "bench.h"
#include "bus1.h"
#include "call.h"

#define CLIENTS 100
#define USERS 10
#define CALLS 1000
#define BYTES 64

struct hostile {
	int peer;
	__u64 to_server;
	__u64 replies[CALLS];
};

static struct hostile *clients_open(int server)
{
	struct hostile *clients = calloc(CLIENTS, sizeof(*clients));
	unsigned int i;

	check(clients, "calloc");
	for (i = 0; i < CLIENTS; i++) {
		check(!seteuid(1000 + i % USERS), "seteuid");
		clients[i].peer = peer_open();
		check(!seteuid(0), "seteuid");
		clients[i].to_server = peer_give(server, 8, clients[i].peer);
	}
	return clients;
}

static void ask(struct hostile *client, __u64 reply_id)
{
	struct iovec vec = { outgoing, BYTES };
	struct bus1_send_args args = {
		.ptr_destinations = to_u64(&client->to_server),
		.n_destinations = 1,
		.ptr_vecs = to_u64(&vec),
		.n_vecs = 1,
		.reply_id = reply_id,
		.reply_max_bytes = BYTES,
	};

	bus1_send_args(client->peer, &args, BUS1_SEND_REPLY);
}

static __u64 take_request(int server)
{
	struct bus1_recv_args args = { 0 };

	check(!bus1_try_recv(server, &args, BUS1_RECV_NONBLOCK),
	      "bus1_recv of a request");
	if (args.offset != NO_SLICE)
		slice_release(server, args.offset);
	return args.reply;
}

static void ask_all(struct hostile *clients, int server)
{
	unsigned int i, j;

	for (i = 0; i < CLIENTS; i++) {
		for (j = 0; j < CALLS; j++)
			ask(&clients[i], 8 * (j + 1));
		for (j = 0; j < CALLS; j++)
			clients[i].replies[j] = take_request(server);
	}
}

static void answer_all(struct hostile *clients, int server)
{
	unsigned int i, j;

	for (i = 0; i < CLIENTS; i++)
		for (j = 0; j < CALLS; j++)
			bus1_post(server, &clients[i].replies[j], 1, BYTES);
}

/* The link stays open between the measurements; only the server is new. */
static double cost(struct call_link *link)
{
	return pair_cost_on(&bus1_call_mechanism, link, BYTES);
}

void scenario_crowd(void)
{
	const char *why = bus1_call_missing();
	struct hostile *clients;
	struct call_link *link;
	unsigned int i;

	if (why) {
		result_absent("crowd.alone", "bus1 call", 1, why);
		result_absent("crowd.held", "bus1 call", CLIENTS, why);
		result_absent("crowd.answered", "bus1 call", CLIENTS, why);
		return;
	}
	link = bus1_call_mechanism.open(BYTES);
	result("crowd.alone", "bus1 call", 1, cost(link));
	clients = clients_open(link->server);
	ask_all(clients, link->server);
	result("crowd.held", "bus1 call", CLIENTS, cost(link));
	answer_all(clients, link->server);
	result("crowd.answered", "bus1 call", CLIENTS, cost(link));
	for (i = 0; i < CLIENTS; i++)
		close(clients[i].peer);
	free(clients);
	bus1_call_mechanism.close(link);
}
