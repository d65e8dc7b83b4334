// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* The pool: messages as pointers, growth, and who gives what back. */
#include <bus1.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include "tap.h"

#define NEW BUS1_HANDLE_FLAG_NEW
#define KIB 1024
#define MIB (1024 * KIB)

/* A sender and a receiver; @to is the sender's handle to node 8. */
struct pair {
	int from;
	int at;
	uint64_t to;
	struct bus1_pool *pool;
};

static struct pair pair_new(void)
{
	struct pair pair = {
		.from = bus1_open(0),
		.at = bus1_open_limits(BUS1_LIMIT_KEEP, BUS1_LIMIT_KEEP,
				       48 * MIB, BUS1_LIMIT_KEEP, 0),
	};
	uint64_t node = 8 | NEW;

	REQUIRE(pair.from >= 0 && pair.at >= 0);
	REQUIRE(!bus1_handle_transfer(pair.at, pair.from, &node, &pair.to, 1, 0));
	pair.pool = bus1_pool_new(pair.at);
	REQUIRE(pair.pool);
	return pair;
}

static void pair_free(struct pair *pair)
{
	bus1_pool_free(pair->pool);
	close(pair->from);
	close(pair->at);
}

static struct bus1_peer_info info_of(int peer)
{
	struct bus1_peer_info info;

	REQUIRE(!bus1_peer_query(peer, &info, 0));
	return info;
}

static int send_bytes(const struct pair *pair, int byte, size_t n)
{
	void *data = malloc(n + 1);
	struct iovec vec = { data, n };
	int r;

	REQUIRE(data);
	memset(data, byte, n);
	r = bus1_send(pair->from, &pair->to, 1, &vec, 1, NULL, 0, NULL, 0, 0);
	free(data);
	return r;
}

static int take(struct pair *pair, struct bus1_msg *msg, unsigned int flags)
{
	return bus1_pool_recv(pair->pool, msg, 0, flags | BUS1_RECV_NONBLOCK);
}

static int is_all(const struct bus1_msg *msg, int byte, size_t n)
{
	const unsigned char *data = msg->payload;
	size_t i;

	if (msg->n_bytes != n)
		return 0;
	for (i = 0; i < n; i++)
		if (data[i] != byte)
			return 0;
	return 1;
}

static void gives_pointers(void)
{
	struct pair pair = pair_new();
	uint64_t handles[] = { 80 | NEW, 96 | NEW };
	struct iovec vec = { (void *)"hello", 5 };
	struct bus1_msg msg;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	EXPECT(!bus1_send(pair.from, &pair.to, 1, &vec, 1, handles, 2, &null, 1,
			  0));
	EXPECT(!take(&pair, &msg, BUS1_RECV_INSTALL_FDS));
	EXPECT(msg.type == BUS1_MSG_DATA && msg.destination == 8);
	EXPECT(msg.reply == BUS1_HANDLE_INVALID);
	EXPECT(msg.n_bytes == 5 && !memcmp(msg.payload, "hello", 5));
	EXPECT((uintptr_t)msg.payload % 8 == 0);
	EXPECT((const char *)msg.handles == (const char *)msg.payload + 8);
	EXPECT((const char *)msg.fds == (const char *)msg.payload + 24);
	EXPECT(msg.n_handles == 2 && msg.handles[0] != msg.handles[1]);
	EXPECT(msg.handles[0] & BUS1_HANDLE_FLAG_REMOTE);
	EXPECT(msg.n_fds == 1 && msg.fds[0] > null);
	EXPECT(fcntl(msg.fds[0], F_GETFD) == FD_CLOEXEC);
	EXPECT(msg.sender_pid == getpid() && msg.sender_uid == geteuid() &&
	       msg.sender_gid == getegid());
	EXPECT(!bus1_msg_discard(pair.pool, &msg));
	close(null);
	pair_free(&pair);
}

