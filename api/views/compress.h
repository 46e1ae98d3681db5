/* SPDX-License-Identifier: BSD-2-Clause */
/* Bodies in gzip, for clients that ask for it. */
#ifndef DIRTYSCOPE_API_VIEWS_COMPRESS_H
#define DIRTYSCOPE_API_VIEWS_COMPRESS_H

#include "agent/base/text.h"

/*
 * Writes `from` into the empty `to`, compressed: 0, or -ENOMEM, and `to` is empty then. Some 40 MB
 * a second and core, to a sixth and less of what the lists and metrics of an agent take.
 */
int text__gzip(const struct text *from, struct text *to);

#endif
