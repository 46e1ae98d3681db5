/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which processes have pinned memory, as the kernel counts it (mm->pinned_vm): one walk over its
 * tasks by a BPF iterator, bpf/pinned.bpf.c. May be called from any thread, once at a time.
 */
#ifndef DIRTYSCOPE_AGENT_KERNEL_PINNED_H
#define DIRTYSCOPE_AGENT_KERNEL_PINNED_H

#include <stddef.h>

#include "agent/kernel/kernel_side.h"

/*
 * One row a process, by tgid; of processes that share an address space, the one with the lowest.
 * The caller frees *rows. 0 or a negative errno: -ENOSYS where the program does not run here.
 */
int pinned__read(const struct kernel_side *kernel, struct ds_pinned **rows, size_t *count);

#endif
