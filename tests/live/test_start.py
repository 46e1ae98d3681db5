# SPDX-License-Identifier: BSD-2-Clause
"""A start: what it is waiting for is told, and a signal ends it at any moment, with nothing left."""
import glob
import http.client
import json
import os
import random
import re
import signal
import subprocess
import time

from harness import BINARY, WAIT, Agent, Skip, Suite, equal, eventually, require_root, run, true

ROUNDS = int(os.environ.get("TEST_ROUNDS", "20"))
LIMIT = 1  # seconds to be gone in; where a whole start takes longer, since others compute, as long as that
STEPS = re.compile(r"looking at the kernel|(loading|attaching) programs, \d+ of \d+|waiting for the first snapshot")

suite = Suite()


def held(what):
    """Those that some process holds a descriptor of."""
    ids = set()
    for path in glob.glob("/proc/[0-9]*/fdinfo/*"):
        try:
            with open(path, encoding="ascii", errors="replace") as info:
                ids.update(int(number) for number in re.findall(rf"^{what}_id:\s*(\d+)$", info.read(), re.M))
        except OSError:  # closed meanwhile
            pass
    return ids


def orphans(what):
    """Programs or links that are in the kernel, and that no process holds."""
    done = run("bpftool", what, "show", "-j")
    if done.returncode:
        raise Skip(f"bpftool: {done.stderr.strip()}")
    there = {row["id"] for row in json.loads(done.stdout or "[]")}
    return there - held(what)


class Start:
    """An agent that is not waited for."""

    def __init__(self, *options):
        self.child = subprocess.Popen([BINARY, "agent", "--web.listen-address", "127.0.0.1:0", *options],
                                      stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                      stderr=subprocess.PIPE, text=True)
        self.begin = time.monotonic()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()
        self.child.stderr.close()

    def port(self):
        """Of its first line, which comes before anything is loaded."""
        for line in self.child.stderr:
            found = re.search(r"address=http://127\.0\.0\.1:(\d+)", line)
            if found:
                return int(found[1])
        raise AssertionError(f"it ended with {self.child.wait()} and told no address")


def ready(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/-/ready")
    answer = connection.getresponse()
    body = json.loads(answer.read())
    connection.close()
    return answer.status, body


@suite.test("/-/ready says what it waits for: loading programs, 31 of 58")
def steps():
    seen = []
    with Start() as start:
        port = start.port()
        while True:
            status, body = ready(port)
            if status == 200:
                break
            equal(status, 503, "status")
            step = body["error"]["message"]
            true(STEPS.fullmatch(step), f"not a step: {step}")
            if step not in seen:
                seen.append(step)
        took = time.monotonic() - start.begin
    true(any(step.startswith("loading programs") for step in seen), f"no program was loaded: {seen}")
    return f"ready in {took:.2f} s; {len(seen)} steps seen: {seen[0]} ... {seen[-1]}"


def end_at(delay, number):
    """Seconds until it was gone."""
    with Start() as start:
        start.port()
        time.sleep(delay)
        begin = time.monotonic()
        start.child.send_signal(number)
        try:
            status = start.child.wait(30)
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f"not gone in 30 s, after a start of {delay:.3f} s") from error
        took = time.monotonic() - begin
        equal(status, 0, f"exit status, after a start of {delay:.3f} s")
    return took


@suite.test(f"SIGTERM at {ROUNDS} random moments of a start: gone within 1 s, nothing left", signal.SIGTERM)
@suite.test(f"SIGINT at {ROUNDS} random moments of a start: gone within 1 s, nothing left", signal.SIGINT)
def ends(number):
    before = {what: orphans(what) for what in ("prog", "link")}
    with Start() as start:  # how long a whole start takes now
        port = start.port()
        begin = time.monotonic()
        eventually("the agent is ready", lambda: ready(port)[0] == 200, WAIT, 0.01)
        whole = time.monotonic() - begin
    chance = random.Random(number)
    took = [end_at(chance.uniform(0, whole), number) for _ in range(ROUNDS)]
    true(max(took) < max(LIMIT, whole), f"the slowest took {max(took):.2f} s: {took}")
    for what in ("prog", "link"):
        eventually(f"no {what} is left", lambda what=what: not orphans(what) - before[what], 10)
    return f"a start took {whole:.2f} s; gone in {min(took):.3f} to {max(took):.3f} s"


@suite.test("SIGHUP during a start does not end it")
def reloads():
    with Start() as start:
        port = start.port()
        start.child.send_signal(signal.SIGHUP)
        eventually("the agent is ready", lambda: ready(port)[0] == 200, WAIT, 0.02)


@suite.test("what is asked for before there are numbers is refused, and what needs none is answered")
def early():
    with Agent() as agent:  # and a second one finds its port taken, and ends
        with Start("--web.listen-address", f"127.0.0.1:{agent.port}") as second:
            equal(second.child.wait(30), 1, "exit status")
            text = second.child.stderr.read()
            equal(text.count("\n"), 1, f"lines in {text!r}")


require_root()
suite.run()
