/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The player of random sequences: its text, its memory and its bookkeeping
 *
 * Everything here is per sequence, that is per child, but for the areas and
 * the trace: those are shared memory which the parent sets up once.
 */
#ifndef BUS1_SELFTEST_RANDOM_PLAY_H
#define BUS1_SELFTEST_RANDOM_PLAY_H

/* The harness that common.h brings along goes unused here. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#include "../common.h"
#pragma GCC diagnostic pop
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>

#define N_SLOTS		6
#define N_MEMFDS	4
#define MISSING_ID	0xfffffffffffffff1ULL
#define MISSING_SLICE	0xfff8ULL
#define ARRAY_MAX	1024		/* longer ones are never printed */
#define ARRAY_SIZE_MAX	1100		/* longer ones are never filled */
#define FILL_ERROR	0x5a5a5a5a
#define FILL_ID		0xa5a5a5a5a5a5a5a5ULL

/* The trace. It outlives the child, so that nothing is lost when one dies. */

#define TRACE_SIZE	(8UL << 20)
#define TRACE_SLACK	(256UL << 10)	/* no line is longer */

struct trace {
	size_t len;
	char text[];
};

static struct trace *trace;
static bool flush_lines;

static void write_all(int fd, const char *s, size_t n)
{
	while (n) {
		ssize_t w = write(fd, s, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0) {
			fprintf(stderr, "play: write: %s\n", strerror(errno));
			_exit(1);
		}
		s += w;
		n -= w;
	}
}

static void trace_flush(void)
{
	write_all(STDOUT_FILENO, trace->text, trace->len);
	trace->len = 0;
}

static void trace_sync(void)
{
	if (flush_lines) {
		trace_flush();
		fsync(STDOUT_FILENO);
	} else if (trace->len > TRACE_SIZE - TRACE_SLACK) {
		trace_flush();
	}
}

__attribute__((format(printf, 1, 2)))
static void out(const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(trace->text + trace->len,
		      TRACE_SIZE - sizeof(*trace) - trace->len, fmt, ap);
	va_end(ap);
	trace->len += n;
}

static void out_hex(const char *key, __u64 v)
{
	out(" %s=0x%llx", key, (unsigned long long)v);
}

static void out_dec(const char *key, __u64 v)
{
	out(" %s=%llu", key, (unsigned long long)v);
}

static void out_ids(const char *key, const __u64 *ids, size_t n)
{
	size_t i;

	out(" %s=%s", key, n ? "" : "-");
	for (i = 0; i < n; i++)
		out("%s0x%llx", i ? "," : "", (unsigned long long)ids[i]);
}

static const struct {
	int number;
	const char *name;
} error_names[] = {
#define E(name)	{ name, #name }
	E(E2BIG), E(EACCES), E(EAGAIN), E(EBADF), E(EBUSY), E(EDQUOT),
	E(EEXIST), E(EFAULT), E(EHOSTUNREACH), E(EINTR), E(EINVAL), E(EIO),
	E(EMFILE), E(EMSGSIZE), E(ENFILE), E(ENOBUFS), E(ENOENT), E(ENOMEM),
	E(ENOSPC), E(ENOSYS), E(ENOTUNIQ), E(ENXIO), E(EOPNOTSUPP), E(EPERM),
	E(ERANGE), E(EREMOTE), E(ESHUTDOWN), E(ESRCH), E(ESTALE), E(ETIMEDOUT),
	E(ETOOMANYREFS), E(EXFULL),
#undef E
};

/* 0, -NAME, or the number itself if it is no error that anybody knows. */
static void out_error(int v)
{
	size_t i;

	for (i = 0; i < sizeof(error_names) / sizeof(*error_names); i++)
		if (v == -error_names[i].number) {
			out("-%s", error_names[i].name);
			return;
		}
	if (v > 0)
		out("0x%x", v);
	else
		out("%d", v);
}

static void out_ret(int ret)
{
	out(" -> ret=");
	out_error(ret);
}

/* One step: what stands in a line. */

#define MAX_KEYS	40

struct step {
	unsigned long label;
	const char *op;
	int n;
	struct {
		const char *key;
		const char *val;
	} kv[MAX_KEYS];
};

static unsigned long line_number;

__attribute__((noreturn, format(printf, 1, 2)))
static void bad_syntax(const char *fmt, ...)
{
	va_list ap;

	trace_flush();
	fprintf(stderr, "play: line %lu: ", line_number);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	_exit(2);
}