static void every_length_of_payload(void)
{
	struct pair pair = pair_new();
	uint64_t handle = 80 | NEW;
	char data[20] = "abcdefghijklmnopqrs";
	struct iovec vec = { data, 0 };
	struct bus1_msg msg;

	for (vec.iov_len = 0; vec.iov_len < sizeof(data); vec.iov_len++) {
		EXPECT(!bus1_send(pair.from, &pair.to, 1, &vec, 1, &handle, 1,
				  NULL, 0, 0));
		handle = 80;
		EXPECT(!take(&pair, &msg, 0));
		EXPECT(msg.n_bytes == vec.iov_len);
		EXPECT(!msg.payload == !vec.iov_len);
		EXPECT(!vec.iov_len || !memcmp(msg.payload, data, vec.iov_len));
		EXPECT(msg.handles[0] & BUS1_HANDLE_FLAG_MANAGED);
		EXPECT(!bus1_handle_release(pair.at, msg.handles, 1, 0));
		EXPECT(!bus1_msg_release(pair.pool, &msg));
	}
	pair_free(&pair);
}

static void empty_message(void)
{
	struct pair pair = pair_new();
	struct bus1_msg msg;

	EXPECT(!send_bytes(&pair, 0, 0));
	EXPECT(!take(&pair, &msg, 0));
	EXPECT(msg.type == BUS1_MSG_DATA && !msg.payload && !msg.handles &&
	       !msg.fds);
	EXPECT(msg.flags & BUS1_MSG_FLAG_INLINE);
	EXPECT(msg.offset == BUS1_OFFSET_INVALID);
	EXPECT(info_of(pair.at).used_slices == 0);
	EXPECT(!bus1_msg_release(pair.pool, &msg));
	pair_free(&pair);
}

/* Whichever way it came: pointers, and a release that works. */
static void small_and_large_look_the_same(void)
{
	struct pair pair = pair_new();
	struct bus1_msg small, large;
	int i;

	EXPECT(!send_bytes(&pair, 1, BUS1_INLINE_MAX));
	EXPECT(!send_bytes(&pair, 2, BUS1_INLINE_MAX + 1));
	EXPECT(!take(&pair, &small, 0));
	EXPECT(info_of(pair.at).used_slices == 1);
	EXPECT(!take(&pair, &large, 0));
	EXPECT(small.flags == BUS1_MSG_FLAG_INLINE && large.flags == 0);
	EXPECT((const char *)small.payload == (const char *)small.buffer);
	EXPECT((uintptr_t)small.payload % 8 == 0);
	EXPECT(is_all(&small, 1, BUS1_INLINE_MAX));
	EXPECT(is_all(&large, 2, BUS1_INLINE_MAX + 1));
	EXPECT(info_of(pair.at).used_slices == 1);
	for (i = 0; i < 2; i++) {
		EXPECT(!bus1_msg_release(pair.pool, &small) && !small.payload);
		EXPECT(!bus1_msg_release(pair.pool, &large) && !large.payload);
	}
	EXPECT(info_of(pair.at).used_slices == 0);
	pair_free(&pair);
}

/* 20 MiB held at a time: five lengths of the mapping, from 1 to 32 MiB. */
static void growth_moves_nothing(void)
{
	enum { N = 40, SIZE = 512 * KIB + 24 };
	struct pair pair = pair_new();
	struct bus1_msg msgs[N];
	const void *where[N];
	int i;

	for (i = 0; i < N; i++) {
		EXPECT(!send_bytes(&pair, i + 1, SIZE));
		EXPECT(!take(&pair, &msgs[i], 0));
		where[i] = msgs[i].payload;
	}
	for (i = 0; i < N; i++) {
		EXPECT(msgs[i].payload == where[i]);
		EXPECT(is_all(&msgs[i], i + 1, SIZE));
		EXPECT(!bus1_msg_release(pair.pool, &msgs[i]));
		EXPECT(!msgs[i].payload);
	}
	EXPECT(info_of(pair.at).used_slices == 0);
	EXPECT(info_of(pair.at).used_inflight_bytes == 0);
	pair_free(&pair);
}

