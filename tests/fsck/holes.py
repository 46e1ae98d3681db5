# SPDX-License-Identifier: BSD-2-Clause
"""Cells that are known to fail: changed pages are neither told nor in not_covered, pages are told or left
out for nothing, or the target is refused what it may do.

A row is a backend, a pattern of cells, and why. Every cell that it matches must fail: one that passes
is reported as a failure, so that the list can only shrink. Only what hangs on when the agent looks (`always`
is false) may pass.
"""
import fnmatch
from collections import namedtuple

Hole = namedtuple("Hole", "backend cells why always", defaults=[True])
SCAN, SOFT = "pagemap-scan", "soft-dirty"
PINNED = "memory is pinned by who does not count it in VmPin"
HOLES = [
    *[Hole(SCAN, f"uring-own-rings {kind} *", PINNED)
      for kind in ("private", "thp", "shared-anonymous", "shmem-thp", "file-private")],
    *[Hole(SCAN, f"af_xdp-copy * {place}", PINNED) for place in ("present", "paged-out-*", "dropped-*")],
    *[Hole(SOFT, f"af_xdp-copy {kind} *", PINNED) for kind in ("thp", "memfd")],  # a pinned private page is always dirty
    *[Hole(SCAN, f"{route} hugetlb-shared - dropped-after", "a page that has left the page table since it was written")
      for route in ("store", "read-cached", "read-direct", "process_vm_writev")],
    *[Hole(SCAN, f"{route} hugetlb-shared - present", "hugetlb has no time of its last change, and who wrote is gone")
      for route in ("fork-child-store", "other-process-unmaps", "other-process-ends")],
    *[Hole(SCAN, f"{route} hugetlb-shared after *", "hugetlb has no time of its last change, and who maps it is looked for "
           "now and then", always=False) for route in ("other-process", "fork-child-stays")],
    Hole(SCAN, "madvise-dontneed hugetlb *", "an emptied range is a written range"),
    Hole(SCAN, "mremap-away file-private *", "pages of a file that come to lie elsewhere"),
    Hole(SOFT, "munmap-mmap *", "an emptied range is a written range"),
    Hole(SOFT, "madvise-dontneed *", "an emptied range is a written range"),
    Hole("*", "store memfd - present", "the whole memfd is doubted, since stores move its time"),
]
# Mappings outside of the cells' own areas.
ELSEWHERE = []


def find(backend, cell):
    """The cell's row, or None."""
    return next((hole for hole in HOLES if fnmatch.fnmatchcase(backend or "", hole.backend)
                 and fnmatch.fnmatchcase(cell, hole.cells)), None)


def elsewhere(name):
    return any(fnmatch.fnmatchcase(name, one) for one in ELSEWHERE)
