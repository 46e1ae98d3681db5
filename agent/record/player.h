/* SPDX-License-Identifier: BSD-2-Clause */
/* In the sampler's place: publishes the snapshots of a record, at their pace or at another one. */
#ifndef DIRTYSCOPE_AGENT_RECORD_PLAYER_H
#define DIRTYSCOPE_AGENT_RECORD_PLAYER_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/base/reason.h"
#include "agent/snapshot/events.h"
#include "agent/snapshot/history.h"
#include "agent/snapshot/snapshot.h"

struct player_options {
	double interval; /* seconds between two snapshots; 0: as they were recorded */
	bool loop;	 /* begin again at the end; else the last one stays */
	/* Borrowed; alive until player__stop. */
	struct snapshot_store *store;
	struct history *history;
	struct events *events;
};

struct player;
/* Looks through the file; path is borrowed. As reader__open. */
int player__new(const char *path, struct player **out, struct reason *message);
/* That the recorded agent was told, seconds, at least 0.1. */
double player__interval(const struct player *player);
/* Publishes the first snapshot at once, and the others from a thread. As reader__next. */
int player__start(struct player *player, const struct player_options *options,
		  struct reason *message);
/* The thread has ended then. What was published may still be read until player__free. */
void player__stop(struct player *player);
void player__free(struct player *player);

#endif
