// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: tests of users and what they reserve
 */

#include <linux/sched.h>
#include <linux/sched/signal.h>

#include "quota_test.h"

static void a_user_has_room_for_512_default_peers(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct bus1_amount max;

	memcpy(bus1_user_max, f->user_max, sizeof(f->user_max));
	max = bus1_quota_defaults();
	KUNIT_EXPECT_EQ(test, max.of[BUS1_SLICES], 16384);
	KUNIT_EXPECT_EQ(test, max.of[BUS1_HANDLES], 65536);
	KUNIT_EXPECT_EQ(test, max.of[BUS1_BYTES], SZ_16M);
	KUNIT_EXPECT_EQ(test, max.of[BUS1_FDS], 1024);
	KUNIT_EXPECT_EQ(test, f->user_max[BUS1_SLICES], 512 * 16384);
	KUNIT_EXPECT_EQ(test, f->user_max[BUS1_HANDLES], 512 * 65536);
	KUNIT_EXPECT_EQ(test, f->user_max[BUS1_BYTES], 512 * (SZ_16M / 1024));
	KUNIT_EXPECT_EQ(test, f->user_max[BUS1_FDS], 512 * 1024);
	/* No peer gets more than may be asked for. */
	set_user_max(INT_MAX);
	KUNIT_EXPECT_EQ(test, bus1_quota_defaults().of[BUS1_BYTES], BUS1_LIMIT_MAX);
}

static void peers_of_one_user_reserve_together(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct bus1_quota other;
	enum bus1_resource r;

	set_user_max(10000);
	bus1_user_max[BUS1_BYTES] = 10;
	SET_LIMIT(6000);
	KUNIT_EXPECT_EQ(test, open_quota(&other, f->owner, 4097), -ENOSPC);
	expect_user(test, f->owner, 6000);
	KUNIT_EXPECT_EQ(test, count_peers(f->owner), 1);
	KUNIT_ASSERT_EQ(test, open_quota(&other, f->owner, 4000), 0);
	KUNIT_EXPECT_EQ(test, set_limits(&f->quota, 6001), -ENOSPC);
	/* It keeps what it has, and the other one may fill up. */
	for (r = 0; r < BUS1_RESOURCES; r++) {
		EXPECT_OWN(&other, r, 4000, 0);
		EXPECT_TAKE(0, r, 3000, 0);
		uncharge(&other, NULL, r, 4000);
	}
	close_quota(&other);
	expect_user(test, f->owner, 6000);
	SET_LIMIT(10000);
}

/* All or nothing, whichever resource does not fit. */
static void limits_that_do_not_fit_change_nothing(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct bus1_amount max;
	enum bus1_resource r;

	set_user_max(100);
	SET_LIMIT(50);
	for (r = 0; r < BUS1_RESOURCES; r++) {
		max = all_of(80);
		max.of[(r + 1) % BUS1_RESOURCES] = 20;
		max.of[r] = r == BUS1_BYTES ? 101 * 1024 : 101;
		KUNIT_EXPECT_EQ(test, bus1_quota_set_limits(&f->quota, &max),
				-ENOSPC);
		expect_user(test, f->owner, 50);
		max = all_of(50);
		KUNIT_EXPECT_MEMEQ(test, &f->quota.max, &max, sizeof(max));
	}
}

/* Otherwise a user could have any number of full peers with a limit of 0. */
static void what_is_used_stays_reserved(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct bus1_quota *q = &f->quota;
	enum bus1_resource r;

	SET_LIMIT(10000);
	for (r = 0; r < BUS1_RESOURCES; r++)
		EXPECT_TAKE(0, r, 5000, 0);
	SET_LIMIT(2000);
	expect_user(test, f->owner, 5000);
	/* It is not reserved again. */
	set_user_max(5000);
	SET_LIMIT(5000);
	expect_user(test, f->owner, 5000);
	SET_LIMIT(0);
	for (r = 0; r < BUS1_RESOURCES; r++)
		uncharge(q, CLAIM(0), r, 2000);
	expect_user(test, f->owner, 3000);
	SET_LIMIT(1000);
	GIVE_ALL(0);
	expect_user(test, f->owner, 1000);
}

