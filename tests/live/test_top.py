# SPDX-License-Identifier: BSD-2-Clause
"""The live view on a terminal: every key, against the API's answer; any size; any end."""
import json
import os
import re
import signal
import socket
import subprocess
import unicodedata
from urllib.parse import quote

from harness import BINARY, Agent, Suite, Workload, equal, eventually, require_root, run, scratch, true, within
from rules import Restless
from tmux import Terminal, quoted

SLEEPERS = 60
FILTER = "sleepers 1"
WIDTH, HEIGHT = 110, 30
PANES = "Processes Devices Flows"
suite = Suite()
directory = scratch()
token = os.path.join(directory, "token")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


tcp = f"http://127.0.0.1:{free_port()}"
agent = Agent("--web.listen-address", tcp.removeprefix("http://"), "--web.token-file", token,
              listen=f"unix:{directory}/socket")
sleepers = Workload("sleepers", 1, SLEEPERS)


class Top(Terminal):
    """`dirtyscope top`, with what it needs to be waited for; the shell around it stays."""

    def __init__(self, *options, url=None, width=WIDTH, height=HEIGHT, env=None, delay="0.2"):
        self.files = {name: os.path.join(directory, f"{name}-{Terminal.count}")
                      for name in ("before", "after", "status", "pid")}
        self.files["script"] = os.path.join(directory, f"script-{Terminal.count}")
        with open(self.files["script"], "w", encoding="ascii") as script:
            script.write("echo $$ > {pid}; exec ".format(**self.files) + quoted(
                BINARY, "top", "-d", delay, "--url", url or agent.url, *options))
        super().__init__(directory, "trap : INT QUIT HUP; stty -a > {before}; sh {script}; echo $? > {status}; stty -a > {after}; sleep 1000".format(
            **self.files), width, height, env)

    def read(self, name):
        def text():
            if os.path.exists(self.files[name]):
                with open(self.files[name], encoding="utf-8") as file:
                    return file.read()
            return ""
        return eventually(f"{name} is written", text)

    @property
    def pid(self):
        return int(self.read("pid"))

    def status(self):
        return int(self.read("status"))

    def state(self):
        """(selected, total) of the line of tabs."""
        return self.sees("a line of tabs", state_of)

    def titles(self):
        return self.sees("titles", lambda lines: next((line for line in lines if re.match(r" *(PID|DEVICE)\b", line)), None))


def state_of(lines):
    for line in lines:
        found = re.match(PANES + r"  (\d+) of (\d+)", line)
        if found:
            return int(found[1]), int(found[2])
    return None


def rows_of(lines):
    """The words of each row below the titles."""
    at = next((i for i, line in enumerate(lines) if re.match(r" *(PID|DEVICE)\b", line)), len(lines))
    return [line.split() for line in lines[at + 1:-1] if line]


def pids_of(lines):
    return [int(row[0]) for row in rows_of(lines) if row[0].isdigit()]


def api_pids(query, limit):
    return [one["pid"] for one in agent.json(f"/api/v1/processes?filter={quote(FILTER)}&{query}&limit={limit}")["processes"]]


def like_api(top, query, what, head=10):
    """The rows are those of the API now; their number."""
    return top.sees(f"{what}: the rows of {query}", lambda lines: pids_of(lines) == api_pids(query, HEIGHT - head) and pids_of(lines))


class Sleeping(Top):
    """A view of the sleepers alone: nothing in it changes unless a key is pressed."""

    def __init__(self, *options, **more):
        super().__init__("-s", "pid", "--order", "asc", *options, **more)
        # Not by -F: it would find itself.
        self.press("F4")
        self.type(FILTER)
        self.press("Enter")


@suite.test("the head and the rows are the API's")
def first():
    with Sleeping() as top:
        like_api(top, "sort=pid&order=asc", "at the start")
        lines = top.screen()
        summary = agent.json("/api/v1/summary")
        true(socket.gethostname() in lines[0] and os.uname().release in lines[0], f"title: {lines[0]}")
        sensors = summary["sensors"]
        true(f"sensors: {sensors['active']} active, {sensors['partial']} partial, {sensors['unavailable']} unavailable" in lines[5],
             f"sensors: {lines[5]}")
        off = [one["name"] for one in agent.json("/api/v1/sensors")["sensors"] if one["state"] == "unavailable"]
        top.sees("what is not seen", lambda lines: lines[6].startswith("not seen: ") and all(name in lines[6] for name in off[:2]))
        written = {one["pid"]: sum(one["written"]["cpu"].values()) + sum(
            value for name, value in one["written"].items() if name != "cpu")
            for one in agent.json(f"/api/v1/processes?filter={quote(FILTER)}&limit=100")["processes"]}
        place = top.titles().split().index("WRITTEN")
        for row in rows_of(lines):
            equal(int(row[place]), written[int(row[0])], f"written of {row[0]}")
        equal(top.state(), (1, len(written)), "selected and total")


