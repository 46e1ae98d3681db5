# SPDX-License-Identifier: BSD-2-Clause
"""Nobody waits for a track: what the agent answers while tracks are started and collected; progress; who hangs up."""
import http.server
import json
import os
import pty
import signal
import socket
import subprocess
import sys
import threading
import time

from asking import Asking, limit
from harness import BINARY, Agent, Suite, disk_of, equal, eventually, require_root, scratch, true
from tracking import PAGE, Track, Writer, chosen, pages_of, same

TRACKS = 16
GIB = 1 << 30

suite = Suite()
directory = scratch()
agent = Agent("--max-tracks", str(TRACKS + 4), "--track-memory", "4G", listen=f"unix:{directory}/socket")

HUGE = """
import ctypes, mmap, sys, time
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
size, protection = int(sys.argv[1]), int(sys.argv[2])
at = libc.mmap(None, size, protection, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000, -1, 0)
assert at not in (None, ctypes.c_void_p(-1).value), ctypes.get_errno()
print(at, flush=True)
sys.stdin.read()
"""

MANY = """
import ctypes, mmap, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
count = int(sys.argv[1])
at = libc.mmap(None, 2 * count * 4096, 3, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
for i in range(count):
    ctypes.memset(at + 2 * i * 4096, 1, 1)
    if libc.mprotect(at + (2 * i + 1) * 4096, 4096, 0):
        sys.exit(f"mprotect: {ctypes.get_errno()} after {i}")
print(at, flush=True)
for line in sys.stdin:
    for page in map(int, line.split()):
        ctypes.memset(at + 2 * page * 4096, 2, 1)
    print("done", flush=True)
"""


class Script:
    """A Python program that maps memory, and prints where."""

    def __init__(self, text, *arguments):
        self.child = subprocess.Popen([sys.executable, "-c", text, *map(str, arguments)], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True)
        self.pid = self.child.pid
        line = self.child.stdout.readline()
        true(line.strip(), "the program maps its memory")
        self.address = int(line)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.kill()
        self.child.wait()
        self.child.stdin.close()
        self.child.stdout.close()


def page_tables(pid):
    """Bytes."""
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmPTE:"))


def side_by_side(calls):
    """Runs them at once; their results, or the first error."""
    results, errors = [None] * len(calls), []

    def run(index):
        try:
            results[index] = calls[index]()
        except Exception as error:
            errors.append(error)
    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results


@suite.test(f"{TRACKS} tracks are started and collected at once: all other answers come as ever")
def many_tracks():
    writers = [Writer("private", 16384) for _ in range(TRACKS - 2)]
    huge = [Script(HUGE, 256 * GIB, 3), Script(HUGE, 16 << 40, 0)]
    tracks = []
    try:
        os.kill(writers[0].pid, signal.SIGSTOP)
        with Asking(agent) as asking:
            tracks = side_by_side([lambda pid=one.pid: Track(agent, {"pid": pid}) for one in writers + huge])
            for _ in range(8):
                for number, writer in enumerate(writers[1:]):
                    writer.do("write", number, 500)
                side_by_side([track.collect for track in tracks])
        return asking.judge()
    finally:
        for track in tracks:
            track.__exit__()
        os.kill(writers[0].pid, signal.SIGCONT)
        for one in writers + huge:
            one.__exit__()


@suite.test("a target that gets no CPU holds up no other track, and no answer")
def starved():
    # What is wanted of it needs its own thread to run, behind one that never lets it.
    hog = subprocess.Popen(["nice", "-n", "-10", sys.executable, "-c", "import os\nos.sched_setaffinity(0, {0})\nwhile True: pass"])
    try:
        with Writer("private", 64, prefix=("nice", "-n", "19", "taskset", "-c", "0")) as victim, Writer("private", 64) as other:
            begun = threading.Event()

            def start():
                begun.set()
                answer = agent.request("POST", "/api/v1/tracks", json.dumps({"target": {"pid": victim.pid}}), timeout=60)
                return answer
            with Asking(agent) as asking:
                thread = threading.Thread(target=start)
                thread.start()
                begun.wait()
                with Track(agent, {"pid": other.pid}) as track:
                    other.do("store", 3, 5)
                    same(pages_of(track.collect(), other), {3, 5}, "the other track")
                thread.join()
            for one in agent.json("/api/v1/tracks")["tracks"]:
                agent.request("DELETE", f"/api/v1/tracks/{one['id']}")
            return asking.judge()
    finally:
        hog.kill()
        hog.wait()


@suite.test("a track that is being started is listed, with how far it has come")
def progress():
    with Writer("private", 262144) as writer:
        thread = threading.Thread(target=lambda: Track(agent, {"pid": writer.pid}))
        seen = {}
        thread.start()
        while thread.is_alive():
            for one in agent.json("/api/v1/tracks")["tracks"]:
                if one["target"].get("pid") == writer.pid:
                    seen[one["state"]] = one["progress"]
        thread.join()
        mine = [one for one in agent.json("/api/v1/tracks")["tracks"] if one["target"].get("pid") == writer.pid]
        equal((mine[0]["state"], mine[0]["progress"]), ("active", None), "in the end")
        agent.request("DELETE", f"/api/v1/tracks/{mine[0]['id']}")
        true("starting" in seen, f"it was seen while it began ({seen})")
        return f"{seen['starting']}"


