# SPDX-License-Identifier: BSD-2-Clause
"""The manuals say what the program says, and every example in them runs."""
import atexit
import glob
import os
import re
import sys

import yaml

import examples
import harness
import manuals
import readme
from harness import BINARY, BUILD, Skip, Suite, equal, run, scratch, true

sys.path.append(os.path.join(manuals.ROOT, "tests"))
import suites  # noqa: E402

suite = Suite()
world = examples.World()
atexit.register(world.close)
texts = manuals.texts()
blocks = manuals.blocks()
FOLDERS = "bpf agent api dashboards tests .ci .github".split()
# In this order, and no others.
HEADINGS = ["Two commands", "Read it in five minutes", "What the numbers mean", "What it does not see", "Exact pages: a track",
            "Policies", "Prometheus, Grafana, the page", "Security", "Cost", "The tree, the manuals, how to carry on"]


def need_root():
    if os.geteuid() != 0:
        raise Skip("root")


def repeat(values, form, run_one):
    """One test for each value."""
    for value in values:
        suite.test(form.format(value), value)(run_one)


# ---- the main README ----

@suite.test("README.md has under 250 lines, and its sections in their order")
def short():
    text = texts[manuals.MAIN]
    true(text.count("\n") < 250, f"README.md has {text.count(chr(10))} lines")
    equal(re.findall(r"^## (.+)$", text, re.M), HEADINGS, "sections")


@suite.test("the figures of its section on cost are those of tests/bench/README.md")
def cost():
    part = re.search(r"^## Cost$(.*?)^## ", texts[manuals.MAIN], re.M | re.S)[1]
    values = re.findall(r"\| ([0-9][^|]+) \|$", part, re.M)
    true(len(values) == 3, f"three figures: {values}")
    measured = re.findall(r"[0-9]+\.[0-9]+", texts["tests/bench/README.md"])
    for number in re.findall(r"[0-9]+\.[0-9]+", " ".join(values)):
        true(number in measured, f"tests/bench/README.md has no {number}")


@suite.test("its tree has each folder of sources, and no other")
def tree():
    picture = next(block.text for block in blocks if block.manual == manuals.MAIN and block.text.startswith("bpf/"))
    named, base = set(), {}
    for line in picture.splitlines():
        words = re.match(r"( *)((?:[\w.]+/ *)+)", line)
        true(words, f"the tree has a line without a folder: {line!r}")
        depth, above = len(words[1]), ""
        for other in sorted(base):
            above = base[other] if other < depth else above
        base = {other: path for other, path in base.items() if other < depth}
        for folder in words[2].split():
            named.add(above + folder.rstrip("/"))
        base[depth] = above + words[2].split()[0]
    for path in named:
        true(os.path.isdir(os.path.join(manuals.ROOT, path)), f"the tree has {path}, which is no folder")
    for top in ("bpf", "agent", "api"):
        for where, _, files in os.walk(os.path.join(manuals.ROOT, top)):
            path = os.path.relpath(where, manuals.ROOT)
            true(path in named or not any(name.endswith((".c", ".yaml")) for name in files), f"the tree lacks {path}")


# ---- names ----

@suite.test("every command and option that a manual names exists")
def commands():
    usage = run(BINARY, "--help").stdout
    names = re.findall(r"^  ([a-z]+)  ", usage, re.M)
    verbs = re.findall(r"^  ([a-z]+) ", run(BINARY, "track", "--help").stdout, re.M)
    helps = [run(BINARY, name, "--help").stdout for name in names if name != "help"]
    helps += [run(BINARY, "track", verb, "--help").stdout for verb in verbs]
    options = set(re.findall(r"--[a-z][a-z.-]*", "".join(helps) + usage))
    for path, text in texts.items():
        for span in manuals.code(text):
            if match := re.match(r"dirtyscope ([a-z]+)(?: ([a-z]+))?", span):
                true(match[1] in names, f"{path}: `{span}`: there is no command {match[1]}")
                true(match[1] != "track" or not match[2] or match[2] in verbs, f"{path}: `{span}`: there is no verb")
            if span.startswith(("--", "dirtyscope ")):
                for option in re.findall(r"--[a-z][a-z.-]*", span):
                    true(option in options, f"{path}: `{span}`: there is no option {option}")


@suite.test("every file, make target and variable that a manual names exists")
def files():
    with open(os.path.join(manuals.ROOT, "Makefile"), encoding="utf-8") as file:
        makefile = file.read()
    sources = makefile
    for path in glob.glob(os.path.join(manuals.ROOT, "tests", "**", "*"), recursive=True):
        if os.path.isfile(path) and path.rsplit("/", 1)[-1] != "README.md" and "corpus" not in path and "/web/" not in path:
            with open(path, encoding="utf-8", errors="replace") as file:
                sources += file.read()
    for path, text in texts.items():
        for span in manuals.code(text):
            for word in re.findall(r"(?<![\w./])(?:" + "|".join(map(re.escape, FOLDERS)) + r")/[\w./*-]*", span):
                word = word.rstrip(".").replace("NAME", "*")
                true(glob.glob(os.path.join(manuals.ROOT, word)) or f'Row("{word}"' in sources,
                     f"{path}: `{span}`: there is no {word}")
            target = re.search(r"\bmake ([a-z][a-z-]*)(?=$|[^\w/-])", span)
            true(not target or re.search(rf"^{target[1]}:", makefile, re.M), f"{path}: `{span}`: there is no such target")
            for variable in re.findall(r"(?:^|\s)(?!CONFIG_)([A-Z][A-Z_]+)=", span):
                true(re.search(rf"\b{variable}\b", sources), f"{path}: `{span}`: nothing reads {variable}")


