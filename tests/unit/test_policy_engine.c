/* SPDX-License-Identifier: BSD-2-Clause */
/* States of policies over snapshots made by hand, with a clock of the test's own. */
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/base/files.h"
#include "tests/cmocka_names.h"
#include "tests/unit/policy_fixture.h"

#define RULE(name, when, more)                                \
	"  - {name: " name ", for_each: process, when: " when \
	", then: [log], dry_run: true, " more "}\n"
#define ONE(when, more) "policies:\n" RULE("rule", when, more)

/* One process; its rate of writes is what most tests turn. */
struct lone {
	struct host host;
	struct snapshot_process process;
};

static void lone__new(struct lone *lone, const char *rules)
{
	*lone = (struct lone){.process = {.identity = host__identity(10, 100, "dd")}};
	host__new(&lone->host, rules);
}

static void lone__free(struct lone *lone)
{
	host__free(&lone->host);
	process_identity__put(lone->process.identity);
}

static struct policy *policy_of(const struct host *host)
{
	return &host->policies->list[0];
}

static enum policy_state state_of(const struct host *host)
{
	const struct policy *policy = policy_of(host);

	for (int state = 0; state < POLICY_STATES; state++)
		if (policy->counts[state])
			return state;
	return POLICY_INACTIVE;
}

static enum policy_state lone__rate(struct lone *lone, double rate, double now)
{
	lone->process.rates[DS_WRITER_CPU] = rate;
	host__look(&lone->host, &lone->process, 1, NULL, 0, now);
	return state_of(&lone->host);
}

static enum policy_state lone__written(struct lone *lone, uint64_t written, double now)
{
	lone->process.written[DS_WRITER_CPU] = written;
	return lone__rate(lone, 0, now);
}

static void test_for_and_clear(void **unused)
{
	struct lone it;

	lone__new(&it,
		  ONE("{metric: rates.cpu, threshold: 100, clear: 50, for: 10s}", "cooldown: 0s"));
	assert_int_equal(lone__rate(&it, 100, 1), POLICY_INACTIVE); /* above, not at */
	assert_int_equal(lone__rate(&it, 101, 2), POLICY_PENDING);
	assert_int_equal(lone__rate(&it, 101, 11.999), POLICY_PENDING);
	assert_int_equal(lone__rate(&it, 99, 11.9995), POLICY_INACTIVE); /* a break: from anew */
	assert_int_equal(lone__rate(&it, 101, 12), POLICY_PENDING);
	assert_int_equal(lone__rate(&it, 101, 22), POLICY_FIRING);
	assert_int_equal(lone__rate(&it, 51, 23), POLICY_FIRING);
	assert_int_equal(lone__rate(&it, 50, 24), POLICY_RESOLVED);
	assert_int_equal(lone__rate(&it, 99, 53.999), POLICY_RESOLVED);
	assert_int_equal(lone__rate(&it, 99, 54), POLICY_INACTIVE);
	assert_int_equal(host__actions(&it.host, "log", "dry_run"), 1);
	assert_int_equal(it.host.policies->instances, 0);
	lone__free(&it);
}

static void test_cooldown(void **unused)
{
	struct lone it;

	lone__new(&it, ONE("{metric: rates.cpu, threshold: 100}", "cooldown: 60s"));
	assert_int_equal(lone__rate(&it, 200, 0), POLICY_FIRING);
	assert_int_equal(lone__rate(&it, 0, 1), POLICY_RESOLVED);
	assert_int_equal(lone__rate(&it, 200, 59.999), POLICY_PENDING);
	assert_string_equal(policy_of(&it.host)->instances->held, "cooldown");
	assert_int_equal(lone__rate(&it, 200, 60), POLICY_FIRING);
	assert_int_equal(host__actions(&it.host, "log", "dry_run"), 2);
	lone__free(&it);
}

static size_t events_of(const struct host *host)
{
	struct event *events;
	int count = events__read(host->events, 0, EVENTS_KEPT, &events, NULL);

	free(events);
	return count < 0 ? 0 : (size_t)count;
}

