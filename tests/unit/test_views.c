/* SPDX-License-Identifier: BSD-2-Clause */
/* What the routes answer from a snapshot made by hand, read back with jansson. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/base/startup.h"
#include "tests/unit/views_fixture.h"

/* The values of one integer field down a list, as "1 2 3". */
static const char *column(json_t *answer, const char *list, const char *field, char out[256])
{
	size_t index, length = 0;
	json_t *item;

	out[0] = '\0';
	json_array_foreach(json_object_get(answer, list), index, item)
	{
		length += (size_t)snprintf(
			out + length, 256 - length, "%s%lld", index ? " " : "",
			(long long)json_integer_value(json_object_get(item, field)));
	}
	return out;
}

static void summary(void **state)
{
	json_t *json = get(state, "/api/v1/summary", 200);

	assert_string_equal(text_at(json, "time"), "2026-11-22T20:30:49.123Z");
	assert_string_equal(text_at(json, "host"), "host");
	assert_int_equal(number_at(json, "processes"), 6);
	assert_int_equal(number_at(json_object_get(json, "totals"), "cpu"), 4681);
	assert_int_equal(number_at(json_object_get(json, "sensors"), "partial"), 1);
	assert_int_equal(number_at(json_object_get(json, "sensors"), "unavailable"), 1);
	assert_true(json_is_true(json_object_get(json, "degraded")));
	json_decref(json);
}

static void lists(void **state)
{
	const struct {
		const char *query, *pids;
	} cases[] = {
		{"", "4000 300 12 12 12 7"},
		{"?sort=pid&order=asc", "7 12 12 12 300 4000"},
		{"?sort=pid&order=desc", "4000 300 12 12 12 7"},
		{"?limit=2", "4000 300"},
		{"?sort=pid&order=asc&limit=2&offset=1", "12 12"},
		{"?offset=6", ""},
		{"?limit=0", ""},
		{"?filter=QEMU", "4000"},
		{"?filter=again", "12 12 12"},
		{"?filter=0123456789ABC", "4000"},
		{"?filter=libvirt", "4000"},
		{"?filter=30", "300"},
		{"?filter=machine.slice", "4000"},
		{"?filter=no-such", ""},
		{"?filter=", "4000 300 12 12 12 7"},
		{"?sort=comm&order=asc", "7 12 12 12 300 4000"},
		{"?sort=first_touch&limit=1", "4000"},
	};
	char pids[256];

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char uri[128];
		json_t *json;

		snprintf(uri, sizeof(uri), "/api/v1/processes%s", cases[i].query);
		json = get(state, uri, 200);
		if (strcmp(column(json, "processes", "pid", pids), cases[i].pids) != 0)
			fail_msg("%s: %s", uri, pids);
		if (!strstr(cases[i].query, "filter=") || strstr(cases[i].query, "filter=&"))
			assert_int_equal(number_at(json, "total"), 6);
		json_decref(json);
	}
}

/* The page moves just as far as it must; what is sought is found from there on, and around the end.
 */
static void pages_around(void **state)
{
	/* By pid they are 7, 12-100, 12-200, 12-300, 300, 4000. */
	const struct {
		const char *list, *query;
		int offset, found; /* found: -1 null, -2 absent */
	} cases[] = {
		{"processes", "limit=2&around=12-200", 1, -2},
		{"processes", "limit=2&offset=3&around=12-200", 2, -2},
		{"processes", "limit=2&offset=2&around=12-200", 2, -2},
		{"processes", "limit=2&around=4000", 4, -2},
		{"processes", "limit=2&offset=1&around=40001", 1, -2},
		{"processes", "limit=2&offset=1&around=", 1, -2},
		{"processes", "limit=2&offset=1&around=12-", 1, -2},
		{"processes", "limit=2&offset=1&around=%2012", 1, -2},
		{"processes", "limit=2&find=again", 0, 1},
		{"processes", "limit=2&find=AGAIN&around=12-100", 1, 2},
		{"processes", "limit=2&find=again&around=12-300", 0, 1},
		{"processes", "limit=2&find=again&around=12-300&which=here", 2, 3},
		{"processes", "limit=2&find=again&around=12-100&which=previous", 2, 3},
		{"processes", "limit=2&find=again&around=300&which=previous", 2, 3},
		{"processes", "limit=2&find=again&which=previous", 2, 3},
		{"processes", "limit=2&find=no-such&offset=1", 1, -1},
		{"processes", "limit=0&find=again&offset=1", 1, 1},
		{"processes", "filter=no-such&find=a", 0, -1},
		{"processes", "pid=12&filter=again&limit=1&around=12-300", 2, -2},
		{"processes", "pid=13&limit=1&find=a&around=12-300", 0, -1},
		{"flows", "limit=1&around=-/virtio%2Fvirtio1", 0, -2},
		{"flows", "limit=1&offset=1&filter=virtio1", 1, -2},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char uri[160];
		json_t *json, *found;

		snprintf(uri, sizeof(uri), "/api/v1/%s?sort=pid&order=asc&%s", cases[i].list,
			 cases[i].query);
		json = get(state, uri, 200);
		found = json_object_get(json, "found");
		if (number_at(json, "offset") != cases[i].offset)
			fail_msg("%s: offset %lld", uri, (long long)number_at(json, "offset"));
		if (cases[i].found == -2 ? found != NULL
		    : cases[i].found < 0 ? !json_is_null(found)
					 : json_integer_value(found) != cases[i].found)
			fail_msg("%s: found %lld", uri, (long long)json_integer_value(found));
		json_decref(json);
	}
	json_decref(get(state, "/api/v1/processes?which=sideways", 400));
}

