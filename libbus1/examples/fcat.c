// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * fcat - read files through capabilities that filed hands out
 *
 * Asking by name is a call. Reading goes by requests of which a few are on their
 * way at any time: enough to keep the server busy, and never more answers than
 * the own pool takes.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files.h"
#include "first.h"
#include "post.h"

/* How many answers may be on their way. */
#define WINDOW 4

/* Exit status when the server took the file back. */
#define STATUS_REVOKED 3

struct client {
	int peer;
	struct bus1_pool *pool;
	uint64_t server;
	uint64_t file;
	uint64_t size;
	uint64_t piece;
	const char *name;
	uint64_t slots[WINDOW];		/* their addresses name requests */
};

static void ended_by_server(const struct client *client, uint64_t handle)
{
	errno = 0;
	if (handle == client->file) {
		fprintf(stderr, "fcat: the server took %s back\n", client->name);
		exit(STATUS_REVOKED);
	}
	if (handle == client->server)
		die("the server is gone");
}

/* The next message. Notices are dealt with here, as they concern all of it. */
static void receive(struct client *client, struct bus1_msg *msg)
{
	for (;;) {
		if (bus1_pool_recv(client->pool, msg, 0, 0) < 0)
			die("cannot receive");
		if (msg->type == BUS1_MSG_DATA)
			return;
		if (msg->type == BUS1_MSG_NODE_DESTROY)
			ended_by_server(client, msg->destination);
	}
}

/* What was queued before an answer that was waited for. */
static int take_earlier(struct bus1_pool *pool, struct bus1_msg *msg,
			void *context)
{
	if (msg->type == BUS1_MSG_NODE_DESTROY)
		ended_by_server(context, msg->destination);
	return bus1_msg_discard(pool, msg);
}

static struct bus1_request new_request(const void *id, uint64_t to,
				       const struct iovec *vec)
{
	struct bus1_request request = {
		.destination = to,
		.payload = { .vecs = vec, .n_vecs = 1 },
		.reply_id = id_of(id),
		.reply_max_bytes = sizeof(struct file_answer),
	};

	return request;
}

/* A file that was taken back is also in the queue, where it says more. */
static void could_not_ask(struct client *client, uint64_t deadline,
			  unsigned int *pause_us)
{
	struct bus1_msg msg;

	if (errno == EHOSTUNREACH)
		for (;;)
			receive(client, &msg);
	if (!no_room_now() || deadline_in(0) > deadline)
		die("cannot ask");
	pause_longer(pause_us);
}

static const struct file_answer *read_answer(const struct bus1_msg *msg,
					     uint32_t op)
{
	const struct file_answer *head = msg->payload;

	if (msg->n_bytes < sizeof(*head) || head->op != op) {
		errno = EPROTO;
		die("a strange answer");
	}
	if (head->error) {
		errno = head->error;
		die("the server answers");
	}
	return head;
}

static void release(struct client *client, struct bus1_msg *msg)
{
	if (bus1_msg_release(client->pool, msg) < 0)
		die("cannot release a message");
}

static void check_answered(const struct bus1_msg *msg)
{
	errno = 0;
	if (msg->type != BUS1_MSG_DATA)
		die("the server is gone, or does not answer");
}

/* Asks at the server, by name. What comes with the answer is the caller's. */
static const struct file_answer *ask_by_name(struct client *client, uint32_t op,
					     struct bus1_msg *msg,
					     unsigned int flags)
{
	struct file_request text = { .op = op };
	struct iovec vec = { &text, sizeof(text) };
	struct bus1_request request = new_request(client, client->server, &vec);
	uint64_t deadline = deadline_in(PATIENCE_MS);
	unsigned int pause_us = 0;

	if (strlen(client->name) >= sizeof(text.name)) {
		errno = ENAMETOOLONG;
		die("%s", client->name);
	}
	strcpy(text.name, client->name);
	request.reply_max_handles = op == FILE_OPEN;
	request.reply_max_fds = op == FILE_DESCRIPTOR;
	while (bus1_pool_call(client->pool, msg, &request, take_earlier, client,
			      deadline, flags) < 0) {
		if (msg->destination == request.reply_id)
			die("no answer");
		could_not_ask(client, deadline, &pause_us);
	}
	check_answered(msg);
	return read_answer(msg, op);
}

static void open_file(struct client *client)
{
	const struct file_answer *head;
	struct bus1_msg msg;

	head = ask_by_name(client, FILE_OPEN, &msg, 0);
	if (msg.n_handles != 1) {
		errno = EPROTO;
		die("no handle came");
	}
	client->file = msg.handles[0];
	client->size = head->size;
	release(client, &msg);

	/* The file is all that is needed from here on. */
	if (bus1_handle_release(client->peer, &client->server, 1, 0) < 0)
		die("cannot release the server");
	client->server = BUS1_HANDLE_INVALID;
}

