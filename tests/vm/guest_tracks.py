# SPDX-License-Identifier: BSD-2-Clause
"""The guest's part of the tests of tracks: a client of the agent, and a copier that relies on it."""
import ctypes
import errno
import glob
import os
import signal
import struct
import time

PAGE = 4096
SOCKET = "/dev/shm/tracks"
MIGRATE_PAGES = 256  # its number on x86
HEAD = 26  # bytes at a page's begin that tell its sector, where a disk wrote it


def online(path):
    """Is that block of memory online? One that is not is made so."""
    with open(path, encoding="ascii") as file:
        if file.read().strip() == "online":
            return True
    try:
        with open(path, "w", encoding="ascii") as file:
            file.write("online_kernel")
    except OSError as error:  # the kernel has done it meanwhile (drivers/base/memory.c: state_store())
        if error.errno != errno.EINVAL:
            raise
    return False


def register(function, state, harness):
    state.tracks = {}

    def tracking():
        harness()
        import tracking as module  # beside harness.py
        return module

    def in_region(answer, address, pages, **which):
        found = tracking().addresses(answer, **which)
        return sorted((one - address) // PAGE for one in found if address <= one < address + pages * PAGE)

    @function
    def tracks_agent():
        state.agent = harness().Agent(listen=f"unix:{SOCKET}")
        state.agent.__enter__()

    @function
    def track_start(pid):
        track = tracking().Track(state.agent, {"pid": pid})
        state.tracks[track.id] = track
        return track.info

    @function
    def track_collect(number, address, pages):
        """The epoch's pages within a region, by number; of devices, by each one's name."""
        answer = state.tracks[number].collect()
        devices = {name for one in answer["ranges"] for name in one["devices"]}
        return {"counts": answer["pages"], "all": in_region(answer, address, pages),
                "cpu": in_region(answer, address, pages, by="cpu"), "dma": in_region(answer, address, pages, by="dma"),
                "devices": {name: in_region(answer, address, pages, device=name) for name in devices}}

    def frames(pid, address, pages):
        with open(f"/proc/{pid}/pagemap", "rb") as file:
            file.seek(address // PAGE * 8)
            return [one & (1 << 55) - 1 for one in struct.unpack(f"{pages}Q", file.read(pages * 8))]

    @function
    def lowest_frame(pid, address, pages):
        return min(frames(pid, address, pages))

    @function
    def online_memory(start):
        """How many blocks of memory from that address on are online. What is offline is made so: for kernel memory, and pins."""
        with open("/sys/devices/system/memory/block_size_bytes", encoding="ascii") as file:
            size = int(file.read(), 16)
        count = 0
        for path in glob.glob("/sys/devices/system/memory/memory[0-9]*"):
            if int(os.path.basename(path)[len("memory"):]) * size < start:
                continue
            count += online(os.path.join(path, "state"))
        return count

    @function
    def migrate(pid, old, new):
        """Moves what can be moved of a process's memory from one node to another."""
        one, other = ctypes.c_ulong(1 << old), ctypes.c_ulong(1 << new)
        if ctypes.CDLL(None, use_errno=True).syscall(MIGRATE_PAGES, pid, 64, ctypes.byref(one), ctypes.byref(other)) < 0:
            raise OSError(ctypes.get_errno(), "migrate_pages")

    @function
    def track_stop(number):
        state.tracks.pop(number).call("DELETE", "")

    @function
    def sensor_losses():
        """{sensor: {reason: events}}, of those that lost any."""
        rows = state.agent.json("/api/v1/sensors")["sensors"]
        return {row["name"]: {reason: lost for reason, lost in row["lost"].items() if lost} for row in rows if any(row["lost"].values())}

    @function
    def heads(name, address, pages):
        """How each of those pages begins: that tells whether a disk's data is in it yet."""
        memory = os.open(f"/proc/{state.holders[name].pid}/mem", os.O_RDONLY)
        try:
            return [os.pread(memory, HEAD, address + page * PAGE).hex() for page in pages]
        finally:
            os.close(memory)

    def stop(pid):
        """Returns when it stands still."""
        os.kill(pid, signal.SIGSTOP)
        for _ in range(200):
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
                if file.read().rsplit(")", 1)[1].split()[0] == "T":
                    return
            time.sleep(0.02)
        raise OSError(f"{pid} does not stop")

    @function
    def precopy(name, number, address, pages, base, rounds):
        """
        Copies the region of a target that is being written, round after round, by what its track tells;
        then stops it and copies the last epoch. A second copy is given the CPUs' part alone. Pages that
        differ in the end, by number: [of the first, of the second]; and of each round, how many pages it
        copied, how many of the CPUs' part, and in how many of the disk's pages the content had changed.
        """
        holder, track = state.holders[name], state.tracks[number]
        memory = os.open(f"/proc/{holder.pid}/mem", os.O_RDONLY)

        def tell(line):
            holder.stdin.write(line + "\n")
            holder.stdin.flush()
            if holder.stdout.readline() != "done\n":
                raise OSError(f"{name} does not obey {line}")

        def read(page):
            return os.pread(memory, PAGE, address + page * PAGE)

        try:
            tell(f"run {base}")  # all copies but the last are made while it is written
            track.collect()
            ours = [read(page) for page in range(pages)]
            cpus = list(ours)
            copied = []
            for index in range(rounds + 1):
                time.sleep(0.3)
                if index == rounds:
                    tell("quiesce")
                    stop(holder.pid)
                answer = track.collect()
                every, part = in_region(answer, address, pages), in_region(answer, address, pages, by="cpu")
                changed = 0
                for page in every:
                    now = read(page)
                    changed += page % 2 == 0 and now != ours[page]
                    ours[page] = now
                for page in part:
                    cpus[page] = read(page)
                copied.append([len(every), len(part), changed])
            truth = [read(page) for page in range(pages)]
        finally:
            os.kill(holder.pid, signal.SIGCONT)
            os.close(memory)
        return [[page for page in range(pages) if copy[page] != truth[page]] for copy in (ours, cpus)] + [copied]
