/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1: a model of the commit protocol, for spin
 *
 *	spin -run -safety order.pml		has to end with "errors: 0"
 *	spin -DNO_SYNC -run -safety order.pml	has to find a cause that comes late
 *	spin -DNO_STAGE -run -safety order.pml	has to find receivers that disagree
 *	spin -DQUEUE_KEY -run -safety order.pml	the same
 *	spin -DNO_WAKE -run -safety order.pml	has to find a receiver that sleeps on
 *
 * The steps and their letters are those of ipc/bus1/queue.c, "order"; the rules
 * are those of section 2 of the ABI. Each atomic step is what happens under the
 * lock of one queue. Two multicasts, which are sent from a third queue and from
 * a receiver, race with two unicasts, with a receiver that flushes, and with
 * receivers that take when they like. Whoever knows of an event may begin
 * another, so every event is a reaction to all that is known when it begins.
 */

#define QUEUES	3
#define EVENTS	4
#define NOBODY	255

/* Of each entry: 0 if it is in no queue, odd staged, even committed. */
#define TS(q, e)	timestamp[(q) * EVENTS + (e)]
/* When it was taken: 0 not yet, else 1, 2, ... in its queue. */
#define RANK(q, e)	rank[(q) * EVENTS + (e)]
#define DEST(q, e)	((dest[e] >> (q)) & 1)

#ifdef QUEUE_KEY
#define KEY(q, e)	((q) & 1 -> EVENTS - (e) : (e))
#else
#define KEY(q, e)	(e)
#endif

byte timestamp[QUEUES * EVENTS];
byte rank[QUEUES * EVENTS];
byte clock[QUEUES];
byte n_taken[QUEUES];
/* Whether the receiver was told that it can take an entry. */
bool ready[QUEUES];
/* To which queues an event goes; an entry that is flushed is taken out. */
byte dest[EVENTS];
/* What was known when an event began, and what is known now. */
byte causes[EVENTS];
byte known;
byte n_done;

/* Of use within one step only, so that they are no part of the state. */
hidden byte i, o, first;

/* The first entry of a queue, staged or not. */
inline find_first(q, first)
{
	first = NOBODY;
	i = 0;
	do
	:: i < EVENTS ->
		if
		:: TS(q, i) == 0
		:: TS(q, i) != 0 && first == NOBODY -> first = i
		:: TS(q, i) != 0 && first != NOBODY ->
			if
			:: TS(q, i) < TS(q, first) ||
			   (TS(q, i) == TS(q, first) && KEY(q, i) < KEY(q, first)) ->
				first = i
			:: else
			fi
		fi;
		i++
	:: else -> break
	od
}

inline tell(q)
{
	find_first(q, first);
	ready[q] = (first != NOBODY && TS(q, first) % 2 == 0)
}

/* Rule 1, 3 and 4: all causes that come here came before. */
inline check_causes(q, e)
{
	i = 0;
	do
	:: i < EVENTS ->
		assert(!((causes[e] >> i) & 1) || !DEST(q, i) || RANK(q, i) != 0);
		i++
	:: else -> break
	od
}

/* Rule 2: whoever has taken both has taken them in this order. */
inline check_agreement(q, e)
{
	i = 0;
	do
	:: i < EVENTS ->
		o = 0;
		do
		:: o < QUEUES ->
			assert(i == e || RANK(q, i) == 0 || RANK(o, i) == 0 ||
			       RANK(o, e) == 0 || RANK(o, i) < RANK(o, e));
			o++
		:: else -> break
		od;
		i++
	:: else -> break
	od
}

inline raise(clk, to)
{
	if
	:: clk < to -> clk = to
	:: else
	fi
}

inline stage(q, e)
{
#ifndef NO_STAGE
	TS(q, e) = clock[q] + 1;
	tell(q);
#endif
	raise(t, clock[q])
}

/* An entry that was flushed meanwhile is dropped. */
inline commit(q, e)
{
#ifdef NO_SYNC
	raise(clock[q], t);
#endif
	if
	:: DEST(q, e) ->
		TS(q, e) = t;
		tell(q)
	:: else
	fi
}

inline begin(e, destinations)
{
	causes[e] = known;
	dest[e] = destinations
}

inline finish(e)
{
	known = known | (1 << e);
	n_done++
}

/* To @a and @b in this order, from @from. */
proctype multicast(byte e, a, b, from)
{
	byte t = 0;

	d_step {
		begin(e, (1 << a) | (1 << b));
		stage(a, e)
	}
	d_step { stage(b, e) }
	d_step {
		raise(t, clock[from]);
		t = t + 2;
		clock[from] = t
	}
#ifndef NO_SYNC
	d_step { raise(clock[a], t) }
	d_step { raise(clock[b], t) }
#endif
	d_step { commit(a, e) }
	d_step { commit(b, e) }
	d_step { finish(e) }
}

proctype unicast(byte e, q)
{
	d_step {
		begin(e, 1 << q);
		clock[q] = clock[q] + 2;
		TS(q, e) = clock[q];
		tell(q)
	}
	d_step { finish(e) }
}

/* Drops what is staged. Whoever drops the first entry uncovers the next. */
proctype flush(byte q)
{
	d_step {
		i = 0;
		do
		:: i < EVENTS ->
			if
			:: TS(q, i) % 2 == 1 ->
				TS(q, i) = 0;
				dest[i] = dest[i] & ~(1 << q)
			:: else
			fi;
			i++
		:: else -> break
		od;
#ifndef NO_WAKE
		tell(q);
#endif
		n_done++
	}
}

inline take(q, e)
{
	check_causes(q, e);
	n_taken[q]++;
	RANK(q, e) = n_taken[q];
	check_agreement(q, e);
	known = known | (1 << e);
	TS(q, e) = 0;
	tell(q)
}

proctype receiver(byte q)
{
	byte e;

end:
	do
	:: d_step {
		ready[q] ->
		find_first(q, e);
		take(q, e);
		e = 0
	   }
	od
}

/* At the end nothing waits, and everything that was not flushed was taken. */
active proctype monitor()
{
	byte q = 0, e;

	atomic {
		run receiver(0);
		run receiver(1);
		run multicast(0, 0, 1, 2);
		run multicast(1, 1, 0, 0);
		run unicast(2, 0);
		run unicast(3, 1);
		run flush(1)
	}
	timeout;
	assert(n_done == EVENTS + 1);
	do
	:: q < QUEUES ->
		e = 0;
		do
		:: e < EVENTS ->
			assert(!DEST(q, e) || RANK(q, e) != 0);
			e++
		:: else -> break
		od;
		q++
	:: else -> break
	od
}
