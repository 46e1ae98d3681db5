/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/kernel/choice.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/errno_text.h"

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

static const struct hook_kind *kind_of(const struct program_row *row)
{
	const struct hook_kind *kind = hook_kinds;

	while (kind->prefix && strncmp(row->hook, kind->prefix, strlen(kind->prefix)) != 0)
		kind++;
	return kind;
}

/* ---- probing ---- */

/* What a program needs that is on no function: one type, by which the kernel's BTF shows it. */
static void probe_type(struct program *program, const struct btf *btf, const char *prefix,
		       uint32_t kind, const char *what)
{
	const char *hook = after_colon(program->row->hook);
	char name[128];
	int id;

	snprintf(name, sizeof(name), "%s%s", prefix, hook);
	id = btf__find_by_name_kind(btf, name, kind);
	program->can_run = id > 0;
	if (id > 0)
		program->btf_id = (uint32_t)id;
	else
		snprintf(program->why, sizeof(program->why), "this kernel has no %s %s", what,
			 hook);
}

/* The descriptor of a loaded module's BTF, which the caller closes, or a negative errno. */
static int open_module_btf(const char *module)
{
	uint32_t id = 0;
	int err;

	for (err = bpf_btf_get_next_id(id, &id); !err; err = bpf_btf_get_next_id(id, &id)) {
		char name[64] = "";
		struct bpf_btf_info info = {.name = (uintptr_t)name, .name_len = sizeof(name)};
		uint32_t size = sizeof(info);
		int fd = bpf_btf_get_fd_by_id(id);

		if (fd < 0)
			continue;
		if (!bpf_obj_get_info_by_fd(fd, &info, &size) && info.kernel_btf &&
		    strcmp(name, module) == 0)
			return fd;
		close(fd);
	}
	return err;
}

/* Id of a function in the BTF of a loaded module; -ENOENT when there is none. */
static int find_in_module(struct btf *kernel, const char *module, const char *name)
{
	char path[96];
	struct btf *split;
	int id;

	snprintf(path, sizeof(path), "/sys/kernel/btf/%s", module);
	if (access(path, R_OK))
		return -ENOENT;
	split = btf__load_module_btf(module, kernel);
	if (!split)
		return -ENOENT;
	id = btf__find_by_name_kind(split, name, BTF_KIND_FUNC);
	btf__free(split);
	return id > 0 ? id : -ENOENT;
}

/* Id of a function of the kernel or else of that module, which is then opened; -ENOENT, -EPERM. */
static int find_function(struct program *program, struct btf *kernel, const char *name)
{
	const char *module = program->row->module;
	int id = btf__find_by_name_kind(kernel, name, BTF_KIND_FUNC), fd;

	if (id > 0 || !module)
		return id > 0 ? id : -ENOENT;
	id = find_in_module(kernel, module, name);
	if (id < 0)
		return id;
	fd = open_module_btf(module);
	if (fd < 0)
		return fd;
	program->module_btf_fd = fd;
	return id;
}

/* Takes the first of "old|new" that exists. */
static void probe_function(struct program *program, struct btf *kernel)
{
	const char *hook = after_colon(program->row->hook);
	char names[96], *name, *rest;
	int id = -ENOENT;

	snprintf(names, sizeof(names), "%s", hook);
	for (name = strtok_r(names, "|", &rest); name && id == -ENOENT;
	     name = strtok_r(NULL, "|", &rest)) {
		id = find_function(program, kernel, name);
		if (id > 0)
			snprintf(program->target, sizeof(program->target), "%s", name);
	}
	program->can_run = id > 0;
	program->absent = id == -ENOENT;
	if (id > 0)
		program->btf_id = (uint32_t)id;
	else if (program->absent)
		snprintf(program->why, sizeof(program->why), "this kernel has no function %.*s",
			 (int)strcspn(hook, "|"), hook);
	else
		snprintf(program->why, sizeof(program->why),
			 "the kernel does not give the BTF of module %s: %s", program->row->module,
			 errno_text(id).text);
}

static void probe(struct program *program, struct btf *kernel, enum sensors_tier tier,
		  const char *no_functions)
{
	const char *hook = after_colon(program->row->hook);

	if (program->kind->type == BPF_PROG_TYPE_SYSCALL)
		program->can_run = true;
	else if (program->kind->attach == BPF_TRACE_ITER)
		probe_type(program, kernel, "bpf_iter_", BTF_KIND_FUNC, "iterator");
	else if (!program->kind->on_function)
		probe_type(program, kernel, "btf_trace_", BTF_KIND_TYPEDEF, "tracepoint");
	else if (tier == TIER_BASE)
		snprintf(program->why, sizeof(program->why), "left out by --sensors.tier base");
	else if (no_functions)
		snprintf(program->why, sizeof(program->why), "%s", no_functions);
	else
		probe_function(program, kernel);
	snprintf(program->hook, sizeof(program->hook), "%.*s%s", (int)(hook - program->row->hook),
		 program->row->hook, *program->target ? program->target : hook);
}

/* ---- choosing ---- */

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
static const struct program *better(struct program_set *set, const struct program *program)
{
	const struct program *other = NULL;

	if (set->tier == TIER_FENTRY && program->row->twin) {
		other = program_set__find(set, program->row->twin);
		if (other && other->can_run)
			return other;
	}
	other = runnable(set, program->row->yields_to);
	/* Two that yield to each other would both stay off. */
	if (other && set->tier == TIER_FENTRY && program->can_run && other->row->twin &&
	    strcmp(other->row->twin, program->row->name) == 0)
		return NULL;
	if (!other && !program->can_run)
		other = runnable(set, program->row->stand_in);
	return other;
}

static void choose(struct program_set *set, struct program *program)
{
	const struct program *other = better(set, program);

	snprintf(program->reason, sizeof(program->reason), "%s", program->why);
	if (program->refused) {
		/* It should run here: that it does not is told, whoever stands in. */
		program->state = PROGRAM_UNAVAILABLE;
	} else if (other) {
		program->state = PROGRAM_REPLACED;
		snprintf(program->reason, sizeof(program->reason),
			 "%s does its work on this kernel", other->row->name);
	} else {
		program->state = program->can_run ? PROGRAM_ACTIVE : PROGRAM_UNAVAILABLE;
	}
}

void program_set__choose_again(struct program_set *set)
{
	for (size_t i = 0; i < set->count; i++)
		choose(set, &set->programs[i]);
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

void program_set__choose(struct program_set *set, struct btf *kernel, enum sensors_tier tier,
			 const char *no_functions)
{
	memset(set, 0, sizeof(*set));
	set->tier = tier;
	for (const struct program_row *row = program_table; row->name; row++) {
		struct program *program = &set->programs[set->count++];

		program->row = row;
		program->kind = kind_of(row);
		program->fd = program->link_fd = program->module_btf_fd = -1;
		probe(program, kernel, tier, no_functions);
	}
	program_set__choose_again(set);
}
