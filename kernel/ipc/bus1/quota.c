// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: users, limits and shares
 */

/**
 * DOC: shares
 *
 * What a message consumes is charged to its receiver, and booked there under the
 * sender's name. A claimant that holds s of a resource with limit L, of which U is
 * used and some is held by n claimants (this one counted), may take c more if
 *
 *	s + c <= (L - U + s) / (n + 1).
 *
 * So nobody can take all, and how much a newcomer gets depends on how many there
 * are, not on how greedy they are: see BUS1_GUARANTEED in limits.h. What the
 * peer uses itself (its nodes, its seed) is in U, and bounded by L alone.
 *
 * A peer's limits are its own: they are reserved from what its user may have when
 * they are set, and given back when the peer is closed. A message is then charged
 * to the peer alone, under its lock, and the rule holds whatever the user's other
 * peers do. What is reserved of a resource is max(limit, used): if a limit is lowered
 * to below what is used, the rest is given back as it is released, so that it cannot be
 * reserved a second time.
 *
 * What a user reserves counts up the chain of owners of its user namespaces, as
 * ucounts do, so that making namespaces makes no limits. The chain ends at a
 * namespace that the root of the initial one made. Such a namespace is a container
 * that the administrator set up. Its users are bounded as users of the host are, each
 * by itself, and its memory by its cgroup. It takes nothing from the services of the
 * host's root, and is not taken for root.
 *
 * A claimant is a user, seen from the receiver's user namespace: a sender in a
 * namespace below counts as the user there who owns that namespace. Making
 * namespaces makes no claimants. A namespace that the root of the initial one made
 * is a claimant of its own to everybody outside, whatever users it has: it is
 * neither the host's root, nor as many claimants as there are IDs mapped into it.
 * So a program that makes namespaces for others with root's user ID does make claimants.
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
	[BUS1_BYTES] = BUS1_USER_KBYTES,
	[BUS1_FDS] = BUS1_USER_FDS,
};

/* Peers are not counted with the rlimits: they have a sysctl per namespace. */
#define COUNT_PEERS	UCOUNT_RLIMIT_COUNTS

static atomic_long_t *counter(struct ucounts *user, enum rlimit_type type)
{
	return type == COUNT_PEERS ? &user->ucount[UCOUNT_BUS1_PEERS] :
				     &user->rlimit[type];
}

/* The user that pays as well for what @user has, or NULL. */
static struct ucounts *payer_above(const struct ucounts *user)
{
	return bus1_user_made_by_root(user->ns) ? NULL : user->ns->ucounts;
}

static void sub_count(struct ucounts *user, const struct ucounts *end,
		      enum rlimit_type type, long n)
{
	for (; user != end; user = payer_above(user))
		WARN_ON_ONCE(atomic_long_sub_return(n, counter(user, type)) < 0);
}

/* The count is never above @max, not even for a moment, so that nothing wraps. */
static bool add_below(atomic_long_t *count, long n, long max)
{
	long old = atomic_long_read(count);

	do {
		if (n > max || old > max - n)
			return false;
	} while (!atomic_long_try_cmpxchg(count, &old, old + n));
	return true;
}

/*
 * A namespace begins without a limit of its own, so the limit of the initial one holds
 * everywhere. Peers are not counted by inc_ucount(): it would also count them for the
 * user that made a container.
 */
static long max_peers(const struct user_namespace *ns)
{
	return min(READ_ONCE(ns->ucount_max[UCOUNT_BUS1_PEERS]),
		   READ_ONCE(init_user_ns.ucount_max[UCOUNT_BUS1_PEERS]));
}

static bool add_count(struct ucounts *user, enum rlimit_type type, long n,
		      long max)
{
	struct ucounts *iter;

	for (iter = user; iter; iter = payer_above(iter)) {
		if (!add_below(counter(iter, type), n, type == COUNT_PEERS ?
			       max_peers(iter->ns) : max)) {
			sub_count(user, iter, type, n);
			return false;
		}
	}
	return true;
}

