/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/kernel/tracking.h"

#include <bpf/bpf.h>
#include <errno.h>

#include "agent/host/procfs.h"

/* What was protected before, and still may be: nothing sets soft-dirty bits but a write. */
static uint32_t still_protected(int map, uint32_t tgid, uint64_t start_ticks)
{
	struct ds_tracked row;

	if (bpf_map_lookup_elem(map, &tgid, &row) || row.start_ticks != start_ticks)
		return 0;
	return row.how & DS_PROTECTED_SOFT;
}

int tracking__begin(const struct kernel_tables *tables, uint32_t tgid, uint64_t start_ticks,
		    uint32_t how)
{
	const struct ds_tracked row = {
		.start_ticks = start_ticks,
		.how = how | still_protected(tables->tracked_fd, tgid, start_ticks),
	};

	if (bpf_map_update_elem(tables->tracked_fd, &tgid, &row, BPF_ANY))
		return -errno;
	/* Programs look into the table only from here on; they do so until the agent ends. */
	for (uint32_t cpu = 0; cpu < tables->cpus; cpu++)
		tables->sensor_stats[DS_SENSOR_FAULT * tables->cpus + cpu].tracking = 1;
	return 0;
}

static bool is_alive(const char *procfs, uint32_t tgid, uint64_t start_ticks)
{
	struct procfs_stat stat;

	return procfs__stat(procfs, tgid, &stat) == 0 && stat.start_ticks == start_ticks;
}

void tracking__end(const struct kernel_tables *tables, const char *procfs, uint32_t tgid,
		   uint64_t start_ticks)
{
	const struct ds_tracked row = {
		.start_ticks = start_ticks,
		.how = DS_PROTECTED_PAST | still_protected(tables->tracked_fd, tgid, start_ticks),
	};

	/* The kernel side has taken it out already where it saw its end. */
	bpf_map_update_elem(tables->tracked_fd, &tgid, &row, BPF_EXIST);
	if (!is_alive(procfs, tgid, start_ticks))
		bpf_map_delete_elem(tables->tracked_fd, &tgid);
}
