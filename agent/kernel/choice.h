/* SPDX-License-Identifier: BSD-2-Clause */
/* Which rows of the program table run on this kernel, and why the others do not. */
#ifndef DIRTYSCOPE_AGENT_KERNEL_CHOICE_H
#define DIRTYSCOPE_AGENT_KERNEL_CHOICE_H

#include <bpf/btf.h>

#include "agent/kernel/program_set.h"

/* -EINVAL when the name is none of auto, base, fentry. */
int sensors_tier__parse(const char *name, enum sensors_tier *tier);

/*
 * Fills in the set from the table. kernel: the kernel's own BTF. no_functions: why the kernel
 * takes no trampoline at all; NULL when it does.
 */
void program_set__choose(struct program_set *set, struct btf *kernel, enum sensors_tier tier,
			 const char *no_functions);
/* Chooses again among what can run, after a program could not. */
void program_set__choose_again(struct program_set *set);

#endif
