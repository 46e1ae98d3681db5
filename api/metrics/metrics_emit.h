/* SPDX-License-Identifier: BSD-2-Clause */
/* How the rows of the metric table write their samples. */
#ifndef DIRTYSCOPE_API_METRICS_METRICS_EMIT_H
#define DIRTYSCOPE_API_METRICS_METRICS_EMIT_H

#include "api/metrics/metrics.h"

typedef void metric_emit(struct metric_writer *writer, const struct metric_row *row);

metric_emit metric__build_info;
metric_emit metric__written;
metric_emit metric__exited;
metric_emit metric__processes;
metric_emit metric__cgroups;
metric_emit metric__vms;
metric_emit metric__pods;
metric_emit metric__comms;
metric_emit metric__series_other;
/* offset: of a uint64_t in struct snapshot_device. */
metric_emit metric__device;
metric_emit metric__device_info;
metric_emit metric__device_pagecache;
/* offset: of a __u64[DS_DIRECTIONS] in struct snapshot_device. */
metric_emit metric__device_directions;
/* offset: of a __u64 in struct snapshot_device; all devices added up. */
metric_emit metric__device_sum;
metric_emit metric__sensor_up;
/* offset: of a uint64_t in struct snapshot_sensor. */
metric_emit metric__sensor;
metric_emit metric__sensor_lost;
/* offset: of a uint64_t, or a double, in struct snapshot. */
metric_emit metric__host;
metric_emit metric__host_seconds;
metric_emit metric__track_pages;
/* offset: of a uint64_t in struct snapshot_track. */
metric_emit metric__track;
metric_emit metric__tracks;
/* metrics_record.c */
metric_emit metric__record_up;
/* offset: of a uint64_t in struct snapshot. */
metric_emit metric__record;
metric_emit metric__replay;
metric_emit metric__pinned;
/* metrics_policies.c */
metric_emit metric__policies;
metric_emit metric__policy_actions;
metric_emit metric__http_requests;
metric_emit metric__http_connections;

#endif
