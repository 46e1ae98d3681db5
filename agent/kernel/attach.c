/* SPDX-License-Identifier: BSD-2-Clause */
/* Programs onto their hooks. One that cannot be attached is unavailable, and its stand-in takes
 * over. */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "agent/base/errno_text.h"
#include "agent/base/log.h"
#include "agent/base/startup.h"
#include "agent/kernel/bpffs.h"
#include "agent/kernel/kernel_side_private.h"
#include "agent/kernel/object.h"

static int attach(const struct program *program)
{
	int fd = -EINVAL;

	/* For programs on functions since 5.19 (df86ca0d2f0f). */
	if (program->kind->on_function)
		fd = bpf_link_create(program->fd, 0, program->kind->attach, NULL);
	return fd == -EINVAL ? bpf_raw_tracepoint_open(NULL, program->fd) : fd;
}

static void refuse(struct program *program, int err)
{
	close(program->fd);
	program->fd = -1;
	program__refuse(program, "the kernel refused to attach it: %s", errno_text(err).text);
	log_warn("program not attached", "program=%s error=%s", program->row->name,
		 errno_text(err).name);
}

/* Takes off those that another one replaced meanwhile. */
static void detach_others(struct kernel_side *kernel)
{
	struct program_set *set = &kernel->set;

	for (size_t i = 0; i < set->count; i++) {
		struct program *program = &set->programs[i];

		if (program->state == PROGRAM_ACTIVE)
			continue;
		if (program->link_fd >= 0) {
			bpffs__unpin(&kernel->bpffs, program->row->name);
			close(program->link_fd);
		}
		if (program->fd >= 0)
			close(program->fd);
		program->link_fd = program->fd = -1;
	}
}

/* Nobody has to wait for the end of a pinned link: agent/kernel/bpffs.h. */
static void pin(const struct kernel_side *kernel, const struct program *program)
{
	int err = bpffs__pin(&kernel->bpffs, program->link_fd, program->row->name);

	if (err && kernel->bpffs.root >= 0)
		log_debug("the end of a program will be waited for", "program=%s error=%s",
			  program->row->name, errno_text(err).name);
}

/*
 * From the last row: what ends something attaches before what begins it, or ends would be missed.
 * Returns the last error.
 */
static int attach_chosen(struct kernel_side *kernel, uint32_t *attached)
{
	struct program_set *set = &kernel->set;
	int last = 0;

	for (size_t i = set->count; i-- > 0;) {
		struct program *program = &set->programs[i];
		int err = 0;

		if (program->state != PROGRAM_ACTIVE || program->link_fd >= 0 ||
		    (program->fd >= 0 && !program->kind->attached))
			continue;
		if (startup__cancelled(kernel->startup))
			return -ECANCELED;
		startup__tell(kernel->startup, "attaching programs", *attached,
			      (uint32_t)set->count);
		if (program->fd < 0)
			err = kernel_side__load_program(kernel, program);
		if (err == -ECANCELED)
			return err;
		if (!err && program->kind->attached) {
			program->link_fd = attach(program);
			err = program->link_fd < 0 ? program->link_fd : 0;
			if (err)
				refuse(program, err);
			else
				(*attached)++;
			if (!err && program->kind->on_function)
				pin(kernel, program);
		}
		if (err)
			last = err;
	}
	return last;
}

static int descriptor_of(struct program_set *set, const char *name)
{
	const struct program *program = program_set__find(set, name);

	return program ? program->fd : -1;
}

int kernel_side__attach(struct kernel_side *kernel, struct kernel_error *error)
{
	uint32_t attached = 0;
	int err, last = 0;

	err = bpffs__open(&kernel->bpffs);
	if (err)
		log_debug("the agent's end will wait until no function is traced any more",
			  "error=%s", errno_text(err).name);
	/* Ends, since each round that fails leaves fewer programs that can run. */
	for (err = attach_chosen(kernel, &attached); err && err != -ECANCELED;
	     err = attach_chosen(kernel, &attached)) {
		last = err;
		program_set__choose_again(&kernel->set);
		detach_others(kernel);
	}
	if (err == -ECANCELED)
		return err;
	for (size_t i = 0; i < kernel->set.count; i++) {
		program_code__free(kernel->set.programs[i].code);
		kernel->set.programs[i].code = NULL;
	}
	kernel->list_fd = descriptor_of(&kernel->set, "ledger_list");
	kernel->pinned_fd = descriptor_of(&kernel->set, "pinned_memory");
	kernel->refresh_fd = descriptor_of(&kernel->set, "refresh_tasks");
	if (attached)
		return 0;
	snprintf(error->message, sizeof(error->message), "no BPF program could be attached: %s",
		 errno_text(last).text);
	return -ENOSYS;
}
