# SPDX-License-Identifier: BSD-2-Clause
"""The command line: help, exit statuses, tables, what it says when something is wrong."""
import json
import os
import pty
import subprocess

from harness import (BINARY, Agent, Suite, Workload, equal, require_root, run, scratch, true)

TABLES = ("processes", "devices", "flows", "cgroups", "vms", "sensors", "events")
COMMANDS = ("agent", "top", *TABLES, "check")
suite = Suite()
agent = Agent()
directory = scratch()


def cli(*args, status=0, env=None, url=True):
    """Runs a client command against the agent; its output."""
    environment = {**os.environ, **(env or {})}
    if url:
        environment["DIRTYSCOPE_URL"] = agent.url
    done = run(BINARY, *args, env=environment)
    equal(done.returncode, status, f"exit status of {args}; it said {done.stderr!r}")
    return done


def wrong(status, word, *args, **options):
    """It fails with one line on stderr that names the word, and says nothing on stdout."""
    done = cli(*args, status=status, **options)
    equal(done.stdout, "", f"output of {args}")
    true(done.stderr.strip(), f"{args} says nothing")
    true(word in done.stderr, f"{args} does not name {word!r}: {done.stderr!r}")
    return done.stderr


@suite.test("every command has --help, on stdout, with exit status 0")
def help_text():
    for command in COMMANDS:
        done = cli(command, "--help", url=False)
        true(f"dirtyscope {command}" in done.stdout, f"{command} --help: {done.stdout!r}")
        true("--help" in done.stdout, f"{command} --help does not list --help")
        equal(done.stderr, "", f"stderr of {command} --help")
    overview = cli("--help", url=False).stdout
    for command in COMMANDS:
        true(command in overview, f"--help does not list {command}")


@suite.test("wrong usage: exit status 2, and the message names it")
def usage():
    wrong(2, "nosuch", "nosuch", url=False)
    equal(run(BINARY).returncode, 2, "exit status without a command")
    for command in COMMANDS:
        wrong(2, "nosuch", command, "--nosuch", url=False)
    wrong(2, "nosuch", "top", "-b", "-n", "1", "-s", "nosuch")
    wrong(2, "interval", "agent", "--interval", "never", url=False)
    wrong(2, "interval", "agent", "--interval", "0", url=False)
    wrong(2, "max-processes", "agent", "--max-processes", "99999999999999999999", url=False)
    wrong(2, "web.listen-address", "agent", "--web.listen-address", "nonsense", url=False)
    wrong(2, "log.level", "agent", "--log.level", "loud", url=False)
    wrong(2, "gopher", "processes", "--url", "gopher://127.0.0.1")


@suite.test("an agent that cannot be reached: exit status 1 and one line")
def unreachable():
    for url in ("http://127.0.0.1:1", f"unix:{directory}/none"):
        for command in (*TABLES, "top"):
            arguments = (command, "-b", "-n", "1") if command == "top" else (command,)
            text = wrong(1, url.split("//")[-1].split(":", 1)[-1], *arguments, "--url", url)
            equal(text.count("\n"), 1, f"lines in {text!r}")


@suite.test("a port that is taken: exit status 1 and one line")
def taken():
    done = run(BINARY, "agent", "--web.listen-address", f"127.0.0.1:{agent.port}")
    equal(done.returncode, 1, f"exit status; it said {done.stderr!r}")
    errors = [line for line in done.stderr.splitlines() if "level=info" not in line]
    equal(len(errors), 1, f"lines that are not information: {done.stderr!r}")
    true(str(agent.port) in errors[0], f"it does not name the port: {errors[0]!r}")


@suite.test("--json is the API's answer")
def as_json():
    for command in TABLES:
        answer = json.loads(cli(command, "--json").stdout)
        want = agent.json(f"/api/v1/{command}")
        equal(sorted(answer), sorted(want), f"keys of {command} --json")
        if want[command]:
            equal(sorted(answer[command][0]), sorted(want[command][0]), f"keys of one of {command}")
    top = cli("top", "-b", "-n", "1", "--json").stdout
    true("processes" in json.loads(top), "top --json has no processes")


