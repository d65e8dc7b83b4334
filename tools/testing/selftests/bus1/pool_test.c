// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 selftests: the receive memory and its mapping
 */
#include "stress.h"

#include <setjmp.h>
#include <sys/resource.h>

#define PAGE		4096
#define CACHE_KIB	128		/* what a peer keeps of released memory */

static sigjmp_buf fault_env;
static volatile sig_atomic_t fault_signal;

static void fault_handler(int sig)
{
	fault_signal = sig;
	siglongjmp(fault_env, 1);
}

/* Reads one byte: its value, or minus the signal that came instead. */
static int probe(const volatile unsigned char *p)
{
	struct sigaction act = { .sa_handler = fault_handler };

	sigaction(SIGBUS, &act, NULL);
	sigaction(SIGSEGV, &act, NULL);
	if (sigsetjmp(fault_env, 1))
		return -fault_signal;
	return *p;
}

/* The same for writing. */
static int probe_write(volatile unsigned char *p)
{
	struct sigaction act = { .sa_handler = fault_handler };

	sigaction(SIGBUS, &act, NULL);
	sigaction(SIGSEGV, &act, NULL);
	if (sigsetjmp(fault_env, 1))
		return -fault_signal;
	*p = 1;
	return 0;
}

FIXTURE(pool) {
	struct peer p;
	unsigned char *data;
};

#define DATA_SIZE	(2UL << 20)
#define NODE		8ULL

FIXTURE_SETUP(pool)
{
	__u64 id = NODE | BUS1_HANDLE_FLAG_NEW, out;

	ASSERT_EQ(0, peer_open(&self->p, NULL, BUS1_OPEN_NONBLOCK));
	ASSERT_EQ(0, sys_transfer(self->p.fd, self->p.fd, &id, &out, 1, 0));
	self->data = malloc(DATA_SIZE);
	ASSERT_NE(NULL, self->data);
}

FIXTURE_TEARDOWN(pool)
{
	peer_close(&self->p);
	free(self->data);
}

/* Sends @size bytes that depend on @tag; fills in @r with what arrived. */
static int pass(struct _test_data_pool *s, size_t size, __u32 tag,
		struct bus1_recv_args *r)
{
	struct rng rng = rng_for(tag, 0);
	size_t i;
	int err;

	for (i = 0; i < size; i++)
		s->data[i] = i % 64 ? s->data[i - 1] + 1 : rng_next(&rng);
	err = send_bytes(s->p.fd, NODE, s->data, size);
	return err ?: recv_msg(&s->p, r);
}

/* True if @at holds what pass() sent under @tag. */
static bool holds(const unsigned char *at, size_t size, __u32 tag)
{
	struct rng rng = rng_for(tag, 0);
	unsigned char c = 0;
	size_t i;

	for (i = 0; i < size; i++) {
		c = i % 64 ? c + 1 : rng_next(&rng);
		if (at[i] != c)
			return false;
	}
	return true;
}

static long long resident_kib(const struct peer *p)
{
	return fdinfo_value(p->fd, "pool", 0);
}

static long meminfo_kib(const char *key)
{
	char buf[8192], *s;

	if (read_file("/proc/meminfo", buf, sizeof(buf)) < 0)
		return -1;
	s = strstr(buf, key);
	return s ? strtol(s + strlen(key), NULL, 10) : -1;
}

TEST_F(pool, of_an_idle_peer_has_no_memory)
{
	EXPECT_EQ(0, resident_kib(&self->p));
}

TEST_F(pool, holds_messages_of_every_size_unchanged)
{
	static const size_t around[] = { 8, 64, PAGE, 2 * PAGE, 16 * PAGE,
					 CACHE_KIB * 1024, 1UL << 20 };
	struct bus1_recv_args r;
	unsigned int i;
	int d;

	for (i = 0; i < ARRAY_SIZE(around); i++) {
		for (d = -8; d <= 9; d++) {
			ASSERT_EQ(0, pass(self, around[i] + d, i * 32 + d, &r));
			EXPECT_EQ(around[i] + d, r.n_bytes);
			EXPECT_TRUE(holds(msg_payload(&self->p, &r),
					  r.n_bytes, i * 32 + d));
			EXPECT_EQ(0, slice_release_one(self->p.fd, r.offset));
		}
	}
}

