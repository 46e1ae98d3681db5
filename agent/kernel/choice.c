/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/kernel/choice.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/kernel/kernel_side.h"

#define TP "tp_btf:"

int sensors_tier__parse(const char *name, enum sensors_tier *tier)
{
	static const char *const names[] = {
		[TIER_AUTO] = "auto", [TIER_BASE] = "base", [TIER_FENTRY] = "fentry"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strcmp(name, names[i]) == 0) {
			*tier = (enum sensors_tier)i;
			return 0;
		}
	return -EINVAL;
}

static const char *after_colon(const char *hook)
{
	const char *colon = strchr(hook, ':');

	return colon ? colon + 1 : hook;
}

static bool is_tracepoint(const struct program_row *row)
{
	return strncmp(row->hook, TP, strlen(TP)) == 0;
}

static bool has_tracepoint(const struct btf *btf, const char *event)
{
	char name[128];

	snprintf(name, sizeof(name), "btf_trace_%s", event);
	return btf__find_by_name_kind(btf, name, BTF_KIND_TYPEDEF) > 0;
}

/* Id of a function in the kernel's BTF, or in a loaded module's; -ENOENT when there is none. */
static int find_function(struct btf *kernel, const char *module, const char *name, bool *in_module)
{
	int id = btf__find_by_name_kind(kernel, name, BTF_KIND_FUNC);
	char path[96];
	struct btf *split;

	*in_module = false;
	if (id > 0 || !module)
		return id > 0 ? id : -ENOENT;
	snprintf(path, sizeof(path), "/sys/kernel/btf/%s", module);
	if (access(path, R_OK))
		return -ENOENT;
	split = btf__load_module_btf(module, kernel);
	if (!split)
		return -ENOENT;
	id = btf__find_by_name_kind(split, name, BTF_KIND_FUNC);
	btf__free(split);
	*in_module = true;
	return id > 0 ? id : -ENOENT;
}

/* Takes the first of "old|new" that exists. */
static int choose_function(struct program *program, struct btf *kernel)
{
	char names[96], *name, *rest;
	int id = -ENOENT, err;
	bool in_module;

	snprintf(names, sizeof(names), "%s", after_colon(program->row->hook));
	for (name = strtok_r(names, "|", &rest); name; name = strtok_r(NULL, "|", &rest)) {
		id = find_function(kernel, program->row->module, name, &in_module);
		if (id > 0)
			break;
	}
	if (id < 0) {
		const char *first = after_colon(program->row->hook);

		program->absent = true;
		snprintf(program->reason, sizeof(program->reason),
			 "this kernel has no function %.*s", (int)strcspn(first, "|"), first);
		return id;
	}
	snprintf(program->target, sizeof(program->target), "%s", name);
	/* One that is in a module is tried when it is loaded, with all the others. */
	err = in_module ? 0 : probe__function(id);
	if (err)
		snprintf(program->reason, sizeof(program->reason),
			 "the kernel refuses to trace %s: %s (%s)", name, strerrorname_np(-err),
			 strerror(-err));
	return err;
}

static void probe(struct program *program, struct btf *kernel, enum sensors_tier tier,
		  const char *refused)
{
	const char *hook = after_colon(program->row->hook);

	if (is_tracepoint(program->row)) {
		program->can_run = has_tracepoint(kernel, hook);
		if (!program->can_run)
			snprintf(program->reason, sizeof(program->reason),
				 "this kernel has no tracepoint %s", hook);
	} else if (tier == TIER_BASE) {
		snprintf(program->reason, sizeof(program->reason),
			 "left out by --sensors.tier base");
	} else if (refused) {
		snprintf(program->reason, sizeof(program->reason), "%s", refused);
	} else {
		program->can_run = !choose_function(program, kernel);
	}
	snprintf(program->hook, sizeof(program->hook), "%.*s%s", (int)(hook - program->row->hook),
		 program->row->hook, *program->target ? program->target : hook);
}

static const struct program *runnable(struct program_set *set, const char *const *names)
{
	for (int i = 0; i < PROGRAM_NAMES && names[i]; i++) {
		struct program *program = program_set__find(set, names[i]);

		if (program && program->can_run)
			return program;
	}
	return NULL;
}

/* The one that takes this one's place; NULL when none does. */
static const struct program *better(struct program_set *set, const struct program *program,
				    enum sensors_tier tier)
{
	const struct program *other = NULL;

	if (tier == TIER_FENTRY && program->row->twin) {
		other = program_set__find(set, program->row->twin);
		if (other && other->can_run)
			return other;
	}
	other = runnable(set, program->row->yields_to);
	/* Not to one that yields to us in turn. */
	if (other && tier == TIER_FENTRY && program->can_run && other->row->twin &&
	    strcmp(other->row->twin, program->row->name) == 0)
		return NULL;
	if (!other && !program->can_run)
		other = runnable(set, program->row->stand_in);
	return other;
}

void program_set__choose(struct program_set *set, struct btf *kernel, enum sensors_tier tier,
			 const char *refused)
{
	memset(set, 0, sizeof(*set));
	for (const struct program_row *row = program_table; row->name; row++) {
		struct program *program = &set->programs[set->count++];

		program->row = row;
		probe(program, kernel, tier, refused);
	}
	for (size_t i = 0; i < set->count; i++) {
		struct program *program = &set->programs[i];
		const struct program *other = better(set, program, tier);

		if (other) {
			program->state = PROGRAM_REPLACED;
			snprintf(program->reason, sizeof(program->reason),
				 "%s does its work on this kernel", other->row->name);
		} else {
			program->state = program->can_run ? PROGRAM_ACTIVE : PROGRAM_UNAVAILABLE;
		}
	}
	for (size_t i = 0; i < set->count; i++) {
		struct program *program = &set->programs[i];

		if (program->row->with && program->state == PROGRAM_ACTIVE &&
		    !program_set__active(set, program->row->with)) {
			program->state = PROGRAM_UNAVAILABLE;
			snprintf(program->reason, sizeof(program->reason),
				 "serves only %s, which does not run here", program->row->with);
		}
	}
}

struct program *program_set__find(struct program_set *set, const char *name)
{
	for (size_t i = 0; i < set->count; i++)
		if (strcmp(set->programs[i].row->name, name) == 0)
			return &set->programs[i];
	return NULL;
}

bool program_set__active(const struct program_set *set, const char *name)
{
	for (size_t i = 0; i < set->count; i++)
		if (strcmp(set->programs[i].row->name, name) == 0)
			return set->programs[i].state == PROGRAM_ACTIVE;
	return false;
}
