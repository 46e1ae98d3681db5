/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/policies/rules/kinds.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "agent/policies/rules/kinds_private.h"
#include "agent/base/text.h"

/* ---- the fields of a track that a policy keeps ---- */

#define FOLLOW(name, expression)                                           \
	static double follow_##name(const struct target_view *it)          \
	{                                                                  \
		const struct policy_track_facts *facts = it->policy_track; \
		return facts ? (double)(expression) : NAN;                 \
	}

FOLLOW(track, facts->track)
FOLLOW(epoch, facts->epoch)
FOLLOW(rate, facts->epoch ? facts->rate : NAN)
FOLLOW(cpu, facts->epoch ? (double)facts->cpu : NAN)
FOLLOW(dma, facts->epoch ? (double)facts->dma : NAN)
FOLLOW(all, facts->epoch ? (double)facts->all : NAN)
FOLLOW(missed, facts->epoch ? (double)facts->missed : NAN)
FOLLOW(converges, facts->forecast ? facts->converges : NAN)
FOLLOW(seconds, facts->forecast ? facts->seconds : NAN)
FOLLOW(downtime, facts->forecast ? facts->downtime : NAN)
FOLLOW(bytes, facts->forecast ? facts->bytes : NAN)
FOLLOW(cpu_share, facts->forecast ? facts->cpu_share : NAN)
FOLLOW(device_share, facts->forecast ? facts->device_share : NAN)

static const char *follow_device(const struct target_view *it, size_t index)
{
	return index == 0 && it->policy_track && it->policy_track->forecast
		       ? it->policy_track->device
		       : NULL;
}

static const struct field follow_fields[] = {
	FIELD_NUMBER("track.id", follow_track),
	FIELD_NUMBER("track.epoch", follow_epoch),
	FIELD_NUMBER("track.rate", follow_rate),
	FIELD_NUMBER("track.cpu", follow_cpu),
	FIELD_NUMBER("track.dma", follow_dma),
	FIELD_NUMBER("track.union", follow_all),
	FIELD_NUMBER("track.missed_by_cpu_tracking", follow_missed),
	FIELD_NUMBER("forecast.converges", follow_converges),
	FIELD_NUMBER("forecast.seconds", follow_seconds),
	FIELD_NUMBER("forecast.downtime", follow_downtime),
	FIELD_NUMBER("forecast.bytes", follow_bytes),
	FIELD_NUMBER("forecast.cpu_share", follow_cpu_share),
	FIELD_NUMBER("forecast.device_share", follow_device_share),
	FIELD_TEXT("forecast.device", follow_device),
	{},
};

/* ---- kinds ---- */

static bool always(const void *item)
{
	return true;
}

/* FNV-1a: only to see that something changed. */
static uint64_t mix(uint64_t hash, const char *string)
{
	for (; string && *string; string++)
		hash = (hash ^ (unsigned char)*string) * 0x100000001b3;
	return hash * 31 + 1;
}

static const void *processes(const struct snapshot *snapshot, size_t *count)
{
	*count = snapshot->process_count;
	return snapshot->processes;
}

static struct target_key process_key(const void *item)
{
	const struct snapshot_process *process = item;

	return (struct target_key){process->identity->tgid, process->identity->start_boottime_ns,
				   ""};
}

static bool process_present(const void *item)
{
	return ((const struct snapshot_process *)item)->state == PROCESS_RUNNING;
}

/* Identities are immutable: a process that gets another name gets another one. */
static uint64_t process_facts(const void *item)
{
	return (uintptr_t)((const struct snapshot_process *)item)->identity;
}

static const void *cgroups(const struct snapshot *snapshot, size_t *count)
{
	*count = snapshot->cgroup_count;
	return snapshot->cgroups;
}

static const void *vms(const struct snapshot *snapshot, size_t *count)
{
	*count = snapshot->vm_count;
	return snapshot->vms;
}

static struct target_key group_key(const void *item)
{
	return (struct target_key){.name = ((const struct snapshot_group *)item)->name};
}

static bool group_present(const void *item)
{
	return ((const struct snapshot_group *)item)->processes > 0;
}

static uint64_t no_facts(const void *item)
{
	return 1;
}

static const void *devices(const struct snapshot *snapshot, size_t *count)
{
	*count = snapshot->device_count;
	return snapshot->devices;
}

static struct target_key device_key(const void *item)
{
	return (struct target_key){.name = ((const struct snapshot_device *)item)->id};
}

static bool device_present(const void *item)
{
	return !((const struct snapshot_device *)item)->gone;
}

static uint64_t device_facts(const void *item)
{
	const struct snapshot_device *device = item;
	uint64_t hash =
		mix(mix(mix(device->sensors, device->driver), device->parent), device->iommu_group);

	for (size_t i = 0; i < device->name_count; i++)
		hash = mix(hash, device->names[i]);
	return mix(hash, device->iommu_domain);
}

