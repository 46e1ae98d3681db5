/* SPDX-License-Identifier: BSD-2-Clause */
#include <fcntl.h>
#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "agent/host/pins.h"
#include "agent/host/proc_status.h"

#define CAP_IPC_LOCK_BIT (1ULL << 14) /* include/uapi/linux/capability.h */

/* Whose locked memory is not limited may have rings that are not counted, where others' are. */
static bool has_ipc_lock(void)
{
	uint64_t effective;

	return proc_status__bits(AT_FDCWD, "/proc/self/status", "CapEff", &effective) == 0 &&
	       effective & CAP_IPC_LOCK_BIT;
}

static int own_vm_pin(uint64_t *bytes)
{
	return proc_status__bytes(AT_FDCWD, "/proc/self/status", "VmPin", bytes);
}

bool pins__ring_is_counted(void)
{
	struct io_uring_params params = {0};
	struct iovec vector = {.iov_len = DS_PAGE_SIZE};
	uint64_t before = 0, after = 0;
	int ring = has_ipc_lock() ? (int)syscall(__NR_io_uring_setup, 1, &params) : -1;

	vector.iov_base = mmap(NULL, DS_PAGE_SIZE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (ring >= 0 && vector.iov_base != MAP_FAILED && !own_vm_pin(&before) &&
	    !syscall(__NR_io_uring_register, ring, IORING_REGISTER_BUFFERS, &vector, 1)) {
		(void)own_vm_pin(&after);
		/* Closing a ring lets go of its buffers later. */
		(void)syscall(__NR_io_uring_register, ring, IORING_UNREGISTER_BUFFERS, NULL, 0);
	}
	if (vector.iov_base != MAP_FAILED)
		munmap(vector.iov_base, DS_PAGE_SIZE);
	if (ring >= 0)
		close(ring);
	return after > before;
}
