/* SPDX-License-Identifier: BSD-2-Clause */
/* Pinned memory, by who holds it. */
#include <inttypes.h>

#include "api/metrics/metrics_emit.h"

static void put(struct metric_writer *writer, const struct metric_row *row, const char *kind,
		uint64_t bytes)
{
	text__printf(writer->out, "%s{kind=\"%s\"} %" PRIu64 "\n", row->name, kind, bytes);
}

void metric__pinned(struct metric_writer *writer, const struct metric_row *row)
{
	const struct snapshot *snapshot = writer->snapshot;
	uint64_t by[PIN_KINDS] = {0}, unexplained = 0;

	if (!snapshot->pins_known)
		return;
	for (size_t i = 0; i < snapshot->pin_count; i++) {
		for (int kind = 0; kind < PIN_KINDS; kind++)
			by[kind] += snapshot->pins[i].by[kind];
		unexplained += snapshot->pins[i].unexplained_bytes;
	}
	for (int kind = 0; kind < PIN_KINDS; kind++)
		put(writer, row, pin_kind_names[kind], by[kind]);
	put(writer, row, "unexplained", unexplained);
}
