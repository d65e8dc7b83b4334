// SPDX-License-Identifier: GPL-2.0
/*
 * AF_UNIX socket pairs: SEQPACKET with send() and with sendmsg(), and STREAM.
 */
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "bench.h"

struct unix_link {
	int fd[2];
};

static void *open_pair(int type, size_t n)
{
	struct unix_link *link = calloc(1, sizeof(*link));
	int size = 2 * n, i;

	check(link, "calloc");
	check(!socketpair(AF_UNIX, type, 0, link->fd), "socketpair");
	for (i = 0; n > 65536 && i < 2; i++)
		check(!setsockopt(link->fd[i], SOL_SOCKET, SO_SNDBUFFORCE,
				  &size, sizeof(size)), "SO_SNDBUFFORCE");
	return link;
}

static void *open_seqpacket(size_t n)
{
	return open_pair(SOCK_SEQPACKET, n);
}

static void *open_stream(size_t n)
{
	return open_pair(SOCK_STREAM, n);
}

static void close_pair(void *data)
{
	struct unix_link *link = data;

	close(link->fd[0]);
	close(link->fd[1]);
	free(link);
}

static void put(int fd, size_t n)
{
	check(send(fd, outgoing, n, 0) == (ssize_t)n, "send");
}

static void get(int fd, size_t n)
{
	check(recv(fd, incoming, n, 0) == (ssize_t)n, "recv");
}

static void send_plain(void *data, size_t n)
{
	put(((struct unix_link *)data)->fd[0], n);
}

static void recv_plain(void *data, size_t n)
{
	get(((struct unix_link *)data)->fd[1], n);
}

static void ask_plain(void *data, size_t n)
{
	struct unix_link *link = data;

	put(link->fd[0], n);
	get(link->fd[0], n);
}

static void serve_plain(void *data, size_t n)
{
	struct unix_link *link = data;

	for (;;) {
		get(link->fd[1], n);
		put(link->fd[1], n);
	}
}

static void put_msg(int fd, size_t n)
{
	struct iovec vec = { outgoing, n };
	struct msghdr msg = { .msg_iov = &vec, .msg_iovlen = 1 };

	check(sendmsg(fd, &msg, 0) == (ssize_t)n, "sendmsg");
}

static void get_msg(int fd, size_t n)
{
	struct iovec vec = { incoming, n };
	struct msghdr msg = { .msg_iov = &vec, .msg_iovlen = 1 };

	check(recvmsg(fd, &msg, 0) == (ssize_t)n, "recvmsg");
}

static void send_msg(void *data, size_t n)
{
	put_msg(((struct unix_link *)data)->fd[0], n);
}

static void recv_msg(void *data, size_t n)
{
	get_msg(((struct unix_link *)data)->fd[1], n);
}

static void ask_msg(void *data, size_t n)
{
	struct unix_link *link = data;

	put_msg(link->fd[0], n);
	get_msg(link->fd[0], n);
}

static void serve_msg(void *data, size_t n)
{
	struct unix_link *link = data;

	for (;;) {
		get_msg(link->fd[1], n);
		put_msg(link->fd[1], n);
	}
}

/* A stream has no empty message; one byte stands for it. */
static size_t at_least_one(size_t n)
{
	return n ? n : 1;
}

static void get_all(int fd, size_t n)
{
	check(recv(fd, incoming, n, MSG_WAITALL) == (ssize_t)n, "recv");
}

static void send_stream(void *data, size_t n)
{
	put(((struct unix_link *)data)->fd[0], at_least_one(n));
}

static void recv_stream(void *data, size_t n)
{
	get_all(((struct unix_link *)data)->fd[1], at_least_one(n));
}

static void ask_stream(void *data, size_t n)
{
	struct unix_link *link = data;

	put(link->fd[0], at_least_one(n));
	get_all(link->fd[0], at_least_one(n));
}

static void serve_stream(void *data, size_t n)
{
	struct unix_link *link = data;

	for (;;) {
		get_all(link->fd[1], at_least_one(n));
		put(link->fd[1], at_least_one(n));
	}
}

const struct mechanism seqpacket_mechanism = {
	.name = "SEQPACKET",
	.open = open_seqpacket,
	.close = close_pair,
	.send = send_plain,
	.recv = recv_plain,
	.ask = ask_plain,
	.serve = serve_plain,
};

const struct mechanism seqpacket_msg_mechanism = {
	.name = "SEQPACKET sendmsg",
	.open = open_seqpacket,
	.close = close_pair,
	.send = send_msg,
	.recv = recv_msg,
	.ask = ask_msg,
	.serve = serve_msg,
};

const struct mechanism stream_mechanism = {
	.name = "STREAM",
	.open = open_stream,
	.close = close_pair,
	.send = send_stream,
	.recv = recv_stream,
	.ask = ask_stream,
	.serve = serve_stream,
};
