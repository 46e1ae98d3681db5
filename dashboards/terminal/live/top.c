/* SPDX-License-Identifier: BSD-2-Clause */
#include "dashboards/terminal/live/top.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "dashboards/terminal/live/interactive.h"
#include "dashboards/terminal/live/interactive_keys.h"
#include "dashboards/terminal/tables/listing.h"
#include "dashboards/terminal/tables/output.h"
#include "dashboards/terminal/tables/sensor_text.h"
#include "dashboards/terminal/tables/units.h"

#define SHOWN "pid,user,cpu_rate,pagecache_rate,blockdev_rate,dma_rate,rate,written,state,comm"
#define DEFAULT_LIMIT 100
#define LIVE_TIMEOUT 5
#define PAGES_PER_MIB 256.0

struct top {
	bool help, batch, json, reverse, plain;
	uint32_t iterations, limit, pid;
	double delay;
	const char *sort, *order, *filter, *columns, *url, *token_file, *ca_file;
};

#define FIELD(name) offsetof(struct top, name)

static const struct option_row options[] = {
	{"help", 'h', OPTION_FLAG, FIELD(help), 0, 0, NULL, "show this help", NULL},
	{"batch", 'b', OPTION_FLAG, FIELD(batch), 0, 0, NULL,
	 "plain text, one block after the other; also when this is no terminal", NULL},
	{"iterations", 'n', OPTION_U32, FIELD(iterations), 1, UINT32_MAX, "N",
	 "stop after N refreshes (never)", NULL},
	{"delay", 'd', OPTION_SECONDS, FIELD(delay), 0.1, 3600, "SECONDS",
	 "time between two refreshes (1)", NULL},
	{"sort", 's', OPTION_STRING, FIELD(sort), 0, 0, "COLUMN", "column to sort by (rate)", NULL},
	{"order", 0, OPTION_STRING, FIELD(order), 0, 0, "asc|desc",
	 "default: numbers fall, names rise", NULL},
	{"reverse", 'r', OPTION_FLAG, FIELD(reverse), 0, 0, NULL, "turn the order around", NULL},
	{"filter", 'F', OPTION_STRING, FIELD(filter), 0, 0, "TEXT",
	 "only processes that hold this text in a name, whatever its case", NULL},
	{"pid", 'p', OPTION_U32, FIELD(pid), 1, UINT32_MAX, "N", "only this process, and its flows",
	 NULL},
	{"limit", 'l', OPTION_U32, FIELD(limit), 1, 100000, "N",
	 "in plain text: show at most N processes (100)", NULL},
	{"columns", 'c', OPTION_STRING, FIELD(columns), 0, 0, "A,B,...",
	 "columns to show, from the list below", NULL},
	{"json", 'j', OPTION_FLAG, FIELD(json), 0, 0, NULL,
	 "one line a block: {\"summary\":...,\"processes\":[...]}", NULL},
	{"no-color", 'C', OPTION_FLAG, FIELD(plain), 0, 0, NULL,
	 "no colours; NO_COLOR in the environment does the same", NULL},
	{"url", 'u', OPTION_STRING, FIELD(url), 0, 0, "URL", LISTING_URL_HELP, NULL},
	{"ca-file", 0, OPTION_STRING, FIELD(ca_file), 0, 0, "FILE", LISTING_CA_HELP, NULL},
	{"token-file", 0, OPTION_STRING, FIELD(token_file), 0, 0, "FILE",
	 "its content is sent as the bearer token", NULL},
	{0},
};

static int show_help(const struct resource *resource)
{
	struct text out = {0};
	int status;

	text__puts(
		&out,
		"usage: dirtyscope top [options]\n\n"
		"Shows the host's rates, and who writes the most pages: processes, devices, and\n"
		"which device writes for which process. On a terminal it is live and takes keys;\n"
		"elsewhere, or with -b, the processes are printed again and again.\n\n");
	options__help(options, &out);
	text__puts(&out, "\nKeys:\n");
	keys__help(&out);
	text__puts(&out, "\nColumns:\n");
	columns__help(resource->columns, &out);
	text__puts(&out, "\nShown by default: " SHOWN "\n");
	status = output__status(output__write(&out));
	text__free(&out);
	return status;
}

