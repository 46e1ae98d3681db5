/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who holds pinned memory: looked for every PIN_INVENTORY_SECONDS by a thread of its own, so that
 * no process that hides or multiplies its descriptors can hold up a sample.
 */
#ifndef DIRTYSCOPE_AGENT_INVENTORY_PIN_INVENTORY_H
#define DIRTYSCOPE_AGENT_INVENTORY_PIN_INVENTORY_H

#include "agent/kernel/kernel_side.h"
#include "agent/snapshot/snapshot.h"

#define PIN_INVENTORY_SECONDS 2

struct pin_inventory;
/* Both are borrowed and outlive it. 0, or a negative errno. */
int pin_inventory__start(const struct kernel_side *kernel, const char *procfs,
			 struct pin_inventory **out);
void pin_inventory__stop(struct pin_inventory *inventory);
/*
 * Fills in the snapshot's pins: what the thread found last, and the memory that the snapshot's
 * devices hold by VFIO, so devices come first. -ENOMEM, or 0.
 */
int pin_inventory__publish(struct pin_inventory *inventory, struct snapshot *snapshot);

#endif
