/* SPDX-License-Identifier: BSD-2-Clause */
#include "dashboards/terminal/tables/device_text.h"

#include "dashboards/terminal/tables/table.h"

/* The name of the line, once for all lines of a kind. */
static void begin_line(const char *name, size_t index, unsigned indent, struct text *out)
{
	text__printf(out, "  %-*s  ", (int)indent, index ? "" : name);
}

static void put_string(json_t *value, struct text *out)
{
	const char *string = json_string_value(value);

	table__put_safe(string ? string : "-", 0, out);
}

static void put_number(json_t *row, const char *key, struct text *out)
{
	text__printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(json_object_get(row, key)));
}

static void put_exposures(json_t *row, unsigned indent, struct text *out)
{
	size_t index;
	json_t *item;

	if (json_is_string(json_object_get(row, "exposed_reason"))) {
		begin_line("exposed_reason", 0, indent, out);
		put_string(json_object_get(row, "exposed_reason"), out);
		text__putc(out, '\n');
	}
	json_array_foreach(json_object_get(row, "exposures"), index, item)
	{
		begin_line("exposures", index, indent, out);
		put_number(item, "pages", out);
		text__puts(out, " pages of ");
		put_number(item, "pid", out);
		text__putc(out, ' ');
		put_string(json_object_get(item, "comm"), out);
		text__putc(out, '\n');
	}
}

static void put_stacks(json_t *row, unsigned indent, struct text *out)
{
	size_t index, at;
	json_t *item, *disk;

	json_array_foreach(json_object_get(row, "stacks"), index, item)
	{
		begin_line("stacks", index, indent, out);
		put_string(json_object_get(item, "name"), out);
		json_array_foreach(json_object_get(item, "on"), at, disk)
		{
			text__puts(out, at ? ", " : " on ");
			put_string(disk, out);
		}
		text__putc(out, '\n');
	}
}

static void put_coverage(json_t *row, unsigned indent, struct text *out)
{
	size_t index;
	json_t *item;

	json_array_foreach(json_object_get(row, "coverage"), index, item)
	{
		begin_line("coverage", index, indent, out);
		put_string(json_object_get(item, "sensor"), out);
		text__puts(out, ": ");
		put_string(json_object_get(item, "evidence"), out);
		text__puts(out, ", since ");
		put_string(json_object_get(item, "since"), out);
		text__putc(out, '\n');
	}
	json_array_foreach(json_object_get(row, "not_seen"), index, item)
	{
		begin_line("not_seen", index, indent, out);
		put_string(item, out);
		text__putc(out, '\n');
	}
}

void devices__details(json_t *row, unsigned indent, struct text *out)
{
	put_stacks(row, indent, out);
	put_exposures(row, indent, out);
	put_coverage(row, indent, out);
}
