# SPDX-License-Identifier: BSD-2-Clause
"""What the suites of tracks share: the writer, which knows what it wrote, and a track as a client has it."""
import json
import os
import subprocess

from harness import BUILD, equal

WRITER = os.path.join(BUILD, "tests/live/writer")
PAGE = 4096
MASK = (1 << 64) - 1


def mix(value):
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9 & MASK
    value = (value ^ value >> 27) * 0x94d049bb133111eb & MASK
    return value ^ value >> 31


def chosen(seed, pages, permille):
    """The same as in writer.c."""
    return {page for page in range(pages) if mix((seed << 32) + page + 1) % 1000 < permille}


class Writer:
    """The writer program; killed at the end of its `with`."""

    def __init__(self, kind, pages, threads=1, *file, prefix=()):
        self.pages = pages
        self.child = subprocess.Popen([*prefix, WRITER, kind, str(pages), str(threads), *file], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.pid = self.child.pid
        line = self.child.stdout.readline().split()
        if len(line) != 3:
            raise AssertionError(f"no writer: {self.child.stderr.read().strip()}")
        self.inner_pid, self.address, self.fd = int(line[0]), int(line[1], 16), int(line[2])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()
        for stream in (self.child.stdin, self.child.stdout, self.child.stderr):
            stream.close()

    def start(self, *words):
        self.child.stdin.write(" ".join(map(str, words)) + "\n")
        self.child.stdin.flush()

    def finish(self):
        line = self.child.stdout.readline()
        if not line.endswith(".\n"):
            raise AssertionError(f"the writer failed: {line!r} {self.child.stderr.read().strip()}")
        return line[:-2]

    def do(self, *words):
        self.start(*words)
        return self.finish()

    def descriptors(self):
        return sorted(os.listdir(f"/proc/{self.pid}/fd"), key=int)


class Refused(Exception):
    def __init__(self, answer):
        self.status, self.error = answer.status, answer.json()["error"]
        super().__init__(f"{answer.status} {self.error}")


class Track:
    """One track, ended at the end of its `with`; its agent listens on a Unix socket."""

    def __init__(self, agent, target, **more):
        self.agent = agent
        self.info = self.call("POST", "", {"target": target, **more}, status=201)
        self.id = self.info["id"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.agent.request("DELETE", f"/api/v1/tracks/{self.id}")

    def call(self, method, tail, body=None, status=200):
        path = "/api/v1/tracks" + (f"/{self.id}" if hasattr(self, "id") else "") + tail
        answer = self.agent.request(method, path, None if body is None else json.dumps(body))
        if answer.status != status:
            raise Refused(answer)
        return answer.json()

    def collect(self, ack=True, **options):
        answer = self.call("POST", "/collect", options)
        if ack:
            self.ack(answer["cursor"])
        return answer

    def ack(self, cursor):
        return self.call("POST", "/ack", {"cursor": cursor})

    def member(self, pid=None):
        members = self.call("GET", "")["members"]
        return next(one for one in members if pid in (None, one["pid"]))


def addresses(answer, pid=None, by=None, device=None):
    """Page addresses of an answer's ranges."""
    return {int(one["start"], 16) + index * PAGE for one in answer["ranges"]
            if (pid is None or one["pid"] == pid) and (by is None or by in one["writers"])
            and (device is None or device in one["devices"])
            for index in range(one["pages"])}


def pages_of(answer, writer, **which):
    """Page numbers within the writer's region."""
    return {(address - writer.address) // PAGE for address in addresses(answer, writer.pid, **which)
            if writer.address <= address < writer.address + writer.pages * PAGE}


def same(got, want, what):
    missed, extra = sorted(want - got), sorted(got - want)
    equal((missed[:8], extra[:8]), ([], []), f"{what}: {len(missed)} missed, {len(extra)} extra of {len(want)}")
