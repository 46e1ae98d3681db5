/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The devices that write memory: what they are, their page sets, what they did and for whom.
 *
 * Owned by the sampler's thread. A device may show up as several sources (a NIC's struct device,
 * a disk's sequence number); each source has a slot, all of a device's slots share its page set.
 */
#ifndef DIRTYSCOPE_AGENT_INVENTORY_DEVICES_H
#define DIRTYSCOPE_AGENT_INVENTORY_DEVICES_H

#include "agent/base/config.h"
#include "agent/inventory/processes.h"
#include "agent/kernel/kernel_side.h"
#include "agent/kernel/page_listener.h"
#include "agent/snapshot/events.h"
#include "agent/snapshot/snapshot.h"

struct devices;

/*
 * Finds the host's disks, netdevs, virtio devices and PCI functions with a driver and gives them
 * slots and page sets, before anything attaches.
 */
int devices__new(const struct agent_config *config, struct kernel_side *kernel,
		 struct events *events, struct devices **out);
void devices__free(struct devices *devices);

/* A descriptor that is readable when devices__drain has something to do at once; -1: there is none.
 */
int devices__fd(const struct devices *devices);
/*
 * Between two samples: meets new sources, and what came and went. Cheap when there is nothing.
 * now: seconds, monotonic.
 */
void devices__drain(struct devices *devices, double now);

/* From here on each sweep tells it what it found. Lives as long as the devices do. */
void devices__listen(struct devices *devices, const struct page_listener *listener);
/*
 * Sweeps all page sets now, between two samples, and walks the ledger: the listener has then heard
 * all that was written, or may be being written, up to this call. The next sample counts what was
 * swept here, too. Only what was written since the last sweep is read. 0, or a negative errno.
 */
int devices__hand_over(struct devices *devices);
/*
 * Has nothing been written since the last sweep, and is nothing exposed? Then a hand-over would
 * tell a listener that has been there for a sweep nothing new. Any thread.
 */
bool devices__are_idle(const struct devices *devices);

/*
 * Meets new sources, sweeps all page sets and sums the rows. now: seconds, monotonic;
 * seconds: since the last sweep.
 */
int devices__sample(struct devices *devices, double now, double seconds);

/* Reads the flows and adds what is new to their processes. */
int devices__sample_flows(struct devices *devices, struct processes *processes, double now,
			  double seconds);
/* Pages of flows whose process is not known, in all. */
uint64_t devices__unknown_dma(const struct devices *devices);
/* A process that is no longer listed takes its flows with it. For processes__publish. */
void devices__forget_process(void *devices, const struct ds_process_key *key);

/* Fills in devices, flows and the device sums. The snapshot's sensors are filled in already. */
int devices__publish(struct devices *devices, struct snapshot *snapshot);

#endif
