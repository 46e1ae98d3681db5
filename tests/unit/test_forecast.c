/* SPDX-License-Identifier: BSD-2-Clause */
/* The forecast's arithmetic: curves whose answer is known. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "agent/tracks/forecast.h"

#define MIB 256.0 /* pages */

/* Epochs of a quarter of a second: rate pages a second, one after the other, over working pages. */
static struct forecast_curve steady(double rate, double working, size_t epochs)
{
	struct forecast_curve curve = {.count = epochs};

	for (size_t i = 0; i < epochs; i++) {
		curve.seconds[i] = 0.25 * (double)(i + 1);
		curve.pages[i] = fmin(rate * curve.seconds[i], working);
	}
	return curve;
}

static struct forecast run(const struct forecast_curve *curve, double mib, double downtime,
			   uint64_t pages)
{
	const struct forecast_options options = {
		.bandwidth = mib * 1048576, .downtime = downtime, .pages = pages};
	struct forecast forecast = {0};

	forecast__run(curve, &options, &forecast);
	return forecast;
}

static void test_curve(void **unused)
{
	struct forecast_curve curve = steady(1000, 1e9, 8);
	struct forecast_curve one = {.count = 1, .seconds = {0.5}, .pages = {100}};
	struct forecast_curve odd = steady(1000, 1e9, 8);

	assert_float_equal(forecast__dirtied(&curve, 0, 1e9), 0, 1e-6);
	assert_float_equal(forecast__dirtied(&curve, 0.1, 1e9), 100, 1e-6);
	assert_float_equal(forecast__dirtied(&curve, 1.1, 1e9), 1100, 1e-6);
	assert_float_equal(forecast__dirtied(&curve, 10, 1e9), 10000, 1e-6);
	assert_float_equal(forecast__dirtied(&curve, 10, 500), 500, 1e-6);
	assert_float_equal(forecast__dirtied(&one, 5, 1e9), 1000, 1e-6);
	/* An oldest epoch that was short and busy does not decide what comes after all of them. */
	odd.seconds[7] = odd.seconds[6] + 0.001;
	odd.pages[7] = odd.pages[6] + 100;
	assert_true(forecast__dirtied(&odd, 10, 1e9) < 12000);
	curve = steady(10000, 300, 8);
	assert_float_equal(forecast__dirtied(&curve, 100, 1e9), 300, 1e-6);
}

static void test_verdicts(void **unused)
{
	struct forecast_curve still = steady(0, 0, 8), slow = steady(500, 4096, 16),
			      fast = steady(12000, 4096, 16), none = {0};
	struct forecast forecast = run(&still, 10, 0.3, (uint64_t)(100 * MIB));

	assert_int_equal(forecast.verdict, FORECAST_CONVERGES);
	assert_int_equal(forecast.rounds, 1);
	assert_float_equal(forecast.bytes, 100 * 1048576.0, 1);
	forecast = run(&slow, 8, 0.15, (uint64_t)(48 * MIB));
	assert_int_equal(forecast.verdict, FORECAST_CONVERGES);
	assert_true(forecast.rounds >= 3 && forecast.rounds <= 5);
	assert_true(forecast.downtime <= 0.15);
	forecast = run(&fast, 8, 0.15, (uint64_t)(48 * MIB));
	assert_int_equal(forecast.verdict, FORECAST_DIVERGES);
	assert_true(forecast.downtime > 0.15);
	forecast = run(&fast, 8, 2.1, (uint64_t)(48 * MIB)); /* the working set alone takes 2 s */
	assert_int_equal(forecast.verdict, FORECAST_CONVERGES);
	forecast = run(&none, 8, 0.3, 0);
	assert_int_equal(forecast.verdict, FORECAST_CONVERGES);
}

static void test_limits(void **unused)
{
	struct forecast_curve fast = steady(1e6, 1e9, 60);
	static const double bandwidths[] = {1.0 / 1048576, 1e-3, 1, 1e9};
	static const double downtimes[] = {0, 1e-9, 0.3, 86400};
	static const uint64_t pages[] = {0, 1, 1ULL << 20, 1ULL << 40};

	for (size_t b = 0; b < 4; b++)
		for (size_t d = 0; d < 4; d++)
			for (size_t p = 0; p < 4; p++) {
				struct forecast forecast =
					run(&fast, bandwidths[b], downtimes[d], pages[p]);

				assert_true(isfinite(forecast.bytes) && forecast.bytes >= 0);
				assert_true(isfinite(forecast.seconds) && forecast.seconds >= 0);
				assert_true(isfinite(forecast.downtime) &&
					    forecast.rounds <= FORECAST_ROUNDS);
				assert_true(forecast.verdict != FORECAST_CONVERGES ||
					    forecast.downtime <= downtimes[d]);
			}
}

