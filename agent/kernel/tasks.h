/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A walk over the kernel's tasks by a BPF iterator, bpf/tasks.bpf.c: it brings what is known of the
 * processes with a slot up to date where no event tells of a change.
 */
#ifndef DIRTYSCOPE_AGENT_KERNEL_TASKS_H
#define DIRTYSCOPE_AGENT_KERNEL_TASKS_H

#include "agent/kernel/kernel_side.h"

/*
 * Walks once. *own: which namespaces of the agent are not the host's. 0 or a negative errno:
 * -ENOSYS where the program does not run here; *own is left alone then. The sampler's thread alone.
 */
int tasks__refresh(const struct kernel_side *kernel, struct ds_own_namespaces *own);

#endif