/* From here on the server may know that nobody reads any more. */
static void close_file(struct client *client)
{
	if (bus1_handle_release(client->peer, &client->file, 1, 0) < 0)
		die("cannot release %s", client->name);
}

static void write_all(const char *data, size_t n)
{
	ssize_t r;

	for (; n; data += r, n -= r) {
		r = write(STDOUT_FILENO, data, n);
		if (r < 0)
			die("cannot write");
	}
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static const uint64_t *slot_of(const struct client *client, uint64_t offset)
{
	return &client->slots[offset / client->piece % WINDOW];
}

/* Asks for the piece at @offset and does not wait for it. */
static int ask_for_piece(struct client *client, uint64_t offset, uint64_t length)
{
	struct file_request text = {
		.op = FILE_READ, .offset = offset, .length = length,
	};
	struct iovec vec = { &text, sizeof(text) };
	struct bus1_request request = new_request(slot_of(client, offset),
						  client->file, &vec);

	request.reply_max_bytes += length;
	return bus1_send_request(client->peer, &request, 0);
}

/* For a piece that has no other on its way: there is nothing else to do. */
static void ask_patiently(struct client *client, uint64_t offset,
			  uint64_t length)
{
	uint64_t deadline = deadline_in(PATIENCE_MS);
	unsigned int pause_us = 0;

	while (ask_for_piece(client, offset, length) < 0)
		could_not_ask(client, deadline, &pause_us);
}

/* Writes straight from the pool. */
static void take_piece(struct client *client, uint64_t offset, uint64_t length)
{
	const struct file_answer *head;
	struct bus1_msg msg;

	if (bus1_pool_wait_reply(client->pool, &msg,
				 id_of(slot_of(client, offset)), take_earlier,
				 client, deadline_in(PATIENCE_MS), 0) < 0)
		die("no answer");
	check_answered(&msg);
	head = read_answer(&msg, FILE_READ);
	if (head->offset != offset || msg.n_bytes - sizeof(*head) != length) {
		errno = EPROTO;
		die("the server gave another piece");
	}
	write_all((const char *)(head + 1), length);
	release(client, &msg);
}

/* Pieces begin at multiples of their length, which names their requests. */
static uint64_t piece_end(const struct client *client, uint64_t offset,
			  uint64_t until)
{
	return least(until, offset - offset % client->piece + client->piece);
}

static void read_file(struct client *client, uint64_t got, uint64_t until)
{
	uint64_t asked = got, end;

	while (got < until) {
		while (asked < until &&
		       asked - got < (WINDOW - 1) * client->piece) {
			end = piece_end(client, asked, until);
			if (got == asked)
				ask_patiently(client, asked, end - asked);
			else if (ask_for_piece(client, asked, end - asked) < 0)
				break;
			asked = end;
		}
		end = piece_end(client, got, until);
		take_piece(client, got, end - got);
		got = end;
	}
}

/* The other one needs to know nothing of the server: the handle is enough. */
static void give_file(struct client *client, uint64_t offset, const char *path)
{
	struct file_gift gift = { .offset = offset, .size = client->size };
	struct letter letter = {
		.vecs = { { &gift, sizeof(gift) } }, .n_vecs = 1,
		.handles = &client->file, .n_handles = 1,
	};
	uint64_t friend;

	strcpy(gift.name, client->name);
	if (first_ask(client->peer, path, &friend) < 0)
		die("nobody takes the file at %s", path);
	if (post_patiently(client->peer, friend, &letter) < 0)
		die("cannot give the file away");
	fprintf(stderr, "fcat: gave %s away, read up to %llu\n", client->name,
		(unsigned long long)offset);
}

static void wait_for_gift(struct client *client, const char *path,
			  uint64_t inbox, struct bus1_msg *msg)
{
	int listener = first_listen(path);
	struct pollfd polls[] = {
		{ .fd = client->peer, .events = POLLIN },
		{ .fd = listener, .events = POLLIN },
	};

	if (listener < 0 || first_node(client->peer, inbox) < 0)
		die("%s", path);
	while (!polls[0].revents) {
		if (poll(polls, 2, PATIENCE_MS) <= 0)
			die("nobody gives a file");
		if (polls[1].revents &&
		    first_answer(listener, client->peer, inbox) < 0)
			die("cannot answer at %s", path);
	}
	unlink(path);
	close(listener);
	receive(client, msg);
}

static void take_file(struct client *client, const char *path)
{
	static const uint64_t inbox __attribute__((aligned(8)));
	static struct file_gift gift;
	struct bus1_msg msg;

	wait_for_gift(client, path, id_of(&inbox), &msg);
	if (msg.n_bytes != sizeof(gift) || msg.n_handles != 1) {
		errno = EPROTO;
		die("a strange gift");
	}
	memcpy(&gift, msg.payload, sizeof(gift));
	gift.name[sizeof(gift.name) - 1] = 0;
	client->file = msg.handles[0];
	client->size = gift.size;
	client->name = gift.name;
	release(client, &msg);

	fprintf(stderr, "fcat: was given %s, reads from %llu\n", gift.name,
		(unsigned long long)gift.offset);
	read_file(client, gift.offset, gift.size);
	close_file(client);
}

/* The descriptor is a file like any other and needs the server no more. */
static void copy_descriptor(struct client *client)
{
	static char buffer[65536];
	struct bus1_msg msg;
	ssize_t n;
	int fd;

	ask_by_name(client, FILE_DESCRIPTOR, &msg, BUS1_RECV_INSTALL_FDS);
	if (msg.n_fds != 1 || msg.fds[0] < 0) {
		errno = EPROTO;
		die("no descriptor came");
	}
	fd = msg.fds[0];
	release(client, &msg);
	while ((n = read(fd, buffer, sizeof(buffer))) > 0)
		write_all(buffer, n);
	if (n < 0)
		die("cannot read %s", client->name);
	close(fd);
}

static void revoke_file(struct client *client)
{
	struct bus1_msg msg;

	ask_by_name(client, FILE_REVOKE, &msg, 0);
	release(client, &msg);
}

/* Ends in ended_by_server(). */
static void hold_file(struct client *client)
{
	struct bus1_msg msg;

	open_file(client);
	printf("holding %s\n", client->name);
	fflush(stdout);
	for (;;) {
		receive(client, &msg);
		bus1_msg_discard(client->pool, &msg);
	}
}

static void cat_file(struct client *client, uint64_t length, const char *give)
{
	open_file(client);
	length = least(length, client->size);
	read_file(client, 0, length);
	if (give)
		give_file(client, length, give);
	close_file(client);
}

static const char help[] =
"usage: fcat [OPTION...] NAME | fcat --take PATH\n"
"Writes a file of filed's to standard output. The first handle is asked for at a\n"
"socket, or is the one that filed's command inherits.\n"
"  -s, --socket PATH    where filed listens\n"
"  -n, --length BYTES   read no more than that\n"
"  -g, --give PATH      then pass the handle on to the fcat that listens there\n"
"  -t, --take PATH      listen there, and read the rest of what is passed on\n"
"  -d, --descriptor     get the open file itself, and read that\n"
"  -w, --hold           hold the file until the server takes it back (status 3)\n"
"  -r, --revoke         tell the server to take the file back from everybody\n";

static const struct option options[] = {
	{ "socket", required_argument, NULL, 's' },
	{ "length", required_argument, NULL, 'n' },
	{ "give", required_argument, NULL, 'g' },
	{ "take", required_argument, NULL, 't' },
	{ "descriptor", no_argument, NULL, 'd' },
	{ "hold", no_argument, NULL, 'w' },
	{ "revoke", no_argument, NULL, 'r' },
	{ "help", no_argument, NULL, 'h' },
	{ }
};

/*
 * Answers are paid for by who asks, with its own peer's limits and its user's. All
 * that are on their way together take an eighth of what the peer may hold.
 */
static void choose_piece(struct client *client)
{
	struct bus1_peer_info info;

	if (bus1_peer_query(client->peer, &info, 0) < 0)
		die("cannot ask for the limits");
	client->piece = least(FILE_READ_MAX,
			      info.max_inflight_bytes / WINDOW / 8 + 1);
}

static void start(struct client *client)
{
	client->server = BUS1_HANDLE_INVALID;
	client->file = BUS1_HANDLE_INVALID;
	client->peer = new_peer(&client->pool);
	choose_piece(client);
}

static void find_server(struct client *client, const char *path)
{
	if (path && first_ask(client->peer, path, &client->server) < 0)
		die("no handle from %s", path);
	if (!path && first_inherit(client->peer, &client->server) < 0)
		die("no handle was inherited, and no --socket given");
}

int main(int argc, char **argv)
{
	static struct client client __attribute__((aligned(8)));
	const char *path = NULL, *give = NULL, *take = NULL;
	uint64_t length = UINT64_MAX;
	int c, how = 0;

	while ((c = getopt_long(argc, argv, "s:n:g:t:dwrh", options, NULL)) >= 0) {
		if (c == 's')
			path = optarg;
		else if (c == 'n')
			length = strtoull(optarg, NULL, 0);
		else if (c == 'g')
			give = optarg;
		else if (c == 't')
			take = optarg;
		else if (c == 'd' || c == 'w' || c == 'r')
			how = c;
		else
			return fputs(help, c == 'h' ? stdout : stderr), c != 'h';
	}
	client.name = argv[optind];
	if (argc - optind != !take)
		return fputs(help, stderr), 1;

	start(&client);
	if (take)
		return take_file(&client, take), 0;
	find_server(&client, path);
	if (how == 'd')
		copy_descriptor(&client);
	else if (how == 'w')
		hold_file(&client);
	else if (how == 'r')
		revoke_file(&client);
	else
		cat_file(&client, length, give);
	return 0;
}
