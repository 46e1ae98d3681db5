# SPDX-License-Identifier: BSD-2-Clause
"""The files of dashboards/prometheus and dashboards/grafana, as the suites read them."""
import glob
import json
import os
import re

import yaml

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROMETHEUS = os.path.join(ROOT, "dashboards/prometheus")
GRAFANA = os.path.join(ROOT, "dashboards/grafana")
PROMTOOL_TESTS = sorted(glob.glob(os.path.join(ROOT, "tests/prometheus/*_test.yml")))
# What Grafana would fill in.
INTERVALS = {"$__rate_interval": "1m"}


def load(path):
    with open(path, encoding="utf-8") as file:
        return yaml.safe_load(file)


def rules(kind):
    """The rules of kind "record" or "alert", in order."""
    files = sorted(glob.glob(os.path.join(PROMETHEUS, "dirtyscope.*.yml")))
    return [rule for path in files for group in load(path)["groups"] for rule in group["rules"] if kind in rule]


def dashboards():
    """{uid: dashboard}"""
    found = {}
    for path in sorted(glob.glob(os.path.join(GRAFANA, "*.json"))):
        with open(path, encoding="utf-8") as file:
            dashboard = json.load(file)
        found[dashboard["uid"]] = dashboard
    return found


def panels(dashboard):
    """Those that show something."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def queries(dashboard):
    """[(title and letter, PromQL with Grafana's variables)], the annotations' too."""
    return [(f"{panel['title']} {target['refId']}", target["expr"])
            for panel in panels(dashboard) for target in panel["targets"]]


def filled(query, variables):
    """The query as Grafana sends it."""
    for name, value in {**INTERVALS, **variables}.items():
        query = query.replace(name, value)
    if "$" in query:
        raise AssertionError(f"a variable that is not known: {query}")
    return query


def names(query):
    """The metrics and records that a query reads."""
    plain = re.sub(r'"(?:[^"\\]|\\.)*"', '""', query)
    return set(re.findall(r"\b(?:(?:instance|cluster)(?:_\w+)?:)?dirtyscope_[\w:]+", plain))
