/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the kernel tells of devices that come, go and change: uevents, and links that go down. They
 * are hints of where to look again at once; what is true is read from sysfs. Without them (no
 * permission, another network namespace) looking now and then has to do.
 *
 * For one thread. Errors are negative errno values.
 */
#ifndef DIRTYSCOPE_AGENT_HOST_UEVENTS_H
#define DIRTYSCOPE_AGENT_HOST_UEVENTS_H

#include <stdbool.h>
#include <stddef.h>

enum uevent_action {
	UEVENT_ADD,
	UEVENT_REMOVE,
	UEVENT_BIND, /* a driver */
	UEVENT_UNBIND,
	UEVENT_MOVE, /* renamed */
	UEVENT_CHANGE,
	UEVENT_ONLINE,
	UEVENT_DOWN, /* a network interface; its path is its name */
};

enum uevent_subsystem {
	UEVENT_PCI,
	UEVENT_VIRTIO,
	UEVENT_BLOCK,
	UEVENT_NET,
	UEVENT_MEMORY,
};

struct uevent {
	enum uevent_action action;
	enum uevent_subsystem subsystem;
	const char *path; /* below the root of sysfs: "/devices/pci0000:00/0000:00:04.0" */
};

/*
 * From the kernel's message, which need not end in a NUL. False for what is malformed, or of no
 * interest: other subsystems and actions, virtual netdevs. The path points into the message.
 */
bool uevent__parse(const char *message, size_t length, struct uevent *event);

struct uevents;
int uevents__new(struct uevents **out);
void uevents__free(struct uevents *events);
/* A descriptor that is readable when there is something to drain. */
int uevents__fd(const struct uevents *events);
/*
 * Calls back for what has come, without waiting. True: some got lost because there were too many,
 * look at everything again.
 */
bool uevents__drain(struct uevents *events, void (*visit)(void *context, const struct uevent *),
		    void *context);

#endif