/* Slices of any size come and go; none of them disturbs another. */
TEST_F_TIMEOUT(pool, keeps_slices_apart, 120)
{
	struct bus1_recv_args live[48] = { 0 };
	struct rng rng = rng_for(SEED(), 0);
	unsigned int n, i;

	for (i = 0; i < ARRAY_SIZE(live); i++)
		live[i].offset = BUS1_OFFSET_INVALID;
	for (n = 0; n < scaled(1500); n++) {
		struct bus1_recv_args *r = &live[i = rng_below(&rng, 48)];

		if (r->offset == BUS1_OFFSET_INVALID) {
			ASSERT_EQ(0, pass(self, rng_below(&rng, 3) ?
					  rng_below(&rng, 300) :
					  rng_below(&rng, 3 * PAGE), i, r));
			continue;
		}
		ASSERT_TRUE(holds(msg_payload(&self->p, r), r->n_bytes, i));
		ASSERT_EQ(0, slice_release_one(self->p.fd, r->offset));
		r->offset = BUS1_OFFSET_INVALID;
	}
	EXPECT_EQ(0, flush(self->p.fd));
}

TEST_F(pool, gives_an_empty_message_a_slice_of_its_own)
{
	struct bus1_recv_args r[2] = { 0 };

	ASSERT_EQ(0, send_empty(self->p.fd, NODE));
	ASSERT_EQ(0, send_empty(self->p.fd, NODE));
	EXPECT_EQ(2, query(self->p.fd).used_slices);
	EXPECT_EQ(0, query(self->p.fd).used_inflight_bytes);
	/* It is not empty space that max_offset could lack. */
	ASSERT_EQ(0, sys_recv(self->p.fd, &r[0], sizeof(r[0]), 0));
	ASSERT_EQ(0, sys_recv(self->p.fd, &r[1], sizeof(r[1]), 0));
	EXPECT_NE(r[0].offset, r[1].offset);
	EXPECT_EQ(0, slice_release_one(self->p.fd, r[0].offset));
	EXPECT_EQ(-ENXIO, slice_release_one(self->p.fd, r[0].offset));
	EXPECT_EQ(0, slice_release_one(self->p.fd, r[1].offset));
	EXPECT_EQ(0, query(self->p.fd).used_slices);
}

TEST_F(pool, uses_released_memory_again)
{
	struct bus1_recv_args r;
	unsigned int n;

	for (n = 0; n < scaled(2000); n++) {
		ASSERT_EQ(0, pass(self, 3000, n, &r));
		ASSERT_GE(CACHE_KIB * 1024, r.offset + r.n_bytes);
		ASSERT_EQ(0, slice_release_one(self->p.fd, r.offset));
	}
	EXPECT_GE(CACHE_KIB, resident_kib(&self->p));
}

/* Trap 19. */
TEST_F(pool, gives_back_what_was_released)
{
	struct bus1_recv_args r[64];
	long before = meminfo_kib("Shmem:"), full;
	unsigned int n;

	for (n = 0; n < 64; n++)
		ASSERT_EQ(0, pass(self, 64 * 1024, n, &r[n]));
	EXPECT_LE(64 * 64, resident_kib(&self->p));
	full = meminfo_kib("Shmem:");
	EXPECT_LE(before + 64 * 64 - 1024, full);
	for (n = 0; n < 64; n++)
		ASSERT_EQ(0, slice_release_one(self->p.fd, r[n].offset));
	EXPECT_GE(CACHE_KIB, resident_kib(&self->p));
	EXPECT_GE(before + CACHE_KIB + 1024, meminfo_kib("Shmem:"));
}

