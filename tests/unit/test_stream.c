/* SPDX-License-Identifier: BSD-2-Clause */
/* /api/v1/stream: its text, waiting for a snapshot, and the answer through real sockets. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <inttypes.h>
#include <pthread.h>

#include "api/server/stream_text.h"
#include "tests/cmocka_names.h"
#include "tests/unit/descriptors.h"
#include "tests/unit/server_fixture.h"

#define STREAMS_MAX (LIMIT_CONNECTIONS / 2)
#define STREAM "GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n"

static void text_of_each(void **state)
{
	static const struct event event = {
		.id = 7,
		.time = {.tv_sec = SAMPLE_TIME},
		.type = "track",
		.severity = "info",
		.subject = SAMPLE_HOSTILE,
		.message = "a\r\n\ndata: b",
	};
	struct snapshot *snapshot = sample_snapshot(3);
	struct text text = {};
	const char *line;

	stream_text__retry(&text);
	stream_text__beat(&text);
	stream_text__missed(2, UINT64_MAX, &text);
	assert_string_equal(text.data,
			    "retry: 2000\n\n: beat\n\nevent: missed\n"
			    "data: {\"from\":\"2\",\"to\":\"18446744073709551615\"}\n\n");
	text.length = 0;
	stream_text__event(&event, &text);
	assert_string_equal(text.data, "event: event\nid: 7\ndata: {\"id\":\"7\","
				       "\"time\":\"2026-11-22T20:30:46.000Z\",\"type\":\"track\","
				       "\"severity\":\"info\",\"subject\":"
				       "\"a\\n\\\"\\\\\\u001b[1m\xef\xbf\xbd\","
				       "\"message\":\"a\\u000d\\n\\ndata: b\"}\n\n");
	text.length = 0;
	stream_text__snapshot(snapshot, &text);
	assert_memory_equal(text.data, "event: snapshot\ndata: {\"time\":\"", 31);
	assert_non_null(strstr(text.data, "\"sequence\":3,\"summary\":{\"time\":\""));
	/* One line of data, whatever the host's name is. */
	line = strchr(strchr(text.data, '\n') + 1, '\n');
	assert_string_equal(line, "\n\n");
	assert_false(text.failed);
	text__free(&text);
	snapshot__put(snapshot);
}

static void *publish_later(void *store)
{
	usleep(100000);
	snapshot_store__publish(store, sample_snapshot(5));
	return NULL;
}

static void *wake_later(void *store)
{
	usleep(100000);
	snapshot_store__wake(store);
	return NULL;
}

static void waiting(void **state)
{
	struct snapshot_store *store = snapshot_store__new();
	struct snapshot *snapshot;
	double start = now();
	pthread_t thread;

	assert_null(snapshot_store__wait(store, 0, 0.05));
	assert_uint_in_range((uint64_t)((now() - start) * 1000), 50, (uint64_t)(AT_ONCE * 1000));
	pthread_create(&thread, NULL, publish_later, store);
	snapshot = snapshot_store__wait(store, 0, 1e18);
	pthread_join(thread, NULL);
	assert_int_equal(snapshot->sequence, 5);
	snapshot__put(snapshot);
	/* There already; and not above. */
	snapshot = snapshot_store__wait(store, 4, 0);
	assert_int_equal(snapshot->sequence, 5);
	snapshot__put(snapshot);
	assert_null(snapshot_store__wait(store, 5, -1));
	pthread_create(&thread, NULL, wake_later, store);
	assert_null(snapshot_store__wait(store, 5, 60));
	pthread_join(thread, NULL);
	assert_null(snapshot_store__wait(store, 0, 60));
	assert_true(now() - start < 30);
	snapshot_store__free(store);
}

