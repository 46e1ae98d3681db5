/* SPDX-License-Identifier: BSD-2-Clause */
#include "api/server/streams.h"

#include <errno.h>
#include <linux/sockios.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/queue.h>
#include <time.h>

#include "agent/base/listener.h"
#include "api/server/mhd_info.h"
#include "api/server/stream_text.h"

#define BEAT_SECONDS 10
#define LOOK_SECONDS 1	     /* between two looks at all streams */
#define LAG_LOOK_SECONDS 0.1 /* while one of them lags */
#define LAG_BYTES (64 << 10) /* unread in the kernel: until it reads, it gets nothing more */
#define EVENTS_AT_ONCE 64
#define BLOCK_BYTES 8192

struct stream {
	TAILQ_ENTRY(stream) entry;
	struct streams *streams;
	struct MHD_Connection *connection;
	struct connection *peer;
	int fd; /* the library's */

	/* Of the library's thread alone. */
	struct text text;  /* retry, events, beat; sent before the body */
	struct body *body; /* of a snapshot */
	size_t text_sent, body_sent;
	uint64_t sequence; /* of the last snapshot that was sent */
	uint64_t after;	   /* the last event that was */
	bool greeted;	   /* retry was sent */
	bool caught_up;	   /* and what had happened before */

	/* Under the lock of streams. */
	bool suspended; /* until somebody resumes it */
	bool woken;	/* there may be something since it was last asked */
	bool ending;
	bool lags;
	int64_t sent;	   /* bytes that the library was given */
	int64_t read_most; /* of these, as many as the client had read at some time */
	double last_sent;  /* monotonic seconds */
};

TAILQ_HEAD(stream_list, stream);

struct streams {
	struct streams_options options;
	pthread_t waker;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct listener snapshots_listener, events_listener;
	bool news, stop;
	struct stream_list list;
	struct body *newest; /* a snapshot's text, shared by all that send it */
	uint64_t newest_sequence;
};

static double now_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Bytes that the client has not read yet, as far as the kernel knows. */
static int unread(const struct stream *stream)
{
	int bytes = 0;

	return ioctl(stream->fd, SIOCOUTQ, &bytes) ? 0 : bytes;
}

static void notify(void *context)
{
	struct streams *streams = context;

	pthread_mutex_lock(&streams->lock);
	streams->news = true;
	pthread_cond_signal(&streams->wake);
	pthread_mutex_unlock(&streams->lock);
}

static void wake_stream(struct stream *stream)
{
	stream->woken = true;
	if (stream->suspended) {
		stream->suspended = false;
		MHD_resume_connection(stream->connection);
	}
}

static void look_at(struct streams *streams, struct stream *stream, double now)
{
	int queued = unread(stream);
	bool reads = !queued || stream->sent - queued > stream->read_most;

	if (stream->sent - queued > stream->read_most)
		stream->read_most = stream->sent - queued;
	if (!connections__stays(streams->options.connections, stream->peer, reads))
		stream->ending = true;
	if (!stream->ending) {
		if (stream->lags && queued > LAG_BYTES)
			return;
		if (!stream->lags && !streams->news && now - stream->last_sent < BEAT_SECONDS)
			return;
	}
	stream->lags = false;
	wake_stream(stream);
}

static void wait_for_news(struct streams *streams)
{
	struct stream *stream;
	double seconds = LOOK_SECONDS;
	struct timespec until;

	if (TAILQ_EMPTY(&streams->list)) {
		pthread_cond_wait(&streams->wake, &streams->lock);
		return;
	}
	if (streams->options.deadline / 4 < seconds)
		seconds = streams->options.deadline / 4;
	TAILQ_FOREACH(stream, &streams->list, entry)
	{
		if (stream->lags && seconds > LAG_LOOK_SECONDS)
			seconds = LAG_LOOK_SECONDS;
	}
	seconds += now_seconds();
	until.tv_sec = (time_t)seconds;
	until.tv_nsec = (long)((seconds - (double)until.tv_sec) * 1e9);
	pthread_cond_timedwait(&streams->wake, &streams->lock, &until);
}