@suite.test("the rates of the head are the API's while a workload writes, and sparklines show them")
def rates():
    def rate():
        return agent.json("/api/v1/summary")["cpu_rates"]["first_touch"]
    with Top("-d", "0.3") as top, Restless() as busy:
        top.state()
        busy.write(400)
        # Of the same snapshot, which is not so each time; 20 times a second, unless it has to wait for a CPU.
        top.sees("the rate", lambda lines: (found := re.match(r"first touch +([\d.]+)/s.*[▁▂▃▄▅▆▇█]", lines[1]))
                 and float(found[1]) >= 400 and found[1] == f"{rate():.1f}")


@suite.test("< > F6 and I: sorted as the API sorts")
def sorting():
    with Sleeping() as top:
        like_api(top, "sort=pid&order=asc", "-s and --order")
        true("PID▲" in top.titles(), f"the mark: {top.titles()}")
        top.press("I")
        like_api(top, "sort=pid&order=desc", "I")
        true("PID▼" in top.titles(), f"the mark: {top.titles()}")
        top.press(">")
        like_api(top, "sort=cpu_rate&order=desc", ">")
        top.press("<")
        like_api(top, "sort=pid&order=desc", "<")
        top.press("<")  # there is none to the left
        like_api(top, "sort=pid&order=desc", "< at the end")
        top.press("F6")
        top.sees("the menu", lambda lines: any(line.startswith("written ") for line in lines))
        names = [line.split()[0] for line in top.screen()[8:-1] if line]
        top.press(*["Down"] * names.index("first_touch"))
        top.press("Enter")
        like_api(top, "sort=first_touch&order=desc", "F6")
        top.press("F6", "Up", "Escape")
        top.sees("still by first_touch", lambda lines: state_of(lines) and "by first_touch, falling" in lines[7])


@suite.test("F4 and \\: the filter; Esc leaves it, Backspace edits it")
def filtering():
    with Top("-s", "pid") as top, Workload("comm", 1000, "7a7a7a7171") as one:
        one.go()
        top.state()
        top.press("F4")
        top.type("ZZZQQx")
        top.sees("the prompt", lambda lines: lines[-1] == "filter: ZZZQQx")
        top.press("BSpace", "Enter")
        top.sees("only that one", lambda lines: pids_of(lines) == [one.pid] and "filter 'ZZZQQ'" in lines[7])
        top.press("\\")
        top.type("nothing")
        top.press("Escape")
        top.sees("as before", lambda lines: pids_of(lines) == [one.pid] and lines[-1].startswith("F1"))
        top.press("\\", "C-u")
        top.type("no-such-name-at-all")
        top.press("Enter")
        top.sees("an empty list", lambda lines: state_of(lines) == (0, 0) and any("nothing holds" in line for line in lines))
        top.press("F4", "C-u", "Enter")
        top.sees("all again", lambda lines: len(pids_of(lines)) > 10 and "filter" not in lines[7])


@suite.test("arrows, PgUp, PgDn, Home, End: the page and the selection are the API's")
def moving():
    query, page = "sort=pid&order=asc", HEIGHT - 10
    with Sleeping() as top:
        like_api(top, query, "at the start")
        total = top.state()[1]
        equal(total, SLEEPERS + 1, "processes")
        everyone = api_pids(query, total)
        for keys, selected, offset in ((["Down"] * 3, 4, 0), (["Up"], 3, 0), (["NPage"], 3 + page, 3), (["End"], total, total - page),
                                       (["PPage"], total - page, total - page - 1), (["Home"], 1, 0), (["Up"], 1, 0),
                                       (["j", "j", "k"], 2, 0), (["G"], total, total - page), (["g"], 1, 0)):
            top.press(*keys)
            top.sees(f"after {keys}: row {selected}, from {offset} on", lambda lines, s=selected, o=offset: (
                state_of(lines) == (s, total) and pids_of(lines) == everyone[o:o + page]))
        top.press("End")
        top.sees("the end", lambda lines: state_of(lines)[0] == total)
        top.sees("the last is selected", lambda lines: selected_line(top).split()[:1] == [str(everyone[-1])])
        top.press("I")
        top.sees("the first is selected", lambda lines: selected_line(top).split()[:1] == [str(everyone[-1])] and "falling" in lines[7])


