// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: the model's state, and what helpers do
 */
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

typedef uint8_t u8;

/* Peers; messages; then a destruction per peer's node, and the notice of a cancellation. */
enum { P = 3, M = 4, DES = M, NOTICE = M + P, E = NOTICE + 1, T = 9, DEPTH = 7 };
enum { NONE = 255 };
enum { NEW, STAGED, REFUSED, DROPPED, MOVED, WOKEN };
enum { R_NEW, R_OPEN, R_DROPPED, R_CANCELLING, R_CANCELLED };
enum fn { F_UNI, F_MC, F_RECV, F_DOWN, F_DESTROY, F_RELEASE, F_CANCEL, S_WALK,
	  S_WALKDES, S_SETTLE, S_LEAVE, S_END, S_ATTACH, S_DROP, S_REPLYEND, S_DROPREPLY };

struct frame { u8 fn, pc, a, i, w, b; };
struct task { frame f[DEPTH]; u8 n, stalled; };
struct state {
	u8 clock[P], lock[P], down, asleep, local;
	u8 ts[E][P], step[E][P], rank[E][P], n_taken[P];
	u8 word[E], walkers[E], ref[E], gap[E], causes[E], placed, over, begun, known;
	u8 sealed, quiet, holders[P], zombies[P], freed[P], n_ref[P][P], n_user[P][P];
	u8 attached[M];
	u8 r_state, r_holder, r_move, r_target, r_gone, r_noticed, r_know, r_queued;
	task k[T];
};

/* What a scenario consists of. */
struct message { u8 dest, from, carry; bool cont, moves, asks; };
static message msg[M];
static frame start[T];
static bool may_stall[T];
static int n_tasks, n_stalls, requester;
static bool pollers;

#define MUTATIONS X(QUEUE_KEY) X(UNPLACED) X(NO_RELOOK) X(REFUSED_LATE) X(NO_TOUCH) X(NO_NOTE)	\
	X(WAKE_AFTER) X(WAKE_FRONT) X(PLACE_UNWOKEN) X(NO_HELP) X(SETTLE_LATE) X(NO_SETTLE) X(FIX_UNSEEN)	\
	X(BURY_EARLY) X(NO_ZOMBIES) X(NO_SYNC) X(ATTACH_DYING) X(REFUSED_NOHELP) X(NO_SEAL) X(DROP_FIRST) X(SKIP_UNPLACED)	\
	X(NO_ENTRY_REF) X(FREE_DESTS) X(STALE_RESULT) X(STALE_MOVE) X(NO_KILL) X(HOLDER_FIRST) X(NEW_SHUT) X(FIX_REFUSED) X(FORGET_QUEUED)
#define X(m) static bool m;
MUTATIONS
#undef X

static const char *bad;
static void fail(const char *why) { if (!bad) bad = why; }
static bool bit(u8 mask, int i) { return mask >> i & 1; }
static bool is_des(int e) { return e >= DES && e < NOTICE; }
static bool is_tx(int e) { return is_des(e) || (e < M && !msg[e].asks && (msg[e].moves || (msg[e].dest & (msg[e].dest - 1)))); }
static bool live(const state &s, int node) { return !bit(s.sealed, node); }
static u8 place(const state &s, int e) { return (s.word[e] & ~1) + 2; }
static int key(int e, int q) { return QUEUE_KEY && (q & 1) ? E - e : e; }

static int first(const state &s, int q)
{
	int f = -1;

	for (int e = 0; e < E; e++)
		if (s.ts[e][q] && (f < 0 || s.ts[e][q] < s.ts[f][q] ||
				   (s.ts[e][q] == s.ts[f][q] && key(e, q) < key(f, q))))
			f = e;
	return f;
}

static int n_committed(const state &s, int q)
{
	int n = 0;

	for (int e = 0; e < E; e++)
		n += s.ts[e][q] && !(s.ts[e][q] & 1);
	return n;
}

/* Who receives here sleeps in the wait list, or polls. */
static void wake_locked(state &s, int q)
{
	int f = first(s, q);

	if (!pollers && !(WAKE_FRONT && f >= 0 && (s.ts[f][q] & 1)))
		s.asleep &= ~(1 << q);
}
static void wake_pollers(state &s, int q) { if (pollers) s.asleep &= ~(1 << q); }

