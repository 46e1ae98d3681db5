/* SPDX-License-Identifier: BSD-2-Clause */
/* Against a real HTTP server, on a thread of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "api/client.h"

#define LARGE (1024 * 1024)

struct server {
	struct MHD_Daemon *daemon;
	char url[64];
	char directory[40], file[64], socket[64];
	char token[256]; /* the last Authorization header */
};

static ssize_t slow_bytes(void *context, uint64_t position, char *buffer, size_t max)
{
	usleep(100000);
	memset(buffer, ' ', 1);
	return 1;
}

static ssize_t large_bytes(void *context, uint64_t position, char *buffer, size_t max)
{
	memset(buffer, ' ', max);
	return (ssize_t)max;
}

static const struct {
	const char *path;
	unsigned status;
	const char *body;
	MHD_ContentReaderCallback reader;
	uint64_t length;
} answers[] = {
	{"/good", 200, "{\"a\": [1, 2]}\n", NULL, 0},
	{"/prefix/good", 200, "{\"prefix\": true}", NULL, 0},
	{"/gone", 404, "{\"error\":{\"code\":\"not_found\",\"message\":\"no process 7\"}}", NULL,
	 0},
	{"/refused", 403, "{\"error\":{\"code\":\"forbidden\",\"message\":\"not you\"}}", NULL, 0},
	{"/odd", 500, "<html>", NULL, 0},
	{"/odd-json", 500, "{\"error\":\"text\"}", NULL, 0},
	{"/moved", 302, "{}", NULL, 0},
	{"/invalid", 200, "{\"a\": ", NULL, 0},
	{"/utf8", 200, "{\"a\": \"\xff\"}", NULL, 0},
	{"/empty", 200, "", NULL, 0},
	{"/twice", 200, "{} {}", NULL, 0},
	{"/scalar", 200, "7", NULL, 0},
	{"/slow", 200, NULL, slow_bytes, 1000000},
	{"/large", 200, NULL, large_bytes, LARGE + 1},
	{"/endless", 200, NULL, large_bytes, MHD_SIZE_UNKNOWN},
};

static enum MHD_Result answer(void *context, struct MHD_Connection *connection, const char *url,
			      const char *method, const char *version, const char *upload,
			      size_t *upload_size, void **request)
{
	struct server *server = context;
	const char *token =
		MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Authorization");
	struct MHD_Response *response = NULL;
	enum MHD_Result result;
	unsigned status = 501;

	snprintf(server->token, sizeof(server->token), "%s", token ? token : "");
	for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
		if (strcmp(answers[i].path, url) != 0)
			continue;
		status = answers[i].status;
		if (answers[i].reader)
			response = MHD_create_response_from_callback(answers[i].length, 4096,
								     answers[i].reader, NULL, NULL);
		else
			response = MHD_create_response_from_buffer(strlen(answers[i].body),
								   (void *)answers[i].body,
								   MHD_RESPMEM_PERSISTENT);
	}
	if (!response)
		response = MHD_create_response_from_buffer(0, "", MHD_RESPMEM_PERSISTENT);
	if (status == 302)
		MHD_add_response_header(response, "Location", "/good");
	result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

/* Over TCP on a port of the kernel's choice, or over the Unix socket. */
static void start(struct server *server, bool unix_socket)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(in);
	int fd = socket(unix_socket ? AF_UNIX : AF_INET, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	if (unix_socket) {
		snprintf(un.sun_path, sizeof(un.sun_path), "%s", server->socket);
		assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
		snprintf(server->url, sizeof(server->url), "unix:%.50s", server->socket);
	} else {
		assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
		assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &length), 0);
		snprintf(server->url, sizeof(server->url), "http://127.0.0.1:%u",
			 ntohs(in.sin_port));
	}
	assert_int_equal(listen(fd, 8), 0);
	server->daemon = MHD_start_daemon(
		MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL,
		answer, server, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_END);
	assert_non_null(server->daemon);
}

static int setup(void **state)
{
	struct server *server = calloc(1, sizeof(*server));

	if (!server)
		return -1;
	strcpy(server->directory, "/tmp/dirtyscope-client-XXXXXX");
	if (!mkdtemp(server->directory))
		return -1;
	snprintf(server->file, sizeof(server->file), "%s/token", server->directory);
	snprintf(server->socket, sizeof(server->socket), "%s/socket", server->directory);
	start(server, false);
	*state = server;
	return 0;
}

static int teardown(void **state)
{
	struct server *server = *state;

	if (server->daemon)
		MHD_stop_daemon(server->daemon);
	unlink(server->file);
	unlink(server->socket);
	rmdir(server->directory);
	free(server);
	return 0;
}

static struct client *open_client(const char *url, const char *token_file, double timeout,
				  size_t max_bytes)
{
	const struct client_options options = {
		.url = url,
		.token_file = token_file,
		.connect_timeout = 1,
		.total_timeout = timeout,
		.max_bytes = max_bytes,
	};
	struct client *client = NULL;
	struct client_error error;

	if (client__new(&options, &client, &error))
		fail_msg("%s", error.message);
	return client;
}

