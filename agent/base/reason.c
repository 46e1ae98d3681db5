/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/base/reason.h"

#include <stdarg.h>
#include <stdio.h>

void reason__set(struct reason *reason, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(reason->text, sizeof(reason->text), format, args);
	va_end(args);
}
