/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/cli/doctor_report.h"

#include "agent/base/version.h"
#include "api/views/json.h"

static const char *const state_names[] = {
	[FINDING_OK] = "ok", [FINDING_LIMITED] = "limited", [FINDING_MISSING] = "missing"};

static void put_findings(const struct finding *findings, size_t count, struct text *out)
{
	for (size_t i = 0; i < count; i++) {
		text__printf(out, "  %-8s %-13s ", state_names[findings[i].state],
			     findings[i].name);
		text__terminal(out, findings[i].detail);
		text__putc(out, '\n');
		if (*findings[i].gain)
			text__printf(out, "  %-8s %-13s to be gained: %s\n", "", "",
				     findings[i].gain);
	}
}

void doctor_report__text(const struct doctor_report *report, struct text *out)
{
	text__printf(out, "dirtyscope %s (%s) on Linux %s\n\nHost\n", dirtyscope_version(),
		     dirtyscope_revision(), report->kernel);
	put_findings(report->checks, report->check_count, out);
	text__puts(out, "\nSensors\n");
	put_findings(report->sensors, report->sensor_count, out);
	if (*report->why) {
		text__puts(out, "\nNothing can be loaded: ");
		text__terminal(out, report->why);
	}
	text__printf(out, "\n%s\n",
		     report->can_run ? "Every base sensor can run here."
				     : "Not every base sensor can run here: see what is missing.");
}

static void put_finding(struct json *json, const struct finding *finding, bool sensor)
{
	json__object(json, NULL);
	json__string(json, "name", finding->name);
	json__string(json, "state", state_names[finding->state]);
	if (sensor)
		json__bool(json, "base", finding->base);
	json__string(json, "detail", finding->detail);
	json__string(json, "gain", finding->gain);
	json__end_object(json);
}

void doctor_report__json(const struct doctor_report *report, struct text *out)
{
	struct json json = {.out = out};

	json__object(&json, NULL);
	json__string(&json, "version", dirtyscope_version());
	json__string(&json, "revision", dirtyscope_revision());
	json__string(&json, "kernel", report->kernel);
	json__bool(&json, "can_run", report->can_run);
	json__string(&json, "reason", report->why);
	json__array(&json, "checks");
	for (size_t i = 0; i < report->check_count; i++)
		put_finding(&json, &report->checks[i], false);
	json__end_array(&json);
	json__array(&json, "sensors");
	for (size_t i = 0; i < report->sensor_count; i++)
		put_finding(&json, &report->sensors[i], true);
	json__end_array(&json);
	json__end_object(&json);
	text__putc(out, '\n');
}
