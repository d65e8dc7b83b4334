// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: tests of users, limits and shares
 */

#include <kunit/test.h>
#include <linux/cred.h>
#include <linux/prandom.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/user_namespace.h>

#include "quota.h"

/* Users that nobody else in this kernel is. */
#define UID_OWNER	1700000000
#define UID_CLAIMANT	1700001000
#define N_CLAIMANTS	128

static const enum rlimit_type counts[BUS1_RESOURCES] = {
	[BUS1_SLICES] = UCOUNT_RLIMIT_BUS1_SLICES,
	[BUS1_HANDLES] = UCOUNT_RLIMIT_BUS1_HANDLES,
	[BUS1_BYTES] = UCOUNT_RLIMIT_BUS1_BYTES,
	[BUS1_FDS] = UCOUNT_RLIMIT_BUS1_FDS,
};

struct fixture {
	struct bus1_quota quota;
	struct ucounts *owner;
	struct ucounts *users[N_CLAIMANTS];
	unsigned int user_max[BUS1_RESOURCES];
};

KUNIT_DEFINE_ACTION_WRAPPER(drop_user, put_ucounts, struct ucounts *);

static struct ucounts *new_user(struct kunit *test, struct user_namespace *ns,
				uid_t uid)
{
	struct ucounts *user = alloc_ucounts(ns, KUIDT_INIT(uid));

	KUNIT_ASSERT_NOT_NULL(test, user);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, drop_user, user), 0);
	return user;
}

/* What the rooms use of a namespace; the test holds the last reference. */
static struct user_namespace *new_ns(struct kunit *test, struct ucounts *owner)
{
	struct user_namespace *ns = kunit_kzalloc(test, sizeof(*ns), GFP_KERNEL);

	if (!IS_ENABLED(CONFIG_USER_NS))
		kunit_skip(test, "needs CONFIG_USER_NS");
	KUNIT_ASSERT_NOT_NULL(test, ns);
	refcount_set(&ns->ns.count, 1);
	ns->parent = owner->ns;
	ns->level = owner->ns->level + 1;
	ns->owner = owner->uid;
	ns->ucounts = owner;
	return ns;
}

static struct bus1_amount only(enum bus1_resource r, u32 n)
{
	struct bus1_amount amount = {};

	amount.of[r] = n;
	return amount;
}

static void set_limit(struct bus1_quota *quota, u32 limit)
{
	enum bus1_resource r;

	for (r = 0; r < BUS1_RESOURCES; r++)
		quota->max.of[r] = limit;
}

static struct bus1_claim *get_claim(struct kunit *test, struct bus1_quota *quota,
				    struct ucounts *user)
{
	struct bus1_claim *spare = bus1_claim_new(user, GFP_KERNEL), *claim;

	KUNIT_ASSERT_NOT_NULL(test, spare);
	claim = bus1_quota_claim(quota, user, &spare);
	bus1_claim_free(spare);
	return claim;
}

static int charge(struct kunit *test, struct bus1_quota *quota,
		  struct ucounts *user, enum bus1_resource r, u32 n)
{
	struct bus1_amount amount = only(r, n);

	return bus1_quota_charge(quota, get_claim(test, quota, user), &amount);
}

static int charge_own(struct bus1_quota *quota, enum bus1_resource r, u32 n)
{
	struct bus1_amount amount = only(r, n);

	return bus1_quota_charge_own(quota, &amount);
}

static void uncharge_own(struct bus1_quota *quota, enum bus1_resource r, u32 n)
{
	struct bus1_amount amount = only(r, n);

	bus1_quota_uncharge(quota, NULL, &amount);
}

static void uncharge_all(struct bus1_quota *quota, struct ucounts *user)
{
	struct bus1_claim *none = NULL;
	struct bus1_claim *claim = bus1_quota_claim(quota, user, &none);
	struct bus1_amount all;

	if (!claim)
		return;
	all = claim->used;
	bus1_quota_uncharge(quota, claim, &all);
}

