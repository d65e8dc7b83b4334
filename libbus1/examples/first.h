/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The first handle.
 *
 * A handle travels in messages, and to send a message takes a handle. Two
 * processes that share no bus1 peer get the first one from outside:
 *
 * - A child inherits a peer in which its parent has put a handle.
 * - A stranger passes its own peer over an AF_UNIX socket. The server puts a
 *   handle into that peer and says under which ID.
 */
#ifndef FIRST_H
#define FIRST_H

#include <stdint.h>
#include <sys/types.h>

/* Makes a node that lives as long as the peer, whoever holds a handle to it. */
int first_node(int peer, uint64_t node);

/*
 * Runs a command that inherits a peer with a handle to @node. Gives its pid;
 * *@ended is a descriptor that can be read once it has ended.
 */
pid_t first_run(int peer, uint64_t node, char *const argv[], int *ended);

/* In the command: takes the inherited handle over into @peer. ENOENT: none. */
int first_inherit(int peer, uint64_t *handle);

/* Makes the socket at which strangers ask. */
int first_listen(const char *path);

/* Answers one stranger, never waiting for it. */
int first_answer(int listener, int peer, uint64_t node);

/* As a stranger: asks at the socket for a handle in @peer. */
int first_ask(int peer, const char *path, uint64_t *handle);

#endif /* FIRST_H */
