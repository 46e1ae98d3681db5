/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which programs run here, and their load, one by one. What a program needs is known before: its
 * hook from the kernel's BTF (choice.c), its fields from libbpf's relocations (object.c). What the
 * kernel then refuses costs that program only; another one is chosen in its place.
 *
 * A field that this kernel has not is no reason yet: programs that read it behind a question for
 * another field (bpf/compat.h) hold such an instruction and never reach it, and what is reached is
 * the verifier's to say. So the program's own load tells, and a second one, with the log, names
 * the field; it is not loaded again.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/errno_text.h"
#include "agent/base/log.h"
#include "agent/base/start_thread.h"
#include "agent/base/startup.h"
#include "agent/kernel/kernel_side_private.h"
#include "agent/kernel/object.h"
#include "agent/kernel/page_sets.h"
#include "agent/kernel/probe.h"
#include "agent/kernel/load_error.h"
#include "dirtyscope.skel.h"

/* Pages of it are touched as far as the verifier writes. */
#define LOG_BYTES (16u << 20)
/* A start is not worth more of a host's CPUs. */
#define MAX_LOADERS 4

/* Buffers of virtqueues are larger, and fewer: a quarter as many are kept. */
#define MAPPINGS_PER_BUFFER 4

/* ---- the object ---- */

/* Both have all their memory from the start, so what nothing fills is made small. */
static uint32_t ledger_entries(const struct kernel_side *kernel)
{
	return kernel->config->no_ledger ? 1 : kernel->config->max_mappings;
}

static uint32_t buffer_entries(struct kernel_side *kernel)
{
	const struct program *taker = program_set__find(&kernel->set, "virtqueue_get_buf");

	return taker && taker->can_run ? kernel->config->max_mappings / MAPPINGS_PER_BUFFER : 1;
}

static int size_maps(struct kernel_side *kernel, struct dirtyscope *skeleton)
{
	const struct agent_config *config = kernel->config;
	const struct {
		struct bpf_map *map;
		uint32_t entries;
	} sizes[] = {
		{skeleton->maps.processes, config->max_processes},
		{skeleton->maps.watched, config->max_processes * WATCHED_PER_SLOT},
		{skeleton->maps.process_slots, config->max_processes},
		{skeleton->maps.process_infos, config->max_processes + 1},
		{skeleton->maps.process_stats, config->max_processes + 1},
		{skeleton->maps.tracked, config->max_processes},
		{skeleton->maps.sources, kernel->tables.source_slots},
		{skeleton->maps.source_slots, kernel->tables.source_slots},
		{skeleton->maps.source_infos, kernel->tables.source_slots + 1},
		{skeleton->maps.device_stats, (kernel->tables.source_slots + 1) * DS_DEVICE_ROWS},
		{skeleton->maps.sensor_stats, DS_SENSOR_COUNT * kernel->tables.cpus},
		{skeleton->maps.pagecache_devices, PAGECACHE_DEVICES},
		{skeleton->maps.charges, CHARGES},
		{skeleton->maps.flows, config->max_flows},
		{skeleton->maps.requests, config->max_requests},
		{skeleton->maps.mappings, ledger_entries(kernel)},
		{skeleton->maps.buffers, buffer_entries(kernel)},
		{skeleton->maps.domains, FOREIGN_DOMAINS},
		{skeleton->maps.list_segments, DS_LIST_SEGMENTS},
		{skeleton->maps.page_entries, page_sets__sets(kernel->tables.source_slots) *
						      kernel->tables.page_regions *
						      DS_REGION_PIECES},
		{skeleton->maps.page_banks, page_sets__banks(config->page_set_memory)},
		{skeleton->maps.free_pieces, page_sets__pieces(config->page_set_memory)},
		{skeleton->maps.free_regions, kernel->tables.page_regions},
	};
	int err = 0;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]) && !err; i++)
		err = bpf_map__set_max_entries(sizes[i].map, sizes[i].entries);
	return err;
}

