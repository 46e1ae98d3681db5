/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Limits of I/O that policies set: io.max of a cgroup of version 2 and a disk
 * (Documentation/admin-guide/cgroup-v2.rst, block/blk-throttle.c). What stood there before is
 * written down in a file before anything is changed, and comes back when the last claim is
 * released, when the agent ends, or, after a crash, when it starts again. What somebody else has
 * changed meanwhile is left as it is. For one thread.
 */
#ifndef DIRTYSCOPE_AGENT_POLICIES_ACTIONS_LIMITS_H
#define DIRTYSCOPE_AGENT_POLICIES_ACTIONS_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/reason.h"
#include "agent/snapshot/events.h"

enum io_key { IO_RBPS, IO_WBPS, IO_RIOPS, IO_WIOPS, IO_KEYS };
extern const char *const io_key_names[IO_KEYS];
#define IO_NO_LIMIT UINT64_MAX /* "max" */

/* Bytes, or requests, per second. */
struct io_limit {
	uint64_t values[IO_KEYS];
};

/* Of a disk ("8:0") in the text of an io.max; a disk that is not in it has no limit. False: the
 * text is not what it should be. */
bool io_limit__parse(const char *text, const char *disk, struct io_limit *limit);

struct limits;
/* state: path of the file; sysfs: where it is mounted. All are borrowed. NULL: memory is short. */
struct limits *limits__new(const char *sysfs, const char *state, struct events *events);
/* What an agent that crashed has left: it is restored, and told as events. */
void limits__recover(struct limits *limits);
/*
 * The stricter of this, of what else is claimed and of what stood there before holds from now on.
 * cgroup: "/a/b". Its id, above 0; 0 with a sentence.
 */
uint64_t limits__claim(struct limits *limits, const char *cgroup, const char *disk,
		       const struct io_limit *limit, struct reason *why);
/* 0, or a negative errno with a sentence where what was before could not be restored. */
int limits__release(struct limits *limits, uint64_t id, struct reason *why);
/* Restores all of them. */
void limits__free(struct limits *limits);

#endif
