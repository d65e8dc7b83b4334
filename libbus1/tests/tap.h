/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Test results as TAP, KTAP's spelling. A test is a function that returns
 * normally when it passed; EXPECT leaves it when it did not, REQUIRE ends the
 * program where nothing after it would mean anything.
 */
#ifndef TAP_H
#define TAP_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tap_test {
	const char *name;
	void (*run)(void);
};

static const char *tap_skipped;
static int tap_failed;

#define EXPECT(condition) do { \
	if (!(condition)) { \
		printf("# %s:%d: not true: %s (errno %d, %s)\n", __FILE__, \
		       __LINE__, #condition, errno, strerror(errno)); \
		tap_failed = 1; \
		return; \
	} \
} while (0)

#define EXPECT_ERRNO(call, number) do { \
	errno = 0; \
	EXPECT((call) == -1); \
	EXPECT(errno == (number)); \
} while (0)

#define REQUIRE(condition) do { \
	if (!(condition)) { \
		printf("Bail out! %s:%d: %s: %s\n", __FILE__, __LINE__, \
		       #condition, strerror(errno)); \
		exit(1); \
	} \
} while (0)

#define TAP_SKIP(reason) do { \
	tap_skipped = (reason); \
	return; \
} while (0)

static inline int tap_run(const struct tap_test *tests, size_t n)
{
	size_t i, n_failed = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("TAP version 13\n1..%zu\n", n);
	for (i = 0; i < n; i++) {
		tap_skipped = NULL;
		tap_failed = 0;
		tests[i].run();
		n_failed += tap_failed;
		printf("%s %zu %s%s%s\n", tap_failed ? "not ok" : "ok", i + 1,
		       tests[i].name, tap_skipped ? " # SKIP " : "",
		       tap_skipped ? tap_skipped : "");
	}
	return n_failed ? 1 : 0;
}

#define TAP_RUN(tests) tap_run(tests, sizeof(tests) / sizeof((tests)[0]))

#endif /* TAP_H */
