/* SPDX-License-Identifier: BSD-2-Clause */
/* What is said when a host cannot run it, or a program is refused; how far a start is, and its end.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/capability.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/errno_text.h"
#include "agent/base/start_thread.h"
#include "agent/kernel/probe.h"
#include "agent/kernel/load_error.h"

static void every_errno_has_a_name(void **state)
{
	assert_string_equal(errno_text(-EPERM).name, "EPERM");
	assert_string_equal(errno_text(EPERM).text, "EPERM (Operation not permitted)");
	assert_string_equal(errno_text(-524).name, "ENOTSUPP");
	assert_string_equal(errno_text(-524).text, "ENOTSUPP (the kernel does not support it)");
	assert_string_equal(errno_text(-3999).text, "3999 (an error without a name)");
	for (int error = 1; error < 532; error++)
		assert_true(*errno_text(error).name && *errno_text(error).text);
}

/* ---- hosts ---- */

static const struct host_facts good = {
	.machine = "x86_64",
	.release = "6.12.1",
	.pointer_bits = 64,
	.page_size = 4096,
	.capabilities = 1ULL << CAP_BPF | 1ULL << CAP_PERFMON,
	.has_loops = 1,
};

static void refuse_host(const struct host_facts *facts, int want, const char *part)
{
	struct kernel_error error = {""};

	assert_int_equal(host_facts__judge(facts, &error), want);
	if (!strstr(error.message, part) || strchr(error.message, '\n'))
		fail_msg("'%s' does not say '%s' in one line", error.message, part);
}

static void hosts_are_refused_by_name(void **state)
{
	struct kernel_error error = {""};
	struct host_facts facts = good;

	assert_int_equal(host_facts__judge(&facts, &error), 0);
	facts.capabilities = 1ULL << CAP_SYS_ADMIN;
	assert_int_equal(host_facts__judge(&facts, &error), 0);
	strcpy(facts.machine, "i686"); /* setarch i386, of a program that is 64-bit all the same */
	assert_int_equal(host_facts__judge(&facts, &error), 0);

	facts = good;
	facts.pointer_bits = 32;
	refuse_host(&facts, -ENOSYS, "32-bit build");
	facts = good;
	strcpy(facts.machine, "aarch64");
	refuse_host(&facts, -ENOSYS, "only x86_64 is supported");
	facts = good;
	facts.page_size = 16384;
	refuse_host(&facts, -ENOSYS, "pages are of 16384 bytes");
	facts = good;
	facts.btf_error = ENOENT;
	refuse_host(&facts, -ENOSYS, "CONFIG_DEBUG_INFO_BTF=y");
	facts = good;
	facts.capabilities = 1ULL << CAP_BPF;
	refuse_host(&facts, -EPERM, "missing: CAP_PERFMON");
	facts = good;
	facts.locked_down = true;
	refuse_host(&facts, -EPERM, "lockdown=integrity");
	facts = good;
	strcpy(facts.release, "5.10.0-30-amd64");
	facts.has_loops = 0;
	refuse_host(&facts, -ENOSYS,
		    "this kernel (5.10.0-30-amd64) has no BPF helper bpf_loop: Linux 5.17");
}

/* ---- refusals ---- */

static void the_verifiers_last_words(void **state)
{
	const struct {
		const char *log;
		int error;
		const char *reason;
	} rows[] = {
		{"", -EPERM, "the kernel refused to load it: EPERM (Operation not permitted)"},
		{"0: (79) r0 = *(u64 *)(r10 +8)\ninvalid read from stack R10 off=8 size=8\n"
		 "processed 1 insns (limit 1000000) max_states_per_insn 0\n",
		 -EACCES,
		 "the kernel refused to load it: EACCES (Permission denied): invalid read from "
		 "stack R10 off=8 size=8"},
		{"", -E2BIG,
		 "the kernel refused to load it: E2BIG (its verifier gave up after a million "
		 "instructions)"},
		{"\n\nprocessed 3 insns\n", -EINVAL,
		 "the kernel refused to load it: EINVAL (Invalid argument)"},
	};
	const struct object_bytes nothing = {"", 0};
	const struct program_code code = {0};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct load_error load_error = {.object = &nothing,
						      .code = &code,
						      .error = rows[i].error,
						      .log = rows[i].log};
		struct reason reason;

		load_error__explain(&load_error, &reason);
		assert_string_equal(reason.text, rows[i].reason);
	}
}

