# SPDX-License-Identifier: BSD-2-Clause
"""Every suite, as a table: adding one is adding a row, or a file where a row's name ends in `*`."""
import glob
import os
import sys
from collections import namedtuple

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "vm"))

import matrix

# What may run beside a suite.
ALONE = "alone"  # nothing: it measures time
HOST = "host"  # none of its kind: it makes processes, and asks an agent about all of the host
ANY = "any"  # everything else: it has memory, files or a machine of its own

# seconds: in which it is over on a machine that has other work as well; more is a failure.
Row = namedtuple("Row", "name seconds beside command files", defaults=[None])
PYTHON = "/usr/bin/python3"
VALGRIND = ["valgrind", "-q", "--error-exitcode=9", "--leak-check=full", "--errors-for-leak-kinds=definite"]
UNIT_FILES = "tests/unit/test_*.c"
LIVE = [PYTHON, "tests/live/test_NAME.py", "BUILD"]
LIVE_FILES = "tests/live/test_*.py"

# The first row that has a name wins. In this order they begin, as far as what runs already lets them.
ROWS = [
    Row("live/http_load", 600, ALONE, LIVE, LIVE_FILES),
    Row("live/stream", 600, ALONE, LIVE, LIVE_FILES),
    Row("live/track_waiting", 600, ALONE, LIVE, LIVE_FILES),
    Row("lint", 900, ANY, ["tests/lint"]),
    Row("unit/*", 300, ANY, ["BUILD/tests/unit/test_NAME"], UNIT_FILES),
    Row("valgrind/*", 600, ANY, [*VALGRIND, "BUILD/tests/plain/test_NAME"], UNIT_FILES),
    Row("fuzz/policies", 300, ANY, ["tests/fuzz/run", "BUILD", "policies", "20", "4096"]),
    Row("fuzz/records", 300, ANY, ["tests/fuzz/run", "BUILD", "records", "6", "65536"]),
    Row("bpf/accounting", 600, ANY, ["BUILD/tests/bpf/test_accounting"]),
    Row("bpf/instructions", 600, ANY, [PYTHON, "tests/bpf/test_instructions.py", "BUILD"]),
    Row("web/page", 1200, HOST, ["node", "tests/web/page.mjs", "BUILD"]),
    Row("live/*", 1200, HOST, LIVE, LIVE_FILES),
    Row("fsck", 1800, HOST, [PYTHON, "tests/fsck/fsck.py", "BUILD"]),
    Row("setup", 1200, ANY, ["tests/setup", "BUILD"]),
    Row("distros", 1200, ANY, ["tests/distros/run", "--quick", "trixie"]),
    Row("vm/far_memory", 900, ANY, [PYTHON, "tests/vm/far_memory.py", "BUILD"]),
    Row("vm/many_devices", 900, ANY, [PYTHON, "tests/vm/many_devices.py", "BUILD"]),
    Row("vm/many_cpus", 900, ANY, [PYTHON, "tests/vm/many_cpus.py", "BUILD"]),
    Row("vm/flavours", 900, ANY, [PYTHON, "tests/vm/flavours.py", "BUILD"]),
    Row("vm/too_old", 600, ANY, [PYTHON, "tests/vm/refused.py", "BUILD"]),
    Row("vm/*", 1200, ANY, [PYTHON, "tests/vm/cell.py", "BUILD"], matrix.cells),
]


Suite = namedtuple("Suite", "name seconds beside command")


def suites_of(row, build):
    """What a row stands for: itself, or one suite for each file, or virtual machine, that it finds."""
    def filled(name, more=()):
        plain = name.split("/")[-1]
        return Suite(name, row.seconds, row.beside,
                     [word.replace("BUILD", build).replace("NAME", plain) for word in row.command] + list(more))
    if not row.files:
        return [filled(row.name)]
    if callable(row.files):
        return [filled(row.name.replace("*", "-".join(cell)), cell) for cell in row.files()]
    kind = row.name.split("/")[0]
    names = [kind + "/" + os.path.basename(path).split(".")[0].removeprefix("test_") for path in sorted(glob.glob(row.files))]
    return [filled(name) for name in names if row.name in (name, kind + "/*")]


def all_of(build):
    """The suites in the order of their rows."""
    found = {}
    for row in ROWS:
        for suite in suites_of(row, build):
            found.setdefault(suite.name, suite)
    return list(found.values())
