// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: the model's calls
 */
#include "tx.hh"

/* message.c, bus1_message_drop_reply(); f.i is who had the handle */
static void forget_move(state &s)
{
	if (s.r_move != NONE)
		put(s, s.r_move);
	s.r_move = NONE;
}
static bool drop_reply(state &s, int t, frame &f)
{
	int q = f.i, other = 0;

	if (f.pc == 0) {
		if (locked(s, requester, t))
			return false;
		forget_move(s);
		s.r_holder = NONE;
		if (s.r_state == R_OPEN || s.r_state == R_NEW) {
			s.r_queued = 1;
			s.r_state = R_DROPPED;
		}
		f.pc = 1;
		return true;
	}
	if (locked(s, q, t))
		return false;
	s.r_gone = 1;
	for (int p = 0; p < P; p++)
		other |= p != q && s.ts[NOTICE][p];
	if (other)
		fail("a notice is withdrawn from the queue of another");
	s.ts[NOTICE][q] = 0;
	pop(s, t);
	return true;
}

/* destroy.c, bus1_reply_end(); f.b is the message that moves the handle, f.i the holder */
static bool settle_dest(state &s, int t, frame &f)
{
	int e = f.b, to = __builtin_ctz(msg[e].dest);

	use_dests(s, e);
	if (f.pc > 2)
		return kick_steps(s, t, f, to, 2, 5, 5);
	if (locked(s, to, t))
		return false;
	if (s.step[e][to] == STAGED)
		return kick_steps(s, t, f, to, 2, 5, 5);
	if (s.step[e][to] == NEW)
		s.step[e][to] = REFUSED;
	f.pc = 5;
	return true;
}
static void end_move(state &s, int e)
{
	if (s.r_move != e)
		return;
	if (bit(s.placed, e))
		s.r_holder = s.r_target;
	forget_move(s);
}
static bool notify(state &s, int t, frame &f)
{
	int q = f.i;

	if (f.pc == 9) {
		if (locked(s, requester, t))
			return false;
		f.i = s.r_holder;
		f.pc = f.i == NONE ? 11 : 10;
		return true;
	}
	if (locked(s, q, t))
		return false;
	if (!s.r_gone && !s.r_noticed) {
		s.r_noticed = 1;
		s.begun |= 1 << NOTICE;
		s.clock[q] += 2;
		s.ts[NOTICE][q] = s.clock[q];
		s.placed |= 1 << NOTICE;
		wake_locked(s, q);
		wake_pollers(s, q);
	}
	f.pc = 11;
	return true;
}
static bool reply_end(state &s, int t, frame &f)
{
	switch (f.pc) {
	case 0:
		if (locked(s, requester, t))
			return false;
		if (bit(s.down, requester) && (s.r_state == R_OPEN || s.r_state == R_NEW))
			s.r_state = R_CANCELLING;
		if (s.r_state != R_CANCELLING) {
			pop(s, t);
			return true;
		}
		f.pc = HOLDER_FIRST ? 12 : 13;
		return true;
	case 12: /* a mutation: who the holder is is read before the move is settled */
		f.i = s.r_holder;
		f.pc = 13;
		return true;
	case 13:
		if (locked(s, requester, t))
			return false;
		f.b = s.r_move;
		f.pc = f.b == NONE ? (HOLDER_FIRST && f.i != NONE ? 10 : 9) : 1;
		if (f.b != NONE)
			get(s, f.b);
		return true;
	case 1:
		f.pc = enter(s, f.b) ? NO_KILL ? 5 : 2 : 8;
		return true;
	case 2: case 3: case 4:
		return settle_dest(s, t, f);
	case 5:
		f.pc = s.word[f.b] & 1 ? 6 : 7;
		return true;
	case 6:
		f.pc = 7;
		call(s, t, S_WALK, f.b);
		return true;
	case 7:
		f.pc = 8;
		call(s, t, S_LEAVE, f.b);
		return true;
	case 8:
		if (locked(s, requester, t))
			return false;
		end_move(s, f.b);
		put(s, f.b);
		f.pc = HOLDER_FIRST && f.i != NONE ? 10 : 9;
		return true;
	case 9: case 10:
		return notify(s, t, f);
	}
	if (locked(s, requester, t))
		return false;
	if (s.r_state == R_CANCELLING)
		s.r_state = R_CANCELLED;
	pop(s, t);
	return true;
}

