/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/policies/delivery/webhook_queue.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <curl/curl.h>

#include "agent/policies/delivery/post.h"

#define DEFAULT_TIMEOUT 10.0
#define DEFAULT_ATTEMPTS 5
#define DEFAULT_BACK_OFF 1.0
#define DEFAULT_QUEUE_MAX 256
#define LONGEST_TIMEOUT 3600.0
#define LONGEST_SLEEP 3600.0

struct message {
	struct message *next;
	char *body;
	void *tag;
};

struct channel {
	char *name;
	struct post *post;
	/* Under the lock. The first one is the one being tried; only the thread takes it away. */
	struct message *first, *last;
	uint32_t count;
	/* The thread's alone, and of the first message. */
	CURL *transfer; /* under way; NULL: none is */
	uint32_t attempts;
	double due; /* when the next attempt begins */
	char reason[POST_REASON_MAX];
};

struct courier {
	struct courier_options options;
	struct channel *channels;
	size_t channel_count;
	CURLM *multi;
	pthread_mutex_t lock;
	pthread_t thread;
	bool started;
	bool stopping; /* under the lock, as is stop_at */
	double stop_at;
};

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* ---- one message ---- */

static struct message *first_message(struct courier *courier, struct channel *channel)
{
	struct message *message;

	pthread_mutex_lock(&courier->lock);
	message = channel->first;
	pthread_mutex_unlock(&courier->lock);
	return message;
}

/* The end of a channel's first message. */
static void finish(struct courier *courier, struct channel *channel, const char *result,
		   const char *reason)
{
	struct message *message;

	pthread_mutex_lock(&courier->lock);
	message = channel->first;
	channel->first = message->next;
	channel->count--;
	pthread_mutex_unlock(&courier->lock);
	free(message->body);
	if (courier->options.done)
		courier->options.done(courier->options.context, message->tag, result, reason);
	free(message);
	channel->attempts = 0;
	channel->due = 0;
	channel->reason[0] = '\0';
}

static void attempt_failed(struct courier *courier, struct channel *channel, double wait)
{
	const struct courier_options *options = &courier->options;
	double back_off = ldexp(options->back_off, (int)channel->attempts - 1);
	char reason[POST_REASON_MAX + 64];

	if (channel->attempts < options->attempts) {
		if (back_off > POST_LONGEST_WAIT)
			back_off = POST_LONGEST_WAIT;
		channel->due = now() + (wait > back_off ? wait : back_off);
		return;
	}
	snprintf(reason, sizeof(reason), "tried %u times, the last time: %s", channel->attempts,
		 channel->reason);
	finish(courier, channel, "failed", reason);
}

static void begin_attempt(struct courier *courier, struct channel *channel,
			  const struct message *message)
{
	CURL *easy = post__prepare(channel->post, message->body);

	channel->attempts++;
	curl_easy_setopt(easy, CURLOPT_PRIVATE, channel);
	if (curl_multi_add_handle(courier->multi, easy) == CURLM_OK) {
		channel->transfer = easy;
		return;
	}
	snprintf(channel->reason, sizeof(channel->reason), "out of memory");
	attempt_failed(courier, channel, 0);
}

static void end_attempt(struct courier *courier, CURL *easy, CURLcode code)
{
	enum post_verdict verdict;
	struct channel *channel;
	char *private = NULL;
	double wait;

	curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private);
	channel = (struct channel *)(void *)private;
	verdict = post__judge(channel->post, code, &wait, channel->reason);
	curl_multi_remove_handle(courier->multi, easy);
	channel->transfer = NULL;
	if (verdict == POST_AGAIN)
		attempt_failed(courier, channel, wait);
	else
		finish(courier, channel, verdict == POST_DELIVERED ? "delivered" : "failed",
		       channel->reason);
}

