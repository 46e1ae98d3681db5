/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/inventory/pin_inventory.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "agent/base/arena.h"
#include "agent/host/pins.h"
#include "agent/kernel/pinned.h"

struct pin_inventory {
	const struct kernel_side *kernel;
	const char *procfs;
	pthread_t thread;
	int stop;	      /* eventfd */
	pthread_mutex_t lock; /* what follows */
	struct snapshot_pins *found;
	size_t count;
	int err; /* of the last look; -EAGAIN before the first */
};

/* ---- the thread ---- */

/* False: it is gone. */
static bool look_at(struct pin_inventory *inventory, const struct ds_pinned *process,
		    struct pin_sources *sources, struct snapshot_pins *row)
{
	const struct pins_options options = {.procfs = inventory->procfs,
					     .pid = process->tgid,
					     .sources = sources,
					     .rings_are_counted = true};
	struct pins pins;
	int err = pins__read(&options, &pins);

	*row = (struct snapshot_pins){.pid = process->tgid,
				      .start_boottime_ns = process->start_boottime,
				      .pinned_bytes = process->pages * DS_PAGE_SIZE};
	memcpy(row->comm, process->comm, sizeof(row->comm));
	if (err && err != -ESRCH) {
		row->unexplained_bytes = row->pinned_bytes;
		snprintf(row->reason, sizeof(row->reason), "its descriptors cannot be read: %s",
			 strerror(-err));
	} else if (!err) {
		row->pinned_bytes =
			(pins.vm_pin > pins.placed ? pins.vm_pin : pins.placed) + pins.by[PIN_XDP];
		row->unexplained_bytes = pins__unexplained(&pins);
		memcpy(row->by, pins.by, sizeof(row->by));
		if (pins.reason)
			snprintf(row->reason, sizeof(row->reason), "%s", pins.reason);
	}
	pins__clear(&pins);
	return err != -ESRCH;
}

static int look(struct pin_inventory *inventory, struct snapshot_pins **found, size_t *count)
{
	struct ds_pinned *processes;
	struct pin_sources *sources;
	size_t processes_count;
	int err = pinned__read(inventory->kernel, &processes, &processes_count);

	*found = NULL;
	*count = 0;
	if (err)
		return err;
	sources = pin_sources__new();
	if (processes_count) {
		*found = calloc(processes_count, sizeof(**found));
		err = sources && *found ? 0 : -ENOMEM;
	}
	for (size_t i = 0; i < processes_count && !err; i++)
		*count += look_at(inventory, &processes[i], sources, &(*found)[*count]);
	pin_sources__free(sources);
	free(processes);
	return err;
}

static void *pin_inventory__run(void *argument)
{
	struct pin_inventory *inventory = argument;
	struct pollfd stop = {.fd = inventory->stop, .events = POLLIN};

	do {
		struct snapshot_pins *found, *before;
		size_t count;
		int err = look(inventory, &found, &count);

		pthread_mutex_lock(&inventory->lock);
		before = inventory->found;
		inventory->found = found;
		inventory->count = count;
		inventory->err = err;
		pthread_mutex_unlock(&inventory->lock);
		free(before);
	} while (poll(&stop, 1, PIN_INVENTORY_SECONDS * 1000) <= 0);
	return NULL;
}

int pin_inventory__start(const struct kernel_side *kernel, const char *procfs,
			 struct pin_inventory **out)
{
	struct pin_inventory *inventory = calloc(1, sizeof(*inventory));
	int err;

	*out = NULL;
	if (!inventory)
		return -ENOMEM;
	inventory->kernel = kernel;
	inventory->procfs = procfs;
	inventory->err = -EAGAIN;
	pthread_mutex_init(&inventory->lock, NULL);
	inventory->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = inventory->stop < 0 ? -errno : 0;
	if (!err)
		err = -pthread_create(&inventory->thread, NULL, pin_inventory__run, inventory);
	if (err) {
		if (inventory->stop >= 0)
			close(inventory->stop);
		free(inventory);
		return err;
	}
	*out = inventory;
	return 0;
}

void pin_inventory__stop(struct pin_inventory *inventory)
{
	if (!inventory)
		return;
	eventfd_write(inventory->stop, 1);
	pthread_join(inventory->thread, NULL);
	close(inventory->stop);
	pthread_mutex_destroy(&inventory->lock);
	free(inventory->found);
	free(inventory);
}

/* ---- snapshots ---- */

static struct snapshot_pins *row_of(struct snapshot *snapshot,
				    const struct snapshot_exposure *owner)
{
	struct snapshot_pins *row;

	for (size_t i = 0; i < snapshot->pin_count; i++)
		if (snapshot->pins[i].pid == owner->pid)
			return &snapshot->pins[i];
	row = &snapshot->pins[snapshot->pin_count++];
	row->pid = owner->pid;
	snprintf(row->comm, sizeof(row->comm), "%.*s", (int)sizeof(row->comm) - 1, owner->comm);
	return row;
}

static int pins_by_pid(const void *a, const void *b)
{
	const struct snapshot_pins *left = a, *right = b;

	return left->pid < right->pid ? -1 : left->pid > right->pid;
}

/*
 * Several devices of one VFIO container are given the same memory: the largest counts, not the sum.
 */
static void add_vfio(struct snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->device_count; i++)
		for (size_t k = 0; k < snapshot->devices[i].exposure_count; k++) {
			const struct snapshot_exposure *owner = &snapshot->devices[i].exposures[k];
			uint64_t bytes = owner->pages * DS_PAGE_SIZE;
			struct snapshot_pins *row;

			if (!owner->pid)
				continue;
			row = row_of(snapshot, owner);
			if (bytes > row->by[PIN_VFIO]) {
				row->pinned_bytes += bytes - row->by[PIN_VFIO];
				row->by[PIN_VFIO] = bytes;
			}
		}
	if (snapshot->pin_count)
		qsort(snapshot->pins, snapshot->pin_count, sizeof(*snapshot->pins), pins_by_pid);
}

int pin_inventory__publish(struct pin_inventory *inventory, struct snapshot *snapshot)
{
	size_t exposures = 0;

	for (size_t i = 0; i < snapshot->device_count; i++)
		exposures += snapshot->devices[i].exposure_count;
	pthread_mutex_lock(&inventory->lock);
	snapshot->pins_known = !inventory->err;
	snapshot->pins_reason = inventory->err == -EAGAIN ? "not looked at yet"
				: inventory->err ? "the kernel does not tell who has pinned memory"
						 : "";
	snapshot->pins = arena__alloc(snapshot->arena,
				      (inventory->count + exposures + 1) * sizeof(*snapshot->pins));
	if (snapshot->pins && inventory->count) {
		memcpy(snapshot->pins, inventory->found,
		       inventory->count * sizeof(*snapshot->pins));
		snapshot->pin_count = inventory->count;
	}
	pthread_mutex_unlock(&inventory->lock);
	if (!snapshot->pins)
		return -ENOMEM;
	add_vfio(snapshot);
	return 0;
}
