# SPDX-License-Identifier: BSD-2-Clause
"""README.md says what the program says."""
import re

import readme
from harness import BINARY, Suite, equal, run, true

suite = Suite()


def text():
    with open(readme.README, encoding="utf-8") as page:
        return page.read()


@suite.test("the metrics' reference is the one of the table")
def metrics():
    equal(readme.section(text(), "metrics"), run(BINARY, "metrics").stdout, "section metrics")


@suite.test("every command and option that it names exists")
def commands():
    usage = run(BINARY, "--help").stdout
    named = set(re.findall(r"`dirtyscope ([a-z]+)", text()))
    true(named, "README.md names no command")
    for command in named:
        true(re.search(rf"^  {command} ", usage, re.M), f"README.md names {command}, --help does not")
    options = run(BINARY, "agent", "--help").stdout + run(BINARY, "processes", "--help").stdout
    for option in set(re.findall(r"`(--[a-z.-]+)", text())):
        true(option in options, f"README.md names {option}, --help does not")


@suite.test("the keys of the live view are those of --help")
def keys():
    equal(readme.section(text(), "keys"), readme.keys(), "section keys")


@suite.test("its examples are there")
def examples():
    for name in ("top", "live", "devices", "flows", "sensors", "track", "record"):
        true("$ dirtyscope " in (readme.section(text(), f"example: {name}") or ""), f"example {name}")


suite.run()
