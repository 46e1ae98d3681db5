/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What can be said of a device's writes on this kernel, in this IOMMU mode: which sensors see
 * them, why its exposure may be unknown, and what no sensor sees. Three tables of rules in
 * coverage.c: to add a rule is to add a row.
 */
#ifndef DIRTYSCOPE_AGENT_INVENTORY_COVERAGE_H
#define DIRTYSCOPE_AGENT_INVENTORY_COVERAGE_H

#include "agent/base/arena.h"
#include "agent/snapshot/snapshot.h"

/* All that the rules look at. Strings are never NULL. */
struct coverage_facts {
	const struct snapshot_sensor *sensors; /* DS_SENSOR_COUNT, judged */
	const struct ds_device_stats *stats;
	uint32_t flags; /* DS_SOURCE_*, of all its sources */
	const char *bus, *driver;
	const char *iommu_domain;     /* "" where no IOMMU translates, or it is not told */
	size_t disks, netdevs;	      /* its names */
	bool platform_dma;	      /* virtio: it uses the DMA API */
	bool unattributed;	      /* it is the shared set, not a device */
	bool has_page_set, no_ledger; /* --no-ledger */
	bool premapped;		      /* it had a driver before the agent came */
	bool rings_premapped;	      /* its netdev was up then, and not down since */
	struct timespec since;	      /* it was found; realtime */
	struct timespec mapped_since; /* from then on each of its mappings was seen being made */
};

/* Fills in coverage, not_seen, exposed_known, exposed_reason, virtio and vfio. -ENOMEM, or 0. */
int coverage__judge(const struct coverage_facts *facts, struct arena *arena,
		    struct snapshot_device *row);

#endif
