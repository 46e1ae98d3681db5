# SPDX-License-Identifier: BSD-2-Clause
"""writer.py FILE COMM: stores into its memory and has the disk read into it, all the time, under a name of its choice."""
import mmap
import os
import sys
import time

MIB = 1 << 20
SIZE = 8 * MIB

with open(sys.argv[1], "wb") as file:
    file.write(os.urandom(SIZE))
    os.fsync(file.fileno())
with open("/proc/self/comm", "w", encoding="utf-8") as comm:
    comm.write(sys.argv[2])
disk = os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECT)
memory = mmap.mmap(-1, 4 * SIZE)
view = memoryview(memory)
print("ready", flush=True)
turn = 0
while True:
    turn += 1
    # By the disk: another eighth of the first 8 MiB; by the CPU: each third page of the next 8 MiB.
    at = turn % 8 * MIB
    os.preadv(disk, [view[at:at + MIB]], at)
    for page in range(SIZE, 2 * SIZE, 3 * mmap.PAGESIZE):
        memory[page] = turn & 255
    fresh = mmap.mmap(-1, MIB)
    for page in range(0, MIB, mmap.PAGESIZE):
        fresh[page] = 1
    fresh.close()
    time.sleep(0.1)
