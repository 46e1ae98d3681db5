# SPDX-License-Identifier: BSD-2-Clause
"""Are they the right pages? pages.c reads into known page frames, and looks for them in the page set."""
import json
import os

from harness import BUILD, Suite, equal, require_root, run, true
from unseen import Unseen

PROGRAM = os.path.join(BUILD, "tests/live/pages")
OTHERS = 64  # page frames that are filled for the program's own loading

suite = Suite()


def filled():
    """Pages that devices filled by the kernel's own count: read by disks, and one for each packet."""
    with open("/proc/diskstats", encoding="ascii") as file:
        disks = [line.split() for line in file]
    with open("/proc/net/dev", encoding="ascii") as file:
        cards = [line.split(":")[1].split() for line in file if ":" in line]
    # A request that does not begin with a page lies in one more.
    return (sum(int(disk[3]) + int(disk[5]) // 8 for disk in disks if os.path.exists(f"/sys/block/{disk[2]}"))
            + sum(int(card[1]) for card in cards))


@suite.test("all page frames that the device wrote are in the set, none between them, and what else only by others")
def frames():
    for _ in range(8):
        with Unseen() as unseen:
            before = filled()
            done = run(PROGRAM, BUILD)
            others = filled() - before
            hidden = unseen.count()
        equal(done.returncode, 0, f"status; {done.stderr}")
        found = json.loads(done.stdout)
        equal(found["wrong"], 0, f"page frames that nobody wrote ({found})")
        if not hidden:
            break
    true(not hidden, f"the kernel hid {hidden} completions from BPF in each run")
    equal(found["hits"], found["wanted"], f"page frames ({found})")
    others -= 2 * found["wanted"]  # requests of a page each, counted twice above
    true(found["extra"] <= OTHERS + others, f"{found['extra']} other page frames, {others} at most for other processes")
    return f"{found}, {others} at most for other processes"


require_root()
suite.run()
