/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1: users, limits and shares
 */
#ifndef _BUS1_QUOTA_H
#define _BUS1_QUOTA_H

#include <linux/rbtree.h>
#include <linux/types.h>
#include <linux/user_namespace.h>

#include "limits.h"

/**
 * enum bus1_resource - what is limited
 * @BUS1_SLICES:	slices of the pool
 * @BUS1_BYTES:		bytes in slices
 * @BUS1_HANDLES:	handles
 * @BUS1_FDS:		file descriptors in unread messages
 * @BUS1_RESOURCES:	how many there are
 */
enum bus1_resource {
	BUS1_SLICES,
	BUS1_BYTES,
	BUS1_HANDLES,
	BUS1_FDS,
	BUS1_RESOURCES,
};

/**
 * struct bus1_amount - so much of each resource
 * @of:	amount of each; at most BUS1_LIMIT_MAX, so that sums do not overflow
 */
struct bus1_amount {
	u32 of[BUS1_RESOURCES];
};

/**
 * struct bus1_claim - what one claimant holds of one peer's resources
 * @rb:		links the claim into &struct bus1_quota.claims
 * @user:	the claimant: the sender's user as the receiver sees it; holds a
 *		reference
 * @used:	what it holds
 *
 * A claim lives as long as it holds anything. One that holds nothing may stay, see
 * &struct bus1_quota.idle.
 */
struct bus1_claim {
	struct rb_node rb;
	struct ucounts *user;
	struct bus1_amount used;
};

/**
 * struct bus1_quota - one peer's limits, and who holds what of it
 * @user:	the user that the limits are reserved from; outlives the quota
 * @max:	limits of this peer; 0 unless it is open
 * @used:	what is used, by the peer itself and by all claimants
 * @n_claimants: how many claims hold some of each resource
 * @claims:	all claims, by user
 * @idle:	the last claim that came to hold nothing, kept because its user
 *		is likely to send again, and may since have done so; or NULL
 *
 * The lock of the peer that embeds the quota serialises all access.
 */
struct bus1_quota {
	struct ucounts *user;
	struct bus1_amount max;
	struct bus1_amount used;
	u32 n_claimants[BUS1_RESOURCES];
	struct rb_root claims;
	struct bus1_claim *idle;
};

/* What one handle takes. */
extern const struct bus1_amount bus1_one_handle;

/* What all peers of one user may reserve together, bytes in KiB: the sysctls. */
extern unsigned int bus1_user_max[BUS1_RESOURCES];

void bus1_quota_init(struct bus1_quota *quota, struct ucounts *user);
void bus1_quota_deinit(struct bus1_quota *quota);
struct bus1_amount bus1_quota_defaults(void);
int bus1_quota_open(struct bus1_quota *quota, const struct bus1_amount *max);
void bus1_quota_close(struct bus1_quota *quota);
int bus1_quota_set_limits(struct bus1_quota *quota,
			  const struct bus1_amount *max);
bool bus1_quota_swap(struct bus1_quota *quota, struct bus1_quota *with);

struct ucounts *bus1_quota_ancestor(struct user_namespace *receiver,
				    struct ucounts *sender,
				    struct ucounts *container);
struct bus1_claim *bus1_claim_new(struct ucounts *user, gfp_t gfp);
void bus1_claim_free(struct bus1_claim *claim);
bool bus1_claim_is_idle(const struct bus1_claim *claim);
struct bus1_claim *bus1_quota_claim(struct bus1_quota *quota,
				    struct ucounts *user,
				    struct bus1_claim **spare);

void bus1_quota_settle(struct bus1_quota *quota, struct bus1_claim *claim);
int bus1_quota_refuse(struct bus1_quota *quota, struct bus1_claim *claim,
		      const struct bus1_amount *amount);
int bus1_quota_charge_own(struct bus1_quota *quota,
			  const struct bus1_amount *amount);
void bus1_quota_uncharge(struct bus1_quota *quota, struct bus1_claim *claim,
			 const struct bus1_amount *amount);
void bus1_quota_uncharge_one(struct bus1_quota *quota, struct bus1_claim *claim,
			     enum bus1_resource r, u32 n);

long bus1_user_reserved(struct ucounts *user, enum bus1_resource r);
int bus1_user_charge_fds(struct ucounts *sender, unsigned int n_fds);
void bus1_user_uncharge_fds(struct ucounts *sender, unsigned int n_fds);

