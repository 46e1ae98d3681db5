/* SPDX-License-Identifier: BSD-2-Clause */
/* The delivery of webhook messages, over real sockets. */
#include <errno.h>
#include <netdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/policies/delivery/webhook_queue.h"
#include "agent/base/version.h"
#include "tests/unit/http_stub.h"
#include "tests/unit/queue_results.h"

#define TARGETS 8

struct fixture {
	struct stub *stub;
	struct webhook_queue *webhooks;
	struct results results;
};

/* ---- a name server that answers late ---- */

static atomic_int asked, told;

/* In place of the C library's, which libcurl then calls: no numbers get here. */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
		struct addrinfo **found)
{
	asked++;
	rest(4);
	told++;
	return EAI_NONAME;
}

/* ---- the fixture ---- */

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	results__begin(&fixture->results);
	fixture->stub = stub__new();
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	webhook_queue__free(fixture->webhooks, 0);
	stub__free(fixture->stub);
	results__end(&fixture->results);
	free(fixture);
	return 0;
}

/* One target a path, named as it; a path that begins with "http" is a whole URL. */
static void begin(struct fixture *fixture, struct webhook_queue_options options,
		  const char *const *paths)
{
	struct webhook_target targets[TARGETS];
	struct reason error = {""};
	char urls[TARGETS][128];

	for (; paths[options.target_count]; options.target_count++) {
		const char *path = paths[options.target_count];
		char *url = urls[options.target_count];

		snprintf(url, sizeof(urls[0]), "http://127.0.0.1:%u%s", fixture->stub->port, path);
		if (strncmp(path, "http", 4) == 0)
			snprintf(url, sizeof(urls[0]), "%s", path);
		targets[options.target_count] = (struct webhook_target){path, url};
	}
	options.targets = targets;
	options.done = results__take;
	options.context = &fixture->results;
	if (!options.timeout)
		options.timeout = PATIENCE;
	if (!options.back_off)
		options.back_off = 0.02;
	if (webhook_queue__new(&options, &fixture->webhooks, &error))
		fail_msg("%s", error.text);
	assert_string_equal(error.text, "");
	/* All of it was copied. */
	memset(urls, 'x', sizeof(urls));
}

static int post(struct fixture *fixture, const char *path, uintptr_t tag)
{
	char *body = NULL;

	assert_true(asprintf(&body, "{\"number\":%lu}", tag) > 0);
	return webhook_queue__send(fixture->webhooks, path, body, (void *)tag);
}

/* ---- one message ---- */

static void test_request(void **state)
{
	static const char *const paths[] = {"/ok", NULL};
	struct fixture *fixture = *state;
	const struct stub_request *request = fixture->stub->requests;
	const size_t large = 3 << 20;
	char agent[64], *body = malloc(large + 1);

	/* None of these are taken notice of. */
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
	begin(fixture, (struct webhook_queue_options){0}, paths);
	assert_int_equal(post(fixture, "/ok", 7), 0);
	memset(body, 'b', large);
	body[large] = '\0';
	assert_int_equal(webhook_queue__send(fixture->webhooks, "/ok", body, (void *)8), 0);
	results__await(&fixture->results, 2);
	unsetenv("http_proxy");
	unsetenv("ALL_PROXY");
	results__expect(&fixture->results, 7, "delivered", "200");
	results__expect(&fixture->results, 8, "delivered", "200");
	assert_int_equal(fixture->stub->count, 2);
	assert_string_equal(request->body, "{\"number\":7}");
	assert_int_equal(strncmp(request->head, "POST /ok HTTP/1.1\r\n", 19), 0);
	assert_non_null(strstr(request->head, "\r\nContent-Type: application/json"));
	snprintf(agent, sizeof(agent), "\r\nUser-Agent: dirtyscope/%s\r\n", dirtyscope_version());
	assert_non_null(strstr(request->head, agent));
	assert_non_null(strstr(request[1].head, "\r\nContent-Length: 3145728"));
	assert_null(strstr(request[1].head, "Expect"));
	assert_int_equal(post(fixture, "/nobody", 1), -ENOENT);
}

