/* SPDX-License-Identifier: BSD-2-Clause */
/* The samples of tracks. */
#include <inttypes.h>
#include <string.h>

#include "api/metrics/metrics_emit.h"

void metric__tracks(struct metric_writer *writer, const struct metric_row *row)
{
	size_t active = 0;

	for (size_t i = 0; i < writer->snapshot->track_count; i++)
		active += !writer->snapshot->tracks[i].ended;
	text__printf(writer->out, "%s %zu\n", row->name, active);
}

void metric__track_pages(struct metric_writer *writer, const struct metric_row *row)
{
	for (size_t i = 0; i < writer->snapshot->track_count; i++) {
		const struct snapshot_track *track = &writer->snapshot->tracks[i];

		if (track->ended)
			continue;
		for (int by = 0; by < DS_TRACK_WRITERS; by++)
			text__printf(writer->out,
				     "%s{track=\"%" PRIu64 "\",writer=\"%s\"} %" PRIu64 "\n",
				     row->name, track->id, ds_track_writer_names[by],
				     track->pages[by]);
	}
}

void metric__track(struct metric_writer *writer, const struct metric_row *row)
{
	for (size_t i = 0; i < writer->snapshot->track_count; i++) {
		const struct snapshot_track *track = &writer->snapshot->tracks[i];
		uint64_t value;

		if (track->ended)
			continue;
		memcpy(&value, (const char *)track + row->offset, sizeof(value));
		text__printf(writer->out, "%s{track=\"%" PRIu64 "\"} %" PRIu64 "\n", row->name,
			     track->id, value);
	}
}
