/* SPDX-License-Identifier: BSD-2-Clause */
/* `dirtyscope version`, and `dirtyscope --version`: of this build, of its libbpf, of the kernel. */
#ifndef DIRTYSCOPE_AGENT_CLI_VERSION_REPORT_H
#define DIRTYSCOPE_AGENT_CLI_VERSION_REPORT_H

int version__main(int argc, char **argv);

#endif
