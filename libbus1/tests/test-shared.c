// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Links the shared object and calls every symbol of its map, with arguments that
 * a kernel with bus1 refuses. On a kernel without bus1 each has to say ENOSYS.
 */
#include <bus1.h>
#include "tap.h"

#define ODD 0x8000U

static int call_open(void)
{
	return bus1_open(ODD);
}

static int call_open_limits(void)
{
	return bus1_open_limits(1, 1, 1, 1, ODD);
}

static int call_explain(void)
{
	return bus1_limits_explain(-1, 0, 0, 0, 1ULL << 40) || errno ? -1 : 0;
}

static int call_disconnect(void)
{
	return bus1_peer_disconnect(-1, 0);
}

static int call_query(void)
{
	struct bus1_peer_info info;

	return bus1_peer_query(-1, &info, 0);
}

static int call_reset(void)
{
	return bus1_peer_reset(-1, 1, 1, 1, 1, 0);
}

static int call_transfer(void)
{
	uint64_t id = 8;

	return bus1_handle_transfer(-1, -1, &id, &id, 1, 0);
}

static int call_handle_release(void)
{
	uint64_t id = 8;

	return bus1_handle_release(-1, &id, 1, 0);
}

static int call_destroy(void)
{
	uint64_t id = 8;

	return bus1_node_destroy(-1, &id, 1, 0);
}

static int call_slice_release(void)
{
	uint64_t offset = 0;

	return bus1_slice_release(-1, &offset, 1, 0);
}

static int call_send(void)
{
	uint64_t to = 8;

	return bus1_send(-1, &to, 1, NULL, 0, NULL, 0, NULL, 0, 0);
}

static int call_send_errors(void)
{
	int32_t error = 0;
	uint64_t to = 8;

	return bus1_send_errors(-1, &to, 1, NULL, 0, NULL, 0, NULL, 0, &error,
				0);
}

static int call_recv(void)
{
	struct bus1_recv_args args = { 0 };

	return bus1_recv(-1, &args, 0);
}

static int call_send_request(void)
{
	struct bus1_request request = { .destination = 8, .reply_id = 8 };

	return bus1_send_request(-1, &request, 0);
}

static int call_call(void)
{
	struct bus1_send_args send = { .n_destinations = 1 };
	struct bus1_recv_args recv = { 0 };

	return bus1_call(-1, &send, &recv, 0);
}

static int call_pool_recv(void)
{
	struct bus1_pool *pool = bus1_pool_new(-1);
	struct bus1_msg msg;
	int r;

	REQUIRE(pool);
	r = bus1_pool_recv(pool, &msg, 0, 0);
	bus1_pool_free(pool);
	return r;
}

static int call_pool_call(void)
{
	struct bus1_request request = { .destination = 8, .reply_id = 8 };
	struct bus1_pool *pool = bus1_pool_new(-1);
	struct bus1_msg msg;
	int r;

	REQUIRE(pool);
	r = bus1_pool_call(pool, &msg, &request, NULL, NULL, 0,
			   BUS1_POOL_OVERTAKE);
	bus1_pool_free(pool);
	return r;
}

static int call_pool_wait_reply(void)
{
	struct bus1_pool *pool = bus1_pool_new(-1);
	struct bus1_msg msg;
	int r;

	REQUIRE(pool);
	r = bus1_pool_wait_reply(pool, &msg, 8, NULL, NULL, 0,
				 BUS1_POOL_OVERTAKE);
	bus1_pool_free(pool);
	return r;
}

static int call_pool_reply_recv(void)
{
	struct bus1_pool *pool = bus1_pool_new(-1);
	struct bus1_msg msg = BUS1_MSG_INIT;
	int r;

	REQUIRE(pool);
	msg.reply = 9;
	r = bus1_pool_reply_recv(pool, &msg, NULL, 0, 0);
	bus1_pool_free(pool);
	return r;
}

static int reply_to(struct bus1_pool *pool, struct bus1_msg *msg)
{
	return bus1_msg_reply(pool, msg, NULL);
}

static int call_msg(int (*function)(struct bus1_pool *, struct bus1_msg *))
{
	struct bus1_pool *pool = bus1_pool_new(-1);
	struct bus1_msg msg = BUS1_MSG_INIT;
	int r;

	REQUIRE(pool);
	msg.offset = 0;
	r = function(pool, &msg);
	bus1_pool_free(pool);
	return r;
}

static int call_msg_reply(void)
{
	return call_msg(reply_to);
}

static int call_msg_release(void)
{
	return call_msg(bus1_msg_release);
}