static bool locked(const state &s, int q, int t) { return s.lock[q] && s.lock[q] != t + 1; }
static void call(state &s, int t, u8 fn, u8 a, u8 i = 0)
{
	task &k = s.k[t];

	if (k.n == DEPTH) { fail("the model's stack is too small"); return; }
	k.f[k.n++] = { fn, 0, a, i, 0, 0 };
}
static void pop(state &s, int t) { memset(&s.k[t].f[--s.k[t].n], 0, sizeof(frame)); }

/* tx.c */
static void use_tx(const state &s, int e) { if (e < M && !s.ref[e]) fail("a transaction is used after it was freed"); }
static void use_dests(const state &s, int e) { use_tx(s, e); if (e < M && bit(s.over, e)) fail("destinations are used after they were freed"); }
static void put(state &s, int e) { if (e < M) { if (!s.ref[e]) fail("a reference too many is put"); else s.ref[e]--; } }
static void get(state &s, int e) { if (e < M) { use_tx(s, e); s.ref[e]++; } }
static bool enter(state &s, int e) { use_tx(s, e); if (s.walkers[e]) s.walkers[e]++; return s.walkers[e]; }
static bool note(state &s, int e, u8 clock)
{
	use_tx(s, e);
	if (s.word[e] & 1)
		return false;
	if (s.word[e] < clock && !NO_NOTE)
		s.word[e] = clock;
	return true;
}
static bool touch(state &s, int e)
{
	use_tx(s, e);
	if (s.word[e] & 1)
		return false;
	if (!NO_TOUCH)
		s.word[e] += 2;
	return true;
}
static void stage_entry(state &s, int e, int q)
{
	s.ts[e][q] = s.clock[q] + 1;
	s.step[e][q] = STAGED;
	bool noted = !(s.word[e] & 1);
	if (noted && s.word[e] < s.clock[q])
		s.word[e] = s.clock[q];
	if (!noted)
		fail("something is staged after the fix");
}
static void move_entry(state &s, int e, int q)
{
	use_tx(s, e);
	if (!(s.ts[e][q] & 1))
		fail("what is not staged any more is moved");
	if (place(s, e) <= s.ts[e][q])
		fail("the place is not above what is staged");
	s.ts[e][q] = place(s, e);
	if (s.clock[q] < place(s, e))
		s.clock[q] = place(s, e);
	s.step[e][q] = MOVED;
	if (!WAKE_AFTER)
		wake_locked(s, q);
}
static void remove_entry(state &s, int e, int q)
{
	s.ts[e][q] = 0;
	if (is_tx(e) && !is_des(e) && !NO_ENTRY_REF)
		put(s, e);
}
static bool walk_steps(state &s, int t, frame &f, int e)
{
	int q = f.i;

	switch (f.pc) {
	case 0:
		f.pc = s.step[e][q] < DROPPED ? 1 : s.step[e][q] == MOVED && !PLACE_UNWOKEN ? 2 : 0;
		f.i += !f.pc;
		return true;
	case 1:
		if (locked(s, q, t))
			return false;
		if (s.step[e][q] == STAGED) {
			move_entry(s, e, q);
			if (WAKE_AFTER)
				s.step[e][q] = WOKEN;
		}
		f.pc = s.step[e][q] == MOVED || WAKE_AFTER ? 2 : 0;
		f.i += !f.pc;
		return true;
	}
	wake_pollers(s, q);
	if (WAKE_AFTER)
		wake_locked(s, q);
	s.step[e][q] = WOKEN;
	f.pc = 0;
	f.i++;
	return true;
}

/* commit.c, walk_multicast() */
static bool walk(state &s, int t, frame &f)
{
	int e = f.a;

	use_dests(s, e);
	while (f.i < P && !bit(msg[e].dest, f.i))
		f.i++;
	if (f.i < P)
		return walk_steps(s, t, f, e);
	s.placed |= 1 << e;
	pop(s, t);
	return true;
}

