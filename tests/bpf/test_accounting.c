/* SPDX-License-Identifier: BSD-2-Clause */
/* The BPF accounting on this kernel, driven by bpf_prog_test_run_opts. Needs root. */
#include "tests/bpf/harness.h"

#include <stdio.h>
#include <unistd.h>

static int quiet(enum libbpf_print_level level, const char *format, va_list arguments)
{
	return level == LIBBPF_WARN ? vfprintf(stderr, format, arguments) : 0;
}

static int (*const suites[])(void) = {
	cpu_tests,    pagecache_tests,	  huge_tests, tracked_tests, source_tests,
	dma_tests,    ledger_tests,	  link_tests, list_tests,    iommu_tests,
	virtio_tests, block_tests,	  net_tests,  page_tests,    page_pool_tests,
	storm_tests,  ledger_storm_tests,
};

int main(void)
{
	int failed = 0;

	if (geteuid() != 0) {
		puts("1..1\nok 1 - accounting # SKIP loading BPF programs needs root");
		return 0;
	}
	libbpf_set_print(quiet);
	for (size_t i = 0; i < sizeof(suites) / sizeof(suites[0]); i++)
		failed += suites[i]();
	return failed != 0;
}
