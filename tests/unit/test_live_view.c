/* SPDX-License-Identifier: BSD-2-Clause */
/* The parts of the live view that need no terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "dashboards/terminal/tables/cells.h"
#include "dashboards/terminal/live/feed.h"
#include "dashboards/terminal/live/header.h"
#include "dashboards/terminal/live/layout.h"
#include "dashboards/terminal/live/pager.h"
#include "dashboards/terminal/live/pane.h"

static void assert_text(struct text *text, const char *expected)
{
	assert_false(text->failed);
	assert_string_equal(text->length ? text->data : "", expected);
	text__free(text);
}

static void sparklines(void **state)
{
	struct spark spark = {0};
	struct text out = {0};

	spark__put(&spark, 3, &out);
	assert_text(&out, "   ");
	spark__add(&spark, 0);
	spark__add(&spark, 1);
	spark__add(&spark, 4);
	spark__add(&spark, 8);
	out = (struct text){0};
	spark__put(&spark, 6, &out);
	assert_text(&out, "   ▁▄█");
	/* Scaled to what is shown. */
	spark__add(&spark, 0.001);
	spark__add(&spark, 0.002);
	out = (struct text){0};
	spark__put(&spark, 2, &out);
	assert_text(&out, "▄█");
	/* Nothing that is no number. */
	spark__add(&spark, NAN);
	spark__add(&spark, -1);
	spark__add(&spark, INFINITY);
	out = (struct text){0};
	spark__put(&spark, 4, &out);
	assert_text(&out, "█   ");
	for (int i = 0; i < 1000; i++)
		spark__add(&spark, i);
	out = (struct text){0};
	spark__put(&spark, 300, &out);
	assert_int_equal(out.length, 300 - SPARK_KEPT + SPARK_KEPT * strlen("█"));
	text__free(&out);
	spark__put(&spark, 0, &out);
	assert_text(&out, "");
}

static void fields(void **state)
{
	struct cells_locale locale;
	struct text out = {0};

	cells__enter(&locale);
	cells__put_field("ab", 4, false, &out);
	cells__put_field("ab", 4, true, &out);
	cells__put_field("abcdef", 4, true, &out);
	assert_text(&out, "ab    ababc…");
	out = (struct text){0};
	cells__put_field("日本語", 6, false, &out);
	assert_text(&out, "日本語");
	out = (struct text){0};
	/* The second one would need a cell too many. */
	cells__put_field("日本語", 4, false, &out);
	assert_text(&out, "日… ");
	out = (struct text){0};
	cells__put_field("\033[2J", 9, false, &out);
	assert_text(&out, "\\x1b[2J  ");
	out = (struct text){0};
	cells__put_field("x", 0, false, &out);
	cells__put_field("", 2, true, &out);
	assert_text(&out, "  ");
	cells__leave(&locale);
}

static void columns(void **state)
{
	const unsigned widths[] = {5, 4, 3, 2};
	struct layout_column placed[4];

	assert_int_equal(layout__columns(widths, 4, 0, 80, placed), 4);
	assert_int_equal(placed[3].x, 5 + 2 + 4 + 2 + 3 + 2);
	assert_int_equal(placed[3].width, 80 - placed[3].x);
	/* The first stays, the next two are scrolled away. */
	assert_int_equal(layout__columns(widths, 4, 2, 80, placed), 2);
	assert_int_equal(placed[1].index, 3);
	assert_int_equal(placed[1].x, 7);
	/* The last that fits gets what is left. */
	assert_int_equal(layout__columns(widths, 4, 0, 9, placed), 2);
	assert_int_equal(placed[1].width, 2);
	assert_int_equal(layout__columns(widths, 4, 0, 1, placed), 1);
	assert_int_equal(placed[0].width, 1);
	assert_int_equal(layout__columns(widths, 4, 0, 0, placed), 0);
}

/* Whatever the size is, nothing is lost or used twice, and there is a row. */
static void lines(void **state)
{
	for (unsigned height = 1; height < 100; height++) {
		for (unsigned head = 0; head < 12; head++) {
			struct layout_lines lines = layout__lines(height, head);

			assert_int_equal(lines.head + lines.tabs + lines.titles + lines.rows +
						 lines.foot,
					 height);
			assert_true(lines.rows >= 1);
			assert_true(lines.head <= head);
			assert_true(!lines.head || lines.rows > 5);
		}
	}
	assert_int_equal(layout__lines(24, 7).head, 7);
	assert_int_equal(layout__lines(24, 7).rows, 14);
	assert_int_equal(layout__lines(2, 7).titles, 1);
}

