# SPDX-License-Identifier: BSD-2-Clause
"""How pages get written, and what must be counted: each row against a workload that knows."""
import os

from harness import Agent, Skip, Suite, Workload, equal, require_root, scratch, true, within
from unseen import Unseen

PAGES = 4096
NONE = {"first_touch": 0, "rewrite": 0, "kernel": 0, "tracked": 0, "pagecache": 0, "dma": 0}
# Written by the test's own truth; a pair is a bound. What is not named is 0.
ROUTES = [
    ("anonymous first write", "anonymous", PAGES, {"first_touch": PAGES}),
    ("write after the zero page", "zero-page", PAGES, {"rewrite": PAGES}),
    ("copy-on-write of a fork's child", "fork-child", PAGES, {"rewrite": (PAGES, PAGES + 1)}),
    ("parent after its child left", "fork-parent", PAGES, {"rewrite": (PAGES, PAGES + 1)}),
    ("read of never-written anonymous memory", "read-only", 0, {}),
    ("read(2) into a fresh buffer", "read", PAGES, {"kernel": PAGES}),
    ("O_DIRECT read into a fresh buffer", "direct-read", PAGES, {"dma": PAGES}),
    ("MADV_POPULATE_WRITE", "populate", PAGES, {}),
    ("MAP_POPULATE", "map-populate", PAGES, {}),
    ("process_vm_writev into another process", "remote-write", PAGES, {}),
    ("8 huge pages", "huge", PAGES, {"first_touch": 8}),
    ("8 pages of hugetlb", "hugetlb", PAGES, {"first_touch": 8}),
    ("shared mapping of a file", "shared-file", PAGES, {"first_touch": PAGES, "pagecache": PAGES}),
    ("shared mapping of a file, again after msync", "synced-file", PAGES,
     {"rewrite": PAGES, "pagecache": PAGES}),
    ("shared mapping over large folios", "shared-large", PAGES,
     {"first_touch": (16, PAGES), "pagecache": PAGES}),
    ("private mapping of a file", "private-file", PAGES, {"first_touch": PAGES}),
    ("shared anonymous memory", "shmem", PAGES, {"first_touch": PAGES, "pagecache": (0, PAGES)}),
    ("write(2), 4 KiB at a time", "write-small", PAGES, {"pagecache": PAGES}),
    ("write(2), 1 MiB at a time", "write-large", PAGES, {"pagecache": PAGES}),
    ("write(2) to a memfd", "write-memfd", PAGES, {}),
    ("write(2) to tmpfs", "write-tmpfs", PAGES, {}),
    ("UFFDIO_COPY", "userfault-copy", PAGES, {}),
    ("4 KiB per MiB over large folios", "write-sparse", 16, {"pagecache": (16, PAGES)}),
    ("rewrite of resident anonymous pages", "resident", PAGES, {}),
]
# Where trampolines load, the same but for these; "other" is the process whose memory it is.
HANDLED = {
    "direct-read": {"kernel": PAGES, "dma": PAGES},
    "populate": {"kernel": PAGES},
    "map-populate": {"kernel": PAGES},
    "remote-write": {"other": {"kernel": PAGES}},
    "write-memfd": {"pagecache": PAGES},
    "write-tmpfs": {"pagecache": PAGES},
    "userfault-copy": {"kernel": PAGES},
    "huge": {"first_touch": PAGES},
    "hugetlb": {"first_touch": PAGES},
}
FILES = {"read", "direct-read", "shared-file", "shared-large", "synced-file", "private-file",
         "write-small", "write-large", "write-sparse"}

IN_MEMORY = {"write-tmpfs"}  # files that are on no disk

METADATA = 64  # pages a file system may have to read for a route: bitmaps, extents, directories

suite = Suite()
agent = Agent()
directory = scratch()


def compare(got, expected, who, metadata=0):
    for name, nothing in NONE.items():
        want = expected.get(name, nothing)
        low, high = want if isinstance(want, tuple) else (want, want)
        if name == "dma":
            high += metadata
        within(got[name], low, high, f"{who}: {name}")


def runs(sensor, program):
    return any(p["name"] == program and p["state"] == "active" for p in agent.sensors()[sensor]["programs"])


def handled():
    """Whether the function that handles faults is traced, or only the exceptions."""
    return runs("fault", "handle_mm_fault")


def measure(*args):
    """Again when the kernel hid a completion from BPF, and the numbers do not add up."""
    for attempt in range(8):
        with Unseen() as unseen:
            try:
                return measure_once(*args)
            except AssertionError:
                if attempt == 7 or not unseen.count():
                    raise


def measure_once(route, truth, expected):
    if handled():
        expected = HANDLED.get(route, expected)
    notes = []
    files = [os.path.join(directory, route)] if route in FILES else []
    if route in IN_MEMORY:
        files = [f"/dev/shm/dirtyscope-{os.getpid()}-{route}"]
    with Workload(route, PAGES, *files) as workload:
        watched = [pid for pid in (workload.pid, workload.other) if pid]
        agent.settle()
        before = {pid: agent.written(pid) for pid in watched}
        result = workload.go()
        written = result["written"]
        if route == "zero-page" and result["faults"] == 0:
            # By the kernel's own count the write took no fault: it is one to a resident page.
            expected, notes = {}, ["this kernel gives a read a page of its own, not the zero page"]
        equal(written, truth, "the workload's own count")
        agent.settle()
        for pid in watched:
            after = agent.written(pid)
            delta = {name: after[name] - before[pid][name] for name in NONE}
            compare(delta, expected if pid == workload.pid else expected.get("other", {}),
                    f"pid {pid}",
                    METADATA if files else 0)
    for file in files:
        os.unlink(file)
    return [f"written {written}, counted {({k: v for k, v in delta.items() if v})}", *notes]


def hugetlb(*args):
    setting = "/proc/sys/vm/nr_hugepages"
    with open(setting, encoding="ascii") as file:
        old = int(file.read())
    try:
        with open(setting, "w", encoding="ascii") as file:
            file.write(str(old + 8))
        with open("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages",
                  encoding="ascii") as file:
            if int(file.read()) < 8:
                raise Skip("8 free 2 MiB pages for hugetlb")
        return measure(*args)
    except OSError as error:
        raise Skip(f"hugetlb: {error}") from error
    finally:
        if os.access(setting, os.W_OK):
            with open(setting, "w", encoding="ascii") as file:
                file.write(str(old))


for row in ROUTES:
    suite.test(row[0], *row[1:])(hugetlb if row[1] == "hugetlb" else measure)


@suite.test("what fault tracepoints do not see is said in sensors")
def blind():
    fault = agent.sensors()["fault"]
    equal("memfd" in agent.sensors()["pagecache"]["blind"], not runs("pagecache", "shmem_write_begin"),
          "whether the pagecache sensor speaks of memfd")
    if handled():
        true("populate" not in str(fault["blind"]), "the blind spots of tracepoints are told")
        return
    text = " ".join(str(value) for value in fault.values() if isinstance(value, str)).lower()
    for word in ("huge", "populate", "uffdio_copy"):
        true(word in text, f"the fault sensor does not speak of {word!r}: {text}")


require_root()
with agent:
    suite.run()
