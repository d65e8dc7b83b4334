// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: tests of shares
 */

#include <linux/prandom.h>
#include <linux/sched.h>

#include "quota_test.h"

/* The first claimant gets a half, the second a third of what is left, ... */
static void shares_are_as_documented(struct kunit *test)
{
	struct fixture *f = test->priv;

	SET_LIMIT(120);
	EXPECT_TAKE(0, BUS1_FDS, 60, 0);
	EXPECT_TAKE(0, BUS1_FDS, 1, -EDQUOT);
	EXPECT_TAKE(1, BUS1_FDS, 21, -EXFULL);
	EXPECT_TAKE(1, BUS1_FDS, 20, 0);
	EXPECT_TAKE(1, BUS1_FDS, 1, -EDQUOT);
	EXPECT_TAKE(2, BUS1_FDS, 10, 0);
	/* Another resource is another matter. */
	EXPECT_TAKE(2, BUS1_BYTES, 60, 0);
	GIVE_ALL(0);
	/* Two claimants are left, one of which holds 20: (120 - 10) / 3. */
	EXPECT_TAKE(1, BUS1_FDS, 17, -EDQUOT);
	EXPECT_TAKE(1, BUS1_FDS, 16, 0);
}

static void what_never_fits_is_emsgsize(struct kunit *test)
{
	struct fixture *f = test->priv;
	enum bus1_resource r;

	SET_LIMIT(101);
	for (r = 0; r < BUS1_RESOURCES; r++) {
		EXPECT_TAKE(0, r, 51, -EMSGSIZE);
		EXPECT_TAKE(0, r, 50, 0);
		EXPECT_TAKE(0, r, 51, -EMSGSIZE);
	}
	GIVE_ALL(0);
	SET_LIMIT(INT_MAX);
	EXPECT_TAKE(0, BUS1_FDS, INT_MAX, -EMSGSIZE);
	SET_LIMIT(0);
	EXPECT_TAKE(0, BUS1_FDS, 1, -EMSGSIZE);
}

/* With one resource used up for the claimant, and another for everybody. */
static void the_worst_refusal_is_reported(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct bus1_amount both = { .of = { [BUS1_SLICES] = 1, [BUS1_FDS] = 40 } };

	SET_LIMIT(100);
	EXPECT_TAKE(0, BUS1_SLICES, 50, 0);
	EXPECT_TAKE(1, BUS1_FDS, 50, 0);
	EXPECT_TAKE(0, BUS1_SLICES, 1, -EDQUOT);
	EXPECT_TAKE(0, BUS1_FDS, 40, -EXFULL);
	KUNIT_EXPECT_EQ(test, charge_amount(&f->quota, f->users[0], &both), -EXFULL);
}

static void a_refused_charge_changes_nothing(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct bus1_amount amount = { .of = { 10, 10, 10, 11 } };
	struct bus1_quota *q = &f->quota, before;
	struct bus1_claim *claim;

	SET_LIMIT(100);
	EXPECT_TAKE(0, BUS1_FDS, 40, 0);
	claim = CLAIM(0);
	before = *q;
	KUNIT_EXPECT_EQ(test, bus1_quota_charge(q, claim, &amount), -EDQUOT);
	KUNIT_EXPECT_MEMEQ(test, q, &before, sizeof(before));
	KUNIT_EXPECT_EQ(test, claim->used.of[BUS1_SLICES], 0);
	expect_user(test, f->owner, 100);
}

static void own_use_is_bounded_by_the_limit_alone(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct bus1_quota *q = &f->quota;
	enum bus1_resource r;

	SET_LIMIT(100);
	for (r = 0; r < BUS1_RESOURCES; r++) {
		EXPECT_OWN(q, r, 101, -ENOBUFS);
		EXPECT_OWN(q, r, 100, 0);
		EXPECT_OWN(q, r, 1, -ENOBUFS);
		EXPECT_TAKE(0, r, 1, -EXFULL);
		uncharge(q, NULL, r, 40);
		/* 40 are free and nobody is a claimant, so half of that. */
		EXPECT_TAKE(0, r, 21, -EXFULL);
		EXPECT_TAKE(0, r, 20, 0);
		EXPECT_OWN(q, r, 21, -ENOBUFS);
		EXPECT_OWN(q, r, 20, 0);
		uncharge(q, NULL, r, 80);
	}
}