static void begin(state &s, int e)
{
	s.begun |= 1 << e;
	s.causes[e] = s.known;
}
static bool reachable(const state &s, int q) { return live(s, q) && !bit(s.down, q); }

/* send.c: what is not delivered is dropped, what refused is ended; f.b refused, f.w delivered */
static bool after_commit(state &s, int t, frame &f)
{
	int e = f.a, q;

	for (q = 0; q < P; q++)
		if (bit(s.attached[e] & ~f.w, q)) {
			s.attached[e] &= ~(1 << q);
			call(s, t, S_DROP, msg[e].carry, q);
			return true;
		}
	for (; f.i < P; f.i++)
		if (bit(f.b, f.i) && !reachable(s, f.i)) {
			if (!REFUSED_NOHELP)
				call(s, t, S_END, f.i, 1);
			f.i++;
			return true;
		}
	for (q = 0; q < P; q++)
		if (bit(f.b, q) && !reachable(s, q))
			s.known |= 1 << (DES + q);
	if (bit(s.placed, e))
		s.known |= 1 << e;
	pop(s, t);
	return true;
}
static bool unicast(state &s, int t, frame &f)
{
	int e = f.a, q = __builtin_ctz(msg[e].dest);

	switch (f.pc) {
	case 0:
		begin(s, e);
		f.pc = 1;
		if (msg[e].carry != NONE)
			call(s, t, S_ATTACH, e);
		return true;
	case 1:
		if (locked(s, q, t))
			return false;
		if (!reachable(s, q)) {
			s.step[e][q] = REFUSED;
			f.b = 1 << q;
			f.pc = 4;
			return true;
		}
		s.clock[q] += 2;
		s.ts[e][q] = s.clock[q];
		s.step[e][q] = WOKEN;
		s.placed |= 1 << e;
		wake_locked(s, q);
		f.w = 1 << q;
		f.pc = 2;
		return true;
	case 2:
		wake_pollers(s, q);
		f.pc = msg[e].asks ? 3 : 4;
		return true;
	case 3: /* bus1_ask_committed() */
		if (locked(s, requester, t))
			return false;
		if (s.r_state == R_NEW)
			s.r_state = R_OPEN;
		f.pc = bit(s.down, requester) ? 5 : 4;
		if (f.pc == 5)
			call(s, t, S_REPLYEND, 0);
		return true;
	case 5: /* end_request(): the requester throws away what came, and forgets it */
		if (!FORGET_QUEUED)
			s.r_queued = 0;
		if (s.r_queued)
			fail("a reply is freed while it is queued");
		f.pc = 4;
		return true;
	}
	return after_commit(s, t, f);
}