def selected_line(top):
    """Drawn in reverse, below the titles; "" unless there is one. An attribute lasts beyond the end of its line."""
    reverse, found = False, []
    for line in top.screen(escapes=True):
        begin = True
        for escape, text in re.findall(r"\x1b\[([\d;]*)m|([^\x1b]+)", line):
            for number in escape.split(";") if not text else ():
                reverse = number == "7" or (reverse and number not in ("", "0", "27"))
            if text and begin and reverse:
                found.append(re.sub(r"\x1b\[[\d;]*m", "", line))
            begin = begin and not text
    found = [line for line in found if not re.match(r" *(PID|DEVICE)\b|Processes", line)]
    return found[0] if len(found) == 1 else ""


@suite.test("/ n N: from one row that holds the text to the next, and around")
def searching():
    query = "sort=pid&order=asc"
    with Sleeping() as top:
        like_api(top, query, "at the start")
        everyone = agent.json(f"/api/v1/processes?filter={quote(FILTER)}&{query}&limit=1000")["processes"]

        def holders(text):
            return [index + 1 for index, one in enumerate(everyone) if any(
                text in str(one[name]) for name in ("pid", "comm", "cmdline", "user", "cgroup", "container"))]
        # The end of a pid that some others have as well, but not the first.
        text, places = next((text, places) for text in sorted({str(one["pid"])[-2:] for one in everyone}) + [str(everyone[-1]["pid"])]
                            if (places := holders(text)) and places[0] > 1)
        everyone = [one["pid"] for one in everyone]
        top.press("/")
        top.type(text)
        top.press("Enter")
        expect = [places[0], *places[1:], places[0]]
        for place in expect:
            top.sees(f"row {place} of {places}", lambda lines, p=place: (
                (state_of(lines) or (0, 0))[0] == p and everyone[p - 1] in pids_of(lines)))
            top.sees("it is selected", lambda lines, p=place: selected_line(top).split()[:1] == [str(everyone[p - 1])])
            top.press("n")
        # One n too many was pressed; those that come together are steps, too.
        top.press("N", "N", "n", "N", "N", "n")
        back = places[-1]
        top.sees(f"back to row {back}", lambda lines: (state_of(lines) or (0, 0))[0] == back)
        top.press("/")
        top.type("no-such-name")
        top.press("Enter")
        top.sees("it says so", lambda lines: lines[-1] == "no row holds 'no-such-name'")
        equal(top.state()[0], back, "selected after a search in vain")


def read_a_file():
    """256 pages of a file past the page cache."""
    path = os.path.join(directory, "data")
    with open(path, "wb") as file:
        file.write(os.urandom(1 << 20))
        os.fsync(file.fileno())
    with subprocess.Popen(["dd", f"if={path}", "of=/dev/null", "bs=1M", "iflag=direct"], stderr=subprocess.DEVNULL) as reader:
        reader.wait()
    return reader.pid


@suite.test("Tab, Shift-Tab and -p: processes, devices and flows as the API has them")
def panes():
    pid = read_a_file()
    agent.settle()
    with Top("-s", "pid", "-p", str(pid)) as top:
        top.sees("one process", lambda lines: pids_of(lines) == [pid])
        top.press("Tab")
        devices = agent.json("/api/v1/devices?sort=rate")["devices"]
        top.sees("the devices", lambda lines: sorted(row[0] for row in rows_of(lines)) == sorted(one["id"] for one in devices))
        top.press("Tab")
        flow = agent.json(f"/api/v1/flows?pid={pid}")["flows"][0]
        rows = top.sees("the flow", lambda lines: pids_of(lines) == [pid] and rows_of(lines))
        equal(rows[0][:4], [str(pid), flow["device"], str(flow["requests"]), str(flow["pages"])], "the flow")
        within(int(rows[0][3]), 256, 400, "pages of a read of 256")
        top.press("Tab")
        top.sees("processes again", lambda lines: "WRITTEN" in top.titles())
        top.press("BTab")
        top.sees("flows by Shift-Tab", lambda lines: "REQUESTS" in top.titles())
        top.press("Right", "Right")
        top.sees("columns scrolled", lambda lines: any(re.match(r" *PID +PAGES", line) for line in lines))
        top.press("Left")
        top.sees("and back", lambda lines: any(re.match(r" *PID +REQUESTS", line) for line in lines))


