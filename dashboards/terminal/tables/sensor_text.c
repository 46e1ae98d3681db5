/* SPDX-License-Identifier: BSD-2-Clause */
#include "dashboards/terminal/tables/sensor_text.h"

#include <string.h>

static const struct column tier_columns[] = {
	{"tier", "TIER", COLUMN_TEXT, "name", 0, false, "how programs are attached"},
	{"available", "AVAILABLE", COLUMN_TEXT, "available", 0, false, "does this kernel allow it"},
	{"reason", "REASON", COLUMN_TEXT, "reason", 0, false, "the kernel's own"},
	{0},
};

static const struct column program_columns[] = {
	{"sensor", "SENSOR", COLUMN_TEXT, "sensor", 0, false, "whose it is"},
	{"program", "PROGRAM", COLUMN_TEXT, "name", 0, false, "name"},
	{"tier", "TIER", COLUMN_TEXT, "tier", 0, false, "how it is attached"},
	{"hook", "HOOK", COLUMN_TEXT, "hook", 0, false, "what it is attached to"},
	{"state", "STATE", COLUMN_STATE, "state", 0, false, "active, replaced or unavailable"},
	{"runs", "RUNS", COLUMN_COUNT, "runs", 0, false, "runs, when the kernel counts them"},
	{"reason", "REASON", COLUMN_TEXT, "reason", 0, false, "why it is not active"},
	{0},
};

static const struct column lost_columns[] = {
	{"sensor", "SENSOR", COLUMN_TEXT, "sensor", 0, false, "who lost them"},
	{"lost", "LOST", COLUMN_COUNT, "lost", 0, false, "events"},
	{"reason", "REASON", COLUMN_TEXT, "reason", 0, false, "why"},
	{0},
};

static const struct column blind_columns[] = {
	{"sensor", "SENSOR", COLUMN_TEXT, "name", 0, false, "name"},
	{"yields", "YIELDS", COLUMN_TEXT, "yields", 0, false, "what it counts"},
	{"blind", "CANNOT SEE", COLUMN_TEXT, "blind", 0, false, "what it cannot see"},
	{0},
};

static const struct column limit_columns[] = {
	{"limit", "LIMIT", COLUMN_TEXT, "name", 0, false, "what is limited"},
	{"value", "VALUE", COLUMN_COUNT, "value", 0, false, "how much of it"},
	{0},
};

static struct table *begin(const struct column *columns)
{
	const struct column *shown[TABLE_COLUMNS_MAX];
	size_t count = 0;

	for (; columns[count].name && count < TABLE_COLUMNS_MAX; count++)
		shown[count] = &columns[count];
	return table__new(shown, count);
}

static void end(struct table *table, const struct table_style *style, struct text *out)
{
	text__putc(out, '\n');
	table__render(table, style, out);
	table__free(table);
}

static void put_rows(const struct column *columns, json_t *rows, const struct table_style *style,
		     struct text *out)
{
	struct table *table = begin(columns);
	size_t index;
	json_t *row;

	if (!table) {
		out->failed = true;
		return;
	}
	json_array_foreach(rows, index, row) table__add(table, row);
	end(table, style, out);
}

/* fexit and fentry are one tier: both need a trampoline. */
static json_t *tier_of(json_t *program)
{
	const char *hook = json_string_value(json_object_get(program, "hook"));

	return json_string(hook && strncmp(hook, "tp_btf:", 7) == 0 ? "tp_btf" : "fentry");
}

static void put_programs(json_t *sensors, const struct table_style *style, struct text *out)
{
	struct table *table = begin(program_columns);
	size_t sensor_index, index;
	json_t *sensor, *program;

	if (!table) {
		out->failed = true;
		return;
	}
	json_array_foreach(sensors, sensor_index, sensor)
	{
		json_array_foreach(json_object_get(sensor, "programs"), index, program)
		{
			json_object_set(program, "sensor", json_object_get(sensor, "name"));
			json_object_set_new(program, "tier", tier_of(program));
			table__add(table, program);
		}
	}
	end(table, style, out);
}

static void put_lost(json_t *sensors, const struct table_style *style, struct text *out)
{
	struct table *table = begin(lost_columns);
	const char *reason;
	size_t index;
	json_t *sensor, *count;
	bool any = false;

	if (!table) {
		out->failed = true;
		return;
	}
	json_array_foreach(sensors, index, sensor)
	{
		json_object_foreach(json_object_get(sensor, "lost"), reason, count)
		{
			json_t *row = json_pack("{s:O?, s:O, s:s}", "sensor",
						json_object_get(sensor, "name"), "lost", count,
						"reason", reason);

			if (row && json_integer_value(count) != 0) {
				table__add(table, row);
				any = true;
			}
			json_decref(row);
		}
	}
	if (any)
		end(table, style, out);
	else
		table__free(table);
}

static void put_limits(json_t *limits, const struct table_style *style, struct text *out)
{
	struct table *table = begin(limit_columns);
	const char *name;
	json_t *value;

	if (!table) {
		out->failed = true;
		return;
	}
	json_object_foreach(limits, name, value)
	{
		json_t *row = json_pack("{s:s, s:O}", "name", name, "value", value);

		table__add(table, row);
		json_decref(row);
	}
	end(table, style, out);
}

void sensors__details(json_t *answer, bool verbose, const struct table_style *style,
		      struct text *out)
{
	json_t *sensors = json_object_get(answer, "sensors");

	if (verbose) {
		put_lost(sensors, style, out);
		put_programs(sensors, style, out);
	}
	if (json_array_size(json_object_get(answer, "tiers")))
		put_rows(tier_columns, json_object_get(answer, "tiers"), style, out);
	if (!verbose)
		return;
	put_rows(blind_columns, sensors, style, out);
	if (json_object_size(json_object_get(answer, "limits")))
		put_limits(json_object_get(answer, "limits"), style, out);
}

void sensors__put_counts(json_t *summary, struct text *out)
{
	static const char *const states[] = {"active", "partial", "unavailable"};
	json_t *sensors = json_object_get(summary, "sensors");

	text__puts(out, "sensors: ");
	for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++)
		text__printf(out, "%s%.0f %s", i ? ", " : "",
			     json_number_value(json_object_get(sensors, states[i])), states[i]);
}
