/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs configured programs, one thread waiting for all of them. A program gets the arguments and
 * the environment that it is given, verbatim and through no shell, and of the agent nothing: a
 * session of its own, / as its directory, /dev/null as its input, no other descriptor, default
 * signals, the configured user, no capability unless that is root, and no way to gain a privilege
 * (no_new_privs). What it leaves behind in its process group is killed when it ends; what made a
 * session of its own, with setsid(2), is not found.
 */
#ifndef DIRTYSCOPE_AGENT_POLICIES_ACTIONS_EXEC_QUEUE_H
#define DIRTYSCOPE_AGENT_POLICIES_ACTIONS_EXEC_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/base/reason.h"

struct exec_queue;

struct exec_queue_options {
	double timeout;	      /* seconds; then SIGTERM, and SIGKILL 2 s later; 0: 10 */
	uint32_t concurrency; /* at most 64; 0: 4 */
	uint32_t queue_max;   /* programs waiting, beside those that run; 0: 64 */
	uid_t uid;
	gid_t gid;	 /* and no other group */
	bool allow_root; /* or a uid or a gid of 0 is refused */
	/*
	 * Called in the queue's thread, exactly once for each accepted program. result: "ok";
	 * "failed" (exit status, signal, or it could not be executed); "timeout"; "dropped" when
	 * the queue ended before it. The reason has the first line of its output, of which 4 KiB
	 * are kept. Both strings last as long as the call. It may call exec_queue__run, and must
	 * not call exec_queue__free. May be NULL.
	 */
	void (*done)(void *context, void *tag, const char *result, const char *reason);
	void *context;
};

/* 0; -EPERM (root without allow_root), -EINVAL, -ENOMEM or another with *error. */
int exec_queue__new(const struct exec_queue_options *options, struct exec_queue **execs,
		    struct reason *error);
/*
 * argv and envp end in NULL and are copied; argv[0] is an absolute path, envp may be NULL. PATH is
 * /usr/sbin:/usr/bin:/sbin:/bin unless envp has one. -EINVAL, -ENOSPC (the queue is full),
 * -ESHUTDOWN (the queue is being freed), -ENOMEM: then `done` is not called. Thread-safe.
 */
int exec_queue__run(struct exec_queue *execs, const char *const *argv, const char *const *envp,
		    void *tag);
/*
 * Runs what is queued for at most `grace` seconds, then ends what still runs as a time-out does,
 * and drops the rest. NULL is fine.
 */
void exec_queue__free(struct exec_queue *execs, double grace);

#endif
