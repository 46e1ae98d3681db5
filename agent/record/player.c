/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/record/player.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/log.h"
#include "agent/record/codec.h"
#include "agent/record/reader.h"

#define PAUSE_MOST 3600.0     /* seconds; an agent has no longer interval */
#define PAUSE_LEAST 0.05      /* a record that says otherwise shall not keep a CPU busy */
#define ROUND_MOST 2000000000 /* seconds; what lasts longer is no time that can be added up */
#define NANOSECONDS 1000000000LL

struct player {
	struct player_options options;
	const char *path;
	struct reader *reader;
	pthread_t thread;
	bool running;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stop; /* under the lock */

	/* Of whoever publishes: what a round adds, so that times and numbers go on rising. */
	struct timespec first, last; /* of this round */
	int64_t shift;		     /* nanoseconds */
	uint64_t sequence_base, sequence;
	uint64_t event_base, event;
	double uptime;
};

int player__new(const char *path, struct player **out, struct reason *message)
{
	struct player *player = calloc(1, sizeof(*player));
	pthread_condattr_t attributes;
	int err;

	*out = NULL;
	message->text[0] = '\0';
	if (!player)
		return -ENOMEM;
	player->path = path;
	pthread_mutex_init(&player->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&player->wake, &attributes);
	pthread_condattr_destroy(&attributes);
	err = reader__open(path, &player->reader, message);
	if (err) {
		player__free(player);
		return err;
	}
	*out = player;
	return 0;
}

double player__interval(const struct player *player)
{
	return reader__facts(player->reader)->interval;
}

/* 0 where a clock was set back, or far ahead. */
static int64_t nanoseconds_between(const struct timespec *from, const struct timespec *to)
{
	const int64_t seconds = to->tv_sec - from->tv_sec;

	if (seconds < 0 || seconds > ROUND_MOST)
		return 0;
	return seconds * NANOSECONDS + (to->tv_nsec - from->tv_nsec);
}

static struct timespec later(const struct timespec *time, int64_t by)
{
	const int64_t nanoseconds = time->tv_nsec + by % NANOSECONDS;
	struct timespec sum = {time->tv_sec + by / NANOSECONDS, 0};

	sum.tv_sec += nanoseconds / NANOSECONDS;
	sum.tv_nsec = nanoseconds % NANOSECONDS;
	return sum.tv_sec < YEAR_10000 ? sum : *time;
}

static void publish(struct player *player, struct snapshot *snapshot, const struct event *events,
		    size_t count)
{
	const struct player_options *options = &player->options;

	if (snapshot->replay->position == 1)
		player->first = snapshot->time;
	player->last = snapshot->time;
	player->uptime = snapshot->uptime;
	player->sequence = snapshot->sequence;
	snapshot->replay->ended &= !options->loop;
	snapshot->sequence += player->sequence_base;
	snapshot->time = later(&snapshot->time, player->shift);
	for (size_t i = 0; i < count; i++) {
		struct event event = events[i];

		player->event = event.id;
		event.id += player->event_base;
		event.time = later(&event.time, player->shift);
		events__put(options->events, &event);
	}
	history__add(options->history, snapshot);
	snapshot_store__publish(options->store, snapshot);
}

/* Computes what the next round adds to each recorded time, and rewinds. */
static int begin_again(struct player *player)
{
	const int64_t length = nanoseconds_between(&player->first, &player->last);
	const int64_t interval = (int64_t)(player__interval(player) * (double)NANOSECONDS);

	if (player->shift < INT64_MAX / 4)
		player->shift += length + interval;
	player->sequence_base += player->sequence;
	player->event_base += player->event;
	return reader__rewind(player->reader);
}

/* *pause: from the one before to this one, seconds. As reader__next. */
static int step(struct player *player, struct snapshot **snapshot, const struct event **events,
		size_t *count, double *pause, struct reason *message)
{
	const double interval = player->options.interval;
	int err = reader__next(player->reader, snapshot, events, count, message);

	*pause = interval > 0 ? interval : player__interval(player);
	if (err == -ENODATA && player->options.loop) {
		err = begin_again(player);
		return err ? err : reader__next(player->reader, snapshot, events, count, message);
	}
	if (!err && interval <= 0) {
		double passed = (*snapshot)->uptime - player->uptime;

		*pause = passed >= PAUSE_LEAST && passed < PAUSE_MOST ? passed : *pause;
	}
	return err;
}

static double now_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* False: it shall stop. */
static bool sleep_until(struct player *player, double until)
{
	struct timespec time = {.tv_sec = (time_t)until};
	int err = 0;
	bool stop;

	time.tv_nsec = (long)((until - (double)time.tv_sec) * 1e9);
	pthread_mutex_lock(&player->lock);
	while (!player->stop && !err)
		err = pthread_cond_timedwait(&player->wake, &player->lock, &time);
	stop = player->stop;
	pthread_mutex_unlock(&player->lock);
	return !stop;
}

static void *player_run(void *argument)
{
	struct player *player = argument;
	double due = now_seconds(), now, pause;
	const struct event *events;
	struct snapshot *snapshot;
	struct reason message = {""};
	size_t count;
	int err;

	for (;;) {
		err = step(player, &snapshot, &events, &count, &pause, &message);
		if (err)
			break;
		now = now_seconds();
		/* Where the player was held up, it does not hurry through what it missed. */
		due = due + pause > now ? due + pause : now;
		if (!sleep_until(player, due)) {
			snapshot__put(snapshot);
			return NULL;
		}
		publish(player, snapshot, events, count);
	}
	if (err == -ENODATA) {
		log_info("the record has ended; its last snapshot stays", "file=\"%s\"",
			 player->path);
		events__add(player->options.events, "agent", "info", "replay",
			    "the record has ended; its last snapshot stays");
	} else {
		log_error("replay ended; the snapshot before stays", "reason=\"%s\"", message.text);
		events__add(player->options.events, "agent", "error", "replay",
			    "replay ended, the snapshot before stays: %s", message.text);
	}
	return NULL;
}

int player__start(struct player *player, const struct player_options *options,
		  struct reason *message)
{
	const struct reader_facts *facts = reader__facts(player->reader);
	const struct event *events;
	struct snapshot *snapshot;
	size_t count;
	int err;

	player->options = *options;
	err = reader__next(player->reader, &snapshot, &events, &count, message);
	if (err)
		return err;
	log_info("replay", "file=\"%s\" snapshots=%" PRIu64 " interval=%g version=%s revision=%s",
		 player->path, facts->snapshots, facts->interval, facts->version, facts->revision);
	if (facts->truncated)
		log_warn("the record ends within a snapshot; what is before it is replayed",
			 "file=\"%s\" byte=%" PRIu64, player->path, facts->end);
	publish(player, snapshot, events, count);
	err = -pthread_create(&player->thread, NULL, player_run, player);
	player->running = !err;
	return err;
}

void player__stop(struct player *player)
{
	if (!player || !player->running)
		return;
	pthread_mutex_lock(&player->lock);
	player->stop = true;
	pthread_cond_signal(&player->wake);
	pthread_mutex_unlock(&player->lock);
	pthread_join(player->thread, NULL);
	player->running = false;
}

void player__free(struct player *player)
{
	if (!player)
		return;
	player__stop(player);
	reader__close(player->reader);
	pthread_cond_destroy(&player->wake);
	pthread_mutex_destroy(&player->lock);
	free(player);
}
