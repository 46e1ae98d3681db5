/* SPDX-License-Identifier: BSD-2-Clause */
/* What a sensor's rows and programs add up to: its numbers, and how well it is. */
#ifndef DIRTYSCOPE_AGENT_KERNEL_SENSORS_H
#define DIRTYSCOPE_AGENT_KERNEL_SENSORS_H

#include "agent/snapshot/snapshot.h"

/* Adds the rows of sensor->id (one per CPU) to its offered, counted and lost. */
void sensor__sum(const volatile struct ds_sensor_stats *rows, uint32_t cpus,
		 struct snapshot_sensor *sensor);
/* Its losses over all reasons. */
uint64_t sensor__lost(const struct snapshot_sensor *sensor);
/* Sets state and reason from its programs, and from its losses where it is losing. */
void sensor__judge(struct snapshot_sensor *sensor);

#endif
