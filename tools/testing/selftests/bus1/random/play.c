// SPDX-License-Identifier: GPL-2.0
/*
 * Plays sequences of bus1 calls and writes down what each call returned
 *
 * play [--flush] [--progress FILE] [FILE]
 *
 * Reads sequences from FILE or stdin, each starting with "# seed N", and runs
 * each in a child of its own, one call after the other in one thread. The
 * trace goes to stdout, a sequence at a time.
 *
 * --flush     write each line at once, its arguments before the call is made
 * --progress  append the seed of each sequence to FILE before it starts
 *
 * Ends with 2 when a sequence cannot be understood.
 */
#include "play_message.h"
#include <sys/eventfd.h>
#include <sys/socket.h>

#define TIMEOUT		20	/* seconds for a sequence */

#if defined(__x86_64__) && defined(__ILP32__)
#define ABI_NAME	"x32"
#elif defined(__x86_64__)
#define ABI_NAME	"x86_64"
#elif defined(__i386__)
#define ABI_NAME	"i386"
#else
#define ABI_NAME	"native"
#endif

/* Operations: peers */

static void op_open(const struct step *st)
{
	const char *val = arg(st, "slot");
	struct slot *slot = val ? find_slot(val) : NULL;
	unsigned int flags;
	struct spot limits;
	size_t size;
	int fd;

	if (!slot)
		bad_syntax("expected slot=p0..p5, found '%s'", val ? val : "");
	out(" slot=%s", val);
	limits = arg_limits(st, &size);
	flags = arg_flags(st);
	out_optional(st, "size tail ptr");
	ready();
	fd = sys_open(limits.ptr, size, flags);
	out_ret(fd < 0 ? fd : 0);
	if (fd < 0)
		return;
	slot->pool = mmap(NULL, POOL_ROOM, PROT_READ, MAP_SHARED, fd, 0);
	if (slot->pool == MAP_FAILED)
		bad_syntax("the pool cannot be mapped: %s", strerror(errno));
	slot->fd = fd;
	slot->nonblock = flags & BUS1_OPEN_NONBLOCK;
	slot->open = true;
}

static bool slot_is_open(const struct step *st)
{
	const char *val = arg(st, "slot");
	struct slot *slot = val ? find_slot(val) : NULL;

	return slot && slot->open;
}

static void op_close(const struct step *st)
{
	struct slot *slot;
	int fd = arg_fd(st, "fd", &slot);

	if (!slot)
		bad_syntax("expected a peer to close, found '%s'",
			   arg(st, "fd"));
	ready();
	if (slot->open)
		munmap((void *)slot->pool, POOL_ROOM);
	out_ret(RET_ERRNO(close(fd)));
	slot->open = false;
	slot_forget(slot);
}

static void op_disconnect(const struct step *st)
{
	struct slot *slot;
	int ret, fd = arg_fd(st, "fd", &slot);
	unsigned int flags = arg_flags(st);

	ready();
	ret = sys_disconnect(fd, flags);
	out_ret(ret);
	if (!ret && slot)
		slot_forget(slot);
}

static void op_query(const struct step *st)
{
	static const char * const names[] = {
		"max_slices", "max_handles", "max_inflight_bytes",
		"max_inflight_fds", "used_slices", "used_handles",
		"used_inflight_bytes", "used_inflight_fds", "id", "n_nodes",
		"n_handles", "n_queued", "n_sent", "n_received",
	};
	struct bus1_peer_info info;
	struct slot *slot;
	int fd = arg_fd(st, "fd", &slot);
	unsigned int flags = arg_flags(st);
	size_t i, size = arg_size(st, "size", sizeof(info));
	struct spot s;

	memset(&info, 0xa5, sizeof(info));
	s = place_struct(AREA_STRUCT, st, "ptr", "tail", &info, sizeof(info),
			 size);
	out_optional(st, "size tail ptr");
	ready();
	out_ret(sys_query(fd, s.ptr, size, flags));
	memcpy(&info, s.mem, sizeof(info));
	for (i = 0; i < sizeof(names) / sizeof(*names); i++)
		out_dec(names[i], ((const __u64 *)&info)[i]);
}

