// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: users, limits and shares
 */

/**
 * DOC: shares
 *
 * What a message consumes is charged to its receiver, twice: to the receiving
 * peer, where it is booked under the sender's name, and to the receiving user,
 * up the chain of owners of its user namespaces, as ucounts are.
 *
 * On the peer, a claimant that holds s of a resource with limit L, of which U
 * is used and which n claimants hold (this one counted), may take c more if
 *
 *	s + c <= (L - U + s) / (n + 1).
 *
 * So nobody can take all, and how much a newcomer gets depends on how many there
 * are, not on how greedy they are: see BUS1_GUARANTEED in limits.h. What the
 * peer uses itself (its nodes, its seed) is in U, and bounded by L alone.
 *
 * A claimant is a user, seen from the receiver's user namespace: a sender in a
 * namespace below counts as the user there who owns that namespace. Making
 * namespaces makes no claimants.
 */

#include <linux/bug.h>
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/user_namespace.h>

#include "quota.h"

const struct bus1_amount bus1_one_handle = { .of[BUS1_HANDLES] = 1 };

unsigned int bus1_user_max[BUS1_RESOURCES] __read_mostly = {
	[BUS1_SLICES] = BUS1_USER_SLICES,
	[BUS1_HANDLES] = BUS1_USER_HANDLES,
	[BUS1_BYTES] = BUS1_USER_BYTES,
	[BUS1_FDS] = BUS1_USER_FDS,
};

static const enum rlimit_type user_count[BUS1_RESOURCES] = {
	[BUS1_SLICES] = UCOUNT_RLIMIT_BUS1_SLICES,
	[BUS1_HANDLES] = UCOUNT_RLIMIT_BUS1_HANDLES,
	[BUS1_BYTES] = UCOUNT_RLIMIT_BUS1_BYTES,
	[BUS1_FDS] = UCOUNT_RLIMIT_BUS1_FDS,
};

/**
 * bus1_quota_init() - initialize a quota that nothing is charged to
 * @quota:	quota; its limits become a share of what its user may use
 * @user:	user to charge, who outlives the quota
 */
void bus1_quota_init(struct bus1_quota *quota, struct ucounts *user)
{
	enum bus1_resource r;

	memset(quota, 0, sizeof(*quota));
	quota->user = user;
	quota->claims = RB_ROOT;
	for (r = 0; r < BUS1_RESOURCES; r++)
		quota->max.of[r] = READ_ONCE(bus1_user_max[r]) / BUS1_PEER_SHARE;
}

/**
 * bus1_quota_deinit() - free what is left of a quota that nothing is charged to
 * @quota:	quota
 */
void bus1_quota_deinit(struct bus1_quota *quota)
{
	enum bus1_resource r;

	if (quota->idle)
		rb_erase(&quota->idle->rb, &quota->claims);
	bus1_claim_free(quota->idle);
	WARN_ON_ONCE(!RB_EMPTY_ROOT(&quota->claims));
	for (r = 0; r < BUS1_RESOURCES; r++)
		WARN_ON_ONCE(quota->used.of[r]);
}

/**
 * bus1_quota_adopt() - change whom a quota is charged to
 * @quota:	quota
 * @user:	new user
 *
 * Return: false, and nothing has changed, if something is charged.
 */
bool bus1_quota_adopt(struct bus1_quota *quota, struct ucounts *user)
{
	enum bus1_resource r;

	for (r = 0; r < BUS1_RESOURCES; r++)
		if (quota->used.of[r])
			return false;
	quota->user = user;
	return true;
}

/**
 * bus1_quota_ancestor() - find whom a receiver sees as a sender from elsewhere
 * @receiver:	the receiver's user namespace
 * @sender:	user of the sending peer
 *
 * Walk up from the sender to the first owner who lives in the receiver's user
 * namespace or in an ancestor of it. The initial one is everybody's ancestor.
 *
 * Return: that user; it lives as long as @sender does.
 */
struct ucounts *bus1_quota_ancestor(struct user_namespace *receiver,
				    struct ucounts *sender)
{
	while (sender->ns != receiver && !in_userns(sender->ns, receiver))
		sender = sender->ns->ucounts;
	return sender;
}

/**
 * bus1_claim_new() - allocate a claim
 * @user:	claimant
 * @gfp:	how to allocate
 *
 * Return: a claim for bus1_quota_claim() to link, or NULL.
 */