@suite.test("every link leads somewhere")
def links():
    for path, text in texts.items():
        for target, anchor in manuals.links(text):
            there = os.path.normpath(os.path.join(os.path.dirname(path), target)) if target else path
            true(os.path.exists(os.path.join(manuals.ROOT, there)), f"{path}: there is no {there}")
            if anchor:
                true(anchor in manuals.anchors(texts[there]), f"{path}: {there} has no heading #{anchor}")


@suite.test("README.md leads to every manual")
def reached():
    linked = {target for target, _ in manuals.links(texts[manuals.MAIN])}
    equal(set(texts) - linked, {manuals.MAIN}, "manuals that README.md does not lead to")


@suite.test("the files that a manual lists in its folder are there")
def listed():
    for path, text in texts.items():
        for names in manuals.rows(text, "The files"):
            for name in names:
                pattern = os.path.join(manuals.ROOT, os.path.dirname(path), name.replace("NAME", "*"))
                true(glob.glob(pattern), f"{path}: there is no {name}")


# ---- tables ----

def same_set(got, want, what):
    equal((set(want) - set(got), set(got) - set(want)), (set(), set()), f"{what}: not in the manual, only there")


def printed(name):
    got, want = manuals.section(name) or "", readme.TABLES[name]()
    same_set(got.splitlines(), want.splitlines(), f"section {name}; tests/live/readme.py BUILD {name} writes it anew")
    true(got == want, f"section {name} has another order; tests/live/readme.py BUILD {name} writes it anew")


repeat(readme.TABLES, "the table of {} is what the program prints", printed)


def names_in(path, heading):
    return {name for names in manuals.rows(texts[path], heading) for name in names}


@suite.test("the tables of commands, suites, sensors, reasons for a loss, policies and paths are complete")
def complete():
    need_root()
    world.url()
    listed = set(re.findall(r"^  ([a-z]+)  ", run(BINARY, "--help").stdout, re.M)) - {"help"}
    same_set({name.split()[1] for name in names_in("dashboards/README.md", "Commands")}, listed, "commands")
    kinds = {row.name.split("/")[0] for row in suites.ROWS}
    same_set({name.split("/")[0] for name in names_in("tests/README.md", "Suites")}, kinds, "kinds of suites")
    same_set(names_in("bpf/README.md", "Sensors"), world.agent.sensors(), "sensors")
    with open(os.path.join(manuals.ROOT, "bpf/dirtyscope.h"), encoding="utf-8") as file:
        reasons = {name.lower() for name in re.findall(r"^\tDS_LOST_(\w+),", file.read(), re.M)} - {"count"}
    same_set(names_in("bpf/README.md", "Accounting"), reasons | {"recursion"}, "reasons")
    shipped = set()
    for path in glob.glob(os.path.join(manuals.ROOT, "agent/policies/shipped/*.yaml")):
        with open(path, encoding="utf-8") as file:
            shipped |= {policy["name"] for policy in yaml.safe_load(file)["policies"]}
    same_set(names_in("agent/policies/README.md", "Shipped policies"), shipped, "policies")
    paths = {route["path"] for route in world.agent.get("/", {"Accept": "application/json"}).json()["routes"]}
    same_set(names_in("api/README.md", "Paths"), paths, "paths")


# ---- examples ----

@suite.test("every fenced block is an example that is run, or a picture")
def known():
    for block in blocks:
        what = f"{block.manual}: the {block.language} block after {block.example}"
        true(block.language in ("console", "yaml", "sh", "python", "text"), f"{what}: nothing runs this language")
        true(block.example or block.language == "text", f"{what} belongs to no example")
        true(BUILD not in block.text and manuals.ROOT not in block.text, f"{what} holds a path of the machine that made it")
        if block.language in ("console", "sh"):
            table = {"console": examples.CONSOLE, "sh": examples.SCRIPTS}[block.language]
            true(block.example in table, f"{what} has no row in examples.py")
    shown = [block.example for block in blocks]
    equal({name for name in [*examples.CONSOLE, *examples.SCRIPTS] if shown.count(name) != 1}, set(),
          "rows of examples.py that are shown in no manual, or in two")


def shown(example):
    return next(block.text for block in blocks if block.example == example)


def console(example):
    need_root()
    equal(examples.shape(examples.CONSOLE[example](world)), examples.shape(shown(example)), f"example {example}")


def script(example):
    need_root()
    examples.run_script(example, shown(example))


def checked(example):
    path = os.path.join(scratch(), "example.yaml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(shown(example))
    done = run(BINARY, "check", path)
    equal((done.returncode, done.stderr), (0, ""), f"dirtyscope check of {example}")


def python(example):
    need_root()
    path = os.path.join(scratch(), "test_example.py")
    with open(path, "w", encoding="utf-8") as file:
        file.write(shown(example))
    done = run("/usr/bin/python3", path, BUILD, env={**os.environ, "PYTHONPATH": os.path.dirname(harness.__file__), "TEST": ""})
    equal(done.returncode, 0, f"it said {done.stdout} {done.stderr}")
    true(re.search(r"^1\.\.[1-9]", done.stdout, re.M) and "# SKIP" not in done.stdout, f"it ran no test: {done.stdout}")


def of(language):
    return [block.example for block in blocks if block.language == language]


repeat(of("yaml"), "dirtyscope check passes the example {}", checked)
repeat(examples.CONSOLE, "what the example {} shows is what comes now", console)
repeat(of("sh"), "the script {} runs", script)
repeat(of("python"), "the program {} runs", python)

suite.run()
