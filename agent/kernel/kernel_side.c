/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/kernel/kernel_side_private.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/base/arena.h"
#include "agent/base/errno_text.h"
#include "agent/base/log.h"
#include "agent/base/start_thread.h"
#include "agent/base/startup.h"
#include "agent/host/procfs.h"
#include "agent/host/sysfs.h"
#include "agent/kernel/probe.h"
#include "agent/kernel/programs.h"
#include "agent/kernel/sensors.h"
#include "dirtyscope.skel.h"

/* ---- tables ---- */

static int map_table(struct bpf_map *map, volatile void **table)
{
	size_t row = (bpf_map__value_size(map) + 7) & ~7UL;
	size_t page = sysconf(_SC_PAGESIZE);
	size_t size = (row * bpf_map__max_entries(map) + page - 1) / page * page;
	void *data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);

	if (data == MAP_FAILED)
		return -errno;
	*table = data;
	return 0;
}

/* The lowest slot ends on top of the stack, so that few rows are ever touched. */
static int fill_slots(int fd, uint32_t slots)
{
	for (uint32_t slot = slots; slot >= 1; slot--)
		if (bpf_map_update_elem(fd, NULL, &slot, BPF_ANY))
			return -errno;
	return 0;
}

/* What the kernel itself says the maps take. */
static uint64_t map_memory(const struct bpf_object *object)
{
	uint64_t sum = 0, bytes;
	struct bpf_map *map;
	char path[64], line[128];
	FILE *info;

	bpf_object__for_each_map(map, object)
	{
		if (bpf_map__fd(map) < 0)
			continue;
		snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", bpf_map__fd(map));
		info = fopen(path, "re");
		while (info && fgets(line, sizeof(line), info))
			if (sscanf(line, "memlock: %" SCNu64, &bytes) == 1)
				sum += bytes;
		if (info)
			(void)fclose(info);
	}
	return sum;
}

static int open_tables(struct kernel_side *kernel)
{
	struct kernel_tables *tables = &kernel->tables;
	struct dirtyscope *skeleton = kernel->skeleton;
	const struct {
		struct bpf_map *map;
		volatile void **table;
	} mapped[] = {
		{skeleton->maps.process_infos, (volatile void **)&tables->process_infos},
		{skeleton->maps.process_stats, (volatile void **)&tables->process_stats},
		{skeleton->maps.source_infos, (volatile void **)&tables->source_infos},
		{skeleton->maps.device_stats, (volatile void **)&tables->device_stats},
		{skeleton->maps.sensor_stats, (volatile void **)&tables->sensor_stats},
		{skeleton->maps.page_entries, (volatile void **)&tables->page_entries},
		{skeleton->maps.list_segments, (volatile void **)&kernel->segments},
	};
	int err = 0;

	for (size_t i = 0; i < sizeof(mapped) / sizeof(mapped[0]) && !err; i++)
		err = map_table(mapped[i].map, mapped[i].table);
	if (err)
		return err;
	tables->process_slots = kernel->config->max_processes;
	tables->processes_fd = bpf_map__fd(skeleton->maps.processes);
	tables->watched_fd = bpf_map__fd(skeleton->maps.watched);
	tables->process_slots_fd = bpf_map__fd(skeleton->maps.process_slots);
	tables->sources_fd = bpf_map__fd(skeleton->maps.sources);
	tables->source_slots_fd = bpf_map__fd(skeleton->maps.source_slots);
	tables->flows_fd = bpf_map__fd(skeleton->maps.flows);
	tables->pagecache_fd = bpf_map__fd(skeleton->maps.pagecache_devices);
	tables->charges_fd = bpf_map__fd(skeleton->maps.charges);
	tables->page_banks_fd = bpf_map__fd(skeleton->maps.page_banks);
	tables->free_pieces_fd = bpf_map__fd(skeleton->maps.free_pieces);
	tables->free_regions_fd = bpf_map__fd(skeleton->maps.free_regions);
	tables->set_of = skeleton->bss->ds_set_of;
	tables->region_of = skeleton->bss->ds_region_of;
	tables->pieces_taken = &skeleton->bss->ds_pieces_taken;
	skeleton->bss->ds_memory_pages = tables->memory_pages;
	tables->mappings_fd = bpf_map__fd(skeleton->maps.mappings);
	tables->buffers_fd = bpf_map__fd(skeleton->maps.buffers);
	tables->cgroup_events_fd = bpf_map__fd(skeleton->maps.cgroup_events);
	tables->max_watched = kernel->config->max_processes * WATCHED_PER_SLOT;
	tables->tracked_fd = bpf_map__fd(skeleton->maps.tracked);
	tables->max_flows = kernel->config->max_flows;
	tables->max_pagecache = PAGECACHE_DEVICES;
	tables->max_charges = CHARGES;
	kernel->map_memory = map_memory(skeleton->obj);
	err = fill_slots(tables->process_slots_fd, tables->process_slots);
	if (!err)
		err = fill_slots(tables->source_slots_fd, tables->source_slots);
	return err;
}

/* ---- life ---- */

