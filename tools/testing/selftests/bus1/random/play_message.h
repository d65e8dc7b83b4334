/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The player of random sequences: arguments, and the calls that carry messages
 */
#ifndef BUS1_SELFTEST_RANDOM_PLAY_MESSAGE_H
#define BUS1_SELFTEST_RANDOM_PLAY_MESSAGE_H

#include "play.h"

#define CLOSED_FD	900	/* and on: numbers that are never open */
#define POOL_ROOM	POOL_MAP_SIZE

/* Opened once by the parent. */
static int memfds[N_MEMFDS], fd_null, fd_path, fd_event, fd_unix, fd_uring;
static struct stat memfd_stat[N_MEMFDS];

/* Descriptors */

static struct slot *find_slot(const char *val)
{
	if (val[0] != 'p' || val[1] < '0' || val[1] >= '0' + N_SLOTS || val[2])
		return NULL;
	return &slots[val[1] - '0'];
}

static int slot_fd(struct slot *s)
{
	return s->open ? s->fd : CLOSED_FD + (int)(s - slots);
}

/* The descriptor that the call is about, and the slot if it is a peer's. */
static int arg_fd(const struct step *st, const char *key, struct slot **slot)
{
	const char *val = arg(st, key);

	if (!val)
		bad_syntax("expected %s=, found none in %s", key, st->op);
	*slot = find_slot(val);
	out(" %s=%s", key, val);
	if (*slot)
		return slot_fd(*slot);
	if (!strcmp(val, "bad"))
		return -1;
	if (!strcmp(val, "null"))
		return fd_null;
	if (!strcmp(val, "path"))
		return fd_path;
	if (!strcmp(val, "eventfd"))
		return fd_event;
	if (!strcmp(val, "memfd"))
		return memfds[0];
	bad_syntax("expected p0..p5, bad, null, path, eventfd or memfd as %s, found '%s'",
		   key, val);
}

/* One that a message carries. */
static int payload_fd(const char *val)
{
	struct slot *s = find_slot(val);

	if (s)
		return slot_fd(s);
	if (val[0] == 'm' && val[1] >= '0' && val[1] < '0' + N_MEMFDS &&
	    !val[2])
		return memfds[val[1] - '0'];
	if (!strcmp(val, "unix"))
		return fd_unix;
	if (!strcmp(val, "uring"))
		return fd_uring;
	if (!strcmp(val, "path"))
		return fd_path;
	if (!strcmp(val, "bad"))
		return -1;
	bad_syntax("expected m0..m3, p0..p5, unix, uring, path or bad in fds, found '%s'",
		   val);
}

/* Lists */

struct id_list {
	struct slot *slot;
	size_t n;
	__u64 v[ARRAY_SIZE_MAX];
};

static void id_entry(void *ctx, size_t i, const char *entry)
{
	struct id_list *l = ctx;

	l->v[i] = resolve(l->slot, entry);
	if ((l->v[i] & 7) == BUS1_HANDLE_FLAG_NEW)
		list_add(&created, l->v[i] & ~BUS1_HANDLE_FLAG_NEW, 1);
}

static void arg_ids(const struct step *st, const char *key, struct slot *slot,
		    struct id_list *l)
{
	l->slot = slot;
	l->n = each(arg(st, key), ',', id_entry, l);
	out_ids(key, l->v, l->n);
}

static void limit_entry(void *ctx, size_t i, const char *entry)
{
	__u64 *v = ctx;

	if (i >= 4)
		bad_syntax("expected four limits, found '%s' behind them",
			   entry);
	v[i] = !strcmp(entry, "keep") ? BUS1_LIMIT_KEEP :
					parse_number("limit", entry);
}

/* Limits of open and reset; the size that the kernel is to see is in @size. */
static struct spot arg_limits(const struct step *st, size_t *size)
{
	const char *val = arg(st, "limits");
	__u64 v[4] = { 0 };
	struct spot s;
	int i;

