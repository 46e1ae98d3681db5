# SPDX-License-Identifier: BSD-2-Clause
"""240 possible CPUs of which two run, in TAP: many_cpus.py BUILD. Tables stay small, and CPUs that come and go are counted."""
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "live")]

import machine
import single
from harness import equal, eventually, true

SERIES = "6.1"  # the newest that takes a number of CPUs from its command line
CPUS = 240
PLUGGED = 2  # the number of the one that is plugged in
MOST_MIB = 48  # of tables, at 512 possible CPUs
WRITERS = ["first", "second", "third"]
MORE_PAGES = 2000  # written by each, between two changes


class ManyMachine(machine.Machine):
    def command(self):
        words = super().command()
        words[words.index("-smp") + 1] += f",maxcpus={CPUS}"
        words[words.index("-append") + 1] += f" possible_cpus={CPUS}"
        return words

    def cpu_slot(self):
        """What QEMU calls the next CPU that is not there."""
        free = [slot for slot in self.qmp("query-hotpluggable-cpus") if "qom-path" not in slot]
        return min(free, key=lambda slot: (slot["props"]["socket-id"], slot["props"]["core-id"], slot["props"]["thread-id"]))

    def has_cpu(self, props):
        return any(slot["props"] == props and "qom-path" in slot for slot in self.qmp("query-hotpluggable-cpus"))


def map_mib(guest):
    return guest.call("api", "/api/v1/summary")["limits"]["map_memory_bytes"] / (1 << 20)


def add_tables(suite, guest):
    @suite.test(f"{CPUS} possible CPUs: all tables take at most {MOST_MIB} MiB")
    def _():
        guest.call("mount_work")
        equal(guest.call("cpus", "possible"), f"0-{CPUS - 1}", "possible CPUs")
        equal(guest.call("cpus", "online"), "0-1", "CPUs online")
        guest.call("agent_start")
        mib = map_mib(guest)
        true(0 < mib <= MOST_MIB, f"{mib:.1f} MiB")
        guest.call("settle")
        took = next(line for line in guest.call("metrics") if re.match(r"dirtyscope_sample_duration_seconds\b", line))
        return f"{mib:.1f} MiB; a sample took {float(took.split()[-1]) * 1000:.1f} ms"


def add_changes(suite, guest):
    """One load throughout; each step changes the CPUs under it."""
    before, slot = {}, {}

    def go_on(what):
        """Each writer writes on, whatever happened."""
        then = guest.call("load_pages")

        def moved():
            now = guest.call("load_pages")
            return all(now[name] >= then[name] + MORE_PAGES for name in WRITERS)

        eventually(f"all write on: {what}", moved)

    @suite.test("a CPU is plugged in under load, and written on")
    def _():
        for name in WRITERS:
            guest.call("hold", name, "/dev/work/tests/live/writer", "private", "16", "0")
            equal(guest.call("tell", name, "spend 1"), ".", name)
        before.update(guest.call("load_begin", WRITERS))
        go_on("before")
        slot.update(guest.cpu_slot())
        guest.qmp("device_add", driver=slot["type"], id="plugged", **slot["props"])
        eventually("the guest has the CPU", lambda: guest.call("cpu_is_there", PLUGGED))
        guest.call("cpu_online", PLUGGED, True)
        for name in WRITERS[:2]:
            guest.call("pin", name, PLUGGED)
        go_on("on the new CPU")
        return guest.call("cpus", "online")

    @suite.test("a CPU that has always been there goes off and comes back")
    def _():
        guest.call("cpu_online", 1, False)
        go_on("without it")
        guest.call("cpu_online", 1, True)
        go_on("with it")

    @suite.test("the CPU that came goes, under those who write on it")
    def _():
        guest.call("cpu_online", PLUGGED, False)
        guest.qmp("device_del", id="plugged")
        eventually("it is gone", lambda: not guest.has_cpu(slot["props"]))
        go_on("without the CPU that came")
        equal(guest.call("cpus", "online"), "0-1", "CPUs online")

    @suite.test("every page of each writer was counted, and none twice")
    def _():
        own, counted = guest.call("load_end")
        equal({name: counted[name] - before[name] for name in WRITERS}, own, "pages by the agent, and by each writer's own count")
        sensor = next(row for row in guest.call("api", "/api/v1/sensors")["sensors"] if row["name"] == "fault")
        equal(sensor["offered"], sensor["counted"] + sum(sensor["lost"].values()), "faults offered")
        return f"{sum(own.values())} pages"


def main():
    return single.run(ManyMachine, single.newest(SERIES), "none", "many-cpus", add_tables, add_changes)


if __name__ == "__main__":
    sys.exit(main())
