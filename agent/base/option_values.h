/* SPDX-License-Identifier: BSD-2-Clause */
/* What options are read into, where a plain C type is not enough; agent/input/options.h. */
#ifndef DIRTYSCOPE_AGENT_BASE_OPTION_VALUES_H
#define DIRTYSCOPE_AGENT_BASE_OPTION_VALUES_H

#include <stddef.h>

#define OPTION_LIST_MAX 16
/* The values of an option that may be repeated, in their order; the strings are borrowed. */
struct option_list {
	const char *values[OPTION_LIST_MAX];
	size_t count;
};

/* Owns the strings that were read from a file. Zero-initialise; option_strings__free. */
struct option_strings {
	char **items;
	size_t count;
};

#endif
