// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: tests of transactions that anybody can finish
 */

#include <kunit/test.h>
#include <linux/sched.h>

#include "limits.h"
#include "tx.h"

static void no_walk(struct bus1_tx *tx)
{
}

static void no_end(struct bus1_tx *tx)
{
}

static void a_new_transaction_is_open(struct kunit *test)
{
	struct bus1_tx tx;

	bus1_tx_init(&tx, no_walk, no_end);
	KUNIT_EXPECT_EQ(test, bus1_tx_read(&tx), 0);
	KUNIT_EXPECT_FALSE(test, bus1_tx_is_fixed(&tx));
	KUNIT_EXPECT_FALSE(test, bus1_tx_is_placed(&tx));
}

static void noting_only_raises(struct kunit *test)
{
	struct bus1_tx tx;

	bus1_tx_init(&tx, no_walk, no_end);
	KUNIT_EXPECT_TRUE(test, bus1_tx_note(&tx, 8));
	KUNIT_EXPECT_EQ(test, bus1_tx_read(&tx), 8);
	KUNIT_EXPECT_TRUE(test, bus1_tx_note(&tx, 4));
	KUNIT_EXPECT_EQ(test, bus1_tx_read(&tx), 8);
	KUNIT_EXPECT_TRUE(test, bus1_tx_note(&tx, 10));
	KUNIT_EXPECT_EQ(test, bus1_tx_read(&tx), 10);
}

static void the_timestamp_is_above_what_was_noted(struct kunit *test)
{
	struct bus1_place place;
	struct bus1_tx tx;

	bus1_tx_init(&tx, no_walk, no_end);
	bus1_tx_note(&tx, 6);
	KUNIT_EXPECT_TRUE(test, bus1_tx_fix(&tx, 6));
	KUNIT_EXPECT_TRUE(test, bus1_tx_is_fixed(&tx));
	place = bus1_tx_get_place(&tx);
	KUNIT_EXPECT_EQ(test, place.timestamp, 8);
	KUNIT_EXPECT_EQ(test, place.key, (unsigned long)&tx);
}

static void a_change_makes_the_fix_fail(struct kunit *test)
{
	struct bus1_tx tx;
	u64 word;

	bus1_tx_init(&tx, no_walk, no_end);
	word = bus1_tx_read(&tx);
	bus1_tx_note(&tx, 2);
	KUNIT_EXPECT_FALSE(test, bus1_tx_fix(&tx, word));
	word = bus1_tx_read(&tx);
	KUNIT_EXPECT_TRUE(test, bus1_tx_touch(&tx));
	KUNIT_EXPECT_FALSE(test, bus1_tx_fix(&tx, word));
	KUNIT_EXPECT_FALSE(test, bus1_tx_is_fixed(&tx));
	KUNIT_EXPECT_TRUE(test, bus1_tx_fix(&tx, bus1_tx_read(&tx)));
	KUNIT_EXPECT_EQ(test, bus1_tx_get_place(&tx).timestamp, 6);
}

static void nothing_changes_what_is_fixed(struct kunit *test)
{
	struct bus1_queue queue;
	struct bus1_entry entry;
	struct bus1_tx tx;

	bus1_queue_init(&queue);
	bus1_entry_init(&entry, BUS1_ENTRY_MESSAGE);
	bus1_tx_init(&tx, no_walk, no_end);
	bus1_tx_stage(&tx, &queue, &entry);
	KUNIT_EXPECT_TRUE(test, bus1_tx_fix(&tx, 0));
	KUNIT_EXPECT_FALSE(test, bus1_tx_note(&tx, 100));
	KUNIT_EXPECT_FALSE(test, bus1_tx_touch(&tx));
	bus1_queue_sync(&queue, 10);
	KUNIT_EXPECT_FALSE(test, bus1_tx_postpone(&tx, &queue, &entry));
	KUNIT_EXPECT_EQ(test, entry.place.timestamp, 1);
	KUNIT_EXPECT_EQ(test, bus1_tx_get_place(&tx).timestamp, 2);
}