static void parse_step(struct step *s, char *line)
{
	char *save, *word, *end;

	memset(s, 0, offsetof(struct step, kv));
	word = strtok_r(line, " \t", &save);
	s->label = strtoul(word, &end, 10);
	if (*end || end == word)
		bad_syntax("expected a label (a number), found '%s'", word);
	s->op = strtok_r(NULL, " \t", &save);
	if (!s->op)
		bad_syntax("expected an operation behind label %lu, found the end of the line",
			   s->label);
	while ((word = strtok_r(NULL, " \t", &save))) {
		char *eq = strchr(word, '=');

		if (!eq)
			bad_syntax("expected key=value, found '%s'", word);
		if (s->n == MAX_KEYS)
			bad_syntax("expected at most %d arguments", MAX_KEYS);
		*eq = 0;
		s->kv[s->n].key = word;
		s->kv[s->n++].val = eq + 1;
	}
}

static const char *arg(const struct step *s, const char *key)
{
	int i;

	for (i = 0; i < s->n; i++)
		if (!strcmp(s->kv[i].key, key))
			return s->kv[i].val;
	return NULL;
}

static __u64 parse_number(const char *key, const char *val)
{
	char *end;
	__u64 v;

	errno = 0;
	v = strtoull(val, &end, 0);
	if (end == val || *end || errno || *val == '-')
		bad_syntax("expected a number as %s, found '%s'", key, val);
	return v;
}

static __u64 arg_number(const struct step *s, const char *key, __u64 missing)
{
	const char *val = arg(s, key);

	return val ? parse_number(key, val) : missing;
}

/* What goes into a register of a 32-bit caller cannot be longer than that. */
static size_t arg_size(const struct step *s, const char *key, size_t missing)
{
	__u64 v = arg_number(s, key, missing);

	return v > SIZE_MAX ? SIZE_MAX : v;
}

/* Calls @fn for each entry of a list; returns how many there were. */
static size_t each(const char *val, char separator,
		   void (*fn)(void *ctx, size_t i, const char *entry),
		   void *ctx)
{
	char entry[64];
	size_t n = 0;

	if (!val || !strcmp(val, "-"))
		return 0;
	for (;;) {
		size_t len = strcspn(val, separator == ',' ? "," : "+");

		if (!len || len >= sizeof(entry))
			bad_syntax("expected an entry of a list, found '%.40s'",
				   val);
		if (n == ARRAY_SIZE_MAX)
			bad_syntax("expected at most %d entries",
				   ARRAY_SIZE_MAX);
		memcpy(entry, val, len);
		entry[len] = 0;
		fn(ctx, n++, entry);
		if (!val[len])
			return n;
		val += len + 1;
	}
}

/*
 * Memory that is passed to the kernel. Each area ends in front of a page that
 * cannot be accessed, and what it is to hold lies at its end, so that reading
 * or writing too much is noticed. It exists twice: the other view is read-only.
 */
enum area {
	AREA_STRUCT,
	AREA_RECV,
	AREA_IDS,
	AREA_OUT,
	AREA_ERRORS,
	AREA_VECS,
	AREA_HANDLES,
	AREA_FDS,
	AREA_BUFFER,
	AREA_DATA,
	N_AREAS,
};

#define AREA_SIZE	(64UL << 10)
#define DATA_SIZE	(1UL << 20)
#define AREA_OFFSET(a)	((a) * (AREA_SIZE + 4096))
#define AREAS_SIZE	(AREA_OFFSET(AREA_DATA) + DATA_SIZE + 4096)

static unsigned char *areas, *areas_ro, *noaccess;

/* @mem is what the player writes and reads, @ptr what the kernel gets. */
struct spot {
	unsigned char *mem;
	void *ptr;
	bool readable;			/* the kernel may have written it */
};

static struct spot place(enum area area, size_t size, const char *how)
{
	size_t cap = area == AREA_DATA ? DATA_SIZE : AREA_SIZE - 8;
	struct spot s = { .readable = true };

	size = size > cap ? cap : (size + 7) & ~7UL;
	s.mem = areas + AREA_OFFSET(area) - size +
		(area == AREA_DATA ? DATA_SIZE : AREA_SIZE);
	s.ptr = s.mem;
	if (!how)
		return s;
	if (!strcmp(how, "odd")) {
		s.mem -= 4;
		s.ptr = s.mem;
		return s;
	}
	if (!strcmp(how, "ro")) {
		s.ptr = areas_ro + (s.mem - areas);
		return s;
	}
	s.readable = false;
	if (!strcmp(how, "null"))
		s.ptr = NULL;
	else if (!strcmp(how, "bad"))
		s.ptr = noaccess;
	else if (!strcmp(how, "kernel"))
		s.ptr = ptr_kernel();
	else
		bad_syntax("expected null, bad, kernel, odd or ro, found '%s'",
			   how);
	return s;
}