static void one_process(void **state)
{
	json_t *json = get(state, "/api/v1/processes/12", 200);

	/* Of three the one that runs, with its own flow alone. */
	assert_int_equal(number_at(json, "start_boottime_ns"), 200);
	assert_string_equal(text_at(json, "state"), "running");
	assert_int_equal(json_array_size(json_object_get(json, "flows")), 1);
	json_decref(json);
	json = get(state, "/api/v1/processes/12?start_boottime_ns=300", 200);
	assert_string_equal(text_at(json, "state"), "exited");
	assert_int_equal(json_array_size(json_object_get(json, "flows")), 0);
	json_decref(json);
	json = get(state, "/api/v1/processes/7", 200);
	assert_string_equal(text_at(json, "comm"), "a\n\"\\\033[1m\xef\xbf\xbd");
	json_decref(json);
	json = get(state, "/api/v1/processes/300", 200); /* never seen itself */
	assert_true(json_is_null(json_object_get(json, "comm")));
	assert_true(json_is_null(json_object_get(json, "uid")));
	json_decref(json);
	json_decref(get(state, "/api/v1/processes/12?start_boottime_ns=301", 404));
	json_decref(get(state, "/api/v1/processes/99", 404));
	json_decref(get(state, "/api/v1/processes/", 404));
	json_decref(get(state, "/api/v1/processes/abc", 400));
	json_decref(get(state, "/api/v1/processes/7/x", 400));
	json_decref(get(state, "/api/v1/processes/99999999999", 400));
}

static void devices(void **state)
{
	json_t *json = get(state, "/api/v1/devices/pci%2F0000%3A00%3A04.0", 200), *list;

	/* The one that is there, not the one that was unplugged. */
	assert_true(json_is_false(json_object_get(json, "gone")));
	assert_int_equal(number_at(json, "exposed_pages"), 12);
	assert_true(json_is_null(json_object_get(json, "exposed_reason")));
	assert_int_equal(number_at(json_object_get(json, "dma"), "live_mappings"), 3);
	assert_int_equal(number_at(json_object_get(json, "vfio"), "maps"), 9);
	assert_true(json_is_null(json_object_get(json, "virtio")));
	list = json_object_get(json, "exposures");
	assert_int_equal(json_array_size(list), 2);
	assert_int_equal(number_at(json_array_get(list, 0), "pid"), 4000);
	assert_string_equal(text_at(json_array_get(list, 1), "comm"), "a\n\"\\\033[1m\xef\xbf\xbd");
	list = json_object_get(json, "coverage");
	assert_string_equal(text_at(json_array_get(list, 0), "sensor"), "block");
	assert_string_equal(text_at(json_array_get(list, 0), "evidence"), "completed");
	assert_string_equal(text_at(json_array_get(list, 1), "since"), "2026-11-22T20:30:16.000Z");
	list = json_object_get(json, "stacks");
	assert_int_equal(json_array_size(list), 2);
	assert_string_equal(text_at(json_array_get(list, 1), "name"), "md0");
	list = json_object_get(json_array_get(list, 0), "on");
	assert_string_equal(json_string_value(json_array_get(list, 1)), "vd\"b");
	list = json_object_get(json, "not_seen");
	assert_string_equal(json_string_value(json_array_get(list, 1)), "packets: \"copied\"");
	assert_string_equal(text_at(json_object_get(json, "iommu"), "domain"), "DMA-FQ");
	json_decref(json);
	json = get(state, "/api/v1/devices/unattributed", 200);
	assert_true(json_is_null(json_object_get(json, "dirty_pages")));
	assert_true(json_is_null(json_object_get(json, "exposed_pages")));
	assert_true(json_is_null(json_object_get(json, "iommu")));
	assert_string_equal(text_at(json, "exposed_reason"), "no mapping of it was ever seen");
	assert_int_equal(json_array_size(json_object_get(json, "exposures")), 0);
	json_decref(json);
	json = get(state, "/api/v1/devices/virtio%2Fvirtio1", 200);
	assert_int_equal(number_at(json_object_get(json, "virtio"), "used"), 60);
	assert_true(json_is_null(json_object_get(json, "vfio")));
	json_decref(json);
	json = get(state, "/api/v1/devices?filter=VDA", 200);
	assert_int_equal(number_at(json, "total"), 1);
	json_decref(json);
	json_decref(get(state, "/api/v1/devices/virtio/virtio1", 200));
	json_decref(get(state, "/api/v1/devices/virtio/virtio9", 404));
	json_decref(get(state, "/api/v1/devices/virtio%2", 400));
	json_decref(get(state, "/api/v1/devices/virtio%00", 400));
}

