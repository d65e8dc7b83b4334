/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1 selftests: a process that is kept from the CPU in the middle of a call
 *
 * Three processes share CPU 0. A hostile one makes one long call after the other
 * (a multicast to 1,000, a destruction...). At a random moment of such a call it
 * is starved: made SCHED_IDLE or nice 19 beside a busy loop, stopped, or
 * throttled by cpu.max. Then an innocent one makes one call, whose time is taken.
 *
 * What must show is the wait for the hostile process, and nothing else. So the
 * innocent one is SCHED_FIFO: it has the CPU whenever it can run, and the time
 * slices of the busy loop, as well as who else is there, do not count. A call that
 * takes long waits for somebody, or does too much itself.
 *
 * The same is measured before with a hostile process that only loops in user
 * space; that is the reference. A call may take ten times the reference, and never
 * more than 100 ms. A reference below one tick of the scheduler counts as a tick:
 * that is what the same call would take beside a loop of its own class, and less
 * tells more about the machine than about the call. A wait is never
 * excused. Time spent running is excused once: the host of an emulator takes its
 * CPU away now and then, but what the kernel does it does again.
 *
 * A call that stalls is rescued: after BUS1_PATIENCE seconds (default 1) the hostile
 * process gets the CPU, so the time is at least that.
 */
#ifndef BUS1_SELFTEST_ADVERSARY_H
#define BUS1_SELFTEST_ADVERSARY_H

#include "reply.h"

#include <sys/resource.h>

#define CPU		0
#define MOST_TIME	(100 * MS)
#define REFERENCES	4		/* times that a call is measured */
#define TRIALS		16
#define PRIORITY	10		/* of the innocent */
#define GROUP		"/sys/fs/cgroup/bus1-adversary"

enum way { WAY_IDLE, WAY_NICE, WAY_STOPPED, WAY_THROTTLED };

struct scene;

/* The hostile process, as it and the innocent one see it. */
struct adversary {
	enum way way;
	int (*open)(struct scene *s);		/* once, in its process */
	void (*prepare)(struct scene *s);	/* not measured */
	void (*operate)(struct scene *s);	/* the long call */
	pid_t pid, busy;
	int go[2], ready[2];
	struct rng rng;
	__u32 reference;	/* it only loops */
	__u32 prepared, started, begun, ended;	/* operations */
	__u64 length;		/* of one, in nanoseconds */
	__u32 stops;		/* about so often it is starved in one */
	/* Of the call that is measured: */
	__u64 since, patience;
	__u32 quit;
	pthread_t rescuer;
	struct verdict v;
};

static inline int set_class(pid_t pid, int policy, int priority, int nice)
{
	struct sched_param p = { .sched_priority = priority };

	if (sched_setscheduler(pid, policy, &p))
		return -errno;
	if (policy == SCHED_OTHER && setpriority(PRIO_PROCESS, pid, nice))
		return -errno;
	return 0;
}

/* How often the scheduler looks who has had enough. */
static inline __u64 tick(void)
{
	struct timespec t = { 0, 0 };

	clock_getres(CLOCK_MONOTONIC_COARSE, &t);
	return t.tv_nsec;
}

static inline void nap(__u64 ns)
{
	struct timespec t = { ns / SECOND, ns % SECOND };

	nanosleep(&t, NULL);
}

/* Lets it run, before everybody but the innocent. */
static inline void adversary_feed(struct adversary *a)
{
	if (a->way == WAY_THROTTLED)
		write_file(GROUP "/cpu.max", "max 1000000");
	MUST(&a->v, !set_class(a->pid, SCHED_OTHER, 0, -20), errno);
	if (a->way == WAY_STOPPED)
		kill(a->pid, SIGCONT);
}

/* Keeps it from the CPU from now on, wherever it is. */
static inline void adversary_starve(struct adversary *a)
{
	int policy = a->way == WAY_IDLE ? SCHED_IDLE : SCHED_OTHER;
	int nice = a->way == WAY_NICE ? 19 : 0;

	MUST(&a->v, !set_class(a->pid, policy, 0, nice), errno);
	if (a->way == WAY_STOPPED)
		kill(a->pid, SIGSTOP);
	if (a->way == WAY_THROTTLED)
		MUST(&a->v, !write_file(GROUP "/cpu.max", "1000 1000000"), 0);
	/* The scheduler may owe it some time, and sees what it used at a tick. */
	if (a->way != WAY_STOPPED)
		nap(2 * tick());
}

static inline bool is_operating(struct adversary *a)
{
	return LOAD(&a->begun) == a->started && LOAD(&a->ended) != a->started;
}

/* Its next operation is prepared, or one goes on. */
static inline void adversary_ready(struct adversary *a)
{
	char c;

	adversary_feed(a);
	if (LOAD(&a->ended) != a->started || a->prepared > a->started)
		return;
	if (write(a->go[1], "", 1) != 1 || read(a->ready[0], &c, 1) != 1) {
		printf("# the hostile process is gone\n");
		abort();
	}
	a->prepared++;
}