static void each_postponement_goes_farther(struct kunit *test)
{
	struct bus1_queue queue;
	struct bus1_entry entry;
	struct bus1_tx tx;
	u64 gap = 0;
	int i;

	bus1_queue_init(&queue);
	bus1_entry_init(&entry, BUS1_ENTRY_MESSAGE);
	bus1_tx_init(&tx, no_walk, no_end);
	bus1_tx_stage(&tx, &queue, &entry);
	for (i = 0; i < 30; i++) {
		bus1_queue_sync(&queue, entry.place.timestamp + 1);
		KUNIT_ASSERT_TRUE(test, bus1_tx_postpone(&tx, &queue, &entry));
		KUNIT_EXPECT_EQ(test, entry.place.timestamp,
				queue.clock + gap + 1);
		KUNIT_EXPECT_EQ(test, bus1_tx_read(&tx), queue.clock + gap);
		gap = clamp_t(u64, 2 * gap, 2, BUS1_GAP_MAX);
	}
	KUNIT_EXPECT_EQ(test, gap, BUS1_GAP_MAX);
}

/* If the other queue was far ahead, the place does not change. */
static void a_postponement_may_change_nothing_but_the_entry(struct kunit *test)
{
	struct bus1_queue queue;
	struct bus1_entry entry;
	struct bus1_tx tx;

	bus1_queue_init(&queue);
	bus1_entry_init(&entry, BUS1_ENTRY_MESSAGE);
	bus1_tx_init(&tx, no_walk, no_end);
	bus1_tx_stage(&tx, &queue, &entry);
	bus1_tx_note(&tx, 100);
	bus1_queue_sync(&queue, 2);
	KUNIT_EXPECT_TRUE(test, bus1_tx_postpone(&tx, &queue, &entry));
	KUNIT_EXPECT_EQ(test, entry.place.timestamp, 3);
	KUNIT_EXPECT_TRUE(test, bus1_tx_fix(&tx, 100));
	bus1_tx_move(&tx, &queue, &entry);
	KUNIT_EXPECT_EQ(test, entry.place.timestamp, 102);
	KUNIT_EXPECT_EQ(test, queue.clock, 102);
}

struct counted {
	struct bus1_tx tx;
	unsigned int walks, ends;
};

static void count_walk(struct bus1_tx *tx)
{
	container_of(tx, struct counted, tx)->walks++;
}

static void count_end(struct bus1_tx *tx)
{
	container_of(tx, struct counted, tx)->ends++;
}

static void the_last_walker_ends_it(struct kunit *test)
{
	struct counted counted = {};

	bus1_tx_init(&counted.tx, count_walk, count_end);
	KUNIT_ASSERT_TRUE(test, bus1_tx_enter(&counted.tx));
	bus1_tx_leave(&counted.tx);
	KUNIT_EXPECT_EQ(test, counted.ends, 0);
	KUNIT_ASSERT_TRUE(test, bus1_tx_enter(&counted.tx));
	bus1_tx_help(&counted.tx);
	KUNIT_EXPECT_EQ(test, counted.walks, 1);
	KUNIT_EXPECT_EQ(test, counted.ends, 0);
	bus1_tx_help(&counted.tx);
	KUNIT_EXPECT_EQ(test, counted.walks, 2);
	KUNIT_EXPECT_EQ(test, counted.ends, 1);
	KUNIT_EXPECT_FALSE(test, bus1_tx_enter(&counted.tx));
}

/*
 * All interleavings of a few events on two queues. Most receivers take whatever they
 * can as soon as they can, which is the hardest case: a queue that would give out a
 * lower place later is caught. They postpone what is staged in front, and finish what
 * is fixed, as bus1_recv_peek_locked() does.
 *
 * Whatever begins after an event is known is a possible reaction to it, by the
 * bus or past it. An event is known once it has been taken anywhere or its call
 * has returned.
 */
#define N_RECEIVERS	2
#define N_EVENTS	4
#define N_STEPS		16

enum step { STAGE, LOOK, FIX, MOVE, PLACE, ADD, KICK, TAKE };

/**
 * enum flaw - what the checks are shown to catch
 * @SOUND:	nothing
 * @KEY_PER_QUEUE: the key is not the same in each queue
 * @UNPLACED:	a receiver takes what is moved and not placed
 * @BLIND_FIX:	the author does not look again after a postponement
 * @NOT_NOTED:	a receiver that postpones does not note the clock
 * @NO_HELP:	a receiver leaves what is fixed to its author
 */
