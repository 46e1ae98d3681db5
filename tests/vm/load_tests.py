# SPDX-License-Identifier: BSD-2-Clause
"""Tests of the load in the guest, where functions can be traced: what is refused costs only itself."""
import json

from harness import Skip, equal, true

BROKEN = "/dev/work/tests/live/broken"
FOREIGN = "this kernel has no ds_process_key.start_boottime_ns"
FTRACE = "/proc/sys/kernel/ftrace_enabled"


def load(cell, *how):
    """The programs by name, of an object that was broken so."""
    status, text = cell.machine.call("run", BROKEN, *how, seconds=150)
    equal(status, 0, f"status of {' '.join(how)}: {text}")
    return json.loads(text[text.index("{"):])


def runs(programs, name):
    equal(programs[name]["state"], "active", f"{name} ({programs[name]['reason']})")


def off(programs, name, *words):
    """It is unavailable, and its sensor is not."""
    equal(programs[name]["state"], "unavailable", f"{name} ({programs[name]['reason']})")
    for word in words:
        true(word in programs[name]["reason"], f"the reason of {name} does not say {word!r}: {programs[name]['reason']}")


def add(suite, cell):
    whole = {}

    @suite.test("the load: every program that has its hook here runs, on functions too")
    def _():
        whole.update(load(cell))
        refused = [f"{name}: {program['reason']}" for name, program in whole.items() if "refused to" in program["reason"]]
        equal(refused, [], "refused programs")
        for name in ("handle_mm_fault", "virtqueue_get_buf", "block_rq_complete", "ledger_list"):
            runs(whole, name)
        return f"{sum(program['state'] == 'active' for program in whole.values())} of {len(whole)} programs active"

    @suite.test("the load: struct page and the direct map are found without pagemap as with it")
    def _():
        status, text = cell.machine.call("run", BROKEN, "calibrate")
        equal(status, 0, text)
        result = json.loads(text)
        true(result["same"] and result["pagemap"] and result["page_table"], f"they differ: {result}")

    @suite.test("the load: of a function's program that is refused its stand-ins take over")
    def _():
        programs = load(cell, "refuse", "handle_mm_fault")
        off(programs, "handle_mm_fault", "invalid", "stack")
        runs(programs, "page_fault_user")
        runs(programs, "page_fault_kernel")
        equal(programs["handle_mm_fault"]["sensor_reason"], "", "the sensor fault")
        return others(whole, programs, "handle_mm_fault")

    @suite.test("the load: a field that this kernel has not costs one program, whose reason names it")
    def _():
        programs = load(cell, "field", "block_rq_complete")
        off(programs, "block_rq_complete", FOREIGN)
        true(FOREIGN in programs["block_getrq"]["sensor_reason"], f"the sensor block: {programs['block_getrq']}")
        return others(whole, programs, "block_rq_complete")

    @suite.test("the load: a kernel that takes programs on functions and refuses to attach them (errno 524)")
    def _():
        programs = load(cell, "attach")
        off(programs, "handle_mm_fault", "refused to attach it: ENOTSUPP")
        runs(programs, "page_fault_user")
        off(programs, "virtqueue_get_buf", "ENOTSUPP")

    @suite.test("the load: a kernel that attaches programs to functions and does not call them")
    def _():
        try:
            cell.machine.call("write", FTRACE, "0")
        except AssertionError as refused:
            raise Skip(f"a kernel that lets ftrace be switched off: {refused}") from refused
        try:
            programs = load(cell)
        finally:
            cell.machine.call("write", FTRACE, "1")
        off(programs, "virtqueue_get_buf", "ftrace_enabled")
        runs(programs, "page_fault_user")

    @suite.test("the load: without BTF, exit 3 and one line that says what is needed")
    def _():
        status, text = cell.machine.call("live", "privilege", "without BTF", seconds=110)
        equal(status, 0, text[-3000:])
        return [line[2:] for line in text.splitlines() if line.startswith("# ")]

    @suite.test("the load: SIGTERM at any moment of it, SIGTERM and SIGKILL after it, nothing left")
    def _():
        status, text = cell.machine.call("live", "start", "SIGTERM", seconds=510)
        equal(status, 0, text[-3000:])
        return [line[2:] for line in text.splitlines() if line.startswith("# ")]

    @suite.test("sums by cgroup: what a loop device's thread dirties is of the cgroup that pays for it")
    def _():
        status, text = cell.machine.call("live", "cgroups", "kernel dirties", seconds=110)
        equal(status, 0, text[-3000:])
        return [line[2:] for line in text.splitlines() if line.startswith("# ")]


def others(whole, programs, name):
    """All else that ran does, but for what serves that one alone."""
    for other, before in whole.items():
        if other != name and before["state"] == "active" and not programs[other]["reason"].startswith(f"serves only {name},"):
            runs(programs, other)
    return [f"{other} took over" for other, program in programs.items()
            if program["state"] == "active" and whole[other]["state"] != "active"]
