// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 selftests: the order of random events
 *
 * Every peer sends random multicasts to all and destroys its own nodes. What
 * each author began, knew of and got back is written down, and afterwards the
 * sequences that the receivers saw are compared with each other and with that
 * record.
 */
#include "stress.h"

#define PEERS	6
#define NODES	12			/* of each peer; the first one stays */
#define ALL	(PEERS * NODES)
#define DESTS	32
#define NONE	0xffff

enum { EV_SEND = 1, EV_DESTROY };
enum { CARRIED_NOT, CARRIED_VALID, CARRIED_INVALID };

/* One call, as its author saw it. It is complete once the author has ended. */
struct event {
	__u32 kind;
	__u32 n;
	__u64 node[DESTS];
	__s32 error[DESTS];
	__s32 result;
	__u32 carried;
	__u32 before[PEERS];	/* calls of each peer known to be over by then */
	__u32 after[PEERS];	/* calls of each peer begun when it returned */
};

/* What a receiver got. */
struct entry {
	__u16 author;
	__u16 node;
	__u32 seq;
	__u8 type;
	__u8 more;
	__u8 carried;
};

struct side {
	struct peer peer;
	__u64 id[ALL];
	__u32 n_log;
	struct entry *log;
};

struct world {
	struct verdict verdict;
	__u64 seed;
	__u32 n_events;
	__u32 max_log;
	__u32 begun[PEERS];
	__u32 over[PEERS];
	__u32 destroyed_by[ALL];
	struct side side[PEERS];
	struct event *event[PEERS];
};

struct header {
	__u32 author;
	__u32 seq;
};

static struct world *world;

static unsigned int owner_of(unsigned int node)
{
	return node / NODES;
}

static __u64 node_name(unsigned int node)
{
	return (node + 1) * 8ULL;
}

/* The node that @id of @s names, or NONE. */
static unsigned int node_of(const struct side *s, __u64 id)
{
	unsigned int i;

	for (i = 0; i < ALL; i++)
		if (s->id[i] == id)
			return i;
	return NONE;
}

/* Every peer gets a handle to every node and keeps it. */
static int world_connect(void)
{
	unsigned int p, g;

	for (g = 0; g < ALL; g++) {
		int own = world->side[owner_of(g)].peer.fd;
		__u64 name = node_name(g) | BUS1_HANDLE_FLAG_NEW;

		for (p = 0; p < PEERS; p++) {
			world->side[p].id[g] =
				connect_peers(own, name, world->side[p].peer.fd);
			if (world->side[p].id[g] == BUS1_HANDLE_INVALID)
				return -1;
			name = node_name(g);
		}
	}
	return 0;
}

#define EVENTS	120			/* calls of each author in a round */

static int world_open(__u64 seed)
{
	unsigned int p, n = EVENTS;

	world = share(sizeof(*world));
	if (!world)
		return -ENOMEM;
	world->seed = seed;
	world->n_events = n;
	world->max_log = PEERS * n * DESTS + ALL + 1;
	for (p = 0; p < PEERS; p++) {
		struct side *s = &world->side[p];

		s->log = share(world->max_log * sizeof(*s->log));
		world->event[p] = share((n + 1) * sizeof(struct event));
		if (!s->log || !world->event[p] || peer_open(&s->peer, NULL, 0))
			return -ENOMEM;
	}
	return world_connect();
}

static void world_close(void)
{
	unsigned int p;

	for (p = 0; p < PEERS; p++) {
		peer_close(&world->side[p].peer);
		munmap(world->side[p].log,
		       world->max_log * sizeof(struct entry));
		munmap(world->event[p],
		       (world->n_events + 1) * sizeof(struct event));
	}
	munmap(world, sizeof(*world));
}

static void event_begin(unsigned int author, __u32 seq, struct event *e)
{
	unsigned int p;

	for (p = 0; p < PEERS; p++)
		e->before[p] = LOAD(&world->over[p]);
	e->before[author] = seq - 1;
	STORE(&world->begun[author], seq);
}

static void event_end(unsigned int author, __u32 seq, struct event *e)
{
	unsigned int p;

	for (p = 0; p < PEERS; p++)
		e->after[p] = LOAD(&world->begun[p]);
	if (!e->result)
		raise_to(&world->over[author], seq);
}

static void fill(unsigned char *buf, size_t len, __u32 author, __u32 seq)
{
	struct header h = { author, seq };

	memset(buf, author * 31 + seq, len);
	memcpy(buf, &h, sizeof(h));
}