/* The same on the quota of the fixture, for the claimants by their number. */
static struct bus1_claim *claim_of(struct kunit *test, unsigned int i)
{
	struct fixture *f = test->priv;
	struct bus1_claim *none = NULL;

	return bus1_quota_claim(&f->quota, f->users[i], &none);
}

static int take(struct kunit *test, unsigned int i, enum bus1_resource r, u32 n)
{
	struct fixture *f = test->priv;

	return charge(test, &f->quota, f->users[i], r, n);
}

static void give(struct kunit *test, unsigned int i, enum bus1_resource r, u32 n)
{
	struct fixture *f = test->priv;
	struct bus1_amount amount = only(r, n);

	bus1_quota_uncharge(&f->quota, claim_of(test, i), &amount);
}

static void give_all(struct kunit *test, unsigned int i)
{
	struct fixture *f = test->priv;

	uncharge_all(&f->quota, f->users[i]);
}

/* Take as much as is given, in ever smaller pieces. */
static void take_most(struct kunit *test, unsigned int i, enum bus1_resource r)
{
	struct fixture *f = test->priv;
	u32 n = f->quota.max.of[r] / 2;

	for (; n; n /= 2)
		while (!take(test, i, r, n))
			;
}

static void expect_user(struct kunit *test, struct ucounts *user, long expect)
{
	enum bus1_resource r;

	for (r = 0; r < BUS1_RESOURCES; r++)
		KUNIT_EXPECT_EQ(test, get_rlimit_value(user, counts[r]), expect);
}

static void a_peer_gets_a_quarter_by_default(struct kunit *test)
{
	struct fixture *f = test->priv;

	KUNIT_EXPECT_EQ(test, f->quota.max.of[BUS1_SLICES], 65536 / 4);
	KUNIT_EXPECT_EQ(test, f->quota.max.of[BUS1_HANDLES], 262144 / 4);
	KUNIT_EXPECT_EQ(test, f->quota.max.of[BUS1_BYTES], SZ_64M / 4);
	KUNIT_EXPECT_EQ(test, f->quota.max.of[BUS1_FDS], 4096 / 4);
}

/* The first claimant gets a half, the second a third of what is left, ... */
static void shares_are_as_documented(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct bus1_quota *q = &f->quota;

	set_limit(q, 120);
	KUNIT_EXPECT_EQ(test, take(test, 0, BUS1_FDS, 60), 0);
	KUNIT_EXPECT_EQ(test, take(test, 0, BUS1_FDS, 1), -EDQUOT);
	KUNIT_EXPECT_EQ(test, take(test, 1, BUS1_FDS, 21), -EXFULL);
	KUNIT_EXPECT_EQ(test, take(test, 1, BUS1_FDS, 20), 0);
	KUNIT_EXPECT_EQ(test, take(test, 1, BUS1_FDS, 1), -EDQUOT);
	KUNIT_EXPECT_EQ(test, take(test, 2, BUS1_FDS, 10), 0);
	/* Another resource is another matter. */
	KUNIT_EXPECT_EQ(test, take(test, 2, BUS1_BYTES, 60), 0);
	give_all(test, 0);
	/* Two claimants are left, of whom one holds 20: (120 - 10) / 3. */
	KUNIT_EXPECT_EQ(test, take(test, 1, BUS1_FDS, 17), -EDQUOT);
	KUNIT_EXPECT_EQ(test, take(test, 1, BUS1_FDS, 16), 0);
	give_all(test, 1);
	give_all(test, 2);
}

static void what_never_fits_is_emsgsize(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct bus1_quota *q = &f->quota;
	enum bus1_resource r;

	set_limit(q, 101);
	for (r = 0; r < BUS1_RESOURCES; r++) {
		KUNIT_EXPECT_EQ(test, take(test, 0, r, 51), -EMSGSIZE);
		KUNIT_EXPECT_EQ(test, take(test, 0, r, 50), 0);
		KUNIT_EXPECT_EQ(test, take(test, 0, r, 51), -EMSGSIZE);
	}
	give_all(test, 0);
	set_limit(q, INT_MAX);
	KUNIT_EXPECT_EQ(test, take(test, 0, BUS1_FDS, INT_MAX), -EMSGSIZE);
	set_limit(q, 0);
	KUNIT_EXPECT_EQ(test, take(test, 0, BUS1_FDS, 1), -EMSGSIZE);
}

