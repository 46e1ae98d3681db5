/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is known of a process's mappings from one epoch to the next: side->ranges stands beside
 * side->regions, one for each.
 */
#ifndef DIRTYSCOPE_AGENT_TRACKS_CPU_RANGES_H
#define DIRTYSCOPE_AGENT_TRACKS_CPU_RANGES_H

#include "agent/tracks/cpu/cpu_side.h"

/*
 * Reads the mappings anew. A range that is as it was keeps its state, any other is RANGE_NEW, and
 * its file system is asked whether it has pages of hugetlb. -ENOMEM, -ESRCH, or 0.
 */
int ranges__read(struct cpu_side *side);
/*
 * Where the ranges end that begin with this one, lie next to each other, and have its state, which
 * are shared or private as it is, and can be dealt with in one call. One of hugetlb is alone.
 */
size_t ranges__group(const struct cpu_side *side, size_t first);
/* Of the address space, in all ranges. */
uint64_t ranges__pages(const struct cpu_side *side);

#endif
