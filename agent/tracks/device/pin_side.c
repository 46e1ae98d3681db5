/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/tracks/device/pin_side.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/tracks/cpu/page_table.h"

/* Bytes whose place is not known, and the sentence for the largest part of them. */
static uint64_t unplaced(const struct pins *pins, const char **reason)
{
	const uint64_t pinned = pins->vm_pin > pins->placed ? pins->vm_pin - pins->placed : 0;
	const uint64_t xdp = pins->by[PIN_XDP], rings = pins->own_rings;

	if (pins->anywhere) {
		*reason = pins->reason;
		return pins->writable;
	}
	if (rings > pinned && rings > xdp)
		*reason = "a ring of io_uring in its own memory: the kernel does not tell where";
	else if (xdp > pinned)
		*reason = "an area of AF_XDP: the kernel does not tell where it is";
	else if (pins->by[PIN_RDMA])
		*reason = "memory regions of RDMA: the kernel does not tell where they are";
	else
		*reason = "pinned by somebody who is not known";
	return pinned + xdp + rings;
}

/*
 * RDMA is asked for once, for all members of the call: it only says what to call the rest of VmPin,
 * which is read now. An area of AF_XDP is no part of VmPin. One that came after another member was
 * looked at, and before this one's memory was protected, is known only if it is asked for now.
 */
static struct pin_sources *sources_of(struct track_work *work)
{
	if (!work)
		return NULL;
	if (work->pin_sources)
		pin_sources__renew_xdp(work->pin_sources);
	else
		work->pin_sources = pin_sources__new();
	return work->pin_sources;
}

static int look(const struct pin_side *side, struct track_work *work, struct pins *pins)
{
	const struct pins_options options = {.procfs = side->procfs,
					     .pid = side->tgid,
					     .sources = sources_of(work),
					     .rings_are_counted = side->ring_is_counted};
	int err = pins__read(&options, pins);

	/* Without a right to its descriptors the sum is known, and none of the places. */
	return err == -ESRCH || err == -ENOMEM ? err : 0;
}

static int add_ranges(const struct pin_side *side, const struct pins *pins, struct page_map *map)
{
	for (size_t i = 0; i < pins->range_count; i++) {
		const struct pin_range *range = &pins->ranges[i];
		unsigned device = write_feed__name(side->feed, pin_kind_names[range->kind]);
		int err = page_map__add_device_pages(map, range->start / PAGE_BYTES,
						     (range->end - range->start) / PAGE_BYTES,
						     device, DS_EVIDENCE_EXPOSED);

		if (err)
			return err;
	}
	return 0;
}

int pin_side__start(struct pin_side *side, const char *procfs, uint32_t tgid,
		    struct write_feed *feed, struct track_work *work)
{
	*side = (struct pin_side){.procfs = procfs,
				  .tgid = tgid,
				  .feed = feed,
				  .ring_is_counted = pins__ring_is_counted()};
	return look(side, work, &side->pins);
}

int pin_side__epoch(struct pin_side *side, struct page_map *map, struct track_work *work)
{
	const char *reason_before, *reason_now;
	uint64_t before, bytes;
	struct pins now;
	int err = look(side, work, &now);

	if (!err)
		err = add_ranges(side, &side->pins, map);
	if (!err)
		err = add_ranges(side, &now, map);
	if (err) {
		pins__clear(&now);
		return err;
	}
	before = unplaced(&side->pins, &reason_before);
	bytes = unplaced(&now, &reason_now);
	side->rest = (struct not_covered){
		.kind = NOT_COVERED_PIN,
		.pages = (before > bytes ? before : bytes) / PAGE_BYTES,
		.name = "[pinned]",
		.reason = before > bytes ? reason_before : reason_now,
	};
	pins__clear(&side->pins);
	side->pins = now;
	return 0;
}

void pin_side__end(struct pin_side *side)
{
	pins__clear(&side->pins);
}
