/* SPDX-License-Identifier: BSD-2-Clause */
#include "api/metrics/metrics_emit.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "agent/base/version.h"

#define PUTS(text, literal) text__append(text, literal, sizeof(literal) - 1)

static void end_sample(struct text *out, uint64_t value)
{
	PUTS(out, "} ");
	text__u64(out, value);
	text__putc(out, '\n');
}

static void put_plain(struct metric_writer *writer, const struct metric_row *row, uint64_t value)
{
	text__puts(writer->out, row->name);
	text__putc(writer->out, ' ');
	text__u64(writer->out, value);
	text__putc(writer->out, '\n');
}

static uint64_t read_u64(const void *base, size_t offset)
{
	uint64_t value;

	memcpy(&value, (const char *)base + offset, sizeof(value));
	return value;
}

/*
 * A name that tells series apart. Names are the host's, and two different ones must never become
 * the same label: what text__label_value would replace is percent-encoded, and so is '%' itself,
 * and the first letter of a name that we use ourselves.
 */
static void put_name(struct text *out, const char *name)
{
	static const char hex[] = "0123456789ABCDEF";
	bool ours = strcmp(name, "other") == 0;
	size_t length = strlen(name);

	text__putc(out, '"');
	for (size_t i = 0; i < length;) {
		uint32_t code;
		size_t taken = utf8__next(name + i, length - i, &code);
		bool plain = code >= 0x20 && code != '%' && !(code >= 0x7F && code < 0xA0) &&
			     code != 0xFFFD && !(ours && i == 0);

		if (plain && (code == '"' || code == '\\'))
			text__putc(out, '\\');
		if (plain)
			text__append(out, name + i, taken);
		for (size_t byte = i; !plain && byte < i + taken; byte++) {
			text__putc(out, '%');
			text__putc(out, hex[(unsigned char)name[byte] >> 4]);
			text__putc(out, hex[(unsigned char)name[byte] & 15]);
		}
		i += taken;
	}
	text__putc(out, '"');
}

/* One sample per writer behind labels that end in `writer="`. base may be NULL. */
static void put_writers(struct metric_writer *writer, const uint64_t written[DS_WRITERS],
			const uint64_t *base)
{
	static const char *const ends[DS_WRITERS] = {
		[DS_WRITER_CPU] = "cpu\"} ",
		[DS_WRITER_PAGECACHE] = "pagecache\"} ",
		[DS_WRITER_BLOCKDEV] = "blockdev\"} ",
		[DS_WRITER_DMA] = "dma\"} ",
	};

	if (writer->labels.failed)
		writer->out->failed = true;
	for (int i = 0; i < DS_WRITERS; i++) {
		text__append(writer->out, writer->labels.data, writer->labels.length);
		text__puts(writer->out, ends[i]);
		text__u64(writer->out, base ? written[i] - base[i] : written[i]);
		text__putc(writer->out, '\n');
	}
}

void metric__build_info(struct metric_writer *writer, const struct metric_row *row)
{
	text__puts(writer->out, row->name);
	PUTS(writer->out, "{version=");
	text__label_value(writer->out, dirtyscope_version());
	PUTS(writer->out, ",revision=");
	text__label_value(writer->out, dirtyscope_revision());
	end_sample(writer->out, 1);
}

void metric__written(struct metric_writer *writer, const struct metric_row *row)
{
	writer->labels.length = 0;
	text__printf(&writer->labels, "%s{writer=\"", row->name);
	put_writers(writer, writer->snapshot->totals, NULL);
}

/*
 * A name of their own: a series that ends takes its whole sum with it, and that would look like a
 * burst of writes beside the series that live.
 */