/* Line by line: the verifier's reasons are many, and each is wanted whole. */
static int libbpf_log(enum libbpf_print_level level, const char *format, va_list args)
{
	char *text = NULL, *line, *rest;
	int length;

	if (level != LIBBPF_WARN)
		return 0;
	length = vasprintf(&text, format, args);
	if (length < 0)
		return 0;
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		log_debug("libbpf", "detail=\"%.400s\"", line);
	free(text);
	return length;
}

/* What is found in a thread of its own: it takes as long as the choice of programs. */
struct bases {
	struct kernel_side *kernel;
	struct kernel_error error;
};

static int find_bases(void *context)
{
	struct bases *bases = context;
	struct kernel_side *kernel = bases->kernel;
	const struct calibration_options options = {
		.memory_pages = kernel->tables.memory_pages,
		.procfs = kernel->config->procfs,
	};
	static const char *const sources[] = {
		[CALIBRATION_PAGEMAP] = "pagemap", [CALIBRATION_PAGE_TABLE] = "page-table"};
	int err = calibrate(&options, &kernel->calibration, &bases->error);

	if (!err)
		log_debug("bases of struct page and of the direct map found",
			  "page_number_from=%s candidates=%u", sources[kernel->calibration.source],
			  kernel->calibration.tries);
	return err;
}

static int choose(struct kernel_side *kernel, struct kernel_error *error)
{
	struct btf *btf = btf__load_vmlinux_btf();

	if (!btf) {
		snprintf(error->message, sizeof(error->message),
			 "the kernel's BTF cannot be read: %s", strerror(errno));
		return -ENOSYS;
	}
	kernel_side__choose(kernel, btf);
	btf__free(btf);
	return 0;
}

static int choose_and_find_bases(struct kernel_side *kernel, struct kernel_error *error)
{
	struct bases bases = {.kernel = kernel, .error = {""}};
	struct start_thread *finder;
	int err = start_thread__new(find_bases, &bases, kernel->startup, &finder), found;

	if (err) {
		snprintf(error->message, sizeof(error->message), "cannot start a thread: %s",
			 errno_text(err).text);
		return err;
	}
	err = choose(kernel, error);
	found = start_thread__finish(finder);
	if (err || !found)
		return err;
	*error = bases.error;
	return found;
}

/* For what the host has, and as much again to be plugged in; more than that only a fault takes. */
static uint32_t slots_for_host(const struct agent_config *config)
{
	const size_t wanted = 2 * sysfs__count(config->sysfs);
	const uint32_t most = config->max_devices;

	if (wanted > most || FEWEST_SLOTS > most)
		return most;
	return wanted > FEWEST_SLOTS ? (uint32_t)wanted : FEWEST_SLOTS;
}

static int set_up(struct kernel_side *kernel, struct kernel_error *error)
{
	int err, cpus = libbpf_num_possible_cpus();

	err = cpus < 0 ? cpus
		       : procfs__memory_span(kernel->config->procfs, &kernel->tables.memory_pages);
	if (err) {
		snprintf(error->message, sizeof(error->message),
			 "cannot read how much memory and how many CPUs the host has: %s",
			 strerror(-err));
		return err;
	}
	kernel->tables.cpus = cpus;
	kernel->tables.source_slots = slots_for_host(kernel->config);
	err = choose_and_find_bases(kernel, error);
	if (!err && startup__cancelled(kernel->startup))
		err = -ECANCELED;
	if (err)
		return err;
	err = kernel_side__load(kernel);
	if (!err)
		err = open_tables(kernel);
	if (err)
		snprintf(error->message, sizeof(error->message),
			 "the kernel refused the BPF programs or their tables: %s; --log.level "
			 "debug shows its reasons",
			 errno_text(err).text);
	return err;
}

int kernel_side__new(const struct kernel_options *options, struct kernel_side **out,
		     struct kernel_error *error)
{
	struct kernel_side *kernel;
	struct host_facts facts;
	int err;

	*out = NULL;
	host_facts__read(&facts);
	err = host_facts__judge(&facts, error);
	if (err)
		return err;
	kernel = calloc(1, sizeof(*kernel));
	if (!kernel)
		return -ENOMEM;
	kernel->config = options->config;
	kernel->startup = options->startup;
	kernel->object = options->object ? *options->object : object_bytes__built_in();
	kernel->list_fd = kernel->pinned_fd = kernel->refresh_fd = -1;
	kernel->bpffs = BPFFS_NONE;
	libbpf_set_print(libbpf_log);
	err = set_up(kernel, error);
	if (err) {
		kernel_side__free(kernel);
		return startup__cancelled(options->startup) ? -ECANCELED : err;
	}
	malloc_trim(0); /* the kernel's BTF was parsed, which took tens of megabytes */
	*out = kernel;
	return 0;
}

void kernel_side__free(struct kernel_side *kernel)
{
	if (!kernel)
		return;
	program_set__close(&kernel->set);
	/* After the descriptors of what is pinned there, so that closing those is never the last.
	 */
	bpffs__close(&kernel->bpffs);
	/* The mapped tables go with the process: other threads may still hold a snapshot of them.
	 */
	dirtyscope__destroy(kernel->skeleton);
	free(kernel);
}

