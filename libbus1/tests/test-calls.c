// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Every wrapper hands over every argument in its place, and every error. */
#include <bus1.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "tap.h"

#define NEW BUS1_HANDLE_FLAG_NEW
#define MAP_BYTES (1 << 20)

/* Two peers; @to is @from's handle to the node 8 of @at. */
struct pair {
	int from;
	int at;
	uint64_t to;
	const char *map;
};

static struct pair pair_new(void)
{
	struct pair pair = { .from = bus1_open(0), .at = bus1_open(0) };
	uint64_t node = 8 | NEW;

	REQUIRE(pair.from >= 0 && pair.at >= 0);
	REQUIRE(!bus1_handle_transfer(pair.at, pair.from, &node, &pair.to, 1, 0));
	pair.map = mmap(NULL, MAP_BYTES, PROT_READ, MAP_SHARED, pair.at, 0);
	REQUIRE(pair.map != MAP_FAILED);
	return pair;
}

static void pair_free(struct pair *pair)
{
	munmap((void *)pair->map, MAP_BYTES);
	close(pair->from);
	close(pair->at);
}

static struct bus1_peer_info info_of(int peer)
{
	struct bus1_peer_info info;

	REQUIRE(!bus1_peer_query(peer, &info, 0));
	return info;
}

static int receive(int peer, struct bus1_recv_args *args, unsigned int flags)
{
	memset(args, 0, sizeof(*args));
	args->max_offset = MAP_BYTES;
	return bus1_recv(peer, args, flags | BUS1_RECV_NONBLOCK);
}

static void open_is_close_on_exec(void)
{
	int peer = bus1_open(0);

	EXPECT(peer >= 0);
	EXPECT(fcntl(peer, F_GETFD) == FD_CLOEXEC);
	EXPECT(!(fcntl(peer, F_GETFL) & O_NONBLOCK));
	close(peer);
}

static void open_passes_flags(void)
{
	int peer = bus1_open(BUS1_OPEN_NONBLOCK);

	EXPECT(peer >= 0);
	EXPECT(fcntl(peer, F_GETFL) & O_NONBLOCK);
	close(peer);
	EXPECT_ERRNO(bus1_open(0x80), EINVAL);
}

static void open_passes_limits(void)
{
	int peer = bus1_open_limits(11, 12, 13, 14, BUS1_OPEN_NONBLOCK);
	struct bus1_peer_info info;

	EXPECT(peer >= 0);
	EXPECT(fcntl(peer, F_GETFL) & O_NONBLOCK);
	info = info_of(peer);
	EXPECT(info.max_slices == 11 && info.max_handles == 12);
	EXPECT(info.max_inflight_bytes == 13 && info.max_inflight_fds == 14);
	close(peer);
	EXPECT_ERRNO(bus1_open_limits(1ULL << 40, 1, 1, 1, 0), EINVAL);
	EXPECT_ERRNO(bus1_open_limits(1, 1ULL << 40, 1, 1, 0), EINVAL);
	EXPECT_ERRNO(bus1_open_limits(1, 1, 1ULL << 40, 1, 0), EINVAL);
	EXPECT_ERRNO(bus1_open_limits(1, 1, 1, 1ULL << 40, 0), EINVAL);
}

static void open_limits_keep_is_default(void)
{
	int a = bus1_open(0);
	int b = bus1_open_limits(BUS1_LIMIT_KEEP, BUS1_LIMIT_KEEP,
				 BUS1_LIMIT_KEEP, BUS1_LIMIT_KEEP, 0);
	struct bus1_peer_info x, y;

	EXPECT(a >= 0 && b >= 0);
	x = info_of(a);
	y = info_of(b);
	EXPECT(!memcmp(&x, &y, 4 * sizeof(uint64_t)));
	close(a);
	close(b);
}

static void reset_passes_limits(void)
{
	int peer = bus1_open(0);
	struct bus1_peer_info info;

	EXPECT(peer >= 0);
	EXPECT(!bus1_peer_reset(peer, 21, 22, 23, 24, 0));
	EXPECT(!bus1_peer_reset(peer, BUS1_LIMIT_KEEP, 32, BUS1_LIMIT_KEEP, 34,
				0));
	info = info_of(peer);
	EXPECT(info.max_slices == 21 && info.max_handles == 32);
	EXPECT(info.max_inflight_bytes == 23 && info.max_inflight_fds == 34);
	EXPECT_ERRNO(bus1_peer_reset(peer, 1, 1, 1, 1, 0x80), EINVAL);
	EXPECT_ERRNO(bus1_peer_reset(peer, 1, 1, 1, 1ULL << 40, 0), EINVAL);
	close(peer);
}

