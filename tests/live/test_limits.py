# SPDX-License-Identifier: BSD-2-Clause
"""Full tables: counted as lost by reason, said aloud, and no page missing from the totals."""
import signal

from harness import (Agent, Suite, Workload, equal, eventually, require_root, true,
                     within)

SLOTS, SLEEPERS, EACH = 128, 300, 50  # far more that write than slots, and far more slots than others need

suite = Suite()
agent = Agent("--max-processes", str(SLOTS))


def holds(sensor):
    return sensor["offered"] == sensor["counted"] + sum(sensor["lost"].values())


@suite.test("a full process table: lost events counted, pages kept")
def full():
    agent.settle()
    before = agent.total("cpu")
    with Workload("sleepers", EACH, SLEEPERS) as workload:
        agent.child.send_signal(signal.SIGSTOP)  # it would make room
        written = workload.go()["written"]
        agent.child.send_signal(signal.SIGCONT)
        equal(written, EACH * SLEEPERS, "the workload's own count")
        agent.settle()
        counted = agent.total("cpu") - before
        true(counted >= written, f"{counted} of {written} pages in the totals")
        limits = agent.json("/api/v1/summary")["limits"]
        equal(limits["processes"], SLOTS, "slots")
        # Those of other processes that ended since, and of some that are idle, are free again; the sleepers don't ask twice.
        within(limits["processes_used"], SLOTS // 2, SLOTS, "slots in use")
        fault = agent.sensors()["fault"]
        true(fault["lost"]["processes_full"] >= (SLEEPERS - SLOTS) * EACH, f"lost: {fault['lost']}")
        return f"lost: {fault['lost']}"


@suite.test("the sensor says that it is partial, and why")
def said():
    fault = agent.sensors()["fault"]
    equal(fault["state"], "partial", "state of the fault sensor")
    true("processes_full" in fault["reason"] or "--max-processes" in fault["reason"],
         f"reason: {fault['reason']!r}")
    events = agent.json("/api/v1/events?limit=1000")["events"]
    true(any(event["type"] == "sensor" and event["subject"] == "fault" for event in events),
         "no event tells of it")


@suite.test("offered = counted + lost, exactly")
def identity():
    eventually("the identity", lambda: all(holds(s) for s in agent.sensors().values()))
    series = agent.metrics()
    for name in agent.sensors():
        label = ("sensor", name)
        offered = series[("dirtyscope_sensor_events_offered_total", (label,))]
        counted = series[("dirtyscope_sensor_events_counted_total", (label,))]
        lost = sum(value for (metric, labels), value in series.items()
                   if metric == "dirtyscope_sensor_events_lost_total" and label in labels)
        equal(counted + lost, offered, f"metrics of {name}: counted + lost")


@suite.test("slots come back when the writers have left")
def back():
    def slots():
        with Workload("anonymous", 300) as workload:
            workload.go()
            agent.settle()
            process = agent.process(workload.pid)
            return process and process["written"]["cpu"]["first_touch"] >= 300
    eventually("a new process gets a slot", slots, pause=1)


require_root()
with agent:
    suite.run()
