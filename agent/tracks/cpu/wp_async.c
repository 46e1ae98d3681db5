/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A userfaultfd of the target in write-protect mode whose faults the kernel resolves by itself
 * (UFFD_FEATURE_WP_ASYNC, Linux 6.7), and PAGEMAP_SCAN, which reads and protects in one step.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/base/log.h"
#include "agent/tracks/cpu/cpu_side.h"
#include "agent/tracks/cpu/ranges.h"
#include "agent/tracks/cpu/userfault.h"
#include "agent/tracks/inject/inject.h"

/*
 * Shared memory is protected also where nothing is, so that what is only read there later is not
 * told as written; up to so much address space, an eighth of a percent of which is page tables.
 */
#define UNPOPULATED_BYTES (8ULL << 30)

/* What the kernel put there, and nobody writes: no page of it belongs to the process. */
static bool is_kernels(const struct map_region *region)
{
	return strcmp(region->name, "[vvar]") == 0 || strcmp(region->name, "[vvar_vclock]") == 0 ||
	       strcmp(region->name, "[vdso]") == 0 || strcmp(region->name, "[vsyscall]") == 0;
}

/* ---- what is not followed ---- */

static const char foreign[] = "it uses userfaultfd there itself";
static const char given_way[] = "it wants to use userfaultfd itself, so the track gave way";

static int leave_out(struct cpu_side *side, const struct map_region *region, int err)
{
	switch (err) {
	case -EPERM: /* a shared mapping of a file that was opened for reading */
		return 0;
	case -EBUSY:
		side->careful = true;
		return cpu_side__leave_out(side, region, foreign);
	case -ENOENT: /* gone meanwhile, or changed: the next epoch looks again */
		return 0;
	case -EINVAL:
		return cpu_side__leave_out(side, region,
					   "the kernel cannot write-protect this kind of memory");
	default:
		return err;
	}
}

/* Protects what is there, and in shared memory what may come, as far as that is cheap. */
static int protect(struct cpu_side *side, const struct map_region *region, struct page_map *known,
		   bool *whole)
{
	const uint64_t bytes = region->end - region->start;

	*whole = region->shared && side->shared_bytes + bytes <= UNPOPULATED_BYTES;
	if (!*whole)
		return page_table__protect(side->pagemap, region->start, region->end);
	side->shared_bytes += bytes;
	/* All of it has page tables then. */
	if (page_map__add_cpu(known, region->start / PAGE_BYTES, bytes / PAGE_BYTES))
		return -ENOMEM;
	return userfault__protect(side->uffd, region->start, region->end);
}

/* ---- the start ---- */

/*
 * Mappings that lie next to each other are registered at once: a process may have 100,000 of them.
 * Where that fails, one of them is at fault, and each is asked for alone.
 */
static int hold_group(struct cpu_side *side, size_t first, size_t end)
{
	int err =
		userfault__hold(side->uffd, side->regions[first].start, side->regions[end - 1].end);

	for (size_t i = first; i < end; i++) {
		int one = end - first == 1 ? err
			  : err		   ? userfault__hold(side->uffd, side->regions[i].start,
							     side->regions[i].end)
					   : 0;

		side->ranges[i].state = one ? RANGE_LEFT : RANGE_HELD;
		one = one ? leave_out(side, &side->regions[i], one) : 0;
		if (one)
			return one;
	}
	return 0;
}

static int hold_all(struct cpu_side *side)
{
	for (size_t i = 0, next; i < side->region_count; i = next) {
		int err;

		next = ranges__group(side, i);
		if (is_kernels(&side->regions[i])) {
			side->ranges[i].state = RANGE_LEFT;
			next = i + 1;
			continue;
		}
		err = hold_group(side, i, next);
		if (err)
			return err;
	}
	return 0;
}

static int protect_all(struct cpu_side *side)
{
	int err = 0;

	track_work__step(side->work, "protecting its memory", ranges__pages(side));
	for (size_t i = 0; i < side->region_count && !err; i++) {
		bool whole;

		if (side->ranges[i].state != RANGE_HELD)
			continue;
		err = protect(side, &side->regions[i], side->known, &whole);
		if (err == -ENOENT || err == -EPERM) { /* gone meanwhile, or another one */
			side->ranges[i].state = RANGE_NEW;
			err = 0;
		}
	}
	return err;
}

