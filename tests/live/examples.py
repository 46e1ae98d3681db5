# SPDX-License-Identifier: BSD-2-Clause
"""How each example of the manuals is made, or run. A new one is a row here and a section in its manual."""
import contextlib
import os
import re
import signal
import socket
import subprocess
import time
from collections import namedtuple

import harness
import manuals
import tmux
import tracking

PAGES = 65536  # of the file that is read
MISTAKE = """\
policies:
  - name: busy-writer
    for_each: process
    when: {metric: rates, treshold: 50000}
    then: [log]
"""


def dirtyscope(*arguments, url="", directory=None, status=0):
    """The command, and what it says; its standard error comes along where a failure is expected."""
    done = subprocess.run([harness.BINARY, *arguments], stdout=subprocess.PIPE, text=True, check=False, cwd=directory,
                          stderr=subprocess.STDOUT if status else None, env={**os.environ, "DIRTYSCOPE_URL": url})
    harness.equal(done.returncode, status, f"exit status of dirtyscope {' '.join(arguments)}: {done.stdout}")
    return f"$ dirtyscope {' '.join(arguments)}\n{done.stdout}"


class World:
    """What the examples look at, made when the first of them asks for it."""

    def __init__(self):
        self.directory = harness.scratch()
        self.stack = contextlib.ExitStack()
        self.agent = None

    def close(self):
        self.stack.close()

    def data(self, mebibytes):
        """A file that is on the disk."""
        path = os.path.join(self.directory, f"data-{mebibytes}")
        if not os.path.exists(path):
            with open(path, "wb") as file:
                file.write(os.urandom(mebibytes << 20))
                file.flush()
                os.fsync(file.fileno())
        return path

    def url(self):
        """Of an agent that has just seen the disk read a file past the page cache."""
        if not self.agent:
            path = self.data(256)
            self.agent = self.stack.enter_context(harness.Agent(interval=2, listen=f"unix:{self.directory}/socket"))
            self.agent.settle()
            for _ in range(8):  # some kernels hide completions from BPF now and then
                if self.read_pages(path) == PAGES:
                    break
        return self.agent.url

    def read_pages(self, path):
        """How many pages the agent saw a read of that file fill, once the interval that holds it has ended."""
        with subprocess.Popen(["dd", f"if={path}", "of=/dev/null", "bs=1M", "iflag=direct"], stderr=subprocess.DEVNULL) as dd:
            dd.wait()
        with contextlib.suppress(AssertionError):
            return harness.eventually("the interval that holds the read has ended", lambda: sum(
                flow["pages"] for flow in self.agent.json(f"/api/v1/flows?pid={dd.pid}")["flows"]), 20)
        return 0


def table(*arguments):
    return lambda world: dirtyscope(*arguments, url=world.url())


def one_track(world, then):
    """A process that stores into 3 pages, and has the disk read into 64 others through a buffer of its own."""
    url, path = world.url(), world.data(256)
    with tracking.Writer("private", 2048) as writer:
        begun = dirtyscope("track", "start", "--pid", str(writer.pid), url=url)
        number = re.search(r"^track (\d+)", begun, re.M)[1]
        writer.do("store", 100, 101, 102)
        writer.do("direct", path, *range(64))
        text = begun + dirtyscope("track", "collect", number, url=url) + dirtyscope("track", "ack", number, "1", url=url)
        return text + then(writer, url, number)


def stop(_, url, number):
    return dirtyscope("track", "stop", number, url=url)


def forecast(writer, url, number):
    for seed in range(10):
        writer.do("write", seed, 50)
        time.sleep(0.1)  # so long is the epoch
        dirtyscope("track", "collect", number, "--ack", url=url)
    text = dirtyscope("track", "forecast", number, "--bandwidth", "100Mbit", "--downtime", "300ms", url=url)
    return text + stop(writer, url, number)


