# SPDX-License-Identifier: BSD-2-Clause
"""A record and its replay give the same answers; whatever the file is, and wherever the disk ends."""
import json
import os
import re
import shutil
import signal
import struct
import time
import urllib.parse

from contract import Contract
from harness import BINARY, Agent, Suite, Workload, eventually, equal, require_root, run, scratch, true, within
from recorded import frames, snapshots, until
from rules import Restless, Ruled, rule
from tracking import Track

suite = Suite()
directory = scratch()
RECORD = os.path.join(directory, "record")
SECONDS = 1.2  # between two snapshots of the record: all that is asked about one is asked within half of it
NOBODY = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--bounding-set", "-all",
          "--inh-caps", "-all", "--ambient-caps", "-all")


def load(path=RECORD):
    with open(path, "rb") as file:
        return file.read()


def store(name, data):
    path = os.path.join(directory, name)
    with open(path, "wb") as file:
        file.write(data)
    return path


def replay(path, *options, prefix=()):
    return Agent("--replay", path, *options, prefix=prefix)


def at_the_end(agent):
    return eventually("the record has ended", lambda: (lambda summary: summary["replay"]["ended"] and summary)(
        agent.json("/api/v1/summary")))


# ---- the same answers ----

def comparable(path, answer):
    """Its status and text, without what a replay says of itself, and what is of the server that was asked."""
    text = answer.text()
    if path == "/api/v1/summary":
        summary = answer.json()
        summary.pop("replay")
        return answer.status, summary
    if path.startswith("/api/v1/events"):
        found = answer.json()
        return answer.status, found["oldest"], [event for event in found["events"] if event["subject"] != "replay"]
    if path.startswith("/metrics"):
        return answer.status, [line for line in text.splitlines() if not re.match(
            r"(# (HELP|TYPE|UNIT) )?dirtyscope_(http_|replay)", line)]
    return answer.status, text


def paths_of(agent):
    """Every route that is not of this host alone, with parameters, and each process, device and track there is."""
    processes = agent.processes()
    one = [f"/api/v1/processes/{pid}" for pid in sorted({process["pid"] for process in processes})][:60]
    one += [f"/api/v1/devices/{urllib.parse.quote(name, safe='')}" for name in agent.devices()]
    plain = [route["path"] for route in agent.json("/")["routes"]
             if route["method"] == "GET" and "{" not in route["path"] and route["path"] not in ("/", "/api/v1/stream")]
    more = ["/api/v1/processes?limit=1000&sort=comm&order=asc", "/api/v1/processes?filter=busy", "/api/v1/flows?limit=1000",
            "/api/v1/history?window=900&lines=8", "/api/v1/history?window=3", "/api/v1/events?limit=1024",
            "/api/v1/events?after=2&limit=3", "/api/v1/tracks/1", "/api/v1/tracks/99", "/api/v1/cgroups?limit=1000"]
    return plain + more + one


def ask(agent, paths):
    """{path: answer}, all of one snapshot and of its second half, when what it set off is done."""
    def number():
        return agent.json("/api/v1/summary")["sequence"]

    for _ in range(6):
        before = number()
        eventually("another snapshot", lambda: number() > before, pause=0.02)
        before = number()
        time.sleep(SECONDS / 2 + 0.1)
        answers = {path: comparable(path, agent.get(path)) for path in paths}
        answers["OpenMetrics"] = comparable("/metrics", agent.get("/metrics", {"Accept": "application/openmetrics-text"}))
        if number() == before:
            return before, answers
    raise AssertionError("no snapshot stayed for as long as it takes to ask")


