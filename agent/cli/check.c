/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/cli/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/base/exit_status.h"
#include "agent/base/files.h"
#include "agent/input/yaml_source.h"
#include "agent/input/yaml_tree.h"
#include "agent/option_table.h"
#include "agent/policies/rule_set.h"
#include "dashboards/terminal/tables/output.h"

#define FILES_MAX 64

struct check_options {
	bool help;
	const char *config;
};

static const struct option_row rows[] = {
	{"help", 'h', OPTION_FLAG, offsetof(struct check_options, help), 0, 0, NULL,
	 "show this help", NULL},
	{"config", 'c', OPTION_STRING, offsetof(struct check_options, config), 0, 0, "FILE",
	 "the configuration that policies are meant for: what it allows, and what it names", NULL},
	{0},
};

static int print(struct text *out)
{
	int status = output__status(output__write(out));

	text__free(out);
	return status;
}

static int show_help(void)
{
	struct text out = {0};

	text__puts(&out, "usage: dirtyscope check [--config FILE] FILE|DIRECTORY...\n\n"
			 "Validates configuration files for `dirtyscope agent --config`, and files "
			 "or directories of\npolicies: those have `policies:` at their top. Exit "
			 "status 2 where one is wrong.\n\n");
	options__help(rows, &out);
	text__puts(&out, "\nA configuration may set:\n");
	options__help(agent_file_options, &out);
	return print(&out);
}

/* By its text: it could not be read as YAML, and that is to be told as of what it was meant to be.
 */
static bool looks_like_policies(const char *path)
{
	static const char name[] = "policies:";
	const char *line;
	char *text;
	size_t length;
	bool found = false;

	if (files__read_all(AT_FDCWD, path, YAML_FILE_MAX, &text, &length))
		return false;
	for (line = text; line && !found; line = strchr(line, '\n')) {
		line += *line == '\n';
		found = strncmp(line, name, sizeof(name) - 1) == 0;
	}
	free(text);
	return found;
}

static bool has_policies(const char *path)
{
	struct yaml_places *places;
	struct reason message;
	struct stat info;
	json_t *tree;
	bool has;

	if (stat(path, &info) == 0 && S_ISDIR(info.st_mode))
		return true;
	if (yaml_tree__read(path, &tree, &places, &message))
		return looks_like_policies(path);
	has = json_object_get(tree, "policies");
	json_decref(tree);
	yaml_places__free(places);
	return has;
}

static int check_policies(const char *path, const struct agent_config *config, struct reason *error)
{
	const struct rule_world world = {config};
	struct rule_set *set = rule_set__new();
	struct stat info;
	bool directory = stat(path, &info) == 0 && S_ISDIR(info.st_mode);
	int err = -ENOMEM;

	if (set && directory)
		err = rule_set__add_directory(set, path, &world, error);
	else if (set)
		err = rule_set__add_file(set, path, &world, error);
	else
		reason__set(error, "out of memory");
	rule_set__free(set);
	return err;
}

static int check_all(const char *const *paths, int count, const struct agent_config *config)
{
	struct reason error = {""};
	int status = STATUS_DONE;

	for (int i = 0; i < count; i++) {
		struct text out = {0};
		int err = has_policies(paths[i]) ? check_policies(paths[i], config, &error)
						 : agent_config__check_file(paths[i], &error);

		if (err) {
			status = output__fail(STATUS_USAGE, "%s", error.text);
			continue;
		}
		text__terminal(&out, paths[i]);
		text__puts(&out, ": ok\n");
		if (print(&out) != STATUS_DONE)
			return STATUS_FAILED;
	}
	return status;
}

int check__main(int argc, char **argv)
{
	struct check_options given = {0};
	struct agent_config config = {0};
	struct reason error;
	const char *paths[FILES_MAX];
	int status, count = options__parse(rows, argc, argv, &given, paths, FILES_MAX, &error);

	if (count < 0)
		return output__fail(STATUS_USAGE, "%s", error.text);
	if (given.help)
		return show_help();
	if (count == 0)
		return output__fail(STATUS_USAGE, "which file? see dirtyscope check --help");
	if (given.config &&
	    agent_config__load(&config, 3,
			       (char *[]){argv[0], "--config", (char *)given.config, NULL},
			       &error)) {
		agent_config__free(&config);
		return output__fail(STATUS_USAGE, "%s", error.text);
	}
	status = check_all(paths, count, given.config ? &config : NULL);
	agent_config__free(&config);
	return status;
}