def live(world):
    """The screen of the live view, while a disk is read past the page cache."""
    read = ["dd", f"if={world.data(64)}", "of=/dev/null", "bs=256K", "iflag=direct"]
    with harness.Agent(interval=1, listen=f"unix:{world.directory}/live") as agent, tmux.Terminal(
            world.directory, tmux.quoted(harness.BINARY, "top", "-s", "dma", "--url", agent.url), 110, 16) as terminal:
        for _ in range(6):
            subprocess.run(read, check=True, stderr=subprocess.DEVNULL)
            time.sleep(0.9)
        terminal.sees("rows", lambda lines: any("dd" in line.split() for line in lines))
        return "$ dirtyscope top -s dma\n" + "\n".join(terminal.screen()) + "\n"


def recording(directory, options, done, during=lambda agent: ""):
    """What `dirtyscope agent` with these options says of its record until done(agent), and what `during` shows then."""
    with harness.Agent(*options, interval=1, listen=f"unix:{directory}/socket", prefix=("env", "-C", directory)) as agent:
        harness.eventually(f"agent {' '.join(options)}", lambda: done(agent))
        shown = during(agent)
        agent.stop(signal.SIGINT)
        lines = [line for line in agent.log().splitlines(True) if "record" in line]
    return f"$ dirtyscope agent {' '.join(options)}\n{''.join(lines)}{shown}"


def record(world):
    """A host whose disk reads a file again and again, for 20 snapshots, and their replay."""
    directory = os.path.join(world.directory, "host")
    os.mkdir(directory)
    loop = f"while sleep 0.5; do dd if={world.data(64)} of=/dev/null bs=1M iflag=direct 2>/dev/null; done"
    with subprocess.Popen(["sh", "-c", loop]) as reads:
        try:
            text = recording(directory, ("--record", "host.record"),
                             lambda agent: agent.json("/api/v1/summary")["record"]["snapshots"] >= 20)
        finally:
            reads.kill()
    return text + recording(directory, ("--replay", "host.record", "--replay-interval", "100ms"),
                            lambda agent: "has ended" in agent.log(),
                            lambda agent: dirtyscope("top", "-b", "-n", "1", "-l", "3", url=agent.url))


def mistake(world):
    with open(os.path.join(world.directory, "policy.yaml"), "w", encoding="utf-8") as file:
        file.write(MISTAKE)
    return "$ cat policy.yaml\n" + MISTAKE + dirtyscope("check", "policy.yaml", directory=world.directory, status=2)


# In this order they are made: the first ones within the interval that holds the read.
CONSOLE = {
    "top": table("top", "-b", "-n", "1", "-l", "3"),
    "devices": table("devices"),
    "flows": table("flows", "--limit", "3"),
    "sensors": table("sensors"),
    "track": lambda world: one_track(world, stop),
    "track-session": lambda world: one_track(world, forecast),
    "policy-mistake": mistake,
    "live": live,
    "record": record,
}


# ---- scripts: each line runs as it stands, but for where things are ----

# agent: one is running at the address of the script. install: what `make install` puts into /usr/local is there.
Script = namedtuple("Script", "agent install", defaults=(False, False))
SCRIPTS = {
    "make": Script(),
    "http": Script(agent=True),
    "stream": Script(agent=True),
    "tls": Script(),
    "prometheus": Script(install=True),
    "grafana": Script(install=True),
}
# Lines that go on until they are ended: how they begin, what they say once they work, what keeps them from the host's ports.
Service = namedtuple("Service", "begins says more")
SERVICES = [
    Service("make run", "listening", " B=BUILD ARGS='--web.listen-address unix:DIRECTORY/socket'"),
    Service("dirtyscope agent", "listening", " --web.listen-address 127.0.0.1:PORT"),
    Service("prometheus ", "Server is ready", " --web.listen-address=127.0.0.1:PORT"),
    Service("curl -s -N ", "event: snapshot", ""),
]
# `make test` is what runs this: what it would do is looked at.
REPLACED = {"make test": "make -n B=BUILD test | grep tests/run"}


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def lines_of(script):
    """One command each: continued lines are one, comments and blank lines are none."""
    for line in script.replace("\\\n", " ").split("\n"):
        line = re.sub(r"(^|\s+)#.*", "", line).strip()
        if line:
            yield re.sub(r"  +", " ", line)


