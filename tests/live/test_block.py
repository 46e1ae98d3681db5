# SPDX-License-Identifier: BSD-2-Clause
"""Reads of 256 MiB with dd: what the disk's device wrote, for whom, into how many pages."""
import ctypes
import mmap
import os
import subprocess
import time

from harness import Agent, Suite, disk_of, equal, eventually, require_root, scratch, true, within
from unseen import Unseen

MIB = 1 << 20
PAGES = 256 * MIB // 4096
SHORTEST = 2  # seconds of an interval
SHARE = 4  # an interval is so many times as long as dd takes
OTHERS = 16  # pages of others that no flow tells of
ADDS = {"pages": 1, "bytes": 4096, "distinct": 1, "total": 1}  # what a page of others adds at most

suite = Suite()
directory = scratch()
path = os.path.join(directory, "data")


def make_file():
    with open(path, "wb") as file:
        for index in range(256):
            file.write(bytes([index]) * MIB)
        os.fsync(file.fileno())


def dd(*flags):
    command = ["dd", f"if={path}", "of=/dev/null", "bs=1M", *flags]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
        child.wait(60)
        equal(child.returncode, 0, "dd")
        return child.pid


def now():
    return agent.json("/api/v1/devices")["time"]


def next_interval():
    """The first moment of an interval."""
    begin = now()
    eventually("the next interval", lambda: now() != begin)


def cached(fd):
    """Pages of the file that are in the page cache."""
    libc, size = ctypes.CDLL(None, use_errno=True), os.fstat(fd).st_size
    libc.mmap.restype = ctypes.c_void_p
    address = libc.mmap(None, ctypes.c_size_t(size), mmap.PROT_READ, mmap.MAP_SHARED, fd,
                        ctypes.c_long(0))
    there = (ctypes.c_ubyte * (size // mmap.PAGESIZE))()
    libc.mincore(ctypes.c_void_p(address), ctypes.c_size_t(size), there)
    libc.munmap(ctypes.c_void_p(address), ctypes.c_size_t(size))
    return sum(one & 1 for one in there)


def evict():
    """A page that somebody holds for the moment stays: once more, then."""
    fd = os.open(path, os.O_RDONLY)

    def gone():
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        return not cached(fd)
    try:
        eventually("nothing of the file in the cache", gone)
    finally:
        os.close(fd)


def flows_of(device):
    return agent.json(f"/api/v1/flows?limit=1000&device={device.replace('/', '%2F')}")["flows"]


def flow(device, pid):
    """dd's flow, once it has ended."""
    flows = flows_of(device)
    mine = [one for one in flows if (one["pid"], one["comm"]) == (pid, "dd")]
    equal(len(mine), 1, f"flows of dd: {flows}")
    process = agent.process(pid)
    true(process, "dd is not listed")
    equal(process["state"], "exited", "dd's state")
    equal(process["written"]["dma"], mine[0]["pages"], "dd's pages written by DMA")
    return mine[0]["pages"]


def others(device, before, pid):
    """Pages that the disk filled for other processes since those flows."""
    known = {(one["pid"], one["comm"]): one["pages"] for one in before}
    return sum(max(0, one["pages"] - known.get((one["pid"], one["comm"]), 0))
               for one in flows_of(device) if one["pid"] != pid)


def measure(*flags):
    """What one interval with one dd adds; again when it took longer, or BPF was not run. Others may read meanwhile."""
    disk, device = disk_of(directory)
    for _ in range(8):
        evict()
        next_interval()
        before, flows, begin, started = agent.devices()[device], flows_of(device), now(), time.monotonic()
        with Unseen() as unseen:
            pid = dd(*flags)
            hidden = unseen.count()
        # Not at its very end: pages are swapped a moment before counters are read.
        one_interval = now() == begin and time.monotonic() - started < agent.interval - 0.5
        next_interval()
        after = agent.devices()[device]
        got = {
            "pages": after["block"]["pages"] - before["block"]["pages"],
            "bytes": after["block"]["bytes"] - before["block"]["bytes"],
            "distinct": after["dirty_pages"],
            "total": after["dirty_pages_total"] - before["dirty_pages_total"],
            "flow": flow(device, pid),
            "others": others(device, flows, pid),
        }
        if one_interval and not hidden:
            break
    true(one_interval, f"dd did not fit into {agent.interval:.1f} s")
    true(not hidden, f"the kernel hid {hidden} completions from BPF in each run")
    true(disk in after["names"], f"{device} is not named {disk}: {after['names']}")
    return got


def more(got, name, low, high):
    """Of dd, and at most what others added to it."""
    within(got[name], low, high + (got["others"] + OTHERS) * ADDS[name], f"{name} ({got})")


@suite.test("256 MiB read with O_DIRECT: block pages, distinct pages, the flow of dd")
def direct():
    got = measure("iflag=direct")
    within(got["flow"], PAGES, PAGES * 1.001, f"pages of dd's flow ({got})")
    more(got, "pages", PAGES, PAGES * 1.001)
    more(got, "bytes", 256 * MIB, 256 * MIB * 1.001)
    more(got, "distinct", 256, 280)
    more(got, "total", 256, 280)
    return str(got)


@suite.test("256 MiB of buffered reads, nothing of it in the cache")
def cold():
    got = measure()
    within(got["flow"], PAGES, 65760, f"pages of dd's flow ({got})")
    more(got, "pages", PAGES, 65760)
    more(got, "distinct", PAGES, 65760)
    return str(got)


@suite.test("the metrics say the same as the API")
def metrics():
    _, device = disk_of(directory)
    eventually("one snapshot for both", lambda: (
        agent.metrics().get(("dirtyscope_device_block_read_pages_total", (("device", device),)))
        == agent.devices()[device]["block"]["pages"]))


def seconds_of_dd():
    """The slower of its two ways, on this disk and as busy as it is."""
    took = []
    for flags in (["iflag=direct"], []):
        evict()
        begin = time.monotonic()
        dd(*flags)
        took.append(time.monotonic() - begin)
    return max(took)


require_root()
make_file()
dd("count=1")  # dd and its libraries are in the page cache from now on
agent = Agent(interval=max(SHORTEST, SHARE * seconds_of_dd()))
with agent:
    suite.run()
