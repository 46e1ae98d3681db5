/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A growable byte buffer, and the ways that names of the host (any bytes at all) become valid
 * text: UTF-8 with U+FFFD for what is not.
 */
#ifndef DIRTYSCOPE_AGENT_BASE_TEXT_H
#define DIRTYSCOPE_AGENT_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zero-initialise; on failure `failed` stays set, what was written stays, and appends do nothing.
 */
struct text {
	char *data; /* always NUL-terminated once something was appended */
	size_t length, capacity;
	bool failed;
};
void text__free(struct text *text);
void text__append(struct text *text, const char *data, size_t length);
void text__puts(struct text *text, const char *string);
void text__putc(struct text *text, char c);
void text__u64(struct text *text, uint64_t value);
void text__i64(struct text *text, int64_t value);
/* Shortest form that reads back as the same double; NaN and infinities as 0 (JSON has none). */
void text__double(struct text *text, double value);
void text__printf(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* One code point of up to `length` bytes: bytes taken (>= 1); *code is U+FFFD when it is not UTF-8.
 */
size_t utf8__next(const char *data, size_t length, uint32_t *code);
bool utf8__valid(const char *data, size_t length);
void text__put_code(struct text *text, uint32_t code);

/* Quoted and escaped: a JSON string; a Prometheus label value (control characters as U+FFFD). */
void text__json_string(struct text *text, const char *string);
void text__label_value(struct text *text, const char *string);
/* For a terminal: control characters and invalid bytes as \xNN; nothing can move the cursor. */
void text__terminal(struct text *text, const char *string);

/* RFC 3339 UTC with milliseconds: 2026-11-22T20:30:46.123Z. */
struct timespec;
void text__time(struct text *text, const struct timespec *time);

#endif