/* Picks different nodes of any peers: one, a few, or many. */
static void pick_nodes(struct rng *r, struct event *e)
{
	static const unsigned int most[] = { 1, 8, DESTS };
	unsigned int i, want = 1 + rng_below(r, most[rng_below(r, 3)]);

	while (e->n < want) {
		e->node[e->n] = rng_below(r, ALL);
		for (i = 0; e->node[i] != e->node[e->n]; i++)
			;
		e->n += i == e->n;
	}
}

static void do_send(unsigned int author, __u32 seq, struct rng *r)
{
	struct event *e = &world->event[author][seq];
	struct side *s = &world->side[author];
	unsigned char buf[2048];
	__u64 dest[DESTS], carry;
	struct iovec vec = { buf, sizeof(struct header) + rng_below(r, 2000) };
	struct bus1_send_args a = {
		.ptr_destinations = to_u64(dest), .ptr_errors = to_u64(e->error),
		.ptr_vecs = to_u64(&vec), .n_vecs = 1,
		.ptr_handles = to_u64(&carry),
	};
	unsigned int i;

	e->kind = EV_SEND;
	e->carried = rng_below(r, 2) ? rng_below(r, ALL) : NONE;
	pick_nodes(r, e);
	for (i = 0; i < e->n; i++)
		dest[i] = s->id[e->node[i]];
	a.n_destinations = e->n;
	if (e->carried != NONE) {
		carry = s->id[e->carried];
		a.n_handles = 1;
	}
	fill(buf, vec.iov_len, author, seq);
	event_begin(author, seq, e);
	e->result = send_args(s->peer.fd, &a,
			      rng_below(r, 4) ? BUS1_SEND_CONTINUE : 0);
	event_end(author, seq, e);
	MUST(&world->verdict, !e->result || e->result == -EHOSTUNREACH ||
	     e->result == -EDQUOT || e->result == -EXFULL, e->result);
}

/* Destroys a node of the author, never its first; a call with more is several events. */
static void do_destroy(unsigned int author, __u32 seq, struct rng *r)
{
	struct event *e = &world->event[author][seq];
	__u64 name[1];
	unsigned int g;

	e->kind = EV_DESTROY;
	for (g = author * NODES + 1; g < (author + 1) * NODES && e->n < 1; g++) {
		if (world->destroyed_by[g] || rng_below(r, 3))
			continue;
		STORE(&world->destroyed_by[g], seq);
		e->node[e->n] = g;
		name[e->n++] = node_name(g);
	}
	event_begin(author, seq, e);
	e->result = sys_destroy(world->side[author].peer.fd, name, e->n, 0);
	event_end(author, seq, e);
	MUST(&world->verdict, !e->result, e->result);
}

static void *author_run(void *arg)
{
	unsigned int author = (uintptr_t)arg;
	struct rng r = rng_for(world->seed, author);
	__u32 seq;

	for (seq = 1; seq <= world->n_events; seq++) {
		if (rng_below(&r, 24))
			do_send(author, seq, &r);
		else
			do_destroy(author, seq, &r);
	}
	return NULL;
}

static bool content_is(const unsigned char *p, size_t len, struct header h)
{
	unsigned char byte = h.author * 31 + h.seq;
	size_t i;

	for (i = sizeof(h); i < len; i++)
		if (p[i] != byte)
			return false;
	return true;
}

/* Fills in @e; the author of a destruction is known by the node. */
static void note_entry(struct side *s, struct bus1_recv_args *r, struct entry *e)
{
	struct header h;

	e->type = r->type;
	e->more = r->flags & BUS1_MSG_FLAG_MORE;
	e->node = node_of(s, r->destination);
	if (!MUST(&world->verdict, e->node != NONE, r->type))
		return;
	if (r->type == BUS1_MSG_NODE_DESTROY) {
		e->author = owner_of(e->node);
		e->seq = LOAD(&world->destroyed_by[e->node]);
		return;
	}
	memcpy(&h, msg_payload(&s->peer, r), sizeof(h));
	e->author = h.author;
	e->seq = h.seq;
	MUST(&world->verdict,
	     content_is(msg_payload(&s->peer, r), r->n_bytes, h), h.seq);
	if (r->n_handles)
		e->carried = *msg_handles(&s->peer, r) == BUS1_HANDLE_INVALID ?
			     CARRIED_INVALID : CARRIED_VALID;
}

