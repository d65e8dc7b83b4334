// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: tests of the order of the entries of one queue
 */

#include <kunit/test.h>
#include <linux/prandom.h>
#include <linux/sched.h>

#include "queue.h"

#define N_MANY 10000

static void expect_caches(struct kunit *test, const struct bus1_queue *queue)
{
	KUNIT_EXPECT_PTR_EQ(test, rb_first(&queue->entries.rb_root),
			    rb_first_cached(&queue->entries));
	KUNIT_EXPECT_PTR_EQ(test, rb_last(&queue->entries.rb_root),
			    queue->last);
}

static struct bus1_entry *take(struct bus1_queue *queue)
{
	struct bus1_entry *entry = bus1_queue_peek(queue);

	if (entry)
		bus1_queue_remove(queue, entry);
	return entry;
}

static void init_entries(struct bus1_entry *entries, size_t n)
{
	while (n--)
		bus1_entry_init(&entries[n], BUS1_ENTRY_MESSAGE);
}

static void timestamp_decides_then_key(struct kunit *test)
{
	struct bus1_place a = { 2, 5 }, b = { 4, 1 }, c = { 4, 2 };

	KUNIT_EXPECT_TRUE(test, bus1_place_before(&a, &b));
	KUNIT_EXPECT_FALSE(test, bus1_place_before(&b, &a));
	KUNIT_EXPECT_TRUE(test, bus1_place_before(&b, &c));
	KUNIT_EXPECT_FALSE(test, bus1_place_before(&c, &b));
	KUNIT_EXPECT_FALSE(test, bus1_place_before(&b, &b));
}

static void a_new_queue_is_empty(struct kunit *test)
{
	struct bus1_place nowhere = {};
	struct bus1_queue queue;
	struct bus1_entry entry;

	bus1_queue_init(&queue);
	bus1_entry_init(&entry, BUS1_ENTRY_RELEASE);
	KUNIT_EXPECT_NULL(test, bus1_queue_peek(&queue));
	KUNIT_EXPECT_NULL(test, bus1_queue_after(&queue, &nowhere));
	KUNIT_EXPECT_EQ(test, queue.clock, 0);
	KUNIT_EXPECT_EQ(test, queue.n_committed, 0);
	KUNIT_EXPECT_EQ(test, entry.type, BUS1_ENTRY_RELEASE);
	KUNIT_EXPECT_FALSE(test, bus1_entry_queued(&entry));
}

/* Neither the key nor the address of an entry decides here. */
static void unicasts_come_out_as_they_went_in(struct kunit *test)
{
	static const unsigned int order[] = { 3, 0, 2, 1 };
	struct bus1_entry entries[ARRAY_SIZE(order)];
	struct bus1_queue queue;
	unsigned int i;

	bus1_queue_init(&queue);
	init_entries(entries, ARRAY_SIZE(entries));
	for (i = 0; i < ARRAY_SIZE(order); i++) {
		bus1_queue_add(&queue, &entries[order[i]], 10 - i);
		KUNIT_EXPECT_EQ(test, queue.clock, 2 * (i + 1));
		KUNIT_EXPECT_FALSE(test, bus1_entry_staged(&entries[order[i]]));
		expect_caches(test, &queue);
	}
	for (i = 0; i < ARRAY_SIZE(order); i++) {
		KUNIT_EXPECT_PTR_EQ(test, take(&queue), &entries[order[i]]);
		KUNIT_EXPECT_FALSE(test, bus1_entry_queued(&entries[order[i]]));
	}
}

