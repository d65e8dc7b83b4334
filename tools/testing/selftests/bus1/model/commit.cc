// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: a model of the commit protocol as it is built
 *
 * Explores interleavings of a few calls. Each step is what happens under one peer's data lock,
 * or one access that others can see without it: the word of a transaction, the step of a destination, @placed,
 * @walkers. The functions have the names, and the order of steps, of those in kernel/ipc/bus1: tx.hh has tx.c, commit.c
 * (walk, kick), destroy.c, attach.c and drop_refs(), calls.hh the calls: send.c, peer.c (peek), teardown.c,
 * reply.c. A program and no Promela, since its state has three stacks of helpers in a task: spin takes far
 * longer for it, and this way it can be read beside the code.
 *
 *	g++ -O2 -std=c++17 -o commit commit.cc
 *	./commit SCENARIO			every interleaving, up to -n STATES
 *	./commit SCENARIO -r WALKS		some at random
 *	... -k N				any N tasks stop for ever, at any step
 *	... -p					the receivers poll
 *	... -MUTATION				a flaw, which has to be noticed
 *	... -v					shows how it came to what is reported
 *	./run					all of it: soundness, then each mutation
 *
 * Checked: receivers agree (rule 2), causes come first, by the bus or past it, refusals too (rules 1, 3, 4);
 * each thing is received once; no wake is lost; no call waits for one that stopped, but for its own peer's;
 * nothing of a transaction, its destinations or a handle is used after it was freed, or left; a handle
 * is invalid exactly if its node's end is placed before; no message comes after its node's owner saw the end; the notice of a
 * cancellation comes to exactly the one who has the reply handle; what is staged is below the place, and fixed once.
 *
 * Mutations:
 * QUEUE_KEY		another key in each queue
 * UNPLACED		a receiver takes what is moved and not placed
 * NO_RELOOK		a fix that failed is tried again without a look at the destinations
 * FIX_REFUSED		the author does not look for refusals
 * STALE_RESULT		what became of a destination is read before the fix
 * REFUSED_LATE		REFUSED is stored after the touch
 * NO_TOUCH		a kick does not touch the word
 * NO_NOTE		a postponement does not raise the word
 * WAKE_AFTER		who moves wakes after unlocking, on his own
 * WAKE_FRONT		who moves wakes only if the front is committed
 * PLACE_UNWOKEN	who finds something MOVED does not wake who polls
 * NO_HELP		a receiver leaves what is fixed to its author
 * SETTLE_LATE		messages are settled after the notices are staged
 * NO_SETTLE		not at all
 * FIX_UNSEEN		a helper fixes a destruction without having seen all staged
 * BURY_EARLY		zombies are freed while somebody walks
 * NO_ZOMBIES		handles are freed at once
 * NO_SYNC		who attaches to a dead node does not tell the would-be holder's clock
 * ATTACH_DYING		holders are added to a dying node
 * REFUSED_NOHELP	who was refused returns before that destruction is placed
 * NO_SEAL		nobody but its owner ends the node of a peer that is down
 * DROP_FIRST		a peer that goes down drops what is staged before it settles it
 * SKIP_UNPLACED	a notice that counts for nobody is dropped while it is staged
 * NO_ENTRY_REF		a queued entry does not keep its transaction
 * FREE_DESTS		the first who leaves frees the destinations
 * STALE_MOVE		a second move does not note that the first one arrived
 * NO_KILL		who cancels does not take the message back
 * HOLDER_FIRST		who cancels reads the holder before settling the move
 * FORGET_QUEUED	who asked and went down meanwhile forgets a reply that is queued
 * NEW_SHUT		the holder does not take NEW for OPEN
 *
 * Not in it: two destinations of one transaction at one peer, several nodes in one destruction, the notice that nobody
 * refers to a node, local locks but a mover's, weak memory (the steps are sequentially consistent).
 *
 * What was run. Every interleaving, with nobody stopped and with one: let, pair, kick, kickskip, end, hold, cancel,
 * cancelask, canceldown, cancelasker, cancelnode, cancelback (18 thousand to 3.8 million states; polling, too; the
 * first six with two stopped); with nobody stopped: side (0.7 million), ownerdown (3.4 million). The others were not
 * exhausted. All 32 scenarios at random with WALKS=8000, five ways each: 59 million steps. Nothing was found but in
 * FORGET_QUEUED; each of the 30 mutations is noticed.
 */
