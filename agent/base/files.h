/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading small files of procfs and sysfs: bounded, never by their stated length, and safe where
 * a file, directory or link goes away at any step.
 *
 * `directory` is a descriptor, or AT_FDCWD. Errors are negative errno values.
 */
#ifndef DIRTYSCOPE_AGENT_BASE_FILES_H
#define DIRTYSCOPE_AGENT_BASE_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A descriptor that the caller closes. */
int files__open_directory(int directory, const char *path);
/*
 * Reads at most size - 1 bytes and adds a NUL. Returns the number of bytes; a longer file is cut.
 * -EINVAL for what is no regular file, so that no pipe can hold up the caller.
 */
int files__read(int directory, const char *path, char *buffer, size_t size);
/* Reads all of it into a new buffer, NUL-terminated, that the caller frees; -EFBIG beyond limit. */
int files__read_all(int directory, const char *path, size_t limit, char **data, size_t *length);
/* Reads one decimal number, alone on its line; -EINVAL for anything else. */
int files__read_u64(int directory, const char *path, uint64_t *value);
/* Reads one line, without its end. Returns its length. */
int files__read_line(int directory, const char *path, char *line, size_t size);
/* The text of a link. Returns its length; -ENAMETOOLONG when it does not fit. */
int files__read_link(int directory, const char *path, char *target, size_t size);
/* The last component of a link's text. */
int files__link_name(int directory, const char *path, char *name, size_t size);
/* Whether a name of the host may be one component of a path: no "/", not "", "." or "..". */
bool files__is_component(const char *name);
/* Digits only, nothing around them, no overflow: true, and the number in *value. */
bool files__parse_u64(const char *text, size_t length, uint64_t *value);

#endif
