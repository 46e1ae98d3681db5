# SPDX-License-Identifier: BSD-2-Clause
"""The forecast against the truth: a guest that writes at a steady rate, and QEMU's own migration of it."""
import json
import os
import socket
import subprocess
import time

from harness import Agent, Suite, equal, eventually, require_root, run, scratch, true
from tracking import Track

MIB = 1 << 20
MEMORY = 48 * MIB
WORKING = 4096  # pages that the guest writes, again and again
TICKS = 1193182  # a second
RATES = [500, 4000, 12000]  # pages a second
BANDWIDTHS = [8, 32, 96]  # MiB a second
DOWNTIME = 0.15
EPOCHS, EPOCH = 40, 0.1
LOOKS = 3  # until a forecast is known: others may have made an epoch long
ATTEMPTS = 2
ROUNDS_ENOUGH = 12  # beyond those that were expected: it does not converge

suite = Suite()
directory = scratch()
agent = Agent(listen=f"unix:{directory}/socket")
table = []


def build(rate):
    name = os.path.join(directory, f"guest-{rate}")
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "migrated.s")
    for command in (["as", "--32", "--defsym", f"PERIOD={TICKS // rate}", "--defsym", f"WORKING={WORKING}",
                     "--defsym", f"END={MEMORY}", "-o", name + ".o", source],
                    ["ld", "-m", "elf_i386", "-Ttext", "0x100000", "-o", name, name + ".o"]):
        done = run(*command)
        equal(done.returncode, 0, f"{command[0]}: {done.stderr}")
    return name


