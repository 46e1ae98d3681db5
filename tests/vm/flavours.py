# SPDX-License-Identifier: BSD-2-Clause
"""The other flavours of a kernel, cloud and rt, in TAP: flavours.py BUILD. All programs load there, and the agent counts.
VM=all boots both; else the first alone, which is the faster one.

The cloud flavour has no 9p, so a guest here has neither the host's root nor calls into it: what runs is in its
initramfs, flavour_init runs it, and what it says comes over the second serial port.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "live")]

import harness  # takes BUILD from the command line
import fetch
import initramfs
import machine
import matrix
from harness import Skip, equal, true

PROGRAMS = ["dirtyscope", "tests/live/broken"]
SECONDS = 300 * machine.PATIENCE


def libraries(program):
    """With the loader; where they are here, they are there."""
    done = subprocess.run(["ldd", program], stdout=subprocess.PIPE, check=True, text=True)
    return re.findall(r"(/\S+) \(0x", done.stdout)


def archive(build, base, target):
    """The initramfs of all guests, and behind it another archive, whose files replace those of the first."""
    with tempfile.TemporaryDirectory() as tree:
        os.mkdir(os.path.join(tree, "bin"))
        shutil.copy(os.path.join(HERE, "flavour_init"), os.path.join(tree, "init"))
        for name in PROGRAMS:
            program = os.path.join(build, name)
            shutil.copy(program, os.path.join(tree, "bin"))
            for library in libraries(program):
                os.makedirs(tree + os.path.dirname(library), exist_ok=True)
                shutil.copy(library, tree + library)
        names = subprocess.run(["find", ".", "-print0"], cwd=tree, stdout=subprocess.PIPE, check=True).stdout
        with open(target, "wb") as file:
            file.write(initramfs.read(base))
            file.flush()
            subprocess.run(["cpio", "--null", "--create", "--format=newc", "--owner=+0:+0", "--quiet"], cwd=tree, input=names,
                           stdout=file, check=True)


class Guest:
    """What flavour_init said, by its headings."""

    def __init__(self, build, row):
        self.row, self.directory = row, os.path.join(build, "vm", row.series)
        self.kernel, base = initramfs.prepare(fetch.kernel(row))
        shutil.rmtree(self.directory, ignore_errors=True)
        os.makedirs(self.directory)
        archive(build, base, self.path("initramfs"))

    def path(self, name):
        return os.path.join(self.directory, name)

    def read(self, name):
        with open(self.path(name), encoding="utf-8", errors="replace") as file:
            return file.read()

    def run(self):
        """{heading: what came behind it}; the guest switches itself off."""
        words, environment = fetch.qemu()
        machine.make_disk(self.path("disk.img"), 0)
        command = [*words, "-accel", "tcg,thread=multi,tb-size=256", "-nodefaults", "-no-user-config", "-display", "none",
                   "-no-reboot", "-machine", "q35,hpet=off", "-cpu", "max", "-smp", "2", "-m", str(machine.MEMORY),
                   "-kernel", self.kernel, "-initrd", self.path("initramfs"), "-append", machine.COMMAND_LINE,
                   "-serial", f"file:{self.path('console')}", "-serial", f"file:{self.path('said')}",
                   "-drive", f"if=none,id=disk,file={self.path('disk.img')},format=raw,cache=unsafe",
                   "-device", "virtio-blk-pci,drive=disk"]
        try:
            with open(self.path("qemu.log"), "wb") as log:
                subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=SECONDS, check=False,
                               preexec_fn=machine.die_with_parent, env={**os.environ, **environment})
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f"not over in {SECONDS} s: {self.read('console')[-1500:]}") from error
        finally:
            os.unlink(self.path("disk.img"))
            os.unlink(self.path("initramfs"))
        parts = re.split(r"^== (.+)\n", self.read("said").replace("\r", ""), flags=re.M)
        return dict(zip(parts[1::2], parts[2::2]))


def add_tests(suite, build, row):
    said = {}

    @suite.test(f"{row.series}: every program that has its hook there runs, on functions too")
    def _():
        try:
            guest = Guest(build, row)
        except fetch.Unavailable as error:
            raise Skip(f"kernel {row.series}: {' '.join(str(error).split())}") from error
        said.update(guest.run())
        true("load" in said, f"nothing was loaded: {guest.read('console')[-1500:]} {guest.read('qemu.log')}")
        programs = json.loads(said["load"])
        refused = [f"{name}: {program['reason']}" for name, program in programs.items() if "refused to" in program["reason"]]
        equal(refused, [], "refused programs")
        for name in ("handle_mm_fault", "virtqueue_get_buf", "block_rq_complete", "ledger_list"):
            equal(programs[name]["state"], "active", f"{name} ({programs[name]['reason']})")
        active = sum(program["state"] == "active" for program in programs.values())
        return f"{said['release'].strip()}: {active} of {len(programs)} programs active"

    @suite.test(f"{row.series}: the agent is ready, counts, and ends on SIGTERM")
    def _():
        if not said:
            raise Skip(f"kernel {row.series}")
        true(said.get("sensors", "").strip(), f"it was never ready: {said.get('log')}")
        sensors = {sensor["name"]: sensor for sensor in json.loads(said["sensors"])["sensors"]}
        for name in ("fault", "block", "virtio"):
            # On rt, programs are preempted, and a call meanwhile is left out: counted as lost, and the sensor says so.
            true(sensors[name]["state"] != "unavailable", f"{name} ({sensors[name]['reason']})")
        fault = sensors["fault"]
        true(fault["counted"] > 0, f"no fault was counted: {fault}")
        equal(fault["offered"], fault["counted"] + sum(fault["lost"].values()), "faults offered")
        equal(said["status"].strip(), "0", f"exit status; {said['log']}")
        lost = sum(fault["lost"].values())
        return f"{lost} of {fault['offered']} faults lost" if lost else []


def main():
    build = os.path.abspath(sys.argv[1])
    suite = harness.Suite()
    for row in matrix.FLAVOURS if os.environ.get("VM") == "all" else matrix.FLAVOURS[:1]:
        add_tests(suite, build, row)
    suite.run()


if __name__ == "__main__":
    sys.exit(main())
