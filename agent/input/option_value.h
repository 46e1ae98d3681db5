/* SPDX-License-Identifier: BSD-2-Clause */
/* One value of one option: what the command line and the configuration file have in common. */
#ifndef DIRTYSCOPE_AGENT_INPUT_OPTION_VALUE_H
#define DIRTYSCOPE_AGENT_INPUT_OPTION_VALUE_H

#include "agent/input/options.h"

struct option_value {
	bool set;
	bool flag;
	const char *string; /* STRING; one item of a LIST */
	uint32_t number;
	uint64_t size;
	double seconds;
	struct option_list list;
};

/*
 * Parses one value (of a LIST: one item, into `string`). Returns 0, or -EINVAL with a reason in
 * `why` that does not name the option. The string must outlive *value.
 */
int option_value__parse(const struct option_row *row, const char *string,
			struct option_value *value, struct reason *why);
/* Adds value->string to the list; -EINVAL with a reason when it is full or already there. */
int option_list__add(struct option_list *list, const char *string, struct reason *why);
/* Copies the value to its field in *config. */
void option_value__store(const struct option_row *row, const struct option_value *value,
			 void *config);

#endif
