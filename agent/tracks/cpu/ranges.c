/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/tracks/cpu/ranges.h"

#include <errno.h>
#include <stdlib.h>

#define GROUP 1024 /* at most: where a call fails, each is asked for alone */

/* As it was, or a part of that: another track may have cut it (scope__select()). */
static bool is_of(const struct range *range, const struct map_region *region)
{
	return range->start <= region->start && range->end >= region->end &&
	       range->inode == region->inode &&
	       (!region->inode || range->offset + (region->start - range->start) == region->offset);
}

/* What was of the last epoch becomes what is compared with. */
static void keep(struct cpu_side *side)
{
	struct range *kept = side->ranges_before;
	const size_t room = side->range_before_room;

	side->ranges_before = side->ranges;
	side->range_before_room = side->range_room;
	side->range_before_count = side->ranges ? side->region_count : 0;
	side->ranges = kept;
	side->range_room = room;
}

int ranges__read(struct cpu_side *side)
{
	size_t before = 0;
	int err;

	keep(side);
	err = cpu_side__read_regions(side);
	if (!err && side->range_room < side->region_room) {
		struct range *more =
			reallocarray(side->ranges, side->region_room, sizeof(*side->ranges));

		if (more) {
			side->ranges = more;
			side->range_room = side->region_room;
		} else {
			err = -ENOMEM;
		}
	}
	if (err) {
		side->region_count = 0;
		return err;
	}
	/* Both are in the order of addresses. */
	for (size_t i = 0; i < side->region_count; i++) {
		const struct map_region *region = &side->regions[i];

		while (before < side->range_before_count &&
		       side->ranges_before[before].end <= region->start)
			before++;
		side->ranges[i] = (struct range){region->start,	 region->end, region->inode,
						 region->offset, RANGE_NEW,   false};
		if (before < side->range_before_count &&
		    is_of(&side->ranges_before[before], region)) {
			side->ranges[i].state = side->ranges_before[before].state;
			side->ranges[i].hugetlb = side->ranges_before[before].hugetlb;
		} else {
			side->ranges[i].hugetlb =
				map_region__is_hugetlb(region, side->procfs, side->tgid);
		}
	}
	return 0;
}

size_t ranges__group(const struct cpu_side *side, size_t first)
{
	const struct map_region *regions = side->regions;
	size_t end = first + 1;

	while (end < side->region_count && end - first < GROUP &&
	       regions[end].start == regions[end - 1].end && regions[end].name[0] != '[' &&
	       regions[end].shared == regions[first].shared &&
	       side->ranges[end].state == side->ranges[first].state && !side->ranges[end].hugetlb &&
	       !side->ranges[first].hugetlb)
		end++;
	return end;
}

uint64_t ranges__pages(const struct cpu_side *side)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < side->region_count; i++)
		bytes += side->regions[i].end - side->regions[i].start;
	return bytes / PAGE_BYTES;
}