static int configure(struct kernel_side *kernel, struct dirtyscope *skeleton)
{
	struct program_set *set = &kernel->set;
	const struct program *huge = program_set__find(set, "handle_mm_fault");

	skeleton->rodata->ds_nr_cpus = kernel->tables.cpus;
	kernel->tables.page_regions = page_sets__regions(kernel->tables.memory_pages);
	skeleton->rodata->ds_regions = kernel->tables.page_regions;
	skeleton->rodata->ds_ledger = !kernel->config->no_ledger;
	skeleton->rodata->ds_vmemmap_base = kernel->calibration.vmemmap_base;
	skeleton->rodata->ds_page_offset = kernel->calibration.page_offset;
	skeleton->rodata->ds_entry_mask = kernel->calibration.entry_mask;
	bpf_program__set_autoload(skeleton->progs.calibrate, false);
	bpf_map__set_autocreate(skeleton->maps.calibration, false);
	bpf_map__set_autocreate(skeleton->maps.fault_notes, huge && huge->can_run);
	for (size_t i = 0; i < set->count; i++) {
		struct bpf_program *handle =
			bpf_object__find_program_by_name(skeleton->obj, set->programs[i].row->name);

		if (!handle)
			return -ENOENT;
		/* Also those that only stand by: one may have to take another's place. */
		bpf_program__set_autoload(handle, set->programs[i].can_run);
	}
	return size_maps(kernel, skeleton);
}

/* Creates the maps, and gives each program its code. */
static int prepare_object(struct kernel_side *kernel)
{
	struct object_handlers handlers;
	struct dirtyscope *skeleton = NULL;
	int bank = -1;
	int err = object_handlers__add(&handlers, &kernel->set, kernel->startup);

	if (err)
		return err;
	err = object__open(&kernel->object, &skeleton);
	if (err)
		goto cleanup;
	err = configure(kernel, skeleton);
	/* The kernel learns from a sample how large all banks are. */
	if (!err)
		bank = page_sets__make_bank(kernel->config->page_set_memory);
	if (!err)
		err = bank < 0 ? bank : bpf_map__set_inner_map_fd(skeleton->maps.page_banks, bank);
	if (!err)
		err = object__load(skeleton);
cleanup:
	if (bank >= 0)
		close(bank);
	object_handlers__remove(&handlers);
	if (err)
		dirtyscope__destroy(skeleton);
	else
		kernel->skeleton = skeleton;
	return err;
}

/* ---- programs, one by one ---- */

static int load_code(const struct program *program, char *log)
{
	struct bpf_prog_load_opts options = program->code->options;

	options.expected_attach_type = program->kind->attach;
	options.attach_btf_id = program->btf_id;
	options.attach_btf_obj_fd = program->module_btf_fd < 0 ? 0 : program->module_btf_fd;
	options.prog_flags |= program->kind->flags;
	options.log_level = log ? 1 : 0;
	options.log_buf = log;
	options.log_size = log ? LOG_BYTES : 0;
	return bpf_prog_load(program->kind->type, program->row->name, OBJECT_LICENSE,
			     program->code->insns, program->code->count, &options);
}

/* Whether the verifier, asked again, would say more than the error does, and in a short time. */
static bool has_more_to_say(int err)
{
	return err != -E2BIG && err != -EPERM && err != -ENOMEM && err != -EAGAIN;
}

static void refuse(struct kernel_side *kernel, struct program *program, int err)
{
	char *log = has_more_to_say(err) ? malloc(LOG_BYTES) : NULL;
	struct reason reason;
	struct load_error load_error = {
		.object = &kernel->object,
		.btf = bpf_object__btf(kernel->skeleton->obj),
		.code = program->code,
		.error = err,
		.log = "",
	};

	if (log) {
		int fd;

		*log = 0;
		fd = load_code(program, log);
		if (fd >= 0)
			close(fd);
		load_error.log = log;
	}
	load_error__explain(&load_error, &reason);
	program__refuse(program, "%s", reason.text);
	log_warn("program not loaded", "program=%s error=%s reason=\"%s\"", program->row->name,
		 errno_text(err).name, reason.text);
	free(log);
}