@suite.test("Enter: details of a process, a device and a flow; Esc goes back")
def details():
    with Workload("anonymous", 3000) as workload, Top("-p", str(workload.pid)) as top:
        workload.go()
        agent.settle()
        top.sees("the workload", lambda lines: pids_of(lines)[:1] == [workload.pid])
        top.press("Enter")
        process = agent.process(workload.pid)
        true(process["written"]["cpu"]["first_touch"] >= 3000, f"first_touch of {process}")
        for name, value in (("first_touch", process["written"]["cpu"]["first_touch"]), ("cmdline", process["cmdline"])):
            top.sees(f"{name} {value}", lambda lines, n=name, v=value: any(line.split(None, 1) == [n, str(v)] for line in lines))
        top.press("Escape", "Tab")
        device = next(iter(agent.devices().values()))
        top.sees("devices", lambda lines: any(line.startswith("DEVICE") for line in lines))
        top.press("/")
        top.type(device["id"])
        top.press("Enter")
        top.sees("the device is selected", lambda lines: selected_line(top).startswith(device["id"] + " "))
        top.press("Enter")
        top.sees("its details", lambda lines: f"device {device['id']}" in lines and any(
            line.split()[:1] == ["dirty_pages_total"] for line in lines))
        top.press("End")
        if device["not_seen"]:
            top.sees("what is not seen of it", lambda lines: device["not_seen"][-1].split()[-1] in " ".join(lines))
        top.press("q", "Tab")
        top.sees("flows", lambda lines: any(re.match(" *PID", line) for line in lines))


@suite.test("Z: nothing moves until Z again")
def pausing():
    with Workload("anonymous", 2000) as workload, Top("-p", str(workload.pid)) as top:
        top.state()
        top.press("Z")
        top.sees("it says so", lambda lines: "PAUSED" in lines[7])
        before = top.screen()
        workload.go()
        agent.settle()
        agent.settle()
        equal(top.screen(), before, "the screen while it is paused")
        top.press("Z")
        top.sees("the workload", lambda lines: "PAUSED" not in lines[7] and workload.pid in pids_of(lines))


@suite.test("?, F1: all keys, columns, and what is not seen")
def helping():
    with Top(height=100, width=160) as top:
        top.state()
        blind = next(one["blind"] for one in agent.json("/api/v1/sensors")["sensors"] if one["blind"])
        for key in ("?", "F1"):
            top.press(key)
            for word in ("Keys", "F6", "Tab", "Enter", "pagecache_rate", " ".join(blind.split()[:4])):
                top.sees(f"help, with {word}", lambda lines, word=word: word in " ".join(" ".join(lines).split()))
            top.press("Escape")
            top.sees("the list", lambda lines: "Keys" not in lines)
    help_text = run(BINARY, "top", "--help").stdout
    for word in ("F4 \\", "start or stop a track", "--no-color", "--pid"):
        true(word in help_text, f"{word} in --help")


def tracks():
    return [one["target"] for one in agent.json("/api/v1/tracks")["tracks"] if one["state"] == "active"]


