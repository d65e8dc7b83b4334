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

/* The first entry, if it is committed. */
static struct bus1_entry *peek(const struct bus1_queue *queue)
{
	struct bus1_entry *entry = bus1_queue_first(queue);

	return entry && !bus1_entry_staged(entry) ? entry : NULL;
}

static struct bus1_entry *take(struct bus1_queue *queue)
{
	struct bus1_entry *entry = peek(queue);

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
	KUNIT_EXPECT_NULL(test, peek(&queue));
	KUNIT_EXPECT_NULL(test, bus1_queue_after(&queue, &nowhere));
	KUNIT_EXPECT_EQ(test, queue.clock, 0);
	KUNIT_EXPECT_EQ(test, queue.n_committed, 0);
	KUNIT_EXPECT_EQ(test, entry.type, BUS1_ENTRY_RELEASE);
	KUNIT_EXPECT_FALSE(test, bus1_entry_queued(&entry));
}

/* Neither the key nor the address of an entry matters here. */
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
	bus1_queue_stage(&queue, staged, 2);
	KUNIT_EXPECT_EQ(test, staged->place.timestamp, 3);
	bus1_queue_add(&queue, &entries[2], 3);
	KUNIT_EXPECT_TRUE(test, bus1_entry_staged(staged));
	KUNIT_EXPECT_EQ(test, queue.n_committed, 2);

	KUNIT_EXPECT_PTR_EQ(test, take(&queue), &entries[0]);
	KUNIT_EXPECT_NULL(test, take(&queue));
	bus1_queue_commit(&queue, staged, 8);
	KUNIT_EXPECT_EQ(test, queue.clock, 8);
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
	KUNIT_EXPECT_NULL(test, peek(&queue));
	bus1_queue_remove(&queue, &entries[1]);
	KUNIT_EXPECT_PTR_EQ(test, take(&queue), &entries[2]);
	KUNIT_EXPECT_EQ(test, queue.n_committed, 0);
}

static void a_postponed_entry_stands_behind_the_rest(struct kunit *test)
{
	struct bus1_entry entries[4], *staged = &entries[0];
	struct bus1_queue queue;

	bus1_queue_init(&queue);
	init_entries(entries, 4);
	bus1_queue_stage(&queue, staged, 1);
	bus1_queue_add(&queue, &entries[1], 2);
	bus1_queue_stage(&queue, &entries[2], 3);
	bus1_queue_postpone(&queue, staged, 7);
	expect_caches(test, &queue);
	KUNIT_EXPECT_TRUE(test, bus1_entry_staged(staged));
	KUNIT_EXPECT_EQ(test, queue.clock, 2);
	KUNIT_EXPECT_EQ(test, queue.n_committed, 1);
	KUNIT_EXPECT_EQ(test, queue.n_entries, 3);
	KUNIT_EXPECT_PTR_EQ(test, take(&queue), &entries[1]);
	KUNIT_EXPECT_PTR_EQ(test, bus1_queue_first(&queue), &entries[2]);
	KUNIT_EXPECT_PTR_EQ(test, bus1_queue_next(&entries[2]), staged);
	bus1_queue_add(&queue, &entries[3], 4);
	KUNIT_EXPECT_PTR_EQ(test, bus1_queue_next(&entries[3]), staged);
	bus1_queue_commit(&queue, staged, 8);
	KUNIT_EXPECT_EQ(test, queue.clock, 8);
	KUNIT_EXPECT_EQ(test, queue.n_committed, 2);
	expect_caches(test, &queue);
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
	bus1_queue_stage(&queue, &entry, 1);
	KUNIT_EXPECT_EQ(test, queue.clock, 10);
	KUNIT_EXPECT_EQ(test, entry.place.timestamp, 11);
	bus1_queue_sync(&queue, 20);
	bus1_queue_commit(&queue, &entry, 12);
	KUNIT_EXPECT_EQ(test, queue.clock, 20);
	KUNIT_EXPECT_EQ(test, entry.place.timestamp, 12);
	bus1_queue_remove(&queue, &entry);
	bus1_queue_add(&queue, &entry, 1);
	KUNIT_EXPECT_EQ(test, queue.clock, 22);
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
		t = m->place.timestamp + 1;
	model->clock = max(model->clock, t);
	bus1_queue_commit(&model->queue, &m->entry, t);
	model_unlink(model, m);
	model_link(model, m, t, m->place.key, false);
}

static void model_postpone(struct model *model, struct model_entry *m)
{
	u64 t = max(model->clock, m->place.timestamp + 1) + 1 +
		2 * (prandom_u32_state(&model->rnd) % 3);

	bus1_queue_postpone(&model->queue, &m->entry, t);
	model_unlink(model, m);
	model_link(model, m, t, m->place.key, true);
}

static void model_step(struct model *model)
{
	u32 random = prandom_u32_state(&model->rnd);
	struct model_entry *m = &model->pool[random % N_MODEL];

	if (!bus1_entry_queued(&m->entry)) {
		model_insert(model, m);
	} else if (m->staged && random & BIT(20)) {
		model_commit(model, m);
	} else if (m->staged && random & BIT(21)) {
		model_postpone(model, m);
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
	KUNIT_ASSERT_PTR_EQ(test, peek(&model->queue),
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
		bus1_queue_commit(&queue, &entries[order[i]], 2 + (i & ~1U));
	}
	KUNIT_EXPECT_EQ(test, queue.n_committed, N_MANY);
	for (i = 0; i < N_MANY; i++) {
		entry = peek(&queue);
		KUNIT_ASSERT_NOT_NULL(test, entry);
		KUNIT_ASSERT_TRUE(test, bus1_place_before(&last, &entry->place));
		last = entry->place;
		bus1_queue_remove(&queue, entry);
	}
	expect_caches(test, &queue);
}

static struct kunit_case queue_cases[] = {
	KUNIT_CASE(timestamp_decides_then_key),
	KUNIT_CASE(a_new_queue_is_empty),
	KUNIT_CASE(unicasts_come_out_as_they_went_in),
	KUNIT_CASE(a_staged_entry_holds_up_what_is_behind_it),
	KUNIT_CASE(removing_a_staged_entry_uncovers_the_rest),
	KUNIT_CASE(a_postponed_entry_stands_behind_the_rest),
	KUNIT_CASE(equal_places_keep_the_order_of_commits),
	KUNIT_CASE(the_clock_never_falls),
	KUNIT_CASE(random_steps_agree_with_an_array),
	KUNIT_CASE(ten_thousand_come_out_in_order),
	{}
};

static struct kunit_suite queue_suite = {
	.name = "bus1_queue",
	.test_cases = queue_cases,
};
kunit_test_suite(queue_suite);

MODULE_LICENSE("GPL");