	if (!val || !strcmp(val, "none")) {
		out(" limits=none");
		*size = arg_size(st, "size", 0);
		return place(AREA_STRUCT, 0,
			     arg(st, "ptr") ? arg(st, "ptr") : "null");
	}
	if (each(val, ',', limit_entry, v) != 4)
		bad_syntax("expected four limits, found '%s'", val);
	for (i = 0; i < 4; i++)
		if (v[i] == BUS1_LIMIT_KEEP)
			out("%skeep", i ? "," : " limits=");
		else
			out("%s%llu", i ? "," : " limits=",
			    (unsigned long long)v[i]);
	*size = arg_size(st, "size", BUS1_PEER_LIMITS_SIZE_VER0);
	s = place_struct(AREA_STRUCT, st, "ptr", "tail", v, sizeof(v), *size);
	return s;
}

static unsigned int arg_flags(const struct step *st)
{
	unsigned int flags = arg_number(st, "flags", 0);

	out_hex("flags", flags);
	return flags;
}

/* Operations: messages */

struct sending {
	struct id_list dests;
	struct id_list handles;
	struct bus1_send_args args;
	struct iovec vecs[ARRAY_SIZE_MAX];
	size_t n_vecs;
	int fds[ARRAY_SIZE_MAX];
	size_t n_fds;
	size_t size;
	struct spot errors;
	struct spot spot;
};

static struct sending sending;

static void vec_entry(void *ctx, size_t i, const char *entry)
{
	struct sending *m = ctx;
	__u64 len = parse_number("vector", entry);

	m->vecs[i].iov_len = len > SIZE_MAX ? SIZE_MAX : len;
	out("%s%zu", i ? "+" : "", m->vecs[i].iov_len);
}

/*
 * The vectors lie one behind the other. A message that is too long for the
 * area lies where nothing can be read.
 */
static void arg_vecs(const struct step *st, struct sending *m)
{
	const char *val = arg(st, "vecs"), *base = arg(st, "vbase");
	size_t i, cap, total = 0;
	struct iovec *v;
	struct spot s;

	out(" vecs=%s", !val || !strcmp(val, "-") ? "-" : "");
	m->n_vecs = each(val, '+', vec_entry, m);
	m->args.n_vecs = arg_number(st, "nv", m->n_vecs);
	out_dec("nv", m->args.n_vecs);
	for (i = 0; i < m->n_vecs && total <= DATA_SIZE; i++)
		total = m->vecs[i].iov_len > DATA_SIZE ? DATA_SIZE + 1 :
			total + m->vecs[i].iov_len;
	s = place(AREA_DATA, total, NULL);
	if (total <= DATA_SIZE) {
		s.mem = areas + AREA_OFFSET(AREA_DATA) + DATA_SIZE - total;
		fill_payload(s.mem, total, st->label);
	}
	if (total > DATA_SIZE)
		s.mem = place(AREA_DATA, 0, "bad").ptr;
	for (i = 0; i < m->n_vecs; i++) {
		m->vecs[i].iov_base = s.mem;
		if (total <= DATA_SIZE)
			s.mem += m->vecs[i].iov_len;
	}
	if (base && m->n_vecs)
		m->vecs[m->n_vecs - 1].iov_base =
			place(AREA_DATA, 0, base).ptr;
	cap = m->args.n_vecs > ARRAY_SIZE_MAX ? ARRAY_SIZE_MAX : m->args.n_vecs;
	if (cap < m->n_vecs)
		cap = m->n_vecs;
	s = place(AREA_VECS, cap * sizeof(*v), arg(st, "vptr"));
	memset(s.mem, 0, cap * sizeof(*v));
	memcpy(s.mem, m->vecs, m->n_vecs * sizeof(*v));
	m->args.ptr_vecs = to_u64(s.ptr);
}

static void fd_entry(void *ctx, size_t i, const char *entry)
{
	((struct sending *)ctx)->fds[i] = payload_fd(entry);
}

static void arg_fds(const struct step *st, struct sending *m)
{
	const char *val = arg(st, "fds");
	size_t i, cap;
	struct spot s;

	out(" fds=%s", val ? val : "-");
	m->n_fds = each(val, ',', fd_entry, m);
	m->args.n_fds = arg_number(st, "nf", m->n_fds);
	out_dec("nf", m->args.n_fds);
	cap = m->args.n_fds > ARRAY_SIZE_MAX ? ARRAY_SIZE_MAX : m->args.n_fds;
	if (cap < m->n_fds)
		cap = m->n_fds;
	s = place(AREA_FDS, cap * 4, arg(st, "fptr"));
	for (i = 0; i < cap; i++)
		((int *)s.mem)[i] = i < m->n_fds ? m->fds[i] : memfds[0];
	m->args.ptr_fds = to_u64(s.ptr);
}