#include "calls.hh"

/* Who polls may miss what nobody can know of: its author has not told it yet. */
static int n_due(const state &s, int q)
{
	int n = 0;

	for (int e = 0; e < E; e++)
		n += s.ts[e][q] && !(s.ts[e][q] & 1) &&
		     (!pollers || bit(s.known, e) || (is_tx(e) && bit(s.placed, e)));
	return n;
}

/* Nothing can go on: all has been done, but for what is stopped. */
static void check_task(const state &s, int t, bool stalled)
{
	const task &k = s.k[t];
	int q = start[t].a;

	if (!k.n || k.stalled)
		return;
	/* The peer's own calls may wait for the one of them that stopped. */
	if (stalled && (bit(s.local, q) || (k.f[0].fn == F_MC && bit(s.local, msg[q].from))))
		return;
	if (k.f[0].fn == F_MC && msg[q].moves && !k.f[0].pc)
		return;
	if (k.f[0].fn != F_RECV || k.n > 1 || !bit(s.asleep, q))
		fail("a call cannot finish");
	else if (n_due(s, q))
		fail("a receiver sleeps though something is due");
}
static void check_end(const state &s)
{
	bool stalled = false;
	int n;

	for (int t = 0; t < n_tasks; t++)
		stalled |= s.k[t].stalled;
	for (int t = 0; t < n_tasks; t++)
		check_task(s, t, stalled);
	for (int q = 0; q < P; q++) {
		bool receives = false;
		for (int t = 0; t < n_tasks; t++)
			receives |= start[t].fn == F_RECV && start[t].a == q && !s.k[t].stalled && s.k[t].n;
		if (!receives || bit(s.down, q) || bit(s.local, q))
			continue;
		for (int e = 0; e < M; e++)
			if (bit(s.placed, e) && bit(msg[e].dest, q) && s.step[e][q] >= MOVED && !s.rank[e][q] && (!pollers || n_due(s, q)))
				fail("placed and not received");
		for (int d = 0; d < P; d++)
			if (bit(s.placed, DES + d) && s.n_user[d][q] && is_holder(s, d, q) && !s.rank[DES + d][q])
				fail("a holder got no notice");
		if (s.r_state == R_CANCELLED && bit(s.r_know, q) && !s.rank[NOTICE][q] && !bit(s.down, requester))
			fail("who has the reply handle got no notice");
	}
	for (int e = 0; e < NOTICE && !stalled; e++) {
		n = 0;
		for (int q = 0; q < P; q++)
			n += s.ts[e][q] != 0;
		if (e < M && is_tx(e) && s.ref[e] != n + (s.r_move == e))
			fail("a reference is left");
		if (s.walkers[e])
			fail("a walker is left");
		if (is_des(e) && s.zombies[e - DES])
			fail("a zombie is left");
	}
}

/* Fingerprints of what was seen; the lowest bit says that it is on the stack. */
static std::vector<uint64_t> seen(1 << 20);
static uint64_t n_states, n_ends, max_states = 3000000;
static uint64_t print(const state &s)
{
	const u8 *p = (const u8 *)&s;
	uint64_t h = 0x9e3779b97f4a7c15ull, w;

	for (size_t i = 0; i < sizeof(s); i += 8) {
		w = 0;
		memcpy(&w, p + i, sizeof(s) - i < 8 ? sizeof(s) - i : 8);
		h = (h ^ w) * 0xff51afd7ed558ccdull;
		h ^= h >> 32;
		h *= 0xc4ceb9fe1a85ec53ull;
		h ^= h >> 29;
	}
	h &= ~1ull;
	return h ? h : 2;
}
static uint64_t *slot(uint64_t h)
{
	uint64_t mask = seen.size() - 1, i = ((h >> 1) ^ (h >> 24)) & mask;

	while (seen[i] && (seen[i] & ~1ull) != h)
		i = (i + 1) & mask;
	return &seen[i];
}
static void grow()
{
	std::vector<uint64_t> old;

	old.swap(seen);
	seen.assign(old.size() * 2, 0);
	for (uint64_t v : old)
		if (v)
			*slot(v & ~1ull) = v;
}

