/* SPDX-License-Identifier: BSD-2-Clause */
/* Which programs run here, and the load: all at once, or what is left when some are refused. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/kernel/kernel_side_private.h"
#include "agent/base/log.h"
#include "agent/kernel/page_set.h"
#include "dirtyscope.skel.h"

/* ---- probing ---- */

static void probe_tiers(struct kernel_side *kernel, const struct btf *btf)
{
	int err = probe__fentry(btf);

	kernel->tiers[0] =
		(struct snapshot_tier){.name = "tp_btf", .available = true, .reason = ""};
	if (err)
		snprintf(kernel->fentry_reason, sizeof(kernel->fentry_reason),
			 "the kernel refuses trampolines: %s (%s)", strerrorname_np(-err),
			 strerror(-err));
	kernel->tiers[1] = (struct snapshot_tier){
		.name = "fentry", .available = !err, .reason = kernel->fentry_reason};
}

static void choose(struct kernel_side *kernel, struct btf *btf, enum sensors_tier tier)
{
	program_set__choose(&kernel->set, btf, tier,
			    kernel->tiers[1].available ? NULL : kernel->fentry_reason);
}

/* ---- loading ---- */

static int size_maps(struct kernel_side *kernel, struct dirtyscope *skeleton)
{
	const struct agent_config *config = kernel->config;
	const uint32_t cpus = kernel->tables.cpus;
	const struct {
		struct bpf_map *map;
		uint32_t entries;
	} sizes[] = {
		{skeleton->maps.processes, config->max_processes},
		{skeleton->maps.process_slots, config->max_processes},
		{skeleton->maps.process_infos, config->max_processes + 1},
		{skeleton->maps.process_stats, (config->max_processes + 1) * cpus},
		{skeleton->maps.sources, config->max_devices},
		{skeleton->maps.source_slots, config->max_devices},
		{skeleton->maps.source_infos, config->max_devices + 1},
		{skeleton->maps.device_stats, (config->max_devices + 1) * cpus},
		{skeleton->maps.sensor_stats, DS_SENSOR_COUNT * cpus},
		{skeleton->maps.pagecache_devices, PAGECACHE_DEVICES},
		{skeleton->maps.flows, config->max_flows},
		{skeleton->maps.requests, config->max_requests},
		{skeleton->maps.mappings, config->max_mappings},
		{skeleton->maps.buffers, config->max_mappings},
		{skeleton->maps.domains, FOREIGN_DOMAINS},
		{skeleton->maps.list_segments, DS_LIST_SEGMENTS},
		{skeleton->maps.page_sets, config->max_devices + 1},
	};
	int err = 0;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]) && !err; i++)
		err = bpf_map__set_max_entries(sizes[i].map, sizes[i].entries);
	return err;
}

/* One try with the programs that are marked active. */
static int load(struct kernel_side *kernel, bool quiet)
{
	struct dirtyscope *skeleton = dirtyscope__open();
	libbpf_print_fn_t print = NULL;
	struct page_set *sample = NULL;
	int err;

	if (!skeleton)
		return -errno;
	skeleton->rodata->ds_nr_cpus = kernel->tables.cpus;
	skeleton->rodata->ds_ledger = !kernel->config->no_ledger;
	skeleton->rodata->ds_vmemmap_base = kernel->calibration.vmemmap_base;
	skeleton->rodata->ds_page_offset = kernel->calibration.page_offset;
	bpf_program__set_autoload(skeleton->progs.calibrate, false);
	bpf_map__set_autocreate(skeleton->maps.calibration, false);
	for (size_t i = 0; i < kernel->set.count; i++) {
		struct program *program = &kernel->set.programs[i];

		program->handle =
			bpf_object__find_program_by_name(skeleton->obj, program->row->name);
		if (!program->handle) {
			dirtyscope__destroy(skeleton);
			return -ENOENT;
		}
		bpf_program__set_autoload(program->handle, program->state == PROGRAM_ACTIVE);
		if (program->state == PROGRAM_ACTIVE && *program->target) {
			err = bpf_program__set_attach_target(program->handle, 0, program->target);
			if (err) {
				dirtyscope__destroy(skeleton);
				return err;
			}
		}
	}
	bpf_map__set_autocreate(skeleton->maps.rewrites,
				program_set__active(&kernel->set, "handle_mm_fault"));
	if (quiet)
		print = libbpf_set_print(NULL);
	/* The kernel learns from a sample how large all page sets are. */
	err = page_set__new(kernel->tables.memory_pages, &sample);
	if (!err)
		err = bpf_map__set_inner_map_fd(skeleton->maps.page_sets, page_set__fd(sample));
	if (!err)
		err = size_maps(kernel, skeleton);
	if (!err)
		err = dirtyscope__load(skeleton);
	page_set__free(sample);
	if (quiet)
		libbpf_set_print(print);
	if (err) {
		dirtyscope__destroy(skeleton);
		return err;
	}
	kernel->skeleton = skeleton;
	return 0;
}

