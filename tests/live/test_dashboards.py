# SPDX-License-Identifier: BSD-2-Clause
"""dashboards/prometheus and dashboards/grafana, as files: test_fleet.py has them run."""
import itertools
import os
import re
import shutil

import panels
from harness import BINARY, Skip, Suite, equal, run, true

suite = Suite()
SEVERITIES = {"critical", "warning", "info"}
FLEET, HOST = "dirtyscope-fleet", "dirtyscope-host"


def promtool(*arguments):
    if not shutil.which("promtool"):
        raise Skip("promtool")
    done = run("promtool", *arguments)
    equal(done.returncode, 0, f"promtool {' '.join(arguments)}: {done.stdout}{done.stderr}")
    return done.stdout


def known():
    """Every metric of the agent, every record."""
    metrics = set(re.findall(r"^\| `(\w+)`", run(BINARY, "metrics").stdout, re.M))
    true(len(metrics) > 30, f"dirtyscope metrics lists {len(metrics)}")
    return metrics | {rule["record"] for rule in panels.rules("record")}


@suite.test("promtool takes the configuration and the rules, and its linter finds nothing")
def check():
    promtool("check", "config", "--lint=all", "--lint-fatal", os.path.join(panels.PROMETHEUS, "prometheus.yml"))
    promtool("check", "config", "--agent", "--lint=all", "--lint-fatal", os.path.join(panels.PROMETHEUS, "agent.yml"))
    files = [os.path.join(panels.PROMETHEUS, f"dirtyscope.{name}.yml") for name in ("rules", "alerts")]
    text = promtool("check", "rules", "--lint=all", "--lint-fatal", *files)
    equal(re.findall(r"(\d+) rules found", text), [str(len(panels.rules(kind))) for kind in ("record", "alert")],
          "rules found")


for path in panels.PROMTOOL_TESTS:
    suite.test(f"promtool test rules {os.path.basename(path)}", "test", "rules", path)(
        lambda *arguments: promtool(*arguments) and None)


@suite.test("every rule is tested, every alert both ways")
def tested():
    expressions, fires, quiet = "", set(), set()
    for case in itertools.chain.from_iterable(panels.load(path)["tests"] for path in panels.PROMTOOL_TESTS):
        for one in case.get("promql_expr_test", []):
            expressions += one["expr"] + "\n"
        for one in case.get("alert_rule_test", []):
            (fires if one["exp_alerts"] else quiet).add(one["alertname"])
    alerts = {rule["alert"] for rule in panels.rules("alert")}
    equal((fires, quiet), (alerts, alerts), "alerts with tests: fires, does not")
    # What a cluster's rule adds up is tested by it.
    tested_names = panels.names(expressions)
    for rule in reversed(panels.rules("record")):
        if rule["record"] in tested_names:
            tested_names |= panels.names(rule["expr"])
    equal({rule["record"] for rule in panels.rules("record")} - tested_names, set(), "records without a test")


@suite.test("every alert says how bad it is, what it is and what to look at, and dashboards/README.md lists it")
def alerts():
    with open(os.path.join(panels.ROOT, "dashboards/README.md"), encoding="utf-8") as page:
        listed = set(re.findall(r"^\| `(Dirtyscope\w+)` \|", page.read(), re.M))
    for rule in panels.rules("alert"):
        true(rule["labels"]["severity"] in SEVERITIES, f"{rule['alert']}: {rule['labels']}")
        true(len(rule["annotations"]["description"]) > 100, f"{rule['alert']} has no description")
        true("{{" in rule["annotations"]["summary"], f"{rule['alert']} does not say where")
    equal(listed, {rule["alert"] for rule in panels.rules("alert")}, "alerts in dashboards/README.md")


@suite.test("every rule and every panel reads metrics that there are")
def metrics():
    read = {}
    for rule in panels.rules("record") + panels.rules("alert"):
        read[rule.get("record") or rule["alert"]] = rule["expr"]
    for uid, dashboard in panels.dashboards().items():
        read.update((f"{uid}: {title}", query) for title, query in panels.queries(dashboard))
    for where, expression in read.items():
        true(panels.names(expression) or "up{" in expression or "ALERTS{" in expression, f"{where} reads nothing")
        equal(panels.names(expression) - known_names, set(), f"{where} reads")


