#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The judge of tracks: every page whose content changed between two collects is told, or lies in
not_covered. Never neither. In TAP, a test for each cell: fsck.py BUILD [FILTER...]

A cell is a route, a kind of mapping, an order (what the route holds for long is taken before the track
began, or after), and a placement in the page table; the program fsck has the tables. A FILTER is a
pattern of cells' names, "fixed-* private *". Cells that are known to fail stand in holes.py.

FSCK_DISK=DEVICE    what is read with O_DIRECT, instead of a file
FSCK_EDU=ADDRESS,GROUP    an edu device behind VFIO
FSCK_TABLE=FILE     the figures, as JSON
"""
import errno
import fnmatch
import json
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "live")]

import holes
from harness import BUILD, Agent, Skip, Suite, equal, require_root, scratch, true
from host import Host
from judge import PAGE, Memory, Told, Verdict, writable
from tracking import Refused, Track

PROGRAM = os.path.join(BUILD, "tests/fsck/fsck")
ATTEMPTS = 5
ASKS = 3  # how often a target asks for a userfaultfd of its own, an epoch each
EPOCHS, SAME, PAUSE = 8, 3, 0.02  # until nothing more is told of a mapping that rests


class Wrong(AssertionError):
    """A track's fault, which may stand in holes.py; all else that fails is the test's."""


class Worker:
    """The program, in one cell; killed at the end of its `with`."""

    def __init__(self, host, kind, route, placement):
        self.child = subprocess.Popen(
            [PROGRAM, kind, route, placement, host.directory, host.disk, host.huge or "", host.edu],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.pid = self.child.pid
        self.areas = []

    def __enter__(self):
        word, text = self._line()
        if word != "ready":
            self.__exit__()
            raise Skip(text) if word == "skip" else AssertionError(f"no mapping: {text}")
        return self

    def __exit__(self, *_):
        self.child.kill()
        self.child.wait()
        for stream in (self.child.stdin, self.child.stdout, self.child.stderr):
            stream.close()

    def _line(self):
        line = self.child.stdout.readline()
        if not line.endswith("\n"):
            return "failed", f"the worker ended with {self.child.wait()}: {self.child.stderr.read().strip()}"
        word, _, text = line.strip().partition(" ")
        return word, text

    def step(self, name):
        """Where content may have changed, or why the step failed."""
        self.child.stdin.write(name + "\n")
        self.child.stdin.flush()
        word, text = self._line()
        if word == "skip":
            raise Skip(text)
        if word != "ok":
            return text
        self.areas = [(int(one.split(":")[0], 16), int(one.split(":")[1])) for one in text.split()]
        return None

    def must(self, name):
        failed = self.step(name)
        true(not failed, f"{name}: {failed}")


def prepare(worker, track):
    """Its own userfaultfd may be refused while a track has the memory; the track is to give way."""
    for _ in range(ASKS):
        failed = worker.step("prepare")
        if failed != os.strerror(errno.EBUSY):
            break
        track.collect()
    if failed:
        raise Wrong(f"refused under the track: {failed}")


def settle(track, worker):
    """
    Ends epochs until what was before is told, and no doubt about it is left, or both stay as they are:
    what is pinned is told in each epoch. What all of them told.
    """
    pages, seen = set(), []
    for _ in range(EPOCHS):
        told = Told(worker.pid, track.collect(), track.call("GET", ""))
        pages |= told.pages
        rest = Verdict(set(), told, worker.areas)
        seen.append((rest.unchanged, rest.doubted))
        if not rest.beside() or (len(seen) >= SAME and len(set(seen[-SAME:])) == 1):
            break
        time.sleep(PAUSE)
    told.pages = pages
    return told


def elsewhere(changed, told, spans):
    """{name of a mapping: pages} of what changed outside of the cell's areas, and nobody tells."""
    found = {}
    for address in Verdict(changed, told, []).lost:
        name = next(name for (start, pages), name in spans.items() if start <= address < start + pages * PAGE)
        found[name] = found.get(name, 0) + 1
    return found