/* With one resource used up for the claimant, and another for everybody. */
static void the_worst_refusal_is_reported(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct bus1_quota *q = &f->quota;
	struct bus1_amount both = { .of = { [BUS1_SLICES] = 1, [BUS1_FDS] = 40 } };

	set_limit(q, 100);
	KUNIT_EXPECT_EQ(test, take(test, 0, BUS1_SLICES, 50), 0);
	KUNIT_EXPECT_EQ(test, take(test, 1, BUS1_FDS, 50), 0);
	KUNIT_EXPECT_EQ(test, take(test, 0, BUS1_SLICES, 1), -EDQUOT);
	KUNIT_EXPECT_EQ(test, take(test, 0, BUS1_FDS, 40), -EXFULL);
	KUNIT_EXPECT_EQ(test, bus1_quota_charge(q, claim_of(test, 0),
						&both), -EXFULL);
	both.of[BUS1_FDS] = 51;
	KUNIT_EXPECT_EQ(test, bus1_quota_charge(q, claim_of(test, 0),
						&both), -EMSGSIZE);
	give_all(test, 0);
	give_all(test, 1);
}

static void a_refused_charge_changes_nothing(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct bus1_amount amount = { .of = { 10, 10, 10, 26 } };
	struct bus1_quota *q = &f->quota, before;
	struct bus1_claim *claim;

	set_limit(q, 100);
	KUNIT_EXPECT_EQ(test, take(test, 0, BUS1_FDS, 25), 0);
	claim = claim_of(test, 0);
	before = *q;
	KUNIT_EXPECT_EQ(test, bus1_quota_charge(q, claim, &amount), -EDQUOT);
	KUNIT_EXPECT_MEMEQ(test, q, &before, sizeof(before));
	KUNIT_EXPECT_EQ(test, claim->used.of[BUS1_SLICES], 0);
	KUNIT_EXPECT_EQ(test, claim->used.of[BUS1_FDS], 25);

	bus1_user_max[BUS1_FDS] = 49;
	amount.of[BUS1_FDS] = 25;
	KUNIT_EXPECT_EQ(test, bus1_quota_charge(q, claim, &amount), -EXFULL);
	KUNIT_EXPECT_MEMEQ(test, q, &before, sizeof(before));
	KUNIT_EXPECT_EQ(test, get_rlimit_value(f->owner, counts[BUS1_FDS]), 25);
	KUNIT_EXPECT_EQ(test, get_rlimit_value(f->owner, counts[BUS1_BYTES]), 0);
	KUNIT_EXPECT_EQ(test, get_rlimit_value(f->owner, counts[BUS1_SLICES]), 0);
	give_all(test, 0);
}

static void own_use_is_bounded_by_the_limit_alone(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct bus1_quota *q = &f->quota;
	enum bus1_resource r;

	set_limit(q, 100);
	for (r = 0; r < BUS1_RESOURCES; r++) {
		KUNIT_EXPECT_EQ(test, charge_own(q, r, 101), -ENOBUFS);
		KUNIT_EXPECT_EQ(test, charge_own(q, r, 100), 0);
		KUNIT_EXPECT_EQ(test, charge_own(q, r, 1), -ENOBUFS);
		KUNIT_EXPECT_EQ(test, take(test, 0, r, 1), -EXFULL);
		uncharge_own(q, r, 40);
		/* 40 are free and nobody is a claimant: a half of it. */
		KUNIT_EXPECT_EQ(test, take(test, 0, r, 21), -EXFULL);
		KUNIT_EXPECT_EQ(test, take(test, 0, r, 20), 0);
		KUNIT_EXPECT_EQ(test, charge_own(q, r, 21), -ENOBUFS);
		KUNIT_EXPECT_EQ(test, charge_own(q, r, 20), 0);
		uncharge_own(q, r, 80);
	}
	give_all(test, 0);
}