int kernel_side__load_program(struct kernel_side *kernel, struct program *program)
{
	int fd = program->code ? load_code(program, NULL) : -ENOENT;

	if (startup__cancelled(kernel->startup)) {
		if (fd >= 0)
			close(fd);
		return -ECANCELED;
	}
	if (fd < 0) {
		refuse(kernel, program, fd);
		return fd;
	}
	program->fd = fd;
	return 0;
}

static size_t count_loaders(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	return cpus < 1 ? 1 : cpus > MAX_LOADERS ? MAX_LOADERS : (size_t)cpus;
}

static uint32_t count_active(const struct program_set *set)
{
	uint32_t count = 0;

	for (size_t i = 0; i < set->count; i++)
		count += set->programs[i].state == PROGRAM_ACTIVE;
	return count;
}

/* A round over those that are chosen and not yet loaded, by several threads; the counts are atomic.
 */
struct round {
	struct kernel_side *kernel;
	size_t next;	 /* row of the table */
	uint32_t loaded; /* in all rounds */
	int last;	 /* error */
};

static int load_some(void *context)
{
	struct round *round = context;
	struct kernel_side *kernel = round->kernel;
	struct program_set *set = &kernel->set;
	size_t i;

	while ((i = __atomic_fetch_add(&round->next, 1, __ATOMIC_RELAXED)) < set->count) {
		struct program *program = &set->programs[i];
		int err;

		if (program->state != PROGRAM_ACTIVE || program->fd >= 0)
			continue;
		startup__tell(kernel->startup, "loading programs",
			      __atomic_load_n(&round->loaded, __ATOMIC_RELAXED), count_active(set));
		err = kernel_side__load_program(kernel, program);
		if (err)
			__atomic_store_n(&round->last, err, __ATOMIC_RELAXED);
		else
			__atomic_fetch_add(&round->loaded, 1, __ATOMIC_RELAXED);
		if (err == -ECANCELED)
			break;
	}
	return 0;
}

/*
 * Most of a start is the verifier's time, and it takes programs of whoever has CAP_BPF side by side
 * (bpf_check(), kernel/bpf/verifier.c). Returns the last error.
 */
static int load_chosen(struct round *round)
{
	struct startup *startup = round->kernel->startup;
	struct start_thread *helpers[MAX_LOADERS - 1];
	size_t count = 0, wanted = count_loaders() - 1;

	round->next = 0;
	round->last = 0;
	while (count < wanted && !start_thread__new(load_some, round, startup, &helpers[count]))
		count++;
	(void)load_some(round);
	while (count)
		(void)start_thread__finish(helpers[--count]);
	return startup__cancelled(startup) ? -ECANCELED : round->last;
}

static int load_programs(struct kernel_side *kernel)
{
	struct round round = {.kernel = kernel};
	int err;

	/* Ends, since each round that fails leaves fewer programs that can run. */
	for (err = load_chosen(&round); err; err = load_chosen(&round)) {
		if (err == -ECANCELED)
			return err;
		program_set__choose_again(&kernel->set);
	}
	return round.loaded ? 0 : -ENOSYS;
}

void kernel_side__choose(struct kernel_side *kernel, struct btf *btf)
{
	enum sensors_tier tier = TIER_AUTO;
	int err;

	(void)sensors_tier__parse(kernel->config->tier, &tier);
	err = probe__functions(btf, &kernel->no_functions);
	kernel->tiers[0] =
		(struct snapshot_tier){.name = "tp_btf", .available = true, .reason = ""};
	kernel->tiers[1] = (struct snapshot_tier){
		.name = "fentry", .available = !err, .reason = kernel->no_functions.text};
	program_set__choose(&kernel->set, btf, tier, err ? kernel->no_functions.text : NULL);
}

int kernel_side__load(struct kernel_side *kernel)
{
	int err = prepare_object(kernel);

	return err ? err : load_programs(kernel);
}