static void a_closed_peer_keeps_what_is_charged(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct bus1_quota q;
	enum bus1_resource r;

	SET_LIMIT(0);
	KUNIT_ASSERT_EQ(test, open_quota(&q, f->owner, 4096), 0);
	for (r = 0; r < BUS1_RESOURCES; r++)
		EXPECT_OWN(&q, r, 1024, 0);
	KUNIT_EXPECT_EQ(test, count_peers(f->owner), 2);
	bus1_quota_close(&q);
	expect_user(test, f->owner, 1024);
	KUNIT_EXPECT_EQ(test, count_peers(f->owner), 1);
	for (r = 0; r < BUS1_RESOURCES; r++)
		uncharge(&q, NULL, r, 1024);
	expect_user(test, f->owner, 0);
	bus1_quota_deinit(&q);
}

/* Counters are as wide as a long, limits as an int. */
static void sums_do_not_wrap(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct bus1_amount max = only(BUS1_HANDLES, INT_MAX);
	struct bus1_quota *q = kunit_kcalloc(test, 1024, sizeof(*q), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, q);
	for (i = 0; i < 1024; i++)
		bus1_quota_init(&q[i], f->owner);
	KUNIT_ASSERT_EQ(test, bus1_quota_set_limits(&f->quota, &max), 0);
	for (i = 0; i < 5; i++)
		KUNIT_EXPECT_EQ(test, bus1_quota_open(&q[i], &max), -ENOSPC);
	EXPECT_COUNT(f->owner, HANDLES, INT_MAX);
	/* One more peer with 2 GiB less a byte would make 2^31 KiB. */
	max = only(BUS1_BYTES, INT_MAX);
	for (i = 0; i < 1024; i++)
		KUNIT_EXPECT_EQ(test, bus1_quota_open(&q[i], &max),
				i < 1023 ? 0 : -ENOSPC);
	EXPECT_COUNT(f->owner, BYTES, 1023 * 2097152L);
	for (i = 0; i < 1023; i++)
		close_quota(&q[i]);
}

/* Users of a namespace are bounded together by whoever made it. */
static void limits_hold_up_the_chain_of_owners(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct user_namespace *ns = new_ns(test, f->owner);
	struct ucounts *a = new_user(test, ns, UID_CLAIMANT);
	struct ucounts *b = new_user(test, ns, UID_CLAIMANT + 1);
	struct bus1_quota qa, qb;

	SET_LIMIT(0);
	set_user_max(100);
	KUNIT_ASSERT_EQ(test, open_quota(&qa, a, 60), 0);
	KUNIT_EXPECT_EQ(test, open_quota(&qb, b, 41), -ENOSPC);
	expect_user(test, b, 0);
	KUNIT_EXPECT_EQ(test, count_peers(f->owner), 2);
	KUNIT_ASSERT_EQ(test, open_quota(&qb, b, 40), 0);
	EXPECT_COUNT(f->owner, FDS, 100);
	KUNIT_EXPECT_EQ(test, count_peers(f->owner), 3);
	close_quota(&qa);
	close_quota(&qb);
	expect_user(test, a, 0);
	expect_user(test, b, 0);
	expect_user(test, f->owner, 0);
}