static void a_lowered_limit_takes_nothing_away(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct bus1_quota *q = &f->quota;
	struct bus1_amount nothing = {};

	set_limit(q, 100);
	KUNIT_EXPECT_EQ(test, take(test, 0, BUS1_FDS, 50), 0);
	set_limit(q, 20);
	KUNIT_EXPECT_EQ(test, take(test, 0, BUS1_FDS, 1), -EXFULL);
	KUNIT_EXPECT_EQ(test, take(test, 1, BUS1_FDS, 1), -EXFULL);
	KUNIT_EXPECT_EQ(test, charge_own(q, BUS1_FDS, 1), -ENOBUFS);
	KUNIT_EXPECT_EQ(test, bus1_quota_charge(q, claim_of(test, 0),
						&nothing), 0);
	KUNIT_EXPECT_EQ(test, q->used.of[BUS1_FDS], 50);
	give(test, 0, BUS1_FDS, 41);
	KUNIT_EXPECT_EQ(test, take(test, 0, BUS1_FDS, 2), -EDQUOT);
	KUNIT_EXPECT_EQ(test, take(test, 0, BUS1_FDS, 1), 0);
	KUNIT_EXPECT_EQ(test, take(test, 1, BUS1_FDS, 3), 0);
	give_all(test, 0);
	give_all(test, 1);
}

#define N_MODEL 6

struct model {
	u32 used[N_MODEL][BUS1_RESOURCES];
	u32 own[BUS1_RESOURCES];
	u32 max[BUS1_RESOURCES];
	struct rnd_state rnd;
};

/* The rule of abi and documentation, from nothing but who holds what. */
static int model_check(const struct model *model, unsigned int claimant,
		       enum bus1_resource r, s64 c)
{
	s64 left = (s64)model->max[r] - model->own[r], n = 0, s;
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
	bool edquot = false, exfull = false;
	enum bus1_resource r;
	int err;

	for (r = 0; r < BUS1_RESOURCES; r++) {
		if (2 * (s64)amount->of[r] > model->max[r])
			return -EMSGSIZE;
		err = model_check(model, claimant, r, amount->of[r]);
		edquot |= err == -EDQUOT;
		exfull |= err == -EXFULL;
	}
	if (edquot || exfull)
		return exfull ? -EXFULL : -EDQUOT;
	for (r = 0; r < BUS1_RESOURCES; r++)
		model->used[claimant][r] += amount->of[r];
	return 0;
}

/* Mostly what could fit, now and then nothing, and now and then too much. */
static u32 model_amount(struct model *model, u32 max)
{
	u32 scale = prandom_u32_state(&model->rnd) % 8;

	return scale ? prandom_u32_state(&model->rnd) % (max / (scale * scale) + 2) : 0;
}

static void model_step(struct kunit *test, struct model *model)
{
	struct fixture *f = test->priv;
	unsigned int claimant = prandom_u32_state(&model->rnd) % N_MODEL;
	bool take = prandom_u32_state(&model->rnd) % 3;
	struct bus1_amount amount;
	enum bus1_resource r;
	int err;

	for (r = 0; r < BUS1_RESOURCES; r++) {
		u32 most = take ? model->max[r] : model->used[claimant][r];

		amount.of[r] = min(model_amount(model, most),
				   take ? INT_MAX : most);
	}
	if (take) {
		err = bus1_quota_charge(&f->quota, get_claim(test, &f->quota,
							     f->users[claimant]),
					&amount);
		KUNIT_ASSERT_EQ(test, err, model_charge(model, claimant, &amount));
	} else if (claim_of(test, claimant)) {
		bus1_quota_uncharge(&f->quota, claim_of(test, claimant),
				    &amount);
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
		for (i = n = 0, sum = model->own[r]; i < N_MODEL; i++) {
			sum += model->used[i][r];
			n += model->used[i][r] > 0;
		}
		KUNIT_ASSERT_EQ(test, f->quota.used.of[r], sum);
		KUNIT_ASSERT_EQ(test, f->quota.n_claimants[r], n);
		KUNIT_ASSERT_EQ(test, get_rlimit_value(f->owner, counts[r]), sum);
	}
}

