// SPDX-License-Identifier: GPL-2.0
/*
 * Calls per second of four client processes on one server process with four
 * threads. On bus1 the threads share one peer; on SEQPACKET each serves the
 * connection of one client. They take turns, so that the ratio holds whatever
 * else the host does.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "bus1.h"
#include "call.h"

#define CLIENTS 4
#define BYTES 64
#define TURNS 9
#define TURN_NS 500000000ULL

struct shared {
	atomic_bool go;
	atomic_bool stop;
	atomic_ullong calls[CLIENTS];
};

struct service {
	const struct mechanism *mechanism;
	void *links[CLIENTS];
	struct shared *shared;
};

struct thread {
	struct service *service;
	unsigned int index;
};

static void open_calls(struct service *service)
{
	struct call_link *first = bus1_call_mechanism.open(BYTES), *link;
	unsigned int i;

	service->links[0] = first;
	for (i = 1; i < CLIENTS; i++) {
		link = calloc(1, sizeof(*link));
		check(link, "calloc");
		*link = *first;
		link->client = peer_open();
		peer_map(link->client);
		link->to_server = peer_give(first->server, 8, link->client);
		service->links[i] = link;
	}
}

static void open_sockets(struct service *service)
{
	unsigned int i;

	for (i = 0; i < CLIENTS; i++)
		service->links[i] = seqpacket_mechanism.open(BYTES);
}

static void *serve(void *data)
{
	struct thread *thread = data;
	struct service *service = thread->service;

	service->mechanism->serve(service->links[thread->index], BYTES);
	return NULL;
}

static void serve_all(struct service *service)
{
	struct thread threads[CLIENTS];
	pthread_t ids[CLIENTS];
	unsigned int i;

	for (i = 0; i < CLIENTS; i++) {
		threads[i] = (struct thread){ service, i };
		check(!pthread_create(&ids[i], NULL, serve, &threads[i]),
		      "pthread_create");
	}
	for (;;)
		pause();
}

/* A call under way when the time is up is finished, so nothing stays behind. */
static void call_all(struct service *service, unsigned int i)
{
	struct shared *shared = service->shared;

	while (!atomic_load(&shared->stop)) {
		service->mechanism->ask(service->links[i], BYTES);
		atomic_fetch_add_explicit(&shared->calls[i], 1,
					  memory_order_relaxed);
	}
}

static pid_t child(struct service *service, int client)
{
	pid_t pid = fork();

	check(pid >= 0, "fork");
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (client < 0)
		serve_all(service);
	while (!atomic_load(&service->shared->go))
		usleep(1000);
	call_all(service, client);
	_exit(0);
}

static double calls_per_second(struct service *service)
{
	pid_t server, clients[CLIENTS];
	__u64 start, calls = 0;
	unsigned int i;

	service->shared = shared_memory(sizeof(*service->shared));
	server = child(service, -1);
	for (i = 0; i < CLIENTS; i++)
		clients[i] = child(service, i);
	atomic_store(&service->shared->go, true);
	start = now();
	usleep(TURN_NS / 1000);
	atomic_store(&service->shared->stop, true);
	for (i = 0; i < CLIENTS; i++) {
		check(waitpid(clients[i], NULL, 0) == clients[i], "waitpid");
		calls += atomic_load(&service->shared->calls[i]);
	}
	start = now() - start;
	kill(server, SIGKILL);
	check(waitpid(server, NULL, 0) == server, "waitpid");
	munmap(service->shared, sizeof(*service->shared));
	return calls * 1e9 / start;
}

static int compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *values)
{
	qsort(values, TURNS, sizeof(*values), compare);
	return values[TURNS / 2];
}

void scenario_wall_server(void)
{
	struct service bus1 = { .mechanism = &bus1_call_mechanism };
	struct service sockets = { .mechanism = &seqpacket_mechanism };
	double ours[TURNS], theirs[TURNS], ratios[TURNS];
	const char *why = bus1_call_missing();
	unsigned int i;

	fflush(stdout);
	open_sockets(&sockets);
	if (!why)
		open_calls(&bus1);
	for (i = 0; i < TURNS; i++) {
		theirs[i] = calls_per_second(&sockets);
		ours[i] = why ? 0 : calls_per_second(&bus1);
		ratios[i] = ours[i] / theirs[i];
	}
	result("server.calls", "SEQPACKET", CLIENTS, median(theirs));
	if (why) {
		result_absent("server.calls", "bus1 call", CLIENTS, why);
		result_absent("server.ratio", "bus1 call", CLIENTS, why);
		return;
	}
	result("server.calls", "bus1 call", CLIENTS, median(ours));
	result("server.ratio", "bus1 call", CLIENTS, median(ratios));
}
