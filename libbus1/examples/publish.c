// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * publish - send news to many subscribers, in one order for all
 *
 * Every item is one multicast: all subscribers receive it at the same place in
 * the sequence of everything that they receive, also when others publish to them
 * at the same time.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "first.h"
#include "news.h"
#include "post.h"

/* Its address is the ID of the node that stands for the subscriber. */
struct subscriber {
	uint64_t inbox;
	uint32_t read_to;
	int is_there;
} __attribute__((aligned(8)));

struct publisher {
	int peer;
	struct bus1_pool *pool;
	int listener;
	const char *name;
	size_t size;
	uint32_t sent;
	int has_ended;
	unsigned int n_wanted;
	unsigned int n_joined;
	unsigned int n_there;
	unsigned int n_lost;
	struct subscriber subscribers[BUS1_DEST_MAX];
} __attribute__((aligned(8)));

static void fill_news(const struct publisher *publisher, struct news *news,
		      uint32_t kind, uint32_t number)
{
	memset(news, 0, sizeof(*news));
	news->kind = kind;
	news->number = number;
	snprintf(news->publisher, sizeof(news->publisher), "%s",
		 publisher->name);
}

/* The node that stands for it comes into being with the reply. */
static void welcome(struct publisher *publisher, struct bus1_msg *msg,
		    uint64_t inbox)
{
	struct subscriber *subscriber =
		&publisher->subscribers[publisher->n_joined];
	uint64_t node = id_of(subscriber) | BUS1_HANDLE_FLAG_NEW;
	struct news news;
	struct iovec vec = { &news, sizeof(news) };
	struct bus1_payload payload = {
		.vecs = &vec, .n_vecs = 1, .handles = &node, .n_handles = 1,
	};

	fill_news(publisher, &news, NEWS_WELCOME, 0);
	if (bus1_msg_reply(publisher->pool, msg, &payload) < 0) {
		printf("publish: could not welcome somebody: %s\n",
		       strerror(errno));
		bus1_msg_discard(publisher->pool, msg);
		return;
	}
	bus1_msg_release(publisher->pool, msg);
	subscriber->inbox = inbox;
	subscriber->is_there = 1;
	publisher->n_joined++;
	publisher->n_there++;
}

/* It may have left after it read everything, or before. */
static void part_with(struct publisher *publisher,
		      struct subscriber *subscriber)
{
	uint64_t node = id_of(subscriber);

	if (!subscriber->is_there)
		return;
	subscriber->is_there = 0;
	publisher->n_there--;
	if (!publisher->has_ended || subscriber->read_to != publisher->sent) {
		publisher->n_lost++;
		printf("publish: %s lost a subscriber at %u of %u\n",
		       publisher->name, subscriber->read_to, publisher->sent);
	}
	if (bus1_node_destroy(publisher->peer, &node, 1,
			       BUS1_DESTROY_RELEASE_HANDLES) < 0 ||
	    bus1_handle_release(publisher->peer, &subscriber->inbox, 1, 0) < 0)
		die("cannot part with a subscriber");
}

static void take_join(struct publisher *publisher, struct bus1_msg *msg)
{
	uint64_t inbox = msg->n_handles == 1 ? msg->handles[0] :
					       BUS1_HANDLE_INVALID;

	/*
	 * Whoever comes late would not have the sequence of the others. That the
	 * request is dropped is what it is told.
	 */
	if (inbox == BUS1_HANDLE_INVALID ||
	    publisher->n_joined == publisher->n_wanted) {
		bus1_msg_discard(publisher->pool, msg);
		return;
	}
	welcome(publisher, msg, inbox);
}

static void take_data(struct publisher *publisher, struct bus1_msg *msg)
{
	const struct news *news = msg->payload;
	struct subscriber *subscriber;

	if (msg->destination == id_of(publisher)) {
		take_join(publisher, msg);
		return;
	}
	subscriber = object_of(msg->destination);
	if (msg->n_bytes >= sizeof(*news) && news->kind == NEWS_READ &&
	    news->number <= publisher->sent)
		subscriber->read_to = news->number;
	bus1_msg_discard(publisher->pool, msg);
}

