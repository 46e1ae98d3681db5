/* SPDX-License-Identifier: BSD-2-Clause */
/* What `dirtyscope doctor` found, as a table for people and as JSON. */
#ifndef DIRTYSCOPE_AGENT_CLI_DOCTOR_REPORT_H
#define DIRTYSCOPE_AGENT_CLI_DOCTOR_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/base/text.h"

enum finding_state {
	FINDING_OK,
	FINDING_LIMITED, /* it runs, and sees less */
	FINDING_MISSING, /* a base sensor, or all of it, cannot run without */
};

struct finding {
	const char *name;
	enum finding_state state;
	bool base; /* of a sensor: it is on tracepoints, which every host should have */
	char detail[512];
	const char *gain; /* what would be seen with it; "" */
};

struct doctor_report {
	const char *kernel; /* release */
	const struct finding *checks, *sensors;
	size_t check_count, sensor_count;
	const char *why; /* nothing could be loaded; "" */
	bool can_run;	 /* every base sensor */
};

void doctor_report__text(const struct doctor_report *report, struct text *out);
void doctor_report__json(const struct doctor_report *report, struct text *out);

#endif
