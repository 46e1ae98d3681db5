/* SPDX-License-Identifier: BSD-2-Clause */
#include "dashboards/terminal/tables/track_command.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dashboards/terminal/tables/listing.h"
#include "dashboards/terminal/tables/output.h"
#include "dashboards/terminal/tables/track_progress.h"
#include "dashboards/terminal/tables/track_text.h"
#include "dashboards/terminal/tables/units.h"

struct options {
	bool help, json, acknowledge;
	const char *url, *token_file, *ca_file;
	uint32_t pid, count;
	const char *vm, *cgroup, *device, *backend, *evidence, *bandwidth, *range;
	struct option_list ranges;
	bool whole_process;
	double delay, downtime;
	uint64_t memory;
};

#define PATIENCE_SECONDS 3600 /* a collect takes as long as its target is large or slow */

#define FIELD(name) offsetof(struct options, name)

/* Which verbs an option is for. */
enum verb_bit {
	START = 1,
	COLLECT = 2,
	PAGES = 4,
	WATCH = 8,
	FORECAST = 16,
	ANY = 31 | 32,
	OTHER = 32
};

static const char *check_bandwidth(const char *value)
{
	double bytes;

	return units__rate(value, &bytes) ? "is no bandwidth; write 10Gbit, 1.2GB or 500MiB" : NULL;
}

static const char *check_range(const char *value)
{
	return value[strspn(value, "0123456789abcdefABCDEFxX-")] || strlen(value) > 64
		       ? "is no range; write 0x7f0000000000-0x7f0001000000"
		       : NULL;
}

static const struct {
	unsigned verbs;
	struct option_row row;
} all_options[] = {
	{ANY, {"help", 'h', OPTION_FLAG, FIELD(help), 0, 0, NULL, "show this help", NULL}},
	{ANY, {"json", 'j', OPTION_FLAG, FIELD(json), 0, 0, NULL, "print the API's answer", NULL}},
	{START,
	 {"pid", 'p', OPTION_U32, FIELD(pid), 1, INT32_MAX, "N", "follow this process", NULL}},
	{START,
	 {"vm", 0, OPTION_STRING, FIELD(vm), 0, 0, "NAME", "follow the memory of this VM's guest",
	  NULL}},
	{START,
	 {"range", 0, OPTION_LIST, FIELD(ranges), 0, 0, "START-END",
	  "of the process only these addresses, hexadecimal; may be repeated", check_range}},
	{START,
	 {"whole-process", 0, OPTION_FLAG, FIELD(whole_process), 0, 0, NULL,
	  "of a VM all memory, its hypervisor's as well", NULL}},
	{START,
	 {"cgroup", 0, OPTION_STRING, FIELD(cgroup), 0, 0, "PATH",
	  "follow the processes of this cgroup, and of those below it", NULL}},
	{START,
	 {"device", 0, OPTION_STRING, FIELD(device), 0, 0, "ID",
	  "follow the memory that this device writes; an id, or a name like vda", NULL}},
	{START,
	 {"backend", 0, OPTION_STRING, FIELD(backend), 0, 0, "NAME",
	  "pagemap-scan, soft-dirty or faults (the best that works)", NULL}},
	{COLLECT | PAGES | WATCH,
	 {"evidence", 'e', OPTION_STRING, FIELD(evidence), 0, 0, "LEVEL",
	  "of a device: conservative, completed or reported (conservative)", NULL}},
	{COLLECT | WATCH,
	 {"ack", 'a', OPTION_FLAG, FIELD(acknowledge), 0, 0, NULL, "acknowledge what was printed",
	  NULL}},
	{WATCH,
	 {"delay", 'd', OPTION_SECONDS, FIELD(delay), 0.01, 3600, "SECONDS",
	  "length of an epoch (1)", NULL}},
	{WATCH,
	 {"count", 'n', OPTION_U32, FIELD(count), 1, UINT32_MAX, "N", "stop after N epochs", NULL}},
	{FORECAST,
	 {"bandwidth", 'b', OPTION_STRING, FIELD(bandwidth), 0, 0, "RATE",
	  "of the transfer: 10Gbit, 1.2GB, 500MiB a second", check_bandwidth}},
	{FORECAST,
	 {"downtime", 0, OPTION_SECONDS, FIELD(downtime), 0, 86400, "SECONDS",
	  "that the target may stand still, 300ms (300ms)", NULL}},
	{FORECAST,
	 {"memory", 0, OPTION_SIZE, FIELD(memory), 4096, 1e15, "BYTES",
	  "that the first round sends (all that is in memory)", NULL}},
	{FORECAST,
	 {"range", 0, OPTION_STRING, FIELD(range), 0, 0, "START-END",
	  "of addresses that are sent, hexadecimal (all)", check_range}},
	{ANY, {"url", 'u', OPTION_STRING, FIELD(url), 0, 0, "URL", LISTING_URL_HELP, NULL}},
	{ANY, {"ca-file", 0, OPTION_STRING, FIELD(ca_file), 0, 0, "FILE", LISTING_CA_HELP, NULL}},
	{ANY,
	 {"token-file", 0, OPTION_STRING, FIELD(token_file), 0, 0, "FILE",
	  "its content is sent as the bearer token", NULL}},
};