/*
 * All at once, as nearly every kernel takes them. Where one is refused, sensor by sensor: those
 * that fail are unavailable with the kernel's reason, the rest runs.
 */
static int load_what_loads(struct kernel_side *kernel, int err)
{
	enum program_state wanted[MAX_PROGRAMS];
	int errors[DS_SENSOR_COUNT] = {0};
	int loadable = 0;

	log_warn("not all programs load; trying them sensor by sensor", "error=%s",
		 strerrorname_np(-err));
	for (size_t i = 0; i < kernel->set.count; i++)
		wanted[i] = kernel->set.programs[i].state;
	for (int sensor = 0; sensor < DS_SENSOR_COUNT; sensor++) {
		for (size_t i = 0; i < kernel->set.count; i++)
			kernel->set.programs[i].state =
				kernel->set.programs[i].row->sensor == (enum ds_sensor)sensor
					? wanted[i]
					: PROGRAM_UNAVAILABLE;
		errors[sensor] = load(kernel, true);
		if (!errors[sensor]) {
			loadable++;
			dirtyscope__destroy(kernel->skeleton);
			kernel->skeleton = NULL;
		}
	}
	if (!loadable)
		return err;
	for (size_t i = 0; i < kernel->set.count; i++) {
		struct program *program = &kernel->set.programs[i];
		int why = errors[program->row->sensor];

		program->state = wanted[i];
		if (why && wanted[i] == PROGRAM_ACTIVE) {
			program->state = PROGRAM_UNAVAILABLE;
			snprintf(program->reason, sizeof(program->reason),
				 "the kernel refused to load it: %s (%s)", strerrorname_np(-why),
				 strerror(-why));
		}
	}
	return load(kernel, false);
}

static bool uses_functions(const struct program_set *set)
{
	for (size_t i = 0; i < set->count; i++)
		if (set->programs[i].state == PROGRAM_ACTIVE && *set->programs[i].target)
			return true;
	return false;
}

int kernel_side__load(struct kernel_side *kernel, struct btf *btf)
{
	enum sensors_tier tier = TIER_AUTO;
	int err;

	(void)sensors_tier__parse(kernel->config->tier, &tier);
	probe_tiers(kernel, btf);
	choose(kernel, btf, tier);
	err = load(kernel, false);
	if (!err)
		return 0;
	if (uses_functions(&kernel->set)) {
		log_warn("programs on functions do not load; going on with tracepoints", "error=%s",
			 strerrorname_np(-err));
		snprintf(kernel->fentry_reason, sizeof(kernel->fentry_reason),
			 "the kernel refused to load its programs: %s (%s)", strerrorname_np(-err),
			 strerror(-err));
		kernel->tiers[1].available = false;
		choose(kernel, btf, tier);
		err = load(kernel, false);
	}
	return err ? load_what_loads(kernel, err) : 0;
}