@suite.test("all answers and metrics of a snapshot are the same in the replay, byte for byte")
def same_answers():
    compared, lines, chosen = 0, 0, []
    text = rule("[log]", threshold=10, clear=1)
    with Restless() as busy, Ruled(text, "--record", RECORD, interval=SECONDS) as ruled, Workload("anonymous", 300) as workload:
        agent = ruled.agent
        busy.write(40)
        workload.go()
        track = Track(agent, {"pid": busy.pid})
        track.collect()
        ruled.state_is("firing")
        run("dd", f"if={BINARY}", "of=/dev/null", "bs=1M", "iflag=direct")
        for _ in range(2):
            chosen.append(ask(agent, paths_of(agent)))
        track.call("DELETE", "")
        log = agent.log()
    true("msg=recording" in log.replace('"', ""), "it does not say that it records")
    data = load()
    first = chosen[0][0]
    within(snapshots(data), chosen[1][0], chosen[1][0] + 3, "snapshots")
    for sequence, answers in chosen:
        equal((answers["/api/v1/tracks/1"][0], answers["/api/v1/tracks/99"][0]), (200, 404), "the tracks' answers")
        true(str(busy.pid) in answers["/api/v1/tracks"][1] and '"firing"' in answers["/api/v1/policies"][1],
             "nothing was followed, or no policy fired")
        with replay(store("cut", until(data, sequence)), "--replay-interval", "50ms") as agent:
            equal(at_the_end(agent)["sequence"], sequence, "the last snapshot")
            # The event that says so comes a moment later.
            for path, answer in answers.items():
                got = agent.get("/metrics" if path == "OpenMetrics" else path,
                                {"Accept": "application/openmetrics-text"} if path == "OpenMetrics" else None)
                path = "/metrics" if path == "OpenMetrics" else path
                equal(comparable(path, got), answer, f"GET {path} at snapshot {sequence}")
                compared += 1
            lines += sum(not line.startswith("#") for line in answers["/metrics"][1])
    true(compared > 60 and lines > 200, f"only {compared} answers and {lines} lines were compared")
    return f"{compared} answers and {lines} lines of /metrics, at snapshots {first} and {chosen[1][0]}"


@suite.test("who replays needs no privilege, and is told what it is: by summary, stream, metrics, policies")
def without_privilege():
    binary = os.path.join(directory, "dirtyscope")
    shutil.copy(BINARY, binary)
    os.chmod(RECORD, 0o644)
    with Agent("--replay", RECORD, "--replay-interval", "50ms", prefix=NOBODY) as agent:
        with open(f"/proc/{agent.pid}/status", encoding="ascii") as status:
            text = status.read()
        true("Uid:\t65534\t65534" in text and re.search(r"CapEff:\s+0+\n", text), "it has privileges")
        summary = at_the_end(agent)
        contract = Contract(agent)
        for path in ("/api/v1/summary", "/api/v1/tracks", "/api/v1/policies", "/api/v1/history", "/api/v1/events"):
            contract.validate(path, agent.get(path))
        equal((summary["replay"]["file"], summary["replay"]["rounds"], summary["replay"]["truncated"]), (RECORD, 0, False),
              "the replay")
        equal(summary["replay"]["snapshots"], snapshots(load()), "snapshots of it")
        true(summary["replay"]["recorded"] < summary["time"], "it was recorded after its snapshots")
        equal(agent.metrics()[("dirtyscope_replay", ())], 1, "metric")
        event = eventually("an event", lambda: [event for event in agent.json("/api/v1/events?limit=1024")["events"]
                                                if event["subject"] == "replay"])
        equal([one["message"] for one in event], ["the record has ended; its last snapshot stays"], "events")
        connection = agent.connection()
        connection.request("GET", "/api/v1/stream")
        stream = connection.getresponse()
        line = next(line for line in stream if line.startswith(b"data: ") and b'"summary"' in line)
        equal(json.loads(line[6:])["summary"], summary, "the stream's snapshot")
        connection.close()
        true(b"<!doctype html>" in agent.get("/", {"Accept": "text/html"}).body.lower(), "no web page")
        top = run(BINARY, "top", "-b", "-n", "1", "--url", agent.url)
        true(top.returncode == 0 and "busy-" in top.stdout, f"top says {top.stdout} {top.stderr}")
        equal(agent.stop(), 0, "exit status")