static void *wake_all(void *argument)
{
	struct streams *streams = argument;
	struct stream *stream;

	pthread_mutex_lock(&streams->lock);
	while (!streams->stop) {
		double now;

		if (!streams->news)
			wait_for_news(streams);
		now = now_seconds();
		TAILQ_FOREACH(stream, &streams->list, entry)
		{
			look_at(streams, stream, now);
		}
		streams->news = false;
	}
	pthread_mutex_unlock(&streams->lock);
	return NULL;
}

int streams__new(const struct streams_options *options, struct streams **out)
{
	struct streams *streams = calloc(1, sizeof(*streams));
	pthread_condattr_t attributes;
	int err;

	if (!streams)
		return -ENOMEM;
	streams->options = *options;
	streams->snapshots_listener = streams->events_listener =
		(struct listener){.notify = notify, .context = streams};
	TAILQ_INIT(&streams->list);
	pthread_mutex_init(&streams->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&streams->wake, &attributes);
	pthread_condattr_destroy(&attributes);
	err = -pthread_create(&streams->waker, NULL, wake_all, streams);
	if (err) {
		pthread_cond_destroy(&streams->wake);
		pthread_mutex_destroy(&streams->lock);
		free(streams);
		return err;
	}
	snapshot_store__listen(options->store, &streams->snapshots_listener);
	events__listen(options->events, &streams->events_listener);
	*out = streams;
	return 0;
}

void streams__end(struct streams *streams)
{
	struct stream *stream;

	if (!streams)
		return;
	/* Not under our lock: a listener is called under theirs and takes ours. */
	snapshot_store__unlisten(streams->options.store, &streams->snapshots_listener);
	events__unlisten(streams->options.events, &streams->events_listener);
	pthread_mutex_lock(&streams->lock);
	streams->stop = true;
	pthread_cond_signal(&streams->wake);
	TAILQ_FOREACH(stream, &streams->list, entry)
	{
		stream->ending = true;
		wake_stream(stream);
	}
	pthread_mutex_unlock(&streams->lock);
	pthread_join(streams->waker, NULL);
}

void streams__free(struct streams *streams)
{
	if (!streams)
		return;
	body__put(streams->newest);
	pthread_cond_destroy(&streams->wake);
	pthread_mutex_destroy(&streams->lock);
	free(streams);
}

/* The text of a snapshot, made once for all streams. NULL: no memory. */
static struct body *snapshot_body(struct streams *streams, const struct snapshot *snapshot)
{
	struct body *body = NULL;
	struct text text = {};

	pthread_mutex_lock(&streams->lock);
	if (streams->newest && streams->newest_sequence == snapshot->sequence)
		body = body__get(streams->newest);
	pthread_mutex_unlock(&streams->lock);
	if (body)
		return body;
	stream_text__snapshot(snapshot, &text);
	body = body__new(&text, TYPE_STREAM, false);
	if (!body)
		return NULL;
	pthread_mutex_lock(&streams->lock);
	if (snapshot->sequence > streams->newest_sequence) {
		body__put(streams->newest);
		streams->newest = body__get(body);
		streams->newest_sequence = snapshot->sequence;
	}
	pthread_mutex_unlock(&streams->lock);
	return body;
}

static int take_events(struct stream *stream)
{
	struct event *events = NULL;
	uint64_t oldest = 0;
	int count = events__read(stream->streams->options.events, stream->after, EVENTS_AT_ONCE,
				 &events, &oldest);

	if (count <= 0)
		return count;
	if (oldest > stream->after + 1)
		stream_text__missed(stream->after + 1, oldest - 1, &stream->text);
	for (int i = 0; i < count; i++)
		stream_text__event(&events[i], &stream->text);
	stream->after = events[count - 1].id;
	free(events);
	return count;
}

static int take_snapshot(struct stream *stream)
{
	struct snapshot *snapshot = snapshot_store__latest(stream->streams->options.store);
	int err = 0;

	if (snapshot && snapshot->sequence > stream->sequence) {
		stream->body = snapshot_body(stream->streams, snapshot);
		stream->sequence = snapshot->sequence;
		err = stream->body ? 0 : -ENOMEM;
	}
	snapshot__put(snapshot);
	return err;
}

