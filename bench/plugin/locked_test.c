// SPDX-License-Identifier: GPL-2.0
/*
 * insn_locks() on instructions as assemblers write them. Run when it is built.
 */
#include <stdio.h>

#include "locked.h"

#define INSN(text, bytes, user, kernel) \
	{ text, (const uint8_t *)(bytes), sizeof(bytes) - 1, user, kernel }

static const struct {
	const char *text;
	const uint8_t *insn;
	size_t n;
	bool user;
	bool kernel;
} known[] = {
	INSN("lock addl $0, -4(%rsp)", "\xf0\x83\x44\x24\xfc\x00", true, true),
	INSN("lock incl (%rdi)", "\xf0\xff\x07", true, true),
	INSN("lock cmpxchg %rcx, (%rdi)", "\xf0\x48\x0f\xb1\x0f", true, true),
	INSN("lock cmpxchg %cx, (%rdi)", "\x66\xf0\x0f\xb1\x0f", true, true),
	INSN("lock cmpxchg16b (%rsi)", "\xf0\x48\x0f\xc7\x0e", true, true),
	INSN("lock xaddl %eax, (%rdi)", "\xf0\x0f\xc1\x07", true, true),
	INSN("lock btsq $2, (%rdi)", "\xf0\x48\x0f\xba\x2f\x02", true, true),
	INSN("lock orb $1, (%rdi)", "\xf0\x80\x0f\x01", true, true),
	INSN("lock subl %eax, (%rdi)", "\xf0\x29\x07", true, true),

	/* patched: locked in the kernel, and plain in a program */
	INSN("ds incl (%rdi)", "\x3e\xff\x07", false, true),
	INSN("ds decl (%rdi)", "\x3e\xff\x0f", false, true),
	INSN("ds cmpxchg %ecx, (%rdi)", "\x3e\x0f\xb1\x0f", false, true),
	INSN("ds cmpxchg %r9d, (%r8)", "\x3e\x45\x0f\xb1\x08", false, true),
	INSN("ds xaddl %eax, (%rdi)", "\x3e\x0f\xc1\x07", false, true),
	INSN("ds andb $~1, (%rdi)", "\x3e\x80\x27\xfe", false, true),
	INSN("ds btrq $1, (%rdi)", "\x3e\x48\x0f\xba\x37\x01", false, true),
	INSN("ds notl (%rdi)", "\x3e\xf7\x17", false, true),

	/* exchanges, which need no prefix */
	INSN("xchg %eax, (%rdi)", "\x87\x07", true, true),
	INSN("xchg %al, (%rdi)", "\x86\x07", true, true),
	INSN("xchg %rax, (%rdi)", "\x48\x87\x07", true, true),
	INSN("xchg %ax, (%rdi)", "\x66\x87\x07", true, true),
	INSN("xchg %eax, %gs:(%rdi)", "\x65\x87\x07", true, true),

	/* none of these */
	INSN("xchg %eax, %ecx", "\x87\xc8", false, false),
	INSN("xchg %ax, %ax", "\x66\x90", false, false),
	INSN("addl $1, (%rdi)", "\x83\x07\x01", false, false),
	INSN("cmpxchg %ecx, %gs:(%rdi)", "\x65\x0f\xb1\x0f", false, false),
	INSN("notrack jmp *%rax", "\x3e\xff\xe0", false, false),
	INSN("notrack jmp *(%rax)", "\x3e\xff\x20", false, false),
	INSN("notrack call *(%rax)", "\x3e\xff\x10", false, false),
	INSN("ds cmpl $1, (%rdi)", "\x3e\x83\x3f\x01", false, false),
	INSN("ds cmpl %eax, (%rdi)", "\x3e\x39\x07", false, false),
	INSN("ds btq $1, (%rdi)", "\x3e\x48\x0f\xba\x27\x01", false, false),
	INSN("ds movl %eax, (%rdi)", "\x3e\x89\x07", false, false),
	INSN("nopl (%rax)", "\x0f\x1f\x00", false, false),
	INSN("ret", "\xc3", false, false),
	INSN("lock alone", "\xf0", false, false),
};

int main(void)
{
	int failed = 0;
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (insn_locks(known[i].insn, known[i].n, false) == known[i].user &&
		    insn_locks(known[i].insn, known[i].n, true) == known[i].kernel)
			continue;
		fprintf(stderr, "insn_locks() is wrong about: %s\n",
			known[i].text);
		failed = 1;
	}
	return failed;
}
