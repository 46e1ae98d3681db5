# SPDX-License-Identifier: BSD-2-Clause
"""A record's file, read by its lengths alone."""
import struct

SNAPSHOT = 2  # the type of a frame
HEAD = 12  # bytes before the first one


def frames(data):
    """(type, offset, end) of each frame that is whole."""
    at = HEAD
    while at + 20 <= len(data):
        kind, length = struct.unpack_from("<II", data, at)
        if at + 20 + length > len(data):
            break
        yield kind, at, at + 20 + length
        at += 20 + length


def snapshots(data):
    return sum(kind == SNAPSHOT for kind, _, _ in frames(data))


def until(data, position):
    """The record up to its position-th snapshot and what stood beside it."""
    seen, end = 0, HEAD
    for kind, _, after in frames(data):
        seen += kind == SNAPSHOT
        if seen > position:
            break
        end = after
    return data[:end]


def shorter(path, number):
    """A copy without its last snapshots: agents that replay the same would hide a wrong sum."""
    copy = f"{path}.{number}"
    with open(path, "rb") as whole, open(copy, "wb") as part:
        data = whole.read()
        part.write(until(data, snapshots(data) - number))
    return copy
