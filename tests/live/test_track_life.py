# SPDX-License-Identifier: BSD-2-Clause
"""A track's life: what its consumer is owed, what is refused, and that no target is ever harmed."""
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time

from contract import Contract
from harness import BINARY, BUILD, Agent, Skip, Suite, equal, eventually, require_root, run, scratch, true
from tracking import PAGE, Refused, Track, Writer, addresses, pages_of, same

IDLE = 5
MOST = 6

suite = Suite()
directory = scratch()
agent = Agent("--max-tracks", str(MOST), "--track-idle", str(IDLE), listen=f"unix:{directory}/socket")


def refused(status, code, call, *args, **kwargs):
    """Its sentence."""
    try:
        call(*args, **kwargs)
    except Refused as error:
        equal((error.status, error.error["code"]), (status, code), f"the refusal ({error.error['message']})")
        true(error.error["message"].strip(), "it says why")
        return error.error["message"]
    raise AssertionError(f"not refused: {args} {kwargs}")


def tracks():
    return [one for one in agent.json("/api/v1/tracks")["tracks"] if one["state"] == "active"]


def status_of(pid, field):
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as status:
        return next(line.split(":")[1].split()[0] for line in status if line.startswith(field + ":"))


def protected(pid):
    """Mappings that a userfaultfd write-protects."""
    with open(f"/proc/{pid}/smaps", encoding="utf-8", errors="replace") as smaps:
        return sum(line.startswith("VmFlags:") and " uw" in line for line in smaps)


def unharmed(writer, descriptors, threads=None):
    """As it was: it obeys, nobody traces it, no descriptor more, no protection."""
    writer.do("store", 0)
    equal(status_of(writer.pid, "TracerPid"), "0", "TracerPid")
    equal(writer.descriptors(), descriptors, "its descriptors")
    eventually("no protection is left", lambda: protected(writer.pid) == 0)
    if threads:
        equal(status_of(writer.pid, "Threads"), str(threads), "its threads")


