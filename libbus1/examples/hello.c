// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#include <stdio.h>
#include <bus1.h>

int main(void)
{
	int alice = bus1_open(0), bob = bus1_open(0);
	uint64_t node = 8 | BUS1_HANDLE_FLAG_NEW, to;
	struct iovec text = { (void *)"hello", 6 };
	struct bus1_pool *pool = bus1_pool_new(bob);
	struct bus1_msg msg;

	/* Bob makes a node, gives Alice a handle to it, and Alice sends there. */
	if (bus1_handle_transfer(bob, alice, &node, &to, 1, 0) < 0 ||
	    bus1_send(alice, &to, 1, &text, 1, NULL, 0, NULL, 0, 0) < 0 ||
	    bus1_pool_recv(pool, &msg, 0, 0) < 0)
		return perror("bus1"), 1;

	printf("%s, node %d\n", (const char *)msg.payload, (int)msg.destination);
	return bus1_msg_discard(pool, &msg) < 0;
}