static int call_msg_discard(void)
{
	return call_msg(bus1_msg_discard);
}

/* What is no system call: succeeds everywhere. */
static int call_pool_new(void)
{
	struct bus1_pool *pool = bus1_pool_new(-1);

	errno = 0;
	bus1_pool_free(pool);
	return pool ? 0 : -1;
}

static int call_pool_free(void)
{
	errno = 0;
	bus1_pool_free(NULL);
	return 0;
}

static int call_supported(void)
{
	int r = bus1_supported();

	if (r)
		errno = 0;
	return r - 1;
}

/* @error: with bus1; @always: also without. */
static const struct call {
	const char *name;
	int (*call)(void);
	int error;
	int always;
} calls[] = {
	{ "bus1_supported", call_supported, 0, 0 },
	{ "bus1_open", call_open, EINVAL, 0 },
	{ "bus1_open_limits", call_open_limits, EINVAL, 0 },
	{ "bus1_limits_explain", call_explain, EINVAL, 0 },
	{ "bus1_peer_disconnect", call_disconnect, EBADF, 0 },
	{ "bus1_peer_query", call_query, EBADF, 0 },
	{ "bus1_peer_reset", call_reset, EBADF, 0 },
	{ "bus1_handle_transfer", call_transfer, EBADF, 0 },
	{ "bus1_handle_release", call_handle_release, EBADF, 0 },
	{ "bus1_node_destroy", call_destroy, EBADF, 0 },
	{ "bus1_slice_release", call_slice_release, EBADF, 0 },
	{ "bus1_send", call_send, EBADF, 0 },
	{ "bus1_send_errors", call_send_errors, EBADF, 0 },
	{ "bus1_recv", call_recv, EBADF, 0 },
	{ "bus1_send_request", call_send_request, EBADF, 0 },
	{ "bus1_call", call_call, EBADF, 0 },
	{ "bus1_pool_new", call_pool_new, 0, 1 },
	{ "bus1_pool_free", call_pool_free, 0, 1 },
	{ "bus1_pool_recv", call_pool_recv, EBADF, 0 },
	{ "bus1_pool_call", call_pool_call, EBADF, 0 },
	{ "bus1_pool_wait_reply", call_pool_wait_reply, EBADF, 0 },
	{ "bus1_pool_reply_recv", call_pool_reply_recv, EBADF, 0 },
	{ "bus1_msg_reply", call_msg_reply, EBADF, 0 },
	{ "bus1_msg_release", call_msg_release, EBADF, 0 },
	{ "bus1_msg_discard", call_msg_discard, EBADF, 0 },
};

#define N_CALLS (sizeof(calls) / sizeof(calls[0]))

/* What the map exports, made from it when this is built. */
#define SYMBOL(name) #name,
static const char *const symbols[] = {
#include "symbols.h"
};

#define N_SYMBOLS (sizeof(symbols) / sizeof(symbols[0]))

static const struct call *find_call(const char *name)
{
	size_t i;

	for (i = 0; i < N_CALLS; i++)
		if (!strcmp(calls[i].name, name))
			return &calls[i];
	return NULL;
}

static void map_is_covered(void)
{
	size_t i;

	for (i = 0; i < N_SYMBOLS; i++) {
		if (!find_call(symbols[i]))
			printf("# %s is not called here\n", symbols[i]);
		EXPECT(find_call(symbols[i]));
	}
	EXPECT(N_SYMBOLS == N_CALLS);
}

static void every_symbol_answers(void)
{
	int supported = bus1_supported(), expected, r, error;
	size_t i;

	printf("# this kernel has %s\n", supported ? "bus1" : "no bus1");
	for (i = 0; i < N_CALLS; i++) {
		expected = supported || calls[i].always ? calls[i].error :
							  ENOSYS;
		errno = 0;
		r = calls[i].call();
		error = errno;
		printf("# %s: %d, %s\n", calls[i].name, r, strerror(error));
		EXPECT(r == (expected ? -1 : 0));
		EXPECT(error == expected);
	}
}

static void supported_keeps_errno(void)
{
	errno = ERANGE;
	if (bus1_supported())
		EXPECT(errno == ERANGE);
	else
		EXPECT(errno == ENOSYS);
}

static const struct tap_test tests[] = {
	{ "shared.every_symbol_of_the_map_is_called", map_is_covered },
	{ "shared.every_symbol_answers_as_documented", every_symbol_answers },
	{ "shared.supported_says_ENOSYS_or_keeps_errno", supported_keeps_errno },
};

int main(void)
{
	return TAP_RUN(tests);
}
