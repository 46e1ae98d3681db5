/* SPDX-License-Identifier: BSD-2-Clause */
/* What processes write by faults; and their lifetimes. */
#include "tests/bpf/harness.h"

#include <bpf/bpf.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "twins.skel.h"

#define USER_ADDRESS 0x7f0000001000ULL
#define KERNEL_ADDRESS 0xffff888000001000ULL

static void every_error_code(void **state)
{
	struct harness *h = *state;
	struct ds_process_stats *want = &h->want.processes[1];

	want__process(h, 7, 70, 1);
	for (uint64_t code = 0; code < 256; code++) { /* all the bits that x86 defines below SGX */
		run(h, fault, 7, 70, USER_ADDRESS, code);
		run(h, fault, 7, 70, KERNEL_ADDRESS, code);
		if (!(code & WRITE))
			continue;
		want__counted(h, DS_SENSOR_FAULT);
		if (!(code & USER))
			want->kernel++;
		else if (code & PRESENT)
			want->rewrite++;
		else
			want->first_touch++;
	}
	assert_int_equal(want->kernel, 64);
	assert_int_equal(want->rewrite, 32);
	assert_int_equal(want->first_touch, 32);
	harness__check(h);
}

static void edge_of_user_addresses(void **state)
{
	struct harness *h = *state;

	run(h, fault, 7, 70, 0, USER | WRITE);
	run(h, fault, 7, 70, INT64_MAX, USER | WRITE);
	run(h, fault, 7, 70, 1ULL << 63, USER | WRITE);
	run(h, fault, 7, 70, UINT64_MAX, USER | WRITE);
	want__process(h, 7, 70, 1);
	want__counted(h, DS_SENSOR_FAULT);
	want__counted(h, DS_SENSOR_FAULT);
	h->want.processes[1].first_touch = 2;
	harness__check(h);
}

static void reused_pid_is_another_process(void **state)
{
	struct harness *h = *state;

	run(h, fault, 7, 70, USER_ADDRESS, USER | WRITE);
	run(h, fault, 8, 70, USER_ADDRESS, USER | WRITE | PRESENT);
	run(h, fault, 7, 71, USER_ADDRESS, WRITE);
	want__process(h, 7, 70, 1);
	want__process(h, 8, 70, 2);
	want__process(h, 7, 71, 3);
	h->want.processes[1].first_touch = 1;
	h->want.processes[2].rewrite = 1;
	h->want.processes[3].kernel = 1;
	for (int i = 0; i < 3; i++)
		want__counted(h, DS_SENSOR_FAULT);
	harness__check(h);
}

/* The slot of the process met last is remembered per CPU: never past the slot's own life. */
static void reused_slot_is_another_process(void **state)
{
	struct harness *h = *state;
	struct ds_process_key gone = {.start_boottime_ns = 7, .tgid = 70};
	uint32_t slot = 1;

	run(h, fault, 7, 70, USER_ADDRESS, USER | WRITE);
	run(h, fault, 7, 70, USER_ADDRESS, USER | WRITE);
	assert_int_equal(bpf_map_delete_elem(harness__table(h, TABLE_PROCESSES), &gone), 0);
	h->process_infos[1].state = DS_SLOT_FREE; /* as the agent gives a slot back */
	run(h, fault, 7, 70, USER_ADDRESS, USER | WRITE);
	assert_int_equal(bpf_map_update_elem(bpf_map__fd(h->twins->maps.process_slots), NULL, &slot,
					     BPF_ANY),
			 0);
	run(h, fault, 8, 80, USER_ADDRESS, USER | WRITE);
	run(h, fault, 7, 70, USER_ADDRESS, USER | WRITE);
	run(h, fault, 8, 80, USER_ADDRESS, USER | WRITE);
	want__process(h, 7, 70, 2);
	want__process(h, 8, 80, 1);
	h->want.processes[1].first_touch = 4;
	h->want.processes[2].first_touch = 2;
	for (int i = 0; i < 6; i++)
		want__counted(h, DS_SENSOR_FAULT);
	harness__check(h);
}

static void process_table_full(void **state)
{
	struct harness *h = *state;

	for (uint32_t i = 1; i < SLOTS; i++) {
		run(h, fault, i, i, USER_ADDRESS, USER | WRITE);
		want__process(h, i, i, i);
		want__counted(h, DS_SENSOR_FAULT);
		h->want.processes[i].first_touch = 1;
	}
	for (uint32_t i = SLOTS; i < SLOTS + 5; i++) {
		run(h, fault, i, i, USER_ADDRESS, USER | WRITE);
		want__lost(h, DS_SENSOR_FAULT, DS_LOST_PROCESSES_FULL);
	}
	h->want.processes[DS_SLOT_NONE].first_touch = 5; /* the pages are not lost */
	run(h, fault, 3, 3, USER_ADDRESS, USER | WRITE); /* and who has a slot keeps it */
	want__counted(h, DS_SENSOR_FAULT);
	h->want.processes[3].first_touch++;
	harness__check(h);
}

