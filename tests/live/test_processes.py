# SPDX-License-Identifier: BSD-2-Clause
"""Who a process is: reused pids, short lives, exits; nothing merged, nothing lost, nothing kept."""
import signal
import time

from harness import (Agent, Suite, Workload, equal, eventually, require_root, true, within)

ROUNDS = 3  # of 60,000 processes, at most

suite = Suite()
agent = Agent()


def same_pid(pid):
    return [process for process in agent.processes() if process["pid"] == pid]


def living():
    return [process for process in agent.processes() if process["state"] != "exited"]


def exited_listed():
    """In one answer: pages of several snapshots have some twice."""
    listed = agent.json("/api/v1/processes?limit=100000")["processes"]
    return len([process for process in listed if process["state"] == "exited"])


def used():
    """Slots; other processes come and go as well."""
    return agent.json("/api/v1/summary")["limits"]["processes_used"]


def cpu(process):
    return sum(process["written"]["cpu"].values())


@suite.test("a reused pid is two processes")
def reuse():
    with Workload("reuse", 500) as workload:
        pid = workload.go()["other"]
        agent.settle()
        found = sorted(same_pid(pid), key=lambda process: process["start_boottime_ns"])
        equal(len(found), 2, f"processes with pid {pid}")
        first, second = found
        true(first["start_boottime_ns"] != second["start_boottime_ns"], "the same start")
        equal(first["state"], "exited", "state of the first")
        true(second["state"] != "exited", "the second is listed as exited")
        equal(cpu(first), 500, "pages of the first")
        within(cpu(second), 500, 520, "pages of the second, with its own stack and data")
        equal(agent.process(pid)["start_boottime_ns"], second["start_boottime_ns"],
              "start of the process that the pid names now")


def storm(count):
    """That many short processes of 4 pages, on two CPUs; their truth in pages."""
    with Workload("spawn", 4, count // 2) as one, Workload("spawn", 4, count // 2) as two:
        one.start()
        two.start()
        return one.finish()["written"] + two.finish()["written"]


def rss_at_rest(ended):
    """KiB, once those that exited by then have left the list, and the agent has given their memory back."""
    time.sleep(max(0, ended + 70 - time.monotonic()))
    return agent.rss()


def identity(sensor):
    return sensor["offered"] == sensor["counted"] + sum(sensor["lost"].values())


@suite.test("each short process has its own pages, and no other's")
def own_pages():
    with Workload("spawn", 7, 900) as spawner:
        spawner.go()
        agent.settle()
        begin = agent.process(spawner.pid)["start_boottime_ns"]
        short = [process for process in agent.processes("&filter=workload")
                 if process["start_boottime_ns"] > begin]
    equal({process["state"] for process in short}, {"exited"}, "states of the short processes")
    equal({cpu(process) for process in short}, {7}, "pages of the short processes")
    within(len(short), 800, 900, "short processes listed")


storms = {}


@suite.test("40,000 short processes: every page in the totals, every slot given back")
def short_lives():
    agent.settle()
    storms["before"] = agent.total("cpu")
    # Every slot is used once: what is allocated at most, in the tables too, is allocated now.
    agent.child.send_signal(signal.SIGSTOP)
    storms["truth"] = storm(20000)
    agent.child.send_signal(signal.SIGCONT)
    # And as many processes meet in one interval as this machine can make.
    storms["truth"] += storm(20000)
    storms["ended"] = time.monotonic()
    all_counted()


def all_counted():
    agent.settle()
    counted = agent.total("cpu") - storms["before"]
    true(counted >= storms["truth"], f"counted {counted} of {storms['truth']} pages")
    eventually("none of the storm is listed as living", lambda: not [
        process for process in agent.processes("&filter=workload") if process["state"] != "exited"])
    eventually("slots are of the living alone", lambda: used() <= len(living()) + 20)


@suite.test("an exited process stays listed, then its pages stay in the total")
def exited():
    with Workload("anonymous", 3000) as workload:
        workload.go()
    agent.settle()
    process = agent.process(workload.pid)
    true(process, "it is not listed")
    equal(process["state"], "exited", "state")
    equal(process["written"]["cpu"]["first_touch"] >= 3000, True, "its pages")
    total = agent.total("cpu")
    end = time.monotonic() + 90
    while agent.process(workload.pid):
        true(time.monotonic() < end, "still listed after 90 s")
        now = agent.total("cpu")
        true(now >= total, f"the total fell from {total} to {now}")
        total = now
        time.sleep(0.5)
    gone = 90 - (end - time.monotonic())
    within(gone, 50, 75, "seconds that it was listed")
    now = agent.total("cpu")
    true(now >= total, f"the total fell from {total} to {now} when it left the list")
    return f"listed for {gone:.0f} s"


@suite.test("60,000 more: the same, and no more memory")
def more_short_lives():
    sizes = [rss_at_rest(storms["ended"])]
    # Others that came and went may have left some; what these leave would be left each time.
    while len(sizes) < 2 or (sizes[-1] > sizes[-2] * 1.05 and len(sizes) <= ROUNDS):
        for _ in range(3):
            storms["truth"] += storm(20000)
        storms["ended"] = time.monotonic()
        all_counted()
        eventually("no more than 1,000 that exited are listed", lambda: exited_listed() <= 1000)
        sizes.append(rss_at_rest(storms["ended"]))
    within(sizes[-1], 0, sizes[-2] * 1.05, f"KiB of RSS after, in turn {sizes}")
    return f"KiB of RSS at rest, in turn: {sizes}"


@suite.test("every sensor's identity holds after it")
def identities():
    def all_hold():
        return all(identity(sensor) for sensor in agent.sensors().values())
    eventually("offered = counted + lost", all_hold)
    lost = {name: {reason: n for reason, n in sensor["lost"].items() if n}
            for name, sensor in agent.sensors().items()}
    return f"lost: {({name: reasons for name, reasons in lost.items() if reasons})}"


require_root()
with agent:
    suite.run()
