/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/kernel/ledger.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>

#include "agent/kernel/kernel_side_private.h"
#include "dirtyscope.skel.h"

#define BATCH 1024 /* entries asked for at once; grows when a bucket holds more */

struct table_reader;
typedef int (*table_reader__each)(struct table_reader *reader, const void *key, const void *value);

/* Reads a hash whole, bucket by bucket, each under its lock. Nonzero of `each` ends it. */
struct table_reader {
	int fd;
	size_t key_size, value_size;
	table_reader__each each;
	struct kernel_side *kernel;
	void *context;
};

static int read_table(struct table_reader *reader)
{
	uint32_t capacity = BATCH, count, batch = 0;
	char *keys = NULL, *values = NULL;
	void *from = NULL;
	int err = 0;

	while (!err) {
		char *more_keys = reallocarray(keys, capacity, reader->key_size);
		char *more_values = reallocarray(values, capacity, reader->value_size);

		keys = more_keys ? more_keys : keys;
		values = more_values ? more_values : values;
		if (!more_keys || !more_values) {
			err = -ENOMEM;
			break;
		}
		count = capacity;
		err = bpf_map_lookup_batch(reader->fd, from, &batch, keys, values, &count, NULL);
		if (err == -ENOSPC) { /* one bucket does not fit */
			capacity *= 2;
			err = 0;
			continue;
		}
		if (err && err != -ENOENT)
			break;
		for (uint32_t i = 0; i < count; i++) {
			int end = reader->each(reader, keys + i * reader->key_size,
					       values + i * reader->value_size);

			if (end) {
				err = end;
				goto cleanup;
			}
		}
		from = &batch;
	}
	if (err == -ENOENT) /* that was all */
		err = 0;
cleanup:
	free(keys);
	free(values);
	return err;
}

/* ---- the walk ---- */

struct walk {
	ledger__visit visit;
	void *context;
};

static int visit_run(const struct walk *walk, uint32_t slot, const struct ds_mapping *mapping,
		     enum ds_mapping_kind kind, uint64_t phys, uint64_t bytes)
{
	uint64_t first = phys >> DS_PAGE_SHIFT, last = (phys + bytes - 1) >> DS_PAGE_SHIFT;

	return bytes ? walk->visit(walk->context, slot, mapping, kind, first, last - first + 1) : 0;
}

static int visit_list(struct kernel_side *kernel, const struct walk *walk, uint32_t slot,
		      const struct ds_mapping *mapping, uint64_t list, uint32_t entries)
{
	struct ds_list_request request = {.list = list, .entries = entries};
	LIBBPF_OPTS(bpf_test_run_opts, options, .ctx_in = &request, .ctx_size_in = sizeof(request));
	int err;

	/* Where it does not run, the sensor says so. */
	if (kernel->list_fd < 0)
		return 0;
	err = bpf_prog_test_run_opts(kernel->list_fd, &options);

	for (uint32_t i = 0; i < request.count && i < DS_LIST_SEGMENTS && !err; i++)
		err = visit_run(walk, slot, mapping, DS_MAPPING_LIST, kernel->segments[i].phys,
				kernel->segments[i].bytes);
	return err;
}

static int walk_mapping(struct table_reader *reader, const void *key_bytes, const void *value)
{
	const struct ds_mapping_key *key = key_bytes;
	const struct ds_mapping *mapping = value;

	if (key->kind == DS_MAPPING_LIST)
		return visit_list(reader->kernel, reader->context, mapping->slot, mapping,
				  mapping->phys, mapping->entries);
	if (mapping->phys == UINT64_MAX) /* memory that is not known */
		return 0;
	return visit_run(reader->context, mapping->slot, mapping, key->kind, mapping->phys,
			 mapping->size);
}

