/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Has the kernel take a process's anonymous pages that a track saw unwritten for a while:
 * process_madvise(2) with MADV_PAGEOUT (they are swapped out now) or MADV_COLD (they go first when
 * memory is short). A page that is read but not written counts as unwritten; that is all a track
 * sees. Content is the kernel's matter: whoever touches such a page gets it back.
 */
#ifndef DIRTYSCOPE_AGENT_POLICIES_ACTIONS_RECLAIM_H
#define DIRTYSCOPE_AGENT_POLICIES_ACTIONS_RECLAIM_H

#include "agent/policies/actions/policy_tracks.h"

struct reclaim;
/* request: borrowed, as the others are. NULL: memory is short. */
struct reclaim *reclaim__new(const struct agent_config *config, struct tracks *tracks,
			     struct report *report, const struct policy_track_request *request);
void reclaim__free(struct reclaim *reclaim);
/* After an epoch of the track: at most `most` bytes; it goes on where it was the next time. */
void reclaim__run(struct reclaim *reclaim, uint64_t track, uint64_t epoch);

#endif
