/* SPDX-License-Identifier: BSD-2-Clause */
/* dirtyscope: which memory pages get written, by whom. One binary, subcommands. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/base/exit_status.h"
#include "agent/cli/check.h"
#include "agent/cli/doctor.h"
#include "agent/cli/version_report.h"
#include "agent/input/options.h"
#include "api/metrics/metrics.h"
#include "dashboards/terminal/live/top.h"
#include "dashboards/terminal/tables/commands.h"
#include "dashboards/terminal/tables/output.h"
#include "dashboards/terminal/tables/track_command.h"

struct command {
	const char *name, *help;
	int (*run)(int argc, char **argv); /* argv[0] is the name; returns the exit status */
};

static int metrics_command(int argc, char **argv);
static int help_command(int argc, char **argv);

static const struct command commands[] = {
	{"agent", "run the service in the foreground", agent__main},
	{"top", "show the busiest processes, again and again", top__main},
	{"processes", "pages written by each process", commands__list},
	{"devices", "pages written by each device", commands__list},
	{"flows", "who had which device write how many pages", commands__list},
	{"cgroups", "pages written by each cgroup", commands__list},
	{"vms", "pages written by each virtual machine", commands__list},
	{"pins", "who holds memory that may be written at any time", commands__list},
	{"sensors", "what is watched, how well, and why not more", commands__list},
	{"tracks", "precise sessions on processes, cgroups and devices", commands__list},
	{"track", "start, read and end one: exactly which pages", track__main},
	{"policies", "rules over the numbers, and for what they fire", commands__list},
	{"events", "what happened to the agent, its sensors and the devices", commands__list},
	{"check", "validate files of configuration or policies", check__main},
	{"doctor", "what this host gives, and what would be gained with more", doctor__main},
	{"version", "which dirtyscope this is, with which libbpf, on which kernel", version__main},
	{"metrics", "list the metrics of /metrics, as Markdown", metrics_command},
	{"help", "show this help, or that of a command", help_command},
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(*commands))

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static int unknown(const char *name)
{
	return output__fail(STATUS_USAGE, "unknown %s '%s'; see dirtyscope --help",
			    name[0] == '-' ? "option" : "command", name);
}

static int print(struct text *out)
{
	int status = output__status(output__write(out));

	text__free(out);
	return status;
}

static void put_usage(struct text *out)
{
	text__puts(out,
		   "usage: dirtyscope COMMAND [options]\n\n"
		   "Which memory pages of this host get written: by the CPU, for each process,\n"
		   "or by a device, by DMA.\n\n");
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		text__printf(out, "  %-10s  %s\n", commands[i].name, commands[i].help);
	text__puts(out,
		   "\n"
		   "  -h, --help     show this help\n"
		   "  -V, --version  show the version\n\n"
		   "`dirtyscope COMMAND --help` shows a command's options. Exit status: 0 done,\n"
		   "1 failed, 2 wrong usage, 3 this kernel or this user cannot run it.\n");
}

static int show_usage(void)
{
	struct text out = {0};

	put_usage(&out);
	return print(&out);
}

static int help_command(int argc, char **argv)
{
	const struct command *command;

	if (argc < 2 || argv[1][0] == '-')
		return show_usage();
	if (argc > 2)
		return output__fail(STATUS_USAGE, "unexpected argument '%s'; see dirtyscope --help",
				    argv[2]);
	command = find(argv[1]);
	if (!command)
		return unknown(argv[1]);
	return command->run(2, (char *[]){argv[1], "--help", NULL});
}

struct help_options {
	bool help;
};

static const struct option_row help_rows[] = {
	{"help", 'h', OPTION_FLAG, offsetof(struct help_options, help), 0, 0, NULL,
	 "show this help", NULL},
	{0},
};

static int metrics_command(int argc, char **argv)
{
	struct help_options given = {0};
	struct reason error;
	struct text out = {0};

	if (options__parse(help_rows, argc, argv, &given, NULL, 0, &error) < 0)
		return output__fail(STATUS_USAGE, "%s", error.text);
	if (given.help) {
		text__puts(&out, "usage: dirtyscope metrics\n\n"
				 "Lists what the agent serves at /metrics: name, type, labels, "
				 "meaning.\n\n");
		options__help(help_rows, &out);
	} else {
		metrics__reference(&out);
	}
	return print(&out);
}

int main(int argc, char **argv)
{
	const struct command *command;

	/* A reader that goes away is an error of write(2), here and in the agent's connections. */
	signal(SIGPIPE, SIG_IGN);
	if (argc < 2) {
		struct text out = {0};

		put_usage(&out);
		if (!out.failed)
			fputs(out.data, stderr);
		text__free(&out);
		return STATUS_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return show_usage();
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)
		return version__main(argc - 1, argv + 1);
	command = find(argv[1]);
	return command ? command->run(argc - 1, argv + 1) : unknown(argv[1]);
}