static void a_staged_entry_holds_up_what_is_behind_it(struct kunit *test)
{
	struct bus1_entry entries[3], *staged = &entries[1];
	struct bus1_queue queue;

	bus1_queue_init(&queue);
	init_entries(entries, 3);
	bus1_queue_add(&queue, &entries[0], 1);
	KUNIT_EXPECT_EQ(test, bus1_queue_stage(&queue, staged, 2), 2);
	bus1_queue_add(&queue, &entries[2], 3);
	KUNIT_EXPECT_TRUE(test, bus1_entry_staged(staged));
	KUNIT_EXPECT_EQ(test, queue.n_committed, 2);

	KUNIT_EXPECT_PTR_EQ(test, take(&queue), &entries[0]);
	KUNIT_EXPECT_NULL(test, take(&queue));
	bus1_queue_sync(&queue, 8);
	KUNIT_EXPECT_NULL(test, take(&queue));
	bus1_queue_commit(&queue, staged, 8);
	KUNIT_EXPECT_FALSE(test, bus1_entry_staged(staged));
	KUNIT_EXPECT_EQ(test, queue.n_committed, 2);
	KUNIT_EXPECT_PTR_EQ(test, take(&queue), &entries[2]);
	KUNIT_EXPECT_PTR_EQ(test, take(&queue), staged);
	KUNIT_EXPECT_NULL(test, take(&queue));
}

static void removing_a_staged_entry_uncovers_the_rest(struct kunit *test)
{
	struct bus1_entry entries[3];
	struct bus1_queue queue;

	bus1_queue_init(&queue);
	init_entries(entries, 3);
	bus1_queue_stage(&queue, &entries[0], 1);
	bus1_queue_stage(&queue, &entries[1], 2);
	bus1_queue_add(&queue, &entries[2], 3);
	bus1_queue_remove(&queue, &entries[0]);
	KUNIT_EXPECT_FALSE(test, bus1_entry_queued(&entries[0]));
	KUNIT_EXPECT_NULL(test, bus1_queue_peek(&queue));
	bus1_queue_remove(&queue, &entries[1]);
	KUNIT_EXPECT_PTR_EQ(test, take(&queue), &entries[2]);
	KUNIT_EXPECT_EQ(test, queue.n_committed, 0);
}

/* A transaction with several entries in a queue commits them in array order. */
static void equal_places_keep_the_order_of_commits(struct kunit *test)
{
	struct bus1_entry entries[5], between;
	struct bus1_queue queue;
	unsigned int i;

	bus1_queue_init(&queue);
	init_entries(entries, ARRAY_SIZE(entries));
	bus1_entry_init(&between, BUS1_ENTRY_MESSAGE);
	for (i = 0; i < ARRAY_SIZE(entries); i++) {
		bus1_queue_stage(&queue, &entries[i], 7);
		if (i == 2)
			bus1_queue_add(&queue, &between, 9);
	}
	bus1_queue_sync(&queue, 4);
	for (i = 0; i < ARRAY_SIZE(entries); i++) {
		bus1_queue_commit(&queue, &entries[i], 4);
		expect_caches(test, &queue);
	}
	KUNIT_EXPECT_PTR_EQ(test, take(&queue), &between);
	for (i = 0; i < ARRAY_SIZE(entries); i++)
		KUNIT_EXPECT_PTR_EQ(test, take(&queue), &entries[i]);
}

static void the_clock_never_falls(struct kunit *test)
{
	struct bus1_entry entry;
	struct bus1_queue queue;

	bus1_queue_init(&queue);
	bus1_entry_init(&entry, BUS1_ENTRY_MESSAGE);
	bus1_queue_sync(&queue, 10);
	KUNIT_EXPECT_EQ(test, queue.clock, 10);
	bus1_queue_sync(&queue, 4);
	KUNIT_EXPECT_EQ(test, queue.clock, 10);
	KUNIT_EXPECT_EQ(test, bus1_queue_stage(&queue, &entry, 1), 10);
	KUNIT_EXPECT_EQ(test, entry.place.timestamp, 11);
	bus1_queue_remove(&queue, &entry);
	bus1_queue_add(&queue, &entry, 1);
	KUNIT_EXPECT_EQ(test, queue.clock, 12);
}