void metric__exited(struct metric_writer *writer, const struct metric_row *row)
{
	const struct snapshot *snapshot = writer->snapshot;
	const struct {
		const char *name;
		const struct snapshot_rest *rest;
	} kinds[] = {
		{"process", &snapshot->process_rest}, {"cgroup", &snapshot->cgroup_rest},
		{"vm", &snapshot->vm_rest},	      {"pod", &snapshot->pod_rest},
		{"comm", &snapshot->comm_rest},
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		writer->labels.length = 0;
		text__printf(&writer->labels, "%s{of=\"%s\",writer=\"", row->name, kinds[i].name);
		put_writers(writer, kinds[i].rest->exited, NULL);
	}
}

void metric__processes(struct metric_writer *writer, const struct metric_row *row)
{
	const struct snapshot *snapshot = writer->snapshot;
	struct text *labels = &writer->labels;
	size_t name_length = strlen(row->name);

	for (size_t i = 0; i < snapshot->process_count; i++) {
		const struct snapshot_process *process = &snapshot->processes[i];

		if (!process->promoted)
			continue;
		labels->length = 0;
		text__append(labels, row->name, name_length);
		PUTS(labels, "{pid=\"");
		text__u64(labels, process->identity->tgid);
		PUTS(labels, "\",comm=");
		text__label_value(labels, process->identity->comm);
		/* Pids come again, with the same name too. */
		PUTS(labels, ",start=\"");
		text__u64(labels, process->identity->start_boottime_ns);
		if (process->identity->pod_name) {
			PUTS(labels, "\",namespace=");
			text__label_value(labels, process->identity->pod_namespace);
			PUTS(labels, ",pod=");
			text__label_value(labels, process->identity->pod_name);
			PUTS(labels, ",writer=\"");
		} else {
			PUTS(labels, "\",writer=\"");
		}
		put_writers(writer, process->written, process->base);
	}
	labels->length = 0;
	text__append(labels, row->name, name_length);
	PUTS(labels, "{pid=\"other\",comm=\"\",start=\"\",writer=\"");
	put_writers(writer, snapshot->process_rest.other, NULL);
}

static void put_groups(struct metric_writer *writer, const struct metric_row *row,
		       const struct snapshot_group *groups, size_t count,
		       const struct snapshot_rest *rest)
{
	struct text *labels = &writer->labels;

	for (size_t i = 0; i < count; i++) {
		if (!groups[i].promoted)
			continue;
		labels->length = 0;
		text__puts(labels, row->name);
		text__putc(labels, '{');
		/* The first label of the row is the group's kind. */
		text__append(labels, row->labels, strcspn(row->labels, ","));
		text__putc(labels, '=');
		put_name(labels, groups[i].name);
		PUTS(labels, ",writer=\"");
		put_writers(writer, groups[i].written, groups[i].base);
	}
	labels->length = 0;
	text__printf(labels, "%s{%.*s=\"other\",writer=\"", row->name,
		     (int)strcspn(row->labels, ","), row->labels);
	put_writers(writer, rest->other, NULL);
}

void metric__cgroups(struct metric_writer *writer, const struct metric_row *row)
{
	put_groups(writer, row, writer->snapshot->cgroups, writer->snapshot->cgroup_count,
		   &writer->snapshot->cgroup_rest);
}

void metric__vms(struct metric_writer *writer, const struct metric_row *row)
{
	put_groups(writer, row, writer->snapshot->vms, writer->snapshot->vm_count,
		   &writer->snapshot->vm_rest);
}

void metric__comms(struct metric_writer *writer, const struct metric_row *row)
{
	put_groups(writer, row, writer->snapshot->comms, writer->snapshot->comm_count,
		   &writer->snapshot->comm_rest);
}