#define OPTION_COUNT (sizeof(all_options) / sizeof(*all_options))

struct call {
	const struct options *options;
	const struct client_options *agent;
	struct client *client;
	const char *id, *cursor; /* operands; NULL */
};

/* ---- answers ---- */

static int print(const struct call *call, json_t *answer,
		 void (*write)(json_t *answer, struct text *out))
{
	struct text out = {0};
	int status;

	if (call->options->json || !write) {
		size_t length;
		const char *body = client__body(call->client, &length);

		text__append(&out, body, length);
		if (!length || body[length - 1] != '\n')
			text__putc(&out, '\n');
	} else {
		write(answer, &out);
	}
	status = output__status(output__write(&out));
	text__free(&out);
	return status;
}

static int ask(const struct call *call, const char *method, const char *tail, const char *body,
	       json_t **answer)
{
	struct progress_line *line;
	struct client_error error;
	struct text path = {0};
	int err;

	text__printf(&path, "/api/v1/tracks%s%s%s", call->id ? "/" : "", call->id ? call->id : "",
		     tail);
	if (path.failed)
		return output__fail(STATUS_FAILED, "out of memory");
	/* Only requests by POST may take long. */
	line = strcmp(method, "POST") == 0 ? progress_line__start(call->agent, call->id) : NULL;
	err = strcmp(method, "GET") == 0
		      ? client__get(call->client, path.data, answer, &error)
		      : client__send(call->client, method, path.data, body, answer, &error);
	progress_line__stop(line);
	text__free(&path);
	return err ? output__fail(STATUS_FAILED, "%s", error.message) : STATUS_DONE;
}

/* ---- verbs ---- */

/* What is wrong with the options of a target; NULL: nothing. */
static const char *check_target(const struct options *options)
{
	const int processes = (options->pid != 0) + (options->vm != NULL);
	const bool is_limited = options->ranges.count || options->whole_process;

	if (processes + (options->cgroup != NULL) + (options->device != NULL) != 1)
		return "track start needs one of --pid, --vm, --cgroup, --device";
	if (is_limited && !processes)
		return "--range and --whole-process are of a process: they need --pid or --vm";
	if (options->ranges.count && options->whole_process)
		return "--range and --whole-process exclude each other";
	return NULL;
}

/* A new reference. */
static json_t *make_target(const struct options *options)
{
	json_t *target = json_object(), *ranges;

	if (options->pid)
		json_object_set_new(target, "pid", json_integer(options->pid));
	if (options->vm)
		json_object_set_new(target, "vm", json_string(options->vm));
	if (options->cgroup)
		json_object_set_new(target, "cgroup", json_string(options->cgroup));
	if (options->device)
		json_object_set_new(target, "device", json_string(options->device));
	if (options->whole_process)
		json_object_set_new(target, "whole_process", json_true());
	ranges = options->ranges.count ? json_array() : NULL;
	for (size_t i = 0; i < options->ranges.count; i++)
		json_array_append_new(ranges, json_string(options->ranges.values[i]));
	if (ranges)
		json_object_set_new(target, "ranges", ranges);
	return target;
}

static int run_start(struct call *call)
{
	const struct options *options = call->options;
	const char *wrong = check_target(options);
	json_t *body, *answer = NULL;
	char *text = NULL;
	int status;

	if (wrong)
		return output__fail(STATUS_USAGE, "%s", wrong);
	body = json_object();
	json_object_set_new(body, "target", make_target(options));
	if (options->backend)
		json_object_set_new(body, "backend", json_string(options->backend));
	text = json_dumps(body, JSON_COMPACT);
	status = text ? ask(call, "POST", "", text, &answer)
		      : output__fail(STATUS_USAGE, "an option is not UTF-8");
	if (status == STATUS_DONE)
		status = print(call, answer, track_text__track);
	json_decref(answer);
	json_decref(body);
	free(text);
	return status;
}