/* A struct of @size bytes that starts with the @ver0 bytes at @content. */
static struct spot place_struct(enum area area, const struct step *st,
				const char *ptr_key, const char *tail_key,
				const void *content, size_t ver0, size_t size)
{
	struct spot s = place(area, size > ver0 ? size : ver0,
			      arg(st, ptr_key));
	size_t room = size < AREA_SIZE - 8 ? size : AREA_SIZE - 8;

	memcpy(s.mem, content, ver0);
	if (size > ver0) {
		memset(s.mem + ver0, 0, room - ver0);
		if (arg_number(st, tail_key, 0))
			s.mem[room - 1] = 1;
	}
	return s;
}

/* An array that is @n long for the kernel, with the @have entries at @v. */
static struct spot place_ids(enum area area, const char *how, const __u64 *v,
			     size_t have, __u64 n)
{
	size_t i, cap = n > ARRAY_SIZE_MAX ? ARRAY_SIZE_MAX : n;
	struct spot s;
	__u64 *w;

	if (have > cap)
		cap = have;
	s = place(area, cap * 8, how);
	w = (__u64 *)s.mem;
	for (i = 0; i < cap; i++)
		w[i] = i < have ? v[i] : 0x8;
	return s;
}

/* What is left out of the trace when it is as usual. */
static void out_optional(const struct step *s, const char *keys)
{
	char key[16];

	while (*keys) {
		size_t len = strcspn(keys, " ");

		snprintf(key, sizeof(key), "%.*s", (int)len, keys);
		if (arg(s, key))
			out(" %s=%s", key, arg(s, key));
		keys += len + (keys[len] == ' ');
	}
}

/* Payload and checksum. */

static void fill_payload(unsigned char *p, size_t n, unsigned long label)
{
	unsigned int base = label * 131;
	size_t i;

	for (i = 0; i < n; i++)
		p[i] = base + i * 7 + (i >> 8);
}

static __u32 crc_table[256];

static void crc_init(void)
{
	unsigned int i, k;

	for (i = 0; i < 256; i++) {
		__u32 c = i;

		for (k = 0; k < 8; k++)
			c = c & 1 ? 0xedb88320 ^ (c >> 1) : c >> 1;
		crc_table[i] = c;
	}
}

static __u32 crc32(const unsigned char *p, size_t n)
{
	__u32 c = ~0U;

	while (n--)
		c = crc_table[(c ^ *p++) & 255] ^ (c >> 8);
	return ~c;
}

/* What a peer holds, as far as the results of calls have told. */

struct held {
	__u64 id;			/* of a slice: its offset */
	__u64 count;			/* of a slice: its bytes of payload */
};

struct list {
	struct held *v;
	size_t n, room;
};

static struct held *list_find(struct list *l, __u64 id)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		if (l->v[i].id == id)
			return &l->v[i];
	return NULL;
}

static struct held *list_add(struct list *l, __u64 id, __u64 count)
{
	if (l->n == l->room) {
		l->room = l->room ? 2 * l->room : 16;
		l->v = realloc(l->v, l->room * sizeof(*l->v));
		if (!l->v)
			bad_syntax("out of memory");
	}
	l->v[l->n] = (struct held){ id, count };
	return &l->v[l->n++];
}

static bool list_drop(struct list *l, __u64 id)
{
	struct held *h = list_find(l, id);

	if (!h)
		return false;
	memmove(h, h + 1, (char *)(l->v + l->n) - (char *)(h + 1));
	l->n--;
	return true;
}

struct slot {
	bool open;
	bool nonblock;
	int fd;
	const unsigned char *pool;
	bool drained;			/* nothing has happened since EAGAIN */
	struct list handles;
	struct list replies;
	struct list slices;
	struct list nodes;		/* of its own, alive */
	struct list requests;
};

static struct slot slots[N_SLOTS];

/* The nodes that this call creates if it succeeds. */
static struct list created;

/* Arguments are written while they are resolved; who needs one skips a call. */
static jmp_buf skip_line;
static bool skip;

static void slot_forget(struct slot *s)
{
	s->handles.n = s->replies.n = s->slices.n = 0;
	s->nodes.n = s->requests.n = 0;
}

static void keep_created(struct slot *s)
{
	size_t i;

	for (i = 0; i < created.n; i++)
		if (!list_find(&s->nodes, created.v[i].id))
			list_add(&s->nodes, created.v[i].id, 1);
}

/* Between the arguments and the call. */
static void ready(void)
{
	if (skip)
		longjmp(skip_line, 1);
	trace_sync();
}

static void not_drained(void)
{
	int i;

	for (i = 0; i < N_SLOTS; i++)
		slots[i].drained = false;
}

static void show_handle(struct slot *s, __u64 id)
{
	struct held *h;

	if (id == BUS1_HANDLE_INVALID)
		return;
	h = list_find(&s->handles, id);
	if (h)
		h->count++;
	else
		list_add(&s->handles, id, 1);
}

