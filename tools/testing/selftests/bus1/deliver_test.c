// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 selftests: what bus1_send() delivers, to one and to many
 */
#include <pthread.h>
#include <stdatomic.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "common.h"

#define NEW	BUS1_HANDLE_FLAG_NEW
#define INVALID	BUS1_HANDLE_INVALID
#define N_RECV	4

/*
 *   the sender holds h[i] to node 0x1000 of receiver p[i]
 */
FIXTURE(deliver) {
	struct peer p[N_RECV];
	struct peer sender;
	__u64 h[N_RECV];
	int fd;
	__s32 err[N_RECV + 1];
};

FIXTURE_SETUP(deliver)
{
	int i;

	ASSERT_EQ(0, peer_open(&self->sender, NULL, BUS1_OPEN_NONBLOCK));
	self->fd = self->sender.fd;
	for (i = 0; i < N_RECV; i++) {
		ASSERT_EQ(0, peer_open(&self->p[i], NULL, BUS1_OPEN_NONBLOCK));
		self->h[i] = connect_new(self->p[i].fd, 0x1000, self->fd);
		ASSERT_NE(INVALID, self->h[i]);
	}
	memset(self->err, 0x5a, sizeof(self->err));
}

FIXTURE_TEARDOWN(deliver)
{
	int i;

	for (i = 0; i < N_RECV; i++)
		peer_close(&self->p[i]);
	peer_close(&self->sender);
}

/* Sends "hello" to all receivers and wants the errors. */
static int send_with_errors(int fd, const __u64 *dests, size_t n, void *errors,
			    unsigned int flags)
{
	struct iovec vec = { "hello", 5 };
	struct bus1_send_args a = {
		.ptr_destinations = to_u64(dests), .n_destinations = n,
		.ptr_errors = to_u64(errors),
		.ptr_vecs = to_u64(&vec), .n_vecs = 1,
	};

	return send_args(fd, &a, flags);
}

static bool got_hello(const struct peer *p)
{
	struct bus1_recv_args r;

	return !recv_msg(p, &r) && r.type == BUS1_MSG_DATA &&
	       r.destination == 0x1000 && r.n_bytes == 5 &&
	       !memcmp(msg_payload(p, &r), "hello", 5);
}

TEST_F(deliver, multicast_reaches_everybody_once)
{
	struct bus1_recv_args r;
	int i;

	ASSERT_EQ(0, send_with_errors(self->fd, self->h, N_RECV, NULL, 0));
	for (i = 0; i < N_RECV; i++) {
		EXPECT_TRUE(got_hello(&self->p[i]));
		EXPECT_EQ(-EAGAIN, recv_msg(&self->p[i], &r));
	}
	EXPECT_EQ(N_RECV, query(self->fd).n_sent);
}

TEST_F(deliver, multicast_to_the_most_destinations_works)
{
	static __u64 d[BUS1_DEST_MAX], h[BUS1_DEST_MAX];
	struct bus1_recv_args r;
	int i;

	for (i = 0; i < BUS1_DEST_MAX; i++)
		d[i] = (0x10000 + 8 * i) | NEW;
	ASSERT_EQ(0, sys_transfer(self->p[0].fd, self->fd, d, h,
				  BUS1_DEST_MAX, 0));
	ASSERT_EQ(0, send_full(self->fd, h, BUS1_DEST_MAX, "x", 1, NULL, 0,
			       NULL, 0, 0));
	for (i = 0; i < BUS1_DEST_MAX; i++) {
		ASSERT_EQ(0, recv_msg(&self->p[0], &r));
		EXPECT_EQ(0x10000 + 8 * i, r.destination);
		EXPECT_EQ(i < BUS1_DEST_MAX - 1,
			  r.flags & BUS1_MSG_FLAG_MORE);
	}
}

TEST_F(deliver, several_nodes_of_one_peer_in_array_order)
{
	__u64 d[5] = { self->h[0] };
	struct bus1_recv_args r;
	int i;

	for (i = 1; i < 5; i++)
		d[i] = connect_new(self->p[0].fd, 0x1000 + 0x10 * (9 - i),
				   self->fd);
	ASSERT_EQ(0, send_full(self->fd, d, 5, "x", 1, NULL, 0, NULL, 0, 0));
	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, recv_msg(&self->p[0], &r));
		EXPECT_EQ(i ? 0x1000 + 0x10 * (9 - i) : 0x1000, r.destination);
	}
}

