# SPDX-License-Identifier: BSD-2-Clause
"""/metrics: valid to promtool, and counters that never fall, whatever comes and goes."""
import contextlib
import re
import shutil
import subprocess
import time

from harness import Agent, Skip, Suite, Workload, equal, require_root, true, within

SERIES = 200
PROCESS = "dirtyscope_process_written_pages_total"
EXITED = "dirtyscope_exited_written_pages_total"
TOTAL = "dirtyscope_written_pages_total"
AT_ONCE = ("--metrics.series-after", "0", "--metrics.new-series", "1000000")
AFTER = 3  # seconds that a process is busy before it gets series
AN_HOUR = 80  # new series
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
WRITERS = ("cpu", "pagecache", "dma")

suite = Suite()
agent = Agent("--metrics.max-processes", str(SERIES), *AT_ONCE)


def comm_of(word):
    return word.encode().hex()


@suite.test("promtool check metrics has nothing to say")
def promtool():
    if not shutil.which("promtool"):
        raise Skip("promtool")
    done = subprocess.run(["promtool", "check", "metrics"], input=agent.get("/metrics").body,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    equal((done.returncode, done.stdout.decode()), (0, ""), "promtool check metrics")


@suite.test("text 0.0.4 by default, OpenMetrics when asked, ending in # EOF")
def formats():
    plain = agent.get("/metrics")
    true(plain.headers["content-type"].startswith("text/plain; version=0.0.4"),
         f"type {plain.headers['content-type']!r}")
    true("# EOF" not in plain.text(), "text 0.0.4 ends in # EOF")
    answer = agent.get("/metrics", {"Accept": f"{OPENMETRICS},text/plain;q=0.5"})
    true(answer.headers["content-type"].startswith(OPENMETRICS),
         f"type {answer.headers['content-type']!r}")
    text = answer.text()
    true(text.endswith("\n# EOF\n"), f"OpenMetrics ends in {text[-40:]!r}")
    equal(text.count("# EOF"), 1, "number of # EOF")
    for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M):
        true(kind != "counter" or not name.endswith("_total"), f"family {name} ends in _total")
    least = agent.get("/metrics", {"Accept": f"{OPENMETRICS};q=0.1,text/plain;q=0.9"})
    true(least.headers["content-type"].startswith("text/plain"), "the weights of Accept")


@suite.test("HELP and TYPE before each family, each family in one piece, labels unique")
def families():
    for accept in ("text/plain", OPENMETRICS):
        agent.metrics(accept)  # every line is a sample, none comes twice
        lines = agent.get("/metrics", {"Accept": accept}).text().splitlines()
        seen, family, helped = set(), None, set()
        for line in lines:
            if line.startswith("# HELP "):
                helped.add(line.split()[2])
            elif line.startswith("# TYPE "):
                family = line.split()[2]
                true(family not in seen, f"family {family} comes in two pieces")
                true(family in helped, f"family {family} has no HELP")
                seen.add(family)
            elif line and not line.startswith("#"):
                true(family and line.startswith(family), f"{line!r} under {family}")


@suite.test("what API.md promises is there")
def promised():
    text = agent.get("/metrics").text()
    for name in ("build_info", "process_written_pages_total", "device_dirty_pages_total",
                 "device_dirty_pages", "device_exposed_pages", "device_info",
                 "device_block_read_pages_total", "device_net_receive_pages_total",
                 "iommu_maps_total", "iommu_unmaps_total", "iommu_mapped_bytes",
                 "pagecache_dirtied_pages_total", "sensor_up", "sensor_events_offered_total",
                 "sensor_events_counted_total", "bpf_map_memory_bytes", "sample_duration_seconds",
                 "series_other"):
        true(re.search(rf"^# TYPE dirtyscope_{name} ", text, re.M), f"dirtyscope_{name} is missing")


def host_totals():
    totals = agent.json("/api/v1/summary")["totals"]
    return {writer: totals[writer] if isinstance(totals[writer], (int, float))
            else sum(totals[writer].values()) for writer in WRITERS}


def sums(series):
    return {writer: sum(value for (name, labels), value in series.items()
                        if (name == PROCESS or (name == EXITED and ("of", "process") in labels))
                        and ("writer", writer) in labels) for writer in WRITERS}


