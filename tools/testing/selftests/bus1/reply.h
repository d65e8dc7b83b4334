/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1 selftests: what the tests of prepaid replies and calls share
 *
 * Most of them have three peers: a client asks, a server is asked and holds
 * the reply handle, and a worker may be given that handle.
 */
#ifndef BUS1_SELFTEST_REPLY_H
#define BUS1_SELFTEST_REPLY_H

#include "stress.h"

#define NEW	BUS1_HANDLE_FLAG_NEW
#define MANAGED	BUS1_HANDLE_FLAG_MANAGED
#define REMOTE	BUS1_HANDLE_FLAG_REMOTE
#define INVALID	BUS1_HANDLE_INVALID

#define NODE	8ULL		/* the node of each of the three */
#define ASKED	0x5000ULL	/* the name of a request */
#define ROOM	64		/* what ask() pays for, in bytes */
#define MS	1000000ULL

/* Requests. */

static inline struct bus1_send_args request(const __u64 *to, __u64 id,
					    __u64 bytes, __u64 handles,
					    __u64 fds)
{
	return (struct bus1_send_args){
		.ptr_destinations = to_u64(to),
		.n_destinations = 1,
		.reply_id = id,
		.reply_max_bytes = bytes,
		.reply_max_handles = handles,
		.reply_max_fds = fds,
	};
}

static inline int ask_for(int fd, __u64 to, __u64 id, __u64 bytes,
			  __u64 handles, __u64 fds)
{
	struct bus1_send_args a = request(&to, id, bytes, handles, fds);

	return send_args(fd, &a, BUS1_SEND_REPLY);
}

static inline int ask(int fd, __u64 to, __u64 id)
{
	return ask_for(fd, to, id, ROOM, 0, 0);
}

/* Receives a request and releases its slice; returns the reply handle. */
static inline __u64 take(const struct peer *p)
{
	struct bus1_recv_args r;

	if (recv_msg(p, &r))
		return INVALID;
	if (r.offset != BUS1_OFFSET_INVALID)
		slice_release_one(p->fd, r.offset);
	return r.type == BUS1_MSG_DATA ? r.reply : INVALID;
}

/* Receives a message of one handle and releases its slice. */
static inline __u64 take_handle(const struct peer *p)
{
	struct bus1_recv_args r;
	__u64 h = INVALID;

	if (recv_msg(p, &r) || r.type != BUS1_MSG_DATA)
		return INVALID;
	if (r.n_handles == 1)
		h = *msg_handles(p, &r);
	slice_release_one(p->fd, r.offset);
	return h;
}

/* Fetches one reply by its name; does not block unless @flags say so. */
static inline int fetch(const struct peer *p, __u64 id,
			struct bus1_recv_args *r, unsigned int flags)
{
	*r = (struct bus1_recv_args){
		.max_offset = p->pool_size, .reply_id = id,
	};
	return sys_recv(p->fd, r, sizeof(*r),
			BUS1_RECV_REPLY | BUS1_RECV_NONBLOCK | flags);
}

/* The next entry is of this type and about this ID; releases its slice. */
static inline bool next_is(const struct peer *p, int type, __u64 id)
{
	__u64 dest = INVALID;
	int got = recv_type(p, &dest);

	if (got == type && dest == id)
		return true;
	printf("# type %d for %llx, expected %d for %llx\n", got, dest, type,
	       id);
	return false;
}

static inline bool is_empty(const struct peer *p)
{
	struct bus1_recv_args r;

	return recv_msg(p, &r) == -EAGAIN;
}

/* Replies that this peer holds the handles of, and that it has not received. */
static inline long long owed(int fd)
{
	return fdinfo_value(fd, "owed", 0);
}

static inline long long awaited(int fd)
{
	return fdinfo_value(fd, "awaited", 0);
}