/* What there is to send now, if anything. 0 or -ENOMEM. */
static int refill(struct stream *stream, bool beat)
{
	int count;

	stream->text.length = stream->text_sent = stream->body_sent = 0;
	body__put(stream->body);
	stream->body = NULL;
	if (!stream->greeted)
		stream_text__retry(&stream->text);
	stream->greeted = true;
	count = take_events(stream);
	if (count < 0)
		return count;
	/* What happened before comes first; later on no flood of events holds up the numbers. */
	stream->caught_up |= count < EVENTS_AT_ONCE;
	if (stream->caught_up && take_snapshot(stream))
		return -ENOMEM;
	if (beat && !stream->text.length && !stream->body)
		stream_text__beat(&stream->text);
	return stream->text.failed ? -ENOMEM : 0;
}

static size_t copy(const struct text *text, size_t *sent, char *buffer, size_t size)
{
	size_t length = text->length - *sent;

	if (length > size)
		length = size;
	if (length)
		memcpy(buffer, text->data + *sent, length);
	*sent += length;
	return length;
}

static size_t copy_pending(struct stream *stream, char *buffer, size_t size)
{
	size_t length = copy(&stream->text, &stream->text_sent, buffer, size);

	if (stream->body)
		length += copy(&stream->body->text, &stream->body_sent, buffer + length,
			       size - length);
	return length;
}

/* False: suspended, there was nothing new meanwhile. */
static bool suspend_or_go_on(struct stream *stream, bool lags)
{
	bool go_on;

	pthread_mutex_lock(&stream->streams->lock);
	go_on = stream->woken;
	if (!go_on) {
		stream->lags = lags;
		stream->suspended = true;
		MHD_suspend_connection(stream->connection);
	}
	pthread_mutex_unlock(&stream->streams->lock);
	return go_on;
}

/* The library asks for more whenever it has sent what it was given. */
static ssize_t stream_read(void *closure, uint64_t position, char *buffer, size_t size)
{
	struct stream *stream = closure;
	struct streams *streams = stream->streams;
	bool ending, beat, lags;
	size_t length;

	do {
		length = copy_pending(stream, buffer, size);
		pthread_mutex_lock(&streams->lock);
		if (length) {
			stream->sent += (int64_t)length;
			stream->last_sent = now_seconds();
		}
		stream->woken = false;
		ending = stream->ending;
		beat = now_seconds() - stream->last_sent >= BEAT_SECONDS;
		pthread_mutex_unlock(&streams->lock);
		if (length)
			return (ssize_t)length;
		if (ending)
			return MHD_CONTENT_READER_END_OF_STREAM;
		lags = unread(stream) > LAG_BYTES;
		if (!lags && refill(stream, beat))
			return MHD_CONTENT_READER_END_WITH_ERROR;
	} while ((!lags && (stream->text.length || stream->body)) ||
		 suspend_or_go_on(stream, lags));
	return 0;
}

static void free_stream(void *closure)
{
	struct stream *stream = closure;

	pthread_mutex_lock(&stream->streams->lock);
	TAILQ_REMOVE(&stream->streams->list, stream, entry);
	pthread_mutex_unlock(&stream->streams->lock);
	body__put(stream->body);
	text__free(&stream->text);
	free(stream);
}

struct MHD_Response *streams__open(struct streams *streams, struct MHD_Connection *connection,
				   struct connection *peer, const struct stream_start *start)
{
	uint64_t last = events__last(streams->options.events);
	struct stream *stream = calloc(1, sizeof(*stream));
	struct MHD_Response *response;

	if (!stream)
		return NULL;
	stream->streams = streams;
	stream->connection = connection;
	stream->peer = peer;
	stream->fd = mhd_info__descriptor(connection);
	/* An id that we have not given out is of an agent before: all of ours are news. */
	stream->after = !start->has_after ? last : start->after > last ? 0 : start->after;
	stream->last_sent = now_seconds();
	pthread_mutex_lock(&streams->lock);
	stream->ending = streams->stop;
	TAILQ_INSERT_TAIL(&streams->list, stream, entry);
	/* The first one: whoever waits for it looks at the time from now on. */
	pthread_cond_signal(&streams->wake);
	pthread_mutex_unlock(&streams->lock);
	response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, stream_read,
						     stream, free_stream);
	if (!response)
		free_stream(stream);
	return response;
}