static void arg_errors(const struct step *st, struct sending *m)
{
	const char *val = arg(st, "errors");
	size_t i, n = m->args.n_destinations;

	if (m->args.n_destinations > ARRAY_SIZE_MAX)
		n = ARRAY_SIZE_MAX;
	if (val && !strcmp(val, "bad"))
		m->errors = place(AREA_ERRORS, 0, "bad");
	else if (arg_number(st, "errors", 0))
		m->errors = place(AREA_ERRORS, n * 4, NULL);
	else
		m->errors = place(AREA_ERRORS, 0, "null");
	for (i = 0; i < n && m->errors.readable; i++)
		((__s32 *)m->errors.mem)[i] = FILL_ERROR;
	m->args.ptr_errors = to_u64(m->errors.ptr);
}

static void out_errors(const struct sending *m)
{
	size_t i, n = m->args.n_destinations;

	if (!m->errors.readable || m->args.n_destinations > ARRAY_MAX)
		n = 0;
	out(" err=%s", n ? "" : "-");
	for (i = 0; i < n; i++) {
		if (i)
			out(",");
		out_error(((__s32 *)m->errors.mem)[i]);
	}
}

static void arg_send(const struct step *st, struct slot *slot,
		     struct sending *m)
{
	struct bus1_send_args *a = &m->args;

	arg_ids(st, "dests", slot, &m->dests);
	a->n_destinations = arg_number(st, "nd", m->dests.n);
	out_dec("nd", a->n_destinations);
	a->ptr_destinations = to_u64(place_ids(AREA_IDS, arg(st, "dptr"),
					       m->dests.v, m->dests.n,
					       a->n_destinations).ptr);
	arg_vecs(st, m);
	arg_ids(st, "handles", slot, &m->handles);
	a->n_handles = arg_number(st, "nh", m->handles.n);
	out_dec("nh", a->n_handles);
	a->ptr_handles = to_u64(place_ids(AREA_HANDLES, arg(st, "hptr"),
					  m->handles.v, m->handles.n,
					  a->n_handles).ptr);
	arg_fds(st, m);
	a->reply_id = arg(st, "reply_id") ?
			      resolve(slot, arg(st, "reply_id")) : 0;
	a->reply_max_bytes = arg_number(st, "reply_bytes", 0);
	a->reply_max_handles = arg_number(st, "reply_handles", 0);
	a->reply_max_fds = arg_number(st, "reply_fds", 0);
	out_hex("reply_id", a->reply_id);
	out_dec("reply_bytes", a->reply_max_bytes);
	out_dec("reply_handles", a->reply_max_handles);
	out_dec("reply_fds", a->reply_max_fds);
	arg_errors(st, m);
	m->size = arg_size(st, "size", sizeof(*a));
	m->spot = place_struct(AREA_STRUCT, st, "ptr", "tail", a, sizeof(*a),
			       m->size);
}

#define SEND_OPTIONAL	"size tail ptr dptr vptr hptr fptr vbase"

static void done_send(struct slot *slot, const struct sending *m, int ret,
		      unsigned int flags)
{
	size_t i;

	if (!slot)
		return;
	if (ret == -ENXIO && m->dests.n == 1 && !m->handles.n)
		unshow_handle(slot, m->dests.v[0]);
	if (ret)
		return;
	keep_created(slot);
	if (flags & BUS1_SEND_REPLY)
		list_add(&slot->requests, m->args.reply_id, 1);
	if (m->dests.n)
		list_drop(&slot->replies, m->dests.v[0]);
	for (i = 0; i < m->handles.n; i++)
		list_drop(&slot->replies, m->handles.v[i]);
}

