/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * /metrics against golden files, from a snapshot made by hand. GOLDEN=write writes them anew: read
 * the difference before you commit it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>

#include "agent/base/version.h"
#include "api/metrics/metrics.h"
#include "tests/unit/sample_snapshot.h"

static const struct api_counters counters = {
	.connections = {10, 1, 2, 3},
	.requests = {7, 1},
};

static struct text render(enum metrics_format format)
{
	struct snapshot *snapshot = sample_snapshot(1);
	struct text out = {};

	metrics__write(&out, format, snapshot, &counters);
	assert_false(out.failed);
	snapshot__put(snapshot);
	return out;
}

/* The revision changes with each commit, the golden files should not. */
static void mask(struct text *text, const char *what, const char *by)
{
	struct text masked = {};
	char *at = strstr(text->data, what);

	assert_non_null(at);
	text__append(&masked, text->data, (size_t)(at - text->data));
	text__puts(&masked, by);
	text__puts(&masked, at + strlen(what));
	text__free(text);
	*text = masked;
}

static void compare(enum metrics_format format, const char *path)
{
	struct text out = render(format);
	char build[128], *golden;
	FILE *file;
	long size;

	snprintf(build, sizeof(build), "version=\"%s\",revision=\"%s\"", dirtyscope_version(),
		 dirtyscope_revision());
	mask(&out, build, "version=\"VERSION\",revision=\"REVISION\"");
	if (getenv("GOLDEN")) {
		file = fopen(path, "w");
		assert_non_null(file);
		assert_int_equal(fwrite(out.data, 1, out.length, file), out.length);
		fclose(file);
	}
	file = fopen(path, "r");
	assert_non_null(file);
	assert_int_equal(fseek(file, 0, SEEK_END), 0);
	size = ftell(file);
	rewind(file);
	golden = calloc(1, (size_t)size + 1);
	assert_int_equal(fread(golden, 1, (size_t)size, file), size);
	fclose(file);
	assert_string_equal(out.data, golden);
	free(golden);
	text__free(&out);
}

static void golden_text(void **state)
{
	compare(METRICS_TEXT, "tests/unit/golden/metrics.txt");
}

static void golden_openmetrics(void **state)
{
	compare(METRICS_OPENMETRICS, "tests/unit/golden/openmetrics.txt");
}

static int by_string(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Splits into lines in place; returns their number. */
static size_t split_lines(char *text, char **lines, size_t most)
{
	size_t count = 0;

	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		assert_true(count < most);
		lines[count++] = line;
	}
	return count;
}

/* The end of the series' name and labels: the blank before the value. */
static char *check_sample(char *line)
{
	char *c = line;

	assert_true(isalpha((unsigned char)*c));
	c += strspn(c, "abcdefghijklmnopqrstuvwxyz0123456789_");
	if (*c == '{') {
		do {
			c++;
			c += strspn(c, "abcdefghijklmnopqrstuvwxyz_");
			assert_memory_equal(c, "=\"", 2);
			for (c += 2; *c != '"'; c++) {
				assert_true((unsigned char)*c >= ' ');
				if (*c == '\\') {
					c++;
					assert_true(*c && strchr("\\\"n", *c));
				}
			}
			c++;
		} while (*c == ',');
		assert_int_equal(*c++, '}');
	}
	assert_int_equal(*c, ' ');
	assert_int_equal(strspn(c + 1, "0123456789.e-"), strlen(c + 1));
	return c;
}

/* A family's name must come once, or OpenMetrics readers refuse it all. */
static void families_once(void **state)
{
	struct text out = render(METRICS_OPENMETRICS);
	char *lines[1000];
	size_t families = 0, count = split_lines(out.data, lines, 1000);

	for (size_t i = 0; i < count; i++) {
		if (strncmp(lines[i], "# TYPE ", 7) == 0) {
			lines[i][7 + strcspn(lines[i] + 7, " ")] = '\0';
			lines[families++] = lines[i];
		}
	}
	qsort(lines, families, sizeof(*lines), by_string);
	for (size_t i = 1; i < families; i++)
		assert_string_not_equal(lines[i - 1], lines[i]);
	text__free(&out);
}

static void check_series(enum metrics_format format)
{
	struct text out = render(format);
	char *lines[1000];
	size_t count, samples = 0;

	assert_true(utf8__valid(out.data, out.length));
	assert_int_equal(out.data[out.length - 1], '\n');
	count = split_lines(out.data, lines, 1000);
	if (format == METRICS_OPENMETRICS)
		assert_string_equal(lines[count - 1], "# EOF");
	for (size_t i = 0; i < count; i++) {
		if (lines[i][0] == '#')
			continue;
		*check_sample(lines[i]) = '\0';
		lines[samples++] = lines[i];
	}
	qsort(lines, samples, sizeof(*lines), by_string);
	for (size_t i = 1; i < samples; i++)
		assert_string_not_equal(lines[i - 1], lines[i]);
	text__free(&out);
}