/* destroy.c, walk_destruction() */
static bool is_holder(const state &s, int node, int q)
{
	return bit(s.holders[node], q) && !(q == node && bit(s.quiet, node));
}
static void next_holder(const state &s, frame &f, int node)
{
	if (f.b)
		return;
	while (f.i < P && !is_holder(s, node, f.i))
		f.i++;
}
/* A walker has a pointer to a handle between two steps, and goes on from there. */
static void use_handle(const state &s, int node, int q)
{
	if (q < P && bit(s.freed[node], q))
		fail("a handle is used after it was freed");
}
static bool stage_notices(state &s, int t, frame &f, int node)
{
	int e = DES + node;

	use_handle(s, node, f.i);
	if (f.i == P) {
		f.pc = SETTLE_LATE ? 7 : 4;
		f.i = 0;
		return true;
	}
	if (f.pc == 2) {
		if (s.step[e][f.i] == NEW) {
			f.pc = 3;
		} else {
			f.i++;
			next_holder(s, f, node);
		}
		return true;
	}
	if (locked(s, f.i, t))
		return false;
	if (s.step[e][f.i] == NEW)
		stage_entry(s, e, f.i);
	f.pc = 2;
	f.i++;
	next_holder(s, f, node);
	return true;
}
static bool walk_destruction(state &s, int t, frame &f)
{
	int node = f.a, e = DES + node;

	switch (f.pc) {
	case 0:
		f.pc = s.word[e] & 1 ? 6 : NO_SETTLE || SETTLE_LATE ? 2 : 1;
		next_holder(s, f, node);
		return true;
	case 1:
		f.pc = FIX_UNSEEN && s.walkers[e] > 1 ? 4 : 2;
		call(s, t, S_SETTLE, node);
		return true;
	case 2: case 3:
		return stage_notices(s, t, f, node);
	case 4:
		f.w = s.word[e];
		f.i = 0;
		next_holder(s, f, node);
		f.pc = f.w & 1 ? 6 : 5;
		return true;
	case 5:
		f.pc = s.word[e] == f.w ? 6 : 4;
		if (f.pc == 6)
			s.word[e] |= 1;
		f.i = 0;
		next_holder(s, f, node);
		return true;
	case 7:
		f.pc = 4;
		call(s, t, S_SETTLE, node);
		return true;
	}
	/* 6: move; the steps of one are those of walk_steps(), in b */
	use_handle(s, node, f.i);
	if (f.i == P) {
		s.placed |= 1 << e;
		pop(s, t);
		return true;
	}
	frame g = { 0, f.b, (u8)e, f.i, 0, 0 };
	bool moved = walk_steps(s, t, g, e);
	f.b = g.pc;
	f.i = g.i;
	next_holder(s, f, node);
	return moved;
}

/* commit.c, bus1_commit_kick_locked(), in steps that others can see; f.b is the message */
static bool kick_steps(state &s, int t, frame &f, int q, u8 pc, u8 kicked, u8 fixed)
{
	int e = f.b;

	use_dests(s, e);
	if (f.pc == pc) {
		s.lock[q] = t + 1;
		if (!REFUSED_LATE)
			s.step[e][q] = REFUSED;
		f.pc = pc + 1;
	} else if (f.pc == pc + 1) {
		if (touch(s, e)) {
			f.pc = pc + 2;
			return true;
		}
		s.step[e][q] = STAGED;
		s.lock[q] = 0;
		f.pc = fixed;
	} else {
		s.step[e][q] = REFUSED;
		remove_entry(s, e, q);
		wake_locked(s, q);
		s.lock[q] = 0;
		f.pc = kicked;
	}
	return true;
}

/* destroy.c, settle_node() */
static bool settle(state &s, int t, frame &f)
{
	int node = f.a;

	switch (f.pc) {
	case 0:
		if (locked(s, node, t))
			return false;
		for (f.b = 0; f.b < M; f.b++)
			if (bit(msg[f.b].dest, node) && s.step[f.b][node] == STAGED && s.ts[f.b][node])
				break;
		if (f.b == M) {
			pop(s, t);
			return true;
		}
		f.pc = 1;
		/* fall through */
	case 1: case 2: case 3:
		kick_steps(s, t, f, node, 1, 0, 4);
		if (f.pc == 4)
			get(s, f.b);
		return true;
	case 4:
		f.pc = enter(s, f.b) ? 5 : 6;
		if (f.pc == 5)
			call(s, t, S_WALK, f.b);
		return true;
	case 5:
		f.pc = 6;
		call(s, t, S_LEAVE, f.b);
		return true;
	}
	put(s, f.b);
	f.pc = f.b = 0;
	return true;
}