const struct kernel_tables *kernel_side__tables(const struct kernel_side *kernel)
{
	return &kernel->tables;
}

void kernel_side__look_at_memory(struct kernel_side *kernel)
{
	uint64_t pages;

	if (procfs__memory_span(kernel->config->procfs, &pages) ||
	    pages <= kernel->tables.memory_pages)
		return;
	kernel->tables.memory_pages = pages;
	__atomic_store_n(&kernel->skeleton->bss->ds_memory_pages, pages, __ATOMIC_RELAXED);
}

uint64_t kernel_side__map_memory(const struct kernel_side *kernel)
{
	return kernel->map_memory;
}

/* ---- sampling ---- */

static void sample_program(const struct program *program, struct snapshot_program *out)
{
	struct bpf_prog_info info = {0};
	uint32_t size = sizeof(info);

	*out = (struct snapshot_program){.name = program->row->name,
					 .hook = program->hook,
					 .state = program->state,
					 .reason = program->reason,
					 .absent = program->absent};
	if (program->state != PROGRAM_ACTIVE || bpf_obj_get_info_by_fd(program->fd, &info, &size))
		return;
	out->runs = info.run_cnt;
	out->run_time_ns = info.run_time_ns;
	out->missed = info.recursion_misses;
	out->verified_instructions = info.verified_insns;
}

static const bool tells_of_pages[DS_SENSOR_COUNT] = {
	[DS_SENSOR_BLOCK] = true, [DS_SENSOR_NET] = true,    [DS_SENSOR_DMA] = true,
	[DS_SENSOR_IOMMU] = true, [DS_SENSOR_VIRTIO] = true,
};

void kernel_side__lost(const struct kernel_side *kernel, uint64_t lost[DS_LOST_REASONS])
{
	memset(lost, 0, DS_LOST_REASONS * sizeof(*lost));
	for (int id = 0; id < DS_SENSOR_COUNT; id++)
		for (uint32_t cpu = 0; tells_of_pages[id] && cpu < kernel->tables.cpus; cpu++)
			for (int reason = 0; reason < DS_LOST_COUNT; reason++)
				lost[reason] +=
					kernel->tables.sensor_stats[id * kernel->tables.cpus + cpu]
						.lost[reason];
	for (size_t i = 0; i < kernel->set.count; i++) {
		struct snapshot_program program;

		if (!tells_of_pages[kernel->set.programs[i].row->sensor])
			continue;
		sample_program(&kernel->set.programs[i], &program);
		lost[DS_LOST_RECURSION] += program.missed;
	}
}

static const char *blind_of(const struct kernel_side *kernel, const struct sensor_row *row)
{
	return row->better && program_set__active(&kernel->set, row->better) ? row->blind_then
									     : row->blind;
}

int kernel_side__sample(struct kernel_side *kernel, struct snapshot *snapshot)
{
	struct snapshot_program *programs =
		arena__alloc(snapshot->arena, kernel->set.count * sizeof(*programs));
	size_t next = 0;

	if (!programs)
		return -ENOMEM;
	for (int id = 0; id < DS_SENSOR_COUNT; id++) {
		struct snapshot_sensor *sensor = &snapshot->sensors[id];

		sensor->id = id;
		sensor->yields = sensor_table[id].yields;
		sensor->blind = blind_of(kernel, &sensor_table[id]);
		sensor->programs = &programs[next];
		sensor__sum(kernel->tables.sensor_stats, kernel->tables.cpus, sensor);
		for (size_t i = 0; i < kernel->set.count; i++) {
			if (kernel->set.programs[i].row->sensor != (enum ds_sensor)id)
				continue;
			sample_program(&kernel->set.programs[i], &programs[next]);
			/* What the kernel skipped was offered, too, and is lost. */
			sensor->offered += programs[next].missed;
			sensor->lost[DS_LOST_RECURSION] += programs[next].missed;
			sensor->program_count++;
			next++;
		}
		if (sensor__lost(sensor) != kernel->lost[id]) {
			kernel->lost[id] = sensor__lost(sensor);
			kernel->lost_at[id] = snapshot->uptime;
		}
		sensor->losing = kernel->lost[id] &&
				 snapshot->uptime - kernel->lost_at[id] < SENSOR_LOSING_SECONDS;
		sensor__judge(sensor);
	}
	snapshot->tiers = kernel->tiers;
	snapshot->tier_count = sizeof(kernel->tiers) / sizeof(kernel->tiers[0]);
	snapshot->memory_pages = kernel->tables.memory_pages;
	snapshot->limits.processes = kernel->config->max_processes;
	snapshot->limits.devices = kernel->tables.source_slots;
	snapshot->limits.flows = kernel->config->max_flows;
	snapshot->limits.requests = kernel->config->max_requests;
	snapshot->limits.mappings = kernel->config->no_ledger ? 0 : kernel->config->max_mappings;
	snapshot->limits.page_set_bytes = kernel->config->page_set_memory;
	snapshot->limits.map_memory_bytes = kernel->map_memory; /* page sets are added by devices */
	return 0;
}