static void flows(void **state)
{
	json_t *json = get(state, "/api/v1/flows?sort=pages&order=asc", 200);
	json_t *first = json_array_get(json_object_get(json, "flows"), 0);

	assert_int_equal(number_at(json, "total"), 3);
	assert_true(json_is_null(json_object_get(first, "pid")));
	assert_true(json_is_null(json_object_get(first, "comm")));
	json_decref(json);
	json = get(state, "/api/v1/flows?pid=12", 200);
	assert_int_equal(number_at(json, "total"), 1);
	json_decref(json);
	json = get(state, "/api/v1/flows?device=virtio/virtio1&pid=7", 200);
	assert_int_equal(number_at(json, "total"), 0);
	json_decref(json);
	json = get(state, "/api/v1/flows?filter=VIRTIO1", 200);
	assert_int_equal(number_at(json, "total"), 2);
	json_decref(json);
	json = get(state, "/api/v1/flows?device=virtio%2Fvirtio1", 200);
	assert_int_equal(number_at(json, "total"), 2);
	json_decref(json);
}

static void history(void **state)
{
	json_t *json = get(state, "/api/v1/history", 200), *series, *values;
	const char *name;

	assert_int_equal(json_array_size(json_object_get(json, "time")), 3);
	series = json_object_get(json, "series");
	json_object_foreach(series, name, values) assert_int_equal(json_array_size(values), 3);
	/* A pid that came again: the newest has the plain name. */
	assert_non_null(json_object_get(series, "process:12:again"));
	assert_non_null(json_object_get(series, "process:12:again@100"));
	assert_non_null(json_object_get(series, "process:12:again@200"));
	assert_non_null(json_object_get(series, "device:virtio/virtio1"));
	json_decref(json);
	json = get(state, "/api/v1/history?window=1", 200);
	assert_int_equal(json_array_size(json_object_get(json, "time")), 2);
	json_decref(json);
	json_decref(get(state, "/api/v1/history?window=0", 400));
	json_decref(get(state, "/api/v1/history?window=901", 400));
}

static void events(void **state)
{
	json_t *json = get(state, "/api/v1/events", 200);
	json_t *list = json_object_get(json, "events");

	assert_int_equal(json_array_size(list), 2);
	assert_string_equal(text_at(json, "oldest"), "1");
	assert_string_equal(text_at(json_array_get(list, 1), "id"), "2");
	assert_string_equal(text_at(json_array_get(list, 1), "message"),
			    "named a\n\"\\\033[1m\xef\xbf\xbd");
	json_decref(json);
	json = get(state, "/api/v1/events?after=1&limit=1", 200);
	assert_int_equal(json_array_size(json_object_get(json, "events")), 1);
	json_decref(json);
	json = get(state, "/api/v1/events?after=9223372036854775807", 200);
	assert_int_equal(json_array_size(json_object_get(json, "events")), 0);
	json_decref(json);
}

static void not_ready(void **state)
{
	struct fixture *fixture = *state;
	struct snapshot_store *store = fixture->context.store;
	json_t *json;

	fixture->context.store = snapshot_store__new();
	json_decref(get(state, "/-/healthy", 200));
	json_decref(get(state, "/-/ready", 503));
	fixture->context.startup = startup__new();
	startup__tell(fixture->context.startup, "loading programs", 31, 58);
	json = get(state, "/-/ready", 503);
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(json, "error"), "message")),
		"loading programs, 31 of 58");
	json_decref(json);
	startup__free(fixture->context.startup);
	fixture->context.startup = NULL;
	json_decref(get(state, "/metrics", 503));
	json_decref(get(state, "/api/v1/summary", 503));
	json_decref(get(state, "/api/v1/events", 200));
	/* A bad request is one whether ready or not. */
	json_decref(get(state, "/api/v1/summary?x=1", 400));
	snapshot_store__free(fixture->context.store);
	fixture->context.store = store;
	json_decref(get(state, "/-/ready", 200));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(summary),	cmocka_unit_test(lists),
		cmocka_unit_test(pages_around), cmocka_unit_test(one_process),
		cmocka_unit_test(devices),	cmocka_unit_test(flows),
		cmocka_unit_test(history),	cmocka_unit_test(events),
		cmocka_unit_test(not_ready),
	};

	return cmocka_run_group_tests_name("views", tests, views__set_up, views__tear_down);
}
