# SPDX-License-Identifier: BSD-2-Clause
"""What a sensor lost of devices' writes stands in each track's collect. An agent whose page sets have one piece."""
import mmap
import os

from contract import Contract
from harness import Agent, Suite, equal, eventually, require_root, scratch, true
from tracking import Track, Writer

MEBIBYTE = 1 << 20
CHUNK = 64 * MEBIBYTE
CHUNKS = 24

require_root()
suite = Suite()
directory = scratch()
path = os.path.join(directory, "data")


def lost_by_disks(agent):
    return agent.sensors()["block"]["lost"]["page_sets_full"]


def read_until_lost(agent):
    """O_DIRECT into ever more memory, which then does not lie in one GiB; what was lost, in events."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
    buffers, before = [], lost_by_disks(agent)

    def lose():
        if len(buffers) < CHUNKS:
            buffers.append(mmap.mmap(-1, CHUNK, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
        os.preadv(fd, [buffers[-1]], 0)
        return lost_by_disks(agent) - before
    try:
        return eventually("the block sensor loses events as page_sets_full", lose)
    finally:
        os.close(fd)


def rows(answer):
    return [row for row in answer["not_covered"] if row["kind"] == "lost"]


def check(answer, track, pid):
    found = {row["name"]: row for row in rows(answer)}
    true("page_sets_full" in found, f"it is not in the collect: {answer['not_covered']}")
    row = found["page_sets_full"]
    true(row["events"] > 0 and row["pages"] is None and row["bytes"] is None, f"how much: {row}")
    true("--page-set-memory" in row["reason"], f"what to do: {row}")
    true(answer["lower_bound"], "the answer is a lower bound")
    member = next(one for one in track.call("GET", "")["members"] if one["pid"] == pid)
    equal((member["device_side"], member["device_side_complete"]), (True, False), "its device side")
    for path_of in (f"/api/v1/tracks/{track.id}", f"/api/v1/tracks/{track.id}/pages"):
        Contract(track.agent).validate(path_of, track.agent.request("GET", path_of))
    return row["events"]


with open(path, "wb") as file:
    for _ in range(CHUNK // MEBIBYTE):
        file.write(os.urandom(MEBIBYTE))
    os.fsync(file.fileno())


@suite.test("an agent that lost nothing: its tracks' device side is complete")
def whole():
    with Agent(listen=f"unix:{directory}/whole") as agent, Writer("private", 64) as writer, Track(agent, {"pid": writer.pid}) as track:
        track.collect()
        # Under load any kernel may skip a program now and then.
        answer = eventually("an epoch without a loss", lambda: (one := track.collect()) and not rows(one) and one)
        member = track.member(writer.pid)
        equal((answer["lower_bound"], member["device_side_complete"]), (False, True), "the answer")


@suite.test("page sets of one piece: what the block sensor lost is in the collect of a process's and of a device's track")
def small():
    with Agent("--page-set-memory", "32K", listen=f"unix:{directory}/small") as agent, Writer("private", 64) as writer, \
            Track(agent, {"pid": writer.pid}) as track, Track(agent, {"device": next(iter(agent.devices()))}) as device:
        track.collect()
        device.collect()
        lost = read_until_lost(agent)
        told = check(track.collect(), track, writer.pid), check(device.collect(), device, None)
        event = [one for one in agent.json("/api/v1/events")["events"] if "page sets are full" in one["message"]]
        equal(len(event), 1, "it was told once")
        return f"{lost} lost, {told} told"


suite.run()
