/* SPDX-License-Identifier: BSD-2-Clause */
/* The server through real sockets: what clients may send, and where it may listen. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <microhttpd.h>
#include <zlib.h>

#include "tests/unit/server_fixture.h"

/* Not even a request line: closed without an answer. */
static void nonsense(void **state)
{
	static const char *const cases[] = {"GET\r\n\r\n", "\x16\x03\x01\x02", "\r\n\r\n", ""};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char *answer = exchange(*state, cases[i], NULL);

		assert_null(strstr(answer, " 200 "));
		free(answer);
	}
}

static void requests(void **state)
{
	static const struct {
		const char *request, *status, *part;
	} cases[] = {
		{GET("/-/healthy"), "200", "\"healthy\""},
		{GET("/-/ready"), "200", "X-Content-Type-Options: nosniff"},
		{GET("/-/ready"), "200", "Cache-Control: no-store"},
		{GET("/"), "200", "/api/v1/history"},
		{GET("/api/v1/devices/pci%2F0000%3A00%3A04.0"), "200", "\"nvme\""},
		{GET("/api/v1/devices/pci/0000:00:04.0"), "200", "\"nvme\""},
		{GET("/nothing"), "404", "\"not_found\""},
		{GET("/api/v1/processes/99"), "404", "\"not_found\""},
		{GET("/api/v1/processes?limit=x"), "400", "limit must be"},
		{GET("/api/v1/processes?limit=1&limit=2"), "400", "limit is given more than once"},
		{GET("/api/v1/flows?bogus=1"), "400", "unknown parameter \\\"bogus\\\""},
		{GET("/api/v1/processes?filter=%00"), "400", "filter holds a NUL"},
		{GET("/api/v1/processes?filter=%ff"), "400", "filter is not valid UTF-8"},
		{GET("/%ff"), "400", "\"invalid_path\""},
		{"POST /api/v1/tracks HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n"
		 "Connection: close\r\n\r\n{}",
		 "403", "--web.token-file"},
		{"PUT /api/v1/tracks HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
		 "\r\n",
		 "405", "Allow: GET, HEAD, POST"},
		{"GET /api/v1/flows HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n"
		 "Connection: close\r\n\r\n{}",
		 "400", "unexpected_body"},
		{"POST /api/v1/flows HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
		 "Content-Length: 0\r\n\r\n",
		 "405", "Allow: GET, HEAD"},
		{"DELETE /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "405",
		 "\"method_not_allowed\""},
		{"BREW /nothing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "404",
		 ""},
		{"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 65537\r\n\r\n", "413",
		 "\"body_too_large\""},
		{"POST /x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: "
		 "chunked\r\n\r\n0\r\n\r\n",
		 "411", "\"length_required\""},
		{"GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", "403",
		 "DNS rebinding"},
		{"GET / HTTP/1.1\r\nHost: localhost\r\nHost: x\r\nConnection: close\r\n\r\n", "400",
		 "Host"},
		{"GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\nConnection: "
		 "close\r\n\r\n",
		 "403", ""},
		{"GET http://127.0.0.1/-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
		 "200", "healthy"},
		{"GET /-/healthy HTTP/1.1\r\nHost: 127.0.0.1:1\r\nConnection: close\r\n\r\n", "200",
		 ""},
		{"GET /-/healthy HTTP/1.0\r\n\r\n", "200", ""},
		{GET("relative"), "400", ""},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		expect(*state, cases[i].request, cases[i].status, cases[i].part);
}

/* A NUL byte inside the request line would hide what follows. */
static void nul_bytes(void **state)
{
	static const char *const tails[] = {"\0&bogus=1", "\0", "\0\0 x"};

	for (size_t i = 0; i < sizeof(tails) / sizeof(*tails); i++) {
		char request[200];
		size_t length = (size_t)sprintf(request, "GET /api/v1/flows?limit=5"), got;
		int fd = dial(*state);
		bool closed;
		char *answer;

		memcpy(request + length, tails[i], (size_t[]){10, 1, 4}[i]);
		length += (size_t[]){10, 1, 4}[i];
		length += (size_t)sprintf(request + length,
					  " HTTP/1.1\r\nHost: [::1]\r\nConnection: close\r\n\r\n");
		send_all(fd, request, length);
		answer = receive(fd, 10, 4000, &got, &closed);
		/* The library closes such a connection by itself since 1.0. */
		if (MHD_get_version()[0] == '0' || got) {
			assert_memory_equal(answer, "HTTP/1.1 400", 12);
			assert_non_null(strstr(answer, "NUL byte"));
		}
		assert_true(closed);
		free(answer);
		close(fd);
	}
}

/* Too long a URI, and too many bytes of headers: at several sizes, so that each limit is met. */
static void oversized(void **state)
{
	static const size_t sizes[] = {5000, 20000, 40000, 200000};
	char *big = malloc(300000);

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		int fd;
		bool closed;
		size_t length;
		char *answer;

		for (int header = 0; header < 2; header++) {
			size_t at = (size_t)sprintf(
				big, header ? "GET / HTTP/1.1\r\nHost: localhost\r\nX: " : "GET /");

			/* A line of 5000 bytes in the headers is fine. */
			if (header && i == 0)
				continue;
			memset(big + at, 'x', sizes[i]);
			snprintf(big + at + sizes[i], 64, "%s",
				 header ? "\r\n\r\n" : " HTTP/1.1\r\nHost: localhost\r\n\r\n");
			fd = dial(*state);
			send_all(fd, big, strlen(big));
			answer = receive(fd, 10, 4000, &length, &closed);
			/* A refusal may be lost to a reset where we were still sending. */
			if (length && strncmp(answer, "HTTP/1.1 4", 10) != 0)
				fail_msg("%zu: %s", sizes[i], answer);
			if (sizes[i] <= 20000)
				assert_non_null(strstr(answer, header ? " 431 " : " 414 "));
			free(answer);
			close(fd);
		}
	}
	free(big);
	expect(*state, GET("/-/healthy"), "200", "");
}