/* A slice that stays does not keep the memory of those around it. */
TEST_F(pool, gives_back_what_lies_around_a_slice_that_stays)
{
	struct bus1_recv_args r[64];
	unsigned int n;

	for (n = 0; n < 64; n++)
		ASSERT_EQ(0, pass(self, 64 * 1024 - 8, n, &r[n]));
	for (n = 0; n < 64; n++)
		if (n != 40)
			EXPECT_EQ(0, slice_release_one(self->p.fd, r[n].offset));
	EXPECT_GE(CACHE_KIB + 64 + 8, resident_kib(&self->p));
	EXPECT_TRUE(holds(msg_payload(&self->p, &r[40]), r[40].n_bytes, 40));
}

TEST_F(pool, tells_how_much_to_map)
{
	struct bus1_recv_args r = { 0 };
	__u64 handle = NODE;
	int fd = STDERR_FILENO;

	ASSERT_EQ(0, send_full(self->p.fd, &handle, 1, self->data, 5000, &handle,
			       1, &fd, 1, 0));
	EXPECT_EQ(-ERANGE, sys_recv(self->p.fd, &r, sizeof(r), 0));
	EXPECT_EQ(5000, r.n_bytes);
	EXPECT_EQ(1, r.n_handles);
	EXPECT_EQ(1, r.n_fds);
	EXPECT_EQ(BUS1_MSG_NONE, r.type);
	r.max_offset = r.offset + slice_size(5000, 1, 1) - 1;
	EXPECT_EQ(-ERANGE, sys_recv(self->p.fd, &r, sizeof(r), 0));
	EXPECT_EQ(1, query(self->p.fd).n_queued);
	r.max_offset = r.offset + slice_size(5000, 1, 1);
	EXPECT_EQ(0, sys_recv(self->p.fd, &r, sizeof(r), 0));
	EXPECT_EQ(BUS1_MSG_DATA, r.type);
}

/* The mapping. */

static void *map(int fd, size_t size, int prot, int flags, off_t offset)
{
	return mmap(NULL, size, prot, flags, fd, offset);
}

#define EXPECT_NO_MAP(err, call)				\
	do {							\
		errno = 0;					\
		EXPECT_EQ(MAP_FAILED, call);			\
		EXPECT_EQ(err, errno);				\
	} while (0)

TEST_F(pool, can_be_mapped_shared_and_read_only_alone)
{
	int fd = self->p.fd;

	EXPECT_NO_MAP(EPERM, map(fd, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, 0));
	EXPECT_NO_MAP(EPERM, map(fd, PAGE, PROT_WRITE, MAP_SHARED, 0));
	EXPECT_NO_MAP(EPERM, map(fd, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, 0));
	EXPECT_NO_MAP(EINVAL, map(fd, PAGE, PROT_READ, MAP_PRIVATE, 0));
	EXPECT_EQ(MAP_FAILED, map(fd, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE,
				  0));
	EXPECT_TRUE(errno == EINVAL || errno == EPERM);
}

TEST_F(pool, can_not_be_written_through_any_mapping)
{
	unsigned char *p = (unsigned char *)self->p.pool;
	struct bus1_recv_args r;
	int mem;

	ASSERT_EQ(0, pass(self, 100, 1, &r));
	EXPECT_EQ(-SIGSEGV, probe_write(p + r.offset));
	EXPECT_EQ(-1, mprotect(p, PAGE, PROT_READ | PROT_WRITE));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(-1, mprotect(p, PAGE, PROT_READ | PROT_EXEC));
	mem = open("/proc/self/mem", O_RDWR);
	ASSERT_LE(0, mem);
	EXPECT_GT(0, pwrite(mem, "x", 1, to_u64(p + r.offset)));
	EXPECT_NE(0, madvise(p, PAGE, MADV_REMOVE));
	EXPECT_TRUE(holds(p + r.offset, 100, 1));
	close(mem);
}

