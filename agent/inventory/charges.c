/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/inventory/charges.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#define ROOT_ID 1	 /* of a hierarchy: kernfs_create_root(), fs/kernfs/dir.c */
#define IDLE_SAMPLES 120 /* after which a row leaves the kernel's table */

struct charge {
	struct ds_charge_key key;
	struct ds_pagecache_stats seen; /* of the kernel's row */
	uint64_t due[DS_WRITERS];	/* what the payer has not been given yet */
	uint64_t moved;			/* the sample in which it gained something last */
	UT_hash_handle hh;
};

struct charges {
	const struct kernel_tables *tables;
	struct cgroup_names *names;
	struct groups *groups;
	struct charge *by_key; /* uthash */
	uint32_t *rows;	       /* by slot */
	uint64_t samples;
	struct ds_charge_key *keys;
	struct ds_pagecache_stats *values;
};

struct charges *charges__new(const struct kernel_tables *tables, struct cgroup_names *names,
			     struct groups *groups)
{
	struct charges *charges = calloc(1, sizeof(*charges));

	if (!charges)
		return NULL;
	charges->tables = tables;
	charges->names = names;
	charges->groups = groups;
	charges->keys = calloc(tables->max_charges, sizeof(*charges->keys));
	charges->values = calloc(tables->max_charges, sizeof(*charges->values));
	charges->rows = calloc(tables->process_slots + 1, sizeof(*charges->rows));
	if (!charges->keys || !charges->values || !charges->rows) {
		charges__free(charges);
		return NULL;
	}
	return charges;
}

/* Its row leaves the kernel's table as well. */
static void free_charge(struct charges *charges, struct charge *charge)
{
	bpf_map_delete_elem(charges->tables->charges_fd, &charge->key);
	HASH_DEL(charges->by_key, charge);
	charges->rows[charge->key.slot]--;
	free(charge);
}

void charges__free(struct charges *charges)
{
	struct charge *charge, *next;

	if (!charges)
		return;
	HASH_ITER (hh, charges->by_key, charge, next)
		free_charge(charges, charge);
	free(charges->rows);
	free(charges->keys);
	free(charges->values);
	free(charges);
}

static void take_row(struct charges *charges, const struct ds_charge_key *key,
		     const struct ds_pagecache_stats *row)
{
	struct charge *charge;

	HASH_FIND(hh, charges->by_key, key, sizeof(*key), charge);
	if (!charge) {
		charge = calloc(1, sizeof(*charge));
		if (!charge)
			return; /* it is read again */
		charge->key = *key;
		charges->rows[key->slot]++;
		HASH_ADD(hh, charges->by_key, key, sizeof(charge->key), charge);
	}
	if (memcmp(&charge->seen, row, sizeof(*row)) != 0)
		charge->moved = charges->samples;
	charge->due[DS_WRITER_PAGECACHE] += row->pagecache - charge->seen.pagecache;
	charge->due[DS_WRITER_BLOCKDEV] += row->blockdev - charge->seen.blockdev;
	charge->seen = *row;
}

void charges__sample(struct charges *charges)
{
	LIBBPF_OPTS(bpf_map_batch_opts, options);
	uint32_t count = charges->tables->max_charges, cursor = 0;
	struct charge *charge, *next;
	int err;

	charges->samples++;
	err = bpf_map_lookup_batch(charges->tables->charges_fd, NULL, &cursor, charges->keys,
				   charges->values, &count, &options);
	if (err && err != -ENOENT) /* ENOENT: that was all */
		return;
	for (uint32_t i = 0; i < count; i++)
		take_row(charges, &charges->keys[i], &charges->values[i]);
	HASH_ITER (hh, charges->by_key, charge, next)
		if (charges->samples - charge->moved > IDLE_SAMPLES)
			free_charge(charges, charge);
}

/* What is not known now may be in the next sample. */
static struct group *payer(const struct charges *charges, const struct charge *charge)
{
	const struct ds_charge_key *key = &charge->key;
	struct cgroup_ids ids = {.id = key->cgroup_id};

	if (key->hierarchy)
		ids = (struct cgroup_ids){.id = ROOT_ID,
					  .memory_id = key->cgroup_id,
					  .memory_hierarchy = key->hierarchy};
	return cgroup_names__group(charges->names, &ids);
}

/*
 * After the slot's counts: what these have is in its rows by now. What is only in a row yet is in
 * the counts by the next time, and then the sums are right again.
 */
static void read_again(struct charges *charges, uint32_t slot)
{
	struct charge *charge, *next;
	struct ds_pagecache_stats row;

	HASH_ITER (hh, charges->by_key, charge, next)
		if (charge->key.slot == slot &&
		    !bpf_map_lookup_elem(charges->tables->charges_fd, &charge->key, &row))
			take_row(charges, &charge->key, &row);
}

void charges__settle(struct charges *charges, uint32_t slot, uint64_t owed[DS_WRITERS])
{
	struct charge *charge, *next;

	if (!charges->rows[slot] || !(owed[DS_WRITER_PAGECACHE] || owed[DS_WRITER_BLOCKDEV]))
		return;
	read_again(charges, slot);
	HASH_ITER (hh, charges->by_key, charge, next) {
		struct group *group;

		if (charge->key.slot != slot ||
		    !(charge->due[DS_WRITER_PAGECACHE] || charge->due[DS_WRITER_BLOCKDEV]))
			continue;
		group = payer(charges, charge);
		for (int writer = 0; writer < DS_WRITERS && group; writer++) {
			uint64_t *due = &charge->due[writer];
			uint64_t pages = *due < owed[writer] ? *due : owed[writer];

			groups__add(charges->groups, group, writer, pages);
			owed[writer] -= pages;
			*due -= pages;
		}
		groups__put(charges->groups, group);
	}
}

void charges__forget_slot(struct charges *charges, uint32_t slot)
{
	struct charge *charge, *next;

	if (!charges->rows[slot])
		return;
	HASH_ITER (hh, charges->by_key, charge, next)
		if (charge->key.slot == slot)
			free_charge(charges, charge);
}