static int open_stream(const struct fixture *fixture, const char *headers, bool local)
{
	int fd = local ? socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) : dial(fixture);
	char request[256];

	if (local)
		assert_int_equal(connect(fd, (const struct sockaddr *)&fixture->local,
					 sizeof(fixture->local)),
				 0);
	snprintf(request, sizeof(request), STREAM "%s\r\n", headers);
	send_all(fd, request, strlen(request));
	return fd;
}

/* What comes until `last` is in it, or a minute is over. */
static char *until(int fd, const char *last)
{
	double end = now() + 60;
	size_t length = 0;
	bool closed = false;
	char *all = calloc(1, 2 << 20);

	while (!closed && !strstr(all, last) && now() < end) {
		size_t got;
		char *part = receive(fd, 0.05, 65536, &got, &closed);

		memcpy(all + length, part, got);
		length += got;
		free(part);
	}
	if (!strstr(all, last))
		fail_msg("no %s in %s", last, all);
	return all;
}

static uint64_t sequence;

static void next_snapshot(const struct fixture *fixture)
{
	snapshot_store__publish(fixture->store, sample_snapshot(++sequence));
}

static void events(void **state)
{
	struct fixture *fixture = *state;
	int fd = open_stream(fixture, "", false);
	char *all = until(fd, "event: snapshot");

	assert_non_null(strstr(all, "Content-Type: text/event-stream\r\n"));
	assert_non_null(strstr(all, "Cache-Control: no-store\r\n"));
	assert_non_null(strstr(all, "retry: 2000\n\n"));
	assert_null(strstr(all, "event: event"));
	free(all);
	events__add(fixture->events, "agent", "info", "a", "one");
	free(until(fd, "id: 1\ndata: {\"id\":\"1\""));
	next_snapshot(fixture);
	free(until(fd, "event: snapshot"));
	close(fd);
	for (int i = 2; i <= EVENTS_KEPT + 5; i++)
		events__add(fixture->events, "agent", "info", "a", "number %d", i);
	/* All that are kept, whole, and then the snapshot. */
	fd = open_stream(fixture, "Last-Event-ID: 2\r\n", true);
	all = until(fd, "event: snapshot");
	assert_non_null(strstr(all, "event: missed\ndata: {\"from\":\"3\",\"to\":\"5\"}\n\n"
				    "event: event\nid: 6\n"));
	for (int i = 6; i <= EVENTS_KEPT + 5; i++) {
		char id[32];

		snprintf(id, sizeof(id), "\nid: %d\n", i);
		assert_non_null(strstr(all, id));
	}
	free(all);
	close(fd);
	/* Of an agent before this one. */
	fd = open_stream(fixture, "Last-Event-ID: 99999999\r\n", true);
	all = until(fd, "event: snapshot");
	assert_non_null(strstr(all, "{\"from\":\"1\",\"to\":\"5\"}"));
	free(all);
	close(fd);
	expect(fixture, STREAM "Last-Event-ID: x\r\nConnection: close\r\n\r\n", "400",
	       "Last-Event-ID");
	expect(fixture, GET("/api/v1/stream?after=-1"), "400", "after");
	expect(fixture,
	       "HEAD /api/v1/stream HTTP/1.1\r\nHost: localhost\r\nConnection: "
	       "close\r\n\r\n",
	       "200", "text/event-stream");
}

/* Who does not read for a while gets the newest, not all that there was. */
static void lagging(void **state)
{
	struct fixture *fixture = *state;

	for (int local = 0; local < 2; local++) {
		int fd = open_stream(fixture, "", local), small = 4096, count = 0;
		char last[32];
		char *all;

		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
		free(until(fd, "event: snapshot"));
		/* Faster than the deadline, where there is little CPU, too. */
		for (int i = 0; i < 200; i++) {
			next_snapshot(fixture);
			if (i % 10 == 9)
				usleep(4000);
		}
		snprintf(last, sizeof(last), "\"sequence\":%" PRIu64 ",\"summary", sequence);
		all = until(fd, last);
		for (const char *at = all; (at = strstr(at, "event: snapshot")); at++)
			count++;
		assert_uint_in_range(count, 2, 150);
		free(all);
		close(fd);
	}
}

