# SPDX-License-Identifier: BSD-2-Clause
"""/api/v1/stream on a real agent: what comes, when, and what no client of it can hold up."""
import http.client
import json
import os
import socket
import threading
import time

import jsonschema

from contract import Contract
from harness import WAIT, Agent, Suite, UnixConnection, equal, eventually, require_root, scratch, true, within

STREAMS = 64
DEADLINE = 3
INTERVAL = 0.5
suite = Suite()
directory = scratch()
SOCKET = os.path.join(directory, "socket")
agent = Agent("--web.listen-address", f"unix:{SOCKET}", "--web.deadline", str(DEADLINE), interval=INTERVAL)


class Stream:
    """One reader: its blocks as (event's name, id, data)."""

    def __init__(self, local=False, query="", headers=None, timeout=WAIT, of=agent):
        self.connection = UnixConnection(SOCKET, timeout) if local else of.connection(timeout)
        self.connection.request("GET", "/api/v1/stream" + query, None, headers or {})
        self.answer = self.connection.getresponse()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.answer.close()
        self.connection.close()

    def block(self):
        """None at the end."""
        name = number = data = None
        while True:
            line = self.answer.readline().decode()
            if not line:
                return None
            line = line.rstrip("\n")
            if not line:
                return name, number, data
            field, _, value = line.partition(": ")
            if field == "event":
                name = value
            elif field == "id":
                number = value
            elif field == "data":
                true(data is None, "data is one line")
                data = json.loads(value)
            elif field == "retry":
                name, data = "retry", int(value)
            else:
                equal(line, ": beat", "a line")
                name = "beat"

    def next(self, name):
        while True:
            block = self.block()
            true(block, f"the stream ended before {name}")
            if block[0] == name:
                return block


def call(method, path, body=None):
    connection = UnixConnection(SOCKET, WAIT)
    connection.request(method, path, json.dumps(body) if body is not None else None)
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    true(answer.status < 300, f"{method} {path}: {data}")
    return json.loads(data or "null")


def snapshots(local):
    contract = Contract(agent)
    schema = jsonschema.Draft202012Validator({"$ref": "#/components/schemas/StreamSnapshot"}, resolver=contract.resolver)
    with Stream(local) as stream:
        headers = {name.lower(): value for name, value in stream.answer.getheaders()}
        equal((stream.answer.status, headers["content-type"], headers["cache-control"]),
              (200, "text/event-stream", "no-store"), "status and headers")
        true("content-encoding" not in headers, "not compressed")
        equal(stream.block(), ("retry", None, 2000), "the first block")
        begin = time.monotonic()
        seen, compared = [], 0
        for number in range(8):
            data = stream.next("snapshot")[2]
            if not number:
                within(time.monotonic() - begin, 0, 0.2, "seconds until the newest snapshot")
            schema.validate(data)
            equal(data["sequence"], data["summary"]["sequence"], "the sequence")
            equal(data["time"], data["summary"]["time"], "the time")
            seen.append(data["sequence"])
            summary = agent.json("/api/v1/summary")
            if summary["sequence"] == data["sequence"]:
                compared += 1
                equal(summary, data["summary"], "the summary")
        equal(seen, list(range(seen[0], seen[0] + 8)), "sequences")
        within(time.monotonic() - begin, 6 * INTERVAL, 8.5 * INTERVAL, "seconds for 8 snapshots")
        true(compared >= 6, f"only {compared} were compared with /api/v1/summary")


suite.test("a snapshot each interval, equal to /api/v1/summary: TCP", False)(snapshots)
suite.test("a snapshot each interval, equal to /api/v1/summary: Unix socket", True)(snapshots)


@suite.test("an event comes at once, to both sockets; Last-Event-ID and after go on behind one")
def events():
    with Stream() as far, Stream(True) as near:
        for stream in (far, near):
            stream.next("snapshot")
        began = time.monotonic()
        track = call("POST", "/api/v1/tracks", {"target": {"pid": os.getpid()}})["id"]
        got = [stream.next("event") for stream in (far, near)]
        took = time.monotonic() - began
    call("DELETE", f"/api/v1/tracks/{track}")
    equal(got[0], got[1], "the event, on both")
    listed = {event["id"]: event for event in agent.json("/api/v1/events?limit=1024")["events"]}
    equal(listed[got[0][1]], got[0][2], "the event, and as /api/v1/events has it")
    equal((got[0][2]["type"], got[0][2]["id"]), ("track", got[0][1]), "its type and id")
    before = str(int(got[0][1]) - 1)
    for local, query, headers in ((False, "", {"Last-Event-ID": before}), (True, f"?after={before}", {}),
                                  (True, "?after=0", {"Last-Event-ID": before})):
        with Stream(local, query, headers) as stream:
            equal(stream.block()[0], "retry", "the first block")
            equal(stream.block(), got[0], "the event again")
            equal(stream.block()[0], "event", "the track's end")
            equal(stream.block()[0], "snapshot", "then the newest snapshot")
    with Stream(query="?after=0") as stream:
        stream.block()
        equal(stream.block()[1], "1", "the first event of all")
    return f"the event came {took * 1000:.0f} ms after the request"