static_assert(UCOUNT_RLIMIT_BUS1_SLICES + BUS1_BYTES == UCOUNT_RLIMIT_BUS1_BYTES);
static_assert(UCOUNT_RLIMIT_BUS1_SLICES + BUS1_HANDLES == UCOUNT_RLIMIT_BUS1_HANDLES);
static_assert(UCOUNT_RLIMIT_BUS1_SLICES + BUS1_FDS == UCOUNT_RLIMIT_BUS1_FDS);

static enum rlimit_type count_of(enum bus1_resource r)
{
	return UCOUNT_RLIMIT_BUS1_SLICES + r;
}

/* What is reserved with a limit of @max, in the unit that is counted for users. */
static long reserved(const struct bus1_quota *quota, enum bus1_resource r, u32 max)
{
	u32 n = max(max, quota->used.of[r]);

	return r == BUS1_BYTES ? DIV_ROUND_UP(n, SZ_1K) : n;
}

/* How much more, or less, that is than what is reserved now. */
static long reserve_more(const struct bus1_quota *quota, enum bus1_resource r,
			 u32 max)
{
	return reserved(quota, r, max) - reserved(quota, r, quota->max.of[r]);
}

/**
 * bus1_user_reserved() - tell what a user has reserved
 * @user:	user
 * @r:		resource
 *
 * Return: how much, bytes in KiB.
 */
long bus1_user_reserved(struct ucounts *user, enum bus1_resource r)
{
	return get_rlimit_value(user, count_of(r));
}

/**
 * bus1_quota_init() - initialize a quota with no limits and nothing reserved
 * @quota:	quota
 * @user:	user to reserve from; outlives the quota
 */
void bus1_quota_init(struct bus1_quota *quota, struct ucounts *user)
{
	memset(quota, 0, sizeof(*quota));
	quota->user = user;
	quota->claims = RB_ROOT;
}

/**
 * bus1_quota_deinit() - free what is left of a quota to which nothing is charged
 * @quota:	quota that is closed, or was never open
 */
void bus1_quota_deinit(struct bus1_quota *quota)
{
	enum bus1_resource r;

	if (quota->idle)
		rb_erase(&quota->idle->rb, &quota->claims);
	bus1_claim_free(quota->idle);
	WARN_ON_ONCE(!RB_EMPTY_ROOT(&quota->claims));
	for (r = 0; r < BUS1_RESOURCES; r++)
		WARN_ON_ONCE(quota->used.of[r] || quota->max.of[r]);
}

/**
 * bus1_quota_defaults() - tell the limits of a peer that names none
 *
 * Return: a part of what a user may reserve, see BUS1_PEER_SHARE.
 */
struct bus1_amount bus1_quota_defaults(void)
{
	struct bus1_amount max;
	enum bus1_resource r;
	u64 all;

	for (r = 0; r < BUS1_RESOURCES; r++) {
		all = READ_ONCE(bus1_user_max[r]);
		if (r == BUS1_BYTES)
			all *= SZ_1K;
		max.of[r] = min(all / BUS1_PEER_SHARE, (u64)BUS1_LIMIT_MAX);
	}
	return max;
}

/**
 * bus1_quota_set_limits() - set limits
 * @quota:	quota
 * @max:	new limits, at most BUS1_LIMIT_MAX each
 *
 * Return: 0; -ENOSPC, and nothing has changed, if the user has no room for them.
 */
int bus1_quota_set_limits(struct bus1_quota *quota,
			  const struct bus1_amount *max)
{
	enum bus1_resource r;
	long more;

	for (r = 0; r < BUS1_RESOURCES; r++) {
		more = reserve_more(quota, r, max->of[r]);
		if (more > 0 && !add_count(quota->user, count_of(r), more,
					   READ_ONCE(bus1_user_max[r])))
			goto undo;
	}
	for (r = 0; r < BUS1_RESOURCES; r++) {
		more = reserve_more(quota, r, max->of[r]);
		if (more < 0)
			sub_count(quota->user, NULL, count_of(r), -more);
	}
	quota->max = *max;
	return 0;

undo:
	while (r--) {
		more = reserve_more(quota, r, max->of[r]);
		if (more > 0)
			sub_count(quota->user, NULL, count_of(r), more);
	}
	return -ENOSPC;
}

/**
 * bus1_quota_open() - count a peer for its user, and reserve its limits
 * @quota:	quota after bus1_quota_init()
 * @max:	limits
 *
 * Return: 0, and bus1_quota_close() is to follow; or -ENOSPC.
 */
