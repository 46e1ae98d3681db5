# SPDX-License-Identifier: BSD-2-Clause
"""Clients that are slow, that leave early, that come all at once."""
import http.client
import os
import shutil
import socket
import struct
import subprocess
import threading
import time

from asking import Meanwhile
from harness import Agent, Skip, Suite, equal, eventually, require_root, true, within

DEADLINE = 4
ASKED = 5  # times at least that /-/healthy is asked for meanwhile
suite = Suite()
agent = Agent("--web.deadline", str(DEADLINE))


class Pulse(Meanwhile):
    """Asks for /-/healthy every 0.2 s, from an address of its own: limits are per address."""

    def __init__(self):
        super().__init__()
        self.asked, self.worst, self.bad = 0, 0.0, []

    def run(self):
        while not self.over.wait(0.2):
            begin = time.monotonic()
            self.asked += 1
            try:
                connection = http.client.HTTPConnection("127.0.0.1", agent.port, timeout=5,
                                                        source_address=("127.0.0.2", 0))
                connection.request("GET", "/-/healthy")
                status = connection.getresponse().status
                connection.close()
                if status != 200:
                    self.bad.append(status)
            except OSError as error:
                self.bad.append(error)
            self.worst = max(self.worst, time.monotonic() - begin)

    def check(self):
        equal(self.bad, [], "answers of /-/healthy that were not 200")
        within(self.worst, 0, 1, "seconds that /-/healthy took at worst")
        true(self.asked >= ASKED, f"asked only {self.asked} times")
        return f"/-/healthy: asked {self.asked} times, {self.worst * 1000:.0f} ms at worst"


def slowhttptest(*flags):
    if not shutil.which("slowhttptest"):
        raise Skip("slowhttptest")
    with Pulse() as pulse:
        subprocess.run(["slowhttptest", *flags, "-c", "600", "-r", "300", "-l", "12"],
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, timeout=60, check=False)
    return pulse.check()


@suite.test("slow headers (slowhttptest -H), 600 connections",
            "-H", "-i", "1", "-t", "GET", "-u", "/-/healthy")
@suite.test("slow body (slowhttptest -B), 600 connections",
            "-B", "-i", "1", "-s", "8192", "-u", "/api/v1/summary")
@suite.test("slow read (slowhttptest -X), 600 connections",
            "-X", "-n", "1", "-z", "32", "-w", "16", "-y", "64", "-k", "3", "-u", "/metrics")
def slow(*flags):
    *flags, path = flags
    return slowhttptest(*flags, f"http://127.0.0.1:{agent.port}{path}")


def lifetime(send, receive, every):
    """Seconds until the agent lets go of a connection that always does a little."""
    before = agent.descriptors()
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", agent.port))
        begin = time.monotonic()
        client.sendall(send[0])
        client.setblocking(False)
        eventually("the agent has the connection", lambda: agent.descriptors() > before, pause=0.01)
        while agent.descriptors() > before and time.monotonic() - begin < 4 * DEADLINE:
            time.sleep(every)
            try:
                client.send(send[1])
                client.recv(receive)
            except OSError:
                pass
        return time.monotonic() - begin


def resting():
    """The agent's descriptors, once they have been the same for a second."""
    seen = []

    def same():
        seen.append(agent.descriptors())
        return len(seen) > 10 and len(set(seen[-10:])) == 1
    eventually("as many descriptors for a second", same, pause=0.1)
    return seen[-1]


@suite.test("a connection that sends its headers slowly is cut at the deadline",
            (b"GET /metrics HTTP/1.1\r\n", b"X-A: b\r\n"), 1)
@suite.test("a connection that sends its body slowly is cut at the deadline",
            (b"POST /api/v1/tracks HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n\r\n", b"{"), 1)
@suite.test("a connection that reads slowly is cut at the deadline",
            (b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 200, b""), 16)
def cut(send, receive):
    eventually("the connections of the tests before are gone",
               lambda: agent.descriptors() <= idle)
    seconds = lifetime(send, receive, 0.25)
    within(seconds, DEADLINE - 1, DEADLINE + 2.5, "seconds")
    return f"{seconds:.1f} s"


@suite.test("10,000 clients that hang up in mid-answer")
def hang_up():
    refused = clients = 0
    with Pulse() as pulse:
        while clients < 10000 or pulse.asked < ASKED:
            clients += 1
            try:
                with socket.create_connection(("127.0.0.1", agent.port), timeout=10) as client:
                    client.sendall(b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
                    client.recv(1 + clients % 64)
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                      struct.pack("ii", 1, 0))
            except ConnectionError:
                refused += 1
    true(agent.child.poll() is None, "the agent has ended")
    note = pulse.check()
    eventually(f"{idle} descriptors again", lambda: agent.descriptors() <= idle)
    return [note, f"{refused} of {clients} refused, {idle} descriptors before and after"]


@suite.test("40 scrapes at once: all served or refused, none stuck")
def scrapes():
    results = []

    def scrape():
        begin = time.monotonic()
        try:
            status = agent.get("/metrics", timeout=15).status
        except OSError as error:
            status = error
        results.append((status, time.monotonic() - begin))

    threads = [threading.Thread(target=scrape) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    equal(len(results), 40, "scrapes that came back")
    true(all(status in (200, 503) for status, _ in results), f"statuses: {results}")
    true(any(status == 200 for status, _ in results), "not one was served")
    within(max(seconds for _, seconds in results), 0, 10, "seconds at worst")
    return f"{sum(status == 200 for status, _ in results)} served, " \
           f"{max(seconds for _, seconds in results):.2f} s at worst"


@suite.test("more connections than there may be: 503 or closed, and well again after")
def crowd():
    clients, answers = [], {}
    try:
        for _ in range(700):
            client = socket.create_connection(("127.0.0.1", agent.port), timeout=5)
            clients.append(client)
        for client in clients:
            try:
                client.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n")
                answer = client.recv(4096)[9:12].decode() or "closed"
            except OSError:
                answer = "closed"
            answers[answer] = answers.get(answer, 0) + 1
        true(set(answers) <= {"200", "503", "closed"}, f"answers: {answers}")
        true(answers.get("200", 0) >= 100, f"answers: {answers}")
    finally:
        for client in clients:
            client.close()

    def well():
        try:
            return agent.get("/-/healthy", timeout=2).status == 200
        except OSError:
            return False
    eventually("healthy again", well)
    return str(answers)


require_root()
os.environ["no_proxy"] = "*"
with agent:
    agent.settle()
    idle = resting()  # the connections of the agent's start are gone
    suite.run()
