/* SPDX-License-Identifier: BSD-2-Clause */
/* The inside of struct target, for target.c and target_frames.c alone. */
#ifndef DIRTYSCOPE_AGENT_TRACKS_TARGET_PRIVATE_H
#define DIRTYSCOPE_AGENT_TRACKS_TARGET_PRIVATE_H

#include <pthread.h>

#include "agent/tracks/device/losses.h"
#include "agent/tracks/device/mapped_frames.h"
#include "agent/tracks/device/pfn_index.h"
#include "agent/tracks/device/pin_side.h"
#include "agent/tracks/target.h"

struct subscriber {
	struct page_map *map;
	struct subscriber *next;
};

struct target {
	struct target_options options;
	pthread_mutex_t lock;
	struct page_table *pagemap;
	struct cpu_side cpu;
	struct pfn_index *index; /* NULL: PFNs may not be read */
	struct mapped_frames mapped;
	struct write_log *log;
	struct pin_side pins;
	struct losses losses;
	struct not_covered rows[2 + DS_LOST_REASONS]; /* what target__gaps tells */
	struct subscriber *subscribers;
	struct page_map *epoch; /* what this epoch has found so far */
	uint64_t start_stopped_ns, moved;
	struct page_map *stale;		     /* written pages, whose frames were not read since */
	uint64_t pending_start, pending_end; /* of these: not yet read */
	int failed;			     /* of an epoch, for good */
};

/* target_frames.c; under target->lock */
/* Before anything is protected: what devices write from here on is kept. */
int target__start_devices(struct target *target);
/* After it: which pages it has, and which frames they have. */
int target__read_all(struct target *target);
/*
 * After the CPU side of an epoch, whose result is err: adds to the epoch what devices wrote, as the
 * sweep found it that was asked for at its begin. Returns err, or an error of its own.
 */
int target__run_devices(struct target *target, uint64_t asked, int err);

#endif
