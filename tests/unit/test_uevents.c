/* SPDX-License-Identifier: BSD-2-Clause */
/* What the kernel tells of devices: messages as lib/kobject_uevent.c makes them, and what is none.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "agent/host/uevents.h"

#define MESSAGE(text) text, sizeof(text) /* with its last NUL */

static void messages(void **state)
{
	static const struct {
		const char *text;
		size_t length;
		bool good;
		enum uevent_action action;
		enum uevent_subsystem subsystem;
		const char *path;
	} cases[] = {
		{MESSAGE("add@/devices/pci0000:00/0000:00:04.0\0ACTION=add\0"
			 "DEVPATH=/devices/pci0000:00/0000:00:04.0\0SUBSYSTEM=pci\0SEQNUM=1"),
		 true, UEVENT_ADD, UEVENT_PCI, "/devices/pci0000:00/0000:00:04.0"},
		{MESSAGE("unbind@/devices/a/virtio1\0SUBSYSTEM=virtio"), true, UEVENT_UNBIND,
		 UEVENT_VIRTIO, "/devices/a/virtio1"},
		{MESSAGE("move@/devices/a/net/new\0DEVPATH_OLD=/devices/a/net/old\0SUBSYSTEM=net"),
		 true, UEVENT_MOVE, UEVENT_NET, "/devices/a/net/new"},
		{MESSAGE("change@/devices/virtual/block/loop0\0SUBSYSTEM=block"), true,
		 UEVENT_CHANGE, UEVENT_BLOCK, "/devices/virtual/block/loop0"},
		/* A name may hold an @. */
		{MESSAGE("remove@/devices/a@b/c\0SUBSYSTEM=pci"), true, UEVENT_REMOVE, UEVENT_PCI,
		 "/devices/a@b/c"},
		{MESSAGE("online@/devices/system/memory/memory40\0SUBSYSTEM=memory"), true,
		 UEVENT_ONLINE, UEVENT_MEMORY, "/devices/system/memory/memory40"},
		/* Of no interest. */
		{MESSAGE("add@/devices/virtual/net/veth0\0SUBSYSTEM=net"), false, 0, 0, NULL},
		{MESSAGE("add@/devices/a/usb1\0SUBSYSTEM=usb"), false, 0, 0, NULL},
		{MESSAGE("online@/devices/system/cpu/cpu1\0SUBSYSTEM=cpu"), false, 0, 0, NULL},
		{MESSAGE("offline@/devices/system/memory/memory40\0SUBSYSTEM=memory"), false, 0, 0,
		 NULL},
		{MESSAGE("add@/module/nvme\0SUBSYSTEM=pci"), false, 0, 0, NULL},
		/* No messages. */
		{"", 0, false, 0, 0, NULL},
		{MESSAGE(""), false, 0, 0, NULL},
		{MESSAGE("add"), false, 0, 0, NULL},
		{MESSAGE("@/devices/a\0SUBSYSTEM=pci"), false, 0, 0, NULL},
		{MESSAGE("add@\0SUBSYSTEM=pci"), false, 0, 0, NULL},
		{MESSAGE("add@/devices/a"), false, 0, 0, NULL},
		{MESSAGE("add@/devices/a\0SUBSYSTEM="), false, 0, 0, NULL},
		{MESSAGE("add@/devices/a\0SUBSYSTEM=pcix"), false, 0, 0, NULL},
		{MESSAGE("addition@/devices/a\0SUBSYSTEM=pci"), false, 0, 0, NULL},
		{MESSAGE("libudev\0\xfe\xed\xca\xfe"), false, 0, 0, NULL},
		{"add@/devices/a\0SUBSYSTEM=pci", 28, false, 0, 0, NULL}, /* cut before its NUL */
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		/* Of its exact size, so that a read beyond it is seen. */
		char *copy = malloc(cases[i].length + 1);
		struct uevent event;

		memcpy(copy, cases[i].text, cases[i].length);
		copy = realloc(copy, cases[i].length ? cases[i].length : 1);
		if (uevent__parse(copy, cases[i].length, &event) != cases[i].good)
			fail_msg("case %zu", i);
		if (cases[i].good) {
			assert_int_equal(event.action, cases[i].action);
			assert_int_equal(event.subsystem, cases[i].subsystem);
			assert_string_equal(event.path, cases[i].path);
		}
		free(copy);
	}
}

/* No message, however it is cut or spoilt, is read beyond its end. */
static void spoilt_messages(void **state)
{
	static const char good[] =
		"add@/devices/pci0000:00/0000:00:04.0\0ACTION=add\0SUBSYSTEM=pci";
	struct uevent event;

	for (size_t length = 0; length <= sizeof(good); length++) {
		char *copy = malloc(length ? length : 1);

		memcpy(copy, good, length);
		uevent__parse(copy, length, &event);
		for (size_t at = 0; at < length; at++) {
			copy[at] ^= 0x5a;
			uevent__parse(copy, length, &event);
			copy[at] ^= 0x5a;
		}
		free(copy);
	}
}

static void count(void *context, const struct uevent *event)
{
	++*(int *)context;
}

/* Where this host lets us listen, nothing is made up and nobody waits. */
static void listening(void **state)
{
	struct uevents *events;
	struct pollfd wait = {.events = POLLIN};
	int seen = 0;

	if (uevents__new(&events)) {
		skip();
		return;
	}
	wait.fd = uevents__fd(events);
	assert_true(poll(&wait, 1, 0) >= 0);
	uevents__drain(events, count, &seen);
	uevents__free(events);
	uevents__free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages),
		cmocka_unit_test(spoilt_messages),
		cmocka_unit_test(listening),
	};

	return cmocka_run_group_tests_name("uevents", tests, NULL, NULL);
}
