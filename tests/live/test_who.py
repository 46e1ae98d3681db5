# SPDX-License-Identifier: BSD-2-Clause
"""Who a process is: the user that it has now, the name that it had before the agent, and who is there though not seen."""
import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time

from harness import Agent, Suite, equal, eventually, require_root, scratch, true

NOBODY = pwd.getpwnam("nobody").pw_uid
NAMELESS = 54321  # a uid without a line in passwd
STARTS = 5
SLOTS, IDLE = 128, 300
FLOWS, READERS = 24, 30  # rows in use by the host's others count as well

suite = Suite()

# Touches fresh pages for as long as it lives; a line of its input is a uid to take on.
WRITER = """
import mmap, os, select, sys
while True:
    region = mmap.mmap(-1, 64 * 4096)
    for page in range(64):
        region[page * 4096] = 1
    region.close()
    if select.select([sys.stdin], [], [], 0.05)[0]:
        line = sys.stdin.readline()
        if not line:
            break
        os.setresuid(*[int(line)] * 3)
"""

# Reads a file past the page cache, again and again, into a buffer that stays.
READER = """
import mmap, os, sys
os.setgroups([]); os.setresuid(*[int(sys.argv[2])] * 3)
file = os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECT)
buffer = mmap.mmap(-1, 1 << 20)
buffer.write(bytes(1 << 20))
print(flush=True)
while True:
    os.preadv(file, [buffer], 0)
"""


@contextlib.contextmanager
def running(script, *arguments, prefix=()):
    child = subprocess.Popen([*prefix, sys.executable, "-c", script, *map(str, arguments)], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, text=True)
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def is_user(agent, pid, uid, user):
    process = agent.process(pid)
    return process and (process["uid"], process["user"]) == (uid, user)


@suite.test("setuid after the first write: the user is the one that it has now")
def setuid():
    with Agent() as agent, running(WRITER) as writer:
        eventually("it is root's", lambda: is_user(agent, writer.pid, 0, "root"))
        writer.stdin.write(f"{NOBODY}\n")
        writer.stdin.flush()
        eventually("it is nobody's", lambda: is_user(agent, writer.pid, NOBODY, "nobody"))


@suite.test("a program that is run as another user, and one whose user has no name")
def setpriv():
    with Agent() as agent:
        for uid, user in (NOBODY, "nobody"), (NAMELESS, str(NAMELESS)):
            with running(WRITER, prefix=["setpriv", f"--reuid={uid}", "--"]) as writer:
                eventually(f"it is {user}'s", lambda: is_user(agent, writer.pid, uid, user))


@suite.test(f"a reader past the page cache that is older than the agent has its name and user, in {STARTS} starts")
def older():
    path = os.path.join(scratch(), "file")
    with open(path, "wb") as file:
        file.write(os.urandom(1 << 20))
    os.chmod(path, 0o644)
    with running(READER, path, NOBODY) as reader:
        reader.stdout.readline()
        for _ in range(STARTS):
            with Agent() as agent:
                eventually("it is listed", lambda: agent.process(reader.pid))
                seen = agent.process(reader.pid)
                true(seen["comm"].startswith("python3"), f"comm: {seen['comm']!r}")
                equal((seen["uid"], seen["user"]), (NOBODY, "nobody"), "user")
                flows = agent.json(f"/api/v1/flows?pid={reader.pid}")["flows"]
                true(flows, "no flow")
                equal({flow["comm"] for flow in flows}, {seen["comm"]}, "comm of its flows")


def lives_on(agent, pid):
    """It is listed as running, in ten snapshots."""
    eventually("it is listed", lambda: agent.process(pid))
    for _ in range(10):
        equal(agent.process(pid)["state"], "running", "state of a process that lives")
        agent.settle()


def namespaces(agent):
    return agent.json("/api/v1/summary")["namespaces"]


@suite.test("an agent in the host's namespaces")
def host():
    with Agent() as agent:
        equal(namespaces(agent), {"pid": "host", "time": "host", "cgroup": "host"}, "namespaces")


@suite.test("hidepid=2 and no permission to trace: nobody who lives has exited")
def hidepid():
    mount = 'mount -t proc -o hidepid=2 proc /proc && exec setpriv --reuid=nobody --clear-groups --inh-caps=+bpf,+perfmon ' \
            '--ambient-caps=+bpf,+perfmon -- "$0" "$@"'
    with running(WRITER) as writer, Agent(prefix=["unshare", "-m", "sh", "-c", mount]) as agent:
        lives_on(agent, writer.pid)


@contextlib.contextmanager
def isolated(*how):
    """An agent in namespaces of its own. unshare itself lets no SIGTERM end it; its child has one when it is killed."""
    with Agent(prefix=["unshare", *how, "-f", "--kill-child=TERM"]) as agent:
        try:
            yield agent
        finally:
            agent.stop(signal.SIGKILL)