#define KEEP BUS1_LIMIT_KEEP

/* Writes a sysctl by its name; what it was is in @old. */
static int set_sysctl(const char *name, const char *value, char *old, size_t size)
{
	char path[128] = "/proc/sys/";
	size_t i, n = strlen(path);
	ssize_t r;
	int fd;

	for (i = 0; name[i]; i++)
		path[n + i] = name[i] == '.' ? '/' : name[i];
	fd = open(path, O_RDWR);
	if (fd < 0)
		return -1;
	r = old ? pread(fd, old, size - 1, 0) : 0;
	if (old && r > 0)
		old[r] = 0;
	r = write(fd, value, strlen(value));
	close(fd);
	return r > 0 ? 0 : -1;
}

static int says(const char *text, const char *name)
{
	if (!text || strcmp(text, name))
		printf("# %s, expected %s\n", text ? text : "nothing", name);
	return text && !strcmp(text, name);
}

/* For each sysctl: what fails with it alone lowered, and what is said. */
static void explain_names_the_sysctl(void)
{
	static const char *const names[] = {
		"kernel.bus1.max_slices", "kernel.bus1.max_handles",
		"kernel.bus1.max_inflight_kbytes",
		"kernel.bus1.max_inflight_fds", "user.max_bus1_peers",
	};
	char old[32];
	int i, peer, opened, failed, reset, reset_failed, now;
	const char *said, *reset_said;

	for (i = 0; i < 5; i++) {
		peer = bus1_open_limits(9, 9, 9 * 1024, 9, 0);
		EXPECT(peer >= 0);
		if (set_sysctl(names[i], i < 4 ? "10" : "1", old, sizeof(old)))
			TAP_SKIP("needs root to set limits");
		opened = bus1_open_limits(9, 9, 9 * 1024, 9, 0);
		failed = errno;
		said = bus1_limits_explain(-1, 9, 9, 9 * 1024, 9);
		reset = bus1_peer_reset(peer, 11, 11, 11 * 1024, 11, 0);
		reset_failed = errno;
		reset_said = bus1_limits_explain(peer, 11, 11, 11 * 1024, 11);
		now = set_sysctl(names[i], old, NULL, 0);
		EXPECT(!now);
		EXPECT(opened == -1 && failed == ENOSPC && says(said, names[i]));
		EXPECT(i == 4 || (reset == -1 && reset_failed == ENOSPC &&
				  says(reset_said, names[i])));
		EXPECT(info_of(peer).max_slices == (i == 4 ? 11 : 9));
		EXPECT(!bus1_limits_explain(-1, 9, 9, 9 * 1024, 9) && !errno);
		EXPECT(!bus1_limits_explain(-1, KEEP, KEEP, KEEP, KEEP) && !errno);
		EXPECT(!bus1_limits_explain(peer, 12, KEEP, KEEP, 9) && !errno);
		close(peer);
	}
	EXPECT(!bus1_limits_explain(99, 1, 1, 1, 1) && errno == EBADF);
}

static void reset_flushes(void)
{
	struct pair pair = pair_new();
	struct bus1_recv_args args;

	EXPECT(info_of(pair.at).n_nodes == 1);
	EXPECT(!bus1_peer_reset(pair.at, BUS1_LIMIT_KEEP, BUS1_LIMIT_KEEP,
				BUS1_LIMIT_KEEP, BUS1_LIMIT_KEEP,
				BUS1_RESET_FLUSH));
	EXPECT(info_of(pair.at).n_nodes == 0);
	EXPECT(!receive(pair.from, &args, 0));
	EXPECT(args.type == BUS1_MSG_NODE_DESTROY);
	EXPECT(args.destination == pair.to);
	pair_free(&pair);
}

static void disconnect_ends_it(void)
{
	int peer = bus1_open(0);
	struct bus1_peer_info info;

	EXPECT_ERRNO(bus1_peer_disconnect(peer, 0x80), EINVAL);
	EXPECT(!bus1_peer_disconnect(peer, 0));
	EXPECT_ERRNO(bus1_peer_disconnect(peer, 0), ESHUTDOWN);
	EXPECT_ERRNO(bus1_peer_query(peer, &info, 0), ESHUTDOWN);
	close(peer);
}

