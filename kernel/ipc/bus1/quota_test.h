/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1: what the tests of users, limits and shares have in common
 */
#ifndef _BUS1_QUOTA_TEST_H
#define _BUS1_QUOTA_TEST_H

#include <kunit/test.h>
#include <linux/cred.h>
#include <linux/user_namespace.h>

#include "quota.h"

/* Users that do not exist elsewhere in this kernel. */
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

static inline struct ucounts *new_user(struct kunit *test, struct user_namespace *ns,
				uid_t uid)
{
	struct ucounts *user = alloc_ucounts(ns, KUIDT_INIT(uid));

	KUNIT_ASSERT_NOT_NULL(test, user);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, drop_user, user), 0);
	return user;
}

/* The part of a namespace that is used here; the test holds the last reference. */
static inline struct user_namespace *new_ns(struct kunit *test, struct ucounts *owner)
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
	/* As in every new namespace. */
	ns->ucount_max[UCOUNT_BUS1_PEERS] = INT_MAX;
	return ns;
}

static inline struct bus1_amount only(enum bus1_resource r, u32 n)
{
	struct bus1_amount amount = {};

	amount.of[r] = n;
	return amount;
}

static inline struct bus1_amount all_of(u32 n)
{
	return (struct bus1_amount){ .of = { n, n, n, n } };
}

static inline int set_limits(struct bus1_quota *quota, u32 limit)
{
	struct bus1_amount max = all_of(limit);

	return bus1_quota_set_limits(quota, &max);
}

static inline int open_quota(struct bus1_quota *quota, struct ucounts *user, u32 limit)
{
	struct bus1_amount max = all_of(limit);

	bus1_quota_init(quota, user);
	return bus1_quota_open(quota, &max);
}

static inline void close_quota(struct bus1_quota *quota)
{
	bus1_quota_close(quota);
	bus1_quota_deinit(quota);
}

static inline void set_user_max(unsigned int max)
{
	enum bus1_resource r;

	for (r = 0; r < BUS1_RESOURCES; r++)
		bus1_user_max[r] = max;
}

static inline struct bus1_claim *find_claim(struct bus1_quota *quota,
				     struct ucounts *user)
{
	struct bus1_claim *none = NULL;

	return bus1_quota_claim(quota, user, &none);
}

static inline int charge_amount(struct bus1_quota *quota, struct ucounts *user,
			 const struct bus1_amount *amount)
{
	struct bus1_claim *spare = bus1_claim_new(user, GFP_KERNEL), *claim;

	claim = bus1_quota_claim(quota, user, &spare);
	bus1_claim_free(spare);
	return claim ? bus1_quota_charge(quota, claim, amount) : -ENOMEM;
}

static inline int charge(struct bus1_quota *quota, struct ucounts *user,
		  enum bus1_resource r, u32 n)
{
	struct bus1_amount amount = only(r, n);

	return charge_amount(quota, user, &amount);
}

static inline int charge_own(struct bus1_quota *quota, enum bus1_resource r, u32 n)
{
	struct bus1_amount amount = only(r, n);

	return bus1_quota_charge_own(quota, &amount);
}

static inline void uncharge(struct bus1_quota *quota, struct bus1_claim *claim,
		     enum bus1_resource r, u32 n)
{
	struct bus1_amount amount = only(r, n);

	bus1_quota_uncharge(quota, claim, &amount);
}

static inline void uncharge_all(struct bus1_quota *quota, struct ucounts *user)
{
	struct bus1_claim *claim = find_claim(quota, user);
	struct bus1_amount all;

	if (!claim)
		return;
	all = claim->used;
	bus1_quota_uncharge(quota, claim, &all);
}

/* These work on the quota of the fixture, with claimants by number. */
#define SET_LIMIT(_limit) \
	KUNIT_ASSERT_EQ(test, set_limits(&f->quota, _limit), 0)
#define CLAIM(_i)		find_claim(&f->quota, f->users[_i])
#define TAKE(_i, _r, _n)	charge(&f->quota, f->users[_i], _r, _n)
#define GIVE_ALL(_i)		uncharge_all(&f->quota, f->users[_i])
#define EXPECT_TAKE(_i, _r, _n, _result) \
	KUNIT_EXPECT_EQ(test, TAKE(_i, _r, _n), _result)
#define EXPECT_OWN(_quota, _r, _n, _result) \
	KUNIT_EXPECT_EQ(test, charge_own(_quota, _r, _n), _result)

/* Takes as much as is given, in ever smaller pieces. */
static inline void take_most(struct fixture *f, unsigned int i, enum bus1_resource r)
{
	u32 n = f->quota.max.of[r] / 2;

	for (; n; n /= 2)
		while (!TAKE(i, r, n))
			;
}

#define EXPECT_COUNT(_user, _r, _n) \
	KUNIT_EXPECT_EQ(test, get_rlimit_value(_user, UCOUNT_RLIMIT_BUS1_##_r), _n)

static inline void expect_user(struct kunit *test, struct ucounts *user, long n)
{
	enum bus1_resource r;

	for (r = 0; r < BUS1_RESOURCES; r++)
		KUNIT_EXPECT_EQ(test, bus1_user_reserved(user, r),
				r == BUS1_BYTES ? DIV_ROUND_UP(n, 1024) : n);
}

static inline long count_peers(struct ucounts *user)
{
	return atomic_long_read(&user->ucount[UCOUNT_BUS1_PEERS]);
}

static inline int quota_init(struct kunit *test)
{
	struct fixture *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, f);
	f->owner = new_user(test, &init_user_ns, UID_OWNER);
	for (i = 0; i < N_CLAIMANTS; i++)
		f->users[i] = new_user(test, &init_user_ns, UID_CLAIMANT + i);
	memcpy(f->user_max, bus1_user_max, sizeof(bus1_user_max));
	set_user_max(INT_MAX);
	KUNIT_ASSERT_EQ(test, open_quota(&f->quota, f->owner, SZ_1M), 0);
	test->priv = f;
	return 0;
}

/* What claimants and peers gave back has to be everything. */
static inline void quota_exit(struct kunit *test)
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
	close_quota(&f->quota);
	expect_user(test, f->owner, 0);
	KUNIT_EXPECT_EQ(test, count_peers(f->owner), 0);
}

#endif /* _BUS1_QUOTA_TEST_H */