/* reply.c, bus1_reply_move(), under the mover's local lock */
static bool begin_move(state &s, int t, frame &f)
{
	int e = f.a, from = msg[e].from;

	if (locked(s, requester, t))
		return false;
	if (s.r_state != R_OPEN && !(s.r_state == R_NEW && !NEW_SHUT)) {
		if (s.r_state == R_NEW)
			fail("the handle of a request that was received cannot be used");
		pop(s, t);
		if (s.r_state == R_CANCELLING)
			call(s, t, S_REPLYEND, 0);
		return true;
	}
	begin(s, e);
	s.local |= 1 << from;
	s.ref[e] = 2;
	s.walkers[e] = 1;
	if (s.r_move != NONE && !STALE_MOVE)
		s.r_holder = s.r_target;
	forget_move(s);
	s.r_move = e;
	get(s, e);
	s.r_target = __builtin_ctz(msg[e].dest);
	s.r_know &= ~(1 << from);
	f.pc = 1;
	return true;
}
static bool stage_dests(state &s, int t, frame &f)
{
	int e = f.a, q;

	while (f.i < P && !bit(msg[e].dest, f.i))
		f.i++;
	q = f.i;
	if (q == P) {
		f.pc = 3;
		return true;
	}
	if (locked(s, q, t))
		return false;
	use_dests(s, e);
	if (s.step[e][q] == NEW && !reachable(s, q)) {
		s.step[e][q] = REFUSED;
	} else if (s.step[e][q] == NEW) {
		if (!NO_ENTRY_REF)
			get(s, e);
		stage_entry(s, e, q);
	}
	f.i++;
	if (s.step[e][q] == REFUSED && !msg[e].cont) {
		f.pc = 6;
		f.i = 0;
	}
	return true;
}
/* Looking at a destination and at the word are separate steps. */
static bool fix_dests(state &s, int t, frame &f)
{
	int e = f.a;

	switch (f.pc) {
	case 3:
		f.w = s.word[e];
		f.i = f.b = 0;
		f.pc = 4;
		return true;
	case 4:
		while (f.i < P && !bit(msg[e].dest, f.i))
			f.i++;
		if (f.i == P) {
			f.pc = f.b ? 5 : 6;
			f.i = 0;
			return true;
		}
		if (s.step[e][f.i] != REFUSED || FIX_REFUSED)
			f.b |= 1 << f.i;
		else if (!msg[e].cont)
			f.pc = 6;
		f.i = f.pc == 6 ? 0 : f.i + 1;
		return true;
	}
	f.pc = s.word[e] == f.w || NO_RELOOK ? 7 : 3;
	if (f.pc == 7) {
		s.word[e] |= 1;
		call(s, t, S_WALK, e);
	}
	return true;
}
static bool give_up(state &s, int t, frame &f)
{
	int e = f.a, q;

	while (f.i < P && !bit(msg[e].dest, f.i))
		f.i++;
	q = f.i;
	if (q == P) {
		f.pc = 7;
		return true;
	}
	if (locked(s, q, t))
		return false;
	if (s.step[e][q] == STAGED) {
		remove_entry(s, e, q);
		wake_locked(s, q);
		s.step[e][q] = NEW;
	}
	wake_pollers(s, q);
	f.i++;
	return true;
}
static bool multicast(state &s, int t, frame &f)
{
	int e = f.a, q;

	switch (f.pc) {
	case 0:
		if (msg[e].moves) {
			if (!bit(s.r_know, msg[e].from) || bit(s.down, msg[e].from) || bit(s.local, msg[e].from))
				return false;
			return begin_move(s, t, f);
		}
		begin(s, e);
		s.ref[e] = s.walkers[e] = 1;
		f.pc = 1;
		if (msg[e].carry != NONE)
			call(s, t, S_ATTACH, e);
		return true;
	case 1: case 2:
		f.pc = 2;
		return stage_dests(s, t, f);
	case 3: case 4: case 5:
		return fix_dests(s, t, f);
	case 6:
		return give_up(s, t, f);
	case 7:
		f.w = STALE_RESULT && (s.word[e] & 1) ? f.b : 0;
		f.b = f.i = 0;
		for (q = 0; q < P; q++) {
			if (!STALE_RESULT)
				f.w |= (s.step[e][q] >= DROPPED) << q;
			f.b |= (bit(msg[e].dest, q) && s.step[e][q] == REFUSED) << q;
			if (!bit(f.w, q) && (s.ts[e][q] || s.rank[e][q]))
				fail("the sender frees what is the receiver's");
		}
		f.pc = msg[e].moves ? 8 : 9;
		call(s, t, S_LEAVE, e);
		return true;
	case 8: /* end_moves() */
		if (locked(s, requester, t))
			return false;
		if (!bit(s.placed, e))
			s.r_know |= 1 << msg[e].from;
		end_move(s, e);
		put(s, e);
		s.local &= ~(1 << msg[e].from);
		f.pc = 9;
		if (!bit(s.placed, e))
			call(s, t, S_REPLYEND, 0);
		return true;
	}
	return after_commit(s, t, f);
}