static void no_series_twice(void **state)
{
	check_series(METRICS_TEXT);
	check_series(METRICS_OPENMETRICS);
}

static void table(void **state)
{
	struct text text = render(METRICS_TEXT), open = render(METRICS_OPENMETRICS);
	struct text reference = {};
	char wanted[200];

	metrics__reference(&reference);
	for (const struct metric_row *row = metric_table; row->name; row++) {
		bool counter = row->type == METRIC_COUNTER;
		size_t length = strlen(row->name);
		size_t family = counter ? length - 6 : length;

		/* It appears, with a sample. */
		snprintf(wanted, sizeof(wanted), "\n%s%s", row->name, *row->labels ? "{" : " ");
		assert_non_null(strstr(text.data, wanted));
		assert_non_null(strstr(open.data, wanted));
		snprintf(wanted, sizeof(wanted), "# TYPE %s %s\n", row->name,
			 counter ? "counter" : "gauge");
		assert_non_null(strstr(text.data, wanted));
		snprintf(wanted, sizeof(wanted), "| `%s` |", row->name);
		assert_non_null(strstr(reference.data, wanted));
		/* It keeps the rules. */
		assert_memory_equal(row->name, "dirtyscope_", 11);
		assert_int_equal(counter,
				 length > 6 && strcmp(row->name + length - 6, "_total") == 0);
		assert_true(row->help[strlen(row->help) - 1] != '.');
		if (row->unit) {
			size_t unit = strlen(row->unit);

			assert_memory_equal(row->name + family - unit, row->unit, unit);
			assert_int_equal(row->name[family - unit - 1], '_');
		}
		for (const struct metric_row *other = row + 1; other->name; other++)
			assert_string_not_equal(row->name, other->name);
	}
	text__free(&text);
	text__free(&open);
	text__free(&reference);
}

/* All process series of a writer and those that ended add up to what was written. */
static void sums(void **state)
{
	struct snapshot *snapshot = sample_snapshot(1);
	struct text out = render(METRICS_TEXT);
	uint64_t expected = snapshot->process_rest.other[0] + snapshot->process_rest.exited[0];
	uint64_t sum = 0;
	char *lines[1000];
	size_t count = split_lines(out.data, lines, 1000);

	for (size_t i = 0; i < snapshot->process_count; i++) {
		const struct snapshot_process *process = &snapshot->processes[i];

		if (process->promoted)
			expected += process->written[0] - process->base[0];
	}
	for (size_t i = 0; i < count; i++) {
		if (strstr(lines[i], "writer=\"cpu\"}") &&
		    (!strncmp(lines[i], "dirtyscope_process_written_pages_total{", 39) ||
		     !strncmp(lines[i], "dirtyscope_exited_written_pages_total{of=\"process\"",
			      50)))
			sum += strtoull(check_sample(lines[i]), NULL, 10);
	}
	assert_true(sum == expected && sum > 0);
	text__free(&out);
	snapshot__put(snapshot);
}

/* Of a device that is gone only the counters are left. */
static void gone_devices(void **state)
{
	static const char device[] = "{device=\"virtio/virtio1\"";
	struct snapshot *snapshot = sample_snapshot(1);
	struct text out = {};
	char *lines[1000];
	size_t count, counters_left = 0;

	for (size_t i = 0; i < snapshot->device_count; i++)
		if (!strcmp(snapshot->devices[i].id, "virtio/virtio1"))
			snapshot->devices[i].gone = true;
	metrics__write(&out, METRICS_TEXT, snapshot, &counters);
	count = split_lines(out.data, lines, 1000);
	for (size_t i = 0; i < count; i++) {
		char *labels = strstr(lines[i], device);

		if (!labels)
			continue;
		assert_true(labels - lines[i] > 6 && !strncmp(labels - 6, "_total", 6));
		counters_left++;
	}
	assert_true(counters_left > 5);
	text__free(&out);
	snapshot__put(snapshot);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_text),
		cmocka_unit_test(golden_openmetrics),
		cmocka_unit_test(no_series_twice),
		cmocka_unit_test(table),
		cmocka_unit_test(sums),
		cmocka_unit_test(families_once),
		cmocka_unit_test(gone_devices),
	};

	return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
