/* SPDX-License-Identifier: BSD-2-Clause */
/* The actions there are, each in a file of its own: action_NAME.c. */
#ifndef DIRTYSCOPE_AGENT_POLICIES_ACTIONS_ACTIONS_H
#define DIRTYSCOPE_AGENT_POLICIES_ACTIONS_ACTIONS_H

#include "agent/policies/actions/action.h"

/* Bits of action_type's kinds. */
#define FOR(kind) (1u << TARGET_##kind)
#define FOR_ANY ((1u << TARGET_KINDS) - 1)

extern const struct action_type action_track, action_limit, action_reclaim, action_webhook,
	action_exec, action_log;

#endif
