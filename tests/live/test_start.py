# SPDX-License-Identifier: BSD-2-Clause
"""A start, and an end: what is waited for is told; a signal ends it at any moment, with nothing left."""
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


def leave(what, before):
    """Waits until those are gone that were not there before: how long the kernel still had to do."""
    begin = time.monotonic()
    eventually(f"no {what} is left", lambda: not orphans(what) - before[what], WAIT, 0.5)  # looking is dear
    return time.monotonic() - begin


def there():
    return {what: orphans(what) for what in ("prog", "link")}


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
    before = there()
    with Start() as start:  # how long a whole start takes now
        port = start.port()
        begin = time.monotonic()
        eventually("the agent is ready", lambda: ready(port)[0] == 200, WAIT, 0.05)
        whole = time.monotonic() - begin
    chance = random.Random(number)
    took, left = [], []
    for _ in range(ROUNDS):
        # What the kernel still takes apart holds up whoever attaches.
        left.append(max(leave(what, before) for what in before))
        took.append(end_at(chance.uniform(0, whole), number))
    true(max(took) < max(LIMIT, whole), f"the slowest took {max(took):.2f} s: {took}")
    left.append(max(leave(what, before) for what in before))
    return f"a start took {whole:.2f} s; gone in {min(took):.3f} to {max(took):.3f} s, all detached {max(left):.1f} s later"


@suite.test("SIGTERM or SIGKILL of an agent that counts: gone as soon with functions traced as without, nothing left")
def ends_running():
    before, left = there(), []
    took = {("base", signal.SIGTERM): [], ("auto", signal.SIGTERM): [], ("auto", signal.SIGKILL): []}
    for tier, number in [*took] * 2:
        left.append(max(leave(what, before) for what in before))
        with Start("--sensors.tier", tier) as start:
            port = start.port()
            eventually("the agent is ready", lambda port=port: ready(port)[0] == 200, WAIT, 0.05)
            begin = time.monotonic()
            start.child.send_signal(number)
            equal(start.child.wait(WAIT), 0 if number == signal.SIGTERM else -number, "exit status")
            took[tier, number].append(time.monotonic() - begin)
    left.append(max(leave(what, before) for what in before))
    notes = {f"{tier}, {number.name}": [round(one, 3) for one in times] for (tier, number), times in took.items()}
    floor = max(took["base", signal.SIGTERM])
    for (tier, number), times in took.items():
        true(min(times) < max(LIMIT, 2 * floor), f"{tier}, {number.name}: gone in {min(times):.2f} s ({notes})")
    return f"seconds until it was gone: {notes}; all detached {max(left):.1f} s later"


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
