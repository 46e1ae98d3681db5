/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a rule can be about: kinds of targets, and their fields, named as in the API. One table of
 * kinds; each has one table of fields.
 */
#ifndef DIRTYSCOPE_AGENT_POLICIES_RULES_KINDS_H
#define DIRTYSCOPE_AGENT_POLICIES_RULES_KINDS_H

#include "agent/snapshot/snapshot.h"

enum target_kind {
	TARGET_PROCESS,
	TARGET_CGROUP,
	TARGET_VM,
	TARGET_DEVICE,
	TARGET_FLOW,
	TARGET_HOST,
	TARGET_SENSOR,
	TARGET_KINDS,
};

/* What a track that a policy keeps on a target found in its last epoch, and what that foretells. */
struct policy_track_facts {
	uint64_t track; /* 0: there is none */
	uint64_t epoch;
	double rate; /* pages per second */
	uint64_t cpu, dma, all, missed;
	bool forecast; /* what follows is known */
	bool converges;
	double seconds, downtime, bytes, cpu_share, device_share;
	char device[64]; /* with the largest share; "": none wrote */
};

/* One target as of one snapshot. */
struct target_view {
	const void *item; /* struct snapshot_process and so on, by kind; struct snapshot: host */
	const struct snapshot *snapshot;
	const struct policy_track_facts *policy_track; /* NULL: no policy has a track on it */
};

enum field_type {
	FIELD_U64, /* at `offset` of the item */
	FIELD_U32,
	FIELD_DOUBLE,
	FIELD_CALL,    /* `number` gives it */
	FIELD_STRING,  /* `string` gives it */
	FIELD_STRINGS, /* a list of them: `string` gives one after the other */
};

struct field {
	const char *name; /* NULL ends the table */
	enum field_type type;
	size_t offset;
	double (*number)(const struct target_view *view); /* NAN: not known */
	/* NULL: there is no such one. */
	const char *(*string)(const struct target_view *view, size_t index);
};

/* What a target is, for as long as it lives: two of a kind are the same when these are equal. */
struct target_key {
	uint64_t first, second; /* pid and start; 0 where the name says it */
	const char *name;	/* id or name; "" */
};

bool target_key__equals(const struct target_key *left, const struct target_key *right);

struct kind {
	const char *name;
	size_t item_size;
	const void *(*items)(const struct snapshot *snapshot, size_t *count);
	struct target_key (*key)(const void *item);
	bool (*present)(const void *item); /* still there: neither exited nor unplugged */
	/* Changes when a field of the type STRING may have; the same number otherwise. */
	uint64_t (*facts)(const void *item);
	const struct field *fields;
	bool followed; /* tracks can be kept on it: it has the fields of follow_facts as well */
};
extern const struct kind target_kinds[TARGET_KINDS];

/* NULL: this kind has none of that name. */
const struct field *kind__field(const struct kind *kind, const char *name);
/* NAN: not known. Of a field that is no string. */
double field__number(const struct field *field, const struct target_view *view);
bool field__is_number(const struct field *field);
/* Appends its value as text; "?" when it is not known. */
struct text;
void field__print(const struct field *field, const struct target_view *view, struct text *out);
/* All names, for messages: "pid, comm, ...". */
void kind__names(const struct kind *kind, struct text *out);

#endif
