/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/tracks/inject/refusal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum detail {
	DETAIL_NONE,
	DETAIL_NUMBER, /* added to the text */
	DETAIL_ERRNO,  /* added in words, and what refusal__errno() gives */
	DETAIL_SIGNAL, /* added by name */
};

static const struct row {
	int err;
	const char *text;
	enum detail detail;
} rows[REFUSALS] = {
	[REFUSAL_NONE] = {0, "", DETAIL_NONE},
	[REFUSAL_GONE] = {-ESRCH, "the process is gone", DETAIL_NONE},
	[REFUSAL_OTHER] = {-ESRCH, "the process is gone, and another one has its number",
			   DETAIL_NONE},
	[REFUSAL_INIT] = {-EPERM, "it is pid 1, whose end would be the host's: track what it runs",
			  DETAIL_NONE},
	[REFUSAL_NAMESPACE] = {-EOPNOTSUPP,
			       "the agent is in another pid namespace than the procfs it reads: "
			       "run it in the host's",
			       DETAIL_NONE},
	[REFUSAL_TRACED] = {-EPERM, "it is traced already, by process", DETAIL_NUMBER},
	[REFUSAL_TRACE] = {-EPERM, "it cannot be traced (CAP_SYS_PTRACE, kernel.yama.ptrace_scope)",
			   DETAIL_ERRNO},
	[REFUSAL_FROZEN] = {-EBUSY, "its cgroup is frozen: thaw it first", DETAIL_NONE},
	[REFUSAL_VFORK] = {-EBUSY, "it waits in vfork(2) for its child: try again", DETAIL_NONE},
	[REFUSAL_STUCK] = {-ETIMEDOUT, "it is in a wait that nothing breaks off (state D)",
			   DETAIL_NONE},
	[REFUSAL_STARVED] = {-ETIMEDOUT, "it did not get to a CPU in time: try again", DETAIL_NONE},
	[REFUSAL_NARROW] = {-EOPNOTSUPP, "it is a 32-bit process", DETAIL_NONE},
	[REFUSAL_SECCOMP] = {-EOPNOTSUPP,
			     "it is confined by seccomp, which the agent may not suspend "
			     "(no CAP_SYS_ADMIN, or a filter of its own)",
			     DETAIL_NONE},
	[REFUSAL_DISPATCH] = {-EOPNOTSUPP, "it handles system calls itself (Syscall User Dispatch)",
			      DETAIL_NONE},
	[REFUSAL_DISPATCH_UNKNOWN] = {-EOPNOTSUPP,
				      "this kernel does not tell whether it handles system calls "
				      "itself (Linux 6.4)",
				      DETAIL_NONE},
	[REFUSAL_INSTRUCTION] = {-EOPNOTSUPP, "its vDSO holds no system call", DETAIL_NONE},
	[REFUSAL_SIGNAL] = {-EBUSY, "a signal came first: try again", DETAIL_SIGNAL},
	[REFUSAL_CALL] = {-EPERM, "its userfaultfd(2) failed", DETAIL_ERRNO},
	[REFUSAL_TAKE] = {-EPERM, "its descriptor cannot be taken over", DETAIL_ERRNO},
	[REFUSAL_THREADS] = {-E2BIG, "it has too many threads", DETAIL_NONE},
	[REFUSAL_DIED] = {-ECHILD, "the agent's helper was killed", DETAIL_NONE},
	[REFUSAL_SILENT] = {-ETIMEDOUT, "the agent's helper gave no answer in time: try again",
			    DETAIL_NONE},
	[REFUSAL_PROCESSES] = {-EAGAIN, "no process can be made", DETAIL_ERRNO},
};

int refusal__errno(enum refusal refusal, int detail)
{
	return rows[refusal].detail == DETAIL_ERRNO && detail ? -detail : rows[refusal].err;
}

void refusal__text(enum refusal refusal, int detail, struct reason *reason)
{
	const struct row *row = &rows[refusal];
	char number[16];

	snprintf(number, sizeof(number), "%d", detail);
	switch (detail ? row->detail : DETAIL_NONE) {
	case DETAIL_NUMBER:
		reason__set(reason, "%s %s", row->text, number);
		break;
	case DETAIL_ERRNO:
		reason__set(reason, "%s: %s", row->text, strerror(detail));
		break;
	case DETAIL_SIGNAL:
		reason__set(reason, "%s (%s%s)", row->text, sigabbrev_np(detail) ? "SIG" : "",
			    sigabbrev_np(detail) ?: number);
		break;
	case DETAIL_NONE:
		reason__set(reason, "%s", row->text);
		break;
	}
}
