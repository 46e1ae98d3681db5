# SPDX-License-Identifier: BSD-2-Clause
"""One bad program costs only itself; broken.c breaks one of the agent's object, and loads it."""
import json
import os

from harness import BUILD, Skip, Suite, equal, require_root, run, true

PROGRAM = os.path.join(BUILD, "tests/live/broken")
UNBREAKABLE = 4  # exit status: that program has nothing of the kind
FOREIGN = "this kernel has no ds_process_key.start_boottime_ns"

suite = Suite()


def load(*how):
    """Its programs by name; None when it cannot be broken so."""
    done = run(PROGRAM, *how, timeout=120)
    if done.returncode == UNBREAKABLE:
        return None
    equal(done.returncode, 0, f"status of {how}: {done.stderr}")
    return json.loads(done.stdout)


class Whole:
    """The object as it is, loaded once."""
    programs = None

    @classmethod
    def get(cls):
        if cls.programs is None:
            cls.programs = load()
        return cls.programs


def by_sensor():
    """The programs that run here."""
    sensors = {}
    for name, program in Whole.get().items():
        if program["state"] == "active":
            sensors.setdefault(program["sensor"], []).append(name)
    return sensors


def others_run(name, programs):
    """All but the broken one, and what serves only that one."""
    for other, before in Whole.get().items():
        after = programs[other]
        if other == name or after["reason"].startswith(f"serves only {name},"):
            continue
        if before["state"] == "active":
            equal(after["state"], "active", f"{other}, with {name} broken ({after['reason']})")
        else:
            true("refused to" not in after["reason"], f"{other}, with {name} broken: {after['reason']}")
    taken = [other for other, after in programs.items() if after["state"] == "active"
             and Whole.get()[other]["state"] != "active"]
    return f" ({', '.join(taken)} took over)" if taken else ""


def broken(how, name):
    programs = load(how, name)
    if programs is None:
        return None
    equal(programs[name]["state"], "unavailable", f"{name} ({programs[name]['reason']})")
    return programs[name]["reason"], others_run(name, programs)


@suite.test("the object as it is: no program of it is refused")
def whole():
    refused = [f"{name}: {program['reason']}" for name, program in Whole.get().items()
               if "refused to load it" in program["reason"] or "this kernel has no " in program["reason"]
               and "no tracepoint" not in program["reason"] and "no function" not in program["reason"]]
    equal(refused, [], "refused programs")
    active = sum(program["state"] == "active" for program in Whole.get().values())
    return f"{active} of {len(Whole.get())} programs active"


@suite.test("a program that the verifier refuses, per sensor in turn: all others run, its reason says why", "refuse")
@suite.test("a program with a field that this kernel has not, per sensor in turn: all others run, its reason names it",
            "field")
def one_of_each(how):
    notes = []
    for sensor, names in by_sensor().items():
        for name in names:
            result = broken(how, name)
            if result:
                reason, taken = result
                if how == "field":
                    equal(reason, FOREIGN, f"reason of {name}")
                else:
                    true("invalid" in reason and "stack" in reason, f"reason of {name}: {reason}")
                notes.append(f"{sensor}: {name}{taken}")
                break
        else:
            notes.append(f"{sensor}: none of its programs reads a field itself")
    return notes


@suite.test("a program that is too much for the verifier: all others run")
def slow():
    name = by_sensor()["fault"][0]
    reason, taken = broken("slow", name)
    true("E2BIG" in reason, f"reason of {name}: {reason}")
    return reason + taken


@suite.test("a load that is cancelled while the verifier is at work ends within 1 s")
def cancelled():
    done = run(PROGRAM, "cancel", by_sensor()["fault"][0], timeout=120)
    equal(done.returncode, 0, f"status; {done.stderr}")
    result = json.loads(done.stdout)
    true(result["cancelled"], f"it was not cancelled: {result}")
    true(result["seconds"] < 1, f"it took {result['seconds']} s")
    return f"{result['seconds']} s"


@suite.test("struct page and the direct map are found without pagemap as with it")
def calibrations():
    done = run(PROGRAM, "calibrate")
    equal(done.returncode, 0, f"status; {done.stderr}")
    result = json.loads(done.stdout)
    if not result["pagemap"]:
        raise Skip("a pagemap that shows page numbers: CAP_SYS_ADMIN")
    true(result["page_table"] and result["same"], f"they differ: {result}")
    return f"{result['candidates']} candidates for the direct map"


require_root()
suite.run()
