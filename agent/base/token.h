/* SPDX-License-Identifier: BSD-2-Clause */
/* A bearer token in a file: one line of printable ASCII, blanks around it do not count. */
#ifndef DIRTYSCOPE_AGENT_BASE_TOKEN_H
#define DIRTYSCOPE_AGENT_BASE_TOKEN_H

#include <stddef.h>

#include "agent/base/reason.h"

#define TOKEN_MAX 4096 /* bytes, its end included */

/* 0, or a negative errno with a sentence in why; -EINVAL: it is none. */
int token__read(const char *path, char token[TOKEN_MAX], struct reason *why);

#endif
