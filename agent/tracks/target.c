/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/tracks/target_private.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/files.h"
#include "agent/host/procfs.h"

/* ---- one epoch ---- */

/*
 * What the CPUs wrote is protected again: from then on whoever gets hold of a page for a device to
 * write it faults, and comes with the next epoch. What devices wrote is swept by another thread
 * meanwhile, and then met with the frames that the pages have now; what they write after the sweep
 * comes with the next one.
 */
static int run_epoch(struct target *target)
{
	const uint64_t asked = target->index ? track_sweeps__ask(&target->options.sweeps) : 0;
	int err = target->cpu.backend->epoch(&target->cpu, target->epoch);

	err = target__run_devices(target, asked, err);
	return err ? err : pin_side__epoch(&target->pins, target->epoch, target->cpu.work);
}

static bool is_same_process(const struct target *target)
{
	struct procfs_stat stat;

	return procfs__stat(target->options.procfs, target->options.tgid, &stat) == 0 &&
	       stat.start_ticks == target->options.start_ticks &&
	       page_table__is_alive(target->pagemap);
}

bool target__is_alive(const struct target *target)
{
	return is_same_process(target);
}

static int add_residents(void *context, uint64_t address, const uint64_t *entries, size_t count)
{
	struct residents *residents = context;

	for (size_t i = 0; i < count; i++)
		if (entries[i] & PAGEMAP_PRESENT)
			residents__add(residents, address + i * PAGE_BYTES);
		else if (page_table__has_page(entries[i]))
			residents__add_swapped(residents);
	return 0;
}

/* From here on the call's work is told how far it comes, and may end it. */
static void enter(struct target *target, struct track_work *work)
{
	pthread_mutex_lock(&target->lock);
	target->cpu.work = work;
	page_table__attend(target->pagemap, work);
}

static void leave(struct target *target)
{
	target->cpu.work = NULL;
	page_table__attend(target->pagemap, NULL);
	pthread_mutex_unlock(&target->lock);
}

struct reading {
	struct target *target;
	struct residents *residents;
};

static int read_residents(void *context, uint64_t start, uint64_t end, bool inside)
{
	const struct reading *reading = context;

	return inside ? page_table__read_present(reading->target->pagemap, start, end,
						 add_residents, reading->residents)
		      : 0;
}

int target__residents(struct target *target, const struct address_ranges *ranges, uint64_t start,
		      uint64_t end, struct track_work *work, struct residents *residents)
{
	struct reading reading = {target, residents};
	int err = 0;

	enter(target, work);
	for (size_t i = 0; i < target->cpu.region_count && !err; i++) {
		const struct map_region *region = &target->cpu.regions[i];
		const uint64_t from = region->start > start ? region->start : start;
		const uint64_t to = region->end < end ? region->end : end;

		if (from >= to || strcmp(region->name, "[vsyscall]") == 0)
			continue;
		err = ranges->count
			      ? address_ranges__cut(ranges, from, to, read_residents, &reading)
			      : read_residents(&reading, from, to, true);
	}
	leave(target);
	return err;
}

static int tell_subscribers(struct target *target)
{
	struct subscriber *one = target->subscribers;
	int err = 0;

	if (one && !one->next && page_map__is_empty(one->map)) {
		page_map__swap(one->map, target->epoch);
		return 0;
	}
	for (; one && !err; one = one->next)
		err = page_map__merge(one->map, target->epoch);
	return err;
}

int target__epoch(struct target *target, struct track_work *work)
{
	int err, merged = 0;

	enter(target, work);
	err = target->failed;
	if (!err && !is_same_process(target))
		err = -ESRCH;
	/* Any of its threads may have ended since. */
	target->cpu.tgid = procfs__reader(target->options.procfs, target->options.tgid);
	target->pins.tgid = target->cpu.tgid;
	if (!err)
		err = run_epoch(target);
	/* It may have ended half-way: then whatever failed, failed for that. */
	if (err && err != -ECANCELED && !is_same_process(target))
		err = -ESRCH;
	if (!err || err == -ECANCELED)
		merged = tell_subscribers(target);
	err = merged ? merged : err;
	page_map__clear(target->epoch);
	target->failed = err == -ECANCELED ? 0 : err;
	leave(target);
	return err;
}

