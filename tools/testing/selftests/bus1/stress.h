/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1 selftests: what the tests with many threads and processes share
 *
 * A worker is a thread or a process that runs one function. It must not use
 * ASSERT_*(), which unwinds the stack of the test; it uses MUST() instead,
 * which notes the first complaint in a verdict that the test looks at after it
 * has joined its workers. What workers share lies in memory from share().
 */
#ifndef BUS1_SELFTEST_STRESS_H
#define BUS1_SELFTEST_STRESS_H

#include "knobs.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>

/* Complaints. */

struct verdict {
	int line;
	int value;
};

static inline bool verdict_note(struct verdict *v, bool ok, int line, int value)
{
	int none = 0;

	if (!ok && __atomic_compare_exchange_n(&v->line, &none, line, false,
					       __ATOMIC_ACQ_REL,
					       __ATOMIC_RELAXED))
		v->value = value;
	return ok;
}

/* True if @cond holds. @value is printed with the complaint. */
#define MUST(v, cond, val)	verdict_note(v, cond, __LINE__, val)

#define EXPECT_FINE(v)							\
	EXPECT_EQ(0, (v)->line) {					\
		TH_LOG("a worker complained in line %d, value %d",	\
		       (v)->line, (v)->value);				\
	}

/* Chance. */

struct rng {
	__u64 state;
};

static inline __u64 rng_next(struct rng *r)
{
	r->state ^= r->state << 13;
	r->state ^= r->state >> 7;
	r->state ^= r->state << 17;
	return r->state * 0x2545f4914f6cdd1dULL;
}

static inline unsigned int rng_below(struct rng *r, unsigned int n)
{
	return (rng_next(r) >> 32) % n;
}

/* A generator of its own for each worker. */
static inline struct rng rng_for(__u64 seed, unsigned int worker)
{
	struct rng r = { (seed + 1) * 0x9e3779b97f4a7c15ULL + worker };
	int i;

	r.state |= 1;
	for (i = 0; i < 8; i++)
		rng_next(&r);
	return r;
}

/* BUS1_SEED repeats a run; without it every run has a seed of its own. */
static inline __u64 seed_choose(void)
{
	const char *env = getenv("BUS1_SEED");
	struct timespec t;

	if (env)
		return strtoull(env, NULL, 0);
	clock_gettime(CLOCK_REALTIME, &t);
	return (t.tv_sec * 1000000ULL + t.tv_nsec / 1000) & 0xffffffff;
}

#define SEED()								\
	({								\
		__u64 __seed = seed_choose();				\
									\
		TH_LOG("BUS1_SEED=%llu", (unsigned long long)__seed);	\
		__seed;							\
	})

/* BUS1_SCALE multiplies how much is done; it may be below 1. */
static inline unsigned int scaled(unsigned int n)
{
	const char *env = getenv("BUS1_SCALE");
	double d = env ? n * strtod(env, NULL) : n;

	return d < 1 ? 1 : d;
}

/* Time. */

#define SECOND	1000000000ULL

static inline __u64 now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * SECOND + t.tv_nsec;
}

/*
 * Looks at @cond until it holds, giving way to others in between; false if it
 * did not hold within 20 seconds.
 */
#define BECOMES(cond)							\
	({								\
		__u64 __end = now_ns() + 20 * SECOND;			\
		bool __ok;						\
									\
		while (!(__ok = (cond)) && now_ns() < __end)		\
			sched_yield();					\
		__ok;							\
	})