static void a_lowered_limit_takes_nothing_away(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct bus1_quota *q = &f->quota;
	struct bus1_amount nothing = {};

	SET_LIMIT(100);
	EXPECT_TAKE(0, BUS1_FDS, 50, 0);
	SET_LIMIT(20);
	EXPECT_TAKE(0, BUS1_FDS, 1, -EXFULL);
	EXPECT_TAKE(1, BUS1_FDS, 1, -EXFULL);
	EXPECT_OWN(q, BUS1_FDS, 1, -ENOBUFS);
	KUNIT_EXPECT_EQ(test, charge_amount(&f->quota, f->users[0], &nothing), 0);
	KUNIT_EXPECT_EQ(test, q->used.of[BUS1_FDS], 50);
	uncharge(q, CLAIM(0), BUS1_FDS, 41);
	EXPECT_TAKE(0, BUS1_FDS, 2, -EDQUOT);
	EXPECT_TAKE(0, BUS1_FDS, 1, 0);
	EXPECT_TAKE(1, BUS1_FDS, 3, 0);
}

#define N_MODEL 6

struct model {
	u32 used[N_MODEL][BUS1_RESOURCES];
	u32 max[BUS1_RESOURCES];
	struct rnd_state rnd;
};

/* The rule of abi.md and the documentation, computed from who holds what alone. */
static int model_check(const struct model *model, unsigned int claimant,
		       enum bus1_resource r, s64 c)
{
	s64 left = model->max[r], n = 0, s;
	unsigned int i;

	for (i = 0; i < N_MODEL; i++) {
		left -= model->used[i][r];
		n += model->used[i][r] > 0;
	}
	s = model->used[claimant][r];
	if (!c || (s + c) * (n + (s ? 0 : 1) + 1) <= left + s)
		return 0;
	return c * (n + 2) <= left ? -EDQUOT : -EXFULL;
}

static int model_charge(struct model *model, unsigned int claimant,
			const struct bus1_amount *amount)
{
	enum bus1_resource r;
	int err, worst = 0;

	for (r = 0; r < BUS1_RESOURCES; r++) {
		if (2 * (s64)amount->of[r] > model->max[r])
			return -EMSGSIZE;
		err = model_check(model, claimant, r, amount->of[r]);
		worst = worst == -EXFULL ? worst : err ?: worst;
	}
	for (r = 0; !worst && r < BUS1_RESOURCES; r++)
		model->used[claimant][r] += amount->of[r];
	return worst;
}

/* Usually what may fit, now and then nothing, and now and then too much. */
static u32 model_amount(struct model *model, u32 max)
{
	u32 random = prandom_u32_state(&model->rnd), scale = random % 8;

	return scale ? random / 8 % (max / (scale * scale) + 2) : 0;
}

static void model_step(struct kunit *test, struct model *model)
{
	struct fixture *f = test->priv;
	unsigned int claimant = prandom_u32_state(&model->rnd) % N_MODEL;
	bool take = prandom_u32_state(&model->rnd) % 3;
	struct bus1_amount amount;
	enum bus1_resource r;
	u32 most;
	int err;

	for (r = 0; r < BUS1_RESOURCES; r++) {
		most = take ? model->max[r] : model->used[claimant][r];
		amount.of[r] = min(model_amount(model, most), take ? INT_MAX : most);
	}
	if (take) {
		err = charge_amount(&f->quota, f->users[claimant], &amount);
		KUNIT_ASSERT_EQ(test, err, model_charge(model, claimant, &amount));
	} else if (CLAIM(claimant)) {
		bus1_quota_uncharge(&f->quota, CLAIM(claimant), &amount);
		for (r = 0; r < BUS1_RESOURCES; r++)
			model->used[claimant][r] -= amount.of[r];
	}
}

