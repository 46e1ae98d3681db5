# SPDX-License-Identifier: BSD-2-Clause
"""What the suites of policies share: an agent with a directory of policies, a process that writes at will, receivers."""
import http.server
import json
import os
import subprocess
import sys
import threading

from harness import Agent, equal, eventually, scratch

NAME = f"busy-{os.getpid()}"  # of the processes below: no other test has them
# Touches fresh memory, N pages at a time, 20 times a second, for as long as it is told to.
RESTLESS = """
import mmap, select, sys, time
with open("/proc/self/comm", "w") as comm:
    comm.write(sys.argv[1])
pages = 0
print("ready", flush=True)
while True:
    if select.select([sys.stdin], [], [], 0.05)[0]:
        line = sys.stdin.readline()
        if not line:
            break
        pages = int(line)
    if pages:
        memory = mmap.mmap(-1, pages * 4096)
        for page in range(pages):
            memory[page * 4096] = 1
        memory.close()
"""


class Restless:
    """A process whose rate of page faults is set; its name is NAME."""

    def __init__(self, prefix=()):
        self.child = subprocess.Popen([*prefix, sys.executable, "-c", RESTLESS, NAME], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True)
        self.child.stdout.readline()
        self.pid = self.child.pid

    def write(self, pages):
        self.child.stdin.write(f"{pages}\n")
        self.child.stdin.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.kill()
        self.child.wait()
        self.child.stdin.close()
        self.child.stdout.close()


class Ruled:
    """An agent on a Unix socket with a directory of policies."""

    def __init__(self, text, *options, interval=0.2):
        self.directory = scratch()
        os.chmod(self.directory, 0o755)
        self.file = os.path.join(self.directory, "rules.yaml")
        self.write(text)
        self.agent = Agent("--policies.directory", self.directory, "--policies.state-file",
                           f"{self.directory}/limits.json", *options, listen=f"unix:{self.directory}/socket",
                           interval=interval)

    def __enter__(self):
        self.agent.__enter__()
        return self

    def __exit__(self, *_):
        self.agent.stop()

    def write(self, text):
        with open(self.file, "w", encoding="utf-8") as file:
            file.write(text)

    def call(self, method, path, body=None):
        answer = self.agent.request(method, path, None if body is None else json.dumps(body))
        return answer.status, answer.json()

    def policies(self):
        return {one["name"]: one for one in self.agent.json("/api/v1/policies")["policies"]}

    def states(self, name="rule"):
        return {state: count for state, count in self.policies()[name]["states"].items() if count and state != "inactive"}

    def instance(self, name="rule"):
        found = self.policies()[name]["instances"]
        return found[0] if found else None

    def results(self, name="rule"):
        return {(one["action"], one["result"]): one["count"] for one in self.policies()[name]["actions"]}

    def state_is(self, state, name="rule"):
        return eventually(f"{name} is {state}", lambda: (self.instance(name) or {"state": "inactive"})["state"] == state,
                          pause=0.02)

    def events(self, kind=None):
        found = self.agent.json("/api/v1/events?limit=1024")["events"]
        return [event for event in found if kind in (None, event["type"])]


class Receiver:
    """A real HTTP server for webhooks; answer(count, body) gives status, or raises to hang up."""

    def __init__(self, answer=lambda count, body: 200):
        self.bodies, self.times, self.count = [], [], 0
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.count += 1
                status = answer(receiver.count, body)
                if status is None:
                    self.close_connection = True
                    return
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()
                if status == 200:
                    receiver.bodies.append(json.loads(body))

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def rule(then, threshold=2000, clear=200, hold="0s", cooldown="0s", name="rule", more="", pid=None):
    """One policy on processes of that name, or on that pid, by their rate of faults."""
    where = f'"pid = {pid}"' if pid else f'"comm = {NAME}"'
    return f"""policies:
  - name: {name}
    summary: "{{comm}} ({{pid}}) writes {{value}} pages/s"
    for_each: process
    where: [{where}]
    when: {{metric: rates.cpu, threshold: {threshold}, clear: {clear}, for: {hold}}}
    cooldown: {cooldown}
    {more}
    then: {then}
"""


__all__ = ["NAME", "Receiver", "Restless", "Ruled", "rule", "equal"]
