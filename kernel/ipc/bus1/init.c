// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: caches and sysctls
 */

#include <linux/init.h>
#include <linux/sysctl.h>

#include "message.h"

#ifdef CONFIG_SYSCTL
#define BUS1_SYSCTL(_name, _resource) {			\
	.procname = _name,				\
	.data = &bus1_user_max[_resource],		\
	.maxlen = sizeof(unsigned int),			\
	.mode = 0644,					\
	.proc_handler = proc_dointvec_minmax,		\
	.extra1 = SYSCTL_ZERO,				\
	.extra2 = SYSCTL_INT_MAX,			\
}

static struct ctl_table bus1_sysctls[] = {
	BUS1_SYSCTL("max_slices", BUS1_SLICES),
	BUS1_SYSCTL("max_handles", BUS1_HANDLES),
	BUS1_SYSCTL("max_inflight_kbytes", BUS1_BYTES),
	BUS1_SYSCTL("max_inflight_fds", BUS1_FDS),
};

static void __init init_sysctls(void)
{
	register_sysctl_init("kernel/bus1", bus1_sysctls);
}
#else
static void __init init_sysctls(void)
{
}
#endif

static int __init bus1_init(void)
{
	bus1_pool_mount();
	bus1_peer_cache_init();
	bus1_node_cache_init();
	bus1_handle_cache_init();
	bus1_reply_cache_init();
	bus1_message_cache_init();
	init_sysctls();
	return 0;
}
/* This runs after shmem, and after the limits on user namespaces have their defaults. */
fs_initcall(bus1_init);
