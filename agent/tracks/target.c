/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/tracks/target.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/files.h"
#include "agent/host/procfs.h"
#include "agent/tracks/device/pfn_index.h"
#include "agent/tracks/device/pin_side.h"

#define GAP_PAGES 16 /* of the page table: cheaper to read than another call */

struct subscriber {
	struct page_map *map;
	struct subscriber *next;
};

struct target {
	struct target_options options;
	pthread_mutex_t lock;
	struct page_table *pagemap;
	struct cpu_side cpu;
	struct pfn_index *index; /* NULL: PFNs may not be read */
	struct write_log *log;
	struct pin_side pins;
	struct not_covered rows[2]; /* what target__gaps tells */
	struct subscriber *subscribers;
	struct page_map *epoch; /* what this epoch has found so far */
	uint64_t start_stopped_ns, moved;
	uint64_t pending_start, pending_end; /* of pages whose frames are to be read */
	int failed;			     /* of an epoch, for good */
};

/* ---- frames ---- */

static int index_entries(void *context, uint64_t address, const uint64_t *entries, size_t count)
{
	struct target *target = context;

	for (size_t i = 0; i < count; i++) {
		int err;

		if (!(entries[i] & PAGEMAP_PRESENT))
			continue;
		err = pfn_index__set(target->index, PAGEMAP_PFN(entries[i]),
				     address / PAGE_BYTES + i);
		if (err)
			return err;
	}
	return 0;
}

static int read_pending(struct target *target)
{
	int err = 0;

	if (target->index && target->pending_start < target->pending_end)
		err = page_table__read(target->pagemap, target->pending_start, target->pending_end,
				       index_entries, target);
	target->pending_start = target->pending_end = 0;
	return err;
}

static int index_all(struct target *target)
{
	int err = 0;

	for (size_t i = 0; i < target->cpu.region_count && !err; i++) {
		const struct map_region *region = &target->cpu.regions[i];

		if (strcmp(region->name, "[vsyscall]") != 0)
			err = page_table__read(target->pagemap, region->start, region->end,
					       index_entries, target);
	}
	return err;
}

/* Before anything is protected: what devices write from here on is kept. */
static int start_device_side(struct target *target)
{
	const struct target_options *options = &target->options;
	int err = pfn_index__new(options->frames, &target->index);

	if (err == -EPERM)
		return 0;
	if (!err)
		err = write_log__new(options->feed, options->frames, &target->log);
	if (!err)
		err = options->hand_over(options->context);
	/* Swept now, written earlier. */
	return err ? err : write_log__drain(target->log, write_log__discard, NULL);
}

/* ---- one epoch ---- */

static int take_cpu(void *context, uint64_t start, uint64_t end)
{
	struct target *target = context;
	int err = page_map__add_cpu(target->epoch, start / PAGE_BYTES, (end - start) / PAGE_BYTES);

	if (err)
		return err;
	/* A page that was written may have got another frame. */
	if (start >= target->pending_end && start - target->pending_end <= GAP_PAGES * PAGE_BYTES &&
	    target->pending_end) {
		target->pending_end = end;
		return 0;
	}
	err = read_pending(target);
	target->pending_start = start;
	target->pending_end = end;
	return err;
}

struct matching {
	struct target *target;
	unsigned device;
	enum ds_evidence evidence;
	uint64_t pfn;
};

/* A page that had the frame: does it still, or is there no telling? */
static int judge(const struct matching *matching, uint64_t page)
{
	struct target *target = matching->target;
	uint64_t entry = page_table__entry(target->pagemap, page * PAGE_BYTES);

	if (!(entry & PAGEMAP_PRESENT) || PAGEMAP_PFN(entry) != matching->pfn) {
		pfn_index__remove(target->index, matching->pfn, page);
		if (!page_table__has_page(entry))
			return 0; /* there is no page any more */
		/* It moved, before the write or after it: told, so that nothing is missed. */
		target->moved++;
		if (entry & PAGEMAP_PRESENT &&
		    pfn_index__set(target->index, PAGEMAP_PFN(entry), page))
			return -ENOMEM;
	}
	return page_map__add_device(target->epoch, page, matching->device, matching->evidence);
}

