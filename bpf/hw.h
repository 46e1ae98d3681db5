/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef DIRTYSCOPE_BPF_HW_H
#define DIRTYSCOPE_BPF_HW_H

#include "bpf/page_sets.h"

/* The hardware's own report, while a VMM harvests it. It names no device: host-wide, slot 0. */
static __always_inline int hw__reported(__u64 iova, __u64 bytes)
{
	struct ds_sensor_stats *sensor = event__offer(DS_SENSOR_HW);
	struct ds_device_stats *stats = device__stats(DS_SLOT_NONE);

	if (stats)
		ds_add(stats->reported_pages, pages__spanned(iova, bytes));
	event__close(sensor, DS_LOST_NOT);
	return 0;
}

#endif