struct node { state s; int next; bool any; };
static std::vector<node> path;
static bool try_step(node &at, state &s)
{
	int t = at.next++;

	s = at.s;
	if (t < n_tasks) {
		if (!step(s, t))
			return false;
		at.any = true;
		return true;
	}
	t -= n_tasks;
	/* Who holds a spin lock is not stopped for ever; who has not begun is only late. */
	for (int q = 0; q < P; q++)
		if (s.lock[q] == t + 1)
			return false;
	if (!may_stall[t] || s.k[t].stalled || !s.k[t].n || (s.k[t].n == 1 && !s.k[t].f[0].pc))
		return false;
	s.k[t].stalled = 1;
	return true;
}
static void explore(const state &init)
{
	state s;

	path.push_back({ init, 0, false });
	*slot(print(init)) = print(init) | 1;
	while (!path.empty() && !bad && n_states < max_states) {
		node &at = path.back();
		int n = 0;
		for (int t = 0; t < n_tasks; t++)
			n += at.s.k[t].stalled;
		if (at.next == n_tasks * (n < n_stalls ? 2 : 1)) {
			if (!at.any) {
				n_ends++;
				check_end(at.s);
			}
			if (bad)
				break;
			*slot(print(at.s)) &= ~1ull;
			path.pop_back();
			continue;
		}
		if (!try_step(at, s))
			continue;
		uint64_t h = print(s), *p = slot(h);
		if (*p & 1)
			fail("steps without end");
		if (*p && !bad)
			continue;
		*p = h | 1;
		path.push_back({ s, 0, false });
		if (++n_states * 2 > seen.size())
			grow();
	}
}

/* One interleaving at random after the other: finds soon what a search finds late. */
static uint64_t seed = 1;
static unsigned int pick(unsigned int n)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (seed >> 33) % n;
}
static void wander(const state &init, uint64_t n_walks)
{
	for (; n_walks && !bad; n_walks--) {
		int n_stopped = 0, quiet = 0;
		path.assign(1, { init, 0, false });
		/* Each walk has tasks that it prefers, so that others stand still for long. */
		unsigned int slow = pick(1 << n_tasks);
		while (!bad && quiet < 64 && path.size() < 5000) {
			int t = pick(n_tasks), stop = n_stopped < n_stalls && !pick(24);
			if (bit(slow & 255, t & 7) && pick(8))
				continue;
			node &at = path.back();
			state s;
			at.next = t + (stop ? n_tasks : 0);
			if (!try_step(at, s)) {
				quiet += !stop;
				continue;
			}
			quiet = 0;
			n_stopped += stop;
			n_states++;
			path.push_back({ s, 0, false });
		}
		bool any = false;
		for (int t = 0; t < n_tasks && !bad; t++) {
			state s = path.back().s;
			any |= step(s, t);
		}
		if (path.size() == 5000)
			fail("steps without end");
		n_ends += !any;
		if (!any && !bad)
			check_end(path.back().s);
	}
	if (!bad)
		path.assign(1, { init, 0, false });
}

