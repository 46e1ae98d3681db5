/* SPDX-License-Identifier: BSD-2-Clause */
/* Configured programs: what they are given, what they are not, and how they end. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/descriptors.h"
#include "tests/unit/exec_queue_fixture.h"

/* ---- what it is given ---- */

static void test_arguments(void **state)
{
	struct fixture *fixture = *state;
	const char *const argv[] = {"/bin/sh",
				    "-c",
				    "for a; do printf '%s|' \"$a\"; done > \"$1/out\"",
				    "test",
				    fixture->directory,
				    "two words ",
				    "",
				    "'\"`$(id)`;&|<>*?~\\",
				    "a\nb\tc",
				    "\xff\xc3\xa9",
				    NULL};
	char want[512], *got;

	begin(fixture, (struct exec_queue_options){0});
	assert_int_equal(exec_queue__run(fixture->execs, argv, NULL, (void *)1), 0);
	results__await(&fixture->results, 1);
	results__expect(&fixture->results, 1, "ok", "");
	snprintf(want, sizeof(want), "%s|%s|%s|%s|%s|%s|", argv[4], argv[5], argv[6], argv[7],
		 argv[8], argv[9]);
	got = content(fixture, "out", NULL);
	assert_non_null(got);
	assert_string_equal(got, want);
	free(got);
	assert_int_equal(exec_queue__run(fixture->execs, argv + 1, NULL, NULL), -EINVAL);
	assert_int_equal(exec_queue__run(fixture->execs, argv + 10, NULL, NULL), -EINVAL);
}

static void test_environment(void **state)
{
	static const char *const argv[] = {"/bin/cat", "/proc/self/environ", NULL};
	static const char *const envp[] = {"A=1 2", "B=", "C=x=\ny", NULL};
	static const char *const paths[] = {"PATH=/opt", "B=1", NULL};
	struct fixture *fixture = *state;

	setenv("SECRET", "of the agent", 1);
	begin(fixture, (struct exec_queue_options){.concurrency = 1});
	/* The zero bytes between them are no text, and the line break ends the line. */
	assert_int_equal(exec_queue__run(fixture->execs, argv, envp, (void *)1), 0);
	assert_int_equal(exec_queue__run(fixture->execs, argv, NULL, (void *)2), 0);
	assert_int_equal(exec_queue__run(fixture->execs, argv, paths, (void *)3), 0);
	results__await(&fixture->results, 3);
	unsetenv("SECRET");
	assert_string_equal(fixture->results.rows[0].reason, "A=1 2B=C=x=");
	assert_string_equal(fixture->results.rows[1].reason, "PATH=/usr/sbin:/usr/bin:/sbin:/bin");
	assert_string_equal(fixture->results.rows[2].reason, "PATH=/optB=1");
}

static void ignore(int number)
{
}

static void test_surroundings(void **state)
{
	static const char script[] =
		"exec 2> \"$1/err\" > \"$1/out\"; pwd; umask; wc -c < /dev/stdin; readlink "
		"/proc/self/fd/0;"
		"sed -nE '/^(Sig(Blk|Ign|Cgt)|NoNewPrivs|CapAmb|Groups)/p' /proc/self/status;"
		"read -r pid comm state parent group session rest < /proc/$$/stat;"
		"[ $pid = $group ] && [ $pid = $session ] && echo leads; id -u; id -g";
	struct fixture *fixture = *state;
	const unsigned uid = geteuid() ? geteuid() : NOBODY, gid = geteuid() ? getegid() : NOBODY;
	struct sigaction caught = {.sa_handler = ignore}, ignored = {.sa_handler = SIG_IGN};
	struct sigaction before[2];
	sigset_t all, mask;
	char want[128], *got;
	static const char *const lines[] = {"/\n0022\n0\n/dev/null\n",
					    "SigBlk:\t0000000000000000\n",
					    "SigCgt:\t0000000000000000\n",
					    "SigIgn:\t0000000000000000\n",
					    "NoNewPrivs:\t1\n",
					    "CapAmb:\t0000000000000000\n",
					    "leads\n"};

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &mask);
	sigaction(SIGUSR1, &caught, &before[0]);
	sigaction(SIGPIPE, &ignored, &before[1]);
	begin(fixture, (struct exec_queue_options){0});
	assert_int_equal(run(fixture, 1, script), 0);
	results__await(&fixture->results, 1);
	sigaction(SIGUSR1, &before[0], NULL);
	sigaction(SIGPIPE, &before[1], NULL);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	got = content(fixture, "out", NULL);
	assert_non_null(got);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		if (!strstr(got, lines[i]))
			fail_msg("%s\nlacks %s", got, lines[i]);
	snprintf(want, sizeof(want), "leads\n%u\n%u\n", uid, gid);
	assert_non_null(strstr(got, want));
	if (geteuid() == 0) {
		snprintf(want, sizeof(want), "Groups:\t%u ", gid);
		assert_non_null(strstr(got, want));
	}
	free(got);
}

