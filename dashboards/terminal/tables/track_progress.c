/* SPDX-License-Identifier: BSD-2-Clause */
#include "dashboards/terminal/tables/track_progress.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FIRST_SECONDS 1.0 /* until then it is nobody's concern */
#define NEXT_SECONDS 0.2
#define BAR 24 /* characters */

struct progress_line {
	struct client *client;
	char path[64];
	bool is_list; /* of all tracks: the newest that is starting */
	bool shown;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stop;
};

/* True: it is to stop. */
static bool sleep_for(struct progress_line *line, double seconds)
{
	struct timespec until;
	bool stop;

	clock_gettime(CLOCK_MONOTONIC, &until);
	seconds += (double)until.tv_sec + (double)until.tv_nsec / 1e9;
	until.tv_sec = (time_t)seconds;
	until.tv_nsec = (long)((seconds - (double)until.tv_sec) * 1e9);
	pthread_mutex_lock(&line->lock);
	while (!line->stop && pthread_cond_timedwait(&line->wake, &line->lock, &until) == 0)
		;
	stop = line->stop;
	pthread_mutex_unlock(&line->lock);
	return stop;
}

/* Borrowed from the answer; NULL: nothing is being done. */
static json_t *find_progress(const struct progress_line *line, json_t *answer)
{
	json_t *tracks = json_object_get(answer, "tracks");

	if (!line->is_list)
		return json_object_get(answer, "progress");
	for (size_t i = json_array_size(tracks); i--;) {
		json_t *track = json_array_get(tracks, i);
		const char *state = json_string_value(json_object_get(track, "state"));

		if (state && strcmp(state, "starting") == 0)
			return json_object_get(track, "progress");
	}
	return NULL;
}

static void draw(struct progress_line *line, json_t *progress)
{
	const char *step = json_string_value(json_object_get(progress, "step"));
	const json_int_t done = json_integer_value(json_object_get(progress, "done"));
	const json_int_t of = json_integer_value(json_object_get(progress, "of"));
	const int filled = of > 0 ? (int)((double)(done < of ? done : of) / (double)of * BAR) : 0;
	char bar[BAR + 1];

	if (!step)
		return;
	memset(bar, '.', BAR);
	memset(bar, '#', (size_t)filled);
	bar[BAR] = '\0';
	/* From the first column, to the end of the line: ECMA-48 EL. */
	(void)fprintf(stderr, "\r%s%s%s%.60s\x1b[K", of > 0 ? "[" : "", of > 0 ? bar : "",
		      of > 0 ? "] " : "", step);
	(void)fflush(stderr);
	line->shown = true;
}

static void *progress_line_run(void *argument)
{
	struct progress_line *line = argument;
	double seconds = FIRST_SECONDS;

	while (!sleep_for(line, seconds)) {
		struct client_error ignored;
		json_t *answer = NULL;

		if (client__get(line->client, line->path, &answer, &ignored) == 0)
			draw(line, find_progress(line, answer));
		json_decref(answer);
		seconds = NEXT_SECONDS;
	}
	return NULL;
}

/* A terminal that knows how to clear a line. */
static bool has_terminal(void)
{
	const char *term = getenv("TERM");

	return isatty(STDERR_FILENO) && term && *term && strcmp(term, "dumb") != 0;
}

struct progress_line *progress_line__start(const struct client_options *options, const char *id)
{
	struct progress_line *line = has_terminal() ? calloc(1, sizeof(*line)) : NULL;
	pthread_condattr_t attributes;
	struct client_error ignored;

	if (!line)
		return NULL;
	if (client__new(options, &line->client, &ignored)) {
		free(line);
		return NULL;
	}
	line->is_list = !id;
	snprintf(line->path, sizeof(line->path), "/api/v1/tracks%s%.32s", id ? "/" : "",
		 id ? id : "");
	pthread_mutex_init(&line->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&line->wake, &attributes);
	pthread_condattr_destroy(&attributes);
	if (pthread_create(&line->thread, NULL, progress_line_run, line)) {
		client__free(line->client);
		free(line);
		return NULL;
	}
	return line;
}

void progress_line__stop(struct progress_line *line)
{
	if (!line)
		return;
	pthread_mutex_lock(&line->lock);
	line->stop = true;
	pthread_cond_signal(&line->wake);
	pthread_mutex_unlock(&line->lock);
	client__cancel(line->client);
	pthread_join(line->thread, NULL);
	if (line->shown)
		(void)fputs("\r\x1b[K", stderr);
	pthread_cond_destroy(&line->wake);
	pthread_mutex_destroy(&line->lock);
	client__free(line->client);
	free(line);
}
