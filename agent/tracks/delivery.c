/* SPDX-License-Identifier: BSD-2-Clause */
/* What a consumer is told: runs of pages, of processes by address, of a device by frame and owner.
 */
#include <errno.h>
#include <string.h>

#include "agent/tracks/device/owners.h"
#include "agent/tracks/tracks_private.h"

struct delivery {
	uint32_t pid;
	const struct owners *owners; /* NULL: of a process */
	int (*each)(void *context, const struct track_run *run);
	void *context;
};

static int tell_run(void *context, const struct page_run *run)
{
	const struct delivery *delivery = context;
	struct track_run told = {
		.pid = delivery->pid,
		.start = run->page * PAGE_BYTES,
		.pages = run->pages,
		.cpu = run->cpu,
		.devices = run->devices,
	};
	int err = 0;

	if (!delivery->owners)
		return delivery->each(delivery->context, &told);
	for (uint64_t page = run->page, end = page + run->pages; page < end && !err;) {
		const struct owner *owner =
			owners__run(delivery->owners, page, end - page, &told.pages);

		told.start = page * PAGE_BYTES;
		told.owner = owner ? owner->pid : 0;
		told.owner_address = owner ? owner->address : 0;
		err = delivery->each(delivery->context, &told);
		page += told.pages;
	}
	return err;
}

static int tell_member(const struct tracks *tracks, struct track *track,
		       const struct member *member, struct page_map *all, enum ds_evidence evidence,
		       struct delivery *delivery, struct page_counts *counts)
{
	const struct owners_options options = {
		.procfs = tracks->config->procfs,
		.store = tracks->store,
		.device = track->target,
		.work = &track->work,
	};
	struct owners owners = {0};
	int err = 0;

	delivery->pid = member->pid;
	if (delivery->each && !member->shared) {
		err = owners__find(&options, all, &owners);
		delivery->owners = &owners;
	}
	if (!err)
		err = page_map__walk(all, evidence, counts, delivery->each ? tell_run : NULL,
				     delivery);
	delivery->owners = NULL;
	owners__free(&owners);
	if (!member->shared)
		counts->missed = 0; /* there is no CPU side that could have told */
	return err;
}

static void add_counts(struct page_counts *sum, const struct page_counts *one)
{
	sum->cpu += one->cpu;
	sum->dma += one->dma;
	sum->both += one->both;
	sum->all += one->all;
	sum->missed += one->missed;
}

/* Adds the pages that this epoch found to those that were not delivered yet. */
static int close_member(struct track *track, struct member *member, enum ds_evidence evidence,
			struct page_map **all)
{
	int err;

	if (member->shared)
		target__lock(member->shared->target);
	page_map__count_devices(owed_pages__fresh(member->owed), evidence, track->device_pages);
	err = owed_pages__deliver(member->owed, track->cursor, evidence, &member->counts, all);
	if (member->shared)
		target__unlock(member->shared->target);
	else
		member->counts.missed = 0;
	return err;
}

int track__owed(const struct tracks *tracks, struct track *track, enum ds_evidence evidence,
		int (*each)(void *context, const struct track_run *run), void *context)
{
	struct page_counts sum = {0};
	int err = 0;

	for (struct member *member = track->members; member && !err; member = member->next) {
		struct delivery delivery = {.each = each, .context = context};
		struct page_counts owed;
		struct page_map *all;

		err = owed_pages__all(member->owed, &all);
		if (!err)
			err = tell_member(tracks, track, member, all, evidence, &delivery, &owed);
		if (!err)
			add_counts(&sum, &owed);
	}
	if (!err)
		track->delivered = sum;
	return err;
}

int track__deliver(struct tracks *tracks, struct track *track, enum ds_evidence evidence,
		   int (*each)(void *context, const struct track_run *run), void *context)
{
	int err = 0;

	track->last = track->delivered = (struct page_counts){0};
	memset(track->device_pages, 0, sizeof(track->device_pages));
	track->epoch++;
	track->cursor++;
	for (struct member *member = track->members; member && !err; member = member->next) {
		struct delivery delivery = {.each = each, .context = context};
		struct page_counts owed;
		struct page_map *all;

		err = close_member(track, member, evidence, &all);
		if (!err)
			err = tell_member(tracks, track, member, all, evidence, &delivery, &owed);
		if (err)
			break;
		add_counts(&track->last, &member->counts);
		add_counts(&track->delivered, &owed);
	}
	if (!err)
		track->missed_total += track->last.missed;
	return err;
}