static void random_charges_follow_the_formula(struct kunit *test)
{
	static const u32 limits[] = { 1, 7, 100, 4096, SZ_16M, BUS1_LIMIT_MAX };
	struct fixture *f = test->priv;
	struct model *model = kunit_kzalloc(test, sizeof(*model), GFP_KERNEL);
	enum bus1_resource r;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, model);
	prandom_seed_state(&model->rnd, 1);
	for (r = 0; r < BUS1_RESOURCES; r++)
		bus1_user_max[r] = BUS1_LIMIT_MAX;
	for (i = 0; i < 30000; i++) {
		/* Limits change meanwhile, also to below what is used. */
		r = prandom_u32_state(&model->rnd) % BUS1_RESOURCES;
		if (i % 100 < BUS1_RESOURCES)
			model->max[r] = f->quota.max.of[r] =
				limits[(i / 100 + r) % ARRAY_SIZE(limits)];
		model_step(test, model);
		expect_model(test, model);
		cond_resched();
	}
	for (i = 0; i < N_MODEL; i++)
		give_all(test, i);
}

/*
 * The n-th claimant gets its part after the others took what they could, one
 * after the other, which is the worst that they can do.
 */
static void the_guarantee_holds_for_a_newcomer(struct kunit *test)
{
	static const u32 limits[] = { 2, 6, 97, 1024, 16384, SZ_16M };
	struct fixture *f = test->priv;
	struct bus1_quota *q = &f->quota;
	unsigned int i, n;

	for (i = 0; i < ARRAY_SIZE(limits); i++) {
		set_limit(q, limits[i]);
		for (n = 1; n < 40; n++) {
			KUNIT_ASSERT_EQ(test, take(test, n, BUS1_BYTES,
						     limits[i] / (n * (n + 1))),
					0);
			give_all(test, n);
			take_most(test, n, BUS1_BYTES);
		}
		for (n = 1; n < 40; n++)
			give_all(test, n);
	}
}

/* Others come, grow, shrink and go as they please. */
static void the_guarantee_holds_at_any_time(struct kunit *test)
{
	const unsigned int n = 8, limit = 10000, part = limit / (n * (n + 1));
	struct fixture *f = test->priv;
	struct bus1_quota *q = &f->quota;
	struct rnd_state rnd;
	unsigned int i, user;

	set_limit(q, limit);
	prandom_seed_state(&rnd, 2);
	for (i = 0; i < 20000; i++) {
		user = 1 + prandom_u32_state(&rnd) % (n - 1);
		switch (prandom_u32_state(&rnd) % 4) {
		case 0:
			give_all(test, user);
			break;
		case 1:
			take_most(test, user, BUS1_BYTES);
			break;
		default:
			take(test, user, BUS1_BYTES,
			       prandom_u32_state(&rnd) % (limit / 2));
		}
		KUNIT_ASSERT_EQ(test, take(test, 0, BUS1_BYTES,
					     part), 0);
		give_all(test, 0);
		cond_resched();
	}
	for (user = 1; user < n; user++)
		give_all(test, user);
}

/* The numbers that abi and man pages promise for the default limits. */
static void the_defaults_serve_as_many_as_promised(struct kunit *test)
{
	static const struct {
		enum bus1_resource r;
		u32 n, claimants;
	} promises[] = {
		{ BUS1_SLICES, 1, 127 },
		{ BUS1_FDS, 1, 31 },
		{ BUS1_BYTES, SZ_64K, 15 },
		{ BUS1_BYTES, SZ_1M, 3 },
	};
	struct fixture *f = test->priv;
	unsigned int i, user;

	for (i = 0; i < ARRAY_SIZE(promises); i++) {
		for (user = 0; user + 1 < promises[i].claimants; user++)
			take_most(test, user, promises[i].r);
		KUNIT_EXPECT_EQ(test, take(test, user, promises[i].r, promises[i].n), 0);
		for (user = 0; user < promises[i].claimants; user++)
			give_all(test, user);
	}
}

