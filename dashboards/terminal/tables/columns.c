/* SPDX-License-Identifier: BSD-2-Clause */
#include "dashboards/terminal/tables/columns.h"

#include <math.h>
#include <string.h>

#define NOTHING "-"

const struct column *column__find(const struct column *columns, const char *name, size_t length)
{
	for (; columns->name; columns++)
		if (strlen(columns->name) == length && memcmp(columns->name, name, length) == 0)
			return columns;
	return NULL;
}

bool column__is_number(const struct column *column)
{
	return column->format == COLUMN_COUNT || column->format == COLUMN_RATE ||
	       column->format == COLUMN_BYTES;
}

static json_t *resolve(json_t *value, const char *path)
{
	while (value && *path && *path != '-') {
		size_t length = strcspn(path, ".-");

		value = json_object_getn(value, path, length);
		path += length;
		path += *path == '.';
	}
	return value;
}

/* Whole numbers stay whole: a double cannot hold every counter. */
struct sum {
	json_int_t whole;
	double real;
	bool is_real, any;
};

/* depth: an answer may be nested as deep as jansson allows, the API's objects are not. */
static void add_up(json_t *value, const char *apart, int depth, struct sum *sum)
{
	const char *key;
	json_t *member;

	if (json_is_integer(value)) {
		sum->any = true;
		sum->real += (double)json_integer_value(value);
		if (__builtin_add_overflow(sum->whole, json_integer_value(value), &sum->whole))
			sum->is_real = true;
	} else if (json_is_real(value)) {
		sum->any = sum->is_real = true;
		sum->real += json_real_value(value);
	} else if (json_is_object(value) && depth > 0) {
		json_object_foreach(value, key, member)
		{
			if (!apart || strcmp(key, apart) != 0)
				add_up(member, apart, depth - 1, sum);
		}
	}
}

static struct sum number_at(const struct column *column, json_t *row)
{
	const char *apart = strchr(column->path, '-');
	struct sum sum = {0};

	add_up(resolve(row, column->path), apart ? apart + 1 : NULL, 4, &sum);
	return sum;
}

static void put_bytes(double bytes, struct text *out)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	size_t unit = 0;

	while (fabs(bytes) >= 1023.95 && unit + 1 < sizeof(units) / sizeof(*units)) {
		bytes /= 1024;
		unit++;
	}
	text__printf(out, "%.*f %s", unit ? 1 : 0, bytes, units[unit]);
}

static void put_number(const struct column *column, json_t *row, struct text *out)
{
	struct sum sum = number_at(column, row);

	if (!sum.any)
		text__puts(out, NOTHING);
	else if (column->format == COLUMN_BYTES)
		put_bytes(sum.real, out);
	else if (column->format == COLUMN_RATE)
		text__printf(out, "%.1f", sum.real);
	else if (sum.is_real)
		text__printf(out, "%.0f", sum.real);
	else
		text__i64(out, sum.whole);
}

static void put_value(json_t *value, struct text *out)
{
	size_t index;
	json_t *item;

	switch (json_typeof(value)) {
	case JSON_STRING:
		text__puts(out, json_string_value(value));
		break;
	case JSON_INTEGER:
		text__i64(out, json_integer_value(value));
		break;
	case JSON_REAL:
		text__double(out, json_real_value(value));
		break;
	case JSON_TRUE:
		text__puts(out, "yes");
		break;
	case JSON_FALSE:
		text__puts(out, "no");
		break;
	case JSON_ARRAY:
		json_array_foreach(value, index, item)
		{
			/* A list of objects shows their names. */
			json_t *shown = json_is_object(item) ? json_object_get(item, "name") : item;

			if (index)
				text__putc(out, ',');
			if (shown && !json_is_array(shown) && !json_is_object(shown))
				put_value(shown, out);
		}
		break;
	default:
		break;
	}
}

static void put_time(const char *time, struct text *out)
{
	const char *fraction = strchr(time, '.');
	size_t length = strlen(time);

	/* Only the form that the API promises is shortened. */
	if (!fraction || fraction - time != 19 || length < 21 || time[length - 1] != 'Z') {
		text__puts(out, time);
		return;
	}
	text__append(out, time, 19);
	text__putc(out, 'Z');
}

void column__format(const struct column *column, json_t *row, struct text *out)
{
	size_t before = out->length;
	json_t *value;

	if (column__is_number(column)) {
		put_number(column, row, out);
		return;
	}
	value = resolve(row, column->path);
	if (column->format == COLUMN_TIME && json_is_string(value))
		put_time(json_string_value(value), out);
	else if (value)
		put_value(value, out);
	/* An empty cell would shift the columns for who splits the line at blanks. */
	if (out->length == before)
		text__puts(out, NOTHING);
}

void columns__names(const struct column *columns, bool sortable, struct text *out)
{
	bool first = true;

	for (; columns->name; columns++) {
		if (sortable && !columns->sortable)
			continue;
		text__printf(out, "%s%s", first ? "" : ", ", columns->name);
		first = false;
	}
}

void columns__help(const struct column *columns, struct text *out)
{
	for (; columns->name; columns++)
		text__printf(out, "  %-18s %s%s\n", columns->name, columns->help,
			     columns->sortable ? "" : " (not for --sort)");
}
