#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
Tracks started and stopped, over and over, on processes that have work of their own, whose sum is known: no
error in the work, no wake-up lost (it would never end), nothing missing in the sum. In TAP, but no suite of
`make test`: it takes minutes, and needs redis or PostgreSQL. busy_targets.py BUILD [STARTS of each]
"""
import contextlib
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

from harness import Agent, Skip, Suite, equal, eventually, require_root, scratch, true
from tracking import Refused, Track

STARTS = int(sys.argv[2]) if len(sys.argv) > 2 else 10000
COLLECTS = 8  # every so many starts, the track is collected before it is stopped
POSTGRES = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
CLIENTS, TRANSACTIONS, REQUESTS = 4, 2000, 400000


def must(*words, **more):
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False, **more)
    equal(done.returncode, 0, f"{' '.join(words)}: {done.stdout[-500:]}")
    return done.stdout.strip()


def has_ended(pid):
    """Gone, or a zombie, which is not waited for yet."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


class Stops:
    """How long the starts made a thread stand still."""

    def __init__(self):
        self.us, self.missed, self.refused, self.begun = [], 0, {}, time.monotonic()

    def start(self, agent, pid):
        """A start and a stop; a target whose round of work has ended meanwhile counts as none."""
        try:
            with Track(agent, {"pid": pid}) as track:
                member = track.member(pid)
                if len(self.us) % COLLECTS == 0:
                    track.collect()
        except (Refused, StopIteration) as failure:
            gone = isinstance(failure, StopIteration) or failure.error["code"] in ("no_such_process", "track_ended")
            # It has no memory any more some time before it is a zombie.
            if gone and eventually(f"{pid} ends: {failure}", lambda: has_ended(pid)):
                self.missed += 1
                return
            raise AssertionError(f"start {len(self.us) + 1}, pid {pid}: {failure!r}") from failure
        if member["backend"] != "pagemap-scan":
            self.refused[member["backend_reason"]] = self.refused.get(member["backend_reason"], 0) + 1
        self.us.append(member["start_stopped_us"])

    def say(self):
        us = sorted(self.us)
        seconds = time.monotonic() - self.begun
        return [f"{len(us)} starts and stops in {seconds:.0f} s, {self.missed} came after their target's end",
                f"stood still: median {us[len(us) // 2]:.0f} us, 99 of 100 within {us[len(us) * 99 // 100]:.0f} us, "
                f"at most {us[-1]:.0f} us",
                *[f"{count} times another backend: {reason}" for reason, count in self.refused.items()]]


def work_meanwhile(agent, words, targets, stops, **more):
    """One round of the work, and starts on what targets() tells, one after the other, until it has ended. Its output."""
    with tempfile.TemporaryFile("w+") as output, subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, **more) as child:
        while child.poll() is None:
            for pid in [child.pid, *targets()]:
                if child.poll() is None and len(stops.us) < STARTS:
                    stops.start(agent, pid)
            if len(stops.us) >= STARTS:
                child.wait()
        output.seek(0)
        text = output.read()
    equal(child.returncode, 0, f"{words[0]}: {text[-500:]}")
    return text


# ---- PostgreSQL: each transaction adds to an account, and to a history ----

class Postgres:
    def __init__(self):
        if not POSTGRES or not shutil.which("runuser"):
            raise Skip("PostgreSQL is not installed (postgresql-15)")
        self.directory = tempfile.mkdtemp(prefix="busy-")
        self.user = ["runuser", "-u", "postgres", "--"]
        self.at = ["-h", self.directory, "-U", "postgres"]
        self.server = None

    def __enter__(self):
        try:
            shutil.chown(self.directory, "postgres", "postgres")
            data = os.path.join(self.directory, "data")
            must(*self.user, POSTGRES[-1] + "/initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync", cwd="/")
            self.server = subprocess.Popen(
                [*self.user, POSTGRES[-1] + "/postgres", "-D", data, "-k", self.directory, "-c", "listen_addresses=",
                 "-c", "fsync=off"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")
            eventually("PostgreSQL answers", lambda: subprocess.run(
                [POSTGRES[-1] + "/pg_isready", "-q", *self.at], check=False).returncode == 0)
            must(POSTGRES[-1] + "/pgbench", *self.at, "-i", "-q", "postgres")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.server:
            self.server.terminate()
            self.server.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    def ask(self, question):
        return must(POSTGRES[-1] + "/psql", *self.at, "-At", "-c", question, "postgres")

    def pids(self):
        """Of the server's processes, those that serve a client of ours, and those that write behind them."""
        with open(os.path.join(self.directory, "data/postmaster.pid"), encoding="ascii") as file:
            main = int(file.readline())
        with contextlib.suppress(OSError), \
                open(f"/proc/{main}/task/{main}/children", encoding="ascii") as children:
            return [main, *map(int, children.read().split())]
        return [main]


def pgbench():
    agent, stops, rounds = State.agent, Stops(), 0
    with Postgres() as server:
        while len(stops.us) < STARTS:
            text = work_meanwhile(agent, [POSTGRES[-1] + "/pgbench", *server.at, "-n", "-c", str(CLIENTS), "-j", str(CLIENTS),
                                          "-t", str(TRANSACTIONS), "postgres"], server.pids, stops)
            rounds += 1
            want = CLIENTS * TRANSACTIONS
            true(f"actually processed: {want}/{want}" in text, text)
            equal(re.findall(r"failed transactions: (\d+)", text), ["0"], text)
        done = int(server.ask("select count(*) from pgbench_history"))
        equal(done, rounds * CLIENTS * TRANSACTIONS, "transactions in the history")
        sums = [server.ask(f"select sum({what}) from pgbench_{table}") for what, table in (
            ("delta", "history"), ("abalance", "accounts"), ("bbalance", "branches"), ("tbalance", "tellers"))]
        equal(sums, [sums[0]] * 4, "the sums of history, accounts, branches and tellers")
    return [f"{done} transactions in {rounds} rounds, none failed, all four sums equal", *stops.say()]


# ---- redis: a counter ----

def redis():
    if not shutil.which("redis-server") or not shutil.which("redis-benchmark"):
        raise Skip("redis is not installed (redis-server, redis-tools)")
    agent, stops, rounds = State.agent, Stops(), 0
    path = os.path.join(scratch(), "redis")
    with subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", path, "--save", "", "--io-threads", "2",
                           "--dir", os.path.dirname(path)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as server:
        try:
            eventually("redis answers", lambda: os.path.exists(path))
            while len(stops.us) < STARTS:
                text = work_meanwhile(agent, ["redis-benchmark", "-s", path, "-n", str(REQUESTS), "-c", "16", "--threads", "2",
                                              "-q", "incr", "counter"], lambda: [server.pid] * 4, stops)
                rounds += 1
                true("error" not in text.lower(), text)
                equal(must("redis-cli", "-s", path, "get", "counter"), str(rounds * REQUESTS), "the counter")
        finally:
            server.terminate()
    return [f"a counter of {rounds * REQUESTS} in {rounds} rounds, exact", *stops.say()]


class State:
    agent = None


def main():
    suite = Suite()
    suite.test(f"PostgreSQL under pgbench: {STARTS} starts and stops")(pgbench)
    suite.test(f"redis under redis-benchmark: {STARTS} starts and stops")(redis)
    with Agent(listen=f"unix:{scratch()}/socket") as State.agent:
        suite.run()


if __name__ == "__main__":
    require_root()
    main()