static void growth_by_one_large_message(void)
{
	struct pair pair = pair_new();
	struct bus1_msg msg;

	EXPECT(!send_bytes(&pair, 7, 17 * MIB + 5));
	EXPECT(!take(&pair, &msg, 0));
	EXPECT(is_all(&msg, 7, 17 * MIB + 5));
	EXPECT(!bus1_msg_discard(pair.pool, &msg));
	pair_free(&pair);
}

static void growth_without_room_keeps_the_message(void)
{
	struct pair pair = pair_new();
	struct rlimit old, small = { 1, 1 };
	struct bus1_msg msg;

	EXPECT(!send_bytes(&pair, 9, 3 * MIB));
	REQUIRE(!getrlimit(RLIMIT_AS, &old));
	small.rlim_max = old.rlim_max;
	REQUIRE(!setrlimit(RLIMIT_AS, &small));
	errno = 0;
	tap_failed = take(&pair, &msg, 0) != -1 || errno != ENOMEM;
	REQUIRE(!setrlimit(RLIMIT_AS, &old));
	EXPECT(!tap_failed);
	EXPECT(msg.type == BUS1_MSG_NONE && msg.offset == BUS1_OFFSET_INVALID);
	EXPECT(!take(&pair, &msg, 0));
	EXPECT(is_all(&msg, 9, 3 * MIB));
	pair_free(&pair);
}

static void two_pools_of_one_peer(void)
{
	struct pair pair = pair_new();
	struct bus1_pool *second = bus1_pool_new(pair.at);
	struct bus1_msg a, b;

	REQUIRE(second);
	EXPECT(!send_bytes(&pair, 1, 2 * MIB));
	EXPECT(!send_bytes(&pair, 2, 2 * MIB));
	EXPECT(!take(&pair, &a, 0));
	EXPECT(!bus1_pool_recv(second, &b, 0, BUS1_RECV_NONBLOCK));
	EXPECT(is_all(&a, 1, 2 * MIB) && is_all(&b, 2, 2 * MIB));
	EXPECT(!bus1_msg_release(pair.pool, &b));
	EXPECT(!bus1_msg_release(second, &a));
	bus1_pool_free(second);
	pair_free(&pair);
}

static int is_mapped(const void *address)
{
	unsigned char vector;

	return !mincore((void *)((uintptr_t)address & ~(uintptr_t)4095), 1,
			&vector);
}

static void free_unmaps_everything(void)
{
	struct pair pair = pair_new();
	struct bus1_msg a, b;

	EXPECT(!send_bytes(&pair, 1, 300));
	EXPECT(!take(&pair, &a, 0));
	EXPECT(!send_bytes(&pair, 2, 5 * MIB));
	EXPECT(!take(&pair, &b, 0));
	EXPECT(is_mapped(a.payload) && is_mapped(b.payload));
	errno = ERANGE;
	bus1_pool_free(pair.pool);
	EXPECT(errno == ERANGE);
	EXPECT(!is_mapped(a.payload) && !is_mapped(b.payload));
	pair.pool = NULL;
	pair_free(&pair);
}

static void pool_is_read_only(void)
{
	struct pair pair = pair_new();
	struct bus1_msg msg;

	EXPECT(!send_bytes(&pair, 1, 300));
	EXPECT(!take(&pair, &msg, 0));
	EXPECT(mprotect((void *)((uintptr_t)msg.payload & ~(uintptr_t)4095), 1,
			PROT_READ | PROT_WRITE) < 0);
	pair_free(&pair);
}

static void discard_releases_handles(void)
{
	struct pair pair = pair_new();
	uint64_t handles[] = { 80 | NEW, 80, 96 | NEW }, dead = 96;
	struct bus1_recv_args args = { 0 };
	struct bus1_msg msg;

	EXPECT(!bus1_send(pair.from, &pair.to, 1, NULL, 0, handles, 3, NULL, 0,
			  0));
	EXPECT(!bus1_send(pair.from, &pair.to, 1, NULL, 0, &dead, 1, NULL, 0,
			  0));
	EXPECT(!take(&pair, &msg, 0));
	EXPECT(msg.handles[0] == msg.handles[1]);
	EXPECT(info_of(pair.at).n_handles == 3);
	EXPECT(!bus1_msg_discard(pair.pool, &msg));
	EXPECT(info_of(pair.at).n_handles == 1);
	EXPECT(!bus1_recv(pair.from, &args, BUS1_RECV_NONBLOCK));
	EXPECT(args.type == BUS1_MSG_NODE_RELEASE && args.destination == 80);
	EXPECT(!take(&pair, &msg, 0));
	EXPECT(!bus1_msg_discard(pair.pool, &msg));
	EXPECT(!bus1_recv(pair.from, &args, BUS1_RECV_NONBLOCK));
	EXPECT(args.type == BUS1_MSG_NODE_RELEASE && args.destination == 96);
	pair_free(&pair);
}