@suite.test("what is of a living host is refused with the reason: 409")
def refused():
    with replay(RECORD) as agent:
        for method, path in (("POST", "/api/v1/tracks"), ("DELETE", "/api/v1/tracks/1"), ("POST", "/api/v1/tracks/1/collect"),
                             ("POST", "/api/v1/tracks/1/ack"), ("GET", "/api/v1/tracks/1/pages"), ("PUT", "/api/v1/policies"),
                             ("GET", "/api/v1/tracks/1/forecast?bandwidth=1"), ("POST", "/-/reload")):
            answer = agent.request(method, path, "{}" if method in ("POST", "PUT") else None)
            equal((answer.status, answer.json()["error"]["code"]), (409, "replay"), f"{method} {path}")
        done = run(BINARY, "track", "start", "--pid", "1", "--url", agent.url)
        true(done.returncode == 1 and "replays a record" in done.stderr, f"track start says {done.stderr!r}")
        os.kill(agent.pid, signal.SIGHUP)
        eventually("SIGHUP is answered", lambda: "no policies to reload" in agent.log())


@suite.test("pace: as recorded, never faster; --replay-loop begins again, and time and numbers go on rising")
def pace():
    path = store("three", until(load(), 3))
    with replay(path) as agent:
        begun = time.monotonic()
        summary = agent.json("/api/v1/summary")
        equal(summary["replay"]["position"], 1, "position at the start")
        last = at_the_end(agent)
        recorded = last["uptime"] - summary["uptime"]
        true(time.monotonic() - begun > recorded - 0.5, f"{recorded} s went by in {time.monotonic() - begun} s")
    with replay(path, "--replay-interval", "50ms", "--replay-loop") as agent:
        seen = []

        def third_round():
            seen.append(agent.json("/api/v1/summary"))
            return seen[-1]["replay"]["rounds"] >= 3
        eventually("it has begun again twice", third_round, pause=0)
        for before, after in zip(seen, seen[1:]):
            true((before["sequence"], before["time"]) <= (after["sequence"], after["time"]), f"{before} before {after}")
            equal(before["sequence"] == after["sequence"], before["time"] == after["time"], "number and time together")
        equal({one["replay"]["ended"] for one in seen}, {False}, "ended")
        equal({one["replay"]["position"] for one in seen}, {1, 2, 3}, "positions")
        # What was counted begins again, as after a restart.
        equal(len({(one["replay"]["position"], str(one["totals"]), one["uptime"]) for one in seen}), 3, "sets of counters")


@suite.test("a killed agent's record is replayed up to its last whole snapshot; a cut one says where it ends")
def cut():
    path = os.path.join(directory, "killed")
    with Agent("--record", path, interval=0.1) as agent:
        eventually("some snapshots", lambda: snapshots(load(path)) > 4)
        agent.stop(signal.SIGKILL)
    whole = snapshots(load(path))
    with replay(path, "--replay-interval", "50ms") as agent:
        equal(at_the_end(agent)["replay"]["position"], whole, "snapshots of a killed agent")
    data = load()
    last = list(frames(data))[-1]
    with replay(store("short", data[:last[2] - 5]), "--replay-interval", "50ms") as agent:
        summary = at_the_end(agent)
        equal((summary["replay"]["truncated"], summary["replay"]["position"]), (True, snapshots(data) - (last[0] == 2)), "summary")
        true(f"{directory}/short" in agent.log() and f"byte={last[1]}" in agent.log(), agent.log())