static uint64_t boot_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

static void admitted_process_has_its_names(void **state)
{
	struct harness *h = *state;
	struct ds_process_info *info = &h->process_infos[1];

	prctl(PR_SET_NAME, "before \"exec\"\n");
	run(h, fault, 7, 70, USER_ADDRESS, USER | WRITE);
	assert_int_equal(info->key.start_boottime_ns, 7);
	assert_int_equal(info->key.tgid, 70);
	assert_string_equal(info->comm, "before \"exec\"\n");
	assert_int_equal(info->uid, getuid());
	assert_true(info->cgroup_id);
	assert_int_equal(info->exit_ns, 0);
	assert_int_equal(info->execs, 0);
	assert_int_equal(info->state, DS_SLOT_LIVE);
	assert_int_equal(h->process_infos[0].state, DS_SLOT_FREE);
	assert_int_equal(h->process_infos[2].state, DS_SLOT_FREE);
	prctl(PR_SET_NAME, "test_accounting");
}

/* One that lives and has no slot is in a table of its own, so that its end is told as well. */
static void watched_exit(void **state)
{
	struct harness *h = *state;
	struct ds_process_key key = {.start_boottime_ns = 7, .tgid = 70};
	uint64_t ended = 0, begin = boot_ns();
	int watched = bpf_map__fd(h->twins->maps.watched);

	assert_int_equal(bpf_map_update_elem(watched, &key, &ended, BPF_ANY), 0);
	run(h, exit, 8, 70);
	harness__check(h);
	run(h, exit, 7, 70);
	want__counted(h, DS_SENSOR_PROCESS);
	assert_int_equal(bpf_map_lookup_elem(watched, &key, &ended), 0);
	assert_in_range(ended, begin, boot_ns());
	assert_int_equal(bpf_map_delete_elem(watched, &key), 0);
	harness__check(h);
}

static void exec_and_exit(void **state)
{
	struct harness *h = *state;
	struct ds_process_info *info = &h->process_infos[1];
	uint64_t begin = boot_ns();

	run(h, exit, 7, 70); /* has written nothing: not an event */
	run(h, exec, 7, 70);
	harness__check(h);

	run(h, fault, 7, 70, USER_ADDRESS, USER | WRITE);
	want__process(h, 7, 70, 1);
	want__counted(h, DS_SENSOR_FAULT);
	h->want.processes[1].first_touch = 1;
	prctl(PR_SET_NAME, "after");
	run(h, exec, 7, 70);
	prctl(PR_SET_NAME, "test_accounting");
	want__counted(h, DS_SENSOR_PROCESS);
	assert_string_equal(info->comm, "after");
	assert_int_equal(info->execs, 1);
	assert_int_equal(info->exit_ns, 0);
	run(h, exit, 7, 70);
	want__counted(h, DS_SENSOR_PROCESS);
	assert_uint_in_range(info->exit_ns, begin, boot_ns());
	run(h, exit, 8, 70); /* the same pid, another process */
	harness__check(h);
}

/* Each slot is of one cgroup; what is written after a move is another's. */
static void a_move_ends_the_slot(void **state)
{
	struct harness *h = *state;
	struct ds_process_info *info = &h->process_infos[1];

	run(h, move, 7, 70); /* has written nothing: not an event */
	run(h, fault, 7, 70, USER_ADDRESS, USER | WRITE);
	run(h, move, 7, 70); /* to where it is, or in a hierarchy that is not looked at */
	want__process(h, 7, 70, 1);
	want__counted(h, DS_SENSOR_FAULT);
	h->want.processes[1].first_touch = 1;
	assert_int_equal(info->state, DS_SLOT_LIVE);
	harness__check(h);

	info->cgroup_id++; /* it came from another one */
	run(h, move, 7, 70);
	want__counted(h, DS_SENSOR_PROCESS);
	assert_int_equal(info->state, DS_SLOT_LEFT);
	assert_int_equal(h->process_infos[2].state, DS_SLOT_LIVE);
	run(h, fault, 7, 70, USER_ADDRESS, USER | WRITE);
	want__process(h, 7, 70, 2); /* the slot that it has now */
	want__counted(h, DS_SENSOR_FAULT);
	h->want.processes[2].first_touch = 1;
	assert_int_equal(h->process_infos[2].cgroup_id, info->cgroup_id - 1);

	h->process_infos[2].memory_hierarchy++; /* the same by the other hierarchy alone */
	run(h, move, 7, 70);
	want__counted(h, DS_SENSOR_PROCESS);
	assert_int_equal(h->process_infos[2].state, DS_SLOT_LEFT);
}

/* ---- cgroups ---- */