static void assert_fails(struct client *client, const char *path, int expected,
			 const char *sentence)
{
	struct client_error error;
	json_t *out = NULL;

	assert_int_equal(client__get(client, path, &out, &error), expected);
	assert_null(out);
	if (!strstr(error.message, sentence))
		fail_msg("%s: '%s' does not hold '%s'", path, error.message, sentence);
}

static void test_good(void **state)
{
	struct server *server = *state;
	struct client *client = open_client(server->url, NULL, 5, 0);
	struct client_error error;
	json_t *out = NULL;
	size_t length;

	for (int i = 0; i < 3; i++) {
		assert_int_equal(client__get(client, "/good", &out, &error), 0);
		assert_int_equal(json_array_size(json_object_get(out, "a")), 2);
		json_decref(out);
		assert_string_equal(client__body(client, &length), "{\"a\": [1, 2]}\n");
		assert_int_equal(length, 14);
	}
	assert_int_equal(client__get(client, "/good", NULL, &error), 0);
	assert_string_equal(server->token, "");
	client__free(client);
}

static void test_url_with_path(void **state)
{
	struct server *server = *state;
	struct client_error error;
	struct client *client;
	json_t *out = NULL;
	char url[128];

	snprintf(url, sizeof(url), "%s/prefix//", server->url);
	client = open_client(url, NULL, 5, 0);
	assert_int_equal(client__get(client, "/good", &out, &error), 0);
	assert_true(json_is_true(json_object_get(out, "prefix")));
	json_decref(out);
	client__free(client);
}

static void test_refusals(void **state)
{
	struct server *server = *state;
	struct client *client = open_client(server->url, NULL, 5, 0);

	assert_fails(client, "/gone", -ENOENT, "no process 7");
	assert_fails(client, "/refused", -EPERM, "not you");
	assert_fails(client, "/odd", -EREMOTEIO, "answered with status 500");
	assert_fails(client, "/odd-json", -EREMOTEIO, "answered with status 500");
	assert_fails(client, "/moved", -EREMOTEIO, "answered with status 302");
	assert_fails(client, "/nowhere", -EREMOTEIO, "answered with status 501");
	client__free(client);
}

static void test_invalid_json(void **state)
{
	static const char *const paths[] = {"/invalid", "/utf8", "/empty", "/twice", "/scalar"};
	struct server *server = *state;
	struct client *client = open_client(server->url, NULL, 5, 0);
	struct client_error error;

	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
		assert_fails(client, paths[i], -EPROTO, "answered with invalid JSON");
	/* The next answer is not touched by the last. */
	assert_int_equal(client__get(client, "/good", NULL, &error), 0);
	client__free(client);
}

static void test_too_large(void **state)
{
	struct server *server = *state;
	struct client *client = open_client(server->url, NULL, 20, LARGE);
	struct client_error error;

	assert_fails(client, "/large", -EFBIG, "is larger than 1048576 bytes");
	assert_fails(client, "/endless", -EFBIG, "is larger than 1048576 bytes");
	assert_int_equal(client__get(client, "/good", NULL, &error), 0);
	client__free(client);
	client = open_client(server->url, NULL, 20, LARGE + 1);
	assert_fails(client, "/large", -EPROTO, "invalid JSON");
	client__free(client);
}

static void test_slow(void **state)
{
	struct server *server = *state;
	struct client *client = open_client(server->url, NULL, 0.5, 0);

	assert_fails(client, "/slow", -ETIMEDOUT, "did not answer in time");
	client__free(client);
}

static void *cancel_soon(void *client)
{
	nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
	client__cancel(client);
	return NULL;
}

/* A call to who never answers ends long before its time, and no other is made. */
static void test_cancelled(void **state)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t length = sizeof(in);
	struct timespec begin, end;
	struct client *client;
	pthread_t thread;
	char url[64];

	assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &length), 0);
	assert_int_equal(listen(fd, 8), 0);
	snprintf(url, sizeof(url), "http://127.0.0.1:%u", ntohs(in.sin_port));
	client = open_client(url, NULL, 60, 0);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	assert_int_equal(pthread_create(&thread, NULL, cancel_soon, client), 0);
	assert_fails(client, "/x", -ECANCELED, "cancelled");
	assert_fails(client, "/x", -ECANCELED, "cancelled");
	clock_gettime(CLOCK_MONOTONIC, &end);
	assert_true(end.tv_sec - begin.tv_sec < 20);
	pthread_join(thread, NULL);
	client__free(client);
	close(fd);
}