static void peers_of_one_user_share_its_limit(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct bus1_quota other;
	enum bus1_resource r;

	bus1_quota_init(&other, f->owner);
	for (r = 0; r < BUS1_RESOURCES; r++) {
		bus1_user_max[r] = 100;
		KUNIT_EXPECT_EQ(test, charge_own(&f->quota, r, 60), 0);
		KUNIT_EXPECT_EQ(test, charge_own(&other, r, 41), -ENOBUFS);
		KUNIT_EXPECT_EQ(test, charge(test, &other, f->users[0], r, 41),
				-EXFULL);
		KUNIT_EXPECT_EQ(test, charge(test, &other, f->users[0], r, 40), 0);
	}
	expect_user(test, f->owner, 100);
	expect_user(test, f->users[0], 0);
	uncharge_all(&other, f->users[0]);
	expect_user(test, f->owner, 60);
	for (r = 0; r < BUS1_RESOURCES; r++)
		uncharge_own(&f->quota, r, 60);
	bus1_quota_deinit(&other);
}

/* Users of a namespace are bounded together by whoever made it. */
static void limits_hold_up_the_chain_of_owners(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct user_namespace *ns = new_ns(test, f->owner);
	struct ucounts *a = new_user(test, ns, UID_CLAIMANT);
	struct ucounts *b = new_user(test, ns, UID_CLAIMANT + 1);
	struct bus1_quota qa, qb;

	bus1_quota_init(&qa, a);
	bus1_quota_init(&qb, b);
	bus1_user_max[BUS1_FDS] = 100;
	KUNIT_EXPECT_EQ(test, charge_own(&qa, BUS1_FDS, 60), 0);
	KUNIT_EXPECT_EQ(test, charge_own(&qb, BUS1_FDS, 41), -ENOBUFS);
	KUNIT_EXPECT_EQ(test, charge(test, &qb, f->users[0], BUS1_FDS, 41), -EXFULL);
	KUNIT_EXPECT_EQ(test, get_rlimit_value(b, counts[BUS1_FDS]), 0);
	KUNIT_EXPECT_EQ(test, charge_own(&qb, BUS1_FDS, 40), 0);
	KUNIT_EXPECT_EQ(test, get_rlimit_value(b, counts[BUS1_FDS]), 40);
	KUNIT_EXPECT_EQ(test, get_rlimit_value(f->owner, counts[BUS1_FDS]), 100);
	uncharge_own(&qa, BUS1_FDS, 60);
	uncharge_own(&qb, BUS1_FDS, 40);
	expect_user(test, a, 0);
	expect_user(test, b, 0);
	bus1_quota_deinit(&qa);
	bus1_quota_deinit(&qb);
}

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
	KUNIT_EXPECT_PTR_EQ(test, bus1_quota_claimant(&f->quota, f->users[2]),
			    f->users[2]);
	KUNIT_EXPECT_PTR_EQ(test, bus1_quota_claimant(&f->quota, in_mid),
			    f->users[0]);
	KUNIT_EXPECT_PTR_EQ(test, bus1_quota_claimant(&f->quota, in_low),
			    f->users[0]);
	bus1_quota_init(&q, new_user(test, mid, UID_OWNER));
	KUNIT_EXPECT_PTR_EQ(test, bus1_quota_claimant(&q, f->users[2]),
			    f->users[2]);
	KUNIT_EXPECT_PTR_EQ(test, bus1_quota_claimant(&q, in_mid), in_mid);
	KUNIT_EXPECT_PTR_EQ(test, bus1_quota_claimant(&q, in_low), in_mid);
	KUNIT_EXPECT_PTR_EQ(test, bus1_quota_claimant(&q, in_other), f->users[1]);
	q.user = in_low;
	KUNIT_EXPECT_PTR_EQ(test, bus1_quota_claimant(&q, in_mid), in_mid);
	KUNIT_EXPECT_PTR_EQ(test, bus1_quota_claimant(&q, in_other), f->users[1]);
	bus1_quota_deinit(&q);
}

