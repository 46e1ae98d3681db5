# SPDX-License-Identifier: BSD-2-Clause
"""A load for a machine while its tests run: tasks that are always busy, of the same priority as they."""
import ctypes
import mmap
import os
import signal
import subprocess
import sys

SPINNERS, WRITERS = 6, 2  # a load average of 8
PATIENCE = 5  # times the seconds that a suite may take
MIB = 1 << 20
PR_SET_PDEATHSIG = 1


def spin():
    while True:
        pass


def write_and_read(path):
    """Dirties a file, has it written, and has the disk read it again."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
    fd, direct = os.open(path, flags), os.open(path, flags | os.O_DIRECT)
    buffer = mmap.mmap(-1, MIB)
    os.unlink(path)
    while True:
        for index in range(4):
            os.pwrite(fd, os.urandom(MIB), index * MIB)
        os.fdatasync(fd)
        for index in range(4):
            os.preadv(direct, [buffer], index * MIB)


class Load:
    """Busy for as long as its `with`; none without a directory for its files. It ends with its parent."""

    def __init__(self, directory):
        self.directory, self.children = directory, []

    def __enter__(self):
        if self.directory:
            words = ["spin"] * SPINNERS + ["write"] * WRITERS
            self.children = [subprocess.Popen([sys.executable, __file__, word, self.directory, str(os.getpid())])
                             for word in words]
        return self

    def __exit__(self, *_):
        for child in self.children:
            child.kill()
        for child in self.children:
            child.wait()


def main():
    what, directory, parent = sys.argv[1], sys.argv[2], int(sys.argv[3])
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        return
    if what == "spin":
        spin()
    write_and_read(os.path.join(directory, f"stress-{os.getpid()}"))


if __name__ == "__main__":
    main()
