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
 * A claim lives while it holds anything. One that holds nothing may stay, see
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

int bus1_quota_charge(struct bus1_quota *quota, struct bus1_claim *claim,
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
 * @container:	who stands for its container, see bus1_quota_ancestor(); or NULL
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

#endif /* _BUS1_QUOTA_H */
