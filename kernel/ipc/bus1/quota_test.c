// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: tests of users, limits and shares
 */

#include <kunit/test.h>
#include <linux/cred.h>
#include <linux/prandom.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/user_namespace.h>

#include "quota.h"

/* Users that nobody else in this kernel is. */
#define UID_OWNER	1700000000
#define UID_CLAIMANT	1700001000
#define N_CLAIMANTS	128

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

static void set_limit(struct fixture *f, u32 limit)
{
	enum bus1_resource r;

	for (r = 0; r < BUS1_RESOURCES; r++)
		f->quota.max.of[r] = limit;
}

static struct bus1_claim *find_claim(struct bus1_quota *quota,
				     struct ucounts *user)
{
	struct bus1_claim *none = NULL;

	return bus1_quota_claim(quota, user, &none);
}

static int charge_amount(struct bus1_quota *quota, struct ucounts *user,
			 const struct bus1_amount *amount)
{
	struct bus1_claim *spare = bus1_claim_new(user, GFP_KERNEL), *claim;

	claim = bus1_quota_claim(quota, user, &spare);
	bus1_claim_free(spare);
	return claim ? bus1_quota_charge(quota, claim, amount) : -ENOMEM;
}

static int charge(struct bus1_quota *quota, struct ucounts *user,
		  enum bus1_resource r, u32 n)
{
	struct bus1_amount amount = only(r, n);

	return charge_amount(quota, user, &amount);
}

static int charge_own(struct bus1_quota *quota, enum bus1_resource r, u32 n)
{
	struct bus1_amount amount = only(r, n);

	return bus1_quota_charge_own(quota, &amount);
}

static void uncharge(struct bus1_quota *quota, struct bus1_claim *claim,
		     enum bus1_resource r, u32 n)
{
	struct bus1_amount amount = only(r, n);

	bus1_quota_uncharge(quota, claim, &amount);
}

static void uncharge_all(struct bus1_quota *quota, struct ucounts *user)
{
	struct bus1_claim *claim = find_claim(quota, user);
	struct bus1_amount all;

	if (!claim)
		return;
	all = claim->used;
	bus1_quota_uncharge(quota, claim, &all);
}

/* On the quota of the fixture, for the claimants by their number. */
#define CLAIM(_i)		find_claim(&f->quota, f->users[_i])
#define TAKE(_i, _r, _n)	charge(&f->quota, f->users[_i], _r, _n)
#define GIVE_ALL(_i)		uncharge_all(&f->quota, f->users[_i])
#define EXPECT_TAKE(_i, _r, _n, _result) \
	KUNIT_EXPECT_EQ(test, TAKE(_i, _r, _n), _result)
#define EXPECT_OWN(_quota, _r, _n, _result) \
	KUNIT_EXPECT_EQ(test, charge_own(_quota, _r, _n), _result)

/* Take as much as is given, in ever smaller pieces. */
static void take_most(struct fixture *f, unsigned int i, enum bus1_resource r)
{
	u32 n = f->quota.max.of[r] / 2;

	for (; n; n /= 2)
		while (!TAKE(i, r, n))
			;
}