def processes_with(argument):
    """Pids of the processes that have it on their command line."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as cmdline:
                if f"unix:{argument}".encode() in cmdline.read().split(b"\0"):
                    found.append(pid)
        except OSError:
            pass
    return found


# ---- what the consumer is owed ----

@suite.test("what was delivered and not acknowledged comes again, until it is")
def owed():
    with Writer("private", 64) as writer, Track(agent, {"pid": writer.pid}) as track:
        writer.do("store", 1, 2)
        first = track.collect(ack=False)
        same(pages_of(first, writer), {1, 2}, "the first epoch")
        writer.do("store", 2, 3)
        second = track.collect(ack=False)
        same(pages_of(second, writer), {1, 2, 3}, "both epochs")
        equal(second["epoch_pages"]["union"] < second["pages"]["union"], True, "the epoch is not all that is owed")
        same(pages_of(track.call("GET", "/pages"), writer), {1, 2, 3}, "asked for again")
        track.ack(first["cursor"])
        same(pages_of(track.call("GET", "/pages"), writer), {2, 3}, "after the first was acknowledged")
        track.ack(first["cursor"])
        same(pages_of(track.call("GET", "/pages"), writer), {2, 3}, "acknowledged twice")
        track.ack(second["cursor"])
        same(pages_of(track.call("GET", "/pages"), writer), set(), "after all was acknowledged")
        refused(409, "cursor_not_given", track.ack, second["cursor"] + 1)


@suite.test("a client that is gone before it has read the answer loses nothing")
def lost_answer():
    with Writer("private", 64) as writer, Track(agent, {"pid": writer.pid}) as track:
        for page in range(5):
            writer.do("store", page)
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(f"{directory}/socket")
                client.sendall(f"POST /api/v1/tracks/{track.id}/collect HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
                               .encode("ascii"))
                eventually("another epoch", lambda: track.call("GET", "")["epoch"] == page + 1)
        same(pages_of(track.collect(), writer), set(range(5)), "what was owed")


@suite.test("more epochs than are kept apart: nothing is forgotten early")
def many():
    with Writer("private", 64) as writer, Track(agent, {"pid": writer.pid}) as track:
        cursors = []
        for page in range(20):
            writer.do("store", page)
            cursors.append(track.collect(ack=False)["cursor"])
        track.ack(cursors[9])
        got = pages_of(track.call("GET", "/pages"), writer)
        true(set(range(10, 20)) <= got, f"forgotten: {sorted(set(range(10, 20)) - got)}")
        track.ack(cursors[-1])
        same(pages_of(track.call("GET", "/pages"), writer), set(), "in the end")


@suite.test("bitmaps say the same as ranges")
def bitmaps():
    with Writer("private", 2048) as writer, Track(agent, {"pid": writer.pid}) as track:
        writer.do("write", 5, 300)
        ranges = track.collect(ack=False)
        answer = agent.get(f"/api/v1/tracks/{track.id}/pages", {"Accept": "application/octet-stream"})
        equal(answer.headers["content-type"], "application/octet-stream", "type")
        data = answer.body
        equal(data[:8], b"DSPAGES1", "its first bytes")
        epoch, cursor, count = struct.unpack_from("<3Q", data, 8)
        equal((epoch, cursor), (ranges["epoch"], ranges["cursor"]), "epoch and cursor")
        found, at = set(), 32
        for _ in range(count):
            pid, start, words = struct.unpack_from("<3Q", data, at)
            equal(pid, writer.pid, "process")
            bits = int.from_bytes(data[at + 24:at + 24 + words * 8], "little")
            found |= {start + bit * PAGE for bit in range(words * 64) if bits >> bit & 1}
            at += 24 + words * 8
        equal(at, len(data), "length")
        same(found, addresses(ranges), "pages")


# ---- the contract ----

@suite.test("every answer is as openapi.json says, and metrics and processes know the track")
def contract():
    schema = Contract(agent)
    with Writer("private", 64) as writer:
        def call(method, target, body=None, want=200):
            answer = agent.request(method, target, None if body is None else json.dumps(body))
            equal(answer.status, want, f"{method} {target}: {answer.body[:200]!r}")
            schema.validate(target, answer, method)
            return answer.json()
        number = call("POST", "/api/v1/tracks", {"target": {"pid": writer.pid}}, 201)["id"]
        path = f"/api/v1/tracks/{number}"
        writer.do("store", 1, 2, 3)
        collected = call("POST", f"{path}/collect", {"evidence": "completed"})
        call("POST", f"{path}/ack", {"cursor": collected["cursor"]})
        call("GET", f"{path}/pages")
        call("GET", f"{path}/forecast?bandwidth=1000000000&downtime_ms=300")
        call("GET", "/api/v1/tracks")
        call("GET", path)
        refusal = call("POST", f"{path}/collect", {"evidence": "reported"}, 409)
        equal(refusal["error"]["code"], "not_supported", "evidence reported")
        agent.settle()
        equal(agent.process(writer.pid)["track"], number, "the process's track")
        metrics = agent.metrics()
        last = call("GET", path)["last_epoch"]
        for name in ("cpu", "dma", "both"):
            equal(metrics[("dirtyscope_track_pages", (("track", number), ("writer", name)))], last[name], name)
        call("DELETE", path)
        call("GET", path, None, 404)


@suite.test("commands: start, collect, pages, ack, watch, forecast, list, stop; and their exit statuses")
def commands():
    def cli(*words, status=0):
        done = run(BINARY, *words, env={**os.environ, "DIRTYSCOPE_URL": f"unix:{directory}/socket", "LC_ALL": "C.UTF-8"})
        equal(done.returncode, status, f"dirtyscope {' '.join(words)}: {done.stdout[-300:]}{done.stderr}")
        if status:
            true(done.stderr.count("\n") == 1, f"one line: {done.stderr!r}")
        return done.stdout or done.stderr
    with Writer("private", 64) as writer:
        number = json.loads(cli("track", "start", "--pid", str(writer.pid), "--json"))["id"]
        writer.do("store", 1, 2, 7)
        true(f"{writer.address + PAGE:x}" in cli("track", "collect", number), "the page's address")
        answer = json.loads(cli("track", "pages", number, "--json"))
        same(pages_of(answer, writer), {1, 2, 7}, "pages")
        cli("track", "ack", number, str(answer["cursor"]))
        true("0 pages" in cli("track", "pages", number) or "epoch" in cli("track", "pages", number), "nothing is owed")
        equal(len(cli("track", "watch", number, "-n", "3", "-d", "0.05").strip().splitlines()) >= 3, True, "lines of watch")
        true("converge" in cli("track", "forecast", number, "--bandwidth", "10Gbit", "--downtime", "300ms"), "a verdict")
        true(number in cli("tracks"), "listed")
        cli("track", "list", "--json")
        cli("track", "stop", number)
        cli("track", "stop", number, status=1)
        cli("track", "collect", number, status=1)
        cli("track", "start", "--pid", "99999999", status=1)
        cli("track", "start", status=2)
        cli("track", "forecast", number, "--bandwidth", "fast", status=2)
        true("frobnicate" in cli("track", "frobnicate", status=2), "the verb is named")
        for verb in ("start", "collect", "pages", "ack", "watch", "forecast", "stop", "list"):
            true("usage" in cli("track", verb, "--help"), f"help of {verb}")


# ---- bad input ----

@suite.test("what cannot be tracked is refused with a status and a sentence, and nothing stays behind")
def refusals():
    before = agent.descriptors()
    kernel_thread = next(int(pid) for pid in os.listdir("/proc") if pid.isdigit() and status_of(pid, "PPid") == "2")
    start = lambda target, **more: Track(agent, target, **more)
    refused(404, "no_such_process", start, {"pid": 4000000})
    refused(400, "invalid_target", start, {"pid": kernel_thread})
    refused(400, "invalid_target", start, {"pid": agent.pid})
    refused(404, "not_found", start, {"cgroup": "/no/such/cgroup"})
    refused(400, "invalid_target", start, {"cgroup": "/../../etc"})
    refused(404, "not_found", start, {"device": "pci/ffff:ff:ff.f"})
    for body in ({}, {"target": {}}, {"target": {"pid": 1, "cgroup": "/"}}, {"target": {"pid": "1"}},
                 {"target": {"pid": -1}}, {"target": {"pid": 1.5}}, {"target": {"pid": 2**70}}, {"target": {"pid": 1}, "x": 1},
                 {"target": {"pid": 1}, "backend": "magic"}, [], None):
        answer = agent.request("POST", "/api/v1/tracks", json.dumps(body))
        equal(answer.status, 400, f"POST {body}: {answer.body!r}")
    for body in (b'{"target":{"pid":1}', b'{"target":{"pid":1},"target":{"pid":2}}', b"\xff", b"{}\0", b"[" * 10000):
        equal(agent.request("POST", "/api/v1/tracks", body).status, 400, f"POST {body[:40]!r}")
    for method, tail in (("GET", "/77"), ("POST", "/77/collect"), ("DELETE", "/77"), ("GET", "/x"), ("GET", "/77/pages")):
        equal(agent.request(method, "/api/v1/tracks" + tail).status, 404, f"{method} {tail}")
    equal(agent.request("PUT", "/api/v1/tracks/1").status, 405, "PUT")
    equal(tracks(), [], "tracks")
    eventually(f"no descriptor is left ({before} before)", lambda: agent.descriptors() <= before)


@suite.test("too many tracks: refused, and each one's end makes room")
def too_many():
    with Writer("private", 8) as writer:
        held = [Track(agent, {"pid": writer.pid}) for _ in range(MOST)]
        refused(409, "too_many_tracks", Track, agent, {"pid": writer.pid})
        held.pop().call("DELETE", "")
        held.append(Track(agent, {"pid": writer.pid}))
        for track in held:
            track.call("DELETE", "")


@suite.test("state is changed only with the token, or by root over the Unix socket")
def token():
    secret = os.path.join(directory, "token")
    with open(secret, "w", encoding="ascii") as file:
        file.write("s3cret\n")
    body = json.dumps({"target": {"pid": 4000000}})
    with Agent() as open_agent:
        equal(open_agent.request("POST", "/api/v1/tracks", body).status, 403, "no token is set")
    with Agent("--web.token-file", secret) as guarded:
        for header, want in ((None, 401), ("Bearer wrong", 401), ("Bearer s3cre", 401), ("Basic s3cret", 401),
                             ("Bearer s3cret", 404)):
            answer = guarded.request("POST", "/api/v1/tracks", body, {"Authorization": header} if header else {})
            equal(answer.status, want, f"Authorization: {header}")
            if want == 401:
                true(answer.headers["www-authenticate"].startswith("Bearer"), "WWW-Authenticate")
        equal(guarded.get("/api/v1/tracks").status, 200, "reading needs none")


# ---- ends ----

@suite.test("one agent of a host tracks; another is refused, unless it is told to, and takes no mark of the first")
def second_agent():
    with Agent(listen=f"unix:{directory}/first", alone=True) as first, Writer("private", 64) as writer:
        with Track(first, {"pid": writer.pid}) as track:
            with Agent(listen=f"unix:{directory}/second", alone=True) as second:
                why = refused(409, "busy", Track, second, {"pid": writer.pid})
                true("--allow-second" in why, why)
            with Agent(listen=f"unix:{directory}/third") as third, Track(third, {"pid": writer.pid}) as other:
                writer.do("store", 1, 2)
                same(pages_of(other.collect(), writer), set(), "what the other one's track tells")
                true(other.member()["not_covered"], "it says what it does not follow")
                same(pages_of(track.collect(), writer), {1, 2}, "the first one's")
        first.stop(signal.SIGKILL)
        with Agent(listen=f"unix:{directory}/fourth", alone=True) as fourth, Track(fourth, {"pid": writer.pid}):
            pass  # the lock ends with its process


@suite.test("an idle track ends itself and says so")
def idle():
    with Writer("private", 8) as writer:
        descriptors = writer.descriptors()
        track = Track(agent, {"pid": writer.pid})
        eventually("it has ended", lambda: track.call("GET", "")["state"] == "ended")
        true("not collected" in track.call("GET", "")["reason"], "its reason")
        refused(410, "track_ended", track.collect)
        events = [one["message"] for one in agent.json("/api/v1/events")["events"] if one["type"] == "track"]
        true(any("not collected" in message for message in events), f"no event says so: {events[-3:]}")
        unharmed(writer, descriptors)
        track.call("DELETE", "")


@suite.test("a target that ends, or executes another program, ends its track")
def ends():
    with Writer("private", 8) as writer:
        track = Track(agent, {"pid": writer.pid})
        writer.stop()
        refused(410, "track_ended", track.collect)
        true("ended" in track.call("GET", "")["reason"], "its reason")
        track.call("DELETE", "")
    with Writer("private", 8) as writer:
        track = Track(agent, {"pid": writer.pid})
        writer.start("exec")
        true(writer.child.stdout.readline().split(), "the program that it became")
        refused(410, "track_ended", track.collect)
        equal(protected(writer.pid), 0, "its protection")
        writer.do("store", 1)
        track.call("DELETE", "")


@suite.test("kill -9 of the agent: targets go on, with nothing of ours")
def killed():
    with Agent(listen=f"unix:{directory}/mortal") as mortal, Writer("memfd", 512, 8) as writer, \
            Writer("attach", 512, 0, f"/proc/{writer.pid}/fd/{writer.fd}") as other:
        descriptors, others = writer.descriptors(), other.descriptors()
        track = Track(mortal, {"pid": writer.pid})
        writer.do("write", 1, 500)
        track.collect()
        true(protected(writer.pid) and protected(other.pid), "neither is protected")
        mortal.child.kill()
        mortal.child.wait()
        unharmed(writer, descriptors, 9)
        unharmed(other, others, 1)
        # The kernel lifts the protection, but leaves shared pages read-only until their next write.
        before = int(writer.do("faults"))
        writer.do("write", 2, 1000)
        once = int(writer.do("faults")) - before
        writer.do("write", 3, 1000)
        again = int(writer.do("faults")) - before - once
        true(once <= 512 + 20 and again < 20, f"{once} faults for the next writes, {again} for those after them")
        return f"{once} faults for the next writes, {again} for those after them"


@suite.test("kill -9 of the agent at any moment of a start")
def killed_in_start():
    with Writer("private", 512, 8) as writer:
        descriptors = writer.descriptors()
        for step in range(12):
            mortal = Agent(listen=f"unix:{directory}/mortal{step}")
            with mortal:
                with socket.socket(socket.AF_UNIX) as client:
                    client.connect(f"{directory}/mortal{step}")
                    body = json.dumps({"target": {"pid": writer.pid}})
                    client.sendall(f"POST /api/v1/tracks HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n{body}"
                                   .encode("ascii"))
                    time.sleep(step * 0.0004)
                    mortal.child.kill()
                    mortal.child.wait()
            # Its helper goes on to the end, and then nothing is left of it.
            eventually("no process of the agent's", lambda: not processes_with(f"{directory}/mortal{step}"))
            unharmed(writer, descriptors, 9)


PHASES = ["nothing was done", "the thread is seized", "the thread is stopped", "the descriptor is made",
          "it is taken over", "it is closed", "the thread runs again"]


def killed_at(phase):
    with Writer("private", 512, 8) as writer:
        descriptors = writer.descriptors()
        for _ in range(5):
            done = run(os.path.join(BUILD, "tests/live/inject_phases"), str(writer.pid), str(phase))
            found = json.loads(done.stdout)
            true(found["killed"] and found["helpers"], f"who was killed ({found}{done.stderr})")
            unharmed(writer, descriptors, 9)


for number, name in enumerate(PHASES):
    suite.test(f"kill -9 of the agent in a start, once {name}", number)(killed_at)


# ---- targets that need care ----

def backend_of(track, pid):
    return track.member(pid)["backend"], track.member(pid)["backend_reason"]


@suite.test("what an epoch costs by each backend here is measured, and told")
def costs():
    with Writer("private", 8) as writer, Track(agent, {"pid": writer.pid}) as track:
        rows = {row["backend"]: row for row in track.info["backend_cost"]}
        equal(sorted(rows), ["pagemap-scan", "soft-dirty"], "backends that find pages")
        for row in rows.values():
            true(bool(row["reason"]) == (row["scan_ns_per_page"] is None) == (row["fault_ns"] is None), f"a figure or a reason: {row}")
            true(row["reason"] or (row["scan_ns_per_page"] > 0 and row["fault_ns"] > 0), f"nothing is free: {row}")
        backend, reason = backend_of(track, writer.pid)
        if backend == "pagemap-scan":
            equal(rows[backend]["reason"], None, "why it was not measured")
        else:
            true(reason.startswith("pagemap-scan: "), reason)
        with Writer("private", 8) as other, Track(agent, {"pid": other.pid}) as second:
            equal(second.info["backend_cost"], track.info["backend_cost"], "what was measured a moment ago")
        return json.dumps(track.info["backend_cost"])


@suite.test("a target that is traced already gets the next best backend, and its tracer keeps it")
def traced():
    tracer = ("import ctypes,os,sys,time\npid=int(sys.argv[1])\nlibc=ctypes.CDLL(None,use_errno=True)\n"
              "assert libc.ptrace(0x4206,pid,0,0)==0\nprint('traced',flush=True)\nsys.stdin.read()\n")
    with Writer("private", 8) as writer:
        with subprocess.Popen([sys.executable, "-c", tracer, str(writer.pid)], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True) as child:
            child.stdout.readline()
            with Track(agent, {"pid": writer.pid}) as track:
                backend, reason = backend_of(track, writer.pid)
                true(backend != "pagemap-scan" and str(child.pid) in reason, f"{backend}: {reason}")
                equal(status_of(writer.pid, "TracerPid"), str(child.pid), "its tracer")
            child.stdin.close()
        unharmed(writer, writer.descriptors())


@suite.test("a stopped target stays stopped, and is tracked")
def stopped():
    with Writer("private", 8) as writer:
        descriptors = writer.descriptors()
        os.kill(writer.pid, signal.SIGSTOP)
        eventually("it is stopped", lambda: status_of(writer.pid, "State") == "T")
        with Track(agent, {"pid": writer.pid}) as track:
            time.sleep(0.05)
            equal(status_of(writer.pid, "State"), "T", "its state")
            backend, reason = backend_of(track, writer.pid)
            os.kill(writer.pid, signal.SIGCONT)
            writer.do("store", 3)
            if backend == "pagemap-scan":
                same(pages_of(track.collect(), writer), {3}, "pages")
        unharmed(writer, descriptors)
        return f"{backend}: {reason}"


@suite.test("64 threads that are busy in system calls: none of them fails")
def busy():
    # EINTR where none was due, a wrong count, or a short sleep, is a failure of the child.
    program = r"""
