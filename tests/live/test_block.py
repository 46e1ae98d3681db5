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
INTERVAL = 4
OTHERS = 16  # pages that others may read meanwhile

suite = Suite()
agent = Agent(interval=INTERVAL)
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
    eventually("the next interval", lambda: now() != begin, 3 * INTERVAL)


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


def flow(device, pid):
    """dd's flow, once it has ended."""
    flows = agent.json(f"/api/v1/flows?pid={pid}&device={device.replace('/', '%2F')}")["flows"]
    mine = [one for one in flows if one["comm"] == "dd"]
    equal(len(mine), 1, f"flows of dd: {flows}")
    process = agent.process(pid)
    true(process, "dd is not listed")
    equal(process["state"], "exited", "dd's state")
    equal(process["written"]["dma"], mine[0]["pages"], "dd's pages written by DMA")
    return mine[0]["pages"]


def measure(*flags):
    """What one interval with one dd adds; again when others read a lot meanwhile, or BPF was not run."""
    disk, device = disk_of(directory)
    for _ in range(8):
        evict()
        next_interval()
        before, begin, started = agent.devices()[device], now(), time.monotonic()
        with Unseen() as unseen:
            pid = dd(*flags)
            hidden = unseen.count()
        # Not at its very end: pages are swapped a moment before counters are read.
        one_interval = now() == begin and time.monotonic() - started < INTERVAL - 0.5
        next_interval()
        after = agent.devices()[device]
        got = {
            "pages": after["block"]["pages"] - before["block"]["pages"],
            "bytes": after["block"]["bytes"] - before["block"]["bytes"],
            "distinct": after["dirty_pages"],
            "total": after["dirty_pages_total"] - before["dirty_pages_total"],
            "flow": flow(device, pid),
        }
        if one_interval and not hidden and got["pages"] - got["flow"] <= OTHERS:
            break
    true(one_interval, f"dd did not fit into {INTERVAL} s")
    true(not hidden, f"the kernel hid {hidden} completions from BPF in each run")
    true(disk in after["names"], f"{device} is not named {disk}: {after['names']}")
    return got


@suite.test("256 MiB read with O_DIRECT: block pages, distinct pages, the flow of dd")
def direct():
    got = measure("iflag=direct")
    within(got["pages"], PAGES, PAGES * 1.001, "block pages")
    within(got["bytes"], 256 * MIB, 256 * MIB * 1.001, "block bytes")
    within(got["distinct"], 256, 280, "distinct pages")
    within(got["total"], 256, 280, "distinct pages in total")
    within(got["flow"], PAGES, PAGES * 1.001, "pages of dd's flow")
    return str(got)


@suite.test("256 MiB of buffered reads, nothing of it in the cache")
def cold():
    got = measure()
    within(got["pages"], PAGES, 65760, "block pages")
    within(got["distinct"], PAGES, 65760, "distinct pages")
    within(got["flow"], PAGES, 65760, "pages of dd's flow")
    return str(got)


@suite.test("the metrics say the same as the API")
def metrics():
    _, device = disk_of(directory)
    eventually("one snapshot for both", lambda: (
        agent.metrics().get(("dirtyscope_device_block_read_pages_total", (("device", device),)))
        == agent.devices()[device]["block"]["pages"]), 3 * INTERVAL)


require_root()
make_file()
with agent:
    evict()
    dd("count=1")  # dd and its libraries are in the page cache from now on
    suite.run()
