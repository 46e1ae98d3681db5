/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DIRTYSCOPE_AGENT_TRACKS_CPU_MAPPED_DATA_H
#define DIRTYSCOPE_AGENT_TRACKS_CPU_MAPPED_DATA_H

#include <stdint.h>

#include "agent/tracks/shared/maps.h"

/*
 * Calls `each` for all that a file, or shared memory, holds in a mapping of it, by addresses: what
 * was written through an earlier mapping need not be in any page table any more. Where that cannot
 * be seen, for the whole mapping. Nonzero ends it and is returned.
 */
int mapped_data__each(const char *procfs, uint32_t tgid, const struct map_region *region,
		      int (*each)(void *context, uint64_t start, uint64_t end), void *context);

#endif