import os, select, sys, threading, time
stop = False
def pipes():
    r, w = os.pipe()
    while not stop:
        os.write(w, b"x"); assert os.read(r, 1) == b"x"
def sleeps():
    while not stop:
        begin = time.monotonic(); time.sleep(0.02); assert time.monotonic() - begin >= 0.02
def polls():
    r, w = os.pipe(); poll = select.poll(); poll.register(r)
    while not stop: assert poll.poll(10) == []
failed = []
def guard(work):
    try: work()
    except BaseException as error: failed.append(repr(error))
threads = [threading.Thread(target=guard, args=(work,)) for work in (pipes, sleeps, polls) for _ in range(21)]
for thread in threads: thread.start()
print("ready", flush=True)
os.read(0, 1)
stop = True
for thread in threads: thread.join()
print("failed " + repr(failed) if failed else "fine", flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        child.stdout.readline()
        longest = 0
        for _ in range(20):
            with Track(agent, {"pid": child.pid}) as track:
                longest = max(longest, track.info["members"][0]["start_stopped_us"])
                track.collect()
        child.stdin.write("x")
        child.stdin.close()
        equal(child.stdout.read().strip(), "fine", "what its threads saw")
    return f"20 starts; it stood still for {longest:.0f} us at most"


@suite.test("a target in pid and mount namespaces of its own")
def namespaces():
    with Writer("private", 64, 1, prefix=("unshare", "--pid", "--mount", "--fork", "--kill-child")) as outer:
        with open(f"/proc/{outer.pid}/task/{outer.pid}/children", encoding="ascii") as children:
            outer.pid = int(children.read())
        equal(outer.inner_pid, 1, "its pid there")
        descriptors = outer.descriptors()
        with Track(agent, {"pid": outer.pid}) as track:
            outer.do("store", 5)
            same(pages_of(track.collect(), outer), {5}, "pages")
        unharmed(outer, descriptors)


@suite.test("an agent in another pid namespace than its procfs says at the start and in each collect that it tells no page")
def other_namespace():
    with Writer("private", 64) as writer, \
            Agent(listen=f"unix:{directory}/far", prefix=("unshare", "--pid", "--fork")) as far:
        try:
            with Track(far, {"pid": writer.pid}) as track:
                member = track.info["members"][0]
                equal((member["backend"], member["lower_bound"]), ("faults", True), "at the start")
                true("pid namespace" in member["backend_reason"], member["backend_reason"])
                for _ in range(3):
                    answer = track.collect()
                    equal(answer["lower_bound"], True, "a lower bound")
                    true("pid namespace" in answer["lower_bound_reason"], f"{answer['lower_bound_reason']}")
        finally:
            with open(f"/proc/{far.pid}/task/{far.pid}/children", encoding="ascii") as children:
                os.kill(int(children.read()), signal.SIGTERM)
            far.child.wait()


@suite.test("a target that uses userfaultfd itself keeps it; what it has registered is listed as not covered")
def own_userfaultfd():
    program = r"""
import ctypes, fcntl, mmap, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
uffd = libc.syscall(323, 0o2000000 | 1)
assert uffd >= 0
fcntl.ioctl(uffd, 0xc018aa3f, struct.pack("QQQ", 0xaa, 0, 0))
memory = mmap.mmap(-1, 16 * 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
fcntl.ioctl(uffd, 0xc020aa00, struct.pack("QQQQ", address, 16 * 4096, 1, 0))
print(address, flush=True)
sys.stdin.read(1)
fcntl.ioctl(uffd, 0x8010aa01, struct.pack("QQ", address, 16 * 4096))
print("fine", flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        address = int(child.stdout.readline())
        with Track(agent, {"pid": child.pid}) as track:
            for when, rows in (("at the start", track.info["members"][0]["not_covered"]),
                               *((f"by collect {number}", track.collect()["not_covered"]) for number in range(3))):
                true(any(int(one["start"], 16) <= address < int(one["start"], 16) + one["pages"] * PAGE for one in rows),
                     f"it is not listed {when}: {rows}")
        child.stdin.write("x")
        child.stdin.close()
        equal(child.stdout.read().strip(), "fine", "its own registration")


@suite.test("a 32-bit target gets the next best backend")
def narrow():
    source, program = os.path.join(directory, "narrow.s"), os.path.join(directory, "narrow")
    with open(source, "w", encoding="ascii") as file:
        file.write(".globl _start\n_start: movl $162,%eax\n movl $pause,%ebx\n xorl %ecx,%ecx\n int $0x80\n"
                   " cmpl $0,%eax\n jne fail\n jmp _start\nfail: movl $1,%eax\n movl $1,%ebx\n int $0x80\n"
                   ".data\npause: .long 0, 5000000\n")
    if run("as", "--32", "-o", program + ".o", source).returncode or \
            run("ld", "-m", "elf_i386", "-o", program, program + ".o").returncode:
        raise Skip("an assembler for i386")
    try:
        child = subprocess.Popen([program])
    except OSError as error:
        raise Skip(f"a kernel that runs 32-bit programs: {error}") from error
    try:
        for _ in range(5):
            with Track(agent, {"pid": child.pid}) as track:
                backend, reason = backend_of(track, child.pid)
                true(backend != "pagemap-scan" and reason, f"{backend}: {reason}")
        equal(child.poll(), None, "its exit status")
    finally:
        child.kill()
        child.wait()
    return reason


require_root()
with agent:
    suite.run()
