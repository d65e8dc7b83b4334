/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * System call numbers for a C library that has not heard of bus1. The number is
 * the same on every architecture, but for the offset that some of them add.
 */
#ifndef BUS1_NUMBERS_H
#define BUS1_NUMBERS_H

#include <sys/syscall.h>

#if defined(__alpha__)
# define BUS1_NR(n)	((n) + 110)
#elif defined(__mips__)
# define BUS1_NR(n)	((n) + __NR_Linux)
#elif defined(__arm__)
# define BUS1_NR(n)	((n) + __NR_SYSCALL_BASE)
#elif defined(__x86_64__) && defined(__ILP32__)
# define BUS1_NR(n)	((n) + __X32_SYSCALL_BIT)
#else
# define BUS1_NR(n)	(n)
#endif

#ifndef __NR_bus1_open
# define __NR_bus1_open			BUS1_NR(500)
# define __NR_bus1_peer_disconnect	BUS1_NR(501)
# define __NR_bus1_peer_query		BUS1_NR(502)
# define __NR_bus1_peer_reset		BUS1_NR(503)
# define __NR_bus1_handle_transfer	BUS1_NR(504)
# define __NR_bus1_handle_release	BUS1_NR(505)
# define __NR_bus1_node_destroy	BUS1_NR(506)
# define __NR_bus1_slice_release	BUS1_NR(507)
# define __NR_bus1_send			BUS1_NR(508)
# define __NR_bus1_recv			BUS1_NR(509)
# define __NR_bus1_call			BUS1_NR(510)
#endif

#endif /* BUS1_NUMBERS_H */
