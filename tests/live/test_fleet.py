# SPDX-License-Identifier: BSD-2-Clause
"""A fleet on loopback: one agent under load and many that replay its record, scraped by one real Prometheus with the
shipped configuration. The clusters' numbers are the agents', and every panel's query finds data."""
import atexit
import concurrent.futures
import math
import os
import re
import subprocess
import time

import panels
from harness import Agent, Suite, Workload, equal, eventually, require_root, scratch, true, within
from prometheus import MadeUp, Prometheus
from recorded import shorter
from rules import NAME, Restless
from unseen import Unseen

COUNT = int(os.environ.get("FLEET_AGENTS", "100"))
PARTS = 7  # records of different length
FILE_PAGES = 4096
SHORT = 20000  # processes
HOSTS = 1000  # to tell what they would cost
REQUEST_PAGES = 320  # of one read, at most
POLICY = f"""
policies:
  - name: followed
    summary: "{{comm}} writes {{value}} pages/s"
    for_each: process
    where: ["comm = {NAME}"]
    when: {{metric: rates, threshold: 10}}
    then:
      - track: {{every: 500ms}}
      - log
"""
# What this host cannot have: its virtio devices bypass the DMA API, no VM here owns a device, no kubelet runs.
MADE_UP = """dirtyscope_build_info{version="0.0.0",revision="made-up"} 1
dirtyscope_device_exposed_pages{device="pci/0000:00:04.0"} 512
dirtyscope_device_vfio_maps_total{device="pci/0000:00:04.0"} 3
dirtyscope_pod_written_pages_total{namespace="shop",pod="cart",writer="cpu"} 5
"""
NOT_HERE = {"Exposed A", "Exposed pages and live mappings, by device A", "Exposed pages, by cluster A",
            "Reported by hardware, mapped by VFIO B", "Busiest pods A"}

suite = Suite()
directory = scratch()
RECORD = os.path.join(directory, "record")
policies = os.path.join(directory, "policies")
os.mkdir(policies)
with open(os.path.join(policies, "fleet.yaml"), "w", encoding="utf-8") as rules_file:
    rules_file.write(POLICY)
live = Agent("--policies.directory", policies, "--record", RECORD, "--metrics.max-processes", "20",
             "--metrics.series-after", "1", interval=0.5)
monitor = Prometheus()
made_up = MadeUp(MADE_UP)
fleet = {}  # cluster: agents


def instance(agent):
    return f"127.0.0.1:{agent.port}"


def sum_of(metrics, name, *by):
    """{values of the labels `by`: sum}"""
    sums = {}
    for (metric, labels), value in metrics.items():
        if metric == name:
            key = tuple(dict(labels)[label] for label in by)
            sums[key] = sums.get(key, 0) + value
    return sums


def read_direct(path):
    """A file past the page cache: its pages are the device's, and this many."""
    done = subprocess.run(["dd", f"if={path}", "of=/dev/null", "bs=1M", "iflag=direct", "status=none"], check=False,
                          stderr=subprocess.PIPE)
    equal((done.returncode, done.stderr), (0, b""), "dd")