/*
 * A queue and what it should be: the entries in an array, in order of
 * (place, when they got there).
 */
#define N_MODEL 48

struct model_entry {
	struct bus1_entry entry;
	struct bus1_place place;
	bool staged;
};

struct model {
	struct bus1_queue queue;
	struct model_entry pool[N_MODEL];
	struct model_entry *order[N_MODEL];
	unsigned int n;
	u64 clock;
	struct rnd_state rnd;
};

static void model_link(struct model *model, struct model_entry *m, u64 timestamp,
		       unsigned long key, bool staged)
{
	unsigned int at = model->n++;

	m->place = (struct bus1_place){ timestamp, key };
	m->staged = staged;
	while (at && bus1_place_before(&m->place, &model->order[at - 1]->place)) {
		model->order[at] = model->order[at - 1];
		at--;
	}
	model->order[at] = m;
}

static void model_unlink(struct model *model, struct model_entry *m)
{
	unsigned int at = 0;

	while (model->order[at] != m)
		at++;
	model->n--;
	memmove(&model->order[at], &model->order[at + 1],
		(model->n - at) * sizeof(model->order[0]));
}

static void model_insert(struct model *model, struct model_entry *m)
{
	unsigned long key = prandom_u32_state(&model->rnd) % 4;

	if (prandom_u32_state(&model->rnd) % 2) {
		bus1_queue_add(&model->queue, &m->entry, key);
		model->clock += 2;
		model_link(model, m, model->clock, key, false);
	} else {
		bus1_queue_stage(&model->queue, &m->entry, key);
		model_link(model, m, model->clock + 1, key, true);
	}
}

static void model_commit(struct model *model, struct model_entry *m)
{
	u64 t = model->clock + 2 * (prandom_u32_state(&model->rnd) % 3);

	if (t <= m->place.timestamp)
		t += 2;
	model->clock = t;
	bus1_queue_sync(&model->queue, t);
	bus1_queue_commit(&model->queue, &m->entry, t);
	model_unlink(model, m);
	model_link(model, m, t, m->place.key, false);
}

static void model_step(struct model *model)
{
	u32 random = prandom_u32_state(&model->rnd);
	struct model_entry *m = &model->pool[random % N_MODEL];

	if (!bus1_entry_queued(&m->entry)) {
		model_insert(model, m);
	} else if (m->staged && random & BIT(20)) {
		model_commit(model, m);
	} else {
		bus1_queue_remove(&model->queue, &m->entry);
		model_unlink(model, m);
	}
}

static void expect_model(struct kunit *test, struct model *model)
{
	struct bus1_place nowhere = {};
	struct bus1_entry *entry = bus1_queue_after(&model->queue, &nowhere);
	struct model_entry *m;
	unsigned int i, n_committed = 0;

	for (i = 0; i < model->n; i++, entry = bus1_queue_next(entry)) {
		m = model->order[i];
		KUNIT_ASSERT_PTR_EQ(test, entry, &m->entry);
		KUNIT_ASSERT_EQ(test, m->staged, bus1_entry_staged(entry));
		n_committed += !m->staged;
	}
	KUNIT_ASSERT_NULL(test, entry);
	KUNIT_ASSERT_EQ(test, model->queue.n_committed, n_committed);
	KUNIT_ASSERT_EQ(test, model->queue.clock, model->clock);
	m = model->n && !model->order[0]->staged ? model->order[0] : NULL;
	KUNIT_ASSERT_PTR_EQ(test, bus1_queue_peek(&model->queue),
			    m ? &m->entry : NULL);
	expect_caches(test, &model->queue);
}

