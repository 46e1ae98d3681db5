# SPDX-License-Identifier: BSD-2-Clause
"""Tracks of a part of a process: of ranges, and of the memory of the guest that a hypervisor runs."""
import os
import time

from guest import MIB, Machine, build
from harness import BINARY, Agent, Suite, equal, eventually, require_root, run, scratch, true
from smaps import is_registered, mappings
from tracking import PAGE, Refused, Track, Writer, addresses, chosen, pages_of, same

PAGES = 512
MEMORY = 48 * MIB
WORKING = 64  # pages that the guest writes, again and again
FIRST = 0x400000  # where the guest has them

suite = Suite()
directory = scratch()
agent = Agent(listen=f"unix:{directory}/socket")


def file_for(kind):
    return [os.path.join(directory, kind)] if kind.startswith("file") else []


def span(writer, first, end):
    return f"{writer.address + first * PAGE:x}-0x{writer.address + end * PAGE:x}"


def registered(pid):
    """(start, end) of what is protected, neighbours joined."""
    found = []
    for (place, _), flags in mappings(pid):
        start, end = (int(word, 16) for word in place.split("-"))
        if not is_registered(flags):
            continue
        if found and found[-1][1] == start:
            start = found.pop()[0]
        found.append((start, end))
    return found


def of_ranges(kind):
    with Writer(kind, PAGES, 1, *file_for(kind)) as writer:
        before = mappings(writer.pid)
        asked = [span(writer, 100, 200), span(writer, 300, 301)]
        inside = {*range(100, 200), 300}
        with Track(agent, {"pid": writer.pid, "ranges": asked}) as track:
            member = track.member()
            equal(member["scope"], "ranges", "scope")
            equal(member["ranges"], ["0x" + one for one in asked], "its ranges")
            for start, end in registered(writer.pid):
                for at in range(start, end, PAGE):
                    page = (at - writer.address) // PAGE
                    # A second mapping of the same memory is protected as well.
                    true(page in inside or not 0 <= page < PAGES, f"page {page} is protected")
            for seed in range(5):
                writer.do("write", seed, 500)
                if seed == 3:
                    writer.do("alias", 150, 250)
                answer = track.collect()
                want = (chosen(seed, PAGES, 500) | ({150} if seed == 3 and writer.fd >= 0 and kind != "file-private" else set())) & inside
                same(pages_of(answer, writer), want, f"epoch {seed}")
                equal(addresses(answer), addresses(answer) & {writer.address + page * PAGE for page in inside}, "all that is told")
        equal(mappings(writer.pid), before, "its mappings afterwards")


for kind in ("private", "huge", "memfd", "file-shared", "file-private"):
    suite.test(f"{kind} memory: what is outside of the ranges is neither protected nor told", kind)(of_ranges)


@suite.test("tracks of different ranges, and of all, take nothing from each other, and tell nothing that was not written")
def several():
    with Writer("private", PAGES) as writer, \
            Track(agent, {"pid": writer.pid, "ranges": [span(writer, 0, 100)]}) as low, \
            Track(agent, {"pid": writer.pid, "ranges": [span(writer, 50, 150)]}) as middle:
        writer.do("store", 10, 60, 120, 400)
        same(pages_of(low.collect(), writer), {10, 60}, "the low one")
        with Track(agent, {"pid": writer.pid}) as whole:
            equal(whole.member()["scope"], "process", "scope")
            equal(whole.member()["ranges"], None, "ranges")
            same(pages_of(middle.collect(), writer), {60, 120}, "the middle one")
            writer.do("store", 11, 401)
            same(pages_of(whole.collect(), writer), {11, 401}, "the whole one")
            same(pages_of(low.collect(), writer), {11}, "the low one again")
            same(pages_of(middle.collect(), writer), set(), "the middle one again")


@suite.test("bad ranges are refused, and the sentence names the field")
def bad():
    with Writer("private", PAGES) as writer:
        good = span(writer, 0, 1)
        for ranges, words in ((["x"], "target.ranges[0] is no range"), ([good, "0x1000-0x2fff"], "target.ranges[1] must begin and end"),
                              (["0x3000-0x1000"], "target.ranges[0] ends before"), (["0x1000-0x1000"], "target.ranges[0] ends before"),
                              ([good, good], "target.ranges[1] overlaps"), ([7], "target.ranges[0] is not a string"),
                              (["0x1000-0xfffffffffffff000"], "target.ranges[0] lies beyond"), ([], "target.ranges"), ("x", "target.ranges"),
                              (["-1000-2000"], "target.ranges[0] is no range"), (["0x1000-0x2000 "], "target.ranges[0] is no range"),
                              (["0x1000-0x2000"], "target.ranges: process"), ([good] * 65, "target.ranges")):
            try:
                with Track(agent, {"pid": writer.pid, "ranges": ranges}):
                    raise AssertionError(f"{ranges} is taken")
            except Refused as refused:
                equal(refused.status, 400, f"{ranges}: status")
                true(words in refused.error["message"], f"{ranges}: {refused.error['message']}")
        for target, words in (({"cgroup": "/", "ranges": [good]}, "target.ranges"), ({"device": "vda", "whole_process": True}, "target.whole_process"),
                              ({"pid": writer.pid, "ranges": [good], "whole_process": True}, "exclude"), ({"vm": "none"}, "no VM of that name"),
                              ({"pid": writer.pid, "vm": "x"}, "one of pid, vm")):
            try:
                with Track(agent, target):
                    raise AssertionError(f"{target} is taken")
            except Refused as refused:
                true(words in refused.error["message"], f"{target}: {refused.error['message']}")
        equal([one for one in agent.json("/api/v1/tracks")["tracks"] if one["state"] != "ended"], [], "tracks")


