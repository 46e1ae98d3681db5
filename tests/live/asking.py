# SPDX-License-Identifier: BSD-2-Clause
"""What an agent answers, and when, while something else goes on."""
import os
import statistics
import threading
import time

from harness import equal, true

LIMIT = 0.1  # seconds in which 99 of 100 answers come
BUSY_LIMIT = 3  # while others take both cores; before tracks had threads of their own it was 20 s
ASKED = ("/-/healthy", "/metrics", "/api/v1/tracks", "/api/v1/summary", "/api/v1/processes?limit=5", "/api/v1/events")


def limit():
    """Where others take the cores, how long anything takes says little."""
    return BUSY_LIMIT if os.getloadavg()[0] > os.cpu_count() else LIMIT


class Meanwhile(threading.Thread):
    """Runs until the end of its `with`: `over` is set then."""

    def __init__(self):
        super().__init__(daemon=True)
        self.over = threading.Event()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()


class Asking(Meanwhile):
    """Asks for what touches tracks and for what does not, in turn, until the end of its `with`."""

    def __init__(self, agent):
        super().__init__()
        self.agent = agent
        self.seconds = {path: [] for path in ASKED}
        self.error = None

    def run(self):
        try:
            while not self.over.is_set():
                for path in ASKED:
                    begin = time.monotonic()
                    equal(self.agent.get(path, timeout=60).status, 200, path)
                    self.seconds[path].append(time.monotonic() - begin)
                time.sleep(0.005)
        except Exception as error:  # told by the test's thread
            self.error = error

    def judge(self):
        if self.error:
            raise self.error
        allowed, notes = limit(), []
        for path, seconds in self.seconds.items():
            worst = statistics.quantiles(seconds, n=100)[-1] if len(seconds) > 1 else max(seconds)
            notes.append(f"{path}: p99 {worst * 1000:.0f} ms, median {statistics.median(seconds) * 1000:.1f} ms, of {len(seconds)}")
            true(worst < allowed, f"{notes[-1]}; {allowed} s are allowed")
        return notes

    def summary(self):
        """judge(), in one line."""
        self.judge()
        slowest = max(self.seconds, key=lambda path: max(self.seconds[path]))
        every = [one for seconds in self.seconds.values() for one in seconds]
        worst = statistics.quantiles(every, n=100)[-1] if len(every) > 1 else max(every)
        return (f"{len(every)} answers meanwhile: p99 {worst * 1000:.0f} ms, "
                f"the slowest {max(self.seconds[slowest]) * 1000:.0f} ms ({slowest})")
