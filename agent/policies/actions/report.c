/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/policies/actions/report.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RESULTS_MAX 16384 /* names of policies come from outside; what is beyond is "other" */

struct report {
	struct events *events;
	pthread_mutex_t lock;
	struct snapshot_action *rows; /* sorted */
	size_t count;
};

struct report *report__new(struct events *events)
{
	struct report *report = calloc(1, sizeof(*report));

	if (!report)
		return NULL;
	report->events = events;
	pthread_mutex_init(&report->lock, NULL);
	return report;
}

void report__free(struct report *report)
{
	if (!report)
		return;
	pthread_mutex_destroy(&report->lock);
	free(report->rows);
	free(report);
}

struct action_tag *action_tag__new(const char *policy, const char *action, const char *target)
{
	struct action_tag *tag = calloc(1, sizeof(*tag));

	if (!tag)
		return NULL;
	snprintf(tag->policy, sizeof(tag->policy), "%s", policy);
	snprintf(tag->action, sizeof(tag->action), "%s", action);
	snprintf(tag->target, sizeof(tag->target), "%s", target);
	return tag;
}

static int report_compare(const void *left, const void *right)
{
	const struct snapshot_action *one = left, *other = right;
	int order = strcmp(one->policy, other->policy);

	if (!order)
		order = strcmp(one->action, other->action);
	return order ? order : strcmp(one->result, other->result);
}

/* Under the lock. */
static void count(struct report *report, const struct snapshot_action *key)
{
	struct snapshot_action *row = NULL, *rows;

	if (report->count)
		row = bsearch(key, report->rows, report->count, sizeof(*key), report_compare);
	if (!row && report->count < RESULTS_MAX) {
		rows = reallocarray(report->rows, report->count + 1, sizeof(*rows));
		if (!rows)
			return;
		report->rows = rows;
		row = &rows[report->count++];
		*row = *key;
		row->count = 1;
		qsort(rows, report->count, sizeof(*rows), report_compare);
		return;
	}
	if (row)
		row->count++;
}

void report__add(struct report *report, const struct action_tag *tag, const char *result,
		 const char *severity, const char *reason)
{
	struct snapshot_action key = {.count = 0};

	snprintf(key.policy, sizeof(key.policy), "%s", tag->policy);
	snprintf(key.action, sizeof(key.action), "%s", tag->action);
	snprintf(key.result, sizeof(key.result), "%s", result);
	pthread_mutex_lock(&report->lock);
	count(report, &key);
	pthread_mutex_unlock(&report->lock);
	events__add(report->events, "action", severity, tag->policy, "%s of %s: %s%s%s",
		    tag->action, tag->target, result, *reason ? ": " : "", reason);
}

void report__done(void *context, void *tag, const char *result, const char *reason)
{
	static const char *const good[] = {"delivered", "ok"};
	bool is_good = false;

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		is_good |= strcmp(result, good[i]) == 0;
	if (tag)
		report__add(context, tag, result, is_good ? "info" : "warning", reason);
	free(tag);
}

struct snapshot_action *report__list(struct report *report, size_t *count_out)
{
	struct snapshot_action *copy = NULL;

	pthread_mutex_lock(&report->lock);
	*count_out = report->count;
	if (report->count)
		copy = calloc(report->count, sizeof(*copy));
	if (copy)
		memcpy(copy, report->rows, report->count * sizeof(*copy));
	else
		*count_out = 0;
	pthread_mutex_unlock(&report->lock);
	return copy;
}
