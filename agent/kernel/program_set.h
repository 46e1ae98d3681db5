/* SPDX-License-Identifier: BSD-2-Clause */
/* The programs of the table, as they stand on this kernel: chosen, loaded, attached, or why not. */
#ifndef DIRTYSCOPE_AGENT_KERNEL_PROGRAM_SET_H
#define DIRTYSCOPE_AGENT_KERNEL_PROGRAM_SET_H

#include <bpf/bpf.h>
#include <stddef.h>

#include "agent/kernel/programs.h"
#include "agent/snapshot/snapshot.h"

#define MAX_PROGRAMS 96

/* What --sensors.tier says. */
enum sensors_tier {
	TIER_AUTO,   /* tracepoints, and functions where they show more */
	TIER_BASE,   /* tracepoints only */
	TIER_FENTRY, /* functions wherever there is one that does the same as a tracepoint */
};

/*
 * A program's instructions with everything put in that depends on the kernel: the places of
 * fields, maps, functions. A field that this kernel's BTF does not have has become an instruction
 * that no kernel takes; agent/kernel/load_error.h tells which it is.
 */
struct program_code {
	struct bpf_insn *insns;
	size_t count;
	struct bpf_prog_load_opts options; /* its func_info and line_info belong to the code */
};
void program_code__free(struct program_code *code);

/* How a program is loaded and put on its hook. */
struct hook_kind {
	const char *prefix;  /* of a row's hook: "fexit:" */
	const char *section; /* of its programs in the object, as libbpf matches them */
	enum bpf_prog_type type;
	enum bpf_attach_type attach;
	uint32_t flags;	  /* BPF_F_* of its load */
	bool on_function; /* needs trampolines */
	bool attached;	  /* false: the agent itself runs it */
};
/* Ends with a NULL prefix. */
extern const struct hook_kind hook_kinds[];

struct program {
	const struct program_row *row;
	const struct hook_kind *kind;
	enum program_state state;
	bool can_run;
	bool absent;		   /* the kernel was asked, and has no such function */
	bool refused;		   /* the kernel has its hook, and did not take the program */
	uint32_t btf_id;	   /* of the hook; 0: it has none */
	int module_btf_fd;	   /* of the module that has the hook; -1: the kernel */
	char target[64];	   /* function that it is put on; "" for tracepoints */
	char hook[96];		   /* as shown: "fexit:dma_alloc_attrs" */
	char why[192];		   /* it cannot run; "" when it can */
	char reason[192];	   /* of its state, "" when active */
	struct program_code *code; /* NULL: none, or no longer */
	int fd, link_fd;	   /* -1: not loaded, not attached */
};

struct program_set {
	struct program programs[MAX_PROGRAMS];
	size_t count;
	enum sensors_tier tier;
};

/* Notes that the kernel did not take it, and why; choosing again has to follow. */
void program__refuse(struct program *program, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Closes what the programs hold; those attached are detached. */
void program_set__close(struct program_set *set);
/* NULL when there is none of that name. */
struct program *program_set__find(struct program_set *set, const char *name);
/* Whether that program was chosen. */
bool program_set__active(const struct program_set *set, const char *name);

#endif
