/* SPDX-License-Identifier: BSD-2-Clause */
/* What slow, idle, many and vanishing clients may not hold up. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>

#include "tests/cmocka_names.h"
#include "tests/unit/descriptors.h"
#include "tests/unit/server_fixture.h"

#define CROWD 100 /* slow clients */
#define HANG_UPS 500

/* Two requests on one connection, sent at once, then idle: cut at the deadline, not before. */
static void keep_alive_and_idle(void **state)
{
	static const char twice[] = "GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n"
				    "GET /-/ready HTTP/1.1\r\nHost: localhost\r\n\r\n";
	double start = now();
	int fd = dial(*state);
	bool closed;
	size_t length;
	char *answer;

	send_all(fd, twice, sizeof(twice) - 1);
	answer = receive(fd, 10, 1 << 20, &length, &closed);
	assert_true(closed);
	assert_uint_in_range((uint64_t)((now() - start) * 1000), DEADLINE * 1000 - 50, 8000);
	assert_non_null(strstr(answer, "healthy"));
	assert_non_null(strstr(answer, "\"ready\""));
	free(answer);
	close(fd);
}

/* A byte every 100 ms resets any inactivity time-out; the total deadline holds. */
static void trickle(void **state)
{
	static const char request[] =
		"GET /-/healthy HTTP/1.1\r\nX-Slow: aaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
	double start = now();
	int fd = dial(*state);
	size_t sent = 0;
	char byte;

	while (sent < sizeof(request) - 1 && send(fd, request + sent, 1, MSG_NOSIGNAL) == 1) {
		struct pollfd wait = {.fd = fd, .events = POLLIN};

		sent++;
		if (poll(&wait, 1, 100) == 1 && recv(fd, &byte, 1, 0) <= 0)
			break;
	}
	assert_true(sent < sizeof(request) - 1);
	assert_uint_in_range((uint64_t)((now() - start) * 1000), DEADLINE * 1000 - 50, 8000);
	close(fd);
}

/* Who reads an answer slowly is cut at the deadline too. */
static void slow_reader(void **state)
{
	double start = now();
	int small = 4096, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct fixture *fixture = *state;
	size_t total = 0;
	char byte[512];

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	assert_int_equal(connect(fd, (const struct sockaddr *)&fixture->tcp, sizeof(fixture->tcp)),
			 0);
	send_all(fd, GET("/metrics"), strlen(GET("/metrics")));
	for (;;) {
		ssize_t got = recv(fd, byte, sizeof(byte), 0);

		if (got <= 0)
			break;
		total += (size_t)got;
		usleep(20000);
	}
	assert_uint_in_range((uint64_t)((now() - start) * 1000), DEADLINE * 1000 - 50, 8000);
	assert_true(total > 0);
	close(fd);
}

/* Far more slow clients than there is room for: newcomers are served at once all the while. */
static void crowd(void **state)
{
	struct fixture *fixture = *state;
	const struct api_counters *counters = api_server__counters(fixture->server);
	uint64_t evicted = counters->connections[CONNECTION_EVICTED];
	const char *request = "GET /metrics HTTP/1.1\r\nX-";
	int fds[CROWD];

	for (int i = 0; i < CROWD; i++) {
		fds[i] = dial(fixture);
		send_all(fds[i], request, strlen(request));
		if (i % 10 == 9) {
			double start = now();

			expect(fixture, GET("/-/healthy"), "200", "healthy");
			assert_true(now() - start < AT_ONCE);
		}
	}
	assert_true(__atomic_load_n(&counters->connections[CONNECTION_EVICTED], __ATOMIC_RELAXED) >
		    evicted + CROWD / 2);
	for (int i = 0; i < CROWD; i++)
		close(fds[i]);
}

/* All places taken by slow readers of answers: others are told so, the health check is answered. */
static void busy(void **state)
{
	struct fixture *fixture = *state;
	int fds[LIMIT_PER_ADDRESS], small = 4096;
	double start;
	char byte;

	for (int i = 0; i < LIMIT_PER_ADDRESS; i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		setsockopt(fds[i], SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
		assert_int_equal(connect(fds[i], (const struct sockaddr *)&fixture->tcp,
					 sizeof(fixture->tcp)),
				 0);
		send_all(fds[i], GET("/metrics"), strlen(GET("/metrics")));
		/* Until it has its first byte it is only waiting, and the next may evict it. */
		assert_int_equal(recv(fds[i], &byte, 1, MSG_PEEK), 1);
	}
	start = now();
	expect(fixture, GET("/api/v1/summary"), "503", "Retry-After: 1");
	expect(fixture, GET("/api/v1/summary"), "503", "Connection: close");
	expect(fixture, GET("/-/healthy"), "200", "healthy");
	assert_true(now() - start < AT_ONCE);
	for (int i = 0; i < LIMIT_PER_ADDRESS; i++)
		close(fds[i]);
}

static void hang_ups(void **state)
{
	struct fixture *fixture = *state;
	size_t before, after = 0;
	const struct linger reset = {.l_onoff = 1, .l_linger = 0};

	/* The connections of earlier tests are gone once their deadline has passed. */
	usleep((unsigned)(DEADLINE * 1e6) + 300000);
	before = open_descriptors();
	for (int i = 0; i < HANG_UPS; i++) {
		int fd = dial(fixture);
		char some[100];

		send_all(fd, GET("/metrics"), strlen(GET("/metrics")));
		if (i % 3)
			assert_true(recv(fd, some, sizeof(some), 0) >= 0);
		if (i % 2)
			setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		close(fd);
		if (i % 50 == 0)
			publish(fixture, (uint64_t)i + 100);
	}
	for (int tries = 0; tries < 50; tries++) {
		after = open_descriptors();
		if (after <= before)
			break;
		usleep(100000);
	}
	assert_true(after <= before);
	expect(fixture, GET("/-/healthy"), "200", "healthy");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keep_alive_and_idle),
		cmocka_unit_test(trickle),
		cmocka_unit_test(slow_reader),
		cmocka_unit_test(crowd),
		cmocka_unit_test(busy),
		cmocka_unit_test(hang_ups),
	};

	return cmocka_run_group_tests_name("server_load", tests, set_up, tear_down);
}
