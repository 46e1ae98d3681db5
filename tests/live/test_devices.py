# SPDX-License-Identifier: BSD-2-Clause
"""Devices: known before their first event, honest about what is not seen, gone without a trace."""
import contextlib
import fcntl
import mmap
import os
import re

from harness import (BINARY, Agent, Skip, Suite, disk_of, equal, eventually, require_root, run,
                     scratch, true)
from unseen import Unseen

MIB = 1 << 20
LOOPS = 75  # more than the slots
LOOP_CTL_REMOVE = 0x4c81  # include/uapi/linux/loop.h

suite = Suite()
agent = Agent("--max-devices", "32")
directory = scratch()
path = os.path.join(directory, "data")


def make_file(name, mib):
    with open(name, "wb") as file:
        file.write(os.urandom(mib * MIB))
        os.fsync(file.fileno())


def read_direct(name):
    done = run("dd", f"if={name}", "of=/dev/null", "bs=1M", "iflag=direct")
    equal(done.returncode, 0, f"dd: {done.stderr}")


def read_page(name):
    fd = os.open(name, os.O_RDONLY | os.O_DIRECT)
    try:
        equal(os.preadv(fd, [mmap.mmap(-1, 4096)], 0), 4096, f"bytes read of {name}")
    finally:
        os.close(fd)


def limits():
    return agent.json("/api/v1/summary")["limits"]


def losses():
    return sum(sensor["lost"]["devices_full"] for sensor in agent.sensors().values())


class Loops:
    """So many loop disks on a file, gone at the end of its `with`."""

    def __init__(self, image, count):
        self.image, self.count, self.found, self.new = image, count, [], set()

    def __enter__(self):
        before = set(os.listdir("/sys/block"))
        for _ in range(self.count):
            made = run("losetup", "--find", "--show", self.image)
            if made.returncode:
                self.__exit__()
                raise Skip(f"losetup: {made.stderr.strip()}")
            self.found.append(made.stdout.strip())
        self.new = {f"/dev/{name}" for name in set(os.listdir("/sys/block")) - before}
        return self.found

    def __exit__(self, *_):
        with open("/dev/loop-control", "rb") as control:
            for loop in self.found:
                run("losetup", "--detach", loop)
                if loop in self.new:
                    with contextlib.suppress(OSError):  # it is in use, again
                        fcntl.ioctl(control, LOOP_CTL_REMOVE, int(loop.removeprefix("/dev/loop")))


@suite.test("the first event of a disk finds its device: nothing of it is unattributed")
def first_event():
    _, device = disk_of(directory)
    for _ in range(8):
        with Agent() as fresh, Unseen() as unseen:
            true(device in fresh.devices(), f"{device} is not listed")
            read_direct(path)
            fresh.settle()
            devices, hidden = fresh.devices(), unseen.count()
            equal(devices["unattributed"]["dirty_pages_total"], 0, "unattributed pages")
            if not hidden:
                break
    true(not hidden, f"the kernel hid {hidden} completions from BPF in each run")
    pages = devices[device]["block"]["pages"]
    true(pages >= 64 * 256, f"{pages} block pages, expected 16384 or more")


@suite.test("virtio devices and PCI functions with a driver are listed, bridges and ports are not")
def listed():
    devices = agent.devices()
    root = "/sys/bus/pci/devices"
    if not os.path.isdir(root) or not os.listdir(root):
        raise Skip("a PCI bus")
    for name in os.listdir(root):
        with open(f"{root}/{name}/class", encoding="ascii") as kind:
            bridge = int(kind.read(), 16) >> 16 == 6
        virtio = [child for child in os.listdir(f"{root}/{name}") if child.startswith("virtio")]
        driver = os.path.exists(f"{root}/{name}/driver")
        wanted = f"virtio/{virtio[0]}" if virtio else f"pci/{name}"
        if bridge:
            true(f"pci/{name}" not in devices, f"the bridge {name} is listed")
        elif driver:
            true(wanted in devices, f"{wanted} is not listed")


@suite.test("each device says what sees its writes, and what does not")
def coverage():
    sensors = agent.sensors()
    _, disk = disk_of(directory)
    for name, device in agent.devices().items():
        equal(device["exposed_pages"] is None, device["exposed_reason"] is not None,
              f"{name}: exposed_pages and the reason why not")
        for one in device["coverage"]:
            true(sensors[one["sensor"]]["state"] != "unavailable",
                 f"{name} is covered by {one['sensor']}, which is unavailable")
        if name == "unattributed":
            continue
        true(any("peer-to-peer" in sentence for sentence in device["not_seen"]),
             f"{name}: {device['not_seen']}")
        completed = [one for one in device["coverage"] if one["evidence"] == "completed"]
        true(completed or any("which pages it writes" in sentence for sentence in device["not_seen"]),
             f"{name}: nothing sees its writes, and it does not say so")
    true(any(one["sensor"] == "block" and one["evidence"] == "completed"
             for one in agent.devices()[disk]["coverage"]), f"{disk} is not covered by block")