static void discard_skips_dead_handles(void)
{
	struct pair pair = pair_new();
	uint64_t handles[] = { 80 | NEW, 96 | NEW }, dead = 80, other;
	struct bus1_msg msg;

	/* A message that is ordered after the destruction carries both. */
	EXPECT(!bus1_handle_transfer(pair.from, pair.from, handles, &other, 1, 0));
	handles[0] = 80;
	EXPECT(!bus1_node_destroy(pair.from, &dead, 1, 0));
	EXPECT(!bus1_send(pair.from, &pair.to, 1, NULL, 0, handles, 2, NULL, 0,
			  0));
	EXPECT(!take(&pair, &msg, 0));
	EXPECT(msg.handles[0] == BUS1_HANDLE_INVALID);
	EXPECT(msg.handles[1] != BUS1_HANDLE_INVALID);
	EXPECT(!bus1_msg_discard(pair.pool, &msg));
	EXPECT(info_of(pair.at).n_handles == 1);
	EXPECT(info_of(pair.at).used_slices == 0);
	pair_free(&pair);
}

static void discard_reports_and_goes_on(void)
{
	struct pair pair = pair_new();
	uint64_t handle = 80 | NEW, gone;
	struct bus1_msg msg;

	EXPECT(!bus1_send(pair.from, &pair.to, 1, NULL, 0, &handle, 1, NULL, 0,
			  0));
	EXPECT(!take(&pair, &msg, 0));
	gone = msg.handles[0];
	EXPECT(!bus1_handle_release(pair.at, &gone, 1, 0));
	EXPECT_ERRNO(bus1_msg_discard(pair.pool, &msg), ENXIO);
	EXPECT(info_of(pair.at).used_slices == 0);
	pair_free(&pair);
}

static void discard_closes_descriptors(void)
{
	struct pair pair = pair_new();
	struct bus1_msg msg;
	char byte;
	int ends[2], fd;

	REQUIRE(!pipe2(ends, O_CLOEXEC));
	EXPECT(!bus1_send(pair.from, &pair.to, 1, NULL, 0, NULL, 0, &ends[1], 1,
			  0));
	close(ends[1]);
	EXPECT(!take(&pair, &msg, BUS1_RECV_INSTALL_FDS));
	fd = msg.fds[0];
	EXPECT(write(fd, "x", 1) == 1);
	EXPECT(!bus1_msg_discard(pair.pool, &msg));
	EXPECT(fcntl(fd, F_GETFD) == -1 && errno == EBADF);
	EXPECT(read(ends[0], &byte, 1) == 1 && read(ends[0], &byte, 1) == 0);
	close(ends[0]);
	pair_free(&pair);
}

static void descriptors_not_asked_for(void)
{
	struct pair pair = pair_new();
	struct bus1_msg msg;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	EXPECT(!bus1_send(pair.from, &pair.to, 1, NULL, 0, NULL, 0, &null, 1, 0));
	EXPECT(!take(&pair, &msg, 0));
	EXPECT(msg.n_fds == 1 && msg.fds[0] == -1);
	EXPECT(!bus1_msg_discard(pair.pool, &msg));
	close(null);
	pair_free(&pair);
}

