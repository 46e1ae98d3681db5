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
	struct program_code *code; /* agent/kernel/object.h; NULL: none, or no longer */
	int fd, link_fd;	   /* -1: not loaded, not attached */
};

struct program_set {
	struct program programs[MAX_PROGRAMS];
	size_t count;
	enum sensors_tier tier;
};

/*
 * Fills in the set from the table. kernel: the kernel's own BTF. no_functions: why the kernel
 * takes no trampoline at all; NULL when it does.
 */
void program_set__choose(struct program_set *set, struct btf *kernel, enum sensors_tier tier,
			 const char *no_functions);
/* Chooses again among what can run, after a program could not. */
void program_set__choose_again(struct program_set *set);
/* Notes that the kernel did not take it, and why; program_set__choose_again has to follow. */
void program__refuse(struct program *program, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Closes what the programs hold; those attached are detached. */
void program_set__close(struct program_set *set);
/* NULL when there is none of that name. */
struct program *program_set__find(struct program_set *set, const char *name);
/* Whether that program was chosen. */
bool program_set__active(const struct program_set *set, const char *name);

#endif
