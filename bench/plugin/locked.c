// SPDX-License-Identifier: GPL-2.0
/*
 * Which instructions of 64-bit code lock memory: those with a LOCK prefix, and
 * every exchange with memory. A kernel that finds one processor overwrites the
 * LOCK prefixes of its own text with DS prefixes (alternatives_smp_unlock());
 * those are locked instructions too, anywhere but there.
 */
#include "locked.h"

#define PREFIX_LOCK	0xf0
#define PREFIX_DS	0x3e

static bool is_prefix(uint8_t byte)
{
	switch (byte) {
	case 0x26: case 0x2e: case 0x36: case PREFIX_DS:
	case 0x64: case 0x65: case 0x66: case 0x67:
	case PREFIX_LOCK: case 0xf2: case 0xf3:
		return true;
	}
	return false;
}

static bool is_rex(uint8_t byte)
{
	return (byte & 0xf0) == 0x40;
}

/* @extension: the middle field of the ModRM byte, which is part of some opcodes */
static bool lockable(uint8_t opcode, unsigned int extension)
{
	switch (opcode) {
	case 0x80: case 0x81: case 0x83:	/* arithmetic, but for CMP */
		return extension != 7;
	case 0xf6: case 0xf7:			/* NOT, NEG */
		return extension == 2 || extension == 3;
	case 0xfe: case 0xff:			/* INC, DEC */
		return extension < 2;
	}
	/* ADD, OR, ADC, SBB, AND, SUB, XOR to memory; CMP is 0x38 */
	return opcode < 0x38 && (opcode & 7) < 2;
}

/* The same for what follows 0x0f. */
static bool lockable_0f(uint8_t opcode, unsigned int extension)
{
	switch (opcode) {
	case 0xab: case 0xb3: case 0xbb:	/* BTS, BTR, BTC */
	case 0xb0: case 0xb1:			/* CMPXCHG */
	case 0xc0: case 0xc1:			/* XADD */
		return true;
	case 0xba:				/* BTS, BTR, BTC with a number */
		return extension > 4;
	case 0xc7:				/* CMPXCHG8B, CMPXCHG16B */
		return extension == 1;
	}
	return false;
}

/**
 * insn_locks() - does an instruction lock memory?
 * @insn:	its bytes
 * @n:		how many there are
 * @kernel:	it is of the kernel's text
 */
bool insn_locks(const uint8_t *insn, size_t n, bool kernel)
{
	const uint8_t *end = insn + n;
	bool prefix = false, wide;
	unsigned int extension;

	for (; insn < end && is_prefix(*insn); insn++)
		prefix |= *insn == PREFIX_LOCK ||
			  (kernel && *insn == PREFIX_DS);
	if (insn < end && is_rex(*insn))
		insn++;
	wide = insn < end && *insn == 0x0f;
	insn += wide;
	/* A ModRM byte from 0xc0 on has a register in the place of memory. */
	if (end - insn < 2 || insn[1] >= 0xc0)
		return false;
	extension = insn[1] >> 3 & 7;
	if (wide)
		return prefix && lockable_0f(insn[0], extension);
	return insn[0] == 0x86 || insn[0] == 0x87 ||	/* XCHG */
	       (prefix && lockable(insn[0], extension));
}