/* Around a random entry, or beyond all of them. */
static void expect_after(struct kunit *test, struct model *model)
{
	struct bus1_place place = { model->clock + 4, 0 };
	struct bus1_entry *expect = NULL;
	unsigned int i;

	if (model->n) {
		i = prandom_u32_state(&model->rnd) % model->n;
		place = model->order[i]->place;
		place.key += prandom_u32_state(&model->rnd) % 3;
		place.key -= !!place.key;
	}
	for (i = model->n; i > 0; i--)
		if (bus1_place_before(&place, &model->order[i - 1]->place))
			expect = &model->order[i - 1]->entry;
	KUNIT_ASSERT_PTR_EQ(test, bus1_queue_after(&model->queue, &place),
			    expect);
}

static void random_steps_agree_with_an_array(struct kunit *test)
{
	struct model *model = kunit_kzalloc(test, sizeof(*model), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, model);
	prandom_seed_state(&model->rnd, 0x627573);
	bus1_queue_init(&model->queue);
	for (i = 0; i < N_MODEL; i++)
		bus1_entry_init(&model->pool[i].entry, BUS1_ENTRY_MESSAGE);
	for (i = 0; i < 20000; i++) {
		model_step(model);
		expect_model(test, model);
		expect_after(test, model);
		cond_resched();
	}
}

static void shuffle(unsigned int *order, unsigned int n)
{
	struct rnd_state rnd;
	unsigned int i, k;

	prandom_seed_state(&rnd, n);
	for (i = 0; i < n; i++) {
		k = prandom_u32_state(&rnd) % (i + 1);
		order[i] = order[k];
		order[k] = i;
	}
}

static void ten_thousand_come_out_in_order(struct kunit *test)
{
	struct bus1_entry *entries, *entry;
	struct bus1_place last = {};
	struct bus1_queue queue;
	unsigned int i, *order;

	entries = kunit_kcalloc(test, N_MANY, sizeof(*entries), GFP_KERNEL);
	order = kunit_kcalloc(test, N_MANY, sizeof(*order), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, entries);
	KUNIT_ASSERT_NOT_NULL(test, order);
	bus1_queue_init(&queue);
	init_entries(entries, N_MANY);
	shuffle(order, N_MANY);

	for (i = 0; i < N_MANY; i++)
		bus1_queue_stage(&queue, &entries[i], order[i]);
	for (i = 0; i < N_MANY; i++) {
		/* Pairs of equal timestamps: the key has to decide. */
		bus1_queue_sync(&queue, 2 + (i & ~1U));
		bus1_queue_commit(&queue, &entries[order[i]], 2 + (i & ~1U));
	}
	KUNIT_EXPECT_EQ(test, queue.n_committed, N_MANY);
	for (i = 0; i < N_MANY; i++) {
		entry = bus1_queue_peek(&queue);
		KUNIT_ASSERT_NOT_NULL(test, entry);
		KUNIT_ASSERT_TRUE(test, bus1_place_before(&last, &entry->place));
		last = entry->place;
		bus1_queue_remove(&queue, entry);
	}
	expect_caches(test, &queue);
}

/*
 * All interleavings of a few events on two queues, whose receivers take
 * whatever they can as soon as they can. That is the hardest case: a queue that
 * would give out a lower place later is caught.
 *
 * Whatever begins after an event is known is a possible reaction to it, by the
 * bus or past it. An event is known once it has been taken anywhere or its call
 * has returned.
 */
#define N_RECEIVERS	2
#define N_EVENTS	4
#define N_STEPS		16

enum step { STAGE, FIX, SYNC, COMMIT, ADD, FLUSH };

/* What the checks are shown to catch. */
enum flaw { SOUND, NO_SYNC, KEY_PER_QUEUE };

struct action {
	enum step step;
	unsigned int queue;
};

/*
 * Queues from N_RECEIVERS on belong to senders that receive nothing. A flush
 * removes what the first event has staged on a queue.
 */
#define MULTICAST(_a, _b, _sender) {				\
	{ STAGE, _a }, { STAGE, _b }, { FIX, _sender },		\
	{ SYNC, _a }, { SYNC, _b }, { COMMIT, _a }, { COMMIT, _b } }
