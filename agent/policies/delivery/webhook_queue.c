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

struct webhook_queue {
	struct webhook_queue_options options;
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

static struct message *first_message(struct webhook_queue *webhooks, struct channel *channel)
{
	struct message *message;

	pthread_mutex_lock(&webhooks->lock);
	message = channel->first;
	pthread_mutex_unlock(&webhooks->lock);
	return message;
}

/* Takes the first message off its channel and reports its result. */
static void finish(struct webhook_queue *webhooks, struct channel *channel, const char *result,
		   const char *reason)
{
	struct message *message;

	pthread_mutex_lock(&webhooks->lock);
	message = channel->first;
	channel->first = message->next;
	channel->count--;
	pthread_mutex_unlock(&webhooks->lock);
	free(message->body);
	if (webhooks->options.done)
		webhooks->options.done(webhooks->options.context, message->tag, result, reason);
	free(message);
	channel->attempts = 0;
	channel->due = 0;
	channel->reason[0] = '\0';
}

static void attempt_failed(struct webhook_queue *webhooks, struct channel *channel, double wait)
{
	const struct webhook_queue_options *options = &webhooks->options;
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
	finish(webhooks, channel, "failed", reason);
}

static void begin_attempt(struct webhook_queue *webhooks, struct channel *channel,
			  const struct message *message)
{
	CURL *easy = post__prepare(channel->post, message->body);

	channel->attempts++;
	curl_easy_setopt(easy, CURLOPT_PRIVATE, channel);
	if (curl_multi_add_handle(webhooks->multi, easy) == CURLM_OK) {
		channel->transfer = easy;
		return;
	}
	snprintf(channel->reason, sizeof(channel->reason), "out of memory");
	attempt_failed(webhooks, channel, 0);
}

static void end_attempt(struct webhook_queue *webhooks, CURL *easy, CURLcode code)
{
	enum post_verdict verdict;
	struct channel *channel;
	char *private = NULL;
	double wait;

	curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private);
	channel = (struct channel *)(void *)private;
	verdict = post__judge(channel->post, code, &wait, channel->reason);
	curl_multi_remove_handle(webhooks->multi, easy);
	channel->transfer = NULL;
	if (verdict == POST_AGAIN)
		attempt_failed(webhooks, channel, wait);
	else
		finish(webhooks, channel, verdict == POST_DELIVERED ? "delivered" : "failed",
		       channel->reason);
}

static void drop(struct webhook_queue *webhooks, struct channel *channel)
{
	char reason[POST_REASON_MAX + 64] = "the agent stops";

	if (channel->transfer)
		curl_multi_remove_handle(webhooks->multi, channel->transfer);
	channel->transfer = NULL;
	if (*channel->reason)
		snprintf(reason, sizeof(reason), "the agent stops; tried already: %s",
			 channel->reason);
	finish(webhooks, channel, "dropped", reason);
}

/* ---- the thread ---- */

/* Begins what is due. When the thread has to look again; INFINITY: when it is woken. */
static double begin_due(struct webhook_queue *webhooks)
{
	double next = INFINITY, time = now();

	for (size_t i = 0; i < webhooks->channel_count; i++) {
		struct channel *channel = &webhooks->channels[i];
		struct message *message = first_message(webhooks, channel);

		if (!message || channel->transfer)
			continue;
		if (channel->due <= time)
			begin_attempt(webhooks, channel, message);
		/* One that could not even begin is over, or due later. */
		if (!channel->transfer)
			next = fmin(next, channel->due);
	}
	return next;
}

static void end_done(struct webhook_queue *webhooks)
{
	CURLMsg *info;
	int left;

	while ((info = curl_multi_info_read(webhooks->multi, &left)))
		if (info->msg == CURLMSG_DONE)
			end_attempt(webhooks, info->easy_handle, info->data.result);
}

static bool is_under_way(const struct webhook_queue *webhooks)
{
	for (size_t i = 0; i < webhooks->channel_count; i++)
		if (webhooks->channels[i].transfer)
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
	struct webhook_queue *webhooks = context;
	double next, stop_at, wait;
	bool stopping;
	CURLMcode code;
	int running;

	for (;;) {
		/* First: what was accepted before it is then seen below. */
		pthread_mutex_lock(&webhooks->lock);
		stopping = webhooks->stopping;
		stop_at = stopping ? webhooks->stop_at : INFINITY;
		pthread_mutex_unlock(&webhooks->lock);
		begin_due(webhooks);
		code = curl_multi_perform(webhooks->multi, &running);
		end_done(webhooks);
		/* What ended may have made room for the next one of its target. */
		next = begin_due(webhooks);
		/* What is due only after the end need not be waited for. */
		if (stopping && (now() >= stop_at || (next >= stop_at && !is_under_way(webhooks))))
			break;
		wait = fmin(fmin(next, stop_at) - now(), LONGEST_SLEEP);
		wait = fmax(wait, 0);
		if (code == CURLM_OK)
			code = curl_multi_poll(webhooks->multi, NULL, 0, (int)ceil(wait * 1000),
					       NULL);
		if (code != CURLM_OK) /* memory is short: it must not spin */
			rest(0.1);
	}
	for (size_t i = 0; i < webhooks->channel_count; i++)
		while (first_message(webhooks, &webhooks->channels[i]))
			drop(webhooks, &webhooks->channels[i]);
	return NULL;
}