/*
 * A subscriber that is gone has let go of its node here: that is one notice, and
 * the only one needed.
 */
static void take(struct publisher *publisher, struct bus1_msg *msg)
{
	if (msg->type == BUS1_MSG_DATA)
		take_data(publisher, msg);
	else if (msg->type == BUS1_MSG_NODE_RELEASE)
		part_with(publisher, object_of(msg->destination));
}

static void take_all(struct publisher *publisher)
{
	struct bus1_msg msg;

	while (!bus1_pool_recv(publisher->pool, &msg, 0, BUS1_RECV_NONBLOCK))
		take(publisher, &msg);
	if (errno != EAGAIN)
		die("cannot receive");
}

static struct subscriber *slowest(struct publisher *publisher)
{
	struct subscriber *s, *slow = NULL;

	for (s = publisher->subscribers;
	     s < publisher->subscribers + publisher->n_joined; s++)
		if (s->is_there && (!slow || s->read_to < slow->read_to))
			slow = s;
	return slow;
}

/* Waits until something happens; gives 0 when nothing did. */
static int wait_for_news(struct publisher *publisher, int ms)
{
	struct pollfd polls[] = {
		{ .fd = publisher->peer, .events = POLLIN },
		{ .fd = publisher->listener, .events = POLLIN },
	};
	int n = poll(polls, 2, ms);

	if (n < 0 && errno != EINTR)
		die("cannot wait");
	take_all(publisher);
	if (n > 0 && polls[1].revents &&
	    first_answer(publisher->listener, publisher->peer,
			 id_of(publisher)) < 0)
		printf("publish: a stranger got no handle: %s\n",
		       strerror(errno));
	return n;
}

/* One that does not read for that long holds up nobody any longer. */
static void wait_for_readers(struct publisher *publisher)
{
	if (wait_for_news(publisher, PATIENCE_MS) == 0 && publisher->n_there)
		part_with(publisher, slowest(publisher));
}

static void part_with_refusing(struct publisher *publisher,
			       struct subscriber **who, const int32_t *errors,
			       size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (errors[i] == -EHOSTUNREACH)
			part_with(publisher, who[i]);
}

/* Gives 0 or an errno. */
static int multicast(struct publisher *publisher, const struct iovec *vecs,
		     size_t n_vecs)
{
	struct subscriber *who[BUS1_DEST_MAX], *s;
	uint64_t inboxes[BUS1_DEST_MAX];
	int32_t errors[BUS1_DEST_MAX];
	size_t n = 0;
	int error;

	for (s = publisher->subscribers;
	     s < publisher->subscribers + publisher->n_joined; s++)
		if (s->is_there) {
			who[n] = s;
			inboxes[n++] = s->inbox;
		}
	if (!n || !bus1_send_errors(publisher->peer, inboxes, n, vecs, n_vecs,
				    NULL, 0, NULL, 0, errors, 0))
		return 0;

	error = errno;
	if (error == EHOSTUNREACH)
		part_with_refusing(publisher, who, errors, n);
	return error;
}

/*
 * All or none get it. None does when one is gone, which is left out then, and
 * when somebody else has filled the queue of one, who has to read first.
 */
static void send_to_all(struct publisher *publisher, const struct iovec *vecs,
			size_t n_vecs)
{
	int error;

	while ((error = multicast(publisher, vecs, n_vecs))) {
		if (error == EDQUOT || error == EXFULL)
			wait_for_news(publisher, 10);
		else if (error != EHOSTUNREACH)
			die("cannot send");
	}
}

