// SPDX-License-Identifier: GPL-2.0
/*
 * A pair of System V message queues. The type stands before the bytes.
 */
#include <stdlib.h>
#include <sys/ipc.h>
#include <sys/msg.h>

#include "bench.h"

struct sysv_link {
	int there;
	int back;
};

static int open_queue(void)
{
	int queue = msgget(IPC_PRIVATE, 0600);

	check(queue >= 0, "msgget");
	return queue;
}

static void *open_link(size_t n)
{
	struct sysv_link *link = calloc(1, sizeof(*link));

	(void)n;
	check(link, "calloc");
	link->there = open_queue();
	link->back = open_queue();
	return link;
}

static void close_link(void *data)
{
	struct sysv_link *link = data;

	msgctl(link->there, IPC_RMID, NULL);
	msgctl(link->back, IPC_RMID, NULL);
	free(link);
}

static void put(int queue, size_t n)
{
	*(long *)outgoing = 1;
	check(!msgsnd(queue, outgoing, n, 0), "msgsnd");
}

static void get(int queue, size_t n)
{
	check(msgrcv(queue, incoming, n, 0, 0) == (ssize_t)n, "msgrcv");
}

static void send_there(void *data, size_t n)
{
	put(((struct sysv_link *)data)->there, n);
}

static void recv_there(void *data, size_t n)
{
	get(((struct sysv_link *)data)->there, n);
}

static void ask(void *data, size_t n)
{
	struct sysv_link *link = data;

	put(link->there, n);
	get(link->back, n);
}

static void serve(void *data, size_t n)
{
	struct sysv_link *link = data;

	for (;;) {
		get(link->there, n);
		put(link->back, n);
	}
}

const struct mechanism sysv_mechanism = {
	.name = "SysV msg",
	.open = open_link,
	.close = close_link,
	.send = send_there,
	.recv = recv_there,
	.ask = ask,
	.serve = serve,
};
