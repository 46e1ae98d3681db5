# SPDX-License-Identifier: BSD-2-Clause
"""A fleet beyond one Prometheus: one in agent mode for each cluster, a VictoriaMetrics that all write into, and vmalert for
the rules, with the shipped files. A plain Prometheus gets the same samples beside it, and both must say the same, though the
store is restarted and one writer is cut off meanwhile. A minute and more: STORE=1 runs it."""
import asyncio
import concurrent.futures
import math
import os
import re
import sys
import threading
import time

import panels
from harness import Agent, Suite, equal, eventually, require_root, scratch, true
from prometheus import Prometheus, Server, free_address
from recorded import shorter
from rules import Restless

COUNT = int(os.environ.get("FLEET_AGENTS", "30"))
CUT = float(os.environ.get("STORE_CUT", "60"))  # seconds that a writer is cut off
SCRAPED = max(1, COUNT // 30)  # seconds between two scrapes: what two cores can take
PARTS = 5  # records of different length
SPAN = "1h"
COMES = re.compile(":|_(process|cgroup|pod|vm|comm)_written_")  # records; series of those that are busy
suite = Suite()
directory = scratch()
RECORD = os.path.join(directory, "record")
clusters, before = {}, {}


class Gate:
    """A TCP port that leads to another while it is open."""

    def __init__(self, port):
        self.port, self.address = port, free_address()
        self.loop = asyncio.new_event_loop()
        self.server, self.writers = None, set()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.open()

    def run(self, work):
        asyncio.run_coroutine_threadsafe(work, self.loop).result(10)

    def open(self):
        async def start():
            self.server = await asyncio.start_server(self.serve, *self.address.split(":"))
        self.run(start())

    def shut(self):
        async def stop():
            self.server.close()
            for writer in self.writers:
                writer.transport.abort()
        self.run(stop())

    async def serve(self, reader, writer):
        try:
            there, onward = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            writer.transport.abort()
            return
        self.writers |= {writer, onward}

        async def copy(source, target):
            try:
                while data := await source.read(65536):
                    target.write(data)
                    await target.drain()
            except OSError:
                pass
            target.transport.abort()
        await asyncio.gather(copy(reader, onward), copy(there, writer))
        self.writers -= {writer, onward}


class Store(Server):
    """VictoriaMetrics. What came is seen at once, not after 30 s."""

    def options(self):
        return [f"-httpListenAddr={self.address}", f"-storageDataPath={self.directory}/data", "-search.latencyOffset=0s",
                "-search.disableCache", "-loggerLevel=WARN", "-memory.allowedPercent=10"]


class Rules(Server):
    """vmalert with the shipped rules and alerts; nobody listens where alerts would go."""

    def __init__(self, store, path):
        super().__init__("vmalert", path)
        self.store = store

    def options(self):
        return [f"-rule={panels.PROMETHEUS}/dirtyscope.*.yml", f"-datasource.url=http://{self.store.address}",
                f"-remoteWrite.url=http://{self.store.address}", "-evaluationInterval=1s", "-remoteWrite.flushInterval=1s",
                f"-notifier.url=http://{free_address()}", f"-httpListenAddr={self.address}", "-loggerLevel=ERROR",
                "-disableAlertgroupLabel"]


class Plain(Prometheus):
    """What the store is held against."""
    more = ("--web.enable-remote-write-receiver",)


class Writer(Prometheus):
    """In agent mode; it writes to the store and, for this test, to the plain one."""

    config_name = "agent.yml"

    def __init__(self, cluster, store, plain):
        self.urls = [f"http://{address}/api/v1/write" for address in (store, plain)]
        super().__init__(interval=f"{SCRAPED}s", name=f"writer-{cluster}")

    def adapt(self, text):
        found = re.search(r"  - url: (\S+)\n((?:    .*\n)+)", text)
        true(found, "agent.yml has no remote_write")
        both = "".join(f"  - url: {url}\n    name: {name}\n{found[2]}" for name, url in zip(("store", "plain"), self.urls))
        return text.replace(found[0], both).replace("batch_send_deadline: 5s", "batch_send_deadline: 500ms")

    def options(self):
        return ["--enable-feature=agent", f"--config.file={self.config}", f"--web.listen-address={self.address}",
                f"--storage.agent.path={self.directory}/data"]

    def of(self, name, queue="store"):
        return sum(value for series, value in self.own().items()
                   if series.startswith(f"prometheus_remote_storage_{name}{{") and f'remote_name="{queue}"' in series)


@suite.test(f"{COUNT} agents that replay a record, in 3 clusters, each with a writer of its own")
def start():
    live = Agent("--record", RECORD, "--metrics.series-after", "1", "--metrics.max-processes", "20", interval=0.5)
    with live, Restless() as busy:
        busy.write(300)
        time.sleep(6)
        equal(live.stop(), 0, "exit status")
    parts = [shorter(RECORD, number) for number in range(PARTS)]
    # Slowly: numbers change while things break.
    agents = [Agent("--replay", parts[number % PARTS], "--replay-interval", str(4 + number % 3)) for number in range(COUNT)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(Agent.__enter__, agents))
    for number, agent in enumerate(agents):
        clusters.setdefault("abc"[number % 3], []).append(agent)
    for cluster, members in clusters.items():
        writers[cluster].set_targets({cluster: [f"127.0.0.1:{agent.port}" for agent in members]})
    up = 'count by (cluster) (up{job="dirtyscope"} == 1)'
    for server in (store, plain):
        eventually("all clusters arrive", lambda server=server: server.by(up, "cluster") == {
            cluster: len(members) for cluster, members in clusters.items()}, 60)
    before["time"] = time.time()
    return f"{len(agents)} agents"


@suite.test("the store is restarted")
def restart():
    time.sleep(5)
    store.stop()
    time.sleep(5)
    store.__enter__()
    eventually("writers go on", lambda: caught_up() < 5 * SCRAPED, 60)
    return f"{store.child.pid} goes on"


def caught_up():
    """Seconds that the store is behind the plain one, at worst."""
    newest = "max by (cluster) (timestamp(dirtyscope_build_info))"
    have, want = store.by(newest, "cluster"), plain.by(newest, "cluster")
    true(want, "the plain one has nothing")
    return max(value - have.get(cluster, 0) for cluster, value in want.items())


@suite.test(f"one writer is cut off for {CUT:.0f} s, and sends what it held")
def cut_off():
    gate.shut()
    time.sleep(CUT)
    behind = caught_up()
    true(behind > CUT / 2, f"behind by {behind} s")
    held = writers["b"].of("samples_pending")
    gate.open()
    eventually("it has caught up", lambda: caught_up() < 3 * SCRAPED, 90)
    return f"{behind:.0f} s behind, {held:.0f} samples in its queue, the rest in its log"


def settled():
    """A moment whose samples have all arrived, on both sides."""
    moment = time.time()
    eventually("what was scraped has been sent", lambda: all(
        writer.of("queue_highest_sent_timestamp_seconds", queue) > moment + 3 * SCRAPED
        for writer in writers.values() for queue in ("store", "plain")), 60)
    return moment


def same(text, what, **parameters):
    """The rows that both give for a query; they are the same."""
    def rows(server):
        return {tuple(sorted(labels.items())): value for labels, value in server.query(text, **parameters)}
    have, want = rows(store), rows(plain)
    missing = [key for key in want if key not in have]
    true(not missing and len(have) == len(want), f"{what}: {len(have)} rows for {len(want)}; not there: {missing[:2]}")
    for key, value in want.items():
        close = have[key] == value or math.isclose(have[key], value, rel_tol=1e-9) or math.isnan(have[key]) == math.isnan(value)
        true(close if math.isnan(value) else math.isclose(have[key], value, rel_tol=1e-9, abs_tol=1e-12),
             f"{what} {dict(key)}: {have[key]}, the plain one has {value}")
    return len(want)


@suite.test("no sample is lost: as many of each series, and each series' sum, as the plain one has")
def complete():
    now = settled()
    series = samples = 0
    for metric in sorted(plain.ask("label/__name__/values", **{"match[]": '{job="dirtyscope"}'})):
        if ":" in metric or metric.startswith("ALERTS"):
            continue  # of rules, which each side evaluates at moments of its own
        series += same(f"count_over_time({metric}[{SPAN}])", metric, time=now)
        same(f"sum_over_time({metric}[{SPAN}])", metric, time=now)
        samples += sum(value for _, value in plain.query(f"count_over_time({metric}[{SPAN}])", time=now))
    for cluster, writer in writers.items():
        for counter in ("samples_failed_total", "samples_dropped_total"):
            equal(writer.of(counter), 0, f"{counter} of {cluster}")
    before["samples"] = samples
    return f"{samples:.0f} samples of {series} series"


@suite.test("cluster sums at each moment, through restart and cut, are the plain one's")
def moments():
    compared, now = 0, settled()
    for at in range(int(before["time"]) + 5, int(now), 3):
        for text in ("sum by (cluster, writer) (dirtyscope_written_pages_total)",
                     "sum by (cluster) (dirtyscope_device_dirty_pages_total)"):
            compared += same(text, f"{text} {now - at:.0f} s ago", time=at)
    true(compared > 100, f"only {compared}")
    return f"{compared} numbers"


@suite.test("every panel's query gives what the plain one gives")
def every_panel():
    def at_rest():
        moved = plain.query("sum(changes(dirtyscope_written_pages_total[70s]))")
        return bool(moved) and moved[0][1] == 0
    eventually("every agent is at its record's end for a minute", at_rest, 240)
    asked, numbers = 0, 0
    for uid, dashboard in panels.dashboards().items():
        variables = {"$instance": f"127.0.0.1:{clusters['a'][0].port}", "$cluster": "a|b|c"}
        for panel in panels.panels(dashboard):
            for target in panel["targets"]:
                text = panels.filled(target["expr"], variables)
                where = f"{uid}: {panel['title']} {target['refId']}"
                # Of equals either may be among the ten.
                text = re.sub(r"^topk\(10, (.*)\)$", r"\1", text)
                numbers += eventually(where, lambda text=text, where=where: attempt(text, where), 15)
                asked += 1
    return f"{asked} queries, {numbers} numbers"


def attempt(text, where):
    try:
        return same(text, where) + 1
    except AssertionError as error:
        attempt.last = error
        return False


@suite.test("rates while numbers moved: the same rows, and sums as near as two ways to extrapolate make them")
def rates():
    """
    Prometheus extrapolates to the ends of the window, VictoriaMetrics takes the sample before it, and a series that has
    just begun counts from 0 there: a step differs, and series that came meanwhile are left out.
    """
    at, worst, asked = before["time"] + 45, 0, 0
    for uid, dashboard in panels.dashboards().items():
        for panel in panels.panels(dashboard):
            for target in panel["targets"]:
                text = panels.filled(target["expr"], {"$instance": f"127.0.0.1:{clusters['a'][0].port}", "$cluster": "a|b|c"})
                text = re.sub(r"^topk\(10, (.*)\)$", r"\1", text)
                if "rate(" not in text or any(COMES.search(name) for name in panels.names(text)):
                    continue
                where = f"{uid}: {panel['title']} {target['refId']}"
                have, want = store.query(text, time=at), plain.query(text, time=at)
                equal(len(have), len(want), f"{where}: rows")
                have, want = sum(value for _, value in have), sum(value for _, value in want)
                true(abs(have - want) <= 0.3 * max(have, want) + 0.2, f"{where}: {have}, the plain one has {want}")
                worst = max(worst, abs(have - want) / max(have, want, 1))
                asked += 1
    true(asked > 10, f"{asked} queries")
    return f"{asked} queries, {worst * 100:.0f} % apart at most"


@suite.test("what a sample takes in the store")
def size():
    own = store.own()
    taken = sum(value for name, value in own.items() if name.startswith("vm_data_size_bytes{") and "indexdb" not in name)
    rows = sum(value for name, value in own.items() if name.startswith("vm_rows{") and "indexdb" not in name)
    index = sum(value for name, value in own.items() if name.startswith("vm_data_size_bytes{") and "indexdb" in name)
    true(taken > 0 and rows > 0, f"{taken} bytes, {rows} rows")
    series = len(plain.ask("series", **{"match[]": '{job="dirtyscope"}'}))
    return (f"{taken / rows:.2f} bytes a sample of {rows:.0f}, {index / series:.0f} bytes of index a series; "
            f"memory {own['process_resident_memory_bytes'] / 2**20:.0f} MiB for {series} series")


require_root()
if not os.environ.get("STORE"):
    print("1..1\nok 1 - all # SKIP STORE=1")
    sys.exit(0)
store = Store("victoria-metrics", os.path.join(directory, "store"))
plain = Plain(name="plain")
gate = Gate(int(store.address.split(":")[1]))
with store, plain, Rules(store, os.path.join(directory, "vmalert")):
    writers = {cluster: Writer(cluster, gate.address if cluster == "b" else store.address, plain.address) for cluster in "abc"}
    for one in writers.values():
        one.__enter__()
    try:
        suite.run()
    finally:
        for one in writers.values():
            one.stop()
        store.stop()