struct bus1_claim *bus1_claim_new(struct ucounts *user, gfp_t gfp)
{
	struct bus1_claim *claim;

	claim = kzalloc(sizeof(*claim), gfp);
	if (!claim)
		return NULL;
	claim->user = get_ucounts(user);
	if (claim->user)
		return claim;
	kfree(claim);
	return NULL;
}

/**
 * bus1_claim_free() - free a claim that is in no quota
 * @claim:	claim, or NULL
 */
void bus1_claim_free(struct bus1_claim *claim)
{
	if (!claim)
		return;
	put_ucounts(claim->user);
	kfree(claim);
}

/**
 * bus1_quota_claim() - find a user's claim
 * @quota:	quota
 * @user:	claimant
 * @spare:	a claim of bus1_claim_new() to link if there is none, then set to
 *		NULL; or a pointer to NULL
 *
 * Return: the claim, or NULL if there is none and no spare either.
 */
struct bus1_claim *bus1_quota_claim(struct bus1_quota *quota,
				    struct ucounts *user,
				    struct bus1_claim **spare)
{
	struct rb_node **link = &quota->claims.rb_node, *parent = NULL;
	struct bus1_claim *claim;

	while (*link) {
		parent = *link;
		claim = rb_entry(parent, struct bus1_claim, rb);
		if (claim->user == user)
			return claim;
		link = user < claim->user ? &parent->rb_left : &parent->rb_right;
	}

	claim = *spare;
	if (!claim)
		return NULL;
	*spare = NULL;
	rb_link_node(&claim->rb, parent, link);
	rb_insert_color(&claim->rb, &quota->claims);
	return claim;
}

/**
 * bus1_claim_is_idle() - whether a claim holds nothing
 * @claim:	claim
 *
 * Return: true if it does.
 */
bool bus1_claim_is_idle(const struct bus1_claim *claim)
{
	enum bus1_resource r;

	for (r = 0; r < BUS1_RESOURCES; r++)
		if (claim->used.of[r])
			return false;
	return true;
}

/* At most one idle claim stays, so that no sender leaves memory behind. */
static void settle_claim(struct bus1_quota *quota, struct bus1_claim *claim)
{
	if (quota->idle == claim || !bus1_claim_is_idle(claim))
		return;
	if (quota->idle && bus1_claim_is_idle(quota->idle)) {
		rb_erase(&quota->idle->rb, &quota->claims);
		bus1_claim_free(quota->idle);
	}
	quota->idle = claim;
}

/* Most messages are bytes in a slice, and nothing else. */
static enum bus1_resource end_of(const struct bus1_amount *amount)
{
	return amount->of[BUS1_HANDLES] | amount->of[BUS1_FDS] ?
	       BUS1_RESOURCES : BUS1_HANDLES;
}

static __always_inline bool
user_charge_one(struct ucounts *user, enum rlimit_type type, long max, u32 n)
{
	struct ucounts *iter, *bad;

	for (iter = user; iter; iter = iter->ns->ucounts)
		if (atomic_long_add_return(n, &iter->rlimit[type]) > max)
			goto undo;
	return true;

undo:
	bad = iter->ns->ucounts;
	for (iter = user; iter != bad; iter = iter->ns->ucounts)
		atomic_long_sub(n, &iter->rlimit[type]);
	return false;
}

static void user_uncharge_one(struct ucounts *user, enum rlimit_type type, u32 n)
{
	struct ucounts *iter;

	for (iter = user; iter; iter = iter->ns->ucounts)
		atomic_long_sub(n, &iter->rlimit[type]);
}

/* Up to @end; slices and bytes come together, and in every message. */
static __always_inline void
uncharge_slices(struct ucounts *user, const struct ucounts *end,
		const struct bus1_amount *amount)
{
	struct ucounts *iter;

	for (iter = user; iter != end; iter = iter->ns->ucounts) {
		atomic_long_sub(amount->of[BUS1_SLICES],
				&iter->rlimit[UCOUNT_RLIMIT_BUS1_SLICES]);
		atomic_long_sub(amount->of[BUS1_BYTES],
				&iter->rlimit[UCOUNT_RLIMIT_BUS1_BYTES]);
	}
}

