# SPDX-License-Identifier: BSD-2-Clause
"""The mappings of a process, and which of them a userfaultfd has."""
import re


def mappings(pid):
    """(address range, permissions, flags) of each mapping: what userfaultfd adds to one is a flag, and splits it."""
    with open(f"/proc/{pid}/smaps", encoding="utf-8") as file:
        lines = file.read().splitlines()
    heads = [line.split()[:2] for line in lines if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line)]
    return list(zip(heads, [line.split()[1:] for line in lines if line.startswith("VmFlags:")]))


def is_registered(flags):
    return bool({"uw", "um", "ui"} & set(flags))