/* ---- life ---- */

/* Its memory, and what can be done without a look at the process. */
static int make(struct target *target)
{
	const struct target_options *options = &target->options;

	mapped_frames__init(&target->mapped);
	pthread_mutex_init(&target->lock, NULL);
	target->cpu.uffd = -1;
	target->cpu.procfs = options->procfs;
	target->cpu.start_ticks = options->start_ticks;
	target->cpu.tables = options->tables;
	target->cpu.process = options->tgid;
	target->cpu.tgid = procfs__reader(options->procfs, options->tgid);
	target->cpu.work = options->work;
	target->cpu.no_faults = options->no_faults;
	target->cpu.costs = options->costs;
	target->epoch = page_map__new();
	target->stale = page_map__new();
	if (!target->epoch || !target->stale)
		return -ENOMEM;
	return scope__begin(&target->cpu.scope, options->procfs, options->tgid, options->want);
}

/* Looks at the target before its writes are noted: what it is, and whether a track can follow it.
 */
static int look(struct target *target, struct reason *why)
{
	const struct target_options *options = &target->options;
	int err = page_table__open(options->procfs, target->cpu.tgid, &target->pagemap);

	if (err) {
		reason__set(why, "its page table cannot be read: %s%s", strerror(-err),
			    err == -EACCES || err == -EPERM
				    ? "; that needs CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH"
				    : "");
		return err;
	}
	page_table__attend(target->pagemap, options->work);
	target->cpu.pagemap = target->pagemap;
	if (page_table__zero_pfn(&target->cpu.zero_pfn))
		target->cpu.zero_pfn = 0;
	err = target__start_devices(target);
	if (err) {
		reason__set(why, "its page frames cannot be followed: %s", strerror(-err));
		return err;
	}
	err = pin_side__start(&target->pins, options->procfs, target->cpu.tgid, options->feed,
			      options->work);
	if (err)
		reason__set(why, "its pinned memory cannot be looked at: %s", strerror(-err));
	return err;
}

/* From here on what its CPUs write is noted. */
static int start_cpu(struct target *target, struct reason *why)
{
	int err;

	track_work__step(target->options.work, "stopping one of its threads", 0);
	err = cpu_side__start(&target->cpu, target->options.backend);
	target->cpu.costs = target->options.costs = NULL;
	if (err)
		reason__set(why, "%s", *target->cpu.reason ? target->cpu.reason : strerror(-err));
	target->start_stopped_ns = target->cpu.stopped_ns;
	target->cpu.stopped_ns = 0;
	return err;
}

int target__new(const struct target_options *options, struct target **out, struct reason *why)
{
	struct target *target = calloc(1, sizeof(*target));
	int err;

	*out = NULL;
	why->text[0] = '\0';
	if (!target)
		return -ENOMEM;
	target->options = *options;
	err = make(target);
	if (!err)
		err = look(target, why);
	if (!err)
		err = start_cpu(target, why);
	if (!err)
		err = target__read_all(target);
	if (!err && !is_same_process(target))
		err = -ESRCH;
	/* What was borrowed for the call alone. */
	target->cpu.no_faults = target->options.no_faults = NULL;
	target->cpu.work = target->options.work = NULL;
	target->options.want = NULL;
	if (target->pagemap)
		page_table__attend(target->pagemap, NULL);
	if (err) {
		target__free(target);
		return err;
	}
	*out = target;
	return 0;
}

void target__free(struct target *target)
{
	if (!target)
		return;
	cpu_side__end(&target->cpu);
	pin_side__end(&target->pins);
	write_log__free(target->log);
	pfn_index__free(target->index);
	page_table__close(target->pagemap);
	page_map__free(target->epoch);
	page_map__free(target->stale);
	mapped_frames__free(&target->mapped);
	pthread_mutex_destroy(&target->lock);
	free(target);
}

