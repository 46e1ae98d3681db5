/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Processes' identities by number: each is written once, and then told of by its number as long as
 * snapshots in a row have it. Writer and reader keep the same table, so neither grows for ever.
 */
#ifndef DIRTYSCOPE_AGENT_RECORD_IDENTITY_TABLE_H
#define DIRTYSCOPE_AGENT_RECORD_IDENTITY_TABLE_H

#include <stdint.h>

#include "agent/snapshot/snapshot.h"

struct identity_table;
/* NULL when memory is short. */
struct identity_table *identity_table__new(void);
void identity_table__free(struct identity_table *identities);
/* Forgets all: the other side begins anew. */
void identity_table__clear(struct identity_table *identities);
/* Its number, 1 or more; 0: it has none yet. Marks it as in use. */
uint64_t identity_table__number(struct identity_table *identities,
				const struct process_identity *identity);
/* The identity, without a reference for the caller, or NULL. Marks it as in use. */
struct process_identity *identity_table__find(struct identity_table *identities, uint64_t number);
/* The number after the last one given, for what comes next. */
uint64_t identity_table__next(const struct identity_table *identities);
/* Gives it that number and takes a reference. -ENOMEM. */
int identity_table__add(struct identity_table *identities, struct process_identity *identity);
/* A snapshot ends: what was not in use since the last call is forgotten. */
void identity_table__turn(struct identity_table *identities);

#endif