static int take_descriptor(struct cpu_side *side, struct reason *why)
{
	const struct inject_options options = {
		.procfs = side->procfs, .tgid = side->process, .start_ticks = side->start_ticks};
	struct inject_result result;
	int err;

	if (!userfault__can_protect()) {
		reason__set(why, "this kernel has no asynchronous write-protection (6.7)");
		return -EOPNOTSUPP;
	}
	side->own_userfaults = userfault__count(side->procfs, side->tgid);
	side->careful = side->own_userfaults;
	err = inject__userfaultfd(&options, &result);
	if (err) {
		reason__set(why, "%s", result.reason.text);
		return err;
	}
	side->uffd = result.fd;
	side->stopped_ns = result.stopped_ns;
	if (!result.outside)
		log_warn("who stops a target may be killed with the agent's cgroup", "pid=%" PRIu32,
			 side->tgid);
	if (userfault__enable(side->uffd)) {
		reason__set(why, "its userfaultfd cannot protect: %s", strerror(errno));
		return -EOPNOTSUPP;
	}
	return 0;
}

static int wp_async_start(struct cpu_side *side, struct reason *why)
{
	const uint64_t before = userfault__page_tables(side->procfs, side->tgid);
	int err = take_descriptor(side, why);

	if (err)
		return err;
	cpu_side__will_protect(side, DS_PROTECTED_WP);
	side->known = page_map__new();
	err = side->known ? ranges__read(side) : -ENOMEM;
	if (!err)
		err = hold_all(side);
	if (!err)
		err = protect_all(side);
	if (err && !page_table__is_alive(side->pagemap))
		err = -ESRCH;
	if (err)
		reason__set(why, "its memory cannot be protected: %s", strerror(-err));
	side->page_table_bytes = userfault__page_tables(side->procfs, side->tgid);
	side->page_table_bytes -= before < side->page_table_bytes ? before : side->page_table_bytes;
	return err;
}

/* ---- what was written ---- */

struct taking {
	struct cpu_side *side;
	struct page_map *written;
	bool shared;
	const struct page_map_chunk *cursor; /* of the known ones */
	struct page_map *fresh;		     /* of shared memory: told, to be known from then on */
	struct page_map *unknown; /* told by the kernel, and not known to have anything in them */
};

/*
 * Where a page table is known to be, the kernel's fast path tells a page that is empty as written,
 * too (pagemap_scan_pmd_entry(), fs/proc/task_mmu.c). Of private memory that is right for a page
 * that had something in it and was emptied, and wrong for the neighbours of one that is new.
 */
static int wp_async_take(void *context, uint64_t start, uint64_t end)
{
	struct taking *taking = context;
	const uint64_t page = start / PAGE_BYTES, pages = (end - start) / PAGE_BYTES;
	int err;

	if (!taking->shared)
		return page_map__divide(taking->side->known, page, pages, taking->written,
					taking->unknown);
	err = page_map__add_cpu(taking->fresh, page, pages);
	return err ? err : page_map__add_cpu(taking->written, page, pages);
}

static int take_entries(void *context, uint64_t address, const uint64_t *entries, size_t count)
{
	const struct taking *taking = context;
	struct cpu_side *side = taking->side;
	int err = side->seen ? side->seen(side->seen_context, address, entries, count) : 0;

	for (size_t i = 0, end; i < count && !err; i = end) {
		const bool there = page_table__has_page(entries[i]);
		const bool read = cpu_side__is_only_read(side, entries[i]);

		for (end = i + 1; end < count && page_table__has_page(entries[end]) == there &&
				  cpu_side__is_only_read(side, entries[end]) == read;)
			end++;
		if (!there)
			continue;
		err = page_map__add_cpu(side->known, address / PAGE_BYTES + i, end - i);
		if (!err && !read)
			err = page_map__add_cpu(taking->written, address / PAGE_BYTES + i, end - i);
	}
	return err;
}

static int read_unknown(void *context, const struct page_run *run)
{
	struct taking *taking = context;

	return page_table__read(taking->side->pagemap, run->page * PAGE_BYTES,
				(run->page + run->pages) * PAGE_BYTES, take_entries, taking);
}