class Machine:
    """A QEMU with the guest, or one that waits for it."""

    def __init__(self, name, guest, incoming=None):
        self.console = os.path.join(directory, f"{name}.console")
        monitor = os.path.join(directory, f"{name}.qmp")
        command = ["qemu-system-x86_64", "-accel", "tcg", "-nodefaults", "-no-user-config", "-display", "none", "-machine", "pc",
                   "-m", str(MEMORY // MIB), "-kernel", guest, "-debugcon", f"file:{self.console}",
                   "-qmp", f"unix:{monitor},server=on,wait=off"]
        if incoming:
            command += ["-incoming", f"unix:{incoming}"]
        self.child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.pid = self.child.pid
        self.monitor = socket.socket(socket.AF_UNIX)
        eventually("QEMU's monitor", lambda: self.monitor.connect_ex(monitor) == 0)
        self.lines = self.monitor.makefile("rw", encoding="utf-8")
        self.lines.readline()
        self.ask("qmp_capabilities")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.lines.close()
        self.monitor.close()
        self.child.kill()
        self.child.wait()

    def ask(self, command, **arguments):
        self.lines.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.lines.flush()
        while True:
            reply = json.loads(self.lines.readline())
            true("error" not in reply, f"{command}: {reply}")
            if "return" in reply:
                return reply["return"]

    def ready(self):
        eventually("the guest writes", lambda: os.path.getsize(self.console) > 0)

    def memory(self):
        """START-END of the guest's memory."""
        with open(f"/proc/{self.pid}/maps", encoding="ascii") as maps:
            for line in maps:
                start, end = (int(word, 16) for word in line.split()[0].split("-"))
                if end - start == MEMORY:
                    return f"0x{start:x}-0x{end:x}"
        raise AssertionError("QEMU has no mapping of the guest's size")


def migrate(source, guest, bandwidth, expected):
    """(converged, bytes, rounds) by QEMU's own account."""
    incoming = os.path.join(directory, "incoming")
    if os.path.exists(incoming):
        os.unlink(incoming)
    source.ask("migrate-set-parameters", **{"max-bandwidth": bandwidth, "downtime-limit": int(DOWNTIME * 1000)})
    with Machine("destination", guest, incoming):
        source.ask("migrate", uri=f"unix:{incoming}")
        while True:
            state = source.ask("query-migrate")
            rounds = state.get("ram", {}).get("dirty-sync-count", 0)
            if state["status"] == "completed":
                source.ask("cont")
                # The first synchronisation begins it, and the last one follows the stop.
                return True, state["ram"]["transferred"], rounds - 2
            true(state["status"] in ("setup", "active", "device"), f"the migration: {state}")
            if rounds > expected + ROUNDS_ENOUGH:
                source.ask("migrate_cancel")
                eventually("it is cancelled", lambda: source.ask("query-migrate")["status"] == "cancelled")
                return False, state["ram"]["transferred"], rounds - 2
            time.sleep(0.05)


def observe(track, epochs=EPOCHS, epoch=EPOCH):
    track.collect()
    for _ in range(epochs):
        time.sleep(epoch)
        track.collect()


def forecast_of(track, source, bandwidth):
    return track.call("GET", f"/forecast?bandwidth={bandwidth * MIB}&downtime_ms={int(DOWNTIME * 1000)}"
                             f"&range={source.memory()}")


def agrees(forecast, converged, sent, rounds):
    return forecast["converges"] == converged and (not converged or (
        abs(forecast["bytes"] - sent) <= 0.15 * sent and abs(forecast["rounds"] - rounds) <= 1))


def compare(rate):
    guest = build(rate)
    with Machine(f"source-{rate}", guest) as source:
        source.ready()
        with Track(agent, {"pid": source.pid}) as track:
            for _ in range(LOOKS):
                observe(track)
                forecasts = [forecast_of(track, source, bandwidth) for bandwidth in BANDWIDTHS]
                if all(forecast["converges"] is not None for forecast in forecasts):
                    break
        for forecast in forecasts:
            true(forecast["converges"] is not None, f"{rate} pages/s: {forecast['reason']}")
        notes = []
        for bandwidth, forecast in zip(BANDWIDTHS, forecasts):
            # Others may have had the CPUs for a while, and rounds end when QEMU gets to look.
            for _ in range(ATTEMPTS):
                converged, sent, rounds = migrate(source, guest, bandwidth * MIB, forecast["rounds"])
                if agrees(forecast, converged, sent, rounds):
                    break
            notes.append(f"{rate} pages/s, {bandwidth} MiB/s: forecast converges {forecast['converges']}, "
                         f"{forecast['bytes'] / MIB:.1f} MiB, {forecast['rounds']} rounds, {forecast['seconds']:.1f} s; "
                         f"QEMU {converged}, {sent / MIB:.1f} MiB, {rounds} rounds")
            table.append((rate, bandwidth, forecast, converged, sent, rounds, notes[-1]))
        return notes


for rate in RATES:
    suite.test(f"a guest that writes {rate} pages a second is migrated at three bandwidths", rate)(compare)


@suite.test("whether it converges agrees in all nine; and both verdicts are among them")
def verdicts():
    equal(len(table), len(RATES) * len(BANDWIDTHS), "migrations")
    for _, _, forecast, converged, _, _, note in table:
        equal(forecast["converges"], converged, note)
    equal({converged for _, _, _, converged, _, _, _ in table}, {True, False}, "verdicts")


@suite.test("a guest that does not converge never does by epochs that are too long to tell")
def long_epochs():
    rate, bandwidth = RATES[2], BANDWIDTHS[1]
    guest = build(rate)
    with Machine("source-long", guest) as source:
        source.ready()
        for epochs, epoch in ((4, 1), (2, 5)):
            with Track(agent, {"pid": source.pid}) as track:
                observe(track, epochs, epoch)
                forecast = forecast_of(track, source, bandwidth)
                true(forecast["converges"] is not True, f"epochs of {epoch} s: {forecast}")
                if forecast["converges"] is None:
                    true("collect more often" in forecast["reason"], forecast["reason"])
                    equal(forecast["bytes"], None, "bytes that are not known")
        converged, _, _ = migrate(source, guest, bandwidth * MIB, 12)
        equal(converged, False, "QEMU's migration of it")


@suite.test("bytes sent are within 15 %, rounds within one")
def figures():
    for _, _, forecast, converged, sent, rounds, note in table:
        true(agrees(forecast, converged, sent, rounds), note)


require_root()
with agent:
    suite.run()
