// SPDX-License-Identifier: GPL-2.0
/*
 * A pair of pipes. A pipe has no messages: the receiver knows the length.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench.h"

struct pipe_link {
	int there[2];
	int back[2];
};

static void open_pipe(int fd[2], size_t n)
{
	check(!pipe(fd), "pipe");
	if (n > 65536)
		check(fcntl(fd[1], F_SETPIPE_SZ, n) >= 0, "F_SETPIPE_SZ");
}

static void *open_link(size_t n)
{
	struct pipe_link *link = calloc(1, sizeof(*link));

	check(link, "calloc");
	open_pipe(link->there, n);
	open_pipe(link->back, n);
	return link;
}

static void close_link(void *data)
{
	struct pipe_link *link = data;
	int i;

	for (i = 0; i < 2; i++) {
		close(link->there[i]);
		close(link->back[i]);
	}
	free(link);
}

/* Nothing can be told by writing nothing; one byte stands for it. */
static void put(int fd, size_t n)
{
	n = n ? n : 1;
	check(write(fd, outgoing, n) == (ssize_t)n, "write");
}

static void get(int fd, size_t n)
{
	size_t have = 0;
	ssize_t r;

	n = n ? n : 1;
	while (have < n) {
		r = read(fd, incoming + have, n - have);
		check(r > 0, "read");
		have += r;
	}
}

static void send_there(void *data, size_t n)
{
	put(((struct pipe_link *)data)->there[1], n);
}

static void recv_there(void *data, size_t n)
{
	get(((struct pipe_link *)data)->there[0], n);
}

static void ask(void *data, size_t n)
{
	struct pipe_link *link = data;

	put(link->there[1], n);
	get(link->back[0], n);
}

static void serve(void *data, size_t n)
{
	struct pipe_link *link = data;

	for (;;) {
		get(link->there[0], n);
		put(link->back[1], n);
	}
}

const struct mechanism pipe_mechanism = {
	.name = "pipe",
	.open = open_link,
	.close = close_link,
	.send = send_there,
	.recv = recv_there,
	.ask = ask,
	.serve = serve,
};