static void a_claim_is_found_again(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct bus1_claim *claims[20], *spare;
	struct bus1_quota *q = &f->quota;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(claims); i++) {
		KUNIT_EXPECT_NULL(test, claim_of(test, i));
		KUNIT_EXPECT_EQ(test, take(test, i, BUS1_BYTES, 1), 0);
		claims[i] = claim_of(test, i);
		KUNIT_ASSERT_NOT_NULL(test, claims[i]);
		KUNIT_EXPECT_PTR_EQ(test, claims[i]->user, f->users[i]);
	}
	for (i = 0; i < ARRAY_SIZE(claims); i++) {
		spare = bus1_claim_new(f->users[i], GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, spare);
		KUNIT_EXPECT_PTR_EQ(test, bus1_quota_claim(q, f->users[i], &spare),
				    claims[i]);
		KUNIT_EXPECT_NOT_NULL(test, spare);
		bus1_claim_free(spare);
	}
	for (i = 0; i < ARRAY_SIZE(claims); i++)
		give_all(test, i);
}

static void one_idle_claim_stays(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct bus1_quota *q = &f->quota;
	struct bus1_claim *claim;
	int references = atomic_read(&f->users[0]->count);

	KUNIT_EXPECT_EQ(test, take(test, 0, BUS1_BYTES, 8), 0);
	KUNIT_EXPECT_NULL(test, q->idle);
	claim = claim_of(test, 0);
	give(test, 0, BUS1_BYTES, 7);
	KUNIT_EXPECT_NULL(test, q->idle);
	give(test, 0, BUS1_BYTES, 1);
	KUNIT_EXPECT_PTR_EQ(test, q->idle, claim);
	KUNIT_EXPECT_EQ(test, take(test, 0, BUS1_BYTES, 8), 0);
	KUNIT_EXPECT_PTR_EQ(test, claim_of(test, 0), claim);
	KUNIT_EXPECT_NULL(test, q->idle);
	give_all(test, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&f->users[0]->count), references + 1);

	KUNIT_EXPECT_EQ(test, take(test, 1, BUS1_BYTES, 8), 0);
	give_all(test, 1);
	KUNIT_EXPECT_PTR_EQ(test, q->idle, claim_of(test, 1));
	KUNIT_EXPECT_NULL(test, claim_of(test, 0));
	KUNIT_EXPECT_EQ(test, atomic_read(&f->users[0]->count), references);
}

/* Whoever is refused, or asks for nothing, costs the receiver nothing. */
static void claims_that_hold_nothing_do_not_pile_up(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct bus1_quota *q = &f->quota;
	unsigned int i;

	set_limit(q, 10);
	for (i = 0; i < 20; i++) {
		KUNIT_EXPECT_EQ(test, take(test, i, BUS1_FDS, i % 2 ? 6 : 0), i % 2 ? -EMSGSIZE : 0);
		KUNIT_EXPECT_NOT_NULL(test, q->idle);
		KUNIT_EXPECT_PTR_EQ(test, q->claims.rb_node, &q->idle->rb);
		KUNIT_EXPECT_PTR_EQ(test, q->idle->user, f->users[i]);
		KUNIT_EXPECT_NULL(test, q->idle->rb.rb_left);
		KUNIT_EXPECT_NULL(test, q->idle->rb.rb_right);
	}
}

static void only_an_uncharged_quota_is_adopted(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct bus1_quota *q = &f->quota;
	enum bus1_resource r;

	for (r = 0; r < BUS1_RESOURCES; r++) {
		KUNIT_EXPECT_EQ(test, charge_own(q, r, 1), 0);
		KUNIT_EXPECT_FALSE(test, bus1_quota_adopt(q, f->users[0]));
		KUNIT_EXPECT_PTR_EQ(test, q->user, f->owner);
		uncharge_own(q, r, 1);
		KUNIT_EXPECT_EQ(test, take(test, 1, r, 1), 0);
		KUNIT_EXPECT_FALSE(test, bus1_quota_adopt(q, f->users[0]));
		give(test, 1, r, 1);
	}
	KUNIT_EXPECT_TRUE(test, bus1_quota_adopt(q, f->users[0]));
	KUNIT_EXPECT_EQ(test, charge_own(q, BUS1_FDS, 5), 0);
	KUNIT_EXPECT_EQ(test, get_rlimit_value(f->users[0], counts[BUS1_FDS]), 5);
	expect_user(test, f->owner, 0);
	uncharge_own(q, BUS1_FDS, 5);
	expect_user(test, f->users[0], 0);
}