@suite.test("a client that hangs up ends its collect, and no page is lost")
def hang_up():
    pages = 131072
    with Writer("private", pages) as writer, Track(agent, {"pid": writer.pid}) as track:
        for number in range(10):
            writer.do("write", number, 100)
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(f"{directory}/socket")
                client.sendall(f"POST /api/v1/tracks/{track.id}/collect HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
                               .encode("ascii"))
                time.sleep(number * 0.001)  # to be gone at different moments; none of them matters to the result
        want = set()
        for number in range(10):
            want |= chosen(number, pages, 100)
        same(pages_of(track.collect(), writer), want, "what all of them are owed")


def reserved(size, protection, what):
    started = collected = more = 0
    with Script(HUGE, size, protection) as huge:
        before = page_tables(huge.pid)
        for _ in range(5):
            begin = time.monotonic()
            with Track(agent, {"pid": huge.pid}) as track:
                one = time.monotonic() - begin
                started = min(started or one, one)
                track.collect()
                begin = time.monotonic()
                track.collect()
                one = time.monotonic() - begin
                collected = min(collected or one, one)
                more = max(more, page_tables(huge.pid) - before)
                told = track.call("GET", "")["memory_bytes"]
        true(more <= 1 << 20, f"{what}: page tables grew by {more} bytes")
        allowed = limit()
        true(started < allowed and collected < allowed, f"{what}: started in {started:.3f} s, collected in {collected:.3f} s")
        return f"page tables +{more // 1024} KiB, started in {started * 1000:.0f} ms, collected in {collected * 1000:.0f} ms, {told} bytes"


for size, protection, what in ((256 * GIB, 0, "256 GiB PROT_NONE"), (16 << 40, 0, "16 TiB PROT_NONE"), (256 * GIB, 3, "256 GiB never written")):
    suite.test(f"{what} cost nothing", size, protection, what)(reserved)


@suite.test("20 TiB that hold nothing, met by a device's track: a collect takes no longer")
def met_by_device():
    path = os.path.join(directory, "blocks")
    with open(path, "wb") as file:
        file.write(os.urandom(64 * PAGE))
        os.fsync(file.fileno())
    _, device = disk_of(directory)
    seconds = []
    with Script(HUGE, 20 << 40, 3), Writer("private", 64) as writer, Track(agent, {"device": device}) as track:
        for _ in range(10):
            writer.do("direct", path, *range(64))
            begin = time.monotonic()
            answer = track.collect()
            seconds.append(time.monotonic() - begin)
        true(answer["pages"]["dma"] >= 64, f"what the disk wrote: {answer['pages']}")
    true(min(seconds) < 2 * limit(), f"a collect took {min(seconds):.3f} to {max(seconds):.3f} s")
    return f"a collect took {min(seconds) * 1000:.0f} to {max(seconds) * 1000:.0f} ms"


@suite.test("100,000 mappings: tracked, and exact")
def mappings():
    limit = int(open("/proc/sys/vm/max_map_count", encoding="ascii").read())
    count = min(50000, limit // 2 - 200)
    with Script(MANY, count) as many:
        begin = time.monotonic()
        with Track(agent, {"pid": many.pid}) as track:
            started = time.monotonic() - begin
            track.collect()
            many.child.stdin.write(" ".join(map(str, range(0, count, 1000))) + "\n")
            many.child.stdin.flush()
            many.child.stdout.readline()
            begin = time.monotonic()
            answer = track.collect()
            collected = time.monotonic() - begin
            got = {(int(one["start"], 16) - many.address) // (2 * PAGE) for one in answer["ranges"]
                   if many.address <= int(one["start"], 16) < many.address + 2 * count * PAGE}
            true(set(range(0, count, 1000)) <= got, "what was written is told")
        return f"{2 * count} mappings: started in {started * 1000:.0f} ms, collected in {collected * 1000:.0f} ms"


class Slow(http.server.BaseHTTPRequestHandler):
    """An agent that is in the midst of a collect until it is told that the collect has ended."""
    ended = threading.Event()

    def answer(self, body):
        text = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_GET(self):
        self.answer({"progress": {"step": "reading what was written", "done": 3, "of": 12}})

    def do_POST(self):
        self.ended.wait(60)
        self.answer(json.loads(agent_answer))

    def log_message(self, *_):
        pass


@suite.test("a collect that takes over a second shows how far it is, on a terminal, and takes the line away")
def line():
    global agent_answer
    with Writer("private", 64) as writer, Track(agent, {"pid": writer.pid}) as track:
        agent_answer = agent.request("POST", f"/api/v1/tracks/{track.id}/collect", "").text()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        main_end, other_end = pty.openpty()
        child = subprocess.Popen([BINARY, "track", "collect", "1", "--url", f"http://127.0.0.1:{server.server_port}"], stderr=other_end,
                                 stdout=subprocess.PIPE, env={**os.environ, "TERM": "xterm"})
        os.close(other_end)
        seen = b""
        while b"reading what was written" not in seen:
            seen += os.read(main_end, 4096)
        Slow.ended.set()
        try:
            while True:
                more = os.read(main_end, 4096)
                if not more:
                    break
                seen += more
        except OSError:  # the other end is closed
            pass
        child.communicate(timeout=60)
        os.close(main_end)
        server.shutdown()
    equal(child.returncode, 0, "status")
    true(b"[######.................." in seen, f"a quarter of it is done ({seen!r})")
    true(seen.endswith(b"\r\x1b[K"), f"the line is taken away ({seen!r})")


def main():
    require_root()
    with agent:
        suite.run()


main()
