/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tells the fault sensor whose memory tracks protect, so that the faults that this causes are
 * counted apart: bpf/protection.h says which they are. A process that ends, or executes another
 * program, is forgotten by the kernel side. Thread-safe, for different processes.
 */
#ifndef DIRTYSCOPE_AGENT_KERNEL_TRACKING_H
#define DIRTYSCOPE_AGENT_KERNEL_TRACKING_H

#include "agent/kernel/kernel_side.h"

/*
 * Before the first page is protected. how: DS_PROTECTED_WP or DS_PROTECTED_SOFT; start_ticks: as in
 * the process's stat. Nonzero, a negative errno: its faults will count as its own.
 */
int tracking__begin(const struct kernel_tables *tables, uint32_t tgid, uint64_t start_ticks,
		    uint32_t how);
/* Once the protection is lifted; what stays protected then is still told apart. */
void tracking__end(const struct kernel_tables *tables, const char *procfs, uint32_t tgid,
		   uint64_t start_ticks);

#endif
