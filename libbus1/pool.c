// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The pool of a peer, mapped as far as messages need it.
 *
 * A slice is contiguous in the pool and has to be so in memory, and pointers
 * into messages that are held must not move. So the pool is never remapped: when
 * it has to reach further, the whole of it is mapped once more from offset 0, at
 * least twice as long, and the shorter mappings are kept for who still reads
 * there. Each is at most half as long as the next, so they are few.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bus1.h"
#include "internal.h"

/* A multiple of every page size in use. */
#define FIRST_LENGTH ((uint64_t)1 << 20)

EXPORT struct bus1_pool *bus1_pool_new(int fd)
{
	struct bus1_pool *pool = calloc(1, sizeof(*pool));

	if (pool)
		pool->fd = fd;
	return pool;
}

EXPORT void bus1_pool_free(struct bus1_pool *pool)
{
	int saved = errno;

	if (!pool)
		return;

	while (pool->n_maps--)
		munmap(pool->maps[pool->n_maps].address,
		       pool->maps[pool->n_maps].length);
	free(pool);
	errno = saved;
}

/* The newest mapping is the longest. */
static const struct bus1_map *newest_map(const struct bus1_pool *pool)
{
	static const struct bus1_map none;

	return pool->n_maps ? &pool->maps[pool->n_maps - 1] : &none;
}

static int map_length(struct bus1_pool *pool, size_t length)
{
	struct bus1_map *map = &pool->maps[pool->n_maps];
	void *address;

	address = mmap(NULL, length, PROT_READ, MAP_SHARED, pool->fd, 0);
	if (address == MAP_FAILED)
		return -1;

	map->address = address;
	map->length = length;
	pool->n_maps++;
	return 0;
}

static uint64_t handles_offset(const struct bus1_recv_args *args)
{
	return (args->n_bytes + 7) & ~(uint64_t)7;
}

static uint64_t fds_offset(const struct bus1_recv_args *args)
{
	return handles_offset(args) + args->n_handles * sizeof(uint64_t);
}

static uint64_t slice_size(const struct bus1_recv_args *args)
{
	return fds_offset(args) + args->n_fds * sizeof(int);
}

/* Maps the pool up to the end of the slice that the kernel told about. */
int bus1_pool_grow(struct bus1_pool *pool, const struct bus1_recv_args *args)
{
	uint64_t end = args->offset + slice_size(args);
	uint64_t length = FIRST_LENGTH;

	while (length && (length < end || length <= newest_map(pool)->length))
		length *= 2;
	if (!length || length > PTRDIFF_MAX || pool->n_maps == BUS1_MAX_MAPS) {
		errno = ENOMEM;
		return -1;
	}
	return map_length(pool, length);
}

void bus1_msg_clear(struct bus1_msg *msg, uint64_t offset)
{
	/* The message may be in its buffer already. */
	memset(msg, 0, offsetof(struct bus1_msg, buffer));
	msg->destination = BUS1_HANDLE_INVALID;
	msg->reply = BUS1_HANDLE_INVALID;
	msg->offset = offset;
}

static void fill_common(struct bus1_msg *msg, const struct bus1_recv_args *args)
{
	bus1_msg_clear(msg, args->offset);
	msg->type = args->type;
	msg->flags = args->flags;
	msg->destination = args->destination;
	msg->reply = args->reply;
	msg->sender_pid = args->sender_pid;
	msg->sender_uid = args->sender_uid;
	msg->sender_gid = args->sender_gid;
}

static void fill_pointers(struct bus1_msg *msg, const char *slice,
			  const struct bus1_recv_args *args)
{
	msg->n_bytes = args->n_bytes;
	msg->n_handles = args->n_handles;
	msg->n_fds = args->n_fds;
	if (msg->n_bytes)
		msg->payload = slice;
	if (msg->n_handles)
		msg->handles = (const void *)(slice + handles_offset(args));
	if (msg->n_fds)
		msg->fds = (const void *)(slice + fds_offset(args));
}