TEST_F(deliver, trap_17_one_dead_destination_fails_all)
{
	struct state s[N_RECV];
	int i;

	ASSERT_EQ(0, destroy_one(self->p[2].fd, 0x1000));
	for (i = 0; i < N_RECV; i++)
		state_get(self->p[i].fd, &s[i]);
	EXPECT_EQ(-EHOSTUNREACH, send_with_errors(self->fd, self->h, N_RECV,
						  self->err, 0));
	for (i = 0; i < N_RECV; i++) {
		EXPECT_TRUE(state_same(self->p[i].fd, &s[i]));
		EXPECT_EQ(i == 2 ? -EHOSTUNREACH : 0, self->err[i]);
	}
	EXPECT_EQ(0, query(self->fd).n_sent);
}

TEST_F(deliver, trap_15_continue_skips_the_dead)
{
	int i;

	ASSERT_EQ(0, destroy_one(self->p[2].fd, 0x1000));
	ASSERT_EQ(0, send_with_errors(self->fd, self->h, N_RECV, self->err,
				      BUS1_SEND_CONTINUE));
	for (i = 0; i < N_RECV; i++) {
		EXPECT_EQ(i == 2 ? -EHOSTUNREACH : 0, self->err[i]);
		EXPECT_EQ(i != 2, got_hello(&self->p[i]));
	}
	EXPECT_EQ(0x5a5a5a5a, self->err[N_RECV]);
	EXPECT_EQ(N_RECV - 1, query(self->fd).n_sent);
}

TEST_F(deliver, trap_17_continue_skips_the_full)
{
	struct bus1_peer_limits l = limits_keep();
	int i;

	l.max_slices = 2;
	ASSERT_EQ(0, sys_reset(self->p[1].fd, &l, sizeof(l), 0));
	ASSERT_EQ(0, send_bytes(self->fd, self->h[1], "x", 1));
	EXPECT_GT(0, send_with_errors(self->fd, self->h, N_RECV, NULL, 0));
	ASSERT_EQ(0, send_with_errors(self->fd, self->h, N_RECV, self->err,
				      BUS1_SEND_CONTINUE));
	for (i = 0; i < N_RECV; i++)
		EXPECT_EQ(i != 1, !self->err[i]);
	EXPECT_TRUE(self->err[1] == -EDQUOT || self->err[1] == -EXFULL);
	EXPECT_EQ(1, query(self->p[1].fd).n_queued);
	EXPECT_EQ(N_RECV, query(self->fd).n_sent);
}

TEST_F(deliver, continue_skips_the_disconnected)
{
	ASSERT_EQ(0, sys_disconnect(self->p[0].fd, 0));
	peer_close(&self->p[3]);
	ASSERT_EQ(0, send_with_errors(self->fd, self->h, N_RECV, self->err,
				      BUS1_SEND_CONTINUE));
	EXPECT_EQ(-EHOSTUNREACH, self->err[0]);
	EXPECT_EQ(0, self->err[1]);
	EXPECT_EQ(-EHOSTUNREACH, self->err[3]);
	EXPECT_TRUE(got_hello(&self->p[1]));
}

TEST_F(deliver, continue_succeeds_even_if_nobody_gets_it)
{
	int i;

	for (i = 0; i < N_RECV; i++)
		ASSERT_EQ(0, destroy_one(self->p[i].fd, 0x1000));
	ASSERT_EQ(0, send_with_errors(self->fd, self->h, N_RECV, self->err,
				      BUS1_SEND_CONTINUE));
	for (i = 0; i < N_RECV; i++)
		EXPECT_EQ(-EHOSTUNREACH, self->err[i]);
	EXPECT_EQ(0, query(self->fd).n_sent);
}

