/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * /metrics, rendered once per snapshot and form however many ask; its answers share the bytes. What
 * the server counts of itself is as of the first scrape of that snapshot.
 */
#ifndef DIRTYSCOPE_API_METRICS_SCRAPE_H
#define DIRTYSCOPE_API_METRICS_SCRAPE_H

#include "api/metrics/counters.h"
#include "api/views/answer.h"

struct scrape;
/* counters: alive as long as the scrape. NULL when memory is short. */
struct scrape *scrape__new(const struct api_counters *counters);
void scrape__free(struct scrape *scrape);
/* A reference to the body in the form that the two headers ask for; NULL when memory is short. */
struct body *scrape__get(struct scrape *scrape, const struct snapshot *snapshot, const char *accept,
			 const char *accept_encoding);
/* The handler of the route. */
int view__metrics(const struct request *request, struct answer *answer);

#endif