/* All four identities, and no way back. */
static void test_user(void **state)
{
	static const char script[] =
		"grep -E '^([UG]id|Cap(Prm|Eff)|Groups)' /proc/self/status > \"$1/out\";"
		"cat /etc/shadow";
	struct fixture *fixture = *state;
	char *got;

	if (geteuid() != 0)
		skip();
	begin(fixture, (struct exec_queue_options){0});
	assert_int_equal(run(fixture, 1, script), 0);
	results__await(&fixture->results, 1);
	results__expect(&fixture->results, 1, "failed",
			"exit status 1: cat: /etc/shadow: Permission denied");
	got = content(fixture, "out", NULL);
	assert_non_null(got);
	assert_string_equal(got, "Uid:\t65534\t65534\t65534\t65534\n"
				 "Gid:\t65534\t65534\t65534\t65534\n"
				 "Groups:\t65534 \n"
				 "CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n");
	free(got);
}

static void test_options(void **state)
{
	static const struct {
		struct exec_queue_options options;
		int err;
	} cases[] = {
		{{.uid = 0, .gid = 0}, -EPERM},
		{{.uid = 0, .gid = 1000}, -EPERM},
		{{.uid = 1000, .gid = 0}, -EPERM},
		{{.uid = (uid_t)-1, .gid = 1000}, -EINVAL},
		{{.uid = 1000, .gid = (gid_t)-1}, -EINVAL},
		{{.uid = 1000, .gid = 1000, .timeout = -1}, -EINVAL},
		{{.uid = 1000, .gid = 1000, .concurrency = 65}, -EINVAL},
		{{.uid = 0, .gid = 0, .allow_root = true}, 0},
	};
	struct exec_queue *execs = NULL;
	struct reason error;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(exec_queue__new(&cases[i].options, &execs, &error), cases[i].err);
		assert_int_equal(*error.text != '\0', cases[i].err != 0);
	}
	exec_queue__free(execs, 100); /* at once: nothing runs */
	exec_queue__free(NULL, 0);
}

static void test_descriptors(void **state)
{
	static const char *const argv[] = {"/bin/ls", "-x", "/proc/self/fd", NULL};
	struct fixture *fixture = *state;
	int fds[2], high, input = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 10);

	/* Its first descriptor is then 0. */
	close(STDIN_FILENO);
	begin(fixture, (struct exec_queue_options){0});
	assert_int_equal(pipe(fds), 0); /* without close-on-exec */
	high = fcntl(fds[0], F_DUPFD, 500);
	assert_true(high >= 500);
	for (uintptr_t tag = 0; tag < 8; tag++)
		assert_int_equal(exec_queue__run(fixture->execs, argv, NULL, (void *)tag), 0);
	results__await(&fixture->results, 8);
	for (uintptr_t tag = 0; tag < 8; tag++) {
		results__expect(&fixture->results, tag, "ok", "");
		assert_string_equal(fixture->results.rows[tag].reason, "0  1  2  3"); /* 3: of ls */
	}
	end(fixture, 0);
	if (input >= 0) {
		dup2(input, STDIN_FILENO);
		close(input);
	}
	close(fds[0]);
	close(fds[1]);
	close(high);
}

