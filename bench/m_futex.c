// SPDX-License-Identifier: GPL-2.0
/*
 * Shared memory that a message is copied into and out of, and a futex to wait.
 */
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench.h"

struct box {
	atomic_uint full;
	char bytes[SIZE_MAX_MESSAGE];
};

struct futex_link {
	struct box there;
	struct box back;
};

static void *open_link(size_t n)
{
	(void)n;
	return shared_memory(sizeof(struct futex_link));
}

static void close_link(void *link)
{
	munmap(link, sizeof(struct futex_link));
}

static void put(struct box *box, size_t n)
{
	memcpy(box->bytes, outgoing, n);
	atomic_store_explicit(&box->full, 1, memory_order_release);
	check(syscall(SYS_futex, &box->full, FUTEX_WAKE, 1, NULL, NULL, 0) >= 0,
	      "futex");
}

static void get(struct box *box, size_t n)
{
	while (!atomic_load_explicit(&box->full, memory_order_acquire))
		syscall(SYS_futex, &box->full, FUTEX_WAIT, 0, NULL, NULL, 0);
	memcpy(incoming, box->bytes, n);
	atomic_store_explicit(&box->full, 0, memory_order_release);
}

static void ask(void *data, size_t n)
{
	struct futex_link *link = data;

	put(&link->there, n);
	get(&link->back, n);
}

static void serve(void *data, size_t n)
{
	struct futex_link *link = data;

	for (;;) {
		get(&link->there, n);
		put(&link->back, n);
	}
}

const struct mechanism futex_mechanism = {
	.name = "futex + memory",
	.open = open_link,
	.close = close_link,
	.ask = ask,
	.serve = serve,
};
