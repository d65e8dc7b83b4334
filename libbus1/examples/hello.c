// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#include <bus1.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* Bob: one entry into the kernel for each request, until nobody can ask. */
static int serve(struct bus1_pool *pool)
{
	struct bus1_msg msg = BUS1_MSG_INIT;
	char line[64];
	struct iovec text = { line, 0 };
	struct bus1_payload answer = { .vecs = &text, .n_vecs = 1 };

	while (!bus1_pool_reply_recv(pool, &msg, &answer, 0, 0)) {
		if (msg.type == BUS1_MSG_NODE_RELEASE)
			return 0;
		text.iov_len = 1 + sprintf(line, "hello, node %d",
					   (int)msg.destination);
	}
	return 1;
}

/* Alice: sends, and waits for the reply that she has paid for. */
static int ask(struct bus1_pool *pool, uint64_t to)
{
	struct bus1_request request = {
		.destination = to, .reply_id = 16, .reply_max_bytes = 64,
	};
	struct bus1_msg msg;

	if (bus1_pool_call(pool, &msg, &request, NULL, NULL, 0,
			   BUS1_POOL_OVERTAKE) || msg.type != BUS1_MSG_DATA)
		return 1;
	puts(msg.payload);
	return bus1_msg_discard(pool, &msg) < 0;
}

int main(void)
{
	int alice = bus1_open(0), bob = bus1_open(0), status;
	uint64_t node = 8 | BUS1_HANDLE_FLAG_NEW, to;

	/* Bob makes a node and gives Alice a handle to it: she may ask there. */
	if (bus1_handle_transfer(bob, alice, &node, &to, 1, 0) < 0)
		return perror("bus1"), 1;
	if (!fork())
		return close(alice), serve(bus1_pool_new(bob));
	close(bob);
	if (ask(bus1_pool_new(alice), to) ||
	    bus1_handle_release(alice, &to, 1, 0) < 0)
		return perror("bus1"), 1;
	wait(&status);
	return status != 0;
}