static void folds(void **state)
{
	struct cells_locale locale;

	cells__enter(&locale);
	assert_int_equal(pager__fold("short\nnext", 10), 5);
	assert_int_equal(pager__fold("one two three", 8), 7);
	assert_int_equal(pager__fold("  indented", 6), 6);
	assert_int_equal(pager__fold("unbroken", 3), 3);
	/* No endless loop where not even one character fits. */
	assert_int_equal(pager__fold("日本", 1), 3);
	assert_int_equal(pager__fold("", 5), 0);
	cells__leave(&locale);
}

/* ---- panes ---- */

/* Rows of processes whose pids are given, as if from `offset` on. */
static json_t *answer(size_t offset, size_t total, const int *pids)
{
	json_t *rows = json_array();

	for (; *pids; pids++)
		json_array_append_new(rows, json_pack("{s:i, s:i, s:s}", "pid", *pids,
						      "start_boottime_ns", 9, "comm", "x"));
	return json_pack("{s:I, s:I, s:o}", "offset", (json_int_t)offset, "total",
			 (json_int_t)total, "processes", rows);
}

static void assert_path(const struct pane *pane, const char *tail)
{
	struct text path = {0};

	pane__path(pane, 3, &path);
	assert_false(path.failed);
	if (!strstr(path.data, "&limit=3"))
		fail_msg("%s", path.data);
	assert_string_equal(strstr(path.data, "&limit=3") + strlen("&limit=3"), tail);
	text__free(&path);
}

static void selection(void **state)
{
	struct reason error;
	struct pane pane;

	assert_int_equal(pane__init(&pane, pane_kind__at(0), NULL, NULL, NULL, false, &error), 0);
	assert_path(&pane, "");
	assert_true(pane__take(&pane, answer(0, 7, (int[]){11, 12, 13, 0})));
	assert_int_equal(pane.index, 0);
	/* At the top it stays at the top, whoever is there. */
	assert_true(pane__take(&pane, answer(0, 7, (int[]){12, 11, 13, 0})));
	assert_int_equal(pane.index, 0);
	assert_path(&pane, "");
	/* Below it stays with its entry. */
	assert_false(pane__move(&pane, 1, 3));
	assert_path(&pane, "&around=11-9");
	assert_true(pane__take(&pane, answer(0, 7, (int[]){12, 13, 11, 0})));
	assert_int_equal(pane.index, 2);
	assert_true(pane__take(&pane, answer(4, 7, (int[]){14, 15, 11, 0})));
	assert_int_equal(pane.index, 6);
	assert_path(&pane, "&offset=4&around=11-9");
	/* One that is gone leaves its place to another. */
	assert_true(pane__take(&pane, answer(4, 6, (int[]){14, 15, 0})));
	assert_int_equal(pane.index, 5);
	assert_true(pane__move(&pane, 0, 3));
	assert_path(&pane, "&offset=3&around=15-9");
	/* Beyond what is there: rows are asked for, and then selected by their place. */
	assert_true(pane__take(&pane, answer(3, 6, (int[]){13, 14, 15, 0})));
	assert_true(pane__move(&pane, -4, 3));
	assert_path(&pane, "&offset=1");
	assert_true(pane__take(&pane, answer(1, 6, (int[]){21, 22, 23, 0})));
	assert_path(&pane, "&offset=1&around=21-9");
	assert_true(pane__move(&pane, INT32_MAX, 3));
	assert_int_equal(pane.index, 5);
	assert_true(pane__move(&pane, INT32_MIN, 3));
	assert_path(&pane, "");
	/* Nothing at all. */
	assert_true(pane__take(&pane, answer(0, 0, (int[]){0})));
	assert_int_equal(pane.index, 0);
	assert_false(pane__move(&pane, 1, 3));
	assert_null(pane__row(&pane, 0));
	assert_false(pane__take(&pane, json_object()));
	pane__free(&pane);
}

