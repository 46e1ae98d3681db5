# SPDX-License-Identifier: BSD-2-Clause
"""Makes what the manuals show anew, from a live run, and writes it into them.

readme.py BUILD             all examples, and the tables that the program prints
readme.py BUILD NAME...     these examples alone, or "metrics", or "keys"
readme.py BUILD bench       the figures of tests/bench/run, which it reads from its standard input
"""
import re
import sys

import examples
import harness
import manuals


def metrics():
    return harness.run(harness.BINARY, "metrics").stdout


def keys():
    """A table of the keys of the live view, as --help lists them."""
    listed = harness.run(harness.BINARY, "top", "--help").stdout
    rows = re.findall(r"^  (.{10})  (.+)$", listed.split("\nKeys:\n")[1].split("\n\n")[0], re.M)
    return "| key | does |\n|---|---|\n" + "".join(
        "| " + " ".join(f"`{key}`" for key in names.split()) + f" | {what} |\n" for names, what in rows)


# What the program prints; the manuals hold the same.
TABLES = {"metrics": metrics, "keys": keys}


def main():
    names = sys.argv[2:] or [*TABLES, *examples.CONSOLE]
    if names == ["bench"]:
        manuals.fill("bench", sys.stdin.read())
        return
    unknown = set(names) - set(TABLES) - set(examples.CONSOLE)
    if unknown:
        raise SystemExit(f"there is no {', '.join(sorted(unknown))}; there are {', '.join([*TABLES, *examples.CONSOLE])}")
    world = examples.World()
    try:
        for name in names:
            if name in TABLES:
                manuals.fill(name, TABLES[name]())
            else:
                manuals.fill(f"example: {name}", f"```console\n{examples.CONSOLE[name](world)}```")
    finally:
        world.close()


if __name__ == "__main__":
    main()
