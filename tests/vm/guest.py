# SPDX-License-Identifier: BSD-2-Clause
"""Runs in the guest: carries out what the test asks for, one line of JSON on the second serial port
per call; answers go into a file of the share, since the port is slow.
"""
import datetime
import glob
import json
import mmap
import os
import re
import socket
import subprocess
import sys
import threading
import time
import traceback

import guest_cpus
import guest_policies
import guest_tracks

HERE = os.path.dirname(os.path.abspath(__file__))
SHARE = "/dev/share"
PORT = "/dev/ttyS1"
WAIT = 60 * float(os.environ["TEST_PATIENCE"])
FUNCTIONS = {}


def function(call):
    FUNCTIONS[call.__name__] = call
    return call


class State:
    """What lives from call to call."""
    agent = None
    recorder = None
    buffers = []
    sockets = []
    holders = {}
    fsck = None


@function
def run(*words, seconds=2 * WAIT):
    """[exit status, output] of a command."""
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=seconds, check=False)
    return [done.returncode, done.stdout.decode("utf-8", "replace")]


@function
def verify(tool, path):
    """What tests/bpf/verify says of an object, and for how many seconds it ran: long, where a CPU is emulated."""
    begin = time.monotonic()
    status, text = run(tool, path, seconds=500 + WAIT)
    return [status, text, time.monotonic() - begin]


@function
def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


@function
def link(path):
    return os.path.realpath(path)


@function
def devices():
    """[disks and network cards: slot on the root bus, node, every name on its path], the kernel's version."""
    found = []
    for path in sorted(glob.glob("/sys/class/block/*") + glob.glob("/sys/class/net/*")):
        names = os.path.realpath(path).split("/")
        slots = [name for name in names if name.startswith("0000:00:")]
        if not slots or os.path.exists(os.path.join(path, "partition")):
            continue
        # One path of an NVMe disk, hidden; the disk itself has no device above it.
        node = re.sub(r"c\d+n", "n", names[-1]) if names[-1].startswith("nvme") else names[-1]
        found.append({"slot": int(slots[0].split(":")[2].split(".")[0], 16), "node": node,
                      "names": names[names.index(slots[0]):] + [node]})
    return [found, os.uname().release]


@function
def mount_work():
    for disk in glob.glob("/sys/class/block/vd*"):
        with open(os.path.join(disk, "serial"), encoding="ascii") as file:
            if file.read().strip() == "work":
                status, text = run("mount", "-t", "ext4", "/dev/" + os.path.basename(disk), "/dev/work")
                if status:
                    raise OSError(text)
                return
    raise OSError("there is no disk with the serial number work")


# ---- the recorder ----

@function
def recorder_start(*options):
    State.recorder = subprocess.Popen(["/dev/work/tests/vm/recorder", *options], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True)
    return recorder_line()


def recorder_line():
    if not State.recorder:
        raise OSError("there is no recorder")
    line = State.recorder.stdout.readline()
    if not line:
        raise OSError(f"the recorder ended with {State.recorder.wait()}")
    return json.loads(line)


@function
def recorder(command):
    if State.recorder:
        State.recorder.stdin.write(command + "\n")
        State.recorder.stdin.flush()
    return recorder_line()


@function
def recorder_stop():
    if not State.recorder:
        return None
    State.recorder.stdin.close()
    status = State.recorder.wait(WAIT)
    State.recorder = None
    return status


# ---- disks ----