/* A notice says nothing besides its type and what it is about. */
static inline bool notice_is_plain(const struct bus1_recv_args *r)
{
	return !r->n_bytes && !r->n_handles && !r->n_fds && !r->sender_pid &&
	       r->sender_uid == 65534 && r->sender_gid == 65534 &&
	       r->sender_pidfd == -1 && r->reply == INVALID &&
	       r->offset == BUS1_OFFSET_INVALID;
}

/* Usage. */

struct usage {
	__u64 slices, handles, bytes, fds, nodes, ids, queued;
	long long owed, awaited;
};

static inline struct usage usage_of(int fd)
{
	struct bus1_peer_info i = query(fd);

	return (struct usage){
		i.used_slices, i.used_handles, i.used_inflight_bytes,
		i.used_inflight_fds, i.n_nodes, i.n_handles, i.n_queued,
		owed(fd), awaited(fd),
	};
}

/* The peer uses what it used then; says what is different. */
static inline bool usage_is(int fd, const struct usage *old)
{
	struct usage now = usage_of(fd);
	const __u64 *a = (const __u64 *)old, *b = (const __u64 *)&now;
	size_t i;

	for (i = 0; i < sizeof(now) / sizeof(*a); i++)
		if (a[i] != b[i]) {
			printf("# member %zu of usage: %llu, now %llu\n", i,
			       a[i], b[i]);
			return false;
		}
	return true;
}

/*
 * The same, and one handle for each of @n requests that were cancelled and whose
 * reply handles somebody has, or whose drops nobody has received.
 */
static inline bool usage_is_and(int fd, const struct usage *old, __u64 n)
{
	struct usage u = *old;

	u.handles += n;
	return usage_is(fd, &u);
}

/* Nothing at all but that. */
static inline bool usage_is_only(int fd, __u64 n)
{
	return usage_is_and(fd, &(struct usage){ 0 }, n);
}

/*
 *   client --to_server--> server --to_worker--> worker
 */
struct trio {
	struct peer client, server, worker;
	__u64 to_server, to_worker;
	struct usage at_client, at_server, at_worker;
};

static inline int trio_open(struct trio *t)
{
	int r;

	memset(t, 0, sizeof(*t));
	t->client.fd = -1;
	t->server.fd = -1;
	t->worker.fd = -1;
	r = peer_open(&t->client, NULL, 0);
	if (!r)
		r = peer_open(&t->server, NULL, 0);
	if (!r)
		r = peer_open(&t->worker, NULL, 0);
	if (r)
		return r;
	t->to_server = connect_new(t->server.fd, NODE, t->client.fd);
	t->to_worker = connect_new(t->worker.fd, NODE, t->server.fd);
	if (connect_new(t->client.fd, NODE, t->client.fd) != NODE ||
	    release_one(t->client.fd, NODE))
		return -ENOTCONN;
	if (t->to_server == INVALID || t->to_worker == INVALID)
		return -ENOTCONN;
	drain(&t->client);
	t->at_client = usage_of(t->client.fd);
	t->at_server = usage_of(t->server.fd);
	t->at_worker = usage_of(t->worker.fd);
	return 0;
}

static inline void trio_close(struct trio *t)
{
	peer_close(&t->client);
	peer_close(&t->server);
	peer_close(&t->worker);
}

/* Nothing is left of what the test did. */
static inline bool trio_is_idle(const struct trio *t)
{
	return usage_is(t->client.fd, &t->at_client) &&
	       usage_is(t->server.fd, &t->at_server) &&
	       usage_is(t->worker.fd, &t->at_worker);
}

/* Everything that can be seen of the three. */
struct trio_state {
	struct state client, server, worker;
};

static inline void trio_get(const struct trio *t, struct trio_state *s)
{
	state_get(t->client.fd, &s->client);
	state_get(t->server.fd, &s->server);
	state_get(t->worker.fd, &s->worker);
}

static inline bool trio_same(const struct trio *t, const struct trio_state *s)
{
	return state_same(t->client.fd, &s->client) &&
	       state_same(t->server.fd, &s->server) &&
	       state_same(t->worker.fd, &s->worker);
}

