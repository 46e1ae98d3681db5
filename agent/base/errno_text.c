/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/base/errno_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* include/linux/errno.h */
static const struct {
	int number;
	const char *name, *meaning;
} kernel_errors[] = {
	{512, "ERESTARTSYS", "interrupted by a signal"},
	{513, "ERESTARTNOINTR", "interrupted by a signal"},
	{514, "ERESTARTNOHAND", "interrupted by a signal"},
	{515, "ENOIOCTLCMD", "no such command"},
	{516, "ERESTART_RESTARTBLOCK", "interrupted by a signal"},
	{517, "EPROBE_DEFER", "a driver is not there yet"},
	{518, "EOPENSTALE", "a stale file handle"},
	{519, "ENOPARAM", "a parameter that is not supported"},
	{521, "EBADHANDLE", "an illegal file handle"},
	{522, "ENOTSYNC", "out of step"},
	{523, "EBADCOOKIE", "a stale cookie"},
	{524, "ENOTSUPP", "the kernel does not support it"},
	{525, "ETOOSMALL", "too small a buffer or request"},
	{526, "ESERVERFAULT", "an error that cannot be told"},
	{527, "EBADTYPE", "a type that is not supported"},
	{528, "EJUKEBOX", "not ready yet"},
	{529, "EIOCBQUEUED", "queued"},
	{530, "ERECALLCONFLICT", "a conflict with a recalled state"},
	{531, "ENOGRACE", "no grace period"},
};

struct errno_text errno_text(int error)
{
	const int number = abs(error);
	const char *name = strerrorname_np(number),
		   *meaning = name ? strerrordesc_np(number) : NULL;
	struct errno_text out;

	for (size_t i = 0; !name && i < sizeof(kernel_errors) / sizeof(*kernel_errors); i++)
		if (kernel_errors[i].number == number) {
			name = kernel_errors[i].name;
			meaning = kernel_errors[i].meaning;
		}
	if (name)
		snprintf(out.name, sizeof(out.name), "%s", name);
	else
		snprintf(out.name, sizeof(out.name), "%d", number);
	snprintf(out.text, sizeof(out.text), "%s (%.72s)", out.name,
		 meaning ? meaning : "an error without a name");
	return out;
}