@suite.test("t: a track of a process and of a device begins and ends, with root's socket and with a token")
def tracking():
    for more in ({}, {"url": tcp, "options": ("--token-file", token)}):
        options = more.pop("options", ())
        with Workload("anonymous", 500) as workload, Top("-p", str(workload.pid), *options, **more) as top:
            workload.go()
            top.sees("the workload", lambda lines: pids_of(lines) == [workload.pid])
            top.press("t")
            top.sees("it says so", lambda lines: re.match(rf"track \d+ of process {workload.pid} started", lines[-1]))
            equal([one["pid"] for one in tracks()], [workload.pid], "tracks")
            top.sees("the column", lambda lines: rows_of(lines)[0][top.titles().split().index("TRACK")].isdigit())
            top.press("t")
            top.sees("it says so", lambda lines: re.match(rf"track \d+ of process {workload.pid} stopped", lines[-1]))
            equal(tracks(), [], "tracks")
            top.press("Tab")
            top.press("<", "<")
            device = agent.json("/api/v1/devices?sort=id&order=asc")["devices"][0]["id"]
            top.sees("devices", lambda lines: "by id, rising" in lines[7] and rows_of(lines)[0][0] == device)
            top.sees("the first is selected", lambda lines: selected_line(top).startswith(device + " "))
            top.press("t")
            top.sees("it says so", lambda lines: re.match(rf"track \d+ of device {device} started", lines[-1]))
            equal([one["device"] for one in tracks()], [device], "tracks")
            top.press("t")
            top.sees("it says so", lambda lines: re.match(rf"track \d+ of device {device} stopped", lines[-1]))
            equal(tracks(), [], "tracks")


@suite.test("t without a token: the agent's refusal is shown")
def refused():
    answer = run("curl", "-s", "-X", "POST", "-d", '{"target":{"pid":1}}', f"{tcp}/api/v1/tracks")
    words = " ".join(json.loads(answer.stdout)["error"]["message"].split()[:6])
    with Sleeping(url=tcp) as top:
        like_api(top, "sort=pid&order=asc", "at the start")
        top.press("t")
        top.sees("the refusal", lambda lines: words in lines[-1])
        equal(tracks(), [], "tracks")


@suite.test("any size: down to 1x1 and back")
def resizing():
    with Sleeping() as top:
        like_api(top, "sort=pid&order=asc", "at the start")
        for width, height in ((1, 1), (2, 2), (1, 30), (110, 1), (110, 2), (110, 3), (110, 5), (17, 9), (63, 14), (300, 90)):
            top.resize(width, height)
            # The last cell of all is one that not every terminal lets be written.
            top.sees(f"something at {width}x{height}", lambda lines, h=height: len(lines) == h and (any(lines) or h == 1))
            if width >= 17 and height > 1:
                top.sees(f"rows at {width}x{height}", lambda lines: any(
                    word in line.split() for line in lines for word in map(str, api_pids("sort=pid&order=asc", 1))))
            top.press("Down", "Up", "Tab", "BTab", "?", "Escape")
        top.resize(WIDTH, HEIGHT)
        top.press("Home")
        like_api(top, "sort=pid&order=asc", "back again")
        equal(top.state()[0], 1, "selected")
        top.press("q")
        equal(top.status(), 0, "exit status")


def given_back(top, status):
    equal(top.status(), status, "exit status")
    equal(top.read("after"), top.read("before"), "the terminal's settings")
    equal(top.ask("#{alternate_on} #{cursor_flag} #{keypad_flag} #{mouse_any_flag}"), "0 1 0 0", "alternate screen, cursor, keypad, mouse")


@suite.test("every way out gives the terminal back as it was")
def ends():
    for key in ("q", "F10"):
        with Sleeping() as top:
            top.state()
            equal(top.ask("#{alternate_on} #{cursor_flag}"), "1 0", "alternate screen, cursor while it runs")
            top.press(key)
            given_back(top, 0)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        with Sleeping() as top:
            top.state()
            os.kill(top.pid, number)
            given_back(top, 128 + number)
    with Sleeping() as top:
        top.state()
        top.press("C-c")
        given_back(top, 128 + signal.SIGINT)
    with Sleeping("-n", "2") as top:
        given_back(top, 0)


@suite.test("the terminal goes: it ends")
def gone():
    with Sleeping() as top:
        top.state()
        pid = top.pid
    eventually("it has ended", lambda: not os.path.exists(f"/proc/{pid}"))


