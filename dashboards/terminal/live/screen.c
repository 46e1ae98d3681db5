/* SPDX-License-Identifier: BSD-2-Clause */
#include "dashboards/terminal/live/screen.h"

#include <curses.h>
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define ESCAPE_WAIT_MS 25 /* for the rest of a key's sequence */

struct screen {
	SCREEN *curses;
	bool colour;
	bool cursor; /* is to be shown */
	unsigned cursor_y, cursor_x;
};

/* Without colours the attributes alone tell the tones apart. */
static const struct {
	attr_t attributes;
	short foreground, background; /* -1: the terminal's own */
} tones[TONES] = {
	[TONE_PLAIN] = {A_NORMAL, -1, -1},
	[TONE_BOLD] = {A_BOLD, -1, -1},
	[TONE_DIM] = {A_DIM, -1, -1},
	[TONE_TITLES] = {A_REVERSE, COLOR_GREEN, -1},
	[TONE_SORTED] = {A_REVERSE | A_BOLD, COLOR_CYAN, -1},
	[TONE_SELECTED] = {A_REVERSE, COLOR_CYAN, -1},
	[TONE_WARNING] = {A_BOLD, COLOR_YELLOW, -1},
	[TONE_ERROR] = {A_BOLD, COLOR_RED, -1},
	[TONE_KEY] = {A_REVERSE, COLOR_CYAN, -1},
};

static const struct {
	int curses, ours;
} keys[] = {
	{KEY_UP, SCREEN_KEY_UP},	 {KEY_DOWN, SCREEN_KEY_DOWN},
	{KEY_LEFT, SCREEN_KEY_LEFT},	 {KEY_RIGHT, SCREEN_KEY_RIGHT},
	{KEY_PPAGE, SCREEN_KEY_PAGE_UP}, {KEY_NPAGE, SCREEN_KEY_PAGE_DOWN},
	{KEY_HOME, SCREEN_KEY_HOME},	 {KEY_END, SCREEN_KEY_END},
	{KEY_ENTER, SCREEN_KEY_ENTER},	 {KEY_BACKSPACE, SCREEN_KEY_BACKSPACE},
	{KEY_BTAB, SCREEN_KEY_BACK_TAB},
};

/* Without these two nothing can be drawn anywhere but at the end. */
static bool has(const char *capability)
{
	const char *string = tigetstr(capability);

	return string && string != (const char *)-1 && *string;
}

static void set_up_colours(struct screen *screen)
{
	screen->colour =
		screen->colour && has_colors() && start_color() == OK && use_default_colors() == OK;
	for (short tone = 0; screen->colour && tone < TONES; tone++)
		init_pair((short)(tone + 1), tones[tone].foreground, tones[tone].background);
}

int screen__open(bool colour, struct screen **out)
{
	const char *term = getenv("TERM");
	struct screen *screen;

	if (!term || !*term)
		return -ENOTSUP;
	screen = calloc(1, sizeof(*screen));
	if (!screen)
		return -ENOMEM;
	/* What we write is UTF-8 whatever the environment says, as in all other commands. */
	setlocale(LC_CTYPE, "C.UTF-8");
	screen->colour = colour;
	screen->curses = newterm(NULL, stdout, stdin);
	if (!screen->curses || !has("cup") || !has("clear")) {
		screen__close(screen);
		return -ENOTSUP;
	}
	set_term(screen->curses);
	set_up_colours(screen);
	cbreak();
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	set_escdelay(ESCAPE_WAIT_MS);
	curs_set(0);
	screen__resize(screen);
	*out = screen;
	return 0;
}

void screen__close(struct screen *screen)
{
	if (!screen)
		return;
	if (screen->curses) {
		curs_set(1);
		endwin();
		delscreen(screen->curses);
	}
	free(screen);
}

void screen__size(const struct screen *screen, unsigned *rows, unsigned *columns)
{
	int y, x;

	getmaxyx(stdscr, y, x);
	*rows = y > 0 ? (unsigned)y : 1;
	*columns = x > 0 ? (unsigned)x : 1;
}

void screen__resize(struct screen *screen)
{
	struct winsize size = {0};

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row && size.ws_col)
		resizeterm(size.ws_row, size.ws_col);
	clearok(stdscr, TRUE);
}

void screen__clear(struct screen *screen)
{
	erase();
	screen->cursor = false;
}

void screen__show(struct screen *screen)
{
	curs_set(screen->cursor);
	if (screen->cursor)
		move((int)screen->cursor_y, (int)screen->cursor_x);
	refresh();
}

void screen__put(struct screen *screen, unsigned y, unsigned x, unsigned width, enum tone tone,
		 const char *text)
{
	short pair = screen->colour && tones[tone].foreground >= 0 ? (short)(tone + 1) : 0;

	attr_set(tones[tone].attributes, pair, NULL);
	mvaddstr((int)y, (int)x, text);
	attr_set(A_NORMAL, 0, NULL);
	if (width)
		mvchgat((int)y, (int)x, (int)width, tones[tone].attributes, pair, NULL);
}

void screen__cursor(struct screen *screen, unsigned y, unsigned x)
{
	screen->cursor = true;
	screen->cursor_y = y;
	screen->cursor_x = x;
}

static int special_key(wint_t code)
{
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		if ((wint_t)keys[i].curses == code)
			return keys[i].ours;
	if (code >= KEY_F(1) && code <= KEY_F(12))
		return SCREEN_KEY_F1 + (int)(code - KEY_F(1));
	return SCREEN_KEY_OTHER;
}

int screen__key(struct screen *screen)
{
	wint_t code;
	int result = get_wch(&code);

	if (result == ERR)
		return SCREEN_KEY_NONE;
	if (result == KEY_CODE_YES)
		return special_key(code);
	switch (code) {
	case '\r':
	case '\n':
		return SCREEN_KEY_ENTER;
	case '\t':
		return SCREEN_KEY_TAB;
	case 0x1b:
		return SCREEN_KEY_ESCAPE;
	case 0x7f:
	case '\b':
		return SCREEN_KEY_BACKSPACE;
	default:
		return (int)code;
	}
}