static void drop(struct courier *courier, struct channel *channel)
{
	char reason[POST_REASON_MAX + 64] = "the agent stops";

	if (channel->transfer)
		curl_multi_remove_handle(courier->multi, channel->transfer);
	channel->transfer = NULL;
	if (*channel->reason)
		snprintf(reason, sizeof(reason), "the agent stops; tried already: %s",
			 channel->reason);
	finish(courier, channel, "dropped", reason);
}

/* ---- the thread ---- */

/* Begins what is due. When the thread has to look again; INFINITY: when it is woken. */
static double begin_due(struct courier *courier)
{
	double next = INFINITY, time = now();

	for (size_t i = 0; i < courier->channel_count; i++) {
		struct channel *channel = &courier->channels[i];
		struct message *message = first_message(courier, channel);

		if (!message || channel->transfer)
			continue;
		if (channel->due <= time)
			begin_attempt(courier, channel, message);
		/* One that could not even begin is over, or due later. */
		if (!channel->transfer)
			next = fmin(next, channel->due);
	}
	return next;
}

static void end_done(struct courier *courier)
{
	CURLMsg *info;
	int left;

	while ((info = curl_multi_info_read(courier->multi, &left)))
		if (info->msg == CURLMSG_DONE)
			end_attempt(courier, info->easy_handle, info->data.result);
}

static bool is_under_way(const struct courier *courier)
{
	for (size_t i = 0; i < courier->channel_count; i++)
		if (courier->channels[i].transfer)
			return true;
	return false;
}

static void rest(double seconds)
{
	const struct timespec time = {(time_t)seconds, (long)(fmod(seconds, 1) * 1e9)};

	nanosleep(&time, NULL);
}

static void *deliver(void *context)
{
	struct courier *courier = context;
	double next, stop_at, wait;
	bool stopping;
	CURLMcode code;
	int running;

	for (;;) {
		/* First: what was accepted before it is then seen below. */
		pthread_mutex_lock(&courier->lock);
		stopping = courier->stopping;
		stop_at = stopping ? courier->stop_at : INFINITY;
		pthread_mutex_unlock(&courier->lock);
		begin_due(courier);
		code = curl_multi_perform(courier->multi, &running);
		end_done(courier);
		/* What ended may have made room for the next one of its target. */
		next = begin_due(courier);
		/* What is due only after the end need not be waited for. */
		if (stopping && (now() >= stop_at || (next >= stop_at && !is_under_way(courier))))
			break;
		wait = fmin(fmin(next, stop_at) - now(), LONGEST_SLEEP);
		wait = fmax(wait, 0);
		if (code == CURLM_OK)
			code = curl_multi_poll(courier->multi, NULL, 0, (int)ceil(wait * 1000),
					       NULL);
		if (code != CURLM_OK) /* memory is short: it must not spin */
			rest(0.1);
	}
	for (size_t i = 0; i < courier->channel_count; i++)
		while (first_message(courier, &courier->channels[i]))
			drop(courier, &courier->channels[i]);
	return NULL;
}

/* ---- set-up ---- */

