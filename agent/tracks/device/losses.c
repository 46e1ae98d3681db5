/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/tracks/device/losses.h"

#include <stdio.h>

/* The others say nothing of pages: who asked for them, or how many there were. */
static const struct {
	bool process, device; /* tracks that it concerns */
	const char *reason;
} loss_table[DS_LOST_REASONS] = {
	[DS_LOST_DEVICES_FULL] =
		{false, true,
		 "writes of a device that has no row, since the table of devices is "
		 "full: they are in no device's track"},
	[DS_LOST_UNKNOWN_DEVICE] =
		{false, true,
		 "writes of which the kernel does not say the device: they are in "
		 "no device's track"},
	[DS_LOST_MAPPINGS_FULL] = {true, true,
				   "memory that was mapped for a device, and is not known as "
				   "exposed, nor as written: the ledger had no room "
				   "(--max-mappings)"},
	[DS_LOST_CONTENDED] = {true, true,
			       "memory that was mapped for a device, and is not known as exposed, "
			       "nor as written: another CPU held the ledger for too long"},
	[DS_LOST_TRUNCATED] =
		{true, true,
		 "device writes into lists of memory that were too long to walk, or in "
		 "use for something else already"},
	[DS_LOST_PFN_RANGE] = {true, true, "device writes beyond all page sets"},
	[DS_LOST_PAGE_SETS_FULL] = {true, true,
				    "device writes for which no piece of a page set was left "
				    "(--page-set-memory)"},
	[DS_LOST_RECURSION] = {true, true,
			       "device writes that a program did not see, since the kernel ran it "
			       "on that CPU already"},
};

void losses__start(struct losses *losses, const struct write_feed *feed)
{
	losses->count = 0;
	write_feed__lost(feed, losses->seen);
}

void losses__epoch(struct losses *losses, const struct write_feed *feed, bool device)
{
	uint64_t now[DS_LOST_REASONS];

	losses->count = 0;
	write_feed__lost(feed, now);
	for (int reason = 0; reason < DS_LOST_REASONS; reason++) {
		const uint64_t events = now[reason] - losses->seen[reason];
		struct not_covered *row = &losses->rows[losses->count];

		losses->seen[reason] = now[reason];
		if (!events || !(device ? loss_table[reason].device : loss_table[reason].process))
			continue;
		*row = (struct not_covered){
			.kind = NOT_COVERED_LOST,
			.events = events,
			.reason = loss_table[reason].reason,
		};
		snprintf(row->name, sizeof(row->name), "%s", ds_lost_names[reason]);
		losses->count++;
	}
}
