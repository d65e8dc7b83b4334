/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What publish and subscribe say to each other.
 *
 * A subscriber joins with a handle to a node of its own, which the news go to.
 * The reply is a handle to a node that stands for it at the publisher, where it
 * says how far it has read. A publisher is never more than a window ahead of the
 * slowest subscriber, so the news never find a queue full.
 */
#ifndef NEWS_H
#define NEWS_H

#include <stdint.h>

enum news_kind {
	NEWS_JOIN = 1,		/* a call, with a handle: where the news go to */
	NEWS_WELCOME,		/* its reply: a handle, where to say what was read */
	NEWS_ITEM,
	NEWS_END,
	NEWS_READ,		/* all up to @number */
};

/* Followed by the text of the item. */
struct news {
	uint32_t kind;
	uint32_t number;
	char publisher[16];
};

/* How far the publisher may be ahead; readers say so twice as often. */
#define NEWS_WINDOW 32

#endif /* NEWS_H */