@suite.test("tables: a heading, a row each, no escape sequences")
def tables():
    with Workload("anonymous", 2000) as workload:
        workload.go()
        agent.settle()
        for command in TABLES:
            text = cli(command).stdout
            true(text.count("\n") >= 1, f"{command} prints no heading")
            true("\x1b" not in text, f"{command} prints escapes into a pipe")
        for arguments in (("processes",), ("top", "-b", "-n", "1", "-l", "10000"),
                          ("top", "-b", "-n", "1", "-F", "workload")):
            text = cli(*arguments).stdout
            rows = [line for line in text.splitlines() if str(workload.pid) in line.split()]
            true(len(rows) == 1 and "workload" in rows[0], f"{arguments}: {text}")
        true(str(workload.pid) not in cli("top", "-b", "-n", "1", "-F", "nobody-has-it").stdout,
             "the filter of top does not filter")
    fault = [line for line in cli("sensors").stdout.splitlines() if line.startswith("fault")]
    true(fault and "active" in fault[0], f"sensors: {fault}")


@suite.test("top -b -n 3 -d 0.2 ends after three tables")
def repeats():
    text = cli("top", "-b", "-n", "3", "-d", "0.2").stdout
    equal(sum("PID" in line for line in text.splitlines()), 3, f"headings in {text!r}")


def on_terminal(*command, **env):
    """Output of a command that believes to be on a terminal."""
    main, side = pty.openpty()
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=side, stderr=side,
                          env={**os.environ, "TERM": "xterm-256color",
                               "DIRTYSCOPE_URL": agent.url, **env}) as child:
        os.close(side)
        output = b""
        try:
            while chunk := os.read(main, 65536):
                output += chunk
        except OSError:
            pass
        child.wait(20)
    os.close(main)
    return output


@suite.test("NO_COLOR: no escape sequences on a terminal either")
def no_color():
    for command in TABLES:
        output = on_terminal(BINARY, command, NO_COLOR="1")
        true(output and b"\x1b" not in output, f"{command}: {output[:200]!r}")


@suite.test("--url over the command line, and over a Unix socket")
def urls():
    true(json.loads(cli("sensors", "--json", "--url", agent.url, url=False).stdout), "no answer")
    path = os.path.join(directory, "socket")
    with Agent(listen=f"unix:{path}"):
        true(json.loads(cli("sensors", "--json", "--url", f"unix:{path}", url=False).stdout),
             "no answer over a Unix socket")
    true(not os.path.exists(path), "the socket is still there after the agent has ended")


def config(text):
    path = os.path.join(directory, "config.yaml")
    with open(path, "wb") as file:
        file.write(text)
    return path


@suite.test("check: a good file is good, a bad one is named with line and reason")
def check():
    cli("check", config(b"interval: 2\nmax-processes: 100\n"), url=False)
    for text, word in ((b"interval: 2\nnosuch: 1\n", "nosuch"),
                       (b"interval: 2\ninterval: 3\n", "interval"),
                       (b"interval: never\n", "interval"),
                       (b"interval: [1, 2]\n", "interval"),
                       (b"max-processes: 18446744073709551616\n", "max-processes"),
                       (b"- a list\n", "config.yaml:1"),
                       (b"interval: \"2\n", "config.yaml"),
                       (b"log.level: \xff\n", "config.yaml"),
                       (b"interval: 2\0\n", "config.yaml"),
                       (b"{" * 5000, "config.yaml")):
        done = run(BINARY, "check", config(text))
        equal(done.returncode, 2, f"exit status for {text[:40]!r}; it said {done.stderr!r}")
        true(word in done.stderr and "config.yaml" in done.stderr,
             f"{text[:40]!r}: {done.stderr!r}")
        equal(run(BINARY, "agent", "--config", config(text)).returncode, 2,
              f"exit status of the agent for {text[:40]!r}")
    done = run(BINARY, "check", directory + "/none")
    true(done.returncode in (1, 2) and "none" in done.stderr, f"no such file: {done.stderr!r}")


@suite.test("--config: options from a file, the command line before it")
def from_file():
    with Agent("--config", config(b"metrics.max-processes: 7\ninterval: 3600\n")) as other:
        other.settle()  # --interval of the command line, else it would take an hour
    done = run(BINARY, "agent", "--config", directory + "/none")
    true(done.returncode in (1, 2), f"exit status {done.returncode}")
    true("none" in done.stderr, f"it does not name the file: {done.stderr!r}")


require_root()
with agent:
    suite.run()