enum flaw { SOUND, KEY_PER_QUEUE, UNPLACED, BLIND_FIX, NOT_NOTED, NO_HELP };

struct action {
	enum step step;
	unsigned int queue;
};

/* A kick takes back what the first event has staged on a queue and not fixed. */
#define MULTICAST(_a, _b) {						\
	{ STAGE, _a }, { STAGE, _b }, { LOOK, _a }, { FIX, _a },	\
	{ MOVE, _a }, { MOVE, _b }, { PLACE, _a } }
#define N_MULTICAST 7

/*
 * The key of a multicast is its address, so the key of the second is higher. @swapped
 * turns that round. Receivers that are @late take only in a step of their own.
 */
struct scenario {
	const char *name;
	struct action actions[N_EVENTS][N_MULTICAST];
	unsigned long keys[N_EVENTS];
	bool swapped;
	bool late;
};

static const unsigned int n_actions[N_EVENTS] = { N_MULTICAST, N_MULTICAST, 1, 1 };

static const struct scenario scenarios[] = {
	{
		.name = "two multicasts and two unicasts",
		.actions = { MULTICAST(0, 1), MULTICAST(0, 1),
			     { { ADD, 0 } }, { { ADD, 1 } } },
		.keys = { 0, 0, ULONG_MAX - 1, ULONG_MAX },
	}, {
		.name = "in opposite directions",
		.actions = { MULTICAST(0, 1), MULTICAST(1, 0),
			     { { ADD, 0 } }, { { ADD, 1 } } },
		.keys = { 0, 0, 2, 1 },
		.swapped = true,
	}, {
		.name = "to one of the receivers",
		.actions = { MULTICAST(0, 1), MULTICAST(1, 0),
			     { { ADD, 1 } }, { { ADD, 1 } } },
		.keys = { 0, 0, 1, ULONG_MAX },
	}, {
		.name = "and a kick",
		.actions = { MULTICAST(0, 1), MULTICAST(1, 0),
			     { { KICK, 0 } }, { { ADD, 1 } } },
		.keys = { 0, 0, 0, 1 },
	}, {
		.name = "to receivers that come late",
		.actions = { MULTICAST(0, 1), MULTICAST(0, 1),
			     { { TAKE, 0 } }, { { ADD, 1 } } },
		.keys = { 0, 0, 0, 1 },
		.late = true,
	},
};

struct world;

struct event {
	struct world *world;
	struct bus1_tx tx;
	struct bus1_entry entries[N_RECEIVERS];
	unsigned int done, began, known;
	u64 word;
	unsigned int rank[N_RECEIVERS];
};

struct world {
	const struct scenario *scenario;
	enum flaw flaw;
	unsigned int now;
	struct bus1_queue queues[N_RECEIVERS];
	struct event of[N_EVENTS];
	unsigned int n_taken[N_RECEIVERS];
	bool descended;
	struct bus1_place last[N_RECEIVERS];
};

static struct event *event_at(struct world *world, unsigned int e)
{
	return &world->of[world->scenario->swapped && e < 2 ? 1 - e : e];
}

/* A flaw may make the timestamp lower than the queue allows. */
static void move(struct event *event, unsigned int at)
{
	struct bus1_queue *queue = &event->world->queues[at];
	struct bus1_entry *entry = &event->entries[at];
	struct bus1_place place = bus1_tx_get_place(&event->tx);

	if (!bus1_entry_staged(entry))
		return;
	place.key = entry->place.key;
	if (place.timestamp > entry->place.timestamp) {
		bus1_tx_move(&event->tx, queue, entry);
		return;
	}
	bus1_queue_remove(queue, entry);
	bus1_queue_insert(queue, entry, &place);
}

static void walk_event(struct bus1_tx *tx)
{
	struct event *event = container_of(tx, struct event, tx);
	unsigned int at;

	for (at = 0; at < N_RECEIVERS; at++)
		move(event, at);
	bus1_tx_place(tx);
}

