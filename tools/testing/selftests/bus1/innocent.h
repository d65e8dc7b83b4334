/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1 selftests: what an innocent process does beside a starved one
 *
 *               hostile
 *              /   |   \
 *     innocent <-> victim   closers, killers (peers that end)
 *
 * All of these are receivers of what the hostile process does in one
 * transaction. The innocent one plays the victim, too: a message has come through
 * when its receiver has it, so send and receive are measured together.
 */
#ifndef BUS1_SELFTEST_INNOCENT_H
#define BUS1_SELFTEST_INNOCENT_H

#include "adversary.h"

#define SPARES		(2 * (REFERENCES + TRIALS) + 2)
#define SPARE_NODE	0x1000ULL	/* the first that is destroyed */
#define OUR_NODE	0x8000ULL	/* what is transferred */
#define STOCK		48

/* Handles of the innocent one's; the hostile process renews what is used up. */
struct stock {
	__u64 id[STOCK];
	__u32 n, used;
};

struct scene {
	struct adversary a;
	struct peer hostile, victim, innocent;
	__u64 to_victim, to_innocent;		/* from each other */
	__u64 hostile_to_victim, hostile_to_innocent;
	__u64 hostile_to_node[SPARES];		/* nodes of the victim */
	int closer[SPARES];
	__u64 to_closer[SPARES];
	pid_t killer[SPARES];
	int order[SPARES];			/* pipes to the killers */
	__u64 to_killer[SPARES];
	__u32 n_nodes, n_closed, n_killed;	/* of these, used up */
	struct stock asked;			/* of requests of the victim */
	__u64 request[STOCK], n_requests;
	struct stock nodes, replies;		/* what the operation is about */
	__u32 cookie;
	struct worker beside;
	int beside_result;
	__u64 start, start_cpu, child_cpu;
};

struct deed {
	const char *name;
	int (*make)(struct scene *s);
	int (*before)(struct scene *s);	/* not measured, as is @after */
	int (*after)(struct scene *s);
	size_t stock;		/* where in the scene what it uses up is */
};

/* The most that a call took, and how much of that it did not run. */
struct took {
	__u64 reference, bound, most, most_wait;
	unsigned int n, waited, ran;	/* how often it was too long */
};

static inline __u64 cpu_ns(clockid_t clock)
{
	struct timespec t = { 0, 0 };

	clock_gettime(clock, &t);
	return t.tv_sec * SECOND + t.tv_nsec;
}

/* An operation is repeated until some ticks more are not its end. */
static inline bool is_long_enough(__u64 start)
{
	return cpu_ns(CLOCK_PROCESS_CPUTIME_ID) - start > 10 * tick();
}

static inline void clock_begin(struct scene *s)
{
	s->child_cpu = 0;
	s->start_cpu = cpu_ns(CLOCK_THREAD_CPUTIME_ID);
	s->start = now_ns();
	STORE(&s->a.since, s->start);
}

/* Messages that can be told apart. */

static inline int send_cookie(struct scene *s, int fd, __u64 to)
{
	s->cookie++;
	return send_bytes(fd, to, &s->cookie, sizeof(s->cookie));
}

/* Receives until that one comes. */
static inline int recv_cookie(struct scene *s, const struct peer *p)
{
	struct bus1_recv_args r;
	bool found = false;
	int err;

	while (!found) {
		r = (struct bus1_recv_args){
			.max_offset = p->pool_size,
			.deadline = now_ns() + 20 * SECOND + s->a.patience,
		};
		err = sys_recv(p->fd, &r, sizeof(r), 0);
		if (err)
			return err;
		found = r.type == BUS1_MSG_DATA &&
			r.n_bytes == sizeof(s->cookie) &&
			!memcmp(msg_payload(p, &r), &s->cookie, r.n_bytes);
		if (r.offset != BUS1_OFFSET_INVALID)
			slice_release_one(p->fd, r.offset);
	}
	return 0;
}

/* Calls at the victim. */

static inline int deed_send(struct scene *s)
{
	return send_cookie(s, s->innocent.fd, s->to_victim) ?:
	       recv_cookie(s, &s->victim);
}

