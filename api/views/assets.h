/* SPDX-License-Identifier: BSD-2-Clause */
/* The web page: files of dashboards/web, linked in, each of them plain and compressed. */
#ifndef DIRTYSCOPE_API_VIEWS_ASSETS_H
#define DIRTYSCOPE_API_VIEWS_ASSETS_H

#include "api/views/answer.h"

/*
 * What a browser may do with the page: run, style and ask what is ours, and nothing else. The page
 * shows names that any process can choose, so markup made from strings is forbidden, too.
 */
#define ASSETS_POLICY                                                                         \
	"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "       \
	"img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " \
	"require-trusted-types-for 'script'; trusted-types 'none'"

/*
 * Answers GET and HEAD of one of the files, and of "/" for who prefers HTML to JSON. False: none of
 * them was asked for, and the answer is as it was.
 */
bool assets__answer(const struct route_call *call, const char *path, struct answer *answer);

#endif
