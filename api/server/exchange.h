/* SPDX-License-Identifier: BSD-2-Clause */
/* One request and its answer, between the HTTP library and the routes. */
#ifndef DIRTYSCOPE_API_SERVER_EXCHANGE_H
#define DIRTYSCOPE_API_SERVER_EXCHANGE_H

#include <microhttpd.h>

#include "api/views/answer.h"
#include "api/server/connections.h"
#include "api/server/deferred.h"
#include "api/server/streams.h"

#define URI_MAX 4096
#define HEADERS_MAX 16384
#define REQUEST_BODY_MAX 65536
/* Above HEADERS_MAX, so that most oversized requests get our own answer, not the library's. */
#define CONNECTION_MEMORY 32768

/* What the callbacks below are given as their closure. */
struct exchanges {
	struct api_context context;
	struct connections *connections;
	struct streams *streams;
	struct deferred *deferred;
	struct api_counters *counters;
};

/* MHD_OPTION_NOTIFY_CONNECTION */
void exchange__connection(void *closure, struct MHD_Connection *connection, void **socket_context,
			  enum MHD_ConnectionNotificationCode code);
/* MHD_OPTION_URI_LOG_CALLBACK: what it returns becomes *request_context. */
void *exchange__begin(void *closure, const char *uri, struct MHD_Connection *connection);
/* The access handler. */
enum MHD_Result exchange__handle(void *closure, struct MHD_Connection *connection, const char *url,
				 const char *method, const char *version, const char *upload_data,
				 size_t *upload_data_size, void **request_context);
/* MHD_OPTION_NOTIFY_COMPLETED */
void exchange__end(void *closure, struct MHD_Connection *connection, void **request_context,
		   enum MHD_RequestTerminationCode code);

#endif