static void op_send(const struct step *st)
{
	struct slot *slot;
	int ret, fd = arg_fd(st, "fd", &slot);
	unsigned int flags;

	arg_send(st, slot, &sending);
	flags = arg_flags(st);
	out(" errors=%s", arg(st, "errors") ? arg(st, "errors") : "0");
	out_optional(st, SEND_OPTIONAL);
	ready();
	ret = sys_send(fd, sending.spot.ptr, sending.size, flags);
	out_ret(ret);
	out_errors(&sending);
	done_send(slot, &sending, ret, flags);
}

struct receiving {
	struct bus1_recv_args args;
	size_t size;
	bool past;
	struct spot spot, buffer;
	__u64 release;
};

static void arg_recv(const struct step *st, struct slot *slot,
		     struct receiving *r, const char *size_key,
		     const char *ptr_key, const char *tail_key)
{
	const char *req = arg(st, "req"), *release = arg(st, "release");
	const char *deadline = arg(st, "deadline");

	memset(&r->args, 0xa5, sizeof(r->args));
	r->past = deadline && !strcmp(deadline, "past");
	if (deadline && !r->past && strcmp(deadline, "0"))
		bad_syntax("expected deadline=0 or past, found '%s'", deadline);
	r->args.max_offset = arg_number(st, "max_offset", POOL_ROOM);
	r->args.deadline = r->past;
	r->args.reply_id = req ? resolve(slot, req) : 0;
	r->args.release = release ? resolve(slot, release) : 0;
	r->release = r->args.release;
	out_hex("max_offset", r->args.max_offset);
	out(" deadline=%s", r->past ? "past" : "0");
	r->args.ptr_buffer = 0;
	r->args.buffer_size = arg_number(st, "buf", 0);
	if (arg(st, "buf")) {
		r->buffer = place(AREA_BUFFER, r->args.buffer_size,
				  arg(st, "bptr"));
		r->args.ptr_buffer = to_u64(r->buffer.ptr);
	}
	out_hex("req", r->args.reply_id);
	out_optional(st, "buf bptr");
	out_hex("release", r->args.release);
	r->size = arg_size(st, size_key, sizeof(r->args));
	r->spot = place_struct(AREA_RECV, st, ptr_key, tail_key, &r->args,
			       sizeof(r->args), r->size);
}

/* Nobody would ever come to end a call that blocks. */
static unsigned int never_block(const struct slot *slot,
				const struct receiving *r, unsigned int flags)
{
	if (slot && slot->open && !slot->nonblock && !r->past)
		flags |= BUS1_RECV_NONBLOCK;
	return flags;
}

static void out_fd(int fd)
{
	struct stat st;
	int i;

	if (fd == -1) {
		out("-1");
		return;
	}
	if (fd < 0 || fstat(fd, &st)) {
		out("?");
		return;
	}
	close(fd);
	for (i = 0; i < N_MEMFDS; i++)
		if (st.st_ino == memfd_stat[i].st_ino &&
		    st.st_dev == memfd_stat[i].st_dev) {
			out("m%d", i);
			return;
		}
	out("?");
}

/* What lies in the pool or the buffer: payload, handles, descriptors. */
static void out_slice(const struct step *st, struct slot *slot,
		      const struct receiving *rec)
{
	const struct bus1_recv_args *a = &rec->args;
	bool inlined = a->flags & BUS1_MSG_FLAG_INLINE;
	const unsigned char *at;
	const __u64 *ids;
	struct result *r = &results[n_results - 1];
	const int *fds;
	size_t i;

	if (a->n_handles > ARRAY_MAX || a->n_fds > BUS1_FD_MAX ||
	    a->n_bytes > POOL_ROOM || (!inlined && a->offset > POOL_ROOM) ||
	    (inlined ? 0 : a->offset) + slice_size(a->n_bytes, a->n_handles, a->n_fds) >
		    (inlined ? BUS1_INLINE_MAX : POOL_ROOM)) {
		out(" crc=outside handles=- fds=-");
		return;
	}
	at = inlined ? rec->buffer.mem : slot->pool + a->offset;
	out(" crc=0x%x", crc32(at, a->n_bytes));
	ids = (const __u64 *)(at + align8(a->n_bytes));
	out_ids("handles", ids, a->n_handles);
	r->handles = copy_ids(ids, a->n_handles);
	r->n_handles = a->n_handles;
	for (i = 0; i < a->n_handles; i++)
		show_handle(slot, ids[i]);
	fds = (const int *)(ids + a->n_handles);
	out(" fds=%s", a->n_fds ? "" : "-");
	for (i = 0; i < a->n_fds; i++) {
		if (i)
			out(",");
		out_fd(fds[i]);
	}
	if (!inlined)
		list_add(&slot->slices, a->offset, a->n_bytes);
}