static double member(json_t *object, const char *name)
{
	return json_number_value(json_object_get(object, name));
}

static void put_string(json_t *summary, const char *name, struct text *out)
{
	const char *string = json_string_value(json_object_get(summary, name));

	table__put_safe(string ? string : "?", 0, out);
}

static void put_sensors(json_t *summary, struct text *out)
{
	sensors__put_counts(summary, out);
	text__puts(out, json_is_true(json_object_get(summary, "degraded"))
				? "; degraded: events were lost\n"
				: "; healthy: no event lost\n");
}

/* Always five lines, so that a reader finds the table. */
static void put_head(json_t *summary, struct text *out)
{
	static const char *const writers[] = {"cpu", "pagecache", "blockdev", "dma"};
	json_t *rates = json_object_get(summary, "rates");
	double interval = member(summary, "interval");

	text__puts(out, "dirtyscope - ");
	put_string(summary, "time", out);
	text__puts(out, ", host ");
	put_string(summary, "host", out);
	text__puts(out, ", kernel ");
	put_string(summary, "kernel", out);
	text__puts(out, ", up ");
	units__put_uptime(member(summary, "uptime"), out);
	text__puts(out, "\npages/s:");
	for (size_t i = 0; i < sizeof(writers) / sizeof(*writers); i++)
		text__printf(out, "%s %s %.1f", i ? "," : "", writers[i],
			     member(rates, writers[i]));
	text__puts(out, "\nMiB/s:  ");
	for (size_t i = 0; i < sizeof(writers) / sizeof(*writers); i++)
		text__printf(out, "%s %s %.1f", i ? "," : "", writers[i],
			     member(rates, writers[i]) / PAGES_PER_MIB);
	text__printf(out, "\ndevices: %.0f distinct pages in the last %.1f s, %.0f exposed now\n",
		     member(summary, "dirty_pages"), interval, member(summary, "exposed_pages"));
	put_sensors(summary, out);
}

/* Cuts every line of the head to the terminal's width. */
static void put_cut_lines(struct text *head, unsigned width, struct text *out)
{
	char *line = head->data;

	while (line && *line) {
		char *end = line;

		while (*end && *end != '\n')
			end++;
		if (*end)
			*end++ = '\0';
		table__put_safe(line, width, out);
		text__putc(out, '\n');
		line = end;
	}
}

static void put_block(const struct top *top, const struct listing *listing, json_t *summary,
		      json_t *answer, struct text *out)
{
	struct table_style style = output__style();
	struct text head = {0};

	style.colour &= !top->plain;
	put_head(summary, &head);
	out->failed |= head.failed;
	if (!head.failed)
		put_cut_lines(&head, style.width, out);
	text__free(&head);
	listing__table(listing, answer, &style, out);
}

static void put_json(const struct listing *listing, json_t *summary, json_t *answer,
		     struct text *out)
{
	json_t *line = json_pack("{s:O, s:O}", "summary", summary, "processes",
				 listing__rows(listing, answer));
	char *string = line ? json_dumps(line, JSON_COMPACT) : NULL;

	if (string)
		text__puts(out, string);
	else
		out->failed = true;
	text__putc(out, '\n');
	free(string);
	json_decref(line);
}

static int show(const struct top *top, struct listing *listing, struct client *client, bool first)
{
	struct text path = {0}, out = {0};
	json_t *summary = NULL, *answer = NULL;
	struct client_error error;
	int err;

	listing__path(listing, &path);
	err = path.failed ? -ENOMEM : 0;
	if (err)
		goto cleanup;
	if (client__get(client, "/api/v1/summary", &summary, &error) ||
	    client__get(client, path.data, &answer, &error)) {
		err = output__fail(STATUS_FAILED, "%s", error.message);
		goto cleanup;
	}
	if (!listing__rows(listing, answer)) {
		err = output__fail(STATUS_FAILED,
				   "the answer holds no processes; is this a dirtyscope agent?");
		goto cleanup;
	}
	if (!first && !top->json)
		text__putc(&out, '\n');
	if (top->json)
		put_json(listing, summary, answer, &out);
	else
		put_block(top, listing, summary, answer, &out);
	err = output__write(&out);
cleanup:
	json_decref(summary);
	json_decref(answer);
	text__free(&path);
	text__free(&out);
	return err;
}