static void test_refused_connection(void **state)
{
	struct server *server = *state;
	struct client *client = open_client(server->url, NULL, 5, 0);
	char expected[160];

	MHD_stop_daemon(server->daemon);
	server->daemon = NULL;
	snprintf(expected, sizeof(expected),
		 "cannot reach the agent at %s: Connection refused; "
		 "is `dirtyscope agent` running?",
		 server->url);
	assert_fails(client, "/good", -ECONNREFUSED, expected);
	client__free(client);
}

static void test_unix_socket(void **state)
{
	struct server *server = *state;
	struct client_error error;
	struct client *client;
	char url[80];

	snprintf(url, sizeof(url), "unix:%.60s", server->socket);
	client = open_client(url, NULL, 5, 0);
	assert_fails(client, "/good", -ECONNREFUSED, "No such file or directory");
	MHD_stop_daemon(server->daemon);
	start(server, true);
	assert_int_equal(client__get(client, "/good", NULL, &error), 0);
	MHD_stop_daemon(server->daemon);
	server->daemon = NULL;
	assert_fails(client, "/good", -ECONNREFUSED, "Connection refused");
	client__free(client);
}

static void write_token(const struct server *server, const char *content, size_t length)
{
	FILE *file = fopen(server->file, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(content, 1, length, file), length);
	fclose(file);
}

static void test_token(void **state)
{
	struct server *server = *state;
	struct client_error error;
	struct client *client;

	write_token(server, " s3cret/=+ \r\n\n", 14);
	client = open_client(server->url, server->file, 5, 0);
	assert_int_equal(client__get(client, "/good", NULL, &error), 0);
	assert_string_equal(server->token, "Bearer s3cret/=+");
	client__free(client);
}

static void test_bad_tokens(void **state)
{
	static const struct {
		const char *content;
		size_t length;
		const char *sentence;
	} bad[] = {
		{"a\r\nX-Evil: 1", 12, "more than one line of printable ASCII"},
		{"a\nb", 3, "more than one line"},
		{"a b", 3, "more than one line"},
		{"a\0b", 3, "more than one line"},
		{"\xc3\xa9", 2, "more than one line"},
		{" \n", 2, "is empty"},
		{"", 0, "is empty"},
	};
	struct server *server = *state;
	struct client_options options = {.url = server->url, .token_file = server->file};
	struct client_error error;
	struct client *client = NULL;
	char large[5000];

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		write_token(server, bad[i].content, bad[i].length);
		assert_int_equal(client__new(&options, &client, &error), -EINVAL);
		assert_non_null(strstr(error.message, bad[i].sentence));
	}
	memset(large, 'a', sizeof(large));
	write_token(server, large, sizeof(large));
	assert_int_equal(client__new(&options, &client, &error), -EINVAL);
	assert_non_null(strstr(error.message, "longer than 4095 bytes"));
	options.token_file = "/nonexistent";
	assert_int_equal(client__new(&options, &client, &error), -ENOENT);
	assert_non_null(strstr(error.message, "No such file or directory"));
	options.token_file = server->directory;
	assert_int_equal(client__new(&options, &client, &error), -EISDIR);
	assert_null(client);
}

static void test_bad_urls(void **state)
{
	static const char *const urls[] = {
		"",
		"localhost:7243",
		"127.0.0.1",
		"ftp://host",
		"file:///etc/passwd",
		"http://",
		"http://user:secret@host",
		"http://host/?a=b",
		"http://host/#a",
		"unix:",
		"http://ho st",
		"http://host:99999",
		"http://host\r\nX: y",
	};
	struct client_options options = {0};
	struct client_error error;
	struct client *client = NULL;
	char path[300] = "unix:/";

	for (size_t i = 0; i < sizeof(urls) / sizeof(*urls); i++) {
		options.url = urls[i];
		if (client__new(&options, &client, &error) != -EINVAL)
			fail_msg("'%s' was not refused", urls[i]);
		assert_non_null(strstr(error.message, "is neither http://HOST:PORT"));
	}
	memset(path + 6, 'x', sizeof(path) - 7);
	options.url = path;
	assert_int_equal(client__new(&options, &client, &error), -EINVAL);
	assert_null(client);
}

/* A proxy of the environment must not see what is meant for this host. */
static void test_no_proxy_for_loopback(void **state)
{
	struct server *server = *state;
	struct client_error error;
	struct client *client;

	setenv("http_proxy", "http://127.0.0.1:1", 1);
	client = open_client(server->url, NULL, 5, 0);
	assert_int_equal(client__get(client, "/good", NULL, &error), 0);
	client__free(client);
	unsetenv("http_proxy");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_good),
		TEST(test_url_with_path),
		TEST(test_refusals),
		TEST(test_invalid_json),
		TEST(test_too_large),
		TEST(test_slow),
		TEST(test_cancelled),
		TEST(test_refused_connection),
		TEST(test_unix_socket),
		TEST(test_token),
		TEST(test_bad_tokens),
		TEST(test_bad_urls),
		TEST(test_no_proxy_for_loopback),
	};

	return cmocka_run_group_tests_name("client", tests, NULL, NULL);
}
