/* SPDX-License-Identifier: BSD-2-Clause */
#include "dashboards/terminal/live/feed.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* A request, and then its answer. */
struct item {
	struct item *next;
	char *method, *path, *body;
	struct feed_answer answer;
};

struct queue {
	struct item *first, *last;
};

struct feed {
	struct client *client;
	int fd; /* counts answers */
	pthread_t thread;
	bool running, ends;
	pthread_mutex_t lock; /* over ends and the queues */
	pthread_cond_t asked;
	struct queue requests, answers;
};

static void queue__push(struct queue *queue, struct item *item)
{
	item->next = NULL;
	if (queue->last)
		queue->last->next = item;
	else
		queue->first = item;
	queue->last = item;
}

static struct item *queue__pop(struct queue *queue)
{
	struct item *item = queue->first;

	if (!item)
		return NULL;
	queue->first = item->next;
	if (!queue->first)
		queue->last = NULL;
	return item;
}

static void item__free(struct item *item)
{
	json_decref(item->answer.json);
	free(item->method);
	free(item->path);
	free(item->body);
	free(item);
}

static void ask_client(struct feed *feed, struct item *item)
{
	struct feed_answer *answer = &item->answer;

	if (strcmp(item->method, "GET") == 0)
		answer->err = client__get(feed->client, item->path, &answer->json, &answer->error);
	else
		answer->err =
			client__send(feed->client, item->method, item->path,
				     item->body ? item->body : "", &answer->json, &answer->error);
}

static void *feed_run(void *context)
{
	struct feed *feed = context;

	pthread_mutex_lock(&feed->lock);
	while (!feed->ends) {
		struct item *item = queue__pop(&feed->requests);

		if (!item) {
			pthread_cond_wait(&feed->asked, &feed->lock);
			continue;
		}
		pthread_mutex_unlock(&feed->lock);
		ask_client(feed, item);
		pthread_mutex_lock(&feed->lock);
		queue__push(&feed->answers, item);
		eventfd_write(feed->fd, 1);
	}
	pthread_mutex_unlock(&feed->lock);
	return NULL;
}

int feed__new(struct client *client, struct feed **out)
{
	struct feed *feed = calloc(1, sizeof(*feed));
	sigset_t all, before;
	int err;

	if (!feed)
		return -ENOMEM;
	feed->client = client;
	pthread_mutex_init(&feed->lock, NULL);
	pthread_cond_init(&feed->asked, NULL);
	feed->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (feed->fd < 0) {
		err = -errno;
		goto cleanup;
	}
	/* Signals are for the thread that has the terminal. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = -pthread_create(&feed->thread, NULL, feed_run, feed);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (err)
		goto cleanup;
	feed->running = true;
	*out = feed;
	return 0;
cleanup:
	feed__free(feed);
	return err;
}

void feed__free(struct feed *feed)
{
	struct item *item;

	if (!feed)
		return;
	if (feed->running) {
		client__cancel(feed->client);
		pthread_mutex_lock(&feed->lock);
		feed->ends = true;
		pthread_cond_signal(&feed->asked);
		pthread_mutex_unlock(&feed->lock);
		pthread_join(feed->thread, NULL);
	}
	while ((item = queue__pop(&feed->requests)) || (item = queue__pop(&feed->answers)))
		item__free(item);
	if (feed->fd >= 0)
		close(feed->fd);
	pthread_cond_destroy(&feed->asked);
	pthread_mutex_destroy(&feed->lock);
	free(feed);
}

int feed__fd(const struct feed *feed)
{
	return feed->fd;
}

int feed__ask(struct feed *feed, int tag, unsigned generation, const char *method, const char *path,
	      const char *body)
{
	struct item *item = calloc(1, sizeof(*item));

	if (!item)
		return -ENOMEM;
	item->answer.tag = tag;
	item->answer.generation = generation;
	item->method = strdup(method);
	item->path = strdup(path);
	item->body = body ? strdup(body) : NULL;
	if (!item->method || !item->path || (body && !item->body)) {
		item__free(item);
		return -ENOMEM;
	}
	pthread_mutex_lock(&feed->lock);
	queue__push(&feed->requests, item);
	pthread_cond_signal(&feed->asked);
	pthread_mutex_unlock(&feed->lock);
	return 0;
}

bool feed__next(struct feed *feed, struct feed_answer *answer)
{
	eventfd_t count;
	struct item *item;

	pthread_mutex_lock(&feed->lock);
	item = queue__pop(&feed->answers);
	if (!item)
		eventfd_read(feed->fd, &count);
	pthread_mutex_unlock(&feed->lock);
	if (!item)
		return false;
	*answer = item->answer;
	item->answer.json = NULL;
	item__free(item);
	return true;
}