@suite.test("under churn no counter falls, and the series add up to the host's totals")
def churn():
    previous, scrapes, ended, promoted = {}, 0, 0, set()
    end = time.monotonic() + 20
    while time.monotonic() < end:
        with Workload("spawn", 20, 3000) as short, Workload("sleepers", 40, 30) as crowd, \
             Workload("comm", 2000, comm_of(f"round{scrapes % 7}")) as named:
            for workload in (short, crowd, named):
                workload.start()
            for _ in range(6):
                before = host_totals()
                series = agent.metrics()
                after = host_totals()
                for writer, value in sums(series).items():
                    equal(value, series[TOTAL, (("writer", writer),)], f"sum of {writer}, and the host's")
                    true(before[writer] <= value <= after[writer],
                         f"sum of {writer}: {value}, the host's total {before[writer]} before and "
                         f"{after[writer]} after")
                for key, value in previous.items():
                    if key[0].endswith("_total") and key in series:
                        true(series[key] >= value, f"{key} fell from {value} to {series[key]}")
                for key in previous:
                    ended += key not in series
                promoted = {dict(labels)["pid"] for name, labels in series if name == PROCESS}
                true(len(promoted) <= SERIES + 2, f"{len(promoted)} processes have series")
                previous = series
                scrapes += 1
                time.sleep(0.15)
            for workload in (short, crowd, named):
                workload.finish()
    true(scrapes >= 20, f"only {scrapes} scrapes")
    true("other" in promoted, 'there is no pid="other"')
    return f"{scrapes} scrapes, {ended} series ended, {len(promoted)} pids at the end"


@suite.test("promtool, after the churn")
def promtool_again():
    promtool()


@suite.test("a scrape shows what the API shows")
def same():
    with Agent(*AT_ONCE) as other, Workload("comm", 20000, comm_of("busiest")) as workload:
        other.settle()
        workload.go()
        other.settle()
        mine = {dict(labels)["writer"]: (value, dict(labels)["comm"])
                for (name, labels), value in other.metrics().items()
                if name == PROCESS and ("pid", str(workload.pid)) in labels}
        true(mine, f"the busiest process has no series: {other.process(workload.pid)}")
        cpu = sum(other.process(workload.pid)["written"]["cpu"].values())
        true(20000 <= mine["cpu"][0] <= cpu, f"series of the process: {mine}, written: {cpu}")
        equal(mine["cpu"][1], "busiest", "comm")


def pids_with_series(series):
    return {dict(labels)["pid"] for name, labels in series if name == PROCESS} - {"other"}


@suite.test("short processes make no series, one that stays busy gets its own, and an hour has a limit")
def bounded():
    """The options make 3 s of the 60 and 80 series of the 2000; the rule is the same."""
    with Agent("--metrics.series-after", str(AFTER), "--metrics.new-series", str(AN_HOUR), interval=0.25) as other, \
         Workload("sustain", 500) as long, contextlib.ExitStack() as stack:
        long.start()
        begin, seen, spawned, of_long = time.monotonic(), set(), 0, None
        while time.monotonic() < begin + 2 * AFTER or of_long is None:
            true(time.monotonic() < begin + 60, "the one that stays busy gets no series")
            with Workload("spawn", 20, 200) as short:
                short.go()
            spawned += 200
            seen |= pids_with_series(other.metrics())
            if of_long is None and str(long.pid) in seen:
                of_long = time.monotonic() - begin
        true(of_long >= AFTER, f"a series after {of_long} s")
        processes = {process["pid"]: process for process in other.processes()}
        # Whoever else has one lived long enough: pids come again, so those that ended are not known.
        ended = [pid for pid in seen if processes.get(int(pid), {}).get("state") != "running"]
        true(len(ended) <= 5, f"{len(ended)} of {len(seen)} series are of processes that ended")
        busy = [stack.enter_context(Workload("sustain", 20)) for _ in range(30)]
        for one in busy:
            one.start()
        many = {str(one.pid) for one in busy}
        end = time.monotonic() + 2 * AFTER
        while time.monotonic() < end:
            seen |= pids_with_series(other.metrics())
            time.sleep(0.2)
        within(len(seen), 2, AN_HOUR / 4, "processes that ever got series")
        true(many - seen, "as many as asked")
    return f"{spawned} short processes, {len(seen)} with series; after {of_long:.1f} s of {AFTER}"


require_root()
with agent:
    agent.settle()
    suite.run()
