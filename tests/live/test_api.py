# SPDX-License-Identifier: BSD-2-Clause
"""The HTTP contract: every answer against openapi.json, every error with its status and reason."""
import copy
import gzip
import json
import os
import re
import socket
from urllib.parse import quote

from contract import Contract
from harness import BINARY, Agent, Suite, Workload, equal, require_root, run, true, within

suite = Suite()
# A client that says half a request and no more is cut at the deadline, before raw() gives up.
agent = Agent("--web.deadline", "5", "--metrics.series-after", "0")
# Names that API.md promises; the schema may know more, never less.
PROMISED = {
    "/api/v1/processes": ("processes", "pid start_boottime_ns comm cmdline uid user cgroup container "
                          "vm state written rates track"),
    "/api/v1/devices": ("devices", "id bus driver names parent iommu coverage_since sensors "
                        "dirty_pages dirty_pages_total exposed_pages rate dma block net "
                        "iommu_faults lost"),
    "/api/v1/flows": ("flows", "pid start_boottime_ns comm device pages bytes rate"),
    "/api/v1/sensors": ("sensors", "name state reason offered counted lost programs"),
}
PATHS = ["/api/v1/summary", "/api/v1/processes", "/api/v1/devices", "/api/v1/flows",
         "/api/v1/cgroups", "/api/v1/vms", "/api/v1/sensors", "/api/v1/history", "/api/v1/events",
         "/api/v1/openapi.json", "/metrics", "/-/healthy", "/-/ready"]


def validated(target, status=200):
    answer = agent.get(target)
    equal(answer.status, status, f"GET {target}: {answer.body[:300]!r}")
    contract.validate(target, answer)
    return answer


def a_process():
    return agent.json("/api/v1/processes?limit=1")["processes"][0]["pid"]


def a_device():
    return quote(agent.json("/api/v1/devices")["devices"][0]["id"], safe="")


@suite.test("every path of openapi.json answers as it says")
def paths():
    real = {"{pid}": a_process, "{id}": a_device}
    asked = 0
    for template, item in contract.document["paths"].items():
        if "get" not in item or "stream" in template or "/tracks/" in template:
            continue  # the last are test_track_life.py's
        target = template
        for name, value in real.items():
            target = target.replace(name, str(value()) if name in target else "")
        validated(target)
        asked += 1
    for path in PATHS:
        contract.operation(path, "GET")
    return f"{asked} paths"


@suite.test("the schema is one: it refuses what is missing and what has another type")
def strict():
    answer = agent.get("/api/v1/processes?limit=1")
    good = answer.json()
    for spoil in (lambda a: a.pop("time"), lambda a: a["processes"][0].pop("written"),
                  lambda a: a["processes"][0].update(pid="1"), lambda a: a.update(total=None)):
        bad = copy.deepcopy(good)
        spoil(bad)
        answer.body = json.dumps(bad).encode()
        try:
            contract.validate("/api/v1/processes", answer)
        except AssertionError:
            continue
        raise AssertionError("a spoilt answer passes for valid")


@suite.test("lists hold the fields that API.md promises")
def promised():
    for path, (key, names) in PROMISED.items():
        for entry in validated(path).json()[key][:20]:
            missing = set(names.split()) - set(entry)
            true(not missing, f"{path} lacks {missing}")
    summary = agent.json("/api/v1/summary")
    equal(sum(summary["cpu_totals"].values()), summary["totals"]["cpu"], "sum of cpu_totals")
    within(sum(summary["cpu_rates"].values()), summary["rates"]["cpu"] * 0.999, summary["rates"]["cpu"] * 1.001 + 0.01,
           "sum of cpu_rates")
    for entry in agent.json("/api/v1/processes")["processes"][:20]:
        equal({"cpu", "pagecache", "dma"} - set(entry["written"]), set(), "writers missing")
        equal(set(entry["written"]["cpu"]), {"first_touch", "rewrite", "kernel", "tracked"}, "parts of cpu")


@suite.test("sort, order, limit, offset, filter")
def queries():
    def pids(query):
        return [p["pid"] for p in validated(f"/api/v1/processes?{query}").json()["processes"]]
    with Workload("comm", 5000, "7a7a7a7171") as workload:
        workload.go()
        agent.settle()
        equal(pids("filter=zzzqq"), [workload.pid], "pids by filter")
        equal(pids("filter=no-such-process-at-all"), [], "pids by a filter that nothing matches")
    rising, falling = pids("sort=pid&order=asc&limit=50"), pids("sort=pid&order=desc&limit=1000")
    equal(rising, sorted(rising), "pids, rising")
    equal(falling, sorted(falling, reverse=True), "pids, falling")
    equal(pids("sort=pid&order=asc&limit=3&offset=2"), rising[2:5], "pids by limit and offset")
    equal(pids("offset=1000000"), [], "pids beyond the end")
    equal(pids("limit=0"), [], "pids with limit 0")


