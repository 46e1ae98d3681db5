/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The targets of one kind, from snapshot to snapshot: each keeps its slot for as long as it lives,
 * so that what is known of it stands in columns, one number a slot. A condition is then one pass
 * over a column, and 500 policies over 5,000 processes cost a millisecond or two.
 */
#ifndef DIRTYSCOPE_AGENT_POLICIES_TARGET_TABLE_H
#define DIRTYSCOPE_AGENT_POLICIES_TARGET_TABLE_H

#include "agent/policies/actions/policy_tracks.h"
#include "agent/policies/rules/kinds.h"

struct target_slot {
	struct target_key key; /* its name is the slot's own */
	const void *item;      /* in the snapshot of the last update; NULL: not there */
	uint64_t facts;
	bool used;
	unsigned users; /* of target_table__hold: it is not given to another one */
	uint64_t generation;
	struct policy_track_facts *policy_track; /* NULL: no policy has a track on it */
};

struct rate_ring;
struct target_column {
	const struct field *field;
	bool is_rate;
	double over;
	double *values; /* by slot; NAN where it is not known */
	struct rate_ring *rings;
	bool wanted;
	struct target_column *next;
};

struct target_table {
	const struct kind *kind;
	enum target_kind id;
	const struct snapshot *snapshot; /* of the last update; borrowed until the next */
	struct target_slot *slots;
	size_t count, capacity; /* slots ever used; room: 64, 128, ... */
	uint32_t *changed;	/* slots that came, went, or whose strings may have changed */
	size_t changed_count;
	struct target_column *columns;
	uint32_t *index; /* open addressing, slot + 1; 0: free */
	size_t index_size;
	uint64_t generation;
	size_t present; /* targets that are there */
};

/* NULL when memory is short. */
struct target_table *target_table__new(enum target_kind kind);
void target_table__free(struct target_table *targets);
/* A column, shared by all who ask for the same; NULL when memory is short. */
struct target_column *target_table__column(struct target_table *targets, const struct field *field,
					   bool is_rate, double over);
/* Columns that nobody has asked for since target_table__unwant are freed. */
void target_table__unwant(struct target_table *targets);
void target_table__sweep_columns(struct target_table *targets);
/*
 * Finds the snapshot's targets and fills in the columns. now: seconds, monotonic. The snapshot has
 * to live until the next update. -ENOMEM: some targets are left out.
 */
int target_table__update(struct target_table *targets, const struct snapshot *snapshot,
			 struct policy_tracks *policy_tracks, double now);
struct target_view target_table__view(const struct target_table *targets, size_t slot);
void target_table__hold(struct target_table *targets, size_t slot);
void target_table__release(struct target_table *targets, size_t slot);

#endif
