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

struct book {
	struct entry *identities, *numbers;
	uint64_t last, turn;
};

struct book *book__new(void)
{
	return calloc(1, sizeof(struct book));
}

static void forget(struct book *book, struct entry *entry)
{
	HASH_DELETE(by_identity, book->identities, entry);
	HASH_DELETE(by_number, book->numbers, entry);
	process_identity__put(entry->identity);
	free(entry);
}

void book__clear(struct book *book)
{
	struct entry *entry, *next;

	HASH_ITER (by_number, book->numbers, entry, next)
		forget(book, entry);
	book->last = 0;
}

void book__free(struct book *book)
{
	if (!book)
		return;
	book__clear(book);
	free(book);
}

uint64_t book__number(struct book *book, const struct process_identity *identity)
{
	struct entry *entry;

	HASH_FIND(by_identity, book->identities, &identity, sizeof(identity), entry);
	if (!entry)
		return 0;
	entry->used = book->turn;
	return entry->number;
}

struct process_identity *book__find(struct book *book, uint64_t number)
{
	struct entry *entry;

	HASH_FIND(by_number, book->numbers, &number, sizeof(number), entry);
	if (!entry)
		return NULL;
	entry->used = book->turn;
	return entry->identity;
}

uint64_t book__next(const struct book *book)
{
	return book->last + 1;
}

int book__add(struct book *book, struct process_identity *identity)
{
	struct entry *entry = calloc(1, sizeof(*entry));

	if (!entry)
		return -ENOMEM;
	entry->identity = identity;
	entry->number = book->last + 1;
	entry->used = book->turn;
	HASH_ADD(by_identity, book->identities, identity, sizeof(entry->identity), entry);
	if (!entry->by_identity.tbl) {
		free(entry);
		return -ENOMEM;
	}
	HASH_ADD(by_number, book->numbers, number, sizeof(entry->number), entry);
	if (!entry->by_number.tbl) {
		HASH_DELETE(by_identity, book->identities, entry);
		free(entry);
		return -ENOMEM;
	}
	process_identity__get(identity);
	book->last++;
	return 0;
}

void book__turn(struct book *book)
{
	struct entry *entry, *next;

	HASH_ITER (by_number, book->numbers, entry, next)
		if (entry->used != book->turn)
			forget(book, entry);
	book->turn++;
}