int bus1_quota_open(struct bus1_quota *quota, const struct bus1_amount *max)
{
	int err;

	if (!add_count(quota->user, COUNT_PEERS, 1, LONG_MAX))
		return -ENOSPC;
	err = bus1_quota_set_limits(quota, max);
	if (err)
		sub_count(quota->user, NULL, COUNT_PEERS, 1);
	return err;
}

/**
 * bus1_quota_close() - give back what was reserved
 * @quota:	quota; what is still charged is given back when it is uncharged
 */
void bus1_quota_close(struct bus1_quota *quota)
{
	static const struct bus1_amount nothing;

	WARN_ON_ONCE(bus1_quota_set_limits(quota, &nothing));
	sub_count(quota->user, NULL, COUNT_PEERS, 1);
}

/**
 * bus1_quota_swap() - swap two peers' users, with all that is reserved
 * @quota:	quota
 * @with:	quota that nothing is charged to
 *
 * Return: false, and nothing has changed, if something is charged to @quota.
 */
bool bus1_quota_swap(struct bus1_quota *quota, struct bus1_quota *with)
{
	enum bus1_resource r;

	for (r = 0; r < BUS1_RESOURCES; r++)
		if (quota->used.of[r])
			return false;
	swap(quota->user, with->user);
	swap(quota->max, with->max);
	return true;
}

/**
 * bus1_quota_ancestor() - find whom a receiver sees as a sender from elsewhere
 * @receiver:	the receiver's user namespace
 * @sender:	user of the sending peer
 * @container:	what stands for the container of @sender, see &struct bus1_ident; or NULL
 *
 * Walk up from the sender to the first owner who lives in the receiver's user
 * namespace or in an ancestor of it. The initial namespace is an ancestor of all. A walk
 * that gets there from a container ends at that container.
 *
 * Return: that user; it lives as long as @sender and @container do.
 */
struct ucounts *bus1_quota_ancestor(struct user_namespace *receiver,
				    struct ucounts *sender,
				    struct ucounts *container)
{
	while (!in_userns(sender->ns, receiver)) {
		if (bus1_user_made_by_root(sender->ns))
			return container;
		sender = sender->ns->ucounts;
	}
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
	const u32 *used = claim->used.of;

	return !(used[BUS1_SLICES] | used[BUS1_BYTES] | used[BUS1_HANDLES] |
		 used[BUS1_FDS]);
}

/**
 * bus1_quota_settle() - take care of a claim that may hold nothing any more
 * @quota:	quota
 * @claim:	claim on @quota; may be freed
 *
 * At most one idle claim stays, so that senders leave no memory behind.
 */
void bus1_quota_settle(struct bus1_quota *quota, struct bus1_claim *claim)
{
	if (quota->idle == claim || !bus1_claim_is_idle(claim))
		return;
	if (quota->idle && bus1_claim_is_idle(quota->idle)) {
		rb_erase(&quota->idle->rb, &quota->claims);
		bus1_claim_free(quota->idle);
	}
	quota->idle = claim;
}

/**
 * bus1_quota_refuse() - tell why a charge is refused
 * @quota:	quota of the receiver
 * @claim:	the claimant's claim on @quota; may be freed if it holds nothing
 * @amount:	what does not fit
 *
 * Return: see bus1_quota_charge().
 */
int bus1_quota_refuse(struct bus1_quota *quota, struct bus1_claim *claim,
		      const struct bus1_amount *amount)
{
	enum bus1_resource r;
	int err = -EDQUOT;
	s64 left, c;

	for (r = 0; r < BUS1_RESOURCES && err != -EMSGSIZE; r++) {
		c = amount->of[r];
		left = (s64)quota->max.of[r] - quota->used.of[r];
		if (2 * c > quota->max.of[r])
			err = -EMSGSIZE;
		/* Would a claimant that holds nothing yet be refused as well? */
		else if (!bus1_quota_fits(quota, claim, r, c) &&
			 c * (quota->n_claimants[r] + 2LL) > left)
			err = -EXFULL;
	}
	bus1_quota_settle(quota, claim);
	return err;
}