/* Rules 1, 3 and 4: all causes that come here came before. Rule 2: receivers agree. */
static void check_take(state &s, int e, int q)
{
	if (s.rank[e][q])
		fail("received twice");
	for (int c = 0; c < E; c++) {
		if (!bit(s.causes[e], c) || s.rank[c][q])
			continue;
		if (c < M && bit(msg[c].dest, q) && s.step[c][q] != REFUSED && s.step[c][q] != DROPPED)
			fail("an effect came before its cause");
		if (is_des(c) && s.n_user[c - DES][q] && is_holder(s, c - DES, q))
			fail("an effect came before the destruction that caused it");
	}
	if (e < M && s.rank[DES + q][q])
		fail("a message to a node whose owner saw it destroyed");
	if (e == NOTICE && !bit(s.r_know, q))
		fail("a notice to one who does not have the reply handle");
	if (!bit(s.placed, e) && !UNPLACED)
		fail("received before it was placed");
	s.rank[e][q] = ++s.n_taken[q];
	for (int i = 0; i < E; i++)
		for (int o = 0; o < P; o++)
			if (s.rank[i][q] && s.rank[i][o] && s.rank[e][o] && s.rank[i][o] > s.rank[e][o])
				fail("receivers disagree");
	s.known |= 1 << e;
}
static bool dead_before(const state &s, int node, int e, u8 ts)
{
	int d = DES + node;

	return bit(s.placed, d) && (place(s, d) < ts || (place(s, d) == ts && d < e));
}
static void show(state &s, int t, int e, int q, u8 ts)
{
	int node = msg[e].carry, d = DES + node;

	s.attached[e] &= ~(1 << q);
	if (dead_before(s, node, e, ts)) {
		call(s, t, S_DROP, node, q);
		return;
	}
	if (!s.n_user[node][q] && s.step[d][q] >= MOVED && !s.ts[d][q] && is_holder(s, node, q))
		s.ts[d][q] = place(s, d);
	s.n_user[node][q]++;
}
static void take(state &s, int t, int e, int q)
{
	u8 ts = s.ts[e][q];

	check_take(s, e, q);
	remove_entry(s, e, q);
	if (e >= M)
		return;
	if (msg[e].asks || msg[e].moves)
		s.r_know |= 1 << q;
	if (bit(s.attached[e], q))
		show(s, t, e, q, ts);
	else if (msg[e].carry != NONE && !dead_before(s, msg[e].carry, e, ts))
		fail("a handle is invalid before the destruction");
}
/* peer.c, bus1_peer_peek_locked(), one turn at a time; f.a is the receiver, f.b who is helped */
static bool receive(state &s, int t, frame &f)
{
	int q = f.a, e;

	if (f.pc == 1) {
		f.pc = 0;
		call(s, t, S_LEAVE, f.b);
		f.b = 0;
		return true;
	}
	if (bit(s.down, q)) {
		pop(s, t);
		return true;
	}
	if (bit(s.asleep, q) || bit(s.local, q) || locked(s, q, t))
		return false;
	if (!n_committed(s, q)) {
		s.asleep |= 1 << q;
		return true;
	}
	e = first(s, q);
	if (is_tx(e))
		use_tx(s, e);
	if (SKIP_UNPLACED && is_des(e) && !s.n_user[e - DES][q]) {
		s.ts[e][q] = 0;
		return true;
	}
	if (s.ts[e][q] & 1) {
		if (note(s, e, s.clock[q] + s.gap[e])) {
			s.ts[e][q] = s.clock[q] + s.gap[e] + 1;
			s.gap[e] = 2;
			return true;
		}
	} else if (!is_tx(e) || bit(s.placed, e) || UNPLACED) {
		if (is_des(e) && !s.n_user[e - DES][q])
			s.ts[e][q] = 0;
		else
			take(s, t, e, q);
		return true;
	}
	if (NO_HELP)
		return false;
	if (!enter(s, e)) {
		fail("somebody was over and left something");
		return true;
	}
	f.b = e;
	f.pc = 1;
	call(s, t, is_des(e) ? S_WALKDES : S_WALK, is_des(e) ? e - DES : e);
	return true;
}

