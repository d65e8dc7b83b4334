// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * subscribe - print the news of one or more publishers, as they come
 *
 * Subscribers of the same publishers print the same lines in the same order,
 * whoever of the publishers is faster.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "first.h"
#include "news.h"
#include "post.h"

#define MAX_SOURCES 16

/* A publisher. The address is the ID of the node that its news come to. */
struct source {
	uint64_t publisher;
	uint64_t counter;
	uint32_t number;
	int has_ended;
} __attribute__((aligned(8)));

struct reader {
	int peer;
	struct bus1_pool *pool;
	unsigned int n_sources;
	unsigned int n_ended;
	uint32_t n_items;
	uint32_t n_changes;
	const struct source *last;
	uint64_t checksum;
	struct source sources[MAX_SOURCES];
};

#define FNV_START 0xcbf29ce484222325ULL
#define FNV_PRIME 0x100000001b3ULL

/* FNV-1a: what it comes to depends on every byte and on their order. */
static uint64_t add_to_checksum(uint64_t sum, const void *data, size_t n)
{
	const unsigned char *byte = data;

	while (n--)
		sum = (sum ^ *byte++) * FNV_PRIME;
	return sum;
}

static struct source *source_new(struct reader *reader)
{
	struct source *source;

	errno = 0;
	if (reader->n_sources == MAX_SOURCES)
		die("too many publishers");
	source = &reader->sources[reader->n_sources++];
	source->counter = BUS1_HANDLE_INVALID;
	return source;
}

/*
 * News that come before the welcome stay queued, and are printed in their order.
 * No room at the publisher: nothing announces that there is some again.
 */
static void ask_to_join(struct reader *reader, const struct bus1_request *request,
			struct bus1_msg *msg)
{
	uint64_t deadline = deadline_in(PATIENCE_MS);
	unsigned int pause_us = 0;

	while (bus1_pool_call(reader->pool, msg, request, NULL, NULL, deadline,
			      BUS1_POOL_OVERTAKE) < 0) {
		if (!no_room_now() || deadline_in(0) > deadline)
			die("cannot join");
		pause_longer(&pause_us);
	}
	errno = 0;
	if (msg->type != BUS1_MSG_DATA)
		die("the publisher takes nobody any more");
}

static void join(struct reader *reader, struct source *source)
{
	uint64_t node = id_of(source) | BUS1_HANDLE_FLAG_NEW;
	struct news news = { .kind = NEWS_JOIN };
	struct iovec vec = { &news, sizeof(news) };
	struct bus1_request request = {
		.destination = source->publisher,
		.payload = { .vecs = &vec, .n_vecs = 1,
			     .handles = &node, .n_handles = 1 },
		.reply_id = id_of(&source->counter),
		.reply_max_bytes = sizeof(news),
		.reply_max_handles = 1,
	};
	struct bus1_msg msg;

	ask_to_join(reader, &request, &msg);
	if (msg.n_handles != 1 || msg.handles[0] == BUS1_HANDLE_INVALID) {
		errno = EPROTO;
		die("a strange welcome");
	}
	source->counter = msg.handles[0];
	if (bus1_msg_release(reader->pool, &msg) < 0)
		die("cannot release a message");
}

/* Every half window, so that the publisher need not wait for it. */
static void say_what_was_read(struct reader *reader, struct source *source)
{
	struct news news = { .kind = NEWS_READ, .number = source->number };
	struct letter letter = {
		.vecs = { { &news, sizeof(news) } }, .n_vecs = 1,
	};

	if (post_patiently(reader->peer, source->counter, &letter) < 0)
		die("cannot tell the publisher");
}

static void take_item(struct reader *reader, struct source *source,
		      const struct bus1_msg *msg, const struct news *news)
{
	errno = 0;
	if (news->number != ++source->number)
		die("item %u came in place of %u", news->number,
		    source->number);
	printf("%.*s %u %.12s\n", (int)sizeof(news->publisher),
	       news->publisher, news->number,
	       msg->n_bytes < sizeof(*news) + 12 ? "" : (char *)(news + 1));
	reader->checksum = add_to_checksum(reader->checksum, msg->payload,
					   msg->n_bytes);
	reader->n_items++;
	reader->n_changes += reader->last && reader->last != source;
	reader->last = source;
	if (source->number % (NEWS_WINDOW / 2) == 0)
		say_what_was_read(reader, source);
}

