/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/host/proc_status.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/files.h"

#define STATUS_MAX (1u << 20) /* 65536 groups (NGROUPS_MAX) take 720 KiB */
#define NUMBER_MAX 64

/* Of a text of lines, which it changes. */
static int find(char *text, const char *name, char *value, size_t size)
{
	const size_t length = strlen(name);
	char *line = text, *end;

	for (; line; line = end ? end + 1 : NULL) {
		end = strchr(line, '\n');
		if (strncmp(line, name, length) != 0 || line[length] != ':')
			continue;
		line += length + 1;
		line += strspn(line, " \t");
		if (end)
			*end = '\0';
		if (strlen(line) >= size)
			return -ENAMETOOLONG;
		memcpy(value, line, strlen(line) + 1);
		return 0;
	}
	return -ENODATA;
}

int proc_status__text(int directory, const char *path, const char *name, char *value, size_t size)
{
	size_t length;
	char *text;
	int err = files__read_all(directory, path, STATUS_MAX, &text, &length);

	*value = '\0';
	if (err)
		return err;
	err = find(text, name, value, size);
	free(text);
	return err;
}

/* Digits, and nothing but `unit` behind them. */
static bool parse(const char *text, int base, const char *unit, uint64_t *value)
{
	char *end;

	errno = 0;
	*value = strtoull(text, &end, base);
	return !errno && end != text && text[0] != '-' && strcmp(end, unit) == 0;
}

static int number(int directory, const char *path, const char *name, int base, const char *unit,
		  uint64_t *value)
{
	char text[NUMBER_MAX];
	int err = proc_status__text(directory, path, name, text, sizeof(text));

	if (err)
		return err;
	return parse(text, base, unit, value) ? 0 : -EINVAL;
}

int proc_status__bytes(int directory, const char *path, const char *name, uint64_t *bytes)
{
	int err = number(directory, path, name, 10, " kB", bytes);

	if (!err && *bytes > UINT64_MAX / 1024)
		err = -EINVAL;
	*bytes = err ? 0 : *bytes * 1024;
	return err;
}

int proc_status__bits(int directory, const char *path, const char *name, uint64_t *bits)
{
	return number(directory, path, name, 16, "", bits);
}
