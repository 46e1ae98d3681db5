# SPDX-License-Identifier: BSD-2-Clause
"""Tests of tracks in the guest: what a disk writes into a process's memory, and what relies on it."""
import machine
from harness import equal, true

PAGES = 4096
EVEN = set(range(0, PAGES, 2))
ODD = set(range(1, PAGES, 2))
ALL = EVEN | ODD
KINDS = ["private", "shared", "huge"]
PRECOPIES = ["private", "shared", "huge", "private", "shared"]  # in each of four cells
ROUNDS = 3
SPARSE = (PAGES + 9) // 10
OWN_PAGES = 64  # of stack, heap and libraries, that a command takes
IN_FLIGHT = list(range(0, 256, 2))
DISK_FIRST, DISK_PAGES = 8192, 8191  # as in uring.c
HEAD = 26  # as in guest_tracks.py

# Of the 2048 pages that come through buffers registered before: what the CPU side tells. A private
# page that is pinned stays soft-dirty for ever; nothing else of such a write is to be seen by a CPU.
PINNED = {("soft-dirty", "private"): ALL}
# Of 2048 pages written in any other way, it tells exactly these, but all of a huge page by soft-dirty.
WHOLE = {("soft-dirty", "huge"): ALL}


class Target:
    """The program uring in the guest, tracked."""

    def __init__(self, cell, kind, registered):
        self.call, self.kind = cell.machine.call, kind
        self.disk = cell.device("nvme")
        words = self.call("hold", "uring", "/dev/work/tests/vm/uring", kind, str(PAGES), "/dev/" + self.disk.disk).split()
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
        """An epoch; `disk`: the pages that it has the NVMe disk as a writer of."""
        answer = self.call("track_collect", self.info["id"], self.address, PAGES)
        got = {key: set(answer[key]) for key in ("all", "cpu", "dma")} | {"counts": answer["counts"]}
        got["disk"] = {page for name, pages in answer["devices"].items() for page in pages
                       if name.startswith("pci/") and name.split("/", 1)[1] in self.disk.names}
        return got

    def waited_for(self, base):
        """Pages of those in flight that do not have their data yet."""
        def head(page):
            return machine.sector(self.disk.number, (DISK_FIRST + (base + page) % DISK_PAGES) * 8)[:HEAD].hex()
        heads = self.call("heads", "uring", self.address, IN_FLIGHT)
        return {page for page, found in zip(IN_FLIGHT, heads) if found != head(page)}

    def by_cpus(self, table, otherwise):
        return table.get((self.backend, self.kind), otherwise)


def whole(got, want, what):
    missed = sorted(want - got)
    true(not missed, f"{what}: {len(missed)} of {len(want)} missed, {missed[:6]}")


def exact(got, want, what):
    whole(got, want, what)
    more = sorted(got - want)
    true(not more, f"{what}: {len(more)} more than {len(want)}, {more[:6]}")


def check_fixed(target, got, what):
    """An epoch in which the disk wrote through registered buffers, and nobody else wrote."""
    told = target.by_cpus(PINNED, set())
    # A registered buffer may be written at any time, so all of it is exposed.
    exact(got["all"], ALL, f"{what}: pages")
    exact(got["dma"], ALL, f"{what}: pages of devices, and those that are pinned")
    exact(got["disk"], EVEN, f"{what}: pages of the disk")
    exact(got["cpu"], told, f"{what}: pages that CPU-only tracking tells")
    equal(got["counts"]["missed_by_cpu_tracking"], len(EVEN - told), f"{what}: missed by it")


