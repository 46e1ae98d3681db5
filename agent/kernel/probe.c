/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/kernel/kernel_side.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#define BTF_PATH "/sys/kernel/btf/vmlinux"

static bool has_capability(uint64_t effective, int capability)
{
	/* CAP_SYS_ADMIN stands for both: kernel/capability.c, perfmon_capable(), bpf_capable(). */
	return effective & (1ULL << capability | 1ULL << CAP_SYS_ADMIN);
}

static int effective_capabilities(uint64_t *effective)
{
	char line[256];
	FILE *status = fopen("/proc/self/status", "re");

	*effective = 0;
	if (!status)
		return -errno;
	while (fgets(line, sizeof(line), status))
		if (sscanf(line, "CapEff: %" SCNx64, effective) == 1)
			break;
	(void)fclose(status);
	return 0;
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

int probe__host(struct kernel_error *error)
{
	uint64_t effective;
	struct utsname host;

	if (uname(&host) || strcmp(host.machine, "x86_64") != 0) {
		snprintf(error->message, sizeof(error->message),
			 "this build runs on x86_64 only: run it on an x86_64 kernel");
		return -ENOSYS;
	}
	if (access(BTF_PATH, R_OK)) {
		snprintf(error->message, sizeof(error->message),
			 "the kernel's BTF is missing (%s: %s): use a kernel built with "
			 "CONFIG_DEBUG_INFO_BTF=y",
			 BTF_PATH, strerror(errno));
		return -ENOSYS;
	}
	if (!effective_capabilities(&effective) &&
	    (!has_capability(effective, CAP_BPF) || !has_capability(effective, CAP_PERFMON))) {
		snprintf(error->message, sizeof(error->message),
			 "not enough privilege: run as root, or with the capabilities CAP_BPF and "
			 "CAP_PERFMON (missing:%s%s)",
			 has_capability(effective, CAP_BPF) ? "" : " CAP_BPF",
			 has_capability(effective, CAP_PERFMON) ? "" : " CAP_PERFMON");
		return -EPERM;
	}
	if (locked_down()) {
		snprintf(error->message, sizeof(error->message),
			 "the kernel is locked down (confidentiality), which forbids BPF to read "
			 "its "
			 "memory: boot with lockdown=integrity or none");
		return -EPERM;
	}
	return 0;
}

int probe__function(int btf_id)
{
	const struct bpf_insn nothing[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = BPF_TRACE_FEXIT,
		    .attach_btf_id = btf_id);
	int fd = bpf_prog_load(BPF_PROG_TYPE_TRACING, "ds_probe", "Dual BSD/GPL", nothing, 2,
			       &options);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

int probe__fentry(const struct btf *kernel)
{
	int id = btf__find_by_name_kind(kernel, "handle_mm_fault", BTF_KIND_FUNC);

	return id < 0 ? id : probe__function(id);
}