static const void *flows(const struct snapshot *snapshot, size_t *count)
{
	*count = snapshot->flow_count;
	return snapshot->flows;
}

static struct target_key flow_key(const void *item)
{
	const struct snapshot_flow *flow = item;

	return (struct target_key){flow->identity ? flow->identity->tgid : 0,
				   flow->identity ? flow->identity->start_boottime_ns : 0,
				   flow->device};
}

static uint64_t flow_facts(const void *item)
{
	return (uintptr_t)((const struct snapshot_flow *)item)->identity;
}

static const void *host(const struct snapshot *snapshot, size_t *count)
{
	*count = 1;
	return snapshot;
}

static struct target_key host_key(const void *item)
{
	return (struct target_key){.name = ((const struct snapshot *)item)->hostname};
}

static const void *sensors(const struct snapshot *snapshot, size_t *count)
{
	*count = DS_SENSOR_COUNT;
	return snapshot->sensors;
}

static struct target_key sensor_key(const void *item)
{
	return (struct target_key){
		.name = ds_sensor_names[((const struct snapshot_sensor *)item)->id]};
}

static uint64_t sensor_facts(const void *item)
{
	const struct snapshot_sensor *sensor = item;

	return mix(sensor->state, sensor->reason);
}

#define ITEM(type) sizeof(struct type)

const struct kind target_kinds[TARGET_KINDS] = {
	[TARGET_PROCESS] = {"process", ITEM(snapshot_process), processes, process_key,
			    process_present, process_facts, process_fields, true},
	[TARGET_CGROUP] = {"cgroup", ITEM(snapshot_group), cgroups, group_key, group_present,
			   no_facts, group_fields, true},
	[TARGET_VM] = {"vm", ITEM(snapshot_group), vms, group_key, group_present, no_facts,
		       group_fields, true},
	[TARGET_DEVICE] = {"device", ITEM(snapshot_device), devices, device_key, device_present,
			   device_facts, device_fields, true},
	[TARGET_FLOW] = {"flow", ITEM(snapshot_flow), flows, flow_key, always, flow_facts,
			 flow_fields, false},
	[TARGET_HOST] = {"host", ITEM(snapshot), host, host_key, always, no_facts, host_fields,
			 false},
	[TARGET_SENSOR] = {"sensor", ITEM(snapshot_sensor), sensors, sensor_key, always,
			   sensor_facts, sensor_fields, false},
};

bool target_key__equals(const struct target_key *left, const struct target_key *right)
{
	return left->first == right->first && left->second == right->second &&
	       strcmp(left->name, right->name) == 0;
}

/* ---- fields ---- */

static const struct field *find(const struct field *fields, const char *name)
{
	for (; fields->name; fields++)
		if (strcmp(fields->name, name) == 0)
			return fields;
	return NULL;
}

const struct field *kind__field(const struct kind *kind, const char *name)
{
	const struct field *field = find(kind->fields, name);

	return field || !kind->followed ? field : find(follow_fields, name);
}

bool field__is_number(const struct field *field)
{
	return field->type != FIELD_STRING && field->type != FIELD_STRINGS;
}

double field__number(const struct field *field, const struct target_view *view)
{
	const char *at = (const char *)view->item + field->offset;

	switch (field->type) {
	case FIELD_U64:
		return (double)*(const uint64_t *)at;
	case FIELD_U32:
		return *(const uint32_t *)at;
	case FIELD_DOUBLE:
		return *(const double *)at;
	case FIELD_CALL:
		return field->number(view);
	default:
		return NAN;
	}
}

void field__print(const struct field *field, const struct target_view *view, struct text *out)
{
	if (field__is_number(field)) {
		double value = field__number(field, view);

		/* A summary is read by people, so a fraction is shortened. */
		if (isnan(value))
			text__putc(out, '?');
		else if (fabs(value) >= 1e15 || value == round(value))
			text__double(out, value);
		else
			text__double(out, round(value * 1000) / 1000);
		return;
	}
	for (size_t i = 0;; i++) {
		const char *string = field->string(view, i);

		if (!string && i == 0)
			text__putc(out, '?');
		if (!string)
			return;
		if (i)
			text__puts(out, ", ");
		text__puts(out, string);
		if (field->type == FIELD_STRING)
			return;
	}
}

void kind__names(const struct kind *kind, struct text *out)
{
	for (const struct field *field = kind->fields; field->name; field++)
		text__printf(out, "%s%s", field == kind->fields ? "" : ", ", field->name);
	for (const struct field *field = follow_fields; kind->followed && field->name; field++)
		text__printf(out, ", %s", field->name);
}
