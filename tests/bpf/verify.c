/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Has the running kernel verify the programs of an object, and tells what that took:
 * verify OBJECT [PROGRAM...]. A line per program, its fields separated by tabs:
 *
 *   NAME  COUNT                instructions that the verifier looked at
 *   NAME  absent   HOOK        the kernel has no such tracepoint or function, or forbids it
 *   NAME  refused  WHY         what the kernel, or libbpf, says
 *
 * Each goes by itself where they do not load all at once. The exit status is 1 when one was
 * refused. Nothing attaches.
 */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOG_STATS 4 /* BPF_LOG_STATS, kernel's linux/bpf_verifier.h: no log of each step */
#define LOG_SIZE (1 << 20)
#define MAX_MODULES 512

/* Where a program goes, by its section: "tp_btf/EVENT", "fexit/FUNCTION", "fentry/FUNCTION". */
struct hook {
	const char *prefix;
	const char *btf_prefix;
	int kind;
};
static const struct hook hooks[] = {
	{"tp_btf/", "btf_trace_", BTF_KIND_TYPEDEF},
	{"fexit/", "", BTF_KIND_FUNC},
	{"fentry/", "", BTF_KIND_FUNC},
};

/* What is asked for, and what the kernel can have of it. */
struct verifier {
	const char *path;
	const char *const *wanted; /* names; none: all */
	int wanted_count;
	struct btf *kernel;
	struct btf *modules[MAX_MODULES];
	size_t module_count;
	bool trampolines;
	char *log;
	int refused;
};

static void load_modules(struct verifier *v)
{
	uint32_t id = 0;

	while (v->module_count < MAX_MODULES && !bpf_btf_get_next_id(id, &id)) {
		struct btf *module = btf__load_from_kernel_by_id_split(id, v->kernel);

		if (module)
			v->modules[v->module_count++] = module;
	}
}

/* Among what a module adds to the kernel's types. */
static bool module_has(const struct verifier *v, const struct btf *module, const char *name,
		       int kind)
{
	for (uint32_t id = btf__type_cnt(v->kernel); id < btf__type_cnt(module); id++) {
		const struct btf_type *type = btf__type_by_id(module, id);

		if (btf_kind(type) == kind &&
		    strcmp(btf__name_by_offset(module, type->name_off), name) == 0)
			return true;
	}
	return false;
}

/* In the kernel or in one of the modules that are there. */
static bool kernel_has(const struct verifier *v, const char *name, int kind)
{
	if (btf__find_by_name_kind(v->kernel, name, kind) > 0)
		return true;
	for (size_t i = 0; i < v->module_count; i++)
		if (module_has(v, v->modules[i], name, kind))
			return true;
	return false;
}

/*
 * False: the kernel has nothing for it. A function that was renamed, with two underscores before
 * it (agent/kernel/programs.c has both names), is looked for by that name as well.
 */
static bool aim(const struct verifier *v, struct bpf_program *program)
{
	const char *section = bpf_program__section_name(program);
	char name[128];

	for (size_t i = 0; i < sizeof(hooks) / sizeof(hooks[0]); i++) {
		const struct hook *hook = &hooks[i];
		size_t length = strlen(hook->prefix);

		if (strncmp(section, hook->prefix, length) != 0)
			continue;
		snprintf(name, sizeof(name), "%s%s", hook->btf_prefix, section + length);
		if (kernel_has(v, name, hook->kind))
			return true;
		snprintf(name, sizeof(name), "__%s", section + length);
		return hook->kind == BTF_KIND_FUNC && kernel_has(v, name, hook->kind) &&
		       !bpf_program__set_attach_target(program, 0, name);
	}
	return true;
}

/* The constants that the agent sets before the load: the verifier drops what they rule out. */
static void set_constants(struct bpf_object *object)
{
	const struct {
		const char *name;
		uint64_t value;
	} constants[] = {
		{"ds_nr_cpus", (uint64_t)libbpf_num_possible_cpus()},
		{"ds_ledger", 1},
		{"ds_vmemmap_base", 0xffffea0000000000},
		{"ds_page_offset", 0xffff888000000000},
		{"ds_entry_mask", 0x00003ffffffff000},
	};
	struct bpf_map *map = bpf_object__find_map_by_name(object, ".rodata");
	const struct btf *btf = bpf_object__btf(object);
	int id = btf__find_by_name_kind(btf, ".rodata", BTF_KIND_DATASEC);
	const struct btf_type *section = id < 0 ? NULL : btf__type_by_id(btf, id);
	size_t size = 0;
	unsigned char *data = map ? (unsigned char *)bpf_map__initial_value(map, &size) : NULL;

	for (int i = 0; data && section && i < btf_vlen(section); i++) {
		const struct btf_var_secinfo *info = btf_var_secinfos(section) + i;
		const struct btf_type *type = btf__type_by_id(btf, info->type);
		const char *name = btf__name_by_offset(btf, type->name_off);

		for (size_t j = 0; j < sizeof(constants) / sizeof(constants[0]); j++)
			if (strcmp(name, constants[j].name) == 0 &&
			    info->offset + info->size <= size)
				memcpy(data + info->offset, &constants[j].value, info->size);
	}
}