static void test_flaps(void **unused)
{
	struct lone it;

	lone__new(&it, ONE("{metric: rates.cpu, threshold: 100}", "cooldown: 60s"));
	for (int i = 0; i < 2000; i++)
		lone__rate(&it, i % 2 ? 0 : 200, i);
	/* At 0, 60, 120, ... 1980. */
	assert_int_equal(host__actions(&it.host, "log", "dry_run"), 34);
	/* Each firing is told with its action, its end, and that it was held: no flood. */
	assert_uint_in_range(events_of(&it.host), 4 * 33, 4 * 34);
	lone__free(&it);
}

static void test_max_active(void **unused)
{
	struct snapshot_process processes[10] = {};
	struct host host;

	host__new(&host, ONE("{metric: rates.cpu, threshold: 100}", "max_active: 3, cooldown: 0s"));
	for (uint32_t i = 0; i < 10; i++) {
		processes[i].identity = host__identity(i + 1, 5, "dd");
		processes[i].rates[DS_WRITER_CPU] = 200;
	}
	for (int now = 0; now < 3; now++)
		host__look(&host, processes, 10, NULL, 0, now);
	assert_int_equal(policy_of(&host)->counts[POLICY_FIRING], 3);
	assert_int_equal(policy_of(&host)->counts[POLICY_PENDING], 7);
	processes[0].rates[DS_WRITER_CPU] = 0;
	host__look(&host, processes, 10, NULL, 0, 3);
	host__look(&host, processes, 10, NULL, 0, 4);
	assert_int_equal(policy_of(&host)->counts[POLICY_FIRING], 3);
	assert_int_equal(policy_of(&host)->counts[POLICY_RESOLVED], 1);
	assert_int_equal(host__actions(&host, "log", "dry_run"), 4);
	host__free(&host);
	for (size_t i = 0; i < 10; i++)
		process_identity__put(processes[i].identity);
}

static void test_exit_and_reuse(void **unused)
{
	struct process_identity *again = host__identity(10, 999, "dd"), *first;
	struct lone it;

	lone__new(&it, ONE("{metric: rates.cpu, threshold: 100}", "cooldown: 1h"));
	assert_int_equal(lone__rate(&it, 200, 0), POLICY_FIRING);
	it.process.state = PROCESS_EXITED;
	assert_int_equal(lone__rate(&it, 200, 1), POLICY_RESOLVED);
	/* The pid comes again while the first is still remembered: its cooldown is not ours. */
	first = it.process.identity;
	it.process = (struct snapshot_process){.identity = again};
	lone__rate(&it, 200, 2);
	assert_int_equal(policy_of(&it.host)->counts[POLICY_FIRING], 1);
	assert_int_equal(policy_of(&it.host)->counts[POLICY_RESOLVED], 1);
	assert_int_equal(host__actions(&it.host, "log", "dry_run"), 2);
	lone__free(&it);
	process_identity__put(first);
}

static void test_rename(void **unused)
{
	struct process_identity *before;
	struct lone it;

	lone__new(&it, ONE("{metric: rates.cpu, threshold: 100, clear: 10}",
			   "where: [comm = cat], cooldown: 0s"));
	assert_int_equal(lone__rate(&it, 200, 0), POLICY_INACTIVE);
	assert_int_equal(policy_of(&it.host)->chosen, 0);
	before = it.process.identity;
	it.process.identity = host__identity(10, 100, "cat");
	process_identity__put(before);
	assert_int_equal(lone__rate(&it, 200, 1), POLICY_FIRING);
	assert_int_equal(policy_of(&it.host)->chosen, 1);
	before = it.process.identity;
	it.process.identity = host__identity(10, 100, "dd");
	process_identity__put(before);
	assert_int_equal(lone__rate(&it, 200, 2), POLICY_RESOLVED);
	lone__free(&it);
}