/* This call maps the file behind the mapping anew, with rights of its own. */
TEST_F(pool, can_not_be_made_writable_by_remapping_its_file)
{
	struct bus1_recv_args r;
	unsigned char *p;

	ASSERT_EQ(0, pass(self, 2 * PAGE, 1, &r));
	p = map(self->p.fd, 4 * PAGE, PROT_READ, MAP_SHARED, 0);
	ASSERT_NE(MAP_FAILED, (void *)p);
	syscall(SYS_remap_file_pages, p, 4 * PAGE, 0, 0, 0);
	/* It may be gone, but it must not be writable. */
	EXPECT_EQ(-1, mprotect(p, 4 * PAGE, PROT_READ | PROT_WRITE));
	EXPECT_EQ(-SIGSEGV, probe_write(p + r.offset));
	EXPECT_TRUE(holds(msg_payload(&self->p, &r), 2 * PAGE, 1));
}

/* Root can reach the file of a mapping by name. */
TEST_F(pool, can_not_be_written_through_map_files)
{
	struct bus1_recv_args r;
	unsigned char *p;
	char path[96];
	int fd;

	ASSERT_EQ(0, pass(self, 2 * PAGE, 1, &r));
	snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx",
		 (long)self->p.pool, (long)self->p.pool + self->p.pool_size);
	fd = open(path, O_RDWR);
	if (fd >= 0) {
		EXPECT_GT(0, pwrite(fd, "x", 1, r.offset));
		EXPECT_NE(0, ftruncate(fd, 0));
		EXPECT_NE(0, fallocate(fd, 0, 0, PAGE));
		p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		EXPECT_EQ(MAP_FAILED, (void *)p);
		close(fd);
	}
	EXPECT_TRUE(holds(msg_payload(&self->p, &r), 2 * PAGE, 1));
}

TEST_F(pool, mapping_faults_where_no_slice_was_received)
{
	struct bus1_recv_args r;
	long long before;

	EXPECT_EQ(-SIGBUS, probe(self->p.pool));
	ASSERT_EQ(0, pass(self, 100, 1, &r));
	before = resident_kib(&self->p);
	EXPECT_EQ(-SIGBUS, probe(self->p.pool + (1 << 20)));
	EXPECT_EQ(-SIGBUS, probe(self->p.pool + self->p.pool_size - 1));
	EXPECT_EQ(before, resident_kib(&self->p));
	EXPECT_LE(0, probe(self->p.pool + r.offset));
}

/* The pages must also not come into being through system calls. */
TEST_F(pool, is_not_filled_by_reading_it_in_a_system_call)
{
	struct bus1_recv_args r;
	long long before;
	int fds[2];

	ASSERT_EQ(0, pass(self, 100, 1, &r));
	before = resident_kib(&self->p);
	ASSERT_EQ(0, pipe(fds));
	EXPECT_GT(0, write(fds[1], self->p.pool + (1 << 20), PAGE));
	EXPECT_EQ(EFAULT, errno);
	madvise((void *)self->p.pool, 1 << 20, MADV_WILLNEED);
	madvise((void *)self->p.pool, 1 << 20, MADV_POPULATE_READ);
	EXPECT_EQ(before, resident_kib(&self->p));
}

/* How much can be mapped at once here, of anything; 1 TiB at the most. */
static size_t free_address_space(void)
{
	size_t size = sizeof(long) == 8 ? 1UL << 40 : 1UL << 28;
	void *p;

	for (;; size /= 2) {
		p = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS |
			 MAP_NORESERVE, -1, 0);
		if (p != MAP_FAILED)
			break;
	}
	munmap(p, size);
	return size;
}

TEST_F(pool, mapping_may_have_any_length_and_offset)
{
	size_t huge = free_address_space();
	struct bus1_recv_args r[2];
	unsigned char *p;

	ASSERT_LE(1UL << 28, huge);
	ASSERT_EQ(0, pass(self, PAGE, 1, &r[0]));
	ASSERT_EQ(0, pass(self, 3 * PAGE, 2, &r[1]));
	p = map(self->p.fd, huge, PROT_READ, MAP_SHARED, 0);
	ASSERT_NE(MAP_FAILED, (void *)p);
	EXPECT_TRUE(holds(p + r[0].offset, PAGE, 1));
	EXPECT_EQ(-SIGBUS, probe(p + huge - 1));
	munmap(p, huge);
	p = map(self->p.fd, 3 * PAGE, PROT_READ, MAP_SHARED, PAGE);
	ASSERT_NE(MAP_FAILED, (void *)p);
	EXPECT_EQ(self->p.pool[r[1].offset + PAGE], p[r[1].offset]);
	munmap(p, 3 * PAGE);
}

