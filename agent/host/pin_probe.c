/* SPDX-License-Identifier: BSD-2-Clause */
#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "agent/host/pins_private.h"

bool pins__ring_is_counted(void)
{
	struct io_uring_params params = {0};
	struct iovec vector = {.iov_len = DS_PAGE_SIZE};
	uint64_t before = 0, after = 0;
	int ring = (int)syscall(__NR_io_uring_setup, 1, &params);

	vector.iov_base = mmap(NULL, DS_PAGE_SIZE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (ring >= 0 && vector.iov_base != MAP_FAILED && !pins__own_vm_pin(&before) &&
	    !syscall(__NR_io_uring_register, ring, IORING_REGISTER_BUFFERS, &vector, 1)) {
		(void)pins__own_vm_pin(&after);
		/* Closing a ring lets go of its buffers later. */
		(void)syscall(__NR_io_uring_register, ring, IORING_UNREGISTER_BUFFERS, NULL, 0);
	}
	if (vector.iov_base != MAP_FAILED)
		munmap(vector.iov_base, DS_PAGE_SIZE);
	if (ring >= 0)
		close(ring);
	return after > before;
}
