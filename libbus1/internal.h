/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#ifndef BUS1_INTERNAL_H
#define BUS1_INTERNAL_H

/* All else is hidden; libbus1.map says the same, and a test compares the two. */
#define EXPORT __attribute__((visibility("default")))

/* The kernel wants 8 bytes also where a __u64 in a struct asks for 4. */
#define ALIGNED __attribute__((aligned(8)))

#endif /* BUS1_INTERNAL_H */