static void world_init(struct world *world, const struct scenario *scenario,
		       enum flaw flaw)
{
	unsigned int i, at;

	memset(world, 0, sizeof(*world));
	world->scenario = scenario;
	world->flaw = flaw;
	for (i = 0; i < ARRAY_SIZE(world->queues); i++)
		bus1_queue_init(&world->queues[i]);
	for (i = 0; i < N_EVENTS; i++) {
		world->of[i].world = world;
		bus1_tx_init(&world->of[i].tx, walk_event, no_end);
		for (at = 0; at < N_RECEIVERS; at++)
			bus1_entry_init(&world->of[i].entries[at],
					BUS1_ENTRY_MESSAGE);
		world->of[i].known = UINT_MAX;
	}
}

static void stage(struct world *world, struct event *event, unsigned int at)
{
	struct bus1_queue *queue = &world->queues[at];
	struct bus1_entry *entry = &event->entries[at];

	if (world->flaw != KEY_PER_QUEUE || !at) {
		bus1_tx_stage(&event->tx, queue, entry);
		return;
	}
	entry->tx = &event->tx;
	bus1_queue_stage(queue, entry, ULONG_MAX - (unsigned long)&event->tx);
	bus1_tx_note(&event->tx, queue->clock);
}

/* The author looks again immediately; more in between is another schedule. */
static void fix(struct world *world, struct event *event)
{
	if (bus1_tx_fix(&event->tx, event->word))
		return;
	if (world->flaw == BLIND_FIX)
		atomic64_set(&event->tx.word, event->word | 1);
	else
		bus1_tx_fix(&event->tx, bus1_tx_read(&event->tx));
}

static void kick(struct world *world, unsigned int at)
{
	struct event *event = event_at(world, 0);

	if (bus1_entry_staged(&event->entries[at]) && bus1_tx_touch(&event->tx))
		bus1_queue_remove(&world->queues[at], &event->entries[at]);
}

static bool postpone(struct world *world, unsigned int at,
		     struct bus1_entry *entry)
{
	struct bus1_queue *queue = &world->queues[at];

	if (world->flaw != NOT_NOTED || bus1_tx_is_fixed(entry->tx))
		return bus1_tx_postpone(entry->tx, queue, entry);
	bus1_queue_postpone(queue, entry, queue->clock + 1);
	return true;
}

static bool is_due(struct world *world, const struct bus1_entry *entry)
{
	return !bus1_entry_staged(entry) &&
	       (!entry->tx || world->flaw == UNPLACED ||
		bus1_tx_is_placed(entry->tx));
}

/* See bus1_recv_peek_locked(). */
static struct bus1_entry *peek(struct world *world, unsigned int at)
{
	struct bus1_queue *queue = &world->queues[at];
	struct bus1_entry *entry;

	while (queue->n_committed) {
		entry = bus1_queue_first(queue);
		if (is_due(world, entry))
			return entry;
		if (bus1_entry_staged(entry) && postpone(world, at, entry))
			continue;
		if (world->flaw == NO_HELP)
			break;
		if (bus1_tx_enter(entry->tx))
			bus1_tx_help(entry->tx);
	}
	return NULL;
}

static struct event *event_of(struct world *world, struct bus1_entry *entry,
			      unsigned int at)
{
	struct event *event = world->of;

	while (&event->entries[at] != entry)
		event++;
	return event;
}

static void take_all(struct world *world, unsigned int at)
{
	struct bus1_entry *entry;
	struct event *event;

	while ((entry = peek(world, at))) {
		event = event_of(world, entry, at);
		event->known = min(event->known, world->now);
		event->rank[at] = ++world->n_taken[at];
		world->descended |= !bus1_place_before(&world->last[at],
						       &entry->place);
		world->last[at] = entry->place;
		bus1_queue_remove(&world->queues[at], entry);
	}
}