/* Blocks keep their distance however long an answer takes; what is late is left out. */
static void wait_until_next(struct timespec *next, double delay)
{
	struct timespec now;
	double seconds = floor(delay);

	next->tv_sec += (time_t)seconds;
	next->tv_nsec += (long)((delay - seconds) * 1e9);
	if (next->tv_nsec >= 1000000000) {
		next->tv_sec++;
		next->tv_nsec -= 1000000000;
	}
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (now.tv_sec > next->tv_sec ||
	    (now.tv_sec == next->tv_sec && now.tv_nsec > next->tv_nsec)) {
		*next = now;
		return;
	}
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, next, NULL) == EINTR)
		;
}

static int run(const struct top *top, struct listing *listing, struct client *client)
{
	struct timespec next;
	int err = 0;

	clock_gettime(CLOCK_MONOTONIC, &next);
	for (uint32_t i = 0; !err && (!top->iterations || i < top->iterations); i++) {
		if (i)
			wait_until_next(&next, top->delay);
		err = show(top, listing, client, i == 0);
	}
	return err < 0 ? output__status(err) : err;
}

static bool wants_colour(const struct top *top)
{
	const char *no_color = getenv("NO_COLOR");

	return !top->plain && !(no_color && *no_color);
}

/* The options are about the processes; what fits is for the other panes, too. */
static int run_interactive(const struct top *top, struct client *client)
{
	const struct interactive_options live = {
		.delay = top->delay,
		.iterations = top->iterations,
		.colour = wants_colour(top),
	};
	struct pane panes[PANES] = {0};
	struct reason error;
	int status = STATUS_DONE;

	for (size_t i = 0; i < PANES && status == STATUS_DONE; i++) {
		bool first = i == 0;

		if (pane__init(&panes[i], pane_kind__at(i), first ? top->columns : NULL,
			       first ? top->sort : NULL, first ? top->order : NULL,
			       first && top->reverse, &error))
			status = output__fail(STATUS_USAGE, "%s", error.text);
		panes[i].listing.pid = top->pid;
		if (first && top->filter)
			text__puts(&panes[i].filter, top->filter);
	}
	if (status == STATUS_DONE)
		status = interactive__run(&live, client, panes);
	for (size_t i = 0; i < PANES; i++)
		pane__free(&panes[i]);
	return status;
}

static bool is_interactive(const struct top *top)
{
	return !top->batch && !top->json && isatty(STDOUT_FILENO) && isatty(STDIN_FILENO);
}

int top__main(int argc, char **argv)
{
	struct listing listing = {.resource = resource__find("processes")};
	struct client_options connection;
	struct top top = {.delay = 1};
	struct client *client = NULL;
	struct reason error;
	int status;

	if (options__parse(options, argc, argv, &top, NULL, 0, &error) < 0)
		return output__fail(STATUS_USAGE, "%s", error.text);
	if (top.help)
		return show_help(listing.resource);
	if (listing__set_columns(&listing, top.columns ? top.columns : SHOWN, &error) ||
	    listing__set_sort(&listing, top.sort, top.order, top.reverse, &error))
		return output__fail(STATUS_USAGE, "%s", error.text);
	listing.limit = top.limit ? top.limit : DEFAULT_LIMIT;
	listing.filter = top.filter;
	listing.pid = top.pid;
	connection = listing__client_options(top.url, top.token_file, top.ca_file);
	/* Whoever watches wants to be told soon, and it is asked again anyway. */
	if (is_interactive(&top))
		connection.total_timeout = LIVE_TIMEOUT;
	status = listing__open(&connection, &client);
	if (status == STATUS_DONE)
		status = is_interactive(&top) ? run_interactive(&top, client)
					      : run(&top, &listing, client);
	client__free(client);
	return status;
}
