/* SPDX-License-Identifier: BSD-2-Clause */
/* What the keys of the live view do: one table. */
#ifndef DIRTYSCOPE_DASHBOARDS_TERMINAL_LIVE_INTERACTIVE_KEYS_H
#define DIRTYSCOPE_DASHBOARDS_TERMINAL_LIVE_INTERACTIVE_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/base/text.h"

struct view;
/* key: of screen__key. */
void interactive__key(struct view *view, int key);
/* For the last line: of row i = 0, 1, ...; false behind the last. label: NULL when it has none. */
bool keys__at(size_t index, const char **shown, const char **label);
/* What the keys do, one a line. */
void keys__help(struct text *out);

#endif
