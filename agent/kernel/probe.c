/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/kernel/probe.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "agent/base/errno_text.h"
#include "agent/base/reason.h"
#include "agent/host/proc_status.h"
#include "bpf/dirtyscope.h"

#define BTF_PATH "/sys/kernel/btf/vmlinux"

/* ---- the host ---- */

static uint64_t effective_capabilities(void)
{
	uint64_t effective;

	/* Where they are not known, what follows says what is missing. */
	return proc_status__bits(AT_FDCWD, "/proc/self/status", "CapEff", &effective) ? UINT64_MAX
										      : effective;
}

static bool locked_down(void)
{
	char state[128] = "";
	FILE *file = fopen("/sys/kernel/security/lockdown", "re");

	if (!file)
		return false;
	if (!fgets(state, sizeof(state), file))
		state[0] = 0;
	(void)fclose(file);
	return strstr(state, "[confidentiality]");
}

bool host_facts__may(const struct host_facts *facts, int capability)
{
	/* kernel/capability.c, perfmon_capable(), bpf_capable(). */
	return facts->capabilities & (1ULL << capability | 1ULL << CAP_SYS_ADMIN);
}

void host_facts__read(struct host_facts *facts)
{
	struct utsname host = {0};

	(void)uname(&host);
	*facts = (struct host_facts){
		.pointer_bits = sizeof(void *) * 8,
		.page_size = sysconf(_SC_PAGESIZE),
		.btf_error = access(BTF_PATH, R_OK) ? errno : 0,
		.capabilities = effective_capabilities(),
		.locked_down = locked_down(),
		.has_loops = -1,
	};
	snprintf(facts->machine, sizeof(facts->machine), "%s", host.machine);
	snprintf(facts->release, sizeof(facts->release), "%s", host.release);
	if (host_facts__may(facts, CAP_BPF) && host_facts__may(facts, CAP_PERFMON))
		facts->has_loops =
			libbpf_probe_bpf_helper(BPF_PROG_TYPE_RAW_TRACEPOINT, BPF_FUNC_loop, NULL);
}

static int judge_machine(const struct host_facts *facts, struct kernel_error *error)
{
	if (facts->pointer_bits != 64) {
		snprintf(error->message, sizeof(error->message),
			 "this is a %u-bit build, and page frames and kernel addresses need 64: "
			 "use one for x86_64",
			 facts->pointer_bits);
		return -ENOSYS;
	}
	/* A 64-bit program that sees i686 is under personality(PER_LINUX32): setarch i386. */
	if (strcmp(facts->machine, "x86_64") != 0 && strcmp(facts->machine, "i686") != 0) {
		snprintf(error->message, sizeof(error->message),
			 "this kernel is for %s: only x86_64 is supported", facts->machine);
		return -ENOSYS;
	}
	if (facts->page_size != (long)DS_PAGE_SIZE) {
		snprintf(error->message, sizeof(error->message),
			 "this kernel's pages are of %ld bytes: one with pages of 4096 bytes is "
			 "needed",
			 facts->page_size);
		return -ENOSYS;
	}
	return 0;
}

int host_facts__judge(const struct host_facts *facts, struct kernel_error *error)
{
	bool bpf = host_facts__may(facts, CAP_BPF), perfmon = host_facts__may(facts, CAP_PERFMON);
	int err = judge_machine(facts, error);

	if (err)
		return err;
	if (facts->btf_error) {
		snprintf(error->message, sizeof(error->message),
			 "the kernel's BTF is missing (%s: %s): use a kernel built with "
			 "CONFIG_DEBUG_INFO_BTF=y",
			 BTF_PATH, strerror(facts->btf_error));
		return -ENOSYS;
	}
	if (!bpf || !perfmon) {
		snprintf(error->message, sizeof(error->message),
			 "not enough privilege: run as root, or with the capabilities CAP_BPF and "
			 "CAP_PERFMON (missing:%s%s)",
			 bpf ? "" : " CAP_BPF", perfmon ? "" : " CAP_PERFMON");
		return -EPERM;
	}
	if (facts->locked_down) {
		snprintf(error->message, sizeof(error->message),
			 "the kernel is locked down (confidentiality), which forbids BPF to read "
			 "its memory: boot with lockdown=integrity or none");
		return -EPERM;
	}
	if (facts->has_loops == 0) {
		snprintf(error->message, sizeof(error->message),
			 "this kernel (%s) has no BPF helper bpf_loop: Linux 5.17 or newer is "
			 "needed",
			 facts->release);
		return -ENOSYS;
	}
	return 0;
}

/* ---- programs on functions ---- */

/* kernel: net/bpf/test_run.c; bpf_prog_test_run of an fexit program calls it, and nobody else. */
#define TEST_FUNCTION "bpf_fentry_test1"

/* Loads a program that writes 1 into the map's row. */
static int load_note(int map, int btf_id)
{
	const struct bpf_insn note[] = {
		{.code = BPF_LD | BPF_DW, /* and BPF_IMM, which is 0 as well */
		 .dst_reg = BPF_REG_1,
		 .src_reg = BPF_PSEUDO_MAP_VALUE,
		 .imm = map},
		{0},
		{.code = BPF_ST | BPF_DW | BPF_MEM, .dst_reg = BPF_REG_1, .imm = 1},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = BPF_TRACE_FEXIT,
		    .attach_btf_id = btf_id);

	return bpf_prog_load(BPF_PROG_TYPE_TRACING, "ds_probe", "Dual BSD/GPL", note,
			     sizeof(note) / sizeof(note[0]), &options);
}

static int probe_on(int btf_id, bool run, struct reason *why)
{
	LIBBPF_OPTS(bpf_test_run_opts, test);
	int map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "ds_probe", 4, 8, 1, NULL);
	int program = map < 0 ? map : load_note(map, btf_id);
	int link = program < 0 ? program : bpf_raw_tracepoint_open(NULL, program);
	const uint32_t zero = 0;
	uint64_t noted = 0;
	int err = link < 0 ? link : 0;

	if (program < 0) {
		reason__set(why, "the kernel refuses trampolines: %s", errno_text(err).text);
	} else if (link < 0) {
		reason__set(why, "the kernel refuses to attach trampolines: %s",
			    errno_text(err).text);
	} else if (run && !bpf_prog_test_run_opts(program, &test) &&
		   !bpf_map_lookup_elem(map, &zero, &noted) && !noted) {
		err = -EOPNOTSUPP;
		reason__set(why, "the kernel attaches trampolines and does not call them: is "
				 "kernel.ftrace_enabled 0?");
	}
	if (link >= 0)
		close(link);
	if (program >= 0)
		close(program);
	if (map >= 0)
		close(map);
	return err;
}

int probe__functions(const struct btf *kernel, struct reason *why)
{
	int id = btf__find_by_name_kind(kernel, TEST_FUNCTION, BTF_KIND_FUNC);
	bool run = id > 0;

	*why->text = '\0';
	if (id < 0)
		id = btf__find_by_name_kind(kernel, "handle_mm_fault", BTF_KIND_FUNC);
	if (id > 0)
		return probe_on(id, run, why);
	reason__set(why, "the kernel's BTF has no functions");
	return -ENOENT;
}