static int search_entries(void *context, uint64_t address, const uint64_t *entries, size_t count)
{
	const struct matching *matching = context;
	int err = 0;

	for (size_t i = 0; i < count && !err; i++)
		if (entries[i] & PAGEMAP_PRESENT && PAGEMAP_PFN(entries[i]) == matching->pfn)
			err = page_map__add_device(matching->target->epoch,
						   address / PAGE_BYTES + i, matching->device,
						   matching->evidence);
	return err;
}

static int match(void *context, unsigned device, enum ds_evidence evidence, uint64_t first_pfn,
		 uint64_t bits)
{
	struct target *target = context;
	uint64_t pages[PFN_INDEX_ALIASES];

	for (; bits; bits &= bits - 1) {
		struct matching matching = {target, device, evidence,
					    first_pfn + (uint64_t)__builtin_ctzll(bits)};
		int count = pfn_index__find(target->index, matching.pfn, pages), err = 0;

		if (count == -E2BIG)
			for (size_t i = 0; i < target->cpu.region_count && !err; i++)
				err = page_table__read(
					target->pagemap, target->cpu.regions[i].start,
					target->cpu.regions[i].end, search_entries, &matching);
		for (int i = 0; i < count && !err; i++)
			err = judge(&matching, pages[i]);
		if (err)
			return err;
	}
	return 0;
}

/*
 * The order matters. First what the CPUs wrote, which protects again: from here on whoever gets
 * hold of a page for a device to write it faults, and comes with the next epoch. Then the frames of
 * these pages, so that a device's write finds them. Then what devices wrote until now.
 */
