/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1 selftests: what all of them share
 *
 * The sys_*() wrappers are the raw system calls: every pointer and size is an
 * argument, so that a test can pass a wrong one. They return what the kernel
 * returned: a negative errno, 0, or a descriptor. Everything below them is for
 * tests that want a correct call: open a peer with its pool mapped, make a
 * node, connect two peers, send, receive, and compare states.
 */
#ifndef BUS1_SELFTEST_COMMON_H
#define BUS1_SELFTEST_COMMON_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <linux/bus1.h>

#include "../kselftest_harness.h"

/* A libc, or a tree, whose headers do not know the numbers yet. */
#ifndef __NR_bus1_open
#if defined(__x86_64__) && defined(__ILP32__)
#define BUS1_NR_BASE	(0x40000000 + 500)
#else
#define BUS1_NR_BASE	500
#endif
#define __NR_bus1_open			(BUS1_NR_BASE + 0)
#define __NR_bus1_peer_disconnect	(BUS1_NR_BASE + 1)
#define __NR_bus1_peer_query		(BUS1_NR_BASE + 2)
#define __NR_bus1_peer_reset		(BUS1_NR_BASE + 3)
#define __NR_bus1_handle_transfer	(BUS1_NR_BASE + 4)
#define __NR_bus1_handle_release	(BUS1_NR_BASE + 5)
#define __NR_bus1_node_destroy		(BUS1_NR_BASE + 6)
#define __NR_bus1_slice_release		(BUS1_NR_BASE + 7)
#define __NR_bus1_send			(BUS1_NR_BASE + 8)
#define __NR_bus1_recv			(BUS1_NR_BASE + 9)
#define __NR_bus1_call			(BUS1_NR_BASE + 10)
#endif

#define RET_ERRNO(call)						\
	({							\
		long __r = (call);				\
								\
		(int)(__r < 0 ? -errno : __r);			\
	})

static inline int sys_open(const void *limits, size_t size, unsigned int flags)
{
	return RET_ERRNO(syscall(__NR_bus1_open, limits, size, flags));
}

/* A kernel without bus1 fails no test: it has none to run. */
__attribute__((constructor)) static void skip_without_bus1(void)
{
	if (sys_open(NULL, 0, ~0U) != -ENOSYS)
		return;
	printf("TAP version 13\n1..0 # SKIP this kernel has no bus1\n");
	exit(KSFT_SKIP);
}

static inline int sys_disconnect(int fd, unsigned int flags)
{
	return RET_ERRNO(syscall(__NR_bus1_peer_disconnect, fd, flags));
}

static inline int sys_query(int fd, void *info, size_t size,
			    unsigned int flags)
{
	return RET_ERRNO(syscall(__NR_bus1_peer_query, fd, info, size, flags));
}

static inline int sys_reset(int fd, const void *limits, size_t size,
			    unsigned int flags)
{
	return RET_ERRNO(syscall(__NR_bus1_peer_reset, fd, limits, size, flags));
}

static inline int sys_transfer(int src_fd, int dst_fd, const void *src,
			       void *dst, size_t n, unsigned int flags)
{
	return RET_ERRNO(syscall(__NR_bus1_handle_transfer, src_fd, dst_fd, src,
				 dst, n, flags));
}

static inline int sys_release(int fd, const void *handles, size_t n,
			      unsigned int flags)
{
	return RET_ERRNO(syscall(__NR_bus1_handle_release, fd, handles, n,
				 flags));
}

static inline int sys_destroy(int fd, const void *nodes, size_t n,
			      unsigned int flags)
{
	return RET_ERRNO(syscall(__NR_bus1_node_destroy, fd, nodes, n, flags));
}

static inline int sys_slice_release(int fd, const void *offsets, size_t n,
				    unsigned int flags)
{
	return RET_ERRNO(syscall(__NR_bus1_slice_release, fd, offsets, n,
				 flags));
}

static inline int sys_send(int fd, const void *args, size_t size,
			   unsigned int flags)
{
	return RET_ERRNO(syscall(__NR_bus1_send, fd, args, size, flags));
}

static inline int sys_recv(int fd, void *args, size_t size, unsigned int flags)
{
	return RET_ERRNO(syscall(__NR_bus1_recv, fd, args, size, flags));
}

static inline int sys_call(int fd, const void *send, size_t send_size,
			   void *recv, size_t recv_size, unsigned int flags)
{
	return RET_ERRNO(syscall(__NR_bus1_call, fd, send, send_size, recv,
				 recv_size, flags));
}