/**
 * bus1_quota_charge_own() - charge what a peer takes for itself
 * @quota:	quota of the peer
 * @amount:	what it takes
 *
 * Return: 0, or -ENOBUFS if the peer's limit is reached.
 */
int bus1_quota_charge_own(struct bus1_quota *quota,
			  const struct bus1_amount *amount)
{
	enum bus1_resource r;

	for (r = 0; r < BUS1_RESOURCES; r++)
		if (amount->of[r] &&
		    (u64)quota->used.of[r] + amount->of[r] > quota->max.of[r])
			return -ENOBUFS;
	for (r = 0; r < BUS1_RESOURCES; r++)
		quota->used.of[r] += amount->of[r];
	return 0;
}

/* What is used beyond a limit that was lowered stays reserved until it is given back. */
static noinline void give_back_beyond(struct bus1_quota *quota,
				      enum bus1_resource r, u32 n)
{
	u32 max = quota->max.of[r];
	long less = reserved(quota, r, max);

	quota->used.of[r] -= n;
	less -= reserved(quota, r, max);
	sub_count(quota->user, NULL, count_of(r), less);
}

static __always_inline void sub_one(struct bus1_quota *quota,
				    struct bus1_claim *claim,
				    enum bus1_resource r, u32 n)
{
	if (!n)
		return;
	WARN_ON_ONCE(quota->used.of[r] < n);
	if (unlikely(quota->used.of[r] > quota->max.of[r]))
		give_back_beyond(quota, r, n);
	else
		quota->used.of[r] -= n;
	if (!claim)
		return;
	WARN_ON_ONCE(claim->used.of[r] < n);
	claim->used.of[r] -= n;
	quota->n_claimants[r] -= !claim->used.of[r];
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
	const u32 *n = amount->of;

	sub_one(quota, claim, BUS1_SLICES, n[BUS1_SLICES]);
	sub_one(quota, claim, BUS1_BYTES, n[BUS1_BYTES]);
	if (unlikely(n[BUS1_HANDLES] | n[BUS1_FDS])) {
		sub_one(quota, claim, BUS1_HANDLES, n[BUS1_HANDLES]);
		sub_one(quota, claim, BUS1_FDS, n[BUS1_FDS]);
	}
	/* A claim that holds nothing may be gone already. */
	if (claim && claim != quota->idle &&
	    (n[BUS1_SLICES] | n[BUS1_BYTES] | n[BUS1_HANDLES] | n[BUS1_FDS]))
		bus1_quota_settle(quota, claim);
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
	sub_one(quota, claim, r, n);
	if (claim)
		bus1_quota_settle(quota, claim);
}

/**
 * bus1_user_charge_fds() - count descriptors that a sender has in flight
 * @sender:	user of the sending peer
 * @n_fds:	how many more
 *
 * RLIMIT_NOFILE bounds them, as it does for AF_UNIX, so that the limit on open files
 * cannot be evaded by sending them away. They count up the chain of owners, as
 * reservations do, so what a container has in flight does not count for the host's root.
 *
 * Return: 0, or -ETOOMANYREFS.
 */
int bus1_user_charge_fds(struct ucounts *sender, unsigned int n_fds)
{
	long max = min_t(unsigned long, rlimit(RLIMIT_NOFILE), LONG_MAX);

	if (!n_fds)
		return 0;
	if (add_count(sender, UCOUNT_RLIMIT_BUS1_SENT_FDS, n_fds, max))
		return 0;
	if (!capable(CAP_SYS_RESOURCE) && !capable(CAP_SYS_ADMIN))
		return -ETOOMANYREFS;
	/* It may exceed its limit, but not what can be counted. */
	if (add_count(sender, UCOUNT_RLIMIT_BUS1_SENT_FDS, n_fds, LONG_MAX))
		return 0;
	return -ETOOMANYREFS;
}

/**
 * bus1_user_uncharge_fds() - descriptors of a sender are no longer in flight
 * @sender:	user they were charged to
 * @n_fds:	how many
 */
void bus1_user_uncharge_fds(struct ucounts *sender, unsigned int n_fds)
{
	if (n_fds)
		sub_count(sender, NULL, UCOUNT_RLIMIT_BUS1_SENT_FDS, n_fds);
}