static void where_a_field_is_missing(void **state)
{
	assert_int_equal(
		load_error__unresolved_at("0: (b7) r0 = 0\n46: (85) call unknown#195896080\n"
					  "invalid func unknown#195896080\n"),
		46);
	assert_int_equal(load_error__unresolved_at("7: (85) call unknown#195896080"), 7);
	assert_int_equal(load_error__unresolved_at("invalid func unknown#195896080\n"), -ENOENT);
	assert_int_equal(load_error__unresolved_at(""), -ENOENT);
}

/* ---- a start ---- */

static void how_far_a_start_is(void **state)
{
	struct startup *startup = startup__new();
	char text[64];

	assert_non_null(startup);
	startup__text(startup, text, sizeof(text));
	assert_string_equal(text, "");
	startup__tell(startup, "loading programs", 31, 58);
	startup__text(startup, text, sizeof(text));
	assert_string_equal(text, "loading programs, 31 of 58");
	startup__tell(startup, "waiting for the first snapshot", 0, 0);
	startup__text(startup, text, sizeof(text));
	assert_string_equal(text, "waiting for the first snapshot");
	assert_false(startup__cancelled(startup));
	startup__cancel(startup);
	assert_true(startup__cancelled(startup));
	startup__free(startup);

	startup__tell(NULL, "nobody asks", 0, 0);
	startup__text(NULL, text, sizeof(text));
	assert_string_equal(text, "");
	assert_false(startup__cancelled(NULL));
}

/* Waits for what never comes, again and again, until it is cancelled. */
static int wait_for_ever(void *context)
{
	while (!startup__cancelled(context))
		(void)poll(NULL, 0, -1);
	return -ECANCELED;
}

static int succeed(void *context)
{
	return 7;
}

static void a_start_ends_when_it_is_cancelled(void **state)
{
	struct startup *startup = startup__new();
	struct start_thread *thread;
	struct pollfd done = {.events = POLLIN};

	assert_non_null(startup);
	assert_int_equal(start_thread__new(succeed, startup, startup, &thread), 0);
	done.fd = start_thread__fd(thread);
	assert_int_equal(poll(&done, 1, 10000), 1);
	assert_int_equal(start_thread__join(thread), 7);

	assert_int_equal(start_thread__new(wait_for_ever, startup, startup, &thread), 0);
	assert_int_equal(start_thread__cancel(thread, 10000), 0);
	assert_int_equal(start_thread__join(thread), -ECANCELED);
	startup__free(startup);
}

/* A start that has a helper of its own, and waits for it. */
static int wait_for_a_helper(void *context)
{
	struct start_thread *helper;
	int err = start_thread__new(wait_for_ever, context, context, &helper);

	return err ? err : start_thread__finish(helper);
}

static void a_start_ends_with_its_helpers(void **state)
{
	struct startup *startup = startup__new();
	struct start_thread *thread;

	assert_non_null(startup);
	assert_int_equal(start_thread__new(succeed, startup, startup, &thread), 0);
	assert_int_equal(start_thread__finish(thread), 7);

	assert_int_equal(start_thread__new(wait_for_a_helper, startup, startup, &thread), 0);
	assert_int_equal(start_thread__cancel(thread, 10000), 0);
	assert_int_equal(start_thread__join(thread), -ECANCELED);
	startup__free(startup);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_errno_has_a_name),
		cmocka_unit_test(hosts_are_refused_by_name),
		cmocka_unit_test(the_verifiers_last_words),
		cmocka_unit_test(where_a_field_is_missing),
		cmocka_unit_test(how_far_a_start_is),
		cmocka_unit_test(a_start_ends_when_it_is_cancelled),
		cmocka_unit_test(a_start_ends_with_its_helpers),
	};

	return cmocka_run_group_tests_name("kernel", tests, NULL, NULL);
}