/* Calls. */

/* bus1_call() of sound arguments; @flags of the receive half besides. */
static inline int call_args(const struct peer *p,
			    const struct bus1_send_args *a,
			    struct bus1_recv_args *r, unsigned int send_flags,
			    unsigned int flags)
{
	if (a->n_handles)
		send_flags |= BUS1_SEND_HANDLES;
	if (a->n_fds)
		send_flags |= BUS1_SEND_FDS;
	return sys_call(p->fd, a, sizeof(*a), r, sizeof(*r),
			BUS1_CALL(send_flags, flags));
}

/* A thread or process that makes one blocking call, or waits for one reply. */
struct caller {
	const struct peer *peer;
	__u64 to, id;
	unsigned int flags;		/* of the receive half */
	struct bus1_recv_args *r;	/* in other memory than here */
	struct bus1_recv_args own;
	int result;
	__u32 tid, done;
};

static inline struct caller caller_for(const struct peer *p, __u64 to, __u64 id)
{
	return (struct caller){
		.peer = p, .to = to, .id = id,
		.own.max_offset = p->pool_size,
	};
}

/* Sends a request whose payload is its name, and waits for the reply. */
static inline void *caller_run(void *arg)
{
	struct caller *c = arg;
	struct bus1_send_args a = request(&c->to, c->id, ROOM, 1, 1);
	struct iovec vec = { &c->id, sizeof(c->id) };

	a.ptr_vecs = to_u64(&vec);
	a.n_vecs = 1;
	STORE(&c->tid, gettid());
	c->result = call_args(c->peer, &a, c->r ?: &c->own, BUS1_SEND_REPLY,
			      c->flags);
	STORE(&c->done, 1);
	return NULL;
}

/* Waits for a reply to a request that was sent already. */
static inline void *waiter_run(void *arg)
{
	struct caller *c = arg;
	struct bus1_recv_args *r = c->r ?: &c->own;

	r->reply_id = c->id;
	STORE(&c->tid, gettid());
	c->result = sys_recv(c->peer->fd, r, sizeof(*r),
			     BUS1_RECV_REPLY | c->flags);
	STORE(&c->done, 1);
	return NULL;
}

/* True while the thread of a caller in this process sleeps. */
static inline bool is_asleep(struct caller *c)
{
	return LOAD(&c->tid) && !LOAD(&c->done) &&
	       task_state(getpid(), LOAD(&c->tid)) == 'S';
}

/* Starts it and returns once it sleeps. */
#define CALL_BLOCKED(w, fn, c)					\
	do {							\
		THREAD(w, fn, c);				\
		ASSERT_TRUE(BECOMES(is_asleep(c)));		\
	} while (0)

/* Signals. */

static __u32 *handled_count;

static inline void count_signal(int sig)
{
	ADD(handled_count, 1);
}

static inline void catch_usr1(__u32 *count, int flags)
{
	struct sigaction act = {
		.sa_handler = count_signal, .sa_flags = flags,
	};

	handled_count = count;
	sigaction(SIGUSR1, &act, NULL);
}

/* Threads that begin at the same moment. */

struct start {
	__u32 ready, go;
};

static inline void start_wait(struct start *s, __u32 turn)
{
	ADD(&s->ready, 1);
	while (LOAD(&s->go) < turn)
		sched_yield();
}

/* Opens the gate for turn @turn once @n threads stand there. */
static inline bool start_go(struct start *s, __u32 turn, __u32 n)
{
	bool ok = BECOMES(LOAD(&s->ready) == n);

	STORE(&s->ready, 0);
	STORE(&s->go, turn);
	return ok;
}

/* A short while of a length that nobody can predict. */
static inline void dither(struct rng *r, unsigned int max)
{
	unsigned int i, n = rng_below(r, max);

	for (i = 0; i < n; i++)
		asm volatile("" ::: "memory");
}

#endif /* BUS1_SELFTEST_REPLY_H */
