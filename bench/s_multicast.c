// SPDX-License-Identifier: GPL-2.0
/*
 * One message to many: one bus1_send(), against one sendmsg() for each of as
 * many socket pairs. Sending and receiving are counted apart, per destination.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "bench.h"
#include "bus1.h"

#define MAX_DESTINATIONS 256
/* So many messages wait at a receiver before it reads: sockets take ten. */
#define BATCH 8

struct crowd {
	int sender;
	int fd[MAX_DESTINATIONS];
	int from[MAX_DESTINATIONS];
	__u64 dest[MAX_DESTINATIONS];
	__u64 slice[MAX_DESTINATIONS];
	unsigned int n;
	size_t size;
};

static void open_bus1(struct crowd *crowd)
{
	unsigned int i;

	crowd->sender = peer_open();
	for (i = 0; i < crowd->n; i++) {
		crowd->fd[i] = peer_open();
		peer_map(crowd->fd[i]);
		crowd->dest[i] = peer_give(crowd->fd[i],
					   8 | BUS1_HANDLE_FLAG_NEW,
					   crowd->sender);
		crowd->slice[i] = NO_SLICE;
	}
}

static void close_bus1(struct crowd *crowd)
{
	unsigned int i;

	for (i = 0; i < crowd->n; i++)
		close(crowd->fd[i]);
	close(crowd->sender);
}

static void send_bus1(struct crowd *crowd)
{
	bus1_post(crowd->sender, crowd->dest, crowd->n, crowd->size);
}

static void recv_bus1(struct crowd *crowd)
{
	unsigned int i;

	for (i = 0; i < crowd->n; i++)
		crowd->slice[i] = bus1_take(crowd->fd[i], crowd->slice[i]);
}

static void open_sockets(struct crowd *crowd)
{
	unsigned int i;
	int fd[2];

	for (i = 0; i < crowd->n; i++) {
		check(!socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fd),
		      "socketpair");
		crowd->from[i] = fd[0];
		crowd->fd[i] = fd[1];
	}
}

static void close_sockets(struct crowd *crowd)
{
	unsigned int i;

	for (i = 0; i < crowd->n; i++) {
		close(crowd->from[i]);
		close(crowd->fd[i]);
	}
}

static void send_sockets(struct crowd *crowd)
{
	struct iovec vec = { outgoing, crowd->size };
	struct msghdr msg = { .msg_iov = &vec, .msg_iovlen = 1 };
	unsigned int i;

	for (i = 0; i < crowd->n; i++)
		check(sendmsg(crowd->from[i], &msg, 0) == (ssize_t)crowd->size,
		      "sendmsg");
}

static void recv_sockets(struct crowd *crowd)
{
	struct iovec vec = { incoming, crowd->size };
	struct msghdr msg = { .msg_iov = &vec, .msg_iovlen = 1 };
	unsigned int i;

	for (i = 0; i < crowd->n; i++)
		check(recvmsg(crowd->fd[i], &msg, 0) == (ssize_t)crowd->size,
		      "recvmsg");
}

static const struct way {
	const char *name;
	void (*open)(struct crowd *crowd);
	void (*close)(struct crowd *crowd);
	void (*send)(struct crowd *crowd);
	void (*recv)(struct crowd *crowd);
} ways[] = {
	{ "bus1", open_bus1, close_bus1, send_bus1, recv_bus1 },
	{ "SEQPACKET sendmsg", open_sockets, close_sockets, send_sockets,
	  recv_sockets },
};

static __u64 timed(void (*step)(struct crowd *crowd), struct crowd *crowd)
{
	__u64 start = now();
	unsigned int i;

	for (i = 0; i < BATCH; i++)
		step(crowd);
	return now() - start;
}

/* A few sockets hit or miss half-full slabs for as long as they live: take several. */
static unsigned int n_crowds(unsigned int n)
{
	return n < 64 ? 16 : 1;
}

static void run(const struct way *way, struct crowd *crowd, unsigned int rounds,
		__u64 *sent, __u64 *received)
{
	unsigned int i;

	way->open(crowd);
	timed(way->send, crowd);
	timed(way->recv, crowd);
	for (i = 0; i < rounds; i++) {
		*sent += timed(way->send, crowd);
		*received += timed(way->recv, crowd);
	}
	way->close(crowd);
}

static void measure(const struct way *way, unsigned int n, size_t size)
{
	const unsigned int crowds = n_crowds(n);
	const unsigned int rounds = (2048 / n + 4) / crowds;
	const double total = (double)crowds * rounds * BATCH * n;
	struct crowd *crowd = calloc(1, sizeof(*crowd));
	__u64 sent = 0, received = 0;
	unsigned int i;
	char name[64];

	check(crowd, "calloc");
	crowd->n = n;
	crowd->size = size;
	for (i = 0; i < crowds; i++)
		run(way, crowd, rounds, &sent, &received);
	free(crowd);
	snprintf(name, sizeof(name), "multicast.%zu.send", size);
	result(name, way->name, n, sent / total);
	snprintf(name, sizeof(name), "multicast.%zu.recv", size);
	result(name, way->name, n, received / total);
}

void scenario_multicast(void)
{
	static const unsigned int counts[] = { 4, 64, MAX_DESTINATIONS };
	size_t w, c;

	for (w = 0; w < ARRAY_SIZE(ways); w++) {
		for (c = 0; c < ARRAY_SIZE(counts); c++) {
			measure(&ways[w], counts[c], 64);
			measure(&ways[w], counts[c], 4096);
		}
	}
}
