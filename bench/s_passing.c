// SPDX-License-Identifier: GPL-2.0
/*
 * What a handle or a descriptor in a message of 64 bytes adds to it: sent,
 * received, and released or closed, less the same message without.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"
#include "bus1.h"

#define BYTES 64
/* Enough for what is freed after a grace period to be counted, too. */
#define ROUNDS 10000

/* A sender, a receiver, and the owner of what the sender passes. */
struct trio {
	int sender;
	int receiver;
	int owner;
	__u64 dest;
	__u64 slice;
	__u64 handle;
	__u64 kept;
	int fd;
	int pair[2];
};

static void trio_open(struct trio *trio)
{
	trio->sender = peer_open();
	trio->receiver = peer_open();
	trio->owner = peer_open();
	trio->dest = peer_give(trio->receiver, 8 | BUS1_HANDLE_FLAG_NEW,
			       trio->sender);
	trio->slice = NO_SLICE;
	trio->handle = peer_give(trio->owner, 8 | BUS1_HANDLE_FLAG_NEW,
				 trio->sender);
	trio->fd = eventfd(0, EFD_CLOEXEC);
	check(trio->fd >= 0, "eventfd");
	check(!socketpair(AF_UNIX, SOCK_SEQPACKET, 0, trio->pair),
	      "socketpair");
}

static void trio_close(struct trio *trio)
{
	close(trio->sender);
	close(trio->receiver);
	close(trio->owner);
	close(trio->fd);
	close(trio->pair[0]);
	close(trio->pair[1]);
}

static double average(void (*step)(struct trio *trio), struct trio *trio)
{
	__u64 start = 0;
	unsigned int i;

	for (i = 0; i < ROUNDS + ROUNDS / 10; i++) {
		if (i == ROUNDS / 10)
			start = now();
		step(trio);
	}
	return (double)(now() - start) / ROUNDS;
}

static void plain(struct trio *trio)
{
	bus1_post(trio->sender, &trio->dest, 1, BYTES);
	trio->slice = bus1_take(trio->receiver, trio->slice);
}

static void post(struct trio *trio, struct bus1_send_args *args,
		 unsigned int flags)
{
	struct iovec vec = { outgoing, BYTES };

	args->ptr_destinations = to_u64(&trio->dest);
	args->n_destinations = 1;
	args->ptr_vecs = to_u64(&vec);
	args->n_vecs = 1;
	bus1_send_args(trio->sender, args, flags);
}

static void with_handle(struct trio *trio)
{
	struct bus1_send_args args = {
		.ptr_handles = to_u64(&trio->handle),
		.n_handles = 1,
	};
	__u64 id;

	post(trio, &args, BUS1_SEND_HANDLES);
	trio->slice = bus1_take(trio->receiver, trio->slice);
	id = bus1_inbox[BYTES / sizeof(id)];
	peer_release(trio->receiver, id);
}

static void with_descriptor(struct trio *trio)
{
	struct bus1_send_args args = {
		.ptr_fds = to_u64(&trio->fd),
		.n_fds = 1,
	};
	struct bus1_recv_args recv = { .release = trio->slice };
	int fd;

	post(trio, &args, BUS1_SEND_FDS);
	check(!bus1_try_recv(trio->receiver, &recv, BUS1_RECV_RELEASE |
			     BUS1_RECV_INSTALL_FDS), "bus1_recv");
	trio->slice = recv.offset;
	memcpy(&fd, bus1_inbox + BYTES / sizeof(*bus1_inbox), sizeof(fd));
	check(!close(fd), "close");
}

static void sockets_plain(struct trio *trio)
{
	struct iovec out = { outgoing, BYTES }, in = { incoming, BYTES };
	struct msghdr send = { .msg_iov = &out, .msg_iovlen = 1 };
	struct msghdr recv = { .msg_iov = &in, .msg_iovlen = 1 };

	check(sendmsg(trio->pair[0], &send, 0) == BYTES, "sendmsg");
	check(recvmsg(trio->pair[1], &recv, 0) == BYTES, "recvmsg");
}

static void sockets_descriptor(struct trio *trio)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} out = { .head = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } },
	  in;
	struct iovec to = { outgoing, BYTES }, from = { incoming, BYTES };
	struct msghdr send = { .msg_iov = &to, .msg_iovlen = 1,
			       .msg_control = &out,
			       .msg_controllen = sizeof(out) };
	struct msghdr recv = { .msg_iov = &from, .msg_iovlen = 1,
			       .msg_control = &in,
			       .msg_controllen = sizeof(in) };
	int fd;

	memcpy(CMSG_DATA(&out.head), &trio->fd, sizeof(fd));
	check(sendmsg(trio->pair[0], &send, 0) == BYTES, "sendmsg");
	check(recvmsg(trio->pair[1], &recv, MSG_CMSG_CLOEXEC) == BYTES,
	      "recvmsg");
	memcpy(&fd, CMSG_DATA(&in.head), sizeof(fd));
	check(!close(fd), "close");
}

void scenario_handles(void)
{
	struct trio trio;
	double bare;

	trio_open(&trio);
	bare = average(plain, &trio);
	result("handle.new", "bus1", 1, average(with_handle, &trio) - bare);
	trio.kept = peer_give(trio.owner, 8, trio.receiver);
	result("handle.known", "bus1", 1, average(with_handle, &trio) - bare);
	trio_close(&trio);
}

void scenario_descriptors(void)
{
	struct trio trio;
	double bare;

	trio_open(&trio);
	bare = average(plain, &trio);
	result("descriptor", "bus1", 1,
	       average(with_descriptor, &trio) - bare);
	bare = average(sockets_plain, &trio);
	result("descriptor", "SEQPACKET sendmsg", 1,
	       average(sockets_descriptor, &trio) - bare);
	trio_close(&trio);
}