static void transfer_passes_arrays(void)
{
	int a = bus1_open(0), b = bus1_open(0);
	uint64_t nodes[] = { 16 | NEW, 32 | NEW, 48 | NEW }, ids[3] = { 0 };
	uint64_t one = 16;

	EXPECT(!bus1_handle_transfer(a, b, nodes, ids, 3, 0));
	EXPECT(info_of(a).n_nodes == 3 && info_of(b).n_handles == 3);
	EXPECT(ids[0] != ids[1] && ids[1] != ids[2]);
	EXPECT((ids[2] & 7) == (BUS1_HANDLE_FLAG_MANAGED |
				BUS1_HANDLE_FLAG_REMOTE));
	EXPECT(!bus1_handle_transfer(b, a, ids + 1, nodes, 1, 0));
	EXPECT(nodes[0] == 32);
	EXPECT_ERRNO(bus1_handle_transfer(a, b, &one, ids, 1, 0x80), EINVAL);
	one = 64;
	EXPECT_ERRNO(bus1_handle_transfer(a, b, &one, ids, 1, 0), ENXIO);
	close(a);
	close(b);
}

static void handle_release_passes_arrays(void)
{
	int a = bus1_open(0), b = bus1_open(0);
	uint64_t nodes[] = { 16 | NEW, 32 | NEW }, ids[2], twice[2];

	EXPECT(!bus1_handle_transfer(a, b, nodes, ids, 2, 0));
	twice[0] = twice[1] = ids[0];
	EXPECT_ERRNO(bus1_handle_release(b, twice, 2, 0), ENOTUNIQ);
	EXPECT_ERRNO(bus1_handle_release(b, ids, 2, 0x80), EINVAL);
	EXPECT(!bus1_handle_release(b, ids, 2, 0));
	EXPECT(info_of(b).n_handles == 0);
	EXPECT_ERRNO(bus1_handle_release(b, ids, 1, 0), ENXIO);
	close(a);
	close(b);
}

static void node_destroy_passes_arrays(void)
{
	int a = bus1_open(0), b = bus1_open(0);
	uint64_t nodes[] = { 16 | NEW, 32 | NEW }, ids[2], own[] = { 16, 32 };

	EXPECT(!bus1_handle_transfer(a, b, nodes, ids, 2, 0));
	EXPECT_ERRNO(bus1_node_destroy(b, ids, 2, 0), EREMOTE);
	EXPECT_ERRNO(bus1_node_destroy(a, own, 2, 0x80), EINVAL);
	EXPECT(!bus1_node_destroy(a, own, 2, BUS1_DESTROY_RELEASE_HANDLES));
	EXPECT(info_of(a).n_nodes == 0 && info_of(a).n_handles == 0);
	EXPECT(info_of(b).n_queued == 2);
	close(a);
	close(b);
}

static void send_passes_everything(void)
{
	struct pair pair = pair_new();
	struct bus1_recv_args args;
	char first[] = "one", second[] = "and two";
	struct iovec vecs[] = { { first, 3 }, { second, 7 } };
	uint64_t handles[] = { 80 | NEW, 96 | NEW, 80 };
	const uint64_t *ids;
	const int *fds;
	int pipes[2];

	REQUIRE(!pipe(pipes));
	EXPECT(!bus1_send(pair.from, &pair.to, 1, vecs, 2, handles, 3, pipes, 2,
			  0));
	EXPECT(!receive(pair.at, &args, BUS1_RECV_INSTALL_FDS));
	EXPECT(args.type == BUS1_MSG_DATA && args.destination == 8);
	EXPECT(args.n_bytes == 10 && args.n_handles == 3 && args.n_fds == 2);
	EXPECT(!memcmp(pair.map + args.offset, "oneand two", 10));
	ids = (const void *)(pair.map + args.offset + 16);
	EXPECT(ids[0] == ids[2] && ids[0] != ids[1]);
	fds = (const void *)(ids + 3);
	EXPECT(write(fds[1], "x", 1) == 1 && read(pipes[0], first, 1) == 1);
	close(fds[0]);
	close(fds[1]);
	EXPECT(args.sender_pid == getpid() && args.sender_uid == geteuid() &&
	       args.sender_gid == getegid());
	close(pipes[0]);
	close(pipes[1]);
	pair_free(&pair);
}

static void send_of_nothing(void)
{
	struct pair pair = pair_new();
	struct bus1_recv_args args;

	EXPECT(!bus1_send(pair.from, &pair.to, 1, NULL, 0, NULL, 0, NULL, 0, 0));
	EXPECT(!receive(pair.at, &args, 0));
	EXPECT(args.type == BUS1_MSG_DATA && !args.n_bytes && !args.n_handles &&
	       !args.n_fds);
	EXPECT_ERRNO(bus1_send(pair.from, &pair.to, 0, NULL, 0, NULL, 0, NULL, 0,
			       0), EINVAL);
	EXPECT_ERRNO(bus1_send(pair.from, &pair.to, 1, NULL, 0, NULL, 0, NULL, 0,
			       0x80), EINVAL);
	pair_free(&pair);
}

