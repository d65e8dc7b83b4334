/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#ifndef BUS1_INTERNAL_H
#define BUS1_INTERNAL_H

/* All else is hidden; libbus1.map says the same, and a test compares the two. */
#define EXPORT __attribute__((visibility("default")))

#endif /* BUS1_INTERNAL_H */
