/* SPDX-License-Identifier: BSD-2-Clause */
/* Which dirtyscope this is. Both strings live as long as the process. */
#ifndef DIRTYSCOPE_AGENT_BASE_VERSION_H
#define DIRTYSCOPE_AGENT_BASE_VERSION_H

const char *dirtyscope_version(void);  /* "0.1.0" */
const char *dirtyscope_revision(void); /* 12 hex digits of the commit, or "unknown" */

#endif
