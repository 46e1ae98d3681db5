/* SPDX-License-Identifier: BSD-2-Clause */
#include "dashboards/terminal/tables/listing.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dashboards/terminal/tables/output.h"

static int unknown_column(const struct listing *listing, const char *name, size_t length,
			  bool sortable, struct reason *error)
{
	struct text names = {0};

	columns__names(listing->resource->columns, sortable, &names);
	reason__set(error, "%s column '%.*s'; valid ones are %s",
		    sortable ? "cannot sort by" : "unknown", (int)(length > 40 ? 40 : length), name,
		    names.length ? names.data : "none");
	text__free(&names);
	return -EINVAL;
}

int listing__set_columns(struct listing *listing, const char *names, struct reason *error)
{
	listing->column_count = 0;
	for (;;) {
		size_t length = strcspn(names, ",");
		const struct column *column =
			column__find(listing->resource->columns, names, length);

		if (!column)
			return unknown_column(listing, names, length, false, error);
		if (listing->column_count == TABLE_COLUMNS_MAX) {
			reason__set(error, "more than %d columns", TABLE_COLUMNS_MAX);
			return -EINVAL;
		}
		listing->columns[listing->column_count++] = column;
		if (!names[length])
			return 0;
		names += length + 1;
	}
}

int listing__set_sort(struct listing *listing, const char *name, const char *order, bool reverse,
		      struct reason *error)
{
	const char *wanted = name ? name : listing->resource->sort;

	listing->sort =
		wanted ? column__find(listing->resource->columns, wanted, strlen(wanted)) : NULL;
	if (wanted && (!listing->sort || !listing->sort->sortable))
		return unknown_column(listing, wanted, strlen(wanted), true, error);
	if (order && strcmp(order, "asc") != 0 && strcmp(order, "desc") != 0) {
		reason__set(error, "option --order: '%.40s' is neither asc nor desc", order);
		return -EINVAL;
	}
	if (order)
		listing->descending = strcmp(order, "desc") == 0;
	else
		listing->descending = listing->sort && column__is_number(listing->sort);
	if (reverse)
		listing->descending = !listing->descending;
	return 0;
}

void listing__put_encoded(const char *string, struct text *out)
{
	static const char plain[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

	for (; *string; string++) {
		if (strchr(plain, *string))
			text__putc(out, *string);
		else
			text__printf(out, "%%%02X", (unsigned char)*string);
	}
}

static void put_parameter(const char *name, const char *value, char *separator, struct text *out)
{
	text__putc(out, *separator);
	*separator = '&';
	text__puts(out, name);
	text__putc(out, '=');
	listing__put_encoded(value, out);
}

static void put_number(const char *name, uint64_t value, char *separator, struct text *out)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%" PRIu64, value);
	put_parameter(name, digits, separator, out);
}

static void put_page(const struct listing *listing, char *separator, struct text *out)
{
	const struct {
		const char *name, *value;
	} texts[] = {
		{"filter", listing->filter},
		{"around", listing->around},
		{"find", listing->find},
		{"which", listing->which},
	};

	if (listing->offset)
		put_number("offset", listing->offset, separator, out);
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		if (texts[i].value && *texts[i].value)
			put_parameter(texts[i].name, texts[i].value, separator, out);
}

void listing__path(const struct listing *listing, struct text *out)
{
	unsigned query = listing->resource->query;
	char separator = '?';

	text__puts(out, listing->resource->path);
	if ((query & TAKES_SORT) && listing->sort) {
		put_parameter("sort", listing->sort->name, &separator, out);
		put_parameter("order", listing->descending ? "desc" : "asc", &separator, out);
	}
	if ((query & TAKES_LIMIT) && listing->limit)
		put_number("limit", listing->limit, &separator, out);
	if (query & TAKES_FILTER)
		put_page(listing, &separator, out);
	if ((query & TAKES_PID) && listing->pid)
		put_number("pid", listing->pid, &separator, out);
	if ((query & TAKES_DEVICE) && listing->device)
		put_parameter("device", listing->device, &separator, out);
	if ((query & TAKES_AFTER) && listing->after)
		put_number("after", listing->after, &separator, out);
}

json_t *listing__rows(const struct listing *listing, json_t *answer)
{
	json_t *rows = json_object_get(answer, listing->resource->name);

	return json_is_array(rows) ? rows : NULL;
}

void listing__table(const struct listing *listing, json_t *answer, const struct table_style *style,
		    struct text *out)
{
	struct table *table = table__new(listing->columns, listing->column_count);
	size_t index;
	json_t *row;

	if (!table) {
		out->failed = true;
		return;
	}
	json_array_foreach(listing__rows(listing, answer), index, row) table__add(table, row);
	table__render(table, style, out);
	table__free(table);
}

void listing__records(const struct listing *listing, json_t *answer,
		      const struct table_style *style, struct text *out)
{
	struct text value = {0};
	unsigned widest = 0;
	size_t index;
	json_t *row;

	for (size_t i = 1; i < listing->column_count; i++)
		if (strlen(listing->columns[i]->name) > widest)
			widest = (unsigned)strlen(listing->columns[i]->name);
	json_array_foreach(listing__rows(listing, answer), index, row)
	{
		if (index)
			text__putc(out, '\n');
		for (size_t i = 0; i < listing->column_count; i++) {
			value.length = 0;
			column__format(listing->columns[i], row, &value);
			if (value.failed)
				break;
			text__puts(out, i == 0 && style->colour ? "\033[1m" : "");
			if (i > 0)
				text__printf(out, "  %-*s  ", (int)widest,
					     listing->columns[i]->name);
			table__put_safe(value.data, 0, out);
			text__puts(out, i == 0 && style->colour ? "\033[0m\n" : "\n");
		}
		if (listing->resource->details)
			listing->resource->details(row, widest, out);
	}
	out->failed |= value.failed;
	text__free(&value);
}

/* NULL when neither is given. */
static const char *option_or_environment(const char *option, const char *variable)
{
	const char *value = option ? option : getenv(variable);

	return value && (option || *value) ? value : NULL;
}

struct client_options listing__client_options(const char *url, const char *token_file,
					      const char *ca_file)
{
	return (struct client_options){
		.url = option_or_environment(url, "DIRTYSCOPE_URL"),
		.token_file = token_file,
		.ca_file = option_or_environment(ca_file, "DIRTYSCOPE_CA_FILE"),
	};
}

int listing__open(const struct client_options *options, struct client **client)
{
	struct client_error error;
	int err = client__new(options, client, &error);

	if (!err)
		return STATUS_DONE;
	return output__fail(err == -EINVAL ? STATUS_USAGE : STATUS_FAILED, "%s", error.message);
}

int listing__connect(const char *url, const char *token_file, const char *ca_file,
		     struct client **client)
{
	const struct client_options options = listing__client_options(url, token_file, ca_file);

	return listing__open(&options, client);
}