static void head(void **state)
{
	char *answer = exchange(
		*state, "HEAD /api/v1/summary HTTP/1.1\r\nHost: [::1]\r\nConnection: close\r\n\r\n",
		NULL);

	assert_memory_equal(answer, "HTTP/1.1 200", 12);
	assert_non_null(strstr(answer, "Content-Length: "));
	assert_null(strstr(answer, "Content-Length: 0"));
	assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
	free(answer);
}

static void metrics_forms(void **state)
{
	size_t length, size = 8 << 20;
	char *plain = exchange(*state, GET("/metrics"), NULL),
	     *body = strstr(plain, "\r\n\r\n") + 4;
	char *zipped = exchange(*state,
				"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
				"Accept-Encoding: deflate, gzip;q=0.5\r\n\r\n",
				&length);
	char *packed = strstr(zipped, "\r\n\r\n") + 4, *unpacked = calloc(1, size);
	z_stream stream = {};

	assert_non_null(strstr(zipped, "Content-Encoding: gzip"));
	stream.next_in = (Bytef *)packed;
	stream.avail_in = (uInt)(length - (size_t)(packed - zipped));
	stream.next_out = (Bytef *)unpacked;
	stream.avail_out = (uInt)size;
	assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK);
	assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
	inflateEnd(&stream);
	assert_string_equal(unpacked, body);
	free(plain);
	free(zipped);
	free(unpacked);
	expect(*state,
	       "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
	       "Accept: application/openmetrics-text;version=1.0.0\r\n\r\n",
	       "200", "\n# EOF\n");
	expect(*state, GET("/metrics"), "200", "text/plain; version=0.0.4");
}

static void unix_socket(void **state)
{
	struct fixture *fixture = *state;
	static const char request[] =
		"GET /-/healthy HTTP/1.1\r\nHost: anything\r\nConnection: close\r\n\r\n";
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct stat file;
	bool closed;
	size_t length;
	char *answer;

	assert_string_equal(api_server__address(fixture->server, 1), fixture->address);
	assert_null(api_server__address(fixture->server, 2));
	assert_int_equal(stat(fixture->path, &file), 0);
	assert_int_equal(file.st_mode & 0777, 0600);
	assert_int_equal(connect(fd, (struct sockaddr *)&fixture->local, sizeof(fixture->local)),
			 0);
	send_all(fd, request, sizeof(request) - 1);
	answer = receive(fd, 10, 4000, &length, &closed);
	assert_non_null(strstr(answer, "healthy"));
	free(answer);
	close(fd);
}

static void refuse_start(const struct fixture *fixture, const char *address, int err,
			 const char *part)
{
	struct api_options options = {
		.store = fixture->store,
		.history = fixture->history,
		.events = fixture->events,
		.listen = {.values = {address}, .count = 1},
	};
	struct api_server *server;
	struct reason error = {""};

	assert_int_equal(api_server__start(&options, &server, &error), err);
	assert_null(server);
	if (!strstr(error.text, part) || strchr(error.text, '\n'))
		fail_msg("%s: %s", address, error.text);
}

static void addresses(void **state)
{
	struct fixture *fixture = *state;
	char file[100], unixed[108];
	struct api_options options = {
		.store = fixture->store,
		.history = fixture->history,
		.events = fixture->events,
		.listen = {.values = {unixed, "[::1]:0"}, .count = 2},
	};
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	struct api_server *server;
	struct reason error = {""};
	int fd;

	refuse_start(fixture, api_server__address(fixture->server, 0), -EADDRINUSE, "taken");
	refuse_start(fixture, fixture->address, -EADDRINUSE, "--web.listen-address");
	refuse_start(fixture, "203.0.113.1:7243", -EADDRNOTAVAIL, "203.0.113.1");
	refuse_start(fixture, "unix:", -EINVAL, "path");
	refuse_start(fixture, "unix:/nonexistent/x", -ENOENT, "/nonexistent/x");
	refuse_start(fixture, "unix:/dev/null", -EEXIST, "is no socket");
	refuse_start(fixture, "7243", -EINVAL, "HOST:PORT");
	refuse_start(fixture, "127.0.0.1:65536", -EINVAL, "127.0.0.1:65536");
	refuse_start(fixture, "127.0.0.1:http", -EINVAL, "HOST:PORT");
	refuse_start(fixture, "example.invalid:1", -EINVAL, "HOST:PORT");
	refuse_start(fixture, "::1:7243", -EINVAL, "[IPv6]");
	/* A socket that was left behind is replaced. */
	snprintf(file, sizeof(file), "%s/stale", fixture->directory);
	snprintf(unixed, sizeof(unixed), "unix:%s", file);
	snprintf(name.sun_path, sizeof(name.sun_path), "%s", file);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
	close(fd);
	if (access("/proc/sys/net/ipv6/conf/lo", F_OK))
		options.listen.count = 1;
	if (api_server__start(&options, &server, &error))
		fail_msg("%s", error.text);
	api_server__stop(server);
	assert_int_equal(access(file, F_OK), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nonsense),    cmocka_unit_test(requests),
		cmocka_unit_test(oversized),   cmocka_unit_test(head),
		cmocka_unit_test(nul_bytes),   cmocka_unit_test(metrics_forms),
		cmocka_unit_test(unix_socket), cmocka_unit_test(addresses),
	};

	return cmocka_run_group_tests_name("server", tests, set_up, tear_down);
}