int bus1_msg_fill(struct bus1_msg *msg, const struct bus1_pool *pool,
		  const struct bus1_recv_args *args)
{
	fill_common(msg, args);
	if (args->flags & BUS1_MSG_FLAG_INLINE) {
		fill_pointers(msg, (const char *)msg->buffer, args);
		return 0;
	}
	if (args->offset != BUS1_OFFSET_INVALID) {
		/* An empty slice may lie behind what is mapped. */
		if (slice_size(args))
			fill_pointers(msg, newest_map(pool)->address +
				      args->offset, args);
		return 0;
	}
	if (args->type == BUS1_MSG_DATA) {
		errno = EIO;
		return -1;
	}
	return 0;
}

struct bus1_recv_args bus1_pool_args(const struct bus1_pool *pool,
				     struct bus1_msg *msg, uint64_t deadline,
				     unsigned int flags)
{
	struct bus1_recv_args args = {
		.max_offset = newest_map(pool)->length,
		.deadline = deadline,
		.ptr_buffer = (uintptr_t)msg->buffer,
		.buffer_size = sizeof(msg->buffer),
		.release = flags & BUS1_RECV_RELEASE ? msg->offset :
						       BUS1_OFFSET_INVALID,
	};

	return args;
}

int bus1_pool_take(struct bus1_pool *pool, struct bus1_recv_args *args,
		   unsigned int flags)
{
	int r;

	do {
		args->max_offset = newest_map(pool)->length;
		r = bus1_recv(pool->fd, args, flags);
	} while (r < 0 && errno == ERANGE && !bus1_pool_grow(pool, args));

	if (!r && !(flags & (BUS1_RECV_SEED | BUS1_RECV_REPLY)))
		pool->n_taken++;
	return r;
}

EXPORT int bus1_pool_recv(struct bus1_pool *pool, struct bus1_msg *msg,
			  uint64_t deadline, unsigned int flags)
{
	struct bus1_recv_args args = bus1_pool_args(pool, msg, deadline, flags);

	if (bus1_pool_take(pool, &args, flags) < 0) {
		bus1_msg_clear(msg, args.release);
		return -1;
	}
	return bus1_msg_fill(msg, pool, &args);
}

EXPORT int bus1_msg_release(struct bus1_pool *pool, struct bus1_msg *msg)
{
	uint64_t offset = msg->offset;

	msg->offset = BUS1_OFFSET_INVALID;
	msg->payload = NULL;
	msg->handles = NULL;
	msg->fds = NULL;
	if (offset == BUS1_OFFSET_INVALID)
		return 0;
	return bus1_slice_release(pool->fd, &offset, 1, 0);
}

static void close_fds(const struct bus1_msg *msg)
{
	size_t i;

	for (i = 0; msg->fds && i < msg->n_fds; i++)
		if (msg->fds[i] >= 0)
			close(msg->fds[i]);
}

/* One by one: a handle may stand in a message twice, but not in a release. */
static int release_handles(int fd, const struct bus1_msg *msg)
{
	int error = 0;
	size_t i;

	for (i = 0; msg->handles && i < msg->n_handles; i++) {
		if (msg->handles[i] == BUS1_HANDLE_INVALID)
			continue;
		if (bus1_handle_release(fd, &msg->handles[i], 1, 0) < 0 &&
		    !error)
			error = errno;
	}
	return error;
}

/* Unused: whoever waits for the reply is told that it will not come. */
static int release_reply(int fd, struct bus1_msg *msg)
{
	uint64_t reply = msg->reply;

	msg->reply = BUS1_HANDLE_INVALID;
	if (reply == BUS1_HANDLE_INVALID)
		return 0;
	return bus1_handle_release(fd, &reply, 1, 0);
}

EXPORT int bus1_msg_discard(struct bus1_pool *pool, struct bus1_msg *msg)
{
	int error;

	close_fds(msg);
	error = release_handles(pool->fd, msg);
	if (release_reply(pool->fd, msg) < 0 && !error)
		error = errno;
	if (bus1_msg_release(pool, msg) < 0 && !error)
		error = errno;
	if (error) {
		errno = error;
		return -1;
	}
	return 0;
}
