/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Processes' identities by number: each is written once, and then told of by its number as long as
 * snapshots in a row have it. Writer and reader keep the same book, so neither grows for ever.
 */
#ifndef DIRTYSCOPE_AGENT_RECORD_IDENTITY_TABLE_H
#define DIRTYSCOPE_AGENT_RECORD_IDENTITY_TABLE_H

#include <stdint.h>

#include "agent/snapshot/snapshot.h"

struct book;
/* NULL when memory is short. */
struct book *book__new(void);
void book__free(struct book *book);
/* Forgets all: the other side begins anew. */
void book__clear(struct book *book);
/* Its number, 1 or more; 0: it has none yet. Marks it as in use. */
uint64_t book__number(struct book *book, const struct process_identity *identity);
/* The identity, without a reference for the caller, or NULL. Marks it as in use. */
struct process_identity *book__find(struct book *book, uint64_t number);
/* The number after the last one given, for what comes next. */
uint64_t book__next(const struct book *book);
/* Gives it that number and takes a reference. -ENOMEM. */
int book__add(struct book *book, struct process_identity *identity);
/* A snapshot ends: what was not in use since the last call is forgotten. */
void book__turn(struct book *book);

#endif
