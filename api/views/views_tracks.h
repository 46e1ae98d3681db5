/* SPDX-License-Identifier: BSD-2-Clause */
/* The tracks of the API: what changes state, too. */
#ifndef DIRTYSCOPE_API_VIEWS_VIEWS_TRACKS_H
#define DIRTYSCOPE_API_VIEWS_VIEWS_TRACKS_H

#include "api/views/answer.h"

int view__tracks(const struct request *request, struct answer *answer);
int view__track(const struct request *request, struct answer *answer);
int view__track_start(const struct request *request, struct answer *answer);
int view__track_stop(const struct request *request, struct answer *answer);
int view__track_pages(const struct request *request, struct answer *answer);
int view__track_collect(const struct request *request, struct answer *answer);
int view__track_acknowledge(const struct request *request, struct answer *answer);
int view__track_forecast(const struct request *request, struct answer *answer);

extern const struct param_row view_track_params[], view_forecast_params[];

#endif