static void expect_model(struct kunit *test, struct model *model)
{
	struct fixture *f = test->priv;
	u32 sum, n, i;
	enum bus1_resource r;

	for (r = 0; r < BUS1_RESOURCES; r++) {
		for (i = n = sum = 0; i < N_MODEL; i++) {
			sum += model->used[i][r];
			n += model->used[i][r] > 0;
		}
		KUNIT_ASSERT_EQ(test, f->quota.used.of[r], sum);
		KUNIT_ASSERT_EQ(test, f->quota.n_claimants[r], n);
		n = max(sum, model->max[r]);
		KUNIT_ASSERT_EQ(test, bus1_user_reserved(f->owner, r),
				r == BUS1_BYTES ? DIV_ROUND_UP(n, 1024) : n);
	}
}

static void random_charges_follow_the_formula(struct kunit *test)
{
	static const u32 limits[] = { 1, 7, 100, 4096, SZ_16M, BUS1_LIMIT_MAX };
	struct fixture *f = test->priv;
	struct model *model = kunit_kzalloc(test, sizeof(*model), GFP_KERNEL);
	struct bus1_amount max;
	enum bus1_resource r;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, model);
	prandom_seed_state(&model->rnd, 1);
	for (i = 0; i < 30000; i++) {
		/* Limits change meanwhile, even to below what is used. */
		for (r = 0; !(i % 100) && r < BUS1_RESOURCES; r++)
			model->max[r] = max.of[r] =
				limits[(i / 100 + r) % ARRAY_SIZE(limits)];
		if (!(i % 100))
			KUNIT_ASSERT_EQ(test, bus1_quota_set_limits(&f->quota,
								    &max), 0);
		model_step(test, model);
		expect_model(test, model);
		cond_resched();
	}
}

/* The others have taken what they could, one after the other: the worst they can do. */
static void the_guarantee_holds_for_a_newcomer(struct kunit *test)
{
	static const u32 limits[] = { 2, 6, 97, 1024, 16384, SZ_16M };
	struct fixture *f = test->priv;
	unsigned int i, n;

	for (i = 0; i < ARRAY_SIZE(limits); i++) {
		SET_LIMIT(limits[i]);
		for (n = 1; n < 40; n++) {
			EXPECT_TAKE(n, BUS1_BYTES, limits[i] / (n * (n + 1)), 0);
			GIVE_ALL(n);
			take_most(f, n, BUS1_BYTES);
		}
		for (n = 1; n < 40; n++)
			GIVE_ALL(n);
	}
}

/* Others come, grow, shrink and go as they please. */
static void the_guarantee_holds_at_any_time(struct kunit *test)
{
	const unsigned int n = 8, limit = 10000, part = limit / (n * (n + 1));
	struct fixture *f = test->priv;
	struct rnd_state rnd;
	unsigned int i, user;

	SET_LIMIT(limit);
	prandom_seed_state(&rnd, 2);
	for (i = 0; i < 20000; i++) {
		user = 1 + prandom_u32_state(&rnd) % (n - 1);
		switch (prandom_u32_state(&rnd) % 4) {
		case 0:
			GIVE_ALL(user);
			break;
		case 1:
			take_most(f, user, BUS1_BYTES);
			break;
		default:
			TAKE(user, BUS1_BYTES,
			     prandom_u32_state(&rnd) % (limit / 2));
		}
		KUNIT_ASSERT_EQ(test, TAKE(0, BUS1_BYTES, part), 0);
		GIVE_ALL(0);
		cond_resched();
	}
}