/* Nothing is read for the deadline: cut, though the request itself was fine. */
static void unread_stream(void **state)
{
	struct fixture *fixture = *state;
	const struct api_counters *counters = api_server__counters(fixture->server);
	uint64_t cut =
		__atomic_load_n(&counters->connections[CONNECTION_DEADLINE], __ATOMIC_RELAXED);
	double start = now();
	int fd, reader;

	/* A reader stays, and so does one who has nothing to read. */
	reader = open_stream(fixture, "", false);
	free(until(reader, "event: snapshot"));
	fd = open_stream(fixture, "", true);
	while (__atomic_load_n(&counters->connections[CONNECTION_DEADLINE], __ATOMIC_RELAXED) ==
	       cut) {
		next_snapshot(fixture);
		free(until(reader, "event: snapshot"));
		assert_true(now() - start < 60);
		usleep(50000);
	}
	assert_true(now() - start > DEADLINE - 0.1);
	close(fd);
	usleep((unsigned)(DEADLINE * 1.5e6));
	next_snapshot(fixture);
	free(until(reader, "event: snapshot"));
	close(reader);
}

static void too_many(void **state)
{
	struct fixture *fixture = *state;
	int fds[STREAMS_MAX];
	size_t before;

	/* Those of earlier tests end with the first thing that they cannot send. */
	for (int i = 0; i < 20; i++) {
		next_snapshot(fixture);
		usleep(50000);
	}
	before = open_descriptors();
	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < STREAMS_MAX; i++)
			fds[i] = open_stream(fixture, "", i % 2);
		for (int i = 0; i < STREAMS_MAX; i++)
			free(until(fds[i], "event: snapshot"));
		expect(fixture, GET("/api/v1/stream"), "503", "too_many_streams");
		expect(fixture, GET("/api/v1/summary"), "200", "sequence");
		for (int i = 0; i < STREAMS_MAX; i++)
			close(fds[i]);
		for (int i = 0; i < 1000 && open_descriptors() > before; i++) {
			next_snapshot(fixture);
			usleep(50000);
		}
		assert_int_equal(open_descriptors(), before);
	}
}

static void beat(void **state)
{
	int fd = open_stream(*state, "", false);
	double start;

	free(until(fd, "event: snapshot"));
	start = now();
	usleep(9000000);
	free(until(fd, ": beat\n\n"));
	assert_uint_in_range((uint64_t)((now() - start) * 1000), 9900,
			     (uint64_t)(11000 + AT_ONCE * 1000));
	close(fd);
}

/* Those that send, those that wait, and one that does not read. */
static void stop_at_once(void **state)
{
	struct fixture *fixture = NULL;
	int fds[STREAMS_MAX];
	double start;

	assert_int_equal(set_up((void **)&fixture), 0);
	sequence = 1;
	for (int i = 0; i < STREAMS_MAX; i++) {
		fds[i] = open_stream(fixture, "", i % 2);
		if (i)
			free(until(fds[i], "event: snapshot"));
	}
	for (int i = 0; i < 100; i++)
		next_snapshot(fixture);
	start = now();
	tear_down((void **)&fixture);
	assert_true(now() - start < AT_ONCE);
	for (int i = 0; i < STREAMS_MAX; i++) {
		size_t length;
		bool closed;

		free(receive(fds[i], 2, 1 << 20, &length, &closed));
		assert_true(closed);
		close(fds[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_of_each),	 cmocka_unit_test(waiting),
		cmocka_unit_test(events),	 cmocka_unit_test(lagging),
		cmocka_unit_test(unread_stream), cmocka_unit_test(too_many),
		cmocka_unit_test(beat),		 cmocka_unit_test(stop_at_once),
	};

	sequence = 1;
	return cmocka_run_group_tests_name("stream", tests, set_up, tear_down);
}
