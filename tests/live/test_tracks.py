# SPDX-License-Identifier: BSD-2-Clause
"""Tracks on this host: page for page what a writer wrote, epoch after epoch, however its memory is made."""
import ctypes
import os
import statistics

from harness import Agent, Skip, Suite, disk_of, equal, eventually, require_root, scratch, true
from smaps import is_registered, mappings
from tracking import PAGE, Track, Writer, addresses, chosen, pages_of, same
from unseen import Unseen

PAGES = 2048
EPOCHS = 50
KINDS = ["private", "huge", "memfd", "file-shared", "file-private"]

suite = Suite()
directory = scratch()
agent = Agent(listen=f"unix:{directory}/socket")


def file_for(kind):
    return [os.path.join(directory, kind)] if kind.startswith("file") else []


def follow_epochs(kind, threads, epochs):
    with Writer(kind, PAGES, threads, *file_for(kind)) as writer, Track(agent, {"pid": writer.pid}) as track:
        same(pages_of(track.collect(), writer), set(), "written before it began")
        sizes, seconds = [], []
        for seed in range(epochs):
            permille = [1, 10, 100, 500, 1000][seed % 5]
            writer.do("write", seed, permille)
            answer = track.collect()
            want = chosen(seed, PAGES, permille)
            same(pages_of(answer, writer), want, f"epoch {seed}")
            sizes.append(len(want))
            seconds.append(answer["collect_seconds"])
        same(pages_of(track.collect(), writer), set(), "after the last epoch")
        member = track.member()
        return (f"{sum(sizes)} pages in {epochs} epochs by {member['backend']}; an epoch took "
                f"{statistics.median(seconds) * 1000:.1f} ms, the start stopped it for {member['start_stopped_us']:.0f} us")


for kind in KINDS:
    for threads in (1, 8, 64):
        suite.test(f"{kind} memory, {threads} threads: equal in all {EPOCHS} epochs", kind, threads, EPOCHS)(follow_epochs)


@suite.test("hugetlb: nothing missed")
def hugetlb():
    setting = "/proc/sys/vm/nr_hugepages"
    with open(setting, encoding="ascii") as file:
        old = file.read()
    try:
        with open(setting, "w", encoding="ascii") as file:
            file.write("8")
        with open("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", encoding="ascii") as file:
            if int(file.read()) < PAGES * PAGE >> 21:
                raise Skip("free 2 MiB pages for hugetlb")
        with Writer("hugetlb", PAGES) as writer, Track(agent, {"pid": writer.pid}) as track:
            for seed in range(5):
                writer.do("write", seed, 2)
                got, want = pages_of(track.collect(), writer), chosen(seed, PAGES, 2)
                true(want <= got, f"missed {sorted(want - got)[:8]}")
    finally:
        with open(setting, "w", encoding="ascii") as file:
            file.write(old)


@suite.test("mmap, mremap, munmap, mprotect, brk and fork: nothing missed")
def churn():
    with Writer("private", 64, 8) as writer, Track(agent, {"pid": writer.pid}) as track:
        told = 0
        for seed in range(EPOCHS):
            written = {int(word, 16) for word in writer.do("churn", seed).split()}
            got = addresses(track.collect(), writer.pid)
            true(written <= got, f"epoch {seed}: missed {[hex(one) for one in sorted(written - got)][:8]}")
            told += len(written)
    return f"{told} pages"


def descriptor(writer):
    return f"/proc/{writer.pid}/fd/{writer.fd}"


def shared(kind):
    """A second mapping, another process, one that comes later, one that ends."""
    with Writer(kind, 256, 1, *file_for(kind)) as writer, \
            Writer("attach", 256, 0, descriptor(writer)) as other, Track(agent, {"pid": writer.pid}) as track:
        def told(*steps):
            for who, *words in steps:
                who.do(*words)
            return pages_of(track.collect(), writer)
        same(told(), set(), "at first")
        same(told((writer, "store", 1, 2)), {1, 2}, "own stores")
        same(told((writer, "alias", 5)), {5}, "stores through its second mapping")
        same(told((other, "store", 9, 10)), {9, 10}, "stores of another process")
        same(told((other, "alias", 11), (writer, "store", 1)), {1, 11}, "both")
        shares = track.call("GET", "")["shared_with"]
        equal(shares, [{"pid": other.pid, "followed": True}], "who shares it")
        with Writer("attach", 256, 0, descriptor(writer)) as late:
            got = told((late, "store", 40))
            true(40 in got, f"a process that came later: {sorted(got)}")
            same(told((late, "store", 41)), {41}, "and once it is followed")
            late.do("store", 42)
        got = told()
        true(42 in got, f"a process that ended: {sorted(got)}")
        same(told((other, "store", 50)), {50}, "afterwards")
        writer.do("alias", 60)
        got = told((writer, "drop"))
        true(60 in got, f"through a mapping that is gone: {sorted(got)}")


for kind in ("memfd", "file-shared"):
    suite.test(f"{kind}: whoever stores through whichever mapping, nothing missed", kind)(shared)


