/* SPDX-License-Identifier: BSD-2-Clause */
/* What this host gives to BPF, found out by asking for it. */
#ifndef DIRTYSCOPE_AGENT_KERNEL_PROBE_H
#define DIRTYSCOPE_AGENT_KERNEL_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/kernel/kernel_error.h"

struct btf;
struct reason;

/* Why BPF cannot be used here, or that it can. */
struct host_facts {
	char machine[65], release[65]; /* as uname(2) has them */
	unsigned pointer_bits;	       /* of this build */
	long page_size;		       /* of the kernel, bytes */
	int btf_error;		       /* 0: the kernel's BTF can be read; or errno */
	uint64_t capabilities;	       /* effective; bits 1 << CAP_* */
	bool locked_down;	       /* confidentiality: BPF may not read the kernel's memory */
	/* Whether it has the helper bpf_loop, 5.17; -1: not asked, for want of privilege. */
	int has_loops;
};

void host_facts__read(struct host_facts *facts);
/* 0, or -ENOSYS or -EPERM with the first thing that is missing, and what to do, in *error. */
int host_facts__judge(const struct host_facts *facts, struct kernel_error *error);
/* Whether it holds that capability, or CAP_SYS_ADMIN, which stands for those of BPF. */
bool host_facts__may(const struct host_facts *facts, int capability);

/*
 * Whether the kernel takes programs on functions, and calls them: one is put on a function that
 * only bpf_prog_test_run calls, and run. 0, or a negative errno with *why.
 */
int probe__functions(const struct btf *kernel, struct reason *why);

#endif
