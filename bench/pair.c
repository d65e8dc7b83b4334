// SPDX-License-Identifier: GPL-2.0
/*
 * A client and a server in two processes.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

/* The server is a process; the client is the caller. */
static void fork_server(struct pair *pair)
{
	fflush(stdout);
	pair->server = fork();
	check(pair->server >= 0, "fork");
	if (!pair->server) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pair->mechanism->serve(pair->link, pair->n);
		_exit(1);
	}
}

static void end_server(struct pair *pair)
{
	kill(pair->server, SIGKILL);
	check(waitpid(pair->server, NULL, 0) == pair->server, "waitpid");
}

void pair_start(struct pair *pair, const struct mechanism *mechanism, size_t n)
{
	pair->mechanism = mechanism;
	pair->n = n;
	pair->link = mechanism->open(n);
	fork_server(pair);
}

void pair_run(struct pair *pair, unsigned int rounds)
{
	while (rounds--)
		pair->mechanism->ask(pair->link, pair->n);
}

void pair_stop(struct pair *pair)
{
	end_server(pair);
	pair->mechanism->close(pair->link);
}

/* What a round trip on @link takes, once caches and pages are in place. */
double pair_cost_on(const struct mechanism *mechanism, void *link, size_t n)
{
	struct pair pair = { .mechanism = mechanism, .link = link, .n = n };
	unsigned int rounds = rounds_for(n);
	__u64 start, end;

	fork_server(&pair);
	pair_run(&pair, rounds / 10 + 5);
	start = now();
	pair_run(&pair, rounds);
	end = now();
	end_server(&pair);
	return (double)(end - start) / rounds;
}

double pair_cost(const struct mechanism *mechanism, size_t n)
{
	void *link = mechanism->open(n);
	double cost = pair_cost_on(mechanism, link, n);

	mechanism->close(link);
	return cost;
}
