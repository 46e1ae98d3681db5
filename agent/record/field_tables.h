/* SPDX-License-Identifier: BSD-2-Clause */
/* How a table of record_fields.h is written, for the files that hold them alone. */
#ifndef DIRTYSCOPE_AGENT_RECORD_FIELD_TABLES_H
#define DIRTYSCOPE_AGENT_RECORD_FIELD_TABLES_H

#include "agent/record/record_fields.h"

#define MEMBER(type, name) #name, .offset = offsetof(type, name), .size = sizeof(((type *)0)->name)
#define ROW(type, member, what, ...)                                        \
	{                                                                   \
		.name = MEMBER(type, member), .kind = (what), ##__VA_ARGS__ \
	}
#define COUNTED(type, member, what, counter, ...) \
	ROW(type, member, what, .count_offset = offsetof(type, counter), ##__VA_ARGS__)
#define TABLE(variable, type, ...)                      \
	const struct record_struct variable = {         \
		#type, sizeof(type), variable##_fields, \
		sizeof(variable##_fields) / sizeof(variable##_fields[0]), __VA_ARGS__}

/* track_fields.c */
extern const struct record_struct record_page_counts, record_track_gap, record_track_progress,
	record_track_range, record_track_backend_cost, record_track_sharer, record_track_member,
	record_track;

#endif
