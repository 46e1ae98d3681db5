# SPDX-License-Identifier: BSD-2-Clause
"""Sums by cgroup: they add up to the host's, whoever lives for how short, and whatever comes and goes."""
import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid

from harness import Agent, Skip, Suite, Workload, equal, eventually, require_root, run, scratch, true, within

GROUPS, SPAWNERS, PAGES, SHORT = 50, 2, 4, 400
WRITERS = ("cpu", "pagecache", "blockdev", "dma")

suite = Suite()
agent = Agent()


class Cgroup:
    """A new one, of version 2 or in a hierarchy of version 1; gone at the end of its `with`, if not before."""

    made = 0

    def __init__(self, hierarchy=None, below=None, name=None):
        roots = [f"/sys/fs/cgroup/{hierarchy}"] if hierarchy else ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"]
        root = next((root for root in roots if os.path.exists(f"{root}/cgroup.procs")), None)
        if not root:
            raise Skip(f"a cgroup hierarchy at {' or '.join(roots)}")
        Cgroup.made += 1
        name = name or f"sums-{os.getpid()}-{Cgroup.made}"
        self.name = f"{below.name if below else ''}/{name}"
        self.root = root
        self.path = root + self.name

    def __enter__(self):
        os.mkdir(self.path)
        return self

    def __exit__(self, *_):
        eventually(f"{self.path} is gone", self.remove)

    def remove(self):
        with contextlib.suppress(OSError):
            os.rmdir(self.path)
        return not os.path.exists(self.path)

    def add(self, pid):
        with open(f"{self.path}/cgroup.procs", "w", encoding="ascii") as procs:
            procs.write(str(pid))


def pages_of(row):
    written = row["written"]
    return {**{name: written[name] for name in WRITERS if name != "cpu"}, "cpu": sum(written["cpu"].values())
            if isinstance(written["cpu"], dict) else written["cpu"]}


def snapshot():
    """The rows by name, and the host's totals, of one snapshot."""
    def both():
        rows, summary = agent.json("/api/v1/cgroups?limit=100000"), agent.json("/api/v1/summary")
        return rows["time"] == summary["time"] and (rows, summary)
    rows, summary = eventually("both of one snapshot", both, pause=0)
    return {row["name"]: pages_of(row) for row in rows["cgroups"]}, summary["totals"]


def row_of(name):
    return snapshot()[0].get(name, dict.fromkeys(WRITERS, 0))


def adds_up():
    rows, totals = snapshot()
    for writer in WRITERS:
        equal(sum(row[writer] for row in rows.values()), totals[writer], f"sum of {writer}")
    return rows


def shell(script, *arguments):
    subprocess.run(["sh", "-c", script, *arguments], check=True, stderr=subprocess.DEVNULL)


DD = "echo $$ > $0/cgroup.procs; exec dd if=/dev/zero of=$1 bs=4k count=100"


@suite.test("ten short dds in a cgroup: all of their page-cache pages")
def short_writers():
    directory = scratch()
    with Cgroup() as group:
        for i in range(10):
            shell(DD, group.path, f"{directory}/{i}")
    agent.settle()
    equal(row_of(group.name)["pagecache"], 1000, "page-cache pages")
    adds_up()


@suite.test("the same in the memory controller's hierarchy of version 1")
def short_writers_before():
    directory = scratch()
    with Cgroup("memory") as group:
        for i in range(10):
            shell(DD, group.path, f"{directory}/{i}")
    agent.settle()
    equal(row_of(group.name)["pagecache"], 1000, "page-cache pages")


MOVER = """
import os, sys
def write(name, pages):
    with open(name, "wb", buffering=0) as file:
        for _ in range(pages):
            file.write(bytes(4096))
for step, (group, pages) in enumerate(zip(sys.argv[2::2], sys.argv[3::2])):
    with open(group + "/cgroup.procs", "w") as procs:
        procs.write(str(os.getpid()))
    write(f"{sys.argv[1]}/{step}", int(pages))
"""