static void act(struct world *world, unsigned int e, struct action action)
{
	struct event *event = event_at(world, e);
	unsigned int at = action.queue;

	switch (action.step) {
	case STAGE:
		stage(world, event, at);
		break;
	case LOOK:
		event->word = bus1_tx_read(&event->tx);
		break;
	case FIX:
		fix(world, event);
		break;
	case MOVE:
		move(event, at);
		break;
	case PLACE:
		bus1_tx_place(&event->tx);
		break;
	case ADD:
		bus1_queue_add(&world->queues[at], &event->entries[at],
			       world->scenario->keys[e]);
		break;
	case KICK:
		kick(world, at);
		break;
	case TAKE:
		take_all(world, at);
		break;
	}
}

static void play_step(struct world *world, unsigned int e)
{
	struct event *event = event_at(world, e);
	struct action action = world->scenario->actions[e][event->done];

	if (!event->done++)
		event->began = world->now;
	act(world, e, action);
	if (!world->scenario->late) {
		take_all(world, 0);
		take_all(world, 1);
	}
	if (event->done == n_actions[e])
		event->known = min(event->known, world->now);
	world->now++;
}

static bool taken_before(const struct event *a, const struct event *b,
			 unsigned int at)
{
	return a->rank[at] && a->rank[at] < b->rank[at];
}

/* Rules 1 and 3: what begins, as @b, once @a is known is received after @a. */
static bool reaction_overtakes(const struct event *a, const struct event *b)
{
	return a->known < b->began &&
	       (taken_before(b, a, 0) || taken_before(b, a, 1));
}

/* Rule 2. */
static bool receivers_differ(const struct event *a, const struct event *b)
{
	return taken_before(a, b, 0) && taken_before(b, a, 1);
}

struct breaches {
	u32 reactions, agreement, descents, stuck, schedules;
};

static void find_breaches(const struct world *world, struct breaches *found)
{
	const struct event *a, *b, *end = world->of + N_EVENTS;
	unsigned int i;

	for (a = world->of; a < end; a++) {
		for (b = world->of; b < end; b++) {
			found->reactions += reaction_overtakes(a, b);
			found->agreement += receivers_differ(a, b);
		}
	}
	found->descents += world->descended;
	for (i = 0; i < N_RECEIVERS; i++)
		found->stuck += !RB_EMPTY_ROOT(&world->queues[i].entries.rb_root);
	found->schedules++;
}

/* The next permutation in lexical order; equal elements are not told apart. */
static bool next_schedule(u8 *schedule, unsigned int n)
{
	unsigned int i = n - 1, j = n - 1, k;

	while (i && schedule[i - 1] >= schedule[i])
		i--;
	if (!i)
		return false;
	while (schedule[j] <= schedule[i - 1])
		j--;
	swap(schedule[i - 1], schedule[j]);
	for (k = n - 1; i < k; i++, k--)
		swap(schedule[i], schedule[k]);
	return true;
}

static void play_all(struct kunit *test, const struct scenario *scenario,
		     enum flaw flaw, struct breaches *found)
{
	struct world *world = kunit_kzalloc(test, sizeof(*world), GFP_KERNEL);
	unsigned int n = 0, e, i;
	u8 schedule[N_STEPS];

	KUNIT_ASSERT_NOT_NULL(test, world);
	for (e = 0; e < N_EVENTS; e++)
		for (i = 0; i < n_actions[e]; i++)
			schedule[n++] = e;
	KUNIT_ASSERT_EQ(test, n, N_STEPS);
	do {
		world_init(world, scenario, flaw);
		for (i = 0; i < n; i++)
			play_step(world, schedule[i]);
		take_all(world, 0);
		take_all(world, 1);
		find_breaches(world, found);
		if (!(found->schedules % 1024))
			cond_resched();
	} while (next_schedule(schedule, n));
}

/* 16! / (7! 7!) schedules. */
#define N_SCHEDULES 823680

