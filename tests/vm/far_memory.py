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
import fetch
import initramfs
import machine
import matrix
from harness import equal, true

SERIES = "6.12"
START = 1 << 40  # where the memory module lies
KPTR_RESTRICT = "/proc/sys/kernel/kptr_restrict"


class FarMachine(machine.Machine):
    def command(self):
        words = super().command()
        words[words.index("-cpu") + 1] = "max,phys-bits=46"
        words[words.index("-m") + 1] += ",slots=2,maxmem=4T"
        return [*words, "-object", "memory-backend-ram,id=far,size=1G", "-device", f"pc-dimm,memdev=far,addr={START:#x}"]


def add_tests(suite, guest, build):
    @suite.test("the guest has memory at 1 TiB")
    def _():
        guest.call("mount_work")
        status, text = guest.call("run", "grep", "-i", "system ram", "/proc/iomem")
        equal(status, 0, text)
        true(f"{START:x}-" in text, f"its memory: {text}")

    @suite.test("struct page and the direct map are found without pagemap as with it")
    def _():
        status, text = guest.call("run", os.path.join(build, "tests/live/broken"), "calibrate")
        equal(status, 0, text)
        true(json.loads(text)["same"], f"they differ: {text}")
        return f"{json.loads(text)['candidates']} candidates"

    @suite.test("with the kernel's symbols hidden: all page frames that the device wrote are in the set")
    def _():
        guest.call("write", KPTR_RESTRICT, "2")
        status, text = guest.call("run", os.path.join(build, "tests/live/pages"), "/dev/work")
        equal(status, 0, text)
        found = json.loads(text[text.index("{"):])
        equal(found["hits"], found["wanted"], f"page frames ({found})")
        return str(found)


def main():
    build = os.path.abspath(sys.argv[1])
    suite = harness.Suite()
    kernel = next(row for row in matrix.KERNELS if row.series == SERIES)
    try:
        guest = FarMachine(fetch.qemu(), initramfs.prepare(fetch.kernel(kernel)), matrix.MODES[-1],
                           os.path.join(build, "vm", "far-memory"), build)
    except fetch.Unavailable as error:
        print(f"1..1\nok 1 - all # SKIP kernel {SERIES}: {' '.join(str(error).split())}")
        return 0
    add_tests(suite, guest, build)
    with guest:
        suite.run()


if __name__ == "__main__":
    sys.exit(main())
