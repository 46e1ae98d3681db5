/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/kernel/object.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/startup.h"
#include "dirtyscope.skel.h"

struct object_bytes object_bytes__built_in(void)
{
	struct object_bytes bytes;

	bytes.data = dirtyscope__elf_bytes(&bytes.size);
	return bytes;
}

static int copy(const void **pointer, size_t count, size_t size)
{
	void *own;

	if (!count) {
		*pointer = NULL;
		return 0;
	}
	own = calloc(count, size);
	if (own)
		memcpy(own, *pointer, count * size);
	*pointer = own;
	return own ? 0 : -ENOMEM;
}

static struct program_code *copy_code(const struct bpf_program *handle,
				      const struct bpf_prog_load_opts *options)
{
	struct program_code *code = calloc(1, sizeof(*code));
	const void *insns = bpf_program__insns(handle);
	int err;

	if (!code)
		return NULL;
	code->count = bpf_program__insn_cnt(handle);
	code->options = *options;
	code->options.fd_array = NULL; /* of modules' functions, which no program calls */
	err = copy(&code->options.func_info, options->func_info_cnt, options->func_info_rec_size);
	if (copy(&code->options.line_info, options->line_info_cnt, options->line_info_rec_size))
		err = -ENOMEM;
	if (copy(&insns, code->count, sizeof(struct bpf_insn)))
		err = -ENOMEM;
	code->insns = (struct bpf_insn *)insns;
	if (!err)
		return code;
	program_code__free(code);
	return NULL;
}

/* Called by libbpf for a program that is ready for the kernel; what it then loads does nothing. */
static int take_code(struct bpf_program *handle, struct bpf_prog_load_opts *options, long cookie)
{
	struct bpf_insn nothing[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	struct object_handlers *handlers = (struct object_handlers *)cookie;
	struct program *program = program_set__find(handlers->set, bpf_program__name(handle));

	if (startup__cancelled(handlers->startup))
		return -ECANCELED;
	if (!program)
		return -ENOENT;
	program_code__free(program->code);
	program->code = copy_code(handle, options);
	if (!program->code)
		return -ENOMEM;
	if (program->kind->type == BPF_PROG_TYPE_TRACING) {
		options->expected_attach_type = BPF_TRACE_RAW_TP;
		options->attach_btf_id = handlers->known_btf_id;
		options->attach_btf_obj_fd = 0;
	}
	options->prog_flags |= program->kind->flags;
	options->prog_btf_fd = options->func_info_cnt = options->line_info_cnt = 0;
	return bpf_program__set_insns(handle, nothing, sizeof(nothing) / sizeof(nothing[0]));
}

int object_handlers__add(struct object_handlers *handlers, struct program_set *set,
			 struct startup *startup)
{
	LIBBPF_OPTS(libbpf_prog_handler_opts, options, .cookie = (long)handlers,
		    .prog_prepare_load_fn = take_code);

	memset(handlers, 0, sizeof(*handlers));
	handlers->set = set;
	handlers->startup = startup;
	for (size_t i = 0; i < set->count && !handlers->known_btf_id; i++)
		if (set->programs[i].can_run && set->programs[i].kind->attach == BPF_TRACE_RAW_TP)
			handlers->known_btf_id = set->programs[i].btf_id;
	for (const struct hook_kind *kind = hook_kinds; kind->prefix; kind++) {
		int id = libbpf_register_prog_handler(kind->section, kind->type, kind->attach,
						      &options);

		if (id < 0) {
			object_handlers__remove(handlers);
			return id;
		}
		handlers->ids[handlers->count++] = id;
	}
	return 0;
}

void object_handlers__remove(struct object_handlers *handlers)
{
	while (handlers->count)
		(void)libbpf_unregister_prog_handler(handlers->ids[--handlers->count]);
}

int object__open(const struct object_bytes *bytes, struct dirtyscope **out)
{
	struct dirtyscope *skeleton = calloc(1, sizeof(*skeleton));
	int err = skeleton ? dirtyscope__create_skeleton(skeleton) : -ENOMEM;

	*out = NULL;
	if (!err) {
		skeleton->skeleton->data = bytes->data;
		skeleton->skeleton->data_sz = bytes->size;
		err = bpf_object__open_skeleton(skeleton->skeleton, NULL);
	}
	if (err)
		dirtyscope__destroy(skeleton);
	else
		*out = skeleton;
	return err;
}

int object__load(struct dirtyscope *skeleton)
{
	struct bpf_program *handle;
	int err = dirtyscope__load(skeleton);

	if (err)
		return err;
	bpf_object__for_each_program(handle, skeleton->obj) bpf_program__unload(handle);
	return 0;
}