@function
def direct(disk, plan, writing=False):
    """
    O_DIRECT reads or writes by 4 threads, each [offset on the disk, size, offset in its buffer];
    the buffers are kept, with what was read in them, until release().
    """
    flags = os.O_DIRECT | os.O_CLOEXEC | (os.O_WRONLY if writing else os.O_RDONLY)
    fd = os.open("/dev/" + disk, flags)
    errors = []

    def work(steps):
        try:
            for offset, size, shift in steps:
                memory = mmap.mmap(-1, shift + size)
                State.buffers.append(memory)
                view = memoryview(memory)[shift:shift + size]
                if writing:
                    view[:] = b"w" * size
                done = os.pwritev(fd, [view], offset) if writing else os.preadv(fd, [view], offset)
                if done != size:
                    raise OSError(f"{done} of {size} bytes")
        except OSError as error:
            errors.append(str(error))

    threads = [threading.Thread(target=work, args=(plan[first::4],)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.close(fd)
    if errors:
        raise OSError(errors[0])


@function
def release():
    State.buffers.clear()


# ---- network cards ----

@function
def interface_up(name, address):
    for words in (["ip", "address", "replace", address + "/24", "dev", name], ["ip", "link", "set", name, "up"]):
        status, text = run(*words)
        if status:
            raise OSError(text)
    end = time.monotonic() + WAIT
    while time.monotonic() < end:
        with open(f"/sys/class/net/{name}/operstate", encoding="ascii") as file:
            if file.read().strip() == "up":
                return
        time.sleep(0.1)
    raise OSError(f"{name} does not come up")


@function
def interface_down(name):
    status, text = run("ip", "link", "set", name, "down")
    if status:
        raise OSError(text)


@function
def packets(name):
    """Received so far, all of them."""
    with open(f"/sys/class/net/{name}/statistics/rx_packets", encoding="ascii") as file:
        return int(file.read())


@function
def sink(address, port):
    """A socket that takes packets."""
    taker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    taker.bind((address, port))
    State.sockets.append(taker)


# ---- the agent ----

def harness():
    sys.path.insert(0, os.path.join(HERE, "..", "live"))
    import harness as module  # needs sys.argv, and is not wanted in every test
    return module


@function
def agent_start(*options):
    """Seconds until its programs were loaded, and from there to its first snapshot."""
    begin = time.time()
    State.agent = harness().Agent(*options)
    State.agent.__enter__()
    end = time.time()
    text = re.search(r'^time=(\S+) .*msg="?starting\b', State.agent.log(), re.M).group(1)
    loaded = datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    return [loaded - begin, end - loaded]


@function
def agent_stop():
    log = State.agent.log()
    return [State.agent.stop(), log]


@function
def api(path):
    return State.agent.json(path)


@function
def metrics():
    return State.agent.get("/metrics").text().splitlines()


@function
def live(suite, tests=""):
    """A live suite, or those of its tests whose names hold that, on this kernel."""
    return run("env", f"TEST={tests}", "TEST_ROUNDS=5", "/usr/bin/python3",
               os.path.join(HERE, "..", "live", f"test_{suite}.py"), "/dev/work", seconds=500 + WAIT)


@function
def fsck_start(disk, edu, *filters):
    """tests/fsck, whose TAP comes into the share as it is said."""
    with open(os.path.join(SHARE, "fsck"), "wb") as log:
        State.fsck = subprocess.Popen(
            ["/usr/bin/python3", os.path.join(HERE, "..", "fsck", "fsck.py"), "/dev/work", *filters],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            env={**os.environ, "FSCK_DISK": disk, "FSCK_EDU": edu, "FSCK_TABLE": os.path.join(SHARE, "fsck.json")})


@function
def fsck_wait(seconds):
    """Its status, or None when it still runs."""
    try:
        return State.fsck.wait(seconds)
    except subprocess.TimeoutExpired:
        return None


@function
def settle():
    State.agent.settle()


@function
def client(*words):
    """A command of dirtyscope against the agent."""
    return run("env", f"DIRTYSCOPE_URL={State.agent.url}", "/dev/work/dirtyscope", *words)


@function
def hold(name, *words):
    """Starts a program that does something and then waits; its first line."""
    State.holders[name] = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    return State.holders[name].stdout.readline().strip()


@function
def pid(name):
    return State.holders[name].pid


@function
def tell(name, line):
    """Its answer to a line."""
    holder = State.holders[name]
    holder.stdin.write(line + "\n")
    holder.stdin.flush()
    return holder.stdout.readline().strip()


@function
def let_go(name):
    holder = State.holders.pop(name)
    holder.stdin.close()
    return holder.wait(WAIT)


guest_cpus.register(function, State, harness)
guest_tracks.register(function, State, harness)
guest_policies.register(function, State, harness)


def serve(lines, port):
    for line in lines:
        number, name, arguments = json.loads(line)
        try:
            reply = {"result": FUNCTIONS[name](*arguments)}
        except Exception as error:  # the test is told, and goes on
            reply = {"error": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()}
        path = os.path.join(SHARE, f"reply-{number}")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(reply, file)
        port.write(f"done {number}\n".encode("ascii"))


def main():
    subprocess.run(["stty", "-F", PORT, "raw", "-echo", "115200"], check=True)
    with open(PORT, "rb") as lines, open(PORT, "wb", buffering=0) as port:
        port.write(b"ready\n")
        serve(lines, port)


if __name__ == "__main__":
    main()