/* ---- how it ends ---- */

static void test_ends(void **state)
{
	static const char *const missing[] = {"/no/such/program", NULL};
	static const char *const directory[] = {"/tmp", NULL};
	struct fixture *fixture = *state;
	size_t descriptors = open_descriptors();

	begin(fixture, (struct exec_queue_options){0});
	assert_int_equal(run(fixture, 1, "echo; echo ' hello'; echo more"), 0);
	assert_int_equal(run(fixture, 2, "echo 'bad \033[1m\377 thing' >&2; exit 3"), 0);
	assert_int_equal(run(fixture, 3, "kill -SEGV $$"), 0);
	assert_int_equal(exec_queue__run(fixture->execs, missing, NULL, (void *)4), 0);
	assert_int_equal(exec_queue__run(fixture->execs, directory, NULL, (void *)5), 0);
	results__await(&fixture->results, 5);
	results__expect(&fixture->results, 1, "ok", "hello");
	results__expect(&fixture->results, 2, "failed", "exit status 3: bad [1m\xef\xbf\xbd thing");
	results__expect(&fixture->results, 3, "failed", "signal 11 (Segmentation fault)");
	results__expect(&fixture->results, 4, "failed",
			"it cannot be executed: No such file or directory");
	results__expect(&fixture->results, 5, "failed", "it cannot be executed: Permission denied");
	end(fixture, 0);
	assert_int_equal(open_descriptors(), descriptors);
}

static void test_flood(void **state)
{
	struct fixture *fixture = *state;
	size_t length;
	char *got;

	begin(fixture, (struct exec_queue_options){0});
	assert_int_equal(run(fixture, 1,
			     "head -c 3000000 /dev/zero | tr '\\0' x;"
			     "head -c 3000000 /dev/zero >&2; echo end > \"$1/out\""),
			 0);
	results__await(&fixture->results, 1);
	results__expect(&fixture->results, 1, "ok", "xxxx");
	got = content(fixture, "out", &length);
	assert_non_null(got); /* it was never held up */
	free(got);
}

static void test_timeout(void **state)
{
	struct fixture *fixture = *state;
	double start = now();

	begin(fixture, (struct exec_queue_options){.timeout = 0.5});
	assert_int_equal(run(fixture, 1, "echo slow; exec sleep 100"), 0);
	assert_int_equal(run(fixture, 2, "trap '' TERM; while :; do sleep 0.1; done"), 0);
	assert_int_equal(run(fixture, 3,
			     "trap 'echo $$ > \"$1/out\"; exit 0' TERM;"
			     "while :; do sleep 0.05; done"),
			 0);
	assert_int_equal(run(fixture, 4, "kill -STOP $$"), 0);
	results__await(&fixture->results, 4);
	assert_true(now() - start >= 2.4);
	for (uintptr_t tag = 1; tag <= 4; tag++)
		results__expect(&fixture->results, tag, "timeout", "still running after 0.5 s");
	results__expect(&fixture->results, 1, "timeout", ": slow");
	expect_gone(number_in(fixture, "out")); /* SIGTERM had reached it */
}

/* Nothing of its group outlives it, however it ends. */
static void test_leftovers(void **state)
{
	struct fixture *fixture = *state;

	begin(fixture, (struct exec_queue_options){.timeout = 1.5});
	assert_int_equal(run(fixture, 1, "sleep 1000 & echo $! > \"$1/one\""), 0);
	assert_int_equal(run(fixture, 2,
			     "(trap '' TERM; while :; do sleep 1; done) & echo $! > \"$1/two\";"
			     "exec sleep 1000"),
			 0);
	/* It keeps the pipe and writes on, where nobody finds it: it must not hold us up. */
	assert_int_equal(run(fixture, 3,
			     "setsid sh -c 'echo $$ > \"$1/three\"; exec yes' test \"$1\" &"
			     "while ! [ -s \"$1/three\" ]; do sleep 0.01; done"),
			 0);
	results__await(&fixture->results, 3);
	results__expect(&fixture->results, 1, "ok", "");
	results__expect(&fixture->results, 2, "timeout", "");
	results__expect(&fixture->results, 3, "ok", "");
	expect_gone(number_in(fixture, "one"));
	expect_gone(number_in(fixture, "two"));
	/* Its next write found nobody who reads. */
	expect_gone(number_in(fixture, "three"));
}

