/* SPDX-License-Identifier: BSD-2-Clause */
#include "dashboards/terminal/tables/commands.h"

#include <string.h>

#include "dashboards/terminal/tables/listing.h"
#include "dashboards/terminal/tables/output.h"
#include "dashboards/terminal/tables/sensor_text.h"

#define NEEDS_VERBOSE 0x100
#define OPTIONS_MAX 16

struct command {
	bool help, json, verbose, reverse;
	const char *url, *token_file, *ca_file, *columns, *sort, *order, *filter, *device;
	uint32_t limit, pid, after;
};

#define FIELD(name) offsetof(struct command, name)

/* needs: bits of enum resource_query, or NEEDS_VERBOSE; 0: every command has it. */
static const struct {
	unsigned needs;
	struct option_row row;
} all_options[] = {
	{0, {"help", 'h', OPTION_FLAG, FIELD(help), 0, 0, NULL, "show this help", NULL}},
	{0, {"json", 'j', OPTION_FLAG, FIELD(json), 0, 0, NULL, "print the API's answer", NULL}},
	{NEEDS_VERBOSE,
	 {"verbose", 'v', OPTION_FLAG, FIELD(verbose), 0, 0, NULL, "show more", NULL}},
	{0,
	 {"columns", 'c', OPTION_STRING, FIELD(columns), 0, 0, "A,B,...",
	  "columns to show, from the list below", NULL}},
	{TAKES_SORT,
	 {"sort", 's', OPTION_STRING, FIELD(sort), 0, 0, "COLUMN", "column to sort by", NULL}},
	{TAKES_SORT,
	 {"order", 0, OPTION_STRING, FIELD(order), 0, 0, "asc|desc",
	  "default: numbers fall, names rise", NULL}},
	{TAKES_SORT,
	 {"reverse", 'r', OPTION_FLAG, FIELD(reverse), 0, 0, NULL, "turn the order around", NULL}},
	{TAKES_LIMIT,
	 {"limit", 'l', OPTION_U32, FIELD(limit), 1, 0, "N", "show at most N rows (all)", NULL}},
	{TAKES_FILTER,
	 {"filter", 'F', OPTION_STRING, FIELD(filter), 0, 0, "TEXT",
	  "only rows that hold this text in a name, whatever its case", NULL}},
	{TAKES_PID,
	 {"pid", 'p', OPTION_U32, FIELD(pid), 1, UINT32_MAX, "N", "only rows of this process",
	  NULL}},
	{TAKES_DEVICE,
	 {"device", 'd', OPTION_STRING, FIELD(device), 0, 0, "ID", "only flows of this device",
	  NULL}},
	{TAKES_AFTER,
	 {"after", 'a', OPTION_U32, FIELD(after), 0, UINT32_MAX, "ID",
	  "only events with a higher number", NULL}},
	{0, {"url", 'u', OPTION_STRING, FIELD(url), 0, 0, "URL", LISTING_URL_HELP, NULL}},
	{0, {"ca-file", 0, OPTION_STRING, FIELD(ca_file), 0, 0, "FILE", LISTING_CA_HELP, NULL}},
	{0,
	 {"token-file", 0, OPTION_STRING, FIELD(token_file), 0, 0, "FILE",
	  "its content is sent as the bearer token", NULL}},
};

static void make_options(const struct resource *resource, struct option_row *options)
{
	unsigned has = resource->query | (resource->verbose ? NEEDS_VERBOSE : 0);

	for (size_t i = 0; i < sizeof(all_options) / sizeof(*all_options); i++) {
		if (all_options[i].needs & ~has)
			continue;
		*options = all_options[i].row;
		if (options->offset == FIELD(limit))
			options->max = resource->limit_max;
		options++;
	}
	*options = (struct option_row){0};
}

static int show_help(const struct resource *resource, const struct option_row *options)
{
	struct text out = {0};
	int status;

	text__printf(&out, "usage: dirtyscope %s [options]\n\nShows %s.\n%s\n\n", resource->name,
		     resource->help, resource->about);
	options__help(options, &out);
	text__puts(&out, "\nColumns:\n");
	columns__help(resource->columns, &out);
	text__printf(&out, "\nShown by default: %s\n", resource->shown);
	status = output__status(output__write(&out));
	text__free(&out);
	return status;
}

static int prepare(const struct command *command, struct listing *listing)
{
	const struct resource *resource = listing->resource;
	const char *columns = command->verbose ? resource->verbose : resource->shown;
	struct reason error;

	if (listing__set_columns(listing, command->columns ? command->columns : columns, &error) ||
	    listing__set_sort(listing, command->sort, command->order, command->reverse, &error))
		return output__fail(STATUS_USAGE, "%s", error.text);
	listing->limit = command->limit ? command->limit : resource->limit_max;
	listing->filter = command->filter;
	listing->device = command->device;
	listing->pid = command->pid;
	listing->after = command->after;
	return STATUS_DONE;
}

static void put_json(struct client *client, struct text *out)
{
	size_t length;
	const char *body = client__body(client, &length);

	text__append(out, body, length);
	if (length == 0 || body[length - 1] != '\n')
		text__putc(out, '\n');
}

static void put_answer(const struct command *command, const struct listing *listing, json_t *answer,
		       struct text *out)
{
	struct table_style style = output__style();
	/* Sensors keep their table with -v: the details below it are tables too. */
	bool sensors = strcmp(listing->resource->name, "sensors") == 0;

	if (command->verbose && !command->columns && !sensors)
		listing__records(listing, answer, &style, out);
	else
		listing__table(listing, answer, &style, out);
	if (sensors && !command->columns)
		sensors__details(answer, command->verbose, &style, out);
}

static int run(const struct command *command, const struct listing *listing, struct client *client)
{
	struct client_error error;
	struct text path = {0}, out = {0};
	json_t *answer = NULL;
	int status = STATUS_FAILED;

	listing__path(listing, &path);
	if (path.failed) {
		output__fail(status, "out of memory");
		goto cleanup;
	}
	if (client__get(client, path.data, &answer, &error)) {
		output__fail(status, "%s", error.message);
		goto cleanup;
	}
	if (!listing__rows(listing, answer)) {
		output__fail(status, "the answer holds no %s; is this a dirtyscope agent?",
			     listing->resource->name);
		goto cleanup;
	}
	if (command->json)
		put_json(client, &out);
	else
		put_answer(command, listing, answer, &out);
	status = output__status(output__write(&out));
cleanup:
	json_decref(answer);
	text__free(&path);
	text__free(&out);
	return status;
}

int commands__list(int argc, char **argv)
{
	const struct resource *resource = resource__find(argv[0]);
	struct option_row options[OPTIONS_MAX + 1];
	struct listing listing = {.resource = resource};
	struct command command = {0};
	struct client *client = NULL;
	struct reason error;
	int status;

	_Static_assert(sizeof(all_options) / sizeof(*all_options) <= OPTIONS_MAX, "they fit");
	if (!resource)
		return output__fail(STATUS_USAGE, "unknown command '%s'", argv[0]);
	make_options(resource, options);
	if (options__parse(options, argc, argv, &command, NULL, 0, &error) < 0)
		return output__fail(STATUS_USAGE, "%s", error.text);
	if (command.help)
		return show_help(resource, options);
	status = prepare(&command, &listing);
	if (status == STATUS_DONE)
		status =
			listing__connect(command.url, command.token_file, command.ca_file, &client);
	if (status == STATUS_DONE)
		status = run(&command, &listing, client);
	client__free(client);
	return status;
}
