/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/cli/doctor.h"

#include <dirent.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/statfs.h>

#include "agent/base/log.h"
#include "agent/base/reason.h"
#include "agent/cli/doctor_report.h"
#include "agent/host/cgroups.h"
#include "agent/input/options.h"
#include "agent/kernel/kernel_side.h"
#include "agent/kernel/probe.h"
#include "agent/kernel/programs.h"
#include "agent/option_table.h"
#include "dashboards/terminal/tables/output.h"

struct doctor_options {
	bool help, json;
};

static const struct option_row rows[] = {
	{"help", 'h', OPTION_FLAG, offsetof(struct doctor_options, help), 0, 0, NULL,
	 "show this help", NULL},
	{"json", 'j', OPTION_FLAG, offsetof(struct doctor_options, json), 0, 0, NULL, "as JSON",
	 NULL},
	{0},
};

/* What the checks look at. */
struct host {
	struct host_facts facts;
	const struct snapshot *snapshot; /* NULL: nothing could be loaded */
	char why[512];			 /* it could not; "" */
	char cgroups[256];		 /* where version 2 is mounted; "" */
	uint32_t iommu_groups;
};

/* ---- checks: one row each ---- */

static enum finding_state look_at_kernel(const struct host *host, struct finding *finding)
{
	const struct host_facts *facts = &host->facts;
	bool fits = facts->pointer_bits == 64 && facts->page_size == (long)DS_PAGE_SIZE &&
		    facts->has_loops != 0;

	snprintf(finding->detail, sizeof(finding->detail), "Linux %s, %s, pages of %ld bytes%s",
		 facts->release, facts->machine, facts->page_size,
		 facts->has_loops ? "" : ", no BPF helper bpf_loop");
	return fits ? FINDING_OK : FINDING_MISSING;
}

static enum finding_state look_at_btf(const struct host *host, struct finding *finding)
{
	snprintf(finding->detail, sizeof(finding->detail), "%s",
		 host->facts.btf_error ? strerror(host->facts.btf_error)
				       : "the kernel describes its types");
	return host->facts.btf_error ? FINDING_MISSING : FINDING_OK;
}

