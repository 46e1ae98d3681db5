/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The members of a JSON object, described in a table. What is not in the table, is missing, or has
 * the wrong type is refused with a sentence that names it. The same holds for YAML, which is read
 * into such objects: agent/input/yaml_tree.h.
 */
#ifndef DIRTYSCOPE_AGENT_INPUT_JSON_MEMBERS_H
#define DIRTYSCOPE_AGENT_INPUT_JSON_MEMBERS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum member_type {
	MEMBER_INTEGER, /* uint64_t: min..max */
	MEMBER_NUMBER,	/* double, finite */
	MEMBER_SECONDS, /* double: a number, or "500ms", "10s", "5m"; min..max in milliseconds */
	MEMBER_SIZE,	/* uint64_t: bytes, or "64M"; min..max */
	MEMBER_BOOL,	/* bool */
	MEMBER_CHOICE,	/* unsigned: the index in `choices` */
	MEMBER_TEXT,	/* const char *, into the object: 1 to `max` bytes */
	MEMBER_OBJECT,	/* json_t *, borrowed */
	MEMBER_LIST,	/* json_t *, borrowed: an array of min..max items */
};

struct json_member_row {
	const char *name; /* NULL ends the table */
	enum member_type type;
	size_t offset; /* in the caller's struct */
	uint64_t min, max;
	const char *const *choices; /* the last NULL */
	bool required;
};

#define MEMBER_PATH_MAX 256
struct json_member_error {
	char path[MEMBER_PATH_MAX]; /* "policies[2].when.threshold"; "": the whole */
	char reason[768];	    /* what follows it in a sentence: "is not a number" */
};

/* Fills in *error, cut to what fits, and returns -EINVAL. */
int json_member_error__set(struct json_member_error *error, const char *path, const char *format,
			   ...) __attribute__((format(printf, 3, 4)));

/*
 * where: "" or "target.", before names. Members that are not given leave *out as it is. 0, or
 * -EINVAL with *error.
 */
int json_members__read(json_t *object, const struct json_member_row *table, const char *where,
		       void *out, struct json_member_error *error);

#endif