static void test_verdicts(void **state)
{
	static const struct {
		const char *path, *result, *part;
		size_t visits;
	} cases[] = {
		{"/flaky", "delivered", "200", 2},
		{"/broken", "failed", "tried 3 times, the last time: status 500: late", 3},
		{"/missing", "failed", "status 404: [31m no such hook ***", 1},
		{"/redirect", "failed", "status 302 (redirects are not followed)", 1},
		{"/cut-head", "delivered", "200", 2},
		{"/cut-body", "delivered", "200", 1},
		{"/reset", "delivered", "200", 2},
		{"/endless", "delivered", "200", 1},
		{"/head-flood", "failed", "too many headers", 3},
		{"/no-http", "failed", "", 0},
	};
	struct fixture *fixture = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *const paths[] = {cases[i].path, NULL};

		begin(fixture, (struct webhook_queue_options){.attempts = 3}, paths);
		assert_int_equal(post(fixture, cases[i].path, i), 0);
		results__await(&fixture->results, i + 1);
		webhook_queue__free(fixture->webhooks, 0);
		fixture->webhooks = NULL;
		results__expect(&fixture->results, i, cases[i].result, cases[i].part);
		if (cases[i].visits)
			assert_int_equal(stub__visits(fixture->stub, cases[i].path),
					 cases[i].visits);
	}
	assert_int_equal(stub__visits(fixture->stub, "/ok"), 0);
}

/* Nobody listens; and somebody listens and says nothing. */
static void test_no_answer(void **state)
{
	static const char *const paths[] = {"http://127.0.0.1:1/x", "/hang", NULL};
	struct fixture *fixture = *state;
	double start = now();

	begin(fixture, (struct webhook_queue_options){.attempts = 2, .timeout = 0.2}, paths);
	assert_int_equal(post(fixture, paths[0], 1), 0);
	assert_int_equal(post(fixture, paths[1], 2), 0);
	results__await(&fixture->results, 2);
	assert_true(now() - start >= 0.4);
	results__expect(&fixture->results, 1, "failed", "tried 2 times");
	results__expect(&fixture->results, 2, "failed", "tried 2 times");
	assert_int_equal(stub__visits(fixture->stub, "/hang"), 2);
}

static void test_back_off(void **state)
{
	static const char *const paths[] = {"/broken", "/later", "/tomorrow", NULL};
	struct fixture *fixture = *state;
	const struct stub_request *requests = fixture->stub->requests;
	double last = 0, gap = 0.1;

	begin(fixture, (struct webhook_queue_options){.attempts = 4, .back_off = 0.1}, paths);
	assert_int_equal(post(fixture, "/broken", 1), 0);
	results__await(&fixture->results, 1);
	assert_int_equal(fixture->stub->count, 4);
	for (size_t i = 0; i < 4; last = requests[i++].time) {
		if (i == 0)
			continue;
		assert_true(requests[i].time - last >= gap * 0.95);
		gap *= 2;
	}
	/* The receiver's wish is the longer wait. */
	assert_int_equal(post(fixture, "/later", 2), 0);
	assert_int_equal(post(fixture, "/tomorrow", 3), 0);
	results__await(&fixture->results, 2);
	results__expect(&fixture->results, 2, "delivered", "200");
	assert_true(requests[fixture->stub->count - 1].time - requests[4].time >= 0.9);
	/* It is not due before the end, so that nothing is waited for. */
	last = now();
	webhook_queue__free(fixture->webhooks, 50);
	fixture->webhooks = NULL;
	assert_true(now() - last < 10);
	results__expect(&fixture->results, 3, "dropped", "503");
}

static void test_secrets(void **state)
{
	static const char *const secrets[] = {"Zaphod",		  "p@ss",     "p%40ss",
					      "WmFwaG9kOnBAc3M=", "T0KEN-17", "key=S3CR",
					      "/echo/T0KEN"};
	struct fixture *fixture = *state;
	char good[128], refused[128];
	const char *const paths[] = {good, refused, NULL};

	snprintf(good, sizeof(good), "http://Zaphod:p%%40ss@127.0.0.1:%u/echo/T0KEN-17?key=S3CR",
		 fixture->stub->port);
	snprintf(refused, sizeof(refused), "http://Zaphod:p%%40ss@127.0.0.1:1/echo?key=S3CR");
	begin(fixture, (struct webhook_queue_options){.attempts = 1}, paths);
	assert_int_equal(post(fixture, good, 1), 0);
	assert_int_equal(post(fixture, refused, 2), 0);
	results__await(&fixture->results, 2);
	results__expect(&fixture->results, 1, "failed", "status 403: POST ***?*** HTTP/1.1");
	/* It was sent, though. */
	assert_non_null(strstr(fixture->stub->requests[0].head, "Basic WmFwaG9kOnBAc3M="));
	for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++) {
		assert_null(strstr(results__of(&fixture->results, 1)->reason, secrets[i]));
		assert_null(strstr(results__of(&fixture->results, 2)->reason, secrets[i]));
	}
}