/* All of them are protected by now: nothing may end this half-way. */
static int take_unknown(struct taking *taking)
{
	struct cpu_side *side = taking->side;
	struct page_counts ignored;
	int err = page_map__merge(side->known, taking->fresh);

	if (err || page_map__is_empty(taking->unknown))
		return err;
	page_table__attend(side->pagemap, NULL);
	err = page_map__walk(taking->unknown, DS_EVIDENCE_EXPOSED, &ignored, read_unknown, taking);
	page_table__attend(side->pagemap, side->work);
	page_map__clear(taking->unknown);
	return err;
}

/*
 * Where something is known to have been, whatever is not protected was written or emptied.
 * Elsewhere only what is there: to protect the rest, or to have it told, the kernel would make page
 * tables for all of it (pagemap_scan_pte_hole()).
 */
static int scan_part(void *context, uint64_t page, uint64_t pages, bool is_known)
{
	struct taking *taking = context;
	const struct page_table_scan written = {
		.flags = PM_SCAN_WP_MATCHING | PM_SCAN_CHECK_WPASYNC,
		.mask = PAGE_IS_WRITTEN,
		.anyof = is_known ? 0 : PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
		.each = wp_async_take,
		.context = taking,
	};

	return page_table__scan(taking->side->pagemap, page * PAGE_BYTES,
				(page + pages) * PAGE_BYTES, &written);
}

static int scan(struct taking *taking, uint64_t start, uint64_t end, bool shared)
{
	taking->shared = shared;
	return page_map__by_chunk(taking->side->known, &taking->cursor, start / PAGE_BYTES,
				  (end - start) / PAGE_BYTES, scan_part, taking);
}

static int take_known(void *context, uint64_t page, uint64_t pages, bool is_known)
{
	const struct taking *taking = context;

	return is_known ? page_map__add_cpu(taking->written, page, pages) : 0;
}

/*
 * A mapping that we have not seen: new, moved, or grown out of nothing. All that is in it was
 * written, as far as anybody can tell. What it holds of its own, its page table tells, since
 * nothing there is protected yet; what it shows of a file, the file.
 */
static int take_new(struct taking *taking, size_t index)
{
	struct cpu_side *side = taking->side;
	const struct map_region *region = &side->regions[index];
	bool whole = false;
	int err = userfault__hold(side->uffd, region->start, region->end);

	if (err) {
		side->ranges[index].state = RANGE_LEFT;
		return leave_out(side, region, err);
	}
	side->ranges[index].state = RANGE_LEFT; /* until all of it is told */
	/* What was there before is there no more, or again. */
	err = page_map__split(side->known, region->start / PAGE_BYTES,
			      (region->end - region->start) / PAGE_BYTES, take_known, taking);
	if (err)
		return err;
	page_map__remove_cpu(side->known, region->start / PAGE_BYTES,
			     (region->end - region->start) / PAGE_BYTES);
	/* In this order: whoever writes before the protection is in the object by then. */
	if (region->inode && region->shared && region->writable)
		err = protect(side, region, taking->fresh, &whole);
	if (!err)
		err = cpu_side__take_file(side, region, taking->written);
	if (!err)
		side->ranges[index].state = RANGE_HELD;
	if (!err && !whole)
		err = scan(taking, region->start, region->end, region->shared);
	return err == -ENOENT || err == -EPERM ? 0 : err; /* gone again */
}

/* Whoever else has a userfaultfd in this process may have taken the range since. */
static int take_careful(struct taking *taking, size_t index)
{
	struct cpu_side *side = taking->side;
	const struct map_region *region = &side->regions[index];
	int err;

	if (!page_table__is_registered(side->pagemap, region->start))
		return take_new(taking, index);
	err = userfault__hold(side->uffd, region->start, region->end);
	side->ranges[index].state = err ? RANGE_LEFT : RANGE_HELD;
	if (err)
		return leave_out(side, region, err);
	return scan(taking, region->start, region->end, region->shared);
}

static int take_region(struct taking *taking, size_t index)
{
	struct cpu_side *side = taking->side;
	const struct map_region *region = &side->regions[index];
	int err;

	if (side->ranges[index].state == RANGE_LEFT)
		return take_new(taking, index);
	if (side->careful)
		return take_careful(taking, index);
	err = scan(taking, region->start, region->end, region->shared);
	if (err == -EPERM)
		return take_new(taking, index);
	if (!err)
		side->ranges[index].state = RANGE_HELD;
	return err;
}

static int take_dropped(void *context, uint64_t start, uint64_t end)
{
	struct taking *taking = context;
	struct page_map *known = taking->side->known;
	const uint64_t page = start / PAGE_BYTES, pages = (end - start) / PAGE_BYTES;
	int err = page_map__split(known, page, pages, take_known, taking);

	page_map__remove_cpu(known, page, pages);
	return err;
}