/* The counter is let go: that is how the publisher learns of the end. */
static void take_end(struct reader *reader, struct source *source,
		     uint32_t number)
{
	errno = 0;
	if (number != source->number)
		die("the end came after %u of %u", source->number, number);
	say_what_was_read(reader, source);
	source->has_ended = 1;
	reader->n_ended++;
	if (bus1_handle_release(reader->peer, &source->counter, 1, 0) < 0)
		die("cannot leave");
}

static void take_news(struct reader *reader, const struct bus1_msg *msg)
{
	struct source *source = object_of(msg->destination);
	const struct news *news = msg->payload;

	errno = EPROTO;
	if (msg->n_bytes < sizeof(*news))
		die("strange news");
	if (news->kind == NEWS_ITEM)
		take_item(reader, source, msg, news);
	else if (news->kind == NEWS_END)
		take_end(reader, source, news->number);
	else
		die("strange news");
}

/* A publisher that goes has destroyed its nodes, the one joined at among them. */
static void check_publishers(const struct reader *reader, uint64_t handle)
{
	const struct source *s;

	errno = 0;
	for (s = reader->sources; s < reader->sources + reader->n_sources; s++)
		if (!s->has_ended &&
		    (s->publisher == handle || s->counter == handle))
			die("a publisher is gone before its end");
}

static void read_news(struct reader *reader)
{
	struct bus1_msg msg;

	while (reader->n_ended < reader->n_sources) {
		if (bus1_pool_recv(reader->pool, &msg, deadline_in(PATIENCE_MS),
				   0) < 0)
			die("no news");
		if (msg.type == BUS1_MSG_DATA)
			take_news(reader, &msg);
		else if (msg.type == BUS1_MSG_NODE_DESTROY)
			check_publishers(reader, msg.destination);
		if (bus1_msg_release(reader->pool, &msg) < 0)
			die("cannot release a message");
	}
}

static const char help[] =
"usage: subscribe [--socket PATH]...\n"
"Prints the news of the publishers at the sockets, and of the one that it has\n"
"inherited a handle from, one line each. Says in the end, on standard error, what\n"
"the checksum of all that came is, in the order in which it came.\n"
"  -s, --socket PATH   where a publisher listens\n";

static const struct option options[] = {
	{ "socket", required_argument, NULL, 's' },
	{ "help", no_argument, NULL, 'h' },
	{ }
};

static void find_by_socket(struct reader *reader, const char *path)
{
	if (first_ask(reader->peer, path, &source_new(reader)->publisher) < 0)
		die("no handle from %s", path);
}

static void find_inherited(struct reader *reader)
{
	uint64_t handle;

	if (first_inherit(reader->peer, &handle) == 0)
		source_new(reader)->publisher = handle;
	else if (errno != ENOENT || !reader->n_sources)
		die("no handle was inherited, and no --socket given");
}

static void find_publishers(struct reader *reader, char *const *paths,
			    unsigned int n_paths)
{
	unsigned int i;

	for (i = 0; i < n_paths; i++)
		find_by_socket(reader, paths[i]);
	find_inherited(reader);
	for (i = 0; i < reader->n_sources; i++)
		join(reader, &reader->sources[i]);
}

int main(int argc, char **argv)
{
	static struct reader reader = { .checksum = FNV_START };
	char *paths[MAX_SOURCES];
	unsigned int n_paths = 0;
	int c;

	while ((c = getopt_long(argc, argv, "s:h", options, NULL)) >= 0) {
		if (c == 's' && n_paths < MAX_SOURCES)
			paths[n_paths++] = optarg;
		else
			return fputs(help, c == 'h' ? stdout : stderr), c != 'h';
	}
	reader.peer = new_peer(&reader.pool);
	find_publishers(&reader, paths, n_paths);
	read_news(&reader);
	fprintf(stderr, "subscribe: %u items, checksum %016" PRIx64
		", changed publisher %u times\n", reader.n_items,
		reader.checksum, reader.n_changes);
	return 0;
}
