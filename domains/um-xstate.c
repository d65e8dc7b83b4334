// SPDX-License-Identifier: GPL-2.0
/*
 * The size of the extended registers (FPU, AVX, AMX...) of a process on this
 * host, in bytes, as ptrace gives them to User Mode Linux.
 */

#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static char area[1 << 20];

int main(void)
{
	struct iovec registers = { area, sizeof(area) };
	int error = 0, status;
	pid_t child = fork();

	if (!child) {
		if (!ptrace(PTRACE_TRACEME, 0, NULL, NULL))
			raise(SIGSTOP);
		_exit(1);
	}
	if (child < 0 || waitpid(child, &status, 0) < 0 || !WIFSTOPPED(status))
		return fprintf(stderr, "no child to trace\n"), 1;
	if (ptrace(PTRACE_GETREGSET, child, NT_X86_XSTATE, &registers) < 0)
		error = errno;
	kill(child, SIGKILL);
	waitpid(child, &status, 0);

	/* Without XSAVE there are the older ones, and it takes those. */
	if (error == ENODEV || error == EINVAL)
		registers.iov_len = sizeof(struct user_fpregs_struct);
	else if (error)
		return errno = error, perror("PTRACE_GETREGSET"), 1;
	printf("%zu\n", registers.iov_len);
	return 0;
}
