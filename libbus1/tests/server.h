/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Two peers that ask and answer, for the tests of replies. */
#ifndef SERVER_H
#define SERVER_H

#include <bus1.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "tap.h"

#define NEW BUS1_HANDLE_FLAG_NEW
#define KIB 1024
#define MIB (1024 * KIB)
#define SECOND 1000000000ULL

/* @to is the client's handle to node 8 of the server, @back the other way round. */
struct pair {
	int client;
	int server;
	uint64_t to;
	uint64_t back;
	struct bus1_pool *pool;
	struct bus1_pool *at;
};

static inline struct pair pair_new(void)
{
	struct pair pair = { .client = bus1_open(0), .server = bus1_open(0) };
	uint64_t node = 8 | NEW;

	REQUIRE(pair.client >= 0 && pair.server >= 0);
	REQUIRE(!bus1_handle_transfer(pair.server, pair.client, &node, &pair.to,
				      1, 0));
	REQUIRE(!bus1_handle_transfer(pair.client, pair.server, &node,
				      &pair.back, 1, 0));
	pair.pool = bus1_pool_new(pair.client);
	pair.at = bus1_pool_new(pair.server);
	REQUIRE(pair.pool && pair.at);
	return pair;
}

static inline void pair_free(struct pair *pair)
{
	bus1_pool_free(pair->pool);
	bus1_pool_free(pair->at);
	close(pair->client);
	close(pair->server);
}

static inline struct bus1_peer_info info_of(int peer)
{
	struct bus1_peer_info info;

	REQUIRE(!bus1_peer_query(peer, &info, 0));
	return info;
}

static inline uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * SECOND + time.tv_nsec;
}

/* An empty request that leaves room for a small reply. */
static inline struct bus1_request request_of(const struct pair *pair,
					     uint64_t id)
{
	struct bus1_request request = {
		.destination = pair->to,
		.reply_id = id,
		.reply_max_bytes = 64,
	};

	return request;
}

static inline int ask(const struct pair *pair, uint64_t id)
{
	struct bus1_request request = request_of(pair, id);

	return bus1_send_request(pair->client, &request, 0);
}

static inline int take_at(struct pair *pair, struct bus1_msg *msg)
{
	return bus1_pool_recv(pair->at, msg, 0, BUS1_RECV_NONBLOCK);
}

static inline int take(struct pair *pair, struct bus1_msg *msg)
{
	return bus1_pool_recv(pair->pool, msg, 0, BUS1_RECV_NONBLOCK);
}

/* Fetches what is there. */
static inline int fetch(struct pair *pair, struct bus1_msg *msg, uint64_t id)
{
	return bus1_pool_wait_reply(pair->pool, msg, id, NULL, NULL, 0,
				    BUS1_RECV_NONBLOCK | BUS1_POOL_OVERTAKE);
}

static inline int reply_with(struct pair *pair, struct bus1_msg *msg,
			     const char *text, size_t n)
{
	struct iovec vec = { (void *)text, n };
	struct bus1_payload payload = { .vecs = &vec, .n_vecs = 1 };

	return bus1_msg_reply(pair->at, msg, &payload);
}

/* Receives one request and replies. */
static inline int answer(struct pair *pair, const char *text)
{
	struct bus1_msg msg;

	if (take_at(pair, &msg) < 0 || reply_with(pair, &msg, text,
						  strlen(text) + 1) < 0)
		return -1;
	return bus1_msg_discard(pair->at, &msg);
}

/* From the server to the client's node 8. */
static inline int signal_client(struct pair *pair, uint32_t number, size_t n)
{
	char *data = calloc(1, n);
	struct iovec vec = { data, n };
	int r;

	REQUIRE(data && n >= sizeof(number));
	memcpy(data, &number, sizeof(number));
	r = bus1_send(pair->server, &pair->back, 1, &vec, 1, NULL, 0, NULL, 0,
		      0);
	free(data);
	return r;
}

static inline int is_text(const struct bus1_msg *msg, const char *text)
{
	return msg->type == BUS1_MSG_DATA && msg->n_bytes == strlen(text) + 1 &&
	       !memcmp(msg->payload, text, msg->n_bytes);
}

/* Waits until a thread of this process sleeps in the kernel. */
static inline int is_asleep(int tid)
{
	char path[64], state;
	FILE *file;
	int n;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	file = fopen(path, "r");
	REQUIRE(file);
	n = fscanf(file, "%*d (%*[^)]) %c", &state);
	fclose(file);
	REQUIRE(n == 1);
	return state == 'S';
}

static inline void wait_until_asleep(const int *tid)
{
	const struct timespec moment = { .tv_nsec = 1000000 };
	uint64_t deadline = now() + 60 * SECOND;

	while (!__atomic_load_n(tid, __ATOMIC_ACQUIRE) || !is_asleep(*tid)) {
		REQUIRE(now() < deadline);
		nanosleep(&moment, NULL);
	}
}

static inline void say_tid(int *tid)
{
	__atomic_store_n(tid, (int)syscall(SYS_gettid), __ATOMIC_RELEASE);
}

/* A server thread that sends every request back as it came, until disconnected. */
static inline void *echo(void *data)
{
	struct pair *pair = data;
	struct bus1_pool *pool = bus1_pool_new(pair->server);
	struct bus1_msg msg = BUS1_MSG_INIT;
	struct iovec vec;
	struct bus1_payload payload = { .vecs = &vec, .n_vecs = 1 };

	REQUIRE(pool);
	while (!bus1_pool_reply_recv(pool, &msg, &payload, 0, 0)) {
		vec.iov_base = (void *)msg.payload;
		vec.iov_len = msg.n_bytes;
	}
	REQUIRE(errno == ESHUTDOWN);
	bus1_pool_free(pool);
	return NULL;
}

static inline pthread_t start(void *(*run)(void *), void *data)
{
	pthread_t thread;

	errno = pthread_create(&thread, NULL, run, data);
	REQUIRE(!errno);
	return thread;
}

#endif /* SERVER_H */
