# SPDX-License-Identifier: BSD-2-Clause
"""doctor says of this host what the agent says of it, and attaches nothing; version says which this is."""
import json
import os
import shutil

import harness
from harness import BINARY, Agent, Skip, Suite, equal, require_root, run, scratch, true

CHECKS = {"kernel", "btf", "capabilities", "lockdown", "functions", "cgroup2", "iommu"}
BASE = {"fault", "pagecache", "block", "net", "dma", "iommu", "swiotlb", "process"}

suite = Suite()
directory = scratch()
binary = os.path.join(directory, "dirtyscope")


def doctor(*prefix, status=0):
    done = run(*prefix, binary, "doctor", "--json", timeout=120)
    equal(done.returncode, status, f"exit status; it said {done.stderr!r}")
    return json.loads(done.stdout)


def states(rows):
    return {row["name"]: row["state"] for row in rows}


@suite.test("doctor: as the agent says; what is limited says what would be gained")
def agrees():
    found = doctor()
    equal(set(states(found["checks"])), CHECKS, "checks")
    equal(found["can_run"], True, "can_run")
    equal(found["reason"], "", "reason")
    equal({row["name"] for row in found["sensors"] if row["base"]}, BASE, "base sensors")
    for row in found["checks"] + found["sensors"]:
        true(row["state"] in ("ok", "limited", "missing"), f"state of {row}")
        true(row["detail"], f"no detail in {row}")
    with Agent() as agent:
        for name, sensor in agent.sensors().items():
            mine = next(row for row in found["sensors"] if row["name"] == name)
            equal(sensor["state"] == "unavailable", mine["state"] == "missing" or not mine["base"] and
                  mine["state"] == "limited", f"{name}: {mine}, the agent says {sensor['state']}")
            if sensor["state"] == "unavailable":
                equal(mine["detail"], sensor["reason"], f"why {name} cannot run")
                true(mine["gain"], f"no gain in {mine}")
        tiers = {tier["name"]: tier for tier in agent.json("/api/v1/sensors")["tiers"]}
    functions = next(row for row in found["checks"] if row["name"] == "functions")
    equal(functions["state"] == "ok", tiers["fentry"]["available"], f"functions: {functions}")
    return [f"{name}: {state}" for name, state in states(found["checks"]).items() if state != "ok"]


@suite.test("doctor: for people, every check and sensor on a line of its own")
def text():
    done = run(binary, "doctor", timeout=120)
    equal(done.returncode, 0, f"exit status; it said {done.stderr!r}")
    lines = [line.split() for line in done.stdout.splitlines()]
    named = {words[1] for words in lines if len(words) > 1 and words[0] in ("ok", "limited", "missing")}
    equal(named, CHECKS | BASE | {"virtio", "hw"}, "names")
    equal(done.stderr, "", "stderr")


@suite.test("doctor: without privilege it says what is missing, exit 3")
def nobody():
    found = doctor("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--bounding-set", "-all",
                   "--inh-caps", "-all", status=3)
    equal(states(found["checks"])["capabilities"], "missing", "capabilities")
    equal(found["can_run"], False, "can_run")
    true("CAP_BPF" in found["reason"], f"reason: {found['reason']}")
    true(all(row["state"] == "missing" for row in found["sensors"] if row["base"]), f"sensors: {states(found['sensors'])}")


@suite.test("doctor: with CAP_BPF and CAP_PERFMON alone every base sensor can run; what it lacks is told")
def less():
    keep = "-all,+bpf,+perfmon"
    found = doctor("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--bounding-set", keep,
                   "--inh-caps", keep, "--ambient-caps", keep)
    row = next(row for row in found["checks"] if row["name"] == "capabilities")
    equal(row["state"], "limited", "capabilities")
    true("CAP_SYS_ADMIN" in row["detail"] and "CAP_BPF" not in row["detail"], f"detail: {row}")


@suite.test("doctor: without BTF, exit 3")
def no_btf():
    empty = os.path.join(directory, "empty")
    os.mkdir(empty)
    hide = ("unshare", "--mount", "sh", "-c", 'mount --bind "$0" /sys/kernel/btf && exec "$@"', empty)
    if run(*hide, "true").returncode:
        raise Skip("a mount namespace")
    found = doctor(*hide, status=3)
    equal(states(found["checks"])["btf"], "missing", "btf")
    true("CONFIG_DEBUG_INFO_BTF" in found["reason"], f"reason: {found['reason']}")


@suite.test("version and --version: this build, its libbpf, the kernel")
def version():
    lines = run(BINARY, "version").stdout.splitlines()
    equal(run(BINARY, "--version").stdout.splitlines(), lines, "--version")
    equal(run(BINARY, "-V").stdout.splitlines(), lines, "-V")
    found = json.loads(run(BINARY, "version", "--json").stdout)
    equal(json.loads(run(BINARY, "--version", "--json").stdout), found, "--version --json")
    equal(found["kernel"], os.uname().release, "kernel")
    equal(lines, [f"dirtyscope {found['version']} ({found['revision']})", f"libbpf {found['libbpf']}",
                  f"Linux {found['kernel']} {found['machine']}"], "lines")
    return f"{found['version']}, libbpf {found['libbpf']}"


require_root()
shutil.copy2(harness.BINARY, binary)
os.chmod(binary, 0o755)
suite.run()