static void op_reset(const struct step *st)
{
	struct slot *slot;
	int ret, fd = arg_fd(st, "fd", &slot);
	unsigned int flags;
	struct spot limits;
	size_t size;

	limits = arg_limits(st, &size);
	flags = arg_flags(st);
	out_optional(st, "size tail ptr");
	ready();
	ret = sys_reset(fd, limits.ptr, size, flags);
	out_ret(ret);
	/* The flush has happened even if the adoption did not. */
	if (slot && (flags & BUS1_RESET_FLUSH) &&
	    (!ret || ((flags & BUS1_RESET_ADOPT) &&
		      (ret == -EBUSY || ret == -ENOSPC))))
		slot_forget(slot);
}

static void op_poll(const struct step *st)
{
	static const struct {
		short bit;
		const char *name;
	} events[] = {
		{ POLLIN, "IN" }, { POLLPRI, "PRI" }, { POLLOUT, "OUT" },
		{ POLLERR, "ERR" }, { POLLHUP, "HUP" }, { POLLNVAL, "NVAL" },
		{ POLLRDHUP, "RDHUP" },
	};
	struct pollfd p = { .events = POLLIN | POLLPRI | POLLOUT | POLLRDHUP };
	const char *sep = "";
	struct slot *slot;
	size_t i;

	p.fd = arg_fd(st, "fd", &slot);
	ready();
	poll(&p, 1, 0);
	out(" -> revents=%s", p.revents ? "" : "0");
	for (i = 0; i < sizeof(events) / sizeof(*events); i++)
		if (p.revents & events[i].bit) {
			out("%s%s", sep, events[i].name);
			sep = "|";
		}
}

/* By raw call, so that it is this process' alone; root stays the real uid. */
static void op_euid(const struct step *st)
{
#ifdef __NR_setresuid32
	const long nr = __NR_setresuid32;
#else
	const long nr = __NR_setresuid;
#endif
	unsigned int uid = arg_number(st, "uid", 0);
	int ret;

	out(" uid=%u", uid);
	ready();
	ret = RET_ERRNO(syscall(nr, -1, 0, -1));
	if (!ret && uid)
		ret = RET_ERRNO(syscall(nr, -1, uid, -1));
	out_ret(ret);
}

static void op_check(const struct step *st)
{
	const char *val = arg(st, "off");
	struct held *slice = NULL;
	struct slot *slot;
	__u64 off;

	arg_fd(st, "fd", &slot);
	if (!val)
		bad_syntax("expected off=, found none");
	off = resolve(slot, val);
	out_hex("off", off);
	ready();
	if (slot && slot->open)
		slice = list_find(&slot->slices, off);
	if (!slice || off > POOL_ROOM || slice->count > POOL_ROOM - off)
		out(" -> crc=none");
	else
		out(" -> crc=0x%x", crc32(slot->pool + off, slice->count));
}

/* Operations: arrays of IDs */

static struct id_list id_args, id_args2;

static void op_transfer(const struct step *st)
{
	struct id_list *l = &id_args, *o = &id_args2;
	struct slot *src_slot, *dst_slot;
	int ret, src = arg_fd(st, "src", &src_slot);
	int dst = arg_fd(st, "dst", &dst_slot);
	struct spot s, d;
	struct result *r;
	unsigned int flags;
	size_t i, n;

	if (!dst_slot && dst < 0)
		dst_slot = src_slot;
	arg_ids(st, "ids", src_slot, l);
	n = arg_size(st, "n", l->n);
	out_dec("n", n);
	flags = arg_flags(st);
	out_optional(st, "sptr dptr");
	o->n = n > ARRAY_MAX ? 0 : n;
	for (i = 0; i < o->n; i++)
		o->v[i] = FILL_ID;
	s = place_ids(AREA_IDS, arg(st, "sptr"), l->v, l->n, n);
	d = place_ids(AREA_OUT, arg(st, "dptr"), o->v, o->n, n);
	ready();
	ret = sys_transfer(src, dst, s.ptr, d.ptr, n, flags);
	out_ret(ret);
	memcpy(o->v, d.mem, o->n * 8);
	out_ids("out", o->v, d.readable ? o->n : 0);
	if (ret == -ENXIO && n == 1 && src_slot)
		unshow_handle(src_slot, l->v[0]);
	if (ret || !src_slot || !dst_slot)
		return;
	keep_created(src_slot);
	r = result_new(st->label);
	r->outs = copy_ids(o->v, o->n);
	r->n_outs = o->n;
	for (i = 0; i < o->n && i < l->n; i++) {
		if (!list_drop(&src_slot->replies, l->v[i]))
			show_handle(dst_slot, o->v[i]);
		else if (o->v[i] != BUS1_HANDLE_INVALID)
			list_add(&dst_slot->replies, o->v[i], 1);
	}
}