/* teardown.c */
static bool drop_message(state &s, int t, frame &f)
{
	int e, q = f.a;

	if (locked(s, q, t))
		return false;
	for (e = 0; e < M && !s.ts[e][q]; e++)
		;
	if (e == M) {
		f.pc = f.pc == 5 ? 1 : 3;
		return true;
	}
	if (s.ts[e][q] & 1)
		s.step[e][q] = DROPPED;
	remove_entry(s, e, q);
	if (bit(s.attached[e], q)) {
		s.attached[e] &= ~(1 << q);
		call(s, t, S_DROP, msg[e].carry, q);
	}
	if (msg[e].asks || msg[e].moves)
		call(s, t, S_DROPREPLY, 0, q);
	return true;
}
static bool go_down(state &s, int t, frame &f)
{
	int q = f.a;

	switch (f.pc) {
	case 0:
		if (bit(s.local, q) || locked(s, q, t))
			return false;
		s.down |= 1 << q;
		s.asleep &= ~(1 << q);
		f.pc = DROP_FIRST ? 5 : 1;
		return true;
	case 1:
		f.pc = 2;
		call(s, t, S_END, q);
		return true;
	case 2: case 5:
		return drop_message(s, t, f);
	case 3:
		f.pc = 4;
		if (q == requester && s.r_state == R_OPEN)
			s.r_state = R_CANCELLING;
		/* drop_decided() */
		if (q == requester)
			s.r_queued = 0;
		if (q == requester && s.r_state == R_CANCELLING)
			call(s, t, S_REPLYEND, 0);
		return true;
	}
	if (bit(s.r_know, q)) {
		s.r_know &= ~(1 << q);
		call(s, t, S_DROPREPLY, 0, q);
		return true;
	}
	for (int node = 0; node < P; node++)
		if (node != q && s.n_user[node][q]) {
			s.n_user[node][q]--;
			call(s, t, S_DROP, node, q);
			return true;
		}
	s.ts[DES + q][q] = 0;
	s.known |= 1 << (DES + q);
	pop(s, t);
	return true;
}
static bool destroy(state &s, int t, frame &f)
{
	int node = f.a;

	switch (f.pc) {
	case 0:
		if (locked(s, node, t) || bit(s.local, node))
			return false;
		if (!live(s, node) || bit(s.down, node)) {
			pop(s, t);
			return true;
		}
		seal(s, node, false);
		f.pc = 1;
		return true;
	case 1:
		f.pc = 2;
		call(s, t, S_WALKDES, node);
		return true;
	case 2:
		f.pc = 3;
		call(s, t, S_LEAVE, DES + node);
		return true;
	}
	s.known |= 1 << (DES + node);
	pop(s, t);
	return true;
}
static bool release(state &s, int t, frame &f)
{
	int node = f.a, q = f.i;

	pop(s, t);
	if (s.n_user[node][q]) {
		s.n_user[node][q]--;
		call(s, t, S_DROP, node, q);
	}
	return true;
}
static bool cancel(state &s, int t, frame &f)
{
	if (f.pc == 0 && locked(s, requester, t))
		return false;
	pop(s, t);
	if (s.r_state == R_OPEN) {
		s.r_state = R_CANCELLING;
		call(s, t, S_REPLYEND, 0);
	}
	return true;
}

static bool step(state &s, int t)
{
	static bool (*const fns[])(state &, int, frame &) = {
		unicast, multicast, receive, go_down, destroy, release, cancel, walk,
		walk_destruction, settle, leave, end_node, attach, drop, reply_end, drop_reply };
	task &k = s.k[t];

	if (k.stalled || !k.n)
		return false;
	return fns[k.f[k.n - 1].fn](s, t, k.f[k.n - 1]);
}
