/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tells whoever waits for several things at once that one of them has news. A listener is called on
 * the thread that has the news and under the lock of what it hangs on: it may only note that and
 * wake somebody, and never call back.
 */
#ifndef DIRTYSCOPE_AGENT_BASE_LISTENER_H
#define DIRTYSCOPE_AGENT_BASE_LISTENER_H

/* Owned by whoever hangs it up, and alive until it is taken off. */
struct listener {
	void (*notify)(void *context);
	void *context;
	struct listener *next; /* of what it hangs on */
};

static inline void listeners__add(struct listener **listeners, struct listener *listener)
{
	listener->next = *listeners;
	*listeners = listener;
}

static inline void listeners__remove(struct listener **listeners, const struct listener *listener)
{
	while (*listeners && *listeners != listener)
		listeners = &(*listeners)->next;
	if (*listeners)
		*listeners = listener->next;
}

static inline void listeners__notify(const struct listener *listeners)
{
	for (; listeners; listeners = listeners->next)
		listeners->notify(listeners->context);
}

#endif
