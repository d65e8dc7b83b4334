// SPDX-License-Identifier: GPL-2.0
/*
 * Handles and nodes without messages: transfer and release, create and destroy.
 */
#include <sys/syscall.h>
#include <unistd.h>

#include "bench.h"
#include "bus1.h"

/* Enough for what is freed after a grace period to be counted, too. */
#define ROUNDS 10000
#define HOLDERS 256
#define DESTRUCTIONS 32

static void transfer_and_release(int owner, int holder, unsigned int rounds)
{
	while (rounds--)
		peer_release(holder, peer_give(owner, 8, holder));
}

static double transfer_cost(int owner, int holder)
{
	__u64 start;

	transfer_and_release(owner, holder, ROUNDS / 10);
	start = now();
	transfer_and_release(owner, holder, ROUNDS);
	return (double)(now() - start) / ROUNDS;
}

/* A third peer keeps a handle, so that no release notice is ever queued. */
void scenario_transfer(void)
{
	int owner = peer_open(), holder = peer_open(), other = peer_open();

	peer_give(owner, 8 | BUS1_HANDLE_FLAG_NEW, other);
	result("transfer.new", "bus1", 1, transfer_cost(owner, holder));
	peer_give(owner, 8, holder);
	result("transfer.known", "bus1", 1, transfer_cost(owner, holder));
	close(owner);
	close(holder);
	close(other);
}

/* A node is made by a transfer, and what that showed has to be given back. */
static void create_and_destroy(int peer, unsigned int rounds)
{
	while (rounds--) {
		peer_release(peer, peer_node(peer, 8));
		peer_destroy(peer, 8);
	}
}

static void measure_create(void)
{
	int peer = peer_open();
	__u64 start;

	create_and_destroy(peer, ROUNDS / 10);
	start = now();
	create_and_destroy(peer, ROUNDS);
	result("node.create_destroy", "bus1", 1,
	       (double)(now() - start) / ROUNDS);
	close(peer);
}

static void take_notices(const int *holders)
{
	struct bus1_recv_args args = { 0 };
	unsigned int i;

	for (i = 0; i < HOLDERS; i++)
		check(!bus1_try_recv(holders[i], &args, 0) &&
		      args.type == BUS1_MSG_NODE_DESTROY, "a notice");
}

/* The call alone, and what it takes the holders to read of it. */
static void measure_destroy(void)
{
	__u64 destroyed = 0, read = 0, start, node;
	int owner = peer_open(), holders[HOLDERS];
	unsigned int i, round;

	for (i = 0; i < HOLDERS; i++)
		holders[i] = peer_open();
	for (round = 0; round <= DESTRUCTIONS; round++) {
		node = 8 * (round + 1);
		for (i = 0; i < HOLDERS; i++)
			peer_give(owner, i ? node : node | BUS1_HANDLE_FLAG_NEW,
				  holders[i]);
		start = now();
		peer_destroy(owner, node);
		destroyed += round ? now() - start : 0;
		start = now();
		take_notices(holders);
		read += round ? now() - start : 0;
	}
	result("node.destroy", "bus1", HOLDERS,
	       (double)destroyed / (DESTRUCTIONS * HOLDERS));
	result("node.notice", "bus1", HOLDERS,
	       (double)read / (DESTRUCTIONS * HOLDERS));
	for (i = 0; i < HOLDERS; i++)
		close(holders[i]);
	close(owner);
}

void scenario_nodes(void)
{
	measure_create();
	measure_destroy();
}

void scenario_syscall(void)
{
	__u64 start = 0;
	unsigned int i;

	for (i = 0; i < ROUNDS + ROUNDS / 10; i++) {
		if (i == ROUNDS / 10)
			start = now();
		syscall(SYS_getppid);
	}
	result("syscall", "getppid", 1, (double)(now() - start) / ROUNDS);
}