@suite.test("damaged, empty, foreign, newer and missing files, and wrong options: one line that names it, nothing served")
def bad_files():
    data = load()
    middle = list(frames(data))[3]
    files = {
        "damaged": (data[:middle[1] + 30] + bytes([data[middle[1] + 30] ^ 1]) + data[middle[1] + 31:],
                    f"is damaged at byte {middle[1]}: its sum is wrong"),
        "length": (data[:middle[1] + 5] + b"\xff" + data[middle[1] + 6:],
                   f"is damaged at byte {middle[1]}: the sum of its head is wrong"),
        "empty": (b"", "is not a record: it is empty"),
        "foreign": (load(BINARY)[:100000], "is not a record"),
        "newer": (data[:8] + struct.pack("<I", 2) + data[12:], "has format 2; this dirtyscope reads 1"),
        "none": (until(data, 0), "holds no whole snapshot"),
    }
    for name, (content, reason) in files.items():
        path = store(name, content)
        done = run(BINARY, "agent", "--web.listen-address", "127.0.0.1:0", "--replay", path)
        equal((done.returncode, done.stderr), (1, f"dirtyscope: {path} {reason}\n"), name)
    done = run(BINARY, "agent", "--replay", f"{directory}/nothing")
    equal((done.returncode, done.stderr), (1, f"dirtyscope: cannot read {directory}/nothing: No such file or directory\n"),
          "missing")
    for options, reason in ((("--record", "a", "--replay", "b"), "exclude each other"), (("--replay-loop",), "needs --replay"),
                            (("--replay-interval", "1"), "needs --replay"), (("--record-limit", "5"), "record-limit")):
        done = run(BINARY, "agent", *options)
        true(done.returncode == 2 and reason in done.stderr, f"{options}: {done.returncode} {done.stderr!r}")
    path = store("precious", b"not a record")
    done = run(BINARY, "agent", "--web.listen-address", "127.0.0.1:0", "--record", path)
    true(done.returncode == 1 and "is not a record" in done.stderr and load(path) == b"not a record", done.stderr)


def stops(path, reason, *options, prefix=()):
    """An agent that stops to record, says why, and goes on; its file is whole."""
    with Agent("--record", path, *options, interval=0.1, prefix=prefix) as agent:
        record = eventually("it stops to record", lambda: (lambda summary: summary["record"]["state"] == "stopped"
                            and summary["record"])(agent.json("/api/v1/summary")))
        true(reason in record["reason"], f"{record}")
        agent.settle()
        metrics = agent.metrics()
        equal((metrics[("dirtyscope_record_up", ())], metrics[("dirtyscope_record_bytes", ())]),
              (0, os.path.getsize(path)), "metrics")
        equal(metrics[("dirtyscope_record_snapshots_total", ())], record["snapshots"], "metric of snapshots")
        equal([event["severity"] for event in agent.json("/api/v1/events?limit=1024")["events"]
               if event["subject"] == "record"], ["warning"], "events")
        equal(agent.log().count('msg="recording stopped"'), 1, "lines in the log")
        equal(agent.stop(), 0, "exit status")
    data = load(path)
    equal((snapshots(data), list(frames(data))[-1][2]), (record["snapshots"], len(data)), "snapshots of a whole file")
    return len(data)


@suite.test("--record-limit: recording stops, the agent goes on")
def limit():
    within(stops(os.path.join(directory, "limited"), "--record-limit", "--record-limit", "16K"), 8000, 16384, "bytes")


@suite.test("a disk that fills up, and a write that fails: recording stops, a twentieth of the disk stays free")
def full():
    disk = os.path.join(directory, "disk")
    os.mkdir(disk)
    equal(run("mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk).returncode, 0, "mount")
    try:
        with open(os.path.join(disk, "other"), "wb") as file:
            file.write(bytes(228 << 10))
        stops(os.path.join(disk, "record"), "nearly full")
        state = os.statvfs(disk)
        within(state.f_bavail / state.f_blocks, 0.05, 0.11, "of it free")
    finally:
        run("umount", disk)
    within(stops(os.path.join(directory, "failed"), "File too large", prefix=("prlimit", "--fsize=16000")), 8000, 16000,
           "bytes")


require_root()
suite.run()