static void test_options(void **state)
{
	static const char *const urls[] = {"ftp://host/x",   "file:///etc/passwd", "host/x",
					   "http://",	     "http://a b/",	   "",
					   "http://h\n/",    "gopher://h/",	   "javascript:1",
					   "http://h:99999/"};
	struct webhook_target targets[2] = {{"one", "http://u:secret@h/"}, {"one", "http://h/"}};
	struct webhook_queue_options options = {.targets = targets, .target_count = 2};
	struct webhook_queue *webhooks = NULL;
	struct reason error;

	assert_int_equal(webhook_queue__new(&options, &webhooks, &error), -EINVAL);
	assert_non_null(strstr(error.text, "one"));
	options.target_count = 1;
	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		targets[0].url = urls[i];
		assert_int_equal(webhook_queue__new(&options, &webhooks, &error), -EINVAL);
		assert_int_equal(strncmp(error.text, "target one: its URL", 19), 0);
	}
	targets[0].url = "ftp://u:secret@h/";
	assert_int_equal(webhook_queue__new(&options, &webhooks, &error), -EINVAL);
	assert_null(strstr(error.text, "secret"));
	targets[0] = (struct webhook_target){"", "http://h/"};
	assert_int_equal(webhook_queue__new(&options, &webhooks, &error), -EINVAL);
	options = (struct webhook_queue_options){.timeout = -1};
	assert_int_equal(webhook_queue__new(&options, &webhooks, &error), -EINVAL);
	options = (struct webhook_queue_options){.back_off = -1};
	assert_int_equal(webhook_queue__new(&options, &webhooks, &error), -EINVAL);
	assert_null(webhooks);
	options = (struct webhook_queue_options){0};
	assert_int_equal(webhook_queue__new(&options, &webhooks, &error), 0);
	assert_int_equal(webhook_queue__send(webhooks, "one", strdup("{}"), NULL), -ENOENT);
	webhook_queue__free(webhooks, 100); /* at once: nothing is queued */
	webhook_queue__free(NULL, 1);
}

/* ---- many messages ---- */

static void test_overflow(void **state)
{
	static const char *const paths[] = {"/hang", "/ok", NULL};
	struct fixture *fixture = *state;

	begin(fixture, (struct webhook_queue_options){.queue_max = 3}, paths);
	for (uintptr_t tag = 0; tag < 4; tag++) /* one is under way */
		assert_int_equal(post(fixture, "/hang", tag), 0);
	assert_int_equal(post(fixture, "/hang", 4), -ENOSPC);
	assert_int_equal(post(fixture, "/ok", 5), 0);
	results__await(&fixture->results, 1);
	webhook_queue__free(fixture->webhooks, 0);
	fixture->webhooks = NULL;
	assert_int_equal(fixture->results.count, 5);
	for (uintptr_t tag = 0; tag < 4; tag++)
		results__expect(&fixture->results, tag, "dropped", "the agent stops");
	results__expect(&fixture->results, 5, "delivered", "200");
}

static void test_grace(void **state)
{
	static const char *const paths[] = {"/slow", "/hang", "/broken", NULL};
	struct fixture *fixture = *state;
	double start = now();

	begin(fixture, (struct webhook_queue_options){.back_off = 0.01, .attempts = 1000}, paths);
	assert_int_equal(post(fixture, "/slow", 1), 0);
	assert_int_equal(post(fixture, "/slow", 2), 0);
	assert_int_equal(post(fixture, "/hang", 3), 0);
	assert_int_equal(post(fixture, "/broken", 4), 0);
	webhook_queue__free(fixture->webhooks, 2);
	fixture->webhooks = NULL;
	assert_true(now() - start >= 1.9 && now() - start < PATIENCE);
	assert_int_equal(fixture->results.count, 4);
	results__expect(&fixture->results, 1, "delivered", "200");
	results__expect(&fixture->results, 2, "delivered", "200");
	results__expect(&fixture->results, 3, "dropped", "the agent stops");
	results__expect(&fixture->results, 4, "dropped", "status 500");
}