/* Of a verifier's log: the last line that says what is wrong, and how far it came. */
static void print_why(const char *name, char *log, int err)
{
	char *wrong = "", *processed = "", *rest = log;

	for (char *line; (line = strsep(&rest, "\n"));) {
		if (strncmp(line, "processed ", 10) == 0)
			processed = line;
		else if (*line && strncmp(line, "verification time ", 18) != 0 &&
			 strncmp(line, "stack depth ", 12) != 0)
			wrong = line;
	}
	printf("%s\trefused\t%s: %s; %s\n", name, strerror(-err), wrong, processed);
}

static uint32_t verified(const struct bpf_program *program)
{
	struct bpf_prog_info info = {0};
	uint32_t size = sizeof(info);

	return bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size) ? 0
									      : info.verified_insns;
}

static bool wanted(const struct verifier *v, const char *name)
{
	for (int i = 0; i < v->wanted_count; i++)
		if (strcmp(v->wanted[i], name) == 0)
			return true;
	return !v->wanted_count;
}

/* Some kernels refuse every program on a function. */
static bool takes_trampolines(const struct btf *kernel)
{
	const struct bpf_insn nothing[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int id = btf__find_by_name_kind(kernel, "handle_mm_fault", BTF_KIND_FUNC);
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = BPF_TRACE_FEXIT,
		    .attach_btf_id = id > 0 ? (uint32_t)id : 0);
	int fd = bpf_prog_load(BPF_PROG_TYPE_TRACING, "nothing", "GPL", nothing, 2, &options);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* ---- verifying ---- */

static struct bpf_object *open_object(struct verifier *v)
{
	struct bpf_object *object = bpf_object__open_file(v->path, NULL);

	if (object)
		set_constants(object);
	else
		(void)fprintf(stderr, "%s: %s\n", v->path, strerror(errno));
	return object;
}

static bool can_run(const struct verifier *v, struct bpf_program *program)
{
	const char *section = bpf_program__section_name(program);

	return (v->trampolines || *section != 'f') && aim(v, program);
}

/* All at once: quick, where the kernel takes them. False: it does not. */
static bool verify_all(struct verifier *v)
{
	struct bpf_object *object = open_object(v);
	struct bpf_program *program;
	bool loaded;

	if (!object)
		return false;
	bpf_object__for_each_program(program, object) bpf_program__set_autoload(
		program, wanted(v, bpf_program__name(program)) && can_run(v, program));
	loaded = !bpf_object__load(object);
	bpf_object__for_each_program(program, object)
	{
		const char *name = bpf_program__name(program);

		if (!loaded || !wanted(v, name))
			continue;
		if (bpf_program__fd(program) < 0)
			printf("%s\tabsent\t%s\n", name, bpf_program__section_name(program));
		else
			printf("%s\t%u\n", name, verified(program));
	}
	bpf_object__close(object);
	return loaded;
}

static void verify_one(struct verifier *v, const char *name)
{
	struct bpf_object *object = open_object(v);
	struct bpf_program *program, *mine = NULL;
	int err;

	if (!object) {
		v->refused++;
		return;
	}
	bpf_object__for_each_program(program, object)
	{
		bool is_mine = strcmp(bpf_program__name(program), name) == 0;

		bpf_program__set_autoload(program, is_mine);
		mine = is_mine ? program : mine;
	}
	if (!can_run(v, mine)) {
		printf("%s\tabsent\t%s\n", name, bpf_program__section_name(mine));
		bpf_object__close(object);
		return;
	}
	*v->log = '\0';
	bpf_program__set_log_buf(mine, v->log, LOG_SIZE);
	bpf_program__set_log_level(mine, LOG_STATS);
	err = bpf_object__load(object);
	if (err) {
		v->refused++;
		print_why(name, v->log, err);
	} else {
		printf("%s\t%u\n", name, verified(mine));
	}
	(void)fflush(stdout);
	bpf_object__close(object);
}

static int verify(struct verifier *v)
{
	struct bpf_object *names;
	struct bpf_program *program;

	if (verify_all(v))
		return 0;
	names = open_object(v);
	if (!names)
		return 2;
	bpf_object__for_each_program(program, names) if (wanted(v, bpf_program__name(program)))
		verify_one(v, bpf_program__name(program));
	bpf_object__close(names);
	return v->refused != 0;
}

static int quiet(enum libbpf_print_level level, const char *format, va_list arguments)
{
	return 0;
}

int main(int argc, char **argv)
{
	struct verifier v = {
		.path = argv[1],
		.wanted = (const char *const *)argv + 2,
		.wanted_count = argc - 2,
		.kernel = btf__load_vmlinux_btf(),
		.log = malloc(LOG_SIZE),
	};
	int status = 2;

	if (argc < 2 || !v.kernel || !v.log) {
		(void)fprintf(stderr, argc < 2 ? "verify OBJECT [PROGRAM...]\n"
					       : "the kernel's BTF, or memory, is missing\n");
	} else {
		libbpf_set_print(quiet);
		load_modules(&v);
		v.trampolines = takes_trampolines(v.kernel);
		status = verify(&v);
	}
	while (v.module_count)
		btf__free(v.modules[--v.module_count]);
	btf__free(v.kernel);
	free(v.log);
	return status;
}