static inline __u64 to_u64(const void *p)
{
	return (uintptr_t)p;
}

/* Peers. The pool of each is mapped once, with room for most tests. */

#define POOL_MAP_SIZE	(16UL << 20)

struct peer {
	int fd;
	const unsigned char *pool;
	size_t pool_size;
};

/*
 * Opens a peer with the given limits (NULL: the defaults) and maps its pool.
 * Returns 0 or a negative errno. Flags are those of bus1_open().
 */
static inline int peer_open(struct peer *p, const struct bus1_peer_limits *l,
			    unsigned int flags)
{
	void *pool;
	int fd;

	*p = (struct peer){ .fd = -1 };
	fd = sys_open(l, l ? sizeof(*l) : 0, flags);
	if (fd < 0)
		return fd;
	pool = mmap(NULL, POOL_MAP_SIZE, PROT_READ, MAP_SHARED, fd, 0);
	if (pool == MAP_FAILED) {
		int err = -errno;

		close(fd);
		return err;
	}
	*p = (struct peer){ .fd = fd, .pool = pool, .pool_size = POOL_MAP_SIZE };
	return 0;
}

static inline void peer_close(struct peer *p)
{
	if (p->pool)
		munmap((void *)p->pool, p->pool_size);
	if (p->fd >= 0)
		close(p->fd);
	*p = (struct peer){ .fd = -1 };
}

static inline struct bus1_peer_limits limits_keep(void)
{
	return (struct bus1_peer_limits){ BUS1_LIMIT_KEEP, BUS1_LIMIT_KEEP,
					  BUS1_LIMIT_KEEP, BUS1_LIMIT_KEEP };
}

/* Handles. */

/* Gives @dst a handle to @id of @src; returns it, or BUS1_HANDLE_INVALID. */
static inline __u64 connect_peers(int src, __u64 id, int dst)
{
	__u64 out = BUS1_HANDLE_INVALID;

	if (sys_transfer(src, dst, &id, &out, 1, 0))
		return BUS1_HANDLE_INVALID;
	return out;
}

/* Makes a node named @id (three lowest bits clear) and connects @dst to it. */
static inline __u64 connect_new(int src, __u64 id, int dst)
{
	return connect_peers(src, id | BUS1_HANDLE_FLAG_NEW, dst);
}

static inline int release_one(int fd, __u64 id)
{
	return sys_release(fd, &id, 1, 0);
}

static inline int destroy_one(int fd, __u64 id)
{
	return sys_destroy(fd, &id, 1, 0);
}

static inline int slice_release_one(int fd, __u64 offset)
{
	return sys_slice_release(fd, &offset, 1, 0);
}

/* Messages. */

/* The flags that n_handles and n_fds ask for are added by send_args(). */
static inline int send_args(int fd, const struct bus1_send_args *a,
			    unsigned int flags)
{
	if (a->n_handles)
		flags |= BUS1_SEND_HANDLES;
	if (a->n_fds)
		flags |= BUS1_SEND_FDS;
	return sys_send(fd, a, sizeof(*a), flags);
}

static inline int send_full(int fd, const __u64 *dests, size_t n_dests,
			    const void *data, size_t n_bytes,
			    const __u64 *handles, size_t n_handles,
			    const int *fds, size_t n_fds, unsigned int flags)
{
	struct iovec vec = { .iov_base = (void *)data, .iov_len = n_bytes };
	struct bus1_send_args a = {
		.ptr_destinations = to_u64(dests),
		.n_destinations = n_dests,
		.ptr_vecs = to_u64(&vec),
		.n_vecs = !!n_bytes,
		.ptr_handles = to_u64(handles),
		.n_handles = n_handles,
		.ptr_fds = to_u64(fds),
		.n_fds = n_fds,
	};

	return send_args(fd, &a, flags);
}

static inline int send_bytes(int fd, __u64 dest, const void *data, size_t n)
{
	return send_full(fd, &dest, 1, data, n, NULL, 0, NULL, 0, 0);
}

static inline int send_handles(int fd, __u64 dest, const __u64 *handles,
			       size_t n)
{
	return send_full(fd, &dest, 1, NULL, 0, handles, n, NULL, 0, 0);
}

static inline int send_fds(int fd, __u64 dest, const int *fds, size_t n)
{
	return send_full(fd, &dest, 1, NULL, 0, NULL, 0, fds, n, 0);
}

