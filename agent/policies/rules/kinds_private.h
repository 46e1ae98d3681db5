/* SPDX-License-Identifier: BSD-2-Clause */
/* The tables of fields, for kinds.c: to make a field known to rules, add a row in fields.c. */
#ifndef DIRTYSCOPE_AGENT_POLICIES_RULES_KINDS_PRIVATE_H
#define DIRTYSCOPE_AGENT_POLICIES_RULES_KINDS_PRIVATE_H

#include "agent/policies/rules/kinds.h"

#define FIELD_NUMBER(field, get)                                     \
	{                                                            \
		.name = (field), .type = FIELD_CALL, .number = (get) \
	}
#define FIELD_TEXT(field, get)                                         \
	{                                                              \
		.name = (field), .type = FIELD_STRING, .string = (get) \
	}

extern const struct field process_fields[], group_fields[], device_fields[], flow_fields[],
	host_fields[], sensor_fields[];

#endif
