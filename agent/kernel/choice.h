/* SPDX-License-Identifier: BSD-2-Clause */
/* Which rows of the program table run on this kernel, and why the others do not. */
#ifndef DIRTYSCOPE_AGENT_KERNEL_CHOICE_H
#define DIRTYSCOPE_AGENT_KERNEL_CHOICE_H

#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "agent/kernel/programs.h"
#include "agent/snapshot/snapshot.h"

#define MAX_PROGRAMS 96

/* What --sensors.tier says. */
enum sensors_tier {
	TIER_AUTO,   /* tracepoints, and functions where they show more */
	TIER_BASE,   /* tracepoints only */
	TIER_FENTRY, /* functions wherever there is one that does the same as a tracepoint */
};
/* -EINVAL when the name is none of auto, base, fentry. */
int sensors_tier__parse(const char *name, enum sensors_tier *tier);

struct program {
	const struct program_row *row;
	struct bpf_program *handle; /* NULL: not loaded */
	struct bpf_link *link;
	enum program_state state;
	bool can_run;
	bool absent;	 /* the kernel was asked, and has no such function */
	char target[64]; /* function that it is put on; "" for tracepoints */
	char hook[96];	 /* as shown: "fexit:dma_alloc_attrs" */
	char reason[160];
};

struct program_set {
	struct program programs[MAX_PROGRAMS];
	size_t count;
};

/*
 * Fills in the set from the table. kernel: the kernel's own BTF. refused: why the kernel takes no
 * trampoline at all; NULL when it does.
 */
void program_set__choose(struct program_set *set, struct btf *kernel, enum sensors_tier tier,
			 const char *refused);
/* NULL when there is none of that name. */
struct program *program_set__find(struct program_set *set, const char *name);
/* Whether that program was chosen. */
bool program_set__active(const struct program_set *set, const char *name);

#endif