/*
 * Of hugetlb the kernel does not tell as written what is there no more
 * (pagemap_hugetlb_category(), fs/proc/task_mmu.c). Where it was still protected, a marker is left,
 * as of swap: in shared memory such a page is still in its file, private memory is empty then.
 */
static int take_emptied(struct taking *taking, const struct map_region *region)
{
	const uint64_t gone = PAGE_IS_PRESENT | (region->shared ? PAGE_IS_SWAPPED : 0);
	const struct page_table_scan emptied = {
		.mask = gone, .inverted = gone, .each = take_dropped, .context = taking};

	return page_table__scan(taking->side->pagemap, region->start, region->end, &emptied);
}

static int take_group(struct taking *taking, size_t first, size_t end)
{
	struct cpu_side *side = taking->side;
	int err = -EPERM;

	if (end - first > 1)
		err = scan(taking, side->regions[first].start, side->regions[end - 1].end,
			   side->regions[first].shared);
	/* One of them is not what it was. */
	if (err == -EPERM)
		err = 0;
	else
		return err;
	for (size_t i = first; i < end && !err; i++)
		err = take_region(taking, i);
	return err;
}

static int take_all(struct taking *taking)
{
	struct cpu_side *side = taking->side;
	int err = 0;

	track_work__step(side->work, "reading what was written", ranges__pages(side));
	for (size_t i = 0, next; i < side->region_count && !err; i = next) {
		/* A group is scanned before any of it is asked for: only what is held. */
		next = side->careful || side->ranges[i].state != RANGE_HELD
			       ? i + 1
			       : ranges__group(side, i);
		if (is_kernels(&side->regions[i])) {
			side->ranges[i].state = RANGE_LEFT;
			next = i + 1;
			continue;
		}
		err = take_group(taking, i, next);
		if (!err && side->ranges[i].hugetlb && side->ranges[i].state == RANGE_HELD)
			err = take_emptied(taking, &side->regions[i]);
	}
	return err;
}

/* ---- giving way ---- */

/* Has it a userfaultfd more than it had? What it registers is refused while we hold that. */
static bool wants_its_own(struct cpu_side *side)
{
	return userfault__count(side->procfs, side->tgid) > side->own_userfaults;
}

static int give_way(struct cpu_side *side)
{
	int err = 0;

	for (size_t i = 0; i < side->region_count && !err; i++) {
		const struct map_region *region = &side->regions[i];

		if (side->ranges[i].state == RANGE_HELD)
			userfault__let_go(side->uffd, region->start, region->end);
		side->ranges[i].state = RANGE_LEFT;
		if (!is_kernels(region))
			err = cpu_side__leave_out(side, region, given_way);
	}
	side->shared_bytes = 0;
	return err;
}

static int wp_async_epoch(struct cpu_side *side, struct page_map *written)
{
	struct taking taking = {.side = side, .written = written};
	const bool wanted = wants_its_own(side);
	int err, more;

	taking.unknown = page_map__new();
	taking.fresh = page_map__new();
	err = taking.unknown && taking.fresh ? ranges__read(side) : -ENOMEM;
	if (!err && !(wanted && side->given_way)) {
		err = take_all(&taking);
		more = take_unknown(&taking);
		err = more ? more : err;
	}
	if (!err && wanted) {
		side->not_covered_count = 0;
		err = give_way(side);
	}
	if (!err)
		side->given_way = wanted;
	page_map__free(taking.unknown);
	page_map__free(taking.fresh);
	return err;
}

static int let_go_region(void *context, const struct map_region *region)
{
	const struct cpu_side *side = context;

	userfault__let_go(side->uffd, region->start, region->end);
	return 0;
}

/*
 * Closing the last descriptor would do the same (userfaultfd_release(), fs/userfaultfd.c), but a
 * child that the target forked while it had ours for a moment holds another one of it.
 */
static void wp_async_end(struct cpu_side *side)
{
	if (side->uffd >= 0)
		maps__read(side->procfs, side->tgid, let_go_region, side);
}

const struct cpu_backend cpu_wp_async = {
	.name = "pagemap-scan",
	.start = wp_async_start,
	.epoch = wp_async_epoch,
	.end = wp_async_end,
};
