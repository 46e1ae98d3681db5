# SPDX-License-Identifier: BSD-2-Clause
"""tests/fsck in a guest: with an NVMe disk, RDMA over rxe, and a device behind VFIO."""
import json
import os
import re

from harness import equal, true

MODE = "fsck"
EDU = "0000:00:0c.0"
SLICE = 20  # seconds of one look
KINDS = ["private", "memfd", "thp"]
# Emulation is slow, so these; VM=all has all that is of these kinds, and the suite on the host all there is.
ROUTES = ["store -", "second-mapping -", "other-process before", "fork-cow-store before", "read-direct -", "vmsplice -",
          "write -", "fixed-tmpfs before", "fixed-cached before", "fixed-direct before", "fixed-direct after",
          "fixed-hidden-ring before", "fixed-child-ring before", "uring-own-rings before", "process_vm_writev -",
          "ptrace-poke -", "uffd-copy before", "munmap-mmap -", "mremap-over -", "madvise-dontneed -", "ksm-store before",
          "af_xdp-copy before", "rdma-write before", "rdma-write after", "vfio-edu before", "vfio-edu after"]
EVERY = [f"* {kind} *" for kind in KINDS]
CELLS = [f"{route} {kind} {order} present" for kind in KINDS for route, order in map(str.split, ROUTES)] + [
    f"{route} memfd before {place}" for route in ("fixed-direct", "vfio-edu")
    for place in ("paged-out-before", "dropped-before", "dropped-after")]


class Said:
    """What tests/fsck said of its cells."""

    def __init__(self, text):
        self.failed, self.skipped, self.passed, self.holes = {}, {}, {}, {}
        plan = re.search(r"^1\.\.(\d+)$", text, re.M)
        for match in re.finditer(r"^(ok|not ok) \d+ - (.*?)(?: # SKIP (.*))?\n((?:# .*\n)*)", text, re.M):
            result, name, skip, notes = match.groups()
            if skip:
                self.skipped[name] = skip
            elif result == "ok":
                (self.holes if notes.startswith("# open hole") else self.passed)[name] = notes
            else:
                self.failed[name] = notes
        seen = len(self.failed) + len(self.skipped) + len(self.passed) + len(self.holes)
        self.whole = plan is not None and int(plan[1]) == seen

    def of(self, kind):
        return [{name: text for name, text in rows.items() if name.split()[1] == kind}
                for rows in (self.passed, self.holes, self.skipped, self.failed)]


def add(suite, cell):
    call = cell.machine.call
    said = {}

    @suite.test("fsck: every cell")
    def _():
        call("mount_work")
        found, _release = call("devices")
        disk = next(one["node"] for one in found if one["slot"] == cell.device("nvme").row.slot)
        directory = f"/sys/bus/pci/devices/{EDU}"
        call("write", directory + "/driver_override", "vfio-pci")
        call("write", "/sys/bus/pci/drivers_probe", EDU)
        group = call("link", directory + "/iommu_group").rsplit("/", 1)[1]
        call("fsck_start", f"/dev/{disk}", f"{EDU},{group}", *(EVERY if os.environ.get("VM") == "all" else CELLS))
        status = None
        while status is None:
            status = call("fsck_wait", SLICE, seconds=SLICE + 60)
        with open(os.path.join(cell.directory, "share", "fsck"), encoding="utf-8", errors="replace") as file:
            text = file.read()
        said["all"] = Said(text)
        with open(os.path.join(cell.directory, "share", "fsck.json"), encoding="utf-8") as file:
            cell.results["fsck"] = json.load(file)
        true(said["all"].whole, f"status {status}: {text[-3000:]}")
        rest = {name: notes for name, notes in said["all"].failed.items() if name.startswith("the rest")}
        equal(rest, {}, "the rest of the address space")

    for kind in KINDS:
        @suite.test(f"fsck: {kind}: changed pages are told, or not covered")
        def _(kind=kind):
            passed, open_holes, skipped, failed = said["all"].of(kind)
            true(not failed, "\n".join(f"{name}: {notes.strip()}" for name, notes in failed.items()))
            reasons = sorted(set(skipped.values()))
            return [f"{len(passed)} cells, {len(open_holes)} open holes, {len(skipped)} skipped: {'; '.join(reasons)}"]