def run_cell(agent, host, cell):
    """(verdict, backend, what changed elsewhere) of one cell."""
    with Worker(host, cell.kind, cell.route, cell.placement) as worker:
        if cell.order != "after":
            worker.must("prepare")
        with Track(agent, {"pid": worker.pid}) as track:
            if cell.order == "after":
                prepare(worker, track)
            settle(track, worker)
            spans = writable(worker.pid)
            everywhere = Memory(worker.pid, spans)
            before = Memory(worker.pid, worker.areas)
            worker.must("arrange")
            arranged = settle(track, worker)
            worker.must("write")
            answer = track.collect()
            told = Told(worker.pid, answer, track.call("GET", ""))
            verdict = Verdict(before.changed(Memory(worker.pid, worker.areas)), told, worker.areas)
            # The rest is not still while the mapping is brought into its placement.
            told.pages |= arranged.pages
            moved = everywhere.changed(Memory(worker.pid, spans)) - verdict.inside
            return verdict, told.backend, elsewhere(moved, told, spans)


def run_whole(agent, host, cell):
    """A machine that has other work starves a target that is to stand still: such a track ends, and says so."""
    for attempt in range(ATTEMPTS):
        try:
            return run_cell(agent, host, cell)
        except Refused as refused:
            if attempt + 1 == ATTEMPTS or refused.error["code"] != "track_ended" or "timed out" not in refused.error["message"]:
                raise
    return None


class Cell:
    def __init__(self, line):
        self.route, self.kind, self.order, self.placement, changes, beside = line.split()
        self.changes, self.exact = changes == "changes", beside == "exact"

    def __str__(self):
        return f"{self.route} {self.kind} {self.order} {self.placement}"


class Results:
    def __init__(self):
        self.rows, self.elsewhere, self.backend = [], {}, None

    def add(self, cell, verdict, moved):
        for name, pages in moved.items():
            self.elsewhere.setdefault(name, [0, str(cell)])[0] += pages
        self.rows.append({"route": cell.route, "kind": cell.kind, "order": cell.order, "placement": cell.placement,
                          "backend": self.backend, "changed": verdict.changed, "told": verdict.told,
                          "told_unchanged": verdict.unchanged, "doubted_unchanged": verdict.doubted,
                          "not_covered": verdict.not_covered, "neither": verdict.neither})

    def save(self):
        if os.environ.get("FSCK_TABLE"):
            with open(os.environ["FSCK_TABLE"], "w", encoding="utf-8") as file:
                json.dump(self.rows, file, indent=1)


def check(cell, verdict):
    if cell.changes:
        true(verdict.changed, "the route changed nothing")
    else:
        equal(verdict.changed, 0, "pages that changed")
    if verdict.neither:
        raise Wrong(f"{verdict}; {', '.join(map(hex, verdict.lost[:4]))}")
    if cell.exact and verdict.beside():
        raise Wrong(f"{verdict}: told or left out for nothing")


def judge(agent, host, cell, results):
    hole = holes.find(results.backend, str(cell), host.missing)
    try:
        verdict, results.backend, moved = run_whole(agent, host, cell)
        results.add(cell, verdict, moved)
        hole = holes.find(results.backend, str(cell), host.missing)
        check(cell, verdict)
    except Wrong as wrong:
        if not hole:
            raise
        return f"open hole, {hole.why}: {wrong}"
    true(not hole or not hole.always, f"no hole any more, take it out of holes.py: {hole} ({verdict})")
    return str(verdict)


def cells(filters):
    lines = subprocess.run([PROGRAM, "list"], stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    found = [Cell(line) for line in lines]
    return [cell for cell in found if not filters or any(fnmatch.fnmatchcase(str(cell), one) for one in filters)]


def skip(what):
    raise Skip(what)


def main():
    suite, results = Suite(), Results()
    directory = scratch()
    agent = Agent(listen=f"unix:{directory}/socket")
    chosen = cells(sys.argv[2:])
    with Host(directory) as host:
        for cell in chosen:
            if cell.route not in host.lacks:
                suite.test(str(cell))(lambda cell=cell: judge(agent, host, cell, results))
        for route, what in host.lacks.items():
            count = sum(cell.route == route for cell in chosen)
            if count:
                suite.test(f"{route}: its {count} cells")(lambda what=what: skip(what))

        @suite.test("the rest of the address space: told, or not covered")
        def _():
            lost = {name: found for name, found in results.elsewhere.items() if not holes.elsewhere(name)}
            true(not lost, "neither: " + "; ".join(f"{pages} pages of {name}, first in {cell}"
                                                   for name, (pages, cell) in sorted(lost.items())))
            return [f"open hole: {name}, {pages} pages, first in {cell}"
                    for name, (pages, cell) in sorted(results.elsewhere.items())]

        with agent:
            try:
                suite.run()
            finally:
                results.save()


if __name__ == "__main__":
    require_root()
    main()
