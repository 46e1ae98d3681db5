# SPDX-License-Identifier: BSD-2-Clause
"""The shipped policies, on this host: each fires when what it is about happens; thresholds alone are lowered."""
import os
import re
import shutil
import time

import tracking
from harness import Suite, equal, eventually, require_root, run, scratch, true
from rules import Restless, Ruled
from tracking import Writer

SHIPPED = os.path.join(os.path.dirname(__file__), "..", "..", "agent", "policies", "shipped")

suite = Suite()


def shipped(name, **changes):
    """The text of a shipped file, with other values for some of its keys."""
    with open(os.path.join(SHIPPED, name), encoding="utf-8") as file:
        text = file.read()
    for key, value in changes.items():
        text, count = re.subn(rf"\b{key.rstrip('_')}: [^,}}\s]+", f"{key.rstrip('_')}: {value}", text)
        true(count, f"{name} has no {key}")
    return text


@suite.test("all of them together are good, and quiet on a host at rest")
def at_rest():
    answer = run(tracking.BUILD + "/dirtyscope", "check", SHIPPED)
    equal((answer.returncode, answer.stderr), (0, ""), "check")
    text = "policies:\n" + "".join(shipped(name).split("policies:\n", 1)[1] for name in sorted(os.listdir(SHIPPED)))
    with Ruled(text) as ruled:
        time.sleep(2)
        firing = {name: one["states"]["firing"] for name, one in ruled.policies().items() if one["states"]["firing"]}
        equal(firing, {}, "firing")
        equal(len(ruled.policies()), 7, "policies")


@suite.test("busy-writer: a process above its rate gets a track")
def busy_writer():
    with Restless() as busy, Ruled(shipped("10-processes.yaml", threshold=2000, clear=200, for_="1s")) as ruled:
        busy.write(400)
        eventually("it fires", lambda: any(one["state"] == "firing" and one["target"].startswith(f"{busy.pid} ")
                                           for one in ruled.policies()["busy-writer"]["instances"]))
        eventually("a track", lambda: any(one["target"] == {"pid": busy.pid}
                                          for one in ruled.agent.json("/api/v1/tracks")["tracks"]))


@suite.test("vm-followed, vm-will-not-converge: a VM that writes is followed, and the device that writes most is named")
def virtual_machine():
    place = scratch()
    program = os.path.join(place, "qemu-system-test")  # by its name a hypervisor's
    shutil.copy(tracking.WRITER, program)
    tracking.WRITER, before = program, tracking.WRITER
    data = os.path.join(place, "data")
    with open(data, "wb") as file:
        file.write(os.urandom(2048 * 4096))
        os.fsync(file.fileno())
    text = shipped("20-virtual-machines.yaml", for_="0s", every="500ms", bandwidth="10K", cooldown="0s")
    text = text.replace("threshold: 1000, clear: 100", "threshold: 1, clear: 0")
    try:
        with Ruled(text.replace("metric: rates,", "metric: written,")) as ruled, Writer("private", 2048) as guest:
            for step in range(40):
                guest.do("direct", data, *range(512))
                guest.do("write", step, 10)
                told = next((one for one in ruled.policies()["vm-will-not-converge"]["instances"]
                             if one["target"] == f"pid-{guest.pid}"), None)  # it has no -name
                if told and told["state"] == "firing" and "virtio/" in told["summary"]:
                    break
                time.sleep(0.2)
            true(told, f"it does not fire: {ruled.policies()}")
            device = re.search(r"of a device: (\S+), ([0-9.]+)", told["summary"])
            true(device and device[1] in ruled.agent.devices() and float(device[2]) > 0.5, told["summary"])
            return told["summary"]
    finally:
        tracking.WRITER = before


@suite.test("pagecache-near-throttle: told before writers are slowed down")
def throttle():
    place = scratch()
    with Ruled(shipped("40-host.yaml", threshold="0.0000001", clear=0, for_="0s")) as ruled:
        for step in range(50):
            run("dd", "if=/dev/zero", f"of={place}/dirty", "bs=1M", "count=16", "conv=notrunc")
            told = ruled.instance("pagecache-near-throttle")
            if told:
                break
        true(told and told["state"] == "firing", f"{ruled.policies()}")
        waiting = int(re.search(r"written back: (\d+) pages", told["summary"])[1])
        throttle_at = int(re.search(r"from (\d+)$", told["summary"])[1])
        with open("/proc/vmstat", encoding="ascii") as file:
            numbers = dict(line.split() for line in file)
        want = (int(numbers["nr_dirty_threshold"]) + int(numbers["nr_dirty_background_threshold"])) / 2
        true(0.8 * want <= throttle_at <= 1.2 * want and waiting > 0, f"{told['summary']}, expected {want}")
        return told["summary"]


@suite.test("sensor-loses-events: told when a table is full")
def loses():
    with Ruled(shipped("40-host.yaml"), "--max-processes", "16") as ruled:
        for _ in range(40):
            run("sh", "-c", "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do sleep 0.3 & done; wait")
            told = ruled.instance("sensor-loses-events")
            if told:
                break
        true(told and "loses events" in told["summary"], f"{ruled.agent.sensors()}")
        return told["summary"]


if __name__ == "__main__":
    require_root()
    suite.run()