/* No receiver can keep a message from the others, whatever it does. */
TEST_F(deliver, continue_skips_who_has_lowered_its_limits)
{
	struct bus1_peer_limits l = limits_keep();
	int i;

	l.max_inflight_bytes = 8;
	ASSERT_EQ(0, sys_reset(self->p[1].fd, &l, sizeof(l), 0));
	EXPECT_EQ(-EMSGSIZE, send_with_errors(self->fd, self->h, N_RECV,
					      self->err, 0));
	ASSERT_EQ(0, send_with_errors(self->fd, self->h, N_RECV, self->err,
				      BUS1_SEND_CONTINUE));
	for (i = 0; i < N_RECV; i++) {
		EXPECT_EQ(i == 1 ? -EMSGSIZE : 0, self->err[i]);
		EXPECT_EQ(i != 1, got_hello(&self->p[i]));
	}
}

TEST_F(deliver, continue_skips_who_is_named_again)
{
	__u64 to[N_RECV + 1];
	int i;

	memcpy(to, self->h, sizeof(*to) * N_RECV);
	to[N_RECV] = to[1];
	EXPECT_EQ(-ENOTUNIQ, send_with_errors(self->fd, to, N_RECV + 1,
					      self->err, 0));
	ASSERT_EQ(0, send_with_errors(self->fd, to, N_RECV + 1, self->err,
				      BUS1_SEND_CONTINUE));
	for (i = 0; i < N_RECV; i++) {
		EXPECT_EQ(0, self->err[i]);
		EXPECT_TRUE(got_hello(&self->p[i]));
		EXPECT_EQ(0, query(self->p[i].fd).n_queued);
	}
	EXPECT_EQ(-ENOTUNIQ, self->err[N_RECV]);
	EXPECT_EQ(N_RECV, query(self->fd).n_sent);
}

TEST_F(deliver, continue_skips_handles_that_are_gone)
{
	int i;

	ASSERT_EQ(0, release_one(self->fd, self->h[2]));
	EXPECT_EQ(-ENXIO, send_with_errors(self->fd, self->h, N_RECV, self->err,
					   0));
	ASSERT_EQ(0, send_with_errors(self->fd, self->h, N_RECV, self->err,
				      BUS1_SEND_CONTINUE));
	for (i = 0; i < N_RECV; i++) {
		EXPECT_EQ(i == 2 ? -ENXIO : 0, self->err[i]);
		if (i != 2)
			EXPECT_TRUE(got_hello(&self->p[i]));
	}
}

TEST_F(deliver, continue_does_not_forgive_what_the_sender_does_wrong)
{
	__u64 to[2] = { self->h[0], 0x1000 | BUS1_HANDLE_FLAG_NEW };

	ASSERT_EQ(0, send_with_errors(self->fd, to, 2, self->err, 0));
	ASSERT_TRUE(got_hello(&self->p[0]));
	EXPECT_EQ(-EEXIST, send_with_errors(self->fd, to, 2, self->err,
					    BUS1_SEND_CONTINUE));
	EXPECT_EQ(0, query(self->p[0].fd).n_queued);
}

TEST_F(deliver, errors_are_0_where_all_went_well)
{
	int i;

	ASSERT_EQ(0, send_with_errors(self->fd, self->h, N_RECV, self->err,
				      0));
	for (i = 0; i < N_RECV; i++)
		EXPECT_EQ(0, self->err[i]);
	EXPECT_EQ(0x5a5a5a5a, self->err[N_RECV]);
}

TEST_F(deliver, errors_are_not_written_before_the_look_up)
{
	__u64 bad = NEW | 1, own = 0x4000 | NEW;

	EXPECT_EQ(-EINVAL, send_with_errors(self->fd, &bad, 1, self->err, 0));
	EXPECT_EQ(0x5a5a5a5a, self->err[0]);
	EXPECT_EQ(-EINVAL, send_with_errors(self->fd, &own, 1, self->err,
					    1U << 30));
	EXPECT_EQ(0x5a5a5a5a, self->err[0]);
	ASSERT_EQ(0, sys_disconnect(self->fd, 0));
	EXPECT_EQ(-ESHUTDOWN, send_with_errors(self->fd, self->h, 1,
					       self->err, 0));
	EXPECT_EQ(0x5a5a5a5a, self->err[0]);
}

