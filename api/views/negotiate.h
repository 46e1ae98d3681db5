/* SPDX-License-Identifier: BSD-2-Clause */
/* What a client's Accept headers ask for. Headers are hostile input; what cannot be read is
 * ignored. */
#ifndef DIRTYSCOPE_API_VIEWS_NEGOTIATE_H
#define DIRTYSCOPE_API_VIEWS_NEGOTIATE_H

#include <stdbool.h>

/* Does Accept prefer OpenMetrics 1.0 to plain text? Text is the answer to everything else. */
bool accept__openmetrics(const char *accept);
/* Does Accept name HTML, and prefer it to JSON? A browser's does; that of curl and of scripts,
 * which take anything, does not. */
bool accept__html(const char *accept);
/* Does Accept-Encoding allow gzip? */
bool accept__gzip(const char *accept_encoding);
/*
 * May a request with this Host header be answered? Only literal addresses, localhost and the name
 * of this machine may: a foreign name means that a web page had its own name resolve to us. "" is
 * allowed.
 */
bool host__allowed(const char *host);

#endif
