/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/base/token.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

int token__read(const char *path, char token[TOKEN_MAX], struct reason *why)
{
	ssize_t length;
	size_t start = 0, end;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY), err;

	length = fd < 0 ? -1 : read(fd, token, TOKEN_MAX);
	err = length < 0 ? -errno : 0;
	if (fd >= 0)
		close(fd);
	if (err) {
		reason__set(why, "cannot read the token file %s: %s", path, strerror(-err));
		return err;
	}
	if (length == TOKEN_MAX) {
		reason__set(why, "the token file %s is longer than %d bytes", path, TOKEN_MAX - 1);
		return -EINVAL;
	}
	end = (size_t)length;
	while (end > 0 && is_blank(token[end - 1]))
		end--;
	while (start < end && is_blank(token[start]))
		start++;
	if (start == end) {
		reason__set(why, "the token file %s is empty", path);
		return -EINVAL;
	}
	/* A line break inside would let the file write headers of its own. */
	for (size_t i = start; i < end; i++)
		if (token[i] <= ' ' || token[i] > '~') {
			reason__set(why,
				    "the token file %s holds more than one line of printable ASCII",
				    path);
			return -EINVAL;
		}
	memmove(token, token + start, end - start);
	token[end - start] = '\0';
	return 0;
}
