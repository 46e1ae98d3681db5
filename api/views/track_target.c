/* SPDX-License-Identifier: BSD-2-Clause */
#include "api/views/track_target.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct wanted {
	uint64_t pid;
	const char *vm, *cgroup, *device;
	json_t *ranges;
	bool whole_process;
};

static const struct json_member_row rows[] = {
	{"pid", MEMBER_INTEGER, offsetof(struct wanted, pid), 1, INT32_MAX, NULL, false},
	{"vm", MEMBER_TEXT, offsetof(struct wanted, vm), 0, TRACK_VM_NAME - 1, NULL, false},
	{"cgroup", MEMBER_TEXT, offsetof(struct wanted, cgroup), 0, 127, NULL, false},
	{"device", MEMBER_TEXT, offsetof(struct wanted, device), 0, 63, NULL, false},
	{"ranges", MEMBER_LIST, offsetof(struct wanted, ranges), 1, TRACK_RANGES, NULL, false},
	{"whole_process", MEMBER_BOOL, offsetof(struct wanted, whole_process), 0, 0, NULL, false},
	{},
};

__attribute__((format(printf, 2, 3))) static int refuse(struct answer *answer, const char *format,
							...)
{
	char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	answer__error(answer, 400, "invalid_body", "%s", text);
	return -EINVAL;
}

static int check(const struct wanted *wanted, struct answer *answer)
{
	const bool is_process = wanted->pid || wanted->vm;

	if ((wanted->pid != 0) + (wanted->vm != NULL) + (wanted->cgroup != NULL) +
		    (wanted->device != NULL) !=
	    1)
		return refuse(answer, "target must name one of pid, vm, cgroup and device");
	if (wanted->ranges && !is_process)
		return refuse(answer, "target.ranges are of a process: they need pid or vm");
	if (wanted->whole_process && !is_process)
		return refuse(answer, "target.whole_process is of a process: it needs pid or vm");
	if (wanted->ranges && wanted->whole_process)
		return refuse(answer, "target.ranges and target.whole_process exclude each other");
	return 0;
}

static int read_ranges(json_t *list, struct address_ranges *ranges, struct answer *answer)
{
	json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
	{
		const char *text = json_string_value(item);
		struct address_range range;
		struct reason why;
		int err;

		if (!text || strlen(text) != json_string_length(item))
			return refuse(answer, "target.ranges[%zu] is not a string", i);
		if (address_range__parse(text, &range, &why))
			return refuse(answer, "target.ranges[%zu] %s", i, why.text);
		if (address_ranges__bytes(ranges, range.start, range.end))
			return refuse(answer, "target.ranges[%zu] overlaps one before it", i);
		err = address_ranges__add(ranges, range.start, range.end);
		if (err)
			return err;
	}
	return 0;
}

static int find_vm(const struct snapshot *snapshot, const char *name, uint32_t *pid,
		   struct answer *answer)
{
	size_t found = 0;

	for (size_t i = 0; i < snapshot->process_count; i++) {
		const struct snapshot_process *process = &snapshot->processes[i];

		if (process->state != PROCESS_RUNNING || !process->identity->vm_name ||
		    strcmp(process->identity->vm_name, name) != 0)
			continue;
		*pid = process->identity->tgid;
		found++;
	}
	if (found == 1)
		return 0;
	if (found)
		answer__error(answer, 409, "ambiguous",
			      "target.vm: %zu processes run a VM of that name; give target.pid",
			      found);
	else
		answer__error(answer, 404, "not_found",
			      "target.vm: there is no VM of that name; see /api/v1/vms");
	return -EINVAL;
}

static bool is_called(const struct snapshot_device *device, const char *name)
{
	bool is = strcmp(device->id, name) == 0;

	for (size_t i = 0; i < device->name_count; i++)
		is |= strcmp(device->names[i], name) == 0;
	return is && !device->gone;
}

static int find_device(const struct snapshot *snapshot, const char *name, char device[64],
		       struct answer *answer)
{
	for (size_t i = 0; i < snapshot->device_count; i++)
		if (is_called(&snapshot->devices[i], name)) {
			snprintf(device, 64, "%.63s", snapshot->devices[i].id);
			return 0;
		}
	answer__error(answer, 404, "not_found",
		      "there is no such device; see /api/v1/devices for ids and names");
	return -EINVAL;
}

/* By name, as of the last interval. */
static int look_up(const struct wanted *wanted, const struct request *request,
		   struct track_target *out, struct answer *answer)
{
	struct snapshot *snapshot = snapshot_store__latest(request->context->store);
	int err;

	if (!snapshot) {
		answer__error(answer, 503, "not_ready",
			      "the agent is not sampling yet; try again in a second");
		answer->retry_after = 1;
		return -EINVAL;
	}
	err = wanted->vm ? find_vm(snapshot, wanted->vm, &out->request.pid, answer)
			 : find_device(snapshot, wanted->device, out->device, answer);
	snapshot__put(snapshot);
	return err;
}

int track_target__read(json_t *target, const struct request *request, struct track_target *out,
		       struct answer *answer)
{
	struct wanted wanted = {0};
	int err;

	*out = (struct track_target){0};
	err = posted__read(target, rows, "target.", &wanted, answer);
	if (!err)
		err = check(&wanted, answer);
	if (!err && wanted.ranges)
		err = read_ranges(wanted.ranges, &out->ranges, answer);
	if (!err && (wanted.vm || wanted.device))
		err = look_up(&wanted, request, out, answer);
	if (err)
		return err;
	out->request.kind = wanted.cgroup ? TRACK_CGROUP : wanted.device ? TRACK_DEVICE : TRACK_PID;
	if (wanted.pid)
		out->request.pid = (uint32_t)wanted.pid;
	out->request.path = wanted.cgroup ? wanted.cgroup : out->device;
	out->request.ranges = wanted.ranges ? &out->ranges : NULL;
	out->request.whole_process = wanted.whole_process;
	return 0;
}

void track_target__free(struct track_target *target)
{
	address_ranges__free(&target->ranges);
}
