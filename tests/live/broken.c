/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Loads and attaches the agent's BPF object, one program of which was broken on purpose, and prints
 * as JSON what became of each program: broken [HOW PROGRAM]
 *
 *   refuse  its first instruction reads beyond the stack, which no kernel takes
 *   field   the fields that it reads itself are of a structure that no kernel has
 *   slow    it begins with a loop that takes the verifier as long as it may take
 *   cancel  as slow, and the load is cancelled a moment after that program's turn came
 *
 * broken attach has a kernel that takes programs on functions and refuses to attach them, with an
 * errno that has no name in C. broken calibrate finds the kernel's bases by pagemap and by page
 * table, and says whether they are the same.
 */
#include <bpf/btf.h>
#include <errno.h>
#include <gelf.h>
#include <jansson.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/start_thread.h"
#include "agent/host/procfs.h"
#include "agent/kernel/calibrate.h"
#include "agent/kernel/kernel_side.h"
#include "agent/kernel/object.h"
#include "agent/kernel/probe.h"
#include "agent/option_table.h"

#define FOREIGN_TYPE "ds_process_key" /* ours: no kernel has it */
#define LIST_END 1000		      /* no object has so many sections */

struct object {
	char *data;
	size_t size;
	Elf *elf;
	struct btf *btf;
	GElf_Shdr sections[LIST_END];
	const char *names[LIST_END];
	size_t count;
};

/* The function of that name: its section, and the bytes of it there. */
struct function {
	size_t section;
	uint64_t start, end;
};

static const GElf_Shdr *find_section(const struct object *object, const char *name)
{
	for (size_t i = 1; i < object->count; i++)
		if (strcmp(object->names[i], name) == 0)
			return &object->sections[i];
	return NULL;
}

static int open_object(struct object *object)
{
	struct object_bytes bytes = object_bytes__built_in();
	Elf_Scn *section = NULL;
	const GElf_Shdr *btf;
	size_t strings;

	object->size = bytes.size;
	object->data = malloc(bytes.size);
	if (!object->data)
		return -ENOMEM;
	memcpy(object->data, bytes.data, bytes.size);
	elf_version(EV_CURRENT);
	object->elf = elf_memory((char *)bytes.data, bytes.size);
	if (!object->elf || elf_getshdrstrndx(object->elf, &strings))
		return -EINVAL;
	object->count = 1;
	while ((section = elf_nextscn(object->elf, section)) && object->count < LIST_END) {
		GElf_Shdr *header = &object->sections[object->count];

		if (!gelf_getshdr(section, header))
			return -EINVAL;
		object->names[object->count++] = elf_strptr(object->elf, strings, header->sh_name);
	}
	btf = find_section(object, ".BTF");
	object->btf = btf ? btf__new(object->data + btf->sh_offset, btf->sh_size) : NULL;
	return object->btf ? 0 : -EINVAL;
}

static int find_function(const struct object *object, const char *name, struct function *function)
{
	const GElf_Shdr *header = find_section(object, ".symtab");
	const Elf64_Sym *symbols = (void *)(object->data + (header ? header->sh_offset : 0));
	const char *strings;

	if (!header)
		return -ENOENT;
	strings = object->data + object->sections[header->sh_link].sh_offset;
	for (size_t i = 0; i < header->sh_size / sizeof(*symbols); i++) {
		if (ELF64_ST_TYPE(symbols[i].st_info) != STT_FUNC ||
		    strcmp(strings + symbols[i].st_name, name) != 0)
			continue;
		*function = (struct function){symbols[i].st_shndx, symbols[i].st_value,
					      symbols[i].st_value + symbols[i].st_size};
		return 0;
	}
	return -ENOENT;
}

/* ---- .BTF.ext: Documentation/bpf/btf.rst ---- */

typedef int (*each_relocation)(struct object *object, struct bpf_core_relo *relocation,
			       void *context);

/* Calls each for the field relocations within a function; returns how often it said 1. */
static int for_relocations(struct object *object, const struct function *function,
			   each_relocation each, void *context)
{
	const GElf_Shdr *header = find_section(object, ".BTF.ext");
	char *ext = object->data + header->sh_offset, *at, *end;
	uint32_t header_size, offset, size, record, name, count;
	int sum = 0;

	memcpy(&header_size, ext + 4, 4);
	memcpy(&offset, ext + 24, 4);
	memcpy(&size, ext + 28, 4);
	at = ext + header_size + offset;
	end = at + size;
	memcpy(&record, at, 4);
	for (at += 4; at < end; at += (size_t)count * record) {
		memcpy(&name, at, 4);
		memcpy(&count, at + 4, 4);
		at += 8;
		for (uint32_t i = 0; i < count; i++) {
			struct bpf_core_relo *relocation = (void *)(at + (size_t)i * record);

			if (strcmp(btf__name_by_offset(object->btf, name),
				   object->names[function->section]) == 0 &&
			    relocation->insn_off >= function->start &&
			    relocation->insn_off < function->end)
				sum += each(object, relocation, context);
		}
	}
	return sum;
}