TEST_F(deliver, errors_name_the_cause_of_a_failure)
{
	__u64 d[2] = { self->h[0], 0x2000 };

	EXPECT_EQ(-ENXIO, send_with_errors(self->fd, d, 2, self->err, 0));
	EXPECT_EQ(0, query(self->p[0].fd).n_queued);
	EXPECT_TRUE(self->err[0] == 0 || self->err[0] == 0x5a5a5a5a);
}

TEST_F(deliver, errors_at_a_bad_pointer_never_deliver_by_halves)
{
	void *bad[] = { ptr_noaccess(), ptr_kernel(), ptr_readonly(),
			ptr_edge(4) };
	struct state s;
	size_t i;
	int r;

	for (i = 0; i < 4; i++) {
		state_get(self->p[1].fd, &s);
		r = send_with_errors(self->fd, self->h, 2, bad[i], 0);
		if (r) {
			EXPECT_EQ(-EFAULT, r);
			EXPECT_TRUE(state_same(self->p[1].fd, &s));
			continue;
		}
		EXPECT_TRUE(got_hello(&self->p[0]));
		EXPECT_TRUE(got_hello(&self->p[1]));
	}
}

TEST_F(deliver, vectors_are_gathered_in_order)
{
	struct iovec vec[BUS1_VEC_MAX];
	unsigned char byte[BUS1_VEC_MAX];
	struct bus1_send_args a = {
		.ptr_destinations = to_u64(self->h), .n_destinations = 2,
		.ptr_vecs = to_u64(vec), .n_vecs = BUS1_VEC_MAX,
	};
	struct bus1_recv_args r;
	int i, k;

	for (i = 0; i < BUS1_VEC_MAX; i++) {
		byte[i] = i * 7;
		vec[i] = (struct iovec){ &byte[i], i != 500 };
	}
	byte[500] = byte[501];
	ASSERT_EQ(0, send_args(self->fd, &a, 0));
	for (k = 0; k < 2; k++) {
		ASSERT_EQ(0, recv_msg(&self->p[k], &r));
		EXPECT_EQ(BUS1_VEC_MAX - 1, r.n_bytes);
		EXPECT_EQ(0, memcmp(msg_payload(&self->p[k], &r), byte, 500));
		EXPECT_EQ(0, memcmp(msg_payload(&self->p[k], &r) + 500,
				    byte + 501, BUS1_VEC_MAX - 501));
	}
}

TEST_F(deliver, empty_message_takes_a_slice_all_the_same)
{
	struct bus1_recv_args r;
	int a = self->p[0].fd;

	ASSERT_EQ(0, send_bytes(self->fd, self->h[0], NULL, 0));
	EXPECT_EQ(1, query(a).used_slices);
	EXPECT_EQ(0, query(a).used_inflight_bytes);
	ASSERT_EQ(0, recv_msg(&self->p[0], &r));
	EXPECT_EQ(BUS1_MSG_DATA, r.type);
	EXPECT_EQ(0, r.n_bytes);
	EXPECT_EQ(1, query(a).used_slices);
	EXPECT_EQ(0, slice_release_one(a, r.offset));
	EXPECT_EQ(0, query(a).used_slices);
}

TEST_F(deliver, empty_messages_have_slices_of_their_own)
{
	struct bus1_recv_args r[3];
	int i, a = self->p[0].fd;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, send_bytes(self->fd, self->h[0], NULL, 0));
		ASSERT_EQ(0, recv_msg(&self->p[0], &r[i]));
	}
	EXPECT_NE(r[0].offset, r[1].offset);
	EXPECT_NE(r[1].offset, r[2].offset);
	EXPECT_NE(r[0].offset, r[2].offset);
	for (i = 0; i < 3; i++)
		EXPECT_EQ(0, slice_release_one(a, r[i].offset));
	EXPECT_EQ(0, query(a).used_slices);
}

