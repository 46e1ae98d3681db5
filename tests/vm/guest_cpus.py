# SPDX-License-Identifier: BSD-2-Clause
"""The guest's part of the tests of CPUs that come and go: writers that write all the time, and count it themselves."""
import os
import threading

CPUS = "/sys/devices/system/cpu"
STEP = 16  # pages


class Load(threading.Thread):
    """Has one writer write, until it is told to stop."""

    def __init__(self, holder):
        super().__init__(daemon=True)
        self.holder, self.pages, self.stopped = holder, 0, threading.Event()
        self.start()

    def run(self):
        while not self.stopped.is_set():
            self.holder.stdin.write(f"spend {STEP}\n")
            self.holder.stdin.flush()
            if not self.holder.stdout.readline():
                return
            self.pages += STEP


def register(function, state, harness):
    state.loads = {}

    def first_touch(name):
        process = state.agent.process(state.holders[name].pid)
        return process["written"]["cpu"]["first_touch"]

    @function
    def cpus(which):
        with open(f"{CPUS}/{which}", encoding="ascii") as file:
            return file.read().strip()

    @function
    def cpu_is_there(cpu):
        return os.path.exists(f"{CPUS}/cpu{cpu}/online")

    @function
    def cpu_online(cpu, on):
        with open(f"{CPUS}/cpu{cpu}/online", "w", encoding="ascii") as file:
            file.write("1" if on else "0")

    @function
    def pin(name, *which):
        os.sched_setaffinity(state.holders[name].pid, which)

    @function
    def load_begin(names):
        """Pages that the agent has of each writer before it begins."""
        state.agent.settle()
        before = {name: first_touch(name) for name in names}
        state.loads = {name: Load(state.holders[name]) for name in names}
        return before

    @function
    def load_pages():
        """Pages written so far, by each writer's own count."""
        return {name: load.pages for name, load in state.loads.items()}

    @function
    def load_end():
        """[pages by each writer's own count, pages that the agent has of it now]."""
        for load in state.loads.values():
            load.stopped.set()
        for load in state.loads.values():
            load.join()
        state.agent.settle()
        return [load_pages(), {name: first_touch(name) for name in state.loads}]
