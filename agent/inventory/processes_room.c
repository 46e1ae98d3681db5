/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * More processes than slots: the idle make room. A process without a slot keeps its counts; the
 * kernel side tells of its end all the same, through a table of those to be watched.
 */
#include "agent/inventory/processes_private.h"

#include <bpf/bpf.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_SHARE 4   /* of the slots, that part is wanted free: bursts are met at once */
#define IDLE_SAMPLES 2 /* without a page, until a slot may be taken */
#define BATCH 1024

static int compare_ages(const void *a, const void *b)
{
	const struct slot_age *left = a, *right = b;

	return (left->moved > right->moved) - (left->moved < right->moved);
}

static bool is_idle(const struct processes *processes, uint32_t slot)
{
	const struct process_slot *place = &processes->slots[slot];

	return place->record && !(place->retired_at > 0) && place->record->slot == slot &&
	       place->record->state == PROCESS_RUNNING &&
	       processes->samples - place->moved >= IDLE_SAMPLES;
}

/* What it counts from now on is for a new slot, which it gets when it writes again. */
static void take_slot(struct processes *processes, uint32_t slot, double now)
{
	volatile struct ds_process_info *info = &processes->tables->process_infos[slot];

	process_record__watch(processes, processes->slots[slot].record);
	if (!processes->slots[slot].record->watched)
		return;
	info->state = DS_SLOT_LEFT; /* first: it may be the last that a CPU has met */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	process_slot__retire(processes, slot, now);
}

void processes__make_room(struct processes *processes, double now)
{
	const uint32_t slots = processes->tables->process_slots;
	uint32_t wanted = slots / ROOM_SHARE + 1, count = 0, free_slots;
	struct slot_age *idle;

	free_slots = slots - processes->used + (uint32_t)processes->retired_count;
	if (free_slots >= wanted)
		return;
	wanted -= free_slots;
	idle = malloc((processes->high + 1) * sizeof(*idle));
	if (!idle)
		return;
	for (uint32_t slot = 1; slot <= processes->high; slot++)
		if (is_idle(processes, slot))
			idle[count++] = (struct slot_age){.moved = processes->slots[slot].moved,
							  .slot = slot};
	qsort(idle, count, sizeof(*idle), compare_ages);
	for (uint32_t i = 0; i < count && i < wanted; i++)
		take_slot(processes, idle[i].slot, now);
	free(idle);
}

void process_record__watch(struct processes *processes, struct process_record *record)
{
	uint64_t ended = 0;

	if (record->watched ||
	    bpf_map_update_elem(processes->tables->watched_fd, &record->key, &ended, BPF_NOEXIST))
		return;
	record->watched = true;
	processes->watched++;
}

void process_record__unwatch(struct processes *processes, struct process_record *record)
{
	if (!record->watched)
		return;
	bpf_map_delete_elem(processes->tables->watched_fd, &record->key);
	record->watched = false;
	processes->watched--;
}

static void end_watched(struct processes *processes, const struct ds_process_key *key, double now)
{
	struct process_record *record;

	HASH_FIND(hh, processes->by_key, key, sizeof(*key), record);
	if (record)
		process_record__end(processes, record, now);
}

void processes__check_watched(struct processes *processes, double now)
{
	LIBBPF_OPTS(bpf_map_batch_opts, options);
	uint32_t cursor = 0, next = 0, total = 0, most = processes->watched + BATCH;
	struct ds_process_key *keys;
	uint64_t *ended;
	bool first = true;
	int err = 0;

	if (!processes->watched || processes->watched_lives == processes->lives)
		return;
	keys = malloc(most * sizeof(*keys));
	ended = malloc(most * sizeof(*ended));
	while (keys && ended && !err && total < most) {
		uint32_t count = most - total;

		err = bpf_map_lookup_batch(processes->tables->watched_fd, first ? NULL : &cursor,
					   &next, keys + total, ended + total, &count, &options);
		total += count;
		cursor = next;
		first = false;
	}
	if (keys && ended)
		processes->watched_lives = processes->lives;
	for (uint32_t i = 0; i < total; i++)
		if (ended[i])
			end_watched(processes, &keys[i], now);
	free(keys);
	free(ended);
}