static void no_room_for_descriptors(void)
{
	struct pair pair = pair_new();
	struct rlimit old, small;
	struct bus1_msg msg;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	EXPECT(!bus1_send(pair.from, &pair.to, 1, NULL, 0, NULL, 0, &null, 1, 0));
	REQUIRE(!getrlimit(RLIMIT_NOFILE, &old));
	small = old;
	small.rlim_cur = null + 1;
	REQUIRE(!setrlimit(RLIMIT_NOFILE, &small));
	errno = 0;
	tap_failed = take(&pair, &msg, BUS1_RECV_INSTALL_FDS) != -1 ||
		     errno != EMFILE;
	REQUIRE(!setrlimit(RLIMIT_NOFILE, &old));
	EXPECT(!tap_failed);
	EXPECT(msg.type == BUS1_MSG_NONE);
	EXPECT(!take(&pair, &msg, BUS1_RECV_INSTALL_FDS));
	EXPECT(msg.n_fds == 1 && msg.fds[0] >= 0);
	EXPECT(!bus1_msg_discard(pair.pool, &msg));
	close(null);
	pair_free(&pair);
}

static void release_keeps_handles_and_descriptors(void)
{
	struct pair pair = pair_new();
	uint64_t node = 80 | NEW, handle;
	struct bus1_msg msg;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), fd;

	EXPECT(!bus1_send(pair.from, &pair.to, 1, NULL, 0, &node, 1, &null, 1,
			  0));
	EXPECT(!take(&pair, &msg, BUS1_RECV_INSTALL_FDS));
	handle = msg.handles[0];
	fd = msg.fds[0];
	EXPECT(!bus1_msg_release(pair.pool, &msg));
	EXPECT(!bus1_msg_release(pair.pool, &msg));
	EXPECT(fcntl(fd, F_GETFD) >= 0);
	EXPECT(!bus1_handle_release(pair.at, &handle, 1, 0));
	EXPECT(msg.n_handles == 1 && !msg.handles);
	close(fd);
	close(null);
	pair_free(&pair);
}

static void recv_releases_the_last(void)
{
	struct pair pair = pair_new();
	struct bus1_msg msg = { .offset = BUS1_OFFSET_INVALID };
	int i;

	for (i = 0; i < 1000; i++) {
		EXPECT(!send_bytes(&pair, i & 255, 300));
		EXPECT(!take(&pair, &msg, BUS1_RECV_RELEASE));
		EXPECT(is_all(&msg, i & 255, 300));
		EXPECT(info_of(pair.at).used_slices == 1);
	}
	EXPECT_ERRNO(take(&pair, &msg, BUS1_RECV_RELEASE), EAGAIN);
	EXPECT(msg.offset == BUS1_OFFSET_INVALID);
	EXPECT(info_of(pair.at).used_slices == 0);
	msg.offset = 4096;
	EXPECT_ERRNO(take(&pair, &msg, BUS1_RECV_RELEASE), ENXIO);
	pair_free(&pair);
}

static void recv_waits_until_the_deadline(void)
{
	struct pair pair = pair_new();
	struct timespec before, after;
	struct bus1_msg msg;
	uint64_t deadline, now;

	clock_gettime(CLOCK_MONOTONIC, &before);
	deadline = before.tv_sec * 1000000000ULL + before.tv_nsec + 30000000;
	EXPECT_ERRNO(bus1_pool_recv(pair.pool, &msg, deadline, 0), ETIMEDOUT);
	clock_gettime(CLOCK_MONOTONIC, &after);
	now = after.tv_sec * 1000000000ULL + after.tv_nsec;
	EXPECT(now >= deadline);
	EXPECT(!send_bytes(&pair, 1, 1));
	EXPECT(!bus1_pool_recv(pair.pool, &msg, deadline, 0));
	pair_free(&pair);
}

static void notices_have_nothing_to_release(void)
{
	struct pair pair = pair_new();
	struct bus1_msg msg;

	EXPECT(!bus1_handle_release(pair.from, &pair.to, 1, 0));
	EXPECT(!take(&pair, &msg, 0));
	EXPECT(msg.type == BUS1_MSG_NODE_RELEASE && msg.destination == 8);
	EXPECT(!msg.payload && !msg.n_bytes && !msg.n_handles && !msg.n_fds);
	EXPECT(msg.offset == BUS1_OFFSET_INVALID);
	EXPECT(!bus1_msg_discard(pair.pool, &msg));
	EXPECT(!bus1_msg_release(pair.pool, &msg));
	pair_free(&pair);
}