static void init_library(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

static int check_options(struct courier_options *options, char *error, size_t size)
{
	if (!isfinite(options->timeout) || options->timeout < 0 ||
	    options->timeout > LONGEST_TIMEOUT) {
		snprintf(error, size, "the time-out must be 0 to %.0f seconds", LONGEST_TIMEOUT);
		return -EINVAL;
	}
	if (!isfinite(options->back_off) || options->back_off < 0) {
		snprintf(error, size, "the back-off must be a number of seconds");
		return -EINVAL;
	}
	if (options->timeout == 0)
		options->timeout = DEFAULT_TIMEOUT;
	if (options->back_off == 0)
		options->back_off = DEFAULT_BACK_OFF;
	if (!options->attempts)
		options->attempts = DEFAULT_ATTEMPTS;
	if (!options->queue_max)
		options->queue_max = DEFAULT_QUEUE_MAX;
	return 0;
}

static struct channel *find_channel(const struct courier *courier, const char *name)
{
	for (size_t i = 0; i < courier->channel_count; i++)
		if (strcmp(courier->channels[i].name, name) == 0)
			return &courier->channels[i];
	return NULL;
}

static int add_channel(struct courier *courier, const struct courier_target *target, char *error,
		       size_t size)
{
	struct channel *channel = &courier->channels[courier->channel_count];
	char why[256] = "";
	int err;

	if (!target->name || !*target->name || !target->url) {
		snprintf(error, size, "a target needs a name and a URL");
		return -EINVAL;
	}
	if (find_channel(courier, target->name)) {
		snprintf(error, size, "target %s is there twice", target->name);
		return -EINVAL;
	}
	err = post__new(target->url, courier->options.timeout, &channel->post, why, sizeof(why));
	if (err) {
		snprintf(error, size, "target %s: %s", target->name, why);
		return err;
	}
	channel->name = strdup(target->name);
	if (!channel->name) {
		post__free(channel->post);
		return -ENOMEM;
	}
	courier->channel_count++;
	return 0;
}

/* Its thread takes no signals: those are for the agent's main thread, and SIGPIPE for nobody. */
static int start(struct courier *courier)
{
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = -pthread_create(&courier->thread, NULL, deliver, courier);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	courier->started = !err;
	return err;
}

int courier__new(const struct courier_options *options, struct courier **out, char *error,
		 size_t size)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct courier *courier = calloc(1, sizeof(*courier));
	int err = -ENOMEM;

	snprintf(error, size, "out of memory");
	if (!courier)
		return -ENOMEM;
	pthread_once(&once, init_library);
	pthread_mutex_init(&courier->lock, NULL);
	courier->options = *options;
	courier->options.targets = NULL; /* the caller's, and it may go away */
	courier->channels = calloc(options->target_count + 1, sizeof(*courier->channels));
	courier->multi = curl_multi_init();
	if (!courier->channels || !courier->multi)
		goto cleanup;
	err = check_options(&courier->options, error, size);
	for (size_t i = 0; !err && i < options->target_count; i++)
		err = add_channel(courier, &options->targets[i], error, size);
	if (err)
		goto cleanup;
	err = start(courier);
	if (err) {
		snprintf(error, size, "no thread for it: %s", strerror(-err));
		goto cleanup;
	}
	*error = '\0';
	*out = courier;
	return 0;
cleanup:
	courier__free(courier, 0);
	return err;
}

int courier__send(struct courier *courier, const char *target, char *body, void *tag)
{
	struct channel *channel = find_channel(courier, target);
	struct message *message = malloc(sizeof(*message));
	int err = 0;

	if (!channel || !message) {
		err = channel ? -ENOMEM : -ENOENT;
		goto cleanup;
	}
	*message = (struct message){NULL, body, tag};
	pthread_mutex_lock(&courier->lock);
	if (courier->stopping)
		err = -ESHUTDOWN;
	else if (channel->count > courier->options.queue_max) /* the first is not waiting */
		err = -ENOSPC;
	if (!err) {
		if (channel->first)
			channel->last->next = message;
		else
			channel->first = message;
		channel->last = message;
		channel->count++;
	}
	pthread_mutex_unlock(&courier->lock);
	if (err)
		goto cleanup;
	curl_multi_wakeup(courier->multi);
	return 0;
cleanup:
	free(message);
	free(body);
	return err;
}

void courier__free(struct courier *courier, double grace)
{
	if (!courier)
		return;
	if (courier->started) {
		pthread_mutex_lock(&courier->lock);
		courier->stopping = true;
		courier->stop_at = now() + fmax(grace, 0);
		pthread_mutex_unlock(&courier->lock);
		curl_multi_wakeup(courier->multi);
		pthread_join(courier->thread, NULL);
	}
	for (size_t i = 0; courier->channels && i < courier->channel_count; i++) {
		post__free(courier->channels[i].post);
		free(courier->channels[i].name);
	}
	free(courier->channels);
	curl_multi_cleanup(courier->multi);
	pthread_mutex_destroy(&courier->lock);
	free(courier);
}
