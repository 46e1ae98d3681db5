/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of BPF programs: what each needs, and what takes its place. */
#ifndef DIRTYSCOPE_AGENT_KERNEL_PROGRAMS_H
#define DIRTYSCOPE_AGENT_KERNEL_PROGRAMS_H

#include <stdbool.h>

#include "bpf/dirtyscope.h"

#define PROGRAM_NAMES 3

struct program_row {
	const char *name; /* of the BPF program */
	enum ds_sensor sensor;
	/*
	 * "tp_btf:EVENT" runs where BTF has btf_trace_EVENT; "fexit:FUNCTION" and "fentry:FUNCTION"
	 * where BTF has the function and the kernel takes a trampoline for it. Functions that were
	 * renamed are given with both names, "fexit:old|new"; the first that exists is taken.
	 * "syscall:NAME" and "iter:WHAT" are on no hook: the agent runs them, to be told what only
	 * BPF can read.
	 */
	const char *hook;
	const char *module; /* whose BTF to look at, too; NULL: the kernel's alone */
	/* Where one of these programs can run, it does this one's work, and better. */
	const char *yields_to[PROGRAM_NAMES];
	/* Where this one cannot run but one of these can, nothing is missing. */
	const char *stand_in[PROGRAM_NAMES];
	/* Does the same; takes over when --sensors.tier fentry asks for trampolines. */
	const char *twin;
	const char *with; /* serves only that program */
	bool optional;	  /* its absence leaves the sensor whole, if less precise */
};

/* Ends with a NULL name. */
extern const struct program_row program_table[];
/* NULL when there is none of that name. */
const struct program_row *program__find(const char *name);

struct sensor_row {
	const char *yields; /* what it counts */
	const char *blind;  /* what its base cannot see */
	const char *better; /* a program with which that changes; NULL: none */
	const char *blind_then;
	const char *gain; /* what that program adds */
};
extern const struct sensor_row sensor_table[DS_SENSOR_COUNT];

#endif