static int is_field(struct object *object, struct bpf_core_relo *relocation, void *context)
{
	return relocation->kind == BPF_CORE_FIELD_BYTE_OFFSET;
}

static int is_here(struct object *object, struct bpf_core_relo *relocation, void *context)
{
	return relocation->insn_off == *(uint64_t *)context;
}

struct foreign {
	uint32_t type, access;
};

static int make_foreign(struct object *object, struct bpf_core_relo *relocation, void *context)
{
	const struct foreign *foreign = context;

	if (!is_field(object, relocation, NULL))
		return 0;
	relocation->type_id = foreign->type;
	relocation->access_str_off = foreign->access;
	return 1;
}

static int break_fields(struct object *object, const struct function *function)
{
	int type = btf__find_by_name_kind(object->btf, FOREIGN_TYPE, BTF_KIND_STRUCT);
	int access = btf__find_str(object->btf, "0:0");
	struct foreign foreign = {(uint32_t)type, (uint32_t)access};

	if (type < 0 || access < 0)
		return -ENOENT;
	return for_relocations(object, function, make_foreign, &foreign) ? 0 : -ENODATA;
}

/* ---- instructions ---- */

/* Whether something else will be put into that instruction when it is loaded. */
static bool is_relocated(struct object *object, const struct function *function, uint64_t offset)
{
	for (size_t i = 1; i < object->count; i++) {
		const GElf_Shdr *header = &object->sections[i];
		const Elf64_Rel *rows = (void *)(object->data + header->sh_offset);

		if (header->sh_type != SHT_REL || header->sh_info != function->section)
			continue;
		for (size_t row = 0; row < header->sh_size / sizeof(*rows); row++)
			if (rows[row].r_offset == offset)
				return true;
	}
	return for_relocations(object, function, is_here, &offset);
}

/* Over the first instructions that nothing is put into. */
static int overwrite(struct object *object, const struct function *function,
		     const struct bpf_insn *insns, size_t count)
{
	char *code = object->data + object->sections[function->section].sh_offset;
	uint64_t bytes = count * sizeof(*insns), start = function->start;

	for (uint64_t at = start; at < start + bytes; at += sizeof(*insns))
		if (is_relocated(object, function, at))
			start = at + sizeof(*insns);
	if (start + bytes >= function->end)
		return -ENODATA;
	memcpy(code + start, insns, bytes);
	return 0;
}

static int break_program(struct object *object, const char *how, const char *name)
{
	const struct bpf_insn beyond = {.code = BPF_LDX | BPF_MEM | BPF_DW,
					.dst_reg = BPF_REG_0,
					.src_reg = BPF_REG_10,
					.off = 8};
	const struct bpf_insn loop[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
		{.code = BPF_ALU64 | BPF_ADD, .dst_reg = BPF_REG_0, .imm = 1},
		{.code = BPF_JMP | BPF_JLT | BPF_K,
		 .dst_reg = BPF_REG_0,
		 .off = -2,
		 .imm = 1 << 30},
	};
	struct function function;
	int err = find_function(object, name, &function);

	if (err)
		return err;
	if (strcmp(how, "field") == 0)
		return break_fields(object, &function);
	if (strcmp(how, "refuse") == 0)
		return overwrite(object, &function, &beyond, 1);
	return overwrite(object, &function, loop, 3);
}

/* ---- what became of it ---- */

static void print_sensor(struct object *object, json_t *programs,
			 const struct snapshot_sensor *sensor)
{
	static const char *const states[] = {"active", "replaced", "unavailable"};

	for (size_t i = 0; i < sensor->program_count; i++) {
		const struct snapshot_program *program = &sensor->programs[i];
		struct function function;
		int fields = 0;

		if (!find_function(object, program->name, &function))
			fields = for_relocations(object, &function, is_field, NULL);
		json_object_set_new(programs, program->name,
				    json_pack("{s:s, s:s, s:s, s:i, s:s}", "sensor",
					      ds_sensor_names[sensor->id], "state",
					      states[program->state], "reason", program->reason,
					      "fields", fields, "sensor_reason", sensor->reason));
	}
}