static void *receiver_run(void *arg)
{
	struct side *s = &world->side[(uintptr_t)arg];
	struct bus1_recv_args r = { .release = BUS1_OFFSET_INVALID };
	struct entry *e;
	int err;

	for (;;) {
		r.max_offset = s->peer.pool_size;
		r.deadline = 0;
		r.release = r.type == BUS1_MSG_DATA ? r.offset :
			    BUS1_OFFSET_INVALID;
		err = sys_recv(s->peer.fd, &r, sizeof(r), BUS1_RECV_RELEASE);
		if (!MUST(&world->verdict, !err, err) ||
		    !MUST(&world->verdict, s->n_log < world->max_log, 0))
			return NULL;
		if (!MUST(&world->verdict, r.type == BUS1_MSG_DATA ||
			  r.type == BUS1_MSG_NODE_DESTROY, r.type))
			return NULL;
		if (r.type == BUS1_MSG_DATA && !r.n_bytes)
			return NULL;
		e = &s->log[s->n_log];
		note_entry(s, &r, e);
		s->n_log++;
		if (e->node != NONE)
			raise_to(&world->over[e->author], e->seq);
	}
}

/* An empty message ends each receiver; it comes after all that is over. */
static int world_run(bool processes)
{
	struct worker authors[PEERS], receivers[PEERS];
	struct side *s = world->side;
	uintptr_t p;
	int r = 0;

	for (p = 0; p < PEERS; p++)
		r |= worker_start(&receivers[p], processes, receiver_run,
				  (void *)p);
	for (p = 0; p < PEERS; p++)
		r |= worker_start(&authors[p], processes, author_run, (void *)p);
	for (p = 0; p < PEERS && !r; p++)
		r |= worker_join(&authors[p]);
	for (p = 0; p < PEERS && !r; p++)
		r |= send_empty(s[0].peer.fd, s[0].id[p * NODES]);
	for (p = 0; p < PEERS && !r; p++)
		r |= worker_join(&receivers[p]);
	return r;
}

static bool same_event(const struct entry *a, const struct entry *b)
{
	return a->author == b->author && a->seq == b->seq;
}

static unsigned int count_entries(const struct side *s, unsigned int author,
				  __u32 seq, unsigned int node)
{
	unsigned int i, n = 0;

	for (i = 0; i < s->n_log; i++)
		n += s->log[i].author == author && s->log[i].seq == seq &&
		     s->log[i].node == node;
	return n;
}

/* How often the receivers should have got event @e at its @i-th node. */
static unsigned int expected_entries(const struct event *e, unsigned int i,
				     unsigned int receiver)
{
	if (e->result)
		return 0;
	if (e->kind == EV_DESTROY)
		return 1;
	return owner_of(e->node[i]) == receiver && !e->error[i];
}

/* Counts messages lost, delivered twice, or delivered although refused. */
static unsigned int wrong_deliveries(void)
{
	unsigned int p, q, i, bad = 0;
	__u32 seq;

	for (p = 0; p < PEERS; p++) {
		for (seq = 1; seq <= world->n_events; seq++) {
			const struct event *e = &world->event[p][seq];

			for (i = 0; i < e->n * PEERS; i++) {
				q = i % PEERS;
				bad += count_entries(&world->side[q], p, seq,
						     e->node[i / PEERS]) !=
				       expected_entries(e, i / PEERS, q);
			}
		}
	}
	return bad;
}

static unsigned int place_in_array(const struct entry *x)
{
	const struct event *e = &world->event[x->author][x->seq];
	unsigned int i;

	for (i = 0; i < e->n && e->node[i] != x->node; i++)
		;
	return i;
}

/* One event is one run of entries, in array order, MORE on all but the last. */
static unsigned int wrong_groups(const struct side *s)
{
	unsigned int i, j, bad = 0;

	for (i = 0; i < s->n_log; i++) {
		const struct entry *a = &s->log[i], *b = a + 1;
		bool more = i + 1 < s->n_log && same_event(a, b);

		bad += more != a->more;
		bad += more && a->type == BUS1_MSG_DATA &&
		       place_in_array(a) >= place_in_array(b);
		for (j = i + 1; !more && j < s->n_log; j++)
			bad += same_event(a, &s->log[j]);
	}
	return bad;
}

/* Where in the log of @s the event of @e begins, or the log's length. */
static void index_events(const struct side *s, __u32 *place)
{
	unsigned int i, n = PEERS * (world->n_events + 1);

	for (i = 0; i < n; i++)
		place[i] = UINT_MAX;
	for (i = s->n_log; i-- > 0;)
		place[s->log[i].author * (world->n_events + 1) +
		      s->log[i].seq] = i;
}

