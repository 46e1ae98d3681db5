/* SPDX-License-Identifier: BSD-2-Clause */
/* What is told of policies, for policies.c. */
#ifndef DIRTYSCOPE_AGENT_POLICIES_POLICIES_TELL_H
#define DIRTYSCOPE_AGENT_POLICIES_POLICIES_TELL_H

struct policies;
/* Under the lock: what snapshots shall have of them from now on. */
void policies_tell__publish(struct policies *policies);

#endif
