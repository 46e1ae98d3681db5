# SPDX-License-Identifier: BSD-2-Clause
"""Taking a target in the guest: what its kernel gives, and that no target is harmed by it."""
import json

from harness import equal, true

HOSTILE = "/dev/work/tests/live/hostile"
PHASES = "/dev/work/tests/live/inject_phases"
TIMES = 10
TIMEOUT_MS = 20000  # a CPU is emulated
SECONDS = 200
ARGUMENTS = {"threads": ["100"]}

SERVED = ("spin", "sleep", "threads", "epoll", "semaphore", "sigwait", "seccomp", "dumpable", "leaderless", "stopping", "exec")
# What of its reason tells what stands in the way.
REFUSED = {"dispatch": "Syscall User Dispatch", "vfork": "vfork", "traced": "traced already"}
# Before Linux 6.4 nobody can tell whether a target handles system calls itself.
UNKNOWN = {"6.1": "this kernel does not tell"}
# One whose threads do not stop all at once.
UNSTOPPED = ("vfork", "traced")


def add(suite, cell):
    call = cell.machine.call

    for kind in (*SERVED, *REFUSED):
        @suite.test(f"harm: a target of the kind {kind} is taken {TIMES} times, and goes on")
        def _(kind=kind):
            words = call("hold", "hostile", HOSTILE, kind, *ARGUMENTS.get(kind, [])).split()
            equal(words[0], "ready", f"{kind}'s first line")
            times = 1 if kind == "vfork" else TIMES
            _, text = call("run", PHASES, words[1], "times", str(times), str(TIMEOUT_MS), seconds=SECONDS)
            found = json.loads(text)
            unknown = UNKNOWN.get(cell.kernel.series) if kind not in ("vfork", "traced") else None
            if kind in SERVED and not unknown:
                equal((found["done"], found["inside"]), (times, 0), f"how many succeeded: {found}")
            else:
                equal(found["refused"], times, f"how many were refused: {found}")
                true((unknown or REFUSED[kind]) in found["reason"], f"{found}")
            _, held = call("run", PHASES, words[1], "freeze")
            equal(held.split()[0] == "0", kind not in UNSTOPPED, f"all its threads at once: {held!r}")
            equal(call("tell", "hostile", "end"), "fine", f"what {kind} says in the end")
            equal(call("let_go", "hostile"), 0, "its exit status")
            return f"{found}; all threads: {held.strip()!r}"
