/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What procfs says. `root` is where it is mounted, "/proc". Errors are negative errno values:
 * -ENOENT or -ESRCH for what is gone. Content is hostile: processes choose their names.
 */
#ifndef DIRTYSCOPE_AGENT_HOST_PROCFS_H
#define DIRTYSCOPE_AGENT_HOST_PROCFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/snapshot/snapshot.h"
#include "agent/host/hypervisor.h"
#include "agent/host/users.h"

#define PROCFS_CMDLINE_MAX 4096 /* bytes of a command line that are kept */
#define PROCFS_FDS_MAX 4096	/* descriptors of a process that are looked at */

struct procfs_stat {
	char comm[DS_COMM_LEN]; /* any bytes; cut, as longer ones exist (kernel workers) */
	char state;		/* 'R', 'S', 'D', 'T', 'Z', ... */
	bool kernel_thread;
	uint64_t threads;     /* 1 for the rest of a process that has ended */
	uint64_t start_ticks; /* since boot, in 1/_SC_CLK_TCK seconds */
};

/*
 * Whose directory has the process's memory and descriptors: its own number; once its first thread
 * has ended and others live on, the number of one of these, by which procfs can be asked as well
 * (proc_pid_lookup(), fs/proc/base.c).
 */
uint32_t procfs__reader(const char *root, uint32_t tgid);
/* Reads PID/stat; -EINVAL when its text is not what it should be. */
int procfs__stat(const char *root, uint32_t tgid, struct procfs_stat *stat);
/* The same from its text. */
int procfs__parse_stat(const char *text, size_t length, struct procfs_stat *stat);
/*
 * Whether start_ticks is what procfs shows for start_boottime_ns; the kernel drops the fraction
 * (nsec_to_clock_t). Both are of the initial time namespace.
 */
bool procfs__is_start(uint64_t start_ticks, uint64_t start_boottime_ns);
/* Whether this very process lives. A doubt (no permission, no descriptors left) counts as life. */
bool procfs__is_alive(const char *root, const struct ds_process_key *key);

/*
 * Reads what a process is: known gives tgid, start_boottime_ns, comm, uid, cgroup. *out is a new
 * identity with one reference. -ESRCH when it is gone, or its pid is another's now. A single thing
 * that may not be read (no permission) is left out.
 */
int procfs__identify(const char *root, struct procfs_users *users,
		     const struct process_identity *known, struct process_identity **out);

struct procfs_vm {
	char name[VM_NAME_SIZE];
	const char *hypervisor; /* static */
};
/* Which virtual machine a process runs, as it is now. -ENOENT: none; -ESRCH: it is gone; -ENOMEM.
 */
int procfs__vm(const char *root, uint32_t tgid, struct procfs_vm *vm);

/*
 * The highest page frame of system memory + 1, from zoneinfo. The zone "Device" is left out: its
 * frames are no system memory and may lie terabytes higher.
 */
int procfs__memory_span(const char *root, uint64_t *pages);
/* The same from its text; -EINVAL when there is no zone in it. */
int procfs__parse_zoneinfo(const char *text, size_t length, uint64_t *pages);

#endif