#define N_MULTICAST 7

struct scenario {
	const char *name;
	struct action actions[N_EVENTS][N_MULTICAST];
	unsigned long keys[N_EVENTS];
};

static const unsigned int n_actions[N_EVENTS] = { N_MULTICAST, N_MULTICAST, 1, 1 };

static const struct scenario scenarios[] = {
	{
		.name = "two multicasts and two unicasts",
		.actions = { MULTICAST(0, 1, 2), MULTICAST(0, 1, 3),
			     { { ADD, 0 } }, { { ADD, 1 } } },
		.keys = { 1, 2, 3, 4 },
	}, {
		.name = "in opposite directions",
		.actions = { MULTICAST(0, 1, 2), MULTICAST(1, 0, 3),
			     { { ADD, 0 } }, { { ADD, 1 } } },
		.keys = { 4, 3, 2, 1 },
	}, {
		.name = "from the receivers",
		.actions = { MULTICAST(0, 1, 1), MULTICAST(1, 0, 0),
			     { { ADD, 1 } }, { { ADD, 1 } } },
		.keys = { 2, 3, 1, 4 },
	}, {
		.name = "and a flush",
		.actions = { MULTICAST(0, 1, 2), MULTICAST(1, 0, 3),
			     { { FLUSH, 0 } }, { { ADD, 1 } } },
		.keys = { 3, 4, 1, 2 },
	},
};

struct event {
	struct bus1_entry entries[N_RECEIVERS];
	unsigned int done, began, known;
	u64 timestamp;
	unsigned int rank[N_RECEIVERS];
};

struct world {
	const struct scenario *scenario;
	enum flaw flaw;
	unsigned int now;
	struct bus1_queue queues[N_RECEIVERS + 2];
	struct event events[N_EVENTS];
	unsigned int n_taken[N_RECEIVERS];
	bool descended;
	struct bus1_place last[N_RECEIVERS];
};

static void world_init(struct world *world, const struct scenario *scenario,
		       enum flaw flaw)
{
	unsigned int i;

	memset(world, 0, sizeof(*world));
	world->scenario = scenario;
	world->flaw = flaw;
	for (i = 0; i < ARRAY_SIZE(world->queues); i++)
		bus1_queue_init(&world->queues[i]);
	for (i = 0; i < N_EVENTS; i++) {
		init_entries(world->events[i].entries, N_RECEIVERS);
		world->events[i].known = UINT_MAX;
	}
}

static void stage(struct world *world, struct event *event, unsigned int at,
		  unsigned long key)
{
	u64 clock;

	if (world->flaw == KEY_PER_QUEUE && at)
		key = ULONG_MAX - key;
	clock = bus1_queue_stage(&world->queues[at], &event->entries[at], key);
	event->timestamp = max(event->timestamp, clock);
}

/* Without the sync step a commit is only told its own queue's part of it. */
static void act(struct world *world, unsigned int e, struct action action)
{
	unsigned int at = action.queue;
	struct bus1_queue *queue = &world->queues[at];
	struct event *event = &world->events[e];

	switch (action.step) {
	case STAGE:
		stage(world, event, at, world->scenario->keys[e]);
		break;
	case FIX:
		event->timestamp = max(event->timestamp, queue->clock) + 2;
		bus1_queue_sync(queue, event->timestamp);
		break;
	case SYNC:
		if (world->flaw != NO_SYNC)
			bus1_queue_sync(queue, event->timestamp);
		break;
	case COMMIT:
		if (world->flaw == NO_SYNC)
			bus1_queue_sync(queue, event->timestamp);
		if (bus1_entry_queued(&event->entries[at]))
			bus1_queue_commit(queue, &event->entries[at],
					  event->timestamp);
		break;
	case ADD:
		bus1_queue_add(queue, &event->entries[at],
			       world->scenario->keys[e]);
		break;
	case FLUSH:
		if (bus1_entry_staged(&world->events[0].entries[at]))
			bus1_queue_remove(queue, &world->events[0].entries[at]);
		break;
	}
}

