# SPDX-License-Identifier: BSD-2-Clause
"""What the live suites share: TAP, the agent as a child process, the workload, HTTP."""
import atexit
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

BUILD = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build")
BINARY = os.path.abspath(os.environ.get("TEST_BINARY", os.path.join(BUILD, "dirtyscope")))
WORKLOAD = os.path.join(BUILD, "tests/live/workload")
INTERVAL = 0.2
# Seconds after which nothing that is waited for will come any more. A wait ends when what it waits for is there,
# so this costs nothing; the machine may have other work, or its CPU may be emulated.
WAIT = 60 * float(os.environ.get("TEST_PATIENCE", "1"))

# A suite that runs out of time still stops its agent and takes its files away.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))


class Skip(Exception):
    """Names what is missing."""


def equal(got, want, what):
    if got != want:
        raise AssertionError(f"{what}: {got!r}, expected {want!r}")


def within(got, low, high, what):
    if not low <= got <= high:
        raise AssertionError(f"{what}: {got!r}, expected {low!r} to {high!r}")


def true(got, what):
    if not got:
        raise AssertionError(what)


SLOW = float(os.environ.get("TEST_SLOW", "5"))  # seconds from which a test says how long it took


class Suite:
    """Tests in the order of their definition; one failing does not stop the others."""

    def __init__(self):
        self.tests = []

    def test(self, name, *args):
        def add(function):
            self.tests.append((name, function, args))
            return function
        return add

    def run(self):
        only = os.environ.get("TEST", "")
        tests = [test for test in self.tests if only in test[0]]
        print(f"1..{len(tests)}", flush=True)
        failed = 0
        for number, (name, function, args) in enumerate(tests, 1):
            notes, result, skip, begin = [], "ok", "", time.monotonic()
            try:
                notes = function(*args) or []
            except Skip as missing:
                skip = f" # SKIP {missing}"
            except Exception as error:  # a broken test is a failed test
                result, failed = "not ok", failed + 1
                notes = [f"{type(error).__name__}: {error}"]
                if not isinstance(error, AssertionError):
                    notes += traceback.format_exc().splitlines()[-6:]
                else:
                    notes += [f"at {frame.filename.rsplit('/', 1)[-1]}:{frame.lineno}" for frame
                              in traceback.extract_tb(error.__traceback__)[1:-1]]
            print(f"{result} {number} - {name}{skip}")
            for note in [notes] if isinstance(notes, str) else notes:
                print("# " + str(note).replace("\n", "\n# "))
            if time.monotonic() - begin >= SLOW:
                print(f"# {time.monotonic() - begin:.1f} s")
            sys.stdout.flush()
        sys.exit(1 if failed else 0)


def scratch():
    """A directory on the build's disk, not on tmpfs; gone at exit."""
    path = tempfile.mkdtemp(prefix="live-", dir=BUILD)
    os.chmod(path, 0o755)
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


