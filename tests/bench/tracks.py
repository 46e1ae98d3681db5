# SPDX-License-Identifier: BSD-2-Clause
"""What a track costs: an epoch, against a bare scan and a full read of the page table; and its target."""
import contextlib
import ctypes
import fcntl
import os
import statistics
import subprocess
import threading
import time

from harness import Agent, require_root, scratch
from tracking import PAGE, Track, Writer

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
PERMILLES = [1, 10, 100, 1000]
GIB = 1 << 30
SECONDS = 1.5

# include/uapi/linux/fs.h
PAGEMAP_SCAN, WP_MATCHING, CHECK_WPASYNC, WRITTEN = 0xc0606610, 1, 2, 2
REGIONS = 4096


class ScanArgument(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in (
        "size", "flags", "start", "end", "walk_end", "vec", "vec_len", "max_pages", "inverted", "mask", "anyof", "returned")]


class PageTable:
    """The writer's, from outside; what it costs to read, in seconds."""

    def __init__(self, writer):
        self.fd = os.open(f"/proc/{writer.pid}/pagemap", os.O_RDONLY)
        self.start, self.end = writer.address, writer.address + writer.pages * PAGE
        self.regions = (ctypes.c_uint64 * (3 * REGIONS))()
        self.buffer = bytearray(1 << 20)

    def scan(self):
        """Reads what was written and protects it again: no more than any tracker must do."""
        argument = ScanArgument(size=ctypes.sizeof(ScanArgument), flags=WP_MATCHING | CHECK_WPASYNC, start=self.start,
                                end=self.end, vec=ctypes.addressof(self.regions), vec_len=REGIONS, mask=WRITTEN, returned=WRITTEN)
        begin = time.perf_counter()
        while argument.start < self.end:
            fcntl.ioctl(self.fd, PAGEMAP_SCAN, argument)
            argument.start = argument.walk_end
        return time.perf_counter() - begin

    def read(self):
        """All entries, as soft-dirty's trackers do; they write clear_refs as well, which this host lacks."""
        begin, offset, end = time.perf_counter(), self.start // PAGE * 8, self.end // PAGE * 8
        while offset < end:
            offset += os.preadv(self.fd, [memoryview(self.buffer)[:min(len(self.buffer), end - offset)]], offset)
        return time.perf_counter() - begin

    def close(self):
        os.close(self.fd)


def quartiles(values):
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


@contextlib.contextmanager
def reads(directory):
    """Unrelated reads of the disk, past the page cache."""
    path, stop = os.path.join(directory, "reads"), threading.Event()
    with open(path, "wb") as file:
        file.write(os.urandom(64 << 20))
        os.fsync(file.fileno())

    def work():
        while not stop.is_set():
            subprocess.run(["dd", f"if={path}", "of=/dev/null", "bs=64K", "iflag=direct"], stderr=subprocess.DEVNULL, check=True)
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def collect(agent, track):
    """An epoch by HTTP, as bitmaps: what a consumer waits for; and what the agent took for the reading."""
    begin = time.perf_counter()
    answer = agent.request("POST", f"/api/v1/tracks/{track.id}/collect", "", {"Accept": "application/octet-stream"}, timeout=60)
    seconds = time.perf_counter() - begin
    track.ack(int.from_bytes(answer.body[16:24], "little"))
    return seconds


def epochs(agent, size, note, permilles):
    with Writer("private", size // PAGE, 1) as writer, Track(agent, {"pid": writer.pid}) as track:
        table = PageTable(writer)
        seed = 0
        for permille in permilles:
            whole, inner, bare, full = [], [], [], []
            for _ in range(ROUNDS):
                for measure in (whole, bare):
                    seed += 1
                    writer.do("write", seed, permille)
                    if measure is whole:
                        whole.append(collect(agent, track))
                        inner.append(track.call("GET", "")["collect_seconds"])
                    else:
                        bare.append(table.scan())
                full.append(table.read())
                collect(agent, track)  # the bare scan took the pages from the track; settle
            ratios = [one / other for one, other in zip(inner, bare)]
            print(f"| {size // GIB} GiB{note} | {permille / 10:g} % | {statistics.median(bare) * 1000:.1f} | "
                  f"{statistics.median(inner) * 1000:.1f} | {quartiles(ratios)} | {statistics.median(whole) * 1000:.1f} | "
                  f"{statistics.median(full) * 1000:.1f} |", flush=True)
        table.close()


def throughput(writer, every=0.0, read=lambda: None):
    """Passes over the same tenth of its memory, a second in which nobody reads; read(): each so many seconds."""
    begin = last = time.perf_counter()
    passes, spent = 0, 0.0
    while (now := time.perf_counter()) - begin < SECONDS:
        if every and now - last >= every:
            read()
            last = now
            spent += time.perf_counter() - now
        writer.do("write", 1, 100)
        passes += 1
    return passes / max(time.perf_counter() - begin - spent, 0.01)


def slowdown(agent):
    """Under a track, and where the process protects itself and nobody else has to do with it: less it cannot cost."""
    print("\n| a process that writes the same 26 MiB again and again | under a track | protecting itself |\n|---|---|---|")
    for name, every, threads in (("read each second", 1.0, 1), ("each 100 ms", 0.1, 1),
                                 ("each second, two threads on neighbouring pages", 1.0, 2)):
        tracked, alone = [], []
        for _ in range(ROUNDS):
            with Writer("private", 65536, threads) as writer:
                without = throughput(writer)
                with Track(agent, {"pid": writer.pid}) as track:
                    tracked.append(throughput(writer, every, lambda: collect(agent, track)) / without)
                without = throughput(writer)
                writer.do("protect")
                alone.append(throughput(writer, every, lambda: writer.do("scan")) / without)
        print(f"| {name} | {quartiles(tracked)} | {quartiles(alone)} |", flush=True)


def main():
    require_root()
    directory = scratch()
    print(f"\n**Tracks, {ROUNDS} interleaved rounds; milliseconds, medians; load average {os.getloadavg()[0]:.1f}**\n")
    print("| target | written | bare scan | epoch in the agent | ratio of these (quartiles) | HTTP and bitmaps with it | "
          "full page table read |\n|---|---|---|---|---|---|---|")
    with Agent("--track-memory", "4G", listen=f"unix:{directory}/socket", interval=1) as agent:
        for size in (GIB, 4 * GIB):
            epochs(agent, size, "", PERMILLES)
        with reads(directory):
            epochs(agent, 4 * GIB, ", disk busy", [10])
        slowdown(agent)


if __name__ == "__main__":
    main()