@suite.test("no terminal: plain text; one that cannot be drawn on: one line and exit status 1")
def no_terminal():
    text = run(BINARY, "top", "-n", "1", "--url", agent.url).stdout
    true("PID" in text and "\x1b" not in text, f"into a pipe: {text[:200]!r}")
    for term in ("dumb", "no-such-terminal", ""):
        script = quoted("env", f"TERM={term}", BINARY, "top", "--url", agent.url)
        with Terminal(directory, f"{script}; echo status $?; sleep 1000") as terminal:
            lines = terminal.sees("its end", lambda lines: any("status" in line for line in lines) and lines)
            true("status 1" in lines and "TERM" in lines[0] and f"'{term}'" in lines[0], f"with TERM={term}: {lines[:3]}")
    script = quoted(BINARY, "top", "-n", "1", "--url", agent.url) + " < /dev/null"
    with Terminal(directory, f"{script}; echo status $?; sleep 1000", height=200) as terminal:
        lines = terminal.sees("its end", lambda lines: "status 0" in lines and lines)
        true(lines[0].startswith("dirtyscope - "), f"without keys: {lines[0]}")


@suite.test("colours, and none with NO_COLOR or -C")
def colours():
    def colours_of(top):
        top.state()
        sequences = re.findall(r"\x1b\[([\d;]*)m", "\n".join(top.screen(escapes=True)))
        numbers = {int(number) for sequence in sequences for number in sequence.split(";") if number}
        return numbers & {*range(30, 38), *range(40, 48)}, numbers
    with Sleeping() as top:
        true(colours_of(top)[0], "there are no colours")
    for options, env in (((), {"NO_COLOR": "1"}), (("-C",), {}), (("--no-color",), {})):
        with Sleeping(*options, env=env) as top:
            colour, numbers = colours_of(top)
            equal(colour, set(), f"colours with {options} {env}")
            true(7 in numbers, "the selected row is not marked either")


def cells(text):
    return sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text)


@suite.test("hostile and wide names: harmless, and in their columns")
def names():
    comms = {"1b5b324a1b5b48": r"\x1b[2J\x1b[H", "ff0a07626164": "\ufffd\\x0a\\x07bad", "e697a5e69cace8aa9e": "日本語",
             "e280ae6576696c": r"\xe2\x80\xaeevil"}
    workloads = [Workload("comm", 700, name) for name in comms]
    try:
        for one in workloads:
            one.__enter__()
            one.go()
        with Top("-F", "tests/live/workload comm", "-s", "pid", "--order", "asc", "-c", "pid,comm,uid") as top:
            pids = sorted(one.pid for one in workloads)
            top.sees("all of them", lambda lines: [pid for pid in pids_of(lines) if pid in pids] == pids)
            lines = top.screen()
            rows = {int(line.split()[0]): line for line in lines[9:-1] if line}
            ends = set()
            for one, shown in zip(workloads, comms.values()):
                line = rows[one.pid]
                true(f" {shown} " in line, f"{shown} in {line!r}")
                ends.add(cells(line[:line.index(shown) + len(shown)]) + cells(line[line.index(shown) + len(shown):]))
            equal(len(ends), 1, f"the last column ends at {ends}")
            true(lines[0].startswith("dirtyscope "), "the screen was not cleared")
    finally:
        for one in workloads:
            one.stop()


@suite.test("the agent goes, and comes back: it says so, and goes on")
def reconnects():
    path = f"{directory}/other"
    with Agent(listen=f"unix:{path}") as other, Top(url=f"unix:{path}") as top:
        top.state()
        other.stop(signal.SIGKILL)
        top.sees("it says so", lambda lines: "cannot reach the agent" in lines[-1] and "trying again" in lines[-1])
        true(len(rows_of(top.screen())) > 0, "the rows are gone")
        top.press("?")
        top.sees("keys are served", lambda lines: "Keys" in lines)
        top.press("Escape")
        if os.path.exists(path):
            os.unlink(path)
        with Agent(listen=f"unix:{path}") as again, Workload("anonymous", 900) as workload:
            workload.go()
            again.settle()
            top.sees("it goes on", lambda lines: lines[-1].startswith("F1") and workload.pid in pids_of(lines))
            again.child.send_signal(signal.SIGSTOP)  # one that hangs
            try:
                top.press("F6")
                top.sees("keys are served", lambda lines: any(line.startswith("written ") for line in lines))
                top.press("F10")
                given_back(top, 0)
            finally:
                again.child.send_signal(signal.SIGCONT)


require_root()
with open(token, "w", encoding="ascii") as file:
    file.write("0123456789abcdef0123456789abcdef\n")
os.chmod(token, 0o600)
with agent, sleepers:
    sleepers.go()
    agent.settle()
    suite.run()
