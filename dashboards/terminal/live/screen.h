/* SPDX-License-Identifier: BSD-2-Clause */
/* The terminal as a grid of cells, and its keys: all there is of ncurses. */
#ifndef DIRTYSCOPE_DASHBOARDS_TERMINAL_LIVE_SCREEN_H
#define DIRTYSCOPE_DASHBOARDS_TERMINAL_LIVE_SCREEN_H

#include <stdbool.h>

enum tone {
	TONE_PLAIN,
	TONE_BOLD,
	TONE_DIM,
	TONE_TITLES,   /* heads of columns */
	TONE_SORTED,   /* the head of the column that is sorted by */
	TONE_SELECTED, /* row */
	TONE_WARNING,
	TONE_ERROR,
	TONE_KEY, /* what a key does, in the last line */
	TONES
};

/* Keys that are no characters; a character is its code point. */
enum {
	SCREEN_KEY_NONE = -1,
	SCREEN_KEY_UP = 0x110000, /* above all of Unicode */
	SCREEN_KEY_DOWN,
	SCREEN_KEY_LEFT,
	SCREEN_KEY_RIGHT,
	SCREEN_KEY_PAGE_UP,
	SCREEN_KEY_PAGE_DOWN,
	SCREEN_KEY_HOME,
	SCREEN_KEY_END,
	SCREEN_KEY_ENTER,
	SCREEN_KEY_ESCAPE,
	SCREEN_KEY_BACKSPACE,
	SCREEN_KEY_TAB,
	SCREEN_KEY_BACK_TAB,
	SCREEN_KEY_F1, /* to F12 */
	SCREEN_KEY_F12 = SCREEN_KEY_F1 + 11,
	SCREEN_KEY_OTHER,
};

struct screen;
/*
 * Takes standard input and output over, which must be terminals; the process's LC_CTYPE becomes
 * UTF-8. 0, or -ENOTSUP when the terminal's type is not known or cannot move its cursor, -ENOMEM.
 */
int screen__open(bool colour, struct screen **screen);
/* Gives the terminal back as it was. NULL: nothing. */
void screen__close(struct screen *screen);
void screen__size(const struct screen *screen, unsigned *rows, unsigned *columns);
/* The terminal may have another size now. */
void screen__resize(struct screen *screen);
/* All blank, until screen__show puts what was drawn since onto the terminal. */
void screen__clear(struct screen *screen);
void screen__show(struct screen *screen);
/* text: UTF-8 without control characters that fits the line; with width, the tone fills that many
 * cells. */
void screen__put(struct screen *screen, unsigned y, unsigned x, unsigned width, enum tone tone,
		 const char *text);
/* Shown there; hidden again by screen__clear. */
void screen__cursor(struct screen *screen, unsigned y, unsigned x);
/* The next key that was pressed, or SCREEN_KEY_NONE. */
int screen__key(struct screen *screen);

#endif