static int walk_buffer(struct table_reader *reader, const void *key, const void *value)
{
	const struct ds_buffer *buffer = value;
	int err = 0;

	if (!buffer->exposed)
		return 0;
	for (int i = 0; i < DS_BUFFER_LISTS && !err; i++) {
		const struct ds_buffer_list *list = &buffer->lists[i];

		if (list->segments == 1)
			err = visit_run(reader->context, buffer->slot, NULL, DS_MAPPING_SINGLE,
					list->at, list->bytes);
		else if (list->segments)
			err = visit_list(reader->kernel, reader->context, buffer->slot, NULL,
					 list->at, DS_LIST_SEGMENTS);
	}
	return err;
}

static struct table_reader mappings_of(struct kernel_side *kernel, table_reader__each each,
				       void *context)
{
	return (struct table_reader){.fd = kernel->tables.mappings_fd,
				     .key_size = sizeof(struct ds_mapping_key),
				     .value_size = sizeof(struct ds_mapping),
				     .each = each,
				     .kernel = kernel,
				     .context = context};
}

static struct table_reader buffers_of(struct kernel_side *kernel, table_reader__each each,
				      void *context)
{
	return (struct table_reader){.fd = kernel->tables.buffers_fd,
				     .key_size = sizeof(struct ds_buffer_key),
				     .value_size = sizeof(struct ds_buffer),
				     .each = each,
				     .kernel = kernel,
				     .context = context};
}

int ledger__walk(struct kernel_side *kernel, ledger__visit visit, void *context)
{
	struct walk walk = {.visit = visit, .context = context};
	struct table_reader mappings = mappings_of(kernel, walk_mapping, &walk);
	struct table_reader buffers = buffers_of(kernel, walk_buffer, &walk);
	int err;

	err = read_table(&mappings);
	return err ? err : read_table(&buffers);
}

/* ---- forgetting ---- */

struct forget {
	uint32_t slot;
	bool streaming_only;
	int dropped;
};

/* BPF adds to this row at the same time, atomically as we do. */
static void unexpose(struct kernel_side *kernel, uint32_t slot, uint64_t pages)
{
	struct ds_device_stats *row =
		(struct ds_device_stats *)&kernel->tables.device_stats[slot * DS_DEVICE_ROWS];

	__atomic_fetch_sub(&row->exposed_pages, (int64_t)pages, __ATOMIC_RELAXED);
	__atomic_fetch_sub(&row->live_mappings, 1, __ATOMIC_RELAXED);
}

static int forget_mapping(struct table_reader *reader, const void *key_bytes, const void *value)
{
	const struct ds_mapping_key *key = key_bytes;
	struct forget *forget = reader->context;
	struct ds_mapping last;

	if (((const struct ds_mapping *)value)->slot != forget->slot ||
	    (forget->streaming_only && key->kind != DS_MAPPING_SINGLE &&
	     key->kind != DS_MAPPING_LIST) ||
	    bpf_map_lookup_and_delete_elem(reader->fd, key, &last))
		return 0;
	unexpose(reader->kernel, last.slot, last.pages);
	forget->dropped++;
	return 0;
}

static int forget_buffer(struct table_reader *reader, const void *key, const void *value)
{
	struct forget *forget = reader->context;
	struct ds_buffer last;

	if (((const struct ds_buffer *)value)->slot != forget->slot ||
	    bpf_map_lookup_and_delete_elem(reader->fd, key, &last))
		return 0;
	if (last.exposed)
		unexpose(reader->kernel, last.slot, last.pages);
	forget->dropped++;
	return 0;
}

static int forget_all(struct kernel_side *kernel, struct forget *forget)
{
	struct table_reader mappings = mappings_of(kernel, forget_mapping, forget);
	struct table_reader buffers = buffers_of(kernel, forget_buffer, forget);
	int err;

	err = read_table(&mappings);
	if (!err && !forget->streaming_only)
		err = read_table(&buffers);
	return err ? err : forget->dropped;
}

int ledger__forget_device(struct kernel_side *kernel, uint32_t slot)
{
	struct forget forget = {.slot = slot};

	return forget_all(kernel, &forget);
}

int ledger__forget_streaming(struct kernel_side *kernel, uint32_t slot)
{
	struct forget forget = {.slot = slot, .streaming_only = true};

	return forget_all(kernel, &forget);
}
