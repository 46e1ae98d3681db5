/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/cli/version_report.h"

#include <bpf/libbpf.h>
#include <stddef.h>
#include <sys/utsname.h>

#include "agent/base/reason.h"
#include "agent/base/version.h"
#include "agent/input/options.h"
#include "api/views/json.h"
#include "dashboards/terminal/tables/output.h"

struct version_options {
	bool help, json;
};

static const struct option_row rows[] = {
	{"help", 'h', OPTION_FLAG, offsetof(struct version_options, help), 0, 0, NULL,
	 "show this help", NULL},
	{"json", 'j', OPTION_FLAG, offsetof(struct version_options, json), 0, 0, NULL, "as JSON",
	 NULL},
	{0},
};

static void put_json(const struct utsname *host, struct text *out)
{
	struct json json = {.out = out};

	json__object(&json, NULL);
	json__string(&json, "version", dirtyscope_version());
	json__string(&json, "revision", dirtyscope_revision());
	json__string(&json, "libbpf", libbpf_version_string());
	json__string(&json, "kernel", host->release);
	json__string(&json, "machine", host->machine);
	json__end_object(&json);
	text__putc(out, '\n');
}

int version__main(int argc, char **argv)
{
	struct version_options given = {0};
	struct utsname host = {0};
	struct reason error;
	struct text out = {0};
	int status;

	if (options__parse(rows, argc, argv, &given, NULL, 0, &error) < 0)
		return output__fail(STATUS_USAGE, "%s", error.text);
	(void)uname(&host);
	if (given.help) {
		text__puts(&out, "usage: dirtyscope version [--json]\n\n"
				 "Shows which dirtyscope this is, with which libbpf, on which "
				 "kernel.\n\n");
		options__help(rows, &out);
	} else if (given.json) {
		put_json(&host, &out);
	} else {
		text__printf(&out, "dirtyscope %s (%s)\nlibbpf %s\nLinux %s %s\n",
			     dirtyscope_version(), dirtyscope_revision(), libbpf_version_string(),
			     host.release, host.machine);
	}
	status = output__status(output__write(&out));
	text__free(&out);
	return status;
}