def add(suite, cell):
    # No page gets the same content twice.
    bases = iter(range(0, 1 << 30, 5003))

    @suite.test("tracks: an agent")
    def _():
        cell.machine.call("tracks_agent")

    for kind in KINDS:
        @suite.test(f"tracks: READ_FIXED, registered before the track: {kind}")
        def _(kind=kind):
            with Target(cell, kind, True) as target:
                target.collect()
                target.tell(f"fixed {next(bases)}")
                got = target.collect()
                check_fixed(target, got, target.backend)
                cell.results.setdefault("tracks", []).append(
                    [target.backend, kind, len(got["disk"] | got["cpu"]), len(got["cpu"]), got["counts"]["missed_by_cpu_tracking"]])
                return f"{target.backend}: {got['counts']}"

    for kind in KINDS:
        @suite.test(f"tracks: READ_FIXED, registered after the track began: {kind}")
        def _(kind=kind):
            with Target(cell, kind, False) as target:
                target.collect()
                target.tell("register")
                target.tell(f"fixed {next(bases)}")
                got = target.collect()
                # To pin them for writing is a write of all, as far as a CPU can tell.
                exact(got["cpu"], ALL, "CPU-only, when they were registered")
                exact(got["disk"], EVEN, "pages of the disk, when they were registered")
                target.tell(f"fixed {next(bases)}")
                check_fixed(target, target.collect(), f"{target.backend}, the epoch after")

    for kind in KINDS:
        @suite.test(f"tracks: O_DIRECT, buffered, plain io_uring, stores: nothing missed, by the CPU side neither: {kind}")
        def _(kind=kind):
            notes = []
            with Target(cell, kind, False) as target:
                for how in ("direct", "buffered", "plain", "store"):
                    wrote = ODD if how == "store" else EVEN
                    target.collect()
                    target.tell(f"{how} {next(bases)}")
                    got = target.collect()
                    exact(got["all"], target.by_cpus(WHOLE, wrote), f"{how}: pages")
                    exact(got["cpu"], target.by_cpus(WHOLE, wrote), f"{how}: pages of CPUs")
                    # A buffered read goes into the page cache; a CPU copies it from there.
                    exact(got["disk"], EVEN if how in ("direct", "plain") else set(), f"{how}: pages of the disk")
                    equal(got["counts"]["missed_by_cpu_tracking"], 0, f"{how}: missed by CPU-only tracking")
                    notes.append(f"{how}: {got['counts']}")
                return notes

    @suite.test("tracks: pages of two mappings, written here and there: exactly these")
    def _():
        with Target(cell, "private", False) as target:
            target.collect()
            target.tell("sparse 5")
            target.tell("store 5")
            got = target.collect()
            exact(got["cpu"], ODD, "the upper mapping")
            more = got["counts"]["cpu"] - len(ODD)
            true(SPARSE <= more <= SPARSE + OWN_PAGES, f"{more} pages beside it, {SPARSE} of them in the lower mapping")

    for verb in ("submit", "submit_plain"):
        @suite.test(f"tracks: {verb}: a read on its way when an epoch ends comes again when it has ended")
        def _(verb=verb):
            with Target(cell, "private", verb == "submit") as target:
                target.collect()
                base = next(bases)
                cell.machine.throttle(target.disk.number, 1)
                try:
                    target.tell(f"{verb} {base}")
                    first = target.collect()
                    waited = target.waited_for(base)
                finally:
                    cell.machine.throttle(target.disk.number, 0)
                target.tell("reap")
                equal(target.waited_for(base), set(), "pages without their data in the end")
                second = target.collect()
                true(len(waited) > len(IN_FLIGHT) / 2, f"only {len(waited)} reads were on their way: the test shows nothing")
                whole(first["all"] | second["all"], set(IN_FLIGHT), "both epochs")
                whole(second["disk"], waited, "what came after the first epoch's end, in the second")
                equal(target.collect()["disk"], set(), "pages of the disk in a third epoch")
                return (f"{target.backend}: {len(waited)} on their way; the first epoch has {len(first['disk'] & waited)} "
                        f"as the disk's, the second {len(second['disk'] & waited)}, {len(second['cpu'] & waited)} by CPUs")

    @suite.test("tracks: reads that end around an epoch's end: two epochs have them all")
    def _():
        with Target(cell, "private", True) as target:
            target.collect()
            for _ in range(5):
                target.tell(f"submit {next(bases)}")
                first = target.collect()
                target.tell("reap")
                whole(first["disk"] | target.collect()["disk"], set(IN_FLIGHT), "both epochs")

    # Where pinned private pages are dirty for ever, the copy would be whole by chance.
    for number, kind in enumerate(PRECOPIES if cell.kernel.series != "6.1" else []):
        @suite.test(f"tracks: pre-copy {number + 1} of {len(PRECOPIES)}: identical by the track, not by its CPUs' part: {kind}")
        def _(kind=kind):
            with Target(cell, kind, True) as target:
                differ, without, copied = target.call("precopy", "uring", target.info["id"], target.address, PAGES,
                                                      next(bases), ROUNDS)
                true(all(one[2] for one in copied), f"the disk changed nothing in a round: {copied}")
                equal(len(differ), 0, f"pages that differ in the copy by the track ({copied}, {differ[:6]})")
                true(without, f"the copy by the CPUs' part is identical, too: the test shows nothing ({copied})")
                equal(sorted(set(without) - EVEN)[:6], [], "pages of the CPUs that differ in the copy by their part")
                return f"0 pages differ, {len(without)} by the CPUs' part; pages, CPUs', changed by the disk: {copied}"

    @suite.test("tracks: the faults that they cause are counted apart")
    def _():
        status, text = cell.machine.call("live", "tracked", seconds=600)
        equal(status, 0, f"live/tracked: {text[-3000:]}")
        return [line for line in text.splitlines() if line.startswith("# ")]

    @suite.test("tracks: the agent ends")
    def _():
        equal(cell.machine.call("agent_stop")[0], 0, "its status")