static void send_items(struct publisher *publisher, uint32_t count)
{
	char text[publisher->size + 1];
	struct news news;
	struct iovec vecs[] = {
		{ &news, sizeof(news) }, { text, publisher->size },
	};

	while (publisher->sent < count && publisher->n_there) {
		if (publisher->sent - slowest(publisher)->read_to >=
		    NEWS_WINDOW) {
			wait_for_readers(publisher);
			continue;
		}
		fill_news(publisher, &news, NEWS_ITEM, publisher->sent + 1);
		memset(text, 'a' + publisher->sent % 26, publisher->size);
		send_to_all(publisher, vecs, 2);
		publisher->sent++;
	}
}

static void send_end(struct publisher *publisher)
{
	struct news news;
	struct iovec vec = { &news, sizeof(news) };

	fill_news(publisher, &news, NEWS_END, publisher->sent);
	send_to_all(publisher, &vec, 1);
	publisher->has_ended = 1;
	while (publisher->n_there)
		wait_for_readers(publisher);
}

static void start(struct publisher *publisher, const char *path)
{
	publisher->peer = new_peer(&publisher->pool);
	if (first_node(publisher->peer, id_of(publisher)) < 0)
		die("cannot make the first node");
	publisher->listener = path ? first_listen(path) : -1;
	if (path && publisher->listener < 0)
		die("%s", path);
}

static int wait_for_command(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) < 0)
		die("cannot wait for the command");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static int run(struct publisher *publisher, uint32_t count, char **argv)
{
	pid_t pid = 0;
	int ended;

	if (*argv)
		pid = first_run(publisher->peer, id_of(publisher), argv, &ended);
	if (pid < 0)
		die("cannot start %s", *argv);
	while (publisher->n_joined < publisher->n_wanted)
		if (wait_for_news(publisher, PATIENCE_MS) == 0)
			die("only %u subscribers came", publisher->n_joined);
	send_items(publisher, count);
	send_end(publisher);
	printf("publish: %s sent %u items to %u subscribers, lost %u of them\n",
	       publisher->name, publisher->sent, publisher->n_joined,
	       publisher->n_lost);
	return pid ? wait_for_command(pid) : 0;
}

static const char help[] =
"usage: publish [OPTION...] NAME [COMMAND [ARGUMENT...]]\n"
"Waits for subscribers and sends them news. Strangers ask at the socket for a\n"
"handle; the command inherits one, and publish ends with its status.\n"
"  -s, --socket PATH     the socket\n"
"  -n, --subscribers N   how many to wait for (default: 1)\n"
"  -c, --count N         how many items to send (default: 100)\n"
"  -b, --bytes N         length of an item (default: 1000)\n";

static const struct option options[] = {
	{ "socket", required_argument, NULL, 's' },
	{ "subscribers", required_argument, NULL, 'n' },
	{ "count", required_argument, NULL, 'c' },
	{ "bytes", required_argument, NULL, 'b' },
	{ "help", no_argument, NULL, 'h' },
	{ }
};

static unsigned long number(const char *text, unsigned long max)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	errno = 0;
	if (*end || !value || value > max)
		die("%s is no number from 1 to %lu", text, max);
	return value;
}

int main(int argc, char **argv)
{
	static struct publisher publisher = { .n_wanted = 1, .size = 1000 };
	const char *path = NULL;
	uint32_t count = 100;
	int c;

	while ((c = getopt_long(argc, argv, "+s:n:c:b:h", options, NULL)) >= 0) {
		if (c == 's')
			path = optarg;
		else if (c == 'n')
			publisher.n_wanted = number(optarg, BUS1_DEST_MAX);
		else if (c == 'c')
			count = number(optarg, 1000000000);
		else if (c == 'b')
			publisher.size = number(optarg, 65536);
		else
			return fputs(help, c == 'h' ? stdout : stderr), c != 'h';
	}
	if (optind == argc || (!path && optind + 1 == argc))
		return fputs(help, stderr), 1;

	setvbuf(stdout, NULL, _IOLBF, 0);
	publisher.name = argv[optind];
	start(&publisher, path);
	return run(&publisher, count, argv + optind + 1);
}
