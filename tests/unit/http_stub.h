/* SPDX-License-Identifier: BSD-2-Clause */
/* A receiver of webhooks on a free port that behaves as a request's path says. After cmocka.h. */
#ifndef DIRTYSCOPE_TESTS_UNIT_HTTP_STUB_H
#define DIRTYSCOPE_TESTS_UNIT_HTTP_STUB_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/clock.h"

#define STUB_REQUESTS 1024

struct stub_request {
	char path[64], head[1024], body[256];
	double time;
};

struct stub {
	int listener;
	uint16_t port;
	pthread_t thread;
	pthread_mutex_t lock;
	struct stub_request requests[STUB_REQUESTS]; /* in the order of their arrival */
	size_t count;
	atomic_int busy;
};

struct stub_visit {
	struct stub *stub;
	int fd;
};

/* False: the client has gone. */
static inline bool stub__say(int fd, const char *text)
{
	return send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text);
}

/* How many requests this path had, the one being read with them. */
static inline size_t stub__visits(struct stub *stub, const char *path)
{
	size_t count = 0;

	pthread_mutex_lock(&stub->lock);
	for (size_t i = 0; i < stub->count; i++)
		count += strcmp(stub->requests[i].path, path) == 0;
	pthread_mutex_unlock(&stub->lock);
	return count;
}

/* The head and the body; false when there is no whole request. */
static inline bool stub__read(int fd, struct stub_request *request)
{
	char *data = calloc(1, 4 << 20), *end = NULL, *length;
	size_t have = 0, body = 0;
	bool whole = false;

	while (have < (4 << 20) - 1) {
		ssize_t got = recv(fd, data + have, (4 << 20) - 1 - have, 0);

		if (got <= 0)
			break;
		have += (size_t)got;
		end = end ? end : strstr(data, "\r\n\r\n");
		if (!end)
			continue;
		length = strstr(data, "Content-Length: ");
		body = length && length < end ? strtoul(length + 16, NULL, 10) : 0;
		whole = have >= (size_t)(end + 4 - data) + body;
		if (whole)
			break;
	}
	if (whole) {
		sscanf(data, "%*s %63[^ ]", request->path);
		snprintf(request->body, sizeof(request->body), "%.*s", (int)body, end + 4);
		snprintf(request->head, sizeof(request->head), "%.*s", (int)(end - data), data);
		request->time = now();
	}
	free(data);
	return whole;
}

static inline void stub__answer(int fd, const struct stub_request *request, size_t visit)
{
	static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
	const struct linger reset = {1, 0};
	const char *path = request->path;
	char text[2048], byte;

	if (strncmp(path, "/slow", 5) == 0) {
		rest(0.5);
		stub__say(fd, ok);
	} else if (strcmp(path, "/hang") == 0) {
		while (recv(fd, &byte, 1, 0) > 0)
			;
	} else if (strcmp(path, "/flaky") == 0 && visit == 1) {
		stub__say(fd, "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n");
	} else if (strcmp(path, "/broken") == 0) {
		stub__say(fd, "HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\nlate");
	} else if (strcmp(path, "/missing") == 0) {
		/* Ends with the connection. */
		stub__say(fd, "HTTP/1.1 404 No\r\n\r\n");
		stub__say(fd, "\x1b[31m\tno such\r\n hook\x80\xff /missing\n");
	} else if (strcmp(path, "/cut-head") == 0 && visit == 1) {
		stub__say(fd, "HTTP/1.1 200 OK\r\nContent-Le");
	} else if (strcmp(path, "/cut-body") == 0) {
		stub__say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\npart");
	} else if (strcmp(path, "/reset") == 0 && visit == 1) {
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	} else if (strcmp(path, "/endless") == 0) {
		memset(text, 'x', sizeof(text) - 1);
		text[sizeof(text) - 1] = '\0';
		stub__say(fd, "HTTP/1.1 200 OK\r\n\r\n");
		while (stub__say(fd, text))
			;
	} else if (strcmp(path, "/head-flood") == 0) {
		stub__say(fd, "HTTP/1.1 200 OK\r\n");
		while (stub__say(fd, "X-More: and more and more and more and more and more\r\n"))
			;
	} else if (strcmp(path, "/no-http") == 0) {
		stub__say(fd, "220 mail.example ESMTP\r\n");
	} else if (strcmp(path, "/later") == 0 && visit == 1) {
		stub__say(fd, "HTTP/1.1 429 Wait\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n");
	} else if (strcmp(path, "/tomorrow") == 0) {
		stub__say(fd,
			  "HTTP/1.1 503 Wait\r\nRetry-After: 86400\r\nContent-Length: 0\r\n\r\n");
	} else if (strcmp(path, "/redirect") == 0) {
		stub__say(fd, "HTTP/1.1 302 Away\r\nLocation: /ok\r\nContent-Length: 0\r\n\r\n");
	} else if (strncmp(path, "/echo", 5) == 0) {
		snprintf(text, sizeof(text), "HTTP/1.1 403 No\r\nContent-Length: %zu\r\n\r\n%s",
			 strlen(request->head), request->head);
		stub__say(fd, text);
	} else {
		stub__say(fd, ok);
	}
}

static inline void *stub__visit(void *context)
{
	struct stub_visit visit = *(struct stub_visit *)context;
	struct stub *stub = visit.stub;
	struct stub_request request = {0};
	int fd = visit.fd;

	free(context);
	if (stub__read(fd, &request)) {
		pthread_mutex_lock(&stub->lock);
		if (stub->count < STUB_REQUESTS)
			stub->requests[stub->count++] = request;
		pthread_mutex_unlock(&stub->lock);
		stub__answer(fd, &request, stub__visits(stub, request.path));
	}
	close(fd);
	stub->busy--;
	return NULL;
}

static inline void *stub__serve(void *context)
{
	struct stub *stub = context;

	for (;;) {
		struct stub_visit *visit = malloc(sizeof(*visit));
		pthread_t thread;

		*visit = (struct stub_visit){stub, accept(stub->listener, NULL, NULL)};
		if (visit->fd < 0) {
			free(visit);
			return NULL;
		}
		stub->busy++;
		if (pthread_create(&thread, NULL, stub__visit, visit))
			abort();
		pthread_detach(thread);
	}
}

static inline struct stub *stub__new(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t size = sizeof(address);
	struct stub *stub = calloc(1, sizeof(*stub));

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	pthread_mutex_init(&stub->lock, NULL);
	stub->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(stub->listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(stub->listener, 100), 0);
	getsockname(stub->listener, (struct sockaddr *)&address, &size);
	stub->port = ntohs(address.sin_port);
	assert_int_equal(pthread_create(&stub->thread, NULL, stub__serve, stub), 0);
	return stub;
}

/* After the queue is freed: nobody hangs on a connection then. */
static inline void stub__free(struct stub *stub)
{
	shutdown(stub->listener, SHUT_RDWR);
	pthread_join(stub->thread, NULL);
	while (stub->busy)
		rest(0.005);
	close(stub->listener);
	pthread_mutex_destroy(&stub->lock);
	free(stub);
}

#endif
