/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The inside of struct devices, for its own files alone. From below: devices_records.c makes and
 * frees records, devices_exposure.c asks the ledger, devices_slots.c binds slots to devices,
 * devices_identity.c tells whether a device is new, devices_sources.c gives slots to sources,
 * devices_sweep.c reads the page sets, devices_changes.c reads again what may have changed,
 * devices_publish.c fills in the snapshot, and devices.c samples by all of them.
 */
#ifndef DIRTYSCOPE_AGENT_INVENTORY_DEVICES_PRIVATE_H
#define DIRTYSCOPE_AGENT_INVENTORY_DEVICES_PRIVATE_H

#include <uthash.h>

#include "agent/base/frame_set.h"
#include "agent/inventory/devices.h"
#include "agent/inventory/flows.h"
#include "agent/host/sysfs.h"
#include "agent/host/uevents.h"

#define UNATTRIBUTED "unattributed"

struct device_record {
	char id[64];
	struct sysfs_device *known; /* NULL: only of UNATTRIBUTED */
	uint32_t set;		    /* PAGE_SET_SHARED: none was left */
	struct timespec since;
	struct timespec mapped_since; /* since then every mapping of it was seen being made */
	bool premapped; /* it had a driver before the agent came: older mappings are not known */
	bool rings_premapped; /* its netdev was up already, and its rings filled */
	bool gone;
	double gone_at;
	struct frame_set early; /* pages of this interval that devices__hand_over has swept */
	uint64_t early_pages;
	uint64_t swept, dirty_total;
	double rate;
	uint32_t flags;			/* DS_SOURCE_*, of all its sources */
	struct ds_device_stats carried; /* of slots that were given back */
	struct ds_device_stats stats;
	uint64_t pagecache, blockdev;
	struct owner *owners; /* of VFIO's mappings, while a snapshot is made */
	UT_hash_handle hh;
};

struct source {
	struct device_record *device; /* NULL: virtual, or not resolved */
	bool resolved;
	bool retired;	/* on its way back */
	bool listed;	/* a disk that sysfs has shown: when it no longer does, it is gone */
	bool forgotten; /* the ledger no longer has it, because its driver does not unmap */
};

/* Which device a file system's device number stands for. */
struct disk_number {
	uint32_t dev;
	char id[SYSFS_ID_SIZE]; /* "": of no single device */
	UT_hash_handle hh;
};

/* What a uevent says is to be read again from sysfs. */
#define LOOK_DEVICES 1
#define LOOK_DISKS 2
#define LOOK_NAMES 4
#define LOOK_MEMORY 8
#define LOOK_STACKS 16 /* virtual disks may stand on other disks now */
#define LOOK_ALL (LOOK_DEVICES | LOOK_DISKS | LOOK_NAMES | LOOK_MEMORY)

struct devices {
	const struct agent_config *config;
	struct kernel_side *kernel;
	const struct kernel_tables *tables;
	struct events *events;
	struct uevents *uevents;     /* NULL: refused, only polling is left */
	struct device_record *by_id; /* uthash */
	struct device_record *unattributed;
	struct source *sources; /* by slot */
	uint32_t *retired;	/* slots on their way back, as in processes.c */
	size_t retired_count;
	uint32_t sources_used;
	struct page_sets *page_sets;
	/* What is counted of each file system already, by its dev_t; tables->max_pagecache of them
	 */
	struct counted_files {
		uint32_t dev;
		uint64_t pagecache, blockdev;
	} * files;
	size_t file_count;
	bool sets_full;		/* there was no piece left; told */
	uint64_t dropped_dirty; /* of devices no longer listed */
	struct flows *flows;
	struct ds_device_stats nobody; /* slot 0 */
	struct sysfs_names *names;     /* as of the last change that was told, or of a while ago */
	struct disk_number *by_number; /* uthash; as of the same */
	double now;		       /* seconds, monotonic, of this call */
	double refreshed_at;
	unsigned look; /* LOOK_*, from uevents; names and stacks wait for the next sample */
	const struct page_listener *listener; /* NULL: none */
	/*
	 * Events when all sets were swept last and nothing was exposed; UINT64_MAX: something was.
	 * Atomic: any thread asks.
	 */
	uint64_t idle_at;
	bool started; /* what is found from now on was not there before the agent */
};

/* ---- devices_records.c ---- */

/* Takes over `known`, which may be NULL, also on failure; NULL when memory is short. */
struct device_record *devices__add(struct devices *devices, const char *id,
				   struct sysfs_device *known);
void devices__free_record(struct devices *devices, struct device_record *device);
/* Its flows are forgotten as well. */
void devices__forget(struct devices *devices, struct device_record *device);
/* False: its pages are among the unattributed. */
bool devices__has_set(const struct devices *devices, const struct device_record *device);

/* ---- devices_slots.c ---- */

/* device: NULL for a virtual source. */
void devices__bind_slot(struct devices *devices, uint32_t slot, struct device_record *device);
/* Adds up what all CPUs counted in a slot. */
void devices__read_slot(const struct devices *devices, uint32_t slot, struct ds_device_stats *sum);
void devices__retire(struct devices *devices, uint32_t slot);
void devices__give_back_retired(struct devices *devices);

/* ---- devices_identity.c ---- */

/*
 * The device of that id, made when it is new; takes over `known`. One that came back, or sits where
 * another one sat, is new. NULL when memory is short.
 */
struct device_record *devices__meet(struct devices *devices, struct sysfs_device *known);
void devices__unplug(struct devices *devices, struct device_record *device);
/* Takes over `known`. */
void devices__describe_anew(struct devices *devices, struct device_record *device,
			    struct sysfs_device *known);
void devices__driver_left(struct devices *devices, struct device_record *device);

/* ---- devices_sources.c ---- */

/* All that may do DMA get slots before they do, as far as there is room. -ENOMEM, or 0. */
int devices__bind_functions(struct devices *devices);
/* The device at a bus and name gets a slot before it does anything, unless it has one. */
int devices__bind_function(struct devices *devices, const char *bus, const char *name);
void devices__resolve_new(struct devices *devices);
/* Disks that sysfs no longer shows give their slots back; new ones get theirs. */
int devices__look_at_disks(struct devices *devices);

/* ---- devices_sweep.c ---- */

void devices__sweep(struct devices *devices, double seconds);

/* ---- devices_changes.c ---- */

void devices__look_again(struct devices *devices);
void devices__refresh(struct devices *devices);
/* Reads anew which disks and netdevs lie on which device. 0, or a negative errno. */
int devices__read_names(struct devices *devices);
void devices__forget_numbers(struct devices *devices);

/* ---- devices_exposure.c ---- */

/* Takes out of the ledger what a slot left there. */
void devices__forget_mappings(struct devices *devices, uint32_t slot);
void devices__watch_unmaps(struct devices *devices);
int devices__publish_exposures(struct devices *devices, struct snapshot *snapshot);

#endif
