/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1 selftests: a page that userfaultfd holds back
 *
 * Either the page is missing until it is filled, or it is there and only writing
 * to it has to wait.
 */
#ifndef BUS1_SELFTEST_UFFD_H
#define BUS1_SELFTEST_UFFD_H

#include "common.h"

#include <linux/userfaultfd.h>
#include <sys/ioctl.h>

#define PAGE	4096

/* Registers the page with a new userfaultfd, or returns -1. */
static inline int uffd_open(void *page, bool write)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = write ? UFFD_FEATURE_PAGEFAULT_FLAG_WP : 0,
	};
	struct uffdio_register reg = {
		.range = { to_u64(page), PAGE },
		.mode = write ? UFFDIO_REGISTER_MODE_WP :
			UFFDIO_REGISTER_MODE_MISSING,
	};
	int fd = syscall(__NR_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return -1;
	if (ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &reg)) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Makes writing to the page wait, or lets it go on. */
static inline int uffd_protect(int fd, void *page, bool on)
{
	struct uffdio_writeprotect wp = {
		.range = { to_u64(page), PAGE },
		.mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
	};

	return ioctl(fd, UFFDIO_WRITEPROTECT, &wp);
}

/* Fills the page that is missing. */
static inline int uffd_fill(int fd, void *page, const void *content)
{
	struct uffdio_copy copy = {
		.dst = to_u64(page), .src = to_u64(content), .len = PAGE,
	};

	return ioctl(fd, UFFDIO_COPY, &copy);
}

/* Waits until somebody wants the page. */
static inline bool uffd_is_wanted(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct uffd_msg msg;

	if (poll(&p, 1, 10000) != 1)
		return false;
	return read(fd, &msg, sizeof(msg)) == sizeof(msg) &&
	       msg.event == UFFD_EVENT_PAGEFAULT;
}

#endif /* BUS1_SELFTEST_UFFD_H */