TEST_F(deliver, payload_of_every_small_size_arrives)
{
	unsigned char buf[600];
	struct bus1_recv_args r;
	size_t n;

	for (n = 0; n < sizeof(buf); n++)
		buf[n] = n * 13 + 1;
	for (n = 0; n <= sizeof(buf); n += n < 40 ? 1 : 37) {
		ASSERT_EQ(0, send_bytes(self->fd, self->h[0], buf, n));
		ASSERT_EQ(0, recv_msg(&self->p[0], &r));
		EXPECT_EQ(n, r.n_bytes);
		EXPECT_EQ(0, r.offset % 8);
		EXPECT_EQ(0, memcmp(buf, msg_payload(&self->p[0], &r), n));
		ASSERT_EQ(0, slice_release_one(self->p[0].fd, r.offset));
	}
}

TEST_F(deliver, message_to_itself_arrives)
{
	struct bus1_recv_args r;
	__u64 d = 0x4000 | NEW;

	ASSERT_EQ(0, send_bytes(self->fd, d, "me", 2));
	ASSERT_EQ(0, recv_msg(&self->sender, &r));
	EXPECT_EQ(0x4000, r.destination);
	EXPECT_EQ(0, memcmp(msg_payload(&self->sender, &r), "me", 2));
	EXPECT_EQ(1, query(self->fd).n_nodes);
	EXPECT_EQ(1, query(self->fd).n_sent);
}

TEST_F(deliver, new_nodes_as_destination_and_as_handle)
{
	__u64 d[2] = { 0x4000 | NEW, self->h[0] };
	__u64 x[3] = { 0x4000, 0x5000 | NEW, 0x5000 }, got;
	struct bus1_recv_args r;

	ASSERT_EQ(0, send_full(self->fd, d, 2, NULL, 0, x, 3, NULL, 0, 0));
	EXPECT_EQ(2, query(self->fd).n_nodes);
	ASSERT_EQ(0, recv_msg(&self->sender, &r));
	EXPECT_EQ(0x4000, msg_handles(&self->sender, &r)[0]);
	EXPECT_EQ(0x5000, msg_handles(&self->sender, &r)[1]);
	EXPECT_EQ(0x5000, msg_handles(&self->sender, &r)[2]);
	ASSERT_EQ(0, recv_msg(&self->p[0], &r));
	ASSERT_EQ(3, r.n_handles);
	got = msg_handles(&self->p[0], &r)[1];
	EXPECT_EQ(got, msg_handles(&self->p[0], &r)[2]);
	EXPECT_EQ(0, send_bytes(self->p[0].fd, got, "x", 1));
	ASSERT_EQ(0, recv_msg(&self->sender, &r));
	EXPECT_EQ(0x5000, r.destination);
}

TEST_F(deliver, handles_follow_the_padded_payload_in_array_order)
{
	__u64 x[8], back[8];
	struct bus1_recv_args r;
	int i;

	for (i = 0; i < 8; i++)
		x[i] = (0x4000 + 0x10 * ((i * 5) % 8)) | NEW;
	ASSERT_EQ(0, send_full(self->fd, self->h, 2, "abc", 3, x, 8, NULL, 0,
			       0));
	ASSERT_EQ(0, recv_msg(&self->p[1], &r));
	EXPECT_EQ(3, r.n_bytes);
	ASSERT_EQ(8, r.n_handles);
	ASSERT_EQ(0, sys_transfer(self->p[1].fd, self->fd,
				  msg_handles(&self->p[1], &r), back, 8, 0));
	for (i = 0; i < 8; i++)
		EXPECT_EQ(x[i] & ~NEW, back[i]);
}

TEST_F(deliver, a_message_stays_when_its_sender_is_gone)
{
	ASSERT_EQ(0, send_with_errors(self->fd, self->h, 2, NULL, 0));
	peer_close(&self->sender);
	EXPECT_TRUE(got_hello(&self->p[0]));
	EXPECT_TRUE(got_hello(&self->p[1]));
}

