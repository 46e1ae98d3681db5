/* SPDX-License-Identifier: BSD-2-Clause */
/* "limit": the I/O of the target's cgroup on a device's disks is limited while the policy fires. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/files.h"
#include "agent/policies/actions/actions.h"
#include "agent/policies/actions/limits.h"

#define PAGE_BYTES 4096
#define CLAIMS_MAX 16 /* disks of one device */
#define BUSIEST "busiest"

struct limit_settings {
	uint64_t pages, rbps, wbps, riops, wiops; /* 0: not given */
	const char *device;
};

/* What is claimed for one target: its handle points to it. */
struct claims {
	uint64_t ids[CLAIMS_MAX];
	size_t count;
};

static const struct limit_settings defaults = {.device = BUSIEST};

#define AT(member) offsetof(struct limit_settings, member)
#define MOST (1ULL << 50)
#define MOST_REQUESTS (UINT32_MAX - 1) /* the kernel takes more for none at all */
static const struct json_member_row rows[] = {
	{"pages", MEMBER_INTEGER, AT(pages), 1, MOST, NULL, false},
	{"rbps", MEMBER_SIZE, AT(rbps), 1, MOST, NULL, false},
	{"wbps", MEMBER_SIZE, AT(wbps), 1, MOST, NULL, false},
	{"riops", MEMBER_INTEGER, AT(riops), 1, MOST_REQUESTS, NULL, false},
	{"wiops", MEMBER_INTEGER, AT(wiops), 1, MOST_REQUESTS, NULL, false},
	{"device", MEMBER_TEXT, AT(device), 0, 63, NULL, false},
	{},
};

static int limit_check(const void *settings, const struct rule *rule,
		       const struct rule_world *world, const char *path,
		       struct json_member_error *error)
{
	const struct limit_settings *limit = settings;

	if (limit->pages && limit->rbps)
		return json_member_error__set(error, path, "has both pages and rbps");
	if (!limit->pages && !limit->rbps && !limit->wbps && !limit->riops && !limit->wiops)
		return json_member_error__set(error, path,
					      "needs one of pages, rbps, wbps, riops, wiops");
	return 0;
}

static bool is_below(const char *path, const char *parent)
{
	const size_t length = strlen(parent);

	return strncmp(path, parent, length) == 0 && (!path[length] || path[length] == '/');
}

/* A process of the target, by what the rule is about. */
static bool is_of_target(const struct action_call *call, const struct process_identity *identity)
{
	switch (call->rule->kind) {
	case TARGET_CGROUP:
		return is_below(identity->cgroup, call->key.name);
	case TARGET_VM:
		return identity->vm_name && strcmp(identity->vm_name, call->key.name) == 0;
	default:
		return identity->tgid == call->key.first &&
		       identity->start_boottime_ns == call->key.second;
	}
}

static const char *cgroup_of(const struct action_call *call)
{
	const struct snapshot *snapshot = call->facts->view->snapshot;

	if (call->rule->kind == TARGET_CGROUP)
		return call->key.name;
	for (size_t i = 0; i < snapshot->process_count; i++)
		if (snapshot->processes[i].state == PROCESS_RUNNING &&
		    is_of_target(call, snapshot->processes[i].identity))
			return snapshot->processes[i].identity->cgroup;
	return "";
}

/* Its id: of the flow, as set, or the one that writes most for the target now. */
static const char *device_of(const struct action_call *call)
{
	const struct limit_settings *settings = call->action->settings;
	const struct snapshot *snapshot = call->facts->view->snapshot;
	const struct snapshot_flow *busiest = NULL;

	if (call->rule->kind == TARGET_FLOW)
		return call->key.name;
	if (strcmp(settings->device, BUSIEST) != 0)
		return settings->device;
	for (size_t i = 0; i < snapshot->flow_count; i++) {
		const struct snapshot_flow *flow = &snapshot->flows[i];

		if (flow->identity && is_of_target(call, flow->identity) &&
		    (!busiest || flow->rate > busiest->rate))
			busiest = flow;
	}
	return busiest ? busiest->device : NULL;
}