/* What release, destroy and slices have in common. */
static int op_array(const struct step *st, struct slot **slot,
		    int (*call)(int, const void *, size_t, unsigned int))
{
	struct id_list *l = &id_args;
	int ret, fd = arg_fd(st, "fd", slot);
	unsigned int flags;
	struct spot s;
	size_t n;

	arg_ids(st, "ids", *slot, l);
	n = arg_size(st, "n", l->n);
	out_dec("n", n);
	flags = arg_flags(st);
	out_optional(st, "ptr");
	s = place_ids(AREA_IDS, arg(st, "ptr"), l->v, l->n, n);
	ready();
	ret = call(fd, s.ptr, n, flags);
	out_ret(ret);
	return ret;
}

/* One that the kernel does not know is not held, whatever the list says. */
static bool array_drops(int ret)
{
	return !ret || (ret == -ENXIO && id_args.n == 1);
}

static void op_release(const struct step *st)
{
	struct slot *slot;
	size_t i;

	if (array_drops(op_array(st, &slot, sys_release)) && slot)
		for (i = 0; i < id_args.n; i++)
			unshow_handle(slot, id_args.v[i]);
}

static void op_destroy(const struct step *st)
{
	struct slot *slot;
	int ret = op_array(st, &slot, sys_destroy);
	bool keep = !(arg_number(st, "flags", 0) & BUS1_DESTROY_RELEASE_HANDLES);
	size_t i;

	if (!slot || !array_drops(ret))
		return;
	for (i = 0; i < id_args.n; i++) {
		if (ret)
			unshow_handle(slot, id_args.v[i]);
		list_drop(&slot->requests, id_args.v[i]);
		/* The owner still has to release its own reference. */
		if (list_drop(&slot->nodes, id_args.v[i]) && !ret && keep)
			show_handle(slot, id_args.v[i]);
	}
}

static void op_slices(const struct step *st)
{
	struct slot *slot;
	size_t i;

	if (array_drops(op_array(st, &slot, sys_slice_release)) && slot)
		for (i = 0; i < id_args.n; i++)
			list_drop(&slot->slices, id_args.v[i]);
}

/* The run */

#define SEND_KEYS	"dests nd vecs nv handles nh fds nf reply_id " \
			"reply_bytes reply_handles reply_fds flags errors " \
			SEND_OPTIONAL " "
#define RECV_KEYS	"max_offset deadline req release buf bptr "

static const struct op {
	const char *name;
	void (*play)(const struct step *st);
	const char *keys;
} ops[] = {
	{ "open", op_open, "slot limits flags size tail ptr" },
	{ "close", op_close, "fd" },
	{ "disconnect", op_disconnect, "fd flags" },
	{ "query", op_query, "fd flags size tail ptr" },
	{ "reset", op_reset, "fd limits flags size tail ptr" },
	{ "transfer", op_transfer, "src dst ids n flags sptr dptr" },
	{ "release", op_release, "fd ids n flags ptr" },
	{ "destroy", op_destroy, "fd ids n flags ptr" },
	{ "slices", op_slices, "fd ids n flags ptr" },
	{ "send", op_send, "fd " SEND_KEYS },
	{ "recv", op_recv, "fd flags size tail ptr more " RECV_KEYS },
	{ "call", op_call, "fd " SEND_KEYS RECV_KEYS "rsize rtail rptr" },
	{ "poll", op_poll, "fd" },
	{ "euid", op_euid, "uid" },
	{ "check", op_check, "fd off" },
};

