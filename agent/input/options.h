/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Typed option tables: a command describes its options once; parsing, --help and the
 * configuration file follow from the table.
 */
#ifndef DIRTYSCOPE_AGENT_INPUT_OPTIONS_H
#define DIRTYSCOPE_AGENT_INPUT_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/option_values.h"
#include "agent/base/reason.h"

enum option_type {
	OPTION_FLAG,	/* bool; takes no value (in a file: true, false) */
	OPTION_STRING,	/* const char *; points into argv, or into a struct option_strings */
	OPTION_LIST,	/* struct option_list; may be repeated */
	OPTION_U32,	/* uint32_t, min..max */
	OPTION_SIZE,	/* uint64_t bytes, min..max; suffixes K, M, G, T (powers of 1024) */
	OPTION_SECONDS, /* double, min..max; "0.5", also "500ms", "2s", "1m" */
};

struct option_row {
	const char *name; /* "web.listen-address", without the dashes; ends the table when NULL */
	char letter;	  /* 0: none */
	enum option_type type;
	size_t offset; /* of the field in the command's configuration struct */
	double min, max;
	const char *value; /* its name in --help: "SECONDS" */
	const char *help;  /* one line; the default is added by the caller's text */
	/* Of a STRING or LIST value: NULL when it is good, else why not. May be NULL. */
	const char *(*check)(const char *value);
};

void option_strings__free(struct option_strings *strings);

/*
 * Parses argv[1..] into *config. Returns the number of operands (stored in operands, at most
 * max_operands), or -EINVAL with *error filled in. "--name=value", "--name value", "-nvalue",
 * "-n value", "--" and "-" as usual. Of a repeated option the last one wins; a repeated OPTION_LIST
 * adds up, and replaces what *config held before. --help is for the caller to put into its table
 * (OPTION_FLAG).
 */
int options__parse(const struct option_row *table, int argc, char *const *argv, void *config,
		   const char **operands, int max_operands, struct reason *error);
/*
 * Reads a YAML mapping of option names to scalars (or lists, for OPTION_LIST) into *config.
 * Errors say file, line and column. Unknown or repeated names, wrong types and values out of range
 * are refused, and *config is then unchanged. Returns 0, -EINVAL, or another negative errno when
 * the file cannot be read. The strings in *config live until option_strings__free.
 */
int options__read_file(const struct option_row *table, const char *path, void *config,
		       struct option_strings *strings, struct reason *error);
/* Writes the table as --help shows it: one option a line, aligned. */
struct text;
void options__help(const struct option_row *table, struct text *out);

#endif
