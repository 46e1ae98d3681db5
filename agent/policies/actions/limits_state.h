/* SPDX-License-Identifier: BSD-2-Clause */
/* The file in which limits are written down, for after a crash: JSON, replaced as a whole. */
#ifndef DIRTYSCOPE_AGENT_POLICIES_ACTIONS_LIMITS_STATE_H
#define DIRTYSCOPE_AGENT_POLICIES_ACTIONS_LIMITS_STATE_H

#include "agent/policies/actions/limits.h"

struct limit_entry {
	char cgroup[512], disk[24];
	struct io_limit before, set;
	struct limit_entry *next;
};

/* A new list for free(), one by one. -ENOENT: there is no file; -EBADMSG: it is not one of ours. */
int limits_state__read(const char *path, struct limit_entry **entries);
/* The directory that the file is in, where only that is missing. */
void limits_state__make_directory(const char *path);
/* Durable when it returns 0; without entries the file is removed. Its directory is made. */
int limits_state__write(const char *path, const struct limit_entry *entries);

#endif