void metric__pods(struct metric_writer *writer, const struct metric_row *row)
{
	const struct snapshot *snapshot = writer->snapshot;
	struct text *labels = &writer->labels;

	for (size_t i = 0; i < snapshot->pod_count; i++) {
		const struct snapshot_group *pod = &snapshot->pods[i];
		const char *name = strchr(pod->name, '/');
		char namespace[NAME_MAX + 1];

		if (!pod->promoted || !name)
			continue;
		snprintf(namespace, sizeof(namespace), "%.*s", (int)(name - pod->name), pod->name);
		labels->length = 0;
		text__puts(labels, row->name);
		PUTS(labels, "{namespace=");
		text__label_value(labels, namespace);
		PUTS(labels, ",pod=");
		text__label_value(labels, name + 1);
		PUTS(labels, ",writer=\"");
		put_writers(writer, pod->written, pod->base);
	}
	if (!snapshot->pod_count)
		return;
	labels->length = 0;
	text__printf(labels, "%s{namespace=\"\",pod=\"other\",writer=\"", row->name);
	put_writers(writer, snapshot->pod_rest.other, NULL);
}

void metric__series_other(struct metric_writer *writer, const struct metric_row *row)
{
	uint64_t count = 0;

	for (size_t i = 0; i < writer->snapshot->process_count; i++)
		count += !writer->snapshot->processes[i].promoted;
	put_plain(writer, row, count);
}

/*
 * The devices that get series, one an id: after a replug the one that went is still listed beside
 * the one that came. Start with *next = 0.
 */
static const struct snapshot_device *next_device(const struct snapshot *snapshot, size_t *next)
{
	const struct snapshot_device *device;

	if (*next >= snapshot->device_count)
		return NULL;
	device = &snapshot->devices[(*next)++];
	for (; *next < snapshot->device_count; (*next)++) {
		const struct snapshot_device *same = &snapshot->devices[*next];

		if (strcmp(same->id, device->id) != 0)
			break;
		if (!same->gone || device->gone)
			device = same;
	}
	return device;
}

/*
 * What is said of the present ends with the device; its counters stay while it is listed, so that a
 * last scrape has them whole.
 */
static bool has_ended(const struct snapshot_device *device, const struct metric_row *row)
{
	return device->gone && row->type == METRIC_GAUGE;
}

/* `name{device="id"`, to be continued. */
static void begin_device(struct metric_writer *writer, const struct metric_row *row,
			 const struct snapshot_device *device)
{
	text__puts(writer->out, row->name);
	PUTS(writer->out, "{device=");
	put_name(writer->out, device->id);
}

void metric__device(struct metric_writer *writer, const struct metric_row *row)
{
	const struct snapshot_device *device;
	size_t next = 0;

	while ((device = next_device(writer->snapshot, &next))) {
		if (has_ended(device, row) ||
		    (row->known && !*(const bool *)((const char *)device + row->known)))
			continue;
		begin_device(writer, row, device);
		end_sample(writer->out, read_u64(device, row->offset));
	}
}

void metric__device_pagecache(struct metric_writer *writer, const struct metric_row *row)
{
	const struct snapshot_device *device;
	size_t next = 0;

	while ((device = next_device(writer->snapshot, &next))) {
		begin_device(writer, row, device);
		end_sample(writer->out, device->pagecache + device->blockdev);
	}
}

void metric__device_info(struct metric_writer *writer, const struct metric_row *row)
{
	const struct snapshot_device *device;
	struct text *names = &writer->labels;
	size_t next = 0;

	while ((device = next_device(writer->snapshot, &next))) {
		if (has_ended(device, row))
			continue;
		names->length = 0;
		text__puts(names, "");
		for (size_t i = 0; i < device->name_count; i++) {
			if (i)
				text__putc(names, ',');
			text__puts(names, device->names[i]);
		}
		if (names->failed) {
			writer->out->failed = true;
			return;
		}
		begin_device(writer, row, device);
		PUTS(writer->out, ",driver=");
		text__label_value(writer->out, device->driver);
		PUTS(writer->out, ",name=");
		text__label_value(writer->out, names->data);
		PUTS(writer->out, ",iommu_group=");
		text__label_value(writer->out, device->iommu_group ? device->iommu_group : "");
		PUTS(writer->out, ",iommu_domain=");
		text__label_value(writer->out, device->iommu_domain ? device->iommu_domain : "");
		end_sample(writer->out, 1);
	}
}

