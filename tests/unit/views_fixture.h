/* SPDX-License-Identifier: BSD-2-Clause */
/* The routes over a snapshot made by hand; an answer is read back with jansson. After cmocka.h. */
#ifndef DIRTYSCOPE_TESTS_UNIT_VIEWS_FIXTURE_H
#define DIRTYSCOPE_TESTS_UNIT_VIEWS_FIXTURE_H

#include <jansson.h>
#include <stdlib.h>

#include "agent/option_table.h"
#include "agent/tracks/tracks.h"
#include "api/metrics/scrape.h"
#include "api/routes.h"
#include "tests/unit/sample_snapshot.h"

struct fixture {
	struct agent_config config;
	struct api_context context;
	struct api_counters counters;
};

static inline int views__set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct snapshot *snapshot;

	fixture->context = (struct api_context){
		.store = snapshot_store__new(),
		.history = history__new(10),
		.events = events__new(),
		.scrape = scrape__new(&fixture->counters),
	};
	agent_config__defaults(&fixture->config);
	fixture->context.tracks =
		tracks__new(&fixture->config, fixture->context.events, fixture->context.store);
	for (uint64_t sequence = 1; sequence <= 3; sequence++) {
		snapshot = sample_snapshot(sequence);
		snapshot->time.tv_sec += (time_t)sequence;
		history__add(fixture->context.history, snapshot);
		snapshot_store__publish(fixture->context.store, snapshot);
	}
	events__add(fixture->context.events, "agent", "info", "agent", "started");
	events__add(fixture->context.events, "device", "warning", "pci/x", "named %s",
		    SAMPLE_HOSTILE);
	*state = fixture;
	return 0;
}

static inline int views__tear_down(void **state)
{
	struct fixture *fixture = *state;

	tracks__free(fixture->context.tracks);
	scrape__free(fixture->context.scrape);
	events__free(fixture->context.events);
	history__free(fixture->context.history);
	snapshot_store__free(fixture->context.store);
	free(fixture);
	return 0;
}

/* The answer as JSON; its status must be the expected one. */
static inline json_t *get(void **state, const char *uri, unsigned status)
{
	struct fixture *fixture = *state;
	struct answer answer = {};
	char copy[512];
	struct route_call call = {
		.method = "GET", .uri = copy, .accept = "", .accept_encoding = ""};
	json_error_t error;
	json_t *json;

	snprintf(copy, sizeof(copy), "%s", uri);
	routes__answer(&fixture->context, &call, &answer);
	if (answer.status != status)
		fail_msg("%s: %u %s", uri, answer.status, answer.text.data);
	json = json_loads(answer.text.data, JSON_REJECT_DUPLICATES, &error);
	if (!json)
		fail_msg("%s: %s at %d\n%s", uri, error.text, error.position, answer.text.data);
	answer__free(&answer);
	return json;
}

static inline const char *text_at(json_t *json, const char *key)
{
	return json_string_value(json_object_get(json, key));
}

static inline long long number_at(json_t *json, const char *key)
{
	assert_true(json_is_integer(json_object_get(json, key)));
	return json_integer_value(json_object_get(json, key));
}

#endif