static bool has_word(const char *words, const char *word)
{
	size_t n = strlen(word);
	const char *s;

	for (s = words; (s = strstr(s, word)); s++)
		if ((s == words || s[-1] == ' ') && (!s[n] || s[n] == ' '))
			return n;
	return false;
}

static void play_line(char *line)
{
	const struct op *op = NULL;
	static struct step st;
	static size_t start;
	size_t i;

	parse_step(&st, line);
	for (i = 0; i < sizeof(ops) / sizeof(*ops) && !op; i++)
		if (!strcmp(ops[i].name, st.op))
			op = &ops[i];
	if (!op)
		bad_syntax("expected an operation (open, send, ...), found '%s'",
			   st.op);
	for (i = 0; i < (size_t)st.n; i++)
		if (!has_word(op->keys, st.kv[i].key))
			bad_syntax("expected one of '%s' in %s, found '%s'",
				   op->keys, st.op, st.kv[i].key);
	if (op->play == op_open && slot_is_open(&st)) {
		/* A call that was meant to fail did not, or a close is gone. */
		out("# %lu skipped: the slot is open\n", st.label);
		return;
	}
	memset(&sending.args, 0, sizeof(sending.args));
	created.n = 0;
	skip = false;
	start = trace->len;
	if (setjmp(skip_line)) {
		trace->len = start;
		out("# %lu skipped\n", st.label);
		return;
	}
	out("%lu %s", st.label, st.op);
	op->play(&st);
	out("\n");
	trace_sync();
	if (op->play != op_recv && op->play != op_query &&
	    op->play != op_poll && op->play != op_check)
		not_drained();
}

/* The child. It never returns. */
static void play_sequence(const char *seed, char *text)
{
	char *line, *next;

	signal(SIGALRM, SIG_DFL);
	alarm(TIMEOUT);
	out("# seed %s abi %s pid %d uid %u gid %u\n", seed, ABI_NAME, getpid(),
	    geteuid(), getegid());
	for (line = text; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = 0;
		line_number++;
		line += strspn(line, " \t");
		if (*line && *line != '#')
			play_line(line);
	}
	_exit(0);
}

static const char *signal_name(int sig)
{
	static char number[16];

	switch (sig) {
	case SIGSEGV:
		return "SIGSEGV";
	case SIGBUS:
		return "SIGBUS";
	case SIGKILL:
		return "SIGKILL";
	case SIGABRT:
		return "SIGABRT";
	default:
		snprintf(number, sizeof(number), "%d", sig);
		return number;
	}
}

static void on_alarm(int sig)
{
}

/* Returns false when the child is stuck in the kernel for good. */
static bool reap(pid_t pid, int *status)
{
	bool killed = false;

	alarm(TIMEOUT + 5);
	while (waitpid(pid, status, 0) < 0) {
		if (killed)
			return false;
		kill(pid, SIGKILL);
		killed = true;
		alarm(5);
	}
	alarm(0);
	return true;
}

static void run_sequence(const char *seed, char *text)
{
	int status;
	pid_t pid;

	trace->len = 0;
	pid = fork();
	if (pid < 0) {
		fprintf(stderr, "play: fork: %s\n", strerror(errno));
		exit(1);
	}
	if (!pid)
		play_sequence(seed, text);
	if (!reap(pid, &status)) {
		out("\n# hung\n");
		trace_flush();
		fprintf(stderr, "play: seed %s cannot be killed\n", seed);
		exit(3);
	}
	if (WIFSIGNALED(status)) {
		if (trace->len && trace->text[trace->len - 1] != '\n')
			out("\n");
		if (WTERMSIG(status) == SIGALRM)
			out("# hung\n");
		else
			out("# died %s\n", signal_name(WTERMSIG(status)));
	}
	trace_flush();
	if (WIFEXITED(status) && WEXITSTATUS(status))
		exit(WEXITSTATUS(status));
}