@suite.test("a process that moves: what it wrote before belongs to where it was")
def moves():
    with Cgroup() as first, Cgroup() as second, Cgroup(below=first) as third:
        subprocess.run([sys.executable, "-c", MOVER, scratch(), first.path, "300", second.path, "200", third.path, "50",
                        first.path, "7"], check=True)
        agent.settle()
        equal([row_of(group.name)["pagecache"] for group in (first, second, third)], [307, 200, 50], "page-cache pages")


@suite.test("a container of version 1 in a cgroup of version 2 that is none: the container's")
def hybrid():
    with Cgroup("memory") as group, Cgroup() as other, Workload("anonymous", 100) as workload:
        outer, group.path = group.path, f"{group.path}/{'ab' * 32}"
        os.mkdir(group.path)
        try:
            group.add(workload.pid)
            other.add(workload.pid)
            workload.go()
            agent.settle()
            seen = agent.process(workload.pid)
            equal((seen["cgroup"], seen["container"]), (f"{group.name}/{'ab' * 32}", "ab" * 32), "cgroup and container")
            workload.stop()
        finally:
            eventually("the container is gone", group.remove)
            group.path = outer


@suite.test("a cgroup of version 1 that is renamed, and one below it")
def renamed():
    with Cgroup("memory") as group, Cgroup("memory", below=group) as inner, Workload("anonymous", 100) as workload:
        inner.add(workload.pid)
        new = f"{group.name}-new"
        os.rename(group.path, group.root + new)
        group.path, inner.path = group.root + new, group.root + new + inner.name[len(group.name):]
        workload.go()
        agent.settle()
        within(row_of(inner.path[len(group.root):])["cpu"], 100, 200, "pages below its new name")
        equal(agent.process(workload.pid)["cgroup"], inner.path[len(group.root):], "cgroup of the process")
        workload.stop()


@contextlib.contextmanager
def loop_device(path):
    """A loop device on a file: a thread of the kernel writes what is written to it into the file's page cache."""
    done = run("losetup", "--find", "--show", path)
    if done.returncode:
        raise Skip(f"a loop device ({done.stderr.strip()})")
    try:
        yield done.stdout.strip()
    finally:
        run("losetup", "--detach", done.stdout.strip())


PAGES_PAID = 500


@suite.test("pages that a thread of the kernel dirties belong to the cgroup that pays for their memory")
def paid_for():
    path = os.path.join(scratch(), "file")
    version = "memory" if os.path.exists("/sys/fs/cgroup/memory") else None
    with Cgroup(version) as group:
        if not version:
            with open(f"{os.path.dirname(group.path)}/cgroup.subtree_control", "w", encoding="ascii") as file:
                file.write("+memory")
        shell(DD.replace("count=100", f"count={PAGES_PAID}") + " conv=fsync", group.path, path)
        with loop_device(path) as device:
            agent.settle()
            equal(row_of(group.name)["pagecache"], PAGES_PAID, "page-cache pages, written by a process of it")
            shell("exec dd if=/dev/zero of=$0 bs=4k count=$1 oflag=direct", device, str(PAGES_PAID))
            agent.settle()
            # One that the kernel tells of between two looks of the agent stays with the thread's own cgroup.
            within(row_of(group.name)["pagecache"], 2 * PAGES_PAID - 2, 2 * PAGES_PAID, "those, and what the loop device wrote")
            adds_up()


def used_up(groups):
    """Runs one spawner in each, some at once; the truth by name of the group."""
    truth, running = {}, []

    def end(group, workload):
        truth[group.name] = workload.finish()["written"]
        workload.stop()
        eventually("the cgroup is gone", group.remove)
    for group in groups:
        os.mkdir(group.path)
        workload = Workload("spawn", PAGES, SHORT)
        workload.__enter__()
        group.add(workload.pid)
        workload.start()
        running.append((group, workload))
        if len(running) == SPAWNERS:
            end(*running.pop(0))
    for pair in running:
        end(*pair)
    return truth


