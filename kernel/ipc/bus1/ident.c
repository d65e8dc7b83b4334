// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: who a peer is
 */

#include <linux/cred.h>
#include <linux/memcontrol.h>
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/user_namespace.h>

#include "ident.h"
#include "quota.h"

/* Returns false if memory is short; there may be none without that. */
static bool find_container(struct bus1_ident *ident)
{
	struct user_namespace *ns = ident->user->ns;

	while (ns->level > 1)
		ns = ns->parent;
	if (!bus1_user_made_by_root(ns))
		return true;
	ident->container = alloc_ucounts(ns, GLOBAL_ROOT_UID);
	return ident->container;
}

/**
 * bus1_ident_new() - take down who the caller is
 *
 * Return: the identity, or NULL.
 */
struct bus1_ident *bus1_ident_new(void)
{
	struct bus1_ident *ident;

	ident = kzalloc(sizeof(*ident), GFP_KERNEL_ACCOUNT);
	if (!ident)
		return NULL;
	ident->user = alloc_ucounts(current_user_ns(), current_euid());
	if (!ident->user)
		goto error_ident;
	if (!find_container(ident))
		goto error_user;
	kref_init(&ident->ref);
	ident->pid = get_pid(task_tgid(current));
	ident->uid = current_euid();
	ident->gid = current_egid();
	ident->memcg = get_mem_cgroup_from_mm(current->mm);
	return ident;

error_user:
	put_ucounts(ident->user);
error_ident:
	kfree(ident);
	return NULL;
}

/**
 * bus1_ident_free() - free an identity, see bus1_ident_put()
 * @ref:	its last reference, that is put
 */
void bus1_ident_free(struct kref *ref)
{
	struct bus1_ident *ident = container_of(ref, struct bus1_ident, ref);

	mem_cgroup_put(ident->memcg);
	put_pid(ident->pid);
	if (ident->container)
		put_ucounts(ident->container);
	put_ucounts(ident->user);
	kfree(ident);
}
