// SPDX-License-Identifier: GPL-2.0
/*
 * binder: a transaction and its reply, on a device of binderfs of its own.
 */
#include <fcntl.h>
#include <linux/android/binder.h>
#include <linux/android/binderfs.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench.h"

#define FS "/tmp/binderfs"
/* The most that the driver maps. */
#define MAP_LENGTH ((size_t)4 << 20)

struct binder_link {
	char path[sizeof(FS "/") + BINDERFS_MAX_NAME];
	/* The client's end; a server has to open and map its own. */
	int fd;
	binder_uintptr_t last;
	atomic_bool *ready;
};

struct free_command {
	__u32 code;
	binder_uintptr_t buffer;
} __packed;

struct transaction_command {
	__u32 code;
	struct binder_transaction_data data;
} __packed;

/* What one side writes: gives back the last buffer and sends. */
struct commands {
	struct free_command free;
	struct transaction_command send;
} __packed;

static bool mount_binderfs(void)
{
	static bool mounted;

	if (mounted)
		return true;
	mkdir(FS, 0700);
	mounted = !mount("binder", FS, "binder", 0, NULL);
	return mounted;
}

static const char *refuse(size_t n)
{
	if (!mount_binderfs())
		return "this kernel has no binder";
	return n > MAP_LENGTH / 2 ? "more than a binder process may map" : NULL;
}

static int open_device(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	check(fd >= 0, path);
	check(mmap(NULL, MAP_LENGTH, PROT_READ, MAP_PRIVATE | MAP_NORESERVE, fd,
		   0) != MAP_FAILED, "mmap of binder");
	return fd;
}

/* Every link has its own device, and so its own context manager. */
static void add_device(struct binder_link *link)
{
	static unsigned int count;
	struct binderfs_device device = {};
	int control = open(FS "/binder-control", O_RDONLY | O_CLOEXEC);

	check(control >= 0, "binder-control");
	snprintf(device.name, sizeof(device.name), "bench%u", count++);
	check(!ioctl(control, BINDER_CTL_ADD, &device), "BINDER_CTL_ADD");
	close(control);
	snprintf(link->path, sizeof(link->path), FS "/%s", device.name);
}

static void *open_link(size_t n)
{
	struct binder_link *link = calloc(1, sizeof(*link));

	(void)n;
	check(link, "calloc");
	add_device(link);
	link->fd = open_device(link->path);
	link->ready = shared_memory(sizeof(*link->ready));
	return link;
}

static void close_link(void *data)
{
	struct binder_link *link = data;

	close(link->fd);
	unlink(link->path);
	munmap(link->ready, sizeof(*link->ready));
	free(link);
}

/* Writes if there is something to write, reads, and waits if it has to. */
static size_t exchange(int fd, const void *out, size_t n, char *in, size_t room)
{
	struct binder_write_read io = {
		.write_buffer = (uintptr_t)out,
		.write_size = n,
		.read_buffer = (uintptr_t)in,
		.read_size = room,
	};

	check(!ioctl(fd, BINDER_WRITE_READ, &io), "BINDER_WRITE_READ");
	return io.read_consumed;
}

/* Looks for @wanted in what was read, and returns the buffer that came. */
static binder_uintptr_t find(const char *in, size_t n, __u32 wanted)
{
	struct binder_transaction_data data;
	size_t at = 0;
	__u32 code;

	while (at + sizeof(code) <= n) {
		memcpy(&code, in + at, sizeof(code));
		at += sizeof(code);
		check(code != BR_DEAD_REPLY && code != BR_FAILED_REPLY,
		      "a binder transaction");
		if (code == wanted) {
			memcpy(&data, in + at, sizeof(data));
			return data.data.ptr.buffer;
		}
		at += _IOC_SIZE(code);
	}
	return 0;
}

/* Sends, and waits for @wanted. */
static binder_uintptr_t turn(int fd, binder_uintptr_t last, __u32 code,
			     size_t n, __u32 wanted)
{
	struct commands commands = {
		.free = { BC_FREE_BUFFER, last },
		.send = { code, { .data_size = n, .data.ptr = {
					(uintptr_t)outgoing, 0 } } },
	};
	const size_t skip = last ? 0 : sizeof(commands.free);
	const char *out = (const char *)&commands + skip;
	size_t length = sizeof(commands) - skip, got;
	binder_uintptr_t buffer;
	char in[256];

	do {
		got = exchange(fd, out, length, in, sizeof(in));
		buffer = find(in, got, wanted);
		length = 0;
	} while (!buffer);
	return buffer;
}

static void ask(void *data, size_t n)
{
	struct binder_link *link = data;

	while (!atomic_load(link->ready))
		sched_yield();
	link->last = turn(link->fd, link->last, BC_TRANSACTION, n, BR_REPLY);
}

static void serve(void *data, size_t n)
{
	struct binder_link *link = data;
	int fd = open_device(link->path);
	__u32 loop = BC_ENTER_LOOPER;
	binder_uintptr_t buffer = 0;
	char in[256];
	size_t got;

	check(!ioctl(fd, BINDER_SET_CONTEXT_MGR, 0), "BINDER_SET_CONTEXT_MGR");
	exchange(fd, &loop, sizeof(loop), NULL, 0);
	atomic_store(link->ready, true);
	while (!buffer) {
		got = exchange(fd, NULL, 0, in, sizeof(in));
		buffer = find(in, got, BR_TRANSACTION);
	}
	for (;;)
		buffer = turn(fd, buffer, BC_REPLY, n, BR_TRANSACTION);
}

const struct mechanism binder_mechanism = {
	.name = "binder",
	.refuse = refuse,
	.open = open_link,
	.close = close_link,
	.ask = ask,
	.serve = serve,
};