static int print_programs(struct object *object, struct kernel_side *kernel)
{
	struct snapshot *snapshot = snapshot__new();
	json_t *programs = json_object();
	int err = snapshot ? kernel_side__sample(kernel, snapshot) : -ENOMEM;

	for (int id = 0; id < DS_SENSOR_COUNT && !err; id++)
		print_sensor(object, programs, &snapshot->sensors[id]);
	if (!err)
		json_dumpf(programs, stdout, 0);
	json_decref(programs);
	if (snapshot)
		snapshot__put(snapshot);
	return err;
}

struct load {
	struct kernel_options options;
	struct kernel_side *kernel;
	struct kernel_error error;
	bool links_refused;
};

static int run_load(void *context)
{
	struct load *load = context;

	return kernel_side__new(&load->options, &load->kernel, &load->error);
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Cancels the load while its first program, a slow one, is being verified. */
static int cancel(struct load *load)
{
	struct start_thread *thread;
	char step[128] = "";
	double begin;
	int err;

	load->options.startup = startup__new();
	if (!load->options.startup)
		return -ENOMEM;
	err = start_thread__new(run_load, load, load->options.startup, &thread);
	if (err)
		return err;
	while (!strstr(step, "loading programs, 0 of ")) {
		usleep(1000);
		startup__text(load->options.startup, step, sizeof(step));
	}
	usleep(50000);
	begin = seconds();
	if (start_thread__cancel(thread, 60000))
		return -ETIMEDOUT;
	err = start_thread__join(thread);
	printf("{\"cancelled\": %s, \"seconds\": %.3f}\n", err == -ECANCELED ? "true" : "false",
	       seconds() - begin);
	startup__free(load->options.startup);
	return 0;
}

/* From here on bpf(BPF_LINK_CREATE), which is for programs on functions, gives ENOTSUPP. */
static int refuse_links(void)
{
	enum { ENOTSUPP = 524 };
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_bpf, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, BPF_LINK_CREATE, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOTSUPP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		return -errno;
	return 0;
}

static int load(struct object *object, struct load *load)
{
	double begin = seconds();
	int err = run_load(load);

	fprintf(stderr, "loaded in %.3f s\n", seconds() - begin);
	if (!err && load->links_refused)
		err = refuse_links();
	if (!err)
		err = kernel_side__attach(load->kernel, &load->error);
	if (!err)
		err = print_programs(object, load->kernel);
	return err;
}

static int compare_calibrations(void)
{
	struct calibration_options options = {.procfs = "/proc"};
	struct calibration one, other;
	struct kernel_error error = {""};
	int err = procfs__memory_span("/proc", &options.memory_pages);

	if (!err)
		err = calibrate(&options, &one, &error);
	options.page_table_only = true;
	if (!err)
		err = calibrate(&options, &other, &error);
	if (err) {
		fprintf(stderr, "broken: %s %s\n", error.message, strerror(-err));
		return 1;
	}
	printf("{\"same\": %s, \"pagemap\": %s, \"page_table\": %s, \"candidates\": %u}\n",
	       one.vmemmap_base == other.vmemmap_base && one.page_offset == other.page_offset
		       ? "true"
		       : "false",
	       one.source == CALIBRATION_PAGEMAP ? "true" : "false",
	       other.source == CALIBRATION_PAGE_TABLE ? "true" : "false", other.tries);
	return 0;
}

int main(int argc, char **argv)
{
	static struct object object;
	struct agent_config config;
	struct object_bytes bytes;
	struct load loading = {.options = {.config = &config, .object = &bytes}};
	int err;

	if (argc == 2 && strcmp(argv[1], "calibrate") == 0)
		return compare_calibrations();
	agent_config__defaults(&config);
	err = open_object(&object);
	if (!err && argc == 3)
		err = break_program(&object, argv[1], argv[2]);
	if (err == -ENODATA)
		return 4; /* that program cannot be broken so */
	bytes = (struct object_bytes){object.data, object.size};
	if (!err && argc == 2 && strcmp(argv[1], "attach") == 0)
		loading.links_refused = true;
	if (!err)
		err = argc == 3 && strcmp(argv[1], "cancel") == 0 ? cancel(&loading)
								  : load(&object, &loading);
	if (err)
		fprintf(stderr, "broken: %s %s\n", loading.error.message, strerror(-err));
	kernel_side__free(loading.kernel);
	btf__free(object.btf);
	elf_end(object.elf);
	free(object.data);
	return err != 0;
}