/* Counts neighbours in what two receivers both got that are not in one order. */
static unsigned int disagreements(const struct side *a, const struct side *b)
{
	__u32 *place = calloc(PEERS * (world->n_events + 1), sizeof(*place));
	__u32 last = 0, here;
	unsigned int i, bad = 0;

	index_events(b, place);
	for (i = 0; i < a->n_log; i++) {
		here = place[a->log[i].author * (world->n_events + 1) +
			     a->log[i].seq];
		if (here == UINT_MAX)
			continue;
		bad += here < last;
		last = here;
	}
	free(place);
	return bad;
}

/* Counts entries received after one whose author knew that they were over. */
static unsigned int too_late(const struct side *s)
{
	__u32 known[PEERS] = { 0 };
	unsigned int i, p, bad = 0;

	for (i = 0; i < s->n_log; i++) {
		const struct entry *x = &s->log[i];
		const struct event *e = &world->event[x->author][x->seq];

		if (i && same_event(x, x - 1))
			continue;
		bad += x->seq <= known[x->author];
		for (p = 0; p < PEERS; p++)
			if (known[p] < e->before[p])
				known[p] = e->before[p];
	}
	return bad;
}

/* A handle arrives INVALID if and only if its node's notice came before. */
static unsigned int wrong_carried(const struct side *s)
{
	bool gone[ALL] = { false };
	unsigned int i, bad = 0;

	for (i = 0; i < s->n_log; i++) {
		const struct entry *x = &s->log[i];
		const struct event *e = &world->event[x->author][x->seq];

		if (x->type == BUS1_MSG_NODE_DESTROY)
			gone[x->node] = true;
		else if (e->carried != NONE)
			bad += x->carried != (gone[e->carried] ?
				CARRIED_INVALID : CARRIED_VALID);
		bad += x->type == BUS1_MSG_DATA && gone[x->node];
	}
	return bad;
}

/*
 * A send that began after a destruction was over is refused; one that was over
 * before the destruction began is not.
 */
static unsigned int wrong_refusals(unsigned int author)
{
	unsigned int i, bad = 0;
	__u32 seq, by;

	for (seq = 1; seq <= world->n_events; seq++) {
		const struct event *e = &world->event[author][seq];

		for (i = 0; e->kind == EV_SEND && i < e->n; i++) {
			unsigned int own = owner_of(e->node[i]);

			by = world->destroyed_by[e->node[i]];
			bad += e->error[i] == -EHOSTUNREACH &&
			       (!by || e->after[own] < by);
			bad += by && e->before[own] >= by && !e->error[i] &&
			       !e->result;
		}
	}
	return bad;
}

static unsigned int total_delivered(void)
{
	unsigned int p, n = 0;

	for (p = 0; p < PEERS; p++)
		n += world->side[p].n_log;
	return n;
}

FIXTURE(random) {
	__u64 seed;
};

FIXTURE_VARIANT(random) {
	bool processes;
};

FIXTURE_VARIANT_ADD(random, threads) { false };
FIXTURE_VARIANT_ADD(random, processes) { true };

FIXTURE_SETUP(random)
{
	self->seed = SEED();
}

FIXTURE_TEARDOWN(random)
{
}

static void check_world(struct __test_metadata *_metadata)
{
	unsigned int p, q;

	EXPECT_FINE(&world->verdict);
	EXPECT_EQ(0, wrong_deliveries());
	for (p = 0; p < PEERS; p++) {
		struct side *s = &world->side[p];

		EXPECT_EQ(0, wrong_groups(s));
		EXPECT_EQ(0, too_late(s));
		EXPECT_EQ(0, wrong_carried(s));
		EXPECT_EQ(0, wrong_refusals(p));
		EXPECT_EQ(0, query(s->peer.fd).n_queued);
		for (q = 0; q < PEERS; q++)
			EXPECT_EQ(0, disagreements(s, &world->side[q]));
	}
	/* A run in which hardly anything arrived would prove nothing. */
	EXPECT_LT(PEERS * world->n_events, total_delivered());
}

TEST_F_TIMEOUT(random, multicasts_and_destructions_keep_all_rules, 300)
{
	unsigned int round;

	for (round = 0; round < scaled(6); round++) {
		ASSERT_EQ(0, world_open(self->seed + round));
		ASSERT_EQ(0, world_run(variant->processes));
		check_world(_metadata);
		world_close();
		ASSERT_EQ(0, _metadata->exit_code) {
			TH_LOG("failed in round %u", round);
		}
	}
}

TEST_HARNESS_MAIN