static int acknowledge(struct call *call, const char *cursor, bool quiet)
{
	json_t *answer = NULL;
	char body[64];
	int status;

	snprintf(body, sizeof(body), "{\"cursor\":%.20s}", cursor);
	status = ask(call, "POST", "/ack", body, &answer);
	if (status == STATUS_DONE && !quiet)
		status = print(call, answer, track_text__track);
	json_decref(answer);
	return status;
}

static int collect(struct call *call, void (*write)(json_t *answer, struct text *out))
{
	const char *evidence = call->options->evidence;
	json_t *answer = NULL, *body = evidence ? json_pack("{s:s}", "evidence", evidence) : NULL;
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL, cursor[24];
	int status;

	if (evidence && !text) {
		json_decref(body);
		return output__fail(STATUS_USAGE, "option --evidence is not UTF-8");
	}
	status = ask(call, "POST", "/collect", text ? text : "", &answer);
	if (status == STATUS_DONE)
		status = print(call, answer, write);
	if (status == STATUS_DONE && call->options->acknowledge) {
		snprintf(cursor, sizeof(cursor), "%" PRIu64,
			 (uint64_t)json_integer_value(json_object_get(answer, "cursor")));
		status = acknowledge(call, cursor, true);
	}
	json_decref(answer);
	json_decref(body);
	free(text);
	return status;
}

static int run_collect(struct call *call)
{
	return collect(call, track_text__pages);
}

static int run_pages(struct call *call)
{
	const char *evidence = call->options->evidence;
	json_t *answer = NULL;
	char tail[64];
	int status;

	snprintf(tail, sizeof(tail), "/pages%s%.20s", evidence ? "?evidence=" : "",
		 evidence ? evidence : "");
	status = ask(call, "GET", tail, "", &answer);
	if (status == STATUS_DONE)
		status = print(call, answer, track_text__pages);
	json_decref(answer);
	return status;
}

static int run_ack(struct call *call)
{
	size_t digits = strspn(call->cursor, "0123456789");

	if (!digits || digits > 19 || call->cursor[digits])
		return output__fail(STATUS_USAGE, "the cursor '%s' is no number", call->cursor);
	return acknowledge(call, call->cursor, false);
}

static int run_stop(struct call *call)
{
	json_t *answer = NULL;
	int status = ask(call, "DELETE", "", "", &answer);

	if (status == STATUS_DONE)
		status = print(call, answer, track_text__track);
	json_decref(answer);
	return status;
}

static int run_watch(struct call *call)
{
	const double delay = call->options->delay;
	const struct timespec pause = {.tv_sec = (time_t)delay,
				       .tv_nsec = (long)(fmod(delay, 1) * 1e9)};
	int status = STATUS_DONE;

	for (uint32_t n = 0; status == STATUS_DONE; n++) {
		if (call->options->count && n == call->options->count)
			break;
		nanosleep(&pause, NULL);
		status = collect(call, track_text__watch);
	}
	return status;
}

static int run_forecast(struct call *call)
{
	const struct options *options = call->options;
	json_t *answer = NULL;
	double bytes;
	char tail[256];
	int status;

	if (!options->bandwidth)
		return output__fail(STATUS_USAGE, "track forecast needs --bandwidth");
	units__rate(options->bandwidth, &bytes);
	snprintf(tail, sizeof(tail),
		 "/forecast?bandwidth=%.0f&downtime_ms=%.0f&pages=%" PRIu64 "%s%.64s", bytes,
		 options->downtime * 1000, options->memory / 4096, options->range ? "&range=" : "",
		 options->range ? options->range : "");
	status = ask(call, "GET", tail, "", &answer);
	if (status == STATUS_DONE)
		status = print(call, answer, track_text__forecast);
	json_decref(answer);
	return status;
}

static int run_list(struct call *call);