static struct event *event_of(struct world *world, struct bus1_entry *entry,
			      unsigned int at)
{
	struct event *event = world->events;

	while (&event->entries[at] != entry)
		event++;
	return event;
}

static void take_all(struct world *world, unsigned int at)
{
	struct bus1_entry *entry;
	struct event *event;

	while ((entry = bus1_queue_peek(&world->queues[at]))) {
		event = event_of(world, entry, at);
		event->known = min(event->known, world->now);
		event->rank[at] = ++world->n_taken[at];
		world->descended |= !bus1_place_before(&world->last[at],
						       &entry->place);
		world->last[at] = entry->place;
		bus1_queue_remove(&world->queues[at], entry);
	}
}

static void play(struct world *world, const u8 *schedule, unsigned int n)
{
	struct event *event;
	struct action action;
	unsigned int e;

	for (; world->now < n; world->now++) {
		e = schedule[world->now];
		event = &world->events[e];
		action = world->scenario->actions[e][event->done];
		if (!event->done++)
			event->began = world->now;
		act(world, e, action);
		if (action.queue < N_RECEIVERS)
			take_all(world, action.queue);
		if (event->done == n_actions[e])
			event->known = min(event->known, world->now);
	}
}

static bool taken_before(const struct event *a, const struct event *b,
			 unsigned int at)
{
	return a->rank[at] && a->rank[at] < b->rank[at];
}

/* Rules 1 and 3: whoever knows of @a and then does @b is received after @a. */
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
	const struct event *a, *b, *end = world->events + N_EVENTS;
	unsigned int i;

	for (a = world->events; a < end; a++) {
		for (b = world->events; b < end; b++) {
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
		play(world, schedule, n);
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

static void without_sync_a_reaction_overtakes(struct kunit *test)
{
	struct breaches found = {};

	play_all(test, &scenarios[0], NO_SYNC, &found);
	KUNIT_EXPECT_EQ(test, found.schedules, N_SCHEDULES);
	KUNIT_EXPECT_GT(test, found.reactions, 0);
}

static void with_a_key_per_queue_receivers_differ(struct kunit *test)
{
	struct breaches found = {};

	play_all(test, &scenarios[0], KEY_PER_QUEUE, &found);
	KUNIT_EXPECT_EQ(test, found.schedules, N_SCHEDULES);
	KUNIT_EXPECT_GT(test, found.agreement, 0);
	KUNIT_EXPECT_EQ(test, found.reactions, 0);
}

static struct kunit_case queue_cases[] = {
	KUNIT_CASE(timestamp_decides_then_key),
	KUNIT_CASE(a_new_queue_is_empty),
	KUNIT_CASE(unicasts_come_out_as_they_went_in),
	KUNIT_CASE(a_staged_entry_holds_up_what_is_behind_it),
	KUNIT_CASE(removing_a_staged_entry_uncovers_the_rest),
	KUNIT_CASE(equal_places_keep_the_order_of_commits),
	KUNIT_CASE(the_clock_never_falls),
	KUNIT_CASE(random_steps_agree_with_an_array),
	KUNIT_CASE(ten_thousand_come_out_in_order),
	KUNIT_CASE_PARAM_ATTR(receivers_agree_and_causes_come_first,
			      scenario_gen_params, { .speed = KUNIT_SPEED_SLOW }),
	KUNIT_CASE_SLOW(without_sync_a_reaction_overtakes),
	KUNIT_CASE_SLOW(with_a_key_per_queue_receivers_differ),
	{}
};

static struct kunit_suite queue_suite = {
	.name = "bus1_queue",
	.test_cases = queue_cases,
};
kunit_test_suite(queue_suite);

MODULE_LICENSE("GPL");