#if __SIZEOF_LONG__ == 8
TEST_F(pool, mapping_may_lie_beyond_2_gib_of_the_pool)
{
	unsigned char *p = map(self->p.fd, PAGE, PROT_READ, MAP_SHARED,
			       3LL << 30);

	ASSERT_NE(MAP_FAILED, (void *)p);
	EXPECT_EQ(-SIGBUS, probe(p));
	EXPECT_EQ(0, resident_kib(&self->p));
}
#endif

TEST_F(pool, mapping_is_shared_with_a_forked_child)
{
	struct bus1_recv_args r;
	int go[2], back[2];
	pid_t child;

	ASSERT_EQ(0, pipe(go));
	ASSERT_EQ(0, pipe(back));
	child = fork();
	if (!child) {
		if (read(go[0], &r, sizeof(r)) != sizeof(r))
			_exit(1);
		if (!holds(msg_payload(&self->p, &r), r.n_bytes, 7))
			_exit(2);
		/* The child's unmapping is its own. */
		munmap((void *)self->p.pool, self->p.pool_size);
		_exit(slice_release_one(self->p.fd, r.offset) ? 3 : 0);
	}
	ASSERT_EQ(0, pass(self, 9000, 7, &r));
	ASSERT_EQ(sizeof(r), write(go[1], &r, sizeof(r)));
	EXPECT_EQ(0, wait_child(child));
	EXPECT_EQ(0, query(self->p.fd).used_slices);
	ASSERT_EQ(0, pass(self, 9000, 8, &r));
	EXPECT_TRUE(holds(msg_payload(&self->p, &r), r.n_bytes, 8));
}

TEST_F(pool, mapping_survives_a_partial_munmap)
{
	unsigned char *p = (unsigned char *)self->p.pool;
	struct bus1_recv_args r;
	long long resident;

	ASSERT_EQ(0, pass(self, 8 * PAGE, 3, &r));
	ASSERT_EQ(0, r.offset % PAGE);
	resident = resident_kib(&self->p);
	ASSERT_EQ(0, munmap(p + r.offset + 2 * PAGE, PAGE));
	EXPECT_EQ(-SIGSEGV, probe(p + r.offset + 2 * PAGE));
	EXPECT_TRUE(holds(p + r.offset, 2 * PAGE, 3));
	EXPECT_LE(0, probe(p + r.offset + 3 * PAGE));
	EXPECT_EQ(resident, resident_kib(&self->p));
	EXPECT_EQ(0, slice_release_one(self->p.fd, r.offset));
	ASSERT_EQ(0, pass(self, 8 * PAGE, 4, &r));
	EXPECT_TRUE(holds(p + r.offset, 2 * PAGE, 4));
}

TEST_F(pool, mapping_can_be_moved)
{
	struct bus1_recv_args r;
	unsigned char *p;

	ASSERT_EQ(0, pass(self, 3 * PAGE, 5, &r));
	p = map(-1, self->p.pool_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, 0);
	ASSERT_NE(MAP_FAILED, (void *)p);
	ASSERT_EQ(p, mremap((void *)self->p.pool, self->p.pool_size,
			    self->p.pool_size, MREMAP_MAYMOVE | MREMAP_FIXED, p));
	self->p.pool = p;
	EXPECT_TRUE(holds(p + r.offset, 3 * PAGE, 5));
	ASSERT_EQ(0, slice_release_one(self->p.fd, r.offset));
	ASSERT_EQ(0, pass(self, 3 * PAGE, 6, &r));
	EXPECT_TRUE(holds(p + r.offset, 3 * PAGE, 6));
	EXPECT_EQ(-1, mprotect(p, PAGE, PROT_READ | PROT_WRITE));
}

