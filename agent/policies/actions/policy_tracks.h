/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tracks that policies keep: started, read every so often and ended by a thread of their own, so
 * that a target that is slow to answer holds up nobody. A read ends the track's epoch and
 * acknowledges nothing: who reads the pages later, by the API, still gets all of them.
 */
#ifndef DIRTYSCOPE_AGENT_POLICIES_ACTIONS_POLICY_TRACKS_H
#define DIRTYSCOPE_AGENT_POLICIES_ACTIONS_POLICY_TRACKS_H

#include "agent/base/config.h"
#include "agent/policies/rules/kinds.h"
#include "agent/policies/actions/report.h"
#include "agent/tracks/tracks.h"

#define POLICY_TRACK_RETRY 5.0 /* seconds, where a track cannot be started for now */

/* What is done with pages that nobody wrote for a while. */
struct reclaim_options {
	uint64_t epochs; /* that they were not written in; 0: nothing is done */
	unsigned advice; /* enum reclaim_advice */
	uint64_t most;	 /* bytes, each time that the track is read */
};
enum reclaim_advice { RECLAIM_PAGEOUT, RECLAIM_COLD };

struct policy_track_request {
	enum target_kind kind; /* PROCESS, VM: by pid; CGROUP, DEVICE: by the key's name */
	struct target_key key; /* copied */
	uint32_t pid;
	double every;	  /* seconds between two reads */
	double bandwidth; /* bytes per second, of a forecast; 0: none is made */
	double downtime;  /* seconds */
	struct reclaim_options reclaim;
	const struct action_tag *tag; /* copied; whose results are reported */
};

struct policy_tracks;
/* All borrowed. 0, or a negative errno. */
int policy_tracks__new(const struct agent_config *config, struct tracks *tracks,
		       struct report *report, struct policy_tracks **out);
/* Ends all of them. */
void policy_tracks__free(struct policy_tracks *policy_tracks);
/* Its id, above 0; 0 when memory is short. Reports "started", "failed" or "ended". */
uint64_t policy_tracks__begin(struct policy_tracks *policy_tracks,
			      const struct policy_track_request *request);
/* Its track is stopped soon, and that is reported. */
void policy_tracks__end(struct policy_tracks *policy_tracks, uint64_t id);
/* What the tracks on a target say; false: there is none. */
bool policy_tracks__facts(struct policy_tracks *policy_tracks, enum target_kind kind,
			  const struct target_key *key, struct policy_track_facts *facts);
/* How many there are; cheap. */
size_t policy_tracks__count(struct policy_tracks *policy_tracks);

#endif