/* Receives without blocking; @flags are added to BUS1_RECV_NONBLOCK. */
static inline int recv_flags(const struct peer *p, struct bus1_recv_args *r,
			     unsigned int flags)
{
	*r = (struct bus1_recv_args){ .max_offset = p->pool_size };
	return sys_recv(p->fd, r, sizeof(*r), BUS1_RECV_NONBLOCK | flags);
}

static inline int recv_msg(const struct peer *p, struct bus1_recv_args *r)
{
	return recv_flags(p, r, 0);
}

/* Blocks: for tests that have arranged for a message to come. */
static inline int recv_wait(const struct peer *p, struct bus1_recv_args *r)
{
	*r = (struct bus1_recv_args){ .max_offset = p->pool_size };
	return sys_recv(p->fd, r, sizeof(*r), 0);
}

static inline __u64 align8(__u64 n)
{
	return (n + 7) & ~7ULL;
}

static inline const void *msg_payload(const struct peer *p,
				      const struct bus1_recv_args *r)
{
	return p->pool + r->offset;
}

static inline const __u64 *msg_handles(const struct peer *p,
				       const struct bus1_recv_args *r)
{
	return (const __u64 *)(p->pool + r->offset + align8(r->n_bytes));
}

static inline const int *msg_fds(const struct peer *p,
				 const struct bus1_recv_args *r)
{
	return (const int *)(msg_handles(p, r) + r->n_handles);
}

/* What a message is charged as bytes in flight: the size of its slice. */
static inline __u64 slice_size(__u64 bytes, __u64 handles, __u64 fds)
{
	return align8(bytes) + 8 * handles + 4 * fds;
}

/* Receives everything and releases its slices; returns how many entries. */
static inline int drain(const struct peer *p)
{
	struct bus1_recv_args r;
	int n = 0;

	while (!recv_msg(p, &r)) {
		if (r.offset != BUS1_OFFSET_INVALID)
			slice_release_one(p->fd, r.offset);
		n++;
	}
	return n;
}

/* State. */

static inline struct bus1_peer_info query(int fd)
{
	struct bus1_peer_info i;

	memset(&i, 0xff, sizeof(i));
	sys_query(fd, &i, sizeof(i), 0);
	return i;
}

/* Reads a file of /proc whole; returns its length or -1. */
static inline ssize_t read_file(const char *path, char *buf, size_t size)
{
	ssize_t n, len = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	while ((size_t)len < size - 1) {
		n = read(fd, buf + len, size - 1 - len);
		if (n <= 0)
			break;
		len += n;
	}
	buf[len] = 0;
	close(fd);
	return len;
}

static inline int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = write(fd, text, strlen(text));
	n = n < 0 ? -errno : 0;
	close(fd);
	return n;
}

static inline ssize_t read_fdinfo(int fd, char *buf, size_t size)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	return read_file(path, buf, size);
}

/*
 * The @field-th (from 0) number of the first line "bus1-<key>:" of fdinfo, or
 * -1 if there is no such line.
 */
static inline long long fdinfo_value(int fd, const char *key, int field)
{
	char buf[4096], name[64], *s, *end;
	long long v = -1;

	if (read_fdinfo(fd, buf, sizeof(buf)) < 0)
		return -1;
	snprintf(name, sizeof(name), "bus1-%s:", key);
	s = strstr(buf, name);
	if (!s)
		return -1;
	s += strlen(name);
	for (; field >= 0; field--) {
		while (*s == ' ' || *s == '\t')
			s++;
		v = strtoll(s, &end, 10);
		if (end == s)
			return -1;
		s = end;
	}
	return v;
}

/* Of how many users something is charged, or -1. */
static inline int count_claims(int fd)
{
	char buf[8192], *s = buf;
	int n = 0;

	if (read_fdinfo(fd, buf, sizeof(buf)) < 0)
		return -1;
	while ((s = strstr(s, "bus1-claim:"))) {
		n++;
		s++;
	}
	return n;
}

static inline void leave_out(char *text, const char *name)
{
	char *line = strstr(text, name), *next = line ? strchr(line, '\n') : NULL;

	if (next)
		memmove(line, next + 1, strlen(next + 1) + 1);
}

/*
 * Everything about a peer that can be seen from outside. The resident size of
 * the pool is left out: a failed call may leave a page in the pool's cache. So is
 * what its user has reserved, which is about other peers as well.
 */
struct state {
	struct bus1_peer_info info;
	char fdinfo[4096];
};

