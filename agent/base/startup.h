/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How far a start is, told by the thread that starts to those that are asked meanwhile, and the
 * wish that it end. Thread-safe.
 */
#ifndef DIRTYSCOPE_AGENT_BASE_STARTUP_H
#define DIRTYSCOPE_AGENT_BASE_STARTUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct startup;

/* NULL when memory is short. */
struct startup *startup__new(void);
void startup__free(struct startup *startup);

/*
 * What is being done now, a literal: "loading programs", the done-th of so many; of: 0 where it is
 * one piece. A NULL startup is fine here and below: nobody asks, and nobody ends it.
 */
void startup__tell(struct startup *startup, const char *step, uint32_t done, uint32_t of);
/* "loading programs, 31 of 58", or "" before the first step. */
void startup__text(struct startup *startup, char *text, size_t size);

void startup__cancel(struct startup *startup);
/* Looked at between steps; whoever is told so ends with -ECANCELED. */
bool startup__cancelled(const struct startup *startup);

#endif