/* More bandwidth, or more patience, never makes it worse. */
static void test_monotone(void **unused)
{
	struct forecast_curve curve = steady(4000, 4096, 16);
	bool converged = false;

	for (int step = 0; step < 12; step++) {
		struct forecast forecast =
			run(&curve, 2 * pow(1.5, step), 0.15, (uint64_t)(48 * MIB));

		assert_true(forecast.verdict == FORECAST_CONVERGES || !converged);
		converged = forecast.verdict == FORECAST_CONVERGES;
	}
	assert_true(converged);
}

/*
 * 64 MiB written again and again, in some 0.5 s: the truth never converges at 125 MB/s and 300 ms.
 * Epochs of 5 s cannot tell that from 64 MiB that are written slowly.
 */
static void test_long_epochs(void **unused)
{
	struct forecast_curve loop = {.count = 4}, slow = {.count = 4};
	struct forecast forecast;

	for (size_t i = 0; i < 4; i++) {
		loop.seconds[i] = slow.seconds[i] = 5 * (double)(i + 1);
		loop.pages[i] = 64 * MIB;
		slow.pages[i] = 2 * MIB * (double)(i + 1);
	}
	forecast = run(&loop, 125e6 / 1048576, 0.3, (uint64_t)(512 * MIB));
	assert_int_equal(forecast.verdict, FORECAST_UNKNOWN);
	assert_non_null(strstr(forecast.reason, "collect more often"));
	assert_true(forecast.bytes == 0 && forecast.rounds == 0);
	/* As quickly as is needed to tell. */
	for (size_t i = 0; i < 4; i++) {
		loop.seconds[i] = 0.1 * (double)(i + 1);
		loop.pages[i] = fmin(64 * MIB, 32 * MIB * (double)(i + 1));
	}
	forecast = run(&loop, 125e6 / 1048576, 0.3, (uint64_t)(512 * MIB));
	assert_int_equal(forecast.verdict, FORECAST_DIVERGES);
	/* Few pages fit whatever their order is. */
	forecast = run(&slow, 125e6 / 1048576, 0.3, (uint64_t)(512 * MIB));
	assert_int_equal(forecast.verdict, FORECAST_CONVERGES);
}

/* What saw too little never says that all is well, but knows when even that is too much. */
static void test_lower_bound(void **unused)
{
	struct forecast_curve none = steady(0, 0, 8), fast = steady(12000, 4096, 16);
	struct forecast forecast;

	none.lower_bound = fast.lower_bound = true;
	forecast = run(&none, 8, 0.15, (uint64_t)(48 * MIB));
	assert_int_equal(forecast.verdict, FORECAST_UNKNOWN);
	assert_non_null(strstr(forecast.reason, "lower bound"));
	forecast = run(&fast, 8, 0.15, (uint64_t)(48 * MIB));
	assert_int_equal(forecast.verdict, FORECAST_DIVERGES);
}

/* Who was slowed by the track may write more without it. */
static void test_slowed(void **unused)
{
	struct forecast_curve curve = steady(20 * MIB, 1e9, 8);
	struct forecast forecast = run(&curve, 40, 1, 1000 * 256);

	assert_int_equal(forecast.verdict, FORECAST_CONVERGES);
	for (size_t i = 0; i < curve.count; i++)
		curve.lost[i] = curve.seconds[i] * 0.1;
	assert_int_equal(run(&curve, 40, 1, 1000 * 256).verdict, FORECAST_CONVERGES);
	for (size_t i = 0; i < curve.count; i++)
		curve.lost[i] = curve.seconds[i] * 0.8;
	forecast = run(&curve, 40, 1, 1000 * 256);
	assert_int_equal(forecast.verdict, FORECAST_UNKNOWN);
	assert_non_null(strstr(forecast.reason, "up to 80 %"));
	/* What does not converge even so, does not. */
	assert_int_equal(run(&curve, 15, 1, 1000 * 256).verdict, FORECAST_DIVERGES);
}

/* Zero pages are sent as a few bytes. */
static void test_zero(void **unused)
{
	const struct forecast_curve curve = steady(0, 1e9, 8);
	struct forecast_options options = {.bandwidth = 1048576, .downtime = 0.3, .pages = 2560};
	struct forecast forecast = {0};

	options.zero = (struct zero_pages){.sampled = 100, .value = 1000, .low = 900, .high = 1100};
	forecast__run(&curve, &options, &forecast);
	assert_int_equal(forecast.verdict, FORECAST_CONVERGES);
	assert_float_equal(forecast.bytes, 1560 * 4096 + 1000 * 9, 1);
	assert_int_equal(forecast.pages, 2560);
	options.absent = 500;
	forecast__run(&curve, &options, &forecast);
	assert_float_equal(forecast.bytes, 1560 * 4096 + 1500 * 9, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_curve),	    cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_limits),	    cmocka_unit_test(test_monotone),
		cmocka_unit_test(test_long_epochs), cmocka_unit_test(test_lower_bound),
		cmocka_unit_test(test_slowed),	    cmocka_unit_test(test_zero),
	};

	return cmocka_run_group_tests_name("forecast", tests, NULL, NULL);
}
