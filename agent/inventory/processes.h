/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The processes that have written something: who they are, what they wrote, when they went.
 *
 * Owned by the sampler's thread. A process is known by (tgid, start_boottime); its counters are
 * the sum of its slot's rows and of what its earlier slots had.
 */
#ifndef DIRTYSCOPE_AGENT_INVENTORY_PROCESSES_H
#define DIRTYSCOPE_AGENT_INVENTORY_PROCESSES_H

#include "agent/base/config.h"
#include "agent/kernel/kernel_side.h"
#include "agent/snapshot/snapshot.h"

#define PROCESSES_EXITED_KEPT 1000  /* the busiest of them */
#define PROCESSES_EXITED_SECONDS 60 /* and for how long */

struct processes;
struct process_record;

int processes__new(const struct agent_config *config, const struct kernel_side *kernel,
		   struct processes **out);
void processes__free(struct processes *processes);

/*
 * Takes back the slots of those that ended, in two calls: so that short lives do not fill the
 * table between two samples. Cheap when nobody has ended. now: seconds, monotonic.
 */
void processes__drain(struct processes *processes, double now);
/* Reads all rows, meets new processes, retires the slots of those that ended. now: seconds,
 * monotonic. */
int processes__sample(struct processes *processes, double now);

/*
 * The record of a process, made if it is not known; without a name where the kernel side had no
 * slot for it. NULL: no memory. now: seconds, monotonic.
 */
struct process_record *processes__find(struct processes *processes,
				       const struct ds_process_key *key, double now);
/* Pages that devices wrote for it since the last sample. */
void process_record__add_dma(struct process_record *record, uint64_t pages);
struct process_identity *process_record__identity(const struct process_record *record);

/*
 * After all is added: forgets those that ended long ago (calling forget, if given, for each),
 * gives series to the busiest, and fills in processes, cgroups, vms, their rests and the totals.
 * unknown_dma: pages of flows that have no process. seconds: since the last call.
 */
int processes__publish(struct processes *processes, double now, double seconds,
		       uint64_t unknown_dma, void (*forget)(void *, const struct ds_process_key *),
		       void *context, struct snapshot *snapshot);

#endif
