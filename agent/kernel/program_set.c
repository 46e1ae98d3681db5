/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/kernel/program_set.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const struct hook_kind hook_kinds[] = {
	{"tp_btf:", "tp_btf+", BPF_PROG_TYPE_TRACING, BPF_TRACE_RAW_TP, 0, false, true},
	{"fentry:", "fentry+", BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY, 0, true, true},
	{"fexit:", "fexit+", BPF_PROG_TYPE_TRACING, BPF_TRACE_FEXIT, 0, true, true},
	/* The kernel takes programs of this type only as ones that may sleep. */
	{"syscall:", "syscall", BPF_PROG_TYPE_SYSCALL, 0, BPF_F_SLEEPABLE, false, false},
	{"iter:", "iter+", BPF_PROG_TYPE_TRACING, BPF_TRACE_ITER, 0, false, false},
	{0},
};

void program_code__free(struct program_code *code)
{
	if (!code)
		return;
	free(code->insns);
	free((void *)code->options.func_info);
	free((void *)code->options.line_info);
	free(code);
}

void program__refuse(struct program *program, const char *format, ...)
{
	va_list args;

	program->can_run = false;
	program->refused = true;
	va_start(args, format);
	vsnprintf(program->why, sizeof(program->why), format, args);
	va_end(args);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void program_set__close(struct program_set *set)
{
	for (size_t i = 0; i < set->count; i++) {
		struct program *program = &set->programs[i];

		close_fd(&program->link_fd);
		close_fd(&program->fd);
		close_fd(&program->module_btf_fd);
		program_code__free(program->code);
		program->code = NULL;
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