static int run_epoch(struct target *target)
{
	int err = target->cpu.backend->epoch(&target->cpu, take_cpu, target);

	if (!err)
		err = read_pending(target);
	if (!err && target->index)
		err = target->options.hand_over(target->options.context);
	if (!err && target->index)
		err = write_log__drain(target->log, match, target);
	return err ? err : pin_side__epoch(&target->pins, target->epoch);
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

static int count_entries(void *context, uint64_t address, const uint64_t *entries, size_t count)
{
	uint64_t *resident = context;

	for (size_t i = 0; i < count; i++)
		*resident += entries[i] & PAGEMAP_PRESENT ? 1 : 0;
	return 0;
}

static uint64_t resident_at(struct target *target, uint64_t start, uint64_t end)
{
	uint64_t resident = 0;

	pthread_mutex_lock(&target->lock);
	for (size_t i = 0; i < target->cpu.region_count; i++) {
		const struct map_region *region = &target->cpu.regions[i];
		const uint64_t from = region->start > start ? region->start : start;
		const uint64_t to = region->end < end ? region->end : end;

		if (from < to)
			page_table__read(target->pagemap, from, to, count_entries, &resident);
	}
	pthread_mutex_unlock(&target->lock);
	return resident;
}

uint64_t target__resident(struct target *target, uint64_t start, uint64_t end)
{
	char path[64], text[128];
	unsigned long long size, resident = 0;

	if (end)
		return resident_at(target, start, end);
	/* statm: size resident ..., in pages (Documentation/filesystems/proc.rst) */
	snprintf(path, sizeof(path), "%s/%u/statm", target->options.procfs, target->options.tgid);
	if (files__read(AT_FDCWD, path, text, sizeof(text)) <= 0 ||
	    sscanf(text, "%llu %llu", &size, &resident) != 2)
		return 0;
	return resident;
}

int target__epoch(struct target *target)
{
	int err;

	pthread_mutex_lock(&target->lock);
	err = target->failed;
	if (!err && !is_same_process(target))
		err = -ESRCH;
	if (!err)
		err = run_epoch(target);
	/* It may have ended half-way: then whatever failed, failed for that. */
	if (err && !is_same_process(target))
		err = -ESRCH;
	for (struct subscriber *one = target->subscribers; one && !err; one = one->next)
		err = page_map__merge(one->map, target->epoch);
	page_map__clear(target->epoch);
	target->failed = err;
	pthread_mutex_unlock(&target->lock);
	return err;
}

/* ---- life ---- */

int target__new(const struct target_options *options, struct target **out, char *why, size_t size)
{
	struct target *target = calloc(1, sizeof(*target));
	int err = -ENOMEM;

	*out = NULL;
	*why = '\0';
	if (!target)
		return -ENOMEM;
	target->options = *options;
	target->cpu.uffd = -1;
	target->cpu.procfs = options->procfs;
	target->cpu.start_ticks = options->start_ticks;
	target->cpu.tgid = options->tgid;
	pthread_mutex_init(&target->lock, NULL);
	target->cpu.partial = options->object;
	if (options->object && cpu_side__add_object(&target->cpu, options->object))
		goto cleanup;
	target->epoch = page_map__new();
	if (!target->epoch)
		goto cleanup;
	err = page_table__open(options->procfs, options->tgid, &target->pagemap);
	if (err) {
		snprintf(why, size, "its page table cannot be read: %s%s", strerror(-err),
			 err == -EACCES || err == -EPERM
				 ? "; that needs CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH"
				 : "");
		goto cleanup;
	}
	err = start_device_side(target);
	if (err) {
		snprintf(why, size, "its page frames cannot be followed: %s", strerror(-err));
		goto cleanup;
	}
	err = pin_side__start(&target->pins, options->procfs, options->tgid, options->feed);
	if (err) {
		snprintf(why, size, "its pinned memory cannot be looked at: %s", strerror(-err));
		goto cleanup;
	}
	target->cpu.pagemap = target->pagemap;
	target->cpu.no_faults = options->no_faults;
	err = cpu_side__start(&target->cpu, options->backend);
	target->cpu.no_faults = target->options.no_faults = NULL;
	if (err)
		snprintf(why, size, "%s",
			 *target->cpu.reason ? target->cpu.reason : strerror(-err));
	target->start_stopped_ns = target->cpu.stopped_ns;
	target->cpu.stopped_ns = 0;
	if (!err && target->index)
		err = index_all(target);
	if (!err && !is_same_process(target))
		err = -ESRCH;
cleanup:
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

int target__widen(struct target *target, const struct object_key *object)
{
	int err = 0;

	pthread_mutex_lock(&target->lock);
	if (!object)
		target->cpu.partial = false;
	else if (target->cpu.partial)
		err = cpu_side__add_object(&target->cpu, object);
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

int target__fill(struct target *target, struct page_map *map)
{
	int err = 0;

	pthread_mutex_lock(&target->lock);
	for (size_t i = 0; i < target->cpu.region_count && !err; i++)
		if (target->cpu.regions[i].writable)
			err = page_table__read(target->pagemap, target->cpu.regions[i].start,
					       target->cpu.regions[i].end, fill_entries, map);
	pthread_mutex_unlock(&target->lock);
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
		.start_stopped_ns = target->start_stopped_ns,
		.stopped_ns = target->cpu.stopped_ns,
		.bytes = target->index
				 ? pfn_index__bytes(target->index) + write_log__bytes(target->log)
				 : 0,
		.lost_pages = target->log ? write_log__lost(target->log) : 0,
		.moved = target->moved,
	};
}

const struct map_region *target__regions(const struct target *target, size_t *count)
{
	*count = target->cpu.region_count;
	return target->cpu.regions;
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
			.name = "[added memory]",
			.reason = "memory that the host was given after the agent's start: what "
				  "devices write there is not seen",
		};
	return target->rows;
}

const struct not_covered *target__not_covered(const struct target *target, size_t *count)
{
	*count = target->cpu.not_covered_count;
	return target->cpu.not_covered;
}
