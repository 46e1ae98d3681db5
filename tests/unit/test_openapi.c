/* SPDX-License-Identifier: BSD-2-Clause */
/* openapi.json against the routes, and every answer against openapi.json. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "tests/unit/views_fixture.h"

/* openapi.json names every route, and every parameter with its bounds; nothing else. */
static void openapi_matches_routes(void **state)
{
	json_t *api = get(state, "/api/v1/openapi.json", 200);
	json_t *paths = json_object_get(api, "paths");
	size_t routes = 0, operations = 0;
	const char *path;
	json_t *one;

	for (const struct route *route = api_routes; route->method; route++, routes++) {
		json_t *get_it = json_object_get(json_object_get(paths, route->path),
						 strcmp(route->method, "GET") == 0    ? "get"
						 : strcmp(route->method, "POST") == 0 ? "post"
						 : strcmp(route->method, "PUT") == 0  ? "put"
										      : "delete");
		json_t *parameters = json_object_get(get_it, "parameters"), *item;
		size_t index, count = 0, wanted = 0;

		if (!get_it)
			fail_msg("%s is not in openapi.json", route->path);
		assert_string_equal(text_at(get_it, "summary"), route->help);
		json_array_foreach(parameters, index, item)
		{
			const char *ref = text_at(item, "$ref");
			const struct param_row *row = route->params;

			if (ref)
				item = json_object_get(
					json_object_get(json_object_get(api, "components"),
							"parameters"),
					strrchr(ref, '/') + 1);
			if (strcmp(text_at(item, "in"), "query") != 0)
				continue;
			count++;
			while (row->name && strcmp(row->name, text_at(item, "name")) != 0)
				row++;
			if (!row->name)
				fail_msg("%s takes no %s", route->path, text_at(item, "name"));
			assert_string_equal(text_at(item, "description"), row->help);
			item = json_object_get(item, "schema");
			if (row->type == PARAM_CHOICE) {
				json_t *names = json_object_get(item, "enum");

				for (size_t i = 0; i < json_array_size(names); i++)
					assert_string_equal(
						json_string_value(json_array_get(names, i)),
						param_row__choice(row, i));
				assert_null(param_row__choice(row, json_array_size(names)));
			} else if (row->type == PARAM_INTEGER) {
				assert_int_equal(number_at(item, "minimum"), row->min);
				assert_int_equal(number_at(item, "maximum"), row->max);
			}
		}
		while (route->params && route->params[wanted].name)
			wanted++;
		assert_int_equal(count, wanted);
	}
	json_object_foreach(paths, path, one) operations += json_object_size(one);
	assert_int_equal(operations, routes);
	json_decref(api);
}

/* Every answer, by a real validator. */
static void answers_fit_openapi(void **state)
{
	static const struct {
		const char *path, *uri;
		unsigned status;
	} cases[] = {
		{"/", "/", 200},
		{"/-/healthy", "/-/healthy", 200},
		{"/-/ready", "/-/ready", 200},
		{"/api/v1/summary", "/api/v1/summary", 200},
		{"/api/v1/processes", "/api/v1/processes", 200},
		{"/api/v1/processes/{pid}", "/api/v1/processes/12", 200},
		{"/api/v1/cgroups", "/api/v1/cgroups", 200},
		{"/api/v1/vms", "/api/v1/vms", 200},
		{"/api/v1/devices", "/api/v1/devices", 200},
		{"/api/v1/devices/{id}", "/api/v1/devices/unattributed", 200},
		{"/api/v1/devices/{id}", "/api/v1/devices/pci%2F0000%3A00%3A04.0", 200},
		{"/api/v1/devices/{id}", "/api/v1/devices/virtio%2Fvirtio1", 200},
		{"/api/v1/flows", "/api/v1/flows", 200},
		{"/api/v1/sensors", "/api/v1/sensors", 200},
		{"/api/v1/history", "/api/v1/history", 200},
		{"/api/v1/events", "/api/v1/events", 200},
		{"/api/v1/tracks", "/api/v1/tracks", 200},
		{"/api/v1/policies", "/api/v1/policies", 200},
		{"error", "/api/v1/nothing", 404},
		{"error", "/api/v1/flows?pid=x", 400},
	};
	FILE *validator = popen("/usr/bin/python3 tests/unit/validate.py", "w");

	assert_non_null(validator);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		json_t *answer = get(state, cases[i].uri, cases[i].status);
		json_t *line = json_pack("{s:s, s:o}", "path", cases[i].path, "answer", answer);

		assert_int_equal(json_dumpf(line, validator, JSON_COMPACT), 0);
		fputc('\n', validator);
		json_decref(line);
	}
	assert_int_equal(pclose(validator), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(openapi_matches_routes),
		cmocka_unit_test(answers_fit_openapi),
	};

	return cmocka_run_group_tests_name("openapi", tests, views__set_up, views__tear_down);
}