@suite.test("around, find, which, pid: the page that holds an entry")
def pages():
    with Workload("sleepers", 1, 12) as workload:
        workload.go()
        agent.settle()
        query = f"/api/v1/processes?filter={quote('sleepers 1 12')}&sort=pid&order=asc&limit=3"
        everyone = [one["pid"] for one in validated(query.replace("limit=3", "limit=100")).json()["processes"]]
        equal(len(everyone), 13, "sleepers and their parent")
        for more, offset, found in ((f"around={everyone[7]}", 5, None), (f"around={everyone[7]}&offset=6", 6, None),
                                    (f"around={everyone[7]}&offset=9", 7, None),
                                    (f"find={everyone[9]}&around={everyone[8]}", 7, 9),
                                    (f"find=workload&around={everyone[12]}", 0, 0),
                                    (f"find=workload&around={everyone[0]}&which=previous", 10, 12),
                                    (f"find=workload&around={everyone[4]}&which=here", 2, 4)):
            page = validated(f"{query}&{more}").json()
            equal((page["offset"], page.get("found")), (offset, found), f"offset and found with {more}")
            equal([one["pid"] for one in page["processes"]], everyone[offset:offset + 3], f"pids with {more}")
        equal(validated(f"{query}&find=no-such-name").json()["found"], None, "found in vain")
        equal([one["pid"] for one in validated(f"/api/v1/processes?pid={everyone[3]}").json()["processes"]],
              [everyone[3]], "pids by pid")


@suite.test("a value that does not fit: 400, and the message names the parameter")
def bad_queries():
    for name, values in {"limit": ("abc", "-1", "99999999999999999999", "", "1e3", "%00"),
                         "offset": ("x", "-1"), "sort": ("nosuch", "", "%ff"),
                         "order": ("sideways",), "filter": ("%ff", "a%00b"),
                         "nosuch": ("1",)}.items():
        for value in values:
            refused(f"/api/v1/processes?{name}={value}", name)
    refused("/api/v1/processes?limit=1&limit=2", "limit")
    refused("/api/v1/flows?pid=abc", "pid")
    refused("/api/v1/flows?pid=4294967296", "pid")
    refused("/api/v1/history?window=never", "window")
    refused("/api/v1/history?window=-5", "window")
    refused("/api/v1/events?after=x", "after")
    refused("/api/v1/events?limit=x", "limit")


def refused(target, name):
    answer = agent.get(target)
    equal(answer.status, 400, f"GET {target}")
    error = answer.json()["error"]
    true(re.fullmatch("[a-z][a-z0-9_]*", error["code"]), f"code {error['code']!r}")
    true(name in error["message"], f"GET {target} does not name {name}: {error['message']!r}")
    contract.validate(target, answer)


@suite.test("what is not there: 404; what may not be done: 405")
def missing():
    for target in ("/nosuch", "/api/v1/nosuch", "/api/v1/processes/4194304", "/api/v1/processes/0",
                   "/api/v1/devices/nosuch", "/api/v1/devices/pci%2F0000:99:00.0",
                   "/api/v1/devices/%2e%2e%2f%2e%2e%2fetc%2fpasswd"):
        answer = agent.get(target)
        equal(answer.status, 404, f"GET {target}")
        true(answer.json()["error"]["message"], f"GET {target} has no message")
    true(agent.get("/api/v1/processes/abc").status in (400, 404), "a pid that is no number")
    true(agent.get("/api/v1/processes/18446744073709551617").status in (400, 404), "a huge pid")
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        true(agent.request(method, "/api/v1/summary", b"{}").status in (400, 405),
             f"{method} /api/v1/summary with a body")
        answer = agent.request(method, "/api/v1/summary")
        equal(answer.status, 405, f"{method} /api/v1/summary")
        true("GET" in answer.headers.get("allow", ""), f"{method}: Allow does not say GET")


@suite.test("HEAD answers as GET does, without the body")
def head():
    for path in PATHS:
        got, head_only = agent.get(path), agent.request("HEAD", path)
        equal(head_only.status, got.status, f"HEAD {path}")
        equal(head_only.body, b"", f"body of HEAD {path}")
        equal(head_only.headers.get("content-type"), got.headers.get("content-type"),
              f"type of HEAD {path}")


@suite.test("gzip where it is asked for, and only there")
def compressed():
    for path in ("/metrics", "/api/v1/processes?limit=1000", "/api/v1/openapi.json"):
        plain = agent.get(path)
        equal(plain.headers.get("content-encoding"), None, f"encoding of {path}, not asked for")
        refused_gzip = agent.get(path, {"Accept-Encoding": "gzip;q=0"})
        equal(refused_gzip.headers.get("content-encoding"), None, f"encoding of {path}, with q=0")
    notes = []
    for path, word in (("/metrics", b"dirtyscope_build_info"), ("/api/v1/processes?limit=1000", b'"processes"'),
                       ("/api/v1/openapi.json", b'"openapi"')):
        packed = agent.get(path, {"Accept-Encoding": "gzip"})
        equal(packed.headers.get("content-encoding"), "gzip", f"encoding of {path}")
        true("accept-encoding" in packed.headers["vary"].lower(), f"{path}: an answer that a cache may give to others")
        whole = gzip.decompress(packed.body)
        true(word in whole, f"{path}: gzip holds something else")
        true(len(packed.body) < len(whole) / 2, f"{path}: {len(packed.body)} of {len(whole)} bytes")
        notes.append(f"{path}: {len(packed.body)} of {len(whole)} bytes")
    small = agent.get("/-/healthy", {"Accept-Encoding": "gzip"})
    equal(small.headers.get("content-encoding"), None, "encoding of what fits into a packet")
    return notes