/* ---- many programs ---- */

static void test_concurrency(void **state)
{
	struct fixture *fixture = *state;
	int running = 0, most = 0;
	size_t length;
	char *marks;

	begin(fixture, (struct exec_queue_options){.queue_max = 96});
	for (uintptr_t tag = 0; tag < 100; tag++)
		assert_int_equal(
			run(fixture, tag,
			    "printf + >> \"$1/marks\"; sleep 0.02; printf - >> \"$1/marks\""),
			0);
	results__await(&fixture->results, 100);
	for (uintptr_t tag = 0; tag < 100; tag++)
		results__expect(&fixture->results, tag, "ok", "");
	marks = content(fixture, "marks", &length);
	assert_int_equal(length, 200);
	for (size_t i = 0; marks && i < length; i++) {
		running += marks[i] == '+' ? 1 : -1;
		most = running > most ? running : most;
	}
	free(marks);
	assert_int_equal(running, 0);
	assert_true(most >= 2 && most <= 4);
}

static void test_shutdown(void **state)
{
	struct fixture *fixture = *state;
	double start = now();

	begin(fixture, (struct exec_queue_options){.concurrency = 2, .queue_max = 3});
	assert_int_equal(run(fixture, 0, "echo $$ > \"$1/zero\"; exec sleep 100"), 0);
	assert_int_equal(run(fixture, 1, "sleep 0.2; echo first"), 0);
	assert_int_equal(run(fixture, 2, "echo second"), 0);
	assert_int_equal(run(fixture, 3, "exec sleep 100"), 0);
	assert_int_equal(run(fixture, 4, "echo never"), 0);
	assert_int_equal(run(fixture, 5, "echo too many"), -ENOSPC);
	end(fixture, 1.5);
	assert_true(now() - start >= 1.5 && now() - start < PATIENCE);
	assert_int_equal(fixture->results.count, 5);
	results__expect(&fixture->results, 0, "dropped", "the agent stops");
	results__expect(&fixture->results, 1, "ok", "first");
	results__expect(&fixture->results, 2, "ok", "second");
	results__expect(&fixture->results, 3, "dropped", "the agent stops");
	results__expect(&fixture->results, 4, "dropped", "the agent stops");
	expect_gone(number_in(fixture, "zero"));
	/* Without a grace, and with nothing that runs yet, perhaps. */
	for (int round = 0; round < 20; round++) {
		fixture->results.count = 0;
		begin(fixture, (struct exec_queue_options){.concurrency = 1});
		for (uintptr_t tag = 0; tag < 3; tag++)
			assert_int_equal(run(fixture, tag, "exec sleep 100"), 0);
		end(fixture, 0);
		assert_int_equal(fixture->results.count, 3);
		for (uintptr_t tag = 0; tag < 3; tag++)
			results__expect(&fixture->results, tag, "dropped", "the agent stops");
	}
}

int main(void)
{
#define WITH_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		WITH_DIRECTORY(test_arguments),	   WITH_DIRECTORY(test_environment),
		WITH_DIRECTORY(test_surroundings), WITH_DIRECTORY(test_user),
		WITH_DIRECTORY(test_options),	   WITH_DIRECTORY(test_descriptors),
		WITH_DIRECTORY(test_ends),	   WITH_DIRECTORY(test_flood),
		WITH_DIRECTORY(test_timeout),	   WITH_DIRECTORY(test_leftovers),
		WITH_DIRECTORY(test_concurrency),  WITH_DIRECTORY(test_shutdown),
	};

	return cmocka_run_group_tests_name("exec_queue", tests, NULL, NULL);
}
