/* SPDX-License-Identifier: BSD-2-Clause */
/* A server on a free port and a Unix socket, and clients that speak raw HTTP. After cmocka.h. */
#ifndef DIRTYSCOPE_TESTS_UNIT_SERVER_FIXTURE_H
#define DIRTYSCOPE_TESTS_UNIT_SERVER_FIXTURE_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/reason.h"
#include "api/metrics/counters.h"
#include "api/server/server.h"
#include "tests/unit/clock.h"
#include "tests/unit/sample_snapshot.h"

#define LIMIT_CONNECTIONS 24
#define LIMIT_PER_ADDRESS 16
#define DEADLINE 2.0
/* Seconds in which a server does what it does at once; the plain build runs under valgrind. */
#ifdef __SANITIZE_ADDRESS__
#define AT_ONCE 1.0
#else
#define AT_ONCE 20.0
#endif
#define PROCESSES 3000 /* a body that no socket buffer takes whole */

struct fixture {
	struct snapshot_store *store;
	struct history *history;
	struct events *events;
	struct api_server *server;
	char directory[64], path[108], address[120];
	struct sockaddr_in tcp;
	struct sockaddr_un local;
};

static inline void publish(struct fixture *fixture, uint64_t sequence)
{
	struct snapshot *snapshot = sample_snapshot(sequence);
	struct snapshot_process *all = arena__alloc(snapshot->arena, PROCESSES * sizeof(*all));

	for (size_t i = 0; i < snapshot->process_count; i++)
		all[i] = snapshot->processes[i];
	for (uint32_t i = (uint32_t)snapshot->process_count; i < PROCESSES; i++)
		all[i] = sample_process(10000 + i, i, "many");
	snapshot->processes = all;
	snapshot->process_count = PROCESSES;
	snapshot_store__publish(fixture->store, snapshot);
}

static inline int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct api_options options = {
		.max_connections = LIMIT_CONNECTIONS,
		.max_per_address = LIMIT_PER_ADDRESS,
		.deadline = DEADLINE,
		.threads = 2,
	};
	struct reason error = {""};

	snprintf(fixture->directory, sizeof(fixture->directory), "/tmp/dirtyscope-test-XXXXXX");
	if (!mkdtemp(fixture->directory))
		return -1;
	snprintf(fixture->path, sizeof(fixture->path), "%s/api.sock", fixture->directory);
	snprintf(fixture->address, sizeof(fixture->address), "unix:%s", fixture->path);
	fixture->local.sun_family = AF_UNIX;
	memcpy(fixture->local.sun_path, fixture->path, sizeof(fixture->path));
	options.store = fixture->store = snapshot_store__new();
	options.history = fixture->history = history__new(10);
	options.events = fixture->events = events__new();
	options.listen.values[0] = "127.0.0.1:0";
	options.listen.values[1] = fixture->address;
	options.listen.count = 2;
	publish(fixture, 1);
	if (api_server__start(&options, &fixture->server, &error)) {
		print_error("%s\n", error.text);
		return -1;
	}
	fixture->tcp.sin_family = AF_INET;
	fixture->tcp.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	fixture->tcp.sin_port =
		htons((uint16_t)atoi(strrchr(api_server__address(fixture->server, 0), ':') + 1));
	*state = fixture;
	return 0;
}

static inline int tear_down(void **state)
{
	struct fixture *fixture = *state;
	struct stat file;

	api_server__stop(fixture->server);
	/* Its socket went with it. */
	assert_int_equal(stat(fixture->path, &file), -1);
	rmdir(fixture->directory);
	events__free(fixture->events);
	history__free(fixture->history);
	snapshot_store__free(fixture->store);
	free(fixture);
	return 0;
}

static inline int dial(const struct fixture *fixture)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&fixture->tcp, sizeof(fixture->tcp)),
			 0);
	return fd;
}

static inline void send_all(int fd, const char *data, size_t length)
{
	while (length) {
		ssize_t sent = send(fd, data, length, MSG_NOSIGNAL);

		/* The server may have refused before it read all. */
		if (sent <= 0)
			return;
		data += sent;
		length -= (size_t)sent;
	}
}

/* What comes within `seconds`, up to `most` bytes or the end; *closed: the end came. */
static inline char *receive(int fd, double seconds, size_t most, size_t *length, bool *closed)
{
	double until = now() + seconds;
	char *data = calloc(1, most + 1);

	*length = 0;
	*closed = false;
	while (*length < most && now() < until) {
		struct pollfd wait = {.fd = fd, .events = POLLIN};
		ssize_t got;

		if (poll(&wait, 1, (int)((until - now()) * 1000) + 1) <= 0)
			break;
		got = recv(fd, data + *length, most - *length, 0);
		if (got <= 0) {
			*closed = true;
			break;
		}
		*length += (size_t)got;
	}
	return data;
}

/* One request on a connection of its own, and its whole answer. */
static inline char *exchange(const struct fixture *fixture, const char *request, size_t *length)
{
	size_t ignored;
	int fd = dial(fixture);
	bool closed;
	char *answer;

	send_all(fd, request, strlen(request));
	shutdown(fd, SHUT_WR);
	answer = receive(fd, 10, 8 << 20, length ? length : &ignored, &closed);
	assert_true(closed);
	close(fd);
	return answer;
}

static inline void expect(const struct fixture *fixture, const char *request, const char *status,
			  const char *part)
{
	char *answer = exchange(fixture, request, NULL);
	char line[64];

	snprintf(line, sizeof(line), "HTTP/1.1 %s", status);
	if (strncmp(answer, line, strlen(line)) != 0 || !strstr(answer, part))
		fail_msg("%.200s\n-> %.600s\nexpected %s ... %s", request, answer, status, part);
	free(answer);
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

#endif