@suite.test("a pid namespace of the agent's own: said, and nobody who lives has exited")
def own_pids():
    with running(WRITER) as writer, isolated("-p", "--mount-proc") as agent:
        lives_on(agent, writer.pid)
        equal(namespaces(agent)["pid"], "own", "pid namespace")
        true("namespaces of its own" in agent.log(), "it is not in the log")


@suite.test("a time namespace of the agent's own: said, and nobody who lives has exited")
def own_time():
    with running(WRITER) as writer, isolated("-T", "--boottime", "100000") as agent:
        lives_on(agent, writer.pid)
        equal(namespaces(agent)["time"], "own", "time namespace")


@suite.test("a cgroup namespace of the agent's own: said, and paths are the host's where its mount is")
def own_cgroups():
    with running(WRITER) as writer, isolated("-C") as agent:
        lives_on(agent, writer.pid)
        equal(namespaces(agent)["cgroup"], "own", "cgroup namespace")
        with open("/proc/self/cgroup", encoding="ascii") as file:
            paths = [line.rstrip().split(":", 2)[2] for line in file]
        true(agent.process(writer.pid)["cgroup"] in paths, f"{agent.process(writer.pid)['cgroup']} is none of {paths}")


# What a hypervisor's program does here: it holds whatever lines it is told.
KEEP = 'while read -r line; do all="$all$line"; done'


@suite.test("two virtual machines of one name are two; the second has the name once the first has ended")
def same_name():
    program = os.path.join(scratch(), "qemu-system-test")
    shutil.copy("/bin/sh", program)

    def machine():
        return subprocess.Popen([program, "-c", KEEP, "-name", "twin"], stdin=subprocess.PIPE, text=True)

    def name(child):
        child.stdin.write("x" * 65536 + "\n")
        child.stdin.flush()
        seen = agent.process(child.pid)
        return seen and seen["vm"] and seen["vm"]["name"]
    with Agent() as agent, machine() as first, machine() as second:
        apart = f"twin@{second.pid}"
        eventually("both are named", lambda: (name(first), name(second)) == ("twin", apart))

        def rows():
            found = {row["name"]: row for row in agent.json("/api/v1/vms")["vms"]}
            return [found[one]["processes"] for one in ("twin", apart) if one in found] == [1, 1]
        eventually("each has a row", rows)
        first.kill()
        eventually("the second has the name", lambda: name(second) == "twin")
        second.kill()


@suite.test(f"{IDLE} idle processes and {SLOTS} slots: one that writes has a row of its own, and ends are told")
def room():
    with Agent("--max-processes", str(SLOTS)) as agent, contextlib.ExitStack() as stack:
        idle = [stack.enter_context(running("import sys; sys.stdin.read()")) for _ in range(IDLE)]
        begin = time.monotonic()
        with running(WRITER) as writer:
            eventually("it is listed", lambda: agent.process(writer.pid))
            seconds = time.monotonic() - begin
            limits = agent.json("/api/v1/summary")["limits"]
            true(limits["processes_used"] <= SLOTS, f"{limits['processes_used']} slots used")
        ids = {child.pid for child in idle}

        def living():
            return [process for process in agent.processes() if process["pid"] in ids and process["state"] == "running"]
        eventually("those without a slot are listed, too", lambda: len(living()) > SLOTS)
        for child in idle:
            child.kill()
        eventually("none of them is listed as living", lambda: not living())
        return f"{seconds:.1f} s"


@suite.test(f"{READERS} idle readers and {FLOWS} rows of flows: one that reads has a flow of its own, and nothing is lost")
def room_of_flows():
    path = os.path.join(scratch(), "file")
    with open(path, "wb") as file:
        file.write(os.urandom(1 << 20))
    os.chmod(path, 0o644)

    def pages(pid):
        return sum(flow["pages"] for flow in agent.json(f"/api/v1/flows?pid={pid}")["flows"])
    with Agent("--max-flows", str(FLOWS)) as agent, contextlib.ExitStack() as stack:
        for _ in range(READERS):
            reader = stack.enter_context(running(READER, path, 0))
            eventually("it is listed", lambda: pages(reader.pid))
            reader.send_signal(signal.SIGSTOP)
        last = stack.enter_context(running(READER, path, 0))
        eventually("it has a flow", lambda: pages(last.pid))
        last.send_signal(signal.SIGSTOP)
        agent.settle()
        equal(pages(last.pid), agent.process(last.pid)["written"]["dma"], "pages of its flow")
        limits = agent.json("/api/v1/summary")["limits"]
        true(limits["flows_used"] <= FLOWS, f"{limits['flows_used']} rows used")


require_root()
suite.run()