static void test_rates(void **unused)
{
	struct lone it;

	lone__new(&it, ONE("{rate: written, threshold: 100}", "cooldown: 0s"));
	assert_int_equal(lone__written(&it, 5000, 0), POLICY_INACTIVE); /* one point: no rate */
	assert_int_equal(lone__written(&it, 5100, 1), POLICY_INACTIVE);
	assert_int_equal(lone__written(&it, 5301, 3), POLICY_FIRING); /* 100.5 a second */
	assert_int_equal(lone__written(&it, 5301, 4), POLICY_RESOLVED);
	lone__free(&it);
	lone__new(&it, ONE("{rate: written, over: 8s, threshold: 100}", "cooldown: 0s"));
	for (int now = 0; now < 8; now++) /* too early, however much it is */
		assert_int_equal(lone__written(&it, (uint64_t)now * 1000, now), POLICY_INACTIVE);
	assert_int_equal(lone__written(&it, 8000, 8), POLICY_FIRING);
	/* It takes until all that is eight seconds old. */
	for (int now = 9; now < 15; now++)
		assert_int_equal(lone__written(&it, 8000, now), POLICY_FIRING);
	assert_int_equal(lone__written(&it, 8000, 16), POLICY_RESOLVED);
	lone__free(&it);
}

static void test_unknown_numbers(void **unused)
{
	static const char rules[] = "policies:\n"
				    "  - {name: a, for_each: device, dry_run: true, then: [log], "
				    "cooldown: 0s, when: {metric: exposed_pages, comparison: "
				    "\"<\", threshold: 10}}\n"
				    "  - {name: b, for_each: device, dry_run: true, then: [log], "
				    "when: {metric: exposed_pages, comparison: \"!=\", "
				    "threshold: 10}}\n";
	struct snapshot_device device = {
		.id = "pci/1", .bus = "pci", .driver = "", .exposed_known = false};
	struct host host;

	host__new(&host, rules);
	host__look(&host, NULL, 0, &device, 1, 0);
	assert_int_equal(host.policies->instances, 0); /* not known is neither */
	device.exposed_known = true;
	device.exposed_pages = 5;
	host__look(&host, NULL, 0, &device, 1, 1);
	assert_int_equal(host.policies->list[0].counts[POLICY_FIRING], 1);
	assert_int_equal(host.policies->list[1].counts[POLICY_FIRING], 1);
	device.exposed_known = false;
	host__look(&host, NULL, 0, &device, 1, 2);
	assert_int_equal(host.policies->list[0].counts[POLICY_RESOLVED], 1);
	host__free(&host);
}

static void test_all_any(void **unused)
{
	static const char all[] = ONE("{all: [{metric: rates.cpu, threshold: 100, clear: 50}, "
				      "{any: [{metric: written.cpu, threshold: 10}, "
				      "{metric: uid, comparison: \"==\", threshold: 7}]}]}",
				      "cooldown: 0s");
	struct lone it;

	lone__new(&it, all);
	assert_int_equal(lone__rate(&it, 200, 0), POLICY_INACTIVE);
	it.process.written[DS_WRITER_CPU] = 11;
	assert_int_equal(lone__rate(&it, 100, 1), POLICY_INACTIVE);
	assert_int_equal(lone__rate(&it, 200, 2), POLICY_FIRING);
	assert_true(policy_of(&it.host)->instances->value == 200);
	assert_int_equal(lone__rate(&it, 51, 3), POLICY_FIRING); /* `clear` within all */
	it.process.written[DS_WRITER_CPU] = 10;
	assert_int_equal(lone__rate(&it, 51, 4), POLICY_RESOLVED);
	lone__free(&it);
}

/* A hundred at a time, each for one look. */
static void test_many_come_and_go(void **unused)
{
	struct snapshot_process processes[100] = {};
	const struct target_table *targets;
	struct host host;

	host__new(&host, "policies:\n" RULE("rule", "{metric: rates.cpu, threshold: 100}",
					    "cooldown: 0s, max_active: 100000"));
	for (uint32_t round = 0; round < 100; round++) {
		for (uint32_t i = 0; i < 100; i++) {
			processes[i].identity =
				host__identity(round * 100 + i + 1, round + 1, "short");
			processes[i].rates[DS_WRITER_CPU] = 200;
		}
		host__look(&host, processes, 100, NULL, 0, round * 31.0);
		for (size_t i = 0; i < 100; i++)
			process_identity__put(processes[i].identity);
	}
	targets = policy_of(&host)->targets;
	assert_int_equal(host__actions(&host, "log", "dry_run"), 10000);
	/* Those that fire, those that are resolved, those that are being forgotten. */
	assert_uint_in_range(targets->capacity, 200, 512);
	for (int i = 0; i < 3; i++)
		host__look(&host, NULL, 0, NULL, 0, 4000 + 31.0 * i);
	assert_int_equal(host.policies->instances, 0);
	assert_int_equal(targets->count, 0);
	host__free(&host);
}