@suite.test("the dashboards: a unit, a description and the chosen data source everywhere")
def structure():
    equal(set(panels.dashboards()), {HOST, FLEET}, "dashboards")
    for uid, dashboard in panels.dashboards().items():
        variables = {one["name"]: one for one in dashboard["templating"]["list"]}
        equal(variables["datasource"]["type"], "datasource", f"{uid}: type of the variable datasource")
        source = {"type": "prometheus", "uid": "${datasource}"}
        for one in [*(value for name, value in variables.items() if name != "datasource"),
                    *dashboard["annotations"]["list"], *panels.panels(dashboard)]:
            equal(one["datasource"], source, f"{uid}: data source of {one.get('title') or one['name']}")
        for panel in panels.panels(dashboard):
            where = f"{uid}: {panel['title']}"
            true(panel["fieldConfig"]["defaults"].get("unit"), f"{where} has no unit")
            true(len(panel.get("description", "")) > 20, f"{where} has no description")
            true(panel["targets"], f"{where} has no query")
            letters = [target["refId"] for target in panel["targets"]]
            equal(len(set(letters)), len(letters), f"{where}: letters {letters}")
            steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"] if panel["type"] != "table" else []
            values = [step["value"] for step in steps]
            true(not values or (values[0] is None and values[1:] == sorted(values[1:])), f"{where}: thresholds {values}")
        used = set(re.findall(r"\$\{?(?!_)(\w+)", str(dashboard["panels"]) + str(dashboard["annotations"])))
        equal(used, set(variables), f"{uid}: variables that are used, and that there are")
        ids = [panel["id"] for panel in dashboard["panels"]]
        equal(sorted(set(ids)), sorted(ids), f"{uid}: ids")


@suite.test("no two panels overlap, none leaves the grid")
def grid():
    for uid, dashboard in panels.dashboards().items():
        taken = {}
        for panel in dashboard["panels"]:
            place = panel["gridPos"]
            true(place["x"] >= 0 and place["w"] > 0 and place["x"] + place["w"] <= 24, f"{uid}: {panel['title']}: {place}")
            for cell in itertools.product(range(place["x"], place["x"] + place["w"]),
                                          range(place["y"], place["y"] + place["h"])):
                true(cell not in taken, f"{uid}: {panel['title']} is over {taken.get(cell)}")
                taken[cell] = panel["title"]


@suite.test("links lead to dashboards that there are, and give variables that they have")
def links():
    boards = panels.dashboards()
    for uid, dashboard in boards.items():
        urls = re.findall(r"'url': '([^']+)'", str(dashboard))
        true(urls, f"{uid} links nowhere")
        for url in urls:
            target, query = re.fullmatch(r"/d/([\w-]+)\?(.*)", url).groups()
            true(target in boards, f"{uid} links to {url}")
            given = set(re.findall(r"var-(\w+)=", query))
            equal(given - {one["name"] for one in boards[target]["templating"]["list"]}, set(), f"{url}: variables")
    for url in re.findall(r"'url': '([^']+__(?:field|data)[^']+)'", str(boards[FLEET])):
        true(f"/d/{HOST}?" in url and "var-instance=" in url, f"a host's link: {url}")


@suite.test("the data source has the interval of the scrapes")
def provisioning():
    source = panels.load(os.path.join(panels.GRAFANA, "provisioning/datasources/dirtyscope.yml"))
    equal([one["type"] for one in source["datasources"]], ["prometheus"], "data sources")
    scraped = panels.load(os.path.join(panels.PROMETHEUS, "prometheus.yml"))["global"]["scrape_interval"]
    equal(source["datasources"][0]["jsonData"]["timeInterval"], scraped, "interval of the data source")


known_names = known()
suite.run()