@suite.test("a netdev that was up before the agent: its rings are not known")
def rings():
    up = 0
    for name, device in agent.devices().items():
        for netdev in device["names"]:
            try:
                with open(f"/sys/class/net/{netdev}/flags", encoding="ascii") as flags:
                    is_up = int(flags.read(), 16) & 1
            except OSError:
                continue
            up += is_up
            equal(any("take the interface down and up" in sentence
                      for sentence in device["not_seen"]), bool(is_up), f"{name}: rings")
    return f"{up} that are up"


@suite.test(f"{LOOPS} loop disks at once, each read: no slot is taken, no event lost, nothing degraded")
def loops():
    image = os.path.join(directory, "image")
    make_file(image, 4)
    before, used = set(agent.devices()), limits()["devices_used"]
    lost, offered = losses(), agent.sensors()["block"]["offered"]
    with Loops(image, LOOPS) as found:
        for loop in found:
            read_page(loop)
        agent.settle()
        true(agent.sensors()["block"]["offered"] >= offered + LOOPS, "the block sensor was not asked")
        equal(losses(), lost, "events lost to a full table")
        equal((set(agent.devices()), limits()["devices_used"]), (before, used), "devices and slots")
    agent.settle()
    equal((set(agent.devices()), limits()["devices_used"], losses()), (before, used, lost), "devices, slots, losses after")


@suite.test("a loop disk on a disk is told to stand on it, in JSON and by devices -v, until it ends")
def stacks():
    name, device = disk_of(directory)
    made = run("losetup", "--read-only", "--find", "--show", f"/dev/{name}")
    if made.returncode:
        raise Skip(f"losetup: {made.stderr.strip()}")
    loop = os.path.basename(made.stdout.strip())
    try:
        eventually(f"{loop} on {name}", lambda: {"name": loop, "on": [name]} in agent.devices()[device]["stacks"])
        text = run(BINARY, "devices", "-v", "--url", agent.url).stdout
        true(re.search(rf"^  (stacks)? +{loop} on {name}$", text, re.M), f"devices -v: {text}")
    finally:
        run("losetup", "--detach", f"/dev/{loop}")
    eventually(f"no {loop} on {name}", lambda: all(stack["name"] != loop for stack in agent.devices()[device]["stacks"]))


@suite.test("tables are made for what the host has")
def table():
    with Agent() as plain:
        got = plain.json("/api/v1/summary")["limits"]
    true(64 <= got["devices"] < 4096 and 2 * got["devices_used"] <= got["devices"], f"limits: {got}")
    equal(limits()["devices"], 32, "slots with --max-devices 32")
    return f"{got['devices_used']} of {got['devices']} slots"


@suite.test("virtual netdevs come, are renamed and go: they are no device's names")
def virtual_netdevs():
    names = [f"dsa{os.getpid()}", f"dsb{os.getpid()}"]
    before = {name: device["names"] for name, device in agent.devices().items()}
    made = run("ip", "link", "add", names[0], "type", "veth", "peer", "name", names[1])
    if made.returncode:
        raise Skip(f"ip link: {made.stderr.strip()}")
    try:
        equal(run("ip", "link", "set", names[0], "name", "dsc" + names[0][3:]).returncode, 0, "rename")
        agent.settle()
        equal({name: device["names"] for name, device in agent.devices().items()}, before, "names")
    finally:
        run("ip", "link", "delete", names[1])


@suite.test("devices -v and sensors -v say it in words")
def words():
    done = run(BINARY, "devices", "-v", "--url", agent.url)
    equal(done.returncode, 0, "exit status")
    _, disk = disk_of(directory)
    block = next(part for part in done.stdout.split("\n\n") if part.startswith(disk + "\n"))
    for line in (r"^  coverage +block: completed, since \d{4}-", r"^  not_seen +\w", r"peer-to-peer"):
        true(re.search(line, block, re.M), f"no {line!r} in {block}")
    done = run(BINARY, "sensors", "-v", "--url", agent.url)
    equal(done.returncode, 0, "exit status")
    true(re.search(r"^SENSOR +PROGRAM +TIER +HOOK +STATE", done.stdout, re.M), "no column TIER")
    true(re.search(r"^block +block_rq_complete +tp_btf +tp_btf:block_rq_complete +active", done.stdout,
                   re.M), "block_rq_complete is not active by tp_btf")


@suite.test("the ledger's cost is told")
def ledger():
    got = limits()
    true(got["mappings"] > 0, f"limits: {got}")
    true(got["mapping_bytes_used"] >= got["mappings_used"] * 80, f"limits: {got}")
    equal({"dirtyscope_ledger_entries", "dirtyscope_ledger_memory_bytes",
           "dirtyscope_hardware_reported_pages_total"} - {name for name, _ in agent.metrics()}, set(),
          "metrics missing")
    with Agent("--no-ledger") as bare:
        for name, device in bare.devices().items():
            if name != "unattributed":
                true("--no-ledger" in device["exposed_reason"], f"{name}: {device['exposed_reason']}")
        equal(bare.json("/api/v1/summary")["limits"]["mappings_used"], 0, "entries")


require_root()
make_file(path, 64)
with agent:
    agent.settle()
    suite.run()
