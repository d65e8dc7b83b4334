// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 selftests: peers across fork and exec
 */
#include "stress.h"

FIXTURE(exec) {
	struct peer a, b;
	__u64 b_at_a;			/* node 8 of b */
};

FIXTURE_SETUP(exec)
{
	ASSERT_EQ(0, peer_open(&self->a, NULL, 0));
	ASSERT_EQ(0, peer_open(&self->b, NULL, 0));
	self->b_at_a = connect_new(self->b.fd, 8, self->a.fd);
	ASSERT_NE(BUS1_HANDLE_INVALID, self->b_at_a);
}

FIXTURE_TEARDOWN(exec)
{
	peer_close(&self->a);
	peer_close(&self->b);
}

/* With the environment variable set this program only waits for EOF. */
__attribute__((constructor)) static void exec_child(void)
{
	char c;

	if (!getenv("BUS1_TEST_WAITS"))
		return;
	while (read(STDIN_FILENO, &c, 1) > 0)
		;
	_exit(0);
}

TEST_F(exec, of_another_program_ends_a_peer_that_a_child_alone_had)
{
	char *argv[] = { "exec_test", NULL }, *env[] = { "BUS1_TEST_WAITS=1", NULL };
	struct bus1_recv_args r = { .deadline = now_ns() + 20 * SECOND };
	int in[2], go[2];
	pid_t child;
	char c;

	ASSERT_EQ(0, pipe(in));
	ASSERT_EQ(0, pipe(go));
	child = fork();
	if (!child) {
		close(in[1]);
		dup2(in[0], STDIN_FILENO);
		if (read(go[0], &c, 1) != 1)
			_exit(1);
		execve("/proc/self/exe", argv, env);
		_exit(2);
	}
	munmap((void *)self->b.pool, self->b.pool_size);
	close(self->b.fd);
	self->b.pool = NULL;
	self->b.fd = -1;
	/* The child still has it open: its node is alive. */
	EXPECT_EQ(0, send_empty(self->a.fd, self->b_at_a));
	EXPECT_EQ(-EAGAIN, recv_type(&self->a, NULL));
	ASSERT_EQ(1, write(go[1], "x", 1));
	EXPECT_EQ(0, sys_recv(self->a.fd, &r, sizeof(r), 0));
	EXPECT_EQ(BUS1_MSG_NODE_DESTROY, r.type);
	EXPECT_EQ(-EHOSTUNREACH, send_empty(self->a.fd, self->b_at_a));
	/* It is alive and waits for the end of its input. */
	EXPECT_EQ(0, waitpid(child, NULL, WNOHANG));
	close(in[0]);
	close(in[1]);
	EXPECT_EQ(0, wait_child(child));
}

/* A descriptor that loses close-on-exec goes along, with all that it holds. */
TEST_F(exec, keeps_a_peer_that_is_not_close_on_exec)
{
	char *argv[] = { "exec_test", NULL }, *env[] = { "BUS1_TEST_WAITS=1", NULL };
	int in[2];
	pid_t child;

	ASSERT_EQ(0, pipe(in));
	ASSERT_EQ(0, fcntl(self->b.fd, F_SETFD, 0));
	child = fork();
	if (!child) {
		close(in[1]);
		dup2(in[0], STDIN_FILENO);
		execve("/proc/self/exe", argv, env);
		_exit(2);
	}
	close(in[0]);
	peer_close(&self->b);
	EXPECT_EQ(0, send_empty(self->a.fd, self->b_at_a));
	EXPECT_EQ(-EAGAIN, recv_type(&self->a, NULL));
	close(in[1]);
	EXPECT_EQ(0, wait_child(child));
	EXPECT_EQ(BUS1_MSG_NODE_DESTROY, recv_type(&self->a, NULL));
}

TEST_HARNESS_MAIN