TEST_F(pool, is_not_touched_by_what_is_mapped_over_it)
{
	unsigned char *p = (unsigned char *)self->p.pool;
	struct bus1_recv_args r;
	unsigned char *other;

	ASSERT_EQ(0, pass(self, 3 * PAGE, 5, &r));
	ASSERT_EQ(p, mmap(p, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_FIXED |
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	memset(p, 0xee, 4 * PAGE);
	other = map(self->p.fd, 8 * PAGE, PROT_READ, MAP_SHARED, 0);
	EXPECT_TRUE(holds(other + r.offset, 3 * PAGE, 5));
	ASSERT_EQ(0, pass(self, 100, 6, &r));
	EXPECT_TRUE(holds(other + r.offset, 100, 6));
	EXPECT_EQ(0xee, p[0]);
	munmap(other, 8 * PAGE);
}

TEST_F(pool, can_be_sent_from)
{
	struct bus1_recv_args r, copy;

	ASSERT_EQ(0, pass(self, 10000, 9, &r));
	ASSERT_EQ(0, send_bytes(self->p.fd, NODE, msg_payload(&self->p, &r),
				r.n_bytes));
	ASSERT_EQ(0, recv_msg(&self->p, &copy));
	EXPECT_TRUE(holds(msg_payload(&self->p, &copy), 10000, 9));
}

TEST_F(pool, mapping_does_not_keep_the_peer)
{
	struct peer other;
	__u64 h;

	ASSERT_EQ(0, peer_open(&other, NULL, BUS1_OPEN_NONBLOCK));
	h = connect_peers(self->p.fd, NODE, other.fd);
	close(self->p.fd);
	self->p.fd = -1;
	EXPECT_EQ(BUS1_MSG_NODE_DESTROY, recv_type(&other, NULL));
	EXPECT_EQ(-EHOSTUNREACH, send_empty(other.fd, h));
	peer_close(&other);
}

TEST_F(pool, shows_messages_after_a_flush_in_its_old_mapping)
{
	__u64 id = 16 | BUS1_HANDLE_FLAG_NEW, out;
	struct bus1_recv_args r;

	ASSERT_EQ(0, pass(self, 3 * PAGE, 1, &r));
	ASSERT_EQ(0, flush(self->p.fd));
	ASSERT_EQ(0, sys_transfer(self->p.fd, self->p.fd, &id, &out, 1, 0));
	ASSERT_EQ(0, send_bytes(self->p.fd, 16, "new", 3));
	ASSERT_EQ(0, recv_msg(&self->p, &r));
	EXPECT_EQ(0, memcmp(msg_payload(&self->p, &r), "new", 3));
}

/* Pages that are kept by somebody else. */

TEST_F(pool, does_not_write_into_a_page_that_a_pipe_still_holds)
{
	struct bus1_recv_args r;
	unsigned char buf[PAGE];
	struct iovec vec;
	int fds[2];

	ASSERT_EQ(0, pipe(fds));
	ASSERT_EQ(0, pass(self, PAGE, 1, &r));
	ASSERT_EQ(0, r.offset % PAGE);
	vec = (struct iovec){ (void *)msg_payload(&self->p, &r), PAGE };
	ASSERT_EQ(PAGE, vmsplice(fds[1], &vec, 1, 0));
	ASSERT_EQ(0, slice_release_one(self->p.fd, r.offset));
	ASSERT_EQ(0, pass(self, PAGE, 2, &r));
	EXPECT_TRUE(holds(msg_payload(&self->p, &r), PAGE, 2));
	ASSERT_EQ(PAGE, read(fds[0], buf, PAGE));
	EXPECT_TRUE(holds(buf, PAGE, 1));
}

TEST_F(pool, can_be_paged_out)
{
	struct bus1_recv_args r;

	if (meminfo_kib("SwapTotal:") <= 0)
		SKIP(return, "no swap space");
	ASSERT_EQ(0, pass(self, 1 << 20, 3, &r));
	ASSERT_EQ(0, madvise((void *)self->p.pool, 1 << 20, MADV_PAGEOUT));
	EXPECT_TRUE(holds(msg_payload(&self->p, &r), 1 << 20, 3));
	ASSERT_EQ(0, slice_release_one(self->p.fd, r.offset));
}

TEST_F(pool, does_not_lose_data_to_advice)
{
	struct bus1_recv_args r;

	ASSERT_EQ(0, pass(self, 4 * PAGE, 3, &r));
	madvise((void *)self->p.pool, 8 * PAGE, MADV_DONTNEED);
	madvise((void *)self->p.pool, 8 * PAGE, MADV_COLD);
	madvise((void *)self->p.pool, 8 * PAGE, MADV_PAGEOUT);
	EXPECT_TRUE(holds(msg_payload(&self->p, &r), 4 * PAGE, 3));
}

/* Trap 20. */
TEST_F(pool, is_no_file_that_the_senders_file_size_limit_bounds)
{
	struct rlimit none = { 0, RLIM_INFINITY };
	struct bus1_recv_args r;

	signal(SIGXFSZ, SIG_IGN);
	ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &none));
	EXPECT_EQ(0, pass(self, 100000, 1, &r));
}

