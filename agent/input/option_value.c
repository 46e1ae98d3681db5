/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/input/option_value.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/text.h"

struct unit {
	const char *suffix;
	double factor;
};

static const struct unit size_units[] = {
	{"", 1},
	{"K", 1024.0},
	{"M", 1024.0 * 1024},
	{"G", 1024.0 * 1024 * 1024},
	{"T", 1024.0 * 1024 * 1024 * 1024},
	{NULL, 0},
};

static const struct unit time_units[] = {
	{"", 1}, {"ms", 0.001}, {"s", 1}, {"m", 60}, {"h", 3600}, {NULL, 0},
};

static const struct unit *find_unit(const struct unit *units, const char *suffix)
{
	for (; units->suffix; units++)
		if (strcmp(units->suffix, suffix) == 0)
			return units;
	return NULL;
}

/* Digits only: strtoull alone would take blanks, signs and hexadecimal. */
static int parse_digits(const char *string, uint64_t *number, const char **rest)
{
	uint64_t value = 0;
	const char *at = string;

	for (; *at >= '0' && *at <= '9'; at++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*at - '0'), &value))
			return -ERANGE;
	if (at == string)
		return -EINVAL;
	*number = value;
	*rest = at;
	return 0;
}

/* Bounds are shown as a user writes them. */
static void put_bound(struct text *out, const struct option_row *row, double bound)
{
	static const char letters[] = "KMGT";
	int power = 0;

	if (row->type != OPTION_SIZE) {
		text__double(out, bound);
		return;
	}
	while (power < 4 && bound >= 1024 && fmod(bound, 1024) == 0) {
		bound /= 1024;
		power++;
	}
	text__double(out, bound);
	if (power)
		text__putc(out, letters[power - 1]);
}

static int out_of_range(const struct option_row *row, const char *string, struct reason *why)
{
	struct text range = {0};

	put_bound(&range, row, row->min);
	text__puts(&range, " to ");
	put_bound(&range, row, row->max);
	reason__set(why, "'%s' is out of range (%s)", string, range.failed ? "?" : range.data);
	text__free(&range);
	return -EINVAL;
}

static int parse_u32(const struct option_row *row, const char *string, struct option_value *value,
		     struct reason *why)
{
	const char *rest;
	uint64_t number;
	int err = parse_digits(string, &number, &rest);

	if (err == -EINVAL || (!err && *rest)) {
		reason__set(why, "'%s' is not a whole number", string);
		return -EINVAL;
	}
	if (err || (double)number < row->min || (double)number > row->max || number > UINT32_MAX)
		return out_of_range(row, string, why);
	value->number = (uint32_t)number;
	return 0;
}

static int parse_size(const struct option_row *row, const char *string, struct option_value *value,
		      struct reason *why)
{
	const struct unit *unit = NULL;
	const char *rest;
	uint64_t number;
	int err = parse_digits(string, &number, &rest);

	if (!err)
		unit = find_unit(size_units, rest);
	if (err == -EINVAL || (!err && !unit)) {
		reason__set(
			why,
			"'%s' is not a size: write a whole number of bytes, or one with K, M, G "
			"or T",
			string);
		return -EINVAL;
	}
	if (err || __builtin_mul_overflow(number, (uint64_t)unit->factor, &number) ||
	    (double)number < row->min || (double)number > row->max)
		return out_of_range(row, string, why);
	value->size = number;
	return 0;
}

static int parse_seconds(const struct option_row *row, const char *string,
			 struct option_value *value, struct reason *why)
{
	const struct unit *unit;
	char *rest = (char *)string;
	double number;

	/* strtod alone would take "nan", "inf", hexadecimal, exponents, blanks and a locale's
	 * comma. */
	rest += strspn(string, "0123456789");
	if (*rest == '.')
		rest += 1 + strspn(rest + 1, "0123456789");
	unit = find_unit(time_units, rest);
	if (rest == string || strspn(string, ".") == (size_t)(rest - string) || !unit) {
		reason__set(why,
			    "'%s' is not a time: write seconds, or a number with ms, s, m or h",
			    string);
		return -EINVAL;
	}
	number = strtod(string, NULL) * unit->factor;
	if (!isfinite(number) || number < row->min || number > row->max)
		return out_of_range(row, string, why);
	value->seconds = number;
	return 0;
}

static int parse_flag(const char *string, struct option_value *value, struct reason *why)
{
	value->flag = strcmp(string, "true") == 0;
	if (value->flag || strcmp(string, "false") == 0)
		return 0;
	reason__set(why, "'%s' is neither true nor false", string);
	return -EINVAL;
}

static int parse_string(const struct option_row *row, const char *string,
			struct option_value *value, struct reason *why)
{
	const char *reason = row->check ? row->check(string) : NULL;

	value->string = string;
	if (!reason)
		return 0;
	reason__set(why, "'%s' %s", string, reason);
	return -EINVAL;
}

int option_value__parse(const struct option_row *row, const char *string,
			struct option_value *value, struct reason *why)
{
	int err = -EINVAL;

	switch (row->type) {
	case OPTION_FLAG:
		err = parse_flag(string, value, why);
		break;
	case OPTION_STRING:
	case OPTION_LIST:
		err = parse_string(row, string, value, why);
		break;
	case OPTION_U32:
		err = parse_u32(row, string, value, why);
		break;
	case OPTION_SIZE:
		err = parse_size(row, string, value, why);
		break;
	case OPTION_SECONDS:
		err = parse_seconds(row, string, value, why);
		break;
	}
	value->set = !err;
	return err;
}

int option_list__add(struct option_list *list, const char *string, struct reason *why)
{
	for (size_t i = 0; i < list->count; i++) {
		if (strcmp(list->values[i], string) == 0) {
			reason__set(why, "'%s' is given twice", string);
			return -EINVAL;
		}
	}
	if (list->count == OPTION_LIST_MAX) {
		reason__set(why, "more than %d values", OPTION_LIST_MAX);
		return -EINVAL;
	}
	list->values[list->count++] = string;
	return 0;
}

void option_value__store(const struct option_row *row, const struct option_value *value,
			 void *config)
{
	void *field = (char *)config + row->offset;

	switch (row->type) {
	case OPTION_FLAG:
		*(bool *)field = value->flag;
		break;
	case OPTION_STRING:
		*(const char **)field = value->string;
		break;
	case OPTION_LIST:
		*(struct option_list *)field = value->list;
		break;
	case OPTION_U32:
		*(uint32_t *)field = value->number;
		break;
	case OPTION_SIZE:
		*(uint64_t *)field = value->size;
		break;
	case OPTION_SECONDS:
		*(double *)field = value->seconds;
		break;
	}
}
