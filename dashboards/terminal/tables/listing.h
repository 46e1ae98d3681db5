/* SPDX-License-Identifier: BSD-2-Clause */
/* What a user wants to see of a resource, and the API's path for it. */
#ifndef DIRTYSCOPE_DASHBOARDS_TERMINAL_TABLES_LISTING_H
#define DIRTYSCOPE_DASHBOARDS_TERMINAL_TABLES_LISTING_H

#include "agent/input/options.h"
#include "agent/base/text.h"
#include "api/client.h"
#include "dashboards/terminal/tables/columns.h"
#include "dashboards/terminal/tables/table.h"

#define LISTING_URL_HELP                                                     \
	"http://HOST:PORT, https://HOST:PORT or unix:PATH (DIRTYSCOPE_URL, " \
	"else " CLIENT_DEFAULT_URL ")"

struct listing {
	const struct resource *resource;
	const struct column *columns[TABLE_COLUMNS_MAX];
	size_t column_count;
	const struct column *sort; /* NULL: the API's order */
	bool descending;
	uint32_t limit;	    /* rows at most */
	const char *filter; /* these: NULL or 0 when not asked for */
	const char *device;
	uint32_t pid, after;
	size_t offset;
	const char *around, *find, *which;
};

/* names: comma-separated. -EINVAL with *error, which names the unknown column and lists the valid
 * ones. */
int listing__set_columns(struct listing *listing, const char *names, struct reason *error);
/*
 * name: a column, NULL for the resource's own choice. order: "asc", "desc", or NULL: numbers
 * fall, names rise. -EINVAL with *error.
 */
int listing__set_sort(struct listing *listing, const char *name, const char *order, bool reverse,
		      struct reason *error);
/* Percent-encoded, as a part of a path or a query. */
void listing__put_encoded(const char *string, struct text *out);
/* Path and query, percent-encoded. */
void listing__path(const struct listing *listing, struct text *out);
/* The rows of an answer; NULL when it has none. Borrowed. */
json_t *listing__rows(const struct listing *listing, json_t *answer);
/* One row of the table for each row of the answer. */
void listing__table(const struct listing *listing, json_t *answer, const struct table_style *style,
		    struct text *out);
/* One paragraph for each row: its first column, then the others, one a line. */
void listing__records(const struct listing *listing, json_t *answer,
		      const struct table_style *style, struct text *out);

#define LISTING_CA_HELP "PEM of the CAs to trust with https (DIRTYSCOPE_CA_FILE, else the system's)"

/* --url, else DIRTYSCOPE_URL, else the default; the same for --ca-file. */
struct client_options listing__client_options(const char *url, const char *token_file,
					      const char *ca_file);
/* 0, or the exit status after a message. */
int listing__open(const struct client_options *options, struct client **client);
/* Both. */
int listing__connect(const char *url, const char *token_file, const char *ca_file,
		     struct client **client);

#endif
