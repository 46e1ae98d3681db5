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

struct roster_slot {
	struct target_key key; /* its name is the slot's own */
	const void *item;      /* in the snapshot of the last update; NULL: not there */
	uint64_t facts;
	bool used;
	unsigned users; /* of roster__hold: it is not given to another one */
	uint64_t generation;
	struct follow_facts *follow; /* NULL: no policy has a track on it */
};

struct rate_ring;
struct roster_column {
	const struct field *field;
	bool is_rate;
	double over;
	double *values; /* by slot; NAN where it is not known */
	struct rate_ring *rings;
	bool wanted;
	struct roster_column *next;
};

struct roster {
	const struct kind *kind;
	enum target_kind id;
	const struct snapshot *snapshot; /* of the last update; borrowed until the next */
	struct roster_slot *slots;
	size_t count, capacity; /* slots ever used; room: 64, 128, ... */
	uint32_t *changed;	/* slots that came, went, or whose strings may have changed */
	size_t changed_count;
	struct roster_column *columns;
	uint32_t *index; /* open addressing, slot + 1; 0: free */
	size_t index_size;
	uint64_t generation;
	size_t present; /* targets that are there */
};

/* NULL when memory is short. */
struct roster *roster__new(enum target_kind kind);
void roster__free(struct roster *roster);
/* A column, shared by all who ask for the same; NULL when memory is short. */
struct roster_column *roster__column(struct roster *roster, const struct field *field, bool is_rate,
				     double over);
/* Columns that nobody has asked for since roster__unwant are freed. */
void roster__unwant(struct roster *roster);
void roster__sweep_columns(struct roster *roster);
/*
 * Finds the snapshot's targets and fills in the columns. now: seconds, monotonic. The snapshot has
 * to live until the next update. -ENOMEM: some targets are left out.
 */
int roster__update(struct roster *roster, const struct snapshot *snapshot, struct follows *follows,
		   double now);
struct target_view roster__view(const struct roster *roster, size_t slot);
void roster__hold(struct roster *roster, size_t slot);
void roster__release(struct roster *roster, size_t slot);

#endif
