/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one thread that reads the kernel side: every interval it builds a snapshot and publishes
 * it. Nobody waits for it and it waits for nobody.
 */
#ifndef DIRTYSCOPE_AGENT_SAMPLER_H
#define DIRTYSCOPE_AGENT_SAMPLER_H

#include "agent/config.h"
#include "agent/events.h"
#include "agent/history.h"
#include "agent/kernel_side.h"
#include "agent/snapshot.h"

struct sampler_options {
	const struct agent_config *config;
	struct kernel_side *kernel; /* attached by sampler__start, once the devices are known */
	struct board *board;
	struct history *history;
	struct events *events;
};

struct sampler;
/* Options must outlive the sampler. 0, or a negative errno with *error filled in. */
int sampler__start(const struct sampler_options *options, struct sampler **out,
		   struct kernel_error *error);
/* Returns when the thread has ended. */
void sampler__stop(struct sampler *sampler);

#endif
