# SPDX-License-Identifier: BSD-2-Clause
"""A guest of QEMU that writes at a steady rate: its program, and a machine that runs it, with QEMU's own account of things."""
import json
import os
import socket
import subprocess

from harness import equal, eventually, run, scratch, true

MIB = 1 << 20
TICKS = 1193182  # of the guest's timer, a second
directory = scratch()
SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "migrated.s")


def build(rate, working, memory, filled=None):
    """The guest's program: rate pages a second (0: as many as it can), over so many, in so many bytes; none of those
    below `filled` is zero."""
    name = os.path.join(directory, f"guest-{rate}-{working}-{memory >> 20}")
    for command in (["as", "--32", "--defsym", f"PERIOD={TICKS // rate if rate else 0}", "--defsym", f"WORKING={working}",
                     "--defsym", f"END={filled or memory}", "-o", name + ".o", SOURCE],
                    ["ld", "-m", "elf_i386", "-Ttext", "0x100000", "-o", name, name + ".o"]):
        done = run(*command)
        equal(done.returncode, 0, f"{command[0]}: {done.stderr}")
    return name


class Machine:
    """A QEMU with the guest, or one that waits for it; memory: bytes, or what QEMU is told of it."""

    def __init__(self, name, guest, memory, *more, incoming=None):
        self.name, self.bytes = name, memory
        self.console = os.path.join(directory, f"{name}.console")
        monitor = os.path.join(directory, f"{name}.qmp")
        command = ["qemu-system-x86_64", "-accel", "tcg", "-name", name, "-nodefaults", "-no-user-config", "-display", "none",
                   "-machine", "pc", "-m", str(memory // MIB), "-kernel", guest, "-debugcon", f"file:{self.console}",
                   "-qmp", f"unix:{monitor},server=on,wait=off", *more]
        if incoming:
            command += ["-incoming", f"unix:{incoming}"]
        self.child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.pid = self.child.pid
        self.monitor = socket.socket(socket.AF_UNIX)
        eventually("QEMU's monitor", lambda: self.monitor.connect_ex(monitor) == 0)
        self.lines = self.monitor.makefile("rw", encoding="utf-8")
        self.lines.readline()
        self.ask("qmp_capabilities")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.lines.close()
        self.monitor.close()
        self.child.kill()
        self.child.wait()

    def ask(self, command, **arguments):
        self.lines.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.lines.flush()
        while True:
            reply = json.loads(self.lines.readline())
            true("error" not in reply, f"{command}: {reply}")
            if "return" in reply:
                return reply["return"]

    def ready(self):
        eventually("the guest writes", lambda: os.path.exists(self.console) and os.path.getsize(self.console) > 0)

    def memory(self):
        """(start, end) of the guest's memory, by its size alone."""
        with open(f"/proc/{self.pid}/maps", encoding="ascii") as maps:
            for line in maps:
                start, end = (int(word, 16) for word in line.split()[0].split("-"))
                if end - start == self.bytes and line.split()[1].startswith("rw"):
                    return start, end
        raise AssertionError("QEMU has no mapping of the guest's size")
