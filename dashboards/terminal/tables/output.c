/* SPDX-License-Identifier: BSD-2-Clause */
#include "dashboards/terminal/tables/output.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define DEFAULT_WIDTH 80
#define DEFAULT_ROWS 24

bool output__is_terminal(unsigned *rows)
{
	struct winsize size = {0};

	if (!isatty(STDOUT_FILENO))
		return false;
	if (rows)
		*rows = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row ? size.ws_row
										    : DEFAULT_ROWS;
	return true;
}

struct table_style output__style(void)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
	struct winsize size = {0};

	if (!isatty(STDOUT_FILENO))
		return (struct table_style){0};
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
		size.ws_col = DEFAULT_WIDTH;
	return (struct table_style){
		.width = size.ws_col,
		.colour = !(no_color && *no_color) && term && *term && strcmp(term, "dumb") != 0,
	};
}

int output__write(const struct text *text)
{
	size_t at = 0;

	if (text->failed)
		return -ENOMEM;
	while (at < text->length) {
		ssize_t written = write(STDOUT_FILENO, text->data + at, text->length - at);

		if (written >= 0) {
			at += (size_t)written;
		} else if (errno == EAGAIN) {
			/* Whoever shares the descriptor may have made it non-blocking. */
			struct pollfd ready = {.fd = STDOUT_FILENO, .events = POLLOUT};

			poll(&ready, 1, -1);
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

int output__status(int err)
{
	if (err == 0 || err == -EPIPE)
		return STATUS_DONE;
	return output__fail(STATUS_FAILED, "cannot write the output: %s", strerror(-err));
}

int output__fail(int status, const char *format, ...)
{
	struct text line = {0};
	char message[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	text__puts(&line, "dirtyscope: ");
	text__terminal(&line, message);
	text__putc(&line, '\n');
	if (!line.failed)
		fputs(line.data, stderr);
	text__free(&line);
	return status;
}
