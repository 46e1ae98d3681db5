/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/text.h"

static const char *const level_names[] = {
	[LOG_DEBUG] = "debug",
	[LOG_INFO] = "info",
	[LOG_WARN] = "warn",
	[LOG_ERROR] = "error",
};
#define LEVELS (sizeof(level_names) / sizeof(level_names[0]))

/* Atomic only so that a late change is no data race; see log.h. */
static enum log_level lowest = LOG_INFO;

void log__set_level(enum log_level level)
{
	__atomic_store_n(&lowest, level, __ATOMIC_RELAXED);
}

int log__parse_level(const char *name, enum log_level *level)
{
	for (size_t i = 0; name && i < LEVELS; i++) {
		if (!strcmp(name, level_names[i])) {
			*level = (enum log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

/* Names of the host come in here: nothing may end the line, or move a terminal's cursor. */
static void append_safe(struct text *line, const char *string, bool quoted)
{
	size_t length = strlen(string);

	for (size_t i = 0, taken; i < length; i += taken) {
		uint32_t code;

		taken = utf8__next(string + i, length - i, &code);
		if (quoted && (code == '"' || code == '\\')) {
			text__putc(line, '\\');
			text__putc(line, string[i]);
		} else if (code == '\n') {
			text__puts(line, "\\n");
		} else if (code == '\t') {
			text__puts(line, "\\t");
		} else if (code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x2028 ||
			   code == 0x2029) {
			text__printf(line, "\\u%04x", (unsigned int)code);
		} else {
			text__put_code(line, code);
		}
	}
}

void log__write(enum log_level level, const char *message, const char *pairs, ...)
{
	struct text line = {};
	struct timespec now;
	char formatted[1024];
	ssize_t written;

	if (level < __atomic_load_n(&lowest, __ATOMIC_RELAXED) || level > LOG_ERROR)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	text__puts(&line, "time=");
	text__time(&line, &now);
	text__printf(&line, " level=%s msg=\"", level_names[level]);
	append_safe(&line, message, true);
	text__putc(&line, '"');
	if (pairs && *pairs) {
		va_list list;

		va_start(list, pairs);
		if (vsnprintf(formatted, sizeof(formatted), pairs, list) > 0) {
			text__putc(&line, ' ');
			append_safe(&line, formatted, false);
		}
		va_end(list);
	}
	text__putc(&line, '\n');
	/* One call a line, so that the lines of several threads do not mix. */
	do {
		written = line.failed ? 0 : write(STDERR_FILENO, line.data, line.length);
	} while (written < 0 && errno == EINTR);
	text__free(&line);
}