static uint64_t fake_cgroup(struct harness *h, uint64_t id, uint32_t hierarchy)
{
	uint64_t cgroup = fake__new(h, "cgroup", 1), node = fake__new(h, "kernfs_node", 1);
	uint64_t root = fake__new(h, "cgroup_root", 1);

	fake__set(h, cgroup, "cgroup.kn", node);
	fake__set(h, cgroup, "cgroup.root", root);
	fake__set(h, node, "kernfs_node.id", id);
	fake__set(h, root, "cgroup_root.hierarchy_id", hierarchy);
	return cgroup;
}

struct heard {
	struct ds_cgroup_event last;
	uint64_t count;
};

static int hear(void *context, void *data, size_t size)
{
	struct heard *heard = context;

	heard->count++;
	memset(&heard->last, 0, sizeof(heard->last));
	memcpy(&heard->last, data, size);
	return 0;
}

static void what_becomes_of_cgroups(void **state)
{
	struct harness *h = *state;
	uint64_t cgroup = fake_cgroup(h, 1ULL << 40, 4), lost;
	struct heard heard = {.count = 0};
	struct ring_buffer *ring =
		ring_buffer__new(bpf_map__fd(h->twins->maps.cgroup_events), hear, &heard, NULL);
	char path[DS_CGROUP_PATH + 8];

	assert_non_null(ring);
	assert_true(ring_buffer__consume(ring) >= 0);
	heard.count = 0;
	run(h, cgroup, cgroup, fake__string(h, "/a/b"), DS_CGROUP_MADE);
	want__counted(h, DS_SENSOR_PROCESS);
	assert_int_equal(ring_buffer__consume(ring), 1);
	assert_int_equal(heard.last.id, 1ULL << 40);
	assert_int_equal(heard.last.hierarchy, 4);
	assert_int_equal(heard.last.kind, DS_CGROUP_MADE);
	assert_int_equal(heard.last.length, sizeof("/a/b"));
	assert_string_equal(heard.last.path, "/a/b");

	memset(path, 'x', sizeof(path));
	path[DS_CGROUP_PATH - 2] = 0; /* the longest that was not cut */
	run(h, cgroup, cgroup, fake__string(h, path), DS_CGROUP_RENAMED);
	want__counted(h, DS_SENSOR_PROCESS);
	assert_int_equal(ring_buffer__consume(ring), 1);
	assert_string_equal(heard.last.path, path);
	path[DS_CGROUP_PATH - 2] = 'x';
	path[DS_CGROUP_PATH - 1] = 0;
	run(h, cgroup, cgroup, fake__string(h, path), DS_CGROUP_RENAMED);
	want__lost(h, DS_SENSOR_PROCESS, DS_LOST_TRUNCATED);
	harness__check(h);

	/* More than fits: each is told, or counted as lost. */
	heard.count = 0;
	for (int i = 0; i < 10000; i++)
		run(h, cgroup, cgroup, fake__string(h, "/a/b"), DS_CGROUP_REMOVED);
	lost = harness__sensor(h, DS_SENSOR_PROCESS).lost[DS_LOST_EVENTS_FULL];
	assert_true(lost > 0);
	assert_true(ring_buffer__consume(ring) > 0);
	assert_int_equal(heard.count + lost, 10000);
	ring_buffer__free(ring);
}

static void current_process_as_procfs_has_it(void **state)
{
	struct harness *h = *state;
	unsigned long long ticks = 0;
	char line[1024] = "";
	FILE *stat = fopen("/proc/self/stat", "r");

	assert_non_null(stat);
	assert_non_null(fgets(line, sizeof(line), stat));
	fclose(stat);
	assert_int_equal(sscanf(strrchr(line, ')'),
				") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d "
				"%*d %*d %*d %llu",
				&ticks),
			 1);
	run(h, current, 0);
	assert_int_equal(h->twins->bss->current_process.tgid, getpid());
	assert_int_equal(h->twins->bss->current_process.start_boottime_ns /
				 (1000000000 / sysconf(_SC_CLK_TCK)),
			 ticks);
}

int cpu_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(every_error_code, harness__each),
		cmocka_unit_test_setup(edge_of_user_addresses, harness__each),
		cmocka_unit_test_setup(reused_pid_is_another_process, harness__each),
		cmocka_unit_test_setup(reused_slot_is_another_process, harness__each),
		cmocka_unit_test_setup(process_table_full, harness__each),
		cmocka_unit_test_setup(admitted_process_has_its_names, harness__each),
		cmocka_unit_test_setup(watched_exit, harness__each),
		cmocka_unit_test_setup(exec_and_exit, harness__each),
		cmocka_unit_test_setup(a_move_ends_the_slot, harness__each),
		cmocka_unit_test_setup(what_becomes_of_cgroups, harness__each),
		cmocka_unit_test_setup(current_process_as_procfs_has_it, harness__each),
	};

	return cmocka_run_group_tests_name("cpu", tests, harness__group, harness__group_end);
}