static void test_reload(void **unused)
{
	static const char first[] = ONE("{metric: rates.cpu, threshold: 100}", "cooldown: 0s");
	static const char more[] =
		"policies:\n" RULE("zero", "{metric: pid, threshold: 5}", "cooldown: 0s")
			RULE("rule", "{metric: rates.cpu, threshold: 100}", "cooldown: 0s");
	static const char other[] = ONE("{metric: rates.cpu, threshold: 99}", "cooldown: 0s");
	struct lone it;

	lone__new(&it, first);
	assert_int_equal(lone__rate(&it, 200, 0), POLICY_FIRING);
	assert_int_not_equal(host__reload(&it.host, "policies: [7]\n"), 0);
	assert_int_equal(state_of(&it.host), POLICY_FIRING);
	assert_int_equal(host__reload(&it.host, more), 0);
	assert_int_equal(it.host.policies->list[1].counts[POLICY_FIRING], 1);
	lone__rate(&it, 200, 1);
	assert_int_equal(it.host.policies->list[0].counts[POLICY_FIRING], 1);
	/* The one that stayed did not fire again. */
	assert_int_equal(host__actions(&it.host, "log", "dry_run"), 2);
	assert_int_equal(host__reload(&it.host, other), 0); /* another policy by the same name */
	assert_int_equal(state_of(&it.host), POLICY_INACTIVE);
	assert_int_equal(it.host.policies->instances, 0);
	assert_int_equal(lone__rate(&it, 200, 2), POLICY_FIRING);
	lone__free(&it);
}

static enum policy_state shipped_state(const struct host *host, const char *name)
{
	for (size_t i = 0; i < host->policies->count; i++) {
		const struct policy *policy = &host->policies->list[i];

		if (strcmp(policy->rule->name, name) == 0)
			return policy->instances ? policy->instances->state : POLICY_INACTIVE;
	}
	fail_msg("there is no policy %s", name);
	return POLICY_STATES;
}

/* The shipped policies on devices: memory that only grows, and refused accesses. */
static void test_shipped_devices(void **unused)
{
	struct snapshot_device device = {.id = "pci/0000:00:04.0",
					 .bus = "pci",
					 .driver = "leaky",
					 .exposed_known = true,
					 .exposed_pages = 20000};
	struct host host;
	char *rules;
	size_t length;
	double now = 0;

	assert_int_equal(files__read_all(AT_FDCWD, "agent/policies/shipped/30-devices.yaml", 65536,
					 &rules, &length),
			 0);
	host__new(&host, rules);
	free(rules);
	/* Large, busy, and as large again after each minute: no leak. */
	for (int second = 0; second < 1500; second++, now++) {
		device.exposed_pages = 20000 + 500 * (uint64_t)(second % 60);
		host__look(&host, NULL, 0, &device, 1, now);
		assert_int_not_equal(shipped_state(&host, "mapping-leak"), POLICY_FIRING);
	}
	/* Two pages a second on top of that, for ten minutes and the minute of `for`. */
	for (int second = 0; second < 800; second++, now++) {
		device.exposed_pages += 2;
		host__look(&host, NULL, 0, &device, 1, now);
	}
	assert_int_equal(shipped_state(&host, "mapping-leak"), POLICY_FIRING);
	assert_int_equal(shipped_state(&host, "iommu-faults"), POLICY_INACTIVE);
	device.stats.iommu_faults = 3;
	host__look(&host, NULL, 0, &device, 1, now);
	assert_int_equal(shipped_state(&host, "iommu-faults"), POLICY_FIRING);
	host__free(&host);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_for_and_clear),  cmocka_unit_test(test_cooldown),
		cmocka_unit_test(test_flaps),	       cmocka_unit_test(test_max_active),
		cmocka_unit_test(test_exit_and_reuse), cmocka_unit_test(test_rename),
		cmocka_unit_test(test_rates),	       cmocka_unit_test(test_unknown_numbers),
		cmocka_unit_test(test_all_any),	       cmocka_unit_test(test_many_come_and_go),
		cmocka_unit_test(test_reload),	       cmocka_unit_test(test_shipped_devices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
