/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/base/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define REPLACEMENT 0xFFFD
#define FIRST_CAPACITY 256

void text__free(struct text *text)
{
	free(text->data);
	*text = (struct text){0};
}

/* Room for `more` bytes and the NUL; doubles, so that n appends copy O(n) bytes. */
static bool text__reserve(struct text *text, size_t more)
{
	size_t capacity = text->capacity ? text->capacity : FIRST_CAPACITY;
	size_t need;
	char *data;

	if (text->failed)
		return false;
	if (more < text->capacity - text->length)
		return true;
	if (__builtin_add_overflow(text->length, more, &need) || need >= SIZE_MAX / 2)
		goto fail;
	while (capacity <= need)
		capacity *= 2;
	data = realloc(text->data, capacity);
	if (!data)
		goto fail;
	text->data = data;
	text->capacity = capacity;
	return true;
fail:
	text->failed = true;
	return false;
}

void text__append(struct text *text, const char *data, size_t length)
{
	if (!text__reserve(text, length))
		return;
	memcpy(text->data + text->length, data, length);
	text->length += length;
	text->data[text->length] = '\0';
}

void text__puts(struct text *text, const char *string)
{
	text__append(text, string, strlen(string));
}

void text__putc(struct text *text, char c)
{
	if (!text__reserve(text, 1))
		return;
	text->data[text->length++] = c;
	text->data[text->length] = '\0';
}

/* Two digits a step: every metric value goes through here. */
static const char digit_pairs[201] = "00010203040506070809"
				     "10111213141516171819"
				     "20212223242526272829"
				     "30313233343536373839"
				     "40414243444546474849"
				     "50515253545556575859"
				     "60616263646566676869"
				     "70717273747576777879"
				     "80818283848586878889"
				     "90919293949596979899";

void text__u64(struct text *text, uint64_t value)
{
	char digits[20];
	char *start = digits + sizeof(digits);

	while (value >= 100) {
		start -= 2;
		memcpy(start, digit_pairs + 2 * (value % 100), 2);
		value /= 100;
	}
	if (value >= 10) {
		start -= 2;
		memcpy(start, digit_pairs + 2 * value, 2);
	} else {
		*--start = (char)('0' + value);
	}
	text__append(text, start, (size_t)(digits + sizeof(digits) - start));
}

void text__i64(struct text *text, int64_t value)
{
	uint64_t magnitude = (uint64_t)value;

	if (value < 0) {
		text__putc(text, '-');
		magnitude = 0 - magnitude;
	}
	text__u64(text, magnitude);
}

void text__double(struct text *text, double value)
{
	char form[40];

	if (!isfinite(value)) {
		text__putc(text, '0');
		return;
	}
	/* Whole numbers are the common case, and cheap. */
	if (fabs(value) < 1e15 && value == (double)(int64_t)value) {
		text__i64(text, (int64_t)value);
		return;
	}
	/* Subnormals have fewer than 15 digits to give. */
	for (int precision = fabs(value) < 1e-300 ? 1 : 15; precision <= 17; precision++) {
		snprintf(form, sizeof(form), "%.*g", precision, value);
		if (strtod(form, NULL) == value)
			break;
	}
	/* A locale may have put its own decimal point. */
	for (char *c = form; *c; c++) {
		if (!strchr("0123456789+-e", *c))
			*c = '.';
	}
	text__puts(text, form);
}

void text__printf(struct text *text, const char *format, ...)
{
	va_list arguments, again;
	int length;

	va_start(arguments, format);
	va_copy(again, arguments);
	length = vsnprintf(NULL, 0, format, arguments);
	if (length < 0)
		text->failed = true;
	else if (text__reserve(text, (size_t)length)) {
		vsnprintf(text->data + text->length, (size_t)length + 1, format, again);
		text->length += (size_t)length;
	}
	va_end(again);
	va_end(arguments);
}

/*
 * Decodes as Unicode's "maximal subpart" practice says: a cut sequence is one replacement, and the
 * byte that broke it is looked at again.
 */
static size_t utf8__decode(const char *data, size_t length, uint32_t *code, bool *valid)
{
	const unsigned char *bytes = (const unsigned char *)data;
	unsigned char low = 0x80, high = 0xBF;
	uint32_t value;
	size_t more;

	*code = REPLACEMENT;
	*valid = false;
	if (bytes[0] < 0x80) {
		*code = bytes[0];
		*valid = true;
		return 1;
	}
	if (bytes[0] < 0xC2 || bytes[0] > 0xF4)
		return 1;
	more = bytes[0] < 0xE0 ? 1 : bytes[0] < 0xF0 ? 2 : 3;
	value = bytes[0] & (0x3F >> more);
	/* No overlong forms, no surrogates, nothing above U+10FFFF. */
	if (bytes[0] == 0xE0)
		low = 0xA0;
	else if (bytes[0] == 0xED)
		high = 0x9F;
	else if (bytes[0] == 0xF0)
		low = 0x90;
	else if (bytes[0] == 0xF4)
		high = 0x8F;
	for (size_t i = 1; i <= more; i++) {
		if (i >= length || bytes[i] < low || bytes[i] > high)
			return i;
		value = value << 6 | (bytes[i] & 0x3F);
		low = 0x80;
		high = 0xBF;
	}
	*code = value;
	*valid = true;
	return more + 1;
}

