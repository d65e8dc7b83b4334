# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
# Turns the kernel's header into bus1-abi.h. The copy defines the guard of the
# kernel's header as well, in its exported and in its internal spelling, so that
# whichever of the two a program includes first is the one that counts.
s|^#ifndef _UAPI_LINUX_BUS1_H$|#if !defined(_UAPI_LINUX_BUS1_H) \&\& !defined(_LINUX_BUS1_H)|
s|^#define _UAPI_LINUX_BUS1_H$|#define _UAPI_LINUX_BUS1_H\n#define _LINUX_BUS1_H|