def doubted(track, writer):
    return [one for one in track.member(writer.pid)["not_covered"]
            if one["start"] and int(one["start"], 16) <= writer.address < int(one["start"], 16) + one["pages"] * PAGE]


def by_call(kind):
    with Writer(kind, 256, 1, *file_for(kind)) as writer, Track(agent, {"pid": writer.pid}) as track:
        with Writer("attach", 256, 0, descriptor(writer)) as other:
            def quiet():
                track.collect()
                return not doubted(track, writer)
            eventually("no doubt while nobody writes", quiet)
            other.do("pwrite", 20)
            got = pages_of(track.collect(), writer)
            true(20 in got or doubted(track, writer), f"write(2) is neither told ({got}) nor in not_covered")
            eventually("no doubt afterwards", quiet)
            # Beside stores of the target, which move the file's time as well.
            other.do("pwrite", 21)
            writer.do("store", 30)
            got = pages_of(track.collect(), writer)
            true(30 in got, f"the store: {got}")
            true(21 in got or doubted(track, writer), f"write(2) beside a store: {got}")
            eventually("no doubt in the end", quiet)
            # A child that came and went.
            writer.do("fork", 77)
            got = pages_of(track.collect(), writer)
            true(77 in got or doubted(track, writer), f"a child's store: {got}")


for kind in ("memfd", "file-shared"):
    suite.test(f"{kind}: write(2), and a child that came and went, are told or listed as not covered", kind)(by_call)


def blocks():
    """A file of 512 pages, on its disk."""
    path = os.path.join(directory, "blocks")
    with open(path, "wb") as file:
        file.write(os.urandom(512 * PAGE))
        os.fsync(file.fileno())
    return path


def measured_direct():
    disk, device = disk_of(directory)
    path = blocks()
    with Writer("private", 512) as writer, Track(agent, {"pid": writer.pid}) as track, Unseen() as unseen:
        wanted = set(range(0, 512, 2))
        writer.do("direct", path, *wanted)
        answer = track.collect()
        if unseen.count():
            return None
        same(pages_of(answer, writer), wanted, "all writers")
        same(pages_of(answer, writer, by="dma"), wanted, "written by a device")
        same(pages_of(answer, writer, device=device), wanted, f"written by {device}")
        writer.do("store", 1)
        answer = track.collect()
        same(pages_of(answer, writer), {1}, "afterwards")
        same(pages_of(answer, writer, by="dma"), set(), "written by a device afterwards")
        return f"{len(wanted)} pages of {device} ({disk})"


@suite.test("O_DIRECT reads: page for page the device's")
def direct():
    for _ in range(8):
        notes = measured_direct()
        if notes:
            return notes
    raise AssertionError("the kernel hid completions from BPF in each run")


