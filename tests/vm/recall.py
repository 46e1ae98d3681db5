# SPDX-License-Identifier: BSD-2-Clause
"""Recall and precision: the page frames that a device wrote, and those that we say it wrote."""
import json
import os
import random
import socket
import struct
import time

import harness
import trace

PACKETS = 200
PORT = 9
OTHER_PAGES = 8
AGAIN = [66000, 84000, 102000]  # sectors that nothing else reads
SIZES = [512, 4096, 4096, 65536, 262144, 1 << 20]


# ---- what we say ----

class Dump:
    """The recorder's answer, by device."""

    def __init__(self, path):
        self.sources, self.exposed = [], []
        with open(path, encoding="utf-8") as file:
            for line in file:
                one = json.loads(line)
                (self.sources if "source" in one else self.exposed).append(one)

    def slots(self, names):
        return {one["source"] for one in self.sources if one["name"] in names}

    def completed(self, names):
        """What no device has is everybody's: the shared set."""
        return {pfn for one in self.sources if one["name"] in names for pfn in one["completed"]} - {-1}

    def ledger(self, names):
        slots = self.slots(names)
        return {pfn for one in self.exposed if one["exposed"] in slots
                for pfn in range(one["pfn"], one["pfn"] + one["pages"])}

    def coherent(self, names):
        """Rings, queues, and the pools that a driver takes its lists from: they grow with use, and stay."""
        slots = self.slots(names)
        return sum(one["pages"] for one in self.exposed if one["exposed"] in slots and one["coherent"])

    def exposed_pages(self, names):
        return sum(one["exposed_pages"] for one in self.sources if one["name"] in names)

    def never_unmapped(self, names):
        """Nothing is in flight, and mappings by the hundred were left: its driver does not unmap them."""
        mine = [one for one in self.sources if one["name"] in names]
        return sum(one["maps"] - one["unmaps"] for one in mine) >= 100

    def flags(self, names):
        flags = 0
        for one in self.sources:
            if one["name"] in names:
                flags |= one["flags"]
        return flags


def dump(machine):
    result = machine.call("recorder", "dump /dev/share/dump")
    if result:
        raise AssertionError(f"the recorder's dump: {os.strerror(-result)}")
    return Dump(os.path.join(machine.share, "dump"))


def compare(truth, said):
    return {"said": len(said), "missed": len(truth - said), "extra": len(said - truth)}


def row(machine, device, what, agent, truth, found):
    completed, ledger = found.completed(device.names), found.ledger(device.names)
    return {"device": device.row.name, "what": what, "agent": agent, "truth": len(truth),
            "completed": compare(truth, completed), "conservative": compare(truth, completed | ledger),
            "flags": found.flags(device.names),
            "frames_missed": sorted(truth - completed - ledger)[:8], "frames_extra": sorted(completed - truth)[:8]}


# ---- disks ----

def plan(first, seed):
    """Requests over sectors from `first` on, none twice, in buffers that lie askew: [offset, size, shift]."""
    chance = random.Random(seed)
    steps, sector = [], first
    for size in SIZES * 6:
        steps.append([sector * 512, size, chance.choice([0, 0, 512, 3584])])
        sector += size // 512 + chance.randrange(4)
    return steps, sector


def aborted(machine):
    """Commands that a disk failed, by the guest's log."""
    return machine.call("run", "dmesg")[1].count("failed command")


def read(machine, device, first, agent="before"):
    """
    A row of the table. QEMU's AHCI disk now and then aborts a command where the machine is busy; the
    driver then resets it and asks what it is, which QEMU's trace does not tell as it does reads. Such
    a measurement says nothing, and is made again.
    """
    for again in [*AGAIN, None]:
        before = aborted(machine)
        try:
            result = read_once(machine, device, first, agent)
        except AssertionError:
            if again is None or aborted(machine) == before:
                raise
        else:
            if aborted(machine) == before:
                return result
        first = again
    log = machine.call("run", "dmesg")[1]
    raise AssertionError(f"the disk aborts commands, {len(AGAIN) + 1} times in a row: {log[-800:]}")


def read_once(machine, device, first, agent):
    """Reads a range that was not read before."""
    steps, last = plan(first, first)
    machine.call("recorder", "sweep")
    begin = machine.mark()
    machine.call("direct", device.disk, steps)
    lines = machine.trace(begin)
    found = dump(machine)
    content = machine.frames_with(device.number, first, last)
    machine.call("release")
    status = set()
    if device.row.trace == "virtio":
        truth, status = trace.of_virtio(lines, {step[0] // 512 for step in steps})
    else:
        truth = trace.of_maps(lines)
    # A driver may have asked its disk for something else meanwhile.
    if content - truth or len(truth - content) > OTHER_PAGES:
        raise AssertionError(f"the truths differ: {len(truth)} pages in QEMU's trace, {len(content)} with the disk's data, "
                             f"{len(truth & content)} in both")
    result = row(machine, device, "reads", agent, truth | status, found)
    result["status_missed"] = len(status - truth - found.completed(device.names))
    return result


def write(machine, device, first):
    """Writes: the device reads memory. How many pages we say it wrote."""
    steps, _ = plan(first, first)
    machine.call("recorder", "sweep")
    begin = machine.mark()
    machine.call("direct", device.disk, steps, True)
    lines = machine.trace(begin)
    found = dump(machine)
    machine.call("release")
    truth = trace.of_maps(lines) if device.row.trace == "map" else set()
    return row(machine, device, "writes", "before", truth, found)


# ---- network cards ----

def checksum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def frame(mac, address, size):
    """A UDP packet in an Ethernet frame; size: of the frame, without its checksum, or the MTU's worth."""
    length = size if size >= 1500 else size - 14
    header = struct.pack(">BBHHHBBH4s4s", 0x45, 0, length, 1, 0, 64, 17, 0, socket.inet_aton(address[:-1] + "9"),
                         socket.inet_aton(address))
    header = header[:10] + struct.pack(">H", checksum(header)) + header[12:]
    payload = struct.pack(">HHHH", 4242, PORT, length - 20, 0).ljust(length - 20, b"p")
    return bytes.fromhex(mac.replace(":", "")) + bytes.fromhex("525400aabbcc0800") + header + payload


def receive(machine, device, size, agent):
    data = frame(machine.mac(device.number), device.address, size)
    machine.call("recorder", "sweep")
    before = machine.call("packets", device.interface)
    begin = machine.mark()
    for number in range(PACKETS):
        machine.send(device.number, data)
        if number % 16 == 15:
            time.sleep(0.02)  # the ring has 256 places; it need not hold all
    end = time.monotonic() + harness.WAIT
    while machine.call("packets", device.interface) - before < PACKETS and time.monotonic() < end:
        time.sleep(0.1)
    got = machine.call("packets", device.interface) - before
    found = dump(machine)
    truth = trace.of_receive(machine.trace(begin), device.row.event)
    if got < PACKETS * 9 // 10 or not truth:
        raise AssertionError(f"{got} of {PACKETS} packets came through, into {len(truth)} pages")
    return row(machine, device, f"{size} B", agent, truth, found)