static __always_inline bool charge_slices(struct ucounts *user,
					  const struct bus1_amount *amount)
{
	long max_slices = READ_ONCE(bus1_user_max[BUS1_SLICES]);
	long max_bytes = READ_ONCE(bus1_user_max[BUS1_BYTES]);
	struct ucounts *iter;
	long slices, bytes;

	for (iter = user; iter; iter = iter->ns->ucounts) {
		slices = atomic_long_add_return(amount->of[BUS1_SLICES],
				&iter->rlimit[UCOUNT_RLIMIT_BUS1_SLICES]);
		bytes = atomic_long_add_return(amount->of[BUS1_BYTES],
				&iter->rlimit[UCOUNT_RLIMIT_BUS1_BYTES]);
		if (unlikely((amount->of[BUS1_SLICES] && slices > max_slices) ||
			     (amount->of[BUS1_BYTES] && bytes > max_bytes))) {
			uncharge_slices(user, iter->ns->ucounts, amount);
			return false;
		}
	}
	return true;
}

static void user_uncharge(struct ucounts *user, const struct bus1_amount *amount)
{
	enum bus1_resource r;

	if (amount->of[BUS1_SLICES] | amount->of[BUS1_BYTES])
		uncharge_slices(user, NULL, amount);
	for (r = BUS1_HANDLES; r < BUS1_RESOURCES; r++)
		if (amount->of[r])
			user_uncharge_one(user, user_count[r], amount->of[r]);
}

static bool user_charge(struct ucounts *user, const struct bus1_amount *amount)
{
	struct bus1_amount done = {};
	enum bus1_resource r;

	if ((amount->of[BUS1_SLICES] | amount->of[BUS1_BYTES]) &&
	    !charge_slices(user, amount))
		return false;
	for (r = BUS1_HANDLES; r < BUS1_RESOURCES; r++)
		if (amount->of[r] &&
		    !user_charge_one(user, user_count[r],
				     READ_ONCE(bus1_user_max[r]),
				     amount->of[r]))
			goto undo;
	return true;

undo:
	done = *amount;
	for (; r < BUS1_RESOURCES; r++)
		done.of[r] = 0;
	user_uncharge(user, &done);
	return false;
}

static int check_share(const struct bus1_quota *quota,
		       const struct bus1_claim *claim, enum bus1_resource r,
		       s64 c)
{
	s64 left = (s64)quota->max.of[r] - quota->used.of[r];
	s64 s = claim->used.of[r];
	s64 others = quota->n_claimants[r] - !!s;

	/* s + c <= (L - U + s) / (n + 1), this claimant counted in n. */
	if ((s + c) * (others + 2) <= left + s)
		return 0;
	/* Would a claimant that holds nothing yet be refused as well? */
	if (c * (quota->n_claimants[r] + 2LL) > left)
		return -EXFULL;
	return -EDQUOT;
}

static int check_shares(const struct bus1_quota *quota,
			const struct bus1_claim *claim,
			const struct bus1_amount *amount)
{
	enum bus1_resource r, end = end_of(amount);
	int err = 0;

	for (r = 0; r < end; r++) {
		if (!amount->of[r])
			continue;
		if (2ULL * amount->of[r] > quota->max.of[r])
			return -EMSGSIZE;
		if (err != -EXFULL)
			err = check_share(quota, claim, r, amount->of[r]) ?: err;
	}
	return err;
}

/**
 * bus1_quota_charge() - charge what a claimant's message consumes
 * @quota:	quota of the receiver
 * @claim:	the claimant's claim on @quota
 * @amount:	what the message consumes
 *
 * All or nothing. A claim that holds nothing afterwards may be freed.
 *
 * Return: 0; -EMSGSIZE if even an idle receiver would refuse it; -EXFULL if a
 * claimant that holds nothing would be refused, or the receiving user's limit is
 * reached; -EDQUOT if this claimant's share is used up.
 */
int bus1_quota_charge(struct bus1_quota *quota, struct bus1_claim *claim,
		      const struct bus1_amount *amount)
{
	enum bus1_resource r, end = end_of(amount);
	bool idle = true;
	int err;

	err = check_shares(quota, claim, amount);
	if (!err && !user_charge(quota->user, amount))
		err = -EXFULL;
	for (r = 0; r < end && !err; r++) {
		if (!amount->of[r])
			continue;
		quota->n_claimants[r] += !claim->used.of[r];
		quota->used.of[r] += amount->of[r];
		claim->used.of[r] += amount->of[r];
		idle = false;
	}
	if (idle)
		settle_claim(quota, claim);
	return err;
}