FIXTURE(gone) {
	struct peer p;
	struct bus1_recv_args r;
};

enum gone { BY_CLOSE, BY_DISCONNECT, BY_FLUSH };

FIXTURE_VARIANT(gone) {
	enum gone how;
};

FIXTURE_VARIANT_ADD(gone, by_close) { BY_CLOSE };
FIXTURE_VARIANT_ADD(gone, by_disconnect) { BY_DISCONNECT };
FIXTURE_VARIANT_ADD(gone, by_flush) { BY_FLUSH };

FIXTURE_SETUP(gone)
{
	__u64 id = NODE | BUS1_HANDLE_FLAG_NEW, out;
	static char data[4 << 20];

	ASSERT_EQ(0, peer_open(&self->p, NULL, BUS1_OPEN_NONBLOCK));
	ASSERT_EQ(0, sys_transfer(self->p.fd, self->p.fd, &id, &out, 1, 0));
	memset(data, 'x', sizeof(data));
	ASSERT_EQ(0, send_bytes(self->p.fd, NODE, data, sizeof(data)));
	ASSERT_EQ(0, recv_msg(&self->p, &self->r));
	ASSERT_EQ('x', probe(msg_payload(&self->p, &self->r)));
}

FIXTURE_TEARDOWN(gone)
{
	peer_close(&self->p);
}

static int make_gone(struct peer *p, enum gone how)
{
	int r;

	if (how == BY_DISCONNECT)
		return sys_disconnect(p->fd, 0);
	if (how == BY_FLUSH)
		return flush(p->fd);
	r = close(p->fd);
	p->fd = -1;
	return r;
}

TEST_F(gone, pool_is_truncated_under_its_mapping)
{
	long before = meminfo_kib("Shmem:");

	ASSERT_EQ(0, make_gone(&self->p, variant->how));
	EXPECT_EQ(-SIGBUS, probe(msg_payload(&self->p, &self->r)));
	EXPECT_EQ(-SIGBUS, probe(self->p.pool));
	EXPECT_LE(meminfo_kib("Shmem:"), before - 3 * 1024);
	if (self->p.fd >= 0)
		EXPECT_EQ(0, resident_kib(&self->p));
}

/* A disconnected peer can still be mapped or not, but shows nothing. */
TEST_F(gone, pool_shows_nothing_in_a_new_mapping)
{
	unsigned char *p;

	ASSERT_EQ(0, make_gone(&self->p, variant->how));
	if (self->p.fd < 0)
		return;
	p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, self->p.fd, 0);
	if (p == MAP_FAILED) {
		EXPECT_EQ(ESHUTDOWN, errno);
		return;
	}
	EXPECT_EQ(-SIGBUS, probe(p));
}

TEST_HARNESS_MAIN
