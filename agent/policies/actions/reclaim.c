/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/policies/actions/reclaim.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "agent/host/procfs.h"
#include "agent/tracks/shared/maps.h"
#include "agent/tracks/cpu/page_table.h"

#define SPANS_MAX 512 /* of one call; UIO_MAXIOV is 1024 */

struct reclaim {
	const struct agent_config *config;
	struct tracks *tracks;
	struct report *report;
	const struct policy_track_request *request;
	uint64_t from; /* where it goes on, bytes */
	uint64_t next; /* epoch in which it begins again, once it was all around */
	int said;      /* errno of the last failure, so that it is told once */
};

/* The state of one pass over a process. */
struct sweep {
	struct reclaim *reclaim;
	uint64_t track;
	struct page_table *pagemap;
	int pidfd;
	struct iovec spans[SPANS_MAX];
	size_t span_count;
	uint64_t chosen, taken; /* bytes */
	uint64_t end;		/* behind the last that was chosen */
	bool full;
	int err; /* why it ended */
};

struct reclaim *reclaim__new(const struct agent_config *config, struct tracks *tracks,
			     struct report *report, const struct policy_track_request *request)
{
	struct reclaim *reclaim = calloc(1, sizeof(*reclaim));

	if (!reclaim)
		return NULL;
	*reclaim = (struct reclaim){config, tracks, report, request, 0, request->reclaim.epochs, 0};
	return reclaim;
}

void reclaim__free(struct reclaim *reclaim)
{
	free(reclaim);
}

static int flush(struct sweep *sweep)
{
	const int advice =
		sweep->reclaim->request->reclaim.advice == RECLAIM_COLD ? MADV_COLD : MADV_PAGEOUT;
	long done;

	if (!sweep->span_count)
		return 0;
	done = syscall(SYS_process_madvise, sweep->pidfd, sweep->spans, sweep->span_count, advice,
		       0);
	sweep->span_count = 0;
	if (done < 0) {
		sweep->err = -errno;
		return sweep->err;
	}
	sweep->taken += (uint64_t)done;
	return 0;
}

static int add_span(void *context, uint64_t start, uint64_t pages)
{
	struct sweep *sweep = context;
	const uint64_t room = sweep->reclaim->request->reclaim.most - sweep->chosen;
	uint64_t bytes = pages * PAGE_BYTES;

	if (bytes > room)
		bytes = room / PAGE_BYTES * PAGE_BYTES;
	if (bytes) {
		sweep->spans[sweep->span_count++] = (struct iovec){
			(void *)(uintptr_t)start, bytes}; // NOLINT(performance-no-int-to-ptr)
		sweep->chosen += bytes;
		sweep->end = start + bytes;
	}
	if (bytes < pages * PAGE_BYTES) {
		sweep->full = true;
		return 1;
	}
	return sweep->span_count == SPANS_MAX ? flush(sweep) : 0;
}

/* What is there in memory, from start to end: of that, what nobody wrote. */
static int reclaim_take_present(void *context, uint64_t start, uint64_t end)
{
	struct sweep *sweep = context;
	const struct policy_track_request *request = sweep->reclaim->request;

	return tracks__unwritten(sweep->reclaim->tracks, sweep->track, request->pid, start, end,
				 (uint32_t)request->reclaim.epochs, add_span, sweep);
}

/* Where the kernel has no PAGEMAP_SCAN: runs of present pages. */
static int reclaim_entries(void *context, uint64_t address, const uint64_t *entries, size_t count)
{
	size_t first = 0;
	int err = 0;

	for (size_t i = 0; i <= count && !err; i++) {
		if (i < count && entries[i] & PAGEMAP_PRESENT)
			continue;
		if (i > first)
			err = reclaim_take_present(context, address + first * PAGE_BYTES,
						   address + i * PAGE_BYTES);
		first = i + 1;
	}
	return err;
}

/* Private anonymous memory: the heap, mappings, named ones; no stack, nothing of the kernel's. */
static bool is_wanted(const struct map_region *region)
{
	const bool named = region->name[0] == '[' && strcmp(region->name, "[heap]") != 0 &&
			   strncmp(region->name, "[anon:", 6) != 0;

	return region->inode == 0 && region->writable && !region->shared && !named;
}

static int reclaim_region(void *context, const struct map_region *region)
{
	struct sweep *sweep = context;
	const struct page_table_scan scan = {
		.mask = PAGE_IS_PRESENT,
		.each = reclaim_take_present,
		.context = sweep,
	};
	const uint64_t from = sweep->reclaim->from;
	uint64_t start = region->start;
	int err;

	if (!is_wanted(region) || region->end <= from)
		return 0;
	if (start < from)
		start = from;
	err = page_table__scan(sweep->pagemap, start, region->end, &scan);
	if (err == -ENOTTY || err == -EINVAL)
		err = page_table__read(sweep->pagemap, start, region->end, reclaim_entries, sweep);
	return err;
}

/* The descriptor holds the process; the track was made for the one that began then. */
static int open_process(const struct reclaim *reclaim)
{
	const struct policy_track_request *request = reclaim->request;
	const struct ds_process_key key = {.tgid = request->pid,
					   .start_boottime_ns = request->key.second};
	int fd = (int)syscall(SYS_pidfd_open, request->pid, 0);

	if (fd < 0)
		return -errno;
	if (request->kind == TARGET_PROCESS && !procfs__is_alive(reclaim->config->procfs, &key)) {
		close(fd);
		return -ESRCH;
	}
	return fd;
}

static void tell(struct reclaim *reclaim, int err, const struct sweep *sweep)
{
	char reason[128];

	if (err < 0) {
		if (reclaim->said != err)
			report__add(reclaim->report, reclaim->request->tag, "failed", "warning",
				    strerror(-err));
		reclaim->said = err;
	} else if (sweep->taken) {
		reclaim->said = 0;
		snprintf(reason, sizeof(reason),
			 "%" PRIu64 " pages, unwritten for %" PRIu64 " epochs",
			 (uint64_t)(sweep->taken / PAGE_BYTES), reclaim->request->reclaim.epochs);
		report__add(reclaim->report, reclaim->request->tag, "advised", "info", reason);
	}
}

void reclaim__run(struct reclaim *reclaim, uint64_t track, uint64_t epoch)
{
	struct sweep *sweep;
	int err;

	if (epoch < reclaim->next)
		return;
	sweep = calloc(1, sizeof(*sweep));
	if (!sweep)
		return;
	sweep->reclaim = reclaim;
	sweep->track = track;
	sweep->pidfd = open_process(reclaim);
	err = sweep->pidfd < 0 ? sweep->pidfd : 0;
	if (!err)
		err = page_table__open(reclaim->config->procfs, reclaim->request->pid,
				       &sweep->pagemap);
	if (!err)
		err = maps__read(reclaim->config->procfs, reclaim->request->pid, reclaim_region,
				 sweep);
	if (sweep->err || sweep->full)
		err = sweep->err;
	if (!err)
		err = flush(sweep);
	reclaim->from = sweep->full ? sweep->end : 0;
	reclaim->next = epoch + (sweep->full ? 1 : reclaim->request->reclaim.epochs);
	tell(reclaim, err, sweep);
	page_table__close(sweep->pagemap);
	if (sweep->pidfd >= 0)
		close(sweep->pidfd);
	free(sweep);
}
