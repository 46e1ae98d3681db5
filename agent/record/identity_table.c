/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/record/identity_table.h"

#include <errno.h>
#include <stdlib.h>

/* uthash ends the process where memory is short, unless told otherwise. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct entry {
	UT_hash_handle by_identity, by_number;
	struct process_identity
		*identity; /* a reference is held, so that no other has its address */
	uint64_t number, used;
};

struct identity_table {
	struct entry *identities, *numbers;
	uint64_t last, turn;
};

struct identity_table *identity_table__new(void)
{
	return calloc(1, sizeof(struct identity_table));
}

static void forget(struct identity_table *identities, struct entry *entry)
{
	HASH_DELETE(by_identity, identities->identities, entry);
	HASH_DELETE(by_number, identities->numbers, entry);
	process_identity__put(entry->identity);
	free(entry);
}

void identity_table__clear(struct identity_table *identities)
{
	struct entry *entry, *next;

	HASH_ITER (by_number, identities->numbers, entry, next)
		forget(identities, entry);
	identities->last = 0;
}

void identity_table__free(struct identity_table *identities)
{
	if (!identities)
		return;
	identity_table__clear(identities);
	free(identities);
}

uint64_t identity_table__number(struct identity_table *identities,
				const struct process_identity *identity)
{
	struct entry *entry;

	HASH_FIND(by_identity, identities->identities, &identity, sizeof(identity), entry);
	if (!entry)
		return 0;
	entry->used = identities->turn;
	return entry->number;
}

struct process_identity *identity_table__find(struct identity_table *identities, uint64_t number)
{
	struct entry *entry;

	HASH_FIND(by_number, identities->numbers, &number, sizeof(number), entry);
	if (!entry)
		return NULL;
	entry->used = identities->turn;
	return entry->identity;
}

uint64_t identity_table__next(const struct identity_table *identities)
{
	return identities->last + 1;
}

int identity_table__add(struct identity_table *identities, struct process_identity *identity)
{
	struct entry *entry = calloc(1, sizeof(*entry));

	if (!entry)
		return -ENOMEM;
	entry->identity = identity;
	entry->number = identities->last + 1;
	entry->used = identities->turn;
	HASH_ADD(by_identity, identities->identities, identity, sizeof(entry->identity), entry);
	if (!entry->by_identity.tbl) {
		free(entry);
		return -ENOMEM;
	}
	HASH_ADD(by_number, identities->numbers, number, sizeof(entry->number), entry);
	if (!entry->by_number.tbl) {
		HASH_DELETE(by_identity, identities->identities, entry);
		free(entry);
		return -ENOMEM;
	}
	process_identity__get(identity);
	identities->last++;
	return 0;
}

void identity_table__turn(struct identity_table *identities)
{
	struct entry *entry, *next;

	HASH_ITER (by_number, identities->numbers, entry, next)
		if (entry->used != identities->turn)
			forget(identities, entry);
	identities->turn++;
}