/* What each is for; without the first two nothing runs. */
static const struct {
	int number;
	const char *name;
	bool needed;
} capabilities[] = {
	{CAP_BPF, "CAP_BPF", true},
	{CAP_PERFMON, "CAP_PERFMON", true},
	{CAP_SYS_PTRACE, "CAP_SYS_PTRACE", false},
	{CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH", false},
	{CAP_SYS_ADMIN, "CAP_SYS_ADMIN", false},
};

static enum finding_state look_at_capabilities(const struct host *host, struct finding *finding)
{
	enum finding_state state = FINDING_OK;
	size_t length = 0;

	snprintf(finding->detail, sizeof(finding->detail), "all that is used");
	for (size_t i = 0; i < sizeof(capabilities) / sizeof(capabilities[0]); i++) {
		bool held = capabilities[i].needed
				    ? host_facts__may(&host->facts, capabilities[i].number)
				    : host->facts.capabilities & 1ULL << capabilities[i].number;

		if (held || length >= sizeof(finding->detail))
			continue;
		length +=
			(size_t)snprintf(finding->detail + length, sizeof(finding->detail) - length,
					 "%s%s", length ? " " : "missing: ", capabilities[i].name);
		if (capabilities[i].needed)
			state = FINDING_MISSING;
		else if (state == FINDING_OK)
			state = FINDING_LIMITED;
	}
	return state;
}

static enum finding_state look_at_lockdown(const struct host *host, struct finding *finding)
{
	snprintf(finding->detail, sizeof(finding->detail), "%s",
		 host->facts.locked_down ? "confidentiality: BPF may not read the kernel's memory"
					 : "BPF may read the kernel's memory");
	return host->facts.locked_down ? FINDING_MISSING : FINDING_OK;
}

static enum finding_state look_at_functions(const struct host *host, struct finding *finding)
{
	bool available = false;
	const char *reason = "not known: nothing could be loaded";

	for (size_t i = 0; host->snapshot && i < host->snapshot->tier_count; i++)
		if (strcmp(host->snapshot->tiers[i].name, "fentry") == 0) {
			available = host->snapshot->tiers[i].available;
			reason = host->snapshot->tiers[i].reason;
		}
	snprintf(finding->detail, sizeof(finding->detail), "%s",
		 available ? "the kernel takes programs on its functions, and calls them" : reason);
	return available ? FINDING_OK : FINDING_LIMITED;
}

static enum finding_state look_at_cgroups(const struct host *host, struct finding *finding)
{
	snprintf(finding->detail, sizeof(finding->detail), "%s%s",
		 *host->cgroups ? "version 2, at " : "version 2 is not mounted", host->cgroups);
	return *host->cgroups ? FINDING_OK : FINDING_LIMITED;
}

static enum finding_state look_at_iommu(const struct host *host, struct finding *finding)
{
	snprintf(finding->detail, sizeof(finding->detail), "%u groups of devices",
		 host->iommu_groups);
	return host->iommu_groups ? FINDING_OK : FINDING_LIMITED;
}

static const struct check {
	const char *name;
	enum finding_state (*look)(const struct host *host, struct finding *finding);
	const char *gain; /* with it, where it is limited or missing */
} checks[] = {
	{"kernel", look_at_kernel, "everything: Linux 5.17 or newer for x86_64 is needed"},
	{"btf", look_at_btf, "everything: a kernel with CONFIG_DEBUG_INFO_BTF=y is needed"},
	{"capabilities", look_at_capabilities,
	 "CAP_BPF and CAP_PERFMON: everything; CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH: tracks, and "
	 "names of other users' processes; CAP_SYS_ADMIN: which of a track's pages devices wrote, "
	 "and functions of modules"},
	{"lockdown", look_at_lockdown, "everything: lockdown=integrity or none is needed"},
	{"functions", look_at_functions, "what the sensors below say"},
	{"cgroup2", look_at_cgroups, "sums per cgroup by its id, and limits by io.max"},
	{"iommu", look_at_iommu, "devices that can write only what is mapped for them"},
};

/* ---- sensors ---- */

/* What its rows of the table are on: a tracepoint makes it one that every host should have. */
static bool is_base(enum ds_sensor id)
{
	for (const struct program_row *row = program_table; row->name; row++)
		if (row->sensor == id && strncmp(row->hook, "tp_btf:", 7) == 0)
			return true;
	return false;
}

static bool runs(const struct snapshot_sensor *sensor, const char *program)
{
	for (size_t i = 0; i < sensor->program_count; i++)
		if (strcmp(sensor->programs[i].name, program) == 0)
			return sensor->programs[i].state == PROGRAM_ACTIVE;
	return false;
}

static void look_at_sensor(const struct host *host, enum ds_sensor id, struct finding *finding)
{
	const struct sensor_row *row = &sensor_table[id];
	const struct snapshot_sensor *sensor = host->snapshot ? &host->snapshot->sensors[id] : NULL;

	finding->name = ds_sensor_names[id];
	finding->base = is_base(id);
	finding->gain = "";
	if (!sensor || sensor->state == SENSOR_UNAVAILABLE) {
		finding->state = finding->base ? FINDING_MISSING : FINDING_LIMITED;
		finding->gain = row->yields;
	} else if (sensor->state == SENSOR_PARTIAL || (row->better && !runs(sensor, row->better))) {
		finding->state = FINDING_LIMITED;
		finding->gain = row->better && !runs(sensor, row->better) ? row->gain : "";
	}
	snprintf(finding->detail, sizeof(finding->detail), "%s",
		 sensor ? sensor->reason : "not loaded");
	if (!*finding->detail)
		snprintf(finding->detail, sizeof(finding->detail), "%s",
			 finding->state == FINDING_OK ? row->yields : "its tracepoints run");
}

/* ---- the whole ---- */

static uint32_t count_iommu_groups(const char *path)
{
	DIR *groups = opendir(path);
	uint32_t count = 0;

	if (!groups)
		return 0;
	for (const struct dirent *entry = readdir(groups); entry; entry = readdir(groups))
		count += entry->d_name[0] != '.';
	(void)closedir(groups);
	return count;
}

static void look_at_host(struct host *host)
{
	struct statfs fs;

	host_facts__read(&host->facts);
	cgroup__directory("/sys", "", host->cgroups, sizeof(host->cgroups));
	if (statfs(host->cgroups, &fs) || fs.f_type != CGROUP2_SUPER_MAGIC)
		*host->cgroups = '\0';
	host->iommu_groups = count_iommu_groups("/sys/kernel/iommu_groups");
}

/* Loads as the agent does; *snapshot: its sensors, or NULL, and then host->why. */
static void load(struct host *host, struct kernel_side **kernel, struct snapshot **snapshot)
{
	struct agent_config config;
	const struct kernel_options options = {.config = &config};
	struct kernel_error error = {""};
	int err;

	agent_config__defaults(&config);
	err = kernel_side__new(&options, kernel, &error);
	*snapshot = err ? NULL : snapshot__new();
	if (*snapshot && kernel_side__sample(*kernel, *snapshot)) {
		snapshot__put(*snapshot);
		*snapshot = NULL;
	}
	if (!*snapshot)
		snprintf(host->why, sizeof(host->why), "%s",
			 *error.message ? error.message : "out of memory");
	host->snapshot = *snapshot;
	agent_config__free(&config);
}

static int examine(bool as_json)
{
	struct finding found[sizeof(checks) / sizeof(checks[0])] = {0};
	struct finding sensors[DS_SENSOR_COUNT] = {0};
	struct doctor_report report = {
		.checks = found,
		.check_count = sizeof(checks) / sizeof(checks[0]),
		.sensors = sensors,
		.sensor_count = DS_SENSOR_COUNT,
		.can_run = true,
	};
	struct kernel_side *kernel = NULL;
	struct snapshot *snapshot;
	struct host host = {0};
	struct text out = {0};
	int status;

	log__set_level(LOG_ERROR); /* what is refused is in the report */
	look_at_host(&host);
	load(&host, &kernel, &snapshot);
	for (size_t i = 0; i < report.check_count; i++) {
		found[i].name = checks[i].name;
		found[i].state = checks[i].look(&host, &found[i]);
		found[i].gain = found[i].state == FINDING_OK ? "" : checks[i].gain;
	}
	for (int id = 0; id < DS_SENSOR_COUNT; id++) {
		look_at_sensor(&host, id, &sensors[id]);
		report.can_run &= sensors[id].state != FINDING_MISSING;
	}
	report.kernel = host.facts.release;
	report.why = host.why;
	if (as_json)
		doctor_report__json(&report, &out);
	else
		doctor_report__text(&report, &out);
	status = output__status(output__write(&out));
	text__free(&out);
	if (snapshot)
		snapshot__put(snapshot);
	kernel_side__free(kernel);
	return status ? status : report.can_run ? STATUS_DONE : STATUS_UNABLE;
}

int doctor__main(int argc, char **argv)
{
	struct doctor_options given = {0};
	struct reason error;
	struct text out = {0};
	int status;

	if (options__parse(rows, argc, argv, &given, NULL, 0, &error) < 0)
		return output__fail(STATUS_USAGE, "%s", error.text);
	if (!given.help)
		return examine(given.json);
	text__puts(&out, "usage: dirtyscope doctor [--json]\n\n"
			 "Says what this host gives, and what would be gained with more. Loads the "
			 "programs as\nthe agent does, and attaches none. Exit status 0 when every "
			 "sensor that is on\ntracepoints can run, 3 when not.\n\n");
	options__help(rows, &out);
	status = output__status(output__write(&out));
	text__free(&out);
	return status;
}
