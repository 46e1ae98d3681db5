/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of routes: every way that memory changes. */
#include "tests/fsck/fsck.h"

#define STORED (FSCK_READONLY | FSCK_KERNEL) /* never: what the process itself cannot write */
#define OTHERS FSCK_KERNEL

const struct fsck_route fsck_routes[] = {
	/* Nothing: what is told or left out then would be so always. */
	{"quiet", 0, OTHERS, .source = true, .exact = true, .steps = {NULL}},

	/* ---- stores ---- */
	{"store", 0, STORED, .placed = true, .exact = true, .steps = {NULL, NULL, cpu__store}},
	/* A child of fork(), which has ended when the epoch ends. */
	{"fork-child-store", FSCK_SHARED, STORED, .steps = {NULL, NULL, cpu__child_store}},
	{"fork-child-stays", FSCK_SHARED, STORED, .ordered = true,
	 .steps = {cpu__child_waits, NULL, cpu__waiting_child_stores}},
	/* The parent's, while a child holds the pages as they were. */
	{"fork-cow-store", 0, STORED, .ordered = true, .steps = {cpu__fork, NULL, cpu__store}},
	{"second-mapping", FSCK_FD, OTHERS, .placed = true,
	 .steps = {cpu__map_again, NULL, cpu__store_again}},
	{"udmabuf", FSCK_FD, OTHERS | FSCK_DISK | FSCK_READONLY, .ordered = true,
	 .steps = {cpu__udmabuf, NULL, cpu__store_again}},
	{"other-process", FSCK_FD, OTHERS, .ordered = true, .placed = true,
	 .steps = {cpu__ask_helper, NULL, cpu__ask_helper}, .assist = cpu__helper_stays},
	{"other-process-unmaps", FSCK_FD, OTHERS, .steps = {NULL, NULL, cpu__ask_helper},
	 .assist = cpu__helper_stores},
	{"other-process-ends", FSCK_FD, OTHERS, .steps = {NULL, NULL, cpu__ask_helper},
	 .assist = cpu__helper_child_stores},

	/* ---- system calls that write the caller's memory ---- */
	{"read-pipe", 0, STORED, .steps = {NULL, NULL, call__read_pipe}},
	{"read-cached", 0, STORED, .placed = true, .steps = {NULL, NULL, call__read_cached}},
	{"read-direct", 0, STORED, .placed = true, .steps = {NULL, NULL, call__read_direct}},
	{"recv", 0, STORED, .steps = {NULL, NULL, call__receive}},
	{"vmsplice", 0, STORED, .steps = {NULL, NULL, call__vmsplice}},
	{"aio-direct", 0, STORED, .ordered = true, .steps = {call__aio_setup, NULL, call__aio}},

	/* ---- system calls that write what is mapped ---- */
	{"write", FSCK_FILE, OTHERS, .placed = true, .steps = {NULL, NULL, file__pwrite}},
	{"write-other-process", FSCK_FILE, OTHERS, .steps = {NULL, NULL, cpu__ask_helper},
	 .assist = file__helper_pwrite},
	{"write-direct", FSCK_FILE | FSCK_DISK, OTHERS, .steps = {NULL, NULL, file__direct}},
	{"splice", FSCK_FILE, OTHERS, .steps = {NULL, NULL, file__splice}},
	{"sendfile", FSCK_FILE, OTHERS, .steps = {NULL, NULL, file__sendfile}},
	{"copy_file_range", FSCK_FILE, OTHERS, .steps = {NULL, NULL, file__copy_range}},
	{"truncate", FSCK_FILE, OTHERS, .steps = {NULL, NULL, file__truncate}},
	{"punch-hole", FSCK_FILE, OTHERS, .steps = {NULL, NULL, file__punch}},

	/* ---- io_uring ---- */
	{"uring-read-direct", 0, STORED, .ordered = true,
	 .steps = {ring__setup, NULL, ring__read_direct}},
	{"uring-read-cached", 0, STORED, .ordered = true,
	 .steps = {ring__setup, NULL, ring__read_cached}},
	{"fixed-tmpfs", 0, STORED, .ordered = true, .placed = true,
	 .steps = {ring__register, NULL, ring__fixed_tmpfs}},
	{"fixed-cached", 0, STORED, .ordered = true,
	 .steps = {ring__register, NULL, ring__fixed_cached}},
	{"fixed-pipe", 0, STORED, .ordered = true,
	 .steps = {ring__register, NULL, ring__fixed_pipe}},
	{"fixed-direct", 0, STORED, .ordered = true, .placed = true,
	 .steps = {ring__register, NULL, ring__fixed_direct}},
	/* WRITE_FIXED: told too many times, perhaps, but nothing changes. */
	{"fixed-write", 0, STORED, .ordered = true, .source = true,
	 .steps = {ring__register, NULL, ring__fixed_write}},
	/* The ring is registered with its task, and no descriptor of it is left. */
	{"fixed-hidden-ring", 0, STORED, .ordered = true,
	 .steps = {ring__hide, NULL, ring__fixed_tmpfs}},
	/* A child has the ring alone, and reads into its parent's memory. */
	{"fixed-child-ring", 0, STORED, .ordered = true,
	 .steps = {ring__give_child, NULL, ring__child_reads}},
	/* IORING_SETUP_NO_MMAP: completions are written through a pin. */
	{"uring-own-rings", 0, STORED, .ordered = true,
	 .steps = {ring__in_own_memory, NULL, ring__completions}},

	/* ---- other processes, and userfaultfd ---- */
	{"process_vm_writev", 0, STORED, .placed = true, .steps = {NULL, NULL, cpu__ask_helper},
	 .assist = remote__writev},
	{"ptrace-poke", 0, STORED, .steps = {NULL, NULL, cpu__ask_helper}, .assist = remote__poke},
	{"proc-mem", 0, STORED, .steps = {NULL, NULL, cpu__ask_helper}, .assist = remote__mem},
	{"uffd-copy", 0, STORED | FSCK_DISK, .ordered = true,
	 .steps = {remote__uffd, NULL, remote__uffd_copy}},
	{"uffd-zeropage", FSCK_ANON, STORED | FSCK_HUGETLB, .ordered = true,
	 .steps = {remote__uffd, NULL, remote__uffd_zero}},
	{"uffd-move", FSCK_ANON, STORED | FSCK_HUGETLB | FSCK_THP, .ordered = true,
	 .steps = {remote__uffd, NULL, remote__uffd_move}},

	/* ---- the address space ---- */
	{"mremap-over", FSCK_ANON, STORED | FSCK_HUGETLB, .steps = {NULL, NULL, map__move_over}},
	{"mremap-away", 0, STORED | FSCK_HUGETLB, .steps = {NULL, NULL, map__move_away}},
	{"mremap-dontunmap", FSCK_ANON, STORED | FSCK_HUGETLB,
	 .steps = {NULL, NULL, map__leave_empty}},
	{"munmap-mmap", 0, FSCK_KERNEL, .steps = {NULL, NULL, map__unmap}},
	{"mmap-other-file", 0, FSCK_KERNEL | FSCK_HUGETLB, .steps = {NULL, NULL, map__other_file}},
	{"madvise-dontneed", FSCK_ANON, STORED, .steps = {NULL, NULL, map__dontneed}},
	{"dontneed-read", FSCK_ANON, STORED, .steps = {NULL, NULL, map__dontneed_read}},
	{"madvise-free", FSCK_ANON, STORED | FSCK_HUGETLB, .steps = {NULL, NULL, map__free}},
	{"collapse-store", 0, STORED | FSCK_HUGETLB | FSCK_DISK,
	 .steps = {NULL, map__collapse, cpu__store}},
	{"store-collapse", 0, STORED | FSCK_HUGETLB | FSCK_DISK,
	 .steps = {NULL, NULL, map__store_collapse}},
	{"ksm-store", FSCK_ANON, STORED | FSCK_HUGETLB, .ordered = true,
	 .steps = {map__alike, map__merge, cpu__store}},

	/* ---- devices, and what acts like one ---- */
	{"af_xdp-copy", 0, STORED, .ordered = true, .placed = true,
	 .steps = {xdp__register, NULL, xdp__receive}},
	{"rdma-write", 0, STORED, .ordered = true, .placed = true,
	 .steps = {rdma__register, NULL, rdma__write}},
	{"vfio-edu", 0, STORED, .ordered = true, .placed = true,
	 .steps = {vfio__map, NULL, vfio__write}},

	/* ---- memory of the kernel's that a process has mapped ---- */
	{"uring-completions", FSCK_KERNEL, 0, .ordered = true,
	 .steps = {ring__map_completions, NULL, ring__completions}},
	{"aio-completions", FSCK_KERNEL, 0, .ordered = true,
	 .steps = {kernel__aio_ring, NULL, kernel__aio_complete}},
	{"packet-ring", FSCK_KERNEL, 0, .ordered = true,
	 .steps = {kernel__packet_ring, NULL, kernel__packets}},
	{"bpf-array", FSCK_KERNEL, 0, .ordered = true,
	 .steps = {kernel__array, NULL, kernel__update}},
	{0},
};