TEST_F(deliver, handles_of_a_closed_peer_arrive_by_their_places)
{
	struct bus1_recv_args r;
	__u64 got;

	ASSERT_EQ(0, send_handles(self->fd, self->h[0], &self->h[1], 1));
	peer_close(&self->p[1]);
	ASSERT_EQ(0, send_handles(self->fd, self->h[0], &self->h[1], 1));
	ASSERT_EQ(0, recv_msg(&self->p[0], &r));
	got = msg_handles(&self->p[0], &r)[0];
	EXPECT_NE(INVALID, got);
	ASSERT_EQ(0, recv_msg(&self->p[0], &r));
	EXPECT_EQ(BUS1_MSG_NODE_DESTROY, r.type);
	EXPECT_EQ(got, r.destination);
	ASSERT_EQ(0, recv_msg(&self->p[0], &r));
	EXPECT_EQ(INVALID, msg_handles(&self->p[0], &r)[0]);
}

TEST_F(deliver, charges_each_receiver_for_what_it_gets)
{
	struct bus1_peer_info i;
	__u64 x[2] = { 0x4000 | NEW, 0x4000 };
	int k;

	ASSERT_EQ(0, send_full(self->fd, self->h, 2, "0123456789", 10, x, 2,
			       NULL, 0, 0));
	for (k = 0; k < 2; k++) {
		i = query(self->p[k].fd);
		EXPECT_EQ(1, i.used_slices);
		EXPECT_EQ(slice_size(10, 2, 0), i.used_inflight_bytes);
		EXPECT_EQ(3, i.used_handles);
		EXPECT_EQ(1, i.n_handles);
	}
	EXPECT_EQ(0, query(self->fd).used_slices);
}

static size_t limit_file_size(size_t size)
{
	struct rlimit r = { size, size };

	return setrlimit(RLIMIT_FSIZE, &r);
}

TEST_F(deliver, trap_20_sender_with_a_file_size_limit_can_send)
{
	static char buf[1 << 16];

	ASSERT_EQ(0, limit_file_size(0));
	EXPECT_EQ(0, send_bytes(self->fd, self->h[0], buf, sizeof(buf)));
}

/*
 * A thread changes the payload all the time. The bytes differ from call to
 * call, but all receivers of one multicast got the same.
 */
#define RACE_SIZE	(256 * 1024)

static atomic_bool race_stop;

static void *scribble(void *arg)
{
	volatile unsigned char *p = arg;
	unsigned char v = 0;
	size_t i;

	while (!atomic_load(&race_stop)) {
		v++;
		for (i = 0; i < RACE_SIZE; i += 512)
			p[i] = v;
	}
	return NULL;
}

TEST_F(deliver, trap_16_every_receiver_gets_the_same_bytes)
{
	static unsigned char buf[RACE_SIZE];
	struct bus1_recv_args r[N_RECV];
	pthread_t t;
	int i, round;

	ASSERT_EQ(0, pthread_create(&t, NULL, scribble, buf));
	for (round = 0; round < 50; round++) {
		ASSERT_EQ(0, send_full(self->fd, self->h, N_RECV, buf,
				       RACE_SIZE, NULL, 0, NULL, 0, 0));
		for (i = 0; i < N_RECV; i++) {
			ASSERT_EQ(0, recv_msg(&self->p[i], &r[i]));
			EXPECT_EQ(0, memcmp(msg_payload(&self->p[0], &r[0]),
					    msg_payload(&self->p[i], &r[i]),
					    RACE_SIZE));
		}
		for (i = 0; i < N_RECV; i++)
			ASSERT_EQ(0, slice_release_one(self->p[i].fd,
						       r[i].offset));
	}
	atomic_store(&race_stop, true);
	pthread_join(t, NULL);
}

/* A filter that looks at the flags alone can forbid passing descriptors. */
static int forbid_fds(void)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_bus1_send, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, args[3])),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, BUS1_SEND_FDS, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { .len = 6, .filter = f };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog);
}

TEST_F(deliver, seccomp_can_forbid_descriptors)
{
	int fd = STDIN_FILENO;

	if (forbid_fds())
		SKIP(return, "no seccomp filter in this kernel");
	EXPECT_EQ(-EPERM, send_fds(self->fd, self->h[0], &fd, 1));
	EXPECT_EQ(0, send_bytes(self->fd, self->h[0], "x", 1));
}

TEST_HARNESS_MAIN
