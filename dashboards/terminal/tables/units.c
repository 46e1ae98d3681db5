/* SPDX-License-Identifier: BSD-2-Clause */
#include "dashboards/terminal/tables/units.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MOST 1e15

int units__rate(const char *text, double *bytes)
{
	static const char prefixes[] = "kMGT";
	const char *prefix;
	double base = 1000;
	char *at;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	*bytes = strtod(text, &at);
	at += strspn(at, " ");
	prefix = *at ? strchr(prefixes, *at == 'K' ? 'k' : *at) : NULL;
	if (prefix) {
		at++;
		if (*at == 'i') {
			base = 1024;
			at++;
		}
		*bytes *= pow(base, (double)(prefix - prefixes + 1));
	}
	if (strncmp(at, "bit", 3) == 0) {
		*bytes /= 8;
		at += 3;
	} else if (*at == 'B') {
		at++;
	} else {
		return -EINVAL;
	}
	if (*at && strcmp(at, "/s") != 0 && strcmp(at, "ps") != 0)
		return -EINVAL;
	return *bytes >= 1 && *bytes <= MOST ? 0 : -EINVAL;
}

void units__put_uptime(double seconds, struct text *out)
{
	unsigned long long whole = seconds > 0 && seconds < 1e15 ? (unsigned long long)seconds : 0;

	if (whole >= 86400)
		text__printf(out, "%llud ", whole / 86400);
	text__printf(out, "%02llu:%02llu:%02llu", whole / 3600 % 24, whole / 60 % 60, whole % 60);
}
