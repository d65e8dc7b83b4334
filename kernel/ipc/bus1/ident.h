/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1: who a peer is
 */
#ifndef _BUS1_IDENT_H
#define _BUS1_IDENT_H

#include <linux/kref.h>
#include <linux/uidgid_types.h>

struct mem_cgroup;
struct pid;
struct ucounts;

/**
 * struct bus1_ident - the identity that a peer was opened with
 * @ref:	keeps the memory: the peer's, and one per unread message it sent
 * @user:	user namespace and effective user ID, referenced
 * @container:	who stands for the container that it lives in, if the root of the
 *		initial user namespace made one: that namespace with its owner's
 *		ID, referenced; or NULL
 * @pid:	thread group, referenced
 * @uid:	effective user ID
 * @gid:	effective group ID
 * @memcg:	memory cgroup, referenced, or NULL
 *
 * Constant from birth: who has a reference reads it without a lock. A peer that
 * is adopted gets another one.
 */
struct bus1_ident {
	struct kref ref;
	struct ucounts *user;
	struct ucounts *container;
	struct pid *pid;
	kuid_t uid;
	kgid_t gid;
	struct mem_cgroup *memcg;
};

struct bus1_ident *bus1_ident_new(void);
void bus1_ident_free(struct kref *ref);

static inline struct bus1_ident *bus1_ident_get(struct bus1_ident *ident)
{
	kref_get(&ident->ref);
	return ident;
}

/**
 * bus1_ident_put() - put a reference to an identity
 * @ident:	identity, or NULL
 */
static inline void bus1_ident_put(struct bus1_ident *ident)
{
	if (ident)
		kref_put(&ident->ref, bus1_ident_free);
}

#endif /* _BUS1_IDENT_H */