/* Memory that forked workers see as well. */
static inline void *share(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

#define LOAD(p)		__atomic_load_n(p, __ATOMIC_SEQ_CST)
#define STORE(p, v)	__atomic_store_n(p, v, __ATOMIC_SEQ_CST)
#define ADD(p, v)	__atomic_add_fetch(p, v, __ATOMIC_SEQ_CST)

/* Raises *@p to @v, never lowers it. */
static inline void raise_to(__u32 *p, __u32 v)
{
	__u32 old = LOAD(p);

	while (old < v && !__atomic_compare_exchange_n(p, &old, v, false,
						       __ATOMIC_SEQ_CST,
						       __ATOMIC_SEQ_CST))
		;
}

/* Workers. */

struct worker {
	bool process;
	pthread_t thread;
	pid_t pid;
};

static inline int worker_start(struct worker *w, bool process,
			       void *(*fn)(void *), void *arg)
{
	w->process = process;
	if (!process)
		return -pthread_create(&w->thread, NULL, fn, arg);
	w->pid = fork();
	if (w->pid)
		return w->pid < 0 ? -errno : 0;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	fn(arg);
	_exit(0);
}

/* Returns 0, or what a process ended with. */
static inline int worker_join(struct worker *w)
{
	if (w->process)
		return wait_child(w->pid);
	return pthread_join(w->thread, NULL);
}

#define THREAD(w, fn, arg)	ASSERT_EQ(0, worker_start(w, false, fn, arg))
#define JOIN(w)			EXPECT_EQ(0, worker_join(w))

/* True once @n receivers sleep in bus1_recv() on @fd. */
static inline bool are_waiting(int fd, int n)
{
	return fdinfo_value(fd, "waiting", 0) == n;
}

/* The letter that /proc gives for the state of a thread, 0 if it is gone. */
static inline char task_state(pid_t pid, pid_t tid)
{
	char path[64], buf[512], *s;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", pid, tid);
	if (read_file(path, buf, sizeof(buf)) <= 0)
		return 0;
	s = strrchr(buf, ')');
	return s ? s[2] : 0;
}

/* Messages. */

static inline int send_multi(int fd, const __u64 *dests, size_t n,
			     const void *data, size_t len, unsigned int flags)
{
	return send_full(fd, dests, n, data, len, NULL, 0, NULL, 0, flags);
}

/* An empty message, to tell messages of one test apart by their handle. */
static inline int send_empty(int fd, __u64 dest)
{
	return send_bytes(fd, dest, NULL, 0);
}

/* Receives a message of one __u32 and releases its slice. */
static inline int recv_u32(const struct peer *p, __u32 *v, unsigned int flags)
{
	struct bus1_recv_args r = { .max_offset = p->pool_size };
	int err = sys_recv(p->fd, &r, sizeof(r), flags);

	if (err)
		return err;
	if (r.type != BUS1_MSG_DATA || r.n_bytes != sizeof(*v))
		return -EBADMSG;
	memcpy(v, msg_payload(p, &r), sizeof(*v));
	return slice_release_one(p->fd, r.offset);
}

/* Receives the next entry, releases its slice, and returns its type. */
static inline int recv_type(const struct peer *p, __u64 *destination)
{
	struct bus1_recv_args r;
	int err = recv_msg(p, &r);

	if (err)
		return err;
	if (destination)
		*destination = r.destination;
	if (r.offset != BUS1_OFFSET_INVALID)
		slice_release_one(p->fd, r.offset);
	return r.type;
}

/*
 * Copies from the pool, which somebody may be truncating: a fault is then an
 * error of this call and no SIGBUS.
 */
static inline bool peek(void *to, const void *from, size_t n)
{
	struct iovec local = { to, n }, remote = { (void *)from, n };

	return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) ==
	       (ssize_t)n;
}

static inline int flush(int fd)
{
	return sys_reset(fd, NULL, 0,
			 BUS1_RESET_FLUSH | BUS1_RESET_FLUSH_SEED);
}

/* Opens a peer whose user is @uid; the caller's own IDs are put back. */
static inline int open_as(struct peer *p, const struct bus1_peer_limits *l,
			  uid_t uid)
{
	int r;

	if (syscall(SYS_setresuid, -1, uid, -1))
		return -errno;
	r = peer_open(p, l, BUS1_OPEN_NONBLOCK);
	if (syscall(SYS_setresuid, -1, 0, -1))
		return -errno;
	return r;
}

/*
 * Leaks. Everything that the kernel allocates for a process is charged to its
 * memory cgroup, so a process in a group of its own can see what stays.
 */
#define LEAK_GROUP	"/sys/fs/cgroup/bus1-leak"

/* Moves the caller into the group; false if there are no such groups. */
static inline bool leak_watch(void)
{
	write_file("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	mkdir(LEAK_GROUP, 0755);
	return !write_file(LEAK_GROUP "/cgroup.procs", "0");
}

static inline void leak_unwatch(void)
{
	write_file("/sys/fs/cgroup/cgroup.procs", "0");
	rmdir(LEAK_GROUP);
}

/* Bytes of kernel objects that the group has, 0 if there is no group. */
static inline long leak_bytes(void)
{
	char buf[8192], *s;

	if (read_file(LEAK_GROUP "/memory.stat", buf, sizeof(buf)) < 0)
		return 0;
	s = strstr(buf, "\nslab_unreclaimable ");
	return s ? strtol(s + 20, NULL, 10) : 0;
}

/*
 * With the user's limits set so low that the least leak shows: one peer fits, and
 * what that reserves, if the user has nothing reserved.
 */
static inline bool user_is_clean(uid_t uid)
{
	static const unsigned int low[KNOBS] = { 1000, 2000, 300, 40, 1 };
	struct bus1_peer_limits l = { 1000, 2000, 300 * 1024, 40 };
	struct peer p = { .fd = -1 };
	struct knobs saved = {};
	int i, err;

	knobs_save(&saved);
	for (i = 0; i < KNOBS; i++)
		knob_set(i, low[i]);
	err = open_as(&p, &l, uid);
	peer_close(&p);
	knobs_restore(&saved);
	return !err;
}

#endif /* BUS1_SELFTEST_STRESS_H */