/* Lets the operation go on for a while and starves it; false if it is over. */
static inline bool adversary_stop(struct adversary *a)
{
	__u64 span = 2 * LOAD(&a->length) / a->stops + MS / 10;

	if (LOAD(&a->ended) == a->started) {
		if (a->prepared == a->started)
			return false;
		a->started++;
		MUST(&a->v, write(a->go[1], "", 1) == 1, errno);
		while (LOAD(&a->begun) != a->started)
			nap(MS / 10);
	}
	nap(rng_next(&a->rng) % span);
	adversary_starve(a);
	return is_operating(a);
}

static inline void adversary_loop(struct scene *s, struct adversary *a)
{
	__u64 start;
	char c;

	if (!MUST(&a->v, !a->open(s), errno))
		_exit(1);
	/* Whatever it does, it was told to. */
	while (read(a->go[0], &c, 1) == 1) {
		a->prepare(s);
		if (write(a->ready[1], "", 1) != 1 || read(a->go[0], &c, 1) != 1)
			break;
		start = now_ns();
		ADD(&a->begun, 1);
		if (LOAD(&a->reference)) {
			while (LOAD(&a->reference))
				;
		} else {
			a->operate(s);
			if (now_ns() - start < a->length)
				STORE(&a->length, now_ns() - start);
		}
		ADD(&a->ended, 1);
	}
	_exit(0);
}

/* Whoever waits for the adversary for too long has shown it. */
static inline void *rescuer_run(void *arg)
{
	struct adversary *a = arg;
	__u64 since;

	while (!LOAD(&a->quit)) {
		nap(10 * MS);
		since = LOAD(&a->since);
		if (since && now_ns() - since > a->patience)
			adversary_feed(a);
	}
	return NULL;
}

static inline __u64 patience(void)
{
	const char *env = getenv("BUS1_PATIENCE");

	return (env ? strtod(env, NULL) : 1) * SECOND;
}

static inline bool runs_in_uml(void)
{
	char line[64] = "";
	FILE *f = fopen("/proc/cpuinfo", "r");
	bool uml = false;

	while (f && !uml && fgets(line, sizeof(line), f))
		uml = strstr(line, "User Mode Linux");
	if (f)
		fclose(f);
	return uml;
}

/* What the way of starving needs; NULL, or what is not there. */
static inline const char *adversary_lacks(enum way way)
{
	cpu_set_t set;

	/* There a processor is a process of the host, which stops it as it likes. */
	if (runs_in_uml())
		return "time but the host's";
	/* It takes time, and the calls are the same. */
	if (sizeof(long) < 8)
		return "second look by programs of other ABIs";
	CPU_ZERO(&set);
	CPU_SET(CPU, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		return "CPU 0";
	if (set_class(0, SCHED_FIFO, PRIORITY, 0))
		return "real-time priority";
	if (way != WAY_THROTTLED)
		return NULL;
	write_file("/sys/fs/cgroup/cgroup.subtree_control", "+cpu");
	mkdir(GROUP, 0755);
	return write_file(GROUP "/cpu.max", "max 1000000") ? "cpu.max" : NULL;
}

static inline pid_t busy_start(void)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* It must not keep what others close. */
	close_range(STDERR_FILENO + 1, ~0U, 0);
	set_class(0, SCHED_OTHER, 0, 0);
	for (;;)
		;
}

/* Starts it, @s being in memory that is shared; it keeps what is open now. */
static inline int adversary_start(struct scene *s, struct adversary *a)
{
	pid_t pid;

	a->patience = patience();
	a->rng = rng_for(seed_choose(), 0);
	if (pipe(a->go) || pipe(a->ready))
		return -errno;
	a->busy = busy_start();
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(a->go[1]);
		set_class(0, SCHED_OTHER, 0, -20);
		if (a->way == WAY_THROTTLED)
			MUST(&a->v, !write_file(GROUP "/cgroup.procs", "0"), 0);
		adversary_loop(s, a);
	}
	if (pid < 0 || a->busy < 0)
		return -errno;
	a->pid = pid;
	close(a->ready[1]);
	return -pthread_create(&a->rescuer, NULL, rescuer_run, a);
}

static inline void adversary_end(struct adversary *a)
{
	if (!a->pid)
		return;
	adversary_feed(a);
	kill(a->pid, SIGKILL);
	kill(a->busy, SIGKILL);
	wait_child(a->pid);
	wait_child(a->busy);
	STORE(&a->quit, 1);
	pthread_join(a->rescuer, NULL);
	rmdir(GROUP);
}

#endif /* BUS1_SELFTEST_ADVERSARY_H */
