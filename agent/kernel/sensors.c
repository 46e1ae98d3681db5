/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/kernel/sensors.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/kernel/programs.h"

/*
 * Sums one sensor's rows. "offered" rises before the event is accounted for, so a row may show
 * one event in flight per CPU; reading again is enough, an event takes less than a microsecond.
 */
void sensor__sum(const volatile struct ds_sensor_stats *rows, uint32_t cpus,
		 struct snapshot_sensor *sensor)
{
	for (uint32_t cpu = 0; cpu < cpus; cpu++) {
		const volatile struct ds_sensor_stats *row = &rows[sensor->id * cpus + cpu];
		uint64_t offered, counted, lost[DS_LOST_COUNT], sum;
		int tries = 0;

		do {
			offered = row->offered;
			sum = counted = row->counted;
			for (int reason = 0; reason < DS_LOST_COUNT; reason++)
				sum += lost[reason] = row->lost[reason];
			/* Counters move on: the row was stable if it is the same again. */
		} while ((sum != offered || row->offered != offered) && ++tries < 10000);
		sensor->offered += offered;
		sensor->counted += counted;
		for (int reason = 0; reason < DS_LOST_COUNT; reason++)
			sensor->lost[reason] += lost[reason];
	}
}

static bool is_active(const struct snapshot_sensor *sensor, const char *name)
{
	for (size_t i = 0; i < sensor->program_count; i++)
		if (strcmp(sensor->programs[i].name, name) == 0)
			return sensor->programs[i].state == PROGRAM_ACTIVE;
	return false;
}

/* Whether nothing is missing without it: it only adds, or another one stands in. */
static bool can_be_missed(const struct snapshot_sensor *sensor, const struct program_row *row)
{
	if (!row)
		return false;
	if (row->optional)
		return true;
	for (int i = 0; i < PROGRAM_NAMES; i++)
		if ((row->stand_in[i] && is_active(sensor, row->stand_in[i])) ||
		    (row->yields_to[i] && is_active(sensor, row->yields_to[i])))
			return true;
	return false;
}

void sensor__judge(struct snapshot_sensor *sensor)
{
	size_t active = 0, missing = 0;
	const char *why = "", *first = "";

	for (size_t i = 0; i < sensor->program_count; i++) {
		const struct snapshot_program *program = &sensor->programs[i];
		const struct program_row *row = program__find(program->name);

		active += program->state == PROGRAM_ACTIVE;
		if (program->state == PROGRAM_UNAVAILABLE && !*first)
			first = program->reason;
		if (program->state == PROGRAM_UNAVAILABLE && !can_be_missed(sensor, row)) {
			if (!missing++)
				why = program->reason;
		}
	}
	if (!active) {
		sensor->state = SENSOR_UNAVAILABLE;
		snprintf(sensor->reason, sizeof(sensor->reason), "%s", *why ? why : first);
	} else if (missing) {
		sensor->state = SENSOR_PARTIAL;
		snprintf(sensor->reason, sizeof(sensor->reason),
			 "%zu of its programs cannot run: %s", missing, why);
	} else if (sensor->losing) {
		size_t length;

		sensor->state = SENSOR_PARTIAL;
		length = snprintf(sensor->reason, sizeof(sensor->reason), "degraded: events lost:");
		for (int reason = 0; reason < DS_LOST_REASONS; reason++)
			if (sensor->lost[reason] && length < sizeof(sensor->reason))
				length += snprintf(sensor->reason + length,
						   sizeof(sensor->reason) - length, " %s %" PRIu64,
						   ds_lost_names[reason], sensor->lost[reason]);
	}
}

uint64_t sensor__lost(const struct snapshot_sensor *sensor)
{
	uint64_t lost = 0;

	for (int reason = 0; reason < DS_LOST_REASONS; reason++)
		lost += sensor->lost[reason];
	return lost;
}
