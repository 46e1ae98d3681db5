/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/tracks/device/owners.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/tracks/shared/maps.h"
#include "agent/tracks/cpu/page_table.h"

#define BUDGET_SECONDS 0.1 /* of CPU time, for all processes of one answer */

struct looking {
	struct owners *owners;
	double until; /* seconds of this thread's CPU time */
	struct page_table *pagemap;
	uint32_t pid;
};

static double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int want_run(void *context, const struct page_run *run)
{
	struct owners *owners = context;

	for (uint64_t pfn = run->page; pfn < run->page + run->pages && pfn < FRAME_SET_FRAMES;
	     pfn++) {
		int err = frame_set__add(&owners->wanted, pfn / 64 * 64, 1ULL << pfn % 64);

		if (err)
			return err;
	}
	return 0;
}

static int look_at_entries(void *context, uint64_t address, const uint64_t *entries, size_t count)
{
	const struct looking *looking = context;
	struct owners *owners = looking->owners;

	for (size_t i = 0; i < count; i++) {
		const uint64_t pfn = PAGEMAP_PFN(entries[i]);

		if (!(entries[i] & PAGEMAP_PRESENT) || !frame_set__has(&owners->wanted, pfn))
			continue;
		if (owners->count == owners->room) {
			size_t room = owners->room ? owners->room * 2 : 256;
			struct owner *more = reallocarray(owners->rows, room, sizeof(*more));

			if (!more)
				return -ENOMEM;
			owners->rows = more;
			owners->room = room;
		}
		owners->rows[owners->count++] =
			(struct owner){pfn, address + i * PAGE_BYTES, looking->pid};
	}
	return seconds_now() < looking->until ? 0 : -ETIME;
}

static int look_at_region(void *context, const struct map_region *region)
{
	struct looking *looking = context;

	/* Not in the page table: what the kernel shows there is not the process's. */
	if (strcmp(region->name, "[vsyscall]") == 0)
		return 0;
	if (seconds_now() >= looking->until)
		return -ETIME;
	return page_table__read_present(looking->pagemap, region->start, region->end,
					look_at_entries, looking);
}

/* A process that is gone, or may not be read, owns nothing that can be told. */
static int look_at_process(const struct owners_options *options, uint32_t pid, double until,
			   struct owners *owners)
{
	struct looking looking = {.owners = owners, .until = until, .pid = pid};
	int err = page_table__open(options->procfs, pid, &looking.pagemap);

	if (!err) {
		page_table__attend(looking.pagemap, options->work);
		err = maps__read(options->procfs, pid, look_at_region, &looking);
		page_table__close(looking.pagemap);
	}
	return err == -ENOMEM ? err : 0;
}

static int by_pfn(const void *a, const void *b)
{
	const struct owner *one = a, *other = b;

	return one->pfn < other->pfn ? -1 : one->pfn > other->pfn;
}

int owners__find(const struct owners_options *options, struct page_map *map, struct owners *owners)
{
	struct snapshot *snapshot = snapshot_store__latest(options->store);
	const double until = seconds_now() + BUDGET_SECONDS;
	struct page_counts counts;
	int err;

	*owners = (struct owners){0};
	err = page_map__walk(map, DS_EVIDENCE_EXPOSED, &counts, want_run, owners);
	for (size_t i = 0; snapshot && i < snapshot->flow_count && !err; i++) {
		const struct snapshot_flow *flow = &snapshot->flows[i];

		if (flow->identity && strcmp(flow->device, options->device) == 0)
			err = look_at_process(options, flow->identity->tgid, until, owners);
	}
	if (snapshot)
		snapshot__put(snapshot);
	if (!err && owners->count)
		qsort(owners->rows, owners->count, sizeof(*owners->rows), by_pfn);
	return err;
}

void owners__free(struct owners *owners)
{
	free(owners->rows);
	frame_set__free(&owners->wanted);
}

/* The first row of that frame, or of one behind it. */
static size_t first_row(const struct owners *owners, uint64_t pfn)
{
	size_t low = 0, high = owners->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (owners->rows[middle].pfn < pfn)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct owner *owners__run(const struct owners *owners, uint64_t pfn, uint64_t pages,
				uint64_t *run)
{
	const size_t at = first_row(owners, pfn);
	const struct owner *owner = at < owners->count ? &owners->rows[at] : NULL;

	*run = pages;
	if (!owner || owner->pfn >= pfn + pages)
		return NULL;
	if (owner->pfn > pfn) {
		*run = owner->pfn - pfn;
		return NULL;
	}
	for (*run = 1; *run < pages; ++*run) {
		const size_t next = first_row(owners, pfn + *run);

		if (next == owners->count || owners->rows[next].pfn != pfn + *run ||
		    owners->rows[next].pid != owner->pid ||
		    owners->rows[next].address != owner->address + *run * PAGE_BYTES)
			break;
	}
	return owner;
}