static inline int deed_receive(struct scene *s)
{
	return send_cookie(s, s->victim.fd, s->to_innocent) ?:
	       recv_cookie(s, &s->innocent);
}

/* Another thread of the victim sleeps in its receive, and is to be woken. */
static inline void *sleeper_run(void *arg)
{
	struct scene *s = arg;

	s->beside_result = recv_cookie(s, &s->victim);
	return NULL;
}

static inline int before_wake(struct scene *s)
{
	return worker_start(&s->beside, false, sleeper_run, s);
}

static inline int deed_wake(struct scene *s)
{
	int err = send_cookie(s, s->innocent.fd, s->to_victim);

	return err ?: worker_join(&s->beside) ?: s->beside_result;
}

static inline int deed_reply(struct scene *s)
{
	struct bus1_recv_args r = {
		.max_offset = s->victim.pool_size,
		.reply_id = s->request[s->asked.used],
	};
	int err;

	err = send_cookie(s, s->innocent.fd, s->asked.id[s->asked.used++]);
	if (!err)
		err = sys_recv(s->victim.fd, &r, sizeof(r), BUS1_RECV_REPLY);
	if (!err && r.offset != BUS1_OFFSET_INVALID)
		slice_release_one(s->victim.fd, r.offset);
	return err;
}

static inline int deed_transfer(struct scene *s)
{
	return connect_peers(s->innocent.fd, OUR_NODE, s->victim.fd) ==
	       INVALID ? -EINVAL : 0;
}

static inline int deed_destroy(struct scene *s)
{
	return destroy_one(s->victim.fd, SPARE_NODE + 8 * s->n_nodes++);
}

static inline int deed_flush(struct scene *s)
{
	return flush(s->closer[s->n_closed++]);
}

static inline int deed_close(struct scene *s)
{
	return close(s->closer[s->n_closed++]);
}

/* Tells the next of the killers what to do, and lets it. */
static inline int order(struct scene *s, char what)
{
	if (write(s->order[s->n_killed], &what, 1) != 1)
		return -errno;
	nap(MS);
	return 0;
}

