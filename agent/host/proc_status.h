/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One line of /proc/PID/status (proc_pid_status(), fs/proc/array.c): "NAME:\tVALUE". A process that
 * puts such a line into its own name gains nothing, since the kernel escapes line ends there.
 */
#ifndef DIRTYSCOPE_AGENT_HOST_PROC_STATUS_H
#define DIRTYSCOPE_AGENT_HOST_PROC_STATUS_H

#include <stddef.h>
#include <stdint.h>

/* directory and path: of the file, as in files__read. */

/*
 * The value of that line, without the space before it. -ENODATA: there is no such line, as those of
 * memory in a process that has none of its own; -ENAMETOOLONG: it does not fit; or what reading the
 * file says, -ENOENT or -ESRCH of a process that is gone.
 */
int proc_status__text(int directory, const char *path, const char *name, char *value, size_t size);
/* A decimal number of KiB, in bytes. -EINVAL: it is none; else as above. */
int proc_status__bytes(int directory, const char *path, const char *name, uint64_t *bytes);
/* A set of bits, in hexadecimal. -EINVAL: it is none; else as above. */
int proc_status__bits(int directory, const char *path, const char *name, uint64_t *bits);

#endif
