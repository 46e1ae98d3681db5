# SPDX-License-Identifier: BSD-2-Clause
"""Eighty NVMe controllers, each with a disk, in TAP: many_devices.py BUILD. The agent's first snapshot has them all."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "live")]

import machine
import single
from harness import equal, true

SERIES = "6.12"
DISKS = 80
FIRST_SLOT = 0x0b  # of the root bus; eight functions in each


class ManyMachine(machine.Machine):
    def command(self):
        words = super().command()
        for number in range(DISKS):
            address = f"{FIRST_SLOT + number // 8:02x}.{number % 8}"
            words += ["-blockdev", f"null-co,node-name=many{number},size=67108864,read-zeroes=on",
                      "-device", f"nvme,serial=many{number},drive=many{number},addr={address},multifunction=on"]
        return words


def add_tests(suite, guest):
    begun = {}

    @suite.test(f"the guest has {DISKS} disks of {DISKS} controllers more")
    def _():
        found, release = guest.call("devices")
        many = {one["names"][0] for one in found if FIRST_SLOT <= one["slot"] < FIRST_SLOT + DISKS // 8}
        equal(len(many), DISKS, "functions with a disk")
        begun["functions"] = many
        guest.call("mount_work")
        return release

    @suite.test("looking at them takes less time than loading the programs, and the first snapshot has them all")
    def _():
        load, look = guest.call("agent_start")
        rows = {row["id"]: row for row in guest.call("api", "/api/v1/devices?limit=1000")["devices"]}
        for function in begun["functions"]:
            row = rows.get(f"pci/{function}")
            true(row and row["names"], f"{function}: {row}")
        limits = guest.call("api", "/api/v1/summary")["limits"]
        true(look < load, f"{look:.1f} s to look at the devices, {load:.1f} s to load")
        return f"{load:.1f} s to load, {look:.1f} s more to the first snapshot; {limits['devices_used']} of " \
               f"{limits['devices']} slots, tables of {limits['map_memory_bytes'] >> 20} MiB"

    @suite.test("a read of each is its own, and none is lost")
    def _():
        found, _ = guest.call("devices")
        nodes = [one["node"] for one in found if FIRST_SLOT <= one["slot"] < FIRST_SLOT + DISKS // 8]
        for node in nodes:
            guest.call("direct", node, [[0, 65536, 0]])
        guest.call("settle")
        rows = {row["id"]: row for row in guest.call("api", "/api/v1/devices?limit=1000")["devices"]}
        for function in begun["functions"]:
            true(rows[f"pci/{function}"]["block"]["pages"] >= 16, f"{function}: {rows[f'pci/{function}']['block']}")
        lost = guest.call("api", "/api/v1/sensors")["sensors"]
        equal([row["name"] for row in lost if row["lost"]["devices_full"]], [], "sensors that found the table full")


def main():
    if os.environ.get("VM") != "all":
        print("1..1\nok 1 - all # SKIP takes two minutes: VM=all")
        return 0
    return single.run(ManyMachine, single.newest(SERIES), "none", "many-devices", add_tests)


if __name__ == "__main__":
    sys.exit(main())