static inline int kill_next(struct scene *s)
{
	pid_t pid = s->killer[s->n_killed++];
	clockid_t clock;
	struct rusage u;
	__u64 cpu = 0;

	if (!clock_getcpuclockid(pid, &clock))
		cpu = cpu_ns(clock);
	clock_begin(s);
	kill(pid, SIGKILL);
	if (wait4(pid, NULL, 0, &u) != pid)
		return -errno;
	s->child_cpu = (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * SECOND +
		       (u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000 - cpu;
	return 0;
}

static inline int deed_kill(struct scene *s)
{
	return order(s, 'r') ?: kill_next(s);
}

/* Calls on what dies. Whether it is dead already nobody can know. */

/* Any of the nodes: those of one call may die in several steps. */
static inline __u64 any_node(struct scene *s)
{
	return s->nodes.id[rng_below(&s->a.rng, s->nodes.n)];
}

static inline __u64 next_reply(struct scene *s)
{
	return s->replies.id[s->replies.used++ % s->replies.n];
}

static inline int refused_is_fine(int err)
{
	return err == -EHOSTUNREACH ? 0 : err;
}

static inline int deed_send_dying(struct scene *s)
{
	return refused_is_fine(send_cookie(s, s->innocent.fd, any_node(s)));
}

static inline int deed_reply_dying(struct scene *s)
{
	return refused_is_fine(send_cookie(s, s->innocent.fd, next_reply(s)));
}

static inline int pass(struct scene *s, __u64 handle)
{
	s->cookie++;
	return send_full(s->innocent.fd, &s->to_victim, 1, &s->cookie,
			 sizeof(s->cookie), &handle, 1, NULL, 0, 0) ?:
	       recv_cookie(s, &s->victim);
}

static inline int deed_pass_dying(struct scene *s)
{
	return pass(s, any_node(s));
}

static inline int deed_pass_dying_reply(struct scene *s)
{
	return pass(s, next_reply(s));
}

static inline int deed_transfer_dying(struct scene *s)
{
	__u64 from = any_node(s), to;

	return sys_transfer(s->innocent.fd, s->victim.fd, &from, &to, 1, 0);
}

/* Another thread of the same peer transfers; what is measured is a receive. */
static inline void *transfer_run(void *arg)
{
	struct scene *s = arg;
	__u64 from = any_node(s), to;

	s->beside_result = sys_transfer(s->innocent.fd, s->innocent.fd, &from, &to, 1, 0);
	return NULL;
}

static inline int deed_receive_beside(struct scene *s)
{
	int err = worker_start(&s->beside, false, transfer_run, s);

	if (err)
		return err;
	nap(MS);
	clock_begin(s);
	return deed_receive(s);
}

static inline int after_beside(struct scene *s)
{
	adversary_feed(&s->a);
	return worker_join(&s->beside) ?: s->beside_result;
}

static inline int deed_cancel(struct scene *s)
{
	return destroy_one(s->innocent.fd, next_reply(s));
}

static inline int deed_kill_in_send(struct scene *s)
{
	return order(s, 's') ?: kill_next(s);
}

#define DEEDS_AT_VICTIM							\
	{ "sends to it", deed_send },					\
	{ "receives from it", deed_receive },				\
	{ "wakes it", deed_wake, before_wake },				\
	{ "replies to it", deed_reply,					\
	  .stock = offsetof(struct scene, asked) },			\
	{ "transfers a handle to it", deed_transfer },			\
	{ "destroys a node of it", deed_destroy },			\
	{ "flushes one", deed_flush },					\
	{ "closes one", deed_close },					\
	{ "is killed in a receive", deed_kill }

#define DEEDS_ON_NODES							\
	{ "sends to what dies", deed_send_dying },			\
	{ "passes what dies", deed_pass_dying },			\
	{ "transfers what dies", deed_transfer_dying },			\
	{ "receives beside that transfer", deed_receive_beside,		\
	  .after = after_beside },					\
	{ "is killed in a send to what dies", deed_kill_in_send }

#define DEED_REPLY							\
	{ "replies to what dies", deed_reply_dying,			\
	  .stock = offsetof(struct scene, replies) }

#define DEED_CANCEL							\
	{ "cancels what is moved", deed_cancel,				\
	  .stock = offsetof(struct scene, replies) }

#define DEED_PASS_REPLY							\
	{ "passes a reply handle that dies", deed_pass_dying_reply,	\
	  .stock = offsetof(struct scene, replies) }

/* In the hostile process, before each operation. */
static inline void innocent_prepare(struct scene *s)
{
	struct stock *k = &s->asked;
	__u32 i;

	drain(&s->hostile);
	drain(&s->victim);
	drain(&s->innocent);
	for (i = 0; i < (k->n ? k->used : STOCK); i++) {
		s->request[i] = ASKED + 8 * s->n_requests++;
		MUST(&s->a.v, !ask(s->victim.fd, s->to_innocent,
				   s->request[i]), i);
		k->id[i] = take(&s->innocent);
		MUST(&s->a.v, k->id[i] != INVALID, i);
	}
	k->n = STOCK;
	k->used = 0;
}

/* Measuring. */

/* Starves the hostile process in the middle. */
static inline void deed_begin(struct scene *s, const struct deed *d)
{
	struct stock *k = (void *)((char *)s + d->stock);
	struct adversary *a = &s->a;
	int tries = 0;

	for (;;) {
		adversary_ready(a);
		/* The next operation brings new ones. */
		while (d->stock && k->used == k->n) {
			while (is_operating(a))
				nap(MS);
			adversary_ready(a);
		}
		if (d->before)
			MUST(&a->v, !d->before(s), __LINE__);
		if (adversary_stop(a) || !MUST(&a->v, ++tries < 500, 0))
			return;
		if (d->before)
			MUST(&a->v, !d->make(s), __LINE__);
	}
}

static inline void deed_measure(struct scene *s, const struct deed *d,
				struct took *t)
{
	__u64 took, ran;
	int err;

	deed_begin(s, d);
	clock_begin(s);
	err = d->make(s);
	took = now_ns() - s->start;
	ran = cpu_ns(CLOCK_THREAD_CPUTIME_ID) - s->start_cpu + s->child_cpu;
	STORE(&s->a.since, 0);
	if (!err && d->after)
		err = d->after(s);
	if (!MUST(&s->a.v, !err, err))
		printf("# %s: %s\n", d->name, strerror(-err));

	if (took > t->most) {
		t->most = took;
		t->most_wait = took > ran ? took - ran : 0;
	}
	t->n++;
	if (!t->bound || took <= t->bound)
		return;
	if (took > 2 * ran)
		t->waited++;
	else
		t->ran++;
}

static inline __u64 bound_of(__u64 reference)
{
	__u64 bound = 10 * (reference > tick() ? reference : tick());

	return bound < MOST_TIME ? bound : MOST_TIME;
}

/* Each call in turn, at other moments of the operation each time. */
static inline void deeds_repeat(struct scene *s, const struct deed *d,
				struct took *t, size_t n, unsigned int times)
{
	unsigned int j;
	size_t i;

	for (j = 0; j < times; j++)
		for (i = 0; i < n; i++)
			if (t[i].waited + t[i].ran < 2)
				deed_measure(s, &d[i], &t[i]);
}

static inline void deeds_measure(struct scene *s, const struct deed *d,
				 struct took *t, size_t n)
{
	size_t i;

	STORE(&s->a.reference, 1);
	deeds_repeat(s, d, t, n, REFERENCES);
	STORE(&s->a.reference, 0);
	adversary_feed(&s->a);
	while (is_operating(&s->a))
		nap(MS);

	for (i = 0; i < n; i++)
		t[i] = (struct took){
			.reference = t[i].most, .bound = bound_of(t[i].most),
		};
	deeds_repeat(s, d, t, n, TRIALS);
}

/* A wait is never excused, running once: see adversary.h. */
static inline bool was_prompt(const struct took *t)
{
	return !t->waited && t->ran < 2;
}

/* Says what each call took. */
static inline void took_print(const struct deed *d, const struct took *t)
{
	printf("# %-33s %8.1f ms, waiting %8.1f (reference %5.1f, bound %3.0f)%s\n",
	       d->name, t->most / 1e6, t->most_wait / 1e6,
	       t->reference / 1e6, t->bound / 1e6,
	       was_prompt(t) ? "" : " LATE");
}

#define EXPECT_PROMPT(s, deeds)						\
	do {								\
		struct took __t[ARRAY_SIZE(deeds)] = {};		\
		size_t __i;						\
									\
		deeds_measure(s, deeds, __t, ARRAY_SIZE(deeds));	\
		for (__i = 0; __i < ARRAY_SIZE(deeds); __i++) {		\
			took_print(&deeds[__i], &__t[__i]);		\
			EXPECT_TRUE(was_prompt(&__t[__i])) {		\
				TH_LOG("who %s is late",		\
				       deeds[__i].name);		\
			}						\
		}							\
		EXPECT_FINE(&(s)->a.v);					\
	} while (0)

/* Who is there. */

/* Connects @fd and the hostile peer, which then has a request to answer. */
static inline __u64 spare_connect(struct scene *s, int fd)
{
	__u64 to = connect_peers(s->hostile.fd, NODE, fd);

	if (to == INVALID || ask(fd, to, ASKED))
		return INVALID;
	return connect_new(fd, NODE, s->hostile.fd);
}

/* Keeps three descriptors, makes the calls it is told to, and is killed. */
static inline void killer_run(struct scene *s, struct peer *own, int orders)
{
	struct bus1_recv_args r;
	char what;
	int fd;

	for (fd = STDERR_FILENO + 1; fd < 512; fd++)
		if (fd != own->fd && fd != orders && fd != s->innocent.fd)
			close(fd);
	while (read(orders, &what, 1) == 1) {
		if (what == 's')
			send_empty(s->innocent.fd, any_node(s));
		while (!recv_wait(own, &r))
			;
	}
	_exit(0);
}

static inline int killer_start(struct scene *s, int i)
{
	struct peer own;
	int pipes[2];
	pid_t pid;
	int err;

	err = peer_open(&own, NULL, 0);
	if (!err && pipe2(pipes, O_CLOEXEC))
		err = -errno;
	if (err)
		return err;
	s->to_killer[i] = spare_connect(s, own.fd);
	s->order[i] = pipes[1];
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(pipes[1]);
		killer_run(s, &own, pipes[0]);
	}
	close(pipes[0]);
	peer_close(&own);
	s->killer[i] = pid;
	return pid < 0 ? -errno : 0;
}

static inline int spares_open(struct scene *s)
{
	int i, err;

	for (i = 0; i < SPARES; i++) {
		err = killer_start(s, i);
		if (err)
			return err;
	}
	for (i = 0; i < SPARES; i++) {
		s->closer[i] = sys_open(NULL, 0, 0);
		if (s->closer[i] < 0)
			return s->closer[i];
		s->to_closer[i] = spare_connect(s, s->closer[i]);
		if (s->to_closer[i] == INVALID || s->to_killer[i] == INVALID)
			return -ENOTCONN;
		s->hostile_to_node[i] = connect_new(s->victim.fd,
						    SPARE_NODE + 8 * i,
						    s->hostile.fd);
	}
	return 0;
}

static inline int scene_open(struct scene *s)
{
	int err;

	err = peer_open(&s->hostile, NULL, 0);
	if (!err)
		err = peer_open(&s->victim, NULL, 0);
	if (!err)
		err = peer_open(&s->innocent, NULL, 0);
	if (err)
		return err;
	s->to_victim = connect_new(s->victim.fd, NODE, s->innocent.fd);
	s->to_innocent = connect_new(s->innocent.fd, NODE, s->victim.fd);
	s->hostile_to_victim = connect_new(s->victim.fd, NODE + 8,
					   s->hostile.fd);
	s->hostile_to_innocent = connect_new(s->innocent.fd, NODE + 8,
					     s->hostile.fd);
	if (connect_new(s->innocent.fd, OUR_NODE, s->innocent.fd) == INVALID ||
	    connect_new(s->hostile.fd, NODE, s->hostile.fd) == INVALID)
		return -ENOTCONN;
	return spares_open(s);
}

static inline void scene_close(struct scene *s)
{
	int i;

	adversary_end(&s->a);
	for (i = s->n_killed; i < SPARES && s->killer[i]; i++) {
		kill(s->killer[i], SIGKILL);
		wait_child(s->killer[i]);
	}
	peer_close(&s->hostile);
	peer_close(&s->victim);
	peer_close(&s->innocent);
}

/* In the hostile process, which must not keep the peers that others close. */
static inline int closers_forget(struct scene *s)
{
	int i;

	for (i = 0; i < SPARES; i++) {
		close(s->closer[i]);
		close(s->order[i]);
	}
	return 0;
}

FIXTURE(starved) {
	struct scene *s;
};

FIXTURE_VARIANT(starved) {
	enum way way;
};

FIXTURE_VARIANT_ADD(starved, as_idle) { WAY_IDLE };
FIXTURE_VARIANT_ADD(starved, by_nice) { WAY_NICE };
FIXTURE_VARIANT_ADD(starved, by_a_stop) { WAY_STOPPED };
FIXTURE_VARIANT_ADD(starved, by_cpu_max) { WAY_THROTTLED };

FIXTURE_SETUP(starved)
{
	const char *lacks = adversary_lacks(variant->way);

	if (lacks)
		SKIP(return, "no %s here", lacks);
	self->s = share(sizeof(*self->s));
	ASSERT_NE(NULL, self->s);
	self->s->a.way = variant->way;
	ASSERT_EQ(0, scene_open(self->s));
}

FIXTURE_TEARDOWN(starved)
{
	if (self->s)
		scene_close(self->s);
}

#endif /* BUS1_SELFTEST_INNOCENT_H */
