/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The benchmark: what a mechanism and a scenario are, and what they share.
 *
 * The program runs in a guest whose clock advances one nanosecond for each
 * instruction (icount), or with the host's time (wall), or marks its rounds for
 * a plugin that counts (count). It prints one line per figure, fields separated
 * by tabs; bench/host/ makes tables of them.
 */
#ifndef BENCH_H
#define BENCH_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define __noreturn __attribute__((noreturn))
#define __packed __attribute__((packed))

/* The largest message that is measured. */
#define SIZE_MAX_MESSAGE ((size_t)1 << 20)

/**
 * struct mechanism - one way for two processes to talk
 * @name:	as it stands in the tables
 * @refuse:	NULL, or a function that says why @n bytes cannot be carried in
 *		one message, or NULL if they can
 * @open:	makes both ends, before the fork, for messages of @n bytes
 * @close:	takes back what @open made
 * @send:	one message from the client's end; with @recv, in one thread;
 *		both NULL where one thread cannot do it
 * @recv:	takes that message at the server's end and gives back its memory
 * @ask:	one round trip, seen from the client
 * @serve:	answers for ever
 */
struct mechanism {
	const char *name;
	const char *(*refuse)(size_t n);
	void *(*open)(size_t n);
	void (*close)(void *link);
	void (*send)(void *link, size_t n);
	void (*recv)(void *link, size_t n);
	void (*ask)(void *link, size_t n);
	void (*serve)(void *link, size_t n);
};

extern const struct mechanism bus1_call_mechanism;
extern const struct mechanism bus1_mechanism;
extern const struct mechanism seqpacket_mechanism;
extern const struct mechanism seqpacket_msg_mechanism;
extern const struct mechanism stream_mechanism;
extern const struct mechanism pipe_mechanism;
extern const struct mechanism eventfd_mechanism;
extern const struct mechanism futex_mechanism;
extern const struct mechanism mqueue_mechanism;
extern const struct mechanism sysv_mechanism;
extern const struct mechanism binder_mechanism;
extern const struct mechanism yield_mechanism;

/* Every mechanism, in the order of the tables. */
extern const struct mechanism *const mechanisms[];
extern const size_t n_mechanisms;

/* The sizes of the tables, in bytes. */
extern const size_t sizes[];
extern const size_t n_sizes;

/**
 * enum mode - what is measured
 * @MODE_ICOUNT:	instructions
 * @MODE_WALL:		time, with two processors
 * @MODE_COUNT:		accesses to memory, by the plugin
 */
enum mode {
	MODE_ICOUNT,
	MODE_WALL,
	MODE_COUNT,
};

/**
 * struct options - what was asked for on the command line
 * @mode:	what to measure
 * @quick:	half the rounds
 * @memcg:	everything in a memory cgroup
 */
struct options {
	enum mode mode;
	bool quick;
	bool memcg;
};

extern struct options options;

/* The source and the sink of every message. */
extern char outgoing[];
extern char incoming[];

/* util.c */
void __noreturn die(const char *what);
void check(bool good, const char *what);
__u64 now(void);
void write_file(const char *path, const char *text);
bool try_write_file(const char *path, const char *text);
void *shared_memory(size_t n);
unsigned int rounds_for(size_t n);

/* result.c */
void result(const char *scenario, const char *name, unsigned long long where,
	    double value);
void result_wall(const char *scenario, const char *name,
		 unsigned long long where, double median, double p99);
void result_count(const char *scenario, const char *name,
		  unsigned long long where, unsigned int window,
		  unsigned int rounds);
void result_absent(const char *scenario, const char *name,
		   unsigned long long where, const char *why);
void result_note(const char *scenario, const char *text);

/* pair.c: a client, the caller, and a server process */
struct pair {
	const struct mechanism *mechanism;
	void *link;
	size_t n;
	pid_t server;
};

void pair_start(struct pair *pair, const struct mechanism *mechanism, size_t n);
void pair_run(struct pair *pair, unsigned int rounds);
void pair_stop(struct pair *pair);
double pair_cost_on(const struct mechanism *mechanism, void *link, size_t n);
double pair_cost(const struct mechanism *mechanism, size_t n);

/* setup.c */
void setup_system(void);

/* s_memcg.c */
void memcg_enter(void);

/* s_count.c */
void count_known(void);

/* The scenarios. */
void scenario_syscall(void);
void scenario_roundtrip(void);
void scenario_local(void);
void scenario_multicast(void);
void scenario_handles(void);
void scenario_descriptors(void);
void scenario_transfer(void);
void scenario_nodes(void);
void scenario_lifetime(void);
void scenario_memory(void);
void scenario_growth(void);
void scenario_memcg(void);
void scenario_crowd(void);
void scenario_wall_roundtrip(void);
void scenario_wall_server(void);
void scenario_count_roundtrip(void);
void scenario_count_local(void);

#endif /* BENCH_H */
