/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Sending to one node, and what every program needs around it. */
#ifndef POST_H
#define POST_H

#include <stddef.h>
#include <stdint.h>
#include <bus1.h>

/* How long a program waits for somebody else before it gives up. */
#define PATIENCE_MS 20000

/* Says what went wrong, with errno if it is not 0, and ends with status 1. */
void die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* Makes a peer and the pool that it receives in, or ends the program. */
int new_peer(struct bus1_pool **pool);

/* CLOCK_MONOTONIC in nanoseconds, @ms from now: a deadline for bus1_pool_recv(). */
uint64_t deadline_in(unsigned int ms);

/* An ID for a node: the address of what the node stands for. */
static inline uint64_t id_of(const void *object)
{
	return (uintptr_t)object;
}

static inline void *object_of(uint64_t id)
{
	return (void *)(uintptr_t)id;
}

/* A letter is what goes into one message. */
struct letter {
	struct iovec vecs[2];
	size_t n_vecs;
	const uint64_t *handles;
	size_t n_handles;
	const int *fds;
	size_t n_fds;
};

/* Sends at once or not at all: for who must not wait for a receiver. */
int post(int peer, uint64_t to, const struct letter *letter);

/* Tries again while there is no room at the receiver, for PATIENCE_MS. */
int post_patiently(int peer, uint64_t to, const struct letter *letter);

/* Whether errno says that a receiver has no room at the moment. */
int no_room_now(void);

/* Pauses before another try, and twice as long each time. @pause_us starts at 0. */
void pause_longer(unsigned int *pause_us);

#endif /* POST_H */
