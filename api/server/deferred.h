/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests whose answer may take long: threads of their own make it, while the connection is
 * suspended (MHD_suspend_connection) and the HTTP library's threads serve all others. Those for the
 * same object run one after the other, those for different ones side by side. A client that hangs
 * up has its request cancelled. Thread-safe.
 */
#ifndef DIRTYSCOPE_API_SERVER_DEFERRED_H
#define DIRTYSCOPE_API_SERVER_DEFERRED_H

#include <microhttpd.h>
#include <sys/queue.h>

#include "api/routes.h"
#include "api/server/connections.h"

enum job_state { JOB_NONE, JOB_WAITING, JOB_RUNNING, JOB_DONE };

/* One such request. It and what its call points to stay where they are until JOB_DONE. */
struct job {
	struct MHD_Connection *connection;
	struct connection *peer;
	struct route_call call;
	uint64_t key; /* jobs of one key run one after the other; 0: of none */
	struct answer answer;
	/* of deferred.c */
	enum job_state state;
	bool cancelled; /* atomic */
	int fd;
	TAILQ_ENTRY(job) entry;
};

struct deferred_options {
	struct connections *connections; /* both are borrowed, alive until deferred__free */
	const struct api_context *context;
};

struct deferred;
/* Starts a thread; others as they are needed. 0 or -errno. */
int deferred__new(const struct deferred_options *options, struct deferred **out);
/* Cancels all, waits for them, and takes no more: before the HTTP library is stopped. NULL is fine.
 */
void deferred__end(struct deferred *deferred);
/* NULL is fine. */
void deferred__free(struct deferred *deferred);

/*
 * From the library's access handler: suspends the connection; once the job is done the library
 * calls the handler again. False: too many wait, and nothing was done.
 */
bool deferred__submit(struct deferred *deferred, struct job *job);

#endif
