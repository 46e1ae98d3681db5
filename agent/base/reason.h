/* SPDX-License-Identifier: BSD-2-Clause */
/* Why something failed or was refused, in words: one sentence for a person, without a full stop. */
#ifndef DIRTYSCOPE_AGENT_BASE_REASON_H
#define DIRTYSCOPE_AGENT_BASE_REASON_H

/* Bytes, the NUL at the end included. */
#define REASON_MAX 1024

struct reason {
	char text[REASON_MAX];
};

/* Replaces the text. What does not fit is cut. */
void reason__set(struct reason *reason, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