static void a_container_takes_nothing_from_root(struct kunit *test)
{
	struct ucounts *root = new_user(test, &init_user_ns, 0);
	struct user_namespace *ns = new_ns(test, root);
	struct ucounts *a = new_user(test, ns, UID_CLAIMANT);
	struct user_namespace *low = new_ns(test, a);
	struct ucounts *in_low = new_user(test, low, UID_CLAIMANT + 1);
	long fds = get_rlimit_value(root, UCOUNT_RLIMIT_BUS1_FDS);
	long sent = get_rlimit_value(root, UCOUNT_RLIMIT_BUS1_SENT_FDS);
	long peers = count_peers(root);
	struct bus1_quota q;

	set_user_max(100);
	KUNIT_ASSERT_EQ(test, open_quota(&q, in_low, 100), 0);
	KUNIT_EXPECT_EQ(test, set_limits(&q, 101), -ENOSPC);
	KUNIT_EXPECT_EQ(test, bus1_user_charge_fds(in_low, 10), 0);
	/* Inside, owners pay as everywhere. */
	expect_user(test, a, 100);
	KUNIT_EXPECT_EQ(test, count_peers(a), 1);
	EXPECT_COUNT(a, SENT_FDS, 10);
	EXPECT_COUNT(root, FDS, fds);
	EXPECT_COUNT(root, SENT_FDS, sent);
	KUNIT_EXPECT_EQ(test, count_peers(root), peers);
	bus1_user_uncharge_fds(in_low, 10);
	close_quota(&q);
	expect_user(test, a, 0);
	/* It has no limit on peers of its own, and is limited all the same. */
	atomic_long_set(&a->ucount[UCOUNT_BUS1_PEERS], BUS1_USER_PEERS);
	KUNIT_EXPECT_EQ(test, open_quota(&q, in_low, 0), -ENOSPC);
	KUNIT_EXPECT_EQ(test, count_peers(a), BUS1_USER_PEERS);
	atomic_long_set(&a->ucount[UCOUNT_BUS1_PEERS], 0);
}

static void only_an_uncharged_quota_is_swapped(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct bus1_quota *q = &f->quota, other;
	enum bus1_resource r;

	SET_LIMIT(1000);
	KUNIT_ASSERT_EQ(test, open_quota(&other, f->users[0], 50), 0);
	for (r = 0; r < BUS1_RESOURCES; r++) {
		EXPECT_OWN(q, r, 1, 0);
		KUNIT_EXPECT_FALSE(test, bus1_quota_swap(q, &other));
		KUNIT_EXPECT_PTR_EQ(test, q->user, f->owner);
		uncharge(q, NULL, r, 1);
		EXPECT_TAKE(1, r, 1, 0);
		KUNIT_EXPECT_FALSE(test, bus1_quota_swap(q, &other));
		uncharge(q, CLAIM(1), r, 1);
	}
	KUNIT_EXPECT_TRUE(test, bus1_quota_swap(q, &other));
	close_quota(&other);
	expect_user(test, f->owner, 0);
	KUNIT_EXPECT_EQ(test, count_peers(f->owner), 0);
	expect_user(test, f->users[0], 50);
	KUNIT_EXPECT_EQ(test, count_peers(f->users[0]), 1);
	/* Put it back, as the end of a test expects it. */
	KUNIT_ASSERT_EQ(test, open_quota(&other, f->owner, 0), 0);
	KUNIT_EXPECT_TRUE(test, bus1_quota_swap(q, &other));
	close_quota(&other);
	expect_user(test, f->users[0], 0);
}

/* The test has all capabilities, and drops them for a while. */
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

static struct kunit_case quota_user_cases[] = {
	KUNIT_CASE(a_user_has_room_for_512_default_peers),
	KUNIT_CASE(peers_of_one_user_reserve_together),
	KUNIT_CASE(limits_that_do_not_fit_change_nothing),
	KUNIT_CASE(what_is_used_stays_reserved),
	KUNIT_CASE(a_closed_peer_keeps_what_is_charged),
	KUNIT_CASE(sums_do_not_wrap),
	KUNIT_CASE(limits_hold_up_the_chain_of_owners),
	KUNIT_CASE(a_container_takes_nothing_from_root),
	KUNIT_CASE(only_an_uncharged_quota_is_swapped),
	KUNIT_CASE(sent_files_are_bounded_as_open_ones),
	{}
};

static struct kunit_suite quota_user_suite = {
	.name = "bus1_quota_user",
	.init = quota_init,
	.exit = quota_exit,
	.test_cases = quota_user_cases,
};
kunit_test_suite(quota_user_suite);

MODULE_LICENSE("GPL");
