// SPDX-License-Identifier: GPL-2.0
/*
 * What scripts/profile looks at: one operation again and again, with a mark in
 * front of each. The first program of a guest that has nothing else.
 */
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#include <linux/bus1.h>

#include "../mark.h"

#define N_PEERS		64
#define REQUEST		0x2000
#define POOL_LENGTH	(16 << 20)
/* Where the slice goes on behind the payload. */
#define TAIL		((STEPS_SIZE + 7) & ~7)

static char payload[1 << 20];
/* Where small messages are received. */
static char inbox[BUS1_INLINE_MAX] __attribute__((aligned(8)));
static struct iovec vec = { payload, STEPS_SIZE };

static uint64_t to_u64(const void *p)
{
	return (uintptr_t)p;
}

static int peer_new(void)
{
	return syscall(500, NULL, 0, 0);
}

/* Gives @to a handle to a new node of @owner. */
static uint64_t connect_new(int owner, uint64_t id, int to)
{
	uint64_t handle;

	id |= BUS1_HANDLE_FLAG_NEW;
	syscall(504, owner, to, &id, &handle, 1, 0);
	return handle;
}

static struct bus1_send_args message_to(const uint64_t *dests, size_t n)
{
	return (struct bus1_send_args) {
		.ptr_destinations = to_u64(dests),
		.n_destinations = n,
		.ptr_vecs = to_u64(&vec),
		.n_vecs = !!STEPS_SIZE,
	};
}

static void send_to(int fd, const uint64_t *dests, size_t n)
{
	struct bus1_send_args args = message_to(dests, n);

	syscall(508, fd, &args, sizeof(args), 0);
}

static struct bus1_recv_args recv_args(uint64_t release)
{
	return (struct bus1_recv_args) {
		.max_offset = 1 << 30,
		.ptr_buffer = to_u64(inbox),
		.buffer_size = sizeof(inbox),
		.release = release,
	};
}

/* What came carries something behind its payload: where, if it is at @offset of @pool. */
static const char *tail(const char *pool, uint64_t offset)
{
	return (offset == BUS1_OFFSET_INVALID ? inbox : pool + offset) + TAIL;
}

/* Receives, releases the slice at @offset, and returns that of the message. */
static uint64_t receive_with(int fd, uint64_t offset, unsigned int flags)
{
	struct bus1_recv_args args = recv_args(offset);

	syscall(509, fd, &args, sizeof(args), BUS1_RECV_RELEASE | flags);
	return args.offset;
}

static uint64_t receive(int fd, uint64_t offset)
{
	return receive_with(fd, offset, 0);
}

static void run_local(int server, int client, uint64_t to)
{
	uint64_t offset = BUS1_OFFSET_INVALID;
	int i;

	for (i = 0; i < STEPS_ROUNDS; i++) {
		mark(MARK_ROUND);
		send_to(client, &to, 1);
		offset = receive(server, offset);
	}
}

static const char *map_pool(int fd)
{
	return mmap(NULL, POOL_LENGTH, PROT_READ, MAP_SHARED, fd, 0);
}

/* What the handle refers to is a third peer's; the receiver has no other. */
static void run_handle(int server, int client, uint64_t to)
{
	uint64_t carried = connect_new(peer_new(), 0x1000, client), id;
	struct bus1_send_args args = message_to(&to, 1);
	uint64_t offset = BUS1_OFFSET_INVALID;
	const char *pool = map_pool(server);
	int i;

	args.ptr_handles = to_u64(&carried);
	args.n_handles = 1;
	for (i = 0; i < STEPS_ROUNDS; i++) {
		mark(MARK_ROUND);
		syscall(508, client, &args, sizeof(args), BUS1_SEND_HANDLES);
		offset = receive(server, offset);
		memcpy(&id, tail(pool, offset), sizeof(id));
		syscall(505, server, &id, 1, 0);
	}
}