/**
 * bus1_user_made_by_root() - whether a user namespace is a container of its own
 * @ns:		user namespace
 *
 * Return: true if the root of the initial user namespace made it.
 */
static inline bool bus1_user_made_by_root(const struct user_namespace *ns)
{
	return ns->parent == &init_user_ns && uid_eq(ns->owner, GLOBAL_ROOT_UID);
}

/**
 * bus1_quota_claimant() - find whom a receiver sees as the sender
 * @quota:	quota of the receiver
 * @sender:	user of the sending peer
 * @container:	what stands for its container, see bus1_quota_ancestor(); or NULL
 *
 * Return: the user that the receiver's shares are counted for; it lives as long as
 * @sender and @container do.
 */
static inline struct ucounts *
bus1_quota_claimant(const struct bus1_quota *quota, struct ucounts *sender,
		    struct ucounts *container)
{
	struct user_namespace *receiver = quota->user->ns;

	if (likely(sender->ns == receiver))
		return sender;
	return bus1_quota_ancestor(receiver, sender, container);
}

/**
 * bus1_quota_fits() - whether a charge of one resource fits the share of a claimant
 * @quota:	quota of the receiver
 * @claim:	the claimant's claim on @quota
 * @r:		resource
 * @c:		how much of it
 *
 * Return: whether s + c <= (L - U + s) / (n + 1), this claimant counted in n.
 */
static __always_inline bool
bus1_quota_fits(const struct bus1_quota *quota, const struct bus1_claim *claim,
		enum bus1_resource r, s64 c)
{
	s64 left = (s64)quota->max.of[r] - quota->used.of[r];
	s64 s = claim->used.of[r];
	s64 others = quota->n_claimants[r] - !!s;

	return !c || (s + c) * (others + 2) <= left + s;
}

/**
 * bus1_quota_add() - add to what a claimant holds
 * @quota:	quota of the receiver
 * @claim:	the claimant's claim on @quota
 * @r:		resource
 * @n:		how much of it
 */
static __always_inline void bus1_quota_add(struct bus1_quota *quota,
					   struct bus1_claim *claim,
					   enum bus1_resource r, u32 n)
{
	quota->n_claimants[r] += n && !claim->used.of[r];
	quota->used.of[r] += n;
	claim->used.of[r] += n;
}

/**
 * bus1_quota_charge() - charge what a claimant's message consumes
 * @quota:	quota of the receiver
 * @claim:	the claimant's claim on @quota
 * @amount:	what the message consumes
 *
 * All or nothing. A claim that holds nothing afterwards may be freed. What fits the share
 * is at most half of the limit, so -EMSGSIZE need not be checked first.
 *
 * Return: 0; -EMSGSIZE if even an idle receiver would refuse it; -EXFULL if a
 * claimant that holds nothing would be refused; -EDQUOT if this claimant's share is
 * used up.
 */
static __always_inline int
bus1_quota_charge(struct bus1_quota *quota, struct bus1_claim *claim,
		  const struct bus1_amount *amount)
{
	const u32 *n = amount->of;

	if (unlikely(!bus1_quota_fits(quota, claim, BUS1_SLICES, n[BUS1_SLICES]) ||
		     !bus1_quota_fits(quota, claim, BUS1_BYTES, n[BUS1_BYTES]) ||
		     !bus1_quota_fits(quota, claim, BUS1_HANDLES, n[BUS1_HANDLES]) ||
		     !bus1_quota_fits(quota, claim, BUS1_FDS, n[BUS1_FDS])))
		return bus1_quota_refuse(quota, claim, amount);
	bus1_quota_add(quota, claim, BUS1_SLICES, n[BUS1_SLICES]);
	bus1_quota_add(quota, claim, BUS1_BYTES, n[BUS1_BYTES]);
	if (unlikely(n[BUS1_HANDLES] | n[BUS1_FDS])) {
		bus1_quota_add(quota, claim, BUS1_HANDLES, n[BUS1_HANDLES]);
		bus1_quota_add(quota, claim, BUS1_FDS, n[BUS1_FDS]);
	}
	/* Nobody else would settle a claim that nothing is charged under. */
	if (!(n[BUS1_SLICES] | n[BUS1_BYTES] | n[BUS1_HANDLES] | n[BUS1_FDS]))
		bus1_quota_settle(quota, claim);
	return 0;
}

#endif /* _BUS1_QUOTA_H */
