# SPDX-License-Identifier: BSD-2-Clause
"""Fills in the README's examples and references from a live run, or checks that they are there.

readme.py BUILD         rewrites README.md
readme.py BUILD live    only the live view's screen and its keys
readme.py BUILD record  the same for the example of a record alone
readme.py BUILD bench   the same for the cost section, from tests/bench/run's table on stdin
"""
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

import harness
import tmux
import tracking

README = os.path.join(os.path.dirname(__file__), "..", "..", "README.md")


def fill(text, name, content):
    """Replaces what stands between <!-- name --> and <!-- end name -->."""
    begin, end = f"<!-- {name} -->", f"<!-- end {name} -->"
    assert begin in text and end in text, f"README.md has no section {name}"
    pattern = re.escape(begin) + ".*?" + re.escape(end)
    return re.sub(pattern, lambda _: f"{begin}\n{content.rstrip()}\n{end}", text, flags=re.S)


def section(text, name):
    match = re.search(f"<!-- {re.escape(name)} -->\n(.*?)<!-- end {re.escape(name)} -->", text, re.S)
    return match and match.group(1)


def command(build, url, *arguments):
    output = subprocess.run([f"{build}/dirtyscope", *arguments], capture_output=True, text=True, check=True,
                            env={**os.environ, "DIRTYSCOPE_URL": url}).stdout
    return f"$ dirtyscope {' '.join(arguments)}\n{output}"


def example(build, url, *arguments):
    return f"```\n{command(build, url, *arguments)}```"


def track_example(build, url, path):
    """A process that stores into 3 pages, and has the disk read into 64 others through a buffer of its own."""
    with tracking.Writer("private", 2048) as writer:
        steps = [command(build, url, "track", "start", "--pid", str(writer.pid))]
        writer.do("store", 100, 101, 102)
        writer.do("direct", path, *range(64))
        steps.append(command(build, url, "track", "collect", "1"))
        steps.append(command(build, url, "track", "ack", "1", "1"))
        for seed in range(3):
            writer.do("write", seed, 300)
            time.sleep(0.5)
            command(build, url, "track", "collect", "1", "--ack")
        steps.append(command(build, url, "track", "forecast", "1", "--bandwidth", "100Mbit", "--downtime", "5ms"))
        command(build, url, "track", "stop", "1")
    return "```\n" + "".join(steps) + "```"


def live_example(build, url, directory, data):
    """The screen of the live view, while a disk is read past the page cache."""
    read = ["dd", f"if={data}", "of=/dev/null", "bs=256K", "iflag=direct"]
    with tmux.Terminal(directory, tmux.quoted(f"{build}/dirtyscope", "top", "-s", "dma", "--url", url), 110, 16) as terminal:
        for _ in range(6):
            subprocess.run(read, check=True, stderr=subprocess.DEVNULL)
            time.sleep(0.9)
        terminal.sees("rows", lambda lines: any("dd" in line.split() for line in lines))
        return "```\n$ dirtyscope top -s dma\n" + "\n".join(terminal.screen()) + "\n```"


def keys():
    """A table of the keys, as --help lists them."""
    listed = subprocess.run([harness.BINARY, "top", "--help"], capture_output=True, text=True, check=True).stdout
    rows = re.findall(r"^  (.{10})  (.+)$", listed.split("\nKeys:\n")[1].split("\n\n")[0], re.M)
    return "| key | does |\n|---|---|\n" + "".join(
        "| " + " ".join(f"`{key}`" for key in names.split()) + f" | {what} |\n" for names, what in rows)


def fill_live(text, build, directory, data):
    """The example's agent has the interval that it has by default."""
    with harness.Agent(interval=1, listen=f"unix:{directory}/live") as agent:
        return fill(fill(text, "keys", keys()), "example: live", live_example(build, agent.url, directory, data))


def agent_lines(build, directory, options, seconds, during=lambda: ""):
    """What `dirtyscope agent` with these options says of its record in so many seconds, and what `during` shows after them."""
    with subprocess.Popen([f"{os.path.abspath(build)}/dirtyscope", "agent", "--web.listen-address", "unix:socket", *options],
                          cwd=directory, stderr=subprocess.PIPE, text=True) as agent:
        time.sleep(seconds)
        shown = during()
        agent.send_signal(signal.SIGINT)
        lines = [line for line in agent.stderr if "record" in line]
    return f"$ dirtyscope agent {' '.join(options)}\n{''.join(lines)}{shown}"


def record_example(build):
    """20 s of a host whose disk reads a file again and again, and their replay."""
    with tempfile.TemporaryDirectory(dir=build) as directory:
        path = os.path.join(directory, "data")
        with open(path, "wb") as data:
            data.write(os.urandom(64 << 20))
            data.flush()
            os.fsync(data.fileno())
        loop = f"while sleep 0.5; do dd if={path} of=/dev/null bs=1M iflag=direct 2>/dev/null; done"
        with subprocess.Popen(["sh", "-c", loop]) as reads:
            text = agent_lines(build, directory, ("--record", "host.record"), 20)
            reads.kill()
        url = f"unix:{directory}/socket"
        text += agent_lines(build, directory, ("--replay", "host.record", "--replay-interval", "100ms"), 4,
                            lambda: command(build, url, "top", "-b", "-n", "1", "-l", "3"))
    return f"```\n{text}```"


def main():
    build = sys.argv[1]
    with open(README, encoding="utf-8") as readme:
        text = readme.read()
    if sys.argv[2:] == ["bench"]:
        text = fill(text, "bench", sys.stdin.read())
    elif sys.argv[2:] == ["live"]:
        with tempfile.NamedTemporaryFile(dir=build) as data, tempfile.TemporaryDirectory() as directory:
            data.write(os.urandom(64 << 20))
            data.flush()
            os.fsync(data.fileno())
            text = fill_live(text, build, directory, data.name)
    elif sys.argv[2:] == ["record"]:
        text = fill(text, "example: record", record_example(build))
    else:
        reference = subprocess.run([f"{build}/dirtyscope", "metrics"], capture_output=True, text=True, check=True)
        text = fill(text, "metrics", reference.stdout)
        with tempfile.NamedTemporaryFile(dir=build) as data, tempfile.TemporaryDirectory() as directory, \
                harness.Agent(interval=2, listen=f"unix:{directory}/socket") as agent:
            data.write(os.urandom(256 << 20))
            data.flush()
            os.fsync(data.fileno())
            agent.settle()
            subprocess.run(["dd", f"if={data.name}", "of=/dev/null", "bs=1M", "iflag=direct"], check=True,
                           stderr=subprocess.DEVNULL)
            time.sleep(2)  # the interval that holds the read ends
            url = agent.url
            text = fill(text, "example: top", example(build, url, "top", "-b", "-n", "1", "-l", "5"))
            text = fill(text, "example: devices", example(build, url, "devices"))
            text = fill(text, "example: flows", example(build, url, "flows", "--limit", "3"))
            text = fill(text, "example: sensors", example(build, url, "sensors"))
            text = fill(text, "example: track", track_example(build, url, data.name))
            text = fill_live(text, build, directory, data.name)
        text = fill(text, "example: record", record_example(build))
    with open(README, "w", encoding="utf-8") as readme:
        readme.write(text)


if __name__ == "__main__":
    main()
