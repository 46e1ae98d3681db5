# SPDX-License-Identifier: BSD-2-Clause
"""Tests of tracks in the guest: what a disk writes into a process's memory, and what relies on it."""
from harness import equal, true

PAGES = 4096
EVEN = set(range(0, PAGES, 2))
ODD = set(range(1, PAGES, 2))
MODES = ["strict", "none"]
RUNS = 5  # of the pre-copy, in each of four cells
ROUNDS = 3
IN_FLIGHT = set(range(0, 256, 2))
DISK_PAGES = 16384

# Of 2048 pages that come through buffers registered before the track began, and of those registered
# after it, in the epoch in which that happens: how many CPU-only tracking tells, by backend and kind.
PINNED = {
    ("soft-dirty", "private"): PAGES,  # a pinned page stays dirty for ever
    ("soft-dirty", "shared"): 0,
    ("soft-dirty", "huge"): 0,
    ("pagemap-scan", "private"): 0,
    ("pagemap-scan", "shared"): 0,
    ("pagemap-scan", "huge"): 0,
}


class Target:
    """The program uring in the guest, tracked."""

    def __init__(self, cell, kind, registered):
        self.call, self.kind = cell.machine.call, kind
        words = self.call("hold", "uring", "/dev/work/tests/vm/uring", kind, str(PAGES),
                          "/dev/" + cell.device("nvme").disk).split()
        self.pid, self.address = int(words[0]), int(words[1], 16)
        if registered:
            self.tell("register")
        self.info = self.call("track_start", self.pid)
        self.backend = self.info["members"][0]["backend"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.call("track_stop", self.info["id"])
        self.call("let_go", "uring")

    def tell(self, line):
        equal(self.call("tell", "uring", line), "done", f"uring: {line}")

    def collect(self):
        answer = self.call("track_collect", self.info["id"], self.address, PAGES)
        return {key: set(answer[key]) for key in ("all", "cpu", "dma")} | {"counts": answer["counts"],
                                                                            "devices": answer["devices"]}


def whole(got, want, what):
    missed = sorted(want - got)
    true(not missed, f"{what}: {len(missed)} of {len(want)} missed, {missed[:6]}")


def add(suite, cell):
    if cell.mode.name not in MODES:
        return
    call, nvme = cell.machine.call, cell.device("nvme")
    bases = iter(range(0, 1 << 30, 5003))  # no page gets the same content twice in a row

    @suite.test("tracks: an agent")
    def _():
        call("tracks_agent", seconds=160)

    for kind in ("private", "shared", "huge"):
        @suite.test(f"tracks: READ_FIXED, registered before: {kind}")
        def _(kind=kind):
            with Target(cell, kind, True) as target:
                target.collect()
                target.tell(f"fixed {next(bases)}")
                got = target.collect()
                whole(got["all"], EVEN, "pages")
                whole(got["dma"], EVEN, "pages of the disk")
                true(any(one.split("/", 1)[-1] in nvme.names for one in got["devices"]), f"devices: {got['devices']}")
                want = PINNED[target.backend, kind]
                equal(len(got["cpu"]), want, f"what CPU-only tracking tells, by {target.backend}")
                equal(got["counts"]["missed_by_cpu_tracking"], 0 if want else len(EVEN), "missed by it")
                cell.results.setdefault("tracks", []).append(
                    [target.backend, kind, len(got["all"]), len(got["cpu"]), got["counts"]["missed_by_cpu_tracking"]])
                return f"{target.backend}: {got['counts']}"

        @suite.test(f"tracks: READ_FIXED, registered after: {kind}")
        def _(kind=kind):
            with Target(cell, kind, False) as target:
                target.collect()
                target.tell("register")
                target.tell(f"fixed {next(bases)}")
                first = target.collect()
                whole(first["all"], EVEN, "pages")
                whole(first["dma"], EVEN, "pages of the disk")
                target.tell(f"fixed {next(bases)}")
                got = target.collect()
                whole(got["all"], EVEN, "pages of the second epoch")
                equal(len(got["cpu"]), PINNED[target.backend, kind], f"CPU-only, in the second epoch, by {target.backend}")
                return f"{target.backend}: CPU-only {len(first['cpu'])}, then {len(got['cpu'])}"

    @suite.test("tracks: O_DIRECT, buffered and plain io_uring reads, and stores: nothing missed")
    def _():
        with Target(cell, "private", False) as target:
            notes = []
            for how in ("direct", "buffered", "plain"):
                target.collect()
                target.tell(f"{how} {next(bases)}")
                got = target.collect()
                whole(got["all"], EVEN, how)
                notes.append(f"{how}: {got['counts']}")
            target.tell("store 7")
            got = target.collect()
            equal(got["cpu"], ODD, "stores")
            return notes

    @suite.test("tracks: reads on their way when an epoch ends are told when they have ended, at the latest")
    def _():
        with Target(cell, "private", True) as target:
            target.collect()
            for _ in range(5):
                target.tell(f"submit {next(bases)}")
                first = target.collect()
                target.tell("reap")
                second = target.collect()
                whole(first["all"] | second["all"], IN_FLIGHT, "both epochs")

    if cell.kernel.series == "6.1":
        return  # its pinned private pages are dirty for ever: the copy would be whole by chance

    @suite.test(f"tracks: {RUNS} pre-copies: identical by the track, and not by its CPUs' part alone")
    def _():
        notes = []
        for kind in ["private", "shared", "huge", "private", "shared"][:RUNS]:
            with Target(cell, kind, True) as target:
                differ, without, copied = call("precopy", "uring", target.info["id"], target.address, PAGES, next(bases),
                                               ROUNDS, seconds=120)
                equal(differ, 0, f"{kind}: pages that differ in the copy by the track ({copied})")
                true(without > 0, f"{kind}: the copy by the CPUs' part is identical, too: the test shows nothing")
                notes.append(f"{kind}: 0 pages differ, {without} by the CPUs' part; rounds {copied}")
        return notes

    @suite.test("tracks: the agent ends")
    def _():
        equal(call("agent_stop")[0], 0, "its status")
