# SPDX-License-Identifier: BSD-2-Clause
"""The guest's part of the tests of tracks: a client of the agent, and a copier that relies on it."""
import os
import signal
import time

PAGE = 4096
SOCKET = "/dev/shm/tracks"


def register(function, state, harness):
    state.tracks = {}

    def tracking():
        harness()
        import tracking as module  # beside harness.py
        return module

    def in_region(answer, address, pages, by=None):
        found = tracking().addresses(answer, by=by)
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
        """The epoch's pages within a region, by number."""
        answer = state.tracks[number].collect()
        return {"counts": answer["pages"], "all": in_region(answer, address, pages),
                "cpu": in_region(answer, address, pages, "cpu"), "dma": in_region(answer, address, pages, "dma"),
                "devices": sorted({name for one in answer["ranges"] for name in one["devices"]})}

    @function
    def track_stop(number):
        state.tracks.pop(number).call("DELETE", "")

    @function
    def precopy(name, number, address, pages, base, rounds):
        """
        Copies the region of a target that is being written, round after round, by what its track tells;
        then stops it and copies the last epoch. A second copy is given the CPUs' part alone. Pages that
        differ in the end: [of the first, of the second], and what the rounds copied.
        """
        holder, track = state.holders[name], state.tracks[number]
        memory = os.open(f"/proc/{holder.pid}/mem", os.O_RDONLY)

        def tell(line):
            holder.stdin.write(line + "\n")
            holder.stdin.flush()
            holder.stdout.readline()

        def read(page):
            return os.pread(memory, PAGE, address + page * PAGE)
        try:
            track.collect()
            ours = [read(page) for page in range(pages)]
            cpus = list(ours)
            tell(f"run {base}")
            copied = []
            for index in range(rounds + 1):
                if index == rounds:
                    tell("quiesce")
                    os.kill(holder.pid, signal.SIGSTOP)
                else:
                    time.sleep(0.3)
                answer = track.collect()
                every, part = in_region(answer, address, pages), in_region(answer, address, pages, "cpu")
                for page in every:
                    ours[page] = read(page)
                for page in part:
                    cpus[page] = read(page)
                copied.append([len(every), len(part)])
            truth = [read(page) for page in range(pages)]
        finally:
            os.kill(holder.pid, signal.SIGCONT)
            os.close(memory)
        return [sum(one != other for one, other in zip(ours, truth)),
                sum(one != other for one, other in zip(cpus, truth)), copied]
