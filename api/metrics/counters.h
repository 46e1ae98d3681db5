/* SPDX-License-Identifier: BSD-2-Clause */
/* What the server counts of itself. Any thread may add or read; no lock. */
#ifndef DIRTYSCOPE_API_METRICS_COUNTERS_H
#define DIRTYSCOPE_API_METRICS_COUNTERS_H

#include <stdint.h>

enum connection_result {
	CONNECTION_ACCEPTED,
	CONNECTION_DEADLINE, /* cut: it took too long in all, or was idle */
	CONNECTION_EVICTED,  /* cut: the oldest one, to let a new one in */
	CONNECTION_REFUSED,  /* answered 503 because there were too many */
	CONNECTION_RESULTS,
};
extern const char *const connection_result_names[CONNECTION_RESULTS];

#define API_CODES 16
/* Every status that the server answers with, rising, 0 at the end. */
extern const unsigned api_codes[API_CODES];

struct api_counters {
	uint64_t connections[CONNECTION_RESULTS];
	uint64_t requests[API_CODES]; /* by place in api_codes */
};

void api_counters__connection(struct api_counters *counters, enum connection_result result);
void api_counters__request(struct api_counters *counters, unsigned code);

#endif
