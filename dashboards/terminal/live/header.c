/* SPDX-License-Identifier: BSD-2-Clause */
#include "dashboards/terminal/live/header.h"

#include <string.h>

#include "dashboards/terminal/tables/cells.h"
#include "dashboards/terminal/tables/sensor_text.h"
#include "dashboards/terminal/tables/table.h"
#include "dashboards/terminal/tables/units.h"

#define TWO_COLUMNS 64 /* cells, from which on two rates stand in one line */
#define LABEL 12
#define NUMBER 12

static const struct {
	const char *label, *group, *name;
} rates[HEADER_RATES] = {
	{"first touch", "cpu_rates", "first_touch"}, {"page cache", "rates", "pagecache"},
	{"rewrite", "cpu_rates", "rewrite"},	     {"block dev", "rates", "blockdev"},
	{"kernel", "cpu_rates", "kernel"},	     {"DMA", "rates", "dma"},
};

static json_t *rate_of(json_t *summary, size_t index)
{
	return json_object_get(json_object_get(summary, rates[index].group), rates[index].name);
}

void header__take_summary(struct header *header, json_t *summary)
{
	/* One value a sample, however often it is asked for. */
	bool news = !header->summary || !json_equal(json_object_get(header->summary, "sequence"),
						    json_object_get(summary, "sequence"));

	for (size_t i = 0; news && i < HEADER_RATES; i++)
		spark__add(&header->sparks[i], json_number_value(rate_of(summary, i)));
	json_decref(header->summary);
	header->summary = summary;
}

void header__take_sensors(struct header *header, json_t *sensors)
{
	json_decref(header->sensors);
	header->sensors = sensors;
}

void header__free(struct header *header)
{
	json_decref(header->summary);
	json_decref(header->sensors);
}

static unsigned rate_columns(unsigned width)
{
	return width >= TWO_COLUMNS ? 2 : 1;
}

unsigned header__height(unsigned width)
{
	return 4 + HEADER_RATES / rate_columns(width);
}

static void put_string(json_t *object, const char *name, struct text *out)
{
	const char *string = json_string_value(json_object_get(object, name));

	text__puts(out, string ? string : "?");
}

static double member(json_t *object, const char *name)
{
	return json_number_value(json_object_get(object, name));
}

static void put_title(json_t *summary, struct text *out)
{
	text__puts(out, "dirtyscope ");
	put_string(summary, "time", out);
	text__puts(out, "  host ");
	put_string(summary, "host", out);
	text__puts(out, "  kernel ");
	put_string(summary, "kernel", out);
	text__puts(out, "  up ");
	units__put_uptime(member(summary, "uptime"), out);
}

static void put_rate(const struct header *header, size_t index, unsigned width, struct text *out)
{
	json_t *rate = rate_of(header->summary, index);
	char number[32] = "-";

	if (json_is_number(rate))
		snprintf(number, sizeof(number), "%.1f/s", json_number_value(rate));
	cells__put_field(rates[index].label, LABEL, false, out);
	cells__put_field(number, NUMBER, true, out);
	text__putc(out, ' ');
	if (width > LABEL + NUMBER + 1)
		spark__put(&header->sparks[index], width - LABEL - NUMBER - 1, out);
}

static void put_rates(const struct header *header, unsigned line, unsigned width, struct text *out)
{
	unsigned columns = rate_columns(width), share = (width - 2 * (columns - 1)) / columns;

	for (unsigned column = 0; column < columns; column++) {
		if (column)
			text__puts(out, "  ");
		put_rate(header, line * columns + column, share, out);
	}
}

static void put_sensors(json_t *summary, struct text *out)
{
	sensors__put_counts(summary, out);
	text__puts(out, json_is_true(json_object_get(summary, "degraded"))
				? "; degraded: events were lost"
				: "; no event lost");
}

static bool is_unavailable(json_t *sensor)
{
	const char *state = json_string_value(json_object_get(sensor, "state"));

	return state && strcmp(state, "unavailable") == 0;
}

/* In a line: what is off by name, then what those that run cannot see. */
static void put_not_seen(json_t *sensors, struct text *out)
{
	const char *separator = "";
	size_t index;
	json_t *sensor;

	text__puts(out, "not seen: ");
	json_array_foreach(sensors, index, sensor)
	{
		if (!is_unavailable(sensor))
			continue;
		text__puts(out, *separator ? ", " : "sensors ");
		put_string(sensor, "name", out);
		separator = "; ";
	}
	json_array_foreach(sensors, index, sensor)
	{
		const char *blind = json_string_value(json_object_get(sensor, "blind"));

		if (is_unavailable(sensor) || !blind || !*blind)
			continue;
		text__printf(out, "%s%s", separator, blind);
		separator = "; ";
	}
	if (!*separator)
		text__puts(out, "?");
}

void header__not_seen(const struct header *header, struct text *out)
{
	size_t index;
	json_t *sensor;

	json_array_foreach(json_object_get(header->sensors, "sensors"), index, sensor)
	{
		const char *reason = json_string_value(json_object_get(sensor, "reason"));
		const char *name = json_string_value(json_object_get(sensor, "name"));
		const char *state = json_string_value(json_object_get(sensor, "state"));
		const char *blind = json_string_value(json_object_get(sensor, "blind"));

		text__puts(out, "  ");
		table__put_safe(name ? name : "?", 0, out);
		text__puts(out, ": ");
		table__put_safe(state ? state : "?", 0, out);
		if (reason && *reason) {
			text__puts(out, ", ");
			table__put_safe(reason, 0, out);
		}
		text__putc(out, '\n');
		if (blind && *blind) {
			text__puts(out, "    cannot see: ");
			table__put_safe(blind, 0, out);
			text__putc(out, '\n');
		}
	}
}

/* Shown where the line is drawn: nothing of the agent's may move the cursor. */
struct header_line header__line(const struct header *header, unsigned index, unsigned width)
{
	unsigned rate_lines = HEADER_RATES / rate_columns(width);
	json_t *summary = header->summary;
	struct header_line line = {0};
	struct text raw = {0};

	if (!summary) {
		if (index == 0)
			table__put_safe("dirtyscope", width, &line.text);
		return line;
	}
	if (index == 0) {
		put_title(summary, &raw);
	} else if (index <= rate_lines) {
		put_rates(header, index - 1, width, &raw);
	} else if (index == rate_lines + 1) {
		text__printf(&raw,
			     "devices: %.0f distinct pages in the last %.1f s, %.0f exposed now",
			     member(summary, "dirty_pages"), member(summary, "interval"),
			     member(summary, "exposed_pages"));
	} else if (index == rate_lines + 2) {
		put_sensors(summary, &raw);
		line.warns = json_is_true(json_object_get(summary, "degraded"));
	} else {
		put_not_seen(json_object_get(header->sensors, "sensors"), &raw);
	}
	if (raw.length)
		table__put_safe(raw.data, width, &line.text);
	line.text.failed |= raw.failed;
	text__free(&raw);
	return line;
}