/* "8:0"; false: the name is no disk's. */
static bool disk_number(const struct agent_config *config, const char *name, char number[24])
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/class/block/%s/dev", config->sysfs, name);
	return files__is_component(name) && files__read_line(AT_FDCWD, path, number, 24) > 0;
}

static struct io_limit limit_of(const struct limit_settings *settings)
{
	const uint64_t wanted[IO_KEYS] = {
		[IO_RBPS] = settings->pages ? settings->pages * PAGE_BYTES : settings->rbps,
		[IO_WBPS] = settings->wbps,
		[IO_RIOPS] = settings->riops,
		[IO_WIOPS] = settings->wiops,
	};
	struct io_limit limit;

	for (int key = 0; key < IO_KEYS; key++)
		limit.values[key] = wanted[key] ? wanted[key] : IO_NO_LIMIT;
	return limit;
}

static const struct snapshot_device *find_device(const struct snapshot *snapshot, const char *id)
{
	for (size_t i = 0; i < snapshot->device_count; i++)
		if (!snapshot->devices[i].gone && strcmp(snapshot->devices[i].id, id) == 0)
			return &snapshot->devices[i];
	return NULL;
}

static void claim_all(const struct action_call *call, const char *cgroup,
		      const struct snapshot_device *device, struct claims *claims)
{
	const struct io_limit limit = limit_of(call->action->settings);
	struct reason why;
	char number[24];

	for (size_t i = 0; i < device->name_count && claims->count < CLAIMS_MAX; i++) {
		uint64_t id;

		if (!disk_number(call->services->config, device->names[i], number))
			continue;
		id = limits__claim(call->services->limits, cgroup, number, &limit, &why);
		if (id)
			claims->ids[claims->count++] = id;
		else
			action__report(call, "failed", "warning", "%s", why.text);
		if (id)
			action__report(call, "started", "info", "cgroup %s, disk %s (%s)", cgroup,
				       device->names[i], number);
	}
}

static void limit_begin(const struct action_call *call)
{
	const char *id = device_of(call), *cgroup = cgroup_of(call);
	const struct snapshot_device *device =
		id ? find_device(call->facts->view->snapshot, id) : NULL;
	struct claims *claims = calloc(1, sizeof(*claims));

	if (!claims)
		action__report(call, "failed", "warning", "out of memory");
	else if (!device)
		action__report(call, "failed", "warning", "no device writes for it: %s",
			       id ? id : "none at all");
	else if (!*cgroup || strcmp(cgroup, "/") == 0)
		action__report(call, "failed", "warning",
			       "it is in the root cgroup, which has no limits");
	else
		claim_all(call, cgroup, device, claims);
	if (claims && !claims->count) {
		free(claims);
		claims = NULL;
	}
	*call->handle = (uintptr_t)claims;
}

static void limit_end(const struct action_call *call)
{
	struct claims *claims =
		(void *)(uintptr_t)*call->handle; // NOLINT(performance-no-int-to-ptr)
	struct reason why;

	for (size_t i = 0; claims && i < claims->count; i++) {
		int err = limits__release(call->services->limits, claims->ids[i], &why);

		action__report(call, err ? "failed" : "ended", err ? "error" : "info", "%s",
			       why.text);
	}
	free(claims);
}

const struct action_type action_limit = {
	.name = "limit",
	.help = "io.max of the target's cgroup, on a device's disks, until the policy is resolved",
	.kinds = FOR(PROCESS) | FOR(CGROUP) | FOR(VM) | FOR(FLOW),
	.is_gated = true,
	.settings_size = sizeof(struct limit_settings),
	.defaults = &defaults,
	.rows = rows,
	.check = limit_check,
	.begin = limit_begin,
	.undoes = true,
	.end = limit_end,
};
