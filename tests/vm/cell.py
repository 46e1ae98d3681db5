# SPDX-License-Identifier: BSD-2-Clause
"""The tests of one cell of the matrix, in one virtual machine, in TAP: cell.py BUILD KERNEL MODE

What they are is in matrix.py. VM=all runs all that the mode allows, VM_SKIP_KERNELS="7.2 ..." goes on
without a series that cannot be fetched. What was measured goes into BUILD/vm/KERNEL-MODE/results.json.
"""
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "live"), os.path.join(HERE, "..", "bpf")]

import harness  # takes BUILD from the command line
import agent_tests
import fetch
import fsck_tests
import harm_tests
import initramfs
import instructions
import load_tests
import machine
import matrix
import policy_tests
import recall
import track_tests
from harness import equal, eventually, true

NO_UNMAP = 2  # DS_SOURCE_NO_UNMAP
POOL_PAGES = 64  # a driver's pools (NVMe: of its lists) may grow so much


class Device:
    """A disk or a network card, as the guest has it."""

    def __init__(self, number, row):
        self.number, self.row = number, row
        self.names, self.disk, self.interface = set(), None, None
        self.address = f"10.0.{number}.1"


class Cell:
    def __init__(self, build, series, mode):
        self.kernel = next(row for row in matrix.KERNELS if row.series == series)
        self.mode = next(row for row in matrix.MODES if row.name == mode)
        self.directory = os.path.join(build, "vm", f"{series}-{mode}")
        self.machine = machine.Machine(fetch.qemu(), initramfs.prepare(fetch.kernel(self.kernel)), self.mode,
                                       self.directory, build, agent_tests.EXTRA_DEVICES)
        self.disks = [Device(number, row) for number, row in enumerate(matrix.DISKS)]
        self.nics = [Device(number, row) for number, row in enumerate(matrix.NICS)]
        self.parts = matrix.parts(series, mode)
        self.results = {"kernel": series, "mode": mode, "rows": [], "exposed": []}
        self.at_rest = None
        self.never_unmaps = set()  # devices that leave their mappings: the recorder has seen it

    def device(self, name):
        return next(device for device in self.disks + self.nics if device.row.name == name)

    def save(self):
        with open(os.path.join(self.directory, "results.json"), "w", encoding="utf-8") as file:
            json.dump(self.results, file, indent=1)


def add_tests(suite, cell):
    call = cell.machine.call

    @suite.test("every device is there")
    def _():
        found, release = call("devices")
        call("mount_work")
        true(release.startswith(cell.kernel.series + "."), f"the guest runs {release}")
        cell.results["release"] = release
        for device in cell.disks + cell.nics:
            mine = [one for one in found if one["slot"] == device.row.slot]
            true(mine, f"no {device.row.name} in the guest: {found}")
            device.names = {name for one in mine for name in one["names"]}
            device.disk = device.interface = mine[0]["node"]
        return release

    if "compilers" in cell.parts:
        add_compilers(suite, cell)

    @suite.test("the kernel side loads, before network cards are up")
    def _():
        equal(call("recorder_start"), "ready", "the recorder")

    @suite.test("exposed pages before any I/O")
    def _():
        cell.at_rest = recall.dump(cell.machine)
        return [f"{device.row.name}: {exposure(cell.at_rest, device)}" for device in cell.disks + cell.nics]

    for device in cell.disks:
        @suite.test(f"{device.row.name}: reads, nothing missed, at most 1 % extra")
        def _(device=device):
            row = recall.read(cell.machine, device, 2048)
            cell.results["rows"].append(row)
            equal(row["completed"]["missed"], 0, f"missed at completed ({row})")
            equal(row["conservative"]["missed"], 0, f"missed at conservative ({row})")
            true(row["completed"]["extra"] * 100 <= row["truth"], f"extra: {row}")
            return describe(row)

    for device in cell.disks:
        @suite.test(f"{device.row.name}: writes are no device's writes to memory")
        def _(device=device):
            row = recall.write(cell.machine, device, 45000)
            true(row["completed"]["extra"] <= 20, f"extra: {row}")
            return describe(row)

    for device in cell.nics:
        @suite.test(f"{device.row.name} comes up")
        def _(device=device):
            call("interface_up", device.interface, device.address)
            call("sink", device.address, recall.PORT)

    for device in cell.nics:
        for size in matrix.PACKET_SIZES:
            @suite.test(f"{device.row.name}: packets of {size} bytes, nothing missed at conservative")
            def _(device=device, size=size):
                row = recall.receive(cell.machine, device, size, "before")
                cell.results["rows"].append(row)
                equal(row["conservative"]["missed"], 0, f"missed ({row})")
                return describe(row)

    for device in cell.disks + cell.nics:
        @suite.test(f"{device.row.name}: exposed pages are what they were before I/O")
        def _(device=device):
            if device in cell.nics:
                call("interface_down", device.interface)
            want = exposure(cell.at_rest, device)
            found = recall.dump(cell.machine)
            if found.flags(device.names) & NO_UNMAP or found.never_unmapped(device.names):
                cell.never_unmaps.add(device.row.name)
                return "its driver never unmaps: the agent must say that exposure is unknown"
            try:
                eventually("the same as before", lambda: exposure(recall.dump(cell.machine), device) == want, pause=0.5)
            except AssertionError as error:
                raise AssertionError(f"{exposure(recall.dump(cell.machine), device)}, {want} before") from error
            grown = recall.dump(cell.machine).coherent(device.names) - cell.at_rest.coherent(device.names)
            true(0 <= grown <= POOL_PAGES, f"coherent memory grew by {grown} pages")
            return f"{want}; coherent memory grew by {grown} pages"

    if "again" in cell.parts:
        add_again(suite, cell)

    @suite.test("the kernel side ends")
    def _():
        # A task may be preempted inside a program; another one's call of it is then left out, and the agent counts that.
        missed = {name: count for name, count in call("recorder", "missed").items() if count}
        equal(call("recorder_stop"), 0, "the recorder's status")
        return f"calls left out: {missed}" if missed else []

    if "tiers" in cell.parts:
        add_tiers(suite, cell)
    agent_tests.add(suite, cell)
    if "harm" in cell.parts:
        harm_tests.add(suite, cell)
    if "load" in cell.parts:
        load_tests.add(suite, cell)
    if "tracks" in cell.parts:
        track_tests.add(suite, cell)
    if "policies" in cell.parts:
        policy_tests.add(suite, cell)


