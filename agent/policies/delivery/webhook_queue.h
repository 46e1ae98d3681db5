/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Delivers webhook messages: each is a POST of a JSON document. All the waiting is done by one
 * thread of its own; no caller ever waits for a receiver. To one target messages go one at a time
 * and in order; targets do not wait for each other. A message can arrive twice, when an answer is
 * lost on its way.
 *
 * Proxies of the environment are not used: they are set for people's shells, and a message with
 * credentials goes where the configuration says or nowhere. Nothing of a URL but its host gets
 * into a reason: not its user and password, nor its path and query, which often are secrets too.
 */
#ifndef DIRTYSCOPE_AGENT_POLICIES_DELIVERY_WEBHOOK_QUEUE_H
#define DIRTYSCOPE_AGENT_POLICIES_DELIVERY_WEBHOOK_QUEUE_H

#include <stddef.h>
#include <stdint.h>

#include "agent/base/reason.h"

struct webhook_queue;

struct webhook_target {
	const char *name, *url; /* http:// or https:// only; redirects are not followed */
};

struct webhook_queue_options {
	const struct webhook_target *targets; /* copied */
	size_t target_count;
	double timeout;	    /* seconds, of one attempt; 0: 10 */
	uint32_t attempts;  /* 0: 5 */
	double back_off;    /* seconds before the second attempt, doubled each time, at most 60;
			       0: 1 */
	uint32_t queue_max; /* messages waiting per target, beside the one under way; 0: 256 */
	/*
	 * Called in the queue's thread, exactly once for each accepted message. result:
	 * "delivered", "failed", or "dropped" when the queue ended before it. Both strings last
	 * as long as the call. It may call webhook_queue__send, and must not call
	 * webhook_queue__free. May be NULL.
	 */
	void (*done)(void *context, void *tag, const char *result, const char *reason);
	void *context;
};

/*
 * 0; -EINVAL, -ENOMEM or another with *error. An answer of 2xx delivers the message. 5xx, 408, 429,
 * and no answer at all (refused, reset, timed out) have it tried again, after the back-off or the
 * answer's Retry-After (at most 60 s), whichever is longer. Anything else fails it at once. The
 * status decides, whatever becomes of the body after it; 64 KiB of that are read.
 */
int webhook_queue__new(const struct webhook_queue_options *options, struct webhook_queue **webhooks,
		       struct reason *error);
/*
 * Takes over *body, from the heap, in any case. -ENOENT: no such target; -ENOSPC: its queue is
 * full; -ESHUTDOWN: the queue is being freed; -ENOMEM. Then `done` is not called. Thread-safe.
 */
int webhook_queue__send(struct webhook_queue *webhooks, const char *target, char *body, void *tag);
/* Tries what is queued for at most `grace` seconds, and drops the rest. NULL is fine. */
void webhook_queue__free(struct webhook_queue *webhooks, double grace);

#endif