/* bus1_tx_leave(), end_multicast(), end_destruction() */
static bool leave(state &s, int t, frame &f)
{
	int e = f.a, node = e - DES;

	switch (f.pc) {
	case 0:
		if (!s.walkers[e])
			fail("somebody leaves who did not enter");
		s.walkers[e]--;
		if (s.walkers[e] && !(BURY_EARLY && is_des(e)) && !(FREE_DESTS && !is_des(e))) {
			pop(s, t);
			return true;
		}
		if (!is_des(e)) {
			s.over |= 1 << e;
			put(s, e);
			pop(s, t);
			return true;
		}
		f.pc = 1;
		return true;
	case 1:
		if (locked(s, node, t))
			return false;
		for (f.i = 0; f.i < P && !bit(s.zombies[node], f.i); f.i++)
			;
		if (f.i == P) {
			pop(s, t);
			return true;
		}
		s.zombies[node] &= ~(1 << f.i);
		s.holders[node] &= ~(1 << f.i);
		f.pc = 2;
		return true;
	}
	if (locked(s, f.i, t))
		return false;
	s.ts[e][f.i] = 0;
	s.freed[node] |= 1 << f.i;
	f.pc = 1;
	return true;
}

/* destroy.c, bus1_node_end(), and object.c, bus1_node_help() */
static void seal(state &s, int node, bool quiet)
{
	s.sealed |= 1 << node;
	s.quiet |= quiet << node;
	s.begun |= 1 << (DES + node);
	s.causes[DES + node] = s.known;
	s.walkers[DES + node] = 1;
}
static bool end_node(state &s, int t, frame &f)
{
	int node = f.a;

	switch (f.pc) {
	case 0:
		if (locked(s, node, t))
			return false;
		if (live(s, node) && !(NO_SEAL && f.i)) {
			seal(s, node, true);
			f.pc = 2;
			return true;
		}
		f.pc = 1;
		return true;
	case 1:
		if (live(s, node) || bit(s.placed, DES + node) || !enter(s, DES + node))
			pop(s, t);
		else
			f.pc = 2;
		return true;
	case 2:
		f.pc = 3;
		call(s, t, S_WALKDES, node);
		return true;
	case 3:
		f.pc = 4;
		call(s, t, S_LEAVE, DES + node);
		return true;
	}
	pop(s, t);
	return true;
}

/* attach.c; f.a is the message, f.i the holder */
static bool attach(state &s, int t, frame &f)
{
	int e = f.a, node = msg[e].carry;

	while (f.i < P && !bit(msg[e].dest, f.i))
		f.i++;
	if (f.i == P) {
		pop(s, t);
		return true;
	}
	switch (f.pc) {
	case 0:
		if (locked(s, node, t))
			return false;
		if (live(s, node) || ATTACH_DYING) {
			s.holders[node] |= 1 << f.i;
			s.freed[node] &= ~(1 << f.i);
			s.n_ref[node][f.i]++;
			s.attached[e] |= 1 << f.i;
			f.i++;
		} else {
			f.pc = 1;
		}
		return true;
	case 1:
		f.pc = 2;
		call(s, t, S_END, node);
		return true;
	}
	if (locked(s, f.i, t))
		return false;
	if (s.clock[f.i] < place(s, DES + node) && !NO_SYNC)
		s.clock[f.i] = place(s, DES + node);
	f.pc = 0;
	f.i++;
	return true;
}

/* object.c, drop_refs() */
static bool drop(state &s, int t, frame &f)
{
	int node = f.a, q = f.i;

	if (f.pc == 0) {
		if (locked(s, node, t))
			return false;
		if (!s.n_ref[node][q])
			fail("a reference too many is dropped");
		if (--s.n_ref[node][q] || q == node) {
			pop(s, t);
			return true;
		}
		if (!live(s, node) && s.walkers[DES + node] && !NO_ZOMBIES) {
			s.zombies[node] |= 1 << q;
			pop(s, t);
			return true;
		}
		s.holders[node] &= ~(1 << q);
		if (live(s, node)) {
			pop(s, t);
			return true;
		}
		f.pc = 1;
		return true;
	}
	if (locked(s, q, t))
		return false;
	s.ts[DES + node][q] = 0;
	s.freed[node] |= 1 << q;
	pop(s, t);
	return true;
}
