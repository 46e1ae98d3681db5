/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/base/startup.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct startup {
	pthread_mutex_t lock;
	const char *step;
	uint32_t done, of;
	bool cancelled; /* atomic */
};

struct startup *startup__new(void)
{
	struct startup *startup = calloc(1, sizeof(*startup));

	if (startup)
		pthread_mutex_init(&startup->lock, NULL);
	return startup;
}

void startup__free(struct startup *startup)
{
	if (!startup)
		return;
	pthread_mutex_destroy(&startup->lock);
	free(startup);
}

void startup__tell(struct startup *startup, const char *step, uint32_t done, uint32_t of)
{
	if (!startup)
		return;
	pthread_mutex_lock(&startup->lock);
	startup->step = step;
	startup->done = done;
	startup->of = of;
	pthread_mutex_unlock(&startup->lock);
}

void startup__text(struct startup *startup, char *text, size_t size)
{
	const char *step = NULL;
	uint32_t done = 0, of = 0;

	if (startup) {
		pthread_mutex_lock(&startup->lock);
		step = startup->step;
		done = startup->done;
		of = startup->of;
		pthread_mutex_unlock(&startup->lock);
	}
	if (of)
		snprintf(text, size, "%s, %u of %u", step, done, of);
	else
		snprintf(text, size, "%s", step ? step : "");
}

void startup__cancel(struct startup *startup)
{
	__atomic_store_n(&startup->cancelled, true, __ATOMIC_RELEASE);
}

bool startup__cancelled(const struct startup *startup)
{
	return startup && __atomic_load_n(&startup->cancelled, __ATOMIC_ACQUIRE);
}
