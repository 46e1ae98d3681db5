/* SPDX-License-Identifier: BSD-2-Clause */
/* Why a target was not taken: what stands in the way, and what to do about it. */
#ifndef DIRTYSCOPE_AGENT_TRACKS_INJECT_REFUSAL_H
#define DIRTYSCOPE_AGENT_TRACKS_INJECT_REFUSAL_H

#include "agent/base/reason.h"

enum refusal {
	REFUSAL_NONE,
	REFUSAL_GONE,
	REFUSAL_OTHER,	   /* another process has its number */
	REFUSAL_INIT,	   /* pid 1 */
	REFUSAL_NAMESPACE, /* procfs is of another pid namespace */
	REFUSAL_TRACED,	   /* detail: by which process */
	REFUSAL_TRACE,	   /* detail: errno of PTRACE_SEIZE */
	REFUSAL_FROZEN,
	REFUSAL_VFORK,
	REFUSAL_STUCK,	 /* in a wait that nothing breaks off */
	REFUSAL_STARVED, /* it got no CPU */
	REFUSAL_NARROW,	 /* 32-bit */
	REFUSAL_SECCOMP, /* and PTRACE_O_SUSPEND_SECCOMP is not permitted */
	REFUSAL_DISPATCH,
	REFUSAL_DISPATCH_UNKNOWN,
	REFUSAL_INSTRUCTION, /* no system call instruction is known in it */
	REFUSAL_SIGNAL,	     /* detail: which */
	REFUSAL_CALL,	     /* detail: errno of its userfaultfd(2) */
	REFUSAL_TAKE,	     /* detail: errno of pidfd_getfd(2) */
	REFUSAL_THREADS,     /* too many of them */
	REFUSAL_DIED,	     /* the helper, and its word with it */
	REFUSAL_SILENT,	     /* it did not get to a CPU itself */
	REFUSAL_PROCESSES,   /* none can be made */
	REFUSALS,
};

/* A negative errno. */
int refusal__errno(enum refusal refusal, int detail);
void refusal__text(enum refusal refusal, int detail, struct reason *reason);

#endif