static void seed_is_a_message(void)
{
	struct pair pair = pair_new();
	uint64_t node = 80 | NEW;
	struct iovec vec = { (void *)"state", 5 };
	struct bus1_msg msg;
	int i;

	EXPECT(!bus1_send(pair.at, NULL, 0, &vec, 1, &node, 1, NULL, 0,
			  BUS1_SEND_SEED));
	for (i = 0; i < 2; i++) {
		EXPECT(!take(&pair, &msg, BUS1_RECV_SEED));
		EXPECT(msg.destination == BUS1_HANDLE_INVALID);
		EXPECT(msg.n_bytes == 5 && !memcmp(msg.payload, "state", 5));
		EXPECT(msg.n_handles == 1 && msg.handles[0] == 80);
		EXPECT(!bus1_msg_discard(pair.pool, &msg));
	}
	pair_free(&pair);
}

static void flush_leaves_nothing_to_release(void)
{
	struct pair pair = pair_new();
	struct bus1_msg msg;

	EXPECT(!send_bytes(&pair, 1, 300));
	EXPECT(!take(&pair, &msg, 0));
	EXPECT(!bus1_peer_reset(pair.at, BUS1_LIMIT_KEEP, BUS1_LIMIT_KEEP,
				BUS1_LIMIT_KEEP, BUS1_LIMIT_KEEP,
				BUS1_RESET_FLUSH));
	EXPECT_ERRNO(bus1_msg_release(pair.pool, &msg), ENXIO);
	pair_free(&pair);
}

static void shutdown_is_reported(void)
{
	struct pair pair = pair_new();
	struct bus1_msg msg;

	EXPECT(!bus1_peer_disconnect(pair.at, 0));
	EXPECT_ERRNO(take(&pair, &msg, 0), ESHUTDOWN);
	EXPECT(msg.type == BUS1_MSG_NONE);
	pair_free(&pair);
}

static const struct tap_test tests[] = {
	{ "pool.gives_pointers", gives_pointers },
	{ "pool.every_length_of_payload", every_length_of_payload },
	{ "pool.empty_message", empty_message },
	{ "pool.small_and_large_look_the_same", small_and_large_look_the_same },
	{ "pool.growth_moves_nothing", growth_moves_nothing },
	{ "pool.growth_by_one_large_message", growth_by_one_large_message },
	{ "pool.growth_without_room_keeps_the_message",
	  growth_without_room_keeps_the_message },
	{ "pool.two_pools_of_one_peer", two_pools_of_one_peer },
	{ "pool.free_unmaps_everything", free_unmaps_everything },
	{ "pool.is_read_only", pool_is_read_only },
	{ "pool.discard_releases_handles", discard_releases_handles },
	{ "pool.discard_skips_dead_handles", discard_skips_dead_handles },
	{ "pool.discard_reports_and_goes_on", discard_reports_and_goes_on },
	{ "pool.discard_closes_descriptors", discard_closes_descriptors },
	{ "pool.descriptors_not_asked_for", descriptors_not_asked_for },
	{ "pool.no_room_for_descriptors", no_room_for_descriptors },
	{ "pool.release_keeps_handles_and_descriptors",
	  release_keeps_handles_and_descriptors },
	{ "pool.recv_releases_the_last", recv_releases_the_last },
	{ "pool.recv_waits_until_the_deadline", recv_waits_until_the_deadline },
	{ "pool.notices_have_nothing_to_release",
	  notices_have_nothing_to_release },
	{ "pool.seed_is_a_message", seed_is_a_message },
	{ "pool.flush_leaves_nothing_to_release",
	  flush_leaves_nothing_to_release },
	{ "pool.shutdown_is_reported", shutdown_is_reported },
};

int main(void)
{
	REQUIRE(bus1_supported());
	return TAP_RUN(tests);
}
