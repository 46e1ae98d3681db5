/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DIRTYSCOPE_AGENT_KERNEL_KERNEL_ERROR_H
#define DIRTYSCOPE_AGENT_KERNEL_KERNEL_ERROR_H

struct kernel_error {
	char message[512]; /* one line that says what is missing and what to do */
};

#endif
