// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * filed - a file server that hands out capabilities
 *
 * A client asks by name and gets a handle to a node: that open file. Whoever
 * holds the handle may read the file, and may pass the handle on; the server
 * neither knows nor cares who that is. When nobody holds it any more the kernel
 * says so, and the file is closed.
 *
 * The ID of a file's node is the address of its struct file. The struct is freed
 * when BUS1_MSG_NODE_DESTROY for the node was received: by then every request
 * that was on its way has been, so no message can name freed memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "files.h"
#include "first.h"
#include "post.h"

struct file {
	struct file *next;
	char name[256];
	void *data;
	uint64_t size;
	int is_node;
	int is_closed;
};

/*
 * What goes out with the next entry into the kernel. If @opened is set, the node
 * of that file comes into being with it, and without it there is no node.
 */
struct answer {
	struct file_answer head;
	struct iovec vecs[2];
	struct bus1_payload payload;
	struct file *opened;
	uint64_t node;
	int fd;
};

struct server {
	int peer;
	struct bus1_pool *pool;
	int directory;
	struct file *files;
};

static int open_by_name(const struct server *server, const char *name)
{
	struct stat status;
	int fd;

	if (strchr(name, '/')) {
		errno = EACCES;
		return -1;
	}
	fd = openat(server->directory, name,
		    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return -1;
	if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode)) {
		close(fd);
		errno = EACCES;
		return -1;
	}
	return fd;
}

/* Mapped, so that the kernel copies straight from the file to the reader. */
static int map_file(struct file *file, int fd)
{
	struct stat status;

	if (fstat(fd, &status) < 0)
		return -1;
	file->size = status.st_size;
	if (!file->size)
		return 0;
	file->data = mmap(NULL, file->size, PROT_READ, MAP_SHARED, fd, 0);
	return file->data == MAP_FAILED ? -1 : 0;
}

static struct file *file_new(struct server *server, const char *name)
{
	struct file *file = calloc(1, sizeof(*file));
	int fd = open_by_name(server, name);

	if (!file || fd < 0 || map_file(file, fd) < 0) {
		free(file);
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	close(fd);
	strcpy(file->name, name);
	file->next = server->files;
	server->files = file;
	printf("filed: opened %s\n", name);
	return file;
}

static struct file *file_find(struct server *server, const char *name)
{
	struct file *file;

	for (file = server->files; file; file = file->next)
		if (!strcmp(file->name, name))
			return file;
	return NULL;
}

/* From here on nobody finds the file and nothing is read from it. */
static void file_close(struct server *server, struct file *file)
{
	struct file **link = &server->files;

	while (*link != file)
		link = &(*link)->next;
	*link = file->next;
	if (file->size)
		munmap(file->data, file->size);
	file->is_closed = 1;
}

static void file_destroy(struct server *server, struct file *file)
{
	uint64_t node = id_of(file);

	file_close(server, file);
	if (bus1_node_destroy(server->peer, &node, 1, 0) < 0)
		die("cannot destroy the node of %s", file->name);
}

/* The server's own reference is the last thing that is left of the node. */
static void file_free(struct server *server, struct file *file)
{
	uint64_t node = id_of(file);

	if (bus1_handle_release(server->peer, &node, 1, 0) < 0)
		die("cannot release the node of %s", file->name);
	free(file);
}

static void fill_answer(struct answer *answer, uint32_t op, int error)
{
	memset(answer, 0, sizeof(*answer));
	answer->fd = -1;
	answer->head.op = op;
	answer->head.error = error;
	answer->vecs[0].iov_base = &answer->head;
	answer->vecs[0].iov_len = sizeof(answer->head);
	answer->payload.vecs = answer->vecs;
	answer->payload.n_vecs = 1;
}

static void do_open(struct server *server, const char *name,
		    struct answer *answer)
{
	struct file *file = file_find(server, name);

	if (!file)
		file = file_new(server, name);
	if (!file) {
		fill_answer(answer, FILE_OPEN, errno);
		return;
	}
	fill_answer(answer, FILE_OPEN, 0);
	answer->head.size = file->size;
	answer->node = id_of(file);
	if (!file->is_node) {
		answer->node |= BUS1_HANDLE_FLAG_NEW;
		answer->opened = file;
	}
	answer->payload.handles = &answer->node;
	answer->payload.n_handles = 1;
}

/* Opened afresh, so that nobody else reads at the same position. */
static void do_descriptor(struct server *server, const char *name,
			  struct answer *answer)
{
	int fd = open_by_name(server, name);