def raw(data, seconds=10):
    """What comes back for any bytes at all: the status, or '' for a closed connection."""
    with socket.create_connection(("127.0.0.1", agent.port), timeout=seconds) as client:
        try:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it has answered before it has read all
        try:
            return client.recv(65536)[9:12].decode("ascii", "replace")
        except ConnectionError:
            return ""
        except TimeoutError:
            return "nothing"


@suite.test("requests that are none: refused or closed, and the agent goes on")
def hostile():
    big = b"a" * 200000
    deep = b'{"a":' * 100000
    tail = b" HTTP/1.1\r\nHost: localhost\r\n\r\n"
    for name, data in {
            "a huge header": b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: " + big + b"\r\n\r\n",
            "a huge path": b"GET /" + big + tail,
            "a huge query": b"GET /api/v1/processes?filter=" + big + tail,
            "many headers": b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 20000 + b"\r\n",
            "many parameters": b"GET /api/v1/processes?" + b"a=b&" * 5000 + tail,
            "NUL in the path": b"GET /api/v1/pro\0cesses" + tail,
            "NUL, escaped": b"GET /api/v1/processes/%00" + tail,
            "not UTF-8, escaped": b"GET /api/v1/devices/%ff%fe" + tail,
            "not UTF-8": b"GET /api/v1/processes?filter=\xff\xfe" + tail,
            "a broken escape": b"GET /api/v1/processes?filter=%4" + tail,
            "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            "nothing": b"",
            "a negative length": b"POST /api/v1/tracks HTTP/1.1\r\nHost: localhost\r\n"
                                 b"Content-Length: -1\r\n\r\n",
            "a length beyond 64 bits": b"POST /api/v1/tracks HTTP/1.1\r\nHost: localhost\r\n"
                                       b"Content-Length: 99999999999999999999\r\n\r\n",
            "a deep body": b"POST /api/v1/tracks HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
                           % len(deep) + deep,
            "a bad chunk": b"POST /api/v1/tracks HTTP/1.1\r\nHost: localhost\r\n"
                           b"Transfer-Encoding: chunked\r\n\r\nzzzz\r\n"}.items():
        status = raw(data)
        true(status == "" or status[0] == "4", f"{name}: status {status!r}")
        equal(agent.get("/-/healthy").status, 200, f"/-/healthy after {name}")
    equal(agent.child.poll(), None, "exit status of the agent")


HOSTILE = [b'new\nline', b'quo"te', b'back\\slash', b'\x1b[31mred', b'cut\xe2\x82', b'\xff\xfe\xfd',
           b'\x01\x7f\x80\t\r', b'{}=,#', b'<b>&amp;']


@suite.test("hostile names: valid JSON, metrics and tables")
def names():
    running = [Workload("comm", 3000, name.hex(), os.fsdecode(name)) for name in HOSTILE]
    try:
        for workload in running:
            workload.__enter__().go()
        agent.settle()
        by_pid = {process["pid"]: process for process in agent.processes()}
        exported = {dict(labels)["pid"]: dict(labels)["comm"] for (name, labels) in agent.metrics()
                    if name == "dirtyscope_process_written_pages_total"}
        for name, workload in zip(HOSTILE, running):
            comm = by_pid[workload.pid]["comm"]
            true(comm, f"{name!r} has no comm")
            try:
                equal(comm, name.decode("utf-8"), "comm in JSON")
            except UnicodeDecodeError:
                true("\ufffd" in comm, f"{name!r} as {comm!r} in JSON")
            true(str(workload.pid) in exported, f"{name!r} has no series")
            true("\x1b" not in exported[str(workload.pid)], f"{name!r} has a raw ESC in /metrics")
            validated(f"/api/v1/processes/{workload.pid}")
        for command in (["processes", "-l", "1000"], ["top", "-b", "-n", "1", "-l", "1000"]):
            check_table(command, [workload.pid for workload in running])
    finally:
        for workload in running:
            workload.stop()


def check_table(command, pids):
    done = cli(*command)
    equal(done.returncode, 0, f"exit status of {command}")
    true(not re.search("[\x00-\x09\x0b-\x1f\x7f\x80-\x9f\udc80-\udcff]", done.stdout),
         f"{command} prints control characters or broken UTF-8: {done.stdout!r}")
    lines = done.stdout.splitlines()
    for pid in pids:
        rows = [line for line in lines if str(pid) in line.split()]
        equal(len(rows), 1, f"rows of {pid} in {command}")


def cli(*command):
    return run(BINARY, *command, env={**os.environ, "DIRTYSCOPE_URL": agent.url,
                                      "LC_ALL": "C.UTF-8"})


require_root()
with agent:
    contract = Contract(agent)
    agent.settle()
    suite.run()
