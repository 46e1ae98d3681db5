/* SPDX-License-Identifier: BSD-2-Clause */
/* Processes in a procfs made by a test. */
#ifndef DIRTYSCOPE_TESTS_UNIT_PROC_TREE_H
#define DIRTYSCOPE_TESTS_UNIT_PROC_TREE_H

#include <stdint.h>

#include "tests/unit/tree.h"

/* PID/stat: flags is field 9, threads field 20, start field 22. */
static inline void write_stat(const struct tree *tree, unsigned int pid, const char *comm,
			      char status, unsigned int flags, unsigned int threads, uint64_t start)
{
	char text[512], path[32];

	snprintf(path, sizeof(path), "%u/stat", pid);
	snprintf(text, sizeof(text),
		 "%u (%s) %c 1 1 1 0 -1 %u 0 0 0 0 0 0 0 0 20 0 %u 0 %llu 0 0 0\n", pid, comm,
		 status, flags, threads, (unsigned long long)start);
	tree__puts(tree, path, text);
}

static inline uint64_t ticks_to_ns(uint64_t ticks)
{
	return ticks * (1000000000ULL / (uint64_t)sysconf(_SC_CLK_TCK));
}

#endif
