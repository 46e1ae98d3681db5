# SPDX-License-Identifier: BSD-2-Clause
"""How many instructions the verifier looks at, per kernel, program and compiler: the limit, and the record.

instructions.json holds for each kernel series the compilers (versions of clang) and for each program
a count per compiler, null where the kernel has nothing for it. BPF_RECORD=1 writes what is found.
"""
import fcntl
import glob
import json
import os
import re
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
RECORD = os.path.join(HERE, "instructions.json")
LIMIT = 30000  # of the kernel's 1,000,000: every compiler and kernel may differ a lot before one does not load
GROWTH = 1.10
SLACK = 10  # instructions, which are more than that of a small program


def objects(build):
    """{version of clang: object built with it}, oldest first."""
    found = {int(re.search(r"/clang-(\d+)/", path).group(1)): path
             for path in glob.glob(os.path.join(build, "clang-*", "dirtyscope.bpf.o"))}
    return {str(version): found[version] for version in sorted(found)}


def wanted():
    """Versions of the oldest, the default and the newest compiler, or what COMPILERS names."""
    return subprocess.run([os.path.join(HERE, "compilers")], stdout=subprocess.PIPE, check=True, text=True).stdout.split()


def parse(output):
    """({program: count}, [what was refused, and why]) of what tests/bpf/verify has printed."""
    counts, refused = {}, []
    for line in output.splitlines():
        name, what, *rest = line.split("\t")
        if what == "refused":
            refused.append(f"{name}: {' '.join(rest)}")
        else:
            counts[name] = None if what == "absent" else int(what)
    return counts, refused


def load():
    """{kernel: {compiler: {program: count}}}"""
    with open(RECORD, encoding="utf-8") as file:
        rows = json.load(file)
    return {kernel: {compiler: {name: counts[column] for name, counts in row["programs"].items()}
                     for column, compiler in enumerate(row["compilers"])} for kernel, row in rows.items()}


def write(known):
    """A line per program."""
    lines = []
    for kernel in sorted(known, key=lambda series: [int(number) for number in series.split(".")]):
        compilers = sorted(known[kernel], key=int)
        names = sorted({name for counts in known[kernel].values() for name in counts})
        rows = [f"\t\t{json.dumps(name)}: {json.dumps([known[kernel][compiler].get(name) for compiler in compilers])}"
                for name in names]
        lines.append(f"{json.dumps(kernel)}: {{\n\t\"compilers\": {json.dumps(compilers)},\n\t\"programs\": {{\n"
                     + ",\n".join(rows) + "\n\t}\n}")
    with open(RECORD, "w", encoding="utf-8") as file:
        file.write("{\n" + ",\n".join(lines) + "\n}\n")


def remember(kernel, compiler, counts):
    """Cells of the VM matrix run at once: one of them writes at a time."""
    with open(os.path.join(HERE, "instructions.py"), encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        known = load()
        known.setdefault(kernel, {})[compiler] = counts
        write(known)


def check(kernel, compiler, output):
    """Fails when a program was refused, needs more than the limit, or has grown; else says what was found."""
    counts, refused = parse(output)
    if refused:
        raise AssertionError("refused: " + "; ".join(refused))
    verified = {name: count for name, count in counts.items() if count is not None}
    if not verified:
        raise AssertionError(f"nothing was verified: {output}")
    largest = max(verified, key=verified.get)
    found = f"{len(verified)} of {len(counts)} programs, at most {verified[largest]} instructions ({largest})"
    if verified[largest] > LIMIT:
        raise AssertionError(f"{found}: the limit is {LIMIT}")
    if os.environ.get("BPF_RECORD"):
        remember(kernel, compiler, counts)
        return f"{found}, recorded"
    known = load().get(kernel, {}).get(compiler)
    if known is None:
        return f"{found}; no record of clang {compiler} on {kernel}"
    fresh = sorted(set(counts) - set(known))
    if fresh:
        raise AssertionError(f"no record of {', '.join(fresh)}: BPF_RECORD=1 writes {RECORD}")
    # What another kernel of the series has more of, modules or trampolines, is held by the limit alone.
    grown = [f"{name} from {known[name]} to {count}" for name, count in sorted(verified.items())
             if known[name] is not None and count > max(known[name] * GROWTH, known[name] + SLACK)]
    if grown:
        raise AssertionError("grown: " + "; ".join(grown))
    return found