static const struct verb {
	const char *name, *operands, *help;
	int operand_count;
	unsigned bit;
	int (*run)(struct call *call);
} verbs[] = {
	{"start", "", "begin to follow a target; prints the track's number", 0, START, run_start},
	{"list", "", "show the tracks, like `dirtyscope tracks`", 0, OTHER, run_list},
	{"collect", " ID", "end an epoch, and print all pages that are owed", 1, COLLECT,
	 run_collect},
	{"pages", " ID", "print what is owed again, without ending an epoch", 1, PAGES, run_pages},
	{"ack", " ID CURSOR", "forget what was delivered up to that cursor", 2, OTHER, run_ack},
	{"watch", " ID", "collect again and again, a line an epoch", 1, WATCH, run_watch},
	{"forecast", " ID", "what a pre-copy migration of the target would do", 1, FORECAST,
	 run_forecast},
	{"stop", " ID", "end a track", 1, OTHER, run_stop},
};

#define VERB_COUNT (sizeof(verbs) / sizeof(*verbs))

static int run_list(struct call *call)
{
	const struct resource *resource = resource__find("tracks");
	struct table_style style = output__style();
	struct listing listing = {.resource = resource};
	struct reason error;
	json_t *answer = NULL;
	struct text out = {0};
	int status = ask(call, "GET", "", "", &answer);

	if (status != STATUS_DONE || call->options->json) {
		status = status ? status : print(call, answer, NULL);
		json_decref(answer);
		return status;
	}
	listing__set_columns(&listing, resource->shown, &error);
	listing__table(&listing, answer, &style, &out);
	status = output__status(output__write(&out));
	text__free(&out);
	json_decref(answer);
	return status;
}

/* ---- the command line ---- */

static int usage(void)
{
	struct text out = {0};
	int status;

	text__puts(
		&out,
		"usage: dirtyscope track VERB [options]\n\n"
		"Follows exactly which pages of a process, a VM, a cgroup or a device get "
		"written, by\nCPUs and by devices. What was delivered and not acknowledged comes "
		"again.\n\n");
	for (size_t i = 0; i < VERB_COUNT; i++)
		text__printf(&out, "  %-8s%-10s  %s\n", verbs[i].name, verbs[i].operands,
			     verbs[i].help);
	text__puts(&out, "\n`dirtyscope track VERB --help` shows a verb's options.\n");
	status = output__status(output__write(&out));
	text__free(&out);
	return status;
}

static int show_help(const struct verb *verb, const struct option_row *rows)
{
	struct text out = {0};
	int status;

	text__printf(&out, "usage: dirtyscope track %s%s [options]\n\n%c%s.\n\n", verb->name,
		     verb->operands, verb->help[0] - 'a' + 'A', verb->help + 1);
	options__help(rows, &out);
	status = output__status(output__write(&out));
	text__free(&out);
	return status;
}

static int run_verb(const struct verb *verb, int argc, char **argv)
{
	struct options options = {.delay = 1, .downtime = 0.3};
	struct option_row rows[OPTION_COUNT + 1];
	struct call call = {.options = &options};
	struct client_options agent;
	const char *operands[2] = {0};
	struct reason error;
	size_t at = 0;
	int count, status;

	for (size_t i = 0; i < OPTION_COUNT; i++)
		if (all_options[i].verbs & verb->bit)
			rows[at++] = all_options[i].row;
	rows[at] = (struct option_row){0};
	count = options__parse(rows, argc, argv, &options, operands, verb->operand_count, &error);
	if (count < 0)
		return output__fail(STATUS_USAGE, "%s", error.text);
	if (options.help)
		return show_help(verb, rows);
	if (count < verb->operand_count)
		return output__fail(STATUS_USAGE, "track %s needs%s; see --help", verb->name,
				    verb->operands);
	call.id = operands[0];
	call.cursor = operands[1];
	if (call.id && (!*call.id || strspn(call.id, "0123456789") != strlen(call.id)))
		return output__fail(STATUS_USAGE, "'%s' is no number of a track", call.id);
	agent = listing__client_options(options.url, options.token_file, options.ca_file);
	agent.total_timeout = PATIENCE_SECONDS;
	call.agent = &agent;
	status = listing__open(&agent, &call.client);
	if (status == STATUS_DONE)
		status = verb->run(&call);
	client__free(call.client);
	return status;
}

int track__main(int argc, char **argv)
{
	if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return argc < 2 ? (usage(), STATUS_USAGE) : usage();
	for (size_t i = 0; i < VERB_COUNT; i++)
		if (strcmp(argv[1], verbs[i].name) == 0)
			return run_verb(&verbs[i], argc - 1, argv + 1);
	return output__fail(STATUS_USAGE, "unknown verb '%s'; see dirtyscope track --help",
			    argv[1]);
}