static void add(fn f, u8 a, u8 i = 0, bool stall = true) { may_stall[n_tasks] = stall; start[n_tasks++] = { (u8)f, 0, a, i, 0, 0 }; }
static void send(int e, u8 dest, u8 from, u8 carry = NONE, bool cont = false)
{
	msg[e] = { dest, from, carry, cont, false, false };
	add(dest & (dest - 1) ? F_MC : F_UNI, e);
}
static void hold(state &s, int node, u8 holders)
{
	for (int q = 0; q < P; q++)
		if (bit(holders, q) && q != node)
			s.n_ref[node][q] = s.n_user[node][q] = 1;
	s.holders[node] |= holders;
}
static void move_reply(int e, u8 to, u8 from) { msg[e] = { (u8)(1 << to), from, NONE, false, true, false }; add(F_MC, e); }
static void receivers(u8 mask) { for (int q = 0; q < P; q++) if (bit(mask, q)) add(F_RECV, q); }
static bool scenario(const std::string &n, state &s)
{
	memset(&s, 0, sizeof(s));
	for (int e = 0; e < M; e++)
		msg[e].carry = NONE;
	for (int q = 0; q < P; q++)
		s.holders[q] = 1 << q;
	for (int q = 0; q < P; q++)
		s.n_user[q][q] = 1;
	s.r_move = s.r_holder = NONE;
	requester = 2;
	/* Small enough for every interleaving. */
	if (n == "pair") { send(0, 3, 2); send(1, 1, 1); receivers(3); }
	else if (n == "kick") { hold(s, 2, 1); send(0, 6, 0); receivers(3); add(F_DESTROY, 2); }
	else if (n == "kickskip") { send(0, 6, 0, NONE, true); receivers(6); add(F_DESTROY, 2); }
	else if (n == "end") { hold(s, 2, 1); send(0, 6, 0); receivers(1); add(F_DOWN, 2); }
	else if (n == "hold") { send(0, 3, 2, 2); receivers(2); add(F_DESTROY, 2); }
	else if (n == "let") { hold(s, 2, 3); receivers(3); add(F_DESTROY, 2); add(F_RELEASE, 2, 1); }
	else if (n == "two") { send(0, 3, 2); send(1, 3, 0); send(2, 1, 1); receivers(3); }
	else if (n == "ring") { send(0, 3, 2); send(1, 6, 0); send(2, 5, 1); receivers(7); }
	else if (n == "side") { send(0, 3, 1); send(1, 1, 1); send(2, 2, 0); receivers(3); }
	else if (n == "down") { send(0, 3, 2); send(1, 3, 0); send(2, 1, 2); receivers(3); add(F_DOWN, 1); }
	else if (n == "refuse") { send(0, 7, 2); send(1, 1, 2); send(2, 2, 2); receivers(3); add(F_DOWN, 2); }
	else if (n == "skip") { hold(s, 2, 1); send(0, 7, 0, NONE, true); send(1, 1, 1); receivers(3); add(F_DESTROY, 2); }
	else if (n == "node") { hold(s, 2, 3); send(0, 6, 0); send(1, 1, 1); receivers(7); add(F_DESTROY, 2); }
	else if (n == "nodeuni") { hold(s, 2, 3); send(0, 4, 0); send(1, 1, 1); send(2, 2, 0); receivers(7); add(F_DESTROY, 2); }
	else if (n == "ahead") { hold(s, 2, 1); send(0, 6, 0); send(1, 2, 1); send(2, 1, 1); receivers(7); add(F_DESTROY, 2); }
	else if (n == "attach") { hold(s, 2, 1); send(0, 2, 0, 2); send(1, 1, 1); send(2, 2, 0); receivers(3); add(F_DESTROY, 2); }
	else if (n == "attachmc") { hold(s, 2, 1); send(0, 3, 2, 2); send(1, 2, 0); receivers(3); add(F_DESTROY, 2); }
	else if (n == "ownerdown") { hold(s, 2, 3); send(0, 4, 0); send(1, 2, 0); receivers(3); add(F_DOWN, 2); }
	else if (n == "ownerdown2") { hold(s, 2, 1); send(0, 6, 0); send(1, 1, 1, 2); receivers(3); add(F_DOWN, 2); }
	else if (n == "release") { hold(s, 2, 3); send(0, 3, 2); receivers(3); add(F_DESTROY, 2); add(F_RELEASE, 2, 1); add(F_RELEASE, 2, 0); }
	else if (n == "release2") { hold(s, 2, 3); send(0, 2, 2, 2); send(1, 4, 0); receivers(7); add(F_DESTROY, 2); add(F_RELEASE, 2, 1); }
	else if (n == "both") { hold(s, 2, 3); send(0, 3, 2); send(1, 1, 1); receivers(3); add(F_DESTROY, 2); }
	else if (n == "holderdown") { hold(s, 2, 3); send(0, 1, 0); send(1, 3, 2, 2); receivers(3); add(F_DESTROY, 2); add(F_DOWN, 1); }
	else if (n.compare(0, 6, "cancel") == 0) {
		s.r_state = R_OPEN;
		s.r_holder = 0;
		s.r_know = 1;
		move_reply(0, 1, 0);
		add(F_CANCEL, 0);
		receivers(3);
		if (n == "cancelback") { move_reply(1, 0, 1); send(2, 2, 2); }
		else if (n == "canceldown") add(F_DOWN, 1);
		else if (n == "canceldown2") { add(F_DOWN, 0); send(2, 2, 2); }
		else if (n == "cancelnode") add(F_DESTROY, 1);
		else if (n == "cancelasker") add(F_DOWN, 2);
		else if (n == "cancelask") { s.r_state = R_NEW; s.r_know = 0; msg[1] = { 1, 2, NONE, false, false, true }; add(F_UNI, 1); }
		else if (n == "cancelaskdown") {
			s.r_state = R_NEW; s.r_know = 0;
			msg[1] = { 1, 2, NONE, false, false, true };
			add(F_UNI, 1); add(F_DOWN, 2); add(F_DOWN, 0);
		}
		else if (n == "cancelmc") { send(1, 3, 2); }
		else if (n != "cancel") return false;
	} else {
		return false;
	}
	for (int t = 0; t < n_tasks; t++) {
		s.k[t].f[0] = start[t];
		s.k[t].n = 1;
	}
	return true;
}

