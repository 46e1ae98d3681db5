/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which ranges of a process its userfaultfd holds, and who else wants them: fs/userfaultfd.c lets a
 * range be registered with one userfaultfd alone, and answers EBUSY to any other. PAGEMAP_SCAN does
 * not look whose a range is, so nothing may be scanned that is not held here.
 */
#ifndef DIRTYSCOPE_AGENT_TRACKS_CPU_USERFAULT_H
#define DIRTYSCOPE_AGENT_TRACKS_CPU_USERFAULT_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Has this kernel asynchronous write-protection (UFFD_FEATURE_WP_ASYNC, 6.7)? By a descriptor of
 * our own, before a target is touched; who may have none cannot tell: true.
 */
bool userfault__can_protect(void);
/* One of the agent's own, with it. A descriptor that the caller closes, or a negative errno. */
int userfault__open(void);
/* With it, before anything else is done. 0, or a negative errno. */
int userfault__enable(int uffd);

/*
 * For write-protection alone. 0; -EBUSY: another userfaultfd has some of it; -EINVAL: the kernel
 * cannot protect that kind of memory; -EPERM: it may never be written; -ENOENT: it is gone; -ESRCH:
 * the process has ended. Then nothing of it was taken.
 */
int userfault__hold(int uffd, uint64_t start, uint64_t end);
/* The protection of it is lifted; others may take it. */
void userfault__let_go(int uffd, uint64_t start, uint64_t end);
/* Protects all of a held range, also what is not there, which makes page tables for it. */
int userfault__protect(int uffd, uint64_t start, uint64_t end);

/* How many descriptors of the process are userfaultfds; 0 where that cannot be seen. */
unsigned userfault__count(const char *procfs, uint32_t tgid);
/* Bytes of page tables that the process has; 0 where that cannot be seen. */
uint64_t userfault__page_tables(const char *procfs, uint32_t tgid);

#endif
