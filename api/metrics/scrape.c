/* SPDX-License-Identifier: BSD-2-Clause */
#include "api/metrics/scrape.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "api/metrics/metrics.h"
#include "api/views/compress.h"
#include "api/views/negotiate.h"

struct scrape {
	pthread_mutex_t lock; /* held while rendering, so that it is done once */
	const struct api_counters *counters;
	uint64_t sequence;			 /* of the snapshot that the bodies show */
	struct body *bodies[METRICS_FORMATS][2]; /* [1]: gzip */
};

static const char *const types[METRICS_FORMATS] = {
	[METRICS_TEXT] = "text/plain; version=0.0.4; charset=utf-8",
	[METRICS_OPENMETRICS] = "application/openmetrics-text; version=1.0.0; charset=utf-8",
};

struct scrape *scrape__new(const struct api_counters *counters)
{
	struct scrape *scrape = calloc(1, sizeof(*scrape));

	if (!scrape)
		return NULL;
	if (pthread_mutex_init(&scrape->lock, NULL)) {
		free(scrape);
		return NULL;
	}
	scrape->counters = counters;
	return scrape;
}

static void drop_bodies(struct scrape *scrape)
{
	for (int format = 0; format < METRICS_FORMATS; format++) {
		for (int gzip = 0; gzip < 2; gzip++) {
			body__put(scrape->bodies[format][gzip]);
			scrape->bodies[format][gzip] = NULL;
		}
	}
}

void scrape__free(struct scrape *scrape)
{
	if (!scrape)
		return;
	drop_bodies(scrape);
	pthread_mutex_destroy(&scrape->lock);
	free(scrape);
}

static struct body *render(const struct scrape *scrape, const struct snapshot *snapshot,
			   enum metrics_format format)
{
	struct text text = {};

	metrics__write(&text, format, snapshot, scrape->counters);
	return body__new(&text, types[format], false);
}

static struct body *compress_body(const struct body *plain)
{
	struct text text = {};

	return text__gzip(&plain->text, &text) ? NULL : body__new(&text, plain->type, true);
}

struct body *scrape__get(struct scrape *scrape, const struct snapshot *snapshot, const char *accept,
			 const char *accept_encoding)
{
	enum metrics_format format =
		accept__openmetrics(accept) ? METRICS_OPENMETRICS : METRICS_TEXT;
	bool gzip = accept__gzip(accept_encoding);
	struct body **plain, **wanted;
	struct body *body = NULL;

	pthread_mutex_lock(&scrape->lock);
	if (scrape->sequence != snapshot->sequence) {
		drop_bodies(scrape);
		scrape->sequence = snapshot->sequence;
	}
	plain = &scrape->bodies[format][0];
	wanted = &scrape->bodies[format][gzip];
	if (!*plain)
		*plain = render(scrape, snapshot, format);
	if (!*wanted && *plain)
		*wanted = compress_body(*plain);
	if (*wanted)
		body = body__get(*wanted);
	pthread_mutex_unlock(&scrape->lock);
	return body;
}

int view__metrics(const struct request *request, struct answer *answer)
{
	answer->status = 200;
	answer->body = scrape__get(request->context->scrape, request->snapshot, request->accept,
				   request->accept_encoding);
	return answer->body ? 0 : -ENOMEM;
}
