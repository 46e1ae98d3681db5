/* SPDX-License-Identifier: BSD-2-Clause */
/* Why the kernel did not take a program, in words: the field that it lacks, or what it says. */
#ifndef DIRTYSCOPE_AGENT_KERNEL_LOAD_ERROR_H
#define DIRTYSCOPE_AGENT_KERNEL_LOAD_ERROR_H

#include <bpf/btf.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/reason.h"
#include "agent/kernel/object.h"

/* The call that libbpf puts in place of an instruction whose field this kernel's BTF does not have
 * (src/relo_core.c, bpf_core_poison_insn()). */
#define UNRESOLVED_CALL 195896080

struct load_error {
	const struct object_bytes *object;
	const struct btf *btf; /* the object's */
	const struct program_code *code;
	int error;	 /* of the load, negative errno */
	const char *log; /* the verifier's, "" when there is none */
};

/* "this kernel has no bvec_iter.bi_bvec_done"; never "". */
void load_error__explain(const struct load_error *load_error, struct reason *reason);

/* ---- pieces, for the tests ---- */

/* The instruction at which the verifier met UNRESOLVED_CALL; -ENOENT when it met none. */
int load_error__unresolved_at(const char *log);
/*
 * Names what the relocation of that instruction asks for: "bvec_iter.bi_bvec_done", "struct bio".
 * -ENOENT when the object has none there.
 */
int load_error__name_relocation(const struct load_error *load_error, uint32_t instruction,
				char *name, size_t size);

#endif
