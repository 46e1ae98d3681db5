# SPDX-License-Identifier: BSD-2-Clause
"""Memory at 1 TiB, in TAP: far_memory.py BUILD. Page numbers are right there, whoever may read the kernel's symbols.

Two bases that are off by 1 GiB and by 64 GiB show the same content: whoever searches a pair by content takes a
wrong one where the kernel's own memory lies that high, and then every page number is wrong without a word.
"""
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "live")]

import harness  # takes BUILD from the command line
import machine
import single
from harness import equal, eventually, true

SERIES = "6.12"
START = 1 << 40  # where the memory module lies
PLUGGED = 2 << 40  # and the one that is plugged in while the agent runs
NODE = 1  # of it alone, so that a process can be moved there
PAGES = 512  # of which a disk writes 256
EVEN = set(range(0, PAGES, 2))
KPTR_RESTRICT = "/proc/sys/kernel/kptr_restrict"


class FarMachine(machine.Machine):
    def command(self):
        words = super().command()
        words[words.index("-cpu") + 1] = "max,phys-bits=46"
        words[words.index("-m") + 1] += ",slots=4,maxmem=4T"
        machine_word = words.index("-machine") + 1  # a node's memory is named there instead
        words[machine_word] = words[machine_word].replace(",memory-backend=ram", "")
        return [*words, "-numa", "node,nodeid=0,memdev=ram,cpus=0-1", "-numa", f"node,nodeid={NODE}",
                "-object", "memory-backend-ram,id=far,size=1G", "-device", f"pc-dimm,memdev=far,node=0,addr={START:#x}"]


def add_tests(suite, guest):
    @suite.test("the guest has memory at 1 TiB")
    def _():
        guest.call("mount_work")
        status, text = guest.call("run", "grep", "-i", "system ram", "/proc/iomem")
        equal(status, 0, text)
        true(f"{START:x}-" in text, f"its memory: {text}")

    @suite.test("struct page and the direct map are found without pagemap as with it")
    def _():
        status, text = guest.call("run", os.path.join(harness.BUILD, "tests/live/broken"), "calibrate")
        equal(status, 0, text)
        true(json.loads(text)["same"], f"they differ: {text}")
        return f"{json.loads(text)['candidates']} candidates"

    @suite.test("with the kernel's symbols hidden: all page frames that the device wrote are in the set")
    def _():
        guest.call("write", KPTR_RESTRICT, "2")
        status, text = guest.call("run", os.path.join(harness.BUILD, "tests/live/pages"), "/dev/work")
        equal(status, 0, text)
        found = json.loads(text[text.index("{"):])
        equal(found["hits"], found["wanted"], f"page frames ({found})")
        return str(found)


def add_plugged(suite, guest):
    """Memory that comes while an agent runs and a process is tracked: told as before it."""
    bases = iter(range(0, 1 << 20, 5003))
    target = {}

    def read_fixed(what):
        """An epoch in which the disk alone writes, through registered buffers."""
        target["collect"]()
        equal(guest.call("tell", "uring", f"fixed {next(bases)}"), "done", "uring")
        got = target["collect"]()
        told = {page for name, pages in got["devices"].items() if name.startswith("pci/") for page in pages}
        equal(told, EVEN, f"{what}: pages that the disk wrote, {len(told)} of {len(EVEN)} told")
        equal(got["counts"]["missed_by_cpu_tracking"], len(EVEN), f"{what}: missed by CPU-only tracking")
        return f"{len(told)} of {len(EVEN)}"

    @suite.test("before: READ_FIXED into a tracked process, 256 of 256 pages told")
    def _():
        guest.call("tracks_agent")
        disk = next(one["node"] for one in guest.call("devices")[0] if one["node"].startswith("nvme"))
        words = guest.call("hold", "uring", "/dev/work/tests/vm/uring", "private", str(PAGES), "/dev/" + disk).split()
        target.update(pid=int(words[0]), address=int(words[1], 16))
        info = guest.call("track_start", target["pid"])
        target["collect"] = lambda: guest.call("track_collect", info["id"], target["address"], PAGES)
        equal(guest.call("tell", "uring", "register"), "done", "uring")
        return read_fixed("before")

    @suite.test("memory at 2 TiB, plugged in under the running track: READ_FIXED, 256 of 256 pages told")
    def _():
        equal(guest.call("tell", "uring", "unregister"), "done", "uring")
        guest.qmp("object-add", **{"qom-type": "memory-backend-ram", "id": "plugged", "size": 1 << 30})
        guest.qmp("device_add", driver="pc-dimm", id="module", memdev="plugged", addr=PLUGGED, node=NODE)
        eventually("the guest has the memory, and uses it", lambda: guest.call("online_memory", PLUGGED))

        def moved():
            guest.call("migrate", target["pid"], 0, NODE)
            return guest.call("lowest_frame", target["pid"], target["address"], PAGES) >= PLUGGED // 4096

        eventually("the process's memory lies in the module", moved)
        equal(guest.call("tell", "uring", "register"), "done", "uring")
        lowest = guest.call("lowest_frame", target["pid"], target["address"], PAGES)
        true(lowest >= PLUGGED // 4096, f"the process's memory lies in the module: {lowest:#x}")
        return read_fixed("plugged in")

    @suite.test("nothing of it was lost by a sensor as beyond the page sets")
    def _():
        lost = guest.call("sensor_losses")
        true(not any(row.get("pfn_range") or row.get("page_sets_full") for row in lost.values()), f"lost: {lost}")
        return str(lost)


def main():
    return single.run(FarMachine, single.newest(SERIES), "fsck", "far-memory", add_tests, add_plugged)


if __name__ == "__main__":
    sys.exit(main())
