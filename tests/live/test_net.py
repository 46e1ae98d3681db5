# SPDX-License-Identifier: BSD-2-Clause
"""Packets that no device wrote: veth and loopback count for no device, and the sensor says so."""
import os
import socket
import subprocess
import sys

from harness import Agent, Skip, Suite, equal, eventually, require_root, run, true

MIB = 1 << 20
SENDER = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as s:
    for _ in range(64):
        s.sendall(bytes(1 << 20))
"""
RECEIVER = """
import socket, sys
with socket.create_server((sys.argv[1], 0)) as server:
    print(server.getsockname()[1], flush=True)
    peer, _ = server.accept()
    print(sum(iter(lambda: len(peer.recv(1 << 20)), 0)), flush=True)
"""

suite = Suite()
agent = Agent()
NAMES = [f"dirtyscope-{os.getpid()}-{side}" for side in "ab"]


def transfer(address, receiver=(), sender=()):
    """64 MiB of TCP; the bytes that arrived."""
    with subprocess.Popen([*receiver, sys.executable, "-c", RECEIVER, address],
                          stdout=subprocess.PIPE, text=True) as child:
        port = child.stdout.readline().strip()
        sent = run(*sender, sys.executable, "-c", SENDER, address, port)
        equal(sent.returncode, 0, f"sender: {sent.stderr}")
        return int(child.stdout.readline())


def net():
    return {name: device["net"]["pages"] for name, device in agent.devices().items()}


def measure(*args):
    """Packets that the sensor saw while nothing was counted for any device."""
    agent.settle()
    before, offered = net(), agent.sensors()["net"]["offered"]
    equal(transfer(*args), 64 * MIB, "bytes received")
    agent.settle()
    for device, pages in net().items():
        equal(pages, before.get(device, 0), f"net pages of {device}")
    eventually("offered = counted + lost", lambda: (lambda sensor: (
        sensor["offered"] == sensor["counted"] + sum(sensor["lost"].values())))(
            agent.sensors()["net"]))
    sensor = agent.sensors()["net"]
    true(sensor["offered"] > offered, "the sensor saw no packet")
    equal(sum(sensor["lost"].values()), 0, f"lost: {sensor['lost']}")
    return sensor["offered"] - offered


def ip(*args):
    done = run("ip", *args)
    if done.returncode:
        raise Skip(f"ip {' '.join(args)}: {done.stderr.strip()}")


@suite.test("64 MiB over loopback")
def loopback():
    return f"{measure('127.0.0.1')} packets"


@suite.test("64 MiB over a veth pair between two network namespaces")
def veth():
    first, second = NAMES
    try:
        ip("netns", "add", first)
        ip("netns", "add", second)
        ip("-n", first, "link", "add", "veth0", "type", "veth", "peer", "name", "veth0", "netns",
           second)
        for name, address in ((first, "10.99.0.1/24"), (second, "10.99.0.2/24")):
            ip("-n", name, "address", "add", address, "dev", "veth0")
            ip("-n", name, "link", "set", "veth0", "up")
        packets = measure("10.99.0.1", ("ip", "netns", "exec", first),
                          ("ip", "netns", "exec", second))
        return f"{packets} packets"
    finally:
        for name in NAMES:
            run("ip", "netns", "delete", name)


@suite.test("the sensor says that it counts nothing for such interfaces")
def said():
    sensor = agent.sensors()["net"]
    text = " ".join(value for value in sensor.values() if isinstance(value, str)).lower()
    true(any(word in text for word in ("loopback", "veth", "dma device")),
         f"the net sensor does not speak of interfaces without a device: {text}")


require_root()
with agent:
    suite.run()
