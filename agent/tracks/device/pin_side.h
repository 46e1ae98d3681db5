/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pinned memory of a target: the kernel, or a device that reports to nobody, may write it at any
 * time without a page-table bit and without DMA that is seen (agent/host/pins.h). Where a pin is
 * known to be, its pages are exposed in every epoch that it lives in; the rest is not covered.
 *
 * Who pins memory in the middle of an epoch faults it in for writing, so that the CPU side tells it
 * (pin_user_pages() with FOLL_WRITE, mm/gup.c): what was pinned at either end of an epoch is
 * enough. Memory that is only ever a source of a device's reads is pinned likewise, and told too
 * often.
 */
#ifndef DIRTYSCOPE_AGENT_TRACKS_DEVICE_PIN_SIDE_H
#define DIRTYSCOPE_AGENT_TRACKS_DEVICE_PIN_SIDE_H

#include "agent/host/pins.h"
#include "agent/tracks/base/not_covered.h"
#include "agent/tracks/base/work.h"
#include "agent/tracks/device/write_feed.h"

struct pin_side {
	const char *procfs;
	uint32_t tgid;
	bool ring_is_counted;	 /* in VmPin, on this kernel */
	struct write_feed *feed; /* for the numbers of those who pin */
	struct pins pins;	 /* as of the last epoch's end */
	struct not_covered rest; /* of the last epoch; no pages: nothing is left */
};

/*
 * Looks for the first time. All is borrowed, the work for this call alone; it may be NULL. -ESRCH,
 * -ENOMEM, or 0.
 */
int pin_side__start(struct pin_side *side, const char *procfs, uint32_t tgid,
		    struct write_feed *feed, struct track_work *work);
/*
 * Adds the pages that were pinned at either end of this epoch, of which the CPU side is done.
 * -ESRCH, -ENOMEM, or 0.
 */
int pin_side__epoch(struct pin_side *side, struct page_map *map, struct track_work *work);
void pin_side__end(struct pin_side *side);

#endif