/* ---- set-up ---- */

static void init_library(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

static int check_options(struct webhook_queue_options *options, struct reason *error)
{
	if (!isfinite(options->timeout) || options->timeout < 0 ||
	    options->timeout > LONGEST_TIMEOUT) {
		reason__set(error, "the time-out must be 0 to %.0f seconds", LONGEST_TIMEOUT);
		return -EINVAL;
	}
	if (!isfinite(options->back_off) || options->back_off < 0) {
		reason__set(error, "the back-off must be a number of seconds");
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

static struct channel *find_channel(const struct webhook_queue *webhooks, const char *name)
{
	for (size_t i = 0; i < webhooks->channel_count; i++)
		if (strcmp(webhooks->channels[i].name, name) == 0)
			return &webhooks->channels[i];
	return NULL;
}

static int add_channel(struct webhook_queue *webhooks, const struct webhook_target *target,
		       struct reason *error)
{
	struct channel *channel = &webhooks->channels[webhooks->channel_count];
	struct reason why = {""};
	int err;

	if (!target->name || !*target->name || !target->url) {
		reason__set(error, "a target needs a name and a URL");
		return -EINVAL;
	}
	if (find_channel(webhooks, target->name)) {
		reason__set(error, "target %s is there twice", target->name);
		return -EINVAL;
	}
	err = post__new(target->url, webhooks->options.timeout, &channel->post, &why);
	if (err) {
		reason__set(error, "target %s: %s", target->name, why.text);
		return err;
	}
	channel->name = strdup(target->name);
	if (!channel->name) {
		post__free(channel->post);
		return -ENOMEM;
	}
	webhooks->channel_count++;
	return 0;
}

/* Its thread takes no signals: those are for the agent's main thread, and SIGPIPE for nobody. */
static int start(struct webhook_queue *webhooks)
{
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = -pthread_create(&webhooks->thread, NULL, deliver, webhooks);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	webhooks->started = !err;
	return err;
}

int webhook_queue__new(const struct webhook_queue_options *options, struct webhook_queue **out,
		       struct reason *error)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct webhook_queue *webhooks = calloc(1, sizeof(*webhooks));
	int err = -ENOMEM;

	reason__set(error, "out of memory");
	if (!webhooks)
		return -ENOMEM;
	pthread_once(&once, init_library);
	pthread_mutex_init(&webhooks->lock, NULL);
	webhooks->options = *options;
	webhooks->options.targets = NULL; /* the caller's, and it may go away */
	webhooks->channels = calloc(options->target_count + 1, sizeof(*webhooks->channels));
	webhooks->multi = curl_multi_init();
	if (!webhooks->channels || !webhooks->multi)
		goto cleanup;
	err = check_options(&webhooks->options, error);
	for (size_t i = 0; !err && i < options->target_count; i++)
		err = add_channel(webhooks, &options->targets[i], error);
	if (err)
		goto cleanup;
	err = start(webhooks);
	if (err) {
		reason__set(error, "no thread for it: %s", strerror(-err));
		goto cleanup;
	}
	error->text[0] = '\0';
	*out = webhooks;
	return 0;
cleanup:
	webhook_queue__free(webhooks, 0);
	return err;
}

int webhook_queue__send(struct webhook_queue *webhooks, const char *target, char *body, void *tag)
{
	struct channel *channel = find_channel(webhooks, target);
	struct message *message = malloc(sizeof(*message));
	int err = 0;

	if (!channel || !message) {
		err = channel ? -ENOMEM : -ENOENT;
		goto cleanup;
	}
	*message = (struct message){NULL, body, tag};
	pthread_mutex_lock(&webhooks->lock);
	if (webhooks->stopping)
		err = -ESHUTDOWN;
	else if (channel->count > webhooks->options.queue_max) /* the first is not waiting */
		err = -ENOSPC;
	if (!err) {
		if (channel->first)
			channel->last->next = message;
		else
			channel->first = message;
		channel->last = message;
		channel->count++;
	}
	pthread_mutex_unlock(&webhooks->lock);
	if (err)
		goto cleanup;
	curl_multi_wakeup(webhooks->multi);
	return 0;
cleanup:
	free(message);
	free(body);
	return err;
}

void webhook_queue__free(struct webhook_queue *webhooks, double grace)
{
	if (!webhooks)
		return;
	if (webhooks->started) {
		pthread_mutex_lock(&webhooks->lock);
		webhooks->stopping = true;
		webhooks->stop_at = now() + fmax(grace, 0);
		pthread_mutex_unlock(&webhooks->lock);
		curl_multi_wakeup(webhooks->multi);
		pthread_join(webhooks->thread, NULL);
	}
	for (size_t i = 0; webhooks->channels && i < webhooks->channel_count; i++) {
		post__free(webhooks->channels[i].post);
		free(webhooks->channels[i].name);
	}
	free(webhooks->channels);
	curl_multi_cleanup(webhooks->multi);
	pthread_mutex_destroy(&webhooks->lock);
	free(webhooks);
}
