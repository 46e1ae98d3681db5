/* SPDX-License-Identifier: BSD-2-Clause */
/* What /proc/vmstat says of the page cache that waits to be written back. */
#ifndef DIRTYSCOPE_AGENT_HOST_VMSTAT_H
#define DIRTYSCOPE_AGENT_HOST_VMSTAT_H

#include "agent/snapshot/snapshot.h"

/* known is false where the file does not have all of them. */
void vmstat__read(const char *procfs, struct snapshot_writeback *writeback);

#endif