static void show_state(const state &s)
{
	for (int q = 0; q < P; q++) {
		printf("  %d: clock %d%s%s%s", q, s.clock[q], bit(s.down, q) ? " down" : "", bit(s.asleep, q) ? " asleep" : "", s.lock[q] ? " locked" : "");
		for (int e = 0; e < E; e++)
			if (s.ts[e][q] || s.step[e][q])
				printf(" e%d@%d:%d", e, s.ts[e][q], s.step[e][q]);
	}
	for (int e = 0; e < NOTICE; e++)
		if (s.word[e] || s.walkers[e])
			printf("  e%d word %d walkers %d ref %d%s", e, s.word[e], s.walkers[e], s.ref[e], bit(s.placed, e) ? " placed" : "");
	printf("  reply %d at %d move %d know %x\n", s.r_state, s.r_holder, s.r_move, s.r_know);
}
int main(int argc, char **argv)
{
	static const char *const fn_names[] = { "unicast", "multicast", "receive", "down", "destroy", "release", "cancel" };
	std::string name, flaws;
	bool trace = false;
	uint64_t n_walks = 0;
	state init;

	for (int i = 1; i < argc; i++) {
		std::string a = argv[i];
		if (a == "-k" && i + 1 < argc)
			n_stalls = atoi(argv[++i]);
		else if (a == "-n" && i + 1 < argc)
			max_states = strtoull(argv[++i], nullptr, 0);
		else if (a == "-r" && i + 1 < argc)
			n_walks = strtoull(argv[++i], nullptr, 0);
		else if (a == "-p")
			pollers = true;
		else if (a == "-v")
			trace = true;
#define X(m) else if (a == "-" #m) { m = true; flaws += " " #m; }
		MUTATIONS
#undef X
		else
			name = a;
	}
	if (!scenario(name, init)) {
		fprintf(stderr, "%s: no such scenario or option\n", name.c_str());
		return 2;
	}
	if (n_walks)
		wander(init, n_walks);
	else
		explore(init);
	for (size_t i = 0; trace && bad && i < path.size(); i++) {
		int t = i ? path[i - 1].next - 1 : 0;
		if (i)
			printf("%s%s %d\n", t >= n_tasks ? "STOPS: " : "", fn_names[start[t % n_tasks].fn], start[t % n_tasks].a);
		show_state(path[i].s);
	}
	printf("%s%s%s, %d stop:%s %llu states, %llu ends: %s\n", name.c_str(), pollers ? ", polling" : "", "", n_stalls, flaws.c_str(),
	       (unsigned long long)n_states, (unsigned long long)n_ends, bad ? bad : path.empty() ? "ok" : "ok so far");
	return bad ? 1 : 0;
}