/* The numbers that abi.md and the documentation promise for the default limits. */
static void the_defaults_serve_as_many_as_promised(struct kunit *test)
{
	static const u32 promises[][3] = {
		{ BUS1_SLICES, 1, 127 }, { BUS1_FDS, 1, 31 },
		{ BUS1_BYTES, SZ_64K, 15 }, { BUS1_BYTES, SZ_1M, 3 },
	};
	struct fixture *f = test->priv;
	struct bus1_amount max;
	unsigned int i, user;

	memcpy(bus1_user_max, f->user_max, sizeof(f->user_max));
	max = bus1_quota_defaults();
	KUNIT_ASSERT_EQ(test, bus1_quota_set_limits(&f->quota, &max), 0);
	for (i = 0; i < ARRAY_SIZE(promises); i++) {
		for (user = 0; user + 1 < promises[i][2]; user++)
			take_most(f, user, promises[i][0]);
		EXPECT_TAKE(user, promises[i][0], promises[i][1], 0);
		for (user = 0; user < promises[i][2]; user++)
			GIVE_ALL(user);
	}
}

#define EXPECT_SEES(_quota, _sender, _claimant) \
	KUNIT_EXPECT_PTR_EQ(test, bus1_quota_claimant(_quota, _sender, NULL), _claimant)

static void namespaces_make_no_claimants(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct user_namespace *mid = new_ns(test, f->users[0]);
	struct user_namespace *other = new_ns(test, f->users[1]);
	struct ucounts *in_mid = new_user(test, mid, UID_CLAIMANT);
	struct ucounts *in_other = new_user(test, other, UID_CLAIMANT);
	struct user_namespace *low = new_ns(test, in_mid);
	struct ucounts *in_low = new_user(test, low, UID_CLAIMANT);
	struct bus1_quota q;

	/* A receiver in the initial namespace sees who made the namespaces. */
	EXPECT_SEES(&f->quota, f->users[2], f->users[2]);
	EXPECT_SEES(&f->quota, in_mid, f->users[0]);
	EXPECT_SEES(&f->quota, in_low, f->users[0]);
	bus1_quota_init(&q, new_user(test, mid, UID_OWNER));
	EXPECT_SEES(&q, f->users[2], f->users[2]);
	EXPECT_SEES(&q, in_mid, in_mid);
	EXPECT_SEES(&q, in_low, in_mid);
	EXPECT_SEES(&q, in_other, f->users[1]);
	q.user = in_low;
	EXPECT_SEES(&q, in_mid, in_mid);
	EXPECT_SEES(&q, in_other, f->users[1]);
	bus1_quota_deinit(&q);
}

#define EXPECT_SEES_IN(_quota, _sender, _container, _claimant) \
	KUNIT_EXPECT_PTR_EQ(test, bus1_quota_claimant(_quota, _sender, _container), \
			    _claimant)

static void a_container_is_one_claimant_and_not_root(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct ucounts *root = new_user(test, &init_user_ns, 0);
	struct user_namespace *ns = new_ns(test, root), *other = new_ns(test, root);
	struct ucounts *a = new_user(test, ns, UID_CLAIMANT);
	struct ucounts *b = new_user(test, ns, UID_CLAIMANT + 1);
	struct ucounts *in_low = new_user(test, new_ns(test, a), UID_CLAIMANT + 2);
	struct ucounts *whole = new_user(test, ns, 0);
	struct ucounts *another = new_user(test, other, 0);
	struct bus1_quota q;

	EXPECT_SEES_IN(&f->quota, a, whole, whole);
	EXPECT_SEES_IN(&f->quota, b, whole, whole);
	EXPECT_SEES_IN(&f->quota, in_low, whole, whole);
	EXPECT_SEES_IN(&f->quota, another, another, another);
	EXPECT_SEES_IN(&f->quota, root, NULL, root);
	/* Inside, each user is a claimant, and a namespace beside it is one. */
	bus1_quota_init(&q, new_user(test, ns, UID_OWNER));
	EXPECT_SEES_IN(&q, a, whole, a);
	EXPECT_SEES_IN(&q, b, whole, b);
	EXPECT_SEES_IN(&q, in_low, whole, a);
	EXPECT_SEES_IN(&q, new_user(test, other, UID_CLAIMANT), another, another);
	EXPECT_SEES_IN(&q, root, NULL, root);
	bus1_quota_deinit(&q);
}

