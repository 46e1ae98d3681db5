# SPDX-License-Identifier: BSD-2-Clause
"""A kernel that is too old, in TAP: refused.py BUILD. What it lacks is told in one line, exit 3."""
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "live")]

import machine
import matrix
import single
from harness import equal, true

DIRTYSCOPE = "/dev/work/dirtyscope"


def add_tests(suite, guest):
    @suite.test(f"Linux {matrix.TOO_OLD.series}: the agent says what it needs in one line, exit 3")
    def _():
        guest.call("mount_work")
        status, text = guest.call("run", DIRTYSCOPE, "agent", "--web.listen-address", "127.0.0.1:0")
        equal(status, 3, f"exit status; it said {text!r}")
        equal(text.count("\n"), 1, f"lines in {text!r}")
        true("bpf_loop" in text and "5.17" in text, f"it does not say what is needed: {text!r}")
        return text.strip()

    @suite.test(f"Linux {matrix.TOO_OLD.series}: doctor says the same, exit 3")
    def _():
        status, text = guest.call("run", DIRTYSCOPE, "doctor", "--json")
        equal(status, 3, f"exit status; it said {text!r}")
        found = json.loads(text)
        true("bpf_loop" in found["reason"], f"reason: {found['reason']!r}")
        equal(found["can_run"], False, "can_run")
        equal(next(row["state"] for row in found["checks"] if row["name"] == "kernel"), "missing", "the kernel")


def main():
    return single.run(machine.Machine, matrix.TOO_OLD, "fsck", matrix.TOO_OLD.series, add_tests)


if __name__ == "__main__":
    sys.exit(main())
