/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes each snapshot to a file, with the events, tracks and policies that stand beside it, from a
 * thread of its own: nobody waits for the disk. It ends, and says so, at its limit, where the disk
 * is nearly full, and when a write fails; the file is whole then.
 */
#ifndef DIRTYSCOPE_AGENT_RECORD_RECORDER_H
#define DIRTYSCOPE_AGENT_RECORD_RECORDER_H

#include <stddef.h>

#include "agent/base/reason.h"
#include "agent/policies/policies.h"
#include "agent/snapshot/events.h"
#include "agent/snapshot/snapshot.h"
#include "agent/tracks/tracks.h"

struct recorder_options {
	const char *path;
	uint64_t limit;	 /* bytes of the file, at most */
	double interval; /* between two snapshots, seconds */
	/* Borrowed; alive until recorder__stop. */
	struct snapshot_store *store;
	struct events *events;
	struct tracks *tracks;
	struct policies *policies;
};

struct recorder;
/* Creates the file; 0, or a negative errno with one sentence. */
int recorder__new(const struct recorder_options *options, struct recorder **out,
		  struct reason *message);
int recorder__start(struct recorder *recorder);
/* Writes what is left and ends all waits for snapshots, as for the agent's end. NULL is fine. */
void recorder__stop(struct recorder *recorder);
void recorder__free(struct recorder *recorder);
/* Into a snapshot that is being built. Any thread, until recorder__free. NULL: nothing. */
void recorder__publish(struct recorder *recorder, struct snapshot *snapshot);

#endif