static void one_idle_claim_stays(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct bus1_quota *q = &f->quota;
	struct bus1_claim *claim, *spare;
	int references = atomic_read(&f->users[0]->count);

	EXPECT_TAKE(0, BUS1_BYTES, 8, 0);
	KUNIT_EXPECT_NULL(test, q->idle);
	claim = spare = CLAIM(0);
	KUNIT_EXPECT_PTR_EQ(test, bus1_quota_claim(q, f->users[0], &spare), claim);
	KUNIT_EXPECT_NOT_NULL(test, spare);
	uncharge(q, CLAIM(0), BUS1_BYTES, 7);
	KUNIT_EXPECT_NULL(test, q->idle);
	uncharge(q, CLAIM(0), BUS1_BYTES, 1);
	KUNIT_EXPECT_PTR_EQ(test, q->idle, claim);
	EXPECT_TAKE(0, BUS1_BYTES, 8, 0);
	KUNIT_EXPECT_PTR_EQ(test, CLAIM(0), claim);
	GIVE_ALL(0);
	KUNIT_EXPECT_PTR_EQ(test, q->idle, claim);
	KUNIT_EXPECT_EQ(test, atomic_read(&f->users[0]->count), references + 1);

	EXPECT_TAKE(1, BUS1_BYTES, 8, 0);
	GIVE_ALL(1);
	KUNIT_EXPECT_PTR_EQ(test, q->idle, CLAIM(1));
	KUNIT_EXPECT_NULL(test, CLAIM(0));
	KUNIT_EXPECT_EQ(test, atomic_read(&f->users[0]->count), references);
}

/* A claimant that is refused, or asks for nothing, costs the receiver nothing. */
static void claims_that_hold_nothing_do_not_pile_up(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct bus1_quota *q = &f->quota;
	unsigned int i;

	SET_LIMIT(10);
	for (i = 0; i < 20; i++) {
		EXPECT_TAKE(i, BUS1_FDS, i % 2 ? 6 : 0, i % 2 ? -EMSGSIZE : 0);
		KUNIT_ASSERT_NOT_NULL(test, q->idle);
		KUNIT_EXPECT_PTR_EQ(test, rb_first(&q->claims), &q->idle->rb);
		KUNIT_EXPECT_NULL(test, rb_next(&q->idle->rb));
		KUNIT_EXPECT_PTR_EQ(test, q->idle->user, f->users[i]);
	}
}

static struct kunit_case quota_cases[] = {
	KUNIT_CASE(shares_are_as_documented),
	KUNIT_CASE(what_never_fits_is_emsgsize),
	KUNIT_CASE(the_worst_refusal_is_reported),
	KUNIT_CASE(a_refused_charge_changes_nothing),
	KUNIT_CASE(own_use_is_bounded_by_the_limit_alone),
	KUNIT_CASE(a_lowered_limit_takes_nothing_away),
	KUNIT_CASE(random_charges_follow_the_formula),
	KUNIT_CASE(the_guarantee_holds_for_a_newcomer),
	KUNIT_CASE(the_guarantee_holds_at_any_time),
	KUNIT_CASE(the_defaults_serve_as_many_as_promised),
	KUNIT_CASE(namespaces_make_no_claimants),
	KUNIT_CASE(a_container_is_one_claimant_and_not_root),
	KUNIT_CASE(one_idle_claim_stays),
	KUNIT_CASE(claims_that_hold_nothing_do_not_pile_up),
	{}
};

static struct kunit_suite quota_suite = {
	.name = "bus1_quota",
	.init = quota_init,
	.exit = quota_exit,
	.test_cases = quota_cases,
};
kunit_test_suite(quota_suite);

MODULE_LICENSE("GPL");
