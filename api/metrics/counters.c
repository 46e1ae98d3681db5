/* SPDX-License-Identifier: BSD-2-Clause */
#include "api/metrics/counters.h"

const char *const connection_result_names[CONNECTION_RESULTS] = {
	[CONNECTION_ACCEPTED] = "accepted",
	[CONNECTION_DEADLINE] = "deadline",
	[CONNECTION_EVICTED] = "evicted",
	[CONNECTION_REFUSED] = "refused",
};

const unsigned api_codes[API_CODES] = {200, 400, 403, 404, 405, 411, 413, 414, 431, 500, 503};

void api_counters__connection(struct api_counters *counters, enum connection_result result)
{
	__atomic_add_fetch(&counters->connections[result], 1, __ATOMIC_RELAXED);
}

void api_counters__request(struct api_counters *counters, unsigned code)
{
	for (int i = 0; api_codes[i]; i++) {
		if (api_codes[i] == code) {
			__atomic_add_fetch(&counters->requests[i], 1, __ATOMIC_RELAXED);
			return;
		}
	}
}