static void identities(void **state)
{
	static const char *const rows[] = {
		"{\"pid\":7,\"start_boottime_ns\":8}",
		"{\"id\":\"pci/0000:00:04.0\"}",
		"{\"pid\":7,\"start_boottime_ns\":8,\"device\":\"virtio/virtio1\"}",
		"{\"pid\":null,\"device\":\"a\"}",
	};
	static const char *const ids[] = {"7-8", "pci/0000:00:04.0", "7-8/virtio/virtio1", "-/a"};

	for (size_t i = 0; i < 4; i++) {
		json_t *row = json_loads(rows[i], 0, NULL);
		struct text id = {0};

		pane_kind__at(i < 3 ? i : 2)->identify(row, &id);
		assert_text(&id, ids[i]);
		json_decref(row);
	}
	assert_null(pane_kind__at(3));
}

static void headers(void **state)
{
	struct header header = {0};
	struct header_line line;
	json_t *summary = json_loads(
		"{\"sequence\":1,\"host\":\"h\\u001b[2J\",\"cpu_rates\":{\"first_touch\":12.5},"
		"\"rates\":{\"dma\":3},\"degraded\":true,\"sensors\":{\"active\":2}}",
		0, NULL);
	json_t *sensors = json_loads("{\"sensors\":[{\"name\":\"hw\",\"state\":\"unavailable\"},"
				     "{\"name\":\"net\",\"state\":\"active\",\"blind\":\"b\"}]}",
				     0, NULL);

	for (unsigned i = 0; i < header__height(80); i++) {
		line = header__line(&header, i, 80);
		text__free(&line.text);
	}
	header__take_summary(&header, json_incref(summary));
	/* The same sample once more is no other value. */
	header__take_summary(&header, summary);
	assert_int_equal(header.sparks[0].count, 1);
	header__take_sensors(&header, sensors);
	line = header__line(&header, 0, 80);
	assert_non_null(strstr(line.text.data, "host h\\x1b[2J"));
	text__free(&line.text);
	line = header__line(&header, 1, 80);
	assert_non_null(strstr(line.text.data, "first touch       12.5/s"));
	assert_non_null(strstr(line.text.data, "page cache             -"));
	text__free(&line.text);
	line = header__line(&header, 5, 80);
	assert_true(line.warns);
	assert_text(&line.text,
		    "sensors: 2 active, 0 partial, 0 unavailable; degraded: events were lost");
	line = header__line(&header, 6, 80);
	assert_text(&line.text, "not seen: sensors hw; b");
	/* Any width: never more cells than there are. */
	for (unsigned width = 1; width < 200; width++) {
		for (unsigned i = 0; i < header__height(width); i++) {
			struct cells_locale locale;

			line = header__line(&header, i, width);
			cells__enter(&locale);
			assert_true(cells__measure(line.text.data, line.text.length) <= width);
			cells__leave(&locale);
			text__free(&line.text);
		}
	}
	header__free(&header);
}

/* Answers come in the order of the requests; what nobody waits for any more is let go of. */
static void feeds(void **state)
{
	const struct client_options options = {.url = "unix:/nonexistent/socket"};
	struct feed_answer answer;
	struct client_error error;
	struct client *client;
	struct feed *feed;

	assert_int_equal(client__new(&options, &client, &error), 0);
	assert_int_equal(feed__new(client, &feed), 0);
	for (int i = 0; i < 20; i++)
		assert_int_equal(
			feed__ask(feed, i, 7, i % 2 ? "POST" : "GET", "/x", i % 2 ? "{}" : NULL),
			0);
	for (int i = 0; i < 10;) {
		struct pollfd ready = {.fd = feed__fd(feed), .events = POLLIN};

		if (!feed__next(feed, &answer)) {
			assert_int_equal(poll(&ready, 1, 10000), 1);
			continue;
		}
		assert_int_equal(answer.tag, i++);
		assert_int_equal(answer.generation, 7);
		assert_int_equal(answer.err, -ECONNREFUSED);
		assert_null(answer.json);
	}
	feed__free(feed);
	client__free(client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sparklines), cmocka_unit_test(fields),
		cmocka_unit_test(columns),    cmocka_unit_test(lines),
		cmocka_unit_test(folds),      cmocka_unit_test(selection),
		cmocka_unit_test(identities), cmocka_unit_test(headers),
		cmocka_unit_test(feeds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