static void done_recv(const struct step *st, struct slot *slot,
		      struct receiving *r, bool received, unsigned int flags)
{
	struct bus1_recv_args *a = &r->args;
	struct result *res;

	if (r->spot.readable)
		memcpy(a, r->spot.mem, sizeof(*a));
	out_dec("type", a->type);
	out_hex("flags", a->flags);
	out_hex("off", a->offset);
	out_dec("n_bytes", a->n_bytes);
	out_dec("n_handles", a->n_handles);
	out_dec("n_fds", a->n_fds);
	out_hex("reply", a->reply);
	out_hex("dest", a->destination);
	out_hex("release", a->release);
	out(" pid=%d uid=%u gid=%u pidfd=%d error=", a->sender_pid,
	    a->sender_uid, a->sender_gid, a->sender_pidfd);
	out_error(a->error);
	out(" overtaken=%u", a->n_overtaken);
	if (!slot)
		return;
	if ((flags & BUS1_RECV_RELEASE) && a->release == BUS1_OFFSET_INVALID &&
	    r->release != BUS1_OFFSET_INVALID)
		list_drop(&slot->slices, r->release);
	if (!received)
		return;
	res = result_new(st->label);
	res->dest = a->destination;
	res->reply = a->reply;
	res->offset = a->offset;
	if (a->type == BUS1_MSG_DATA || a->type == BUS1_MSG_REPLY_DROPPED)
		list_drop(&slot->requests, a->destination);
	if (a->type != BUS1_MSG_DATA)
		return;
	if (a->reply != BUS1_HANDLE_INVALID)
		list_add(&slot->replies, a->reply, 1);
	if (a->offset != BUS1_OFFSET_INVALID ||
	    ((a->flags & BUS1_MSG_FLAG_INLINE) && arg(st, "buf")))
		out_slice(st, slot, r);
}

static void op_recv(const struct step *st)
{
	struct receiving r;
	struct slot *slot;
	int ret, fd = arg_fd(st, "fd", &slot);
	unsigned int flags = arg_number(st, "flags", 0);

	if (slot && slot->drained && arg_number(st, "more", 0))
		skip = true;
	arg_recv(st, slot, &r, "size", "ptr", "tail");
	flags = never_block(slot, &r, flags);
	out_hex("flags", flags);
	out_optional(st, "size tail ptr");
	ready();
	ret = sys_recv(fd, r.spot.ptr, r.size, flags);
	out_ret(ret);
	done_recv(st, slot, &r, !ret, flags);
	if (!ret)
		not_drained();
	if (slot && (ret == -EAGAIN || ret == -EBADF || ret == -ESHUTDOWN))
		slot->drained = !(flags & (BUS1_RECV_SEED | BUS1_RECV_REPLY));
}

static void op_call(const struct step *st)
{
	struct receiving r;
	struct slot *slot;
	int ret, fd = arg_fd(st, "fd", &slot);
	unsigned int flags = arg_number(st, "flags", 0);

	arg_send(st, slot, &sending);
	arg_recv(st, slot, &r, "rsize", "rptr", "rtail");
	flags = BUS1_CALL(flags & 0xffff, never_block(slot, &r, flags >> 16));
	out_hex("flags", flags);
	out(" errors=%s", arg(st, "errors") ? arg(st, "errors") : "0");
	out_optional(st, SEND_OPTIONAL " rsize rtail rptr");
	ready();
	ret = sys_call(fd, sending.spot.ptr, sending.size, r.spot.ptr, r.size,
		       flags);
	out_ret(ret);
	out_errors(&sending);
	done_send(slot, &sending, ret, flags);
	if (r.spot.readable)
		memcpy(&r.args, r.spot.mem, sizeof(r.args));
	done_recv(st, slot, &r, !ret && !r.args.error, flags >> 16);
}

#endif /* BUS1_SELFTEST_RANDOM_PLAY_MESSAGE_H */