/* Memory and descriptors that all sequences share. */
static void set_up(void)
{
	static unsigned char params[256];
	int i, fd = syscall(__NR_memfd_create, "areas", 1);
	bool ok = fd >= 0 && !ftruncate(fd, AREAS_SIZE);

	areas = mmap(NULL, AREAS_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		     0);
	areas_ro = mmap(NULL, AREAS_SIZE, PROT_READ, MAP_SHARED, fd, 0);
	noaccess = ptr_noaccess();
	trace = mmap(NULL, TRACE_SIZE, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ok = ok && areas != MAP_FAILED && areas_ro != MAP_FAILED &&
	     noaccess != MAP_FAILED && trace != MAP_FAILED;
	for (i = 0; ok && i < N_AREAS; i++)
		ok = !mprotect(areas + AREA_OFFSET(i) +
				       (i == AREA_DATA ? DATA_SIZE : AREA_SIZE),
			       4096, PROT_NONE);
	close(fd);
	for (i = 0; i < N_MEMFDS; i++) {
		memfds[i] = syscall(__NR_memfd_create, "random", 1);
		ok = ok && !fstat(memfds[i], &memfd_stat[i]);
	}
	fd_null = open("/dev/null", O_RDWR | O_CLOEXEC);
	fd_path = open("/", O_PATH | O_CLOEXEC);
	fd_event = eventfd(0, EFD_CLOEXEC);
	fd_unix = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	fd_uring = syscall(425 /* io_uring_setup */, 1, params);
	if (!ok || fd_null < 0 || fd_path < 0 || fd_event < 0) {
		fprintf(stderr, "play: cannot set up: %s\n", strerror(errno));
		exit(1);
	}
	crc_init();
}

static char *read_input(int fd)
{
	size_t n = 0, room = 1 << 20;
	char *text = malloc(room);
	ssize_t r;

	while (text && (r = read(fd, text + n, room - n - 1)) > 0) {
		n += r;
		if (room - n < 65536)
			text = realloc(text, room *= 2);
	}
	if (!text || r < 0) {
		fprintf(stderr, "play: cannot read the sequences: %s\n",
			strerror(errno));
		exit(1);
	}
	text[n] = 0;
	return text;
}

static bool is_seed(const char *line)
{
	return !strncmp(line, "# seed ", 7);
}

static void play_all(char *text, int progress)
{
	char seed[40], *end;

	while (*text) {
		if (!is_seed(text)) {
			line_number++;
			if (*text != '#' && *text != '\n')
				bad_syntax("expected '# seed N', found '%.40s'",
					   text);
			end = strchr(text, '\n');
			text = end ? end + 1 : text + strlen(text);
			continue;
		}
		snprintf(seed, sizeof(seed), "%.*s",
			 (int)strcspn(text + 7, " \n"), text + 7);
		end = strstr(text, "\n# seed ");
		if (end)
			*end++ = 0;
		else
			end = text + strlen(text);
		if (progress >= 0) {
			dprintf(progress, "seed %s\n", seed);
			fsync(progress);
		}
		run_sequence(seed, text);
		for (; *text; text++)
			line_number += *text == '\n';
		line_number++;
		text = end;
	}
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = on_alarm };
	int i, fd = STDIN_FILENO, progress = -1;

	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--flush")) {
			flush_lines = true;
		} else if (!strcmp(argv[i], "--progress") && argv[i + 1]) {
			progress = open(argv[++i],
					O_WRONLY | O_CREAT | O_APPEND |
						O_CLOEXEC, 0644);
			if (progress < 0)
				goto no_file;
		} else if (argv[i][0] == '-') {
			fprintf(stderr, "play: %s: expected --flush, --progress FILE or a file\n",
				argv[i]);
			return 2;
		} else {
			fd = open(argv[i], O_RDONLY | O_CLOEXEC);
			if (fd < 0)
				goto no_file;
		}
	}
	sigaction(SIGALRM, &sa, NULL);
	set_up();
	play_all(read_input(fd), progress);
	return 0;

no_file:
	fprintf(stderr, "play: %s: %s\n", argv[i], strerror(errno));
	return 1;
}
