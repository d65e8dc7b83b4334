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

/**
 * bus1_ident_new() - take down who the caller is
 * @user:	user namespace and effective user ID of the caller
 *
 * Return: the identity, or NULL.
 */
struct bus1_ident *bus1_ident_new(struct ucounts *user)
{
	struct bus1_ident *ident;

	ident = kmalloc(sizeof(*ident), GFP_KERNEL_ACCOUNT);
	if (!ident)
		return NULL;
	ident->user = get_ucounts(user);
	if (!ident->user) {
		kfree(ident);
		return NULL;
	}
	kref_init(&ident->ref);
	ident->pid = get_pid(task_tgid(current));
	ident->uid = current_euid();
	ident->gid = current_egid();
	ident->memcg = get_mem_cgroup_from_mm(current->mm);
	return ident;
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
	put_ucounts(ident->user);
	kfree(ident);
}