@suite.test("by command: --range, --vm, --whole-process")
def commands():
    environment = {**os.environ, "DIRTYSCOPE_URL": f"unix:{directory}/socket"}
    with Writer("private", PAGES) as writer:
        def start(*words):
            return run(BINARY, "track", "start", *words, env=environment)
        done = start("--pid", str(writer.pid), "--range", span(writer, 0, 1), "--range", span(writer, 2, 4))
        equal(done.returncode, 0, done.stderr)
        true(f"    of it only 0x{span(writer, 0, 1)} 0x{span(writer, 2, 4)}\n" in done.stdout, done.stdout)
        equal(run(BINARY, "track", "stop", done.stdout.split()[1].rstrip(":"), env=environment).returncode, 0, "stop")
        for words, status in ((("--range", good := span(writer, 0, 1)), 2), (("--pid", str(writer.pid), "--range", "zz"), 2),
                              (("--pid", str(writer.pid), "--range", good, "--whole-process"), 2), (("--vm", "none"), 1)):
            done = start(*words)
            equal(done.returncode, status, f"{words}: {done.stderr}")


def held_elsewhere(track, machine, has_none):
    """Who has a guest's memory open for writing may write(2) to it, and nobody can tell."""
    link = next(f"/proc/{machine.pid}/fd/{name}" for name in os.listdir(f"/proc/{machine.pid}/fd")
                if "memory-backend-memfd" in os.readlink(f"/proc/{machine.pid}/fd/{name}"))
    for mode, listed in ((os.O_RDONLY, False), (os.O_RDWR, True)):
        fd = os.open(link, mode)
        try:
            time.sleep(0.1)
            rows = [one for one in track.collect()["not_covered"] if "open for writing" in one["reason"]]
            equal(bool(rows), listed, f"it is open with mode {mode}: {rows}")
        finally:
            os.close(fd)
    true(has_none(), "nothing is left out again")


def guest_memory(name, *options):
    guest = build(2000, WORKING, MEMORY)
    with Machine(f"guest-{name}", guest, MEMORY, *options) as machine:
        machine.ready()
        start, end = machine.memory()
        eventually("the VM is known", lambda: any(one["name"] == machine.name for one in agent.json("/api/v1/vms")["vms"]))
        with Track(agent, {"vm": machine.name}) as track:
            equal(track.info["target"], {"pid": machine.pid, "vm": machine.name}, "target")
            member = track.member()
            equal((member["scope"], member["ranges"]), ("guest", [f"0x{start:x}-0x{end:x}"]), "what is followed")
            equal([one for one in registered(machine.pid) if not start <= one[0] < one[1] <= end], [], "protected elsewhere")
            told = set()

            def has_all():
                answer = track.collect()
                equal([one for one in answer["not_covered"] if "write(2)" in one["reason"]], [], "not covered")
                told.update(addresses(answer))
                return {start + FIRST + page * PAGE for page in range(WORKING)} <= told
            eventually("all that the guest writes is told", has_all)
            if name == "memfd":
                held_elsewhere(track, machine, has_all)
            equal([one for one in told if not start <= one < end], [], "told elsewhere")
        with Track(agent, {"pid": machine.pid, "whole_process": True}) as track:
            equal((track.member()["scope"], track.member()["ranges"]), ("process", None), "the whole process")
            for _ in range(3):
                time.sleep(0.1)
                equal([one for one in track.collect()["not_covered"] if "write(2)" in one["reason"]], [], "of all, not covered")
        with Track(agent, {"pid": machine.pid}) as track:
            equal(track.member()["scope"], "guest", "by pid")


for name, *options in (("plain",), ("memfd", "-object", f"memory-backend-memfd,id=m,size={MEMORY},share=on", "-machine", "memory-backend=m"),
                       ("json", "-object", f'{{"qom-type":"memory-backend-ram","id":"m","size":{MEMORY}}}', "-machine", "memory-backend=m"),
                       ("file", "-object", f"memory-backend-file,id=m,size={MEMORY},share=on,mem-path={directory}/ram", "-machine",
                        "memory-backend=m"),
                       ("folder", "-mem-path", directory, "-mem-prealloc")):
    suite.test(f"a VM's memory is found by itself: {name}", name, *options)(guest_memory)


require_root()
with agent:
    suite.run()
