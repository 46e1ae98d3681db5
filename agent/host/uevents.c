/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/host/uevents.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define KERNEL_GROUP 1	  /* that of udev, 2, is user space's */
#define MESSAGE_SIZE 8192 /* the kernel's have 2 KiB of environment, include/linux/kobject.h */
#define DRAIN_MOST 4096	  /* messages in one go */

static const struct {
	const char *name;
	enum uevent_action action;
} actions[] = {
	{"add", UEVENT_ADD},	   {"remove", UEVENT_REMOVE}, {"bind", UEVENT_BIND},
	{"unbind", UEVENT_UNBIND}, {"move", UEVENT_MOVE},     {"change", UEVENT_CHANGE},
	{"online", UEVENT_ONLINE},
};

static const struct {
	const char *name;
	enum uevent_subsystem subsystem;
	const char *dull; /* paths that begin so never lead to a device that does DMA */
} subsystems[] = {
	{"pci", UEVENT_PCI, NULL},	 {"virtio", UEVENT_VIRTIO, NULL},
	{"block", UEVENT_BLOCK, NULL},	 {"net", UEVENT_NET, "/devices/virtual/"},
	{"memory", UEVENT_MEMORY, NULL},
};

static bool find_action(const char *name, size_t length, enum uevent_action *action)
{
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		if (strlen(actions[i].name) == length && !memcmp(actions[i].name, name, length)) {
			*action = actions[i].action;
			return true;
		}
	}
	return false;
}

static bool find_subsystem(const char *name, struct uevent *event)
{
	for (size_t i = 0; i < sizeof(subsystems) / sizeof(subsystems[0]); i++) {
		const char *dull = subsystems[i].dull;

		if (strcmp(subsystems[i].name, name) != 0)
			continue;
		event->subsystem = subsystems[i].subsystem;
		return !dull || strncmp(event->path, dull, strlen(dull)) != 0;
	}
	return false;
}

/* "ACTION@PATH", then "NAME=VALUE" each; all end in a NUL. lib/kobject_uevent.c */
bool uevent__parse(const char *message, size_t length, struct uevent *event)
{
	static const char key[] = "SUBSYSTEM=";
	const char *end = message + length, *at;

	if (!length || end[-1] || !(at = strchr(message, '@')) ||
	    !find_action(message, (size_t)(at - message), &event->action) ||
	    strncmp(at + 1, "/devices/", 9) != 0)
		return false;
	event->path = at + 1;
	for (const char *field = message; field < end; field += strlen(field) + 1)
		if (!strncmp(field, key, sizeof(key) - 1))
			return find_subsystem(field + sizeof(key) - 1, event);
	return false;
}

struct uevents {
	int poll;	   /* epoll over both */
	int kernel, links; /* -1: refused */
};

static int open_socket(int poll, int protocol, unsigned groups)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = groups};
	struct epoll_event readable = {.events = EPOLLIN};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
	int err;

	if (fd < 0)
		return -errno;
	if (!bind(fd, (struct sockaddr *)&address, sizeof(address)) &&
	    !epoll_ctl(poll, EPOLL_CTL_ADD, fd, &readable))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

int uevents__new(struct uevents **out)
{
	struct uevents *events = calloc(1, sizeof(*events));
	int err;

	*out = NULL;
	if (!events)
		return -ENOMEM;
	events->poll = epoll_create1(EPOLL_CLOEXEC);
	if (events->poll < 0) {
		err = -errno;
		free(events);
		return err;
	}
	events->kernel = open_socket(events->poll, NETLINK_KOBJECT_UEVENT, KERNEL_GROUP);
	events->links = open_socket(events->poll, NETLINK_ROUTE, RTMGRP_LINK);
	err = events->kernel;
	if (events->kernel < 0 && events->links < 0) {
		uevents__free(events);
		return err;
	}
	*out = events;
	return 0;
}

void uevents__free(struct uevents *events)
{
	if (!events)
		return;
	if (events->kernel >= 0)
		close(events->kernel);
	if (events->links >= 0)
		close(events->links);
	close(events->poll);
	free(events);
}

int uevents__fd(const struct uevents *events)
{
	return events->poll;
}

typedef void (*uevents__visit)(void *context, const struct uevent *event);

static void read_uevent(const char *message, size_t length, uevents__visit visit, void *context)
{
	struct uevent event;

	if (uevent__parse(message, length, &event))
		visit(context, &event);
}

/* Of all that is told of links only one thing matters: an interface was taken down. */
static void read_links(const char *message, size_t length, uevents__visit visit, void *context)
{
	const struct nlmsghdr *header = (const struct nlmsghdr *)message;
	int rest = (int)length; /* signed: the padding of the last one may lie beyond the end */

	for (; rest > 0 && NLMSG_OK(header, (unsigned)rest); header = NLMSG_NEXT(header, rest)) {
		const struct ifinfomsg *info = NLMSG_DATA(header);
		struct uevent event = {.action = UEVENT_DOWN, .subsystem = UEVENT_NET};
		const struct rtattr *attribute;
		int left;

		if (header->nlmsg_type != RTM_NEWLINK ||
		    header->nlmsg_len < NLMSG_LENGTH(sizeof(*info)) || info->ifi_flags & IFF_UP)
			continue;
		left = (int)IFLA_PAYLOAD(header);
		for (attribute = IFLA_RTA(info); RTA_OK(attribute, left);
		     attribute = RTA_NEXT(attribute, left)) {
			if (attribute->rta_type != IFLA_IFNAME || !RTA_PAYLOAD(attribute))
				continue;
			event.path = RTA_DATA(attribute);
			if (!event.path[RTA_PAYLOAD(attribute) - 1])
				visit(context, &event);
		}
	}
}

/* True: messages were lost. */
static bool drain_socket(int fd, void (*read_message)(const char *, size_t, uevents__visit, void *),
			 uevents__visit visit, void *context)
{
	char message[MESSAGE_SIZE] __attribute__((aligned(__alignof__(struct nlmsghdr))));
	bool lost = false;

	for (int i = 0; fd >= 0 && i < DRAIN_MOST; i++) {
		struct sockaddr_nl sender = {0};
		struct iovec into = {.iov_base = message, .iov_len = sizeof(message)};
		struct msghdr header = {.msg_name = &sender,
					.msg_namelen = sizeof(sender),
					.msg_iov = &into,
					.msg_iovlen = 1};
		ssize_t length = recvmsg(fd, &header, 0);

		if (length < 0 && errno == ENOBUFS) {
			lost = true;
			continue;
		}
		if (length < 0 && errno == EINTR)
			continue;
		if (length < 0)
			break;
		/* Other processes may send here, too; only the kernel has the port 0. */
		if (header.msg_namelen != sizeof(sender) || sender.nl_pid != 0)
			continue;
		if (header.msg_flags & MSG_TRUNC)
			lost = true;
		else
			read_message(message, (size_t)length, visit, context);
	}
	return lost;
}

bool uevents__drain(struct uevents *events, uevents__visit visit, void *context)
{
	bool lost = drain_socket(events->kernel, read_uevent, visit, context);

	return drain_socket(events->links, read_links, visit, context) || lost;
}
