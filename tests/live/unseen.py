# SPDX-License-Identifier: BSD-2-Clause
"""Completions that no BPF program can see: a kernel may run none while a task of pid 1 is current.

Kernels of some sandboxes hide their supervisor so; an interrupt that meets it is hidden along.
ftrace sees such completions. A test that asks for exact numbers measures again then.
"""
import os
import re

from harness import run

TRACEFS = "/sys/kernel/tracing"
EVENT = "events/block/block_rq_complete"
READ = re.compile(r"-(\d+) +\[\d+\] .*block_rq_complete: \S+ R\w* ")


class Unseen:
    """with Unseen() as unseen: ...; unseen.count() then. Without tracefs it knows of none."""

    def __init__(self):
        self.instance = f"{TRACEFS}/instances/dirtyscope-test-{os.getpid()}"

    def _write(self, name, text):
        with open(f"{self.instance}/{name}", "w", encoding="ascii") as file:
            file.write(text)

    def __enter__(self):
        if not os.path.isdir(f"{TRACEFS}/instances"):
            run("mount", "-t", "tracefs", "tracefs", TRACEFS)
        try:
            os.mkdir(self.instance)
            self._write("buffer_size_kb", "1024")
            self._write(f"{EVENT}/enable", "1")
        except OSError:
            pass
        return self

    def count(self):
        """Read completions so far that came upon a task of pid 1."""
        try:
            with open(f"{self.instance}/trace", encoding="utf-8", errors="replace") as trace:
                tasks = [int(task) for task in READ.findall(trace.read())]
            return sum(os.path.exists(f"/proc/1/task/{task}") for task in tasks)
        except OSError:
            return 0

    def __exit__(self, *_):
        try:
            self._write(f"{EVENT}/enable", "0")
            os.rmdir(self.instance)
        except OSError:
            pass