static void scenario_name(const struct scenario *scenario, char *name)
{
	strscpy(name, scenario->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(scenario, scenarios, scenario_name);

static void receivers_agree_and_causes_come_first(struct kunit *test)
{
	struct breaches found = {};

	play_all(test, test->param_value, SOUND, &found);
	KUNIT_EXPECT_EQ(test, found.schedules, N_SCHEDULES);
	KUNIT_EXPECT_EQ(test, found.reactions, 0);
	KUNIT_EXPECT_EQ(test, found.agreement, 0);
	KUNIT_EXPECT_EQ(test, found.descents, 0);
	KUNIT_EXPECT_EQ(test, found.stuck, 0);
}

static void with_a_key_per_queue_receivers_differ(struct kunit *test)
{
	struct breaches found = {};

	play_all(test, &scenarios[4], KEY_PER_QUEUE, &found);
	KUNIT_EXPECT_EQ(test, found.schedules, N_SCHEDULES);
	KUNIT_EXPECT_GT(test, found.agreement, 0);
}

static void before_it_is_placed_a_reaction_overtakes(struct kunit *test)
{
	struct breaches found = {};

	play_all(test, &scenarios[1], UNPLACED, &found);
	KUNIT_EXPECT_EQ(test, found.schedules, N_SCHEDULES);
	KUNIT_EXPECT_GT(test, found.reactions, 0);
}

static void a_fix_that_does_not_look_again_is_too_low(struct kunit *test)
{
	struct breaches found = {};

	play_all(test, &scenarios[0], BLIND_FIX, &found);
	KUNIT_EXPECT_EQ(test, found.schedules, N_SCHEDULES);
	KUNIT_EXPECT_GT(test, found.descents, 0);
	KUNIT_EXPECT_GT(test, found.agreement, 0);
}

static void a_postponement_that_is_not_noted_is_lost(struct kunit *test)
{
	struct breaches found = {};

	play_all(test, &scenarios[0], NOT_NOTED, &found);
	KUNIT_EXPECT_EQ(test, found.schedules, N_SCHEDULES);
	KUNIT_EXPECT_GT(test, found.descents, 0);
	KUNIT_EXPECT_GT(test, found.agreement, 0);
}

/* The author of a multicast stops for ever after any of its steps. */
static unsigned int play_stopped(struct kunit *test, unsigned int n_done,
				 enum flaw flaw)
{
	struct world *world = kunit_kzalloc(test, sizeof(*world), GFP_KERNEL);
	unsigned int taken;

	KUNIT_ASSERT_NOT_NULL(test, world);
	world_init(world, &scenarios[0], flaw);
	while (n_done--)
		play_step(world, 0);
	play_step(world, 2);
	play_step(world, 3);
	taken = !!world->of[2].rank[0] + !!world->of[3].rank[1];
	KUNIT_EXPECT_EQ(test, !world->of[0].rank[0], !world->of[0].rank[1]);
	return taken;
}

static void who_stops_holds_up_nobody(struct kunit *test)
{
	unsigned int n;

	for (n = 0; n <= N_MULTICAST; n++)
		KUNIT_EXPECT_EQ(test, play_stopped(test, n, SOUND), 2);
}

static void without_help_who_stops_holds_up_everybody(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, play_stopped(test, 4, NO_HELP), 0);
}

static struct kunit_case tx_cases[] = {
	KUNIT_CASE(a_new_transaction_is_open),
	KUNIT_CASE(noting_only_raises),
	KUNIT_CASE(the_timestamp_is_above_what_was_noted),
	KUNIT_CASE(a_change_makes_the_fix_fail),
	KUNIT_CASE(nothing_changes_what_is_fixed),
	KUNIT_CASE(each_postponement_goes_farther),
	KUNIT_CASE(a_postponement_may_change_nothing_but_the_entry),
	KUNIT_CASE(the_last_walker_ends_it),
	KUNIT_CASE_PARAM_ATTR(receivers_agree_and_causes_come_first,
			      scenario_gen_params, { .speed = KUNIT_SPEED_SLOW }),
	KUNIT_CASE_SLOW(with_a_key_per_queue_receivers_differ),
	KUNIT_CASE_SLOW(before_it_is_placed_a_reaction_overtakes),
	KUNIT_CASE_SLOW(a_fix_that_does_not_look_again_is_too_low),
	KUNIT_CASE_SLOW(a_postponement_that_is_not_noted_is_lost),
	KUNIT_CASE(who_stops_holds_up_nobody),
	KUNIT_CASE(without_help_who_stops_holds_up_everybody),
	{}
};

static struct kunit_suite tx_suite = {
	.name = "bus1_tx",
	.test_cases = tx_cases,
};
kunit_test_suite(tx_suite);

MODULE_LICENSE("GPL");