	fill_answer(answer, FILE_DESCRIPTOR, fd < 0 ? errno : 0);
	if (fd < 0)
		return;
	answer->fd = fd;
	answer->payload.fds = &answer->fd;
	answer->payload.n_fds = 1;
	printf("filed: gives the descriptor of %s away\n", name);
}

static void do_revoke(struct server *server, const char *name,
		      struct answer *answer)
{
	struct file *file = file_find(server, name);

	if (file) {
		file_destroy(server, file);
		printf("filed: took %s back from everybody\n", name);
	}
	fill_answer(answer, FILE_REVOKE, file ? 0 : ENOENT);
}

static void do_read(const struct file *file, const struct file_request *request,
		    struct answer *answer)
{
	uint64_t length = request->length;

	if (file->is_closed || request->offset > file->size ||
	    length > FILE_READ_MAX) {
		fill_answer(answer, FILE_READ,
			    file->is_closed ? ESTALE : EINVAL);
		return;
	}
	if (length > file->size - request->offset)
		length = file->size - request->offset;
	fill_answer(answer, FILE_READ, 0);
	answer->head.offset = request->offset;
	answer->head.size = file->size;
	if (!length)
		return;
	answer->vecs[1].iov_base = (char *)file->data + request->offset;
	answer->vecs[1].iov_len = length;
	answer->payload.n_vecs = 2;
}

/* What came with it and was not asked for would stay here for ever. */
static int is_request(const struct bus1_msg *msg)
{
	return msg->reply != BUS1_HANDLE_INVALID && !msg->n_handles &&
	       !msg->n_fds && msg->n_bytes == sizeof(struct file_request);
}

/*
 * The request is copied: the bytes in the pool do not change, but the name has
 * to end somewhere.
 */
static void serve_request(struct server *server, const struct bus1_msg *msg,
			  struct answer *answer)
{
	int at_server = msg->destination == id_of(server);
	struct file_request request;

	memcpy(&request, msg->payload, sizeof(request));
	request.name[sizeof(request.name) - 1] = 0;
	if (at_server && request.op == FILE_OPEN)
		do_open(server, request.name, answer);
	else if (at_server && request.op == FILE_DESCRIPTOR)
		do_descriptor(server, request.name, answer);
	else if (at_server && request.op == FILE_REVOKE)
		do_revoke(server, request.name, answer);
	else if (!at_server && request.op == FILE_READ)
		do_read(object_of(msg->destination), &request, answer);
	else
		fill_answer(answer, request.op, EOPNOTSUPP);
}

static void serve_release(struct server *server, struct file *file)
{
	printf("filed: closed %s, nobody holds it any more\n", file->name);
	file_destroy(server, file);
}

static int is_own(uint64_t id)
{
	return !(id & BUS1_HANDLE_FLAG_REMOTE);
}

static void serve(struct server *server, struct bus1_msg *msg,
		  struct answer *answer)
{
	if (msg->type == BUS1_MSG_DATA && is_request(msg))
		serve_request(server, msg, answer);
	else if (msg->type == BUS1_MSG_NODE_RELEASE)
		serve_release(server, object_of(msg->destination));
	else if (msg->type == BUS1_MSG_NODE_DESTROY && is_own(msg->destination))
		file_free(server, object_of(msg->destination));
	else if (bus1_msg_discard(server->pool, msg) < 0)
		die("cannot give a message back");
}

static void end_answer(struct server *server, struct answer *answer, int was_sent)
{
	if (answer->opened && was_sent) {
		answer->opened->is_node = 1;
	} else if (answer->opened) {
		file_close(server, answer->opened);
		free(answer->opened);
	}
	if (answer->fd >= 0)
		close(answer->fd);
	answer->opened = NULL;
	answer->fd = -1;
}

/*
 * A client that is gone gets nothing. Any other is told what went wrong: it has
 * paid for too little, or the file has shrunk meanwhile and cannot be read by
 * the kernel either.
 */
static void answer_otherwise(struct server *server, struct bus1_msg *msg,
			     struct answer *answer, int error)
{
	if (error != EHOSTUNREACH)
		printf("filed: a client did not get its answer: %s\n",
		       strerror(error));
	if (error != EHOSTUNREACH && !answer->head.error)
		fill_answer(answer, answer->head.op,
			    error == EFAULT ? EIO : error);
	else if (bus1_msg_discard(server->pool, msg) < 0)
		die("cannot give a request back");
}

/*
 * Sends the last answer and receives the next request: one entry into the kernel
 * for each. EIO: one that was lost to a broken swap.
 */
static int serve_next(struct server *server, struct bus1_msg *msg,
		      struct answer *answer)
{
	int r = bus1_pool_reply_recv(server->pool, msg, &answer->payload, 0,
				     BUS1_RECV_NONBLOCK);
	int error = r < 0 ? errno : 0;
	int is_next = !error || error == EIO;

