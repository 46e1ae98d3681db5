/* SPDX-License-Identifier: BSD-2-Clause */
/* What a sensor is said to be: its sums, its state, its reason; and the program table itself. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "agent/kernel/choice.h"
#include "agent/kernel/programs.h"
#include "agent/kernel/sensors.h"

static void rows_of_all_cpus_are_summed(void **state)
{
	struct ds_sensor_stats rows[DS_SENSOR_COUNT * 2] = {0};
	struct snapshot_sensor sensor = {.id = DS_SENSOR_BLOCK};

	rows[DS_SENSOR_BLOCK * 2] = (struct ds_sensor_stats){.offered = 10, .counted = 7};
	rows[DS_SENSOR_BLOCK * 2].lost[DS_LOST_FLOWS_FULL] = 3;
	rows[DS_SENSOR_BLOCK * 2 + 1] = (struct ds_sensor_stats){.offered = 5, .counted = 4};
	rows[DS_SENSOR_BLOCK * 2 + 1].lost[DS_LOST_TRUNCATED] = 1;
	rows[DS_SENSOR_NET * 2].offered = rows[DS_SENSOR_NET * 2].counted = 99;
	sensor__sum(rows, 2, &sensor);
	assert_int_equal(sensor.offered, 15);
	assert_int_equal(sensor.counted, 11);
	assert_int_equal(sensor__lost(&sensor), 4);
	assert_int_equal(sensor.offered, sensor.counted + sensor__lost(&sensor));
}

/* dma_map_sg_err is optional, dma_map_sg is not. */
static void state_follows_from_the_programs(void **state)
{
	struct snapshot_program programs[] = {
		{.name = "dma_map_sg", .state = PROGRAM_ACTIVE, .reason = ""},
		{.name = "dma_map_sg_err", .state = PROGRAM_UNAVAILABLE, .reason = "no sg_err"},
		{.name = "dma_map_page", .state = PROGRAM_REPLACED, .reason = "replaced"},
		{.name = "dma_unmap_sg", .state = PROGRAM_ACTIVE, .reason = ""},
	};
	struct snapshot_sensor sensor = {.programs = programs, .program_count = 4};

	sensor__judge(&sensor);
	assert_int_equal(sensor.state, SENSOR_ACTIVE);
	assert_string_equal(sensor.reason, "");

	programs[3].state = PROGRAM_UNAVAILABLE;
	programs[3].reason = "EPERM";
	sensor__judge(&sensor);
	assert_int_equal(sensor.state, SENSOR_PARTIAL);
	assert_non_null(strstr(sensor.reason, "1 of its programs cannot run: EPERM"));

	programs[0].state = PROGRAM_UNAVAILABLE;
	programs[0].reason = "no tracepoint dma_map_sg";
	sensor__judge(&sensor);
	assert_int_equal(sensor.state, SENSOR_UNAVAILABLE);
	assert_string_equal(sensor.reason, "no tracepoint dma_map_sg"); /* the first of them */
}

/* A program that the kernel refused is told as such; the sensor is whole while another stands in.
 */
static void a_stand_in_makes_whole(void **state)
{
	struct snapshot_program programs[] = {
		{.name = "dma_map_sg", .state = PROGRAM_UNAVAILABLE, .reason = "no bio.bi_next"},
		{.name = "dma_map_sg_call", .state = PROGRAM_ACTIVE, .reason = ""},
	};
	struct snapshot_sensor sensor = {.programs = programs, .program_count = 2};

	sensor__judge(&sensor);
	assert_int_equal(sensor.state, SENSOR_ACTIVE);

	programs[1].name = "dma_unmap_sg_call"; /* stands in for another one */
	sensor__judge(&sensor);
	assert_int_equal(sensor.state, SENSOR_PARTIAL);
	assert_non_null(strstr(sensor.reason, "no bio.bi_next"));
}

static void losses_are_told_while_they_last(void **state)
{
	struct snapshot_program program = {
		.name = "page_fault_user", .state = PROGRAM_ACTIVE, .reason = ""};
	struct snapshot_sensor sensor = {.programs = &program, .program_count = 1, .losing = true};

	sensor.lost[DS_LOST_PROCESSES_FULL] = 12;
	sensor.lost[DS_LOST_RECURSION] = 1;
	sensor__judge(&sensor);
	assert_int_equal(sensor.state, SENSOR_PARTIAL);
	assert_non_null(strstr(sensor.reason, "processes_full 12"));
	assert_non_null(strstr(sensor.reason, "recursion 1"));

	memset(sensor.reason, 0, sizeof(sensor.reason));
	sensor.losing = false;
	sensor.state = SENSOR_ACTIVE;
	sensor__judge(&sensor);
	assert_int_equal(sensor.state, SENSOR_ACTIVE);
	assert_int_equal(sensor__lost(&sensor), 13);
}

/* Every program that a row names exists, and is one of its sensor. */
static void check_named(const struct program_row *row, const char *name)
{
	const struct program_row *other = name ? program__find(name) : NULL;

	if (!name)
		return;
	if (!other || other == row || other->sensor != row->sensor)
		fail_msg("%s names %s", row->name, name);
}

static void the_table_is_sound(void **state)
{
	int programs[DS_SENSOR_COUNT] = {0};

	for (const struct program_row *row = program_table; row->name; row++) {
		bool known = false;

		programs[row->sensor]++;
		assert_ptr_equal(program__find(row->name), row); /* names are unique */
		for (const struct hook_kind *kind = hook_kinds; kind->prefix; kind++)
			known |= strncmp(row->hook, kind->prefix, strlen(kind->prefix)) == 0;
		assert_true(known);
		for (int i = 0; i < PROGRAM_NAMES; i++) {
			check_named(row, row->yields_to[i]);
			check_named(row, row->stand_in[i]);
		}
		check_named(row, row->twin);
		check_named(row, row->with);
	}
	for (int sensor = 0; sensor < DS_SENSOR_COUNT; sensor++) {
		assert_true(programs[sensor] > 0);
		assert_true(*sensor_table[sensor].yields);
		if (sensor_table[sensor].better) {
			assert_non_null(program__find(sensor_table[sensor].better));
			assert_non_null(sensor_table[sensor].blind_then);
		}
	}
	assert_null(program__find("no such program"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_of_all_cpus_are_summed),
		cmocka_unit_test(state_follows_from_the_programs),
		cmocka_unit_test(a_stand_in_makes_whole),
		cmocka_unit_test(losses_are_told_while_they_last),
		cmocka_unit_test(the_table_is_sound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