@suite.test("file discovery finds the agent, and what a device writes arrives as a host's rate")
def one_host():
    path = os.path.join(directory, "data")
    with open(path, "wb") as file:
        file.write(os.urandom(FILE_PAGES * 4096))
        os.fsync(file.fileno())
    monitor.set_targets({"one": [instance(live)], "made-up": [made_up.address]})
    eventually("both are scraped", lambda: list(monitor.targets().values()) == ["up", "up"])
    total = f'dirtyscope_written_pages_total{{instance="{instance(live)}",writer="dma"}}'
    before = eventually("a first sum", lambda: monitor.by(total, "instance"))[instance(live)]
    rounds, end = 0, time.monotonic() + 8
    with Unseen() as unseen, Restless() as busy, Workload("spawn", 5, SHORT) as short:
        busy.write(400)
        short.start()
        while time.monotonic() < end:
            read_direct(path)
            rounds += 1
            time.sleep(0.1)
        short.finish()
        live.settle()
        hidden = unseen.count()
    least = rounds * FILE_PAGES - hidden * REQUEST_PAGES

    def increase():
        return monitor.by(total, "instance").get(instance(live), 0) - before
    eventually(f"{least} pages", lambda: increase() >= least, 15)
    pages = increase()
    # Others may read, too: it is no more than the agent itself says of all of them.
    within(before + pages, least, live.total("dma"), "pages of the reads")
    rate = monitor.by("instance:dirtyscope_device_dirty_pages:rate1m", "instance")[instance(live)]
    true(rate > 0, "no rate of distinct pages")
    share = monitor.by("instance:dirtyscope_missed_by_cpu_tracking:ratio_rate1m", "instance")[instance(live)]
    within(share, 0.001, 0.999, "share that CPU-only tracking would miss")
    return f"{rounds * FILE_PAGES} pages read, {pages:.0f} told, {hidden} completions hidden by the kernel"


def soon(check, *arguments, seconds=15):
    """What check() returns once nothing in it fails: a busy host scrapes late."""
    end = time.monotonic() + seconds
    while True:
        try:
            return check(*arguments)
        except AssertionError:
            if time.monotonic() > end:
                raise
        time.sleep(0.5)


def add(many):
    total = {}
    for one in many:
        for key, value in one.items():
            total[key] = total.get(key, 0) + value
    return total


def told():
    """{cluster: [what each agent itself says of pages, devices and sensors]}"""
    def of_agent(agent):
        return {key: value for key, value in agent.metrics().items() if not key[0].startswith("dirtyscope_http")}
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        return {cluster: list(pool.map(of_agent, members)) for cluster, members in fleet.items()}


