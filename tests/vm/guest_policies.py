# SPDX-License-Identifier: BSD-2-Clause
"""The guest's part of the tests of policies: an agent with rules, a reader in a cgroup, a process with memory."""
import glob
import os
import re
import signal
import time

PAGE = 4096
CGROUPS = "/sys/fs/cgroup"

# Reads a disk, past the page cache, while it is told to: "1", "0".
READER = """
import mmap, os, select, sys
fd = os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECT)
buffer, size, at, going = mmap.mmap(-1, 131072), os.lseek(fd, 0, os.SEEK_END), 0, False
print("ready", flush=True)
while True:
    if select.select([sys.stdin], [], [], 0 if going else None)[0]:
        line = sys.stdin.readline()
        if not line:
            break
        going = line == "1\\n"
        print("done", flush=True)
    if going:
        at = (at + os.preadv(fd, [buffer], at)) % (size // 131072 * 131072)
"""

# Two mappings of known content, one of which it writes all the time; their own advice keeps each apart
# from what else is there. Tells their addresses; to any line, how many pages are not what was written last.
KEEPER = """
import ctypes, mmap, select, sys
def anonymous(pages, advice):
    memory = mmap.mmap(-1, int(pages) * 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(advice)
    return memory
def content(page, seed):
    return b"%016d%016d" % (page, seed) * 128
def fill(memory, seed):
    for page in range(len(memory) // 4096):
        memory[page * 4096:(page + 1) * 4096] = content(page, seed)
def wrong(memory, seed):
    return sum(memory[page * 4096:(page + 1) * 4096] != content(page, seed) for page in range(len(memory) // 4096))
def address(memory):
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))
cold, hot = anonymous(sys.argv[1], mmap.MADV_DONTFORK), anonymous(sys.argv[2], mmap.MADV_DONTDUMP)
fill(cold, 7)
seed = 0
print(address(cold), address(hot), flush=True)
while True:
    seed += 1
    fill(hot, seed)
    if select.select([sys.stdin], [], [], 0.1)[0]:
        if not sys.stdin.readline():
            break
        print(wrong(cold, 7), wrong(hot, seed), flush=True)
"""


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def register(function, state, harness):
    def write(path, text):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    @function
    def ruled_start(text, *options):
        harness()
        import rules  # beside harness.py
        state.ruled = rules.Ruled(text, *options)
        state.ruled.__enter__()

    @function
    def ruled_end(kill=False):
        return state.ruled.agent.stop(signal.SIGKILL if kill else signal.SIGTERM)

    @function
    def ruled_again():
        """The same agent, with the same files."""
        state.ruled.__enter__()

    @function
    def ruled_reload(text):
        state.ruled.write(text)
        return state.ruled.call("POST", "/-/reload")

    @function
    def ruled_state():
        """How many targets are in each state."""
        return state.ruled.states()

    @function
    def ruled_results():
        return [[*key, count] for key, count in state.ruled.results().items()]

    @function
    def ruled_events(kind):
        return [[event["subject"], event["message"]] for event in state.ruled.events(kind)]

    @function
    def cgroup_make(name):
        write(f"{CGROUPS}/cgroup.subtree_control", "+io")
        os.mkdir(f"{CGROUPS}/{name}")

    @function
    def cgroup_remove(name):
        os.rmdir(f"{CGROUPS}/{name}")

    @function
    def io_max(name):
        return read(f"{CGROUPS}/{name}/io.max")

    @function
    def disk_number(disk):
        return read(f"/sys/class/block/{disk}/dev").strip()

    @function
    def reader(name, disk):
        """A process in a cgroup of that name."""
        script = f'echo $$ >{CGROUPS}/{name}/cgroup.procs && exec python3 -c "$0" /dev/{disk}'
        return ["sh", "-c", script, READER]

    @function
    def keeper(*pages):
        return ["python3", "-c", KEEPER, *map(str, pages)]

    @function
    def read_rate(disk, name, seconds):
        """[the disk's, the cgroup's] pages per second that came from the disk, as the kernel counts them."""
        number = disk_number(disk)
        # Of an NVMe disk, before Linux 6.4, only its path counts; the disk itself tells 0.
        node = (glob.glob("/sys/block/" + re.sub(r"^(nvme\d+)n", r"\1c*n", disk)) + [f"/sys/block/{disk}"])[0]

        def count():
            used = re.search(rf"^{number} .*?rbytes=(\d+)", read(f"{CGROUPS}/{name}/io.stat"), re.M)
            return time.monotonic(), int(read(f"{node}/stat").split()[2]) // 8, int(used[1]) // PAGE
        begin = count()
        time.sleep(seconds)
        end = count()
        return [(end[which] - begin[which]) / (end[0] - begin[0]) for which in (1, 2)]

    @function
    def swapped(pid, *regions):
        """Pages in swap: of each [address, pages], which are mappings of their own, and of the whole process."""
        found, inside, whole, size = [0] * len(regions), [], 0, 0
        for line in read(f"/proc/{pid}/smaps").splitlines():
            head = re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line)
            if head:
                start, end = int(head[1], 16), int(head[2], 16)
                inside = [index for index, (address, pages) in enumerate(regions)
                          if address <= start and end <= address + pages * PAGE]
                size += sum(end - start for _ in inside)
            elif line.startswith("Swap:"):
                pages = int(line.split()[1]) // 4
                whole += pages
                for index in inside:
                    found[index] += pages
        if size != sum(pages for _, pages in regions) * PAGE:
            raise OSError(f"smaps of {pid} has {size} bytes of {regions}")
        return found + [whole]

    @function
    def swapped_by_epoch(pid, seconds):
        """[pages in swap, epochs that the policy's track had begun when they were counted], until it is over."""
        found, end = [], time.monotonic() + seconds
        while time.monotonic() < end:
            pages = swapped(pid)[0]
            tracks = [one for one in state.ruled.agent.json("/api/v1/tracks")["tracks"] if one["state"] == "active"]
            if tracks:
                found.append([pages, tracks[0]["epoch"]])
            time.sleep(0.1)
        return found
