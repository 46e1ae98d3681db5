/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What sensors lost while an epoch lasted, of what devices write: then its device side is not
 * complete. A loss names no page, and a sensor that lost an event does not know whose page it was
 * about, so every track has it.
 */
#ifndef DIRTYSCOPE_AGENT_TRACKS_DEVICE_LOSSES_H
#define DIRTYSCOPE_AGENT_TRACKS_DEVICE_LOSSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/snapshot/snapshot.h"
#include "agent/tracks/base/not_covered.h"
#include "agent/tracks/device/write_feed.h"

struct losses {
	uint64_t seen[DS_LOST_REASONS]; /* up to the last epoch's end */
	struct not_covered rows[DS_LOST_REASONS];
	size_t count; /* of the last epoch */
};

/* What was lost until now is not this track's. */
void losses__start(struct losses *losses, const struct write_feed *feed);
/*
 * After the sweep that ends an epoch. device: the track is on a device, which does not have the
 * pages of which the device is not known; a process has them, as anybody's.
 */
void losses__epoch(struct losses *losses, const struct write_feed *feed, bool device);

#endif
