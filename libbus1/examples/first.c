// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "first.h"
#include "post.h"

#define PEER_VARIABLE "BUS1_PEER"
#define HANDLE_VARIABLE "BUS1_HANDLE"

/*
 * A transfer to oneself is a second reference besides the one that comes with
 * being the owner. While it is held there is no NODE_RELEASE for the node.
 */
int first_node(int peer, uint64_t node)
{
	uint64_t source = node | BUS1_HANDLE_FLAG_NEW, id;

	return bus1_handle_transfer(peer, peer, &source, &id, 1, 0);
}

/* A peer that has nothing but a handle to @node. */
static int make_heirloom(int peer, uint64_t node, uint64_t *handle)
{
	int heirloom = bus1_open(0);

	if (heirloom < 0)
		return -1;
	if (bus1_handle_transfer(peer, heirloom, &node, handle, 1, 0) < 0) {
		close(heirloom);
		return -1;
	}
	return heirloom;
}

static void run_with(int heirloom, uint64_t handle, char *const argv[])
{
	char number[32];

	snprintf(number, sizeof(number), "%d", heirloom);
	setenv(PEER_VARIABLE, number, 1);
	snprintf(number, sizeof(number), "%" PRIu64, handle);
	setenv(HANDLE_VARIABLE, number, 1);

	/* Peers are closed across exec unless one says otherwise. */
	fcntl(heirloom, F_SETFD, 0);
	execvp(argv[0], argv);
	die("cannot run %s", argv[0]);
}

pid_t first_run(int peer, uint64_t node, char *const argv[], int *ended)
{
	uint64_t handle;
	int heirloom;
	pid_t pid;

	heirloom = make_heirloom(peer, node, &handle);
	if (heirloom < 0)
		return -1;
	fflush(NULL);
	pid = fork();
	if (!pid)
		run_with(heirloom, handle, argv);
	close(heirloom);
	if (pid < 0)
		return -1;

	*ended = syscall(SYS_pidfd_open, pid, 0);
	return *ended < 0 ? -1 : pid;
}

/*
 * The inherited peer may be shared with other children, so nothing is received
 * there: it is only the place where the handle lies.
 */
int first_inherit(int peer, uint64_t *handle)
{
	const char *heirloom = getenv(PEER_VARIABLE);
	const char *number = getenv(HANDLE_VARIABLE);
	uint64_t source;

	if (!heirloom || !number) {
		errno = ENOENT;
		return -1;
	}
	source = strtoull(number, NULL, 10);
	return bus1_handle_transfer(atoi(heirloom), peer, &source, handle, 1, 0);
}

static int fill_address(struct sockaddr_un *address, const char *path)
{
	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	if (strlen(path) >= sizeof(address->sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(address->sun_path, path);
	return 0;
}

/*
 * Datagrams, so that one socket serves all and nobody can keep the server
 * waiting by connecting and saying nothing.
 */
int first_listen(const char *path)
{
	struct sockaddr_un address;
	int sock;

	if (fill_address(&address, path) < 0)
		return -1;
	sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return -1;
	unlink(path);
	if (bind(sock, (struct sockaddr *)&address, sizeof(address)) < 0) {
		close(sock);
		return -1;
	}
	return sock;
}

/* Room for one descriptor; the kernel closes what is beyond. */
union one_fd {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int))];
};

static int fd_of(struct msghdr *message)
{
	struct cmsghdr *header = CMSG_FIRSTHDR(message);
	int fd;

	if (!header || header->cmsg_level != SOL_SOCKET ||
	    header->cmsg_type != SCM_RIGHTS)
		return -1;
	memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	return fd;
}

int first_answer(int listener, int peer, uint64_t node)
{
	struct sockaddr_un from;
	union one_fd control;
	char byte;
	struct iovec vec = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr message = {
		.msg_name = &from, .msg_namelen = sizeof(from),
		.msg_iov = &vec, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	uint64_t handle;
	int fd, r;

	if (recvmsg(listener, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) < 0)
		return -1;
	fd = fd_of(&message);
	if (fd < 0) {
		errno = EBADMSG;
		return -1;
	}
	r = bus1_handle_transfer(peer, fd, &node, &handle, 1, 0);
	close(fd);
	if (r < 0)
		return -1;
	if (sendto(listener, &handle, sizeof(handle), MSG_DONTWAIT,
		   (struct sockaddr *)&from, message.msg_namelen) < 0)
		return -1;
	return 0;
}

/* The other side may still be starting. */
static int connect_patiently(int sock, const char *path)
{
	uint64_t deadline = deadline_in(PATIENCE_MS);
	struct sockaddr_un address;
	unsigned int pause_us = 0;

	if (fill_address(&address, path) < 0)
		return -1;
	while (connect(sock, (struct sockaddr *)&address, sizeof(address)) < 0) {
		if ((errno != ENOENT && errno != ECONNREFUSED) ||
		    deadline_in(0) > deadline)
			return -1;
		pause_longer(&pause_us);
	}
	return 0;
}

static int send_fd(int sock, int fd)
{
	char byte = 0;
	struct iovec vec = { .iov_base = &byte, .iov_len = 1 };
	union one_fd control;
	struct msghdr message = {
		.msg_iov = &vec, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *header;

	memset(&control, 0, sizeof(control));
	header = CMSG_FIRSTHDR(&message);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	return sendmsg(sock, &message, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

static int ask_over(int sock, int peer, const char *path, uint64_t *handle)
{
	struct sockaddr_un nameless = { .sun_family = AF_UNIX };
	struct timeval patience = { .tv_sec = PATIENCE_MS / 1000 };
	ssize_t n;

	/* Binding to no name gets a name that the answer can be sent to. */
	if (bind(sock, (struct sockaddr *)&nameless, sizeof(sa_family_t)) < 0 ||
	    connect_patiently(sock, path) < 0 || send_fd(sock, peer) < 0)
		return -1;

	setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	n = recv(sock, handle, sizeof(*handle), 0);
	if (n >= 0 && n != sizeof(*handle))
		errno = EBADMSG;
	return n == sizeof(*handle) ? 0 : -1;
}

int first_ask(int peer, const char *path, uint64_t *handle)
{
	int sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int r, error;

	if (sock < 0)
		return -1;
	r = ask_over(sock, peer, path, handle);
	error = errno;
	close(sock);
	errno = error;
	return r;
}