int target__subscribe(struct target *target, struct page_map *map)
{
	struct subscriber *one = calloc(1, sizeof(*one));

	if (!one)
		return -ENOMEM;
	one->map = map;
	pthread_mutex_lock(&target->lock);
	one->next = target->subscribers;
	target->subscribers = one;
	pthread_mutex_unlock(&target->lock);
	return 0;
}

void target__leave(struct target *target, struct page_map *map)
{
	pthread_mutex_lock(&target->lock);
	for (struct subscriber **at = &target->subscribers; *at; at = &(*at)->next) {
		struct subscriber *one = *at;

		if (one->map != map)
			continue;
		*at = one->next;
		free(one);
		break;
	}
	pthread_mutex_unlock(&target->lock);
}

int target__widen(struct target *target, const struct scope_want *want)
{
	int err;

	pthread_mutex_lock(&target->lock);
	err = scope__add(&target->cpu.scope, target->options.procfs, target->options.tgid, want);
	pthread_mutex_unlock(&target->lock);
	return err;
}

static int fill_entries(void *context, uint64_t address, const uint64_t *entries, size_t count)
{
	struct page_map *map = context;
	int err = 0;

	for (size_t i = 0; i < count && !err; i++)
		if (page_table__has_page(entries[i]))
			err = page_map__add_cpu(map, address / PAGE_BYTES + i, 1);
	return err;
}

int target__fill(struct target *target, struct page_map *map, struct track_work *work)
{
	int err = 0;

	enter(target, work);
	for (size_t i = 0; i < target->cpu.region_count && !err; i++)
		if (target->cpu.regions[i].writable)
			err = page_table__read_present(
				target->pagemap, target->cpu.regions[i].start,
				target->cpu.regions[i].end, fill_entries, map);
	leave(target);
	return err;
}

void target__lock(struct target *target)
{
	pthread_mutex_lock(&target->lock);
}

void target__unlock(struct target *target)
{
	pthread_mutex_unlock(&target->lock);
}

void target__facts(const struct target *target, struct target_facts *facts)
{
	*facts = (struct target_facts){
		.tgid = target->options.tgid,
		.start_ticks = target->options.start_ticks,
		.backend = target->cpu.backend->name,
		.lower_bound = target->cpu.backend->lower_bound,
		.backend_reason = target->cpu.reason,
		.device_side = target->index,
		.events_lost = target->losses.count > 0,
		.start_stopped_ns = target->start_stopped_ns,
		.stopped_ns = target->cpu.stopped_ns,
		.bytes = target->index
				 ? pfn_index__bytes(target->index) + write_log__bytes(target->log)
				 : 0,
		.page_table_bytes = target->cpu.page_table_bytes,
		.lost_pages = target->log ? write_log__lost(target->log) : 0,
		.moved = target->moved,
	};
}

uint32_t target__reader(const struct target *target)
{
	return target->cpu.tgid;
}

const struct map_region *target__regions(const struct target *target, size_t *count)
{
	*count = target->cpu.region_count;
	return target->cpu.regions;
}

const struct address_ranges *target__guest(const struct target *target)
{
	return &target->cpu.scope.ram;
}

const struct not_covered *target__gaps(struct target *target, size_t *count)
{
	const uint64_t beyond = target->index ? pfn_index__beyond(target->index) : 0;

	*count = 0;
	if (target->pins.rest.pages)
		target->rows[(*count)++] = target->pins.rest;
	if (beyond)
		target->rows[(*count)++] = (struct not_covered){
			.kind = NOT_COVERED_MAPPING,
			.pages = beyond,
			.name = "[far memory]",
			.reason = "memory beyond 256 TiB: what devices write there is not seen",
		};
	for (size_t i = 0; i < target->losses.count; i++)
		target->rows[(*count)++] = target->losses.rows[i];
	return target->rows;
}

const struct not_covered *target__not_covered(const struct target *target, size_t *count)
{
	*count = target->cpu.not_covered_count;
	return target->cpu.not_covered;
}
