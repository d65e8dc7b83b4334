// SPDX-License-Identifier: GPL-2.0
/*
 * A pair of eventfds: a wake-up that carries a number and no message.
 */
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "bench.h"

struct eventfd_link {
	int there;
	int back;
};

static const char *refuse(size_t n)
{
	return n ? "an eventfd carries a number and no message" : NULL;
}

static void *open_link(size_t n)
{
	struct eventfd_link *link = calloc(1, sizeof(*link));

	(void)n;
	check(link, "calloc");
	link->there = eventfd(0, 0);
	link->back = eventfd(0, 0);
	check(link->there >= 0 && link->back >= 0, "eventfd");
	return link;
}

static void close_link(void *data)
{
	struct eventfd_link *link = data;

	close(link->there);
	close(link->back);
	free(link);
}

static void put(int fd)
{
	__u64 one = 1;

	check(write(fd, &one, sizeof(one)) == sizeof(one), "write");
}

static void get(int fd)
{
	__u64 count;

	check(read(fd, &count, sizeof(count)) == sizeof(count), "read");
}

static void send_there(void *data, size_t n)
{
	(void)n;
	put(((struct eventfd_link *)data)->there);
}

static void recv_there(void *data, size_t n)
{
	(void)n;
	get(((struct eventfd_link *)data)->there);
}

static void ask(void *data, size_t n)
{
	struct eventfd_link *link = data;

	(void)n;
	put(link->there);
	get(link->back);
}

static void serve(void *data, size_t n)
{
	struct eventfd_link *link = data;

	(void)n;
	for (;;) {
		get(link->there);
		put(link->back);
	}
}

const struct mechanism eventfd_mechanism = {
	.name = "eventfd",
	.refuse = refuse,
	.open = open_link,
	.close = close_link,
	.send = send_there,
	.recv = recv_there,
	.ask = ask,
	.serve = serve,
};
