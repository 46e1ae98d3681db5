/* SPDX-License-Identifier: BSD-2-Clause */
/* Structured log lines on stderr: time=... level=... msg="..." key=value. Thread-safe. */
#ifndef DIRTYSCOPE_AGENT_BASE_LOG_H
#define DIRTYSCOPE_AGENT_BASE_LOG_H

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* Set once at start, before any thread; the only process-wide setting (as libbpf's own print hook
 * is). */
void log__set_level(enum log_level level);
/* "debug", "info", "warn", "error"; -EINVAL for anything else. */
int log__parse_level(const char *name, enum log_level *level);
/* message: logfmt-quoted. pairs: printf format of further key=value pairs, may be "". */
void log__write(enum log_level level, const char *message, const char *pairs, ...)
	__attribute__((format(printf, 3, 4)));

/* Most lines have no pairs: "" is then right, and no mistake. */
#pragma GCC diagnostic ignored "-Wformat-zero-length"

#define log_debug(message, ...) log__write(LOG_DEBUG, message, __VA_ARGS__)
#define log_info(message, ...) log__write(LOG_INFO, message, __VA_ARGS__)
#define log_warn(message, ...) log__write(LOG_WARN, message, __VA_ARGS__)
#define log_error(message, ...) log__write(LOG_ERROR, message, __VA_ARGS__)

#endif
