/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one thread that reads the kernel side: every interval it builds a snapshot and publishes
 * it. Nobody waits for it and it waits for nobody.
 */
#ifndef DIRTYSCOPE_AGENT_INVENTORY_SAMPLER_H
#define DIRTYSCOPE_AGENT_INVENTORY_SAMPLER_H

#include "agent/base/config.h"
#include "agent/kernel/kernel_side.h"
#include "agent/kernel/page_listener.h"
#include "agent/snapshot/events.h"
#include "agent/snapshot/history.h"
#include "agent/snapshot/snapshot.h"

/* What tells of itself in each snapshot beside the inventory: tracks, policies, the record. */
struct sampler_part {
	int (*publish)(void *context, struct snapshot *snapshot); /* 0, or -ENOMEM */
	void *context;
};
#define SAMPLER_PARTS_MAX 4

struct sampler_options {
	const struct agent_config *config;
	struct kernel_side *kernel; /* attached by sampler__start, once the devices are known */
	struct snapshot_store *store;
	struct history *history;
	struct events *events;
	/* Hears which pages devices wrote, by sampler__ask too; NULL: nobody does. */
	const struct page_listener *listener;
	struct sampler_part parts[SAMPLER_PARTS_MAX]; /* asked in this order */
	size_t part_count;
};

struct sampler;
/* Options must outlive the sampler. 0, or a negative errno with *error filled in. */
int sampler__start(const struct sampler_options *options, struct sampler **out,
		   struct kernel_error *error);
/*
 * Has the tracks hear of all that devices wrote up to this call. Any thread. What it returns is for
 * sampler__await, which waits until they have: the one thing that anybody waits for the sampler
 * for.
 */
uint64_t sampler__ask(void *sampler);
/*
 * Would it tell them nothing new? Of tracks that have heard of a sweep since they listen. Any
 * thread.
 */
bool sampler__is_idle(void *sampler);
/* 0, -ESHUTDOWN, or another negative errno. */
int sampler__await(void *sampler, uint64_t asked);
/* Returns when the thread has ended. */
void sampler__stop(struct sampler *sampler);

#endif