def add_again(suite, cell):
    """Network cards that were up before the kernel side was there."""
    call = cell.machine.call

    @suite.test("the kernel side ends, and loads again after network cards came up")
    def _():
        equal(call("recorder_stop"), 0, "the recorder's status")
        for device in cell.nics:
            call("interface_up", device.interface, device.address)
        equal(call("recorder_start"), "ready", "the recorder")

    for device in cell.nics:
        for size in matrix.PACKET_SIZES:
            @suite.test(f"{device.row.name}: packets of {size} bytes, up before the agent")
            def _(device=device, size=size):
                row = recall.receive(cell.machine, device, size, "after")
                cell.results["rows"].append(row)
                return describe(row)


def add_compilers(suite, cell):
    objects = instructions.objects(harness.BUILD)
    for compiler in instructions.wanted():
        @suite.test(f"clang {compiler}: every program verifies, within its record")
        def _(compiler=compiler):
            true(compiler in objects, "there is no object: make compilers")
            _, output, seconds = cell.machine.call("verify", os.path.join(harness.BUILD, "tests/bpf/verify"),
                                                   objects[compiler])
            return f"{instructions.check(cell.kernel.series, compiler, output)}, in {seconds:.0f} s"


def add_tiers(suite, cell):
    """Tracepoints alone, on the workload that the trampolines were tested with."""
    call = cell.machine.call

    @suite.test("the kernel side loads with tracepoints alone")
    def _():
        equal(call("recorder_start", "--sensors.tier", "base"), "ready", "the recorder")

    for device in cell.disks:
        @suite.test(f"{device.row.name}: tracepoints alone say the same of reads")
        def _(device=device):
            row = recall.read(cell.machine, device, 22000)
            # Where virtio bypasses the DMA API, only functions see the status byte of a request.
            equal(row["completed"]["missed"], row["status_missed"], f"missed ({row})")
            true(row["completed"]["extra"] * 100 <= row["truth"], f"extra: {row}")
            return describe(row)

    @suite.test("they end")
    def _():
        equal(call("recorder_stop"), 0, "the recorder's status")


def exposure(dump, device):
    """By the counters, and by walking the ledger; without memory that is the device's for good."""
    coherent = dump.coherent(device.names)
    return {"exposed_pages": dump.exposed_pages(device.names) - coherent,
            "in the ledger": len(dump.ledger(device.names)) - coherent}


def describe(row):
    return (f"{row['truth']} pages written; completed {row['completed']}; conservative {row['conservative']}")


def main():
    build, series, mode = os.path.abspath(sys.argv[1]), sys.argv[2], sys.argv[3]
    suite = harness.Suite()
    try:
        cell = Cell(build, series, mode)
    except fetch.Unavailable as error:
        reason = " ".join(str(error).split())
        if series in os.environ.get("VM_SKIP_KERNELS", "").replace(",", " ").split():
            print(f"1..1\nok 1 - all # SKIP kernel {series}: {reason}")
            return 0
        print(f"1..1\nnot ok 1 - kernel {series}, and a QEMU with igb, can be had\n# {reason}")
        print(f"# VM_SKIP_KERNELS={series} goes on without")
        return 1
    (fsck_tests.add if mode == fsck_tests.MODE else add_tests)(suite, cell)
    with cell.machine:
        try:
            suite.run()
        finally:
            cell.save()


if __name__ == "__main__":
    sys.exit(main())