static long sent_fds(struct ucounts *user)
{
	return get_rlimit_value(user, UCOUNT_RLIMIT_BUS1_SENT_FDS);
}

/* The test itself may do anything. */
static const struct cred *drop_capabilities(struct kunit *test)
{
	struct cred *cred = prepare_creds();

	KUNIT_ASSERT_NOT_NULL(test, cred);
	cap_clear(cred->cap_effective);
	return override_creds(cred);
}

static void sent_files_are_bounded_as_open_ones(struct kunit *test)
{
	unsigned int max = rlimit(RLIMIT_NOFILE);
	struct fixture *f = test->priv;
	const struct cred *old = drop_capabilities(test), *dropped = current_cred();
	int errs[] = {
		bus1_user_charge_fds(f->owner, 0),
		bus1_user_charge_fds(f->owner, max + 1),
		bus1_user_charge_fds(f->owner, max),
		bus1_user_charge_fds(f->owner, 1),
	};

	revert_creds(old);
	put_cred(dropped);
	KUNIT_EXPECT_EQ(test, errs[0], 0);
	KUNIT_EXPECT_EQ(test, errs[1], -ETOOMANYREFS);
	KUNIT_EXPECT_EQ(test, errs[2], 0);
	KUNIT_EXPECT_EQ(test, errs[3], -ETOOMANYREFS);
	KUNIT_EXPECT_EQ(test, sent_fds(f->owner), max);
	KUNIT_EXPECT_EQ(test, bus1_user_charge_fds(f->owner, 1), 0);
	KUNIT_EXPECT_EQ(test, sent_fds(f->owner), max + 1);
	bus1_user_uncharge_fds(f->owner, max + 1);
	bus1_user_uncharge_fds(f->owner, 0);
	KUNIT_EXPECT_EQ(test, sent_fds(f->owner), 0);
}

static int quota_init(struct kunit *test)
{
	struct fixture *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, f);
	f->owner = new_user(test, &init_user_ns, UID_OWNER);
	for (i = 0; i < N_CLAIMANTS; i++)
		f->users[i] = new_user(test, &init_user_ns, UID_CLAIMANT + i);
	memcpy(f->user_max, bus1_user_max, sizeof(bus1_user_max));
	bus1_quota_init(&f->quota, f->owner);
	test->priv = f;
	return 0;
}

/* Whatever a test did, it has given everything back. */
static void quota_exit(struct kunit *test)
{
	struct fixture *f = test->priv;
	enum bus1_resource r;

	if (!f)
		return;
	memcpy(bus1_user_max, f->user_max, sizeof(bus1_user_max));
	for (r = 0; r < BUS1_RESOURCES; r++) {
		KUNIT_EXPECT_EQ(test, f->quota.used.of[r], 0);
		KUNIT_EXPECT_EQ(test, f->quota.n_claimants[r], 0);
	}
	expect_user(test, f->owner, 0);
	bus1_quota_deinit(&f->quota);
}

static struct kunit_case quota_cases[] = {
	KUNIT_CASE(a_peer_gets_a_quarter_by_default),
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
	KUNIT_CASE(peers_of_one_user_share_its_limit),
	KUNIT_CASE(limits_hold_up_the_chain_of_owners),
	KUNIT_CASE(namespaces_make_no_claimants),
	KUNIT_CASE(a_claim_is_found_again),
	KUNIT_CASE(one_idle_claim_stays),
	KUNIT_CASE(claims_that_hold_nothing_do_not_pile_up),
	KUNIT_CASE(only_an_uncharged_quota_is_adopted),
	KUNIT_CASE(sent_files_are_bounded_as_open_ones),
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