@suite.test(f"{COUNT} agents replay its record")
def start_fleet():
    equal(live.stop(), 0, "exit status")
    clusters = {"a": range(COUNT // 2), "b": range(COUNT // 2, COUNT * 4 // 5), "c": range(COUNT * 4 // 5, COUNT)}
    parts = [shorter(RECORD, number) for number in range(PARTS)]
    agents = [Agent("--replay", parts[number % PARTS]) for number in range(COUNT)]
    begin = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(Agent.__enter__, agents))
    took = time.monotonic() - begin
    for cluster, numbers in clusters.items():
        fleet[cluster] = [agents[number] for number in numbers]
    monitor.set_targets({cluster: [instance(agent) for agent in members] for cluster, members in fleet.items()}
                        | {"one": [instance(live)], "made-up": [made_up.address]})
    eventually("all are scraped", lambda: sum(health == "up" for health in monitor.targets().values()) == COUNT + 1)
    memory = sum(private(agent.pid) for agent in agents)
    return f"ready in {took:.1f} s; {memory / 1024:.0f} MiB of memory in all"


def private(pid):
    """KiB that this process alone has."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="utf-8") as file:
        return sum(int(number) for number in re.findall(r"^Private_\w+: +(\d+)", file.read(), re.M))


@suite.test("the cluster view's numbers are the sums of the agents'")
def sums():
    def stand_still():
        before = told()
        time.sleep(1.5)
        return before == told() and before
    agents = eventually("every agent is at its record's end", stand_still, 60)
    equal(len({str(sorted(metrics.items())) for metrics in agents["a"]}), min(PARTS, len(agents["a"])),
          "agents that say something of their own")
    compared = soon(compare, agents)
    return f"{compared} numbers of {COUNT} agents"


def compare(agents):
    """The recorded clusters with what their agents say; how many numbers that was."""
    compared = 0
    for record, metric, by in (
            ("cluster_writer:dirtyscope_written_pages_total:sum", "dirtyscope_written_pages_total", ("writer",)),
            ("cluster:dirtyscope_device_dirty_pages_total:sum", "dirtyscope_device_dirty_pages_total", ()),
            ("cluster:dirtyscope_hosts:count", "dirtyscope_build_info", ()),
            ("cluster:dirtyscope_hosts_up:sum", "dirtyscope_build_info", ())):
        shown = monitor.by(record, "cluster", *by)
        for cluster, members in agents.items():
            wanted = add(sum_of(metrics, metric, *by) for metrics in members)
            true(wanted, f"the agents have no {metric}")
            for key, want in wanted.items():
                equal(shown.get((cluster, *key) if key else cluster), want, f"{record} of {cluster} {key}")
                compared += 1
    shown = monitor.by("cluster:dirtyscope_sensors_down:sum", "cluster")
    for cluster, members in agents.items():
        equal(shown.get(cluster), sum(value == 0 for metrics in members for (name, _), value in metrics.items()
                                      if name == "dirtyscope_sensor_up"), f"sensors down in {cluster}")
    return compared + len(agents)


@suite.test("a cluster's rates are the sums of its hosts' at the same instant, and not 0")
def rates():
    # The instant of the last rule of the group: whatever is before it has been evaluated then, too.
    now = max(value for _, value in monitor.query(f"timestamp({panels.rules('record')[-2]['record']})"))
    for name, more in (("dirtyscope_written_pages", ("writer",)), ("dirtyscope_device_dirty_pages", ()),
                       ("dirtyscope_device_block_read_pages", ()), ("dirtyscope_sensor_events_offered", ())):
        suffix = "_writer" if more else ""
        shown = monitor.by(f"cluster{suffix}:{name}:rate1m", "cluster", *more, time=now)
        hosts = {}
        for labels, value in monitor.query(f"instance{suffix}:{name}:rate1m", time=now):
            key = (labels["cluster"], *(labels[one] for one in more)) if more else labels["cluster"]
            hosts.setdefault(key, []).append(value)
        equal(set(shown), set(hosts), f"{name}: clusters")
        for key, values in hosts.items():
            within(shown[key], sum(values) * (1 - 1e-9), sum(values) * (1 + 1e-9), f"{name} of {key}")
        true(all(shown[(one, "cpu") if more else one] > 0 for one in fleet), f"{name} is 0: {shown}")


def ask_panel(panel, target, variables):
    """[(labels, numbers)] that Grafana would get for one query of a panel."""
    query = panels.filled(target["expr"], variables)
    if target.get("instant"):
        return [(labels, [value]) for labels, value in monitor.query(query)]
    now = time.time()
    answer = monitor.ask("query_range", query=query, start=now - 60, end=now, step=5)
    return [(one["metric"], [float(value) for _, value in one["values"]]) for one in answer["result"]]


def check_panel(uid, panel, target, variables):
    where = f"{uid}: {panel['title']} {target['refId']}"
    data = ask_panel(panel, target, variables)
    true(data, f"{where} returns nothing: {target['expr']}")
    true(any(math.isfinite(value) for _, values in data for value in values), f"{where} returns no number")
    labels = set(re.findall(r"{{(\w+)}}", target.get("legendFormat", "")))
    true(any(labels <= set(one) for one, _ in data), f"{where}: no {labels} in {data[0][0]}")


@suite.test("every query of every panel, of the annotations and of the variables returns data")
def every_panel():
    host = {"$instance": instance(fleet["a"][0])}
    asked, elsewhere = 0, set()
    for uid, dashboard in panels.dashboards().items():
        variables = {**host, "$cluster": "a|b|c"}
        for panel in panels.panels(dashboard):
            for target in panel["targets"]:
                where = f"{panel['title']} {target['refId']}"
                if where in NOT_HERE and not ask_panel(panel, target, variables):
                    elsewhere.add(where)
                    soon(check_panel, uid, panel, target, {"$instance": made_up.address, "$cluster": "made-up"})
                else:
                    soon(check_panel, uid, panel, target, variables)
                asked += 1
        for variable in dashboard["templating"]["list"]:
            if variable["type"] == "query":
                metric, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["definition"]).groups()
                values = monitor.ask(f"label/{label}/values", **{"match[]": metric})
                true(set(values) >= ({"a", "b", "c"} if label == "cluster" else {host["$instance"]}),
                     f"{uid}: ${variable['name']} is one of {values}")
        for annotation in dashboard["annotations"]["list"]:
            monitor.query(panels.filled(annotation["expr"], variables))
    return f"{asked} queries; without data on this host, asked of a made-up one: {sorted(elsewhere)}"


@suite.test("all rules are loaded, healthy and quick; the alert of the agent that was stopped is pending, and no other")
def alerts():
    groups = monitor.ask("rules")["groups"]
    loaded = [rule for group in groups for rule in group["rules"]]
    equal(sorted(rule["name"] for rule in loaded),
          sorted(rule.get("record") or rule["alert"] for kind in ("record", "alert") for rule in panels.rules(kind)), "rules")
    for rule in loaded:
        equal((rule["health"], rule.get("lastError", "")), ("ok", ""), rule["name"])
    soon(pending)
    return f"{len(loaded)} rules, evaluated in {sum(group['evaluationTime'] for group in groups) * 1000:.0f} ms"


def pending():
    down = {(alert["labels"]["instance"], alert["state"]) for alert in monitor.ask("alerts")["alerts"]
            if alert["labels"]["alertname"] == "DirtyscopeAgentDown"}
    equal(down, {(instance(live), "pending")}, "agents that are down")


@suite.test("series per host, with 20,000 short processes in its record, and Prometheus' memory for them")
def cost():
    series = sum(len(monitor.ask("series", **{"match[]": f'{{instance="{instance(agent)}"}}'})) for agent in fleet["a"])
    of_processes = len(monitor.ask("series", **{
        "match[]": f'dirtyscope_process_written_pages_total{{instance="{instance(live)}"}}'}))
    own = monitor.own()
    head, memory = own["prometheus_tsdb_head_series"], own["process_resident_memory_bytes"]
    each = series / len(fleet["a"])
    # 22 processes at most have series at once; the short ones none.
    within(of_processes, 4, 4 * 40, "series of processes on the host that was looked at")
    within(each, 100, 2000, "series of a host")
    return (f"{each:.0f} series a host, {of_processes} ever of processes where {SHORT} came and went; {head:.0f} in the head, "
            f"{memory / head / 1024:.1f} KiB each; {HOSTS} hosts: {HOSTS * each * memory / head / 2**30:.1f} GiB")


@suite.test("a host that goes takes its numbers out of the cluster's")
def host_goes():
    gone = fleet["c"].pop()
    true(fleet["c"], "a cluster of more than one")
    equal(gone.stop(), 0, "exit status")
    left = add(sum_of(metrics, "dirtyscope_written_pages_total", "writer") for metrics in told()["c"])
    record = "cluster_writer:dirtyscope_written_pages_total:sum"
    eventually("the others' sum", lambda: monitor.by(f'{record}{{cluster="c"}}', "writer") == {
        writer: value for (writer,), value in left.items()}, pause=0.5)
    eventually("one host of c that does not answer", lambda: (
        monitor.by("cluster:dirtyscope_hosts:count", "cluster")["c"]
        - monitor.by("cluster:dirtyscope_hosts_up:sum", "cluster")["c"]) == 1)


@suite.test("promtool check metrics has nothing to say of a replay")
def check_metrics():
    done = subprocess.run(["promtool", "check", "metrics"], input=fleet["b"][0].get("/metrics").body,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    equal((done.returncode, done.stdout.decode()), (0, ""), "promtool check metrics")


require_root()
atexit.register(made_up.stop)
with monitor, live:
    suite.run()
