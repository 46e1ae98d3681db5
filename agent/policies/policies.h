/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Policies: rules over the numbers of each snapshot, and what is done when they hold. A thread of
 * its own looks at each snapshot once; the sampler waits for nothing here. Thread-safe but for new,
 * start, stop and free.
 *
 * For each policy and target: inactive -> pending (it holds) -> firing (it held for `for`) ->
 * resolved (it no longer holds, by `clear`) -> inactive (after the cooldown).
 */
#ifndef DIRTYSCOPE_AGENT_POLICIES_POLICIES_H
#define DIRTYSCOPE_AGENT_POLICIES_POLICIES_H

#include <jansson.h>

#include "agent/base/config.h"
#include "agent/base/reason.h"
#include "agent/input/json_members.h"
#include "agent/snapshot/events.h"
#include "agent/snapshot/snapshot.h"
#include "agent/tracks/tracks.h"

struct policies_options {
	/* All borrowed, and outlive it. */
	const struct agent_config *config;
	struct events *events;
	struct tracks *tracks;
	struct snapshot_store *store;
};

struct policies;
/*
 * Reads the directory of policies. -EINVAL with one sentence where they are wrong, or another
 * negative errno.
 */
int policies__new(const struct policies_options *options, struct policies **out,
		  struct reason *message);
/* Lifts what an agent that crashed has left behind, and begins. */
int policies__start(struct policies *policies);
/* No policy fires any more; what they have changed on the host is undone. */
void policies__stop(struct policies *policies);
void policies__free(struct policies *policies);

/*
 * Reads the directory again. All of it takes effect, or nothing, with one sentence: what was posted
 * stays. Unchanged policies keep their states.
 */
int policies__reload(struct policies *policies, struct reason *message);
/*
 * {"policies": [...]} in place of all that were posted before, beside those of the directory, until
 * the agent ends. -EINVAL with *error; nothing has changed then. -ENOMEM.
 */
int policies__put(struct policies *policies, json_t *document, struct json_member_error *error);
/* {"policies": [...]} with states, targets and what actions came to; NULL: memory is short.
 * policies: NULL has none. */
json_t *policies__describe(struct policies *policies);
/* Copies into a snapshot that is being built. -ENOMEM, or 0. */
int policies__publish(struct policies *policies, struct snapshot *snapshot);

#endif
