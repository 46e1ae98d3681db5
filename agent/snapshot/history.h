/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The last 15 minutes: totals, and the busiest processes and devices of each interval.
 * Written by the sampler, read by any thread; a reader gets a copy.
 */
#ifndef DIRTYSCOPE_AGENT_SNAPSHOT_HISTORY_H
#define DIRTYSCOPE_AGENT_SNAPSHOT_HISTORY_H

#include "agent/snapshot/snapshot.h"

#define HISTORY_SECONDS 900
#define HISTORY_BUSIEST 8 /* processes, and devices, kept per interval */

struct history_point {
	struct timespec time;
	double rates[DS_WRITERS];
	double dirty_pages; /* distinct device-written pages per second */
	uint64_t exposed_pages;
	struct history_process {
		uint32_t tgid;
		uint64_t start_boottime_ns;
		char comm[DS_COMM_LEN];
		double rate; /* all writers */
	} processes[HISTORY_BUSIEST];
	struct history_device {
		char id[64];
		double rate;
	} devices[HISTORY_BUSIEST];
	uint32_t process_count, device_count;
};

struct history;
/* capacity: points kept, at least 1. NULL when memory is short. */
struct history *history__new(size_t capacity);
void history__free(struct history *history);
void history__add(struct history *history, const struct snapshot *snapshot);
/*
 * Copies the points not older than `window` seconds before the newest, oldest first, into a
 * newly allocated array that the caller frees. Returns their number, or -ENOMEM.
 */
int history__read(struct history *history, double window, struct history_point **points);

#endif