class Pulse(threading.Thread):
    """How long /-/healthy takes, and how far apart a stream's snapshots are."""

    def __init__(self):
        super().__init__(daemon=True)
        self.over = threading.Event()
        self.worst = self.gap = 0.0
        self.asked = self.got = 0
        self.stream = Stream(True)

    def run(self):
        last = None
        while not self.over.is_set():
            self.stream.next("snapshot")
            now = time.monotonic()
            self.gap = max(self.gap, now - last if last else 0)
            last = now
            self.got += 1
            begin = time.monotonic()
            equal(agent.get("/-/healthy").status, 200, "/-/healthy")
            self.worst = max(self.worst, time.monotonic() - begin)
            self.asked += 1

    def __enter__(self):
        self.stream.next("snapshot")
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()
        self.stream.__exit__()


@suite.test("64 streams, the next is refused; slow readers hold up nobody and are cut; clients vanish; no descriptor leaks")
def crowd():
    eventually("the streams of before are gone", lambda: agent.descriptors() == settled())
    before = agent.descriptors()
    with Pulse() as pulse:
        # One place is the pulse's. These read nothing: a small window fills with the first snapshots.
        slow = []
        for _ in range(20):
            client = socket.socket()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            client.connect(("127.0.0.1", agent.port))
            client.sendall(b"GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
            true(client.recv(1, socket.MSG_PEEK), "a first byte")
            slow.append(client)
        readers = [Stream(number % 2) for number in range(STREAMS - 1 - len(slow))]
        for reader in readers:
            reader.next("snapshot")
        refused = agent.get("/api/v1/stream")
        equal((refused.status, refused.json()["error"]["code"]), (503, "too_many_streams"), "one too many")
        true("retry-after" in refused.headers, "Retry-After")
        eventually("the slow ones are cut", lambda: agent.metrics()[
            ("dirtyscope_http_connections_total", (("result", "deadline"),))] >= len(slow), pause=0.3)
        for reader in readers:
            reader.next("snapshot")
        for reader in readers:
            reader.__exit__()
        for client in slow:
            client.close()
    within(pulse.worst, 0, 1, "seconds that /-/healthy took at worst")
    within(pulse.gap, 0, 3 * INTERVAL, "seconds between two snapshots of another stream at worst")
    true(pulse.asked >= 4, f"asked only {pulse.asked} times")
    eventually("no descriptor is left", lambda: agent.descriptors() <= before)
    with Stream() as stream:
        stream.next("snapshot")
    return (f"/-/healthy {pulse.worst * 1000:.0f} ms at worst; snapshots {pulse.gap:.2f} s apart at worst, "
            f"{len(slow)} slow readers cut")


def settled():
    time.sleep(0.3)
    first = agent.descriptors()
    time.sleep(3 * INTERVAL)
    return first


@suite.test("SIGTERM ends streams at once; the next agent tells a client of the former all its events")
def restart():
    with Agent(interval=INTERVAL) as first:
        without = ended(first, [])
    with Agent(interval=INTERVAL) as first:
        streams = [Stream(of=first) for _ in range(20)]
        for stream in streams:
            stream.next("snapshot")
        took = ended(first, streams)
    with Agent(interval=INTERVAL) as second, Stream(of=second, headers={"Last-Event-ID": "1000000"}) as stream:
        equal([stream.block()[0], stream.block()[1]], ["retry", "1"], "the first blocks")
        stream.next("snapshot")
    within(took - without, -5, 1, "seconds that 20 streams add to the agent's end")
    return f"ended in {took:.2f} s with 20 streams, in {without:.2f} s without; streams {ended.streams:.2f} s after the signal"


def ended(one, streams):
    begin = time.monotonic()
    killer = threading.Thread(target=lambda: equal(one.stop(), 0, "exit status"))
    killer.start()
    for stream in streams:
        try:
            while stream.block():
                pass
        except (http.client.HTTPException, OSError):
            pass
        stream.__exit__()
    ended.streams = time.monotonic() - begin
    killer.join()
    within(ended.streams, 0, 1, "seconds until all streams ended")
    return time.monotonic() - begin


@suite.test("parameters and headers that are none: 400, and HEAD has no body")
def refused():
    for query, headers, word in (("?after=x", {}, "after"), ("?bogus=1", {}, "bogus"), ("", {"Last-Event-ID": "-1"}, "Last-Event-ID")):
        answer = agent.get("/api/v1/stream" + query, headers)
        equal(answer.status, 400, f"{query} {headers}")
        true(word in answer.text(), answer.text())
    answer = agent.request("HEAD", "/api/v1/stream")
    equal((answer.status, answer.body), (200, b""), "HEAD")
    equal(agent.request("POST", "/api/v1/stream").status, 405, "POST")


require_root()
with agent:
    suite.run()
