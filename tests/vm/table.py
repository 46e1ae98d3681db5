#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What the matrix has measured, after VM=all tests/run: table.py BUILD

VM_README=1     writes the table of README.md beside this
"""
import json
import os
import sys

import matrix

HERE = os.path.dirname(os.path.abspath(__file__))
README = os.path.join(HERE, "README.md")
BEGIN, END = "<!-- vm-table -->", "<!-- end vm-table -->"
ORDER = {row.name: number for number, row in enumerate(matrix.DISKS + matrix.NICS)}

HEADER = """\
Each cell is `missed/extra` pages at *completed*, then at *conservative*, against what the device wrote by QEMU's own trace.
*Completed* is what the kernel saw end. *Conservative* adds what the device held mapped at the end: its extra is memory that
may be written next, rings and queues among it. Disks: {requests} O_DIRECT reads of 512 bytes to 1 MiB into buffers that lie askew.
Cards: {packets} packets received, the agent started before or after the interface came up. The trace shows data buffers
and the status bytes of virtio requests. Descriptor rings, completion queues and used rings, which devices write as well,
are not in it, nor in *completed*; in the ledger they are. An extra of a card at *completed* is fresh memory that its driver
has copied a small packet into: it cannot be told from a buffer that the card wrote.
"""


def figures(row):
    return ", ".join(f"{row[level]['missed']}/{row[level]['extra']}" for level in ("completed", "conservative"))


def label(row):
    what = "" if row["what"] == "reads" else ", " + row["what"]
    return row["device"] + what + (", agent later" if row["agent"] == "after" else "")


def span(numbers):
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low} to {high}"


def lines(results):
    """One line per kernel and device; a column per mode."""
    modes = [mode.name for mode in matrix.MODES if any(result["rows"] for result in results if result["mode"] == mode.name)]
    yield "| kernel | device | written | " + " | ".join(modes) + " |"
    yield "|---|---|---|" + "---|" * len(modes)
    for kernel in matrix.KERNELS:
        cells = {}
        for result in results:
            for row in result["rows"] if result["kernel"] == kernel.series else []:
                key = (row["agent"] == "after", ORDER[row["device"]], label(row))
                cells.setdefault(key, {})[result["mode"]] = row
        for key in sorted(cells, key=lambda key: key[:2]):
            rows = cells[key]
            yield (f"| {kernel.series} | {key[2]} | {span([row['truth'] for row in rows.values()])} | " + " | ".join(
                figures(rows[mode]) if mode in rows else "-" for mode in modes) + " |")


def write_readme(results):
    import recall  # how much it sends is said in the text
    want = len(matrix.KERNELS) * len(matrix.MODES)
    if len(results) != want:
        raise SystemExit(f"the table needs the whole matrix: {len(results)} of {want} cells were run")
    with open(README, encoding="utf-8") as file:
        text = file.read()
    if BEGIN not in text or END not in text:
        raise SystemExit(f"{README} has no {BEGIN} and {END}")
    header = HEADER.format(requests=len(recall.SIZES) * 6, packets=recall.PACKETS)
    kernels = ", ".join(dict.fromkeys(result["release"] for result in results))
    before, rest = text.split(BEGIN, 1)
    _, after = rest.split(END, 1)
    content = "\n".join([header.rstrip(), "", f"Measured on {kernels}.", "", *lines(results)])
    with open(README, "w", encoding="utf-8") as file:
        file.write(f"{before}{BEGIN}\n{content}\n{END}{after}")


def main():
    if not os.environ.get("VM_README"):
        return
    results = []
    for series, mode in matrix.cells():
        path = os.path.join(sys.argv[1], "vm", f"{series}-{mode}", "results.json")
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                results.append(json.load(file))
    write_readme(results)


if __name__ == "__main__":
    main()