static void send_errors_names_the_cause(void)
{
	struct pair pair = pair_new(), other = pair_new();
	struct bus1_recv_args args;
	uint64_t to[2] = { pair.to };
	int32_t errors[2] = { 77, 77 };

	EXPECT(!bus1_handle_transfer(other.from, pair.from, &other.to, &to[1], 1,
				     0));
	EXPECT(!bus1_peer_disconnect(other.at, 0));
	EXPECT_ERRNO(bus1_send_errors(pair.from, to, 2, NULL, 0, NULL, 0, NULL,
				      0, errors, 0), EHOSTUNREACH);
	EXPECT(errors[0] == 0 && errors[1] == -EHOSTUNREACH);
	EXPECT_ERRNO(receive(pair.at, &args, 0), EAGAIN);
	errors[0] = errors[1] = 77;
	EXPECT(!bus1_send_errors(pair.from, to, 2, NULL, 0, NULL, 0, NULL, 0,
				 errors, BUS1_SEND_CONTINUE));
	EXPECT(errors[0] == 0 && errors[1] == -EHOSTUNREACH);
	EXPECT(!receive(pair.at, &args, 0));
	pair_free(&pair);
	pair_free(&other);
}

static void slice_release_passes_arrays(void)
{
	struct pair pair = pair_new();
	struct bus1_recv_args args;
	uint64_t offsets[2];
	int i;

	for (i = 0; i < 2; i++) {
		EXPECT(!bus1_send(pair.from, &pair.to, 1, NULL, 0, NULL, 0,
				  NULL, 0, 0));
		EXPECT(!receive(pair.at, &args, 0));
		offsets[i] = args.offset;
	}
	EXPECT(info_of(pair.at).used_slices == 2);
	EXPECT_ERRNO(bus1_slice_release(pair.at, offsets, 2, 0x80), EINVAL);
	EXPECT(!bus1_slice_release(pair.at, offsets, 2, 0));
	EXPECT(info_of(pair.at).used_slices == 0);
	EXPECT_ERRNO(bus1_slice_release(pair.at, offsets, 1, 0), ENXIO);
	pair_free(&pair);
}

static void recv_passes_flags(void)
{
	int peer = bus1_open(0);
	struct bus1_recv_args args = { 0 };

	EXPECT_ERRNO(bus1_recv(peer, &args, BUS1_RECV_NONBLOCK), EAGAIN);
	EXPECT_ERRNO(bus1_recv(peer, &args, BUS1_RECV_SEED), EAGAIN);
	EXPECT_ERRNO(bus1_recv(peer, &args, 0x8000), EINVAL);
	args.deadline = 1;
	EXPECT_ERRNO(bus1_recv(peer, &args, 0), ETIMEDOUT);
	close(peer);
}

static void other_descriptors_are_EBADF(void)
{
	int other = open("/dev/null", O_RDWR);
	struct bus1_recv_args args = { 0 };
	uint64_t id = 8;

	REQUIRE(other >= 0);
	EXPECT_ERRNO(bus1_peer_disconnect(other, 0), EBADF);
	EXPECT_ERRNO(bus1_recv(other, &args, 0), EBADF);
	EXPECT_ERRNO(bus1_send(other, &id, 1, NULL, 0, NULL, 0, NULL, 0, 0),
		     EBADF);
	close(other);
}

static const struct tap_test tests[] = {
	{ "calls.open_is_close_on_exec", open_is_close_on_exec },
	{ "calls.open_passes_flags", open_passes_flags },
	{ "calls.open_passes_limits", open_passes_limits },
	{ "calls.open_limits_keep_is_default", open_limits_keep_is_default },
	{ "calls.reset_passes_limits", reset_passes_limits },
	{ "calls.explain_names_the_sysctl", explain_names_the_sysctl },
	{ "calls.reset_flushes", reset_flushes },
	{ "calls.disconnect_ends_it", disconnect_ends_it },
	{ "calls.transfer_passes_arrays", transfer_passes_arrays },
	{ "calls.handle_release_passes_arrays", handle_release_passes_arrays },
	{ "calls.node_destroy_passes_arrays", node_destroy_passes_arrays },
	{ "calls.send_passes_everything", send_passes_everything },
	{ "calls.send_of_nothing", send_of_nothing },
	{ "calls.send_errors_names_the_cause", send_errors_names_the_cause },
	{ "calls.slice_release_passes_arrays", slice_release_passes_arrays },
	{ "calls.recv_passes_flags", recv_passes_flags },
	{ "calls.other_descriptors_are_EBADF", other_descriptors_are_EBADF },
};

int main(void)
{
	REQUIRE(bus1_supported());
	return TAP_RUN(tests);
}
