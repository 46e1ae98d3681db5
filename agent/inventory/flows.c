/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/inventory/flows.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "agent/base/arena.h"

#define BATCH 1024
#define ROOM_SHARE 4   /* of the kernel's rows, that part is wanted free */
#define IDLE_SAMPLES 2 /* without a request, until a flow may leave */

struct flow_key {
	struct ds_process_key process;
	const void *device;
};

struct flow {
	struct flow_key key;
	struct process_identity *identity; /* NULL: process not known */
	struct ds_flow_stats carried;	   /* of slots that were given back */
	struct ds_flow_stats now, previous;
	double rate;
	uint32_t rows;	/* of the kernel's table, as of the last look */
	uint64_t moved; /* the sample in which it gained something last */
	bool left;	/* its rows were taken: it leaves the list unless it comes again */
	UT_hash_handle hh;
};

struct flows {
	const struct kernel_tables *tables;
	flows__device_of device_of;
	flows__device_id device_id;
	void *context;
	struct flow *by_key; /* uthash */
	struct ds_flow_key *keys;
	struct ds_flow_stats *values;
	uint32_t used; /* rows of the kernel's table */
	uint64_t samples;
	uint64_t unknown_pages;
};

int flows__new(const struct kernel_tables *tables, flows__device_of device_of,
	       flows__device_id device_id, void *context, struct flows **out)
{
	struct flows *flows = calloc(1, sizeof(*flows));

	*out = NULL;
	if (!flows)
		return -ENOMEM;
	flows->tables = tables;
	flows->device_of = device_of;
	flows->device_id = device_id;
	flows->context = context;
	flows->keys = calloc(tables->max_flows, sizeof(*flows->keys));
	flows->values = calloc(tables->max_flows, sizeof(*flows->values));
	if (!flows->keys || !flows->values) {
		flows__free(flows);
		return -ENOMEM;
	}
	*out = flows;
	return 0;
}

static void free_flow(struct flows *flows, struct flow *flow)
{
	HASH_DEL(flows->by_key, flow);
	process_identity__put(flow->identity);
	free(flow);
}

void flows__free(struct flows *flows)
{
	struct flow *flow, *next;

	if (!flows)
		return;
	HASH_ITER (hh, flows->by_key, flow, next)
		free_flow(flows, flow);
	free(flows->keys);
	free(flows->values);
	free(flows);
}

/* The whole table in a few system calls. A row that comes or goes meanwhile is seen next time. */
static int read_table(struct flows *flows)
{
	LIBBPF_OPTS(bpf_map_batch_opts, options);
	uint32_t cursor = 0, next = 0, total = 0;
	bool first = true;
	int err = 0;

	while (!err && total < flows->tables->max_flows) {
		uint32_t count = flows->tables->max_flows - total;

		if (count > BATCH)
			count = BATCH;
		err = bpf_map_lookup_batch(flows->tables->flows_fd, first ? NULL : &cursor, &next,
					   flows->keys + total, flows->values + total, &count,
					   &options);
		if (err && err != -ENOENT && err != -ENOSPC) /* ENOSPC: rows came meanwhile */
			return err;
		total += count;
		cursor = next;
		first = false;
	}
	flows->used = total;
	return 0;
}

static bool is_nobody(const struct ds_process_key *key)
{
	return !key->tgid && !key->start_boottime_ns;
}

static struct flow *find_flow(struct flows *flows, const struct ds_process_key *process,
			      const void *device)
{
	struct flow_key key = {.process = *process, .device = device};
	struct flow *flow;

	HASH_FIND(hh, flows->by_key, &key, sizeof(key), flow);
	if (flow)
		return flow;
	flow = calloc(1, sizeof(*flow));
	if (!flow)
		return NULL;
	flow->key = key;
	HASH_ADD(hh, flows->by_key, key, sizeof(flow->key), flow);
	return flow;
}

static void add(struct ds_flow_stats *sum, const struct ds_flow_stats *more)
{
	sum->pages += more->pages;
	sum->bytes += more->bytes;
	sum->requests += more->requests;
}

/* What a flow gained goes to its process, whose newest names the flow takes on. */
static int settle(struct flows *flows, struct flow *flow, struct processes *processes, double now,
		  double seconds)
{
	uint64_t delta = flow->now.pages - flow->previous.pages;
	struct process_record *record;

	flow->rate = seconds > 0 ? delta / seconds : 0;
	if (memcmp(&flow->previous, &flow->now, sizeof(flow->now)) != 0)
		flow->moved = flows->samples;
	flow->previous = flow->now;
	if (is_nobody(&flow->key.process)) {
		flows->unknown_pages += delta;
		return 0;
	}
	record = processes__find(processes, &flow->key.process, now);
	if (!record)
		return -ENOMEM;
	process_record__add_dma(record, delta);
	process_identity__put(flow->identity);
	flow->identity = process_identity__get(process_record__identity(record));
	return 0;
}

static int compare_moved(const void *a, const void *b)
{
	const struct flow *left = *(struct flow *const *)a, *right = *(struct flow *const *)b;

	return (left->moved > right->moved) - (left->moved < right->moved);
}

