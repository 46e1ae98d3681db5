/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the arguments of QEMU say of the memory that it gives its guest: -m, -mem-path, and
 * -object memory-backend-*, with its properties by commas or as JSON. The text is hostile.
 */
#ifndef DIRTYSCOPE_AGENT_TRACKS_GUEST_GUEST_ARGS_H
#define DIRTYSCOPE_AGENT_TRACKS_GUEST_GUEST_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GUEST_SIZES_MAX 64
#define GUEST_PATHS_MAX 16
#define GUEST_PATH_MAX 256

struct guest_args {
	uint64_t sizes[GUEST_SIZES_MAX]; /* bytes: of all of it, or of a part */
	size_t size_count;
	char paths[GUEST_PATHS_MAX][GUEST_PATH_MAX]; /* of a file that holds some, or its folder */
	size_t path_count;
	bool may_grow; /* memory can be plugged in later */
};

/* arguments: as in /proc/PID/cmdline, each with a NUL behind it; all of them. */
void guest_args__parse(struct guest_args *args, const char *arguments, size_t length);

#endif