static void run_fd(int server, int client, uint64_t to)
{
	struct bus1_send_args args = message_to(&to, 1);
	uint64_t offset = BUS1_OFFSET_INVALID;
	const char *pool = map_pool(server);
	int i, carried = eventfd(0, EFD_CLOEXEC), fd;

	args.ptr_fds = to_u64(&carried);
	args.n_fds = 1;
	for (i = 0; i < STEPS_ROUNDS; i++) {
		mark(MARK_ROUND);
		syscall(508, client, &args, sizeof(args), BUS1_SEND_FDS);
		offset = receive_with(server, offset, BUS1_RECV_INSTALL_FDS);
		memcpy(&fd, tail(pool, offset), sizeof(fd));
		close(fd);
	}
}

static void serve(int server)
{
	struct bus1_recv_args recv = recv_args(BUS1_OFFSET_INVALID);
	struct bus1_send_args reply;
	uint64_t handle;

	syscall(509, server, &recv, sizeof(recv), 0);
	for (;;) {
		handle = recv.reply;
		reply = message_to(&handle, 1);
		recv.release = recv.offset;
		syscall(510, server, &reply, sizeof(reply), &recv, sizeof(recv),
			BUS1_CALL(0, BUS1_RECV_RELEASE));
	}
}

static void run_call(int server, int client, uint64_t to)
{
	struct bus1_recv_args recv = recv_args(BUS1_OFFSET_INVALID);
	struct bus1_send_args request = message_to(&to, 1);
	int i;

	if (!fork())
		serve(server);
	request.reply_id = REQUEST;
	request.reply_max_bytes = STEPS_SIZE;
	for (i = 0; i < STEPS_ROUNDS; i++) {
		mark(MARK_ROUND);
		syscall(510, client, &request, sizeof(request), &recv,
			sizeof(recv),
			BUS1_CALL(BUS1_SEND_REPLY, BUS1_RECV_RELEASE));
		recv.release = recv.offset;
	}
}

static void echo(int server, uint64_t to)
{
	uint64_t offset = BUS1_OFFSET_INVALID;

	for (;;) {
		offset = receive(server, offset);
		send_to(server, &to, 1);
	}
}

static void run_round(int server, int client, uint64_t to)
{
	uint64_t offset = BUS1_OFFSET_INVALID;
	uint64_t back = connect_new(client, 0x1000, server);
	int i;

	if (!fork())
		echo(server, back);
	for (i = 0; i < STEPS_ROUNDS; i++) {
		mark(MARK_ROUND);
		send_to(client, &to, 1);
		offset = receive(client, offset);
	}
}

static void run_transfer(int server, int client)
{
	uint64_t node = 0x1000, handle;
	int i;

	for (i = 0; i < STEPS_ROUNDS; i++) {
		mark(MARK_ROUND);
		syscall(504, server, client, &node, &handle, 1, 0);
		syscall(505, client, &handle, 1, 0);
	}
}

static void run_multicast(int client)
{
	uint64_t to[N_PEERS], offsets[N_PEERS];
	int i, k, peers[N_PEERS];

	for (k = 0; k < N_PEERS; k++) {
		peers[k] = peer_new();
		to[k] = connect_new(peers[k], 0x1000, client);
		offsets[k] = BUS1_OFFSET_INVALID;
	}
	for (i = 0; i < STEPS_ROUNDS; i++) {
		mark(MARK_ROUND);
		send_to(client, to, N_PEERS);
		for (k = 0; k < N_PEERS; k++)
			offsets[k] = receive(peers[k], offsets[k]);
	}
}

int main(void)
{
	int server = peer_new(), client = peer_new();
	uint64_t to = connect_new(server, 0x1000, client);

	if (!strcmp(STEPS_WHAT, "local"))
		run_local(server, client, to);
	else if (!strcmp(STEPS_WHAT, "call"))
		run_call(server, client, to);
	else if (!strcmp(STEPS_WHAT, "round"))
		run_round(server, client, to);
	else if (!strcmp(STEPS_WHAT, "handle"))
		run_handle(server, client, to);
	else if (!strcmp(STEPS_WHAT, "fd"))
		run_fd(server, client, to);
	else if (!strcmp(STEPS_WHAT, "transfer"))
		run_transfer(server, client);
	else
		run_multicast(client);
	reboot(RB_POWER_OFF);
	return 1;
}
