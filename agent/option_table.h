/* SPDX-License-Identifier: BSD-2-Clause */
/* The agent's options as a table: the command line, --help and --config FILE follow from it. */
#ifndef DIRTYSCOPE_AGENT_OPTION_TABLE_H
#define DIRTYSCOPE_AGENT_OPTION_TABLE_H

#include "agent/base/config.h"
#include "agent/input/options.h"

/* One row an option. */
extern const struct option_row agent_options[];
/* The rows that a configuration file may set: all but --help and --config. */
extern const struct option_row *const agent_file_options;
void agent_config__defaults(struct agent_config *config);
/*
 * Fills *config, whatever it held: the command line over --config over the defaults. Returns 0,
 * -EINVAL with *error, or another negative errno with *error when the file cannot be read. With
 * --help the file is not read. agent_config__free afterwards, also on failure.
 */
int agent_config__load(struct agent_config *config, int argc, char *const *argv,
		       struct reason *error);
/* Validates a configuration file as agent_config__load would. 0, or negative with *error. */
int agent_config__check_file(const char *path, struct reason *error);
void agent_config__free(struct agent_config *config);

#endif
