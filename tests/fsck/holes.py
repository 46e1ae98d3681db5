# SPDX-License-Identifier: BSD-2-Clause
"""Cells that are known to fail: changed pages are neither told nor in not_covered, pages are told or left
out for nothing, or the target is refused what it may do.

A row is a backend, a pattern of cells, and why; `release` is a pattern of kernels' releases,
`without` what the kernel lacks that would close it (Host.missing). Every cell that it matches must fail: one that passes
is reported as a failure, so that the list can only shrink. Only what hangs on when the agent looks (`always`
is false) may pass.
"""
import fnmatch
import os
from collections import namedtuple

Hole = namedtuple("Hole", "backend cells why always release without", defaults=[True, "*", None])
SCAN, SOFT = "pagemap-scan", "soft-dirty"
UNCOUNTED = "io_uring counts nothing in VmPin there, and another process alone has the ring"
HOLES = [
    *[Hole(SCAN, cells, UNCOUNTED, release="7.[23]*", always=always)
      # A child that maps the same object is looked at itself.
      for cells, always in (("fixed-child-ring private *", True), ("fixed-child-ring thp *", True), ("fixed-child-ring *", False))],
    *[Hole(SCAN, f"{route} hugetlb-shared - present", "hugetlb has no time of its last change, and who wrote is gone")
      for route in ("fork-child-store", "other-process-unmaps", "other-process-ends")],
    *[Hole("*", f"vfio-edu * {place}", "a device writes a page that the page table has no more")
      for place in ("paged-out-*", "dropped-*")],
    Hole(SOFT, "store thp - present", "a huge page has one bit for all of it", always=False),
    Hole(SCAN, "dontneed-read hugetlb *", "the kernel keeps the protection of a page that was emptied, for the next one"),
    Hole("*", "store memfd - present", "the whole memfd is doubted, since stores move its time"),
]
# Mappings outside of the cells' own areas.
ELSEWHERE = []


def find(backend, cell, missing):
    """The cell's row, or None."""
    for hole in HOLES:
        if (fnmatch.fnmatchcase(backend or "", hole.backend) and fnmatch.fnmatchcase(cell, hole.cells)
                and fnmatch.fnmatchcase(os.uname().release, hole.release) and (not hole.without or hole.without in missing)):
            return hole
    return None


def elsewhere(name):
    return any(fnmatch.fnmatchcase(name, one) for one in ELSEWHERE)