class Runner:
    """Runs the lines of one script in a directory of its own."""

    def __init__(self, name, stack):
        self.script, self.stack = SCRIPTS[name], stack
        self.directory = harness.scratch()
        self.where = manuals.ROOT if name == "make" else self.directory
        self.port = free_port()
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}
        self.environment["PATH"] = f"{harness.BUILD}:{self.environment['PATH']}"
        self.build = os.path.relpath(harness.BUILD, manuals.ROOT)

    def prepare(self):
        if self.script.agent:
            agent = self.stack.enter_context(harness.Agent())
            self.port = agent.port
        if self.script.install:
            done = harness.run("make", f"B={self.build}", "install", f"DESTDIR={self.directory}", "prefix=/usr/local",
                               cwd=manuals.ROOT, env=self.environment, timeout=600)
            harness.equal(done.returncode, 0, f"make install: {done.stdout} {done.stderr}")
        for path in ("etc/grafana", "var/lib"):
            os.makedirs(os.path.join(self.directory, path))

    def here(self, line):
        """The line, with paths below the directory and the port of this script."""
        for path in ("/usr/local/", "/var/lib/", "/etc/grafana/"):
            line = re.sub(rf"(?<=[\s=]){path}", self.directory + path, line)
        for word, value in (("127.0.0.1:7243", f"127.0.0.1:{self.port}"), ("PORT", str(self.port)),
                            ("DIRECTORY", self.directory), ("BUILD", self.build)):
            line = line.replace(word, value)
        return line

    def serve(self, service, line):
        log = os.path.join(self.directory, f"log-{SERVICES.index(service)}")
        with open(log, "wb") as file:
            child = subprocess.Popen(["bash", "-c", "exec " + self.here(line + service.more)], cwd=self.where,
                                     env=self.environment, stdin=subprocess.DEVNULL, stdout=file, stderr=file,
                                     start_new_session=True)

        def end():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGTERM)
            child.wait()

        self.stack.callback(end)

        def works():
            with open(log, encoding="utf-8", errors="replace") as file:
                text = file.read()
            harness.true(child.poll() is None, f"{line!r} ended with {child.returncode}: {text[-500:]}")
            return service.says in text

        harness.eventually(f"{line!r} says {service.says!r}", works, 10 * harness.WAIT if line == "make run" else harness.WAIT)

    def run(self, line):
        if line.startswith("cd "):
            self.where = os.path.join(self.where, self.here(line).split()[1])
            return
        for service in SERVICES:
            if line.startswith(service.begins):
                self.serve(service, line)
                return
        last = []

        def done():
            last[:] = [harness.run("bash", "-c", "set -o pipefail; " + self.here(REPLACED.get(line, line)), cwd=self.where,
                                   env=self.environment)]
            return last[0].returncode == 0

        try:
            if line.startswith("dirtyscope "):  # its agent may not be ready yet
                harness.eventually(line, done, pause=0.5)
            else:
                harness.true(done(), f"{line!r} fails")
        except AssertionError as error:
            raise AssertionError(f"{error}: {last[0].stdout[-300:]} {last[0].stderr[-300:]}") from None


def run_script(name, text):
    with contextlib.ExitStack() as stack:
        runner = Runner(name, stack)
        runner.prepare()
        for line in lines_of(text):
            runner.run(line)


# ---- what two runs of an example have in common ----

HEADER = re.compile(r"^ *[A-Z][A-Z_]*(/s)?( +[A-Z][A-Z_]*(/s)?)+$")


def shape(text):
    """Commands with their numbers left out, the titles of columns, and how each other line begins; rows are left out."""
    found, in_table = [], False
    for line in text.rstrip().split("\n"):
        if line.startswith("$ "):
            in_table, part = False, re.sub(r"\d+", "N", line)
        elif HEADER.match(line):
            in_table, part = True, " ".join(line.split())
        elif not line or line.startswith("F1"):
            in_table, part = False, line[:6]
        elif in_table:
            continue
        elif message := re.search(r'level=(\w+) msg="([^"]+)"', line):
            part = " ".join(message.groups())
        else:
            part = re.match(r"[^\d:]*", line.strip())[0].split("  ")[0].split(" by ")[0].strip()
        found.append(part)
    return found
