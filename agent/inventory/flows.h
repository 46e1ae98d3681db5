/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Flows: which process had which device write how many pages. Read from the kernel's table, where
 * a device has a row per source; here they are one.
 */
#ifndef DIRTYSCOPE_AGENT_INVENTORY_FLOWS_H
#define DIRTYSCOPE_AGENT_INVENTORY_FLOWS_H

#include "agent/kernel/kernel_side.h"
#include "agent/inventory/processes.h"
#include "agent/snapshot/snapshot.h"

struct flows;

/* The device of a source's slot: an opaque handle that stays the same; NULL: none, or not known
 * yet. */
typedef const void *(*flows__device_of)(void *context, uint32_t slot);
typedef const char *(*flows__device_id)(const void *device);

int flows__new(const struct kernel_tables *tables, flows__device_of device_of,
	       flows__device_id device_id, void *context, struct flows **out);
void flows__free(struct flows *flows);
/* Reads the table and adds what is new to the processes. seconds: since the last call. */
int flows__sample(struct flows *flows, struct processes *processes, double now, double seconds);
/* Pages of flows without a process, in all. */
uint64_t flows__unknown_pages(const struct flows *flows);
/* The process is no longer listed: its rows leave the kernel's table. */
void flows__forget_process(struct flows *flows, const struct ds_process_key *key);
/* A slot is given back: what its rows held is kept in the flows. */
void flows__forget_slot(struct flows *flows, uint32_t slot);
/* The handle ends; so do its flows. */
void flows__forget_device(struct flows *flows, const void *device);
int flows__publish(const struct flows *flows, struct snapshot *snapshot);

#endif