	end_answer(server, answer,
		   is_next || msg->reply == BUS1_HANDLE_INVALID);
	if (is_next)
		serve(server, msg, answer);
	else if (msg->reply != BUS1_HANDLE_INVALID)
		answer_otherwise(server, msg, answer, error);
	else
		return error;
	return 0;
}

static void serve_all(struct server *server)
{
	struct bus1_msg msg = BUS1_MSG_INIT;
	struct answer answer;

	fill_answer(&answer, 0, 0);
	do
		errno = serve_next(server, &msg, &answer);
	while (!errno);
	if (errno != EAGAIN)
		die("cannot receive");
}

/* Until the command ends, if there is one. */
static void run(struct server *server, int listener, int ended)
{
	struct pollfd polls[] = {
		{ .fd = server->peer, .events = POLLIN },
		{ .fd = listener, .events = POLLIN },
		{ .fd = ended, .events = POLLIN },
	};

	while (!polls[2].revents) {
		if (poll(polls, 3, -1) < 0 && errno != EINTR)
			die("cannot wait");
		serve_all(server);
		if (polls[1].revents &&
		    first_answer(listener, server->peer, id_of(server)) < 0)
			printf("filed: a stranger got no handle: %s\n",
			       strerror(errno));
	}
	serve_all(server);
}

static const char help[] =
"usage: filed [--root DIR] [--socket PATH] [--] [COMMAND [ARGUMENT...]]\n"
"Serves the files of a directory. Strangers ask at the socket for a handle; the\n"
"command inherits one, and the server ends with it and with its status.\n"
"  -r, --root DIR     the directory (default: the current one)\n"
"  -s, --socket PATH  the socket\n";

static const struct option options[] = {
	{ "root", required_argument, NULL, 'r' },
	{ "socket", required_argument, NULL, 's' },
	{ "help", no_argument, NULL, 'h' },
	{ }
};

static void start(struct server *server, const char *root)
{
	server->directory = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (server->directory < 0)
		die("%s", root);
	server->peer = new_peer(&server->pool);
	if (first_node(server->peer, id_of(server)) < 0)
		die("cannot make the first node");
}

static int serve_command(struct server *server, int listener, char **argv)
{
	int ended = -1, status;
	pid_t pid = 0;

	if (*argv)
		pid = first_run(server->peer, id_of(server), argv, &ended);
	if (pid < 0)
		die("cannot start %s", *argv);
	run(server, listener, ended);
	if (waitpid(pid, &status, 0) < 0)
		die("cannot wait for %s", *argv);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int main(int argc, char **argv)
{
	const char *root = ".", *path = NULL;
	static struct server server __attribute__((aligned(8)));
	int c, listener = -1;

	while ((c = getopt_long(argc, argv, "+r:s:h", options, NULL)) >= 0) {
		if (c == 'r')
			root = optarg;
		else if (c == 's')
			path = optarg;
		else
			return fputs(help, c == 'h' ? stdout : stderr), c != 'h';
	}
	if (!path && optind == argc)
		return fputs(help, stderr), 1;

	setvbuf(stdout, NULL, _IOLBF, 0);
	start(&server, root);
	if (path) {
		listener = first_listen(path);
		if (listener < 0)
			die("%s", path);
	}
	return serve_command(&server, listener, argv + optind);
}
