// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Reads a live scatterlist for the agent: which pages a device may write now. The list may go
 * meanwhile; its pages were then marked as written when it was unmapped.
 */
#define DS_LIST_IS_READ
#include "bpf/list.h"

DS_ROWS(list_segments, struct ds_segment);

struct list_read {
	struct list_walk walk;
	__u32 count;
};

/* One entry into a row; 1 at the end. */
__weak int read__segment(struct list_read *read)
{
	struct ds_segment *segment;
	__u32 segments, row;
	__u64 before;

	if (!read)
		return 1;
	before = read->walk.bytes;
	segments = read->walk.segments;
	row = read->count;
	if (list__segment(&read->walk))
		return 1;
	if (read->walk.segments == segments)
		return 0;
	segment = bpf_map_lookup_elem(&list_segments, &row);
	if (!segment)
		return 1;
	segment->phys = read->walk.last;
	segment->bytes = read->walk.bytes - before;
	read->count++;
	return 0;
}

static long read__step(__u32 step, struct list_read *read)
{
	return read__segment(read) != 0;
}

SEC("syscall")
int ledger_list(struct ds_list_request *request)
{
	struct list_read read = {};

	read.walk.entry = request->list;
	read.walk.left = request->entries;
	bpf_loop(DS_LIST_SEGMENTS, read__step, &read, 0);
	request->count = read.count;
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
