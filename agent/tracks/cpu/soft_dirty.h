/* SPDX-License-Identifier: BSD-2-Clause */
/* The soft-dirty bits of a process (Documentation/admin-guide/mm/soft-dirty.rst). */
#ifndef DIRTYSCOPE_AGENT_TRACKS_CPU_SOFT_DIRTY_H
#define DIRTYSCOPE_AGENT_TRACKS_CPU_SOFT_DIRTY_H

#include <stdbool.h>
#include <stdint.h>

/* A kernel without them takes what clears them, and never sets one: fresh memory of ours tells. */
bool soft_dirty__is_there(void);
/* All of them, of a process. -ESRCH, another negative errno, or 0. */
int soft_dirty__clear(const char *procfs, uint32_t tgid);

#endif