def eventually(what, condition, seconds=WAIT, pause=0.05):
    """The first true value of condition(); fails when there is none in time. Who gives the seconds tests them."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(pause)


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()

    def text(self):
        return self.body.decode("utf-8")

    def json(self):
        return json.loads(self.text())


class Agent:
    """A running agent, ready to answer; stopped at the end of its `with`."""

    def __init__(self, *options, listen="127.0.0.1:0", interval=INTERVAL, prefix=(), alone=False):
        """alone: as users run it, so that it tracks only where no other such agent does."""
        self.directory = scratch()
        self.log_path = os.path.join(self.directory, "log")
        self.listen = listen
        self.command = [*prefix, BINARY, "agent", *([] if alone else ["--allow-second"]), "--web.listen-address", listen,
                        "--interval", str(interval), *options]
        self.interval = interval
        self.child = None
        self.url = None

    def __enter__(self):
        with open(self.log_path, "wb") as log:
            self.child = subprocess.Popen(self.command, stdin=subprocess.DEVNULL,
                                          stdout=subprocess.DEVNULL, stderr=log)
        atexit.register(self.stop)
        try:
            self.url = eventually("the agent listens", self.listening)
            eventually("the agent is ready", lambda: self.get("/-/ready").status == 200)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return log.read()

    def listening(self):
        if self.child.poll() is not None:
            raise AssertionError(f"the agent ended with {self.child.returncode}: {self.log()}")
        found = re.search(r'msg="?listening"? address="?([^"\s]+)', self.log())
        return found and found.group(1)

    @property
    def pid(self):
        return self.child.pid

    @property
    def port(self):
        return int(self.url.rstrip("/").rsplit(":", 1)[1])

    def stop(self, number=signal.SIGTERM):
        """Its exit status."""
        atexit.unregister(self.stop)
        if self.child.poll() is None:
            self.child.send_signal(number)
            try:
                self.child.wait(WAIT)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        return self.child.returncode

    def connection(self, timeout=WAIT):
        if self.listen.startswith("unix:"):
            return UnixConnection(self.listen[5:], timeout)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def request(self, method, path, body=None, headers=None, timeout=WAIT):
        connection = self.connection(timeout)
        try:
            connection.request(method, path, body, headers or {})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def get(self, path, headers=None, timeout=WAIT):
        return self.request("GET", path, None, headers, timeout)

    def json(self, path):
        answer = self.get(path)
        equal(answer.status, 200, f"GET {path}: {answer.body[:200]!r}")
        return answer.json()

    def settle(self):
        """Until a snapshot is out whose reading began after this call."""
        seen = {self.json("/api/v1/processes?limit=1")["time"]}
        eventually("two more snapshots", lambda: (
            seen.add(self.json("/api/v1/processes?limit=1")["time"]) or len(seen) >= 3), pause=self.interval / 4)

    def process(self, pid):
        """What the API says of a pid, or None."""
        answer = self.get(f"/api/v1/processes/{pid}")
        if answer.status == 404:
            return None
        equal(answer.status, 200, f"process {pid}")
        return answer.json()

    def written(self, pid):
        process = self.process(pid)
        if not process:
            return dict.fromkeys(("first_touch", "rewrite", "kernel", "tracked", "pagecache", "dma"), 0)
        written = process["written"]
        return {**written["cpu"], "pagecache": written["pagecache"], "dma": written["dma"]}

    def processes(self, query=""):
        """All that are listed, page by page."""
        found, offset = [], 0
        while True:
            answer = self.json(f"/api/v1/processes?limit=1000&offset={offset}{query}")
            found += answer["processes"]
            offset += 1000
            if offset >= answer["total"]:
                return found

    def devices(self):
        return {device["id"]: device for device in self.json("/api/v1/devices")["devices"]}

    def sensors(self):
        return {sensor["name"]: sensor for sensor in self.json("/api/v1/sensors")["sensors"]}

    def metrics(self, accept="text/plain"):
        """{(name, ((label, value), ...)): number} in order; duplicates are an error."""
        answer = self.get("/metrics", {"Accept": accept})
        equal(answer.status, 200, "GET /metrics")
        series = {}
        for line in answer.text().splitlines():
            if line and not line.startswith("#"):
                key, value = parse_sample(line)
                true(key not in series, f"/metrics has {key} twice")
                series[key] = value
        return series

    def total(self, writer):
        """Pages of the host by one writer."""
        return self.metrics()["dirtyscope_written_pages_total", (("writer", writer),)]

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def rss(self):
        """KiB."""
        return rss(self.pid)


def rss(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as status:
        return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1))


SAMPLE = re.compile(r'([A-Za-z_:][\w:]*)(?:\{(.*)\})? ([^ ]+)(?: [0-9.]+)?$')
LABEL = re.compile(r'([A-Za-z_]\w*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)')


def parse_sample(line):
    sample = SAMPLE.match(line)
    true(sample, f"/metrics line is not a sample: {line!r}")
    labels, text, position = [], sample.group(2) or "", 0
    while position < len(text):
        label = LABEL.match(text, position)
        true(label, f"/metrics labels are malformed: {line!r}")
        value = re.sub(r'\\(.)', lambda escape: {"n": "\n"}.get(escape[1], escape[1]), label[2])
        labels.append((label[1], value))
        position = label.end()
    return (sample.group(1), tuple(labels)), float(sample.group(3))


class Workload:
    """The workload program, in its steps; killed at the end of its `with`."""

    def __init__(self, route, pages, *arguments):
        command = [WORKLOAD, route, str(pages), *map(str, arguments)]
        self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE, text=True)
        self.pid = self.other = None
        self.result = {}

    def __enter__(self):
        line = self.child.stdout.readline().split()
        if len(line) != 3 or line[0] != "ready":
            message = self.child.stderr.read().strip()
            self.stop()
            raise AssertionError(f"no workload: {message}")
        self.pid, self.other = int(line[1]), int(line[2])
        return self

    def __exit__(self, *_):
        self.stop()

    def line(self, text):
        self.child.stdin.write(text + "\n")
        self.child.stdin.flush()

    def start(self):
        self.line("go")

    def finish(self):
        """Its JSON line, after it is done."""
        if self.child.stdout.readline() != "done\n":
            raise AssertionError(f"the workload failed: {self.child.stderr.read().strip()}")
        self.result = json.loads(self.child.stdout.readline())
        return self.result

    def go(self):
        self.start()
        return self.finish()

    def stop(self):
        """The end of its input ends it, and its children."""
        self.child.stdin.close()
        try:
            self.child.wait(WAIT)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        self.child.stdout.close()
        self.child.stderr.close()


def run(*command, timeout=2 * WAIT, **options):
    """Output as text, invalid bytes kept."""
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=timeout, encoding="utf-8",
                          errors="surrogateescape", check=False, **options)


def require_root():
    """Loading BPF programs needs it; nothing else is worth a test then."""
    if os.geteuid() != 0:
        print("1..1\nok 1 - all # SKIP root")
        sys.exit(0)


def disk_of(path):
    """(disk's name, id of the device that it belongs to) of the file system of a path."""
    number = os.stat(path).st_dev
    node = os.path.realpath(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}")
    if os.path.exists(os.path.join(node, "partition")):
        node = os.path.dirname(node)
    device = os.path.realpath(os.path.join(node, "device"))
    while not os.path.exists(os.path.join(device, "driver")) or not os.path.exists(
            os.path.join(device, "subsystem")) or os.path.basename(os.path.realpath(
                os.path.join(device, "subsystem"))) not in ("pci", "virtio", "platform", "xen"):
        device = os.path.dirname(device)
        if device in ("/", "/sys", "/sys/devices"):
            raise Skip("a disk with a device behind it")
    bus = os.path.basename(os.path.realpath(os.path.join(device, "subsystem")))
    return os.path.basename(node), f"{bus}/{os.path.basename(device)}"
