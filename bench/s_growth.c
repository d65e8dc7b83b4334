// SPDX-License-Identifier: GPL-2.0
/*
 * Whether a message of 64 bytes, sent and received in one thread, costs more
 * when its peers hold many handles, or when many messages are queued before it.
 */
#include <unistd.h>

#include "bench.h"
#include "bus1.h"

#define BYTES 64
#define ROUNDS 2000
/* What the peers here may use: more than they do. */
#define SLICES 262144
#define HANDLES 262144
#define ROOM (256 << 20)

struct ends {
	int sender;
	int receiver;
	__u64 dest;
	__u64 slice;
};

static void ends_open(struct ends *ends)
{
	ends->sender = peer_open_limits(SLICES, HANDLES, ROOM);
	ends->receiver = peer_open_limits(SLICES, HANDLES, ROOM);
	peer_map(ends->receiver);
	ends->dest = peer_give(ends->receiver, 8 | BUS1_HANDLE_FLAG_NEW,
			       ends->sender);
	ends->slice = NO_SLICE;
}

static void ends_close(struct ends *ends)
{
	close(ends->sender);
	close(ends->receiver);
}

static double cost(struct ends *ends)
{
	__u64 start = 0;
	unsigned int i;

	for (i = 0; i < ROUNDS + ROUNDS / 10; i++) {
		if (i == ROUNDS / 10)
			start = now();
		bus1_post(ends->sender, &ends->dest, 1, BYTES);
		ends->slice = bus1_take(ends->receiver, ends->slice);
	}
	return (double)(now() - start) / ROUNDS;
}

/* Both ends hold @n handles to nodes of one third peer. */
static void with_handles(unsigned int n)
{
	int owner = peer_open_limits(SLICES, HANDLES, ROOM);
	struct ends ends;
	unsigned int i;

	ends_open(&ends);
	for (i = 1; i < n; i++) {
		peer_give(owner, 8 * i | BUS1_HANDLE_FLAG_NEW, ends.sender);
		peer_give(owner, 8 * i, ends.receiver);
	}
	result("growth.handles", "bus1", n, cost(&ends));
	ends_close(&ends);
	close(owner);
}

/* One comes for each that goes, so @n are queued all the time. */
static void with_messages(unsigned int n)
{
	struct ends ends;
	unsigned int i;

	ends_open(&ends);
	for (i = 1; i < n; i++)
		bus1_post(ends.sender, &ends.dest, 1, BYTES);
	result("growth.messages", "bus1", n, cost(&ends));
	ends_close(&ends);
}

void scenario_growth(void)
{
	with_handles(1);
	with_handles(1000);
	with_handles(100000);
	with_messages(1);
	with_messages(1000);
	with_messages(10000);
	result_note("growth",
		    "peers that grow: 262144 slices, 262144 handles, 256 MiB");
}
