# SPDX-License-Identifier: BSD-2-Clause
"""Who may run it, what it says otherwise, and what it leaves behind: nothing."""
import contextlib
import json
import os
import shutil
import signal

import harness
from harness import (Agent, Skip, Suite, Workload, equal, eventually, require_root, run, scratch,
                     true)
from tracking import Writer, pages_of, same

suite = Suite()
directory = scratch()
binary = os.path.join(directory, "dirtyscope")


def as_nobody(*capabilities):
    names = ",".join(f"+{name}" for name in capabilities)
    keep = f"-all,{names}" if names else "-all"
    return ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups",
            "--bounding-set", keep, "--inh-caps", keep, "--ambient-caps", keep)


def refused(prefix, *words):
    """Exit status 3, and one line that holds the words."""
    done = run(*prefix, binary, "agent", "--web.listen-address", "127.0.0.1:0")
    equal(done.returncode, 3, f"exit status; it said {done.stderr!r}")
    equal(done.stderr.count("\n"), 1, f"lines in {done.stderr!r}")
    for word in words:
        true(word in done.stderr, f"it does not name {word}: {done.stderr!r}")
    return done.stderr.strip()


def programs():
    """All that are loaded; others load theirs, too."""
    done = run("bpftool", "prog", "show", "-j")
    if done.returncode:
        raise Skip(f"bpftool: {done.stderr.strip()}")
    return {program["id"] for program in json.loads(done.stdout)}


def programs_of(pid):
    """Those that a process holds; it opens and closes other files meanwhile."""
    found = set()
    for number in os.listdir(f"/proc/{pid}/fdinfo"):
        with contextlib.suppress(FileNotFoundError), open(f"/proc/{pid}/fdinfo/{number}", encoding="ascii") as file:
            found |= {int(line.split()[1]) for line in file if line.startswith("prog_id:")}
    return found


@suite.test("uid 65534 with CAP_BPF and CAP_PERFMON: runs, counts and serves")
def nobody():
    with Agent(prefix=as_nobody("bpf", "perfmon")) as agent:
        with open(f"/proc/{agent.pid}/status", encoding="ascii") as status:
            true("Uid:\t65534\t65534" in status.read(), "the agent is not uid 65534")
        with Workload("anonymous", 1000) as workload:
            agent.settle()
            before = agent.written(workload.pid)["first_touch"]
            workload.go()
            agent.settle()
            equal(agent.written(workload.pid)["first_touch"] - before, 1000, "pages")
        for name in ("fault", "pagecache", "block", "net"):
            equal(agent.sensors()[name]["state"], "active", f"sensor {name}")
        equal(agent.stop(), 0, "exit status after SIGTERM")


def start_track(agent, secret, pid):
    answer = agent.request("POST", "/api/v1/tracks", json.dumps({"target": {"pid": pid}}),
                           {"Authorization": f"Bearer {secret}"})
    return answer.status, answer.json()


@suite.test("tracks ask for more, and say so: without CAP_SYS_PTRACE a refusal, without CAP_SYS_ADMIN no device side")
def tracks():
    token, secret = os.path.join(directory, "token"), "s3cret"
    with open(token, "w", encoding="ascii") as file:
        file.write(secret)
    os.chmod(token, 0o644)
    with Writer("private", 64) as writer:
        descriptors = writer.descriptors()
        with Agent("--web.token-file", token, prefix=as_nobody("bpf", "perfmon")) as agent:
            status, answer = start_track(agent, secret, writer.pid)
            equal(status, 403, f"without CAP_SYS_PTRACE: {answer}")
            refusal = answer["error"]["message"]
            true("CAP_SYS_PTRACE" in refusal, f"it does not say what is missing: {refusal}")
        with Agent("--web.token-file", token, prefix=as_nobody("bpf", "perfmon", "sys_ptrace", "dac_read_search")) as agent:
            status, answer = start_track(agent, secret, writer.pid)
            equal(status, 201, f"with CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH: {answer}")
            member = answer["members"][0]
            equal((member["backend"], member["device_side"]), ("pagemap-scan", False), "what works")
            writer.do("store", 5)
            done = agent.request("POST", f"/api/v1/tracks/{answer['id']}/collect", "{}",
                                 {"Authorization": f"Bearer {secret}"}).json()
            same(pages_of(done, writer), {5}, "pages")
        equal(writer.descriptors(), descriptors, "its descriptors")
    return refusal


@suite.test("without CAP_BPF: exit 3 and one line", (), ("CAP_BPF",))
@suite.test("without CAP_PERFMON: exit 3 and one line", ("bpf",), ("CAP_PERFMON",))
@suite.test("with CAP_PERFMON alone: exit 3 and one line", ("perfmon",), ("CAP_BPF",))
def less(capabilities, words):
    return refused(as_nobody(*capabilities), *words)


@suite.test("without BTF: exit 3 and one line")
def no_btf():
    empty = os.path.join(directory, "empty")
    os.mkdir(empty)
    hide = ("unshare", "--mount", "sh", "-c",
            'mount --bind "$0" /sys/kernel/btf && exec "$@"', empty)
    if run(*hide, "true").returncode:
        raise Skip("a mount namespace")
    return refused(hide, "BTF")


@suite.test("SIGTERM: a clean exit", signal.SIGTERM)
@suite.test("SIGINT: a clean exit", signal.SIGINT)
def ends(number):
    with Agent() as agent:
        mine = programs_of(agent.pid)
        true(mine and mine <= programs(), f"no program is loaded: {mine}")
        equal(agent.stop(number), 0, "exit status")
    eventually("all programs are gone", lambda: not programs() & mine)


@suite.test("kill -9 leaves no program, no map and no socket")
def killed():
    path = os.path.join(directory, "socket")
    with Agent(listen=f"unix:{path}") as agent:
        equal(agent.get("/-/healthy").status, 200, "healthy over the Unix socket")
        mine = programs_of(agent.pid)
        true(mine and mine <= programs(), f"no program is loaded: {mine}")
        agent.stop(signal.SIGKILL)
    eventually("all programs are gone", lambda: not programs() & mine)
    with Agent(listen=f"unix:{path}") as agent:  # the dead one's socket is in nobody's way
        equal(agent.get("/-/healthy").status, 200, "healthy over the Unix socket, again")


require_root()
shutil.copy2(harness.BINARY, binary)
harness.BINARY = binary  # where everybody may read it
os.chmod(binary, 0o755)
suite.run()