def measured_device():
    _, device = disk_of(directory)
    path = blocks()
    with Writer("private", 64) as writer, Track(agent, {"device": device}) as track, Unseen() as unseen:
        track.collect()
        frames = set()
        writer.do("direct", path, 0)
        agent.settle()  # its flow is known from here on
        track.collect()
        writer.do("direct", path, *range(64))
        with open(f"/proc/{writer.pid}/pagemap", "rb") as pagemap:
            pagemap.seek(writer.address // PAGE * 8)
            entries = pagemap.read(64 * 8)
        for at in range(0, len(entries), 8):
            frames.add((int.from_bytes(entries[at:at + 8], "little") & (1 << 55) - 1) * PAGE)
        answer = track.collect()
        if unseen.count():
            return None
        missed = frames - addresses(answer)
        equal(missed, set(), "frames that the disk wrote and the device's track does not tell")
        owned = {int(one["owner"]["address"], 16) + index * PAGE for one in answer["ranges"]
                 if one["owner"] and one["owner"]["pid"] == writer.pid for index in range(one["pages"])}
        equal(answer["pages"]["missed_by_cpu_tracking"], 0, "missed, where there is no CPU side")
        same(owned, {writer.address + page * PAGE for page in range(64)}, "whose they are")
        return f"{len(frames)} frames; {answer['pages']}"


@suite.test("a device's track tells the frames that it wrote, and whose they are")
def device():
    for _ in range(8):
        notes = measured_device()
        if notes:
            return notes
    raise AssertionError("the kernel hid completions from BPF in each run")


def move_to(pid, group):
    with open(os.path.join(group, "cgroup.procs"), "w", encoding="ascii") as file:
        file.write(str(pid))


@suite.test("a cgroup's processes, as they come and go")
def cgroup():
    root = next((path for path in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")
                 if os.path.exists(os.path.join(path, "cgroup.procs"))), None)
    if not root:
        raise Skip("cgroup v2 below /sys/fs/cgroup")
    group = os.path.join(root, f"dirtyscope-test-{os.getpid()}")
    os.mkdir(group)
    try:
        with Writer("private", 128) as first, Writer("private", 128) as second:
            move_to(first.pid, group)
            with Track(agent, {"cgroup": "/" + os.path.basename(group)}) as track:
                first.do("store", 3, 4)
                second.do("store", 5)
                answer = track.collect()
                same(pages_of(answer, first), {3, 4}, "its process")
                same(pages_of(answer, second), set(), "another process")
                move_to(second.pid, group)
                answer = track.collect()
                true({5} <= pages_of(answer, second), "one that came is new to the consumer as a whole")
                second.do("store", 7)
                first.do("store", 8)
                answer = track.collect()
                same(pages_of(answer, first), {8}, "the first")
                same(pages_of(answer, second), {7}, "the second")
                first.stop()
                second.do("store", 9)
                same(pages_of(track.collect(), second), {9}, "when the first is gone")
                move_to(second.pid, root)
    finally:
        eventually("the cgroup is empty", lambda: not open(os.path.join(group, "cgroup.procs")).read())
        os.rmdir(group)


@suite.test("two tracks of one process do not take each other's pages")
def two():
    with Writer("private", 128) as writer, Track(agent, {"pid": writer.pid}) as one, \
            Track(agent, {"pid": writer.pid}) as other:
        writer.do("store", 1)
        same(pages_of(one.collect(), writer), {1}, "the first")
        writer.do("store", 2)
        same(pages_of(other.collect(), writer), {1, 2}, "the second")
        same(pages_of(one.collect(), writer), {2}, "the first again")
        same(pages_of(other.collect(), writer), set(), "the second again")


@suite.test("a track costs its target a fault for the first write in an epoch, and nothing when it has ended")
def cost():
    with Writer("private", PAGES) as writer:
        with Track(agent, {"pid": writer.pid}) as track:
            track.collect()
            before = int(writer.do("faults"))
            writer.do("write", 1, 1000)
            during = int(writer.do("faults")) - before
            true(during >= PAGES, f"{during} faults for {PAGES} pages under protection")
            writer.do("write", 2, 1000)
            again = int(writer.do("faults")) - before - during
            true(again < 20, f"{again} faults for the second write")
            track.collect()
        before = int(writer.do("faults"))
        writer.do("write", 3, 1000)
        after = int(writer.do("faults")) - before
        true(after < 20, f"{after} faults after the end")
    return f"{during} faults, {again} for the second write, {after} after the end"


def userfaultfd_of(pid):
    """Another descriptor of the userfaultfd that the process has, as a child has it that was forked at a bad moment."""
    libc = ctypes.CDLL(None, use_errno=True)
    for name in os.listdir(f"/proc/{pid}/fd"):
        if os.readlink(f"/proc/{pid}/fd/{name}") == "anon_inode:[userfaultfd]":
            pidfd = os.pidfd_open(pid)
            fd = libc.syscall(438, pidfd, int(name), 0)
            os.close(pidfd)
            true(fd >= 0, os.strerror(ctypes.get_errno()))
            return fd
    raise Skip("a userfaultfd of the agent's: no asynchronous write-protection here")


def unregistered(kind):
    with Writer(kind, PAGES, 1, *file_for(kind)) as writer:
        before = mappings(writer.pid)
        with Track(agent, {"pid": writer.pid}) as track:
            writer.do("write", 1, 500)
            track.collect()
            true(any(is_registered(flags) for _, flags in mappings(writer.pid)), "nothing is registered while it is tracked")
            fd = userfaultfd_of(agent.pid)
        try:
            equal([one for one in mappings(writer.pid) if is_registered(one[1])], [], "still registered")
            equal(mappings(writer.pid), before, "mappings")
        finally:
            os.close(fd)


for kind in KINDS:
    suite.test(f"{kind}: when a track has ended its target's mappings are as before, whoever else has the descriptor",
               kind)(unregistered)


def leaderless(kind):
    with Writer(kind, PAGES, 1, *file_for(kind)) as writer:
        with Track(agent, {"pid": writer.pid}) as track:
            writer.do("leave")
            for seed in range(3):
                writer.do("write", seed, 100)
                same(pages_of(track.collect(), writer), chosen(seed, PAGES, 100), f"epoch {seed}, it ended while it was tracked")
            equal(track.call("GET", "")["state"], "active", "state")
        with Track(agent, {"pid": writer.pid}) as track:
            equal(track.member()["backend"], "pagemap-scan", "backend")
            for seed in range(3):
                writer.do("write", seed, 100)
                same(pages_of(track.collect(), writer), chosen(seed, PAGES, 100), f"epoch {seed}, it had ended before")
        equal([one for one in mappings_of_thread(writer) if is_registered(one[1])], [], "still registered")


def mappings_of_thread(writer):
    """By a thread that lives."""
    return mappings(next(tid for tid in sorted(os.listdir(f"/proc/{writer.pid}/task")) if tid != str(writer.pid)))


for kind in ("private", "memfd"):
    suite.test(f"{kind}: a process whose first thread has ended is followed through another one", kind)(leaderless)


@suite.test("stores while an epoch ends are in that epoch or in the next")
def concurrent():
    with Writer("private", PAGES, 8) as writer, Track(agent, {"pid": writer.pid}) as track:
        for seed in range(30):
            writer.start("write", seed, 500)
            got = pages_of(track.collect(), writer)
            writer.finish()
            got |= pages_of(track.collect(), writer)
            same(got, chosen(seed, PAGES, 500), f"both epochs of round {seed}")


require_root()
with agent:
    suite.run()
