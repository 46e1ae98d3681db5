/* SPDX-License-Identifier: BSD-2-Clause */
/* The samples of a record: that which is written, and that which is replayed. */
#include <inttypes.h>
#include <string.h>

#include "api/metrics/metrics_emit.h"

void metric__record_up(struct metric_writer *writer, const struct metric_row *row)
{
	const struct snapshot_record *record = &writer->snapshot->record;

	if (record->state != RECORD_OFF)
		text__printf(writer->out, "%s %d\n", row->name, record->state == RECORD_WRITING);
}

void metric__record(struct metric_writer *writer, const struct metric_row *row)
{
	uint64_t value;

	if (writer->snapshot->record.state == RECORD_OFF)
		return;
	memcpy(&value, (const char *)writer->snapshot + row->offset, sizeof(value));
	text__printf(writer->out, "%s %" PRIu64 "\n", row->name, value);
}

void metric__replay(struct metric_writer *writer, const struct metric_row *row)
{
	if (writer->snapshot->replay)
		text__printf(writer->out, "%s 1\n", row->name);
}