/* Neither a receiver that hangs nor a name server that does holds up another target. */
static void test_independent(void **state)
{
	static const char *const paths[] = {"/ok", "/hang", "http://slow.invalid/x", NULL};
	struct fixture *fixture = *state;
	double start = now();

	begin(fixture, (struct webhook_queue_options){.timeout = 1.5, .attempts = 1}, paths);
	assert_int_equal(post(fixture, paths[1], 1000), 0);
	assert_int_equal(post(fixture, paths[2], 1001), 0);
	for (uintptr_t tag = 0; tag < 5; tag++)
		assert_int_equal(post(fixture, "/ok", tag), 0);
	results__await(&fixture->results, 7);
	for (uintptr_t tag = 0; tag < 5; tag++) {
		results__expect(&fixture->results, tag, "delivered", "200");
		assert_true(results__of(&fixture->results, tag)->time <
			    results__of(&fixture->results, 1000)->time);
	}
	results__expect(&fixture->results, 1000, "failed", "");
	results__expect(&fixture->results, 1001, "failed", "");
	/* The time-out holds while a name is looked up, too, and is not slept through. */
	assert_true(asked >= 1); /* newer libcurl asks for each family by itself */
	assert_int_equal(told, 0);
	assert_true(results__of(&fixture->results, 1001)->time - start < 3.5);
	/* Those threads free what they have, if the process lasts. */
	while (told < asked)
		rest(0.01);
	rest(0.1);
}

struct sender {
	struct fixture *fixture;
	uintptr_t base;
	bool accepted[400];
};

static const char *const crowd[] = {"/ok", "/flaky", "/slow", "/broken", "/reset", NULL};

static void *send_many(void *context)
{
	struct sender *sender = context;

	for (uintptr_t i = 0; i < 400; i++) {
		sender->accepted[i] = post(sender->fixture, crowd[i % 5], sender->base + i) == 0;
		if (i % 50 == 0)
			rest(0.01);
	}
	return NULL;
}

static size_t delivered_of(struct fixture *fixture)
{
	size_t delivered = 0;

	pthread_mutex_lock(&fixture->results.lock);
	for (size_t i = 0; i < fixture->results.count; i++)
		delivered += strcmp(fixture->results.rows[i].result, "delivered") == 0;
	pthread_mutex_unlock(&fixture->results.lock);
	return delivered;
}

/* Each message that was accepted ends once, whatever becomes of it; those of a target in order. */
static void test_exactly_once(void **state)
{
	struct fixture *fixture = *state;
	struct sender senders[2] = {{fixture, 0, {0}}, {fixture, 1000, {0}}};
	uintptr_t last[2][5] = {{0}};
	size_t accepted = 0, delivered = 0, dropped = 0;
	pthread_t threads[2];

	begin(fixture, (struct webhook_queue_options){.attempts = 2, .queue_max = 64}, crowd);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, send_many, &senders[i]), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	for (double until = now() + PATIENCE; delivered_of(fixture) <= 10 && now() < until;)
		rest(0.01);
	webhook_queue__free(fixture->webhooks, 0.3);
	fixture->webhooks = NULL;
	for (size_t i = 0; i < fixture->results.count; i++) {
		const struct result *result = &fixture->results.rows[i];
		uintptr_t number = result->tag % 1000;
		bool second = result->tag >= 1000;

		assert_true(senders[second].accepted[number]);
		senders[second].accepted[number] = false;
		assert_true(last[second][number % 5] <= number);
		last[second][number % 5] = number;
		delivered += strcmp(result->result, "delivered") == 0;
		dropped += strcmp(result->result, "dropped") == 0;
		accepted++;
	}
	for (int i = 0; i < 400; i++)
		assert_false(senders[0].accepted[i] || senders[1].accepted[i]);
	assert_true(delivered > 10 && dropped > 10);
	assert_true(accepted >= 5 * 64);
}

int main(void)
{
#define WITH_STUB(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		WITH_STUB(test_request),      WITH_STUB(test_verdicts), WITH_STUB(test_no_answer),
		WITH_STUB(test_back_off),     WITH_STUB(test_secrets),	WITH_STUB(test_options),
		WITH_STUB(test_overflow),     WITH_STUB(test_grace),	WITH_STUB(test_independent),
		WITH_STUB(test_exactly_once),
	};

	return cmocka_run_group_tests_name("webhook_queue", tests, NULL, NULL);
}