/*
 * Takes the rows of those that leave. A request that completes on another CPU in this very
 * microsecond may be counted in a row that is gone; who was idle for two samples has few.
 */
static void take_rows(struct flows *flows)
{
	for (uint32_t i = 0; i < flows->used; i++) {
		const void *device = flows->device_of(flows->context, flows->keys[i].slot);
		struct ds_flow_stats last;
		struct flow *flow;

		flow = device ? find_flow(flows, &flows->keys[i].process, device) : NULL;
		if (flow && flow->left && flow->rows &&
		    !bpf_map_lookup_and_delete_elem(flows->tables->flows_fd, &flows->keys[i],
						    &last))
			add(&flow->carried, &last);
	}
}

/* More flows than rows: the longest idle leave. What they had is in their processes' sums. */
static int make_room(struct flows *flows)
{
	const uint32_t most = flows->tables->max_flows, wanted = most - most / ROOM_SHARE;
	uint32_t left = flows->used, count = 0;
	struct flow *flow, *next, **idle;

	if (left <= wanted)
		return 0;
	idle = malloc((HASH_COUNT(flows->by_key) + 1) * sizeof(struct flow *));
	if (!idle)
		return -ENOMEM;
	HASH_ITER (hh, flows->by_key, flow, next)
		if (flow->rows && flows->samples - flow->moved >= IDLE_SAMPLES)
			idle[count++] = flow;
	qsort(idle, count, sizeof(struct flow *), compare_moved);
	for (uint32_t i = 0; i < count && left > wanted; i++) {
		idle[i]->left = true;
		left -= idle[i]->rows;
	}
	if (count)
		take_rows(flows);
	free(idle);
	return 0;
}

int flows__sample(struct flows *flows, struct processes *processes, double now, double seconds)
{
	struct flow *flow, *next;
	int err = read_table(flows);

	if (err)
		return err;
	flows->samples++;
	HASH_ITER (hh, flows->by_key, flow, next) {
		flow->now = flow->carried;
		flow->rows = 0;
	}
	for (uint32_t i = 0; i < flows->used; i++) {
		const void *device = flows->device_of(flows->context, flows->keys[i].slot);

		if (!device) /* a new source: its rows are read again when it is known */
			continue;
		flow = find_flow(flows, &flows->keys[i].process, device);
		if (!flow)
			return -ENOMEM;
		add(&flow->now, &flows->values[i]);
		flow->rows++;
		flow->left = false;
	}
	HASH_ITER (hh, flows->by_key, flow, next) {
		err = settle(flows, flow, processes, now, seconds);
		if (err)
			return err;
		if (flow->left)
			free_flow(flows, flow);
	}
	return make_room(flows);
}

uint64_t flows__unknown_pages(const struct flows *flows)
{
	return flows->unknown_pages;
}

/* Walks the rows read last, which are all that the flows are made of. */
void flows__forget_process(struct flows *flows, const struct ds_process_key *process)
{
	struct flow *flow, *next;

	for (uint32_t i = 0; i < flows->used; i++)
		if (memcmp(&flows->keys[i].process, process, sizeof(*process)) == 0)
			bpf_map_delete_elem(flows->tables->flows_fd, &flows->keys[i]);
	HASH_ITER (hh, flows->by_key, flow, next)
		if (memcmp(&flow->key.process, process, sizeof(*process)) == 0)
			free_flow(flows, flow);
}

void flows__forget_slot(struct flows *flows, uint32_t slot)
{
	const void *device = flows->device_of(flows->context, slot);

	for (uint32_t i = 0; i < flows->used; i++) {
		struct flow *flow;

		if (flows->keys[i].slot != slot)
			continue;
		flow = device ? find_flow(flows, &flows->keys[i].process, device) : NULL;
		if (flow)
			add(&flow->carried, &flows->values[i]);
		bpf_map_delete_elem(flows->tables->flows_fd, &flows->keys[i]);
		flows->keys[i].slot = DS_SLOT_NONE;
	}
}

void flows__forget_device(struct flows *flows, const void *device)
{
	struct flow *flow, *next;

	HASH_ITER (hh, flows->by_key, flow, next)
		if (flow->key.device == device)
			free_flow(flows, flow);
}

int flows__publish(const struct flows *flows, struct snapshot *snapshot)
{
	struct flow *flow, *next;

	snapshot->flows = arena__alloc(snapshot->arena,
				       (HASH_COUNT(flows->by_key) + 1) * sizeof(*snapshot->flows));
	if (!snapshot->flows)
		return -ENOMEM;
	HASH_ITER (hh, flows->by_key, flow, next) {
		struct snapshot_flow *row = &snapshot->flows[snapshot->flow_count];

		row->device = arena__strdup(snapshot->arena, flows->device_id(flow->key.device));
		if (!row->device)
			return -ENOMEM;
		row->identity = flow->identity ? process_identity__get(flow->identity) : NULL;
		row->pages = flow->now.pages;
		row->bytes = flow->now.bytes;
		row->requests = flow->now.requests;
		row->rate = flow->rate;
		snapshot->flow_count++;
	}
	snapshot->limits.flows_used = flows->used;
	return 0;
}
