# SPDX-License-Identifier: BSD-2-Clause
"""Content before and after, against what a track told and what it says that it does not cover."""
import os
import re

PAGE = 4096
ZEROS = bytes(PAGE)
PSEUDO = ("[vvar", "[vdso]", "[vsyscall]")


class Memory:
    """A copy of pages of a process, by address; what is not mapped reads as None."""

    def __init__(self, pid, areas):
        self.pages = {}
        with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
            for start, pages in areas:
                self._read(memory, start, pages)

    def _read(self, memory, start, pages):
        try:
            data = os.pread(memory.fileno(), pages * PAGE, start)
        except OSError:
            data = b""
        if len(data) == pages * PAGE:
            self.pages.update((start + at, data[at:at + PAGE]) for at in range(0, len(data), PAGE))
        elif pages > 1:  # page by page, where not all of it can be read
            for number in range(pages):
                self._read(memory, start + number * PAGE, 1)

    def changed(self, after):
        """Addresses whose content is another one there. Memory that was not there before was empty."""
        return {address for address, page in after.pages.items() if page != self.pages.get(address, ZEROS)}


def writable(pid):
    """{(start, pages): name} of what the process, or its kernel, may write."""
    found = {}
    with open(f"/proc/{pid}/maps", encoding="utf-8", errors="replace") as maps:
        for line in maps:
            span, flags, _, _, _, *name = line.split(maxsplit=5)
            name = name[0].strip() if name else ""
            if "w" in flags and not name.startswith(PSEUDO):
                start, end = (int(one, 16) for one in span.split("-"))
                found[start, (end - start) // PAGE] = re.sub(r"\d+", "N", name) or "anonymous"
    return found


class Told:
    """What one answer of a track, and the track itself, say of a process."""

    def __init__(self, pid, answer, track):
        self.pages = {int(one["start"], 16) + index * PAGE for one in answer["ranges"]
                      if one.get("pid") == pid for index in range(one["pages"])}
        self.spans, self.places = [], 0
        members = [one for one in track["members"] if one["pid"] == pid]
        self.backend = members[0]["backend"] if members else None
        for one in answer.get("not_covered", [row for member in members for row in member["not_covered"]]):
            if one.get("pid", pid) == pid:
                self.leave_out(one)

    def leave_out(self, one):
        pages = one["pages"] if one.get("pages") is not None else one["bytes"] // PAGE
        start = int(one["start"], 16) if one.get("start") else 0
        if start:
            self.spans.append((start, start + pages * PAGE))
        else:
            self.places += pages  # it is known how much, not where

    def leaves_out(self, address):
        return any(start <= address < end for start, end in self.spans)


class Verdict:
    """Of changed pages: told, not covered, neither. What has no place excuses no more than its size."""

    def __init__(self, changed, told, areas):
        self.inside = {start + page * PAGE for start, pages in areas for page in range(pages)}
        # Told or left out beside what changed: the price of being sure.
        self.unchanged = len((told.pages & self.inside) - changed)
        self.doubted = sum(told.leaves_out(address) for address in self.inside - changed - told.pages)
        self.changed = len(changed)
        self.told = len(changed & told.pages)
        rest = changed - told.pages
        self.lost = sorted(address for address in rest if not told.leaves_out(address))
        self.not_covered = len(rest) - len(self.lost)
        if self.lost and told.places:
            excused = min(told.places, len(self.lost))
            self.lost = self.lost[excused:]
            self.not_covered += excused
        self.neither = len(self.lost)

    def beside(self):
        return self.unchanged + self.doubted

    def __str__(self):
        return (f"changed {self.changed}, told {self.told}, not covered {self.not_covered}, "
                f"neither {self.neither}; beside them told {self.unchanged}, not covered {self.doubted}")
