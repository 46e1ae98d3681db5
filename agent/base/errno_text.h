/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every errno has a name, also those that the C library does not know: the kernel's own
 * (include/linux/errno.h), which bpf(2) lets out, as ENOTSUPP of a kernel without direct calls.
 */
#ifndef DIRTYSCOPE_AGENT_BASE_ERRNO_TEXT_H
#define DIRTYSCOPE_AGENT_BASE_ERRNO_TEXT_H

struct errno_text {
	char name[24];	/* "ENOTSUPP"; of one that nobody knows its number */
	char text[104]; /* "ENOTSUPP (the kernel does not support it)" */
};

/* error: an errno, positive or negative. */
struct errno_text errno_text(int error);

#endif