static inline void state_get(int fd, struct state *s)
{
	memset(s, 0, sizeof(*s));
	s->info = query(fd);
	if (read_fdinfo(fd, s->fdinfo, sizeof(s->fdinfo)) < 0)
		return;
	leave_out(s->fdinfo, "bus1-pool:");
	leave_out(s->fdinfo, "bus1-reserved:");
}

/* Whether nothing changed; says where the first difference is. */
static inline bool state_same(int fd, const struct state *old)
{
	const __u64 *a = (const __u64 *)&old->info, *b;
	const char *x = old->fdinfo, *y;
	struct state now;
	size_t i;

	state_get(fd, &now);
	b = (const __u64 *)&now.info;
	for (i = 0; i < sizeof(now.info) / sizeof(*a); i++)
		if (a[i] != b[i]) {
			printf("# member %zu of bus1_peer_info: %llu, now %llu\n",
			       i, a[i], b[i]);
			return false;
		}
	for (y = now.fdinfo; *x && *x == *y; x++, y++)
		;
	if (*x == *y)
		return true;
	printf("# fdinfo: \"%.24s\", now \"%.24s\"\n", x, y);
	return false;
}

/* A peer that holds, owes and has queued nothing at all. */
static inline bool peer_is_clean(int fd)
{
	struct bus1_peer_info i = query(fd);

	return !i.used_slices && !i.used_handles && !i.used_inflight_bytes &&
	       !i.used_inflight_fds && !i.n_nodes && !i.n_handles &&
	       !i.n_queued;
}

static inline bool is_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1 && (p.revents & POLLIN);
}

/* How many descriptors this process has open. */
static inline int count_fds(void)
{
	int i, n = 0, max = sysconf(_SC_OPEN_MAX);

	for (i = 0; i < max && i < 4096; i++)
		n += fcntl(i, F_GETFD) >= 0;
	return n;
}

/* Wrong pointers. */

/* A page that may be neither read nor written. */
static inline void *ptr_noaccess(void)
{
	return mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/* A page of zeroes that may only be read. */
static inline void *ptr_readonly(void)
{
	return mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/* An address that belongs to the kernel, also where stacks end at 0xffffe000. */
static inline void *ptr_kernel(void)
{
	return (void *)(uintptr_t)(ULONG_MAX - 0x1fff);
}

/* @size writable bytes, zeroed, directly in front of an inaccessible page. */
static inline void *ptr_edge(size_t size)
{
	char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED || mprotect(p + 4096, 4096, PROT_NONE))
		return NULL;
	return p + 4096 - size;
}

/* Wrong descriptors: none, closed ones, and files of other kinds. */
#define N_NOT_PEERS	6

static inline int not_a_peer(int i)
{
	switch (i) {
	case 0:
		return -1;
	case 1:
		return INT_MAX;
	case 2:
		return open("/dev/null", O_RDWR | O_CLOEXEC);
	case 3:
		return open("/", O_PATH | O_CLOEXEC);
	case 4:
		return syscall(__NR_memfd_create, "bus1", 1);
	default:
		return syscall(__NR_eventfd2, 0, O_CLOEXEC);
	}
}

/* Reaps @pid: the child's exit status, or 128 + the signal that ended it. */
static inline int wait_child(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Makes the calling process one of another user, for good. */
static inline int become(uid_t uid)
{
	return setresgid(uid, uid, uid) || setresuid(uid, uid, uid) ? -errno : 0;
}

/* Two peers, not blocking; @b holds a handle to node @id of @a. */
#define PAIR_NODE	0x1000ULL

struct pair {
	struct peer a;
	struct peer b;
	__u64 id;
	__u64 h;
};

static inline int pair_open(struct pair *s)
{
	int r;

	memset(s, 0, sizeof(*s));
	s->a.fd = s->b.fd = -1;
	r = peer_open(&s->a, NULL, BUS1_OPEN_NONBLOCK);
	if (!r)
		r = peer_open(&s->b, NULL, BUS1_OPEN_NONBLOCK);
	if (r)
		return r;
	s->id = PAIR_NODE;
	s->h = connect_new(s->a.fd, s->id, s->b.fd);
	return s->h == BUS1_HANDLE_INVALID ? -ENOTCONN : 0;
}

static inline void pair_close(struct pair *s)
{
	peer_close(&s->a);
	peer_close(&s->b);
}

#endif /* BUS1_SELFTEST_COMMON_H */
