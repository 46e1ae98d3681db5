/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tells whoever waits for several things at once that one of them has news. A bell rings on the
 * thread that has the news and under the lock of what it hangs on: it may only note that and wake
 * somebody, and never call back.
 */
#ifndef DIRTYSCOPE_AGENT_BASE_LISTENER_H
#define DIRTYSCOPE_AGENT_BASE_LISTENER_H

/* Owned by whoever hangs it up, and alive until it is taken off. */
struct bell {
	void (*ring)(void *context);
	void *context;
	struct bell *next; /* of what it hangs on */
};

static inline void bells__add(struct bell **bells, struct bell *bell)
{
	bell->next = *bells;
	*bells = bell;
}

static inline void bells__remove(struct bell **bells, const struct bell *bell)
{
	while (*bells && *bells != bell)
		bells = &(*bells)->next;
	if (*bells)
		*bells = bell->next;
}

static inline void bells__ring(const struct bell *bells)
{
	for (; bells; bells = bells->next)
		bells->ring(bells->context);
}

#endif