void metric__device_directions(struct metric_writer *writer, const struct metric_row *row)
{
	static const char *const names[DS_DIRECTIONS] = {
		[DS_DMA_BIDIRECTIONAL] = "bidirectional",
		[DS_DMA_TO_DEVICE] = "to_device",
		[DS_DMA_FROM_DEVICE] = "from_device",
	};
	const struct snapshot_device *device;
	size_t next = 0;

	while ((device = next_device(writer->snapshot, &next))) {
		for (size_t i = 0; i < DS_DIRECTIONS; i++) {
			begin_device(writer, row, device);
			text__printf(writer->out, ",direction=\"%s\"", names[i]);
			end_sample(writer->out,
				   read_u64(device, row->offset + i * sizeof(uint64_t)));
		}
	}
}

void metric__device_sum(struct metric_writer *writer, const struct metric_row *row)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < writer->snapshot->device_count; i++)
		sum += read_u64(&writer->snapshot->devices[i], row->offset);
	put_plain(writer, row, sum);
}

static void begin_sensor(struct metric_writer *writer, const struct metric_row *row, int sensor)
{
	text__puts(writer->out, row->name);
	PUTS(writer->out, "{sensor=");
	text__label_value(writer->out, ds_sensor_names[sensor]);
}

void metric__sensor_up(struct metric_writer *writer, const struct metric_row *row)
{
	for (int i = 0; i < DS_SENSOR_COUNT; i++) {
		begin_sensor(writer, row, i);
		end_sample(writer->out, writer->snapshot->sensors[i].state != SENSOR_UNAVAILABLE);
	}
}

void metric__sensor(struct metric_writer *writer, const struct metric_row *row)
{
	for (int i = 0; i < DS_SENSOR_COUNT; i++) {
		begin_sensor(writer, row, i);
		end_sample(writer->out, read_u64(&writer->snapshot->sensors[i], row->offset));
	}
}

void metric__sensor_lost(struct metric_writer *writer, const struct metric_row *row)
{
	for (int i = 0; i < DS_SENSOR_COUNT; i++) {
		for (int reason = 0; reason < DS_LOST_REASONS; reason++) {
			begin_sensor(writer, row, i);
			PUTS(writer->out, ",reason=");
			text__label_value(writer->out, ds_lost_names[reason]);
			end_sample(writer->out, writer->snapshot->sensors[i].lost[reason]);
		}
	}
}

void metric__host(struct metric_writer *writer, const struct metric_row *row)
{
	put_plain(writer, row, read_u64(writer->snapshot, row->offset));
}

void metric__host_seconds(struct metric_writer *writer, const struct metric_row *row)
{
	double seconds;

	memcpy(&seconds, (const char *)writer->snapshot + row->offset, sizeof(seconds));
	text__puts(writer->out, row->name);
	text__putc(writer->out, ' ');
	text__double(writer->out, seconds);
	text__putc(writer->out, '\n');
}

void metric__http_requests(struct metric_writer *writer, const struct metric_row *row)
{
	for (int i = 0; api_codes[i]; i++) {
		text__printf(writer->out, "%s{code=\"%u\"", row->name, api_codes[i]);
		end_sample(writer->out,
			   __atomic_load_n(&writer->counters->requests[i], __ATOMIC_RELAXED));
	}
}

void metric__http_connections(struct metric_writer *writer, const struct metric_row *row)
{
	for (int i = 0; i < CONNECTION_RESULTS; i++) {
		text__printf(writer->out, "%s{result=\"%s\"", row->name,
			     connection_result_names[i]);
		end_sample(writer->out,
			   __atomic_load_n(&writer->counters->connections[i], __ATOMIC_RELAXED));
	}
}