size_t utf8__next(const char *data, size_t length, uint32_t *code)
{
	bool valid;

	if (length == 0) {
		*code = REPLACEMENT;
		return 1;
	}
	return utf8__decode(data, length, code, &valid);
}

bool utf8__valid(const char *data, size_t length)
{
	for (size_t i = 0; i < length;) {
		uint32_t code;
		bool valid;

		i += utf8__decode(data + i, length - i, &code, &valid);
		if (!valid)
			return false;
	}
	return true;
}

void text__put_code(struct text *text, uint32_t code)
{
	char bytes[4];
	size_t length;

	if (code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
		code = REPLACEMENT;
	if (code < 0x80) {
		bytes[0] = (char)code;
		length = 1;
	} else if (code < 0x800) {
		bytes[0] = (char)(0xC0 | code >> 6);
		bytes[1] = (char)(0x80 | (code & 0x3F));
		length = 2;
	} else if (code < 0x10000) {
		bytes[0] = (char)(0xE0 | code >> 12);
		bytes[1] = (char)(0x80 | (code >> 6 & 0x3F));
		bytes[2] = (char)(0x80 | (code & 0x3F));
		length = 3;
	} else {
		bytes[0] = (char)(0xF0 | code >> 18);
		bytes[1] = (char)(0x80 | (code >> 12 & 0x3F));
		bytes[2] = (char)(0x80 | (code >> 6 & 0x3F));
		bytes[3] = (char)(0x80 | (code & 0x3F));
		length = 4;
	}
	text__append(text, bytes, length);
}

static bool is_control(uint32_t code)
{
	return code < 0x20 || (code >= 0x7F && code < 0xA0);
}

/* Code points that change the direction or the lines of a terminal's text without being seen. */
static bool is_layout(uint32_t code)
{
	return code == 0x061C || (code >= 0x200B && code <= 0x200F) ||
	       (code >= 0x2028 && code <= 0x202E) || (code >= 0x2060 && code <= 0x206F) ||
	       code == 0xFEFF;
}

/* Bytes at the start of `data` that every writer below may copy as they are. */
static size_t plain_run(const char *data, size_t length)
{
	size_t run = 0;

	while (run < length && data[run] >= 0x20 && data[run] < 0x7F && data[run] != '"' &&
	       data[run] != '\\')
		run++;
	return run;
}

/* Both quote alike, but for control characters: only JSON has an escape for them. */
static void put_quoted(struct text *text, const char *string, bool escapes_controls)
{
	size_t length = strlen(string);

	text__putc(text, '"');
	for (size_t i = 0; i < length;) {
		size_t run = plain_run(string + i, length - i);
		uint32_t code;

		if (run) {
			text__append(text, string + i, run);
			i += run;
			continue;
		}
		i += utf8__next(string + i, length - i, &code);
		if (code == '"' || code == '\\') {
			text__putc(text, '\\');
			text__putc(text, (char)code);
		} else if (code == '\n') {
			text__append(text, "\\n", 2);
		} else if (is_control(code) && escapes_controls) {
			text__printf(text, "\\u%04x", code);
		} else {
			text__put_code(text, is_control(code) ? REPLACEMENT : code);
		}
	}
	text__putc(text, '"');
}

void text__json_string(struct text *text, const char *string)
{
	put_quoted(text, string, true);
}

void text__label_value(struct text *text, const char *string)
{
	put_quoted(text, string, false);
}

void text__terminal(struct text *text, const char *string)
{
	static const char hex[] = "0123456789abcdef";
	size_t length = strlen(string);

	for (size_t i = 0; i < length;) {
		uint32_t code;
		bool valid;
		size_t taken = utf8__decode(string + i, length - i, &code, &valid);

		if (valid && !is_control(code) && !is_layout(code)) {
			text__append(text, string + i, taken);
		} else {
			for (size_t byte = i; byte < i + taken; byte++) {
				char escape[4] = {'\\', 'x', hex[(unsigned char)string[byte] >> 4],
						  hex[(unsigned char)string[byte] & 15]};

				text__append(text, escape, sizeof(escape));
			}
		}
		i += taken;
	}
}

void text__time(struct text *text, const struct timespec *time)
{
	struct tm tm;

	if (!gmtime_r(&time->tv_sec, &tm) || tm.tm_year < -1900 || tm.tm_year > 9999 - 1900) {
		text__puts(text, "1970-01-01T00:00:00.000Z");
		return;
	}
	text__printf(text, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ", tm.tm_year + 1900, tm.tm_mon + 1,
		     tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, time->tv_nsec / 1000000);
}
