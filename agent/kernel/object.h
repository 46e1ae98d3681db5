/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The BPF object, made ready for this kernel by libbpf, and its programs' code taken out of it, so
 * that each program can be loaded by itself: bpf_object__load() loads all of an object's programs
 * or none, and one that is refused takes the others along.
 */
#ifndef DIRTYSCOPE_AGENT_KERNEL_OBJECT_H
#define DIRTYSCOPE_AGENT_KERNEL_OBJECT_H

#include <bpf/bpf.h>
#include <stddef.h>

#include "agent/kernel/program_set.h"

struct dirtyscope; /* the skeleton */
struct startup;

/* What its programs declare: some of the helpers that they call are for GPL-compatible ones. */
#define OBJECT_LICENSE "Dual BSD/GPL"

/* The ELF object that bpf/ becomes. */
struct object_bytes {
	const void *data;
	size_t size;
};
/* The one that is built in. */
struct object_bytes object_bytes__built_in(void);

/* Opens an object; dirtyscope__destroy() ends it. 0, or a negative errno when it is none. */
int object__open(const struct object_bytes *bytes, struct dirtyscope **skeleton);

/*
 * From object__open to here the object's handlers must be in place: programs are matched with
 * them as it is opened. One at a time in a process, as libbpf's list of them is global.
 */
struct object_handlers {
	int ids[8];
	int count;
	struct program_set *set;
	struct startup *startup;
	unsigned known_btf_id; /* of a tracepoint that this kernel has */
};
/* set: chosen. startup: NULL, or whose cancelling ends the load. */
int object_handlers__add(struct object_handlers *handlers, struct program_set *set,
			 struct startup *startup);
/* Call after the object that was opened meanwhile is loaded. */
void object_handlers__remove(struct object_handlers *handlers);

/*
 * Creates the maps and gives each program of the set that can run its code. Its own programs are
 * not loaded. 0; -ECANCELED; another negative errno.
 */
int object__load(struct dirtyscope *skeleton);

#endif