static void unshow_handle(struct slot *s, __u64 id)
{
	struct held *h = list_find(&s->handles, id);

	if (list_drop(&s->replies, id) || !h)
		return;
	if (!--h->count)
		list_drop(&s->handles, id);
}

/* What each step has returned, for references by label. */
struct result {
	unsigned long label;
	__u64 dest, reply, offset;
	__u64 *handles, *outs;
	size_t n_handles, n_outs;
};

static struct result *results;
static size_t n_results, room_results;

static struct result *result_new(unsigned long label)
{
	if (n_results == room_results) {
		room_results = room_results ? 2 * room_results : 256;
		results = realloc(results, room_results * sizeof(*results));
		if (!results)
			bad_syntax("out of memory");
	}
	results[n_results] = (struct result){
		.label = label,
		.dest = MISSING_ID,
		.reply = MISSING_ID,
		.offset = MISSING_ID,
	};
	return &results[n_results++];
}

static __u64 *copy_ids(const __u64 *ids, size_t n)
{
	__u64 *copy = malloc(n * sizeof(*ids) + 1);

	if (!copy)
		bad_syntax("out of memory");
	memcpy(copy, ids, n * sizeof(*ids));
	return copy;
}

/* @L.d @L.r @L.o @L.hI @L.tI */
static __u64 resolve_label(const char *word)
{
	unsigned long label, i = 0;
	struct result *r = NULL;
	char *end;
	size_t k;

	label = strtoul(word + 1, &end, 10);
	if (end == word + 1 || *end != '.' || !end[1] ||
	    !strchr("droht", end[1]))
		bad_syntax("expected @LABEL.d, .r, .o, .hI or .tI, found '%s'",
			   word);
	if (end[1] == 'h' || end[1] == 't')
		i = strtoul(end + 2, NULL, 10);
	for (k = n_results; k-- && !r;)
		if (results[k].label == label)
			r = &results[k];
	if (!r)
		return MISSING_ID;
	switch (end[1]) {
	case 'd':
		return r->dest;
	case 'r':
		return r->reply;
	case 'o':
		return r->offset;
	case 'h':
		return i < r->n_handles ? r->handles[i] : MISSING_ID;
	default:
		return i < r->n_outs ? r->outs[i] : MISSING_ID;
	}
}

/* One of one's own: with NEW when it is not there yet. */
static __u64 resolve_own(struct slot *s, __u64 id)
{
	if (s && (list_find(&s->nodes, id) || list_find(&created, id)))
		return id;
	return id | BUS1_HANDLE_FLAG_NEW;
}

/* hN rN sN nN qN: of what this peer (NULL: no peer) has. */
static __u64 resolve_list(struct slot *s, char kind, size_t n)
{
	struct list *l;

	if (!s)
		return kind == 's' ? MISSING_SLICE : MISSING_ID;
	l = kind == 'h' ? &s->handles :
	    kind == 'r' ? &s->replies :
	    kind == 's' ? &s->slices :
	    kind == 'n' ? &s->nodes : &s->requests;
	if (l->n)
		return l->v[n % l->n].id;
	return kind == 's' ? MISSING_SLICE : MISSING_ID;
}

/*
 * An ID or an offset, as @s (NULL: no peer) sees it. With a '?' behind it the
 * call is skipped if there is no such thing; a literal then is one that has to
 * be free. A literal with a '*' is one's own node, existing or not.
 */
static __u64 resolve(struct slot *s, const char *val)
{
	size_t len = strlen(val);
	char word[64], last = len ? val[len - 1] : 0, *end;
	bool literal = false;
	__u64 id;

	if (len >= sizeof(word))
		bad_syntax("expected an ID or offset, found '%.40s'", val);
	memcpy(word, val, len + 1);
	if (last == '?' || last == '*')
		word[len - 1] = 0;
	if (*word == '@') {
		id = resolve_label(word);
	} else if (*word && strchr("hrsnq", *word)) {
		id = resolve_list(s, *word, strtoul(word + 1, &end, 10));
		if (end == word + 1 || *end)
			bad_syntax("expected hN, rN, sN, nN or qN, found '%s'",
				   val);
	} else {
		id = parse_number("ID or offset", word);
		literal = true;
	}
	if (last == '*') {
		if (!literal)
			bad_syntax("expected a literal with '*', found '%s'",
				   val);
		id = resolve_own(s, id);
	}
	if (last == '?' && literal)
		skip |= s && (list_find(&s->requests, id) ||
			      list_find(&s->nodes, id) ||
			      list_find(&created, id));
	else if (last == '?')
		skip |= id == MISSING_ID || id == MISSING_SLICE;
	return id;
}

#endif /* BUS1_SELFTEST_RANDOM_PLAY_H */