@suite.test("20,000 short processes in 50 cgroups that come and go: the workload's count in each, and nobody's without one")
def storm():
    agent.settle()
    before, begin = adds_up()["(other)"], time.monotonic()
    truth = used_up([Cgroup() for _ in range(GROUPS)])
    seconds = time.monotonic() - begin
    agent.settle()
    rows = adds_up()
    for name, pages in truth.items():
        true(name in rows, f"{name} is not listed")
        within(rows[name]["cpu"] - pages, 0, 300, f"pages of {name}, of its spawner's own")
    equal(rows["(other)"]["cpu"] - before["cpu"], 0, "pages in no cgroup")
    return f"{GROUPS * SHORT / seconds:.0f} processes a second"


@suite.test("the sums are the host's in every snapshot, under short processes")
def every_snapshot():
    with Workload("spawn", PAGES, 4000) as spawner:
        spawner.start()
        seen = 0
        for _ in range(20):
            adds_up()
            agent.settle()
            seen += 1
        spawner.finish()
    adds_up()
    return f"{seen} snapshots"


@suite.test("a pod is told by its cgroup's path and the kubelet's logs, its short processes included")
def pods():
    logs, uid, container = scratch(), str(uuid.uuid4()), os.urandom(32).hex()
    os.makedirs(f"{logs}/pods/shop_cart-0_{uid}/cart")
    os.makedirs(f"{logs}/containers")
    with open(f"{logs}/containers/cart-0_shop_cart-{container}.log", "w", encoding="ascii"):
        pass
    with Cgroup(name=f"kubepods-{os.getpid()}") as top, Cgroup(below=top, name=f"pod{uid}") as pod, \
         Cgroup(below=pod, name=container) as inner, \
         Agent("--path.logs", logs, "--metrics.series-after", "0") as other, Workload("spawn", 100, 50) as workload:
        inner.add(workload.pid)
        with Workload("sustain", 10) as long:
            inner.add(long.pid)
            workload.go()
            long.start()
            eventually("the pod of a process", lambda: (other.process(long.pid) or {}).get("pod"))
            equal(other.process(long.pid)["pod"], {"namespace": "shop", "name": "cart-0", "container": "cart"}, "its pod")
            other.settle()
            series = other.metrics()
        true(any(name == "dirtyscope_process_written_pages_total" and dict(labels)["pid"] == str(long.pid)
                 and (dict(labels)["namespace"], dict(labels)["pod"]) == ("shop", "cart-0") for name, labels in series),
             "no series of the process with its pod")
        of_pod = series["dirtyscope_pod_written_pages_total",
                        (("namespace", "shop"), ("pod", "cart-0"), ("writer", "cpu"))]
        true(of_pod >= workload.result["written"], f"{of_pod} pages of the pod, {workload.result} of its short processes")
        total = sum(value for (name, labels), value in series.items() if ("writer", "cpu") in labels and (
            name == "dirtyscope_pod_written_pages_total"
            or (name == "dirtyscope_exited_written_pages_total" and ("of", "pod") in labels)))
        equal(total, series["dirtyscope_written_pages_total", (("writer", "cpu"),)], "all pods, the host's own and the host")
        workload.stop()
    return f"{of_pod:.0f} pages of a pod, {workload.result['written']} by short processes"


@suite.test("4,000 cgroups come and go while the agent is held up: what was not told is lost, and one that lives is found")
def lost():
    directory = scratch()
    agent.child.send_signal(signal.SIGSTOP)
    try:
        for _ in range(4000):
            group = Cgroup()
            os.mkdir(group.path)
            os.rmdir(group.path)
        with Cgroup() as group:
            shell(DD, group.path, f"{directory}/file")
            agent.child.send_signal(signal.SIGCONT)
            agent.settle()
            equal(row_of(group.name)["pagecache"], 100, "page-cache pages")
    finally:
        agent.child.send_signal(signal.SIGCONT)
    sensor = agent.sensors()["process"]
    true(sensor["lost"]["events_full"] > 0, "no event was lost")
    adds_up()
    return f"{sensor['lost']['events_full']} events lost"


require_root()
with agent:
    suite.run()
