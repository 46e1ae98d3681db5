/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef DIRTYSCOPE_BPF_SWIOTLB_H
#define DIRTYSCOPE_BPF_SWIOTLB_H

#include "bpf/account.h"

static __always_inline int swiotlb__account(struct device *dev, __u64 size)
{
	struct ds_sensor_stats *sensor = event__offer(DS_SENSOR_SWIOTLB);
	__u32 slot = DS_SLOT_NONE, lost = DS_LOST_NOT;
	struct ds_device_stats *stats;

	if (dev)
		slot = device__slot(dev);
	if (slot == DS_SLOT_NONE)
		lost = dev ? DS_LOST_DEVICES_FULL : DS_LOST_UNKNOWN_DEVICE;
	stats = device__stats(slot);
	if (stats) {
		ds_add(stats->swiotlb_bounces, 1);
		ds_add(stats->swiotlb_bytes, size);
	}
	event__close_device(sensor, stats, lost);
	return 0;
}

#endif
