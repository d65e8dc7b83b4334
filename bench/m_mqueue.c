// SPDX-License-Identifier: GPL-2.0
/*
 * A pair of POSIX message queues.
 */
#include <fcntl.h>
#include <mqueue.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "bench.h"

struct mqueue_link {
	mqd_t there;
	mqd_t back;
	size_t room;
};

static mqd_t open_queue(size_t room)
{
	struct mq_attr attr = { .mq_maxmsg = 4, .mq_msgsize = room };
	mqd_t queue = mq_open("/bench", O_RDWR | O_CREAT | O_EXCL, 0600, &attr);

	check(queue >= 0, "mq_open");
	check(!mq_unlink("/bench"), "mq_unlink");
	return queue;
}

static void *open_link(size_t n)
{
	struct mqueue_link *link = calloc(1, sizeof(*link));

	check(link, "calloc");
	link->room = n ? n : 1;
	link->there = open_queue(link->room);
	link->back = open_queue(link->room);
	return link;
}

static void close_link(void *data)
{
	struct mqueue_link *link = data;

	mq_close(link->there);
	mq_close(link->back);
	free(link);
}

static void put(mqd_t queue, size_t n)
{
	check(!mq_send(queue, outgoing, n, 0), "mq_send");
}

static void get(mqd_t queue, size_t room)
{
	check(mq_receive(queue, incoming, room, NULL) >= 0, "mq_receive");
}

static void send_there(void *data, size_t n)
{
	put(((struct mqueue_link *)data)->there, n);
}

static void recv_there(void *data, size_t n)
{
	struct mqueue_link *link = data;

	(void)n;
	get(link->there, link->room);
}

static void ask(void *data, size_t n)
{
	struct mqueue_link *link = data;

	put(link->there, n);
	get(link->back, link->room);
}

static void serve(void *data, size_t n)
{
	struct mqueue_link *link = data;

	for (;;) {
		get(link->there, link->room);
		put(link->back, n);
	}
}

const struct mechanism mqueue_mechanism = {
	.name = "POSIX mqueue",
	.open = open_link,
	.close = close_link,
	.send = send_there,
	.recv = recv_there,
	.ask = ask,
	.serve = serve,
};
