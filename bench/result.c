// SPDX-License-Identifier: GPL-2.0
/*
 * The lines that the program prints: kind, scenario, name, where, values.
 */
#include <stdio.h>

#include "bench.h"

void result(const char *scenario, const char *name, unsigned long long where,
	    double value)
{
	printf("value\t%s\t%s\t%llu\t%.2f\n", scenario, name, where, value);
	fflush(stdout);
}

void result_wall(const char *scenario, const char *name,
		 unsigned long long where, double median, double p99)
{
	printf("wall\t%s\t%s\t%llu\t%.1f\t%.1f\n", scenario, name, where,
	       median, p99);
	fflush(stdout);
}

/* What was counted stands in the plugin's file, under the number of the window. */
void result_count(const char *scenario, const char *name,
		  unsigned long long where, unsigned int window,
		  unsigned int rounds)
{
	printf("count\t%s\t%s\t%llu\t%u\t%u\n", scenario, name, where,
	       window, rounds);
	fflush(stdout);
}

void result_absent(const char *scenario, const char *name,
		   unsigned long long where, const char *why)
{
	printf("absent\t%s\t%s\t%llu\t%s\n", scenario, name, where, why);
	fflush(stdout);
}

void result_note(const char *scenario, const char *text)
{
	printf("note\t%s\t\t0\t%s\n", scenario, text);
	fflush(stdout);
}