/**
 * bus1_quota_charge_own() - charge what a peer takes for itself
 * @quota:	quota of the peer
 * @amount:	what it takes
 *
 * Return: 0, or -ENOBUFS if the peer's limit or its user's is reached.
 */
int bus1_quota_charge_own(struct bus1_quota *quota,
			  const struct bus1_amount *amount)
{
	enum bus1_resource r;

	for (r = 0; r < BUS1_RESOURCES; r++)
		if (amount->of[r] &&
		    (u64)quota->used.of[r] + amount->of[r] > quota->max.of[r])
			return -ENOBUFS;
	if (!user_charge(quota->user, amount))
		return -ENOBUFS;
	for (r = 0; r < BUS1_RESOURCES; r++)
		quota->used.of[r] += amount->of[r];
	return 0;
}

/* Returns true if the claim holds nothing of the resource any more. */
static __always_inline bool unbook_one(struct bus1_quota *quota,
				       struct bus1_claim *claim,
				       enum bus1_resource r, u32 n)
{
	WARN_ON_ONCE(quota->used.of[r] < n);
	quota->used.of[r] -= n;
	if (!claim)
		return false;
	WARN_ON_ONCE(claim->used.of[r] < n);
	claim->used.of[r] -= n;
	if (claim->used.of[r])
		return false;
	quota->n_claimants[r]--;
	return true;
}

/**
 * bus1_quota_uncharge() - give back what was charged, or a part of it
 * @quota:	quota
 * @claim:	claim that it was charged under, NULL for the peer's own; may be
 *		freed when it holds nothing any more
 * @amount:	what to give back
 */
void bus1_quota_uncharge(struct bus1_quota *quota, struct bus1_claim *claim,
			 const struct bus1_amount *amount)
{
	enum bus1_resource r, end = end_of(amount);
	bool settle = false;

	user_uncharge(quota->user, amount);
	for (r = 0; r < end; r++)
		if (amount->of[r])
			settle |= unbook_one(quota, claim, r, amount->of[r]);
	if (settle)
		settle_claim(quota, claim);
}

/**
 * bus1_quota_uncharge_one() - bus1_quota_uncharge() of one resource
 * @quota:	quota
 * @claim:	as for bus1_quota_uncharge()
 * @r:		resource
 * @n:		how much of it; not 0
 */
void bus1_quota_uncharge_one(struct bus1_quota *quota, struct bus1_claim *claim,
			     enum bus1_resource r, u32 n)
{
	user_uncharge_one(quota->user, user_count[r], n);
	/* Mostly it still has the slice that this was in, or another one. */
	if (unbook_one(quota, claim, r, n) && !claim->used.of[BUS1_SLICES])
		settle_claim(quota, claim);
}

/**
 * bus1_user_charge_fds() - count descriptors that a sender has in flight
 * @sender:	user of the sending peer
 * @n_fds:	how many more
 *
 * As for AF_UNIX, RLIMIT_NOFILE bounds them, so that the limit on open files
 * cannot be evaded by sending them away.
 *
 * Return: 0, or -ETOOMANYREFS.
 */
int bus1_user_charge_fds(struct ucounts *sender, unsigned int n_fds)
{
	long max = min_t(unsigned long, rlimit(RLIMIT_NOFILE), LONG_MAX);

	if (!n_fds)
		return 0;
	if (user_charge_one(sender, UCOUNT_RLIMIT_BUS1_SENT_FDS, max, n_fds))
		return 0;
	if (!capable(CAP_SYS_RESOURCE) && !capable(CAP_SYS_ADMIN))
		return -ETOOMANYREFS;
	inc_rlimit_ucounts(sender, UCOUNT_RLIMIT_BUS1_SENT_FDS, n_fds);
	return 0;
}

/**
 * bus1_user_uncharge_fds() - descriptors of a sender are no longer in flight
 * @sender:	user they were charged to
 * @n_fds:	how many
 */
void bus1_user_uncharge_fds(struct ucounts *sender, unsigned int n_fds)
{
	if (n_fds)
		user_uncharge_one(sender, UCOUNT_RLIMIT_BUS1_SENT_FDS, n_fds);
}
