/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What filed and fcat say to each other.
 *
 * A handle to the server's first node is the right to ask for files by name. A
 * handle to a file is the right to read that file, and nothing else is asked.
 * Every request asks for a reply, which the client has paid for.
 */
#ifndef FILES_H
#define FILES_H

#include <stdint.h>

enum file_op {
	FILE_OPEN = 1,		/* to the server: a handle to the file */
	FILE_DESCRIPTOR,	/* to the server: the open file itself */
	FILE_REVOKE,		/* to the server: take the file from everybody */
	FILE_READ,		/* to a file: @length bytes at @offset */
};

struct file_request {
	uint32_t op;
	uint32_t length;
	uint64_t offset;
	char name[256];
};

/* Followed by the bytes that were read. */
struct file_answer {
	uint32_t op;
	int32_t error;
	uint64_t offset;
	uint64_t size;
};

/* From one client to another, with a handle to the file. */
struct file_gift {
	uint64_t offset;
	uint64_t size;
	char name[256];
};

/* The most that one answer carries. */
#define FILE_READ_MAX (256 * 1024)

#endif /* FILES_H */