#define EXPECT_COUNT(_user, _r, _n) \
	KUNIT_EXPECT_EQ(test, get_rlimit_value(_user, UCOUNT_RLIMIT_BUS1_##_r), _n)

static void expect_user(struct kunit *test, struct ucounts *user, long expect)
{
	enum bus1_resource r;

	for (r = 0; r < BUS1_RESOURCES; r++)
		KUNIT_EXPECT_EQ(test, get_rlimit_value(user, UCOUNT_RLIMIT_BUS1_SLICES + r), expect);
}

static void a_peer_gets_a_quarter_by_default(struct kunit *test)
{
	struct fixture *f = test->priv;
	enum bus1_resource r;

	for (r = 0; r < BUS1_RESOURCES; r++)
		KUNIT_EXPECT_EQ(test, f->quota.max.of[r], f->user_max[r] / 4);
}

/* The first claimant gets a half, the second a third of what is left, ... */
static void shares_are_as_documented(struct kunit *test)
{
	struct fixture *f = test->priv;

	set_limit(f, 120);
	EXPECT_TAKE(0, BUS1_FDS, 60, 0);
	EXPECT_TAKE(0, BUS1_FDS, 1, -EDQUOT);
	EXPECT_TAKE(1, BUS1_FDS, 21, -EXFULL);
	EXPECT_TAKE(1, BUS1_FDS, 20, 0);
	EXPECT_TAKE(1, BUS1_FDS, 1, -EDQUOT);
	EXPECT_TAKE(2, BUS1_FDS, 10, 0);
	/* Another resource is another matter. */
	EXPECT_TAKE(2, BUS1_BYTES, 60, 0);
	GIVE_ALL(0);
	/* Two claimants are left, of whom one holds 20: (120 - 10) / 3. */
	EXPECT_TAKE(1, BUS1_FDS, 17, -EDQUOT);
	EXPECT_TAKE(1, BUS1_FDS, 16, 0);
}

static void what_never_fits_is_emsgsize(struct kunit *test)
{
	struct fixture *f = test->priv;
	enum bus1_resource r;

	set_limit(f, 101);
	for (r = 0; r < BUS1_RESOURCES; r++) {
		EXPECT_TAKE(0, r, 51, -EMSGSIZE);
		EXPECT_TAKE(0, r, 50, 0);
		EXPECT_TAKE(0, r, 51, -EMSGSIZE);
	}
	GIVE_ALL(0);
	set_limit(f, INT_MAX);
	EXPECT_TAKE(0, BUS1_FDS, INT_MAX, -EMSGSIZE);
	set_limit(f, 0);
	EXPECT_TAKE(0, BUS1_FDS, 1, -EMSGSIZE);
}

/* With one resource used up for the claimant, and another for everybody. */
static void the_worst_refusal_is_reported(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct bus1_amount both = { .of = { [BUS1_SLICES] = 1, [BUS1_FDS] = 40 } };

	set_limit(f, 100);
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

	set_limit(f, 100);
	EXPECT_TAKE(0, BUS1_FDS, 40, 0);
	claim = CLAIM(0);
	before = *q;
	KUNIT_EXPECT_EQ(test, bus1_quota_charge(q, claim, &amount), -EDQUOT);
	KUNIT_EXPECT_MEMEQ(test, q, &before, sizeof(before));
	KUNIT_EXPECT_EQ(test, claim->used.of[BUS1_SLICES], 0);

	bus1_user_max[BUS1_FDS] = 49;
	amount.of[BUS1_FDS] = 10;
	KUNIT_EXPECT_EQ(test, bus1_quota_charge(q, claim, &amount), -EXFULL);
	KUNIT_EXPECT_MEMEQ(test, q, &before, sizeof(before));
	EXPECT_COUNT(f->owner, FDS, 40);
	EXPECT_COUNT(f->owner, SLICES, 0);
}

static void own_use_is_bounded_by_the_limit_alone(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct bus1_quota *q = &f->quota;
	enum bus1_resource r;

	set_limit(f, 100);
	for (r = 0; r < BUS1_RESOURCES; r++) {
		EXPECT_OWN(q, r, 101, -ENOBUFS);
		EXPECT_OWN(q, r, 100, 0);
		EXPECT_OWN(q, r, 1, -ENOBUFS);
		EXPECT_TAKE(0, r, 1, -EXFULL);
		uncharge(q, NULL, r, 40);
		/* 40 are free and nobody is a claimant: a half of it. */
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

	set_limit(f, 100);
	EXPECT_TAKE(0, BUS1_FDS, 50, 0);
	set_limit(f, 20);
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

/* The rule of abi and documentation, from nothing but who holds what. */
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

/* Mostly what could fit, now and then nothing, and now and then too much. */
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
		KUNIT_ASSERT_EQ(test, get_rlimit_value(f->owner, UCOUNT_RLIMIT_BUS1_SLICES + r), sum);
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
		for (r = 0; !(i % 100) && r < BUS1_RESOURCES; r++)
			model->max[r] = f->quota.max.of[r] =
				limits[(i / 100 + r) % ARRAY_SIZE(limits)];
		model_step(test, model);
		expect_model(test, model);
		cond_resched();
	}
}

/* When the others took what they could, each in turn: the worst they can do. */
static void the_guarantee_holds_for_a_newcomer(struct kunit *test)
{
	static const u32 limits[] = { 2, 6, 97, 1024, 16384, SZ_16M };
	struct fixture *f = test->priv;
	unsigned int i, n;

	for (i = 0; i < ARRAY_SIZE(limits); i++) {
		set_limit(f, limits[i]);
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

	set_limit(f, limit);
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

/* The numbers that abi and man pages promise for the default limits. */
static void the_defaults_serve_as_many_as_promised(struct kunit *test)
{
	static const u32 promises[][3] = {
		{ BUS1_SLICES, 1, 127 }, { BUS1_FDS, 1, 31 },
		{ BUS1_BYTES, SZ_64K, 15 }, { BUS1_BYTES, SZ_1M, 3 },
	};
	struct fixture *f = test->priv;
	unsigned int i, user;

	for (i = 0; i < ARRAY_SIZE(promises); i++) {
		for (user = 0; user + 1 < promises[i][2]; user++)
			take_most(f, user, promises[i][0]);
		EXPECT_TAKE(user, promises[i][0], promises[i][1], 0);
		for (user = 0; user < promises[i][2]; user++)
			GIVE_ALL(user);
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
		EXPECT_OWN(&f->quota, r, 60, 0);
		EXPECT_OWN(&other, r, 41, -ENOBUFS);
		KUNIT_EXPECT_EQ(test, charge(&other, f->users[0], r, 41), -EXFULL);
		KUNIT_EXPECT_EQ(test, charge(&other, f->users[0], r, 40), 0);
	}
	expect_user(test, f->owner, 100);
	uncharge_all(&other, f->users[0]);
	expect_user(test, f->owner, 60);
	for (r = 0; r < BUS1_RESOURCES; r++)
		uncharge(&f->quota, NULL, r, 60);
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
	EXPECT_OWN(&qa, BUS1_FDS, 60, 0);
	EXPECT_OWN(&qb, BUS1_FDS, 41, -ENOBUFS);
	KUNIT_EXPECT_EQ(test, charge(&qb, f->users[0], BUS1_FDS, 41), -EXFULL);
	EXPECT_COUNT(b, FDS, 0);
	EXPECT_OWN(&qb, BUS1_FDS, 40, 0);
	EXPECT_COUNT(f->owner, FDS, 100);
	uncharge(&qa, NULL, BUS1_FDS, 60);
	uncharge(&qb, NULL, BUS1_FDS, 40);
	expect_user(test, a, 0);
	expect_user(test, b, 0);
	bus1_quota_deinit(&qa);
	bus1_quota_deinit(&qb);
}

#define EXPECT_SEES(_quota, _sender, _claimant) \
	KUNIT_EXPECT_PTR_EQ(test, bus1_quota_claimant(_quota, _sender), _claimant)

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

/* Whoever is refused, or asks for nothing, costs the receiver nothing. */
static void claims_that_hold_nothing_do_not_pile_up(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct bus1_quota *q = &f->quota;
	unsigned int i;

	set_limit(f, 10);
	for (i = 0; i < 20; i++) {
		EXPECT_TAKE(i, BUS1_FDS, i % 2 ? 6 : 0, i % 2 ? -EMSGSIZE : 0);
		KUNIT_ASSERT_NOT_NULL(test, q->idle);
		KUNIT_EXPECT_PTR_EQ(test, rb_first(&q->claims), &q->idle->rb);
		KUNIT_EXPECT_NULL(test, rb_next(&q->idle->rb));
		KUNIT_EXPECT_PTR_EQ(test, q->idle->user, f->users[i]);
	}
}

static void only_an_uncharged_quota_is_adopted(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct bus1_quota *q = &f->quota;
	enum bus1_resource r;

	for (r = 0; r < BUS1_RESOURCES; r++) {
		EXPECT_OWN(q, r, 1, 0);
		KUNIT_EXPECT_FALSE(test, bus1_quota_adopt(q, f->users[0]));
		KUNIT_EXPECT_PTR_EQ(test, q->user, f->owner);
		uncharge(q, NULL, r, 1);
		EXPECT_TAKE(1, r, 1, 0);
		KUNIT_EXPECT_FALSE(test, bus1_quota_adopt(q, f->users[0]));
		uncharge(q, CLAIM(1), r, 1);
	}
	KUNIT_EXPECT_TRUE(test, bus1_quota_adopt(q, f->users[0]));
	EXPECT_OWN(q, BUS1_FDS, 5, 0);
	EXPECT_COUNT(f->users[0], FDS, 5);
	expect_user(test, f->owner, 0);
	uncharge(q, NULL, BUS1_FDS, 5);
	expect_user(test, f->users[0], 0);
}

/* The test itself may do anything, and drops that for a while. */
static void sent_files_are_bounded_as_open_ones(struct kunit *test)
{
	static const int expect[] = { 0, -ETOOMANYREFS, 0, -ETOOMANYREFS };
	unsigned int max = rlimit(RLIMIT_NOFILE), i;
	unsigned int n_fds[] = { 0, max + 1, max, 1 };
	struct fixture *f = test->priv;
	struct cred *cred = prepare_creds();
	const struct cred *old;

	KUNIT_ASSERT_NOT_NULL(test, cred);
	cap_clear(cred->cap_effective);
	old = override_creds(cred);
	for (i = 0; i < ARRAY_SIZE(n_fds); i++)
		KUNIT_EXPECT_EQ(test, bus1_user_charge_fds(f->owner, n_fds[i]),
				expect[i]);
	revert_creds(old);
	put_cred(cred);
	EXPECT_COUNT(f->owner, SENT_FDS, max);
	KUNIT_EXPECT_EQ(test, bus1_user_charge_fds(f->owner, 1), 0);
	EXPECT_COUNT(f->owner, SENT_FDS, max + 1);
	bus1_user_uncharge_fds(f->owner, max + 1);
	EXPECT_COUNT(f->owner, SENT_FDS, 0);
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

/* What claimants and peers gave back has to be all there was. */
static void quota_exit(struct kunit *test)
{
	struct fixture *f = test->priv;
	enum bus1_resource r;
	unsigned int i;

	if (!f)
		return;
	memcpy(bus1_user_max, f->user_max, sizeof(bus1_user_max));
	for (i = 0; i < N_CLAIMANTS; i++)
		GIVE_ALL(i);
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
